# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a FirewallState lies in one nftables table, and back.

A network, a port or a permission is an element of a set or map; the number of rules does not grow with them, but
for one rule for each masquerade and each allowed flow. The table has four sections (policies, masquerades, ports,
forwarding of others), each with its own chains and sets, which are there only when the section has something to say.
So sections written one after the other add up to the same table as all at once. docs/rules.md tells what each is for.
"""

from __future__ import annotations

import typing as t

from ...marks import LINK_GROUP
from ...model import VERSIONS, FirewallState
from .. import reasons
from . import names
from .table import Chain, Table, hook
from .words import Draft

# Where the kernel comes to us; all other chains are only jumped to.
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
_ELSEWHERE = "iifgroup != %d oifgroup != %d" % (LINK_GROUP, LINK_GROUP)
_FOREIGN = '%s counter drop comment "%s"' % (_ELSEWHERE, reasons.FOREIGN)
# A bridge of a container engine or of virtual machines, also one that comes later, has rules of its own.
_TRANSIT = {
    version: 'meta nfproto ipv%d %s meta iifkind != "bridge" meta oifkind != "bridge" counter drop comment "%s"'
    % (version, _ELSEWHERE, reasons.TRANSIT)
    for version in VERSIONS
}


def render(state: FirewallState) -> Table:
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
    foreign = [_TRANSIT[version] for version in sorted(state.drop_transit)] + [_FOREIGN] * state.drop_foreign
    if foreign:
        draft.chains[names.FOREIGN] = tuple(foreign)
    chains = {name: Chain(BASE_CHAINS.get(name, ""), rules) for name, rules in draft.chains.items()}
    return Table(chains, draft.sets)


def parse(table: Table) -> FirewallState:
    """The state that a table holds; what is damaged beyond recognition is left out, and so rewritten."""
    foreign = table.chains.get(names.FOREIGN, Chain()).rules
    transit = frozenset(version for version, rule in _TRANSIT.items() if rule in foreign)
    if not table.chains:
        return FirewallState()
    from . import masquerades, policies, ports

    return FirewallState(
        policies=frozenset(policies.parse(table)),
        masquerades=frozenset(masquerades.parse(table)),
        ports=frozenset(ports.parse(table)),
        # a rule that somebody altered is not taken for the more open one
        drop_foreign=_FOREIGN in foreign or (bool(foreign) and not transit),
        drop_transit=transit,
    )


def _sorted(items: t.Iterable[t.Any]) -> list[t.Any]:
    return sorted(items, key=str)
