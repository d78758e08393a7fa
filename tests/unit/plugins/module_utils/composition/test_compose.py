# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition import compose as composition
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.chosen import chosen, chosen_ip
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.network_lists import (
    network_lists,
    successors,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.role_host import (
    MODULES,
    RoleHost,
    compose,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import NETWORKS as EXAMPLE

Facts = dict[str, Any]

NOTHING: Facts = {module: [] for module in MODULES}


def network(name: str = "blue", subnet: str = "10.20.0.0/24", *endpoints: Any, **options: Any) -> Facts:
    """A network with endpoints, each by its name or by its options."""
    items = [{"name": item} if isinstance(item, str) else item for item in endpoints]
    return {"name": name, "subnets": [subnet], "endpoints": items, **options}


def endpoint(name: str, *publish: Any, **options: Any) -> Facts:
    return {"name": name, "publish": list(publish), **options}


def addresses(host: RoleHost) -> dict[str, list[str]]:
    """Addresses by namespace, for a host with one network."""
    return {place.partition(" ")[2]: facts["addresses"] for (unused, place), facts in host.endpoints().items()}


# ---- the arguments of each module


def test_the_example_of_the_design() -> None:
    published = {
        "container_port": "80",
        "protocol": "tcp",
        "bridge": "br-blue",
        "network": "blue",
        "host_port": "8080",
    }
    open_inside = {"direct_access": False, "trusted_interfaces": [], "host_access": "allow", "allow": []}
    policy = {
        "bridge": "br-blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "internal": False,
        "icc": True,
        "network": "blue",
        **open_inside,
    }
    pair = {"bridge": "br-blue", "isolated": False, "network": "blue"}
    gateways = ["10.20.0.1", "fd00:20::1"]

    assert compose(EXAMPLE, {}) == {
        "present": {
            "bridge": [{"name": "br-blue", "addresses": ["10.20.0.1/24", "fd00:20::1/64"], "network": "blue"}],
            "netns": [{"name": "web", "network": "blue"}, {"name": "db", "network": "blue"}],
            "veth": [
                {
                    **pair,
                    "name": "v-blue-web",
                    "peer": {
                        "netns": "web",
                        "name": "eth0",
                        "addresses": ["10.20.0.183/24", "fd00:20::5642:58b7/64"],
                        "gateways": gateways,
                        "mac_address": "02:42:0a:14:00:b7",
                    },
                },
                {
                    **pair,
                    "name": "v-blue-db",
                    "peer": {
                        "netns": "db",
                        "name": "eth0",
                        "addresses": ["10.20.0.10/24", "fd00:20::2f57:bec2/64"],
                        "gateways": gateways,
                        "mac_address": "02:42:0a:14:00:0a",
                    },
                },
            ],
            "bridge_firewall": [policy],
            "nat_masquerade": [
                {
                    "source": source,
                    "out_interface": "!br-blue",
                    "exclude": [],
                    "random_fully": False,
                    "network": "blue",
                }
                for source in ("10.20.0.0/24", "fd00:20::/64")
            ],
            "port_publish": [
                {**published, "container_ip": "10.20.0.183"},
                {**published, "container_ip": "fd00:20::5642:58b7"},
                {
                    **published,
                    "container_ip": "10.20.0.183",
                    "container_port": "9000",
                    "host_port": "9000",
                    "host_ip": "127.0.0.1",
                },
            ],
            "endpoint_service": [],
        },
        "transition": {"bridge_firewall": [policy]},
        "absent": NOTHING,
        "settled": NOTHING,
        "forward": {
            "state": "present",
            "ipv4": True,
            "ipv6": True,
            "route_localnet": ["br-blue"],
            "forward_policy": "auto",
            "asked_by": "bridge_network",
        },
        "remove": False,
    }


def test_what_is_said_of_a_network_reaches_its_modules() -> None:
    said = network(
        "blue",
        "10.20.0.0/24",
        "web",
        bridge="br0",
        gateways=["10.20.0.254"],
        mtu=1400,
        icc=False,
        direct_access=True,
        trusted_interfaces=["wg0"],
        host_access="deny",
        allow=[{"to": "10.20.0.9/32"}],
        masquerade={
            "out_interface": "eth0",
            "exclude": ["10.0.0.0/8", "fd00::/8"],
            "to_source": "192.0.2.1",
            "random_fully": True,
        },
    )

    present = compose([said], {})["present"]

    assert present["bridge"] == [{"mtu": 1400, "name": "br0", "addresses": ["10.20.0.254/24"], "network": "blue"}]
    assert present["bridge_firewall"] == [
        {
            "direct_access": True,
            "trusted_interfaces": ["wg0"],
            "host_access": "deny",
            "allow": [{"from": "0.0.0.0/0", "to": "10.20.0.9/32"}],
            "bridge": "br0",
            "subnets": ["10.20.0.0/24"],
            "internal": False,
            "icc": False,
            "network": "blue",
        }
    ]
    assert present["nat_masquerade"] == [
        {
            "source": "10.20.0.0/24",
            "out_interface": "eth0",
            "random_fully": True,
            "exclude": ["10.0.0.0/8"],
            "network": "blue",
            "to_source": "192.0.2.1",
        }
    ]
    [veth] = present["veth"]
    assert (veth["mtu"], veth["isolated"], veth["bridge"]) == (1400, True, "br0")
    assert veth["peer"]["gateways"] == ["10.20.0.254"]


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        ({}, ["10.20.0.0/24"]),
        ({"masquerade": None}, ["10.20.0.0/24"]),
        ({"masquerade": True}, ["10.20.0.0/24"]),
        ({"masquerade": {}}, ["10.20.0.0/24"]),
        ({"masquerade": False}, []),
        ({"internal": True}, []),
        ({"internal": True, "masquerade": {"out_interface": "eth0"}}, []),
    ],
)
def test_who_is_masqueraded(options: Facts, sources: list[str]) -> None:
    present = compose([network(**options)], {})["present"]

    assert [item["source"] for item in present["nat_masquerade"]] == sources


