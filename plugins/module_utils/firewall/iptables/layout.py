# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Translates a FirewallState into chains of iptables, and back.

Policies, masquerades, ports and the forwarding of others each have chains of their own, which are there only while that
section has rules; all chains exist twice, for IPv4 and for IPv6. docs/rules.md describes each of them. A rule that we
would not have written is ignored, and removed when its chain is compared with the wanted one. The rest of a damaged
section never counts as more open than it is.
"""

from __future__ import annotations

import typing as t

from ... import marks, model
from ..save_text import Rule, by_name
from . import forwarding, masquerades, names, policies, ports
from .text import Jump, Ruleset
from .words import INVALID_STATE, LOCAL_ADDRESS, Draft


class _Entry(t.NamedTuple):
    """A jump from a built-in chain to a chain of ours, by which packets reach our rules."""

    builtin: str
    where: names.ChainKey
    match: Rule = ()
    match6: Rule | None = None  # None: the same as for IPv4


# For each built-in chain from top to bottom. The kernel does not forward link-local sources, and ::1 never leaves the
# host, so these are not translated. Untranslated, they are refused as if nothing were published.
JUMPS = (
    _Entry("PREROUTING", names.LOOPBACK),
    _Entry("PREROUTING", names.GUARD),
    _Entry("PREROUTING", names.PUBLISH_IN, LOCAL_ADDRESS, ("!", "-s", "fe80::/10", *LOCAL_ADDRESS)),
    _Entry("OUTPUT", names.PUBLISH_OUT, LOCAL_ADDRESS, ("!", "-d", "::1/128", *LOCAL_ADDRESS)),
    _Entry("OUTPUT", names.OUTPUT),
    _Entry("INPUT", names.STRAYS, ("-p", "tcp", *INVALID_STATE)),
    _Entry("INPUT", names.INPUT),
    _Entry("FORWARD", names.FORWARD),
    _Entry("FORWARD", names.FOREIGN),
    _Entry("POSTROUTING", names.HAIRPIN),
    _Entry("POSTROUTING", names.EGRESS),
)
_MARK: Rule = ("-m", "comment", "--comment", marks.COLLECTION)


def render(state: model.FirewallState) -> dict[int, Ruleset]:
    """The rules that ``state`` asks for, by IP version; a version with nothing to do has an empty set."""
    return {version: _render_family(state, version) for version in model.VERSIONS}


def _render_family(state: model.FirewallState, version: int) -> Ruleset:
    draft = Draft(version)
    if version in state.policy_versions:
        policies.render(sorted(state.policies, key=lambda policy: policy.bridge), draft)
    masquerades.render([entry for entry in state.masquerades if entry.source.version == version], draft)
    ports.render([port for port in state.ports if port.container_ip.version == version], draft)
    forwarding.render(state.drop_foreign, state.drop_transit, state.outsiders, draft)
    chains = {where: tuple(rules) for where, rules in draft.chains.items()}
    return Ruleset(chains, tuple(_jump(entry, version) for entry in JUMPS if entry.where in chains))


def _jump(entry: _Entry, version: int) -> Jump:
    match = entry.match if version == 4 or entry.match6 is None else entry.match6
    table, chain = entry.where
    return Jump(table, entry.builtin, (*match, *_MARK, "-j", chain))


def parse(rulesets: t.Mapping[int, Ruleset]) -> model.FirewallState:
    """The state that rules amount to, given by IP version."""
    found: dict[str, model.BridgePolicy] = {}
    outgoing: list[model.Masquerade] = []
    published: list[model.PublishedPort] = []
    drop_foreign = False
    transit: set[int] = set()
    outsiders: set[str] = set()
    for version in sorted(rulesets):
        rules = {where: [by_name(rule) for rule in chain] for where, chain in rulesets[version].chains.items()}
        for policy in policies.parse(rules, version):
            known = found.get(policy.bridge)
            found[policy.bridge] = policy if known is None else policies.merged(known, policy)
        outgoing += masquerades.parse(rules, version)
        published += ports.parse(rules)
        drops_all, drops_transit, links = forwarding.parse(rules)
        drop_foreign = drop_foreign or drops_all
        transit |= {version} if drops_transit else set()
        outsiders |= links
    return model.FirewallState(
        frozenset(found.values()),
        frozenset(outgoing),
        frozenset(published),
        drop_foreign,
        frozenset(transit),
        frozenset(outsiders),
    )
