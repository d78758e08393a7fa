# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The path check agrees with a real packet, and names the layer that is broken.

For a longer run with more draws, run DOCKERLESS_DRAWS=1000 pytest tests/behaviour/test_path_check.py -k test_draws.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from breakages import BREAKAGES, Breakage, Flow
from engine_world import BACKENDS, ROOT, SETTINGS
from fleet import eventually
from path_draws import LISTENING, AllDraws, Draws, backends
from path_networks import KINDS, PROTOCOLS, Networks
from path_order import ASKED, BRIDGED, EITHER, KNOWN, ROUTED, Questions, place
from path_services import Server
from path_world import PathWorld, tell

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

PAGE = ROOT / "docs" / "path_check.md"
WEB, DB, APP = "10.20.0.2", "10.20.0.3", "10.21.0.2"
HOST, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
RED_GATEWAY = "10.21.0.1"
SIX = {
    WEB: "fd00:20::2",
    DB: "fd00:20::3",
    APP: "fd00:21::2",
    RED_GATEWAY: "fd00:21::1",
    "10.20.0.1": "fd00:20::1",
    HOST: "2001:db8::1",
    NEIGHBOUR: "2001:db8::2",
}
NETWORKS: list[dict[str, Any]] = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [
            {"name": "web", "addresses": [WEB, "fd00:20::2"], "publish": ["8080:80", "5353:53/udp"]},
            {"name": "db", "addresses": [DB, "fd00:20::3"], "aliases": ["sql"]},
        ],
    },
    {
        "name": "red",
        "subnets": ["10.21.0.0/24", "fd00:21::/64"],
        "endpoints": [{"name": "app", "addresses": [APP, SIX[APP]]}],
    },
]


# ---- random networks and flows, each breakage once


NAMED = {breakage.name: breakage for breakage in BREAKAGES}
SEED_OF_PAIRS, COUNT_OF_PAIRS = 7, 60
SEED = int(os.environ.get("DOCKERLESS_SEED", random.SystemRandom().randrange(1 << 32)))


@pytest.fixture(scope="module")
def draws() -> Iterator[AllDraws]:
    found = AllDraws(SEED)
    yield found
    print(f"\npath check, seed {SEED}", *found.scores, sep="\n")
    found.close()


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_breakage(draws: AllDraws, breakage: Breakage) -> None:
    """On every back-end, and in each family in which it is possible; the seed says which of them go together."""
    draws.forget()
    draws.each_family(SEED + BREAKAGES.index(breakage), lambda one, version: one.named(breakage, version))
    assert not draws.wrong, "\n".join(draws.wrong)
    for one in draws.draws:
        # A packet arrives in spite of some if the kernel still knows a MAC address or an answer.
        assert one.world.told["layer"] is None or is_on_the_page(breakage.name, one.world.told["advice"])


# Faults that long runs found; the number is the seed of the run.
DRAWN = {
    "11: compared with addresses behind the translation": ("IPsec forwarded", "in", 4),
    "12: the same on the way back to the bridge": ("IPsec forwarded", "hairpin", 6),
    "a route to lo is not mended by a loose rp_filter": ("rp_filter of the endpoint", "self_published", 4),
    "8001: a packet from a link-local address comes back to its link": ("address of the source", "same", 6, "icmp"),
    "6001: the sender of a datagram is not told that nobody has the MAC address": ("silent router", "out", 4, "udp"),
}
# The same of two breakages, in the order in which they are made, and whether MAC addresses are asked for.
PAIRS_DRAWN = {
    "2001: nobody has the address, but the question is lost before that": (
        "ingress of the source", "address of the server", "same", 6, ASKED),
    "3001: the same in IPv4": ("host's end of the source", "address of the server", "same", 4, ASKED),
    "3001: what traffic control takes does not come to the port": (
        "traffic control", "port of the source disabled", "same", 4, KNOWN),
    "11001: a bridge that is down has no IPv6 address, so nobody has that of the entry": (
        "wrong MAC at the source", "bridge of the source", "other", 6, EITHER),
    "a bridge does not call its chains for a port that is down": (
        "host's end of the server", "bridge forward", "same", 4, EITHER),
    "the youngest of chains with one priority is called first": (
        "drop in forward", "drop by a jump", "other", 4, EITHER),
    "a bridge looks at the state of a port first": ("port of the server disabled", "isolated ports", "same", 6, ASKED),
    "20261130: an endpoint whose link is down has no IPv6 address, and a route still leads its packets away": (
        "server's link", "rule elsewhere", "hairpin", 6, ASKED),
    "nor has one that has lost it": ("address of the server", "route elsewhere", "other", 4, EITHER),
    "90210: a published port is certainly that of an endpoint": (
        "rule elsewhere", "address of the server", "in", 4, EITHER),
    "90210: a rule leads packets away whether the bridge is up or not": (
        "rule elsewhere", "bridge of the server", "other", 6, EITHER),
    "and so does a route": ("route elsewhere", "bridge of the server", "other", 4, EITHER),
}  # fmt: skip


@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_drawn_before(draws: AllDraws, drawn: tuple[Any, ...]) -> None:
    draws.forget()
    name, *flow = drawn
    draws.each_family(0, lambda one, unused: one.draw_of(flow_of(one, *flow), NAMED[name]))
    assert not draws.wrong, "\n".join(draws.wrong)
    assert [score.unknown for score in draws.scores] == [[], [], []]


@pytest.mark.parametrize(("first", "second", "kind", "version", "questions"), PAIRS_DRAWN.values(), ids=PAIRS_DRAWN)
def test_pairs_drawn_before(
    draws: AllDraws, first: str, second: str, kind: str, version: int, questions: Questions
) -> None:
    draws.forget()
    pair = NAMED[first], NAMED[second]
    draws.each_family(0, lambda one, unused: one.pair_of(flow_of(one, kind, version), *pair, questions))
    assert not draws.wrong, "\n".join(draws.wrong)


def flow_of(draws: Draws, kind: str, version: int, protocol: str = "tcp") -> Flow:
    found = draws.networks.flow_of(kind, version, protocol)
    assert found is not None
    return found


# At the link, in the packet filter, behind the translation to another port, in the endpoint and on the way back.
FROM_OUTSIDE = ("ingress of the uplink", "not published", "blackhole", "server's link", "nobody listens", "no way back")


@pytest.mark.parametrize("name", FROM_OUTSIDE)
def test_packets_that_somebody_outside_sends(draws: AllDraws, name: str) -> None:
    """They are not injected, but waited for."""
    draws.forget()

    def draw(one: Draws, version: int) -> None:
        one.listening = 1.0
        one.draw_of(flow_of(one, "in", version), NAMED[name])
        one.listening = LISTENING

    draws.each_family(FROM_OUTSIDE.index(name), draw)
    assert not draws.wrong, "\n".join(draws.wrong)
    assert [score.unknown for score in draws.scores] == [[], [], []]
    assert all(score.listened for score in draws.scores)


