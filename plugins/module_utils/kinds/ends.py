# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a link in a network namespace: its MAC address, addresses, gateways and routes.

A veth pair has one, and every link that is created inside a namespace is one. How the link itself is made is up to its
kind; ``owner`` is what a message calls it, such as "veth v-web".
"""

from __future__ import annotations

import typing as t

from .. import arguments, marks, model, parsing
from ..kernel import state
from ..records import dataclass, replace
from ..world import World, in_the_way, is_of_others, metric_of, same_route, target_of, via_of
from . import common, source_routing

if t.TYPE_CHECKING:
    from .. import operations


ARGUMENTS: arguments.Arguments = {
    "name": {"type": "str"},
    "netns": {"type": "str"},
    "pid": {"type": "int"},
    "mac_address": {"type": "str"},
    "addresses": {"type": "list", "elements": "str"},
    "gateways": {"type": "list", "elements": "str"},
    "routes": {"type": "list", "elements": "dict", "options": arguments.ROUTE},
    "source_gateways": {"type": "list", "elements": "str"},
}


# ---- options to model


class Words(t.NamedTuple):
    """The words of messages for an end and its options."""

    owner: str  # the link, such as "veth v-web"
    prefix: str = ""  # of its options, such as "peer." if they are inside of the option peer

    def option(self, name: str) -> str:
        """An option as the user wrote it."""
        return self.prefix + name

    def wrong(self, text: str) -> model.InvalidRequest:
        """The error that says what is wrong with this end."""
        return model.InvalidRequest("%s: %s." % (self.owner, text))


def parse_end(options: arguments.Options, words: Words) -> model.End:
    """An end by its options, see ARGUMENTS; raises InvalidRequest."""
    option, netns, addresses = words.option, options.get("netns"), options.get("addresses")
    pid = parsing.pid(option("pid"), options.get("pid"))
    if netns is not None and pid is not None:
        raise words.wrong("set %s or %s, not both" % (option("netns"), option("pid")))
    given = None if addresses is None else parsing.interfaces(option("addresses"), addresses)
    return model.End(
        name=parsing.new_link_name(option("name"), options.get("name") or "eth0"),
        place=model.Place(None if netns is None else parsing.namespace_name(option("netns"), netns), pid),
        mac_address=parsing.mac_address(option("mac_address"), options.get("mac_address")),
        addresses=given,
        routes=parse_routes(options, given, words),
        source_gateways=_parse_source_gateways(options, given, words),
    )


def _parse_source_gateways(
    options: arguments.Options, addresses: t.Sequence[model.Interface] | None, words: Words
) -> tuple[model.Address, ...]:
    found = _gateways(options, words, "source_gateways")
    if found and addresses is None:
        raise words.wrong("%s needs %s as well" % (words.option("source_gateways"), words.option("addresses")))
    for via in found:
        _require_reachable(model.Route(model.ANYWHERE[via.version], via), addresses, words)
    return tuple(found)


def parse_routes(
    options: arguments.Options, addresses: t.Sequence[model.Interface] | None, words: Words
) -> tuple[model.Route, ...]:
    """The options ``gateways`` and ``routes`` of an end with these addresses; raises InvalidRequest."""
    routes = [model.Route(model.ANYWHERE[via.version], via) for via in _gateways(options, words)]
    routes += [_parse_route(item, words) for item in options.get("routes") or ()]
    wanted: set[tuple[model.Network, int | None]] = set()
    on_link = [route.to for route in routes if route.via is None]
    for route in routes:
        _require_version(route, addresses, words)
        _require_reachable(route, addresses, words, on_link)
        _refuse_subnet(route, addresses, words)
        key = (route.to, metric_of(route))
        if key in wanted:
            raise words.wrong("there are two routes to %s with the same metric" % route.to)
        wanted.add(key)
    return tuple(routes)


def _parse_route(item: arguments.Options, words: Words) -> model.Route:
    if not item.get("to"):
        raise words.wrong("a route needs the option to")
    via = None if item.get("via") is None else parsing.gateway(words.option("routes.via"), item["via"])
    if item["to"] == "default":
        to = model.ANYWHERE[4 if via is None else via.version]
    else:
        to = parsing.network(words.option("routes.to"), item["to"])
    if via is not None and via.version != to.version:
        raise words.wrong("the route to %s cannot go via %s; both have to be of the same family" % (to, via))
    metric = item.get("metric")
    if metric is not None and not 0 <= metric < 2**32:
        raise words.wrong("a route cannot have the metric %d; choose one from 0 to 4294967295" % metric)
    # for IPv6 the kernel takes 0 for none
    return model.Route(to, via, metric if metric or to.version == 4 else None)


def _gateways(options: arguments.Options, words: Words, name: str = "gateways") -> list[model.Address]:
    gateways = [parsing.gateway(words.option(name), value) for value in options.get(name) or ()]
    if len({gateway.version for gateway in gateways}) < len(gateways):
        raise words.wrong("%s takes one gateway for each address family" % words.option(name))
    return gateways


def _require_version(route: model.Route, addresses: t.Sequence[model.Interface] | None, words: Words) -> None:
    """Raise InvalidRequest for a route of IPv6 by a link on which that is off, see end_sysctls()."""
    if route.to.version == 6 and route.via is None and addresses is not None and not _speak_ipv6(addresses):
        option = words.option("addresses")
        raise words.wrong(
            "the route to %s needs an IPv6 address in %s, since IPv6 is off without one" % (target_of(route), option)
        )


def _speak_ipv6(addresses: t.Iterable[model.Interface]) -> bool:
    return any(address.version == 6 for address in addresses)


def _require_reachable(
    route: model.Route,
    addresses: t.Sequence[model.Interface] | None,
    words: Words,
    on_link: t.Sequence[model.Network] = (),
) -> None:
    """Raise InvalidRequest for a gateway that is no neighbour, which the kernel would refuse half-way.

    Neighbours are those in the link's subnets and at the other end of its routes without a gateway. A link-local
    address is always one, where there is IPv6.
    """
    if route.via is None or addresses is None:
        return
    near = [*(address.network for address in addresses), *on_link]
    if not (_is_link_local(route.via) and _speak_ipv6(addresses)) and not _lies_in(route.via, near):
        subnets = ", ".join(model.spelled(addresses)) or "none"
        option = words.option("addresses")
        raise words.wrong("the gateway %s lies in no subnet of %s (%s)" % (route.via, option, subnets))
    for address in addresses:
        if route.via in _no_gateways(address):
            raise words.wrong("%s cannot be the gateway of an end with the address %s" % (route.via, address))


def _no_gateways(address: model.Interface) -> t.Container[model.Address]:
    """The addresses in a subnet that no router there can have: one's own, and in IPv4 those of the subnet itself."""
    subnet = address.network
    if subnet.version == 6 or subnet.prefixlen > 30:
        return (address.ip,)
    return (address.ip, subnet.network_address, subnet.broadcast_address)


