# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import RouteEntry
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.source_routing import table_of
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    Conflict,
    InvalidRequest,
    Place,
    Route,
    SourceRule,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    BY_HAND,
    MemoryHost,
    ask,
    converge,
    once,
)

KIND = VethKind()
WEB = Place(netns="web")
SUBNETS = {"blue": ("10.20.0", "fd00:20:"), "red": ("10.30.0", "fd00:30:")}


def leg(network: str, interface: str, **peer: Any) -> Request:
    """One end of web."""
    four, six = SUBNETS[network]
    options: Mapping[str, Any] = {
        "netns": "web",
        "name": interface,
        "addresses": ["%s.2/24" % four, "%s:2/64" % six],
        "source_gateways": ["%s.1" % four, "%s:1" % six],
        **peer,
    }
    return ask(KIND, {"name": "v-%s" % network, "bridge": "br-%s" % network, "network": network, "peer": options})


BLUE = leg("blue", "eth0", gateways=["10.20.0.1", "fd00:20::1"])
RED = leg("red", "eth1")


def host_with(*requests: Request) -> MemoryHost:
    host = MemoryHost()
    host.uplink("eth0", 1500)
    for network, (four, six) in SUBNETS.items():
        addresses = ["%s.1/24" % four, "%s:1/64" % six]
        once(host, ask(BridgeKind(), {"name": "br-%s" % network, "addresses": addresses}))
    once(host, ask(NetnsKind(), {"name": "web"}))
    if requests:
        once(host, *requests)
    return host


def rules(host: MemoryHost) -> list[tuple[str, int]]:
    return [(str(rule.source), rule.table) for rule in host.space(WEB).rules]


def tables(host: MemoryHost) -> list[str]:
    entries = [entry for entry in host.space(WEB).routes if entry.route.table]
    return ["%s %s %d" % (entry.route.to, entry.route.via, entry.route.table - table_of("eth0")) for entry in entries]


def test_each_end_has_a_table_of_its_own_and_a_rule_for_each_address() -> None:
    host = host_with()

    outcome = converge(host, BLUE, RED)

    one, two = table_of("eth0"), table_of("eth1")
    assert rules(host) == [("10.20.0.2", one), ("fd00:20::2", one), ("10.30.0.2", two), ("fd00:30::2", two)]
    assert tables(host)[4:] == [
        "10.30.0.0/24 None 1",
        "fd00:30::/64 None 1",
        "0.0.0.0/0 10.30.0.1 1",
        "::/0 fd00:30::1 1",
    ]
    assert "ip -n web rule add from 10.30.0.2 lookup %d priority 25708 protocol 108" % two in outcome.commands
    assert '    source_gateways: ["10.30.0.1", fd00:30::1]\n' in outcome.after


def test_the_table_has_the_other_routes_of_the_end_as_well() -> None:
    """Such as those by the gateway to endpoints that do not hear one another."""
    host = host_with(leg("blue", "eth0", routes=[{"to": "10.20.0.0/25", "via": "10.20.0.1"}, {"to": "10.20.0.1/32"}]))

    assert {"10.20.0.0/25 10.20.0.1 0", "10.20.0.1/32 None 0"} <= set(tables(host))


@pytest.mark.parametrize("name", ["eth2", "lan", "backend"])
def test_no_two_ends_share_a_table(name: str) -> None:
    assert table_of(name) != table_of("eth0") and table_of(name) == table_of(name)


def walled(host: MemoryHost) -> None:
    """`ip -n web route replace unreachable SUBNET table NUMBER`."""
    space, subnet = host.space(WEB), ip_network("10.30.0.0/24")
    space.routes = [e for e in space.routes if not (e.route.table == table_of("eth1") and e.route.to == subnet)]
    space.dead_ends.add(subnet)


def stray(to: str, via: str | None = None, link: str = "eth1", **values: Any) -> Callable[[MemoryHost], None]:
    """`ip -n web route add TO via VIA dev LINK table NUMBER`."""
    route = Route(ip_network(to), via and ip_address(via), 0, table_of("eth1"))
    return lambda host: host.space(WEB).routes.append(RouteEntry(route, link, BY_HAND, **values))


