# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the default route of a stack in its routing tables.

The kernel can only be asked for the route to an address, and for any address there may be a route of its own.
"""

from __future__ import annotations

import contextlib
import typing as t

from .. import model
from ..kernel import decode
from ..kernel.errors import KernelError
from ..kernel.requests import RTM_GETROUTE, RTM_GETRULE, all_of, family, routes_of
from ..kernel.state import RouteEntry
from .topology import Node


class DefaultRoute(t.NamedTuple):
    """A default route: its link, and the router if it has one."""

    link: str
    gateway: model.Address | None


def default_route(node: Node, version: int) -> DefaultRoute | None:
    """The default route that the kernel prefers; None if there is none, or it discards the packet."""
    for table in tables(decode.rules(node.dump(RTM_GETRULE, all_of(version)), family(version))):
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


def tables(rules: t.Iterable[decode.RuleEntry]) -> t.Iterator[int]:
    """The tables in which the kernel looks for the default route of an ordinary packet."""
    return (rule.table for rule in rules if rule.table and rule.is_for_all and not rule.suppresses)
