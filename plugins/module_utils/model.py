# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that the collection manages, as data: no I/O, no kernel, no rule text.

Every object is frozen and hashable; two objects are equal when they ask for the same state of the host.
A value of ``None`` means "not ours to decide": it is neither set nor compared.
The ``network`` of an object is its label of network and project, see marks.py.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import field

from .records import dataclass

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Interface = t.Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

VERSIONS = (4, 6)
PROTOCOLS = ("tcp", "udp", "sctp")
ANYWHERE: dict[int, Network] = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}
# The subnets that hosts use among neighbours without being given one (RFC 3927, RFC 4291).
LINK_LOCAL: dict[int, Network] = {4: ipaddress.ip_network("169.254.0.0/16"), 6: ipaddress.ip_network("fe80::/64")}

# The project of a network without one, and of every network that was made before there were projects.
DEFAULT_PROJECT = "default"

# The kernel's limits: IFNAMSIZ - 1 bytes, and BR_PORT_BITS = 10 less the unused port 0.
LINK_NAME_BYTES = 15
BRIDGE_PORTS = 1023


class InvalidRequest(ValueError):
    """A request that can never be carried out; its text is one sentence for the user."""


class Conflict(Exception):
    """A request that this host cannot carry out as it is now; its text is one sentence for the user."""


def overlap(one: Network, other: Network) -> bool:
    """Whether an address is in both networks."""
    return one.version == other.version and one.overlaps(other)


def oldest_first(addresses: t.Sequence[Interface]) -> list[Interface]:
    """The addresses of a link by age: the kernel lists the newest IPv6 address first (ipv6_link_dev_addr)."""
    return [a for a in addresses if a.version == 4] + [a for a in reversed(addresses) if a.version == 6]


def lies_in(inner: Network, outer: Network) -> bool:
    """Whether all addresses of a network are in the other one."""
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def without(networks: t.Iterable[Network], others: t.Iterable[Network]) -> tuple[Network, ...]:
    """What remains of networks when others are taken out of them, in as few networks as possible."""
    left, taken = set(networks), set(others)
    left, taken = left - taken, taken - left
    for other in taken:
        left = {part for network in left for part in _without_one(network, other)}
    return tuple(ipaddress.collapse_addresses(left))  # type: ignore[type-var]


def _without_one(network: Network, other: Network) -> t.Iterable[Network]:
    if not overlap(network, other):
        return (network,)
    return () if lies_in(network, other) else network.address_exclude(other)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Namespace:
    """A named network namespace, as ``ip netns`` sees it (ip-netns(8))."""

    name: str
    pid: int | None = None  # give the namespace of this process the name, instead of making one
    sysctls: tuple[tuple[str, str], ...] = ()  # net.* keys and their values inside
    network: str = ""
    endpoint: str = field(default="", compare=False)  # in a list of networks, for messages


@dataclass(frozen=True)
class Bridge:
    """A bridge and the host's own addresses on it."""

    name: str
    addresses: tuple[Interface, ...] | None = None
    mtu: int | None = None
    mac_address: str | None = None
    stp: bool = False
    network: str = ""
    allow_overlap: bool = False  # whether its subnets may also be elsewhere on the host


@dataclass(frozen=True)
class Route:
    """A static route; ``to`` is a default route when its prefix length is 0."""

    to: Network
    via: Address | None = None
    metric: int | None = None  # None: the kernel's default, 0 for IPv4 and 1024 for IPv6
    table: int = 0  # 0: the main one


@dataclass(frozen=True)
class SourceRule:
    """A rule of routing: packets from an address use this table."""

    source: Address
    table: int


# The routing tables that each stack has from the beginning.
DEFAULT_TABLE, MAIN_TABLE, LOCAL_TABLE = 253, 254, 255
TABLES = {LOCAL_TABLE: "local", MAIN_TABLE: "main", DEFAULT_TABLE: "default"}


@dataclass(frozen=True)
class DefaultRule:
    """A rule of routing that the kernel makes in each new namespace: all packets use this table."""

    version: int
    priority: int
    table: int


