# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies of bridges in iptables: which traffic they allow."""

from __future__ import annotations

import ipaddress
import itertools
import typing as t

from ... import model
from ...records import replace
from ..save_text import Rule
from . import names
from .words import (
    ESTABLISHED,
    INVALID_STATE,
    REPLY,
    TRANSLATED,
    Draft,
    Options,
    Rules,
    comment,
    destination,
    each,
    interface,
    network,
    notes_of,
    ports,
    service,
    source,
)

# ---- to rules


def render(policies: t.Sequence[model.BridgePolicy], draft: Draft) -> None:
    """The chains of all policies. They drop and never accept, since later rules of others may have reasons to drop."""
    if len({policy.bridge for policy in policies}) < len(policies):
        raise model.InvalidRequest("There is more than one policy for the same bridge.")
    for policy in policies:
        for name in (policy.bridge, *policy.trusted_interfaces):
            interface(name, policy.network)
    _render_guard(policies, draft)
    _render_forward(policies, draft)
    _render_host_access([policy for policy in policies if not policy.host_access], draft)
    _render_output(
        [policy for policy in policies if not policy.icc and list(_flows(policy.inner_flows, draft.version))], draft
    )


def _render_guard(policies: t.Sequence[model.BridgePolicy], draft: Draft) -> None:
    """The guard: it closes direct routing and the gateways of other networks before the destination is translated,
    when a packet to a published port still carries the host's own address (Docker: raw PREROUTING).

    The table is mangle and not raw, since replies to untranslated packets (``exclude``, ``masquerade: false``) must
    pass, and only conntrack recognises these.
    """
    if draft.version == 6 and not any(subnet.version == 6 for policy in policies for subnet in policy.subnets):
        return
    draft.add(names.GUARD, ("-i", "lo", "-j", "RETURN"))
    if draft.version == 4:
        # route_localnet on a bridge would open every service on the host's 127.0.0.1 to the endpoints
        draft.add(names.GUARD, ("-d", "127.0.0.0/8", "-j", "DROP"))
    draft.add(names.GUARD, REPLY, ("-j", "RETURN"))
    for policy in policies:
        subnets = [subnet for subnet in policy.subnets if subnet.version == draft.version]
        if subnets and not policy.internal and not policy.direct_access:
            for flow in _flows(policy.inner_flows, draft.version):
                draft.add(names.GUARD, flow, ("-j", "RETURN"))
        for subnet in subnets:
            for rule in _guard(policy):
                draft.add(names.GUARD, destination(subnet), rule)
    draft.user_chain("mangle")
    draft.add(names.DIRECT, ("-j", names.USER))
    for policy in policies:
        for subnet in policy.subnets:
            if subnet.version == draft.version and (policy.internal or not policy.direct_access):
                draft.add(names.DIRECT, destination(subnet), ("-j", "DROP"))  # counts for this network
    draft.add(names.DIRECT, ("-j", "DROP"))


def _guard(policy: model.BridgePolicy) -> t.Iterator[Rule]:
    if policy.direct_access and not policy.internal:
        # no effect: it only notes the subnet
        yield ("!", "-i", policy.bridge, "-j", "RETURN")
        return
    if not policy.internal:
        for name in _trusted(policy):
            yield ("-i", name, "-j", "RETURN")
    yield ("!", "-i", policy.bridge, "-j", names.DIRECT[1])


def _trusted(policy: model.BridgePolicy) -> list[str]:
    return [name for name in policy.trusted_interfaces if name != policy.bridge]


def _render_forward(policies: t.Sequence[model.BridgePolicy], draft: Draft) -> None:
    draft.user_chain("filter")
    for way, policy in itertools.product(("-i", "-o"), policies):
        # -g, not -j: a RETURN from the user's chain then continues after the jump to this chain, so that a packet from
        # one bridge to another passes the user's chain only once
        draft.add(names.TO_USER, (way, policy.bridge, "-g", names.USER))
    draft.add(names.FORWARD, ("-j", names.TO_USER[1]))
    for policy in policies:
        if policy.internal:
            draft.add(names.FORWARD, ("-i", policy.bridge, "!", "-o", policy.bridge, "-j", "DROP"))
    # A packet that conntrack cannot assign is not translated, and would leave with its private source.
    draft.add(names.FORWARD, INVALID_STATE, ("-j", names.INVALID[1]))
    for policy in policies:
        draft.add(names.INVALID, ("-i", policy.bridge, "!", "-o", policy.bridge, "-j", "DROP"))
        chain = names.INTO + policy.bridge
        # as above: after a RETURN from that chain, a packet continues with the rules of others
        draft.add(names.FORWARD, ("-o", policy.bridge), comment(network=policy.network), ("-g", chain))
        for rule in _into(policy, draft.version):
            draft.add(("filter", chain), rule)


def _into(policy: model.BridgePolicy, version: int) -> t.Iterator[Rule]:
    """The chain for packets that leave the host by this bridge, including frames from port to port if br_netfilter
    (bridge-nf-call-iptables) shows them. For an internal network, it first drops everything from outside."""
    if policy.internal:
        yield ("!", "-i", policy.bridge, "-j", "DROP")
    yield (*ESTABLISHED, "-j", "RETURN")
    yield (*TRANSLATED, "-j", "RETURN")
    for name in _trusted(policy):
        yield ("-i", name, "-j", "RETURN")
    if policy.direct_access:
        yield ("!", "-i", policy.bridge, "-j", "RETURN")
    if policy.icc:
        yield ("-i", policy.bridge, "-j", "RETURN")
    elif version == 6:
        for kind in ("135", "136"):  # neighbour discovery does for IPv6 what ARP does for IPv4
            yield ("-i", policy.bridge, "-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", kind, "-j", "RETURN")
    for flow in _flows(policy.inner_flows, version):
        yield (*flow, "-j", "RETURN")
    yield ("-j", "DROP")


