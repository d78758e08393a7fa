# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network stacks of a host: what the kernel reports about each, read once and only when the walk gets there."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import socket
import struct
import sys
import typing as t

from .. import marks, model
from ..firewall.backend import FirewallError
from ..firewall.foreign import nft_text
from ..firewall.session import FirewallSession
from ..kernel import decode, netlink
from ..kernel.diag import listeners
from ..kernel.errors import KernelError
from ..kernel.host import Host
from ..kernel.namespaces import Visitor
from ..kernel.requests import (
    ALL_ADDRESSES,
    ALL_LINKS,
    ALL_NEIGHBOURS,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETNEIGH,
    RTM_GETROUTE,
)
from ..kernel.stack import controlled
from ..records import dataclass, replace
from . import ipsec
from .nft_rules import chains_of
from .packet import Packet
from .rules import Chain, Filter
from .save_rules import chains_of_save

if t.TYPE_CHECKING:
    from .idle import Idle

Run = t.Callable[[t.Sequence[str], t.Optional[str]], tuple[int, str, str]]
T = t.TypeVar("T")

_NFT_GETTABLE = 10 << 8 | 1
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
ROUTE_HEADER = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_IFF_UP = 1
_OPER_DOWN = (2, 3)  # IF_OPER_DOWN, IF_OPER_LOWERLAYERDOWN
_NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
NUD_PERMANENT, NUD_FAILED = 0x80, 0x20
FORWARDING = 3  # BR_STATE_FORWARDING
PORT_STATES = {0: "disabled", 1: "listening", 2: "learning", 3: "forwarding", 4: "blocking"}
_TENTATIVE, _DADFAILED = 0x40, 0x08
# RTM_F_FIB_MATCH: answer with the matching route itself, not with the path that results from it. RTM_F_LOOKUP_TABLE:
# with its own table, which IPv4 calls the main one otherwise; IPv6 does not take this flag.
_FIB_MATCH = {4: 0x2000 | 0x1000, 6: 0x2000}
MAIN = 254
ROUTE_KINDS = {1: "unicast", 2: "local", 3: "broadcast", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}


@dataclass(frozen=True)
class Nic:
    """A link, with the attributes that decide whether it carries a packet."""

    name: str
    index: int
    kind: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    group: int
    alias: str
    master: int
    peer_index: int
    peer_is_elsewhere: bool
    port_state: int | None = None
    isolated: bool = False
    hairpin: bool = False
    addresses: tuple[model.Interface, ...] = ()
    tentative: frozenset[model.Address] = frozenset()
    arp: bool = True
    port_flags: tuple[tuple[str, bool], ...] = ()  # in which a port differs from a new one

    @property
    def is_ours(self) -> bool:
        """Whether this collection created the link."""
        return self.group == marks.LINK_GROUP

    @property
    def network(self) -> str:
        """The network that the link's mark names."""
        return marks.name_of(marks.label_of(self.alias))


@dataclass(frozen=True)
class Way:
    """The kernel's routing decision for a packet; ``error`` is the errno if there is none."""

    kind: str = ""
    link: str = ""
    gateway: model.Address | None = None
    source: model.Address | None = None
    error: int = 0

    @property
    def is_local(self) -> bool:
        """Whether the packet is for this stack itself."""
        return self.kind == "local"


class Match(t.NamedTuple):
    """The route that matches an address."""

    words: str = ""
    protocol: int = 0
    table: int = 0
    link: str = ""


@dataclass(frozen=True)
class Neighbour:
    """The knowledge of a stack about an address on a link."""

    mac: str
    state: int

    @property
    def valid(self) -> bool:
        """Whether packets are sent to the MAC address without asking for it first."""
        return bool(self.state & _NUD_VALID and self.mac)


