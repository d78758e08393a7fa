# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the report on a host into what network_info returns, in the words of the modules' options.

Many calls find nothing of ours on the host, so the code that describes an object is only imported if there is one.
"""

from __future__ import annotations

import typing as t

from . import arguments, marks, model
from .firewall.choice import BACKEND
from .gather import gather
from .records import replace
from .report import EndpointReport, HostReport, NamespaceReport, NetworkReport, PortUse, ServiceReport
from .world import World

Facts = dict[str, object]
INFO: arguments.Arguments = {"name": {"type": "str"}, **BACKEND}


def facts(world: World, name: str | None = None) -> Facts:
    """The whole report, or that of one network by its name or that of its bridge."""
    report = _with_life(world, gather(world))
    report = replace(
        report,
        at_boot=_at_boot(world, report),
        absent_interfaces=_absent_interfaces(world),
        altered=_altered(world, report),
    )
    return {**spell(report if name is None else report.only(name)), **_surroundings(world)}


def _with_life(world: World, report: HostReport) -> HostReport:
    """The report with what lives in endpoints, and what was dropped on the way there."""
    dropped = world.firewall.drops() if world.firewall.is_open else []
    if not (report.has_anything() or dropped or world.all_lost()):
        return report
    from .living import look_inside

    return look_inside(world, report, dropped)


def _altered(world: World, report: HostReport) -> tuple[str, ...]:
    if not report.has_anything():
        return ()
    from .kinds.altered_rules import altered_rules

    return altered_rules(world, report)


def _absent_interfaces(world: World) -> tuple[str, ...]:
    if not world.firewall.is_open:
        return ()
    from .kinds.absent_links import absent_links

    return tuple(absent_links(world.firewall.current, world.links()))


def _at_boot(world: World, report: HostReport) -> str:
    if not report.networks and not any(item.ours for item in report.namespaces):
        return ""
    from .kinds.boot_report import at_boot

    return at_boot(world, report)


def _surroundings(world: World) -> Facts:
    """The ports and subnets that the composition must avoid."""
    listeners = [found for protocol in model.PROTOCOLS for found in world.listening(protocol, 1, 65535)]
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
        "addresses": model.spelled(world.addresses()),
        "routed_subnets": _private(world.destinations()),
        "reserved_ports": (world.sysctl(model.HOST, model.RESERVED_PORTS) or "").strip(),
    }


def spell(report: HostReport) -> Facts:
    """A report in JSON."""
    return {
        "networks": [_network(network) for network in report.networks],
        "lost": [{"name": item.name, "processes": _processes(item.processes)} for item in report.lost],
        "unplugged": [_endpoint(endpoint) for endpoint in report.unplugged],
        "namespaces": [_namespace(item) for item in report.namespaces],
        "files": [
            {"path": "%s/%s/%s" % (marks.NETNS_FILES, file.netns, file.name), **_whose(file.network)}
            for file in report.files
        ],
        "services": [_service(item) for item in report.services],
        "ports": _ports(report.ports),
        "masquerades": _masquerades(report.masquerades),
        "forwarding": {
            "ipv4": 4 in report.forwards,
            "ipv6": 6 in report.forwards,
            "forward_policy": report.forward_policy,
        },
        "uplinks": {"ipv%d" % version: link for version, link in sorted((report.uplinks or {}).items())},
        "uplink_addresses": model.spelled(report.uplink_addresses),
        "backend": report.backend,
        "at_boot": report.at_boot,
        "foreign": list(report.foreign),
        "possible_drops": [_possible_drop(item) for item in report.possible_drops],
        "more_possible_drops": report.more_possible_drops,
        "absent_interfaces": list(report.absent_interfaces),
        "altered": list(report.altered),
        "drops": _drops(report.drops),
    }


def _possible_drop(item: model.PossibleDrop) -> Facts:
    return {**vars(item), "owner": item.owner or None, "conditions": list(item.conditions)}


def _whose(label: str) -> Facts:
    """The network and the project of a label; an object without a label has neither."""
    return {"network": marks.name_of(label), "project": marks.project_of(label) if label else None}


def _private(networks: t.Iterable[model.Network]) -> list[str]:
    """The private networks, as pools have no others: a router may have the routes of the whole internet."""
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
        "unmarked": network.unmarked,
        "addresses": model.spelled(network.addresses),
        "subnets": [str(subnet) for subnet in network.subnets],
        "mtu": network.mtu,
        "policy": None if network.policy is None else _policy(network.policy),
        "endpoints": [_endpoint(endpoint) for endpoint in network.endpoints],
        "ports": _ports(network.ports),
        "masquerades": _masquerades(network.masquerades),
        "drops": _drops(network.drops),
    }


def _policy(policy: model.BridgePolicy) -> Facts:
    from .kinds.bridge_firewall import BridgeFirewallKind

    return BridgeFirewallKind.describe(policy)


def _ports(ports: t.Sequence[model.PublishedPort]) -> list[Facts]:
    if not ports:
        return []
    from .kinds.port_publish import PortPublishKind

    return [PortPublishKind.describe(port) for port in ports]


def _masquerades(masquerades: t.Sequence[model.Masquerade]) -> list[Facts]:
    if not masquerades:
        return []
    from .kinds.nat_masquerade import NatMasqueradeKind

    return [NatMasqueradeKind.describe(item) for item in masquerades]


def _drops(drops: t.Iterable[model.Drop]) -> list[Facts]:
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
        "lost_name": endpoint.lost_name or None,
        "interface": endpoint.interface,
        "addresses": model.spelled(endpoint.addresses),
        "mac_address": endpoint.mac_address,
        "default_routes": list(endpoint.default_routes),
        "names": list(endpoint.names),
        "dns": endpoint.dns,
        "services": list(endpoint.services),
        "processes": _processes(endpoint.processes),
        "troubles": list(endpoint.troubles),
        "ports": [_port_use(use) for use in endpoint.ports],
    }


def _namespace(item: NamespaceReport) -> Facts:
    found = {"name": item.name, **_whose(item.network), "ours": item.ours}
    return {**found, "unmarked": item.unmarked, "sysctls": dict(item.sysctls)}


def _service(item: ServiceReport) -> Facts:
    found = {"unit": item.unit, "netns": item.netns, **_whose(item.network)}
    return {**found, "active": item.active, "stale": item.stale}


def _processes(processes: t.Iterable[model.Process]) -> list[Facts]:
    return [dict(vars(process)) for process in processes]


def _port_use(use: PortUse) -> Facts:
    return {
        "container_ip": str(use.address),
        "container_port": str(use.ports),
        "protocol": use.protocol,
        "heard": use.heard,
        "silent": [str(ports) for ports in use.silent],
        "elsewhere": [str(address) for address in use.elsewhere],
    }
