# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of our chains in iptables: a stored format, with the same names as in nft/names.py."""

from __future__ import annotations

from ... import marks

ChainKey = tuple[str, str]  # a table and a chain


def _in(table: str, name: str) -> ChainKey:
    return (table, marks.CHAIN_PREFIX + name)


# ---- policies

# Only has rules of the user. They come before ours: in the table filter for packets that enter or leave one of our
# bridges, in the table mangle for those that the guard is about to drop.
USER = marks.CHAIN_PREFIX + "USER"
USERS = (("mangle", USER), ("filter", USER))
GUARD = _in("mangle", "GUARD")  # gets every packet before its destination is translated
DIRECT = _in("mangle", "DIRECT")  # gets packets to an endpoint's address by a wrong interface
FORWARD = _in("filter", "FORWARD")
TO_USER = _in("filter", "TO-USER")  # called once, for packets that enter or leave one of our bridges
INVALID = _in("filter", "INVALID")  # packets that connection tracking cannot assign
INTO = marks.CHAIN_PREFIX + "INTO-"  # with the name of a bridge: packets to that bridge, from anywhere
INPUT = _in("filter", "INPUT")
HOST = _in("filter", "HOST")  # packets to the host from a bridge without access to it
OUTPUT = _in("filter", "OUTPUT")

# ---- masquerades

EGRESS = _in("nat", "EGRESS")
STRAYS = _in("filter", "STRAYS")  # packets for the host itself that connection tracking cannot assign

# ---- published ports

LOOPBACK = _in("raw", "LOOPBACK")  # 127.0.0.0/8 from outside
PUBLISH_IN = _in("nat", "PUBLISH-IN")  # from outside and from endpoints
PUBLISH_OUT = _in("nat", "PUBLISH-OUT")  # from the host itself
PUBLISH_AT = _in("nat", "PUBLISH-AT")  # ports on one address, without further conditions
PUBLISH = _in("nat", "PUBLISH")  # ports on every address, without further conditions
HAIRPIN = _in("nat", "HAIRPIN")

# ---- forwarding of others

FOREIGN = _in("filter", "FOREIGN")
TRANSIT = _in("filter", "TRANSIT")  # what comes in by a link of others that is not a bridge

# Chains whose jumps come after the rules of others, not before them.
LAST = frozenset((FOREIGN[1],))
