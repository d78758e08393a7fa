# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the code for the various other firewalls shares: our rules, and the measures in places of theirs."""

from __future__ import annotations

import typing as t
from dataclasses import field

from ... import model, operations
from ...records import dataclass
from .. import backend
from ..foreign import rules

Description = t.Optional[dict[str, object]]


@dataclass
class Measures:
    """The steps in those places, before and after our own rules change."""

    first: list[operations.Operation] = field(default_factory=list)
    last: list[operations.Operation] = field(default_factory=list)
    before: dict[str, Description] = field(default_factory=dict)
    after: dict[str, Description] = field(default_factory=dict)
    # base chains, with ways of packets, that let our packets pass; and those that do so only because of this run
    passed: set[tuple[backend.BaseChain, str]] = field(default_factory=set)
    missing: set[backend.BaseChain] = field(default_factory=set)

    def note(self, title: str, before: t.Sequence[str], after: t.Sequence[str]) -> None:
        """Note the rules of ours in a place, for the diff."""
        self.before[title] = {"ours": list(before)} if before else None
        self.after[title] = {"ours": list(after)} if after else None


@dataclass(frozen=True)
class Ours:
    """Our own rules and networks, as that code needs them."""

    state: model.FirewallState
    # the number of our rules at the top of a base chain of others, after this run
    jumps: t.Mapping[backend.BaseChain, int] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()  # bridges whose policy this run removes

    @property
    def bridges(self) -> list[str]:
        """The bridges with a way out."""
        return [bridge for bridge in self.state.exits if bridge]


def is_needed(table: rules.Table, chain: rules.Chain, ours: Ours, skip: t.Container[str] = ()) -> bool:
    """Whether a base chain would drop packets of ours if the chains to ``skip``, which have our rules, were empty."""
    if not any(map(table.concerns, ours.state.versions)):
        return False
    packets = [rules.Packet(bridge, way) for bridge in ours.state.exits for way in (rules.OUT, rules.PUBLISHED)]
    return any(rules.dropped_by(table, chain, packet, skip) for packet in packets)
