# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes and rules of others on the host that keep packets from endpoints, in warnings and in the report."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import BY_THE_KERNEL, RouteEntry
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST, Place, Route
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    routing_rule,
    world,
)

BY_HAND, BY_DHCP = 3, 16
SRC, IIF, MARK = 2, 3, 10
BLUE: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [{"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"]}],
}
NOT_OURS = "that is not ours; delete it with"
# A link that keeps its name in a warning, whatever is in it.
WAN = "wan%d"


@pytest.fixture
def host() -> MemoryHost:
    made = MemoryHost()
    made.uplink(WAN, 1500, Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    make_networks([BLUE], world(made))
    return made


def route(host: MemoryHost, to: str, link: str = WAN, kind: str = "", **values: Any) -> None:
    values = {"metric": 0, "table": 0, "protocol": BY_HAND, **values}
    found = Route(ip_network(to), None, values["metric"], values["table"])
    host.host.routes.append(RouteEntry(found, "" if kind else link, values["protocol"], kind))


def told(host: MemoryHost) -> list[str]:
    """The troubles of the endpoint, which are those that a run warns of."""
    before = host.snapshot()
    warnings = make_networks([BLUE], world(host)).warnings
    (endpoint,) = facts(world(host))["networks"][0]["endpoints"]  # type: ignore[index]
    addresses = {"(10.20.0.2)": "10.20.0.2", "(fd00:20::2)": "fd00:20::2"}
    texts = [text[0].lower() + text[1:].rstrip(".") for text in warnings]
    for long, short in addresses.items():
        texts = [text.replace("blue/web " + long, short) for text in texts]
    assert texts == endpoint["troubles"]
    assert host.snapshot() == before
    return texts


# ---- routes


def test_a_host_without_any_tells_of_nothing(host: MemoryHost) -> None:
    route(host, "10.0.0.0/8")  # the subnet's own route is better
    route(host, "10.20.0.7/32")  # nobody's address
    route(host, "10.20.0.0/24", kind="blackhole", metric=5)
    route(host, "fd00:20::/64", kind="unreachable", metric=1024)
    assert told(host) == []


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_a_route_that_leads_nowhere(host: MemoryHost, kind: str) -> None:
    route(host, "10.20.0.2/32", kind=kind)
    route(host, "fd00:20::/65", kind=kind, metric=1024)
    assert told(host) == [
        f"packets for 10.20.0.2 are stopped by a route ({kind} 10.20.0.2/32) {NOT_OURS}"
        f" 'ip route del {kind} 10.20.0.2/32'",
        f"packets for fd00:20::2 are stopped by a route ({kind} fd00:20::/65) {NOT_OURS}"
        f" 'ip -6 route del {kind} fd00:20::/65 metric 1024'",
    ]


def test_a_route_to_a_part_by_another_link(host: MemoryHost) -> None:
    route(host, "10.20.0.0/25", protocol=BY_DHCP)
    route(host, "fd00:20::/64", metric=1)
    assert told(host) == [
        f"packets for 10.20.0.2 leave by {WAN}, by a route of DHCP; delete it with"
        f" 'ip route del 10.20.0.0/25 dev {WAN}'",
        f"packets for fd00:20::2 leave by {WAN}, by a route {NOT_OURS} 'ip -6 route del fd00:20::/64 dev {WAN}'",
    ]


def test_the_narrowest_route_decides(host: MemoryHost) -> None:
    route(host, "10.20.0.0/25")
    route(host, "10.20.0.2/32", "br-blue")
    assert told(host) == []


def test_another_link_with_an_address_in_the_subnet(host: MemoryHost) -> None:
    route(host, "10.20.0.0/25", protocol=BY_THE_KERNEL)
    (text,) = told(host)
    assert f"leave by {WAN}, which has an address in 10.20.0.0/25; give one of them" in text


def test_who_insists_on_a_subnet_is_not_warned(host: MemoryHost) -> None:
    route(host, "10.20.0.0/25")
    assert make_networks([{**BLUE, "allow_overlap": True}], world(host)).warnings == ()


def test_a_route_of_the_subnet_that_is_missing_is_brought_back_by_the_run(host: MemoryHost) -> None:
    host.change_link(HOST, "br-blue", up=False)
    route(host, "10.20.0.2/32")
    (endpoint,) = facts(world(host))["networks"][0]["endpoints"]  # type: ignore[index]
    assert not any("packets for" in text for text in endpoint["troubles"])


# ---- rules


def test_a_rule_that_discards(host: MemoryHost) -> None:
    host.host.all_rules += [
        routing_rule(4, 99, 0, nowhere="blackhole", to=ip_network("10.20.0.2/32"), conditions=frozenset({1})),
        routing_rule(6, 98, 0, nowhere="prohibit"),
    ]
    assert told(host) == [
        f"packets for 10.20.0.2 are stopped by a rule of routing (blackhole) {NOT_OURS} 'ip rule del pref 99'",
        f"packets for fd00:20::2 are stopped by a rule of routing (prohibit) {NOT_OURS} 'ip -6 rule del pref 98'",
    ]


def test_a_rule_that_discards_what_comes_from_an_endpoint(host: MemoryHost) -> None:
    host.host.all_rules += [
        routing_rule(4, 99, 0, nowhere="unreachable", source=ip_network("10.20.0.0/24"), conditions=frozenset({SRC})),
        routing_rule(6, 99, 0, nowhere="unreachable", iif="br-blue", conditions=frozenset({IIF})),
        routing_rule(4, 97, 0, nowhere="unreachable", iif="br-red", conditions=frozenset({IIF})),
    ]
    assert [text.partition(" by ")[0] for text in told(host)] == [
        "packets from 10.20.0.2 are stopped",
        "packets from fd00:20::2 are stopped",
    ]


def test_no_packet_comes_to_a_rule_behind_a_table_with_a_default_route(host: MemoryHost) -> None:
    behind: dict[str, Any] = {"nowhere": "prohibit", "source": ip_network("10.20.0.0/24"), "conditions": {SRC}}
    host.host.all_rules += [
        routing_rule(4, 40000, 0, **behind),
        routing_rule(6, 40000, 0, nowhere="prohibit", iif="br-blue", conditions={IIF}),
    ]
    assert told(host) == []
    host.host.routes.remove(next(entry for entry in host.host.routes if entry.route.to == ip_network("0.0.0.0/0")))
    assert [text.partition(" by ")[0] for text in told(host)] == ["packets from 10.20.0.2 are stopped"]


@pytest.mark.parametrize("kind", ["", "blackhole"])
def test_a_rule_that_leads_to_another_table(host: MemoryHost, kind: str) -> None:
    host.host.all_rules.append(routing_rule(4, 99, 100))
    route(host, "0.0.0.0/0", kind=kind, table=100)
    where = f"leave by {WAN}" if not kind else "are stopped by a route of type blackhole"
    assert told(host) == [
        f"packets for 10.20.0.2 {where}, as a rule of routing that is not ours leads to table 100; keep them in the"
        " table main with 'ip rule add to 10.20.0.0/24 lookup main pref 98'"
    ]
    # which helps
    host.host.all_rules.append(routing_rule(4, 98, 254, to=ip_network("10.20.0.0/24"), conditions=frozenset({1})))
    assert told(host) == []


@pytest.mark.parametrize(
    ("rule", "table"),
    [
        ({"suppresses": True}, [("0.0.0.0/0", WAN, "")]),
        ({"conditions": frozenset({MARK})}, [("0.0.0.0/0", WAN, "")]),
        ({"conditions": frozenset({IIF}), "iif": WAN}, [("0.0.0.0/0", WAN, "")]),
        ({"conditions": frozenset({SRC}), "source": ip_network("10.20.0.0/24")}, [("0.0.0.0/0", WAN, "")]),
        ({}, []),
        ({}, [("0.0.0.0/0", "", "throw")]),
        ({}, [("0.0.0.0/0", WAN, ""), ("10.20.0.0/24", "br-blue", "")]),
    ],
    ids=["no default route", "a mark", "one link", "a way out by a VPN", "empty", "throw", "knows the subnet"],
)
def test_rules_that_leave_packets_for_endpoints_alone(host: MemoryHost, rule: Any, table: Any) -> None:
    host.host.all_rules.append(routing_rule(4, 99, 100, **rule))
    for to, link, kind in table:
        route(host, to, link, kind, table=100)
    assert told(host) == []


def test_all_packets_but_those_with_a_mark(host: MemoryHost) -> None:
    """As wg-quick makes it, but without the rule before it that leaves the networks of the host alone."""
    host.host.all_rules.append(routing_rule(4, 99, 100, inverted=True, conditions=frozenset({MARK})))
    route(host, "0.0.0.0/0", table=100)
    assert len(told(host)) == 1
    host.host.all_rules.append(routing_rule(4, 98, 254, suppresses=True))
    assert told(host) == []


def test_the_endpoint_of_a_rule_has_the_address(host: MemoryHost) -> None:
    rule = routing_rule(4, 99, 100, to=ip_network("10.20.0.2/32"), conditions=frozenset({1}), inverted=True)
    host.host.all_rules.append(rule)
    route(host, "0.0.0.0/0", table=100)
    assert rule.catches(ip_address("10.20.0.3")) and told(host) == []


# ---- rules of routing inside


@pytest.mark.parametrize(
    ("rule", "link", "said"),
    [
        ({"nowhere": "blackhole", "table": 0}, "", "a rule of routing (blackhole) that is not ours; delete it with"),
        ({}, "br9", "packets for 10.20.0.1 leave by br9, as a rule of routing"),
        ({"source": ip_network("10.20.0.2"), "conditions": frozenset({SRC})}, "br9", "leads to table 77; keep them"),
        ({"conditions": frozenset({MARK})}, "br9", ""),
        ({"source": ip_network("10.20.0.9"), "conditions": frozenset({SRC})}, "br9", ""),
    ],
    ids=["discards", "for all", "for its own address", "for a mark", "for another address"],
)
def test_a_rule_inside_an_endpoint_that_takes_packets_from_their_way_to_the_gateway(
    host: MemoryHost, rule: Any, link: str, said: str
) -> None:
    space = host.space(Place(netns="web"))
    space.lookups.append((4, rule.get("table", 77)))
    space.all_rules.append(routing_rule(4, 5, **{"table": 77, **rule}))
    space.routes.append(RouteEntry(Route(ip_network("0.0.0.0/0"), None, 0, 77), link, BY_HAND))
    outcome = make_networks([BLUE], world(host))
    (endpoint,) = facts(world(host))["networks"][0]["endpoints"]  # type: ignore[index]
    assert not outcome.changed
    assert (len(outcome.warnings), len(endpoint["troubles"])) == (bool(said), bool(said))
    for text in outcome.warnings:
        assert said in text and text.startswith("In namespace web, ") and "'ip -n web rule " in text
        assert endpoint["troubles"] == [text.replace("In namespace web", "inside").rstrip(".")]
