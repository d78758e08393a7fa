# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of namespaces and mounts that Python 3.9's os module lacks, and a thread that visits namespaces.

The calling thread never changes its namespace: under Mitogen it runs the next task as well.
"""

from __future__ import annotations

import ctypes
import os
import queue
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

_Answer = tuple[t.Any, t.Optional[BaseException]]
_Task = tuple[t.Callable[[], t.Any], "queue.SimpleQueue[_Answer]"]


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


class Visitor:
    """A thread that visits network namespaces for one run, between any two of them at home.

    A thread for each visit would do as well, and cost five times as much; on a busy host a new thread also has to wait
    for its turn.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, function: t.Callable[[], T]) -> T:
        """What ``function`` returns or raises; it may change the namespace."""
        if self._thread is None:
            home = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            self._thread = threading.Thread(target=self._work, args=(home,), name="dockerless.network", daemon=True)
            self._thread.start()
        # An answer that nobody waited for, since a signal came in between, must not be taken for the next one.
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._tasks.put((function, answers))
        result, error = answers.get()
        if error is not None:
            raise error
        value: T = result
        return value

    def visit(self, fd: int, function: t.Callable[[], T]) -> T:
        """What ``function`` returns or raises in the network namespace ``fd``."""

        def there() -> T:
            enter_network(fd)
            return function()

        return self.run(there)

    def close(self) -> None:
        """End the thread; the next visit begins another."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
            self._thread = None

    def _work(self, home: int) -> None:
        try:
            for function, answers in iter(self._tasks.get, None):
                result, error = _outcome(function)
                lost = _outcome(lambda: enter_network(home))[1]
                if lost is not None:
                    # Who may not enter namespaces cannot have left home either; but whatever it was, it ends here.
                    self._thread = None
                    answers.put((None, error or lost))
                    return
                answers.put((result, error))
        finally:
            os.close(home)


def _outcome(function: t.Callable[[], t.Any]) -> _Answer:
    try:
        return function(), None
    except BaseException as error:
        return None, error


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
