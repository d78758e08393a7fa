# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a host that are not our networks, for choices that must avoid them."""

from __future__ import annotations

import typing as t

from .. import model
from ..report import EndpointReport


class Surroundings:
    """A host with nothing to avoid."""

    _reserved: list[model.PortRange] | None = None

    def addresses(self) -> t.Sequence[model.Interface]:
        """The host's addresses."""
        return ()

    def routes(self) -> t.Sequence[model.Network]:
        """The destinations of routes of the host, without default routes."""
        return ()

    def default_routes(self, endpoint: EndpointReport) -> t.Collection[int]:
        """The versions of IP in which an endpoint has a default route of ours."""
        return endpoint.default_routes

    def holds(self, port: model.PublishedPort) -> bool:
        """Whether a port of the host is taken: a process listens there, or a rule of others redirects it."""
        return False

    def is_ours(self, netns: str) -> bool:
        """Whether we made the namespace of this name, or will make it."""
        return True

    def file(self, path: str) -> str:
        """The text of a file of the host; empty when there is none."""
        return ""

    def hostname(self) -> str:
        """The host's name; empty if unknown."""
        return ""

    def reserved_ports(self) -> str:
        """The ports that the administrator has reserved, as the kernel spells them: RESERVED_PORTS."""
        return ""

    def reserves(self, number: int) -> bool:
        """Whether a port is one of these."""
        if self._reserved is None:
            self._reserved = model.port_ranges(self.reserved_ports())
        return any(reserved.first <= number <= reserved.last for reserved in self._reserved)


NOTHING_AROUND = Surroundings()
