# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The path of a packet: the findings on it, and how it ended."""

from __future__ import annotations

import typing as t

from ..records import dataclass
from .packet import Packet
from .rules import Outcome
from .topology import Nic, Node
from .words import Ending, Layer


class Mark(t.NamedTuple):
    """A point on the path where a real packet can be seen."""

    node: str
    point: str  # "in eth0", "out eth0", "ingress eth0 first", "forward first", "forward last", "bridge forward first"
    answer: bool


class Hop(t.NamedTuple):
    """One thing that was checked."""

    place: str
    answer: bool
    layer: Layer | None
    object: str
    found: str


@dataclass(frozen=True)
class Verdict:
    """The end of the packet's path: the layer, the place, the reason and the remedy."""

    verdict: Ending
    layer: Layer | None = None
    place: str = ""
    reason: str = ""
    advice: str = ""
    owner: str = ""  # of the object, unless that follows from the layer and the place


class Stop(Exception):
    """The packet gets no further."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.reason)


class Oracle:
    """The observations of a real packet; this base class has none."""

    active = False
    gave_up = False  # whether the sender was told that nobody answered for the MAC address of the next hop

    def came(self, mark: Mark) -> bool | None:
        """Whether the packet was seen at a point; None if nothing watched there."""
        return None

    def packet_at(self, mark: Mark) -> Packet | None:
        """The packet as it was seen there."""
        return None

    def complaint(self, node: Node) -> str:
        """The reason for which the packet was refused outside of this host, as a clause; empty if it was not."""
        return ""

    def dropped(self, node: Node, answer: bool, families: t.Container[str]) -> tuple[str, str, str, int] | None:
        """Family, table, chain and handle (0: the policy) of the rule that dropped the packet in a stack."""
        return None


class Hopeful(Oracle):
    """Assumes that the packet comes everywhere, so that the walk finds the whole path in spite of obstacles."""

    active = True

    def came(self, mark: Mark) -> bool | None:
        """Whether the packet was seen at a point: always."""
        return True


class Trail:
    """Records what was found, and compares it with where a real packet was seen, if one was sent."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.hops: list[Hop] = []
        self.doubts: list[Verdict] = []
        self.marks: list[Mark] = []
        self.ports: list[int] = []  # the destination ports that the packet had
        # The stack and the rule that changed the packet's source, its destination, its port or its tracking, by field.
        self.changes: dict[str, tuple[Node, Outcome]] = {}
        # The stack and the rule of others after which the packet did not come to ours that translate it, by hook.
        self.untranslated: dict[str, tuple[Node, Outcome]] = {}

    def changed(self, node: Node, before: Packet, outcome: Outcome) -> None:
        """Record the rule that changed the packet, if one did."""
        after = outcome.packet
        for what in ("source", "to", "dport", "state"):
            if outcome.rule is not None and getattr(after, what) != getattr(before, what):
                self.changes[what] = (node, outcome)
        if after.dport != before.dport and not before.answer:
            self.ports.append(after.dport)

    def note(self, node: Node, packet: Packet, layer: Layer, what: str, found: str) -> None:
        """Record something that lets the packet pass."""
        self.hops.append(Hop(node.name, packet.answer, layer, what, found))

    def stop(self, verdict: Verdict, packet: Packet, until: Mark | None = None) -> None:
        """Stop at an obstacle, unless a real packet was seen behind it."""
        passed = until is not None and self.oracle.came(until)
        found = verdict.reason + (" (but the packet passed)" if passed else "")
        self.hops.append(Hop(verdict.place, packet.answer, verdict.layer, "", found))
        if not passed:
            raise Stop(verdict)

    def doubt(self, verdict: Verdict, packet: Packet) -> None:
        """Record something that may be an obstacle."""
        self.doubts.append(verdict)
        self.hops.append(Hop(verdict.place, packet.answer, verdict.layer, "", "cannot tell: " + verdict.reason))

    def seen(self, mark: Mark, otherwise: Verdict) -> None:
        """Pass a point on the path: a real packet that was not seen there was lost before it."""
        self.marks.append(mark)
        came = self.oracle.came(mark)
        if came:
            self.doubts.clear()
        elif came is False:
            raise Stop(self.doubts[0] if self.doubts else otherwise)


class Follower:
    """Follows a packet, and stops at an obstacle."""

    trail: Trail

    def _stop(
        self,
        verdict: Ending,
        layer: Layer,
        place: str,
        reason: str,
        advice: str,
        packet: Packet,
        until: Mark | None = None,
        owner: str = "",
    ) -> None:
        self.trail.stop(Verdict(verdict, layer, place, reason, advice, owner), packet, until)


def at(node: Node, nic: Nic | None = None) -> str:
    """The name of a place in reports."""
    return node.name if nic is None else "%s: %s" % (node.name, nic.name)
