# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of others in tables of iptables after which packets of ours do not come to our rules there."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest
from test_droppers import BLUE, LOCAL, OUT, PORT, WEB

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import BaseChain
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign import ahead, from_save
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.reader import Around
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import Link
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    FirewallState,
    Masquerade,
    OutInterface,
)

NAT = [Masquerade(subnet, OutInterface("br-blue", True), network="blue") for subnet in BLUE.subnets]
STATE = FirewallState(frozenset([BLUE]), frozenset(NAT), frozenset([WEB]))
JUMPS = {
    ("nat", "POSTROUTING"): "DLN-EGRESS",
    ("nat", "PREROUTING"): "DLN-PUBLISH-IN",
    ("nat", "OUTPUT"): "DLN-PUBLISH-OUT",
    ("mangle", "PREROUTING"): "DLN-GUARD",
    ("raw", "PREROUTING"): "DLN-LOOPBACK",
}
GUARDED = "what comes by eth0 for addresses of blue"
LOOPBACK = "what comes by eth0 for 127.0.0.0/8 of this host"
OWN = "what goes from this host to the published port 8080/tcp (blue)"


class Tables:
    """The rules of others, in place of foreign.reader.Foreign."""

    def __init__(self, table: str, *lines: str, version: int = 4, store: str = "nft") -> None:
        places = "".join(":%s ACCEPT [0:0]\n" % chain for where, chain in JUMPS if where == table)
        text = "*%s\n%s:SUB - [0:0]\n%s\nCOMMIT\n" % (table, places, "\n".join("-A " + line for line in lines))
        self.found = from_save.tables(text, store, version)

    def tables(self) -> Any:
        return self.found


def sentences(there: Tables, state: FirewallState = STATE, kept: Any = None) -> list[str]:
    links = [Link("eth0", 0, addresses=tuple(map(ip_interface, LOCAL))), Link("br-blue", 0, "bridge")]
    around = Around(lambda: ["eth0"], {link.name: link for link in links})
    return ahead.sentences(there, state, around, kept)  # type: ignore[arg-type]


def told(table: str, chain: str, *lines: str, **more: Any) -> list[str]:
    """The packets that rules before our jump take past it."""
    jump = f'{chain} -m comment --comment "dockerless.network" -j {JUMPS[table, chain]}'
    spelled = [line if line.startswith("SUB ") else f"{chain} {line}" for line in lines]
    found = sentences(Tables(table, *spelled, jump, f"{chain} -j ACCEPT", **more))
    return [sentence.partition(", lets ")[2].partition(" pass ")[0] for sentence in found]


