# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of namespaces and mounts that Python 3.9's os module lacks, and threads that visit namespaces.

The calling thread never changes its namespace: under Mitogen it runs the next task as well. A thread that did ends at
once, because it would keep the namespace alive.
"""

from __future__ import annotations

import ctypes
import os
import threading
import typing as t

CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SHARED = 0x100000
_MNT_DETACH = 2
# /proc/self/ns/net would be the main thread's.
OWN_NAMESPACE = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)
T = t.TypeVar("T")


def unshare_network() -> None:
    """Put the calling thread into a new network namespace."""
    _check(_libc.unshare(ctypes.c_int(CLONE_NEWNET)))


def enter_network(fd: int) -> None:
    """Put the calling thread into the network namespace ``fd``; OSError (EINVAL) when that is none."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(CLONE_NEWNET)))


def mount(source: str, target: str, flags: int) -> None:
    """mount(2) without a file system type or data."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None))


def unmount(target: str) -> None:
    """Take the uppermost mount away from ``target``, even while it is in use; OSError (EINVAL) when there is none."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(_MNT_DETACH)))


def in_thread(function: t.Callable[[], T]) -> T:
    """What ``function`` returns or raises, run in a thread of its own."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="dockerless.network")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def visit(fd: int, function: t.Callable[[], T]) -> T:
    """What ``function`` returns or raises in the network namespace ``fd``."""

    def run() -> T:
        enter_network(fd)
        return function()

    return in_thread(run)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
