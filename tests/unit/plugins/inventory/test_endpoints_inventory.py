# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.dockerless.network.plugins.inventory import endpoints as module

PLUGIN = {"plugin": "dockerless.network.endpoints"}
BLUE = {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web"}, {"name": "my-db"}]}
EDGE = {
    "edge": {
        "hosts": {"h1": {"ansible_user": "root"}, "h2.example.org": None},
        "vars": {"bridge_network_networks": [BLUE]},
    }
}


class Inventory:
    """The output of ansible-inventory for a folder of files, in a process of its own, as users run it."""

    def __init__(self, folder: Path, files: dict[str, Any], *arguments: str) -> None:
        for name, content in files.items():
            path = folder / "inventory" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        program = Path(sys.executable).with_name("ansible-inventory")
        if not program.exists():
            pytest.skip("no ansible-inventory beside this Python")
        collections = str(Path(module.__file__).parents[5])
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": collections,
            "ANSIBLE_DEPRECATION_WARNINGS": "false",
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "NO_COLOR": "1",
        }
        command = [str(program), "-i", str(folder / "inventory"), "--list", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
        self.code, self.said = done.returncode, " ".join(done.stderr.split())
        self.data: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}

    def members(self, group: str) -> set[str]:
        return set(self.data.get(group, {}).get("hosts", ()))

    def variables(self, host: str) -> dict[str, Any]:
        return {key: plain(value) for key, value in self.data["_meta"]["hostvars"].get(host, {}).items()}


def plain(value: Any) -> Any:
    """ansible-core 2.19 and later marks text that is no template."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value["__ansible_unsafe"] if isinstance(value, dict) and "__ansible_unsafe" in value else value


def test_groups_and_variables(tmp_path: Path) -> None:
    found = Inventory(tmp_path, {"a.yml": EDGE, "b.endpoints.yml": PLUGIN})
    assert "WARNING" not in found.said
    assert found.members("edge") == {"h1", "h2.example.org"}
    assert found.members("endpoint_web") == {"web.h1", "web.h2.example.org"}
    assert found.members("endpoint_my_db") == {"my-db.h1", "my-db.h2.example.org"}
    assert (
        found.members("endpoints")
        == found.members("network_blue")
        == {
            *found.members("endpoint_web"),
            *found.members("endpoint_my_db"),
        }
    )
    assert found.members("on_h1") == {"web.h1", "my-db.h1"}
    assert found.members("on_h2_example_org") == {"web.h2.example.org", "my-db.h2.example.org"}
    web = found.variables("web.h1")
    assert web.pop("ansible_host").startswith('{{ (hostvars["h1"].ansible_host | default("h1")) if (ansible_become')
    assert web == {
        "ansible_become": True,
        "ansible_become_method": "dockerless.network.netns",
        "ansible_netns": "web",
        "ansible_user": '{{ hostvars["h1"]["ansible_user"] }}',
        "endpoint_host": "h1",
        "endpoint_name": "web",
        "endpoint_networks": ["blue"],
    }


def test_all_sources_of_variables(tmp_path: Path) -> None:
    """Text with templates; files beside the inventory, the more specific one last; extra variables above all."""
    one, two = ({"bridge_network_networks": [{"name": n, "endpoints": [{"name": "{{ word }}"}]}]} for n in "xy")
    files = {
        "a.yml": {"edge": {"hosts": {"h1": {"word": "first"}, "h2": {"word": "second"}}}},
        "group_vars/edge.yml": one,
        "host_vars/h2.yml": two,
        "z.endpoints.yaml": PLUGIN,
    }
    found = Inventory(tmp_path, files)
    assert (found.members("network_x"), found.members("network_y")) == ({"first.h1"}, {"second.h2"})
    found = Inventory(tmp_path, {}, "-e", json.dumps({"word": "extra"}))
    assert found.members("endpoints") == {"extra.h1", "extra.h2"}


def test_variables_of_all_are_not_taken_for_an_endpoints_own(tmp_path: Path) -> None:
    files = {
        "a.yml": {"all": {"hosts": {"h1": None}, "vars": {"bridge_network_networks": [BLUE]}}},
        "b.endpoints.yml": PLUGIN,
        "c.endpoints.yml": PLUGIN,
    }
    found = Inventory(tmp_path, files)
    assert "WARNING" not in found.said and found.members("endpoints") == {"web.h1", "my-db.h1"}


def test_a_file_before_the_hosts_is_told(tmp_path: Path) -> None:
    found = Inventory(tmp_path, {"a.endpoints.yml": PLUGIN, "b.yml": EDGE})
    assert "a.endpoints.yml: no host has the variable bridge_network_networks here" in found.said
    assert not found.members("endpoints")


def test_a_host_of_that_name_stays_what_it_is(tmp_path: Path) -> None:
    files = {"a.yml": {**EDGE, "other": {"hosts": {"web.h1": {"ansible_user": "me"}}}}, "b.endpoints.yml": PLUGIN}
    found = Inventory(tmp_path, files)
    assert "endpoint web is left out, as there is a host web.h1 already" in found.said
    assert found.variables("web.h1") == {"ansible_user": "me"}
    assert found.members("endpoint_web") == {"web.h2.example.org"}


def test_what_needs_facts_is_left_out_or_refused(tmp_path: Path) -> None:
    unknown = {"name": "blue", "endpoints": [{"name": "{{ ansible_facts.hostname }}"}]}
    files = {"a.yml": {"edge": {"hosts": {"h1": {"bridge_network_networks": [unknown]}}}}, "b.endpoints.yml": PLUGIN}
    found = Inventory(tmp_path, files)
    assert "host h1: its endpoints are left out, as bridge_network_networks cannot be known" in found.said
    assert found.code == 0 and not found.members("endpoints")
    strict = Inventory(tmp_path, {"b.endpoints.yml": {**PLUGIN, "strict": True}})
    assert strict.code != 0 and "cannot be known from the inventory alone" in strict.said


def test_constructed_groups_and_variables(tmp_path: Path) -> None:
    """The documented behaviour of groups with the bare names."""
    keyed = {"key": "endpoint_name", "prefix": "", "separator": ""}
    more = {"keyed_groups": [keyed], "groups": {"webs": "endpoint_name == 'web'"}, "compose": {"twin": "endpoint_host"}}
    found = Inventory(tmp_path, {"a.yml": EDGE, "b.endpoints.yml": {**PLUGIN, **more}})
    assert found.members("web") == found.members("webs") == {"web.h1", "web.h2.example.org"}
    assert found.variables("web.h1")["twin"] == "h1"


def test_the_documented_inventory_is_one(tmp_path: Path) -> None:
    hosts, plugin, unused, more = module.EXAMPLES.split("---\n")
    found = Inventory(tmp_path, {"hosts.yml": hosts, "networks.endpoints.yml": plugin})
    assert found.members("endpoint_web") == {"web.h1", "web.h2"}
    found = Inventory(tmp_path, {"networks.endpoints.yml": more})
    assert found.members("web") == {"web.h1", "web.h2"}
