# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends one real packet and follows it."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import select
import socket
import struct
import time
import typing as t

from .. import marks
from ..kernel.errors import HostError
from ..records import replace
from . import flows
from .checkpoints import Checkpoints, Probe
from .packet import Packet
from .question import Question, Start, answer
from .seen import seen
from .sightings import Sightings, Watch
from .sums import checksum
from .taps import Tap
from .topology import Nic, Node, Topology
from .trail import Hopeful, Mark, Oracle, Trail, Verdict, at
from .wire import Wire
from .words import ARRIVES, LOST, REFUSED, UNANSWERED
from .words import UNKNOWN as NOT_KNOWN

ANSWERED, REFUSING, FAILED, SILENT = "answered", "refusing", "failed", "silent"
# Long enough for an answer from the other side of the world; a packet that waits for ARP may take three times that.
_PATIENCE = 1.0
_STEP = 0.01
_QUIET = 0.02
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 10, 2
_IPV6_MTU_DISCOVER = 23
_HEADERS = {4: 28, 6: 48}


class Sender(t.Protocol):
    """Something that sends the probe."""

    probe: Probe
    errno: int

    def send(self) -> None:
        """Send the probe."""

    def outcome(self) -> str:
        """The outcome so far: answered, refusing, failed or silent."""

    def close(self) -> None:
        """Release what the sender holds."""


def ask(topology: Topology, start: Start, question: Question) -> dict[str, object]:
    """Answer the question with a real packet."""
    hopeful = Trail(Hopeful())
    start.walk(topology, hopeful)
    nodes = _nodes(topology, start, hopeful)
    sender = _sender(topology, start, question)
    if isinstance(sender, Verdict):
        return _not_sent(topology, start, sender)
    with contextlib.ExitStack() as stack:
        stack.callback(sender.close)
        watches = [stack.enter_context(contextlib.closing(w)) for w in _watches(nodes, hopeful, sender.probe)]
        if sender.probe.by_destination:
            # Forget packets that came before all watches were ready, last of all in the stack where packets come in.
            for watch in reversed(watches):
                watch.forget()
        _send_and_wait(sender, watches, start, question.timeout)
        sightings = Sightings(watches, sender.probe, start.node.name)
        # sockets of UDP and ICMP are not told
        sightings.gave_up = sightings.gave_up or sender.errno == errno.EHOSTUNREACH
        if sender.probe.by_destination:
            came = sightings.came_by(start.node.name, start.nic.name if start.nic is not None else "")
            if came is None:
                return _nobody_came(topology, start, question)
            start = replace(start, packet=start.packet.at(source=came.source, sport=came.sport))
        trail = Trail(sightings)
        verdict = _judged(start.walk(topology, trail), sender, sightings, start)
        found = answer(verdict, trail, start, topology)
        found["seen"] = list(seen(Wire(topology, trail), sightings))
        found["conntrack"] = list(_entries(nodes, sightings))
        if not sender.probe.by_destination:
            _end(sender, nodes, sightings)
        return found


def _not_sent(topology: Topology, start: Start, why: Verdict) -> dict[str, object]:
    """Answer by the static walk, or, if that finds no fault, by what kept the packet from being sent."""
    trail = Trail(Oracle())
    verdict = start.walk(topology, trail)
    return answer(verdict if verdict.verdict not in (ARRIVES, NOT_KNOWN) else why, trail, start, topology)


def _nobody_came(topology: Topology, start: Start, question: Question) -> dict[str, object]:
    reason = "nobody outside sent a packet to %s within %g seconds" % (start.packet.to, question.timeout)
    verdict = Verdict(
        NOT_KNOWN,
        "upstream",
        at(start.node, start.nic),
        reason,
        "Send a packet from outside while the check waits, or set a longer timeout.",
    )
    return answer(verdict, Trail(Hopeful()), start, topology)


# ---- watching


def _nodes(topology: Topology, start: Start, hopeful: Trail) -> list[Node]:
    """The stacks that the packet may pass through, the sender's first."""
    names = {mark.node for mark in hopeful.marks}
    found = [start.node, topology.host]
    found += [node for node in topology.known() if node.name in names]
    owner = topology.owner(start.packet.to)
    found += [owner] if owner is not None else []
    return list(dict.fromkeys(found))


def _watches(nodes: t.Sequence[Node], hopeful: Trail, probe: Probe) -> t.Iterator[Watch]:
    for node in nodes:
        devices = sorted({m.point.partition(" ")[2] for m in hopeful.marks if m.node == node.name and _is_link(m)})
        yield node.inside(functools.partial(_watch, node, devices, probe))


def _is_link(mark: Mark) -> bool:
    return mark.point.startswith("in ")


def _watch(node: Node, devices: t.Sequence[str], probe: Probe) -> Watch:
    watch = Watch(node, Tap(probe), None)
    # Without nf_tables, only the links are watched.
    with contextlib.suppress(OSError):
        watch.checkpoints = Checkpoints("%s%d" % (marks.PATH_TABLE, os.getpid()), probe, devices)
    return watch


