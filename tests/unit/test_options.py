# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever lists options says the same: the kinds, the list of networks, the documentation of modules and role, README.

The lists in code come first; a change of them fails here until everything that documents them has changed, too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.dockerless.network.plugins.module_utils import role_words
from ansible_collections.dockerless.network.plugins.module_utils.arguments import STATE
from ansible_collections.dockerless.network.plugins.module_utils.composition import spec
from ansible_collections.dockerless.network.plugins.module_utils.engine import Kind
from ansible_collections.dockerless.network.plugins.module_utils.firewall.choice import BACKEND
from ansible_collections.dockerless.network.plugins.module_utils.info import INFO
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS
from ansible_collections.dockerless.network.plugins.module_utils.path.entry import ARGUMENTS as path_options

Options = dict[str, dict[str, Any]]

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "bridge_network"
PREFIX = "bridge_network_"
# For the playbook purge, and for the role itself.
OF_THE_MODULE = {"everything", "rest", "for_role", "warn", "predicted"}
NETWORKS = PREFIX + "networks"
# What an action plugin does on the controller; the module documents it.
OF_THE_CONTROLLER = {"fleet_map", "picture"}
# What follows from a list of networks alone has no module of its own.
KINDS: dict[str, Kind[Any]] = {row.name: row.load() for row in ROWS if row.has_module}
MANY = {"type": "list", "elements": "dict"}
ARGUMENTS: dict[str, Options] = {
    **{
        name: {**kind.ARGUMENTS, **STATE, **dict.fromkeys(("aggregate", "settled"), MANY)}
        for name, kind in KINDS.items()
    },
    "bridge_network": spec.ARGUMENTS,
    "network_info": INFO,
    "path_check": path_options,
}
# The tables of the role's README by the line above each, and the list that each shows.
TABLES: dict[str, Options] = {
    "A network:": spec.NETWORK,
    "An endpoint (`endpoints`):": spec.ENDPOINT,
    "A masquerade (`masquerade`, as for `nat_masquerade`):": spec.NETWORK["masquerade"]["options"],
    "A flow (`allow`, as for `bridge_firewall`):": spec.NETWORK["allow"]["options"],
    "A published port (`publish`, as for `port_publish`):": spec.PUBLISH,
}


@cache
def constants(path: Path) -> dict[str, Any]:
    """The YAML in the constants of a file, by their names."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            [name] = node.targets
            assert isinstance(name, ast.Name)
            found[name.id] = yaml.safe_load(node.value.value)
    return found


def documented(module: str) -> Options:
    """The documented options of a module, those of its fragments among them."""
    page = constants(ROOT / "plugins" / "modules" / f"{module}.py")["DOCUMENTATION"]
    options: Options = dict(page["options"])
    for fragment in page["extends_documentation_fragment"]:
        unused, file, name = f"{fragment}.documentation".removeprefix("dockerless.").split(".")[:3]
        options.update(constants(ROOT / "plugins" / "doc_fragments" / f"{file}.py")[name.upper()]["options"])
    return options


def facts(options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The parts of options that must agree. Suboptions are in ``options``, but on a module's page in ``suboptions``."""
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "choices": list(option["choices"]) if option.get("choices") else None,
            "default": option.get("default"),
            "required": bool(option.get("required")),
            "inside": facts(option.get("options") or option.get("suboptions") or {}),
        }
        for name, option in options.items()
    }


@cache
def role_options() -> Options:
    page = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    return dict(page["argument_specs"]["main"]["options"])


def rows(text: str) -> list[list[str]]:
    """The first table in a text of Markdown, row by row, without its head."""
    table = text[text.index("\n| ") :].lstrip("\n").partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split(" |")] for row in table.splitlines()][2:]


# ---- modules


def test_every_module_is_known_here_and_in_the_action_group() -> None:
    files = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    group = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["all"]

    assert files - OF_THE_CONTROLLER == set(ARGUMENTS) == set(group)
    assert group == sorted(group)
    assert {kind.name for kind in KINDS.values()} == set(KINDS)


@pytest.mark.parametrize("module", ARGUMENTS)
def test_a_module_documents_the_options_that_it_takes(module: str) -> None:
    wanted, found = facts(ARGUMENTS[module]), facts(documented(module))
    if module in KINDS:
        # One object by its own options, or several in aggregate: Ansible requires neither, the description tells.
        for name, option in wanted.items():
            needed = option["required"]
            assert needed == ("Needed " in str(documented(module)[name]["description"])), name
            option["required"] = False

    assert found == wanted


@pytest.mark.parametrize("module", sorted(OF_THE_CONTROLLER))
def test_an_action_takes_what_its_module_documents(module: str) -> None:
    action = import_module(f"ansible_collections.dockerless.network.plugins.action.{module}")

    page = constants(ROOT / "plugins" / "modules" / f"{module}.py")["DOCUMENTATION"]
    assert set(page["options"]) == action.ActionModule._VALID_ARGS


@pytest.mark.parametrize("module", ARGUMENTS)
def test_what_the_action_group_promises_is_taken_by_every_module(module: str) -> None:
    assert ARGUMENTS[module]["backend"] == BACKEND["backend"]
    extended = constants(ROOT / "plugins" / "modules" / f"{module}.py")["DOCUMENTATION"][
        "extends_documentation_fragment"
    ]
    assert {"dockerless.network._attributes.actiongroup_all", "dockerless.network._common.backend"} <= set(extended)


