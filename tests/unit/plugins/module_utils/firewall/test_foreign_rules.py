# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The effects of other rules on our packets and ports, read from the output of nft and iptables-save."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign import from_nft, from_save
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.from_nft import captures_of_map
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.rules import (
    DIRECT,
    PUBLISHED,
    Capture,
    Packet,
    Table,
    dropped_by,
)
from ansible_collections.dockerless.network.plugins.module_utils.model import PortRange

OUT = Packet("br-blue")
IN = Packet("br-blue", PUBLISHED)
STRAIGHT = Packet("br-blue", DIRECT, "eth0")


def meta(key: str, value: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": value}}


def port(value: Any, protocol: str = "tcp") -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": "dport"}}, "right": value}}


DADDR = {"payload": {"protocol": "ip", "field": "daddr"}}
TCP = {"payload": {"protocol": "tcp", "field": "dport"}}
ACCEPT, DROP, RETURN = {"accept": None}, {"drop": None}, {"return": None}
COUNTER = {"counter": {"packets": 1, "bytes": 2}}
ESTABLISHED = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
TRANSLATED = {"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}}


def jump(target: str) -> dict[str, Any]:
    return {"jump": {"target": target}}


def goto(target: str) -> dict[str, Any]:
    return {"goto": {"target": target}}


def table_of(policy: str, *rules: list[Any], **chains: list[list[Any]]) -> Table:
    place = {"family": "inet", "table": "theirs"}
    base = {"name": "forward", "type": "filter", "hook": "forward", "prio": 0, "policy": policy}
    dump: list[Any] = [{"metainfo": {}}, {"table": {"family": "inet", "name": "theirs"}}, {"chain": {**place, **base}}]
    for name, body in {"forward": rules, **chains}.items():
        dump += [] if name == "forward" else [{"chain": {**place, "name": name}}]
        dump += [{"rule": {**place, "chain": name, "expr": rule}} for rule in body]
    (found,) = from_nft.tables(dump)
    return found


def what(table: Table, packet: Packet, *skip: str) -> str:
    return dropped_by(table, table.chains["forward"], packet, skip)


@pytest.mark.parametrize(
    "rules, out, into",
    [
        ([], "policy drop", "policy drop"),
        ([[ACCEPT]], "", ""),
        ([[ESTABLISHED, ACCEPT]], "policy drop", "policy drop"),
        ([[TRANSLATED, ACCEPT]], "policy drop", ""),
        ([[meta("iifname", "br-blue"), ACCEPT]], "", "policy drop"),
        ([[meta("oifname", "br-blue"), ACCEPT]], "policy drop", ""),
        ([[meta("iifname", "br-*"), ACCEPT]], "", "policy drop"),
        ([[meta("iifname", {"set": ["br-red", "br-blue"]}), ACCEPT]], "", "policy drop"),
        ([[meta("iifname", "eth0", "!="), ACCEPT]], "", ""),
        ([[meta("iifgroup", 25708), ACCEPT], [meta("oifgroup", 25708), ACCEPT]], "", ""),
        ([[meta("iifgroup", 7), ACCEPT]], "policy drop", "policy drop"),
        ([[meta("iifname", "docker0"), ACCEPT]], "policy drop", "policy drop"),
        # out by the uplink, or only among our own
        ([[meta("iifname", "br-blue"), meta("oifname", "eth0"), ACCEPT]], "", "policy drop"),
        ([[meta("iifname", "br-blue"), meta("oifname", "br-blue"), ACCEPT]], "policy drop", "policy drop"),
        ([[meta("iifgroup", 25708), meta("oifgroup", 25708), ACCEPT]], "policy drop", "policy drop"),
    ],
)
def test_a_policy_drops_what_no_rule_accepts(rules: list[list[Any]], out: str, into: str) -> None:
    table = table_of("drop", *rules)
    assert (what(table, OUT), what(table, IN)) == (out, into)


@pytest.mark.parametrize(
    "rules, expected",
    [
        ([[TRANSLATED, ACCEPT]], "policy drop"),
        ([[meta("iifname", "eth0"), meta("oifname", "br-blue"), ACCEPT]], ""),
        ([[meta("iifname", "eth1"), meta("oifname", "br-blue"), ACCEPT]], "policy drop"),
        ([[meta("iifname", "eth1", "!="), ACCEPT]], ""),
        ([[meta("iifname", "eth0"), DROP], [ACCEPT]], "rule drop"),
        ([[meta("iifname", "eth1"), DROP], [ACCEPT]], ""),
        ([[meta("iifname", "eth0"), goto("public")], [ACCEPT]], "reject in chain public"),
    ],
)
def test_where_both_ends_are_known_nothing_is_guessed(rules: list[list[Any]], expected: str) -> None:
    assert what(table_of("drop", *rules, public=[[{"reject": None}]]), STRAIGHT) == expected


@pytest.mark.parametrize(
    "rules, out",
    [
        ([[ESTABLISHED, ACCEPT], [COUNTER, DROP]], "rule drop"),
        ([[{"reject": {"type": "icmpx"}}]], "rule reject"),
        ([[{"xt": {"type": "target", "name": "REJECT"}}]], "rule reject"),
        ([[{"xt": {"type": "match", "name": "comment"}}, DROP]], "rule drop"),
        ([[{"xt": {"type": "match", "name": "limit"}}, DROP]], ""),
        ([[meta("iifname", "docker0"), DROP]], ""),
        ([[meta("iifname", "br-blue"), meta("oifname", "docker0"), DROP]], ""),
        ([[meta("iifname", "br-blue"), meta("oifname", "br-blue", "!="), DROP]], "rule drop"),
        ([[RETURN], [DROP]], ""),
    ],
)
def test_a_rule_drops_when_it_is_sure_to_match(rules: list[list[Any]], out: str) -> None:
    assert what(table_of("accept", *rules), OUT) == out


def test_chains_are_followed() -> None:
    table = table_of(
        "accept",
        [jump("zones")],
        [DROP],
        zones=[[meta("iifname", "br-blue"), goto("trusted")], [goto("public")]],
        public=[[jump("nothing")], [{"reject": None}]],
        trusted=[[ACCEPT]],
        nothing=[],
    )
    assert what(table, OUT) == "" and what(table, Packet("br-red")) == "reject in chain public"
    assert what(table, OUT, "trusted") == "rule drop"


def test_a_jump_that_may_not_be_taken_drops_nothing() -> None:
    table = table_of("accept", [meta("oifname", "docker0"), jump("docker")], docker=[[DROP]])
    assert what(table, OUT) == ""


def test_rules_of_ours_are_not_taken_for_theirs() -> None:
    place = {"family": "ip", "table": "filter", "chain": "FORWARD"}
    base = {"family": "ip", "table": "filter", "type": "filter", "hook": "forward", "policy": "drop"}
    dump = [
        {"chain": dict(base, name="FORWARD")},
        {"chain": {"family": "ip", "table": "filter", "name": "DLN-FORWARD"}},
        {"chain": {"family": "inet", "table": "dockerless", "name": "forward"}},
        {"chain": {"family": "arp", "table": "theirs", "name": "input"}},
        {"rule": dict(place, expr=[jump("DLN-FORWARD")])},
        {"rule": dict(place, expr=[ACCEPT], comment="dockerless.network")},
        {"rule": dict(place, chain="DLN-FORWARD", expr=[ACCEPT])},
    ]
    (table,) = from_nft.tables(dump)
    assert list(table.chains) == ["FORWARD"] and table.chains["FORWARD"].rules == []
    assert str(table) == "table ip filter" and table.concerns(4) and not table.concerns(6)


# ---- ports


def captured(*statements: Any) -> list[Capture]:
    (rule,) = table_of("accept", list(statements)).chains["forward"].rules
    assert rule.translates
    return list(rule.captures)


def test_translations_of_nft() -> None:
    to = {"dnat": {"addr": "10.0.0.1", "port": 80}}
    here = {"match": {"op": "==", "left": DADDR, "right": "192.0.2.11"}}
    both = {"concat": [DADDR, TCP]}
    some = {"set": [{"concat": ["192.0.2.11", 1]}, {"concat": ["192.0.2.12", {"range": [2, 3]}]}]}
    eighty = PortRange(80, 80)
    assert captured(port(80), to) == [Capture(eighty, "tcp", None, "leads it to 10.0.0.1:80")]
    assert captured(port(80, "th"), to) == [Capture(eighty, "", None, "leads it to 10.0.0.1:80")]
    assert captured(here, port(80, "udp"), {"redirect": {"port": 53}}) == [
        Capture(eighty, "udp", ip_network("192.0.2.11/32"), "leads it to port 53 of this host")
    ]
    assert captured(port({"set": [1, {"range": [3, 4]}]}), {"dnat": {"addr": "fd00::1"}}) == [
        Capture(PortRange(1, 1), "tcp", None, "leads it to fd00::1"),
        Capture(PortRange(3, 4), "tcp", None, "leads it to fd00::1"),
    ]
    assert captured({"match": {"op": "==", "left": both, "right": some}}, to) == [
        Capture(PortRange(1, 1), "tcp", ip_network("192.0.2.11/32"), "leads it to 10.0.0.1:80"),
        Capture(PortRange(2, 3), "tcp", ip_network("192.0.2.12/32"), "leads it to 10.0.0.1:80"),
    ]
    # whole addresses are no ports, nor is what a negation leaves
    assert captured(here, to) == []
    assert captured({"match": dict(port(80)["match"], op="!=")}, to) == []
    assert captured({"masquerade": None}) == []


def test_translations_by_maps_of_nft() -> None:
    inline = {"map": {"key": TCP, "data": {"set": [[22, "10.0.0.1"], [23, {"concat": ["10.0.0.2", 99]}]]}}}
    assert captured({"dnat": {"addr": inline}}) == [
        Capture(PortRange(22, 22), "tcp", None, "leads it to 10.0.0.1"),
        Capture(PortRange(23, 23), "tcp", None, "leads it to 10.0.0.2:99"),
    ]
    key = {"concat": [{"meta": {"key": "l4proto"}}, {"payload": {"protocol": "th", "field": "dport"}}]}
    elements = [[{"elem": {"val": {"concat": ["udp", 53]}, "comment": "x"}}, "10.0.0.3"], "no pair"]
    assert captures_of_map(key, elements) == (Capture(PortRange(53, 53), "udp", None, "leads it to 10.0.0.3"),)
    # on a host without /etc/protocols, nft prints their numbers
    assert captures_of_map(key, [[{"concat": [17, 53]}, "10.0.0.3"]])[0].protocol == "udp"
    (rule,) = table_of("accept", [{"dnat": {"addr": {"map": {"key": TCP, "data": "@m"}}}}]).chains["forward"].rules
    assert rule.maps == (("m", TCP),)


SAVED = """# Generated by iptables-save
*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:DLN-FORWARD - [0:0]
-A FORWARD -j DLN-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br-pub -m conntrack --ctstate DNAT -j ACCEPT
-A FORWARD -i br-red -m comment --comment "-j DROP" -j ACCEPT
-A FORWARD -i br-bad -j REJECT --reject-with icmp-port-unreachable
-A DOCKER-USER -m devgroup --src-group 0x646c -m comment --comment "dockerless.network" -j ACCEPT
-A DLN-FORWARD -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -d 192.0.2.11/32 -p udp -m multiport --dports 53,100:200 -j DNAT --to-destination 172.17.0.3
-A DOCKER -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 8443
-A DOCKER -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"""


def test_rules_of_iptables() -> None:
    filters, nat = from_save.tables(SAVED, "legacy", 4)
    assert str(filters) == "legacy iptables table filter" and "DLN-FORWARD" not in filters.chains
    forward = filters.chains["FORWARD"]
    assert (forward.kind, forward.hook, forward.policy) == ("filter", "forward", "drop")
    assert dropped_by(filters, forward, OUT) == "policy drop" and dropped_by(filters, forward, IN) == "policy drop"
    assert (
        dropped_by(filters, forward, Packet("br-red")) == ""
        and dropped_by(filters, forward, Packet("br-bad")) == "rule reject"
    )
    assert dropped_by(filters, forward, Packet("br-pub", PUBLISHED)) == ""
    assert dropped_by(filters, forward, Packet("br-pub")) == "policy drop"
    docker = nat.chains["DOCKER"].rules
    assert [rule.captures for rule in docker] == [
        (Capture(PortRange(8080, 8080), "tcp", None, "leads it to 172.17.0.2:80"),),
        (
            Capture(PortRange(53, 53), "udp", ip_network("192.0.2.11/32"), "leads it to 172.17.0.3"),
            Capture(PortRange(100, 200), "udp", ip_network("192.0.2.11/32"), "leads it to 172.17.0.3"),
        ),
        (Capture(PortRange(443, 443), "tcp", None, "leads it to port 8443 of this host"),),
        (),
    ]
    assert docker[0].came_by is not None and docker[0].came_by.take("eth0") and not docker[0].came_by.take("docker0")
    assert all(rule.translates for rule in docker)
