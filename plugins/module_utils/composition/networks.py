# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's list of networks, read and checked, with names and addresses decided."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

from .. import parsing as read
from ..model import LINK_NAME_BYTES, Address, Interface, InvalidRequest, Network
from . import spec
from .allocate import Subnet
from .publish import Publish, parse

Facts = t.Mapping[str, t.Any]


@dataclass
class Endpoint:
    """One end of a network, with what is decided about it so far."""

    name: str
    netns: str | None
    pid: int | None
    options: Facts
    interface: str
    wanted: t.Sequence[Address]
    publish: t.Sequence[Publish]
    addresses: list[Interface] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, t.Any]:
        """The namespace that it lives in."""
        return ("netns", self.netns) if self.pid is None else ("pid", self.pid)


@dataclass
class BridgeNetwork:
    """A network of the role's list."""

    name: str
    bridge: str
    options: Facts
    subnets: dict[int, Subnet]
    gateways: dict[int, Address]
    endpoints: list[Endpoint]
    known: t.Mapping[str, Facts]  # endpoints of this network that are on the host, by the host's end of their veth pair
    others: t.Sequence[Facts] = ()  # all endpoints that are on its bridge

    @property
    def internal(self) -> bool:
        """Whether it has no way out."""
        return bool(self.options.get("internal"))

    def veth(self, endpoint: Endpoint) -> str:
        """The host's end of an endpoint's veth pair, by which the endpoint is known again wherever it lives."""
        return veth_name(self.name, endpoint.name)


def read_networks(networks: t.Sequence[Facts], info: Facts) -> list[BridgeNetwork]:
    """The list as objects; raises InvalidRequest. ``info`` is what network_info returned."""
    there = {network["bridge"]: network for network in info.get("networks", ())}
    wanted = [_read_network(options, there) for options in networks]
    _refuse_doubles(wanted)
    return wanted


def read_names(networks: t.Sequence[Facts]) -> set[str]:
    """The names in the list, whatever else is said of the networks."""
    return {_read_name(options) for options in networks}


def decide(networks: t.Sequence[BridgeNetwork], info: Facts, prune: bool) -> None:
    """Give every endpoint its interface's name and its addresses.

    Without ``prune``, what is there and not in the list stays, and keeps its addresses and its interface.
    """
    _name_interfaces(networks, [] if prune else _unlisted(networks, info))
    for network in networks:
        _allocate(network, prune)


def _read_name(options: t.Any) -> str:
    name = options.get("name") if isinstance(options, t.Mapping) else None
    if name in (None, ""):
        raise InvalidRequest("A network needs a name.")
    return read.label("name", str(name))


def _read_network(given: Facts, networks: t.Mapping[str, Facts]) -> BridgeNetwork:
    name = _read_name(given)
    with read.about("network %s" % name):
        return _read_options(name, given, networks)


def _read_options(name: str, given: Facts, networks: t.Mapping[str, Facts]) -> BridgeNetwork:
    title = "network %s" % name
    options = spec.read(title, spec.NETWORK, given)
    bridge = options.get("bridge") or "br-" + name
    if not options.get("bridge") and len(bridge.encode()) > LINK_NAME_BYTES:
        raise InvalidRequest(
            "%s: the name of its bridge, %s, would be too long (%d bytes, and the kernel takes %d); give a shorter one"
            " with the option bridge." % (title, bridge, len(bridge.encode()), LINK_NAME_BYTES)
        )
    subnets = _read_subnets(options, title)
    endpoints = [_read_endpoint(item, title) for item in options.get("endpoints") or ()]
    there = networks.get(bridge, {})
    known = {item["veth"]: item for item in there.get("endpoints", ()) if item["network"] == name}
    gateways = {version: gateway for version, (unused, gateway) in subnets.items()}
    held = {version: Subnet(subnet, gateway, title) for version, (subnet, gateway) in subnets.items()}
    others = there.get("endpoints", ())
    return BridgeNetwork(name, read.link_name("bridge", bridge), options, held, gateways, endpoints, known, others)


