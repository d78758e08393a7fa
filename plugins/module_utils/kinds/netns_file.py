# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files below /etc/netns, with the names and the DNS servers for what is started in a namespace.

This kind has no module of its own, as the content follows from a list of networks.
"""

from __future__ import annotations

import functools
import typing as t

from .. import engine, marks, model
from ..ownership import Holding
from ..world import World
from . import common

if t.TYPE_CHECKING:
    from .. import operations

_NOT_OURS = (
    "Files that this collection did not make stay as they are: %s. Names of endpoints may not be found by them; remove"
    " them to have them written."
)
_OPEN = (
    "The folder %s belongs to another user than root, or others may write to it, and so decide which names and DNS"
    " servers the processes in endpoints see; it has files of others, and stays as it is: run chown root:root %s and"
    " chmod go-w %s."
)
# Lines of a file in the diff: in a large network each file names all its endpoints.
_SHOWN = 10
_FOLDER = 0o755


class _Found(t.NamedTuple):
    """A file as a run finds it, with the label in it; None: it is not ours."""

    path: str
    text: str | None = None
    label: str | None = None


class NetnsFileKind(engine.EndpointKind[model.NamespaceFile], engine.StepKind[model.NamespaceFile]):
    """A file that stands for one in /etc. A process may have mounted it, so it is rewritten and not replaced."""

    name = "netns_file"

    def __init__(self) -> None:
        self._looked: tuple[model.NamespaceFile | None, World | None, _Found] = (None, None, _Found(""))

    def title(self, item: model.NamespaceFile) -> str:
        return "file %s" % _path(item)

    def holdings(self, item: model.NamespaceFile, state: str, world: World) -> t.Iterable[Holding]:
        found = self._look(item, world)
        return [("File %s" % found.path, found.label or "")]

    def unchanged(self, item: model.NamespaceFile, world: World) -> engine.Description:
        found = self._look(item, world)
        odd = world.is_open(marks.NETNS_FILES) or any(world.is_odd(*pair) for pair in _rights(found.path))
        if found.text != item.text or odd:
            return None
        world.put_file(found.path, item.text)
        return common.compact(**common.belongs(item.network))

    def observed(self, item: model.NamespaceFile, world: World) -> engine.Description:
        found = self._look(item, world)
        return None if found.text is None else _describe(found.label or "", found.text, item.text)

    def wanted(self, item: model.NamespaceFile, observed: engine.Description, world: World) -> engine.Description:
        return _describe(item.network, item.text, self._look(item, world).text or "")

    def returned(self, found: engine.Description) -> engine.Description:
        return None if found is None else {name: value for name, value in found.items() if name != "text"}

    def plan(self, item: model.NamespaceFile, state: str, world: World) -> list[operations.Operation]:
        path, there, label = self._look(item, world)
        # a power cut may leave an empty file
        if state == "present" and there and label is None:
            world.remark(_NOT_OURS, path)
            return []
        wanted = item.text if state == "present" else None
        same = world.put_file(path, wanted) == wanted and item.netns != marks.RETIRED
        steps = _rights_steps(path, world) if wanted is not None else []
        if same:
            return steps
        from ..file_operations import RemoveFiles, SpreadFile

        if wanted is None:
            return [RemoveFiles(((path, there or ""),))]
        return [*steps, SpreadFile(wanted, ((path, there),))]

    def _look(self, item: model.NamespaceFile, world: World) -> _Found:
        """The engine asks several times about one file before it comes to the next, of which there may be thousands."""
        if self._looked[0] is not item or self._looked[1] is not world:
            path = _path(item)
            text = world.look_file(path)
            self._looked = item, world, _Found(path, text, marks.label_of_file(text or ""))
        return self._looked[2]


def _rights(path: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """The modes of a file and its folder."""
    return (path.rpartition("/")[0], _FOLDER), (path, 0o644)


def _rights_steps(path: str, world: World) -> list[operations.Operation]:
    """Give a file and its folder back to root. A process may have mounted the file, so it is not written anew."""
    odd = [pair for pair in _rights(path) if world.mend(*pair)]
    if world.is_open(marks.NETNS_FILES):
        if _has_files_of_others(world):
            world.warn(_OPEN % ((marks.NETNS_FILES,) * 3))
        elif world.mend(marks.NETNS_FILES, _FOLDER):
            from ..operations import SetRights

            # the removal of other files may take this folder away
            world.beforehand.append(SetRights((marks.NETNS_FILES,), _FOLDER))
    if not odd:
        return []
    from ..operations import SetRights

    return [SetRights((name,), mode) for name, mode in odd]


def _has_files_of_others(world: World) -> bool:
    """Whether anything in the folder that we share with others is theirs, so that they may want it as it is."""
    for netns in world.folder(marks.NETNS_FILES):
        folder = "%s/%s" % (marks.NETNS_FILES, netns)
        texts = [world.look_file("%s/%s" % (folder, name)) for name in world.folder(folder)]
        # a power cut may leave an empty file of ours
        if not texts or any(text and marks.label_of_file(text) is None for text in texts):
            return True
    return False


def _path(item: model.NamespaceFile) -> str:
    folder = marks.RETIRED if item.netns == marks.RETIRED else "%s/%s" % (marks.NETNS_FILES, item.netns)
    return "%s/%s" % (folder, item.name)


def _describe(label: str, text: str, other: str) -> dict[str, object]:
    """The owner of a file, and its lines that the other text does not have."""
    if text == other:
        return common.compact(**common.belongs(label))
    return common.compact(**common.belongs(label), text=_lines_of(text, other))


@functools.lru_cache(maxsize=16)  # the endpoints of a network have files with the same text
def _lines_of(text: str, other: str) -> str | None:
    from ..text import folded

    known = frozenset(other.splitlines())
    lines = [line for line in text.splitlines() if line and line not in known]
    shown = ["\n    ".join(folded(line)) for line in model.first_few(lines, _SHOWN)]
    return "".join(line + "\n" for line in shown) or None
