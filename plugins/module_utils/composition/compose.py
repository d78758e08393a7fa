# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the role's list of networks, and what is on the host, into objects for the engine.

Pure functions: the same list and the same host give the same objects, so a second run asks for what the first one made.
"""

from __future__ import annotations

import ipaddress
import typing as t
from collections import Counter

from .. import arguments, marks, model, parsing
from ..records import replace
from ..report import EndpointReport, HostReport, NetworkReport
from .names import Names
from .networks import BridgeNetwork, Endpoint, decide, displaced, mac_address, read_names, read_networks, staying
from .objects import Composition, Objects
from .ports import plan_ports
from .removal import removals, unwanted_files, unwanted_masquerades, unwanted_views
from .scope import BY_DEFAULT, Goes, Scope
from .spec import read_masquerade
from .surroundings import NOTHING_AROUND, Surroundings

_NOTHING_LISTED = {
    "present": "set prune to project to remove all networks of project %s",
    "absent": (
        "name the networks of project %s to remove; 'ansible-playbook dockerless.network.purge', or the module's"
        " option everything, removes all that this collection has made on a host"
    ),
}
_STRANDED = (
    "Endpoint %s is left without a default route (IPv%d): it was that of network %s; a run with network %s in its list"
    " gives it one."
)


def compose(
    networks: t.Sequence[arguments.Options],
    report: HostReport,
    scope: Scope = BY_DEFAULT,
    around: Surroundings = NOTHING_AROUND,
) -> Composition:
    """The objects to request; raises InvalidRequest with a text for the user."""
    wanted = read_networks(networks, report, scope, around) if scope.state == "present" else []
    names = {network.name for network in wanted} if scope.state == "present" else read_names(networks)
    if not names and not scope.may_be_empty:
        raise model.InvalidRequest("networks: the list is empty; %s." % (_NOTHING_LISTED[scope.state] % scope.project))
    _refuse_to_remove_nothing(names, report, scope)
    goes = scope.goes(names)
    _refuse_bridges_of_others(wanted, scope, goes)
    _refuse_bridges_by_hand(wanted)
    _refuse_services_twice(wanted)
    _refuse_services_of_others(wanted, report, goes)
    _refuse_subnets_of_others(wanted, report, scope, goes)
    _refuse_to_cut_off(wanted, report, goes)
    decide(wanted, report, goes, around)
    present = _plan_present(wanted, report, goes, around)
    absent = removals(present, report, goes, scope.service_removal)
    # To replace the masquerade of a listed network is a change and not pruning, so the old one is always removed.
    listed = scope.labels(names)
    absent.nat_masquerade = unwanted_masquerades(present, report, lambda noted: goes(noted) or noted in listed)
    forwarding = None if scope.everything else _plan_forwarding(wanted, present, absent, report, scope)
    warnings = [*displaced(wanted), *_plan_names(wanted, present, absent, report, goes, around)]
    warnings += _Beside(wanted, report, goes, around).stranded(present)
    asker = model.EVERYBODY if scope.everything else scope.asker
    (present if forwarding else absent).sysctl_forward.append(forwarding or model.Forwarding(asked_by=asker))
    return Composition(
        present, absent, (*_left_alone(names, report, scope), *_unknown(names, report, scope), *warnings)
    )


def _refuse_to_remove_nothing(names: t.Collection[str], report: HostReport, scope: Scope) -> None:
    """Raise InvalidRequest for an empty list of networks to remove, as prune says that the whole project is meant."""
    there = () if names or scope.state == "present" or scope.everything else _of_project(report, scope)
    if there:
        raise model.InvalidRequest(
            "networks: the list is empty, so there is nothing to remove, but project %s has networks here (%s); name"
            " those to remove, or set state to present and leave prune at project to remove all of them."
            % (scope.project, model.enumerate_few(there))
        )


def _of_project(report: HostReport, scope: Scope) -> list[str]:
    """The names of the project's networks on the host."""
    return sorted({marks.name_of(noted) for noted in _labels(report) if marks.project_of(noted) == scope.project})


def _labels(report: HostReport) -> set[str]:
    """The labels of the networks on the host, and of what is left of networks."""
    lists = (report.networks, report.namespaces, report.unplugged, report.ports, report.masquerades, report.services)
    return {item.network for items in lists for item in items} - {""}


