# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only the files that docs/design.md names open files, make sockets, run programs or call the kernel themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest
from test_imports import PLUGINS, ROOT, modules

# Modules of which any call touches the machine, and those of which some do.
MODULES = (
    *("asyncio", "ctypes", "dns", "fcntl", "glob", "http", "importlib", "io", "iptc", "mmap", "multiprocessing", "os"),
    *("pathlib", "pty", "pyroute2", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "subprocess"),
    *("tempfile", "urllib", "zipfile"),
)
PURE = re.compile(
    r"os\.(fsencode|fsdecode|strerror|getpid|geteuid|urandom|WIF\w+|W[A-Z]+SIG)"
    r"|os\.path\.(join|dirname|basename|split|splitext|isabs|normpath|relpath|commonpath)"
    r"|socket\.(inet_\w+|htons|ntohs|[A-Z_0-9]+)"
    r"|ctypes\.(c_\w+|create_string_buffer|addressof|get_errno|byref)"
    r"|(signal\.Signals|importlib\.util\.source_hash|io\.(BytesIO|StringIO)|zipfile\.ZipInfo|\w+\.\w*Error)"
)
# Functions that come with no import, and methods that do it for whoever calls them.
BUILTIN = ("open", "breakpoint", "input")
METHODS = ("get_bin_path", "get_data", "run_command")


def allowed(page: str) -> list[str]:
    """The patterns of the files in the table 'Who touches the machine'."""
    section = page.partition("\n## Who touches the machine\n")[2].partition("\n## ")[0]
    rows = [row.strip("| ").split(" | ")[0] for row in section.splitlines() if row.startswith("| ")][2:]
    return [pattern for files in rows for pattern in re.findall(r"`([^`]+)`", files)]


ALLOWED = allowed((ROOT / "docs" / "design.md").read_text())


def touches(text: str) -> list[str]:
    """The calls in a file that touch the machine, each with its line."""
    tree = ast.parse(text)
    names = dict(bound(tree))
    return [
        f"{called} in line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for part in (node.func, *node.args, *(keyword.value for keyword in node.keywords))
        if (called := full_name(part, names, part is node.func)) and not PURE.fullmatch(called)
    ]


def bound(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The names in a file that stand for such a module, or for something in one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in MODULES:
                    top = alias.name.partition(".")[0]
                    yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] in MODULES:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def full_name(node: ast.expr, names: dict[str, str], is_called: bool) -> str:
    """The full name of a function that is called or passed on; empty if that touches nothing of the machine."""
    words = ast.unparse(node).split(".") if isinstance(node, (ast.Attribute, ast.Name)) else [""]
    if words[0] in names and (is_called or len(words) > 1):
        return ".".join((names[words[0]], *words[1:]))
    if is_called and isinstance(node, ast.Name) and node.id in BUILTIN:
        return node.id
    return node.attr if is_called and isinstance(node, ast.Attribute) and node.attr in METHODS else ""


FOUND = {name: touches(path.read_text()) for name, path in modules(PLUGINS).items()}


def test_only_the_files_of_the_table_touch_the_machine() -> None:
    others = {
        name: calls for name, calls in FOUND.items() if calls and not any(fnmatch(name, rule) for rule in ALLOWED)
    }
    assert others == {}, (
        "Let these files ask a room in kernel/, or give each a row in the table 'Who touches the machine' of"
        " docs/design.md that says why it cannot."
    )


@pytest.mark.parametrize("pattern", ALLOWED)
def test_each_row_is_needed(pattern: str) -> None:
    assert any(calls and fnmatch(name, pattern) for name, calls in FOUND.items())


@pytest.mark.parametrize("folder", ["firewall", "kinds", "composition"])
def test_what_decides_does_not_touch_the_machine(folder: str) -> None:
    """Whatever the table says."""
    calls = [call for name, calls in FOUND.items() if name.startswith(f"module_utils/{folder}/") for call in calls]
    assert calls == []


def reached_through(text: str) -> list[str]:
    """The places where a file asks the host of a world instead of the world."""
    return [
        f"{ast.unparse(node)} in line {node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr == "host" and ast.unparse(node.value).endswith("world")
    ]


@pytest.mark.parametrize("pattern", ["kinds/*", "composition/*", "gather.py", "info.py", "living.py", "converge.py"])
def test_what_is_asked_of_the_host_is_asked_of_the_world(pattern: str) -> None:
    """The world knows what earlier steps of the plan change; the host does not."""
    files = {name: path for name, path in modules(PLUGINS).items() if fnmatch(name, f"module_utils/{pattern}")}
    found = {name: reached_through(path.read_text()) for name, path in files.items()}
    assert files
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize("text", ["world.host.read_file('/x')", "self._world.host.stack(place)", "f = world.host.run"])
def test_a_world_that_is_only_a_door_is_seen(text: str) -> None:
    assert reached_through(text)


def test_only_the_kernel_s_rooms_import_pyroute2() -> None:
    there = {
        name
        for name, path in modules(PLUGINS).items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom)) and "pyroute2" in ast.unparse(node)
    }
    assert there and all(name.startswith("module_utils/kernel/") for name in there), there


# ---- the guard itself sees what it has to see


@pytest.mark.parametrize(
    "text",
    [
        "open('/etc/hosts')",
        "import os\nos.open('/etc/hosts', 0)",
        "import os\nos.path.exists('/etc/hosts')",
        "import os.path\nos.path.exists('/etc/hosts')",
        "from os import path\npath.exists('/etc/hosts')",
        "from os import unlink as take\ntake('/etc/hosts')",
        "import os, functools\nfunctools.partial(os.unlink, '/etc/hosts')",
        "def late():\n    import subprocess\n    subprocess.run(['ip'])",
        "import socket\nwith socket.socket() as one:\n    pass",
        "import fcntl\nfcntl.flock(3, fcntl.LOCK_EX)",
        "from pathlib import Path\nPath('/etc/hosts').read_text()",
        "__loader__.get_data('x')",
        "module.get_bin_path('ip')",
    ],
)
def test_a_call_is_seen_however_it_is_spelled(text: str) -> None:
    assert touches(text)


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.path.join('a', 'b')",
        "import socket\nsocket.inet_ntop(socket.AF_INET6, packed)",
        "import socket\ndef f(one: socket.socket) -> None:\n    g(socket.SOL_SOCKET, 1)",
        "host.open('x')",
        "import os\ntry:\n    pass\nexcept os.error:\n    pass",
    ],
)
def test_what_touches_nothing_is_let_be(text: str) -> None:
    assert touches(text) == []
