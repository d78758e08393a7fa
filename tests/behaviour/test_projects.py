# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several projects on one host, the playbooks that bring networks and take them away, and everything of ours going."""

from __future__ import annotations

from typing import Any

import pytest
from fleet import Fleet, Host, remains

SHOP: dict[str, Any] = {
    "name": "shop",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [{"name": "web", "publish": ["8080:80"]}],
}
BLOG: dict[str, Any] = {"name": "blog", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "cms"}]}


def blog(*publish: str, **options: Any) -> dict[str, Any]:
    return {**BLOG, "endpoints": [{"name": "cms", "publish": list(publish), **options}]}


def bridges(host: Host) -> set[str]:
    return {line.split()[0] for line in host.run("ip -br link show type bridge").splitlines()}


def test_a_second_project_neither_takes_nor_disturbs_the_first(host: Host) -> None:
    """By packets: the port of the first project serves all the time, and a port that moved is closed."""
    assert host.do("bridge_network", networks=[SHOP], project="shop").changed
    host.place("web").serve("web", 80)
    neighbour, lan = host.fleet.place("neighbour"), host.fleet.lan(host.name, 4)
    for networks, words in (
        ([{**SHOP, "bridge": "br0"}], ("Network shop", "project shop")),
        ([blog("8080:80")], ("host port 8080/tcp", "network shop of project shop")),
        ([blog(netns="web")], ("namespace web", "network shop of project shop")),
    ):
        message = host.refuse("bridge_network", networks=networks, project="blog", prune="project")
        assert all(word in message for word in words), message
    assert "project shop" in host.refuse("port_publish", host_port="8080", container_ip="10.9.0.2", bridge="br0")
    assert "project shop" in host.refuse("netns", name="web")

    assert host.do("bridge_network", networks=[blog("8090:80")], project="blog", prune="project").changed
    host.place("cms").serve("cms", 80)
    assert [neighbour.ask(lan, port).label for port in (8080, 8090)] == ["web", "cms"]
    assert host.do("bridge_network", networks=[blog("8091:80")], project="blog").changed
    assert [neighbour.ask(lan, port).label for port in (8080, 8091)] == ["web", "cms"]
    host.fleet.all_closed([neighbour.question(lan, 8090)])

    told = {item["name"]: item["project"] for item in host.do("network_info").data["networks"]}
    assert told == {"shop": "shop", "blog": "blog"}
    left = host.do("bridge_network", networks=[SHOP], state="absent", project="blog")
    assert not left.changed and "belongs to project shop" in str(left.data["warnings"])
    assert neighbour.ask(lan, 8080).label == "web"


def test_a_single_module_neither_opens_nor_diverts_what_another_project_has(host: Host) -> None:
    """The same calls do both for the project itself."""
    subnets, addresses = ["10.20.0.0/24", "fd00:20::/64"], ["10.20.0.5", "fd00:20::5"]
    shop = {"name": "shop", "subnets": subnets, "endpoints": [{"name": "web", "addresses": addresses}]}
    host.do("bridge_network", networks=[shop], project="shop")
    host.do("bridge_network", networks=[BLOG], project="blog")
    web, neighbour = host.place("web"), host.fleet.place("neighbour")
    web.serve("web", 80)
    lan = {version: host.fleet.lan(host.name, version) for version in (4, 6)}

    def outside() -> str:
        return str(web.ask("203.0.113.1", 9000, "udp").seen)

    before = outside()
    ports = [{"host_port": str(9097 + n), "container_ip": ip, "container_port": "80"} for n, ip in enumerate(addresses)]
    diverted = {"source": "10.20.0.0/25", "to_source": "192.0.2.99", "warn": False}
    host.do("bridge", name="br-t", addresses=["10.60.0.1/24"])
    allowed = {"bridge": "br-t", "allow": [{"to": "10.20.0.5"}]}
    calls = [("port_publish", {**port, **by}) for port in ports for by in ({}, {"bridge": "br-shop"})]
    calls += [("nat_masquerade", diverted), ("bridge_firewall", allowed)]
    for module, options in calls:
        for whose in ({}, {"project": "blog", "network": "blog"}):
            message = host.refuse(module, **options, **whose)
            assert "belongs to network shop of project shop" in message
    host.fleet.all_closed([neighbour.question(lan[version], port) for version, port in ((4, 9097), (6, 9098))])
    assert outside() == before

    host.do("port_publish", aggregate=ports, project="shop")
    assert [neighbour.ask(lan[version], port).label for version, port in ((4, 9097), (6, 9098))] == ["web", "web"]
    host.do("nat_masquerade", **diverted, project="shop")
    with pytest.raises(AssertionError):
        outside()


