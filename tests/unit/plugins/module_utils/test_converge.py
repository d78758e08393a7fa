# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole networks on a host in memory: composition, plan and steps together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition import compose as compose_module
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome, StepFailed
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import NamespaceEntry
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    HOST,
    Conflict,
    InvalidRequest,
    Place,
    Route,
)
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport
from ansible_collections.dockerless.network.plugins.module_utils.world import is_ours
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.network_lists import (
    network_lists,
    successors,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import NETWORKS as EXAMPLE
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.tries import tries

Facts = dict[str, Any]


def new_host() -> MemoryHost:
    host = MemoryHost()
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    host.uplink("eth9", 1500)
    return host


def once(host: MemoryHost, networks: list[Facts], check_mode: bool = False, **how: Any) -> Outcome:
    return make_networks(networks, world(host, check_mode), Scope(**{"prune": "project", **how}))


def converge(host: MemoryHost, networks: list[Facts], **how: Any) -> Outcome:
    """A run; check mode must have said the same, and a second run must find nothing to do."""
    before = host.snapshot()
    foreseen = once(host, networks, check_mode=True, **how)
    assert host.snapshot() == before
    outcome = once(host, networks, **how)
    assert outcome == foreseen
    after = host.snapshot()
    again = once(host, networks, **how)
    assert (again.changed, again.commands, again.before, again.after) == (False, (), "", "")
    assert host.snapshot() == after
    return outcome


def seen(host: MemoryHost) -> Any:
    """The part of the state that depends neither on the choice of free addresses nor on an order."""
    links = {
        (place, name): (link.kind, link.mtu, link.up, link.master, link.isolated, link.alias)
        for place, space in host.snapshot()["spaces"].items()
        for name, (unused, link) in space["links"].items()
    }
    return links, sorted(host.names), files_of(host)


def files_of(host: MemoryHost) -> dict[str, str]:
    """The files of a host; those with the addresses of endpoints by their paths alone."""
    return {path: "" if path.startswith("/etc/netns/") else text for path, text in host.files.items()}


def test_the_example_of_the_design() -> None:
    host = new_host()

    outcome = converge(host, EXAMPLE)

    web = host.space(Place(netns="web"))
    assert [str(address) for address in web.links["eth0"].addresses] == ["10.20.0.183/24", "fd00:20::5642:58b7/64"]
    assert {str(entry.route.via) for entry in web.routes} == {"10.20.0.1", "fd00:20::1"}
    assert set(host.nft.sets["publish4"].elements) == {"tcp . 8080"}
    assert set(host.nft.sets["publish_at4"].elements) == {"127.0.0.1 . tcp . 9000"}
    assert [host.host.sysctls[key] for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")] == ["1", "1"]
    assert outcome.before == ""


@pytest.mark.parametrize(("networks", "state"), [(EXAMPLE, "absent"), ([{"name": "blue"}], "absent"), ([], "present")])
def test_nothing_is_left_of_it(networks: list[Facts], state: str) -> None:
    host = new_host()
    before = host.snapshot()
    once(host, EXAMPLE)

    converge(host, networks, state=state)

    assert host.snapshot() == before


def changed(**changes: Any) -> list[Facts]:
    return [dict(EXAMPLE[0], **changes)]


@pytest.mark.parametrize(
    "later",
    [
        changed(name="azure"),
        changed(name="azure", bridge="br-blue"),
        changed(bridge="br0"),
        changed(subnets=["10.20.0.0/16", "fd00:20::/64"]),
        changed(name="azure", subnets=["10.20.0.0/16", "fd00:20::/60"]),
        changed(name="azure", subnets=["10.20.0.0/25", "fd00:20::/64"]),
        changed(subnets=["10.20.0.0/24"]),
        changed(subnets=["fd00:20::/64", "10.20.0.0/24"]),
        changed(gateways=["10.20.0.254"]),
        changed(gateways=["10.20.0.183"]),
        changed(mtu=1400),
        changed(internal=True, endpoints=[{"name": "web"}]),
        changed(icc=False, allow=[{"to": "10.20.0.10", "protocol": "tcp", "port": 5432}]),
        changed(masquerade=False),
        changed(masquerade={"out_interface": "default", "random_fully": True}),
        changed(endpoints=[{"name": "db", "publish": ["8080:80"]}, {"name": "web"}]),
        changed(endpoints=[{"name": "web"}, {"name": "db", "netns": "data"}]),
        changed(endpoints=[{"name": "web", "netns": "db"}, {"name": "db", "netns": "web"}]),
        changed(endpoints=[{"name": "web", "addresses": ["10.20.0.10"]}, {"name": "db", "addresses": ["10.20.0.183"]}]),
        [*EXAMPLE, {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "web"}]}],
        [{"name": "red", "subnets": ["10.21.0.0/24", "fd00:21::/64"], "endpoints": [{"name": "web"}]}, *EXAMPLE],
    ],
    ids=str,
)
def test_one_list_follows_another_and_back(later: list[Facts]) -> None:
    host = new_host()
    once(host, EXAMPLE)

    converge(host, later)
    converge(host, EXAMPLE)

    alone = new_host()
    once(alone, EXAMPLE)
    assert seen(host) == seen(alone)
    assert host.nft.table().chains == alone.nft.table().chains


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mtu": 12}, "network blue: mtu: 12 is not a valid MTU; write a number of bytes from 68 to 65535."),
        (
            {"masquerade": {"exclude": ["10.1.1.1/8"]}},
            "network blue: masquerade: exclude: 10.1.1.1/8 has host bits set; did you mean 10.0.0.0/8?",
        ),
    ],
)
def test_what_is_refused_is_told_of_its_network(options: Facts, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        converge(new_host(), [{"name": "red"}, {"name": "blue", "subnets": ["10.20.0.0/24"], **options}])

    assert str(refused.value) == message


def test_an_endpoint_keeps_the_interface_that_it_was_given_once() -> None:
    host = new_host()
    once(host, EXAMPLE)

    converge(host, changed(endpoints=[{"name": "web", "interface": "lan"}, {"name": "db"}]))
    converge(host, EXAMPLE)

    assert set(host.space(Place(netns="web")).links) == {"lo", "lan"}


def of_web(**ends: Facts) -> list[Facts]:
    """Networks with the endpoint web, in the order of the list, the first of which is its way out."""
    subnets = {"blue": "10.20.0.0/24", "red": "10.30.0.0/24", "green": "10.40.0.0/24"}
    return [
        {"name": name, "subnets": [subnets[name]], "endpoints": [{"name": "web", **end}]} for name, end in ends.items()
    ]


@pytest.mark.parametrize("prune", ["none", "listed", "project"])
@pytest.mark.parametrize("blue", [{"interface": "lan"}, {"netns": "other"}], ids=["renamed", "moved"])
@pytest.mark.parametrize("red", [{}, {"interface": "wan"}], ids=["a-chosen-interface", "a-given-one"])
def test_the_way_out_of_an_end_that_moves_or_gets_another_name_is_free(prune: str, blue: Facts, red: Facts) -> None:
    """The route of the end as it was goes with it, before another end has one to the same target."""
    host = new_host()
    once(host, of_web(blue={}))

    converge(host, of_web(red=red, blue=blue), prune=prune)

    assert [entry.route.via for entry in host.space(Place(netns="web")).routes if not entry.route.table] == [
        ip_address("10.30.0.1")
    ]
    host = new_host()
    once(host, of_web(blue={}, red=red))  # where red is there, without the way out
    converge(host, of_web(red=red, blue=blue), prune=prune)


@pytest.mark.parametrize("blue", [{"interface": "lan"}, {"netns": "other"}], ids=["renamed", "moved"])
def test_no_rule_of_an_end_that_moves_or_gets_another_name_stays(blue: Facts) -> None:
    """Its namespace stays, and chose a table that is no longer there."""
    host, web = new_host(), Place(netns="web")
    once(host, of_web(green={}, blue={}, red={}))
    before, later = host.snapshot(), of_web(green={}, blue=blue, red={})
    for step in range(1, 100):
        host.fail_at = host.steps + step
        try:
            once(host, later)
        except StepFailed:
            assert host.snapshot() == before
        else:
            break

    assert step > 5
    converge(host, later)
    ends = [link for name, link in host.space(web).links.items() if name != "lo"]
    assert {rule.source for rule in host.space(web).rules} == {link.addresses[0].ip for link in ends}


@pytest.mark.parametrize("prune", ["none", "project"])
@pytest.mark.parametrize("later", [{}, {"netns": "other"}], ids=["stays", "moves"])
def test_an_end_that_was_alone_without_a_default_route_leaves_no_rule(prune: str, later: Facts) -> None:
    host, web = new_host(), Place(netns="web")
    once(host, of_web(blue={"default_route": False}))
    assert len(host.space(web).rules) == 1

    converge(host, of_web(blue=later), prune=prune)

    assert web.netns not in host.names or host.space(web).rules == []


@pytest.mark.parametrize("stays", ["blue", "red"])
def test_routes_go_from_a_namespace_that_lost_its_name_once_it_has_it_back(stays: str) -> None:
    host, web = new_host(), Place(netns="web")
    once(host, of_web(blue={}, red={}))
    host.space(web).processes += (7,)
    host.delete_namespace("web")

    converge(host, of_web(**{stays: {}}))

    assert host.space(web).rules == []


@pytest.mark.parametrize("listed", ["blue", "red", "green"])
def test_a_network_outside_the_list_keeps_its_end_in_a_namespace_that_lost_its_name(listed: str) -> None:
    host, web = new_host(), Place(netns="web")
    once(host, of_web(blue={}, red={}))
    before = host.space(web).routes[:]
    host.space(web).processes += (7,)
    host.delete_namespace("web")

    converge(host, of_web(**{listed: {}}), prune="listed")

    assert {"eth0", "eth1"} <= set(host.space(web).links)
    assert [entry for entry in host.space(web).routes if entry.link in ("eth0", "eth1")] == before


def test_two_networks_exchange_their_subnets() -> None:
    def networks(*subnets: str) -> list[Facts]:
        names = ("blue", "red")
        return [
            {"name": name, "subnets": [subnet], "endpoints": [{"name": "e" + name}]}
            for name, subnet in zip(names, subnets)
        ]

    host = new_host()
    once(host, networks("10.20.0.0/24", "10.21.0.0/24"))

    converge(host, networks("10.21.0.0/24", "10.20.0.0/24"))


def test_a_network_outside_the_list_that_lost_its_bridge_stops_no_other() -> None:
    host = new_host()
    red, green = (
        {"name": name, "subnets": ["10.%d.0.0/24" % at], "endpoints": [{"name": name, "publish": ["%d90:80" % at]}]}
        for name, at in (("red", 30), ("green", 40))
    )
    once(host, [red])
    host.remove_link(host.host, "br-red")

    outcome = converge(host, [green], prune="listed")

    assert [text for text in outcome.warnings if "br-red" in text] == [
        "Bridge br-red is not there any more, but ports are published on it; run its playbook again."
    ]


def test_a_network_between_hosts_own_things() -> None:
    host = new_host()
    host.make_link(host.host, "br-blue", kind="bridge", up=True, addresses=(ip_interface("10.20.0.1/24"),))
    host.make_namespace("web")
    before = host.snapshot()
    networks = [{"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web"}, {"name": "db"}]}]

    converge(host, networks)
    converge(host, networks, state="absent")

    after = host.snapshot()
    assert after["spaces"]["web"]["links"].keys() == before["spaces"]["web"]["links"].keys()
    assert after["spaces"]["2"]["links"] == before["spaces"]["2"]["links"]
    assert (after["names"], after["files"], after["nft"]) == (before["names"], before["files"], before["nft"])


