# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects for all kinds, as a composition asks for them."""

from __future__ import annotations

import typing as t
from dataclasses import field

from ..model import (
    Bridge,
    BridgePolicy,
    EndpointService,
    Forwarding,
    Masquerade,
    Namespace,
    NamespaceFile,
    NameView,
    PublishedPort,
    Veth,
)
from ..records import dataclass


@dataclass
class Objects:
    """What is to be there, or to go; each field has the name of a kind."""

    bridge: list[Bridge] = field(default_factory=list)
    netns: list[Namespace] = field(default_factory=list)
    veth: list[Veth] = field(default_factory=list)
    bridge_firewall: list[BridgePolicy] = field(default_factory=list)
    nat_masquerade: list[Masquerade] = field(default_factory=list)
    port_publish: list[PublishedPort] = field(default_factory=list)
    sysctl_forward: list[Forwarding] = field(default_factory=list)
    netns_file: list[NamespaceFile] = field(default_factory=list)
    endpoint_service: list[EndpointService] = field(default_factory=list)
    dns: list[NameView] = field(default_factory=list)

    def of(self, kind: str) -> t.Sequence[object]:
        """Those of one kind."""
        found: t.Sequence[object] = getattr(self, kind)
        return found


@dataclass(frozen=True)
class Composition:
    """What a list of networks asks of a host. Of an object that goes, only what names it counts."""

    present: Objects
    absent: Objects
    warnings: tuple[str, ...] = ()