def test_an_internal_network_gives_no_gateway() -> None:
    [veth] = compose([network("blue", "10.20.0.0/24", "web", internal=True)], {})["present"]["veth"]

    assert veth["peer"]["gateways"] == []


def test_an_endpoint_in_two_networks_has_one_namespace_two_interfaces_and_one_default_route_for_each_family() -> None:
    six = dict(network("green", "fd00:22::/64", "web"))
    inner = network("inner", "10.23.0.0/24", "web", internal=True)
    present = compose([inner, network("blue", "10.20.0.0/24", "web"), network("red", "10.21.0.0/24", "web"), six], {})[
        "present"
    ]

    assert present["netns"] == [{"name": "web", "network": "inner"}]
    assert [(veth["peer"]["name"], veth["peer"]["gateways"]) for veth in present["veth"]] == [
        ("eth0", []),
        ("eth1", ["10.20.0.1"]),
        ("eth2", []),
        ("eth3", ["fd00:22::1"]),
    ]


def test_a_default_route_may_be_left_to_another_network_or_to_nobody() -> None:
    blue = {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web", "default_route": False}]}
    red = {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "web"}]}

    alone = RoleHost().run([blue])["present"]["veth"]
    both = RoleHost().run([blue, red])["present"]["veth"]

    assert [veth["peer"].get("gateways", []) for veth in alone] == [[]]
    assert [veth["peer"].get("gateways", []) for veth in both] == [[], ["10.21.0.1"]]
    # what was asked by this network is answered by it all the same
    assert [veth["peer"].get("source_gateways", []) for veth in alone] == [["10.20.0.1"]]


def test_an_endpoint_lives_in_a_namespace_of_its_own_name_in_another_or_in_that_of_a_process() -> None:
    present = compose(
        [network("blue", "10.20.0.0/24", "web", endpoint("db", netns="data"), endpoint("vm", pid=42))], {}
    )["present"]

    assert [item["name"] for item in present["netns"]] == ["web", "data"]
    assert [(v["peer"].get("netns"), v["peer"].get("pid")) for v in present["veth"]] == [
        ("web", None),
        ("data", None),
        (None, 42),
    ]


def test_sysctls_of_an_endpoint_are_those_of_its_namespace_whatever_the_network() -> None:
    present = compose(
        [
            network("blue", "10.20.0.0/24", endpoint("web", sysctls={"net.core.somaxconn": 512}), endpoint("db")),
            network("six", "fd00::/64", endpoint("web", sysctls={"net.ipv4.ip_unprivileged_port_start": 0})),
        ],
        {},
    )["present"]

    found = {item["name"]: item.get("sysctls") for item in present["netns"]}
    assert found == {
        "web": {"net/core/somaxconn": "512", "net/ipv4/ip_unprivileged_port_start": "0"},
        "db": None,
    }


