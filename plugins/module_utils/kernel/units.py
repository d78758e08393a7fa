# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd as they are, by one call of systemctl(1) for all of them."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ..records import dataclass, replace
from .errors import CommandError

Call = t.Callable[[t.Sequence[str]], tuple[int, str, str]]

# Where the control groups of systemd may be mounted (cgroups(7)).
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
_RUNNING = ("active", "activating", "reloading", "deactivating", "refreshing")
# An init script has no state; systemd's generator has read the links that enable it.
_ENABLED = ("enabled", "enabled-runtime", "generated")


@dataclass(frozen=True)
class Unit:
    """A unit in the words of systemd (org.freedesktop.systemd1(5))."""

    name: str  # its main name: others may be aliases
    load: str = "loaded"  # or not-found, masked, error and the like
    trouble: str = ""  # why it could not be loaded
    active: str = "inactive"
    enabled: str = ""
    files: tuple[str, ...] = ()  # its own file, and its drop-ins
    kind: str = ""  # simple, forking, oneshot and the like
    pid: int = 0  # its main process, or any other one; 0: none
    netns: str | None = ""  # NetworkNamespacePath= as systemd has read it; None: this systemd does not have it
    triggers: tuple[str, ...] = ()  # units that start it
    parts: tuple[str, ...] = ()  # units that are restarted with it
    joins: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    is_stale: bool = False  # whether its files have changed since systemd read them
    begun: int = 0  # when its last start began; 0: never
    reached: int = 0  # when that start was complete
    takes_mounts: bool = True  # while it runs: systemctl bind came with version 248, as did a property of services

    @property
    def runs(self) -> bool:
        """Whether it is running or starting."""
        return self.active in _RUNNING

    @property
    def is_enabled(self) -> bool:
        """Whether it starts at boot."""
        return self.enabled in _ENABLED

    def brought_to(self, runs: bool | None, enabled: bool | None, netns: str | None, anew: bool) -> Unit:
        """The unit after these changes; None: no change. Its new process is unknown."""
        unit = self
        if anew or runs not in (None, self.runs):
            unit = replace(unit, active="active" if runs else "inactive", pid=0)
        if enabled not in (None, self.is_enabled):
            unit = replace(unit, enabled="enabled" if enabled else "disabled")
        return unit if netns is None else replace(unit, netns=netns)


_PROPERTIES = (
    "Id,LoadState,LoadError,ActiveState,UnitFileState,FragmentPath,DropInPaths,Type,MainPID,ControlGroup,"
    "NetworkNamespacePath,TriggeredBy,ConsistsOf,JoinsNamespaceOf,Before,NeedDaemonReload,"
    "InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic,ExtensionImages"
)


def read(call: Call, names: t.Sequence[str]) -> dict[str, Unit]:
    """The units of these names, none of which may be a template or a pattern."""
    argv = ["systemctl", "show", "--no-pager", "--property=" + _PROPERTIES, "--", *names]
    code, output, errors = call(argv)
    blocks = [block for block in output.split("\n\n") if block.strip()]
    if len(blocks) != len(names):
        raise CommandError(argv, code or 1, errors)
    return {name: _unit(name, _values(block)) for name, block in zip(names, blocks)}


def _values(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _unit(name: str, values: t.Mapping[str, str]) -> Unit:
    def words(key: str) -> tuple[str, ...]:
        return tuple(values.get(key, "").split())

    active = values.get("ActiveState", "")
    pid = int(values.get("MainPID") or 0)
    return Unit(
        name=values.get("Id") or name,
        load=values.get("LoadState", ""),
        trouble=_trouble(values.get("LoadError", "")),
        active=active,
        enabled=values.get("UnitFileState", ""),
        files=(*words("FragmentPath"), *words("DropInPaths")),
        kind=values.get("Type", ""),
        pid=pid or (_any_process(values.get("ControlGroup", "")) if active in _RUNNING else 0),
        netns=values.get("NetworkNamespacePath"),
        triggers=words("TriggeredBy"),
        parts=words("ConsistsOf"),
        joins=words("JoinsNamespaceOf"),
        before=words("Before"),
        is_stale=values.get("NeedDaemonReload") == "yes",
        begun=int(values.get("InactiveExitTimestampMonotonic") or 0),
        reached=int(values.get("ActiveEnterTimestampMonotonic") or 0),
        takes_mounts="ExtensionImages" in values,
    )


def _trouble(error: str) -> str:
    """The message of an error of D-Bus, as systemctl prints it behind the error's name, in quotes."""
    found = re.search(r'"(.*)"', error)
    return (found[1] if found else error).rstrip(".")


def _any_process(group: str) -> int:
    """A process in a control group: a unit that forks, or whose work other processes do, has no main process."""
    for top in _CGROUPS if group else ():
        with (
            contextlib.suppress(OSError, ValueError),
            open("%s%s/cgroup.procs" % (top, group), encoding="ascii") as file,
        ):
            return int(file.readline())
    return 0


def unmounted(pid: int, mounts: t.Mapping[str, str]) -> list[str]:
    """The places in ``mounts``, files by their places, where a process does not see the file.

    A mount is removed when another file is renamed to its place on the host, as programs do that write such files.
    """
    root = "/proc/%d/root" % pid
    return [place for place, path in mounts.items() if not _is_mounted(root + place, path)]


def _is_mounted(place: str, path: str) -> bool:
    with contextlib.suppress(OSError):
        if os.path.islink(place) and os.path.isabs(os.readlink(place)):
            return True  # a symbolic link would be followed from our root, so the result is unknown
        if not os.path.exists(path):
            return False  # the run is about to write it, as another file than the one that was mounted
        return os.path.samefile(place, path)
    return True


def deleted(pid: int, places: t.Iterable[str]) -> list[str]:
    """The places where a process sees a deleted file, over which the kernel mounts nothing; one for each mount there.

    There are several where a run was killed after it had asked systemd for a mount that the next run did not see yet.
    """
    layers = _mounts_of_deleted(pid)
    seen = [place for place in places if _is_deleted("/proc/%d/root%s" % (pid, place))]
    return [place for place in seen for unused in range(max(1, layers.count(place)))]


def _mounts_of_deleted(pid: int) -> list[str]:
    """The mount points of deleted files among the mounts of a process (proc_pid_mountinfo(5))."""
    try:
        with open("/proc/%d/mountinfo" % pid, encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split() for line in file]
    except OSError:
        return []
    return [words[4] for words in fields if words[3].endswith("//deleted")]


def _is_deleted(path: str) -> bool:
    with contextlib.suppress(OSError):
        return os.stat(path).st_nlink == 0
    return False


def has_own_mounts(pid: int) -> bool:
    """Whether a process has mounts of its own, and the usual root, so that a mount can be added for it alone."""
    with contextlib.suppress(OSError):
        away = not os.path.samefile("/proc/%d/ns/mnt" % pid, "/proc/1/ns/mnt")
        return away and os.readlink("/proc/%d/root" % pid) == "/"
    return False
