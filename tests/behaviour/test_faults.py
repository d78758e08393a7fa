# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that are killed, that fail in the middle, that meet others, and hosts that somebody else has been at.

Whole networks are made by the engine without Ansible, so that hundreds of runs cost less than a minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import drift
import pytest
from engine_world import BACKENDS, EngineWorld, Networks, Outcome
from fleet import eventually
from small_world import IMPATIENCE, PATIENCE

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

T = TypeVar("T")
State = dict[str, Any]
NOTE = "/etc/sysctl.d/90-dockerless-network.conf"
# Whatever the back-end, links and namespaces are made by the same steps: with iptables, runs are killed less often, but
# always next to each of its own steps, and of the others every fifth one fails.
KILLS = {"nftables": 50, "iptables": 25}
TOOLS = ("nft ", "iptables-", "ip6tables-")
# Runs mostly wait for the kernel, so more of them than there are processors go on at the same time.
WORLDS = 4

BEFORE: Networks = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [
            {"name": "web", "publish": ["8080:80", "8080:80/udp", "127.0.0.1:9000:9000"]},
            {"name": "db", "publish": ["5432:5432"]},
        ],
    },
    {"name": "red", "subnets": ["10.21.0.0/24", "fd00:21::/64"], "endpoints": [{"name": "app"}]},
]
# db moves to another network, app gets another address, what web publishes changes but for one port, a network and two
# endpoints come, an option of each network changes.
AFTER: Networks = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "mtu": 1400,
        "direct_access": True,
        "endpoints": [
            {"name": "web", "publish": ["8080:80", "8080:80/udp", "9001:9000", "5432:5432"]},
            {"name": "cache"},
        ],
    },
    {
        "name": "red",
        "subnets": ["10.21.0.0/24", "fd00:21::/64"],
        "icc": False,
        "endpoints": [{"name": "app", "addresses": ["10.21.0.9"]}, {"name": "db"}],
    },
    {"name": "green", "subnets": ["10.22.0.0/24"], "internal": True, "endpoints": [{"name": "vault"}]},
]


# What a host goes back to whose note of that was lost.
AS_FOUND = (
    "net.ipv4.ip_forward=0",
    "net.ipv6.conf.all.forwarding=0",
    "net.ipv4.conf.all.accept_redirects=1",
    *(f"net.ipv6.conf.{link}.accept_ra=1" for link in ("default", "up0", "up1")),
)
EVERYWHERE = pytest.mark.parametrize("worlds", BACKENDS, indirect=True)


@pytest.fixture(scope="module")
def worlds(request: pytest.FixtureRequest) -> Iterator[list[EngineWorld]]:
    """Several hosts with one back-end, nftables unless a test says otherwise."""
    backends = [getattr(request, "param", "nftables")] * WORLDS
    with ThreadPoolExecutor(WORLDS) as pool:
        found = list(pool.map(EngineWorld, backends))
    yield found
    for world in found:
        world.close()


@pytest.fixture
def world(worlds: list[EngineWorld]) -> Iterator[EngineWorld]:
    yield worlds[0]
    worlds[0].clear()


def share(worlds: Sequence[EngineWorld], work: Sequence[T], act: Callable[[EngineWorld, T], None]) -> None:
    """Do something with each piece of work, in one world or another."""

    def run(number: int) -> None:
        try:
            for item in work[number :: len(worlds)]:
                act(worlds[number], item)
        finally:
            worlds[number].clear()

    with ThreadPoolExecutor(len(worlds)) as pool:
        list(pool.map(run, range(len(worlds))))


def differences(one: State, other: State) -> str:
    """The differences, for a person; empty if there are none."""
    keys = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    return "\n".join(f"{key}: {one.get(key, '-')} | {other.get(key, '-')}" for key in keys)


# ---- 12. killed


def kills(seed: int, whole: Outcome, backend: str) -> list[dict[str, Any]]:
    """Points of a run to be killed at: around the packet filter's steps, between others, inside of them, and whenever a
    timer happens to expire."""
    chance = random.Random(seed)
    choices: list[Callable[[], dict[str, Any]]] = [
        lambda: {"kill_before": chance.randrange(whole.steps)},
        lambda: {"kill_after": chance.randrange(whole.steps)},
        lambda: {"kill_action": chance.randint(1, whole.actions)},
        lambda: {"kill_action": chance.randint(1, whole.actions)},
        lambda: {"kill_seconds": chance.uniform(0, whole.seconds)},
    ]
    around = [{moment: number} for number in rule_steps(whole) for moment in ("kill_before", "kill_after")]
    return around + [choices[number % len(choices)]() for number in range(KILLS[backend] - len(around))]


def rule_steps(whole: Outcome) -> list[int]:
    """The steps of a run that the packet filter's tools carry out."""
    found = [number for number, command in enumerate(whole.said) if command.startswith(TOOLS)]
    assert found, whole.said
    return found


@EVERYWHERE
def test_killed_in_the_first_run_and_in_the_removal(worlds: list[EngineWorld]) -> None:
    empty = worlds[0].state()
    first = worlds[0].make(*BEFORE)
    whole = worlds[0].state()
    removal = worlds[0].make()
    assert not differences(worlds[0].state(), empty)
    counts = {True: 0, False: 0}

    def check(world: EngineWorld, faults: tuple[dict[str, Any], dict[str, Any]]) -> None:
        for fault, networks, reached in zip(faults, (BEFORE, []), (whole, empty)):
            counts[world.try_run(networks, **fault).killed] += 1
            world.make(*networks)
            assert not differences(world.state(), reached), fault
            assert not world.make(*networks).changed, fault

    backend = worlds[0].backend
    share(worlds, list(zip(kills(1, first, backend), kills(2, removal, backend))), check)
    # a timer may expire when all is done
    assert counts[True] >= 0.8 * 2 * KILLS[backend]


