# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the role's list of networks, and what is on the host, to the arguments of the modules.

Pure: the same list and the same host give the same arguments, so a second run asks for what the first one made.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

from ..module_utils import options as read
from ..module_utils.firewall.port_table import PortTable
from ..module_utils.kinds.port_publish import PortPublishKind
from ..module_utils.model import LINK_NAME_BYTES, Address, InvalidRequest, Network, PortRange
from .allocate import Subnet
from .publish import Publish, parse

Facts = t.Mapping[str, t.Any]
Item = t.Dict[str, t.Any]
MODULES = ("bridge", "netns", "veth", "bridge_firewall", "nat_masquerade", "port_publish")


@dataclass
class Endpoint:
    """One end of a network, with what is decided about it so far."""

    name: str
    netns: t.Optional[str]
    pid: t.Optional[int]
    options: Facts
    interface: str = ""
    addresses: t.List[t.Any] = field(default_factory=list)  # with prefix lengths
    publish: t.List[Publish] = field(default_factory=list)

    @property
    def place(self) -> t.Tuple[str, t.Any]:
        """The namespace that it lives in."""
        return ("netns", self.netns) if self.pid is None else ("pid", self.pid)


@dataclass
class Network_:
    """A network of the role's list."""

    name: str
    bridge: str
    options: Facts
    subnets: t.Dict[int, Subnet]
    gateways: t.Dict[int, Address]
    endpoints: t.List[Endpoint]
    known: t.Mapping[str, Facts]  # endpoints of this network that are on the host, by namespace

    @property
    def internal(self) -> bool:
        """Whether it has no way out."""
        return bool(self.options.get("internal"))


@dataclass
class Plan:
    """The arguments of each module, and what goes away before anything is made."""

    present: t.Dict[str, t.List[Item]] = field(default_factory=lambda: {module: [] for module in MODULES})
    absent: t.Dict[str, t.List[Item]] = field(default_factory=lambda: {module: [] for module in MODULES})
    forward: Item = field(default_factory=dict)


def compose(
    networks: t.Sequence[Facts], info: Facts, prune: bool = True, state: str = "present"
) -> t.Dict[str, t.Any]:
    """The arguments for the modules; raises InvalidRequest, whose text is for the user.

    ``info`` is what network_info returned.
    """
    wanted = [_read_network(options, info) for options in networks]
    _refuse_doubles(wanted)
    plan = Plan()
    if state == "present":
        _name_interfaces(wanted)
        for network in wanted:
            _allocate(network)
        ports = _Ports(info)
        for network in wanted:
            _plan_network(network, ports, plan)
        _plan_namespaces(wanted, plan)
        plan.present["veth"] = _plan_veths(wanted)
    names = {network.name for network in wanted}
    if state == "absent":
        _remove(plan, info, lambda label: label in names)
    elif prune:
        _remove(plan, info, bool)
    plan.forward = _forwarding(wanted, plan, info, state)
    return {"present": plan.present, "absent": plan.absent, "forward": plan.forward, "remove": any(plan.absent.values())}


# ---- reading the list --------------------------------------------------------------------------------------------


def _read_network(options: Facts, info: Facts) -> Network_:
    name = read.label("name", options.get("name"))
    if not name:
        raise InvalidRequest("A network needs a name.")
    title = "network %s" % name
    bridge = options.get("bridge") or "br-" + name
    if not options.get("bridge") and len(bridge.encode()) > LINK_NAME_BYTES:
        raise InvalidRequest(
            "%s: the name of its bridge, %s, would be too long (%d bytes, and the kernel takes %d); give a shorter one"
            " with the option bridge." % (title, bridge, len(bridge.encode()), LINK_NAME_BYTES)
        )
    subnets = _read_subnets(options, title)
    endpoints = [_read_endpoint(item, title) for item in options.get("endpoints") or ()]
    there = next((item for item in info.get("networks", ()) if item["bridge"] == bridge), {})
    known = {item["netns"]: item for item in there.get("endpoints", ()) if item["netns"] and item["network"] == name}
    gateways = {version: gateway for version, (unused, gateway) in subnets.items()}
    held = {version: Subnet(subnet, gateway, title) for version, (subnet, gateway) in subnets.items()}
    return Network_(name, read.link_name("bridge", bridge), options, held, gateways, endpoints, known)


