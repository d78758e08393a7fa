# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host moves from one packet filter to another: the networks work on, and no rule of the old one is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleet import Fleet, Host, Question, Run, remains

pytestmark = pytest.mark.once

NETWORKS: list[dict[str, Any]] = [
    {
        "name": "blue",
        "subnets": ["10.50.0.0/24", "fd00:50::/64"],
        "endpoints": [
            {
                "name": "web",
                "addresses": ["10.50.0.2", "fd00:50::2"],
                "publish": ["8080:80", "8080:80/udp", "127.0.0.1:9000:9000"],
            },
            {"name": "db"},
        ],
    },
    {"name": "vault", "subnets": ["10.51.0.0/24"], "internal": True, "icc": False, "endpoints": [{"name": "v1"}]},
]
WAYS = [
    ("nftables", "iptables"),
    ("iptables", "nftables"),
    ("nftables", "iptables-legacy"),
    ("iptables-legacy", "nftables"),
    ("iptables", "iptables-legacy"),
    ("iptables-legacy", "iptables"),
    ("nftables", "legacy"),
    ("legacy", "nftables"),
    ("legacy", "iptables"),
    ("legacy", "iptables-legacy"),
    ("iptables-legacy", "legacy"),
]


def put(host: Host, backend: str, **options: Any) -> Any:
    """The networks on this back-end, once it can be on this host."""
    host.fleet.switch_iptables(host.name, legacy=backend in ("iptables-legacy", "legacy"))
    option = "iptables" if backend == "iptables-legacy" else backend
    result = host.fleet.module(host.name, "bridge_network", networks=NETWORKS, backend=option, **options)
    assert not result.failed, result.msg
    return result


def rules(host: Host) -> dict[str, str]:
    return {topic: text for topic, text in host.dump().items() if topic.startswith(("nft", "iptables", "ip6tables"))}


def open_and_closed(host: Host) -> tuple[list[Question], list[Question]]:
    neighbour, web, db = host.fleet.place("neighbour"), host.place("web"), host.place("db")
    is_open, closed = [host.place().question("127.0.0.1", 9000)], []
    for version, own in ((4, "10.50.0.2"), (6, "fd00:50::2")):
        lan = host.fleet.lan(host.name, version)
        for protocol in ("tcp", "udp"):
            is_open += [asker.question(lan, 8080, protocol) for asker in (neighbour, web, db, host.place())]
            is_open += [db.question(own, 81, protocol), web.question(host.fleet.internet(version), 9000, protocol)]
            closed += [neighbour.question(own, 81, protocol), neighbour.question(lan, 9000, protocol)]
    closed += [host.place("v1").question(host.fleet.internet(4), 9000), host.place("v1").question("10.50.0.2", 80)]
    return is_open, closed


@pytest.fixture
def moving(host: Host) -> Any:
    """A host whose neighbour has routes to its networks."""
    ways = [f"-4 route VERB 10.50.0.0/24 via {host.fleet.lan(host.name, 4)}"]
    ways.append(f"-6 route VERB fd00:50::/64 via {host.fleet.lan(host.name, 6)}")
    host.fleet.lab.run("neighbour", "; ".join(f"ip {way}".replace("VERB", "replace") for way in ways))
    yield host
    host.fleet.lab.run("neighbour", "; ".join(f"ip {way}".replace("VERB", "delete") for way in ways))
    host.fleet.agent("neighbour").call("forget_all")
    host.fleet.switch_iptables(host.name, legacy=host.fleet.settings.legacy_tables)


@pytest.mark.parametrize(("old", "new"), WAYS, ids=lambda name: name)
def test_move(moving: Host, old: str, new: str) -> None:
    """Open flows stay open, closed ones stay closed, and connections go on; then all is removed from the new one."""
    host = moving
    nothing = host.dump()
    put(host, new)
    only_new = rules(host)
    put(host, new, state="absent")
    put(host, old)
    host.place("web").serve("web", 80, 81, 9000)
    is_open, closed = open_and_closed(host)
    host.fleet.all_open(is_open)
    host.fleet.all_closed(closed)
    neighbour, lan = host.fleet.place("neighbour"), host.fleet.lan(host.name, 4)
    inward = neighbour.ask(lan, 8080, keep="inward")
    outward = host.place("db").ask(host.fleet.lan("neighbour", 4), 9000, "udp", keep="outward")

    predicted = put(host, new, check=True)
    done = put(host, new)
    # python-iptables and iptables-legacy are two ways to the same tables.
    assert done.changed == ({old, new} != {"legacy", "iptables-legacy"})
    assert predicted.data["commands"] == done.data["commands"] and predicted.diff == done.diff
    moved = [line for line in str(done.diff["after"]).splitlines() if line.startswith("packet filter: from ")]
    assert len(moved) == done.changed and "done" not in str(done.diff)
    assert remains(only_new, rules(host)) == ""
    again = put(host, new)
    assert (again.changed, again.commands) == (False, [])

    host.fleet.all_open(is_open)
    host.fleet.all_closed(closed)
    assert neighbour.ask(lan, 8080, keep="inward").seen_port == inward.seen_port
    assert host.place("db").ask(host.fleet.lan("neighbour", 4), 9000, "udp", keep="outward").text == outward.text
    host.fleet.agent(host.name).call("forget_all")
    put(host, new, state="absent")
    assert remains(nothing, host.dump()) == ""


