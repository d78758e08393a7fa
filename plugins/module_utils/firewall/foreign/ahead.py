# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others in tables of iptables that let packets of ours pass before these come to our rules there.

An accept ends the whole table, and so does a return in a base chain. In nat, our rules then do not translate the
packet; in raw and mangle, they do not drop it. A rule that leads packets to a published port elsewhere, whatever their
port, does the same (those for one port are in captures.py). Our jumps stay behind such a rule, which somebody may have
put there on purpose: it is named instead. With nftables, our chains have a table of their own, where an accept of
others ends nothing.
"""

from __future__ import annotations

import typing as t

from ... import model, records
from .. import backend
from . import droppers, hits, hooks, reader, rules

_DEEPEST = 20
_Taking = tuple[rules.Chain, rules.Rule]
_GONE = "gone"  # dropped, or with a source that others give them
_BACK = "back"  # they return from a chain before its end


def sentences(
    foreign: reader.Foreign,
    state: model.FirewallState,
    around: reader.Around,
    kept: t.Container[backend.BaseChain] | None = None,
) -> list[str]:
    """Such rules in sentences, each with the first of our packets that it takes.

    ``kept``: the base chains whose jumps to ours stay where they are; None for all of them.
    """
    marked = any(r.marks for table in foreign.tables() for chain in table.chains.values() for r in chain.rules)
    found: dict[int, droppers.Dropper] = {}
    for table, base, behind in _behind(foreign, kept):
        for traffic in hooks.for_ours(table.name, base.hook, foreign, state, around):
            there = records.replace(traffic, marked=True) if marked else traffic
            taking = _taking(table, base, base.rules[:behind], there) if table.concerns(there.version) else None
            if isinstance(taking, tuple):
                found.setdefault(id(taking[1]), droppers.Dropper(table, base, *taking, there))
    return droppers.sentences_ahead(list(found.values()))


def _behind(
    foreign: reader.Foreign, kept: t.Container[backend.BaseChain] | None
) -> t.Iterator[tuple[rules.Table, rules.Chain, int]]:
    """The base chains with jumps of ours behind rules of others, with the number of these."""
    for table in foreign.tables():
        if any(rules.jumps_behind(table, base) for base in table.chains.values()):
            for one in _as_spelled(foreign, table):
                for base in one.chains.values():
                    behind = rules.jumps_behind(one, base)
                    place = backend.BaseChain(one.store, one.family, one.name, base.name)
                    if behind and (kept is None or place in kept):
                        yield one, base, behind


def _as_spelled(foreign: reader.Foreign, table: rules.Table) -> list[rules.Table]:
    """A table as iptables prints it: nft only prints the names of its matches."""
    if table.by_iptables:
        return [table]
    return foreign.saved_tables(table.store, 4 if table.family == "ip" else 6, table.name) or [table]


def _taking(
    table: rules.Table, chain: rules.Chain, ahead: t.Iterable[rules.Rule], traffic: hooks.Traffic, depth: int = 0
) -> _Taking | str | None:
    """The rule after which the packets come to no further one of the table; None if they reach the end of the chain."""
    for rule in ahead if depth < _DEEPEST else ():
        found = hits.of(rule, traffic)
        is_for_all = found == hits.ALL
        if not (is_for_all or (found == hits.SOME and _is_about(rule, traffic))):
            continue
        after: _Taking | str | None
        if rule.translates and traffic.to_host and is_for_all:
            after = (chain, rule)
        elif rule.translates or rule.verdict in ("drop", "reject"):
            after = _GONE if is_for_all else None
        elif rule.verdict == "accept" or (rule.verdict == "return" and not depth):
            after = (chain, rule)
        elif rule.verdict == "return":
            after = _BACK if is_for_all else None
        elif rule.target in table.chains:
            called = table.chains[rule.target]
            after = _taking(table, called, called.rules, traffic, depth + 1)
            if rule.verdict == "goto" and is_for_all and after in (None, _BACK):
                after = _BACK if depth else (chain, rule)
            elif after == _BACK or (after == _GONE and not is_for_all):
                after = None
        else:
            after = None
        if after is not None:
            return after
    return None


def _is_about(rule: rules.Rule, traffic: hooks.Traffic) -> bool:
    """Whether a rule that is for some of these packets is about us. One for certain servers or clients is an exception
    that somebody has made for these, such as the peers of a VPN."""
    asks = rule.asks
    if traffic.way == rules.OUT and (asks.targets is not None or asks.ports is not None):
        return False
    return hits.is_about(rule, traffic)
