# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's list of networks, read and checked, with names and addresses decided."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t
from dataclasses import field

from .. import arguments, model, parsing
from ..kinds.overlaps import first_overlap
from ..marks import label, name_of
from ..reading import Option, read_list
from ..records import dataclass
from ..report import EndpointReport, HostReport, NetworkReport
from . import spec
from .allocate import Subnet
from .publish import Publish, parse
from .scope import Goes, Scope
from .surroundings import NOTHING_AROUND, Surroundings

# Keys are the name of a network and the place of an endpoint.
Aliases = t.Mapping[tuple[str, model.Place], t.Sequence[str]]

# Options of an endpoint that only its files below /etc/netns hold.
_IN_FILES = ("search", "extra_hosts", "nameservers")
_NAMES: Option = {"type": "list", "elements": "str"}
_WORD = r"[A-Za-z0-9_]+"
_DISPLACED = (
    "network %s: endpoint %s, which lives, moves from %s to %s, as the list gives its address to %s; to leave it where"
    " it is, give that another address; to say yourself where it goes, give endpoint %s addresses."
)


@dataclass
class Endpoint:
    """An endpoint of a network, with the decisions about it so far."""

    name: str
    place: model.Place  # the namespace that it lives in
    veth: str  # the host's end of its veth pair, by which it is recognised wherever it lives
    interface: str  # empty: not decided yet
    mac_address: str | None
    wanted: t.Sequence[model.Address]
    publish: t.Sequence[Publish]
    default_route: bool = True  # whether this network may give it its default route
    options: arguments.Options = field(default_factory=dict)
    services: t.Sequence[str] = ()  # units of systemd that run in it
    sysctls: tuple[tuple[str, str], ...] = ()
    addresses: list[model.Interface] = field(default_factory=list)


@dataclass
class BridgeNetwork:
    """A network of the role's list."""

    name: str
    project: str
    bridge: str
    options: arguments.Options
    mtu: int | None
    subnets: dict[int, Subnet]
    gateways: dict[int, model.Address]
    endpoints: list[Endpoint]
    there: NetworkReport | None  # the present state of its bridge
    unplugged: t.Sequence[EndpointReport] = ()

    @property
    def label(self) -> str:
        """The label of its objects."""
        return label(self.name, self.project)

    @property
    def internal(self) -> bool:
        """Whether it has no way out."""
        return bool(self.options.get("internal"))

    @property
    def named(self) -> bool:
        """Whether its endpoints find one another by name."""
        return self.options.get("names") is not False

    @property
    def icc(self) -> bool:
        """Whether its endpoints may talk to one another."""
        return self.options.get("icc") is not False

    @property
    def others(self) -> t.Sequence[EndpointReport]:
        """All present endpoints on its bridge, and its own whose bridge is gone."""
        return (*(self.there.endpoints if self.there else ()), *self.unplugged)

    def known(self) -> dict[str, EndpointReport]:
        """The present endpoints of this network, by the host's end of their veth pair."""
        return {endpoint.veth: endpoint for endpoint in self.others if endpoint.network == self.label}


def read_networks(
    networks: t.Sequence[arguments.Options], report: HostReport, scope: Scope, around: Surroundings
) -> list[BridgeNetwork]:
    """The list as objects; raises InvalidRequest."""
    there = {network.bridge: network for network in report.networks}
    items = spec.read_networks(networks)
    if not all(item["subnets"] for item in items):
        from .pools import give_subnets

        items = give_subnets(items, report, scope.project, scope.pools, around)
    wanted = [_read_network(options, there, scope.project) for options in items]
    for network in wanted:
        network.unplugged = [endpoint for endpoint in report.unplugged if endpoint.network == network.label]
    _refuse_doubles(wanted)
    return wanted


def read_names(networks: t.Sequence[arguments.Options]) -> set[str]:
    """The names in the list; other options are not read."""
    return {parsing.label("name", name) for name in spec.read_names(networks)}


def decide(
    networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes, around: Surroundings = NOTHING_AROUND
) -> None:
    """Give every endpoint its interface and its addresses; endpoints outside the list that stay keep theirs."""
    _name_interfaces(networks, staying(networks, report, goes))
    for network in networks:
        _allocate(network, goes, around)


