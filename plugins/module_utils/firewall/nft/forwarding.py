# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarding of others in nftables: rules that stop packets which do not concern our networks."""

from __future__ import annotations

import typing as t

from ... import marks, model
from .. import reasons
from . import names
from .table import Chain, Table
from .words import Draft

_ELSEWHERE = "iifgroup != %d oifgroup != %d" % (marks.LINK_GROUP, marks.LINK_GROUP)
_FOREIGN = '%s counter drop comment "%s"' % (_ELSEWHERE, reasons.FOREIGN)
# Bridges of container engines and virtual machines, including later ones, have rules of their own. No rule may say that
# a kind is not bridge: a network card has none, and such a rule never matches its packets.
_BRIDGES = ('meta iifkind "bridge" return', 'meta oifkind "bridge" return')
_TRANSIT = {
    version: 'meta nfproto ipv%d %s counter drop comment "%s"' % (version, _ELSEWHERE, reasons.TRANSIT)
    for version in model.VERSIONS
}


# ---- to rules


def render(drop_foreign: bool, transit: t.Collection[int], draft: Draft) -> None:
    """The chain that drops all packets of others, or in some IP versions those that concern no bridge of others."""
    rules = [_TRANSIT[version] for version in sorted(transit)]
    draft.chains[names.FOREIGN] = (*[_FOREIGN] * drop_foreign, *(_BRIDGES if rules else ()), *rules)


# ---- from rules


def parse(table: Table) -> tuple[bool, frozenset[int]]:
    """Whether all packets of others are dropped, and the IP versions in which only those without a bridge are."""
    rules = table.chains.get(names.FOREIGN, Chain()).rules
    transit = frozenset(version for version, rule in _TRANSIT.items() if rule in rules)
    # a rule that was altered does not count as the more open one
    return _FOREIGN in rules or (bool(rules) and not transit), transit
