# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single rules of others that drop packets of ours, each with its place and the packets that it hits.

A rule is named only if it certainly hits packets that our rules let through. So a rule is not named if it has a
condition that we cannot read, or if an earlier rule may have let our packets pass. A rule for certain clients or
servers that does not mention us was made for these, and is not named either. One for all others than these is named.
obstacles.py names chains that drop everything.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ... import model
from ...records import dataclass, replace
from ..save_text import text_of
from .reader import HOOKS, Foreign
from .rules import OUT, PUBLISHED, Asks, Chain, Links, Rule, Table, place_of, reached

_DESTINATION_NAT = -100
_MOST = 8
_INSIDE = "inside"
_DEEPEST = 20
# Targets of iptables after which a packet goes on.
_PASSING = ("MARK", "CONNMARK", "CT", "NOTRACK", "TCPMSS", "CHECKSUM", "SET", "CLASSIFY", "DSCP", "TRACE")


@dataclass(frozen=True)
class Traffic:
    """First packets of our connections, as they pass a hook."""

    bridge: str
    way: str
    version: int
    what: str  # as a clause: what comes ..., what goes ...
    came_by: str = ""
    goes_by: str = ""
    sources: tuple[model.Network, ...] | None = None  # None: any
    targets: tuple[model.Network, ...] | None = None
    protocol: str = ""
    ports: model.PortRange | None = None
    published: bool = False


class Dropper(t.NamedTuple):
    """A rule that drops some of that traffic."""

    table: Table
    base: Chain
    chain: Chain
    rule: Rule
    traffic: Traffic


def droppers(
    foreign: Foreign, state: model.FirewallState, uplinks: t.Iterable[str], local: t.Iterable[model.Address]
) -> list[Dropper]:
    """All such rules, each with the first of our packets that it hits."""
    ways = sorted(uplinks)
    subnets = [subnet for policy in state.policies for subnet in policy.subnets]
    # the guard closes the gateways of our networks to the outside
    addresses = [address for address in local if not any(address in subnet for subnet in subnets)]
    found: dict[int, Dropper] = {}
    for table, base, rules in _dropping(foreign):
        for traffic in (*_passing(base, state, ways, addresses), *_bridged(base, state, foreign)):
            if table.concerns(traffic.version) and any(_meets(rule, traffic) in (_SOME, _ALL) for rule in rules):
                hit = _walk(table, base, traffic, False)
                if isinstance(hit, tuple):
                    found.setdefault(id(hit[1]), Dropper(table, base, *hit, traffic))
    return list(found.values())


def _dropping(foreign: Foreign) -> t.Iterator[tuple[Table, Chain, list[Rule]]]:
    """Base chains that our packets pass, with the rules that may be named: a few of perhaps a thousand."""
    for table in foreign.tables():
        for base in table.chains.values():
            if base.hook in HOOKS and base.kind != "nat":
                rules = [rule for name in reached(table, base) for rule in table.chains[name].rules]
                yield table, base, [rule for rule in rules if _drops(rule) and not rule.asks_nothing]


def _drops(rule: Rule) -> bool:
    return rule.verdict in ("drop", "reject")


def sentences(found: t.Sequence[Dropper]) -> list[str]:
    """These rules in sentences."""
    shown = [_sentence(dropper) for dropper in found[:_MOST]]
    rest = len(found) - _MOST
    return shown + (["%d more rules of others drop packets of our networks" % rest] if rest > 0 else [])


def _sentence(dropper: Dropper) -> str:
    table, unused, chain, rule, traffic = dropper
    if rule.words:
        above = next(number for number, other in enumerate(chain.rules) if other is rule)
        place = "rule %d" % (above + 1 + sum(before <= above for before, mine in chain.ours))
        text = text_of(rule.words)
    else:
        place, text = "handle %d" % rule.handle, _spelled(rule)
    return '"%s" in %s, %s, drops %s' % (text, place_of(table, chain), place, traffic.what)


# ---- our packets on a hook


def _passing(
    base: Chain, state: model.FirewallState, uplinks: t.Sequence[str], local: t.Sequence[model.Address]
) -> t.Iterator[Traffic]:
    for port in sorted(state.ports, key=str):
        if port.host_ip is None or not port.host_ip.is_loopback:
            for link in port.in_interfaces or uplinks:
                yield from _to_port(base, port, link, local)
    for policy in sorted(state.policies, key=lambda policy: policy.bridge):
        for subnet in policy.subnets if not policy.internal else ():
            for link in uplinks:
                what = "what goes from %s to the outside by %s" % (policy.network or policy.bridge, link)
                traffic = Traffic(policy.bridge, OUT, subnet.version, what, policy.bridge, link, (subnet,))
                yield from _at(base, traffic)


