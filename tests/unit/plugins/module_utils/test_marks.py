# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import marks
from ansible_collections.dockerless.network.plugins.module_utils.marks import (
    alias,
    is_removed,
    label,
    label_of,
    name_of,
    namespace_alias,
    namespace_of,
    project_of,
    removed_alias,
)

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "design.md").read_text()
TABLE = re.search(r"\| object \| mark \|\n(.*?)\n\n", PAGE, re.DOTALL)
MARKS = {name: value for name, value in vars(marks).items() if name.isupper()}


@pytest.mark.parametrize("name", MARKS)
def test_the_page_on_the_design_has_every_mark(name: str) -> None:
    assert TABLE is not None
    assert str(MARKS[name]) in TABLE[1]


def test_no_mark_stands_anywhere_else() -> None:
    """Numbers, paths and prefixes; the name of the collection is in messages and documentation as well."""
    unique = [str(value) for name, value in MARKS.items() if name not in ("COLLECTION", "NFT_FAMILY", "NFT_TABLE")]
    unique.remove(marks.FIREWALLD_ZONE)
    unique.remove(str(marks.ROUTE_PROTOCOL))
    unique.remove(marks.CODE_FOLDER)  # loading.py comes before everything else
    folder = Path(marks.__file__).parent
    code = {path: path.read_text() for path in folder.rglob("*.py") if path.name != "marks.py"}

    assert [
        (str(path.relative_to(folder)), value)
        for path, text in code.items()
        for value in unique
        if re.search(r"(?<![\w])%s" % re.escape(value), strings(text))
    ] == []


def strings(text: str) -> str:
    """The literals of a file, without its comments and documentation."""
    text = re.sub(r'"""(?:.|\n)*?"""', "", text)
    return "\n".join(line.partition("# ")[0] for line in text.splitlines())


@pytest.mark.parametrize("network", ["", "blue", "a.b-c_d:e"])
def test_an_alias_names_its_network(network: str) -> None:
    assert label_of(alias(network)) == network
    assert alias(network).startswith(marks.COLLECTION)


@pytest.mark.parametrize("project", ["default", "shop", "a.b-c_d"])
@pytest.mark.parametrize("network", ["", "blue", "a.b-c_d"])
def test_a_label_tells_network_and_project(network: str, project: str) -> None:
    noted = label(network, project)

    assert (name_of(noted), project_of(noted)) == (network, project)
    assert label_of(alias(noted)) == noted


def test_the_default_project_is_not_noted_so_that_older_networks_belong_to_it() -> None:
    assert label("blue") == label("blue", "default") == "blue"
    assert project_of("blue") == project_of("") == "default"


@pytest.mark.parametrize("other", ["", "somebody", "dockerless.networks:blue", "dockerless.network"])
def test_an_alias_of_somebody_else_names_none(other: str) -> None:
    assert label_of(other) == ""


@pytest.mark.parametrize("network", ["", "blue", "blue@shop"])
def test_an_alias_of_a_namespace_tells_its_network_and_its_name(network: str) -> None:
    found = namespace_alias(network, "a:b@c.d")

    assert (label_of(found), namespace_of(found)) == (network, "a:b@c.d")
    assert (label_of(alias(network)), namespace_of(alias(network))) == (network, "")
    assert namespace_of("somebody/web") == ""


@pytest.mark.parametrize("network", ["", "blue", "blue@shop"])
def test_the_alias_of_a_removed_namespace_tells_the_same_and_that(network: str) -> None:
    before = namespace_alias(network, "web")
    found = removed_alias(before)

    assert (label_of(found), namespace_of(found)) == (network, "web")
    assert is_removed(found) and not is_removed(before) and removed_alias(found) == found
    assert not is_removed(removed_alias(alias(network))) and removed_alias("somebody") == "somebody"
    assert namespace_of(removed_alias(namespace_alias("", "w" * 235))) == ""
