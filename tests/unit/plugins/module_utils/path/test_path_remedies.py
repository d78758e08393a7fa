# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the advice, as the user types them; tests with packets show that they help."""

from __future__ import annotations

import ipaddress
import shutil
import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.firewall import reasons
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST, Place
from ansible_collections.dockerless.network.plugins.module_utils.path import remedies, whose
from ansible_collections.dockerless.network.plugins.module_utils.path.packet import Packet
from ansible_collections.dockerless.network.plugins.module_utils.path.rules import DROP, Chain, Filter, Outcome, Rule

SYN = Packet(ipaddress.ip_address("10.20.0.2"), ipaddress.ip_address("192.0.2.2"), dport=80)
SYN6 = Packet(ipaddress.ip_address("fd00::2"), ipaddress.ip_address("2001:db8::2"), dport=80)


def node(place: Place) -> t.Any:
    return SimpleNamespace(
        place=place,
        is_host=place == HOST,
        name=place.netns or "host",
        nics={},
        filter=Filter(),
        file=lambda path: None,
        bridge_with=lambda address: None,
        is_local=lambda address: False,
    )


ON_THE_HOST, IN_WEB, IN_A_PROCESS = node(HOST), node(Place(netns="web")), node(Place(pid=77))


def advice(chain: Chain, packet: Packet = SYN, rule: Rule | None = None, where: t.Any = ON_THE_HOST) -> str:
    return remedies.open_for(where, Outcome(DROP, packet, chain, rule))


@pytest.mark.parametrize(
    ("where", "command"),
    [
        (ON_THE_HOST, "ip link set eth0 up"),
        (IN_WEB, "ip -n web link set eth0 up"),
        (IN_A_PROCESS, "nsenter --net=/proc/77/ns/net ip link set eth0 up"),
    ],
)
def test_a_command_names_the_stack(where: t.Any, command: str) -> None:
    assert remedies.ip(where, "link set eth0 up") == command


@pytest.mark.parametrize(
    ("where", "key", "command"),
    [
        (ON_THE_HOST, "ipv4/ip_forward", "sysctl -w net.ipv4.ip_forward=1"),
        (ON_THE_HOST, "ipv4/conf/eth0.5/forwarding", "sysctl -w net/ipv4/conf/eth0.5/forwarding=1"),
        # not the host's own link of that name
        (IN_WEB, "ipv4/conf/eth0/rp_filter", "ip netns exec web sysctl -w net.ipv4.conf.eth0.rp_filter=1"),
    ],
)
def test_a_sysctl_is_set_in_its_stack_by_a_name_that_sysctl_takes(where: t.Any, key: str, command: str) -> None:
    assert remedies.sysctl(where, key, 1) == command