def _bridged(base: Chain, state: model.FirewallState, foreign: Foreign) -> t.Iterator[Traffic]:
    """Packets from one endpoint of a network to another, if the packet filter sees them."""
    for policy in sorted(state.policies, key=lambda policy: policy.bridge) if base.hook == "forward" else ():
        what = "what goes from one endpoint of %s to another" % (policy.network or policy.bridge)
        for subnet in policy.subnets if policy.icc else ():
            if foreign.filters_bridged(subnet.version):
                both = (policy.bridge, policy.bridge, (subnet,), (subnet,))
                yield Traffic(policy.bridge, _INSIDE, subnet.version, what, *both)


def _to_port(
    base: Chain, port: model.PublishedPort, link: str, local: t.Sequence[model.Address]
) -> t.Iterator[Traffic]:
    version = port.container_ip.version
    name = "%s/%s" % (port.host_ports, port.protocol)
    whose = port.network or port.bridge or port.container_ip
    what = "what comes by %s to the published port %s (%s)" % (link, name, whose)
    traffic = Traffic(
        port.bridge,
        PUBLISHED,
        version,
        what,
        link,
        port.bridge,
        port.sources or None,
        (_alone(port.container_ip),),
        port.protocol,
        port.container_ports,
        True,
    )
    if base.hook == "prerouting" and base.priority < _DESTINATION_NAT:
        addresses = [port.host_ip] if port.host_ip is not None else [one for one in local if one.version == version]
        targets = tuple(_alone(address) for address in addresses if not address.is_loopback)
        traffic = replace(traffic, targets=targets, ports=port.host_ports, published=False)
    if traffic.targets and (base.hook != "prerouting" or base.priority != _DESTINATION_NAT):
        yield from _at(base, traffic)


def _at(base: Chain, traffic: Traffic) -> t.Iterator[Traffic]:
    """The traffic as a hook sees it."""
    if base.hook == "prerouting":
        yield replace(traffic, goes_by="")
    elif base.hook == "forward":
        yield traffic
    elif base.hook == "postrouting" and base.priority < -_DESTINATION_NAT:
        yield replace(traffic, came_by="")


def _alone(address: model.Address) -> model.Network:
    return ipaddress.ip_network(address)


# ---- the way of packets through a chain

# Which packets a rule hits: none, some, all, or unknown.
_NONE, _SOME, _ALL, _UNSURE = range(4)
_OPPOSITE = {_NONE: _ALL, _SOME: _SOME, _ALL: _NONE}
_EVERY_PORT = model.PortRange(1, 65535)
_Hit = tuple[Chain, Rule]
_PASSED = "passed"  # certain, or possible


def _walk(table: Table, chain: Chain, traffic: Traffic, partly: bool, depth: int = 0) -> _Hit | str | None:
    """The rule that drops; PASSED if a rule may let the packets pass; None if they reach the end of the chain.

    ``partly``: only some of the packets come here, so that a message must not name the others.
    """
    narrowed = False  # a rule of others has let some of them pass
    for rule in chain.rules if depth < _DEEPEST else ():
        meets = _meets(rule, traffic)
        if meets == _NONE or not rule.verdict or (rule.target in _PASSING and rule.target not in table.chains):
            continue
        if _drops(rule):
            if rule.asks_nothing:
                return _PASSED  # obstacles.py names this
            if meets == _ALL or (meets == _SOME and not (partly or narrowed) and _is_about(rule, traffic)):
                return chain, rule
        elif meets == _UNSURE:
            return _PASSED
        elif rule.target in table.chains:
            found = _walk(table, table.chains[rule.target], traffic, partly or meets == _SOME, depth + 1)
            if isinstance(found, tuple) or (found == _PASSED and meets == _ALL):
                return found
            if rule.verdict == "goto" and meets == _ALL:
                return None
            narrowed = narrowed or found == _PASSED
        elif meets == _ALL:
            return None if rule.verdict == "return" else _PASSED
        elif partly or rule.verdict not in ("accept", "return"):
            return _PASSED
        else:
            narrowed = True
    return None


def _meets(rule: Rule, traffic: Traffic) -> int:
    asks = rule.asks
    if asks.version not in (0, traffic.version) or not _takes_the_first(asks):
        return _NONE
    if (rule.published and not traffic.published) or (asks.unpublished and traffic.published):
        return _NONE
    parts = [
        _link(rule.came_by, traffic.came_by),
        _link(rule.goes_by, traffic.goes_by),
        _networks(asks.sources, traffic.sources),
        _networks(asks.targets, traffic.targets),
        _protocol(asks.protocols, traffic.protocol),
        _ports(asks.ports, traffic.ports),
        *_spared(asks, traffic),
        _UNSURE if asks.vague else _ALL,
    ]
    for answer in (_NONE, _UNSURE, _SOME):
        if answer in parts:
            return answer
    return _ALL


def _takes_the_first(asks: Asks) -> bool:
    """Whether the first packet of a connection is in one of the states."""
    return (asks.states is None or "new" in asks.states) and "new" not in (asks.no_states or ())


def _link(asked: Links | None, name: str) -> int:
    if asked is None:
        return _ALL
    if not name:
        return _UNSURE
    return _ALL if asked.take(name) else _NONE


