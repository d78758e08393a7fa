# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/rules.md names every chain, set and map that we write, where it is and how it is reached, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from golden_states import STATES

from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import layout as iptables_layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import names as iptables_names
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft import layout as nft_layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft import names as nft_names

PAGE = (Path(__file__).resolve().parents[5] / "docs" / "rules.md").read_text()
Found = dict[str, set[str]]


@pytest.mark.parametrize("folder", ["nft", "iptables"])
def test_each_section_of_the_rules_is_a_room_in_both(folder: str) -> None:
    rooms = Path(str(nft_layout.__file__)).parent.with_name(folder)
    sections = {
        room.stem
        for room in rooms.glob("*.py")
        if {"render", "parse"} <= {node.name for node in ast.parse(room.read_text()).body if hasattr(node, "name")}
    }
    assert sections == {"policies", "masquerades", "ports", "forwarding", "layout"}
    calls = re.findall(r"(\w+)\.(render|parse)\(", (rooms / "layout.py").read_text())
    assert {room for room, unused in calls} == sections - {"layout"}


def rows(*head: str) -> Iterator[list[str]]:
    """The rows of all tables whose first columns are headed like this."""
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if tuple(cells[: len(head)]) == head:
            inside = True
        elif not cells:
            inside = False
        elif inside and not cells[0].startswith("---"):
            yield cells


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def written_in_nft() -> Found:
    """Each chain by how it is reached: a hook and its priority, or the chains that lead to it."""
    found: Found = defaultdict(set)
    for state in STATES.values():
        for name, chain in nft_layout.render(state).chains.items():
            hooked = re.match(r"type \S+ hook (\S+) priority (\S+);", chain.hook)
            found[name] |= {"%s, %s" % hooked.groups()} if hooked else set()
            for target in re.findall(r"\b(?:jump|goto) (\S+)", " ".join(chain.rules)):
                found[target].add(name)
    return dict(found)


def test_chains_of_nftables() -> None:
    told = {
        name: set(quoted(reached) or [reached]) for names, reached, unused in rows("chain") for name in quoted(names)
    }

    assert told == written_in_nft()


def test_sets_and_maps_of_nftables() -> None:
    told = [name for head in ("set", "map or set") for cells in rows(head) for name in quoted(cells[0])]

    assert len(told) == len(set(told))
    assert set(told) == {name for state in STATES.values() for name in nft_layout.render(state).sets}


def test_chains_of_iptables() -> None:
    told = {(table, *quoted(name)): set(quoted(reached)) for table, name, reached, unused in rows("table", "chain")}
    written: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for state in STATES.values():
        for rules in iptables_layout.render(state).values():
            for jump in rules.jumps:
                written[jump.table, jump.target].add(jump.chain)
            for (table, name), chain in rules.chains.items():
                for target in (rule[-1] for rule in chain if rule[-1].startswith("DLN-")):
                    written[table, generic(target)].add(generic(name))

    assert told == written


def generic(name: str) -> str:
    return re.sub("^DLN-INTO-.*", "DLN-INTO-BRIDGE", name)


def constants(module: object) -> set[str]:
    """The stored names that a module defines."""
    values = [value for name, value in vars(module).items() if name.isupper() and isinstance(value, (str, tuple, dict))]
    found: set[str] = set()
    for value in values:
        found |= set(value.values()) if isinstance(value, dict) else {value[1]} if isinstance(value, tuple) else {value}
    return found


def test_the_states_need_every_name_that_there_is() -> None:
    tables = [nft_layout.render(state) for state in STATES.values()]
    rulesets = [rules for state in STATES.values() for rules in iptables_layout.render(state).values()]

    assert constants(nft_names) == {name for table in tables for name in (*table.chains, *table.sets)}
    written = {generic(name) for rules in rulesets for unused, name in rules.chains}
    names = constants(iptables_names) - {iptables_names.USERS[1]}
    assert {generic(name) for name in names} == written


def test_twins_have_the_same_name_in_both() -> None:
    """Chains that only iptables has belong to steps for which nftables needs no chain."""
    nft = {name.upper().replace("_", "-") for state in STATES.values() for name in nft_layout.render(state).chains}
    written = {
        generic(name).removeprefix("DLN-").removesuffix("-BRIDGE")
        for state in STATES.values()
        for rules in iptables_layout.render(state).values()
        for unused, name in rules.chains
    }

    assert written - nft == {"INVALID", "HOST", "LOOPBACK", "PUBLISH-AT", "TO-USER", "TRANSIT"}
