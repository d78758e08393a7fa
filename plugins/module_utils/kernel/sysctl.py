# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys below /proc/sys, as files: sysctl(8) cannot name an interface with a dot in it.

A file of a key below net/ belongs to the network namespace in which the calling thread is when it opens it.
"""

from __future__ import annotations

import errno
import os

ROOT = "/proc/sys"
NETWORK = ROOT + "/net"
# What is wrong, as a clause, and what to do.
READ_ONLY = (
    "%s is mounted read-only, as in a container without privileges" % ROOT,
    "mount it read-write, or start the container privileged",
)
_DEPTH = 5  # the slashes of /proc/sys/net/ipv6/


def read(key: str) -> str | None:
    """The value of a key such as net/ipv4/ip_forward; None when there is no such key, empty when it cannot be read."""
    try:
        with open(_path(key), encoding="utf-8") as file:
            return file.read().strip()
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        # some keys can only be written, and conf/*/stable_secret has nothing to read until it is set
        if error.errno not in (errno.EACCES, errno.EIO):
            raise
        return ""


def write(key: str, value: str) -> None:
    """Set a key; OSError if it does not exist or refuses the value."""
    _write(_path(key), value)


def _write(path: str, value: str, folder: int | None = None) -> None:
    # Not "w": nothing can be created below /proc/sys, and the error would be a misleading EACCES.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, value.encode("utf-8") + b"\n")
    finally:
        os.close(fd)


class Folders:
    """The folders of one namespace's keys, which stay open.

    When there are 1,000 namespaces, the kernel needs half a millisecond to find such a folder, as it goes through those
    of all of them.
    """

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def write(self, key: str, value: str) -> None:
        """As the function of this name, but always to be called in the same namespace."""
        *parts, name = _path(key).split("/", _DEPTH)
        folder = "/".join(parts)
        if folder not in self._open:
            self._open[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        _write(name, value, self._open[folder])

    def close(self) -> None:
        """Close all of them."""
        while self._open:
            os.close(self._open.popitem()[1])


def _path(key: str) -> str:
    if ".." in key.split("/"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return os.path.join(ROOT, key)


def sysctl_name(key: str) -> str:
    """A key in the form of sysctl(8): with dots, unless the name of an interface has one."""
    return key if "." in key else key.replace("/", ".")
