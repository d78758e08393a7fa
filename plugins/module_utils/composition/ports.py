# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what endpoints publish to the options of port_publish."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ..firewall.port_table import PortTable
from ..kinds.port_publish import PortPublishKind
from ..model import Address, InvalidRequest, PortRange, PublishedPort
from .networks import BridgeNetwork, Endpoint, Facts
from .publish import Publish

Item = dict[str, t.Any]


class Ports:
    """Ports that are published, so that one without a number can be given one, and keep it."""

    def __init__(self, info: Facts) -> None:
        known = [_KIND.parse(item) for item in info.get("ports", ())]
        self._taken = PortTable(known)
        self._held = {(port.network, _what(port)): port for port in known if len(port.host_ports) == 1}
        self._next: dict[t.Any, int] = {}

    def claim(self, items: t.Iterable[Item]) -> None:
        """Take the ports that were given by number."""
        for item in items:
            self._taken.add(_KIND.parse(item))

    def choose(self, items: t.Sequence[Item], out_of: PortRange) -> int:
        """One number for all of ``items``: the one that they are published on already, else the lowest free one."""
        wishes = [_KIND.parse(dict(item, host_port=out_of.first)) for item in items]
        number = self._kept(wishes, out_of)
        if number is None:
            number = self._lowest(wishes, out_of)
        for wish in wishes:
            self._taken.add(_at(wish, number))
        return number

    def _kept(self, wishes: t.Sequence[PublishedPort], out_of: PortRange) -> int | None:
        for wish in wishes:
            held = self._held.get((wish.network, _what(wish)))
            if held is not None and out_of.first <= held.host_ports.first <= out_of.last:
                number = held.host_ports.first
                if all(self._is_free(_at(other, number)) for other in wishes):
                    return number
        return None

    def _lowest(self, wishes: t.Sequence[PublishedPort], out_of: PortRange) -> int:
        # nothing is given back in a run: what was not free for such a wish will not be free for the next one
        lane = (out_of, *((wish.container_ip.version, wish.protocol, wish.host_ip) for wish in wishes))
        for number in range(self._next.get(lane, out_of.first), out_of.last + 1):
            if all(self._is_free(_at(wish, number)) for wish in wishes):
                self._next[lane] = number
                return number
        raise InvalidRequest("publish: none of the host ports %s is free for %s." % (out_of, wishes[0].container_ip))

    def _is_free(self, wish: PublishedPort) -> bool:
        there = self._taken.get(wish)
        mine = there is None or (there.network, _what(there)) == (wish.network, _what(wish))
        return mine and not any(True for unused in self._taken.clashes(wish))


_KIND = PortPublishKind()


def _what(port: PublishedPort) -> tuple[t.Any, ...]:
    return (port.container_ip, port.container_port, port.protocol, port.host_ip)


def _at(port: PublishedPort, number: int) -> PublishedPort:
    return replace(port, host_ports=PortRange(number, number))


def plan_ports(networks: t.Iterable[BridgeNetwork], info: Facts) -> list[Item]:
    """The options of port_publish for all endpoints; ports given by number come first to the ones to choose from."""
    ports = Ports(info)
    planned = [
        (publish, _plan_publish(network, endpoint, publish))
        for network in networks
        for endpoint in network.endpoints
        for publish in endpoint.publish
    ]
    for publish, items in planned:
        if publish.choice is None:
            ports.claim(items)
    for publish, items in planned:
        if publish.choice is not None:
            number = ports.choose(items, publish.choice)
            for item in items:
                item["host_port"] = str(number)
    return [item for unused, items in planned for item in items]


def _plan_publish(network: BridgeNetwork, endpoint: Endpoint, publish: Publish) -> list[Item]:
    """For each family that it is meant for; the number may still be open."""
    first = {address.version: address.ip for address in reversed(endpoint.addresses)}
    items = [
        _plan_family(network, publish, first[version], version)
        for version in sorted(first)
        if publish.host_ip is None or publish.host_ip.version == version
    ]
    found = [item for item in items if item is not None]
    if not found:
        raise InvalidRequest(
            "network %s: endpoint %s cannot publish %s: it has no address of that family."
            % (network.name, endpoint.name, publish.text)
        )
    return found


def _plan_family(network: BridgeNetwork, publish: Publish, container_ip: Address, version: int) -> Item | None:
    sources = [str(source) for source in publish.allowed_sources if source.version == version]
    if publish.allowed_sources and not sources:
        return None  # nobody of this family is meant; no restriction at all would mean everybody
    item: Item = {
        "container_ip": str(container_ip),
        "container_port": str(publish.container_ports),
        "protocol": publish.protocol,
        "bridge": network.bridge,
        "allowed_sources": sources,
        "in_interfaces": list(publish.in_interfaces),
        "network": network.name,
    }
    if publish.host_ip is not None and not publish.host_ip.is_unspecified:
        item["host_ip"] = str(publish.host_ip)
    if publish.choice is None:
        item["host_port"] = str(publish.host_ports)
    return item
