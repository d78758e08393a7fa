# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of others is on a host, for choices that must stay out of its way."""

from __future__ import annotations

import typing as t

from ..model import Interface, Network, PortRange, PublishedPort, port_ranges
from ..report import EndpointReport


class Surroundings:
    """A host on which nothing is in the way."""

    _reserved: list[PortRange] | None = None

    def addresses(self) -> t.Sequence[Interface]:
        """The host's addresses."""
        return ()

    def routes(self) -> t.Sequence[Network]:
        """What routes of the host lead to, but for default routes."""
        return ()

    def default_routes(self, endpoint: EndpointReport) -> t.Collection[int]:
        """The versions of IP whose default route an endpoint has from us."""
        return endpoint.default_routes

    def holds(self, port: PublishedPort) -> bool:
        """Whether somebody else has a port of the host: a process that listens, or a rule that leads it elsewhere."""
        return False

    def is_ours(self, netns: str) -> bool:
        """Whether we made the namespace of this name, or are about to."""
        return True

    def file(self, path: str) -> str:
        """The text of a file of the host; empty when there is none."""
        return ""

    def hostname(self) -> str:
        """What the host calls itself; empty when that is not known."""
        return ""

    def reserved_ports(self) -> str:
        """The ports that the administrator keeps for services of his own, as the kernel spells them: RESERVED_PORTS."""
        return ""

    def reserves(self, number: int) -> bool:
        """Whether a port is one of these."""
        if self._reserved is None:
            self._reserved = port_ranges(self.reserved_ports())
        return any(reserved.first <= number <= reserved.last for reserved in self._reserved)


NOTHING_AROUND = Surroundings()
