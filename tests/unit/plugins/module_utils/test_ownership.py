# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A project neither gets nor removes the objects of another, neither by whole networks nor by a single module."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make, make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Kind
from ansible_collections.dockerless.network.plugins.module_utils.engine import run as engine_run
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, InvalidRequest, Place
from ansible_collections.dockerless.network.plugins.module_utils.ownership import refuse, whose
from ansible_collections.dockerless.network.plugins.plugin_utils.picture import picture
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.chosen import chosen
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
    world,
)

Facts = dict[str, Any]
SHOP = Scope("shop")
BLUE: Facts = {
    "name": "blue",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [{"name": "web", "publish": ["8080:80", "127.0.0.1:9000:9000"]}],
}
PORT = {"host_port": "8070", "container_ip": "10.9.0.2", "bridge": "br0"}
# An object of the network, by its module's options.
OBJECTS: list[tuple[Kind[Any], Facts]] = [
    (BridgeKind(), {"name": "br-blue"}),
    (NetnsKind(), {"name": "web"}),
    (VethKind(), {"name": "v-blue-web", "bridge": "br-blue", "peer": {"netns": "web"}}),
    (BridgeFirewallKind(), {"bridge": "br-blue", "subnets": ["10.20.0.0/24"]}),
    (NatMasqueradeKind(), {"source": "10.20.0.0/24", "out_interface": "!br-blue"}),
    (PortPublishKind(), {"host_port": "8080", "container_ip": "10.20.0.2", "bridge": "br-blue"}),
]


@pytest.fixture
def host() -> MemoryHost:
    """A host with a network of the project shop."""
    made = MemoryHost()
    made.uplink()
    make_networks([BLUE], world(made), SHOP)
    return made


def refusal(host: MemoryHost, act: Any) -> str:
    """The sentence; it is the same in check mode, and changes nothing."""
    before = host.snapshot()
    with pytest.raises(Conflict) as foreseen:
        act(True)
    with pytest.raises(Conflict) as refused:
        act(False)
    assert str(foreseen.value) == str(refused.value)
    assert host.snapshot() == before
    return str(refused.value)


def red(**endpoint: Any) -> Facts:
    return {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "app", **endpoint}]}


@pytest.mark.parametrize("prune", ["listed", "project", "none"])
@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({**BLUE, "bridge": "br0", "endpoints": []}, "Network blue belongs to project shop, and project mine asks"),
        (
            {**red(), "bridge": "br-blue"},
            "of bridge br-blue belongs to network blue of project shop, and network red",
        ),
        (
            red(netns="web"),
            "network red: endpoint app: namespace web belongs to network blue of project shop, and network red of"
            " project mine asks for it; choose another name (netns of an endpoint), or set",
        ),
        (
            red(publish=["8080:80"]),
            "network red: endpoint app: host port 8080/tcp belongs to network blue of project shop",
        ),
        (
            red(publish=["8000-8100:80-180"]),
            "network red: endpoint app: host port 8080/tcp belongs to network blue of project shop",
        ),
        (
            red(publish=["9000:9000"]),
            "network red: endpoint app: host port 9000/tcp belongs to network blue of project shop",
        ),
    ],
)
def test_what_another_project_has_is_refused_with_its_name(
    host: MemoryHost, network: Facts, message: str, prune: str
) -> None:
    said = refusal(host, lambda check: make_networks([network], world(host, check), Scope("mine", prune)))

    assert message in said
    assert said.endswith(", or set project to shop if it is the same.")


def test_networks_that_were_made_before_there_were_projects_are_of_the_default_one(host: MemoryHost) -> None:
    old = MemoryHost()
    old.uplink()
    make_networks([BLUE], world(old))

    said = refusal(old, lambda check: make_networks([BLUE], world(old, check), SHOP))

    assert said.startswith("Network blue belongs to project default, and project shop asks for it;")