def _read_subnets(options: Facts, title: str) -> t.Dict[int, t.Tuple[Network, Address]]:
    given = [read.address("gateways", value) for value in options.get("gateways") or ()]
    result: t.Dict[int, t.Tuple[Network, Address]] = {}
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
        result[subnet.version] = (subnet, chosen[0] if chosen else next(iter(subnet.hosts())))
    for gateway in given:
        if gateway.version not in result:
            raise InvalidRequest("%s: gateway %s has no subnet of its family." % (title, gateway))
    return result


def _read_endpoint(options: Facts, title: str) -> Endpoint:
    name = options.get("name")
    if not name:
        raise InvalidRequest("%s: an endpoint needs a name." % title)
    pid = read.pid("pid", options.get("pid"))
    if pid is not None and options.get("netns"):
        raise InvalidRequest("%s: endpoint %s lives in a namespace by name or by pid, not both." % (title, name))
    netns = None if pid is not None else read.namespace_name("netns", options.get("netns") or name)
    return Endpoint(name, netns, pid, options, publish=[parse(value) for value in options.get("publish") or ()])


def _refuse_doubles(networks: t.Sequence[Network_]) -> None:
    seen: t.List[Network_] = []
    for network in networks:
        for other in seen:
            if other.name == network.name:
                raise InvalidRequest("Network %s is in the list twice." % network.name)
            if other.bridge == network.bridge:
                raise InvalidRequest("Networks %s and %s have the same bridge %s." % (other.name, network.name, other.bridge))
            for version in set(network.subnets) & set(other.subnets):
                one, two = other.subnets[version].network, network.subnets[version].network
                if one.overlaps(two):  # type: ignore[arg-type]
                    raise InvalidRequest("Networks %s and %s overlap: %s and %s." % (other.name, network.name, one, two))
        seen.append(network)
        places = [endpoint.place for endpoint in network.endpoints]
        for endpoint in network.endpoints:
            if places.count(endpoint.place) > 1:
                raise InvalidRequest("network %s: endpoint %s is in the list twice." % (network.name, endpoint.name))


# ---- names, addresses ----------------------------------------------------------------------------------------------


def _name_interfaces(networks: t.Sequence[Network_]) -> None:
    """eth0, eth1, … by the order of the list; an endpoint keeps the interface that it has."""
    taken: t.Dict[t.Tuple[str, t.Any], t.Dict[str, str]] = {}
    rest = []
    for network in networks:
        for endpoint in network.endpoints:
            known = network.known.get(endpoint.netns or "", {})
            given = endpoint.options.get("interface")
            name = read.link_name("interface", given) if given else known.get("interface")
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


def _allocate(network: Network_) -> None:
    """Given addresses first, then what endpoints have, then the lowest free ones: nobody is renumbered for another."""
    for endpoint in network.endpoints:
        for value in endpoint.options.get("addresses") or ():
            _give(network, endpoint, read.address("addresses", str(value).partition("/")[0]))
    for endpoint in network.endpoints:
        held = {address.version for address in endpoint.addresses}
        for value in network.known.get(endpoint.netns or "", {}).get("addresses", ()):
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


def _give(network: Network_, endpoint: Endpoint, address: Address) -> None:
    subnet = network.subnets.get(address.version)
    if subnet is None:
        raise InvalidRequest(
            "network %s: address %s of endpoint %s is of a family that the network has no subnet of."
            % (network.name, address, endpoint.name)
        )
    subnet.take(address, "endpoint %s" % endpoint.name)
    endpoint.addresses.append(ipaddress.ip_interface("%s/%d" % (address, subnet.network.prefixlen)))


