# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The iptables back-end: one ``iptables-save`` reads, one ``iptables-restore --noflush`` changes, for each family.

Only chains whose name begins with DLN- and the jumps to them are looked at; rules and chains of others keep their
place. A table is committed as one (iptables-restore(8)); chains that differ are rebuilt as a whole in that commit.
"""

from __future__ import annotations

import re
import typing as t

from ... import marks, model, operations
from ...kernel.netfilter import Netfilter
from ...records import dataclass, replace
from .. import backend
from ..save_text import Rule, by_name, restore, text_of
from . import layout
from .names import USERS
from .text import EMPTY, TABLES, CatchAll, Ruleset, altered, parse, transaction

VARIANTS = ("auto", "nft", "legacy")
# What a shell exits with when there is no such program, and when it cannot be run.
_MISSING, _BROKEN = 127, 126

_TOOLS = {4: "iptables", 6: "ip6tables"}
_DECLARED = re.compile(r"^:(\S+) - \[0:0\]$", re.MULTILINE)
_FILTER = re.compile(r"^\*filter\n.*?^COMMIT$", re.MULTILINE | re.DOTALL)
_FORWARD_OF_OTHERS = re.compile(r"^-A FORWARD (?!.* -j %s)" % marks.CHAIN_PREFIX, re.MULTILINE)
_CHAIN = re.compile(r"^:(\S+) ", re.MULTILINE)
_INCOMPATIBLE = re.compile(r"^# Table `(\w+)' is incompatible", re.MULTILINE)


@dataclass(frozen=True)
class Dump:
    """Our present rules, by IP version; a version that this host does not have is missing."""

    families: t.Mapping[int, Ruleset]

    def __bool__(self) -> bool:
        return any(self.families.values())


class IptablesBackend(backend.Backend):
    """iptables in the host's own variant, or in the requested one."""

    def __init__(self, netfilter: Netfilter, variant: str = "auto") -> None:
        super().__init__(netfilter)
        if variant not in VARIANTS:
            raise backend.FirewallError("iptables has no variant %s, only %s." % (variant, ", ".join(VARIANTS)))
        self._variant = variant
        self._version: tuple[int, str] | None = None
        self._found: t.Mapping[int, Ruleset] = {4: EMPTY, 6: EMPTY}  # without the IP versions that this host lacks

    @property
    def store(self) -> str:  # type: ignore[override]
        """The store of the host's own variant, or of the requested one."""
        if self._variant != "auto":
            return self._variant
        return "nft" if "nf_tables" in self.version_text() else "legacy"

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of what owns the store: python-iptables and iptables-legacy-restore write the same rules."""
        return "legacy" if self.store == "legacy" else "iptables"

    def usable(self) -> backend.Trouble | None:
        rc, out = self._ask_version()
        tool = self.tool(4, "")
        if rc == _MISSING:
            return backend.Trouble("%s is not installed; install the package iptables." % tool, is_absent=True)
        if rc != 0 or not out.startswith("iptables"):
            return backend.Trouble("%s does not work here: %s" % (tool, backend.first_line(out)))
        return None

    def read(self) -> Dump:
        found = {version: self.read_family(version) for version in (4, 6)}
        self._found = {version: rules for version, rules in found.items() if rules is not None}
        return Dump(self._found)

    def state(self, raw: object) -> model.FirewallState:
        return layout.parse(t.cast("Dump", raw).families)

    def drops(self, raw: object) -> list[model.Drop]:
        from .drops import read

        tools = [self.tool(version, "save") for version, rules in t.cast("Dump", raw).families.items() if rules]
        answers = [self._try([tool, "-c"]) for tool in tools]
        return [drop for rc, out, unused in answers if rc == 0 for drop in read(out)]

    def expected(self, desired: model.FirewallState) -> Dump:
        wanted = self._wanted(self._found, desired)
        return Dump({version: wanted[version] for version in self._found})

    def _wanted(self, current: t.Mapping[int, Ruleset], desired: model.FirewallState) -> dict[int, Ruleset]:
        """The rules as they will be, with the user's own rules as they are."""
        rendered = layout.render(desired)
        return {version: _with_users(current.get(version, EMPTY), rules) for version, rules in rendered.items()}

    def altered(self, raw: object, state: model.FirewallState) -> list[str]:
        families = t.cast("Dump", raw).families
        wanted = self._wanted(families, state)
        return [
            "%s (IPv%d)" % (name, version)
            for version, rules in families.items()
            for name in altered(rules, wanted[version])
        ]

    def user_rules(self, raw: object) -> str:
        for version, rules in t.cast("Dump", raw).families.items():
            for table, chain in USERS:
                if rules.chains.get((table, chain)):
                    words = (chain, self.tool(version, ""), table, chain)
                    return "Chain %s has rules of yours, and stays; to empty it: %s -t %s -F %s" % words
        return ""

    def jumps(self, raw: object) -> dict[backend.BaseChain, int]:
        families = t.cast("Dump", raw).families
        return {
            backend.BaseChain(self.store, "ip" if version == 4 else "ip6", *place): rules.before(*place)
            for version, rules in families.items()
            for place in [("filter", "FORWARD"), *((jump.table, jump.chain) for jump in rules.jumps)]
        }

    def kept_jumps(self, raw: object, desired: model.FirewallState) -> frozenset[backend.BaseChain]:
        families = t.cast("Dump", raw).families
        return frozenset(
            backend.BaseChain(self.store, "ip" if version == 4 else "ip6", *place)
            for version, wanted in self._wanted(families, desired).items()
            for place in wanted.kept_jumps(families.get(version, EMPTY))
        )

    def plan(self, raw: object, desired: model.FirewallState) -> list[operations.Operation]:
        current = t.cast("Dump", raw).families
        steps: list[operations.Operation] = []
        for version, wanted in self._wanted(current, desired).items():
            if version not in current:
                self._refuse_missing(version, desired)
                continue
            text = transaction(current[version], wanted)
            if text:
                steps.append(self.step(version, current[version], wanted, text))
        return steps

    def snapshot(self, desired: model.FirewallState) -> list[backend.Snapshot]:
        wanted = self._wanted(self._found, desired)
        found = [self._snapshot(version, wanted[version]) for version in self._found]
        return [item for item in found if item.text]

    def _snapshot(self, version: int, wanted: Ruleset) -> backend.Snapshot:
        rules, trouble = self._lasting(version, wanted)
        # to declare a chain that is there empties it, and its jumps would double; to make one that is there fails
        text = _DECLARED.sub(r"-N \1", transaction(EMPTY, rules))
        return backend.Snapshot("v%d" % version, restore(self.tool(version, "restore")), text, trouble)

    def _lasting(self, version: int, wanted: Ruleset) -> tuple[Ruleset, str]:
        """The rules without those of the user that need something which may be missing when the file is loaded."""
        theirs = {place: wanted.chains[place] for place in USERS if wanted.chains.get(place)}
        if not theirs:
            return wanted, ""
        declared = set(_CHAIN.findall(self._try([self.tool(version, "save")])[1]))
        left = [rule for rules in theirs.values() for rule in rules if _needs_others(rule, declared)]
        kept = {place: tuple(rule for rule in rules if rule not in left) for place, rules in theirs.items()}
        told = "'%s' names a chain or a set that is not ours" % text_of(left[0]) if left else ""
        return Ruleset({**wanted.chains, **kept}, wanted.jumps), told

    def step(self, version: int, before: Ruleset, after: Ruleset, text: str) -> operations.Operation:
        """The transaction from one set of rules to another, whose text is given."""
        argv = restore(self.tool(version, "restore"))
        return operations.LoadRules(argv, text, reverse=transaction(before=after, after=before))

    def tool(self, version: int, verb: str) -> str:
        """The program for an IP version: ``save``, ``restore``, or empty for the one that takes single rules."""
        words = [_TOOLS[version], "" if self._variant == "auto" else self._variant, verb]
        return "-".join(word for word in words if word)

    def version_text(self) -> str:
        """The answer of ``iptables -V``: a version, and the variant in parentheses."""
        return self._ask_version()[1]

    def _ask_version(self) -> tuple[int, str]:
        if self._version is None:
            rc, out, err = self._try([self.tool(4, ""), "-V"])
            self._version = (rc, out or err)
        return self._version

    def _try(self, argv: t.Sequence[str]) -> tuple[int, str, str]:
        """Run a program; a missing one has the exit code that it has in a shell."""
        try:
            return self.netfilter.run(argv, None)
        except (FileNotFoundError, backend.NoProgram):
            return _MISSING, "", "not found"
        except backend.FirewallError as error:
            return _BROKEN, "", str(error)

    def read_family(self, version: int) -> Ruleset | None:
        """Our present rules for an IP version; None if this host has no such version."""
        if version == 6 and not self.netfilter.has_ipv6():
            return None
        if self.store == "legacy" and not self.netfilter.legacy_tables(version):
            return EMPTY
        tool = self.tool(version, "save")
        rc, out, err = self._try([tool])
        if version == 6 and rc == _MISSING:
            return None
        if rc != 0:
            raise backend.FirewallError(
                "%s cannot read the rules (exit code %d): %s" % (tool, rc, backend.first_line(err))
            )
        incompatible = set(_INCOMPATIBLE.findall(out)).intersection(TABLES)
        if incompatible:
            raise backend.FirewallError(
                "%s cannot read table %s: it has rules that only nft knows; use the back-end nftables."
                % (tool, ", ".join(sorted(incompatible)))
            )
        return replace(parse(out), catch_all=_catch_all(out))

    def _refuse_missing(self, version: int, desired: model.FirewallState) -> None:
        """Rules that name IPv6 addresses need IPv6; rules that would merely hold for IPv6 as well do without it."""
        if version not in desired.named_versions:
            return
        what = "has no IPv6" if not self.netfilter.has_ipv6() else "has no %s" % self.tool(version, "save")
        raise backend.FirewallError("iptables cannot carry out the rules for IPv%d: this host %s." % (version, what))


def _catch_all(dump: str) -> CatchAll | None:
    """The rule of others at the end of FORWARD that drops all that comes to it; None if there is none."""
    section = _FILTER.search(dump)
    if section is None or not _FORWARD_OF_OTHERS.search(section.group()):
        return None
    from ..foreign import from_save
    from ..foreign.rules import before_catch_all

    (table,) = from_save.tables(section.group(), "", 4)
    forward = table.chains["FORWARD"]
    before = before_catch_all(table, forward)
    if before is None:
        return None
    return CatchAll(before, any(place > before and rule.target for place, rule in forward.ours))


def _needs_others(rule: Rule, declared: t.Collection[str]) -> bool:
    """Whether a rule names a chain of others, or a set of ipset(8)."""
    known = by_name(rule)
    target = known.get("-j") or known.get("-g") or ""
    return "--match-set" in rule or (target in declared and not target.startswith(marks.CHAIN_PREFIX))


def _with_users(current: Ruleset, wanted: Ruleset) -> Ruleset:
    theirs = {place: current.chains[place] for place in USERS if current.chains.get(place)}
    end = current.catch_all
    return Ruleset({**wanted.chains, **theirs}, wanted.jumps, end and end._replace(is_passed=False))
