# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single rules of others that drop packets of ours: named when they are sure to hit one, and else never."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, ClassVar

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import BaseChain
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign import from_nft, from_save
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.droppers import (
    Dropper,
    droppers,
    possible_drops,
    sentences,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.reader import Around
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.rules import Table
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import Link
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Masquerade,
    PortRange,
    PublishedPort,
)

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")), network="blue")
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")
STATE = FirewallState(frozenset([BLUE]), ports=frozenset([WEB]))
LOCAL = ("127.0.0.1/8", "192.0.2.11/24", "10.20.0.1/24", "2001:db8:1::11/64")

PORT = "what comes by eth0 to the published port 8080/tcp (blue)"
OUT = "what goes from blue to the outside by eth0"


class Tables:
    """The rules of others, in place of foreign.reader.Foreign."""

    bridged = False
    maps: ClassVar[dict[str, list[Any]]] = {}

    def __init__(self, *found: Table) -> None:
        self.found = found

    def filters_bridged(self, version: int) -> bool:
        return self.bridged and version == 4

    def elements(self, unused_table: Table, name: str) -> list[Any] | None:
        return self.maps.get(name)

    def tables(self) -> tuple[Table, ...]:
        return self.found


def around(*local: str) -> Around:
    """The host: an uplink with these addresses, a bridge of ours with two ports, and another link."""
    addresses = tuple(ip_interface(text) for text in local)
    ports = (Link(name, 0, "veth", master="br-blue") for name in ("v-web", "v-db"))
    links = (Link("eth0", 0, addresses=addresses), Link("br-blue", 0, "bridge"), Link("eth9", 0), *ports)
    return Around(lambda: ["eth0"], {link.name: link for link in links})


def found_in(*tables: Table, state: FirewallState = STATE, also_possible: bool = False) -> list[Dropper]:
    there = Tables(*tables)
    return droppers(there, state, around(*LOCAL), also_possible)  # type: ignore[arg-type]


def told(*tables: Table, state: FirewallState = STATE) -> list[str]:
    """What a run warns of, without the advice."""
    return [sentence.partition("; ")[0] for sentence in sentences(found_in(*tables, state=state))]


def may(*tables: Table, state: FirewallState = STATE) -> list[str]:
    """What only the report tells, without the advice."""
    shown, unused = possible_drops(
        [one for one in found_in(*tables, state=state, also_possible=True) if one.is_possible]
    )
    return [str(one).partition("; ")[0] for one in shown]


def saved(*rules: str, table: str = "filter", version: int = 4, store: str = "nft") -> Table:
    chains = ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:PREROUTING ACCEPT [0:0]\n:SUB - [0:0]\n"
    text = "*%s\n%s%s\nCOMMIT\n" % (table, chains, "\n".join("-A " + rule for rule in rules))
    (found,) = from_save.tables(text, store, version)
    return found


def match(left: Any, right: Any, op: str = "==") -> Any:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str) -> Any:
    return {"meta": {"key": key}}


def payload(protocol: str, field: str) -> Any:
    return {"payload": {"protocol": protocol, "field": field}}


def prefix(address: str, length: int) -> Any:
    return {"prefix": {"addr": address, "len": length}}


def native(*rules: list[Any], hook: str = "forward", prio: int = 0, name: str = "filter") -> Table:
    place = {"family": "inet", "table": name}
    head = {"chain": {**place, "name": hook, "type": "filter", "hook": hook, "prio": prio, "policy": "accept"}}
    listed = [{"rule": {**place, "chain": hook, "handle": 7 + n, "expr": expr}} for n, expr in enumerate(rules)]
    (found,) = from_nft.tables([head, *listed])
    return found


DROP = {"drop": None}
ETH0 = match(meta("iifname"), "eth0")
HTTP = match(payload("tcp", "dport"), 80)


