# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the kernel's messages into the data of state.py. The constants are those of linux/if_link.h and rtnetlink.h."""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
import struct
import sys
import typing as t

from .. import model
from ..marks import ROUTE_PROTOCOL, RULE_PRIORITY
from ..records import replace
from . import netlink
from .state import BridgeValues, Link, LostRoute, RouteEntry, VethEnd

IFF_UP, _IFF_RUNNING, IFF_NOARP = 0x1, 0x40, 0x80
RT_TABLE_MAIN = 254
RT_TABLE_COMPAT = 252  # a number that is too large for the header
RT_TABLE_LOCAL = 255
RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST = 1, 2, 3, 5
# Types of routes by which a stack takes packets for its own, or for all stations on a link.
LOCAL_KINDS = {2: "local", 3: "broadcast", 4: "anycast", 5: "multicast"}
# linux/rtnetlink.h: types of routes without a next hop; actions of rules (FR_ACT_*) have the same numbers
NOWHERE = {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_AF_SPEC, _IFLA_GROUP, _IFLA_LINK_NETNSID = 18, 20, 26, 27, 37
_IFLA_INET_CONF, _IFLA_INET6_CONF = 1, 2
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_IFLA_BR_FORWARD_DELAY, _IFLA_BR_STP_STATE = 1, 5
IFLA_BRPORT_STATE, IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 1, 4, 33
BR_STATE_DISABLED, BR_STATE_FORWARDING = 0, 3
# The flags of a port that keep frames from its station, or show them to others: attribute, and value of a new port.
PORT_FLAGS = {
    "learning": (8, True),
    "flood": (9, True),
    "mcast_flood": (27, True),
    "bcast_flood": (30, True),
    "neigh_suppress": (32, False),
    "locked": (39, False),
}
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_RTA_SRC, _RTA_MULTIPATH, _RTA_CACHEINFO, _RTA_TABLE, _RTA_VIA, _RTA_NH_ID = 2, 9, 12, 15, 18, 30
_NETNSA_NSID = 1
_NETCONFA_FORWARDING = 2
# linux/fib_rules.h
FRA_SRC, FRA_PRIORITY, FRA_TABLE, FRA_PROTOCOL = 2, 6, 15, 21
_FRA_DST, _FRA_IIFNAME, _FRA_FWMARK, _FRA_SUPPRESS_PREFIXLEN = 1, 3, 10, 14
# What compares something with the packet: these, the outgoing link, a VRF, users, protocol and ports, DSCP, flow label.
_CONDITIONS = frozenset({_FRA_DST, FRA_SRC, _FRA_IIFNAME, _FRA_FWMARK, 12, 17, 19, 20, 22, 23, 24, 25, 26})
_TOS = -1  # in the header, and so without a number of its own
FR_ACT_TO_TBL = 1
_FIB_RULE_INVERT = 2
_NO_LIMIT = b"\xff\xff\xff\xff"
_NDA_DST, _NDA_LLADDR = 1, 2
_TCA_KIND = 1
_PERMANENT = 0x80  # NUD_PERMANENT
_UNANSWERED = (0x01, 0x20)  # NUD_INCOMPLETE, NUD_FAILED
_UNUSABLE = 0x40 | 0x08  # IFA_F_TENTATIVE, IFA_F_DADFAILED
_GROUPS = ipaddress.ip_network("ff00::/8")

_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBi")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, index, state, flags, type
_TRAFFIC = struct.Struct("=BxxxiIII")  # struct tcmsg: family, index, handle, parent, info
_NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, hops, index

# The positions of sysctls in the arrays that the kernel sends with a link: DEVCONF_* of linux/ipv6.h, which count from
# 0, and IPV4_DEVCONF_* of linux/ip.h, which count from 1 and are sent from the first. This is by far cheaper than to
# read a file below /proc for each.
_CONF4 = {
    "forwarding": 0,
    "rp_filter": 7,
    "arp_ignore": 18,
    "promote_secondaries": 19,
    "route_localnet": 25,
    "drop_gratuitous_arp": 30,
}
_CONF6 = {
    "forwarding": 0,
    "hop_limit": 1,
    "accept_ra": 3,
    "autoconf": 5,
    "disable_ipv6": 26,
    "accept_dad": 27,
    "drop_unsolicited_na": 41,
    "addr_gen_mode": 47,
}

Values = dict[int, bytes]


class Listing(t.NamedTuple):
    """The links of a network stack."""

    links: dict[str, Link]
    settings: dict[str, bytes]  # by link, for ``setting``

    def setting(self, key: str) -> str | None:
        """The value of a key such as net/ipv4/conf/eth0/forwarding; None if links do not come with it."""
        parts = key.split("/")
        if len(parts) != 5 or parts[0] != "net" or parts[2] != "conf" or parts[3] not in self.settings:
            return None
        family, kind, known = _FAMILIES.get(parts[1], (0, 0, {}))
        at = known.get(parts[4])
        values = _settings(self.settings[parts[3]], family, kind)
        # A kernel that does not know the key sends a shorter array.
        return None if at is None or len(values) < 4 * at + 4 else str(_INT.unpack_from(values, 4 * at)[0])


@functools.lru_cache(maxsize=16)  # several keys of one link are asked for in a row
def _settings(spec: bytes, family: int, kind: int) -> bytes:
    return netlink.attributes(netlink.attributes(spec).get(family, b"")).get(kind, b"")


_INT = struct.Struct("=i")
_FAMILIES: dict[str, tuple[int, int, dict[str, int]]] = {
    "ipv4": (socket.AF_INET, _IFLA_INET_CONF, _CONF4),
    "ipv6": (socket.AF_INET6, _IFLA_INET6_CONF, _CONF6),
}


def links(messages: t.Iterable[bytes], address_messages: t.Iterable[bytes]) -> Listing:
    """The links by name, from the dumps of RTM_GETLINK and RTM_GETADDR."""
    found = [(_LINK.unpack_from(message), netlink.attributes(message, _LINK.size)) for message in messages]
    names = {header[2]: _text(values[_IFLA_IFNAME]) for header, values in found}
    up = {header[2] for header, _values in found if header[3] & IFF_UP}
    addresses = _interfaces(address_messages)
    result = {}
    for (_family, _type, index, flags, _change), values in found:
        own = tuple(addresses.get(index, ()))
        master = _number(values, _IFLA_MASTER)
        result[names[index]] = _link(index, flags, values, names.get(master, ""), master in up, own)
    return Listing(result, {names[header[2]]: values.get(_IFLA_AF_SPEC, b"") for header, values in found})


def _link(
    index: int, flags: int, values: Values, master: str, by_bridge: bool, addresses: tuple[model.Interface, ...]
) -> Link:
    """A link; ``by_bridge`` tells whether its master is up, or the kernel has disabled the port with it."""
    info = netlink.attributes(values.get(IFLA_LINKINFO, b""))
    kind = _text(info.get(IFLA_INFO_KIND, b""))
    in_bridge = _text(info.get(IFLA_INFO_SLAVE_KIND, b"")) == "bridge"
    group = _number(values, _IFLA_GROUP)
    port = netlink.attributes(info.get(IFLA_INFO_SLAVE_DATA, b"")) if in_bridge else {}
    return Link(
        name=_text(values[_IFLA_IFNAME]),
        index=index,
        kind=kind,
        mac_address=values.get(_IFLA_ADDRESS, b"").hex(":"),
        mtu=_number(values, _IFLA_MTU),
        up=bool(flags & IFF_UP),
        running=bool(flags & _IFF_RUNNING),
        group=group,
        alias=_text(values.get(_IFLA_IFALIAS, b"")),
        master=master,
        isolated=any(port.get(IFLA_BRPORT_ISOLATED, b"")),
        hairpin=any(port.get(IFLA_BRPORT_MODE, b"")),
        port_flags=port_flags(port, by_bridge and flags & _RUNS == _RUNS) if port else (),
        arp=not flags & IFF_NOARP,
        addresses=addresses,
        details=_details(kind, values, info),
    )


_RUNS = IFF_UP | _IFF_RUNNING


def port_flags(port: t.Mapping[int, bytes], runs: bool) -> tuple[tuple[str, bool], ...]:
    """The flags in which a port differs from a new one; ``runs`` if the kernel has not disabled it with a link."""
    found = [(name, not usual) for name, (kind, usual) in PORT_FLAGS.items() if port.get(kind, b"") == _BIT[not usual]]
    if runs and port.get(IFLA_BRPORT_STATE) == bytes([BR_STATE_DISABLED]):
        found.append(("state", False))
    return tuple(found)


_BIT = (b"\0", b"\1")


def _details(kind: str, values: Values, info: Values) -> VethEnd | BridgeValues | None:
    if kind == "veth":
        nsid = _INT.unpack(values[_IFLA_LINK_NETNSID])[0] if _IFLA_LINK_NETNSID in values else None
        return VethEnd(_number(values, _IFLA_LINK), nsid)
    if kind == "bridge":
        values = netlink.attributes(info.get(IFLA_INFO_DATA, b""))
        delay = _number(values, _IFLA_BR_FORWARD_DELAY) // 100  # in hundredths of a second (USER_HZ)
        return BridgeValues(bool(_number(values, _IFLA_BR_STP_STATE)), delay)
    return None


def namespace_number(message: bytes) -> int:
    """The number in the answer to RTM_GETNSID; negative if the namespace has none there."""
    number: int = _INT.unpack(netlink.attributes(message, 4)[_NETNSA_NSID])[0]
    return number


def forwards(message: bytes) -> bool:
    """Whether a namespace forwards, by the answer to RTM_GETNETCONF."""
    return bool(_INT.unpack(netlink.attributes(message, 4)[_NETCONFA_FORWARDING])[0])


def _interfaces(messages: t.Iterable[bytes]) -> dict[int, list[model.Interface]]:
    """The addresses by the index of their link, without link-local IPv6 ones."""
    found: dict[int, list[model.Interface]] = {}
    for index, prefix_length, packed in addresses(messages):
        if packed[0] == 0xFE and packed[1] & 0xC0 == 0x80 and len(packed) == 16:
            continue
        found.setdefault(index, []).append(_interface(packed, prefix_length))
    return found


# The same few values occur again and again: the loopback of each namespace, and the subnet and gateway of a network.


@functools.lru_cache(maxsize=4096)
def _interface(packed: bytes, prefix_length: int) -> model.Interface:
    return ipaddress.ip_interface((packed, prefix_length))


@functools.lru_cache(maxsize=4096)
def _network(packed: bytes, prefix_length: int) -> model.Network:
    # a rule of routing keeps bits behind its prefix, and does not look at them
    return ipaddress.ip_network((packed, prefix_length), strict=False)


@functools.lru_cache(maxsize=4096)
def _address(packed: bytes) -> model.Address:
    return ipaddress.ip_address(packed)


def addresses(messages: t.Iterable[bytes]) -> t.Iterator[tuple[int, int, bytes]]:
    """Index of the link, prefix length and address of each answer to RTM_GETADDR."""
    for message in messages:
        family, prefix_length, _flags, _scope, index = _ADDRESS.unpack_from(message)
        values = netlink.attributes(message, _ADDRESS.size)
        # For a point-to-point address, IFA_ADDRESS is that of the other side.
        packed = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
        if packed and family in (socket.AF_INET, socket.AF_INET6):
            yield index, prefix_length, packed


class RuleEntry(t.NamedTuple):
    """A rule of routing, as in ip-rule(8)."""

    source: model.Network  # of length 0 for any
    to: model.Network  # likewise
    table: int  # 0 if it leads to none
    nowhere: str  # the type of a rule that discards packets, such as blackhole
    priority: int
    ours: bool
    conditions: t.AbstractSet[int]  # the attributes that compare something with the packet
    inverted: bool  # it is for all packets but those that meet the conditions
    protocol: int  # tells who made it
    iif: str  # the link by which packets come in; empty for any
    suppresses: bool  # it passes over the default route of its table, as rules of VPNs do (suppress_prefixlength)

    @property
    def by_mark(self) -> bool:
        """Whether it is for packets with a mark."""
        return _FRA_FWMARK in self.conditions and not self.inverted

    @property
    def is_for_all(self) -> bool:
        """Whether it is for every packet: it has no conditions, or is for all packets but those with a mark."""
        return self.conditions == {_FRA_FWMARK} if self.inverted else not self.conditions

    @property
    def by_source(self) -> bool:
        """Whether it leads packets from a network to a table."""
        return bool(self.table and self.source.prefixlen) and _FRA_FWMARK not in self.conditions and not self.inverted

    def catches(self, to: model.Address) -> bool:
        """Whether it is for all packets to an address that have no mark, whoever sends them."""
        if self.inverted and self.conditions == {_FRA_FWMARK}:
            return True
        return self.conditions <= {_FRA_DST} and (to in self.to) != self.inverted

    def stops(self, source: model.Address, link: str) -> bool:
        """Whether it is for all packets from an address that come in by a link, and not for packets to there."""
        ends = self.conditions & {FRA_SRC, _FRA_IIFNAME}
        if self.inverted or not ends or self.conditions != ends:
            return False
        return source in self.source and self.iif in ("", link)

    def leads(self, source: model.Address, to: model.Address) -> bool:
        """Whether it is for all packets between two addresses that a stack sends itself and that have no mark."""
        if self.source.version != to.version:
            return False
        both = self.conditions <= {FRA_SRC, _FRA_DST} and (source in self.source and to in self.to) != self.inverted
        return both or self.catches(to)

    def covers(self, source: model.Address, to: model.Address) -> bool:
        """Whether it is for packets between two addresses that arrive by any link."""
        return _FRA_IIFNAME not in self.conditions and (source in self.source and to in self.to) != self.inverted


def unanswered(messages: t.Iterable[bytes], names: t.Mapping[int, str]) -> list[tuple[str, model.Address]]:
    """Link and address of each neighbour that does not answer, from a dump of RTM_GETNEIGH."""
    found = []
    for message in messages:
        family, index, state, _flags, _type = _NEIGHBOUR.unpack_from(message)
        packed = netlink.attributes(message, _NEIGHBOUR.size).get(_NDA_DST)
        if packed and state in _UNANSWERED and family in (socket.AF_INET, socket.AF_INET6):
            found.append((names.get(index, ""), _address(packed)))
    return found


def filtered(messages: t.Iterable[bytes]) -> t.Iterator[int]:
    """The indexes of links with a place for filters of traffic control, from a dump of RTM_GETQDISC."""
    for message in messages:
        kind = netlink.attributes(message, _TRAFFIC.size).get(_TCA_KIND, b"")
        if _text(kind) in ("clsact", "ingress"):
            yield _TRAFFIC.unpack_from(message)[1]


def fixed(messages: t.Iterable[bytes], names: t.Mapping[int, str]) -> dict[tuple[str, model.Address], str]:
    """The MAC addresses that somebody has set for good, by link and address, from a dump of RTM_GETNEIGH."""
    found = {}
    for message in messages:
        family, index, state, _flags, _type = _NEIGHBOUR.unpack_from(message)
        values = netlink.attributes(message, _NEIGHBOUR.size) if state & _PERMANENT else {}
        if family in (socket.AF_INET, socket.AF_INET6) and _NDA_DST in values and _NDA_LLADDR in values:
            found[names.get(index, ""), _address(values[_NDA_DST])] = values[_NDA_LLADDR].hex(":")
    return found


def rules(messages: t.Iterable[bytes], family: int) -> list[RuleEntry]:
    """The rules of routing, from a dump of RTM_GETRULE, the first one first."""
    return [_rule(message) for message in messages if message[0] == family]


@functools.lru_cache(maxsize=256)  # most namespaces have the same
def _rule(message: bytes) -> RuleEntry:
    header = _ROUTE.unpack_from(message)  # struct fib_rule_hdr has the same shape
    values = netlink.attributes(message, _ROUTE.size)
    anything = bytes(4 if header[0] == socket.AF_INET else 16)
    marks = (_number(values, FRA_PRIORITY), _number(values, FRA_PROTOCOL))
    leads = header[7] == FR_ACT_TO_TBL
    return RuleEntry(
        source=_network(values.get(FRA_SRC, anything), header[2]),
        to=_network(values.get(_FRA_DST, anything), header[1]),
        table=_number(values, FRA_TABLE) or header[4] if leads else 0,
        nowhere=NOWHERE.get(header[7], ""),
        priority=marks[0],
        ours=leads and marks == (RULE_PRIORITY, ROUTE_PROTOCOL),
        conditions=(_CONDITIONS & values.keys()) | ({_TOS} if header[3] else frozenset()),
        inverted=bool(header[8] & _FIB_RULE_INVERT),
        protocol=marks[1],
        iif=_text(values.get(_FRA_IIFNAME, b"")),
        suppresses=values.get(_FRA_SUPPRESS_PREFIXLEN, _NO_LIMIT) != _NO_LIMIT,
    )


# Of a route: rtm_type, rtm_dst_len, the index of its link, its target.
_LocalKey = tuple[int, int, int, bytes]


def lost(
    address_messages: t.Iterable[bytes], route_messages: t.Iterable[bytes], links: t.Iterable[Link]
) -> list[LostRoute]:
    """The routes that the table local lacks, from the dumps of RTM_GETADDR and RTM_GETROUTE."""
    up = {link.index: link for link in links if link.up and not link.master}
    local = [message for message in route_messages if message[4] == RT_TABLE_LOCAL]
    if _is_whole(address_messages, local, up):
        return []
    there = _local_keys(local)
    first: dict[tuple[int, model.Network], model.Address] = {}
    found: dict[_LocalKey, LostRoute] = {}
    for message in address_messages:
        family, prefix_length, flags, _scope, index = _ADDRESS.unpack_from(message)
        if family not in (socket.AF_INET, socket.AF_INET6) or index not in up:
            continue
        if family == socket.AF_INET6 and flags & _UNUSABLE:
            continue
        values = netlink.attributes(message, _ADDRESS.size)
        packed = values.get(_IFA_LOCAL) or values[_IFA_ADDRESS]
        own = _interface(packed, prefix_length)
        source = first.setdefault((index, own.network), own.ip) if own.version == 4 else None
        subnet = _interface(values.get(_IFA_ADDRESS, packed), prefix_length).network  # of the far end, if there is one
        for kind, to in _kept_for(own, subnet):
            key = (kind, to.prefixlen, index, to.network_address.packed)
            # groups come when the link begins to run (addrconf_notify)
            if key not in there and key not in found and (kind != RTN_MULTICAST or up[index].running):
                address = None if kind == RTN_MULTICAST else own
                found[key] = LostRoute(up[index].name, LOCAL_KINDS[kind], to, address, source)
    return list(found.values())


_FIRST4, _FIRST6 = netlink.attribute(_IFA_ADDRESS, bytes(4))[:4], netlink.attribute(_IFA_ADDRESS, bytes(16))[:4]
_TO4, _TO6 = netlink.attribute(_RTA_DST, bytes(4))[:4], netlink.attribute(_RTA_DST, bytes(16))[:4]
_LOOPBACK6 = bytes(15) + b"\x01"


def _is_whole(address_messages: t.Iterable[bytes], local: t.Iterable[bytes], up: t.Container[int]) -> bool:
    """Whether a glance at the bytes shows that no route is lost, as in most of a thousand namespaces."""
    of_type: dict[int, bytes] = {}
    for message in local:
        of_type[message[7]] = of_type.get(message[7], b"") + message
    ours, broadcasts, groups = (of_type.get(kind, b"") for kind in (RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST))
    seen: set[bytes] = set()
    for message in address_messages:
        family, length, flags, _scope, index = _ADDRESS.unpack_from(message)
        if index not in up or (family == socket.AF_INET6 and flags & _UNUSABLE):
            continue
        first, to = (_FIRST4, _TO4) if family == socket.AF_INET else (_FIRST6, _TO6)
        own = message[12:16] if family == socket.AF_INET else message[12:28]
        # an address on two links, or with another one at the far end, needs a closer look
        if message[8:12] != first or own in seen or to + own not in ours:
            return False
        seen.add(own)
        if family == socket.AF_INET:
            number, rest = int.from_bytes(own, "big"), (1 << 32 - length) - 1
            if message[20:24] != own or (length < 31 and to + (number | rest).to_bytes(4, "big") not in broadcasts):
                return False
            if own[0] == 127 and to + (number & ~rest).to_bytes(4, "big") not in ours:
                return False
        elif own != _LOOPBACK6 and netlink.attribute(_RTA_OIF, _INT.pack(index)) not in groups:
            return False
    return True


def unready(
    address_messages: t.Iterable[bytes], route_messages: t.Iterable[bytes], links: t.Mapping[int, tuple[bool, bool]]
) -> set[int]:
    """The links that the kernel has not made ready for IPv6 yet, though they have addresses; see settle.py.

    ``links`` has, by index, whether a link has a carrier, and whether it needs a link-local address.
    """
    there = _local_keys(route_messages)
    with_any: set[int] = set()
    with_near: set[int] = set()
    found: set[int] = set()
    for message in address_messages:
        family, length, flags, _scope, index = _ADDRESS.unpack_from(message)
        if family != socket.AF_INET6 or index not in links:
            continue
        with_any.add(index)
        ((_index, _length, packed),) = addresses([message])
        if flags & _UNUSABLE:
            continue
        if (RTN_LOCAL, 128, index, packed) not in there:
            found.add(index)
        if _interface(packed, length).is_link_local:
            with_near.add(index)
    for index in with_any - found:
        has_carrier, asks = links[index]
        hears = (RTN_MULTICAST, _GROUPS.prefixlen, index, _GROUPS.network_address.packed) in there
        if has_carrier and not (hears and (index in with_near or not asks)):
            found.add(index)
    return found


def _local_keys(messages: t.Iterable[bytes]) -> set[_LocalKey]:
    found = set()
    for message in messages:
        if message[4] == RT_TABLE_LOCAL:
            values = netlink.attributes(message, _ROUTE.size)
            found.add((message[7], message[1], _number(values, _RTA_OIF), values.get(_RTA_DST, b"")))
    return found


@functools.lru_cache(maxsize=4096)
def _kept_for(own: model.Interface, subnet: model.Network) -> tuple[tuple[int, model.Network], ...]:
    """The routes of the table local that the kernel adds for an address (fib_add_ifaddr, addrconf_add_dev)."""
    kept = [(RTN_LOCAL, _network(own.packed, own.max_prefixlen))]
    if own.version == 6:
        return (*kept, *([] if own.is_loopback else [(RTN_MULTICAST, _GROUPS)]))
    if own.is_loopback:
        kept.append((RTN_LOCAL, subnet))
    if subnet.prefixlen < 31:
        kept.append((RTN_BROADCAST, _network(subnet.broadcast_address.packed, 32)))
    return tuple(kept)


def routes(messages: t.Iterable[bytes], names: t.Mapping[int, str], family: int, table: int = 0) -> list[RouteEntry]:
    """The routes of a table, by default the main one, from a dump of RTM_GETROUTE; one for each next hop."""
    found: list[RouteEntry] = []
    for message in messages:
        if message[4] == RT_TABLE_LOCAL:
            continue
        header = _ROUTE.unpack_from(message)
        values = netlink.attributes(message, _ROUTE.size)
        # The dump may have every table; a kernel without IPv6 answers with the IPv4 routes.
        if (header[0], _number(values, _RTA_TABLE) or header[4]) != (family, table or RT_TABLE_MAIN):
            continue
        if header[7] == RTN_UNICAST or header[7] in _KINDS:
            found += _route(header, values, names, table, message, found)
    return found


def out_of(message: bytes) -> int:
    """The index of the link by which the route in an answer to RTM_GETROUTE leaves."""
    return _number(netlink.attributes(message, _ROUTE.size), _RTA_OIF)


def local_routes(
    messages: t.Iterable[bytes], names: t.Mapping[int, str], family: int, by_the_kernel: int
) -> list[RouteEntry]:
    """The routes in the table local, without those of the kernel."""
    found: list[RouteEntry] = []
    for message in messages:
        if message[0] != family or message[4] != RT_TABLE_LOCAL or message[5] == by_the_kernel:
            continue
        header, values = _ROUTE.unpack_from(message), netlink.attributes(message, _ROUTE.size)
        entries = _route(header, values, names, RT_TABLE_LOCAL, message, found)
        found += [replace(entry, kind=entry.kind or UNICAST) for entry in entries]
    return found


UNICAST = "unicast"  # of such a route in the table local, where it has no business
_KINDS = {**LOCAL_KINDS, **NOWHERE}


def _route(
    header: tuple[int, ...],
    values: Values,
    names: t.Mapping[int, str],
    table: int,
    message: bytes,
    before: t.Sequence[RouteEntry],
) -> list[RouteEntry]:
    """The entries for a route, which comes after those ``before``."""
    packed = values.get(_RTA_DST) or bytes(4 if header[0] == socket.AF_INET else 16)
    to, hops = _network(packed, header[1]), list(_next_hops(values))
    origin = _network(values[_RTA_SRC], header[2]) if _RTA_SRC in values else None
    several = tuple((_gateway(hop), names.get(index, "")) for index, hop in hops) if len(hops) > 1 else ()
    metric, last = _number(values, _RTA_PRIORITY), before[-1] if before else None
    is_behind = last is not None and (last.route.to, last.route.metric, last.tos) == (to, metric, header[3])
    return [
        RouteEntry(
            route=model.Route(to, _gateway(hop), metric, table),
            link=names.get(index, ""),
            protocol=header[5],
            kind=_KINDS.get(header[7], ""),
            tos=header[3],
            origin=origin,
            nexthop=_number(values, _RTA_NH_ID),
            hops=several,
            message=message,
            rank=len(before),
            is_behind=is_behind,
        )
        for index, hop in hops
    ]


# What the kernel tells of a route, and does not want to be told.
_TOLD = (_RTA_CACHEINFO,)
_BY_OBJECT = (_RTA_OIF, _RTA_GATEWAY, _RTA_MULTIPATH, _RTA_VIA)
_ONLINK = 4  # RTNH_F_ONLINK


def _without_state(hops: bytes) -> bytes:
    """Next hops without flags that say how their links are at the moment."""
    found, at = bytearray(hops), 0
    while at + _NEXT_HOP.size <= len(found):
        found[at + 2] &= _ONLINK
        at += max((_NEXT_HOP.unpack_from(found, at)[0] + 3) & -4, _NEXT_HOP.size)
    return bytes(found)


def same_route(message: bytes, protocol: int | None = None) -> bytes:
    """The request for a route that the kernel has told of, as of this protocol (0: any)."""
    family, to, source, tos, table, own, scope, kind, flags = _ROUTE.unpack_from(message)
    values = netlink.attributes(message, _ROUTE.size)
    if _RTA_MULTIPATH in values:
        values[_RTA_MULTIPATH] = _without_state(values[_RTA_MULTIPATH])
    by_object = _RTA_NH_ID in values
    unwanted = (*_TOLD, *_BY_OBJECT) if by_object else _TOLD
    # for a nexthop object that discards packets, the kernel tells another type than it has been given
    numbers = (own if protocol is None else protocol, scope, RTN_UNICAST if by_object else kind, flags & _ONLINK)
    header = _ROUTE.pack(family, to, source, tos, table, *numbers)
    return header + b"".join(netlink.attribute(key, value) for key, value in values.items() if key not in unwanted)


def _next_hops(values: Values) -> t.Iterator[tuple[int, Values]]:
    if _RTA_MULTIPATH not in values:
        yield _number(values, _RTA_OIF), values
        return
    hops = values[_RTA_MULTIPATH]
    at = 0
    while at + _NEXT_HOP.size <= len(hops):
        length, _flags, _hops, index = _NEXT_HOP.unpack_from(hops, at)
        yield index, netlink.attributes(hops[at : at + length], _NEXT_HOP.size)
        at += max((length + 3) & -4, _NEXT_HOP.size)


def _gateway(values: Values) -> model.Address | None:
    if _RTA_GATEWAY in values:
        return _address(values[_RTA_GATEWAY])
    # RTA_VIA: a family of two bytes, and the address; an IPv4 route can have an IPv6 next hop.
    return _address(values[_RTA_VIA][2:]) if _RTA_VIA in values else None


def _number(values: Values, kind: int) -> int:
    return int.from_bytes(values.get(kind, b""), sys.byteorder)


@functools.lru_cache(maxsize=4096)  # most links have names, kinds and aliases that others have too
def _text(value: bytes) -> str:
    return os.fsdecode(value.split(b"\0", 1)[0])
