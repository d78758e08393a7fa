# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of others overrides our rules, in sentences."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..model import FirewallState, Flow, Network
from .foreign import HOOK_CHAINS, Base, Foreign, exposed, home, versions
from .foreign_rules import DIRECT, OUT, PUBLISHED, Packet, fate


@dataclass(frozen=True)
class Obstacle:
    """A chain of others that drops what our rules accept."""

    base: Base
    title: str
    how: str
    packet: Packet


def facts(
    foreign: Foreign,
    state: FirewallState,
    backend: str,
    uplinks: t.Callable[[], t.Iterable[str]],
    opened: t.Container[tuple[Base, str]] = (),
) -> list[str]:
    """What stands in the way of our rules, a sentence each; ``opened``: base chains and ways that let ours by."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    direct: dict[tuple[str, str], dict[str, None]] = {}
    for obstacle in _obstacles(foreign, _packets(state, uplinks), versions(state), home(backend)):
        packet, what = obstacle.packet, (obstacle.title, obstacle.how)
        if (obstacle.base, packet.way) in opened:
            continue
        if packet.link:
            direct.setdefault(what, {})["from %s to %s" % (packet.link, packet.bridge)] = None
        else:
            found.setdefault(what, {})[packet.bridge or "our bridges"] = None
    advice = [(what, "enters or leaves %s" % ", ".join(names)) for what, names in found.items()]
    advice += [(what, "passes %s" % ", ".join(ways)) for what, ways in direct.items() if what not in found]
    sentences = [
        "%s (%s) drops what our rules accept; let it accept what %s" % (*what, passes) for what, passes in advice
    ]
    mixed = (foreign.both_kinds(version, backend, state) for version in (4, 6))
    return sentences + [sentence for sentence in mixed if sentence]


def _packets(state: FirewallState, uplinks: t.Callable[[], t.Iterable[str]]) -> list[Packet]:
    bridges = exposed(state) or ([] if state.policies else [""])
    packets = [Packet(bridge, way) for way in (OUT, *([PUBLISHED] if state.ports else [])) for bridge in bridges]
    subnets = [subnet for policy in state.policies for subnet in policy.subnets]
    for policy in sorted(state.policies, key=lambda policy: policy.bridge):
        links = set(policy.trusted_interfaces)
        if not policy.internal and (policy.direct_access or any(_from_outside(flow, subnets) for flow in policy.allow)):
            links.update(uplinks())
        packets += [Packet(policy.bridge, DIRECT, link) for link in sorted(links)]
    return packets


def _from_outside(flow: Flow, subnets: t.Iterable[Network]) -> bool:
    return not any(flow.source.network_address in subnet for subnet in subnets)


def _obstacles(
    foreign: Foreign, packets: t.Sequence[Packet], versions: t.Container[int], own: t.Container[Base]
) -> t.Iterator[Obstacle]:
    """What drops these packets; ``own``: base chains in which our accept holds."""
    for table, chain in foreign.forwarding(versions):
        base = (table.store, table.family, table.name, chain.name)
        for packet in packets if base not in own else ():
            how = fate(table, chain, packet, HOOK_CHAINS)
            if how:
                yield Obstacle(base, "chain %s of %s" % (chain.name, table), how, packet)
