# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would keep a run from writing somewhere, asked of the kernel without changing anything."""

from __future__ import annotations

import os
import typing as t

from .. import marks, model
from . import errors, files, state, sysctl
from .namespaces import unshare_network

# A clause, and what to do about it.
_Trouble = tuple[str, str]

_WHAT = {
    state.PUT: "The file %s cannot be written",
    state.UPDATE: "The file %s cannot be written",
    state.REMOVE: "The file %s cannot be removed",
    state.OWN: "The file or folder %s cannot be given back to root",
    state.DROP: "The folder %s cannot be removed",
    state.LINK: "Units cannot be enabled or disabled in %s",
    state.NAME: "The namespace %s cannot be made",
    state.UNNAME: "The namespace %s cannot be removed",
    state.SET: "The sysctl %s cannot be set",
    state.CLOSE: "A new namespace would forward packets, and the sysctl %s cannot be set",
}


def first_refused(writings: t.Sequence[state.Writing]) -> tuple[int, str] | None:
    """The first of these that would fail: its number, and a sentence about it."""
    look = _Look()
    known: dict[state.Writing, _Trouble | None] = {}
    for number, writing in enumerate(writings):
        if writing not in known:
            known[writing] = look.trouble(writing)
        trouble = known[writing]
        if trouble is not None:
            return number, "%s, as %s; %s." % (_WHAT[writing.how] % _called(writing), *trouble)
    return None


def _called(writing: state.Writing) -> str:
    if writing.how in (state.NAME, state.UNNAME):
        return writing.path.rpartition("/")[2]
    return sysctl.sysctl_name(writing.path) if writing.how in (state.SET, state.CLOSE) else writing.path


class _Look:
    """One look at the host, which sees each folder once."""

    def __init__(self) -> None:
        self._folders: dict[tuple[str, bool], _Trouble | None] = {}
        self._there: set[str] = set()
        self._is_locked: bool | None = None

    def trouble(self, writing: state.Writing) -> _Trouble | None:
        """What is in the way of one of them."""
        path, how = writing
        if how in (state.SET, state.CLOSE):
            return self._of_sysctls(how == state.CLOSE)
        if how == state.PUT:
            return self._of_new(path)
        if how == state.LINK:
            return self._of_folder(path)
        folder = os.path.dirname(path)
        if how == state.NAME:
            return self._of_folder(folder, for_new=True)
        if not os.path.lexists(path):
            return None
        if how == state.UNNAME:
            return self._of_folder(folder)
        if how == state.REMOVE:
            return _of_kind(path) or _of_name(path) or self._of_folder(folder)
        if how == state.DROP:
            return _of_inode(path) or self._of_folder(folder) or self._of_retired()
        if how == state.UPDATE and os.path.islink(path):
            return "it is a symbolic link", "remove that"
        return _of_inode(path) or _of_mount(path) or (_of_rights(path) if how == state.UPDATE else None)

    def _of_new(self, path: str) -> _Trouble | None:
        """What keeps a file from being made or replaced, in a folder that is made if need be."""
        folder = os.path.dirname(path)
        found = self._of_folder(folder, for_new=True)
        if found or folder not in self._there:
            return found
        if os.path.lexists(path) and not os.path.isfile(path):
            return _in_the_place_of_a_file(path), "remove that"
        for name in (path, files.unfinished(path)):
            found = _of_kind(name) or _of_name(name) if os.path.lexists(name) else None
            if found:
                return found
        return None

    def _of_folder(self, folder: str, for_new: bool = False) -> _Trouble | None:
        """What keeps names from coming and going in a folder, or in the one in which it would be made."""
        key = folder, for_new
        if key not in self._folders:
            self._folders[key] = self._find(folder, for_new)
        return self._folders[key]

    def _find(self, folder: str, for_new: bool) -> _Trouble | None:
        if os.path.isdir(folder):
            self._there.add(folder)
            found = _of_inode(folder) or _of_mount(folder) or _of_rights(folder)
            return found or (_of_room(folder) if for_new else None)
        if os.path.lexists(folder):
            leads_nowhere = os.path.islink(folder) and not os.path.exists(folder)
            what = "a symbolic link that leads nowhere" if leads_nowhere else "not a directory"
            return "%s is %s" % (folder, what), "remove that"
        parent = os.path.dirname(folder)
        return None if parent == folder else self._of_folder(parent, for_new)

    def _of_retired(self) -> _Trouble | None:
        """What keeps a folder that is to be removed from going to its place meanwhile."""
        if os.path.lexists(marks.RETIRED) and not _is_real_folder(marks.RETIRED):
            return "%s is not a directory" % marks.RETIRED, "remove that"
        return self._of_folder(os.path.dirname(marks.RETIRED))

    def _of_sysctls(self, if_new_ones_forward: bool) -> _Trouble | None:
        if self._is_locked is None:
            self._is_locked = _is_read_only(sysctl.NETWORK)
        matters = self._is_locked and (not if_new_ones_forward or self._would_forward())
        return sysctl.READ_ONLY if matters else None

    @staticmethod
    def _would_forward() -> bool:
        """Whether a new namespace forwards from the beginning. Leaves the calling thread in one."""
        try:
            unshare_network()
        except OSError:
            return False  # the step itself will tell
        return any(sysctl.read(key) not in (None, "0") for key in model.FORWARDING.values())


def _is_real_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _in_the_place_of_a_file(path: str) -> str:
    if os.path.isdir(path):
        return "%s is a directory" % path
    is_there = os.path.exists(path)
    return "%s is %s" % (path, "a FIFO, a socket or a device" if is_there else "a symbolic link that leads nowhere")


def _of_kind(path: str) -> _Trouble | None:
    return ("%s is a directory" % path, "remove that") if _is_real_folder(path) else None


def _of_name(path: str) -> _Trouble | None:
    """What keeps a file from losing its name, or from giving it to another one."""
    if files.attributes(path) & files.MOUNT_ROOT:
        return "%s is a mount point" % path, "unmount it"
    return _of_inode(path)


def _of_inode(path: str) -> _Trouble | None:
    """What keeps a file or a folder from being changed, whoever asks."""
    remedy = errors.unlocking(path)
    if remedy:
        return "%s is %s" % (path, "immutable" if files.attributes(path) & files.IMMUTABLE else "append-only"), remedy
    return None


def _of_mount(path: str) -> _Trouble | None:
    if _is_read_only(path):
        return "%s is in a file system that is mounted read-only" % path, "mount it read-write"
    return None


def _of_rights(path: str) -> _Trouble | None:
    if os.access(path, os.W_OK, effective_ids=True):
        return None
    return "this process may not write to %s" % path, errors.BECOME if os.geteuid() != 0 else "let root write there"


def _of_room(folder: str) -> _Trouble | None:
    """What keeps a file from being added, if the file system counts its blocks and inodes, as not all of them do."""
    found = _statistics(folder)
    if found is None or not ((found.f_blocks and not found.f_bfree) or (found.f_files and not found.f_ffree)):
        return None
    return "the file system of %s is full" % folder, "make some room in it"


def _is_read_only(path: str) -> bool:
    found = _statistics(path)
    return found is not None and bool(found.f_flag & os.ST_RDONLY)


def _statistics(path: str) -> os.statvfs_result | None:
    try:
        return os.statvfs(path)
    except OSError:
        return None
