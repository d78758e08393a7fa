# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that keep our program on a host, and other network managers away from our links."""

from __future__ import annotations

import typing as t

from . import operations
from .kernel import state
from .records import dataclass

if t.TYPE_CHECKING:
    from .kernel.host import Host


@dataclass(frozen=True)
class WriteProgram(operations.Operation):
    """Write an archive of Python files, or remove it."""

    path: str
    content: bytes | None
    before: bytes | None

    def commands(self) -> list[str]:
        folder = self.path.rpartition("/")[0]
        if self.content is None:
            return ["rm -f %s" % self.path, "rmdir --ignore-fail-on-non-empty %s" % folder]
        return ["# the collection's own files, %d KiB, to %s" % (len(self.content) // 1024, self.path)]

    def writes(self) -> t.Iterable[state.Writing]:
        return (state.Writing(self.path, state.REMOVE if self.content is None else state.PUT),)

    def headlines(self) -> list[str]:
        return ["%s %s" % ("remove" if self.content is None else "write", self.path)]

    def apply(self, host: Host) -> None:
        if self.content is None:
            host.remove_file(self.path)
            host.remove_folder(self.path.rpartition("/")[0])
        else:
            host.write_file(self.path, self.content)

    def undo(self) -> list[operations.Operation]:
        return [WriteProgram(self.path, self.before, self.content)]


class WriteFirst(operations.WriteFile):
    """Write a file that must exist before the links that it is about."""

    clears_the_way = True


class RemoveLast(operations.RemoveFile):
    """A file by which the next run knows of all that this one takes away, should it be killed before the end."""

    settles = 4


class TellFirst(operations.RunTool):
    """Let a program read its files before the links are made that they are about."""

    clears_the_way = True
