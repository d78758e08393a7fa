# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of `internet` and the neighbours, IPv4 and IPv6.

HTTP on 80 and TCP and UDP on 9000 answer with the client's address; TCP and UDP on 7 echo. Every answer leaves from
the address that was asked, which a node with several addresses would not do by itself for UDP.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from lab.syscalls import set_process_name

HTTP, ECHO, WHO = 80, 7, 9000
# Missing from Python 3.9's socket module.
_IP_PKTINFO = 8

Peer = tuple[Any, ...]
Serve = Callable[[socket.socket, Peer], None]
Answer = Callable[[bytes, Peer], bytes]
Loop = Callable[[], None]


def _who(peer: Peer) -> bytes:
    return f"{peer[0]} {peer[1]}\n".encode()


def _serve_echo(connection: socket.socket, peer: Peer) -> None:
    while True:
        data = connection.recv(65536)
        if not data:
            return
        connection.sendall(data)


def _serve_who(connection: socket.socket, peer: Peer) -> None:
    connection.sendall(_who(peer))


def _serve_http(connection: socket.socket, peer: Peer) -> None:
    connection.settimeout(10)
    request = b""
    while b"\r\n\r\n" not in request and len(request) < 65536:
        data = connection.recv(4096)
        if not data:
            break
        request += data
    body = f"{peer[0]}\n"
    head = [
        "HTTP/1.0 200 OK",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
        f"X-Peer-Port: {peer[1]}",
        f"X-Server: {socket.gethostname()}",
    ]
    connection.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())


def _listen(family: int, port: int, serve: Serve) -> Loop:
    listener = _socket(family, socket.SOCK_STREAM, port)
    listener.listen(256)

    def one(connection: socket.socket, peer: Peer) -> None:
        with connection, contextlib.suppress(OSError):
            serve(connection, peer)

    def loop() -> None:
        while True:
            connection, peer = listener.accept()
            threading.Thread(target=one, args=(connection, peer), daemon=True).start()

    return loop


def _answer(family: int, port: int, answer: Answer) -> Loop:
    s = _socket(family, socket.SOCK_DGRAM, port)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        s.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def loop() -> None:
        while True:
            # Not only sending fails: an ICMP error about an earlier answer is reported by the next call.
            with contextlib.suppress(OSError):
                data, ancillary, unused, peer = s.recvmsg(65536, 256)
                s.sendmsg([answer(data, peer)], [_from_asked_address(a) for a in ancillary], 0, peer)

    return loop


def _socket(family: int, kind: int, port: int) -> socket.socket:
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", port))
    return s


def _from_asked_address(item: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """The control message that makes the answer leave from the address to which the question came."""
    level, kind, data = item
    if level == socket.IPPROTO_IPV6:
        address, index = data[:16], struct.unpack("=i", data[16:20])[0]
        link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
        return level, kind, address + struct.pack("=i", index if link_local else 0)
    return level, kind, struct.pack("=i", 0) + data[4:8] + bytes(4)


def _bind_all() -> list[Loop]:
    loops = []
    families = [socket.AF_INET]
    if os.path.exists("/proc/net/if_inet6"):
        families.append(socket.AF_INET6)
    for family in families:
        loops += [
            _listen(family, HTTP, _serve_http),
            _listen(family, ECHO, _serve_echo),
            _listen(family, WHO, _serve_who),
            _answer(family, ECHO, lambda data, peer: data),
            _answer(family, WHO, lambda data, peer: _who(peer)),
        ]
    return loops


def start() -> int:
    """Serve in a child process, and return its pid when the ports are open."""
    loops = _bind_all()
    pid = os.fork()
    if pid:
        # Our copies of the sockets are closed with the loops.
        return pid
    try:
        os.setsid()
        set_process_name("lab-services")
        for loop in loops:
            threading.Thread(target=loop, daemon=True).start()
        while True:
            signal.pause()
    finally:
        os._exit(1)