def veth_name(network: str, endpoint: str) -> str:
    """The host's end of an endpoint's cable: readable where it fits and is certain to be unique, else with a hash."""
    plain = "v-%s-%s" % (network, endpoint)
    word = re.compile(r"[A-Za-z0-9_]+")
    if len(plain) <= LINK_NAME_BYTES and word.fullmatch(network) and word.fullmatch(endpoint):
        return plain
    digest = hashlib.sha256(("%s/%s" % (network, endpoint)).encode()).hexdigest()
    return "v-%s-%s" % (re.sub(r"[^A-Za-z0-9_]", "", endpoint)[:6], digest[:6])


def mac_address(addresses: t.Sequence[t.Any]) -> str:
    """An address of a station that follows from its first IP address, so that neighbours' caches stay right."""
    packed = addresses[0].ip.packed
    tail = packed if len(packed) == 4 else hashlib.sha256(packed).digest()[:4]
    return ":".join("%02x" % byte for byte in (0x02, 0x42, *tail))


# ---- what to make ------------------------------------------------------------------------------------------------


def _plan_network(network: Network_, ports: _Ports, plan: Plan) -> None:
    options = network.options
    label = {"network": network.name}
    subnets = {version: subnet.network for version, subnet in network.subnets.items()}
    plan.present["bridge"].append(
        dict(
            label,
            name=network.bridge,
            addresses=["%s/%d" % (network.gateways[v], subnet.prefixlen) for v, subnet in subnets.items()],
            **_given(options, "mtu"),
        )
    )
    plan.present["bridge_firewall"].append(
        dict(
            label,
            bridge=network.bridge,
            subnets=[str(subnet) for subnet in subnets.values()],
            internal=network.internal,
            icc=options.get("icc") is not False,
            **_given(options, "direct_access", "trusted_interfaces", "host_access", "allow"),
        )
    )
    plan.present["nat_masquerade"] += _plan_masquerades(network, subnets)
    for endpoint in network.endpoints:
        for publish in endpoint.publish:
            plan.present["port_publish"] += _plan_publish(network, endpoint, publish, ports)


def _given(options: Facts, *names: str) -> Item:
    return {name: options[name] for name in names if options.get(name) is not None}


def _plan_masquerades(network: Network_, subnets: t.Mapping[int, Network]) -> t.List[Item]:
    wanted = network.options.get("masquerade", True)
    if wanted is None:
        wanted = True
    if network.internal or wanted is False:
        return []
    extra = wanted if isinstance(wanted, t.Mapping) else {}
    result = []
    for version, subnet in subnets.items():
        exclude = [value for value in extra.get("exclude") or () if read.network("exclude", value).version == version]
        item: Item = {"source": str(subnet), "out_interface": extra.get("out_interface") or "!" + network.bridge}
        item.update(_given(extra, "random_fully"), exclude=exclude, network=network.name)
        if extra.get("to_source") and read.address("to_source", extra["to_source"]).version == version:
            item["to_source"] = extra["to_source"]
        result.append(item)
    return result


def _plan_namespaces(networks: t.Sequence[Network_], plan: Plan) -> None:
    """Each namespace once, noted under the first network that needs it."""
    seen: t.Dict[str, Item] = {}
    for network in networks:
        for endpoint in network.endpoints:
            if endpoint.netns is not None and endpoint.netns not in seen:
                seen[endpoint.netns] = {"name": endpoint.netns, "network": network.name}
    plan.present["netns"] = list(seen.values())


def _plan_veths(networks: t.Sequence[Network_]) -> t.List[Item]:
    gateways_given: t.Set[t.Tuple[t.Any, int]] = set()
    result = []
    for network in networks:
        for endpoint in network.endpoints:
            gateways = []
            for version, gateway in network.gateways.items():
                # one way out for each family: the first network that has one
                if not network.internal and (endpoint.place, version) not in gateways_given:
                    gateways_given.add((endpoint.place, version))
                    gateways.append(str(gateway))
            result.append(_plan_veth(network, endpoint, gateways))
    return result


