# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners by the names that they use, and what each is told to do; some of it is tested with packets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import marks, owners
from ansible_collections.dockerless.network.plugins.module_utils.owners import Passage

# As these programs name their chains: family, table, chain, and the chains beside it.
CHAINS = {
    "Docker": ["ip filter DOCKER", "ip filter DOCKER-ISOLATION-STAGE-2", "ip6 nat DOCKER", "ip docker-bridges fwd"],
    "ufw": ["ip filter ufw-reject-forward", "ip6 filter ufw6-user-forward", "ip filter ufw-before-input"],
    "firewalld": [
        "inet firewalld filter_FWD_public",
        "ip filter FWDI_public_deny FORWARD_IN_ZONES",
        "ip filter IN_block INPUT_ZONES",
        "ip6 filter FORWARD_direct FORWARD_IN_ZONES",
    ],
    "libvirt": ["ip filter LIBVIRT_FWI", "ip libvirt_network guest_input", "bridge libvirt_nwfilter x"],
    "Podman (netavark)": ["ip filter NETAVARK_FORWARD", "ip nat NETAVARK-HOSTPORT-DNAT", "inet netavark FORWARD"],
    "CNI": ["ip filter CNI-FORWARD", "ip filter CNI-ISOLATION-STAGE-2"],
    "Kubernetes": ["ip filter KUBE-FORWARD", "ip kube-proxy filter-forward", "ip6 filter KUBE-POD-FW-ABCDE"],
    "Calico": ["ip filter cali-FORWARD", "ip calico filter-cali-pi-x"],
    "Cilium": ["ip filter CILIUM_FORWARD", "ip filter OLD_CILIUM_INPUT"],
    "flannel": ["ip filter FLANNEL-FWD", "inet flannel-ipv4 postrtg"],
    "fail2ban": ["ip filter f2b-sshd", "inet f2b-table f2b-chain"],
    "CrowdSec": [
        "ip crowdsec crowdsec-chain-forward",
        "ip6 crowdsec6 crowdsec6-chain-input",
        "ip filter CROWDSEC_CHAIN",
    ],
    "LXD": ["inet lxd fwd.lxdbr0"],
    "Incus": ["inet incus fwd.incusbr0"],
    "LXC": ["inet lxc forward"],
    "systemd": ["ip io.systemd.nat postrouting"],
    "Tailscale": ["ip filter ts-forward"],
    "WireGuard": ["ip wg-quick-wg0 preraw"],
    owners.PERSON: ["ip filter DOCKER-USER", "ip6 filter CNI-ADMIN"],
    "": [
        "inet filter forward",
        "ip filter FORWARD",
        "inet mine DOCKER",  # only iptables shares its tables
        "ip filter IN_block",  # not without the other chains of firewalld
        "ip filter docker",
    ],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in CHAINS.items() for text in texts])
def test_a_chain_is_known_by_names_that_only_its_owner_uses(name: str, text: str) -> None:
    found = owners.of_chain(*text.split()[:3], beside=text.split()[3:])
    assert (found.name if found is not None else "") == name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Docker", "raw PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP"),
        ("Docker", "raw PREROUTING -d fd00:17::2/128 ! -i br-0123456789ab -j DROP"),
        ("Docker", "raw PREROUTING iifname != br-0123456789ab ip6 daddr fd00:17::2 drop"),
        ("WireGuard", 'raw PREROUTING -d 10.9.0.2/32 ! -i wg0 -m comment --comment "wg-quick(8) rule for wg0" -j DROP'),
        ("", "raw PREROUTING -d 172.17.0.2/32 ! -i br-blue -j DROP"),
        ("", "raw PREROUTING -d 172.17.0.2/32 -i docker0 -j DROP"),
        ("", "raw PREROUTING -d 172.17.0.2/32 -p tcp ! -i docker0 -j DROP"),
        ("", "filter FORWARD -d 172.17.0.2/32 ! -i docker0 -j DROP"),
    ],
)
def test_a_rule_in_a_chain_of_everybody_is_known_by_how_only_its_owner_spells_it(name: str, rule: str) -> None:
    found = owners.of_rule(*rule.split(" ", 2))
    assert (found.name if found is not None else "") == name


