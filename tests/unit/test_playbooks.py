# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leftovers of walkthroughs when modules fail, names that Ansible keeps, and the arguments of check's module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.vars.reserved import get_reserved_names
from jinja2 import Environment, StrictUndefined

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
ROLES = PLAYBOOKS.parent / "roles"
WALKTHROUGHS = sorted(PLAYBOOKS.glob("walkthrough_*.yml"))


def cleanup(path: Path) -> list[dict[str, Any]]:
    """The tasks that run whatever happens."""
    (play,) = yaml.safe_load(path.read_text())
    return [task for block in play["tasks"] for task in block.get("always", ())]


@pytest.mark.parametrize("path", WALKTHROUGHS, ids=lambda path: str(path.stem))
def test_processes_are_stopped_before_a_module_can_fail(path: Path) -> None:
    tasks = cleanup(path)
    modules = [number for number, task in enumerate(tasks) if any(key.startswith("dockerless.") for key in task)]
    stops = [number for number, task in enumerate(tasks) if "ansible.builtin.command" in task]

    assert modules
    assert all(stop < min(modules) for stop in stops)


@pytest.mark.parametrize("path", WALKTHROUGHS, ids=lambda path: str(path.stem))
def test_every_process_that_is_started_is_stopped(path: Path) -> None:
    (play,) = yaml.safe_load(path.read_text())
    started = [task for block in play["tasks"] for task in block.get("block", ()) if "async" in task]

    assert len(started) == sum("stop" in task["name"] for task in cleanup(path))


@pytest.mark.parametrize("path", WALKTHROUGHS, ids=lambda path: str(path.stem))
def test_a_host_with_networks_is_refused_before_anything_is_done_or_cleaned_up(path: Path) -> None:
    (play,) = yaml.safe_load(path.read_text())
    first = [task for task in play["tasks"] if "ansible.builtin.setup" not in task][:3]

    assert ["dockerless.network.network_info" in first[0], "block" in first[2]] == [True, True]
    assert "walkthrough_before.networks" in str(first[1]["ansible.builtin.assert"]["that"])
    assert not any("tags" in task for task in first[:2])


def variables(value: Any) -> Iterator[str]:
    """The names of all that is set by `vars`, at any depth."""
    if isinstance(value, dict):
        yield from value.get("vars") or ()
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from variables(item)


@pytest.mark.parametrize(
    "path", sorted([*PLAYBOOKS.glob("*.yml"), *ROLES.glob("*/tasks/*.yml")]), ids=lambda path: str(path.stem)
)
def test_no_variable_has_a_name_that_ansible_warns_of(path: Path) -> None:
    assert not set(variables(yaml.safe_load(path.read_text()))) & set(get_reserved_names())


@pytest.mark.parametrize("name", ["check", "proof"])
def test_what_nobody_said_of_a_path_is_asked_for_with_an_example(name: str) -> None:
    (play,) = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text())
    asks, follows, *unused = play["tasks"]

    assert asks["loop"] == ["from", "to"]
    example = f"ansible-playbook dockerless.network.{name} -i inventory -e from=web -e to=203.0.113.1:443"
    assert asks["ansible.builtin.assert"]["fail_msg"].endswith(example)
    asked = follows["dockerless.network.path_check"]
    assert [name for name, value in asked.items() if "omit" not in value] == ["from", "to"]


@pytest.mark.parametrize(
    ("said", "dest"),
    [
        ({"bridge_network_map": "a.html"}, "a.html"),
        ({"format": "html"}, "networks.html"),
        ({"format": "mermaid"}, "networks.mmd"),
        ({"format": "mermaid", "bridge_network_map": "a.html"}, "a.html"),
        ({"format": "png"}, None),
        ({}, None),
    ],
)
def test_a_map_is_written_to_a_file_or_in_a_format(said: dict[str, str], dest: str | None) -> None:
    """A variable `format` of somebody's inventory writes nothing."""
    (play,) = yaml.safe_load((PLAYBOOKS / "show.yml").read_text())
    task, jinja = play["tasks"][-1], Environment(undefined=StrictUndefined)
    is_written = jinja.compile_expression(task["when"])(**said)

    assert is_written == (dest is not None)
    if is_written:
        assert jinja.from_string(task["dockerless.network.fleet_map"]["dest"]).render(said) == dest