@dataclass(frozen=True)
class NameEntry:
    """An address with its names, the main one first."""

    address: Address
    names: tuple[str, ...]


NAMED_FILES = ("hosts", "resolv.conf", "nsswitch.conf")


@dataclass(frozen=True)
class NamespaceFile:
    """A file below /etc/netns that replaces one of the host for what is started in a namespace (ip-netns(8))."""

    netns: str
    name: str  # one of NAMED_FILES
    text: str = ""
    network: str = ""
    endpoint: str = field(default="", compare=False)  # in a list of networks, for messages


# Where the DNS server of an endpoint listens inside its namespace, as its resolv.conf says. A process with the host's
# resolv.conf, if that names the stub of systemd-resolved, finds this server at the same address.
NAME_SERVER = ipaddress.IPv4Address("127.0.0.53")


@dataclass(frozen=True)
class NameView:
    """The names that the DNS server of an endpoint knows: those of all endpoints that share a network with it."""

    netns: str
    entries: tuple[NameEntry, ...] = ()
    # The names of its networks: a name NAME.NETWORK that is not among the entries does not exist.
    domains: tuple[str, ...] = ()
    subnets: tuple[Network, ...] = ()  # of its networks; no other server is asked for the name of an address in them
    nameservers: tuple[Address, ...] = ()  # asked by the host instead of its own
    forwards: bool = True  # whether it may ask other servers; not if all its networks are internal
    network: str = ""
    endpoint: str = field(default="", compare=False)


@dataclass(frozen=True)
class EndpointService:
    """A service of systemd that runs in a namespace."""

    unit: str  # including its suffix
    netns: str
    removal: str = "restart"  # what happens when it leaves: restart it on the host's network, or stop it
    network: str = ""
    endpoint: str = field(default="", compare=False)


class Place:
    """A network namespace, by its name or by the pid of a process in it.

    Equal places are the same object, which Python compares and hashes ten times faster: a run with many endpoints looks
    up places some 100 times for each endpoint.
    """

    netns: str | None
    pid: int | None
    _known: t.ClassVar[dict[tuple[str | None, int | None], Place]] = {}

    def __new__(cls, netns: str | None = None, pid: int | None = None) -> Place:
        found = cls._known.get((netns, pid))
        if found is None:
            found = cls._known[netns, pid] = super().__new__(cls)
            vars(found).update(netns=netns, pid=pid)
        return found

    def __setattr__(self, name: str, value: object) -> t.NoReturn:
        raise AttributeError("%s of a Place cannot be changed" % name)

    def __reduce__(self) -> tuple[type[Place], tuple[str | None, int | None]]:
        return Place, (self.netns, self.pid)

    def __repr__(self) -> str:
        return "Place(netns=%r, pid=%r)" % (self.netns, self.pid)

    def __str__(self) -> str:
        if self.netns is not None:
            return "namespace %s" % self.netns
        return "the namespace of process %s" % self.pid if self.pid is not None else "the host"


# The namespace that the module runs in.
HOST = Place()


@dataclass(frozen=True)
class Process:
    """A process, and the unit of systemd that it belongs to."""

    pid: int
    name: str
    unit: str = ""

    def __str__(self) -> str:
        return "process %d (%s)" % (self.pid, ", ".join(filter(None, (self.name, self.unit))))


@dataclass(frozen=True)
class End:
    """An interface in a namespace, such as the far end of a veth pair."""

    name: str
    place: Place
    mac_address: str | None = None
    addresses: tuple[Interface, ...] | None = None
    routes: tuple[Route, ...] = ()  # gateways are default routes
    source_gateways: tuple[Address, ...] = ()  # for packets from its own addresses


@dataclass(frozen=True)
class Veth:
    """A veth pair: the host's end and the peer."""

    name: str
    peer: End
    bridge: str | None = None
    isolated: bool = False
    mtu: int | None = None
    addresses: tuple[Interface, ...] = ()
    network: str = ""
    allow_overlap: bool = False  # as for a bridge
    endpoint: str = field(default="", compare=False)  # in a list of networks, for messages


