# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single rules of others that drop packets of ours, each with its place and the packets that it hits.

Some of them certainly hit packets that our rules let through, and a run warns of these. Others may, as they have a
condition that is not read here, or as an earlier rule may have let our packets pass; only a report on the host names
them. A rule for certain clients or servers that does not mention us was made for these, and is not named at all. One
for all others than these is. obstacles.py names chains that drop everything that is forwarded.
"""

from __future__ import annotations

import typing as t

from ... import model, owners
from ...records import replace
from ..backend import BaseChain
from ..save_text import text_of
from . import hits, hooks, reader, rules

_MOST = 8
_DEEPEST = 20
# Targets of iptables after which a packet goes on.
_PASSING = ("MARK", "CONNMARK", "CT", "NOTRACK", "TCPMSS", "CHECKSUM", "SET", "CLASSIFY", "DSCP", "TRACE")


class Dropper(t.NamedTuple):
    """A rule that drops some of that traffic; without a rule, it is the policy of the chain."""

    table: rules.Table
    base: rules.Chain
    chain: rules.Chain
    rule: rules.Rule | None
    traffic: hooks.Traffic
    # Whether it only may, and the conditions that this depends on: none if it is an earlier rule that may accept.
    is_possible: bool = False
    conditions: tuple[rules.Json, ...] = ()

    @property
    def calls(self) -> bool:
        """Whether the rule calls a chain, which drops all that comes there."""
        return self.rule is not None and bool(self.rule.target)

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from other rules; of a map of verdicts, all are one."""
        if self.rule is None or self.rule.handle:
            return id(self.chain), 0 if self.rule is None else self.rule.handle
        return id(self.rule), 0


def droppers(
    foreign: reader.Foreign, state: model.FirewallState, around: reader.Around, also_possible: bool = False
) -> list[Dropper]:
    """All such rules, each with the first of our packets that it hits; ``also_possible``: or may hit, these last."""
    tables = [_with_untracking(_with_maps(foreign, table)) for table in foreign.tables()]
    marked = any(rule.marks for table in tables for chain in table.chains.values() for rule in chain.rules)
    seen_by = hooks.passing(foreign, state, around)
    certain: dict[tuple[int, int], Dropper] = {}
    possible: dict[tuple[int, int], Dropper] = {}
    for table, base, candidates in _dropping(tables):
        for traffic in seen_by(table, base):
            there = replace(traffic, marked=True) if marked else traffic
            if candidates is None or any(_may_hit(rule, there, also_possible) for rule in candidates):
                walk = _Walk(table, base, there, also_possible, _needs_tracking(there, state))
                hit = walk.hit()
                if hit is not None:
                    certain.setdefault(hit.key, hit)
                for one in walk.possible:
                    possible.setdefault(one.key, one)
    return [*certain.values(), *(one for key, one in possible.items() if key not in certain)]


def _with_maps(foreign: reader.Foreign, table: rules.Table) -> rules.Table:
    """A table with the maps of verdicts that our packets may be looked up in."""
    known: set[str] = set()
    while True:
        bases = [base for base in table.chains.values() if _is_passed(table, base)]
        names = {name for base in bases for name in rules.reached(table, base)} - known
        if not any(rule.verdict == "vmap" for name in names for rule in table.chains[name].rules):
            return table
        known |= names  # their maps may lead to further chains
        table = replace(
            table, chains={**table.chains, **{name: _with_verdicts(foreign, table, name) for name in names}}
        )


def _with_verdicts(foreign: reader.Foreign, table: rules.Table, name: str) -> rules.Chain:
    from . import from_nft

    chain, routed = table.chains[name], table.family in from_nft.ROUTED
    known = [from_nft.with_verdicts(rule, routed, lambda one: foreign.elements(table, one)) for rule in chain.rules]
    return replace(chain, rules=[rule for several in known for rule in several])


_CONNTRACK = -200  # the priority of connection tracking


def _with_untracking(table: rules.Table) -> rules.Table:
    """A table with a verdict for rules that keep packets from connection tracking, where they come before it."""
    bases = [c for c in table.chains.values() if c.hook == "prerouting" and c.priority < _CONNTRACK]
    names = {name for base in bases if hooks.is_routed(table, base) for name in rules.reached(table, base)}
    names = {name for name in names if any(rule.untracks for rule in table.chains[name].rules)}
    return replace(table, chains={**table.chains, **{name: _untracking(table.chains[name]) for name in names}})