def test_the_place_of_a_rule_and_its_packets_are_told() -> None:
    assert told(native([ETH0, HTTP, DROP])) == [
        f'"iifname eth0 tcp dport 80 drop" in chain forward of table inet filter, handle 7, drops {PORT}'
    ]
    mark = '-m comment --comment "dockerless.network"'
    rules = (f"FORWARD {mark} -j DLN-FORWARD", "FORWARD -s 10.9.9.9/32 -j DROP", "FORWARD -o br-blue -p tcp -j DROP")
    assert told(saved(*rules)) == [
        f'"-o br-blue -p tcp -j DROP" in chain FORWARD of table ip filter, rule 3, drops {PORT}'
    ]
    found = found_in(saved(*rules[1:]))
    for jumps, number in (({BaseChain("nft", "ip", "filter", "FORWARD"): 1}, 3), ({}, 2)):
        (sentence,) = sentences(found, jumps)
        assert f"chain FORWARD of table ip filter, rule {number}, drops" in sentence
    (sentence,) = told(saved("FORWARD -i br-blue -j DROP", store="legacy"))
    assert sentence == f'"-i br-blue -j DROP" in chain FORWARD of legacy iptables table filter, rule 1, drops {OUT}'


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ("-i eth0 -p tcp -m tcp --dport 80 -j DROP", True),
        ("-i eth0 -p tcp -m multiport --dports 22,70:90 -j REJECT", True),
        ("-d 10.20.0.0/24 -j DROP", True),
        ("-d 10.20.0.2/32 -p tcp -j DROP", True),
        ("-p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j DROP", True),
        ("-m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP", True),
        ("-m state --state NEW -j DROP", True),
        ("-m state ! --state RELATED,ESTABLISHED -j DROP", True),
        ("-i eth0 -m conntrack ! --ctstate NEW -j DROP", False),
        ("-m state --state RELATED,ESTABLISHED -j DROP", False),
        ("-m conntrack ! --ctstate DNAT -j DROP", False),
        ("-s 203.0.113.0/24 -o br-blue -j DROP", True),  # some of them, and it is about our bridge
        ("-s 203.0.113.0/24 -p tcp -m tcp --dport 80 -j DROP", True),
        ("-i eth0 -p tcp -m tcp --dport 8080 -j DROP", False),  # it is 80 by now
        ("-i eth1 -p tcp -m tcp --dport 80 -j DROP", False),
        ("-i eth0 -p udp -m udp --dport 80 -j DROP", False),
        ("-i eth0 -o eth1 -j DROP", False),
        ("-d 10.20.0.3/32 -j DROP", False),
        ("-s 203.0.113.7/32 -j DROP", False),  # it is about a client
        ("-p tcp -m tcp --dport 80 -m conntrack --ctstate RELATED,ESTABLISHED -j DROP", False),
        ("-p tcp -m tcp --dport 80 -m recent --rcheck -j DROP", False),  # nobody can tell
        ("-p tcp -m tcp ! --dport 22 -j DROP", True),
        ("-p tcp -m tcp ! --dport 80 -j DROP", False),
        ("-p tcp -m tcp ! --dport 70:90 -j DROP", False),
        ("-p tcp -m multiport ! --dports 22,443 -j REJECT", True),
        ("-p tcp -m multiport ! --dports 22,80 -j REJECT", False),
        ("-p udp -m udp ! --dport 22 -j DROP", False),
        ("! -p tcp -j DROP", False),
        ("! -p icmp -j DROP", True),
        ("! -s 192.0.2.0/24 -j DROP", True),  # nearly all of them
        ("! -s 192.0.2.0/24 -i eth1 -j DROP", False),
        ("! -s 192.0.2.0/24 -d 10.20.0.3/32 -j DROP", False),
        ("! -d 10.0.0.0/8 -j DROP", False),
        ("! -s 172.18.0.0/16 -o br-9d1c2 -j DROP", False),  # as Docker closes an internal network
        ("! -d 192.168.0.0/16 -j DROP", True),
        ("-s 203.0.113.7/32 ! -d 192.168.0.0/16 -j DROP", False),  # it is about a client
        ("! -i eth0 -j DROP", False),
        ("! -i eth1 -j DROP", True),
        ("! -o br-blue -j DROP", False),
        ("! -o br-red -j DROP", True),
        ("-i eth0 -m devgroup ! --src-group 0x7 -j DROP", False),  # nobody can tell
        ("-m iprange ! --src-range 192.0.2.1-192.0.2.9 -j DROP", True),
        ("-m set ! --match-set friends src -j DROP", False),
        ("-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP", False),
        ("-m conntrack ! --ctstate RELATED,ESTABLISHED,SNAT -j DROP", False),
        ("-p tcp -m tcp --dport 80 --tcp-flags SYN,FIN SYN,FIN -j DROP", False),
    ],
)
def test_packets_to_a_published_port_on_their_way_to_the_endpoint(rule: str, hit: bool) -> None:
    only = replace(STATE, policies=frozenset())
    assert [sentence.endswith(PORT) for sentence in told(saved("FORWARD " + rule), state=only)] == [True] * hit


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"set": ["established", "related"]}, "{ established, related }"),
        ({"|": ["established", "related"]}, "established,related"),
        (["established", "related"], "established,related"),
    ],
)
def test_what_lets_no_connection_begin_is_told(known: Any, text: str) -> None:
    """All spellings of nft; a rule that lets known packets pass comes first, and is not about the first one."""
    state = {"ct": {"key": "state"}}
    rules = ([match(state, ["established", "related"], "in"), {"accept": None}], [match(state, known, "!="), DROP])
    assert told(native(*rules)) == [
        f'"ct state != {text} drop" in chain forward of table inet filter, handle 8, drops {PORT}'
    ]
    assert told(native([match(state, {"set": ["new", "related"]}, "!="), DROP])) == []


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ("-p tcp -m tcp --dport 8080 -j DROP", True),
        ("-d 192.0.2.11/32 -i eth0 -p tcp -m tcp --dport 8080 -j DROP", True),
        ("-p tcp -m tcp --dport 80 -j DROP", False),  # it is 8080 still
        ("-d 192.0.2.12/32 -p tcp -m tcp --dport 8080 -j DROP", False),
        ("-d 172.17.0.2/32 ! -i docker0 -j DROP", False),  # as Docker protects a container
        ("-i lo -p tcp -m tcp --dport 8080 -j DROP", False),
        ("-d 10.20.0.1/32 -i eth0 -p tcp -m tcp --dport 8080 -j DROP", False),  # our guard does, too
        ("-i eth0 -p tcp -m tcp ! --dport 80 -j DROP", True),
        ("-i eth0 -p tcp -m tcp ! --dport 8080 -j DROP", False),
        ("! -d 192.0.2.11/32 -i eth0 -j DROP", False),
        ("! -d 192.0.2.12/32 -i eth0 -j DROP", True),
        ("-m conntrack ! --ctstate DNAT -j DROP", True),  # nothing is translated yet
    ],
)
def test_packets_to_a_published_port_before_they_are_translated(rule: str, hit: bool) -> None:
    assert len(told(saved("PREROUTING " + rule, table="raw"))) == hit
    assert len(told(native([match(payload("tcp", "dport"), 8080), DROP], hook="prerouting", prio=-150))) == 1
    assert told(native([match(payload("tcp", "dport"), 8080), DROP], hook="prerouting", prio=0)) == []
    assert told(native([match(payload("tcp", "dport"), 8080), DROP], hook="input")) == []


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ("-i br-blue -j DROP", True),
        ("-s 10.20.0.0/24 -o eth0 -j REJECT", True),
        ("-s 10.0.0.0/8 -j DROP", True),
        ("-i br-blue -p tcp -m tcp --dport 25 -j DROP", True),  # some of it, and it is about our bridge
        ("-s 10.20.0.0/24 -d 10.9.0.0/16 -j DROP", True),
        ("-d 203.0.113.0/24 -j DROP", False),  # it is about a server
        ("-p tcp -m tcp --dport 25 -j DROP", False),
        ("-i br-blue -o eth1 -j DROP", False),
        ("-s 10.21.0.0/24 -j DROP", False),
        ("-i br-red -j DROP", False),
        ("! -s 10.0.0.0/8 -j DROP", False),
        ("! -s 10.20.0.0/24 -i br-blue -j DROP", False),  # against forged sources
        ("! -s 10.20.0.0/25 -j DROP", True),
        ("! -s 192.168.0.0/16 -j DROP", True),
        ("! -d 10.0.0.0/8 -j DROP", True),
        ("! -d 0.0.0.0/0 -j DROP", False),
        ("! -d 172.18.0.0/16 -i br-9d1c2 -j DROP", False),
        ("! -i eth0 -j DROP", True),
        ("! -i br-blue -j DROP", False),
        ("-i br-blue ! -o eth0 -j DROP", False),
        ("! -p tcp -j DROP", True),
        ("-p tcp -m tcp ! --dport 443 -j DROP", True),
        ("-p tcp -m tcp ! --dport 0:65535 -j DROP", False),
        ("-p tcp -m multiport ! --dports 1:1023,1024:65535 -j DROP", False),
        ("-p tcp -m tcp --dport 25 ! -d 198.51.100.25/32 -j DROP", False),  # it is about servers
        ("-p icmp -j DROP", False),
        ("-p udp -j DROP", True),
        ("-o eth0 -p tcp -j DROP", True),
        ("-p udp -m udp --sport 53 -j DROP", False),  # it is about some servers' answers
        ("! -s 192.168.0.0/16 -p icmp -j DROP", False),  # for our packets this is the same
        ("-m conntrack ! --ctstate DNAT -j DROP", True),
    ],
)
def test_the_way_out(rule: str, hit: bool) -> None:
    only = replace(STATE, ports=frozenset())
    assert [sentence.endswith(OUT) for sentence in told(saved("FORWARD " + rule), state=only)] == [True] * hit


