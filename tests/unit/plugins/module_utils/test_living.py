# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life in the endpoints: processes, listeners and present routes, as network_info returns and show draws them."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.gather import gather
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import RouteEntry
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST, Listener, Place, Route
from ansible_collections.dockerless.network.plugins.plugin_utils.picture import picture
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    BY_HAND,
    MemoryHost,
    ask,
    once,
    world,
)

Facts = dict[str, Any]
WEB = Place(netns="web")
BLUE: Facts = {
    "name": "blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [{"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], "publish": ["8080:80"]}],
}


@pytest.fixture
def host() -> MemoryHost:
    made = MemoryHost()
    made.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    make_networks([BLUE], world(made))
    return made


def endpoint(host: MemoryHost) -> Facts:
    found: Facts = facts(world(host))["networks"][0]["endpoints"][0]
    return found


def drawn(host: MemoryHost) -> str:
    """The picture, by way of JSON as on the controller."""
    return "\n".join(picture(read_report(json.loads(json.dumps(facts(world(host)))))))


def listens(host: MemoryHost, *addresses: str, port: int = 80, only6: bool = False) -> None:
    found = [ip_address(address) for address in addresses]
    both = [item.version == 6 and item.is_unspecified and not only6 for item in found]
    host.space(WEB).listeners["tcp"] = [
        Listener("tcp", port, address, (4, 6) if dual else (address.version,)) for address, dual in zip(found, both)
    ]


# ---- processes


def test_who_lives_in_an_endpoint(host: MemoryHost) -> None:
    host.space(WEB).processes += [7, 8]
    host.units[7] = "nginx.service"

    assert endpoint(host)["processes"] == [
        {"pid": 7, "name": "sleep", "unit": "nginx.service"},
        {"pid": 8, "name": "sleep", "unit": ""},
    ]
    assert "runs       nginx.service, sleep (process 8)" in drawn(host)


def test_who_was_left_behind_when_a_namespace_was_made_anew(host: MemoryHost) -> None:
    """A second run has nothing to do, and all looks well: the only place where this shows."""
    host.space(WEB).processes.append(7)
    host.units[7] = "nginx.service"
    once(host, ask(NetnsKind(), {"name": "web"}, "absent"))
    make_networks([BLUE], world(host))

    assert not make_networks([BLUE], world(host)).changed
    (found,) = facts(world(host))["lost"]
    assert found == {"name": "web", "processes": [{"pid": 7, "name": "sleep", "unit": "nginx.service"}]}
    assert endpoint(host)["processes"] == []
    assert "namespace web  (made anew or removed; restart or end what runs in it)\n" in drawn(host)


def test_a_namespace_that_has_lost_its_name_is_drawn_with_who_lives_there(host: MemoryHost) -> None:
    host.space(WEB).processes.append(7)
    host.delete_namespace("web")

    assert endpoint(host)["processes"] == [{"pid": 7, "name": "sleep", "unit": ""}]
    assert endpoint(host)["lost_name"] == "web"
    assert facts(world(host))["lost"] == []
    assert "its namespace has no name, it was namespace web; run the playbook to give it that name back" in drawn(host)


def test_a_name_that_is_taken_does_not_come_back(host: MemoryHost) -> None:
    host.space(WEB).processes.append(7)
    host.delete_namespace("web")
    host.create_namespace("web", "")

    assert endpoint(host)["lost_name"] is None
    assert "it was namespace web, a name that another namespace has now; end its processes" in drawn(host)


# ---- who listens


