# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's chain for rules of others, DOCKER-USER (Docker's documentation, "Docker with iptables")."""

from __future__ import annotations

import typing as t

from ...marks import COLLECTION, LINK_GROUP
from ...operations import LoadRules, Operation
from ..backend import BaseChain
from ..foreign.reader import Foreign
from ..foreign.rules import WAYS, Table
from ..save_text import Rule, by_name, docker_bridges, restore, text_of, words
from .base import Measures, Ours, is_needed

_VERSIONS = {"ip": 4, "ip6": 6}


def plan(foreign: Foreign, ours: Ours, result: Measures) -> None:
    """Bring the chain to what is wanted, wherever it is."""
    DockerUser(foreign).plan(ours, result)


class DockerUser:
    """DOCKER-USER in each store and family that has it.

    What enters our links is accepted, for our own rules have judged it or will. What leaves them is accepted unless
    it goes to one of Docker's own networks, which Docker closes by the same policy that our packets have to get by.
    """

    CHAIN = "DOCKER-USER"
    _MARK: Rule = ("-m", "comment", "--comment", COLLECTION)
    _END: Rule = ("-j", "RETURN")

    def __init__(self, foreign: Foreign) -> None:
        self._foreign = foreign

    def plan(self, ours: Ours, result: Measures) -> None:
        """Bring the chain to what is wanted, wherever it is."""
        for store, family in self._places():
            self._plan_one(store, family, ours, result)

    def _places(self) -> t.Iterator[tuple[str, str]]:
        for family, version in _VERSIONS.items():
            if self._foreign.has_chain(family, "filter", self.CHAIN):
                yield "nft", family
            is_loaded = "filter" in self._foreign.netfilter.legacy_tables(version)
            if is_loaded and ":%s " % self.CHAIN in self._saved("legacy", family):
                yield "legacy", family

    def _saved(self, store: str, family: str) -> str:
        return self._foreign.saved(store, _VERSIONS[family], "filter")

    def _plan_one(self, store: str, family: str, ours: Ours, result: Measures) -> None:
        saved = self._saved(store, family)
        rules = _rules_of(saved, self.CHAIN)
        marked = [rule for rule in rules if _is_marked(rule)]
        base = BaseChain(store, family, "filter", "FORWARD")
        reached = any(rule[-1] == self.CHAIN for rule in _rules_of(saved, "FORWARD"))
        wanted: list[Rule] = []
        if reached and is_needed(self._foreign, ours, base, (self.CHAIN,)):
            wanted = self._wanted(saved, store, family, ours)
            result.passed |= {(base, way) for way in WAYS}
        title = "chain %s of %s" % (self.CHAIN, Table(store, family, "filter"))
        result.note(title, [text_of(rule) for rule in marked], [text_of(rule) for rule in wanted])
        rest = [rule for rule in rules if not _is_marked(rule)]
        place = rest.index(self._END) if self._END in rest else len(rest)
        if rules != [*rest[:place], *wanted, *rest[place:]]:
            step = self._step(store, family, (marked, wanted), place)
            (result.last if wanted else result.first).append(step)
            result.missing.add(base)

    def _wanted(self, saved: str, store: str, family: str, ours: Ours) -> list[Rule]:
        """By link group, in rules that stay the same whatever networks there are; by name where the kernel has no
        match for groups."""
        names = docker_bridges(saved)
        rules = self._rules([("-m", "devgroup", "--src-group", "0x%x" % LINK_GROUP)], names)
        rules += self._accept([("-m", "devgroup", "--dst-group", "0x%x" % LINK_GROUP)])
        if not set(rules) <= set(_rules_of(saved, self.CHAIN)) and not self._works(store, family, rules):
            rules = []
        bridges = list(ours.adopted) if rules else ours.bridges
        rules += self._rules([("-i", bridge) for bridge in bridges], names)
        return rules + self._accept([("-o", bridge) for bridge in bridges])

    def _rules(self, ways: t.Sequence[Rule], dockers: t.Sequence[str]) -> list[Rule]:
        """Packets that came these ways: to Docker's own networks as Docker has it, else accepted."""
        back = []
        for way in ways:
            for name in dockers:
                match = (*way, "-o", name) if way[0] == "-i" else ("-o", name, *way)
                back.append((*match, *self._MARK, "-j", "RETURN"))
        return back + self._accept(ways)

    def _accept(self, ways: t.Sequence[Rule]) -> list[Rule]:
        return [(*way, *self._MARK, "-j", "ACCEPT") for way in ways]

    def _works(self, store: str, family: str, rules: t.Sequence[Rule]) -> bool:
        text = _restore_text(self.CHAIN, [], rules, 0)
        return self._foreign.netfilter.run([*_restore(store, family), "--test"], text)[0] == 0

    def _step(self, store: str, family: str, change: tuple[list[Rule], list[Rule]], place: int) -> Operation:
        old, new = change
        return LoadRules(
            _restore(store, family),
            _restore_text(self.CHAIN, old, new, place),
            _restore_text(self.CHAIN, new, old, place),
        )


def _restore(store: str, family: str) -> tuple[str, ...]:
    tool = "%s-%s-restore" % ("iptables" if family == "ip" else "ip6tables", store)
    return restore(tool)


def _restore_text(chain: str, gone: t.Sequence[Rule], new: t.Sequence[Rule], place: int) -> str:
    lines = ["-D %s %s" % (chain, text_of(rule)) for rule in gone]
    lines += ["-I %s %d %s" % (chain, place + number, text_of(rule)) for number, rule in enumerate(new, 1)]
    return "\n".join(["*filter", *lines, "COMMIT", ""])


def _rules_of(saved: str, chain: str) -> list[Rule]:
    return [words(line)[2:] for line in saved.splitlines() if line.startswith("-A %s " % chain)]


def _is_marked(rule: Rule) -> bool:
    return by_name(rule).get("--comment") == COLLECTION
