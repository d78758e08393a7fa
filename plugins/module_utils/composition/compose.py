# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the role's list of networks, and what is on the host, to the arguments of the modules.

Pure: the same list and the same host give the same arguments, so a second run asks for what the first one made.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .. import parsing as read
from ..model import Network
from .networks import BridgeNetwork, Endpoint, Facts, decide, mac_address, read_names, read_networks
from .ports import plan_ports
from .removal import Item, Items, removals
from .spec import read_masquerade

MODULES = ("bridge", "netns", "veth", "bridge_firewall", "nat_masquerade", "port_publish")


def compose(networks: t.Sequence[Facts], info: Facts, prune: bool = True, state: str = "present") -> dict[str, t.Any]:
    """The arguments for the modules; raises InvalidRequest, whose text is for the user.

    ``info`` is what network_info returned.
    """
    present: Items = {module: [] for module in MODULES}
    absent: Items = {module: [] for module in MODULES}
    wanted: list[BridgeNetwork] = []
    if state == "present":
        wanted = read_networks(networks, info)
        decide(wanted, info, prune)
        _plan_present(wanted, info, present, prune)
        names = {network.name for network in wanted}
        if prune:
            absent = removals(present, info, bool)
        else:
            # one way out in the place of another is a change of a network that is in the list
            absent["nat_masquerade"] = removals(present, info, names.__contains__)["nat_masquerade"]
    else:
        absent = removals(present, info, read_names(networks).__contains__)
    forward = _forwarding(wanted, present, absent, info)
    return {"present": present, "absent": absent, "forward": forward, "remove": any(absent.values())}


def _plan_present(networks: t.Sequence[BridgeNetwork], info: Facts, present: Items, prune: bool) -> None:
    for network in networks:
        subnets = {version: subnet.network for version, subnet in network.subnets.items()}
        present["bridge"].append(_plan_bridge(network, subnets))
        present["bridge_firewall"].append(_plan_policy(network, subnets))
        with read.about("network %s: masquerade" % network.name):
            present["nat_masquerade"] += _plan_masquerades(network, subnets, info)
    present["port_publish"] = plan_ports(networks, info)
    present["netns"] = _plan_namespaces(networks)
    present["veth"] = _plan_veths(networks, set() if prune else _staying(networks, info))


def _plan_bridge(network: BridgeNetwork, subnets: t.Mapping[int, Network]) -> Item:
    addresses = ["%s/%d" % (network.gateways[version], subnet.prefixlen) for version, subnet in subnets.items()]
    return dict(_given(network.options, "mtu"), name=network.bridge, addresses=addresses, network=network.name)


def _plan_policy(network: BridgeNetwork, subnets: t.Mapping[int, Network]) -> Item:
    flows = [_given(flow, *flow) for flow in network.options.get("allow") or ()]
    return dict(
        _given(network.options, "direct_access", "trusted_interfaces", "host_access"),
        **({"allow": flows} if flows else {}),
        bridge=network.bridge,
        subnets=[str(subnet) for subnet in subnets.values()],
        internal=network.internal,
        icc=network.options.get("icc") is not False,
        network=network.name,
    )


def _given(options: Facts, *names: str) -> Item:
    return {name: options[name] for name in names if options.get(name) is not None}


def _plan_masquerades(network: BridgeNetwork, subnets: t.Mapping[int, Network], info: Facts) -> list[Item]:
    options = read_masquerade("network %s" % network.name, network.options.get("masquerade"))
    if network.internal or options is None:
        return []
    result = []
    for version, subnet in subnets.items():
        excluded = read.networks("exclude", options.get("exclude"))
        item: Item = {
            "source": str(subnet),
            "out_interface": _out_interface(options.get("out_interface"), network, version, info),
            "exclude": [str(other) for other in excluded if other.version == version],
            "network": network.name,
        }
        item.update(_given(options, "random_fully"))
        if options.get("to_source") and read.address("to_source", options["to_source"]).version == version:
            item["to_source"] = options["to_source"]
        result.append(item)
    return result