@pytest.mark.parametrize(
    ("addresses", "heard4", "heard6", "elsewhere"),
    [
        ((), False, False, []),
        (("0.0.0.0",), True, False, []),
        (("::",), True, True, []),
        (("10.20.0.2",), True, False, []),
        (("127.0.0.1",), False, False, ["127.0.0.1"]),
        (("10.99.0.1", "127.0.0.1"), False, False, ["10.99.0.1", "127.0.0.1"]),
    ],
)
def test_who_listens_behind_a_published_port(
    host: MemoryHost, addresses: tuple[str, ...], heard4: bool, heard6: bool, elsewhere: list[str]
) -> None:
    listens(host, *addresses)

    four, six = endpoint(host)["ports"]

    assert four == {
        "container_ip": "10.20.0.2",
        "container_port": "80",
        "protocol": "tcp",
        "heard": heard4,
        "silent": [],
        "elsewhere": elsewhere,
    }
    assert (six["heard"], six["elsewhere"]) == (heard6, [])


def test_ports_of_a_range_on_which_nobody_listens() -> None:
    host = MemoryHost()
    make_networks([{**BLUE, "endpoints": [{**BLUE["endpoints"][0], "publish": ["9000-9009:80-89"]}]}], world(host))
    listens(host, "::", port=88)

    four, six = endpoint(host)["ports"]

    assert (four["heard"], four["silent"], six["silent"]) == (True, ["80-87", "89"], ["80-87", "89"])
    assert "published  *:9000-9009 -> 80-89/tcp  (nobody listens on 80-87, 89)" in drawn(host)


def test_the_picture_says_so(host: MemoryHost) -> None:
    assert "published  *:8080 -> 80/tcp  (nobody listens)" in drawn(host)

    listens(host, "127.0.0.1")
    assert "published  *:8080 -> 80/tcp  (IPv4: listens on 127.0.0.1 only, IPv6: nobody listens)" in drawn(host)

    listens(host, "::")
    assert "published  *:8080 -> 80/tcp\n" in drawn(host) + "\n"

    listens(host, "::", only6=True)
    assert "published  *:8080 -> 80/tcp  (IPv4: nobody listens)" in drawn(host)

    listens(host, "::", port=81)
    assert "(nobody listens)" in drawn(host)


# ---- links and routes


def test_a_sound_endpoint_has_no_troubles(host: MemoryHost) -> None:
    assert endpoint(host)["troubles"] == []


def test_a_link_that_is_down(host: MemoryHost) -> None:
    host.stack(WEB).set_link("eth0", {"up": False})

    assert endpoint(host)["troubles"] == ["eth0 is down"]
    assert "eth0 is down" in drawn(host)


def test_a_loopback_that_is_down(host: MemoryHost) -> None:
    host.stack(WEB).set_link("lo", {"up": False})

    assert endpoint(host)["troubles"] == ["lo is down"]


def test_a_bridge_that_is_down(host: MemoryHost) -> None:
    host.stack(HOST).set_link("br-blue", {"up": False})

    assert endpoint(host)["troubles"][0] == "br-blue is down"
    assert "(br-blue is down" in drawn(host)


def test_links_without_arp_and_ports_that_keep_frames_back(host: MemoryHost) -> None:
    host.stack(HOST).set_link("br-blue", {"arp": False})
    host.stack(WEB).set_link("eth0", {"arp": False})
    host.stack(HOST).set_link("v-blue-web", {"arp": False})  # a port asks for no MAC address
    host.stack(HOST).set_port("v-blue-web", {"flood": False, "locked": True, "state": False})

    assert endpoint(host)["troubles"] == [
        "ARP is off on br-blue; run the playbook",
        "port v-blue-web of br-blue has flood off, locked on, state disabled; run the playbook",
        "ARP is off on eth0; run the playbook",
    ]
    make_networks([BLUE], world(host))
    assert endpoint(host)["troubles"] == []


def test_what_others_have_set_on_the_host_for_an_endpoint(host: MemoryHost) -> None:
    own = endpoint(host)["mac_address"]
    host.host.fixed[("br-blue", ip_address("10.20.0.2"))] = own
    host.host.fixed[("eth0", ip_address("fd00:20::2"))] = "02:00:00:00:00:99"
    assert endpoint(host)["troubles"] == []

    host.host.fixed[("br-blue", ip_address("fd00:20::2"))] = "02:00:00:00:00:99"
    host.host.controlled.update({"v-blue-web": "egress", "eth0": "ingress"})
    assert endpoint(host)["troubles"] == [
        "the host sends packets for fd00:20::2 to 02:00:00:00:00:99, by a permanent neighbour entry; delete it with"
        " 'ip neigh del fd00:20::2 dev br-blue'",
        "filters of traffic control at v-blue-web may stop packets; look at them with"
        " 'tc filter show dev v-blue-web egress'",
    ]


