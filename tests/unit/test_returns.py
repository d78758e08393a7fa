# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules return what their documentation promises, key by key and type by type."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome
from ansible_collections.dockerless.network.plugins.module_utils.entry import result
from ansible_collections.dockerless.network.plugins.module_utils.info import facts, spell
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS
from ansible_collections.dockerless.network.plugins.module_utils.model import Place, PossibleDrop, Route
from ansible_collections.dockerless.network.plugins.module_utils.path.packet import Packet
from ansible_collections.dockerless.network.plugins.module_utils.path.question import Start
from ansible_collections.dockerless.network.plugins.module_utils.path.question import answer as path_answer
from ansible_collections.dockerless.network.plugins.module_utils.path.trail import Oracle, Trail, Verdict
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world

Facts = dict[str, Any]

MODULES = Path(__file__).resolve().parents[2] / "plugins" / "modules"
TYPES = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
# Every option of a network that shows in what is returned; the default project does not.
NETWORKS: list[Facts] = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24"],
        "mtu": 1400,
        "icc": False,
        "direct_access": True,
        "trusted_interfaces": ["eth9"],
        "host_access": "deny",
        "allow": [
            {"from": "192.0.2.50", "to": "10.20.0.10", "protocol": "tcp", "port": "9100"},
            {"to": "host", "protocol": "udp", "port": "53"},
        ],
        "masquerade": {"out_interface": "eth9", "exclude": ["10.0.0.0/8"], "to_source": "192.0.2.7"},
        "endpoints": [
            {
                "name": "web",
                "mac_address": "02:00:00:00:00:01",
                "services": ["nginx"],
                "publish": [
                    "127.0.0.1:9000:9000",
                    {"host_port": 8080, "allowed_sources": ["198.51.100.0/24"], "in_interfaces": ["eth9"]},
                ],
            }
        ],
    }
]
# The kind of an object, by the first word of its title.
KINDS = {
    "bridge": "bridge",
    "namespace": "netns",
    "veth": "veth",
    "firewall": "bridge_firewall",
    "masquerade": "nat_masquerade",
    "port": "port_publish",
    "forwarding": "sysctl_forward",
    "file": "",  # has no module of its own
    "unit": "endpoint_service",
}
# Only single modules return these; a whole network has none.
ELSEWHERE = {
    ("veth", "addresses"),
    ("veth", "peer", "pid"),
    ("veth", "peer", "source_gateways"),
    ("netns", "sysctls"),
    ("network_info", "check_mode"),
    *(
        (*place, "drops", key)
        for place in (("network_info",), ("network_info", "networks"))
        for key in ("reason", "packets")
    ),
    *(("network_info", "possible_drops", field.name) for field in fields(PossibleDrop)),  # the next test has one
}


def returned(module: str) -> Facts:
    found = re.search(r'RETURN = r"""\n(.*?)"""', (MODULES / f"{module}.py").read_text(), re.DOTALL)
    assert found is not None
    return dict(yaml.safe_load(found[1]))


@pytest.fixture(scope="module")
def host() -> MemoryHost:
    made = MemoryHost()
    made.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    made.uplink("eth9", 1500)
    made.listeners["tcp", 22] = "sshd"
    made.systemd = True
    made.pid1.install("nginx.service", runs=True)
    made.files.update({"/etc/netns/web/hosts": "", "/etc/hosts": ""})
    make_networks(NETWORKS, world(made), Scope("shop"))
    made.create_namespace("old", "dockerless.network/old")
    for pid, name in enumerate(("web", "old"), 7):
        made.space(Place(netns=name)).processes.append(pid)
    made.delete_namespace("old")
    return made


def compare(values: Sequence[Mapping[str, Any]], contains: Mapping[str, Any], place: tuple[str, ...]) -> None:
    """All keys of ``values`` are documented, all that is documented is there, and types are as documented."""
    keys = {key for value in values for key in value}
    missing = {key for key in contains if (*place, key) not in ELSEWHERE} - keys
    assert keys <= set(contains) and not missing, (place, keys ^ set(contains))
    for key in keys:
        about, here = contains[key], [value[key] for value in values if value.get(key) is not None]
        assert all(item.__class__ is TYPES[about["type"]] for item in here), (place, key)
        if about["type"] == "list":
            items = [item for value in here for item in value]
            assert all(item.__class__ is TYPES[about["elements"]] for item in items), (place, key)
        else:
            items = here
        if about.get("contains") and about["type"] in ("list", "dict"):
            compare(items, about["contains"], (*place, key))


def test_network_info(host: MemoryHost) -> None:
    compare([facts(world(host))], returned("network_info"), ("network_info",))


def test_a_rule_that_may_drop_our_packets() -> None:
    rule = PossibleDrop("drop", "table inet mine", "forward", "what goes", "Docker", 7, 3, ("limit",), "change it")
    found: Any = spell(HostReport(possible_drops=(rule,)))["possible_drops"]
    about = returned("network_info")["possible_drops"]["contains"]
    compare(found, about, ("network_info", "possible_drops"))
    assert found[0].keys() == about.keys()


def test_path_check() -> None:
    node: Any = SimpleNamespace(name="web", is_host=False, nics={"eth0": SimpleNamespace(is_ours=True)})
    topology: Any = SimpleNamespace(at=lambda place: (node, None))
    packet = Packet(source=ip_address("10.20.0.2"), to=ip_address("203.0.113.1"), dport=443)
    trail = Trail(Oracle())
    trail.note(node, packet, "route", "203.0.113.1", "by eth0")

    verdict = Verdict("lost", "route", "web", "no route", "Run the role again.")
    found = path_answer(verdict, trail, Start(node, packet), topology)

    # Without a real packet, the lists of what was seen are empty.
    about = {key: value if found[key] else {**value, "contains": None} for key, value in returned("path_check").items()}
    compare([found], about, ("path_check",))


def test_the_objects_of_every_module(host: MemoryHost) -> None:
    objects: dict[str, list[Facts]] = {}
    for item in make_networks(NETWORKS, world(host), Scope("shop")).objects:
        objects.setdefault(KINDS[item["title"].split()[0]], []).append(item)

    assert set(objects) == set(KINDS.values())
    for name, items in objects.items():
        module = name or "bridge_network"
        compare(items, returned(module)["objects"]["contains"], (module,))
        common = returned("bridge_network")["objects"]["contains"]
        assert {key: about["type"] for key, about in common.items() if key in items[0]} == {
            key: returned(module)["objects"]["contains"][key]["type"] for key in common if key in items[0]
        }


@pytest.mark.parametrize("module", [*filter(None, KINDS.values()), "bridge_network"])
def test_every_module_returns_the_same_things(module: str) -> None:
    # Ansible itself documents these two.
    further = {row.name: row.load().returns for row in ROWS}.get(module, ("recreated", "services", "predicted"))
    assert set(returned(module)) == set(result(Outcome(), further)) - {"changed", "diff"}
    assert {"title", "state"} <= set(returned(module)["objects"]["contains"])
