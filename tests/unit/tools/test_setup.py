# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which virtual environments are made anew: their scripts begin with the place in which they were made."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import setup
from tools.setup import SetupError, Venv

VENV = Venv("demo", lambda: Path(sys.executable))
Run = Callable[[Path], bool]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the set-up in a checkout; whether it made the environment."""

    def run_in(checkout: Path) -> bool:
        made: list[Venv] = []

        def make(venv: Venv, python: Path) -> None:
            made.append(venv)
            (setup.VENVS / venv.name).mkdir(parents=True, exist_ok=True)
            setup._stamp_file(venv).write_text(setup._stamp(venv, python))

        monkeypatch.setattr(setup, "VENVS", checkout / ".venv")
        monkeypatch.setattr(setup, "make_venv", make)
        setup.make_venvs([VENV])
        return made == [VENV]

    return run_in


def test_one_that_is_there_is_kept(tmp_path: Path, run: Run) -> None:
    assert (run(tmp_path / "a"), run(tmp_path / "a")) == (True, False)


def test_a_checkout_that_was_moved_or_copied_gets_its_own(tmp_path: Path, run: Run) -> None:
    run(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    (tmp_path / "a").rename(tmp_path / "moved")

    assert (run(tmp_path / "copy"), run(tmp_path / "moved")) == (True, True)
    assert (run(tmp_path / "copy"), run(tmp_path / "moved")) == (False, False)


def test_a_checkout_may_share_those_of_another_by_a_link(tmp_path: Path, run: Run) -> None:
    run(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".venv").symlink_to(tmp_path / "a" / ".venv")

    assert not run(tmp_path / "b")


def test_a_moved_checkout_whose_link_points_into_it_gets_its_own(tmp_path: Path, run: Run) -> None:
    run(tmp_path / "a")
    (tmp_path / "a" / ".venv").rename(tmp_path / "a" / "venvs")
    (tmp_path / "a" / ".venv").symlink_to("venvs")

    assert run(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "moved")
    assert run(tmp_path / "moved")


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "VENVS", tmp_path / ".venv")
    setup.VENVS.symlink_to(tmp_path / "gone")

    with pytest.raises(SetupError, match=r"\.venv is a link to .*gone, which is not there; remove the link$"):
        setup.make_folder()
