# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets packets of our networks pass chains of others that drop everything by default.

A packet has to pass every base chain, and ours drops what is not allowed. So an accept in a chain of others opens
nothing that ours closes. Our rules come after all other rules and right before the end (a policy or a last rule that
drops everything), so that a rule of others that matches one of our packets still applies.
"""

from __future__ import annotations

import typing as t

from ... import marks, model
from .. import backend
from ..foreign.reader import Foreign
from ..foreign.rules import LAST_TARGETS, WAYS, Chain, End, Links, Table, catch_all, reached
from ..foreign.rules import Rule as Read
from ..save_text import Rule, restore, text_of
from .base import Measures, Ours, is_needed

if t.TYPE_CHECKING:
    from ... import operations
    from .marked import Marked

_MARK: Rule = ("-m", "comment", "--comment", marks.COLLECTION)
# The prefixes of chains of firewalls that rebuild them at each reload, and that have a place for rules like ours.
_ZONES = frozenset(("FORWARD_ZONES", "FORWARD_IN_ZONES"))
_OF_UFW = ("ufw-", "ufw6-")

_Mine = tuple[Chain, int, Read]
_Planned = tuple[t.Optional["operations.Operation"], list[str]]


def plan(foreign: Foreign, ours: Ours, result: Measures) -> None:
    """Plan our rules at the end of such chains."""
    for table, chain in foreign.forwarding(model.VERSIONS):
        base = backend.BaseChain(table.store, table.family, table.name, chain.name)
        _plan_one(_Job(foreign, ours, base, table, chain), result)


class _Job(t.NamedTuple):
    """One base chain of others."""

    foreign: Foreign
    ours: Ours
    base: backend.BaseChain
    table: Table
    chain: Chain


def _plan_one(job: _Job, result: Measures) -> None:
    end, there = _end(job), _there(job)
    if end is None and not there:
        return
    way = _by_iptables if job.table.by_iptables else _by_nft
    step, spelled = way(job, end, there)
    if step is not None and end is not None and not _is_taken(job, step):
        return  # the table has an owner; obstacles.py warns of the chain
    result.note(
        "chain %s of %s" % (job.base.chain, job.table),
        [_text_of(rule) for unused, place, rule in there],
        spelled,
    )
    if end is not None and not end.is_cut_off:
        result.passed |= {(job.base, way) for way in WAYS}
    if step is not None:
        (result.last if end is not None else result.first).append(step)
        result.missing.add(job.base)


def _end(job: _Job) -> End | None:
    """The place for our rules in a chain; None if the chain needs none."""
    judged = any(map(job.table.concerns, job.ours.state.policy_versions)) and job.ours.bridges
    if _is_managed(job) or not judged or not is_needed(job.table, job.chain, job.ours):
        return None
    return catch_all(job.table, job.chain)


def _is_managed(job: _Job) -> bool:
    if job.table.name == "firewalld" or _ZONES & job.table.chains.keys():
        return True
    # ufw does not know Docker's networks, and would open them to ours
    return any(rule.target.startswith(_OF_UFW) for rule in job.chain.rules) and not _docker_bridges(job.table)


def _chains(job: _Job) -> list[Chain]:
    """The chains of a table without those that belong to another base chain on the same hook."""
    bases = [chain for chain in job.table.chains.values() if chain.hook == "forward" and chain is not job.chain]
    elsewhere = set().union(*(reached(job.table, base) for base in bases)) - reached(job.table, job.chain)
    return [chain for chain in job.table.chains.values() if chain.name not in elsewhere]


def _there(job: _Job) -> list[_Mine]:
    """Our rules among those of others, without jumps to our chains, each with the number of rules before it."""
    return [(chain, place, rule) for chain in _chains(job) for place, rule in chain.ours if not rule.target]


# ---- tables of iptables


def _by_iptables(job: _Job, end: End | None, there: t.Sequence[_Mine]) -> _Planned:
    wanted = _iptables_rules(job, end) if end is not None else []
    spelled = [text_of(rule) for rule in wanted]
    if _is_in_place(end, there, spelled):
        return None, spelled
    gone = [(chain.name, text_of(rule.words)) for chain, unused, rule in there]
    back = ["-D %s %s" % (end.chain.name, rule) for rule in spelled] if end is not None else []
    back += ["-A %s %s" % rule for rule in gone]
    new = _inserted(job, end, spelled) if end is not None else []
    from ... import operations

    tool = "%s-%s-restore" % ("iptables" if job.base.family == "ip" else "ip6tables", job.base.store)
    lines = ["-D %s %s" % rule for rule in gone] + new
    text, undone = (_restore_text(job.table.name, part) for part in (lines, back))
    return operations.LoadRules(restore(tool), text, undone), spelled


def _iptables_rules(job: _Job, end: End) -> list[Rule]:
    """The rules for iptables. Packets to a network of Docker are left to the end, by which Docker closes it."""
    left, bridges = "DROP" if end.by_rule else "RETURN", sorted(job.ours.bridges)
    rules: list[Rule] = [("-o", bridge, *_MARK, "-j", "ACCEPT") for bridge in bridges]
    rules += [("-o", name, *_MARK, "-j", left) for name in _docker_bridges(job.table)]
    return rules + [("-i", bridge, *_MARK, "-j", "ACCEPT") for bridge in bridges]


def _docker_bridges(table: Table) -> list[str]:
    """The bridges of Docker's networks, which are those whose packets go to the chain DOCKER."""
    rules = [rule for chain in table.chains.values() for rule in chain.rules if rule.target == "DOCKER"]
    links = [rule.goes_by for rule in rules if rule.goes_by is not None and not rule.goes_by.inverted]
    return sorted({name for found in links for name in found.names})


