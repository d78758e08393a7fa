# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports by number, so that a clash is found without looking at all of them."""

from __future__ import annotations

import typing as t

from ..model import Address, PortRange, PublishedPort

_Key = tuple[int, t.Optional[Address], str, PortRange]
_Lane = tuple[int, str]


class PortTable:
    """A set of published ports, each found by its key or by a port that it takes."""

    def __init__(self, ports: t.Iterable[PublishedPort] = ()) -> None:
        self._by_key: dict[_Key, PublishedPort] = {}
        self._singles: dict[_Lane, dict[int, list[PublishedPort]]] = {}
        self._ranges: dict[_Lane, list[PublishedPort]] = {}
        for port in ports:
            self.add(port)

    def __iter__(self) -> t.Iterator[PublishedPort]:
        return iter(self._by_key.values())

    def get(self, port: PublishedPort) -> PublishedPort | None:
        """The port with the same key."""
        return self._by_key.get(port.key)

    def add(self, port: PublishedPort) -> None:
        """Add a port, replacing one with the same key."""
        self.remove(port)
        self._by_key[port.key] = port
        self._shelf(port).append(port)

    def remove(self, port: PublishedPort) -> None:
        """Remove the port with the same key, if any."""
        known = self._by_key.pop(port.key, None)
        if known is not None:
            self._shelf(known).remove(known)

    def _shelf(self, port: PublishedPort) -> list[PublishedPort]:
        lane = (port.container_ip.version, port.protocol)
        if len(port.host_ports) > 1:
            return self._ranges.setdefault(lane, [])
        return self._singles.setdefault(lane, {}).setdefault(port.host_ports.first, [])

    def clashes(self, port: PublishedPort) -> t.Iterator[PublishedPort]:
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
