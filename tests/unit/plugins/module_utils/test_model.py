# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.marks import alias, network_of
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    Flow,
    Masquerade,
    OutInterface,
    Place,
    PortRange,
    PublishedPort,
    bracketed,
)

PORTS = st.integers(1, 65535)
RANGES = st.tuples(PORTS, PORTS).map(lambda pair: PortRange(min(pair), max(pair)))
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80)
EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0"))


@pytest.mark.parametrize("network", ["", "blue", "a.b-c_d:e"])
def test_an_alias_tells_the_network(network: str) -> None:
    assert network_of(alias(network)) == network


@pytest.mark.parametrize(
    "text", ["", "mine", "dockerless.network", "dockerless.networkx:blue", "x dockerless.network:blue"]
)
def test_an_alias_of_others_tells_no_network(text: str) -> None:
    assert network_of(text) == ""


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place(), "the host"),
        (Place(netns="web"), "namespace web"),
        (Place(pid=7), "the namespace of process 7"),
    ],
)
def test_a_place_is_named_as_a_person_would(place: Place, text: str) -> None:
    assert str(place) == text


@pytest.mark.parametrize(
    ("out", "text"),
    [(OutInterface(), ""), (OutInterface("eth0"), "eth0"), (OutInterface("br0", True), "!br0")],
)
def test_an_out_interface_is_spelled_as_in_the_options(out: OutInterface, text: str) -> None:
    assert str(out) == text


@pytest.mark.parametrize(("ports", "text", "number"), [(PortRange(80, 80), "80", 1), (PortRange(80, 89), "80-89", 10)])
def test_a_range_of_ports(ports: PortRange, text: str, number: int) -> None:
    assert (str(ports), len(ports)) == (text, number)


@given(RANGES, RANGES)
def test_ranges_overlap_when_they_share_a_port(one: PortRange, other: PortRange) -> None:
    shared = min(one.last, other.last) - max(one.first, other.first) + 1

    assert one.overlaps(other) is (shared > 0)
    assert other.overlaps(one) is one.overlaps(other)


@pytest.mark.parametrize(
    ("port", "text"),
    [
        (WEB, "8080:10.20.0.2:80/tcp"),
        (replace(WEB, host_ip=ip_address("192.0.2.1")), "192.0.2.1:8080:10.20.0.2:80/tcp"),
        (replace(WEB, host_ports=PortRange(8000, 8003)), "8000-8003:10.20.0.2:80-83/tcp"),
        (
            replace(WEB, container_ip=ip_address("fd00::2"), host_ip=ip_address("fd00::1"), protocol="udp"),
            "[fd00::1]:8080:[fd00::2]:80/udp",
        ),
    ],
)
def test_a_published_port_is_spelled_as_docker_does(port: PublishedPort, text: str) -> None:
    assert str(port) == text


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"container_ip": ip_address("10.20.0.3")}, True),
        ({"container_port": 81}, True),
        ({"bridge": "br0"}, True),
        ({"allowed_sources": (ip_network("192.0.2.0/24"),)}, True),
        ({"in_interfaces": ("eth0",)}, True),
        ({"network": "blue"}, True),
        ({"container_ip": ip_address("fd00::2")}, False),
        ({"host_ip": ip_address("192.0.2.1")}, False),
        ({"protocol": "udp"}, False),
        ({"host_ports": PortRange(8080, 8081)}, False),
    ],
)
def test_what_makes_two_published_ports_the_same_one(change: dict[str, Any], same: bool) -> None:
    changed = replace(WEB, **change)

    assert (changed.key == WEB.key) is same
    assert changed != WEB


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"exclude": (ip_network("10.0.0.0/8"),)}, True),
        ({"to_source": ip_address("192.0.2.1")}, True),
        ({"random_fully": True}, True),
        ({"network": "blue"}, True),
        ({"source": ip_network("10.21.0.0/24")}, False),
        ({"out": OutInterface("eth0", True)}, False),
        ({"out": OutInterface()}, False),
    ],
)
def test_what_makes_two_masquerades_the_same_one(change: dict[str, Any], same: bool) -> None:
    changed = replace(EGRESS, **change)

    assert (changed.key == EGRESS.key) is same
    assert changed != EGRESS


def test_objects_that_ask_for_the_same_are_equal_and_stay_as_they_are() -> None:
    subnet = ip_network("10.20.0.0/24")
    one, other = (BridgePolicy("br0", (subnet,), allow=(Flow(subnet, subnet),)) for unused in range(2))

    assert {one, other} == {one}
    with pytest.raises(FrozenInstanceError):
        one.icc = False  # type: ignore[misc]


@pytest.mark.parametrize(("address", "text"), [("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")])
def test_an_address_in_front_of_a_port(address: str, text: str) -> None:
    assert bracketed(ip_address(address)) == text