def staying(networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes) -> list[EndpointReport]:
    """The endpoints in named namespaces that stay although they are not in the list."""
    listed = {endpoint.veth for network in networks for endpoint in network.endpoints}
    return [item for item in report.endpoints if item.netns and item.veth not in listed and not goes(item.network)]


def _read_network(options: arguments.Options, there: t.Mapping[str, NetworkReport], project: str) -> BridgeNetwork:
    name = parsing.label("name", options["name"])
    with parsing.about("network %s" % name):
        return _read_options(name, options, there, project)


def _read_options(
    name: str, options: arguments.Options, there: t.Mapping[str, NetworkReport], project: str
) -> BridgeNetwork:
    title = "network %s" % name
    bridge = _read_bridge(name, options, title)
    subnets = _read_subnets(options, title)
    _refuse_without_files(options, title)
    pools = _read_ranges(options, {version: subnet for version, (subnet, unused) in subnets.items()}, title)
    return BridgeNetwork(
        name=name,
        project=project,
        bridge=bridge,
        options=options,
        mtu=parsing.mtu("mtu", options.get("mtu")),
        subnets={v: Subnet(subnet, gateway, title, pools.get(v)) for v, (subnet, gateway) in subnets.items()},
        gateways={version: gateway for version, (unused, gateway) in subnets.items()},
        endpoints=[_read_endpoint(item, name) for item in options.get("endpoints") or ()],
        there=there.get(bridge),
    )


def _refuse_without_files(options: arguments.Options, title: str) -> None:
    """Raise InvalidRequest for options that only matter to files which are not written."""
    named = options.get("names") is not False
    found = [] if named else [(title, option) for option in ("dns", "nameservers") if options.get(option)]
    for endpoint in options.get("endpoints") or ():
        place = "%s: endpoint %s" % (title, endpoint["name"])
        unwritten = not named or endpoint.get("pid") is not None
        found += [(place, option) for option in _IN_FILES if unwritten and endpoint.get(option)]
    for place, option in found:
        why = "an endpoint by pid has no files of its own" if named else "names is false"
        raise model.InvalidRequest("%s: %s: this has no effect, since %s; leave it out." % (place, option, why))


def _read_bridge(name: str, options: arguments.Options, title: str) -> str:
    bridge = options.get("bridge") or "br-" + name
    if not options.get("bridge") and len(bridge.encode()) > model.LINK_NAME_BYTES:
        raise model.InvalidRequest(
            "%s: the name of its bridge, %s, would be too long (%d bytes, and the kernel takes %d); give a shorter one"
            " with the option bridge." % (title, bridge, len(bridge.encode()), model.LINK_NAME_BYTES)
        )
    return parsing.new_link_name("bridge", bridge)


def _read_subnets(options: arguments.Options, title: str) -> dict[int, tuple[model.Network, model.Address]]:
    given = [parsing.address("gateways", value) for value in options.get("gateways") or ()]
    result: dict[int, tuple[model.Network, model.Address]] = {}
    for value in options.get("subnets") or ():
        subnet = parsing.subnet("subnets", value)
        if subnet.version in result:
            raise model.InvalidRequest(
                "%s: two subnets of IPv%d, %s and %s; a network takes one of each family."
                % (title, subnet.version, result[subnet.version][0], subnet)
            )
        if subnet.prefixlen >= subnet.max_prefixlen:
            raise model.InvalidRequest(
                "%s: subnet %s has room for one address only; give it a shorter prefix length." % (title, subnet)
            )
        chosen = [gateway for gateway in given if gateway.version == subnet.version]
        if len(chosen) > 1:
            raise model.InvalidRequest(
                "%s: two gateways of IPv%d, %s and %s; a network takes one of each family."
                % (title, subnet.version, chosen[0], chosen[1])
            )
        first = ipaddress.ip_address(str(next(iter(subnet.hosts()))))
        result[subnet.version] = (subnet, chosen[0] if chosen else first)
    for gateway in given:
        if gateway.version not in result:
            raise model.InvalidRequest("%s: gateway %s has no subnet of its family." % (title, gateway))
    return result