@pytest.mark.parametrize(
    ("table", "chain", "rule", "packets"),
    [
        ("nat", "POSTROUTING", "-s 10.0.0.0/8 -j ACCEPT", OUT),
        ("nat", "POSTROUTING", "-j RETURN", OUT),
        ("nat", "POSTROUTING", "-o eth0 -j ACCEPT", OUT),
        ("nat", "POSTROUTING", "-s 10.20.0.2/32 -j ACCEPT", OUT),
        ("nat", "POSTROUTING", "-p tcp -j ACCEPT", OUT),
        ("nat", "POSTROUTING", "! -d 10.0.0.0/8 -o eth0 -j ACCEPT", OUT),
        # a way that somebody has excepted, as for the peers of a VPN
        ("nat", "POSTROUTING", "-s 10.20.0.0/24 -d 10.30.0.0/24 -j ACCEPT", ""),
        ("nat", "POSTROUTING", "-d 10.30.0.0/24 -j ACCEPT", ""),
        ("nat", "POSTROUTING", "-s 10.20.0.0/24 -m policy --dir out --pol ipsec -j ACCEPT", ""),
        ("nat", "POSTROUTING", "-s 10.9.0.0/24 -j ACCEPT", ""),
        ("nat", "POSTROUTING", "-o eth9 -j ACCEPT", ""),
        ("nat", "POSTROUTING", "-j LOG", ""),
        ("nat", "POSTROUTING", "-s 10.0.0.0/8 -j MASQUERADE", ""),
        ("nat", "PREROUTING", "-i eth0 -j ACCEPT", PORT),
        ("nat", "PREROUTING", "-d 192.0.2.11/32 -p tcp -m tcp --dport 8080 -j RETURN", PORT),
        ("nat", "PREROUTING", "-p tcp -m tcp --dport 80 -j ACCEPT", ""),
        ("nat", "PREROUTING", "-s 203.0.113.7/32 -j ACCEPT", ""),
        ("nat", "OUTPUT", "-d 127.0.0.0/8 -j RETURN", ""),  # it is published on the other addresses as well
        ("nat", "OUTPUT", "-o lo -j ACCEPT", OWN),
        ("mangle", "PREROUTING", "-i eth0 -j ACCEPT", GUARDED),
        ("mangle", "PREROUTING", "-d 10.20.0.0/16 -j ACCEPT", GUARDED),
        ("mangle", "PREROUTING", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", ""),
        ("mangle", "PREROUTING", "-i eth0 -j DROP", ""),
        ("raw", "PREROUTING", "-i eth0 -j ACCEPT", LOOPBACK),
        ("raw", "PREROUTING", "-i eth0 -j NOTRACK", ""),
    ],
)
def test_what_a_rule_before_our_jump_takes_past_it(table: str, chain: str, rule: str, packets: str) -> None:
    assert told(table, chain, rule) == [packets] * bool(packets)


def test_what_another_rule_has_dealt_with_before() -> None:
    accepts = "-s 10.0.0.0/8 -j ACCEPT"
    assert told("nat", "POSTROUTING", "-s 10.20.0.0/24 -j MASQUERADE", accepts) == []
    assert told("mangle", "PREROUTING", "-i eth0 -j DROP", "-i eth0 -j ACCEPT") == []


@pytest.mark.parametrize(
    ("calls", "called", "packets"),
    [
        ("-j SUB", "-j ACCEPT", OUT),
        ("-o eth0 -j SUB", "-s 10.0.0.0/8 -j ACCEPT", OUT),
        ("-j SUB", "-j RETURN", ""),
        ("-o eth9 -j SUB", "-j ACCEPT", ""),
        ("-g SUB", "-s 10.9.0.0/24 -j ACCEPT", OUT),  # it does not come back
    ],
)
def test_chains_that_are_called(calls: str, called: str, packets: str) -> None:
    assert told("nat", "POSTROUTING", calls, "SUB " + called) == [packets] * bool(packets)


def test_the_sentence_names_the_rule_and_what_deletes_it() -> None:
    jump = "POSTROUTING -m comment --comment dockerless.network -j DLN-EGRESS"
    there = Tables("nat", "POSTROUTING -s 10.0.0.0/8 -j ACCEPT", jump, store="legacy")
    (sentence,) = sentences(there)
    assert sentence == (
        '"-s 10.0.0.0/8 -j ACCEPT" in chain POSTROUTING of legacy iptables table nat, rule 1, lets %s pass before our'
        " rules see it, which would translate it; if that is not meant, change the rule, or delete it:"
        " iptables-legacy -t nat -D POSTROUTING -s 10.0.0.0/8 -j ACCEPT" % OUT
    )
    # a run that puts our jumps in front anew, or that takes the masquerade away
    assert sentences(there, kept=[]) == []
    assert sentences(there, kept=[BaseChain("legacy", "ip", "nat", "POSTROUTING")]) == [sentence]
    assert sentences(there, replace(STATE, masquerades=frozenset())) == []
    assert sentences(Tables("nat", jump, "POSTROUTING -s 10.0.0.0/8 -j ACCEPT")) == []


def test_a_rule_that_leads_all_ports_elsewhere() -> None:
    jump = "PREROUTING -m comment --comment dockerless.network -j DLN-PUBLISH-IN"
    leads = "-j DNAT --to-destination 10.9.9.9"
    (sentence,) = sentences(Tables("nat", f"PREROUTING -d 192.0.2.11/32 {leads}", jump))
    assert f", rule 1, leads {PORT} elsewhere before our rules see it; if that is not meant" in sentence
    # others' clients, and another address
    for rule in (f"-s 203.0.113.7/32 -p tcp {leads}", f"-d 192.0.2.12/32 {leads}", f"-p udp {leads}"):
        assert sentences(Tables("nat", f"PREROUTING {rule}", jump)) == []


def test_what_our_rules_let_through_may_be_let_through_by_others() -> None:
    jump = "PREROUTING -m comment --comment dockerless.network -j DLN-GUARD"
    there = Tables("mangle", "PREROUTING -i eth0 -j ACCEPT", jump)
    assert len(sentences(there)) == 1
    for policy in ({"direct_access": True}, {"trusted_interfaces": ("eth0",)}):
        assert sentences(there, replace(STATE, policies=frozenset([replace(BLUE, **policy)]))) == []


def test_each_family_by_itself() -> None:
    assert told("nat", "POSTROUTING", "-s fd00::/8 -j ACCEPT", version=6) == [OUT]
    assert told("nat", "POSTROUTING", "-s fd00:21::/64 -j ACCEPT", version=6) == []
