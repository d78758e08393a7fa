# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request, run
from ansible_collections.dockerless.network.plugins.module_utils.gather import gather
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import RouteEntry
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST, Route
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    once,
    world,
)

PORT = {"host_port": "8080", "container_ip": "10.20.0.2"}
PORT6 = {"host_port": "8080", "container_ip": "fd00:20::2"}
WAY_OUT = {"source": "10.20.0.0/24"}
NOT_IN = "the host does not forward IPv%d, so no connection gets in; turn it on with the module sysctl_forward."
NOT_OUT = "the host does not forward IPv4, so nothing gets out; turn it on with the module sysctl_forward."
LOOPBACK = (
    "Port 8080/tcp (IPv4): 127.0.0.1 does not lead there without route_localnet for br-blue; turn it on with the module"
    " sysctl_forward."
)


def host_with(**forward: Any) -> MemoryHost:
    host = MemoryHost()
    host.uplink("eth0", 1500)
    host.stack(HOST).add_address("eth0", ip_interface("192.0.2.1/24"))
    once(host, ask(BridgeKind(), {"name": "br-blue", "addresses": ["10.20.0.1/24", "fd00:20::1/64"]}))
    if forward:
        once(host, ask(SysctlForwardKind(), forward))
    return host


def warnings(host: MemoryHost, *requests: Request, alone: bool = True) -> tuple[str, ...]:
    seen = run(requests, world(host, check_mode=True), alone=alone).warnings
    assert run(requests, world(host), alone=alone).warnings == seen
    return seen


def port(**options: Any) -> Request:
    return ask(PortPublishKind(), {**PORT, **options})


def way_out(**options: Any) -> Request:
    return ask(NatMasqueradeKind(), {**WAY_OUT, **options})


def test_a_host_that_does_not_forward_is_named() -> None:
    six = ask(PortPublishKind(), PORT6)

    assert warnings(host_with(route_localnet=["br-blue"], ipv4=False), port(), port(host_port="81"), six) == (
        "Port 8080/tcp (IPv4), port 81/tcp (IPv4): " + NOT_IN % 4,
        "Port 8080/tcp (IPv6): " + NOT_IN % 6,
    )
    assert warnings(host_with(), way_out()) == ("Masquerade of 10.20.0.0/24 by any interface: " + NOT_OUT,)


def test_what_works_is_not_spoken_of() -> None:
    host = host_with(ipv6=True, route_localnet=["br-blue"])

    assert warnings(host, port(), ask(PortPublishKind(), PORT6), way_out()) == ()


def test_loopback_needs_a_setting_of_its_own() -> None:
    assert warnings(host_with(), port(host_ip="127.0.0.1")) == (LOOPBACK.replace("8080", "127.0.0.1:8080"),)
    assert warnings(host_with(ipv6=True), port(), ask(PortPublishKind(), PORT6)) == (LOOPBACK,)
    assert warnings(host_with(ipv6=True), port(host_ip="192.0.2.1")) == ()


def test_an_interface_that_check_mode_takes_to_be_made_is_not_asked_for_settings() -> None:
    later = port(container_ip="10.99.0.2")
    (text,) = run([later], world(host_with(ipv6=True), check_mode=True), alone=True).warnings
    assert text.startswith("Check mode assumes that interface towards 10.99.0.2, which is not there yet, is made by")


def test_a_port_without_a_route_to_its_endpoint() -> None:
    host = host_with(route_localnet=["br-blue"])

    assert warnings(host, port(container_ip="10.99.0.2", bridge="br-blue")) == (
        "Port 8080/tcp (IPv4): there is no route to 10.99.0.2 by br-blue; give that interface an address in its"
        " subnet.",
    )


@pytest.mark.parametrize(
    ("subnets", "open_ones"),
    [
        (["10.20.0.0/24"], "fd00:20::1/64"),
        (["10.23.0.0/24"], "10.20.0.1/24, fd00:20::1/64"),
        (["10.20.0.0/25", "10.23.0.0/24", "fd00::/16"], ""),
        (None, ""),
    ],
)
def test_an_address_outside_of_the_subnets_is_open(subnets: list[str] | None, open_ones: str) -> None:
    policy = {"bridge": "br-blue", "subnets": subnets}
    text = (
        "Firewall of bridge br-blue: the bridge still has %s, which no rule closes to others, as it is in none of the"
        " subnets; keep the subnet of such an address in the list until the bridge has lost it."
    )

    seen = warnings(host_with(), ask(BridgeFirewallKind(), policy))

    assert seen == ((text % open_ones,) if open_ones else ())
    assert warnings(host_with(), ask(BridgeFirewallKind(), {**policy, "direct_access": True})) == ()


def test_what_goes_and_what_the_role_looks_after_is_not_spoken_of() -> None:
    host = host_with()
    once(host, port(network="blue"))

    assert warnings(host, quiet(port(network="blue")), quiet(way_out(network="blue"))) == ()
    assert warnings(host, ask(NatMasqueradeKind(), WAY_OUT, "absent")) == ()
    assert warnings(host, way_out(), alone=False) == ()