def _inserted(job: _Job, end: End, rules: t.Sequence[str]) -> list[str]:
    name = end.chain.name
    if end.place == len(end.chain.rules):
        return ["-A %s %s" % (name, rule) for rule in rules]
    before = end.place + (_jumps_before(job, end) if name == job.base.chain else 0)
    return ["-I %s %d %s" % (name, number, rule) for number, rule in enumerate(rules, before + 1)]


def _jumps_before(job: _Job, end: End) -> int:
    """The number of our jumps before the end: those at the top, and a last one if rules of others come after it."""
    state, version = job.ours.state, 4 if job.base.family == "ip" else 6
    stays = job.base in job.ours.jumps and (state.drop_foreign or version in state.drop_transit)
    passed = end.by_rule or sum(rule.target in LAST_TARGETS and place <= end.place for place, rule in end.chain.ours)
    return job.ours.jumps.get(job.base, 0) + (passed if stays else 0)


def _restore_text(table: str, lines: t.Sequence[str]) -> str:
    return "\n".join(["*" + table, *lines, "COMMIT", ""])


# ---- tables of nft


def _by_nft(job: _Job, end: End | None, there: t.Sequence[_Mine]) -> _Planned:
    spelled: list[str] = []
    if end is not None:
        names = Links(tuple(job.ours.bridges))
        spelled = [_text_of(Read("accept", goes_by=names)), _text_of(Read("accept", came_by=names))]
    if _is_in_place(end, there, spelled):
        return None, spelled
    from .marked import Marked, Place

    old = tuple(Place(chain.name, rule.handle, _text_of(rule)) for chain, unused, rule in there)
    new: tuple[Place, ...] = ()
    if end is not None:
        before = end.chain.rules[end.place].handle if end.place < len(end.chain.rules) else 0
        new = tuple(Place(end.chain.name, before, rule) for rule in spelled)
    return Marked(job.base.family, job.base.table, old, new), spelled


# ---- both


def _text_of(rule: Read) -> str:
    """A rule of ours as its tool prints it."""
    if rule.words:
        return text_of(rule.words)
    key, links = ("iifname", rule.came_by) if rule.came_by is not None else ("oifname", rule.goes_by)
    names = ", ".join('"%s"' % name for name in sorted(links.names if links is not None else ()))
    return '%s { %s } %s comment "%s"' % (key, names, rule.verdict, marks.COLLECTION)


def _is_in_place(end: End | None, there: t.Sequence[_Mine], wanted: t.Sequence[str]) -> bool:
    """Whether exactly these rules of ours are in their place."""
    found = [(chain.name, place, _text_of(rule)) for chain, place, rule in there]
    return found == ([(end.chain.name, end.place, rule) for rule in wanted] if end is not None else [])


def _is_taken(job: _Job, step: operations.Operation) -> bool:
    """Whether the kernel would accept a step: only the owner of a table may change it, if it has one."""
    if job.table.by_iptables:
        return True
    text = t.cast("Marked", step).text
    return job.foreign.netfilter.run(["nft", "-c", "-f", "-"], text)[0] == 0