def _refuse_bridges_of_others(wanted: t.Sequence[BridgeNetwork], scope: Scope, goes: Goes) -> None:
    """Raise InvalidRequest for a bridge of a network outside the list, which would lose its bridge."""
    listed = scope.labels(network.name for network in wanted)
    for network in wanted:
        there = network.there.network if network.there is not None and network.there.ours else ""
        if (
            marks.project_of(there) == scope.project
            and marks.name_of(there)
            and there not in listed
            and not goes(there)
        ):
            raise model.InvalidRequest(
                "network %s: bridge %s belongs to network %s, which is not in the list; remove that one first (state:"
                " absent), or set prune to project." % (network.name, network.bridge, marks.name_of(there))
            )


def _refuse_bridges_by_hand(wanted: t.Sequence[BridgeNetwork]) -> None:
    """Raise InvalidRequest for a bridge outside of any network that would lose an address, and so its endpoints."""
    for network in wanted:
        there = network.there
        if there is None or not there.ours or there.network:
            continue
        lost = [one for one in there.addresses if not one.ip.is_link_local and one.ip not in network.gateways.values()]
        if lost:
            raise model.InvalidRequest(
                "network %s: bridge %s was made by a call of the module bridge without a network, and would lose its"
                " address %s; choose another name for the bridge, or remove that one first."
                % (network.name, network.bridge, model.enumerate_few(model.spelled(lost)))
            )


def _refuse_subnets_of_others(wanted: t.Sequence[BridgeNetwork], report: HostReport, scope: Scope, goes: Goes) -> None:
    """Raise InvalidRequest for the subnet of a network of the project outside the list, as after a new name."""
    listed = scope.labels(network.name for network in wanted)
    ours = [item for item in report.networks if item.ours and marks.project_of(item.network) == scope.project]
    staying = [item for item in ours if marks.name_of(item.network) and item.network not in listed]
    for there in staying:
        for network in () if goes(there.network) else wanted:
            for subnet in network.subnets.values():
                if any(model.overlap(subnet.network, other) for other in there.subnets):
                    raise model.InvalidRequest(
                        "network %s: subnet %s overlaps that of network %s, which is not in the list; choose another"
                        " subnet, or, if network %s has a new name, set prune to project, so that the run removes it."
                        % (network.name, subnet.network, there.name, there.name)
                    )


def _refuse_to_cut_off(wanted: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes) -> None:
    """Raise InvalidRequest for new subnets or gateways that take the gateway from endpoints that stay as they are."""
    for network in wanted:
        listed = {endpoint.veth for endpoint in network.endpoints}
        others = [item for item in network.others if marks.project_of(item.network or network.label) == network.project]
        staying = [item for item in others if item.veth not in listed and not goes(item.network)]
        lost = [(item, own) for item in staying for own in item.addresses if _loses_gateway(own, network)]
        if lost:
            raise model.InvalidRequest(
                "network %s: its new subnets or gateways would take the gateway from endpoints that are not in the list"
                " and stay: %s; add them to the list, or set prune to listed, so that the run removes them."
                % (network.name, model.enumerate_few([_with_ports(item, own, report) for item, own in lost]))
            )


def _loses_gateway(address: model.Interface, network: BridgeNetwork) -> bool:
    """Whether the bridge has a gateway of this address now, and will have none."""
    there = network.there.addresses if network.there is not None else ()
    gateways = [own.ip for own in there if own.ip in address.network and not own.is_link_local]
    return bool(gateways) and not set(gateways) & set(network.gateways.values())


def _with_ports(endpoint: EndpointReport, address: model.Interface, report: HostReport) -> str:
    ports = ["%s/%s" % (port.host_ports, port.protocol) for port in report.ports if port.container_ip == address.ip]
    published = " with published port %s" % model.enumerate_few(ports) if ports else ""
    return "%s (%s%s)" % (endpoint.netns or endpoint.veth, address.ip, published)


def _left_alone(names: t.Collection[str], report: HostReport, scope: Scope) -> t.Iterator[str]:
    """Warnings about networks to remove that stay, since they belong to another project."""
    for network in report.networks if scope.state == "absent" else ():
        name, project = marks.name_of(network.network), marks.project_of(network.network)
        if name in names and project != scope.project:
            yield "Network %s belongs to project %s, not to project %s, and stays." % (name, project, scope.project)