def test_a_mac_address_is_given_or_follows_from_the_first_address() -> None:
    present = compose(
        [
            network(
                "blue",
                "10.20.0.0/24",
                endpoint("web", mac_address="02:00:00:00:00:01"),
                endpoint("db", addresses=["10.20.0.3"]),
            ),
            network("six", "fd00::/64", endpoint("db", addresses=["fd00::2"])),
        ],
        {},
    )["present"]

    assert [veth["peer"].get("mac_address") for veth in present["veth"]] == [
        "02:00:00:00:00:01",
        "02:42:0a:14:00:03",
        "02:42:ab:c6:0c:b7",
    ]


# ---- forwarding


@pytest.mark.parametrize(
    ("options", "forward"),
    [
        ({"subnets": ["10.20.0.0/24"]}, (True, False)),
        ({"subnets": ["fd00:20::/64"]}, (False, True)),
        ({"subnets": ["fd00:20::/64"], "internal": True}, (False, False)),
        ({"subnets": []}, (True, False)),  # it gets one of the pools
    ],
)
def test_the_host_forwards_the_families_that_leave_a_network(options: Facts, forward: tuple[bool, bool]) -> None:
    found = compose([{"name": "blue", **options}], {})["forward"]

    assert (found["ipv4"], found["ipv6"]) == forward


