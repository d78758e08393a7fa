# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that others have changed: those in the way of ours, and those to the subnets of our addresses.

In a namespace that we made, a route in the way is removed. In any other it belongs to others, and the run is
refused with the command that would remove it.
"""

from __future__ import annotations

import typing as t

from .. import marks, model, operations
from ..kernel import decode, state
from ..records import replace
from ..world import (
    World,
    in_the_way,
    is_of_others,
    is_ours,
    metric_of,
    same_route,
    target_of,
    via_of,
    whole_routes,
)

# The metric of the routes that the kernel adds for addresses (IP6_RT_PRIO_ADDRCONF for IPv6).
_SUBNET_METRIC = {4: None, 6: state.SUBNET_METRIC[6]}


def clear(
    owner: str,
    place: model.Place,
    link: str,
    wanted: t.Sequence[model.Route],
    missing: t.Sequence[model.Route],
    addresses: t.Iterable[model.Interface],
    world: World,
) -> list[state.RouteEntry]:
    """The routes of others to remove, as they are in the way of wanted ones for packets from these addresses; tells
    the world.

    Raises Conflict when a route that we must keep is in the way of a missing one, or comes before one that is there.
    """
    going: list[state.RouteEntry] = []
    sources = {address.ip for address in addresses}
    for entry in list(world.routes(place)):
        route = in_the_way(entry, link, wanted)
        if route is None or not takes_from(entry, sources):
            continue
        if _may_go(entry, place, world):
            world.drop_route(place, entry)
            going.append(entry)
        elif route not in missing or entry.tos:
            if _is_before(entry, route, link, world.routes(place)):
                raise model.Conflict(_refusal(owner, place, entry))
        elif not _will_go(entry, place, link, world):
            raise model.Conflict(_refusal(owner, place, entry))
    return whole_routes(going)


def takes_from(entry: state.RouteEntry, sources: t.Iterable[model.Address]) -> bool:
    """Whether a route is for packets from some of these addresses; a VPN inside may have one for its own address."""
    return entry.origin is None or any(source in entry.origin for source in sources)


def _is_before(entry: state.RouteEntry, route: model.Route, link: str, entries: t.Iterable[state.RouteEntry]) -> bool:
    """Whether packets take a route of others instead of one by a link that is there."""
    if entry.tos or not is_of_others(entry):
        return False
    if entry.origin is not None:
        return True  # for packets from there, whatever its metric
    theirs, ours = metric_of(entry.route), metric_of(route)
    ranks = [e.rank for e in entries if e.link == link and not (e.hops or e.is_narrow) and same_route(e.route, route)]
    if not ranks:
        return False
    # of IPv6 routes with the same metric, the kernel takes each in turn
    alike = theirs == ours and (route.to.version == 6 or entry.rank < min(ranks))
    return bool(entry.route.table) or theirs < ours or alike


def _may_go(entry: state.RouteEntry, place: model.Place, world: World) -> bool:
    return is_of_others(entry) and world.owns(place)


def _will_go(entry: state.RouteEntry, place: model.Place, link: str, world: World) -> bool:
    """Whether it is a route of ours that this run will still remove from another link."""
    return (
        not is_of_others(entry)
        and entry.protocol == marks.ROUTE_PROTOCOL
        and entry.link != link
        and world.may_move(place, entry.link)
    )


def _refusal(owner: str, place: model.Place, entry: state.RouteEntry) -> str:
    route = entry.route
    found = "%s: there is a route to %s in %s already, by interface %s%s" % (
        *(owner, target_of(route), place, entry.link, via_of(route)),
    )
    if entry.protocol == marks.ROUTE_PROTOCOL and not is_of_others(entry):
        return found + "; give this one another metric, or leave it out."
    instead = " (without gateways, or for an endpoint with default_route: false)" if not route.to.prefixlen else ""
    return found + "; remove it with '%s', or leave this one out%s." % (_removal(place, entry), instead)


def _removal(place: model.Place, entry: state.RouteEntry, verb: str = "del") -> str:
    """The command that removes a route which we leave alone."""
    from .. import link_operations

    usual = metric_of(entry.route) == state.KERNEL_METRIC[entry.route.to.version]
    shown = replace(entry, route=replace(entry.route, metric=None)) if usual else entry
    return link_operations.barrier_command(place, verb, shown)


# ---- the subnets of addresses


def hiding(
    place: model.Place,
    link: str,
    addresses: t.Iterable[model.Interface],
    routes: t.Iterable[state.RouteEntry],
    world: World,
) -> list[state.RouteEntry]:
    """The routes of others that attract packets for the subnets of a link's addresses.

    Routes of the kernel do not count: they follow from addresses, so the subnet is wanted twice.
    """
    subnets, own = [address.network for address in addresses], {address.ip for address in addresses}
    strays = [entry for entry in routes if is_of_others(entry) and not _brings(entry, own) and takes_from(entry, own)]
    strays = [entry for entry in strays if not _is_by_the_host(entry, link, world)]
    return [
        entry
        for entry in strays
        if any(_hides(entry, link, net) or world.takes_first(place, entry, net) for net in subnets)
    ]


def _brings(entry: state.RouteEntry, own: t.Container[model.Address]) -> bool:
    """Whether a route of the table local is for an address that the stack has."""
    return entry.kind == "local" and entry.route.to.num_addresses == 1 and entry.route.to.network_address in own


def _is_by_the_host(entry: state.RouteEntry, link: str, world: World) -> bool:
    """Whether a route leads one station of the link to the host, which sends packets back if its rules let it."""
    route = entry.route
    alone = route.to.num_addresses == 1 and not (route.table or entry.hops or entry.kind)
    return alone and entry.link == link and route.via in [address.ip for address in world.addresses()]


def _hides(entry: state.RouteEntry, link: str, subnet: model.Network) -> bool:
    route = entry.route
    if route.to == subnet:
        return bool(route.table) or entry.is_narrow or metric_of(route) <= (_SUBNET_METRIC[subnet.version] or 0)
    astray = entry.link != link or bool(entry.kind) or route.via is not None
    return astray and model.lies_in(route.to, subnet)


def uncover(
    owner: str, place: model.Place, link: str, addresses: t.Sequence[model.Interface], world: World
) -> list[state.RouteEntry]:
    """The routes that hide a subnet and are to be removed, in a namespace of ours; notes that in the world.

    In other namespaces, raises Conflict for a route to a whole subnet, unless it stands for the kernel's own. A route
    to a part of it may be intended.
    """
    kept = [entry for entry in world.routes(place) if entry.protocol == state.BY_THE_KERNEL]
    going = hiding(place, link, addresses, world.routes(place), world)
    if world.owns(place):
        for entry in going:
            world.drop_route(place, entry)
        return whole_routes(going)
    for entry in going:
        whole = any(entry.route.to == address.network for address in addresses)
        own = model.Route(entry.route.to, None, _SUBNET_METRIC[entry.route.to.version])
        if whole and (entry.link != link or _is_before(entry, own, link, kept)):
            raise _led_elsewhere(owner, place, entry)
    return []


def _led_elsewhere(owner: str, place: model.Place, entry: state.RouteEntry) -> model.Conflict:
    return model.Conflict(
        "%s: in %s its subnet %s goes by interface %s; remove that route with '%s', or choose another subnet."
        % (owner, place, entry.route.to, entry.link, _removal(place, entry))
    )


def break_down(
    owner: str,
    end: model.End,
    addresses: t.Sequence[model.Interface],
    missing: t.Sequence[model.Route],
    world: World,
) -> list[state.RouteEntry]:
    """The routes that lead nowhere and are to be removed, in a namespace of ours; notes that in the world.

    One with the metric of a missing route stays, as that route replaces it. In other namespaces, raises Conflict for
    one in the way of a missing route, and for one to a whole subnet.
    """
    going = []
    ours, barriers = world.owns(end.place), list(world.barriers(end.place))
    hidden = hiding(end.place, end.name, addresses, barriers, world)
    sources = {address.ip for address in addresses}
    for entry in [barrier for barrier in barriers if takes_from(barrier, sources)]:
        route = in_the_way(entry, end.name, end.routes)
        comes_first = (route in missing and not entry.tos) or (
            route is not None and _is_before(entry, route, end.name, world.routes(end.place))
        )
        if not ours and (comes_first or (entry in hidden and _cuts_off(entry, end, addresses))):
            raise model.Conflict(_walled(owner, end.place, entry))
        if ours and (entry in hidden or (route is not None and not _is_replaced(entry, route, missing))):
            world.drop_barrier(end.place, entry)
            going.append(entry)
    return going


def _cuts_off(entry: state.RouteEntry, end: model.End, addresses: t.Iterable[model.Interface]) -> bool:
    """Whether a route takes the packets for a whole subnet, or for a gateway."""
    to = entry.route.to
    gateways = [*(route.via for route in end.routes), *end.source_gateways]
    whole = any(model.lies_in(address.network, to) for address in addresses)
    return whole or any(via is not None and via.version == to.version and via in to for via in gateways)


def _is_replaced(entry: state.RouteEntry, route: model.Route, missing: t.Container[model.Route]) -> bool:
    """Whether a wanted route takes the place of another when it is added, or comes before that one."""
    if entry.route.table or entry.is_narrow:
        return False
    theirs, ours = metric_of(entry.route), metric_of(route)
    return theirs > ours or (theirs == ours and route in missing)


def _walled(owner: str, place: model.Place, entry: state.RouteEntry) -> str:
    command, where = _removal(place, entry, "delete"), "leads nowhere"
    if entry.kind not in decode.NOWHERE.values():
        where = (
            "leads to %s itself" % place if entry.kind == "local" else "is not one to another host (%s)" % entry.kind
        )
    return "%s: a route to %s %s; remove it with '%s'." % (owner, target_of(entry.route), where, command)


def _refuse_walled(owner: str, place: model.Place, routes: t.Iterable[model.Route], world: World) -> None:
    """Raise Conflict where a route to a subnet cannot be added again, in a namespace of others."""
    taken = {(route.to, metric_of(route)) for route in routes}
    for entry in [] if world.owns(place) else world.barriers(place):
        if not entry.route.table and (entry.route.to, metric_of(entry.route)) in taken:
            raise model.Conflict(_walled(owner, place, entry))


def restore(
    owner: str, place: model.Place, there: state.Link, wanted: t.Sequence[model.Interface], world: World
) -> list[operations.Operation]:
    """The steps that add the routes to a link's own addresses and subnets that have been removed; notes them."""
    from .. import link_operations

    again = _lost_with_addresses(place, there, wanted, world)
    lost = _lost_subnets(place, there, wanted, world)
    alone = [route for route in lost if route.to != model.LINK_LOCAL[6]]
    _refuse_walled(owner, place, alone, world)
    later = _step_behind(owner, place, there.name, alone, world)
    steps: list[operations.Operation] = [
        link_operations.RemoveRoute(place, entry.link, entry.route, entry.protocol, source) for entry, source in later
    ]
    steps += [
        link_operations.RemoveBarrier(place, entry)
        for entry in clear(owner, place, there.name, alone, alone, wanted, world)
    ]
    steps += restore_local(place, there, wanted, world)
    for route, source in lost.items():
        world.put_route(place, there.name, route, state.BY_THE_KERNEL)
        if route.to in again:
            continue
        # each link has its own link-local route
        steps.append(
            link_operations.AddRoute(
                place, there.name, route, state.BY_THE_KERNEL, source, appends=route.to == model.LINK_LOCAL[6]
            )
        )
    for entry, source in later:
        world.put_route(place, entry.link, entry.route, entry.protocol)
        steps.append(link_operations.AddRoute(place, entry.link, entry.route, entry.protocol, source, appends=True))
    return steps


