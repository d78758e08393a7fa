# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on 1 to 30 hosts: what forks, strategies and pipelining do for it, and whose CPU it takes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.bench import Measurements, endpoints, metered_play, reset, say
from benchmarks.fleet_report import report
from benchmarks.fleet_settings import ENDPOINTS, SETTINGS, SIZES, Setting
from lab import cgroups
from lab.client import CommandError, Lab

__all__ = ["TITLE", "measure", "report"]

TITLE = "The role on a fleet"


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
    """Measures a play on this many hosts; a failure ends the benchmark."""
    variables = {
        "target": [f"h{number}" for number in range(1, size + 1)],
        "pings": 1,
        "endpoints": endpoints(ENDPOINTS),
    }
    environment = dict(setting.environment)
    if "mitogen" in setting.name:
        environment["ANSIBLE_STRATEGY_PLUGINS"] = _mitogen_plugins()
    return metered_play(lab, setting.play, variables, **environment)


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
