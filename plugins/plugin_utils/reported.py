# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The surroundings of our networks, by the result of network_info."""

from __future__ import annotations

import ipaddress
import typing as t

from ..module_utils.composition.surroundings import Surroundings
from ..module_utils.model import Interface, Listener, Network, PublishedPort


class ReportedSurroundings(Surroundings):
    """The surroundings, read when they are needed."""

    def __init__(self, info: t.Mapping[str, t.Any]) -> None:
        self._info = info
        self._listening: dict[tuple[str, int], list[Listener]] = {}
        for item in info.get("listening") or ():
            address = ipaddress.ip_address(item["address"])
            found = Listener(item["protocol"], item["port"], address, tuple(item["ip_versions"]))
            self._listening.setdefault((found.protocol, found.port), []).append(found)

    def addresses(self) -> t.Sequence[Interface]:
        return [ipaddress.ip_interface(text) for text in self._info.get("addresses") or ()]

    def routes(self) -> t.Sequence[Network]:
        return [ipaddress.ip_network(text) for text in self._info.get("routed_subnets") or ()]

    def holds(self, port: PublishedPort) -> bool:
        listeners = self._listening.get((port.protocol, port.host_ports.first), ())
        return any(listener.takes(port) for listener in listeners)

    def reserved_ports(self) -> str:
        return str(self._info.get("reserved_ports") or "")
