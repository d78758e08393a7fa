# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our rules as data: read from iptables-save, compared, and turned into one iptables-restore.

Pure functions.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import field

from ... import marks
from ...records import dataclass, replace
from ..save_text import Rule, text_of, words
from .names import LAST, ChainKey

# The order in which a transaction commits its tables, each of them atomically: tables that close come first.
TABLES = ("raw", "mangle", "filter", "nat")
BUILTIN = frozenset(("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"))


@dataclass(frozen=True)
class Jump:
    """A rule in a chain that is not ours, which jumps to one of ours."""

    table: str
    chain: str
    rule: Rule

    @property
    def target(self) -> str:
        """The chain that it leads to."""
        return self.rule[-1]


class CatchAll(t.NamedTuple):
    """A last rule of others in FORWARD that drops all that comes to it, with the rules that log for it."""

    before: int  # how many rules of others come before it
    is_passed: bool = False  # whether a jump of ours comes behind it, where no packet reaches it


@dataclass(frozen=True)
class Ruleset:
    """Everything of ours in one address family: chains by table and name, and the jumps to them from top to bottom."""

    chains: t.Mapping[ChainKey, tuple[Rule, ...]]
    jumps: tuple[Jump, ...] = ()
    catch_all: CatchAll | None = field(default=None, compare=False)

    def before(self, table: str, chain: str) -> int:
        """The number of our rules at the top of a chain of others."""
        return sum((jump.table, jump.chain) == (table, chain) and jump.target not in LAST for jump in self.jumps)

    def kept_jumps(self, before: Ruleset) -> set[ChainKey]:
        """The chains of others, with their tables, whose jumps stay where they are in rules that become these."""
        moved = {(jump.table, jump.chain) for table in TABLES for jump in _jump_changes(table, before, self, ())[1]}
        return {(jump.table, jump.chain) for jump in self.jumps} - moved

    def __bool__(self) -> bool:
        return bool(self.chains or self.jumps)


EMPTY = Ruleset({})


def parse(dump: str) -> Ruleset:
    """Our rules in the output of iptables-save."""
    chains: dict[ChainKey, list[Rule]] = {}
    jumps: list[Jump] = []
    table = ""
    for line in dump.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":" + marks.CHAIN_PREFIX):
            chains.setdefault((table, line[1:].split(" ", 1)[0]), [])
        elif line.startswith("-A " + marks.CHAIN_PREFIX):
            chain, unused, rule = line[len("-A ") :].partition(" ")
            chains.setdefault((table, chain), []).append(words(rule))
        elif line.startswith("-A ") and marks.CHAIN_PREFIX in line:
            unused, chain, *rule_words = words(line)
            if len(rule_words) > 1 and rule_words[-2] in ("-j", "-g") and rule_words[-1].startswith(marks.CHAIN_PREFIX):
                jumps.append(Jump(table, chain, tuple(rule_words)))
    return Ruleset({where: tuple(rules) for where, rules in chains.items()}, tuple(jumps))


def transaction(before: Ruleset, after: Ruleset) -> str:
    """The input of iptables-restore --noflush that turns one into the other; empty if they are equal."""
    return "".join(_table_text(table, before, after) for table in TABLES)


def altered(current: Ruleset, desired: Ruleset) -> t.Iterator[str]:
    """The names of the chains that differ, and of the chains of others whose jumps to ours do."""
    for table, chain in sorted({*current.chains, *desired.chains}):
        if current.chains.get((table, chain)) != desired.chains.get((table, chain)):
            yield "chain %s of table %s" % (chain, table)
    for table in TABLES:
        # a catch-all that has come before our last jump is a rule of others
        surplus, missing = _jump_changes(table, replace(current, catch_all=None), desired, ())
        for chain in sorted({jump.chain for jump in (*surplus, *missing)}):
            yield "jumps in chain %s of table %s" % (chain, table)


def _table_text(table: str, before: Ruleset, after: Ruleset) -> str:
    old = {chain: rules for (where, chain), rules in before.chains.items() if where == table}
    new = {chain: rules for (where, chain), rules in after.chains.items() if where == table}
    changed = [chain for chain, rules in new.items() if old.get(chain) != rules]
    removed = [chain for chain in old if chain not in new]
    surplus, missing = _jump_changes(table, before, after, removed)
    # a declaration creates the chain, or empties it
    lines = [":%s - [0:0]" % chain for chain in changed + removed]
    lines += ["-D %s %s" % (jump.chain, text_of(jump.rule)) for jump in surplus]
    lines += ["-A %s %s" % (chain, text_of(rule)) for chain in changed for rule in new[chain]]
    first = [jump for jump in missing if jump.target not in LAST]
    lines += ["-I %s %s" % (jump.chain, text_of(jump.rule)) for jump in reversed(first)]
    lines += [_last(before, jump, first) for jump in missing if jump.target in LAST]
    lines += ["-X %s" % chain for chain in removed]
    return "\n".join(["*" + table, *lines, "COMMIT", ""]) if lines else ""


def _last(before: Ruleset, jump: Jump, first: t.Iterable[Jump]) -> str:
    """The line for a jump that comes after the rules of others, except a catch-all.

    The jumps in ``first`` are the only ones of ours in its chain at this point of the transaction.
    """
    if before.catch_all is None or not _is_forward(jump):
        return "-A %s %s" % (jump.chain, text_of(jump.rule))
    number = before.catch_all.before + sum(other.chain == jump.chain for other in first) + 1
    return "-I %s %d %s" % (jump.chain, number, text_of(jump.rule))


def _is_forward(jump: Jump) -> bool:
    return (jump.table, jump.chain) == ("filter", "FORWARD")


def _jump_changes(
    table: str, before: Ruleset, after: Ruleset, removed: t.Collection[str]
) -> tuple[list[Jump], list[Jump]]:
    """The jumps to delete and to add. A jump that others have put into their own chain stays while its target exists.

    A chain gets all of our jumps anew where that is needed for their order among themselves, or to have a catch-all
    behind them. Their places among the other rules of others do not matter.
    """
    have = [j for j in before.jumps if j.table == table and (j.chain in BUILTIN or j.target in removed)]
    want = [jump for jump in after.jumps if jump.table == table]
    surplus = list((Counter(have) - Counter(want)).elements())
    left = list(have)
    for jump in surplus:
        left.remove(jump)  # deletes the first of equal rules, as -D does
    torn = {jump.chain for jump in want if _of_chain(left, jump.chain) != _of_chain(want, jump.chain)}
    if before.catch_all is not None and before.catch_all.is_passed:
        torn.update(jump.chain for jump in want if _is_forward(jump))
    old = [jump for jump in surplus if jump.chain not in torn]
    return [*old, *(j for j in have if j.chain in torn)], [jump for jump in want if jump.chain in torn]


def _of_chain(jumps: t.Iterable[Jump], chain: str) -> list[Jump]:
    return [jump for jump in jumps if jump.chain == chain]
