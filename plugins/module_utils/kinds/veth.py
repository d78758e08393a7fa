# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Veth pairs from the host into a namespace, with a bridge at the host's end or without."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, replace

from .. import parsing as read
from ..arguments import BACKEND, NETWORK, Arguments
from ..engine import Description, StepKind
from ..kernel.state import Announcement, Link, RouteEntry
from ..model import (
    HOST,
    LINK_GROUP,
    ROUTE_PROTOCOL,
    Address,
    Conflict,
    Interface,
    InvalidRequest,
    Network,
    Peer,
    Place,
    Route,
    Veth,
    alias,
    network_of,
)
from ..operations import AddRoute, AddVeth, Announce, DeleteLinks, Operation, RemoveRoute, SetLink, SetPort
from ..world import Claims, World, described, is_ours
from .common import address_steps, compact, has_ipv6, link_steps, link_values, spelled, sysctl_steps

_DEFAULT: dict[int, Network] = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}
# The metric that the kernel gives a route when none is asked for (IP6_RT_PRIO_USER for IPv6).
_KERNEL_METRIC = {4: 0, 6: 1024}

_ROUTE: Arguments = {
    "to": {"type": "str", "required": True},
    "via": {"type": "str"},
    "metric": {"type": "int"},
}
_PEER: Arguments = {
    "name": {"type": "str"},
    "netns": {"type": "str"},
    "pid": {"type": "int"},
    "mac_address": {"type": "str"},
    "addresses": {"type": "list", "elements": "str"},
    "gateways": {"type": "list", "elements": "str"},
    "routes": {"type": "list", "elements": "dict", "options": _ROUTE},
}


@dataclass(frozen=True)
class _Ends:
    """The two ends of a veth pair as they are; None: not there, or not what was asked for."""

    host: Link | None
    peer: Link | None


