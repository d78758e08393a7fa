# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of ours that somebody has removed or altered, as network_info tells of them. All damage to a real packet filter
is in tests/behaviour/test_faults.py."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Request, RuleKind, run
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.kinds.altered_rules import RULE_KINDS
from ansible_collections.dockerless.network.plugins.module_utils.kinds.boot import Boot, BootKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind
from ansible_collections.dockerless.network.plugins.module_utils.model import Route
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.network_lists import (
    network_lists,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.nft_in_memory import Memory
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    once,
    world,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.tries import tries

Facts = dict[str, Any]

BLUE: Facts = {
    "name": "blue",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [{"name": "web", "addresses": ["10.20.0.2"], "publish": ["8080:80", "8081:81"]}],
}
VAULT: Facts = {"name": "vault", "subnets": ["10.22.0.0/24"], "internal": True, "endpoints": [{"name": "hsm"}]}
OBJECTS = [
    "firewall of bridge br-blue",
    "firewall of bridge br-vault",
    "masquerade of 10.20.0.0/24 by !br-blue",
    "port 8080/tcp (IPv4)",
    "port 8081/tcp (IPv4)",
]


def new_host(*networks: Facts, boot: object = "auto", **how: Any) -> MemoryHost:
    host = MemoryHost()
    host.systemd = True
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    host.uplink("eth9", 1500)
    make_networks(networks, world(host), Scope(**{"prune": "project", **how}), boot)
    return host


def altered(host: MemoryHost) -> list[str]:
    found = facts(world(host))["altered"]
    assert isinstance(found, list)
    return found


@settings(max_examples=tries(25))
@given(network_lists())
def test_nothing_is_told_after_a_run(networks: list[Facts]) -> None:
    for boot in ("auto", False):
        assert altered(new_host(*networks, boot=boot)) == []


@pytest.mark.parametrize("policy", ["auto", "drop", "unmanaged"])
def test_nothing_is_told_of_single_modules_and_of_two_projects(policy: str) -> None:
    host = new_host(BLUE, forward_policy=policy)
    make_networks([VAULT], world(host), Scope(prune="project", project="other"), "auto")
    assert altered(host) == []

    kept = Request(BootKind(), Boot())
    run([ask(BridgeFirewallKind(), {"bridge": "br-blue", "network": "blue"}, "absent"), kept], world(host))
    run([ask(SysctlForwardKind(), {"forward_policy": "drop"}), kept], world(host))

    assert altered(host) == []


@pytest.mark.parametrize("boot", ["auto", False])
@pytest.mark.parametrize("name", ["guard", "leaving", "entering", "into"])
def test_a_chain_that_was_emptied_or_accepts_all_is_told_by_its_name(name: str, boot: object) -> None:
    host = new_host(BLUE, VAULT, boot=boot)
    hook, rules = host.nft.chains[name]

    for text in ([], ["accept", *rules]):
        host.nft.chains[name] = (hook, text)
        assert altered(host) == ["chain inet dockerless %s" % name]


def test_a_set_that_was_emptied_is_told_by_its_name() -> None:
    host = new_host(BLUE)
    host.nft.sets["watched4"].elements.clear()

    assert altered(host) == ["set inet dockerless watched4"]


def test_a_table_that_is_gone_is_told_by_the_objects_that_had_rules_there() -> None:
    host = new_host(BLUE, VAULT)
    host.nft = Memory()
    assert altered(host) == [*OBJECTS, "chain inet dockerless foreign"]

    make_networks([BLUE, VAULT], world(host), Scope(prune="project"), "auto")
    assert altered(host) == []

    many = new_host({**BLUE, "endpoints": [{"name": "web", "publish": ["%d:80" % n for n in range(8080, 8100)]}]})
    many.nft = Memory()
    assert len(altered(many)) == 9 and altered(many)[-1] == "and 15 more"


def test_a_port_or_an_option_of_a_policy_that_is_gone_is_told_by_what_is_kept_for_the_boot() -> None:
    host = new_host(BLUE, VAULT, {**VAULT, "name": "safe", "subnets": ["10.23.0.0/24"], "endpoints": []})
    del host.nft.sets["publish4"].elements["tcp . 8081"]
    del host.nft.sets["internal"].elements['"br-safe"']

    assert altered(host) == ["firewall of bridge br-safe", "port 8081/tcp (IPv4)"]


def test_where_nothing_is_kept_for_the_boot_bridges_and_forwarding_are_told() -> None:
    host = new_host(BLUE, VAULT, boot=False, forward_policy="drop")
    host.nft = Memory()

    assert altered(host) == [*OBJECTS[:2], "chain inet dockerless foreign"]


def test_rules_that_the_packet_filter_cannot_show_are_not_told_of() -> None:
    assert facts(world(new_host(BLUE), works=False))["altered"] == []


def test_a_bridge_that_a_module_made_without_rules_has_none_missing() -> None:
    host = new_host()
    host.make_link(host.host, "br0", kind="bridge")
    once(host, ask(BridgeFirewallKind(), {"bridge": "br0", "network": "blue"}))
    once(host, ask(BridgeFirewallKind(), {"bridge": "br0", "network": "blue"}, "absent"))

    assert altered(host) == []


def test_all_kinds_of_rules_are_compared() -> None:
    assert {row.name for row in ROWS if isinstance(row.load(), RuleKind)} == set(RULE_KINDS)
