# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet sockets, which see the probe, its answers and ICMP errors on the links of a namespace."""

from __future__ import annotations

import socket
import struct
import typing as t

from .checkpoints import Probe

_ALL = 0x0003
_IP, _ARP, _IP6 = 0x0800, 0x0806, 0x86DD
_OUTGOING = 4
_ATTACH_FILTER = 26
_BYTES = 256
_RECEIVE_BUFFER = 1 << 20
_AD_PROTOCOL = 0xFFFFF000


class Frame(t.NamedTuple):
    """A packet on a link."""

    link: str
    outgoing: bool
    protocol: int
    data: bytes


class Tap:
    """Sees the frames on all links of the namespace in which it is created."""

    def __init__(self, probe: Probe) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        # Frames that come before the filter is attached do no harm: each frame is checked once more later.
        self.socket = socket.socket(socket.AF_PACKET, kind, socket.htons(_ALL))
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._choose(probe)
        except BaseException:
            self.socket.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def frames(self) -> t.Iterator[Frame]:
        """The frames since the last call."""
        while True:
            try:
                data, (link, protocol, kind, *unused) = self.socket.recvfrom(_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # a link went down
            yield Frame(link, kind == _OUTGOING, protocol, data)

    def _choose(self, probe: Probe) -> None:
        """Let the kernel deliver nothing but the probe, ICMP and ARP: a host may be busy."""
        import ctypes

        program = _assembled(_program(probe))
        text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
        filter_of = struct.pack("HP", len(program), ctypes.addressof(text))
        self.socket.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, filter_of)


# Classic BPF (networking/filter.rst): load a half word or a byte, the length of an IPv4 header, compare, return.
_LOAD_HALF, _LOAD_BYTE, _LOAD_HALF_BEHIND, _HEADER_LENGTH, _EQUAL, _RETURN = 0x28, 0x30, 0x48, 0xB1, 0x15, 0x06
Line = tuple[int, int, str]  # code, value, and the label to go to when equal


def _program(probe: Probe) -> list[Line | str]:
    """The instructions of the filter, with labels between them."""
    lines: list[Line | str] = [
        (_LOAD_HALF, _AD_PROTOCOL, ""),
        (_EQUAL, _ARP, "yes"),
        (_EQUAL, _IP, "four"),
        (_EQUAL, _IP6, "six"),
        (_RETURN, 0, ""),
        "four",
        (_LOAD_BYTE, 9, ""),
        (_EQUAL, socket.IPPROTO_ICMP, "yes"),
        (_EQUAL, probe.protocol, "ports4"),
        (_RETURN, 0, ""),
        "ports4",
        (_HEADER_LENGTH, 0, ""),
    ]
    for offset in (0, 2):
        lines.append((_LOAD_HALF_BEHIND, offset, ""))
        lines += [(_EQUAL, port, "yes") for port in probe.ports]
    lines += [
        (_RETURN, 0, ""),
        "six",
        (_LOAD_BYTE, 6, ""),
        (_EQUAL, socket.IPPROTO_ICMPV6, "yes"),
        (_EQUAL, probe.protocol, "ports6"),
        (_RETURN, 0, ""),
        "ports6",
    ]
    for offset in (40, 42):
        lines.append((_LOAD_HALF, offset, ""))
        lines += [(_EQUAL, port, "yes") for port in probe.ports]
    return [*lines, (_RETURN, 0, ""), "yes", (_RETURN, _BYTES, "")]


def _assembled(lines: t.Sequence[Line | str]) -> list[tuple[int, int, int, int]]:
    """The instructions, with labels turned into distances."""
    labels: dict[str, int] = {}
    code: list[Line] = []
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(code)
        else:
            code.append(line)
    return [
        (name, labels[label] - number - 1 if label else 0, 0, value) for number, (name, value, label) in enumerate(code)
    ]