@pytest.mark.parametrize(
    ("publish", "links"),
    [
        ("8080:80", ["br-blue"]),
        ("127.0.0.1:8080:80", ["br-blue"]),
        ("127.1.2.3:8080:80", ["br-blue"]),
        ("0.0.0.0:8080:80", ["br-blue"]),
        ("192.0.2.1:8080:80", []),
        ("[fd00::1]:8080:80", []),
    ],
)
def test_route_localnet_is_for_bridges_with_a_port_on_loopback(publish: str, links: list[str]) -> None:
    both = {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": [endpoint("web", publish)]}

    assert compose([both], {})["forward"]["route_localnet"] == links


@pytest.mark.parametrize(("prune", "links"), [("none", ["br-lo"]), ("listed", [])])
def test_a_port_that_stays_although_it_is_not_listed_counts_for_route_localnet(prune: str, links: list[str]) -> None:
    host = RoleHost()
    host.run([network("lo", "10.20.0.0/24", endpoint("web", "80:80"))])

    assert host.run([network("lo", "10.20.0.0/24")], prune=prune)["forward"]["route_localnet"] == links


def test_networks_of_other_lists_still_count_for_forwarding() -> None:
    host = RoleHost()
    host.run([{"name": "six", "subnets": ["fd00:20::/64"]}], prune="none")
    host.run([network("lo", "10.20.0.0/24", endpoint("web", "80:80"))], prune="none")

    forward = host.run([{"name": "quiet", "internal": True, "subnets": ["10.21.0.0/24"]}], prune="none")["forward"]

    assert forward == {
        "state": "present",
        "ipv4": True,
        "ipv6": True,
        "route_localnet": ["br-lo"],
        "forward_policy": "auto",
        "asked_by": "bridge_network",
    }


# ---- the second run


@given(network_lists(with_pids=True))
def test_a_second_run_asks_for_the_same_and_removes_nothing(networks: list[Facts]) -> None:
    host = RoleHost()
    first = host.run(networks)

    second = compose(networks, host.info())

    assert second == first
    assert first["absent"] == NOTHING
    assert first["remove"] is False


@pytest.mark.parametrize("out", ["default", "eth9", "!eth9", "! eth9"])
def test_a_second_run_removes_no_masquerade(out: str) -> None:
    networks = [network("blue", "10.20.0.0/24", masquerade={"out_interface": out})]
    host = RoleHost()
    host.run(networks)

    assert compose(networks, host.info())["absent"] == NOTHING


def test_a_second_run_on_bridges_and_namespaces_of_others_removes_nothing() -> None:
    networks = [network("blue", "10.20.0.0/24", endpoint("web", "80:80"), bridge="br0")]
    host = RoleHost({"br0": ["10.20.0.1/24"]}, ["web"])
    first = host.run(networks)

    assert compose(networks, host.info()) == first


# ---- stability


@given(st.data())
def test_what_stays_in_the_list_keeps_its_addresses_and_names(data: Any) -> None:
    networks = data.draw(network_lists())
    host = RoleHost()
    host.run(networks)
    before = host.endpoints()
    later = data.draw(successors(networks))
    assume(later)
    given_now = {
        (item["name"], str(ip_address(address.partition("/")[0])))
        for item in later
        for one in item["endpoints"]
        for address in one.get("addresses", ())
    }

    host.run(later)

    for key, facts in host.endpoints().items():
        if key in before:
            assert (facts["veth"], facts["interface"]) == (before[key]["veth"], before[key]["interface"])
            for address in before[key]["addresses"]:
                # one that somebody else was given by name has to go
                if (key[0], address.partition("/")[0]) not in given_now:
                    assert address in facts["addresses"]


@given(st.data())
def test_lists_that_follow_one_another_leave_what_the_last_one_alone_would(data: Any) -> None:
    networks = data.draw(network_lists())
    host = RoleHost()
    host.run(networks)
    later = data.draw(successors(networks))
    host.run(later)
    fresh = RoleHost()
    fresh.run(later)

    assert set(host.endpoints()) == set(fresh.endpoints())
    assert set(host.bridges) == set(fresh.bridges)
    assert set(host.namespaces) == set(fresh.namespaces)
    assert host.policies == fresh.policies
    assert host.masquerades == fresh.masquerades
    assert compose(later, host.info())["remove"] is False


@given(network_lists(with_pids=True))
def test_nothing_is_left_when_the_list_is_empty_or_absent(networks: list[Facts]) -> None:
    assume(networks)
    for last in (([], "project", "present"), (networks, "listed", "absent"), (networks, "none", "absent")):
        host = RoleHost()
        host.run(networks)
        done = host.run(*last)

        assert (host.bridges, host.namespaces, host.veths, host.policies) == ({}, {}, {}, {})
        assert (host.masquerades, host.ports) == ({}, {})
        assert done["forward"]["state"] == "absent"
        assert done["remove"] is bool(networks)


@given(st.data())
def test_without_prune_what_is_there_stays_and_nothing_collides(data: Any) -> None:
    networks = data.draw(network_lists())
    host = RoleHost()
    host.run(networks)
    before = host.endpoints()
    later = data.draw(successors(networks))
    assume(later)
    given_now = {a for item in later for one in item["endpoints"] for a in one.get("addresses", ())}
    for facts in before.values():  # what somebody else was given by name collides, whatever one does
        if given_now & {address.partition("/")[0] for address in facts["addresses"]}:
            return

    done = host.run(later, prune="none")

    assert done["absent"] == NOTHING
    assert set(before) <= set(host.endpoints())


def test_who_has_to_make_way_for_an_address_of_the_list_is_told() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web", "db")])
    [web] = addresses(host)["web"]
    ip = web.partition("/")[0]
    pin = {"name": "pin", "addresses": [ip]}

    def told(*endpoints: Any) -> tuple[str, ...]:
        wanted = {**network("blue", "10.20.0.0/24"), "endpoints": list(endpoints)}
        return composition.compose([wanted], read_report(host.info())).warnings

    [sentence] = told({"name": "web"}, {"name": "db"}, pin)
    assert "endpoint web, which lives, moves from %s to " % ip in sentence and "to endpoint pin; " in sentence
    [sentence] = told({"name": "db", "addresses": [ip]}, {"name": "web"})
    assert "endpoint web, which lives, moves from" in sentence and "to endpoint db; " in sentence
    # it goes, it is sent elsewhere, or it stays
    for endpoints in (
        ({"name": "db"}, pin),
        ({"name": "web", "addresses": ["10.20.0.9"]}, {"name": "db"}, pin),
        ({"name": "web"}, {"name": "db"}, {**pin, "addresses": ["10.20.0.9"]}),
    ):
        assert told(*endpoints) == ()


DUAL = ["10.20.0.0/24", "fd00:20::/64"]


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ({}, {"subnets": ["10.25.0.0/24"]}, r"web \(10\.20\.0\.183 with published port 8080/tcp\)"),
        ({"subnets": DUAL}, {}, r"web \(fd00:20::5642:58b7 with published port 8080/tcp\)"),
        ({}, {"gateways": ["10.20.0.9"]}, "web"),
        ({}, {"subnets": ["10.20.0.0/16"], "gateways": ["10.20.0.9"]}, "web"),
    ],
)
def test_an_endpoint_that_stays_keeps_its_gateway(before: Any, after: Any, lost: str) -> None:
    host = RoleHost()
    host.run([{**network("blue", "10.20.0.0/24", endpoint("web", "8080:80"), "db"), **before}])
    later = [{**network("blue", "10.20.0.0/24", "db"), **after}]

    with pytest.raises(InvalidRequest, match="^network blue: its new subnets or gateways .* and stay: " + lost):
        host.run(later, prune="none")
    # it moves with the others, or goes
    for names in (("web", "db"), ("db",)):
        host.run([{**network("blue", "10.20.0.0/24", *names), **after}])


