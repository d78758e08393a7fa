# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variants that the suite `fleet` compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SIZES = (1, 10, 30)
ENDPOINTS = 10


@dataclass(frozen=True)
class Setting:
    """The settings of ansible-playbook; `play` is the play to run, `sizes` are the numbers of hosts.

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
