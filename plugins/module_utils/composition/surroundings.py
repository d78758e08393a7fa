# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of others is on a host, for choices that must stay out of its way."""

from __future__ import annotations

import typing as t

from ..model import Interface, Network, PublishedPort


class Surroundings:
    """A host on which nothing is in the way."""

    def addresses(self) -> t.Sequence[Interface]:
        """The host's addresses."""
        return ()

    def routes(self) -> t.Sequence[Network]:
        """What routes of the host lead to, but for default routes."""
        return ()

    def holds(self, port: PublishedPort) -> bool:
        """Whether somebody else has a port of the host: a process that listens, or a rule that leads it elsewhere."""
        return False

    def reserves(self, number: int) -> bool:
        """Whether the administrator keeps a port for a service of his own (net.ipv4.ip_local_reserved_ports)."""
        return False


NOTHING_AROUND = Surroundings()