def routed() -> MemoryHost:
    """An endpoint without a bridge, with a published port, made by single modules."""
    host = MemoryHost()
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")))
    once(host, ask(NetnsKind(), {"name": "web"}))
    peer = {"netns": "web", "addresses": ["10.99.0.2/30"], "gateways": ["10.99.0.1"]}
    once(host, ask(VethKind(), {"name": "v-web", "addresses": ["10.99.0.1/30"], "peer": peer}))
    once(host, ask(PortPublishKind(), {"host_port": "8080", "container_ip": "10.99.0.2", "container_port": "80"}))
    return host


def test_an_endpoint_without_a_bridge() -> None:
    host = routed()
    assert "published  0.0.0.0:8080 -> 80/tcp  (nobody listens)" in drawn(host)
    listens(host, "127.0.0.1")
    assert "published  0.0.0.0:8080 -> 80/tcp  (listens on 127.0.0.1 only)" in drawn(host)
    listens(host, "10.99.0.2")
    assert facts(world(host))["unplugged"][0]["ports"][0]["heard"] and drawn(host).count("published") == 1

    host.stack(WEB).set_link("eth0", {"up": False})
    assert facts(world(host))["unplugged"][0]["troubles"] == ["eth0 is down"]


def test_no_way_to_the_gateway(host: MemoryHost) -> None:
    host.space(WEB).flushed.add(("eth0", ip_network("10.20.0.0/24")))

    assert endpoint(host)["troubles"] == ["no way to its gateway 10.20.0.1"]


def test_what_the_host_has_lost_is_told_and_the_gateway_of_another_network_is_not_blamed(host: MemoryHost) -> None:
    make_networks([BLUE, RED], world(host))
    host.stack(HOST).delete_address("br-blue", ip_interface("10.20.0.1/24"))
    lost = "br-blue has lost its address in 10.20.0.0/24; run the playbook"
    assert troubles(host) == {"v-blue-web": [lost]}
    assert lost in drawn(host)

    make_networks([BLUE, RED], world(host))
    assert troubles(host) == {}
    host.space(HOST).flushed |= {("br-blue", ip_network("fd00:20::/64")), ("br-red", ip_network("10.21.0.0/24"))}
    red = "the host has no route to 10.21.0.0/24 by br-red; run the playbook"
    blue = "the host has no route to fd00:20::/64 by br-blue; run the playbook"
    assert troubles(host) == {"v-blue-web": [blue], "v-red-db": [red], "v-red-web": [red]}
    make_networks([BLUE, RED], world(host))
    assert troubles(host) == {}


def test_a_default_route_of_others_by_the_gateway_of_another_network(host: MemoryHost) -> None:
    make_networks([BLUE, RED], world(host))
    space = host.space(WEB)
    wrong = Route(ip_network("0.0.0.0/0"), ip_address("10.21.0.1"), 0)
    space.routes = [entry for entry in space.routes if entry.route.to != wrong.to]
    space.routes.append(RouteEntry(wrong, "eth1", BY_HAND))

    assert troubles(host) == {"v-blue-web": ["default by 10.21.0.1, by a route that is not ours"]}


@pytest.mark.parametrize(
    ("via", "link", "told"),
    [("10.20.0.99", "eth0", "10.20.0.99"), ("192.0.2.1", "wg0", "192.0.2.1"), (None, "wg0", "wg0")],
)
def test_another_default_route(host: MemoryHost, via: str | None, link: str, told: str) -> None:
    space = host.space(WEB)
    wrong = Route(ip_network("0.0.0.0/0"), None if via is None else ip_address(via), 0)
    space.routes = [entry for entry in space.routes if entry.route.to.version == 6]
    space.routes.append(RouteEntry(wrong, link, BY_HAND))

    assert endpoint(host)["troubles"] == ["default by %s, not the gateway" % told]
    assert "(default by %s, not the gateway)" % told in drawn(host)


