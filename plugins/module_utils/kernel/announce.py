# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Announces addresses to neighbours, so that none keeps sending to the station that had an address before.

IPv4 uses a gratuitous ARP request (RFC 5227, 3), and IPv6 an unsolicited neighbour advertisement (RFC 4861, 7.2.6). The
kernel's own (arp_notify, ndisc_notify) are sent when the link comes up, which is before a bridge forwards from its
port, and so reach nobody.
"""

from __future__ import annotations

import socket
import struct
import time
import typing as t

from .. import model
from . import netlink

_FORWARDING = "3"
_EVERYBODY = b"\xff" * 6
_ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ETH_ARP, _ETH_IPV6 = 0x0806, 0x86DD
_ICMPV6, _ADVERTISEMENT, _OVERRIDE = 58, 136, 0x20000000


def wait_for_ports(ports: t.Iterable[str], seconds: float) -> None:
    """Wait until all of these ports forward, so that neighbours receive what follows, or until the time is over."""
    end = time.monotonic() + seconds
    with netlink.Notices(netlink.RTMGRP_LINK) as notices:
        for port in ports:
            while not _forwards(port) and notices.wait(end):
                pass


def announce(link: str, addresses: t.Iterable[model.Address]) -> None:
    """Announce on ``link``, in the calling thread's namespace, that these addresses are at its MAC address."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((link, 0))
        mac = wire.getsockname()[4]
        for address in addresses:
            wire.send(_request(mac, address.packed) if address.version == 4 else _advertisement(mac, address.packed))


def _forwards(port: str) -> bool:
    try:
        with open("/sys/class/net/%s/brport/state" % port, encoding="ascii") as file:
            return file.read().strip() == _FORWARDING
    except OSError:
        return True  # the port has left the bridge, and is not waited for


def _request(mac: bytes, address: bytes) -> bytes:
    header = _EVERYBODY + mac + struct.pack("!H", _ETH_ARP)
    return header + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address


def _advertisement(mac: bytes, address: bytes) -> bytes:
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + address + struct.pack("!BB", 2, 1) + mac
    pseudo = address + _ALL_NODES + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    header = _ALL_NODES_MAC + mac + struct.pack("!H", _ETH_IPV6)
    return header + struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255) + address + _ALL_NODES + body


def _checksum(data: bytes) -> int:
    """RFC 1071; ``data`` is of even length here."""
    total: int = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
