# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import FirewallError
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.backend import NftablesBackend
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.layout import render
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.table import (
    Chain,
    Element,
    Set,
    Table,
    difference,
    hook,
    parse,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.firewall_states import STATES
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.netfilter_in_memory import (
    MemoryNetfilter,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.nft_in_memory import Memory
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.tries import tries

PLAIN = Element()
# nft and the versions of Python spell it differently
MAPPED = str(ip_address("::ffff:192.0.2.1"))


def listing(*items: Any, version: str = "1.0.6") -> str:
    """The output of nft, with some objects that do not concern us."""
    head = [{"metainfo": {"version": version, "json_schema_version": 1}}]
    return json.dumps({"nftables": [*head, {"table": {"family": "inet", "name": "dockerless", "handle": 1}}, *items]})


def rule_json(*statements: Any, **more: Any) -> dict[str, Any]:
    place = {"family": "inet", "table": "dockerless", "chain": "c", "handle": 5}
    return {"rule": {**place, **more, "expr": list(statements)}}


CHAIN = {"chain": {"family": "inet", "table": "dockerless", "name": "c", "handle": 4}}


def match(left: Any, right: Any, op: str = "==") -> Any:
    return {"match": {"op": op, "left": left, "right": right}}


def field(protocol: str, name: str) -> Any:
    return {"payload": {"protocol": protocol, "field": name}}


def meta(key: str) -> Any:
    return {"meta": {"key": key}}


STATE, STATUS = {"ct": {"key": "state"}}, {"ct": {"key": "status"}}
COUNTER = {"counter": {"packets": 17, "bytes": 4711}}
PORT = [meta("l4proto"), field("th", "dport")]


# ---- what nft prints


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        # as nft 1.0.6 and 1.1.3 print our own rules
        (
            [match(field("ip", "saddr"), "@masqueraded4"), {"jump": {"target": "egress4"}}],
            "ip saddr @masqueraded4 jump egress4",
        ),
        (
            [
                match(field("ip", "saddr"), {"prefix": {"addr": "10.20.0.0", "len": 24}}),
                match(meta("oifname"), "eth0"),
                match(
                    field("ip", "daddr"),
                    {
                        "set": [
                            {"prefix": {"addr": "10.0.0.0", "len": 8}},
                            {"prefix": {"addr": "192.168.0.0", "len": 16}},
                        ]
                    },
                    "!=",
                ),
                {"snat": {"family": "ip", "addr": "192.0.2.1", "flags": "fully-random"}},
            ],
            'ip saddr 10.20.0.0/24 oifname "eth0" ip daddr != { 10.0.0.0/8, 192.168.0.0/16 } snat ip to'
            " 192.0.2.1 fully-random",
        ),
        (
            [
                match(meta("iifgroup"), 25708, "!="),
                match(meta("oifgroup"), 25708, "!="),
                COUNTER,
                {"drop": None},
            ],
            "iifgroup != 25708 oifgroup != 25708 counter drop",
        ),
        ([match(STATE, "invalid", "in"), COUNTER, {"drop": None}], "ct state invalid counter drop"),
        ([match(STATE, ["established", "related"], "in"), {"accept": None}], "ct state established,related accept"),
        ([match(STATUS, "dnat", "in"), {"masquerade": None}], "ct status dnat masquerade"),
        ([match({"ct": {"key": "direction"}}, "reply"), {"return": None}], "ct direction reply return"),
        (
            [match({"concat": [meta("iifname"), meta("oifname")]}, "@own", "!="), {"drop": None}],
            "iifname . oifname != @own drop",
        ),
        (
            [match(meta("l4proto"), {"set": ["icmp", "ipv6-icmp"]}), {"accept": None}],
            "meta l4proto { icmp, icmpv6 } accept",
        ),
        # the same on a host without /etc/protocols
        ([match(meta("l4proto"), {"set": [1, 58]}), {"accept": None}], "meta l4proto { icmp, icmpv6 } accept"),
        ([match(meta("l4proto"), 6), {"jump": {"target": "strays"}}], "meta l4proto tcp jump strays"),
        (
            [match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), {"jump": {"target": "publish"}}],
            "fib daddr type local jump publish",
        ),
        (
            [match({"fib": {"result": "type", "flags": ["daddr", "iif"]}}, "local", "!="), {"return": None}],
            "fib daddr . iif type != local return",
        ),
        (
            [{"dnat": {"family": "ip", "addr": {"map": {"key": {"concat": PORT}, "data": "@publish4"}}}}],
            "dnat ip to meta l4proto . th dport map @publish4",
        ),
        (
            [
                {
                    "dnat": {
                        "family": "ip6",
                        "addr": {"map": {"key": {"concat": [field("ip6", "daddr"), *PORT]}, "data": "@p"}},
                    }
                }
            ],
            "dnat ip6 to ip6 daddr . meta l4proto . th dport map @p",
        ),
        (
            [match({"socket": {"key": "transparent"}}, {"set": [0, 1]}), {"return": None}],
            "socket transparent { 0, 1 } return",
        ),
        ([match(field("icmp", "type"), "redirect"), {"drop": None}], "icmp type redirect drop"),
        ([match(field("ip", "daddr"), "192.0.2.1", "!=")], "ip daddr != 192.0.2.1"),
        ([match(field("ip6", "daddr"), "::ffff:192.0.2.1")], "ip6 daddr %s" % MAPPED),
        ([{"goto": {"target": "x"}}], "goto x"),
        # as other versions spell the same
        ([match(STATE, "invalid"), {"drop": None}], "ct state invalid drop"),
        ([match(STATE, ["established", "related"]), {"accept": None}], "ct state established,related accept"),
        ([{"masquerade": {"flags": "fully-random"}}], "masquerade fully-random"),
        ([{"masquerade": {"flags": ["fully-random"]}}], "masquerade fully-random"),
        ([{"masquerade": {}}], "masquerade"),
        (
            [{"snat": {"family": "ip", "addr": "192.0.2.1", "flags": ["fully-random"]}}],
            "snat ip to 192.0.2.1 fully-random",
        ),
        ([{"counter": None}, {"drop": None}], "counter drop"),
        # neighbours in an anonymous set come back as a range
        (
            [match(field("ip", "daddr"), {"set": [{"range": ["10.0.0.0", "10.0.2.255"]}, "192.0.2.1"]}, "!=")],
            "ip daddr != { 10.0.0.0/23, 10.0.2.0/24, 192.0.2.1 }",
        ),
    ],
)
def test_rules_are_read_in_the_spelling_that_we_write(statements: list[Any], text: str) -> None:
    assert parse(listing(CHAIN, rule_json(*statements))).chains == {"c": Chain("", (text,))}