def _flows(flows: t.Iterable[model.Flow], version: int, came_by: Rule = ()) -> t.Iterator[Rule]:
    """The conditions of each flow, in the order of iptables-save."""
    for flow in flows:
        if flow.source.version != flow.to.version:
            raise model.InvalidRequest("A flow from %s to %s mixes address families." % (flow.source, flow.to))
        if flow.to.version == version:
            yield source(flow.source) + destination(flow.to) + came_by + service(flow.protocol, flow.ports)


def _render_host_access(policies: t.Sequence[model.BridgePolicy], draft: Draft) -> None:
    """The chains for host access. Packets to published ports do not pass them, as they are translated and forwarded."""
    if not policies:
        return
    for policy in policies:
        for flow in _flows(policy.host_flows, draft.version, ("-i", policy.bridge)):
            draft.add(names.INPUT, flow, ("-j", "RETURN"))
        draft.add(names.INPUT, ("-i", policy.bridge, "-j", names.HOST[1]))
    # not what an endpoint sends in a connection of its own, which may have been open before
    draft.add(names.HOST, REPLY, ("-j", "RETURN"))
    if draft.version == 4:
        draft.add(names.HOST, ("-p", "icmp", "-m", "icmp", "--icmp-type", "8", "-j", "RETURN"))
    else:
        for kind in ("128", "135", "136"):  # echo; without neighbour discovery there is no gateway
            draft.add(names.HOST, ("-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", kind, "-j", "RETURN"))
    for policy in policies:
        draft.add(names.HOST, ("-i", policy.bridge, "-j", "DROP"))  # counts for this network
    draft.add(names.HOST, ("-j", "DROP"))


def _render_output(policies: t.Sequence[model.BridgePolicy], draft: Draft) -> None:
    """The chain against ICMP redirects: with ``icc: false``, allowed flows between endpoints are routed through the
    host, whose redirects would tell the endpoints that they share a link."""
    redirect: Rule = ("-p", "icmp", "-m", "icmp", "--icmp-type", "5")
    if draft.version == 6:
        redirect = ("-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", "137")
    for policy in policies:
        draft.add(names.OUTPUT, ("-o", policy.bridge), redirect, ("-j", "DROP"))


# ---- from rules


def parse(rules: Rules, version: int) -> t.Iterator[model.BridgePolicy]:
    """The policies that the chains of one address family hold."""
    forward = rules.get(names.FORWARD, ())
    labels = {
        rule.get("-o", ""): notes_of(rule).get("network", "")
        for rule in forward
        if rule.get("-g", "").startswith(names.INTO)
    }
    no_way_out = {rule.get("-i") for rule in forward if rule.get("-j") == "DROP"}
    no_host_access = {rule.get("-i") for rule in rules.get(names.INPUT, ())}
    subnets = _subnets(rules.get(names.GUARD, ()))
    to_host = list(each(lambda rule: _host_flow(rule, version), rules.get(names.INPUT, ())))
    for (unused, chain), into in rules.items():
        if chain.startswith(names.INTO):
            policy = _policy(chain[len(names.INTO) :], into, version)
            allow = tuple(flow for bridge, flow in to_host if bridge == policy.bridge)
            yield replace(
                policy,
                subnets=tuple(subnets.get(policy.bridge, ())),
                internal=policy.internal or policy.bridge in no_way_out,
                host_access=policy.bridge not in no_host_access,
                allow=tuple(sorted(policy.allow + allow, key=str)) if allow else policy.allow,
                network=labels.get(policy.bridge, ""),
            )


def _subnets(guard: t.Iterable[Options]) -> dict[str, list[model.Network]]:
    found: dict[str, list[model.Network]] = {}
    for bridge, subnet in each(lambda rule: (rule["! -i"], ipaddress.ip_network(rule["-d"])), guard):
        found.setdefault(bridge, []).append(subnet)
    return found


def _policy(bridge: str, into: t.Sequence[Options], version: int) -> model.BridgePolicy:
    """The policy in the chain of a bridge; an emptied chain does not restrict endpoints."""
    came_by = [rule["-i"] for rule in into if _is(rule, "-i", "RETURN")]
    return model.BridgePolicy(
        bridge=bridge,
        internal=any(_is(rule, "! -i", "DROP") for rule in into),
        icc=not into or bridge in came_by,
        direct_access=any(_is(rule, "! -i", "RETURN") for rule in into),
        trusted_interfaces=tuple(name for name in came_by if name != bridge),
        allow=tuple(each(lambda rule: _flow(rule, version), into)),
    )


def _is(rule: Options, option: str, verdict: str) -> bool:
    return len(rule) == 2 and option in rule and rule.get("-j") == verdict


def _flow(rule: Options, version: int) -> model.Flow | None:
    if rule.get("-j") != "RETURN" or not rule.keys() <= {"-s", "-d", "-p", "--dport", "-j"}:
        return None
    wanted = ports(rule) if "--dport" in rule else None
    return model.Flow(network(rule, "-s", version), network(rule, "-d", version), rule.get("-p", ""), wanted)


def _host_flow(rule: Options, version: int) -> tuple[str, model.Flow] | None:
    """A flow from a bridge to the host itself."""
    if "-i" not in rule:
        return None
    flow = _flow({key: value for key, value in rule.items() if key != "-i"}, version)
    return None if flow is None else (rule["-i"], replace(flow, host=True))


def merged(one: model.BridgePolicy, other: model.BridgePolicy) -> model.BridgePolicy:
    """One policy from its two families. If one was changed so that they differ, the stricter one counts."""
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
