# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that write many files at once, as the endpoints of a network have files with the same text."""

from __future__ import annotations

import shlex
import typing as t

from . import marks, operations
from .kernel import state
from .kernel.errors import HostError
from .records import dataclass

if t.TYPE_CHECKING:
    from .kernel.host import Host


@dataclass(frozen=True)
class SpreadFile(operations.Operation):
    """Give several files the same text. They are written in place, as a process may have mounted them."""

    text: str
    files: tuple[tuple[str, str | None], ...]  # with the text that each had before; None: no file

    @property
    def paths(self) -> list[str]:
        return [path for path, unused in self.files]

    def joined(self, after: operations.Operation) -> SpreadFile | None:
        """Files with the same text in one step."""
        same = isinstance(after, SpreadFile) and after.text == self.text
        return SpreadFile(self.text, self.files + t.cast(SpreadFile, after).files) if same else None

    def commands(self) -> list[str]:
        folders = list(dict.fromkeys(_folder(path) for path, before in self.files if before is None))
        first = shlex.join(["mkdir", "-p", *folders]) + " && " if folders else ""
        return [operations.here_document("%stee %s > /dev/null" % (first, shlex.join(self.paths)), self.text)]

    def writes(self) -> t.Iterable[state.Writing]:
        return [state.Writing(path, state.PUT if was is None else state.UPDATE) for path, was in self.files]

    def headlines(self) -> list[str]:
        return ["write %s" % path for path in self.paths]

    def apply(self, host: Host) -> None:
        done: list[tuple[str, str | None]] = []
        try:
            for path, before in self.files:
                # if a power cut loses the text, the next run writes it again
                host.update_file(path, self.text, lasting=False)
                done.append((path, before))
        except (HostError, OSError):
            for step in SpreadFile(self.text, tuple(done)).undo():
                step.apply(host)
            raise

    def undo(self) -> list[operations.Operation]:
        new = tuple((path, self.text) for path, before in self.files if before is None)
        old = [SpreadFile(before, ((path, self.text),)) for path, before in self.files if before is not None]
        return [*old, *([RemoveFiles(new)] if new else [])]


@dataclass(frozen=True)
class RemoveFiles(operations.Operation):
    """Remove files, and then the folders that are empty."""

    files: tuple[tuple[str, str], ...]  # each with its text before

    halves = True

    def joined(self, after: operations.Operation) -> RemoveFiles | None:
        """All removals in one step."""
        return RemoveFiles(self.files + after.files) if isinstance(after, RemoveFiles) else None

    def commands(self) -> list[str]:
        paths = [path for path, unused in self.files]
        folders = list(dict.fromkeys(folder for path in paths for folder in _folders(path)))
        folders.sort(key=len, reverse=True)
        return [
            shlex.join(["rm", "-f", *paths]),
            shlex.join(["rmdir", "--ignore-fail-on-non-empty", *folders]),
        ]

    def writes(self) -> t.Iterable[state.Writing]:
        paths = [path for path, unused in self.files]
        yield from (state.Writing(path, state.REMOVE) for path in paths)
        yield from (state.Writing(folder, state.DROP) for folder in dict.fromkeys(map(_folder, paths)))

    def apply(self, host: Host) -> None:
        names: dict[str, list[str]] = {}
        for path, unused in self.files:
            names.setdefault(_folder(path), []).append(path.rpartition("/")[2])
        for folder, going in names.items():
            if not set(host.folder(folder)) <= set(going):
                for name in going:
                    host.remove_file("%s/%s" % (folder, name))
            else:
                host.retire_folder(folder)

    def undo(self) -> list[operations.Operation]:
        return [SpreadFile(text, ((path, None),)) for path, text in self.files]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _folders(path: str) -> tuple[str, str]:
    """The folder of a namespace, and its parent."""
    return _folder(path), marks.NETNS_FILES