def test_a_comment_belongs_to_its_rule() -> None:
    rule = rule_json({"drop": None}, comment="no way out")

    assert parse(listing(CHAIN, rule)).chains["c"].rules == ('drop comment "no way out"',)


@pytest.mark.parametrize(
    "statements",
    [
        [{"limit": {"rate": 5, "per": "second"}}, {"drop": None}],
        [match({"payload": {"base": "nh", "offset": 0, "len": 8}}, 4), {"drop": None}],
        [match({"ct": {"key": "mark", "dir": "original"}}, 4), {"drop": None}],
        [match({"&": [meta("mark"), 4]}, 4), {"drop": None}],
        [{"dnat": {"family": "ip", "addr": "10.20.0.2", "port": 80}}],
        [{"reject": {"type": "tcp reset"}}],
        [{"log": None}],
        [{"vmap": {"key": PORT[0], "data": {"set": [["tcp", {"drop": None}]]}}}],
        [{"xt": None}],
        [{"queue": {"num": 1}}, {"accept": None}],
        [{"mangle": {"key": meta("mark"), "value": 1}}],
    ],
)
def test_a_statement_that_we_never_write_makes_a_rule_that_is_none_of_ours(statements: list[Any]) -> None:
    [rule] = parse(listing(CHAIN, rule_json(*statements))).chains["c"].rules

    assert difference(Table({"c": Chain("", (rule,))}), Table({"c": Chain("", ("drop",))})).splitlines()[1:] == [
        "flush chain inet dockerless c",
        "add rule inet dockerless c drop",
    ]


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({}, ""),
        (
            {"type": "nat", "hook": "postrouting", "prio": 100, "policy": "accept"},
            "type nat hook postrouting priority 100; policy accept;",
        ),
        (
            {"type": "filter", "hook": "prerouting", "prio": -300, "policy": "drop"},
            "type filter hook prerouting priority -300; policy drop;",
        ),
        ({"type": "filter", "hook": "input", "prio": 0}, "type filter hook input priority 0; policy accept;"),
    ],
)
def test_hooks_of_chains(header: dict[str, Any], text: str) -> None:
    chain = {"chain": {**CHAIN["chain"], **header}}

    assert parse(listing(chain)).chains == {"c": Chain(text)}


