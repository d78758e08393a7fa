# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How rules of others are read. Their meaning and the remedies are tested in test_foreign_rules and test_coexist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import NoProgram
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.reader import UFW_RULES, Foreign
from ansible_collections.dockerless.network.plugins.module_utils.marks import ZONE_FILE
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Masquerade,
    PortRange,
    PublishedPort,
)

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"),))
SIX = BridgePolicy("br-six", (ip_network("fd00:20::/64"),), internal=True)
EGRESS6 = Masquerade(ip_network("fd00:20::/64"))
WEB = PublishedPort("tcp", PortRange(80, 80), ip_address("10.20.0.2"), 80)


def chain(family: str, table: str, name: str, **base: Any) -> dict[str, Any]:
    return {"chain": {"family": family, "table": table, "name": name, **base}}


def masquerade(family: str, table: str, name: str) -> dict[str, Any]:
    return {"rule": {"family": family, "table": table, "chain": name, "expr": [{"masquerade": None}]}}


NAT = {"type": "nat", "hook": "postrouting", "prio": 100, "policy": "accept"}
FORWARD = {"type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}


class Tools(MemoryNetfilter):
    """A host whose nft prints this, and which has no other tool."""

    def __init__(self, *objects: Any) -> None:
        super().__init__(self)
        self.objects = objects
        self.calls: list[str] = []

    def __call__(self, argv: Sequence[str], unused: str | None) -> tuple[int, str, str]:
        self.calls.append(" ".join(argv))
        if argv[0] != "nft":
            raise NoProgram("There is no program %s on this host." % argv[0])
        return 0, json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *self.objects]}), ""


@pytest.mark.parametrize(
    ("objects", "alone"),
    [
        ([], True),
        ([chain("inet", "dockerless", "forward", **FORWARD)], True),
        ([chain("ip", "mine", "x")], True),
        ([chain("inet", "mine", "in", type="filter", hook="input", prio=0, policy="drop")], True),
        ([chain("arp", "mine", "in", type="filter", hook="input", prio=0, policy="drop")], True),
        ([chain("bridge", "mine", "f", **FORWARD)], False),
        ([chain("bridge", "mine", "f")], True),
        ([chain("netdev", "mine", "i", type="filter", hook="ingress", dev="eth0", prio=0, policy="drop")], False),
        ([chain("inet", "mine", "i", type="filter", hook="ingress", dev="eth0", prio=0, policy="drop")], False),
        ([chain("ip", "filter", "FORWARD", **FORWARD)], False),
        ([chain("ip6", "nat", "POSTROUTING", **NAT)], False),
        ([chain("inet", "mine", "f", **FORWARD)], False),
    ],
)
def test_who_forwards_or_translates_is_not_alone(objects: list[Any], alone: bool) -> None:
    assert Foreign(Tools(*objects)).is_alone() is alone


MARK = b"dockerless.network".hex()


def beside(**more: Any) -> Foreign:
    """A host with legacy tables, or with files of another firewall."""
    return Foreign(MemoryNetfilter(Tools(), **more))


def test_nor_is_a_host_with_legacy_tables_or_another_firewalls_files() -> None:
    theirs = "### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_br-blue comment=%s\n"

    assert not beside(legacy={4: ["nat"]}).is_alone()
    assert not beside(legacy={6: ["nat"]}).is_alone()
    assert not beside(files={ZONE_FILE: ""}).is_alone()
    assert not beside(files={UFW_RULES: theirs % MARK}).is_alone()
    assert beside(files={UFW_RULES: theirs % "abcd"}).is_alone()  # ufw is off, and has nothing of ours