def with_process(*others: str) -> list[Facts]:
    endpoints: list[Facts] = [{"name": name} for name in others]
    return [{"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [*endpoints, {"name": "vm", "pid": 7}]}]


def addresses(host: MemoryHost, place: Place) -> list[str]:
    return [str(address) for address in host.space(place).links["eth0"].addresses]


def test_an_endpoint_in_the_namespace_of_a_process_keeps_its_address_too() -> None:
    host = new_host()
    host.start_process(7)
    converge(host, with_process("web"))
    before = addresses(host, Place(pid=7))

    converge(host, with_process("web", "new"))

    assert addresses(host, Place(pid=7)) == before


@pytest.mark.parametrize("prune", ["listed", "project", "none"])
def test_the_namespace_of_a_process_may_have_a_name_besides(prune: str) -> None:
    host = new_host()
    host.start_process(7)
    host.names["vm"] = NamespaceEntry("vm", host.space(Place(pid=7)).inode)

    converge(host, with_process("web"), prune=prune)

    assert addresses(host, Place(pid=7)) == ["10.20.0.37/24"]


@settings(max_examples=tries(25))
@given(st.data())
def test_any_list_can_follow_any_other(data: Any) -> None:
    networks = data.draw(network_lists())
    later = data.draw(successors(networks))
    host = new_host()
    pristine = host.snapshot()
    converge(host, networks)

    converge(host, later)

    alone = new_host()
    once(alone, later)
    assert set(host.names) == set(alone.names)
    assert set(host.host.links) == set(alone.host.links)
    assert files_of(host) == files_of(alone)
    once(host, [])
    assert host.snapshot() == pristine


@settings(max_examples=tries(15))
@given(st.data())
def test_a_failure_at_any_step_leaves_the_host_as_it_was(data: Any) -> None:
    networks = data.draw(network_lists())
    later = data.draw(successors(networks))
    host = new_host()
    once(host, networks)
    before = host.snapshot()
    host.fail_at = host.steps + data.draw(st.integers(1, 60))
    try:
        once(host, later)
    except StepFailed as failed:
        assert "also failed" not in str(failed)
        assert host.snapshot() == before


def test_an_impossible_list_changes_nothing() -> None:
    host = new_host()
    once(host, EXAMPLE)
    host.make_link(host.host, "br-red", kind="dummy")
    before = host.snapshot()

    with pytest.raises(Conflict):
        once(host, [{"name": "new", "subnets": ["10.22.0.0/24"]}, {"name": "red", "subnets": ["10.21.0.0/24"]}])

    assert host.snapshot() == before


# ---- what is said of what does not work


def blue(*endpoints: Facts, **options: Any) -> Facts:
    return {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": list(endpoints), **options}


def test_warnings_name_the_network_and_the_endpoints() -> None:
    host = new_host()
    port = {"host_port": 81, "container_port": 80, "host_ip": "192.0.2.99", "in_interfaces": ["eth7"]}
    networks = [
        blue(
            {"name": "web", "publish": ["8080:80", port, "127.0.0.1:82:80"]},
            {"name": "db", "publish": ["83:80", "10.20.0.1:84:80"]},
        ),
        {
            "name": "red",
            "subnets": ["10.21.0.0/24"],
            "trusted_interfaces": ["wg0", "br-blue"],
            "masquerade": {"to_source": "192.0.2.98"},
        },
    ]

    found = converge(host, [dict(networks[0], internal=True), networks[1]]).warnings

    assert set(found) == {
        "Network blue is internal, so no host outside reaches the ports that it publishes: 8080/tcp (blue/web),"
        " 81/tcp (blue/web), 83/tcp (blue/db). The host reaches them on 127.0.0.1, and with the"
        " endpoints on the gateway's address; publish them there, or leave internal out.",
        "This host does not have the address 192.0.2.99 now, and these ports are published on it: 81/tcp (blue/web).",
        "There is no interface eth7 on this host now, and in_interfaces limits these ports to it: 81/tcp (blue/web).",
        "This host does not have the address 192.0.2.98 now, so packets that leave with it get no answers:"
        " 10.21.0.0/24 of network red.",
        "There is no interface wg0 on this host now, and these networks name it in trusted_interfaces: red.",
    }


RANGE = "8000-8010:10.20.0.2:8000-8010/tcp"
OTHER = {"name": "db", "addresses": ["10.21.0.3"]}
# What web of blue publishes, further endpoints of blue and those of red; the port that clashes, and both sides of it.
OVERLAPS: list[tuple[list[str], list[dict[str, Any]], list[dict[str, Any]], str, str, str]] = [
    (
        ["8000-8010:8000-8010", "8005-8015:8005-8015"],
        [],
        [],
        *("8005-8010", RANGE, "blue/web (8005-8015:10.20.0.2:8005-8015/tcp)"),
    ),
    (["8080:80", "8080:80/tcp"], [], [], "8080", "8080:10.20.0.2:80/tcp", "blue/web (8080:10.20.0.2:80/tcp)"),
    (
        ["8000-8010:8000-8010"],
        [{"name": "db", "addresses": ["10.20.0.3"], "publish": ["8010:80"]}],
        [],
        *("8010", RANGE, "blue/db (8010:10.20.0.3:80/tcp)"),
    ),
    (
        ["8000-8010:8000-8010"],
        [],
        [{**OTHER, "publish": ["192.0.2.1:8009-8011:9-11"]}],
        *("8009-8010", RANGE, "red/db (192.0.2.1:8009-8011:10.21.0.3:9-11/tcp)"),
    ),
    (
        ["192.0.2.1:8080:80"],
        [],
        [{**OTHER, "publish": ["0.0.0.0:8080:80"]}],
        *("8080", "192.0.2.1:8080:10.20.0.2:80/tcp", "red/db (8080:10.21.0.3:80/tcp)"),
    ),
]


def test_ports_of_several_addresses_and_protocols_do_not_clash() -> None:
    ports = ["192.0.2.1:8000-8010:8000-8010", "192.0.2.9:8005-8015:8005-8015", "8005-8015:8005-8015/udp"]
    made = once(new_host(), [blue({"name": "web", "addresses": ["10.20.0.2"], "publish": ports})])
    assert len([item for item in made.objects if str(item["title"]).startswith("port ")]) == 3


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (
            [
                blue(
                    {"name": "ea", "addresses": ["10.20.0.2"], "publish": ["8080:80"]},
                    {"name": "eb", "addresses": ["10.20.0.3"], "publish": ["8080:81"]},
                )
            ],
            "Host port 8080/tcp is requested twice: by blue/ea (8080:10.20.0.2:80/tcp) and blue/eb"
            " (8080:10.20.0.3:81/tcp); choose another for one.",
        ),
        *(
            (
                [
                    blue({"name": "web", "addresses": ["10.20.0.2"], "publish": first}, *more),
                    {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": red},
                ],
                f"Host port {port}/tcp is requested twice: by blue/web ({one}) and {two}; choose another for one.",
            )
            for first, more, red, port, one, two in OVERLAPS
        ),
        (
            [
                blue({"name": "web", "netns": "ns", "interface": "eth0"}),
                {
                    "name": "red",
                    "subnets": ["10.21.0.0/24"],
                    "endpoints": [{"name": "db", "netns": "other", "interface": "eth0"}],
                },
                {"name": "grey", "subnets": ["10.20.0.0/25"]},
            ],
            "Networks blue and grey overlap: 10.20.0.0/24 and 10.20.0.0/25; give one of them another subnet.",
        ),
        (
            [blue({"name": "web", "publish": ["22:22"]})],
            "network blue: endpoint web: host port 22/tcp is in use: sshd (process 7) listens on 0.0.0.0:22."
            " Choose another host port, or free this one.",
        ),
        (
            [blue(masquerade={"out_interface": "eth7"})],
            "network blue: there is no interface eth7 on this host; out_interface takes the name of one that is there.",
        ),
        (
            [blue({"name": "web", "pid": 99})],
            "network blue: endpoint web: there is no process 99 on this host; give the PID of one that runs.",
        ),
        (
            [blue({"name": "loop"})],
            "network blue: endpoint loop: namespace loop cannot be made: /run/netns/loop is not the file of a"
            " network namespace; remove it.",
        ),
        (
            [blue(bridge="eth9")],
            "network blue: eth9 is there already, and is not a bridge but a physical or loopback interface; choose"
            " another name for the bridge.",
        ),
    ],
)
def test_refusals_name_the_network_and_the_endpoint(networks: list[Facts], message: str, check_mode: bool) -> None:
    host = new_host()
    host.listeners = {("tcp", 22): "sshd (process 7) listens on 0.0.0.0:22"}
    host.names["loop"] = NamespaceEntry("loop", 0, blocked=True)

    with pytest.raises((Conflict, InvalidRequest)) as refused:
        once(host, networks, check_mode=check_mode)

    assert str(refused.value) == message


# ---- ports that are chosen


def published_at(host: MemoryHost) -> list[str]:
    return sorted(host.nft.sets["publish4"].elements)


def asks(*publish: str) -> list[Facts]:
    return [{"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web", "publish": list(publish)}]}]