def test_our_hooks_are_spelled_as_they_are_read() -> None:
    assert hook("nat", "prerouting", "dstnat") == "type nat hook prerouting priority -100; policy accept;"
    assert hook("filter", "prerouting", "raw") == "type filter hook prerouting priority -300; policy accept;"


ALLOW = ["ipv4_addr", "ipv4_addr", "inet_proto", "inet_service"]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        # as nft 1.0.6 prints them
        ({"set": {"type": "ifname", "elem": ["br-red"]}}, Set("ifname", elements={'"br-red"': PLAIN})),
        ({"set": {"type": "ifname"}}, Set("ifname")),
        (
            {"set": {"type": "ifname", "elem": [{"elem": {"val": "br-blue", "comment": "network=blue"}}]}},
            Set("ifname", elements={'"br-blue"': Element(comment="network=blue")}),
        ),
        (
            {
                "set": {
                    "type": "ipv4_addr",
                    "flags": ["interval"],
                    "elem": [{"prefix": {"addr": "10.20.0.0", "len": 24}}],
                }
            },
            Set("ipv4_addr", "", True, {"10.20.0.0/24": PLAIN}),
        ),
        (
            {
                "set": {
                    "type": ALLOW,
                    "flags": ["interval"],
                    "elem": [
                        {
                            "concat": [
                                {"prefix": {"addr": "0.0.0.0", "len": 0}},
                                "10.20.0.10",
                                "tcp",
                                {"range": [80, 90]},
                            ]
                        },
                        {"concat": ["192.0.2.1", "10.20.0.11", {"range": [0, 255]}, {"range": [0, 65535]}]},
                    ],
                }
            },
            Set(
                "ipv4_addr . ipv4_addr . inet_proto . inet_service",
                "",
                True,
                {"0.0.0.0/0 . 10.20.0.10 . tcp . 80-90": PLAIN, "192.0.2.1 . 10.20.0.11 . 0-255 . 0-65535": PLAIN},
            ),
        ),
        (
            {
                "map": {
                    "type": ["inet_proto", "inet_service"],
                    "map": "ipv4_addr . inet_service",
                    "elem": [
                        [
                            {"elem": {"val": {"concat": ["tcp", 8080]}, "comment": "bridge=br-blue network=blue"}},
                            {"concat": ["10.20.0.2", 80]},
                        ]
                    ],
                }
            },
            Set(
                "inet_proto . inet_service",
                "ipv4_addr . inet_service",
                False,
                {"tcp . 8080": Element("10.20.0.2 . 80", "bridge=br-blue network=blue")},
            ),
        ),
        (
            {
                "map": {
                    "type": ["ipv6_addr", "inet_proto", "inet_service"],
                    "map": "ipv6_addr",
                    "flags": ["interval"],
                    "elem": [[{"concat": ["::ffff:192.0.2.1", "udp", {"range": [5000, 5003]}]}, "fd00:20::2"]],
                }
            },
            Set(
                "ipv6_addr . inet_proto . inet_service",
                "ipv6_addr",
                True,
                {"%s . udp . 5000-5003" % MAPPED: Element("fd00:20::2")},
            ),
        ),
        # nft 1.1.3: the type of concatenated data is a list
        (
            {
                "map": {
                    "type": ["inet_proto", "inet_service"],
                    "map": ["ipv4_addr", "inet_service"],
                    "elem": [[{"concat": ["tcp", 80]}, {"concat": ["10.20.0.2", 80]}]],
                }
            },
            Set(
                "inet_proto . inet_service", "ipv4_addr . inet_service", False, {"tcp . 80": Element("10.20.0.2 . 80")}
            ),
        ),
        # one flag without its list
        (
            {"set": {"type": "ipv6_addr", "flags": "interval", "elem": [{"prefix": {"addr": "fd00:20::", "len": 64}}]}},
            Set("ipv6_addr", "", True, {"fd00:20::/64": PLAIN}),
        ),
        # an interface that nft would take for a number stays a name
        (
            {"set": {"type": ["ifname", "ifname"], "elem": [{"concat": ["0", "80"]}]}},
            Set("ifname . ifname", elements={'"0" . "80"': PLAIN}),
        ),
    ],
)
def test_sets_and_maps(item: dict[str, Any], expected: Set) -> None:
    [(kind, body)] = item.items()
    body = {"family": "inet", "table": "dockerless", "name": "s", "handle": 3, **body}

    assert parse(listing({kind: body})).sets == {"s": expected}