class Node:
    """One network stack: the host's or an endpoint's."""

    def __init__(self, place: model.Place, host: Host, visitor: Visitor, run: Run) -> None:
        self.place = place
        self._host = host
        self._visitor = visitor
        self._run = run
        self._memory: dict[str, object] = {}

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name of the stack in reports."""
        return "host" if self.place == model.HOST else self.place.netns or "process %s" % self.place.pid

    @property
    def is_host(self) -> bool:
        """Whether this is the host's own stack."""
        return self.place == model.HOST

    def forget(self) -> None:
        """Drop what was read, so that it is read again."""
        self._memory.clear()

    def inside(self, function: t.Callable[[], T]) -> T:
        """Call ``function`` in this stack's namespace, and return its result."""
        if self.is_host:
            return function()
        namespace = self._socket().namespace()
        try:
            return self._visitor.visit(namespace, function)
        finally:
            os.close(namespace)

    def _socket(self) -> netlink.NetlinkSocket:
        return self._host.stack(self.place).socket()

    def _once(self, key: str, read: t.Callable[[], T]) -> T:
        if key not in self._memory:
            self._memory[key] = read()
        return t.cast("T", self._memory[key])

    # ---- links and addresses

    @property
    def nics(self) -> dict[str, Nic]:
        """The links by name."""
        return self._once("nics", self._read_nics)

    def nic_at(self, index: int) -> Nic | None:
        """A link by its index."""
        return next((nic for nic in self.nics.values() if nic.index == index), None)

    def _read_nics(self) -> dict[str, Nic]:
        addresses, tentative = self._read_addresses()
        found = {}
        for message in self.dump(RTM_GETLINK, ALL_LINKS):
            index, flags = _LINK.unpack_from(message)[2:4]
            nic = _nic(index, flags, netlink.attributes(message, _LINK.size), addresses, tentative)
            found[nic.name] = nic
        return found

    def _read_addresses(self) -> tuple[dict[int, list[model.Interface]], dict[int, set[model.Address]]]:
        found: dict[int, list[model.Interface]] = {}
        tentative: dict[int, set[model.Address]] = {}
        for message in self.dump(RTM_GETADDR, ALL_ADDRESSES):
            family, length, flags, unused, index = _ADDRESS.unpack_from(message)
            values = netlink.attributes(message, _ADDRESS.size)
            packed = values.get(2) or values.get(1)
            if packed and family in (socket.AF_INET, socket.AF_INET6):
                address = ipaddress.ip_interface((packed, length))
                found.setdefault(index, []).append(address)
                if flags & (_TENTATIVE | _DADFAILED):
                    tentative.setdefault(index, set()).add(address.ip)
        return found, tentative

    def ports(self, bridge: Nic) -> list[Nic]:
        """The ports of a bridge."""
        return [nic for nic in self.nics.values() if nic.master == bridge.index]

    def own_bridges(self) -> list[Nic]:
        """The bridges that this collection created."""
        return [nic for nic in self.nics.values() if nic.kind == "bridge" and nic.is_ours]

    def bridge_with(self, address: model.Address) -> Nic | None:
        """The one of these that has the subnet of an address."""
        found = (nic for nic in self.own_bridges() if any(address in own.network for own in nic.addresses))
        return next(found, None)

    def is_local(self, address: model.Address) -> bool:
        """Whether the address is one of this stack's."""
        if address.version == 4 and address.packed[0] == 127:
            return True
        return any(address == own.ip for nic in self.nics.values() for own in nic.addresses)

    def holder(self, address: model.Address) -> Nic | None:
        """The link with an address."""
        return next((nic for nic in self.nics.values() if any(address == own.ip for own in nic.addresses)), None)

    def link_group(self, link: str) -> int | None:
        """The group of a link; None if there is no such link."""
        nic = self.nics.get(link)
        return None if nic is None else nic.group

    def link_kind(self, link: str) -> str | None:
        """The kind of a link, empty for one that has none, such as a network card; None if there is no such link."""
        nic = self.nics.get(link)
        return None if nic is None else nic.kind

    def own_address(self, link: str, version: int) -> model.Address | None:
        """The address that masquerade or redirect over a link would write into a packet."""
        nic = self.nics.get(link)
        own = [one for one in nic.addresses if one.version == version and not one.is_link_local] if nic else []
        return own[0].ip if own else None

    # ---- routes and neighbours

    def route(self, packet: Packet, come_by: str = "", to: model.Address | None = None, checked: bool = True) -> Way:
        """The kernel's routing decision; ``come_by`` is the link a packet arrived on, empty if this stack sends it."""
        request = _route_request(packet, self.nics[come_by].index if come_by else 0, to or packet.to, checked)
        try:
            message = self._ask(RTM_GETROUTE, request)
        except OSError as error:
            return Way(error=error.errno or errno.EINVAL)
        return _way(message, self)

    def matching(self, to: model.Address) -> str:
        """The route that matches an address, as ``ip route`` spells it; empty if there is none."""
        return self.match(to)[0]

    def match(self, to: model.Address) -> Match:
        """The same, with its protocol, which tells who set it, its table and its link."""
        family = socket.AF_INET6 if to.version == 6 else socket.AF_INET
        header = ROUTE_HEADER.pack(family, to.max_prefixlen, 0, 0, 0, 0, 0, 0, _FIB_MATCH[to.version])
        try:
            message = self._ask(RTM_GETROUTE, header + netlink.attribute(1, to.packed))
        except OSError:
            return Match()
        values = netlink.attributes(message, ROUTE_HEADER.size)
        network, nic = network_of(message[1], values, to.version), self.nic_at(_integer(values.get(4)))
        link = " dev %s" % nic.name if nic is not None else ""
        table = _integer(values.get(15))
        words = "%s%s%s" % (network if network.prefixlen else "default", link, table_words(table))
        return Match(words, message[5], table, nic.name if nic is not None else "")

    def neighbour(self, link: str, address: model.Address) -> Neighbour | None:
        """The neighbour entry of an address on a link."""
        return self.neighbours.get((self.nics[link].index, address))

    @property
    def neighbours(self) -> dict[tuple[int, model.Address], Neighbour]:
        """The neighbour entries by link and address."""
        return self._once("neighbours", self._read_neighbours)

    def _read_neighbours(self) -> dict[tuple[int, model.Address], Neighbour]:
        found = {}
        for message in self.dump(RTM_GETNEIGH, ALL_NEIGHBOURS):
            family, index, state = _NEIGHBOUR.unpack_from(message)[:3]
            values = netlink.attributes(message, _NEIGHBOUR.size)
            if family in (socket.AF_INET, socket.AF_INET6) and 1 in values:
                address = ipaddress.ip_address(values[1])
                found[index, address] = Neighbour(values.get(2, b"").hex(":"), state)
        return found

    @property
    def stations(self) -> dict[tuple[int, str], int]:
        """The port of each forwarding entry that was added by hand, by bridge and MAC address."""
        return self._once("stations", self._read_stations)

    def _read_stations(self) -> dict[tuple[int, str], int]:
        found = {}
        for message in self.dump(RTM_GETNEIGH, struct.pack("=BxxxiHBB", socket.AF_BRIDGE, 0, 0, 0, 0)):
            family, index, state = _NEIGHBOUR.unpack_from(message)[:3]
            values = netlink.attributes(message, _NEIGHBOUR.size)
            port = self.nic_at(index)
            if family == socket.AF_BRIDGE and 9 in values and 2 in values and state & (NUD_PERMANENT | 0x40):
                bridge = struct.unpack("=I", values[9])[0]
                if port is not None and values[2].hex(":") != port.mac:
                    found[bridge, values[2].hex(":")] = index
        return found

    @property
    def controlled(self) -> dict[int, str]:
        """The links with traffic control filters, by index, and where those are attached: ingress or egress."""
        return self._once("controlled", self._read_controlled)

    def _read_controlled(self) -> dict[int, str]:
        try:
            return controlled(self._socket())
        except OSError as error:
            raise KernelError("look into %s" % self.name, error) from error

    # ---- files

    def file(self, path: str) -> str | None:
        """A file that tells of the host's stack; None for another stack, or if it cannot be read."""
        return self._host.look_file(path) if self.is_host else None

    def sysctl(self, key: str) -> int:
        """The value of a key below /proc/sys/net; 0 if there is no such key."""
        return self._once("sysctl " + key, lambda: self.inside(lambda: _number("/proc/sys/net/" + key)))

    def listeners(self, protocol: str) -> list[model.Listener]:
        """The listening sockets of a protocol."""
        return self._once("listeners " + protocol, lambda: self.inside(lambda: listeners([protocol])[protocol]))

    # ---- the packet filter

    @property
    def filter(self) -> Filter:
        """The packet filter: the rules of nf_tables and of legacy iptables."""
        return self._once("filter", lambda: Filter(self._read_chains()))

    def _read_chains(self) -> list[Chain]:
        listing = self._json(["nft", "-j", "list", "ruleset"]) if self.inside(_has_tables) else []
        nft_text.add_devices(listing, lambda: self._output(["nft", "list", "chains"]))
        native = chains_of(listing)
        own = _tables_of_iptables(listing)
        chains = [chain for chain in native if (chain.family, chain.table) not in own]
        for family in sorted({family for family, unused in own}):
            chains += self._saved("nft", family, {table for one, table in own if one == family})
        _copy_handles(native, chains)
        age = {(chain.family, chain.table, chain.name): number for number, chain in enumerate(native)}
        chains.sort(key=lambda chain: age.get((chain.family, chain.table, chain.name), len(age)))
        return chains + [c for family in self.inside(_legacy_families) for c in self._saved("legacy", family, None)]

    def _saved(self, store: str, family: str, tables: t.Collection[str] | None) -> list[Chain]:
        tool = "%s-%s-save" % ("ip6tables" if family == "ip6" else "iptables", store)
        found = chains_of_save(self._output([tool]), store, 6 if family == "ip6" else 4)
        return [chain for chain in found if tables is None or chain.table in tables]

    def _json(self, argv: t.Sequence[str]) -> list[t.Any]:
        out = self._output(argv)
        try:
            return list(json.loads(out)["nftables"]) if out else []
        except ValueError:
            return []

    def _output(self, argv: t.Sequence[str]) -> str:
        try:
            code, out, unused = self.inside(lambda: self._run(argv, None))
        except Exception:  # a program that is not installed has no rules to list
            return ""
        return out if code == 0 else ""

    @property
    def policies(self) -> list[ipsec.Policy]:
        """The IPsec policies."""
        return self._once("policies", lambda: self.inside(ipsec.read))

    # ---- netlink

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        try:
            return self._socket().dump(kind, body)
        except OSError as error:
            raise KernelError("look into %s" % self.name, error) from error

    def _ask(self, kind: int, body: bytes) -> bytes:
        return self._socket().ask(kind, body)


