# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd in memory: its units, where their processes live, and what systemctl does to them."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import CommandError
from ansible_collections.dockerless.network.plugins.module_utils.kernel.units import Unit

ETC = "/etc/systemd/system/"


class Machine(Protocol):
    """The view of a host that systemd has."""

    files: dict[str, str]
    units: dict[int, str]
    names: dict[str, Any]
    spaces: dict[int, Any]
    host: Any


@dataclass
class MemorySystemd:
    """PID 1. A unit has one process while it runs."""

    machine: Machine
    units: dict[str, Unit] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    bound: dict[str, list[str]] = field(default_factory=dict)  # the units that each one needs
    broken: set[str] = field(default_factory=set)  # units that do not start in an endpoint
    unmounted: set[tuple[int, str]] = field(default_factory=set)  # what processes have lost
    deleted: set[tuple[int, str]] = field(default_factory=set)  # what they see, though there is no such file any more
    _pids: int = 50000
    _clock: int = 0

    # ---- what a test arranges

    def install(self, name: str, runs: bool = False, enabled: bool = False, **values: Any) -> None:
        """Somebody installs a service."""
        state = "enabled" if enabled else "disabled"
        files = ("/lib/systemd/system/%s" % name,)
        self.units[name] = Unit(name, enabled=state, **{"kind": "simple", "files": files, **values})
        if runs:
            self._start(name)

    # ---- what is asked of it

    def show(self, name: str) -> Unit:
        known = self.aliases.get(name, name)
        if known.startswith("dockerless-endpoint@"):
            return self.units.get(known, Unit(known))
        return self.units.get(known, Unit(known, load="not-found"))

    def call(self, words: Sequence[str]) -> None:
        """systemctl WORDS; what it does not know here, such as enable, does nothing."""
        verb, *rest = [word for word in words if not word.startswith("--")]
        verbs: dict[str, Callable[[str], None]] = {"start": self._start, "stop": self._stop, "restart": self._restart}
        if verb == "daemon-reload":
            self._reload()
        if verb == "bind":
            if not self.units[rest[0]].runs:
                raise CommandError(["systemctl", *words], 1, "Failed to bind mount: Unit %s is not running" % rest[0])
            assert (self.units[rest[0]].pid, rest[2]) not in self.deleted
            self.unmounted.discard((self.units[rest[0]].pid, rest[2]))
        rest = [name for word in rest for name in (fnmatch.filter(self.units, word) if "*" in word else [word])]
        for name in rest if verb in verbs else ():
            if name in self.units or name.startswith("dockerless-endpoint@"):
                verbs[verb](name)

    def snapshot(self) -> dict[str, Any]:
        """The units, and the namespaces that they run in."""
        homes = {space.inode: name for name, entry in self.machine.names.items() for space in self._spaces(entry.inode)}
        return {
            name: (unit.active, unit.netns, next((homes.get(s.inode, "?") for s in self._homes(unit.pid)), ""))
            for name, unit in self.units.items()
        }

    def _spaces(self, inode: int) -> list[Any]:
        return [space for known, space in self.machine.spaces.items() if known == inode]

    def _homes(self, pid: int) -> list[Any]:
        return [space for space in self.machine.spaces.values() if pid and pid in space.processes]

    def _reload(self) -> None:
        for name, unit in self.units.items():
            text = self.machine.files.get("%s%s.d/dockerless-network.conf" % (ETC, name), "")
            found = [line.split("=", 1)[1] for line in text.splitlines() if line.startswith("NetworkNamespacePath=")]
            self.units[name] = replace(unit, netns=found[0] if found else "")
            self.bound[name] = [line.split("=", 1)[1] for line in text.splitlines() if line.startswith("BindsTo=")]

    def _start(self, name: str) -> None:
        unit = self.units.setdefault(name, Unit(name))
        if unit.active == "active":
            return
        self._clock += 1
        unit = replace(unit, begun=self._clock, reached=self._clock)
        if name.endswith(".target"):
            self.units[name] = replace(unit, active="active")
            return
        home = self.machine.host
        if unit.netns:
            entry = self.machine.names.get(unit.netns.rpartition("/")[2])
            if entry is None or name in self.broken:
                raise CommandError(["systemctl", "start", name], 1, "Job for %s failed because of that." % name)
            home = self.machine.spaces[entry.inode]
        self._pids += 1
        home.processes.append(self._pids)
        self.machine.units[self._pids] = name
        self.units[name] = replace(unit, active="active", pid=self._pids)

    def _stop(self, name: str) -> None:
        unit = self.units[name]
        for other in [other for other, needs in self.bound.items() if name in needs]:
            self._stop(other)
        for home in self._homes(unit.pid):
            home.processes.remove(unit.pid)
        self.units[name] = replace(unit, active="inactive", pid=0)

    def _restart(self, name: str) -> None:
        self._stop(name)
        self._start(name)
