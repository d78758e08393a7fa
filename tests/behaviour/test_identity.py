# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Identifiers that are unique in one place only are not confused elsewhere: indexes of links, names of namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from engine_world import EngineWorld
from fleet import eventually

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.once,
]

BLUE: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [{"name": "app"}, {"name": "db"}],
}
RED: dict[str, Any] = {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "db"}]}
# The first one sorts before the endpoints' namespaces, the second one after them.
FOREIGN = ("aaa", "zzz")


@pytest.fixture(scope="module")
def shared() -> Iterator[EngineWorld]:
    world = EngineWorld()
    yield world
    world.close()


@pytest.fixture
def world(shared: EngineWorld) -> Iterator[EngineWorld]:
    yield shared
    shared.clear()
    for name in ("hub", *FOREIGN):
        shared.run(["ip", "netns", "delete", name])


def collide(world: EngineWorld, veth: str, name: str) -> None:
    """A foreign veth pair whose pair of indexes is that of a veth pair of ours."""
    near = json.loads(world.must("ip", "-j", "link", "show", "dev", veth))[0]
    world.must("ip", "netns", "add", "hub")
    world.must("ip", "netns", "add", name)
    words = ["type", "veth", "peer", "name", "up1", "index", str(near["link_index"]), "netns", name]
    world.must("ip", "-n", "hub", "link", "add", "to1", "index", str(near["ifindex"]), *words)


def links_in(world: EngineWorld, name: str) -> list[str]:
    return sorted(link["ifname"] for link in json.loads(world.must("ip", "-n", name, "-j", "link")))


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_pair_with_the_same_indexes_changes_nothing(world: EngineWorld, name: str) -> None:
    world.make(BLUE)
    before = world.state()
    collide(world, "v-blue-db", name)

    again = world.make(BLUE)

    assert not again.changed and not again.commands
    assert links_in(world, "db") == ["eth0", "lo"]
    assert {key: value for key, value in world.state().items() if key in before} == before

    # what is found wrong is mended where it is
    world.must("ip", "-n", "db", "link", "set", "eth0", "down")
    mended = world.make(BLUE)
    assert mended.changed and not any(command.startswith("ip link delete") for command in mended.commands)
    assert links_in(world, name) == ["lo", "up1"]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_namespace_with_an_endpoint_that_stays_is_not_deleted_for_a_foreign_pair(
    world: EngineWorld, name: str
) -> None:
    world.make(BLUE, RED)
    collide(world, "v-red-db", name)

    world.make(BLUE, state="absent", prune="none")

    assert links_in(world, "db") == ["eth1", "lo"]
    assert not any(" link add " in command for command in world.make(RED, prune="none").commands)
    assert links_in(world, name) == ["lo", "up1"]


def test_an_endpoint_keeps_its_addresses_when_others_add_some(world: EngineWorld) -> None:
    """The kernel lists the newest IPv6 address first."""
    world.make(BLUE)
    before = world.state()
    world.must("ip", "-n", "app", "address", "add", "10.20.0.201/24", "dev", "eth0")
    world.must("ip", "-n", "app", "address", "add", "fd00:20::201/64", "dev", "eth0", "nodad")

    assert world.make(BLUE).changed

    assert world.state() == before
    assert not world.make(BLUE).changed


def test_a_route_for_the_own_address_of_a_vpn_inside_stays(world: EngineWorld) -> None:
    """In a namespace of ours and in one of others; one for the endpoint's address goes, or is refused."""

    def add_vpn() -> None:
        world.must("ip", "-n", "app", "link", "add", "vpn0", "type", "veth", "peer", "name", "vpn1")
        for link in ("vpn0", "vpn1"):
            world.must("ip", "-n", "app", "link", "set", link, "up")
        world.must("ip", "-n", "app", "address", "add", "fd66::2/64", "dev", "vpn0", "nodad")
        add_route("fd66::/64")

    def add_route(source: str) -> None:
        words = ["default", "from", source, "via", "fd66::1", "dev", "vpn0", "metric", "512"]
        world.must("ip", "-n", "app", "-6", "route", "add", *words)

    def sources() -> list[str]:
        text = world.must("ip", "-n", "app", "-6", "route", "show", "default")
        return [line.split()[2] for line in text.splitlines() if " from " in line]

    world.make(BLUE)
    add_vpn()
    assert not world.make(BLUE).changed
    assert [one["troubles"] for one in world.report()["networks"][0]["endpoints"]] == [[], []]
    add_route("fd00:20::/64")
    assert "default by fd66::1, not the gateway" in str(world.report()["networks"])
    assert world.make(BLUE).changed
    assert sources() == ["fd66::/64"]

    world.clear()
    world.must("ip", "netns", "add", "app")
    try:
        add_vpn()
        assert world.make(BLUE).changed
        assert not world.make(BLUE).changed
        assert sources() == ["fd66::/64"]
        add_route("fd00:20::/64")
        assert "from fd00:20::/64 via fd66::1 dev vpn0 metric 512'" in world.try_run([BLUE]).message
    finally:
        world.clear()
        world.must("ip", "netns", "delete", "app")


@contextlib.contextmanager
def process_on(world: EngineWorld, *argv: str) -> Iterator[int]:
    """The pid of a process on the host."""
    with subprocess.Popen(world.inside(*argv, "sleep", "600")) as process:
        try:
            assert eventually(lambda: b"sleep" in command_of(process.pid))
            yield process.pid
        finally:
            process.kill()


def command_of(pid: int) -> bytes:
    with open(f"/proc/{pid}/comm", "rb") as file:
        return file.read()


@pytest.mark.parametrize("check", [True, False])
def test_an_endpoint_in_the_hosts_own_namespace_is_refused(world: EngineWorld, check: bool) -> None:
    before = world.state()
    with process_on(world) as pid:
        outcome = world.try_run([{**BLUE, "endpoints": [{"name": "app", "pid": pid}]}], check=check)

    assert outcome.error == "Conflict"
    assert f"the namespace of process {pid} is the host's own" in outcome.message
    assert world.state() == before


@pytest.mark.parametrize("check", [True, False])
def test_one_namespace_by_two_processes_is_refused_before_anything_is_changed(world: EngineWorld, check: bool) -> None:
    before = world.state()
    world.must("ip", "netns", "add", "zzz")
    inside = ("ip", "netns", "exec", "zzz")
    with process_on(world, *inside) as one, process_on(world, *inside) as other:
        endpoints = [{"name": "app", "pid": one}, {"name": "db", "pid": other}]
        outcome = world.try_run([{**BLUE, "endpoints": endpoints}], check=check)

    assert outcome.error == "Conflict"
    assert f"the namespace of process {other} (which is also the namespace of process {one})" in outcome.message
    world.must("ip", "netns", "delete", "zzz")
    assert world.state() == before