def test_draws(draws: AllDraws) -> None:
    """Two breakages at once, and all protocols: a few draws that are always the same, or a long run on demand."""
    if "DOCKERLESS_DRAWS" in os.environ:
        draw_on_demand(int(os.environ["DOCKERLESS_DRAWS"]))
        return
    draws.forget()
    draws.begin(SEED_OF_PAIRS, pairs=1.0)
    draws.run(COUNT_OF_PAIRS)
    assert not draws.wrong, "\n".join(draws.wrong)


def draw_on_demand(count: int) -> None:
    found = AllDraws(SEED, backends=backends("DOCKERLESS_DRAWS_ON"))
    try:
        scores = found.run(count)
    finally:
        found.close()
    print(f"\npath check, seed {SEED}", *scores, sep="\n")
    print(*(f"cannot tell: {score.backend}: {text}" for score in scores for text in score.unknown), sep="\n")
    assert not found.wrong, "\n".join(found.wrong)


def test_each_breakage_has_a_place_on_the_way() -> None:
    """Without one, path_order could not tell which of two comes first."""
    networks = Networks(random.Random(1))
    flows = [networks.flow_of(kind, version, name) for kind in KINDS for version in (4, 6) for name in PROTOCOLS]
    there = [(one, flow) for flow in flows if flow is not None for one in BREAKAGES if one.fits(flow)]
    assert {one.name for one, unused in there} == set(NAMED)
    assert all(place(one, flow, asked=True) < math.inf for one, flow in there)
    assert {name.lstrip("?") for line in BRIDGED + ROUTED for name in line} == set(NAMED)


