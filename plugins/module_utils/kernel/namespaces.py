# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of namespaces and mounts that Python 3.9's os module lacks, and a thread that visits namespaces.

The calling thread never changes its namespace, since under Mitogen it also runs the next task.
"""

from __future__ import annotations

import ctypes
import os
import queue
import threading
import typing as t

from .errors import KernelError

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SHARED = 0x100000
_MNT_DETACH = 2
# /proc/self/ns/net would be that of the main thread.
OWN_NAMESPACE = "/proc/thread-self/ns/net"
_HOST_MOUNTS = "/proc/1/ns/mnt"

_STAY_OUT = (
    "this module runs among mounts of its own, where the names of namespaces would be seen by nobody else; run it"
    " outside of that unit or container, or with CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE"
)

_libc = ctypes.CDLL(None, use_errno=True)
T = t.TypeVar("T")

_Answer = tuple[object, t.Optional[BaseException]]
_Task = tuple[t.Callable[[], object], "queue.SimpleQueue[_Answer]"]


def unshare_network() -> None:
    """Put the calling thread into a new network namespace."""
    _check(_libc.unshare(ctypes.c_int(CLONE_NEWNET)))


def enter_network(fd: int) -> None:
    """Put the calling thread into the network namespace ``fd``; OSError (EINVAL) when that is not one."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(CLONE_NEWNET)))


def enter_host_mounts() -> None:
    """Put the calling thread into the mount namespace of process 1, permanently."""
    fd = os.open(_HOST_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Threads share their root and working directories, and may not enter a mount namespace while they do.
        _check(_libc.unshare(ctypes.c_int(CLONE_FS)))
        _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(CLONE_NEWNS)))
    finally:
        os.close(fd)


def is_away() -> bool:
    """Whether this process has other mounts than the host, so that nobody else would see namespaces named here.

    That is so in a systemd unit with PrivateTmp= or the like, which has the host's network but its own mounts. If
    process 1 has another network than this process, the host is not what we are asked to change. A container with a
    PID namespace has its own process 1.
    """
    try:
        return _differs("mnt") and not _differs("net")
    except PermissionError as error:
        if _is_slave():
            raise KernelError("find out whether the host's files are seen here", error, _STAY_OUT) from error
        return False
    except OSError:
        return False


def _differs(kind: str) -> bool:
    return not os.path.samestat(os.stat("/proc/1/ns/%s" % kind), os.stat("/proc/thread-self/ns/%s" % kind))


def _is_slave() -> bool:
    """Whether the root file system receives mounts of another namespace, as systemd arranges for a unit."""
    with open("/proc/thread-self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        roots = [line.split() for line in mounts if line.split()[4] == "/"]
    # proc_pid_mountinfo(5): optional fields from the seventh to a dash
    return any(word.startswith("master:") for words in roots for word in words[6 : words.index("-")])


def mount(source: str, target: str, flags: int) -> None:
    """mount(2) without a file system type or data."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None))


def unmount(target: str) -> None:
    """Remove the uppermost mount of ``target``, even while it is in use; OSError (EINVAL) if there is none."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(_MNT_DETACH)))


class Visitor:
    """A thread that visits network namespaces for one run, and returns to its own after each visit.

    A thread for each visit would cost five times as much, and on a busy host it would have to wait for its turn. If the
    calling thread is ``away``, this thread is always in the mount namespace of the host.
    """

    def __init__(self, away: bool = False) -> None:
        self._away = away
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, function: t.Callable[[], T]) -> T:
        """Call ``function``, which may change the namespace, and return its result."""
        if self._thread is None:
            home = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            self._thread = threading.Thread(target=self._work, args=(home,), name="dockerless.network", daemon=True)
            self._thread.start()
        # If a signal interrupts the wait, the late answer must not be taken for the next one.
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._tasks.put((function, answers))
        result, error = answers.get()
        if error is not None:
            raise error
        return t.cast("T", result)

    def on_host(self, function: t.Callable[[], T]) -> T:
        """Call ``function`` among the files of the host, and return its result."""
        return self.run(function) if self._away else function()

    def visit(self, fd: int, function: t.Callable[[], T]) -> T:
        """Call ``function`` in the network namespace ``fd``, and return its result."""

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
        shut_out = _outcome(_come_home)[1] if self._away else None
        try:
            for function, answers in iter(self._tasks.get, None):
                result, error = _outcome(function) if shut_out is None else (None, shut_out)
                lost = _outcome(lambda: enter_network(home))[1]
                if lost is not None:
                    # The thread must not remain in a wrong namespace, so it ends.
                    self._thread = None
                    answers.put((None, error or lost))
                    return
                answers.put((result, error))
        finally:
            os.close(home)


def _come_home() -> None:
    try:
        enter_host_mounts()
    except OSError as error:
        raise KernelError("enter the mount namespace of process 1", error, _STAY_OUT) from error


def _outcome(function: t.Callable[[], object]) -> _Answer:
    try:
        return function(), None
    except BaseException as error:
        return None, error


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
