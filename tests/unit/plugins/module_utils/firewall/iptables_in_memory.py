# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""iptables-save and iptables-restore --noflush on rules in memory, as strict about what is missing as the real ones."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ansible_collections.dockerless.network.plugins.module_utils.firewall.save_text import text_of
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.netfilter_in_memory import (
    MemoryNetfilter,
)

BUILTIN = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}


class Refused(Exception):
    """An error of the real program."""


class Rules:
    """The tables of one address family."""

    def __init__(self, text: str = "") -> None:
        self.tables: dict[str, dict[str, list[tuple[str, ...]]]] = {}
        self.restore(text)

    def restore(self, text: str) -> None:
        """The effect of iptables-restore --noflush."""
        table = ""
        for line in text.splitlines():
            if line.startswith("*"):
                table = line[1:]
                before = self.tables.get(table, {chain: [] for chain in BUILTIN[table]})
                chains = {chain: list(rules) for chain, rules in before.items()}
            elif line == "COMMIT":
                self._check(chains)
                self.tables[table] = chains
            elif line.startswith(":"):
                chain = line[1:].split()[0]
                if chain not in BUILTIN[table]:
                    chains[chain] = []
            elif not line.startswith("#"):
                self._change(chains, *shlex.split(line))

    @staticmethod
    def _change(chains: dict[str, list[tuple[str, ...]]], verb: str, chain: str, *rule: str) -> None:
        if chain not in chains:
            raise Refused(f"{verb} {chain}: no such chain")
        if verb == "-A":
            chains[chain].append(rule)
        elif verb == "-I":
            number, rule = (int(rule[0]), rule[1:]) if rule[0].isdigit() else (1, rule)
            if number > len(chains[chain]) + 1:
                raise Refused(f"{verb} {chain} {number}: index of insertion too big")
            chains[chain].insert(number - 1, rule)
        elif verb == "-D" and rule in chains[chain]:
            chains[chain].remove(rule)
        elif verb == "-X" and not chains[chain]:
            del chains[chain]
        else:
            raise Refused(f"{verb} {chain} {rule}: no such rule, or chain not empty")

    @staticmethod
    def _check(chains: dict[str, list[tuple[str, ...]]]) -> None:
        for rules in chains.values():
            for rule in rules:
                target = rule[rule.index("-g" if "-g" in rule else "-j") + 1]
                if target.startswith("DLN-") and target not in chains:
                    raise Refused(f"{rule}: no chain {target}")

    def save(self) -> str:
        """The output of iptables-save."""
        lines = []
        for table, chains in self.tables.items():
            lines.append("*" + table)
            lines += [f":{chain} {'ACCEPT' if chain in BUILTIN[table] else '-'} [0:0]" for chain in chains]
            lines += [f"-A {chain} {text_of(rule)}" for chain, rules in chains.items() for rule in rules]
            lines += ["COMMIT", "# Completed"]
        return "\n".join([*lines, ""])


class Host(MemoryNetfilter):
    """A host whose iptables is the nf_tables variant."""

    def __init__(self, **families: str) -> None:
        super().__init__(self)
        self.families = {4: Rules(families.get("v4", "")), 6: Rules(families.get("v6", ""))}
        self.calls: list[str] = []

    def __call__(self, argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        program, *options = argv
        self.calls.append(program)
        if options == ["-V"]:
            return 0, f"{program} v1.8.9 (nf_tables)\n", ""
        family = self.families[6 if program.startswith("ip6") else 4]
        if program.endswith("-save"):
            return 0, family.save(), ""
        raise AssertionError(f"{argv} was not expected")

    def execute(self, argv: Sequence[str], text: str) -> None:
        """The interface of the host that an Operation uses."""
        program = argv[0]
        self.families[6 if program.startswith("ip6") else 4].restore(text)
