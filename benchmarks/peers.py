# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role, Docker, podman, CNI's plugins, netavark and the kernel's floor make the same network on lab hosts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks import peers_report
from benchmarks.bench import HERE, Measurements, endpoints, play, reset, say
from lab.client import CommandError, Lab

TITLE = "The role and its peers"
SIZES = (1, 10, 100, 500, 1000)
# From this size on, the times are so long that one round is enough.
ONCE_FROM = 500
# The playbook of commands takes two seconds for each further endpoint, and more of them tell nothing new. CNI's plugins
# read all rules for each endpoint that comes or goes: a thousand of them would take a quarter of an hour.
MOST = {"careful": 10, "cni": 500}
PEERS = ("role", "ip", "careful", "docker", "podman", "cni", "netavark")
# The engines have hosts of their own: their daemon and their state do not survive a reset.
HOSTS = {"docker": "h2", "podman": "h3"}
PLAYS = ("role", "careful")
VERBS = {"first": "up", "second": "", "added": "add", "removed": "remove", "gone": "down"}
PORTS = 10000
NETWORKS = 50
# Deleting a thousand namespaces keeps the kernel busy for long after the call has returned.
SETTLE_SECONDS = 60


def measure(found: Measurements, quick: bool) -> None:
    """All in turns, in each round."""
    with Lab(f"peers{os.getpid()}") as lab:
        lab.up(hosts=3, uplink=True, cgroups=True, binds=[f"{HERE}:/srv/benchmarks"])
        scripted = [name for name in PEERS if name not in PLAYS]
        found.facts["versions"] = [_drive(lab, name, "version") for name in scripted]
        found.facts["ports"], found.facts["networks"] = (100, 3) if quick else (PORTS, NETWORKS)
        for number in range(1, found.rounds + 1):
            for size in SIZES[:2] if quick else SIZES:
                if size < ONCE_FROM or number == 1:
                    say(f"round {number} of {found.rounds}, endpoints: {size}")
                    _one_size(found, lab, size)
                    found.write()
            say(f"round {number} of {found.rounds}, ports and networks")
            _many_ports(found, lab, found.facts["ports"])
            _many_networks(found, lab, found.facts["networks"])


def _one_size(found: Measurements, lab: Lab, size: int) -> None:
    # Measured next to each size, because it is subtracted from the role's time.
    for count in (1, 8):
        _settle()
        with found.clock(f"ping/{count}"):
            play(lab, "ping.yml", {"pings": count})
    for name in PEERS:
        if size > MOST.get(name, size):
            continue
        try:
            _life(found, lab, name, size)
        except (CommandError, RuntimeError) as error:
            if name in PLAYS or size < ONCE_FROM:
                raise
            # One peer that fails must not cost the numbers of the others, which take an hour.
            found.facts.setdefault("failed", {})[f"{name}/{size}"] = str(error).strip()[-300:]
            say(f"{name} failed: {error}")


def _life(found: Measurements, lab: Lab, name: str, size: int) -> None:
    """All the steps of one network."""
    if name not in HOSTS:
        reset(lab)
    for verb in VERBS:
        _settle()
        seconds = _step(lab, name, verb, size)
        if seconds is not None:
            found.note(f"{name}/{size}/{verb}", seconds)
        if verb == "first":
            _answers(lab, name, size)


def _step(lab: Lab, name: str, verb: str, size: int) -> float | None:
    """The seconds of one step in the life of a network; None if that peer has no such step."""
    number = size + 1 if verb in ("added", "removed") else size
    if name not in PLAYS:
        return float(_drive(lab, name, VERBS[verb], number)) if VERBS[verb] else None
    if name == "careful":
        # This peer has no command for removal.
        return _play(lab, "careful.yml", verb, {"n": number}) if verb in ("first", "second", "added") else None
    variables = {
        "endpoints": endpoints(size + 1 if verb == "added" else size),
        "bridge_network_state": "absent" if verb == "gone" else "present",
    }
    return _play(lab, "role.yml", verb, variables)