def test_what_was_made_by_hand_is_neither_diverted_nor_renumbered_by_a_list(host: Host) -> None:
    """By packets: what was made by single modules goes on. A list that asks for the same takes it over."""
    port = {"host_port": "8080", "container_port": "80", "container_ip": "10.21.0.5", "bridge": "br-blog"}
    peer = {"name": "eth0", "netns": "cms", "addresses": ["10.21.0.5/24"], "gateways": ["10.21.0.1"]}
    host.do("sysctl_forward")
    host.do("bridge", name="br-blog", addresses=["10.21.0.1/24"])
    host.do("netns", name="cms")
    host.do("veth", name="v-blog-cms", bridge="br-blog", peer=peer)
    host.do("bridge_firewall", bridge="br-blog", subnets=["10.21.0.0/24"])
    host.do("port_publish", **port)
    host.place("cms").serve("cms", 80)
    neighbour, lan = host.fleet.place("neighbour"), host.fleet.lan(host.name, 4)

    message = host.refuse("bridge_network", networks=[SHOP])
    assert "network shop: endpoint web: host port 8080/tcp is published already, by a call of port_publish" in message
    message = host.refuse("bridge_network", networks=[{**BLOG, "subnets": ["10.22.0.0/24"]}])
    assert "network blog: bridge br-blog was made by a call of the module bridge" in message
    assert "would lose its address 10.21.0.1/24" in message
    assert neighbour.ask(lan, 8080).label == "cms"

    host.do("bridge_network", networks=[blog("8080:80", addresses=["10.21.0.5"])])
    assert neighbour.ask(lan, 8080).label == "cms"


@pytest.mark.once
def test_lists_that_share_an_endpoint_leave_it_its_default_route(host: Host) -> None:
    red, more = ({**BLOG, "name": name, "subnets": ["10.2%d.0.0/24" % at]} for at, name in ((2, "red"), (3, "more")))
    for listed in (red, more, red, more):
        host.do("bridge_network", networks=[listed])
        assert "via 10.22.0.1 dev eth0" in host.run("ip -n cms route show default")
    assert not host.do("bridge_network", networks=[red]).changed

    looked = host.look("bridge_network", networks=[red], state="absent")
    gone = host.do("bridge_network", networks=[red], state="absent")
    for run in (looked, gone):
        assert "cms is left without a default route (IPv4)" in str(run.data["warnings"])
    host.do("bridge_network", networks=[more])
    assert "via 10.23.0.1 dev eth1" in host.run("ip -n cms route show default")


@pytest.mark.once
def test_a_way_to_the_subnet_in_a_namespace_of_others_is_refused(host: Host) -> None:
    """The kernel takes theirs, as it was there first, so the endpoint would be dead."""
    host.run(
        "ip netns add theirs; ip -n theirs link add br9 up type bridge; ip -n theirs route add 10.21.0.0/24 dev br9"
    )
    before = host.dump()
    inside = {**BLOG, "endpoints": [{"name": "cms", "netns": "theirs"}]}
    message = host.refuse("bridge_network", networks=[inside])
    command = "ip -n theirs route del 10.21.0.0/24 dev br9"
    assert "network blog: endpoint cms" in message and "'%s'" % command in message
    assert remains(before, host.dump()) == ""
    host.run(command)
    host.do("bridge_network", networks=[inside])
    host.run("ip netns exec theirs ping -c 1 -W 2 10.21.0.1")
    host.run("ip -n theirs route replace 10.21.0.0/24 dev br9")
    assert "'%s'" % command in host.refuse("bridge_network", networks=[inside])