class Topology:
    """The stack of the host and those of its endpoints, each with one node, and the veth pairs between them."""

    def __init__(self, host: Host, run: Run) -> None:
        self._host = host
        self.run = run
        self._visitor = Visitor()
        self._nodes: dict[model.Place, Node] = {}
        self.host = self.node(model.HOST)
        self._start()

    def _start(self) -> None:
        self._ends: dict[tuple[int, int], list[tuple[Node, Nic]]] = {}
        self._unread = self._places()

    def close(self) -> None:
        """End the thread that visits namespaces."""
        self._visitor.close()

    def node(self, place: model.Place) -> Node:
        """The stack of a place."""
        if place not in self._nodes:
            self._nodes[place] = Node(place, self._host, self._visitor, self.run)
        return self._nodes[place]

    def at(self, place: str) -> tuple[Node | None, Nic | None]:
        """The stack and the link that a place in a report names."""
        name, unused, link = place.partition(": ")
        node = next((node for node in self.known() if node.name == name), None)
        return node, node.nics.get(link) if node is not None else None

    def known(self) -> list[Node]:
        """The stacks that were needed so far."""
        return list(self._nodes.values())

    def owner(self, address: model.Address) -> Node | None:
        """The stack that has an address: the host's, or a named namespace's that has it on a link of ours."""
        for place in [model.HOST, *(model.Place(netns=name) for name in sorted(self.names()))]:
            node = self.node(place)
            with contextlib.suppress(KernelError):
                nic = node.holder(address)
                if nic is not None and (place == model.HOST or nic.is_ours):
                    return node
        return None

    def left_behind(self, name: str) -> t.Iterator[Node]:
        """The stacks of namespaces of ours that have lost this name, and have processes, but no link that leads on.

        Services with a network of their own (PrivateNetwork=yes) and containers have never lived in one of ours.
        """
        for place in self._places() if name in self.names() else ():
            node = self.node(place)
            with contextlib.suppress(KernelError):
                lo = node.nics.get("lo") if place.pid else None
                if lo is None or not lo.is_ours or marks.namespace_of(lo.alias) != name:
                    continue
                if not any(nic.up for nic in node.nics.values() if nic is not lo):
                    yield node

    def has_lost(self, name: str) -> bool:
        """Whether a namespace of ours had this name, and is only kept alive by its processes."""
        for place in self._places():
            with contextlib.suppress(KernelError):
                lo = self.node(place).nics.get("lo") if place.pid else None
                if lo is not None and lo.is_ours and marks.namespace_of(lo.alias) == name:
                    return True
        return False

    def names(self) -> list[str]:
        """The named namespaces."""
        return [name for name, entry in self._host.namespaces().items() if entry.inode]

    def published(self) -> list[model.PublishedPort]:
        """The ports of the host that rules of ours publish, as far as these can be read."""
        session = FirewallSession(self._host.netfilter())
        with contextlib.suppress(FirewallError):
            session.open()
        return list(session.ports)

    def idle(self, node: Node, packet: Packet) -> Idle | None:
        """Why nothing listens in an endpoint, as far as units of systemd explain it."""
        from .idle import why

        return why(self._host, node.name, packet.to, packet.dport)

    def called(self, name: str, asker: Node | None) -> list[model.Address]:
        """The addresses of a name, such as an alias, by the hosts file of an endpoint, or by those of all of them."""
        folders = [asker.name] if asker is not None and not asker.is_host else sorted(self.names())
        texts = (self._host.read_file("%s/%s/hosts" % (marks.NETNS_FILES, folder)) for folder in folders)
        return list(dict.fromkeys(address for text in texts for address in _called(name, text or "")))

    def forget(self) -> None:
        """Drop what was read, so that it is read again."""
        self._start()
        for node in self._nodes.values():
            node.forget()

    def peer(self, node: Node, nic: Nic) -> tuple[Node, Nic] | None:
        """The other end of a veth pair; None when its namespace has neither a name nor a process."""
        if not nic.peer_index:
            return None
        if not nic.peer_is_elsewhere:
            end = node.nic_at(nic.peer_index)
            return (node, end) if end is not None else None
        for other, end in self._ends.get((nic.peer_index, nic.index), ()):
            if other is not node:
                return other, end
        return next(self._more_ends(node, nic), None)

    def _more_ends(self, node: Node, nic: Nic) -> t.Iterator[tuple[Node, Nic]]:
        """Read one namespace after another, no further than needed: there may be a thousand."""
        for place in self._unread:
            other = self.node(place)
            with contextlib.suppress(KernelError):
                for end in other.nics.values():
                    if end.kind == "veth":
                        self._ends.setdefault((end.index, end.peer_index), []).append((other, end))
                for found, end in self._ends.get((nic.peer_index, nic.index), ()):
                    if found is other and other is not node:
                        yield other, end

    def _places(self) -> t.Iterator[model.Place]:
        yield model.HOST
        yield from (model.Place(netns=name) for name in sorted(self.names()))
        known = {entry.inode for entry in self._host.namespaces().values()} | {self._host.namespace_inode(model.HOST)}
        for inode, pids in self._host.processes_by_inode().items():
            if inode not in known:
                yield model.Place(pid=min(pids))


