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

    def usable(self) -> str | None:
        try:
            self._listed()
        except FirewallError as error:
            return str(error)
        return None

    def read(self) -> nft_table.Table:
        out = self._listed()
        return nft_table.parse(out) if out else nft_table.Table()

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
        return nft_layout.render(desired)

    def plan(self, raw: object, desired: FirewallState) -> list[Operation]:
        current = t.cast("nft_table.Table", raw)
        wanted = nft_layout.render(desired)
        text = nft_table.difference(current, wanted)
        if not text:
            return []
        return [LoadRules(("nft", "-f", "-"), text, nft_table.difference(wanted, current))]


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "it says nothing"