def test_no_default_route(host: MemoryHost) -> None:
    host.space(WEB).routes.clear()

    assert endpoint(host)["troubles"] == ["no default route for IPv4", "no default route for IPv6"]


def test_a_namespace_of_others_may_have_a_default_route_of_its_own(host: MemoryHost) -> None:
    host.change_link(WEB, "lo", group=0)
    host.space(WEB).routes.clear()

    assert endpoint(host)["troubles"] == []


@pytest.mark.parametrize("ours", [True, False])
def test_routes_of_others(host: MemoryHost, ours: bool) -> None:
    """In a namespace of ours any is told of; in another one those alone that keep packets from a subnet of ours."""
    space = host.space(WEB)
    host.change_link(WEB, "lo", group=space.links["lo"].group if ours else 0)
    for to, via, link, kind in (
        ("10.20.0.0/25", None, "br9", ""),
        ("10.20.0.128/25", None, "", "blackhole"),
        ("192.0.2.0/24", None, "br9", ""),
        ("198.51.100.0/24", "10.20.0.99", "eth0", ""),
    ):
        route = Route(ip_network(to), None if via is None else ip_address(via), 0)
        space.routes.append(RouteEntry(route, link, BY_HAND, kind))

    hiding = ["10.20.0.0/25 goes by br9", "10.20.0.128/25 is blackhole"]
    others = ["192.0.2.0/24 goes by br9", "198.51.100.0/24 goes via 10.20.0.99 by eth0"] if ours else []
    assert endpoint(host)["troubles"] == [told + ", by a route that is not ours" for told in hiding + others]


@pytest.mark.parametrize(
    ("link", "address", "told"),
    [
        ("lo", "10.20.0.11/32", "10.20.0.11 is not reached, as lo has the address 10.20.0.11/32"),
        ("lo", "10.20.0.1/32", "10.20.0.1 is not reached, as lo has the address 10.20.0.1/32"),
        ("d0", "fd00:20::11/64", "fd00:20::11 is not reached, as d0 has the address fd00:20::11/64"),
        ("d0", "10.20.0.9/29", "10.20.0.11 is not reached, as d0 has the address 10.20.0.9/29"),
        ("lo", "10.20.0.50/32", ""),  # nobody's, such as that of a load balancer
        ("d0", "10.20.0.50/24", ""),
        ("d0", "10.0.0.1/8", ""),
    ],
)
def test_an_address_that_keeps_packets_to_others_inside(host: MemoryHost, link: str, address: str, told: str) -> None:
    db = {"name": "db", "addresses": ["10.20.0.11", "fd00:20::11"]}
    make_networks([{**BLUE, "endpoints": [*BLUE["endpoints"], db]}], world(host))
    if link not in host.space(WEB).links:
        host.make_link(host.space(WEB), link, up=True)
    host.change_link(WEB, link, addresses=(ip_interface(address),))

    found = {one["netns"]: one["troubles"] for one in facts(world(host))["networks"][0]["endpoints"]}

    assert found == {"web": [told] if told else [], "db": []}


def test_an_endpoint_that_is_to_have_no_default_route_misses_none(host: MemoryHost) -> None:
    web = {**BLUE["endpoints"][0], "default_route": False}
    for listed in ([web], [web, {"name": "db"}], [{"name": "db"}]):
        make_networks([{**BLUE, "endpoints": listed}], world(host), Scope(prune="none"))
        assert [one["troubles"] for one in facts(world(host))["networks"][0]["endpoints"]] == [[]] * len(
            facts(world(host))["networks"][0]["endpoints"]
        )

    make_networks([BLUE], world(host))
    host.space(WEB).routes.clear()
    assert endpoint(host)["troubles"] == ["no default route for IPv4", "no default route for IPv6"]