def _send_and_wait(sender: Sender, watches: t.Sequence[Watch], start: Start, timeout: float) -> None:
    sender.send()
    begin = time.monotonic()
    checked = False
    while sender.outcome() == SILENT and time.monotonic() < begin + timeout:
        for watch in watches:
            watch.drain()
        if start.nic is not None and _went_out(watches, sender.probe, start):
            break
        if not checked and time.monotonic() > begin + _PATIENCE and not sender.probe.by_destination:
            checked = True
            if not _waits_for_a_neighbour(watches, sender.probe, start):
                break
        time.sleep(_STEP)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        time.sleep(_QUIET)
        seen = [watch.drain() for watch in watches]
        if not any(seen):
            break


def _went_out(watches: t.Sequence[Watch], probe: Probe, start: Start) -> bool:
    """Whether an answer left the host."""
    seen = Sightings(watches, probe, start.node.name)
    return start.nic is not None and bool(seen.came(Mark(start.node.name, "out " + start.nic.name, True)))


def _waits_for_a_neighbour(watches: t.Sequence[Watch], probe: Probe, start: Start) -> bool:
    """Whether a stack still holds the packet because it waits for a MAC address."""
    seen = Sightings(watches, probe, start.node.name)
    ends = [(watch.node, back) for watch in watches for back in (False, True)]
    return any(
        seen.came(Mark(node.name, "postrouting last", back))
        and not any(seen.came(Mark(node.name, "out " + nic, back)) for nic in node.nics)
        for node, back in ends
    )


def _entries(nodes: t.Sequence[Node], sightings: Sightings) -> t.Iterator[dict[str, str]]:
    """The connection-tracking entries of the flow."""
    for node in nodes:
        packet = sightings.entered(node.name)
        if packet is not None:
            found = node.inside(functools.partial(flows.entry_of, packet))
            if found is not None:
                yield dict(found, place=node.name)


def _end(sender: Sender, nodes: t.Sequence[Node], sightings: Sightings) -> None:
    """Close the flow at both ends, and delete its connection-tracking entries.

    In this order: without the entries, our rules would drop the RST, and the service would keep the connection.
    """
    sender.close()
    time.sleep(_QUIET)
    for node in nodes:
        packet = sightings.entered(node.name)
        if packet is not None:
            node.inside(functools.partial(flows.forget, packet))


# ---- judging


def _judged(walked: Verdict, sender: Sender, sightings: Sightings, start: Start) -> Verdict:
    """The verdict of the walk, corrected by what the sender was told."""
    outcome = sender.outcome()
    if outcome == ANSWERED and walked.layer == "mtu":
        return walked
    if outcome == ANSWERED:
        return Verdict(ARRIVES, None, at(start.node), "the answer came back")
    if outcome == REFUSING and walked.verdict in (LOST, UNANSWERED):
        # The fault on this host led the packet to a machine that refuses it.
        reason = "%s (%s)" % (walked.reason, sightings.complaint(start.node) or "the connection is refused")
        return replace(walked, verdict=REFUSED, reason=reason)
    if outcome == REFUSING and walked.verdict != REFUSED:
        reason = sightings.complaint(start.node) or "the connection is refused"
        return Verdict(
            REFUSED, "upstream", at(start.node), reason, "Check whether the service runs at the destination."
        )
    if start.nic is not None and walked.verdict == ARRIVES and sightings.refusals:
        reason = "%s refuses the connection (RST)" % sightings.refusals[0][2].source
        return Verdict(REFUSED, "service", walked.place, reason, "Start the service there.")
    if walked.verdict == ARRIVES and sender.probe.protocol != socket.IPPROTO_UDP and start.nic is None:
        return Verdict(
            UNANSWERED,
            "service",
            walked.place,
            "the answer came back to %s, but did not reach the socket that sent the packet" % start.node.name,
            "Look at what filters sockets there (cgroup programs, SO_BINDTODEVICE).",
        )
    if outcome == FAILED and sender.errno and walked.verdict in (LOST, UNANSWERED, NOT_KNOWN):
        reason = "%s (the sender was told: %s)" % (walked.reason, os.strerror(sender.errno))
        return replace(walked, reason=reason)
    return walked


# ---- senders


def _sender(topology: Topology, start: Start, question: Question) -> Sender | Verdict:
    if start.nic is not None:
        return _from_outside(topology, start, start.nic, question)
    kinds: dict[str, t.Callable[[Packet, int], Sender]] = {"tcp": _Tcp, "udp": _Udp, "icmp": _Echo}
    make = functools.partial(kinds[start.packet.protocol], start.packet, question.size)
    try:
        return start.node.inside(make)
    except OSError as error:
        reason = "%s cannot send from %s: %s" % (start.node.name, start.packet.source, error.strerror)
        return Verdict(LOST, "address", at(start.node), reason, "Put the address back, or set another source_address.")


