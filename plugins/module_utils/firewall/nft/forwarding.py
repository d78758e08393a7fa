# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarding of others, in nftables: what is stopped that concerns no network of ours."""

from __future__ import annotations

import typing as t

from ...marks import LINK_GROUP
from ...model import VERSIONS
from .. import reasons
from . import names
from .table import Chain, Table
from .words import Draft

_ELSEWHERE = "iifgroup != %d oifgroup != %d" % (LINK_GROUP, LINK_GROUP)
_FOREIGN = '%s counter drop comment "%s"' % (_ELSEWHERE, reasons.FOREIGN)
# A bridge of a container engine or of virtual machines, also one that comes later, has rules of its own.
_TRANSIT = {
    version: 'meta nfproto ipv%d %s meta iifkind != "bridge" meta oifkind != "bridge" counter drop comment "%s"'
    % (version, _ELSEWHERE, reasons.TRANSIT)
    for version in VERSIONS
}


# ---- to rules


def render(drop_foreign: bool, transit: t.Collection[int], draft: Draft) -> None:
    """The chain that drops everything of others, or what of some IP versions concerns no bridge of theirs either."""
    draft.chains[names.FOREIGN] = (*(_TRANSIT[version] for version in sorted(transit)), *[_FOREIGN] * drop_foreign)


# ---- from rules


def parse(table: Table) -> tuple[bool, frozenset[int]]:
    """Whether everything of others is dropped, and in which IP versions what concerns none of their bridges is."""
    rules = table.chains.get(names.FOREIGN, Chain()).rules
    transit = frozenset(version for version, rule in _TRANSIT.items() if rule in rules)
    # a rule that somebody altered is not taken for the more open one
    return _FOREIGN in rules or (bool(rules) and not transit), transit
