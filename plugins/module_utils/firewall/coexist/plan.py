# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places among the rules of others where our networks need rules, for as long as they need them.

Rules of ours there are recognised by a mark: a comment at the end of chains and in ufw's rules, and our own zone file
in firewalld's folder. Nothing else there is touched, and rules of others that come first stay first. Only the code for
firewalls of this host is loaded.
"""

from __future__ import annotations

import typing as t

from ... import marks, model
from .. import backend
from ..foreign.reader import UFW_RULES, Foreign
from .base import Measures, Ours

_Plan = t.Callable[[Foreign, Ours, Measures], None]
# The tables of iptables that can drop forwarded packets.
_FORWARDING = frozenset(("filter", "mangle", "security"))


def _forward() -> _Plan:
    from .forward import plan

    return plan


def _firewalld() -> _Plan:
    from .firewalld import plan

    return plan


def _ufw() -> _Plan:
    from .ufw import plan

    return plan


def _forwards(foreign: Foreign) -> bool:
    in_nft = any(
        chain.get("hook") == "forward" and chain.get("type") == "filter" for chain in foreign.chains_of_others()
    )
    return in_nft or any(_FORWARDING & set(foreign.netfilter.legacy_tables(version)) for version in model.VERSIONS)


def _has_firewalld(foreign: Foreign) -> bool:
    """Whether firewalld has rules here, or a file of ours."""
    chains = foreign.chains()
    in_nft = any(c["table"] == "firewalld" or c["name"] in ("FORWARD_ZONES", "FORWARD_IN_ZONES") for c in chains)
    return in_nft or foreign.netfilter.read_file(marks.ZONE_FILE) is not None


def _has_ufw(foreign: Foreign) -> bool:
    return foreign.netfilter.read_file(UFW_RULES) is not None


# Whether a firewall may be active or have rules of ours, and the code that deals with it.
FIREWALLS: tuple[tuple[t.Callable[[Foreign], bool], t.Callable[[], _Plan]], ...] = (
    (_has_firewalld, _firewalld),
    (_forwards, _forward),
    (_has_ufw, _ufw),
)


def measures(
    foreign: Foreign,
    current: model.FirewallState,
    desired: model.FirewallState,
    jumps: t.Mapping[backend.BaseChain, int],
) -> Measures:
    """The steps in all these places of this host; for ``jumps`` see Ours."""
    bridges = {policy.bridge for policy in desired.policies}
    ours = Ours(desired, jumps, frozenset(policy.bridge for policy in current.policies) - bridges)
    result = Measures()
    for is_there, load in FIREWALLS:
        if is_there(foreign):
            load()(foreign, ours, result)
    return result