def _out_interface(given: str | None, network: BridgeNetwork, version: int, info: Facts) -> str:
    """The interface in the words in which network_info tells it, so that what is there is known again."""
    if not given:
        return "!" + network.bridge
    if given == "default":
        return str(info.get("uplinks", {}).get("ipv%d" % version) or given)
    return "!" + given[1:].strip() if given.startswith("!") else given


def _plan_namespaces(networks: t.Sequence[BridgeNetwork]) -> list[Item]:
    """Each namespace once, noted under the first network that needs it."""
    found: dict[str, Item] = {}
    for network in networks:
        for endpoint in network.endpoints:
            if endpoint.netns is not None:
                found.setdefault(endpoint.netns, {"name": endpoint.netns, "network": network.name})
    return list(found.values())


def _plan_veths(networks: t.Sequence[BridgeNetwork], staying: set[tuple[str, int]]) -> list[Item]:
    """``staying`` are the namespaces that have a way out, for a family, by a network that is not in the list."""
    gateways_given: set[tuple[t.Any, int]] = {(("netns", name), version) for name, version in staying}
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


def _staying(networks: t.Sequence[BridgeNetwork], info: Facts) -> set[tuple[str, int]]:
    listed = {network.veth(endpoint) for network in networks for endpoint in network.endpoints}
    found: set[tuple[str, int]] = set()
    for network in info.get("networks", ()):
        for endpoint in network["endpoints"]:
            if endpoint["netns"] and endpoint["veth"] not in listed:
                found.update((endpoint["netns"], version) for version in (4, 6) if _speaks(network, version))
    return found


def _plan_veth(network: BridgeNetwork, endpoint: Endpoint, gateways: list[str]) -> Item:
    options = endpoint.options
    mac = options.get("mac_address") or (mac_address(endpoint.addresses) if endpoint.addresses else None)
    place = {"netns": endpoint.netns} if endpoint.pid is None else {"pid": endpoint.pid}
    addresses = [str(address) for address in endpoint.addresses]
    peer: Item = dict(place, name=endpoint.interface, addresses=addresses, gateways=gateways)
    if mac:
        peer["mac_address"] = mac
    if network.options.get("icc") is False and network.options.get("allow"):
        peer["routes"] = _way_by_the_host(network)
    return dict(
        _given(network.options, "mtu"),
        name=network.veth(endpoint),
        bridge=network.bridge,
        isolated=network.options.get("icc") is False,
        network=network.name,
        peer=peer,
    )


def _way_by_the_host(network: BridgeNetwork) -> list[Item]:
    """Routes to the other endpoints over the gateway: isolated ports do not hear one another, the host hears both.

    The gateway has a route of its own, or the kernel would find it behind itself and refuse the others.
    """
    routes: list[Item] = []
    for version, subnet in network.subnets.items():
        gateway = str(network.gateways[version])
        if subnet.network.max_prefixlen - subnet.network.prefixlen > 1:
            routes.append({"to": gateway})
            routes += [{"to": str(half), "via": gateway} for half in subnet.network.subnets(prefixlen_diff=1)]
    return routes


def _forwarding(networks: t.Sequence[BridgeNetwork], present: Items, absent: Items, info: Facts) -> Item:
    """What the host must forward for all networks of the role, absent when none is left."""
    gone = {item["name"] for item in absent["bridge"]} | {item["bridge"] for item in absent["bridge_firewall"]}
    bridges = gone | {network.bridge for network in networks}
    left = [network for network in info.get("networks", ()) if network["network"] and network["bridge"] not in bridges]
    if not networks and not left:
        return {"state": "absent", "ipv4": True, "ipv6": False, "route_localnet": []}
    versions = {version for network in networks if not network.internal for version in network.subnets}
    local = {item["bridge"] for item in present["port_publish"] if _serves_loopback(item)}
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
