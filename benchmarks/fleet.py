# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on 1 to 30 hosts: what forks, strategies and pipelining do for it, and whose CPU it takes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import HERE, PLAYS, PROGRAMS, Measurements, Plot, endpoints, play_environment, reset, say, table
from lab import cgroups
from lab.client import CommandError, Lab
from tools.project import ROOT

TITLE = "The role on a fleet"
SIZES = (1, 10, 30)
ENDPOINTS = 10


@dataclass(frozen=True)
class Setting:
    """How ansible-playbook is told to go about it; `play` is what it runs, `sizes` on how many hosts.

    Hosts `wait` that many seconds at the beginning of each session of ssh, as far or slow ones do.
    """

    name: str
    says: str
    environment: Mapping[str, str]
    sizes: Sequence[int] = SIZES
    runs: Sequence[str] = ("first",)
    play: str = "role.yml"
    wait: int = 0


BOTH = ("first", "second")
FORKS = {number: {"ANSIBLE_FORKS": str(number)} for number in (5, 10, 30)}
FREE = {"ANSIBLE_STRATEGY": "free"}
SLOW = {"ANSIBLE_PIPELINING": "false"}
# Ansible warns that strategies of others will go some day
MITOGEN = {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_DEPRECATION_WARNINGS": "false"}
FAR = "the role, each session waits a second"
# Forks beyond the number of hosts change nothing.
SETTINGS = (
    Setting("ping", "one ping, `forks` 5", FORKS[5], play="ping.yml"),
    Setting("ping/30", "one ping, `forks` 30", FORKS[30], (30,), play="ping.yml"),
    Setting("linear", "the role, `forks` 5 (Ansible's default)", FORKS[5], runs=BOTH),
    Setting("linear/10", "the role, `forks` 10", FORKS[10], (10, 30)),
    Setting("linear/30", "the role, `forks` 30", FORKS[30], (30,)),
    Setting("free", "the role, `forks` 5, `strategy` free", {**FORKS[5], **FREE}),
    Setting("unpiped", "the role, `forks` 5, no pipelining", {**FORKS[5], **SLOW}),
    Setting("mitogen", "the role, `forks` 5, Mitogen", {**FORKS[5], **MITOGEN}),
    Setting("mitogen/30", "the role, `forks` 30, Mitogen", {**FORKS[30], **MITOGEN}, (30,)),
    Setting("far", f"{FAR}, `forks` 5", FORKS[5], (30,), wait=1),
    Setting("far/30", f"{FAR}, `forks` 30", FORKS[30], (30,), wait=1),
    Setting("far/unpiped", f"{FAR}, `forks` 30, no pipelining", {**FORKS[30], **SLOW}, (30,), wait=1),
)


def measure(found: Measurements, quick: bool) -> None:
    """All settings in turns, on few hosts and on many, in each round."""
    sizes = (1, 3) if quick else SIZES
    found.facts["cores"] = len(os.sched_getaffinity(0))
    with Lab(f"bench{os.getpid()}") as lab:
        lab.up(hosts=max(sizes), uplink=True, cgroups=bool(cgroups.hierarchies()))
        settings = _that_run(found, lab)
        for number in range(1, found.rounds + 1):
            say(f"round {number} of {found.rounds}")
            for size in sizes:
                for setting in settings:
                    if quick or size in setting.sizes:
                        _one(found, lab, setting, size)


def _that_run(found: Measurements, lab: Lab) -> list[Setting]:
    """Those that this Ansible can do, which Mitogen may not suit; one run of each also leaves all byte code ready."""
    fine = []
    for setting in SETTINGS:
        try:
            _run(lab, setting, 1)
            fine.append(setting)
        except (CommandError, ImportError) as error:
            if "mitogen" not in setting.name:
                raise
            found.facts["mitogen"] = str(error)[-1500:]
    found.facts["versions"] = {name: importlib.metadata.version(name) for name in ("ansible-core", "mitogen")}
    return fine


def _one(found: Measurements, lab: Lab, setting: Setting, size: int) -> None:
    _prepare(lab, size, f"echo sleep {setting.wait} > /root/.ssh/rc" if setting.wait else "rm -f /root/.ssh/rc")
    for run in setting.runs:
        before = _hosts_cpu(lab)
        cost = _run(lab, setting, size)
        label = f"{setting.name} {size} {run}"
        found.note(f"{label} seconds", cost["seconds"])
        found.note(f"{label} controller", cost["cpu"])
        after = _hosts_cpu(lab)
        if before is not None and after is not None:
            found.note(f"{label} hosts", after - before)


def _prepare(lab: Lab, size: int, command: str) -> None:
    """Hosts as new, and a command on each."""

    def prepare(number: int) -> None:
        reset(lab, f"h{number}")
        lab.run(f"h{number}", command)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare, range(1, size + 1)))


