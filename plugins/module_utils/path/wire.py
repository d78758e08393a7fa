# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, bridges and neighbours: how a frame gets from one stack to the next."""

from __future__ import annotations

import typing as t

from .. import model, owners
from ..records import replace
from . import remedies, whose
from .packet import Packet
from .rules import DROP, REJECT, UNKNOWN, Outcome
from .topology import FORWARDING, NUD_FAILED, NUD_PERMANENT, PORT_STATES, Neighbour, Nic, Node, Topology
from .trail import Follower, Mark, Trail, Verdict, at
from .words import LOST, REFUSED, Ending, Layer
from .words import UNKNOWN as NOT_KNOWN

Station = tuple[Node, Nic]
_ON_THE_WAY_IN, _ON_THE_WAY_OUT = ("locked",), ("flood", "mcast_flood", "bcast_flood", "neigh_suppress")
# The value of arp_ignore with which a stack answers nobody.
_IGNORE_ARP = 8
_EVERYBODY = "ff:ff:ff:ff:ff:ff"
_ADDRESS_AGAIN = remedies.AGAIN % "restores the addresses of endpoints"
_ADDRESS_AGAIN += " If no endpoint should have that address, ask for another one."


class Wire(Follower):
    """Carries frames from stack to stack; every obstacle ends the trail."""

    def __init__(self, topology: Topology, trail: Trail) -> None:
        self.topology = topology
        self.trail = trail
        # The verdict if a real packet still waits for the MAC address of its next hop.
        self._unanswered: Verdict | None = None
        # The permanent entry that the last next hop was found by, if it is outside: it may be wrong.
        self._by_hand: tuple[model.Address, str] | None = None
        # The verdict on the first next hop whose address several stations have, if the packet goes no further.
        self.doubled: Verdict | None = None

    # ---- from link to link

    def leave(self, node: Node, nic: Nic, packet: Packet, mac: str, target: Station | None) -> Station | None:
        """The station that a frame reaches when a stack sends it by a link; None if that is outside of this host."""
        self.must_be_up(node, nic, packet)
        if nic.kind == "bridge":
            return self._from_bridge(node, nic, packet, mac, target)
        self._must_lead_on(node, nic, packet)
        if self.other_end(node, nic) is None:
            self.must_have_carrier(node, nic, packet)
        self._must_be_seen(node, "out", nic, packet)
        return self._along(node, nic, packet, mac, target)

    def _along(self, node: Node, nic: Nic, packet: Packet, mac: str, target: Station | None) -> Station | None:
        """Carry a frame through a veth pair."""
        end = self.other_end(node, nic)
        if end is None:
            return None
        other, far = end
        self.must_be_up(other, far, packet)
        self._must_be_a_port(other, far, packet.source, packet, "prerouting first")
        self.must_fit(other, far, packet, Mark(other.name, "in " + far.name, packet.answer))
        self._must_be_seen(other, "in", far, packet)
        return self._enter(other, far, packet, mac, target)

    def _enter(self, node: Node, nic: Nic, packet: Packet, mac: str, target: Station | None) -> Station | None:
        self._controlled(node, nic, packet)
        self._must_pass_control(node, nic, packet)
        self.hook(node, packet, "netdev", "ingress", nic.name, self._after_ingress(node, nic, packet))
        if not nic.master:
            return node, nic
        bridge = node.nic_at(nic.master)
        if bridge is None or bridge.kind != "bridge":
            return (node, bridge) if bridge is not None else None
        return self._into_bridge(node, bridge, nic, packet, mac, target)

    def _after_ingress(self, node: Node, nic: Nic, packet: Packet) -> Mark:
        bridge = node.nic_at(nic.master) if nic.master else None
        point = "bridge prerouting first" if bridge is not None else "prerouting first"
        return Mark(node.name, point, packet.answer)

    # ---- bridges

    def _into_bridge(
        self, node: Node, bridge: Nic, port: Nic, packet: Packet, mac: str, target: Station | None
    ) -> Station | None:
        self.must_be_up(node, bridge, packet)
        self._must_forward(node, bridge, port, packet)
        self._may_hold_back(node, port, _ON_THE_WAY_IN, packet)
        target = target or self._station(node, bridge, mac)
        local = mac == bridge.mac or (target is not None and target[1] is bridge)
        onward = Mark(node.name, "bridge %s first" % ("input" if local else "forward"), packet.answer)
        self.hook(node, packet, "bridge", "prerouting", port.name, onward)
        if target is None and mac == _EVERYBODY:
            return None  # each port sends a copy of its own
        if local:
            after = Mark(node.name, "in " + bridge.name, packet.answer)
            self.hook(node, packet, "bridge", "input", port.name, after)
            self._must_be_seen(node, "in", bridge, packet)
            return self._enter(node, bridge, packet, mac, target)
        out = self._port_for(node, bridge, target, mac, packet)
        if out is None:
            return None
        self._must_take(node, bridge, out, packet)
        self._must_not_be_apart(node, bridge, port, out, packet)
        self._filtered(node, bridge, packet.at(iif=port.name, oif=out.name), out)
        return self._by_port(node, out, packet, mac, target)

    def _from_bridge(self, node: Node, bridge: Nic, packet: Packet, mac: str, target: Station | None) -> Station | None:
        """Carry a frame that the host itself sends by its bridge."""
        target = target or self._station(node, bridge, mac)
        out = self._port_for(node, bridge, target, mac, packet)
        if out is None:
            return None
        self._must_take(node, bridge, out, packet)
        after = Mark(node.name, "out " + out.name, packet.answer)
        self.hook(node, packet.at(iif="", oif=out.name), "bridge", "output", "", after)
        return self._by_port(node, out, packet, mac, target)

    def _by_port(self, node: Node, out: Nic, packet: Packet, mac: str, target: Station | None) -> Station | None:
        after = Mark(node.name, "out " + out.name, packet.answer)
        self.must_fit(node, out, packet, after)
        self.hook(node, packet.at(oif=out.name), "bridge", "postrouting", "", after)
        self._must_be_seen(node, "out", out, packet)
        return self._along(node, out, packet, mac, target)

    def _filtered(self, node: Node, bridge: Nic, packet: Packet, out: Nic) -> None:
        """Check the filters for frames that go from port to port."""
        after = Mark(node.name, "out " + out.name, packet.answer)
        self.hook(node, packet, "bridge", "forward", "", after)
        key = "bridge/bridge-nf-call-ip%stables" % ("6" if packet.version == 6 else "")
        if not packet.is_arp and node.sysctl(key):
            self.hook(node, packet.at(iif=bridge.name, oif=bridge.name), "", "forward", "", after)

    def _station(self, node: Node, bridge: Nic, mac: str) -> Station | None:
        """The station on a bridge that has a MAC address."""
        if mac == bridge.mac:
            return node, bridge
        ends = (self.other_end(node, port) for port in node.ports(bridge))
        return next((end for end in ends if end is not None and end[1].mac == mac), None)

    def _port_for(self, node: Node, bridge: Nic, target: Station | None, mac: str, packet: Packet) -> Nic | None:
        """The port that leads to a station; None if it leads out of this host."""
        fixed = node.nic_at(node.stations.get((bridge.index, mac), 0))
        open_ports = []
        for port in node.ports(bridge):
            end = self.other_end(node, port)
            if end is None:
                open_ports.append(port)
            elif target is not None and end[1] is target[1]:
                self._must_not_be_misled(node, bridge, fixed, port, mac, packet)
                return port
        if open_ports:
            return None
        self._must_be_behind_a_port(packet.to, packet)
        self._must_be_had(node, bridge, packet)
        self._stop(
            LOST,
            "neighbour",
            at(node, bridge),
            "frames are sent to the MAC address %s, which nothing on %s has" % (mac, bridge.name),
            "Remove the neighbour entry that names it: ip neigh flush dev %s nud all" % bridge.name,
            packet,
        )
        return None

    def _must_be_had(self, node: Node, bridge: Nic, packet: Packet) -> None:
        """A neighbour entry may outlive the interface that had the address."""
        if any(packet.to in own.network for own in bridge.addresses) and self.topology.owner(packet.to) is None:
            reason = "nothing on %s has the address %s" % (bridge.name, packet.to)
            self._stop(LOST, "address", at(node, bridge), reason, _ADDRESS_AGAIN, packet)

    def _must_not_be_misled(
        self, node: Node, bridge: Nic, fixed: Nic | None, port: Nic, mac: str, packet: Packet
    ) -> None:
        if fixed is not None and fixed.index != port.index:
            self._stop(
                LOST,
                "bridge_port",
                at(node, bridge),
                "a forwarding entry sends frames for %s to port %s, but that address is behind %s"
                % (mac, fixed.name, port.name),
                "Delete the entry: bridge fdb del %s dev %s master" % (mac, fixed.name),
                packet,
                Mark(node.name, "out " + port.name, packet.answer),
                owner=owners.STRANGER,
            )

    # ---- what may be wrong

    def must_be_up(self, node: Node, nic: Nic, packet: Packet) -> None:
        if not nic.up:
            reason = "interface %s of %s is down" % (nic.name, node.name)
            self._stop(LOST, self.layer_of(node, nic), at(node, nic), reason, self._advice_down(node, nic), packet)

    def _advice_down(self, node: Node, nic: Nic) -> str:
        command = remedies.ip(node, "link set %s up" % nic.name)
        if nic.is_ours and (nic.kind == "bridge" or not node.is_host):
            return (
                remedies.AGAIN % "brings the interface up, and restores the addresses and routes that were lost with it"
            )
        if self.layer_of(node, nic) == "uplink":
            found = whose.manager(node, nic)
            if found is not None:
                return "%s manages it, and restores its addresses and routes: %s" % (found.name, found.up)
            what = "Bring it up with what manages it (networkctl, nmcli, ifup), which restores its addresses and routes"
            return "%s, or by hand: %s" % (what, command)
        return "Bring it up: %s" % command

    def _must_lead_on(self, node: Node, nic: Nic, packet: Packet) -> None:
        """A link whose other end is down sends nothing."""
        end = self.other_end(node, nic)
        if end is not None:
            self.must_be_up(end[0], end[1], packet)

    def must_fit(self, node: Node, nic: Nic, packet: Packet, until: Mark) -> None:
        """Check the MTU of a link, which limits what it sends and what it receives."""
        if packet.size > nic.mtu:
            self._stop(
                LOST,
                "mtu",
                at(node, nic),
                "the packet has %d bytes and must not be fragmented, but %s of %s takes only %d"
                % (packet.size, nic.name, node.name, nic.mtu),
                self._advice_mtu(node, nic, packet),
                packet,
                # a real packet proves nothing for TCP: it is small, whatever size the question names
                None if packet.protocol == "tcp" else until,
            )

    def _advice_mtu(self, node: Node, nic: Nic, packet: Packet) -> str:
        command = remedies.ip(node, "link set %s mtu %d" % (nic.name, packet.size))
        sender = self.topology.owner(packet.source)
        if sender is not None and sender is not node:
            # The sender has learned the path MTU, and remembers it for ten minutes.
            command += " && " + remedies.ip(sender, "route flush cache", packet.version)
        return "Send smaller packets, or raise the MTU: %s" % command

    def must_have_carrier(self, node: Node, nic: Nic, packet: Packet) -> None:
        if not nic.carrier and nic.name != "lo":
            self._stop(
                LOST,
                self.layer_of(node, nic),
                at(node, nic),
                "interface %s of %s has no carrier: its other end is down, or the cable is out" % (nic.name, node.name),
                "Bring the other end of %s up, or check its cable." % nic.name,
                packet,
            )
        self.trail.note(node, packet, self.layer_of(node, nic), nic.name, "up, with carrier")

    def layer_of(self, node: Node, nic: Nic) -> Layer:
        """The layer of a link in a verdict: the host's way out is the uplink."""
        return "uplink" if node.is_host and not self.is_followed(nic) else "link"

    def is_followed(self, nic: Nic) -> bool:
        """Whether to look for the other end of a link: not for that of a host's uplink, which may be a veth itself."""
        return bool(nic.master) or nic.is_ours or nic.kind == "bridge"

    def other_end(self, node: Node, nic: Nic) -> Station | None:
        """The other end of a veth pair, if it is one of ours or a bridge's port."""
        if nic.kind != "veth" or (node.is_host and not self.is_followed(nic)):
            return None
        return self.topology.peer(node, nic)

    def end_before(self, address: model.Address) -> Station | None:
        """The other end of the veth pair whose one end has an address."""
        owner = self.topology.owner(address)
        nic = owner.holder(address) if owner is not None else None
        return self.other_end(owner, nic) if owner is not None and nic is not None else None

    def _must_forward(self, node: Node, bridge: Nic, port: Nic, packet: Packet) -> None:
        if port.port_state not in (None, FORWARDING) and port.carrier:
            state = PORT_STATES.get(port.port_state or 0, "unknown")
            self._stop(
                LOST,
                "bridge_port",
                at(node, port),
                "port %s of %s is %s" % (port.name, bridge.name, state),
                "If STP is on, wait; otherwise: bridge link set dev %s state forwarding" % port.name,
                packet,
            )

    def _must_take(self, node: Node, bridge: Nic, out: Nic, packet: Packet) -> None:
        """A bridge sends by a port only if that is forwarding, which it is not while it or its other end is down."""
        self.must_be_up(node, out, packet)
        self._must_lead_on(node, out, packet)
        self._must_forward(node, bridge, out, packet)
        self._may_hold_back(node, out, _ON_THE_WAY_OUT, packet)

    def _may_hold_back(self, node: Node, port: Nic, flags: t.Container[str], packet: Packet) -> None:
        """Doubt whether a port with these flags passes a frame on: that depends on what the bridge has learned."""
        found = ["%s %s" % (flag, "on" if on else "off") for flag, on in port.port_flags if flag in flags]
        if found:
            reason = "port %s may hold frames back, with %s" % (port.name, ", ".join(found))
            advice = "Reset the port: %s" % " ".join(["bridge link set dev", port.name, *_reset(port, flags)])
            if port.is_ours:
                advice = remedies.AGAIN % "resets the flags of ports"
            self.trail.doubt(Verdict(LOST, "bridge_port", at(node, port), reason, advice), packet)

    def _must_be_behind_a_port(self, address: model.Address, packet: Packet) -> None:
        """Check the host's end of the veth pair of the endpoint that has an address."""
        end = self.end_before(address)
        if end is not None:
            self._must_be_a_port(end[0], end[1], address, packet, "out " + end[1].name)

    def _must_be_a_port(self, node: Node, nic: Nic, address: model.Address, packet: Packet, until: str) -> None:
        """The host's end of a veth pair needs a bridge, unless the host has a route of its own to the other end."""
        if not (node.is_host and nic.is_ours and not nic.master):
            return
        if node.route(packet, "", address, checked=False).link != nic.name:
            self._stop(
                LOST,
                "bridge_port",
                at(node, nic),
                "%s of %s is not a port of any bridge" % (nic.name, node.name),
                remedies.AGAIN % "puts the links of endpoints into their bridges",
                packet,
                Mark(node.name, until, packet.answer),
            )

    def must_have_an_address(self, node: Node, bridge: Nic, packet: Packet) -> None:
        """A bridge of ours that has lost its address is no gateway any more."""
        if (
            node.is_host
            and bridge.is_ours
            and bridge.kind == "bridge"
            and not node.own_address(bridge.name, packet.version)
        ):
            reason = "%s of %s has no IPv%d address" % (bridge.name, node.name, packet.version)
            advice = remedies.AGAIN % "restores the addresses of bridges"
            self._stop(LOST, "address", at(node, bridge), reason, advice, packet)

    def must_have_its_route(self, node: Node, bridge: Nic, packet: Packet) -> None:
        """A bridge of ours whose subnet has lost its route is not the way to its endpoints."""
        subnets = [own.network for own in bridge.addresses if packet.to in own.network]
        found = node.match(packet.to)
        if found.table not in (0, model.MAIN_TABLE):
            return  # a rule leads elsewhere, whatever the table main has
        if subnets and _length(found.words) < min(subnet.prefixlen for subnet in subnets):
            reason = "%s has no route to %s by %s" % (node.name, subnets[0], bridge.name)
            advice = remedies.AGAIN % "restores the routes to networks"
            self._stop(LOST, "route", at(node, bridge), reason, advice, packet, owner=owners.OURS)

    def _must_not_be_apart(self, node: Node, bridge: Nic, port: Nic, out: Nic, packet: Packet) -> None:
        if port.isolated and out.isolated and port.index != out.index:
            self._stop(
                LOST,
                "bridge_port",
                at(node, port),
                "ports %s and %s of %s are isolated from one another" % (port.name, out.name, bridge.name),
                "Set icc: true for the network, or name the flow in its `allow`, and run the role.",
                packet,
            )
        if port.index == out.index and not port.hairpin:
            self._stop(
                LOST,
                "bridge_port",
                at(node, port),
                "port %s has hairpin mode off, so no frame leaves by the port that it came in by" % port.name,
                "Turn it on: bridge link set dev %s hairpin on" % port.name,
                packet,
            )

    def _must_be_seen(self, node: Node, way: str, nic: Nic, packet: Packet) -> None:
        if way == "out":
            self._controlled(node, nic, packet)
        if packet.asks:
            return
        verdict = Verdict(
            NOT_KNOWN,
            self.layer_of(node, nic),
            at(node, nic),
            "the packet was not seen at %s of %s, and no check explains why" % (nic.name, node.name),
            "Look at XDP programs (ip link show), and at traffic control: %s"
            % remedies.inside(node, "tc qdisc show dev %s" % nic.name),
        )
        if way == "out" and self._unanswered:
            verdict = self._unanswered
        self.trail.seen(Mark(node.name, "%s %s" % (way, nic.name), packet.answer), verdict)
        self._unanswered = None
        self.trail.note(node, packet, self.layer_of(node, nic), nic.name, "%s %s" % (way, packet))

    def _controlled(self, node: Node, nic: Nic, packet: Packet) -> None:
        """Traffic control filters may do anything with a packet; only a real one shows what."""
        if nic.index in node.controlled:
            filters = (nic.name, node.controlled[nic.index])
            self.trail.doubt(
                Verdict(
                    LOST,
                    "link",
                    at(node, nic),
                    "traffic control filters at %s of %s may stop the packet" % (nic.name, node.name),
                    "Look at them (tc filter show dev %s %s), and delete the one that does, or all of them: %s"
                    % (*filters, remedies.inside(node, "tc filter del dev %s %s" % filters)),
                    owners.STRANGER,
                ),
                packet,
            )

    def _must_pass_control(self, node: Node, nic: Nic, packet: Packet) -> None:
        """Tell a packet that such a filter took from one that an obstacle behind it stopped."""
        if nic.index in node.controlled and not packet.asks and self.trail.doubts:
            mark = Mark(node.name, "ingress %s first" % nic.name, packet.answer)
            self.trail.seen(mark, self.trail.doubts[0])

    def hook(self, node: Node, packet: Packet, family: str, hook: str, device: str, after: Mark) -> Outcome:
        """Check a hook below IP; a frame that was not seen after the hook was dropped there."""
        seen_by = ("bridge", "inet", "ip", "ip6", "arp") if family in ("bridge", "") else (family, "inet")
        packet = packet if packet.iif or family == "" else packet.at(iif=device)
        outcome = node.filter.on_hook(hook, packet, node, family, device)
        if packet.asks:
            return self._asked(node, hook, outcome, packet)
        named = self.trail.oracle.dropped(node, packet.answer, seen_by)
        if named is not None and not self.trail.oracle.came(after):
            self.trail.stop(firewall(node, hook, named_outcome(node, named, packet)), packet, after)
        if outcome.kind in (DROP, REJECT):
            self.trail.stop(firewall(node, hook, outcome), packet, after)
        elif outcome.kind == UNKNOWN:
            self.trail.doubt(firewall(node, hook, outcome), packet)
        return outcome

    def _asked(self, node: Node, hook: str, outcome: Outcome, packet: Packet) -> Outcome:
        if outcome.kind in (DROP, REJECT):
            found = firewall(node, hook, outcome)
            self.trail.stop(replace(found, reason=found.reason + " (so the MAC address stays unknown)"), packet)
        elif outcome.kind == UNKNOWN:
            self.trail.doubt(firewall(node, hook, outcome), packet)
        return outcome

    # ---- neighbours

    def resolve(self, node: Node, nic: Nic, address: model.Address, gateway: bool, packet: Packet) -> tuple[str, bool]:
        """The MAC address of a next hop, and whether a stack on this host has it."""
        self._by_hand = None
        if nic.kind in ("tun", "wireguard", "ipip", "sit") or not nic.mac or nic.name == "lo":
            return "", False
        stations = list(self._segment(node, nic))
        self._must_ask(node, nic, address, packet)
        self._must_be_unique(node, nic, stations, address, packet)
        known = node.neighbour(nic.name, address)
        if known is not None and known.valid:
            self._note_known(node, nic, stations, address, known, packet)
            return known.mac, True
        owner = self._owner(stations, address)
        if owner is None:
            self._nobody(node, nic, address, gateway, packet, known is not None and bool(known.state & NUD_FAILED))
            return "", False
        self._ask(node, nic, owner, address, packet)
        self.trail.note(node, packet, "neighbour", str(address), "is at %s (%s)" % (owner[1].mac, at(*owner)))
        self._unanswered = self._without_answer(node, nic, address, "neighbour", "Look at %s." % at(*owner))
        return owner[1].mac, True

    def _without_answer(self, node: Node, nic: Nic, address: model.Address, layer: Layer, advice: str) -> Verdict:
        """The verdict on a real packet that was not sent on, as it waits for a MAC address."""
        reason = "%s asked on %s for the MAC address of %s, and " % (node.name, nic.name, address)
        if self.trail.oracle.gave_up:
            return Verdict(LOST, layer, at(node, nic), reason + "nobody answered", advice)
        reason += "got no answer in time"
        return Verdict(NOT_KNOWN, layer, at(node, nic), reason, "Ask again with a longer timeout.")

    def _note_known(
        self,
        node: Node,
        nic: Nic,
        stations: t.Sequence[Station],
        address: model.Address,
        known: Neighbour,
        packet: Packet,
    ) -> None:
        mac = known.mac
        self.trail.note(node, packet, "neighbour", str(address), "is at %s" % mac)
        owner = self._owner(stations, address)
        if not known.state & NUD_PERMANENT:
            return
        if owner is None:
            self._by_hand = (address, mac)
        really = "it is at %s" % owner[1].mac if owner is not None else self._at_nobody(node, nic, stations, mac)
        if really and (owner is None or owner[1].mac != mac):
            self._stop(
                LOST,
                "neighbour",
                at(node, nic),
                "%s has a permanent neighbour entry that says %s is at %s, but %s" % (node.name, address, mac, really),
                "Delete the entry: %s" % remedies.ip(node, "neigh del %s dev %s" % (address, nic.name)),
                packet,
            )

    def _at_nobody(self, node: Node, nic: Nic, stations: t.Sequence[Station], mac: str) -> str:
        """The words for a MAC address that no station has; empty if one has, or if there are some on other machines."""
        if self.leads_out(node, nic) or any(far.mac == mac for unused, far in stations):
            return ""
        return "nothing on %s has that MAC address" % self._segment_name(node, nic)

    def doubtful_entry(self, node: Node, nic: Nic) -> tuple[str, str]:
        """The reason and the advice for a missing answer if the next hop has a permanent entry; else empty."""
        if self._by_hand is None:
            return "", ""
        reason = "; it went to %s, which a permanent neighbour entry says is at %s" % self._by_hand
        words = "neigh del %s dev %s" % (self._by_hand[0], nic.name)
        return reason, "If that MAC address is wrong, delete the entry: %s" % remedies.ip(node, words)

    def shares_segment(self, node: Node, nic: Nic, address: model.Address) -> bool:
        """Whether a station on the same segment has an address."""
        return any(address == own.ip for unused, far in self._segment(node, nic) for own in far.addresses)

    def _segment(self, node: Node, nic: Nic) -> t.Iterator[Station]:
        """The stations that receive a broadcast on a link."""
        if nic.kind == "bridge":
            yield from self._on_bridge(node, nic)
            return
        end = self.other_end(node, nic)
        if end is None:
            return
        other, far = end
        bridge = other.nic_at(far.master) if far.master else None
        if bridge is None:
            yield end
            return
        yield other, bridge
        yield from (station for station in self._on_bridge(other, bridge) if station[1] is not nic)

    def _on_bridge(self, node: Node, bridge: Nic) -> t.Iterator[Station]:
        for port in node.ports(bridge):
            end = self.other_end(node, port)
            if end is not None:
                yield end

    def _owner(self, stations: t.Sequence[Station], address: model.Address) -> Station | None:
        """The station that answers for an address."""
        return next(self._answering(stations, address), None)

    def _answering(self, stations: t.Sequence[Station], address: model.Address) -> t.Iterator[Station]:
        """The stations that answer for an address: a stack that has it on any link does, unless arp_ignore is set."""
        for node, nic in stations:
            if any(address == own.ip for own in nic.addresses):
                yield node, nic
        for node, nic in stations if address.version == 4 else ():
            if node.is_local(address) and all(address != own.ip for own in nic.addresses):
                keys = ("ipv4/conf/all/arp_ignore", "ipv4/conf/%s/arp_ignore" % nic.name)
                if not any(map(node.sysctl, keys)):
                    yield node, nic

    def _must_ask(self, node: Node, nic: Nic, address: model.Address, packet: Packet) -> None:
        """Without ARP the kernel asks nobody, in IPv6 too, and sends packets to the MAC address of the link itself."""
        if not nic.arp and (nic.kind == "bridge" or self.other_end(node, nic) is not None):
            words = "so it asks nobody for the MAC address of %s" % address
            self._stop_without_arp(node, nic, words, packet)

    def _stop_without_arp(self, node: Node, nic: Nic, words: str, packet: Packet) -> None:
        advice = remedies.AGAIN % "turns ARP on again"
        if not nic.is_ours:
            advice = "Turn it on: %s" % remedies.ip(node, "link set %s arp on" % nic.name)
        reason = "ARP is off on %s of %s, %s" % (nic.name, node.name, words)
        self._stop(LOST, "neighbour", at(node, nic), reason, advice, packet, owner=whose.of_link(node, nic))

    def _must_be_unique(
        self, node: Node, nic: Nic, stations: t.Sequence[Station], address: model.Address, packet: Packet
    ) -> None:
        """Doubt which of several stations gets the packet; who has asked for their MAC address may know either."""
        found = [station for station in self._answering(stations, address) if station[1].up]
        stacks = {other.name: (other, far) for other, far in reversed(found)}
        if len(stacks) < 2 or self.doubled is not None:
            return
        # the one that should have it cannot be told from the others, but for those that are none of our business
        holders = [(other, other.holder(address) or far) for other, far in stacks.values()]
        strangers = [(other, far) for other, far in holders if not far.is_ours]
        place = strangers[0] if strangers else holders[0]
        names = model.enumerate_few(sorted(at(*one) for one in holders))
        reason = "%s all have the address %s, so packets to it on %s go to one or another of them"
        if len(holders) == 2:
            reason = "%s both have the address %s, so packets to it on %s go to one or the other"
        self.doubled = Verdict(
            LOST,
            "address",
            at(*place),
            reason
            % (names.replace(", ", " and ") if len(holders) == 2 else names, address, self._segment_name(node, nic)),
            self._advice_doubled(*place, address)
            if strangers
            else remedies.AGAIN % "restores the addresses of endpoints",
        )
        self.trail.doubt(self.doubled, packet)

    @staticmethod
    def _advice_doubled(node: Node, nic: Nic, address: model.Address) -> str:
        own = next(one for one in nic.addresses if one.ip == address)
        command = remedies.ip(node, "address del %s dev %s" % (own, nic.name))
        return "Give one of them another address, or take this one away: %s" % command

    def _nobody(
        self, node: Node, nic: Nic, address: model.Address, gateway: bool, packet: Packet, failed: bool
    ) -> None:
        if not self.leads_out(node, nic):
            self._must_be_behind_a_port(address, packet)
            self._ask_around(node, nic, address, packet)
            # A link loses its IPv6 addresses when it goes down.
            for other, far in self._segment(node, nic) if address.version == 6 else ():
                self.must_be_up(other, far, packet)
            for other, far in self._segment(node, nic) if gateway else ():
                self.must_have_an_address(other, far, packet)
            layer: Layer = "route" if gateway else "address"
            owner = owners.of_route(node.match(packet.to).protocol) if gateway else ""
            reason = "nothing on %s has the address %s" % (self._segment_name(node, nic), address)
            reason += ", to which the route of %s leads" % node.name if gateway else ""
            advice = self.advice_gateway(node, nic, packet.to) if gateway else ""
            changed = self.trail.changes.get("to")
            if changed is not None and not whose.is_ours(changed[1].chain):
                reason += ", to which a rule sends the packet: %s" % changed[1].because
                advice, owner = remedies.without(*changed), whose.of_rule(*changed)
            self._stop(LOST, layer, at(node, nic), reason, advice or _ADDRESS_AGAIN, packet, owner=owner)
            return
        behind = "Check the cable, the VLAN and the router behind %s." % nic.name
        self._unanswered = self._without_answer(node, nic, address, "uplink", behind)
        if failed:
            self.trail.doubt(
                Verdict(
                    LOST,
                    "uplink",
                    at(node, nic),
                    "%s did not answer on %s when it was last asked for its MAC address" % (address, nic.name),
                    behind,
                ),
                packet,
            )

    def advice_gateway(self, node: Node, nic: Nic, to: model.Address) -> str:
        """The command that points the route at a gateway that exists."""
        stations = (one for one in self._segment(node, nic) if one[0].is_host and one[1].kind == "bridge")
        for host, bridge in stations:
            own = host.own_address(bridge.name, to.version)
            if own is not None:
                route = node.matching(to).partition(" ")[0]
                command = "route replace %s via %s dev %s" % (route, own, nic.name)
                return "Point the route at the gateway of the network: %s" % remedies.ip(node, command, to.version)
        return "Point the route at an address that exists; list the routes: %s" % remedies.ip(node, "route", to.version)

    def _segment_name(self, node: Node, nic: Nic) -> str:
        if nic.kind == "bridge":
            return nic.name
        end = self.other_end(node, nic)
        bridge = end[0].nic_at(end[1].master) if end is not None and end[1].master else None
        return bridge.name if bridge is not None else nic.name

    def leads_out(self, node: Node, nic: Nic) -> bool:
        """Whether a segment has links whose other end is not on this host."""
        if nic.kind == "bridge":
            return any(self.other_end(node, port) is None for port in node.ports(nic))
        end = self.other_end(node, nic)
        if end is None:
            return True
        bridge = end[0].nic_at(end[1].master) if end[1].master else None
        return bridge is not None and self.leads_out(end[0], bridge)

    def _ask(self, node: Node, nic: Nic, owner: Station, address: model.Address, packet: Packet) -> None:
        """Follow the request for a MAC address, and its answer."""
        question = self._question(node, nic, address, packet)
        if question is None:
            return
        other, far = owner
        family, own = _family(question), question.source
        self._put(node, nic, question, owner)
        question = question.at(iif=far.name, oif="")
        if not far.arp and far.kind in ("bridge", "veth"):
            self._stop_without_arp(other, far, "so it does not answer who asks for %s" % address, packet)
        if question.is_arp:
            self._must_not_ignore(other, far, address, packet)
        self.hook(other, question, family, "input", "", Mark(other.name, "", False))
        self._must_find_back(other, far, question)
        reply = Packet(address, own, question.protocol, oif=far.name, state="untracked", answer=True)
        self.hook(other, reply, family, "output", "", Mark(other.name, "", True))
        self.leave(other, far, reply, nic.mac, (node, nic))
        self.hook(node, reply.at(iif=nic.name, oif=""), family, "input", "", Mark(node.name, "", True))

    def _ask_around(self, node: Node, nic: Nic, address: model.Address, packet: Packet) -> None:
        """Follow the request for a MAC address that nobody has, as far as it is the same for all who receive it."""
        question = self._question(node, nic, address, packet)
        if question is not None:
            self._put(node, nic, question, None)

    def _question(self, node: Node, nic: Nic, address: model.Address, packet: Packet) -> Packet | None:
        """The request for a MAC address; None if the stack has no address to send it from."""
        own = packet.source if node.is_local(packet.source) else node.own_address(nic.name, address.version)
        protocol = "arp" if address.version == 4 else "nd"
        return None if own is None else Packet(own, address, protocol, oif=nic.name, state="untracked")

    def _put(self, node: Node, nic: Nic, question: Packet, owner: Station | None) -> None:
        """Send a request for a MAC address, to its owner if there is one."""
        self.hook(node, question, _family(question), "output", "", Mark(node.name, "", False))
        if owner is not None or nic.kind != "bridge":
            self.leave(node, nic, question, _EVERYBODY, owner)

    def _must_not_ignore(self, node: Node, nic: Nic, address: model.Address, packet: Packet) -> None:
        for link in ("all", nic.name):
            key = "ipv4/conf/%s/arp_ignore" % link
            if node.sysctl(key) == _IGNORE_ARP:
                reason = "%s does not answer who asks for %s: net/%s is %d"
                advice = "Let it answer: %s" % remedies.sysctl(node, key, 0)
                reason %= (node.name, address, key, _IGNORE_ARP)
                self._stop(LOST, "neighbour", at(node, nic), reason, advice, packet)

    def _must_find_back(self, node: Node, nic: Nic, question: Packet) -> None:
        """Linux answers ARP only if it has a route back to the sender."""
        if question.is_arp and node.route(question, nic.name).error:
            found = reverse_path(node, nic, question)
            if found is not None:
                self.trail.stop(replace(found, reason=found.reason + ", so ARP is not answered"), question)