def rows_of_the_page() -> list[list[str]]:
    """What is wrong, the layer, the remedy, and the tests."""
    page = PAGE.read_text().partition("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]


COMMANDS = ("ip ", "nft ", "bridge ", "sysctl ", "tc ", "iptables-", "ip6tables-")


def is_on_the_page(test: str, advice: str) -> bool:
    """Whether the column of remedies says what the advice does: no other command, and one of its remedies."""
    (cell,) = {row[2] for row in rows_of_the_page()[1:] if test in row[3].split(", ")}
    spelled = [
        "".join(f".*{re.escape(word)}" for word in code.split() if word != "…") for code in re.findall("`(.+?)`", cell)
    ]
    known = [text.replace("iptables", "ip6?tables") for text in spelled]
    command = advice.rpartition(": ")[2]
    if command.startswith(COMMANDS) and "COMMAND" not in command:
        return any(re.search(text, command) for text in known)
    words = {"the role": "un the role", "restart it": "Restart the service", "start the service": "Start the service"}
    words |= {"let it listen": "Let the service listen", "by hand": ""}
    told = any(start in cell and text in advice for start, text in words.items())
    return told or any(re.search(text, advice) for text in known)


def test_the_page_lists_what_is_broken_here() -> None:
    rows = rows_of_the_page()
    assert len(rows) >= 60
    layers = {name: row[1].split(", ") for row in rows[1:] for name in row[3].split(", ")}
    here = {breakage.name: list(breakage.layers) for breakage in BREAKAGES}
    assert {name: layers.get(name) for name in here} == {name: layers[name] for name in here}
    tests = Path(__file__).read_text()
    for name in layers.keys() - here.keys():
        test, unused, case = name.rstrip("]").partition("[")
        assert f"def {test.rpartition('::')[2]}(" in tests, name
        assert not case or f'"{case}"' in tests, name


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_broken(draws: AllDraws, kind: str) -> None:
    draws.forget()
    number = SEED + KINDS.index(kind)
    draws.each_family(number, lambda one, version: one.draw_of(flow_of(one, kind, version), None))
    assert not draws.wrong, "\n".join(draws.wrong)


def test_nobody_can_tell_seldom(draws: AllDraws) -> None:
    """The static walk cannot know the world beyond the uplink, traffic control, and the count of a limit.

    Nor does it know whether a packet from a link-local address comes back to its own link, or whether somebody else has
    an address of our subnets that no endpoint has.
    """
    known = (" upstream,", " masquerade,", "traffic control", "limit of a rate", " but a link-local one")
    known += (" in the subnet of ",)
    assert [score.unknown for score in draws.scores] == [[], [], []]
    silent = [f"{score.backend}: {text}" for score in draws.scores for text in score.silent]
    assert [text for text in silent if not any(word in text for word in known)] == []


# ---- one by one


@pytest.fixture(scope="module")
def shared() -> Iterator[PathWorld]:
    found = PathWorld()
    found.make(*NETWORKS)
    yield found
    found.close()


@pytest.fixture(scope="module", params=BACKENDS)
def each(request: pytest.FixtureRequest) -> Iterator[PathWorld]:
    """The same on every back-end."""
    if request.param == "nftables":
        yield request.getfixturevalue("shared")
        return
    found = PathWorld(request.param)
    found.make(*NETWORKS)
    yield found
    found.close()


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def of(version: int, address: str) -> str:
    """The address of the same place in a family."""
    return address if version == 4 else SIX[address]


@pytest.fixture(params=[True, False], ids=["active", "static"])
def active(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# The command that sets the MTU of a link, and an address that web reaches through it.
LINKS = {
    "endpoint": (DB, ["-n", "web", "link", "set", "eth0", "mtu"]),
    "host's end": (DB, ["link", "set", "v-blue-web", "mtu"]),
    "server's port": (DB, ["link", "set", "v-blue-db", "mtu"]),
    "bridge": (APP, ["link", "set", "br-red", "mtu"]),
    "uplink": (NEIGHBOUR, ["link", "set", "up0", "mtu"]),
}


@contextlib.contextmanager
def lowered(world: PathWorld, link: str) -> Iterator[str]:
    """Lower the MTU of a link; the address behind it."""
    to, command = LINKS[link]
    world.must("ip", *command, "1280")
    try:
        yield to
    finally:
        world.must("ip", *command, "1500")
        # a path MTU is remembered for ten minutes
        for family in ("-4", "-6"):
            world.must("ip", "-n", "web", family, "route", "flush", "cache")


def too_large(world: PathWorld, test: str, link: str, active: bool, version: int) -> None:
    """A packet that the link does not take is lost there until the advice is followed."""
    with lowered(world, link) as to:
        question = {"origin": "web", "to": of(version, to), "size": 1400, "active": active, "protocol": "icmp"}
        found = world.check(**question, timeout=0.3)
        assert (found["verdict"], found["layer"]) == ("lost", "mtu"), found
        assert is_on_the_page(f"TestSize::{test}[{link}]", found["advice"])
        world.must("sh", "-c", found["advice"].rpartition(": ")[2])
        then = world.check(**question)
        assert then["layer"] in ([None] if active else [None, "upstream"]), then


class TestSize:
    @pytest.mark.parametrize("link", ["endpoint", "host's end", "server's port"])
    def test_too_large(self, shared: PathWorld, link: str, active: bool, version: int) -> None:
        """Inside a network, where no rules of ours see the packet."""
        too_large(shared, "test_too_large", link, active, version)

    @pytest.mark.parametrize("link", ["bridge", "uplink"])
    def test_too_large_for_the_next_hop(self, each: PathWorld, link: str) -> None:
        if link == "bridge":
            flows = [{"from": of(v, WEB), "to": of(v, APP)} for v in (4, 6)]
            each.make(NETWORKS[0], {**NETWORKS[1], "allow": flows})
        try:
            for active, version in itertools.product((True, False), (4, 6)):
                too_large(each, "test_too_large_for_the_next_hop", link, active, version)
        finally:
            if link == "bridge":
                each.make(*NETWORKS)

    def test_tcp_is_compared_only(self, shared: PathWorld, active: bool, version: int) -> None:
        with lowered(shared, "uplink") as neighbour, shared.server("neighbour", 99):
            found = shared.check("web", of(version, neighbour), 99, size=1400, active=active)
        assert (found["verdict"], found["layer"]) == ("lost", "mtu"), found

    def test_fits(self, shared: PathWorld, active: bool, version: int) -> None:
        found = shared.check("web", of(version, DB), size=1500, active=active, protocol="icmp")
        assert found["verdict"] == "arrives", found


class TestWays:
    def test_ping(self, shared: PathWorld, active: bool) -> None:
        assert shared.check("web", "db", active=active, protocol="icmp")["verdict"] == "arrives"
        assert shared.check("web", "fd00:20::3", active=active, protocol="icmp")["verdict"] == "arrives"

    def test_by_name(self, shared: PathWorld, active: bool) -> None:
        with shared.server("db", 80):
            assert shared.check("web", "db.blue", 80, active=active)["verdict"] == "arrives"

    @pytest.mark.parametrize("origin", ["web", "host"])
    def test_by_an_alias(self, shared: PathWorld, origin: str, active: bool) -> None:
        with shared.server("db", 80):
            found = shared.check(origin, "sql", 80, active=active)
        assert found["verdict"] == "arrives" and f"> {DB}:80/tcp" in found["packet"], found
        with shared.server("web", 80):
            assert shared.check("sql", "web", 80, active=active)["packet"].startswith(f"{DB} > {WEB}:80")

    @pytest.mark.parametrize("origin", ["web", "app"])
    def test_the_host_by_name(self, shared: PathWorld, origin: str, active: bool) -> None:
        """It is the gateway, as for programs in the endpoint, and not another address of the host."""
        gateway = shared.must("ip", "netns", "exec", origin, "getent", "ahostsv4", "host").split()[0]
        with shared.server("host", 99, address=gateway):
            found = shared.check(origin, "host", 99, active=active)
        assert found["verdict"] == "arrives" and f"> {gateway}:99/tcp" in found["packet"], found

    @pytest.mark.parametrize("source", [NEIGHBOUR, SIX[NEIGHBOUR], "198.51.100.2"])
    def test_the_host_by_name_from_outside(self, shared: PathWorld, source: str, active: bool) -> None:
        """Its address on the link by which the packet comes in."""
        to = {NEIGHBOUR: HOST, SIX[NEIGHBOUR]: f"[{SIX[HOST]}]"}.get(source, "198.51.100.1")
        with shared.server("host", 99, address=to.strip("[]")):
            found = shared.check("outside", "host", 99, source_address=source, active=active)
        assert found["verdict"] == "arrives" and f"> {to}:99/tcp" in found["packet"], found

    def test_udp(self, shared: PathWorld, active: bool) -> None:
        """It arrives whether the service answers or not; only in the latter case there is something to wait for."""
        with shared.server("web", 53, "udp") as listener:
            assert shared.check("db", WEB, 53, protocol="udp", active=active)["verdict"] == "arrives"
            with Server(listener, "").serving():
                for origin in ("host", "outside"):
                    source = NEIGHBOUR if origin == "outside" else ""
                    found = shared.check(origin, HOST, 5353, protocol="udp", active=active, source_address=source)
                    assert found["verdict"] == "arrives", found
        found = shared.check("db", WEB, 53, protocol="udp", active=active)
        assert (found["verdict"], found["layer"]) == ("refused", "service"), found

    def test_ipv6_is_forwarded_by_one_setting_of_the_host(self, shared: PathWorld, active: bool) -> None:
        """That of a link is about router advertisements only."""
        shared.must("sysctl", "-qw", "net.ipv6.conf.br-blue.forwarding=0")
        try:
            with shared.server("neighbour", 99):
                found = shared.check("web", SIX[NEIGHBOUR], 99, active=active)
        finally:
            shared.must("sysctl", "-qw", "net.ipv6.conf.br-blue.forwarding=1")
        assert found["layer"] == (None if active else "upstream"), found

    def test_not_published(self, shared: PathWorld, active: bool) -> None:
        found = shared.check("outside", HOST, 8081, active=active, source_address=NEIGHBOUR, timeout=0.5)
        assert (found["verdict"], found["layer"]) == ("refused", "publish"), found

    def test_other_network(self, shared: PathWorld, active: bool) -> None:
        found = shared.check("web", APP, 80, active=active, timeout=0.5)
        assert (found["verdict"], found["layer"]) == ("lost", "firewall"), found
        assert "this collection" in found["reason"] and "allow" in found["advice"]

    def test_the_way_out_shows_the_translation(self, shared: PathWorld) -> None:
        with shared.server("neighbour", 99):
            found = shared.check("web", NEIGHBOUR, 99)
        entry = next(entry for entry in found["conntrack"] if entry["place"] == "host")
        port = entry["original"].partition(":")[2].partition(" ")[0]
        assert entry["original"] == f"{WEB}:{port} > {NEIGHBOUR}:99"
        assert entry["reply"] == f"{NEIGHBOUR}:99 > {HOST}:{port}"
        outside = [hop["found"] for hop in found["hops"] if hop["object"] == "up0" and hop["layer"] == "uplink"]
        assert f"out {HOST}:{port} > {NEIGHBOUR}:99" in outside

    @pytest.mark.parametrize(
        ("origin", "to", "port", "service"),
        [("web", NEIGHBOUR, 99, ("neighbour", 99)), ("outside", HOST, 8080, ("web", 80))],
        ids=["out", "in"],
    )
    def test_no_connection_is_left(
        self, shared: PathWorld, origin: str, to: str, port: int, service: tuple[str, int]
    ) -> None:
        """The RST that ends it passes, so that the service need not wait for its end, and no drop is counted."""
        before = drops(shared)
        # The neighbour, in whose name the packet was injected, does not refuse the answer.
        silent = "table inet silent { chain out { type filter hook output priority 0; tcp flags rst drop; }; }"
        shared.must("ip", "netns", "exec", "neighbour", "nft", silent)
        with shared.server(*service):
            found = shared.check(origin, to, port, source_address=NEIGHBOUR if origin == "outside" else "")
            shared.must("ip", "netns", "exec", "neighbour", "nft", "delete table inet silent")
            assert found["verdict"] == "arrives", found
            assert shared.must("ip", "netns", "exec", service[0], "ss", "-Htn", "state", "connected") == ""
        assert drops(shared) == before != []

    @pytest.mark.parametrize(
        ("to", "router", "other", "source"),
        [(HOST, NEIGHBOUR, "198.51.100.2", NEIGHBOUR), ("2001:db8::1", "fe80::2", "2001:db8:1::2", "2000::1")],
        ids=["4", "6"],
    )
    def test_outside_is_where_the_default_route_goes(
        self, shared: PathWorld, to: str, router: str, other: str, source: str
    ) -> None:
        """Other routes do not matter, even if the uplink's network is one for documentation."""
        routes = [f"default via {router} dev up0 metric 50", f"default via {other} metric 60"]
        shared.must("ip", "-n", "neighbour", "address", "replace", "fe80::2/64", "dev", "eth0", "nodad")
        for route in routes:
            shared.must("ip", "route", "add", *route.split())
        try:
            with shared.server("web", 80):
                found = shared.check("outside", to, 8080)
        finally:
            for route in routes:
                shared.must("ip", "route", "del", *route.split())
        assert found["verdict"] == "arrives" and found["packet"].startswith(f"{source} > "), found

    def test_somebody_outside_asks(self, shared: PathWorld) -> None:
        with shared.server("web", 80) as server:
            timer = threading.Timer(0.7, lambda: shared.ask("neighbour", HOST, 8080, server))
            timer.start()
            found = shared.check("outside", HOST, 8080, source_address=NEIGHBOUR, inject=False, timeout=5.0)
            timer.join()
        assert found["verdict"] == "arrives", found
        found = shared.check("outside", HOST, 8080, source_address=NEIGHBOUR, inject=False, timeout=0.2)
        assert found["verdict"] == "unknown", found

    def test_in_a_crowd(self, shared: PathWorld) -> None:
        """Other packets on the same links do not mislead the path check."""
        stop = threading.Event()

        def talk() -> None:
            while not stop.is_set():
                shared.ask("db", WEB, 80, server, patience=0.05)
                time.sleep(0.005)

        with shared.server("web", 80) as server:
            thread = threading.Thread(target=talk)
            thread.start()
            try:
                shared.must("nft", "add", "rule", "inet", "dockerless", "user", "ip", "daddr", NEIGHBOUR, "drop")
                found = shared.check("web", NEIGHBOUR, 99, timeout=0.5)
            finally:
                shared.must("nft", "flush", "chain", "inet", "dockerless", "user")
                stop.set()
                thread.join()
        assert (found["verdict"], found["layer"]) == ("lost", "firewall"), found
        assert "chain user of" in found["reason"]


PUBLISHED = [{"name": "app", "addresses": [APP, SIX[APP]], "publish": ["8081:80"]}]
# The options of a network, those after the advice is followed, the question, and the option that the advice names.
OURS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "another network": (
        {},
        {"allow": [{"from": of(v, WEB), "to": of(v, APP), "protocol": "tcp", "port": "80"} for v in (4, 6)]},
        {"origin": "web", "to": APP, "port": 80},
        "`allow`",
    ),
    "another network that is internal": (
        {"internal": True},
        {"allow": [{"from": of(v, WEB), "to": of(v, APP), "protocol": "tcp", "port": "80"} for v in (4, 6)]},
        {"origin": "web", "to": APP, "port": 80},
        "internal: false for network red, which has no way in, and name the flow in its `allow`",
    ),
    "the gateway of another network": (
        {},
        {"direct_access": True},
        {"origin": "web", "to": RED_GATEWAY, "port": 99},
        "Ask for another address of the host; from an endpoint, that may be the gateway of its own network. Or set"
        " direct_access: true for network red.",
    ),
    "direct access": (
        {},
        {"direct_access": True},
        {"origin": "outside", "to": APP, "port": 80, "source_address": NEIGHBOUR},
        "direct_access: true",
    ),
    "the host": ({"host_access": "deny"}, {}, {"origin": "app", "to": RED_GATEWAY, "port": 99}, "host_access: allow"),
    "a published port of an internal network": (
        {"internal": True, "endpoints": PUBLISHED},
        {"endpoints": PUBLISHED},
        {"origin": "outside", "to": HOST, "port": 8081, "source_address": NEIGHBOUR},
        "internal: false for it if it needs a way in",
    ),
    "internal": ({"internal": True}, {}, {"origin": "app", "to": NEIGHBOUR, "port": 99}, "internal: false"),
}


ELSEWHERE = {4: "198.51.100.0/24", 6: "2001:db8:9::/64"}
# The limits of a published port, why it takes no packet from the neighbour, and the remedy.
OTHERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "absent interfaces": (
        {"in_interfaces": ["old0", "old1"]},
        "that come in by old0 or old1, and there is no such interface on host",
        "Replace old0 and old1 in in_interfaces of the port by an interface that is there, and run the playbook.",
    ),
    "another interface": (
        {"in_interfaces": ["up1", "old0"]},
        "that come in by old0 or up1, and this one came in by up0",
        "Add up0 to in_interfaces of the port",
    ),
    "other sources": (
        {"allowed_sources": [*ELSEWHERE.values()]},
        "from {elsewhere}, and this one came from {neighbour}",
        "Add {neighbour} to allowed_sources of the port",
    ),
}


