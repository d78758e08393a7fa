# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of the requests that we send to the kernel (rtnetlink(7))."""

from __future__ import annotations

import socket
import struct
import typing as t

from .. import marks, model
from . import decode, netlink, state
from .encode import Attributes, address_message, link_message, route_message

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTM_GETQDISC, RTM_GETTFILTER = 38, 46
RTM_GETNETCONF = 82
RTM_GETNSID = 90
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST, RT_SCOPE_NOWHERE = 0, 253, 254, 255

_IFA_F_NODAD = 2
_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS = 29, 8
_RTA_DST, _RTA_SRC, _RTA_IIF, _RTA_TABLE = 1, 2, 3, 15
_NETNSA_FD = 3
_VETH_INFO_PEER = 1
_NETCONFA_IFINDEX, _ALL_LINKS = 1, -1
_NDA_DST, _NDA_LLADDR, _NUD_STALE = 1, 2, 4


# Lists. These are written without pyroute2, so that a run without changes need not load it.

ALL_LINKS = bytes(16) + netlink.attribute(_IFLA_EXT_MASK, struct.pack("=I", _RTEXT_FILTER_SKIP_STATS))
ALL_ADDRESSES = bytes(8)
ALL_NEIGHBOURS = bytes(12)


def routes_of(version: int, table: int = 0) -> bytes:
    """The routes of a table, by default of the main one."""
    header = struct.pack("=BBBBBBBBI", family(version), 0, 0, 0, 0, 0, 0, 0, 0)
    return header + netlink.attribute(_RTA_TABLE, struct.pack("=I", table or decode.RT_TABLE_MAIN))


def all_of(version: int) -> bytes:
    """The routes of all tables, or the rules that choose a table."""
    return struct.pack("=BBBBBBBBI", family(version), 0, 0, 0, 0, 0, 0, 0, 0)


# Where filters of traffic control are attached: the ingress and the egress of clsact, and the older qdisc ingress.
FILTERED_AT = {0xFFFFFFF2: "ingress", 0xFFFFFFF3: "egress", 0xFFFF0000: "ingress"}


def filters(index: int, parent: int) -> bytes:
    """The filters that are attached to a link; of no link and no parent, all queueing disciplines."""
    return struct.pack("=BxxxiIII", 0, index, 0, parent, 0)


def way_to(to: bytes, source: bytes = b"", link: int = 0) -> bytes:
    """The route that a packet to an address takes, or one that has come from an address by a link."""
    family_of = socket.AF_INET if len(to) == 4 else socket.AF_INET6
    body = struct.pack("=BBBBBBBBI", family_of, 8 * len(to), 8 * len(source), 0, 0, 0, 0, 0, 0)
    body += netlink.attribute(_RTA_DST, to)
    if source:
        body += netlink.attribute(_RTA_SRC, source) + netlink.attribute(_RTA_IIF, struct.pack("=I", link))
    return body


# The rules of all versions of IP.
ALL_RULES = bytes(12)


def default_rule(rule: model.DefaultRule) -> bytes:
    """A rule as the kernel makes it with a namespace."""
    header = struct.pack("=BBBBBBBBI", family(rule.version), 0, 0, 0, 0, 0, 0, decode.FR_ACT_TO_TBL, 0)
    numbers = ((decode.FRA_PRIORITY, rule.priority), (decode.FRA_TABLE, rule.table))
    body = header + b"".join(netlink.attribute(kind, struct.pack("=I", number)) for kind, number in numbers)
    return body + netlink.attribute(decode.FRA_PROTOCOL, bytes([state.BY_THE_KERNEL]))


def source_rule(rule: model.SourceRule) -> bytes:
    """A rule with our marks; written without pyroute2, which has rules in another module."""
    bits = rule.source.max_prefixlen
    header = struct.pack("=BBBBBBBBI", family(rule.source.version), 0, bits, 0, 0, 0, 0, decode.FR_ACT_TO_TBL, 0)
    numbers = ((decode.FRA_PRIORITY, marks.RULE_PRIORITY), (decode.FRA_TABLE, rule.table))
    body = header + netlink.attribute(decode.FRA_SRC, rule.source.packed)
    body += b"".join(netlink.attribute(kind, struct.pack("=I", number)) for kind, number in numbers)
    return body + netlink.attribute(decode.FRA_PROTOCOL, bytes([marks.ROUTE_PROTOCOL]))