@pytest.mark.parametrize(
    ("rules", "hit"),
    [
        (["-p tcp -j ACCEPT", "-i eth0 -j DROP"], False),
        (["-m conntrack --ctstate DNAT -j ACCEPT", "-i eth0 -j DROP"], False),
        (["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-i eth0 -j DROP"], True),
        (["-s 192.0.2.0/24 -j ACCEPT", "-i eth0 -j DROP"], True),  # who comes from elsewhere
        (["-s 192.0.0.0/8 -j ACCEPT", "-s 192.0.2.0/24 -p tcp -m tcp --dport 80 -j DROP"], False),
        (["-m set --match-set friends src -j ACCEPT", "-i eth0 -j DROP"], False),  # nobody can tell
        (["-i eth0 -j LOG", "-i eth0 -j DROP"], True),
        (["-i eth0 -j NFQUEUE", "-i eth0 -j DROP"], False),
        (["-i eth0 -j MARK", "-i eth0 -j DROP"], True),
        (["-p tcp -m tcp --dport 22 -j SUB"], False),
        (["-j SUB"], True),
        (["-s 192.0.2.7/32 -j SUB"], True),
        (["! -s 192.0.2.7/32 -j SUB"], True),
        (["! -d 10.20.0.2/32 -j SUB"], False),
        (["! -p tcp -j ACCEPT", "-i eth0 -j DROP"], True),
        (["! -p udp -j ACCEPT", "-i eth0 -j DROP"], False),
        (["! -s 192.0.2.0/24 -j ACCEPT", "-i eth0 -j DROP"], True),  # who comes from there
        (["! -s 192.0.2.0/24 -j ACCEPT", "! -s 198.51.100.0/24 -j DROP"], False),  # nobody can tell who is left
        (["-m limit --limit 1/sec -j SUB"], False),
        (["-g SUB", "-o br-blue -j DROP"], True),
        (["-j ACCEPT", "-i eth0 -j DROP"], False),
        (["-j DROP"], False),  # told of elsewhere
    ],
)
def test_what_comes_before_counts(rules: list[str], hit: bool) -> None:
    only = replace(STATE, policies=frozenset())
    table = saved(*("FORWARD " + rule for rule in rules), "SUB -i eth0 -p tcp -m tcp --dport 80 -j DROP")
    assert len(told(table, state=only)) == hit


@pytest.mark.parametrize(("state", "hit"), [("related", True), ("new", False)])
def test_a_map_of_verdicts_by_state(state: str, hit: bool) -> None:
    known = [[name, {"accept": None}] for name in ("established", state)]
    decides = {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": known}}}
    assert len(told(native([decides], [ETH0, HTTP, DROP]))) == hit


def test_a_map_of_verdicts_may_have_let_them_through() -> None:
    decides = {"vmap": {"key": meta("iifname"), "data": "@ways"}}
    assert told(native([decides], [ETH0, HTTP, DROP])) == []
    assert len(told(native([ETH0, {"limit": {"rate": 1}}, DROP], [ETH0, HTTP, DROP]))) == 1


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ([match(meta("nfproto"), "ipv4"), ETH0], "meta nfproto ipv4 iifname eth0 drop"),
        ([match(meta("nfproto"), "ipv6"), ETH0], None),
        ([match(payload("ip", "daddr"), {"prefix": {"addr": "10.20.0.0", "len": 16}})], "ip daddr 10.20.0.0/16 drop"),
        ([match(payload("ip6", "daddr"), "fd00:20::2")], None),
        ([match(meta("l4proto"), {"set": ["tcp", "udp"]}), ETH0], "meta l4proto { tcp, udp } iifname eth0 drop"),
        ([match(payload("th", "dport"), {"range": [70, 90]}), ETH0], "th dport 70-90 iifname eth0 drop"),
        (
            [match({"ct": {"key": "state"}}, ["established", "new"], "in"), HTTP],
            "ct state established,new tcp dport 80 drop",
        ),
        ([match({"ct": {"key": "status"}}, "dnat", "in")], "ct status dnat drop"),
        ([match(payload("tcp", "dport"), "@closed")], None),
        ([match(payload("ip", "saddr"), "@blocked"), HTTP], None),
        ([match(payload("tcp", "dport"), 22, "!=")], "tcp dport != 22 drop"),
        ([match(payload("tcp", "dport"), {"set": [22, 443]}, "!=")], "tcp dport != { 22, 443 } drop"),
        ([match(payload("tcp", "dport"), {"set": [22, 80]}, "!=")], None),
        ([match(payload("tcp", "dport"), {"range": [70, 90]}, "!=")], None),
        ([match(payload("udp", "dport"), 22, "!=")], None),
        ([match(payload("th", "dport"), 22, "!=")], "th dport != 22 drop"),
        ([match(payload("tcp", "dport"), "@open", "!=")], None),
        ([HTTP, match(payload("tcp", "dport"), 443, "!=")], "tcp dport 80 tcp dport != 443 drop"),
        ([match(payload("tcp", "dport"), 22, "!="), match(payload("tcp", "dport"), 80, "!=")], None),
        (
            [match(payload("ip", "saddr"), {"prefix": {"addr": "10.0.0.0", "len": 8}}, "!=")],
            "ip saddr != 10.0.0.0/8 drop",
        ),
        (
            [match(payload("ip", "saddr"), {"set": ["192.0.2.1", "192.0.2.2"]}, "!=")],
            "ip saddr != { 192.0.2.1, 192.0.2.2 } drop",
        ),
        ([match(payload("ip6", "saddr"), {"prefix": {"addr": "fd00::", "len": 8}}, "!=")], None),
        ([match(payload("ip", "saddr"), "@friends", "!=")], None),
        ([match(payload("ip", "daddr"), {"set": [prefix("10.0.0.0", 9), prefix("10.128.0.0", 9)]}, "!=")], None),
        ([match(payload("ip", "daddr"), {"set": [prefix("10.20.0.2", 32), "10.9.9.9"]}, "!=")], None),
        ([match(payload("ip", "protocol"), "tcp", "!=")], None),
        ([match(payload("ip6", "nexthdr"), "udp", "!=")], None),
        ([match(payload("ip", "protocol"), "udp", "!=")], "ip protocol != udp drop"),
        ([match(meta("l4proto"), {"set": ["udp", "icmp"]}, "!=")], "meta l4proto != { udp, icmp } drop"),
        ([match(meta("nfproto"), "ipv6", "!="), ETH0], "meta nfproto != ipv6 iifname eth0 drop"),
        ([match(meta("nfproto"), "ipv4", "!="), ETH0], None),
        ([match(meta("iifname"), {"set": ["eth1", "eth2"]}, "!=")], "iifname != { eth1, eth2 } drop"),
        ([match(meta("iifname"), "eth0", "!="), match(meta("iifname"), "eth1", "!=")], None),
        (
            [match(meta("iifname"), "eth1", "!="), match(meta("iifname"), "eth2", "!=")],
            "iifname != eth1 iifname != eth2 drop",
        ),
        ([match(meta("iifname"), "eth1", "!="), ETH0], None),  # nobody can tell
        ([match({"ct": {"key": "status"}}, "dnat", "!=")], None),
        ([match(meta("mark"), 1), HTTP], None),
    ],
)
def test_words_of_nft(expression: list[Any], text: str | None) -> None:
    only = replace(STATE, policies=frozenset())
    found = [sentence.split('"')[1] for sentence in told(native([*expression, DROP]), state=only)]
    assert found == ([text] if text else [])


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ("! -s fd00::/8 -j DROP", []),
        ("! -s fd00:21::/64 -j DROP", [OUT]),
        ("! -d fd00::/8 -j REJECT", [OUT]),
        ("! -i br-blue -j DROP", []),
        ("! -p tcp -j DROP", [OUT]),
    ],
)
def test_the_way_out_of_ipv6(rule: str, hit: list[str]) -> None:
    found = told(saved("FORWARD " + rule, version=6))
    assert [sentence.partition(", drops ")[2] for sentence in found] == hit
    assert told(saved("FORWARD " + rule, version=6), state=replace(STATE, policies=frozenset())) == []


