# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.entry import runner
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import FirewallError


class Module:
    """As much of AnsibleModule as finds a program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get_bin_path(self, name: str) -> str | None:
        path = self.folder / name
        return str(path) if path.exists() else None


def made(folder: Path, name: str, script: str) -> Any:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return runner(Module(folder))  # type: ignore[arg-type]


def test_a_tool_that_does_not_read_its_input_is_still_heard(tmp_path: Path) -> None:
    run = made(tmp_path, "nft", "echo 'no room' >&2; exit 1")

    assert run(["nft", "-f", "-"], "x" * 1_000_000) == (1, "", "no room\n")


def test_a_tool_reads_its_input_and_speaks_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    run = made(tmp_path, "nft", 'echo "$LC_ALL $1 $(cat)"')

    assert run(["nft", "-j"], "ü") == (0, "C -j ü\n", "")
    assert run(["nft", "-j"], None) == (0, "C -j \n", "")


def test_a_tool_that_is_missing_is_named_with_its_package(tmp_path: Path) -> None:
    run = runner(Module(tmp_path))  # type: ignore[arg-type]

    with pytest.raises(FirewallError, match="no program nft on this host; install the package nftables"):
        run(["nft"], None)


def test_a_tool_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nft"
    path.write_text("no program")
    path.chmod(0o755)
    run = runner(Module(tmp_path))  # type: ignore[arg-type]

    with pytest.raises(FirewallError, match=rf"^The program {path} cannot be run: Exec format error\.$"):
        run(["nft"], None)
