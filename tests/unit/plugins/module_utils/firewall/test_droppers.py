# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single rules of others that drop packets of ours: named when they are sure to hit one, and else never."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign import from_nft, from_save
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.droppers import droppers, sentences
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.rules import Table
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    PortRange,
    PublishedPort,
)

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")), network="blue")
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")
STATE = FirewallState(frozenset([BLUE]), ports=frozenset([WEB]))
LOCAL = [ip_address(text) for text in ("127.0.0.1", "192.0.2.11", "10.20.0.1", "2001:db8:1::11")]

PORT = "what comes by eth0 to the published port 8080/tcp (blue)"
OUT = "what goes from blue to the outside by eth0"


class Tables:
    """The rules of others, in place of foreign.reader.Foreign."""

    bridged = False

    def __init__(self, *found: Table) -> None:
        self.found = found

    def filters_bridged(self, version: int) -> bool:
        return self.bridged and version == 4

    def tables(self) -> tuple[Table, ...]:
        return self.found


def told(*tables: Table, state: FirewallState = STATE) -> list[str]:
    return sentences(droppers(Tables(*tables), state, ["eth0"], LOCAL))  # type: ignore[arg-type]


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


def native(*rules: list[Any], hook: str = "forward", prio: int = 0) -> Table:
    place = {"family": "inet", "table": "filter"}
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
        ("-m iprange ! --src-range 192.0.2.1-192.0.2.9 -j DROP", False),
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
    "known", [{"set": ["established", "related"]}, {"|": ["established", "related"]}, ["established", "related"]]
)
def test_what_lets_no_connection_begin_is_told(known: Any) -> None:
    """All spellings of nft; a rule that lets known packets pass comes first, and is not about the first one."""
    state = {"ct": {"key": "state"}}
    rules = ([match(state, ["established", "related"], "in"), {"accept": None}], [match(state, known, "!="), DROP])
    assert told(native(*rules)) == [
        f'"ct state != {{ established, related }} drop" in chain forward of table inet filter, handle 8, drops {PORT}'
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
        ([match(meta("nfproto"), "ipv4"), ETH0], "iifname eth0 meta nfproto ipv4 drop"),
        ([match(meta("nfproto"), "ipv6"), ETH0], None),
        ([match(payload("ip", "daddr"), {"prefix": {"addr": "10.20.0.0", "len": 16}})], "ip daddr 10.20.0.0/16 drop"),
        ([match(payload("ip6", "daddr"), "fd00:20::2")], None),
        ([match(meta("l4proto"), {"set": ["tcp", "udp"]}), ETH0], "iifname eth0 meta l4proto { tcp, udp } drop"),
        ([match(payload("th", "dport"), {"range": [70, 90]}), ETH0], "iifname eth0 th dport 70-90 drop"),
        (
            [match({"ct": {"key": "state"}}, ["established", "new"], "in"), HTTP],
            "tcp dport 80 ct state established,new drop",
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
        ([match(payload("ip", "protocol"), "udp", "!=")], "meta nfproto ipv4 meta l4proto != udp drop"),
        ([match(meta("l4proto"), {"set": ["udp", "icmp"]}, "!=")], "meta l4proto != { udp, icmp } drop"),
        ([match(meta("nfproto"), "ipv6", "!="), ETH0], "iifname eth0 meta nfproto ipv4 drop"),
        ([match(meta("nfproto"), "ipv4", "!="), ETH0], None),
        ([match(meta("iifname"), {"set": ["eth1", "eth2"]}, "!=")], "iifname != { eth1, eth2 } drop"),
        ([match(meta("iifname"), "eth0", "!="), match(meta("iifname"), "eth1", "!=")], None),
        (
            [match(meta("iifname"), "eth1", "!="), match(meta("iifname"), "eth2", "!=")],
            "iifname != { eth1, eth2 } drop",
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
    found = droppers(Tables(table), state, ["eth0"], LOCAL[:2])  # type: ignore[arg-type]
    assert found == []


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
