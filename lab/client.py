# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab for Python programs, above all for pytest.

Example:

    with Lab(name=f"t{os.getpid()}") as lab:
        lab.up(hosts=2, uplink=True)
        lab.run("h1", ["ip", "netns", "add", "red"])
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Union

from lab import addressing, launcher, lifecycle
from lab.addressing import INTERNET4, INTERNET6, Config, Node
from lab.errors import CommandError, LabError
from lab.state import State

__all__ = ["INTERNET4", "INTERNET6", "CommandError", "Lab", "LabError", "Node"]

Command = Union[str, Sequence[str]]


class Lab:
    """A lab by its name and its state directory, by default those in LAB_NAME and LAB_STATE.

    As a context manager, it ends with the block, or with this process if that is killed.
    """

    def __init__(self, name: str | None = None, state_dir: str | os.PathLike[str] | None = None) -> None:
        self.state = State.find(name, state_dir)
        self._owner: socket.socket | None = None
        self._tied = False

    def __enter__(self) -> Lab:
        self._tied = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
        self._tied = False

    # ---- life and death

    def up(
        self,
        hosts: int | None = None,
        uplink: bool = False,
        cgroups: bool = False,
        systemd: bool = False,
        binds: Sequence[str] = (),
        second_uplink: bool = False,
    ) -> list[str]:
        """Start the lab or let it grow; returns the nodes that were started."""
        config = Config(uplink=uplink, second_uplink=second_uplink, cgroups=cgroups, systemd=systemd, binds=list(binds))
        done = lifecycle.up(self.state, config, hosts, tied=self._tied)
        self._owner = done.owner or self._owner
        return done.started

    def down(self) -> None:
        """Take the lab down, leaving nothing behind; does nothing if it is not up."""
        lifecycle.down(self.state)
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def reboot(self, *hosts: str) -> None:
        """Simulate a power loss; returns when sshd answers again.

        Runtime state is lost; /etc, /usr, /var, /root and /home stay.
        """
        lifecycle.request(self.state, {"op": "reboot", "nodes": list(hosts)}, timeout=120)

    # ---- what there is

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def directory(self) -> Path:
        return Path(self.state.directory)

    @property
    def inventory(self) -> Path:
        """The inventory of the fleet. It has the same path in the controller and on the machine."""
        return self.directory / "inventory.yml"

    @property
    def inventory_all(self) -> Path:
        """The inventory of the fleet, and of the nodes outside it in the group `outside`."""
        return self.directory / "inventory-all.yml"

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"

    def status(self) -> dict[str, Any] | None:
        """What `lab status --json` prints; None if the lab is down."""
        return lifecycle.status(self.state)

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes that are up, with their addresses."""
        about = lifecycle.request(self.state, {"op": "status"})[0]
        config = Config(**about["config"])
        return {name: addressing.node(name, config) for name in about["nodes"]}

    def node(self, name: str) -> Node:
        nodes = self.nodes
        if name not in nodes:
            raise LabError(f"lab '{self.name}' has no node '{name}' that is up (up: {' '.join(sorted(nodes))})")
        return nodes[name]

    # ---- commands

    def popen(
        self,
        node: str,
        command: Command,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        **options: Any,
    ) -> launcher.Process:
        """subprocess.Popen in a node; a string is for /bin/sh. The process is a child of this one, and dies with it."""
        launched = self._start(node, command, env, cwd, **options)
        launched.reap_in_background()
        return launched.process

    def _start(
        self, node: str, command: Command, env: Mapping[str, str] | None, cwd: str | None, **options: Any
    ) -> launcher.Launched:
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        options.setdefault("start_new_session", True)
        return launcher.launch(self.state, node, argv, env, cwd, **options)

    def run(
        self,
        node: str,
        command: Command,
        *,
        input: str | None = None,
        check: bool = True,
        timeout: float | None = 60,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """subprocess.run in a node, with its output as text.

        Raises CommandError at the timeout, and if `check`, for a command that fails.
        """
        launched = self._start(
            node,
            command,
            env,
            cwd,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        argv = [command] if isinstance(command, str) else list(command)
        with closing(launched.door), launched.process as process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except subprocess.TimeoutExpired as e:
                reason = f"did not end within {timeout:g} s"
                if process.poll() is not None:
                    reason = f"ended, but what it started still held its output after {timeout:g} s"
                launched.kill()
                raise CommandError(node, argv, None, _text(e.stdout), _text(e.stderr), reason) from None
            except BaseException:
                launched.kill()
                raise
        if check and process.returncode:
            raise CommandError(node, argv, process.returncode, stdout, stderr, f"failed with rc {process.returncode}")
        return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)


def _text(output: Any) -> str:
    # TimeoutExpired has bytes, whatever the encoding.
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""
