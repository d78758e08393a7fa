# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection tracking: forgets flows by the addresses and the port of their first packet, and by their translation.

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

from .. import model
from . import netlink, state
from .errors import KernelError

_IPCTNL_MSG_CT_GET = 0x101
_IPCTNL_MSG_CT_DELETE = 0x102
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_ID, _CTA_ZONE, _CTA_FILTER = 1, 2, 12, 18, 25
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_IP_SRC, _CTA_IP_DST = {4: 1, 6: 3}, {4: 2, 6: 4}
_CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 3
_CTA_FILTER_ORIG_FLAGS, _CTA_FILTER_REPLY_FLAGS = 1, 2
_FILTER_PROTO_NUM = 8
_HEADER_BYTES = 4
_FAMILIES = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_ICMP = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_LOADED = "/proc/sys/net/netfilter/nf_conntrack_count"

Entry = dict[int, bytes]
# From two addresses to the link by which packets between them leave.
Way = t.Callable[[bytes, bytes], str]


class _Ends(t.NamedTuple):
    """Where the first packet of a flow came from and went to, and where the answers go."""

    protocol: int
    source: bytes
    to: bytes
    port: int
    answered: bytes


# Whether a flow is one of those that are to be forgotten.
_Test = t.Callable[[_Ends], bool]


def forget(flows: t.Iterable[state.Flows], local: t.Collection[bytes], way: Way) -> int:
    """Delete the entries of these flows; returns how many there were.

    A flow without host_ip goes to any of the ``local`` addresses. Traffic through the host to the same port of other
    hosts does not count.
    """
    tests: dict[tuple[int, int], list[_Test]] = {}
    for flow in flows:
        version, numbers, test = _described(flow, local, way)
        for number in numbers:
            tests.setdefault((version, number), []).append(test)
    if not tests or not os.path.exists(_LOADED):
        return 0
    with netlink.NetlinkSocket(netlink.NETLINK_NETFILTER) as opened:
        try:
            return sum(_forget(opened, version, number, tests[version, number]) for version, number in tests)
        except OSError as error:
            raise KernelError("delete entries of connection tracking", error) from error


def _forget(opened: netlink.NetlinkSocket, version: int, protocol: int, tests: list[_Test]) -> int:
    deleted, family = 0, _FAMILIES[version]
    for entry in _entries(opened, family, protocol):
        ends = _ends(entry, version)
        if ends.protocol == protocol and any(test(ends) for test in tests):
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


def _ends(entry: Entry, version: int) -> _Ends:
    first = netlink.attributes(entry.get(_CTA_TUPLE_ORIG, b""))
    answer = netlink.attributes(entry.get(_CTA_TUPLE_REPLY, b""))
    ip = netlink.attributes(first.get(_CTA_TUPLE_IP, b""))
    proto = netlink.attributes(first.get(_CTA_TUPLE_PROTO, b""))
    return _Ends(
        protocol=int.from_bytes(proto.get(_CTA_PROTO_NUM, b""), "big"),
        source=ip.get(_CTA_IP_SRC[version], b""),
        to=ip.get(_CTA_IP_DST[version], b""),
        port=int.from_bytes(proto.get(_CTA_PROTO_DST_PORT, b""), "big"),
        answered=netlink.attributes(answer.get(_CTA_TUPLE_IP, b"")).get(_CTA_IP_DST[version], b""),
    )


def _described(flow: state.Flows, local: t.Collection[bytes], way: Way) -> tuple[int, t.Iterable[int], _Test]:
    """The version of IP of flows, their protocols, and how to tell them from others."""

    def is_own(address: bytes) -> bool:
        return address in local or (len(address) == 4 and address[0] == 127)

    if isinstance(flow, state.PortFlows):
        return flow.version, (_NUMBERS[flow.protocol],), _to_port(flow, is_own)
    version = flow.masquerade.source.version
    test = _by_masquerade(flow, is_own, way) if isinstance(flow, state.EgressFlows) else _by_none(flow, is_own, way)
    return version, (socket.IPPROTO_UDP, _ICMP[version]), test


def _to_port(flow: state.PortFlows, is_own: t.Callable[[bytes], bool]) -> _Test:
    host_ip = ipaddress.ip_address(flow.host_ip).packed if flow.host_ip else b""
    from_there = _within(ipaddress.ip_network(source) for source in flow.sources)

    def test(ends: _Ends) -> bool:
        if not flow.first <= ends.port <= flow.last:
            return False
        if flow.sources and (is_own(ends.source) or not from_there(ends.source)):
            return False
        return ends.to == host_ip if host_ip else is_own(ends.to)

    return test


def _by_masquerade(flow: state.EgressFlows, is_own: t.Callable[[bytes], bool], way: Way) -> _Test:
    is_met, is_right = _met(flow.masquerade, way), _translated(flow.masquerade, flow.former)
    return lambda ends: not is_own(ends.to) and not is_right(ends) and is_met(ends)


def _by_none(flow: state.WithdrawnFlows, is_own: t.Callable[[bytes], bool], way: Way) -> _Test:
    gone, former = flow.masquerade, flow.masquerade.to_source
    was_met, was_translated = _met(gone, way), _translated(gone)
    others = [(_met(item, way), _translated(item, former)) for item in flow.others]

    def test(ends: _Ends) -> bool:
        if is_own(ends.to) or ends.answered == ends.source or not (was_translated(ends) and was_met(ends)):
            return False
        return not next((is_right(ends) for is_met, is_right in others if is_met(ends)), False)

    return test


def _met(item: model.Masquerade, way: Way) -> _Test:
    """Whether a flow comes from the source of a masquerade, and leaves by its interface."""
    is_inside = _within([item.source])

    def leaves(ends: _Ends) -> bool:
        return not item.out.name or (way(ends.source, ends.to) == item.out.name) != item.out.inverted

    return lambda ends: is_inside(ends.source) and leaves(ends)


def _translated(item: model.Masquerade, former: model.Address | None = None) -> _Test:
    """Whether a flow is translated as a masquerade says, which may have had another address before."""
    is_excluded, before = _within(item.exclude), former.packed if former is not None else b""

    def test(ends: _Ends) -> bool:
        if is_excluded(ends.to):
            return ends.answered == ends.source
        if item.to_source is not None:
            return ends.answered == item.to_source.packed
        return ends.answered not in (ends.source, before)

    return test


def _within(networks: t.Iterable[model.Network]) -> t.Callable[[bytes], bool]:
    """Whether an address lies in one of these networks."""
    bounds = [(network.network_address.packed, network.broadcast_address.packed) for network in networks]
    return lambda address: any(first <= address <= last for first, last in bounds)


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