@pytest.mark.parametrize(("kind", "options"), OBJECTS, ids=lambda value: getattr(value, "name", ""))
@pytest.mark.parametrize("whose", [{}, {"network": "red", "project": "mine"}, {"project": "mine"}])
def test_a_single_module_is_refused_likewise(
    host: MemoryHost, kind: Kind[Any], options: Facts, whose: Mapping[str, str]
) -> None:
    asked = ask(kind, {**options, **whose})

    said = refusal(host, lambda check: once(host, asked, check_mode=check))

    assert "belongs to network blue of project shop, and " in said


@pytest.mark.parametrize(("kind", "options"), OBJECTS, ids=lambda value: getattr(value, "name", ""))
def test_absent_by_another_project_takes_nothing_and_says_so(host: MemoryHost, kind: Kind[Any], options: Facts) -> None:
    before = host.snapshot()

    outcome = once(host, ask(kind, options, "absent"))

    assert (outcome.changed, outcome.commands, outcome.before, outcome.after) == (False, (), "", "")
    assert host.snapshot() == before
    assert [text.endswith("belongs to network blue of project shop, and stays.") for text in outcome.warnings] == [True]
    assert [item["state"] for item in outcome.objects] == ["present"]
    assert once(host, ask(kind, {**options, "project": "shop"}, "absent")).changed


def test_a_veth_pair_does_not_plug_into_what_another_project_has(host: MemoryHost) -> None:
    once(host, ask(NetnsKind(), {"name": "mine"}))
    plug = {"name": "v0", "bridge": "br-blue", "peer": {"netns": "mine"}}
    move_in = {"name": "v0", "peer": {"netns": "web", "name": "eth7"}}
    by_process = {"name": "v0", "peer": {"pid": 700, "name": "eth7"}}
    host.space(Place(netns="web")).processes.append(700)

    for options, what in (
        (plug, "Bridge br-blue"),
        (move_in, "Namespace web"),
        (by_process, "The namespace of process 700 belongs to network blue of project shop"),
    ):
        asked = ask(VethKind(), options)
        assert refusal(host, lambda check, asked=asked: once(host, asked, check_mode=check)).startswith(what)


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("Unit hello.service", "another unit"),
        ("Host port 8080/tcp", "another port"),
        ("Namespace web", "another name (netns of an endpoint)"),
        ("The namespace of process 7", "another process"),
        ("Bridge br-blue", "another bridge"),
        ("The firewall of bridge br-blue", "another bridge"),
        ("Subnet 10.20.0.0/24 of bridge br-blue", "another subnet"),
        ("Masquerade of 10.20.0.0/24 by eth0", "another subnet"),
        ("Interface v-web", "another name"),
    ],
)
def test_what_to_choose_instead_is_what_the_user_may_choose(what: str, instead: str) -> None:
    """A unit has no number, and a namespace neither."""
    with pytest.raises(Conflict) as conflict:
        refuse("red@mine", (what, "blue@shop"))
    assert str(conflict.value) == (
        f"{what} belongs to network blue of project shop, and network red of project mine asks for it; choose"
        f" {instead}, or set project to shop if it is the same."
    )


SUBNET = "Subnet 10.20.0.0/24 of bridge br-blue"
INTO: list[tuple[Kind[Any], Facts, str]] = [
    (PortPublishKind(), {"host_port": "8070", "container_ip": "10.20.0.9", "bridge": "br-blue"}, "Bridge br-blue"),
    (PortPublishKind(), {"host_port": "8070", "container_ip": "10.20.0.9"}, "Bridge br-blue"),
    (PortPublishKind(), {"host_port": "8070", "container_ip": "10.20.0.9", "bridge": "br-mine"}, SUBNET),
    (NatMasqueradeKind(), {"source": "10.20.0.0/25", "to_source": "192.0.2.9"}, SUBNET),
    (NatMasqueradeKind(), {"source": "10.20.0.0/24", "out_interface": "!br-mine"}, SUBNET),
    (BridgeFirewallKind(), {"bridge": "br-mine", "allow": [{"to": "10.20.0.9"}]}, SUBNET),
    (BridgeFirewallKind(), {"bridge": "br-mine", "allow": [{"to": "10.20.0.0/16"}]}, SUBNET),
]
MINE = ask(BridgeKind(), {"name": "br-mine", "addresses": ["10.9.0.1/24"]})
WHOSE = [{}, {"network": "mine", "project": "mine"}, {"project": "mine"}]