def _untracking(chain: rules.Chain) -> rules.Chain:
    return replace(
        chain, rules=[replace(rule, verdict=rules.UNTRACK) if rule.untracks else rule for rule in chain.rules]
    )


def _needs_tracking(traffic: hooks.Traffic, state: model.FirewallState) -> bool:
    """Whether packets do not come through without connection tracking: they are translated, or let answers back in."""
    if traffic.way != rules.OUT:
        return traffic.way == rules.PUBLISHED
    sources = [item.source for item in state.masquerades]
    translated = any(model.overlap(one, source) for one in traffic.sources or () for source in sources)
    return translated or not any(policy.bridge == traffic.bridge and policy.direct_access for policy in state.policies)


def _is_passed(table: rules.Table, base: rules.Chain) -> bool:
    """Whether our packets pass a base chain that may drop them."""
    on_link = base.hook in reader.LINK_HOOKS or (base.hook and table.family in reader.LINK_FAMILIES)
    return base.kind != "nat" and bool(on_link or base.hook in reader.HOOKS)


def _dropping(tables: t.Iterable[rules.Table]) -> t.Iterator[tuple[rules.Table, rules.Chain, list[rules.Rule] | None]]:
    """Base chains that our packets pass, with the rules that may be named: a few of perhaps a thousand, or None if the
    end of the chain may be."""
    for table in tables:
        for base in table.chains.values():
            if not _is_passed(table, base):
                continue
            chains = [table.chains[name] for name in rules.reached(table, base)]
            closing = _closing(chains)
            if not _is_forward(table, base) and (base.policy == "drop" or base.name in closing):
                yield table, base, None
                continue
            found = [rule for chain in chains for rule in chain.rules if _is_candidate(rule, closing)]
            if found:
                yield table, base, found


def _is_forward(table: rules.Table, base: rules.Chain) -> bool:
    """Whether obstacles.py names what drops everything in a base chain."""
    return base.hook == "forward" and hooks.is_routed(table, base)


def _closing(chains: t.Sequence[rules.Chain]) -> set[str]:
    """The chains that drop whatever comes to a certain rule of theirs."""
    found: set[str] = set()
    while True:
        more = {
            chain.name
            for chain in chains
            if any(rule.asks_nothing and (_drops(rule) or rule.target in found) for rule in chain.rules)
        }
        if more == found:
            return found
        found = more


def _is_candidate(rule: rules.Rule, closing: t.Container[str]) -> bool:
    return not rule.asks_nothing and (_drops(rule) or rule.target in closing or rule.verdict == "vmap")


def _may_hit(rule: rules.Rule, traffic: hooks.Traffic, also_possible: bool) -> bool:
    found = hits.of(rule, traffic)
    return found in (hits.SOME, hits.ALL) or (also_possible and found == hits.UNSURE)


def _drops(rule: rules.Rule) -> bool:
    return rule.verdict in ("drop", "reject", rules.UNTRACK)


# ---- the way of packets through a chain

_Hit = tuple[rules.Chain, rules.Rule]
_PASSED = "passed"  # certain, or possible
_ON = "on"  # they go on to the next rule
_FEWER = "fewer"  # they do, but for some that a rule has let pass