def _refuse_subnet(route: model.Route, addresses: t.Sequence[model.Interface] | None, words: Words) -> None:
    """Raise InvalidRequest for a route to one's own subnet, since the kernel adds that route with the address."""
    own = [model.LINK_LOCAL[6], *(address.network for address in addresses or ())]
    if metric_of(route) == state.SUBNET_METRIC[route.to.version] and route.to in own:
        raise words.wrong("the route to %s comes with the address there; leave it out" % route.to)


class EndChecks:
    """Finds what two ends of one request must not share."""

    def __init__(self) -> None:
        self._names: dict[tuple[model.Place, str], str] = {}
        self._addresses: dict[tuple[str, model.Address], str] = {}
        self._stations: dict[tuple[str, str], str] = {}
        self._routes: dict[tuple[model.Place, model.Network, int | None], str] = {}

    def add(self, end: model.End, owner: str, segment: str) -> None:
        """Add an end; the ends of one segment hear one another. Raises InvalidRequest."""
        key = (end.place, end.name)
        if key in self._names:
            raise model.InvalidRequest(
                "%s and %s would both have the interface %s in %s." % (self._names[key], owner, end.name, end.place)
            )
        self._names[key] = owner
        for address in end.addresses or ():
            known = (segment, address.ip)
            if known in self._addresses:
                other = self._addresses[known]
                raise model.InvalidRequest("Address %s is used twice: by %s and %s." % (address.ip, other, owner))
            self._addresses[known] = owner
        if end.mac_address is not None:
            other = self._stations.setdefault((segment, end.mac_address), owner)
            if other != owner:
                raise model.InvalidRequest(
                    "MAC address %s is used twice: by %s and %s." % (end.mac_address, other, owner)
                )
        for route in end.routes:
            self._add_route(route, end.place, owner)

    def _add_route(self, route: model.Route, place: model.Place, owner: str) -> None:
        key = (place, route.to, metric_of(route))
        if key in self._routes:
            raise model.InvalidRequest(
                "%s and %s both bring a route to %s into %s; leave one out, or give it another metric."
                % (self._routes[key], owner, target_of(route), place)
            )
        self._routes[key] = owner


