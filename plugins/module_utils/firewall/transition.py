# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that apply while addresses change: a subnet stays closed and translated until its addresses are gone."""

from __future__ import annotations

import typing as t

from .. import model, records


def policies(
    current: t.Iterable[model.BridgePolicy], desired: t.Iterable[model.BridgePolicy]
) -> frozenset[model.BridgePolicy]:
    """The desired policies, and with them the subnets of the current ones that no desired policy has."""
    result = {policy.bridge: policy for policy in desired}
    taken = [subnet for policy in result.values() for subnet in policy.subnets]
    for policy in sorted(current, key=lambda policy: policy.bridge):
        rest = [part for subnet in policy.subnets for part in model.without([subnet], taken)]
        there = result.get(policy.bridge)
        if there is None:
            result[policy.bridge] = _leaving(policy, rest)
        elif rest:
            result[policy.bridge] = _stricter(there, policy, rest)
        taken += rest  # a set refuses elements that overlap
    return frozenset(result.values())


def masquerades(
    current: t.Iterable[model.Masquerade], desired: t.Iterable[model.Masquerade]
) -> frozenset[model.Masquerade]:
    """The desired masquerades, and the current ones of sources that would no longer be translated."""
    result = {item.key: item for item in desired}
    sources = [item.source for item in result.values()]
    for item in current:
        if model.without([item.source], sources):
            result.setdefault(item.key, item)
    return frozenset(result.values())


def _leaving(policy: model.BridgePolicy, rest: list[model.Network]) -> model.BridgePolicy:
    """A policy with the rest of its subnets; it must not open those that another bridge gets."""
    if set(rest) == set(policy.subnets):
        return policy
    allow = tuple(flow for flow in policy.allow if any(model.lies_in(flow.to, part) for part in rest))
    return records.replace(policy, subnets=_in_order(rest), allow=allow)


def _stricter(after: model.BridgePolicy, before: model.BridgePolicy, rest: list[model.Network]) -> model.BridgePolicy:
    """A policy with the rest of its former subnets, which it must not open before they have left."""
    internal = after.internal or before.internal
    return records.replace(
        after,
        subnets=_in_order([*after.subnets, *rest]),
        internal=internal,
        direct_access=after.direct_access and before.direct_access and not internal,
        trusted_interfaces=() if internal else after.trusted_interfaces,
    )


def _in_order(subnets: t.Iterable[model.Network]) -> tuple[model.Network, ...]:
    return tuple(sorted(subnets, key=lambda subnet: (subnet.version, int(subnet.network_address))))
