# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.layout import parse, render
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.table import (
    Chain,
    Element,
    Set,
    Table,
    difference,
)
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Flow,
    Masquerade,
    OutInterface,
    PortRange,
    PublishedPort,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.firewall_states import STATES
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.nft_in_memory import Memory
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.tries import tries

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")), network="blue")
RED = BridgePolicy("br-red", (ip_network("10.21.0.0/24"),), network="red")
EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("br-blue", inverted=True), network="blue")
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")
WEB6 = replace(WEB, container_ip=ip_address("fd00:20::2"))


def state(*parts: Any, drop_foreign: bool = False, **others: Any) -> FirewallState:
    def those(kind: type) -> frozenset[Any]:
        return frozenset(part for part in parts if isinstance(part, kind))

    return FirewallState(those(BridgePolicy), those(Masquerade), those(PublishedPort), drop_foreign, **others)


def elements(table: Table, name: str) -> Mapping[str, Element]:
    return table.sets[name].elements if name in table.sets else {}


# ---- reading back


@settings(max_examples=tries(20))
@given(STATES)
def test_reading_what_was_rendered_is_the_identity(wanted: FirewallState) -> None:
    assert parse(render(wanted)) == wanted


@settings(max_examples=tries(20))
@given(STATES)
def test_what_is_rendered_can_be_loaded(wanted: FirewallState) -> None:
    memory = Memory()
    memory.load(difference(Table(), render(wanted)) or "add table inet dockerless\n")

    assert memory.table() == render(wanted)


@settings(max_examples=tries(20))
@given(STATES)
def test_sections_written_one_after_the_other_add_up_to_the_whole(wanted: FirewallState) -> None:
    sections = [
        FirewallState(policies=wanted.policies),
        FirewallState(masquerades=wanted.masquerades),
        FirewallState(ports=wanted.ports),
        FirewallState(drop_foreign=wanted.drop_foreign),
    ]
    chains: dict[str, Chain] = {}
    sets: dict[str, Set] = {}
    for section in sections:
        table = render(section)
        # or a step in check mode, which does not see what an earlier one would have made, tells too much
        assert not set(table.chains) & set(chains)
        assert not set(table.sets) & set(sets)
        chains.update(table.chains)
        sets.update(table.sets)

    assert Table(chains, sets) == render(wanted)


@settings(max_examples=tries(20))
@given(STATES)
def test_the_order_in_which_things_were_asked_for_does_not_matter(wanted: FirewallState) -> None:
    def backwards(items: Any) -> Any:
        return frozenset(sorted(items, key=str, reverse=True))

    again = FirewallState(
        backwards(wanted.policies), backwards(wanted.masquerades), backwards(wanted.ports), wanted.drop_foreign
    )

    assert difference(render(wanted), render(again)) == ""


def test_nothing_is_no_table() -> None:
    assert render(FirewallState()) == Table()
    assert parse(Table()) == FirewallState()


def test_the_number_of_rules_does_not_grow_with_networks_and_ports() -> None:
    def rules(size: int) -> int:
        parts: list[Any] = []
        for number in range(size):
            subnet = ip_network("10.%d.0.0/24" % number)
            bridge = "br%d" % number
            parts.append(replace(BLUE, bridge=bridge, subnets=(subnet,), allow=()))
            parts.append(
                replace(WEB, container_ip=subnet[2], host_ports=PortRange(80 + number, 80 + number), bridge=bridge)
            )
        return sum(len(chain.rules) for chain in render(state(*parts)).chains.values())

    assert rules(20) == rules(1)


# ---- what cannot be told from the outside