STRAYS = {
    "stray-hop": (stray("0.0.0.0/0", "10.30.0.99"), "default via 10.30.0.99 dev eth1"),
    "stray-by-another-end": (stray("0.0.0.0/0", "10.20.0.1", "eth0"), "default via 10.20.0.1 dev eth0"),
    "stray-nowhere": (stray("192.0.2.0/24", None, "", kind="unreachable"), "unreachable 192.0.2.0/24"),
}
DRIFTS: dict[str, Callable[[MemoryHost], Any]] = {
    **{name: drift for name, (drift, unused) in STRAYS.items()},
    "walled": walled,
    "no-rules": lambda host: host.space(WEB).rules.clear(),
    "other-rule": lambda host: host.space(WEB).rules.append(SourceRule(ip_address("10.9.9.9"), table_of("eth1"))),
    "no-routes": lambda host: host.space(WEB).routes.clear(),
    "end-gone": lambda host: host.remove_link(host.space(WEB), "eth1"),
    "end-down": lambda host: host.stack(WEB).set_link("eth1", {"up": False}),
    "other-gateway": lambda host: host.space(WEB).routes.__setitem__(
        slice(None),
        [
            replace(entry, route=replace(entry.route, via=ip_address("10.30.0.9")))
            if str(entry.route.via) == "10.30.0.1"
            else entry
            for entry in host.space(WEB).routes
        ],
    ),
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_what_somebody_changed_by_hand_is_repaired(drift: Callable[[MemoryHost], Any]) -> None:
    host = host_with(BLUE, RED)
    wanted = host.snapshot()
    drift(host)
    assert host.snapshot() != wanted

    outcome = once(host, BLUE, RED)

    assert host.snapshot() == wanted
    assert outcome.changed and outcome.before != outcome.after
    assert not once(host, BLUE, RED).changed


@pytest.mark.parametrize(("drift", "route"), STRAYS.values(), ids=STRAYS)
def test_a_route_of_others_in_the_table_of_an_end_is_refused_where_the_namespace_is_not_ours(
    drift: Callable[[MemoryHost], Any], route: str
) -> None:
    host = host_with(BLUE, RED)
    host.change_link(WEB, "lo", group=0)
    drift(host)

    command = "remove it with 'ip -n web route del %s table %d'" % (route, table_of("eth1"))
    for check_mode in (True, False):
        with pytest.raises(Conflict, match=command):
            once(host, BLUE, RED, check_mode=check_mode)


LATER = {
    "no-more": leg("red", "eth1", source_gateways=[]),
    "other-address": leg("red", "eth1", addresses=["10.30.0.7/24", "fd00:30::2/64"]),
    "other-gateway": leg("red", "eth1", source_gateways=["10.30.0.254"]),
    "ipv4-only": leg("red", "eth1", addresses=["10.30.0.2/24"], source_gateways=["10.30.0.1"]),
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_what_is_said_later_is_what_a_new_end_would_have(later: Request) -> None:
    host = host_with(BLUE, RED)

    converge(host, BLUE, later)

    assert host.snapshot() == host_with(BLUE, later).snapshot()


def test_nothing_is_left_in_a_namespace_that_stays() -> None:
    host = host_with(BLUE)
    before = host.snapshot()
    once(host, RED)

    converge(host, ask(KIND, {"name": "v-red"}, "absent"))

    assert host.snapshot() == before


def test_a_failure_takes_all_of_it_back() -> None:
    host = host_with(BLUE, RED)
    before = host.snapshot()
    steps = once(host, BLUE, LATER["other-address"], check_mode=True).commands
    for number in range(1, len(steps) + 1):
        host.steps, host.fail_at = 0, number
        with pytest.raises(Exception, match=r"(Everything before it|Nothing had been changed)"):
            once(host, BLUE, LATER["other-address"])
        host.fail_at = None
        assert host.snapshot() == before


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        ({"source_gateways": ["10.99.0.1"]}, "the gateway 10.99.0.1 lies in no subnet of peer.addresses"),
        ({"source_gateways": ["10.30.0.1", "10.30.0.3"]}, "peer.source_gateways takes one gateway for each address"),
        ({"addresses": None}, "peer.source_gateways needs peer.addresses as well"),
    ],
)
def test_what_cannot_be_is_refused(peer: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        leg("red", "eth1", **peer)
