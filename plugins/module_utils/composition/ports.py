# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what endpoints publish to the options of port_publish."""

from __future__ import annotations

import typing as t

from ..firewall.port_table import PortTable
from ..kinds.port_publish import PortPublishKind
from ..model import InvalidRequest, PortRange
from .networks import BridgeNetwork, Endpoint, Facts
from .publish import Publish

Item = dict[str, t.Any]


class Ports:
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
            if (
                label == network
                and same
                == (
                    probe.container_ip,
                    probe.container_port,
                    probe.protocol,
                    probe.host_ip,
                    1,
                )
                and out_of.first <= port.host_ports.first <= out_of.last
            ):
                return port.host_ports.first
        for number in range(out_of.first, out_of.last + 1):
            wish = kind.parse(dict(item, host_port=number))
            if self._taken.get(wish) is None and not any(True for unused in self._taken.clashes(wish)):
                self._taken.add(wish)
                return number
        raise InvalidRequest("publish: none of the host ports %s is free for %s." % (out_of, item["container_ip"]))


def plan_publish(network: BridgeNetwork, endpoint: Endpoint, publish: Publish, ports: Ports) -> list[Item]:
    title = "network %s: endpoint %s" % (network.name, endpoint.name)
    result: list[Item] = []
    versions: set[int] = set()
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