def test_a_bridge_may_trust_itself() -> None:
    # a port of the bridge is trusted anyway; the subnets must not get lost by it
    policy = replace(BLUE, trusted_interfaces=("br-blue", "wg0"))

    [found] = parse(render(state(policy))).policies

    assert found.subnets == policy.subnets


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # everything of one endpoint, and one port of it once more
        (
            Flow(ip_network("0.0.0.0/0"), ip_network("10.20.0.9/32")),
            Flow(ip_network("192.0.2.0/24"), ip_network("10.20.0.9/32"), "tcp", PortRange(22, 22)),
        ),
        # ranges that share some ports
        (
            Flow(ip_network("192.0.2.0/24"), ip_network("10.20.0.0/24"), "tcp", PortRange(22, 80)),
            Flow(ip_network("192.0.2.0/24"), ip_network("10.20.0.0/24"), "tcp", PortRange(60, 90)),
        ),
    ],
)
def test_flows_may_overlap(one: Flow, other: Flow) -> None:
    # the kernel has no two elements of a set that overlap: File exists
    wanted = state(replace(BLUE, allow=tuple(sorted((one, other), key=str))))
    memory = Memory()

    memory.load(difference(Table(), render(wanted)))

    assert parse(memory.table()) == wanted


# ---- the rules


def test_a_network() -> None:
    table = render(state(BLUE))

    assert elements(table, "bridges") == {'"br-blue"': Element(comment="network=blue")}
    assert set(elements(table, "watched4")) == {"10.20.0.0/24", "127.0.0.0/8"}
    assert set(elements(table, "watched6")) == {"fd00:20::/64"}
    assert set(elements(table, "inside4")) == {'"br-blue" . 10.20.0.0/24'}
    assert set(elements(table, "icc")) == {'"br-blue" . "br-blue"'}
    assert table.chains["into"].rules[-1] == 'counter drop comment "not published, not allowed"'


@pytest.mark.parametrize(
    ("changes", "name", "there"),
    [
        ({"icc": False}, "icc", False),
        ({"internal": True}, "internal", True),
        ({"direct_access": True}, "direct_access", True),
        ({"direct_access": True}, "watched4", False),
        ({"host_access": False}, "host_closed", True),
        ({"trusted_interfaces": ("wg0",)}, "trusted", True),
        ({}, "internal", False),
        ({}, "direct_access", False),
        ({}, "host_closed", False),
        ({}, "trusted", False),
    ],
)
def test_each_option_of_a_policy_is_one_element_of_a_set(changes: dict[str, Any], name: str, there: bool) -> None:
    table = render(state(replace(BLUE, subnets=(ip_network("10.20.0.0/24"),), **changes)))

    assert len(set(elements(table, name)) - {"127.0.0.0/8"}) == there


def test_masquerades_are_asked_most_specific_first() -> None:
    table = render(
        state(
            Masquerade(ip_network("10.0.0.0/8")),
            Masquerade(ip_network("10.20.0.0/24"), to_source=ip_address("192.0.2.7"), random_fully=True),
            Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0"), exclude=(ip_network("10.0.0.0/8"),)),
            EGRESS,
        )
    )

    assert table.chains["egress4"].rules == (
        'ip saddr 10.20.0.0/24 oifname "eth0" ip daddr != 10.0.0.0/8 masquerade',
        'ip saddr 10.20.0.0/24 oifname != "br-blue" masquerade comment "network=blue"',
        "ip saddr 10.20.0.0/24 snat ip to 192.0.2.7 fully-random",
        "ip saddr 10.0.0.0/8 masquerade",
    )
    assert set(elements(table, "masqueraded4")) == {"10.0.0.0/8"}


@pytest.mark.parametrize(
    ("port", "name", "content"),
    [
        (WEB, "publish4", {"tcp . 8080": "10.20.0.2 . 80"}),
        (WEB6, "publish6", {"tcp . 8080": "fd00:20::2 . 80"}),
        (replace(WEB, host_ip=ip_address("192.0.2.1")), "publish_at4", {"192.0.2.1 . tcp . 8080": "10.20.0.2 . 80"}),
        (
            replace(WEB, host_ports=PortRange(80, 89), container_port=80),
            "publish_range4",
            {"tcp . 80-89": "10.20.0.2"},
        ),
        (
            replace(WEB, host_ports=PortRange(80, 81), container_port=90),
            "publish4",
            {"tcp . 80": "10.20.0.2 . 90", "tcp . 81": "10.20.0.2 . 91"},
        ),
        (
            replace(WEB6, host_ip=ip_address("2001:db8::1"), host_ports=PortRange(80, 81), container_port=80),
            "publish_range_at6",
            {"2001:db8::1 . tcp . 80-81": "fd00:20::2"},
        ),
    ],
)
def test_a_published_port_is_an_element_of_a_map(port: PublishedPort, name: str, content: dict[str, str]) -> None:
    table = render(state(port))

    assert {key: element.data for key, element in elements(table, name).items()} == content
    assert parse(table) == state(port)


