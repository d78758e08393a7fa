# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from ansible_collections.dockerless.network.plugins.filter import role_variables as module
from ansible_collections.dockerless.network.plugins.plugin_utils.role_variables import KNOWN, unknown

ROOT = Path(__file__).resolve().parents[4]


def test_all_variables_of_the_role_and_the_playbooks_are_known() -> None:
    specs = yaml.safe_load((ROOT / "roles/bridge_network/meta/argument_specs.yml").read_text())
    options = set(specs["argument_specs"]["main"]["options"])
    places = [
        *(ROOT / "playbooks").rglob("*.yml"),
        *(ROOT / "roles").rglob("*.yml"),
        *(ROOT / "molecule").rglob("*.yml"),
    ]
    used = {name for path in places for name in re.findall(r"(?<![\w.])bridge_network_\w*[a-z]\b", path.read_text())}

    assert options <= KNOWN
    assert used - KNOWN == set()
    assert not list(unknown([*KNOWN, "bridge_networks", "ansible_host", "__bridge_network_plan"]))


def test_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(module, "Display", lambda: SimpleNamespace(warning=said.append))
    check = module.FilterModule().filters()["role_variables"]

    assert check(["bridge_network_prun", "bridge_network_state", "bridge_network_cidr_of_us"]) is True
    assert said == [
        "The role bridge_network has no variable bridge_network_cidr_of_us, and ignores it; give a variable of your own"
        " another prefix.",
        "The role bridge_network has no variable bridge_network_prun, and ignores it; did you mean"
        " bridge_network_prune?",
    ]
