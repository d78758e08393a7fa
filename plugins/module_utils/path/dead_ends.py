# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the route or the routing rule that discards a packet, or leads it away: the kernel reports only the result."""

from __future__ import annotations

import struct
import typing as t

from ..kernel import decode, netlink
from ..kernel.requests import RTM_GETROUTE, RTM_GETRULE, all_of, family
from .packet import Packet
from .topology import MAIN, ROUTE_HEADER, ROUTE_KINDS, Node, network_of, table_words

_KINDS = {name: number for number, name in ROUTE_KINDS.items()}
_TABLE = 15


class DeadEnd(t.NamedTuple):
    """A route or a rule that discards packets."""

    removal: str  # the arguments of ``ip`` that delete it
    protocol: int  # tells who set it


def dead_end(node: Node, kind: str, packet: Packet) -> DeadEnd | None:
    """The route or the rule of a kind that a packet meets."""
    return _rule(node, kind, packet) or _route(node, kind, packet)


def first_to(node: Node, table: int, version: int) -> int:
    """The priority of the first rule that leads to a table; 0 if there is none."""
    rules = decode.rules(node.dump(RTM_GETRULE, all_of(version)), family(version))
    return next((rule.priority for rule in rules if rule.table == table), 0)


def discarding_rule(node: Node, packet: Packet) -> str:
    """The kind of the first rule that discards a packet, perhaps for its source or for the link by which it came."""
    return next((rule.nowhere for rule in _discarding(node, packet)), "")


def _rule(node: Node, kind: str, packet: Packet) -> DeadEnd | None:
    found = (rule for rule in _discarding(node, packet) if rule.nowhere == kind)
    return next((DeadEnd("rule del pref %d" % rule.priority, rule.protocol) for rule in found), None)


def _discarding(node: Node, packet: Packet) -> t.Iterator[decode.RuleEntry]:
    for rule in decode.rules(node.dump(RTM_GETRULE, all_of(packet.version)), family(packet.version)):
        if rule.nowhere and (rule.covers(packet.source, packet.to) or rule.stops(packet.source, packet.iif)):
            yield rule


def _route(node: Node, kind: str, packet: Packet) -> DeadEnd | None:
    found = []
    for message in node.dump(RTM_GETROUTE, ROUTE_HEADER.pack(family(packet.version), *[0] * 8)):
        header, values = ROUTE_HEADER.unpack_from(message), netlink.attributes(message, ROUTE_HEADER.size)
        network = network_of(header[1], values, packet.version)
        if header[7] == _KINDS.get(kind) and packet.to in network:
            table = struct.unpack("=I", values[_TABLE])[0] if _TABLE in values else MAIN
            words = "route del %s %s%s" % (kind, network, table_words(table))
            found.append((network.prefixlen, DeadEnd(words, header[5])))
    return max(found)[1] if found else None
