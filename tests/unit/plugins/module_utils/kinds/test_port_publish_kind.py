# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import PortFlows
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    Conflict,
    InvalidRequest,
    Place,
    PortRange,
    PublishedPort,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import PORT
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
)

KIND = PortPublishKind()
OPTIONS: dict[str, Any] = {
    "host_port": "8080",
    "container_ip": "10.20.0.2",
    "container_port": "80",
    "bridge": "br-blue",
    "network": "blue",
}


def web(**changes: Any) -> Request:
    return ask(KIND, {**OPTIONS, **changes})


def gone(**changes: Any) -> Request:
    return ask(KIND, {**OPTIONS, **changes}, "absent")


def host_with(*requests: Request) -> MemoryHost:
    host = MemoryHost()
    if requests:
        once(host, *requests)
    return host


# ---- options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"host_port": 80, "container_ip": "10.20.0.2"},
            PublishedPort("tcp", PortRange(80, 80), ip_address("10.20.0.2"), 80),
        ),
        (
            {"host_port": "8000-8010", "container_port": "9000-9010", "container_ip": "[fd00::2]", "protocol": "UDP"},
            PublishedPort("udp", PortRange(8000, 8010), ip_address("fd00::2"), 9000),
        ),
        (
            {"host_port": 80, "container_ip": "10.20.0.2", "host_ip": "0.0.0.0"},
            PublishedPort("tcp", PortRange(80, 80), ip_address("10.20.0.2"), 80),
        ),
        (
            {
                **OPTIONS,
                "host_ip": "192.0.2.1",
                "protocol": "sctp",
                "allowed_sources": ["198.51.100.0/25", "198.51.100.128/25"],
                "in_interfaces": ["wg0", "eth0", "wg0"],
            },
            PublishedPort(
                "sctp",
                PortRange(8080, 8080),
                ip_address("10.20.0.2"),
                80,
                ip_address("192.0.2.1"),
                "br-blue",
                (ip_network("198.51.100.0/24"),),
                ("eth0", "wg0"),
                "blue",
            ),
        ),
    ],
)
def test_options(options: dict[str, Any], expected: PublishedPort) -> None:
    assert KIND.parse(options) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host_port": "0"}, "host_port: 0 is not a valid port; ports go from 1 to 65535."),
        ({"container_port": "x"}, "container_port: 'x' is not a valid port; write it like 8080 or 8000-8010."),
        (
            {"host_port": "80-81"},
            "host_port 80-81 and container_port 80 are ranges of unequal length: 2 and 1 ports.",
        ),
        (
            {"container_ip": "127.0.0.1"},
            "container_ip: 127.0.0.1 cannot be the address of an endpoint; write a unicast address.",
        ),
        ({"host_ip": "224.0.0.1"}, "host_ip: no host can have the address 224.0.0.1; write one of this host."),
        (
            {"container_ip": "255.255.255.255"},
            "container_ip: 255.255.255.255 cannot be the address of an endpoint; write a unicast address.",
        ),
        ({"container_ip": "::"}, "container_ip: :: cannot be the address of an endpoint; write a unicast address."),
        (
            {"container_ip": "224.0.0.1"},
            "container_ip: 224.0.0.1 cannot be the address of an endpoint; write a unicast address.",
        ),
        (
            {"container_ip": "web"},
            "container_ip: 'web' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2.",
        ),
        (
            {"host_ip": "fd00::1"},
            "host_ip fd00::1 and container_ip 10.20.0.2 are of two address families; publish the port once for each.",
        ),
        (
            {"host_ip": "::1", "container_ip": "fd00::2"},
            "host_ip: the kernel does not translate ::1; publish on 127.0.0.1, or on an address.",
        ),
        (
            {"allowed_sources": ["fd00::/8"]},
            "allowed_sources: fd00::/8 is of the other address family than the endpoint.",
        ),
        (
            {"in_interfaces": ["a b"]},
            "in_interfaces: 'a b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        ({"protocol": "icmp"}, "protocol: 'icmp' is not a valid protocol; write one of tcp, udp, sctp."),
    ],
)
def test_a_port_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        web(**changes)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            {},
            {"container_ip": "10.20.0.3"},
            "Host port 8080/tcp is requested twice: by 8080:10.20.0.2:80/tcp and 8080:10.20.0.3:80/tcp;"
            " choose another for one.",
        ),
        (
            {},
            {"host_ip": "192.0.2.1"},
            "Host port 8080/tcp is requested twice: by 8080:10.20.0.2:80/tcp and 192.0.2.1:8080:10.20.0.2:80/tcp;"
            " choose another for one.",
        ),
        (
            {"host_port": "8000-8100", "container_port": None},
            {},
            "Host port 8080/tcp is requested twice: by 8000-8100:10.20.0.2:8000-8100/tcp and 8080:10.20.0.2:80/tcp;"
            " choose another for one.",
        ),
    ],
)
def test_one_port_of_the_host_leads_to_one_place(one: dict[str, Any], other: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        once(host_with(), web(**one), web(**other))

    assert str(refused.value) == message


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": "udp"},
        {"container_ip": "fd00:20::2"},
        {"host_port": "8081"},
    ],
)
def test_ports_that_do_not_meet_live_side_by_side(other: dict[str, Any]) -> None:
    converge(host_with(), web(), web(**other))


