# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places where a real packet and its answer were seen."""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t
from dataclasses import field

from ..records import dataclass
from .checkpoints import Checkpoints, Event, Probe
from .packet import Packet
from .taps import Frame, Tap
from .topology import Node
from .trail import Mark, Oracle

_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_IP, _IP6 = 0x0800, 0x86DD
_REQUESTS, _REPLIES = (8, 128), (0, 129)
_ERRORS = {4: {3: "destination unreachable", 11: "time exceeded", 5: "redirect"}, 6: {1: "destination unreachable"}}
_ERRORS[6].update({2: "packet too big", 3: "time exceeded"})
_ICMP_HEADER = 8
# A stack says so to the sender when nobody answers for the MAC address of the next hop: host, or address, unreachable.
_GAVE_UP = ("(ICMP 3.1)", "(ICMP 1.3)")


class Seen(t.NamedTuple):
    """A packet of the probe's flow, as its headers show it."""

    packet: Packet
    mark: int  # survives translation: the initial TCP sequence number of the request
    refuses: bool


class Sighting(t.NamedTuple):
    """The packet, or its answer, on a link."""

    node: Node
    link: str
    outgoing: bool
    packet: Packet


class Complaint(t.NamedTuple):
    """An ICMP error about the probe."""

    node: str
    link: str
    outgoing: bool
    sender: str
    text: str


