# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that our rules have dropped, from ``iptables-save -c``."""

from __future__ import annotations

import re
import typing as t

from ... import marks, model
from .. import reasons
from ..save_text import by_name, words
from . import names
from .words import Options

_COUNTED = re.compile(r"\[(\d+):\d+\] -A (%s\S+) (.*)" % re.escape(marks.CHAIN_PREFIX))
_OF_THE_HOST = {
    names.LOOPBACK[1]: reasons.LOOPBACK,
    names.STRAYS[1]: reasons.STRAY,
    names.FOREIGN[1]: reasons.FOREIGN,
    names.TRANSIT[1]: reasons.TRANSIT,
}
_BY_BRIDGE = {
    names.FORWARD[1]: reasons.OUT,
    names.INVALID[1]: reasons.PRIVATE,
    names.HOST[1]: reasons.HOST,
}


def read(dump: str) -> t.Iterator[model.Drop]:
    """The count of each rule that drops; rules with the same reason and bridge are not added up."""
    rules = [
        (int(found[1]), found[2], by_name(words(found[3]))) for found in map(_COUNTED.match, dump.splitlines()) if found
    ]
    # iptables-save sorts chains by name, so this one is searched first
    guards = (rule for unused, chain, rule in rules if chain == names.GUARD[1] and "! -i" in rule)
    bridges = {rule.get("-d", ""): rule["! -i"] for rule in guards}
    for packets, chain, rule in rules:
        why = _why(chain, rule, bridges) if rule.get("-j") == "DROP" else None
        if why is not None:
            yield model.Drop(*why, packets)


def _why(chain: str, rule: Options, bridges: t.Mapping[str, str]) -> tuple[str, str] | None:
    """The bridge and the reason; None for rules of others, and for ICMP redirects of the host itself."""
    if chain.startswith(names.INTO):
        return chain[len(names.INTO) :], reasons.IN if "! -i" in rule else reasons.CLOSED
    if chain == names.DIRECT[1]:
        return bridges.get(rule.get("-d", ""), ""), reasons.DIRECT
    if chain == names.GUARD[1]:
        return "", reasons.LOOPBACK
    if chain in _OF_THE_HOST:
        return "", _OF_THE_HOST[chain]
    return (rule.get("-i", ""), _BY_BRIDGE[chain]) if chain in _BY_BRIDGE else None
