# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies of bridges in nftables: which traffic they allow."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ... import model
from ...records import replace
from .. import notes, reasons
from . import names
from .table import Chain, Element, Table
from .words import ADDRESS, IP, LOOPBACK, NOT_LOOPBACK, Draft, attempt, keys, link, ordered, ports, spell

_JUMP_USER = "jump %s" % names.USER
# A packet that concerns none of our networks costs two set look-ups.
_FORWARD = (
    "iifname @%s goto %s" % (names.BRIDGES, names.LEAVING),
    "oifname @%s goto %s" % (names.BRIDGES, names.ENTERING),
)
_INPUT = (
    # not what an endpoint sends in a connection of its own, which may have been open before
    "iifname @%s ct direction reply accept" % names.HOST_CLOSED,
    "iifname @%s meta l4proto { icmp, icmpv6 } accept" % names.HOST_CLOSED,
)
# With icc: false, allowed flows between endpoints are routed through the host, whose ICMP redirects would tell the
# endpoints that they share a link.
_OUTPUT = (
    "oifname @%s icmp type redirect counter drop" % names.BRIDGES,
    "oifname @%s icmpv6 type nd-redirect counter drop" % names.BRIDGES,
)


# ---- to rules


def render(policies: t.Sequence[model.BridgePolicy], draft: Draft) -> None:
    """The chains and sets of all policies."""
    for policy in policies:
        _put_policy(policy, draft)
    # route_localnet on a bridge would open every service on the host's 127.0.0.1 to the endpoints
    draft.put(names.WATCHED[4], ADDRESS[4], LOOPBACK, interval=True)
    flows = sorted(_flow_rule(policy.bridge, flow) for policy in policies for flow in policy.inner_flows)
    if flows:
        draft.chains[names.ALLOW] = tuple(flows)
    draft.chains[names.USER] = ()
    _render_guard(draft)
    _render_forward(draft)
    if any(policy.inner_flows and not policy.icc for policy in policies):
        draft.chains[names.OUTPUT] = _OUTPUT
    closed = [policy for policy in policies if not policy.host_access]
    if closed:
        open_to = sorted(_host_rule(policy.bridge, flow) for policy in closed for flow in policy.host_flows)
        no_host = draft.dropping_if("iifname @%s" % names.HOST_CLOSED, names.DROPPED_HOST, "iifname", reasons.HOST)
        draft.chains[names.INPUT] = (*_INPUT, *open_to, no_host)


def _render_guard(draft: Draft) -> None:
    """The guard. Every packet passes it, so a single look-up has to sort out those that do not concern us."""
    guard, guarded = [], ['iifname "lo" return', NOT_LOOPBACK, "ct direction reply return"]
    if names.ALLOW in draft.chains:
        guarded.append("jump %s" % names.ALLOW)
    for version, ip in IP.items():
        if names.WATCHED[version] in draft.sets:
            guard.append("%s daddr @%s jump %s" % (ip, names.WATCHED[version], names.GUARDED))
        if names.INSIDE[version] in draft.sets:
            guarded.append("iifname . %s daddr != @%s jump %s" % (ip, names.INSIDE[version], names.DIRECT))
    draft.chains[names.GUARD] = tuple(guard)
    draft.chains[names.GUARDED] = tuple(guarded)
    # before routing, only a look at the routes shows to which bridge the packet would have gone
    no_route = draft.dropping(names.DROPPED_DIRECT, "fib daddr oif", reasons.DIRECT)
    draft.chains[names.DIRECT] = (_JUMP_USER, *no_route)


def _render_forward(draft: Draft) -> None:
    draft.chains[names.FORWARD] = _FORWARD
    draft.chains[names.LEAVING] = _leaving(draft)
    draft.chains[names.ENTERING] = _entering(draft)
    draft.chains[names.INTO] = _into(draft)


