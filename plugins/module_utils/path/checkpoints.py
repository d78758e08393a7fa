# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: empty chains, first and last on every hook, which show how far a traced packet got.

The kernel reports every base chain that a traced packet passes, so the hook on which it was lost is known whatever
dropped it: nf_tables, legacy iptables, connection tracking or routing. The tables belong to the socket that creates
them (NFT_TABLE_F_OWNER): no other process can change them, and the kernel removes them when this process ends, even if
it is killed.

The constants are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import typing as t

from ..kernel import netlink

INET, NETDEV, BRIDGE = 1, 5, 7
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
FIRST, LAST = -(2**31) + 1, 2**31 - 2

_NESTED = 0x8000
_SUBSYSTEM = 10 << 8
_NEWTABLE, _NEWCHAIN, _NEWRULE, _TRACE = 0, 3, 6, 17
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_OWNER = 0x2
_HEADER = struct.Struct("=LHHLL")
_GENERIC = struct.Struct(">BBH")
_META_NFTRACE, _META_L4PROTO = 12, 16
_TRANSPORT = 2
_SYN_OR_RST = 0x02 | 0x04
_GROUP_OF_TRACE = 9
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_ERROR = 2
_PIECE = 1 << 16


class Probe(t.NamedTuple):
    """The marks of the probe's packets and their answers: the protocol, and one of these ports."""

    protocol: int
    ports: tuple[int, ...]  # for ICMP, the identifier of the echo
    by_destination: bool = False  # whether these are the destination ports of the request


class Event(t.NamedTuple):
    """One event that the kernel reports for a traced packet."""

    packet: int  # the same number for all events of one packet
    family: str
    table: str
    chain: str
    handle: int
    drops: bool
    network: bytes
    transport: bytes


