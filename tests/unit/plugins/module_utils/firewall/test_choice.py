# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A back-end is a row: everybody else learns from it what it is. tests/unit/test_adding_a_backend.py adds one."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall import choice
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import Backend, NoProgram
from ansible_collections.dockerless.network.plugins.module_utils.firewall.choice import (
    BACKEND,
    Row,
    is_ours,
    package_of,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netfilter import Netfilter
from ansible_collections.dockerless.network.plugins.module_utils.model import FirewallState
from ansible_collections.dockerless.network.plugins.module_utils.records import replace

PLUGINS = Path(__file__).resolve().parents[5] / "plugins"


@pytest.mark.parametrize("row", choice.ROWS, ids=lambda row: row.name)
def test_a_row_says_what_its_back_end_is_called_and_writes(row: Row) -> None:
    backend = row.load(MemoryNetfilter(lambda argv, text: (0, "iptables v1.8.9 (nf_tables)", "")))
    assert backend.name in (row.name, "iptables")  # that of legacy tells by what is in the kernel
    assert BACKEND["backend"]["choices"] == ["auto", *(row.name for row in choice.ROWS)]


def _nothing_but_nft(argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
    if argv[0] != "nft":
        raise NoProgram(argv[0])
    return (0, '{"nftables": [{"metainfo": {}}]}', "") if argv[-1] == "chains" else (1, "", "No such file or directory")


def test_one_that_cannot_have_rules_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(netfilter: Netfilter) -> Backend:
        raise AssertionError

    row = replace(
        choice.ROWS[0], name="toy", load=load, load_remover=load, may_have_rules=lambda netfilter, foreign: False
    )
    monkeypatch.setattr(choice, "ROWS", (*choice.ROWS, row))
    session = FirewallSession(MemoryNetfilter(_nothing_but_nft), "nftables")

    assert (session.backend, session.current) == ("nftables", FirewallState())


def test_nobody_else_has_the_name_of_a_back_end() -> None:
    """Only readers of the rules of others name their tools and tables, some of which are called like a back-end."""
    names = {row.name for row in choice.ROWS}
    readers = (PLUGINS / "module_utils" / "firewall", PLUGINS / "module_utils" / "path")
    named = [
        f"{path.relative_to(PLUGINS)}, line {node.lineno}: {node.value}"
        for path in PLUGINS.rglob("*.py")
        if not any(folder in path.parents for folder in readers)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert named == []


@pytest.mark.parametrize(
    ("table", "chain", "ours"),
    [
        ("dockerless", "forward", True),
        ("dockerless", "user", False),
        ("filter", "DLN-FORWARD", True),
        ("filter", "DLN-USER", False),
        ("filter", "FORWARD", False),
    ],
)
def test_whose_a_chain_is(table: str, chain: str, ours: bool) -> None:
    assert is_ours(table, chain) is ours


@pytest.mark.parametrize(
    ("tool", "package"),
    [
        ("nft", "nftables"),
        ("iptables", "iptables"),
        ("ip6tables-legacy-restore", "iptables"),
        ("firewall-cmd", None),
        ("ip", None),
    ],
)
def test_who_has_a_tool(tool: str, package: str | None) -> None:
    assert package_of(tool) == package