def refuse_taken_addresses(owner: str, end: model.End, there: state.Link | None, bridge: str, world: World) -> None:
    """Raise Conflict if another station on the bridge has the MAC address or an address of an end.

    If two stations have the same address, the bridge and the neighbours reach sometimes one and sometimes the other.
    """
    kept = () if there is None else (there.mac_address, *map(_ip, there.addresses))
    wanted = [("MAC address", end.mac_address)] if end.mac_address is not None else []
    wanted += [("address", _ip(address)) for address in end.addresses or ()]
    for what, address in wanted:
        holder = "" if address in kept else world.station(bridge, address)
        if holder:
            raise model.Conflict(
                "%s, %s in %s: %s has the %s %s on bridge %s already; give one of them another."
                % (owner, end.name, end.place, holder, what, address, bridge)
            )


def refuse_unreachable(owner: str, end: model.End, there: state.Link | None, world: World) -> None:
    """Raise Conflict for a gateway that an end cannot reach by the addresses that it has or lacks."""
    if end.addresses is not None:
        return  # then its options were enough to see it
    off = there is not None and world.sysctl(end.place, "net/ipv6/conf/%s/disable_ipv6" % there.name) == "1"
    for route in [route for route in end.routes if off and route.to.version == 6]:
        raise model.Conflict(
            "%s: %s in %s takes no route of IPv6 (%s), which is off there (disable_ipv6); give it an IPv6 address."
            % (owner, end.name, end.place, target_of(route))
        )
    near = [route.to for route in end.routes if route.via is None]
    near += [] if there is None else [address.network for address in there.addresses]
    if there is not None:
        entries = world.routes(end.place)
        near += [e.route.to for e in entries if e.link == there.name and e.route.via is None]
    for via in [route.via for route in end.routes if route.via is not None]:
        if not _is_link_local(via) and not _lies_in(via, near):
            raise model.Conflict(
                "%s: %s in %s has no address in the subnet of its gateway %s; give it addresses."
                % (owner, end.name, end.place, via)
            )


def _ip(address: model.Interface) -> str:
    return str(address.ip)


def _is_link_local(address: model.Address) -> bool:
    return address.version == 6 and address.is_link_local


