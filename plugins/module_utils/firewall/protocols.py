# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols as nft prints them: as the names in /etc/protocols, or as numbers where that file is missing, as in a
container without netbase."""

from __future__ import annotations

# Names that nft knows by itself, so that it reads them without that file. ipv6-icmp is not among these.
_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "icmpv6", 132: "sctp", 136: "udplite", "ipv6-icmp": "icmpv6"}


def protocol_name(value: object) -> str:
    """The one name of a protocol that nft printed as a number or as a name."""
    return _NAMES.get(value, str(value))
