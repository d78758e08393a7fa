# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that one run at a time holds on a host."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import threading
import time
import typing as t

from .. import marks
from .errors import KernelError, LockTimeout
from .files import here

if t.TYPE_CHECKING:
    from .files import Door

_FOLDER = "/run/lock"


@contextlib.contextmanager
def held(timeout: float, what: str, door: Door = here) -> t.Iterator[None]:
    """Hold the lock, or raise LockTimeout with its holder after ``timeout`` seconds."""
    path = os.path.join(_FOLDER if door(lambda: os.path.isdir(_FOLDER)) else "/run", marks.LOCK_FILE)
    try:
        fd = _acquire(path, timeout, door)
    except OSError as error:
        raise KernelError("take the lock %s" % path, error) from error
    try:
        # flock(2) belongs to all processes that have the open file. If we are killed, a tool that we have called keeps
        # the lock until it is done, so that the next run does not read what is about to change.
        os.set_inheritable(fd, True)
        _sign(fd, what)
        yield
    finally:
        # The file does not stay on the host. While we hold the lock, we may remove its name.
        door(functools.partial(_remove, path, fd))
        os.close(fd)


def _sign(fd: int, what: str) -> None:
    """Note the holder in the lock's file, for messages. The lock also works without it, as on a full file system."""
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, ("%d %s\n" % (os.getpid(), what)).encode("utf-8"), 0)


def _remove(path: str, fd: int) -> None:
    """Remove the name, unless it was removed meanwhile and another run has made it again."""
    with contextlib.suppress(OSError):
        if _is_at(path, fd):
            os.unlink(path)


def _acquire(path: str, timeout: float, door: Door) -> int:
    """Open and lock the file of that name. The last holder removes the file, so it is opened again after a wait."""
    end = time.monotonic() + timeout
    while True:
        fd: int = door(functools.partial(_open, path))
        if not _locked(fd):
            _wait(fd, max(0.0, end - time.monotonic()))
        if door(functools.partial(_is_at, path, fd)):
            return fd
        os.close(fd)


def _is_at(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _wait(fd: int, timeout: float) -> None:
    """Lock the file when its holder releases it, or raise LockTimeout.

    flock(2) has no time-out, and a signal to end it would concern the whole process. So a thread waits. If we have
    given up, it closes the file once it gets the lock.
    """
    decision = threading.Lock()
    outcome: list[str] = []

    def wait() -> None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with decision:
            if outcome:
                os.close(fd)
            outcome.append("locked")

    waiting = threading.Thread(target=wait, name="dockerless.network lock", daemon=True)
    waiting.start()
    try:
        waiting.join(timeout)
    finally:
        with decision:
            locked = bool(outcome)
            outcome.append("given up")
            holder = "" if locked else _holder(fd)
    if not locked:
        raise LockTimeout("The lock of this host was not free within %.3g s: %s." % (timeout, holder))


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(fd: int) -> str:
    try:
        noted = os.pread(fd, 1000, 0)
    except OSError:
        noted = b""
    pid, _space, what = noted.decode("utf-8", "replace").strip().partition(" ")
    command = ""
    with contextlib.suppress(OSError), open("/proc/%s/cmdline" % pid, encoding="utf-8", errors="replace") as file:
        command = file.read().replace("\0", " ").strip()
    if not pid.isdigit() or not command:
        return "another run holds it, or a tool that was called by one that was killed"
    return "process %s holds it (%s)" % (pid, ", ".join(filter(None, (what, command))))


def _open(path: str) -> int:
    """Open the lock's file. Every user may write to the folder, so a file of another user is not the lock."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    for _attempt in range(2):
        try:
            fd = os.open(path, flags, 0o600)
            if os.fstat(fd).st_uid == os.geteuid():
                return fd
            os.close(fd)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EACCES) or os.geteuid() != 0:
                raise
        os.unlink(path)
    return os.open(path, flags, 0o600)