@pytest.mark.parametrize("after", [{"subnets": DUAL}, {"subnets": ["10.20.0.0/16"]}, {"internal": True}])
def test_a_network_may_grow_around_an_endpoint_that_stays(after: Any) -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web", "db")])

    host.run([{**network("blue", "10.20.0.0/24", "db"), **after}], prune="none")

    assert len(host.endpoints()) == 2


def test_a_network_with_a_new_name_is_told_how_to_get_rid_of_the_old_one() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web")])
    renamed = network("azure", "10.20.0.0/25", "web")

    with pytest.raises(InvalidRequest, match=r"^network azure: subnet 10\.20\.0\.0/25 .* blue, .* prune to project, "):
        host.run([renamed], prune="listed")
    host.run([renamed], prune="project")
    assert [network["name"] for network in host.info()["networks"]] == ["azure"]


def test_a_new_endpoint_does_not_get_the_address_of_one_that_stays_on_the_host() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web", "db")])

    host.run([network("blue", "10.20.0.0/24", "new")], prune="none")

    # new would have the address of db
    assert addresses(host) == {"web": [chosen("web")], "db": ["10.20.0.194/24"], "new": ["10.20.0.195/24"]}


def test_an_endpoint_in_a_network_of_another_list_gets_another_interface_and_no_second_default_route() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web")], prune="none")

    [veth] = host.run([network("red", "10.21.0.0/24", "web")], prune="none")["present"]["veth"]

    assert (veth["peer"]["name"], veth["peer"]["gateways"]) == ("eth1", [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"subnets": ["10.20.0.0/24", "fd00:20::/64"]}),
        ({}, {"internal": True}),
        ({"internal": True}, {}),
    ],
)
def test_the_ways_out_of_an_endpoint_outside_the_list_are_those_that_its_network_has_after_the_run(
    before: Any, after: Any
) -> None:
    host = RoleHost()
    red = {**network("red", "10.21.0.0/24", "web"), "subnets": ["10.21.0.0/24", "fd00:21::/64"]}
    host.run([{**network("blue", "10.20.0.0/24", "web"), **before}], prune="none")
    lists = [[{**network("blue", "10.20.0.0/24", "db"), **after}, red]] * 2

    first, second = ([end["peer"] for end in host.run(run, prune="none")["present"]["veth"]] for run in lists)

    assert first == second


def test_a_default_route_stays_with_the_network_that_has_it_whichever_list_runs() -> None:
    host = RoleHost()
    blue, red = (network(name, "10.2%d.0.0/24" % at, "web") for at, name in enumerate(("blue", "red")))
    host.run([blue], prune="listed")
    host.run([red], prune="listed")

    for listed, gateways in ((blue, ["10.20.0.1"]), (red, []), (blue, ["10.20.0.1"])):
        [veth] = host.run([listed], prune="listed")["present"]["veth"]
        assert veth["peer"]["gateways"] == gateways


def test_a_network_of_another_list_that_gives_no_default_route_is_no_way_out() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", {"name": "web", "default_route": False})], prune="listed")

    [veth] = host.run([network("red", "10.21.0.0/24", "web")], prune="listed")["present"]["veth"]

    assert veth["peer"]["gateways"] == ["10.21.0.1"]


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (network("blue", "10.20.0.0/24"), "absent"),
        (network("blue", "10.20.0.0/24", internal=True), "present"),
        (network("blue", "10.20.0.0/24", "web", internal=True), "present"),
    ],
    ids=["absent", "not listed", "internal"],
)
def test_an_endpoint_that_is_left_without_a_default_route_is_told_of(then: Facts, state: str) -> None:
    host = RoleHost()
    red = network("red", "10.21.0.0/24", "web")
    host.run([network("blue", "10.20.0.0/24", "web"), red])

    scope = Scope("default", "listed", state)
    told = composition.compose([then], read_report(host.info()), scope).warnings
    host.run([then], prune="listed", state=state)
    [veth] = host.run([red], prune="listed")["present"]["veth"]

    assert told == (
        "Endpoint web is left without a default route (IPv4): it was that of network blue; a run with network red in"
        " its list gives it one.",
    )
    assert veth["peer"]["gateways"] == ["10.21.0.1"]


def test_a_default_route_that_moves_to_another_network_of_the_list_is_not_told_of() -> None:
    host = RoleHost()
    blue, red = (network(name, "10.2%d.0.0/24" % at, "web") for at, name in enumerate(("blue", "red")))
    host.run([blue, red])

    found = composition.compose([red], read_report(host.info()), Scope("default", "project"))

    assert not found.warnings
    assert [str(route.via) for veth in found.present.veth for route in veth.peer.routes] == ["10.21.0.1"]


