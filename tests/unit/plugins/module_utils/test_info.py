# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a host in memory, and the way to JSON and back that it takes when the role goes step by step."""

from __future__ import annotations

import contextlib
import json
from ipaddress import ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.gather import gather
from ansible_collections.dockerless.network.plugins.module_utils.info import facts, spell
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    HOST,
    Conflict,
    InvalidRequest,
    Place,
    Route,
)
from ansible_collections.dockerless.network.plugins.module_utils.records import replace
from ansible_collections.dockerless.network.plugins.module_utils.report import EndpointReport, HostReport
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.network_lists import (
    network_lists,
    successors,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.role_host import (
    compose as by_info,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import POLICY, PORT
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
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [
        {
            "name": "web",
            "addresses": ["10.20.0.2", "fd00:20::2"],
            "publish": ["8080:80", "127.0.0.1:9000:9000"],
        },
        {"name": "vm", "pid": 7},
    ],
}
RED: Facts = {"name": "red", "subnets": ["10.21.0.0/24"], "internal": True, "endpoints": [{"name": "web"}]}


def new_host(*networks: Facts) -> MemoryHost:
    host = MemoryHost()
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    host.uplink("eth9", 1500)
    host.start_process(7)
    make_networks(networks, world(host), Scope(prune="project"))
    return host


def read_again(report: HostReport) -> HostReport:
    """By way of JSON, as Ansible takes it to the controller."""
    return read_report(json.loads(json.dumps(spell(report))))


def without_texts(report: HostReport) -> HostReport:
    """Files are told by their paths: what is in them is long, and decided on the host."""
    return replace(report, files=tuple(replace(file, text="") for file in report.files))


# ---- to JSON


def test_every_key_that_is_promised() -> None:
    host = new_host({**BLUE, "endpoints": BLUE["endpoints"][:1]})

    ports = [
        {**PORT, "host_ip": "127.0.0.1", "host_port": "9000", "container_port": "9000"},
        PORT,
        {**PORT, "container_ip": "fd00:20::2"},
    ]
    use = {"protocol": "tcp", "heard": False, "silent": [], "elsewhere": []}
    masquerade = {"out_interface": "!br-blue", "exclude": [], "random_fully": False, "network": "blue"}
    masquerades = [{**masquerade, "source": source} for source in ("10.20.0.0/24", "fd00:20::/64")]
    peer = host.space(Place(netns="web")).links["eth0"]
    assert facts(world(host)) == {
        "networks": [
            {
                "name": "blue",
                "network": "blue",
                "project": "default",
                "bridge": "br-blue",
                "present": True,
                "ours": True,
                "unmarked": False,
                "addresses": ["10.20.0.1/24", "fd00:20::1/64"],
                "subnets": ["10.20.0.0/24", "fd00:20::/64"],
                "mtu": 1500,
                "policy": POLICY,
                "endpoints": [
                    {
                        "veth": "v-blue-web",
                        "network": "blue",
                        "project": "default",
                        "isolated": False,
                        "up": True,
                        "name": "web",
                        "netns": "web",
                        "pid": None,
                        "lost_name": None,
                        "interface": "eth0",
                        "addresses": ["10.20.0.2/24", "fd00:20::2/64"],
                        "mac_address": peer.mac_address,
                        "names": ["web", "web.blue"],
                        "dns": False,
                        "services": [],
                        "processes": [],
                        "default_routes": [4, 6],
                        "troubles": [],
                        "ports": [
                            {**use, "container_ip": address, "container_port": port}
                            for address, port in (("10.20.0.2", "9000"), ("10.20.0.2", "80"), ("fd00:20::2", "80"))
                        ],
                    }
                ],
                "ports": ports,
                "masquerades": masquerades,
                "drops": [],
            }
        ],
        "lost": [],
        "unplugged": [],
        "namespaces": [
            {"name": "web", "network": "blue", "project": "default", "ours": True, "unmarked": False, "sysctls": {}}
        ],
        "files": [
            {"path": "/etc/netns/web/%s" % name, "network": "blue", "project": "default"}
            for name in ("hosts", "resolv.conf")
        ],
        "services": [],
        "ports": ports,
        "masquerades": masquerades,
        "forwarding": {"ipv4": True, "ipv6": True, "forward_policy": "auto"},
        "uplinks": {"ipv4": "eth0", "ipv6": "eth0"},
        "uplink_addresses": [],
        "backend": "nftables",
        "at_boot": "no: nothing is kept for it",
        "foreign": [],
        "possible_drops": [],
        "more_possible_drops": 0,
        "absent_interfaces": [],
        "altered": [],
        "drops": [],
        "listening": [],
        "addresses": ["10.20.0.1/24", "fd00:20::1/64"],
        "routed_subnets": ["10.20.0.0/24"],
        "reserved_ports": "",
    }


@pytest.mark.parametrize("name", ["red", "br-red"])
def test_one_network_by_its_name_or_its_bridge(name: str) -> None:
    found = facts(world(new_host(BLUE, RED)), name)

    assert [network["name"] for network in found["networks"]] == ["red"]
    assert (found["ports"], found["masquerades"]) == ([], [])


def test_an_endpoint_that_cannot_be_found_has_no_more_than_its_veth_pair() -> None:
    host = new_host(BLUE)
    host.space(Place(pid=7)).processes.clear()

    [endpoint] = [item for item in facts(world(host))["networks"][0]["endpoints"] if item["name"] is None]

    assert {key for key, value in endpoint.items() if value in (None, [])} == {
        "name",
        "netns",
        "pid",
        "lost_name",
        "interface",
        "addresses",
        "mac_address",
        "default_routes",
        "services",
        "processes",
        "troubles",
        "ports",
        "names",
    }


def test_the_name_of_a_network_whose_bridge_has_no_alias_yet_is_in_its_rules() -> None:
    host = new_host(BLUE)
    host.change_link(HOST, "br-blue", alias="")
    host.change_link(HOST, "v-blue-web", alias="")

    [network] = gather(world(host)).networks

    assert network.name == "blue"
    assert [endpoint.network for endpoint in network.endpoints] == ["blue", "blue"]


def test_rules_of_a_bridge_that_is_gone_and_a_bridge_of_others() -> None:
    host = new_host()
    host.make_link(host.host, "br0", kind="bridge", addresses=(ip_interface("10.9.0.1/24"),))
    make_networks([{**BLUE, "endpoints": []}, {**RED, "bridge": "br0", "subnets": ["10.9.0.0/24"]}], world(host))
    host.remove_link(host.host, "br-blue")

    gone, used = gather(world(host)).networks

    assert (gone.bridge, gone.present, gone.ours, gone.mtu) == ("br-blue", False, False, None)
    assert [str(subnet) for subnet in gone.subnets] == BLUE["subnets"]
    assert (used.bridge, used.present, used.ours, used.network) == ("br0", True, False, "red")


def test_without_a_packet_filter_the_rest_is_told() -> None:
    report = gather(world(new_host(BLUE), works=False))

    assert (report.backend, report.ports, report.masquerades) == (None, (), ())
    assert [(network.name, network.policy) for network in report.networks] == [("blue", None)]


# ---- and back


def test_what_is_not_in_the_json_is_not_there() -> None:
    assert read_report({}) == HostReport(uplinks={})


@settings(max_examples=tries(25))
@given(st.data())
def test_json_says_all_that_the_report_says(data: Any) -> None:
    networks = data.draw(network_lists())
    host = new_host(BLUE) if data.draw(st.booleans()) else new_host()
    prune = st.sampled_from(["listed", "project", "none"])
    # what stays may be in the way; then the host is as it was
    with contextlib.suppress(InvalidRequest):
        make_networks(networks, world(host), Scope(prune="none" if networks and host.names else "project"))
    with contextlib.suppress(Conflict, InvalidRequest):
        make_networks(data.draw(successors(networks)), world(host), Scope(prune=data.draw(prune)))

    report = gather(world(host))

    assert read_again(report) == without_texts(report)


def test_flows_to_subnets_that_changed_later_can_be_read() -> None:
    host = new_host()
    host.make_link(host.host, "br0", kind="bridge", addresses=(ip_interface("10.9.0.1/24"),))
    once(host, ask(BridgeFirewallKind(), {"bridge": "br0", "allow": [{"to": "10.8.0.2/32"}]}))

    report = gather(world(host))

    assert [str(flow.to) for network in report.networks if network.policy for flow in network.policy.allow] == [
        "10.8.0.2/32"
    ]
    assert read_again(report) == without_texts(report)


def test_an_endpoint_nowhere_is_read_as_one() -> None:
    host = new_host(BLUE)
    host.space(Place(pid=7)).processes.clear()

    report = gather(world(host))

    assert EndpointReport("v-blue-vm", "blue") in report.networks[0].endpoints
    assert read_again(report) == without_texts(report)


def test_a_port_is_chosen_alike_from_what_network_info_returned() -> None:
    networks = [{**RED, "endpoints": [{"name": "web", "publish": ["80", "81"]}]}]
    host = new_host()
    host.listeners.update({("tcp", 49153): "sshd", ("udp", 49154): "dns"})
    host.host.sysctls["net/ipv4/ip_local_reserved_ports"] = "49155"
    info = json.loads(json.dumps(facts(world(host))))

    asked = by_info(networks, info)["present"]["port_publish"]

    once(host, *[ask(PortPublishKind(), item) for item in asked])
    assert [item["host_port"] for item in asked] == ["49154", "49156"]
    assert info["listening"][0] == {"protocol": "tcp", "port": 49153, "address": "::", "ip_versions": [4, 6]}