def _read_ranges(
    options: arguments.Options, subnets: t.Mapping[int, model.Network], title: str
) -> dict[int, model.Network]:
    """The part of each subnet from which addresses are chosen."""
    result: dict[int, model.Network] = {}
    for value in options.get("ip_range") or ():
        part = parsing.subnet("ip_range", value)
        subnet = subnets.get(part.version)
        if subnet is None:
            raise model.InvalidRequest("%s: ip_range %s has no subnet of its family." % (title, part))
        if part.version in result:
            raise model.InvalidRequest(
                "%s: two ip_ranges of IPv%d, %s and %s; a network takes one of each family."
                % (title, part.version, result[part.version], part)
            )
        if part.prefixlen < subnet.prefixlen or part.network_address not in subnet:
            raise model.InvalidRequest(
                "%s: ip_range %s is not inside the subnet %s; choose a part of it." % (title, part, subnet)
            )
        result[part.version] = part
    return result


def _read_endpoint(options: arguments.Options, network: str) -> Endpoint:
    with parsing.about("network %s: endpoints" % network):
        name = parsing.endpoint_name("name", options["name"])
    title = "network %s: endpoint %s" % (network, name)
    with parsing.about(title):
        given = options.get("interface")
        texts = [str(value).partition("/")[0] for value in options.get("addresses") or ()]
        return Endpoint(
            name=name,
            place=_read_place(options, name, title),
            veth=veth_name(network, name),
            interface=parsing.new_link_name("interface", given) if given else "",
            mac_address=parsing.mac_address("mac_address", options.get("mac_address") or None),
            wanted=[parsing.address("addresses", text) for text in texts],
            publish=[parse(value) for value in options.get("publish") or ()],
            default_route=options.get("default_route") is not False,
            options=options,
            services=_read_services(options, title),
            sysctls=_read_sysctls(options, title),
        )


def _read_sysctls(options: arguments.Options, title: str) -> tuple[tuple[str, str], ...]:
    found = parsing.sysctls("sysctls", options.get("sysctls"))
    if found and options.get("pid") is not None:
        raise model.InvalidRequest(
            "%s: sysctls are those of a namespace with a name, and this one is known by its pid; give it a name with"
            " the module netns, and set netns to that." % title
        )
    return found


def _read_place(options: arguments.Options, name: str, title: str) -> model.Place:
    pid = parsing.pid("pid", options.get("pid"))
    if pid is None:
        return model.Place(netns=parsing.namespace_name("netns", options.get("netns") or name))
    if options.get("netns"):
        raise model.InvalidRequest("%s lives in a namespace by name or by pid, not both." % title)
    return model.Place(pid=pid)


def _read_services(options: arguments.Options, title: str) -> list[str]:
    units = [parsing.service("services", unit) for unit in options.get("services") or ()]
    if units and options.get("pid"):
        raise model.InvalidRequest(
            "%s: services need a namespace with a name; give it one by netns, not by pid." % title
        )
    if units:
        parsing.service_namespace("netns", options.get("netns") or options["name"])
    return units


def _refuse_doubles(networks: t.Sequence[BridgeNetwork]) -> None:
    names: set[str] = set()
    bridges: dict[str, str] = {}
    for network in networks:
        if network.name in names:
            raise model.InvalidRequest(
                "Network %s is in the list twice; write it once, with all of its endpoints." % network.name
            )
        names.add(network.name)
        other = bridges.setdefault(network.bridge, network.name)
        if other != network.name:
            raise model.InvalidRequest(
                "Networks %s and %s have the same bridge %s; give one of them another bridge."
                % (other, network.name, network.bridge)
            )
        _refuse_double_endpoints(network)
    found = first_overlap((s.network, network.name) for network in networks for s in network.subnets.values())
    if found is not None:
        (one, first), (two, second) = found
        raise model.InvalidRequest(
            "Networks %s and %s overlap: %s and %s; give one of them another subnet." % (first, second, one, two)
        )


def _refuse_double_endpoints(network: BridgeNetwork) -> None:
    places: dict[model.Place, str] = {}
    names: set[str] = set()
    for endpoint in network.endpoints:
        if endpoint.name in names:
            raise model.InvalidRequest(_twice(network.name, endpoint.name, endpoint))
        names.add(endpoint.name)
        if endpoint.place in places:
            raise model.InvalidRequest(_twice(network.name, places[endpoint.place], endpoint))
        places[endpoint.place] = endpoint.name


