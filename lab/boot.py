# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core's part in a boot: it starts all inits at once, connects the nodes, and waits until they are ready."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence

from lab import addressing, cgroups, network, node
from lab.addressing import LANS
from lab.errors import LabError
from lab.node import NodePlan
from lab.syscalls import CLONE_NEWPID, close_fds_from, unshare

_TIMEOUT = 70.0
_END_TIMEOUT = 2.0


def end(pids: Iterable[int]) -> None:
    """Cut the power of the nodes with these inits."""
    pidfds = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            pidfds.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _END_TIMEOUT
    for fd in pidfds:
        # An init ends only when the processes that started commands in its node have reaped these. A new boot does not
        # depend on that, so do not wait for long.
        select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        os.close(fd)


class Booting:
    """One boot of several nodes."""

    def __init__(self, plans: Sequence[NodePlan]) -> None:
        self.plans = plans
        self.pids: dict[str, int] = {}
        self.links: dict[str, socket.socket] = {}

    def boot(self) -> dict[str, int]:
        """Boot the nodes, and return the pids of their inits when all are ready. If one node fails, all are ended."""
        try:
            for plan in self.plans:
                self._start(plan)
            self._expect(node.MADE)
            for lan in LANS:
                network.plug(lan, {p.name: self.pids[p.name] for p in self.plans if lan in _lans(p)})
            for link in self.links.values():
                link.sendall(node.PLUGGED)
            self._expect(node.READY)
            return self.pids
        except (LabError, OSError):
            end(self.pids.values())
            raise
        finally:
            for link in self.links.values():
                link.close()

    def _start(self, plan: NodePlan) -> None:
        if plan.cgroup:
            cgroups.make(plan.cgroup)
        ours, theirs = socket.socketpair()
        ours.settimeout(_TIMEOUT)
        self.links[plan.name] = ours
        reader, writer = os.pipe()
        # unshare(2) only puts the caller's later children into a new PID namespace. So a process in between starts the
        # init and exits at once. The init then becomes a child of this process, which is PID 1.
        between = os.fork()
        if between == 0:
            _fork_init(plan, theirs, writer)
        os.close(writer)
        theirs.close()
        os.waitpid(between, 0)
        with os.fdopen(reader) as f:
            pid = f.read()
        if not pid:
            raise LabError(f"{plan.name}: the kernel gave no PID namespace")
        self.pids[plan.name] = int(pid)

    def _expect(self, word: bytes) -> None:
        for name, link in self.links.items():
            try:
                got = link.recv(1)
                if got == word:
                    continue
                reason = link.recv(4096).decode(errors="replace") if got == node.FAILED else f"{name}: its init died"
            except socket.timeout:
                reason = f"{name}: not up within {_TIMEOUT:g} s"
            except ConnectionError:
                reason = f"{name}: its init died"
            raise LabError(reason)


def _lans(plan: NodePlan) -> list[addressing.Lan]:
    return addressing.lans_of(plan.name, plan.config)


def _fork_init(plan: NodePlan, link: socket.socket, report: int) -> None:
    """Start the init. This runs in the process in between, and returns neither there nor in the init."""
    try:
        unshare(CLONE_NEWPID)
        pid = os.fork()
        if pid:
            os.write(report, str(pid).encode())
            os._exit(0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        os.setsid()
        os.dup2(link.fileno(), 3, inheritable=False)
        close_fds_from(4)
        node.run(plan, socket.socket(fileno=3))
    except BaseException as e:
        print(f"{plan.name}: {type(e).__name__}: {e}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)
