# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The breakages on the way of a packet: how each is made, on which flows, and at which layer.

A breakage is a few commands with placeholders for a flow, and the commands that undo it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from path_world import PathWorld

NOBODY = {4: "198.18.0.9", 6: "fd00:dead::9"}
WRONG_MAC = "02:00:00:00:00:99"


@dataclass(frozen=True)
class Flow:
    """A question that is answered while nothing is broken."""

    kind: str  # same, out, far, other, in, host, self_published, hairpin
    origin: str  # the option `from` of the path check
    place: str  # the namespace from which a real packet is sent
    to: str
    port: int
    server: tuple[str, int]  # namespace and port
    src: str
    dst: str  # behind all translation
    src_ns: str = ""  # of an endpoint
    dst_ns: str = ""
    src_link: str = ""  # the host's end
    dst_link: str = ""
    src_bridge: str = ""
    dst_bridge: str = ""
    gateway: str = ""  # of the source
    back: str = ""  # the source as the server sees it
    version: int = 4
    source: str = ""
    protocol: str = "tcp"

    @property
    def features(self) -> frozenset[str]:
        """The features that a breakage may need of a flow."""
        found = {self.kind, f"v{self.version}", self.protocol}
        found |= {"src"} if self.src_ns else set()
        found |= {"dst"} if self.dst_ns else set()
        found |= {"routed"} if self.kind in ("out", "far", "other", "in", "hairpin") else set()
        found |= {"way_out"} if self.kind in ("out", "far", "other", "hairpin") else set()
        found |= {"dnat"} if self.kind in ("in", "self_published", "hairpin") else set()
        found |= {"bridged"} if self.kind == "same" else set()
        return frozenset(found)

    def fields(self) -> dict[str, object]:
        """The values for the placeholders of the commands."""
        found: dict[str, object] = dict(vars(self))
        found.update(
            ip="ip" if self.version == 4 else "ip6",
            ip_tool="ip" if self.version == 4 else "ip -6",
            iptables="iptables" if self.version == 4 else "ip6tables",
            nobody=NOBODY[self.version],
            mac=WRONG_MAC,
            serving=self.server[1],
            hop=self.dst if self.kind == "same" else self.gateway,
            host=32 if self.version == 4 else 128,
            bits=24 if self.version == 4 else 64,
            farnet="198.51.100.0/24" if self.version == 4 else "2001:db8:1::/64",
            echo_ignored=f"ipv{self.version}.icmp{'_' if self.version == 4 else '.'}echo_ignore_all",
            **self._matches(),
        )
        return found

    def _matches(self) -> dict[str, str]:
        """What nft matches the request with, before and behind all translation, and the answer in the same way."""
        if self.protocol == "icmp":
            l4 = "icmp" if self.version == 4 else "icmpv6"
            request, reply = f"{l4} type echo-request", f"{l4} type echo-reply"
            return {"l4": l4, "asks": request, "serves": request, "answers": reply, "returns": reply}
        return {
            "l4": self.protocol,
            "asks": f"{self.protocol} dport {self.port}",
            "serves": f"{self.protocol} dport {self.server[1]}",
            "answers": f"{self.protocol} sport {self.server[1]}",
            "returns": f"{self.protocol} sport {self.port}",
        }


@dataclass(frozen=True)
class Breakage:
    """One fault."""

    name: str
    layers: tuple[str, ...]
    needs: tuple[str, ...]
    do: tuple[str, ...]
    undo: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    heals: bool = False  # whether a run of the engine repairs it
    server: str = ""  # instead of one that answers: absent, loopback, full, silent
    iptables: tuple[str, str] = ("", "")  # the commands for rules of ours in iptables: do, undo
    elsewhere: tuple[str, ...] = ()  # flows with these features cannot be fixed by a command on this host
    says: str = ""  # what the reason names, so that it is told from another breakage at the same layer: a|b

    def fits(self, flow: Flow) -> bool:
        """Whether the breakage is on the way of a flow."""
        return flow.features.issuperset(self.needs) and not flow.features & set(self.unless)

    def on(self, backend: str) -> Breakage:
        """The same breakage, for the back-end that holds our own rules."""
        if backend == "nftables" or not self.iptables[0]:
            return self
        return replace(self, do=self.iptables[:1], undo=self.iptables[1:])

    def is_named(self, flow: Flow, found: dict[str, Any]) -> bool:
        """Whether a verdict is about this breakage."""
        says, reason = self.says.format(**fields_of(flow)).lower(), found["reason"].lower()
        told = found["layer"] in self.layers and any(one in reason for one in says.split("|"))
        return told and self._is_owned(found["owner"])

    def _is_owned(self, owner: str | None) -> bool:
        """Whether this is the owner, as far as the breakage says whose it is."""
        if self.layers == ("firewall",):
            return owner == ("an administrator" if self.name == "rule of the user" else "not ours")
        is_ours = self.heals and self.name != "wrong gateway"
        return owner == "this collection" if is_ours else True

    def is_mended_here(self, flow: Flow) -> bool:
        """Whether following the advice makes the flow work."""
        return not flow.features & set(self.elsewhere)


