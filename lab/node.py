# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PID 1 of a node: makes the node's namespaces and file system, then supervises its servers (or becomes systemd).

It reports to the core over a socket: MADE when the namespaces are there; then it waits for PLUGGED (the core has
connected the node), and reports READY. If anything fails, it reports FAILED and a sentence.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab import addressing, cgroups, identity, network, rootfs, services
from lab.addressing import CONTROLLER, Config
from lab.errors import LabError
from lab.files import listening, read
from lab.inventory import LOCALHOST
from lab.state import State
from lab.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    set_process_name,
    unshare,
)

MADE, PLUGGED, READY, FAILED = b"M", b"P", b"R", b"!"
SBIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": SBIN_PATH, "HOME": "/root", "USER": "root", "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
_SSHD_TIMEOUT = 60.0


@dataclass(frozen=True)
class NodePlan:
    """What a node has to know about its lab. `storage` is the path of the lab's tmpfs for the core."""

    state: State
    name: str
    config: Config
    storage: str

    @property
    def cgroup(self) -> str | None:
        if not self.config.cgroups or self.name == CONTROLLER:
            return None
        return cgroups.path_of(self.state.name, self.name)

    @property
    def systemd(self) -> bool:
        return self.config.systemd and addressing.is_host(self.name)


def run(plan: NodePlan, core: socket.socket) -> None:
    """Be the init of a node; never returns."""
    try:
        _make(plan)
        core.sendall(MADE)
        if core.recv(1) != PLUGGED:
            os._exit(1)
        network.node_setup(plan.name, plan.config)
        os.environ.clear()
        os.environ.update(ENVIRONMENT)
        if plan.systemd:
            _become_systemd(core)
        _supervise(plan, core)
    except BaseException as e:
        core.sendall(FAILED + f"{plan.name}: {e}".encode())
        raise


def _make(plan: NodePlan) -> None:
    if plan.cgroup:
        # The cgroup namespace that is made next is rooted where we are.
        cgroups.join(plan.cgroup)
    kinds = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC
    unshare(kinds | CLONE_NEWCGROUP if plan.cgroup else kinds)
    socket.sethostname(plan.name)
    base = os.path.join(plan.storage, plan.name)
    if plan.name == CONTROLLER:
        rootfs.controller_root(plan.state, base, read(plan.state.path("hosts"), LOCALHOST))
        return
    host = rootfs.HostRoot(base)
    host.lay()
    if host.first_boot:
        identity.write_identity(plan.state, plan.name, host.root)
        if plan.systemd:
            identity.write_units(host.root)
    host.power_on(plan.config.binds, plan.cgroup is not None)
    host.enter()


def _become_systemd(core: socket.socket) -> None:
    if os.fork() == 0:
        # We are about to become systemd, so another process has to tell the core.
        os.setsid()
        report = _wait_for_sshd()
        core.sendall(READY if report is None else FAILED + report.encode())
        os._exit(0)
    path = identity.systemd_path()
    if path is None:
        raise LabError("systemd is missing: apt-get install systemd")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execve(path, [path, "--show-status=0"], {**ENVIRONMENT, "container": "lab"})


def _wait_for_sshd() -> str | None:
    """Wait until sshd listens; returns an error message, or None."""
    deadline = time.monotonic() + _SSHD_TIMEOUT
    while not listening(22):
        if time.monotonic() > deadline:
            return f"{socket.gethostname()}: sshd did not listen within {_SSHD_TIMEOUT:g} s"
        time.sleep(0.005)
    return None


def _start_sshd() -> int:
    os.makedirs("/run/sshd", exist_ok=True)
    # sshd insists on being called by its full name.
    path = shutil.which("sshd") or "/usr/sbin/sshd"
    return subprocess.Popen(
        [path, "-D", "-E", "/var/log/sshd.log"], stdin=subprocess.DEVNULL, start_new_session=True
    ).pid


def _servers_of(name: str) -> dict[str, Callable[[], int]]:
    servers: dict[str, Callable[[], int]] = {}
    if name != CONTROLLER:
        servers["sshd"] = _start_sshd
    if addressing.outside([name]):
        servers["services"] = services.start
    return servers


def _supervise(plan: NodePlan, core: socket.socket) -> None:
    """Start the node's servers, start them again when they die, and reap whatever else dies here."""
    set_process_name("init")
    servers = _servers_of(plan.name)
    pids = {start(): server for server, start in servers.items()}
    report = _wait_for_sshd() if "sshd" in servers else None
    if report is not None:
        raise LabError(report)
    core.sendall(READY)
    core.close()
    while True:
        signal.sigtimedwait([signal.SIGCHLD], 5)
        dead = [pids.pop(pid) for pid in _reap() if pid in pids]
        if dead:
            # A server that cannot start must not keep the machine busy.
            time.sleep(0.2)
        for server in dead:
            with contextlib.suppress(OSError):
                pids[servers[server]()] = server


def _reap() -> list[int]:
    ended: list[int] = []
    while True:
        try:
            pid, unused = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append(pid)