def _lies_in(address: model.Address, networks: t.Iterable[model.Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


# ---- in the words of the options


def wanted_end(end: model.End) -> dict[str, object]:
    """The description of an end as it is requested."""
    return common.compact(
        name=end.name,
        netns=end.place.netns,
        pid=end.place.pid,
        mac_address=end.mac_address,
        addresses=None if end.addresses is None else model.spelled(end.addresses),
        routes=_spelled_routes(end.routes),
        source_gateways=sorted(map(str, end.source_gateways)) or None,
    )


def stored_end(end: model.End) -> dict[str, object]:
    """The options from which parse_end() makes the same end, without the process, as its pid changes with a boot."""
    options = common.options_of(
        name=end.name,
        netns=end.place.netns,
        mac_address=end.mac_address,
        routes=[common.compact(to=str(r.to), via=r.via and str(r.via), metric=r.metric) for r in end.routes],
        source_gateways=list(map(str, end.source_gateways)),
    )
    if end.addresses is not None:
        options["addresses"] = list(map(str, end.addresses))
    return options


def observed_end(end: model.End, there: state.Link, world: World) -> dict[str, object]:
    """The description of the same end as it is, without values that are not requested."""
    routes = [e.route for e in world.routes(end.place) if e.link == end.name and e.protocol == marks.ROUTE_PROTOCOL]
    return common.compact(
        name=there.name,
        netns=end.place.netns,
        pid=end.place.pid,
        mac_address=there.mac_address if end.mac_address else None,
        addresses=None if end.addresses is None else model.spelled(there.addresses),
        routes=_spelled_routes(routes),
        source_gateways=sorted(map(str, source_routing.gateways(end.place, there, world))) or None,
    )


def end_as_it_is(place: model.Place, there: state.Link, world: World) -> model.End:
    """The request that would make an end as it is."""
    entries = [e for e in world.routes(place) if e.link == there.name and e.protocol == marks.ROUTE_PROTOCOL]
    routes = tuple(_without_metric(entry.route) for entry in entries)
    return model.End(
        there.name,
        place,
        there.mac_address,
        there.addresses,
        routes,
        source_routing.gateways(place, there, world),
    )


# ---- what to do


@dataclass(frozen=True)
class RouteChange:
    """The routes of an end to remove, and those to add."""

    stale: list[state.RouteEntry]
    barriers: list[state.RouteEntry]  # to remove: those of others that are in the way
    missing: list[model.Route]
    subnets: list[operations.Operation]  # the steps that add those to its own subnets


def change_routes(owner: str, end: model.End, there: state.Link | None, world: World) -> RouteChange:
    """From the routes that are there to the wanted ones; ``there`` is None for an end that is still to be made.

    Tells the world. A route of others that is in the way is removed if the namespace is ours; otherwise it raises
    Conflict.
    """
    entries = [] if there is None else world.routes(end.place)
    own = [entry for entry in entries if entry.link == end.name and not entry.hops and not entry.is_narrow]
    moved = [a.version for a in _moved(end, there)]
    ours = [entry for entry in own if entry.protocol == marks.ROUTE_PROTOCOL]
    stale = [entry for entry in ours if _is_stale(entry, end.routes) or entry.route.to.version in moved]
    kept = [entry for entry in own if entry not in stale]
    missing = [route for route in end.routes if not any(same_route(entry.route, route) for entry in kept)]
    for entry in stale:
        world.drop_route(end.place, entry)
    subnets = [] if there is None else common.restore_subnets(owner, end.place, there, end.addresses, world)
    others = _clear_the_way(owner, end, there, missing, world) + _uncover(owner, end, there, world)
    barriers = _break_down(owner, end, there, missing, world)
    for route in missing:
        world.put_route(end.place, end.name, route, marks.ROUTE_PROTOCOL)
    world.settle_routes(end.place, end.name)
    return RouteChange(stale, others + barriers, missing, subnets)


def restore_rules(owner: str, end: model.End, there: state.Link | None, world: World) -> list[operations.Operation]:
    """The steps that come first, as the kernel refuses a route by a gateway where no rule leads to the table main."""
    return common.restore_rules(owner, end.place, {address.version for address in _addresses(end, there)}, world)


def _addresses(end: model.End, there: state.Link | None) -> t.Sequence[model.Interface]:
    return end.addresses if end.addresses is not None else there.addresses if there is not None else ()


def _clear_the_way(
    owner: str, end: model.End, there: state.Link | None, missing: t.Sequence[model.Route], world: World
) -> list[state.RouteEntry]:
    """The routes of others to remove for the wanted ones."""
    if all(in_the_way(entry, end.name, end.routes) is None for entry in world.routes(end.place)):
        return []
    from .ways import clear

    return clear(owner, end.place, end.name, end.routes, missing, _addresses(end, there), world)


def _uncover(owner: str, end: model.End, there: state.Link | None, world: World) -> list[state.RouteEntry]:
    """The routes of others to remove, because packets for the subnets of an end would take them."""
    addresses = _addresses(end, there)
    if not addresses or not any(map(is_of_others, world.routes(end.place))):
        return []
    from .ways import uncover

    return uncover(owner, end.place, end.name, addresses, world)


def _break_down(
    owner: str, end: model.End, there: state.Link | None, missing: t.Sequence[model.Route], world: World
) -> list[state.RouteEntry]:
    """The routes to remove that lead nowhere, where packets of an end should go."""
    if not world.barriers(end.place):
        return []
    from .ways import break_down

    return break_down(owner, end, _addresses(end, there), missing, world)


def _moved(end: model.End, there: state.Link | None) -> list[model.Interface]:
    """The addresses to remove: with the last one of a family, the kernel removes its routes."""
    return [] if there is None or end.addresses is None else [a for a in there.addresses if a not in end.addresses]


def change_sources(end: model.End, there: state.Link | None, world: World) -> source_routing.SourceChange:
    """From the rules and tables for its own addresses to the wanted ones."""
    return source_routing.change(end, there, {address.version for address in _moved(end, there)}, world)


def remove_routes(end: model.End, change: RouteChange) -> list[operations.Operation]:
    """The steps that come before any other change of an end."""
    if not change.stale and not change.barriers:
        return []
    from .. import link_operations

    steps: list[operations.Operation] = [
        link_operations.RemoveRoute(end.place, entry.link, entry.route, entry.protocol) for entry in change.stale
    ]
    return steps + [link_operations.RemoveBarrier(end.place, barrier) for barrier in change.barriers]


def add_routes(end: model.End, routes: t.Sequence[model.Route], replaces: bool = False) -> list[operations.Operation]:
    """The steps that come last, since a route needs a link that is up and a gateway in its subnets.

    In a namespace of ours, a new route also replaces a blackhole or the like, which is not among the routes we read.
    Those without a gateway come first, as they may lead to the gateways of others.
    """
    if not routes:
        return []
    from .. import link_operations

    ordered = sorted(routes, key=lambda route: route.via is not None)
    return [link_operations.AddRoute(end.place, end.name, route, replaces=replaces) for route in ordered]


def end_addresses(end: model.End, there: state.Link | None) -> list[operations.Operation]:
    """The steps for the addresses."""
    return common.address_steps(end.place, end.name, () if there is None else there.addresses, end.addresses)


def raise_end(end: model.End, there: state.Link | None, mtu: int | None) -> list[operations.Operation]:
    """The step for the values of the link itself. A link that is still to be made only has to come up."""
    wanted: dict[str, state.LinkValue] = {"up": True}
    if there is not None:
        wanted["arp"] = True
    if there is not None and mtu is not None:
        wanted["mtu"] = mtu
    if there is not None and end.mac_address is not None:
        wanted["address"] = end.mac_address
    return common.link_steps(end.place, end.name, {} if there is None else common.link_values(there), wanted)


def end_sysctls(end: model.End, ipv6: bool) -> list[tuple[str, str]]:
    """The sysctls of IPv6 for an end: off where all addresses are IPv4, and no routes by router advertisements."""
    if end.addresses is None or not ipv6:
        return []
    conf = "net/ipv6/conf/%s/" % end.name
    # IPv6 must not be a way around the rules of an IPv4-only network (CVE-2024-32473)
    off = all(address.version == 4 for address in end.addresses)
    return [(conf + "disable_ipv6", "1" if off else "0"), (conf + "accept_ra", "0")]


def foreseen_inside(end: model.End, there: state.Link | None, world: World) -> list[operations.Operation]:
    """The steps for sysctls that cut an end off, whether it inherited them or somebody set them later."""
    addresses = end.addresses if end.addresses is not None else there.addresses if there is not None else ()
    return common.sysctl_steps(
        end.place, common.foreseen(end.name, addresses, world, end.place, there is not None), world
    )


def end_link(end: model.End, there: state.Link | None, mtu: int | None) -> state.Link:
    """The link as it will be."""
    link = state.Link(end.name, 0) if there is None else there
    addresses = link.addresses if end.addresses is None else end.addresses
    mac_address = end.mac_address or link.mac_address
    return replace(link, up=True, arp=True, mtu=mtu or link.mtu, mac_address=mac_address, addresses=addresses)


# ---- routes


def _without_metric(route: model.Route) -> model.Route:
    """A route as a person would ask for it."""
    return replace(route, metric=None) if route.metric == state.KERNEL_METRIC[route.to.version] else route


def _is_stale(entry: state.RouteEntry, wanted: t.Sequence[model.Route]) -> bool:
    return not any(same_route(entry.route, route) for route in wanted)


def _route_order(route: model.Route) -> tuple[int, str, int]:
    return (route.to.version, str(route.to), metric_of(route))


def _spelled_routes(routes: t.Iterable[model.Route]) -> list[str] | None:
    return [_spell_route(route) for route in sorted(routes, key=_route_order)] or None


def _spell_route(route: model.Route) -> str:
    metric = metric_of(route)
    usual = metric == state.KERNEL_METRIC[route.to.version]
    return target_of(route) + via_of(route) + ("" if usual else " metric %d" % metric)
