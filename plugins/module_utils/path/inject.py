# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Injects a packet into the host's uplink as if it had arrived from the network, without a sender outside.

This uses a veth pair with one end in a namespace that only this process holds open, and a filter that redirects packets
from the other end to the uplink. However the process ends, the kernel removes the namespace, and the pair with it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time

from .. import marks
from ..kernel import netlink
from ..kernel.errors import CommandError, KernelError
from ..kernel.namespaces import OWN_NAMESPACE, Visitor, unshare_network
from ..kernel.requests import RTM_DELLINK, RTM_NEWLINK
from .checkpoints import Probe
from .packet import Packet
from .sums import checksum
from .topology import Topology

_LINK = struct.Struct("=BxHiII")
_IFF_UP = 1
_INSIDE = "probe"
_PORTS = (32768, 28000)  # the first one, and how many
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_SYN, _RST = 0x02, 0x04
_TTL = 64
_ON_ITS_WAY = 0.01  # what the pair has not delivered when it is removed is lost


class Injection:
    """Injects one packet into the uplink; must be closed afterwards."""

    def __init__(self, topology: Topology, uplink: str, packet: Packet) -> None:
        self.errno = 0
        self._topology = topology
        self._uplink = topology.host.nics[uplink]
        self._port = _PORTS[0] + struct.unpack("=I", os.urandom(4))[0] % _PORTS[1]
        self.packet = packet.at(sport=self._port)
        self.probe = Probe(packet.number, (self._port,))
        self._sequence = int.from_bytes(os.urandom(4), "big")
        self._half_open = False
        self._name = "%s%d" % (marks.PATH_LINK, os.getpid())
        self._visitor = Visitor()
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._visitor.close)
        try:
            self._build()
        except OSError as error:
            self.close()
            raise KernelError("put a packet into %s" % uplink, error) from error
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        inner, namespace = self._visitor.run(self._new_namespace)
        self._stack.callback(inner.close)
        outer = self._stack.enter_context(netlink.NetlinkSocket())
        try:
            outer.request(RTM_NEWLINK, _pair(self._name, self._uplink.mac, namespace), netlink.NEW)
            self._stack.callback(self._remove, outer)
            self._frames = self._visitor.visit(namespace, self._packet_socket)
            self._stack.callback(self._frames.close)
        finally:
            os.close(namespace)
        _without_ipv6(self._name)
        outer.request(RTM_NEWLINK, _up(self._name))
        self._redirect()
        # This comes last: a link that is set up before its other end silently drops what it sends until the kernel, at
        # some later time, attaches a queue to it.
        inner.request(RTM_NEWLINK, _up(_INSIDE))

    def _new_namespace(self) -> tuple[netlink.NetlinkSocket, int]:
        """Enter a new namespace; returns a netlink socket in it, and its file descriptor."""
        unshare_network()
        return netlink.NetlinkSocket(), os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)

    def _packet_socket(self) -> socket.socket:
        _without_ipv6(_INSIDE)
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        opened.bind((_INSIDE, 0))
        return opened

    def _redirect(self) -> None:
        match = ["protocol", "ipv6" if self.packet.version == 6 else "ip", "u32", "match", "u32", "0", "0"]
        action = ["action", "mirred", "ingress", "redirect", "dev", self._uplink.name]
        for argv in (
            ["tc", "qdisc", "add", "dev", self._name, "clsact"],
            ["tc", "filter", "add", "dev", self._name, "ingress", *match, *action],
        ):
            code, unused, errors = self._topology.run(argv, None)
            if code:
                raise CommandError(argv, code, errors)

    def _remove(self, outer: netlink.NetlinkSocket) -> None:
        with contextlib.suppress(OSError):
            outer.request(RTM_DELLINK, _LINK.pack(0, 0, 0, 0, 0) + _name(self._name))

    # ---- as a sender

    def send(self) -> None:
        """Send the packet."""
        self._half_open = self.packet.protocol == "tcp"
        self._put(built(self.packet, self._sequence))

    def _put(self, packet: bytes) -> None:
        mac = bytes.fromhex(self._uplink.mac.replace(":", ""))
        frame = mac + b"\x02" + os.urandom(5) + struct.pack(">H", _ETHERTYPES[self.packet.version])
        self._frames.send(frame + packet)

    def outcome(self) -> str:
        """Always silent: the answer goes to another host, so only the watches see it."""
        return "silent"

    def close(self) -> None:
        """End the connection that the packet began, and remove the veth pair.

        The other host may be one that drops answers to what it did not ask for; the service would repeat its answer.
        """
        if self._half_open:
            self._half_open = False
            with contextlib.suppress(OSError):
                self._put(built(self.packet, (self._sequence + 1) & 0xFFFFFFFF, _RST))
                time.sleep(_ON_ITS_WAY)
        self._stack.close()