def namespace_number(fd: int) -> bytes:
    """The request for the number that this namespace has for the one that is open as ``fd``."""
    return bytes(4) + netlink.attribute(_NETNSA_FD, struct.pack("=I", fd))


def settings_of_all(version: int) -> bytes:
    """The request for net/ipv4/conf/all, or for that of IPv6."""
    return struct.pack("=Bxxx", family(version)) + netlink.attribute(_NETCONFA_IFINDEX, struct.pack("=i", _ALL_LINKS))


# Changes


def named(name: str) -> bytes:
    """The link of that name."""
    return link_message({}, [("IFLA_IFNAME", name)])


def grouped(group: int) -> bytes:
    """The links of that group."""
    return link_message({}, [("IFLA_GROUP", group)])


def link_of_kind(name: str, kind: str, data: Attributes, **values: str | int | None) -> bytes:
    """A new link of any kind, with our mark; ``data`` has the attributes of this kind.

    ``values`` are by the names of attributes, and None is left out. With IFLA_NET_NS_FD, an open file, the link is
    created in that namespace. IFLA_LINK, the parent of a child link, is an index in the namespace of the request.
    """
    return link_message({}, [*_new_link(name, **values), _info(kind, data)])


def bridge(name: str, mac_address: str, mtu: int | None, stp: bool) -> bytes:
    """A new bridge."""
    data: Attributes = [("IFLA_BR_STP_STATE", int(stp))]
    return link_of_kind(name, "bridge", data, IFLA_ADDRESS=mac_address, IFLA_MTU=mtu)


def veth(name: str, peer: str, namespace: int, mtu: int | None, peer_mac: str | None, master: int | None) -> bytes:
    """A new veth; ``namespace`` is an open file, ``master`` an index."""
    far = link_message({}, _new_link(peer, IFLA_NET_NS_FD=namespace, IFLA_MTU=mtu, IFLA_ADDRESS=peer_mac))
    near = link_message({}, _new_link(name, IFLA_MTU=mtu, IFLA_MASTER=master))
    data = netlink.attribute(_VETH_INFO_PEER, far)
    return near + _nested_info(decode.IFLA_INFO_KIND, b"veth\0", decode.IFLA_INFO_DATA, data)


def link(name: str, changes: t.Mapping[str, state.LinkValue], master: int) -> bytes:
    """Changes of a link; ``master`` is the index for the name in ``changes``, 0 for none."""
    attributes = {"mtu": "IFLA_MTU", "address": "IFLA_ADDRESS", "alias": "IFLA_IFALIAS", "group": "IFLA_GROUP"}
    values: Attributes = [("IFLA_IFNAME", name)]
    values += [(attributes[key], value) for key, value in changes.items() if key in attributes]
    if "master" in changes:
        values.append(("IFLA_MASTER", master))
    if "stp" in changes:
        values.append(_info("bridge", [("IFLA_BR_STP_STATE", int(bool(changes["stp"])))]))
    return link_message(_flags(changes), values)


def _flags(changes: t.Mapping[str, state.LinkValue]) -> dict[str, int]:
    """The fields for up and arp; the kernel has a flag for links without ARP."""
    found = {}
    if "up" in changes:
        found[decode.IFF_UP] = bool(changes["up"])
    if "arp" in changes:
        found[decode.IFF_NOARP] = not changes["arp"]
    return {"flags": sum(flag for flag, on in found.items() if on), "change": sum(found)} if found else {}


def port(name: str, changes: t.Mapping[str, bool]) -> bytes:
    """Changes of a bridge's port."""
    attributes = {"isolated": decode.IFLA_BRPORT_ISOLATED, "hairpin": decode.IFLA_BRPORT_MODE}
    attributes.update({key: kind for key, (kind, _usual) in decode.PORT_FLAGS.items()}, state=decode.IFLA_BRPORT_STATE)
    numbers = {key: decode.BR_STATE_FORWARDING if key == "state" and on else on for key, on in changes.items()}
    data = b"".join(netlink.attribute(attributes[key], bytes([number])) for key, number in numbers.items())
    return named(name) + _nested_info(decode.IFLA_INFO_SLAVE_KIND, b"bridge\0", decode.IFLA_INFO_SLAVE_DATA, data)


