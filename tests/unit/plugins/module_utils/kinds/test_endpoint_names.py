# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Kind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.endpoint_names import EndpointNames, has_names
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest, Place
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world

DB = {"name": "db", "addresses": ["10.20.0.5", "fd00:20::5"]}
NETWORKS: list[dict[str, Any]] = [
    {
        "name": "front",
        "subnets": ["10.10.0.0/24"],
        "endpoints": [{"name": "app", "addresses": ["10.10.0.7"]}, {"name": "old", "addresses": ["10.10.0.8"]}],
    },
    {
        "name": "back",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [DB, {"name": "app", "addresses": ["10.20.0.7", "fd00:20::7"]}],
    },
]


@pytest.fixture
def host() -> MemoryHost:
    made = MemoryHost()
    made.uplink("eth0", 1500)
    make_networks(NETWORKS, world(made))
    return made


def resolved(host: MemoryHost, kind: Kind[Any], **options: Any) -> dict[str, Any]:
    assert has_names(options, kind.NAMES)
    found = EndpointNames(world(host)).resolved(options, kind.NAMES, kind.FAMILY)
    kind.parse(found)
    return found


def test_a_port_leads_to_an_endpoint_and_is_open_for_others(host: MemoryHost) -> None:
    options = {"host_port": "80", "container_ip": "db", "allowed_sources": ["app.front", "192.0.2.0/24"]}

    found = resolved(host, PortPublishKind(), **options)
    assert (found["container_ip"], found["allowed_sources"]) == ("10.20.0.5", ["10.10.0.7/32", "192.0.2.0/24"])
    assert resolved(host, PortPublishKind(), **{**options, "allowed_sources": []})["container_ip"] == "10.20.0.5"


def test_of_two_families_it_takes_that_of_the_address_beside_it(host: MemoryHost) -> None:
    options = {"host_port": "80", "host_ip": "2001:db8::1", "container_ip": "db", "allowed_sources": ["db"]}

    found = resolved(host, PortPublishKind(), **options)
    assert (found["container_ip"], found["allowed_sources"]) == ("fd00:20::5", ["fd00:20::5/128"])
    assert resolved(host, NatMasqueradeKind(), source="fd00:30::/64", exclude=["db"])["exclude"] == ["fd00:20::5/128"]


def test_a_name_leads_to_the_address_that_an_endpoint_had_first(host: MemoryHost) -> None:
    host.stack(Place("db")).add_address("eth0", ip_interface("fd00:20::201/64"))
    options = {"host_port": "80", "host_ip": "2001:db8::1", "container_ip": "db"}

    assert resolved(host, PortPublishKind(), **options)["container_ip"] == "fd00:20::5"


def test_a_flow_once_for_each_pair_of_one_family(host: MemoryHost) -> None:
    flows = [{"from": "app", "to": "db.back", "protocol": "tcp", "port": "5432"}, {"to": "db"}, {"to": "10.20.0.9"}]

    found = resolved(host, BridgeFirewallKind(), bridge="br-back", allow=flows)["allow"]
    assert [(flow.get("from"), flow["to"], flow.get("port")) for flow in found] == [
        ("10.10.0.7/32", "10.20.0.5/32", "5432"),
        ("10.20.0.7/32", "10.20.0.5/32", "5432"),
        ("fd00:20::7/128", "fd00:20::5/128", "5432"),
        (None, "10.20.0.5/32", None),
        (None, "fd00:20::5/128", None),
        (None, "10.20.0.9", None),
    ]


