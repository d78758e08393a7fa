# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole rulesets, to be looked at: a change of rules shows in review. ``REWRITE_GOLDEN=1 pytest FILE`` writes them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from golden_states import STATES
from iptables_in_memory import Rules

from ansible_collections.dockerless.network.plugins.module_utils.firewall.choice import ROWS
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import layout as iptables_layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.text import EMPTY, transaction
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft import layout as nft_layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.table import Set, Table
from ansible_collections.dockerless.network.plugins.module_utils.model import FirewallState

FOLDER = Path(__file__).parent / "golden"
HEAD = """\
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""


def nft(table: Table) -> str:
    """A table as ``nft -f`` takes it."""
    blocks = [_block(known.kind, name, _set(known)) for name, known in table.sets.items()]
    blocks += [
        _block("chain", name, [*([chain.hook] if chain.hook else []), *chain.rules])
        for name, chain in table.chains.items()
    ]
    return "table inet dockerless {\n%s}\n" % "\n".join(blocks)


def _block(kind: str, name: str, lines: list[str]) -> str:
    return "\t%s %s {\n%s\t}\n" % (kind, name, "".join("\t\t%s\n" % line for line in lines))


def _set(known: Set) -> list[str]:
    elements = []
    for key, element in known.elements.items():
        comment = ' comment "%s"' % element.comment if element.comment else ""
        elements.append("\t%s%s%s," % (key, comment, " : %s" % element.data if element.data else ""))
    lines = known.declaration.rstrip(";").split("; ")
    if known.counts:
        return lines
    return [*lines, "elements = {", *elements[:-1], elements[-1].rstrip(","), "}"]


def of_nft(state: FirewallState) -> dict[str, str]:
    return {"nft": nft(nft_layout.render(state))}


def of_iptables(state: FirewallState) -> dict[str, str]:
    rules = iptables_layout.render(state)
    return {"ipv%d" % version: Rules(transaction(EMPTY, rules[version])).save() for version in (4, 6)}


# Which back-ends have these rulesets is told by the files that they write.
RENDERERS = {("nft",): of_nft, ("v4", "v6"): of_iptables}


def texts(name: str) -> dict[str, str]:
    """The rulesets of a state by the ending of their files."""
    return {ending: text for render in RENDERERS.values() for ending, text in render(STATES[name]).items()}


def test_there_are_rulesets_of_each_back_end() -> None:
    assert {row.files for row in ROWS} == set(RENDERERS)


@pytest.mark.parametrize("name", STATES)
def test_rulesets_are_as_they_were_when_somebody_last_looked(name: str) -> None:
    for ending, text in texts(name).items():
        path = FOLDER / ("%s.%s" % (name, ending))
        if os.environ.get("REWRITE_GOLDEN"):
            path.write_text(HEAD + text)
        there = path.read_text() if path.exists() else HEAD
        assert there == HEAD + text, "look at it; if it is right: REWRITE_GOLDEN=1 pytest %s" % __file__


@pytest.mark.parametrize("name", STATES)
def test_each_of_them_is_read_back_as_its_state(name: str) -> None:
    # nftables can tell a bridge from other links, and names none of those
    assert nft_layout.parse(nft_layout.render(STATES[name])) == replace(STATES[name], outsiders=frozenset())
    assert iptables_layout.parse(iptables_layout.render(STATES[name])) == STATES[name]


def test_there_is_no_ruleset_without_its_state() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(STATES)
