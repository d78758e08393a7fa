# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of the playbook proof shows real packets: those that capture at both ends sees as well."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from breakages import BREAKAGES, Breakage, Flow, broken
from engine_world import BACKENDS, ROOT, TREE
from frames import ETH_IPV4, ETH_IPV6
from path_world import PathWorld

sys.path.insert(0, str(TREE))

from ansible_collections.dockerless.network.plugins.module_utils.path.entry import question_of
from ansible_collections.dockerless.network.plugins.module_utils.path.question import Question
from ansible_collections.dockerless.network.plugins.plugin_utils.proof_lines import proof_lines

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

WEB, DB = {4: "10.20.0.2", 6: "fd00:20::2"}, {4: "10.20.0.3", 6: "fd00:20::3"}
APP, SNAT = "10.21.0.2", "192.0.2.77"
GATEWAY = {4: "10.20.0.1", 6: "fd00:20::1"}
HOST, NEIGHBOUR = {4: "192.0.2.1", 6: "2001:db8::1"}, {4: "192.0.2.2", 6: "2001:db8::2"}
NETWORKS: list[dict[str, Any]] = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [
            {"name": "web", "addresses": list(WEB.values()), "publish": ["8080:80"]},
            {"name": "db", "addresses": list(DB.values())},
        ],
    },
    {
        "name": "red",
        "subnets": ["10.21.0.0/24"],
        "masquerade": {"to_source": SNAT},
        "endpoints": [{"name": "app", "addresses": [APP]}],
    },
]


@pytest.fixture(scope="module")
def plain() -> Iterator[PathWorld]:
    with made("nftables") as found:
        yield found


@pytest.fixture(scope="module", params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Iterator[PathWorld]:
    if request.param == "nftables":
        yield request.getfixturevalue("plain")
        return
    with made(request.param) as found:
        yield found


@contextlib.contextmanager
def made(backend: str) -> Iterator[PathWorld]:
    found = PathWorld(backend)
    try:
        found.must("ip", "address", "add", f"{SNAT}/24", "dev", "up0")
        found.make(*NETWORKS)
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def capture(world: PathWorld, *places: str) -> Iterator[dict[str, list[str]]]:
    """The connections that begin or end on eth0 of these namespaces, "in" or "out", as seen on the wire."""
    found: dict[str, list[str]] = {}
    with contextlib.ExitStack() as stack:
        wires = {}
        for place in places:
            wires[place] = stack.enter_context(world[place].socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0300))
            wires[place].bind(("eth0", 3))
        yield found
        for place, wire in wires.items():
            wire.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                while True:
                    data, (_link, protocol, kind, *_rest) = wire.recvfrom(2000)
                    if protocol in (ETH_IPV4, ETH_IPV6):
                        found.setdefault(place, []).extend(spelled(data, "out" if kind == 4 else "in"))


def spelled(data: bytes, way: str) -> list[str]:
    """A packet of TCP with SYN in it."""
    six = data[0] >> 4 == 6
    number, start = (data[6], 40) if six else (data[9], 20)
    if number != socket.IPPROTO_TCP or not data[start + 13] & 2:
        return []
    family, at, size = (socket.AF_INET6, 8, 16) if six else (socket.AF_INET, 12, 4)
    ends = [socket.inet_ntop(family, data[at + n * size : at + (n + 1) * size]) for n in (0, 1)]
    ports = struct.unpack_from(">HH", data, start)
    told = [f"[{end}]:{port}" if six else f"{end}:{port}" for end, port in zip(ends, ports)]
    return [f"{way} {told[0]} > {told[1]}"]


def shown(found: dict[str, Any], place: str, link: str) -> list[str]:
    """The observations of the proof there."""
    return [
        f"{item['way']} {item['source']} > {item['destination']}"
        for item in found["seen"]
        if (item["place"], item["interface"]) == (place, link)
    ]


def turned(packets: list[str]) -> list[str]:
    """As the other end of the cable has it."""
    return [{"in": "out", "out": "in"}[text.partition(" ")[0]] + text[text.index(" ") :] for text in packets]