@pytest.mark.once
@pytest.mark.ansible
def test_check_mode_knows_of_the_subnets_that_earlier_lists_of_a_play_would_take(host: Host, fleet: Fleet) -> None:
    """By its name alone, each of the first two networks would get 172.23.0.0/16, and the third one asks for it."""
    lists = {"default": {"name": "red"}, "shop": {"name": "blue"}, "blog": {"name": "x", "subnets": ["172.23.0.0/16"]}}

    def subnets(*projects: str, check: bool, **how: Any) -> Any:
        plays = [fleet.role([lists[name]], name=name, project=name, check=check, **how) for name in projects]
        run = fleet.play(plays, hosts=host.name)
        objects = [item for result in run.of(host.name) for item in result.result.get("objects", ())]
        made = {item["name"]: item["addresses"] for item in objects if item["title"].startswith("bridge ")}
        return made, [str(result.result["msg"]) for result in run.failed]

    expected = {"br-red": ["172.23.0.1/16"], "br-blue": ["172.24.0.1/16"]}
    taken = "ubnet 172.23.0.0/16 of bridge br-x overlaps 172.23.0.0/16 of bridge br-red (network red of project"
    for check in (True, False):
        made, refused = subnets(*lists, check=check)
        assert made == expected
        assert len(refused) == 1 and taken in refused[0], refused
    assert subnets("shop", "default", check=True) == (expected, [])  # in any order, what is there stays


def test_everything_goes_also_what_was_made_by_hand_and_what_was_left_half_made(host: Host) -> None:
    host.run("ip link add theirs type bridge; ip netns add theirs")
    before = host.dump()
    assert not host.do("bridge_network", networks=[], state="absent", everything=True).changed
    pid = host.process()
    host.do("bridge_network", networks=[SHOP], project="shop")
    host.do("bridge_network", networks=[BLOG])
    host.do("bridge", name="br-t", addresses=["10.60.0.1/24"])
    host.do("netns", aggregate=[{"name": "inner"}, {"name": "vm", "pid": pid}, {"name": "old", "pid": pid}])
    veths = [
        {"name": "v-t", "bridge": "br-t", "peer": {"netns": "inner", "addresses": ["10.60.0.2/24"]}},
        {"name": "v-u", "bridge": "br-t", "peer": {"netns": "theirs"}},
        {"name": "v-v", "peer": {"netns": "vm", "name": "eth7"}},
    ]
    host.do("veth", aggregate=veths)
    host.do("bridge_firewall", bridge="br-t", subnets=["10.60.0.0/24"])
    host.do("nat_masquerade", source="10.60.0.0/24")
    host.do("port_publish", host_port="8081", container_ip="10.60.0.2", bridge="br-t", container_port="80")
    host.do("sysctl_forward", forward_policy="drop", route_localnet=["theirs"])
    # a veth pair outlives its bridge, a link is what a kill left of it, and names went by other hands
    host.run("ip link delete br-blog; ip link set br-shop alias ''; ip netns delete old; : > /run/netns/half")
    host.run("chmod 1000 /run/netns/half")
    unplugged = host.do("network_info").data["unplugged"]
    assert {item["veth"] for item in unplugged} == {"v-blog-cms", "v-v"}

    predicted = host.look("bridge_network", networks=[], state="absent", everything=True)
    gone = host.do("bridge_network", networks=[], state="absent", everything=True)

    assert (predicted.commands, predicted.data["diff"]) == (gone.commands, gone.data["diff"])
    assert remains(before, host.dump()) == ""
    assert host.run("find /etc /run -path /run/lock -prune -o -iname '*dockerless*' -print") == ""
    assert not host.do("bridge_network", networks=[], state="absent", everything=True).changed


@pytest.mark.once
@pytest.mark.ansible
def test_the_playbooks(host: Host, fleet: Fleet) -> None:
    def play(name: str, **variables: Any) -> Any:
        text = "- import_playbook: dockerless.network.%s\n"
        return fleet.play(text % name, extra={"bridge_network_hosts": "fleet", **variables})

    before = host.dump()
    lists = {"lists": {"h1": [SHOP], "h2": None}, "bridge_network_networks": "{{ lists[inventory_hostname] }}"}
    for name in ("up", "down"):
        run = play(name).must()
        assert not run.changed and run.output.count("is left out: bridge_network_networks is not set for it") == 2
    assert remains(before, host.dump()) == ""

    broken = play("up", bridge_network_networks="{{ there_is_no_such_variable }}")
    assert len(broken.failed) == 2 and "there_is_no_such_variable" in broken.output

    up = play("up", **lists).must()
    assert {result.host for result in up.changed} == {"h1"} and up.output.count("h2 is left out: ") == 1
    host.do("bridge_network", networks=[BLOG])
    play("down", **lists).must()
    assert "br-shop" not in bridges(host) and "br-blog" in bridges(host)
    assert {result.host for result in play("purge").must().changed} == {"h1"}
    assert remains(before, host.dump()) == ""
