# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the packets that pass a hook a rule is for: none, some or all of them, or nobody can tell."""

from __future__ import annotations

import ipaddress
import typing as t

from ... import model
from . import hooks, rules

NONE, SOME, ALL, UNSURE = range(4)
_OPPOSITE = {NONE: ALL, SOME: SOME, ALL: NONE}
_EVERY_PORT = model.PortRange(1, 65535)


def of(rule: rules.Rule, traffic: hooks.Traffic) -> int:
    """The packets that a rule is for."""
    found = known(rule, traffic)
    return UNSURE if found != NONE and doubts(rule, traffic) else found


def doubts(rule: rules.Rule, traffic: hooks.Traffic) -> tuple[rules.Json, ...]:
    """The conditions of a rule that nobody can answer here."""
    found = rule.asks.unread
    if traffic.marked:
        found += rule.asks.on_marks
    if traffic.is_late and rule.came_by is not None:
        found += ("iifname %s%s" % ("!= " if rule.came_by.inverted else "", ", ".join(rule.came_by.names)),)
    return found


def known(rule: rules.Rule, traffic: hooks.Traffic) -> int:
    """The packets that a rule is for, if its other conditions hold."""
    asks = rule.asks
    if asks.never or not _takes(asks, traffic):
        return NONE
    if (rule.published and not traffic.published) or (asks.unpublished and traffic.published):
        return NONE
    parts = [
        _link(rule.came_by, traffic.came_by),
        _link(rule.goes_by, traffic.goes_by),
        _networks(asks.sources, traffic.sources),
        _networks(asks.targets, traffic.targets),
        _protocol(asks.protocols, traffic.protocol),
        _ports(asks.ports, traffic.ports),
        *_spared(asks, traffic),
        SOME if asks.partial else ALL,
    ]
    for answer in (NONE, UNSURE, SOME):
        if answer in parts:
            return answer
    return ALL


def _takes(asks: rules.Asks, traffic: hooks.Traffic) -> bool:
    """Whether the first packet of a connection meets what a rule asks beside its ends."""
    if asks.version not in (0, traffic.version) or (not traffic.version and _is_for_ip(asks)):
        return False
    if asks.unmarked is False and not traffic.marked:
        return False
    return (
        _is_in("new", asks.states, asks.no_states)
        and _is_in(traffic.frame, asks.frames, asks.no_frames)
        and _is_in("local" if traffic.to_host else "unicast", asks.kinds, asks.no_kinds)
        and (asks.came_over is None or asks.came_over.take(traffic.came_over))
        and (asks.goes_over is None or asks.goes_over.take(traffic.goes_over))
    )


def _is_for_ip(asks: rules.Asks) -> bool:
    """Whether a rule asks for what ARP has not."""
    of_ip = (asks.protocols, asks.ports, asks.states, asks.no_protocols, asks.no_ports, asks.no_states)
    return asks.unmarked is None and any(one is not None for one in of_ip)


def _is_in(word: str, wanted: t.Container[str] | None, unwanted: t.Container[str] | None) -> bool:
    return (wanted is None or word in wanted) and (unwanted is None or word not in unwanted)


def _link(asked: rules.Links | None, names: tuple[str, ...]) -> int:
    if asked is None:
        return ALL
    if not names:
        return UNSURE if asked.inverted else NONE  # not all kernels compare with an empty name
    taken = sum(map(asked.take, names))
    return NONE if not taken else ALL if taken == len(names) else SOME


def _networks(asked: tuple[model.Network, ...] | None, there: tuple[model.Network, ...] | None) -> int:
    if asked is None:
        return ALL
    if there is None:
        return ALL if any(not network.prefixlen for network in asked) else SOME
    if all(any(model.lies_in(one, network) for network in asked) for one in there):
        return ALL
    return SOME if any(model.overlap(one, network) for one in there for network in asked) else NONE


def _protocol(asked: tuple[str, ...] | None, there: str) -> int:
    if asked is None:
        return ALL
    if not there:
        return SOME
    return ALL if there in asked else NONE


def _ports(asked: tuple[model.PortRange, ...] | None, there: model.PortRange | None) -> int:
    if asked is None:
        return ALL
    if there is None:
        return SOME
    if any(ports.first <= there.first and there.last <= ports.last for ports in asked):
        return ALL
    return SOME if any(ports.overlaps(there) for ports in asked) else NONE


def _spared(asks: rules.Asks, traffic: hooks.Traffic) -> tuple[int, ...]:
    """Which packets the exclusions of a rule leave. Several networks or ranges may exclude what none does alone."""
    return (
        _no_networks(asks.no_sources, traffic.sources),
        _no_networks(asks.no_targets, traffic.targets),
        _no_protocol(asks.no_protocols, traffic.protocol),
        _no_ports(asks.no_ports, traffic.ports),
    )


def _no_networks(excluded: tuple[model.Network, ...] | None, there: tuple[model.Network, ...] | None) -> int:
    if excluded is None:
        return ALL
    return _OPPOSITE[_networks(tuple(ipaddress.collapse_addresses(t.cast(t.Any, excluded))), there)]


def _no_protocol(excluded: tuple[str, ...] | None, there: str) -> int:
    return ALL if excluded is None else _OPPOSITE[_protocol(excluded, there)]


def _no_ports(excluded: tuple[model.PortRange, ...] | None, there: model.PortRange | None) -> int:
    if excluded is None:
        return ALL
    wanted = there or _EVERY_PORT
    free = wanted.first
    for ports in sorted(excluded, key=lambda ports: ports.first):
        free = max(free, ports.last + 1) if ports.first <= free else free
    return NONE if free > wanted.last else _OPPOSITE[_ports(excluded, there)]


def is_about(rule: rules.Rule, traffic: hooks.Traffic) -> bool:
    """Whether a rule that hits some of these packets is about us, or all but a few, rather than about the other end."""
    inward, asks = traffic.way == rules.PUBLISHED, rule.asks
    if inward and asks.ports is not None:
        return True
    if not (asks.sources if inward else asks.targets or asks.ports) and SOME in _spared(asks, traffic):
        return True
    if _is_for_all_ends(asks):
        return True
    if traffic.way == hooks.INSIDE:
        ends = ((rule.came_by, asks.sources, traffic.sources), (rule.goes_by, asks.targets, traffic.targets))
        return any(_is_ours(*end) for end in ends)
    if inward:
        return _is_ours(rule.goes_by, asks.targets, traffic.targets) or (traffic.on_our_link and not asks.sources)
    return traffic.on_our_link or _is_ours(rule.came_by, asks.sources, traffic.sources)


def _is_for_all_ends(asks: rules.Asks) -> bool:
    """Whether a rule is for all connections of a protocol, wherever they come from and go to."""
    ends = (asks.sources, asks.targets, asks.ports, asks.no_sources, asks.no_targets, asks.no_ports)
    connects = any(protocol in model.PROTOCOLS for protocol in asks.protocols or ())
    return connects and not asks.partial and all(one is None for one in ends)


def _is_ours(
    link: rules.Links | None, asked: tuple[model.Network, ...] | None, mine: tuple[model.Network, ...] | None
) -> bool:
    """Whether a rule names our end of a connection."""
    if link is not None and not link.inverted:
        return True
    return asked is not None and any(model.lies_in(one, two) for one in asked for two in mine or ())
