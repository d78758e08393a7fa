# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs with systemd that are killed before each of their steps; the next run finishes what they began."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome
from ansible_collections.dockerless.network.plugins.module_utils.kernel import archive
from ansible_collections.dockerless.network.plugins.module_utils.kernel.files import unfinished
from ansible_collections.dockerless.network.plugins.module_utils.kernel.units import Unit
from ansible_collections.dockerless.network.plugins.module_utils.marks import NAMES_FILE, NAMES_SERVED, NAMES_UNIT
from ansible_collections.dockerless.network.plugins.module_utils.model import Place, PublishedPort
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.systemd_in_memory import ETC, MemorySystemd

Facts = dict[str, Any]
Run = tuple[list[Facts], Facts]


class Pid1(MemorySystemd):
    """With units whose files we write, and as they were when it read them."""

    read: dict[str, str]

    def show(self, name: str) -> Unit:
        is_there = name in self.units or ETC + name not in self.machine.files
        return super().show(name) if is_there else Unit(name)

    def call(self, words: Sequence[str]) -> None:
        for name in words[1:]:
            if ETC + name in self.machine.files:
                self.units.setdefault(name, Unit(name))
        if words[0] in ("enable", "disable"):  # it has its files read, too
            self._reload()
        super().call(words)

    def _reload(self) -> None:
        super()._reload()
        self.read = {path: text for path, text in self.machine.files.items() if path.startswith(ETC)}

    def is_stale(self) -> bool:
        """Whether files have changed since it read them; one that is gone has no effect any more."""
        now = {path: text for path, text in self.machine.files.items() if path.startswith(ETC)}
        return any(self.read.get(path) != text for path, text in now.items())


class KilledHost(MemoryHost):
    """With systemd and the services of the stack; what is killed while it writes leaves half a file."""

    def __init__(self) -> None:
        super().__init__()
        self.systemd = True
        self.pid1 = Pid1(self)
        self.pid1.read = {}
        self.uplink()
        self.files.update({"/etc/hosts": "127.0.0.1 localhost\n", "/etc/resolv.conf": "nameserver 192.0.2.53\n"})
        self.files["/lib/systemd/system/nftables.service"] = (
            "[Service]\nExecStart=/usr/sbin/nft -f /etc/nftables.conf\n"
        )
        for name in ("nginx", "app", "redis"):
            self.pid1.install("%s.service" % name, runs=name != "redis", enabled=True)

    def write_file(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        self.files[unfinished(path)] = ""
        super().write_file(path, text, mode)
        del self.files[unfinished(path)]

    def call(self, argv: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        return (0, "systemd 252", "") if tuple(argv) == ("systemctl", "--version") else (0, "", "")

    def port_holder_in(self, place: Place, port: PublishedPort) -> str:
        return ""

    def execute(self, argv: Sequence[str], text: str) -> None:
        super().execute(argv, text)
        if argv[0] == "systemctl" and argv[1] in ("start", "restart") and argv[-1] == NAMES_UNIT:
            views = json.loads(self.files[NAMES_FILE])["views"]
            served = [netns for view in views for netns in view["endpoints"] if netns in self.names]
            self.files[NAMES_SERVED] = "".join("%d %s\n" % (self.names[name].inode, name) for name in served)

    def snapshot(self) -> dict[str, Any]:
        found = super().snapshot()
        idle = {name for name in found["units"] if name.startswith("dockerless-endpoint@")} - {
            need for needs in self.pid1.bound.values() for need in needs
        }
        # that an endpoint is there is true, though nothing is bound to that any more
        for name in idle if any(self.pid1.bound.values()) else ():
            del found["units"][name]
        served = found["files"].pop(NAMES_SERVED, None)
        return {
            **found,
            "served": served and [line.split()[1] for line in served.splitlines()],
            "stale": self.pid1.is_stale(),
        }


FRONT: Facts = {
    "name": "front",
    "subnets": ["10.80.0.0/24"],
    "dns": True,
    "endpoints": [
        {"name": "proxy", "services": ["nginx"], "publish": ["8080:80"]},
        {"name": "web", "services": ["app"]},
    ],
}
BACK: Facts = {
    "name": "back",
    "subnets": ["10.81.0.0/24"],
    "internal": True,
    "endpoints": [{"name": "web"}, {"name": "cache", "services": ["redis"]}],
}
STACK: Run = ([FRONT, BACK], {})
# An endpoint comes with a service of another one, one goes with its service, names and ports change.
OTHER: Run = (
    [
        {
            **FRONT,
            "dns": False,
            "endpoints": [
                {"name": "proxy", "aliases": ["www"], "publish": ["8080:80", "8081:81"]},
                {"name": "new", "services": ["nginx"]},
                {"name": "web", "services": ["app"]},
            ],
        },
        {**BACK, "endpoints": [{"name": "web"}]},
    ],
    {},
)
GONE: Run = ([], {"state": "absent", "everything": True})
STOPPED: Run = ([{"name": "front"}, {"name": "back"}], {"state": "absent", "service_removal": "stop"})


@pytest.fixture(autouse=True)
def _small_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive of our own files is packed in another test."""
    monkeypatch.setattr(archive, "own", dict)
    monkeypatch.setattr(archive, "expected", lambda source, main: "sums")
    monkeypatch.setattr(archive, "sums", lambda packed: "sums")
    monkeypatch.setattr(archive, "pack", lambda source, main: "packed")


def once(host: MemoryHost, run: Run) -> Outcome:
    networks, how = run
    return make_networks(networks, world(host), Scope(**{"prune": "project", **how}), "auto")


def prepared(*runs: Run) -> KilledHost:
    host = KilledHost()
    for run in runs:
        once(host, run)
    return host


@pytest.mark.parametrize(
    ("there", "run"),
    [((), STACK), ((STACK,), OTHER), ((OTHER,), STACK), ((STACK,), GONE), ((STACK,), STOPPED)],
    ids=["first", "change", "back", "purge", "stop"],
)
def test_a_run_that_was_killed_before_any_step_is_finished_by_the_next(there: tuple[Run, ...], run: Run) -> None:
    before, undisturbed = prepared(*there), prepared(*there)
    once(undisturbed, run)
    wanted, number = undisturbed.snapshot(), undisturbed.steps - before.steps
    for cut_at in range(1, number + 1):
        host = copy.deepcopy(before)
        host.cut_at = host.steps + cut_at
        with pytest.raises(KeyboardInterrupt):
            once(host, run)
        host.cut_at = None

        once(host, run)

        assert host.snapshot() == wanted, "killed before step %d of %d" % (cut_at, number)
    assert once(host, run).commands == ()