@dataclass
class Watch:
    """The tap and the checkpoints in one namespace."""

    node: Node
    tap: Tap
    checkpoints: Checkpoints | None
    frames: list[Frame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def drain(self) -> int:
        """Collect what came, and return how much that was."""
        before = len(self.frames) + len(self.events)
        self.frames += self.tap.frames()
        if self.checkpoints is not None:
            self.events += self.checkpoints.events()
        return len(self.frames) + len(self.events) - before

    def forget(self) -> None:
        """Drop what came so far."""
        self.drain()
        self.frames.clear()
        self.events.clear()

    def close(self) -> None:
        """Close the tap, and let the kernel remove the checkpoints."""
        self.tap.close()
        if self.checkpoints is not None:
            self.checkpoints.close()


class Sightings(Oracle):
    """Everything that the watches saw, by the marks that the walk asks for."""

    active = True

    def __init__(self, watches: t.Sequence[Watch], probe: Probe, origin: str) -> None:
        self._watched = {watch.node.name: watch for watch in watches}
        self._probe = probe
        self._marks: dict[Mark, Packet] = {}
        self._drops: dict[tuple[str, bool], list[Event]] = {}
        self._first: dict[str, Packet] = {}
        self.complaints: list[Complaint] = []
        self.refusals: list[tuple[str, str, Packet]] = []
        self._on_links: dict[Mark, Sighting] = {}
        self._number = self._initial_number(watches, origin)
        for watch in watches:
            self._read_frames(watch)
            self._read_events(watch)

    def came(self, mark: Mark) -> bool | None:
        """Whether the packet was seen at a point; None if nothing watched there."""
        watch = self._watched.get(mark.node)
        if watch is None:
            return None
        checkpoint = mark.point.endswith((" first", " last"))
        if checkpoint and (watch.checkpoints is None or not watch.checkpoints.covers(mark.point)):
            return None
        return mark in self._marks

    def packet_at(self, mark: Mark) -> Packet | None:
        """The packet as it was seen when it left a hook."""
        return self._marks.get(Mark(mark.node, mark.point + " last", mark.answer))

    def dropped(self, node: Node, answer: bool, families: t.Container[str]) -> tuple[str, str, str, int] | None:
        """Family, table, chain and handle (0: the policy) of the rule that dropped the packet in a stack."""
        for event in self._drops.get((node.name, answer), ()):
            if event.family in families:
                return event.family, event.table, event.chain, event.handle
        return None

    def complaint(self, node: Node) -> str:
        """The reason for which the packet was refused outside of this host, as a clause; empty if it was not."""
        for found in self.complaints:
            if found.node == node.name and not found.outgoing:
                return "%s says %s" % (found.sender, found.text)
        for name, link, packet in self.refusals:
            if name == node.name and link.startswith("in "):
                return "%s refuses the connection (RST)" % packet.source
        return ""

    def entered(self, node: str) -> Packet | None:
        """The packet as it entered a stack, by which connection tracking finds its entry."""
        return self._first.get(node)

    def came_by(self, node: str, link: str) -> Packet | None:
        """The packet as it came in by a link of a stack, even if it was dropped before it got to any hook of IP."""
        return self._first.get(node) or self._marks.get(Mark(node, "in " + link, False))

    def on_links(self) -> list[Sighting]:
        """The packet and its answer on each link, in order of time within each namespace."""
        return list(self._on_links.values())

    # ---- reading

    def _initial_number(self, watches: t.Sequence[Watch], origin: str) -> int | None:
        if self._probe.protocol != socket.IPPROTO_TCP:
            return None
        for watch in watches:
            if watch.node.name == origin:
                for seen in self._all(watch):
                    port = seen.packet.dport if self._probe.by_destination else seen.packet.sport
                    if not seen.packet.answer and port in self._probe.ports:
                        return seen.mark
        return None

    def _all(self, watch: Watch) -> t.Iterator[Seen]:
        for event in watch.events:
            seen = _of_event(event, self._probe)
            if seen is not None:
                yield seen
        for frame in watch.frames:
            found = parsed(frame.data, self._probe)
            if found is not None:
                yield found

    def _is_ours(self, seen: Seen) -> bool:
        return self._number is None or seen.mark == self._number

    def _read_frames(self, watch: Watch) -> None:
        for frame in watch.frames:
            if frame.protocol not in (_IP, _IP6):
                continue
            seen = parsed(frame.data, self._probe)
            point = "%s %s" % ("out" if frame.outgoing else "in", frame.link)
            if seen is not None and self._is_ours(seen):
                self._saw(watch.node, frame, Mark(watch.node.name, point, seen.packet.answer), seen.packet)
                if seen.refuses:
                    self.refusals.append((watch.node.name, point, seen.packet))
            self._read_complaint(watch, frame)

    def _saw(self, node: Node, frame: Frame, mark: Mark, packet: Packet) -> None:
        self._marks.setdefault(mark, packet)
        self._on_links.setdefault(mark, Sighting(node, frame.link, frame.outgoing, packet))

    def _read_complaint(self, watch: Watch, frame: Frame) -> None:
        found = complained(frame.data, self._probe)
        if found is not None and self._is_ours(found[1]):
            sender, _seen, text = found
            self.complaints.append(Complaint(watch.node.name, frame.link, frame.outgoing, sender, text))
            self.gave_up = self.gave_up or text.endswith(_GAVE_UP)

    def _read_events(self, watch: Watch) -> None:
        known: dict[int, Seen] = {}
        points = watch.checkpoints
        for event in watch.events:
            seen = _of_event(event, self._probe)
            if seen is not None:
                known[event.packet] = seen
            seen = known.get(event.packet)
            if seen is None or not self._is_ours(seen):
                continue
            if points is not None and event.table == points.name:
                self._passed(watch.node.name, event, seen.packet, points)
            elif event.drops:
                self._drops.setdefault((watch.node.name, seen.packet.answer), []).append(event)

    def _passed(self, node: str, event: Event, packet: Packet, points: Checkpoints) -> None:
        point = event.chain.replace("_", " ")
        if event.family == "inet" and not packet.answer and node not in self._first:
            self._first[node] = packet
        if event.family == "netdev":
            point = "ingress %s first" % points.device(event.chain)
        elif event.family == "bridge":
            point = "bridge " + point
        if event.family in ("inet", "bridge", "netdev"):
            self._marks.setdefault(Mark(node, point, packet.answer), packet)


def _of_event(event: Event, probe: Probe) -> Seen | None:
    return parsed(event.network + event.transport, probe) if event.network else None


def parsed(data: bytes, probe: Probe) -> Seen | None:
    """The packet, if it belongs to the probe's flow."""
    headers = _headers(data)
    if headers is None:
        return None
    source, to, number, transport = headers
    if number != probe.protocol or len(transport) < 8:
        return None
    if number == socket.IPPROTO_TCP:
        return _of_tcp(source, to, transport, probe)
    if number == socket.IPPROTO_UDP:
        return _of_udp(source, to, transport, probe)
    return _of_echo(source, to, transport, probe)


def _headers(data: bytes) -> tuple[bytes, bytes, int, bytes] | None:
    if len(data) >= 20 and data[0] >> 4 == 4:
        length = (data[0] & 15) * 4
        return data[12:16], data[16:20], data[9], data[length:]
    if len(data) >= 40 and data[0] >> 4 == 6:
        return data[8:24], data[24:40], data[6], data[40:]
    return None


def _packet(source: bytes, to: bytes, protocol: str, sport: int, dport: int, answer: bool) -> Packet:
    return Packet(ipaddress.ip_address(source), ipaddress.ip_address(to), protocol, sport, dport, answer=answer)


def _of_tcp(source: bytes, to: bytes, transport: bytes, probe: Probe) -> Seen | None:
    sport, dport, sequence, acknowledged = struct.unpack_from(">HHII", transport + bytes(12))
    flags = transport[13] if len(transport) > 13 else _SYN
    if not {sport, dport} & set(probe.ports) or not flags & (_SYN | _RST):
        return None
    answer = flags & (_SYN | _ACK) != _SYN
    mark = (acknowledged - 1) & 0xFFFFFFFF if answer else sequence
    return Seen(_packet(source, to, "tcp", sport, dport, answer), mark, bool(flags & _RST))


def _of_udp(source: bytes, to: bytes, transport: bytes, probe: Probe) -> Seen | None:
    sport, dport = struct.unpack_from(">HH", transport)
    if not {sport, dport} & set(probe.ports):
        return None
    answer = (dport if probe.by_destination else sport) not in probe.ports
    return Seen(_packet(source, to, "udp", sport, dport, answer), 0, False)


def _of_echo(source: bytes, to: bytes, transport: bytes, probe: Probe) -> Seen | None:
    kind, identifier = struct.unpack_from(">BxxxH", transport)
    if kind not in (*_REQUESTS, *_REPLIES) or identifier not in probe.ports:
        return None
    return Seen(_packet(source, to, "icmp", identifier, 0, kind in _REPLIES), 0, False)


def complained(data: bytes, probe: Probe) -> tuple[str, Seen, str] | None:
    """An ICMP error about the probe: its sender, the packet that it is about, and its text."""
    headers = _headers(data)
    if headers is None or headers[2] not in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
        return None
    source, transport = headers[0], headers[3]
    version = 4 if len(source) == 4 else 6
    if len(transport) < _ICMP_HEADER or transport[0] not in _ERRORS[version]:
        return None
    seen = parsed(transport[_ICMP_HEADER:], probe)
    if seen is None:
        return None
    text = _ERRORS[version][transport[0]]
    if (transport[0], transport[1]) == (3, 4) and version == 4:
        text = "packet too big, the next link takes %d bytes" % struct.unpack_from(">H", transport, 6)[0]
    return str(ipaddress.ip_address(source)), seen, "%s (ICMP %d.%d)" % (text, transport[0], transport[1])
