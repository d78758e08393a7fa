# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of our chains, sets and maps in nftables: a stored format, with the same names in iptables/names.py."""

from __future__ import annotations


def _both(name: str) -> dict[int, str]:
    """The two names of an object that exists for each IP version."""
    return {4: name + "4", 6: name + "6"}


# ---- policies: chains

# Only has rules of the user. They come before ours, for packets that enter or leave one of our bridges, and for those
# that the guard is about to drop.
USER = "user"
GUARD = "guard"  # gets every packet before its destination is translated
GUARDED = "guarded"  # gets packets to an address that the guard watches
DIRECT = "direct"  # gets packets that go there by a wrong interface
FORWARD = "forward"
LEAVING = "leaving"  # from one of our bridges
ENTERING = "entering"  # to one of our bridges, from elsewhere
INTO = "into"  # to one of our bridges, from anywhere
ALLOW = "allow"
INPUT = "input"
OUTPUT = "output"

# ---- policies: sets

BRIDGES = "bridges"
SAME_BRIDGE = "same_bridge"  # each bridge paired with itself, for packets that enter and leave by the same one
ICC = "icc"
INTERNAL = "internal"
DIRECT_ACCESS = "direct_access"
TRUSTED = "trusted"
HOST_CLOSED = "host_closed"
INSIDE = _both("inside")  # the interfaces that lead to a subnet
WATCHED = _both("watched")  # the addresses that the guard watches

# ---- policies: sets in which packets are counted that are dropped, by bridge, and the chains that do both

DROPPED_DIRECT = "dropped_direct"
DROPPED_PRIVATE = "dropped_private"
DROPPED_OUT = "dropped_out"
DROPPED_IN = "dropped_in"
DROPPED_CLOSED = "dropped_closed"
DROPPED_HOST = "dropped_host"

# ---- masquerades: chains and sets

EGRESS = "egress"
EGRESS_OF = _both("egress")
STRAYS_IN = "strays_in"  # packets for the host itself
STRAYS = "strays"  # those of them that connection tracking cannot assign
MASQUERADED = _both("masqueraded")

# ---- published ports: chains

PUBLISH_IN = "publish_in"  # from outside and from endpoints
PUBLISH_OUT = "publish_out"  # from the host itself
PUBLISH = "publish"
HAIRPIN = "hairpin"

# ---- published ports: maps from the host's ports to endpoints, and sets

PORTS = _both("publish")  # on every address
PORTS_AT = _both("publish_at")  # on one address
RANGES = _both("publish_range")
RANGES_AT = _both("publish_range_at")
BOUND = _both("publish_bound")
BY_LINK = _both("publish_by_link")
LINKS = _both("publish_links")
BY_SOURCE = _both("publish_by_source")
SOURCES = _both("publish_sources")
TO_BRIDGE = "publish_to"
OVER_BRIDGE = "publish_over"
TO_ITSELF = _both("publish_self")

# ---- forwarding of others

FOREIGN = "foreign"