def reverse_path(node: Node, nic: Nic, packet: Packet) -> Verdict | None:
    """Why the kernel rejects the source of a packet on this link; None if it accepts it."""
    strict = max(node.sysctl("ipv4/conf/all/rp_filter"), node.sysctl("ipv4/conf/%s/rp_filter" % nic.name))
    if packet.version != 4:
        return None
    if node.is_local(packet.source) and packet.source.packed[0] != 127:
        reason = "the source address %s is one of %s itself, which does not accept it on %s" % (
            packet.source,
            node.name,
            nic.name,
        )
        return Verdict(LOST, "reverse_path", at(node, nic), reason, "Give the sender an address of its own.")
    if not strict:
        return None
    back = node.route(packet, "", packet.source, checked=False)
    if strict == 2 and not back.error:
        return None
    if not back.error and back.link == nic.name:
        return None
    where = "there is no route back to it" if back.error else "the route back is by %s" % back.link
    near = any(packet.source in one.network for one in nic.addresses if one.version == 4)
    if not back.error and (near or back.link == "lo"):
        # With a loose rp_filter the packet would pass, but the answer would still leave by the wrong link.
        found = node.match(packet.source)
        advice = remedies.delete_route(node, "Delete that route", "route del " + found.words, found.protocol)
        reason = _unbelieved(node, nic, packet, where)
        return Verdict(LOST, "reverse_path", at(node, nic), reason, advice, owners.of_route(found.protocol))
    if back.error:
        advice = remedies.no_route(node, packet.source)
        return Verdict(LOST, "reverse_path", at(node, nic), _unbelieved(node, nic, packet, where), advice)
    loose = remedies.sysctl(node, "ipv4/conf/%s/rp_filter" % nic.name, 2)
    advice = "Correct the route, or let rp_filter accept a route back by any link: %s" % loose
    return Verdict(LOST, "reverse_path", at(node, nic), _unbelieved(node, nic, packet, where), advice)