class VethKind(StepKind[Veth]):
    """A veth pair whose peer is born in its namespace."""

    name = "veth"
    ARGUMENTS: t.ClassVar[Arguments] = {
        "name": {"type": "str", "required": True},
        "bridge": {"type": "str"},
        "isolated": {"type": "bool", "default": False},
        "mtu": {"type": "int"},
        "addresses": {"type": "list", "elements": "str", "default": []},
        "peer": {"type": "dict", "options": _PEER},
        **NETWORK,
        **BACKEND,
    }

    # ---- options to model

    def parse(self, options: t.Mapping[str, t.Any]) -> Veth:
        name = read.link_name("name", options["name"])
        peer = options.get("peer") or {}
        bridge = options.get("bridge")
        return Veth(
            name=name,
            peer=self._parse_peer(peer, name),
            bridge=None if bridge is None else read.link_name("bridge", bridge),
            isolated=bool(options.get("isolated")),
            mtu=read.mtu("mtu", options.get("mtu")),
            addresses=read.interfaces("addresses", options.get("addresses") or ()),
            network=read.label("network", options.get("network")),
        )

    def _parse_peer(self, peer: t.Mapping[str, t.Any], name: str) -> Peer:
        netns, pid = peer.get("netns"), read.pid("peer.pid", peer.get("pid"))
        if netns is not None and pid is not None:
            raise InvalidRequest("veth %s: the peer lives in a namespace by name or by pid, not both." % name)
        addresses = peer.get("addresses")
        given = None if addresses is None else read.interfaces("peer.addresses", addresses)
        return Peer(
            name=read.link_name("peer.name", peer.get("name") or "eth0"),
            place=Place(None if netns is None else read.namespace_name("peer.netns", netns), pid),
            mac_address=read.mac_address("peer.mac_address", peer.get("mac_address")),
            addresses=given,
            routes=self._parse_routes(peer, given, name),
        )

    def _parse_routes(
        self, peer: t.Mapping[str, t.Any], addresses: t.Sequence[Interface] | None, name: str
    ) -> tuple[Route, ...]:
        routes = [Route(_DEFAULT[via.version], via) for via in self._gateways(peer, name)]
        for item in peer.get("routes") or ():
            if not item.get("to"):
                raise InvalidRequest("veth %s: a route needs the option to." % name)
            to = read.network("peer.routes.to", _DEFAULT[4].compressed if item["to"] == "default" else item["to"])
            via = None if item.get("via") is None else read.address("peer.routes.via", item["via"])
            if via is not None and item["to"] == "default":
                to = _DEFAULT[via.version]
            if via is not None and via.version != to.version:
                raise InvalidRequest("veth %s: the route to %s cannot go via %s." % (name, to, via))
            metric = item.get("metric")
            if metric is not None and not 0 <= metric < 2**32:
                raise InvalidRequest("veth %s: %d is no metric of a route." % (name, metric))
            routes.append(Route(to, via, metric))
        for route in routes:
            _require_reachable(route, addresses, name)
        wanted = [(route.to, _metric(route)) for route in routes]
        for to, metric in wanted:
            if wanted.count((to, metric)) > 1:
                raise InvalidRequest("veth %s: there are two routes to %s with the same metric." % (name, to))
        return tuple(routes)

    @staticmethod
    def _gateways(peer: t.Mapping[str, t.Any], name: str) -> list[Address]:
        gateways = [read.address("peer.gateways", value) for value in peer.get("gateways") or ()]
        if len({gateway.version for gateway in gateways}) < len(gateways):
            raise InvalidRequest("veth %s: peer.gateways takes one gateway for each address family." % name)
        return gateways

    def check(self, items: t.Sequence[Veth]) -> None:
        names: set[str] = set()
        peers: dict[tuple[Place, str], str] = {}
        addresses: dict[tuple[str | None, Address], str] = {}
        routes: dict[tuple[Place, Network, int], str] = {}
        for item in items:
            if item.name in names:
                raise InvalidRequest("veth %s is asked for twice." % item.name)
            names.add(item.name)
            end = (item.peer.place, item.peer.name)
            if end in peers:
                raise InvalidRequest(
                    "veth %s and %s would both have %s in %s as their peer." % (peers[end], item.name, end[1], end[0])
                )
            peers[end] = item.name
            for address in item.peer.addresses or ():
                key = (item.bridge or item.name, address.ip)
                if key in addresses:
                    raise InvalidRequest(
                        "Address %s is used twice: by veth %s and %s." % (address.ip, addresses[key], item.name)
                    )
                addresses[key] = item.name
            for route in item.peer.routes:
                way = (item.peer.place, route.to, _metric(route))
                if way in routes:
                    raise InvalidRequest(
                        "veth %s and %s both bring a route to %s into %s; leave one out, or give it another metric."
                        % (routes[way], item.name, _target(route), item.peer.place)
                    )
                routes[way] = item.name

    def title(self, item: Veth) -> str:
        return "veth %s" % item.name

    # ---- what is there

    def resolve(self, item: Veth, state: str, world: World) -> Veth:
        if state == "absent":
            return item
        if item.peer.place == HOST:
            raise InvalidRequest("veth %s: say where its peer lives: peer.netns or peer.pid." % item.name)
        if item.bridge is None:
            if item.isolated:
                raise InvalidRequest("veth %s: only a port of a bridge can be isolated." % item.name)
            return item
        if item.addresses:
            raise InvalidRequest("veth %s: a port of a bridge has no addresses; give them to the bridge." % item.name)
        bridge = world.bridge(item.bridge)
        if item.mtu is not None:
            return item
        return replace(item, mtu=bridge.mtu if bridge is not None else world.host.default_mtu())

    def _ends(self, item: Veth, world: World) -> _Ends:
        host = world.links().get(item.name)
        if host is None or not is_ours(host) or host.kind != "veth":
            return _Ends(None, None)
        peer = world.links(item.peer.place).get(item.peer.name)
        if peer is None or peer.kind != "veth" or not peer.meets(host):
            return _Ends(host, None)
        return _Ends(host, peer)

    def observed(self, item: Veth, world: World) -> Description:
        ends = self._ends(item, world)
        link = world.links().get(item.name)
        if link is None:
            return None
        if ends.host is None or ends.peer is None:
            return compact(name=link.name, kind=link.kind or "other", bridge=link.master or None)
        place = item.peer.place
        routes = [entry for entry in self._routes(item, world) if entry.protocol == ROUTE_PROTOCOL]
        return compact(
            name=link.name,
            bridge=link.master or None,
            isolated=link.isolated if link.master else None,
            mtu=link.mtu if item.mtu is not None else None,
            addresses=spelled(link.addresses) or None,
            up=link.up and ends.peer.up,
            network=network_of(link.alias) or None,
            peer=compact(
                name=ends.peer.name,
                netns=place.netns,
                pid=place.pid,
                mac_address=ends.peer.mac_address if item.peer.mac_address else None,
                addresses=None if item.peer.addresses is None else spelled(ends.peer.addresses),
                routes=[_spell_route(entry.route) for entry in routes] or None,
            ),
        )

    def wanted(self, item: Veth, observed: Description, world: World) -> Description:
        peer = item.peer
        return compact(
            name=item.name,
            bridge=item.bridge,
            isolated=item.isolated if item.bridge else None,
            mtu=item.mtu,
            addresses=spelled(item.addresses) or None,
            up=True,
            network=item.network or None,
            peer=compact(
                name=peer.name,
                netns=peer.place.netns,
                pid=peer.place.pid,
                mac_address=peer.mac_address,
                addresses=None if peer.addresses is None else spelled(peer.addresses),
                routes=[_spell_route(route) for route in sorted(peer.routes, key=_route_order)] or None,
            ),
        )

    @staticmethod
    def _all_routes(item: Veth, world: World) -> list[RouteEntry]:
        return sorted(world.routes(item.peer.place), key=lambda entry: _route_order(entry.route))

    def _routes(self, item: Veth, world: World) -> list[RouteEntry]:
        return [entry for entry in self._all_routes(item, world) if entry.link == item.peer.name]

    # ---- what to do

    def claim(self, item: Veth, state: str, claims: Claims) -> None:
        claims.addresses.add(item.name)
        if state == "present":
            claims.veths[item.name] = (item.peer.place, item.peer.name)
            claims.routes.add((item.peer.place, item.peer.name))

    def plan(self, item: Veth, state: str, world: World) -> list[Operation]:
        if state == "absent":
            return self._plan_absent(item, world)
        world.require(item.peer.place)
        ends = self._ends(item, world)
        there = world.links().get(item.name)
        if there is not None and ends.host is None:
            raise Conflict(
                "Interface %s is there already, and is %s that this collection did not make; choose another name."
                % (item.name, described(there))
            )
        if ends.peer is not None:
            return self._plan_change(item, ends.host, ends.peer, world)
        return self._plan_new(item, ends.host, world)

    def _plan_new(self, item: Veth, remains: Link | None, world: World) -> list[Operation]:
        place, peer = item.peer.place, item.peer.name
        other = world.links(place).get(peer)
        steps: list[Operation] = []
        if other is not None and (remains is None or not other.meets(remains)):
            leaving = self._leaving(other, world)
            if leaving is None:
                raise Conflict("Interface %s in %s is there already, and is %s." % (peer, place, described(other)))
            steps.append(DeleteLinks((leaving.name,), remake(leaving, world)))
            world.drop_link(leaving.name)
        if remains is not None:
            steps.append(DeleteLinks((item.name,)))
            world.drop_link(item.name)
        if item.bridge is not None:
            world.take_port(item.bridge)
        for address in item.addresses:
            world.refuse_overlap(item.name, address)
        rest = (entry for entry in self._all_routes(item, world) if remains is None or entry.link != peer)
        _refuse_taken(
            item, item.peer.routes, [entry for entry in rest if (place, entry.link) not in world.claims.routes]
        )
        steps += self.make(item, world)
        self._promise(item, world)
        _announce(item, item.peer.addresses or (), world)
        return steps

    @staticmethod
    def _leaving(end: Link, world: World) -> Link | None:
        """The veth pair of this end, if the same run wants its end to be elsewhere."""
        for link in world.links().values():
            if is_ours(link) and link.meets(end) and link.name in world.claims.veths:
                place, name = world.claims.veths[link.name]
                world.require(place)
                there = world.links(place).get(name)
                return None if there is not None and there.meets(link) else link
        return None

    def make(self, item: Veth, world: World) -> list[Operation]:
        """The steps that make a veth pair where there is none."""
        place, peer = item.peer.place, item.peer.name
        steps: list[Operation] = [AddVeth(item.name, peer, place, item.mtu, item.peer.mac_address, item.bridge)]
        # the kernel takes no alias with the request that makes a link, and a killed run must not lose it
        steps.append(SetLink(HOST, item.name, (("alias", alias(item.network)),)))
        steps += self._prepare(item, Link(item.name, 0), Link(peer, 0), world, new=True)
        return steps + [AddRoute(place, peer, route) for route in item.peer.routes]

    def _plan_change(self, item: Veth, host: Link | None, peer: Link, world: World) -> list[Operation]:
        if host is None:
            return []
        if item.bridge is not None and host.master != item.bridge:
            world.take_port(item.bridge)
        place = item.peer.place
        moved = [a.version for a in peer.addresses if item.peer.addresses is not None and a not in item.peer.addresses]
        there = [entry for entry in self._routes(item, world) if entry.protocol == ROUTE_PROTOCOL]
        stale = [entry for entry in there if _is_stale(entry, item.peer.routes) or entry.route.to.version in moved]
        kept = [entry for entry in self._routes(item, world) if entry not in stale]
        missing = [route for route in item.peer.routes if not any(_same_route(entry.route, route) for entry in kept)]
        rest = [entry for entry in self._all_routes(item, world) if entry not in stale]
        own = [entry for entry in rest if entry.link == peer.name or (place, entry.link) not in world.claims.routes]
        _refuse_taken(item, missing, own)
        steps: list[Operation] = [RemoveRoute(place, peer.name, entry.route) for entry in stale]
        steps += self._prepare(item, host, peer, world, new=False)
        steps += [AddRoute(place, peer.name, route) for route in missing]
        if steps:
            self._promise(item, world)
        moved_away = item.peer.mac_address not in (None, peer.mac_address)
        _announce(item, [a for a in item.peer.addresses or () if moved_away or a not in peer.addresses], world)
        return steps

    def _prepare(self, item: Veth, host: Link, peer: Link, world: World, new: bool) -> list[Operation]:
        """Everything but the routes: those need a link that is up."""
        place = item.peer.place
        steps = sysctl_steps(HOST, self._host_sysctls(item, world), world, new)
        steps += sysctl_steps(place, self._peer_sysctls(item, world), world, new)
        steps += address_steps(HOST, item.name, host.addresses, item.addresses)
        steps += address_steps(place, peer.name, peer.addresses, item.peer.addresses)
        values: dict[str, t.Any] = {"up": True}
        if not new:
            values["alias"] = alias(item.network)
            # a port has flags only while it is one
            steps += link_steps(HOST, item.name, link_values(host), {"master": item.bridge})
            values["group"] = LINK_GROUP
        steps += self._port_steps(item, host)
        if item.mtu is not None and not new:
            values["mtu"] = item.mtu
        steps += link_steps(HOST, item.name, {} if new else link_values(host), values)
        values = {key: value for key, value in values.items() if key in ("up", "mtu")}
        if item.peer.mac_address is not None and not new:
            values["address"] = item.peer.mac_address
        return steps + link_steps(place, peer.name, {} if new else link_values(peer), values)

    @staticmethod
    def _port_steps(item: Veth, host: Link) -> list[Operation]:
        if item.bridge is None:
            return []
        # With bridge-nf-call-iptables on, an endpoint's way to its own published port goes in and out by one port.
        wanted = {"isolated": item.isolated, "hairpin": True}
        # A port that comes to a bridge begins with neither flag.
        there = {"isolated": host.isolated, "hairpin": host.hairpin} if host.master == item.bridge else {}
        changes = tuple((key, value) for key, value in wanted.items() if there.get(key, False) != value)
        return [SetPort(item.name, changes)] if changes else []

    @staticmethod
    def _host_sysctls(item: Veth, world: World) -> list[tuple[str, str]]:
        if not has_ipv6(world):
            return []
        conf = "net/ipv6/conf/%s/" % item.name
        if item.bridge is not None:
            return [(conf + "disable_ipv6", "1")]  # a port has no IP of its own
        return [(conf + "disable_ipv6", "0"), (conf + "accept_ra", "0")]  # the peer could send router advertisements

    @staticmethod
    def _peer_sysctls(item: Veth, world: World) -> list[tuple[str, str]]:
        if item.peer.addresses is None or not has_ipv6(world):
            return []
        conf = "net/ipv6/conf/%s/" % item.peer.name
        if all(address.version == 4 for address in item.peer.addresses):
            # an IPv4-only network has no way round its rules (CVE-2024-32473)
            return [(conf + "disable_ipv6", "1"), (conf + "accept_ra", "0")]
        return [(conf + "disable_ipv6", "0"), (conf + "accept_ra", "0")]

    @staticmethod
    def _promise(item: Veth, world: World) -> None:
        host = Link(item.name, 0, "veth", mtu=item.mtu or 1500, up=True, group=LINK_GROUP, master=item.bridge or "")
        world.put_link(replace(host, isolated=item.isolated, addresses=item.addresses))
        world.put_link(Link(item.peer.name, 0, "veth", up=True, addresses=item.peer.addresses or ()), item.peer.place)

    def _plan_absent(self, item: Veth, world: World) -> list[Operation]:
        link = world.links().get(item.name)
        if link is None:
            return []
        if not is_ours(link) or link.kind != "veth":
            world.warn("Interface %s was not made by this collection, and stays." % item.name)
            return []
        again = remake(link, world)
        world.drop_link(item.name)
        return [DeleteLinks((item.name,), again)]


