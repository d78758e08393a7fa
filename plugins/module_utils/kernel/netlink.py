# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A netlink socket: one request and its answer at a time (netlink(7)), and a walk over attributes.

Requests are written by pyroute2's message classes (encode.py). The answers are read here: a dump of 1000 links takes
pyroute2 a quarter of a second, since it decodes every attribute, and we need a dozen of the sixty.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import time
import typing as t

from .. import model

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
# Groups of notices: of links, and of IPv6 routes (linux/rtnetlink.h).
RTMGRP_LINK = 0x001
RTMGRP_IPV6_ROUTE = 0x400

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NEW = NLM_F_CREATE | NLM_F_EXCL
REPLACED = NLM_F_CREATE | NLM_F_REPLACE
APPENDED = NLM_F_CREATE | NLM_F_APPEND
NLA_F_NESTED = 0x8000

_NLM_F_DUMP_INTR = 0x010
_NLM_F_ACK_TLVS = 0x200
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLMSGERR_ATTR_MSG = 1
# Where the kernel's message begins: after the number and the header of the request, or after the number for a dump.
_ERROR_WORDS = 20
_DONE_WORDS = 4
_NLA_TYPE_MASK = 0x3FFF
_SOL_NETLINK = 270
# NETLINK_CAP_ACK: do not repeat the request in the answer. NETLINK_EXT_ACK: describe errors in words.
# NETLINK_GET_STRICT_CHK: let the kernel filter a dump by the header and attributes of the request.
_OPTIONS = (10, 11, 12)
_SIOCGIFINDEX = 0x8933
_SIOCGSKNS = 0x894C
_HEADER = struct.Struct("=LHHLL")
_ATTRIBUTE = struct.Struct("=HH")
# The kernel never puts more than 32 KiB into one piece of a dump.
_PIECE = 1 << 16
_DUMP_ATTEMPTS = 20


class Interrupted(OSError):
    """The data changed during each of several dumps."""


class NetlinkSocket:
    """A socket of the network namespace in which the thread is that makes it; any thread can use it."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for option in _OPTIONS:
            # Kernels before 4.20 have no strict checking, so the code that dumps also checks the answers.
            with contextlib.suppress(OSError):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the namespace."""
        self._socket.close()

    def namespace(self) -> int:
        """A new file descriptor of this socket's namespace, for the caller to close."""
        return fcntl.ioctl(self._socket, _SIOCGSKNS)

    def index(self, link: str) -> int:
        """The index of a link, or OSError (ENODEV)."""
        name = os.fsencode(link)
        if len(name) > model.LINK_NAME_BYTES:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        request = struct.pack("16s24x", name)
        index: int = struct.unpack_from("=i", fcntl.ioctl(self._socket, _SIOCGIFINDEX, request), 16)[0]
        return index

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send one request and wait until it is done; OSError with the kernel's message if it fails."""
        self._send(kind, NLM_F_REQUEST | NLM_F_ACK | flags, body)
        while True:
            for kind_of_answer, flags_of_answer, payload in self._receive():
                if kind_of_answer == _NLMSG_ERROR:
                    _raise_error(payload, flags_of_answer, _ERROR_WORDS)
                    return

    def ask(self, kind: int, body: bytes) -> bytes:
        """The body of the single message that answers a request; OSError with the kernel's message if it fails."""
        self._send(kind, NLM_F_REQUEST, body)
        while True:
            for kind_of_answer, flags, payload in self._receive():
                if kind_of_answer == _NLMSG_ERROR:
                    _raise_error(payload, flags, _ERROR_WORDS)
                return payload

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all messages that answer a request for a list, consistent at one moment."""
        for _attempt in range(_DUMP_ATTEMPTS):
            found, consistent = self._dump(kind, body)
            if consistent:
                return found
        raise Interrupted(0, "it kept changing while it was read")

    def _dump(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        self._send(kind, NLM_F_REQUEST | NLM_F_DUMP, body)
        found: list[bytes] = []
        consistent = True
        while True:
            for kind_of_answer, flags, payload in self._receive():
                consistent = consistent and not flags & _NLM_F_DUMP_INTR
                if kind_of_answer in (_NLMSG_ERROR, _NLMSG_DONE):
                    _raise_error(payload, flags, _ERROR_WORDS if kind_of_answer == _NLMSG_ERROR else _DONE_WORDS)
                    return found, consistent
                found.append(payload)

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0)
        self._socket.sendto(header + body, (0, 0))

    def _receive(self) -> t.Iterator[tuple[int, int, bytes]]:
        """Type, flags and body of each message in the next piece that answers the last request."""
        piece = self._socket.recv(_PIECE)
        at = 0
        while at + _HEADER.size <= len(piece):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(piece, at)
            # An answer that we did not read because of an exception has the number of another request.
            if sequence == self._sequence:
                yield kind, flags, piece[at + _HEADER.size : at + length]
            at += (length + 3) & -4


class Notices:
    """Notices of changes in the calling thread's network namespace, to wait for."""

    def __init__(self, groups: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._socket.bind((0, groups))

    def __enter__(self) -> Notices:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def wait(self, end: float) -> bool:
        """Wait for a change; False once time.monotonic() has passed ``end``."""
        left = end - time.monotonic()
        if left <= 0:
            return False
        select.select([self._socket], [], [], left)
        # An error means that there is no message left, or that some were lost; the caller looks again in both cases.
        with contextlib.suppress(OSError):
            while True:
                self._socket.recv(_PIECE, socket.MSG_DONTWAIT)
        return True


def attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    """Type and value of the attributes that begin at ``at``; the last one of each type."""
    found: dict[int, bytes] = {}
    end = len(data)
    unpack = _ATTRIBUTE.unpack_from
    while at + 4 <= end:
        length, kind = unpack(data, at)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = data[at + 4 : at + length]
        at += (length + 3) & -4
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def _raise_error(payload: bytes, flags: int, words_at: int) -> None:
    """Raise the error in an answer, unless it reports success."""
    number: int = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
    if number <= 0:
        return
    reason = os.strerror(number)
    if flags & _NLM_F_ACK_TLVS:
        words = attributes(payload, words_at).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode("utf-8", "replace")
        reason = "%s: %s" % (reason, words) if words else reason
    raise OSError(number, reason)