@pytest.mark.parametrize(
    ("policy", "rule", "hit"),
    [
        (BLUE, "-i br-blue -o br-blue -j DROP", True),
        (BLUE, "-s 10.20.0.0/24 -d 10.20.0.9/32 -j DROP", True),
        (BLUE, "-s 10.20.0.0/24 -d 10.21.0.0/24 -j DROP", False),
        (BLUE, "! -s 10.0.0.0/8 -j DROP", False),
        (BLUE, "! -i eth0 -j DROP", True),
        (replace(BLUE, icc=False), "-i br-blue -o br-blue -j DROP", False),
    ],
)
def test_between_endpoints_where_frames_are_shown(
    policy: BridgePolicy, rule: str, hit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = FirewallState(frozenset([replace(policy, internal=True)]))
    table = saved("FORWARD " + rule)
    assert told(table, state=state) == []
    monkeypatch.setattr(Tables, "bridged", True)
    inside = "what goes from one endpoint of blue to another"
    assert [sentence.endswith(inside) for sentence in told(table, state=state)] == [True] * hit


def test_a_host_without_addresses_of_a_family() -> None:
    six = replace(WEB, container_ip=ip_address("fd00:20::2"))
    table = saved("PREROUTING -p tcp -m tcp --dport 8080 -j DROP", table="raw", version=6)
    state = FirewallState(ports=frozenset([six]))
    assert len(told(table, state=state)) == 1
    assert droppers(Tables(table), state, around(*LOCAL[:3])) == []  # type: ignore[arg-type]


def test_who_is_limited_in_any_case() -> None:
    rule = saved("FORWARD -s 203.0.113.0/24 -o br-blue -j DROP")
    for limited, hit in (
        (replace(WEB, allowed_sources=(ip_network("192.0.2.0/24"),)), False),
        (replace(WEB, allowed_sources=(ip_network("203.0.113.0/25"),)), True),
        (replace(WEB, host_ip=ip_address("127.0.0.1")), False),
        (replace(WEB, in_interfaces=("eth1",)), True),
    ):
        assert len(told(rule, state=replace(STATE, policies=frozenset(), ports=frozenset([limited])))) == hit


def test_there_is_an_end_to_it() -> None:
    rules = [f"FORWARD -s 203.0.113.{n}/32 -o br-blue -j DROP" for n in range(20)]
    found = told(saved(*rules))
    assert len(found) == 1  # each packet is dropped once
    ports = [replace(WEB, host_ports=PortRange(n, n), container_port=n) for n in range(1000, 1020)]
    rules = [f"FORWARD -p tcp -m tcp --dport {n} -j DROP" for n in range(1000, 1020)]
    found = told(saved(*rules), state=replace(STATE, ports=frozenset(ports)))
    assert len(found) == 9 and found[-1] == "12 more rules of others drop packets of our networks"


# ---- what may drop


CT_HELPER = match({"ct": {"key": "helper"}}, "ftp")
FLAGS = payload("tcp", "flags")
MARK = match(meta("mark"), 1)
NO_MARK = match(meta("mark"), 1, "!=")
MARKING = [ETH0, {"mangle": {"key": meta("mark"), "value": 1}}]


@pytest.mark.parametrize(
    ("rule", "condition"),
    [
        ("-i eth0 -m limit --limit 9/sec -j DROP", "-m limit --limit 9/sec"),
        ("-m recent --rcheck --name bad -j REJECT", "-m recent --rcheck --name bad"),
        ("-p tcp -m tcp --dport 80 -m set --match-set bad src -j DROP", "-m set --match-set bad src"),
        ("-m set ! --match-set friends src -j DROP", "-m set ! --match-set friends src"),
        ("-p tcp -m tcp --dport 80 -m connlimit --connlimit-above 9 -j DROP", "-m connlimit --connlimit-above 9"),
        ("-m string --string x -j SUB", "-m string --string x"),
        ("-i eth1 -m limit --limit 9/sec -j DROP", None),
        ("-s 203.0.113.7/32 -m limit --limit 9/sec -j DROP", None),  # it is about a client
        ("-d 10.20.0.3/32 -m limit --limit 9/sec -j DROP", None),
        ("-p tcp -m tcp --dport 22 -m recent --rcheck -j DROP", None),
        ("-m conntrack --ctstate INVALID -m limit --limit 9/sec -j DROP", None),
        ("-m conntrack --ctstate RELATED,ESTABLISHED -m limit --limit 9/sec -j DROP", None),
        ("-m limit --limit 9/sec -j LOG", None),
        ("-m limit --limit 9/sec -j ACCEPT", None),
    ],
)
def test_a_condition_that_is_not_read_is_told_and_only_by_the_report(rule: str, condition: str | None) -> None:
    only = replace(STATE, policies=frozenset())
    table = saved("FORWARD " + rule, "SUB -j DROP")
    assert told(table, state=only) == []
    sentence = f'"{rule}" in chain FORWARD of table ip filter, rule 1, may drop {PORT}, if its condition "%s" holds'
    assert may(table, state=only) == ([] if condition is None else [sentence % condition])


@pytest.mark.parametrize(
    ("expression", "condition"),
    [
        ([ETH0, CT_HELPER], "ct helper ftp"),
        ([HTTP, {"limit": {"rate": 10, "per": "second", "inv": True}}], "limit rate over 10/second"),
        ([match(payload("ip", "saddr"), "@blocked"), HTTP], "ip saddr @blocked"),
        (
            [match({"concat": [payload("ip", "saddr"), payload("tcp", "dport")]}, "@pairs")],
            "ip saddr . tcp dport @pairs",
        ),
        ([HTTP, {"ct count": {"val": 9, "inv": True}}], "ct count"),
        ([match(payload("udp", "dport"), 80), CT_HELPER], None),
        ([match(meta("iifname"), "eth1"), CT_HELPER], None),
        ([match({"ct": {"key": "state"}}, "invalid", "in"), CT_HELPER], None),
    ],
)
def test_a_condition_of_nft_that_is_not_read(expression: list[Any], condition: str | None) -> None:
    only = replace(STATE, policies=frozenset())
    table = native([*expression, DROP])
    assert told(table, state=only) == []
    assert [sentence.split('"')[3] for sentence in may(table, state=only)] == ([condition] if condition else [])


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ("-m conntrack --ctstate INVALID -j DROP", False),
        ("-m mark --mark 0x1 -j DROP", False),  # nobody marks packets here
        ("-m mark ! --mark 0x1/0xff -j DROP", True),
        ("-m connmark ! --mark 0x1 -j DROP", True),
        ("-m mark --mark 0x0 -j DROP", True),
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", False),
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP", False),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", True),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP", False),
        ("-p tcp -m tcp --tcp-flags SYN,FIN SYN,FIN -j DROP", False),
        ("-m pkttype --pkt-type broadcast -j DROP", False),
        ("-m pkttype ! --pkt-type unicast -j DROP", False),
        ("-m addrtype --dst-type BROADCAST,MULTICAST -j DROP", False),
        ("-m addrtype ! --dst-type LOCAL -j DROP", True),
        ("-m addrtype ! --src-type UNICAST -j DROP", False),
        ("-m rpfilter --loose --validmark --invert -j DROP", False),
        ("-f -j DROP", False),
        ("-m rt --rt-type 0 -j DROP", False),  # as ufw has it
        ("-m frag --fragid 0:4294967295 -j DROP", False),
        ("-i eth0 ! -f -j DROP", True),
        ("-m conntrack --ctdir REPLY -j DROP", False),
        ("-m conntrack --ctdir ORIGINAL -j DROP", True),
        ("-m conntrack --ctstatus ASSURED -j DROP", False),
        ("-p icmp -m icmp --icmp-type 8 -j DROP", False),
        ("-m iprange --dst-range 10.20.0.2-10.20.0.9 -j DROP", True),
        ("-m iprange --dst-range 10.20.0.3-10.20.0.9 -j DROP", False),
    ],
)
def test_what_is_known_of_every_first_packet(rule: str, hit: bool) -> None:
    only = replace(STATE, policies=frozenset())
    table = saved("FORWARD " + rule)
    assert [sentence.endswith(PORT) for sentence in told(table, state=only)] == [True] * hit
    assert may(table, state=only) == []


