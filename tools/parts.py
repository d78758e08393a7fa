# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of `make test`: the command of each, and its environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tools.project import CACHE, SYSTEM_PYTHON, TREE, VENVS

NEWEST = "newest"
OLDEST = "oldest"
BACKENDS = ("nftables", "iptables", "iptables-legacy", "legacy")
SCENARIOS = ("default", "fleet")
# The sanity tests that take longest by far only depend on our code, and not on ansible-core.
_ONCE_IS_ENOUGH = ("--skip-test", "pylint", "--skip-test", "import")
# This back-end writes the rules of `legacy` by the means of `iptables`. Both of these run all tests, so a few suffice.
_MARKED = {"iptables-legacy": "pyroute2 and not once"}
_UTILS = "plugins/module_utils"
_OF_PURE_CODE = (
    *(f"{_UTILS}/{room}" for room in ("composition", "firewall", "kernel", "kinds", "name_server", "path")),
    *(f"{_UTILS}/test_{word}.py" for word in ("boot", "converge", "engine", "info", "living", "ownership", "world")),
    # of the repository
    *("tools", "test_adding_a_kind.py", "test_cases_table.py", "test_imports.py", f"{_UTILS}/test_marks.py"),
)
_BESIDE_ANSIBLE = ("tests/unit", *(f"--ignore=tests/unit/{place}" for place in _OF_PURE_CODE))
# The tests that run once take longest, so they are several parts; the part `once` has the files that are not here.
_OF_ONCE = {
    # whole networks in bare namespaces: in different parts, runs would find the processes of one another's namespaces
    "once-engine": ("counters", "faults", "identity", "path_check", "proof", "protections"),
    # playbooks
    "once-plays": ("backends", "cases_hosts", "check_mode", "inside", "projects", "role_changes", "role_life"),
}
BEHAVIOUR = "tests/behaviour"
EE_EXAMPLE = "docs/execution-environment/execution-environment.yml"


@dataclass(frozen=True)
class Part:
    """A command whose exit code says whether the part passed; `tests` if it is pytest, which counts its tests."""

    name: str
    command: tuple[str, ...]
    venv: str = NEWEST
    environment: Mapping[str, str] = field(default_factory=dict)
    tests: bool = False
    lab: bool = False


def all_parts() -> list[Part]:
    """All parts; those that take longest come first, so that all workers end at about the same time."""
    return [
        *(_behaviour(name, "once", files=[_test_file(word) for word in words]) for name, words in _OF_ONCE.items()),
        _tool("sanity-newest", sys.executable, "-m", "tools.sanity", NEWEST),
        _behaviour("once", "once", files=[BEHAVIOUR, *(f"--ignore={_test_file(word)}" for word in _named())]),
        # All other tests on every back-end, with Debian's own pyroute2.
        *(_behaviour(backend, _MARKED.get(backend, "not once"), backend) for backend in reversed(BACKENDS)),
        # The tests that depend on a version of pyroute2 or ansible-core, with other versions.
        _behaviour("newest-pyroute2", "pyroute2", target="target-newest"),
        _behaviour("oldest-ansible", "ansible", venv=OLDEST),
        *(_molecule(scenario) for scenario in reversed(SCENARIOS)),
        # Only what runs on managed hosts has to run on the oldest Python.
        _unit("target-oldest-python", "tests/unit/plugins/module_utils"),
        _unit("newest"),
        # Pure code does the same with any ansible-core; code that uses Ansible may not.
        _unit("oldest", *_BESIDE_ANSIBLE),
        _tool("sanity-oldest", sys.executable, "-m", "tools.sanity", OLDEST, *_ONCE_IS_ENOUGH),
        _tool("lint-ansible", "ansible-lint", "--offline", "--profile", "production"),
        _tool(
            "lint-docs",
            "antsibull-docs",
            "lint-collection-docs",
            ".",
            "--plugin-docs",
            "--validate-collection-refs=all",
        ),
        _tool("lint-mypy", "mypy"),
        # What an image for AWX gets from the collection, and the example of such an image.
        _tool("lint-ee-metadata", "ansible-builder", "introspect", str(TREE)),
        _tool("lint-ee-example", "ansible-builder", "create", "--file", EE_EXAMPLE, "--context", str(CACHE / "ee")),
        _tool("lint-ruff", "ruff", "check", "--output-format=concise"),
        _tool("lint-changelog", "antsibull-changelog", "lint"),
        _tool("lint-reuse", "reuse", "lint", "--lines"),
    ]


def _tool(name: str, *command: str) -> Part:
    return Part(name, command)


def _unit(venv: str, *paths: str) -> Part:
    return Part(f"unit-{venv}", ("pytest", *(paths or ["tests/unit"])), venv=venv, tests=True)


def _test_file(word: str) -> str:
    return f"{BEHAVIOUR}/test_{word}.py"


def _named() -> list[str]:
    return [word for words in _OF_ONCE.values() for word in words]


def _behaviour(
    name: str,
    marked: str,
    backend: str = "nftables",
    venv: str = NEWEST,
    target: str = "",
    files: Sequence[str] = (BEHAVIOUR,),
) -> Part:
    python = VENVS / target / "bin" / "python3" if target else SYSTEM_PYTHON
    return Part(
        f"behaviour-{name}",
        # pytest is always the newest; what is tested is the ansible-playbook of the environment below.
        (str(VENVS / NEWEST / "bin" / "pytest"), *files, "-m", marked),
        venv=venv,
        environment={
            "DOCKERLESS_ANSIBLE": str(VENVS / venv / "bin"),
            "DOCKERLESS_BACKEND": backend,
            "DOCKERLESS_COLLECTIONS": str(TREE),
            "DOCKERLESS_TARGET_PYTHON": str(python),
        },
        tests=True,
        lab=True,
    )


def _molecule(scenario: str) -> Part:
    return Part(
        f"molecule-{scenario}",
        ("molecule", "-c", "molecule/config.yml", "test", "--scenario-name", scenario),
        # The hosts of all labs have the same names, so two scenarios must not share connections that are kept open.
        environment={
            "MOLECULE_GLOB": "molecule/*/molecule.yml",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(CACHE / f"cp-{scenario}"),
        },
        lab=True,
    )
