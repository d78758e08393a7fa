# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The legacy back-end: the rules of the iptables back-end, written by python-iptables through libiptc.

Only used on request, since iptables-legacy-restore does the same in a fiftieth of the time. It needs precautions:

- python-iptables has its own copy of the C structures of libxtables, wrong since 1.8.11 (ldx/python-iptables#353);
- it writes the legacy tables, whatever the host's iptables shows, so that has to be the legacy variant;
- it takes no lock, so we hold that of iptables from reading a table to its commit;
- it swallows errors while autocommit is on, which it is unless told otherwise;
- it can do one address family in a process, starts other programs when imported, and redirects standard output:
  so each family has a child process of its own, and what it wrote is read back by iptables-save and compared.
"""

from __future__ import annotations

import re
import sys
import typing as t
from dataclasses import field

from ... import model, operations
from ...kernel import xtables
from ...records import dataclass
from ..backend import FirewallError, Trouble
from ..foreign.reader import Foreign
from ..save_text import restore
from . import libiptc
from .backend import IptablesBackend
from .text import Ruleset, transaction

if t.TYPE_CHECKING:
    from ...kernel.host import Host

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_LAST_VERSION = (1, 8, 10)


class LegacyBackend(IptablesBackend):
    """python-iptables, where the host's own iptables is the legacy variant."""

    name = "legacy"

    def usable(self) -> Trouble | None:
        trouble = super().usable()
        if trouble is not None:
            return trouble
        if self.store != "legacy":
            return Trouble(
                "The iptables of this host is the nf_tables variant, and would not show what python-iptables writes;"
                " use the back-end iptables."
            )
        found = _VERSION.search(self.version_text())
        if found is None or tuple(int(part) for part in found.groups()) > _LAST_VERSION:
            return Trouble(
                "python-iptables cannot write rules correctly with iptables 1.8.11 or later"
                " (its issue 353); use the back-end iptables."
            )
        if not xtables.is_installed():
            return Trouble(
                "python-iptables is not installed for %s; install the package python3-iptables." % sys.executable
            )
        foreign = Foreign(self.netfilter)
        for table in foreign.nat_tables(4) + foreign.nat_tables(6):
            if table.store == "nft":
                return Trouble(
                    "%s translates addresses as well, and which of two rules for a packet decides depends on which"
                    " was loaded first; use the back-end nftables." % table
                )
        return None

    def plan(self, raw: object, desired: model.FirewallState) -> list[operations.Operation]:
        steps = super().plan(raw, desired)
        for step in steps:
            t.cast("WriteByLibiptc", step).rehearse()
        return steps

    def step(self, version: int, before: Ruleset, after: Ruleset, text: str) -> operations.Operation:
        return WriteByLibiptc(version, before, after, self)


@dataclass(frozen=True)
class WriteByLibiptc(operations.Operation):
    """One transaction of one family: all its rules are built before the first table is committed.

    This operation is not among the others, as only this back-end knows how to carry it out.
    """

    version: int
    before: Ruleset = field(hash=False)
    after: Ruleset = field(hash=False)
    backend: LegacyBackend = field(compare=False, repr=False)

    by_iptables = True

    def commands(self) -> list[str]:
        tool = "iptables-legacy-restore" if self.version == 4 else "ip6tables-legacy-restore"
        return [operations.here_document(" ".join(restore(tool)), transaction(self.before, self.after))]

    def undo(self) -> list[operations.Operation]:
        return [WriteByLibiptc(self.version, self.after, self.before, self.backend)]

    def rehearse(self) -> None:
        """Raise FirewallError if python-iptables cannot build one of the rules; touches no table."""
        text = transaction(self.before, self.after)
        libiptc.rehearse(self.version, text)

    def apply(self, host: Host) -> None:
        try:
            self._write(self.before, self.after)
        except FirewallError as error:
            self._take_back(error)
            raise
        difference = transaction(self._read(), self.after)
        if difference:
            wrong = FirewallError(
                "python-iptables wrote IPv%d rules that do not read back as they should; the first difference: %s"
                % (self.version, difference.splitlines()[1])
            )
            self._take_back(wrong)
            raise wrong

    def _read(self) -> Ruleset:
        return self.backend.read_family(self.version) or Ruleset({})

    def _write(self, before: Ruleset, after: Ruleset) -> None:
        text = transaction(before, after)
        if text:
            libiptc.commit(self.version, text)

    def _take_back(self, error: FirewallError) -> None:
        """Undo the change: tables are committed one by one, so the first may be written when the second fails."""
        try:
            self._write(self._read(), self.before)
        except FirewallError as trouble:
            raise FirewallError("%s. Rolling it back also failed: %s" % (error, trouble)) from error
