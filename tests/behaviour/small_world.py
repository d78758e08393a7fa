# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host, its neighbour and its endpoints as bare network namespaces, for tests that speak to the packet filter itself.

All of it is one lab.small.SmallHost.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from lab.small import SmallHost  # noqa: E402

# How long to wait for an answer that must come, and for one that must not: here they take a few milliseconds.
PATIENCE = 3.0
IMPATIENCE = 0.15
LINK_GROUP = "25708"

TOPOLOGY = """
link set lo up
link add br-blue type bridge
link set br-blue group {group} up
address add 10.20.0.1/24 dev br-blue
address add fd00:20::1/64 dev br-blue nodad
link add br-red type bridge
link set br-red group {group} up
address add 10.21.0.1/24 dev br-red
address add fd00:21::1/64 dev br-red nodad
link add up0 type veth peer name eth0 netns neighbour
address add 192.0.2.1/24 dev up0
address add 192.0.2.9/24 dev up0
address add 2001:db8::1/64 dev up0 nodad
link set up0 up
link add up1 type veth peer name eth0 netns far
address add 198.51.100.1/24 dev up1
link set up1 up
"""
NEIGHBOUR = """
link set lo up
address add 192.0.2.2/24 dev eth0
address add 192.0.2.3/24 dev eth0
address add 2001:db8::2/64 dev eth0 nodad
link set eth0 up
route add 10.20.0.0/15 via 192.0.2.1
route add 198.51.100.0/24 via 192.0.2.1
route add 127.0.0.2/32 via 192.0.2.1
route add fd00::/16 via 2001:db8::1
"""
FAR = """
link set lo up
address add 198.51.100.2/24 dev eth0
link set eth0 up
route add default via 198.51.100.1
"""
ENDPOINT = """
link set lo up
address add {net}.{number}/24 dev eth0
address add {net6}::{number}/64 dev eth0 nodad
link set eth0 up
route add default via {net}.1
route add 127.0.0.5/32 via {net}.1 src {net}.{number}
route add ::/0 via {net6}::1
"""
ENDPOINTS = {
    "web": ("br-blue", "10.20.0", "fd00:20", 2),
    "db": ("br-blue", "10.20.0", "fd00:20", 3),
    "red": ("br-red", "10.21.0", "fd00:21", 2),
}


class World(SmallHost):
    """``host`` routes between its neighbour on up0, a far one on up1, and endpoints on two bridges of ours."""

    def __init__(self, variant: str) -> None:
        super().__init__(variant)
        self._pings = itertools.count(77)
        self._build()

    def execute(self, argv: Sequence[str], text: str) -> None:
        """The interface of the host that an Operation uses."""
        self.must(*argv, text=text)

    def _build(self) -> None:
        names = ["neighbour", "far", *ENDPOINTS]
        self.must("ip", "-batch", "-", text="".join(f"netns add {name}\n" for name in names))
        for name in ("host", *names):
            # else an address is tentative, and so not used, for a second or two
            self[name].sysctl("ipv6/conf/default/accept_dad", 0)
        self.must("ip", "-batch", "-", text=TOPOLOGY.format(group=LINK_GROUP))
        for name, (bridge, _net, _net6, _number) in ENDPOINTS.items():
            link = f"link add v-{name} group {LINK_GROUP} master {bridge} type veth peer name eth0 netns {name}"
            self.must("ip", "-batch", "-", text=f"{link}\nlink set v-{name} up\n")
            self.must("bridge", "link", "set", "dev", f"v-{name}", "hairpin", "on")
        self.must("ip", "-n", "neighbour", "-batch", "-", text=NEIGHBOUR)
        self.must("ip", "-n", "far", "-batch", "-", text=FAR)
        for name, (_bridge, net, net6, number) in ENDPOINTS.items():
            self.must("ip", "-n", name, "-batch", "-", text=ENDPOINT.format(net=net, net6=net6, number=number))
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/br-blue/route_localnet"):
            self.host.sysctl(key, 1)
        self.bridge_filter(False)

    def bridge_filter(self, on: bool) -> None:
        """Whether frames from port to port of a bridge pass iptables (br_netfilter)."""
        for key in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            self.host.sysctl(f"bridge/{key}", int(on))

    @contextlib.contextmanager
    def server(self, place: str, port: int, kind: str = "tcp", address: str = "") -> Iterator[socket.socket]:
        """Something that listens in a namespace, on both families or on one address."""
        family = socket.AF_INET if "." in address else socket.AF_INET6
        with self[place].socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((address, port))
            if kind == "tcp":
                listener.listen()
            yield listener

    def closed(self, place: str, address: str, port: int, listener: socket.socket, source: str = "") -> bool:
        """Whether a question gets no answer, or no further than to be heard by ``listener``."""
        return self.ask(place, address, port, listener, source, IMPATIENCE) is None

    def ask(
        self,
        place: str,
        address: str,
        port: int,
        listener: socket.socket,
        source: str = "",
        patience: float = PATIENCE,
    ) -> str | None:
        """Connect from a namespace, hear back; the address that ``listener`` saw, or None if nothing came of it."""
        listener.settimeout(patience)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self[place].socket(family, listener.type) as client, contextlib.ExitStack() as stack:
            client.settimeout(patience)
            if source:
                client.bind((source, 0))
            try:
                client.connect((address, port))
                if listener.type == socket.SOCK_STREAM:
                    answering, seen = listener.accept()
                    stack.enter_context(answering)
                    answering.sendall(b"answer")
                else:
                    client.send(b"question")
                    _question, seen = listener.recvfrom(100)
                    listener.sendto(b"answer", seen)
                return str(seen[0]).replace("::ffff:", "") if client.recv(100) == b"answer" else None
            except OSError:
                return None

    def hears(self, listener: socket.socket, place: str, address: str, port: int) -> bool:
        """Whether a datagram from a namespace comes to ``listener``, be there a way back or not."""
        with self[place].socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as client:
            listener.settimeout(IMPATIENCE)
            client.sendto(b"question", (address, port))
            try:
                return listener.recv(100) == b"question"
            except OSError:
                return False

    def ping(self, place: str, address: str, patience: float = PATIENCE) -> bool:
        """Whether an echo request from a namespace is answered."""
        six = ":" in address
        protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
        with self[place].socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, protocol) as client:
            kind, reply = (128, 129) if six else (8, 0)
            number = next(self._pings)  # connection tracking remembers how it has translated an earlier one
            checksum = 0 if six else 0xFFFF - (kind * 256 + number + 1)  # IPv6: the kernel fills it in (RFC 3542)
            with contextlib.suppress(OSError):
                client.sendto(struct.pack("!BBHHH", kind, 0, checksum, number, 1), (address, 0))
            deadline = time.monotonic() + patience
            while select.select([client], [], [], max(0, deadline - time.monotonic()))[0]:
                packet = client.recv(200)
                message = packet if six else packet[20:]
                if message[0] == reply and message[4:6] == struct.pack("!H", number):
                    return True
        return False