@pytest.mark.parametrize(
    ("expression", "hit"),
    [
        ([match({"ct": {"key": "state"}}, "invalid", "in")], False),
        ([match({"ct": {"key": "state"}}, "untracked", "in")], False),
        ([MARK], False),
        ([NO_MARK], True),
        ([match({"&": [meta("mark"), 255]}, 0)], True),
        ([match({"ct": {"key": "mark"}}, {"set": [{"range": [1, 5]}]}, "!=")], True),
        ([match(FLAGS, "syn", "in")], True),
        ([match(FLAGS, "syn", "!=")], False),
        ([match({"&": [FLAGS, ["fin", "syn", "rst", "ack"]]}, "syn", "!=")], False),
        ([match({"&": [FLAGS, ["fin", "syn"]]}, ["fin", "syn"])], False),
        ([match(FLAGS, ["fin", "syn", "rst", "ack"], "!")], False),
        ([match(FLAGS, {"set": [{"|": ["syn", "ack"]}, "syn"]})], True),
        ([match(meta("pkttype"), {"set": ["broadcast", "multicast"]})], False),
        ([match(meta("pkttype"), "host", "!=")], False),
        ([match({"fib": {"result": "oif", "flags": ["saddr", "mark", "iif"]}}, False)], False),
        ([match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "0")], False),
        ([match({"fib": {"result": "type", "flags": ["daddr"]}}, "local")], False),
        ([match({"fib": {"result": "type", "flags": ["daddr"]}}, "local", "!=")], True),
        ([match(payload("icmp", "type"), "echo-request")], False),
        ([match(payload("icmpv6", "type"), {"set": ["echo-request", "nd-redirect"]})], False),
        ([match(meta("protocol"), "ip")], True),
        ([match(meta("protocol"), {"set": ["ip", "arp"]}, "!=")], False),
        ([match({"ct": {"key": "direction"}}, "reply")], False),
        ([match({"ct": {"key": "status"}}, "assured", "in")], False),
        ([match(meta("skuid"), 0)], False),
        ([match({"exthdr": {"name": "rt", "field": "type"}}, 0)], False),
        ([match({"exthdr": {"name": "frag"}}, True)], False),
        ([match({"exthdr": {"name": "frag"}}, False)], True),
        ([match({"ip option": {"name": "lsrr", "field": "type"}}, 131)], False),
        ([match(payload("udp", "sport"), {"set": [19, 53, 1900]})], False),
        ([match(payload("tcp", "sport"), 25)], False),
        ([match({"&": [payload("ip", "frag-off"), 8191]}, 0, "!=")], False),
        (
            [match({"concat": [meta("iifname"), payload("tcp", "dport")]}, {"set": [{"concat": ["eth0", 80]}]})],
            True,
        ),
    ],
)
def test_what_nft_asks_of_every_first_packet(expression: list[Any], hit: bool) -> None:
    only = replace(STATE, policies=frozenset())
    table = native([*expression, DROP])
    assert [sentence.endswith(PORT) for sentence in told(table, state=only)] == [True] * hit
    assert may(table, state=only) == []