def _step_behind(
    owner: str, place: model.Place, link: str, missing: t.Sequence[model.Route], world: World
) -> list[tuple[state.RouteEntry, model.Address | None]]:
    """The routes of the kernel to the same subnets by other links, each with its source address; tells the world.

    The kernel takes the first of them, so they have to be removed, and added again behind a missing one. Raises
    Conflict for one that is neither in a namespace of ours nor by a link of ours.
    """
    wanted = {(route.to, metric_of(route)): route for route in missing}
    later: list[tuple[state.RouteEntry, model.Address | None]] = []
    for entry in list(world.routes(place)):
        route = wanted.get((entry.route.to, metric_of(entry.route)))
        if route is None or entry.link == link or entry.protocol != state.BY_THE_KERNEL:
            continue
        other = world.links(place)[entry.link]
        if not world.owns(place) and not is_ours(other):
            raise _led_elsewhere(owner, place, entry)
        world.drop_route(place, entry)
        sources = [a.ip for a in other.addresses if a.version == 4 and a.network == route.to]
        later.append((replace(entry, route=route), sources[0] if sources else None))
    return later


def restore_local(
    place: model.Place, there: state.Link, wanted: t.Sequence[model.Interface], world: World
) -> list[operations.Operation]:
    """The steps that bring the routes of a link in the table local back.

    For IPv6, the kernel gives such a route of ours another metric than its own, and leaves it behind when the address
    goes. So an IPv6 address, which nobody reaches any more, is taken away and given back.
    """
    from .. import link_operations

    steps: list[operations.Operation] = []
    kept = _staying(there, wanted)
    for lost in world.lost_routes(place):
        if lost.link != there.name or not _counts(lost, kept):
            continue
        if lost.to.version == 6 and lost.address is not None:
            steps.append(link_operations.RenewAddress(place, there.name, lost.address))
        else:
            steps.append(link_operations.RestoreRoute(place, lost))
    return steps


