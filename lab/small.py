# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host held by a single process, without ssh and services, for tests that use the packet filter a thousand times.

It has its own network and mounts, its own /run with the lock of iptables in it, and its own layer over /etc. Threads
that visit a namespace open the sockets, so a question from one end to the other takes well under a millisecond.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import CommandError
from lab.namespace import Namespace

_OWN_FOLDERS = """
mount -t tmpfs none /run && mkdir -p /run/etc/upper /run/etc/work &&
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc && echo && exec cat
"""


class SmallHost:
    """``host`` and its named namespaces, with iptables in one variant (nft or legacy); gone with this process."""

    def __init__(self, variant: str) -> None:
        # ends with its standard input, whatever happens to this process
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", _OWN_FOLDERS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        self._root = f"/proc/{self._holder.pid}/root"
        self._path = self._choose_iptables(variant)
        self.host = Namespace(f"/proc/{self._holder.pid}/ns/net")
        self._places: dict[str, Namespace] = {"host": self.host}

    def close(self) -> None:
        """End the process that holds it all."""
        for place in self._places.values():
            os.close(place.fd)
        self._holder.communicate()

    def __getitem__(self, name: str) -> Namespace:
        if name not in self._places:
            self._places[name] = Namespace(f"{self._root}/run/netns/{name}")
        return self._places[name]

    def _choose_iptables(self, variant: str) -> str:
        """A PATH that begins with a folder in which iptables is this variant; the machine's own choice stays."""
        folder = Path(self._root, "run/bin")
        folder.mkdir()
        for family in ("iptables", "ip6tables"):
            for verb in ("", "-save", "-restore"):
                (folder / (family + verb)).symlink_to(f"/usr/sbin/xtables-{variant}-multi")
        return f"/run/bin:{os.environ['PATH']}:/usr/sbin:/sbin"

    def inside(self, *argv: str) -> list[str]:
        """The command line by which this machine runs a command on the host."""
        enter = ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", "env", f"PATH={self._path}", "LC_ALL=C"]
        return [*enter, *argv]

    def run(self, argv: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        """Run a program on the host."""
        done = subprocess.run(self.inside(*argv), input=text, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def must(self, *argv: str, text: str | None = None) -> str:
        """Run a program on the host, and return its output; raises CommandError when it fails."""
        code, out, err = self.run(argv, text)
        if code != 0:
            raise CommandError("host", argv, code, out, err, f"failed with rc {code}")
        return out
