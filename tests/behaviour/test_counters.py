# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The counts of network_info: a known number of packets for each reason for which our rules drop any."""

from __future__ import annotations

import os
import runpy
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import frames
import pytest
from engine_world import BACKENDS, ROOT, EngineWorld
from fleet import eventually

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

PACKETS = {4: 3, 6: 5}  # the report adds the families up
LAN = {4: "192.0.2.1", 6: "2001:db8::1"}
NEIGHBOUR = {4: "192.0.2.2", 6: "2001:db8::2"}
FAR = {4: "198.51.100.2", 6: "2001:db8:1::2"}
WEB = {4: "10.20.0.2", 6: "fd00:20::2"}
DB = {4: "10.20.0.3", 6: "fd00:20::3"}
APP = {4: "10.21.0.2", 6: "fd00:21::2"}
BLUE_GATEWAY, GREEN_GATEWAY, GREY_GATEWAY = ({4: f"10.{octet}.0.1", 6: f"fd00:{octet}::1"} for octet in (20, 21, 22))
RST = 0x04
REASONS = runpy.run_path(str(ROOT / "plugins/module_utils/firewall/reasons.py"))


def network(name: str, octet: int, *endpoints: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "name": name,
        "subnets": [f"10.{octet}.0.0/24", f"fd00:{octet}::/64"],
        "endpoints": list(endpoints),
        **options,
    }


def endpoint(name: str, addresses: dict[int, str], **options: Any) -> dict[str, Any]:
    return {"name": name, "addresses": list(addresses.values()), **options}


NETWORKS = [
    network("blue", 20, endpoint("web", WEB), endpoint("db", DB), icc=False),
    network("green", 21, endpoint("app", APP, publish=["8081:80/udp"]), internal=True),
    network("grey", 22, {"name": "ops"}, host_access="deny"),
]


def datagrams(world: EngineWorld, place: str, to: str, port: int = 80) -> None:
    version = 6 if ":" in to else 4
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with world[place].socket(family, socket.SOCK_DGRAM) as client:
        for unused in range(PACKETS[version]):
            client.sendto(b"question", (to, port))


def resets(world: EngineWorld, place: str, source: str, to: str) -> None:
    """TCP resets of no connection, which connection tracking calls invalid."""
    version = 6 if ":" in to else 4
    with frames.sender(world, place, version) as raw:
        for unused in range(PACKETS[version]):
            raw.sendto(frames.segment((source, 40000), (to, 80), 1, 1, RST), (to, 0))


def to_loopback(world: EngineWorld) -> None:
    mac = frames.mac_of(world, "up0")
    for unused in range(PACKETS[4]):
        packet = frames.datagram(NEIGHBOUR[4], "127.0.0.1", 40000, 80)
        frames.send(world, "neighbour", mac, frames.ETH_IPV4, packet)


@dataclass(frozen=True)
class Case:
    """Packets that are dropped for a reason, and the network for which they are counted; empty: for the host."""

    reason: str
    counted_for: str
    send: Callable[[EngineWorld, int], None]
    route: tuple[str, dict[int, str], dict[int, str]] | None = None  # in an endpoint: to, by way of
    versions: tuple[int, ...] = (4, 6)
    forward_policy: str = "auto"


CASES = [
    Case("DIRECT", "blue", lambda world, v: datagrams(world, "neighbour", WEB[v])),
    Case("DIRECT", "green", lambda world, v: datagrams(world, "neighbour", APP[v])),
    Case("PRIVATE", "blue", lambda world, v: resets(world, "web", WEB[v], NEIGHBOUR[v])),
    Case("OUT", "green", lambda world, v: datagrams(world, "app", FAR[v]), ("app", FAR, GREEN_GATEWAY)),
    Case("IN", "green", lambda world, v: datagrams(world, "neighbour", LAN[v], 8081)),
    # by way of the host, for the ports of the bridge are isolated from one another
    Case("CLOSED", "blue", lambda world, v: datagrams(world, "web", DB[v]), ("web", DB, BLUE_GATEWAY)),
    Case("HOST", "grey", lambda world, v: datagrams(world, "ops", GREY_GATEWAY[v])),
    Case("LOOPBACK", "", lambda world, unused: to_loopback(world), versions=(4,)),
    Case("STRAY", "", lambda world, v: resets(world, "neighbour", NEIGHBOUR[v], LAN[v])),
    Case("TRANSIT", "", lambda world, v: datagrams(world, "neighbour", FAR[v])),
    Case("FOREIGN", "", lambda world, v: datagrams(world, "neighbour", FAR[v]), forward_policy="drop"),
]


@pytest.fixture(scope="module", params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Iterator[EngineWorld]:
    found = EngineWorld(request.param)
    yield found
    found.close()


def counts(world: EngineWorld) -> dict[tuple[str, str], int]:
    """The packets that were dropped, by network and reason."""
    report = world.report()
    found = {("", drop["reason"]): drop["packets"] for drop in report["drops"]}
    for item in report["networks"]:
        found.update({(item["name"], drop["reason"]): drop["packets"] for drop in item["drops"]})
    return found


def send(world: EngineWorld, case: Case) -> None:
    for version in case.versions:
        if case.route is not None:
            place, to, via = case.route
            world.must("ip", "-n", place, "route", "replace", to[version], "via", via[version])
        case.send(world, version)


@pytest.mark.parametrize("forward_policy", ["auto", "drop"])
def test_each_packet_is_counted_once(world: EngineWorld, forward_policy: str) -> None:
    """For its reason and its network, and nowhere else."""
    world.make(*NETWORKS, forward_policy=forward_policy)
    wanted = counts(world)
    for case in CASES:
        if case.forward_policy == forward_policy:
            send(world, case)
            key = (case.counted_for, REASONS[case.reason])
            wanted[key] = wanted.get(key, 0) + sum(PACKETS[version] for version in case.versions)
    eventually(lambda: counts(world) == wanted)
    assert counts(world) == wanted


@pytest.mark.parametrize("world", ["nftables"], indirect=True)
def test_what_is_forwarded_by_a_network_card_is_dropped(world: EngineWorld) -> None:
    """Unlike all other links here, lo has no kind, which a card has neither; IPv6 sends nothing there."""
    world.make(*NETWORKS, forward_policy="auto")
    before = counts(world).get(("", REASONS["TRANSIT"]), 0)
    world.must("ip", "route", "replace", "203.0.113.0/24", "dev", "lo")
    world.must("ip", "-n", "neighbour", "route", "replace", "203.0.113.0/24", "via", LAN[4])
    try:
        datagrams(world, "neighbour", "203.0.113.9")
        wanted = before + PACKETS[4]
        eventually(lambda: counts(world).get(("", REASONS["TRANSIT"])) == wanted)
        assert counts(world)["", REASONS["TRANSIT"]] == wanted
    finally:
        world.must("ip", "-n", "neighbour", "route", "del", "203.0.113.0/24")
        world.must("ip", "route", "del", "203.0.113.0/24", "dev", "lo")


def test_each_reason_has_packets() -> None:
    reasons = {name for name, value in REASONS.items() if isinstance(value, str) and name.isupper()}
    assert {case.reason for case in CASES} == {name for name in reasons if not name.startswith("_")}
