# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection-tracking entry of one flow: reported with both directions, and deleted when the probe is done."""

from __future__ import annotations

import contextlib
import ipaddress
import struct

from .. import model
from ..kernel import netlink
from .packet import Packet

_GET, _DELETE = 0x101, 0x102
_ORIGINAL, _REPLY, _STATUS = 1, 2, 3
_IP, _PROTOCOL = 1, 2
_ADDRESSES = {4: (1, 2), 6: (3, 4)}
_NUMBER, _SOURCE_PORT, _PORT = 1, 2, 3
_ICMP = {4: (4, 5, 6), 6: (7, 8, 9)}  # identifier, type and code
_SEEN_REPLY, _UNREPLIED = 0x2, "no answer yet"
_ECHO = {4: 8, 6: 128}


def entry_of(packet: Packet) -> dict[str, str] | None:
    """The stack's entry for a packet as it came in, spelled for the report; must be called inside the stack."""
    with contextlib.suppress(OSError), netlink.NetlinkSocket(netlink.NETLINK_NETFILTER) as opened:
        values = netlink.attributes(opened.ask(_GET, _question(packet)), 4)
        status = int.from_bytes(values.get(_STATUS, b""), "big")
        return {
            "original": _spelt(values.get(_ORIGINAL, b"")),
            "reply": _spelt(values.get(_REPLY, b"")),
            "state": "answered" if status & _SEEN_REPLY else _UNREPLIED,
        }
    return None


def forget(packet: Packet) -> None:
    """Delete that entry; must be called inside the stack."""
    with contextlib.suppress(OSError), netlink.NetlinkSocket(netlink.NETLINK_NETFILTER) as opened:
        opened.request(_DELETE, _question(packet))


def _question(packet: Packet) -> bytes:
    source, to = _ADDRESSES[packet.version]
    addresses = netlink.attribute(source, packet.source.packed) + netlink.attribute(to, packet.to.packed)
    protocol = netlink.attribute(_NUMBER, bytes((packet.number,)))
    if packet.protocol == "icmp":
        identifier, kind, code = _ICMP[packet.version]
        protocol += netlink.attribute(identifier, struct.pack(">H", packet.sport))
        protocol += netlink.attribute(kind, bytes((_ECHO[packet.version],))) + netlink.attribute(code, b"\0")
    else:
        protocol += netlink.attribute(_SOURCE_PORT, struct.pack(">H", packet.sport))
        protocol += netlink.attribute(_PORT, struct.pack(">H", packet.dport))
    flow = netlink.attribute(_IP | netlink.NLA_F_NESTED, addresses) + netlink.attribute(
        _PROTOCOL | netlink.NLA_F_NESTED, protocol
    )
    family = struct.pack("=BBH", 10 if packet.version == 6 else 2, 0, 0)
    return family + netlink.attribute(_ORIGINAL | netlink.NLA_F_NESTED, flow)


def _spelt(flow: bytes) -> str:
    parts = netlink.attributes(flow)
    ip, protocol = netlink.attributes(parts.get(_IP, b"")), netlink.attributes(parts.get(_PROTOCOL, b""))
    version = 6 if 3 in ip else 4
    source, to = (_address(ip.get(kind, b"")) for kind in _ADDRESSES[version])
    ports = [int.from_bytes(protocol.get(kind, b""), "big") for kind in (_SOURCE_PORT, _PORT)]
    return str(Packet(source, to, sport=ports[0], dport=ports[1]))


def _address(packed: bytes) -> model.Address:
    found: model.Address | None = ipaddress.ip_address(packed) if packed else None
    return found or ipaddress.ip_address("0.0.0.0")