def nft(
    name: str, hook: str, rule: str, needs: tuple[str, ...], layers: tuple[str, ...] = ("firewall",),
    family: str = "inet", where: str = "", kind: str = "filter", priority: int = -5, policy: str = "accept",
    unless: tuple[str, ...] = (), more: tuple[str, ...] = (), device: str = "", elsewhere: tuple[str, ...] = (),
) -> Breakage:  # fmt: skip
    """A rule in a foreign table, on the host or in a namespace."""
    inside = f"ip netns exec {where} " if where else ""
    on = f"device {device} " if device else ""
    chain = f"'{{{{ type {kind} hook {hook} {on}priority {priority}; policy {policy}; }}}}'"
    table = re.sub("[^a-z]", "_", name.lower())
    do = [f"{inside}nft add table {family} {table}", *(inside + line.replace("TABLE", table) for line in more)]
    do.append(f"{inside}nft add chain {family} {table} mine {chain}")
    if rule:
        do.append(f"{inside}nft add rule {family} {table} mine {rule}")
    undo = (f"{inside}nft delete table {family} {table}",)
    says = "" if "upstream" in layers else f"table {family} {table}:"
    return Breakage(name, layers, needs, tuple(do), undo, unless, elsewhere=elsewhere, says=says)


DROPS = [
    nft("drop in prerouting", "prerouting", "{ip} daddr {to} {asks} drop", ("routed",), priority=-310),
    nft("drop in forward", "forward", "{ip} daddr {dst} {serves} drop", ("routed",)),
    nft("policy of forward", "forward", "", ("routed",), policy="drop"),
    nft("reject in forward", "forward", "{ip} daddr {dst} reject", ("routed",)),
    nft("drop in postrouting", "postrouting", "{ip} daddr {dst} drop", ("routed",)),
    nft("drop of the answer", "forward", "{ip} saddr {dst} ct state established drop", ("routed",)),
    nft("drop by the uplink's name", "forward", "iifname up0 {serves} drop", ("in",)),
    # by bytes, as a limit by packets lets the first packets pass
    nft("limit of a rate", "forward", "{ip} daddr {dst} limit rate over 1 bytes/day burst 1 bytes drop", ("routed",)),
    nft("drop by a set", "forward", "{l4} dport @bad drop", ("routed",), unless=("icmp",),
        more=("nft add set inet TABLE bad '{{{{ type inet_service; }}}}'",
              "nft add element inet TABLE bad '{{{{ 1, {serving}, 65000 }}}}'")),
    nft("drop by a verdict map", "forward", "{ip} daddr . {l4} dport vmap '{{{{ {dst} . {serving} : drop }}}}'",
        ("routed",), unless=("icmp",)),
    nft("drop of what is not named", "forward", "iifname != lo {l4} dport != '{{{{ 1-20, 65000 }}}}' drop", ("routed",),
        unless=("icmp",)),
    nft("drop by a jump", "forward", "meta l4proto {l4} jump more", ("routed",),
        more=("nft add chain inet TABLE more", "nft add rule inet TABLE more {ip} daddr {dst} counter drop")),
    nft("ingress of the source", "ingress", "drop", ("src",), family="netdev", device="{src_link}"),
    nft("ingress of the uplink", "ingress", "{asks} drop", ("in",), family="netdev", device="up0"),
    nft("bridge prerouting", "prerouting", "iifname {src_link} ether type {ip} drop", ("src",), family="bridge"),
    nft("bridge forward", "forward", "oifname {dst_link} drop", ("bridged",), family="bridge"),
    nft("bridge postrouting", "postrouting", "oifname {dst_link} drop", ("dst",), family="bridge"),
    nft("output of the endpoint", "output", "{asks} drop", ("src",), where="{src_ns}"),
    nft("input of the endpoint", "input", "{serves} drop", ("dst",), where="{dst_ns}"),
    nft("output of the answer", "output", "{answers} drop", ("dst",), where="{dst_ns}"),
    nft("input of the answer", "input", "{returns} drop", ("src",), where="{src_ns}"),
    nft("output of the host", "output", "{serves} drop", ("host",)),
    nft("input of the host", "input", "{ip} saddr {dst} drop", ("host",)),
    nft("arp of the source", "output", "drop", ("src", "v4"), family="arp", where="{src_ns}"),
    nft("arp on the bridge", "prerouting", "iifname {src_link} ether type arp drop", ("src", "v4"), family="bridge"),
    nft("dnat to nobody", "prerouting", "{ip} daddr {to} {asks} dnat {ip} to {lost_ip}", ("in",),
        ("publish", "address"), kind="nat", priority=-110),
    nft("snat to nobody", "postrouting", "{ip} daddr {dst} snat {ip} to {nobody}", ("out",),
        ("masquerade",), kind="nat", priority=90),
    nft("not tracked on the way out", "prerouting", "{ip} saddr {src} notrack", ("out",), ("masquerade",),
        priority=-310),
    nft("not tracked on the way in", "prerouting", "{ip} daddr {to} {asks} notrack", ("in",), ("publish",),
        priority=-310),
]  # fmt: skip