def test_a_port_is_the_same_on_a_host_without_a_file_of_protocols() -> None:
    def ports(tcp: Any) -> Table:
        key = {"elem": {"val": {"concat": ["127.0.0.1", tcp, 9000]}, "comment": "bridge=br-blue"}}
        kinds = ["ipv4_addr", "inet_proto", "inet_service"]
        item = {"name": "publish_at4", "type": kinds, "map": "ipv4_addr . inet_service"}
        return parse(listing({"map": {**item, "elem": [[key, {"concat": ["10.20.0.2", 80]}]]}}))

    assert ports(6) == ports("tcp")


def test_chains_may_come_before_sets_or_after_and_what_is_neither_is_passed_over() -> None:
    known = {"set": {"family": "inet", "table": "dockerless", "name": "s", "type": "ifname"}}
    counter = {"counter": {"family": "inet", "table": "dockerless", "name": "n", "packets": 0}}

    assert parse(listing(CHAIN, known, counter, rule_json({"drop": None}), version="1.1.3")) == parse(
        listing(known, CHAIN, rule_json({"drop": None}))
    )


def test_a_table_without_anything_is_none() -> None:
    assert not parse(listing())
    assert difference(parse(listing()), Table()) == ""
    assert Table({"c": Chain()})
    assert Table({}, {"s": Set("ifname")})


# ---- differences


BASE = hook("filter", "forward", "filter")


def table(**things: Any) -> Table:
    chains = {name: thing for name, thing in things.items() if isinstance(thing, Chain)}
    return Table(chains, {name: thing for name, thing in things.items() if isinstance(thing, Set)})


def names(*keys: str, **options: Any) -> Set:
    return Set("ifname", elements={'"%s"' % key: PLAIN for key in keys}, **options)


def ports(**targets: str) -> Set:
    return Set("inet_service", "ipv4_addr", elements={key[1:]: Element(target) for key, target in targets.items()})


