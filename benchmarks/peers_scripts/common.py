# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of a peer, and the network that all of them make."""

from __future__ import annotations

import ipaddress
import subprocess
import tempfile
from pathlib import Path

SUBNET = ipaddress.IPv4Network("10.77.0.0/20")
GATEWAY = SUBNET[1]
BRIDGE = "br-peer"
STATE = Path("/run/peers")
FIRST_PORT = 8000


class Peer:
    """A network of endpoints e1, e2, ..., each with port 80 published as 8000 and its number."""

    def version(self) -> str:
        """The step that is measured."""
        raise NotImplementedError

    def prepare(self, verb: str, number: int) -> None:
        """Does what is not part of the network; outside the clock."""

    def up(self, number: int) -> None:
        """A network of so many endpoints, where there is none."""
        raise NotImplementedError

    def add(self, number: int) -> None:
        """One endpoint more."""
        raise NotImplementedError

    def remove(self, number: int) -> None:
        """That endpoint again."""
        raise NotImplementedError

    def down(self, number: int) -> None:
        """The whole network, of so many endpoints."""
        raise NotImplementedError

    def finish(self, verb: str, number: int) -> None:
        """The rest of the work, outside the clock."""


def address(place: int) -> ipaddress.IPv4Address:
    """That of an endpoint, counted from 1."""
    return SUBNET[place + 1]


def run(*argv: str, text: str = "", env: dict[str, str] | None = None) -> str:
    """Run a program to its end; its output goes to files, which what it leaves behind may keep."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(argv, input=text, stdout=out, stderr=err, text=True, env=env, check=False)
        out.seek(0)
        err.seek(0)
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)} failed with rc {done.returncode}: {out.read()}{err.read()}")
        return out.read()


def package(name: str) -> str:
    """The version of a Debian package."""
    return run("dpkg-query", "--show", "--showformat", "${Version}", name)


def namespaces(verb: str, places: list[int]) -> None:
    """Make or delete the namespaces of endpoints."""
    run("ip", "-batch", "-", text="".join(f"netns {verb} e{place}\n" for place in places))
