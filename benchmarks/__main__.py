# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time the role against Ansible's own floor and a careful hand-made playbook, over pipelined ssh to one lab host.

Everything is run in turns, so that a busy moment of the machine hits all of them; medians and their ratios are
printed as a table, and written to results.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.client import Lab
from tools.project import ROOT, VENVS

HERE = Path(__file__).resolve().parent
PLAYBOOK = VENVS / "newest" / "bin" / "ansible-playbook"
PLAYS = HERE / "plays"
RESET = """
ip -all netns delete; for l in $(ls /sys/class/net | grep -E '^(v-|br-)'); do ip link delete "$l" 2>/dev/null; done
nft flush ruleset; rm -f /etc/sysctl.d/90-*; sysctl -qw net.ipv4.ip_forward=0; true
"""
# The careful playbook takes minutes at 100 endpoints: its slope is known by then.
CAREFUL_MOST = 10


class Bench:
    """One lab host, and the times of what was run on it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.times: dict[str, list[float]] = {}

    def reset(self) -> None:
        """Bring the host back to a fresh one, outside the clock."""
        self.lab.run("h1", RESET)

    def play(self, label: str, name: str, variables: dict[str, object]) -> None:
        """Run a play and note how long it took; a failure ends the benchmark."""
        argv = [str(PLAYBOOK), str(PLAYS / name), "--extra-vars", json.dumps(variables)]
        begun = time.perf_counter()
        self.lab.run("controller", argv, timeout=3600, env=_environment(self.lab), cwd=str(ROOT))
        self.times.setdefault(label, []).append(time.perf_counter() - begun)

    def median(self, label: str) -> float:
        """The median of what was noted."""
        return statistics.median(self.times[label])


def _environment(lab: Lab) -> dict[str, str]:
    return {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_INVENTORY": str(lab.inventory)}


def endpoints(number: int) -> list[dict[str, object]]:
    """Endpoints with a published port each."""
    return [{"name": f"e{i}", "publish": [f"{8000 + i}:80"]} for i in range(1, number + 1)]


def one_round(bench: Bench, sizes: list[int]) -> None:
    """Everything once."""
    bench.reset()
    bench.play("one ping", "ping.yml", {"pings": 1})
    bench.play("eight pings", "ping.yml", {"pings": 8})
    for size in sizes:
        for steps, kind in ((False, "role"), (True, "role, step by step")):
            bench.reset()
            variables = {"endpoints": endpoints(size), "bridge_network_step_by_step": steps}
            bench.play(f"{kind}, {size}, first run", "role.yml", variables)
            bench.play(f"{kind}, {size}, second run", "role.yml", variables)
        if size <= CAREFUL_MOST:
            bench.reset()
            bench.play(f"careful playbook, {size}, first run", "careful.yml", {"n": size})
            bench.play(f"careful playbook, {size}, second run", "careful.yml", {"n": size})
        print(f"  {size} endpoints done", file=sys.stderr)


def rows(bench: Bench) -> Iterator[str]:
    """The table, a line each."""
    one, eight = bench.median("one ping"), bench.median("eight pings")
    yield "| what, endpoints, run | median s | of one ping | of eight pings |"
    yield "| --- | --- | --- | --- |"
    for label in bench.times:
        value = bench.median(label)
        yield f"| {label} | {value:.2f} | {value / one:.2f} | {value / eight:.2f} |"


def machine() -> str:
    """What it was measured on."""
    cpus = len(os.sched_getaffinity(0))
    python = platform.python_version()
    return f"Linux {platform.release()}, {cpus} cores, controller with Python {python}, one lab host over ssh"


def main(write: Callable[[str], object] = print) -> int:
    """Run it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100])
    options = parser.parse_args()
    with Lab(f"bench{os.getpid()}") as lab:
        lab.up(hosts=1, uplink=True)
        bench = Bench(lab)
        for number in range(1, options.rounds + 1):
            print(f"round {number} of {options.rounds}", file=sys.stderr)
            one_round(bench, options.sizes)
    table = "\n".join(rows(bench))
    text = f"# Cost of the role\n\n{machine()}; medians of {options.rounds} rounds.\n\n{table}\n"
    (HERE / "results.md").write_text(text, encoding="utf-8")
    write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
