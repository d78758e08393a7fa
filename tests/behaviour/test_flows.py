# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flows that are open while a run changes what they may do, or how they are translated."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from engine_world import BACKENDS, EngineWorld, Outcome
from small_world import IMPATIENCE, PATIENCE

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
# An address of the host, and two of its neighbour.
LAN = (("192.0.2.1", "192.0.2.2", "192.0.2.3"), ("2001:db8::1", "2001:db8::2", "2001:db8::3"))
FAR = ("198.51.100.2", "2001:db8:1::2")
# The addresses of the endpoint web, and the one of the host by which it goes out to the far host.
INSIDE, OUTSIDE = {"10.20.0.2", "fd00:20::2"}, {"198.51.100.1", "2001:db8:1::1"}


@pytest.fixture(params=BACKENDS, scope="module")
def made(request: pytest.FixtureRequest) -> Iterator[EngineWorld]:
    world = EngineWorld(request.param)
    yield world
    world.close()


@pytest.fixture
def world(made: EngineWorld) -> Iterator[EngineWorld]:
    yield made
    made.clear()
    made.must("conntrack", "-F")


class Echo:
    """A server of TCP and UDP on port 80 of a namespace; it answers with the address that it sees."""

    def __init__(self, world: EngineWorld, place: str) -> None:
        self._ended = threading.Event()
        self._open = selectors.DefaultSelector()
        for kind in KINDS:
            listener = world[place].socket(socket.AF_INET6, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::", 80))
            if kind == socket.SOCK_STREAM:
                listener.listen()
            self._open.register(listener, selectors.EVENT_READ, self._accept if kind == KINDS[0] else self._answer)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            for key, unused in self._open.select(0.05):
                with contextlib.suppress(OSError):
                    key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        self._open.register(listener.accept()[0], selectors.EVENT_READ, self._answer)

    def _answer(self, opened: socket.socket) -> None:
        text, peer = opened.recvfrom(100)
        if not text:
            self._open.unregister(opened)
            opened.close()
            return
        peer = peer or opened.getpeername()
        opened.sendto(str(peer[0]).encode(), peer) if opened.type == KINDS[1] else opened.send(str(peer[0]).encode())

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        for key in list(self._open.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]


class Flow:
    """An open flow from a namespace, which has got an answer."""

    def __init__(self, world: EngineWorld, place: str, kind: int, address: str, port: int, source: str = "") -> None:
        self.name = f"{place} {source} > {address} {port} {kind.name}"  # type: ignore[attr-defined]
        self.socket = world[place].socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        self.socket.settimeout(PATIENCE)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((address, port))
        self.to, self.port = address, self.socket.getsockname()[1]

    def asks(self, patience: float = PATIENCE) -> str:
        """The address that the server sees now; empty if there is no answer."""
        self.socket.settimeout(patience)
        with contextlib.suppress(OSError):
            self.socket.send(b"question")
            return self.socket.recv(100).decode().replace("::ffff:", "")
        return ""


def speak(flows: list[Flow]) -> list[str]:
    return [flow.name for flow in flows if flow.asks()]


def silent(flows: list[Flow]) -> list[str]:
    return [flow.name for flow in flows if not flow.asks(IMPATIENCE)]


def all_of(flows: list[Flow]) -> list[str]:
    return [flow.name for flow in flows]


def foreseen(world: EngineWorld, *networks: dict[str, Any]) -> Outcome:
    """A run, which check mode has foreseen, and after which there is nothing left to do."""
    predicted, done = world.make(*networks, check=True), world.make(*networks)
    assert done.changed
    assert (predicted.commands, predicted.diff) == (done.commands, done.diff)
    assert not world.make(*networks).changed
    return done


# ---- published ports


def published(**limits: Any) -> dict[str, Any]:
    ports = [{"host_port": "8080", "container_port": "80", "protocol": name, **limits} for name in ("tcp", "udp")]
    endpoints = [{"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], "publish": ports}, {"name": "db"}]
    return {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": endpoints}


@pytest.fixture
def web(world: EngineWorld, request: pytest.FixtureRequest) -> Iterator[None]:
    """A server behind the port; the limits with which it is published are the parameter."""
    world.make(published(**getattr(request, "param", {})))
    server = Echo(world, "web")
    yield
    server.close()


def clients(world: EngineWorld, number: int) -> list[Flow]:
    """Flows from one of the neighbour's addresses, of both families."""
    return [Flow(world, "neighbour", kind, line[0], 8080, line[number]) for line in LAN for kind in KINDS]


def own(world: EngineWorld) -> list[Flow]:
    """Flows of the host itself."""
    return [Flow(world, "host", kind, address, 8080) for address in ("192.0.2.1", "127.0.0.1") for kind in KINDS]


ONE = ["192.0.2.3", "2001:db8::3"]


@pytest.mark.parametrize("web", [{}, {"allowed_sources": ["192.0.2.0/24", "2001:db8::/64"]}], indirect=True)
@pytest.mark.usefixtures("web")
def test_clients_that_are_no_longer_allowed_are_cut_off_and_no_others(world: EngineWorld) -> None:
    first, second, host = clients(world, 1), clients(world, 2), own(world)
    assert speak(first + second + host) == all_of(first + second + host)
    foreseen(world, published(allowed_sources=ONE))
    assert silent(first) == all_of(first)
    assert speak(second + host) == all_of(second + host)


@pytest.mark.parametrize("web", [{}, {"in_interfaces": ["up0", "up1"]}], indirect=True)
@pytest.mark.usefixtures("web")
def test_clients_by_an_interface_that_is_left_out_are_cut_off(world: EngineWorld) -> None:
    flows, host = clients(world, 1), own(world)
    assert speak(flows + host) == all_of(flows + host)
    foreseen(world, published(in_interfaces=["up1"]))
    assert silent(flows) == all_of(flows)
    assert speak(host) == all_of(host)


@pytest.mark.parametrize("web", [{"allowed_sources": ONE}, {"in_interfaces": ["up1"]}], indirect=True)
@pytest.mark.usefixtures("web")
def test_a_udp_client_that_keeps_asking_is_let_in_once_it_may(world: EngineWorld) -> None:
    flows = [Flow(world, "neighbour", KINDS[1], line[0], 8080, line[1]) for line in LAN]
    assert silent(flows) == all_of(flows)
    foreseen(world, published())
    assert speak(flows) == all_of(flows)


# ---- masquerades


def masqueraded(masquerade: Any) -> dict[str, Any]:
    return {**published(), "masquerade": masquerade}


@pytest.fixture
def far(world: EngineWorld, request: pytest.FixtureRequest) -> Iterator[list[Flow]]:
    """UDP flows of web to a far host, with the masquerade of the parameter."""
    world.make(masqueraded(request.param))
    server = Echo(world, "far")
    yield [Flow(world, "web", KINDS[1], address, 80) for address in FAR]
    server.close()


def entries(world: EngineWorld, *flows: Flow) -> dict[str, str]:
    """The entry of connection tracking of each flow, by the port that it comes from."""
    found = {}
    for family in ("ipv4", "ipv6"):
        for line in world.must("conntrack", "-L", "-f", family, "-o", "id").splitlines():
            port, number = re.search(r"sport=(\d+)", line), re.search(r"id=(\d+)", line)
            for flow in flows:
                if port and number and int(port.group(1)) == flow.port and f"dst={flow.to} " in line:
                    found[flow.name] = number.group(1)
    assert found.keys() == {flow.name for flow in flows}
    return found


def seen(flows: list[Flow]) -> set[str]:
    return {flow.asks() for flow in flows}


@pytest.mark.parametrize("far", [False], indirect=True)
def test_a_flow_that_keeps_asking_is_translated_once_it_should_be(world: EngineWorld, far: list[Flow]) -> None:
    """What is not concerned goes on: to the host, to an endpoint, to what is excluded, and connections of TCP."""
    servers = [Echo(world, place) for place in ("db", "host", "neighbour")]
    db = world.must("ip", "-n", "db", "-4", "-o", "address", "show", "dev", "eth0").split()[3].partition("/")[0]
    others = [Flow(world, "web", kind, address, 80) for address in (db, "10.20.0.1", "192.0.2.2") for kind in KINDS]
    others += [Flow(world, "web", KINDS[0], address, 80) for address in FAR]
    assert speak(others) == all_of(others)
    assert seen(far) == INSIDE
    kept = entries(world, *(flow for flow in others if flow.to != db))  # bridged, so not tracked

    foreseen(world, masqueraded({"exclude": ["192.0.2.0/24"]}))
    assert seen(far) == OUTSIDE
    assert speak(others) == all_of(others)
    assert entries(world, *(flow for flow in others if flow.to != db)) == kept
    for server in servers:
        server.close()


@pytest.mark.parametrize("far", [False], indirect=True)
def test_a_flow_by_another_interface_than_that_of_the_masquerade_goes_on(world: EngineWorld, far: list[Flow]) -> None:
    assert seen(far) == INSIDE
    kept = entries(world, *far)
    foreseen(world, masqueraded({"out_interface": "up0"}))
    assert entries(world, *far) == kept
    foreseen(world, masqueraded({"out_interface": "up1"}))
    assert seen(far) == OUTSIDE


@pytest.mark.parametrize("far", [True], indirect=True)
def test_a_flow_follows_a_masquerade_that_is_changed(world: EngineWorld, far: list[Flow]) -> None:
    four, six = far
    assert seen(far) == OUTSIDE
    kept = entries(world, six)
    foreseen(world, masqueraded({"to_source": "192.0.2.9"}))
    assert four.asks() == "192.0.2.9"
    assert six.asks() == "2001:db8:1::1"
    assert entries(world, six) == kept
    foreseen(world, masqueraded(True))
    assert seen(far) == OUTSIDE
    foreseen(world, masqueraded({"exclude": ["198.51.100.0/24", "2001:db8:1::/64"]}))
    assert seen(far) == INSIDE


@pytest.mark.parametrize("far", [True], indirect=True)
def test_flows_that_are_translated_as_before_go_on(world: EngineWorld, far: list[Flow]) -> None:
    assert seen(far) == OUTSIDE
    kept = entries(world, *far)
    foreseen(world, masqueraded({"exclude": ["192.0.2.0/24"]}))
    assert seen(far) == OUTSIDE
    assert entries(world, *far) == kept


@pytest.mark.parametrize("far", [True], indirect=True)
@pytest.mark.parametrize("more", [[], [{"name": "more"}]], ids=["alone", "with another change"])
def test_a_flow_is_translated_no_longer_once_its_masquerade_is_withdrawn(
    world: EngineWorld, far: list[Flow], more: list[dict[str, str]]
) -> None:
    """Connections of TCP go on, and so do flows to the host and those of another network."""
    world.make(masqueraded(True), RED)
    server = Echo(world, "host")
    others = [Flow(world, "web", KINDS[0], address, 80) for address in FAR]
    others += [Flow(world, "red1", KINDS[1], address, 80) for address in FAR]
    assert (seen(far), seen(others)) == (OUTSIDE, OUTSIDE)
    others += [Flow(world, "web", kind, "10.20.0.1", 80) for kind in KINDS]
    assert speak(others) == all_of(others)
    kept, blue = entries(world, *others), masqueraded(False)
    foreseen(world, {**blue, "endpoints": [*blue["endpoints"], *more]}, RED)
    assert seen(far) == INSIDE
    assert entries(world, *others) == kept
    assert seen(others[:4]) == OUTSIDE
    assert speak(others) == all_of(others)
    server.close()


@pytest.mark.parametrize("far", [True], indirect=True)
def test_a_flow_by_an_interface_that_is_excepted_now_is_translated_no_longer(
    world: EngineWorld, far: list[Flow]
) -> None:
    """One by another interface goes on."""
    server = Echo(world, "neighbour")
    others = [Flow(world, "web", KINDS[1], address, 80) for address in ("192.0.2.2", "2001:db8::2")]
    assert (seen(far), seen(others)) == (OUTSIDE, {"192.0.2.1", "2001:db8::1"})
    kept = entries(world, *others)
    foreseen(world, masqueraded({"out_interface": "!up1"}))
    assert (seen(far), seen(others)) == (INSIDE, {"192.0.2.1", "2001:db8::1"})
    assert entries(world, *others) == kept
    server.close()


RED: dict[str, Any] = {"name": "red", "subnets": ["10.21.0.0/24", "fd00:21::/64"], "endpoints": [{"name": "red1"}]}
TRACK = "table inet theirs { chain forward { type filter hook forward priority 0; ct state new counter; }; }"


@pytest.mark.parametrize("far", [True], indirect=True)
@pytest.mark.usefixtures("far")
def test_flows_that_began_while_our_rules_were_gone_are_translated(world: EngineWorld) -> None:
    for tool in ("iptables", "ip6tables"):
        world.must("sh", "-c", f"for t in nat filter mangle raw; do {tool} -t $t -F; done")
    world.must("nft", f"flush ruleset; {TRACK}")
    flows = [Flow(world, "web", KINDS[1], address, 80) for address in FAR]
    assert seen(flows) == INSIDE
    foreseen(world, masqueraded(True))
    assert seen(flows) == OUTSIDE
    world.must("nft", "delete table inet theirs")


class Ping:
    """Echo requests of web to the far host, with the same number each time, as a ping sends them."""

    def __init__(self, world: EngineWorld, address: str) -> None:
        six = ":" in address
        family = socket.AF_INET6 if six else socket.AF_INET
        protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
        self.kind = 128 if six else 8
        self.ends = [world[place].socket(family, socket.SOCK_RAW, protocol) for place in ("web", "far")]
        self.ends[0].connect((address, 0))
        self.ends[1].settimeout(PATIENCE)

    def asks(self) -> str:
        """The address that the far host sees."""
        checksum = 0 if self.kind == 128 else 0xFFFF - (self.kind * 256 + 77 + 1)  # IPv6: the kernel fills it in
        self.ends[0].send(struct.pack("!BBHHH", self.kind, 0, checksum, 77, 1))
        while True:
            packet, peer = self.ends[1].recvfrom(200)
            if packet[0 if self.kind == 128 else 20] == self.kind:
                return str(peer[0])


@pytest.mark.parametrize("far", [False], indirect=True)
@pytest.mark.usefixtures("far")
def test_a_ping_that_goes_on_is_translated_as_well(world: EngineWorld) -> None:
    pings = [Ping(world, address) for address in FAR]
    assert {ping.asks() for ping in pings} == INSIDE
    foreseen(world, masqueraded(True))
    assert {ping.asks() for ping in pings} == OUTSIDE