# What to do with packets that neither enter nor leave a network of ours, the strictest policy last. ``auto`` drops them
# if the host forwarded nothing before us.
FORWARD_POLICIES = ("unmanaged", "auto", "drop")
# The name that stands for all requests, when all are taken back.
EVERYBODY = "all"


@dataclass(frozen=True)
class Forwarding:
    """A request for what the host should forward. Requests add up until they are taken back."""

    ipv4: bool = True
    ipv6: bool = False
    route_localnet: tuple[str, ...] = ()
    persist: bool = True
    policy: str = "unmanaged"
    asked_by: str = "sysctl_forward"


@dataclass(frozen=True)
class OutInterface:
    """The interface by which a packet leaves: any, one by name, or any but one."""

    name: str = ""  # empty: any
    inverted: bool = False

    def __str__(self) -> str:
        return ("!" if self.inverted else "") + self.name


@dataclass(frozen=True)
class Masquerade:
    """Source translation of what leaves ``source`` through ``out``."""

    source: Network
    out: OutInterface = OutInterface()
    exclude: tuple[Network, ...] = ()
    to_source: Address | None = None  # None: the address of the outgoing interface
    random_fully: bool = False
    network: str = ""

    @property
    def key(self) -> tuple[Network, OutInterface]:
        """The fields that identify it; everything else can be changed in place."""
        return (self.source, self.out)

    @property
    def order(self) -> tuple[int, bytes, int, str]:
        """The order within an IP version: the first match decides, so the most specific one comes first.

        That is the narrowest source; for the same source: one interface, all but one interface, any interface.
        """
        rank = 2 if not self.out.name else 1 if self.out.inverted else 0
        return (-self.source.prefixlen, self.source.network_address.packed, rank, self.out.name)


