# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the kernel, as data."""

from __future__ import annotations

import typing as t
from dataclasses import field

from .. import model
from ..records import dataclass

# A value of a link that can be set, in the words of ip-link(8).
LinkValue = t.Union[str, int, bool, None]
# The metric that the kernel gives a route when none is asked for (IP6_RT_PRIO_USER for IPv6).
KERNEL_METRIC = {4: 0, 6: 1024}
# That of the routes that it adds for addresses (IP6_RT_PRIO_ADDRCONF for IPv6).
SUBNET_METRIC = {4: 0, 6: 256}
# The number that the kernel shows for a namespace without one (NETNSA_NSID_NOT_ASSIGNED).
UNNUMBERED = -1
# Who added a route (rtm_protocol): RTPROT_KERNEL, for the subnet of an address.
BY_THE_KERNEL = 2
_LAST = 2**31  # where the kernel puts a new route of its own


class VethEnd(t.NamedTuple):
    """The other end of a veth pair. An index alone is not enough, as each namespace numbers its own links."""

    peer_index: int  # IFLA_LINK: in the namespace of the other end
    peer_nsid: int | None = None  # IFLA_LINK_NETNSID: that namespace's number in this one; None: this one itself


class RefusedSysctl(t.NamedTuple):
    """A key, with slashes, that does not take a value in a network namespace."""

    key: str
    value: str
    reason: str  # a clause, as is what to do
    remedy: str


# What a step does at a place: it gives a file a new inode, writes into it, removes it, gives it to root,
PUT, UPDATE, REMOVE, OWN = "put", "update", "remove", "own"
# removes the folder of a namespace, or links units in a folder,
DROP, LINK = "drop", "link"
# gives a namespace a name, or takes it away,
NAME, UNNAME = "name", "unname"
# sets a sysctl, or does so if it is on in a new namespace.
SET, CLOSE = "set", "close"


class Writing(t.NamedTuple):
    """A place where a step writes: the path of a file or a folder, or the key of a sysctl with slashes."""

    path: str
    how: str


class BridgeValues(t.NamedTuple):
    """The values that only a bridge has."""

    stp: bool = False
    forward_delay: int = 15  # seconds for which a new port listens, and again learns, before it forwards


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
    isolated: bool = False  # this and the next field belong to a port of a bridge
    hairpin: bool = False
    # Of a port, the other flags in which it differs from a new one, by their words in bridge(8). A port whose state is
    # off is disabled, and not because it, its other end or its bridge is down.
    port_flags: tuple[tuple[str, bool], ...] = ()
    arp: bool = True  # whether it asks and answers for MAC addresses, in IPv6 too
    addresses: tuple[model.Interface, ...] = ()
    details: VethEnd | BridgeValues | None = None  # values that only links of this kind have
    # Whether it is operational (RFC 2863); a bridge without a port that is up is not.
    running: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class RouteEntry:
    """A route, of the main table unless the route itself names another."""

    route: model.Route  # with the metric that the kernel shows, never None
    link: str
    protocol: int
    kind: str = ""  # blackhole, local, ...: see decode.NOWHERE and decode.LOCAL_KINDS; empty for a unicast route
    tos: int = 0  # for packets with this type of service only
    origin: model.Network | None = None  # for packets from there only (IPv6)
    nexthop: int = 0  # the number of a nexthop object
    hops: tuple[tuple[model.Address | None, str], ...] = ()  # gateway and link of each, if there are several
    message: bytes = field(default=b"", compare=False)  # the kernel's own words
    rank: int = field(default=_LAST, compare=False)  # the kernel takes the first one of those that are alike
    is_behind: bool = field(default=False, compare=False)  # there is an earlier one that is alike

    @property
    def is_narrow(self) -> bool:
        """Whether it is for some of the packets to its destination only, and comes first for those."""
        return bool(self.tos) or self.origin is not None


class Awaited(t.NamedTuple):
    """A link that is to be ready for IPv6."""

    place: model.Place
    link: str
    asks: bool = False  # whether it needs a link-local address, from which the host asks for neighbours


class Lookup(t.NamedTuple):
    """A rule of routing, by the table that it leads to."""

    version: int
    table: int  # 0: it does something else with packets than to look into a table
    ours: bool = False


@dataclass(frozen=True)
class LostRoute:
    """A route of the table local that is gone. The kernel adds it only once: with an address, or when a link comes up.

    Without it, the stack does not accept packets to that address, or to groups (multicast).
    """

    link: str
    kind: str  # local, broadcast or multicast
    to: model.Network
    address: model.Interface | None = None  # the address that it belongs to; a route for groups belongs to the link
    source: model.Address | None = None  # of packets that leave by it


@dataclass(frozen=True)
class NamespaceEntry:
    """A name below /run/netns."""

    name: str
    inode: int  # 0 for a plain file, as a crash leaves it between making the file and mounting on it
    recorded: int = 0  # the inode that we noted when we gave this name to a process' namespace; 0: never
    remains: bool = False  # a plain file of ours, left by a run that was killed while it made or removed the name
    blocked: bool = False  # a folder, a broken symbolic link, or a namespace of another kind


@dataclass(frozen=True)
class Announcement:
    """Addresses that are new on a link, or reachable again, and the port of the bridge that they are behind."""

    place: model.Place
    link: str
    addresses: tuple[model.Interface, ...]
    port: str
    bridge: str = ""
    to_neighbours: bool = True  # whether neighbours other than the host may remember something else


@dataclass(frozen=True)
class PortFlows:
    """The flows to ports of the host."""

    version: int
    protocol: str
    first: int
    last: int
    host_ip: str = ""  # empty: any
    sources: tuple[str, ...] = ()  # subnets, without the host's own addresses; empty: all flows


@dataclass(frozen=True)
class EgressFlows:
    """The UDP and ICMP flows that leave by a masquerade, and are not translated as it says."""

    masquerade: model.Masquerade
    former: model.Address | None = None  # to_source before the change


@dataclass(frozen=True)
class WithdrawnFlows:
    """The UDP and ICMP flows that keep the translation of a masquerade that has gone."""

    masquerade: model.Masquerade
    others: tuple[model.Masquerade, ...] = ()  # those that its flows may meet now, the first one that counts first


Flows = t.Union[PortFlows, EgressFlows, WithdrawnFlows]
