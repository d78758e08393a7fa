# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition import compose as composition
from ansible_collections.dockerless.network.plugins.module_utils.composition.objects import Objects
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.role_host import (
    MODULES,
    RoleHost,
    compose,
)

Facts = dict[str, Any]

BLUE: Facts = {
    "name": "blue",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [
        {"name": "web", "addresses": ["10.20.0.2"], "publish": ["8080:80", "127.0.0.1:53:53/udp"]},
        {"name": "db"},
    ],
}
RED: Facts = {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "web"}, {"name": "vm", "pid": 42}]}
NOTHING: Facts = {module: [] for module in MODULES}

BLUE_GOES: Facts = {
    "endpoint_service": [],
    "bridge": [{"name": "br-blue"}],
    "netns": [{"name": "db"}],
    "veth": [{"name": "v-blue-db"}, {"name": "v-blue-web"}],
    "bridge_firewall": [{"bridge": "br-blue"}],
    "nat_masquerade": [{"source": "10.20.0.0/24", "out_interface": "!br-blue", "state": "absent"}],
    "port_publish": [
        {
            "host_ip": "127.0.0.1",
            "host_port": "53",
            "protocol": "udp",
            "container_ip": "10.20.0.2",
            "bridge": "br-blue",
            "state": "absent",
        },
        {"host_port": "8080", "protocol": "tcp", "container_ip": "10.20.0.2", "bridge": "br-blue", "state": "absent"},
    ],
}


def host_with(*networks: Facts) -> RoleHost:
    host = RoleHost()
    host.run(networks)
    return host


def absent(networks: list[Facts], host: RoleHost, **how: Any) -> Facts:
    arguments: Facts = compose(networks, host.info(), **how)
    assert arguments["remove"] is any(arguments["absent"].values())
    found: Facts = arguments["absent"]
    return found


def test_prune_takes_a_network_that_is_not_in_the_list_but_for_a_namespace_that_another_one_needs() -> None:
    assert absent([RED], host_with(BLUE, RED)) == BLUE_GOES


def test_without_prune_nothing_goes() -> None:
    assert absent([{**BLUE, "endpoints": []}], host_with(BLUE, RED), prune="none") == NOTHING


def test_by_default_only_what_the_listed_networks_no_longer_have_goes() -> None:
    """A second play with a list of its own used to take the networks of the first one away."""
    both = host_with(BLUE, RED)

    assert absent([RED], both, prune="listed") == NOTHING
    assert absent([{**BLUE, "endpoints": [{"name": "db"}]}], both, prune="listed") == {
        **NOTHING,
        "veth": [{"name": "v-blue-web"}],
        "port_publish": BLUE_GOES["port_publish"],
    }


