# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/adding_a_kind.md is complete: with its blocks, and no more, a copy of the collection has the new kind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding_a_kind.md").read_text()
COLLECTION = Path("ansible_collections/dockerless/network")
COPIED = ("plugins", "meta", "docs", "roles", "tests/unit/plugins")
FILES = (
    "README.md",
    *(f"tests/unit/{name}.py" for name in ("conftest", "test_archives", "test_imports", "test_options")),
)
# What must hold whatever kinds there are.
REGISTRY = "tests/unit/plugins/module_utils/kinds/test_registry.py"
GUARDS = (
    "tests/unit/test_archives.py",
    "tests/unit/test_imports.py",
    "tests/unit/test_options.py",
    f"{REGISTRY}::test_each_row_has_the_name_of_its_kind_and_a_place_in_a_composition",
    f"{REGISTRY}::test_each_kind_keeps_its_objects_for_the_boot_unless_they_are_files",
)

# The module as Ansible would call it, on a host in memory. Prints the result of each call.
DOOR = """
import contextlib, io, ipaddress, json, sys
from ansible.module_utils import basic
from ansible_collections.dockerless.network.plugins.module_utils import entry
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST
from ansible_collections.dockerless.network.plugins.modules import route
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world

host = MemoryHost()
host.uplink()
host.stack(HOST).add_address("eth0", ipaddress.ip_interface("192.0.2.1/24"))
entry._in_world = lambda module, act: act(world(host, module.check_mode))
for options in json.loads(sys.argv[1]):
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        route.main()
    print(said.getvalue().strip())
"""


def steps() -> list[tuple[str, str, str]]:
    """The files that the page names in its headings, with their blocks: a whole file, or what changes in one."""
    found = []
    for section in PAGE.split("\n## ")[1:]:
        path = re.match(r"\d+\. `([^`]+)`", section)
        blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        assert path and blocks, section.partition("\n")[0]
        found += [(path[1], language, block) for language, block in blocks]
    return found


def patched(text: str, diff: str) -> str:
    """A file with one block of ``diff`` applied, which must fit in exactly one place."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] != "+")
    after = "".join(line[1:] for line in lines if line[0] != "-")
    assert before.strip()
    assert text.count(before) == 1, f"not in exactly one place:\n{before}"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path with a copy of this collection, to which exactly the page has been applied."""
    path = tmp_path_factory.mktemp("collections")
    target = path / COLLECTION
    for name in COPIED:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, target / name)
    for name, language, block in steps():
        file = target / name
        assert file.exists() == (language == "diff"), f"{name} is a new file, or is changed by a diff"
        file.write_text(patched(file.read_text(), block) if language == "diff" else block)
    return path


def run(copy: Path, *argv: str) -> str:
    """Run a Python program in the copy, and return its output; it must succeed."""
    env = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, *argv], cwd=copy / COLLECTION, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_test_passes_and_so_do_the_guards_of_the_repository(copy: Path) -> None:
    tests = [name for name, language, unused in steps() if name.startswith("tests/") and language == "python"]
    assert len(tests) == 1
    said = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *GUARDS)
    assert " passed" in said


def test_its_module_runs_through_the_door(copy: Path) -> None:
    office: dict[str, Any] = {"to": "10.99.0.0/16", "via": "192.0.2.254", "link": "eth0"}
    calls = [
        {**office, "_ansible_check_mode": True},
        office,
        office,
        {"aggregate": [office], "state": "absent"},
        {**office, "to": "somewhere"},
    ]

    check, first, second, gone, refused = map(json.loads, run(copy, "-c", DOOR, json.dumps(calls)).splitlines())

    assert (check["changed"], check["commands"]) == (True, first["commands"])
    assert first["diff"]["after"].startswith("route to 10.99.0.0/16:")
    assert (second["changed"], second["commands"]) == (False, [])
    assert (gone["changed"], gone["diff"]["after"]) == (True, "")
    assert refused["failed"] and "somewhere" in refused["msg"]
