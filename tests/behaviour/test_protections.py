# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What networks are protected from, on every back-end, by both families of addresses.

Both families are asked in one test: a run of the engine costs more than a packet. Each packet that must not arrive is
first shown to arrive when the protection against it is taken away: its rule is
deleted by hand, or the option that opens the way is set. The next run closes the way again.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import frames
import pytest
from engine_world import BACKENDS, EngineWorld
from fleet import eventually
from small_world import IMPATIENCE, PATIENCE

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

WEB = {4: "10.20.0.2", 6: "fd00:20::2"}
DB = {4: "10.20.0.3", 6: "fd00:20::3"}
BLUE_GATEWAY = {4: "10.20.0.1", 6: "fd00:20::1"}
RED_GATEWAY = {4: "10.21.0.1", 6: "fd00:21::1"}
LAN = {4: "192.0.2.1", 6: "2001:db8::1"}
SECOND_UPLINK = {4: "198.51.100.1", 6: "2001:db8:1::1"}
NEIGHBOUR = {4: "192.0.2.2", 6: "2001:db8::2"}
NEIGHBOURS_OTHER = {4: "192.0.2.3", 6: "2001:db8::3"}
FAR = {4: "198.51.100.2", 6: "2001:db8:1::2"}

VERSIONS = (4, 6)
NF_CALL = pytest.mark.parametrize("nf_call", [False, True], ids=["nf-call-0", "nf-call-1"], indirect=True)
NO_RULES = pytest.mark.parametrize("world", ["nftables"], indirect=True)  # where the packet filter plays no part

# What to delete, by back-end, to take a protection of the network blue away.
DIRECT_ACCESS = {
    "nftables": [("guard", "direct access"), ("into", "not published")],
    "iptables": [("mangle DLN-GUARD", "! -i br-blue"), ("filter DLN-IN-br-blue", "-A DLN-IN-br-blue -j DROP")],
}
GATEWAY = {"nftables": [("guard", "direct access")], "iptables": [("mangle DLN-GUARD", "! -i br-blue")]}
LOOPBACK = {
    "nftables": [("loopback", "for this host alone")],
    "iptables": [("raw DLN-LOOPBACK", "127.0.0.0/8"), ("mangle DLN-GUARD", "127.0.0.0/8")],
}
NOT_PUBLISHED = {
    "nftables": [("into", "not published")],
    "iptables": [("filter DLN-IN-br-blue", "-A DLN-IN-br-blue -j DROP")],
}
HOST_ACCESS = {
    "nftables": [("input", "access to the host")],
    "iptables": [("filter DLN-HOST", "-A DLN-HOST -j DROP")],
}
NO_WAY_OUT = {
    "nftables": [("forward", "no way out")],
    "iptables": [("filter DLN-FORWARD", "-i br-blue ! -o br-blue -j DROP")],
}
NO_WAY_IN = {
    "nftables": [*DIRECT_ACCESS["nftables"], ("forward", "no way in")],
    "iptables": [*DIRECT_ACCESS["iptables"], ("filter DLN-IN-br-blue", "! -i br-blue -j DROP")],
}
SHORT_WAY = {"nftables": [("short_way", "redirect")], "iptables": [("filter DLN-OUTPUT", "-o br-blue")]}
PRIVATE_SOURCE = {
    "nftables": [("forward", "private source")],
    "iptables": [("filter DLN-INVALID", "-i br-blue ! -o br-blue -j DROP")],
}
STRAYS = {"nftables": [("strays", "may be of")], "iptables": [("filter DLN-STRAYS", "-A DLN-STRAYS -j DROP")]}

Protection = dict[str, list[tuple[str, str]]]
Way = tuple[Any, ...]  # place, address, port, and the source if it matters