@pytest.mark.parametrize(("kind", "options", "what"), INTO)
@pytest.mark.parametrize("whose", WHOSE)
def test_a_rule_does_not_reach_into_a_network_of_another_project(
    host: MemoryHost, kind: Kind[Any], options: Facts, what: str, whose: Mapping[str, str]
) -> None:
    """Whether its rules are there or only its bridge."""
    once(host, MINE)
    asked = ask(kind, {**options, **whose})

    said = refusal(host, lambda check: once(host, asked, check_mode=check))
    assert said.startswith("%s belongs to network blue of project shop, and " % what)

    once(host, ask(BridgeFirewallKind(), {"bridge": "br-blue", "project": "shop"}, "absent"))
    said = refusal(host, lambda check: once(host, asked, check_mode=check))
    assert said.startswith("%s belongs to network blue of project shop, and " % what)


@pytest.mark.parametrize(("kind", "options", "what"), INTO[:5])
def test_a_rule_of_the_same_project_does(host: MemoryHost, kind: Kind[Any], options: Facts, what: str) -> None:
    del what
    once(host, MINE)
    converge(host, ask(kind, {**options, "project": "shop"}))


# A rule that leads into a subnet before there is such a network, and what is said of it then.
BEFORE: list[tuple[Kind[Any], Facts, str]] = [
    (PortPublishKind(), {**PORT, "container_ip": "10.20.0.9"}, "host port 8070/tcp leads to 10.20.0.9"),
    (NatMasqueradeKind(), {"source": "10.20.0.0/25"}, "a masquerade translates what leaves 10.20.0.0/25"),
    (NatMasqueradeKind(), {"source": "10.0.0.0/8"}, "a masquerade translates what leaves 10.0.0.0/8"),
    (
        BridgeFirewallKind(),
        {"bridge": "br-mine", "subnets": [], "allow": [{"to": "10.20.0.9"}]},
        "the firewall of bridge br-mine opens 10.20.0.9",
    ),
]


@pytest.mark.parametrize(("kind", "options", "what"), BEFORE)
@pytest.mark.parametrize("whose", ["project mine", "network mine of project mine"])
def test_a_new_network_does_not_take_in_what_rules_of_another_project_reach(
    kind: Kind[Any], options: Facts, what: str, whose: str
) -> None:
    host = MemoryHost()
    host.uplink()
    host.make_link(host.host, "br0", up=True, kind="bridge")
    once(host, ask(BridgeKind(), {"name": "br-mine"}))
    owned = {"project": "mine", "network": "mine" if whose.startswith("network") else None}
    once(host, ask(kind, {**options, **owned}))

    said = refusal(host, lambda check: make_networks([BLUE], world(host, check), SHOP))
    assert said == (
        f"network blue: subnet 10.20.0.0/24 of bridge br-blue: {what}, which belongs to {whose}; choose another subnet,"
        " or let that project take it back first."
    )
    apart = {**BLUE, "subnets": ["192.168.9.0/24"], "endpoints": []}
    make_networks([apart], world(host), SHOP)
    refusal(host, lambda check: make_networks([{**apart, "subnets": BLUE["subnets"]}], world(host, check), SHOP))

    assert make_networks([{**BLUE, "name": "mine"}], world(host), Scope("mine")).changed


