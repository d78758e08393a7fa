# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How our files are loaded from the archive that Ansible sends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[4]
# that of an action plugin holds its documentation only
MODULES = [path for path in sorted((ROOT / "plugins" / "modules").glob("*.py")) if "def main" in path.read_text()]
LOADING = ROOT / "plugins" / "module_utils" / "loading.py"
FILES = {
    "ours/__init__.py": "",
    "ours/loading.py": LOADING.read_text(),
    "ours/byte_code.py": LOADING.with_name("byte_code.py").read_text(),
    "ours/before.py": "",
    "ours/plain.py": "WHO = __name__",
    "ours/folder/__init__.py": "from .inner import WHO",
    "ours/folder/inner.py": "WHO = __name__\ndef fail():\n    raise ValueError  # here",
}
PROGRAM = """
import builtins, json, sys, traceback
compiled, genuine = [], builtins.compile
def counted(source, path, *words, **options):
    compiled.append(str(path))
    return genuine(source, path, *words, **options)
builtins.compile = counted
sys.path.insert(0, sys.argv[1])
import ours.before
from ours.loading import compile_once
if sys.argv[2] == "once":
    compile_once()
from ours import plain
def late():
    from ours.folder import WHO, inner
    return WHO, inner
who, inner = late()
try:
    inner.fail()
except ValueError:
    trace = traceback.format_exc()
import ours
times = {path[len(sys.argv[1]) + 1:]: compiled.count(path) for path in compiled if path.startswith(sys.argv[1])}
print(json.dumps({
    "times": times, "who": [plain.WHO, who], "files": [plain.__file__, inner.__file__], "trace": trace,
    "packages": [ours.folder.__path__, ours.folder.__file__],
}))
"""


def run(folder: Path, how: str) -> dict[str, Any]:
    """The view of a program that imports its modules from an archive."""
    archive = folder / "payload.zip"
    with ZipFile(archive, "w") as file:
        for name, text in FILES.items():
            file.writestr(name, text)
    command = [sys.executable, "-c", PROGRAM, str(archive), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_file_of_an_archive_is_compiled_once(tmp_path: Path) -> None:
    found = run(tmp_path, "once")

    after = ("ours/plain.py", "ours/folder/__init__.py", "ours/folder/inner.py")
    assert {name: found["times"][name] for name in after} == dict.fromkeys(after, 1)


def test_nothing_else_is_different(tmp_path: Path) -> None:
    once, usual = run(tmp_path, "once"), run(tmp_path, "usual")

    for name in ("who", "files", "trace", "packages"):
        assert once[name] == usual[name]
    assert "raise ValueError  # here" in once["trace"]


def test_files_that_are_in_no_archive_are_left_to_python() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); before = list(sys.path_hooks)\n"
    program += "import loading; loading.compile_once(); assert sys.path_hooks == before"

    subprocess.run([sys.executable, "-c", program, str(LOADING.parent)], check=True)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_asks_for_it_before_it_imports_anything_else_of_ours(module: Path) -> None:
    lines = [line for line in module.read_text().splitlines() if line.startswith(("from ansible", "compile_once"))]

    assert lines[0].endswith(".loading import compile_once")
    assert lines[1] == "compile_once()"