def _twice(network: str, one: str, other: Endpoint) -> str:
    if one == other.name:
        return "network %s: endpoint %s is in the list twice; write it once, or give the other another name." % (
            network,
            one,
        )
    return "network %s: endpoints %s and %s would both live in %s; give one of them another netns or pid." % (
        network,
        one,
        other.name,
        other.place,
    )


def _name_interfaces(networks: t.Sequence[BridgeNetwork], staying: t.Sequence[EndpointReport]) -> None:
    """Name interfaces eth0, eth1, … in the order of the list; an endpoint keeps the interface that it has.

    Those that the list names come first, so that nobody is refused for a name that it need not have.
    """
    taken: dict[model.Place, dict[str | None, str]] = {}
    for other in staying:
        taken.setdefault(model.Place(netns=other.netns), {})[other.interface] = _holder(other)
    every = [(network, endpoint) for network in networks for endpoint in network.endpoints]
    for network, endpoint in every:
        names = taken.setdefault(endpoint.place, {})
        if endpoint.interface and endpoint.interface in names:
            raise model.InvalidRequest(
                "network %s: interface %s of endpoint %s is taken by %s; give it another interface, or leave it out."
                % (network.name, endpoint.interface, endpoint.name, names[endpoint.interface])
            )
        if endpoint.interface:
            names[endpoint.interface] = "network %s" % network.name
    known = {there.veth: there for network in networks for there in network.known().values()}
    for unused, endpoint in every:
        there = known.get(endpoint.veth)
        name = there.interface if there is not None and not _moves(endpoint, there) else None
        if not endpoint.interface and name and name not in taken[endpoint.place]:
            endpoint.interface = name
            taken[endpoint.place][name] = ""
    for unused, endpoint in every:
        if not endpoint.interface:
            names = taken[endpoint.place]
            number = next(number for number in range(len(names) + 1) if "eth%d" % number not in names)
            endpoint.interface = "eth%d" % number
            names[endpoint.interface] = ""


def _holder(other: EndpointReport) -> str:
    network = name_of(other.network)
    return "veth %s of network %s" % (other.veth, network) if network else "veth %s, which no network has" % other.veth


def _moves(endpoint: Endpoint, there: EndpointReport) -> bool:
    """Whether the list wants an endpoint in another namespace, where its interface may be that of somebody else."""
    return there.netns is not None and endpoint.place.netns not in (None, there.netns)


def _allocate(network: BridgeNetwork, goes: Goes, around: Surroundings) -> None:
    """Give addresses: first those in the list, then present ones, then new ones, so that no endpoint is renumbered.

    New ones are given in the order of names, so that the order of the list does not matter if two names lead to one
    address.
    """
    for endpoint in network.endpoints:
        for address in endpoint.wanted:
            _give(network, endpoint, address)
    _reserve(network, goes)
    known = network.known()
    for endpoint in network.endpoints:
        if endpoint.veth in known:
            _keep(network, endpoint, known[endpoint.veth])
    for address in around.addresses():
        subnet = network.subnets.get(address.version)
        if subnet is not None and subnet.is_free(address.ip):
            subnet.take(address.ip, "the host")
    for endpoint in sorted(network.endpoints, key=_name):
        _choose(network, endpoint)
        endpoint.addresses.sort(key=_version)


def _choose(network: BridgeNetwork, endpoint: Endpoint) -> None:
    held = {address.version for address in endpoint.addresses}
    seed = "/".join((network.project, network.name, endpoint.name))
    for version, subnet in network.subnets.items():
        if version not in held:
            endpoint.addresses.append(subnet.interface(subnet.choose(seed, "endpoint %s" % endpoint.name)))


def _keep(network: BridgeNetwork, endpoint: Endpoint, there: EndpointReport) -> None:
    """Let an endpoint keep its addresses if they are still free and the list gives it no others."""
    held = {address.version for address in endpoint.addresses}
    for known in model.oldest_first(there.addresses):
        subnet = network.subnets.get(known.version)
        if subnet is not None and known.version not in held and subnet.is_free(known.ip):
            held.add(known.version)
            subnet.take(known.ip, "endpoint %s" % endpoint.name)
            endpoint.addresses.append(known if known.network == subnet.network else subnet.interface(known.ip))