def quiet(request: Request) -> Request:
    return replace(request, warns=False)


def test_what_a_later_step_brings_is_not_missed() -> None:
    """The steps of the role make the bridge when the ports on its address are there."""
    host = host_with()
    early = [port(host_ip="10.99.0.1"), way_out(to_source="10.99.0.1"), port(in_interfaces=["br-red"], host_port="81")]
    early.append(ask(BridgeFirewallKind(), {"bridge": "br-red", "subnets": [], "trusted_interfaces": ["wg0"]}))

    assert len(warnings(host, *early)) == 7
    assert warnings(host, *map(quiet, early)) == ()


def test_an_object_by_hand_may_belong_to_a_network() -> None:
    titles = ("Port 192.0.2.1:8080/tcp (IPv4): ", "Masquerade of 10.20.0.0/24 by any interface: ")
    host = host_with()

    found = warnings(host, port(network="blue", host_ip="192.0.2.1"), way_out(network="blue"))
    assert found == (titles[0] + NOT_IN % 4, titles[1] + NOT_OUT)


# ---- answers by another uplink

RULED = (ip_network("198.51.100.11/32"), 100)


def default_route(via: str, link: str, table: int = 0) -> RouteEntry:
    return RouteEntry(Route(ip_network("0.0.0.0/0" if "." in via else "::/0"), ip_address(via), 0, table), link, 4)


def with_two_uplinks() -> MemoryHost:
    host = host_with(ipv6=True, route_localnet=["br-blue"])
    host.make_link(host.host, "eth1", up=True)
    host.stack(HOST).add_address("eth0", ip_interface("192.0.2.11/24"))
    host.stack(HOST).add_address("eth1", ip_interface("198.51.100.11/24"))
    host.host.routes += [default_route("192.0.2.1", "eth0"), default_route("198.51.100.1", "eth1", 100)]
    host.host.rules_of_others.append(RULED)
    return host


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({}, True),
        ({"host_ip": "198.51.100.11"}, True),
        ({"in_interfaces": ["eth1"]}, True),
        ({"in_interfaces": ["eth0"]}, False),
        ({"host_ip": "192.0.2.11"}, False),
        ({"container_ip": "fd00:20::2"}, False),
    ],
)
def test_a_second_uplink_whose_answers_a_rule_routes(options: dict[str, Any], warned: bool) -> None:
    """The rule is for the host's address, and an answer has the endpoint's while it is routed."""
    host = with_two_uplinks()
    asked = {"network": "blue", "bridge": "br-blue", **options}
    expected = (
        "Clients that come in by eth1 for 198.51.100.11 get no answer from these ports, unless they are in a subnet of"
        " that interface: 8080/tcp (10.20.0.2), 81/tcp (10.20.0.2). The rule 'from 198.51.100.11 lookup 100' sends what"
        " the host itself answers back by eth1; but answers of endpoints get the host's address after they are routed,"
        " and leave by eth0. Publish the ports on another address, or have such answers marked ('Behind a second"
        " uplink' in docs/rules.md shows how)"
    )

    for alone in (True, False):
        found = warnings(host, port(**asked), port(**asked, host_port="81", container_port="81"), alone=alone)
        assert found == (expected + ".",) * warned
    assert gather(world(host)).foreign == (expected,) * warned


@pytest.mark.parametrize("remedy", ["a mark", "a rule for the endpoints", "a rule of the main table", "a way for IPv6"])
def test_a_second_uplink_that_somebody_has_seen_to_is_no_reason(remedy: str) -> None:
    host = with_two_uplinks()
    if remedy == "a mark":
        host.host.marked_tables.add((4, 100))
    elif remedy == "a rule for the endpoints":
        host.host.rules_of_others.append((ip_network("10.20.0.0/24"), 100))
    elif remedy == "a rule of the main table":
        host.host.routes[-1] = default_route("198.51.100.1", "eth1", 200)
    else:
        host.host.routes[-1] = default_route("2001:db8::1", "eth1", 100)

    assert warnings(host, port()) == ()


def test_an_address_that_nobody_has_is_no_reason() -> None:
    """A rule for what comes from a VPN, say: the host answers with none of these addresses."""
    host = with_two_uplinks()
    host.host.rules_of_others[:] = [(ip_network("10.8.0.0/24"), 100)]

    assert warnings(host, port()) == ()


def test_a_rule_that_leads_to_the_usual_uplink_is_no_reason() -> None:
    host = host_with(route_localnet=["br-blue"])
    host.stack(HOST).add_address("eth0", ip_interface("192.0.2.11/24"))
    host.host.routes += [default_route("192.0.2.1", "eth0", table) for table in (0, 100)]
    # as metrics have it
    host.host.routes.append(replace(default_route("192.0.2.1", "eth1", 100), route=Route(RULED[0], None, 9, 100)))
    host.host.rules_of_others.append((ip_network("192.0.2.11/32"), 100))

    assert warnings(host, port()) == ()
