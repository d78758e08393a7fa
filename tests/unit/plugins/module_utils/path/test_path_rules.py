# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of rules for a packet, and the cases in which it is unknown."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.model import Address
from ansible_collections.dockerless.network.plugins.module_utils.path.nft_rules import chains_of
from ansible_collections.dockerless.network.plugins.module_utils.path.packet import Packet
from ansible_collections.dockerless.network.plugins.module_utils.path.rules import Filter
from ansible_collections.dockerless.network.plugins.module_utils.path.save_rules import chains_of_save

Json = t.Any
SYN = Packet(ipaddress.ip_address("10.20.0.2"), ipaddress.ip_address("192.0.2.2"), dport=80, iif="br-blue", oif="up0")
ANSWER = Packet(SYN.to, SYN.source, sport=80, iif="up0", oif="br-blue", state="established", answer=True)


class Around:
    """A stack with one address."""

    def is_local(self, address: Address) -> bool:
        return str(address) == "192.0.2.1"

    def link_group(self, link: str) -> int | None:
        return 25708 if link == "br-blue" else 0

    def link_kind(self, link: str) -> str | None:
        return {"br-blue": "bridge", "up0": ""}.get(link)

    def own_address(self, link: str, version: int) -> Address | None:
        return ipaddress.ip_address("192.0.2.1")


def match(left: Json, right: Json, op: str = "==") -> Json:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str) -> Json:
    return {"meta": {"key": key}}


def payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def ct(key: str, **more: str) -> Json:
    return {"ct": {"key": key, **more}}


DROP, ACCEPT, RETURN = ({name: None} for name in ("drop", "accept", "return"))