def test_a_port_may_lead_elsewhere_on_each_address() -> None:
    converge(host_with(), web(host_ip="192.0.2.1"), web(host_ip="192.0.2.2", container_ip="10.20.0.3"))


# ---- what is to be there


def test_a_new_port() -> None:
    host = host_with()

    outcome = converge(host, web())

    assert outcome.before == ""
    assert outcome.objects == ({**PORT, "state": "present", "title": "port 8080/tcp (IPv4)"},)
    assert host.forgotten == []


@pytest.mark.parametrize(
    "later",
    [
        {"container_ip": "10.20.0.3"},
        {"container_port": "81"},
        {"bridge": "br-red"},
        {"allowed_sources": ["192.0.2.0/24"]},
        {"in_interfaces": ["eth0"]},
    ],
)
def test_what_is_said_later_is_changed_in_place(later: dict[str, Any]) -> None:
    host = host_with(web())

    outcome = converge(host, web(**later))

    assert outcome.changed
    assert outcome.before != outcome.after
    assert host.nft.table() == host_with(web(**later)).nft.table()


def test_a_port_without_a_network_may_get_one() -> None:
    host = host_with(web(network=None))

    assert converge(host, web()).changed


def test_an_element_that_somebody_deleted_is_put_back_and_told() -> None:
    host = host_with(web())
    wanted = host.nft.table()
    host.nft.load("delete element inet dockerless publish4 { tcp . 8080 }")

    outcome = converge(host, web())

    assert host.nft.table() == wanted
    assert outcome.before != outcome.after


# ---- flows that go on as they began


FLOWS = PortFlows(4, "udp", 8080, 8080)


def test_flows_of_a_new_udp_port_are_forgotten_and_of_a_tcp_port_not() -> None:
    host = host_with(web(protocol="udp"))
    assert host.forgotten == [FLOWS]

    assert host_with(web()).forgotten == []


def test_tcp_connections_of_a_port_that_moved_go_on_while_their_endpoint_is_there() -> None:
    host = host_with(web())
    host.make_namespace("web")
    host.make_veth("v-web", Place(netns="web"), "eth0", LINK_GROUP, master="br-blue")
    host.change_link(Place(netns="web"), "eth0", addresses=(ip_interface("10.20.0.2/24"),))

    once(host, web(container_ip="10.20.0.3"))
    assert host.forgotten == []

    host.change_link(Place(netns="web"), "eth0", addresses=(ip_interface("10.20.0.3/24"),))
    once(host, web(container_ip="10.20.0.4"))
    assert host.forgotten == []

    host.change_link(Place(netns="web"), "eth0", addresses=())
    once(host, web())
    assert host.forgotten == [PortFlows(4, "tcp", 8080, 8080)]