def entry(found: dict[str, Any]) -> list[str]:
    return [f"{one['original']} | {one['reply']}" for one in found["conntrack"] if one["place"] == "host"]


@pytest.mark.parametrize("version", [4, 6])
def test_the_way_out(world: PathWorld, version: int) -> None:
    with world.server("neighbour", 99), capture(world, "web", "neighbour") as wires:
        found = world.check("web", NEIGHBOUR[version], 99)
    inside, outside = shown(found, "web", "eth0"), shown(found, "host", "up0")

    assert (found["verdict"], inside, outside) == ("arrives", wires["web"], turned(wires["neighbour"]))
    assert WEB[version] in inside[0] and HOST[version] in outside[0], found["seen"]
    assert entry(found) == [f"{inside[0][4:]} | {outside[1][3:]}"]
    table = "\n".join(proof_lines(found, "h1"))
    assert f"web: eth0        │ {inside[0][4:]}" in table and f"h1: up0 (uplink) │ {outside[0][4:]}" in table


def test_an_address_of_its_own(world: PathWorld) -> None:
    """The option to_source of the masquerade."""
    with world.server("neighbour", 99), capture(world, "app", "neighbour") as wires:
        found = world.check("app", NEIGHBOUR[4], 99)
    inside, outside = shown(found, "app", "eth0"), shown(found, "host", "up0")

    assert (found["verdict"], inside, outside) == ("arrives", wires["app"], turned(wires["neighbour"]))
    assert outside[0].startswith(f"out {SNAT}:")
    assert f"changed the source between br-red and up0: {APP}:" in "\n".join(proof_lines(found, "h1"))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("injected", [True, False], ids=["injected", "sent"])
def test_a_published_port(world: PathWorld, version: int, injected: bool) -> None:
    """From outside; what was put into the uplink itself was not on the cable, but its answer was."""
    to, source = HOST[version], NEIGHBOUR[version]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(world.server("web", 80))
        wires = stack.enter_context(capture(world, "web", "neighbour"))
        if not injected:
            stack.enter_context(asking(world, to, server))
        found = world.check("outside", to, 8080, source_address=source, inject=injected, timeout=9.0)
    inside, outside = shown(found, "web", "eth0"), shown(found, "host", "up0")

    assert (found["verdict"], len(inside), len(outside)) == ("arrives", 2, 2), found
    assert found["reason"] == f"the answer leaves the host by up0 for {source}"
    assert set(inside) <= set(wires["web"])
    assert set(outside[1:] if injected else outside) <= set(turned(wires["neighbour"]))
    assert f"{to}]:8080" in outside[0] or f"{to}:8080" in outside[0], outside
    assert WEB[version] in inside[0], inside
    assert entry(found) == [f"{outside[0][3:]} | {inside[1][4:]}"]
    assert "changed the destination" in "\n".join(proof_lines(found, "h1"))
    assert not any("dlnp" in item["interface"] for item in found["seen"])