def _run(lab: Lab, setting: Setting, size: int) -> dict[str, float]:
    """What a play costs on this many hosts; a failure ends the benchmark."""
    variables = {
        "target": [f"h{number}" for number in range(1, size + 1)],
        "pings": 1,
        "endpoints": endpoints(ENDPOINTS),
    }
    playbook = [str(PROGRAMS / "ansible-playbook"), str(PLAYS / setting.play), "--extra-vars", json.dumps(variables)]
    command = [sys.executable, str(HERE / "metered.py"), *playbook]
    environment = {**play_environment(lab), **setting.environment}
    if "mitogen" in setting.name:
        environment["ANSIBLE_STRATEGY_PLUGINS"] = _mitogen_plugins()
    done = lab.run("controller", command, timeout=600, env=environment, cwd=str(ROOT))
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _mitogen_plugins() -> str:
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None or found.origin is None:
        raise ImportError("Mitogen is not installed")
    return str(Path(found.origin).parent / "plugins" / "strategy")


def _hosts_cpu(lab: Lab) -> float | None:
    """CPU seconds of all hosts so far; None where the machine has no control groups to tell it."""
    for hierarchy in cgroups.hierarchies():
        folder = Path(hierarchy.mount_point, f"lab-{lab.name}")
        if hierarchy.v1_options is None and (folder / "cpu.stat").exists():
            used = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            if "usage_usec" in used:
                return int(used["usage_usec"]) / 1e6
        elif hierarchy.v1_options and "cpuacct" in hierarchy.v1_options.split(","):
            return int((folder / "cpuacct.usage").read_text()) / 1e9
    return None


# ---- report


def report(found: Measurements) -> str:
    """Tables, a plot, and what they say."""
    parts = [
        f"Lab hosts with {ENDPOINTS} endpoints each, a published port each. The controller and all hosts share the "
        f"{found.facts['cores']} cores, and the cable between them has no delay. CPU seconds of the controller are "
        "those of ansible-playbook and all that it started, ssh as well; those of the hosts are by their control "
        "groups. Each run makes its connections anew, and is pipelined unless it says otherwise.",
        _seconds_table(found),
        _plot(found).write(),
        _cpu_table(found),
        *_sentences(found),
    ]
    return "\n\n".join(parts)


def _lines(found: Measurements) -> Iterator[tuple[Setting, str, str]]:
    """Each setting and run that was measured, and what a table calls it."""
    for setting in SETTINGS:
        for run in setting.runs:
            if any(label.startswith(f"{setting.name} ") for label in found.values):
                yield setting, run, setting.says + (", second run" if run == "second" else "")


def _sizes(found: Measurements) -> list[int]:
    """How many hosts there were."""
    return sorted({int(label.split()[1]) for label in found.values})


def _seconds_table(found: Measurements) -> str:
    sizes = _sizes(found)
    rows = [
        [what, *(found.median(f"{setting.name} {size} {run} seconds") for size in sizes)]
        for setting, run, what in _lines(found)
    ]
    return table(["seconds on hosts:", *map(str, sizes)], rows)


def _cpu_table(found: Measurements) -> str:
    most = _sizes(found)[-1]
    rows = []
    for setting, run, what in _lines(found):
        label = f"{setting.name} {most} {run}"
        costs = [_per_host(found, label, part, most) for part in ("controller", "hosts")]
        rows.append([what, *costs, _busy(found, label)])
    header = [f"CPU seconds for each of {most} hosts", "controller", "host", "of all cores"]
    return table(header, [row for row in rows if row[1] is not None])


def _per_host(found: Measurements, label: str, part: str, size: int) -> float | None:
    value = found.median(f"{label} {part}")
    return None if value is None else value / size


def _busy(found: Measurements, label: str) -> str | None:
    """The part of the machine's time that controller and hosts used."""
    parts = [found.median(f"{label} {part}") for part in ("controller", "hosts", "seconds")]
    if None in parts:
        return None
    controller, hosts, seconds = (part or 0.0 for part in parts)
    return f"{(controller + hosts) / seconds / found.facts['cores']:.0%}"


def _plot(found: Measurements) -> Plot:
    lines = {}
    for setting, run, what in _lines(found):
        values = [(size, found.median(f"{setting.name} {size} {run} seconds")) for size in _sizes(found)]
        points = [(float(size), value) for size, value in values if value is not None]
        if run == "first" and len(points) > 1:
            lines[what.replace("`", "")] = points
    return Plot("fleet", "The role on a fleet, first run", "hosts", "seconds", lines)


def _sentences(found: Measurements) -> Iterator[str]:
    return iter(())
