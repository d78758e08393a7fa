# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the route or the routing rule that discards a packet: the kernel reports only that there is one."""

from __future__ import annotations

import ipaddress
import struct
import typing as t

from .. import model
from ..kernel import netlink
from ..kernel.requests import RTM_GETROUTE, RTM_GETRULE, rules_of
from .packet import Packet
from .topology import MAIN, ROUTE_HEADER, ROUTE_KINDS, Node, network_of, table_words

_ACTIONS = {"blackhole": 6, "unreachable": 7, "prohibit": 8}  # FR_ACT_*
_KINDS = {name: number for number, name in ROUTE_KINDS.items()}
_DST, _SRC, _IIF, _PRIORITY, _TABLE = 1, 2, 3, 6, 15


def removal(node: Node, kind: str, packet: Packet) -> str:
    """The arguments of ``ip`` that delete the route or the rule; empty if neither is found."""
    return _rule(node, kind, packet) or _route(node, kind, packet)


def _rule(node: Node, kind: str, packet: Packet) -> str:
    for message in node.dump(RTM_GETRULE, rules_of(packet.version)):
        header, values = struct.unpack_from("=BBBBBBBBI", message), netlink.attributes(message, 12)
        ends = ((packet.to, _DST, header[1]), (packet.source, _SRC, header[2]))
        if header[7] == _ACTIONS.get(kind) and _IIF not in values and all(_covers(values, *end) for end in ends):
            return "rule del pref %d" % struct.unpack("=I", values.get(_PRIORITY, bytes(4)))[0]
    return ""


def _covers(values: t.Mapping[int, bytes], address: model.Address, key: int, length: int) -> bool:
    return key not in values or address in ipaddress.ip_network((values[key], length), strict=False)


def _route(node: Node, kind: str, packet: Packet) -> str:
    found = []
    for message in node.dump(RTM_GETROUTE, ROUTE_HEADER.pack(rules_of(packet.version)[0], *[0] * 8)):
        header, values = ROUTE_HEADER.unpack_from(message), netlink.attributes(message, ROUTE_HEADER.size)
        network = network_of(header[1], values, packet.version)
        if header[7] == _KINDS.get(kind) and packet.to in network:
            table = struct.unpack("=I", values[_TABLE])[0] if _TABLE in values else MAIN
            found.append((network.prefixlen, "route del %s %s%s" % (kind, network, table_words(table))))
    return max(found)[1] if found else ""
