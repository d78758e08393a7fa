# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarding of others, in iptables: what is stopped that concerns no network of ours."""

from __future__ import annotations

import typing as t

from ..save_text import Rule
from . import names
from .words import GROUP, Draft, Rules, can_be_named

_FOREIGN: Rule = ("-m", "devgroup", "!", "--src-group", GROUP, "!", "--dst-group", GROUP, "-j", "DROP")


# ---- to rules


def render(drop_foreign: bool, transit: t.Collection[int], outsiders: t.Collection[str], draft: Draft) -> None:
    """The chains that drop everything of others, or what of some IP versions concerns no bridge of theirs either."""
    if draft.version in transit:
        _render_transit(sorted(outsiders), draft)
    if drop_foreign:
        draft.add(names.FOREIGN, _FOREIGN)


def _render_transit(outsiders: t.Sequence[str], draft: Draft) -> None:
    """iptables cannot tell a bridge from another link, and one that comes later must not be cut off: so the links of
    now that are none are named, those that packets come in by and those that they leave by."""
    for where in (names.FOREIGN, names.TRANSIT):
        draft.chains.setdefault(where, [])
    for name in filter(can_be_named, outsiders):
        draft.add(names.FOREIGN, ("-i", name), ("-j", names.TRANSIT[1]))
        draft.add(names.TRANSIT, ("-o", name), ("-j", "DROP"))


# ---- from rules


def parse(rules: Rules) -> tuple[bool, bool, set[str]]:
    """Whether the chains of one address family drop everything of others, or what concerns none of their bridges; and
    the links that this is about."""
    drops_all = any(rule.get("-j") == "DROP" for rule in rules.get(names.FOREIGN, ()))
    outsiders = {rule["-o"] for rule in rules.get(names.TRANSIT, ()) if "-o" in rule}
    return drops_all, names.TRANSIT in rules, outsiders
