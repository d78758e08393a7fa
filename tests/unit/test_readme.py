# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of README about the tests are true."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.dockerless.network.plugins.module_utils.composition.spec import read_networks
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST, Listener, Place, Route
from ansible_collections.dockerless.network.plugins.plugin_utils.picture import picture
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def behaviour_tests() -> set[str]:
    """The behaviour tests, those of a class by Class::test."""
    found = set()
    for path in (ROOT / "tests" / "behaviour").glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}::{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
            elif isinstance(node, ast.FunctionDef):
                found.add(node.name)
    return found


def test_every_protection_names_tests_that_there_are() -> None:
    section = README.partition("## Protections\n")[2].partition("\n## ")[0]
    rows = [row for row in section.splitlines() if row.startswith("| ")][2:]
    assert len(rows) > 30
    there = behaviour_tests()
    for row in rows:
        *unused, last = row.strip("| ").split(" | ")
        named = re.findall(r"`([^`]+)`", last)
        assert named and set(named) <= there, row


def test_the_picture_is_what_show_draws_of_the_example() -> None:
    """A host with the addresses of the lab's h1, on which nginx runs in the endpoint."""
    play, *unused = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
    host = MemoryHost()
    host.systemd = True
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    addresses = tuple(map(ip_interface, ("192.0.2.11/24", "2001:db8:1::11/64")))
    host.change_link(HOST, "eth0", addresses=addresses)
    networks = play[0]["roles"][0]["vars"]["bridge_network_networks"]
    make_networks(networks, world(host), at_boot="auto")
    web = host.space(Place(netns="web"))
    web.processes.append(7)
    host.units[7] = "nginx.service"
    web.listeners["tcp"] = [Listener("tcp", 80, ip_address("::"), (4, 6))]

    drawn = picture(read_report(json.loads(json.dumps(facts(world(host))))), "h1")

    shown = README.partition("```\nh1  forwards")[2].partition("```")[0]
    assert "\n".join(drawn).splitlines() == f"h1  forwards{shown}".splitlines()


def plays() -> Iterator[tuple[str, dict[str, Any]]]:
    """Those that we ship and those that we show, but for parts of plays."""
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        yield from ((path.name, play) for play in yaml.safe_load(path.read_text()) if "hosts" in play)
    for path in (ROOT / "README.md", ROOT / "roles" / "bridge_network" / "README.md"):
        for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL):
            found = yaml.safe_load(block)
            yield from ((path.name, item) for item in found if isinstance(item, dict) and "hosts" in item)


def test_no_play_of_ours_gathers_facts() -> None:
    """On a host with hundreds of interfaces that takes many times as long as the role."""
    found = list(plays())

    assert {"README.md", "up.yml", "purge.yml"} <= {name for name, unused in found}
    assert [name for name, play in found if play.get("gather_facts") is not False] == []


def test_every_list_of_networks_in_a_paragraph_can_be_read() -> None:
    pages = [README, (ROOT / "roles" / "bridge_network" / "README.md").read_text()]
    blocks = [block for page in pages for block in re.findall(r"\n\n((?: {4}.*\n)+)", page)]
    lists = [textwrap.dedent(block) for block in blocks if block.lstrip().startswith("bridge_network_networks:")]
    assert lists
    for text in lists:
        read_networks(yaml.safe_load(text)["bridge_network_networks"])
