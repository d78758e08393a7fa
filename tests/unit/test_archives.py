# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The work of Ansible on the controller before it can send a module of ours to a host.

Ansible reads the module and all that the module imports, for types and inside functions too, and puts these files into
an archive. For each name that a file imports, Ansible looks on the disk for a module of that name, every time anew, and
sorts the remaining names after each; so twice as many names cost more than twice as much. For a module that is imported
itself, Ansible looks once, however many files import it. Each file is sent to each host in each task.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
UTILS = "ansible_collections.dockerless.network.plugins."

# For each module, the most files of ours in its archive, and the most names that are not modules: today's and a few.
BOUNDS = {
    "bridge": (125, 576),
    "bridge_firewall": (124, 576),
    "bridge_network": (165, 892),
    "endpoint_service": (126, 575),
    "nat_masquerade": (125, 575),
    "netns": (129, 614),
    "network_info": (152, 762),
    "path_check": (152, 799),
    "port_publish": (125, 579),
    "sysctl_forward": (124, 565),
    "veth": (127, 598),
}

ADVICE = (
    "Import a module instead of many of its names (from .. import model, then model.Network), and keep what few calls"
    " use out of what all calls import. If all of it is needed, raise the bound in tests/unit/test_archives.py, and say"
    " in the commit what building the archive costs now."
)


@cache
def imported(path: Path) -> tuple[frozenset[Path], int]:
    """The files that a file imports, and how many names it imports that are not modules."""
    files, names = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        base = _base(node, path) if isinstance(node, ast.ImportFrom) else None
        for alias in node.names if isinstance(node, ast.ImportFrom) and base is not None else ():
            module = _module(base / alias.name) if base is not None else None
            files.update(filter(None, [module or (_module(base) if base is not None else None)]))
            names.update(() if module else [(base, alias.name)])
    return frozenset(files), len(names)


def _base(node: ast.ImportFrom, path: Path) -> Path | None:
    """The module or package after ``from``; None if it is not ours."""
    if node.level:
        return path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
    ours = f"{node.module}.".startswith(UTILS)
    return PLUGINS.joinpath(*str(node.module)[len(UTILS) :].split(".")) if ours else None


def _module(base: Path) -> Path | None:
    return next(filter(Path.is_file, (base / "__init__.py", base.with_name(base.name + ".py"))), None)


def archive(name: str) -> set[Path]:
    """The files of ours that Ansible sends with a module, without the empty ``__init__.py`` of packages."""
    found: set[Path] = set()
    ahead = [PLUGINS / "modules" / f"{name}.py"]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            ahead += imported(path)[0]
    return found


def test_every_module_that_goes_to_a_host_has_its_bounds() -> None:
    sent = {path.stem for path in (PLUGINS / "modules").glob("*.py") if len(archive(path.stem)) > 1}
    assert sent == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_ansible_finds_few_files_and_looks_for_few_names(name: str) -> None:
    files = archive(name)
    names = sum(imported(path)[1] for path in files)
    assert len(files) <= BOUNDS[name][0], f"{name} needs {len(files)} files. {ADVICE}"
    assert names <= BOUNDS[name][1], f"Ansible looks for {names} names to pack {name}. {ADVICE}"


# ---- the test itself tells modules from names


def test_a_module_is_told_from_a_name(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("")
    one = tmp_path / "a.py"
    one.write_text("import typing as t\nfrom .b import X, Y\nif t.TYPE_CHECKING:\n    from . import b\n")
    assert imported(one) == ({tmp_path / "b.py"}, 2)
