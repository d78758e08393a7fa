# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPsec policies: which of them blocks a packet, or requires it to be encrypted."""

from __future__ import annotations

import ipaddress
import struct

from .. import model
from ..kernel import netlink
from ..kernel.files import read as read_file
from ..records import dataclass
from .packet import Packet

NETLINK_XFRM = 6
IN, OUT, FORWARD = 0, 1, 2
_NAMES = ("in", "out", "fwd")
_GETPOLICY = 0x15
_BLOCK = 1
_TEMPLATES = 5  # XFRMA_TMPL
# struct xfrm_userpolicy_info: the selector, the lifetimes (not used here), and the action.
_SELECTOR = struct.Struct("=16s16s2s2s2s2sHBBBxxxiI")
_REST = struct.Struct("=64x32xIIBBBB")
_SIZE = 168


@dataclass(frozen=True)
class Policy:
    """One IPsec policy."""

    way: int
    priority: int
    index: int
    blocks: bool
    wraps: bool  # has a template: the packets that it selects must be encrypted
    source: model.Network
    to: model.Network
    protocol: int
    ports: tuple[tuple[int, int], tuple[int, int]]  # value and mask of the source port and of the destination port

    def selects(self, packet: Packet) -> bool:
        """Whether the policy applies to a packet."""
        numbers = (packet.sport, packet.dport)
        return (
            packet.version == self.to.version
            and packet.source in self.source
            and packet.to in self.to
            and self.protocol in (0, packet.number)
            and all(not number or number & mask == value for number, (value, mask) in zip(numbers, self.ports))
        )

    def __str__(self) -> str:
        what = "blocks packets" if self.blocks else "requires encryption for packets"
        return "an IPsec policy (%s) %s from %s to %s" % (_NAMES[self.way], what, self.source, self.to)

    @property
    def removal(self) -> str:
        """The arguments of ``ip`` that delete the policy."""
        return "xfrm policy delete index %d dir %s" % (self.index, _NAMES[self.way])


def read() -> list[Policy]:
    """The policies of the stack that the calling thread is in."""
    if not _in_use():
        return []
    try:
        with netlink.NetlinkSocket(NETLINK_XFRM) as opened:
            return sorted(map(_policy, opened.dump(_GETPOLICY, bytes(64))), key=lambda policy: policy.priority)
    except OSError:
        return []


def _in_use() -> bool:
    """Whether the kernel has loaded xfrm; to open an xfrm socket would load it."""
    sockets = (read_file("/proc/thread-self/net/netlink") or "").splitlines()
    return any(line.split()[1] == str(NETLINK_XFRM) for line in sockets)


def _policy(message: bytes) -> Policy:
    to, source, dport, dmask, sport, smask, family, to_bits, source_bits, protocol, _link, _user = (
        _SELECTOR.unpack_from(message)
    )
    priority, index, way, action, _flags, _share = _REST.unpack_from(message, _SELECTOR.size)
    size = 16 if family == 10 else 4
    return Policy(
        way=way,
        priority=priority,
        index=index,
        blocks=action == _BLOCK,
        wraps=_TEMPLATES in netlink.attributes(message, _SIZE),
        source=ipaddress.ip_network((source[:size], source_bits), strict=False),
        to=ipaddress.ip_network((to[:size], to_bits), strict=False),
        protocol=protocol,
        ports=((_number(sport), _number(smask)), (_number(dport), _number(dmask))),
    )


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")