# If no stack has the address any more, only its subnet tells where it should be.
AWAY = "which is behind {dst_bridge}|which is in the subnet of {dst_bridge}"
BREAKAGES = [
    *DROPS,
    Breakage("rule of the user", ("firewall",), ("routed",),
             ("nft add rule inet dockerless user {ip} daddr {dst} drop",),
             ("nft flush chain inet dockerless user",),
             iptables=("{iptables} -A DLN-USER -d {dst} -j DROP", "{iptables} -F DLN-USER"), says="user of table"),
    Breakage("iptables rule", ("firewall",), ("routed",),
             ("{iptables}-nft -I FORWARD -p {l4} -m multiport --dports 1,{serving} -m comment --comment mine -j DROP",),
             ("{iptables}-nft -F FORWARD",), unless=("icmp",), says="table {ip} filter:"),
    Breakage("iptables policy", ("firewall",), ("routed",), ("{iptables}-nft -P FORWARD DROP",),
             ("{iptables}-nft -P FORWARD ACCEPT", "{iptables}-nft -F FORWARD"), says="table {ip} filter: policy"),
    Breakage("legacy rule", ("firewall",), ("routed",),
             ("{iptables}-legacy -I FORWARD -d {dst} -p {l4} -m {l4} --dport {serving} -j DROP",),
             ("{iptables}-legacy -F FORWARD",), unless=("icmp",), says="(iptables-legacy)"),
    Breakage("legacy policy", ("firewall",), ("routed",), ("{iptables}-legacy -P FORWARD DROP",),
             ("{iptables}-legacy -P FORWARD ACCEPT", "{iptables}-legacy -F FORWARD"), says="(iptables-legacy): policy"),
    Breakage("legacy reject", ("firewall",), ("routed",),
             ("{iptables}-legacy -I FORWARD -d {dst} -m conntrack --ctstate NEW -j REJECT",),
             ("{iptables}-legacy -F FORWARD",), says="(iptables-legacy)"),
    Breakage("IPsec out", ("firewall",), ("src",),
             ("{ip_tool} -n {src_ns} xfrm policy add src {src}/{host} dst {to}/{host} dir out action block",),
             ("ip -n {src_ns} xfrm policy flush",), says="an IPsec policy (out)"),
    Breakage("IPsec in", ("firewall",), ("dst",),
             ("{ip_tool} -n {dst_ns} xfrm policy add src {back}/{host} dst {dst}/{host} dir in action block",),
             ("ip -n {dst_ns} xfrm policy flush",), says="an IPsec policy (in)"),
    Breakage("IPsec forwarded", ("firewall",), ("routed",),
             ("{ip_tool} xfrm policy add dst {dst}/{host} dir fwd action block",), ("ip xfrm policy flush",),
             says="an IPsec policy (fwd)"),
    # links
    Breakage("endpoint's link", ("link",), ("src",), ("ip -n {src_ns} link set eth0 down",), heals=True,
             says="eth0 of {src_ns} is down"),
    Breakage("server's link", ("link",), ("dst",), ("ip -n {dst_ns} link set eth0 down",), heals=True,
             says="eth0 of {dst_ns} is down"),
    Breakage("host's end of the source", ("link",), ("src",), ("ip link set {src_link} down",),
             ("ip link set {src_link} up",), says="{src_link} of host is down"),
    Breakage("host's end of the server", ("link",), ("dst",), ("ip link set {dst_link} down",),
             ("ip link set {dst_link} up",), says="{dst_link} of host is down"),
    Breakage("bridge of the source", ("link",), ("src",), ("ip link set {src_bridge} down",), heals=True,
             says="{src_bridge} of host is down"),
    Breakage("bridge of the server", ("link",), ("dst",), ("ip link set {dst_bridge} down",), heals=True,
             says="{dst_bridge} of host is down"),
    Breakage("uplink", ("uplink",), ("out",), ("ip link set up0 down",),
             ("ip link set up0 up", "ip address replace 2001:db8::1/64 dev up0 nodad"), elsewhere=("v6",),
             says="up0 of host is down"),
    Breakage("cable", ("uplink",), ("out",), ("ip -n neighbour link set eth0 down",),
             ("ip -n neighbour link set eth0 up", "ip -n neighbour address replace 2001:db8::2/64 dev eth0 nodad",
              "ip -n neighbour route replace 198.51.100.0/24 via 192.0.2.1"), elsewhere=("out",),
             says="has no carrier"),
    Breakage("traffic control", ("link",), ("src",),
             ("tc qdisc add dev {src_link} clsact",
              "tc filter add dev {src_link} ingress protocol all u32 match u32 0 0 "
              "action mirred egress redirect dev lo"),
             ("tc qdisc del dev {src_link} clsact",), says="traffic control filters at {src_link}"),
    # addresses
    Breakage("address of the source", ("address",), ("src",), ("ip -n {src_ns} address del {src}/{bits} dev eth0",),
             heals=True, says="{src_ns} has no IPv{version} address"),
    Breakage("address of the server", ("address",), ("dst",), ("ip -n {dst_ns} address del {dst}/{bits} dev eth0",),
             heals=True, says="the address {dst}|{dst_ns} has no IPv{version} address"),
    # routes
    Breakage("no default route", ("route",), ("way_out",), ("{ip_tool} -n {src_ns} route del default",), heals=True,
             says="{src_ns} has no route"),
    Breakage("wrong gateway", ("route",), ("way_out", "v4"), ("ip -n {src_ns} route replace default via {lost_ip}",),
             ("ip -n {src_ns} route del default",), heals=True, says="has the address {lost_ip}"),
    Breakage("no route on the host", ("route",), ("far",), ("{ip_tool} route del {farnet} dev up1",),
             ("{ip_tool} route add {farnet} dev up1", "{ip_tool} route del {to}/{host} dev up1"),
             says="host has no route"),
    Breakage("blackhole", ("route",), ("routed",), ("{ip_tool} route add blackhole {dst}/{host}",),
             ("{ip_tool} route del blackhole {dst}/{host}",), says="a route of type blackhole"),
    Breakage("prohibit", ("route",), ("routed",), ("{ip_tool} route add prohibit {dst}/{host}",),
             ("{ip_tool} route del prohibit {dst}/{host}",), says="a route of type prohibit"),
    Breakage("unreachable", ("route",), ("routed",), ("{ip_tool} route add unreachable {dst}/{host}",),
             ("{ip_tool} route del unreachable {dst}/{host}",), says="a route of type unreachable"),
    Breakage("route elsewhere", ("route",), ("routed", "dst"), ("{ip_tool} route add {dst}/{host} dev up0",),
             ("{ip_tool} route del {dst}/{host} dev up0",), says=AWAY),
    Breakage("rule elsewhere", ("route",), ("routed", "dst"),
             ("{ip_tool} rule add to {dst} lookup 100 pref 99", "{ip_tool} route add default dev up1 table 100"),
             ("{ip_tool} rule del pref 99", "{ip_tool} rule del pref 98", "{ip_tool} route flush table 100"),
             says=AWAY),
    Breakage("rule of routes", ("route",), ("routed",), ("{ip_tool} rule add to {dst} blackhole pref 99",),
             ("{ip_tool} rule del to {dst} blackhole pref 99",), says="a routing rule of type blackhole"),
    Breakage("no way back", ("route",), ("in", "dst"), ("{ip_tool} -n {dst_ns} route del default",), heals=True,
             says="{dst_ns} has no route"),
    Breakage("answer to a blackhole", ("route",), ("dst",),
             ("{ip_tool} -n {dst_ns} route add blackhole {back}/{host}",),
             ("{ip_tool} -n {dst_ns} route del blackhole {back}/{host}",), says="stops packets to {back}"),
    # neighbours
    Breakage("wrong MAC at the source", ("neighbour",), ("src",),
             ("ip -n {src_ns} neigh replace {hop} lladdr {mac} dev eth0 nud permanent",),
             ("ip -n {src_ns} neigh del {hop} dev eth0",), says="{mac}"),
    Breakage("wrong MAC on the host", ("neighbour",), ("dst",),
             ("ip neigh replace {dst} lladdr {mac} dev {dst_bridge} nud permanent",),
             ("ip neigh del {dst} dev {dst_bridge}",), unless=("bridged",), says="{mac}"),
    Breakage("wrong MAC of the router", ("neighbour",), ("out",),
             ("ip neigh replace {to} lladdr {mac} dev up0 nud permanent",), ("ip neigh del {to} dev up0",),
             says="{mac}"),
    Breakage("silent router", ("uplink",), ("out", "v4"),
             ("ip netns exec neighbour sysctl -qw net.ipv4.conf.eth0.arp_ignore=8", "ip neigh flush dev up0"),
             ("ip netns exec neighbour sysctl -qw net.ipv4.conf.eth0.arp_ignore=0",), elsewhere=("out",),
             says="for the MAC address of {to}"),
    # bridges
    Breakage("port of the source disabled", ("bridge_port",), ("src",), ("bridge link set dev {src_link} state 0",),
             ("bridge link set dev {src_link} state 3",), says="port {src_link} of"),
    Breakage("port of the server disabled", ("bridge_port",), ("dst",), ("bridge link set dev {dst_link} state 0",),
             ("bridge link set dev {dst_link} state 3",), says="port {dst_link} of"),
    Breakage("isolated ports", ("bridge_port",), ("bridged",),
             ("bridge link set dev {src_link} isolated on", "bridge link set dev {dst_link} isolated on"),
             ("bridge link set dev {src_link} isolated off", "bridge link set dev {dst_link} isolated off"),
             says="isolated"),
    Breakage("wrong port", ("bridge_port",), ("bridged",),
             ("sh -c 'bridge fdb replace $(ip netns exec {dst_ns} cat /sys/class/net/eth0/address)"
              " dev {src_link} master static sticky'",),
             ("sh -c 'bridge fdb del $(ip netns exec {dst_ns} cat /sys/class/net/eth0/address)"
              " dev {src_link} master'",), says="a forwarding entry"),
    # forwarding and the way back
    Breakage("ip_forward", ("forwarding",), ("routed", "v4"), ("sysctl -qw net.ipv4.ip_forward=0",), heals=True,
             says="ip_forward is 0"),
    Breakage("forwarding of the bridge", ("forwarding",), ("way_out", "v4"),
             ("sysctl -qw net.ipv4.conf.{src_bridge}.forwarding=0",),
             ("sysctl -qw net.ipv4.conf.{src_bridge}.forwarding=1",), says="{src_bridge}/forwarding is 0"),
    Breakage("forwarding of IPv6", ("forwarding",), ("routed", "v6"), ("sysctl -qw net.ipv6.conf.all.forwarding=0",),
             heals=True, says="does not forward IPv6"),
    Breakage("rp_filter of the host", ("reverse_path",), ("way_out", "v4"),
             ("sysctl -qw net.ipv4.conf.{src_bridge}.rp_filter=1", "ip route add {src}/32 dev up0"),
             ("ip route del {src}/32 dev up0", "sysctl -qw net.ipv4.conf.{src_bridge}.rp_filter=0"),
             says="rp_filter of host"),
    Breakage("rp_filter of the endpoint", ("reverse_path",), ("dst", "v4"),
             ("ip netns exec {dst_ns} sysctl -qw net.ipv4.conf.eth0.rp_filter=1",
              "ip -n {dst_ns} route add {back}/32 dev lo"),
             ("ip -n {dst_ns} route del {back}/32 dev lo",
              "ip netns exec {dst_ns} sysctl -qw net.ipv4.conf.eth0.rp_filter=0"), says="rp_filter of {dst_ns}"),
    # translation
    Breakage("no masquerade", ("masquerade",), ("out",), ("nft flush chain inet dockerless egress{four}",), heals=True,
             iptables=("{iptables} -t nat -F DLN-EGRESS", ""), says="replies cannot return"),
    Breakage("not published", ("publish",), ("in",), ("nft flush map inet dockerless publish{four}",), heals=True,
             iptables=("{iptables} -t nat -F DLN-PUBLISH", ""), says="no rule publishes"),
    # outside
    nft("drop outside", "input", "{asks} drop", ("out",), ("upstream",), where="neighbour",
        elsewhere=("out",)),
    nft("reject outside", "input", "{asks} reject with tcp reset", ("out", "tcp"), ("upstream",),
        where="neighbour", elsewhere=("out",)),
    nft("prohibited outside", "input", "{asks} reject with icmpx type admin-prohibited", ("out",),
        ("upstream",),
        where="neighbour", elsewhere=("out",)),
    Breakage("nobody listens outside", ("upstream",), ("out",), (), server="absent", unless=("icmp",),
             elsewhere=("out",)),
    Breakage("nobody answers outside", ("upstream",), ("out", "udp"), (), server="silent", elsewhere=("out",),
             says="nothing out there answered"),
    # services
    Breakage("nobody listens", ("service",), ("dst",), (), server="absent", unless=("icmp",), says="nothing listens"),
    Breakage("loopback only", ("service",), ("dst",), (), server="loopback", unless=("icmp",), says="is served on"),
    Breakage("queue full", ("service",), ("dst", "tcp"), (), server="full", elsewhere=("dst",),
             says="its queue is full"),
    Breakage("ping is ignored", ("service",), ("dst", "icmp"),
             ("ip netns exec {dst_ns} sysctl -qw net.{echo_ignored}=1",),
             ("ip netns exec {dst_ns} sysctl -qw net.{echo_ignored}=0",), says="does not answer ping"),
]  # fmt: skip


@contextmanager
def broken(world: PathWorld, breakage: Breakage, flow: Flow, heal: Callable[[], None]) -> Iterator[None]:
    """A world with this breakage, which may be fixed inside the context."""
    breakage = breakage.on(world.backend)
    try:
        run(world, breakage.do, fields_of(flow))
        yield
    finally:
        run(world, breakage.undo, fields_of(flow), must=False)
        # flushing a chain of iptables has removed our rules, too
        if breakage.heals or (world.backend != "nftables" and any("iptables" in command for command in breakage.undo)):
            heal()


def fields_of(flow: Flow) -> dict[str, object]:
    """The values for the commands of a breakage."""
    near = flow.gateway if flow.kind in ("out", "far", "other", "hairpin") else flow.dst
    separator = ":" if flow.version == 6 else "."
    lost = near.rpartition(separator)[0] + separator + "99"
    return {**flow.fields(), "lost_ip": lost, "four": flow.version}


def run(world: PathWorld, commands: tuple[str, ...], fields: dict[str, object], must: bool = True) -> None:
    for command in filter(None, commands):
        argv = shlex.split(command.format(**fields).replace("{{", "{").replace("}}", "}"))
        if must:
            world.must(*argv)
        else:
            world.run(argv)
