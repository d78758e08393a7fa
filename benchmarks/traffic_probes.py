# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements on one route: the time of a new connection, small packets a second, a stream.

A veth hands a packet on to the next namespace on the processor that sends it. So one thread that has sockets on both
sides needs no scheduler, and what it measures is the work of the kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator

from benchmarks.traffic_world import Way

PATIENCE = 5.0
BATCH = 32
CHUNK = 2**18
STREAMS = 5
PAYLOAD = b"x" * 18  # the smallest frame of Ethernet
ANY = ""  # every address
_libc = ctypes.CDLL(None, use_errno=True)


# ---- new connections


def connection_times(way: Way, number: int) -> tuple[float, float]:
    """Microseconds until connect(2) returns: the median, and what 95 of 100 do not exceed."""
    with _listener(way, socket.SOCK_STREAM) as listener:
        listener.listen()
        way.client.visit(lambda: _connect(way, listener))  # neighbours get to know each other, caches are filled
        times = sorted(way.client.visit(lambda: [_connect(way, listener) for unused in range(number)]))
    return statistics.median(times), times[int(len(times) * 0.95)]


def _connect(way: Way, listener: socket.socket) -> float:
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        # ends with RST: no port of ours stays in TIME_WAIT
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        begun = time.perf_counter_ns()
        client.connect((way.address, way.port))
        ended = time.perf_counter_ns()
        accepted, seen = listener.accept()
        accepted.close()
    assert seen[0] == way.seen, f"the server saw {seen[0]}, not {way.seen}"
    return (ended - begun) / 1000


@contextlib.contextmanager
def _listener(way: Way, kind: socket.SocketKind) -> Iterator[socket.socket]:
    with way.server.visit(lambda: socket.socket(socket.AF_INET, kind)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(PATIENCE)
        listener.bind((ANY, way.listening))
        yield listener


# ---- small packets


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr, see sendmmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vectors_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_long),  # an int, and what aligns the struct msghdr
        ("sent", ctypes.c_uint),
    )


class _Messages:
    """A batch of them, all with the same content; holds the memory that the kernel looks at."""

    def __init__(self) -> None:
        self._content = ctypes.create_string_buffer(PAYLOAD, len(PAYLOAD))
        self._vector = _Vector(ctypes.addressof(self._content), len(PAYLOAD))
        self.array = (_Message * BATCH)()
        for message in self.array:
            message.vectors = ctypes.addressof(self._vector)
            message.vectors_length = 1


def packet_rate(way: Way, seconds: float) -> float:
    """Thousands of small UDP packets a second, of one flow in which both sides have spoken."""
    with (
        _listener(way, socket.SOCK_DGRAM) as server,
        way.client.visit(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client,
    ):
        client.settimeout(PATIENCE)
        client.connect((way.address, way.port))
        client.send(PAYLOAD)
        server.sendto(PAYLOAD, server.recvfrom(100)[1])
        client.recv(100)
        client.setblocking(True)
        server.setblocking(True)
        # no recvmmsg waits longer for a packet that was lost, as happens when others flood the machine's processors
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50_000))
        times = _repeat(_burst(client, server), seconds)
    return BATCH / statistics.median(times) / 1000


def _burst(client: socket.socket, server: socket.socket) -> Callable[[], None]:
    """Send a few packets and receive them: a mere sender gets ahead of the kernel, which then drops packets."""
    messages = _Messages()
    sender, receiver = client.fileno(), server.fileno()

    def transfer() -> None:
        sent = _libc.sendmmsg(sender, messages.array, BATCH, 0)
        received = _libc.recvmmsg(receiver, messages.array, BATCH, 0, None)
        assert sent == BATCH and received > 0, f"of {BATCH} packets {sent} left and {received} arrived"

    return transfer


def _repeat(action: Callable[[], None], seconds: float) -> list[float]:
    """The time of each run of an action; their median is robust against moments when another process has the CPU."""
    times: list[float] = []
    now = time.perf_counter()
    until = now + seconds
    while now < until:
        action()
        begun, now = now, time.perf_counter()
        times.append(now - begun)
    return times


# ---- a stream


def stream_rate(way: Way, seconds: float) -> float:
    """Gigabits a second of one TCP stream, both ends of which one processor serves.

    Now and then a stream is disturbed when it is young, and stays slow; so it is the median of some.
    """
    return statistics.median(_one_stream(way, seconds / STREAMS) for unused in range(STREAMS))


def _one_stream(way: Way, seconds: float) -> float:
    with (
        _listener(way, socket.SOCK_STREAM) as listener,
        way.client.visit(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as client,
    ):
        listener.listen()
        client.settimeout(PATIENCE)
        client.connect((way.address, way.port))
        server = listener.accept()[0]
        with server:
            client.setblocking(False)
            server.setblocking(False)
            transfer = _chunk(client, server)
            _repeat(transfer, seconds / 4)  # until the windows have opened
            times = _repeat(transfer, seconds)
    return CHUNK * 8 / statistics.median(times) / 1e9


def _chunk(client: socket.socket, server: socket.socket) -> Callable[[], None]:
    data, room = memoryview(bytes(CHUNK)), bytearray(CHUNK)

    def transfer() -> None:
        sent = received = 0
        deadline = time.monotonic() + PATIENCE
        while received < CHUNK:
            with contextlib.suppress(BlockingIOError):
                if sent < CHUNK:
                    sent += client.send(data[sent:])
            with contextlib.suppress(BlockingIOError):
                received += server.recv_into(room)
            assert time.monotonic() < deadline, "the stream has stopped"

    return transfer
