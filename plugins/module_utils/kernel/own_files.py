# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own files as texts, from the archive that Ansible has sent, or from a folder."""

from __future__ import annotations

import os
import typing as t


class Unreadable(Exception):
    """Our own files cannot be read, as in a process of Mitogen, which gets them from another host."""


def folder() -> str:
    """The folder of our own files, or a place inside an archive if they come from one."""
    return os.path.dirname(os.path.dirname(globals().get("__file__") or ""))


def read(name: str) -> str:
    """The text of a file, by its path below module_utils/; raises Unreadable."""
    loader = t.cast(t.Any, globals().get("__loader__"))
    try:
        return t.cast(bytes, loader.get_data(os.path.join(folder(), name))).decode()
    except (AttributeError, OSError) as error:
        raise Unreadable("the collection's own files cannot be read in this process") from error
