# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the byte code of a call on the host for the next one, and removes it with the last object of ours.

It only saves time: if it cannot be written, the run continues, and deleting it is harmless.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import sys

from ..byte_code import FILE, LARGEST, Entries, Sources, begin, open_folder, read
from ..loading import CODE_FOLDER, Call

_TEMPORARY = FILE + ".tmp"


def keep(call: Call) -> None:
    """Write what this call had to compile, with the older byte code that is still valid."""
    if sys.dont_write_bytecode or sys.implementation.cache_tag is None:
        return
    with contextlib.suppress(OSError, ValueError):
        _make_folder()
        folder = open_folder(CODE_FOLDER)
        try:
            _write(folder, _chosen(call, read(folder)))
        finally:
            os.close(folder)


def _make_folder() -> None:
    """Make the folder. Others may read its parent, which has notes of ours, but not this one."""
    above, name = os.path.split(CODE_FOLDER)
    os.makedirs(above, mode=0o755, exist_ok=True)
    folder = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode=0o700, dir_fd=folder)
    finally:
        os.close(folder)


def _chosen(call: Call, there: Entries) -> Entries:
    """The byte code to keep. All modules of the collection share the file; outdated versions are left out."""
    sources = Sources(call.archive)
    digests = {name: _digest(sources, name) for name in [*there, *call.compiled]}
    found = {name: entry for name, entry in there.items() if digests[name] in (b"", entry[0])}
    found.update({name: (digests[name], marshal.dumps(code)) for name, code in call.compiled.items() if digests[name]})
    if sum(len(text) for unused, text in found.values()) <= LARGEST // 2:
        return found
    # If the file gets too large, byte code that is not in this archive is left out.
    return {name: entry for name, entry in found.items() if digests[name]}


def _digest(sources: Sources, name: str) -> bytes:
    """The digest of a module's source in an archive; empty if there is none."""
    path = name.replace(".", os.sep)
    return sources.digest(path + ".py") or sources.digest(os.path.join(path, "__init__.py"))


def _write(folder: int, entries: Entries) -> None:
    """Replace the file in one step. A temporary file of a killed run is removed first."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_TEMPORARY, dir_fd=folder)
    content = marshal.dumps(entries)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(_TEMPORARY, flags, 0o600, dir_fd=folder), "wb") as file:
            file.write(begin(content) + content)
        os.rename(_TEMPORARY, FILE, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_TEMPORARY, dir_fd=folder)
        raise


def forget() -> None:
    """Remove all of it from the host. A folder that is not as we make it stays."""
    with contextlib.suppress(OSError):
        folder = open_folder(CODE_FOLDER)
        try:
            for name in os.listdir(folder):
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(CODE_FOLDER)
        os.rmdir(os.path.dirname(CODE_FOLDER))
