# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The byte code that a host keeps: found by who runs the same source again, and never believed on anybody's word."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import byte_code
from ansible_collections.dockerless.network.plugins.module_utils.marks import CODE_FOLDER

UTILS = Path(__file__).resolve().parents[4] / "plugins" / "module_utils"
PROGRAM = """
import builtins, json, os, sys
compiled, genuine = [], builtins.compile
def counted(source, path, *words, **options):
    compiled.append(str(path).rpartition("/")[2])
    return genuine(source, path, *words, **options)
builtins.compile = counted
sys.path.insert(0, sys.argv[1])
from ours.loading import compile_once, this_call
exec(sys.argv[2])
compile_once()
from ours import plain, folder
from ours.kernel import code_folder
print(json.dumps({
    "compiled": [name for name in ("plain.py", "inner.py") if name in compiled],
    "said": [plain.SAID, folder.SAID], "path": plain.said.__code__.co_filename,
}))
code_folder.keep(this_call())
exec(sys.argv[3])
"""
BOTH = ["plain.py", "inner.py"]


@dataclass
class Host:
    """A folder that stands for /run, and calls with an archive as Ansible sends it."""

    top: Path
    sources: dict[str, str] = field(default_factory=dict)
    method: int = ZIP_DEFLATED
    python: str = sys.executable
    flags: tuple[str, ...] = ()
    calls: int = 0

    def __post_init__(self) -> None:
        loading, own = ((UTILS / name).read_text() for name in ("loading.py", "byte_code.py"))
        assert CODE_FOLDER in loading and "_ROOT = 0" in own
        self.sources = {
            "__init__.py": "",
            "loading.py": loading.replace(CODE_FOLDER, str(self.folder)),
            "byte_code.py": own.replace("_ROOT = 0", f"_ROOT = {os.getuid()}"),
            "kernel/__init__.py": "",
            "kernel/code_folder.py": (UTILS / "kernel" / "code_folder.py").read_text(),
            "plain.py": "SAID = 'one'\ndef said():\n    return SAID\n",
            "folder/__init__.py": "from .inner import SAID",
            "folder/inner.py": "SAID = 'inside'",
        }

    @property
    def folder(self) -> Path:
        return self.top / "dockerless.network" / "code"

    @property
    def file(self) -> Path:
        return self.folder / byte_code.FILE

    def call(self, before: str = "", after: str = "") -> dict[str, Any]:
        """The result of one call, with an archive in a place of its own."""
        self.calls += 1
        archive = self.top / f"payload{self.calls}.zip"
        with ZipFile(archive, "w", self.method) as file:
            for name, text in self.sources.items():
                file.writestr(f"ours/{name}", text)
        command = [self.python, *self.flags, "-c", PROGRAM, str(archive), before, after]
        unset = ("PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        assert found.pop("path") == f"{archive}/ours/plain.py"
        return found


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    tmp_path.chmod(0o755)
    yield Host(tmp_path)


def rewritten(host: Host, change: Callable[[bytes], bytes]) -> None:
    host.file.write_bytes(change(host.file.read_bytes()))


def forged(said: str) -> Callable[[bytes], bytes]:
    """The same file with other code for plain.py, as somebody would make it who knows the format."""

    def change(data: bytes) -> bytes:
        size = len(byte_code.begin(b""))
        entries = marshal.loads(data[size:])
        code = compile(f"SAID = {said!r}\ndef said(): pass", "plain.py", "exec")
        entries["ours.plain"] = (entries["ours.plain"][0], marshal.dumps(code))
        content = marshal.dumps(entries)
        return byte_code.begin(content) + content

    return change


@pytest.mark.parametrize("method", [ZIP_DEFLATED, ZIP_STORED])
def test_a_second_call_compiles_nothing(host: Host, method: int) -> None:
    host.method = method

    assert host.call() == {"compiled": BOTH, "said": ["one", "inside"]}
    assert host.call() == {"compiled": [], "said": ["one", "inside"]}
    assert (host.folder.stat().st_mode & 0o777, host.file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_it_is_what_runs(host: Host) -> None:
    host.call()
    rewritten(host, forged("other"))

    assert host.call()["said"][0] == "other"


def test_a_source_that_has_changed_is_compiled(host: Host) -> None:
    host.call()
    host.sources["plain.py"] = host.sources["plain.py"].replace("one", "two")

    assert host.call() == {"compiled": ["plain.py"], "said": ["two", "inside"]}
    assert host.call() == {"compiled": [], "said": ["two", "inside"]}


def test_the_modules_of_other_archives_stay(host: Host) -> None:
    host.sources["other.py"] = "TEXT = ''"
    host.call(after="from ours import other; code_folder.keep(this_call())")
    del host.sources["other.py"]
    host.sources["plain.py"] += "#"
    host.call()

    assert b"ours.other" in host.file.read_bytes()


def test_they_go_when_it_becomes_too_much(host: Host) -> None:
    host.sources["other.py"] = f"TEXT = {'x' * 10_000!r}"
    host.call(after="from ours import other; code_folder.keep(this_call())")
    assert b"ours.other" in host.file.read_bytes()
    del host.sources["other.py"]
    host.sources["byte_code.py"] = host.sources["byte_code.py"].replace("8 * 1024 * 1024", "24_000")
    host.sources["plain.py"] += "#"
    host.call()

    assert b"ours.other" not in host.file.read_bytes()
    assert host.call()["compiled"] == []


# ---- what is not believed


def _not_of_this_python(host: Host) -> None:
    number = byte_code.MAGIC_NUMBER
    rewritten(host, lambda data: data.replace(number, bytes([number[0] ^ 1]) + number[1:], 1))


def _truncated(host: Host) -> None:
    rewritten(host, lambda data: data[:-1])


def _only_a_head(host: Host) -> None:
    rewritten(host, lambda data: data[:10])


def _damaged(host: Host) -> None:
    rewritten(host, lambda data: data.replace(b"other", b"odder"))


def _no_table(host: Host) -> None:
    rewritten(host, lambda data: byte_code.begin(marshal.dumps(7)) + marshal.dumps(7))


def _for_other_sources(host: Host) -> None:
    host.sources["plain.py"] += "#"


def _others_may_read_it(host: Host) -> None:
    host.file.chmod(0o644)


def _others_may_write_it(host: Host) -> None:
    host.file.chmod(0o620)


def _others_may_look_into_the_folder(host: Host) -> None:
    host.folder.chmod(0o750)


def _others_may_put_something_into_the_folder_above(host: Host) -> None:
    host.folder.parent.chmod(0o777)


def _others_may_put_something_into_the_top(host: Host) -> None:
    host.top.chmod(0o1777)


def _the_file_is_a_link(host: Host) -> None:
    host.file.rename(host.top / "elsewhere")
    host.file.symlink_to(host.top / "elsewhere")


def _the_folder_is_a_link(host: Host) -> None:
    host.folder.rename(host.top / "elsewhere")
    host.folder.symlink_to(host.top / "elsewhere")


def _the_folder_above_is_a_link(host: Host) -> None:
    host.folder.parent.rename(host.top / "elsewhere")
    host.folder.parent.symlink_to(host.top / "elsewhere")


def _the_file_is_a_pipe(host: Host) -> None:
    host.file.unlink()
    os.mkfifo(host.file, 0o600)


def _the_file_is_somebody_elses(host: Host) -> None:
    _owned_by_another(host, "about.st_mode & 0o170000 == 0o100000")


def _the_folder_is_somebody_elses(host: Host) -> None:
    _owned_by_another(host, "about.st_mode & 0o7777 == 0o700")


def _the_folder_above_is_somebody_elses(host: Host) -> None:
    _owned_by_another(host, "about.st_mode & 0o170000 == 0o040000 and about.st_mode & 0o7777 == 0o755")


def _owned_by_another(host: Host, which: str) -> None:
    """Only root can give a file away; so the tests say it is."""
    text = host.sources["byte_code.py"]
    owned = f"(about.st_uid != _ROOT or {which})"
    host.sources["byte_code.py"] = text.replace("about.st_uid != _ROOT", owned)
    assert host.sources["byte_code.py"] != text


def _we_are_not_root(host: Host) -> None:
    host.sources["byte_code.py"] = host.sources["byte_code.py"].replace("os.geteuid()", "(os.geteuid() + 1)")


def _python_drops_assertions(host: Host) -> None:
    host.flags = ("-O",)


def _python_no_longer_tells_where_a_file_is(host: Host) -> None:
    text = host.sources["byte_code.py"]
    host.sources["byte_code.py"] = text.replace('"_zip_directory_cache"', '"_gone"')


ODD = [
    _not_of_this_python,
    _truncated,
    _only_a_head,
    _damaged,
    _no_table,
    _for_other_sources,
    _others_may_read_it,
    _others_may_write_it,
    _others_may_look_into_the_folder,
    _others_may_put_something_into_the_folder_above,
    _others_may_put_something_into_the_top,
    _the_file_is_a_link,
    _the_folder_is_a_link,
    _the_folder_above_is_a_link,
    _the_file_is_a_pipe,
    _the_file_is_somebody_elses,
    _the_folder_is_somebody_elses,
    _the_folder_above_is_somebody_elses,
    _we_are_not_root,
    _python_drops_assertions,
    _python_no_longer_tells_where_a_file_is,
]


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__.strip("_"))
def test_what_is_not_as_it_should_be_is_not_run(host: Host, make: Callable[[Host], None]) -> None:
    host.call()
    rewritten(host, forged("other"))
    make(host)

    found = host.call()

    assert found["said"][0] == "one"
    assert "plain.py" in found["compiled"]


# ---- writing


def test_a_folder_that_others_may_write_to_is_left_alone(host: Host) -> None:
    host.call()
    host.file.unlink()
    host.folder.chmod(0o770)

    host.call(after="code_folder.forget()")

    assert list(host.folder.iterdir()) == []


def test_where_it_cannot_be_written_all_works_as_before(host: Host) -> None:
    host.top.joinpath("dockerless.network").write_text("somebody's")

    assert host.call()["said"] == ["one", "inside"]
    assert host.call()["compiled"] == BOTH


def test_who_wants_no_byte_code_gets_none(host: Host) -> None:
    host.flags = ("-B",)

    host.call()

    assert not host.folder.exists()


def test_what_a_killed_run_left_goes(host: Host) -> None:
    host.call()
    left = host.folder / f"{byte_code.FILE}.tmp"
    left.write_text("half")
    host.sources["plain.py"] += "#"

    host.call()

    assert [path.name for path in host.folder.iterdir()] == [byte_code.FILE]
    assert host.call()["compiled"] == []


def test_nothing_is_left_when_it_is_forgotten(host: Host) -> None:
    host.call()
    (host.folder / "cpython-30.code").touch()

    host.call(after="code_folder.forget(); code_folder.forget()")

    assert not host.folder.parent.exists()


def test_notes_about_namespaces_stay(host: Host) -> None:
    host.call()
    (host.folder.parent / "netns").mkdir()

    host.call(after="code_folder.forget()")

    assert [path.name for path in host.folder.parent.iterdir()] == ["netns"]