@pytest.mark.parametrize("protocol", ["udp", "tcp", "sctp"])
def test_flows_of_a_port_that_moved_or_went_are_forgotten(protocol: str) -> None:
    flows = PortFlows(4, protocol, 8080, 8080)
    for later in (
        web(protocol=protocol, container_ip="10.20.0.3"),
        web(protocol=protocol, container_port="81"),
        gone(protocol=protocol),
    ):
        host = host_with(web(protocol=protocol))
        host.forgotten.clear()

        once(host, later)

        assert host.forgotten == [flows]


OFFICE, LAN = ["192.0.2.64/26"], ["192.0.2.0/24"]
# LAN without OFFICE
REST = ("192.0.2.0/26", "192.0.2.128/25")
EVERYONE = ("0.0.0.0/0",)


@pytest.mark.parametrize(
    ("before", "after", "tcp", "udp"),
    [
        ({}, {}, None, None),
        ({}, {"bridge": "br-red"}, None, None),
        ({"allowed_sources": LAN}, {"allowed_sources": OFFICE}, REST, REST),
        ({"allowed_sources": OFFICE}, {"allowed_sources": LAN}, None, REST),
        ({"allowed_sources": OFFICE}, {"allowed_sources": REST}, OFFICE, (*OFFICE, *REST)),
        ({"allowed_sources": LAN}, {"allowed_sources": [*OFFICE, *REST]}, None, None),
        ({}, {"in_interfaces": ["eth0"]}, EVERYONE, EVERYONE),
        ({"in_interfaces": ["eth0"]}, {"in_interfaces": ["eth1"]}, EVERYONE, EVERYONE),
        ({"in_interfaces": ["eth0", "eth1"]}, {"in_interfaces": ["eth1"]}, EVERYONE, EVERYONE),
        ({"in_interfaces": ["eth0"]}, {"in_interfaces": ["eth0", "eth1"]}, None, EVERYONE),
        ({"in_interfaces": ["eth0"]}, {}, None, EVERYONE),
        ({"host_ip": "192.0.2.1", "in_interfaces": ["eth0"]}, {"host_ip": "192.0.2.1"}, EVERYONE, EVERYONE),
        ({"host_ip": "192.0.2.1"}, {"host_ip": "192.0.2.1", "in_interfaces": ["eth0"]}, EVERYONE, EVERYONE),
    ],
)
@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_flows_that_a_change_of_the_limits_concerns_are_forgotten_and_no_others(
    protocol: str, before: dict[str, Any], after: dict[str, Any], tcp: Any, udp: Any
) -> None:
    host = host_with(web(protocol=protocol, **before))
    host.forgotten.clear()

    once(host, web(protocol=protocol, **after))

    sources = udp if protocol == "udp" else tcp
    flows = PortFlows(4, protocol, 8080, 8080, after.get("host_ip", ""), tuple(sources or ()))
    assert host.forgotten == ([] if sources is None else [flows])


def test_connections_of_a_port_that_moved_are_forgotten_if_their_clients_are_no_longer_allowed() -> None:
    host = host_with(web(allowed_sources=LAN))
    host.make_namespace("web")
    host.make_veth("v-web", Place(netns="web"), "eth0", LINK_GROUP, master="br-blue")
    host.change_link(Place(netns="web"), "eth0", addresses=(ip_interface("10.20.0.2/24"),))

    once(host, web(container_ip="10.20.0.3", allowed_sources=OFFICE))

    assert host.forgotten == [PortFlows(4, "tcp", 8080, 8080, "", REST)]


def test_flows_are_those_of_the_host_address_and_of_all_ports() -> None:
    port = web(protocol="udp", host_ip="192.0.2.1", host_port="8000-8003", container_port="9000-9003")

    assert host_with(port).forgotten == [PortFlows(4, "udp", 8000, 8003, "192.0.2.1")]


# ---- what stands in the way