# What somebody has done by hand, the layer, and whether the hosts file of the endpoint is still there.
WITHOUT_ADDRESSES = f"ip -n web address del {WEB}/24 dev eth0; ip -n web address del {SIX[WEB]}/64 dev eth0"
LOST_NETWORK = {
    "address": (WITHOUT_ADDRESSES, "address", True),
    "address without a note": (WITHOUT_ADDRESSES, "address", False),
    "interface": ("ip link del v-blue-web", "link", True),
    "interface without a note": ("ip link del v-blue-web", "link", False),
    "interface elsewhere": ("ip -n web link set eth0 netns neighbour name eth9", "link", True),
}


class TestOurOwnRules:
    @pytest.fixture
    def serving(self, each: PathWorld) -> Iterator[PathWorld]:
        with each.server("app", 80), each.server("host", 99), each.server("neighbour", 99):
            yield each
        each.make(*NETWORKS)

    @pytest.mark.parametrize("case", OURS)
    def test_the_option_opens(self, serving: PathWorld, case: str) -> None:
        closed, opened, question, option = OURS[case]
        questions = [
            {key: SIX.get(value, value) if v == 6 else value for key, value in question.items()} for v in (4, 6)
        ]
        serving.make(NETWORKS[0], {**NETWORKS[1], **closed})
        for asked in questions:
            for active in (True, False):
                found = serving.check(**asked, active=active, timeout=0.3)
                assert (found["verdict"], option in found["advice"]) == ("lost", True), found
                assert is_on_the_page(f"TestOurOwnRules::test_the_option_opens[{case}]", found["advice"]), found
        serving.make(NETWORKS[0], {**NETWORKS[1], **opened})
        for asked in questions:
            assert serving.check(**asked)["verdict"] == "arrives"

    @pytest.mark.parametrize("policy", ["auto", "drop"])
    def test_a_host_that_does_not_route_for_others(self, each: PathWorld, policy: str) -> None:
        question = {"origin": "outside", "source_address": NEIGHBOUR, "to": "198.51.100.2", "port": 99}
        each.make(*NETWORKS, forward_policy=policy)
        try:
            for active in (True, False):
                found = each.check(**question, active=active, timeout=0.3)
                told = found["verdict"], found["layer"], found["owner"]
                assert told == ("lost", "firewall", "this collection"), found
                assert "forward_policy: unmanaged" in found["advice"], found
                test = "TestOurOwnRules::test_a_host_that_does_not_route_for_others"
                assert is_on_the_page(test, found["advice"]), found
            each.make(*NETWORKS, forward_policy="unmanaged")
            # the static walk stops at the uplink, and what was injected is answered to somebody who has not asked
            then = each.check(**question, active=False)
            assert (then["verdict"], then["layer"]) == ("unknown", "upstream"), then
        finally:
            each.make(*NETWORKS)

    def test_a_masquerade_by_an_interface_that_has_another_name_now(self, serving: PathWorld) -> None:
        serving.must("ip", "link", "add", "old0", "type", "veth", "peer", "name", "old1")
        serving.make(NETWORKS[0], {**NETWORKS[1], "masquerade": {"out_interface": "old0"}})
        serving.must("ip", "link", "delete", "old0")
        for asked in ({"active": True, "timeout": 0.3}, {"active": False}):
            for v in (4, 6):
                found = serving.check("app", of(v, NEIGHBOUR), 99, **asked)
                assert found["layer"] == "masquerade" and "Replace old0, as out_interface" in found["advice"], found
        assert any("old0, which" in text for text in serving.report()["absent_interfaces"])
        serving.make(NETWORKS[0], {**NETWORKS[1], "masquerade": True})
        for v in (4, 6):
            assert serving.check("app", of(v, NEIGHBOUR), 99)["verdict"] == "arrives"

    @pytest.mark.parametrize("limits", OTHERS)
    def test_a_port_that_is_published_for_others(self, serving: PathWorld, limits: str) -> None:
        limit, reason, remedy = OTHERS[limits]
        port = {"host_port": 8081, "container_port": 80, **limit}
        serving.make(NETWORKS[0], {**NETWORKS[1], "endpoints": [{**PUBLISHED[0], "publish": [port]}]})
        for v, active in ((4, True), (6, True), (6, False)):
            found = serving.check("outside", of(v, HOST), 8081, source_address=of(v, NEIGHBOUR), active=active)
            published = f"port 8081/tcp of {of(v, HOST)} is published, but only for packets "
            assert (found["verdict"], found["layer"]) == ("refused", "publish"), found
            words = {"elsewhere": ELSEWHERE[v], "neighbour": of(v, NEIGHBOUR)}
            assert found["reason"] == published + reason.format(**words), found
            assert remedy.format(**words) in found["advice"], found
            assert is_on_the_page(
                f"TestOurOwnRules::test_a_port_that_is_published_for_others[{limits}]", found["advice"]
            )

    def test_a_lost_default_route_is_not_that_of_an_internal_network(self, each: PathWorld) -> None:
        def ask() -> dict[int, dict[str, Any]]:
            return {v: each.check("app", of(v, NEIGHBOUR), 99, active=False) for v in (4, 6)}

        each.make(NETWORKS[0], {**NETWORKS[1], "internal": True})
        inside = ask()
        each.make(*NETWORKS)
        for family in ("-4", "-6"):
            each.must("ip", family, "-n", "app", "route", "del", "default")
        lost = ask()
        each.make(*NETWORKS)
        for v in (4, 6):
            neighbour = of(v, NEIGHBOUR)
            assert inside[v]["reason"] == f"app has no route to {neighbour}, as network red is internal", inside
            assert inside[v]["advice"] == "Set internal: false for network red if it needs a way out."
            asked = f"app > {neighbour}:99/tcp" if v == 4 else f"app > [{neighbour}]:99/tcp"
            assert inside[v]["packet"] == lost[v]["packet"] == asked
            assert lost[v]["reason"] == f"app has no route to {neighbour}", lost
            assert lost[v]["advice"] == "Run the role again; it sets the default route of an endpoint."

    @pytest.mark.parametrize("case", LOST_NETWORK)
    def test_a_lost_network_is_not_an_internal_one(self, each: PathWorld, case: str) -> None:
        """The endpoint is in an internal network as well, which has nothing to do with it."""
        do, layer, noted = LOST_NETWORK[case]
        web = {"name": "web", "addresses": ["10.22.0.2", "fd00:22::2"]}
        vault = {"name": "vault", "internal": True, "subnets": ["10.22.0.0/24", "fd00:22::/64"], "endpoints": [web]}
        with each.server("neighbour", 99) as server:
            try:
                each.make(*NETWORKS, vault)
                each.must("sh", "-ec", do + ("" if noted else "; rm /etc/netns/web/hosts"))
                found = {v: each.check("web", of(v, NEIGHBOUR), 99, active=False) for v in (4, 6)}
                each.make(*NETWORKS, vault)
                assert [each.ask("web", of(v, NEIGHBOUR), 99, server) is not None for v in (4, 6)] == [True, True]
            finally:
                each.make(*NETWORKS)
        for one in found.values():
            assert (one["verdict"], one["layer"], one["owner"]) == ("lost", layer, "this collection"), one
            assert "internal" not in one["reason"] + one["advice"], one
            assert is_on_the_page(f"TestOurOwnRules::test_a_lost_network_is_not_an_internal_one[{case}]", one["advice"])

    def test_our_own_rules_are_read(self, each: PathWorld, active: bool, version: int) -> None:
        web, host, neighbour = (of(version, address) for address in (WEB, HOST, NEIGHBOUR))
        with each.server("web", 80):
            for origin in ("outside", "host", "db"):
                source = neighbour if origin == "outside" else ""
                found = each.check(origin, host, 8080, active=active, source_address=source)
                assert found["verdict"] == "arrives", found
        found = each.check("app", web, 80, active=active, timeout=0.5)
        assert (found["verdict"], found["layer"]) == ("lost", "firewall"), found
        assert ("DLN-" if each.backend == "iptables" else "table inet dockerless") in found["reason"], found