def _unknown(names: t.Iterable[str], report: HostReport, scope: Scope) -> t.Iterator[str]:
    """Warnings about networks to remove that are not there, as after a typing error.

    A second removal is no mistake. So nothing is said where the project has no other network that could be meant.
    """
    if scope.state != "absent" or not scope.warns:
        return
    known = {marks.name_of(noted) for noted in _labels(report)}
    others = [name for name in _of_project(report, scope) if name not in names]
    for name in sorted(set(names) - known) if others else ():
        yield "Network %s of project %s is not there, so it cannot be removed; is one of these meant: %s?" % (
            name,
            scope.project,
            model.enumerate_few(others),
        )


def _plan_present(networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes, around: Surroundings) -> Objects:
    plan = Objects()
    names = Names(networks)
    for network in networks:
        with parsing.about("network %s" % network.name):
            plan.bridge.append(_plan_bridge(network))
            plan.bridge_firewall.append(_plan_policy(network, names))
            with parsing.about("network %s: masquerade" % network.name):
                plan.nat_masquerade += _plan_masquerades(network, report, names)
    plan.port_publish = plan_ports(networks, report.ports, names, around)
    plan.netns = _plan_namespaces(networks, report, goes)
    routed = {policy.bridge for policy in plan.bridge_firewall if not policy.icc and policy.inner_flows}
    plan.veth = _plan_veths(networks, routed, _Beside(networks, report, goes, around), names)
    plan.endpoint_service = _plan_services(networks, report, goes)
    return plan


def _plan_bridge(network: BridgeNetwork) -> model.Bridge:
    addresses = [subnet.interface(network.gateways[version]) for version, subnet in network.subnets.items()]
    for address in addresses:
        parsing.usable("addresses", address)
    insisted = bool(network.options.get("allow_overlap"))
    return model.Bridge(network.bridge, tuple(addresses), network.mtu, network=network.label, allow_overlap=insisted)


def _plan_policy(network: BridgeNetwork, names: Names) -> model.BridgePolicy:
    from ..kinds.bridge_firewall import checked, parse_flow, parse_trusted

    options = network.options
    flows = names.flows(options.get("allow") or (), network)
    return checked(
        model.BridgePolicy(
            bridge=network.bridge,
            subnets=parsing.collapsed(subnet.network for subnet in network.subnets.values()),
            internal=network.internal,
            icc=network.icc,
            direct_access=bool(options.get("direct_access")),
            trusted_interfaces=parse_trusted(options),
            host_access=options.get("host_access") != "deny",
            allow=tuple(parse_flow(flow, network.bridge) for flow in flows),
            network=network.label,
            gateways=tuple(network.gateways.values()),
        )
    )


def _plan_masquerades(network: BridgeNetwork, report: HostReport, names: Names) -> list[model.Masquerade]:
    options = read_masquerade("network %s" % network.name, network.options.get("masquerade"))
    if network.internal or options is None:
        return []
    excluded = parsing.networks("exclude", names.subnets("exclude", options.get("exclude") or (), network))
    return [_plan_masquerade(network, version, options, excluded, report) for version in network.subnets]


def _plan_masquerade(
    network: BridgeNetwork,
    version: int,
    options: arguments.Options,
    excluded: t.Iterable[model.Network],
    report: HostReport,
) -> model.Masquerade:
    """The masquerade of one family; options with addresses of the other family are for the other one."""
    from ..kinds.nat_masquerade import parse_out

    to_source = parsing.source_address("to_source", options["to_source"]) if options.get("to_source") else None
    if to_source is not None and to_source.version not in network.subnets:
        raise model.InvalidRequest(
            "to_source: %s is an IPv%d address, and the network has no subnet of that family; write an"
            " address of IPv%d." % (to_source, to_source.version, version)
        )
    return model.Masquerade(
        source=network.subnets[version].network,
        out=parse_out(_out_interface(options.get("out_interface"), network, version, report)),
        exclude=tuple(other for other in excluded if other.version == version),
        to_source=to_source if to_source is not None and to_source.version == version else None,
        random_fully=bool(options.get("random_fully")),
        network=network.label,
    )


def _out_interface(given: str | None, network: BridgeNetwork, version: int, report: HostReport) -> str:
    """The interface by the name that the report has for it, so that the present masquerade is recognised."""
    if not given:
        return "!" + network.bridge
    if given == "default":
        return report.uplink(version) or given
    return given


