# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of a back-end of the packet filter: it reads all our rules in one dump, and plans one transaction."""

from __future__ import annotations

import typing as t

from .. import model
from ..kernel.netfilter import Netfilter

if t.TYPE_CHECKING:
    from .. import operations


class FirewallError(Exception):
    """The packet filter cannot be read or driven; the text says with which tool and why."""


class NoProgram(FirewallError):
    """A program is missing on this host."""


class NoPacketFilter(FirewallError):
    """The host has no packet filter, so it cannot have rules of ours."""


class Outdated(FirewallError):
    """The rules are no longer those that the plan was made for. Nothing has been changed, so a new plan can be made."""


class Trouble(t.NamedTuple):
    """Why a back-end cannot work, in one sentence."""

    text: str
    is_absent: bool = False  # it is missing altogether, so that it holds no rules of ours to remove


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
    # The part of the kernel that executes the rules: nft (nf_tables, even if iptables wrote them) or legacy (x_tables).
    store: str = "nft"

    def __init__(self, netfilter: Netfilter) -> None:
        self.netfilter = netfilter

    def usable(self) -> Trouble | None:
        """Why this back-end cannot work on this host; None when it can."""
        raise NotImplementedError

    def read(self) -> object:
        """Everything of ours, in one dump, and nothing of others."""
        raise NotImplementedError

    def state(self, raw: object) -> model.FirewallState:
        """The state that the rules describe that were read."""
        raise NotImplementedError

    def drops(self, raw: object) -> list[model.Drop]:
        """The number of packets that our rules have dropped since they were written, for each reason and network."""
        raise NotImplementedError

    def expected(self, desired: model.FirewallState) -> object:
        """The result of read() once ``desired`` is in place."""
        raise NotImplementedError

    def altered(self, raw: object, state: model.FirewallState) -> list[str]:
        """What differs between what was read and the rules of ``state``, each by its name."""
        raise NotImplementedError

    def user_rules(self, raw: object) -> str:
        """A sentence if rules of the user prevent the removal of a chain of ours; empty otherwise."""
        return ""

    def jumps(self, raw: object) -> dict[BaseChain, int]:
        """The number of our rules at the top of each base chain of others."""
        return {}

    def kept_jumps(self, raw: object, desired: model.FirewallState) -> frozenset[BaseChain]:
        """The base chains of others whose jumps to ours stay where they are, so that rules before them stay before."""
        return frozenset()

    def plan(self, raw: object, desired: model.FirewallState) -> list[operations.Operation]:
        """The transaction from what was read to ``desired``; empty if nothing differs.

        An empty FirewallState leaves no chain and no table of ours.
        """
        raise NotImplementedError

    def snapshot(self, desired: model.FirewallState) -> list[Snapshot]:
        """The rules as files, for a host without rules of ours; none if there is nothing to load."""
        raise NotImplementedError


class Snapshot(t.NamedTuple):
    """Rules as a file: its name, the command that loads it, and its text.

    The text begins with a statement that fails if rules of ours are there, so that it never adds to them.
    """

    name: str
    argv: tuple[str, ...]
    text: str
    trouble: str = ""  # why rules of the user's are not in it


def first_line(text: str) -> str:
    """The output of a tool for an error message: the first line that is not a warning."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("#")]
    return lines[0] if lines else "it says nothing"
