# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode tells everything and changes nothing; and what it tells, typed by a person, makes the same networks.

The first host is only looked at, then gets networks by the role, which are looked at and changed once more. The second
one, whose machine-id is the same, never sees the role's changes: it gets the commands of check mode, in a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fleet import HOSTS, Fleet, Run, TaskResult, differences, remains

FIRST, SECOND = HOSTS

BLUE = {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"]}
RED = {"name": "red", "subnets": ["10.21.0.0/24"], "mtu": 1400}
INNER = {"name": "inner", "subnets": ["10.22.0.0/24", "fd00:22::/64"], "internal": True, "icc": False}
ONE = [
    {
        **BLUE,
        "endpoints": [
            {"name": "web", "publish": ["8080:80", "127.0.0.1:9000:9000", "7000-7002:7100-7102/udp", "5353:53/udp"]},
            {"name": "db", "addresses": ["10.20.0.10"]},
            {"name": "dotted.name"},
        ],
    },
    {**RED, "endpoints": [{"name": "app", "publish": ["8081:80"]}, {"name": "web"}]},
    {**INNER, "endpoints": [{"name": "i1"}, {"name": "i2"}]},
]
# An endpoint more, one less, other ports, other options, a network less. What goes is taken by others: a port by
# another network, and the subnet and an endpoint of the network that is pruned by a new one.
TWO = [
    {
        **BLUE,
        "icc": False,
        "masquerade": {"exclude": ["192.0.2.250/32"]},
        "endpoints": [
            {"name": "db", "addresses": ["10.20.0.10"], "publish": ["5432:5432"]},
            {"name": "web", "publish": ["8080:81", "5354:53/udp"]},
            {"name": "late", "publish": ["8082:80"]},
        ],
    },
    {
        **RED,
        "mtu": 1300,
        "host_access": "deny",
        "endpoints": [{"name": "app", "publish": ["8081:80", "9000:80"]}, {"name": "web"}],
    },
    {**INNER, "name": "heir", "endpoints": [{"name": "i1"}]},
]


@dataclass
class Story:
    """The events on the two hosts."""

    fleet: Fleet
    check: Run  # of the first list on both, which are empty
    before: dict[str, dict[str, str]]
    after: dict[str, dict[str, str]]
    run: Run  # on the first host: the first list; the second list in check mode; the second list
    between: dict[str, str]  # the first host after the first list
    looked: dict[str, str]  # ... and after the second one in check mode
    done: dict[str, str]  # ... and after the second one
    pasted: list[tuple[int, str]]  # exit code and output of the shell, on the second host
    copies: list[dict[str, str]]  # the second host after each


@pytest.fixture(
    scope="module",
    params=[pytest.param(False, id="one-call"), pytest.param(True, id="in-steps", marks=pytest.mark.once)],
)
def story(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[Story]:
    steps = {"step_by_step": request.param}
    fleet.fresh()
    # A bridge's MAC address follows from it.
    machine = fleet.lab.run(FIRST, "cat /etc/machine-id").stdout
    fleet.lab.run(SECOND, ["cp", "/dev/stdin", "/etc/machine-id"], input=machine)
    # What the host calls itself is in the files of names.
    fleet.lab.run(SECOND, ["hostname", FIRST])
    before = {host: fleet.dump(host) for host in HOSTS}
    check = fleet.play([fleet.role(ONE, check=True, **steps)])
    after = {host: fleet.dump(host) for host in HOSTS}
    run = fleet.play([fleet.role(ONE, name="first", **steps)], hosts=FIRST)
    between = fleet.dump(FIRST)
    more = fleet.play([fleet.role(TWO, name="look", check=True, prune="project", **steps)], hosts=FIRST)
    looked = fleet.dump(FIRST)
    last = fleet.play([fleet.role(TWO, name="second", prune="project", **steps)], hosts=FIRST)
    done = fleet.dump(FIRST)
    run = run + more + last
    pasted, copies = [], []
    for commands in (check.commands(SECOND), more.commands(FIRST, "look")):
        pasted.append(paste(fleet, commands))
        copies.append(fleet.dump(SECOND))
    yield Story(fleet, check, before, after, run, between, looked, done, pasted, copies)
    fleet.lab.run(SECOND, ["hostname", SECOND])


def paste(fleet: Fleet, commands: list[str]) -> tuple[int, str]:
    """Into a shell on the second host, which stops at the first command that fails."""
    text = "\n".join(commands) + "\n"
    done = fleet.lab.run(SECOND, ["bash", "-evs"], input=text, check=False)
    return done.returncode, done.stdout + done.stderr


_BOOT = "Keep all of it for the next boot"


def pairs(one: list[TaskResult], other: list[TaskResult]) -> list[tuple[TaskResult, TaskResult]]:
    """The tasks of two runs by turns; both have the same, but for what the last step keeps of the others."""
    mine = [
        [r for r in run if r.action.startswith("dockerless.") and r.status != "skipped" and _BOOT not in r.task]
        for run in (one, other)
    ]
    assert [r.task for r in mine[0]] == [r.task for r in mine[1]]
    return list(zip(*mine))


def told(result: TaskResult) -> tuple[Any, ...]:
    """The parts of the result that check mode and the real change have in common."""
    return (result.task, result.status, result.result.get("commands"), result.result.get("diff"))


# The host's own, and the numbers of links and of bridges' ports, which go by the order in which they were made.
_OWN = re.compile(r"(\d+: )?(eth0|mgmt0)\b|.*\bdev (eth0|mgmt0)\b|/run/sshd.pid ")
_NUMBERS = re.compile(r"^\d+: |@if\d+|\blink-netns(id)? \S+|\b(port_no|port_id|designated_port) \S+")
# The host's ends of veth pairs have MAC addresses that the kernel drew by lot.
_BY_LOT = re.compile(r"(v-[^:]+: .*link/ether) \S+")

# Byte code of our modules, which a shell does not need.
_CODE = re.compile(r"/run/dockerless\.network(/code(/\S+)?)? ")


def likened(dump: dict[str, str]) -> dict[str, str]:
    """A dump without what two hosts with the same networks may differ in."""
    result = {}
    for topic, text in dump.items():
        lines = text.splitlines()
        if " in " not in topic:
            lines = [line for line in lines if not _OWN.match(line)]
        if topic.startswith(("links", "addresses")):
            lines = [_BY_LOT.sub(r"\1", _NUMBERS.sub("", line)) for line in lines]
        if topic == "files":
            lines = [line for line in lines if not _CODE.match(line)]
        result[topic] = "\n".join(sorted(lines) if topic.startswith(("links", "addresses", "routes")) else lines)
    return result


class TestEmptyHost:
    def test_succeeds(self, story: Story) -> None:
        story.check.must()
        assert {result.host for result in story.check.changed} == set(HOSTS)

    @pytest.mark.parametrize("host", HOSTS)
    def test_changes_nothing(self, story: Story, host: str) -> None:
        assert differences(story.before[host], story.after[host]) == ""

    def test_tells_what_the_run_does(self, story: Story) -> None:
        """Each task's commands and diff, and whether it would change something."""
        for predicted, real in pairs(story.check.of(FIRST), story.run.of(FIRST, "first")):
            assert told(predicted) == told(real)

    def test_tells_all_of_it(self, story: Story) -> None:
        """Also what one task builds on what another one would make."""
        text = "\n".join(story.check.commands(FIRST))
        for words in ("10.20.0.10/24", "br-red", "v-inner-i1", "dotted.name", "ip_forward=1", "8081", "10.21.0.1"):
            assert words in text


class TestNetworksThatAreThere:
    def test_succeeds(self, story: Story) -> None:
        story.run.must()

    def test_changes_nothing(self, story: Story) -> None:
        assert differences(story.between, story.looked) == ""

    def test_tells_what_the_run_does(self, story: Story) -> None:
        for predicted, real in pairs(story.run.of(FIRST, "look"), story.run.of(FIRST, "second")):
            assert told(predicted) == told(real)


class TestPasted:
    """The commands of check mode, in a shell on a host that is equal to the first one."""

    def test_none_fails(self, story: Story) -> None:
        assert story.pasted[0][0] == 0, story.pasted[0][1][-2000:]

    def test_make_the_same_networks(self, story: Story) -> None:
        assert remains(likened(story.between), likened(story.copies[0])) == ""

    def test_a_change_does_not_fail(self, story: Story) -> None:
        assert story.pasted[1][0] == 0, story.pasted[1][1][-2000:]

    def test_change_them_alike(self, story: Story) -> None:
        assert remains(likened(story.done), likened(story.copies[1])) == ""

    def test_the_role_finds_nothing_to_do(self, story: Story) -> None:
        run = story.fleet.play([story.fleet.role(TWO, prune="project")], hosts=SECOND).must()
        assert [f"{result}: {result.commands}" for result in run.changed] == []

    def test_traffic(self, story: Story) -> None:
        fleet = story.fleet
        for name in ("web", "db", "late", "app"):
            fleet.place(SECOND, name).serve(name, 80, 81, 5432)
        for version in (4, 6):
            lan = fleet.lan(SECOND, version)
            assert fleet.place(SECOND, "late").ask(fleet.internet(version), 9000).seen == lan
            answers = [fleet.place("neighbour").ask(lan, port) for port in (8080, 8082, 5432)]
            assert [answer.label for answer in answers] == ["web", "late", "db"]
            assert {answer.seen for answer in answers} == {fleet.lan("neighbour", version)}
            assert fleet.place(SECOND, "late").ask(lan, 8082).label == "late"
            assert fleet.place(SECOND, "late").ask(lan, 8080).label == "web"
        db = re.search(r"inet (\S+)/", fleet.place(SECOND, "db").run("ip -4 -o address show dev eth0"))
        assert db is not None
        fleet.all_closed([fleet.place(SECOND, "late").question(db[1], 5432)])
        assert fleet.place(SECOND).ask("127.0.0.1", 8081).label == "app"


@pytest.mark.once
@pytest.mark.parametrize(
    "ways", [(False, False), (True, True), (False, True, False)], ids=["one-call", "in-steps", "by-turns"]
)
def test_the_lists_of_a_play_are_foreseen_with_a_subnet_each(fleet: Fleet, ways: tuple[bool, ...]) -> None:
    """Out of a pool with a subnet for each, of which all networks would get the first one on an empty host."""
    fleet.fresh(FIRST)
    pools = [{"base": "10.90.0.0/22", "size": 24}]
    names = ("red", "blue", "green")[: len(ways)]

    def subnets(check: bool) -> list[str]:
        roles = [
            fleet.role([{"name": name}], check=check, pools=pools, step_by_step=steps)
            for name, steps in zip(names, ways)
        ]
        play = {**roles[0], "roles": [role for each in roles for role in each["roles"]]}
        run = fleet.play([play], hosts=FIRST).must()
        objects = [item for result in run.of(FIRST) for item in result.result.get("objects") or ()]
        made = {item["title"]: item["addresses"][0] for item in objects if item["title"].startswith("bridge br-")}
        return [made[f"bridge br-{name}"] for name in names]

    foreseen = subnets(check=True)
    assert len(set(foreseen)) == len(ways)
    assert subnets(check=False) == foreseen
