# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The imports of the collection go down the floors of docs/design.md, and never round in a circle.

Every import counts: at the top of a file, inside a function, and for types only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
UTILS = "ansible_collections.dockerless.network.plugins."
# What runs on managed hosts, and what calls it.
FOLDERS = ("module_utils", "modules", "plugin_utils", "action", "filter", "become", "inventory")

Graph = Mapping[str, frozenset[str]]


def floors(page: str) -> list[tuple[str, list[str]]]:
    """The floors from the top down, each with the patterns of its files below plugins/."""
    section = page.partition("\n## Floors\n")[2].partition("\n## ")[0]
    rows = [row.strip("| ").split(" | ") for row in section.splitlines() if row.startswith("| ")][2:]
    return [(name, re.findall(r"`([^`]+)`", files)) for name, files, *unused in rows]


FLOORS = floors((ROOT / "docs" / "design.md").read_text())


def floor(path: str) -> int | None:
    """The number of a file's floor, counted from the lowest; None if no floor claims it, or more than one."""
    heights = [
        len(FLOORS) - number
        for number, (unused, patterns) in enumerate(FLOORS)
        if any(fnmatch(path, pattern) for pattern in patterns)
    ]
    return heights[0] if len(heights) == 1 else None


def modules(root: Path) -> dict[str, Path]:
    """The Python files of ``root`` by their path in it."""
    return {
        path.relative_to(root).as_posix(): path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))
    }


def imported(tree: ast.AST, path: str, known: Mapping[str, object]) -> Iterator[str]:
    """The files of ``known`` that a file imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = _base(node, path)
            for alias in node.names:
                yield from _files([*base, alias.name], known) if base is not None else ()
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(UTILS):
                    yield from _files(alias.name[len(UTILS) :].split("."), known)


def _base(node: ast.ImportFrom, path: str) -> list[str] | None:
    """The package or module after ``from``, as a path below plugins/; None for one of somebody else."""
    name = node.module.split(".") if node.module else []
    if node.level:
        return [*path.split("/")[: -node.level], *name]
    full = f"{node.module}."
    return full[len(UTILS) : -1].split(".") if full.startswith(UTILS) else None


def _files(parts: list[str], known: Mapping[str, object]) -> Iterator[str]:
    """The file behind ``from a.b import c``: a/b/c.py, a/b/c/__init__.py, a/b.py or a/b/__init__.py."""
    whole, parent = "/".join(parts), "/".join(parts[:-1])
    for name in (f"{whole}.py", f"{whole}/__init__.py", f"{parent}.py", f"{parent}/__init__.py"):
        if name in known:
            yield name
            return


@cache
def graph(root: Path = PLUGINS) -> Graph:
    """The imports of each file."""
    known = modules(root)
    return {
        name: frozenset(imported(ast.parse(path.read_text()), name, known)) - {name} for name, path in known.items()
    }


def circle(arrows: Graph) -> list[str] | None:
    """Files that import one another in a circle, the first one also at the end."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str] | None:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        done.add(name)
        return next(filter(None, (walk(other, [*way, name]) for other in sorted(arrows[name]))), None)

    return next(filter(None, (walk(name, []) for name in sorted(arrows))), None)


def upward(arrows: Graph) -> list[str]:
    """The imports that go up."""
    return [
        f"{name} (floor {floor(name)}) imports {other} (floor {floor(other)})"
        for name, others in arrows.items()
        for other in sorted(others)
        if (floor(name) or 0) < (floor(other) or 0)
    ]


def test_every_file_is_on_one_floor() -> None:
    homeless = [path for path in modules(PLUGINS) if floor(path) is None]
    assert not homeless, (
        f"{', '.join(homeless)}: put each of these files on exactly one floor in the table 'Floors' of docs/design.md."
        " The floor must be above everything that the file imports, and below everything that imports it."
    )


def test_every_floor_has_files() -> None:
    files = modules(PLUGINS)
    assert len(FLOORS) > 8
    for name, patterns in FLOORS:
        assert any(fnmatch(path, pattern) for path in files for pattern in patterns), name


def test_no_import_goes_up() -> None:
    assert upward(graph()) == []


def test_no_imports_go_round_in_a_circle() -> None:
    assert circle(graph()) is None


# ---- the guard itself sees what it has to see


@pytest.mark.parametrize(
    "text",
    [
        "from ..engine import run",
        "from .. import engine",
        "import typing as t\nif t.TYPE_CHECKING:\n    from ..engine import Kind",
        "def late():\n    from ..engine import run\n    return run",
        "from ansible_collections.dockerless.network.plugins.module_utils.engine import run",
        "from ansible_collections.dockerless.network.plugins.module_utils import engine",
        "import ansible_collections.dockerless.network.plugins.module_utils.engine",
    ],
)
def test_an_import_is_seen_wherever_it_stands(tmp_path: Path, text: str) -> None:
    for name in ("engine.py", "kernel/__init__.py"):
        (tmp_path / "module_utils" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "module_utils" / name).touch()
    (tmp_path / "module_utils/kernel/host.py").write_text(text)

    arrows = graph(tmp_path)

    assert arrows["module_utils/kernel/host.py"] == {"module_utils/engine.py"}
    assert len(upward(arrows)) == 1


def test_a_circle_is_named() -> None:
    arrows = {name: frozenset(others) for name, others in {"a": "b", "b": "c", "c": "db", "d": ""}.items()}

    assert circle(arrows) == ["b", "c", "b"]
    assert circle({**arrows, "c": frozenset("d")}) is None
