# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The iptables back-end on a real kernel, in both variants: what it writes it reads back, and packets obey.

Whatever must be closed is first shown to be open without the rule that closes it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.project import TREE  # noqa: E402
from tools.tree import link  # noqa: E402

link()
sys.path.insert(0, str(TREE))

from packet_filter_states import BLUE, EGRESS, EGRESS6, EVERYTHING, RED, WEB, WEB6, state_of  # noqa: E402
from small_world import IMPATIENCE, World  # noqa: E402

from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.plan import measures  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.reader import Foreign  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.backend import IptablesBackend  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.layout import render  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netfilter import Netfilter  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.model import (  # noqa: E402
    BridgePolicy,
    FirewallState,
    Flow,
    Masquerade,
    PortRange,
    PublishedPort,
)

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

# what the endpoint sees, by client and the address that it asks
OUTSIDE = {
    ("neighbour", "192.0.2.1"): "192.0.2.2",
    ("neighbour", "2001:db8::1"): "2001:db8::2",
    ("host", "192.0.2.1"): "192.0.2.1",
    ("host", "2001:db8::1"): "2001:db8::1",
    ("host", "127.0.0.1"): "10.20.0.1",
    ("host", "10.20.0.1"): "10.20.0.1",
    ("red", "192.0.2.1"): "10.21.0.2",
    ("red", "10.21.0.1"): "10.21.0.2",
    ("red", "2001:db8::1"): "fd00:21::2",
}
GATEWAYS = {4: "10.20.0.1", 6: "fd00:20::1"}
HOST_ADDRESSES = {4: "192.0.2.1", 6: "2001:db8::1"}
NF_CALL = pytest.mark.parametrize("bridge_filter", [False, True], ids=["nf-call-0", "nf-call-1"])