@pytest.mark.parametrize(
    ("current", "desired", "commands"),
    [
        (table(), table(), []),
        (table(c=Chain("", ("drop",))), table(), ["delete table inet dockerless"]),
        (
            table(),
            table(c=Chain(BASE, ("jump d",)), d=Chain("", ("iifname @s drop",)), s=names("a", "b")),
            [
                "add set inet dockerless s { type ifname; }",
                "add chain inet dockerless c { type filter hook forward priority 0; policy accept; }",
                "add chain inet dockerless d",
                'add element inet dockerless s { "a", "b" }',
                "flush chain inet dockerless c",
                "add rule inet dockerless c jump d",
                "flush chain inet dockerless d",
                "add rule inet dockerless d iifname @s drop",
            ],
        ),
        # elements
        (
            table(s=names("a", "b")),
            table(s=names("b", "c")),
            ['delete element inet dockerless s { "a" }', 'add element inet dockerless s { "c" }'],
        ),
        (
            table(s=Set("ifname", elements={'"a"': PLAIN})),
            table(s=Set("ifname", elements={'"a"': Element(comment="network=blue")})),
            [
                'delete element inet dockerless s { "a" }',
                'add element inet dockerless s { "a" comment "network=blue" }',
            ],
        ),
        (
            table(m=ports(p80="10.0.0.2", p81="10.0.0.2")),
            table(m=ports(p80="10.0.0.3", p81="10.0.0.2")),
            ["delete element inet dockerless m { 80 }", "add element inet dockerless m { 80 : 10.0.0.3 }"],
        ),
        (
            table(m=Set("inet_service", "ipv4_addr")),
            table(m=Set("inet_service", "ipv4_addr", elements={"80": Element("10.0.0.2", "a=b")})),
            ['add element inet dockerless m { 80 comment "a=b" : 10.0.0.2 }'],
        ),
        # rules
        (
            table(c=Chain(BASE, ("accept",)), d=Chain("", ("drop",))),
            table(c=Chain(BASE, ("accept", "drop")), d=Chain("", ("drop",))),
            ["flush chain inet dockerless c", "add rule inet dockerless c accept", "add rule inet dockerless c drop"],
        ),
        (table(c=Chain("", ("drop",))), table(c=Chain()), ["flush chain inet dockerless c"]),
        (table(c=Chain()), table(c=Chain("", ("drop",))), ["add rule inet dockerless c drop"]),
        (
            table(c=Chain("", ("accept", "drop"))),
            table(c=Chain("", ("drop", "accept"))),
            ["flush chain inet dockerless c", "add rule inet dockerless c drop", "add rule inet dockerless c accept"],
        ),
        # chains
        (
            table(c=Chain("", ("jump d",)), d=Chain("", ("drop",))),
            table(c=Chain("", ("drop",))),
            [
                "flush chain inet dockerless c",
                "flush chain inet dockerless d",
                "delete chain inet dockerless d",
                "add rule inet dockerless c drop",
            ],
        ),
        (
            table(c=Chain("", ("jump d",)), d=Chain(hook("filter", "input", "filter"))),
            table(c=Chain("", ("jump d",)), d=Chain()),
            [
                "flush chain inet dockerless c",
                "delete chain inet dockerless d",
                "add chain inet dockerless d",
                "add rule inet dockerless c jump d",
            ],
        ),
        (
            table(c=Chain(BASE.replace("accept", "drop"), ("drop",))),
            table(c=Chain(BASE, ("drop",))),
            [
                "flush chain inet dockerless c",
                "delete chain inet dockerless c",
                "add chain inet dockerless c { type filter hook forward priority 0; policy accept; }",
                "add rule inet dockerless c drop",
            ],
        ),
        # sets of another type, and the rules that look into them
        (
            table(c=Chain("", ("iifname @s drop",)), s=names("a"), t=names("a")),
            table(c=Chain("", ("iifname @s drop",)), s=names("a", interval=True), t=names("a")),
            [
                "flush chain inet dockerless c",
                "delete set inet dockerless s",
                "add set inet dockerless s { type ifname; flags interval; }",
                'add element inet dockerless s { "a" }',
                "add rule inet dockerless c iifname @s drop",
            ],
        ),
        (
            table(s=names("a")),
            table(s=ports(p80="10.0.0.2")),
            [
                "delete set inet dockerless s",
                "add map inet dockerless s { type inet_service : ipv4_addr; }",
                "add element inet dockerless s { 80 : 10.0.0.2 }",
            ],
        ),
        (
            table(c=Chain("", ("iifname @s drop",)), s=names("a")),
            table(c=Chain()),
            ["flush chain inet dockerless c", "delete set inet dockerless s"],
        ),
    ],
)
def test_the_commands_from_one_table_to_another(current: Table, desired: Table, commands: list[str]) -> None:
    text = difference(current, desired)
    head = [] if not commands or commands[0].startswith("delete table") else ["add table inet dockerless"]

    assert text.splitlines() == head + commands


TABLES = STATES.map(render)