def _announce(item: Veth, addresses: t.Sequence[Interface], world: World) -> None:
    """Have the neighbours told, if there are any that may remember another station.

    On a bridge that had no port before there are none: the host forgets its own as the bridge loses its carrier.
    """
    if addresses and item.bridge in world.peopled_bridges():
        news = Announcement(item.peer.place, item.peer.name, tuple(addresses), item.name)
        world.afterwards.append(Announce((news,)))


def remake(link: Link, world: World) -> tuple[Operation, ...]:
    """The steps that make a veth pair anew as it is; none when nobody knows where its other end is."""
    found = world.peer_of(link)
    if found is None:
        return ()
    place, peer = found
    entries = world.host.stack(place).routes()
    routes = [_plain(e.route) for e in entries if e.link == peer.name and e.protocol == ROUTE_PROTOCOL]
    item = Veth(
        name=link.name,
        peer=Peer(peer.name, place, peer.mac_address, peer.addresses, tuple(routes)),
        bridge=link.master or None,
        isolated=link.isolated,
        mtu=link.mtu,
        addresses=link.addresses,
        network=network_of(link.alias),
    )
    return tuple(VethKind().make(item, world))


def _plain(route: Route) -> Route:
    """A route as a person would ask for it."""
    return replace(route, metric=None) if route.metric == _KERNEL_METRIC[route.to.version] else route


