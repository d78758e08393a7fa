# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published ports of the host, by the option publish of endpoints."""

from __future__ import annotations

import typing as t

from .. import marks, model, parsing
from ..firewall.port_table import PortTable
from ..records import replace
from .names import Names
from .networks import BridgeNetwork, Endpoint
from .publish import EPHEMERAL, Publish
from .surroundings import Surroundings


class Ports:
    """The published ports. A port without a number gets a free one, and keeps it in later runs."""

    def __init__(self, known: t.Sequence[model.PublishedPort], around: Surroundings) -> None:
        self._around = around
        self._taken = PortTable(known)
        self._held = {(port.network, _what(port)): port for port in known if len(port.host_ports) == 1}
        self._next: dict[tuple[object, ...], int] = {}

    def take(self, ports: t.Iterable[model.PublishedPort]) -> None:
        """Take the ports that were given by number."""
        for port in ports:
            self._taken.add(port)

    def choose(self, wishes: t.Sequence[model.PublishedPort], out_of: model.PortRange) -> list[model.PublishedPort]:
        """The same ports with one number for all: the present one, or the lowest that is free."""
        number = self._kept(wishes, out_of)
        if number is None:
            number = self._lowest(wishes, out_of)
        chosen = [_at(wish, number) for wish in wishes]
        self.take(chosen)
        return chosen

    def _kept(self, wishes: t.Sequence[model.PublishedPort], out_of: model.PortRange) -> int | None:
        for wish in wishes:
            held = self._held.get((wish.network, _what(wish)))
            if held is not None and out_of.first <= held.host_ports.first <= out_of.last:
                number = held.host_ports.first
                if all(self._is_free(_at(other, number)) for other in wishes):
                    return number
        return None

    def _lowest(self, wishes: t.Sequence[model.PublishedPort], out_of: model.PortRange) -> int:
        # A run frees no port: a number that was not free for one port is not free for the next one.
        lane = (out_of, *((wish.container_ip.version, wish.protocol, wish.host_ip) for wish in wishes))
        for number in range(self._next.get(lane, out_of.first), out_of.last + 1):
            if out_of == EPHEMERAL and self._around.reserves(number):
                continue
            if all(self._is_free(at) and not self._around.holds(at) for at in (_at(wish, number) for wish in wishes)):
                self._next[lane] = number
                return number
        wish = wishes[0]
        raise model.InvalidRequest(
            "network %s: endpoint %s: publish: none of the host ports %s is free; choose a wider range,"
            " or end what listens there." % (marks.name_of(wish.network), wish.endpoint, out_of)
        )

    def _is_free(self, wish: model.PublishedPort) -> bool:
        there = self._taken.get(wish)
        mine = there is None or (there.network, _what(there)) == (wish.network, _what(wish))
        return mine and not any(True for unused in self._taken.clashes(wish))


def _what(port: model.PublishedPort) -> tuple[object, ...]:
    return (port.container_ip, port.container_port, port.protocol, port.host_ip)


def _at(port: model.PublishedPort, number: int) -> model.PublishedPort:
    return replace(port, host_ports=model.PortRange(number, number))


def plan_ports(
    networks: t.Iterable[BridgeNetwork], known: t.Sequence[model.PublishedPort], names: Names, around: Surroundings
) -> list[model.PublishedPort]:
    """The ports that all endpoints publish; ``known`` are the present ones."""
    planned = [
        (publish.choice, _plan_publish(network, endpoint, publish, names))
        for network in networks
        for endpoint in network.endpoints
        for publish in endpoint.publish
    ]
    if any(choice is not None for choice, unused in planned):
        planned = _with_numbers(planned, Ports(known, around))
    return [port for unused, ports in planned for port in ports]


_Planned = list[tuple[t.Optional[model.PortRange], list[model.PublishedPort]]]


def _with_numbers(planned: _Planned, table: Ports) -> _Planned:
    """The ports with numbers: those in the list come first, then those that are chosen."""
    _refuse_twice(planned)
    for choice, ports in planned:
        if choice is None:
            table.take(ports)
    return [(choice, ports if choice is None else table.choose(ports, choice)) for choice, ports in planned]


def _refuse_twice(planned: _Planned) -> None:
    """Raise InvalidRequest for two entries that would get the same number, since all that it follows from is alike."""
    found = set()
    for choice, port in ((choice, port) for choice, ports in planned if choice is not None for port in ports):
        if (choice, _what(port)) in found:
            raise model.InvalidRequest(
                "network %s: endpoint %s: publish: port %s/%s is listed twice without a port of the host; leave one"
                " out, or give each a port of the host."
                % (marks.name_of(port.network), port.endpoint, port.container_port, port.protocol)
            )
        found.add((choice, _what(port)))


def _plan_publish(
    network: BridgeNetwork, endpoint: Endpoint, publish: Publish, names: Names
) -> list[model.PublishedPort]:
    """The ports for each family that an entry is meant for; a number that is yet to be chosen is any of its range."""
    with parsing.about("network %s: endpoint %s" % (network.name, endpoint.name)):
        sources = _sources(publish, network, names)
    first = {address.version: address.ip for address in reversed(endpoint.addresses)}
    meant = [version for version in sorted(first) if _is_meant(publish, sources, version)]
    found = [_plan_family(network, endpoint.name, publish, sources, first[version]) for version in meant]
    if not found:
        raise model.InvalidRequest(
            "network %s: endpoint %s cannot publish %s: it has no address of that family; give it one, or publish on"
            " another address." % (network.name, endpoint.name, publish.text)
        )
    return found


def _sources(publish: Publish, network: BridgeNetwork, names: Names) -> tuple[model.Network, ...]:
    values = names.subnets("allowed_sources", publish.allowed_sources, network)
    return parsing.networks("allowed_sources", values)


def _is_meant(publish: Publish, sources: t.Sequence[model.Network], version: int) -> bool:
    """Whether an entry is meant for a family: that of its host address or clients, if it has such, else any."""
    if publish.host_ip is not None and publish.host_ip.version != version:
        return False
    return not sources or any(source.version == version for source in sources)


def _plan_family(
    network: BridgeNetwork,
    endpoint: str,
    publish: Publish,
    allowed: t.Sequence[model.Network],
    container_ip: model.Address,
) -> model.PublishedPort:
    sources = tuple(source for source in allowed if source.version == container_ip.version)
    everywhere = publish.host_ip is None or publish.host_ip.is_unspecified
    return model.PublishedPort(
        protocol=publish.protocol,
        host_ports=publish.host_ports or publish.container_ports,
        container_ip=container_ip,
        container_port=publish.container_ports.first,
        host_ip=None if everywhere else publish.host_ip,
        bridge=network.bridge,
        allowed_sources=() if any(source.prefixlen == 0 for source in sources) else sources,
        in_interfaces=publish.in_interfaces,
        network=network.label,
        endpoint=endpoint,
    )
