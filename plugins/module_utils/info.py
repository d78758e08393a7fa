# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What network_info returns: the report on a host, in the words of the modules' options."""

from __future__ import annotations

import typing as t

from .gather import gather
from .kinds.bridge_firewall import BridgeFirewallKind
from .kinds.common import compact, spelled
from .kinds.nat_masquerade import NatMasqueradeKind
from .kinds.port_publish import PortPublishKind
from .living import look_inside
from .marks import NETNS_FILES, name_of, project_of
from .model import HOST, PROTOCOLS, RESERVED_PORTS, Drop, Network, Process
from .records import replace
from .report import EndpointReport, HostReport, NetworkReport, PortUse, ServiceReport
from .world import World

Facts = dict[str, t.Any]


def facts(world: World, name: str | None = None) -> Facts:
    """Everything, or one network by its name or its bridge's."""
    report = look_inside(world, gather(world))
    report = replace(report, at_boot=_at_boot(world, report))
    return {**spell(report if name is None else report.only(name)), **_surroundings(world)}


def _at_boot(world: World, report: HostReport) -> str:
    from .kinds.boot_report import at_boot

    return at_boot(world, report)


def _surroundings(world: World) -> Facts:
    """What of others the composition looks at when it chooses ports and subnets."""
    listeners = [found for protocol in PROTOCOLS for found in world.listening(protocol, 1, 65535)]
    return {
        "listening": [
            {
                "protocol": found.protocol,
                "port": found.port,
                "address": str(found.address),
                "ip_versions": list(found.versions),
            }
            for found in sorted(listeners, key=lambda found: (found.protocol, found.port, str(found.address)))
        ],
        "addresses": spelled(world.addresses()),
        "routed_subnets": _private(world.destinations()),
        "reserved_ports": (world.sysctl(HOST, RESERVED_PORTS) or "").strip(),
    }


def spell(report: HostReport) -> Facts:
    """A report as JSON has it."""
    return {
        "networks": [_network(network) for network in report.networks],
        "lost": [{"name": item.name, "processes": _processes(item.processes)} for item in report.lost],
        "unplugged": [_endpoint(endpoint) for endpoint in report.unplugged],
        "namespaces": [{"name": item.name, **_whose(item.network), "ours": item.ours} for item in report.namespaces],
        "files": [
            {"path": "%s/%s/%s" % (NETNS_FILES, file.netns, file.name), **_whose(file.network)} for file in report.files
        ],
        "services": [_service(item) for item in report.services],
        "ports": [PortPublishKind.describe(port) for port in report.ports],
        "masquerades": [NatMasqueradeKind.describe(item) for item in report.masquerades],
        "forwarding": {
            "ipv4": 4 in report.forwards,
            "ipv6": 6 in report.forwards,
            "forward_policy": report.forward_policy,
        },
        "uplinks": compact(ipv4=report.uplink(4), ipv6=report.uplink(6)),
        "uplink_addresses": spelled(report.uplink_addresses),
        "backend": report.backend,
        "at_boot": report.at_boot,
        "foreign": list(report.foreign),
        "drops": _drops(report.drops),
    }


def _whose(label: str) -> Facts:
    """The network and the project; what belongs to neither has no project."""
    return {"network": name_of(label), "project": project_of(label) if label else None}


def _private(networks: t.Iterable[Network]) -> list[str]:
    """Those that pools may meet: a router may have the routes of the whole internet."""
    return [
        str(network)
        for network in sorted({network for network in networks if network.version == 4})
        if network.is_private or network.prefixlen < 8
    ]


def _network(network: NetworkReport) -> Facts:
    return {
        "name": network.name,
        **_whose(network.network),
        "bridge": network.bridge,
        "present": network.present,
        "ours": network.ours,
        "addresses": spelled(network.addresses),
        "subnets": [str(subnet) for subnet in network.subnets],
        "mtu": network.mtu,
        "policy": None if network.policy is None else BridgeFirewallKind.describe(network.policy),
        "endpoints": [_endpoint(endpoint) for endpoint in network.endpoints],
        "ports": [PortPublishKind.describe(port) for port in network.ports],
        "masquerades": [NatMasqueradeKind.describe(item) for item in network.masquerades],
        "drops": _drops(network.drops),
    }


def _drops(drops: t.Iterable[Drop]) -> list[Facts]:
    return [{"reason": drop.reason, "packets": drop.packets} for drop in drops]


def _endpoint(endpoint: EndpointReport) -> Facts:
    place = endpoint.place
    return {
        "veth": endpoint.veth,
        **_whose(endpoint.network),
        "isolated": endpoint.isolated,
        "up": endpoint.up,
        "name": endpoint.netns,
        "netns": endpoint.netns,
        "pid": None if place is None else place.pid,
        "interface": endpoint.interface,
        "addresses": spelled(endpoint.addresses),
        "mac_address": endpoint.mac_address,
        "default_routes": list(endpoint.default_routes),
        "names": list(endpoint.names),
        "dns": endpoint.dns,
        "services": list(endpoint.services),
        "processes": _processes(endpoint.processes),
        "troubles": list(endpoint.troubles),
        "ports": [_port_use(use) for use in endpoint.ports],
    }


def _service(item: ServiceReport) -> Facts:
    found = {"unit": item.unit, "netns": item.netns, **_whose(item.network)}
    return {**found, "active": item.active, "stale": item.stale}


def _processes(processes: t.Iterable[Process]) -> list[Facts]:
    return [dict(vars(process)) for process in processes]


def _port_use(use: PortUse) -> Facts:
    return {
        "container_ip": str(use.address),
        "container_port": str(use.ports),
        "protocol": use.protocol,
        "heard": use.heard,
        "elsewhere": [str(address) for address in use.elsewhere],
    }
