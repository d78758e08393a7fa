# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.dockerless.network.plugins.module_utils.kernel.netfilter import Netfilter


def nothing(argv: object, text: object) -> tuple[int, str, str]:
    return 127, "", "not found"


def test_files_of_others_are_looked_at_without_an_error(tmp_path: Path) -> None:
    (tmp_path / "b.xml").write_bytes(b"caf\xe9")
    (tmp_path / "a.xml").touch()
    found = Netfilter(nothing)

    assert found.files_in(str(tmp_path)) == ["a.xml", "b.xml"]
    assert found.read_file(str(tmp_path / "b.xml")) == "caf\N{REPLACEMENT CHARACTER}"
    assert found.read_file(str(tmp_path / "none")) is None
    assert found.read_file(str(tmp_path)) is None
    assert found.files_in(str(tmp_path / "none")) == []


def test_they_are_looked_at_among_the_files_of_the_host(tmp_path: Path) -> None:
    """A module may run in another mount namespace, where these files are others, or none."""
    passed: list[object] = []

    def door(function: Callable[[], Any]) -> Any:
        passed.append(function)
        return function()

    found = Netfilter(nothing, door)
    found.read_file(str(tmp_path / "none"))
    found.files_in(str(tmp_path))

    assert len(passed) == 2