def test_a_network_that_is_there_is_not_held_up_by_a_rule_that_came_later(host: MemoryHost) -> None:
    """As an earlier release let it come."""
    looking = world(host)
    looking.restoring = True
    engine_run([ask(PortPublishKind(), {**PORT, "container_ip": "10.20.0.9", "project": "mine"})], looking)

    assert make_networks([{**BLUE, "icc": False}], world(host), SHOP).changed


@pytest.mark.parametrize("whose", WHOSE)
def test_a_masquerade_of_a_wide_subnet_is_refused_to_a_network_or_a_project(
    host: MemoryHost, whose: Mapping[str, str]
) -> None:
    """That of the network itself comes first, as it is narrower."""
    asked = ask(NatMasqueradeKind(), {"source": "10.0.0.0/8", **whose})
    if not whose:
        converge(host, asked)
        return
    assert refusal(host, lambda check: once(host, asked, check_mode=check)).startswith(SUBNET)


@pytest.mark.parametrize("options", [{"bridge": "br-blue"}, {"container_ip": "10.20.0.9"}])
def test_a_rule_of_others_is_restored_as_it_was(host: MemoryHost, options: Facts) -> None:
    looking = world(host)
    looking.restoring = True

    assert engine_run([ask(PortPublishKind(), {**PORT, **options})], looking).changed


@pytest.mark.parametrize(("prune", "left"), [("listed", {"blue", "red", "old"}), ("project", {"blue", "red"})])
def test_each_project_goes_its_own_way(host: MemoryHost, prune: str, left: set[str]) -> None:
    mine = Scope("mine", prune)
    old = {"name": "old", "subnets": ["10.22.0.0/24"]}
    make_networks([old], world(host), mine)
    converge(host, ask(PortPublishKind(), PORT))  # by hand

    make_networks([red(publish=["8081:80"])], world(host), mine)

    assert not make_networks([red(publish=["8081:80"])], world(host), mine).changed
    assert not make_networks([BLUE], world(host), SHOP).changed
    told = facts(world(host))
    assert {item["name"] for item in told["networks"]} == left
    assert {item["name"]: item["project"] for item in told["networks"]}["red"] == "mine"
    assert sorted((port["host_port"], port.get("project")) for port in told["ports"]) == [
        ("8070", None),
        ("8080", "shop"),
        ("8081", "mine"),
        ("9000", "shop"),
    ]


def test_a_port_that_moved_is_closed_and_an_endpoint_with_a_new_name_leaves_no_old_one(host: MemoryHost) -> None:
    moved = {**BLUE, "endpoints": [{"name": "proxy", "publish": ["8090:80"]}]}

    make_networks([moved], world(host), SHOP)

    told = facts(world(host))
    assert [port["host_port"] for port in told["ports"]] == ["8090"]
    assert [item["name"] for item in told["namespaces"]] == ["proxy"]


def test_absent_takes_the_networks_of_its_own_project(host: MemoryHost) -> None:
    before = host.snapshot()

    outcome = make_networks([BLUE], world(host), Scope("mine", state="absent"))

    assert host.snapshot() == before
    assert outcome.warnings == ("Network blue belongs to project shop, not to project mine, and stays.",)
    assert make_networks([BLUE], world(host), Scope("shop", state="absent")).changed
    assert facts(world(host))["networks"] == []


def test_the_picture_tells_of_a_project(host: MemoryHost) -> None:
    make_networks([red()], world(host))

    lines = picture(read_report(facts(world(host))))

    assert any(line.endswith("blue  bridge br-blue  project shop") for line in lines)
    assert any(line.endswith("red  bridge br-red") for line in lines)


# ---- everything of ours


EVERYTHING = {"networks": [], "state": "absent", "everything": True}