class _Walk:
    """Follows packets through a base chain and the chains that it calls."""

    def __init__(
        self, table: rules.Table, base: rules.Chain, traffic: hooks.Traffic, also_possible: bool, needs_tracking: bool
    ) -> None:
        self._place = (table, base)
        self._needs_tracking = needs_tracking
        self._traffic = traffic
        self._also_possible = also_possible
        self._is_unsure = False  # whether an earlier rule may have let all of them pass
        self.possible: list[Dropper] = []

    def hit(self) -> Dropper | None:
        """The rule or the policy that certainly drops them."""
        table, base = self._place
        found = self._through(base, False)
        is_told = _is_forward(table, base)
        if found is None and base.policy == "drop" and not is_told:
            last = Dropper(table, base, base, None, self._traffic)
            if not self._is_unsure:
                return last
            self._note(base, None)
        if not isinstance(found, tuple) or (is_told and found[1].asks_nothing):
            return None
        return Dropper(table, base, *found, self._traffic)

    def _through(self, chain: rules.Chain, partly: bool, depth: int = 0) -> _Hit | str | None:
        """The rule that drops; _PASSED if a rule may let the packets pass; None if they reach the end of the chain.

        ``partly``: only some of the packets come here, so that a message must not name the others.
        """
        fewer = False
        for place, rule in enumerate(chain.rules) if depth < _DEEPEST else ():
            found = hits.of(rule, self._traffic)
            if found == hits.NONE or not rule.verdict or self._only_notes(rule) or rules.answers_at_end(chain, place):
                continue
            called = self._place[0].chains.get(rule.target)
            inner = self._through(called, partly or found != hits.ALL, depth + 1) if called is not None else None
            after: _Hit | str | None
            if _drops(rule) or (isinstance(inner, tuple) and inner[1].asks_nothing):
                dropped = inner if isinstance(inner, tuple) and rule.asks_nothing else (chain, rule)
                after = self._after_drop(dropped, rule, found, partly or fewer)
            elif called is not None:
                after = self._after_call(rule, found, inner)
            else:
                after = self._after_other(chain, rule, found, partly)
            if after not in (_ON, _FEWER):
                return after
            fewer = fewer or after == _FEWER
        return None

    def _after_drop(self, dropped: _Hit, rule: rules.Rule, found: int, partly: bool) -> _Hit | str:
        is_sure = found == hits.ALL or (found == hits.SOME and not partly and hits.is_about(rule, self._traffic))
        if is_sure and not self._is_unsure:
            return dropped
        if is_sure or (found == hits.UNSURE and self._may_concern(rule)):
            self._note(*dropped, hits.doubts(rule, self._traffic))
        return _PASSED if found == hits.ALL else _ON

    def _after_call(self, rule: rules.Rule, found: int, inner: _Hit | str | None) -> _Hit | str | None:
        if isinstance(inner, tuple) and found == hits.UNSURE:
            self._note(*inner, hits.doubts(rule, self._traffic))
            return _ON
        if isinstance(inner, tuple) or (inner == _PASSED and found == hits.ALL):
            return inner
        if rule.verdict == "goto" and found == hits.ALL:
            return None
        if inner == _PASSED and found == hits.UNSURE:
            return self._after_doubt()
        return _FEWER if inner == _PASSED else _ON

    def _after_other(self, chain: rules.Chain, rule: rules.Rule, found: int, partly: bool) -> str | None:
        """What comes after a rule that accepts, ends the chain, or does what nobody can tell."""
        if found == hits.ALL:
            return None if rule.verdict == "return" else _PASSED
        if found == hits.SOME and not partly and rule.verdict in ("accept", "return"):
            return _FEWER
        if rule.verdict == "vmap" and self._may_concern(rule):
            self._note(chain, rule, hits.doubts(rule, self._traffic))
        return self._after_doubt()

    def _after_doubt(self) -> str:
        """Go on behind a rule that may have let them pass, if that is of any use."""
        self._is_unsure = True
        return _ON if self._also_possible else _PASSED

    def _only_notes(self, rule: rules.Rule) -> bool:
        if rule.verdict == rules.UNTRACK:
            return not self._needs_tracking
        return rule.target in _PASSING and rule.target not in self._place[0].chains

    def _may_concern(self, rule: rules.Rule) -> bool:
        """Whether a rule is about these packets as far as its conditions are read."""
        found = hits.known(rule, self._traffic)
        return found == hits.ALL or (found == hits.SOME and hits.is_about(rule, self._traffic))

    def _note(self, chain: rules.Chain, rule: rules.Rule | None, conditions: tuple[rules.Json, ...] = ()) -> None:
        if self._also_possible:
            self.possible.append(Dropper(*self._place, chain, rule, self._traffic, True, conditions))


# ---- in words


def sentences(found: t.Sequence[Dropper], jumps: t.Mapping[BaseChain, int | None] | None = None) -> list[str]:
    """These rules in sentences; ``jumps``: with their numbers after a run that leaves so many rules of ours on top, or
    all of ours where they are (None)."""
    return _sentences(found, _effect, "drop packets of our networks", jumps)


def sentences_ahead(found: t.Sequence[Dropper]) -> list[str]:
    """Rules that let packets of ours pass before our rules see them, in sentences."""
    return _sentences(found, _effect_ahead, "take packets of our networks before our rules see them", None)


def _sentences(
    found: t.Sequence[Dropper],
    effect: t.Callable[[Dropper], str],
    do: str,
    jumps: t.Mapping[BaseChain, int | None] | None,
) -> list[str]:
    shown = ["%s %s; %s" % (_named(one, jumps), effect(one), _advice(one)) for one in found[:_MOST]]
    rest = len(found) - _MOST
    return shown + (["%d more rules of others %s" % (rest, do)] if rest > 0 else [])