def _read_subnets(options: Facts, title: str) -> dict[int, tuple[Network, Address]]:
    given = [read.address("gateways", value) for value in options.get("gateways") or ()]
    result: dict[int, tuple[Network, Address]] = {}
    for value in options.get("subnets") or ():
        subnet = read.network("subnets", value)
        if subnet.version in result:
            raise InvalidRequest(
                "%s: two subnets of IPv%d, %s and %s; a network takes one of each family."
                % (title, subnet.version, result[subnet.version][0], subnet)
            )
        if subnet.prefixlen >= subnet.max_prefixlen:
            raise InvalidRequest("%s: subnet %s has room for one address only." % (title, subnet))
        chosen = [gateway for gateway in given if gateway.version == subnet.version]
        if len(chosen) > 1:
            raise InvalidRequest(
                "%s: two gateways of IPv%d, %s and %s; a network takes one of each family."
                % (title, subnet.version, chosen[0], chosen[1])
            )
        first = ipaddress.ip_address(str(next(iter(subnet.hosts()))))
        result[subnet.version] = (subnet, chosen[0] if chosen else first)
    for gateway in given:
        if gateway.version not in result:
            raise InvalidRequest("%s: gateway %s has no subnet of its family." % (title, gateway))
    return result


def _read_endpoint(options: Facts, title: str) -> Endpoint:
    name = options.get("name")
    if not name:
        raise InvalidRequest("%s: an endpoint needs a name." % title)
    with read.about("%s: endpoint %s" % (title, name)):
        pid = read.pid("pid", options.get("pid"))
        if pid is not None and options.get("netns"):
            raise InvalidRequest("%s: endpoint %s lives in a namespace by name or by pid, not both." % (title, name))
        netns = None if pid is not None else read.namespace_name("netns", options.get("netns") or name)
        given = options.get("interface")
        interface = read.link_name("interface", given) if given else ""
        texts = [str(value).partition("/")[0] for value in options.get("addresses") or ()]
        wanted = [read.address("addresses", text) for text in texts]
        publish = [parse(value) for value in options.get("publish") or ()]
    return Endpoint(name, netns, pid, options, interface, wanted, publish)


def _refuse_doubles(networks: t.Sequence[BridgeNetwork]) -> None:
    seen: list[BridgeNetwork] = []
    for network in networks:
        for other in seen:
            if other.name == network.name:
                raise InvalidRequest("Network %s is in the list twice." % network.name)
            if other.bridge == network.bridge:
                raise InvalidRequest(
                    "Networks %s and %s have the same bridge %s." % (other.name, network.name, other.bridge)
                )
            for version in set(network.subnets) & set(other.subnets):
                one, two = other.subnets[version].network, network.subnets[version].network
                if one.overlaps(two):
                    raise InvalidRequest(
                        "Networks %s and %s overlap: %s and %s." % (other.name, network.name, one, two)
                    )
        seen.append(network)
        places: dict[t.Any, str] = {}
        for endpoint in network.endpoints:
            if endpoint.place in places:
                raise InvalidRequest(
                    "network %s: endpoint %s is in the list twice." % (network.name, places[endpoint.place])
                )
            places[endpoint.place] = endpoint.name


def _unlisted(networks: t.Sequence[BridgeNetwork], info: Facts) -> list[Facts]:
    """The endpoints on the host that are not in the list."""
    listed = {network.veth(endpoint) for network in networks for endpoint in network.endpoints}
    found = [endpoint for network in info.get("networks", ()) for endpoint in network["endpoints"]]
    return [item for item in found if item["netns"] and item["veth"] not in listed]


