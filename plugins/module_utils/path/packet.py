# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet that the path check follows, as one network stack sees it."""

from __future__ import annotations

import typing as t

from .. import model
from ..records import dataclass, replace

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}
_ND = "nd"  # neighbour discovery, the counterpart of ARP in IPv6


@dataclass(frozen=True)
class Packet:
    """One packet; ports are 0 where they are not known, or where the protocol has none."""

    source: model.Address
    to: model.Address
    protocol: str = "tcp"
    sport: int = 0
    dport: int = 0
    size: int = 60
    iif: str = ""
    oif: str = ""
    state: str = "new"  # in connection tracking: new, established or untracked
    answer: bool = False
    status: frozenset[str] = frozenset()  # in connection tracking: snat, dnat
    original_to: model.Address | None = None  # what the flow's first packet was sent to, before any translation
    original_dport: int = 0

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.to.version

    @property
    def is_arp(self) -> bool:
        """Whether this is an ARP packet."""
        return self.protocol == "arp"

    @property
    def asks(self) -> bool:
        """Whether this packet asks for a MAC address, or answers with one."""
        return self.protocol in ("arp", _ND)

    @property
    def number(self) -> int:
        """The protocol number of the IP header; 0 for ARP, which has none."""
        if self.is_arp:
            return 0
        six = self.protocol == _ND or (self.protocol == "icmp" and self.version == 6)
        return PROTOCOLS["icmpv6" if six else self.protocol]

    def at(self, **changes: t.Any) -> Packet:
        """A copy of the packet with these fields changed."""
        return replace(self, **changes)

    @property
    def origin(self) -> str:
        """The source, with its port where there is one."""
        # before a route is found, the kernel has chosen none
        return "no source" if self.source.is_unspecified else _spell(self.source, self.sport)

    @property
    def target(self) -> str:
        """The destination, with its port where there is one."""
        return _spell(self.to, self.dport)

    def __str__(self) -> str:
        return "%s > %s" % (self.origin, self.target)


def _spell(address: model.Address, port: int) -> str:
    if not port:
        return str(address)
    return "[%s]:%d" % (address, port) if address.version == 6 else "%s:%d" % (address, port)


class Surroundings(t.Protocol):
    """The facts about a stack that a rule in it may need."""

    def is_local(self, address: model.Address) -> bool:
        """Whether the address is one of this stack's."""

    def link_group(self, link: str) -> int | None:
        """The group of a link; None if there is no such link."""

    def link_kind(self, link: str) -> str | None:
        """The kind of a link, empty for one that has none, such as a network card; None if there is no such link."""

    def own_address(self, link: str, version: int) -> model.Address | None:
        """The address that masquerade or redirect over a link would write into a packet."""