class Checkpoints:
    """The tables of one namespace, and their trace events; must be created by a thread in that namespace."""

    def __init__(self, name: str, probe: Probe, devices: t.Sequence[str]) -> None:
        self.name = name
        self._probe = probe
        self._devices = tuple(devices)
        self._owner = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, netlink.NETLINK_NETFILTER)
        self.trace = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, netlink.NETLINK_NETFILTER)
        try:
            self._owner.bind((0, 0))
            self._listen()
            self._load(INET, self._of_hooks(INET))
            self.bridge = self._try(BRIDGE, self._of_hooks(BRIDGE))
            self.netdev = self._try(NETDEV, self._of_devices())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the kernel remove the tables."""
        self._owner.close()
        self.trace.close()

    def _listen(self) -> None:
        self.trace.bind((0, 0))
        self.trace.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.trace.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_OF_TRACE)
        self.trace.setblocking(False)

    def _try(self, family: int, messages: list[bytes]) -> bool:
        """Whether a family can be watched; not every kernel supports the families below IP."""
        with contextlib.suppress(OSError):
            self._load(family, messages)
            return True
        return False

    # ---- messages

    def _of_hooks(self, family: int) -> list[bytes]:
        found = []
        for number, hook in enumerate(HOOKS):
            for end, priority in (("first", FIRST), ("last", LAST)):
                found.append(self._chain(family, "%s_%s" % (hook, end), number, priority))
            found += self._marking(family, "%s_first" % hook)
        return found

    def device(self, chain: str) -> str:
        """The link that a checkpoint of the family netdev is on."""
        return self._devices[int(chain.rpartition("_")[2])]

    def covers(self, point: str) -> bool:
        """Whether there is a checkpoint at a point on the path."""
        if point.startswith("ingress "):
            return self.netdev and point.split()[1] in self._devices
        return self.bridge or not point.startswith("bridge ")

    def _of_devices(self) -> list[bytes]:
        found = []
        for number, device in enumerate(self._devices):
            name = "ingress_%d" % number
            found.append(self._chain(NETDEV, name, 0, FIRST, device))
            found += self._marking(NETDEV, name)
        return found

    def _chain(self, family: int, name: str, hook: int, priority: int, device: str = "") -> bytes:
        place = _number(1, hook) + _number(2, priority) + (_string(3, device) if device else b"")
        body = _string(1, self.name) + _string(3, name) + _nest(4, place) + _number(5, 1) + _string(7, "filter")
        return _message(_SUBSYSTEM | _NEWCHAIN, family, body)

    def _marking(self, family: int, chain: str) -> list[bytes]:
        """Rules that make the kernel trace the probe's packets."""
        return [self._rule(family, chain, match + _trace_it()) for match in self._matches()]

    def _matches(self) -> t.Iterator[bytes]:
        protocol, ports = self._probe.protocol, self._probe.ports
        kind = _meta(_META_L4PROTO) + _equal(bytes((protocol,)))
        if protocol == socket.IPPROTO_TCP:
            # The rest of a connection need not be traced: its first packet and the answer are enough.
            kind += _payload(13, 1) + _masked(bytes((_SYN_OR_RST,))) + _different(b"\0")
        for port in ports:
            offsets = (0, 2) if protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP) else (4,)
            for offset in offsets:
                yield kind + _payload(offset, 2) + _equal(struct.pack(">H", port))

    def _rule(self, family: int, chain: str, expressions: bytes) -> bytes:
        body = _string(1, self.name) + _string(2, chain) + _nest(4, expressions)
        return _message(_SUBSYSTEM | _NEWRULE, family, body, _APPEND)

    def _load(self, family: int, messages: t.Sequence[bytes]) -> None:
        """Create the table and its contents in one transaction."""
        table = _message(_SUBSYSTEM | _NEWTABLE, family, _string(1, self.name) + _number(2, _OWNER), ack=True)
        begin, end = (_message(kind, 0, b"", batch=True) for kind in (_BATCH_BEGIN, _BATCH_END))
        self._owner.settimeout(5)
        self._owner.sendto(b"".join([begin, table, *messages, end]), (0, 0))
        while True:
            for kind, body in _pieces(self._owner.recv(_PIECE)):
                if kind == _ERROR:
                    number = -struct.unpack_from("=i", body)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return

    # ---- events

    def events(self) -> t.Iterator[Event]:
        """The events since the last call."""
        while True:
            try:
                piece = self.trace.recv(_PIECE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            for kind, body in _pieces(piece):
                if kind == _SUBSYSTEM | _TRACE:
                    yield _event(body)


def _event(body: bytes) -> Event:
    values = netlink.attributes(body, _GENERIC.size)
    verdict = netlink.attributes(values.get(5, b"")).get(1, b"\xff\xff\xff\xff")
    kind = _integer(values.get(4))
    decided = verdict if kind != 1 else values.get(16, b"\xff\xff\xff\xff")
    return Event(
        packet=_integer(values.get(6)),
        family=FAMILIES.get(body[0], str(body[0])),
        table=values.get(1, b"").rstrip(b"\0").decode("utf-8", "replace"),
        chain=values.get(2, b"").rstrip(b"\0").decode("utf-8", "replace"),
        handle=0 if kind == 1 else _integer(values.get(3)),
        drops=decided == bytes(4),
        network=values.get(8, b""),
        transport=values.get(9, b""),
    )


def _pieces(data: bytes) -> t.Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind = _HEADER.unpack_from(data, at)[:2]
        yield kind, data[at + _HEADER.size : at + length]
        at += max((length + 3) & -4, _HEADER.size)


def _message(kind: int, family: int, body: bytes, flags: int = 0, ack: bool = False, batch: bool = False) -> bytes:
    flags |= _REQUEST if batch else _REQUEST | _CREATE
    flags |= _ACK if ack else 0
    data = _GENERIC.pack(family, 0, 10 if batch else 0) + body
    return _HEADER.pack(_HEADER.size + len(data), kind, flags, 1, 0) + data


def _number(kind: int, value: int) -> bytes:
    return netlink.attribute(kind, struct.pack(">I", value & 0xFFFFFFFF))


def _string(kind: int, value: str) -> bytes:
    return netlink.attribute(kind, os.fsencode(value) + b"\0")


def _nest(kind: int, body: bytes) -> bytes:
    return netlink.attribute(kind | _NESTED, body)


def _expression(name: str, body: bytes) -> bytes:
    return _nest(1, _string(1, name) + _nest(2, body))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(2, key) + _number(1, 1))


def _payload(offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, 1) + _number(2, _TRANSPORT) + _number(3, offset) + _number(4, length))


def _equal(value: bytes, operator: int = 0) -> bytes:
    return _expression("cmp", _number(1, 1) + _number(2, operator) + _nest(3, netlink.attribute(1, value)))


def _different(value: bytes) -> bytes:
    return _equal(value, 1)


def _masked(mask: bytes) -> bytes:
    data = _nest(4, netlink.attribute(1, mask)) + _nest(5, netlink.attribute(1, bytes(len(mask))))
    return _expression("bitwise", _number(1, 1) + _number(2, 1) + _number(3, len(mask)) + data)


def _trace_it() -> bytes:
    one = _expression("immediate", _number(1, 1) + _nest(2, netlink.attribute(1, b"\1")))
    return one + _expression("meta", _number(2, _META_NFTRACE) + _number(3, 1))


def _integer(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "big")