def test_a_host_without_nft_is_looked_at_without_an_error() -> None:
    def nothing(argv: Sequence[str], unused: str | None) -> tuple[int, str, str]:
        raise NoProgram("There is no program %s on this host." % argv[0])

    looked = Foreign(MemoryNetfilter(nothing))

    assert looked.is_alone()
    assert looked.tables() == []
    assert looked.nat_tables(4) == []
    assert not looked.nft_sees_ours_in_iptables()


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("Operation not permitted", ["nft -j list chains does not work here: Operation not permitted;"]),
        ("", ["nft -j list chains does not work here: it says nothing;"]),  # it died
        ("cache initialization failed: Protocol not supported", []),  # a kernel without nf_tables
    ],
)
def test_nft_that_fails_shows_nothing_and_is_told_of(says: str, told: list[str]) -> None:
    looked = Foreign(MemoryNetfilter(lambda argv, text: (1, "garbage", says)))
    assert looked.tables() == []
    assert [sentence.partition(" rules of others")[0] for sentence in looked.troubles] == told


def test_nft_that_prints_something_else_is_told_of() -> None:
    looked = Foreign(MemoryNetfilter(lambda argv, text: (0, "hello", "")))
    assert looked.tables() == []
    assert list(looked.troubles) == [
        "nft -j list chains does not work here: its output is not JSON; rules of others there cannot be read"
    ]


@pytest.mark.parametrize(
    ("family", "table", "expected"),
    [
        ("ip", "nat", {4: ["table ip nat"], 6: []}),
        ("ip6", "nat", {4: [], 6: ["table ip6 nat"]}),
        ("inet", "mine", {4: ["table inet mine"], 6: ["table inet mine"]}),
        ("inet", "dockerless", {4: [], 6: []}),
    ],
)
def test_who_translates_addresses_of_which_family(family: str, table: str, expected: dict[int, list[str]]) -> None:
    tools = Tools(chain(family, table, "post", **NAT), masquerade(family, table, "post"))

    assert {version: [str(found) for found in Foreign(tools).nat_tables(version)] for version in (4, 6)} == expected


def test_a_nat_chain_without_rules_translates_nothing() -> None:
    assert Foreign(Tools(chain("ip", "nat", "POSTROUTING", **NAT))).nat_tables(4) == []


def test_chains_of_ours_in_iptables_are_seen_by_nft() -> None:
    assert Foreign(Tools(chain("ip", "nat", "DLN-EGRESS"))).nft_sees_ours_in_iptables()
    assert not Foreign(Tools(chain("ip", "nat", "DOCKER"))).nft_sees_ours_in_iptables()


def test_what_holds_the_place_of_our_rules_is_not_of_others() -> None:
    held = chain("inet", "dockerless_hold", "networks", type="filter", hook="forward", prio=0, policy="accept")
    assert Foreign(Tools(held)).is_alone() and Foreign(Tools(held)).holds_our_place()
    assert not beside().holds_our_place()


def test_it_looks_once() -> None:
    tools = Tools(chain("ip", "filter", "FORWARD", **FORWARD))
    looked = Foreign(tools)
    for unused in range(3):
        looked.is_alone()
        looked.tables()
        looked.nft_sees_ours_in_iptables()

    assert tools.calls == ["nft -j list chains", "nft -j -t list ruleset", "iptables-nft-save -t filter"]


@pytest.mark.parametrize(
    ("state", "bridges", "families", "translated"),
    [
        (FirewallState(), [], {4, 6}, []),
        (FirewallState(frozenset([BLUE, SIX])), ["br-blue"], {4, 6}, []),
        (FirewallState(frozenset([BLUE])), ["br-blue"], {4}, []),
        (FirewallState(frozenset([SIX]), frozenset([EGRESS6])), [], {6}, [6]),
        (FirewallState(masquerades=frozenset([EGRESS6])), [""], {6}, [6]),
        (FirewallState(ports=frozenset([WEB])), [""], {4}, [4]),
    ],
)
def test_what_of_ours_others_could_be_in_the_way_of(
    state: FirewallState, bridges: list[str], families: set[int], translated: list[int]
) -> None:
    assert state.exits == bridges
    assert state.versions == families
    assert [version for version in (4, 6) if state.translates(version)] == translated
