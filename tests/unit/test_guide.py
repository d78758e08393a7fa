# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the pages for users work: their networks and tasks are built on a host in memory."""

from __future__ import annotations

import ast
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Kind, Request
from ansible_collections.dockerless.network.plugins.module_utils.kinds import boot
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    once,
    world,
)

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide.rst"
PAGES = sorted(GUIDE.parent.glob("*.rst"))
COLLECTION = "ansible_collections.dockerless.network.plugins"


def examples(page: Path) -> list[Any]:
    """The YAML blocks of a page."""
    blocks = re.findall(r"\.\. code-block:: yaml\n\n((?: {4}.*\n|\n)+)", page.read_text())
    return [yaml.safe_load(textwrap.dedent(block)) for block in blocks]


def requests(task: dict[str, Any]) -> list[Request]:
    """The objects that a task asks for: those of ``aggregate``, with the options beside it as defaults."""
    (module,) = [key for key in task if key.startswith("dockerless.network.")]
    options = dict(task[module] or {})
    items = options.pop("aggregate", [{}])
    return [ask(kind_of(module.rpartition(".")[2]), merged(options, item)) for item in items]


def merged(defaults: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    inner = {key: {**defaults[key], **value} for key, value in item.items() if isinstance(defaults.get(key), dict)}
    return {**defaults, **item, **inner}


def kind_of(module: str) -> Kind[Any]:
    """The kind that a module works on; a module file imports exactly one."""
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{module}.py").read_text())
    (name,) = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and ".kinds." in (node.module or "")
        for alias in node.names
    ]
    kind: Kind[Any] = getattr(import_module(f"{COLLECTION}.module_utils.kinds.{module}"), name)()
    return kind


def host() -> MemoryHost:
    found = MemoryHost()
    found.uplink()
    return found


def test_the_networks_of_the_guide() -> None:
    first, named = [example for example in examples(GUIDE) if "bridge_network_networks" in example]

    outcome = make_networks(first["bridge_network_networks"], world(host()))

    assert {"ip netns add web", "ip netns add db"} <= set(outcome.commands)
    assert not make_networks(named["bridge_network_networks"], world(host())).warnings


def test_the_task_list_of_single_modules_is_complete_and_idempotent() -> None:
    plays = [example[0] for example in examples(GUIDE) if isinstance(example, list)]
    (play,) = [play for play in plays if any("dockerless.network.bridge" in task for task in play["tasks"])]
    there = host()

    changed = [once(there, *requests(task)).changed for task in play["tasks"]]
    again = [once(there, *requests(task)).changed for task in play["tasks"]]

    assert play["gather_facts"] is False
    assert (changed, again) == ([True] * len(changed), [False] * len(changed))
    assert {key for task in play["tasks"] for key in task if key != "name"} == {
        f"dockerless.network.{module}"
        for module in (
            "bridge",
            "bridge_firewall",
            "nat_masquerade",
            "netns",
            "port_publish",
            "sysctl_forward",
            "veth",
        )
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_yaml_block_can_be_read(page: Path) -> None:
    assert examples(page)


def test_the_page_on_boot_names_every_file_that_a_host_has_for_it() -> None:
    text = (GUIDE.parent / "boot.rst").read_text()
    # one line names the files that differ only in their suffix, and one the drop-ins of all units
    known = ({path, Path(path).name, f"``{Path(path).suffix}``"} for path in boot._ours())
    assert [names for names in known if not any(name in text for name in names)] == []
