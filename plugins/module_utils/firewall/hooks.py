# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places where other packet filters want foreign rules to be: used while something of ours is there, and left again.

What we put there is marked, and recognised by the mark: a comment in DOCKER-USER and in ufw's rules, a zone file of
our own in firewalld's folder. Nothing else of theirs is touched, and rules of theirs that come first stay first.
"""

from __future__ import annotations

import os
import re
import shlex
import typing as t
from dataclasses import dataclass, field

from ..marks import COLLECTION, LINK_GROUP
from ..model import FirewallState
from ..operations import LoadRules, Operation, RemoveFile, WriteFile
from .foreign import UFW_RULES, ZONE_FILE, Base, Foreign, exposed, home, legacy_tables, versions
from .foreign_rules import OUT, PUBLISHED, WAYS, Packet, Table, fate, options
from .iptables_text import Rule, docker_bridges, text_of, words

if t.TYPE_CHECKING:
    from ..kernel.host import Host
    from ..kernel.state import Link

Description = t.Optional[dict[str, t.Any]]

_LOCK_SECONDS = "10"
_VERSIONS = {"ip": 4, "ip6": 6}


@dataclass(frozen=True)
class RunTool(Operation):
    """A command of somebody's firewall, and the one that takes it back."""

    argv: tuple[str, ...]
    reverse: tuple[str, ...] = ()

    def commands(self) -> list[str]:
        return [shlex.join(self.argv)]

    def apply(self, host: Host) -> None:
        host.execute(self.argv, "")

    def undo(self) -> list[Operation]:
        return [RunTool(self.reverse, self.argv)] if self.reverse else []


@dataclass
class Measures:
    """What there is to do at the hooks, before our own rules change and after that."""

    first: list[Operation] = field(default_factory=list)
    last: list[Operation] = field(default_factory=list)
    before: dict[str, Description] = field(default_factory=dict)
    after: dict[str, Description] = field(default_factory=dict)
    opened: set[tuple[Base, str]] = field(default_factory=set)  # base chains, and for packets which way
    missing: set[Base] = field(default_factory=set)  # those of them that are opened by this run only

    def note(self, title: str, before: t.Sequence[str], after: t.Sequence[str]) -> None:
        """What the hook holds of ours, for the diff."""
        self.before[title] = {"ours": list(before)} if before else None
        self.after[title] = {"ours": list(after)} if after else None


@dataclass(frozen=True)
class Ours:
    """What the hooks need to know of us."""

    state: FirewallState
    own: frozenset[Base] = frozenset()  # where our back-end's accept is the last word
    gone: frozenset[str] = frozenset()  # bridges whose policy goes in this run
    adopted: tuple[str, ...] = ()  # bridges with a policy that others have made, without our link group

    @property
    def bridges(self) -> list[str]:
        """The bridges with a way out."""
        return [bridge for bridge in exposed(self.state) if bridge]


def measures(
    foreign: Foreign,
    current: FirewallState,
    desired: FirewallState,
    backend: str,
    host: Host,
    links: t.Mapping[str, Link],
) -> Measures:
    """What there is to do at all hooks of this host."""
    bridges = {policy.bridge for policy in desired.policies}
    ours = Ours(
        desired,
        home(backend),
        frozenset(policy.bridge for policy in current.policies) - bridges,
        tuple(sorted(b for b in bridges if b in links and links[b].group != LINK_GROUP)),
    )
    result = Measures()
    for hook in (DockerUser(foreign), Firewalld(foreign, host), Ufw(foreign, host)):
        hook.plan(ours, result)
    return result


def is_needed(foreign: Foreign, ours: Ours, base: Base, skip: t.Container[str]) -> bool:
    """Whether a base chain would drop packets of ours if our rules were not in the hook."""
    table = foreign.table(*base[:3])
    chain = None if table is None else table.chains.get(base[3])
    if table is None or chain is None or base in ours.own or not any(map(table.concerns, versions(ours.state))):
        return False
    packets = [Packet(bridge, way) for bridge in exposed(ours.state) for way in (OUT, PUBLISHED)]
    return any(fate(table, chain, packet, skip) for packet in packets)


# ---- Docker ------------------------------------------------------------------------------------------------------