# What somebody has done by hand, the destination, and the layer.
TAKEN = {
    "link of the source": ("ip link set v-blue-web nomaster", NEIGHBOUR, "bridge_port"),
    "link of the server": ("ip link set v-blue-db nomaster", DB, "bridge_port"),
    "bridge": ("ip link del br-blue", NEIGHBOUR, "bridge_port"),
    "address of the bridge": ("ip address flush dev br-blue scope global", NEIGHBOUR, "address"),
    "ARP of the bridge": ("ip link set br-blue arp off", NEIGHBOUR, "neighbour"),
    "ARP of the source": ("ip -n web link set eth0 arp off", DB, "neighbour"),
    "ARP of the server": ("ip -n db link set eth0 arp off", DB, "neighbour"),
    "IPv6 of the bridge": ("sysctl -qw net.ipv6.conf.br-blue.disable_ipv6=1", NEIGHBOUR, "address"),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_the_role_puts_back(shared: PathWorld, case: str) -> None:
    do, to, layer = TAKEN[case]
    questions = [{"to": of(v, to), "protocol": "icmp"} for v in ((6,) if case.startswith("IPv6") else (4, 6))]
    shared.must("sh", "-ec", f"{do}; ip -n web neigh flush all")
    try:
        for asked, active in itertools.product(questions, (False, True)):
            found = shared.check("web", **asked, active=active, timeout=0.3)
            assert (found["verdict"], found["layer"], found["owner"]) == ("lost", layer, "this collection"), found
            assert is_on_the_page(f"test_what_the_role_puts_back[{case}]", found["advice"]), found
    finally:
        shared.make(*NETWORKS)
    assert [shared.check("web", **asked)["verdict"] for asked in questions] == ["arrives"] * len(questions)


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
@pytest.mark.parametrize("by", ["from", "iif"])
def test_a_routing_rule_for_a_source_or_a_link(shared: PathWorld, kind: str, by: str, version: int) -> None:
    """Without the source and the link, the kernel finds a route."""
    family, to = f"-{version}", of(version, NEIGHBOUR)
    selector = "br-blue" if by == "iif" else of(version, WEB)
    shared.must("ip", family, "rule", "add", by, selector, kind, "pref", "99")
    try:
        for active in (False, True):
            found = shared.check("web", to, 99, active=active, timeout=0.3)
            assert (found["verdict"], found["layer"]) == ("lost" if kind == "blackhole" else "refused", "route"), found
            assert found["reason"].startswith(f"a routing rule of type {kind} stops packets to {to}"), found
            assert is_on_the_page("test_a_routing_rule_for_a_source_or_a_link", found["advice"]), found
    finally:
        shared.must("ip", family, "rule", "del", "pref", "99")
    with shared.server("neighbour", 99):
        assert shared.check("web", to, 99)["verdict"] == "arrives"


def test_a_gateway_that_does_not_forward(shared: PathWorld, active: bool, version: int) -> None:
    """A route of one endpoint leads to another."""
    to, gateway = of(version, NEIGHBOUR), of(version, DB)
    shared.must("ip", "-n", "web", "route", "add", to, "via", gateway)
    try:
        found = shared.check("web", to, 99, active=active, timeout=0.3)
        assert (found["verdict"], found["layer"], found["place"]) == ("lost", "route", "web: eth0"), found
        assert found["reason"].endswith(f"packets to {to} by way of {gateway} (db), which does not forward"), found
        assert is_on_the_page("test_a_gateway_that_does_not_forward", found["advice"]), found
        shared.must("sh", "-c", found["advice"].rpartition(": ")[2])
        with shared.server("neighbour", 99):
            assert shared.check("web", to, 99)["verdict"] == "arrives"
    finally:
        shared.must("ip", "-n", "web", "route", "del", to)


def test_what_an_endpoint_sends_to_itself(shared: PathWorld, active: bool, version: int) -> None:
    """A namespace that somebody made by hand has a loopback that is down."""
    question = {"origin": "web", "to": "127.0.0.1" if version == 4 else of(version, WEB), "port": 80}
    with shared.server("web", 80):
        shared.must("ip", "-n", "web", "link", "set", "lo", "down")
        try:
            found = shared.check(**question, active=active, timeout=0.3)
            assert (found["verdict"], found["layer"], found["place"]) == ("lost", "link", "web: lo"), found
            assert is_on_the_page("test_what_an_endpoint_sends_to_itself", found["advice"]), found
        finally:
            shared.make(*NETWORKS)
        assert shared.check(**question)["verdict"] == "arrives"


def test_a_link_of_the_host_that_has_lost_its_address(shared: PathWorld, active: bool) -> None:
    """And the routes with it."""
    shared.must("ip", "address", "del", f"{HOST}/24", "dev", "up0")
    try:
        found = shared.check("web", NEIGHBOUR, 99, active=active, timeout=0.3)
        assert (found["verdict"], found["layer"], found["place"]) == ("lost", "route", "host"), found
        assert found["reason"].startswith(f"host has no route to {NEIGHBOUR}; up0 has no IPv4 address"), found
        assert "give the link its address again first" in found["advice"], found
        assert is_on_the_page("test_a_link_of_the_host_that_has_lost_its_address", found["advice"]), found
    finally:
        shared.must("ip", "address", "add", f"{HOST}/24", "dev", "up0")
    with shared.server("neighbour", 99):
        assert shared.check("web", NEIGHBOUR, 99)["verdict"] == "arrives"


def test_a_routing_rule_for_a_mark_is_suspected(shared: PathWorld) -> None:
    """Which mark a packet has is not known; a real packet shows that it was not routed."""
    shared.must("ip", "rule", "add", "fwmark", "9", "prohibit", "pref", "99")
    hook = "add chain inet marking p { type filter hook prerouting priority -150; }"
    rule = "add rule inet marking p iifname br-blue meta mark set 9"
    shared.must("nft", "-f", "-", text=f"add table inet marking\n{hook}\n{rule}\n")
    try:
        found = shared.check("web", NEIGHBOUR, 99, timeout=0.3)
        assert (found["verdict"], found["layer"], found["place"]) == ("unknown", "route", "host"), found
        assert "rules of routing for packets with a mark (ip rule)" in found["advice"], found
    finally:
        shared.must("nft", "delete", "table", "inet", "marking")
        shared.must("ip", "rule", "del", "pref", "99")


def test_an_endpoint_that_ignores_arp(shared: PathWorld, active: bool) -> None:
    shared.must("sh", "-ec", "ip netns exec db sysctl -qw net.ipv4.conf.eth0.arp_ignore=8; ip -n web neigh flush all")
    try:
        found = shared.check("web", DB, active=active, protocol="icmp", timeout=0.3)
        assert (found["verdict"], found["layer"], found["place"]) == ("lost", "neighbour", "db: eth0"), found
        assert is_on_the_page("test_an_endpoint_that_ignores_arp", found["advice"]), found
        shared.must("sh", "-c", found["advice"].rpartition(": ")[2])
        assert shared.check("web", DB, protocol="icmp")["verdict"] == "arrives"
    finally:
        shared.must("ip", "netns", "exec", "db", "sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=0")


@pytest.mark.parametrize("target", ["redirect to :2222", "dnat {ip} to {web}:2222"])
def test_a_rule_of_others_takes_a_published_port(each: PathWorld, target: str, active: bool, version: int) -> None:
    """To where nothing listens."""
    target = target.format(
        ip="ip" if version == 4 else "ip6", web=of(version, WEB) if version == 4 else f"[{SIX[WEB]}]"
    )
    question = {"origin": "outside", "to": of(version, HOST), "source_address": of(version, NEIGHBOUR), "port": 8080}
    chain = "add chain inet thief p { type nat hook prerouting priority -110; }"
    each.must("nft", "-f", "-", text=f"add table inet thief\n{chain}\nadd rule inet thief p tcp dport 8080 {target}\n")
    try:
        found = each.check(**question, active=active)
        told = found["verdict"], found["layer"], found["place"], found["owner"]
        assert told == ("refused", "publish", "host", "not ours"), found
        assert "chain p of table inet thief: tcp dport 8080" in found["reason"], found
        assert is_on_the_page("test_a_rule_of_others_takes_a_published_port", found["advice"]), found
        each.must("sh", "-c", found["advice"].rpartition(": ")[2])
        with each.server("web", 80):
            assert each.check(**question)["verdict"] == "arrives"
    finally:
        each.must("nft", "delete", "table", "inet", "thief")


# The flags of a port, and the families of the packets that it holds back.
HELD_BACK = {
    "bcast_flood off": ("v-blue-db", (4,)),
    "mcast_flood off": ("v-blue-db", (6,)),
    "flood off learning off": ("v-blue-db", (4, 6)),
    "locked on learning off": ("v-blue-web", (4, 6)),
}


@pytest.mark.parametrize("flags", HELD_BACK)
def test_a_port_that_holds_frames_back(shared: PathWorld, flags: str) -> None:
    port, versions = HELD_BACK[flags]
    name = port.rpartition("-")[2]
    forget = f"bridge fdb del $(ip netns exec {name} cat /sys/class/net/eth0/address) dev {port} master; true"
    shared.must("sh", "-c", f"bridge link set dev {port} {flags}; ip -n web neigh flush all; ip -n db neigh flush all")
    try:
        for version in versions:
            shared.must("sh", "-c", f"{forget}; ip -n web neigh flush all")
            assert not shared.ping("web", of(version, DB), 0.3)
            found, foreseen = (
                shared.check("web", of(version, DB), protocol="icmp", active=active, timeout=4)
                for active in (True, False)
            )
            assert (found["verdict"], found["layer"], found["owner"]) == ("lost", "bridge_port", "this collection"), (
                found
            )
            assert (foreseen["verdict"], foreseen["layer"]) == ("unknown", "bridge_port"), foreseen
            for one in (found, foreseen):
                assert f"port {port} may hold frames back, with {flags.partition(' learning')[0]}" in one["reason"], one
                assert is_on_the_page("test_a_port_that_holds_frames_back", one["advice"]), one
    finally:
        shared.make(*NETWORKS)
    for version in versions:
        assert shared.check("web", of(version, DB), protocol="icmp")["verdict"] == "arrives"


WITHOUT_BRIDGE = {
    "address": ("ip address flush dev br-blue scope global", "address", "br-blue of host has no IPv"),
    "route": ("ip route del 10.20.0.0/24; ip -6 route del fd00:20::/64", "route", "host has no route to "),
    "down": ("ip link set br-blue down", "link", "interface br-blue of host is down"),
}


@pytest.mark.parametrize("way_out", ["", "default"])
@pytest.mark.parametrize("case", WITHOUT_BRIDGE)
def test_a_published_port_behind_a_broken_bridge(each: PathWorld, case: str, way_out: str) -> None:
    """The packet takes the default route, if there is one, and is no business of the rules that would drop it there."""
    do, layer, reason = WITHOUT_BRIDGE[case]
    if way_out:
        each.must("sh", "-ec", f"ip route add default via {NEIGHBOUR}; ip -6 route add default via {SIX[NEIGHBOUR]}")
    asked = {
        v: {"origin": "outside", "to": of(v, HOST), "port": 8080, "source_address": of(v, NEIGHBOUR)} for v in (4, 6)
    }
    with each.server("web", 80):
        try:
            each.must("sh", "-ec", do)
            for v, active in itertools.product((4, 6), (True, False)):
                found = each.check(**asked[v], active=active, timeout=0.3)
                assert (found["verdict"], found["layer"], found["owner"]) == ("lost", layer, "this collection"), found
                assert found["reason"].startswith(reason), found
                test = f"test_a_published_port_behind_a_broken_bridge[{case}]"
                assert is_on_the_page(test, found["advice"]), found
        finally:
            each.make(*NETWORKS)
            for family in ("-4", "-6") if way_out else ():
                each.must("ip", family, "route", "del", "default")
        assert [each.check(**asked[v])["verdict"] for v in (4, 6)] == ["arrives", "arrives"]


def test_a_service_that_was_left_behind(each: PathWorld) -> None:
    """The service was started before its endpoint was created again, and lives on in a namespace without links."""
    serve = ["ip", "netns", "exec", "db", str(SETTINGS.python), "-m", "http.server", "--bind", "::", "8099"]
    service = subprocess.Popen(each.inside(*serve), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: each.check("web", DB, 8099)["verdict"] == "arrives")
        assert each.check("web", SIX[DB], 8099)["verdict"] == "arrives"
        each.must("ip", "netns", "del", "db")
        # otherwise the next run would give the namespace its name back
        each.must("ip", "netns", "add", "db")
        each.make(*NETWORKS)
        verdicts = [each.check("web", of(v, DB), 8099) for v in (4, 6)]
    finally:
        service.kill()
        service.wait()
    for found in verdicts:
        assert (found["verdict"], found["layer"]) == ("refused", "service"), found
        assert "in a network namespace without a name" in found["reason"], found
        assert "Restart the service" in found["advice"], found


LISTEN = """
import socket, sys
with socket.create_server(("::", 8098), family=socket.AF_INET6):
    print(flush=True)
    sys.stdin.read()
"""


def test_a_service_of_a_container_was_not_left_behind(shared: PathWorld) -> None:
    """Nor is that of an endpoint by process, whose namespace has no name either, but a link of ours."""
    link = "ip link add eth0 group 25708 type veth peer name eth1 group 25708"
    link += " && ip link set eth1 up && ip link set eth0 up"
    assert_not_left_behind(shared, link)


@pytest.mark.parametrize("alias", ["", "dockerless.network:blue/web"])
def test_a_service_with_a_private_network_was_not_left_behind(shared: PathWorld, alias: str) -> None:
    """As systemd starts it with PrivateNetwork=yes; nor was one that lives in what was another endpoint."""
    assert_not_left_behind(shared, "ip link set lo up" + (f" group 25708 alias {alias}" if alias else ""))


def assert_not_left_behind(shared: PathWorld, link: str) -> None:
    """Start a service in a namespace that is made by these commands."""
    serve = f"{link} && exec {SETTINGS.python} -c '{LISTEN}'"
    argv = shared.inside("unshare", "--net", "sh", "-c", serve)
    service = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    try:
        assert service.stdout.readline() == "\n"
        found = shared.check("web", DB, 8098)
    finally:
        service.communicate()
    assert found["reason"] == "nothing listens on port 8098/tcp in endpoint db", found


# What gives a second station an address of blue, the question, who has the address, and who owns what is to go.
TWICE = {
    "by a stranger": ("ip -n stranger address add {db}/{bits} dev eth0 {nodad}", "web", "stranger: eth0", None),
    "by an endpoint": (
        "ip -n web address add {db}/{bits} dev eth0 {nodad}",
        "host",
        "web: eth0",
        "this collection",
    ),
    "by the host": ("ip address add {db}/32 dev up0", "web", "host: up0", None),
}


@pytest.mark.parametrize("case", TWICE)
def test_an_address_that_two_stations_have(shared: PathWorld, case: str, version: int) -> None:
    """Either may answer for it; a verdict on the one that was asked by chance helps nobody."""
    command, origin, other, owner = TWICE[case]
    if case == "by the host" and version == 6:
        pytest.skip("a Linux host answers on a link for addresses of another one in IPv4 only")
    address, bits, nodad = of(version, DB), 24 if version == 4 else 64, "" if version == 4 else "nodad"
    link = "ip link add v-stranger master br-blue up type veth peer name eth0 netns stranger"
    shared.must("sh", "-ec", f"ip netns add stranger; {link}; ip -n stranger link set eth0 up")
    forget = "; ".join(f"ip {where} neigh flush all" for where in ("", "-n web", "-n db", "-n stranger"))

    def check(active: bool) -> dict[str, Any]:
        shared.must("sh", "-c", forget)
        return shared.check(origin, address, 81, active=active, timeout=0.5)

    try:
        shared.must("sh", "-ec", command.format(db=address, bits=bits, nodad=nodad))
        verdicts = [check(active) for active in (True, False)]
        assert [found["verdict"] for found in verdicts] == ["refused", "unknown"], verdicts
        with shared.server("db", 81):
            verdicts += [check(active) for active in (True, False)]
        assert verdicts[3]["verdict"] == "unknown", verdicts
        for found in verdicts:
            if found["verdict"] != "arrives":
                assert found["layer"] == "address", found
                assert all(name in found["reason"] for name in ("db: eth0", other, address, "on br-blue")), found
                assert found["owner"] == owner or owner is None, found
                assert is_on_the_page(f"test_an_address_that_two_stations_have[{case}]", found["advice"]), found
        mend = verdicts[0]["advice"].rpartition(": ")[2]
        shared.must("sh", "-c", mend) if owner is None else shared.make(*NETWORKS)
        with shared.server("db", 81):
            assert [check(active)["verdict"] for active in (True, False)] == ["arrives"] * 2
    finally:
        shared.must("sh", "-c", "ip netns del stranger; ip address del 10.20.0.3/32 dev up0; true")
        shared.make(*NETWORKS)
        assert eventually(lambda: "v-stranger" not in shared.must("ip", "-br", "link"))


def test_a_gateway_whose_address_an_endpoint_has_as_well(shared: PathWorld, version: int) -> None:
    own = f"{of(version, '10.20.0.1')}/{24 if version == 4 else 64}"
    shared.must("ip", "-n", "db", "address", "add", own, "dev", "eth0", *(["nodad"] if version == 6 else []))
    try:
        found = shared.check("web", of(version, NEIGHBOUR), 99, active=False)
    finally:
        shared.make(*NETWORKS)
    assert found["verdict"] == "unknown" and found["layer"] == "address", found
    assert "db: eth0 and host: br-blue both have the address" in found["reason"], found


LIMIT = Path("/proc/sys/net/netfilter/nf_conntrack_max")
FILL = Path(__file__).with_name("nodes") / "fill_conntrack.py"


def test_a_full_table_of_connection_tracking(shared: PathWorld) -> None:
    """The limit cannot be changed in a network namespace; to fill the table takes a second, as it has some room."""
    if int(LIMIT.read_text()) > 600_000:
        pytest.skip("to fill the table of connection tracking of this machine would take too much memory")
    filler = subprocess.Popen(
        shared.inside(str(SETTINGS.python), str(FILL)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert filler.stdout is not None
    try:
        with shared.server("neighbour", 99) as server:
            assert int(filler.stdout.readline()) == int(LIMIT.read_text())
            found, foreseen = (
                shared.check("web", NEIGHBOUR, 99, active=active, timeout=0.5) for active in (True, False)
            )
            assert shared.ask("web", NEIGHBOUR, 99, server, patience=0.2) is None
            filler.communicate()
            assert shared.ask("web", NEIGHBOUR, 99, server) is not None
    finally:
        filler.communicate()
    assert (found["verdict"], found["layer"], found["owner"]) == ("lost", "conntrack", "the kernel"), found
    assert (foreseen["verdict"], foreseen["layer"]) == ("unknown", "conntrack"), foreseen
    for one in (found, foreseen):
        assert one["reason"].endswith("full") and "full" in one["reason"], one
        assert one["advice"].endswith(f": sysctl -w net.netfilter.nf_conntrack_max={2 * int(LIMIT.read_text())}")
        assert is_on_the_page("test_a_full_table_of_connection_tracking", one["advice"])


# ---- traces of a check


def drops(world: PathWorld) -> list[str]:
    """Our rules that drop something, with their counters."""
    return [line for line in world.must("nft", "list", "table", "inet", "dockerless").splitlines() if "drop" in line]


def left(world: PathWorld) -> dict[str, Any]:
    """Everything that a check may have changed."""
    inside = ([], *(["ip", "netns", "exec", name] for name in ("web", "db", "neighbour")))
    tables = [world.must(*where, "nft", "list", "tables" if not where else "ruleset") for where in inside]
    return {**world.state(), "tables": tables, "links": world.must("ip", "-br", "link")}


class TestNothingIsLeft:
    @pytest.mark.parametrize("origin", ["web", "outside"])
    def test_after_a_check(self, each: PathWorld, origin: str, version: int) -> None:
        before = left(each)
        source = of(version, NEIGHBOUR) if origin == "outside" else ""
        each.check(origin, of(version, APP), 80, source_address=source, timeout=0.1)
        assert left(each) == before

    @pytest.mark.parametrize("origin", ["db", "outside"])
    def test_after_a_kill(self, each: PathWorld, origin: str) -> None:
        """The check is killed while it waits for a neighbour that does not answer."""
        each.must("ip", "-n", "web", "address", "del", f"{WEB}/24", "dev", "eth0")
        for where in ([], ["-n", "db"]):
            each.must("ip", *where, "neigh", "flush", "to", WEB)
        before = left(each)
        process = each.checker()
        asked = {"to": WEB, "protocol": "icmp"} if origin == "db" else {"to": HOST, "port": 8080}
        tell(process, origin=origin, timeout=60, source_address=NEIGHBOUR if origin != "db" else "", **asked)
        try:
            assert eventually(lambda: "dockerless_path" in each.must("nft", "list", "tables"))
            assert origin == "db" or "dlnp" in each.must("ip", "-br", "link")
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        same = eventually(lambda: left(each) == before)
        each.make(*NETWORKS)
        assert same, "something is left after a kill"

    def test_nothing_is_sent_by_a_static_walk(self, shared: PathWorld) -> None:
        with shared.server("db", 81) as server:
            assert shared.check("web", DB, 81, active=False)["verdict"] == "arrives"
            server.settimeout(0.1)
            with pytest.raises(TimeoutError):
                server.accept()
