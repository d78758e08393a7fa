# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of our chains in iptables: a stored format. The twin of a chain in nft/names.py has the same name there."""

from __future__ import annotations

from ...marks import CHAIN_PREFIX

ChainKey = tuple[str, str]  # a table and a chain


def _in(table: str, name: str) -> ChainKey:
    return (table, CHAIN_PREFIX + name)


# ---- policies

# Holds nothing but rules of the user's. They come before ours: in the table filter for packets that enter or leave one
# of our bridges, in the table mangle for those that the guard is about to drop.
USER = CHAIN_PREFIX + "USER"
USERS = (("mangle", USER), ("filter", USER))
GUARD = _in("mangle", "GUARD")  # every packet before its destination is translated
DIRECT = _in("mangle", "DIRECT")  # one to an endpoint's address by another interface than it should
FORWARD = _in("filter", "FORWARD")
TO_USER = _in("filter", "TO-USER")  # once, for what enters or leaves one of our bridges
INVALID = _in("filter", "INVALID")  # what connection tracking cannot place
INTO = CHAIN_PREFIX + "INTO-"  # and the name of a bridge: what goes to it, wherever from
INPUT = _in("filter", "INPUT")
HOST = _in("filter", "HOST")  # what a bridge without access to the host sends to the host
OUTPUT = _in("filter", "OUTPUT")

# ---- masquerades

EGRESS = _in("nat", "EGRESS")
STRAYS = _in("filter", "STRAYS")  # what the host itself receives, and connection tracking cannot place

# ---- published ports

LOOPBACK = _in("raw", "LOOPBACK")  # 127.0.0.0/8 from outside
PUBLISH_IN = _in("nat", "PUBLISH-IN")  # from outside and from endpoints
PUBLISH_OUT = _in("nat", "PUBLISH-OUT")  # from the host itself
PUBLISH_AT = _in("nat", "PUBLISH-AT")  # ports on one address, without further conditions
PUBLISH = _in("nat", "PUBLISH")  # ports on every address, without further conditions
HAIRPIN = _in("nat", "HAIRPIN")

# ---- forwarding of others

FOREIGN = _in("filter", "FOREIGN")
TRANSIT = _in("filter", "TRANSIT")  # what comes in by a link of others that is no bridge

# Chains that are reached behind the rules of others, not before them.
LAST = frozenset((FOREIGN[1],))
