# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the result of network_info back into the report that it was made from."""

from __future__ import annotations

import ipaddress
import typing as t

from ..module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ..module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ..module_utils.kinds.port_publish import PortPublishKind
from ..module_utils.marks import label
from ..module_utils.model import (
    DEFAULT_PROJECT,
    BridgePolicy,
    Drop,
    Interface,
    Masquerade,
    NamespaceFile,
    Place,
    PossibleDrop,
    Process,
    PublishedPort,
)
from ..module_utils.parsing import port_range
from ..module_utils.report import (
    EndpointReport,
    HostReport,
    LostNamespace,
    NamespaceReport,
    NetworkReport,
    PortUse,
    ServiceReport,
)

Facts = t.Mapping[str, t.Any]


def is_report(info: t.Any) -> bool:
    """Whether this may be a result of network_info."""
    return isinstance(info, t.Mapping) and "networks" in info


def read_report(info: Facts) -> HostReport:
    """The report in ``info``; raises InvalidRequest for values that network_info cannot have returned."""
    forwarding = info.get("forwarding") or {}
    uplinks = info.get("uplinks") or {}
    ports = _Ports()
    return HostReport(
        networks=tuple(_network(item, ports) for item in info.get("networks") or ()),
        lost=tuple(LostNamespace(item["name"], _processes(item["processes"])) for item in info.get("lost") or ()),
        unplugged=tuple(_endpoint(item) for item in info.get("unplugged") or ()),
        namespaces=tuple(map(_namespace, info.get("namespaces") or ())),
        files=tuple(_file(item) for item in info.get("files") or ()),
        services=tuple(_service(item) for item in info.get("services") or ()),
        ports=ports.read(info.get("ports")),
        masquerades=_masquerades(info.get("masquerades")),
        forwards=frozenset(version for version in (4, 6) if forwarding.get("ipv%d" % version)),
        forward_policy=forwarding.get("forward_policy") or "unmanaged",
        at_boot=info.get("at_boot") or "",
        uplinks={version: uplinks["ipv%d" % version] for version in (4, 6) if "ipv%d" % version in uplinks},
        uplink_addresses=_addresses(info.get("uplink_addresses") or ()),
        backend=info.get("backend"),
        foreign=tuple(info.get("foreign") or ()),
        possible_drops=tuple(map(_possible_drop, info.get("possible_drops") or ())),
        more_possible_drops=info.get("more_possible_drops") or 0,
        absent_interfaces=tuple(info.get("absent_interfaces") or ()),
        altered=tuple(info.get("altered") or ()),
        drops=_drops("", info.get("drops")),
    )


class _Ports:
    """Reads each published port once, as the JSON has it twice: with its network and with the host."""

    def __init__(self) -> None:
        self._known: dict[str, PublishedPort] = {}

    def read(self, items: t.Iterable[Facts] | None) -> tuple[PublishedPort, ...]:
        return tuple(self._read(item) for item in items or ())

    def _read(self, item: Facts) -> PublishedPort:
        text = repr(sorted(item.items()))
        if text not in self._known:
            self._known[text] = PortPublishKind().parse(item)
        return self._known[text]


def _possible_drop(item: Facts) -> PossibleDrop:
    return PossibleDrop(**{**item, "owner": item["owner"] or "", "conditions": tuple(item["conditions"])})


def _namespace(item: Facts) -> NamespaceReport:
    sysctls = tuple((item.get("sysctls") or {}).items())
    return NamespaceReport(item["name"], _label(item), item["ours"], bool(item.get("unmarked")), sysctls)


def _file(item: Facts) -> NamespaceFile:
    """A file without its text, which network_info does not return."""
    netns, name = item["path"].split("/")[-2:]
    return NamespaceFile(netns, name, network=_label(item))


def _network(item: Facts, ports: _Ports) -> NetworkReport:
    return NetworkReport(
        bridge=item["bridge"],
        network=_label(item),
        present=item["present"],
        ours=item["ours"],
        unmarked=bool(item.get("unmarked")),
        addresses=_addresses(item["addresses"]),
        subnets=tuple(ipaddress.ip_network(subnet) for subnet in item["subnets"]),
        mtu=item.get("mtu"),
        policy=_policy(item["policy"]),
        endpoints=tuple(_endpoint(endpoint) for endpoint in item["endpoints"]),
        ports=ports.read(item.get("ports")),
        masquerades=_masquerades(item.get("masquerades")),
        drops=_drops(item["bridge"], item.get("drops")),
    )


def _drops(bridge: str, items: t.Iterable[Facts] | None) -> tuple[Drop, ...]:
    return tuple(Drop(bridge, item["reason"], item["packets"]) for item in items or ())


def _label(item: Facts) -> str:
    return label(item["network"], item.get("project") or DEFAULT_PROJECT)


def _addresses(texts: t.Iterable[str]) -> tuple[Interface, ...]:
    return tuple(ipaddress.ip_interface(text) for text in texts)


def _policy(item: Facts | None) -> BridgePolicy | None:
    """A policy, without the checks of a request: a bridge may have flows that were allowed before its subnets."""
    if item is None:
        return None
    policy = BridgeFirewallKind().parse({name: value for name, value in item.items() if name != "subnets"})
    subnets = tuple(ipaddress.ip_network(subnet) for subnet in item.get("subnets") or ())
    return BridgePolicy(**dict(vars(policy), subnets=subnets))


def _masquerades(items: t.Iterable[Facts] | None) -> tuple[Masquerade, ...]:
    return tuple(NatMasqueradeKind().parse(item) for item in items or ())


def _service(item: Facts) -> ServiceReport:
    return ServiceReport(item["unit"], item["netns"], _label(item), item["active"], item["stale"])


def _processes(items: t.Iterable[Facts] | None) -> tuple[Process, ...]:
    return tuple(Process(item["pid"], item["name"], item["unit"]) for item in items or ())


def _port_use(item: Facts) -> PortUse:
    return PortUse(
        address=ipaddress.ip_address(item["container_ip"]),
        protocol=item["protocol"],
        ports=port_range("container_port", item["container_port"]),
        heard=item["heard"],
        silent=tuple(port_range("silent", ports) for ports in item.get("silent") or ()),
        elsewhere=tuple(ipaddress.ip_address(address) for address in item["elsewhere"]),
    )


def _endpoint(item: Facts) -> EndpointReport:
    netns, pid = item["netns"], item.get("pid")
    return EndpointReport(
        veth=item["veth"],
        network=_label(item),
        isolated=item["isolated"],
        up=item["up"],
        place=None if netns is None and pid is None else Place(netns, pid),
        interface=item["interface"],
        addresses=_addresses(item["addresses"]),
        mac_address=item.get("mac_address"),
        default_routes=tuple(item.get("default_routes") or ()),
        lost_name=item.get("lost_name") or "",
        processes=_processes(item.get("processes")),
        names=tuple(item.get("names") or ()),
        troubles=tuple(item.get("troubles") or ()),
        services=tuple(item.get("services") or ()),
        ports=tuple(_port_use(use) for use in item.get("ports") or ()),
    )
