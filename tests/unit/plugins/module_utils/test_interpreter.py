# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import interpreter
from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import MissingLibrary

MISSING = MissingLibrary("The Python library pyroute2 is not installed", "install it")
Pythons = Callable[..., None]


class Moved(Exception):
    """Raised with the program with which the module continues."""


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pythons:
    """Makes the host's Pythons: shell scripts."""

    def make(**scripts: str) -> None:
        for name, script in scripts.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        monkeypatch.setattr(interpreter, "PYTHONS", tuple(str(tmp_path / name) for name in [*scripts, "not-there"]))

    def move(python: str) -> None:
        raise Moved(Path(python).name)

    monkeypatch.setattr(interpreter, "respawn_module", move)
    return make


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """This process as AnsiballZ has it."""
    main = types.ModuleType("__main__")
    vars(main).update(_module_fqn="ansible_collections.x", _modlib_path="/tmp/x.zip")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(interpreter.basic, "_ANSIBLE_ARGS", b"{}")
    return main


def package(folder: Path, version: str) -> str:
    """A script that answers as a Python with pyroute2 does."""
    (folder / "pyroute2").mkdir(parents=True)
    (folder / f"pyroute2-{version}.dist-info").mkdir()
    return f"echo {folder}/pyroute2"


def test_the_first_python_with_the_library_takes_over(pythons: Pythons, launched: object, tmp_path: Path) -> None:
    pythons(none="echo", good=package(tmp_path / "a", "0.7.2"), later=package(tmp_path / "b", "0.9"))

    with pytest.raises(Moved, match=r"^good$"):
        interpreter.move_to_another(MISSING)


def test_a_python_is_moved_to_but_once(pythons: Pythons, launched: types.ModuleType, tmp_path: Path) -> None:
    pythons(good=package(tmp_path / "a", "0.7.2"))
    vars(launched)["_respawned"] = True

    with pytest.raises(
        MissingLibrary, match=r"is not installed for .*, but for .*/good it is: set ansible_python_inter"
    ):
        interpreter.move_to_another(MISSING)


def test_nobody_is_moved_under_mitogen_without_ansiballz_or_with_more_than_a_pipe_takes(
    launched: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interpreter.can_respawn()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mitogen.core", types.ModuleType("mitogen.core"))
        assert not interpreter.can_respawn()
    with monkeypatch.context() as patch:
        patch.setattr(interpreter.basic, "_ANSIBLE_ARGS", b"x" * 60_000)
        assert not interpreter.can_respawn()
    del launched._modlib_path
    assert not interpreter.can_respawn()


def test_the_pythons_that_were_tried_are_told(pythons: Pythons, launched: object, tmp_path: Path) -> None:
    pythons(none="echo", broken="echo 'no module named ansible' >&2; exit 1")

    with pytest.raises(MissingLibrary) as refused:
        interpreter.move_to_another(MISSING)

    assert str(refused.value) == (
        f"The Python library pyroute2 is not installed (also looked at: {tmp_path}/none does not have it;"
        f" {tmp_path}/broken cannot run modules (no module named ansible)): install it."
    )


def test_the_package_is_not_advised_where_it_is_too_old(pythons: Pythons, launched: object, tmp_path: Path) -> None:
    pythons(old=package(tmp_path / "a", "0.5.14"))

    with pytest.raises(MissingLibrary, match=r"old has only 0\.5\.14\): install a newer pyroute2 with pip for"):
        interpreter.move_to_another(MISSING)


def test_a_host_with_no_other_python_hears_what_it_heard_before(pythons: Pythons, launched: object) -> None:
    pythons()

    with pytest.raises(MissingLibrary, match=r"^The Python library pyroute2 is not installed: install it.$"):
        interpreter.move_to_another(MISSING)


def test_the_probe_finds_what_is_there() -> None:
    """With this very Python, which runs Ansible's modules."""
    trouble, old = interpreter._look_at(sys.executable)

    assert trouble in ("", "does not have it") and not old