@pytest.mark.parametrize(
    ("part", "chain"), [(BLUE, "guarded"), (WEB, "publish_in")], ids=["a network", "a port without a policy"]
)
def test_loopback_is_closed_to_the_outside(part: Any, chain: str) -> None:
    rules = render(state(part)).chains[chain].rules
    assert any("ip daddr 127.0.0.0/8" in rule and "drop" in rule for rule in rules)


def test_only_a_port_on_one_address_is_bound_to_its_interface() -> None:
    assert not elements(render(state(WEB)), "publish_bound4")
    assert not elements(render(state(replace(WEB, host_ip=ip_address("127.0.0.1")))), "publish_bound4")
    bound = replace(WEB, host_ip=ip_address("192.0.2.1"))
    assert set(elements(render(state(bound)), "publish_bound4")) == {"192.0.2.1 . tcp . 8080"}
    assert not elements(render(state(replace(bound, in_interfaces=("eth0",)))), "publish_bound4")


def test_traffic_of_strangers_is_dropped_on_request_only() -> None:
    assert "foreign" not in render(state(BLUE, EGRESS, WEB)).chains
    assert set(render(state(drop_foreign=True)).chains) == {"foreign"}


@pytest.mark.parametrize("versions", [{4}, {6}, {4, 6}])
@pytest.mark.parametrize("drop", [False, True])
def test_what_is_dropped_for_others_is_read_back(versions: set[int], drop: bool) -> None:
    wanted = state(drop_foreign=drop, drop_transit=frozenset(versions))

    assert parse(render(replace(wanted, outsiders=frozenset(["eth0"])))) == wanted


def test_a_rule_for_others_that_somebody_altered_is_not_read_as_more_open() -> None:
    table = render(state(drop_transit=frozenset([4])))
    altered = Table({"foreign": Chain(table.chains["foreign"].hook, ('iifname "x" drop',))})

    assert parse(altered) == state(drop_foreign=True)


# ---- what somebody changed by hand


def without(table: Table, name: str, *keys: str) -> Table:
    """The table without some elements of a set; all of them when none is named."""
    kept = {key: element for key, element in table.sets[name].elements.items() if keys and key not in keys}
    return Table(table.chains, {**table.sets, name: replace(table.sets[name], elements=kept)})


@settings(max_examples=tries(20))
@given(STATES, st.data())
def test_a_damaged_table_never_stops_us(wanted: FirewallState, data: Any) -> None:
    table = render(wanted)
    chains = {
        name: replace(chain, rules=tuple(rule for rule in chain.rules if data.draw(st.integers(0, 3))))
        for name, chain in table.chains.items()
        if data.draw(st.integers(0, 5))
    }
    sets = {
        name: replace(known, elements={k: e for k, e in known.elements.items() if data.draw(st.integers(0, 3))})
        for name, known in table.sets.items()
        if data.draw(st.integers(0, 5))
    }

    found = parse(Table(chains, sets))

    assert {policy.bridge for policy in found.policies} <= {policy.bridge for policy in wanted.policies}
    assert found.masquerades <= wanted.masquerades
    assert parse(render(found)) == found


