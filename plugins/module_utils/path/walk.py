# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The path of a packet and of its answer, layer by layer in the kernel's order.

The kernel is asked where it knows best (its routes); the rest is derived from links, sysctls and rules. With an oracle
that saw a real packet, what it saw decides, and the derivation only explains it.
"""

from __future__ import annotations

import errno
import typing as t

from .. import model, owners
from ..records import replace
from . import ipsec, published, remedies, whose
from .internal import internal_networks, lost_network
from .packet import Packet
from .rules import DROP, PASS, REJECT, UNKNOWN, Outcome
from .topology import Match, Nic, Node, Topology, Way
from .trail import Follower, Mark, Stop, Trail, Verdict, at
from .wire import Wire, firewall, named_outcome, reverse_path
from .words import ARRIVES, LOST, REFUSED, UNANSWERED, Ending, Layer
from .words import UNKNOWN as NOT_KNOWN

if t.TYPE_CHECKING:
    from .idle import Idle

_HOPS = 12
_IP_FAMILIES = ("inet", "ip", "ip6")
_ROUTING = "Look at the rules of routing (ip rule), and at the routes in their tables: ip route show table all"


def _called(node: Node) -> str:
    return "the host" if node.is_host else "endpoint %s" % node.name


class Walk(Follower):
    """Follows the packet of one question, and its answer."""

    def __init__(self, topology: Topology, trail: Trail) -> None:
        self.topology = topology
        self.trail = trail
        self.wire = Wire(topology, trail)
        self._translations: dict[str, list[tuple[Packet, Packet]]] = {}
        self._entry: Packet | None = None
        self._start: tuple[Node, Nic | None] = (topology.host, None)
        self._left = _HOPS
        # where a packet was sent to another stack last, and by which gateway of its route
        self._hop: tuple[Node, Nic, model.Address | None] | None = None

    def from_node(self, node: Node, packet: Packet) -> Verdict:
        """Follow a packet that a process in a stack sends."""
        self._start = (node, None)
        return self._verdict(lambda: self._send(node, packet))

    def from_outside(self, nic: Nic, packet: Packet) -> Verdict:
        """Follow a packet that comes in by a link of the host."""
        host = self.topology.host
        self._start = (host, nic)

        def come() -> None:
            self.wire.must_be_up(host, nic, packet)
            self.wire.must_have_carrier(host, nic, packet)
            self.trail.note(host, packet, "uplink", nic.name, "in %s" % packet)
            self.wire.hook(
                host, packet, "netdev", "ingress", nic.name, Mark(host.name, "prerouting first", packet.answer)
            )
            self._receive(host, nic, packet)

        return self._verdict(come)

    def _verdict(self, go: t.Callable[[], None]) -> Verdict:
        try:
            go()
        except Stop as stop:
            found = self._twice(stop.verdict)
            if found.verdict == ARRIVES and self.trail.doubts and not self.trail.oracle.active:
                doubt = self.trail.doubts[0]
                return replace(doubt, verdict=NOT_KNOWN, reason="cannot tell: " + doubt.reason)
            return found
        raise AssertionError("a walk ends with a verdict")

    def _twice(self, found: Verdict) -> Verdict:
        """The verdict, or the one on an address that several stations have, which packets came to before."""
        doubled = self.wire.doubled
        if doubled is None or found.verdict == ARRIVES or found == doubled:
            return found
        if not self.trail.oracle.active:
            return replace(doubled, verdict=NOT_KNOWN, reason="cannot tell: " + doubled.reason)
        return doubled if found.verdict == NOT_KNOWN else replace(doubled, verdict=found.verdict)

    # ---- packets that a stack sends

    def _send(self, node: Node, packet: Packet) -> None:
        way = self._routed(node, packet)
        packet = packet.at(oif=way.link)
        entry = packet
        self._must_be_plain(node, packet, ipsec.OUT, Mark(node.name, "output first", packet.answer))
        if not way.is_local:
            self._must_fit(node, node.nics[way.link], packet)
        packet = self._hook(node, "output", packet)
        if packet.to != entry.to:
            way = self._routed(node, packet)
            packet = packet.at(oif=way.link)
        self._entry = entry
        if way.is_local:
            packet = self._hook(node, "postrouting", packet.at(oif="lo"))
            self.wire.must_be_up(node, node.nics["lo"], packet)
            self._receive(node, node.nics["lo"], packet.at(iif="lo", oif=""))
            return
        self._emit(node, way, packet, entry)

    def _routed(self, node: Node, packet: Packet) -> Way:
        if not packet.answer and not packet.source.is_unspecified and not node.is_local(packet.source):
            reason = "%s does not have the address %s" % (node.name, packet.source)
            advice = "Leave out source_address, or give an address of %s." % _called(node)
            self._stop(LOST, "address", at(node), reason, advice, packet)
        way = node.route(packet)
        if way.error:
            self._no_way(node, None, packet, way)
        if not packet.answer and not way.is_local:
            if self._cannot_leave(node, packet, way):
                self._has_no_address(node, packet, way)
            if not packet.source.is_link_local and not node.own_address(way.link, packet.version):
                self._must_be_in_its_networks(node, packet)
        return self._noted_way(node, packet, way)

    def _has_no_address(self, node: Node, packet: Packet, way: Way) -> None:
        """A packet from a link-local address cannot leave its link; but a router may send it back to the same link."""
        returns = self.wire.shares_segment(node, node.nics[way.link], packet.to)
        if packet.source.is_link_local and returns and not self.trail.oracle.active:
            self.trail.doubt(self._without_address(node, packet), packet)
        else:
            self.trail.stop(self._without_address(node, packet), packet)

    def _cannot_leave(self, node: Node, packet: Packet, way: Way) -> bool:
        """Whether the kernel could only choose a source that no other stack answers, for want of an address."""
        if packet.source.is_link_local:
            return way.gateway is not None
        # with route_localnet, packets from 127.0.0.1 may leave once their destination is translated
        return packet.source.is_loopback and packet.version == 6

    def _noted_way(self, node: Node, packet: Packet, way: Way) -> Way:
        via = " via %s" % way.gateway if way.gateway else ""
        text = "to this stack itself" if way.is_local else "by %s%s" % (way.link, via)
        self.trail.note(node, packet, "route", str(packet.to), text)
        if way.kind in ("blackhole", "unreachable", "prohibit", "throw"):
            self._dead_route(node, packet, way.kind)
        if node.is_host and not way.is_local:
            self._must_go_to_its_bridge(node, way.link, packet)
            self._must_lead_home(node, packet, way)
        return way

    def _must_lead_home(self, host: Node, packet: Packet, way: Way) -> None:
        """Packets for an endpoint leave by its bridge, unless somebody else has the address where they go."""
        nic, end = host.nics[way.link], self.wire.end_before(packet.to)
        near = end[1] if end is not None and end[0] is host and end[1].is_ours else None
        master = host.nic_at(near.master) if near is not None else None
        # an end that was unplugged is no way to anybody
        home = master or (near if near is not None and near.addresses else None)
        until = None
        if home is None and not packet.answer and self.topology.owner(packet.to) is None:
            # the address of an endpoint whose link is down may be lost, or somebody else has it out there
            home, sent = host.bridge_with(packet.to), self.trail.changes.get("to")
            if sent is None or not whose.is_ours(sent[1].chain):
                until = Mark(host.name, "in " + nic.name, True)
        if home is None or home is nic or self.wire.shares_segment(host, nic, packet.to):
            return
        if way.gateway is not None and not self.wire.leads_out(host, nic):
            return  # an endpoint that is a router may know the way
        found = host.match(packet.to)
        reason = "a route of the host (%s) leads packets to %s away, which is %s %s"
        where = "behind" if end is not None else "in the subnet of"
        reason %= (found.words if found.link == nic.name else nic.name, packet.to, where, home.name)
        advice = self._lead_back(host, found, packet) if found.link == nic.name else _ROUTING
        verdict = Verdict(LOST, "route", at(host, nic), reason, advice, owners.of_route(found.protocol))
        if until and not self.trail.oracle.active:
            self.trail.doubt(verdict, packet)
        else:
            self.trail.stop(verdict, packet, until)

    @staticmethod
    def _lead_back(host: Node, found: Match, packet: Packet) -> str:
        """The advice for a route that leads packets away."""
        if found.table in (0, model.MAIN_TABLE):
            words = "route del " + found.words
            return remedies.delete_route(host, "Delete that route", words, found.protocol, packet.version)
        from .dead_ends import first_to

        first = first_to(host, found.table, packet.version)
        if not first:
            return _ROUTING
        words = "rule add to %s lookup main pref %d" % (packet.to, first - 1)
        return "Keep such packets in the table main: %s" % remedies.ip(host, words, packet.version)

    def _emit(self, node: Node, way: Way, packet: Packet, entry: Packet) -> None:
        """Send a packet out of a link: the part that is the same for local and for forwarded packets."""
        nic = node.nics[way.link]
        self._must_fit(node, nic, packet)
        packet = self._hook(node, "postrouting", packet)
        if not packet.answer:
            self._translations.setdefault(node.name, []).append((entry, packet))
        hop = way.gateway or packet.to
        if packet.to == entry.to or not way.gateway:
            hop = way.gateway or packet.to
        mac, _here = self.wire.resolve(node, nic, hop, way.gateway is not None, packet)
        target = self.wire.leave(node, nic, packet, mac, None)
        if target is None:
            self._outside(node, nic, packet)
            return
        other, far = target
        self._hop = node, nic, way.gateway
        self._receive(
            other, far, packet.at(iif=far.name, oif="", status=packet.status if other is node else frozenset())
        )

    def _must_fit(self, node: Node, nic: Nic, packet: Packet) -> None:
        self.wire.must_fit(node, nic, packet, Mark(node.name, "out " + nic.name, packet.answer))

    # ---- packets that come in

    def _receive(self, node: Node, nic: Nic, packet: Packet) -> None:
        self._left -= 1
        if self._left < 0:
            self._stop(LOST, "route", at(node), "the packet is in a routing loop", "", packet)
        self._must_speak(node, nic, packet)
        entry = packet.at(iif=nic.name, oif="")
        if nic.name == "lo" and self._entry is not None:
            entry = self._entry
        packet = self._hook(node, "prerouting", packet.at(iif=nic.name, oif=""))
        way = node.route(packet, "" if nic.name == "lo" else nic.name)
        if way.error:
            self._no_way(node, nic, packet, way)
        way = self._noted_way(node, packet, way)
        if way.is_local:
            self._local(node, packet, entry)
            return
        self._forward(node, nic, way, packet, entry)

    def _must_speak(self, node: Node, nic: Nic, packet: Packet) -> None:
        if packet.version == 6 and nic.name != "lo" and node.sysctl("ipv6/conf/%s/disable_ipv6" % nic.name):
            # with it, the link has lost its addresses
            advice = "Give the network an IPv6 subnet if it has none, and run the role again, which enables IPv6."
            if not nic.is_ours:
                advice = "Enable IPv6, and set the addresses again: %s"
                advice %= remedies.sysctl(node, "ipv6/conf/%s/disable_ipv6" % nic.name, 0)
            reason = "IPv6 is disabled on %s of %s" % (nic.name, node.name)
            self._stop(LOST, "address", at(node, nic), reason, advice, packet)

    def _forward(self, node: Node, nic: Nic, way: Way, packet: Packet, entry: Packet) -> None:
        self._must_forward(node, nic, packet)
        for direction in (ipsec.FORWARD, ipsec.OUT):
            self._must_be_plain(node, entry, direction, Mark(node.name, "forward first", packet.answer))
        packet = packet.at(oif=way.link)
        out = node.nics[way.link]
        self._must_fit(node, out, packet)
        packet = self._hook(node, "forward", packet)
        self._emit(node, way, packet, entry)

    def _must_forward(self, node: Node, nic: Nic, packet: Packet) -> None:
        everywhere = "ipv4/ip_forward" if packet.version == 4 else "ipv6/conf/all/forwarding"
        if not node.is_host and not node.sysctl(everywhere):
            self._must_not_be_a_gateway(node, packet)
            reason = "%s does not have the address %s, but receives the packets to it" % (node.name, packet.to)
            advice = remedies.AGAIN % "restores the addresses of endpoints"
            self._stop(LOST, "address", at(node, nic), reason, advice, packet)
        # IPv4 checks the key of the link only, which ip_forward sets; in IPv6, that key is about router advertisements.
        own = "ipv%d/conf/%s/%s" % (
            packet.version,
            nic.name,
            "forwarding" if packet.version == 4 else "force_forwarding",
        )
        if not (node.sysctl(own) or (packet.version == 6 and node.sysctl(everywhere))):
            wanted = own if packet.version == 4 and node.sysctl(everywhere) else everywhere
            self._stop(
                LOST,
                "forwarding",
                at(node, nic),
                "%s does not forward IPv%d: net/%s is 0" % (node.name, packet.version, wanted),
                "Run the role or the module sysctl_forward, or set it by hand: %s" % remedies.sysctl(node, wanted, 1),
                packet,
                Mark(node.name, "forward first", packet.answer),
                owners.OURS,
            )
        self.trail.note(node, packet, "forwarding", nic.name, "on")

    def _must_not_be_a_gateway(self, node: Node, packet: Packet) -> None:
        """No route may lead by way of an endpoint that does not forward."""
        if self._hop is None:
            return
        sender, nic, gateway = self._hop
        if gateway is not None and node.is_local(gateway):
            reason = "a route of %s leads packets to %s by way of %s (%s), which does not forward"
            reason %= (sender.name, packet.to, gateway, node.name)
            advice, owner = self.wire.advice_gateway(sender, nic, packet.to), sender.match(packet.to).protocol
            self._stop(LOST, "route", at(sender, nic), reason, advice, packet, owner=owners.of_route(owner))

    def _must_be_plain(self, node: Node, packet: Packet, direction: int, until: Mark) -> None:
        """Check the IPsec policies, one of which may block the packet.

        If it requires encryption, only a real packet shows the result. The kernel matches a policy against the
        addresses that a packet had before it was translated.
        """
        found = next((one for one in node.policies if one.way == direction and one.selects(packet)), None)
        if found is None or not (found.blocks or found.wraps):
            return
        advice = "Change the policy where it is configured, or delete it: %s" % remedies.ip(node, found.removal)
        verdict = Verdict(LOST, "firewall", at(node), str(found), advice)
        if found.blocks:
            self.trail.stop(verdict, packet, until)
        else:
            self.trail.doubt(verdict, packet)

    def _local(self, node: Node, packet: Packet, entry: Packet) -> None:
        packet = self._hook(node, "input", packet)
        if packet.iif != "lo":
            self._must_be_plain(node, entry, ipsec.IN, Mark(node.name, "output first", True))
        if packet.answer:
            self._arrived(node, packet)
            return
        self._translations.setdefault(node.name, []).append((entry, packet))
        self._served(node, packet)
        if packet.protocol == "udp" and not self.trail.oracle.came(Mark(node.name, "output first", True)):
            self._arrived(node, packet)
        answer = Packet(
            source=packet.to,
            to=packet.source,
            protocol=packet.protocol,
            sport=packet.dport,
            dport=packet.sport,
            state="established",
            answer=True,
        )
        self._left = _HOPS
        self._send(node, answer)

    def _arrived(self, node: Node, packet: Packet) -> None:
        if packet.answer:
            self._must_answer_the_question(node, packet)
        what = "the answer comes back to %s" if packet.answer else "the packet reaches a socket in %s"
        raise Stop(Verdict(ARRIVES, None, at(node), what % _called(node), ""))

    def _must_answer_the_question(self, node: Node, packet: Packet) -> None:
        """Check that the answer came back through the translation of the request; no socket waits for it otherwise."""
        question = next((entry for entry, _later in self._translations.get(node.name, ())), None)
        if question is None or (question.to, question.dport or packet.sport) == (packet.source, packet.sport):
            return
        reason = "the answer comes from %s, but the request went to %s: the answer did not come back through the host"
        advice = (
            "Run the role again; packets that return to their own bridge need an address of the host as their source."
        )
        reason %= (packet.origin, question.target)
        self._stop(LOST, "masquerade", at(node), reason, advice, packet)

    # ---- the service

    def _served(self, node: Node, packet: Packet) -> None:
        self.trail.ports.append(packet.dport)
        if packet.protocol == "icmp":
            self._answers_echo(node, packet)
            return
        here = [one for one in node.listeners(packet.protocol) if one.port == packet.dport]
        taking = [one for one in here if one.hears(packet.to)]
        if taking:
            self._must_have_room(node, packet, taking)
            self.trail.note(node, packet, "service", "%d/%s" % (packet.dport, packet.protocol), "a service listens")
            return
        if self._is_unpublished(node, packet, [one.address for one in here]):
            return
        idle = None if here or node.is_host else self.topology.idle(node, packet)
        reason, advice = self._elsewhere(node, packet, here) if here else self._nobody_listens(node, packet, idle)
        sent = self.trail.changes.get("dport") or self.trail.changes.get("to")
        if sent is not None and not whose.is_ours(sent[1].chain):
            reason += "; a rule that is not of this collection sends the packet there: %s" % sent[1].because
            advice = "Start the service there if that rule is right. If not: %s" % remedies.without(*sent)
            self._stop(REFUSED, "publish", at(sent[0]), reason, advice, packet, owner=whose.of_rule(*sent))
        owner = idle.owner if idle is not None else ""
        self._stop(REFUSED, "service", at(node), reason, advice, packet, owner=owner)

    def _elsewhere(self, node: Node, packet: Packet, here: t.Sequence[model.Listener]) -> tuple[str, str]:
        where = ", ".join(sorted({str(one.address) for one in here}))
        reason = "port %d/%s in %s is served on %s only, not on %s"
        reason %= (packet.dport, packet.protocol, _called(node), where, packet.to)
        everywhere = "0.0.0.0" if packet.version == 4 else "::"
        return reason, "Let the service listen on %s, or on %s." % (everywhere, packet.to)

    def _nobody_listens(self, node: Node, packet: Packet, idle: Idle | None) -> tuple[str, str]:
        reason = "nothing listens on port %d/%s in %s" % (packet.dport, packet.protocol, _called(node))
        lost = None if node.is_host else self._left_behind(node, packet)
        if lost is not None:
            reason += ", but %s does in a network namespace without a name, like a service that was started before its"
            reason += " endpoint was created again"
            return reason % lost.name, "Restart the service of %s, inside %s." % (lost.name, _called(node))
        if node.is_host:
            return reason, "Start the service on the host."
        if idle is not None:
            return "%s, %s" % (reason, idle.reason), idle.advice
        how = remedies.inside(node, "COMMAND")
        advice = "Start the service inside %s: name its unit in the endpoint's `services`, or start it by hand: %s"
        return reason, advice % (_called(node), how)

    def _left_behind(self, node: Node, packet: Packet) -> Node | None:
        """A namespace that has lost the name of this one, in which a service listens on the port."""
        for other in self.topology.left_behind(node.name):
            if any(one.port == packet.dport for one in other.listeners(packet.protocol)):
                return other
        return None

    def _must_have_room(self, node: Node, packet: Packet, taking: t.Sequence[model.Listener]) -> None:
        if all(one.full for one in taking):
            reason = "the service on port %d/%s in %s accepts no connections, and its queue is full"
            reason %= (packet.dport, packet.protocol, node.name)
            advice = "Look at the service, which hangs or is overloaded; ss -ltn shows its queue (Recv-Q)."
            self._stop(UNANSWERED, "service", at(node), reason, advice, packet, Mark(node.name, "output first", True))

    def _is_unpublished(self, node: Node, packet: Packet, ports: t.Sequence[model.Address]) -> bool:
        """Whether the port is one of the host that is neither published nor served; if so, the walk stops."""
        early = self.trail.untranslated.get("output" if packet.iif == "lo" else "prerouting")
        if not node.is_host or ports or "dnat" in packet.status or (packet.iif == "lo" and early is None):
            return False
        if early is not None:
            reason = "port %d/%s of %s is published, but a rule that is not of this collection lets the packet pass"
            reason = (reason + " before our rules can translate it: ") % (packet.dport, packet.protocol, packet.to)
            advice, owner = remedies.without(*early), whose.of_rule(*early)
            self._stop(REFUSED, "publish", at(node), reason + early[1].because, advice, packet, owner=owner)
        untracked = self.trail.changes.get("state")
        if untracked is not None and untracked[0] is node:
            reason = "port %d/%s of %s is not published for packets that bypass connection tracking: %s"
            reason %= (packet.dport, packet.protocol, packet.to, untracked[1].because)
            owner = whose.of_rule(*untracked)
            self._stop(REFUSED, "publish", at(node), reason, remedies.without(*untracked), packet, owner=owner)
        reason = "no rule publishes port %d/%s of %s, and nothing on the host itself listens there"
        reason %= (packet.dport, packet.protocol, packet.to)
        advice = 'Set publish: ["%d:PORT"] for the endpoint and run the role, which also restores deleted rules; or'
        advice = (advice + " use the module port_publish.") % packet.dport
        found = published.for_others(node, packet, self.topology.published())
        self._stop(REFUSED, "publish", at(node), *(found or (reason, advice)), packet)
        return True

    def _answers_echo(self, node: Node, packet: Packet) -> None:
        key = "ipv4/icmp_echo_ignore_all" if packet.version == 4 else "ipv6/icmp/echo_ignore_all"
        if node.sysctl(key):
            self._stop(
                UNANSWERED,
                "service",
                at(node),
                "%s does not answer ping: net/%s is 1" % (node.name, key),
                "Let it answer: %s" % remedies.sysctl(node, key, 0),
                packet,
            )

    # ---- out of this host

    def _outside(self, node: Node, nic: Nic, packet: Packet) -> None:
        _start, came_by = self._start
        if packet.answer:
            if came_by is not None and came_by.name != nic.name:
                reason = "the answer leaves by %s, but the request came in by %s" % (nic.name, came_by.name)
                self.trail.doubt(
                    Verdict(LOST, "route", at(node, nic), reason, "Look at the routes of the host."), packet
                )
            reason = "the answer leaves the host by %s for %s" % (nic.name, packet.to)
            raise Stop(Verdict(ARRIVES, None, at(node), reason))
        mark = Mark(node.name, "in " + nic.name, True)
        # what only passes by is answered to its sender, and perhaps by another way
        passes_by = came_by is not None and "to" not in self.trail.changes
        from_elsewhere = not passes_by and not node.is_local(packet.source)
        masquerade = self._untranslated(node, nic, packet)
        advice = "Check %s, and the network between it and this host." % packet.to
        silent = self._silent(node, nic, packet, advice)
        complaint = self.trail.oracle.complaint(node)
        if complaint:
            said = "the packet left by %s as %s, and %s" % (nic.name, packet, complaint)
            layer: Layer = "mtu" if "too big" in complaint else "upstream"
            self._stop(REFUSED, layer, at(node, nic), said, advice, packet)
        if from_elsewhere:
            self.trail.doubt(masquerade, packet)
        self.trail.seen(mark, silent)
        if not self.trail.oracle.active:
            self._cannot_see(node, nic, packet, masquerade if from_elsewhere else None)
        answer = Packet(
            source=packet.to, to=packet.source, protocol=packet.protocol, sport=packet.dport, dport=packet.sport,
            state="established", answer=True,
        )  # fmt: skip
        self._left = _HOPS
        self._receive(node, nic, answer)

    def _silent(self, node: Node, nic: Nic, packet: Packet, advice: str) -> Verdict:
        """The verdict if nobody answers. A permanent neighbour entry, though right at most sites, is then a suspect."""
        reason = "the packet left the host by %s as %s, and nothing out there answered" % (nic.name, packet)
        entry, without = self.wire.doubtful_entry(node, nic)
        if not entry:
            return Verdict(UNANSWERED, "upstream", at(node, nic), reason, advice)
        advice = "%s %s" % (advice, without)
        return Verdict(UNANSWERED, "neighbour", at(node, nic), reason + entry, advice)

    def _untranslated(self, node: Node, nic: Nic, packet: Packet) -> Verdict:
        """Why replies cannot return to the source with which a packet leaves."""
        reason = (
            "the packet leaves by %s with the source %s, which is not an address of the host, so replies cannot return"
        )
        reason %= (nic.name, packet.source)
        advice = "Set masquerade: true for the network and run the role, which also restores deleted rules; or use"
        advice += " the module nat_masquerade."
        owner, absent = owners.OURS, remedies.absent_way_out(node, packet)
        if absent:
            reason += "; a rule translates it only if it leaves by %s, and there is no such interface" % absent
            advice = "Replace %s, as out_interface of the network's masquerade or of the module nat_masquerade, by an"
            advice = advice % absent + " interface that is there, and run the playbook."
        for what in ("source", "state"):
            changed = self.trail.changes.get(what)
            if changed is not None and changed[0] is node and not whose.is_ours(changed[1].chain):
                words = "sets that source" if what == "source" else "keeps the packet from being translated"
                reason += "; a rule that is not of this collection %s: %s" % (words, changed[1].because)
                advice, owner = remedies.without(*changed), whose.of_rule(*changed)
                break
        early = self.trail.untranslated.get("postrouting")
        if early is not None:
            reason += "; a rule that is not of this collection lets it pass before our rules can translate it: %s"
            reason, advice, owner = reason % early[1].because, remedies.without(*early), whose.of_rule(*early)
        return Verdict(UNANSWERED, "masquerade", at(node, nic), reason, advice, owner)

    def _cannot_see(self, node: Node, nic: Nic, packet: Packet, masquerade: Verdict | None) -> None:
        if masquerade is not None and packet.to.is_global and not packet.source.is_global:
            raise Stop(masquerade)
        found = masquerade or (self.trail.doubts[0] if self.trail.doubts else None)
        if found is not None:
            raise Stop(replace(found, verdict=NOT_KNOWN, reason="cannot tell: " + found.reason))
        reason = (
            "nothing on this host stops the packet, which leaves by %s as %s; only a real packet shows what is beyond"
        )
        raise Stop(
            Verdict(NOT_KNOWN, "upstream", at(node, nic), reason % (nic.name, packet), "Ask again with active: true.")
        )

    # ---- hooks

    def _hook(self, node: Node, hook: str, packet: Packet) -> Packet:
        """The packet filter on a hook of IP; what the kernel reported about a real packet takes precedence."""
        oracle = self.trail.oracle
        first, last = (Mark(node.name, "%s %s" % (hook, end), packet.answer) for end in ("first", "last"))
        self.trail.seen(first, self._never_came(node, hook, packet))
        if hook in ("prerouting", "output"):
            self._must_have_an_entry(node, packet)
        outcome = node.filter.on_hook(hook, packet, node, undo=self._undo(node, hook, packet))
        passed = oracle.came(last)
        if passed is False:
            named = oracle.dropped(node, packet.answer, _IP_FAMILIES)
            if named is not None:
                outcome = named_outcome(node, named, packet)
            elif outcome.kind == PASS:
                # A packet that is translated in output is routed again, and lost in the hook if there is no route.
                if hook == "output" and outcome.packet.to != packet.to:
                    self._routed(node, outcome.packet)
                self._tracked_away(node, hook, packet)
        self.trail.changed(node, packet, outcome)
        self._note_early(node, hook, packet, outcome)
        self._obey(node, hook, outcome, packet, last)
        return self._as_seen(node, hook, outcome.packet, passed)

    def _note_early(self, node: Node, hook: str, packet: Packet, outcome: Outcome) -> None:
        """Record a rule of others after which the packet does not come to our rules that translate."""
        for by, missed in outcome.early:
            if whose.is_ours(missed.chain) and not whose.is_ours(by.chain) and not packet.answer:
                self.trail.untranslated[hook] = (node, by)

    def _obey(self, node: Node, hook: str, outcome: Outcome, packet: Packet, last: Mark) -> None:
        if outcome.kind in (DROP, REJECT):
            self.trail.stop(firewall(node, hook, outcome), packet, last)
        elif outcome.kind == UNKNOWN:
            self.trail.doubt(firewall(node, hook, outcome), packet)
            self.trail.seen(last, firewall(node, hook, outcome))
        else:
            changed = "" if str(outcome.packet) == str(packet) else ", as %s from here on" % outcome.packet
            self.trail.note(node, packet, "firewall", hook, "passes%s" % changed)

    def _as_seen(self, node: Node, hook: str, packet: Packet, passed: bool | None) -> Packet:
        """The packet as it was seen after the hook, with translations that could not be foreseen."""
        seen = self.trail.oracle.packet_at(Mark(node.name, hook, packet.answer)) if passed else None
        if seen is None:
            return packet
        return packet.at(source=seen.source, to=seen.to, sport=seen.sport, dport=seen.dport)

    def _undo(self, node: Node, hook: str, packet: Packet) -> tuple[model.Address | None, int | None] | None:
        """The address and port that connection tracking restores in an answer, on the hooks where it does."""
        if not packet.answer:
            return None
        for before, after in self._translations.get(node.name, ()):
            if hook in ("prerouting", "output") and (packet.to, packet.source) == (after.source, after.to):
                return before.source, before.sport
            if hook in ("postrouting", "input") and (packet.source, packet.to) == (after.to, before.source):
                return before.to, before.dport
        return None

    def _tracked_away(self, node: Node, hook: str, packet: Packet) -> None:
        advice = self._more_room(node)
        reason = "the packet was lost on the hook %s of %s, and no rule that nft or iptables shows dropped it: " % (
            hook,
            node.name,
        )
        reason += "the connection-tracking table is full" if advice else "connection tracking may have dropped it"
        advice = advice or "Look at the counters of connection tracking: %s" % remedies.inside(node, "conntrack -S")
        self._stop(LOST, "conntrack", at(node), reason, advice, packet)

    def _more_room(self, node: Node) -> str:
        """The advice for a full table of connection tracking; empty if it has room."""
        limit = node.sysctl("netfilter/nf_conntrack_max")
        if node.sysctl("netfilter/nf_conntrack_count") < max(limit, 1):
            return ""
        command = remedies.sysctl(self.topology.host, "netfilter/nf_conntrack_max", 2 * limit)
        return "Raise the limit, which is one for the whole machine: %s" % command

    def _must_have_an_entry(self, node: Node, packet: Packet) -> None:
        """Doubt whether a new connection finds room, for which the kernel may drop an old one."""
        advice = self._more_room(node) if packet.state == "new" and not self.trail.oracle.active else ""
        if advice:
            reason = "the connection-tracking table of %s is full" % node.name
            self.trail.doubt(Verdict(LOST, "conntrack", at(node), reason, advice), packet)

    def _never_came(self, node: Node, hook: str, packet: Packet) -> Verdict:
        """Why a packet did not get to a hook, if no check found a fault."""
        if hook == "output" and packet.answer:
            reason = "%s received the packet, but sent no answer: the service does not accept it, or its queue is full"
            return Verdict(
                UNANSWERED, "service", at(node), reason % node.name, "Look at the service and its backlog: ss -ltn"
            )
        layer: Layer = "route" if hook in ("forward", "input") else "link"
        reason = "the packet did not get to the hook %s of %s, and no check explains why"
        advice = (
            "Look at IPsec policies (ip xfrm policy), at traffic control (tc filter show dev LINK), and at XDP programs"
            " (ip link show)."
        )
        if layer == "route":
            advice = (
                "Look at rules of routing for packets with a mark (ip rule), at what sets that mark (nft list ruleset),"
                " and at IPsec policies (ip xfrm policy)."
            )
        return Verdict(NOT_KNOWN, layer, at(node), reason % (hook, node.name), advice)

    # ---- no route

    def _no_way(self, node: Node, nic: Nic | None, packet: Packet, way: Way) -> None:
        """Explain a routing error, by the checks in the kernel's order."""
        plain = node.route(packet, "", packet.to, checked=False)
        dead = {errno.EINVAL: "blackhole", errno.EACCES: "prohibit", errno.EHOSTUNREACH: "unreachable"}
        if plain.error in dead:
            self._dead_route(node, packet, dead[plain.error])
        if plain.error:
            self._no_route(node, packet)
        if nic is not None and not plain.is_local:
            self._must_forward(node, nic, packet)
        found = reverse_path(node, nic, packet) if nic is not None else None
        if found is not None:
            self.trail.stop(found, packet)
        from .dead_ends import discarding_rule

        rule = discarding_rule(node, packet)
        if rule:
            self._dead_route(node, packet, rule)
        reason = "%s cannot route %s (%s)" % (node.name, packet, errno.errorcode.get(way.error, way.error))
        advice = "Look at the routes and rules (ip rule): %s" % remedies.ip(
            node, "route show table all", packet.version
        )
        self._stop(LOST, "route", at(node), reason, advice, packet)

    def _dead_route(self, node: Node, packet: Packet, kind: str) -> None:
        from .dead_ends import dead_end

        found = dead_end(node, kind, packet)
        what = "routing rule" if found is not None and found.removal.startswith("rule ") else "route"
        reason = "a %s of type %s stops packets to %s" % (what, kind, packet.to)
        advice = "Find it, here or with ip rule: %s" % remedies.ip(node, "route show table all type %s" % kind)
        if found is not None:
            advice = remedies.delete_route(node, "Delete it", found.removal, found.protocol, packet.version)
        verdict: Ending = LOST if kind == "blackhole" or node is self._start[0] else REFUSED
        owner = owners.of_route(found.protocol) if found is not None else owners.STRANGER
        self._stop(verdict, "route", at(node), reason, advice, packet, owner=owner)

    def _no_route(self, node: Node, packet: Packet) -> None:
        """Explain that there is no route, often because a link is down or has no address."""
        for nic in node.nics.values():
            followed = self.wire.is_followed(nic)
            if nic.name != "lo" and not nic.up and (not node.is_host or not followed or nic.kind == "bridge"):
                if node.is_host and not nic.addresses:
                    continue
                self.wire.must_be_up(node, nic, packet)
        own = [one for nic in node.nics.values() for one in nic.addresses if not one.is_loopback]
        own = [one for one in own if one.version == packet.version and not one.is_link_local]
        if not own:
            self.trail.stop(self._without_address(node, packet), packet)
        if node.is_host:
            self._must_go_to_its_bridge(node, "", packet)
        else:
            self._must_be_in_its_networks(node, packet)
        reason = "%s has no route to %s" % (node.name, packet.to)
        closed = None if node.is_host else internal_networks(self.topology, node, packet)
        if closed:
            verb = "is" if len(closed) == 1 else "are"
            reason += ", as %s %s internal" % (" and ".join(closed), verb)
        advice = remedies.no_route(node, packet.to, closed)
        bare = self._without_addresses(node, packet.version) if node.is_host else []
        if bare:
            reason += "; %s %s no IPv%d address" % (
                " and ".join(bare),
                "has" if len(bare) == 1 else "have",
                packet.version,
            )
            advice = (
                "A route is lost with the address of its link; if so, give the link its address again first. " + advice
            )
        self._stop(LOST, "route", at(node), reason, advice, packet)

    def _without_addresses(self, host: Node, version: int) -> list[str]:
        """The links that may lead outside, but have no address of an IP version."""
        return sorted(
            nic.name
            for nic in host.nics.values()
            if nic.up
            and nic.carrier
            and not nic.is_ours
            and not nic.master
            and nic.name != "lo"
            and self.wire.leads_out(host, nic)
            and nic.kind not in ("bridge", "dummy", "ifb")
            and not any(one.version == version and not one.is_link_local for one in nic.addresses)
        )

    def _must_be_in_its_networks(self, node: Node, packet: Packet) -> None:
        lost = lost_network(self.topology, node, packet.version) if whose.is_endpoint(node) else None
        if lost is not None:
            self.trail.stop(lost, packet)

    def _must_go_to_its_bridge(self, host: Node, link: str, packet: Packet) -> None:
        """Check the bridge of the endpoint that a packet goes to: its address brings the route, and without that a less
        specific one is taken."""
        bridge = self._bridge_before(host, packet)
        if bridge is not None and bridge.is_ours and bridge.name != link and not self._is_led_away(host, link, packet):
            self.wire.must_be_up(host, bridge, packet)
            self.wire.must_have_an_address(host, bridge, packet)
            self.wire.must_have_its_route(host, bridge, packet)

    @staticmethod
    def _is_led_away(host: Node, link: str, packet: Packet) -> bool:
        """Whether a route to this address alone, or a rule, leads to a link, with or without the bridge's own route."""
        found = host.match(packet.to)
        alone = found.words.partition(" ")[0] == "%s/%d" % (packet.to, packet.to.max_prefixlen)
        return found.link == link != "" and (alone or found.table not in (0, model.MAIN_TABLE))

    def _bridge_before(self, host: Node, packet: Packet) -> Nic | None:
        """The bridge of the endpoint that has the destination; if no address tells, all endpoints are looked at."""
        found = host.bridge_with(packet.to)
        if found is not None or all(host.own_address(nic.name, packet.version) for nic in host.own_bridges()):
            return found
        if packet.to.is_global and "dnat" not in packet.status:
            return None
        end = self.wire.end_before(packet.to)
        return host.nic_at(end[1].master) if end is not None and end[1].master else None

    def _without_address(self, node: Node, packet: Packet) -> Verdict:
        own = [one for nic in node.nics.values() for one in nic.addresses if one.version == packet.version]
        reason = "%s has no IPv%d address" % (node.name, packet.version)
        reason += " but a link-local one" if any(one.is_link_local for one in own) else ""
        return Verdict(LOST, "address", at(node), reason, remedies.AGAIN % "restores the addresses of endpoints")
