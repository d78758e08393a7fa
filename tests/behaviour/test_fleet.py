# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run on many hosts, some of which are in trouble: the others do not notice, and the next run does what is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fleet import Fleet, Lab, Run, Settings, differences

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root")]

FINE = ("h1", "h2")
UNPLUGGED, SILENT, REFUSING, READ_ONLY, SLOW = "h3", "h4", "h5", "h6", "h7"
UNREACHABLE = (UNPLUGGED, SILENT)
FAILING = (REFUSING, READ_ONLY)
ALL = (*FINE, *UNREACHABLE, *FAILING, SLOW)
TASK = "dockerless.network.bridge_network : Make the networks in one call"
NETWORK: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [{"name": "web", "publish": ["8080:80"]}, {"name": "db"}],
}
# It is found before nft, shows rules, and takes none.
NFT = "/usr/local/sbin/nft"
REFUSE = """#!/bin/sh
case " $* " in *" -f "*) cat > /dev/null; echo "Error: no room" >&2; exit 1 ;; esac
exec /usr/sbin/nft "$@"
"""
# The node where it happens, what happens there, and how it ends.
TROUBLES = (
    ("switch", f"ip link set m-{UNPLUGGED} down", f"ip link set m-{UNPLUGGED} up"),
    # the kernel still takes connections for it
    (SILENT, "kill -STOP $(cat /run/sshd.pid)", "kill -CONT $(cat /run/sshd.pid)"),
    (REFUSING, f"cat > {NFT} <<'END'\n{REFUSE}END\nchmod +x {NFT}", f"rm {NFT}"),
    (READ_ONLY, "cd /etc; mount --bind sysctl.d sysctl.d && mount -o remount,bind,ro sysctl.d", "umount /etc/sysctl.d"),
    # sshd runs it before each command
    (SLOW, "echo sleep 3 > /root/.ssh/rc", "rm /root/.ssh/rc"),
)


@dataclass
class Trouble:
    """A run amid trouble, and the hosts before it."""

    fleet: Fleet
    strategy: str
    before: dict[str, dict[str, str]]
    run: Run

    def result(self, host: str) -> Any:
        """The status of the task that makes the networks."""
        return next(result for result in self.run.of(host) if result.task == TASK)


def play(fleet: Fleet, strategy: str) -> Run:
    """The role on all hosts; who does not answer is given up soon."""
    role = fleet.role([NETWORK], backend="nftables")
    return fleet.play([{**role, "strategy": strategy}], "--timeout", "4")


def works(fleet: Fleet, host: str) -> None:
    """A packet comes in by the published port, and one goes out."""
    web = fleet.place(host, "web")
    fleet.agent(host).call("forget_all")
    web.serve(host, 80)
    for version in (4, 6):
        assert fleet.place("neighbour").ask(fleet.lan(host, version), 8080).label == host
        assert web.ask(fleet.internet(version), 9000).seen == fleet.lan(host, version)


@pytest.fixture(scope="module")
def large(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """More hosts than there are forks."""
    with Lab(name=os.environ.get("LAB_NAME", f"b{os.getpid()}") + "f") as lab:
        lab.up(hosts=len(ALL), uplink=True, binds=settings.binds())
        yield Fleet(lab, settings, tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module", params=["linear", "free"])
def trouble(request: pytest.FixtureRequest, large: Fleet) -> Trouble:
    large.fresh(*ALL)
    for node, happens, unused in TROUBLES:
        large.lab.run(node, happens)
    before = {host: large.dump(host) for host in ALL}
    return Trouble(large, request.param, before, play(large, request.param))


def test_only_hosts_in_trouble_fail(trouble: Trouble) -> None:
    """The rest of the fleet is made in the same run, whatever the strategy."""
    found = {host: trouble.result(host).status for host in ALL}
    wanted = dict.fromkeys([*FINE, SLOW], "changed")
    assert found == {**wanted, **dict.fromkeys(UNREACHABLE, "unreachable"), **dict.fromkeys(FAILING, "failed")}
    assert {result.host for result in trouble.run.failed} == {*UNREACHABLE, *FAILING} and not trouble.run.ok


def test_the_others_work(trouble: Trouble) -> None:
    for host in (*FINE, SLOW):
        works(trouble.fleet, host)


def test_nobody_waits_in_the_task_for_the_slow_one(trouble: Trouble) -> None:
    """The fine hosts are done first, though they are as many as the troubles leave forks."""
    order = [result.host for result in trouble.run.results if result.task == TASK]
    assert all(order.index(host) < order.index(SLOW) for host in FINE), order


@pytest.mark.parametrize("host", UNREACHABLE)
def test_unreachable(trouble: Trouble, host: str) -> None:
    assert "reached over ssh" in trouble.result(host).result["msg"]
    assert differences(trouble.before[host], trouble.fleet.dump(host)) == ""


@pytest.mark.parametrize(
    ("host", "reason", "step"),
    [
        (REFUSING, "no room", "nft -f -"),
        (READ_ONLY, "/etc/sysctl.d is in a file system that is mounted read-only", ""),
    ],
    ids=["nft-refuses", "sysctl.d-is-read-only"],
)
def test_failed_in_the_middle(trouble: Trouble, host: str, reason: str, step: str) -> None:
    """It names the step, unless the trouble was foreseen before the first one, and nothing half made is left."""
    message = trouble.result(host).result["msg"]
    assert reason in message and (f"The step that failed: {step}" in message) == bool(step)
    assert differences(trouble.before[host], trouble.fleet.dump(host)) == ""


def test_the_next_run_does_what_is_left(trouble: Trouble) -> None:
    for node, unused, ends in TROUBLES:
        trouble.fleet.lab.run(node, ends)
    again = play(trouble.fleet, trouble.strategy).must()
    assert {result.host for result in again.changed} == {*UNREACHABLE, *FAILING}
    for host in ALL:
        works(trouble.fleet, host)
