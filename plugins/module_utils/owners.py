# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that have tables, chains, links and routes of their own on a host, and how each lets a packet pass.

An object has an owner only if its name, its kind or its protocol is one that no other program uses. A rule that is
deleted behind its owner's back returns when the owner next loads its rules, so the remedy is a command of the owner.
"""

from __future__ import annotations

import re
import typing as t

from . import marks
from .records import dataclass

OURS = "this collection"
PERSON = "an administrator"
STRANGER = "not ours"


class Passage(t.NamedTuple):
    """Packets that rules of others are to let pass, as those see them."""

    hook: str
    version: int
    network: str = ""  # our bridge, for all that enters or leaves it; then neither links nor addresses
    came_by: str = ""  # links
    goes_by: str = ""
    source: str = ""  # addresses
    to: str = ""
    protocol: str = ""
    port: int = 0  # of the destination, with tcp and udp
    from_ours: bool = False  # whether came_by is one of our bridges
    chain: str = ""  # the chain that drops them
    beside: t.Collection[str] = ()  # the chains of its table
    tool: str = ""  # the program that changes the table, if that is one of iptables
    answer: bool = False


# What to do, with a command behind the last colon; empty if this owner has no place for it.
_Opens = t.Callable[[Passage], str]


def no_place(passage: Passage) -> str:
    """For those that have none."""
    return ""


@dataclass(frozen=True)
class Owner:
    """A program, and the names that only it uses."""

    name: str
    tables: str = ""  # of nftables, as a regular expression
    chains: str = ""
    links: str = ""  # each with its kind before it
    rules: str = ""  # in chains of everybody: table, chain and rule, as iptables and nft spell them
    beside: str = ""  # a chain that its tables of iptables also have, if names like its own are common
    configured: str = ""  # where to change its rules for good, as a clause
    opens: _Opens = no_place
    # Whether it also gives chains such as FORWARD, from which it calls its own, the policy or the last rule that drops.
    ends_chains: bool = False


# ---- how each lets a packet pass


def protocol_of(version: int, protocol: str) -> str:
    """The protocol of a packet as nft and iptables call it."""
    return "icmpv6" if (version, protocol) == (6, "icmp") else protocol


# The words of a rule of iptables that accepts answers, as connection tracking knows them.
ANSWERS = "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"


def accepting(version: int, source: object, to: object, protocol: str, port: str) -> str:
    """The words of a rule of iptables that accepts packets of one flow; ``port`` is empty, or asks for a port."""
    match = "-s %s -d %s -p %s %s" % (source, to, protocol_of(version, protocol), port)
    return "%s -j ACCEPT" % match.rstrip()


def _in_docker_user(passage: Passage) -> str:
    """In the chain that Docker calls first and leaves to its users."""
    if passage.hook != "forward" or passage.network or "DOCKER-USER" not in passage.beside:
        return ""  # a rule for a whole network would open Docker's networks to it
    insert = "%s -I DOCKER-USER " % passage.tool
    commands = [insert + ANSWERS]
    if not passage.answer:
        port = "--dport %d" % passage.port if passage.port else ""
        commands.insert(0, insert + accepting(passage.version, passage.source, passage.to, passage.protocol, port))
    return "accept the packet and its answers in the chain that Docker keeps for your rules: %s" % " && ".join(commands)


def _by_ufw(passage: Passage) -> str:
    if passage.hook not in ("input", "forward", "output"):
        return ""
    if re.match(r"ufw6?-before-", passage.chain):
        files = "before6.rules" if passage.version == 6 else "before.rules"
        return "change the rule in /etc/ufw/%s, and reload it: ufw reload" % files
    if passage.network:
        return "allow it in ufw: %s" % " && ".join(
            "ufw route allow %s on %s" % (w, passage.network) for w in ("in", "out")
        )
    words = ["ufw", *(["route"] if passage.hook == "forward" else []), "prepend", "allow"]
    words += ["in", "on", passage.came_by] if passage.hook != "output" else []
    words += ["out", "on", passage.goes_by] if passage.hook != "input" else []
    words += ["from", passage.source, "to", passage.to]
    if passage.port:
        words += ["port", str(passage.port), "proto", passage.protocol]
        return "allow it in ufw: %s" % " ".join(words)
    what = "allow all packets from %s to %s in ufw, which has no command for these alone: %s"
    return what % (passage.source, passage.to, " ".join(words))


def _by_firewalld(passage: Passage) -> str:
    if passage.network or (passage.from_ours and passage.hook == "forward"):
        bridge = passage.network or passage.came_by
        zone = "--zone=trusted --change-interface=%s" % bridge
        commands = ["firewall-cmd --permanent " + zone, "firewall-cmd " + zone]
        said = (
            "put %s into firewalld's zone trusted, where firewalld accepts everything that comes from it, also to this"
        )
        said += " host, and leaves the rest to the rules of this collection: %s"
        return said % (bridge, " && ".join(commands))
    if passage.hook not in ("input", "forward"):
        return ""
    family = "ipv6" if passage.version == 6 else "ipv4"
    rule = 'rule family="%s" source address="%s" destination address="%s"%s accept'
    rule %= (family, passage.source, passage.to, _in_rich_rules(passage))
    name = "to-%s" % (passage.goes_by or "host")  # at most 18 characters
    egress = "HOST" if passage.hook == "input" else "ANY"
    options = ["--policy=%s --add-rich-rule='%s'" % (name, rule)]
    if not _has_policy(name, passage.beside):
        # a link that is in no zone would not come by the name of the default zone
        zones = ("ingress-zone=ANY", "egress-zone=%s" % egress)
        options = ["--new-policy=%s" % name, *("--policy=%s --add-%s" % (name, zone) for zone in zones), *options]
    commands = ["firewall-cmd --permanent %s" % words for words in options] + ["firewall-cmd --reload"]
    return "accept it by a policy of firewalld: %s" % " && ".join(commands)


def _in_rich_rules(passage: Passage) -> str:
    if passage.port:
        return ' port port="%d" protocol="%s"' % (passage.port, passage.protocol)
    protocol = "ipv6-icmp" if (passage.version, passage.protocol) == (6, "icmp") else passage.protocol
    return ' protocol value="%s"' % protocol


def _has_policy(name: str, chains: t.Iterable[str]) -> bool:
    """Whether firewalld has a policy, by its chains in nftables or iptables."""
    pattern = r"((filter|nat|mangle)_)?[A-Z]+_(policy_)?%s(_\w+)?" % re.escape(name)
    return any(re.fullmatch(pattern, chain) for chain in chains)


def _unbanned(command: str) -> _Opens:
    def opens(passage: Passage) -> str:
        return "" if passage.network else "lift the ban: %s %s" % (command, passage.source)

    return opens


OWNERS = (
    Owner(
        "Docker",
        tables="docker-bridges",
        chains="DOCKER(-.+)?",
        links="bridge (docker0|docker_gwbridge|br-[0-9a-f]{12})|veth veth[0-9a-f]{7}",
        # since release 28: the address of a container is reached by its bridge only
        rules="raw PREROUTING (-d {0} ! -i {1} -j DROP|iifname != {1} ip6? daddr {0} drop)".format(
            r"\S+", "(docker0|docker_gwbridge|br-[0-9a-f]{12})"
        ),
        configured="the options of Docker's networks",
        opens=_in_docker_user,
        ends_chains=True,
    ),
    Owner("ufw", chains="ufw6?-.+", configured="its rules (ufw status)", opens=_by_ufw, ends_chains=True),
    Owner(
        "firewalld",
        tables="firewalld",
        chains=r"(FORWARD|INPUT|OUTPUT|PREROUTING|POSTROUTING)_(IN_|OUT_)?(ZONES|direct|POLICIES_\w+)"
        r"|(IN|FWDI|FWDO|FWD|PRE|POST)_[A-Za-z0-9-]+(_(pre|log|deny|allow|post))?",
        beside="(FORWARD|INPUT)_(IN_)?ZONES",
        configured="its zones and policies (firewall-cmd)",
        opens=_by_firewalld,
        ends_chains=True,
    ),
    Owner(
        "libvirt",
        tables="libvirt_network|libvirt_nwfilter",
        chains="LIBVIRT_.+|libvirt-.+",
        links=r"bridge virbr\d+|tun (vnet\d+|virbr\d+-nic)",
        configured="the network's definition (virsh net-edit; with <forward mode='open'/>, libvirt adds no rules)",
    ),
    Owner(
        "Podman (netavark)",
        tables="netavark",
        chains="NETAVARK[-_].+",
        links=r"bridge podman\d+",
        configured="the options of Podman's networks",
    ),
    Owner(
        "CNI",
        chains="CNI-.+",
        links=r"bridge (cni\d+|cni-podman\d+)",
        configured="the CNI configuration in /etc/cni/net.d",
    ),
    Owner(
        "Kubernetes",
        tables="kube-proxy",
        chains="KUBE-.+",
        links="dummy (kube-ipvs0|nodelocaldns)|bridge kube-bridge",
        configured="the services and network policies of the cluster",
    ),
    Owner(
        "Calico",
        tables="calico",
        chains="cali-.+",
        links=r"veth cali[0-9a-f]{11}|vxlan vxlan(-v6)?\.calico|wireguard (wireguard|wg-v6)\.cali",
        configured="Calico's network policies",
    ),
    Owner(
        "Cilium",
        chains="(OLD_)?CILIUM_.+",
        links="(veth|vxlan|geneve|wireguard) cilium_.+|veth (lxc[0-9a-f]{12}|lxc_health)",
        configured="Cilium's network policies",
    ),
    Owner(
        "flannel",
        tables="flannel-ipv[46]",
        chains="FLANNEL-.+",
        links=r"vxlan flannel(-v6)?\.\d+|wireguard flannel-wg(-v6)?",
        configured="flannel's configuration",
    ),
    Owner(
        "fail2ban",
        tables="f2b-table",
        chains="f2b-.+",
        configured="its jails (fail2ban-client status)",
        opens=_unbanned("fail2ban-client unban"),
    ),
    Owner(
        "CrowdSec",
        tables="crowdsec6?",
        chains="CROWDSEC_CHAIN",
        configured="its decisions (cscli decisions list)",
        opens=_unbanned("cscli decisions delete --ip"),
    ),
    Owner("LXD", tables="lxd", links=r"bridge lxdbr\d+", configured="the options of LXD's networks (lxc network)"),
    Owner(
        "Incus",
        tables="incus",
        links=r"bridge incusbr\d+",
        configured="the options of Incus' networks (incus network)",
    ),
    Owner("LXC", tables="lxc", links=r"bridge lxcbr\d+", configured="/etc/default/lxc-net"),
    Owner(
        "systemd",
        tables=r"io\.systemd\.nat",
        links="veth v[eb]-.+|bridge vz-.+",
        configured="IPMasquerade= of its networks, or the options of systemd-nspawn",
    ),
    Owner(
        "Tailscale",
        chains="ts-(input|forward|postrouting)",
        links=r"tun tailscale\d+",
        configured="its settings (tailscale set --netfilter-mode)",
    ),
    Owner(
        "WireGuard",
        tables="wg-quick-.+",
        rules=r'raw PREROUTING .*"wg-quick\(8\) rule for .+',
        links="wireguard .+",
        configured="the interface's file in /etc/wireguard",
    ),
    Owner("a VPN or a hypervisor (tun)", links="tun .+"),
)
# In chains of a program, but for the rules of people.
_OF_PEOPLE = ("DOCKER-USER", "CNI-ADMIN")


def of_chain(family: str, table: str, chain: str, beside: t.Iterable[str] = ()) -> Owner | None:
    """The program that a chain belongs to, by its name or that of its table; ``beside``: the chains of that table."""
    shared = family in ("ip", "ip6", "bridge", "arp")  # where iptables and ebtables have the chains of all programs
    if shared and chain in _OF_PEOPLE:
        return Owner(PERSON)
    return next((one for one in OWNERS if _has(one, table, chain if shared else "", beside)), None)


def _has(owner: Owner, table: str, chain: str, beside: t.Iterable[str]) -> bool:
    if re.fullmatch(owner.tables, table):
        return True
    known = not owner.beside or any(re.fullmatch(owner.beside, name) for name in beside)
    return known and bool(re.fullmatch(owner.chains, chain or " "))


def of_rule(table: str, chain: str, text: str) -> Owner | None:
    """The program that has made a rule in a chain of everybody, by how only this program spells it."""
    spelled = "%s %s %s" % (table, chain, text)
    return next((one for one in OWNERS if one.rules and re.fullmatch(one.rules, spelled)), None)


def of_end(calls: t.Iterable[str]) -> list[Owner]:
    """The programs that may have set the policy or the last rule of a chain of iptables, by the chains it calls."""
    names = list(calls)
    return [one for one in OWNERS if one.ends_chains and any(re.fullmatch(one.chains, name) for name in names)]


def of_link(name: str, kind: str) -> str:
    """The program that a link belongs to; empty if its name and its kind do not say."""
    return next((one.name for one in OWNERS if re.fullmatch(one.links, "%s %s" % (kind, name))), "")


def named(owners: t.Iterable[Owner]) -> str:
    """These programs in words; empty if there are none."""
    return " or ".join(owner.name for owner in owners)


def remedy(owners: t.Sequence[Owner], passage: Passage) -> str:
    """What to do in the first of these programs that has a place for it, with a command last; empty if none has."""
    return next(filter(None, (owner.opens(passage) for owner in owners)), "")


# ---- routes, by rtm_protocol: rtnetlink(7), /etc/iproute2/rt_protos

_PROTOCOLS = {
    1: "ICMP redirects",
    2: "the kernel",
    3: "a person or a script (ip route)",
    4: "static configuration",
    9: "router advertisements",
    11: "FRR",
    12: "BIRD",
    16: "DHCP",
    18: "keepalived",
    42: "Babel",
    99: "Open/R",
    186: "BGP",
    187: "IS-IS",
    188: "OSPF",
    189: "RIP",
    192: "EIGRP",
}
# What these set, they do not set again once it is deleted.
_ONCE = (0, 2, 3)


def of_route(protocol: int) -> str:
    """Who set a route or a rule of routing."""
    return OURS if protocol == marks.ROUTE_PROTOCOL else _PROTOCOLS.get(protocol, STRANGER)


def comes_back(protocol: int) -> bool:
    """Whether a deleted route may return by itself."""
    return protocol in _PROTOCOLS and protocol not in _ONCE


# ---- who manages the links of a host


class Manager(t.NamedTuple):
    """A program that brings links of the host up, the file that says so, and its command for that."""

    name: str
    path: str  # with the index of a link
    says: str  # with its name, as a regular expression
    up: str
    watched: str = ""  # the file that says that it only watches the link


MANAGERS = (
    Manager(
        "systemd-networkd", "/run/systemd/netif/links/{index}", r"^ADMIN_STATE=config", "networkctl reconfigure {name}"
    ),
    Manager(
        "NetworkManager",
        "/run/NetworkManager/devices/{index}",
        r"^managed=true$",
        "nmcli device connect {name}",
        watched="/run/NetworkManager/system-connections/{name}.nmconnection",
    ),
    Manager("ifupdown", "/run/network/ifstate", r"^{name}=", "ifup --force {name}"),
)


def manager(name: str, index: int, read: t.Callable[[str], str | None]) -> Manager | None:
    """The program that manages a link of the host; None if none says so."""
    for one in MANAGERS:
        text = read(one.path.format(index=index)) or ""
        if re.search(one.says.format(name=re.escape(name)), text, re.MULTILINE):
            watched = one.watched and "external=true" in (read(one.watched.format(name=name)) or "").splitlines()
            return None if watched else one._replace(up=one.up.format(name=name))
    return None
