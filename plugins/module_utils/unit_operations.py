# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change units of systemd; the files themselves are written by steps of operations.py.

If possible, they come last, in ``World.afterwards``: one reload of systemd for all files of a run, then starts and
stops. When they are undone, they come in the same order, after the files have their old texts.
"""

from __future__ import annotations

import shlex
import typing as t

from . import marks, operations
from .kernel import state
from .kernel.errors import CommandError, UnitError
from .records import dataclass

if t.TYPE_CHECKING:
    from .kernel.host import Host

# The verb of systemctl that undoes a verb. A restart applies the files as they are now, so it undoes itself.
_REVERSE = {"enable": "disable", "disable": "enable", "start": "stop", "stop": "start", "restart": "restart"}


@dataclass(frozen=True)
class DaemonReload(operations.Operation):
    """Let systemd read the files of its units again, once for a whole run."""

    settles = 1

    def commands(self) -> list[str]:
        return ["systemctl daemon-reload"]

    def apply(self, host: Host) -> None:
        host.execute(("systemctl", "daemon-reload"), "")

    def undo(self) -> list[operations.Operation]:
        return [self]

    def joined(self, after: operations.Operation) -> operations.Operation | None:
        return self if isinstance(after, DaemonReload) else None


@dataclass(frozen=True)
class UnitVerb(operations.Operation):
    """One verb of systemctl for some units, such as start, restart or enable.

    If it fails, it may be half done, and is undone as well. ``alone``: units that these need are not started, and units
    that these wait for are not waited for, as one of them may wait for the lock of this run.
    """

    verb: str
    units: tuple[str, ...]
    alone: bool = False
    advice: str = ""  # what the user can do if it fails

    halves = True

    @property
    def settles(self) -> int:  # type: ignore[override]
        """Units that others need come before those."""
        return 2 if self.alone else 3

    def commands(self) -> list[str]:
        return [shlex.join(self._argv())]

    def writes(self) -> t.Iterable[state.Writing]:
        return (state.Writing(marks.UNITS.rstrip("/"), state.LINK),) if self.verb in ("enable", "disable") else ()

    def apply(self, host: Host) -> None:
        try:
            host.execute(self._argv(), "")
        except CommandError as error:
            raise UnitError(self.verb, self.units, error, self.advice) from error

    def undo(self) -> list[operations.Operation]:
        return [UnitVerb(_REVERSE[self.verb], self.units, self.alone)] if self.verb in _REVERSE else []

    def joined(self, after: operations.Operation) -> operations.Operation | None:
        if not isinstance(after, UnitVerb) or (after.verb, after.alone) != (self.verb, self.alone):
            return None
        units = tuple(dict.fromkeys((*self.units, *after.units)))
        return UnitVerb(self.verb, units, self.alone, self.advice or after.advice)

    def _argv(self) -> tuple[str, ...]:
        mode = ("--job-mode=ignore-dependencies",) if self.alone else ()
        # one DaemonReload is enough for all files, and these are links that only matter at boot
        mode = ("--no-reload",) if self.verb in ("enable", "disable") else mode
        return ("systemctl", self.verb, *mode, *self.units)


@dataclass(frozen=True)
class MountFor(operations.Operation):
    """Mount files in a unit that runs, for reading: by their places, each with its file.

    Over a file that is ``deleted`` the kernel mounts nothing, so that one is unmounted first.
    """

    unit: str
    pid: int
    mounts: tuple[tuple[str, str], ...]
    deleted: tuple[str, ...] = ()

    settles = 3

    def commands(self) -> list[str]:
        return [shlex.join(argv) for argv in self._all()]

    def apply(self, host: Host) -> None:
        for argv in self._all():
            try:
                host.execute(argv, "")
            except CommandError:
                # If it has ended, the unit's next process gets the files by the drop-in.
                if host.has_process(self.pid):
                    raise

    def _all(self) -> t.Iterator[tuple[str, ...]]:
        for place, path in self.mounts:
            for unused in range(self.deleted.count(place)):
                yield ("nsenter", "--target", str(self.pid), "--mount", "umount", place)
            yield ("systemctl", "bind", "--read-only", self.unit, path, place)
