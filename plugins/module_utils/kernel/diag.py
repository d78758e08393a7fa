# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listeners in the calling thread's network namespace, by sock_diag(7).

Unlike the files below /proc/net, which list every connection of the machine, this only reads listeners.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t

from .. import model
from . import netlink

_SOCK_DIAG, _BY_FAMILY = 4, 20
_LISTEN, _UNCONNECTED = 1 << 10, 1 << 7
# For each protocol: its number, and the states of sockets that accept packets from anyone.
_ASKED = {"tcp": (6, _LISTEN), "udp": (17, _UNCONNECTED)}
_REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2: family, protocol, extensions, states, and no socket
_MESSAGE = struct.Struct("=BBxx")  # struct inet_diag_msg: family, state; then the ports and addresses
_PORT = struct.Struct("!H")
_QUEUES = struct.Struct("=II4xI")  # waiting connections, and the room for them; inode
_ADDRESS_AT, _QUEUES_AT, _LENGTH, _ONLY_IPV6 = 8, 56, 72, 11


def listeners(protocols: t.Iterable[str]) -> dict[str, list[model.Listener]]:
    """The listeners of each protocol."""
    return {protocol: _listeners(protocol) for protocol in protocols}


def _listeners(protocol: str) -> list[model.Listener]:
    """The listeners of one protocol. For SCTP, the kernel only shows one of a socket's addresses."""
    if protocol in _ASKED:
        try:
            with netlink.NetlinkSocket(_SOCK_DIAG) as opened:
                return [*_ask(opened, protocol, socket.AF_INET), *_ask(opened, protocol, socket.AF_INET6)]
        except OSError:
            pass  # a kernel without the module for it
    from .listed import listed

    return [_made(protocol, port, address, inode=inode) for port, address, inode in listed(protocol)]


def _ask(opened: netlink.NetlinkSocket, protocol: str, family: int) -> list[model.Listener]:
    number, states = _ASKED[protocol]
    return [
        _listener(protocol, message) for message in opened.dump(_BY_FAMILY, _REQUEST.pack(family, number, 0, states))
    ]


def _listener(protocol: str, message: bytes) -> model.Listener:
    family, _state = _MESSAGE.unpack_from(message)
    length = 16 if family == socket.AF_INET6 else 4
    waiting, room, inode = _QUEUES.unpack_from(message, _QUEUES_AT)
    return _made(
        protocol,
        _PORT.unpack_from(message, 4)[0],
        ipaddress.ip_address(message[_ADDRESS_AT : _ADDRESS_AT + length]),
        only6=any(netlink.attributes(message, _LENGTH).get(_ONLY_IPV6, b"")),
        full=protocol == "tcp" and waiting > room,
        inode=inode,
    )


def _made(
    protocol: str, port: int, address: model.Address, only6: bool = False, full: bool = False, inode: int = 0
) -> model.Listener:
    """A socket for the model. One that is bound to an IPv4-mapped IPv6 address accepts IPv4 only."""
    mapped = getattr(address, "ipv4_mapped", None)
    bound: model.Address = mapped or address
    both = bound.version == 6 and bound.is_unspecified and not only6
    return model.Listener(protocol, port, bound, model.VERSIONS if both else (bound.version,), full, inode)