def _plan_namespaces(networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes) -> list[model.Namespace]:
    """Each namespace once, with the label of the first network that needs it, in the list or on the host."""
    listed = {network.label for network in networks}
    staying = {network.network for network in report.networks} - listed
    noted = {item.name: item.network for item in report.namespaces if item.network in staying}
    found: dict[str, model.Namespace] = {}
    for network in networks:
        for endpoint in network.endpoints:
            name = endpoint.place.netns
            if name is not None and name in found:
                found[name] = _with_sysctls(found[name], endpoint, network)
            elif name is not None:
                there = noted.get(name, "")
                stays = marks.project_of(there) == network.project and not goes(there)
                label = there if there and stays else network.label
                found[name] = model.Namespace(name, None, endpoint.sysctls, label, endpoint.name)
    elsewhere = {item.netns for item in report.endpoints if item.network not in listed and not goes(item.network)}
    kept = {item.name: item.sysctls for item in report.namespaces if item.sysctls and item.name in elsewhere}
    return [_with_kept(item, kept[item.name]) if item.name in kept else item for item in found.values()]


def _with_kept(item: model.Namespace, kept: tuple[tuple[str, str], ...]) -> model.Namespace:
    """A namespace that is in a network of another list as well, which may have asked for these sysctls."""
    return replace(item, sysctls=tuple(sorted({**dict(kept), **dict(item.sysctls)}.items())))


def _with_sysctls(there: model.Namespace, endpoint: Endpoint, network: BridgeNetwork) -> model.Namespace:
    """A namespace in several networks, with the sysctls that each of its endpoints asks for."""
    values = dict(there.sysctls)
    for key, value in endpoint.sysctls:
        if values.setdefault(key, value) != value:
            raise model.InvalidRequest(
                "network %s: endpoint %s: sysctls: %s is %s there and %s in another network, and both are in namespace"
                " %s; give it one value." % (network.name, endpoint.name, key, value, values[key], there.name)
            )
    return replace(there, sysctls=tuple(sorted(values.items())))


def _plan_services(networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes) -> list[model.EndpointService]:
    """Each unit once, with the label of a network that stays, or else of the first one in the list that names it."""
    listed = {network.label for network in networks}
    noted = {(item.unit, item.netns): item.network for item in report.services if item.network not in listed}
    found: dict[tuple[str, str], model.EndpointService] = {}
    for network, endpoint, unit in _asked_services(networks):
        netns = endpoint.place.netns or ""
        there = noted.get((unit, netns), "")
        stays = there and marks.project_of(there) == network.project and not goes(there)
        item = model.EndpointService(unit, netns, network=there if stays else network.label, endpoint=endpoint.name)
        found.setdefault((unit, netns), item)
    return list(found.values())


def _asked_services(networks: t.Sequence[BridgeNetwork]) -> t.Iterator[tuple[BridgeNetwork, Endpoint, str]]:
    """Each unit with the endpoint that asks for it, and the network of that."""
    for network in networks:
        for endpoint in network.endpoints:
            for unit in endpoint.services:
                yield network, endpoint, unit


def _refuse_services_twice(networks: t.Sequence[BridgeNetwork]) -> None:
    """Raise InvalidRequest for a unit in two endpoints, whose objects may have the label of a third network."""
    known: dict[str, tuple[str, str]] = {}
    for network, endpoint, unit in _asked_services(networks):
        netns, asker = endpoint.place.netns or "", "endpoint %s/%s" % (network.name, endpoint.name)
        there, other = known.setdefault(unit, (netns, asker))
        if there != netns:
            from ..kinds.endpoint_service import refuse_two

            refuse_two(unit, other, asker)


def _refuse_services_of_others(networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes) -> None:
    """Raise InvalidRequest for a unit in an endpoint outside the list, whose own list would take it back.

    One of another project is refused when its object is planned.
    """
    listed = {network.label for network in networks}
    staying = {(item.network, item.netns) for item in report.endpoints if not goes(item.network)}
    staying = {found for found in staying if marks.name_of(found[0]) and found[0] not in listed}
    there = {item.unit: item for item in report.services if (item.network, item.netns) in staying}
    for network, endpoint, unit in _asked_services(networks):
        found = there.get(unit)
        if found is None or found.netns == endpoint.place.netns:
            continue
        if marks.project_of(found.network) == network.project:
            from ..kinds.endpoint_service import taken

            what = network.name, endpoint.name, taken(unit, found.netns, found.network)
            raise model.InvalidRequest("network %s: endpoint %s: %s" % what)


