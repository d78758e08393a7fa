# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts a process inside a node as a child of the caller, with its own pid, signals and exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab import lifecycle
from lab.addressing import CONTROLLER, SWITCH
from lab.errors import LabError
from lab.files import read
from lab.node import ENVIRONMENT
from lab.state import State
from lab.syscalls import CLONE_NEWPID, setns

# Joins the control groups whose files come before the `--`, and then executes what comes after it.
_JOIN = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 126; shift; done; shift; exec "$@"'


@dataclass(frozen=True)
class Door:
    """The way into a node: a pidfd of its init. Whoever opens it also closes it, when the spawned process has ended."""

    node: str
    pidfd: int
    join: list[str]
    directory: str

    @property
    def pid(self) -> int:
        match = re.search(r"^Pid:\s*(\d+)$", read(f"/proc/self/fdinfo/{self.pidfd}"), re.M)
        if match is None:
            raise LabError(f"{self.node} has just died")
        return int(match.group(1))

    def close(self) -> None:
        """Tell the init that a process may have ended, and close the door.

        The processes that we start have no parent inside the node. When systemd shuts the host down, it kills them as
        well, but is not told of their end, and only looks every 10 seconds.
        """
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGCHLD)
        os.close(self.pidfd)


def open_door(state: State, node: str) -> Door:
    reply, fds = lifecycle.request(state, {"op": "enter", "node": node})
    return Door(node, fds[0], reply["join"], reply["directory"])


def spawn(
    door: Door, argv: Sequence[str], env: Mapping[str, str] | None, cwd: str | None, **options: Any
) -> subprocess.Popen[Any]:
    """subprocess.Popen(argv, **options) in the node. The child is killed when the calling thread ends.

    A child is created in the PID namespace that setns() gave to the thread. nsenter enters the other namespaces, as a
    process with several threads cannot enter a mount namespace.
    """
    pid = door.pid
    command = [_program("setpriv"), "--pdeathsig", "KILL", "--"]
    if door.join:
        command += ["/bin/sh", "-c", _JOIN, "sh", *door.join, "--"]
    command += [_program("nsenter"), f"--target={pid}", "--mount", "--uts", "--ipc", "--net"]
    command += ["--cgroup"] if door.join else []
    command += ["--", "/usr/bin/env", "--chdir=" + (cwd or _default_directory(door, pid)), "--", *argv]
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(door.pidfd, CLONE_NEWPID)
        try:
            return subprocess.Popen(command, env=_environment(door, env), **options)
        finally:
            setns(own, CLONE_NEWPID)
    except OSError as e:
        # With these errors, the kernel refuses to enter a PID namespace whose init has ended, or to fork into it.
        if e.errno in (errno.ESRCH, errno.ENOMEM):
            raise LabError(f"{door.node} is going down") from None
        raise
    finally:
        os.close(own)


def _program(name: str) -> str:
    path = lifecycle.find_program(name)
    if path is None:
        raise LabError(f"{name} is missing: apt-get install util-linux")
    return path


def _default_directory(door: Door, pid: int) -> str:
    """The present working directory in nodes that see the machine's files; root's home in a host."""
    if door.node not in (CONTROLLER, SWITCH):
        return "/root"
    here = os.getcwd()
    return here if os.path.isdir(f"/proc/{pid}/root{here}") else "/"


def _environment(door: Door, extra: Mapping[str, str] | None) -> dict[str, str]:
    if door.node == CONTROLLER:
        base = dict(os.environ)
        base.setdefault("ANSIBLE_INVENTORY", door.directory + "/inventory.yml")
        base["ANSIBLE_SSH_CONTROL_PATH_DIR"] = door.directory + "/cp"
        base["LAB_DIR"] = door.directory
    else:
        base = {**ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")}
    return {**base, **(extra or {})}
