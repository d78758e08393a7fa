# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection tracking: forgets flows by the port and address that their first packet was sent to.

An entry is deleted by the same bytes with which the kernel listed it, so only fields that are compared are decoded.
The constants are those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import typing as t

from . import netlink, state
from .errors import KernelError

_IPCTNL_MSG_CT_GET = 0x101
_IPCTNL_MSG_CT_DELETE = 0x102
_CTA_TUPLE_ORIG, _CTA_ID, _CTA_ZONE, _CTA_FILTER = 1, 12, 18, 25
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_IP_V4_DST, _CTA_IP_V6_DST = 2, 4
_CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 3
_CTA_FILTER_ORIG_FLAGS, _CTA_FILTER_REPLY_FLAGS = 1, 2
_FILTER_PROTO_NUM = 8
_HEADER_BYTES = 4
_LOADED = "/proc/sys/net/netfilter/nf_conntrack_count"

Entry = dict[int, bytes]


def forget(flows: t.Iterable[state.PortFlows], local: t.Collection[bytes]) -> int:
    """Delete the entries of these flows; returns how many there were.

    A flow without host_ip goes to any of the ``local`` addresses. Traffic through the host to the same port of other
    hosts does not count.
    """
    kinds: dict[tuple[int, int], list[state.PortFlows]] = {}
    for flow in flows:
        family = socket.AF_INET6 if flow.version == 6 else socket.AF_INET
        kinds.setdefault((int(family), _protocol_number(flow.protocol)), []).append(flow)
    if not kinds or not os.path.exists(_LOADED):
        return 0
    with netlink.NetlinkSocket(netlink.NETLINK_NETFILTER) as opened:
        try:
            return sum(_forget(opened, family, protocol, kinds[family, protocol], local) for family, protocol in kinds)
        except OSError as error:
            raise KernelError("delete entries of connection tracking", error) from error


def _forget(
    opened: netlink.NetlinkSocket, family: int, protocol: int, flows: list[state.PortFlows], local: t.Collection[bytes]
) -> int:
    deleted = 0
    for entry in _entries(opened, family, protocol):
        if any(_matches(entry, protocol, flow, local) for flow in flows):
            deleted += _delete(opened, family, entry)
    return deleted


def _entries(opened: netlink.NetlinkSocket, family: int, protocol: int) -> t.Iterator[Entry]:
    header = struct.pack("=BBH", family, 0, 0)
    number = netlink.attribute(_CTA_PROTO_NUM, bytes((protocol,)))
    wanted = netlink.attribute(
        _CTA_TUPLE_ORIG | netlink.NLA_F_NESTED, netlink.attribute(_CTA_TUPLE_PROTO | netlink.NLA_F_NESTED, number)
    )
    flags = netlink.attribute(_CTA_FILTER_ORIG_FLAGS, struct.pack("=I", _FILTER_PROTO_NUM))
    flags += netlink.attribute(_CTA_FILTER_REPLY_FLAGS, struct.pack("=I", 0))
    try:
        found = opened.dump(
            _IPCTNL_MSG_CT_GET, header + wanted + netlink.attribute(_CTA_FILTER | netlink.NLA_F_NESTED, flags)
        )
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        # The filter came with Linux 5.8.
        found = opened.dump(_IPCTNL_MSG_CT_GET, header)
    return (netlink.attributes(message, _HEADER_BYTES) for message in found)


def _matches(entry: Entry, protocol: int, flow: state.PortFlows, local: t.Collection[bytes]) -> bool:
    parts = netlink.attributes(entry.get(_CTA_TUPLE_ORIG, b""))
    proto = netlink.attributes(parts.get(_CTA_TUPLE_PROTO, b""))
    port = int.from_bytes(proto.get(_CTA_PROTO_DST_PORT, b""), "big")
    if proto.get(_CTA_PROTO_NUM) != bytes((protocol,)) or not flow.first <= port <= flow.last:
        return False
    ip = netlink.attributes(parts.get(_CTA_TUPLE_IP, b""))
    to = ip.get(_CTA_IP_V6_DST if flow.version == 6 else _CTA_IP_V4_DST, b"")
    if flow.host_ip:
        return to == ipaddress.ip_address(flow.host_ip).packed
    return to in local or (len(to) == 4 and to[0] == 127)


def _delete(opened: netlink.NetlinkSocket, family: int, entry: Entry) -> int:
    """Delete an entry; 1, or 0 if it has ended by itself or was replaced by another one with the same tuple."""
    body = struct.pack("=BBH", family, 0, 0)
    for kind in (_CTA_TUPLE_ORIG, _CTA_ZONE, _CTA_ID):
        if kind in entry:
            body += netlink.attribute(kind | (netlink.NLA_F_NESTED if kind == _CTA_TUPLE_ORIG else 0), entry[kind])
    try:
        opened.request(_IPCTNL_MSG_CT_DELETE, body)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return 0
    return 1


def _protocol_number(name: str) -> int:
    numbers = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
    return int(numbers[name])