def _plan_veths(
    networks: t.Sequence[BridgeNetwork], routed: t.Collection[str], beside: _Beside, names: Names
) -> list[model.Veth]:
    """The veth pairs; ``routed`` are the bridges whose endpoints talk to one another through the host."""
    legs = Counter((e.place, v) for n in networks if not n.internal for e in n.endpoints for v in n.subnets)
    legs.update(beside.ways.keys())
    served = beside.served({place for place, unused in legs})
    result = []
    for network in networks:
        stations: dict[str, str] = {}
        ways = (
            {} if network.internal else {v: model.Route(model.ANYWHERE[v], via) for v, via in network.gateways.items()}
        )
        by_host = _ways_by_host(network) if network.bridge in routed else ()
        for endpoint in network.endpoints:
            # one default route for each version of IP: by the first network that has one
            own = ways if endpoint.default_route else {}
            routes = [way for version, way in own.items() if (endpoint.place, version) not in served]
            served.update((endpoint.place, version) for version in own)
            # if there are several ways out, the answer to a request leaves by the way that the request came
            several = {v for v in ways if legs[endpoint.place, v] > 1 or not endpoint.default_route}
            sources = [way.via for version, way in ways.items() if way.via and version in several]
            with parsing.about("network %s: endpoint %s" % (network.name, endpoint.name)):
                further = _further_routes(network, endpoint, names, routes)
                result.append(_plan_veth(network, endpoint, (*routes, *by_host, *further), sources))
            _refuse_double_mac(network, endpoint, result[-1].peer.mac_address, stations)
    return result


def _further_routes(
    network: BridgeNetwork, endpoint: Endpoint, names: Names, defaults: t.Sequence[model.Route]
) -> tuple[model.Route, ...]:
    """The option ``routes`` of an endpoint."""
    given = names.routes(endpoint.options.get("routes") or (), network)
    if not given:
        return ()
    from ..kinds.ends import Words, parse_routes

    gateways = [str(route.via) for route in defaults]
    return parse_routes({"gateways": gateways, "routes": given}, endpoint.addresses, Words("routes"))[len(gateways) :]


def _refuse_double_mac(network: BridgeNetwork, endpoint: Endpoint, mac: str | None, stations: dict[str, str]) -> None:
    derived = "" if endpoint.mac_address else " (from its address)"
    other = stations.setdefault(mac, endpoint.name + derived) if mac else ""
    if other and other != endpoint.name + derived:
        raise model.InvalidRequest(
            "network %s: MAC address %s is used twice: by endpoint %s and endpoint %s%s; give one"
            " of them another, or leave it out." % (network.name, mac, other, endpoint.name, derived)
        )


class _Beside:
    """The endpoints on the host that stay although they are not in the list."""

    def __init__(
        self, networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes, around: Surroundings
    ) -> None:
        kept = {endpoint.veth for endpoint in staying(networks, report, goes)}
        self._report, self._around = report, around
        self._all = [(n, e) for n in report.networks for e in n.endpoints if e.veth in kept]
        # possible default routes: by namespace and version of IP, the name of the network
        self.ways: dict[tuple[model.Place, int], str] = {}
        # a network in the list counts as this run will leave it, or the next run would find another number of ways out
        leading = {network.label: () if network.internal else tuple(network.subnets) for network in networks}
        for network, endpoint in self._all:
            for version in leading.get(network.network, [version for version in (4, 6) if _speaks(network, version)]):
                self.ways.setdefault((model.Place(netns=endpoint.netns), version), network.name)

    def served(self, places: t.Container[model.Place]) -> set[tuple[model.Place, int]]:
        """The namespaces among these with a default route by such an endpoint, each with the version of IP."""
        ends = [(model.Place(netns=e.netns), e) for unused, e in self._all if model.Place(netns=e.netns) in places]
        return {(place, version) for place, end in ends for version in self._around.default_routes(end)}

    def stranded(self, present: Objects) -> list[str]:
        """Warnings about namespaces that lose their default route while a network outside the list has one for them."""
        ends = [(veth.peer.place, route.to) for veth in present.veth for route in veth.peer.routes]
        served = {(place, to.version) for place, to in ends if not to.prefixlen}
        found = []
        for (place, version), other in self.ways.items():
            leaving = self._leaving(place) if (place, version) not in served else []
            for end in [end for end in leaving if version in self._around.default_routes(end)]:
                words = (place.netns, version, marks.name_of(end.network), other)
                found.append(_STRANDED % words)
        return found

    def _leaving(self, place: model.Place) -> list[EndpointReport]:
        kept = {end.veth for unused, end in self._all}
        return [end for end in self._report.endpoints if end.netns == place.netns and end.veth not in kept]