def apply(current: Table, desired: Table) -> Table:
    memory = Memory(current)
    text = difference(current, desired)
    if text:
        memory.load(text)
    return memory.table()


@settings(max_examples=tries(20))
@given(TABLES, TABLES)
def test_the_commands_lead_from_any_table_to_any_other_and_back(first: Table, second: Table) -> None:
    assert apply(first, second) == second
    assert apply(second, first) == first
    assert difference(first, first) == ""


@settings(max_examples=tries(20))
@given(TABLES)
def test_a_first_transaction_may_be_pasted_twice(wanted: Table) -> None:
    memory = Memory()
    text = difference(Table(), wanted) or "add table inet dockerless\n"

    memory.load(text)
    memory.load(text)

    assert memory.table() == wanted


@settings(max_examples=tries(20))
@given(TABLES, st.data())
def test_whatever_was_lost_comes_back(wanted: Table, data: Any) -> None:
    damaged = damage(wanted, data)

    assert apply(damaged, wanted) == wanted


def damage(wanted: Table, data: Any) -> Table:
    """The table after somebody deleted rules, elements, whole chains and sets that no rule needs."""
    chains = {}
    for name, chain in wanted.chains.items():
        rules = tuple(rule for rule in chain.rules if data.draw(st.integers(0, 4)))
        chains[name] = replace(chain, rules=rules)
    needed = {word.lstrip("@") for chain in chains.values() for rule in chain.rules for word in rule.split()}
    chains = {name: chain for name, chain in chains.items() if name in needed or data.draw(st.integers(0, 4))}
    sets = {}
    for name, known in wanted.sets.items():
        if name in needed or data.draw(st.integers(0, 4)):
            kept = {key: element for key, element in known.elements.items() if data.draw(st.integers(0, 4))}
            sets[name] = replace(known, elements=kept)
    return Table(chains, sets)


@pytest.mark.parametrize(
    ("text", "dormant", "trouble"),
    [("dormant", True, ""), ("owner", False, "owns table"), ("persist", False, ""), ("", False, "")],
)
def test_a_table_that_somebody_put_to_sleep_wakes_up(text: str, dormant: bool, trouble: str) -> None:
    """nft 1.0.6 prints the flags of a table wrong as JSON, and right as text."""
    head = {"table": {"family": "inet", "name": "dockerless", "handle": 1, "flags": "Lester Gooch #5"}}
    flags = f"\tflags {text}\n" if text else ""

    def run(argv: Sequence[str], unused: str | None) -> tuple[int, str, str]:
        out = json.dumps({"nftables": [head, CHAIN]}) if "-j" in argv else f"table inet dockerless {{\n{flags}}}\n"
        return 0, out, ""

    backend = NftablesBackend(MemoryNetfilter(run))
    if trouble:
        with pytest.raises(FirewallError, match=trouble):
            backend.read()
        return
    found = backend.read()
    assert found.dormant == dormant
    wanted = replace(found, dormant=False)
    wakes = "add table inet dockerless\n" if dormant else ""
    assert (difference(found, wanted), difference(wanted, found)) == (wakes, wakes)
    assert difference(found, Table()) == "delete table inet dockerless\n"


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        (
            "dormant",
            "Table inet dockerless is dormant, and nft cannot list it; wake it: nft add table inet dockerless",
        ),
        ("owner", "owns table inet dockerless"),
        ("dormant,owner", "owns table inet dockerless"),
    ],
)
def test_a_table_in_whose_flags_the_output_of_nft_ends(text: str, trouble: str) -> None:
    """As nft 1.0.6 does it with an empty table, for one."""
    cut = '{"nftables": [{"table": {"family": "inet", "name": "dockerless", "handle": 1, "flags": \n'

    def run(argv: Sequence[str], unused: str | None) -> tuple[int, str, str]:
        return 0, cut if "-j" in argv else f"table inet dockerless {{\n\tflags {text}\n}}\n", ""

    backend = NftablesBackend(MemoryNetfilter(run))
    assert backend.usable() is None
    with pytest.raises(FirewallError, match=trouble):
        backend.read()