@settings(max_examples=tries(20))
@given(STATES, st.data())
def test_a_table_with_things_of_others_in_it_never_stops_us(wanted: FirewallState, data: Any) -> None:
    table = render(wanted)
    comments = st.sampled_from(
        ["", "mine", "=", "network", "range=", "range=1", "range=80-81:x", "range=x:1", "bridge=a b"]
    )
    sets = {}
    for name, known in table.sets.items():
        altered = {
            key: replace(element, comment=data.draw(comments)) if not data.draw(st.integers(0, 3)) else element
            for key, element in known.elements.items()
        }
        sets[name] = replace(known, elements=altered)
    strange = (
        "accept",
        "ip saddr 10.0.0.1-10.0.0.9 masquerade",
        "ip saddr @mine masquerade",
        "ip saddr 10.0.0.1 snat ip to 192.0.2.1-192.0.2.9",
        "ip daddr != { 10.0.0.1-10.0.0.9, 10.1.0.0/16 } masquerade",
        'masquerade comment "network"',
    )
    chains = {
        name: replace(chain, rules=(*chain.rules, data.draw(st.sampled_from(strange))))
        for name, chain in table.chains.items()
    }

    found = parse(Table(chains, sets))

    assert len(found.policies) == len(wanted.policies)


@pytest.mark.parametrize("name", ["publish_sources4", "publish_by_source4"])
def test_a_port_that_lost_its_sources_does_not_come_back_open(name: str) -> None:
    port = replace(WEB, allowed_sources=(ip_network("192.0.2.0/25"), ip_network("198.51.100.1/32")))

    found = parse(without(render(state(port)), name))

    assert all(port.allowed_sources for port in found.ports)


@pytest.mark.parametrize("name", ["publish_links4", "publish_by_link4"])
def test_a_port_that_lost_its_interfaces_does_not_come_back_open(name: str) -> None:
    port = replace(WEB, in_interfaces=("eth0", "wg0"))

    found = parse(without(render(state(port)), name))

    assert all(port.in_interfaces for port in found.ports)


def test_an_internal_network_stays_one_when_its_way_among_itself_is_gone() -> None:
    table = render(state(replace(BLUE, internal=True)))

    [found] = parse(without(table, "same_bridge")).policies

    assert found.internal


def test_what_opens_the_host_to_a_network_that_is_not_closed_to_it_opens_nothing() -> None:
    flow = Flow(ip_network("0.0.0.0/0"), ip_network("10.20.0.1/32"), "udp", PortRange(53, 53), host=True)
    table = render(state(replace(BLUE, host_access=False, allow=(flow,))))

    found = parse(without(table, "host_closed"))

    assert [policy.allow for policy in found.policies] == [()]
    assert parse(render(found)) == found


def test_a_rule_that_was_altered_is_no_masquerade_of_ours() -> None:
    table = render(state(EGRESS))
    [rule] = table.chains["egress4"].rules
    for altered in (rule.replace("10.20.0.0/24", "10.20.0.1"), rule + " fully-random", rule.replace("!= ", "!= !=")):
        chains = {**table.chains, "egress4": Chain("", (altered,))}
        assert EGRESS not in parse(Table(chains, table.sets)).masquerades


@pytest.mark.parametrize("dropped", [0, 1])
def test_one_element_of_a_range_that_is_gone_comes_back(dropped: int) -> None:
    port = replace(WEB, host_ports=PortRange(80, 81), container_port=90)
    table = render(state(port))

    assert parse(without(table, "publish4", "tcp . %d" % (80 + dropped))) == state(port)


def test_an_element_that_leads_elsewhere_than_its_range_stands_for_itself() -> None:
    port = replace(WEB, host_ports=PortRange(80, 81), container_port=90)
    table = render(state(port))
    altered = dict(table.sets["publish4"].elements)
    altered["tcp . 81"] = replace(altered["tcp . 81"], data="10.20.0.2 . 22")
    sets = {**table.sets, "publish4": replace(table.sets["publish4"], elements=altered)}

    found = parse(Table(table.chains, sets)).ports

    assert found == {port, replace(port, host_ports=PortRange(81, 81), container_port=22)}