def _plan_veth(
    network: BridgeNetwork, endpoint: Endpoint, routes: tuple[model.Route, ...], sources: t.Sequence[model.Address]
) -> model.Veth:
    for address in endpoint.addresses:
        parsing.usable("addresses", address)
    mac = endpoint.mac_address or (mac_address(endpoint.addresses) if endpoint.addresses else None)
    return model.Veth(
        name=endpoint.veth,
        peer=model.End(endpoint.interface, endpoint.place, mac, tuple(endpoint.addresses), routes, tuple(sources)),
        bridge=network.bridge,
        isolated=not network.icc,
        mtu=network.mtu,
        network=network.label,
        endpoint=endpoint.name,
    )


def _ways_by_host(network: BridgeNetwork) -> tuple[model.Route, ...]:
    """Routes to the other endpoints by the gateway: isolated ports cannot reach one another, but the host reaches both.

    The gateway needs a route of its own. Otherwise the way to the gateway would be the gateway itself, and the kernel
    would refuse the routes.
    """
    routes: list[model.Route] = []
    for version, subnet in network.subnets.items():
        gateway = network.gateways[version]
        if subnet.network.max_prefixlen - subnet.network.prefixlen > 1:
            routes.append(model.Route(ipaddress.ip_network(gateway)))
            routes += [model.Route(half, gateway) for half in subnet.network.subnets(prefixlen_diff=1)]
    return tuple(routes)


def _plan_names(
    networks: t.Sequence[BridgeNetwork],
    present: Objects,
    absent: Objects,
    report: HostReport,
    goes: Goes,
    around: Surroundings,
) -> list[str]:
    """Plan the files of names and the DNS servers; returns warnings about them."""
    if not (report.files or report.views or any(network.endpoints and network.named for network in networks)):
        return []
    from .naming import known_names, name_views, without_names
    from .resolver_files import Writer

    known, writer = known_names(networks, report, goes, around), Writer(around)
    present.netns_file = writer.files(known)
    absent.netns_file = unwanted_files(present, absent, known, report, goes)
    present.dns = name_views(known, report, networks)
    absent.dns = unwanted_views(present, absent, known, report, goes)
    return [*without_names(networks), *writer.warnings()]


def _plan_forwarding(
    networks: t.Sequence[BridgeNetwork], present: Objects, absent: Objects, report: HostReport, scope: Scope
) -> model.Forwarding | None:
    """The forwarding that all networks of the project need together; None if no network is left."""
    gone = {bridge.name for bridge in absent.bridge} | {policy.bridge for policy in absent.bridge_firewall}
    bridges = gone | {network.bridge for network in networks}
    known = [item for item in report.networks if item.network and marks.project_of(item.network) == scope.project]
    left = [network for network in known if network.bridge not in bridges]
    if not networks and not left:
        return None
    versions = {version for network in networks if not network.internal for version in network.subnets}
    local = {port.bridge for port in present.port_publish if port.serves_loopback}
    # without pruning, networks in the list may have ports that are not in it
    decided = {port.key for port in (*present.port_publish, *absent.port_publish)}
    staying = (port for network in known for port in network.ports if port.key not in decided)
    local |= {port.bridge for port in staying if port.bridge and port.serves_loopback}
    return model.Forwarding(
        ipv4=4 in versions or any(_speaks(network, 4) for network in left),
        ipv6=6 in versions or any(_speaks(network, 6) for network in left),
        route_localnet=tuple(sorted(local)),
        policy=scope.forward_policy,
        asked_by=scope.asker,
    )


def _speaks(network: NetworkReport, version: int) -> bool:
    """Whether a network on the host leads out for a version of IP."""
    internal = network.policy is not None and network.policy.internal
    return not internal and any(subnet.version == version for subnet in network.subnets)
