# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The native back-end: one table of ours, read by one ``nft -j list``, changed by one ``nft -f -`` (nft(8))."""

from __future__ import annotations

import typing as t

from ..model import FirewallState
from ..operations import LoadRules, Operation
from . import nft_layout, nft_table
from .backend import Backend, FirewallError, Runner


class NftablesBackend(Backend):
    """nftables, through its own tool."""

    name = "nftables"

    def __init__(self, run: Runner) -> None:
        super().__init__(run)
        self._text: str | None = None
        self._table: nft_table.Table | None = None

    def usable(self) -> str | None:
        try:
            self._listed()
        except FirewallError as error:
            return str(error)
        return None

    def read(self) -> nft_table.Table:
        if self._table is None:
            out = self._listed()
            try:
                self._table = nft_table.parse(out) if out else nft_table.Table()
            except ValueError as error:
                # nft 1.0.6 breaks off in the middle of a table with an owner
                raise FirewallError(
                    "nft does not show the whole of table %s %s: another program owns it."
                    % (nft_table.FAMILY, nft_table.NAME)
                ) from error
        return self._table

    def _listed(self) -> str:
        """Our table as JSON, empty when there is none. Asked once: a read is also the proof that nft works."""
        if self._text is None:
            rc, out, err = self.run(["nft", "-j", "list", "table", nft_table.FAMILY, nft_table.NAME], None)
            if rc != 0 and "No such file or directory" not in err:
                raise FirewallError("nft does not work here: %s" % _first_line(err))
            self._text = out if rc == 0 else ""
        return self._text

    def state(self, raw: object) -> FirewallState:
        return nft_layout.parse(t.cast("nft_table.Table", raw))

    def expected(self, desired: FirewallState) -> nft_table.Table:
        return self._wanted(desired)

    def kept(self, raw: object) -> str:
        if self._user_rules(t.cast("nft_table.Table", raw)) is None:
            return ""
        place = (nft_table.FAMILY, nft_table.NAME)
        return "Chain %s of table %s %s has rules of yours, and stays; to delete it: nft delete table %s %s" % (
            nft_layout.USER,
            *place,
            *place,
        )

    @staticmethod
    def _user_rules(table: nft_table.Table) -> nft_table.Chain | None:
        chain = table.chains.get(nft_layout.USER)
        return chain if chain is not None and chain.rules else None

    def _wanted(self, desired: FirewallState) -> nft_table.Table:
        """Our table, with the rules of the user as they are, and the sets that those look into."""
        wanted, current = nft_layout.render(desired), self.read()
        theirs = self._user_rules(current)
        if theirs is None:
            return wanted
        named = {word[1:] for rule in theirs.rules for word in rule.split() if word.startswith("@")}
        sets = {name: current.sets[name] for name in named if name in current.sets and name not in wanted.sets}
        return nft_table.Table({**wanted.chains, nft_layout.USER: theirs}, {**sets, **wanted.sets})

    def plan(self, raw: object, desired: FirewallState) -> list[Operation]:
        current = t.cast("nft_table.Table", raw)
        wanted = self._wanted(desired)
        text = nft_table.difference(current, wanted)
        if not text:
            return []
        return [LoadRules(("nft", "-f", "-"), text, nft_table.difference(wanted, current))]


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "it says nothing"
