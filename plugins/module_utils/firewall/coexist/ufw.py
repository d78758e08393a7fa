# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ufw's route rules (ufw(8))."""

from __future__ import annotations

import re
import typing as t

from ... import marks, operations
from .. import backend
from ..foreign import rules
from ..foreign.reader import UFW_RULES, Foreign
from .base import Measures, Ours, is_needed

# route:ACTION PROTOCOL PORT TO PORT FROM in_LINK|out_LINK [comment=HEX], as ufw itself reads it back
_UFW_TUPLE = re.compile(
    r"^### tuple ### route:allow any any 0\.0\.0\.0/0 any 0\.0\.0\.0/0 (in|out)_(\S+?)(?: comment=([0-9a-f]+))?$",
    re.MULTILINE,
)


def plan(foreign: Foreign, ours: Ours, result: Measures) -> None:
    """Bring ufw's rules to what is wanted."""
    Ufw(foreign).plan(ours, result)


class Ufw:
    """``ufw route allow`` for each bridge, which is permanent; ufw puts it after the present rules."""

    _CHAINS = ("ufw-user-forward", "ufw6-user-forward")

    def __init__(self, foreign: Foreign) -> None:
        self._foreign = foreign

    def plan(self, ours: Ours, result: Measures) -> None:
        """Bring ufw's rules to what is wanted."""
        text = self._foreign.netfilter.read_file(UFW_RULES)
        if text is None:
            return
        marked, theirs = self._read(text)
        base = self._base()
        wanted: set[tuple[str, str]] = set()
        if base is not None and (base, rules.OUT) not in result.passed and self._is_needed(base, ours):
            wanted = {(way, bridge) for bridge in ours.bridges for way in ("in", "out")}
            bases = {base._replace(family=family) for family in ("ip", "ip6")}
            result.passed |= {(each, way) for each in bases for way in rules.WAYS}
            if not wanted <= marked | theirs:
                result.missing |= bases
        result.note("ufw", self._spell(marked), self._spell(wanted - theirs))
        result.first += [self._step(item, ("delete",), ()) for item in sorted(marked - wanted)]
        result.last += [self._step(item, (), ("delete",)) for item in sorted(wanted - theirs - marked)]

    def _is_needed(self, base: backend.BaseChain, ours: Ours) -> bool:
        table = self._foreign.table(base.store, base.family, base.table)
        return table is not None and is_needed(table, table.chains[base.chain], ours, self._CHAINS)

    @staticmethod
    def _read(text: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """The rules for whole interfaces that are ours, and those of others."""
        marked: set[tuple[str, str]] = set()
        theirs: set[tuple[str, str]] = set()
        for way, link, comment in _UFW_TUPLE.findall(text):
            (marked if comment == marks.COLLECTION.encode().hex() else theirs).add((way, link))
        return marked, theirs

    def _base(self) -> backend.BaseChain | None:
        """The chain that ufw filters in; None if ufw is off."""
        for store in ("nft", "legacy"):
            table = self._foreign.table(store, "ip", "filter")
            if table is not None and "ufw-user-forward" in table.chains and table.chains["FORWARD"].rules:
                return backend.BaseChain(store, "ip", "filter", "FORWARD")
        return None

    @staticmethod
    def _spell(items: t.Iterable[tuple[str, str]]) -> list[str]:
        return ["route allow %s on %s" % item for item in sorted(items, key=lambda item: (item[1], item[0]))]

    @staticmethod
    def _step(item: tuple[str, str], verb: tuple[str, ...], reverse: tuple[str, ...]) -> operations.Operation:
        def argv(word: tuple[str, ...]) -> tuple[str, ...]:
            comment = () if word else ("comment", marks.COLLECTION)
            return ("ufw", "route", *word, "allow", item[0], "on", item[1], *comment)

        return operations.RunTool(argv(verb), argv(reverse))
