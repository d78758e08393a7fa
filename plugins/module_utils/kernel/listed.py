# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listeners, from the files below /proc/net (proc_pid_net(5)), where sock_diag(7) does not work.

These files do not say whether a socket that is bound to :: accepts IPv4, so it counts as one that does.
"""

from __future__ import annotations

import contextlib
import ipaddress
import struct
import typing as t

from .. import model

_FOLDER = "/proc/thread-self/net/"
_LISTEN, _UNCONNECTED = "0A", "07"
_SCTP_LISTENING = "10"  # SCTP_SS_LISTENING, which that file has in decimal

# Port, address, inode.
ListedSocket = tuple[int, model.Address, int]


def listed(protocol: str) -> t.Iterator[ListedSocket]:
    """The listeners of a protocol; none where the kernel does not have it, or where IPv6 is off."""
    for name in ["sctp/eps"] if protocol == "sctp" else [protocol, protocol + "6"]:
        with contextlib.suppress(OSError), open(_FOLDER + name, encoding="ascii") as file:
            yield from _sctp(file) if protocol == "sctp" else _usual(protocol, file)


def _usual(protocol: str, file: t.Iterable[str]) -> t.Iterator[ListedSocket]:
    """The listeners in a usual file. For TCP, the kernel prints listeners first (tcp_get_idx()), and perhaps a hundred
    thousand connections after them."""
    for number, line in enumerate(file):
        row = line.split()
        if number and len(row) > 9 and row[3] == (_LISTEN if protocol == "tcp" else _UNCONNECTED):
            host, port = row[1].split(":")
            yield int(port, 16), _address(host), int(row[9])
        elif number and protocol == "tcp":
            return


def _sctp(file: t.Iterable[str]) -> t.Iterator[ListedSocket]:
    """The listeners in the file of SCTP, in which a line ends with all addresses (sctp_eps_seq_show())."""
    for row in [line.split() for line in file][1:]:
        if len(row) > 8 and row[3] == _SCTP_LISTENING:
            for text in row[8:]:
                yield int(row[5]), ipaddress.ip_address(text), int(row[7])


def _address(text: str) -> model.Address:
    """An address as the kernel prints it: words of 32 bits in the machine's byte order."""
    raw = bytes.fromhex(text)
    words = struct.unpack(">%dI" % (len(raw) // 4), raw)
    return ipaddress.ip_address(struct.pack("=%dI" % len(words), *words))
