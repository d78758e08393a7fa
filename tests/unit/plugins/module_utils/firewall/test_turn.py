# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.engine import StepFailed
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import (
    FirewallError,
    NoProgram,
    Outdated,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist import turn
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.model import Masquerade, OutInterface
from ansible_collections.dockerless.network.plugins.module_utils.operations import LoadRules, Operation
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.iptables_in_memory import (
    Host as Iptables,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, ask, once

EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("br-blue", True), network="blue")
PING = "busctl --auto-start=no --timeout=30 call org.fedoraproject.FirewallD1 / org.freedesktop.DBus.Peer Ping"
RUNNING = "/run/systemd/units/invocation:firewalld.service"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, slept: Any = lambda: None) -> None:
        self.now, self.slept = 100.0, slept

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept()


class Machine(MemoryNetfilter):
    """A host with iptables, on which firewalld gives these answers in turn, the last one again and again."""

    def __init__(self, *answers: int, runs: bool = True) -> None:
        super().__init__(self, files={RUNNING: ""} if runs else {})
        self.answers, self.calls, self.iptables = [*answers], [""], Iptables()

    def __call__(self, argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        self.calls.append(" ".join(argv))
        if argv[0] == "busctl":
            return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]), "", ""
        if argv[0] == "nft" or "-legacy-" in argv[0]:
            raise NoProgram("There is no program %s on this host." % argv[0])
        return self.iptables(argv, text)


def planned(machine: Machine) -> list[Operation]:
    session = FirewallSession(machine, "iptables")
    session.open()
    session.masquerades = {EGRESS.key: EGRESS}
    return session.in_turn(session.plan()[0], is_first=True)


def test_rules_of_iptables_wait_for_firewalld() -> None:
    machine = Machine(0)

    steps = planned(machine)

    assert machine.calls[1] == PING  # before it reads the rules
    assert [type(step) for step in steps] == [turn.AwaitFirewalld, LoadRules]
    assert steps[0].commands() == [PING]
    machine.calls.clear()
    steps[0].apply(SimpleNamespace(netfilter=lambda: machine))  # type: ignore[arg-type]
    assert machine.calls == [PING, "iptables-save", "ip6tables-save"]


def test_rules_that_firewalld_has_emptied_meanwhile_are_planned_for_anew() -> None:
    machine = Machine(0)
    host: Any = SimpleNamespace(netfilter=lambda: machine)
    planned(machine)[1].apply(machine.iptables)  # type: ignore[arg-type]
    session = FirewallSession(machine, "iptables")
    session.open()
    first, late = (session.in_turn([LoadRules(("iptables-restore",), "")], is_first=yes)[0] for yes in (True, False))
    first.apply(host)

    machine.iptables = Iptables()

    with pytest.raises(Outdated):
        first.apply(host)
    late.apply(host)  # its plan has begun


def test_nobody_is_asked_where_firewalld_does_not_run() -> None:
    machine = Machine(runs=False)

    assert [type(step) for step in planned(machine)] == [LoadRules]
    assert not [call for call in machine.calls if "busctl" in call]


def test_rules_of_nftables_need_not_wait() -> None:
    session = FirewallSession(Machine(0), "iptables")
    steps: list[Operation] = [LoadRules(("nft", "-f", "-"), "add table inet dockerless\n")]

    assert session.in_turn(steps) == steps and session.in_turn([]) == []


def test_firewalld_is_waited_for_while_it_starts_or_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "time", Clock())
    machine = Machine(1, 1, 0)
    assert turn.settled(machine) and len(machine.calls) == 4

    machine = Machine(1)
    monkeypatch.setattr(turn, "time", Clock(machine.files.clear))  # type: ignore[attr-defined]
    assert turn.settled(machine) and len(machine.calls) == 2


def test_a_host_that_cannot_ask_does_not_wait() -> None:
    def run(argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        raise NoProgram("There is no program busctl on this host.")

    assert turn.settled(MemoryNetfilter(run, files={RUNNING: ""}))


def test_a_firewalld_that_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(turn, "time", clock)

    with pytest.raises(FirewallError, match=r"^firewalld has not answered for 30 seconds, .* run this again$"):
        turn.AwaitFirewalld().apply(SimpleNamespace(netfilter=lambda: Machine(1)))  # type: ignore[arg-type]
    assert 130 <= clock.now < 131


def test_a_run_that_waits_in_vain_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "time", Clock())
    monkeypatch.setattr(
        FirewallSession, "in_turn", lambda session, steps, is_first=False: [turn.AwaitFirewalld(), *steps]
    )
    host = MemoryHost()
    monkeypatch.setattr(host, "netfilter", lambda *foreign: Machine(1))

    with pytest.raises(StepFailed) as failed:
        once(host, ask(NatMasqueradeKind(), {"source": "10.20.0.0/24", "out_interface": "!br-blue"}))
    assert str(failed.value).endswith("run this again. The step that failed: %s. Nothing had been changed." % PING)
