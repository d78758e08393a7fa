# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules of ours amount to: the way back from ``iptables_rules``.

A rule that we would not have written says nothing; it goes when its chain is compared with the wanted one. What is
left of something that was damaged by hand is never read as more open than it is.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import replace

from ..model import (
    BridgePolicy,
    FirewallState,
    Flow,
    Masquerade,
    Network,
    OutInterface,
    PortRange,
    PublishedPort,
)
from .iptables_rules import ANY, BOUND, FORWARD, GUARD, INPUT, INTO, MASQ, PUBLISH, STRANGERS
from .iptables_text import Place, Rule, Ruleset

Options = dict[str, str]  # an inverted one begins with "! "
Rules = t.Mapping[Place, t.Sequence[Options]]
Decoded = t.TypeVar("Decoded")

_VALUELESS = ("--limit-iface-in", "--nowildcard", "--random-fully")
_ANYWHERE: dict[int, Network] = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}


def decode(rulesets: t.Mapping[int, Ruleset]) -> FirewallState:
    """The state that rules amount to, given by IP version."""
    policies: dict[str, BridgePolicy] = {}
    masquerades: list[Masquerade] = []
    ports: list[PublishedPort] = []
    strangers = False
    for version in sorted(rulesets):
        rules = {where: [_options(rule) for rule in chain] for where, chain in rulesets[version].chains.items()}
        for policy in _policies(rules, version):
            known = policies.get(policy.bridge)
            policies[policy.bridge] = policy if known is None else _merged(known, policy)
        masquerades += _masquerades(rules.get(MASQ, ()), version)
        ports += _ports(rules)
        strangers = strangers or any(rule.get("-j") == "DROP" for rule in rules.get(STRANGERS, ()))
    return FirewallState(frozenset(policies.values()), frozenset(masquerades), frozenset(ports), strangers)


def _options(rule: Rule) -> Options:
    """The options of a rule and their values; the names of matches say nothing that their options do not."""
    found: Options = {}
    inverted = ""
    words = iter(rule)
    for word in words:
        if word == "!":
            inverted = "! "
            continue
        value = "" if word in _VALUELESS else next(words, "")
        if word != "-m":
            found[inverted + word] = value
        inverted = ""
    return found


def _each(decoder: t.Callable[[Options], Decoded | None], rules: t.Iterable[Options]) -> t.Iterator[Decoded]:
    """What each rule says; one that somebody has turned into something else says nothing."""
    for rule in rules:
        try:
            found = decoder(rule)
        except (KeyError, ValueError):
            continue
        if found is not None:
            yield found


def _network(rule: Options, option: str, version: int) -> Network:
    return ipaddress.ip_network(rule[option]) if option in rule else _ANYWHERE[version]


def _range(text: str) -> PortRange:
    first, unused, last = text.partition(":")
    return PortRange(int(first), int(last or first))


def _notes(rule: Options) -> dict[str, str]:
    words = (word.partition("=") for word in rule.get("--comment", "").split(" "))
    return {key: value for key, unused, value in words}


# --- policies -------------------------------------------------------------------------------------------------------


def _policies(rules: Rules, version: int) -> t.Iterator[BridgePolicy]:
    forward = rules.get(FORWARD, ())
    labels = {
        rule.get("-o", ""): _notes(rule).get("network", "") for rule in forward if rule.get("-j", "").startswith(INTO)
    }
    no_way_out = {rule.get("-i") for rule in forward if rule.get("-j") == "DROP"}
    no_host_access = {rule.get("-i") for rule in rules.get(INPUT, ())}
    subnets: dict[str, list[Network]] = {}
    for bridge, subnet in _each(lambda rule: (rule["! -i"], ipaddress.ip_network(rule["-d"])), rules.get(GUARD, ())):
        subnets.setdefault(bridge, []).append(subnet)
    for (unused, chain), into in rules.items():
        if chain.startswith(INTO):
            policy = _policy(chain[len(INTO) :], into, version)
            yield replace(
                policy,
                subnets=tuple(subnets.get(policy.bridge, ())),
                internal=policy.internal or policy.bridge in no_way_out,
                host_access=policy.bridge not in no_host_access,
                network=labels.get(policy.bridge, ""),
            )


