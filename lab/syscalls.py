# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few Linux calls that Python 3.9's `os` lacks."""

from __future__ import annotations

import contextlib
import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20

_MNT_DETACH = 2
_PR_SET_NAME = 15

_libc = ctypes.CDLL(None, use_errno=True)


def _check(call: str, result: int, *about: str | None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}({', '.join(str(a) for a in about)}): {os.strerror(number)}")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def unshare(flags: int) -> None:
    _check("unshare", _libc.unshare(ctypes.c_int(flags)), hex(flags))


def setns(fd: int, kinds: int) -> None:
    """Enter the namespaces `kinds` of `fd` (a namespace file, or a pidfd of Linux 5.8 and later)."""
    _check("setns", _libc.setns(ctypes.c_int(fd), ctypes.c_int(kinds)), hex(kinds))


def mount(source: str | None, target: str, fstype: str | None = None, flags: int = 0, data: str | None = None) -> None:
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(fstype), ctypes.c_ulong(flags), _bytes(data))
    _check("mount", result, source, target, fstype, data)


def bind(source: str, target: str) -> None:
    mount(source, target, None, MS_BIND)


def bind_read_only(source: str, target: str) -> None:
    # MS_RDONLY has an effect on a bind mount only in a second call.
    mount(source, target, None, MS_BIND | MS_REC)
    mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def unmount(target: str) -> None:
    """Detach a mount, even while it is in use."""
    _check("umount", _libc.umount2(_bytes(target), ctypes.c_int(_MNT_DETACH)), target)


def private_mounts() -> None:
    """Keep all later mounts and unmounts from other mount namespaces."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)


def pivot_root(root: str) -> None:
    """Make `root` the root of this mount namespace and drop the old one."""
    os.chdir(root)
    _check("pivot_root", _libc.pivot_root(b".", b"."), root)
    unmount(".")
    os.chdir("/")


def set_process_name(name: str) -> None:
    _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def close_fds_from(first: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) >= first:
            # The descriptor of the directory itself is in the list, and closed by now.
            with contextlib.suppress(OSError):
                os.close(int(name))
