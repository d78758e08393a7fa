# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fills the table of connection tracking of the namespace that it runs in, by ctnetlink, and prints how many it has.

Empties it again once its standard input ends.

The limit (net.netfilter.nf_conntrack_max) is one for the whole machine and can only be changed there, but each
namespace counts its own entries. These are assured, or the kernel would drop one of them for a new connection.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/proc/sys/net/netfilter")
NETLINK_NETFILTER, SO_RCVBUFFORCE = 12, 33
NEW, DELETE, REQUEST, CREATE_EXCLUSIVE = 0x100, 0x102, 0x1, 0x400 | 0x200
NESTED = 0x8000
CONFIRMED_ASSURED_SEEN = 0x8 | 0x4 | 0x2
HOUR = 3600
ONE, OTHER, DISCARD = b"\x0a\x63\x00\x01", b"\x0a\x62\x00\x01", 9
BATCH = 500


def attribute(kind: int, body: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def direction(kind: int, source: bytes, to: bytes, ports: tuple[int, int]) -> bytes:
    """One direction of a UDP flow."""
    addresses = attribute(1, source) + attribute(2, to)
    numbers = attribute(1, b"\x11") + b"".join(attribute(n, struct.pack(">H", port)) for n, port in enumerate(ports, 2))
    return attribute(kind | NESTED, attribute(1 | NESTED, addresses) + attribute(2 | NESTED, numbers))


def entry(source: bytes, port: int) -> bytes:
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    body += direction(1, source, OTHER, (port, DISCARD)) + direction(2, OTHER, source, (DISCARD, port))
    body += attribute(3, struct.pack(">I", CONFIRMED_ASSURED_SEEN)) + attribute(7, struct.pack(">I", HOUR))
    return struct.pack("=IHHII", 16 + len(body), NEW, REQUEST | CREATE_EXCLUSIVE, 0, 0) + body


def entries(count: int) -> Iterator[bytes]:
    """Messages that differ only in the source, as it stands in both directions, which saves most of the time."""
    pattern = entry(b"\x0a\x63\xaa\xbb", 1024).split(b"\x0a\x63\xaa\xbb")
    for number in range(count):
        yield (b"\x0a" + number.to_bytes(3, "big")).join(pattern)


def main() -> None:
    limit = int((FOLDER / "nf_conntrack_max").read_text())
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as opened:
        opened.setblocking(False)
        waiting: list[bytes] = []
        for message in entries(limit + BATCH):
            waiting.append(message)
            if len(waiting) == BATCH:
                opened.send(b"".join(waiting))
                waiting.clear()
                # the last ones are refused
                with contextlib.suppress(OSError):
                    while True:
                        opened.recv(1 << 16)
        print((FOLDER / "nf_conntrack_count").read_text().strip(), flush=True)
        sys.stdin.read()
        opened.send(struct.pack("=IHHIIBBH", 20, DELETE, REQUEST, 0, 0, socket.AF_UNSPEC, 0, 0))


if __name__ == "__main__":
    main()
