# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others that override ours, in sentences."""

from __future__ import annotations

import typing as t

from ... import model, owners
from ...records import dataclass
from ..backend import Backend, BaseChain
from . import rules
from .reader import HOOKS, LINK_FAMILIES, LINK_HOOKS, USER_CHAINS, Around, Foreign

if t.TYPE_CHECKING:
    from .droppers import Dropper


_What = tuple[str, str, tuple[owners.Owner, ...]]


@dataclass(frozen=True)
class Obstacle:
    """A chain of others that drops what our rules accept."""

    base: BaseChain
    title: str
    how: str
    packet: rules.Packet
    owners: tuple[owners.Owner, ...] = ()


_HOOKS = (*HOOKS, *LINK_HOOKS)
_ALL = "our bridges"  # where none has been made yet


def obstacles(
    foreign: Foreign,
    state: model.FirewallState,
    backend: Backend,
    around: Around,
    passed: t.Container[tuple[BaseChain, str]] = (),
    thorough: bool = False,
    jumps: t.Mapping[BaseChain, int | None] | None = None,
) -> list[str]:
    """Rules of others that override ours, a sentence each.

    ``passed``: base chains, with ways, that let our packets pass; ``thorough``: look behind a rule that may have let
    them pass; ``jumps``: the number of our rules that a run leaves at the top of base chains, or None for those whose
    jumps to ours it leaves where they are, behind rules of others or not; without it, all of them stay.
    """
    closing = [
        obstacle
        for obstacle in _obstacles(foreign, _packets(state, around.uplinks), state.versions)
        if (obstacle.base, obstacle.packet.way) not in passed
    ]
    closed = {(one.base, one.packet.bridge, one.packet.way) for one in closing}
    # of a chain that drops all that comes there, the first sentence tells more
    single = [
        one for one in _droppers(foreign, state, around, thorough) if not (one.calls and _concerns(one) in closed)
    ]
    sentences = _about_chains(closing, single)
    if single:
        from .droppers import sentences as about

        sentences += about(single, jumps)
    kept = None if jumps is None else [base for base, number in jumps.items() if number is None]
    if any(_jumps_behind(table, chain, kept) for table in foreign.tables() for chain in table.chains.values()):
        from . import ahead

        sentences += ahead.sentences(foreign, state, around, kept)
    mixed = (_two_stores(foreign, version, backend, state) for version in model.VERSIONS)
    return sentences + [sentence for sentence in mixed if sentence]


def _jumps_behind(table: rules.Table, chain: rules.Chain, kept: t.Container[BaseChain] | None) -> bool:
    """Whether packets come to a jump of ours in a chain only after rules of others; this is seldom so."""
    return rules.jumps_behind(table, chain) > 0 and (kept is None or _base(table, chain) in kept)


def _concerns(dropper: Dropper) -> tuple[BaseChain, str, str]:
    """What tells whether a sentence about a chain is about the same packets."""
    return _base(dropper.table, dropper.base), dropper.traffic.bridge, dropper.traffic.way


def _about_chains(closing: t.Iterable[Obstacle], single: t.Iterable[Dropper]) -> list[str]:
    """A sentence for each chain, leaving out packets that a sentence about a single rule covers anyway."""
    named = set(map(_concerns, single))
    found: dict[_What, dict[str, None]] = {}
    direct: dict[_What, dict[str, None]] = {}
    for obstacle in closing:
        packet, what = obstacle.packet, (obstacle.title, obstacle.how, obstacle.owners)
        if (obstacle.base, packet.bridge, packet.way) in named:
            continue
        if packet.link:
            direct.setdefault(what, {})["from %s to %s" % (packet.link, packet.bridge)] = None
        else:
            found.setdefault(what, {})[packet.bridge or _ALL] = None
    sentences = [
        _sentence(
            what, "enters or leaves %s" % ", ".join(names), "BRIDGE" if len(names) > 1 or _ALL in names else min(names)
        )
        for what, names in found.items()
    ]
    sentences += [_sentence(what, "passes %s" % ", ".join(ways)) for what, ways in direct.items() if what not in found]
    return sentences


def _sentence(what: _What, passes: str, bridge: str = "") -> str:
    title, how, whose = what
    sentence = "%s (%s) drops what our rules accept; let it accept what %s" % (title, how, passes)
    if not whose:
        return sentence
    remedy = owners.remedy(whose, owners.Passage("forward", 4, bridge)) if bridge else ""
    return "%s; it belongs to %s%s" % (sentence, owners.named(whose), ", so %s" % remedy if remedy else "")


