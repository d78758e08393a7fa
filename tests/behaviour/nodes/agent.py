# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers and clients of one lab node, in any of its network namespaces, as one process that lives on the node.

Runs on the node by itself, with the standard library and the files that Agent in fleet.py sends along. Reads requests
from standard input, a JSON object per line with an `id`, and answers each by such a line; several at a time. Ends with
its standard input.

A server answers each message, a word on a line of its own (TCP, SCTP) or in a datagram (UDP), by the client's address
and port, its own port, its label, and the word. It also remembers the words that it heard.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

from dump import dump

from lab.namespace import visit

IPPROTO_SCTP = 132
KINDS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "sctp": (socket.SOCK_STREAM, IPPROTO_SCTP),
}


def place(request: dict[str, Any]) -> str | None:
    """The path of the namespace that a request is about; None for the node's own."""
    if request.get("netns"):
        return f"/run/netns/{request['netns']}"
    return f"/proc/{request['pid']}/ns/net" if request.get("pid") else None


def make_socket(request: dict[str, Any], family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket of the namespace: it stays there, whatever thread uses it."""
    path = place(request)
    if path is None:
        return socket.socket(family, kind, protocol)
    with open(path, "rb") as namespace:
        return visit(namespace.fileno(), lambda: socket.socket(family, kind, protocol))


class Servers:
    """All servers of this node, served by one thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, tuple[socket.socket, str, str]] = {}
        self._mutex = threading.Lock()
        self.heard: set[str] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def add(self, request: dict[str, Any]) -> None:
        """Serve on `ports`, on `address` or on all addresses of both families."""
        address = request.get("address", "")
        family = socket.AF_INET if address and ":" not in address else socket.AF_INET6
        kind, protocol = KINDS[request["protocol"]]
        for port in request["ports"]:
            server = make_socket(request, family, kind, protocol)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if address else 0)
            if kind == socket.SOCK_STREAM:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            elif family == socket.AF_INET6:
                # Answer from the address that was asked, although bound to all of them.
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            server.bind((address or "::", port))
            if kind == socket.SOCK_STREAM:
                server.listen(64)
            self._watch(server, "accept" if kind == socket.SOCK_STREAM else "datagram", request["label"])

    def close(self, label: str | None = None) -> None:
        """Close the servers of a label, and their connections; without a label, all."""
        with self._mutex:
            for number, (server, unused, whose) in list(self._sockets.items()):
                if label in (None, whose):
                    del self._sockets[number]
                    server.close()

    def _watch(self, server: socket.socket, role: str, label: str) -> None:
        server.setblocking(False)
        with self._mutex:
            self._sockets[server.fileno()] = (server, role, label)
            self._epoll.register(server.fileno(), select.EPOLLIN)

    def _serve(self) -> None:
        while True:
            for number, unused in self._epoll.poll():
                with self._mutex:
                    known = self._sockets.get(number)
                if known is not None:
                    try:
                        self._handle(*known)
                    except OSError:
                        self._forget(number)

    def _forget(self, number: int) -> None:
        with self._mutex:
            known = self._sockets.pop(number, None)
            if known is not None:
                known[0].close()

    def _handle(self, server: socket.socket, role: str, label: str) -> None:
        if role == "accept":
            connection = server.accept()[0]
            self._watch(connection, "stream", label)
        elif role == "datagram":
            data, control, unused, peer = server.recvmsg(2000, 200)
            answer = self._answer(data, peer, server.getsockname()[1], label)
            server.sendmsg([answer], [item for item in control if item[0] == socket.IPPROTO_IPV6], 0, peer)
        else:
            data = server.recv(2000)
            if not data:
                self._forget(server.fileno())
                return
            server.send(self._answer(data, server.getpeername(), server.getsockname()[1], label) + b"\n")

    def _answer(self, data: bytes, peer: Any, port: int, label: str) -> bytes:
        word = data.decode(errors="replace").strip()
        self.heard.add(word)
        address = peer[0][7:] if peer[0].startswith("::ffff:") else peer[0]
        return f"{address} {peer[1]} {port} {label} {word}".encode()