def blue(
    *publish: Any, db: dict[str, Any] | None = None, more: Sequence[dict[str, Any]] = (), **options: Any
) -> dict[str, Any]:
    """A network with an endpoint that publishes, another, and ``more``."""
    endpoints = [
        {"name": "web", "addresses": list(WEB.values()), "publish": list(publish)},
        {"name": "db", "addresses": list(DB.values()), **(db or {})},
        *more,
    ]
    return {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": endpoints, **options}


RED = {"name": "red", "subnets": ["10.21.0.0/24", "fd00:21::/64"], "endpoints": [{"name": "app"}]}


class Lab(EngineWorld):
    """The small world, with what the tests here ask of it."""

    def take_away(self, protection: Protection) -> None:
        """Delete the rules of a protection."""
        self.remove_rules(*protection[self.backend])

    def set_bound_ports_free(self) -> None:
        """Serve ports on one address by every interface."""
        if self.backend == "nftables":
            self.remove_rules(("publish_in", "publish_bound"))
            return
        for tool in ("iptables", "ip6tables"):
            if self.run([tool, "-t", "nat", "-S", "DLN-BOUND"])[0] == 0:
                self.must(tool, "-t", "nat", "-I", "DLN-PUBLISH", "-j", "DLN-BOUND")

    def forget_neighbours(self, *places: str) -> None:
        for place in places:
            self.must("ip", "-n", place, "neigh", "flush", "dev", "eth0")

    @contextlib.contextmanager
    def extra_route(self, place: str, to: str, via: str) -> Iterator[None]:
        """A route in a namespace, for as long as it is needed."""
        self.must("ip", "-n", place, "route", "add", to, "via", via)
        try:
            yield
        finally:
            self.must("ip", "-n", place, "route", "del", to, "via", via)

    def told(self, listener: socket.socket, act: Callable[[], None]) -> bool:
        """Whether a datagram comes to ``listener`` when something is done."""
        listener.settimeout(IMPATIENCE)
        act()
        try:
            return bool(listener.recv(100))
        except TimeoutError:
            return False

    def open(self, listener: socket.socket, *ways: Way) -> None:
        """All of these questions are answered."""
        for place, address, port, *source in ways:
            assert self.ask(place, address, port, listener, *source) is not None, f"{place} gets no answer: {address}"

    def shut(self, listener: socket.socket, *ways: Way) -> None:
        """None of these comes to the listener, be there a way back or not; what can come, comes in milliseconds."""
        with contextlib.ExitStack() as stack:
            for place, address, port, *source in ways:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                client = stack.enter_context(self[place].socket(family, listener.type))
                client.setblocking(False)
                if source:
                    client.bind((source[0], 0))
                with contextlib.suppress(BlockingIOError, ConnectionError, PermissionError):
                    client.connect((address, port))
                    client.send(b"question")
            if select.select([listener], [], [], IMPATIENCE)[0]:
                came = listener.accept()[1] if listener.type == socket.SOCK_STREAM else listener.recvfrom(100)[1]
                pytest.fail(f"open, seen from {came[0]}: one of {ways}")


@pytest.fixture(scope="module", params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Iterator[Lab]:
    found = Lab(request.param)
    yield found
    found.clear()
    found.close()


@pytest.fixture
def nf_call(request: pytest.FixtureRequest, world: Lab) -> Iterator[bool]:
    """Whether frames from port to port of a bridge are shown to the packet filter."""
    world.bridge_filter(request.param)
    yield request.param
    world.bridge_filter(False)


def ways(places: Sequence[str], addresses: dict[int, str], port: int) -> list[Way]:
    """From each of these places to each of these addresses."""
    return [(place, address, port) for place in places for address in addresses.values()]


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


# ---- 1. direct access


class TestDirectAccess:
    def test_to_an_endpoint(self, world: Lab) -> None:
        """From a neighbour with a route by way of the host, from behind another uplink, and from another network."""
        strangers = ways(["neighbour", "far", "app"], WEB, 80)
        world.make(blue("8080:80"), RED)
        with world.server("web", 80) as server:
            world.take_away(DIRECT_ACCESS)
            world.open(server, *strangers)
            world.make(blue("8080:80"), RED)
            world.shut(server, *strangers)
            world.open(server, *ways(["host", "db"], WEB, 80))
            for version in VERSIONS:
                assert world.ask("neighbour", LAN[version], 8080, server) == NEIGHBOUR[version]

    @pytest.mark.parametrize("bound", [False, True], ids=["all-addresses", "bound-to-the-gateway"])
    def test_to_the_gateway(self, world: Lab, bound: bool) -> None:
        """Services of the host by a network's gateway address, and those that are bound to it."""
        world.make(blue(), RED)
        for address in BLUE_GATEWAY.values():
            strangers = [(place, address, 7000) for place in ("neighbour", "app")]
            with world.server("host", 7000, address=address if bound else "") as server:
                world.take_away(GATEWAY)
                world.open(server, *strangers)
                world.make(blue(), RED)
                world.shut(server, *strangers)
                world.open(server, ("host", address, 7000), ("web", address, 7000))

    def test_opened_on_purpose(self, world: Lab) -> None:
        strangers = ways(["neighbour", "app"], WEB, 80)
        with world.server("web", 80) as server, world.server("host", 7000) as host:
            world.make(blue(), RED)
            world.shut(server, *strangers)
            world.make(blue(direct_access=True), RED)
            world.open(server, *strangers)
            world.open(host, *ways(["neighbour", "app"], BLUE_GATEWAY, 7000))
            world.shut(host, *ways(["neighbour"], RED_GATEWAY, 7000))

    def test_opened_to_an_interface(self, world: Lab) -> None:
        with world.server("web", 80) as server, world.server("host", 7000) as host:
            world.make(blue(), RED)
            world.shut(server, *ways(["far"], WEB, 80))
            world.make(blue(trusted_interfaces=["up1"]), RED)
            world.open(server, *ways(["far"], WEB, 80))
            world.open(host, *ways(["far"], BLUE_GATEWAY, 7000))
            world.shut(server, *ways(["neighbour", "app"], WEB, 80))

    def test_opened_to_a_flow(self, world: Lab) -> None:
        flows = [{"from": NEIGHBOURS_OTHER[v], "to": WEB[v], "protocol": "tcp", "port": 80} for v in VERSIONS]
        named = [("neighbour", WEB[version], 80, NEIGHBOURS_OTHER[version]) for version in VERSIONS]
        with world.server("web", 80) as server, world.server("web", 81) as other:
            world.make(blue(), RED)
            world.shut(server, *named)
            world.make(blue(allow=flows), RED)
            world.open(server, *named)
            world.shut(server, *[("neighbour", WEB[version], 80, NEIGHBOUR[version]) for version in VERSIONS])
            world.shut(other, *[("neighbour", WEB[version], 81, NEIGHBOURS_OTHER[version]) for version in VERSIONS])

    def test_access_to_the_host(self, world: Lab) -> None:
        """Closed on request to its endpoints; what is published is forwarded, and stays open to them."""
        closing = blue("8080:80", host_access="deny")
        services = ways(["db"], BLUE_GATEWAY, 7000) + ways(["db"], LAN, 7000)
        with world.server("host", 7000) as host, world.server("web", 80) as server:
            world.make(closing, RED)
            world.take_away(HOST_ACCESS)
            world.open(host, *services)
            world.make(closing, RED)
            world.forget_neighbours("db")  # so that neighbour discovery has to work as well
            world.shut(host, *services)
            world.open(server, *[(place, address, 8080) for place, address, unused in services])
            assert all(world.ping(place, address) for place, address, unused in services)
            world.open(host, *ways(["app"], RED_GATEWAY, 7000))


# ---- 2. loopback


class TestLoopback:
    PUBLISHED = blue("127.0.0.1:9001:80", "127.0.0.1:9001:80/udp", "127.0.0.2:9002:80/udp")

    def test_published_there_and_asked_for_by_the_lan(self, world: Lab) -> None:
        """The neighbour routes 127.0.0.2 to the host; for 127.0.0.1 it has to make its own frames."""
        world.make(self.PUBLISHED)
        station = frames.mac_of(world, "up0")

        def frame(source_port: int) -> None:
            packet = frames.datagram("192.0.2.2", "127.0.0.1", source_port, 9001)
            frames.send(world, "neighbour", station, frames.ETH_IPV4, packet)

        with world.server("web", 80, "udp") as server:
            world.take_away(LOOPBACK)
            if world.backend == "iptables":
                world.set_bound_ports_free()  # where that is another lock on the same door
            assert world.told(server, lambda: frame(4001))
            assert world.hears(server, "neighbour", "127.0.0.2", 9002)
            world.make(self.PUBLISHED)
            assert not world.told(server, lambda: frame(4002))
            assert not world.hears(server, "neighbour", "127.0.0.2", 9002)

    def test_services_of_the_host_and_an_endpoint(self, world: Lab) -> None:
        """route_localnet, which publishing there needs, would open all of the host's own services."""
        world.make(self.PUBLISHED)
        assert world.must("sysctl", "-n", "net.ipv4.conf.br-blue.route_localnet").strip() == "1"
        station = frames.mac_of(world, "br-blue")

        def frame(source_port: int) -> None:
            packet = frames.datagram(WEB[4], "127.0.0.1", source_port, 7000)
            frames.send(world, "web", station, frames.ETH_IPV4, packet)

        with world.server("host", 7000, "udp", "127.0.0.1") as server:
            world.take_away(LOOPBACK)
            assert world.told(server, lambda: frame(4001))
            world.make(self.PUBLISHED)
            assert not world.told(server, lambda: frame(4002))
            assert world.ask("host", "127.0.0.1", 7000, server) == "127.0.0.1"

    @NF_CALL
    def test_wanted_paths(self, world: Lab, nf_call: bool) -> None:
        world.make(self.PUBLISHED)
        for kind in ("tcp", "udp"):
            with world.server("web", 80, kind) as server:
                assert world.ask("host", "127.0.0.1", 9001, server) == BLUE_GATEWAY[4]
        with world.server("web", 80, "udp") as server:
            assert world.ask("host", "127.0.0.2", 9002, server) == BLUE_GATEWAY[4]


# ---- 3. a host's address means the interface that has it


class TestHostAddress:
    def test_by_another_interface(self, world: Lab) -> None:
        """The neighbour routes the address of the second uplink by the first one (the weak host model)."""
        ports = [f"{bracketed(address)}:8443:443" for address in SECOND_UPLINK.values()]
        world.make(blue(*ports), RED)
        with world.server("web", 443) as server:
            world.set_bound_ports_free()
            world.open(server, *ways(["neighbour"], SECOND_UPLINK, 8443))
            world.make(blue(*ports), RED)
            world.shut(server, *ways(["neighbour"], SECOND_UPLINK, 8443), *ways(["neighbour"], LAN, 8443))
            world.open(server, *ways(["far", "host", "web", "db", "app"], SECOND_UPLINK, 8443))

    def test_interfaces(self, world: Lab) -> None:
        """Asked for, it is served elsewhere, and only there; the host itself is free."""

        def ports(*links: str) -> list[dict[str, Any]]:
            common = {"host_port": 8443, "container_port": 443, "in_interfaces": list(links)}
            return [{"host_ip": address, **common} for address in SECOND_UPLINK.values()]

        with world.server("web", 443) as server:
            world.make(blue(*ports()), RED)
            world.open(server, *ways(["far"], SECOND_UPLINK, 8443))
            world.make(blue(*ports("up0")), RED)
            world.open(server, *ways(["neighbour", "host"], SECOND_UPLINK, 8443))
            world.shut(server, *ways(["far"], SECOND_UPLINK, 8443))
            world.make(blue(*ports("up0", "up1")), RED)
            world.open(server, *ways(["neighbour", "far"], SECOND_UPLINK, 8443))

    def test_interfaces_of_a_port_on_all_addresses(self, world: Lab) -> None:
        port = {"host_port": 8443, "container_port": 443}
        with world.server("web", 443) as server:
            world.make(blue(port), RED)
            world.open(server, *ways(["neighbour"], LAN, 8443))
            world.make(blue({**port, "in_interfaces": ["up1"]}), RED)
            world.shut(server, *ways(["neighbour", "app"], LAN, 8443))
            world.open(server, *ways(["far"], SECOND_UPLINK, 8443))

    def test_sources_are_changed_in_place(self, world: Lab) -> None:
        """One transaction and nothing else; flows from a source that stays go on."""

        def port(*sources: str) -> dict[str, Any]:
            return {"host_port": 8443, "container_port": 443, "allowed_sources": list(sources)}

        mine = [("neighbour", LAN[version], 8443, NEIGHBOUR[version]) for version in VERSIONS]
        others = [("neighbour", LAN[version], 8443, NEIGHBOURS_OTHER[version]) for version in VERSIONS]
        with world.server("web", 443) as server, contextlib.ExitStack() as stack:
            world.make(blue(port("192.0.2.0/24", "2001:db8::/64")), RED)
            world.open(server, *mine, *others)
            flows = [stack.enter_context(connection(world, server, *way)) for way in mine]
            changed = world.make(blue(port(*NEIGHBOUR.values())), RED)
            assert len(changed.commands) == (1 if world.backend == "nftables" else 2)
            assert all(command.split("-")[0].strip() in ("nft", "iptables", "ip6tables") for command in changed.commands)
            world.shut(server, *others)
            world.open(server, *mine, *ways(["host"], LAN, 8443))
            for client, inside in flows:
                assert passes_on(client, inside)


@contextlib.contextmanager
def connection(
    world: Lab, server: socket.socket, place: str, address: str, port: int, source: str = ""
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of an established connection."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with world[place].socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        server.settimeout(PATIENCE)
        if source:
            client.bind((source, 0))
        client.connect((address, port))
        inside, unused = server.accept()
        inside.settimeout(PATIENCE)
        with inside:
            yield client, inside


def passes_on(client: socket.socket, inside: socket.socket) -> bool:
    """Whether a connection works in both directions."""
    try:
        for one, another in ((client, inside), (inside, client)):
            one.sendall(b"on")
            if another.recv(10) != b"on":
                return False
    except OSError:
        return False
    return True


# ---- 4. isolation


def hears_of_neighbours(world: Lab, version: int) -> bool:
    """Whether the question of web for the station of db comes to db."""
    mac = frames.mac_of(world, "eth0", "web")
    if version == 4:
        packet, to, kind = frames.arp_request(mac, WEB[4], DB[4]), frames.BROADCAST, frames.ETH_ARP
    else:
        packet = frames.neighbour_solicitation(mac, WEB[6], DB[6])
        to, kind = frames.ALL_NODES_MAC, frames.ETH_IPV6
    return frames.seen(
        world, "db", kind, lambda: frames.send(world, "web", to, kind, packet), lambda found: found == packet
    )


@NF_CALL
class TestIsolation:
    def test_networks(self, world: Lab, nf_call: bool) -> None:
        """They do not reach each other, but do reach each other's published ports."""
        world.make(blue("8080:80"), RED)
        with world.server("web", 80) as server:
            world.take_away(DIRECT_ACCESS)
            world.open(server, *ways(["app"], WEB, 80))
            world.make(blue("8080:80"), RED)
            world.shut(server, *ways(["app"], WEB, 80), *ways(["app"], BLUE_GATEWAY, 8080))
            world.open(server, *ways(["app"], LAN, 8080), *ways(["app"], RED_GATEWAY, 8080))

    def test_endpoints_of_one_network(self, world: Lab, nf_call: bool) -> None:
        with world.server("web", 80) as server:
            world.make(blue("8080:80"))
            assert [hears_of_neighbours(world, version) for version in VERSIONS] == [True, True]
            world.open(server, *ways(["db"], WEB, 80))
            world.make(blue("8080:80", icc=False))
            world.forget_neighbours("web", "db")
            assert [hears_of_neighbours(world, version) for version in VERSIONS] == [False, False]
            world.shut(server, *ways(["db"], WEB, 80))
            for version in VERSIONS:
                assert world.ping("db", BLUE_GATEWAY[version])
                assert world.ping("db", LAN[version])
            if not nf_call:
                # With bridge-nf-call the kernel itself bridges what is translated to an address of the same bridge
                # (br_nf_pre_routing_finish), and an isolated port passes nothing on to another one.
                world.open(server, *ways(["db"], BLUE_GATEWAY, 8080), *ways(["db"], LAN, 8080))

    def test_each_lock_of_that_holds_alone(self, world: Lab, nf_call: bool) -> None:
        """Without the flag of the port they reach each other; with bridge-nf-call, if the rule is gone, too."""
        world.make(blue(icc=False))
        with world.server("web", 80) as server:
            world.must("bridge", "link", "set", "dev", "v-blue-web", "isolated", "off")
            if nf_call:
                world.shut(server, *ways(["db"], WEB, 80))
                world.take_away(NOT_PUBLISHED)
            assert [hears_of_neighbours(world, version) for version in VERSIONS] == [True, True]
            world.open(server, *ways(["db"], WEB, 80))
            world.make(blue(icc=False))
            assert [hears_of_neighbours(world, version) for version in VERSIONS] == [False, False]
            world.shut(server, *ways(["db"], WEB, 80))

    def test_by_way_of_the_gateway(self, world: Lab, nf_call: bool) -> None:
        """An endpoint that sends to its neighbour's address by the gateway is forwarded, in and out by one bridge."""
        world.make(blue(icc=False))
        with (
            world.server("db", 80, "udp") as server,
            world.extra_route("web", f"{DB[4]}/32", BLUE_GATEWAY[4]),
            world.extra_route("web", f"{DB[6]}/128", BLUE_GATEWAY[6]),
        ):
            world.take_away(NOT_PUBLISHED)
            assert all(world.hears(server, "web", address, 80) for address in DB.values())
            world.make(blue(icc=False))
            world.shut(server, *ways(["web"], DB, 80))

    def test_named_flows_between_endpoints(self, world: Lab, nf_call: bool) -> None:
        flows = [{"from": DB[version], "to": WEB[version], "protocol": "tcp", "port": 80} for version in VERSIONS]
        with world.server("web", 80) as server, world.server("web", 81) as other:
            world.make(blue(icc=False))
            world.shut(server, *ways(["db"], WEB, 80))
            world.make(blue(icc=False, allow=flows))
            world.open(server, *ways(["db"], WEB, 80))
            world.shut(other, *ways(["db"], WEB, 81))
            assert [hears_of_neighbours(world, version) for version in VERSIONS] == [False, False]

    def test_internal_has_no_way_out(self, world: Lab, nf_call: bool) -> None:
        """Such an endpoint has no default route of its own, but nobody keeps it from adding one."""
        world.make(blue(internal=True), RED)
        with (
            world.server("neighbour", 80, "udp") as server,
            world.extra_route("web", "0.0.0.0/0", BLUE_GATEWAY[4]),
            world.extra_route("web", "::/0", BLUE_GATEWAY[6]),
        ):
            world.take_away(NO_WAY_OUT)
            assert all(world.hears(server, "web", address, 80) for address in NEIGHBOUR.values())
            world.make(blue(internal=True), RED)
            world.shut(server, *ways(["web"], NEIGHBOUR, 80))

    def test_internal_has_no_way_in(self, world: Lab, nf_call: bool) -> None:
        closing = blue("8080:80/udp", internal=True)
        world.make(closing, RED)
        asked = ways(["neighbour", "app"], WEB, 80) + ways(["neighbour"], LAN, 8080)
        with world.server("web", 80, "udp") as server:
            world.take_away(NO_WAY_IN)
            assert all(world.hears(server, *way) for way in asked)
            world.make(closing, RED)
            world.shut(server, *asked)

    def test_internal_works_within(self, world: Lab, nf_call: bool) -> None:
        """Neighbour discovery included."""
        world.make(blue(internal=True), RED)
        world.forget_neighbours("web", "db")
        with world.server("web", 80) as server:
            for version in VERSIONS:
                assert world.ask("db", WEB[version], 80, server) == DB[version]
                assert world.ask("host", WEB[version], 80, server) == BLUE_GATEWAY[version]
                assert world.ping("web", BLUE_GATEWAY[version])


@NF_CALL
def test_the_global_switch_of_bridges_is_not_touched(world: Lab, nf_call: bool) -> None:
    keys = [f"net.bridge.bridge-nf-call-{name}" for name in ("iptables", "ip6tables", "arptables")]
    before = world.must("sysctl", *keys)
    world.clear()
    world.make(blue("8080:80", icc=False), RED)
    world.make(blue(internal=True))
    assert world.must("sysctl", *keys) == before


def is_redirected(world: Lab, name: str, to: str, via: str) -> bool:
    """Whether the host tells an endpoint that asks by way of the gateway that there is a shorter way.

    Not at once where addresses are translated (NAT lets no redirect by before it is done with the flow), and for each
    endpoint more and more seldom, so each is asked once.
    """
    six = ":" in to
    for key in ("all", "eth0"):
        world[name].sysctl(f"ipv{6 if six else 4}/conf/{key}/accept_redirects", 0)
    kind, first = (socket.IPPROTO_ICMPV6, 137) if six else (socket.IPPROTO_ICMP, 5)
    family = socket.AF_INET6 if six else socket.AF_INET
    with (
        world.extra_route(name, f"{to}/{128 if six else 32}", via),
        world[name].socket(family, socket.SOCK_RAW, kind) as listener,
        world[name].socket(family, socket.SOCK_DGRAM) as client,
    ):
        for unused in range(6):
            client.sendto(b"hello", (to, 80))
            if any(packet[0 if six else 20] == first for packet in frames.arriving(listener, IMPATIENCE / 3)):
                return True
    return False


@pytest.mark.parametrize("version", VERSIONS, ids=["ipv4", "ipv6"])
def test_nobody_is_told_the_short_way(world: Lab, version: int) -> None:
    """Where endpoints may exchange named flows only, which go by way of the host."""
    subnet, to = {4: ("10.20.0.0/24", "10.20.0.99"), 6: ("fd00:20::/64", "fd00:20::99")}[version]
    askers = [{"name": f"asker{number}-{version}"} for number in (1, 2)]
    closing = blue(icc=False, allow=[{"from": subnet, "to": to, "protocol": "udp"}], more=askers)
    world.make(closing)
    world.must("ip", "neigh", "replace", to, "lladdr", "02:00:00:00:00:99", "dev", "br-blue")
    # the host sends IPv6 redirects from its link-local address, which takes its time
    assert eventually(lambda: not world.must("ip", "-6", "address", "show", "dev", "br-blue", "tentative"))
    world.take_away(SHORT_WAY)
    assert is_redirected(world, askers[0]["name"], to, BLUE_GATEWAY[version])
    world.make(closing)
    assert not is_redirected(world, askers[1]["name"], to, BLUE_GATEWAY[version])
    world.must("ip", "neigh", "del", to, "dev", "br-blue")
