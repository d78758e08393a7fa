# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source routing: in a namespace with several ends, an answer leaves by the end through which the request came.

Each end has a routing table of its own, and a rule sends packets from its addresses there. Without this, an answer
leaves by the only default route of the namespace, and a strict rp_filter of the host or of the namespace drops one of
the two directions.
"""

from __future__ import annotations

import re
import typing as t
import zlib

from .. import marks, model
from ..kernel import state
from ..records import dataclass, replace
from ..world import World, is_of_others, is_ours, metric_of, target_of, whole_routes, with_metric

if t.TYPE_CHECKING:
    from .. import operations

_USUAL = r"eth(\d{1,3})"
_OTHERS = 1_000_000


def table_of(interface: str) -> int:
    """The number of an end's table. It follows from the end's name, so it is the same when the end is made again."""
    usual = re.fullmatch(_USUAL, interface)
    if usual:
        return marks.SOURCE_TABLES + int(usual.group(1))
    return marks.SOURCE_TABLES + 1000 + zlib.crc32(interface.encode()) % _OTHERS


def routes(end: model.End) -> list[model.Route]:
    """The routes in the table of an end: its subnets, its own routes, and its gateway for everything else."""
    table, versions = table_of(end.name), {via.version for via in end.source_gateways}
    subnets = dict.fromkeys(a.network for a in end.addresses or () if a.version in versions)
    found = [model.Route(subnet) for subnet in subnets if subnet.num_addresses > 1]
    found += [route for route in end.routes if route.to.prefixlen and route.to.version in versions]
    found += [model.Route(model.ANYWHERE[via.version], via) for via in end.source_gateways]
    unique = {(route.to, metric_of(route)): replace(route, table=table) for route in found}
    return list(unique.values())


def _rules(end: model.End) -> list[model.SourceRule]:
    versions = {via.version for via in end.source_gateways}
    sources = dict.fromkeys(a.ip for a in end.addresses or () if a.version in versions)
    return [model.SourceRule(source, table_of(end.name)) for source in sources]


def gateways(place: model.Place, link: state.Link, world: World) -> tuple[model.Address, ...]:
    """The gateways of an end as it is, for each version of IP in which rules and routes are complete."""
    if not world.may_have_source_rules(place):
        return ()
    table = table_of(link.name)
    entries = [entry.route for entry in _there(place, link.name, world) if entry.route.to.prefixlen == 0]
    sources = {rule.source for rule in world.source_rules(place) if rule.table == table}
    ruled = {a.version for a in link.addresses} - {a.version for a in link.addresses if a.ip not in sources}
    return tuple(route.via for route in entries if route.via is not None and route.to.version in ruled)


@dataclass(frozen=True)
class SourceChange:
    """The rules and routes to remove and to add."""

    stale_rules: t.Sequence[model.SourceRule] = ()
    stale_routes: t.Sequence[model.Route] = ()
    missing_routes: t.Sequence[model.Route] = ()
    missing_rules: t.Sequence[model.SourceRule] = ()
    repairs: bool = False  # the end is there, and so may be a route in its table that leads nowhere
    strays: t.Sequence[state.RouteEntry] = ()  # routes of others in its table, to remove


def change(end: model.End, there: state.Link | None, moved: t.Collection[int], world: World) -> SourceChange:
    """The changes from what is there to what is wanted; notes them in the world.

    ``there`` is None for an end that is still to be made. For the versions of IP in ``moved``, the kernel removes the
    routes together with an address. Raises Conflict for a route of others in our table, in a namespace of others.
    """
    if not end.source_gateways and not world.may_have_source_rules(end.place):
        return SourceChange()
    table, wanted_rules = table_of(end.name), _rules(end)
    rules = [rule for rule in world.source_rules(end.place) if rule.table == table]
    known = [] if there is None else _there(end.place, end.name, world)
    asked = routes(end)
    wanted = [with_metric(route) for route in asked]
    stale = [entry.route for entry in known if entry.route not in wanted or entry.route.to.version in moved]
    found = SourceChange(
        stale_rules=[rule for rule in rules if rule not in wanted_rules],
        stale_routes=stale,
        missing_routes=[r for r in asked if with_metric(r) in stale or not _has(known, with_metric(r))],
        missing_rules=[rule for rule in wanted_rules if rule not in rules],
        repairs=there is not None,
        strays=_strays(end, table, world),
    )
    _tell(end, found, [entry for entry in known if entry.route in stale], world)
    return found


def _strays(end: model.End, table: int, world: World) -> list[state.RouteEntry]:
    found = world.strays(end.place, table)
    if found and not world.owns(end.place):
        from ..link_operations import barrier_command

        raise model.Conflict(
            "%s in %s: its routing table %d has a route to %s that is not ours; remove it with '%s'."
            % (end.name, end.place, table, target_of(found[0].route), barrier_command(end.place, "del", found[0]))
        )
    for entry in found:
        if not entry.kind:
            world.drop_route(end.place, entry)
    return whole_routes(found)


def _tell(end: model.End, change: SourceChange, stale: t.Iterable[state.RouteEntry], world: World) -> None:
    for rule in change.stale_rules:
        world.drop_source_rule(end.place, rule)
    for entry in stale:
        world.drop_route(end.place, entry)
    for route in change.missing_routes:
        world.put_route(end.place, end.name, route, marks.ROUTE_PROTOCOL)
    for rule in change.missing_rules:
        world.put_source_rule(end.place, rule)


def _has(entries: t.Iterable[state.RouteEntry], route: model.Route) -> bool:
    return any(entry.route == route for entry in entries)


def _there(place: model.Place, name: str, world: World) -> list[state.RouteEntry]:
    entries = world.table_routes(place, table_of(name))
    return [entry for entry in entries if entry.link == name and not is_of_others(entry)]


def remove(end: model.End, change: SourceChange) -> list[operations.Operation]:
    """The steps that come before any other change of an end."""
    if not change.stale_rules and not change.stale_routes and not change.strays:
        return []
    from .. import link_operations

    steps: list[operations.Operation] = [link_operations.RemoveRule(end.place, rule) for rule in change.stale_rules]
    steps += [link_operations.RemoveRoute(end.place, end.name, route) for route in change.stale_routes]
    return steps + [link_operations.RemoveBarrier(end.place, entry) for entry in change.strays]


def add(end: model.End, change: SourceChange) -> list[operations.Operation]:
    """The steps once an end is up and has its addresses. The rules come last, when the table is complete."""
    if not change.missing_rules and not change.missing_routes:
        return []
    from .. import link_operations

    steps: list[operations.Operation] = [
        link_operations.AddRoute(end.place, end.name, route, replaces=change.repairs) for route in change.missing_routes
    ]
    return steps + [link_operations.AddRule(end.place, rule) for rule in change.missing_rules]


def leave(place: model.Place, name: str, world: World) -> list[operations.Operation]:
    """The steps for the rules that would stay in a namespace without its end; the routes go with the end."""
    lo = world.links(place).get("lo")
    if lo is not None and is_ours(lo) and not world.may_have_source_rules(place):
        return []
    from .. import link_operations

    left = [rule for rule in world.source_rules(place) if rule.table == table_of(name)]
    for rule in left:
        world.drop_source_rule(place, rule)
    return [link_operations.RemoveRule(place, rule) for rule in left]