@contextlib.contextmanager
def asking(world: PathWorld, to: str, server: socket.socket) -> Iterator[None]:
    """Somebody outside who asks again and again."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.1):
            world.ask("neighbour", to, 8080, server)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_links_stand_in_the_order_of_the_way(world: PathWorld) -> None:
    with world.server("neighbour", 99):
        seen = world.check("web", NEIGHBOUR[4], 99)["seen"]
    way = [("web", "eth0"), ("host", "v-blue-web"), ("host", "br-blue"), ("host", "up0")]

    assert [(item["place"], item["interface"]) for item in seen] == [*way, *reversed(way)]


def test_a_bridge_that_has_forgotten_a_port_floods_and_the_copies_are_left_out(plain: PathWorld) -> None:
    """As it does after five minutes without a packet from db, whose MAC address web still knows."""
    mac = plain.must("ip", "netns", "exec", "db", "cat", "/sys/class/net/eth0/address").strip()
    plain.must("ip", "-n", "web", "neigh", "replace", DB[4], "lladdr", mac, "dev", "eth0", "nud", "permanent")
    try:
        plain.must("bridge", "fdb", "flush", "dev", "br-blue", "dynamic")
        with plain.server("db", 80), capture(plain, "web") as wires:
            found = plain.check("web", DB[4], 80)
    finally:
        plain.must("ip", "-n", "web", "neigh", "del", DB[4], "dev", "eth0")
    way = [("web", "eth0"), ("host", "v-blue-web"), ("host", "v-blue-db"), ("db", "eth0")]

    assert any(one.startswith("in 10.20.0.2:") for one in wires["web"]), "the bridge did not flood"
    assert [(item["place"], item["interface"]) for item in found["seen"]] == [*way, *reversed(way)]


# ---- from a symptom to its layer, as the guide has it

GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide.rst"
KNOWN = {one.name: one for one in BREAKAGES}
OUT, IN, SAME = "web out", "in web", "web same db"
# By the first words of each symptom: what is broken, and on the way of which flow.
BROKEN: dict[str, tuple[str | Breakage, str]] = {
    "The gateway does not answer": ("host's end of the source", OUT),
    "eth0 is up, but": ("address of the source", OUT),
    "The gateway answers, and everything else": ("no default route", OUT),
    "One endpoint is not found": ("wrong MAC at the source", SAME),
    "Both endpoints reach the gateway": ("isolated ports", SAME),
    "The gateway answers, but nothing": ("ip_forward", OUT),
    "tcpdump on the uplink shows the packet with its private": ("no masquerade", OUT),
    "It stopped when Docker": ("iptables policy", IN),
    "The service answers inside the host": ("not published", IN),
    "The published port answers from outside, but hangs": (
        Breakage(
            "no hairpin",
            ("masquerade",),
            (),
            ("nft flush chain inet dockerless hairpin",),
            heals=True,
            iptables=("{iptables} -t nat -F DLN-HAIRPIN", ""),
        ),
        IN,
    ),
    "Connection refused": (KNOWN["nobody listens"], IN),
    "The service answers inside its own": (KNOWN["loopback only"], IN),
    "Addresses work, names do not": (Breakage("stub resolver", ("service",), (), ()), OUT),
    "One way only: tcpdump on the bridge": ("rp_filter of the host", OUT),
    "One way only: tcpdump in the endpoint": ("no way back", IN),
    "Ping and short requests": (
        Breakage("small uplink", ("mtu",), (), ("ip link set up0 mtu 1280",), ("ip link set up0 mtu 1500",)),
        OUT,
    ),
    "The host itself": ("cable", OUT),
    "tcpdump on the uplink shows the packet with the host's": ("drop outside", OUT),
}
# Those that IPv6 has in ways of its own, and what is broken there if it is not the same. What is broken in the wires is
# the same in both families, and test_path_check.py has it in both.
IN_SIX = {
    "The gateway answers, and everything else": "",
    "One endpoint is not found": "",
    "The gateway answers, but nothing": "forwarding of IPv6",
    "The service answers inside its own": "",
    "Ping and short requests": "",
}
# What is broken in our own rules, or in those of others beside them, which is not the same on every back-end.
OF_RULES = [
    "tcpdump on the uplink shows the packet with its private",
    "It stopped when Docker",
    "The service answers inside the host",
    "The published port answers from outside, but hangs",
]


def flow(way: str, version: int) -> Flow:
    web, db, far, host = WEB[version], DB[version], NEIGHBOUR[version], HOST[version]
    flows = {
        OUT: Flow("out", "web", "web", far, 443, ("neighbour", 443), web, far, version=version,
                  src_ns="web", src_link="v-blue-web", src_bridge="br-blue", gateway=GATEWAY[version]),
        IN: Flow("in", "outside", "neighbour", host, 8080, ("web", 80), far, web, version=version,
                 dst_ns="web", dst_link="v-blue-web", dst_bridge="br-blue", back=far),
        SAME: Flow("same", "web", "web", db, 80, ("db", 80), web, db, version=version, src_ns="web", dst_ns="db",
                   src_link="v-blue-web", dst_link="v-blue-db", src_bridge="br-blue", dst_bridge="br-blue"),
    }  # fmt: skip
    return flows[way]


def symptoms() -> list[tuple[str, str, str]]:
    """The rows of the table: symptom, layer and question."""
    section = GUIDE.read_text().partition("From a symptom to its layer")[2].partition("\nSee the translation")[0]
    rows = re.findall(r"\n   \* - ((?:.|\n)*?)\n     - ((?:.|\n)*?)\n     - (.*)", section)[1:]
    return [tuple(" ".join(cell.replace("``", "").split()) for cell in row) for row in rows]  # type: ignore[misc]


def asked(question: str, version: int) -> Question:
    """The options of a playbook as it hands them to the module, with the addresses of this world."""
    options = dict(re.findall(r"-e (\w+)=(\S+)", question))
    params = {"port": None, "protocol": None, "source_address": None, "size": None, "timeout": 0.5}
    params.update(options, to=in_this_world(options["to"], version), inject=True, active=True)
    # there is no default route in this world, so no router that the module would take
    params["source_address"] = NEIGHBOUR[version] if options["from"] == "outside" else None
    params["size"] = int(options["size"]) if "size" in options else None
    return question_of(params, False)


def in_this_world(to: str, version: int) -> str:
    """The guide's destination, with an address of this world and of a family."""
    places = {"203.0.113.1": NEIGHBOUR, "192.0.2.11": HOST, "10.20.0.1": GATEWAY}
    if version == 6:
        places.update(web=WEB, db=DB)  # by their names, the addresses of IPv4 would be taken
    name, colon, port = to.partition(":")
    address = places.get(name, {}).get(version, name)
    return f"[{address}]{colon}{port}" if ":" in address and colon else address + colon + port


