# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports by their numbers, so that a clash is found without looking at all of them."""

from __future__ import annotations

import typing as t

from .. import model

_Key = tuple[int, t.Optional[model.Address], str, model.PortRange]
_Lane = tuple[int, str]


class PortTable:
    """A set of published ports, each found by its key or by a port that it takes."""

    def __init__(self, ports: t.Iterable[model.PublishedPort] = ()) -> None:
        self._by_key: dict[_Key, model.PublishedPort] = {}
        self._singles: dict[_Lane, dict[int, list[model.PublishedPort]]] = {}
        self._ranges: dict[_Lane, list[model.PublishedPort]] = {}
        for port in ports:
            self.add(port)

    def __iter__(self) -> t.Iterator[model.PublishedPort]:
        return iter(self._by_key.values())

    def get(self, port: model.PublishedPort) -> model.PublishedPort | None:
        """The port with the same key."""
        return self._by_key.get(port.key)

    def add(self, port: model.PublishedPort) -> None:
        """Add a port, replacing one with the same key."""
        self.remove(port)
        self._by_key[port.key] = port
        self._shelf(port).append(port)

    def remove(self, port: model.PublishedPort) -> None:
        """Remove the port with the same key, if any."""
        known = self._by_key.pop(port.key, None)
        if known is not None:
            self._shelf(known).remove(known)

    def _shelf(self, port: model.PublishedPort) -> list[model.PublishedPort]:
        lane = (port.container_ip.version, port.protocol)
        if len(port.host_ports) > 1:
            return self._ranges.setdefault(lane, [])
        return self._singles.setdefault(lane, {}).setdefault(port.host_ports.first, [])

    def clashes(self, port: model.PublishedPort) -> t.Iterator[model.PublishedPort]:
        """Ports with another key that share packets with this one; a port on all addresses shares those of each."""
        lane = (port.container_ip.version, port.protocol)
        singles = self._singles.get(lane, {})
        near = list(self._ranges.get(lane, []))
        if len(port.host_ports) == 1:
            near += singles.get(port.host_ports.first, [])
        else:
            near += [other for found in singles.values() for other in found]
        for other in near:
            same_host = port.host_ip is None or other.host_ip is None or port.host_ip == other.host_ip
            if other.key != port.key and same_host and port.host_ports.overlaps(other.host_ports):
                yield other