@pytest.mark.parametrize(
    "marks",
    [
        native(MARKING, hook="prerouting"),
        native([{"mangle": {"key": {"ct": {"key": "mark"}}, "value": 1}}], hook="prerouting"),
        saved("PREROUTING -i eth0 -j MARK --set-xmark 0x1/0xffffffff", table="mangle"),
        saved("PREROUTING -i eth0 -j CONNMARK --set-xmark 0x1/0xffffffff", table="mangle"),
    ],
)
def test_marks_are_unknown_where_somebody_sets_some(marks: Table) -> None:
    only = replace(STATE, policies=frozenset())
    for mark, text in ((MARK, "meta mark 1"), (NO_MARK, "meta mark != 1")):
        table = native([mark, DROP])
        assert told(marks, table, state=only) == []
        assert may(marks, table, state=only) == [
            f'"{text} drop" in chain forward of table inet filter, handle 7, may drop {PORT},'
            f' if its condition "{text}" holds'
        ]


def test_a_mark_that_is_only_copied_is_none() -> None:
    only = replace(STATE, policies=frozenset())
    copies = {"mangle": {"key": meta("mark"), "value": {"ct": {"key": "mark"}}}}
    restored = saved("PREROUTING -j CONNMARK --restore-mark --nfmask 0xffff --ctmask 0xffff", table="mangle")
    for marks in (native([copies], hook="prerouting"), restored):
        assert len(told(marks, native([NO_MARK, DROP]), state=only)) == 1


@pytest.mark.parametrize(
    ("key", "elements", "hit"),
    [
        (meta("iifname"), [["eth0", DROP], ["eth1", {"accept": None}]], True),
        (meta("iifname"), [["eth1", DROP]], False),
        (payload("tcp", "dport"), [[{"range": [70, 90]}, {"jump": {"target": "sub"}}]], True),
        (payload("tcp", "dport"), [[22, {"jump": {"target": "sub"}}]], False),
        ({"ct": {"key": "state"}}, [["established", {"accept": None}], ["invalid", DROP]], False),
        ({"concat": [meta("iifname"), meta("oifname")]}, [[{"concat": ["eth0", "br-blue"]}, DROP]], True),
        (meta("iifname"), [["*", DROP], ["eth0", {"accept": None}]], False),
        (meta("iifname"), [["*", DROP], ["eth1", {"accept": None}]], True),
    ],
)
def test_each_verdict_of_a_map_is_read(key: Any, elements: list[Any], hit: bool) -> None:
    only = replace(STATE, policies=frozenset())
    place = {"family": "inet", "table": "filter", "chain": "sub", "handle": 9, "expr": [DROP]}
    table = native([{"vmap": {"key": key, "data": {"set": elements}}}])
    (sub,) = from_nft.tables([{"rule": place}])
    table.chains["sub"] = sub.chains["sub"]
    assert len(told(table, state=only)) == hit
    assert may(table, state=only) == []


def test_a_map_by_its_name_that_cannot_be_read() -> None:
    only = replace(STATE, policies=frozenset())
    table = native([HTTP, {"vmap": {"key": meta("iifname"), "data": "@ways"}}])
    (sentence,) = may(table, state=only)
    assert 'if its condition "iifname vmap @ways" holds' in sentence


@pytest.mark.parametrize(
    ("elements", "sure", "possible"),
    [
        ([], 0, 0),
        ([["docker0", {"jump": {"target": "sub"}}]], 0, 0),  # as Docker has them
        ([["docker0", {"drop": None}], ["eth0", {"jump": {"target": "sub"}}]], 1, 0),
        ([[{"elem": {"val": "eth0", "counter": {}}}, {"accept": None}]], 0, 0),
        ([["eth%d" % number, {"drop": None}] for number in range(1, 80)], 0, 1),  # too many to read
    ],
)
def test_a_map_is_read_by_its_name(
    elements: list[Any], sure: int, possible: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tables, "maps", {"ways": elements})
    only = replace(STATE, policies=frozenset())
    place = {"family": "inet", "table": "filter", "chain": "sub", "handle": 9, "expr": [DROP]}
    table = native([HTTP, {"vmap": {"key": meta("iifname"), "data": "@ways"}}])
    (sub,) = from_nft.tables([{"rule": place}])
    table.chains["sub"] = sub.chains["sub"]
    found = found_in(table, state=only, also_possible=True)
    assert [one.is_possible for one in found] == [False] * sure + [True] * possible
    assert len(told(table, state=only)) == sure
    assert len(table.chains["forward"].rules) == 1


def test_a_map_may_lead_to_another_one_and_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tables, "maps", {"ways": [["eth0", {"jump": {"target": "sub"}}]], "ports": [[80, DROP]]})
    table = native([{"vmap": {"key": meta("iifname"), "data": "@ways"}}])
    nested = {"vmap": {"key": payload("tcp", "dport"), "data": "@ports"}}
    (sub,) = from_nft.tables(
        [{"rule": {"family": "inet", "table": "filter", "chain": "sub", "handle": 9, "expr": [nested]}}]
    )
    table.chains["sub"] = sub.chains["sub"]
    (found,) = found_in(table, state=replace(STATE, policies=frozenset()), also_possible=True)
    assert (found.chain.name, found.is_possible) == ("sub", False)
    both = {"vmap": {"key": meta("iifname"), "data": {"set": [["eth0", DROP], ["br-blue", DROP]]}}}
    assert len(told(native([both]))) == 1