def test_every_owner_of_chains_is_tested() -> None:
    assert {owner.name for owner in owners.OWNERS if owner.chains or owner.tables} - CHAINS.keys() == set()


@pytest.mark.parametrize(
    ("calls", "name"),
    [
        (["DOCKER-USER", "DOCKER-FORWARD"], "Docker"),
        (["ufw-before-forward", "ufw-user-forward"], "ufw"),
        (["DOCKER-USER", "ufw-before-forward"], "Docker or ufw"),
        (["FORWARD_direct", "FORWARD_IN_ZONES"], "firewalld"),
        (["f2b-sshd", "mine"], ""),
    ],
)
def test_the_policy_of_a_shared_chain_may_be_of_those_whose_chains_it_calls(calls: list[str], name: str) -> None:
    assert owners.named(owners.of_end(calls)) == name


LINKS = {
    "Docker": ["docker0 bridge", "br-0123456789ab bridge", "veth0a1b2c3 veth", "docker_gwbridge bridge"],
    "libvirt": ["virbr0 bridge", "vnet3 tun"],
    "Podman (netavark)": ["podman0 bridge"],
    "CNI": ["cni0 bridge", "cni-podman1 bridge"],
    "Kubernetes": ["kube-ipvs0 dummy"],
    "Calico": ["cali0123456789a veth", "vxlan.calico vxlan"],
    "Cilium": ["cilium_host veth", "lxc0123456789ab veth"],
    "flannel": ["flannel.1 vxlan"],
    "LXD": ["lxdbr0 bridge"],
    "Incus": ["incusbr0 bridge"],
    "LXC": ["lxcbr0 bridge"],
    "systemd": ["ve-web veth"],
    "Tailscale": ["tailscale0 tun"],
    "WireGuard": ["wg0 wireguard", "office wireguard"],
    "a VPN or a hypervisor (tun)": ["tun0 tun", "tap3 tun"],
    "": ["eth0 ", "br-blue bridge", "br-0123456789ab veth", "docker0 dummy", "veth1 veth", "wg0 dummy"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in LINKS.items() for text in texts])
def test_a_link_is_known_by_its_name_and_its_kind(name: str, text: str) -> None:
    assert owners.of_link(*text.split(" ")) == name


def test_every_owner_of_links_is_tested() -> None:
    assert {owner.name for owner in owners.OWNERS if owner.links} <= LINKS.keys()


@pytest.mark.parametrize(
    ("protocol", "name", "again"),
    [
        (marks.ROUTE_PROTOCOL, "this collection", False),
        (2, "the kernel", False),
        (3, "a person or a script (ip route)", False),
        (4, "static configuration", True),
        (9, "router advertisements", True),
        (12, "BIRD", True),
        (16, "DHCP", True),
        (77, "not ours", False),
    ],
)
def test_a_route_is_known_by_its_protocol(protocol: int, name: str, again: bool) -> None:
    assert (owners.of_route(protocol), owners.comes_back(protocol)) == (name, again)


@pytest.mark.parametrize(
    ("path", "text", "name", "up"),
    [
        (
            "/run/systemd/netif/links/2",
            "# x\nADMIN_STATE=configured\n",
            "systemd-networkd",
            "networkctl reconfigure eth0.5",
        ),
        ("/run/systemd/netif/links/2", "# x\nADMIN_STATE=unmanaged\n", "", ""),
        ("/run/NetworkManager/devices/2", "[device]\nmanaged=true\n", "NetworkManager", "nmcli device connect eth0.5"),
        ("/run/NetworkManager/devices/2", "[device]\nmanaged=false\n", "", ""),
        ("/run/network/ifstate", "lo=lo\neth0.5=eth0.5\n", "ifupdown", "ifup --force eth0.5"),
        ("/run/network/ifstate", "eth005=eth005\n", "", ""),
    ],
)
def test_the_manager_of_a_link_says_so_in_its_files(path: str, text: str, name: str, up: str) -> None:
    found = owners.manager("eth0.5", 2, {path: text}.get)
    assert (found.name if found else "", found.up if found else "") == (name, up)


