# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The native back-end: one table of ours, read by one ``nft -j list``, changed by one ``nft -f -`` (nft(8))."""

from __future__ import annotations

import re
import typing as t

from ... import marks, model
from ...kernel.netfilter import Netfilter
from ...records import replace
from .. import backend
from . import names, table

if t.TYPE_CHECKING:
    from ... import operations

_PLACE = (marks.NFT_FAMILY, marks.NFT_TABLE)
_OWNED = (
    "Another program owns table %s %s, so that only it can change it; end that program, and the table goes." % _PLACE
)
_DORMANT = "Table %s %s is dormant, and nft cannot list it; wake it: nft add table %s %s" % (*_PLACE, *_PLACE)


class NftablesBackend(backend.Backend):
    """nftables, through its own tool."""

    name = "nftables"

    def __init__(self, netfilter: Netfilter) -> None:
        super().__init__(netfilter)
        self._text: str | None = None
        self._table: table.Table | None = None

    def usable(self) -> backend.Trouble | None:
        try:
            self._listed()
        except backend.FirewallError as error:
            # the second is the message of nft on a kernel without nf_tables
            return backend.Trouble(str(error), isinstance(error, backend.NoProgram) or "not supported" in str(error))
        return None

    def read(self) -> table.Table:
        if self._table is None:
            out = self._listed()
            # the lines before the chains declare the table itself
            flags = self._flags() if '"flags"' in out.partition('{"chain"')[0] else []
            if "owner" in flags:
                raise backend.FirewallError(_OWNED)
            try:
                found = table.parse(out) if out else table.Table()
            except ValueError as error:
                # nft 1.0.6 stops in the middle of some tables with flags
                raise backend.FirewallError(_DORMANT if "dormant" in flags else _OWNED) from error
            self._table = replace(found, dormant=True) if "dormant" in flags else found
        return self._table

    def _flags(self) -> list[str]:
        """The flags of our table. As JSON, nft 1.0.6 prints any text for them."""
        unused, out, unused_err = self.netfilter.run(["nft", "-t", "list", "table", *_PLACE], None)
        found = re.search(r"^\tflags (.+)$", out, re.MULTILINE)
        return found[1].split(",") if found is not None else []

    def _listed(self) -> str:
        """Our table as JSON, empty if there is none. It is read once, which also proves that nft works."""
        if self._text is None:
            rc, out, err = self.netfilter.run(["nft", "-j", "list", "table", *_PLACE], None)
            if rc != 0 and "No such file or directory" not in err:
                raise backend.FirewallError("nft does not work here: %s" % backend.first_line(err))
            if rc == 0 and not out.startswith("{"):
                raise backend.FirewallError(
                    "nft does not work here: its output is not JSON: %s" % backend.first_line(out)
                )
            self._text = out if rc == 0 else ""
        return self._text

    def state(self, raw: object) -> model.FirewallState:
        if not raw:
            return model.FirewallState()
        from . import layout

        return layout.parse(t.cast("table.Table", raw))

    def drops(self, raw: object) -> list[model.Drop]:
        from .drops import read

        return list(read(t.cast("table.Table", raw)))

    def expected(self, desired: model.FirewallState) -> table.Table:
        return self._wanted(desired)

    def altered(self, raw: object, state: model.FirewallState) -> list[str]:
        return list(table.altered(t.cast("table.Table", raw), self._wanted(state)))

    def user_rules(self, raw: object) -> str:
        if _user_chain(t.cast("table.Table", raw)) is None:
            return ""
        return "Chain %s of table %s %s has rules of yours, and stays; to delete it: nft delete table %s %s" % (
            names.USER,
            *_PLACE,
            *_PLACE,
        )

    def _wanted(self, desired: model.FirewallState) -> table.Table:
        """Our table, with the user's rules in it unchanged."""
        from . import layout

        wanted, theirs = layout.render(desired), self._theirs(desired)
        return table.Table({**wanted.chains, **theirs.chains}, {**theirs.sets, **wanted.sets})

    def _theirs(self, desired: model.FirewallState) -> table.Table:
        """The user's own rules and sets."""
        if _user_chain(self.read()) is None:
            return table.Table()
        from . import layout, users

        return users.of_user(self.read(), layout.render(desired))

    def plan(self, raw: object, desired: model.FirewallState) -> list[operations.Operation]:
        current = t.cast("table.Table", raw)
        wanted = self._wanted(desired)
        text = table.difference(current, wanted)
        if not text:
            return []
        from ... import operations

        return [operations.LoadRules(("nft", "-f", "-"), text, table.difference(wanted, current))]

    def snapshot(self, desired: model.FirewallState) -> list[backend.Snapshot]:
        from . import layout

        ours = table.difference(table.Table(), layout.render(desired))
        if not ours:
            return []
        # unlike "add", this fails if the table exists
        text, trouble = "create" + ours[len("add") :], ""
        theirs = self._theirs(desired)
        if theirs:
            from . import users

            both = text + users.as_text(theirs, self.netfilter)
            trouble = users.trouble_with(both, self.netfilter)
            text = text if trouble else both
        return [backend.Snapshot("nft", ("nft", "-f"), text, trouble)]


def _user_chain(current: table.Table) -> table.Chain | None:
    """The user's chain, unless it is empty."""
    chain = current.chains.get(names.USER)
    return chain if chain is not None and chain.rules else None
