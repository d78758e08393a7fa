# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts commands in nodes for a process with several threads, such as pytest, and watches them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lab import enter
from lab.state import State

Process = subprocess.Popen[Any]

# By pid: a fork does not inherit threads.
_threads: dict[int, ThreadPoolExecutor] = {}


def _thread() -> ThreadPoolExecutor:
    """The single thread of a process that starts all commands.

    Commands are killed when the thread that started them ends, so it lives as long as the process. While it starts one,
    its children are created in the node's PID namespace, which must not happen to any other thread.
    """
    pid = os.getpid()
    if pid not in _threads:
        _threads[pid] = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-launcher")
    return _threads[pid]


@dataclass(frozen=True)
class Launched:
    """A command in a node. When it has ended and was reaped, `door` has to be closed."""

    process: Process
    door: enter.Door

    def kill(self) -> None:
        """Kill the process, with the session that it leads."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def reap_in_background(self) -> None:
        """Wait for the command in a thread.

        A PID namespace ends only when each of its processes has been reaped by its parent. Without this, a host could
        not reboot, and the lab could not go down, before the caller happens to call wait().
        """
        name = f"lab-reaper-{self.process.pid}"
        threading.Thread(target=self._reap, name=name, daemon=True).start()

    def _reap(self) -> None:
        self.process.wait()
        self.door.close()


def launch(
    state: State,
    node: str,
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: str | None,
    **options: Any,
) -> Launched:
    """Like enter.spawn(); the command dies with this process."""
    door = enter.open_door(state, node)
    try:
        process = _thread().submit(enter.spawn, door, argv, env, cwd, **options).result()
    except BaseException:
        door.close()
        raise
    return Launched(process, door)
