# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiling our files as rarely as possible. It matters, for a managed host compiles all of them anew at each call.

Ansible sends its modules as an archive, and Python's zipimport compiles a file of an archive twice: once to tell its
path (``get_filename``, by which a module's spec is made), and once to run it. Here it is compiled once, and not at all
where the host has kept the byte code of an earlier call. This file itself is always compiled twice, so it is short.

Likewise the collector of garbage looks through all that was loaded again and again, and a call leaves little behind.
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

# So many objects that may be part of a circle are made before the collector looks for those that nobody needs.
_OBJECTS = 50_000
CODE_FOLDER = "/run/dockerless.network/code"


class Call:
    """What this call has loaded from its archive."""

    def __init__(self, archive: str) -> None:
        self.archive = archive
        self.kept: ByteCode | None = None  # there is none without a folder for it
        self.compiled: dict[str, CodeType] = {}


class _Archive(zipimport.zipimporter):
    """An archive of Python files that tells a path without a look into the file, and whose byte code may be kept."""

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

    if sys.version_info < (3, 10):  # where it would not ask get_code

        def create_module(self, spec: object) -> ModuleType | None:
            return None

        def exec_module(self, module: ModuleType) -> None:
            exec(self.get_code(module.__name__), vars(module))


def compile_once() -> None:
    """From now on, compile as little as can be of the archive that this file is in; does nothing elsewhere."""
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

        call.compiled.clear()  # of what has just been loaded, which would be of no use
        call.kept = ByteCode(archive, CODE_FOLDER)


def _is_within(path: str, archive: str) -> bool:
    return path == archive or path.startswith(archive + os.sep)


def this_call() -> Call | None:
    """What this call has loaded from its archive; None when its files come from none."""
    return _Archive.call