class DockerUser:
    """The chain DOCKER-USER (Docker's documentation, "Docker with iptables"), in each store and family that has it.

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
            if "filter" in legacy_tables(version) and ":%s " % self.CHAIN in self._saved("legacy", family):
                yield "legacy", family

    def _saved(self, store: str, family: str) -> str:
        return self._foreign.saved(store, _VERSIONS[family], "filter")

    def _plan_one(self, store: str, family: str, ours: Ours, result: Measures) -> None:
        saved = self._saved(store, family)
        rules = _rules_of(saved, self.CHAIN)
        marked = [rule for rule in rules if _is_marked(rule)]
        base = (store, family, "filter", "FORWARD")
        reached = any(rule[-1] == self.CHAIN for rule in _rules_of(saved, "FORWARD"))
        wanted: list[Rule] = []
        if reached and is_needed(self._foreign, ours, base, (self.CHAIN,)):
            wanted = self._wanted(saved, store, family, ours)
            result.opened |= {(base, way) for way in WAYS}
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
        return self._foreign.run([*_restore(store, family), "--test"], text)[0] == 0

    def _step(self, store: str, family: str, change: tuple[list[Rule], list[Rule]], place: int) -> Operation:
        old, new = change
        return LoadRules(
            _restore(store, family),
            _restore_text(self.CHAIN, old, new, place),
            _restore_text(self.CHAIN, new, old, place),
        )


def _restore(store: str, family: str) -> tuple[str, ...]:
    tool = "%s-%s-restore" % ("iptables" if family == "ip" else "ip6tables", store)
    return (tool, "--noflush", "-w", _LOCK_SECONDS)


def _restore_text(chain: str, gone: t.Sequence[Rule], new: t.Sequence[Rule], place: int) -> str:
    lines = ["-D %s %s" % (chain, text_of(rule)) for rule in gone]
    lines += ["-I %s %d %s" % (chain, place + number, text_of(rule)) for number, rule in enumerate(new, 1)]
    return "\n".join(["*filter", *lines, "COMMIT", ""])


def _rules_of(saved: str, chain: str) -> list[Rule]:
    return [words(line)[2:] for line in saved.splitlines() if line.startswith("-A %s " % chain)]


def _is_marked(rule: Rule) -> bool:
    return options(rule).get("--comment") == COLLECTION


# ---- firewalld ---------------------------------------------------------------------------------------------------

_ZONES = ZONE_FILE.rpartition("/")[0]
_ZONE = """<?xml version="1.0" encoding="utf-8"?>
<!-- Written by %s: its bridges, for the next reload of firewalld. -->
<zone target="ACCEPT">
  <short>dockerless</short>
  <description>Networks of %s, whose own rules say what may pass.</description>