def _called(name: str, text: str) -> t.Iterator[model.Address]:
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if name in names:
            with contextlib.suppress(ValueError):
                yield ipaddress.ip_address(address)


def _nic(
    index: int,
    flags: int,
    values: t.Mapping[int, bytes],
    addresses: t.Mapping[int, list[model.Interface]],
    tentative: t.Mapping[int, set[model.Address]],
) -> Nic:
    info = netlink.attributes(values.get(18, b""))
    port = netlink.attributes(info.get(5, b"")) if _text(info.get(4, b"")) == "bridge" else {}
    kind = _text(info.get(1, b""))
    return Nic(
        name=_text(values[3]),
        index=index,
        kind=kind,
        mac=values.get(1, b"").hex(":"),
        mtu=_integer(values.get(4)),
        up=bool(flags & _IFF_UP),
        carrier=_integer(values.get(16)) not in _OPER_DOWN and values.get(33, b"\1") != b"\0",
        group=_integer(values.get(27)),
        alias=_text(values.get(20, b"")),
        master=_integer(values.get(10)),
        peer_index=_integer(values.get(5)) if kind == "veth" else 0,
        peer_is_elsewhere=37 in values,
        port_state=port[1][0] if 1 in port else None,
        isolated=any(port.get(33, b"")),
        hairpin=any(port.get(4, b"")),
        addresses=tuple(addresses.get(index, ())),
        tentative=frozenset(tentative.get(index, ())),
        arp=not flags & decode.IFF_NOARP,
        port_flags=decode.port_flags(port, runs=False) if port else (),
    )


