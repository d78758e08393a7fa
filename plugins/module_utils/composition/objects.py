# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of all kinds that a composition requests."""

from __future__ import annotations

import typing as t
from dataclasses import field

from .. import model
from ..records import dataclass


@dataclass
class Objects:
    """Objects to make, or to remove; each field has the name of a kind."""

    bridge: list[model.Bridge] = field(default_factory=list)
    netns: list[model.Namespace] = field(default_factory=list)
    veth: list[model.Veth] = field(default_factory=list)
    bridge_firewall: list[model.BridgePolicy] = field(default_factory=list)
    nat_masquerade: list[model.Masquerade] = field(default_factory=list)
    port_publish: list[model.PublishedPort] = field(default_factory=list)
    sysctl_forward: list[model.Forwarding] = field(default_factory=list)
    netns_file: list[model.NamespaceFile] = field(default_factory=list)
    endpoint_service: list[model.EndpointService] = field(default_factory=list)
    dns: list[model.NameView] = field(default_factory=list)

    def of(self, kind: str) -> t.Sequence[object]:
        """The objects of one kind."""
        found: t.Sequence[object] = getattr(self, kind)
        return found


@dataclass(frozen=True)
class Composition:
    """The objects that a list of networks requests of a host. Of an object to remove, only its name counts."""

    present: Objects
    absent: Objects
    warnings: tuple[str, ...] = ()
