# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The byte code that a host keeps, so that a call need not compile what an earlier call has compiled.

Byte code runs as root. So it is only read from a place where nobody but root can have put it, and a module is found in
it by a digest of its source in the archive: code of a changed file is not found. If anything is not as it should be,
the module is compiled instead. kernel/code_folder.py writes the byte code.
"""

from __future__ import annotations

import _imp
import hashlib
import marshal
import os
import stat
import sys
import typing as t
import zipimport
import zlib
from importlib.util import MAGIC_NUMBER

if t.TYPE_CHECKING:
    from types import CodeType

_ROOT = 0
# Each Python has a file of its own, which begins with the number that changes whenever the meaning of byte code does.
FILE = "%s.code" % sys.implementation.cache_tag
_HEAD = b"dockerless.network byte code 1\n" + MAGIC_NUMBER + bytes([sys.flags.optimize])
LARGEST = 8 * 1024 * 1024
_IN_A_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC

# By the name of a module: the digest of its source, and its byte code.
Entries = dict[str, tuple[bytes, bytes]]


class Sources:
    """The files of an archive, in their compressed form, which is a quarter of their size."""

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._bytes = b""
        # Where each file is. If a later Python does not say, no file has a digest, and all files are compiled.
        self._places: dict[str, t.Any] = getattr(zipimport, "_zip_directory_cache", {}).get(archive, {})

    def digest(self, path: str) -> bytes:
        """The digest of the source at ``path``; empty if it cannot be found."""
        try:
            unused, method, size, full_size, start = self._places[path][:5]
            packed = self._read(start, size)
        except (KeyError, TypeError, ValueError, OSError):
            return b""
        return hashlib.sha256(b"%d %d\n%s" % (method, full_size, packed)).digest() if len(packed) == size > 0 else b""

    def _read(self, start: int, size: int) -> bytes:
        if not self._bytes:
            with open(self._archive, "rb") as file:
                self._bytes = file.read()
        # A header ends with two numbers of 16 bits: the lengths of two fields that follow it, before the file itself.
        header = self._bytes[start : start + 30]
        begin = start + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        return self._bytes[begin : begin + size]


class ByteCode:
    """The byte code that the host has kept for an archive."""

    def __init__(self, archive: str, folder: str) -> None:
        self._before = len(archive) + 1
        self._sources = Sources(archive)
        self._entries = _from_host(folder)

    def find(self, name: str, path: str) -> CodeType | None:
        """The code of the module at ``path``; None if none was kept for its source."""
        try:
            source, text = self._entries[name]
            if not source or source != self._sources.digest(path[self._before :]):
                return None
            code = t.cast("CodeType", marshal.loads(text))
        except (KeyError, TypeError, ValueError, EOFError):
            return None
        # Tracebacks name the archive of this call, as they do when Python finds the byte code of a file that was moved.
        put_path = getattr(_imp, "_fix_co_filename", None)
        if put_path is not None:
            put_path(code, path)
        return code


def _from_host(path: str) -> Entries:
    try:
        folder = open_folder(path)
    except OSError:
        return {}
    try:
        return read(folder)
    finally:
        os.close(folder)


def open_folder(path: str) -> int:
    """A descriptor of the folder; OSError if there is none, or if a user other than root may have written to it."""
    top, parent, last = path.rsplit("/", 2)
    folder = os.open(top, _IN_A_FOLDER | os.O_DIRECTORY)
    for name, forbidden in ((".", 0o022), (parent, 0o022), (last, 0o077)):
        above = folder
        try:
            folder = os.open(name, _IN_A_FOLDER | os.O_DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
        try:
            _require(folder, forbidden)
        except OSError:
            os.close(folder)
            raise
    return folder


def _require(fd: int, forbidden: int) -> os.stat_result:
    """Raise PermissionError unless we are root, and so is the owner, and others have none of these rights."""
    about = os.fstat(fd)
    if os.geteuid() != _ROOT or about.st_uid != _ROOT or about.st_mode & forbidden:
        raise PermissionError
    return about


def read(folder: int) -> Entries:
    """The byte code in a folder for this Python; empty if it cannot be used."""
    try:
        # O_NONBLOCK: a pipe of that name must not make us wait.
        fd = os.open(FILE, _IN_A_FOLDER | os.O_NONBLOCK, dir_fd=folder)
        with open(fd, "rb") as file:
            about = _require(fd, 0o077)
            usable = stat.S_ISREG(about.st_mode) and about.st_size <= LARGEST
            data = file.read() if usable else b""
        head, content = data[: len(_HEAD) + 4], data[len(_HEAD) + 4 :]
        found = marshal.loads(content) if head == begin(content) else {}
    except (OSError, TypeError, ValueError, EOFError):
        return {}
    return found if isinstance(found, dict) else {}


def begin(content: bytes) -> bytes:
    """The head of such a file: the Python that it is for, and a digest that shows damage."""
    return _HEAD + zlib.crc32(content).to_bytes(4, "little")
