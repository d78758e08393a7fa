# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core: PID 1 of the lab's own PID namespace and the ancestor of all its processes. It is also the switch.

Only the core and its descendants hold the namespaces and mounts of a lab, so to kill the core takes all of it down. The
core serves one request at a time.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from lab import addressing, cgroups, inventory, network, protocol, rootfs
from lab.addressing import CONTROLLER, SECOND_UPLINK, SWITCH, UPLINK, Config
from lab.boot import Booting, end
from lab.errors import LabError
from lab.files import read, write
from lab.node import NodePlan
from lab.state import State
from lab.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    mount,
    private_mounts,
    set_process_name,
    setns,
    unmount,
    unshare,
)

Reply = tuple[dict[str, Any], list[int]]


def note(text: str) -> None:
    """Write a line to the lab's log."""
    print(text, file=sys.stderr, flush=True)


class Core:
    """Serves the lab. As long as `owner` is open, it is a connection from the process with which the lab is to end."""

    def __init__(self, state: State, listener: socket.socket, owner: socket.socket) -> None:
        self.state = state
        self.listener = listener
        self.owner: socket.socket | None = owner
        self.orphaned = False
        self.config = Config()
        self.pids: dict[str, int] = {}
        self.booted: dict[str, float] = {}
        self.storage = state.path("fs")
        self.operations: dict[str, Callable[[dict[str, Any]], Reply]] = {
            "up": self.up,
            "keep": self.keep,
            "reboot": self.reboot,
            "enter": self.enter,
            "status": self.status,
        }

    # ---- the loop

    def set_up(self) -> None:
        set_process_name("lab-core")
        socket.sethostname("lab-" + self.state.name)
        private_mounts()
        rootfs.drop_foreign_mounts(self.state.directory)
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        os.makedirs(self.storage, exist_ok=True)
        mount("lab", self.storage, "tmpfs", 0, "mode=755")
        network.switch_setup()

    def serve_for_ever(self) -> None:
        wake = _wake_on_child()
        while True:
            watched: list[Any] = [self.listener, wake]
            if self.owner is not None and not self.orphaned:
                watched.append(self.owner)
            ready = select.select(watched, [], [], 0.2 if self.orphaned else None)[0]
            if wake in ready:
                os.read(wake, 4096)
            self._reap()
            if self.listener in ready:
                connection = self.listener.accept()[0]
                with connection:
                    self._serve(connection)
            if self.owner in ready:
                self.orphaned = self.owner is not None
            if self.orphaned:
                self._leave()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(120)
        fds: list[int] = []
        try:
            message, unused = protocol.receive(connection)
            if message is None:
                return
            try:
                reply, fds = self.operations[message.pop("op")](message)
            except Exception as e:
                # An exception would end the core, and with it the lab.
                note(f"refused: {e!r}")
                reply = {"error": str(e) if isinstance(e, (LabError, OSError)) else repr(e)}
            protocol.send(connection, reply, fds)
        except (OSError, ValueError) as e:
            note(f"request failed: {e!r}")
        finally:
            for fd in fds:
                os.close(fd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for name in [n for n, p in self.pids.items() if p == pid]:
                note(f"{name}: init ended, status {status}")
                del self.pids[name]
                # This is how the parent of a PID namespace learns of a call of reboot(2) in it (reboot(2), NOTES).
                if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGHUP:
                    try:
                        self._boot([name])
                    except (LabError, OSError) as e:
                        note(f"{name} did not boot again: {e}")

    def _leave(self) -> None:
        """End the lab, since its owner is gone, and remove its files; not yet while an `up` or `down` is running."""
        if self.state.lock(wait=False) is None:
            return
        note("the owner is gone")
        end(self.pids.values())
        cgroups.remove(self.state.name)
        unmount(self.storage)
        self.state.remove_directory()
        os._exit(0)

    # ---- requests

    def up(self, message: dict[str, Any]) -> Reply:
        wanted = Config(**message["config"])
        if not self.pids:
            self.config.systemd = wanted.systemd
            self.config.cgroups = wanted.cgroups or wanted.systemd
            self.config.binds = wanted.binds
        else:
            self._check_growth(wanted)
        hosts = max(self.config.hosts, wanted.hosts)
        self._check_inotify(hosts)
        self.config.hosts = hosts
        grown = []
        if wanted.uplink and not self.config.uplink:
            self.config.uplink = True
            grown.append(UPLINK)
        if wanted.second_uplink and not self.config.second_uplink:
            self.config.second_uplink = True
            grown.append(SECOND_UPLINK)
        for lan in grown:
            self._add_lan(lan)
        names = addressing.node_names(self.config)
        inventory.write_files(self.state, self.config, names)
        self._refresh_controller()
        started = [n for n in names if n not in self.pids]
        self._boot(started)
        return {"nodes": names, "started": started}, []

    def _check_growth(self, wanted: Config) -> None:
        now = self.config
        other_binds = bool(wanted.binds) and wanted.binds != now.binds
        if (wanted.cgroups and not now.cgroups) or (wanted.systemd and not now.systemd) or other_binds:
            raise LabError("--cgroups, --systemd and --bind can only be given when the lab is first brought up")

    def _check_inotify(self, hosts: int) -> None:
        limit = int(read("/proc/sys/fs/inotify/max_user_instances", "0") or 0)
        most = (limit - 16) // 7
        if self.config.systemd and limit and hosts > most:
            raise LabError(
                f"a systemd host takes 7 inotify instances of the machine's {limit} "
                f"(fs.inotify.max_user_instances): at most {max(most, 0)} hosts"
            )

    def _add_lan(self, lan: addressing.Lan) -> None:
        """Add a LAN, and connect the nodes that are already up to it."""
        network.add_bridge(lan)
        old = {n: p for n, p in self.pids.items() if lan in addressing.lans_of(n, self.config)}
        network.plug(lan, old)
        for name in old:
            self._inside(name, lambda name=name: network.connect(name, lan))  # type: ignore[misc]

    def _refresh_controller(self) -> None:
        if CONTROLLER in self.pids:
            self._inside(CONTROLLER, self._write_controller_files)

    def _write_controller_files(self) -> None:
        write("/etc/hosts", read(self.state.path("hosts")))
        write("/etc/ssh/ssh_config", read(self.state.path("ssh_config")))

    def _inside(self, name: str, work: Callable[[], None]) -> None:
        """Do `work` in the node's network and mount namespaces, in a child."""
        pid = os.fork()
        if pid == 0:
            try:
                fd = os.pidfd_open(self.pids[name])
                setns(fd, CLONE_NEWNET | CLONE_NEWNS)
                work()
                os._exit(0)
            except BaseException as e:
                note(f"{name}: {e}")
            finally:
                os._exit(1)
        if os.waitpid(pid, 0)[1]:
            raise LabError(f"{name}: could not be changed while up; see {self.state.log}")

    def keep(self, message: dict[str, Any]) -> Reply:
        """Let the lab stay when the process that made it ends."""
        if self.owner is not None:
            self.owner.close()
            self.owner = None
        return {}, []

    def reboot(self, message: dict[str, Any]) -> Reply:
        names: list[str] = message["nodes"]
        for name in names:
            if not addressing.is_host(name) or int(name[1:]) > self.config.hosts:
                raise LabError(f"no such host: {name}")
        end([self.pids.pop(n) for n in names if n in self.pids])
        self._boot(names)
        return {"started": names}, []

    def _boot(self, names: Sequence[str]) -> None:
        if not names:
            return
        plans = [NodePlan(self.state, n, self.config, self.storage) for n in names]
        self.pids.update(Booting(plans).boot())
        self.booted.update((n, time.time()) for n in names)

    def enter(self, message: dict[str, Any]) -> Reply:
        """A pidfd of the node's init, with which the caller enters the node's namespaces."""
        name = message["node"]
        pid = os.getpid() if name == SWITCH else self.pids.get(name)
        if pid is None:
            have = " ".join([*sorted(self.pids), SWITCH])
            raise LabError(f"lab '{self.state.name}' has no node '{name}' that is up (up: {have})")
        join = []
        if self.config.cgroups and name not in (SWITCH, CONTROLLER):
            join = cgroups.members_files(cgroups.path_of(self.state.name, name))
        return {"join": join, "directory": self.state.directory}, [os.pidfd_open(pid)]

    def status(self, message: dict[str, Any]) -> Reply:
        now = time.time()
        nodes = {}
        for name, pid in self.pids.items():
            about = asdict(addressing.node(name, self.config))
            about.update(uptime=round(now - self.booted[name], 1), netns=os.readlink(f"/proc/{pid}/ns/net"))
            nodes[name] = about
        fs = os.statvfs(self.storage)
        return {
            "name": self.state.name,
            "directory": self.state.directory,
            "config": self.config.to_dict(),
            "nodes": nodes,
            "used_kib": (fs.f_blocks - fs.f_bfree) * fs.f_frsize // 1024,
        }, []


def _wake_on_child() -> int:
    """A descriptor that becomes readable when a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def main(argv: Sequence[str]) -> None:
    """Make the outer namespaces and go on as PID 1 in them; lifecycle.py starts this."""
    _tag, name, base, listener, owner, lock = argv
    core = Core(State(name, base), socket.socket(fileno=int(listener)), socket.socket(fileno=int(owner)))
    unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC)
    if os.fork():
        # If `up` has died, the lock must not be released before now, when a waiting `down` can see the core.
        os._exit(0)
    os.close(int(lock))
    try:
        core.set_up()
        core.serve_for_ever()
    except BaseException as e:
        note(f"the core failed: {re.sub(chr(10), ' ', str(e))} ({type(e).__name__})")
    finally:
        os._exit(1)
