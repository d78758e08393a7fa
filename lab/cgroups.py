# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control groups `lab-NAME/NODE` in the machine's hierarchies: only for --cgroups and --systemd."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

from lab.files import read, write

ROOT = "/sys/fs/cgroup"
_GENERIC_OPTIONS = {"rw", "ro", "relatime", "nosuid", "nodev", "noexec"}


@dataclass(frozen=True)
class Hierarchy:
    """A cgroup mount of the machine; `v1_options` is None for version 2."""

    mount_point: str
    v1_options: str | None


def hierarchies() -> list[Hierarchy]:
    found = []
    for line in read("/proc/self/mounts").splitlines():
        unused, mount_point, fstype, options = line.split()[:4]
        if fstype == "cgroup":
            own = [o for o in options.split(",") if o not in _GENERIC_OPTIONS]
            found.append(Hierarchy(mount_point, ",".join(own)))
        elif fstype == "cgroup2":
            found.append(Hierarchy(mount_point, None))
    return found


def path_of(lab: str, node: str) -> str:
    return f"lab-{lab}/{node}"


def make(path: str) -> None:
    for h in hierarchies():
        current = h.mount_point
        for depth, part in enumerate(path.split("/")):
            parent, current = current, os.path.join(current, part)
            os.makedirs(current, exist_ok=True)
            if h.v1_options is None:
                if depth:
                    _delegate_controllers(parent)
            elif "cpuset" in h.v1_options.split(","):
                _fill_cpuset(parent, current)


def _delegate_controllers(parent: str) -> None:
    wanted = " ".join("+" + c for c in read(parent + "/cgroup.controllers").split())
    if wanted:
        with contextlib.suppress(OSError):
            write(parent + "/cgroup.subtree_control", wanted)


def _fill_cpuset(parent: str, current: str) -> None:
    # A new cpuset of version 1 is empty, and nothing can run in it.
    for name in ("/cpuset.cpus", "/cpuset.mems"):
        if not read(current + name).strip():
            write(current + name, read(parent + name))


def members_files(path: str) -> list[str]:
    """The files to which a process writes 0 to join the control group."""
    return [os.path.join(h.mount_point, path, "cgroup.procs") for h in hierarchies()]


def join(path: str) -> None:
    for name in members_files(path):
        write(name, "0")


def remove(lab: str) -> list[str]:
    """Remove the lab's control groups; returns what could not be removed."""
    tops = [os.path.join(h.mount_point, f"lab-{lab}") for h in hierarchies()]
    deadline = time.monotonic() + 2
    while True:
        left = [t for t in tops if not _remove_tree(t)]
        if not left or time.monotonic() > deadline:
            return left
        # The last tasks of a killed lab are still being reaped.
        time.sleep(0.02)


def _remove_tree(top: str) -> bool:
    for directory, *unused in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return not os.path.isdir(top)
