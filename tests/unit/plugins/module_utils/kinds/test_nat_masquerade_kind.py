# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import EgressFlows, WithdrawnFlows
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP, alias
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    HOST,
    Conflict,
    InvalidRequest,
    Masquerade,
    OutInterface,
    Route,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
    world,
)

KIND = NatMasqueradeKind()
OPTIONS = {"source": "10.20.0.0/24", "out_interface": "!br-blue", "network": "blue"}
DEFAULT, DEFAULT6 = Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0"))


def blue(**changes: Any) -> Request:
    return ask(KIND, {**OPTIONS, **changes})


def gone(**changes: Any) -> Request:
    return ask(KIND, {**OPTIONS, **changes}, "absent")


def host_with(*requests: Request) -> MemoryHost:
    host = MemoryHost()
    host.uplink("eth0", 1500, DEFAULT)
    host.make_link(host.host, "br-blue", kind="bridge", group=LINK_GROUP, alias=alias("blue"))
    if requests:
        once(host, *requests)
    return host


def rules(host: MemoryHost) -> list[str]:
    return [rule for name in ("egress4", "egress6") if name in host.nft.chains for rule in host.nft.chains[name][1]]


# ---- options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"source": "10.20.0.0/24"}, Masquerade(ip_network("10.20.0.0/24"))),
        (
            {"source": "10.20.0.0/24", "out_interface": "eth0"},
            Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0")),
        ),
        (
            {"source": "10.20.0.0/24", "out_interface": "! eth0"},
            Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0", True)),
        ),
        ({"source": "10.20.0.0/24", "out_interface": ""}, Masquerade(ip_network("10.20.0.0/24"))),
        (
            {"source": "fd00::/64", "to_source": "2001:db8::1", "exclude": ["fd00::/9", "fd80::/9"]},
            Masquerade(ip_network("fd00::/64"), OutInterface(), (ip_network("fd00::/8"),), ip_address("2001:db8::1")),
        ),
        (
            {"source": "0.0.0.0/0", "random_fully": True, "network": "blue"},
            Masquerade(ip_network("0.0.0.0/0"), random_fully=True, network="blue"),
        ),
    ],
)
def test_options(options: dict[str, Any], expected: Masquerade) -> None:
    assert KIND.parse(options) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "10.20.0.1/24"}, "source: 10.20.0.1/24 has host bits set; did you mean 10.20.0.0/24?"),
        ({"exclude": ["x"]}, "exclude: 'x' is not a valid subnet; write it like 10.20.0.0/24."),
        ({"exclude": ["fd00::/8"]}, "Masquerade of 10.20.0.0/24: fd00::/8 is of the other address family."),
        ({"to_source": "fd00::1"}, "Masquerade of 10.20.0.0/24: fd00::1 is of the other address family."),
        (
            {"to_source": "127.0.0.1"},
            "to_source: no answer comes back to 127.0.0.1; write an address of this host that others reach.",
        ),
        ({"to_source": "x"}, "to_source: 'x' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2."),
        (
            {"out_interface": "!"},
            "out_interface: '' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            {"out_interface": "a b"},
            "out_interface: 'a b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
    ],
)
def test_a_masquerade_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        blue(**changes)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (blue(), "Masquerade of 10.20.0.0/24 by !br-blue is requested twice."),
        (blue(out_interface=None), "Masquerade of 10.20.0.0/24 by any interface is requested twice."),
        (blue(out_interface="wanA"), "Masquerade of 10.20.0.0/24 by wanA is requested twice."),
    ],
)
def test_one_masquerade_is_not_asked_for_twice(one: Request, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        once(host_with(), one, one)

    assert str(refused.value) == message


# ---- by which interface


def test_default_is_the_interface_of_the_default_route_of_the_family() -> None:
    host = host_with()
    host.uplink("eth6", 1500, DEFAULT6)

    outcome = converge(host, blue(out_interface="default"), blue(out_interface="default", source="fd00:20::/64"))

    assert [item["out_interface"] for item in outcome.objects] == ["eth0", "eth6"]


def test_of_two_default_routes_the_one_with_the_lower_metric_counts() -> None:
    host = MemoryHost()
    host.uplink("wlan0", 1500, Route(ip_network("0.0.0.0/0"), None, 600))
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0"), None, 100))

    assert converge(host, blue(out_interface="default")).objects[0]["out_interface"] == "eth0"


@pytest.mark.parametrize("check_mode", [True, False])
def test_without_a_default_route_the_request_names_none(check_mode: bool) -> None:
    with pytest.raises(Conflict) as conflict:
        once(host_with(), blue(out_interface="default", source="fd00:20::/64"), check_mode=check_mode)

    assert str(conflict.value) == (
        "Masquerade of fd00:20::/64: this host has no default route for IPv6, so out_interface: default names no"
        " interface; give its name."
    )


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_interface_that_is_not_there_is_a_conflict_unless_it_is_the_exception(check_mode: bool) -> None:
    with pytest.raises(Conflict) as conflict:
        once(host_with(), blue(out_interface="wg0"), check_mode=check_mode)

    assert str(conflict.value) == (
        "There is no interface wg0 on this host; out_interface takes the name of one that is there."
    )


def test_an_interface_that_is_not_there_excludes_nothing() -> None:
    assert converge(host_with(), blue(out_interface="!wg0")).warnings == (
        "There is no interface wg0 on this host now, so out_interface: '!wg0' excludes nothing, for:"
        " 10.20.0.0/24 of network blue.",
    )
    assert converge(host_with(), blue()).warnings == ()


def test_check_mode_takes_an_interface_for_one_that_an_earlier_task_makes() -> None:
    assert once(MemoryHost(), blue(), check_mode=True).warnings == ()


def test_an_interface_that_is_gone_is_no_reason_to_keep_its_rule() -> None:
    host = host_with(blue(out_interface="eth0"))
    host.remove_link(host.host, "eth0")

    assert converge(host, gone(out_interface="eth0")).changed


# ---- what is to be there


def test_a_new_masquerade() -> None:
    host = host_with()

    outcome = converge(host, blue())

    assert rules(host) == ['ip saddr 10.20.0.0/24 oifname != "br-blue" masquerade comment "network=blue"']
    assert outcome.objects == (
        {
            "source": "10.20.0.0/24",
            "out_interface": "!br-blue",
            "exclude": [],
            "random_fully": False,
            "network": "blue",
            "state": "present",
            "title": "masquerade of 10.20.0.0/24 by !br-blue",
        },
    )


@pytest.mark.parametrize(
    "later",
    [
        {"exclude": ["10.0.0.0/8", "192.168.0.0/16"]},
        {"to_source": "192.0.2.1"},
        {"random_fully": True},
        {"network": "red"},
        {"network": None},
    ],
)
def test_what_is_said_later_is_changed_in_place(later: dict[str, Any]) -> None:
    host = host_with(blue())

    outcome = converge(host, blue(**later))

    assert outcome.changed
    assert outcome.before != outcome.after
    assert len(rules(host)) == 1


def test_another_way_out_is_another_masquerade() -> None:
    host = host_with(blue())

    converge(host, blue(out_interface="eth0"))

    assert len(rules(host)) == 2


def test_a_rule_that_somebody_changed_is_put_back_and_told() -> None:
    host = host_with(blue())
    wanted = host.nft.table()
    host.nft.chains["egress4"][1][0] = "ip saddr 10.20.0.0/24 counter masquerade"

    outcome = converge(host, blue())

    assert host.nft.table() == wanted
    assert outcome.changed
    assert outcome.before != outcome.after


# ---- flows that go on as they began


@pytest.mark.parametrize(
    ("later", "former"),
    [
        ({"exclude": ["10.0.0.0/8"]}, "192.0.2.1"),
        ({"to_source": "192.0.2.2"}, "192.0.2.1"),
        ({"to_source": None}, "192.0.2.1"),
        ({"out_interface": "eth0"}, None),
    ],
)
def test_flows_that_are_not_translated_as_they_should_be_are_forgotten(later: dict[str, Any], former: Any) -> None:
    host = host_with(blue(to_source="192.0.2.1"))
    host.forgotten.clear()
    asked = blue(**{"to_source": "192.0.2.1", **later})

    once(host, asked)

    assert host.forgotten == [EgressFlows(asked.item, former and ip_address(former))]


@pytest.mark.parametrize("later", [{}, {"random_fully": True}, {"network": "red"}])
def test_flows_that_are_translated_as_before_go_on(later: dict[str, Any]) -> None:
    host = host_with(blue())
    host.forgotten.clear()

    once(host, blue(**later))

    assert host.forgotten == []


def test_a_network_that_is_new_has_no_flows() -> None:
    assert host_with(blue(network="red")).forgotten == []

    for asked in (blue(), blue(network=None)):
        assert host_with(asked).forgotten == [EgressFlows(asked.item)]


@pytest.mark.parametrize("later", [{"out_interface": "eth0"}, {"source": "10.20.0.0/16"}, {"source": "10.21.0.0/24"}])
@pytest.mark.parametrize("stays", [True, False])
def test_flows_of_a_subnet_that_stays_and_loses_its_masquerade_are_forgotten(
    later: dict[str, Any], stays: bool
) -> None:
    """Which of them another masquerade translates as before is seen when they are looked at."""
    host = host_with(blue(to_source="192.0.2.1"))
    if stays:
        host.change_link(HOST, "br-blue", up=True, addresses=(ip_interface("10.20.0.1/24"),))
    host.forgotten.clear()

    once(host, gone(), asked := blue(**later))

    there = blue(to_source="192.0.2.1").item
    overlaps = later.get("source") != "10.21.0.0/24"
    others = (asked.item,) if overlaps else ()
    assert [flow for flow in host.forgotten if isinstance(flow, WithdrawnFlows)] == (
        [WithdrawnFlows(there, others)] if stays else []
    )


# ---- what is to go


def test_a_masquerade_goes_and_the_last_one_takes_the_table_along() -> None:
    host = host_with(blue(), blue(source="10.21.0.0/24"))

    converge(host, gone())
    assert len(rules(host)) == 1

    converge(host, gone(source="10.21.0.0/24"))
    assert not host.nft.there
    assert not converge(host, gone()).changed


ITEMS = st.builds(
    lambda source, out, exclude, random_fully, network: {
        "source": source,
        "out_interface": out,
        "exclude": [item for item in exclude if (":" in item) == (":" in source)],
        "random_fully": random_fully,
        "network": network,
    },
    st.sampled_from(["10.20.0.0/24", "10.20.0.0/16", "10.20.0.1/32", "fd00:20::/64", "::/0"]),
    st.sampled_from([None, "eth0", "!br-blue", "default"]),
    st.lists(st.sampled_from(["10.0.0.0/8", "192.168.0.0/16", "fd00::/8"]), max_size=2),
    st.booleans(),
    st.sampled_from(["", "blue"]),
)


@given(st.lists(ITEMS, max_size=3), st.lists(ITEMS, max_size=3))
def test_any_masquerades_can_follow_any_others(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    host = host_with()
    host.host.routes.append(host.host.routes[0].__class__(Route(DEFAULT6.to, None, 1024), "eth0", 4))
    looking = world(host)
    for items in (first, second):
        requests = [ask(KIND, item) for item in items]
        keys = [KIND.resolve(request.item, "present", looking).key for request in requests]
        if len(set(keys)) == len(keys):
            converge(host, *requests)


# ---- what does not work


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (4, {"to_source": "192.0.2.99"}),
        (6, {"to_source": "2001:db8::99", "source": "fd00:20::/64"}),
    ],
)
def test_an_address_that_the_host_does_not_have_is_worth_a_warning(version: int, options: dict[str, Any]) -> None:
    host = host_with()
    said = "This host does not have the address %s now, so packets that leave with it get no answers: %s of network"
    text = said % (options["to_source"], options.get("source", OPTIONS["source"])) + " blue."

    assert converge(host, blue(**options)).warnings == (text,)
    host.host.sysctls["net/ipv%d/ip_nonlocal_bind" % version] = "1"
    assert converge(host, blue(**options)).warnings == ()


def test_an_address_of_the_host_is_not() -> None:
    host = host_with()
    host.make_link(host.host, "eth1", up=True, addresses=(ip_interface("192.0.2.9/24"),))

    assert converge(host, blue(to_source="192.0.2.9")).warnings == ()


def test_an_interface_that_is_a_port_of_a_bridge_is_worth_a_warning() -> None:
    """Rules see the bridge instead, so nothing would match."""
    host = host_with()
    host.make_link(host.host, "lan0", kind="bridge")
    host.make_link(host.host, "eth7", master="lan0")

    assert converge(host, blue(out_interface="eth7")).warnings == (
        "Interface eth7 in out_interface is a port of bridge lan0, and rules see only the bridge;"
        " name that instead, for: 10.20.0.0/24 of network blue.",
    )