def _networks(asked: tuple[model.Network, ...] | None, there: tuple[model.Network, ...] | None) -> int:
    if asked is None:
        return _ALL
    if there is None:
        return _ALL if any(not network.prefixlen for network in asked) else _SOME
    if all(any(model.lies_in(one, network) for network in asked) for one in there):
        return _ALL
    return _SOME if any(model.overlap(one, network) for one in there for network in asked) else _NONE


def _protocol(asked: tuple[str, ...] | None, there: str) -> int:
    if asked is None:
        return _ALL
    if not there:
        return _SOME
    return _ALL if there in asked else _NONE


def _ports(asked: tuple[model.PortRange, ...] | None, there: model.PortRange | None) -> int:
    if asked is None:
        return _ALL
    if there is None:
        return _SOME
    if any(ports.first <= there.first and there.last <= ports.last for ports in asked):
        return _ALL
    return _SOME if any(ports.overlaps(there) for ports in asked) else _NONE


def _spared(asks: Asks, traffic: Traffic) -> tuple[int, ...]:
    """Which packets the exclusions of a rule leave. Several networks or ranges may exclude what none does alone."""
    return (
        _no_networks(asks.no_sources, traffic.sources),
        _no_networks(asks.no_targets, traffic.targets),
        _no_protocol(asks.no_protocols, traffic.protocol),
        _no_ports(asks.no_ports, traffic.ports),
    )


def _no_networks(excluded: tuple[model.Network, ...] | None, there: tuple[model.Network, ...] | None) -> int:
    if excluded is None:
        return _ALL
    return _OPPOSITE[_networks(tuple(ipaddress.collapse_addresses(t.cast(t.Any, excluded))), there)]


def _no_protocol(excluded: tuple[str, ...] | None, there: str) -> int:
    return _ALL if excluded is None else _OPPOSITE[_protocol(excluded, there)]


def _no_ports(excluded: tuple[model.PortRange, ...] | None, there: model.PortRange | None) -> int:
    if excluded is None:
        return _ALL
    wanted = there or _EVERY_PORT
    free = wanted.first
    for ports in sorted(excluded, key=lambda ports: ports.first):
        free = max(free, ports.last + 1) if ports.first <= free else free
    return _NONE if free > wanted.last else _OPPOSITE[_ports(excluded, there)]


def _is_about(rule: Rule, traffic: Traffic) -> bool:
    """Whether a rule that hits some of these packets is about us, or all but a few, rather than about the other end."""
    inward, asks = traffic.way == PUBLISHED, rule.asks
    ours, theirs = (rule.goes_by, asks.targets) if inward else (rule.came_by, asks.sources)
    if inward and asks.ports is not None:
        return True
    if not (asks.sources if inward else asks.targets or asks.ports) and _SOME in _spared(asks, traffic):
        return True
    if ours is not None and not ours.inverted:
        return True
    mine = traffic.targets if inward else traffic.sources
    return theirs is not None and any(model.lies_in(one, two) for one in theirs for two in mine or ())


# ---- a rule of nft as text


def _spelled(rule: Rule) -> str:
    asks, words = rule.asks, []
    ip = "ip6" if asks.version == 6 else "ip"
    for key, links in (("iifname", rule.came_by), ("oifname", rule.goes_by)):
        if links is not None:
            words.append("%s %s%s" % (key, "!= " if links.inverted else "", _listed(links.names)))
    networks = (asks.sources, asks.targets, asks.no_sources, asks.no_targets)
    if asks.version and all(one is None for one in networks):
        words.append("meta nfproto ipv%d" % asks.version)
    for key, positive, negative in (
        ("saddr", asks.sources, asks.no_sources),
        ("daddr", asks.targets, asks.no_targets),
    ):
        words += ["%s %s %s" % (ip, key, text) for text in _conditions(positive, negative, _short)]
    protocol = asks.protocols[0] if asks.protocols is not None and len(asks.protocols) == 1 else "th"
    ports = _conditions(asks.ports, asks.no_ports, str)
    words += ["%s dport %s" % (protocol, text) for text in ports]
    protocols = None if ports else asks.protocols
    words += ["meta l4proto %s" % text for text in _conditions(protocols, asks.no_protocols, str)]
    if asks.states is not None:
        words.append("ct state %s" % ",".join(asks.states))
    if asks.no_states is not None:
        words.append("ct state != %s" % _listed(asks.no_states))
    if rule.published:
        words.append("ct status dnat")
    return " ".join([*words, rule.verdict])


def _conditions(
    positive: tuple[t.Any, ...] | None, negative: tuple[t.Any, ...] | None, spell: t.Callable[[t.Any], str]
) -> list[str]:
    """What a condition asks for, and what it excludes."""
    found = [] if positive is None else [_listed([*map(spell, positive)])]
    return found if negative is None else [*found, "!= " + _listed([*map(spell, negative)])]


def _listed(words: t.Sequence[str]) -> str:
    return words[0] if len(words) == 1 else "{ %s }" % ", ".join(words)


def _short(network: model.Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