def _counts(lost: state.LostRoute, kept: t.Sequence[model.Interface]) -> bool:
    """Whether no other step brings a route back."""
    return lost.address is None or lost.address in kept or lost.address.ip.is_link_local


def _lost_with_addresses(
    place: model.Place, there: state.Link, wanted: t.Sequence[model.Interface], world: World
) -> set[model.Network]:
    """The IPv6 subnets whose routes the kernel adds, as an address is given back."""
    kept = _staying(there, wanted)
    mine = [lost for lost in world.lost_routes(place) if lost.link == there.name and _counts(lost, kept)]
    return {lost.address.network for lost in mine if lost.address is not None and lost.to.version == 6}


# ---- the rules of routing

# What the kernel makes with a namespace (fib_default_rules_init, fib6_rules_net_init).
_RULES = tuple(
    model.DefaultRule(version, priority, table)
    for version, priority, table in (
        *((4, 0, model.LOCAL_TABLE), (4, 32766, model.MAIN_TABLE), (4, 32767, model.DEFAULT_TABLE)),
        *((6, 0, model.LOCAL_TABLE), (6, 32766, model.MAIN_TABLE)),
    )
)


def missing_rules(place: model.Place, versions: t.Container[int], world: World) -> list[model.DefaultRule]:
    """The rules that somebody has flushed. If others have rules, the one for the table main may be gone on purpose."""
    found: list[model.DefaultRule] = []
    for version in (version for version in model.VERSIONS if version in versions):
        rules = [rule for rule in world.lookups(place) if rule.version == version]
        tables = {rule.table for rule in rules}
        own = any(not rule.ours and rule.table not in (model.LOCAL_TABLE, model.DEFAULT_TABLE) for rule in rules)
        gone = {model.LOCAL_TABLE} - tables | (set() if own else {model.MAIN_TABLE, model.DEFAULT_TABLE} - tables)
        if gone and (rules or world.has_rules(place, version)):
            found += [rule for rule in _RULES if rule.version == version and rule.table in gone]
    return found


