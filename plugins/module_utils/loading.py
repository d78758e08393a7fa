# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles our files as rarely as possible, since a managed host would compile all of them in each call.

Ansible sends its modules as an archive, and Python's zipimport compiles a file of an archive twice: once to find its
path (``get_filename``, for the module's spec), and once to run it. Here it is compiled once, and not at all if the host
has kept the byte code of an earlier call. This file itself is always compiled twice, so it is short.

The garbage collector runs less often as well: it would look through everything that was loaded again and again, and a
call leaves little garbage.
"""

from __future__ import annotations

import gc
import os
import sys
import typing as t
import zipimport

if t.TYPE_CHECKING:
    from types import CodeType, ModuleType

    from .byte_code import ByteCode

# The number of new objects after which the collector runs.
_OBJECTS = 150_000
CODE_FOLDER = "/run/dockerless.network/code"


class Call:
    """The files that this call has loaded from its archive."""

    def __init__(self, archive: str) -> None:
        self.archive = archive
        self.kept: ByteCode | None = None  # None if the host has no folder for it
        self.compiled: dict[str, CodeType] = {}


class _Archive(zipimport.zipimporter):
    """An archive of Python files that finds a path without compiling the file, and whose byte code may be kept."""

    call: t.ClassVar[Call | None] = None

    def get_filename(self, fullname: str) -> str:
        ending = os.sep + "__init__.py" if self.is_package(fullname) else ".py"
        return os.path.join(self.archive, self.prefix + fullname.rpartition(".")[2] + ending)

    def get_code(self, fullname: str) -> CodeType:
        call = t.cast("Call", self.call)
        code = call.kept.find(fullname, self.get_filename(fullname)) if call.kept is not None else None
        if code is None:
            code = call.compiled[fullname] = super().get_code(fullname)
        return code

    if sys.version_info < (3, 10):  # otherwise it would not call get_code

        def create_module(self, spec: object) -> ModuleType | None:
            return None

        def exec_module(self, module: ModuleType) -> None:
            exec(self.get_code(module.__name__), vars(module))


def compile_once() -> None:
    """From now on, compile as little as possible of the archive that this file is in; outside of one, do nothing."""
    own = globals().get("__loader__")
    if not isinstance(own, zipimport.zipimporter):
        return
    archive = own.archive
    call = _Archive.call = Call(archive)
    gc.set_threshold(_OBJECTS)

    def hook(path: str) -> _Archive:
        if not _is_within(path, archive):
            raise ImportError(path)
        return _Archive(path)

    sys.path_hooks.insert(0, hook)
    for path in [path for path in sys.path_importer_cache if _is_within(path, archive)]:
        del sys.path_importer_cache[path]
    if os.path.isdir(CODE_FOLDER):
        from .byte_code import ByteCode

        call.compiled.clear()  # the files that find the byte code must be compiled anyway, so they are not kept
        call.kept = ByteCode(archive, CODE_FOLDER)


def _is_within(path: str, archive: str) -> bool:
    return path == archive or path.startswith(archive + os.sep)


def this_call() -> Call | None:
    """The files that this call has loaded from its archive; None if they do not come from one."""
    return _Archive.call