def _from_outside(topology: Topology, start: Start, nic: Nic, question: Question) -> Sender | Verdict:
    from .inject import Injection, Listener

    if question.inject:
        try:
            return Injection(topology, nic.name, start.packet)
        except HostError as error:
            return Verdict(NOT_KNOWN, "uplink", at(start.node, nic), str(error), "Ask again with inject: false.")
    # After a translation the packet has another port, so it must be recognised by that one, too.
    hopeful = Trail(Hopeful())
    start.walk(topology, hopeful)
    return Listener(start.packet, tuple(dict.fromkeys([start.packet.dport, *hopeful.ports])))


class _Socket:
    """The base of the senders that use a socket."""

    def __init__(self, packet: Packet, kind: int, protocol: int = 0) -> None:
        family = socket.AF_INET6 if packet.version == 6 else socket.AF_INET
        self.socket = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
        self.packet = packet
        self.errno = 0
        try:
            # The kernel accepts a link-local address only together with its link; left alone, it chooses the address.
            self.socket.bind(("" if packet.source.is_link_local else str(packet.source), 0))
        except BaseException:
            self.socket.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _try(self, act: t.Callable[[], object]) -> None:
        try:
            act()
        except BlockingIOError:
            pass
        except OSError as error:
            self.errno = error.errno or errno.EIO

    def _said(self) -> str:
        if not self.errno:
            self.errno = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if self.errno:
            return REFUSING if self.errno == errno.ECONNREFUSED else FAILED
        return SILENT

    def _uncut(self) -> None:
        """Never fragment, and ignore the path MTU that the kernel has cached."""
        six = self.packet.version == 6
        level, option = (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER) if six else (socket.IPPROTO_IP, _IP_MTU_DISCOVER)
        self.socket.setsockopt(level, option, _IP_PMTUDISC_DO)


class _Tcp(_Socket):
    """Opens a connection, and ends it at once."""

    def __init__(self, packet: Packet, size: int) -> None:
        super().__init__(packet, socket.SOCK_STREAM)
        # Closing sends RST: the service sees a client that went away, and no port stays in use.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.probe = Probe(socket.IPPROTO_TCP, (self.socket.getsockname()[1],))

    def send(self) -> None:
        """Connect."""
        self._try(lambda: self.socket.connect((str(self.packet.to), self.packet.dport)))

    def outcome(self) -> str:
        """Whether the connection was established."""
        said = self._said()
        if said == SILENT and select.select([], [self.socket], [], 0)[1]:
            with contextlib.suppress(OSError):
                self.socket.getpeername()
                return ANSWERED
        return said


class _Udp(_Socket):
    """Sends a datagram of random bytes."""

    def __init__(self, packet: Packet, size: int) -> None:
        super().__init__(packet, socket.SOCK_DGRAM)
        self._text = os.urandom(8) + bytes(max(0, size - _HEADERS[packet.version] - 8))
        if size:
            self._uncut()
        self.probe = Probe(socket.IPPROTO_UDP, (self.socket.getsockname()[1],))

    def send(self) -> None:
        """Send the datagram."""
        self._try(lambda: self.socket.connect((str(self.packet.to), self.packet.dport)))
        if not self.errno:
            self._try(lambda: self.socket.send(self._text))

    def outcome(self) -> str:
        """Whether a datagram came back."""
        if not self.errno and select.select([self.socket], [], [], 0)[0]:
            self._try(lambda: self.socket.recv(1))
            if not self.errno:
                return ANSWERED
        return self._said()


class _Echo(_Socket):
    """Sends an ICMP echo request."""

    def __init__(self, packet: Packet, size: int) -> None:
        super().__init__(packet, socket.SOCK_RAW, packet.number)
        self._identifier = struct.unpack(">H", os.urandom(2))[0] | 1
        self._text = os.urandom(8) + bytes(max(0, size - _HEADERS[packet.version] - 8))
        if size:
            self._uncut()
        self.probe = Probe(packet.number, (self._identifier,))
        self._answered = False

    def send(self) -> None:
        """Send the request."""
        message = struct.pack(">BBHHH", 128 if self.packet.version == 6 else 8, 0, 0, self._identifier, 1) + self._text
        if self.packet.version == 4:
            message = message[:2] + checksum(message) + message[4:]
        self._try(lambda: self.socket.sendto(message, (str(self.packet.to), 0)))

    def outcome(self) -> str:
        """Whether the reply came."""
        while not self._answered and select.select([self.socket], [], [], 0)[0]:
            data = self.socket.recv(200)
            reply = data if self.packet.version == 6 else data[(data[0] & 15) * 4 :]
            kind = 129 if self.packet.version == 6 else 0
            self._answered = reply[:1] == bytes((kind,)) and reply[8:16] == self._text[:8]
        return ANSWERED if self._answered else self._said()
