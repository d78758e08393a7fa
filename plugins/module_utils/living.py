# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on in the endpoints of a report: processes, listeners behind published ports, and the present routes.

It also counts packets that were dropped on the way there. Only network_info uses it, not a run that makes networks.
"""

from __future__ import annotations

import contextlib
import typing as t

from . import marks, model
from . import report as reports
from .composition.sections import Noted, noted
from .kernel import decode, state
from .kernel.errors import KernelError
from .records import replace
from .report import EndpointReport, HostReport, NetworkReport
from .world import World, is_ours, target_of, via_of

_SILENT = "its DNS server does not answer; run the playbook, or systemctl restart %s" % marks.NAMES_UNIT
_BY_ROUTERS = 9  # RTPROT_RA: what IPv6 routers advertise
_EXPECTED = (marks.ROUTE_PROTOCOL, state.BY_THE_KERNEL, _BY_ROUTERS)  # whose routes are not those of others
_Heard = t.Mapping[model.Place, t.Mapping[str, t.Sequence[model.Listener]]]


def look_inside(world: World, report: HostReport, dropped: t.Iterable[model.Drop] = ()) -> HostReport:
    """The report with what lives in its endpoints, the namespaces that have lost their names, and what was dropped."""
    report = replace(report, services=tuple(_services(world, report)))
    names = noted(report)
    ways = _Ways(world, report, names)
    heard = _listeners(world, report)

    def look(network: NetworkReport) -> NetworkReport:
        found = (_endpoint(item, network, network.ports, world, ways, heard) for item in network.endpoints)
        return replace(
            network, endpoints=tuple(_placed(_named(item, network, names), network, names) for item in found)
        )

    networks = tuple(map(look, report.networks))
    unplugged = tuple(_endpoint(item, None, report.ports, world, ways, heard) for item in report.unplugged)
    found = replace(report, networks=networks, unplugged=unplugged, lost=tuple(_lost(world, report)))
    found = _with_lost_interfaces(found, names)
    found = _with_services(found) if found.services else found
    found = _with_servers(found, world) if found.views else found
    return _with_drops(found, dropped)


def _with_drops(report: HostReport, drops: t.Iterable[model.Drop]) -> HostReport:
    """The report with the packets of each reason added up, as each subnet may have a rule of its own."""
    sums: dict[tuple[str, str], int] = {}
    for drop in drops:
        sums[drop.bridge, drop.reason] = sums.get((drop.bridge, drop.reason), 0) + drop.packets
    by_bridge: dict[str, list[model.Drop]] = {}
    for (bridge, reason), packets in sorted(sums.items()):
        if packets:
            by_bridge.setdefault(bridge, []).append(model.Drop(bridge, reason, packets))
    networks = [replace(network, drops=tuple(by_bridge.pop(network.bridge, ()))) for network in report.networks]
    return replace(report, networks=tuple(networks), drops=tuple(by_bridge.get("", ())))


# ---- services


def _services(world: World, report: HostReport) -> t.Iterator[reports.ServiceReport]:
    """The services with their state in systemd, which is asked for all of them at once."""
    if not world.systemd():
        yield from report.services
        return
    world.claims.units.update(item.unit for item in report.services)
    for item in report.services:
        unit = world.units.planned(item.unit)
        inside = not unit.pid or world.is_same(model.Place(pid=unit.pid), model.Place(netns=item.netns))
        yield replace(item, active=unit.active, stale=not inside)


def _with_services(report: HostReport) -> HostReport:
    """The report with the units of each endpoint, and with troubles for those that run elsewhere."""
    units: dict[str, list[reports.ServiceReport]] = {}
    for item in report.services:
        units.setdefault(item.netns, []).append(item)

    def with_units(endpoint: EndpointReport) -> EndpointReport:
        there = units.get(endpoint.netns or "", ())
        troubles = (*endpoint.troubles, *filter(None, map(_trouble, there)))
        return replace(endpoint, services=tuple(item.unit for item in there), troubles=troubles)

    return report.with_endpoints(with_units)


def _with_servers(report: HostReport, world: World) -> HostReport:
    """The report with the DNS servers of endpoints, and with troubles for those that do not answer."""
    from .kinds.name_views import with_sockets

    runs = world.systemd() and world.units.planned(marks.NAMES_UNIT).active == "active"
    sockets = with_sockets(world.file(marks.NAMES_SERVED)) if runs else {}
    wanted = {view.netns for view in report.views}

    def with_server(endpoint: EndpointReport) -> EndpointReport:
        netns = endpoint.netns
        if netns is None or netns not in wanted:
            return endpoint
        answers = sockets.get(netns, -1) == world.inode(model.Place(netns=netns))
        troubles = endpoint.troubles if answers else (*endpoint.troubles, _SILENT)
        return replace(endpoint, dns=True, troubles=troubles)

    return report.with_endpoints(with_server)


def _trouble(item: reports.ServiceReport) -> str:
    """The trouble with a unit, as a clause; empty if there is none."""
    if item.stale:
        text = "%s runs in a namespace that is not %s any more; run the playbook, or systemctl restart %s"
        return text % (item.unit, item.netns, item.unit)
    return "%s has failed; see journalctl -u %s" % (item.unit, item.unit) if item.active == "failed" else ""


def _endpoint(
    endpoint: EndpointReport,
    network: NetworkReport | None,
    ports: t.Sequence[model.PublishedPort],
    world: World,
    ways: _Ways,
    heard: _Heard,
) -> EndpointReport:
    if endpoint.place is None:
        return endpoint
    # a process may end while we look at its namespace
    with contextlib.suppress(KernelError):
        lost = _lost_name(endpoint.place, world)
        return replace(
            endpoint,
            default_routes=world.default_routes(endpoint.place, endpoint.interface or ""),
            lost_name="" if world.has_namespace(lost) else lost,
            processes=tuple(world.processes_in(endpoint.place)),
            troubles=(*_nameless(lost, world), *ways.troubles(endpoint, network)),
            ports=tuple(_use(port, heard.get(endpoint.place, {})) for port in _ports_of(endpoint, ports)),
        )
    return endpoint


def _named(endpoint: EndpointReport, network: NetworkReport, names: Noted) -> EndpointReport:
    """An endpoint with its names, from the hosts file in its namespace, which has the names of its whole network."""
    found = (names.names(endpoint.netns or "", network.network, address.ip) for address in endpoint.addresses)
    return replace(endpoint, names=tuple(dict.fromkeys(name for own in found for name in own)))


# ---- what an endpoint has in its networks


def _placed(endpoint: EndpointReport, network: NetworkReport, names: Noted) -> EndpointReport:
    """An endpoint with the troubles of its place in a network."""
    found = [*_elsewhere(endpoint, network), *_without_addresses(endpoint, names), *_beyond(endpoint, network)]
    return replace(endpoint, troubles=(*endpoint.troubles, *found)) if found else endpoint


def _elsewhere(endpoint: EndpointReport, network: NetworkReport) -> t.Iterator[str]:
    if endpoint.network and network.network and endpoint.network != network.network:
        yield "%s belongs to network %s, but is a port of %s; run the playbook" % (
            endpoint.veth,
            marks.name_of(endpoint.network),
            network.bridge,
        )


def _without_addresses(endpoint: EndpointReport, names: Noted) -> t.Iterator[str]:
    """Troubles with addresses that its hosts file still has."""
    if endpoint.place is None or endpoint.netns is None:
        return
    own = {address.ip for address in endpoint.addresses}
    full = "%s.%s" % (endpoint.netns, marks.name_of(endpoint.network))
    for address in names.addresses(endpoint.netns, endpoint.network, full):
        if address not in own:
            yield "it has lost its address %s; run the playbook" % address


def _beyond(endpoint: EndpointReport, network: NetworkReport) -> t.Iterator[str]:
    """Troubles with addresses that a network had before its subnets were changed."""
    if not endpoint.network or endpoint.network != network.network or not network.subnets:
        return
    for address in endpoint.addresses:
        if not address.is_link_local and not any(address.ip in subnet for subnet in network.subnets):
            yield "%s lies in none of the network's subnets" % address.ip


def _with_lost_interfaces(report: HostReport, names: Noted) -> HostReport:
    """The report with a trouble for each network in which a namespace should have an interface, but has none."""
    there: dict[str, set[str]] = {}
    for endpoint in report.endpoints:
        there.setdefault(endpoint.netns or "", set()).add(endpoint.network)
    lost = {
        item.name: sorted({*filter(None, [item.network]), *names.labels(item.name)} - there.get(item.name, set()))
        for item in report.namespaces
    }
    if not any(lost.values()):
        return report

    def told(endpoint: EndpointReport) -> EndpointReport:
        labels = lost.pop(endpoint.netns or "", [])
        troubles = ["it has lost its interface in network %s; run the playbook" % marks.name_of(it) for it in labels]
        return replace(endpoint, troubles=(*endpoint.troubles, *troubles))

    return report.with_endpoints(told)


# ---- namespaces that have lost their names


def _lost_name(place: model.Place, world: World) -> str:
    """The name that a namespace of ours has lost, which only its processes keep alive; empty if it has lost none."""
    lost = {} if place.netns is not None else world.all_lost()
    return next((name for name, places in lost.items() if place in places), "")


def _nameless(name: str, world: World) -> list[str]:
    """The trouble of a namespace that has lost this name."""
    if not name:
        return []
    if world.has_namespace(name):
        return ["it was namespace %s, a name that another namespace has now; end its processes" % name]
    return ["it was namespace %s; run the playbook to give it that name back" % name]


def _lost(world: World, report: HostReport) -> t.Iterator[reports.LostNamespace]:
    """The namespaces of ours that only their processes keep alive; those with an endpoint are shown with it."""
    shown = {endpoint.place for endpoint in report.endpoints}
    for name, places in sorted(world.all_lost().items()):
        for place in places:
            if place not in shown and world.is_native(place):
                yield reports.LostNamespace(name, tuple(world.processes_in(place)))


# ---- who listens


def _ports_of(endpoint: EndpointReport, ports: t.Iterable[model.PublishedPort]) -> list[model.PublishedPort]:
    own = {address.ip for address in endpoint.addresses}
    return [port for port in ports if port.container_ip in own]


def _listeners(world: World, report: HostReport) -> _Heard:
    """The listeners behind published ports, of the protocols in question only: on a busy host some lists are long."""
    wanted: dict[tuple[str, ...], list[model.Place]] = {}
    for ports, endpoints in [(n.ports, n.endpoints) for n in report.networks] + [(report.ports, report.unplugged)]:
        for endpoint in endpoints:
            protocols = sorted({port.protocol for port in _ports_of(endpoint, ports)})
            if protocols and endpoint.place is not None:
                wanted.setdefault(tuple(protocols), []).append(endpoint.place)
    found: dict[model.Place, t.Mapping[str, t.Sequence[model.Listener]]] = {}
    for names, places in wanted.items():
        found.update(world.listeners_in(places, names))
    return found


def _use(port: model.PublishedPort, heard: t.Mapping[str, t.Sequence[model.Listener]]) -> reports.PortUse:
    ports = port.container_ports
    use = reports.PortUse(port.container_ip, port.protocol, ports)
    if port.protocol not in heard:
        return use  # the kernel does not list these
    there = [item for item in heard[port.protocol] if ports.first <= item.port <= ports.last]
    reached = {item.port for item in there if item.hears(port.container_ip)}
    if reached:
        return replace(use, silent=ports.without(reached))
    elsewhere = {item.address for item in there if port.container_ip.version in item.versions}
    return replace(use, heard=False, elsewhere=tuple(sorted(elsewhere, key=str)))


# ---- ways

# Where the name of a kind of route does not say what becomes of a packet.
_KINDS = {
    "throw": "is left to the rules of routing that follow",
    "local": "is taken for an address of its own",
    "broadcast": "is taken for an address of all stations",
    "multicast": "is taken for the address of a group",
}


def _way(entry: state.RouteEntry) -> str:
    """What becomes of a packet that takes a route, as the end of a clause."""
    if entry.kind not in ("", decode.UNICAST):
        return _KINDS.get(entry.kind, "is %s" % entry.kind)
    return "goes%s by %s" % (via_of(entry.route), entry.link)


class _Ways:
    """Compares the routes of each endpoint with those that it should have."""

    def __init__(self, world: World, report: HostReport, names: Noted) -> None:
        self._world = world
        self._gateways: dict[tuple[model.Place, int], set[model.Address]] = {}
        self._without_gateway: dict[model.Place, set[model.Network]] = {}
        self._reported: set[tuple[model.Place, int]] = set()
        self._looked: set[model.Place] = set()
        self._fixed, self._controlled = world.fixed_neighbours(), world.controlled()
        self._on_host: dict[model.Network, list[state.RouteEntry]] = {}
        for entry in world.routes():
            self._on_host.setdefault(entry.route.to, []).append(entry)
        for network in report.networks:
            internal = network.policy is not None and network.policy.internal
            for endpoint in () if internal else network.endpoints:
                section = names.section(endpoint.netns or "", endpoint.network)
                if section is not None and not section.default_route:
                    continue
                place = endpoint.place or model.Place()
                self._without_gateway.setdefault(place, set()).update(_without_gateway(endpoint, network))
                for address in _gateways(endpoint, network):
                    self._gateways.setdefault((place, address.version), set()).add(address)

    def troubles(self, endpoint: EndpointReport, network: NetworkReport | None) -> t.Iterator[str]:
        """The troubles of an endpoint with its link and its routes."""
        place = endpoint.place or model.Place()
        links = self._world.links(place)
        link, lo = links.get(endpoint.interface or ""), links.get("lo")
        bridge = None if network is None else self._world.links().get(network.bridge)
        if bridge is not None and not bridge.up:
            yield "%s is down" % bridge.name
        for one in (link, lo):
            if one is not None and not one.up:
                yield "%s is down" % one.name
        near = None if network is None else self._world.links().get(endpoint.veth)
        if bridge is not None and network is not None and bridge.up:
            yield from self._beside(bridge, endpoint, network)
        yield from _cut_off((bridge, near, link))
        yield from self._detours(endpoint, network)
        yield from self._tampered(endpoint, network)
        if link is None or not link.up or network is None:
            return
        yield from self._flushed(place, endpoint)
        yield from self._ruled(place, endpoint, network)
        routes = self._world.routes(place)
        yield from self._strays(place, endpoint, routes)
        if not self._world.is_host(place):
            yield from _kept(endpoint, network, links)
        for gateway in _gateways(endpoint, network):
            if not any(_leads(entry, link.name, gateway) for entry in routes):
                yield "no way to its gateway %s" % gateway
            elif (place, gateway.version) not in self._reported and self._world.owns(place):
                self._reported.add((place, gateway.version))
                yield from self._default(place, gateway.version, routes, endpoint)

    def _beside(self, bridge: state.Link, endpoint: EndpointReport, network: NetworkReport) -> t.Iterator[str]:
        """Troubles with what the host itself needs to reach an endpoint, and the endpoint to get out."""
        again = "; run the playbook" if network.ours else ""
        for subnet in _without_gateway(endpoint, network):
            yield "%s has lost its address in %s%s" % (bridge.name, subnet, again)
        subnets = {address.network for address in endpoint.addresses}
        for own in network.addresses:
            routes = self._on_host.get(own.network, ())
            kept = any(self._world.keeps_subnet(model.HOST, entry, bridge) for entry in routes)
            if own.network in subnets and own.network.num_addresses > 1 and not kept:
                yield "the host has no route to %s by %s%s" % (own.network, bridge.name, again)

    def _detours(self, endpoint: EndpointReport, network: NetworkReport | None) -> t.Iterator[str]:
        detours = self._world.detours
        for address in endpoint.addresses if detours else ():
            link = endpoint.veth if network is None else network.bridge
            yield from (text % address.ip for text in detours.of(link, address.ip))

    def _tampered(self, endpoint: EndpointReport, network: NetworkReport | None) -> t.Iterator[str]:
        """What others have set on the host for this endpoint, or on its links."""
        link = endpoint.veth if network is None else network.bridge
        for address in endpoint.addresses:
            mac_address = self._fixed.get((link, address.ip), endpoint.mac_address)
            if mac_address != endpoint.mac_address:
                text = "the host sends packets for %s to %s, by a permanent neighbour entry; delete it with"
                yield (text + " 'ip neigh del %s dev %s'") % (address.ip, mac_address, address.ip, link)
        for name in dict.fromkeys((endpoint.veth, link)):
            if name in self._controlled:
                text = "filters of traffic control at %s may stop packets; look at them with 'tc filter show dev %s %s'"
                yield text % (name, name, self._controlled[name])

    def _flushed(self, place: model.Place, endpoint: EndpointReport) -> t.Iterator[str]:
        """Troubles with rules and routes that the kernel adds once, and that the next run adds again."""
        from .kinds.ways import missing_rules

        for rule in missing_rules(place, {address.version for address in endpoint.addresses}, self._world):
            yield "no rule leads to the routing table %s (IPv%d)" % (model.TABLES[rule.table], rule.version)
        for lost in self._world.lost_routes(place):
            if lost.link == endpoint.interface and lost.kind == "local":
                yield "its table local lacks %s, so it does not answer there" % lost.to.network_address

    def _ruled(self, place: model.Place, endpoint: EndpointReport, network: NetworkReport) -> t.Iterator[str]:
        """Rules of others inside that take packets from their way to the gateway."""
        if not self._world.has_odd_rules(place):
            return
        detours = self._world.detours_in(place)
        ways = [(gateway, own) for gateway in _gateways(endpoint, network) for own in endpoint.addresses]
        for gateway, own in ways:
            for text in detours.inside(endpoint.interface or "", gateway, own):
                yield "inside, " + text % gateway

    def _strays(
        self, place: model.Place, endpoint: EndpointReport, routes: t.Sequence[state.RouteEntry]
    ) -> t.Iterator[str]:
        """Routes of others that attract packets for its subnets, and in a namespace of ours any route of others."""
        from .kinds.ways import hiding

        walls = self._world.barriers(place)
        found = hiding(place, endpoint.interface or "", endpoint.addresses, [*routes, *walls], self._world)
        if self._world.owns(place) and place not in self._looked:
            # a route of the table local may be there for a service that answers for many addresses
            more = [*routes, *(entry for entry in walls if not entry.route.table)]
            found += [entry for entry in more if entry not in found and _is_strange(entry)]
        self._looked.add(place)
        if self._world.may_have_source_rules(place):
            from .kinds.source_routing import table_of

            found += self._world.strays(place, table_of(endpoint.interface or ""))
        for entry in found:
            yield "%s %s, by a route that is not ours" % (target_of(entry.route), _way(entry))

    def _default(
        self, place: model.Place, version: int, routes: t.Sequence[state.RouteEntry], endpoint: EndpointReport
    ) -> t.Iterator[str]:
        from .kinds.ways import takes_from

        gateways = self._gateways.get((place, version))
        own = {address.ip for address in endpoint.addresses}
        walls = self._world.barriers(place)
        all_routes = [entry for entry in (*routes, *walls) if takes_from(entry, own)]
        found = [e for e in all_routes if e.route.to.prefixlen == 0 and e.route.to.version == version]
        if not gateways:
            return
        if not found:
            yield "no default route for IPv%d" % version
            return
        best = min(found, key=lambda entry: (not entry.route.table, entry.route.metric or 0, entry.rank))
        if best.kind:
            yield "default %s, by a route that is not ours" % _way(best)
            return
        hops = [via or link for via, link in best.hops] or [best.route.via or best.link]
        # of a bridge that has lost its address, that is told already
        known = [*gateways, *(hop for hop in hops if _lies_in(hop, self._without_gateway.get(place, ())))]
        for hop in [hop for hop in hops if hop not in known][:1]:
            yield "default by %s, not the gateway" % hop
            return
        if len(gateways) > 1 and best.protocol not in _EXPECTED:
            yield "default by %s, by a route that is not ours" % hops[0]


def _cut_off(links: t.Iterable[state.Link | None]) -> t.Iterator[str]:
    """Troubles with flags of links that are up, which the next run sets right."""
    for link in links:
        if link is None or not link.up:
            continue
        if not link.arp and not link.master:
            yield "ARP is off on %s; run the playbook" % link.name
        if link.port_flags:
            flags = ("%s %s" % (key, _word(key, on)) for key, on in link.port_flags)
            yield "port %s of %s has %s; run the playbook" % (link.name, link.master, ", ".join(flags))


def _word(flag: str, on: bool) -> str:
    """The value of a port's flag; a state that is off is disabled."""
    return "disabled" if flag == "state" else "on" if on else "off"


