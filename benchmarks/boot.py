# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the unit that restores everything at boot, against `ip -batch` and one load of rules."""

from __future__ import annotations

import os

from benchmarks import cost, floor
from benchmarks.bench import Measurements, empty, reset, say, table
from lab.client import Lab

TITLE = "At boot"
ENDPOINTS = (1, 100, 1000)
HOST = "h1"
UNIT = "dockerless-network.service"
_PYTHON = "/usr/bin/python3"
# From the start of the first process of the unit to the end of the last one, in microseconds.
_TOOK = f"""systemctl is-system-running --wait >/dev/null
systemctl show {UNIT} --property ActiveState,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic"""
RUNS = {
    "boot": "at boot, beside all other units",
    "restart": "the same on a host that is up, and empty",
    "nothing": "a second time, with nothing to do",
    "floor": "`ip -batch` and one load of rules",
}


def measure(found: Measurements, quick: bool) -> None:
    """Each size on a host of its own state, everything in turns."""
    with Lab(f"bench{os.getpid()}") as lab:
        lab.up(hosts=1, uplink=True, systemd=True)
        host = cost.Host(lab)
        absent = host.keep("absent", "bridge_network")
        for size in [size for size in ENDPOINTS if not quick or size <= 100]:
            say(f"making {size} endpoints")
            host.keep("present", "bridge_network", cost.of_endpoints(size))
            for number in range(1, found.rounds + 1):
                say(f"round {number} of {found.rounds}")
                _one_round(found, host, size)
            host.timed([_PYTHON, absent])
            reset(lab)


def _one_round(found: Measurements, host: cost.Host, size: int) -> None:
    lab = host.lab
    empty(lab)
    found.note(f"{size}/restart", host.timed(["systemctl", "restart", UNIT])["seconds"])
    found.note(f"{size}/nothing", host.timed(["systemctl", "reload", UNIT])["seconds"])
    empty(lab)
    found.note(f"{size}/floor", host.timed(["bash", "-s"], floor.build(size))["seconds"])
    lab.reboot(HOST)
    found.note(f"{size}/boot", _took(lab))


def _took(lab: Lab) -> float:
    """Seconds that the unit has taken at this boot."""
    shown = dict(line.split("=", 1) for line in lab.run(HOST, _TOOK, timeout=600).stdout.splitlines())
    if shown["ActiveState"] != "active":
        raise RuntimeError(f"{UNIT} is {shown['ActiveState']}")
    ends = (shown[name + "TimestampMonotonic"] for name in ("InactiveExit", "ActiveEnter"))
    begun, ended = map(int, ends)
    return (ended - begun) / 1e6


def report(found: Measurements) -> str:
    """A row for each size."""
    sizes = sorted({int(label.partition("/")[0]) for label in found.values})
    rows = [
        [size, *(found.median(f"{size}/{run}") for run in RUNS), found.ratio(f"{size}/restart", f"{size}/floor")]
        for size in sizes
    ]
    return (
        f"Seconds in which `{UNIT}` makes one network of so many endpoints with a published port each, and whether"
        " writing down the commands would be faster: nothing is looked at, and no sysctl set, by those.\n\n"
        + table(["endpoints", *RUNS.values(), "empty host, of `ip -batch`"], rows)
        + str(found.facts.get("note", ""))
    )