def possible_drops(found: t.Sequence[Dropper]) -> tuple[tuple[model.PossibleDrop, ...], int]:
    """Rules that may drop our packets for a report, and the number of those beyond the first ones."""
    return tuple(map(_possible, found[:_MOST])), max(0, len(found) - _MOST)


def _possible(found: Dropper) -> model.PossibleDrop:
    rule = found.rule
    return model.PossibleDrop(
        rule="policy drop" if rule is None else _text(rule),
        table=str(found.table),
        chain=found.chain.name,
        owner=owners.named(_owners(found)),
        handle=None if rule is None else rule.handle or None,
        number=_number(found, rule) if rule is not None and rule.words else None,
        packets=found.traffic.what,
        conditions=_conditions(found.conditions),
        advice=_advice(found),
    )


def _named(found: Dropper, jumps: t.Mapping[BaseChain, int | None] | None) -> str:
    whose, rule = owners.named(_owners(found)), found.rule
    place = "chain %s of %s%s" % (found.chain.name, found.table, " (%s)" % whose if whose else "")
    if rule is None:
        return "the policy of %s" % place
    where = "rule %d" % _number(found, rule, jumps) if rule.words else "handle %d" % rule.handle
    return '"%s" in %s, %s,' % (_text(rule), place, where)


def _effect(found: Dropper) -> str:
    called = found.table.chains.get(found.rule.target) if found.rule is not None else None
    ends = [*filter(None, [found.rule]), *(rule for rule in (called.rules if called else ()) if rule.asks_nothing)]
    if any(rule.verdict == rules.UNTRACK for rule in ends):
        return "keeps %s from connection tracking, so that nothing translates it or knows its answers" % (
            found.traffic.what
        )
    return "drops %s" % found.traffic.what


def _effect_ahead(found: Dropper) -> str:
    if found.rule is not None and found.rule.translates:
        return "leads %s elsewhere before our rules see it" % found.traffic.what
    would = "translate" if found.table.name == "nat" else "drop"
    return "lets %s pass before our rules see it, which would %s it" % (found.traffic.what, would)


def _owners(found: Dropper) -> list[owners.Owner]:
    rule = found.rule
    return rules.owners_of_rule(found.table, found.chain, rule, "" if rule is None else _text(rule))


def _number(found: Dropper, rule: rules.Rule, jumps: t.Mapping[BaseChain, int | None] | None = None) -> int:
    """The place of a rule among all rules of its chain, as they are, or as a run leaves them."""
    table, chain = found.table, found.chain
    above = next(number for number, other in enumerate(chain.rules) if other is rule)
    base = BaseChain(table.store, table.family, table.name, chain.name)
    ours = None if jumps is None else jumps.get(base, 0)
    if ours is None:
        ours = sum(before <= above for before, unused in chain.ours)
    return above + 1 + ours


def _text(rule: rules.Rule) -> str:
    if rule.words:
        return text_of(rule.words)
    from .nft_text import text_of as text_of_nft

    return text_of_nft(rule.statements)


def _conditions(found: t.Iterable[rules.Json]) -> tuple[str, ...]:
    from .nft_text import text_of as text_of_nft

    words = [one for one in found if isinstance(one, str)]  # a match of iptables comes before its options
    return tuple(filter(None, (" ".join(words), *(text_of_nft([one]) for one in found if not isinstance(one, str)))))


def _advice(found: Dropper) -> str:
    """What to do if these packets are to pass."""
    configured = next((one.configured for one in _owners(found) if one.configured), "")
    if configured:
        return "if that is not meant, change %s" % configured
    return "if that is not meant, %s" % _command(found)


def _command(found: Dropper) -> str:
    table, chain, rule = found.table, found.chain, found.rule
    if table.by_iptables:
        tool = "%s-%s -t %s" % ("iptables" if table.family == "ip" else "ip6tables", table.store, table.name)
        if rule is None:
            return "change it: %s -P %s ACCEPT" % (tool, chain.name)
        # as it is spelled: its number changes with each rule that comes before it
        return "change the rule, or delete it: %s -D %s %s" % (tool, chain.name, _text(rule))
    place = "%s %s %s" % (table.family, table.name, chain.name)
    if rule is None:
        return "change it: nft add chain %s '{ policy accept; }'" % place
    return "change the rule, or delete it: nft delete rule %s handle %d" % (place, rule.handle)