%s</zone>
"""
_ZONE_INTERFACE = re.compile(r'<interface name="([^"]+)"\s*/>')
_ZONE_CHAIN = re.compile(r"(?:filter_)?FWDI?_(.+)")


class Firewalld:
    """Bridges of ours in a zone that accepts: ``trusted`` at once, and one of our own from the next reload on.

    firewalld forgets what was not permanent when it is reloaded, and knows a new zone only after that; a reload by us
    would lose what others have added at run time. A bridge that somebody has put into another zone is left there.
    """

    _OPEN = ("trusted", "dockerless")

    def __init__(self, foreign: Foreign, host: Host) -> None:
        self._foreign = foreign
        self._host = host

    def plan(self, ours: Ours, result: Measures) -> None:
        """Bring the zones to what is wanted."""
        text = self._host.read_file(ZONE_FILE)
        table = self._table()
        if table is None and text is None:
            return
        listed = set(_ZONE_INTERFACE.findall(text or ""))
        base = self._base(table)
        bridges = ours.bridges if base is None or base not in ours.own else []
        zones = {} if table is None else self._zones(table, {*bridges, *listed, *ours.gone})
        wanted = [b for b in bridges if zones.get(b, "trusted") in self._OPEN and not self._is_claimed(b)]
        self._plan_file(text, wanted, result)
        if table is not None:
            self._plan_zones(zones, wanted, (listed | ours.gone) - set(bridges), result)
        if base is not None and bridges and set(wanted) >= set(bridges):
            result.opened.add((base, OUT))
            if not set(wanted) <= set(zones):
                result.missing.add(base)
        before = sorted(b for b in {*listed, *wanted} if zones.get(b) in self._OPEN or (table is None and b in listed))
        result.note("firewalld", ["interface %s" % b for b in before], ["interface %s" % b for b in wanted])

    def _table(self) -> Table | None:
        if any(chain["table"] == "firewalld" for chain in self._foreign.chains()):
            return self._foreign.table("nft", "inet", "firewalld")
        if any(chain["name"] in ("FORWARD_ZONES", "FORWARD_IN_ZONES") for chain in self._foreign.chains()):
            return self._foreign.table("nft", "ip", "filter")
        return None

    @staticmethod
    def _base(table: Table | None) -> Base | None:
        for chain in table.chains.values() if table is not None else ():
            if table is not None and chain.hook == "forward" and chain.kind == "filter":
                return (table.store, table.family, table.name, chain.name)
        return None

    def _zones(self, table: Table, bridges: t.Iterable[str]) -> dict[str, str]:
        """The zone that firewalld has each bridge in; none for those in the default zone."""
        found: dict[str, str] = {}
        understood = False
        for chain in table.chains.values():
            for rule in chain.rules if "FORWARD" in chain.name and "ZONES" in chain.name else ():
                target = _ZONE_CHAIN.fullmatch(rule.target)
                if target is None:
                    continue
                understood = True
                for name in rule.came_by.names if rule.came_by is not None else ():
                    found.setdefault(name, target[1])
        return {b: found[b] for b in bridges if b in found} if understood else self._asked(bridges)

    def _asked(self, bridges: t.Iterable[str]) -> dict[str, str]:
        """As before, by asking firewalld itself, which takes long."""
        found = {}
        for bridge in sorted(bridges):
            rc, out, unused = self._foreign.run(["firewall-cmd", "--get-zone-of-interface=%s" % bridge], None)
            if rc == 0:
                found[bridge] = out.strip()
        return found

    @staticmethod
    def _is_claimed(bridge: str) -> bool:
        """Whether somebody has put a bridge into a zone for good."""
        try:
            names = [name for name in os.listdir(_ZONES) if name.endswith(".xml")]
        except OSError:
            return False
        for name in names:
            path = "%s/%s" % (_ZONES, name)
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    if path != ZONE_FILE and bridge in _ZONE_INTERFACE.findall(file.read()):
                        return True
            except OSError:
                continue
        return False

    @staticmethod
    def _plan_file(text: str | None, wanted: t.Sequence[str], result: Measures) -> None:
        if not wanted:
            if text is not None:
                result.first.append(RemoveFile(ZONE_FILE, text))
            return
        lines = "".join('  <interface name="%s"/>\n' % bridge for bridge in wanted)
        new = _ZONE % (COLLECTION, COLLECTION, lines)
        if new != text:
            result.last.append(WriteFile(ZONE_FILE, new, text))

    def _plan_zones(
        self, zones: t.Mapping[str, str], wanted: t.Sequence[str], gone: t.Collection[str], result: Measures
    ) -> None:
        for zone in self._OPEN:
            leaving = sorted(b for b in gone if zones.get(b) == zone and not self._is_claimed(b))
            if leaving:
                result.first.append(self._step(zone, "remove", "add", leaving))
        coming = [bridge for bridge in wanted if bridge not in zones]
        if coming:
            result.last.append(self._step("trusted", "add", "remove", coming))

    @staticmethod
    def _step(zone: str, verb: str, reverse: str, bridges: t.Sequence[str]) -> Operation:
        def argv(word: str) -> tuple[str, ...]:
            return ("firewall-cmd", "--zone=" + zone, *("--%s-interface=%s" % (word, b) for b in bridges))

        return RunTool(argv(verb), argv(reverse))


# ---- ufw ---------------------------------------------------------------------------------------------------------

# route:ACTION PROTOCOL PORT TO PORT FROM in_LINK|out_LINK [comment=HEX], as ufw itself reads it back
_UFW_TUPLE = re.compile(
    r"^### tuple ### route:allow any any 0\.0\.0\.0/0 any 0\.0\.0\.0/0 (in|out)_(\S+?)(?: comment=([0-9a-f]+))?$",
    re.MULTILINE,
)


class Ufw:
    """``ufw route allow`` for each bridge (ufw(8)), which lasts; ufw puts it behind the rules that are there."""

    _CHAINS = ("ufw-user-forward", "ufw6-user-forward")

    def __init__(self, foreign: Foreign, host: Host) -> None:
        self._foreign = foreign
        self._host = host

    def plan(self, ours: Ours, result: Measures) -> None:
        """Bring ufw's rules to what is wanted."""
        text = self._host.read_file(UFW_RULES)
        if text is None:
            return
        marked, theirs = self._read(text)
        base = self._base()
        wanted: set[tuple[str, str]] = set()
        if base is not None and (base, OUT) not in result.opened and is_needed(self._foreign, ours, base, self._CHAINS):
            wanted = {(way, bridge) for bridge in ours.bridges for way in ("in", "out")}
            bases = {(base[0], family, base[2], base[3]) for family in _VERSIONS}
            result.opened |= {(each, way) for each in bases for way in WAYS}
            if not wanted <= marked | theirs:
                result.missing |= bases
        result.note("ufw", self._spell(marked), self._spell(wanted - theirs))
        result.first += [self._step(item, ("delete",), ()) for item in sorted(marked - wanted)]
        result.last += [self._step(item, (), ("delete",)) for item in sorted(wanted - theirs - marked)]

    @staticmethod
    def _read(text: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """The rules for whole interfaces that are ours, and those of others."""
        marked: set[tuple[str, str]] = set()
        theirs: set[tuple[str, str]] = set()
        for way, link, comment in _UFW_TUPLE.findall(text):
            (marked if comment == COLLECTION.encode().hex() else theirs).add((way, link))
        return marked, theirs

    def _base(self) -> Base | None:
        """The chain that ufw filters in; None when ufw is off."""
        for store in ("nft", "legacy"):
            table = self._foreign.table(store, "ip", "filter")
            if table is not None and "ufw-user-forward" in table.chains and table.chains["FORWARD"].rules:
                return (store, "ip", "filter", "FORWARD")
        return None

    @staticmethod
    def _spell(items: t.Iterable[tuple[str, str]]) -> list[str]:
        return ["route allow %s on %s" % item for item in sorted(items, key=lambda item: (item[1], item[0]))]

    @staticmethod
    def _step(item: tuple[str, str], verb: tuple[str, ...], reverse: tuple[str, ...]) -> Operation:
        def argv(word: tuple[str, ...]) -> tuple[str, ...]:
            comment = () if word else ("comment", COLLECTION)
            return ("ufw", "route", *word, "allow", item[0], "on", item[1], *comment)

        return RunTool(argv(verb), argv(reverse))