class Listener:
    """Waits for a packet from a sender outside."""

    def __init__(self, packet: Packet, ports: tuple[int, ...]) -> None:
        self.errno = 0
        self.packet = packet
        self.probe = Probe(packet.number, ports, by_destination=True)

    def send(self) -> None:
        """Do nothing: the sender is outside."""

    def outcome(self) -> str:
        """Always silent: only the watches see the packet."""
        return "silent"

    def close(self) -> None:
        """Do nothing."""


def _without_ipv6(link: str) -> None:
    """Disable IPv6 on a new link, so that it sends nothing but the probe."""
    with contextlib.suppress(OSError), open("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % link, "w") as file:
        file.write("1")


def _name(name: str) -> bytes:
    return netlink.attribute(3, os.fsencode(name) + b"\0")


def _up(name: str) -> bytes:
    return _LINK.pack(0, 0, 0, _IFF_UP, _IFF_UP) + _name(name)


def _pair(name: str, mac: str, namespace: int) -> bytes:
    far = _LINK.pack(0, 0, 0, 0, 0) + _name(_INSIDE) + netlink.attribute(28, struct.pack("=I", namespace))
    data = netlink.attribute(2 | netlink.NLA_F_NESTED, netlink.attribute(1 | netlink.NLA_F_NESTED, far))
    info = netlink.attribute(18 | netlink.NLA_F_NESTED, netlink.attribute(1, b"veth\0") + data)
    return _LINK.pack(0, 0, 0, 0, 0) + _name(name) + netlink.attribute(1, bytes.fromhex(mac.replace(":", ""))) + info


def built(packet: Packet, sequence: int = 0, flags: int = _SYN) -> bytes:
    """The packet as bytes, from the IP header on; ``sequence`` and ``flags`` are for TCP."""
    payload = _payload(packet, sequence, flags)
    if packet.version == 6:
        header = struct.pack(">IHBB", 6 << 28, len(payload), packet.number, _TTL)
        return header + packet.source.packed + packet.to.packed + payload
    # 1 is an identification, and 0x4000 the flag "don't fragment".
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0x4000, _TTL, packet.number, 0)
    header += packet.source.packed + packet.to.packed
    return header[:10] + checksum(header) + header[12:] + payload


def _payload(packet: Packet, sequence: int, flags: int) -> bytes:
    room = max(0, packet.size - (40 if packet.version == 6 else 20))
    if packet.protocol == "tcp":
        text = struct.pack(">HHIIBBHHH", packet.sport, packet.dport, sequence, 0, 5 << 4, flags, 65535, 0, 0)
        return _summed(packet, text, 16)
    if packet.protocol == "udp":
        data = os.urandom(8) + bytes(max(0, room - 16))
        text = struct.pack(">HHHH", packet.sport, packet.dport, 8 + len(data), 0) + data
        return _summed(packet, text, 6)
    data = os.urandom(8) + bytes(max(0, room - 16))
    text = struct.pack(">BBHHH", 128 if packet.version == 6 else 8, 0, 0, packet.sport, 1) + data
    return _summed(packet, text, 2)


def _summed(packet: Packet, text: bytes, at: int) -> bytes:
    """The payload with its checksum, which does not cover the addresses for ICMP over IPv4."""
    before = packet.source.packed + packet.to.packed + struct.pack(">II", len(text), packet.number)
    before = b"" if packet.number == socket.IPPROTO_ICMP else before
    return text[:at] + checksum(before + text) + text[at + 2 :]