def _leaving(draft: Draft) -> tuple[str, ...]:
    """Rules for packets from a bridge, to another one or to the same."""
    elsewhere = "iifname . oifname != @%s" % names.SAME_BRIDGE
    private = draft.dropping_if("ct state invalid %s" % elsewhere, names.DROPPED_PRIVATE, "iifname", reasons.PRIVATE)
    rules = [_JUMP_USER, private]
    if names.INTERNAL in draft.sets:
        way_out, way_in = ("%s @%s %s" % (name, names.INTERNAL, elsewhere) for name in ("iifname", "oifname"))
        rules.append(draft.dropping_if(way_out, names.DROPPED_OUT, "iifname", reasons.OUT))
        rules.append(draft.dropping_if(way_in, names.DROPPED_IN, "oifname", reasons.IN))
    return (*rules, "oifname @%s goto %s" % (names.BRIDGES, names.INTO))


def _entering(draft: Draft) -> tuple[str, ...]:
    """Rules for packets to a bridge from elsewhere."""
    if names.INTERNAL not in draft.sets:
        return _JUMP_USER, "goto %s" % names.INTO
    closed = draft.dropping_if("oifname @%s" % names.INTERNAL, names.DROPPED_IN, "oifname", reasons.IN)
    return (_JUMP_USER, closed, "goto %s" % names.INTO)


def _into(draft: Draft) -> tuple[str, ...]:
    rules = ["ct state established,related accept", "ct status dnat accept"]
    for name, key in (
        (names.ICC, "iifname . oifname"),
        (names.TRUSTED, "iifname . oifname"),
        (names.DIRECT_ACCESS, "oifname"),
    ):
        if name in draft.sets:
            rules.append("%s @%s accept" % (key, name))
    if names.ALLOW in draft.chains:
        rules.append("jump %s" % names.ALLOW)
    return (*rules, *draft.dropping(names.DROPPED_CLOSED, "oifname", reasons.CLOSED))


def _put_policy(policy: model.BridgePolicy, draft: Draft) -> None:
    bridge = link(policy.bridge)
    pair = "%s . %s" % (bridge, bridge)
    draft.put(names.BRIDGES, "ifname", bridge, Element(comment=notes.spell(network=policy.network)))
    draft.put(names.SAME_BRIDGE, "ifname . ifname", pair)
    if policy.icc:
        draft.put(names.ICC, "ifname . ifname", pair)
    if policy.internal:
        draft.put(names.INTERNAL, "ifname", bridge)
    if policy.direct_access:
        draft.put(names.DIRECT_ACCESS, "ifname", bridge)
    if not policy.host_access:
        draft.put(names.HOST_CLOSED, "ifname", bridge)
    for trusted in policy.trusted_interfaces:
        draft.put(names.TRUSTED, "ifname . ifname", "%s . %s" % (link(trusted), bridge))
    for subnet in policy.subnets:
        _put_subnet(policy, subnet, draft)


def _put_subnet(policy: model.BridgePolicy, subnet: model.Network, draft: Draft) -> None:
    version = subnet.version
    kind = "ifname . %s" % ADDRESS[version]
    draft.put(names.INSIDE[version], kind, "%s . %s" % (link(policy.bridge), spell(subnet)), interval=True)
    if not policy.direct_access:
        draft.put(names.WATCHED[version], ADDRESS[version], spell(subnet), interval=True)
    for trusted in policy.trusted_interfaces:
        if trusted == policy.bridge:
            continue
        note = Element(comment=notes.spell(trusted=policy.bridge))
        draft.put(names.INSIDE[version], kind, "%s . %s" % (link(trusted), spell(subnet)), note, interval=True)


def _flow_rule(bridge: str, flow: model.Flow) -> str:
    """A rule for each flow, as flows may overlap and elements of a set may not.

    Its accept ends the base chain that jumped here: after ``guard``, the packet meets the rule again in ``forward``.
    """
    ip = IP[flow.to.version]
    words = ["%s saddr %s" % (ip, spell(flow.source))] if flow.source.prefixlen else []
    words.append("%s daddr %s" % (ip, spell(flow.to)))
    if flow.ports is not None:
        words.append("%s dport %s" % (flow.protocol, flow.ports))
    elif flow.protocol:
        words.append("meta l4proto %s" % flow.protocol)
    return '%s accept comment "%s"' % (" ".join(words), notes.spell(bridge=bridge))