def _play(lab: Lab, name: str, verb: str, variables: dict[str, Any]) -> float:
    """The seconds of a play, which has to change something, but for a second time."""
    begun = time.perf_counter()
    told = play(lab, name, variables)
    seconds = time.perf_counter() - begun
    if ("changed=0" in told) != (verb == "second"):
        raise RuntimeError(f"{name}, {verb} run: {told[-1000:]}")
    return seconds


def _drive(lab: Lab, name: str, *what: Any) -> str:
    """Let a script of peers_scripts/ do it on the peer's host."""
    argv = ["/usr/bin/python3", "-m", "benchmarks.peers_scripts.drive", name, *map(str, what)]
    return str(lab.run(HOSTS.get(name.partition("-")[0], "h1"), argv, timeout=3600, cwd="/srv").stdout).strip()


def _answers(lab: Lab, name: str, size: int) -> None:
    """Check that a client on the LAN is answered by the last endpoint; otherwise the numbers would mean nothing."""
    host = HOSTS.get(name, "h1")
    base, prefix = (9000, "c") if name == "careful" else (8000, "e")
    # the containers of the engines have a server of their own
    server = None
    if name not in HOSTS:
        serve = ["busybox", "httpd", "-f", "-p", "80", "-h", "/tmp"]
        server = lab.popen(host, ["ip", "netns", "exec", f"{prefix}{size}", *serve])
    url = f"http://{lab.node(host).lan4}:{base + size}/"
    try:
        for _attempt in range(50):
            if lab.run("neighbour", ["curl", "--silent", "--max-time", "1", url], check=False).stdout:
                return
            time.sleep(0.05)
    finally:
        if server is not None:
            server.terminate()
    raise RuntimeError(f"{name} with {size} endpoints: no answer from {url}")


def _many_ports(found: Measurements, lab: Lab, number: int) -> None:
    last = 20000 + number - 1
    published = {"range": [f"20000-{last}:20000-{last}"], "singles": [f"{p}:{p}" for p in range(20000, last + 1)]}
    for kind, publish in published.items():
        network = {"name": "bench", "subnets": ["10.77.0.0/20"], "endpoints": [{"name": "e1", "publish": publish}]}
        _role_and_floor(found, lab, kind, [network], number)


def _many_networks(found: Measurements, lab: Lab, number: int) -> None:
    networks = [
        {
            "name": f"bench{n}",
            "subnets": [f"10.78.{n}.0/24"],
            "endpoints": [{"name": f"e{10 * n + place}"} for place in range(1, 11)],
        }
        for n in range(number)
    ]
    _role_and_floor(found, lab, "networks", networks, number)


def _role_and_floor(found: Measurements, lab: Lab, kind: str, networks: list[dict[str, Any]], number: int) -> None:
    reset(lab)
    _settle()
    found.note(f"ip/{kind}/first", float(_drive(lab, f"ip-{kind}", "up", number)))
    reset(lab)
    for verb in ("first", "second"):
        _settle()
        found.note(f"role/{kind}/{verb}", _play(lab, "networks.yml", verb, {"networks": networks}))


def _settle() -> None:
    """Wait until the kernel has taken apart the namespaces that were deleted before."""
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until and any(_takes_namespaces_apart(path) for path in Path("/proc").glob("[0-9]*/comm")):
        time.sleep(0.1)


def _takes_namespaces_apart(path: Path) -> bool:
    try:
        name = path.read_text()
    except OSError:
        return False
    # "+" is what it does now, "-" what it did last
    return name.startswith("kworker/") and name.rstrip().endswith("+netns")


def report(found: Measurements) -> str:
    """Tables and a plot."""
    return peers_report.report(found, PEERS, SIZES, tuple(VERBS), ONCE_FROM)
