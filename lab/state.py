# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab as the machine sees it: a directory of small files, a lock, and one process (the core)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from dataclasses import dataclass

from lab.errors import LabError
from lab.files import read

DEFAULT_BASE = "/run/lab"
# Unix sockets are made in the state directory (the core's, and ssh's ControlPath); their paths have at most 108 bytes.
_LONGEST_DIRECTORY = 72


@dataclass(frozen=True)
class State:
    name: str
    base: str

    @classmethod
    def find(cls, name: str | None = None, base: str | os.PathLike[str] | None = None) -> State:
        """The lab that the arguments name, or else LAB_NAME and LAB_STATE, or else `main` in /run/lab."""
        name = name or os.environ.get("LAB_NAME") or "main"
        where = os.path.realpath(os.fspath(base or os.environ.get("LAB_STATE") or DEFAULT_BASE))
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,15}", name):
            raise LabError(f"'{name}' cannot name a lab: up to 16 of a-z, 0-9 and '-', not '-' first")
        state = cls(name, where)
        if len(state.directory) > _LONGEST_DIRECTORY:
            raise LabError(
                f"'{state.directory}' is too long for the names of unix sockets: "
                f"choose a state directory (LAB_STATE) of at most {_LONGEST_DIRECTORY - 1 - len(name)} characters"
            )
        return state

    @property
    def directory(self) -> str:
        return os.path.join(self.base, self.name)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    @property
    def socket(self) -> str:
        return self.path("ctl.sock")

    @property
    def log(self) -> str:
        return self.path("log")

    @property
    def tag(self) -> str:
        """The marker on the core's command line."""
        return "lab-core:" + self.directory

    def lock(self, wait: bool = True) -> int | None:
        """Take the lock that one `up` or `down` has at a time, and return its descriptor.

        If it is taken, wait for it, or return None if `wait` is false.
        """
        while True:
            os.makedirs(self.base, exist_ok=True)
            fd = os.open(self.base, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                # The directory may have been removed, and made again, while we waited.
                if os.path.samestat(os.fstat(fd), os.stat(self.base)):
                    return fd
            except FileNotFoundError:
                pass
            except BlockingIOError:
                os.close(fd)
                return None
            os.close(fd)

    def cores(self) -> list[int]:
        """The pids of this lab's core. There is no pid file, which might be outdated.

        The core has our marker on its command line, and is PID 1 of a PID namespace right below ours.
        """
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if self.tag not in read(f"/proc/{pid}/cmdline").split("\0"):
                continue
            match = re.search(r"^NSpid:\s*(.*)$", read(f"/proc/{pid}/status"), re.M)
            pids = match.group(1).split() if match else []
            if len(pids) == 2 and pids[1] == "1":
                found.append(int(pid))
        return found

    def alive(self) -> bool:
        return os.path.exists(self.socket) and bool(self.cores())

    def remove_directory(self) -> list[str]:
        """Remove the lab's files; returns what could not be removed."""
        deadline = time.monotonic() + 2
        while os.path.isdir(self.directory):
            try:
                shutil.rmtree(self.directory)
            except OSError as e:
                # A killed lab's last process may still be writing.
                if time.monotonic() > deadline:
                    return [f"{self.directory} ({e})"]
                time.sleep(0.02)
        if self.base == DEFAULT_BASE:
            # It is not empty if another lab is up.
            with contextlib.suppress(OSError):
                os.rmdir(self.base)
        return []
