# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells whether an endpoint has no way out because its networks are internal, or because it has lost it."""

from __future__ import annotations

import typing as t

from ..firewall import reasons
from . import remedies, whose
from .packet import Packet
from .rules import DROP, PASS
from .topology import Nic, Node, Topology


def internal_networks(topology: Topology, node: Node, packet: Packet) -> list[str] | None:
    """The networks of an endpoint if all of them are internal, and none otherwise; None if rules of others hide it.

    The packet filter of the host holds which networks are internal, so it is asked about a packet to the outside.
    """
    found = []
    for nic, end in _veths(topology, node):
        bridge = topology.host.nic_at(end.master)
        own = next((one.ip for one in nic.addresses if one.version == packet.version and not one.is_link_local), None)
        if bridge is None or own is None:
            continue
        outcome = topology.host.filter.on_hook(
            "forward", packet.at(source=own, iif=bridge.name, oif="lo"), topology.host
        )
        if outcome.kind == DROP and remedies.is_for(reasons.OUT, outcome):
            found.append("network %s" % (end.network or bridge.name))
        elif outcome.kind == PASS or whose.is_ours(outcome.chain):
            return []
        else:
            return None
    return found


def _veths(topology: Topology, node: Node) -> t.Iterator[tuple[Nic, Nic]]:
    """The ends of our veth pairs in an endpoint, each with its end on the host."""
    for nic in node.nics.values():
        end = topology.peer(node, nic) if nic.is_ours else None
        if end is not None and end[0].is_host:
            yield nic, end[1]
