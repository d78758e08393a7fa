# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common part of all suites: measurements by label, lab hosts to take them on, text and plots of the results."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.client import Lab
from tools.project import ROOT, TREE, VENVS

HERE = Path(__file__).resolve().parent
PLAYS = HERE / "plays"
RESULTS = HERE / "results"
PROGRAMS = VENVS / "benchmark" / "bin"


@dataclass
class Measurements:
    """Values by label, one for each round; ratios of their medians are what counts."""

    suite: str
    rounds: int
    machine: str = ""
    date: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, suite: str, rounds: int) -> Measurements:
        """For a run that starts now, on this machine."""
        return cls(suite, rounds, machine(), datetime.date.today().isoformat())

    @classmethod
    def read(cls, suite: str) -> Measurements | None:
        """The latest measurement."""
        path = RESULTS / f"{suite}.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def write(self) -> None:
        """Keep it, for the report."""
        RESULTS.mkdir(exist_ok=True)
        rounded = {label: [float(f"{value:.6g}") for value in values] for label, values in self.values.items()}
        text = json.dumps({**vars(self), "values": rounded}, indent=1)
        (RESULTS / f"{self.suite}.json").write_text(text + "\n", encoding="utf-8")

    def note(self, label: str, value: float) -> None:
        """One more value."""
        self.values.setdefault(label, []).append(value)

    def median(self, label: str) -> float | None:
        """The median; None when it was not measured."""
        return statistics.median(self.values[label]) if label in self.values else None

    def ratio(self, label: str, to: str) -> float | None:
        """Of two medians."""
        one, other = self.median(label), self.median(to)
        return one / other if one is not None and other else None

    @contextlib.contextmanager
    def clock(self, label: str) -> Iterator[None]:
        """Note the seconds that a block takes, if it succeeds."""
        begun = time.perf_counter()
        yield
        self.note(label, time.perf_counter() - begun)


def machine() -> str:
    """The machine on which the numbers are measured."""
    cpus = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return f"{cpus} cores ({model}), {memory:.0f} GiB, Linux {platform.release().split('-')[0]}, virtual machine"


def say(text: str) -> None:
    """Report progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def play(lab: Lab, name: str, variables: Mapping[str, Any], *more: str, **environment: str) -> str:
    """Run a play from plays/ on the controller; a failure ends the benchmark. Returns what it printed."""
    return _run_play(lab, [], name, variables, *more, **environment)


def metered_play(lab: Lab, name: str, variables: Mapping[str, Any], **environment: str) -> dict[str, float]:
    """Run a play, and return what it costs the controller: wall seconds and CPU seconds."""
    printed = _run_play(lab, [sys.executable, str(HERE / "metered.py")], name, variables, **environment)
    return dict(json.loads(printed.splitlines()[-1]))


def _run_play(
    lab: Lab, by: Sequence[str], name: str, variables: Mapping[str, Any], *more: str, **environment: str
) -> str:
    program = [*by, str(PROGRAMS / "ansible-playbook"), str(PLAYS / name)]
    settings = {**play_environment(lab), **environment}
    with tempfile.TemporaryDirectory() as folder:
        # 10,000 ports are too long for an argument
        path = Path(folder) / "variables.json"
        path.write_text(json.dumps(variables))
        argv = [*program, "--extra-vars", f"@{path}", *more]
        done = lab.run("controller", argv, timeout=3600, env=settings, cwd=str(ROOT))
    return str(done.stdout)


def play_environment(lab: Lab) -> dict[str, str]:
    """The environment for Ansible's programs on the controller."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_INVENTORY": str(lab.inventory),
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
    }


EMPTY = """
for name in $(ls /run/netns 2>/dev/null); do echo "netns delete $name"; done | ip -batch - 2>/dev/null
ip link delete group 25708 2>/dev/null
for l in $(ls /sys/class/net | grep -E '^(v-|br-|c-)'); do ip link delete "$l" 2>/dev/null; done
nft flush ruleset; rm -rf /run/dockerless.network
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0; true
"""
RESET = EMPTY + "rm -f /etc/sysctl.d/90-*\n"


def empty(lab: Lab, host: str = "h1") -> None:
    """Take away what a boot would, outside the clock."""
    lab.run(host, EMPTY, timeout=600)


def reset(lab: Lab, host: str = "h1") -> None:
    """Bring a host back to a fresh one, outside the clock."""
    lab.run(host, RESET, timeout=600)


def endpoints(number: int, first: int = 1, port: int = 8000) -> list[dict[str, Any]]:
    """Endpoints with a published port each."""
    return [{"name": f"e{i}", "publish": [f"{port + i}:80"]} for i in range(first, first + number)]


# ---- reports


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """In Markdown; None is shown as "-", a float with two digits or more."""
    lines = [list(header), ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    return "\n".join("| %s |" % " | ".join(line) for line in lines)


def cell(value: Any) -> str:
    """A value of a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return str(value)


@dataclass(frozen=True)
class Plot:
    """Lines over one axis, written as SVG beside the report."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    logarithmic: bool = False

    def write(self) -> str:
        """Draw it, and return the Markdown that shows it."""
        import matplotlib

        matplotlib.use("svg")
        # the same numbers make the same file
        matplotlib.rcParams.update({"svg.hashsalt": "dockerless.network", "svg.fonttype": "none", "font.size": 9})
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        for label, points in self.lines.items():
            if points:
                axes.plot(*zip(*points), marker="o", markersize=3, label=label)
        axes.set(title=self.title, xlabel=self.x, ylabel=self.y)
        if self.logarithmic:
            axes.set(xscale="log", yscale="log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
        RESULTS.mkdir(exist_ok=True)
        figure.savefig(RESULTS / f"{self.name}.svg", metadata={"Date": None})
        pyplot.close(figure)
        return f"![{self.title}]({self.name}.svg)"