@pytest.mark.parametrize(
    ("symptom", "layer", "question"), [row for row in symptoms() if not row[0].startswith(tuple(OF_RULES))]
)
def test_a_symptom_is_of_the_layer_that_the_guide_says(
    plain: PathWorld, symptom: str, layer: str, question: str
) -> None:
    is_of_the_layer(plain, symptom, layer, question, 4)


@pytest.mark.parametrize("words", IN_SIX)
def test_the_same_in_ipv6(plain: PathWorld, words: str) -> None:
    is_of_the_layer(plain, *row_of(words), 6)


@pytest.mark.parametrize("words", OF_RULES)
def test_a_symptom_of_rules(world: PathWorld, words: str) -> None:
    version = 6 if (world.backend, world.variant) == ("iptables", "nft") else 4
    is_of_the_layer(world, *row_of(words), version)


def row_of(words: str) -> tuple[str, str, str]:
    (row,) = [row for row in symptoms() if row[0].startswith(words)]
    return row


def is_of_the_layer(world: PathWorld, symptom: str, layer: str, question: str, version: int) -> None:
    ((words, (what, way)),) = [item for item in BROKEN.items() if symptom.startswith(item[0])]
    if version == 6:
        what = IN_SIX.get(words) or what
    breakage = KNOWN[what] if isinstance(what, str) else what
    options = vars(asked(question, version))
    with serving(world, breakage, version):
        if not breakage.server:
            before = world.check(**{**options, "timeout": 3.0})
            assert before["verdict"] == "arrives" or breakage.name == "stub resolver", before
        with broken(world, breakage, flow(way, version), lambda: world.make(*NETWORKS)):
            found = world.check(**options)
            foreseen = world.check(**{**options, "active": False})

    assert layer in breakage.layers
    assert (found["verdict"] != "arrives", found["layer"]) == (True, layer), found
    assert foreseen["layer"] == layer, foreseen


@contextlib.contextmanager
def serving(world: PathWorld, breakage: Breakage, version: int) -> Iterator[None]:
    """Somebody who listens wherever a question goes, but for what is broken."""
    with contextlib.ExitStack() as stack:
        for place, port in (("neighbour", 443), ("db", 80)):
            stack.enter_context(world.server(place, port))
        if breakage.server != "absent":
            loopback = "127.0.0.1" if version == 4 else "::1"
            address = loopback if breakage.server == "loopback" else ""
            stack.enter_context(world.server("web", 80, address=address))
        yield


def test_every_breakage_is_of_a_row() -> None:
    told = [symptom for symptom, _layer, _question in symptoms()]
    assert [words for words in BROKEN if sum(symptom.startswith(words) for symptom in told) != 1] == []
    assert len(told) == len(BROKEN)