def test_killed_with_a_file_half_written(world: EngineWorld) -> None:
    """The next run removes the rest of it, whether it repeats the request or removes the object."""
    empty = world.state()
    first = world.make(*BEFORE)
    whole = world.state()
    moment = {"kill_action": first.did.index("fsync") + 1}
    for networks, reached in ((BEFORE, whole), ([], empty)):
        world.clear()
        assert world.try_run(BEFORE, **moment).killed
        assert any(key.startswith("file /etc/sysctl.d/") and key.endswith(".tmp") for key in world.state())
        world.make(*networks)
        assert not differences(world.state(), reached)


@EVERYWHERE
def test_killed_while_a_tool_is_at_work(worlds: list[EngineWorld]) -> None:
    """The tool lives on, and does its work when the run that called it is no more; the next one waits for it."""
    world = worlds[0]
    empty = world.state()
    world.make(*BEFORE)
    whole = world.state()
    for networks, reached in ((BEFORE, whole), ([], empty)):
        world.make(*([] if networks else BEFORE))
        with world.loads_that_kill():
            assert world.try_run(networks).killed
        world.make(*networks)
        assert not differences(world.state(), reached)
        assert not world.make(*networks).changed


@EVERYWHERE
def test_killed_in_a_change(worlds: list[EngineWorld]) -> None:
    worlds[0].make(*BEFORE)
    change = worlds[0].make(*AFTER)
    reached = worlds[0].state()
    counts = {True: 0, False: 0}

    def check(world: EngineWorld, fault: dict[str, Any]) -> None:
        world.make(*BEFORE)
        counts[world.try_run(AFTER, **fault).killed] += 1
        world.make(*AFTER)
        assert not differences(world.state(), reached), fault
        assert not world.make(*AFTER).changed, fault

    share(worlds, kills(3, change, worlds[0].backend), check)
    assert counts[True] >= 0.8 * KILLS[worlds[0].backend]


# ---- 12. flows live on


class Stream:
    """Numbers that go from the neighbour to a published port and back, one after the other, until they are stopped."""

    def __init__(self, world: EngineWorld, address: str, kind: socket.SocketKind) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.client = world["neighbour"].socket(family, kind)
        self.server = world["web"].socket(family, kind)
        if family == socket.AF_INET6:
            self.server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.server.bind(("", 80))
        self.sent = 0
        self.echoed: list[int] = []
        self.ended = threading.Event()
        if kind == socket.SOCK_STREAM:
            self.server.listen()
            self.client.settimeout(PATIENCE)
            self.client.connect((address, 8080))
            self.inside, unused = self.server.accept()
        else:
            self.inside = self.server
            self.client.connect((address, 8080))
        self.client.settimeout(PATIENCE)
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._echo, self._send, self._receive)]
        for thread in self.threads:
            thread.start()

    def _echo(self) -> None:
        # until it is shut down: what was sent last is on its way yet when the sender ends
        with contextlib.suppress(OSError):
            while True:
                if self.inside is self.server:
                    text, peer = self.inside.recvfrom(4)
                    if peer is None:
                        return
                    self.inside.sendto(text, peer)
                else:
                    text = self.inside.recv(4, socket.MSG_WAITALL)
                    if not text:
                        return
                    self.inside.sendall(text)

    def _send(self) -> None:
        while not self.ended.wait(0.002):
            self.client.send(struct.pack("!I", self.sent))
            self.sent += 1

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                text = self.client.recv(4, socket.MSG_WAITALL if self.inside is not self.server else 0)
                if not text:
                    return
                self.echoed.append(struct.unpack("!I", text)[0])

    def stop(self) -> list[int]:
        """The numbers that came back."""
        self.ended.set()
        self.threads[1].join()
        eventually(lambda: len(self.echoed) == self.sent)
        for end in (self.client, self.inside, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        return self.echoed

    def close(self) -> None:
        for end in (self.client, self.inside, self.server):
            end.close()

    def sent_again(self) -> int:
        """Segments that either end of a connection had to repeat (tcpi_total_retrans in linux/tcp.h)."""
        ends = [end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104) for end in (self.client, self.inside)]
        return sum(int(struct.unpack_from("=I", end, 100)[0]) for end in ends)


def lively(world: EngineWorld) -> None:
    """Everything that may happen to a host while an unchanged port is in use."""
    blue, red = BEFORE
    web, db = blue["endpoints"]
    with_ports = {**web, "publish": [*web["publish"][:2], "8081:81", "[2001:db8::1]:8082:82"]}
    limited = {"host_port": 8083, "container_port": 83, "allowed_sources": ["192.0.2.3"]}
    changes: list[Networks] = [
        BEFORE,
        [{**blue, "endpoints": [with_ports, db]}, red],
        [{**blue, "endpoints": [{**with_ports, "publish": [*with_ports["publish"], limited]}, db]}, red],
        [{**blue, "endpoints": [web]}],
        [blue, red, {"name": "green", "subnets": ["10.22.0.0/24"], "endpoints": [{"name": "vault"}]}],
        [{**blue, "trusted_interfaces": ["up1"], "host_access": "deny", "masquerade": {"random_fully": True}}, red],
        [{**blue, "direct_access": True, "mtu": 1400}, red],
        BEFORE,
    ]
    for networks in changes:
        world.make(*networks)
        assert not world.make(*networks).changed


