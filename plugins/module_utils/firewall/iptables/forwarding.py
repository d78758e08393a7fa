# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarding of others in iptables: rules that stop packets which do not concern our networks."""

from __future__ import annotations

import typing as t

from ..save_text import Rule
from . import names
from .words import GROUP, Draft, Rules, can_be_named

_FOREIGN: Rule = ("-m", "devgroup", "!", "--src-group", GROUP, "!", "--dst-group", GROUP, "-j", "DROP")


# ---- to rules


def render(drop_foreign: bool, transit: t.Collection[int], outsiders: t.Collection[str], draft: Draft) -> None:
    """The chains that drop all packets of others, or in some IP versions those that concern no bridge of others."""
    if draft.version in transit:
        _render_transit(sorted(outsiders), draft)
    if drop_foreign:
        draft.add(names.FOREIGN, _FOREIGN)


def _render_transit(outsiders: t.Sequence[str], draft: Draft) -> None:
    """The rules with names of links: iptables cannot recognise a bridge, and a later bridge must not be cut off. So the
    rules name all present links that are not bridges, as incoming and as outgoing ones."""
    for where in (names.FOREIGN, names.TRANSIT):
        draft.chains.setdefault(where, [])
    for name in filter(can_be_named, outsiders):
        draft.add(names.FOREIGN, ("-i", name), ("-j", names.TRANSIT[1]))
        draft.add(names.TRANSIT, ("-o", name), ("-j", "DROP"))


# ---- from rules


def parse(rules: Rules) -> tuple[bool, bool, set[str]]:
    """Whether the chains of one address family drop all packets of others, or only those without a bridge, and the
    links that these rules name."""
    drops_all = any(rule.get("-j") == "DROP" for rule in rules.get(names.FOREIGN, ()))
    outsiders = {rule["-o"] for rule in rules.get(names.TRANSIT, ()) if "-o" in rule}
    return drops_all, names.TRANSIT in rules, outsiders
