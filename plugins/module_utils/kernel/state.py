# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says is there, as data."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..model import Interface, Place, Route

# A value of a link that can be set, in the words of ip-link(8).
LinkValue = t.Union[str, int, bool, None]


@dataclass(frozen=True)
class Link:
    """A network interface of one stack; ``addresses`` without the link-local IPv6 ones (fe80::/10)."""

    name: str
    index: int
    kind: str = ""  # IFLA_INFO_KIND: bridge, veth, ... empty for a physical one
    mac_address: str = ""
    mtu: int = 0
    up: bool = False
    group: int = 0
    alias: str = ""
    master: str = ""
    peer_index: int = 0  # IFLA_LINK of a veth: the index of its other end, in that end's namespace
    peer_nsid: int | None = None  # IFLA_LINK_NETNSID: None when the other end is in the same namespace
    stp: bool = False
    isolated: bool = False
    hairpin: bool = False
    addresses: tuple[Interface, ...] = ()

    def meets(self, other: Link) -> bool:
        """Whether these are the two ends of one veth pair. Each namespace counts its links anew: take both indexes."""
        return (self.index, self.peer_index) == (other.peer_index, other.index)


@dataclass(frozen=True)
class RouteEntry:
    """A unicast route of the main table."""

    route: Route  # with the metric that the kernel shows, never None
    link: str
    protocol: int
    prefsrc: str = ""


@dataclass(frozen=True)
class NamespaceEntry:
    """A name below /run/netns."""

    name: str
    inode: int  # 0 for a plain file: what a crash between making the file and mounting on it leaves behind
    recorded: int = 0  # the inode that we noted when we gave this name to a process' namespace; 0: never
    remains: bool = False  # a plain file that we made: what a kill left of a name on its way in or out


@dataclass(frozen=True)
class Announcement:
    """Addresses that are new at a link, and the bridge's port that it talks through."""

    place: Place
    link: str
    addresses: tuple[Interface, ...]
    port: str


@dataclass(frozen=True)
class PortFlows:
    """The flows that came to ports of the host."""

    version: int
    protocol: str
    first: int
    last: int
    host_ip: str = ""  # empty: any