def _unbelieved(node: Node, nic: Nic, packet: Packet, where: str) -> str:
    return "rp_filter of %s drops packets that come in by %s from %s: %s" % (node.name, nic.name, packet.source, where)


def _reset(port: Nic, flags: t.Container[str]) -> t.Iterator[str]:
    """The words that give a port these flags as the kernel gives them to a new one."""
    return ("%s %s" % (flag, "off" if on else "on") for flag, on in port.port_flags if flag in flags)


def _family(question: Packet) -> str:
    """The family of the chains that see a request for a MAC address."""
    return "arp" if question.is_arp else ""


def named_outcome(node: Node, named: tuple[str, str, str, int], packet: Packet) -> Outcome:
    """The outcome that the kernel reported for a dropped packet, with the text of the rule."""
    family, table, name, handle = named
    for chain in node.filter:
        if (chain.store, chain.family, chain.table, chain.name) == ("nft", family, table, name):
            rule = next((rule for rule in chain.rules if rule.handle == handle and handle), None)
            refuses = rule is not None and any(getattr(step, "verdict", "") == "reject" for step in rule.steps)
            return Outcome(REJECT if refuses else DROP, packet, chain, rule)
    return Outcome(DROP, packet)


def firewall(node: Node, hook: str, outcome: Outcome) -> Verdict:
    """The verdict on a drop: which rule, whose it is, and how to let the packet pass."""
    verdict: Ending = REFUSED if outcome.kind == REJECT else LOST
    verb = {REJECT: "refuses", DROP: "drops"}.get(outcome.kind, "may drop")
    what = outcome.because or "the packet filter"
    reason = "%s %s %s (%s)" % (what, verb, outcome.packet, whose.in_words(node, outcome))
    advice = remedies.open_for(node, outcome, hook)
    return Verdict(verdict, "firewall", at(node), reason, advice, whose.of_rule(node, outcome))


def _length(route: str) -> int:
    """The prefix length of a route as ``ip route`` spells it; -1 if there is no route."""
    to = route.partition(" ")[0]
    return int(to.rpartition("/")[2]) if "/" in to else 0 if to else -1