SYN = Passage("forward", 4, "", "br-blue", "up0", "10.20.0.2", "192.0.2.2", "tcp", 80, True, "x", (), "iptables-nft")
IN = Passage("forward", 6, "", "up0", "br-blue", "2001:db8::2", "fd00::2", "tcp", 80, False, "filter_FWD_public_deny")


def test_a_link_that_somebody_else_has_set_up_is_only_watched_by_network_manager() -> None:
    """As NetworkManager 1.42 writes it for what it shows as connected (externally)."""
    files = {
        "/run/NetworkManager/devices/2": "[device]\nmanaged=true\nnm-owned=false\n",
        "/run/NetworkManager/system-connections/br-mine.nmconnection": "[.nmmeta]\nvolatile=true\nexternal=true\n",
    }
    assert owners.manager("br-mine", 2, files.get) is None


# What each is told to do, and which passage it is about; empty if its place does not help.
OPENS = {
    "Docker: accepts": (
        SYN._replace(beside=["DOCKER-USER"]),
        "iptables-nft -I DOCKER-USER -s 10.20.0.2 -d 192.0.2.2 -p tcp --dport 80 -j ACCEPT"
        " && iptables-nft -I DOCKER-USER -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ),
    "Docker: pings": (
        SYN._replace(version=6, protocol="icmp", port=0, beside=["DOCKER-USER"], tool="ip6tables-nft"),
        "ip6tables-nft -I DOCKER-USER -s 10.20.0.2 -d 192.0.2.2 -p icmpv6 -j ACCEPT"
        " && ip6tables-nft -I DOCKER-USER -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ),
    "Docker: drops an answer": (
        SYN._replace(beside=["DOCKER-USER"], answer=True, port=0),
        "iptables-nft -I DOCKER-USER -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ),
    "Docker: with nftables": (SYN, ""),
    "Docker: of the host": (SYN._replace(beside=["DOCKER-USER"], hook="input"), ""),
    "ufw: forwards": (
        SYN,
        "ufw route prepend allow in on br-blue out on up0 from 10.20.0.2 to 192.0.2.2 port 80 proto tcp",
    ),
    "ufw: pings": (
        SYN._replace(port=0, protocol="icmp"),
        "ufw route prepend allow in on br-blue out on up0 from 10.20.0.2 to 192.0.2.2",
    ),
    "ufw: takes in": (
        SYN._replace(hook="input", goes_by=""),
        "ufw prepend allow in on br-blue from 10.20.0.2 to 192.0.2.2 port 80 proto tcp",
    ),
    "ufw: has it in a file": (SYN._replace(chain="ufw-before-forward"), "ufw reload"),
    "ufw: for a network": (
        Passage("forward", 4, "br-blue"),
        "ufw route allow in on br-blue && ufw route allow out on br-blue",
    ),
    "firewalld: from us": (
        SYN,
        "firewall-cmd --permanent --zone=trusted --change-interface=br-blue"
        " && firewall-cmd --zone=trusted --change-interface=br-blue",
    ),
    "firewalld: to us": (
        IN,
        "firewall-cmd --permanent --new-policy=to-br-blue"
        " && firewall-cmd --permanent --policy=to-br-blue --add-ingress-zone=ANY"
        " && firewall-cmd --permanent --policy=to-br-blue --add-egress-zone=ANY"
        ' && firewall-cmd --permanent --policy=to-br-blue --add-rich-rule=\'rule family="ipv6" source'
        ' address="2001:db8::2" destination address="fd00::2" port port="80" protocol="tcp" accept\''
        " && firewall-cmd --reload",
    ),
    "firewalld: has the policy already": (
        IN._replace(hook="input", goes_by="", beside=["filter_IN_policy_to-host_allow"]),
        'firewall-cmd --permanent --policy=to-host --add-rich-rule=\'rule family="ipv6" source'
        ' address="2001:db8::2" destination address="fd00::2" port port="80" protocol="tcp" accept\''
        " && firewall-cmd --reload",
    ),
    "firewalld: has the policy of another bridge": (
        IN._replace(protocol="icmp", port=0, beside=["filter_FWD_policy_to-br-blue2", "FWD_to-br-blue-2"]),
        "firewall-cmd --permanent --new-policy=to-br-blue"
        " && firewall-cmd --permanent --policy=to-br-blue --add-ingress-zone=ANY"
        " && firewall-cmd --permanent --policy=to-br-blue --add-egress-zone=ANY"
        ' && firewall-cmd --permanent --policy=to-br-blue --add-rich-rule=\'rule family="ipv6" source'
        ' address="2001:db8::2" destination address="fd00::2" protocol value="ipv6-icmp" accept\''
        " && firewall-cmd --reload",
    ),
    "firewalld: takes in what comes from us, with the policy in iptables": (
        SYN._replace(hook="input", goes_by="", beside=["IN_to-host"]),
        'firewall-cmd --permanent --policy=to-host --add-rich-rule=\'rule family="ipv4" source'
        ' address="10.20.0.2" destination address="192.0.2.2" port port="80" protocol="tcp" accept\''
        " && firewall-cmd --reload",
    ),
    "firewalld: before the packet is routed": (IN._replace(hook="prerouting"), ""),
    "fail2ban: bans": (IN, "fail2ban-client unban 2001:db8::2"),
    "CrowdSec: bans": (IN, "cscli decisions delete --ip 2001:db8::2"),
    "libvirt: has no place": (SYN, ""),
}


@pytest.mark.parametrize("case", OPENS)
def test_each_is_told_its_own_command(case: str) -> None:
    passage, command = OPENS[case]
    owner = next(owner for owner in owners.OWNERS if owner.name == case.partition(":")[0])
    assert owners.remedy([owner], passage).rpartition(": ")[2] == command


@pytest.mark.parametrize(
    ("name", "passage", "words"),
    [
        ("firewalld", SYN, "accepts everything that comes from it, also to this host"),
        ("firewalld", Passage("forward", 4, "br-blue"), "accepts everything that comes from it, also to this host"),
        ("ufw", SYN._replace(port=0, protocol="icmp"), "allow all packets from 10.20.0.2 to 192.0.2.2"),
    ],
)
def test_what_opens_more_than_the_flow_says_so(name: str, passage: Passage, words: str) -> None:
    owner = next(owner for owner in owners.OWNERS if owner.name == name)
    assert words in owner.opens(passage)


def test_every_place_is_tested_and_every_other_owner_says_where_its_rules_are_from() -> None:
    told = {case.partition(":")[0] for case in OPENS}
    assert {owner.name for owner in owners.OWNERS if owner.opens is not owners.no_place} <= told
    assert [owner.name for owner in owners.OWNERS if (owner.chains or owner.tables) and not owner.configured] == []


PAGE = Path(__file__).resolve().parents[4] / "docs" / "path_check.md"


def test_the_page_names_every_owner_and_its_command() -> None:
    page = PAGE.read_text().partition("## Whose it is")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]
    named = {name for row in rows for name in row[0].split(", ")}
    assert {*(one.name for one in owners.OWNERS), *(one.name for one in owners.MANAGERS), "DHCP", "BIRD"} <= named
    assert {owners.OURS, owners.PERSON, owners.STRANGER} <= named
    remedies = {row[0]: re.findall("`(.+?)`", row[2]) for row in rows if len(row) > 2}
    for name in sorted({case.partition(":")[0] for case, told in OPENS.items() if told[1]}):
        known = [told[1] for case, told in OPENS.items() if case.startswith(name)]
        patterns = [re.escape(text).replace("iptables", "ip6?tables-(nft|legacy)") for text in remedies[name]]
        patterns = [text.replace("firewall\\-cmd", "firewall-cmd( --permanent)?") for text in patterns]
        assert patterns and all(any(re.search(text, command) for command in known) for text in patterns), name
    ups = remedies["systemd-networkd, NetworkManager, ifupdown"]
    assert [one.up.replace(" {name}", "") for one in owners.MANAGERS] == ups
