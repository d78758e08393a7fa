# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the objects to remove: those that the role made and that are no longer wanted, kind by kind."""

from __future__ import annotations

import typing as t

from .. import marks, model
from ..records import replace
from ..report import HostReport
from .objects import Objects
from .scope import Goes

# A veth pair to remove is identified by the host's end alone.
_ANY_END = model.End("eth0", model.HOST)


def removals(wanted: Objects, report: HostReport, goes: Goes, service_removal: str = "restart") -> Objects:
    """The objects that the role made and that are no longer wanted."""
    veths = unwanted_veths(wanted, report, goes)
    netns = unwanted_namespaces(wanted, report, goes, {veth.name for veth in veths})
    return Objects(
        bridge=unwanted_bridges(wanted, report, goes),
        netns=netns,
        veth=veths,
        bridge_firewall=unwanted_policies(wanted, report, goes),
        nat_masquerade=unwanted_masquerades(wanted, report, goes),
        port_publish=unwanted_ports(wanted, report, goes),
        endpoint_service=unwanted_services(wanted, report, goes, {item.name for item in netns}, service_removal),
    )


def unwanted_ports(wanted: Objects, report: HostReport, goes: Goes) -> list[model.PublishedPort]:
    """Published ports without an owner in the list. A port that gets another target is changed in place instead."""
    owners = {port.key: port.network for port in wanted.port_publish}
    return [port for port in report.ports if goes(port.network) and owners.get(port.key) != port.network]


def unwanted_masquerades(wanted: Objects, report: HostReport, goes: Goes) -> list[model.Masquerade]:
    """Masquerades that are not in the list.

    One that another network wants is changed in place: in the steps of the role, removals come after it.
    """
    kept = {item.key for item in wanted.nat_masquerade}

    def is_kept(item: model.Masquerade) -> bool:
        # A masquerade for the default route has the name of its interface, if there is such a route.
        return item.key in kept or (item.source, model.OutInterface("default")) in kept

    return [item for item in report.masquerades if goes(item.network) and not is_kept(item)]


def unwanted_veths(wanted: Objects, report: HostReport, goes: Goes) -> list[model.Veth]:
    """Endpoints that are not in the list, by their veth pairs."""
    kept = {veth.name for veth in wanted.veth}
    gone = [endpoint for endpoint in report.endpoints if goes(endpoint.network) and endpoint.veth not in kept]
    return [model.Veth(endpoint.veth, _ANY_END, network=endpoint.network) for endpoint in gone]


def unwanted_bridges(wanted: Objects, report: HostReport, goes: Goes) -> list[model.Bridge]:
    """Bridges that we made for a network that is not in the list. One that has lost its mark stays, with a warning."""
    kept = {bridge.name for bridge in wanted.bridge}
    gone = [network for network in report.networks if (network.ours or network.unmarked) and goes(network.network)]
    return [model.Bridge(network.bridge, network=network.network) for network in gone if network.bridge not in kept]


def unwanted_policies(wanted: Objects, report: HostReport, goes: Goes) -> list[model.BridgePolicy]:
    """The rules of bridges that no network in the list uses."""
    kept = {policy.bridge for policy in wanted.bridge_firewall}
    there = [network.policy for network in report.networks if network.policy is not None]
    return [policy for policy in there if goes(policy.network) and policy.bridge not in kept]


def unwanted_namespaces(wanted: Objects, report: HostReport, goes: Goes, unplugged: set[str]) -> list[model.Namespace]:
    """Namespaces that we made and that have no endpoint any more; ``unplugged`` are the veth pairs to remove."""
    # A veth pair in the list counts for the namespace where it is wanted, not where it is now.
    elsewhere = unplugged | {veth.name for veth in wanted.veth}
    needed = {namespace.name for namespace in wanted.netns}
    needed.update(item.netns for item in report.endpoints if item.netns and item.veth not in elsewhere)
    # A namespace that two networks shared may have the label of the one that was removed before.
    left = {item.netns for item in report.endpoints if item.veth in unplugged}
    alive = {network.network for network in report.networks}
    gone = [
        item
        for item in report.namespaces
        if (item.ours or item.unmarked) and item.name not in needed
        if goes(item.network) or (item.network and item.network not in alive and item.name in left)
    ]
    return [model.Namespace(item.name, network=item.network) for item in gone]


def unwanted_files(
    wanted: Objects, unwanted: Objects, decided: t.Container[str], report: HostReport, goes: Goes
) -> list[model.NamespaceFile]:
    """The files of namespaces to remove, and of those in ``decided`` that know no names any more."""
    kept = {(file.netns, file.name) for file in wanted.netns_file}
    gone = {namespace.name for namespace in unwanted.netns}
    return [
        replace(file, text="")
        for file in report.files
        if (file.netns, file.name) not in kept
        if file.netns in decided or file.netns in gone or file.netns == marks.RETIRED or goes(file.network)
    ]


def unwanted_services(
    wanted: Objects, report: HostReport, goes: Goes, without: set[str], removal: str
) -> list[model.EndpointService]:
    """Units that leave their endpoints, and all units of a namespace to remove (``without``)."""
    kept = {item.unit for item in wanted.endpoint_service}
    return [
        model.EndpointService(item.unit, item.netns, removal, item.network)
        for item in report.services
        if item.unit not in kept and (goes(item.network) or item.netns in without)
    ]


def unwanted_views(
    wanted: Objects, unwanted: Objects, decided: t.Container[str], report: HostReport, goes: Goes
) -> list[model.NameView]:
    """DNS servers of endpoints to remove."""
    kept = {view.netns for view in wanted.dns}
    gone = {namespace.name for namespace in unwanted.netns}
    return [
        view
        for view in report.views
        if view.netns not in kept and (view.netns in decided or view.netns in gone or goes(view.network))
    ]