def _nested_info(kind_is: int, kind: bytes, data_is: int, data: bytes) -> bytes:
    """The attribute that has values of one kind of links only.

    Each endpoint needs two of these, and pyroute2 takes three times as long for one as for the rest of the request.
    """
    info = netlink.attribute(kind_is, kind) + netlink.attribute(data_is, data)
    return netlink.attribute(decode.IFLA_LINKINFO, info)


def address(interface: model.Interface, index: int) -> bytes:
    """An address of the link ``index``."""
    fields = {
        "family": family(interface.version),
        "prefixlen": interface.network.prefixlen,
        # as it would keep an address unusable for two seconds; a loopback has no neighbours to look for
        "flags": _IFA_F_NODAD if interface.version == 6 and not interface.is_loopback else 0,
        "index": index,
    }
    text = str(interface.ip)
    return address_message(fields, [("IFA_LOCAL", text), ("IFA_ADDRESS", text)])


def route(
    wanted: model.Route,
    index: int,
    scope: int,
    protocol: int = marks.ROUTE_PROTOCOL,
    source: model.Address | None = None,
) -> bytes:
    """A route through the link ``index``, with the mark of ours; ``source`` is the address that its packets get."""
    fields = {
        "family": family(wanted.to.version),
        "dst_len": wanted.to.prefixlen,
        "table": decode.RT_TABLE_COMPAT if wanted.table else decode.RT_TABLE_MAIN,
        "proto": protocol,
        "scope": scope,
        "type": decode.RTN_UNICAST,
    }
    values: Attributes = [("RTA_OIF", index), *_given(RTA_TABLE=wanted.table or None)]
    if wanted.to.prefixlen:
        values.append(("RTA_DST", str(wanted.to.network_address)))
    if wanted.via is not None and wanted.via.version == wanted.to.version:
        values.append(("RTA_GATEWAY", str(wanted.via)))
    elif wanted.via is not None:
        values.append(("RTA_VIA", {"family": family(wanted.via.version), "addr": str(wanted.via)}))
    own = None if source is None else str(source)
    return route_message(fields, values + _given(RTA_PRIORITY=wanted.metric, RTA_PREFSRC=own))


# Type, scope and metric of routes of the table local, as the kernel adds them.
_LOCAL_TYPES = {"local": decode.RTN_LOCAL, "broadcast": decode.RTN_BROADCAST, "multicast": decode.RTN_MULTICAST}
_LOCAL_SCOPES = {"local": RT_SCOPE_HOST, "broadcast": RT_SCOPE_LINK, "multicast": RT_SCOPE_UNIVERSE}


def lost_route(lost: state.LostRoute, index: int) -> bytes:
    """A route of the table local through the link ``index``."""
    fields = {
        "family": family(lost.to.version),
        "dst_len": lost.to.prefixlen,
        "table": decode.RT_TABLE_LOCAL,
        "proto": state.BY_THE_KERNEL,
        "scope": _LOCAL_SCOPES[lost.kind],
        "type": _LOCAL_TYPES[lost.kind],
    }
    values: Attributes = [("RTA_OIF", index), ("RTA_DST", str(lost.to.network_address))]
    metric = state.SUBNET_METRIC[6] if lost.kind == "multicast" else None
    own = None if lost.source is None else str(lost.source)
    return route_message(fields, values + _given(RTA_PRIORITY=metric, RTA_PREFSRC=own))


def neighbour(address: model.Address, index: int, mac_address: str) -> bytes:
    """The MAC address of a neighbour on the link ``index``, to be confirmed by the kernel."""
    header = struct.pack("=BxxxiHBB", family(address.version), index, _NUD_STALE, 0, 0)
    mac = bytes.fromhex(mac_address.replace(":", ""))
    return header + netlink.attribute(_NDA_DST, address.packed) + netlink.attribute(_NDA_LLADDR, mac)


def family(version: int) -> int:
    """The address family of an IP version."""
    return int(socket.AF_INET6 if version == 6 else socket.AF_INET)


def _new_link(name: str, **values: str | int | None) -> Attributes:
    """The attributes of any new link."""
    return [("IFLA_IFNAME", name), ("IFLA_GROUP", marks.LINK_GROUP), *_given(**values)]


def _given(**values: str | int | None) -> Attributes:
    return [(name, value) for name, value in values.items() if value is not None]


def _info(kind: str, data: Attributes) -> tuple[str, object]:
    return ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": data})]})
