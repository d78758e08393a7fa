# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys below /proc/sys, as files: sysctl(8) cannot name an interface with a dot in it.

A file of a key below net/ belongs to the network namespace in which the calling thread is when it opens it.
"""

from __future__ import annotations

import errno
import os

_ROOT = "/proc/sys"


def read(key: str) -> str | None:
    """The value of a key such as net/ipv4/ip_forward; None when there is no such key."""
    try:
        with open(_path(key), encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def write(key: str, value: str) -> None:
    """Set a key; OSError when it is not there, or does not take the value."""
    # Not "w": there is nothing to create below /proc/sys, and the error for it would be a misleading EACCES.
    fd = os.open(_path(key), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode("utf-8") + b"\n")
    finally:
        os.close(fd)


def _path(key: str) -> str:
    if ".." in key.split("/"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return os.path.join(_ROOT, key)


def sysctl_name(key: str) -> str:
    """A key in the form that sysctl(8) takes: with dots, unless an interface's name has one of its own."""
    return key if "." in key else key.replace("/", ".")
