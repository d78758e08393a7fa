# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers one question: whether a packet reaches its destination, and if not, what is in its way."""

from __future__ import annotations

from ..kernel.host import Host
from .question import Question, answer, find_start
from .topology import Run, Topology
from .trail import Oracle, Trail


def check(host: Host, run: Run, question: Question) -> dict[str, object]:
    """The answer, as the module returns it."""
    topology = Topology(host, run)
    try:
        start = find_start(topology, question)
        if question.active:
            from .probe import ask

            return ask(topology, start, question)
        trail = Trail(Oracle())
        return answer(start.walk(topology, trail), trail, start, topology)
    finally:
        topology.close()
