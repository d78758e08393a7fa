# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role against Ansible's own floor and a careful hand-made playbook, over pipelined ssh to one lab host."""

from __future__ import annotations

import os

from benchmarks.bench import Measurements, endpoints, play, reset, say, table
from lab.client import Lab

TITLE = "The role against a ping"
# The careful playbook takes minutes at 100 endpoints: its slope is known by then.
CAREFUL_MOST = 10


def measure(found: Measurements, quick: bool) -> None:
    """All in turns, in each round."""
    sizes = [1, 10] if quick else [1, 10, 100]
    with Lab(f"bench{os.getpid()}") as lab:
        lab.up(hosts=1, uplink=True)
        for number in range(1, found.rounds + 1):
            say(f"round {number} of {found.rounds}")
            _one_round(found, lab, sizes)


def _one_round(found: Measurements, lab: Lab, sizes: list[int]) -> None:
    reset(lab)
    for count in (1, 8):
        with found.clock(f"ping/{count}"):
            play(lab, "ping.yml", {"pings": count})
    for size in sizes:
        for kind, steps in (("role", False), ("steps", True)):
            reset(lab)
            for run in ("first", "second"):
                with found.clock(f"{kind}/{size}/{run}"):
                    play(lab, "role.yml", {"endpoints": endpoints(size), "bridge_network_step_by_step": steps})
        if size <= CAREFUL_MOST:
            reset(lab)
            for run in ("first", "second"):
                with found.clock(f"careful/{size}/{run}"):
                    play(lab, "careful.yml", {"n": size})


def report(found: Measurements) -> str:
    """Against one ping and against eight."""
    names = {
        "ping": "`ansible.builtin.ping`, tasks:",
        "role": "the role, endpoints:",
        "steps": "the role step by step, endpoints:",
        "careful": "a careful playbook of commands, endpoints:",
    }
    rows = []
    for label in found.values:
        kind, size, *run = label.split("/")
        what = f"{names[kind]} {size}" + (f", {run[0]} run" if run else "")
        rows.append([what, found.median(label), found.ratio(label, "ping/1"), found.ratio(label, "ping/8")])
    return table(["what", "seconds", "of one ping", "of eight pings"], rows)