def by_hand(host: MemoryHost) -> None:
    """Objects of the single modules, of no network; process 7 has a namespace."""
    for kind, options in (
        (BridgeKind(), {"name": "br0", "addresses": ["10.9.0.1/24"]}),
        (NetnsKind(), {"name": "mine"}),
        (NetnsKind(), {"name": "vm", "pid": 7}),
        (VethKind(), {"name": "v0", "bridge": "br0", "peer": {"netns": "mine"}}),
        (VethKind(), {"name": "v1", "peer": {"netns": "vm", "name": "eth1"}}),
        (BridgeFirewallKind(), {"bridge": "br0"}),
        (NatMasqueradeKind(), {"source": "10.9.0.0/24"}),
        (PortPublishKind(), PORT),
        (SysctlForwardKind(), {"forward_policy": "drop"}),
    ):
        once(host, ask(kind, options))


def test_everything_goes_whoever_made_it_and_a_host_without_anything_is_all_right() -> None:
    host = MemoryHost()
    host.uplink()
    host.start_process(7)
    host.make_link(host.host, "theirs", kind="bridge")
    pristine = host.snapshot()
    assert not make(EVERYTHING, world(host)).changed
    make_networks([BLUE], world(host), SHOP)
    make_networks([red()], world(host))
    by_hand(host)
    host.remove_link(host.host, "br-red")  # its veth pair outlives it

    before = host.snapshot()
    foreseen = make(EVERYTHING, world(host, check_mode=True))
    assert host.snapshot() == before
    outcome = make(EVERYTHING, world(host))

    assert foreseen == outcome
    assert "bridge br-blue" in outcome.before and outcome.after == ""
    assert host.snapshot() == pristine
    assert not make(EVERYTHING, world(host)).changed


def test_rules_that_nothing_on_the_host_can_take_away_are_told_of(host: MemoryHost) -> None:
    assert make(EVERYTHING, world(MemoryHost(), works=False)).warnings == ()

    outcome = make(EVERYTHING, world(host, works=False))

    assert "br-blue" not in host.host.links
    assert [text.partition(";")[0] for text in outcome.warnings] == [
        "No packet filter works on this host, so the rules of removed networks stay in the kernel until the next boot"
    ]


@pytest.mark.parametrize("more", [{"state": "present"}, {"state": None}, {"networks": [BLUE]}])
def test_everything_goes_by_no_mistake(host: MemoryHost, more: Facts) -> None:
    with pytest.raises(InvalidRequest, match=r"^everything: it needs state absent and an empty list"):
        make({**EVERYTHING, **more}, world(host))


def test_a_veth_pair_that_outlived_its_bridge_is_seen_and_goes_with_its_network(host: MemoryHost) -> None:
    host.remove_link(host.host, "br-blue")

    told = facts(world(host))
    assert [(item["veth"], item["network"], item["project"]) for item in told["unplugged"]] == [
        ("v-blue-web", "blue", "shop")
    ]
    assert any("web  eth0  %s" % chosen("web", project="shop") in line for line in picture(read_report(told)))
    make_networks([BLUE], world(host), Scope("shop", state="absent"))
    assert facts(world(host))["unplugged"] == facts(world(host))["namespaces"] == []


def test_a_veth_pair_of_a_module_alone_stays_on_no_bridge(host: MemoryHost) -> None:
    once(host, ask(NetnsKind(), {"name": "mine"}), ask(VethKind(), {"name": "v0", "peer": {"netns": "mine"}}))

    make_networks([], world(host), Scope("shop", "project"))

    assert [item["veth"] for item in facts(world(host))["unplugged"]] == ["v0"]
    assert [item["name"] for item in facts(world(host))["namespaces"]] == ["mine"]


@pytest.mark.parametrize(("kind", "options"), OBJECTS[:3], ids=lambda value: getattr(value, "name", ""))
def test_a_module_that_names_no_network_leaves_an_object_in_its_own(kind: Kind[Any], options: Facts) -> None:
    """It used to take it out, the next run of the role to take it back, and so on for ever."""
    host = MemoryHost()
    host.uplink()
    make_networks([BLUE], world(host))
    labels = [(item["name"], item["network"]) for item in facts(world(host))["namespaces"]]

    once(host, ask(kind, options))

    assert [(item["name"], item["network"]) for item in facts(world(host))["namespaces"]] == labels
    found = {**facts(world(host))["networks"][0], "endpoints": []}
    assert (found["network"], found["project"]) == ("blue", "default")
    assert not once(host, ask(kind, options)).changed
    make_networks([BLUE], world(host))
    assert make_networks([BLUE], world(host), Scope(state="absent")).changed
    assert facts(world(host))["networks"] == facts(world(host))["namespaces"] == facts(world(host))["unplugged"] == []