def _policy(bridge: str, into: t.Sequence[Options], version: int) -> BridgePolicy:
    """What the chain of a bridge says; one that somebody has emptied forbids nothing to its endpoints."""
    came_by = [rule["-i"] for rule in into if _is(rule, "-i", "ACCEPT")]
    return BridgePolicy(
        bridge=bridge,
        internal=any(_is(rule, "! -i", "DROP") for rule in into),
        icc=not into or bridge in came_by,
        direct_access=any(_is(rule, "! -i", "ACCEPT") for rule in into),
        trusted_interfaces=tuple(name for name in came_by if name != bridge),
        allow=tuple(_each(lambda rule: _flow(rule, version), into)),
    )


def _is(rule: Options, option: str, verdict: str) -> bool:
    return len(rule) == 2 and option in rule and rule.get("-j") == verdict


def _flow(rule: Options, version: int) -> Flow | None:
    if rule.get("-j") != "ACCEPT" or not rule.keys() <= {"-s", "-d", "-p", "--dport", "-j"}:
        return None
    ports = _range(rule["--dport"]) if "--dport" in rule else None
    return Flow(_network(rule, "-s", version), _network(rule, "-d", version), rule.get("-p", ""), ports)


def _merged(one: BridgePolicy, other: BridgePolicy) -> BridgePolicy:
    """One policy from its two families; where they differ, because somebody changed one, the stricter holds."""
    return replace(
        one,
        subnets=one.subnets + other.subnets,
        internal=one.internal or other.internal,
        icc=one.icc and other.icc,
        direct_access=one.direct_access and other.direct_access,
        trusted_interfaces=tuple(name for name in one.trusted_interfaces if name in other.trusted_interfaces),
        host_access=one.host_access and other.host_access,
        allow=one.allow + other.allow,
        network=one.network or other.network,
    )


# --- masquerades ----------------------------------------------------------------------------------------------------


def _masquerades(rules: t.Iterable[Options], version: int) -> t.Iterator[Masquerade]:
    excluded: dict[tuple[Network, OutInterface], list[Network]] = {}

    def decode_rule(rule: Options) -> Masquerade | None:
        out = OutInterface(rule["! -o"], True) if "! -o" in rule else OutInterface(rule.get("-o", ""))
        key = (_network(rule, "-s", version), out)
        if rule.get("-j") == "RETURN":
            excluded.setdefault(key, []).append(_network(rule, "-d", version))
        if rule.get("-j") not in ("MASQUERADE", "SNAT"):
            return None
        to_source = ipaddress.ip_address(rule["--to-source"]) if rule["-j"] == "SNAT" else None
        label = _notes(rule).get("network", "")
        return Masquerade(*key, tuple(excluded.pop(key, ())), to_source, "--random-fully" in rule, label)

    return _each(decode_rule, rules)


# --- ports ----------------------------------------------------------------------------------------------------------


def _ports(rules: Rules) -> t.Iterator[PublishedPort]:
    for where in (BOUND, ANY):
        yield from _each(_port, rules.get(where, ()))
    limited: dict[t.Any, PublishedPort] = {}
    for port in _each(_port, rules.get(PUBLISH, ())):
        known = limited.setdefault(port.key, port)
        sources = dict.fromkeys(known.allowed_sources + port.allowed_sources)
        interfaces = dict.fromkeys(known.in_interfaces + port.in_interfaces)
        limited[port.key] = replace(port, allowed_sources=tuple(sources), in_interfaces=tuple(interfaces))
    # One whose limits are gone is closed to the outside now; on no account may it come back without them.
    yield from (port for port in limited.values() if port.allowed_sources or port.in_interfaces)


def _port(rule: Options) -> PublishedPort | None:
    if rule.get("-j") != "DNAT":
        return None
    ports = _range(rule["--dport"])
    container_ip, container_port = _target(rule["--to-destination"])
    notes = _notes(rule)
    return PublishedPort(
        protocol=rule["-p"],
        host_ports=ports,
        container_ip=container_ip,
        container_port=container_port or ports.first,
        host_ip=ipaddress.ip_address(rule["-d"].partition("/")[0]) if "-d" in rule else None,
        bridge=notes.get("bridge", ""),
        allowed_sources=(ipaddress.ip_network(rule["-s"]),) if "-s" in rule else (),
        in_interfaces=(rule["-i"],) if "-i" in rule else (),
        network=notes.get("network", ""),
    )


def _target(text: str) -> tuple[t.Any, int]:
    """The address and the first port of ``address``, ``address:port`` or ``address:first-last/base``; 0 for no port."""
    if text.startswith("["):
        address, unused, port = text[1:].partition("]:")
    elif text.count(":") == 1:
        address, unused, port = text.partition(":")
    else:
        address, port = text, "0"
    return ipaddress.ip_address(address), int(port.partition("-")[0])