def test_an_address_that_somebody_has_is_not_given_up_for_the_one_that_follows_from_the_name() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "new")])
    host.run([network("blue", "10.20.0.0/24", "new", "db")])

    assert addresses(host) == {"new": ["10.20.0.194/24"], "db": ["10.20.0.195/24"]}


def test_a_given_address_goes_before_one_that_an_endpoint_has() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web", "db")])

    host.run([network("blue", "10.20.0.0/24", "web", "db", endpoint("new", addresses=[chosen_ip("web")]))])

    assert addresses(host) == {"web": ["10.20.0.184/24"], "db": [chosen("db")], "new": [chosen("web")]}


def test_in_a_changed_subnet_an_endpoint_has_the_same_place() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web", "db")])

    host.run([network("blue", "10.99.0.0/24", "db", "web")])

    assert addresses(host) == {"db": [chosen("db", "10.99.0.0/24")], "web": [chosen("web", "10.99.0.0/24")]}


def test_an_address_that_is_the_gateway_now_is_given_up() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web")])

    host.run([network("blue", "10.20.0.0/24", "web", gateways=[chosen_ip("web")])])

    assert addresses(host) == {"web": ["10.20.0.184/24"]}


def test_a_second_family_leaves_the_first_one_alone() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web", "db")])

    host.run([dict(network("blue", "10.20.0.0/24", "db", "web"), subnets=["10.20.0.0/24", "fd00::/64"])])

    assert addresses(host) == {name: [chosen(name), chosen(name, "fd00::/64")] for name in ("db", "web")}


def unpinned(networks: list[Facts]) -> list[Facts]:
    """Without addresses and ports that are given, so that any order of any of it will do."""
    return [dict(item, endpoints=[{"name": one["name"]} for one in item["endpoints"]]) for item in networks]


def shuffled(data: Any, networks: list[Facts]) -> list[Facts]:
    inner = [dict(item, endpoints=data.draw(st.permutations(item["endpoints"]))) for item in networks]
    return list(data.draw(st.permutations(inner)))


def placed(host: RoleHost) -> dict[tuple[str, str], list[str]]:
    return {key: facts["addresses"] for key, facts in host.endpoints().items()}


@given(st.data())
def test_the_order_of_a_list_decides_on_no_address(data: Any) -> None:
    networks = data.draw(network_lists())
    one, other = RoleHost(), RoleHost()
    one.run(networks)
    other.run(shuffled(data, networks))

    assert placed(one) == placed(other)


@given(st.data())
def test_an_endpoint_that_is_made_anew_has_its_address_again(data: Any) -> None:
    networks = unpinned(data.draw(network_lists()))
    host, fresh = RoleHost(), RoleHost()
    host.run(networks)
    fresh.run(networks)
    for gone in data.draw(st.lists(st.sampled_from(sorted(host.veths)), max_size=1)) if host.veths else ():
        del host.veths[gone]

    host.run(networks)

    assert placed(host) == placed(fresh)


def test_other_endpoints_have_their_addresses_whoever_comes_or_goes() -> None:
    names = ["e%d" % number for number in range(200)]
    one, other = RoleHost(), RoleHost()
    one.run([network("blue", "10.20.0.0/16", *names)])
    other.run([network("blue", "10.20.0.0/16", "an-early-one", *names, "z-late-one")])

    assert [key for key, value in placed(one).items() if placed(other)[key] != value] == []


def test_what_was_inserted_while_others_lived_is_where_it_would_be_on_a_new_host() -> None:
    lived, fresh = RoleHost(), RoleHost()
    for host, lists in ((lived, (["app", "web"], ["static", "app", "web"])), (fresh, (["static", "app", "web"],))):
        for names in lists:
            host.run([network("blue", "10.20.0.0/24", *names)])

    assert addresses(lived) == addresses(fresh)


def test_a_project_of_another_name_has_other_addresses() -> None:
    networks = [network("blue", "10.20.0.0/24", "web")]
    found = [composition.compose(networks, HostReport(), Scope(project)) for project in ("default", "shop")]

    assert [str(one.present.veth[0].peer.addresses[0]) for one in found if one.present.veth[0].peer.addresses] == [
        chosen("web"),
        chosen("web", project="shop"),
    ]