@pytest.mark.parametrize("backend", ["iptables", "iptables-legacy"])
def test_the_steps_of_the_role_without_nftables(moving: Host, backend: str) -> None:
    """Made, changed, left alone and removed, each a task for each kind of object; what is closed is so by its rules."""
    host, fleet = moving, moving.fleet
    fleet.switch_iptables(host.name, legacy=backend == "iptables-legacy")
    nothing = host.dump()

    def play(*networks: dict[str, Any]) -> Run:
        play = fleet.role([*networks], backend="iptables", prune="project", step_by_step=True)
        return fleet.play([play], hosts=host.name).must()

    play(*NETWORKS)
    host.place("web").serve("web", 80, 81, 9000)
    is_open, closed = open_and_closed(host)
    fleet.all_open(is_open)
    fleet.all_closed(closed)

    blue, vault = NETWORKS
    fleet.remove_drops(host.name, backend)
    fleet.all_open([question for question in closed if question.port == 81])
    changed = {**blue, "endpoints": [{**blue["endpoints"][0], "publish": ["8081:80", "8081:80/udp"]}, {"name": "db"}]}
    play(changed, vault)
    fleet.all_closed([*closed, *(question for question in is_open if question.port == 8080)])
    fleet.all_open([replace(question, port=8081) for question in is_open if question.port == 8080])
    assert play(changed, vault).changed == []
    fleet.agent(host.name).call("forget_all")
    play()
    assert remains(nothing, host.dump()) == ""


def test_absent_removes_all_of_them(host: Host) -> None:
    """From whatever back-end the rules are on, with whatever is asked for."""
    nothing = host.dump()
    for old in ("nftables", "iptables", "iptables-legacy"):
        for asked in ("nftables", "iptables"):
            put(host, old)
            host.fleet.switch_iptables(host.name, legacy=False)
            result = host.fleet.module(host.name, "bridge_network", networks=NETWORKS, backend=asked, state="absent")
            assert result.changed, result.msg
            assert remains(nothing, host.dump()) == ""
    host.fleet.switch_iptables(host.name, legacy=host.fleet.settings.legacy_tables)


def test_auto_tells_that_it_moves_rules(moving: Host) -> None:
    """In check mode, too; and nobody is told who names a back-end, or where nothing moves."""
    host = moving
    put(host, "iptables")
    predicted = put(host, "auto", check=True)
    done = put(host, "auto")
    assert "The rules of this collection move from iptables to nftables, as this call leaves" in done.warnings
    assert predicted.warnings == done.warnings
    assert done.diff["after"] == predicted.diff["after"] == "packet filter: from iptables to nftables\n"
    for backend, changed in (("auto", False), ("iptables", True), ("nftables", True)):
        result = put(host, backend)
        assert (result.changed, result.warnings) == (changed, ""), backend
    put(host, "iptables")
    assert put(host, "auto", state="absent").warnings == ""


@pytest.mark.ansible
def test_by_the_role(moving: Host, fleet: Fleet) -> None:
    """Over ssh, there and back again."""
    host = moving
    plays = []
    for number, backend in enumerate(("nftables", "iptables", "nftables", "nftables")):
        plays.append(fleet.role(NETWORKS, name=str(number), backend=backend))
    run = fleet.play(plays, hosts=host.name).must()
    assert [
        [result.status for result in run.of(play=str(n)) if "bridge_network" in result.action] for n in range(4)
    ] == [
        ["changed"],
        ["changed"],
        ["changed"],
        ["ok"],
    ]
    assert rules(host)["iptables-nft"] == ""
    host.place("web").serve("web", 80, 81, 9000)
    is_open, closed = open_and_closed(host)
    fleet.all_open(is_open)
    fleet.all_closed(closed)


def test_the_action_group_sets_the_back_end_of_every_module(host: Host, fleet: Fleet) -> None:
    objects: dict[str, dict[str, Any]] = {
        "bridge": {"name": "br-t", "addresses": ["10.60.0.1/24"]},
        "netns": {"name": "inner"},
        "veth": {"name": "v-t", "bridge": "br-t", "peer": {"netns": "inner", "addresses": ["10.60.0.2/24"]}},
        "sysctl_forward": {},
        "nat_masquerade": {"source": "10.60.0.0/24"},
        "bridge_firewall": {"bridge": "br-t"},
        "port_publish": {"host_port": "8081", "container_ip": "10.60.0.2", "container_port": "80"},
        "bridge_network": {"networks": NETWORKS, "prune": "none"},
        "network_info": {},
    }
    host.fleet.switch_iptables(host.name, legacy=False)
    tasks = [{"name": name, f"dockerless.network.{name}": options} for name, options in objects.items()]
    play = {
        "name": "All modules",
        "hosts": "fleet",
        "become": True,
        "gather_facts": False,
        "module_defaults": {"group/dockerless.network.all": {"backend": "iptables"}},
        "tasks": tasks,
    }
    run = fleet.play([play], hosts=host.name).must()

    assert [result.status for result in run.of()] == ["changed"] * (len(tasks) - 1) + ["ok"]
    assert run.of()[-1].result["backend"].startswith("iptables")
    assert "inet dockerless" not in host.run("nft list tables")
