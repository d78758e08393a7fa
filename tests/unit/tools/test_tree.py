# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tools import project, tree
from tools.project import COLLECTION

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "any name"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".gitignore").write_text("/.cache/\n")
    (root / "galaxy.yml").write_text("name: network\n")
    monkeypatch.setattr(tree, "ROOT", root)
    monkeypatch.setattr(tree, "TREE", root / ".cache" / "tree")
    return root


def test_link_shows_the_checkout_under_its_collection_name(checkout: Path) -> None:
    path = tree.link()
    assert path == checkout / ".cache" / "tree" / COLLECTION
    assert path.resolve() == checkout
    assert tree.link() == path


def test_copy_follows_the_checkout(checkout: Path) -> None:
    base = tree.copy(checkout / ".cache" / "copy")
    assert (base / "galaxy.yml").read_text() == "name: network\n"
    assert not (base / ".cache").exists()

    (checkout / "galaxy.yml").unlink()
    (checkout / "README.md").write_text("new\n")
    tree.copy(checkout / ".cache" / "copy")
    assert not (base / "galaxy.yml").exists()
    assert (base / "README.md").exists()


def test_a_copy_is_a_git_checkout_of_its_own(checkout: Path) -> None:
    base = tree.copy(checkout / ".cache" / "copy")
    top = subprocess.run(["git", "-C", str(base), "rev-parse", "--show-toplevel"], check=True, capture_output=True)
    assert top.stdout.decode().strip() == str(base)


def test_a_shim_is_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.14"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    project.pythons.cache_clear()
    try:
        assert shim not in project.pythons().values()
    finally:
        project.pythons.cache_clear()
