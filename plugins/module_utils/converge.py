# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole networks in one run of the engine: what the role's modules do one after the other, planned and done as one."""

from __future__ import annotations

import typing as t

from .composition.compose import compose
from .engine import Kind, Outcome, Request, run
from .info import facts
from .kinds.bridge import BridgeKind
from .kinds.bridge_firewall import BridgeFirewallKind
from .kinds.nat_masquerade import NatMasqueradeKind
from .kinds.netns import NetnsKind
from .kinds.port_publish import PortPublishKind
from .kinds.sysctl_forward import SysctlForwardKind
from .kinds.veth import VethKind
from .parsing import about
from .world import World

# The order of the role's tasks. What goes, goes the other way round: ports lead nowhere before their endpoints go.
_COMING = ("bridge_firewall", "nat_masquerade", "port_publish", "bridge", "sysctl_forward", "netns", "veth")
_GOING = ("port_publish", "veth", "netns", "bridge", "nat_masquerade", "bridge_firewall")


def make_networks(
    networks: t.Sequence[t.Mapping[str, t.Any]], world: World, prune: bool = True, state: str = "present"
) -> Outcome:
    """Bring a host to a list of networks; raises InvalidRequest, Conflict, StepFailed."""
    wanted = compose(networks, facts(world), prune, state)
    items = dict(wanted["present"], sysctl_forward=[wanted["forward"]])
    if prune or state == "absent":
        named = {item["name"] for side in (items, wanted["absent"]) for item in side["netns"]}
        wanted["absent"]["netns"] += [{"name": name} for name in world.remains() if name not in named]
    kinds = _kinds()
    requests = [_request(kinds[name], item, "absent") for name in _GOING for item in wanted["absent"][name]]
    requests += [_request(kinds[name], item, item.get("state", "present")) for name in _COMING for item in items[name]]
    return run(requests, world)


def _kinds() -> dict[str, Kind[t.Any]]:
    kinds: tuple[Kind[t.Any], ...] = (
        BridgeFirewallKind(),
        NatMasqueradeKind(),
        PortPublishKind(),
        BridgeKind(),
        SysctlForwardKind(),
        NetnsKind(),
        VethKind(),
    )
    return {kind.name: kind for kind in kinds}


def _request(kind: Kind[t.Any], options: t.Mapping[str, t.Any], state: str) -> Request:
    with about("network %s" % options["network"] if options.get("network") else ""):
        return Request(kind, kind.parse(options), state)
