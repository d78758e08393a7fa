# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of ours in tables of others, with nft, which deletes a rule only by the handle that the kernel gave it."""

from __future__ import annotations

import json
import typing as t

from ... import marks, operations
from ...kernel.errors import CommandError
from ...records import dataclass

if t.TYPE_CHECKING:
    from ...kernel.host import Host


class Place(t.NamedTuple):
    """A rule of ours, and its own handle or that of the rule that it comes before; 0: at the end of the chain."""

    chain: str
    handle: int
    rule: str


@dataclass(frozen=True)
class Marked(operations.Operation):
    """Replace our rules in one table of others.

    This operation is not among the others, as only this folder knows how to find such rules again.
    """

    family: str
    table: str
    old: tuple[Place, ...]
    new: tuple[Place, ...]

    @property
    def text(self) -> str:
        """The transaction, with the handles that were read."""
        return self._text([(place.chain, place.handle) for place in self.old])

    def _text(self, gone: t.Iterable[tuple[str, int]]) -> str:
        where = "%s %s" % (self.family, self.table)
        lines = ["delete rule %s %s handle %d" % (where, *rule) for rule in gone]
        for chain, before, rule in self.new:
            if before:
                lines.append("insert rule %s %s handle %d %s" % (where, chain, before, rule))
            else:
                lines.append("add rule %s %s %s" % (where, chain, rule))
        return "\n".join(lines) + "\n"

    def commands(self) -> list[str]:
        return operations.LoadRules(("nft", "-f", "-"), self.text).commands()

    def apply(self, host: Host) -> None:
        host.execute(("nft", "-f", "-"), self._text(self._there(host)))

    def undo(self) -> list[operations.Operation]:
        back = tuple(place._replace(handle=0) for place in self.old)
        return [Marked(self.family, self.table, self.new, back)]

    def _there(self, host: Host) -> list[tuple[str, int]]:
        chains = {place.chain for place in self.old}
        if not chains:
            return []
        argv = ["nft", "-j", "-t", "list", "table", self.family, self.table]
        rc, out, err = host.call(argv)
        if rc != 0:
            raise CommandError(argv, rc, err)
        rules = [item["rule"] for item in json.loads(out)["nftables"] if "rule" in item]
        mine = (rule for rule in rules if rule.get("comment") == marks.COLLECTION and rule["chain"] in chains)
        return [(rule["chain"], rule["handle"]) for rule in mine]
