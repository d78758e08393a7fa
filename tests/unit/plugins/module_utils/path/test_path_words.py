# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdicts and the layers are closed lists: the same in the code, in the documentation and in the design."""

from __future__ import annotations

import importlib
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.dockerless.network.plugins.module_utils.path import words

DOCS = Path(__file__).resolve().parents[5] / "docs"
# part 7.3 of the design: a promise to users
VERDICTS = "arrives, refused, lost, unanswered, unknown"
LAYERS = (
    "link, address, route, neighbour, bridge_port, forwarding, reverse_path, firewall, masquerade, publish, mtu,"
    " conntrack, uplink, upstream, service"
)


@pytest.fixture(scope="module")
def returned() -> dict[str, t.Any]:
    name = "ansible_collections.dockerless.network.plugins.modules.path_check"
    found: dict[str, t.Any] = yaml.safe_load(importlib.import_module(name).RETURN)
    return found


def test_the_verdicts(returned: dict[str, t.Any]) -> None:
    told = [re.match(r"V\((\w+)\)", line) for line in returned["verdict"]["description"]]

    assert ", ".join(words.ENDINGS) == VERDICTS
    assert [line and line[1] for line in told] == list(words.ENDINGS)


def test_the_layers(returned: dict[str, t.Any]) -> None:
    assert ", ".join(words.LAYERS) == LAYERS
    assert returned["layer"]["choices"] == list(words.LAYERS)


def test_the_guide_and_the_page_know_no_other_layer() -> None:
    rows = [line.split(" | ") for line in (DOCS / "path_check.md").read_text().splitlines() if line.count(" | ") == 3]
    of_page = {layer for row in rows[2:] for layer in row[1].split(", ")}
    guide = (DOCS / "docsite" / "rst" / "guide.rst").read_text().partition("From a symptom to its layer")[2]
    of_guide = {row[1] for row in re.finditer(r"\n     - ``(\w+)``\n", guide)}

    assert of_page == set(words.LAYERS)
    assert of_guide and of_guide <= set(words.LAYERS)
