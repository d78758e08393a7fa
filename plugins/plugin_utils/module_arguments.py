# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A composition as the arguments of the modules, for playbooks that call the modules one by one."""

from __future__ import annotations

import typing as t

from ..module_utils.composition.objects import Composition
from ..module_utils.firewall import transition
from ..module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ..module_utils.kinds.common import belongs, compact
from ..module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ..module_utils.kinds.port_publish import PortPublishKind
from ..module_utils.model import (
    Bridge,
    BridgePolicy,
    EndpointService,
    Forwarding,
    Masquerade,
    Namespace,
    PublishedPort,
    Route,
    Veth,
)
from ..module_utils.report import HostReport

Arguments = dict[str, t.Any]


def arguments(composition: Composition, report: HostReport) -> dict[str, t.Any]:
    """For each module the objects to make and to remove, the policies while addresses change, and what the host must
    forward.
    """
    present, absent = composition.present, composition.absent
    forward = [("present", item) for item in present.sysctl_forward]
    forward += [("absent", item) for item in absent.sysctl_forward]
    gone: dict[str, list[Arguments]] = {
        "endpoint_service": [_service_key(item) for item in absent.endpoint_service],
        "bridge": [_named(item) for item in absent.bridge],
        "netns": [_named(item) for item in absent.netns],
        "veth": [_named(item) for item in absent.veth],
        "bridge_firewall": [_of_project({"bridge": item.bridge}, item.network) for item in absent.bridge_firewall],
        "nat_masquerade": [_masquerade_key(item) for item in absent.nat_masquerade],
        "port_publish": [_port_key(item) for item in absent.port_publish],
    }
    return {
        "present": {
            "bridge": [_bridge(item) for item in present.bridge],
            "netns": [_namespace(item) for item in present.netns],
            "veth": [_veth(item) for item in present.veth],
            "bridge_firewall": [BridgeFirewallKind.describe(item) for item in present.bridge_firewall],
            "nat_masquerade": [NatMasqueradeKind.describe(item) for item in present.nat_masquerade],
            "port_publish": [_port(item) for item in present.port_publish],
            "endpoint_service": [_service(item) for item in present.endpoint_service],
        },
        "transition": {
            "bridge_firewall": [
                BridgeFirewallKind.describe(item) for item in _in_transition(present.bridge_firewall, report)
            ]
        },
        "absent": gone,
        "settled": {name: [dict(item, state="absent") for item in items] for name, items in gone.items()},
        "forward": _forward(*forward[0]),
        "remove": any(gone.values()),
    }


def _in_transition(wanted: t.Sequence[BridgePolicy], report: HostReport) -> list[BridgePolicy]:
    """The wanted policies as they are while addresses change, in the same order."""
    current = [network.policy for network in report.networks if network.policy is not None]
    bridges = [policy.bridge for policy in wanted]
    held = transition.policies((policy for policy in current if policy.bridge in bridges), wanted)
    return sorted(held, key=lambda policy: bridges.index(policy.bridge))


def _of_project(item: Arguments, label: str) -> Arguments:
    """The arguments for an object to remove, with its project."""
    return dict(item, **compact(project=belongs(label)["project"]))


def _named(item: Bridge | Namespace | Veth) -> Arguments:
    return _of_project({"name": item.name}, item.network)


def _bridge(item: Bridge) -> Arguments:
    addresses = [str(address) for address in item.addresses or ()]
    insisted = True if item.allow_overlap else None
    return compact(name=item.name, addresses=addresses, mtu=item.mtu, allow_overlap=insisted, **belongs(item.network))


def _namespace(item: Namespace) -> Arguments:
    return compact(name=item.name, sysctls=dict(item.sysctls) or None, **belongs(item.network))


def _veth(item: Veth) -> Arguments:
    peer = item.peer
    return compact(
        name=item.name,
        bridge=item.bridge,
        isolated=item.isolated,
        mtu=item.mtu,
        **belongs(item.network),
        peer=compact(
            netns=peer.place.netns,
            pid=peer.place.pid,
            name=peer.name,
            mac_address=peer.mac_address,
            addresses=[str(address) for address in peer.addresses or ()],
            gateways=[str(route.via) for route in peer.routes if _is_gateway(route)],
            routes=[_route(route) for route in peer.routes if not _is_gateway(route)] or None,
            source_gateways=[str(via) for via in peer.source_gateways] or None,
        ),
    )


def _service(item: EndpointService) -> Arguments:
    return compact(unit=item.unit, netns=item.netns, **belongs(item.network))


def _service_key(item: EndpointService) -> Arguments:
    return _of_project({"unit": item.unit, "service_removal": item.removal}, item.network)


def _is_gateway(route: Route) -> bool:
    return route.to.prefixlen == 0 and route.via is not None


def _route(route: Route) -> Arguments:
    return compact(to=str(route.to), via=None if route.via is None else str(route.via), metric=route.metric)


def _forward(state: str, item: Forwarding) -> Arguments:
    return {
        "state": state,
        "ipv4": item.ipv4,
        "ipv6": item.ipv6,
        "route_localnet": list(item.route_localnet),
        "forward_policy": item.policy,
        "asked_by": item.asked_by,
    }


def _masquerade_key(item: Masquerade) -> Arguments:
    key = compact(source=str(item.source), out_interface=str(item.out) or None)
    return dict(_of_project(key, item.network), state="absent")


def _port(item: PublishedPort) -> Arguments:
    """A description has an empty list where everybody may come in, which the module takes for a mistake."""
    return {name: value for name, value in PortPublishKind.describe(item).items() if value != []}


def _port_key(item: PublishedPort) -> Arguments:
    """The options that identify a published port, and those that its module requires."""
    described = PortPublishKind.describe(item)
    names = ("host_ip", "host_port", "protocol", "container_ip", "bridge", "project")
    return dict({name: described[name] for name in names if name in described}, state="absent")
