# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a lab up and takes it down, from the machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab import cgroups, identity, protocol
from lab.addressing import MAX_HOSTS, Config
from lab.errors import LabError
from lab.files import read
from lab.node import SBIN_PATH
from lab.state import State

# Not sys.executable, which may belong to a venv or lie where a host cannot see it. Hosts need this one anyway.
PYTHON = "/usr/bin/python3"
_START_CORE = (
    "import sys; sys.version_info >= (3, 9) or sys.exit(sys.executable + ' is older than Python 3.9'); "
    "sys.path.insert(0, sys.argv[1]); from lab.core import main; main(sys.argv[2:])"
)
_PROGRAMS = (
    ("ip", "iproute2"),
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
)
DEFAULT_HOSTS = 3
_KILL_TIMEOUT = 10.0


@dataclass
class Started:
    """The result of an `up`. A lab ends when its `owner` is closed; None: the lab stays."""

    nodes: list[str]
    started: list[str]
    owner: socket.socket | None


def find_program(name: str) -> str | None:
    return shutil.which(name, path=SBIN_PATH)


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("a lab needs root")


def require_machine(config: Config) -> None:
    require_root()
    release = os.uname().release
    if tuple(int(n) for n in re.findall(r"\d+", release)[:2]) < (5, 8):
        raise LabError(f"a lab needs Linux 5.8 or later, and this is {release}")
    for program, package in _PROGRAMS:
        if find_program(program) is None:
            raise LabError(f"{program} is missing: apt-get install {package}")
    if not os.access(PYTHON, os.X_OK):
        raise LabError(f"the hosts need {PYTHON}: apt-get install python3")
    if config.systemd and identity.systemd_path() is None:
        raise LabError("systemd is missing: apt-get install systemd")
    if (config.cgroups or config.systemd) and not cgroups.hierarchies():
        raise LabError("--cgroups and --systemd need a cgroup file system, mounted at /sys/fs/cgroup")


def absolute_binds(binds: Sequence[str]) -> list[str]:
    """SRC or SRC:DST, both made absolute."""
    result = []
    for spec in binds:
        source, unused, target = spec.partition(":")
        source = os.path.abspath(source)
        if not os.path.exists(source):
            raise LabError(f"--bind {spec}: {source} does not exist")
        result.append(f"{source}:{os.path.abspath(target or source)}")
    return result


def up(state: State, config: Config, hosts: int | None, tied: bool = False) -> Started:
    """Start the lab, or let it grow. `tied`: it ends when the returned `owner` is closed, for whatever reason.

    If `hosts` is None, these are the hosts that are there, or DEFAULT_HOSTS.
    """
    require_machine(config)
    if hosts is not None and not 0 <= hosts <= MAX_HOSTS:
        raise LabError(f"--hosts must be 0 to {MAX_HOSTS}")
    config.binds = absolute_binds(config.binds)
    lock = _locked(state)
    owner = None
    try:
        fresh = not state.alive()
        if fresh:
            # A crash may have left something.
            _tear_down(state)
            owner = _start(state, lock)
        config.hosts = (DEFAULT_HOSTS if fresh else 0) if hosts is None else hosts
        reply = protocol.request(state.socket, {"op": "up", "config": config.to_dict()}, timeout=120)[0]
        if owner is not None and not tied:
            protocol.request(state.socket, {"op": "keep"})
            owner.close()
            owner = None
        return Started(reply["nodes"], reply["started"], owner)
    except BaseException:
        if owner is not None:
            owner.close()
            _tear_down(state)
        raise
    finally:
        os.close(lock)


def down(state: State) -> None:
    """Take the lab down, leaving nothing behind, whatever happened before."""
    require_root()
    lock = _locked(state)
    try:
        left = _tear_down(state)
    finally:
        os.close(lock)
    if left:
        raise LabError("left behind: " + ", ".join(left))


def request(state: State, message: dict[str, Any], timeout: float = 60) -> tuple[dict[str, Any], list[int]]:
    """Ask the lab's core; if the lab is not up, the error says how to start it."""
    require_root()
    try:
        return protocol.request(state.socket, message, timeout)
    except protocol.NotUp:
        raise LabError(f"lab '{state.name}' is not up: lab up [--hosts N] [--uplink]") from None


def _locked(state: State) -> int:
    lock = state.lock()
    if lock is None:
        raise LabError(f"{state.base} is locked")
    return lock


def _start(state: State, lock: int) -> socket.socket:
    os.makedirs(state.directory, mode=0o700)
    # Ansible's ControlPath directory.
    os.mkdir(state.path("cp"), mode=0o700)
    for name, comment in (("id", "lab"), ("host_key", "lab-host")):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", state.path(name)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    ours, theirs = socket.socketpair()
    with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(state.socket)
        listener.listen(64)
        try:
            _start_core(state, listener.fileno(), theirs.fileno(), lock)
        except BaseException:
            ours.close()
            _tear_down(state)
            raise
    return ours


def _start_core(state: State, listener: int, owner: int, lock: int) -> None:
    checkout = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    fds = (listener, owner, lock)
    with open(state.log, "ab") as log:
        done = subprocess.run(
            [PYTHON, "-IS", "-c", _START_CORE, checkout, state.tag, state.name, state.base, *map(str, fds)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            start_new_session=True,
            cwd="/",
            env={"PATH": SBIN_PATH, "HOME": "/root", "LANG": "C.UTF-8"},
            check=False,
        )
    if done.returncode:
        lines = read(state.log).strip().splitlines() or ["no reason given"]
        raise LabError(f"the lab's core did not start: {lines[-1]}")


def _tear_down(state: State) -> list[str]:
    left = []
    for pid in state.cores():
        if not _kill(pid):
            left.append(f"process {pid} (it ends when whoever runs commands in its nodes reaps them)")
    return left + cgroups.remove(state.name) + state.remove_directory()


def _kill(pid: int) -> bool:
    """Kill the core and wait for its end, with which all processes of the lab end."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            return bool(select.select([fd], [], [], _KILL_TIMEOUT)[0])
        finally:
            os.close(fd)
    return True


def status(state: State) -> dict[str, Any] | None:
    """None when the lab is down."""
    require_root()
    if not state.alive():
        return None
    reply = request(state, {"op": "status"})[0]
    reply["core_pid"] = state.cores()[0]
    return reply


def status_text(about: dict[str, Any]) -> str:
    config = about["config"]
    features = [k.replace("_", " ") for k in ("uplink", "second_uplink", "cgroups", "systemd") if config[k]]
    used = about["used_kib"] // 1024
    lines = [
        f"lab '{about['name']}': core pid {about['core_pid']}, {about['directory']}, "
        f"{', '.join(features) or 'management only'}, {used} MiB used"
    ]
    for name, n in about["nodes"].items():
        addresses = [n[k] for k in ("lan4", "lan6", "second4", "second6") if n[k]]
        lines.append(
            f"  {name:<11} {n['mgmt']:<14} {' '.join(addresses) or '-':<32} up {n['uptime']:g} s  {n['netns']}"
        )
    return "\n".join(lines)


def status_json(about: dict[str, Any]) -> str:
    return json.dumps(about, indent=1)