def _metric(route: Route) -> int:
    return _KERNEL_METRIC[route.to.version] if route.metric is None else route.metric


def _same_route(one: Route, other: Route) -> bool:
    return (one.to, one.via, _metric(one)) == (other.to, other.via, _metric(other))


def _is_stale(entry: RouteEntry, wanted: t.Sequence[Route]) -> bool:
    return not any(_same_route(entry.route, route) for route in wanted)


def _route_order(route: Route) -> tuple[int, str, int]:
    return (route.to.version, str(route.to), _metric(route))


def _target(route: Route) -> str:
    return str(route.to) if route.to.prefixlen else "default"


def _via(route: Route) -> str:
    return "" if route.via is None else " via %s" % route.via


def _spell_route(route: Route) -> str:
    metric = " metric %d" % _metric(route) if _metric(route) != _KERNEL_METRIC[route.to.version] else ""
    return _target(route) + _via(route) + metric


def _require_reachable(route: Route, addresses: t.Sequence[Interface] | None, name: str) -> None:
    """A gateway must lie in a subnet of the link, or the kernel refuses the route when half is done."""
    if route.via is None or addresses is None:
        return
    if not any(route.via.version == address.version and route.via in address.network for address in addresses):
        raise InvalidRequest(
            "veth %s: the gateway %s lies in no subnet of the peer (%s)."
            % (name, route.via, ", ".join(spelled(addresses)) or "none")
        )


def _refuse_taken(item: Veth, missing: t.Sequence[Route], entries: t.Sequence[RouteEntry]) -> None:
    """Raise Conflict when a route of others is in the way: the kernel takes one for each target and metric."""
    for route in missing:
        for entry in entries:
            if (entry.route.to, entry.route.metric) == (route.to, _metric(route)):
                raise Conflict(
                    "veth %s: there is a route to %s in %s already, by interface %s%s; give this one another metric, or"
                    " leave it out." % (item.name, _target(route), item.peer.place, entry.link, _via(entry.route))
                )
