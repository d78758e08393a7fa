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

from ansible_collections.dockerless.network.plugins.module_utils.model import (
    VERSIONS,
    BridgePolicy,
    FirewallState,
    Flow,
    Listener,
    Masquerade,
    OutInterface,
    Place,
    PortRange,
    PublishedPort,
    bracketed,
    lies_in,
    overlap,
    port_ranges,
    without,
)

PORTS = st.integers(1, 65535)
RANGES = st.tuples(PORTS, PORTS).map(lambda pair: PortRange(min(pair), max(pair)))
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80)
EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0"))


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


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("10.20.0.0/24", "10.20.0.128/25", True),
        ("10.20.0.0/24", "10.20.1.0/24", False),
        ("0.0.0.0/0", "::/0", False),
        ("fd00::/8", "fd00:20::/64", True),
    ],
)
def test_networks_overlap_within_an_ip_version(one: str, other: str, expected: bool) -> None:
    assert overlap(ip_network(one), ip_network(other)) is expected
    assert overlap(ip_network(other), ip_network(one)) is expected


def test_the_most_specific_masquerade_comes_first() -> None:
    ordered = [
        Masquerade(ip_network("10.20.0.0/25"), OutInterface()),
        Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0")),
        Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth1")),
        Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0", inverted=True)),
        Masquerade(ip_network("10.20.0.0/24"), OutInterface()),
        Masquerade(ip_network("10.21.0.0/24"), OutInterface("eth0")),
        Masquerade(ip_network("0.0.0.0/0"), OutInterface("eth0")),
    ]

    assert sorted(reversed(ordered), key=lambda entry: entry.order) == ordered


@pytest.mark.parametrize(
    ("changes", "bound", "limited"),
    [
        ({}, False, False),
        ({"host_ip": ip_address("192.0.2.1")}, True, False),
        ({"host_ip": ip_address("192.0.2.1"), "in_interfaces": ("eth0",)}, False, True),
        ({"allowed_sources": (ip_network("192.0.2.0/24"),)}, False, True),
        ({"allowed_sources": (ip_network("192.0.2.0/24"), ip_network("0.0.0.0/0"))}, False, False),
    ],
)
def test_who_may_use_a_port(changes: dict[str, Any], bound: bool, limited: bool) -> None:
    port = replace(WEB, **changes)

    assert (port.bound, port.limited) == (bound, limited)


BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"),))
SIX = BridgePolicy("br-six", (ip_network("fd00:20::/64"),), internal=True)
BARE = BridgePolicy("br-bare")


@pytest.mark.parametrize(
    ("state", "named", "policies", "versions"),
    [
        (FirewallState(), set(), set(), {4, 6}),
        (FirewallState(drop_foreign=True), set(), set(), {4, 6}),
        (FirewallState(frozenset([BLUE])), {4}, {4}, {4}),
        (FirewallState(frozenset([BLUE, SIX])), {4, 6}, {4, 6}, {4, 6}),
        # a bridge without a subnet may carry both, and so the policy of its neighbour has to hold in both
        (FirewallState(frozenset([BARE])), set(), {4, 6}, {4, 6}),
        (FirewallState(frozenset([BLUE, BARE])), {4}, {4, 6}, {4, 6}),
        (FirewallState(ports=frozenset([WEB])), {4}, set(), {4}),
        (FirewallState(frozenset([SIX]), frozenset([EGRESS])), {4, 6}, {6}, {4, 6}),
    ],
)
def test_ip_versions_of_a_state(state: FirewallState, named: set[int], policies: set[int], versions: set[int]) -> None:
    assert (state.named_versions, state.policy_versions, state.versions) == (named, policies, versions)


@pytest.mark.parametrize(
    ("state", "exits"),
    [
        (FirewallState(), []),
        (FirewallState(frozenset([BLUE, SIX, BARE])), ["br-bare", "br-blue"]),
        (FirewallState(frozenset([SIX]), frozenset([EGRESS])), []),
        (FirewallState(masquerades=frozenset([EGRESS])), [""]),
        (FirewallState(ports=frozenset([WEB])), [""]),
    ],
)
def test_the_bridges_with_a_way_out(state: FirewallState, exits: list[str]) -> None:
    assert state.exits == exits


@pytest.mark.parametrize(
    ("address", "host_ip", "version", "takes"),
    [
        ("::6", None, 4, False),  # IPV6_V6ONLY
        ("::6", None, 6, True),
        ("0.0.0.0", None, 4, True),
        ("0.0.0.0", None, 6, False),
        ("::", None, 4, True),
        ("::", None, 6, True),
        ("127.0.0.1", None, 4, True),
        ("127.0.0.1", "127.0.0.1", 4, True),
        ("127.0.0.1", "192.0.2.1", 4, False),
        ("::1", None, 4, False),
    ],
)
def test_who_takes_the_packets_of_a_published_port(
    address: str, host_ip: str | None, version: int, takes: bool
) -> None:
    inside = ip_address("10.20.0.2" if version == 4 else "fd00::2")
    port = replace(WEB, container_ip=inside, host_ip=None if host_ip is None else ip_address(host_ip))
    at = ip_address(address.replace("::6", "::"))
    versions = VERSIONS if address == "::" else (at.version,)

    assert Listener("tcp", 8080, at, versions).takes(port) is takes
    assert not Listener("udp", 8080, at, versions).takes(port)
    assert not Listener("tcp", 8081, at, versions).takes(port)
    assert Listener("tcp", 8081, at, versions).takes(replace(port, host_ports=PortRange(8080, 8090))) is takes


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("", []), ("\n", []), ("8080", [(8080, 8080)]), ("22,9000-9010\n", [(22, 22), (9000, 9010)])],
)
def test_a_list_of_ports_as_the_kernel_prints_it(text: str, ranges: list[tuple[int, int]]) -> None:
    assert port_ranges(text) == [PortRange(*pair) for pair in ranges]


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("10.20.0.0/24", "10.20.0.0/24", True),
        ("10.20.0.7/32", "10.20.0.0/24", True),
        ("10.20.0.0/23", "10.20.0.0/24", False),
        ("10.20.1.0/24", "10.20.0.0/24", False),
        ("fd00::/64", "fd00::/48", True),
        ("fd00::/64", "0.0.0.0/0", False),
    ],
)
def test_a_network_in_another_one(inner: str, outer: str, expected: bool) -> None:
    assert lies_in(ip_network(inner), ip_network(outer)) is expected


@pytest.mark.parametrize(
    ("networks", "others", "left"),
    [
        ([], [], []),
        (["10.0.0.0/8"], [], ["10.0.0.0/8"]),
        (["10.0.0.0/8"], ["10.0.0.0/8"], []),
        (["10.0.0.0/8"], ["0.0.0.0/0"], []),
        (["10.0.0.0/30"], ["10.0.0.1"], ["10.0.0.0", "10.0.0.2/31"]),
        (["10.0.0.0/30", "10.9.0.0/24"], ["10.0.0.1", "10.0.0.2", "10.9.0.0/24"], ["10.0.0.0", "10.0.0.3"]),
        (["10.0.0.0/8"], ["10.128.0.0/9", "192.0.2.0/24"], ["10.0.0.0/9"]),
        (["fd00::/127"], ["fd00::"], ["fd00::1"]),
    ],
)
def test_what_is_left_of_networks_without_others(networks: list[str], others: list[str], left: list[str]) -> None:
    found = without(map(ip_network, networks), map(ip_network, others))

    assert found == tuple(map(ip_network, left))
