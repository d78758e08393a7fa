# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role changes the subnets of networks that are there, while a neighbour and an endpoint send all the time.

test_protections.py has the same for each step of one call.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from fleet import HERE, HOSTS, Fleet, Run, eventually

HOST = HOSTS[0]
TO_HOST, TO_NEIGHBOUR = 5000, 5001
PAUSE = "0.002"
GATEWAYS = ("10.21.0.1", "fd00:21::1", "10.22.0.1", "fd00:22::1", "10.23.0.1", "fd00:23::1")


def green(*subnets: str, **options: Any) -> dict[str, Any]:
    return {"name": "green", "subnets": list(subnets), "endpoints": [{"name": "greena"}], **options}


def red(*subnets: str) -> dict[str, Any]:
    return {"name": "red", "subnets": list(subnets), "endpoints": [{"name": "reda"}]}


A, B, C = ("10.21.0.0/24", "fd00:21::/64"), ("10.23.0.0/24", "fd00:23::/64"), ("10.22.0.0/24", "fd00:22::/64")
BEGIN = [green(*A), red(*B)]
# Each list of networks follows the one before it.
CHANGES = {
    "swapped": [green(*B), red(*A)],
    "internal-and-alone": [green(*C, internal=True)],
    "no-longer-internal": [green(*A)],
    "one-family": [green(A[0])],
    "removed": [],
}


class Traffic:
    """Who sends and who listens."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.processes: list[subprocess.Popen[str]] = []
        self.host = self._start(HOST, "hear", TO_HOST)
        self.neighbour = self._start("neighbour", "hear", TO_NEIGHBOUR)
        self.heard(self.host), self.heard(self.neighbour)
        self._start("neighbour", "send", TO_HOST, PAUSE, *GATEWAYS, *self._own)

    @property
    def _own(self) -> list[str]:
        return [self.fleet.lan(HOST, version) for version in (4, 6)]

    def _start(self, node: str, *words: Any, netns: str = "") -> subprocess.Popen[str]:
        script = (HERE / "nodes" / "datagrams.py").read_text()
        command = [*(["ip", "netns", "exec", netns] if netns else []), "python3", "-c", script, *map(str, words)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = self.fleet.lab.popen(node, command, **pipes)
        if words[0] == "hear":
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        self.processes.append(process)
        return process

    def send_from_endpoints(self) -> None:
        """From the endpoints that there are now, for as long as their namespaces are there."""
        names = self.fleet.lab.run(HOST, "ls /run/netns").stdout.split()
        addresses = [self.fleet.lan("neighbour", version) for version in (4, 6)]
        for name in names:
            self._start(HOST, "send", TO_NEIGHBOUR, PAUSE, *addresses, netns=name)

    @staticmethod
    def heard(process: subprocess.Popen[str]) -> set[str]:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        return set(json.loads(process.stdout.readline()))

    def wrong(self) -> set[str]:
        """What should not have come: to a gateway's address, or from an address other than the host's."""
        at_host, at_neighbour = self.heard(self.host), self.heard(self.neighbour)
        assert {text.split()[-1] for text in at_host} >= {*self._own}, "the neighbour is silent"
        return {text for text in at_host if text.split()[-1] in GATEWAYS} | {
            text for text in at_neighbour if text.split()[0] not in self._own
        }

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def traffic(fleet: Fleet) -> Iterator[Traffic]:
    fleet.fresh(HOST)
    fleet.lab.run("neighbour", f"ip route replace 10.20.0.0/14 via {fleet.lan(HOST, 4)}")
    fleet.lab.run("neighbour", f"ip route replace fd00:20::/30 via {fleet.lan(HOST, 6)}")
    traffic = Traffic(fleet)
    yield traffic
    traffic.close()
    fleet.lab.run("neighbour", "ip route del 10.20.0.0/14; ip route del fd00:20::/30")


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        pytest.param([*CHANGES], False, id="one-call"),
        pytest.param(["swapped", "internal-and-alone"], True, id="in-steps", marks=pytest.mark.once),
    ],
)
def test_nothing_is_open_while_subnets_change(fleet: Fleet, traffic: Traffic, changes: list[str], steps: bool) -> None:
    """A LAN without routes to the subnets, and services of the host on all its addresses."""
    variables = {"prune": "project", "step_by_step": steps}

    def play(networks: list[dict[str, Any]], **options: Any) -> Run:
        return fleet.play([fleet.role(networks, **variables, **options)], hosts=HOST).must()

    play(BEGIN)
    fleet.remove_drops(HOST)
    assert eventually(lambda: any(text.split()[-1] in GATEWAYS for text in traffic.heard(traffic.host)))
    play(BEGIN)
    traffic.wrong()
    for what in changes:
        traffic.send_from_endpoints()
        assert play(CHANGES[what]).changed, what
        assert traffic.wrong() == set(), what
    if steps:
        assert play(CHANGES[changes[-1]]).changed == []
        assert play(BEGIN, check=True).changed
