# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Translates a FirewallState into one nftables table, and back.

A network, a port or a permission is an element of a set or map. So the number of rules does not grow with them, except
for one rule for each masquerade and each allowed flow. The table has four sections (policies, masquerades, ports,
forwarding of others), each with its own chains and sets, which exist only while the section has rules. So sections that
are written one after the other add up to the same table as all at once. docs/rules.md describes each of them.
"""

from __future__ import annotations

import typing as t

from ... import model
from . import names
from .table import Chain, Table, hook
from .words import Draft

# The chains that the kernel calls; all others are only jumped to.
BASE_CHAINS = {
    names.GUARD: hook("filter", "prerouting", "mangle"),
    names.PUBLISH_IN: hook("nat", "prerouting", "dstnat"),
    names.FORWARD: hook("filter", "forward", "filter"),
    names.FOREIGN: hook("filter", "forward", "filter"),
    names.INPUT: hook("filter", "input", "filter"),
    names.STRAYS_IN: hook("filter", "input", "filter"),
    names.PUBLISH_OUT: hook("nat", "output", "dstnat"),
    names.OUTPUT: hook("filter", "output", "filter"),
    names.HAIRPIN: hook("nat", "postrouting", "srcnat"),
    names.EGRESS: hook("nat", "postrouting", "srcnat"),
}
_Item = t.TypeVar("_Item")


def render(state: model.FirewallState) -> Table:
    """The table that holds ``state``."""
    draft = Draft()
    if state.policies:
        from . import policies

        policies.render(_sorted(state.policies), draft)
    if state.masquerades:
        from . import masquerades

        masquerades.render(state.masquerades, draft)
    if state.ports:
        from . import ports

        ports.render(_sorted(state.ports), draft)
    if state.drop_foreign or state.drop_transit:
        from . import forwarding

        forwarding.render(state.drop_foreign, state.drop_transit, draft)
    chains = {name: Chain(BASE_CHAINS.get(name, ""), rules) for name, rules in draft.chains.items()}
    return Table(chains, draft.sets)


def parse(table: Table) -> model.FirewallState:
    """The state in a table. Rules that are damaged beyond recognition are left out, and so rewritten."""
    if not table.chains:
        return model.FirewallState()
    from . import forwarding, masquerades, policies, ports

    drop_foreign, transit = forwarding.parse(table)
    return model.FirewallState(
        policies=frozenset(policies.parse(table)),
        masquerades=frozenset(masquerades.parse(table)),
        ports=frozenset(ports.parse(table)),
        drop_foreign=drop_foreign,
        drop_transit=transit,
    )


def _sorted(items: t.Iterable[_Item]) -> list[_Item]:
    return sorted(items, key=str)