def _kept(endpoint: EndpointReport, network: NetworkReport, links: t.Mapping[str, state.Link]) -> t.Iterator[str]:
    """Addresses of the network that an endpoint does not reach, as the kernel takes another link of it for them."""
    # ends of ours have the subnets that the user wanted for them
    others = [link for link in links.values() if link.name == "lo" or not is_ours(link)]
    theirs = [(link.name, address) for link in others for address in link.addresses if not address.is_loopback]
    if not theirs:
        return
    subnets = [address.network for address in endpoint.addresses]
    there = [own.ip for own in network.addresses]
    there += [own.ip for other in network.endpoints if other.veth != endpoint.veth for own in other.addresses]
    for link, address in theirs:
        for ip in there:
            if _attracts(address, ip, subnets):
                yield "%s is not reached, as %s has the address %s" % (ip, link, address)


def _attracts(address: model.Interface, ip: model.Address, subnets: t.Iterable[model.Network]) -> bool:
    """Whether an address of another link leads packets there that the route to one of these subnets would take."""
    if address.ip == ip:
        return True
    narrower = any(model.lies_in(address.network, net) and address.network != net for net in subnets)
    return narrower and ip in address.network


def _gateways(endpoint: EndpointReport, network: NetworkReport) -> list[model.Address]:
    """The host's addresses on the bridge that lie in a subnet of the endpoint."""
    subnets = [address.network for address in endpoint.addresses]
    return [own.ip for own in network.addresses if own.network in subnets]


def _without_gateway(endpoint: EndpointReport, network: NetworkReport) -> list[model.Network]:
    """The subnets of an endpoint of a whole network in which the bridge should have an address, but has none."""
    there = {own.network for own in network.addresses}
    wanted = set(network.subnets) - there if network.network else set()
    return [address.network for address in endpoint.addresses if address.network in wanted]


def _lies_in(hop: model.Address | str, subnets: t.Iterable[model.Network]) -> bool:
    return not isinstance(hop, str) and any(hop in subnet for subnet in subnets)


def _is_strange(entry: state.RouteEntry) -> bool:
    """Whether others made a route, and it is not a default route."""
    return bool(entry.route.to.prefixlen) and entry.protocol not in _EXPECTED


def _leads(entry: state.RouteEntry, link: str, address: model.Address) -> bool:
    to = entry.route.to
    return entry.link == link and entry.route.via is None and to.version == address.version and address in to
