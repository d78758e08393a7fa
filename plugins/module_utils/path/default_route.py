# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the default route of a stack in its routing tables.

The kernel can only be asked for the route to an address, and for any address there may be a route of its own.
"""

from __future__ import annotations

import contextlib
import struct
import typing as t

from .. import model
from ..kernel import decode, netlink
from ..kernel.errors import KernelError
from ..kernel.requests import RTM_GETROUTE, RTM_GETRULE, family, routes_of, rules_of
from ..kernel.state import RouteEntry
from .topology import MAIN, Node

_HEADER = struct.Struct("=BBBBBBBBI")
_TO_TABLE, _INVERT = 1, 2  # FR_ACT_TO_TBL, FIB_RULE_INVERT
_FWMARK, _SUPPRESS, _TABLE = 10, 14, 15
# The attributes of a rule that compare something with the packet: FRA_DST to FRA_IIFNAME, and so on.
_CONDITIONS = frozenset({1, 2, 3, _FWMARK, 11, 12, 17, 19, 20, 22, 23, 24})
_NO_LIMIT = 0xFFFFFFFF


class DefaultRoute(t.NamedTuple):
    """A default route: its link, and the router if it has one."""

    link: str
    gateway: model.Address | None


def default_route(node: Node, version: int) -> DefaultRoute | None:
    """The default route that the kernel prefers; None if there is none, or it discards the packet."""
    for table in tables(node.dump(RTM_GETRULE, rules_of(version))):
        found = [one for one in _routes(node, version, table) if not one.route.to.prefixlen]
        best = min(found, key=lambda one: one.route.metric or 0, default=None)
        if best is not None and best.kind != "throw":
            return None if best.kind or not best.link else DefaultRoute(best.link, best.route.via)
    return None


def _routes(node: Node, version: int, table: int) -> list[RouteEntry]:
    names = {nic.index: nic.name for nic in node.nics.values()}
    with contextlib.suppress(KernelError):  # the kernel refuses to list a table that never had a route
        return decode.routes(node.dump(RTM_GETROUTE, routes_of(version, table)), names, family(version), table)
    return []


def tables(messages: t.Iterable[bytes]) -> t.Iterator[int]:
    """The tables in which the kernel looks for the default route of an ordinary packet, from a dump of the rules."""
    for message in messages:
        header, values = _HEADER.unpack_from(message), netlink.attributes(message, _HEADER.size)
        if header[7] == _TO_TABLE and _applies(header[8], values) and not _suppresses(values):
            yield _number(values, _TABLE) or header[4] or MAIN


def _applies(flags: int, values: t.Mapping[int, bytes]) -> bool:
    """Whether a rule is for every packet: it has no conditions, or is for all packets but those with a mark."""
    conditions = _CONDITIONS & set(values)
    return conditions == {_FWMARK} if flags & _INVERT else not conditions


def _suppresses(values: t.Mapping[int, bytes]) -> bool:
    """Whether a rule passes over the default route of its table, as rules of VPNs do (suppress_prefixlength)."""
    return _SUPPRESS in values and _number(values, _SUPPRESS) != _NO_LIMIT


def _number(values: t.Mapping[int, bytes], kind: int) -> int:
    return int(struct.unpack("=I", values[kind])[0]) if kind in values else 0