def displaced(networks: t.Sequence[BridgeNetwork]) -> t.Iterator[str]:
    """Warnings about endpoints that exist, and whose addresses the list gives to others."""
    for network in networks:
        known = network.known()
        for endpoint in network.endpoints:
            there, pinned = known.get(endpoint.veth), {address.version for address in endpoint.wanted}
            for old in there.addresses if there is not None else ():
                new = next((address.ip for address in endpoint.addresses if address.version == old.version), None)
                holder = network.subnets[old.version].holder(old.ip) if new is not None else ""
                if holder and new != old.ip and old.version not in pinned:
                    yield _DISPLACED % (network.name, endpoint.name, old.ip, new, holder, endpoint.name)


def _reserve(network: BridgeNetwork, goes: Goes) -> None:
    """Reserve the addresses of endpoints that stay although they are not in the list."""
    listed = {endpoint.veth for endpoint in network.endpoints}
    for other in network.others:
        if other.veth in listed or goes(other.network):
            continue
        for known in other.addresses:
            subnet = network.subnets.get(known.version)
            if subnet is not None and known.ip in subnet.network:
                subnet.take(known.ip, "endpoint %s, which is not in the list" % (other.netns or other.veth))


def _give(network: BridgeNetwork, endpoint: Endpoint, address: model.Address) -> None:
    subnet = network.subnets.get(address.version)
    if subnet is None:
        raise model.InvalidRequest(
            "network %s: address %s of endpoint %s is of a family that the network has no subnet of; add one, or"
            " leave the address out." % (network.name, address, endpoint.name)
        )
    subnet.take(address, "endpoint %s" % endpoint.name)
    endpoint.addresses.append(subnet.interface(address))


def _version(address: model.Interface) -> int:
    return address.version


def _name(endpoint: Endpoint) -> str:
    return endpoint.name


def veth_name(network: str, endpoint: str) -> str:
    """The name of the host's end of an endpoint's veth pair: readable if it fits and is unique, otherwise a hash."""
    plain = "v-%s-%s" % (network, endpoint)
    if len(plain) <= model.LINK_NAME_BYTES and re.fullmatch(_WORD, network) and re.fullmatch(_WORD, endpoint):
        return plain
    digest = hashlib.sha256(("%s/%s" % (network, endpoint)).encode()).hexdigest()
    return "v-%s-%s" % (re.sub(r"[^A-Za-z0-9_]", "", endpoint)[:4], digest[:8])


def mac_address(addresses: t.Sequence[model.Interface]) -> str:
    """A MAC address that follows from the first IP address, so that neighbours' caches stay right."""
    packed = addresses[0].ip.packed
    tail = packed if len(packed) == 4 else hashlib.sha256(packed).digest()[:4]
    return ":".join("%02x" % byte for byte in (0x02, 0x42, *tail))


def aliases(networks: t.Sequence[BridgeNetwork]) -> Aliases:
    """All aliases in a list; an endpoint may also have those for its other networks."""
    found: dict[tuple[str, model.Place], list[str]] = {}
    for network, endpoint, name, given in given_aliases(networks):
        found.setdefault((name, endpoint.place), []).extend(_read_aliases(given, endpoint, network))
    return found


def given_aliases(networks: t.Sequence[BridgeNetwork]) -> t.Iterator[tuple[BridgeNetwork, Endpoint, str, object]]:
    """Each endpoint with the name of a network, its own or another one, and the aliases that it is given for that."""
    for network in networks:
        for endpoint in network.endpoints:
            value = endpoint.options.get("aliases")
            if value is not None and value != "":
                by_network = value if isinstance(value, t.Mapping) else {network.name: value}
                for name, given in by_network.items():
                    yield network, endpoint, str(name), given


def _read_aliases(value: object, endpoint: Endpoint, network: BridgeNetwork) -> list[str]:
    title = "network %s: endpoint %s" % (network.name, endpoint.name)
    names = read_list(title, "aliases", _NAMES, value) if value is not None else []
    with parsing.about(title):
        return [parsing.host_name("aliases", name) for name in names]