class Clients:
    """Questions to servers, and the connections that are kept open for more."""

    def __init__(self) -> None:
        self._kept: dict[str, socket.socket] = {}

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a word, and wait for the answer at most `patience` seconds."""
        client = self._kept.get(request.get("keep", ""))
        if client is None:
            address = request["to"]
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            client = make_socket(request, family, *KINDS[request["protocol"]])
            client.settimeout(request["patience"])
            try:
                if request.get("source") or request.get("source_port"):
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    client.bind((request.get("source", ""), request.get("source_port", 0)))
                client.connect((address, request["port"]))
            except OSError:
                client.close()
                raise
            if request.get("keep"):
                self._kept[request["keep"]] = client
        client.settimeout(request["patience"])
        try:
            return self._exchange(client, request["word"])
        finally:
            if not request.get("keep"):
                client.close()

    @staticmethod
    def _exchange(client: socket.socket, word: str) -> dict[str, Any]:
        client.send(word.encode())
        while True:
            data = client.recv(2000)
            fields = data.decode(errors="replace").split()
            # A late answer to an earlier datagram is none to this one.
            if len(fields) < 5 or fields[4] == word:
                break
        own = client.getsockname()
        result: dict[str, Any] = {"text": data.decode(errors="replace").strip(), "own": own[0], "own_port": own[1]}
        if len(fields) >= 2:
            result["seen"] = fields[0]
        if len(fields) >= 5:
            result.update(seen_port=int(fields[1]), port=int(fields[2]), label=fields[3])
        return result

    def close(self, name: str | None = None) -> None:
        """Close kept connections."""
        for known in list(self._kept):
            if name in (None, known):
                self._kept.pop(known).close()


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send_frames(request: dict[str, Any]) -> None:
    """Send UDP in IPv4 in Ethernet as told, past the routes and rules of this node, several times over."""
    word = request["word"].encode()
    udp = struct.pack("!HHHH", request.get("source_port", 40000), request["port"], 8 + len(word), 0) + word
    addresses = socket.inet_aton(request["source"]) + socket.inet_aton(request["to"])
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, checksum(head + addresses))
    sender = make_socket(request, socket.AF_PACKET, socket.SOCK_RAW)
    with sender:
        sender.bind((request["device"], 0))
        macs = bytes.fromhex((request["to_mac"] + request["source_mac"]).replace(":", ""))
        for unused in range(request.get("times", 3)):
            sender.send(macs + b"\x08\x00" + head + addresses + udp)


NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_GETGEN = 16
NLM_F_REQUEST = 1


def nft_generation(request: dict[str, Any]) -> int:
    """The number of the last transaction of nf_tables in a namespace (linux/netfilter/nf_tables.h, NFTA_GEN_ID)."""
    asker = make_socket(request, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with asker:
        asker.bind((0, 0))
        kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN
        asker.send(struct.pack("=LHHLL", 20, kind, NLM_F_REQUEST, 1, 0) + struct.pack("=BBH", 0, 0, 0))
        data = asker.recv(4096)
    length, kind = struct.unpack_from("=LH", data)
    if kind & 0xFF == 2 or length < 28:
        raise OSError("no nf_tables in this kernel")
    number: int = struct.unpack_from("!L", data, 24)[0]
    return number


def main() -> None:
    servers, clients = Servers(), Clients()
    mutex = threading.Lock()

    def forget_all(request: dict[str, Any]) -> None:
        servers.close()
        clients.close()
        servers.heard.clear()

    acts: dict[str, Callable[[dict[str, Any]], Any]] = {
        "serve": servers.add,
        "close": lambda request: servers.close(request["label"]),
        "heard": lambda request: request["word"] in servers.heard,
        "ask": clients.ask,
        "hang_up": lambda request: clients.close(request["keep"]),
        "frames": send_frames,
        "nft_generation": nft_generation,
        "dump": lambda request: dump(),
        "forget_all": forget_all,
    }

    def handle(request: dict[str, Any]) -> None:
        try:
            answer = {"value": acts[request["act"]](request)}
        except OSError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        with mutex:
            print(json.dumps({"id": request["id"], **answer}), flush=True)

    for line in sys.stdin:
        threading.Thread(target=handle, args=[json.loads(line)], daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main()
