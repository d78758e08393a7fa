# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A back-end is a row: everybody else learns from the row, and from the back-end itself, what it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from golden_states import STATES
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.arguments import BACKENDS
from ansible_collections.dockerless.network.plugins.module_utils.firewall import choice
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import Backend, NoProgram, Trouble
from ansible_collections.dockerless.network.plugins.module_utils.firewall.choice import Row, package_of
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.model import FirewallState
from ansible_collections.dockerless.network.plugins.module_utils.operations import Operation, RunTool

THERE: list[FirewallState] = []


class Toy(Backend):
    """A back-end that keeps its rules in a list."""

    name = "toy"

    def usable(self) -> Trouble | None:
        return None

    def read(self) -> FirewallState | None:
        return THERE[0] if THERE else None

    def state(self, raw: object) -> FirewallState:
        return raw if isinstance(raw, FirewallState) else FirewallState()

    def plan(self, raw: object, desired: FirewallState) -> list[Operation]:
        return [] if self.state(raw) == desired else [RunTool(("toy", "load"))]


def test_the_rows_are_the_choices_that_the_option_has() -> None:
    assert tuple(row.name for row in choice.ROWS) == BACKENDS


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> MemoryNetfilter:
    """A host with this back-end as well, where nft works and has nothing."""
    row = Row("toy", ("toy",), "toys", Toy, load_remover=Toy, may_have_rules=lambda netfilter, foreign: bool(THERE))
    monkeypatch.setattr(choice, "ROWS", (*choice.ROWS, row))
    THERE.clear()
    return MemoryNetfilter(_nothing_but_nft)


def _nothing_but_nft(argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
    if argv[0] != "nft":
        raise NoProgram(argv[0])
    return (0, '{"nftables": [{"metainfo": {}}]}', "") if argv[-1] == "chains" else (1, "", "No such file or directory")


def test_a_row_makes_a_back_end_one_to_choose(toy: MemoryNetfilter) -> None:
    session = FirewallSession(toy, "toy")
    session.use()
    session.masquerades = {entry.key: entry for entry in STATES["one-network"].masquerades}

    assert session.backend == "toy"
    assert session.plan() == ([RunTool(("toy", "load"))], [])
    assert package_of("toy-load") == "toys"


def test_its_rules_are_taken_over_by_another_one(toy: MemoryNetfilter) -> None:
    THERE.append(STATES["one-network"])
    session = FirewallSession(toy, "nftables")
    session.use()

    assert session.current == STATES["one-network"]
    assert session.backend == "toy"
    nft, removal = session.plan()[0]
    assert nft.commands()[0].startswith("nft -f -")
    assert removal == RunTool(("toy", "load"))


def test_it_is_not_looked_at_where_it_cannot_have_rules(toy: MemoryNetfilter) -> None:
    session = FirewallSession(toy, "nftables")

    assert session.backend == "nftables"
    assert session.current == FirewallState()


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