def _route_request(packet: Packet, come_by: int, to: model.Address, checked: bool) -> bytes:
    family = socket.AF_INET6 if to.version == 6 else socket.AF_INET
    bits = to.max_prefixlen
    with_source = checked and not packet.source.is_unspecified
    header = ROUTE_HEADER.pack(family, bits, bits if with_source else 0, 0, 0, 0, 0, 0, 0)
    body = header + netlink.attribute(1, to.packed)
    if with_source:
        body += netlink.attribute(2, packet.source.packed)
    if come_by:
        body += netlink.attribute(3, struct.pack("=I", come_by))
    return body


def _way(message: bytes, node: Node) -> Way:
    header = ROUTE_HEADER.unpack_from(message)
    values = netlink.attributes(message, ROUTE_HEADER.size)
    nic = node.nic_at(_integer(values.get(4)))
    gateway = values.get(5) or values.get(18, b"")[2:]
    return Way(
        kind=ROUTE_KINDS.get(header[7], "other"),
        link=nic.name if nic is not None else "",
        gateway=ipaddress.ip_address(gateway) if gateway else None,
        source=ipaddress.ip_address(values[7]) if 7 in values else None,
    )


def network_of(length: int, values: t.Mapping[int, bytes], version: int) -> model.Network:
    """The destination of a route; the kernel leaves it out for a default route."""
    return ipaddress.ip_network((values.get(1) or bytes(16 if version == 6 else 4), length), strict=False)