@pytest.mark.parametrize("backend", BACKENDS)
def test_flows_through_an_unchanged_port_lose_nothing(backend: str) -> None:
    """Not by runs, not by changes of all the rest, not by another back-end."""
    world = EngineWorld(backend)
    streams: list[Stream] = []
    try:
        world.make(*BEFORE)
        for address in ("192.0.2.1", "2001:db8::1"):
            streams += [Stream(world, address, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        lively(world)
        own = world.backend
        world.backend = "iptables" if own == "nftables" else "nftables"
        assert world.make(*BEFORE).changed
        world.backend = own
        assert world.make(*BEFORE).changed
        for stream in streams:
            assert stream.stop() == list(range(stream.sent))
            assert stream.sent > 100
        assert [stream.sent_again() for stream in streams[::2]] == [0, 0]
    finally:
        for stream in streams:
            assert stream.stop() == list(range(stream.sent))
            stream.close()
        world.clear()
        world.close()


# ---- 13. failure in the middle


def failing(whole: Outcome, backend: str) -> Sequence[int]:
    """The steps that are made to fail in turn."""
    if backend == "nftables":
        return range(whole.steps)
    near = {step + more for step in rule_steps(whole) for more in (0, 1)}
    return sorted({*near, *range(0, whole.steps, 5)} & {*range(whole.steps)})


@EVERYWHERE
@pytest.mark.parametrize(
    ("there", "wanted"), [([], BEFORE), (BEFORE, AFTER), (BEFORE, [])], ids=["creation", "change", "removal"]
)
def test_each_step_fails_in_turn(worlds: list[EngineWorld], there: Networks, wanted: Networks) -> None:
    """The host is as it was, and the message says which step it was."""
    worlds[0].make(*there)
    before = worlds[0].state()
    numbers = failing(worlds[0].make(*wanted), worlds[0].backend)
    worlds[0].clear()  # or endpoints would keep the addresses that they have now
    kinds = ["kernel", "command", "disk"]
    troubles: list[str] = []

    def check(world: EngineWorld, number: int) -> None:
        world.make(*there)
        failed = world.try_run(wanted, fail_at=number, error=kinds[number % len(kinds)])
        found = differences(before, world.state())
        step = failed.said[number] if number < len(failed.said) else "of another plan"
        if failed.error != "StepFailed" or f"The step that failed: {step}" not in failed.message:
            found += f"\n{failed.error}: {failed.message}"
        if found:
            troubles.append(f"step {number}, {step}: {failed.message}\n{found}")

    share(worlds, numbers, check)
    assert not troubles, f"{len(troubles)} of {len(numbers)} steps\n" + "\n\n".join(troubles)


def test_a_full_disk(world: EngineWorld) -> None:
    before = world.state()
    world.must("mount", "-t", "tmpfs", "-o", "size=4k", "none", "/etc/sysctl.d")
    world.must("sh", "-c", "head -c 4096 /dev/zero > /etc/sysctl.d/full")
    try:
        for check in (True, False):
            failed = world.try_run(BEFORE, check=check)
            assert failed.error == "Conflict" and not failed.steps
            assert "the file system of /etc/sysctl.d is full; make some room in it" in failed.message
    finally:
        world.must("umount", "/etc/sysctl.d")
    assert not differences(world.state(), before)


def test_a_disk_that_gets_full(world: EngineWorld) -> None:
    """There is room for the first of many files, so that only the run itself can know."""
    before = world.state()
    world.must("mkdir", "-p", "/etc/netns")
    world.must("mount", "-t", "tmpfs", "-o", "size=4k", "none", "/etc/netns")
    try:
        failed = world.try_run(BEFORE)
        assert failed.error == "StepFailed"
        assert "No space left on device" in failed.message and "/etc/netns" in failed.message
        assert "was undone" in failed.message
        assert not world.must("ls", "-A", "/etc/netns")
    finally:
        world.must("sh", "-c", "umount /etc/netns; rmdir /etc/netns")
    assert not differences(world.state(), before)


def test_nft_refuses(world: EngineWorld) -> None:
    """A table of our name is somebody else's, who does not share it (nft(8), owner)."""
    before = world.state()
    with owned_table(world):
        failed = world.try_run(BEFORE)
        # nft 1.0.6 cannot even show such a table
        assert failed.error in ("StepFailed", "FirewallError")
        assert re.search("table inet dockerless|in .add [a-z]+ inet dockerless", failed.message), failed.message
    assert not differences(world.state(), before)
    world.make(*BEFORE)


@contextlib.contextmanager
def owned_table(world: EngineWorld) -> Iterator[None]:
    """The table, held by an interactive nft for as long as that lives."""
    command = world.inside("nft", "--interactive")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as holder:
        assert holder.stdin is not None
        holder.stdin.write("add table inet dockerless { flags owner; }\n")
        holder.stdin.flush()
        assert eventually(lambda: "dockerless" in world.must("nft", "list", "tables"))
        yield
    assert eventually(lambda: "dockerless" not in world.must("nft", "list", "tables"))


def test_a_table_of_another_shape_is_made_ours(world: EngineWorld) -> None:
    """An object that bears our name but differs from ours is damage."""
    world.make(*BEFORE)
    reached = world.state()
    world.clear()
    other = "table inet dockerless { set bridges { type ipv4_addr; elements = { 10.0.0.1 }; }; }"
    world.must("nft", "-f", "-", text=other)
    world.make(*BEFORE)
    assert not differences(world.state(), reached)


@pytest.mark.once
def test_a_table_that_somebody_put_to_sleep_wakes_up(world: EngineWorld) -> None:
    """Its rules are all there, and none of them is obeyed."""
    if world.backend != "nftables":
        pytest.skip("tables of iptables do not sleep")
    world.make(*BEFORE)
    whole = world.state()
    world.must("nft", "add table inet dockerless { flags dormant; }")
    predicted, done = world.make(*BEFORE, check=True), world.make(*BEFORE)
    assert predicted.commands == done.commands == ["nft -f - <<'EOF'\nadd table inet dockerless\nEOF"]
    assert predicted.diff == done.diff != ""
    assert "dormant" not in world.must("nft", "list", "table", "inet", "dockerless")
    assert not differences(world.state(), whole) and not world.make(*BEFORE).changed


@pytest.mark.once
def test_a_table_asleep_that_nft_cannot_list_is_woken_by_the_command_that_the_message_tells(world: EngineWorld) -> None:
    """nft 1.0.6 stops in the middle of an empty one, and later releases list it."""
    world.make(*BEFORE)
    whole = world.state()
    world.clear()
    world.must("nft", "add table inet dockerless { flags dormant; }")
    if not world.must("nft", "-j", "list", "table", "inet", "dockerless").rstrip().endswith("}"):
        failed = world.try_run(BEFORE)
        story, unused, command = failed.message.rpartition("; wake it: ")
        assert (failed.error, failed.steps) == ("FirewallError", 0)
        assert story == "Table inet dockerless is dormant, and nft cannot list it"
        world.must(*command.split())
    world.make(*BEFORE)
    assert not differences(world.state(), whole)


def test_a_bridge_is_full(world: EngineWorld) -> None:
    """The kernel gives a bridge 1,023 ports; here the collection takes it for 2."""
    crowd = [{**BEFORE[0], "endpoints": [{"name": f"e{number}"} for number in range(3)]}]
    before = world.state()
    failed = world.try_run(crowd, bridge_ports=2)
    assert failed.error == "Conflict"
    assert failed.message.startswith("network blue: endpoint e2: bridge br-blue is full")
    assert not differences(world.state(), before)
    world.make(*crowd, bridge_ports=3)


# ---- 14. eight at once


def named(state: State) -> set[str]:
    """The state of the host, whichever of its two addresses app has."""
    return {key.replace("10.21.0.9/", "10.21.0.14/") for key in state}


@EVERYWHERE
def test_eight_runs_at_once(world: EngineWorld) -> None:
    """Each of them wants one of three things; all of one network, or of two."""
    blue = BEFORE[0]
    wishes: list[Networks] = [BEFORE, AFTER, [{**blue, "endpoints": []}]]
    results = []
    for networks in wishes:
        world.make(*networks)
        results.append(world.state())
    for attempt in range(3):
        chosen = [wishes[(number + attempt) % len(wishes)] for number in range(8)]
        done = world.try_runs({"networks": networks} for networks in chosen)
        assert [(outcome.error, outcome.message) for outcome in done if outcome.error] == []
        # app has the address that AFTER gives it by name, or keeps that of before; all else is what one of them wants
        found = named(world.state())
        assert any(found == named(result) for result in results), differences(world.state(), results[0])
        assert any(not world.try_run(networks, check=True).changed for networks in wishes)


def test_who_will_not_wait_is_told_who_holds_the_lock(world: EngineWorld) -> None:
    requests = [{"networks": BEFORE, "patience": 0, "what": f"run {number}"} for number in range(8)]
    done = world.try_runs(requests)
    refused = [outcome for outcome in done if outcome.error]
    assert 0 < len(refused) < len(done)
    for outcome in refused:
        assert outcome.error == "LockTimeout"
        assert "holds it" in outcome.message
    assert any("(run " in outcome.message for outcome in refused)
    assert not world.make(*BEFORE).changed


# ---- 15. drift


@EVERYWHERE
def test_every_object_is_repaired(worlds: list[EngineWorld]) -> None:
    """Each is deleted or altered, one at a time: check mode says so, the next run repairs that, and the host is as it
    was when a third run had nothing to do."""
    empty = worlds[0].state()
    for world in worlds:
        world.make(*BEFORE)
        assert not world.make(*BEFORE).changed
    whole = worlds[0].state()
    shown = [drift.shown(world) for world in worlds]
    assert not any("altered" in facts for facts in shown)
    damages = drift.damages(worlds[0], empty)
    assert {damage.sort for damage in damages} == drift.SORTS[worlds[0].backend]
    if worlds[0].backend == "iptables":
        # all but the rules is as with nftables; and these are the same texts in both of its variants, which share them:
        # by turns, as the damages of a rule are neighbours
        rules = [damage for damage in damages if damage.rules]
        damages = [d for number, d in enumerate(rules) if number // 2 % 2 == (worlds[0].variant == "legacy")]
    troubles: list[str] = []

    def check(world: EngineWorld, damage: drift.Damage) -> None:
        world.must("sh", "-ec", damage.command)
        if damage.sort == "namespace":
            # the kernel takes its time to take the veth pair away
            assert eventually(lambda: not any(key.endswith(f"-{damage.name}") for key in world.state()))
        unseen = damage.rules and drift.shown(world) == shown[worlds.index(world)]
        predicted = world.try_run(BEFORE, check=True)
        done = world.try_run(BEFORE)
        found = [f"{outcome.error}: {outcome.message}" for outcome in (predicted, done) if outcome.error]
        if unseen:
            found.append("network_info tells of the host as if nothing had happened")
        if not predicted.commands or predicted.commands != done.commands:
            found.append(f"predicted {predicted.commands}, did {done.commands}")
        if not done.diff or damage.name not in done.diff or predicted.diff != done.diff:
            found.append(f"{damage.name} is not in the diff: {done.diff!r}")
        if not damage.concerns(done.commands):
            found.append(f"did too much: {done.commands}")
        # with the note of what was found there goes what only it knew
        note = f"file {NOTE}: " if damage.command == f"rm {NOTE}" else "none"
        found += [line for line in differences(world.state(), whole).splitlines() if not line.startswith(note)]
        # in case there is something to do that the state of the host does not show
        if damages.index(damage) % 8 == 0 and world.make(*BEFORE).changed:
            found.append("the third run has something to do")
        if NOTE in damage.command:
            world.clear()
            world.must("sysctl", "-qw", *AS_FOUND)
            world.make(*BEFORE)
        if found:
            troubles.append("\n  ".join([str(damage), *found]))

    share(worlds, damages, check)
    assert not troubles, f"{len(troubles)} of {len(damages)}\n" + "\n\n".join(sorted(troubles))


WEB_IN_BLUE = {"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"]}
FORGET = "bridge fdb del $(ip netns exec web cat /sys/class/net/eth0/address) dev v-blue-web master || true"
# A change of links, and from where it cuts off which addresses of web.
CUTS = {
    "ARP of the bridge": ("ip link set br-blue arp off", "host", ("10.20.0.2", "fd00:20::2")),
    "ARP of the endpoint": ("ip -n web link set eth0 arp off", "db", ("10.20.0.2", "fd00:20::2")),
    "state": ("bridge link set dev v-blue-web state disabled", "db", ("10.20.0.2", "fd00:20::2")),
    "blocked": ("bridge link set dev v-blue-web state blocking", "db", ()),  # the kernel lets it forward again
    "broadcasts": ("bridge link set dev v-blue-web bcast_flood off", "db", ("10.20.0.2",)),
    "groups": ("bridge link set dev v-blue-web mcast_flood off", "db", ("fd00:20::2",)),
    "unknown addresses": (
        f"bridge link set dev v-blue-web flood off learning off; {FORGET}", "db", ("10.20.0.2", "fd00:20::2")),
    "locked": (f"bridge link set dev v-blue-web locked on; {FORGET}", "db", ("10.20.0.2", "fd00:20::2")),
}  # fmt: skip


@pytest.mark.parametrize("case", CUTS)
def test_links_that_were_cut_carry_packets_again(world: EngineWorld, case: str) -> None:
    command, place, addresses = CUTS[case]
    ends = [{"name": name, "addresses": [f"10.20.0.{n}", f"fd00:20::{n}"]} for n, name in enumerate(["web", "db"], 2)]
    networks = [{"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": ends}]
    forget = "; ".join(f"ip {where} neigh flush all" for where in ("", "-n web", "-n db"))
    world.make(*networks)
    assert all(world.ping(place, address) for address in ("10.20.0.2", "fd00:20::2"))
    world.must("sh", "-ec", f"{command}; {forget}")
    assert not any(world.ping(place, address, 0.3) for address in addresses)
    predicted, done = world.make(*networks, check=True), world.make(*networks)
    assert (done.commands, done.diff) == (predicted.commands, predicted.diff)
    assert done.changed == bool(addresses)
    assert all(world.ping(place, address, 1.0) for address in ("10.20.0.2", "fd00:20::2"))
    assert not world.make(*networks).changed


# What others add on the host, the addresses of web that packets do not come to, and what the run says of them.
ASTRAY = {
    "blackhole": ("ip route add blackhole 10.20.0.2", ("10.20.0.2",), "stopped by a route (blackhole 10.20.0.2/32)"),
    "prohibit": (
        "ip -6 route add prohibit fd00:20::2",
        ("fd00:20::2",),
        "stopped by a route (prohibit fd00:20::2/128)",
    ),
    "half": ("ip route add 10.20.0.0/25 dev up0", ("10.20.0.2",), "leave by up0, by a route that is not ours"),
    "metric": ("ip -6 route add fd00:20::/64 dev up0 metric 1", ("fd00:20::2",), "leave by up0, by a route"),
    "rule to": ("ip rule add to 10.20.0.2 prohibit pref 99", ("10.20.0.2",), "by a rule of routing (prohibit)"),
    "rule to in IPv6": (
        "ip -6 rule add to fd00:20::/64 blackhole",
        ("fd00:20::2",),
        "by a rule of routing (blackhole)",
    ),
    "rule from": ("ip rule add from 10.20.0.2 blackhole pref 99", (), "packets from blue/web (10.20.0.2) are stopped"),
    "rule iif": ("ip rule add iif br-blue unreachable pref 99", (), "packets from blue/web (10.20.0.2) are stopped"),
    "table": (
        "ip rule add lookup 100 pref 99; ip route add default dev up1 table 100",
        ("10.20.0.2",),
        "leave by up1, as a rule of routing that is not ours leads to table 100",
    ),
    "local": (
        "ip route add local 10.20.0.2 dev lo table main",
        ("10.20.0.2",),
        "stopped by a route (local 10.20.0.2/32)",
    ),
    "local in IPv6": (
        "ip -6 route add anycast fd00:20::2 dev lo table local",
        ("fd00:20::2",),
        "stopped by a route (anycast fd00:20::2/128)",
    ),
    "local around": ("ip route add local 10.20.0.0/16 dev lo", (), "stopped by a route (local 10.20.0.0/16)"),
    "before": ("ip route prepend 10.20.0.0/24 dev up0", ("10.20.0.2",), "leave by up0, by a route"),
    "blackhole before": ("ip route prepend blackhole 10.20.0.0/24", ("10.20.0.2",), "(blackhole 10.20.0.0/24)"),
    "several hops": (
        "ip route add 10.20.0.2 nexthop via 192.0.2.2 nexthop via 192.0.2.3",
        ("10.20.0.2",),
        "leave by up0, by a route",
    ),
    "table that discards": (
        "ip -6 rule add to fd00::/8 lookup 100 pref 99; ip -6 route add blackhole default table 100",
        ("fd00:20::2",),
        "are stopped by a route of type blackhole, as a rule of routing",
    ),
}


@pytest.mark.parametrize("case", ASTRAY)
def test_routes_and_rules_of_others_that_keep_packets_from_endpoints(world: EngineWorld, case: str) -> None:
    """They stay; warnings and the report name them, with a command that helps."""
    command, addresses, said = ASTRAY[case]
    networks = [{"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": [WEB_IN_BLUE]}]
    everything = "ip route show table all; ip -6 route show table all; ip rule; ip -6 rule"

    def reached() -> list[bool]:
        ways = [world.ping("host", address, 0.5) for address in addresses]
        return ways or [world.ping("web", "192.0.2.2", 0.5)]

    world.make(*networks)
    assert all(reached())
    before = world.must("sh", "-c", everything)
    world.must("sh", "-ec", command)
    try:
        there = world.must("sh", "-c", everything)
        assert not any(reached())
        predicted, done = world.make(*networks, check=True), world.make(*networks)
        assert (done.changed, done.warnings) == (False, predicted.warnings)
        (warning,) = done.warnings
        assert said.lower() in warning.lower() and "blue/web" in warning
        (endpoint,) = world.report()["networks"][0]["endpoints"]
        address = re.findall(r"\(([0-9a-f:.]+)\)", warning)[-1]
        assert endpoint["troubles"] == [warning[0].lower() + warning[1:-1].replace(f"blue/web ({address})", address)]
        assert world.must("sh", "-c", everything) == there
        world.must("sh", "-ec", warning.rpartition(" '")[2].rstrip("'."))
        assert all(reached())
        assert world.make(*networks).warnings == []
        assert world.report()["networks"][0]["endpoints"][0]["troubles"] == []
    finally:
        world.must(
            "sh", "-c", "; ".join(f"ip {six} rule del pref {n}" for six in ("", "-6") for n in (98, 99)) + "; true"
        )
        world.must("sh", "-c", "ip route flush table 100; ip -6 route flush table 100; true")
    assert case.startswith("table") or world.must("sh", "-c", everything) == before


INSIDE, SIX = "ip -n web route", "ip -n web -6 route"
# What others add in a namespace of ours, and what does not come through then: an echo request from there to there.
STRAYS = {
    "default before ours": (f"{INSIDE} prepend blackhole default", "web", "192.0.2.2"),
    "several hops": (
        f"{INSIDE} replace default nexthop via 10.20.0.99 nexthop via 10.20.0.98", "web", "192.0.2.2"),
    "hop beside ours": (f"{SIX} append default via fd00:20::99 dev eth0", "web", "2001:db8::2"),
    "nexthop object": (
        f"ip -n web nexthop add id 1 blackhole; {INSIDE} prepend 10.20.0.0/24 nhid 1", "web", "10.20.0.3"),
    "other source": (
        f"ip -n web address add 10.99.0.1/32 dev lo; {INSIDE} replace 10.20.0.0/24 dev eth0 src 10.99.0.1",
        "web", "10.20.0.3"),
    "from": (f"{SIX} add fd00:20::/64 from fd00:20::/64 via fd00:20::99 dev eth0", "db", "fd00:20::2"),
    "local gateway": (f"{INSIDE} add local 10.20.0.1 dev lo", "host", "10.20.0.2"),
    "local around": (f"{SIX} add local fd00::/8 dev lo table local", "db", "fd00:20::2"),
    "unicast in local": (f"{INSIDE} add 10.20.0.3 via 10.20.0.99 dev eth0 table local", "web", "10.20.0.3"),
}  # fmt: skip


@pytest.mark.parametrize("case", STRAYS)
def test_routes_of_others_in_a_namespace_of_ours_are_removed(world: EngineWorld, case: str) -> None:
    """Of whatever shape they are; see test_veth_kind for more of them."""
    command, place, address = STRAYS[case]
    ends = [{"name": name, "addresses": [f"10.20.0.{n}", f"fd00:20::{n}"]} for n, name in enumerate(["web", "db"], 2)]
    networks = [{"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": ends}]
    shown = f"{INSIDE} show table all; {SIX} show table all"
    world.make(*networks)
    assert world.ping(place, address)
    world.must("sh", "-ec", command)
    if case != "hop beside ours":  # which of the two is taken follows from a random number of the kernel
        assert not world.ping(place, address, 0.3)
    assert world.report()["networks"][0]["endpoints"][1]["troubles"]
    predicted, done = world.make(*networks, check=True), world.make(*networks)
    assert (done.changed, done.commands) == (True, predicted.commands)
    assert world.ping(place, address), world.must("sh", "-c", shown)
    assert not world.make(*networks).changed
    assert world.report()["networks"][0]["endpoints"][1]["troubles"] == []
    world.clear()


@pytest.mark.parametrize(
    "command",
    [f"{INSIDE} prepend blackhole default table 25708001", f"{SIX} append default via fd00:21::99 table 25708001"],
    ids=["before ours", "hop beside ours"],
)
def test_routes_of_others_in_the_table_of_an_end_are_removed(world: EngineWorld, command: str) -> None:
    """By it, web answers clients of its second network."""
    version = 6 if "-6" in command else 4
    lan, table = ("192.0.2.1", "2001:db8::1")[version == 6], f"ip -n web -{version} route show table 25708001"
    networks: list[dict[str, Any]] = [
        {
            "name": name,
            "subnets": [f"10.2{n}.0.0/24", f"fd00:2{n}::/64"],
            "endpoints": [{"name": "web", "publish": [f"808{n}:80"]}],
        }
        for n, name in enumerate(("blue", "red"))
    ]
    world.make(*networks)
    before = world.must("sh", "-c", table)
    with world.server("web", 80) as listener:
        assert world.ask("neighbour", lan, 8081, listener)
        world.must("sh", "-ec", command)
        if version == 4:
            assert world.closed("neighbour", lan, 8081, listener)
        assert any(one["troubles"] for net in world.report()["networks"] for one in net["endpoints"])
        predicted, done = world.make(*networks, check=True), world.make(*networks)
        assert (done.changed, done.commands) == (True, predicted.commands)
        assert world.must("sh", "-c", table) == before
        assert world.ask("neighbour", lan, 8081, listener)
    assert not world.make(*networks).changed
    world.clear()


FILTER = "tc filter add dev v-blue-web ingress protocol all u32 match u32 0 0 action mirred egress redirect dev lo"
# What others set on the host, from where web is not reached then, and what the report says.
SET = {
    "neighbour": (
        "ip neigh replace 10.20.0.2 lladdr 02:00:00:00:00:99 dev br-blue nud permanent",
        ["the host sends packets for 10.20.0.2 to 02:00:00:00:00:99, by a permanent neighbour entry; delete it with"
         " 'ip neigh del 10.20.0.2 dev br-blue'"],
        "ip neigh del 10.20.0.2 dev br-blue",
    ),
    "traffic control": (
        f"tc qdisc add dev v-blue-web clsact; {FILTER}",
        ["filters of traffic control at v-blue-web may stop packets; look at them with"
         " 'tc filter show dev v-blue-web ingress'"],
        "tc filter del dev v-blue-web ingress",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SET)
def test_what_others_set_on_the_host_for_an_endpoint_is_told(world: EngineWorld, case: str) -> None:
    command, said, mend = SET[case]
    networks = [{"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": [WEB_IN_BLUE]}]

    def told() -> list[str]:
        return list(world.report()["networks"][0]["endpoints"][0]["troubles"])

    world.make(*networks)
    assert world.ping("host", "10.20.0.2") and told() == []
    world.must("sh", "-ec", command)
    try:
        assert not world.ping("host", "10.20.0.2", 0.3)
        assert told() == said
    finally:
        world.must("sh", "-ec", mend)
    assert world.ping("host", "10.20.0.2") and told() == []


FLUSHES = {
    "nftables": "nft flush ruleset",
    "iptables": "for t in raw mangle nat filter; do iptables -t $t -F; ip6tables -t $t -F; done",
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("also", ["", "-X"], ids=["rules", "rules-and-chains"])
def test_everything_is_flushed(backend: str, also: str) -> None:
    world = EngineWorld(backend)
    try:
        world.make(*BEFORE)
        whole = world.state()
        command = FLUSHES[world.backend]
        world.must("sh", "-ec", command)
        if also and world.backend == "iptables":
            world.must("sh", "-ec", command.replace("-F", "-X"))
        predicted = world.make(*BEFORE, check=True)
        done = world.make(*BEFORE)
        assert predicted.commands == done.commands
        assert predicted.diff == done.diff != ""
        # flows that came while nothing was published are forgotten
        transactions = [command for command in done.commands if not command.startswith("conntrack -D ")]
        assert len(transactions) == (1 if world.backend == "nftables" else 2)
        assert not differences(world.state(), whole)
        assert not world.make(*BEFORE).changed
    finally:
        world.clear()
        world.close()


SECOND_LINK = """
link add d0 type veth peer name d1
link set d0 up
link set d1 up
address add 10.20.0.99/24 dev d0
address add fd00:20::99/64 dev d0 nodad
"""
GATEWAYS = ("10.20.0.1", "fd00:20::1")


@pytest.mark.parametrize(
    "lost",
    [
        "ip -n web route del 10.20.0.0/24 dev eth0; ip -n web -6 route del fd00:20::/64 dev eth0",
        "ip -n web route flush dev eth0; ip -n web -6 route flush dev eth0",
    ],
    ids=["subnets", "all"],
)
def test_the_route_to_a_subnet_is_repaired_though_a_link_of_others_has_the_same(world: EngineWorld, lost: str) -> None:
    world.make(*BEFORE)
    world.must("ip", "-n", "web", "-batch", "-", text=SECOND_LINK)
    assert all(world.ping("web", gateway) for gateway in GATEWAYS)
    assert not world.make(*BEFORE).changed
    whole = world.state()
    world.must("sh", "-ec", lost)
    assert not any(world.ping("web", gateway, IMPATIENCE) for gateway in GATEWAYS)
    assert world.make(*BEFORE, check=True).commands == world.make(*BEFORE).commands != []
    assert all(world.ping("web", gateway) for gateway in GATEWAYS)
    assert not differences(world.state(), whole)
    assert not world.make(*BEFORE).changed


def test_a_subnet_that_a_link_of_the_users_has_taken_over_is_refused(world: EngineWorld) -> None:
    """It may be in use there, so only the user may take that route away."""
    world.make(*BEFORE)
    world.must("ip", "-batch", "-", text=SECOND_LINK)
    try:
        world.must("ip", "route", "del", "10.20.0.0/24", "dev", "br-blue")
        assert not world.ping("web", "10.20.0.1", IMPATIENCE)
        predicted, refused = world.try_run(BEFORE, check=True), world.try_run(BEFORE)
        assert refused.error == "Conflict" and refused.message == predicted.message
        remedy = "ip route del 10.20.0.0/24 dev d0"
        assert f"its subnet 10.20.0.0/24 goes by interface d0; remove that route with '{remedy}'" in refused.message
        world.must(*remedy.split())
        assert world.make(*BEFORE).changed
        assert world.ping("web", "10.20.0.1")
    finally:
        world.must("ip", "link", "del", "d0")


def test_an_address_of_others_that_keeps_packets_inside_is_told(world: EngineWorld) -> None:
    """The kernel never routes packets to an address of the stack itself."""
    world.make(*BEFORE)
    found = {one["netns"]: one for one in world.report()["networks"][0]["endpoints"]}
    to = found["db"]["addresses"][0].partition("/")[0]
    asks = ["ip", "netns", "exec", "web", "ip", "route", "get", to]
    assert found["web"]["troubles"] == [] and "dev eth0" in world.must(*asks)
    world.must("ip", "-n", "web", "address", "add", f"{to}/32", "dev", "lo")
    (told,) = [one["troubles"] for one in world.report()["networks"][0]["endpoints"] if one["netns"] == "web"]
    assert told == [f"{to} is not reached, as lo has the address {to}/32"] and f"local {to} dev lo" in world.must(*asks)


# ---- 16. who lives there


def test_who_lives_in_a_namespace_that_goes(world: EngineWorld) -> None:
    """is named, and left without a network."""
    world.make(*BEFORE)
    with tenant_of_web(world) as tenant:
        predicted = world.make(check=True)
        done = world.make()
        assert predicted.warnings == done.warnings
        story = "\n".join(done.warnings)
        assert "web" in story and "sleep" in story and str(tenant.pid) in story
        links = json.loads(
            subprocess.run(
                ["nsenter", f"--target={tenant.pid}", "--net", "ip", "-j", "link"], check=True, capture_output=True
            ).stdout
        )
        assert [link["ifname"] for link in links] == ["lo"]
        assert tenant.poll() is None


@pytest.mark.parametrize("how", ["ip netns delete web", "umount --lazy /run/netns/web"])
def test_who_lives_in_a_namespace_that_lost_its_name_keeps_everything(world: EngineWorld, how: str) -> None:
    """Nothing is cut: the namespace gets its name back, and is ours as before."""
    world.make(*BEFORE)
    whole = world.state()
    with tenant_of_web(world) as tenant:
        stream = Stream(world, "192.0.2.1", socket.SOCK_STREAM)
        world.must(*how.split())
        predicted, done = world.make(*BEFORE, check=True), world.make(*BEFORE)
        assert predicted.commands == done.commands == [f"ip netns attach web {tenant.pid}"]
        assert (done.warnings, done.recreated) == ([], [])
        assert not differences(world.state(), whole)
        assert stream.stop() == list(range(stream.sent))


@pytest.mark.parametrize(
    "pair",
    ["link set v-blue-web down\nlink set v-blue-web name foo", "link del v-blue-web"],
    ids=["renamed", "deleted"],
)
def test_who_lives_in_a_namespace_that_lost_its_name_and_its_veth_pair_is_connected_again(
    world: EngineWorld, pair: str
) -> None:
    world.make(*BEFORE)
    whole = world.state()
    with tenant_of_web(world) as tenant:
        stream = Stream(world, "192.0.2.1", socket.SOCK_STREAM)
        world.must("ip", "netns", "delete", "web")
        world.must("ip", "-batch", "-", text=pair)
        predicted, done = world.make(*BEFORE, check=True), world.make(*BEFORE)
        assert predicted.commands == done.commands
        assert f"ip netns attach web {tenant.pid}" in done.commands and "ip netns add web" not in done.commands
        assert (done.warnings, done.recreated) == ([], [])
        assert not differences(world.state(), whole)
        assert not world.make(*BEFORE).changed
        assert stream.stop() == list(range(stream.sent))


@pytest.mark.parametrize("how", ["ip netns delete web", "umount --lazy /run/netns/web"])
def test_a_namespace_whose_last_process_ends_before_it_gets_its_name_back(world: EngineWorld, how: str) -> None:
    """It was held since the plan was made, so the run does what it has planned, and all is as before."""
    world.make(*BEFORE)
    whole = world.state()
    with tenant_of_web(world) as tenant:
        there = os.fstat(world["web"].fd).st_ino
        world.let_go("web")
        world.must(*how.split())
        done = world.make(*BEFORE, ends=tenant.pid)
        assert tenant.wait() == -signal.SIGKILL
        assert done.commands == [f"ip netns attach web {tenant.pid}"]
        assert os.fstat(world["web"].fd).st_ino == there
        assert not differences(world.state(), whole)
        assert not world.make(*BEFORE).changed


def test_who_stays_behind_in_a_namespace_that_is_made_anew_is_told(world: EngineWorld) -> None:
    world.make(*BEFORE)
    with tenant_of_web(world) as tenant:
        world.clear()
        predicted, done = world.make(*BEFORE, check=True), world.make(*BEFORE)
        assert predicted.recreated == done.recreated and predicted.warnings == done.warnings
        (found,) = done.recreated
        assert found["name"] == "web"
        assert {"pid": tenant.pid, "name": "sleep"}.items() <= found["processes"][0].items()
        assert f"process {tenant.pid} (sleep" in "".join(done.warnings)
        assert world.make(*BEFORE).recreated == []


def test_who_stays_behind_when_others_give_the_name_to_another_namespace_is_told(world: EngineWorld) -> None:
    """Theirs is used and stays theirs, so what lives in ours loses its network."""
    world.make(*BEFORE)
    with tenant_of_web(world) as tenant:
        world.must("ip", "netns", "delete", "web")
        world.must("ip", "netns", "add", "web")
        try:
            predicted, done = world.make(*BEFORE, check=True), world.make(*BEFORE)
            assert predicted.recreated == done.recreated and predicted.warnings == done.warnings
            (found,) = done.recreated
            assert (found["name"], found["processes"][0]["pid"]) == ("web", tenant.pid)
            story = "".join(done.warnings)
            assert "web has been replaced by one that others made" in story and f"process {tenant.pid} (sleep" in story
            again = world.make(*BEFORE)
            assert (again.changed, again.recreated, again.warnings) == (False, [], [])
        finally:
            world.must("ip", "netns", "delete", "web")


@contextlib.contextmanager
def tenant_of_web(world: EngineWorld) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives in the namespace web."""
    with subprocess.Popen(world.inside("ip", "netns", "exec", "web", "sleep", "600")) as tenant:
        try:
            assert eventually(lambda: lives_in(world, tenant))
            yield tenant
        finally:
            tenant.kill()


def lives_in(world: EngineWorld, tenant: subprocess.Popen[bytes]) -> bool:
    """Whether a process has got to the namespace web, and is what it will be."""
    with open(f"/proc/{tenant.pid}/comm", encoding="utf-8") as file:
        return (
            file.read().strip() == "sleep"
            and os.stat(f"/proc/{tenant.pid}/ns/net").st_ino == os.fstat(world["web"].fd).st_ino
        )