def test_a_port_that_is_published_already_is_a_conflict() -> None:
    host = host_with(web(host_ip="192.0.2.1"))
    before = host.snapshot()

    with pytest.raises(Conflict) as conflict:
        once(host, web(container_ip="10.20.0.3"))

    assert str(conflict.value) == (
        "Host port 8080/tcp is published already, by network blue: 192.0.2.1:8080:10.20.0.2:80/tcp. Choose another"
        " host port, or withdraw that one."
    )
    assert host.snapshot() == before


def test_a_port_of_another_network_is_a_conflict() -> None:
    with pytest.raises(Conflict) as conflict:
        once(host_with(web()), web(network="red", container_ip="10.21.0.2"))

    assert str(conflict.value) == (
        "Host port 8080/tcp is published already, by network blue: 8080:10.20.0.2:80/tcp. Choose another host port, or"
        " withdraw that one."
    )


def test_a_port_that_a_process_listens_on_is_a_conflict_when_it_is_new() -> None:
    host = host_with()
    host.listeners["tcp", 8080] = "process 7 (nginx) listens on port 8080 of every address"

    with pytest.raises(Conflict) as conflict:
        once(host, web())
    assert str(conflict.value) == (
        "Host port 8080/tcp is in use: process 7 (nginx) listens on port 8080 of every address."
        " Choose another host port, or free this one."
    )

    converge(host, web(protocol="udp"))
    del host.listeners["tcp", 8080]
    once(host, web())
    host.listeners["tcp", 8080] = "process 8 (late) listens on port 8080 of every address"
    converge(host, web(container_port="81"))


def test_a_rule_of_others_for_the_port_is_a_conflict() -> None:
    chain = {"family": "ip", "table": "nat", "name": "PREROUTING", "type": "nat", "hook": "prerouting", "prio": -100}
    rule = {
        "family": "ip",
        "table": "nat",
        "chain": "PREROUTING",
        "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 8080}},
            {"dnat": {"addr": "172.17.0.2", "port": 80}},
        ],
    }
    theirs = [{"chain": {**chain, "policy": "accept"}}, {"rule": rule}]

    with pytest.raises(Conflict, match=r"^Host port 8080/tcp is in use: chain PREROUTING of table ip nat "):
        once(host_with(), web(), foreign=theirs)
    assert once(host_with(), web(host_port="8081"), foreign=theirs).changed


def test_a_port_may_be_taken_over_from_one_that_goes_in_the_same_run() -> None:
    host = host_with(web(host_ip="192.0.2.1"))

    once(host, gone(host_ip="192.0.2.1"), web(container_ip="10.20.0.3"))

    assert not once(host, web(container_ip="10.20.0.3")).changed


# ---- the bridge that leads there


def test_without_a_bridge_it_is_the_link_with_the_subnet() -> None:
    host = host_with()
    host.make_link(host.host, "br-blue", kind="bridge", up=True, addresses=(ip_interface("10.20.0.1/24"),))

    outcome = converge(host, web(bridge=None))

    assert outcome.objects[0]["bridge"] == "br-blue"


def test_without_a_bridge_and_a_link_that_leads_there_is_a_conflict() -> None:
    with pytest.raises(Conflict) as conflict:
        once(host_with(), web(bridge=None))

    assert str(conflict.value) == (
        "There is no interface towards 10.20.0.2 on this host; make the endpoint first, or give the option bridge."
    )
    assert once(host_with(), web(bridge=None), check_mode=True).changed


# ---- what does not work


def test_an_address_and_an_interface_that_the_host_does_not_have_are_worth_a_warning() -> None:
    host = host_with()
    host.uplink("eth0")

    outcome = converge(
        host, web(host_ip="192.0.2.99"), web(host_port="81", in_interfaces=["eth0", "eth7"]), web(host_port="82")
    )

    assert outcome.warnings == (
        "This host does not have the address 192.0.2.99 now, and these ports are published on it: 8080/tcp"
        " (10.20.0.2).",
        "There is no interface eth7 on this host now, and in_interfaces limits these ports to it: 81/tcp (10.20.0.2).",
    )


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (4, {"host_ip": "192.0.2.99"}),
        (6, {"host_ip": "2001:db8::99", "container_ip": "fd00:20::2"}),
    ],
)
def test_an_address_that_may_come_later_is_not(version: int, options: dict[str, Any]) -> None:
    host = host_with()
    host.host.sysctls["net/ipv%d/ip_nonlocal_bind" % version] = "1"

    assert converge(host, web(**options)).warnings == ()