@pytest.mark.parametrize("prune", ["listed", "none"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_an_empty_list_is_refused_unless_the_project_shall_have_no_networks(prune: str, state: str) -> None:
    instead = {"present": "set prune to project", "absent": "name the networks"}
    with pytest.raises(InvalidRequest, match=r"^networks: the list is empty; %s" % instead[state]):
        absent([], host_with(BLUE), prune=prune, state=state)


def test_an_empty_list_with_absent_and_the_whole_project_is_refused_while_that_has_networks() -> None:
    """It used to remove nothing without a word. Where no network is left, there is nothing to ask about."""
    message = (
        r"^networks: the list is empty, so there is nothing to remove, but project default has networks here"
        r" \(blue, red\); name those to remove, or set state to present and leave prune at project to remove all of"
        r" them\.$"
    )
    host = host_with(BLUE, RED)
    with pytest.raises(InvalidRequest, match=message):
        absent([], host, state="absent")
    assert absent([], host, state="absent", project="shop") == NOTHING
    host.run([])
    assert absent([], host, state="absent") == NOTHING


def test_a_namespace_that_networks_of_two_lists_share_goes_with_the_last_one() -> None:
    host = host_with(BLUE)
    host.run([RED], prune="listed")
    second = compose([RED], host.info(), prune="listed")
    assert [item for item in second["present"]["netns"] if item["name"] == "web"] == [
        {"name": "web", "network": "blue"}
    ]

    assert absent([BLUE], host, state="absent")["netns"] == [{"name": "db"}]
    host.run([BLUE], state="absent")
    assert absent([RED], host, state="absent")["netns"] == [{"name": "web"}]


@pytest.mark.parametrize("prune", ["listed", "project"])
def test_networks_of_other_projects_stay(prune: str) -> None:
    host = host_with(BLUE)
    mine = {**RED, "endpoints": [{"name": "mine"}]}

    asked = host.run([mine], prune=prune, project="shop")

    assert asked["absent"] == NOTHING
    assert compose([mine], host.info(), prune=prune, project="shop") == asked
    assert host.info()["networks"][1]["project"] == "shop"
    assert absent([], host, project="shop")["bridge"] == [{"name": "br-red", "project": "shop"}]
    assert absent([], host)["bridge"] == [{"name": "br-blue"}]


def test_absent_leaves_what_another_project_has_and_says_so() -> None:
    host = host_with(BLUE)

    found = composition.compose([BLUE], read_report(host.info()), Scope("shop", "listed", "absent"))

    assert found.absent == Objects(sysctl_forward=found.absent.sysctl_forward)
    assert found.warnings == ("Network blue belongs to project default, not to project shop, and stays.",)


def test_a_bridge_is_not_taken_from_a_network_that_stays() -> None:
    with pytest.raises(InvalidRequest, match=r"^network azure: bridge br-blue belongs to network blue, which"):
        absent([{**BLUE, "name": "azure", "bridge": "br-blue"}], host_with(BLUE), prune="listed")


@pytest.mark.parametrize("prune", ["listed", "project", "none"])
def test_absent_takes_the_networks_in_the_list_and_no_other(prune: str) -> None:
    assert absent([BLUE], host_with(BLUE, RED), prune=prune, state="absent") == BLUE_GOES


def test_absent_asks_for_nothing_that_is_to_be_there() -> None:
    assert compose([BLUE], host_with(BLUE, RED).info(), state="absent")["present"] == NOTHING


@pytest.mark.parametrize(
    "network",
    [
        {"name": "blue"},
        {"name": "blue", "subnets": ["nonsense"]},
        {"name": "blue", "endpoints": [{"name": "web", "publish": ["nonsense"]}]},
        {"name": "blue", "endpoints": [{"name": "web", "addresses": ["192.0.2.1"]}]},
    ],
)
def test_with_absent_only_the_names_matter(network: Facts) -> None:
    # as the role's documentation says
    assert absent([network], host_with(BLUE, RED), state="absent") == BLUE_GOES


def test_a_network_whose_bridge_was_named_goes_by_its_own_name_alone() -> None:
    host = host_with(dict(BLUE, name="a-rather-long-name", bridge="br0"))

    assert absent([{"name": "a-rather-long-name"}], host, state="absent")["bridge"] == [{"name": "br0"}]


def test_absent_for_networks_that_are_not_there_does_nothing() -> None:
    arguments = compose([BLUE], RoleHost().info(), state="absent")

    assert arguments["absent"] == NOTHING
    assert (arguments["forward"]["state"], arguments["forward"]["asked_by"]) == ("absent", "bridge_network")


def test_the_host_goes_on_forwarding_for_the_networks_that_are_left() -> None:
    six = {"name": "six", "subnets": ["fd00:20::/64"]}
    forward = compose([BLUE], host_with(BLUE, six).info(), state="absent")["forward"]

    wanted = {"state": "present", "ipv4": False, "ipv6": True, "route_localnet": []}
    assert forward == {**wanted, "forward_policy": "auto", "asked_by": "bridge_network"}


@pytest.mark.parametrize(("networks", "state"), [([BLUE], "absent"), ([], "present")])
def test_the_host_stops_forwarding_with_the_last_network(networks: list[Facts], state: str) -> None:
    forward = compose(networks, host_with(BLUE).info(), state=state)["forward"]

    assert forward["state"] == "absent"


@pytest.mark.parametrize(("state", "remaining"), [("absent", [BLUE]), ("present", [])])
def test_the_host_stops_forwarding_with_the_last_network_on_a_bridge_of_others_too(
    state: str, remaining: list[Facts]
) -> None:
    host = RoleHost({"br-blue": ["10.20.0.1/24"]})
    host.run([BLUE])

    forward = host.run(remaining, state=state)["forward"]

    assert forward["state"] == "absent"


def test_bridges_and_namespaces_of_others_stay() -> None:
    host = RoleHost({"br-blue": ["10.20.0.1/24"]}, ["web", "db"])
    host.run([BLUE])

    found = absent([BLUE], host, state="absent")

    assert (found["bridge"], found["netns"]) == ([], [])
    assert {module: found[module] for module in ("veth", "bridge_firewall", "nat_masquerade", "port_publish")} == {
        module: BLUE_GOES[module] for module in ("veth", "bridge_firewall", "nat_masquerade", "port_publish")
    }


def test_what_carries_no_network_was_not_made_by_the_role_and_stays() -> None:
    host = host_with(BLUE)
    for facts in (*host.veths.values(), *host.bridges.values(), *host.namespaces.values()):
        facts["network"] = ""
    for facts in (*host.policies.values(), *host.masquerades.values(), *host.ports.values()):
        del facts["network"]

    assert absent([], host) == NOTHING
    assert absent([BLUE], host, state="absent") == NOTHING


def test_an_endpoint_that_leaves_takes_its_veth_pair_its_namespace_and_its_ports_along() -> None:
    found = absent([dict(BLUE, endpoints=[{"name": "db"}])], host_with(BLUE))

    assert found == {
        **NOTHING,
        "veth": [{"name": "v-blue-web"}],
        "netns": [{"name": "web"}],
        "port_publish": BLUE_GOES["port_publish"],
    }


def test_a_port_that_leads_elsewhere_now_is_changed_in_place() -> None:
    moved = dict(BLUE, endpoints=[{"name": "web"}, {"name": "db", "publish": ["8080:80", "127.0.0.1:53:53/udp"]}])

    assert absent([moved], host_with(BLUE)) == NOTHING


def test_a_port_that_belongs_to_another_network_now_is_taken_back_first() -> None:
    blue = dict(BLUE, endpoints=[{"name": "web"}, {"name": "db"}])
    red = dict(RED, endpoints=[{"name": "web", "publish": ["8080:80", "127.0.0.1:53:53/udp"]}])

    assert absent([blue, red], host_with(BLUE, RED))["port_publish"] == BLUE_GOES["port_publish"]


def test_a_masquerade_that_is_no_longer_wanted_goes() -> None:
    for options in ({"masquerade": False}, {"internal": True}, {"masquerade": {"out_interface": "eth0"}}):
        found = absent([dict(BLUE, **options)], host_with(BLUE))

        assert found == {**NOTHING, "nat_masquerade": BLUE_GOES["nat_masquerade"]}


def test_what_else_is_said_of_a_masquerade_is_changed_in_place() -> None:
    changed = dict(BLUE, masquerade={"exclude": ["10.0.0.0/8"], "random_fully": True})

    assert absent([changed], host_with(BLUE)) == NOTHING


def test_a_network_of_another_name_on_the_same_bridge_takes_it_over() -> None:
    renamed = dict(BLUE, name="azure", bridge="br-blue")

    found = absent([renamed], host_with(BLUE))

    assert (found["bridge"], found["bridge_firewall"], found["netns"]) == ([], [], [])
    assert found["nat_masquerade"] == []  # which goes after the others are made, and would take the new one along
    assert found["veth"] == [{"name": "v-blue-db"}, {"name": "v-blue-web"}]


@pytest.mark.parametrize(
    ("names", "project", "warns", "told"),
    [
        (["bleu"], "default", True, "bleu"),
        (["blue", "reed"], "default", True, "reed"),
        (["blue", "red"], "default", True, ""),
        (["bleu"], "default", False, ""),
        (["bleu"], "shop", True, ""),  # which has none that could be meant
    ],
)
def test_absent_tells_of_a_network_that_is_not_there(names: list[str], project: str, warns: bool, told: str) -> None:
    """The second removal of all networks says nothing."""
    report = read_report(host_with(BLUE, RED).info())
    networks = [{"name": name} for name in names]

    found = composition.compose(networks, report, Scope(project, "listed", "absent", warns=warns))

    others = ", ".join(name for name in ("blue", "red") if name not in names)
    text = "Network %s of project default is not there, so it cannot be removed; is one of these meant: %s?"
    assert found.warnings[:1] == (text % (told, others),) if told else "not there" not in str(found.warnings)
    assert bool(found.absent.bridge) == ("blue" in names)
