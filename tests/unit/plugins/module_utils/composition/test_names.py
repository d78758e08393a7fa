# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of endpoints where addresses are wanted."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.compose import compose
from ansible_collections.dockerless.network.plugins.module_utils.composition.objects import Objects
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport

Facts = dict[str, Any]


def lists(**front: Any) -> list[Facts]:
    """A network of two families, and one of IPv4 only; app is in both."""
    return [
        {
            "name": "front",
            "subnets": ["10.30.0.0/24", "fd00:30::/64"],
            "endpoints": [
                {"name": "web", "addresses": ["10.30.0.10", "fd00:30::10"]},
                {"name": "app", "addresses": ["10.30.0.11", "fd00:30::11"], **front.pop("app", {})},
            ],
            **front,
        },
        {
            "name": "back",
            "subnets": ["10.31.0.0/24"],
            "endpoints": [
                {"name": "db", "addresses": ["10.31.0.20"]},
                {"name": "app", "addresses": ["10.31.0.11"]},
            ],
        },
    ]


def plan(networks: list[Facts]) -> Objects:
    return compose(networks, HostReport()).present


def opened(networks: list[Facts]) -> list[str]:
    """The flows that a policy of the first network opens."""
    flows = plan(networks).bridge_firewall[0].allow
    return ["%s > %s%s" % (flow.source, flow.to, " (host)" if flow.host else "") for flow in flows]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"to": "web"}, ["0.0.0.0/0 > 10.30.0.10/32", "::/0 > fd00:30::10/128"]),
        ({"to": "web.front", "from": "10.9.0.0/16"}, ["10.9.0.0/16 > 10.30.0.10/32"]),
        ({"to": "app", "from": "web"}, ["10.30.0.10/32 > 10.30.0.11/32", "fd00:30::10/128 > fd00:30::11/128"]),
        ({"to": "web", "from": "db"}, ["10.31.0.20/32 > 10.30.0.10/32"]),
        ({"to": "web", "from": "app.back"}, ["10.31.0.11/32 > 10.30.0.10/32"]),
        ({"to": "host"}, ["0.0.0.0/0 > 10.30.0.1/32 (host)", "::/0 > fd00:30::1/128 (host)"]),
        ({"to": "10.30.0.1", "from": "web"}, ["10.30.0.10/32 > 10.30.0.1/32 (host)"]),
        ({"to": "10.30.0.0/24"}, ["0.0.0.0/0 > 10.30.0.0/24"]),
    ],
)
def test_allow(entry: Facts, expected: list[str]) -> None:
    assert opened(lists(allow=[entry], host_access="deny")) == expected


def test_an_address_follows_its_endpoint() -> None:
    networks = lists(allow=[{"to": "app"}])
    del networks[0]["endpoints"][1]["addresses"]

    [veth] = [veth for veth in plan(networks).veth if veth.endpoint == "app" and veth.network == "front"]
    assert opened(networks) == [
        "%s > %s/%d" % ("::/0" if a.version == 6 else "0.0.0.0/0", a.ip, a.max_prefixlen)
        for a in veth.peer.addresses or ()
    ]


def test_allowed_sources() -> None:
    ports = plan(lists(app={"publish": [{"container_port": 80, "host_port": 80, "allowed_sources": ["db", "web"]}]}))

    assert [[str(source) for source in port.allowed_sources] for port in ports.port_publish] == [
        ["10.30.0.10/32", "10.31.0.20/32"],
        ["fd00:30::10/128"],
    ]


def test_allowed_sources_have_one_form() -> None:
    sources = ["fd00::/64", "192.0.2.128/25", "192.0.2.0/25"]
    ports = plan(lists(app={"publish": [{"container_port": 80, "host_port": 80, "allowed_sources": sources}]}))

    assert [[str(source) for source in port.allowed_sources] for port in ports.port_publish] == [
        ["192.0.2.0/24"],
        ["fd00::/64"],
    ]