POLICIES = {
    "nft": (
        Chain("nft", "inet", "f", "fwd", "forward", 0),
        SYN,
        [
            "nft insert rule inet f fwd ip saddr 10.20.0.2 ip daddr 192.0.2.2 tcp dport 80 accept",
            "nft insert rule inet f fwd ct state established,related accept",
        ],
    ),
    "before connection tracking": (
        Chain("nft", "inet", "f", "raw", "prerouting", -300),
        SYN6,
        [
            "nft insert rule inet f raw ip6 saddr fd00::2 ip6 daddr 2001:db8::2 tcp dport 80 accept",
            "nft insert rule inet f raw ip6 saddr 2001:db8::2 ip6 daddr fd00::2 tcp sport 80 accept",
        ],
    ),
    "neighbour discovery": (
        Chain("nft", "inet", "f", "in", "input", 0),
        SYN6.at(protocol="nd"),
        ["nft insert rule inet f in icmpv6 type '{ nd-neighbor-solicit, nd-neighbor-advert }' accept"],
    ),
    "iptables": (
        Chain("nft", "ip", "filter", "FORWARD", "forward", 0),
        SYN,
        [
            "iptables-nft -t filter -I FORWARD -s 10.20.0.2 -d 192.0.2.2 -p tcp --dport 80 -j ACCEPT",
            "iptables-nft -t filter -I FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        ],
    ),
    "legacy, before connection tracking": (
        Chain("legacy", "ip6", "raw", "PREROUTING", "prerouting", -300),
        SYN6,
        [
            "ip6tables-legacy -t raw -I PREROUTING -s fd00::2 -d 2001:db8::2 -p tcp --dport 80 -j ACCEPT",
            "ip6tables-legacy -t raw -I PREROUTING -s 2001:db8::2 -d fd00::2 -p tcp --sport 80 -j ACCEPT",
        ],
    ),
    "ping": (
        Chain("legacy", "ip6", "filter", "FORWARD", "forward", 0),
        SYN6.at(protocol="icmp", dport=0),
        [
            "ip6tables-legacy -t filter -I FORWARD -s fd00::2 -d 2001:db8::2 -p icmpv6 -j ACCEPT",
            "ip6tables-legacy -t filter -I FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        ],
    ),
    "an answer": (
        Chain("nft", "inet", "f", "fwd", "forward", 0),
        SYN.at(answer=True, sport=80, dport=40000, state="established"),
        ["nft insert rule inet f fwd ct state established,related accept"],
    ),
    "an answer that is not tracked": (
        Chain("nft", "inet", "f", "fwd", "forward", 0),
        SYN.at(answer=True, sport=80, dport=40000, state="untracked"),
        [
            "nft insert rule inet f fwd ip saddr 192.0.2.2 ip daddr 10.20.0.2 tcp dport 80 accept",
            "nft insert rule inet f fwd ip saddr 10.20.0.2 ip daddr 192.0.2.2 tcp sport 80 accept",
        ],
    ),
    # such a chain must let frames pass, and the requests for their MAC addresses, too
    "bridge": (
        Chain("nft", "bridge", "f", "fwd", "forward", 0),
        SYN,
        ["nft add chain bridge f fwd '{ policy accept; }'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("chain", "packet", "commands"), POLICIES.values(), ids=POLICIES)
def test_a_policy_is_opened_both_ways_by_the_tool_of_the_chain(
    monkeypatch: pytest.MonkeyPatch, chain: Chain, packet: Packet, commands: list[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program, path: f"/usr/sbin/{program}")
    assert advice(chain, packet).partition(": ")[2] == " && ".join(commands)


def test_without_iptables_its_chains_are_opened_by_nft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program, path: None)
    assert "nft insert rule ip filter FORWARD" in advice(Chain("nft", "ip", "filter", "FORWARD", "forward", 0))


def test_a_rule_is_deleted_where_it_stands() -> None:
    chain, rule = Chain("nft", "inet", "f", "in", "input", 0), Rule("drop", (), 5)
    told = advice(chain, rule=rule, where=IN_WEB)
    assert told == "Change the rule, or delete it: ip netns exec web nft delete rule inet f in handle 5"


@pytest.mark.parametrize(
    ("reason", "option"),
    [
        (reasons.DIRECT, "direct_access: true"),
        (reasons.OUT, "internal: false"),
        (reasons.IN, "internal: false"),
        (reasons.HOST, "host_access: allow"),
        (reasons.PRIVATE, "ct zone"),
        (reasons.STRAY, "ct zone"),
        (reasons.LOOPBACK, "publish the port on an address of the host"),
        (reasons.TRANSIT, "bridge_network_forward_policy: unmanaged"),
        (reasons.FOREIGN, "bridge_network_forward_policy: unmanaged"),
        (reasons.CLOSED, "`allow` for 192.0.2.2:80"),
    ],
)
def test_what_rules_of_ours_close_an_option_opens(reason: str, option: str) -> None:
    chain = Chain("nft", "inet", "dockerless", "into")
    assert option in advice(chain, rule=Rule('drop comment "%s"' % reason, (), 5))


@pytest.mark.parametrize(
    ("chain", "option"),
    [("DLN-HOST", "host_access: allow"), ("DLN-FOREIGN", "forward_policy"), ("DLN-TRANSIT", "forward_policy")],
)
def test_iptables_tells_the_reason_by_the_chain(chain: str, option: str) -> None:
    assert option in advice(Chain("nft", "ip", "filter", chain), rule=Rule("-j DROP", (), 5))


def test_what_holds_the_place_of_our_rules_is_lifted_by_what_brings_them_back() -> None:
    chain = Chain("nft", "inet", "dockerless_hold", "ports", "prerouting", -150)
    assert advice(chain, rule=Rule("drop", (), 5)).endswith(": systemctl reload dockerless-network.service")
    assert "holds the place of this collection's rules" in whose.in_words(ON_THE_HOST, Outcome(DROP, SYN, chain))


def test_rules_of_the_users_are_not_ours() -> None:
    chain = Chain("nft", "inet", "dockerless", "user")
    assert "nft delete rule" in advice(chain, rule=Rule("drop", (), 5))


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("ip saddr 10.20.0.0/24 oifname eth0 masquerade comment blue", "eth0"),
        ("oifname eth0 snat to 192.0.2.1", "eth0"),
        ("-s 10.20.0.0/24 -o eth0 -m comment --comment network=blue -j MASQUERADE", "eth0"),
        ("-s 10.20.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.1", "eth0"),
        ("ip saddr 10.20.0.0/24 oifname lan0 masquerade", ""),
        ("oifname @publish_over masquerade", ""),
        ("ip saddr 10.20.0.0/24 oifname != eth0 masquerade", ""),
        ("-s 10.20.0.0/24 ! -o eth0 -j MASQUERADE", ""),
        ("ip saddr 10.21.0.0/24 oifname eth0 masquerade", ""),
        ("ip6 saddr fd00::/64 oifname eth0 masquerade", ""),
        ("ip saddr 10.20.0.0/24 oifname eth0 drop", ""),
    ],
)
def test_a_way_out_by_an_interface_that_is_gone_is_found(text: str, absent: str) -> None:
    host = node(HOST)
    host.nics = {"lan0": None}
    for table, name in (("dockerless", "egress4"), ("mine", "egress4")):
        host.filter = Filter([Chain("nft", "inet", table, name, rules=[Rule(text, ())])])
        assert remedies.absent_way_out(host, SYN) == (absent if table == "dockerless" else "")


def test_a_rule_of_legacy_iptables_is_deleted_as_it_is_spelled() -> None:
    chain = Chain("legacy", "ip", "nat", "POSTROUTING", "postrouting", 100, "nat")
    found = Outcome(DROP, SYN, chain, Rule("-A POSTROUTING -s 10.0.0.0/8 -j ACCEPT", ()))
    command = "iptables-legacy -t nat -D POSTROUTING -s 10.0.0.0/8 -j ACCEPT"
    assert remedies.without(ON_THE_HOST, found) == f"Change the rule, or delete it: {command}"
