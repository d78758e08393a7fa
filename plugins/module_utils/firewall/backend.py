# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every packet filter back-end offers: read all of ours in one dump, plan the difference as one transaction."""

from __future__ import annotations

import typing as t

from ..kernel.netfilter import Netfilter
from ..model import Drop, FirewallState

if t.TYPE_CHECKING:
    from ..operations import Operation


class FirewallError(Exception):
    """The packet filter cannot be read or driven; the text says with which tool and why."""


class NoProgram(FirewallError):
    """A tool is not on this host."""


class NoPacketFilter(FirewallError):
    """No packet filter is there that could have rules; nothing of ours can be in it."""


class Trouble(t.NamedTuple):
    """Why a back-end cannot work, in one sentence."""

    text: str
    is_absent: bool = False  # it is not there at all: nothing of ours is in it, and nothing has to go


class BaseChain(t.NamedTuple):
    """A chain that the kernel itself sends packets to."""

    store: str  # nft or legacy
    family: str  # ip, ip6 or inet
    table: str
    chain: str


class Backend:
    """One way to keep a FirewallState in the kernel.

    ``raw`` is what a back-end read, in its own terms; only the same back-end looks into it.
    """

    name: str = ""
    # What executes the rules: nft (nf_tables, also when iptables wrote them) or legacy (x_tables).
    store: str = "nft"

    def __init__(self, netfilter: Netfilter) -> None:
        self.netfilter = netfilter

    def usable(self) -> Trouble | None:
        """Why this back-end cannot work on this host; None when it can."""
        raise NotImplementedError

    def read(self) -> object:
        """Everything of ours, in one dump; never anything of others."""
        raise NotImplementedError

    def state(self, raw: object) -> FirewallState:
        """What the rules that were read amount to."""
        raise NotImplementedError

    def drops(self, raw: object) -> list[Drop]:
        """How many packets our rules have dropped since they were written, for each reason and network."""
        raise NotImplementedError

    def expected(self, desired: FirewallState) -> object:
        """What read() will give when ``desired`` is in place."""
        raise NotImplementedError

    def user_rules(self, raw: object) -> str:
        """A sentence when rules of the user's keep a chain of ours from going; empty when none do."""
        return ""

    def jumps(self, raw: object) -> dict[BaseChain, int]:
        """How many rules of ours stand in base chains of others, before theirs."""
        return {}

    def plan(self, raw: object, desired: FirewallState) -> list[Operation]:
        """The transaction from what was read to ``desired``; empty when nothing differs.

        An empty FirewallState leaves no chain and no table of ours.
        """
        raise NotImplementedError

    def snapshot(self, desired: FirewallState) -> list[Snapshot]:
        """The whole of it as files, for a host where no rule of ours is; none when there is nothing to load."""
        raise NotImplementedError


class Snapshot(t.NamedTuple):
    """Rules as a file: what it is called, the command that loads it, and its text.

    It begins with what fails when rules of ours are there, so that it never adds to them.
    """

    name: str
    argv: tuple[str, ...]
    text: str
    trouble: str = ""  # why rules of the user's are not in it


def first_line(text: str) -> str:
    """What a tool says, for an error message: its first line that is not a warning."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("#")]
    return lines[0] if lines else "it says nothing"