RED = {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "web"}, {"name": "db"}]}


def troubles(host: MemoryHost) -> dict[str, list[str]]:
    """Those of each endpoint with any, by its veth pair."""
    found = facts(world(host))
    endpoints = [one for network in found["networks"] for one in network["endpoints"]]
    return {one["veth"]: one["troubles"] for one in endpoints if one["troubles"]}


def test_a_lost_interface_is_told_at_another_one_of_the_namespace(host: MemoryHost) -> None:
    make_networks([BLUE, RED], world(host))
    assert troubles(host) == {}

    host.stack(HOST).delete_links(["v-red-web"])
    assert troubles(host) == {"v-blue-web": ["it has lost its interface in network red; run the playbook"]}
    assert "it has lost its interface in network red" in drawn(host)

    host.stack(HOST).delete_links(["v-blue-web"])
    assert "namespace web  (without an interface in network blue; run the playbook)" in drawn(host)


def test_a_lost_address(host: MemoryHost) -> None:
    host.stack(WEB).delete_address("eth0", ip_interface("10.20.0.2/24"))

    assert troubles(host) == {"v-blue-web": ["it has lost its address 10.20.0.2; run the playbook"]}


def test_an_address_of_a_subnet_that_the_network_had_before(host: MemoryHost) -> None:
    host.stack(WEB).add_address("eth0", ip_interface("10.99.0.2/24"))

    assert troubles(host) == {"v-blue-web": ["10.99.0.2 lies in none of the network's subnets"]}


def test_an_endpoint_on_the_bridge_of_another_network(host: MemoryHost) -> None:
    make_networks([BLUE, RED], world(host))
    host.stack(HOST).set_link("v-red-db", {"master": "br-blue"})

    told = "v-red-db belongs to network red, but is a port of br-blue; run the playbook"
    assert troubles(host)["v-red-db"] == [told]
    assert told in drawn(host)


def test_a_network_without_a_way_out_gives_no_default_route(host: MemoryHost) -> None:
    make_networks([{**BLUE, "internal": True, "endpoints": [{"name": "web"}]}], world(host))

    assert endpoint(host)["troubles"] == []


def test_rules_of_routing_and_a_table_local_that_somebody_has_flushed(host: MemoryHost) -> None:
    host.space(WEB).lookups.remove((4, 254))
    host.space(WEB).not_taken.add(ip_address("fd00:20::2"))

    assert endpoint(host)["troubles"] == [
        "no rule leads to the routing table main (IPv4)",
        "its table local lacks fd00:20::2, so it does not answer there",
    ]


def test_the_sysctls_of_a_namespace_are_told_and_stay_for_a_list_with_its_other_network(host: MemoryHost) -> None:
    key = "net/ipv4/ip_forward"
    web = {**BLUE["endpoints"][0], "sysctls": {key: 1}}

    def forwards() -> str:
        return str(host.space(WEB).sysctls[key])

    make_networks([{**BLUE, "endpoints": [web]}, RED], world(host))
    assert [item["sysctls"] for item in facts(world(host))["namespaces"]] == [{}, {key: "1"}]
    assert read_report(facts(world(host))).namespaces == gather(world(host)).namespaces

    make_networks([RED], world(host))
    assert forwards() == "1" and not make_networks([{**BLUE, "endpoints": [web]}], world(host)).changed
    make_networks([BLUE, RED], world(host))
    assert forwards() == "0"


# ---- the price


def test_a_run_that_makes_networks_does_not_look_inside(host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*unused: object) -> None:
        raise AssertionError("a run looks for processes or listeners")

    for name in ("processes_by_inode", "processes_in", "listeners_in"):
        monkeypatch.setattr(host, name, refuse)

    assert not make_networks([BLUE], world(host)).changed
    assert gather(world(host)).networks[0].endpoints[0].processes == ()