def table_words(table: int) -> str:
    """The arguments of ``ip`` that name a routing table; the main table needs none."""
    return "" if table in (0, MAIN) else " table %d" % table


def _tables_of_iptables(listing: t.Sequence[t.Any]) -> set[tuple[str, str]]:
    """The tables that iptables-nft created: nft cannot list the extensions in their rules."""
    found = set()
    for item in listing:
        rule = item.get("rule")
        if rule is not None and any("xt" in part for part in rule["expr"] if isinstance(part, dict)):
            found.add((rule["family"], rule["table"]))
    return {(family, table) for family, table in found if family in ("ip", "ip6")}


def _copy_handles(native: t.Sequence[Chain], chains: t.Sequence[Chain]) -> None:
    """Copy the handles that nft lists to the rules that iptables lists: the kernel reports drops by handle."""
    known = {(chain.family, chain.table, chain.name): chain.rules for chain in native}
    for chain in chains:
        others = known.get((chain.family, chain.table, chain.name), [])
        if others is not chain.rules and len(others) == len(chain.rules):
            chain.rules[:] = [replace(own, handle=other.handle) for own, other in zip(chain.rules, others)]


def _has_tables() -> bool:
    """Whether nf_tables has any tables here: most endpoints have none, and running nft takes a while."""
    try:
        with netlink.NetlinkSocket(netlink.NETLINK_NETFILTER) as opened:
            return bool(opened.dump(_NFT_GETTABLE, bytes(4)))
    except OSError:
        return False


def _legacy_families() -> list[str]:
    """The families that have legacy iptables tables; listing another family would create its tables."""
    found = []
    for family, path in (("ip", "ip_tables_names"), ("ip6", "ip6_tables_names")):
        with contextlib.suppress(OSError), open("/proc/thread-self/net/" + path, encoding="ascii") as file:
            if file.read().strip():
                found.append(family)
    return found


def _number(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _integer(value: bytes | None) -> int:
    return int.from_bytes(value, sys.byteorder) if value else 0


def _text(value: bytes) -> str:
    return os.fsdecode(value.split(b"\0", 1)[0])