def test_a_network_takes_what_its_parts_take() -> None:
    """Options with the same name in a network and in the module that makes the part are the same option."""
    parts = [
        (spec.NETWORK, KINDS["bridge_firewall"]),
        (spec.NETWORK["masquerade"]["options"], KINDS["nat_masquerade"]),
        (spec.PUBLISH, KINDS["port_publish"]),
        ({"mtu": spec.NETWORK["mtu"]}, KINDS["bridge"]),
        ({"pid": spec.ENDPOINT["pid"]}, KINDS["netns"]),
    ]
    for options, kind in parts:
        for name in set(options) & set(kind.ARGUMENTS) - {"bridge", "host_port"}:  # these two have a default there
            assert options[name] == kind.ARGUMENTS[name], name


# ---- the role


def test_the_role_takes_what_its_module_takes() -> None:
    role, module = role_options(), spec.ARGUMENTS
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())

    assert {*role_words.OPTIONS} == module.keys() - OF_THE_MODULE
    assert set(role) == {PREFIX + name for name in module if name not in OF_THE_MODULE}
    assert {name: option["default"] for name, option in role.items() if name != NETWORKS} == defaults
    assert "default" not in role[NETWORKS]  # one would take a mistake in its name for an empty list
    for name, option in module.items():
        if name in OF_THE_MODULE:
            continue
        assert PREFIX + name == NETWORKS or role[PREFIX + name]["default"] == option["default"]
        choices = ["true", "false"] if option["type"] == "bool" else option.get("choices", [])
        assert all(f"V({choice})" in str(role[PREFIX + name]["description"]) for choice in choices), name


def test_the_role_documents_networks_as_its_module_does() -> None:
    page = yaml.safe_dump(documented("bridge_network")["networks"]["suboptions"]).replace("suboptions:", "options:")
    page = re.sub(r"O\((%s)\)" % "|".join(spec.ARGUMENTS), r"O(%s\1)" % PREFIX, page)  # the role's own variables

    assert role_options()[PREFIX + "networks"]["options"] == yaml.safe_load(page)


BAD: list[Any] = [None, "", "word", 5, True, ["blue"], {"front": {}}, [{"subnet": 1}], [{"endpoints": ["web"]}]]


@pytest.mark.parametrize("name", role_options())
def test_ansible_leaves_it_to_the_modules_to_refuse_what_is_wrong(name: str) -> None:
    """Ansible's own refusal of a role's variable shows the whole of argument_specs.yml."""
    for value in BAD:
        checked = ArgumentSpecValidator(role_options()).validate({name: value})
        assert not checked.error_messages and not checked.unsupported_parameters


# ---- README


def shown_default(option: Mapping[str, Any]) -> str | None:
    """The text that the table must have; None if there is no value to show, so that any words will do."""
    if option.get("required"):
        return "required"
    return None if option.get("default") is None else f"`{spelled(option['default'])}`"


def spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("title", TABLES)
def test_the_tables_of_the_role_list_the_options(title: str) -> None:
    readme = (ROLE / "README.md").read_text()
    assert readme.count(f"\n{title}\n") == 1
    table = rows(readme.partition(f"\n{title}\n")[2])

    assert [name.strip("`") for name, *unused in table] == list(TABLES[title])
    for name, default, *unused in table:
        wanted = shown_default(TABLES[title][name.strip("`")])
        assert default == wanted or (wanted is None and not re.fullmatch("`(true|false|\\[\\])`", default)), name


def test_the_table_of_variables_lists_those_of_the_role() -> None:
    table = rows((ROLE / "README.md").read_text().partition("\n## Variables\n")[2])

    assert {name.strip("`"): default for name, default, *unused in table} == {
        name: "required" if name == NETWORKS else shown_default(option) for name, option in role_options().items()
    }


def test_readme_lists_the_modules() -> None:
    readme = (ROOT / "README.md").read_text()
    table = rows("\n" + readme[readme.index("| module | what it manages |\n") :])

    assert sorted(name.strip("`").removeprefix("dockerless.network.") for name, *unused in table) == sorted(
        {*ARGUMENTS, *OF_THE_CONTROLLER}
    )


# ---- text


def pages() -> Iterator[str]:
    """Everything that documents options, in YAML."""
    for folder in ("modules", "doc_fragments", "filter"):
        for path in sorted((ROOT / "plugins" / folder).glob("*.py")):
            yield from re.findall(r'r"""\n(.*?)"""', path.read_text(), re.DOTALL)
    yield (ROLE / "meta" / "argument_specs.yml").read_text()


def scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.CollectionNode):
        for item in node.value:
            for inner in item if isinstance(item, tuple) else (item,):
                yield from scalars(inner)


def test_descriptions_fill_their_lines() -> None:
    """A line that goes on in the next one has no room for another word: a text is not wrapped twice."""
    for page in pages():
        lines = page.splitlines()
        for scalar in scalars(yaml.compose(page, yaml.SafeLoader)):
            if scalar.style is None:
                for number in range(scalar.start_mark.line, scalar.end_mark.line):
                    assert len(f"{lines[number]} {lines[number + 1].split()[0]}") > 110, lines[number]
