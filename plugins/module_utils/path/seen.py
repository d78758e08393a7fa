# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real packet and its answer on each link that they passed, in the order in which they did.

The socket of a namespace delivers its frames in order. Between namespaces, time stamps are of no use, as the kernel
begins to stamp frames only some time after it was asked to; but a frame that comes out of a veth pair has entered its
other end before.

A bridge that has forgotten which port a MAC address is behind floods the frame. Its copies go astray, and are left out.
"""

from __future__ import annotations

import typing as t

from .. import marks
from .sightings import Sighting, Sightings
from .topology import Node
from .trail import Mark
from .wire import Wire

_End = tuple[str, str, bool]  # node, link, and whether it is the answer


def seen(wire: Wire, sightings: Sightings) -> t.Iterator[dict[str, str]]:
    """The sightings as the module returns them, without the link that injected the packet into the uplink."""
    found = [
        one for one in sightings.on_links() if one.link in one.node.nics and not one.link.startswith(marks.PATH_LINK)
    ]
    for one in _in_order(wire, _without_copies(wire, found)):
        # the port of an echo is its identifier
        packet = one.packet.at(sport=0) if one.packet.protocol == "icmp" else one.packet
        yield {
            "place": one.node.name,
            "direction": "back" if packet.answer else "there",
            "layer": wire.layer_of(one.node, one.node.nics[one.link]),
            "interface": one.link,
            "way": "out" if one.outgoing else "in",
            "source": packet.origin,
            "destination": packet.target,
        }


def _without_copies(wire: Wire, found: t.Sequence[Sighting]) -> list[Sighting]:
    flooded: dict[tuple[str, int, bool, str, str], list[Sighting]] = {}
    for one in found:
        bridge = one.node.nics[one.link].master
        if one.outgoing and bridge:
            packet = one.packet
            flooded.setdefault((one.node.name, bridge, packet.answer, packet.origin, packet.target), []).append(one)
    copies: set[_End] = set()
    for ports in flooded.values():
        astray = {_end(one) for one in ports if not _is_on_the_way(wire, one)}
        copies |= astray if len(astray) < len(ports) else set()
    return [one for one in found if (_end(one) if one.outgoing else _sent_by(wire, one)) not in copies]


def _is_on_the_way(wire: Wire, one: Sighting) -> bool:
    """Whether the walk came by there."""
    return Mark(one.node.name, "out " + one.link, one.packet.answer) in wire.trail.marks


def _in_order(wire: Wire, found: t.Sequence[Sighting]) -> t.Iterator[Sighting]:
    queues: dict[str, list[Sighting]] = {}
    for one in found:
        queues.setdefault(one.node.name, []).append(one)
    coming = {_end(one) for one in found if one.outgoing}  # ends where frames entered a pair, not reported yet
    while any(queues.values()):
        ready = [queue for queue in queues.values() if queue and _sent_by(wire, queue[0]) not in coming]
        # none is ready if frames seem to go round in a circle, which cannot happen
        one = (ready or [queue for queue in queues.values() if queue])[0].pop(0)
        coming.discard(_end(one) if one.outgoing else None)
        yield one


def _end(one: Sighting) -> _End:
    return one.node.name, one.link, one.packet.answer


def _sent_by(wire: Wire, one: Sighting) -> _End | None:
    """The other end of the veth pair that a frame came out of."""
    peer = None if one.outgoing else _peer(wire, one.node, one.link)
    return (*peer, one.packet.answer) if peer is not None else None


def _peer(wire: Wire, node: Node, link: str) -> tuple[str, str] | None:
    found = wire.other_end(node, node.nics[link])
    return (found[0].name, found[1].name) if found is not None else None
