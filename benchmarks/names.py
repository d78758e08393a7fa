# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what names add to a run, in files and with DNS servers in endpoints, and how long a look-up takes."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from benchmarks import cost
from benchmarks.bench import HERE, Measurements, reset, say, table
from lab.client import Lab

TITLE = "Names"
NETWORKS = 100
RUNS = ("first", "second", "absent")
HOST, DOCKERS = "h1", "h2"
_PYTHON = "/usr/bin/python3"
WAYS: dict[str, dict[str, Any]] = {"none": {"names": False}, "files": {}, "dns": {"dns": True}}
TITLES = {"none": "`names: false`", "files": "names in files, the default", "dns": "`dns: true` as well"}
QUESTIONS = 2000
SERVERS = {
    "ours": "`dns: true`, for one of 1,000 endpoints",
    "dnsmasq": "dnsmasq in an endpoint, with the names of its network",
    "docker": "Docker's, in a container",
}

_DNSMASQ = (
    "ip netns exec e1-0 dnsmasq --conf-file=/dev/null --no-resolv --listen-address=127.0.0.54 --bind-interfaces"
    " --pid-file=/run/dnsmasq-bench.pid"
)
# dockerd's output goes to a file: who starts it waits for the end of its own output.
_DOCKER = """set -e
dockerd --storage-driver overlay2 -H unix:///run/docker.sock -p /run/docker.pid >/run/docker.log 2>&1 </dev/null &
until docker version >/dev/null 2>&1; do kill -0 $! || { cat /run/docker.log; exit 1; }; sleep 0.05; done
mkdir -p /run/image/bin /run/image/tmp && cp /bin/busybox /run/image/bin
tar -C /run/image -c . | docker import - image >/dev/null
docker network create bench >/dev/null
for number in $(seq 0 9); do
    docker run -d --name e1-$number --network bench image /bin/busybox sleep 99999 >/dev/null
done
docker inspect --format '{{.State.Pid}}' e1-0
"""


def measure(found: Measurements, quick: bool) -> None:
    """Runs of each sort in turns, then look-ups in turns."""
    number = 3 if quick else NETWORKS
    with Lab(f"bench{os.getpid()}") as lab:
        lab.up(hosts=2, uplink=True, systemd=True)
        host = cost.Host(lab)
        absent = host.keep("absent", "bridge_network")
        calls = {way: _keep(host, way, number, absent) for way in WAYS}
        for turn in range(1, found.rounds + 1):
            say(f"round {turn} of {found.rounds}")
            for way, call in calls.items():
                for run, path in zip(RUNS, (call, call, absent)):
                    answer = host.timed([_PYTHON, path])
                    found.note(f"runs/{way}/{run}", answer["seconds"])
                    found.note(f"cpu/{way}/{run}", answer["cpu"])
                reset(lab)
        _look_ups(found, host, calls["dns"])
        found.facts.update(names=number * 10, networks=number)


def _keep(host: cost.Host, way: str, number: int, absent: str) -> str:
    say(f"keeping the call for {number} networks, {way}")
    networks = [{**network, **WAYS[way]} for network in cost.of_networks(number)]
    path = host.keep(f"names-{way}", "bridge_network", networks)
    host.timed([_PYTHON, absent])
    reset(host.lab)
    return path


# ---- look-ups


def _look_ups(found: Measurements, host: cost.Host, call: str) -> None:
    lab = host.lab
    host.timed([_PYTHON, call])
    inside = ["ip", "netns", "exec", "e1-0"]
    asked = {"ours": (HOST, inside, "127.0.0.53"), "dnsmasq": (HOST, inside, "127.0.0.54")}
    lab.run(HOST, _DNSMASQ)
    if all(map(shutil.which, ("dockerd", "busybox"))):
        say("starting containers of Docker")
        pid = lab.run(DOCKERS, ["bash", "-c", _DOCKER], timeout=120).stdout.split()[-1]
        asked["docker"] = DOCKERS, ["nsenter", "--net", "--target", pid], "127.0.0.11"
    program = (HERE / "look_up.py").read_text(encoding="utf-8")
    for turn in range(1, 3 * found.rounds + 1):
        say(f"look-ups, turn {turn}")
        for server, (node, into, address) in asked.items():
            argv = [*into, _PYTHON, "-c", program, address, "e1-1", str(QUESTIONS)]
            for what, value in json.loads(lab.run(node, argv).stdout).items():
                found.note(f"look-ups/{server}/{what}", value)
    lab.run(HOST, "kill $(cat /run/dnsmasq-bench.pid)")


# ---- the report


def report(found: Measurements) -> str:
    """Of runs, then of look-ups."""
    return f"{_runs(found)}\n\n{_answers(found)}"


def _runs(found: Measurements) -> str:
    rows = []
    for way, title in TITLES.items():
        seconds = [found.median(f"runs/{way}/{run}") for run in RUNS]
        ratios = [found.ratio(f"{what}/{way}/{run}", f"{what}/none/{run}") for what in ("runs", "cpu") for run in RUNS]
        rows.append([title, *seconds, *ratios])
    header = ["", *(f"{run} run" for run in RUNS)]
    header += [f"{run}, {what} of none" for what in ("seconds", "CPU") for run in RUNS]
    return (
        f"Seconds of a run on a host with systemd, {found.facts['names']} names in {found.facts['networks']} networks;"
        " each endpoint publishes a port. CPU is that of the module and of what it runs, not of systemd, which follows"
        " each of the 1,000 mounts.\n\n" + table(header, rows)
    )


def _answers(found: Measurements) -> str:
    rows = []
    for server, title in SERVERS.items():
        label = f"look-ups/{server}"
        if f"{label}/median" in found.values:
            ratio = found.ratio(f"{label}/median", "look-ups/docker/median")
            rows.append([title, found.median(f"{label}/median"), found.median(f"{label}/p95"), ratio])
    return (
        "Microseconds from a question by UDP to its answer, for the name of a neighbour, one question at a time.\n\n"
        + table(["who answers", "median", "95 of 100", "of Docker's"], rows)
    )
