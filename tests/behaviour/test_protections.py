# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The protections of networks, on every back-end, in both families of addresses.

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
from pathlib import Path
from typing import Any

import frames
import pytest
from engine_world import BACKENDS, EngineWorld, Outcome
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
FURTHER = {4: "203.0.113.7", 6: "2001:db8:7::7"}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"

VERSIONS = (4, 6)
NF_CALL = pytest.mark.parametrize("nf_call", [False, True], ids=["nf-call-0", "nf-call-1"], indirect=True)
NO_RULES = pytest.mark.parametrize("world", ["nftables"], indirect=True)  # where the packet filter plays no part

# What to delete, by back-end, to take a protection of the network blue away.
DIRECT_ACCESS = {
    "nftables": [("direct", "direct access"), ("into", "not published")],
    "iptables": [("mangle DLN-GUARD", "! -i br-blue"), ("filter DLN-INTO-br-blue", "-A DLN-INTO-br-blue -j DROP")],
}
GATEWAY = {"nftables": [("direct", "direct access")], "iptables": [("mangle DLN-GUARD", "! -i br-blue")]}
LOOPBACK = {
    "nftables": [("guard", "@watched4"), ("publish_in", "for this host alone")],
    "iptables": [("raw DLN-LOOPBACK", "127.0.0.0/8"), ("mangle DLN-GUARD", "127.0.0.0/8")],
}
NOT_PUBLISHED = {
    "nftables": [("into", "not published")],
    "iptables": [("filter DLN-INTO-br-blue", "-A DLN-INTO-br-blue -j DROP")],
}
HOST_ACCESS = {
    "nftables": [("input", "dropped_host")],
    "iptables": [("filter DLN-HOST", "-j DROP")],
}
NO_WAY_OUT = {
    "nftables": [("leaving", "dropped_out")],
    "iptables": [("filter DLN-FORWARD", "-i br-blue ! -o br-blue -j DROP")],
}
NO_WAY_IN = {
    "nftables": [*DIRECT_ACCESS["nftables"], ("entering", "dropped_in"), ("leaving", "dropped_in")],
    "iptables": [*DIRECT_ACCESS["iptables"], ("filter DLN-INTO-br-blue", "! -i br-blue -j DROP")],
}
SHORT_WAY = {"nftables": [("output", "redirect")], "iptables": [("filter DLN-OUTPUT", "-o br-blue")]}
PRIVATE_SOURCE = {
    "nftables": [("leaving", "dropped_private")],
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
            if self.run([tool, "-t", "nat", "-S", "DLN-PUBLISH-AT"])[0] == 0:
                self.must(tool, "-t", "nat", "-I", "DLN-PUBLISH-IN", "-j", "DLN-PUBLISH-AT")

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

    def further_behind_the_second_uplink(self, stack: contextlib.ExitStack) -> None:
        """Have ``far`` ask from beyond its subnet, too; the host answers there by a rule for its address."""
        for version, address in FURTHER.items():
            family = ("ip", f"-{version}")
            self._for_now(stack, "ip", "-n", "far", "address", "add", address, "dev", "lo")
            self._for_now(stack, *family, "route", "add", "default", "via", NEIGHBOUR[version])
            self._for_now(stack, *family, "route", "add", "default", "via", FAR[version], "table", "100")
            self._for_now(stack, *family, "rule", "add", "from", SECOND_UPLINK[version], "lookup", "100")

    def mark_answers(self, stack: contextlib.ExitStack) -> None:
        """The advice of docs/rules.md."""
        for line in shown("ip"):
            self._for_now(stack, *line.split())
        if self.backend == "nftables":
            self.must("nft", "-f", "-", text="\n".join(shown("nft")))
            stack.callback(self.must, "nft", "delete", "table", "inet", "second_uplink")
            return
        for line in shown("iptables"):
            for tool, address in zip(("iptables", "ip6tables"), SECOND_UPLINK.values()):
                words = line.replace(SECOND_UPLINK[4], address).split()
                self.must(tool, *words[1:])
                stack.callback(self.must, tool, *("-D" if word == "-A" else word for word in words[1:]))

    def _for_now(self, stack: contextlib.ExitStack, *argv: str) -> None:
        """Add something by ip, and take it away in the end."""
        self.must(*argv)
        stack.callback(self.must, *("del" if word == "add" else word for word in argv))

    @staticmethod
    def drain(listener: socket.socket) -> None:
        """Packets that were held back and arrive now do not count."""
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.recv(100)

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


def shown(topic: str) -> list[str]:
    """The lines of a block of docs/rules.md, by the remark before it."""
    return PAGE.read_text().partition(f"<!-- second uplink, {topic} -->\n```\n")[2].partition("\n```")[0].splitlines()


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
        world.make(closing, RED)
        with world.server("host", 7000) as host, world.server("web", 80) as server:
            world.take_away(HOST_ACCESS)
            world.open(host, *services)
            world.make(closing, RED)
            world.forget_neighbours("db")  # so that neighbour discovery has to work as well
            world.shut(host, *services)
            world.open(server, *[(place, address, 8080) for place, address, unused in services])
            assert all(world.ping(place, address) for place, address, unused in services)
            world.open(host, *ways(["app"], RED_GATEWAY, 7000))

    def test_access_to_one_port_of_the_host(self, world: Lab) -> None:
        """Opened to one endpoint on the gateway's address, and neither to others, nor on other addresses and ports."""
        allow = [{"from": "db", "to": "host", "protocol": "tcp", "port": 7000}]
        with world.server("host", 7000) as host, world.server("host", 7001) as other:
            world.make(blue(host_access="deny"), RED)
            world.shut(host, *ways(["db"], BLUE_GATEWAY, 7000))
            world.make(blue(host_access="deny", allow=allow), RED)
            world.open(host, *ways(["db"], BLUE_GATEWAY, 7000))
            world.shut(host, *ways(["web", "neighbour", "app"], BLUE_GATEWAY, 7000), *ways(["db"], LAN, 7000))
            world.shut(other, *ways(["db"], BLUE_GATEWAY, 7001))

    @pytest.mark.parametrize("version", VERSIONS, ids=["ipv4", "ipv6"])
    def test_access_to_the_host_is_closed_to_open_connections_as_well(self, world: Lab, version: int) -> None:
        """Also where only the entry of allow for them goes. Those of the host to the endpoint go on."""
        allow = [{"from": "db", "to": "host"}]
        world.make(blue(), RED)
        with world.server("host", 7000) as host, world.server("db", 7000) as db:
            for before in ({}, {"host_access": "deny", "allow": allow}):
                world.make(blue(**before), RED)
                with (
                    connection(world, host, "db", BLUE_GATEWAY[version], 7000) as (client, inside),
                    connection(world, db, "host", DB[version], 7000) as others,
                ):
                    world.make(blue(host_access="deny"), RED)
                    for end in (client, inside):
                        end.settimeout(IMPATIENCE)
                    assert not passes_on(client, inside)
                    assert passes_on(*others)


# ---- at no moment


@pytest.fixture
def forwarding(world: Lab) -> Iterator[None]:
    """The host forwards already, before there is anything of ours."""
    keys = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
    for key in keys:
        world.host.sysctl(key, 1)
    yield
    world.clear()
    for key in keys:
        world.host.sysctl(key, 0)


@pytest.mark.usefixtures("forwarding")
@pytest.mark.parametrize("goes", [False, True], ids=["first-run", "removal"])
def test_nothing_is_open_between_two_steps(world: Lab, goes: bool) -> None:
    """Runs that end after each of their steps, on a host that forwards; without the rules the endpoint is open."""
    network = {**blue(), "endpoints": [{"name": "web", "addresses": list(WEB.values()), "publish": ["8080:80"]}]}
    strangers = ways(["neighbour", "far"], WEB, 80)
    steps = world.make(network).steps
    steps = world.make().steps if goes else steps
    for step in range(steps):
        world.clear()
        if goes:
            world.make(network)
        assert world.try_run([] if goes else [network], kill_after=step).killed
        if "web" in world.must("ip", "netns", "list").split():
            with world.server("web", 80) as server:
                world.shut(server, *strangers)
                if step == (0 if goes else steps - 1):
                    world.take_away(DIRECT_ACCESS)
                    world.open(server, *strangers)


def moving(name: str, *subnets: str, **options: Any) -> dict[str, Any]:
    """A network whose endpoint has the network's name."""
    return {"name": name, "subnets": list(subnets), "endpoints": [{"name": name}], **options}


# Two lists of networks between which a host goes back and forth.
A, B = ("10.20.0.0/24", "fd00:20::/64"), ("10.21.0.0/24", "fd00:21::/64")
CHANGES = {
    "other-subnets": ([moving("blue", *A)], [moving("blue", *B)]),
    "one-family": ([moving("blue", *A)], [moving("blue", A[0])]),
    "narrower": ([moving("blue", "10.20.0.0/15", "fd00:20::/31")], [moving("blue", *B)]),
    "swapped": ([moving("blue", *A), moving("red", *B)], [moving("blue", *B), moving("red", *A)]),
    "part-for-another": ([moving("blue", "10.20.0.0/15", "fd00:20::/31")], [moving("red", *B)]),
    "no-longer-internal": ([moving("blue", *A, internal=True)], [moving("blue", *B)]),
    "opened": ([moving("blue", *A)], [moving("blue", *B, direct_access=True)]),
}


class Watch:
    """Datagrams that are sent after each step of a run, to the gateways of networks and from their endpoints."""

    def __init__(self, world: Lab, host: socket.socket, neighbour: socket.socket, to: Sequence[str]) -> None:
        self._world, self._host, self._neighbour = world, host, neighbour
        self._datagrams = [("neighbour", address, 7000) for address in to]
        self._datagrams += [(name, address, 7001) for name in ("blue", "red") for address in NEIGHBOUR.values()]

    def run(self, networks: Sequence[dict[str, Any]], **options: Any) -> Outcome:
        """A run in which no datagram comes to the host, and none comes to the neighbour with an endpoint's address."""
        outcome = self._world.try_run(networks, datagrams=self._datagrams, **options)
        assert self._heard(self._host) == []
        assert [(text, source) for text, source in self._heard(self._neighbour) if source not in LAN.values()] == []
        return outcome

    @staticmethod
    def _heard(server: socket.socket) -> list[tuple[str, str]]:
        found = []
        while select.select([server], [], [], IMPATIENCE)[0]:
            text, seen = server.recvfrom(1000)
            found.append((text.decode(), seen[0].replace("::ffff:", "")))
        return found


@pytest.mark.usefixtures("forwarding")
@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_open_while_subnets_change(world: Lab, change: str) -> None:
    """Addresses that leave, and those that come, are closed and translated after each step, and after a SIGKILL."""
    before, after = CHANGES[change]
    to = [*BLUE_GATEWAY.values(), *(RED_GATEWAY.values() if change != "opened" else ())]
    with world.server("host", 7000, "udp") as host, world.server("neighbour", 7001, "udp") as neighbour:
        watch = Watch(world, host, neighbour, to)
        watch.run(before)
        world.take_away(GATEWAY)
        assert world.hears(host, "neighbour", to[0], 7000)
        world.make(*before)
        for wanted in (after, before, after):
            outcome = watch.run(wanted).must()
            assert not world.make(*wanted).changed
        for step in (1, outcome.steps // 2):
            watch.run(before).must()
            assert watch.run(after, kill_after=step).killed
            watch.run(after).must()
            assert not world.make(*after).changed


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

    @pytest.mark.parametrize("gone", [0, 1])
    def test_a_policy_or_a_port_alone_is_enough(self, world: Lab, gone: int) -> None:
        """Each brings a lock of its own, for bridge_firewall and port_publish can be used one without the other."""
        world.make(self.PUBLISHED)
        station = frames.mac_of(world, "br-blue")
        packet = frames.datagram(WEB[4], "127.0.0.1", 4003, 7000)
        world.remove_rules(LOOPBACK[world.backend][gone])
        with world.server("host", 7000, "udp", "127.0.0.1") as server:
            assert not world.told(server, lambda: frames.send(world, "web", station, frames.ETH_IPV4, packet))

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

    def test_on_a_link_that_no_packet_comes_in_by(self, world: Lab) -> None:
        """An address of lo (anycast) is for packets by any interface, until it moves to one that has its own."""
        anycast = {4: "203.0.113.53", 6: "2001:db8:53::1"}
        ports = [f"{bracketed(address)}:8443:443" for address in anycast.values()]
        clients = ways(["neighbour", "host", "web", "db", "app"], anycast, 8443)
        with world.server("web", 443) as server, contextlib.ExitStack() as stack:
            for version, address in anycast.items():
                world.must("ip", "address", "add", address, "dev", "lo")
                stack.enter_context(world.extra_route("neighbour", address, LAN[version]))
            world.make(blue(*ports), RED)
            world.open(server, *clients)
            world.shut(server, *ways(["neighbour"], LAN, 8443))
            for address in anycast.values():
                world.must("ip", "address", "del", address, "dev", "lo")
                world.must("ip", "address", "add", address, "dev", "up1", *(["nodad"] if ":" in address else []))
            world.make(blue(*ports), RED)
            world.shut(server, *ways(["neighbour"], anycast, 8443))
            world.open(server, *clients[2:])
            for address in anycast.values():
                world.must("ip", "address", "del", address, "dev", "up1")

    def test_behind_a_second_uplink_with_a_table_of_its_own(self, world: Lab) -> None:
        """Whoever is further away than its subnet gets no answer, a run says so, and what our page shows mends it."""
        ports = [{"host_ip": address, "host_port": 8443, "container_port": 443} for address in SECOND_UPLINK.values()]
        from_further = [("far", SECOND_UPLINK[v], 8443, FURTHER[v]) for v in VERSIONS]
        with contextlib.ExitStack() as stack:
            world.further_behind_the_second_uplink(stack)
            told = world.make(blue(*ports), RED, check=True).warnings
            assert world.make(blue(*ports), RED).warnings == told
            server = stack.enter_context(world.server("web", 443))
            assert ["come in by up1" in text and "8443/tcp (blue/web)" in text for text in told] == [True, True]
            for address, text in zip(SECOND_UPLINK.values(), told):
                assert f"for {address} get" in text and f"'from {address} lookup 100'" in text
            world.open(server, *ways(["far"], SECOND_UPLINK, 8443))
            with world.server("host", 8444) as own:
                world.open(own, *((place, address, 8444, source) for place, address, unused, source in from_further))
            for place, address, port, *source in (*from_further, *ways(["host"], SECOND_UPLINK, 8443)):
                assert world.closed(place, address, port, server, *source)

            world.mark_answers(stack)
            assert world.make(blue(*ports), RED).warnings == []
            world.open(server, *from_further, *ways(["far", "host", "db", "app"], SECOND_UPLINK, 8443))

    def test_interfaces(self, world: Lab) -> None:
        """Asked for, it is served elsewhere, and only there; the host itself is free."""

        def ports(*links: str) -> list[dict[str, Any]]:
            common = {"host_port": 8443, "container_port": 443, **({"in_interfaces": list(links)} if links else {})}
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
        """One transaction for the rules; of the flows, those from a source that stays go on."""

        def port(*sources: str) -> dict[str, Any]:
            return {"host_port": 8443, "container_port": 443, "allowed_sources": list(sources)}

        mine = [("neighbour", LAN[version], 8443, NEIGHBOUR[version]) for version in VERSIONS]
        others = [("neighbour", LAN[version], 8443, NEIGHBOURS_OTHER[version]) for version in VERSIONS]
        with world.server("web", 443) as server, contextlib.ExitStack() as stack:
            world.make(blue(port("192.0.2.0/24", "2001:db8::/64")), RED)
            world.open(server, *mine, *others)
            flows = [stack.enter_context(connection(world, server, *way)) for way in mine]
            changed = world.make(blue(port(*NEIGHBOUR.values())), RED)
            rules = [command for command in changed.commands if "conntrack" not in command]
            assert len(rules) == (1 if world.backend == "nftables" else 2)
            assert all(command.split("-")[0].strip() in ("nft", "iptables", "ip6tables") for command in rules)
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
        """Neighbour discovery included, and what is published for the host itself."""
        world.make(blue("8080:80", internal=True), RED)
        world.forget_neighbours("web", "db")
        with world.server("web", 80) as server:
            for version in VERSIONS:
                assert world.ask("db", WEB[version], 80, server) == DB[version]
                assert world.ask("host", WEB[version], 80, server) == BLUE_GATEWAY[version]
                assert world.ping("web", BLUE_GATEWAY[version])
            world.open(server, ("host", "127.0.0.1", 8080), *ways(["host", "db"], BLUE_GATEWAY, 8080))


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
    """Networks whose endpoints may exchange named flows only, which are routed through the host."""
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


# ---- 5. hairpin


@NF_CALL
@pytest.mark.parametrize("hairpin", [False, True], ids=["port-hairpin-off", "port-hairpin-on"])
def test_hairpin(world: Lab, nf_call: bool, hairpin: bool) -> None:
    """To oneself and to a neighbour by a published port. One combination cannot work: with bridge-nf-call the kernel
    would have to send a frame out of the port that it came by; so the flag is kept on."""
    network = blue("8080:80", "8080:80/udp")
    world.make(network)
    world.must("bridge", "link", "set", "dev", "v-blue-web", "hairpin", "on" if hairpin else "off")
    possible = hairpin or not nf_call
    for kind in ("tcp", "udp"):
        with world.server("web", 80, kind) as server:
            for addresses in (LAN, BLUE_GATEWAY):
                world.open(server, *ways(["db"], addresses, 8080))
                if possible:
                    world.open(server, *ways(["web"], addresses, 8080))
            if not possible:
                world.shut(server, *ways(["web"], LAN, 8080))
    assert world.make(network).changed == (not hairpin)
    for kind in ("tcp", "udp"):
        with world.server("web", 80, kind) as server:
            world.open(server, *ways(["web", "db"], LAN, 8080), *ways(["web", "db"], BLUE_GATEWAY, 8080))


# ---- 6. connection tracking


ACK, RST = 0x10, 0x04


def leaves_with_private_source(world: Lab, version: int) -> bool:
    """Whether a TCP reset that belongs to no connection reaches the neighbour as an endpoint sent it."""
    to = NEIGHBOUR[version]
    kind = frames.ETH_IPV4 if version == 4 else frames.ETH_IPV6
    source = socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, WEB[version])
    place = slice(12, 16) if version == 4 else slice(8, 24)
    with frames.sender(world, "web", version) as raw:
        words = frames.segment((WEB[version], 40000), (to, 80), 1, 1, RST)
        return frames.seen(
            world, "neighbour", kind, lambda: raw.sendto(words, (to, 0)) and None, lambda found: found[place] == source
        )


@pytest.mark.parametrize("version", VERSIONS, ids=["ipv4", "ipv6"])
class TestStraySegments:
    def test_do_not_leave(self, world: Lab, version: int) -> None:
        world.make(blue())
        world.take_away(PRIVATE_SOURCE)
        assert leaves_with_private_source(world, version)
        world.make(blue())
        assert not leaves_with_private_source(world, version)

    def test_do_not_end_a_translated_connection(self, world: Lab, version: int) -> None:
        world.make(blue())
        world.take_away(STRAYS)
        # each look at the numbers of a connection wants a port of its own
        assert not self.outlives(world, version, 10 * version)
        world.make(blue())
        assert self.outlives(world, version, 10 * version + 1)

    @staticmethod
    def outlives(world: Lab, version: int, port: int) -> bool:
        """Whether a connection goes on after its server has sent a segment far outside of the window."""
        with (
            world.server("neighbour", port) as server,
            connection(world, server, "web", NEIGHBOUR[version], port) as (client, inside),
            frames.sender(world, "neighbour", version) as raw,
        ):
            address, peer_port, *unused = inside.getpeername()
            peer = (address.replace("::ffff:", ""), peer_port)
            assert peer[0] == LAN[version]
            sent, received = frames.sequence_numbers(inside)
            stray = frames.segment((NEIGHBOUR[version], port), peer, (sent + 500_000_000) % 2**32, received, ACK)
            raw.sendto(stray, (peer[0], 0))
            inside.settimeout(IMPATIENCE)
            try:
                inside.recv(1)
            except TimeoutError:
                inside.settimeout(PATIENCE)
                return passes_on(client, inside)
            except OSError:
                return False
            return False


class Teller:
    """Somebody who keeps sending datagrams from one port."""

    def __init__(self, world: Lab, address: str, port: int) -> None:
        self.socket = world["neighbour"].socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
        )
        self.to = (address, port)
        self.tell()

    def tell(self) -> None:
        """Once more."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendto(b"question", self.to)


@pytest.mark.parametrize("version", VERSIONS, ids=["ipv4", "ipv6"])
class TestStaleFlows:
    """A flow keeps the translation that it began with, unless it is forgotten."""

    @pytest.fixture(params=[False, True], ids=["remembered", "forgotten"])
    def forgotten(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    def test_datagrams(self, world: Lab, version: int, forgotten: bool) -> None:
        """From before a port was published, then when it moves and when it goes."""
        how: dict[str, Any] = {} if forgotten else {"without": ["forget_flows"]}
        world.make(blue(), RED)
        with world.server("web", 53, "udp") as web, world.server("db", 53, "udp") as db:
            early = Teller(world, LAN[version], 5300)
            world.make(blue("5300:53/udp"), RED, **how)
            assert world.told(web, early.tell) == forgotten
            later = Teller(world, LAN[version], 5300)
            assert world.told(web, later.tell)
            while world.told(web, lambda: None):
                pass
            world.make(blue(db={"publish": ["5300:53/udp"]}), RED, **how)
            assert world.told(db, later.tell) == forgotten
            last = Teller(world, LAN[version], 5300)
            assert world.told(db, last.tell)
            while world.told(db, lambda: None):
                pass
            world.make(blue(), RED, **how)
            assert world.told(db, last.tell) != forgotten
            for teller in (early, later, last):
                teller.socket.close()

    def test_connections(self, world: Lab, version: int, forgotten: bool) -> None:
        """They end when their port goes; when it moves, they go on while the endpoint that they lead to is there."""
        how: dict[str, Any] = {} if forgotten else {"without": ["forget_flows"]}
        for after, goes_on in ((blue(db={"publish": ["5301:53"]}), True), (blue(), not forgotten)):
            world.make(blue("5301:53"), RED)
            with (
                world.server("web", 53) as server,
                connection(world, server, "neighbour", LAN[version], 5301) as (client, inside),
            ):
                world.make(after, RED, **how)
                client.settimeout(IMPATIENCE)
                inside.settimeout(IMPATIENCE)
                assert passes_on(client, inside) == goes_on

    def test_others_live_on(self, world: Lab, version: int) -> None:
        """To the same port of somebody else, and to that of another address of the host."""
        other = "192.0.2.9" if version == 4 else SECOND_UPLINK[6]
        bound = f"{bracketed(LAN[version])}:5300:53/udp"
        world.make(blue(), RED)
        with world["web"].socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"question", (NEIGHBOUR[version], 5300))
            teller = Teller(world, other, 5300)
            before = self.entries(world, version)
            assert len(before) == 2
            for network in (blue(bound), blue(db={"publish": [bound]}), blue()):
                world.make(network, RED)
                assert before <= self.entries(world, version)
            teller.socket.close()
        world.must("conntrack", "-F")

    @staticmethod
    def entries(world: Lab, version: int) -> set[str]:
        """The numbers of the entries for that port."""
        words = ["-f", f"ipv{version}", "-p", "udp", "--orig-port-dst", "5300", "-o", "id"]
        return {line.rpartition("id=")[2].strip() for line in world.must("conntrack", "-L", *words).splitlines()}


# ---- 7. IPv6


@NO_RULES
class TestIpv6:
    PREFIX = "2001:db8:bad::"

    def advertise(self, world: Lab, place: str, lifetime: int = 1800) -> None:
        packet = frames.router_advertisement(self.PREFIX, lifetime=lifetime)
        frames.send(world, place, frames.ALL_NODES_MAC, frames.ETH_IPV6, packet)

    @staticmethod
    def default_routes(world: Lab, link: str) -> str:
        return world.must("ip", "-6", "route", "show", "default", "dev", link, "proto", "ra")

    def test_advertisements_of_an_endpoint(self, world: Lab) -> None:
        """The host lets no endpoint give it a route or an address (CVE-2020-13401)."""
        world.clear()
        made = world.make(blue()).commands
        guard = made.index("sysctl -w net.ipv6.conf.br-blue.accept_ra=0")
        assert guard < next(n for n, command in enumerate(made) if "br-blue" in command and command.endswith(" up"))
        world.host.sysctl("ipv6/conf/br-blue/accept_ra", 2)
        self.advertise(world, "web")
        assert eventually(lambda: bool(self.default_routes(world, "br-blue")))
        self.advertise(world, "web", lifetime=0)
        assert eventually(lambda: not self.default_routes(world, "br-blue"))
        world.make(blue())
        self.advertise(world, "web")
        assert world.ping("web", BLUE_GATEWAY[6])  # what was sent before has come by now
        assert not self.default_routes(world, "br-blue")
        world.clear()

    def test_none_where_the_network_has_none(self, world: Lab) -> None:
        """Not even by link-local addresses (CVE-2024-32473)."""
        network = {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web"}, {"name": "db"}]}
        world.make(network)
        for name in ("web", "db"):
            world[name].sysctl("ipv6/conf/eth0/accept_dad", 0)
            world[name].sysctl("ipv6/conf/eth0/disable_ipv6", 0)
        own = self.addresses(world, "web")
        assert world.ping("db", f"{own}%eth0")
        world.make(network)
        assert not self.addresses(world, "web")
        assert not self.addresses(world, "db")
        world.clear()

    @staticmethod
    def addresses(world: Lab, name: str) -> str:
        words = world.must("ip", "-n", name, "-6", "-o", "address", "show", "dev", "eth0").split()
        return words[3].partition("/")[0] if words else ""

    def test_the_uplink_keeps_its_default_route(self, world: Lab) -> None:
        """A host that forwards takes no advertisements, and drops the route that it has by one."""
        world.clear()
        world.host.sysctl("ipv6/conf/up0/accept_ra", 1)
        self.advertise(world, "neighbour")
        assert eventually(lambda: bool(self.default_routes(world, "up0")))
        world.host.sysctl("ipv6/conf/all/forwarding", 1)
        assert eventually(lambda: not self.default_routes(world, "up0"))
        world.host.sysctl("ipv6/conf/all/forwarding", 0)
        self.advertise(world, "neighbour")
        assert eventually(lambda: bool(self.default_routes(world, "up0")))
        world.make(blue())
        assert world.must("sysctl", "-n", "net.ipv6.conf.all.forwarding").strip() == "1"
        assert self.default_routes(world, "up0")
        self.advertise(world, "neighbour", lifetime=0)
        assert eventually(lambda: not self.default_routes(world, "up0"))
        self.advertise(world, "neighbour")
        assert eventually(lambda: bool(self.default_routes(world, "up0")))
        world.clear()
        assert world.must("sysctl", "-n", "net.ipv6.conf.up0.accept_ra").strip() == "1"
        self.advertise(world, "neighbour", lifetime=0)

    def test_nothing_waits_for_duplicate_address_detection(self, world: Lab) -> None:
        """Neither the addresses given, nor what the host forwards: for that it asks from its link-local address."""
        world.clear()
        world.make(blue("8080:80"))
        for where in ([], ["-n", "web"], ["-n", "db"]):
            shown = world.must("ip", *where, "-6", "-o", "address", "show", "scope", "global")
            assert "fd00:20::" in shown and "tentative" not in shown
        with world.server("web", 80, "udp") as server:
            world.make(blue("8080:80/udp"))
            assert world.hears(server, "neighbour", LAN[6], 8080)
        world.must("ip", "-n", "web", "address", "add", "fd00:20::77/64", "dev", "eth0")
        assert "tentative" in world.must("ip", "-n", "web", "-6", "-o", "address", "show", "to", "fd00:20::77")
        world.clear()


# ---- 8. announcements


@NO_RULES
def test_an_endpoint_that_is_not_to_forward_any_more_connects_its_networks_no_longer(world: Lab) -> None:
    """As in a namespace that is made anew, whose sysctls are not those of an earlier list."""
    forward = {f"net.ipv{v}.{key}": 1 for v, key in ((4, "ip_forward"), (6, "conf.all.forwarding"))}
    app = {4: "10.21.0.9", 6: "fd00:21::9"}

    def run(**options: Any) -> dict[int, bool]:
        router = {"name": "web", "addresses": ["10.21.0.2", "fd00:21::2"]}
        red = {**RED, "internal": True, "endpoints": [router, {"name": "app", "addresses": list(app.values())}]}
        networks = [blue(db={"routes": [{"to": str(net), "via": "web"} for net in RED["subnets"]]}), red]
        networks[0]["endpoints"][0].update(options)
        world.make(*networks)
        for v, back in ((4, "10.20.0.0/24"), (6, "fd00:20::/64")):
            world.must("ip", f"-{v}", "-n", "app", "route", "replace", back, "via", router["addresses"][v == 6])
        return {v: world.ping("db", app[v], PATIENCE if options else IMPATIENCE) for v in VERSIONS}

    assert run() == {4: False, 6: False}
    assert run(sysctls=forward) == {4: True, 6: True}
    assert run() == {4: False, 6: False}


@NO_RULES
@pytest.mark.parametrize("told", [False, True], ids=["not-announced", "announced"])
def test_an_address_moves(world: Lab, told: bool) -> None:
    """To another station: its neighbours, who remember the old one, find it at once because they are told."""
    world.clear()
    world.make(blue(db={"mac_address": "02:00:00:00:00:03"}))
    with world.server("db", 80, "udp") as server:
        world.open(server, *ways(["web", "host"], DB, 80))
    moved = blue(db={"name": "heir", "mac_address": "02:00:00:00:00:04"})
    world.make(moved, **({} if told else {"without": ["announce"]}))
    with world.server("heir", 80, "udp") as server:
        assert [world.hears(server, "web", address, 80) for address in DB.values()] == [told, told]
    world.clear()


@NO_RULES
@pytest.mark.parametrize("told", [False, True], ids=["not-announced", "announced"])
@pytest.mark.parametrize("damage", ["ip link set v-blue-db nomaster", "ip -n db link set eth0 down"])
def test_an_endpoint_is_in_reach_again(world: Lab, damage: str, told: bool) -> None:
    """A neighbour whose request failed would ask again when its timer expires, and is told when the run returns."""
    world.clear()
    world.make(blue())
    world.forget_neighbours("web")
    for place, link in {"web": "eth0", "host": "br-blue"}.items():
        for family in ("ipv4", "ipv6"):
            world[place].sysctl(f"{family}/neigh/{link}/retrans_time_ms", 60000)
    world.must(*damage.split())
    askers = [(place, address) for place in ("web", "host") for address in DB.values()]
    with world.server("db", 80, "udp") as server:
        for place, address in askers:
            assert not world.hears(server, place, address, 80)
        world.make(blue(), **({} if told else {"without": ["announce"]}))
        world.drain(server)
        assert [world.hears(server, place, address, 80) for place, address in askers] == [told] * 4
    world.clear()