def test_the_address_of_an_endpoint_that_was_plugged_in_by_hand_is_not_chosen() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", endpoint("by-hand", addresses=[chosen_ip("web")]))])
    for veth in host.veths.values():
        veth["network"] = ""

    host.run([network("blue", "10.20.0.0/24", "web")])

    assert addresses(host) == {"by-hand": [chosen("web")], "web": ["10.20.0.184/24"]}


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ("10.20.0.64/26", ["10.20.0.119/24", chosen("web", "fd00:20::/64")]),
        (["fd00:20::a:0/112", "10.20.0.64/26"], ["10.20.0.119/24", "fd00:20::a:58b7/64"]),
    ],
)
def test_an_address_is_chosen_out_of_the_range_of_its_family(ranges: Any, expected: list[str]) -> None:
    both = dict(network("blue", "10.20.0.0/24", "web"), subnets=["10.20.0.0/24", "fd00:20::/64"], ip_range=ranges)

    assert compose([both], {})["present"]["veth"][0]["peer"]["addresses"] == expected


def test_what_was_given_or_is_there_may_lie_outside_the_range() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web")])

    host.run(
        [network("blue", "10.20.0.0/24", "web", endpoint("db", addresses=["10.20.0.9"]), ip_range=["10.20.0.64/26"])]
    )

    assert addresses(host) == {"web": [chosen("web")], "db": ["10.20.0.9/24"]}


def test_an_endpoint_that_loses_a_network_keeps_the_interface_of_the_other() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web"), network("red", "10.21.0.0/24", "web")])

    host.run([network("new", "10.22.0.0/24", "web"), network("red", "10.21.0.0/24", "web")])

    assert {key[0]: facts["interface"] for key, facts in host.endpoints().items()} == {"red": "eth1", "new": "eth0"}


def test_an_endpoint_that_moves_into_another_namespace_gets_an_interface_that_is_free_there() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "db"), network("red", "10.21.0.0/24", "web")])

    host.run([network("blue", "10.20.0.0/24", endpoint("db", netns="web"))], prune="listed")

    assert {key[0]: facts["interface"] for key, facts in host.endpoints().items()} == {"red": "eth0", "blue": "eth1"}


def test_an_interface_that_the_list_names_is_not_kept_by_another_endpoint() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", "web"), network("red", "10.21.0.0/24", "web")])

    named = network("red", "10.21.0.0/24", endpoint("web", interface="eth0"))
    host.run([network("blue", "10.20.0.0/24", "web"), named])

    assert {key[0]: facts["interface"] for key, facts in host.endpoints().items()} == {"red": "eth0", "blue": "eth1"}


# ---- ports


def ports(host: RoleHost) -> dict[str, str]:
    return {port["container_ip"]: port["host_port"] for port in host.ports.values()}


def test_a_chosen_port_is_the_first_free_one_and_stays() -> None:
    host = RoleHost()
    host.run([network("blue", "10.20.0.0/24", endpoint("a", "80"), endpoint("b", "80"), endpoint("c", "81-82:80"))])
    found = {chosen_ip("a"): "49153", chosen_ip("b"): "49154", chosen_ip("c"): "81"}
    assert ports(host) == found

    host.run([network("blue", "10.20.0.0/24", endpoint("c", "81-82:80"), endpoint("new", "80"), endpoint("b", "80"))])
    del found[chosen_ip("a")]
    assert ports(host) == {**found, "10.20.0.195": "49155"}