def test_an_address_of_the_host_is_not_either() -> None:
    host = host_with()
    host.make_link(host.host, "eth0", up=True, addresses=(ip_interface("192.0.2.9/24"),))

    assert converge(host, web(host_ip="192.0.2.9"), web(host_ip="127.0.0.1")).warnings == ()


def test_a_port_on_an_internal_bridge_is_worth_a_warning_whichever_comes_first() -> None:
    host = host_with()
    policy = ask(BridgeFirewallKind(), {"bridge": "br-blue", "subnets": ["10.20.0.0/24"], "internal": True})
    told = (
        "Network blue is internal, so no host outside reaches the ports that it publishes: 8080/tcp (10.20.0.2)."
        " The host reaches them on 127.0.0.1, and with the endpoints on the gateway's address; publish them there, or"
        " leave internal out.",
    )

    assert converge(host, policy).warnings == ()
    assert converge(host, web(host_port="81", host_ip="127.0.0.1")).warnings == ()
    assert converge(host, web()).warnings == told
    assert converge(host, policy).warnings == told

    # in the order of their numbers: they are kept in a set, whose order differs from run to run
    converge(host, *(web(host_port=str(port)) for port in (8084, 8081, 8083, 8082)))
    (text,) = converge(host, policy).warnings
    numbers = re.findall(r"(80\d\d)/tcp", text)
    assert len(numbers) > 2 and numbers == sorted(numbers), text


# ---- what is to go


def test_a_port_goes_by_what_makes_it_the_same_one_and_the_last_takes_the_table_along() -> None:
    host = host_with(web(), web(protocol="udp"))

    converge(host, ask(KIND, {"host_port": 8080, "container_ip": "10.20.0.99"}, "absent"))
    assert host.nft.there

    converge(host, gone(protocol="udp"))
    assert not host.nft.there
    assert not converge(host, gone()).changed


PORTS = st.fixed_dictionaries(
    {
        "host_port": st.sampled_from(["80", "81", "80-83", "82-85"]),
        "container_ip": st.sampled_from(["10.20.0.2", "10.20.0.3", "fd00:20::2"]),
        "bridge": st.just("br-blue"),
    },
    optional={
        "host_ip": st.sampled_from(["192.0.2.1", "127.0.0.1"]),
        "protocol": st.sampled_from(["tcp", "udp"]),
        "in_interfaces": st.just(["eth0"]),
    },
)


@given(st.lists(st.tuples(PORTS, st.sampled_from(["present", "absent"])), max_size=6))
def test_after_any_requests_no_two_ports_want_the_same_packet(wanted: list[tuple[dict[str, Any], str]]) -> None:
    host = host_with()
    for options, state in wanted:
        if ":" in options["container_ip"]:
            options.pop("host_ip", None)
        before = host.snapshot()
        try:
            converge(host, ask(KIND, options, state))
        except Conflict as conflict:
            assert "is published already" in str(conflict)
            assert host.snapshot() == before


def test_an_interface_that_is_a_port_of_a_bridge_is_worth_a_warning() -> None:
    """Rules see the bridge instead, so nothing would match."""
    host = host_with()
    host.make_link(host.host, "lan0", kind="bridge")
    host.make_link(host.host, "eth7", master="lan0")

    assert converge(host, web(in_interfaces=["eth7"])).warnings == (
        "Interface eth7 in in_interfaces is a port of bridge lan0, and rules see only the bridge;"
        " name that instead, for: 8080/tcp (10.20.0.2).",
    )