def _name_interfaces(networks: t.Sequence[BridgeNetwork], staying: t.Sequence[Facts]) -> None:
    """eth0, eth1, … by the order of the list; an endpoint keeps the interface that it has."""
    taken: dict[tuple[str, t.Any], dict[str, str]] = {}
    for facts in staying:
        taken.setdefault(("netns", facts["netns"]), {})[facts["interface"]] = facts["network"]
    rest = []
    for network in networks:
        for endpoint in network.endpoints:
            known = network.known.get(network.veth(endpoint), {})
            name = endpoint.interface or known.get("interface")
            if not name:
                rest.append(endpoint)
            elif name in taken.setdefault(endpoint.place, {}):
                raise InvalidRequest(
                    "network %s: interface %s of endpoint %s is taken by network %s."
                    % (network.name, name, endpoint.name, taken[endpoint.place][name])
                )
            else:
                endpoint.interface = name
                taken[endpoint.place][name] = network.name
    for endpoint in rest:
        names = taken.setdefault(endpoint.place, {})
        number = next(number for number in range(len(names) + 1) if "eth%d" % number not in names)
        endpoint.interface = "eth%d" % number
        names[endpoint.interface] = ""


def _allocate(network: BridgeNetwork, prune: bool) -> None:
    """Given addresses first, then what endpoints have, then the lowest free ones: nobody is renumbered for another."""
    for endpoint in network.endpoints:
        for address in endpoint.wanted:
            _give(network, endpoint, address)
    if not prune:
        _reserve(network)
    for endpoint in network.endpoints:
        held = {address.version for address in endpoint.addresses}
        for value in network.known.get(network.veth(endpoint), {}).get("addresses", ()):
            address = ipaddress.ip_interface(value).ip
            subnet = network.subnets.get(address.version)
            if subnet is not None and address.version not in held and subnet.is_free(address):
                held.add(address.version)
                _give(network, endpoint, address)
    for endpoint in network.endpoints:
        held = {address.version for address in endpoint.addresses}
        for version, subnet in network.subnets.items():
            if version not in held:
                address = subnet.lowest("endpoint %s" % endpoint.name)
                endpoint.addresses.append(ipaddress.ip_interface("%s/%d" % (address, subnet.network.prefixlen)))
        endpoint.addresses.sort(key=lambda address: address.version)


def _reserve(network: BridgeNetwork) -> None:
    """Leave the addresses of endpoints alone that are not in the list and stay."""
    listed = {network.veth(endpoint) for endpoint in network.endpoints}
    for facts in network.others:
        if facts["veth"] in listed:
            continue
        for value in facts["addresses"]:
            address = ipaddress.ip_interface(value).ip
            if address.version in network.subnets and address in network.subnets[address.version].network:
                network.subnets[address.version].take(address, "endpoint %s, which is not in the list" % facts["name"])


def _give(network: BridgeNetwork, endpoint: Endpoint, address: Address) -> None:
    subnet = network.subnets.get(address.version)
    if subnet is None:
        raise InvalidRequest(
            "network %s: address %s of endpoint %s is of a family that the network has no subnet of."
            % (network.name, address, endpoint.name)
        )
    subnet.take(address, "endpoint %s" % endpoint.name)
    endpoint.addresses.append(ipaddress.ip_interface("%s/%d" % (address, subnet.network.prefixlen)))


def veth_name(network: str, endpoint: str) -> str:
    """The host's end of an endpoint's veth pair: readable where that fits and is sure to be unique, else a hash."""
    plain = "v-%s-%s" % (network, endpoint)
    word = re.compile(r"[A-Za-z0-9_]+")
    if len(plain) <= LINK_NAME_BYTES and word.fullmatch(network) and word.fullmatch(endpoint):
        return plain
    digest = hashlib.sha256(("%s/%s" % (network, endpoint)).encode()).hexdigest()
    return "v-%s-%s" % (re.sub(r"[^A-Za-z0-9_]", "", endpoint)[:4], digest[:8])


def mac_address(addresses: t.Sequence[Interface]) -> str:
    """An address of a station that follows from its first IP address, so that neighbours' caches stay right."""
    packed = addresses[0].ip.packed
    tail = packed if len(packed) == 4 else hashlib.sha256(packed).digest()[:4]
    return ":".join("%02x" % byte for byte in (0x02, 0x42, *tail))