def possible_drops(
    foreign: Foreign, state: model.FirewallState, around: Around
) -> tuple[tuple[model.PossibleDrop, ...], int]:
    """Rules of others that may drop our packets, and the number of those beyond the first ones."""
    found = [one for one in _all_droppers(foreign, state, around, True) if one.is_possible]
    if not found:
        return (), 0
    from . import droppers

    return droppers.possible_drops(found)


def _droppers(foreign: Foreign, state: model.FirewallState, around: Around, thorough: bool) -> list[Dropper]:
    """The single rules of others that certainly drop our packets."""
    return [one for one in _all_droppers(foreign, state, around, thorough) if not one.is_possible]


def _all_droppers(foreign: Foreign, state: model.FirewallState, around: Around, thorough: bool) -> list[Dropper]:
    """The single rules of others that drop our packets; this code is loaded if others have rules that drop at all."""
    if not _has_droppers(foreign):
        return []
    from .droppers import droppers

    return droppers(foreign, state, around, thorough)


def _has_droppers(foreign: Foreign) -> bool:
    """Whether others have a rule that drops, or calls for it, beside what drops all that is forwarded."""
    return any(_may_drop(table, chain) for table in foreign.tables() for chain in table.chains.values())


def _may_drop(table: rules.Table, chain: rules.Chain) -> bool:
    ends = chain.hook == "forward" and table.family not in LINK_FAMILIES
    if chain.policy == "drop" and not ends and (chain.hook in _HOOKS or table.family in LINK_FAMILIES):
        return True
    closing = (r for r in chain.rules if r.verdict in ("drop", "reject", "vmap") or r.untracks)
    return any(not (ends and rule.asks_nothing) for rule in closing)


def _base(table: rules.Table, chain: rules.Chain) -> BaseChain:
    return BaseChain(table.store, table.family, table.name, chain.name)


def _packets(state: model.FirewallState, uplinks: t.Callable[[], t.Iterable[str]]) -> list[rules.Packet]:
    bridges = state.exits or ([] if state.policies else [""])
    packets = [
        rules.Packet(bridge, way)
        for way in (rules.OUT, *([rules.PUBLISHED] if state.ports else []))
        for bridge in bridges
    ]
    subnets = [subnet for policy in state.policies for subnet in policy.subnets]
    for policy in sorted(state.policies, key=lambda policy: policy.bridge):
        links = set(policy.trusted_interfaces)
        allowed = any(_from_outside(flow, subnets) for flow in policy.inner_flows)
        if not policy.internal and (policy.direct_access or allowed):
            links.update(uplinks())
        packets += [rules.Packet(policy.bridge, rules.DIRECT, link) for link in sorted(links)]
    return packets


def _from_outside(flow: model.Flow, subnets: t.Iterable[model.Network]) -> bool:
    return not any(flow.source.network_address in subnet for subnet in subnets)


def _obstacles(foreign: Foreign, packets: t.Sequence[rules.Packet], versions: t.Container[int]) -> t.Iterator[Obstacle]:
    """The chains that drop these packets."""
    for table, chain in foreign.forwarding(versions):
        base = _base(table, chain)
        for packet in packets:
            how = rules.dropped_by(table, chain, packet, USER_CHAINS)
            if how:
                whose = tuple(rules.owners_of_drop(table, chain, packet, USER_CHAINS))
                yield Obstacle(base, "chain %s of %s" % (chain.name, table), how, packet, whose)


def _two_stores(foreign: Foreign, version: int, backend: Backend, state: model.FirewallState) -> str:
    """A sentence if both nf_tables and legacy rules translate addresses."""
    found: dict[str, list[str]] = {"nft": [], "legacy": []}
    for table in foreign.nat_tables(version):
        found[table.store].append(str(table))
    if state.translates(version):
        found[backend.store].append("this collection (back-end %s)" % backend.name)
    if not found["nft"] or not found["legacy"]:
        return ""
    return (
        "%s (nf_tables) and %s (legacy) both translate IPv%d addresses; which of two rules for a packet decides"
        " depends on which of the two was loaded first, so keep all of them in one"
        % (" and ".join(found["nft"]), " and ".join(found["legacy"]), version)
    )
