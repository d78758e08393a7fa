# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frames and segments that no decent station would send."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator

from small_world import IMPATIENCE, World

ETH_ARP, ETH_IPV4, ETH_IPV6 = 0x0806, 0x0800, 0x86DD
ALL_NODES_MAC = "33:33:00:00:00:01"
ALL_NODES = "ff02::1"
BROADCAST = "ff:ff:ff:ff:ff:ff"
# linux/tcp.h
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
IPV6_CHECKSUM = 7


def mac_of(world: World, link: str, place: str = "host") -> str:
    """The address of a link's station."""
    where = ["-n", place] if place != "host" else []
    return world.must("ip", *where, "-o", "link", "show", "dev", link).split("link/ether ")[1].split()[0]


def send(world: World, place: str, to_mac: str, kind: int, payload: bytes, link: str = "eth0") -> None:
    """One frame from a link of a namespace, whatever its routes and filters say."""
    with world[place].socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((link, 0))
        source = wire.getsockname()[4]
        wire.send(packed(to_mac) + source + struct.pack("!H", kind) + payload)


def packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source: str, to: str, source_port: int, port: int, text: bytes = b"question") -> bytes:
    """An IPv4 packet with a UDP datagram, which need not have a checksum."""
    udp = struct.pack("!HHHH", source_port, port, 8 + len(text), 0) + text
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0)
    head += socket.inet_aton(source) + socket.inet_aton(to)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def arp_request(source_mac: str, source: str, to: str) -> bytes:
    """An ARP request for this address."""
    words = struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, 1) + packed(source_mac) + socket.inet_aton(source)
    return words + bytes(6) + socket.inet_aton(to)


def neighbour_solicitation(source_mac: str, source: str, to: str) -> bytes:
    """The same for IPv6, to everybody."""
    body = struct.pack("!BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, to)
    return icmpv6(source, ALL_NODES, body + struct.pack("!BB", 1, 1) + packed(source_mac))


def router_advertisement(prefix: str, source: str = "fe80::bad", lifetime: int = 1800) -> bytes:
    """A router that offers itself, and addresses in a /64."""
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0)
    body += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + socket.inet_pton(socket.AF_INET6, prefix)
    return icmpv6(source, ALL_NODES, body)


def icmpv6(source: str, to: str, body: bytes) -> bytes:
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to)
    pseudo = ends + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_ICMPV6, 255) + ends + body


def segment(source: tuple[str, int], to: tuple[str, int], seq: int, ack: int, flags: int) -> bytes:
    """A TCP segment without data; IPv6 has its checksum filled in by the kernel, see sender()."""
    words = struct.pack("!HHLLBBHHH", source[1], to[1], seq, ack, 5 << 4, flags, 1000, 0, 0)
    if ":" in source[0]:
        return words
    pseudo = socket.inet_aton(source[0]) + socket.inet_aton(to[0]) + struct.pack("!HH", socket.IPPROTO_TCP, len(words))
    return words[:16] + struct.pack("!H", checksum(pseudo + words)) + words[18:]


def sender(world: World, place: str, version: int) -> socket.socket:
    """A socket that sends such segments."""
    if version == 4:
        return world[place].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    found = world[place].socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP)
    found.setsockopt(socket.IPPROTO_IPV6, IPV6_CHECKSUM, 16)
    return found


def sequence_numbers(connection: socket.socket) -> list[int]:
    """The next number to send and the next to receive.

    Looking costs the socket its SO_REUSEADDR, so each look wants a port of its own.
    """
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    numbers = []
    for queue in (2, 1):
        connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        numbers.append(connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)
    return numbers


def seen(world: World, place: str, kind: int, act: Callable[[], None], wanted: Callable[[bytes], bool]) -> bool:
    """Whether a packet of interest, without its frame's header, comes to eth0 of a namespace when something is done."""
    with world[place].socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind)) as wire:
        wire.bind(("eth0", kind))
        act()
        return any(wanted(packet) for packet in arriving(wire))


def arriving(wire: socket.socket, patience: float = IMPATIENCE) -> Iterator[bytes]:
    """The packets that come while there is patience."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        wire.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            yield wire.recv(2000)
        except TimeoutError:
            return
