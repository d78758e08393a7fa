# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens in the calling thread's network namespace, from the kernel (sock_diag(7)).

Unlike the files below /proc/net, which walk through every connection of the machine, it looks at listeners only.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t

from ..model import Address
from .netlink import NetlinkSocket, attributes

_SOCK_DIAG, _BY_FAMILY = 4, 20
_LISTEN, _UNCONNECTED = 1 << 10, 1 << 7
_STATES = {"tcp": _LISTEN, "udp": _UNCONNECTED, "sctp": _LISTEN}
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2: family, protocol, extensions, states, and no socket
_MESSAGE = struct.Struct("=BBxx")  # struct inet_diag_msg: family, state; then the ports and addresses
_PORT = struct.Struct("!H")
_ADDRESS_AT, _LENGTH, _ONLY_IPV6 = 8, 72, 11


class Listener(t.NamedTuple):
    """Where a socket takes what anyone sends to it."""

    address: Address
    port: int
    versions: tuple[int, ...]  # of IP


def listeners(protocols: t.Iterable[str]) -> dict[str, list[Listener]]:
    """The listeners of each protocol; OSError when the kernel cannot tell of one."""
    with NetlinkSocket(_SOCK_DIAG) as opened:
        return {protocol: _listeners(opened, protocol) for protocol in protocols}


def _listeners(opened: NetlinkSocket, protocol: str) -> list[Listener]:
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = _REQUEST.pack(family, _PROTOCOLS[protocol], 0, _STATES[protocol])
        found += [_listener(message) for message in opened.dump(_BY_FAMILY, body)]
    return found


def _listener(message: bytes) -> Listener:
    family, _state = _MESSAGE.unpack_from(message)
    length = 16 if family == socket.AF_INET6 else 4
    address = ipaddress.ip_address(message[_ADDRESS_AT : _ADDRESS_AT + length])
    only = any(attributes(message, _LENGTH).get(_ONLY_IPV6, b""))
    both = address.version == 6 and address.is_unspecified and not only
    return Listener(address, _PORT.unpack_from(message, 4)[0], (4, 6) if both else (address.version,))