def _plan_veth(network: Network_, endpoint: Endpoint, gateways: t.List[str]) -> Item:
    known = network.known.get(endpoint.netns or "", {})
    options = endpoint.options
    mac = options.get("mac_address") or (mac_address(endpoint.addresses) if endpoint.addresses else None)
    place = {"netns": endpoint.netns} if endpoint.pid is None else {"pid": endpoint.pid}
    peer = dict(
        place, name=endpoint.interface, addresses=[str(address) for address in endpoint.addresses], gateways=gateways
    )
    if mac:
        peer["mac_address"] = mac
    return dict(
        _given(network.options, "mtu"),
        name=known.get("veth") or veth_name(network.name, endpoint.name),
        bridge=network.bridge,
        isolated=network.options.get("icc") is False,
        network=network.name,
        peer=peer,
    )


# ---- ports -------------------------------------------------------------------------------------------------------


class _Ports:
    """Ports that are published, so that one without a number can be given one, and keep it."""

    def __init__(self, info: Facts) -> None:
        kind = PortPublishKind()
        self._known = [(item.get("network", ""), kind.parse(item)) for item in info.get("ports", ())]
        self._taken = PortTable(port for unused, port in self._known)

    def choose(self, item: Item, out_of: PortRange, network: str) -> int:
        """The port that this endpoint's port is published on already, else the lowest free one."""
        kind = PortPublishKind()
        probe = kind.parse(dict(item, host_port=out_of.first))
        for label, port in self._known:
            same = (port.container_ip, port.container_port, port.protocol, port.host_ip, len(port.host_ports))
            if label == network and same == (probe.container_ip, probe.container_port, probe.protocol, probe.host_ip, 1):
                if out_of.first <= port.host_ports.first <= out_of.last:
                    return port.host_ports.first
        for number in range(out_of.first, out_of.last + 1):
            wish = kind.parse(dict(item, host_port=number))
            if self._taken.get(wish) is None and not any(True for unused in self._taken.clashes(wish)):
                self._taken.add(wish)
                return number
        raise InvalidRequest("publish: none of the host ports %s is free for %s." % (out_of, item["container_ip"]))


def _plan_publish(network: Network_, endpoint: Endpoint, publish: Publish, ports: _Ports) -> t.List[Item]:
    title = "network %s: endpoint %s" % (network.name, endpoint.name)
    result: t.List[Item] = []
    versions: t.Set[int] = set()
    for address in endpoint.addresses:
        version = address.version
        sources = [str(source) for source in publish.allowed_sources if source.version == version]
        if version in versions:
            continue  # a further address of the family: the first one serves
        if publish.host_ip is not None and publish.host_ip.version != version:
            continue
        if publish.allowed_sources and not sources:
            continue  # nobody of this family is meant; no restriction at all would mean everybody
        item: Item = {
            "container_ip": str(address.ip),
            "container_port": str(publish.container_ports),
            "protocol": publish.protocol,
            "bridge": network.bridge,
            "allowed_sources": sources,
            "in_interfaces": list(publish.in_interfaces),
            "network": network.name,
        }
        if publish.host_ip is not None:
            item["host_ip"] = str(publish.host_ip)
        choice = publish.choice
        if choice is None:
            item["host_port"] = str(publish.host_ports)
        else:
            item["host_port"] = result[0]["host_port"] if result else str(ports.choose(item, choice, network.name))
        result.append(item)
        versions.add(version)
    if not result:
        raise InvalidRequest("%s cannot publish %s: it has no address of that family." % (title, publish.text))
    return result


# ---- what to take away -------------------------------------------------------------------------------------------


