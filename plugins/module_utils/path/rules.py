# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet filter as data, and its effect on a packet: pass, drop, reject, or unknown.

The question that a rule asks about a packet has the answer True, False, or None for unknown. A rule with an unknown
answer only matters if the outcome for the packet depends on it.
"""

from __future__ import annotations

import typing as t
from dataclasses import field

from .. import model
from ..records import dataclass
from .packet import Packet, Surroundings

Answer = t.Optional[bool]
Question = t.Callable[[Packet, Surroundings], Answer]
# Address and port of a translation; None if the rule leaves it unchanged.
Target = tuple[t.Optional[model.Address], t.Optional[int]]

PASS, DROP, REJECT, UNKNOWN = "pass", "drop", "reject", "unknown"
_DEPTH = 16
# The priorities, among a hook's chains, at which the kernel translates.
_DESTINATION, _SOURCE = -100, 100


@dataclass(frozen=True)
class Ask:
    """Continues with the rule only if the answer is yes."""

    question: Question


@dataclass(frozen=True)
class Do:
    """Ends the rule: accept, drop, reject, return, jump, goto, or unknown."""

    verdict: str
    target: str = ""


@dataclass(frozen=True)
class Choose:
    """A verdict map: None if it has no such key, a Do of "unknown" if that cannot be told."""

    choice: t.Callable[[Packet, Surroundings], Do | None]


@dataclass(frozen=True)
class Translate:
    """dnat, redirect, snat or masquerade; the target is None if the rule does not apply, False if unknown."""

    kind: str
    target: t.Callable[[Packet, Surroundings], Target | bool | None]

    @property
    def of_source(self) -> bool:
        """Whether it changes where the packet comes from."""
        return self.kind in ("snat", "masquerade")


@dataclass(frozen=True)
class Untrack:
    """Takes the packet out of connection tracking."""


Step = t.Union[Ask, Do, Choose, Translate, Untrack]


@dataclass(frozen=True)
class Rule:
    """One rule, with its text as its tool prints it."""

    text: str
    steps: tuple[Step, ...]
    handle: int = 0


@dataclass
class Chain:
    """A chain; ``hook`` is empty unless it is a base chain."""

    store: str  # nft or legacy
    family: str
    table: str
    name: str
    hook: str = ""
    priority: int = 0
    kind: str = ""
    policy: str = "accept"
    devices: tuple[str, ...] = ()
    rules: list[Rule] = field(default_factory=list)

    def __str__(self) -> str:
        return "chain %s of table %s %s%s" % (self.name, self.family, self.table, _store(self.store))


def _store(store: str) -> str:
    return " (iptables-legacy)" if store == "legacy" else ""


@dataclass(frozen=True)
class Outcome:
    """The verdict on the packet on a hook, with the chain and rule that decided; no rule means the policy.

    For a packet that passes, they are those that changed it, if any did. ``early`` are those after which a chain that
    translates ended for it, although a later rule there would have translated it.
    """

    kind: str
    packet: Packet
    chain: Chain | None = None
    rule: Rule | None = None
    early: tuple[Early, ...] = ()

    @property
    def because(self) -> str:
        """The chain and the rule that decided, as a clause."""
        if self.chain is None:
            return ""
        if self.rule is None:
            return "%s: policy %s" % (self.chain, self.chain.policy)
        return "%s: %s" % (self.chain, self.rule.text)


class Early(t.NamedTuple):
    """The end of a chain before a rule that would have translated the packet."""

    by: Outcome
    missed: Outcome


class Filter:
    """The chains of one network stack."""

    def __init__(self, chains: t.Iterable[Chain] = ()) -> None:
        self._chains = {(c.store, c.family, c.table, c.name): c for c in chains}

    def __iter__(self) -> t.Iterator[Chain]:
        return iter(self._chains.values())

    def base_chains(self, hook: str, families: t.Container[str], device: str = "") -> list[Chain]:
        """The chains that the kernel calls on a hook, in its order.

        Of chains of nf_tables with the same priority, which it lists by age, it calls the youngest first.
        """
        found = [
            chain
            for chain in reversed(self._chains.values())
            if chain.hook == hook and chain.family in families and (not chain.devices or device in chain.devices)
        ]
        return sorted(found, key=lambda chain: (chain.priority, chain.store == "legacy"))

    def on_hook(
        self,
        hook: str,
        packet: Packet,
        around: Surroundings,
        family: str = "",
        device: str = "",
        undo: Target | None = None,
    ) -> Outcome:
        """The outcome for a packet on a hook of IP, or of ``family`` (bridge, netdev).

        ``undo`` is the address and port that connection tracking restores in the answer to a translated request.
        """
        families = (family,) if family else ("inet", "ip6" if packet.version == 6 else "ip")
        of_source = hook in ("postrouting", "input")
        doubt: Outcome | None = None
        change: Outcome | None = None
        early: list[Early] = []
        for chain in self.base_chains(hook, families, device):
            if undo is not None and chain.priority > (_SOURCE if of_source else _DESTINATION):
                packet, undo = changed(packet, undo, of_source), None
            if chain.kind == "nat" and not _translatable(packet, hook):
                continue
            walk = _Walk(self._chains, around)
            found = walk.base(chain, packet)
            change = walk.change or change
            early += walk.early(chain)
            if found.kind in (DROP, REJECT):
                return found
            if found.kind == UNKNOWN:
                doubt = doubt or found
            packet = found.packet
        if undo is not None:
            packet = changed(packet, undo, of_source)
        if doubt:
            return Outcome(UNKNOWN, packet, doubt.chain, doubt.rule)
        by = (change.chain, change.rule) if change else (None, None)
        return Outcome(PASS, packet, *by, early=tuple(early))


def _translatable(packet: Packet, hook: str) -> bool:
    """Whether chains of type nat see the packet: the first of a flow, until a rule has translated it.

    They see what the host sends to itself once, on its way out, and not again when it comes in by lo.
    """
    if packet.iif == "lo" and hook in ("prerouting", "input"):
        return False
    done = "snat" if hook in ("postrouting", "input") else "dnat"
    return packet.state == "new" and done not in packet.status


class _Walk:
    """Walks one packet through one base chain."""

    def __init__(self, chains: t.Mapping[tuple[str, str, str, str], Chain], around: Surroundings) -> None:
        self._chains = chains
        self._around = around
        self._doubts: list[Outcome] = []
        self.change: Outcome | None = None  # the rule that translated the packet, or let it go untracked
        self._end: tuple[Outcome, int] | None = None  # what ended the base chain, and the number of its next rule there

    def base(self, chain: Chain, packet: Packet) -> Outcome:
        """The outcome for a packet in a base chain; the policy decides if no rule does."""
        found, packet = self._chain(chain, packet, 0)
        if found is None or found.kind == "return":
            found = Outcome(PASS if chain.policy == "accept" else DROP, packet, chain)
        for doubt in self._doubts:
            if doubt.kind != found.kind:
                return Outcome(UNKNOWN, packet, doubt.chain, doubt.rule)
        return found

    def early(self, chain: Chain) -> list[Early]:
        """The end of a base chain that translates, if it came too early for the packet."""
        if chain.kind != "nat" or self._end is None or self.change is not None:
            return []
        end, place = self._end
        behind = _Walk(self._chains, self._around)
        behind._chain(chain, end.packet, 0, place)
        return [Early(end, behind.change)] if behind.change is not None and end.kind in (PASS, "return") else []

    def _chain(self, chain: Chain, packet: Packet, depth: int, first: int = 0) -> tuple[Outcome | None, Packet]:
        for place, rule in enumerate(chain.rules[first:], first) if depth < _DEPTH else ():
            found, packet = self._rule(chain, rule, packet, depth)
            if found is not None:
                if not depth:
                    self._end = found, place + 1
                return found, packet
        return None, packet

    def _rule(self, chain: Chain, rule: Rule, packet: Packet, depth: int) -> tuple[Outcome | None, Packet]:
        sure = True
        for step in rule.steps:
            if isinstance(step, Ask):
                answer = step.question(packet, self._around)
                if answer is False:
                    return None, packet
                sure = sure and answer is True
            elif isinstance(step, Untrack):
                if sure:
                    packet = packet.at(state="untracked")
                    self.change = Outcome(PASS, packet, chain, rule)
            elif isinstance(step, Translate):
                return self._translated(chain, rule, step, packet, sure)
            else:
                action = step.choice(packet, self._around) if isinstance(step, Choose) else step
                if action is not None:
                    return self._done(chain, rule, action, packet, sure, depth)
        return None, packet

    def _translated(
        self, chain: Chain, rule: Rule, step: Translate, packet: Packet, sure: bool
    ) -> tuple[Outcome | None, Packet]:
        target = step.target(packet, self._around)
        if target is None:
            return None, packet
        if isinstance(target, bool) or not sure:
            self._doubts.append(Outcome(UNKNOWN, packet, chain, rule))
            return None, packet
        target = self._own(step, packet, target)
        after = translated(packet, target, step.of_source)
        self.change = Outcome(PASS, after, chain, rule)
        return self.change, after

    def _own(self, step: Translate, packet: Packet, target: Target) -> Target:
        """The target of a translation; masquerade and redirect use the address of the link."""
        if target[0] is None and step.kind in ("masquerade", "redirect"):
            link = packet.oif if step.of_source else packet.iif
            return self._around.own_address(link, packet.version), target[1]
        return target

    def _done(
        self, chain: Chain, rule: Rule, action: Do, packet: Packet, sure: bool, depth: int
    ) -> tuple[Outcome | None, Packet]:
        if action.verdict in ("jump", "goto"):
            return self._jump(chain, rule, action, packet, sure, depth)
        kind = {"accept": PASS, "drop": DROP, "reject": REJECT, "return": "return"}.get(action.verdict, UNKNOWN)
        found = Outcome(kind, packet, chain, rule)
        if sure and kind != UNKNOWN:
            return found, packet
        # A rule that may return may also not match; then the rules below it apply, which they do not if it returns.
        if kind != "return":
            self._doubts.append(found)
        elif chain.rules[-1] is not rule:
            self._doubts.append(Outcome(UNKNOWN, packet, chain, rule))
        return None, packet

    def _jump(
        self, chain: Chain, rule: Rule, action: Do, packet: Packet, sure: bool, depth: int
    ) -> tuple[Outcome | None, Packet]:
        target = self._chains.get((chain.store, chain.family, chain.table, action.target))
        if target is None:
            self._doubts.append(Outcome(UNKNOWN, packet, chain, rule))
            return None, packet
        found, after = self._chain(target, packet, depth + 1)
        if found is not None and found.kind == "return":
            found = None
        if not sure:
            if found is not None:
                self._doubts.append(found)
            return None, packet
        if found is None and action.verdict == "goto":
            return Outcome("return", after, chain, rule), after
        return found, after


def translated(packet: Packet, target: Target, of_source: bool) -> Packet:
    """The first packet of a flow with another source, or another destination."""
    found = changed(packet, target, of_source).at(status=packet.status | {"snat" if of_source else "dnat"})
    if of_source:
        return found
    return found.at(original_to=packet.original_to or packet.to, original_dport=packet.original_dport or packet.dport)


def changed(packet: Packet, target: Target, of_source: bool) -> Packet:
    """A packet with another source, or another destination."""
    address, port = target
    if of_source:
        return packet.at(source=address or packet.source, sport=port or packet.sport)
    return packet.at(to=address or packet.to, dport=port or packet.dport)