NOTRACK: Any = {"notrack": None}
UNTRACKED = "from connection tracking, so that nothing translates it or knows its answers"


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        (native([ETH0, match(payload("tcp", "dport"), 8080), NOTRACK], hook="prerouting", prio=-300), [PORT]),
        (native([match(payload("tcp", "dport"), 443), NOTRACK], hook="prerouting", prio=-300), []),
        (native([NOTRACK, {"accept": None}], hook="prerouting", prio=-300), [PORT]),
        (native([NOTRACK], hook="prerouting", prio=-150), []),  # too late
        (native([NOTRACK], hook="forward", prio=-300), []),
        (native([match(meta("iifname"), "br-blue"), NOTRACK], hook="prerouting", prio=-300), [OUT]),
        (saved("PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j CT --notrack", table="raw"), [PORT]),
        (saved("PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j NOTRACK", table="raw", store="legacy"), [PORT]),
        (saved("PREROUTING -i eth0 -p udp -m udp --dport 53 -j CT --notrack", table="raw"), []),
        (saved("PREROUTING -i eth0 -j CT --zone 5", table="raw"), []),
        (saved("SUB -j CT --notrack", "PREROUTING -i eth0 -p tcp -j SUB", table="raw"), [PORT]),
        (saved("PREROUTING -j CT --notrack", table="raw", version=6), [OUT]),
    ],
)
def test_what_keeps_packets_from_connection_tracking(table: Table, kept: list[str]) -> None:
    sentences_of = told(table)
    assert [sentence.rpartition("keeps ")[2] for sentence in sentences_of] == [f"{what} {UNTRACKED}" for what in kept]
    assert may(table) == []


def test_a_network_that_is_routed_without_translation_does_without_connection_tracking() -> None:
    table = native([match(meta("iifname"), "br-blue"), NOTRACK], hook="prerouting", prio=-300)
    routed = replace(STATE, policies=frozenset([replace(BLUE, direct_access=True)]))
    assert told(table, state=routed) == []
    assert len(told(table, state=replace(routed, masquerades=frozenset([Masquerade(BLUE.subnets[0])])))) == 1


def test_what_an_earlier_rule_may_have_let_pass() -> None:
    only = replace(STATE, policies=frozenset())
    table = saved("FORWARD -m set --match-set friends src -j ACCEPT", "FORWARD -i eth0 -j DROP", "FORWARD -j SUB")
    assert told(table, state=only) == []
    assert [sentence.rpartition(", ")[2] for sentence in may(table, state=only)] == [
        "unless an earlier rule lets it pass"
    ]
    # a chain of Docker that is only called for some packets, and lets none of ours pass
    called = ("FORWARD -m set --match-set bridges dst -j SUB", "SUB -o docker0 -j ACCEPT", "FORWARD -i eth0 -j DROP")
    assert len(told(saved(*called), state=only)) == 1


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (["-i eth0 -p tcp -m tcp --dport 80 -j SUB"], "-i eth0 -p tcp -m tcp --dport 80 -j SUB"),
        (["-d 10.20.0.2/32 -g SUB"], "-d 10.20.0.2/32 -g SUB"),
        (["-s 203.0.113.7/32 -j SUB"], ""),
        (["-i eth1 -j SUB"], ""),
        (["-j SUB"], ""),  # obstacles.py tells this
    ],
)
def test_a_chain_that_drops_all_that_comes_there(rules: list[str], named: str) -> None:
    only = replace(STATE, policies=frozenset())
    table = saved(*("FORWARD " + rule for rule in rules), "SUB -j LOG", "SUB -j DROP")
    assert [sentence.split('"')[1] for sentence in told(table, state=only)] == ([named] if named else [])


@pytest.mark.parametrize(
    ("expression", "sure", "possible"),
    [
        ([match(meta("oifname"), "br-blue")], [PORT], []),
        ([match(meta("iifname"), "eth0")], [], ["iifname eth0"]),
        ([match(meta("iifname"), "eth1")], [], []),
        ([match(meta("iifname"), "eth1", "!=")], [], ["iifname != eth1"]),
    ],
)
def test_old_kernels_forget_by_which_link_a_packet_came(
    expression: list[Any], sure: list[str], possible: list[str]
) -> None:
    only = replace(STATE, policies=frozenset())
    table = native([*expression, DROP], hook="postrouting")
    assert [sentence.partition(", drops ")[2] for sentence in told(table, state=only)] == sure
    assert [sentence.split('"')[3] for sentence in may(table, state=only)] == possible
    before = native([match(meta("oifname"), "br-blue"), DROP], hook="prerouting", prio=-150)
    assert told(before, state=only) == may(before, state=only) == []  # no route has been looked up yet


def test_what_drops_everything_on_another_hook_than_forward() -> None:
    only = replace(STATE, policies=frozenset())
    assert told(saved("PREROUTING -j DROP", table="raw"), state=only) == [
        f'"-j DROP" in chain PREROUTING of table ip raw, rule 1, drops {PORT}'
    ]
    closed = saved("PREROUTING -p tcp -m tcp --dport 22 -j ACCEPT", table="raw")
    closed.chains["PREROUTING"].policy = "drop"
    assert told(closed, state=only) == [f"the policy of chain PREROUTING of table ip raw drops {PORT}"]
    closed.chains["PREROUTING"].rules += (
        saved("PREROUTING -p tcp -m tcp --dport 8080 -j ACCEPT").chains["PREROUTING"].rules
    )
    assert told(closed, state=only) == []


def test_possible_drops_have_an_end_too() -> None:
    table = saved(*("FORWARD -m limit --limit %d/sec -j DROP" % n for n in range(1, 21)))
    shown, more = possible_drops([one for one in found_in(table, also_possible=True) if one.is_possible])
    assert len(shown) == 8 and more == 12
    assert (shown[0].number, shown[0].handle, shown[0].conditions) == (1, None, ("-m limit --limit 1/sec",))


# ---- frames


def frames(family: str, hook: str, *rules: list[Any], dev: Any = None, policy: str = "accept") -> Table:
    place = {"family": family, "table": "theirs"}
    head = {**place, "name": "c", "type": "filter", "hook": hook, "prio": 0, "policy": policy, "dev": dev or ()}
    listed = [{"rule": {**place, "chain": "c", "handle": 7 + n, "expr": expr}} for n, expr in enumerate(rules)]
    (found,) = from_nft.tables([{"chain": head}, *listed])
    return found


INSIDE = "what goes from one endpoint of blue to another"
ARP = "the ARP packets of endpoints of blue"
WEB_SENDS, WEB_GETS = ("what the endpoint of blue at v-web %s" % word for word in ("sends", "gets"))


