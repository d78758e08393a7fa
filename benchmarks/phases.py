# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures where the time of a run goes: on the host by phases of the module, on the controller as a whole."""

from __future__ import annotations

import json
import os
from typing import Any

from benchmarks.bench import HERE, Measurements, endpoints, metered_play, play, reset, say, table
from benchmarks.cost import Host, of_endpoints
from lab.client import Lab

TITLE = "Where the time goes"
ENDPOINTS = (0, 10, 100, 1000)
PHASES = {
    "interpreter": "start and end of the interpreter",
    "unpacking": "AnsiballZ: unpack, find the module",
    "imports, Ansible's": "import Python's library and Ansible's",
    "imports, ours": "import our code, which AnsiballZ sends without byte code; a second run finds that of the first",
    "arguments and result": "read the arguments, print the result",
    "options and plan": "options, model, plan, decoding of what was read",
    "dumps": "dumps by netlink: one for each kind and namespace",
    "visits": "visits of namespaces: open a socket, read sysctls",
    "requests": "requests by netlink",
    "tools": "nft",
}
_PYTHON = "/usr/bin/python3"


def measure(found: Measurements, quick: bool) -> None:
    """All in turns, in each round."""
    sizes = [size for size in ENDPOINTS if not quick or size <= 10]
    with Lab(f"bench{os.getpid()}") as lab:
        lab.up(hosts=1, uplink=True)
        host = Host(lab)
        files = {"ping": host.keep("ping", "ping"), "absent": host.keep("absent", "bridge_network")}
        for size in sizes:
            say(f"keeping the call for {size} endpoints")
            files[str(size)] = host.keep(str(size), "bridge_network", of_endpoints(size))
            reset(lab)
        for number in range(1, found.rounds + 1):
            say(f"round {number} of {found.rounds}")
            reset(lab)
            _note(found, "ping", host, files["ping"])
            for size in sizes:
                for run in ("first", "second") if size else ("second",):
                    _note(found, f"{size}/{run}", host, files[str(size)])
                host.timed([_PYTHON, files["absent"]])
            _controller(found, lab, [size for size in sizes if size])


def _note(found: Measurements, label: str, host: Host, path: str) -> None:
    program = (HERE / "phased.py").read_text(encoding="utf-8")
    answer = host.timed([_PYTHON, "-c", program, path])
    phases: dict[str, float] = json.loads(answer["out"].splitlines()[-1])
    phases["interpreter"] = answer["seconds"] - sum(phases.values())
    for name, seconds in phases.items():
        found.note(f"{label}/{name}", seconds)
    found.note(f"{label}/all", answer["seconds"])


def _controller(found: Measurements, lab: Lab, sizes: list[int]) -> None:
    """CPU seconds of ansible-playbook and ssh, in a run that finds nothing to do."""
    found.note("controller/ping", metered_play(lab, "ping.yml", {"pings": 1})["cpu"])
    for size in sizes:
        reset(lab)
        variables = {"endpoints": endpoints(size)}
        play(lab, "role.yml", variables)
        found.note(f"controller/{size}", metered_play(lab, "role.yml", variables)["cpu"])


# ---- the report


def report(found: Measurements) -> str:
    """Two tables."""
    return "\n\n".join([_host(found), _of_controller(found)])


def _sizes(found: Measurements) -> list[int]:
    return [size for size in ENDPOINTS if f"{size}/second/all" in found.values]


def _host(found: Measurements) -> str:
    columns = {"ping": "`ansible.builtin.ping`"}
    for size in _sizes(found):
        runs = ("first", "second") if size else ("second",)
        columns.update({f"{size}/{run}": f"{size} endpoints, {run} run" for run in runs})
    rows = [[title, *(_milliseconds(found, f"{label}/{name}") for label in columns)] for name, title in PHASES.items()]
    rows.append(["all of it", *(_milliseconds(found, f"{label}/all") for label in columns)])
    about = (
        "Milliseconds on the host, of the file that Ansible sends, run by a program that takes the time; each phase"
        " without those inside of it."
    )
    return f"{about}\n\n{table(['phase', *columns.values()], rows)}"


def _milliseconds(found: Measurements, label: str) -> float | None:
    seconds = found.median(label)
    return None if seconds is None else 1000 * seconds


def _of_controller(found: Measurements) -> str:
    ping = found.median("controller/ping") or 0.0
    rows: list[list[Any]] = [["one `ping` task", ping, None]]
    for size in filter(None, _sizes(found)):
        took = found.median(f"controller/{size}") or 0.0
        rows.append([f"the role, {size} endpoints", took, 1000 * (took - ping) / size])
    about = (
        "CPU seconds on the controller, of `ansible-playbook` and ssh, in a run that finds nothing to do. Above a ping"
        " there are building AnsiballZ's file from all of our code, templating the list, and reading the result."
    )
    return f"{about}\n\n{table(['what', 'seconds', 'above a ping, ms for each endpoint'], rows)}"
