# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of what is made again at boot: each object by its kind and title, with the options that make it.

Pure functions. Behind its first line the file is JSON with an object on each line, which is YAML as well.
"""

from __future__ import annotations

import json
import typing as t
import zlib
from dataclasses import field

from .. import arguments, marks, model
from ..records import dataclass

VERSION = 1
_HEAD = marks.file_mark("what %s makes at boot" % marks.BOOT_UNIT)

# Objects by kind and title.
Objects = dict[tuple[str, str], arguments.Options]
# The key, among the options of an object, that says what the object waits for because it cannot be made at boot. No
# kind has an option of this name.
WAITS = "waits"


@dataclass(frozen=True)
class BootRecord:
    """The content of the file."""

    objects: Objects = field(default_factory=dict)
    backend: str = "auto"
    # The files of rules, each with the command that loads it.
    rules: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    # The other files that go with it, each with the sum of its text; a record of an older release has none.
    sums: t.Mapping[str, str] = field(default_factory=dict)
    version: int = VERSION

    @property
    def makes_anything(self) -> bool:
        """Whether there is an object that can be made at boot."""
        return any(WAITS not in options for options in self.objects.values())

    def waiting(self) -> dict[tuple[str, str], str]:
        """The objects that cannot be made at boot, and what they wait for."""
        return {key: options[WAITS] for key, options in self.objects.items() if WAITS in options}


class Unusable(Exception):
    """The file is not ours, or of another version; the text is a clause."""


def parse(text: str) -> BootRecord:
    """The record in a file; raises Unusable."""
    if not marks.is_marked(text):
        raise Unusable("its first line is not that of this collection")
    try:
        found = json.loads(text.partition("\n")[2])
        objects = {
            (kind, title): options for kind, titles in found["objects"].items() for title, options in titles.items()
        }
        record = BootRecord(objects, found["backend"], found["rules"], found.get("files", {}), found["version"])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unusable("it is damaged (%s)" % (error or type(error).__name__)) from error
    if record.version != VERSION:
        raise Unusable("it was written by another version of this collection")
    return record


def spell(record: BootRecord) -> str:
    """The text of the file."""
    kinds: dict[str, list[str]] = {}
    for (kind, title), options in sorted(record.objects.items()):
        kinds.setdefault(kind, []).append("%s: %s" % (json.dumps(title), json.dumps(options)))
    sections = ["%s: {\n%s}" % (json.dumps(kind), ",\n".join(lines)) for kind, lines in kinds.items()]
    head = {"version": record.version, "backend": record.backend, "rules": record.rules, "files": record.sums}
    lines = ["%s: %s" % (json.dumps(key), json.dumps(value)) for key, value in head.items()]
    return "%s{%s}\n" % (_HEAD, ",\n".join([*lines, '"objects": {%s}' % ",\n".join(sections)]))


def sum_of(text: str) -> str:
    """The sum by which a change of a file is noticed; not against somebody who can write to the record as well."""
    return "%08x" % zlib.crc32(text.encode())


def label_of(options: arguments.Options) -> str:
    """The label of an object."""
    return marks.label(options.get("network") or "", options.get("project") or model.DEFAULT_PROJECT)