def test_a_chosen_port_is_the_same_in_both_families() -> None:
    both = {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": [endpoint("web", "80")]}

    assert [item["host_port"] for item in compose([both], {})["present"]["port_publish"]] == ["49153", "49153"]


@pytest.mark.parametrize("publish", ["8000-8001:80", "0.0.0.0:8000-8001:80", "127.0.0.1:8000-8001:80"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_port_is_not_chosen_that_somebody_else_asks_for_by_number(publish: str, order: int) -> None:
    endpoints = [endpoint("picky", "8000:80"), endpoint("easy", publish)][::order]
    host = RoleHost()

    host.run([network("blue", "10.20.0.0/24", *endpoints)])

    assert sorted(port["host_port"] for port in host.ports.values()) == ["8000", "8001"]


def test_a_chosen_port_is_free_in_both_families() -> None:
    both = {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [endpoint("six", "[fd00::1]:8000:80"), endpoint("both", "8000-8001:80")],
    }
    host = RoleHost()

    host.run([both])

    assert sorted(port["host_port"] for port in host.ports.values()) == ["8000", "8001", "8001"]


def test_when_no_port_is_free_the_run_says_so() -> None:
    easy = [endpoint("e%d" % number, "8000-8001:80", addresses=["10.20.0.%d" % (2 + number)]) for number in range(3)]

    with pytest.raises(
        InvalidRequest, match=r"^network blue: endpoint e2: publish: none of the host ports 8000-8001 is free; choose"
    ):
        compose([network("blue", "10.20.0.0/24", *easy)], {})


@pytest.mark.parametrize(
    ("publish", "published"),
    [
        ("8080:80", ["10.20.0.2", "fd00:20::2"]),
        ("192.0.2.1:8080:80", ["10.20.0.2"]),
        ("[2001:db8::1]:8080:80", ["fd00:20::2"]),
        ({"host_port": 80, "container_port": 80, "allowed_sources": "192.0.2.0/24"}, ["10.20.0.2"]),
        ({"host_port": 80, "container_port": 80, "allowed_sources": ["2001:db8::/32"]}, ["fd00:20::2"]),
    ],
)
def test_a_port_is_published_in_the_families_that_it_is_meant_for(publish: Any, published: list[str]) -> None:
    web = endpoint("web", publish, addresses=["10.20.0.2", "fd00:20::2"])
    both = {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": [web]}

    assert [item["container_ip"] for item in compose([both], {})["present"]["port_publish"]] == published


def test_of_two_addresses_of_a_family_the_first_one_serves() -> None:
    web = endpoint("web", "80:80", addresses=["10.20.0.7", "10.20.0.6"])

    [item] = compose([network("blue", "10.20.0.0/24", web)], {})["present"]["port_publish"]

    assert item["container_ip"] == "10.20.0.7"


# ---- names


def test_veth_pairs_of_many_endpoints_have_different_names() -> None:
    # these two have the same first letters and the same first 24 bits of the hash
    veths = compose([network("blue", "10.20.0.0/24", "endpoint-00008", "endpoint-01554")], {})["present"]["veth"]

    assert len({veth["name"] for veth in veths}) == 2


# ---- time


class CountedName(str):
    """A name that counts how often it is compared with another."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        CountedName.comparisons += 1
        return str.__eq__(self, str(other))

    def __hash__(self) -> int:
        return str.__hash__(self)


def effort(action: Callable[[], object]) -> int:
    """Lines of Python that run, and comparisons of names."""
    lines = 0

    def trace(unused_frame: Any, event: str, unused_argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    CountedName.comparisons = 0
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return lines + CountedName.comparisons


@pytest.mark.parametrize("publish", [[], ["{}:80"], ["80"]], ids=["unpublished", "published", "port-chosen"])
@pytest.mark.parametrize("again", [False, True], ids=["first-run", "second-run"])
def test_the_effort_grows_no_faster_than_the_list(publish: list[str], again: bool) -> None:
    def cost(size: int) -> int:
        endpoints = [
            endpoint(CountedName("endpoint-%d" % number), *(text.format(20000 + number) for text in publish))
            for number in range(size)
        ]
        networks = [network("blue", "10.20.0.0/16", *endpoints)]
        host = RoleHost()
        if again:
            host.run(networks)
        info = host.info()
        return effort(lambda: compose(networks, info))

    assert cost(160) < 2.2 * cost(80)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"internal": True, "direct_access": True},
            "an internal network has no way in; leave out trusted_interfaces and direct_access.",
        ),
        (
            {"allow": [{"to": "10.99.0.2"}]},
            "allow.to 10.99.0.2 lies in none of its subnets; the host itself is reached by 10.20.0.1.",
        ),
    ],
)
def test_a_policy_is_checked_like_that_of_the_module(options: Facts, message: str, monkeypatch: Any) -> None:
    """The composition makes it of objects of the model, and not by the options of the module."""
    monkeypatch.delattr(BridgeFirewallKind, "parse")

    with pytest.raises(InvalidRequest) as refused:
        compose([network("blue", "10.20.0.0/24", **options)], {})

    assert str(refused.value) == "network blue: bridge br-blue: " + message


def test_a_source_that_no_answer_finds_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        compose([network(masquerade={"to_source": "0.0.0.0"})], {})

    assert str(refused.value) == (
        "network blue: masquerade: to_source: no answer comes back to 0.0.0.0; write an address of this host that"
        " others reach."
    )


def test_a_source_of_a_family_that_the_network_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        compose([network(masquerade={"to_source": "fd00::1"})], {})

    assert str(refused.value) == (
        "network blue: masquerade: to_source: fd00::1 is an IPv6 address, and the network has no subnet of that family;"
        " write an address of IPv4."
    )
