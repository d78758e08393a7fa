# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own files, from wherever Python has loaded them, as an archive that Python can run."""

from __future__ import annotations

import io
import os
import typing as t
import zipfile
import zipimport
import zlib

from .own_files import Unreadable, folder

_PACKAGE = "ansible_collections/dockerless/network/plugins/module_utils"
# Only a run by Ansible uses these: they work with Ansible's own code, lists of networks, and reports.
_UNUSED = ("composition/", "path/", "converge.py", "entry.py", "gather.py", "info.py", "interpreter.py", "living.py")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Source(t.NamedTuple):
    """Finds our own files: the checksums that identify their version, and the function that reads one."""

    sums: t.Mapping[str, int]  # by their names in an archive
    read: t.Callable[[str], bytes]


def own() -> Source:
    """The source of this file and all others; raises Unreadable."""
    loader = globals().get("__loader__")
    if isinstance(loader, zipimport.zipimporter):
        archive = zipfile.ZipFile(loader.archive)
        return Source({item.filename: item.CRC for item in archive.infolist() if _is_used(item.filename)}, archive.read)
    if not os.path.isfile(os.path.join(folder(), "kernel", "archive.py")):
        raise Unreadable("the collection's own files cannot be read in this process, as under Mitogen")
    return _in_folder(folder())


def _in_folder(top: str) -> Source:
    found = {}
    for place, unused, names in os.walk(top):
        inner = os.path.relpath(place, top)
        for name in names:
            path = os.path.normpath(os.path.join(_PACKAGE, inner, name))
            if _is_used(path):
                found[path] = os.path.join(place, name)
    texts = {path: _content(found[path]) for path in sorted(found)}
    return Source({path: zlib.crc32(text) for path, text in texts.items()}, texts.__getitem__)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _is_used(path: str) -> bool:
    inner = path[len(_PACKAGE) + 1 :]
    return path.startswith(_PACKAGE + "/") and path.endswith(".py") and not inner.startswith(_UNUSED)


def sums(content: bytes) -> dict[str, int]:
    """The checksums that identify the files in an archive; empty if it is not an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {item.filename: item.CRC for item in archive.infolist()}
    except zipfile.BadZipFile:
        return {}


def pack(source: Source, main: str) -> bytes:
    """An archive that runs ``main``; the same files make the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"__main__.py": main.encode(), **_packages(source)}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def expected(source: Source, main: str) -> dict[str, int]:
    """The result of sums() for such an archive."""
    found = {"__main__.py": zlib.crc32(main.encode()), **dict.fromkeys(_above(), zlib.crc32(b""))}
    return {**found, **source.sums}


def _packages(source: Source) -> dict[str, bytes]:
    return {**dict.fromkeys(_above(), b""), **{name: source.read(name) for name in sorted(source.sums)}}


def _above() -> list[str]:
    """Our own package and its parents."""
    parts = _PACKAGE.split("/")
    return ["/".join((*parts[:depth], "__init__.py")) for depth in range(1, len(parts) + 1)]
