# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of all DNS servers of endpoints: its unit, its programs, and whether it runs as it should."""

from __future__ import annotations

import sys
import typing as t

from .. import marks, model, operations
from ..kernel import own_files
from ..unit_operations import DaemonReload, UnitVerb
from ..world import World
from . import common
from .name_views import with_sockets

if t.TYPE_CHECKING:
    # These are sent to a managed host and never imported there: their texts are installed.
    from ..name_server import opener, server  # noqa: F401

OPENER = marks.NAMES_PROGRAMS + "/open_sockets.py"
SERVER = marks.NAMES_PROGRAMS + "/name_server.py"
UNIT = marks.UNITS + marks.NAMES_UNIT
_ENABLED = marks.enabled_by(marks.NAMES_UNIT)
_MARK = marks.file_mark("the DNS server of endpoints")
# FDPOLL and BARRIER of sd_notify(3).
_OLDEST_SYSTEMD = 246
_LIBRARY = "import dns.edns, dns.entropy, dns.message, dns.reversename"
_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python")
_DNS = 53

# The opener runs as root and has to see the namespaces of the host; the server has no capabilities. A dynamic user sees
# the host's files read-only, and no home. With settings that mount more (ProtectKernelTunables= and the like), systemd
# would go through the mounts of all named namespaces for each of them, and a restart took three times as long.
_UNIT_TEXT = """[Unit]
Description=DNS server of endpoints
After=dockerless-network.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStartPre=-+%(python)s -I %(opener)s %(views)s %(served)s %%n
ExecStart=%(python)s -I %(server)s %(views)s %(served)s
Restart=always
RestartSec=50ms
TimeoutStopSec=5s
FileDescriptorStoreMax=8192
LimitNOFILE=65536
DynamicUser=yes
CapabilityBoundingSet=
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""


def unit_text(python: str) -> str:
    """The unit, with the Python that has dnspython."""
    paths = {"opener": OPENER, "server": SERVER, "views": marks.NAMES_FILE, "served": marks.NAMES_SERVED}
    return _MARK + _UNIT_TEXT % {"python": python, **paths}


def program_text(name: str) -> str:
    """A program of ours, as our own archive has it; raises Conflict where it cannot be read."""
    try:
        return _MARK + own_files.read("name_server/%s.py" % name)
    except own_files.Unreadable as error:
        raise model.Conflict(
            "The programs of the DNS server cannot be read in this process, as under Mitogen; run this play with the"
            " strategy linear, or leave dns out."
        ) from error


class Service:
    """The state and the steps of the service in one run."""

    def __init__(self, world: World) -> None:
        self._world = world

    # -- the steps

    def steps(self, netns: t.Iterable[str], lost: bool) -> list[operations.Operation]:
        """The steps that make it serve these namespaces; ``lost``: a namespace that it served needs none any more."""
        runs, texts, unserved = self._runs(), self._files(), self._is_unserved(netns)
        steps: list[operations.Operation] = [step for path, text in texts.items() for step in self._file(path, text)]
        stale = self._world.units.planned(marks.NAMES_UNIT).is_stale
        if stale or any(isinstance(step, operations.WriteFile) and step.path == UNIT for step in steps):
            self._world.afterwards.append(DaemonReload())
        anew = bool(steps) or lost or unserved or stale or not runs
        if anew:
            # A server that loses a namespace starts again by itself, and a start would wait for that one.
            self._world.afterwards.append(
                _verb("restart" if self._world.units.planned(marks.NAMES_UNIT).runs else "start")
            )
        if not self._world.units.is_enabled(marks.NAMES_UNIT):
            self._world.afterwards.append(UnitVerb("enable", (marks.NAMES_UNIT,)))
        self._world.units.put(marks.NAMES_UNIT, runs=True, enabled=True, netns="", anew=anew)
        return steps

    def is_sound(self, netns: t.Iterable[str]) -> bool:
        """Whether it serves these namespaces as it should."""
        there = all(self._is_right(path, text) for path, text in self._files().items())
        right = self._runs() and not self._world.units.planned(marks.NAMES_UNIT).is_stale
        return there and right and self._world.units.is_enabled(marks.NAMES_UNIT) and not self._is_unserved(netns)

    def _files(self) -> dict[str, str]:
        return {
            OPENER: self._program("opener", OPENER),
            SERVER: self._program("server", SERVER),
            UNIT: unit_text(self._python()),
        }

    def _program(self, name: str, path: str) -> str:
        """The text of a program. Where our own files cannot be read, the text of the installed program will do."""
        try:
            return program_text(name)
        except model.Conflict:
            there = self._world.file(path)
            if there is None or not there.startswith(_MARK):
                raise
            return there

    def _file(self, path: str, text: str) -> list[operations.Operation]:
        before = self._world.file(path)
        if before is not None and not before.startswith(_MARK):
            raise model.Conflict("The file %s was not made by this collection; remove it, or leave dns out." % path)
        self._world.put_file(path, text)
        return common.write_steps(path, text, before, self._world, own_folder=path != UNIT)

    def _is_right(self, path: str, text: str) -> bool:
        folder = path.rpartition("/")[0]
        odd = self._world.is_odd(path, 0o644) or (path != UNIT and self._world.is_odd(folder, 0o755))
        return not odd and self._world.file(path) == text

    def _runs(self) -> bool:
        """Whether the service runs. It restarts by itself, for example when a namespace loses its name."""
        return self._world.units.started(marks.NAMES_UNIT).active == "active"

    # -- what it needs of the host

    def _python(self) -> str:
        """The Python of the present unit, if that program runs; otherwise one that has the library."""
        there = self._world.file(UNIT) or ""
        known = next((line.split()[0] for line in there.split("ExecStart=")[1:] if line.split()), "")
        if known and there == unit_text(known) and self._runs():
            return known
        self._require_systemd()
        for python in dict.fromkeys((*_PYTHONS, sys.executable)):
            if self._world.output_of(python, "-I", "-c", _LIBRARY) is not None:
                return python
        raise model.Conflict(
            "The DNS server of endpoints needs dnspython, which no Python of this host has: install the package"
            " python3-dnspython (Fedora, RHEL: python3-dns), as the playbook dockerless.network.prepare does, or leave"
            " dns out."
        )

    def _require_systemd(self) -> None:
        words = (self._world.output_of("systemctl", "--version") or "").split()
        version = words[1].partition(".")[0].partition("~")[0] if words[:1] == ["systemd"] else ""
        if version.isdigit() and int(version) < _OLDEST_SYSTEMD:
            raise model.Conflict(
                "The DNS server of endpoints needs systemd %d, and this host has %s; leave dns out."
                % (_OLDEST_SYSTEMD, version)
            )

    # -- the namespaces that it serves

    def _is_unserved(self, netns: t.Iterable[str]) -> bool:
        """Whether there is a namespace in which the service has no socket yet."""
        served = with_sockets(self._world.file(marks.NAMES_SERVED))
        found = False
        for name in netns:
            place = model.Place(netns=name)
            inode = self._world.inode(place)
            if self._world.has_namespace(name) and (not inode or served.get(name) != inode):
                is_taken = bool(inode) and self._is_taken(place)
                found = found or not is_taken
        return found

    def _is_taken(self, place: model.Place) -> bool:
        """Whether another program listens where the server would, with a warning if so."""
        for protocol in ("udp", "tcp"):
            port = model.PublishedPort(
                protocol, model.PortRange(_DNS, _DNS), model.NAME_SERVER, _DNS, model.NAME_SERVER
            )
            holder = self._world.port_holder_in(place, port)
            if holder and not holder.startswith("process 1 ("):
                self._world.warn(
                    "Endpoint %s has no DNS server, because %s there; set resolver to false for it, or let it listen on"
                    " its own addresses only." % (place.netns, holder)
                )
                return True
        return False


def _verb(verb: str) -> UnitVerb:
    """The step with a verb of systemctl. It must not wait: the service is ordered after the unit that may run us."""
    return UnitVerb(verb, (marks.NAMES_UNIT,), alone=True)


def removal_steps(world: World) -> list[operations.Operation]:
    """Remove the service before its namespaces. If the run is killed, the last file tells the next one of that."""
    steps: list[operations.Operation] = []
    paths = [UNIT, OPENER, SERVER, marks.NAMES_SERVED, marks.NAMES_FILE]
    if not world.systemd():
        paths.insert(0, _ENABLED)
    elif world.file(UNIT) is not None:
        steps += [UnitVerb("disable", (marks.NAMES_UNIT,)), _verb("stop")]
        world.units.put(marks.NAMES_UNIT, runs=False, enabled=False)
        world.afterwards.append(DaemonReload())
    for path in paths:
        before = world.file(path)
        if before is not None:
            world.put_file(path, None)
            steps.append(operations.RemoveFile(path, before, own_folder=path not in (UNIT, _ENABLED)))
    return steps
