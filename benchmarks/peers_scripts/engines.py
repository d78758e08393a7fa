# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker and podman: a network, and a container for each endpoint, by their own commands."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from benchmarks.peers_scripts.common import FIRST_PORT, SUBNET, Peer, package, run

IMAGE = "localhost/peer"
LOG = Path("/run/dockerd.log")


class Engine(Peer):
    """Containers run busybox's web server; its start counts, because a container cannot be had without a process."""

    program = ""
    remove_now: tuple[str, ...] = ("rm", "--force")

    def prepare(self, verb: str, number: int) -> None:
        """An image."""
        if subprocess.run([self.program, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
            make = "d=$(mktemp -d) && mkdir $d/bin $d/tmp && cp /bin/busybox $d/bin && tar -C $d -cf $d.tar ."
            run("sh", "-c", f"{make} && {self.program} import $d.tar {IMAGE} && rm -r $d $d.tar")

    def up(self, number: int) -> None:
        """One call each, as users make them."""
        run(self.program, "network", "create", "--subnet", str(SUBNET), "peer")
        for place in range(1, number + 1):
            self._run(place)

    def add(self, number: int) -> None:
        """One call more."""
        self._run(number)

    def remove(self, number: int) -> None:
        """A container has nothing to save, so nobody waits for it."""
        run(self.program, *self.remove_now, f"e{number}")

    def down(self, number: int) -> None:
        """All containers in one call."""
        run(self.program, *self.remove_now, *(f"e{place}" for place in range(1, number + 1)))
        run(self.program, "network", "rm", "peer")

    def _run(self, place: int) -> None:
        options = ("--name", f"e{place}", "--network", "peer", "--publish", f"{FIRST_PORT + place}:80")
        run(self.program, "run", "--detach", *options, IMAGE, "/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/tmp")


class Docker(Engine):
    """With its daemon, as it comes: with a proxy for each published port."""

    # another client may come first in PATH
    program = "/usr/bin/docker"

    def version(self) -> str:
        """That of the daemon; the client may be another."""
        self._daemon()
        runtime = run("runc", "--version").split()[2]
        return "Docker " + run(self.program, "version", "--format", "{{.Server.Version}}").strip() + f", runc {runtime}"

    def prepare(self, verb: str, number: int) -> None:
        """The daemon stays up for the whole suite."""
        self._daemon()
        super().prepare(verb, number)

    def _daemon(self) -> None:
        if _answers():
            return
        argv = ["dockerd", "--storage-driver", "overlay2"]
        with LOG.open("w") as log:
            daemon = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        while not _answers():
            if daemon.poll() is not None:
                raise SystemExit("dockerd: " + LOG.read_text()[-2000:])
            time.sleep(0.05)


def _answers() -> bool:
    return not subprocess.run([Docker.program, "version"], capture_output=True, check=False).returncode


class Podman(Engine):
    """Without a daemon; netavark makes its networks."""

    program = "podman"
    remove_now = ("rm", "--force", "--time", "0")

    def version(self) -> str:
        """Of the parts."""
        about = "{{.Host.NetworkBackend}} {{.Host.OCIRuntime.Name}}"
        network, runtime = run("podman", "info", "--format", about).split()
        return f"podman {package('podman')}, {network}, {runtime}"