def test_an_endpoint_whose_bridge_is_gone_keeps_its_address(host: MemoryHost) -> None:
    pinned = {**BLUE, "endpoints": [{"name": "web", "addresses": ["10.20.0.77"]}]}
    free = {**BLUE, "endpoints": [{"name": "web"}]}
    for network in (pinned, free):
        make_networks([network], world(host), SHOP)
    host.remove_link(host.host, "br-blue")

    make_networks([free], world(host), SHOP)

    [network] = facts(world(host))["networks"]
    assert [endpoint["addresses"] for endpoint in network["endpoints"]] == [["10.20.0.77/24"]]
    assert facts(world(host))["unplugged"] == []


@pytest.mark.parametrize("other", ["10.20.0.201/24", "fd00:20::201/64"])
def test_an_address_that_others_add_does_not_become_that_of_an_endpoint(host: MemoryHost, other: str) -> None:
    network = {**BLUE, "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": [{"name": "web"}]}
    make_networks([network], world(host), SHOP)
    before = facts(world(host))["networks"]
    host.stack(Place("web")).add_address("eth0", ip_interface(other))

    assert make_networks([network], world(host), SHOP).changed

    assert facts(world(host))["networks"] == before
    assert not make_networks([network], world(host), SHOP).changed


def test_the_holder_of_an_interface_is_named_also_when_it_is_of_no_network(host: MemoryHost) -> None:
    hand_made = {"name": "v0", "peer": {"netns": "app", "name": "eth7"}}
    once(host, ask(NetnsKind(), {"name": "app"}), ask(VethKind(), hand_made))

    with pytest.raises(InvalidRequest, match=r"eth7 of endpoint app is taken by veth v0, which no network has"):
        make_networks([red(interface="eth7")], world(host))
    make_networks([red()], world(host))  # by default it gets another one


@pytest.mark.parametrize(
    ("label", "words"),
    [("", ""), ("blue", "network blue"), ("blue@shop", "network blue"), ("@shop", "project shop")],
)
def test_an_owner_is_told_by_its_network_or_else_by_its_project(label: str, words: str) -> None:
    assert whose(label) == words


def test_what_was_made_by_hand_is_taken_over_only_by_who_asks_for_the_same() -> None:
    made = MemoryHost()
    made.uplink()
    by_hand = {"host_port": "8080", "container_ip": "10.20.0.7", "container_port": "80", "bridge": "br-blue"}
    once(made, ask(BridgeKind(), {"name": "br-blue", "addresses": ["10.20.0.1/24"]}))
    once(made, ask(PortPublishKind(), by_hand))
    web = {"name": "web", "addresses": ["10.20.0.7"], "publish": ["8080:80"]}

    def refused(network: Facts) -> str:
        with pytest.raises((Conflict, InvalidRequest)) as raised:
            make_networks([network], world(made))
        return str(raised.value)

    told = refused({**BLUE, "endpoints": [{**web, "addresses": ["10.20.0.8"]}]})
    assert "network blue: endpoint web: host port 8080/tcp is published already, by a call of port_publish" in told
    told = refused({"name": "blue", "subnets": ["10.21.0.0/24"]})
    assert "network blue: bridge br-blue was made by a call of the module bridge without a network" in told
    assert "would lose its address 10.20.0.1/24" in told
    make_networks([{**BLUE, "endpoints": [web]}], world(made))
    assert facts(world(made))["networks"][0]["network"] == "blue"  # type: ignore[index]