@dataclass(frozen=True, order=True)
class PortRange:
    """``first`` to ``last``, both included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else "%d-%d" % (self.first, self.last)

    def overlaps(self, other: PortRange) -> bool:
        """Whether the ranges have a port in common."""
        return self.first <= other.last and other.first <= self.last

    def without(self, ports: t.Collection[int]) -> tuple[PortRange, ...]:
        """What is left of the range without some of its ports."""
        inside = sorted(port for port in ports if self.first <= port <= self.last)
        gaps = zip([self.first - 1, *inside], [*inside, self.last + 1])
        return tuple(PortRange(below + 1, above - 1) for below, above in gaps if above - below > 1)

    def shared(self, other: PortRange) -> PortRange:
        """The ports that two ranges which overlap have in common."""
        return PortRange(max(self.first, other.first), min(self.last, other.last))


@dataclass(frozen=True)
class PublishedPort:
    """A port of the host that leads to a port of an endpoint, or a range of them in the same order."""

    protocol: str  # tcp, udp or sctp
    host_ports: PortRange
    container_ip: Address
    container_port: int  # the first one of a range
    host_ip: Address | None = None  # None: every local address of container_ip's family
    bridge: str = ""  # the interface that leads to container_ip
    allowed_sources: tuple[Network, ...] = ()  # empty: everyone
    in_interfaces: tuple[str, ...] = ()  # empty: every one
    network: str = ""
    # host_ip is on a link that receives no packets (lo, a dummy), so they may come by any link (anycast, LVS)
    any_way: bool = False
    endpoint: str = field(default="", compare=False)  # in a list of networks, for messages

    @property
    def key(self) -> tuple[int, Address | None, str, PortRange]:
        """The fields that identify it; everything else can be changed in place."""
        return (self.container_ip.version, self.host_ip, self.protocol, self.host_ports)

    @property
    def bound(self) -> bool:
        """Whether only packets that come in by the interface with its address reach it.

        The kernel itself accepts packets to any of its addresses on any interface (the weak host model).
        """
        return self.host_ip is not None and not self.in_interfaces and not self.any_way

    @property
    def sources(self) -> tuple[Network, ...]:
        """The sources that it is limited to; none if one of them is everyone."""
        return self.allowed_sources if all(network.prefixlen for network in self.allowed_sources) else ()

    @property
    def container_ports(self) -> PortRange:
        """The ports of the endpoint that it leads to."""
        return PortRange(self.container_port, self.container_port + len(self.host_ports) - 1)

    @property
    def serves_loopback(self) -> bool:
        """Whether it answers on 127.0.0.1."""
        return self.container_ip.version == 4 and (self.host_ip is None or self.host_ip.is_loopback)

    @property
    def limited(self) -> bool:
        """Whether it is closed to some clients outside."""
        return bool(self.sources or self.in_interfaces)

    def __str__(self) -> str:
        host = "" if self.host_ip is None else "%s:" % bracketed(self.host_ip)
        inside = "%s:%s" % (bracketed(self.container_ip), self.container_ports)
        return "%s%s:%s/%s" % (host, self.host_ports, inside, self.protocol)


@dataclass(frozen=True)
class Flow:
    """Traffic that the policy of a bridge allows as an exception."""

    source: Network
    to: Network
    protocol: str = ""  # empty: any
    ports: PortRange | None = None  # None: any
    host: bool = False  # from endpoints to the host itself, by its address on the bridge


@dataclass(frozen=True)
class BridgePolicy:
    """The policy of a bridge: which traffic is allowed over it."""

    bridge: str
    subnets: tuple[Network, ...] = ()
    internal: bool = False
    icc: bool = True
    direct_access: bool = False
    trusted_interfaces: tuple[str, ...] = ()
    host_access: bool = True
    allow: tuple[Flow, ...] = ()
    network: str = ""
    gateways: tuple[Address, ...] | None = field(default=None, compare=False)  # of the host; flows to these are marked

    @property
    def inner_flows(self) -> tuple[Flow, ...]:
        """The flows to endpoints."""
        return tuple(flow for flow in self.allow if not flow.host)

    @property
    def host_flows(self) -> tuple[Flow, ...]:
        """The flows to the host itself."""
        return tuple(flow for flow in self.allow if flow.host)

    @property
    def networks(self) -> tuple[Network, ...]:
        """All networks that it opens to others."""
        return self.subnets + tuple(flow.to for flow in self.allow)


@dataclass(frozen=True)
class Drop:
    """The number of packets that our rules have dropped for one reason."""

    bridge: str  # empty: not for one network
    reason: str  # see firewall/reasons.py
    packets: int


@dataclass(frozen=True)
class PossibleDrop:
    """A rule or a policy of others that drops packets of ours if conditions hold that are not read."""

    rule: str
    table: str
    chain: str
    packets: str  # as a clause
    owner: str = ""  # the programs that it may belong to; empty: unknown
    handle: int | None = None  # in nft
    number: int | None = None  # in iptables, from 1
    conditions: tuple[str, ...] = ()  # empty: it depends on an earlier rule, which may let the packets pass
    advice: str = ""  # a clause

    def __str__(self) -> str:
        place = "chain %s of %s%s" % (self.chain, self.table, " (%s)" % self.owner if self.owner else "")
        if self.handle or self.number:
            place += ", handle %s" % self.handle if self.handle else ", rule %s" % self.number
        words = " and ".join('"%s"' % one for one in self.conditions)
        when = "if its condition %s holds" % words if words else "unless an earlier rule lets it pass"
        return '"%s" in %s, may drop %s, %s; %s' % (self.rule, place, self.packets, when, self.advice)


@dataclass(frozen=True)
class FirewallState:
    """Everything of ours in the packet filter of a host."""

    policies: frozenset[BridgePolicy] = frozenset()
    masquerades: frozenset[Masquerade] = frozenset()
    ports: frozenset[PublishedPort] = frozenset()
    drop_foreign: bool = False  # drop what neither enters nor leaves a link of ours
    # The IP versions in which that is dropped, except for packets that enter or leave any bridge on the host.
    drop_transit: frozenset[int] = frozenset()
    # The links between which such packets pass, for a back-end whose rules cannot recognise a bridge. Empty if nothing
    # is dropped, and never read back from the rules.
    outsiders: frozenset[str] = frozenset()

    def translates(self, version: int) -> bool:
        """Whether its rules translate addresses of an IP version."""
        sources = (entry.source for entry in self.masquerades)
        return any(item.version == version for item in (*sources, *(port.container_ip for port in self.ports)))

    @property
    def named_versions(self) -> frozenset[int]:
        """The IP versions of the addresses and networks that it names."""
        translated = (version for version in VERSIONS if self.translates(version))
        return frozenset((*translated, *(network.version for policy in self.policies for network in policy.networks)))

    @property
    def policy_versions(self) -> frozenset[int]:
        """The IP versions in which its policies apply: those that any policy names, or both if one names none.

        Every policy applies in all of them: a network without an IPv6 subnet is closed for IPv6 as soon as another one
        brings IPv6 to the host. Only policies count, so that sections written one by one add up to the whole.
        """
        if not all(policy.networks for policy in self.policies):
            return frozenset(VERSIONS)
        return frozenset(network.version for policy in self.policies for network in policy.networks)

    @property
    def versions(self) -> frozenset[int]:
        """The IP versions that its rules concern; both when it names none."""
        return self.named_versions | self.policy_versions or frozenset(VERSIONS)

    @property
    def exits(self) -> list[str]:
        """The bridges with a way out; an empty name if addresses are translated and there is no policy."""
        if not self.policies:
            return [""] if self.masquerades or self.ports else []
        return sorted(policy.bridge for policy in self.policies if not policy.internal)


@dataclass(frozen=True)
class Listener:
    """A socket that accepts packets to a port from anyone."""

    protocol: str
    port: int
    address: Address
    versions: tuple[int, ...] = ()  # of IP; a socket that is bound to :: may accept IPv4 as well
    full: bool = False  # whether its queue of new connections is full
    inode: int = field(default=0, compare=False)  # of the socket

    def hears(self, to: Address) -> bool:
        """Whether it accepts packets to an address."""
        return to.version in self.versions if self.address.is_unspecified else to == self.address

    def takes(self, port: PublishedPort) -> bool:
        """Whether it accepts packets that a published port would take."""
        if self.protocol != port.protocol or not port.host_ports.first <= self.port <= port.host_ports.last:
            return False
        if self.address.is_unspecified or port.host_ip is None:
            return port.container_ip.version in self.versions
        return self.address == port.host_ip


# The sysctl that turns on forwarding, by version of IP (ip-sysctl.rst).
FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
# The ports that the kernel does not choose for a program that asks for any port (ip-sysctl.rst).
RESERVED_PORTS = "net/ipv4/ip_local_reserved_ports"


def port_ranges(text: str) -> list[PortRange]:
    """The ranges of a list such as ``8080,9000-9010``."""
    parts = [part.partition("-") for part in text.split(",") if part.strip()]
    return [PortRange(int(first), int(last or first)) for first, unused, last in parts]


def spelled(addresses: t.Iterable[Interface]) -> list[str]:
    """Addresses as text, in an order that does not depend on when they were added."""
    return [str(address) for address in sorted(addresses, key=lambda address: (address.version, address))]


def bracketed(address: Address) -> str:
    """An address as it stands in front of a port: IPv6 in brackets."""
    return "[%s]" % address if address.version == 6 else str(address)


def capitalized(text: str) -> str:
    """A text as the beginning of a sentence; unlike str.capitalize(), this leaves the letters of names as they are."""
    return text[:1].upper() + text[1:]


def continued(text: str) -> str:
    """A sentence in the form that it has after a colon; a word in capitals stays as it is."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def enumerate_few(names: t.Sequence[str], most: int = 5) -> str:
    """Names for a sentence; beyond ``most`` names, the number of the others."""
    return ", ".join(names[:most]) + (" and %d more" % (len(names) - most) if len(names) > most else "")


def first_few(lines: t.Sequence[str], most: int) -> list[str]:
    """The lines, or the first of them and how many more there are."""
    more = len(lines) - most
    return list(lines) if more <= 0 else [*lines[:most], "and %d more" % more]