def test_a_route_leads_to_an_endpoint_and_by_one(host: MemoryHost) -> None:
    routes = [
        {"to": "db", "via": "app.back", "metric": 7},
        {"to": "default", "via": "app.back"},
        {"to": "192.0.2.0/24", "via": "app.back"},
        {"to": "app.front"},
        {"to": "198.51.100.0/24"},
    ]
    peer = {"netns": "new", "addresses": ["10.20.0.9/24", "fd00:20::9/64"], "routes": routes}

    found = resolved(host, VethKind(), name="v-new", bridge="br-back", peer=peer)["peer"]
    assert [(route["to"], route.get("via")) for route in found["routes"]] == [
        ("10.20.0.5/32", "10.20.0.7"),
        ("fd00:20::5/128", "fd00:20::7"),
        ("default", "10.20.0.7"),
        ("default", "fd00:20::7"),
        ("192.0.2.0/24", "10.20.0.7"),
        ("10.10.0.7/32", None),
        ("198.51.100.0/24", None),
    ]
    assert found["routes"][0]["metric"] == 7 and found["netns"] == "new"
    for ready in ({"peer": None}, {"peer": {"routes": [{"to": "default", "via": "10.20.0.1"}]}}, {}):
        assert not has_names(ready, VethKind.NAMES)
    with pytest.raises(InvalidRequest, match="nothing leads to fd00:9::/64 by old; they share no address family"):
        resolved(host, VethKind(), name="v-new", peer={"netns": "new", "routes": [{"to": "fd00:9::/64", "via": "old"}]})


def test_an_endpoint_whose_address_ends_like_that_of_a_subnet_is_meant_by_its_name() -> None:
    host = MemoryHost()
    host.uplink("eth0", 1500)
    endpoints = [{"name": "odd", "addresses": ["10.20.1.0"]}]
    make_networks([{"name": "wide", "subnets": ["10.20.0.0/16"], "endpoints": endpoints}], world(host))

    options = {"host_port": "80", "container_ip": "odd", "allowed_sources": ["odd"]}
    assert resolved(host, PortPublishKind(), **options)["allowed_sources"] == ["10.20.1.0/32"]
    flow, route = {"from": "odd", "to": "odd"}, {"to": "odd", "via": "odd"}
    assert resolved(host, BridgeFirewallKind(), bridge="br-wide", allow=[flow])["allow"] == [
        {"from": "10.20.1.0/32", "to": "10.20.1.0/32"}
    ]
    peer = {"netns": "new", "addresses": ["10.20.0.9/16"], "routes": [route]}
    found = resolved(host, VethKind(), name="v-new", bridge="br-wide", peer=peer)["peer"]["routes"]
    assert found == [{"to": "10.20.1.0/32", "via": "10.20.1.0"}]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            BridgeFirewallKind(),
            {"bridge": "br-back", "allow": [{"to": "cache"}]},
            "allow.to: there is no endpoint cache on this host, which has app, db, old; make it first, or write its"
            " address.",
        ),
        (
            PortPublishKind(),
            {"host_port": "80", "container_ip": "db.front"},
            "container_ip: there is no endpoint db.front on this host, which has app, db, old; make it first, or write"
            " its address.",
        ),
        (
            PortPublishKind(),
            {"host_port": "80", "container_ip": "old", "host_ip": "2001:db8::1"},
            "container_ip: endpoint old has no address of the family of 2001:db8::1.",
        ),
        (
            BridgeFirewallKind(),
            {"bridge": "br-back", "allow": [{"from": "fd00:20::/64", "to": "old"}]},
            "allow: nothing flows from fd00:20::/64 to old; they share no address family.",
        ),
    ],
)
def test_what_cannot_be_resolved_is_refused(
    host: MemoryHost, kind: Kind[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolved(host, kind, **options)
    assert str(caught.value) == message


def test_a_name_that_leaves_nothing_of_the_family_must_not_open_the_port_to_all(host: MemoryHost) -> None:
    options = {"host_port": "80", "container_ip": "fd00:20::5", "allowed_sources": ["old"]}

    with pytest.raises(InvalidRequest, match="allowed_sources: endpoint old has no address of the family"):
        resolved(host, PortPublishKind(), **options)


def test_addresses_alone_need_no_look() -> None:
    options = {"container_ip": "10.20.0.5", "allowed_sources": ["10.0.0.0/8", "::/0", "1.2.3"]}

    assert not has_names(options, PortPublishKind.NAMES)
    assert not has_names({"allow": [{"from": None, "to": "10.20.0.5/32"}]}, BridgeFirewallKind.NAMES)
