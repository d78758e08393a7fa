# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells whether an endpoint has no way out because its networks are internal, or because it has lost one of them."""

from __future__ import annotations

import typing as t

from ..firewall import reasons
from . import remedies, trail, whose, words
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


def lost_network(topology: Topology, node: Node, version: int) -> trail.Verdict | None:
    """The interface or the address by which an endpoint should be in one of its networks; None if nothing is missing.

    Its hosts file has its addresses. Without one, the mark of its namespace and its other links must do.
    """
    ends = list(_veths(topology, node))
    noted = topology.called(node.name, node)
    lost = [one for one in noted if one.version == version and not node.is_local(one) and topology.owner(one) is None]
    for address in lost:
        bridge = topology.host.bridge_with(address)
        if bridge is not None and not any(_is_of(bridge, end) for unused, end in ends):
            return _without_interface(node, bridge.network or bridge.name)
        return _without_address(node, "%s has lost its address %s" % (node.name, address))
    network = node.nics["lo"].network if node.nics["lo"].is_ours else ""
    if network and network not in [end.network for unused, end in ends]:
        return _without_interface(node, network)
    for nic, end in () if noted else ends:
        if not _has_address(nic, version) and _has_address(topology.host.nic_at(end.master), version):
            return _without_address(node, "%s of %s has no IPv%d address" % (nic.name, node.name, version), nic)
    return None


def _without_interface(node: Node, network: str) -> trail.Verdict:
    reason = "%s has lost its interface in network %s" % (node.name, network)
    return trail.Verdict(
        words.LOST, "link", trail.at(node), reason, remedies.AGAIN % "restores the interfaces of endpoints"
    )


def _without_address(node: Node, reason: str, nic: Nic | None = None) -> trail.Verdict:
    return trail.Verdict(
        words.LOST, "address", trail.at(node, nic), reason, remedies.AGAIN % "restores the addresses of endpoints"
    )


def _is_of(bridge: Nic, end: Nic) -> bool:
    return end.master == bridge.index or end.network == bridge.network != ""


def _has_address(nic: Nic | None, version: int) -> bool:
    return nic is not None and any(one.version == version and not one.is_link_local for one in nic.addresses)


def _veths(topology: Topology, node: Node) -> t.Iterator[tuple[Nic, Nic]]:
    """The ends of our veth pairs in an endpoint, each with its end on the host."""
    for nic in node.nics.values():
        end = topology.peer(node, nic) if nic.is_ours else None
        if end is not None and end[0].is_host:
            yield nic, end[1]