@pytest.mark.parametrize(
    ("hook", "expression", "what"),
    [
        ("forward", [], INSIDE),
        ("forward", [match(meta("iifname"), "v-web")], INSIDE),
        ("forward", [match(meta("oifname"), "v-*")], INSIDE),
        ("forward", [match(meta("ibrname"), "br-blue")], INSIDE),
        ("forward", [match(meta("ibrname"), "virbr0")], ""),
        ("forward", [match(meta("iifname"), "vnet0")], ""),
        ("forward", [match(payload("ether", "type"), "arp")], ARP),
        ("forward", [match(meta("protocol"), "ip6")], INSIDE),
        ("forward", [match(payload("ip", "saddr"), "10.20.0.2")], INSIDE),
        ("forward", [match(payload("ip", "saddr"), "10.9.0.2")], ""),
        ("prerouting", [match(payload("ip", "saddr"), "10.20.0.2")], OUT),
        ("input", [match(meta("pkttype"), "host")], None),
        ("input", [match(payload("ether", "type"), "arp")], ARP),
        ("output", [match(payload("tcp", "dport"), 80)], PORT),
        ("output", [match(payload("tcp", "dport"), 8080)], ""),
        ("postrouting", [match(meta("oifname"), "v-db"), match(payload("tcp", "dport"), 80)], PORT),
    ],
)
def test_frames_in_a_bridge_of_ours(hook: str, expression: list[Any], what: str | None) -> None:
    table = frames("bridge", hook, [*expression, DROP])
    whose = "in chain c of table bridge theirs, handle 7"
    assert [sentence.split('" ')[1] for sentence in told(table)] == ([f"{whose}, drops {what}"] if what else [])
    assert len(may(table)) == (what is None)


def test_the_policy_of_a_bridge_and_its_ports() -> None:
    assert told(frames("bridge", "forward", policy="drop")) == [
        f"the policy of chain c of table bridge theirs drops {INSIDE}"
    ]
    apart = FirewallState(frozenset([replace(BLUE, icc=False)]))
    assert told(frames("bridge", "forward", policy="drop"), state=apart) == []


@pytest.mark.parametrize("family", ["netdev", "inet"])
@pytest.mark.parametrize(
    ("hook", "dev", "expression", "what"),
    [
        ("ingress", "eth0", [], PORT),
        ("ingress", ["eth9", "eth0"], [match(payload("tcp", "dport"), 8080)], PORT),
        ("ingress", "eth0", [match(payload("tcp", "dport"), 80)], ""),
        ("ingress", "eth0", [match(payload("ip", "saddr"), "203.0.113.7")], ""),
        ("ingress", "eth0", [match(payload("ip", "daddr"), "192.0.2.11")], PORT),
        ("ingress", "eth9", [], ""),
        ("ingress", "v-web", [], WEB_SENDS),
        ("ingress", "v-web", [match(payload("tcp", "dport"), 25)], WEB_SENDS),
        (
            "ingress",
            "v-web",
            [match(payload("ether", "type"), "arp")],
            "the ARP packets of the endpoint of blue at v-web",
        ),
        ("egress", "v-web", [match(payload("ip6", "daddr"), "fd00:20::2")], WEB_GETS),
        ("egress", "v-web", [match(payload("ip", "saddr"), "203.0.113.7")], ""),
        ("ingress", "br-blue", [match(meta("l4proto"), "udp")], OUT),
        ("egress", "br-blue", [match(payload("tcp", "dport"), 80)], PORT),
        ("egress", "eth0", [], OUT),
        ("egress", "eth0", [match(payload("tcp", "dport"), 25)], ""),
    ],
)
def test_frames_on_a_link(family: str, hook: str, dev: Any, expression: list[Any], what: str) -> None:
    found = told(frames(family, hook, [*expression, DROP], dev=dev))
    whose = f"in chain c of table {family} theirs, handle 7"
    assert [sentence.rpartition('" ')[2] for sentence in found] == ([f"{whose}, drops {what}"] if what else [])


def test_a_rule_that_only_answers_what_is_dropped_anyway_is_not_told() -> None:
    answers = "FORWARD -p tcp -j REJECT --reject-with tcp-reset"
    assert told(saved(answers, "FORWARD -m limit --limit 1/sec -j LOG", "FORWARD -j REJECT")) == []
    (sentence,) = told(saved(answers, "FORWARD -i lan0 -j DROP"))
    assert sentence.endswith(f"rule 1, drops {PORT}")


# ---- what to do


@pytest.mark.parametrize(
    ("table", "advice"),
    [
        (native([ETH0, DROP]), "change the rule, or delete it: nft delete rule inet filter forward handle 7"),
        (
            saved("FORWARD -i eth0 -j DROP"),
            "change the rule, or delete it: iptables-nft -t filter -D FORWARD -i eth0 -j DROP",
        ),
        (
            saved("FORWARD -i br-blue -j DROP", version=6, store="legacy"),
            "change the rule, or delete it: ip6tables-legacy -t filter -D FORWARD -i br-blue -j DROP",
        ),
        (
            frames("netdev", "ingress", dev="eth0", policy="drop"),
            "change it: nft add chain netdev theirs c '{ policy accept; }'",
        ),
        (native([ETH0, DROP], name="firewalld"), "change its zones and policies (firewall-cmd)"),
    ],
)
def test_what_to_do_is_told(table: Table, advice: str) -> None:
    (sentence,) = sentences(found_in(table))
    assert sentence.endswith(f"; if that is not meant, {advice}")


def test_a_rule_of_docker_in_a_table_of_everybody_is_told_as_such() -> None:
    """Since release 28, the address of a container is closed by rules in the table raw."""
    mine = replace(WEB, host_ip=ip_address("172.17.0.2"))  # an address that both use
    only = FirewallState(ports=frozenset([mine]))
    docker = saved("PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP", table="raw")
    (sentence,) = sentences(found_in(docker, state=only))
    assert "in chain PREROUTING of table ip raw (Docker), rule 1, drops" in sentence
    assert sentence.endswith("; if that is not meant, change the options of Docker's networks")
    for other in ("-d 172.17.0.2/32 ! -i eth1 -j DROP", "-d 172.17.0.2/32 -p tcp ! -i docker0 -j DROP"):
        (sentence,) = sentences(found_in(saved("PREROUTING " + other, table="raw"), state=only))
        assert "Docker" not in sentence
