# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a module on its host as networks grow: the very file that Ansible sends, run there without ssh."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from benchmarks import floor
from benchmarks.bench import HERE, Measurements, Plot, endpoints, play, reset, say, table
from lab.client import Lab

TITLE = "A module on its host"
ENDPOINTS = (0, 1, 10, 100, 250, 500, 750, 1000)
PORTS = (1, 1000, 2500, 5000, 7500, 10000)
NETWORKS = (1, 10, 20, 30, 40, 50)
RUNS = ("first", "second", "check", "absent")
_PYTHON = "/usr/bin/python3"


class Host:
    """A lab host with the files that Ansible has sent to it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def keep(self, name: str, module: str, networks: list[dict[str, Any]] | None = None, *flags: str) -> str:
        """Have Ansible send a module call, and keep what it sent; the call is made as well."""
        self.lab.run("h1", "rm -rf /root/.ansible/tmp")
        variables = {"module": module, "networks": networks or []}
        settings = {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "0"}
        play(self.lab, "module.yml", variables, *flags, **settings)
        path = f"/root/{name}.py"
        self.lab.run("h1", f"mv /root/.ansible/tmp/*/AnsiballZ_{module}.py {path}")
        return path

    def timed(self, argv: list[str], text: str = "") -> dict[str, Any]:
        """Run a command there; it must succeed."""
        request = json.dumps({"argv": argv, "input": text})
        # a lab host has no checkout
        program = (HERE / "timed.py").read_text(encoding="utf-8")
        done = self.lab.run("h1", [_PYTHON, "-c", program], input=request, timeout=3600)
        answer: dict[str, Any] = json.loads(done.stdout)
        if answer["code"] != 0:
            raise RuntimeError(f"{argv}: {answer['out']}{answer['err']}")
        return answer


def of_endpoints(number: int) -> list[dict[str, Any]]:
    """One network of so many endpoints."""
    network = {"name": "bench", "subnets": [str(floor.SUBNET)], "endpoints": endpoints(number)}
    return [network] if number else []


def of_ports(number: int) -> list[dict[str, Any]]:
    """One endpoint with so many ports."""
    publish = [f"{10000 + n}:{10000 + n}" for n in range(1, number + 1)]
    return [{"name": "bench", "subnets": ["10.77.0.0/24"], "endpoints": [{"name": "e1", "publish": publish}]}]


def of_networks(number: int) -> list[dict[str, Any]]:
    """So many networks of ten endpoints."""
    return [
        {
            "name": f"n{n}",
            "subnets": [f"10.77.{n}.0/24"],
            "endpoints": [{"name": f"e{n}-{i}", "publish": [f"{8000 + 10 * n + i}:80"]} for i in range(10)],
        }
        for n in range(1, number + 1)
    ]


Kind = Callable[[int], list[dict[str, Any]]]
KINDS: dict[str, tuple[Kind, tuple[int, ...]]] = {
    "endpoints": (of_endpoints, ENDPOINTS),
    "ports": (of_ports, PORTS),
    "networks": (of_networks, NETWORKS),
}


def measure(found: Measurements, quick: bool) -> None:
    """All in turns, in each round."""
    with Lab(f"bench{os.getpid()}") as lab:
        lab.up(hosts=1, uplink=True)
        host = Host(lab)
        ping, info = host.keep("ping", "ping"), host.keep("info", "network_info")
        absent = host.keep("absent", "bridge_network")
        sizes = {name: [n for n in numbers if not quick or n <= 100] for name, (_kind, numbers) in KINDS.items()}
        calls = {(name, size): _keep_both(host, name, size) for name, numbers in sizes.items() for size in numbers}
        for number in range(1, found.rounds + 1):
            say(f"round {number} of {found.rounds}")
            _note(found, "ping", host.timed([_PYTHON, ping]))
            _note(found, "info", host.timed([_PYTHON, info]))
            for (name, size), (present, check) in calls.items():
                files = {"first": present, "second": present, "check": check, "absent": absent}
                _one_size(found, host, f"{name}/{size}", files)
            for size in filter(None, sizes["endpoints"]):
                reset(lab)
                _note(found, f"floor/{size}/first", host.timed(["bash", "-s"], floor.build(size)))
                _note(found, f"floor/{size}/absent", host.timed(["bash", "-s"], floor.remove(size)))


def _keep_both(host: Host, name: str, size: int) -> tuple[str, str]:
    """The call that makes something, and the same in check mode."""
    say(f"keeping the call for {size} {name}")
    networks = KINDS[name][0](size)
    check = host.keep(f"{name}-{size}-check", "bridge_network", networks, "--check")
    present = host.keep(f"{name}-{size}", "bridge_network", networks)
    reset(host.lab)
    return present, check


def _one_size(found: Measurements, host: Host, label: str, files: dict[str, str]) -> None:
    reset(host.lab)
    for run in ("check", "first", "second", "absent"):
        _note(found, f"{label}/{run}", host.timed([_PYTHON, files[run]]))


def _note(found: Measurements, label: str, answer: dict[str, Any]) -> None:
    for what in ("seconds", "cpu", "mebibytes"):
        found.note(f"{label}/{what}", answer[what])


# ---- the report


def report(found: Measurements) -> str:
    """Cost of a call, then growth."""
    return "\n\n".join([_calls(found), *(_growth(found, name) for name in KINDS)])


def _seconds(found: Measurements, *label: object) -> float | None:
    return found.median("/".join(map(str, (*label, "seconds"))))


def _calls(found: Measurements) -> str:
    ping = _seconds(found, "ping") or 1.0
    nothing = _seconds(found, "endpoints", 0, "second") or 0.0
    rows: list[list[Any]] = [
        ["`ansible.builtin.ping`", ping, 1.0, None],
        ["`network_info`, nothing there", _seconds(found, "info"), found.ratio("info/seconds", "ping/seconds"), None],
    ]
    for size in _sizes(found, "endpoints"):
        kernel = _seconds(found, "floor", size, "first")
        for run in RUNS if size else ("second",):
            took = _seconds(found, "endpoints", size, run)
            if took is not None:
                more = (took - nothing) / kernel if run == "first" and kernel else None
                rows.append([f"`bridge_network`, {size} endpoints, {run} run", took, took / ping, more])
        if size:
            rows.append([f"`ip -batch` and one load of rules, {size} endpoints", kernel, (kernel or 0) / ping, None])
    return (
        "Seconds on the host, of the file that Ansible sends: interpreter, imports, reading what is there, planning and"
        " the kernel's work; no ssh and no templating. `more` is what building adds to a call with nothing to do, over"
        " what `ip -batch` and one `nft -f` need for the same network.\n\n"
        + table(["what", "seconds", "of a ping", "more"], rows)
    )


def _sizes(found: Measurements, name: str) -> list[int]:
    return sorted({int(label.split("/")[1]) for label in found.values if label.startswith(f"{name}/")})


def _growth(found: Measurements, name: str) -> str:
    sizes = [size for size in _sizes(found, name) if size]
    rows = []
    for size in sizes:
        times = [_seconds(found, name, size, run) for run in RUNS]
        nothing = _seconds(found, "endpoints", 0, "second") or 0.0
        each = [(took - nothing) / size * 1000 if took is not None else None for took in times]
        rows.append([size, *times, *each, found.median(f"{name}/{size}/first/mebibytes")])
    header = ["number", *RUNS, *(f"{run}, ms each" for run in RUNS), "MiB at most"]
    lines = {
        run: [(float(size), took) for size in sizes if (took := _seconds(found, name, size, run)) is not None]
        for run in RUNS
    }
    plot = Plot(f"growth-{name}", f"Growth with the number of {name}", name, "seconds", lines)
    return f"### Growth with {name}\n\n{plot.write()}\n\n{table(header, rows)}"
