# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiling each of our files once. It matters, for a managed host compiles all of them anew at each call.

Ansible sends its modules as an archive, and Python's zipimport compiles a file of an archive twice: once to tell its
path (``get_filename``, by which a module's spec is made), and once to run it.

Likewise the collector of garbage looks through all that was loaded again and again, and a call leaves little behind.
"""

from __future__ import annotations

import gc
import os
import sys
import zipimport

# So many objects that may be part of a circle are made before the collector looks for those that nobody needs.
_OBJECTS = 50_000


class _Archive(zipimport.zipimporter):
    """An archive of Python files that tells a path without a look into the file."""

    def get_filename(self, fullname: str) -> str:
        ending = os.sep + "__init__.py" if self.is_package(fullname) else ".py"
        return os.path.join(self.archive, self.prefix + fullname.rpartition(".")[2] + ending)


def compile_once() -> None:
    """From now on, compile once what is imported from the archive that this file is in; does nothing elsewhere."""
    own = globals().get("__loader__")
    if not isinstance(own, zipimport.zipimporter):
        return
    archive = own.archive
    gc.set_threshold(_OBJECTS)

    def hook(path: str) -> _Archive:
        if not _is_within(path, archive):
            raise ImportError(path)
        return _Archive(path)

    sys.path_hooks.insert(0, hook)
    for path in [path for path in sys.path_importer_cache if _is_within(path, archive)]:
        del sys.path_importer_cache[path]


def _is_within(path: str, archive: str) -> bool:
    return path == archive or path.startswith(archive + os.sep)