def _remove(plan: Plan, info: Facts, ours: t.Callable[[str], bool]) -> None:
    """Put what the role made (``ours`` of its label) and nobody wants any more on the list of what goes."""
    kind = PortPublishKind()
    kept = {module: {item.get("name") for item in plan.present[module]} for module in ("bridge", "netns", "veth")}
    policies = {item["bridge"]: item for item in plan.present["bridge_firewall"]}
    ports = {kind.parse(item).key: item for item in plan.present["port_publish"]}
    masquerades = {(item["source"], item["out_interface"]): item for item in plan.present["nat_masquerade"]}
    for item in info.get("ports", ()):
        wanted = ports.get(kind.parse(item).key)
        if ours(item.get("network", "")) and (wanted is None or wanted["network"] != item["network"]):
            plan.absent["port_publish"].append(_key(item, "host_ip", "host_port", "protocol", "container_ip", "bridge"))
    for item in info.get("masquerades", ()):
        wanted = masquerades.get((item["source"], item.get("out_interface")))
        if ours(item.get("network", "")) and (wanted is None or wanted["network"] != item["network"]):
            plan.absent["nat_masquerade"].append(_key(item, "source", "out_interface"))
    for network in info.get("networks", ()):
        for endpoint in network["endpoints"]:
            if ours(endpoint["network"]) and endpoint["veth"] not in kept["veth"]:
                plan.absent["veth"].append({"name": endpoint["veth"]})
        if ours(network["network"]) and network["ours"] and network["bridge"] not in kept["bridge"]:
            plan.absent["bridge"].append({"name": network["bridge"]})
        policy = network["policy"] or {}
        if ours(policy.get("network", "")) and network["bridge"] not in policies:
            plan.absent["bridge_firewall"].append({"bridge": network["bridge"]})
    busy = _busy_namespaces(plan, info, ours)
    for item in info.get("namespaces", ()):
        if item["ours"] and ours(item["network"]) and item["name"] not in kept["netns"] | busy:
            plan.absent["netns"].append({"name": item["name"]})


def _busy_namespaces(plan: Plan, info: Facts, ours: t.Callable[[str], bool]) -> t.Set[str]:
    """Namespaces with an endpoint in a network that stays."""
    gone = {item["name"] for item in plan.absent["veth"]}
    endpoints = [endpoint for network in info.get("networks", ()) for endpoint in network["endpoints"]]
    return {item["netns"] for item in endpoints if item["netns"] and item["veth"] not in gone}


def _key(item: Facts, *names: str) -> Item:
    return dict(_given(item, *names), state="absent")


def _forwarding(networks: t.Sequence[Network_], plan: Plan, info: Facts, state: str) -> Item:
    """What the host must forward for all networks of the role, absent when none is left."""
    gone = {item["name"] for item in plan.absent["bridge"]}
    here = networks if state == "present" else []
    bridges = gone | {network.bridge for network in here}
    left = [network for network in info.get("networks", ()) if network["network"] and network["bridge"] not in bridges]
    if not here and not left:
        return {"state": "absent", "ipv4": True, "ipv6": False, "route_localnet": []}
    versions = {version for network in here if not network.internal for version in network.subnets}
    local = {item["bridge"] for item in plan.present["port_publish"] if _serves_loopback(item)}
    local |= {network["bridge"] for network in left if any(map(_serves_loopback, network["ports"]))}
    return {
        "state": "present",
        "ipv4": 4 in versions or any(_speaks(network, 4) for network in left),
        "ipv6": 6 in versions or any(_speaks(network, 6) for network in left),
        "route_localnet": sorted(local),
    }


def _speaks(network: Facts, version: int) -> bool:
    internal = (network["policy"] or {}).get("internal", False)
    return not internal and any(ipaddress.ip_network(subnet).version == version for subnet in network["subnets"])


def _serves_loopback(item: Facts) -> bool:
    """Whether a published port answers on 127.0.0.1."""
    host_ip = item.get("host_ip")
    return ":" not in item["container_ip"] and (host_ip is None or ipaddress.ip_address(host_ip).is_loopback)