class Filter:
    """The calls of a module to the host's packet filter."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.backend = IptablesBackend(Netfilter(world.run))

    def read(self) -> Any:
        return self.world.host.visit(self.backend.read)

    def converge(self, *parts: Any, drop_foreign: bool = False) -> list[Any]:
        """Make the state of these parts and nothing else hold; the steps that it took."""
        wanted = state_of(parts, drop_foreign)
        steps = self.backend.plan(self.read(), wanted)
        for step in steps:
            step.apply(self.world)
        found = self.read()
        assert self.backend.state(found) == wanted
        assert self.backend.plan(found, wanted) == []
        return steps

    def let_through(self, *parts: Any) -> None:
        """As a run does next, where chains of others would drop at their end what is ours."""
        wanted, jumps = state_of(parts), self.backend.jumps(self.read())
        looked = Foreign(self.backend.netfilter)
        found = self.world.host.visit(lambda: measures(looked, wanted, wanted, jumps))
        for step in (*found.first, *found.last):
            step.apply(self.world)


@pytest.fixture(scope="module", params=["nft", "legacy"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    found = World(request.param)
    yield found
    found.close()


@pytest.fixture
def rules(world: World) -> Iterator[Filter]:
    made = Filter(world)
    yield made
    world.bridge_filter(False)
    made.converge()
    world.must("conntrack", "-F")


# --- rules


FOREIGN = """*raw
-A PREROUTING -s 203.0.113.1/32 -j DROP
COMMIT
*mangle
-A PREROUTING -s 203.0.113.1/32 -j MARK --set-xmark 0x1/0xffffffff
COMMIT
*filter
:DOCKER-USER - [0:0]
:FORWARD DROP [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -i docker0 -m comment --comment "it's \\"quoted\\"" -j ACCEPT
-A DOCKER-USER -j RETURN
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""


@pytest.fixture
def foreign(world: World) -> Iterator[str]:
    """Rules of others in every table that we use, as iptables-save prints them."""
    world.must("iptables-restore", text=FOREIGN)
    yield theirs(world)
    world.must("iptables-restore", text="".join(f"*{table}\nCOMMIT\n" for table in ("raw", "mangle", "filter", "nat")))
    world.must("iptables", "-P", "FORWARD", "ACCEPT")  # which the legacy variant keeps otherwise


def theirs(world: World) -> str:
    lines = world.must("iptables-save").splitlines()
    return "\n".join(line.partition(" [")[0] for line in lines if "DLN-" not in line and not line.startswith("#"))


def contents(dump: Any) -> Any:
    """The state as it was read; the order of our jumps among themselves does not matter."""
    return {version: (rules.chains, Counter(rules.jumps)) for version, rules in dump.families.items()}


def test_what_is_written_is_read_back(rules: Filter) -> None:
    assert rules.backend.usable() is None
    steps = rules.converge(*EVERYTHING, drop_foreign=True)

    assert [step.argv[0] for step in steps] == ["iptables-restore", "ip6tables-restore"]
    wanted = render(rules.backend.state(rules.read()))
    for version, found in rules.read().families.items():
        assert found.chains == wanted[version].chains
        assert set(found.jumps) == set(wanted[version].jumps)
    assert len(rules.converge()) == 2
    assert "DLN" not in rules.world.must("iptables-save") + rules.world.must("ip6tables-save")


def test_each_step_can_be_taken_back(rules: Filter) -> None:
    rules.converge(BLUE, WEB, EGRESS)
    before = rules.read()
    for step in rules.converge(RED, WEB6, drop_foreign=True):
        for undo in step.undo():
            undo.apply(rules.world)

    assert contents(rules.read()) == contents(before)


def test_the_rules_of_others_are_not_touched(rules: Filter, foreign: str) -> None:
    for parts in (EVERYTHING, EVERYTHING[:3], EVERYTHING[4:9], EVERYTHING):
        rules.converge(*parts)
        assert theirs(rules.world) == foreign
    rules.converge()
    assert theirs(rules.world) == foreign


@pytest.mark.parametrize(
    "damage",
    [
        "*nat\n-F\nCOMMIT\n*filter\n-F\nCOMMIT\n",
        "*nat\n-F\n-X\nCOMMIT\n*filter\n-F\n-X\nCOMMIT\n*raw\n-F\n-X\nCOMMIT\n*mangle\n-F\n-X\nCOMMIT\n",
        "*nat\n-F DLN-PUBLISH\n-D DLN-EGRESS 1\n-I DLN-PUBLISH-IN -j RETURN\nCOMMIT\n",
        "*filter\n-I FORWARD -m comment --comment dockerless.network -j DLN-FORWARD\n-D DLN-INTO-br-blue 1\nCOMMIT\n",
        "*mangle\n:DLN-OLD - [0:0]\n-A DLN-OLD -j DROP\n-A INPUT -j DLN-OLD\n-I INPUT -i up0 -j DLN-GUARD\nCOMMIT\n",
    ],
    ids=["flush", "flush-and-delete", "some-rules", "doubled-jump", "orphans"],
)
def test_damage_is_repaired_in_one_transaction(rules: Filter, damage: str) -> None:
    rules.converge(*EVERYTHING)
    before = rules.read()
    rules.world.must("iptables-restore", "--noflush", text=damage)
    assert rules.read() != before

    assert len(rules.converge(*EVERYTHING)) == 1
    assert contents(rules.read()) == contents(before)


def test_commands_of_one_section_after_the_other_make_the_same_rules(rules: Filter) -> None:
    parts = [
        [part for part in EVERYTHING if isinstance(part, kind)] for kind in (BridgePolicy, Masquerade, PublishedPort)
    ]
    empty = rules.read()
    for section in parts:
        state = FirewallState(*(frozenset(section) if section is each else frozenset() for each in parts))
        for step in rules.backend.plan(empty, state):
            for command in step.commands():
                rules.world.must("sh", "-e", "-c", command)

    assert rules.converge(*EVERYTHING) == []


# --- egress


def test_masquerade(rules: Filter) -> None:
    with rules.world.server("neighbour", 80) as server:
        for address, private, public in (
            ("192.0.2.2", "10.20.0.2", "192.0.2.1"),
            ("2001:db8::2", "fd00:20::2", "2001:db8::1"),
        ):
            rules.converge(BLUE)
            assert rules.world.ask("web", address, 80, server) == private
            rules.converge(BLUE, EGRESS, EGRESS6)
            assert rules.world.ask("web", address, 80, server) == public


def test_what_is_excluded_leaves_as_it_is_and_its_replies_come_back(rules: Filter) -> None:
    excluding = replace(EGRESS, exclude=(ip_network("192.0.2.2/32"),))
    rules.converge(BLUE, excluding)
    with rules.world.server("neighbour", 80) as server:
        assert rules.world.ask("web", "192.0.2.2", 80, server) == "10.20.0.2"
        assert rules.world.ask("web", "192.0.2.3", 80, server) == "192.0.2.1"


def test_a_source_address_of_choice(rules: Filter) -> None:
    rules.converge(BLUE, replace(EGRESS, to_source=ip_address("192.0.2.9"), random_fully=True))
    with rules.world.server("neighbour", 80) as server:
        assert rules.world.ask("web", "192.0.2.2", 80, server) == "192.0.2.9"


NEW = ("-m", "conntrack", "--ctstate", "NEW")


def test_a_foreign_forward_policy_of_drop_does_not_stop_us(rules: Filter) -> None:
    """Our chains accept nothing, so that rules of others have their say: what does is at the end of FORWARD."""
    rules.world.must("iptables", "-P", "FORWARD", "DROP")
    try:
        with rules.world.server("neighbour", 80) as outside, rules.world.server("web", 80) as inside:
            for parts, passes in (((EGRESS, WEB), False), ((BLUE, EGRESS, WEB), True)):
                rules.converge(*parts)
                assert rules.world.closed("web", "192.0.2.2", 80, outside)
                rules.let_through(*parts)
                assert rules.world.closed("web", "192.0.2.2", 80, outside) is not passes
                assert rules.world.closed("neighbour", "192.0.2.1", 8080, inside) is not passes
            assert rules.world.closed("neighbour", "10.20.0.2", 80, inside)
            rules.world.must("iptables", "-I", "FORWARD", *NEW, "-d", "192.0.2.2", "-j", "DROP")
            assert rules.world.closed("web", "192.0.2.2", 80, outside)
            assert not rules.world.closed("neighbour", "192.0.2.1", 8080, inside)
    finally:
        rules.world.must("iptables", "-P", "FORWARD", "ACCEPT")
        rules.world.run(["iptables", "-D", "FORWARD", *NEW, "-d", "192.0.2.2", "-j", "DROP"])
        rules.let_through()


def stray_reset_leaks(world: World) -> bool:
    """Whether a TCP reset that belongs to no connection reaches the neighbour with its private source."""
    protocol = socket.htons(0x0800)
    tcp = struct.pack("!HHLLBBHHH", 40000, 80, 1, 1, 5 << 4, 0x04, 0, 0, 0)
    with (
        world["neighbour"].socket(socket.AF_PACKET, socket.SOCK_DGRAM, protocol) as wire,
        world["web"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as sender,
    ):
        wire.settimeout(IMPATIENCE)
        sender.sendto(tcp, ("192.0.2.2", 0))
        try:
            while True:
                packet = wire.recv(200)
                if packet[12:16] == bytes([10, 20, 0, 2]):
                    return True
        except TimeoutError:
            return False


def test_what_conntrack_cannot_place_does_not_leave(rules: Filter) -> None:
    rules.converge(EGRESS)
    assert stray_reset_leaks(rules.world)
    rules.converge(BLUE, EGRESS)
    assert not stray_reset_leaks(rules.world)


def segment(source: tuple[str, int], to: tuple[str, int], seq: int, ack: int) -> bytes:
    """A TCP segment with nothing but an acknowledgement."""
    words = struct.pack("!HHLLBBHHH", source[1], to[1], seq, ack, 5 << 4, 0x10, 1000, 0, 0)
    pseudo = socket.inet_aton(source[0]) + socket.inet_aton(to[0]) + struct.pack("!HH", socket.IPPROTO_TCP, len(words))
    total = sum(struct.unpack("!16H", pseudo + words))
    total = (total >> 16) + (total & 0xFFFF)
    return words[:16] + struct.pack("!H", 0xFFFF - (total + (total >> 16) & 0xFFFF)) + words[18:]


def sequence_numbers(connection: socket.socket) -> list[int]:
    """The next number to send and the next to receive (TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ in tcp.h).

    Looking costs the socket its SO_REUSEADDR, so each look wants a port of its own.
    """
    connection.setsockopt(socket.IPPROTO_TCP, 19, 1)
    numbers = []
    for queue in (2, 1):
        connection.setsockopt(socket.IPPROTO_TCP, 20, queue)
        numbers.append(connection.getsockopt(socket.IPPROTO_TCP, 21) & 0xFFFFFFFF)
    connection.setsockopt(socket.IPPROTO_TCP, 19, 0)
    return numbers


def outlives_a_stray_segment(world: World, port: int) -> bool:
    """Whether a masqueraded connection goes on after its server has sent a segment far outside of the window."""
    with (
        world.server("neighbour", port) as server,
        world["web"].socket(socket.AF_INET, socket.SOCK_STREAM) as client,
        world["neighbour"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw,
    ):
        client.settimeout(3)
        client.connect(("192.0.2.2", port))
        connection, seen = server.accept()
        with connection:
            peer = (seen[0].replace("::ffff:", ""), seen[1])
            assert peer[0] == "192.0.2.1"
            sent, received = sequence_numbers(connection)
            raw.sendto(segment(("192.0.2.2", port), peer, (sent + 500_000_000) % 2**32, received), (peer[0], 0))
            time.sleep(0.02)
            try:
                connection.sendall(b"on")
                return client.recv(10) == b"on"
            except OSError:
                return False


def test_a_stray_segment_does_not_end_a_translated_connection(rules: Filter) -> None:
    rules.converge(BLUE, EGRESS)
    assert outlives_a_stray_segment(rules.world, 90)
    rules.world.must("iptables", "-F", "DLN-STRAYS")
    assert not outlives_a_stray_segment(rules.world, 91)


def redirected(world: World, name: str) -> bool:
    """Whether the host tells an endpoint that asks by way of the gateway that there is a shorter way.

    Not at once where addresses are translated (NAT lets no redirect by before it is done with the flow), and for each
    endpoint more and more seldom, so each is asked once.
    """
    for key in ("all", "eth0"):
        world[name].sysctl(f"ipv4/conf/{key}/accept_redirects", 0)
    world.must("ip", "-n", name, "route", "add", "10.20.0.99/32", "via", "10.20.0.1")
    with (
        world[name].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as listener,
        world[name].socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        listener.settimeout(IMPATIENCE)
        for unused in range(3):
            client.sendto(b"hello", ("10.20.0.99", 80))
            time.sleep(0.05)
        try:
            while True:
                if listener.recv(200)[20] == 5:
                    return True
        except TimeoutError:
            return False
        finally:
            world.must("ip", "-n", name, "route", "del", "10.20.0.99/32")


def test_where_only_flows_may_pass_nobody_is_told_the_short_way(rules: Filter) -> None:
    flow = Flow(ip_network("10.20.0.0/24"), ip_network("10.20.0.99/32"), "udp")
    rules.world.must("ip", "neigh", "add", "10.20.0.99", "lladdr", "02:00:00:00:00:99", "dev", "br-blue")
    rules.converge(replace(BLUE, icc=False, allow=(flow,)))
    assert not redirected(rules.world, "web")
    rules.world.must("iptables", "-F", "DLN-OUTPUT")
    assert redirected(rules.world, "db")
    rules.world.must("ip", "neigh", "del", "10.20.0.99", "dev", "br-blue")


# --- published ports


@NF_CALL
def test_a_published_port(rules: Filter, bridge_filter: bool) -> None:
    rules.world.bridge_filter(bridge_filter)
    with rules.world.server("web", 80) as server:
        rules.converge(BLUE, RED)
        for client, address in OUTSIDE:
            assert rules.world.closed(client, address, 8080, server)
        rules.converge(BLUE, RED, WEB, WEB6)
        assert {case: rules.world.ask(*case, 8080, server) for case in OUTSIDE} == OUTSIDE


@NF_CALL
@pytest.mark.parametrize("icc", [True, False], ids=["icc", "no-icc"])
def test_a_published_port_from_its_own_network(rules: Filter, bridge_filter: bool, icc: bool) -> None:
    """From the endpoint itself (web, by hairpin) and from the one beside it (db), which shows its own address as long
    as its frames are translated on the bridge itself."""
    rules.world.bridge_filter(bridge_filter)
    rules.converge(replace(BLUE, icc=icc), WEB, WEB6)
    own = {4: "10.20.0.3", 6: "fd00:20::3"} if bridge_filter else GATEWAYS
    with rules.world.server("web", 80) as server:
        for version in (4, 6):
            for address in (GATEWAYS[version], HOST_ADDRESSES[version]):
                assert rules.world.ask("web", address, 8080, server) == GATEWAYS[version]
                assert rules.world.ask("db", address, 8080, server) == own[version]


def test_udp_ranges_and_shifted_ranges(rules: Filter) -> None:
    rules.converge(
        BLUE,
        replace(WEB, protocol="udp", host_ports=PortRange(5000, 5010), container_port=5000),
        replace(WEB, protocol="udp", host_ports=PortRange(6000, 6010), container_port=70),
        replace(WEB6, protocol="udp", host_ports=PortRange(6000, 6010), container_port=70),
    )
    for asked, port in ((5000, 5000), (5007, 5007), (5010, 5010), (6000, 70), (6007, 77), (6010, 80)):
        with rules.world.server("web", port, "udp") as server:
            assert rules.world.ask("neighbour", "192.0.2.1", asked, server) == "192.0.2.2"
            assert rules.world.ask("host", "127.0.0.1", asked, server) == "10.20.0.1"
            if asked >= 6000:
                assert rules.world.ask("neighbour", "2001:db8::1", asked, server) == "2001:db8::2"
    with rules.world.server("web", 81, "udp") as server:
        assert rules.world.closed("neighbour", "192.0.2.1", 6011, server)


def test_a_port_on_one_address_is_not_served_by_another_interface(rules: Filter) -> None:
    """The neighbour routes 198.51.100.1, the address of up1, by up0 (the weak host model)."""
    bound = replace(WEB, host_ip=ip_address("198.51.100.1"))
    with rules.world.server("web", 80) as server:
        rules.converge(BLUE, RED, WEB)
        assert rules.world.ask("neighbour", "198.51.100.1", 8080, server) == "192.0.2.2"
        rules.converge(BLUE, RED, bound)
        assert rules.world.closed("neighbour", "198.51.100.1", 8080, server)
        assert rules.world.closed("neighbour", "192.0.2.1", 8080, server)
        for client in ("far", "host", "db", "web", "red"):
            assert rules.world.ask(client, "198.51.100.1", 8080, server) is not None, client
        rules.converge(BLUE, RED, replace(bound, in_interfaces=("up0",)))
        assert rules.world.ask("neighbour", "198.51.100.1", 8080, server) == "192.0.2.2"
        assert rules.world.closed("far", "198.51.100.1", 8080, server)
        assert rules.world.ask("host", "198.51.100.1", 8080, server) is not None


def test_sources_and_interfaces_limit_others_and_not_the_host(rules: Filter) -> None:
    with rules.world.server("web", 80) as server:
        rules.converge(BLUE, replace(WEB, allowed_sources=(ip_network("192.0.2.3/32"),)))
        assert rules.world.ask("neighbour", "192.0.2.1", 8080, server, source="192.0.2.3") == "192.0.2.3"
        assert rules.world.closed("neighbour", "192.0.2.1", 8080, server, source="192.0.2.2")
        assert rules.world.closed("far", "198.51.100.1", 8080, server)
        for address in ("192.0.2.1", "127.0.0.1"):
            assert rules.world.ask("host", address, 8080, server) is not None
        rules.converge(BLUE, replace(WEB, in_interfaces=("up1",)))
        assert rules.world.closed("neighbour", "192.0.2.1", 8080, server)
        assert rules.world.ask("far", "198.51.100.1", 8080, server) == "198.51.100.2"
        assert rules.world.ask("host", "127.0.0.1", 8080, server) is not None


def test_an_address_of_the_loopback_network_is_closed_to_the_lan(rules: Filter) -> None:
    """The neighbour routes 127.0.0.2 to the host; translation comes before the kernel's own check of such addresses."""
    rules.converge(replace(WEB, protocol="udp", host_ip=ip_address("127.0.0.2")), replace(WEB, protocol="udp"))
    with rules.world.server("web", 80, "udp") as server:
        rules.world.must("iptables", "-t", "raw", "-F", "DLN-LOOPBACK")
        assert rules.world.hears(server, "neighbour", "127.0.0.2", 8080)
        rules.converge(replace(WEB, protocol="udp", host_ip=ip_address("127.0.0.2")))
        assert not rules.world.hears(server, "neighbour", "127.0.0.2", 8080)
        assert rules.world.ask("host", "127.0.0.2", 8080, server) == "10.20.0.1"


def test_flows_outlive_a_rebuild_of_every_chain(rules: Filter) -> None:
    rules.converge(BLUE, WEB)
    with (
        rules.world.server("web", 80) as server,
        rules.world["neighbour"].socket(socket.AF_INET, socket.SOCK_STREAM) as client,
    ):
        client.settimeout(3)
        client.connect(("192.0.2.1", 8080))
        inside, _address = server.accept()
        with inside:
            rules.converge(replace(BLUE, network="x"), RED, EGRESS, replace(WEB, network="x"), WEB6)
            inside.sendall(b"down")
            assert client.recv(10) == b"down"
            client.sendall(b"up")
            assert inside.recv(10) == b"up"


# --- closed to everyone else


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("neighbour", "10.20.0.2"),
        ("neighbour", "fd00:20::2"),
        ("red", "10.20.0.2"),
        ("red", "fd00:20::2"),
        ("far", "10.20.0.2"),
    ],
)
def test_endpoints_are_closed_to_direct_routing(rules: Filter, client: str, address: str) -> None:
    with rules.world.server("web", 80) as server:
        assert rules.world.ask(client, address, 80, server) is not None
        rules.converge(BLUE, RED, WEB)
        assert rules.world.closed(client, address, 80, server)
        assert rules.world.ask("db", address, 80, server) is not None
        assert rules.world.ask("host", address, 80, server) is not None
        rules.converge(replace(BLUE, direct_access=True), RED)
        assert rules.world.ask(client, address, 80, server) is not None


def test_a_trusted_interface_is_let_in(rules: Filter) -> None:
    with rules.world.server("web", 80) as server:
        rules.converge(replace(BLUE, trusted_interfaces=("up1",)))
        assert rules.world.closed("neighbour", "10.20.0.2", 80, server)
        assert rules.world.ask("far", "10.20.0.2", 80, server) == "198.51.100.2"


def test_allowed_flows_are_let_in_from_elsewhere(rules: Filter) -> None:
    def flow(source: str, to: str) -> Flow:
        return Flow(ip_network(source), ip_network(to), "tcp", PortRange(80, 80))

    flows = (flow("192.0.2.3/32", "10.20.0.2/32"), flow("10.21.0.0/24", "10.20.0.0/24"), flow("::/0", "fd00:20::2/128"))
    with rules.world.server("web", 80) as server, rules.world.server("web", 81) as other:
        rules.converge(replace(BLUE, allow=flows), RED, EGRESS)
        assert rules.world.ask("neighbour", "10.20.0.2", 80, server, source="192.0.2.3") == "192.0.2.3"
        assert rules.world.ask("red", "10.20.0.2", 80, server) == "10.21.0.2"
        assert rules.world.ask("neighbour", "fd00:20::2", 80, server) == "2001:db8::2"
        assert rules.world.closed("neighbour", "10.20.0.2", 80, server, source="192.0.2.2")
        assert rules.world.closed("red", "10.20.0.2", 81, other)
        rules.converge(replace(BLUE, allow=flows, internal=True), RED)
        assert rules.world.closed("red", "10.20.0.2", 80, server)


def test_allowed_flows_are_let_in_between_endpoints(rules: Filter) -> None:
    flow = Flow(ip_network("10.20.0.3/32"), ip_network("10.20.0.2/32"), "tcp", PortRange(80, 80))
    rules.world.bridge_filter(True)
    with rules.world.server("web", 80) as server, rules.world.server("web", 81) as other:
        rules.converge(BLUE)
        assert rules.world.ask("db", "10.20.0.2", 80, server) is not None
        rules.converge(replace(BLUE, icc=False))
        assert rules.world.closed("db", "10.20.0.2", 80, server)
        assert rules.world.closed("db", "fd00:20::2", 80, server)
        rules.converge(replace(BLUE, icc=False, allow=(flow,)))
        assert rules.world.ask("db", "10.20.0.2", 80, server) == "10.20.0.3"
        assert rules.world.closed("db", "10.20.0.2", 81, other)


@pytest.mark.parametrize(
    ("client", "address"), [("neighbour", "10.20.0.1"), ("red", "10.20.0.1"), ("red", "fd00:20::1")]
)
def test_the_gateway_is_closed_to_the_outside(rules: Filter, client: str, address: str) -> None:
    with rules.world.server("host", 7000) as server:
        assert rules.world.ask(client, address, 7000, server) is not None
        rules.converge(BLUE, RED)
        assert rules.world.closed(client, address, 7000, server)
        assert rules.world.ask("web", address, 7000, server) is not None
        assert rules.world.ask("host", address, 7000, server) is not None


def test_loopback_services_of_the_host_are_closed_to_endpoints(rules: Filter) -> None:
    """route_localnet is set on the bridge for ports on 127.0.0.1; without a guard it opens all of 127.0.0.0/8."""
    with rules.world.server("host", 7000, "udp", "127.0.0.5") as server:
        assert rules.world.hears(server, "web", "127.0.0.5", 7000)
        for parts in ([BLUE], [WEB]):
            rules.converge(*parts)
            assert not rules.world.hears(server, "web", "127.0.0.5", 7000)


@NF_CALL
@pytest.mark.parametrize("version", [4, 6])
def test_an_internal_network(rules: Filter, version: int, bridge_filter: bool) -> None:
    world = rules.world
    world.bridge_filter(bridge_filter)
    ports = [replace(port, protocol=protocol) for port in (WEB, WEB6) for protocol in ("tcp", "udp")]
    internal = replace(BLUE, internal=True, trusted_interfaces=("up1",))
    web, outside = {4: ("10.20.0.2", "192.0.2.2"), 6: ("fd00:20::2", "2001:db8::2")}[version]
    public = HOST_ADDRESSES[version]
    with (
        world.server("web", 80) as server,
        world.server("web", 80, "udp") as datagrams,
        world.server("neighbour", 80) as far,
        world.server("neighbour", 80, "udp") as far_datagrams,
    ):
        rules.converge(BLUE, EGRESS, EGRESS6, *ports)
        assert world.ask("web", outside, 80, far) is not None
        assert world.ask("neighbour", public, 8080, server) is not None
        assert world.hears(far_datagrams, "web", outside, 80)
        assert world.hears(datagrams, "neighbour", public, 8080)
        rules.converge(internal, RED, EGRESS, EGRESS6, *ports)
        assert world.closed("web", outside, 80, far)
        assert world.closed("neighbour", public, 8080, server)
        assert not world.hears(far_datagrams, "web", outside, 80)
        assert not world.hears(datagrams, "neighbour", public, 8080)
        for client in ("neighbour", "red", "far"):
            assert world.closed(client, web, 80, server)
        assert world.ask("db", web, 80, server) is not None
        assert world.ask("host", web, 80, server) is not None
        assert world.ping("web", GATEWAYS[version])


def test_no_access_to_the_host(rules: Filter) -> None:
    closed = replace(BLUE, host_access=False)
    with rules.world.server("host", 7000) as server, rules.world.server("web", 80) as web:
        for address in ("10.20.0.1", "192.0.2.1", "fd00:20::1", "2001:db8::1"):
            assert rules.world.ask("db", address, 7000, server) is not None
            rules.converge(closed, WEB, WEB6)
            # so that neighbour discovery has to work as well
            rules.world.must("ip", "-n", "db", "neigh", "flush", "dev", "eth0")
            assert rules.world.closed("db", address, 7000, server)
            assert rules.world.ask("db", address, 8080, web) is not None
            assert rules.world.ping("db", address)
            rules.converge()
        rules.converge(closed)
        assert rules.world.ask("host", "10.20.0.2", 80, web) is not None
        assert rules.world.ask("neighbour", "192.0.2.1", 7000, server) is not None


def test_foreign_traffic_is_dropped_and_ours_is_not(rules: Filter) -> None:
    with rules.world.server("neighbour", 80) as server:
        assert rules.world.ask("far", "192.0.2.2", 80, server) == "198.51.100.2"
        rules.converge(drop_foreign=True)
        assert rules.world.closed("far", "192.0.2.2", 80, server)
        assert rules.world.ask("web", "192.0.2.2", 80, server) == "10.20.0.2"


def test_foreign_traffic_that_others_accept_passes(rules: Filter) -> None:
    accepts = [("-i", "up1", "-j", "ACCEPT"), ("-o", "up1", "-j", "ACCEPT")]
    for accept in accepts:
        rules.world.must("iptables", "-A", "FORWARD", *accept)
    with rules.world.server("neighbour", 80) as server:
        rules.converge(drop_foreign=True)
        assert rules.world.ask("far", "192.0.2.2", 80, server) == "198.51.100.2"
    for accept in accepts:
        rules.world.must("iptables", "-D", "FORWARD", *accept)