def _host_rule(bridge: str, flow: model.Flow) -> str:
    """A rule for a flow to the host itself, which only endpoints can use."""
    return "iifname %s %s" % (link(bridge), _flow_rule(bridge, flow))


# ---- from rules


def parse(table: Table) -> t.Iterator[model.BridgePolicy]:
    """The policies that a table holds."""
    internal, direct_access, host_closed = (
        {key[0] for key, unused in keys(table, name, 1)}
        for name in (names.INTERNAL, names.DIRECT_ACCESS, names.HOST_CLOSED)
    )
    icc = {key[0] for key, unused in keys(table, names.ICC, 2)}
    subnets, flows, trusted = _subnets(table), _flows(table), _trusted(table)
    for (bridge,), element in keys(table, names.BRIDGES, 1):
        yield model.BridgePolicy(
            bridge=bridge,
            subnets=ordered(subnets.get(bridge, [])),
            internal=bridge in internal,
            icc=bridge in icc,
            direct_access=bridge in direct_access,
            trusted_interfaces=tuple(sorted(trusted.get(bridge, []))),
            host_access=bridge not in host_closed,
            # without that entry, a rule that opens the host has no effect
            allow=tuple(sorted((f for f in flows.get(bridge, []) if bridge in host_closed or not f.host), key=str)),
            network=notes.read(element.comment).get("network", ""),
        )


def _trusted(table: Table) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for (name, bridge), unused in keys(table, names.TRUSTED, 2):
        found.setdefault(bridge, []).append(name)
    return found


def _subnets(table: Table) -> dict[str, list[model.Network]]:
    found: dict[str, list[model.Network]] = {}
    for name in names.INSIDE.values():
        for (bridge, text), element in keys(table, name, 2):
            network = attempt(ipaddress.ip_network, text)
            if network is not None and not element.comment:
                found.setdefault(bridge, []).append(network)
    return found


def _flows(table: Table) -> dict[str, list[model.Flow]]:
    found: dict[str, list[model.Flow]] = {}
    for rule in table.chains.get(names.ALLOW, Chain()).rules:
        flow = attempt(_flow, rule)
        # a rule with another spelling than ours was altered, and is ignored
        if flow is not None and _flow_rule(*flow) == rule:
            found.setdefault(flow[0], []).append(flow[1])
    for rule in table.chains.get(names.INPUT, Chain()).rules:
        flow = attempt(_host_flow, rule)
        if flow is not None and _host_rule(*flow) == rule:
            found.setdefault(flow[0], []).append(flow[1])
    return found


_FLOW = (
    r"(?:ip6? saddr (?P<source>\S+) )?ip6? daddr (?P<to>\S+) "
    r"(?:(?P<ported>\w+) dport (?P<ports>\S+) |meta l4proto (?P<protocol>\w+) )?"
    r'accept comment "bridge=(?P<bridge>[^"]+)"'
)


def _flow(rule: str) -> tuple[str, model.Flow]:
    found = re.fullmatch(_FLOW, rule)
    if found is None:
        raise ValueError(rule)
    to = ipaddress.ip_network(found["to"])
    return found["bridge"], model.Flow(
        source=ipaddress.ip_network(found["source"]) if found["source"] else model.ANYWHERE[to.version],
        to=to,
        protocol=found["ported"] or found["protocol"] or "",
        ports=ports(found["ports"]) if found["ports"] else None,
    )


def _host_flow(rule: str) -> tuple[str, model.Flow]:
    bridge, flow = _flow(rule.partition('" ')[2])
    return bridge, replace(flow, host=True)