def test_what_goes_of_a_network_is_counted_as_its_own() -> None:
    host = new_host()
    names = ["e%d" % number for number in range(5)]
    once(host, [blue(*({"name": name} for name in names))])

    gone = converge(host, [], state="absent", everything=True)
    heads = [line for line in gone.before.splitlines() if line.startswith("#")]

    assert len(heads) == 2 and heads[0].startswith("# network blue: removed: ") and "5 veths" in heads[0], heads
    assert "veth" not in heads[1]


def test_a_port_is_chosen_at_which_nobody_of_the_host_listens() -> None:
    host = new_host()
    host.listeners.update({("tcp", 49153): "sshd", ("udp", 49154): "dns", ("tcp", 8000): "httpd"})
    host.host.sysctls["net/ipv4/ip_local_reserved_ports"] = "49154,49156-49157"

    converge(host, asks("80", "81", "8000-8001:82"))

    assert published_at(host) == ["tcp . 49155", "tcp . 49158", "tcp . 8001"]
    host.listeners["tcp", 49155] = "somebody who came later"
    converge(host, asks("80", "81", "8000-8001:82"))
    assert published_at(host) == ["tcp . 49155", "tcp . 49158", "tcp . 8001"]


def test_ports_that_were_reserved_may_be_named() -> None:
    host = new_host()
    host.host.sysctls["net/ipv4/ip_local_reserved_ports"] = "8120-8129"

    converge(host, asks("8120-8129:80"))

    assert published_at(host) == ["tcp . 8120"]