def nft(*rules: list[Json], policy: str = "accept", more: t.Sequence[Json] = (), kind: str = "filter") -> Filter:
    chain = {"family": "inet", "table": "t", "name": "c", "type": kind, "hook": "forward", "prio": 0, "policy": policy}
    listing = [{"chain": chain}, *more]
    listing += [
        {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": number, "expr": rule}}
        for number, rule in enumerate(rules, 1)
    ]
    return Filter(chains_of(listing))


def saved(*lines: str, policy: str = "ACCEPT", table: str = "filter") -> Filter:
    text = "\n".join(["*" + table, ":FORWARD %s [0:0]" % policy, ":more - [0:0]", *lines, "COMMIT"])
    return Filter(chains_of_save(text, "legacy", 4))


def verdict(rules: Filter, packet: Packet = SYN, hook: str = "forward") -> str:
    return rules.on_hook(hook, packet, Around()).kind


PREFIX = {"prefix": {"addr": "10.20.0.0", "len": 24}}
MATCHES = {
    "interface": match(meta("iifname"), "br-blue"),
    "wildcard": match(meta("iifname"), "br-*"),
    "group": match(meta("iifgroup"), 25708),
    "kind": match(meta("iifkind"), "bridge"),
    "other kind": match(meta("iifkind"), "veth", "!="),
    "prefix": match(payload("ip", "saddr"), PREFIX),
    "set": match(payload("tcp", "dport"), {"set": [22, {"range": [79, 81]}]}),
    "not in a set": match(payload("tcp", "dport"), {"set": [22, 443]}, "!="),
    "concatenation": match(
        {"concat": [payload("ip", "daddr"), payload("tcp", "dport")]}, {"set": [{"concat": ["192.0.2.2", 80]}]}
    ),
    "protocol by name": match(meta("l4proto"), "tcp"),
    "state": match(ct("state"), ["new", "untracked"], "in"),
    "flags": match({"&": [payload("tcp", "flags"), {"|": ["syn", "ack"]}]}, "syn"),
    "order": match(payload("tcp", "dport"), 1024, "<"),
    "type of address": match({"fib": {"result": "type", "flags": "daddr"}}, "unicast"),
    "mark": match(meta("mark"), 0),
}
OTHERS = {
    "interface": match(meta("iifname"), "up0"),
    "kind": match(meta("iifkind"), "veth"),
    "a card has no kind": match(meta("oifkind"), "bridge"),
    "a card has not even another kind": match(meta("oifkind"), "bridge", "!="),
    "prefix": match(payload("ip", "saddr"), PREFIX, "!="),
    "other family": match(payload("ip6", "saddr"), "::/0", "!="),
    "other protocol": match(payload("udp", "dport"), 80),
    "state": match(ct("state"), "established", "in"),
    "direction": match(ct("direction"), "reply"),
    "status": match(ct("status"), "dnat", "in"),
}
DOUBTS = {
    "a rate": {"limit": {"rate": 1, "per": "second"}},
    "a source port": match(payload("tcp", "sport"), 1234),
    "an extension": {"xt": None},
    "time": match(meta("hour"), "10:00"),
    "a user": match(meta("skuid"), 0),
    "bytes at an offset": match({"payload": {"base": "th", "offset": 0, "len": 8}}, 1),
}


class TestNft:
    @pytest.mark.parametrize("name", MATCHES)
    def test_a_rule_that_matches_drops(self, name: str) -> None:
        assert verdict(nft([MATCHES[name], DROP])) == "drop"

    @pytest.mark.parametrize("name", OTHERS)
    def test_a_rule_for_others_does_not(self, name: str) -> None:
        assert verdict(nft([OTHERS[name], DROP])) == "pass"

    @pytest.mark.parametrize("name", DOUBTS)
    def test_a_rule_about_which_nobody_can_tell_leaves_it_unknown(self, name: str) -> None:
        assert verdict(nft([DOUBTS[name], DROP])) == "unknown"

    @pytest.mark.parametrize("name", DOUBTS)
    def test_doubt_does_not_matter_where_the_end_is_the_same(self, name: str) -> None:
        assert verdict(nft([DOUBTS[name], ACCEPT])) == "pass"
        assert verdict(nft([DOUBTS[name], DROP], policy="drop")) == "drop"

    def test_the_first_verdict_counts(self) -> None:
        assert verdict(nft([MATCHES["interface"], ACCEPT], [DROP])) == "pass"

    def test_the_policy_is_the_last_word(self) -> None:
        assert verdict(nft([OTHERS["interface"], ACCEPT], policy="drop")) == "drop"

    def test_the_answer_is_another_packet(self) -> None:
        rules = nft([match(ct("state"), ["established", "related"], "in"), ACCEPT], [DROP])
        assert (verdict(rules), verdict(rules, ANSWER)) == ("drop", "pass")

    @pytest.mark.parametrize(("verb", "after"), [("jump", "drop"), ("goto", "pass")])
    def test_a_chain_that_does_not_decide_gives_back(self, verb: str, after: str) -> None:
        more = [{"chain": {"family": "inet", "table": "t", "name": "other"}}]
        assert verdict(nft([{verb: {"target": "other"}}], [DROP], more=more)) == after

    def test_a_named_set_and_a_verdict_map_are_looked_into(self) -> None:
        body = {"family": "inet", "table": "t", "name": "s", "type": "inet_service"}
        more = [{"set": {**body, "elem": [{"elem": {"val": 80, "comment": "web"}}]}}]
        assert verdict(nft([match(payload("tcp", "dport"), "@s"), DROP], more=more)) == "drop"
        choice = {"vmap": {"key": payload("tcp", "dport"), "data": {"set": [[22, ACCEPT], [80, DROP]]}}}
        assert verdict(nft([choice])) == "drop"

    def test_the_rule_that_drops_is_named(self) -> None:
        found = nft([MATCHES["interface"], DROP]).on_hook("forward", SYN, Around())
        assert found.because == "chain c of table inet t: iifname br-blue drop"
        assert found.rule is not None and found.rule.handle == 1

    def test_translation_leads_elsewhere_once(self) -> None:
        to = {"dnat": {"family": "ip", "addr": "10.20.0.9", "port": 8080}}
        rules = nft([to], kind="nat")
        found = rules.on_hook("forward", SYN, Around()).packet
        assert (str(found.to), found.dport, found.status) == ("10.20.0.9", 8080, {"dnat"})
        assert rules.on_hook("forward", ANSWER, Around()).packet == ANSWER


class TestIptables:
    @pytest.mark.parametrize(
        "text",
        [
            "-i br-blue",
            "-i br-+",
            "! -i up0",
            "-s 10.20.0.0/24 -d 192.0.2.2/32",
            "-p tcp -m tcp --dport 79:81",
            "-p tcp -m multiport --dports 22,80",
            "-m conntrack --ctstate NEW",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
            '-m comment --comment "a rule -j ACCEPT"',
            "-m addrtype --dst-type UNICAST",
            "-m devgroup --src-group 0x646c ! --dst-group 0x646c",
        ],
    )
    def test_a_rule_that_matches_drops(self, text: str) -> None:
        assert verdict(saved("-A FORWARD %s -j DROP" % text)) == "drop"

    @pytest.mark.parametrize(
        "text",
        [
            "-i up0",
            "! -i br-blue",
            "-p udp",
            "-m conntrack --ctstate RELATED,ESTABLISHED",
            "-d 10.0.0.0/8",
            "-m devgroup ! --src-group 0x646c",
        ],
    )
    def test_a_rule_for_others_does_not(self, text: str) -> None:
        assert verdict(saved("-A FORWARD %s -j DROP" % text)) == "pass"

    @pytest.mark.parametrize(
        "text",
        ["-m limit --limit 1/sec", "-m mark --mark 0x1", "-m set --match-set bad src", "-m devgroup --src-group mine"],
    )
    def test_what_is_not_known_leaves_it_unknown(self, text: str) -> None:
        assert verdict(saved("-A FORWARD %s -j DROP" % text)) == "unknown"

    def test_a_chain_is_followed_and_the_policy_decides(self) -> None:
        rules = ("-A FORWARD -j more", "-A more -i up0 -j ACCEPT")
        assert verdict(saved(*rules, policy="DROP")) == "drop"
        assert verdict(saved(*rules, policy="DROP"), SYN.at(iif="up0")) == "pass"

    def test_reject_refuses(self) -> None:
        assert verdict(saved("-A FORWARD -j REJECT --reject-with icmp-port-unreachable")) == "reject"

    def test_a_translation_is_read(self) -> None:
        rule = "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.9:81"
        text = "*nat\n:PREROUTING ACCEPT [0:0]\n%s\n" % rule
        found = Filter(chains_of_save(text, "legacy", 4)).on_hook("prerouting", SYN, Around()).packet
        assert (str(found.to), found.dport) == ("10.0.0.9", 81)
        # the host has sent it to itself, and the kernel asked the chains of the way out
        again = Filter(chains_of_save(text, "legacy", 4)).on_hook("prerouting", SYN.at(iif="lo"), Around()).packet
        assert (again.to, again.dport) == (SYN.to, SYN.dport)

    @pytest.mark.parametrize(
        ("first", "last", "by"),
        [
            ("-j ACCEPT", "", "-A PREROUTING -j ACCEPT"),
            ("-j RETURN", "", "-A PREROUTING -j RETURN"),
            ("-j more", "-A more -j ACCEPT", "-A more -j ACCEPT"),
            ("-j more", "-A more -j RETURN", ""),
            ("-p udp -j ACCEPT", "", ""),
            ("-m recent --rcheck -j ACCEPT", "", ""),  # nobody can tell
        ],
    )
    def test_an_accept_before_a_translation_ends_the_chain_early(self, first: str, last: str, by: str) -> None:
        translates = "-A PREROUTING -p tcp -m tcp --dport %d -j DNAT --to-destination 10.0.0.9:81"
        for port, ends in ((80, [by] * bool(by)), (99, [])):
            rules = ("*nat", ":PREROUTING ACCEPT [0:0]", ":more - [0:0]", f"-A PREROUTING {first}", last)
            text = "\n".join([*rules, translates % port, "-A PREROUTING -j ACCEPT"])
            found = Filter(chains_of_save(text, "legacy", 4)).on_hook("prerouting", SYN, Around())
            assert [one.by.rule.text for one in found.early if one.by.rule] == ends
            assert [one.missed.packet.dport for one in found.early] == [81] * len(ends)


def test_the_youngest_of_chains_with_one_priority_is_called_first() -> None:
    chain = {"family": "inet", "type": "filter", "hook": "forward", "policy": "drop"}
    names = [("old", 0), ("first", -5), ("young", 0)]
    found = chains_of([{"chain": {**chain, "table": name, "name": "c", "prio": priority}} for name, priority in names])
    legacy = chains_of_save("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", "legacy", 4)
    hook = Filter([*found, *legacy]).base_chains("forward", ("inet", "ip"))
    assert [one.table for one in hook] == ["first", "young", "old", "filter"]
