# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says is there, as data."""

from __future__ import annotations

import typing as t

from ..model import Interface, Place, Route
from ..records import dataclass

# A value of a link that can be set, in the words of ip-link(8).
LinkValue = t.Union[str, int, bool, None]
# The metric that the kernel gives a route when none is asked for (IP6_RT_PRIO_USER for IPv6).
KERNEL_METRIC = {4: 0, 6: 1024}
# The kernel's word for a namespace that has no number in another one (NETNSA_NSID_NOT_ASSIGNED).
UNNUMBERED = -1
# Who added a route (rtm_protocol): RTPROT_KERNEL, for the subnet of an address.
BY_THE_KERNEL = 2


class VethEnd(t.NamedTuple):
    """Where the other end of a veth is. Each namespace numbers its links anew, so the index alone tells nothing."""

    peer_index: int  # IFLA_LINK: in the namespace of the other end
    peer_nsid: int | None = None  # IFLA_LINK_NETNSID: that namespace's number in this one; None: this one itself


class BridgeValues(t.NamedTuple):
    """What only a bridge has."""

    stp: bool = False
    forward_delay: int = 15  # seconds in which a port listens, and again learns, before it forwards


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
    isolated: bool = False  # this and the next: of a bridge's port
    hairpin: bool = False
    addresses: tuple[Interface, ...] = ()
    details: VethEnd | BridgeValues | None = None  # what only links of this kind have


@dataclass(frozen=True)
class RouteEntry:
    """A route of the main table."""

    route: Route  # with the metric that the kernel shows, never None
    link: str
    protocol: int
    kind: str = ""  # blackhole, unreachable, prohibit or throw; empty for a unicast one, which leads somewhere


@dataclass(frozen=True)
class NamespaceEntry:
    """A name below /run/netns."""

    name: str
    inode: int  # 0 for a plain file: what a crash between making the file and mounting on it leaves behind
    recorded: int = 0  # the inode that we noted when we gave this name to a process' namespace; 0: never
    remains: bool = False  # a plain file that we made: what a kill left of a name on its way in or out
    blocked: bool = False  # neither a namespace nor a plain file, such as a link that leads nowhere or a folder


@dataclass(frozen=True)
class Announcement:
    """Addresses that are new at a link, or in reach again, and the bridge's port that it talks through."""

    place: Place
    link: str
    addresses: tuple[Interface, ...]
    port: str
    bridge: str = ""
    to_neighbours: bool = True  # whether others than the host may remember something else


@dataclass(frozen=True)
class PortFlows:
    """The flows that came to ports of the host."""

    version: int
    protocol: str
    first: int
    last: int
    host_ip: str = ""  # empty: any