def test_when_all_of_a_range_are_taken_by_others_the_endpoint_is_named() -> None:
    host = new_host()
    host.listeners["tcp", 8000] = "httpd"

    with pytest.raises(InvalidRequest) as refused:
        once(host, asks("8000-8001:80", "8000-8001:81"))

    assert str(refused.value).startswith(
        "network blue: endpoint web: publish: none of the host ports 8000-8001 is free"
    )


def test_an_endpoint_that_moves_to_another_network_leaves_its_rules_once() -> None:
    """They stay in its namespace when its end goes, and a second removal of one would be undone twice."""
    host = new_host()
    ends = [{"name": "web"}]
    once(
        host,
        [
            {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": ends},
            {"name": "red", "subnets": ["10.30.0.0/24"], "endpoints": ends},
        ],
    )

    outcome = converge(host, [{"name": "green", "subnets": ["10.40.0.0/24"], "endpoints": ends}])

    removed = [command for command in outcome.commands if " rule delete " in command]
    assert len(removed) == len(set(removed)) == 2


# ---- whether anything of ours is there


def _a_killed_run(host: MemoryHost) -> None:
    host.names["half"] = NamespaceEntry("half", 0, 0, True)


def _a_record(host: MemoryHost) -> None:
    once(host, EXAMPLE, project="other")
    record = dict(host.files)
    once(host, [], project="other")
    host.files.update(record)


def _rules_of_another_project(host: MemoryHost) -> None:
    once(host, EXAMPLE, project="other")
    host.names.clear()
    host.host.links = {name: link for name, link in host.host.links.items() if not is_ours(link)}
    host.files.clear()


SOMETHING = [
    pytest.param(lambda host: host.make_link(host.host, "br-x", kind="bridge", group=LINK_GROUP), id="a bridge"),
    pytest.param(lambda host: host.create_namespace("x", "dockerless.network"), id="a namespace"),
    pytest.param(_a_killed_run, id="the name that a killed run left"),
    pytest.param(_a_record, id="a record of forwarding"),
    pytest.param(_rules_of_another_project, id="rules"),
]


@pytest.mark.parametrize("put", SOMETHING)
def test_anything_of_ours_is_seen(put: Callable[[MemoryHost], object]) -> None:
    host = new_host()
    put(host)

    assert world(host).has_anything()


def test_what_others_have_is_nothing_of_ours() -> None:
    host = new_host()
    host.make_link(host.host, "docker0", kind="bridge")
    host.make_namespace("theirs")

    assert not world(host).has_anything()


def test_nothing_is_left_of_a_network_that_goes() -> None:
    """As the run itself sees it, and the next one."""
    host = new_host()
    once(host, EXAMPLE)
    last = world(host)
    make_networks([], last, Scope(prune="project"))

    assert not last.has_anything() and not world(host).has_anything()


def test_nothing_is_composed_where_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = new_host()
    monkeypatch.setattr(compose_module, "compose", None)

    assert once(host, []) == Outcome()


@pytest.mark.parametrize("put", SOMETHING)
def test_all_is_composed_where_there_is_something(
    put: Callable[[MemoryHost], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = new_host()
    put(host)
    monkeypatch.setattr(compose_module, "compose", None)

    with pytest.raises(TypeError, match="not callable"):
        once(host, [])


def test_a_list_that_is_empty_by_mistake_is_still_refused() -> None:
    with pytest.raises(InvalidRequest, match="the list is empty"):
        once(new_host(), [], prune="listed")


def test_a_list_of_what_shall_go_that_is_empty_by_mistake_is_told_what_takes_everything() -> None:
    host = new_host()
    once(host, EXAMPLE)

    with pytest.raises(InvalidRequest) as refused:
        once(host, [], prune="listed", state="absent")

    assert str(refused.value) == (
        "networks: the list is empty; name the networks of project default to remove; 'ansible-playbook"
        " dockerless.network.purge', or the module's option everything, removes all that this collection has made on a"
        " host."
    )


def test_a_report_counts_whatever_is_no_fact_of_the_host() -> None:
    """So an object of a new kind, whose part of the report is a field of its own, is not forgotten."""
    facts = {"forwards": frozenset({4}), "uplinks": {4: "eth0"}, "backend": "nftables", "foreign": ("ufw",)}
    facts |= {"uplink_addresses": ("192.0.2.11/24",)}
    facts |= {"possible_drops": ("a rule",), "more_possible_drops": 3}
    facts |= {"at_boot": "yes", "drops": ("something",)}  # what is told of objects that have fields of their own
    assert not HostReport(**facts).has_anything()  # type: ignore[arg-type]
    for name in {item.name for item in fields(HostReport)} - set(facts):
        assert HostReport(**{**facts, name: ("something",)}).has_anything(), name  # type: ignore[arg-type]


def test_the_bridge_of_a_removed_network_that_has_lost_its_group_stays_and_is_told() -> None:
    host = new_host()
    blue = [{"name": "blue", "subnets": ["10.20.0.0/24"]}]
    once(host, blue)
    host.change_link(HOST, "br-blue", group=0)

    with pytest.raises(Conflict, match="mark it again: ip link set br-blue group 25708"):
        once(host, blue)
    for how in ({"state": "absent"}, {"prune": "project"}, {"everything": True}):
        told = once(host, blue if "state" in how else [], check_mode=True, **how).warnings
        assert [text for text in told if "ip link set br-blue group 25708" in text and "stays" in text]
    once(host, blue, state="absent")

    assert list(host.host.links) == ["lo", "eth0", "eth9", "br-blue"]


def test_a_namespace_that_has_lost_its_group_is_neither_used_nor_removed_and_is_told() -> None:
    host = new_host()
    blue = [{"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web"}]}]
    once(host, blue)
    host.change_link(Place(netns="web"), "lo", group=0)

    with pytest.raises(Conflict, match="mark it again: ip -n web link set lo group 25708"):
        once(host, blue)
    told = once(host, blue, state="absent").warnings

    assert [text for text in told if text.startswith("Namespace web stays: its loopback has the alias")]
    assert list(host.names) == ["web"] and list(host.host.links) == ["lo", "eth0", "eth9"]