def restore_rules(
    owner: str, place: model.Place, versions: t.Container[int], world: World
) -> list[operations.Operation]:
    """The steps that add missing rules again; notes them in the world. Raises Conflict in a namespace of others."""
    ours = world.owns(place)
    missing = missing_rules(place, model.VERSIONS if ours else versions, world)
    if not missing:
        return []
    from .. import link_operations

    if not ours:
        commands = ["'%s'" % link_operations.default_rule_command(place, rule) for rule in missing]
        raise model.Conflict(
            "%s: in %s no rule leads to the routing table %s, so it reaches nothing; add what is missing with %s."
            % (owner, place, model.TABLES[missing[0].table], " and ".join(commands))
        )
    for rule in missing:
        world.put_default_rule(place, rule)
    return [link_operations.AddDefaultRule(place, rule) for rule in missing]


def _lost_subnets(
    place: model.Place, there: state.Link, wanted: t.Sequence[model.Interface], world: World
) -> dict[model.Route, model.Address | None]:
    """The missing routes, each with the source address of packets that leave by it."""
    routes = world.routes(place)
    known = {e.route.to for e in routes if world.keeps_subnet(place, e, there)}
    lost: dict[model.Route, model.Address | None] = {}
    for address in _staying(there, wanted):
        version, subnet = address.version, address.network
        if subnet not in known and subnet.num_addresses > 1:
            known.add(subnet)
            lost[model.Route(subnet, None, _SUBNET_METRIC[version])] = address.ip if version == 4 else None
    if any(route.to.version == 6 for route in lost) and not _has(there, model.LINK_LOCAL[6], routes):
        # whoever removed all IPv6 routes of a link has also removed the one for answers to neighbours
        lost[model.Route(model.LINK_LOCAL[6], None, _SUBNET_METRIC[6])] = None
    return lost


def _staying(there: state.Link, wanted: t.Sequence[model.Interface]) -> list[model.Interface]:
    """The addresses that no step takes away; see address_steps for those behind the first one of a subnet."""
    gone = {address.network: at for at, address in reversed(list(enumerate(there.addresses))) if address not in wanted}
    return [a for at, a in enumerate(there.addresses) if a in wanted and gone.get(a.network, at) >= at]


def _has(link: state.Link, subnet: model.Network, routes: t.Iterable[state.RouteEntry]) -> bool:
    return any(entry.link == link.name and entry.route.to == subnet for entry in routes)