def test_exclude() -> None:
    found = plan(lists(masquerade={"exclude": ["db", "10.9.0.0/16"]})).nat_masquerade

    assert [str(network) for network in found[0].exclude] == ["10.9.0.0/16", "10.31.0.20/32"]


def test_an_endpoint_of_several_other_networks_is_meant_with_all_its_addresses() -> None:
    networks = lists()
    networks.append({"name": "third", "subnets": ["10.32.0.0/24"], "allow": [{"to": "10.32.0.9", "from": "app"}]})

    flows = plan(networks).bridge_firewall[2].allow
    assert [str(flow.source) for flow in flows] == ["10.30.0.11/32", "10.31.0.11/32"]


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (
            lists(allow=[{"to": "dbx"}]),
            "network front: allow.to: there is no endpoint dbx in the list; it has web, app, db.back, app.back.",
        ),
        (
            lists(allow=[{"to": "web", "from": "app.third"}]),
            "network front: allow.from: there is no endpoint app.third in the list; it"
            " has web, app, db.back, app.back.",
        ),
        (
            lists(app={"publish": [{"container_port": 80, "allowed_sources": ["x"]}]}),
            "network front: endpoint app: allowed_sources: there is no endpoint x in the list; it has web, app,"
            " db.back, app.back.",
        ),
        (
            lists(masquerade={"exclude": ["x"]}),
            "network front: masquerade: exclude: there is no endpoint x in the list; it"
            " has web, app, db.back, app.back.",
        ),
        (
            lists(allow=[{"to": "fd00:30::10", "from": "db"}]),
            "network front: allow: nothing flows from db to fd00:30::10; they share no address family.",
        ),
        (
            lists(allow=[{"to": "db"}]),
            "network front: bridge br-front: allow.to 10.31.0.20 lies in none of its subnets; the host itself is"
            " reached by 10.30.0.1 and fd00:30::1.",
        ),
        (
            lists(allow=[{"to": "10.30.0.300"}]),
            "network front: allow.to: '10.30.0.300' is not a valid subnet; write it like 10.20.0.0/24.",
        ),
    ],
)
def test_what_names_nothing_is_refused_with_what_is_there(networks: list[Facts], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        plan(networks)

    assert str(refused.value) == message


def test_a_name_of_two_different_endpoints_elsewhere_is_refused() -> None:
    networks = lists()
    networks[1]["endpoints"][1]["netns"] = "other"
    networks.append({"name": "third", "subnets": ["10.32.0.0/24"], "allow": [{"to": "10.32.0.9", "from": "app"}]})

    with pytest.raises(InvalidRequest) as refused:
        plan(networks)

    assert str(refused.value) == (
        "network third: allow.from: app may mean several endpoints; write app.front or app.back."
    )


def test_an_alias_is_as_good_as_a_name() -> None:
    networks = lists(app={"aliases": ["shop"]}, allow=[{"to": "shop"}])
    networks[1]["endpoints"][0]["aliases"] = ["sql"]
    networks[1]["allow"] = [{"to": "sql", "from": "shop"}]

    assert opened(networks) == ["0.0.0.0/0 > 10.30.0.11/32", "::/0 > fd00:30::11/128"]
    flows = plan(networks).bridge_firewall[1].allow
    assert [(str(flow.source), str(flow.to)) for flow in flows] == [("10.30.0.11/32", "10.31.0.20/32")]


def test_an_alias_of_several_means_all_of_them() -> None:
    networks = lists(app={"aliases": ["shop"]}, allow=[{"to": "shop", "from": "10.9.0.0/16"}])
    networks[0]["endpoints"][0]["aliases"] = "shop"

    assert opened(networks) == ["10.9.0.0/16 > 10.30.0.10/32", "10.9.0.0/16 > 10.30.0.11/32"]


def test_routes_by_the_names_of_endpoints() -> None:
    routes = [{"to": "10.9.0.0/16", "via": "web"}, {"to": "db.back", "via": "web.front", "metric": 5}]
    [veth] = [veth for veth in plan(lists(app={"routes": routes})).veth if veth.name == "v-front-app"]

    assert [(str(r.to), str(r.via), r.metric) for r in veth.peer.routes if r.to.prefixlen] == [
        ("10.9.0.0/16", "10.30.0.10", None),
        ("10.31.0.20/32", "10.30.0.10", 5),
    ]


def test_a_default_route_by_the_name_of_an_endpoint() -> None:
    routes = [{"to": "default", "via": "web", "metric": 7}]
    [veth] = [veth for veth in plan(lists(app={"routes": routes})).veth if veth.name == "v-front-app"]

    assert [(str(r.to), str(r.via)) for r in veth.peer.routes if r.metric == 7] == [
        ("0.0.0.0/0", "10.30.0.10"),
        ("::/0", "fd00:30::10"),
    ]


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (
            {"to": "fd00:9::/64", "via": "db"},
            "routes: nothing leads to fd00:9::/64 by db; they share no address family.",
        ),
        ({"to": "10.9.0.0/16", "via": "nobody"}, "endpoint app: routes.via: there is no endpoint nobody in the list"),
        ({"to": "10.9.0.0/16", "via": "db"}, "10.31.0.20"),
        ({"to": "10.9.0.0/16", "via": "app"}, "routes: 10.30.0.11 cannot be the gateway of an end with the address"),
        ({"to": "default"}, "routes: there are two routes to 0.0.0.0/0 with the same metric."),
        ({"to": "0.0.0.0/0", "via": "web"}, "routes: there are two routes to 0.0.0.0/0 with the same metric."),
    ],
)
def test_routes_that_lead_nowhere_are_refused(route: Facts, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        plan(lists(app={"routes": [route]}))

    assert str(refused.value).startswith("network front: endpoint app: ") and message in str(refused.value)


SHORTENED = "%s has no prefix length; add that of the subnet, or write %s if that one address is meant."


@pytest.mark.parametrize(
    ("network", "place"),
    [
        ({"masquerade": {"exclude": ["10.9.0.0"]}}, "masquerade: exclude"),
        ({"allow": [{"to": "web", "from": "10.9.0.0"}]}, "allow.from"),
        ({"allow": [{"to": "10.9.0.0"}]}, "allow.to"),
        ({"app": {"routes": [{"to": "10.9.0.0", "via": "web"}]}}, "endpoint app: routes.to"),
        (
            {"app": {"publish": [{"container_port": "80", "allowed_sources": ["192.0.2.7", "10.9.0.0"]}]}},
            "endpoint app: allowed_sources",
        ),
    ],
)
def test_a_subnet_without_its_prefix_length_is_not_taken_for_one_address(network: Facts, place: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        plan(lists(**network))

    assert str(refused.value) == "network front: %s: %s" % (place, SHORTENED % ("10.9.0.0", "10.9.0.0/32"))


def test_an_endpoint_whose_address_ends_like_that_of_a_subnet_is_meant_by_its_name() -> None:
    ports: list[Facts] = [{"container_port": 80, "host_port": 80, "allowed_sources": ["odd"]}]
    wide: Facts = {
        "name": "wide",
        "subnets": ["10.20.0.0/16"],
        "gateways": ["10.20.2.0"],
        "masquerade": {"exclude": ["odd"]},
        "host_access": "deny",
        "allow": [{"from": "odd", "to": "web"}, {"from": "odd", "to": "host"}],
        "icc": False,
        "endpoints": [
            {"name": "odd", "addresses": ["10.20.1.0"]},
            {"name": "web", "addresses": ["10.20.0.5"], "publish": ports, "routes": [{"to": "odd", "via": "odd"}]},
        ],
    }

    found = plan([wide])
    assert [str(flow.source) for flow in found.bridge_firewall[0].allow] == ["10.20.1.0/32"] * 2
    assert {str(source) for source in found.port_publish[0].allowed_sources} == {"10.20.1.0/32"}
    assert [str(other) for other in found.nat_masquerade[0].exclude] == ["10.20.1.0/32"]
    assert "10.20.1.0/32" in [str(route.to) for route in found.veth[1].peer.routes]
