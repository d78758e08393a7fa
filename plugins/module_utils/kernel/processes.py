# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that listen on a port or live in a namespace (proc_pid_net(5), proc_pid_ns(5))."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .. import model
from .diag import listeners

# A slice groups units, and cannot be restarted itself.
_UNITS = (".service", ".scope")


class Listeners:
    """The listening sockets of the host, read once for each protocol."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, list[model.Listener]]] = {}

    def on(self, protocol: str, first: int, last: int) -> t.Iterator[model.Listener]:
        """The sockets that listen on a port of the range."""
        if protocol not in self._known:
            self._known[protocol] = {}
            for found in listeners([protocol])[protocol]:
                self._known[protocol].setdefault(found.port, []).append(found)
        known = self._known[protocol]
        for port in (first,) if first == last else sorted(known):
            yield from known.get(port, ()) if first <= port <= last else ()

    def holder(self, port: model.PublishedPort, leaving: t.Collection[str] = ()) -> str:
        """The process that listens on a port to be published, as a clause; empty if none does but ``leaving`` units."""
        for found in self.on(port.protocol, port.host_ports.first, port.host_ports.last):
            if not found.takes(port):
                continue
            holders = _holders(found.inode)
            if not holders or not leaving or not {_unit_of(pid) for pid in holders} <= {*leaving}:
                return "%s listens on port %d of %s" % (_spell_process(holders), found.port, _spell(found.address))
        return ""


def processes_by_namespace() -> dict[int, list[int]]:
    """The processes of each network namespace, by its inode; reads all of /proc once."""
    found: dict[int, list[int]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            inode = os.stat("/proc/%s/ns/net" % pid).st_ino
        except OSError:
            continue  # the process has ended
        found.setdefault(inode, []).append(int(pid))
    return found


def is_native(pid: int) -> bool:
    """Whether a process belongs to the host itself, and not to a container with a PID namespace."""
    with contextlib.suppress(OSError):
        return os.stat("/proc/%d/ns/pid" % pid).st_ino == os.stat("/proc/self/ns/pid").st_ino
    return False


def describe(pids: t.Iterable[int]) -> list[model.Process]:
    """The processes of these that have not ended."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found.append(model.Process(pid, _command(str(pid)), _unit(pid)))
    return found


def _unit(pid: int) -> str:
    """The unit of systemd that a process belongs to, by its cgroup (cgroups(7)); empty when there is none."""
    with open("/proc/%d/cgroup" % pid, encoding="utf-8", errors="replace") as file:
        paths = [line.rstrip("\n").split(":", 2)[2] for line in file if line.startswith(("0::", "1:name=systemd:"))]
    names = [name for path in paths for name in path.split("/") if name.endswith(_UNITS)]
    return names[-1] if names else ""


def _spell(address: model.Address) -> str:
    return "every address" if address.is_unspecified else str(address)


def _holders(inode: int) -> list[str]:
    """The processes that have a socket open; reads all of /proc, so only when there may be a conflict."""
    wanted, found = "socket:[%d]" % inode, []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        folder = "/proc/%s/fd" % pid
        # the process has ended, or we may not look into it
        with contextlib.suppress(OSError):
            if any(os.readlink("%s/%s" % (folder, fd)) == wanted for fd in os.listdir(folder)):
                found.append(pid)
    return found


def _unit_of(pid: str) -> str:
    with contextlib.suppress(OSError):
        return _unit(int(pid))
    return ""


def _spell_process(pids: t.Iterable[str]) -> str:
    for pid in pids:
        with contextlib.suppress(OSError):
            return "process %s (%s)" % (pid, _command(pid))
    return "a process"


def _command(pid: str) -> str:
    with open("/proc/%s/comm" % pid, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
