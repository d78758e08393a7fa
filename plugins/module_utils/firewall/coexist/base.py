# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What everybody needs to know who puts rules of ours into places that other packet filters have for them."""

from __future__ import annotations

import typing as t
from dataclasses import field

from ...model import FirewallState
from ...operations import Operation
from ...records import dataclass
from ..backend import BaseChain
from ..foreign.rules import OUT, PUBLISHED, Chain, Packet, Table, dropped_by

Description = t.Optional[dict[str, object]]


@dataclass
class Measures:
    """What there is to do in those places, before our own rules change and after that."""

    first: list[Operation] = field(default_factory=list)
    last: list[Operation] = field(default_factory=list)
    before: dict[str, Description] = field(default_factory=dict)
    after: dict[str, Description] = field(default_factory=dict)
    # base chains, and the ways of packets, that let ours pass; and those base chains that only this run makes do so
    passed: set[tuple[BaseChain, str]] = field(default_factory=set)
    missing: set[BaseChain] = field(default_factory=set)

    def note(self, title: str, before: t.Sequence[str], after: t.Sequence[str]) -> None:
        """What a place holds of ours, for the diff."""
        self.before[title] = {"ours": list(before)} if before else None
        self.after[title] = {"ours": list(after)} if after else None


@dataclass(frozen=True)
class Ours:
    """What has to be known of us."""

    state: FirewallState
    # how many rules of ours stand before those of others in a base chain, when this run is over
    jumps: t.Mapping[BaseChain, int] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()  # bridges whose policy goes in this run

    @property
    def bridges(self) -> list[str]:
        """The bridges with a way out."""
        return [bridge for bridge in self.state.exits if bridge]


def is_needed(table: Table, chain: Chain, ours: Ours, skip: t.Container[str] = ()) -> bool:
    """Whether a base chain would drop packets of ours if the chains to ``skip``, which have our rules, were empty."""
    if not any(map(table.concerns, ours.state.versions)):
        return False
    packets = [Packet(bridge, way) for bridge in ours.state.exits for way in (OUT, PUBLISHED)]
    return any(dropped_by(table, chain, packet, skip) for packet in packets)
