# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import (
    BY_THE_KERNEL,
    BridgeValues,
    Link,
    NamespaceEntry,
    RouteEntry,
    VethEnd,
)
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    HOST,
    LOCAL_TABLE,
    Conflict,
    End,
    InvalidRequest,
    Place,
    Route,
    Veth,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    BY_HAND,
    MemoryHost,
    ask,
    converge,
    once,
    plain,
    world,
)

KIND = VethKind()
WEB = Place(netns="web")
PEER = {
    "netns": "web",
    "name": "eth0",
    "addresses": ["10.20.0.2/24", "fd00:20::2/64"],
    "gateways": ["10.20.0.1", "fd00:20::1"],
    "mac_address": "02:42:0a:14:00:02",
}
OPTIONS = {"name": "v-blue-web", "bridge": "br-blue", "network": "blue"}


def web(peer: Mapping[str, Any] | None = None, **options: Any) -> Request:
    return ask(KIND, {**OPTIONS, "peer": {**PEER, **(peer or {})}, **options})


def routed(peer: Mapping[str, Any] | None = None, **options: Any) -> Request:
    """A veth pair without a bridge."""
    ends = {"netns": "web", "addresses": ["10.99.0.2/30"], "gateways": ["10.99.0.1"], **(peer or {})}
    return ask(KIND, {"name": "v-web", "addresses": ["10.99.0.1/30"], "peer": ends, **options})


def gone(name: str = "v-blue-web") -> Request:
    return ask(KIND, {"name": name}, "absent")


def bridge(name: str = "br-blue", **options: Any) -> Request:
    return ask(BridgeKind(), {"name": name, "addresses": [], **options})


def netns(name: str) -> Request:
    return ask(NetnsKind(), {"name": name})


def host_with(*requests: Request) -> MemoryHost:
    """A host with two bridges and two namespaces."""
    host = MemoryHost()
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")))
    once(host, bridge(), bridge("br-red", mtu=1400), netns("web"), netns("db"))
    for request in requests:
        once(host, request)
    return host


# ---- options


def test_options() -> None:
    peer = {
        **PEER,
        "routes": [{"to": "192.0.2.0/24", "via": "10.20.0.9", "metric": 7}, {"to": "198.51.100.0/24"}],
    }

    assert KIND.parse({**OPTIONS, "isolated": True, "mtu": 1400, "peer": peer}) == Veth(
        "v-blue-web",
        End(
            "eth0",
            WEB,
            "02:42:0a:14:00:02",
            (ip_interface("10.20.0.2/24"), ip_interface("fd00:20::2/64")),
            (
                Route(ip_network("0.0.0.0/0"), ip_address("10.20.0.1")),
                Route(ip_network("::/0"), ip_address("fd00:20::1")),
                Route(ip_network("192.0.2.0/24"), ip_address("10.20.0.9"), 7),
                Route(ip_network("198.51.100.0/24")),
            ),
        ),
        "br-blue",
        True,
        1400,
        (),
        "blue",
    )


@pytest.mark.parametrize(
    ("route", "to"),
    [
        ({"to": "default", "via": "10.20.0.9", "metric": 1}, "0.0.0.0/0"),
        ({"to": "default", "via": "fd00:20::9", "metric": 1}, "::/0"),
        ({"to": "default", "metric": 1}, "0.0.0.0/0"),
    ],
)
def test_a_default_route_is_of_the_family_of_its_gateway(route: Mapping[str, Any], to: str) -> None:
    assert KIND.parse({**OPTIONS, "peer": {**PEER, "routes": [route]}}).peer.routes[-1].to == ip_network(to)


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        ({"pid": 7}, "veth v-blue-web: set peer.netns or peer.pid, not both."),
        (
            {"gateways": ["10.20.0.1", "10.20.0.3"]},
            "veth v-blue-web: peer.gateways takes one gateway for each address family.",
        ),
        (
            {"gateways": ["10.99.0.1"]},
            "veth v-blue-web: the gateway 10.99.0.1 lies in no subnet of peer.addresses (10.20.0.2/24, fd00:20::2/64).",
        ),
        (
            {"addresses": ["10.20.0.2/24"]},
            "veth v-blue-web: the gateway fd00:20::1 lies in no subnet of peer.addresses (10.20.0.2/24).",
        ),
        (
            {"routes": [{"to": "192.0.2.0/24", "via": "fd00:20::1"}]},
            "veth v-blue-web: the route to 192.0.2.0/24 cannot go via fd00:20::1; both have to be of the same family.",
        ),
        (
            {"routes": [{"to": "192.0.2.0/24", "metric": -1}]},
            "veth v-blue-web: a route cannot have the metric -1; choose one from 0 to 4294967295.",
        ),
        *(
            (
                {"routes": [{"to": "192.0.2.0/24", "via": via}]},
                f"veth v-blue-web: {via} cannot be the gateway of an end with the address 10.20.0.2/24.",
            )
            for via in ("10.20.0.0", "10.20.0.255", "10.20.0.2")
        ),
        (
            {"gateways": ["fd00:20::2"]},
            "veth v-blue-web: fd00:20::2 cannot be the gateway of an end with the address fd00:20::2/64.",
        ),
        *(
            (
                {"routes": [route]},
                f"veth v-blue-web: the route to {route['to']} comes with the address there; leave it out.",
            )
            for route in (
                {"to": "10.20.0.0/24"},
                {"to": "10.20.0.0/24", "via": "10.20.0.9", "metric": 0},
                {"to": "fd00:20::/64", "metric": 256},
                {"to": "fe80::/64", "metric": 256},
            )
        ),
        (
            {"routes": [{"to": "192.0.2.0/24", "metric": 2**32}]},
            "veth v-blue-web: a route cannot have the metric 4294967296; choose one from 0 to 4294967295.",
        ),
        (
            {"routes": [{"to": "default", "via": "10.20.0.9"}]},
            "veth v-blue-web: there are two routes to 0.0.0.0/0 with the same metric.",
        ),
        (
            {"routes": [{"to": "::/0", "via": "fd00:20::9", "metric": 1024}]},
            "veth v-blue-web: there are two routes to ::/0 with the same metric.",
        ),
        ({"addresses": []}, "veth v-blue-web: the gateway 10.20.0.1 lies in no subnet of peer.addresses (none)."),
        (
            {"addresses": ["10.20.0.2/24"], "gateways": ["fe80::1"]},
            "veth v-blue-web: the gateway fe80::1 lies in no subnet of peer.addresses (10.20.0.2/24).",
        ),
        (
            {"addresses": ["10.20.0.2/24"], "gateways": [], "routes": [{"to": "fd00:9::/64"}]},
            "veth v-blue-web: the route to fd00:9::/64 needs an IPv6 address in peer.addresses, since IPv6 is off"
            " without one.",
        ),
        ({"routes": [{"to": "10.0.0.1/8"}]}, "peer.routes.to: 10.0.0.1/8 has host bits set; did you mean 10.0.0.0/8?"),
        ({"routes": [{}]}, "veth v-blue-web: a route needs the option to."),
        (
            {"name": "a/b"},
            "peer.name: 'a/b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        ({"name": "lo"}, "peer.name: lo is the loopback interface; choose another name."),
        ({"mac_address": "x"}, "peer.mac_address: 'x' is not a valid MAC address; write it like 02:42:0a:14:00:02."),
    ],
)
def test_a_peer_that_cannot_be_is_refused(peer: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        web(peer)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (web({"netns": None}), "veth v-blue-web: set peer.netns or peer.pid to say where its peer lives."),
        (
            web(addresses=["10.20.0.3/24"]),
            "veth v-blue-web: a port of a bridge has no addresses; give them to the bridge.",
        ),
        (routed(isolated=True), "veth v-web: only a port of a bridge can be isolated."),
    ],
)
def test_a_veth_pair_that_cannot_be_is_refused(request_: Request, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        once(host_with(), request_)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([web(), web({"name": "eth1"})], "veth v-blue-web is requested twice."),
        ([web(), web(name="v2")], "veth v-blue-web and veth v2 would both have the interface eth0 in namespace web."),
        (
            [web(), web({"netns": "db", "addresses": ["10.20.0.2/25"], "gateways": []}, name="v2")],
            "Address 10.20.0.2 is used twice: by veth v-blue-web and veth v2.",
        ),
        (
            [
                web({"mac_address": None}),
                web({"name": "eth1", "addresses": ["10.20.0.3/24"], "gateways": ["10.20.0.1"]}, name="v2"),
            ],
            "veth v-blue-web and veth v2 both bring a route to default into namespace web; leave one out, or give it"
            " another metric.",
        ),
    ],
)
def test_veth_pairs_that_contradict_one_another_are_refused(requests: list[Request], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        once(host_with(), *requests)

    assert str(refused.value) == message


def test_the_same_address_on_two_bridges_is_no_contradiction() -> None:
    peer = {"netns": "db", "gateways": []}

    converge(host_with(), web(), web(peer, name="v2", bridge="br-red"))


# ---- a port of a bridge


def test_a_new_veth_pair() -> None:
    host = host_with()

    outcome = converge(host, web())

    assert outcome.commands == (
        "ip link add name v-blue-web mtu 1500 group 25708 master br-blue type veth peer name eth0 mtu 1500 group 25708"
        " address 02:42:0a:14:00:02 netns web",
        "ip link set dev v-blue-web alias dockerless.network:blue",
        "sysctl -w net.ipv6.conf.v-blue-web.disable_ipv6=1",
        "ip netns exec web sysctl -w net.ipv6.conf.eth0.disable_ipv6=0",
        "ip netns exec web sysctl -w net.ipv6.conf.eth0.accept_ra=0",
        "ip -n web address add 10.20.0.2/24 dev eth0",
        "ip -n web address add fd00:20::2/64 dev eth0 nodad",
        "bridge link set dev v-blue-web hairpin on",
        "ip link set dev v-blue-web up",
        "ip -n web link set dev eth0 up",
        "ip -n web route add default via 10.20.0.1 dev eth0 proto 108",
        "ip -n web -6 route add default via fd00:20::1 dev eth0 proto 108",
    )
    assert outcome.before == ""
    assert outcome.objects == (
        {
            "name": "v-blue-web",
            "bridge": "br-blue",
            "isolated": False,
            "mtu": 1500,
            "up": True,
            "network": "blue",
            "peer": {
                "name": "eth0",
                "netns": "web",
                "mac_address": "02:42:0a:14:00:02",
                "addresses": ["10.20.0.2/24", "fd00:20::2/64"],
                "routes": ["default via 10.20.0.1", "default via fd00:20::1"],
            },
            "state": "present",
            "title": "veth v-blue-web",
        },
    )


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    "way",
    [{"gateways": ["10.20.0.1"]}, {"routes": [{"to": "192.0.2.0/24", "via": "10.20.0.1"}]}],
)
def test_a_gateway_that_the_end_has_no_address_for_is_a_conflict(
    way: dict[str, Any], check_mode: bool, there: bool
) -> None:
    bare = {"addresses": None, "gateways": []}
    host = host_with(*[web(bare)] * there)

    with pytest.raises(Conflict) as conflict:
        once(host, web({**bare, **way}), check_mode=check_mode)

    assert str(conflict.value) == (
        "veth v-blue-web: eth0 in namespace web has no address in the subnet of its gateway 10.20.0.1; give it"
        " addresses."
    )


def test_a_gateway_may_be_reached_by_the_addresses_that_are_there_or_by_a_route() -> None:
    host = host_with(web({"gateways": []}))
    beside = [{"to": "10.99.0.1"}, {"to": "192.0.2.0/24", "via": "10.99.0.1"}, {"to": "fd00:9::/64", "via": "fe80::1"}]

    assert converge(host, web({"addresses": None, "gateways": ["10.20.0.1"]})).changed
    assert once(host, web({"addresses": None, "gateways": [], "routes": beside}), check_mode=True).changed


def test_a_gateway_may_be_link_local_or_on_the_link_by_a_route_and_that_route_comes_first() -> None:
    gateways = {"gateways": ["10.99.0.1", "fe80::1"], "routes": [{"to": "10.99.0.1"}]}

    outcome = converge(host_with(), web({"addresses": ["10.20.0.2/32", "fd00:20::2/64"], **gateways}))

    assert [command.partition(" route ")[2] for command in outcome.commands if " proto 108" in command] == [
        "add 10.99.0.1/32 dev eth0 proto 108",
        "add default via 10.99.0.1 dev eth0 proto 108",
        "add default via fe80::1 dev eth0 proto 108",
    ]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("way", [{"gateways": ["fe80::1"]}, {"gateways": [], "routes": [{"to": "fd00:9::/64"}]}])
def test_an_end_on_which_ipv6_is_off_takes_no_route_of_ipv6(check_mode: bool, way: Mapping[str, Any]) -> None:
    host = host_with()
    once(host, web({"addresses": ["10.20.0.2/24"], "gateways": []}))

    with pytest.raises(Conflict, match="eth0 in namespace web takes no route of IPv6"):
        once(host, web({"addresses": None, **way}), check_mode=check_mode)


def test_an_endpoint_without_ipv6_has_none_at_all() -> None:
    host = host_with()

    once(host, web({"addresses": ["10.20.0.2/24"], "gateways": []}))

    assert host.space(WEB).sysctls["net/ipv6/conf/eth0/disable_ipv6"] == "1"


def test_the_mtu_is_that_of_the_bridge_unless_it_is_given() -> None:
    host = host_with(web(bridge="br-red"))
    assert (host.host.links["v-blue-web"].mtu, host.space(WEB).links["eth0"].mtu) == (1400, 1400)

    once(host, web(bridge="br-red", mtu=1280))
    assert (host.host.links["v-blue-web"].mtu, host.space(WEB).links["eth0"].mtu) == (1280, 1280)


@pytest.mark.parametrize(
    ("peer", "options"),
    [
        ({}, {"isolated": True}),
        ({}, {"mtu": 1400}),
        ({}, {"network": "red"}),
        ({}, {"bridge": "br-red"}),
        ({}, {"bridge": "br-red", "isolated": True}),
        ({}, {"bridge": None}),
        ({"mac_address": "02:42:0a:14:00:09"}, {}),
        ({"addresses": ["10.20.0.9/24", "fd00:20::2/64"]}, {}),
        ({"addresses": ["10.20.0.2/24", "10.20.0.9/24", "fd00:20::2/64"]}, {}),
        ({"addresses": ["10.20.0.9/24", "fd00:20::9/64"]}, {}),
        ({"addresses": ["10.20.0.2/24"], "gateways": ["10.20.0.1"]}, {}),
        ({"addresses": ["10.20.0.2/31", "fd00:20::2/64"], "gateways": ["10.20.0.3", "fd00:20::"]}, {}),
        ({"routes": [{"to": "10.20.0.0/24", "metric": 5}, {"to": "fd00:20::/64"}]}, {}),
        ({"routes": [{"to": "192.0.2.0/24", "metric": 0}, {"to": "fd00:9::/64", "metric": 0}]}, {}),
        ({"addresses": ["fd00:20::2/64"], "gateways": ["fd00:20::1"]}, {}),
        ({"addresses": [], "gateways": []}, {}),
        ({"gateways": []}, {}),
        ({"gateways": ["10.20.0.254"]}, {}),
        ({"routes": [{"to": "192.0.2.0/24", "via": "10.20.0.7", "metric": 5}]}, {}),
        ({"name": "eth1"}, {}),
        ({"netns": "db"}, {}),
    ],
)
def test_what_is_said_later_is_changed(peer: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    host = host_with(web())

    outcome = converge(host, web(peer, **options))

    assert outcome.changed
    assert outcome.before != outcome.after
    assert host.snapshot()["spaces"] == host_with(web(peer, **options)).snapshot()["spaces"]


def test_a_veth_pair_that_gets_ipv6_is_made_anew_so_that_nothing_comes_in_before_its_sysctls() -> None:
    host = host_with()
    peer = {"netns": "web", "addresses": ["10.20.0.2/24"], "gateways": []}
    once(host, web(peer, mtu=1200))
    assert "net/ipv6/conf/eth0/disable_ipv6" not in host.space(WEB).sysctls

    outcome = once(host, web(peer, mtu=1500))

    assert "ip link delete dev v-blue-web" in outcome.commands
    assert host.space(WEB).sysctls["net/ipv6/conf/eth0/disable_ipv6"] == "1"


def test_ipv6_on_a_veth_pair_that_is_too_narrow_for_it_is_refused() -> None:
    with pytest.raises(Conflict, match=r"^veth v-blue-web: IPv6 needs an MTU of at least 1280, and this one is 1200;"):
        once(host_with(), web(mtu=1200))


def test_addresses_and_a_mac_that_are_not_spoken_of_are_left_alone() -> None:
    host = host_with(web())

    assert not converge(host, web({"addresses": None, "mac_address": None})).changed


def link(place: Place, name: str, **values: Any) -> Callable[[MemoryHost], None]:
    return lambda host: host.change_link(place, name, **values)


def sysctl(place: Place, key: str, value: str) -> Callable[[MemoryHost], None]:
    return lambda host: host.stack(place).write_sysctl(key, value)


def no_routes(version: int) -> Callable[[MemoryHost], None]:
    def drop(host: MemoryHost) -> None:
        space = host.space(WEB)
        space.routes = [entry for entry in space.routes if entry.route.to.version != version]

    return drop


def other_gateway(host: MemoryHost) -> None:
    space = host.space(WEB)
    space.routes = [replace(e, route=replace(e.route, via=ip_address("10.20.0.254"))) for e in space.routes[:1]]


def by_hand(via: str, link: str) -> Callable[[MemoryHost], None]:
    """The effect of `ip route replace default via`: our route goes, as there is one route of each metric."""

    def change(host: MemoryHost) -> None:
        space, gateway = host.space(WEB), ip_address(via)
        if link not in space.links:
            host.make_link(space, link, up=True)
        default = Route(ip_network("0.0.0.0/0" if gateway.version == 4 else "::/0"), gateway)
        space.routes = [entry for entry in space.routes if entry.route.to != default.to]
        space.routes.append(RouteEntry(plain(default), link, BY_HAND))

    return change


def flushed(*subnets: str) -> Callable[[MemoryHost], None]:
    """The effect of `ip route flush dev eth0`, for these subnets."""

    def flush(host: MemoryHost) -> None:
        space = host.space(WEB)
        versions = {ip_network(subnet).version for subnet in subnets}
        space.routes = [entry for entry in space.routes if entry.route.to.version not in versions]
        space.flushed.update(("eth0", ip_network(subnet)) for subnet in subnets)

    return flush


def without_rules(*gone: tuple[int, int]) -> Callable[[MemoryHost], None]:
    """What `ip rule delete` does, by IP version and table."""

    def change(host: MemoryHost) -> None:
        space = host.space(WEB)
        space.lookups = [rule for rule in space.lookups if rule not in gone]

    return change


def not_taken(address: str) -> Callable[[MemoryHost], None]:
    """What `ip route flush table local` does, for one address."""
    return lambda host: host.space(WEB).not_taken.add(ip_address(address))


def dead_end(host: MemoryHost) -> None:
    """`ip route replace blackhole default`."""
    no_routes(4)(host)
    host.space(WEB).dead_ends.add(ip_network("0.0.0.0/0"))


def barrier(to: str, metric: int = 0) -> Callable[[MemoryHost], None]:
    """`ip -n web route add unreachable TO metric METRIC`."""
    entry = RouteEntry(Route(ip_network(to), None, metric), "", BY_HAND, "unreachable")
    return lambda host: host.space(WEB).routes.append(entry)


def local(to: str, kind: str = "local", table: int = LOCAL_TABLE) -> Callable[[MemoryHost], None]:
    """`ip -n web route add local TO dev lo`."""
    entry = RouteEntry(Route(ip_network(to), None, 0, table), "lo", BY_HAND, kind)
    return lambda host: host.space(WEB).routes.append(entry)


def odd(to: str, via: str | None = None, **values: Any) -> Callable[[MemoryHost], None]:
    """A route of others by the end itself."""
    entry = RouteEntry(plain(Route(ip_network(to), via and ip_address(via))), "eth0", BY_HAND, **values)
    return lambda host: host.space(WEB).routes.append(entry)


def shared(host: MemoryHost) -> None:
    """`ip -n web route replace default nexthop via 10.20.0.1 nexthop via 10.20.0.99`."""
    no_routes(4)(host)
    hops = tuple((ip_address(via), "eth0") for via in ("10.20.0.1", "10.20.0.99"))
    for via, unused in hops:
        odd("0.0.0.0/0", str(via), hops=hops)(host)


def replaced(host: MemoryHost) -> None:
    """`ip -n web route replace 10.20.0.0/24 dev eth0 src 127.0.0.9`."""
    flushed("10.20.0.0/24")(host)
    odd("10.20.0.0/24")(host)


def walled(to: str) -> Callable[[MemoryHost], None]:
    """`ip -n web route replace unreachable TO`, which takes the place of the kernel's own route."""

    def change(host: MemoryHost) -> None:
        flushed(to)(host)
        barrier(to)(host)

    return change


def moved_away(host: MemoryHost) -> None:
    """`ip link set v-blue-web netns other`."""
    host.change_link(WEB, "eth0", details=VethEnd(99, 5))
    host.change_link(HOST, "v-blue-web", details=VethEnd(99, 6))
    host.remove_link(host.host, "v-blue-web")


DRIFTS: dict[str, Callable[[MemoryHost], None]] = {
    "host-end-elsewhere": moved_away,
    "host-end-down": lambda host: host.stack(HOST).set_link("v-blue-web", {"up": False}),
    "peer-down": lambda host: host.stack(WEB).set_link("eth0", {"up": False}),
    "mtu": link(HOST, "v-blue-web", mtu=1400),
    "peer-mtu": link(WEB, "eth0", mtu=1400),
    "alias": link(HOST, "v-blue-web", alias=""),
    "no-bridge": lambda host: host.stack(HOST).set_link("v-blue-web", {"master": None}),
    "other-bridge": lambda host: host.stack(HOST).set_link("v-blue-web", {"master": "br-red"}),
    "isolated": link(HOST, "v-blue-web", isolated=True),
    "no-hairpin": link(HOST, "v-blue-web", hairpin=False),
    "port-flags": link(HOST, "v-blue-web", port_flags=(("flood", False), ("locked", True), ("state", False))),
    "no-arp": link(HOST, "v-blue-web", arp=False),
    "peer-no-arp": link(WEB, "eth0", arp=False),
    "doomed": link(HOST, "v-blue-web", group=LINK_GROUP + 1),
    "peer-mac": link(WEB, "eth0", mac_address="02:00:00:00:00:09"),
    "no-address": lambda host: host.stack(WEB).delete_address("eth0", ip_interface("10.20.0.2/24")),
    "no-ipv6-address": lambda host: host.stack(WEB).delete_address("eth0", ip_interface("fd00:20::2/64")),
    "another-address": lambda host: host.stack(WEB).add_address("eth0", ip_interface("10.99.0.1/24")),
    "address-on-port": link(HOST, "v-blue-web", addresses=(ip_interface("10.99.0.1/24"),)),
    "no-route": no_routes(4),
    "no-ipv6-route": no_routes(6),
    "other-gateway": other_gateway,
    "another-route": lambda host: host.stack(WEB).add_route("eth0", Route(ip_network("192.0.2.0/24"))),
    "default-by-another-gateway": by_hand("10.20.0.99", "eth0"),
    "default-by-another-link": by_hand("192.0.2.1", "wg0"),
    "ipv6-default-by-another-link": by_hand("2001:db8::1", "wg0"),
    "dead-end": dead_end,
    "flushed": flushed("10.20.0.0/24"),
    "walled": walled("10.20.0.0/24"),
    "walled-in-part": barrier("10.20.0.7/32"),
    "ipv6-walled": barrier("fd00:20::/64", 1),
    "ipv6-no-way-out": barrier("::/0", 1),
    "no-way-out": barrier("0.0.0.0/0"),
    "local-gateway": local("10.20.0.1/32"),
    "local-part-in-main": local("10.20.0.128/25", table=0),
    "local-subnet": local("10.20.0.0/24"),
    "ipv6-local-around": local("fd00::/8"),
    "ipv6-anycast": local("fd00:20::9/128", "anycast"),
    "local-default": local("0.0.0.0/0"),
    "unicast-in-local": local("10.20.0.7/32", "unicast"),
    "shared-default": shared,
    "subnet-replaced": replaced,
    "subnet-by-a-gateway": odd("10.20.0.0/24", "10.20.0.99"),
    "ipv6-for-some": odd("fd00:20::/64", "fd00:20::99", origin=ip_network("fd00:20::/64")),
    "default-for-some": odd("0.0.0.0/0", "10.20.0.99", tos=8),
    "rules": lambda host: host.space(WEB).lookups.clear(),
    "rules-but-local": without_rules((4, 254), (4, 253)),
    "ipv6-rules": without_rules((6, 254)),
    "not-taken": not_taken("10.20.0.2"),
    "ipv6-not-taken": not_taken("fd00:20::2"),
    "ipv6-on-port": sysctl(HOST, "net/ipv6/conf/v-blue-web/disable_ipv6", "0"),
    "accept_ra": sysctl(WEB, "net/ipv6/conf/eth0/accept_ra", "1"),
    "ipv6-off": sysctl(WEB, "net/ipv6/conf/eth0/disable_ipv6", "1"),
    "veth-gone": lambda host: host.remove_link(host.host, "v-blue-web"),
    "peer-renamed": lambda host: rename(host, "eth0", "lan"),
}


def rename(host: MemoryHost, name: str, to: str) -> None:
    space = host.space(WEB)
    space.links[to] = replace(space.links.pop(name), name=to)
    space.routes = [replace(route, link=to) if route.link == name else route for route in space.routes]


def bridge_anew(host: MemoryHost) -> None:
    host.remove_link(host.host, "br-blue")
    once(host, bridge())


DRIFTS["bridge-gone-and-back"] = bridge_anew


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_what_somebody_changed_by_hand_is_repaired_and_told(drift: Callable[[MemoryHost], None]) -> None:
    host = host_with(web())
    wanted = host.snapshot()
    drift(host)
    assert host.snapshot() != wanted

    outcome = converge(host, web())

    if "wg0" in host.space(WEB).links:
        host.remove_link(host.space(WEB), "wg0")  # somebody's own, and so it stays
    assert host.snapshot() == wanted
    assert outcome.changed
    assert outcome.before != outcome.after


def test_rules_of_routing_and_routes_of_the_table_local_come_back_as_the_kernel_makes_them() -> None:
    """No route by a gateway is taken before the rules are there. For IPv6, only the kernel can make such a route."""
    host = host_with(web())
    host.space(WEB).lookups.clear()
    for address in ("10.20.0.2", "fd00:20::2"):
        not_taken(address)(host)
    no_routes(4)(host)

    assert converge(host, web()).commands == (
        "ip -n web rule add priority 0 lookup local protocol kernel",
        "ip -n web rule add priority 32766 lookup main protocol kernel",
        "ip -n web rule add priority 32767 lookup default protocol kernel",
        "ip -n web -6 rule add priority 0 lookup local protocol kernel",
        "ip -n web -6 rule add priority 32766 lookup main protocol kernel",
        "ip -n web route append local 10.20.0.2 dev eth0 proto kernel table local scope host src 10.20.0.2",
        "ip -n web address delete fd00:20::2/64 dev eth0",
        "ip -n web address add fd00:20::2/64 dev eth0 nodad",
        "ip -n web route replace default via 10.20.0.1 dev eth0 proto 108",
        "ip netns exec web arping -q -U -c 1 -I eth0 10.20.0.2 || true",
    )


def test_a_new_end_in_a_namespace_whose_rules_somebody_has_flushed() -> None:
    host = host_with(web())
    wanted = host.snapshot()
    host.remove_link(host.host, "v-blue-web")
    host.space(WEB).lookups.clear()

    assert converge(host, web()).changed
    assert host.snapshot() == wanted


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("there", [True, False], ids=["there", "new"])
def test_flushed_rules_are_refused_with_the_commands_where_the_namespace_is_theirs(
    there: bool, check_mode: bool
) -> None:
    host = host_with(*([web()] if there else []))
    host.change_link(WEB, "lo", group=0)
    without_rules((4, 254), (4, 253))(host)

    with pytest.raises(Conflict) as conflict:
        once(host, web(), check_mode=check_mode)

    assert str(conflict.value) == (
        "veth v-blue-web: in namespace web no rule leads to the routing table main, so it reaches nothing; add what"
        " is missing with 'ip -n web rule add priority 32766 lookup main protocol kernel' and"
        " 'ip -n web rule add priority 32767 lookup default protocol kernel'."
    )


def test_who_has_rules_instead_of_the_one_for_the_table_main_keeps_them() -> None:
    """Such as a VPN, from which nothing shall ever leave by another way."""
    host = host_with(web())
    without_rules((4, 254), (4, 253))(host)
    host.space(WEB).lookups.append((4, 51820))

    assert not converge(host, web()).changed


def test_a_route_of_the_table_local_is_ours_where_the_namespace_is_not() -> None:
    host = host_with(web())
    host.change_link(WEB, "lo", group=0)
    wanted = host.snapshot()
    not_taken("10.20.0.2")(host)

    assert converge(host, web()).changed
    assert host.snapshot() == wanted


def test_an_address_that_is_about_to_go_is_not_repaired() -> None:
    host = host_with(web())
    not_taken("fd00:20::2")(host)
    not_taken("10.20.0.2")(host)

    commands = converge(host, web({"addresses": ["10.20.0.3/24"], "gateways": ["10.20.0.1"]})).commands

    assert not any("table local" in command or "add fd00" in command for command in commands)


def test_who_takes_all_ipv6_routes_takes_those_of_neighbours_too() -> None:
    host = host_with(web())
    flushed("fd00:20::/64")(host)

    assert converge(host, web()).commands == (
        "ip -n web -6 route add fd00:20::/64 dev eth0 proto kernel metric 256",
        "ip -n web -6 route append fe80::/64 dev eth0 proto kernel metric 256",
        "ip -n web -6 route replace default via fd00:20::1 dev eth0 proto 108",
    )


def test_the_route_to_the_neighbours_of_a_bridge_comes_beside_those_of_other_links() -> None:
    """Every link has one to fe80::/64: that of the uplink is in nobody's way."""
    wanted = bridge(addresses=["fd00:20::1/64"])
    host = host_with(wanted)
    uplink = Route(ip_network("fe80::/64"), None, 256)
    host.host.routes.append(RouteEntry(uplink, "eth0", BY_THE_KERNEL))
    host.host.flushed.add(("br-blue", ip_network("fd00:20::/64")))

    commands = converge(host, wanted).commands

    assert commands[-1] == "ip -6 route append fe80::/64 dev br-blue proto kernel metric 256"
    assert uplink in [entry.route for entry in host.host.routes if entry.link == "eth0"]


def test_a_default_route_of_others_beside_ours_goes() -> None:
    """The kernel would use either one, or both in turn."""
    host = host_with(web())
    beside = RouteEntry(plain(Route(ip_network("0.0.0.0/0"), ip_address("10.20.0.9"))), "eth0", BY_HAND)
    host.space(WEB).routes.append(beside)

    outcome = converge(host, web())

    assert outcome.commands == ("ip -n web route delete default via 10.20.0.9 dev eth0 proto 4 metric 0",)
    assert outcome.before != outcome.after


def preferred(host: MemoryHost, via: str, link: str, metric: int) -> None:
    """`ip -n web -6 route add default via VIA dev LINK metric METRIC`; without a metric it would be 1024."""
    if link not in host.space(WEB).links:
        host.make_link(host.space(WEB), link, up=True)
    host.space(WEB).routes.append(RouteEntry(Route(ip_network("::/0"), ip_address(via), metric), link, BY_HAND))


@pytest.mark.parametrize(("via", "link"), [("fd00:20::9", "eth0"), ("2001:db8::1", "wg0")])
@pytest.mark.parametrize("there", [True, False], ids=["there", "new"])
def test_a_default_route_of_others_that_the_kernel_prefers_goes(via: str, link: str, there: bool) -> None:
    host = host_with(*([web()] if there else []))
    if there or link != "eth0":
        preferred(host, via, link, 512)

    converge(host, web())

    defaults = [str(entry.route.via) for entry in host.space(WEB).routes if entry.route.to == ip_network("::/0")]
    assert defaults == ["fd00:20::1"]


@pytest.mark.parametrize(("via", "metric"), [("fd00:20::1", 512), ("fd00:20::9", 2048)])
def test_a_default_route_that_changes_the_way_of_no_packet_stays(via: str, metric: int) -> None:
    host = host_with(web())
    preferred(host, via, "eth0", metric)

    assert not converge(host, web()).changed


def test_who_asks_for_a_metric_may_come_second() -> None:
    host = host_with()
    host.change_link(WEB, "lo", group=0)
    preferred(host, "2001:db8::1", "wg0", 512)
    second = {"to": "default", "via": "fd00:20::1", "metric": 2000}

    assert converge(host, web({"gateways": [], "routes": [second]})).changed
    with pytest.raises(Conflict, match="route del default via 2001:db8::1 dev wg0 metric 512', or leave"):
        once(host, web())


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("place", "enter"), [({"netns": "web"}, "ip -n web"), ({"netns": None, "pid": 7}, "nsenter --target 7 --net ip")]
)
def test_a_default_route_in_a_namespace_of_others_is_refused_with_the_command(
    place: Mapping[str, Any], enter: str, check_mode: bool
) -> None:
    host = host_with()
    host.change_link(WEB, "lo", group=0)
    host.space(WEB).processes.append(7)
    by_hand("2001:db8::1", "wg0")(host)
    before = host.snapshot()

    with pytest.raises(Conflict) as conflict:
        once(host, web(place), check_mode=check_mode)

    assert "remove it with '%s -6 route del default via 2001:db8::1 dev wg0', or" % enter in str(conflict.value)
    assert host.snapshot() == before
    assert converge(host, web({**place, "gateways": ["10.20.0.1"]})).changed


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("drift", "command"),
    [
        (odd("0.0.0.0/0", "10.20.0.99", rank=0), "ip -n web route del default via 10.20.0.99 dev eth0"),
        (odd("::/0", "fd00:20::99"), "ip -n web -6 route del default via fd00:20::99 dev eth0"),
        (odd("0.0.0.0/0", "10.20.0.99", nexthop=7, rank=0), "ip -n web route del default nhid 7"),
        (odd("0.0.0.0/0", kind="blackhole", rank=0), "ip -n web route delete blackhole default"),
        (local("0.0.0.0/0"), "ip -n web route delete local default dev lo table local"),
        (odd("10.20.0.0/24", rank=0), "ip -n web route del 10.20.0.0/24 dev eth0"),
        (odd("10.20.0.0/24"), ""),  # behind the kernel's own
        (odd("0.0.0.0/0", "10.20.0.99"), ""),
        (odd("0.0.0.0/0", "10.20.0.99", tos=8, rank=0), ""),
        (
            odd("::/0", "fd00:20::99", origin=ip_network("fd00:20::/64")),
            "ip -n web -6 route del default from fd00:20::/64 via fd00:20::99 dev eth0",
        ),
        (odd("::/0", "fd00:20::99", origin=ip_network("fd66::/64")), ""),
    ],
)
def test_a_route_that_comes_before_ours_is_refused_in_a_namespace_of_others(
    drift: Callable[[MemoryHost], Any], command: str, check_mode: bool
) -> None:
    host = host_with(web())
    host.change_link(WEB, "lo", group=0)
    drift(host)

    if not command:
        assert not once(host, web(), check_mode=check_mode).changed
        return
    with pytest.raises(Conflict, match="remove (it|that route) with '%s'" % command):
        once(host, web(), check_mode=check_mode)


@pytest.mark.parametrize(
    "own",
    [
        odd("0.0.0.0/0", "10.20.0.99", tos=8, rank=0),
        odd("0.0.0.0/0", kind="blackhole", tos=8),
        odd("::/0", "fd00:20::99", origin=ip_network("fd66::/64"), rank=0),
    ],
)
def test_a_route_for_some_other_packets_does_not_keep_an_end_out_of_a_namespace_of_others(
    own: Callable[[MemoryHost], Any],
) -> None:
    host = host_with()
    host.change_link(WEB, "lo", group=0)
    own(host)

    assert once(host, web()).changed
    assert not once(host, web()).changed


@pytest.mark.parametrize("to", ["::/0", "fd00:20::/64"])
def test_a_route_for_packets_from_elsewhere_stays_in_a_namespace_of_ours(to: str) -> None:
    """A VPN inside has such a route for its own address, and packets of the end do not take it."""
    host = host_with(web())
    odd(to, "fd00:20::99", origin=ip_network("fd66::/64"), rank=0)(host)
    before = host.snapshot()

    assert not once(host, web()).changed
    assert host.snapshot() == before


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("drift", "command"),
    [
        (walled("10.20.0.0/24"), "ip -n web route delete unreachable 10.20.0.0/24"),
        (barrier("fd00:20::/64", 1), "ip -n web -6 route delete unreachable fd00:20::/64 metric 1"),
        (lambda host: (no_routes(4)(host), barrier("0.0.0.0/0")(host)), "ip -n web route delete unreachable default"),
        (local("10.20.0.1/32"), "ip -n web route delete local 10.20.0.1/32 dev lo table local"),
        (local("10.20.0.0/24", table=0), "ip -n web route delete local 10.20.0.0/24 dev lo table main"),
    ],
)
def test_a_route_that_leads_nowhere_is_refused_in_a_namespace_of_others(
    drift: Callable[[MemoryHost], Any], command: str, check_mode: bool
) -> None:
    host = host_with(web())
    host.change_link(WEB, "lo", group=0)
    drift(host)
    before = host.snapshot()

    leads = "leads to namespace web itself" if "local" in command else "leads nowhere"
    with pytest.raises(Conflict, match="%s; remove it with '%s'" % (leads, command)):
        once(host, web(), check_mode=check_mode)

    assert host.snapshot() == before


def stray(host: MemoryHost, to: str, metric: int = 0) -> None:
    """`ip -n web route add TO dev wg0 metric METRIC`."""
    if "wg0" not in host.space(WEB).links:
        host.make_link(host.space(WEB), "wg0", up=True)
    host.space(WEB).routes.append(RouteEntry(Route(ip_network(to), None, metric), "wg0", BY_HAND))


STRAYS = [("10.20.0.0/24", 0), ("10.20.0.0/25", 0), ("10.20.0.7/32", 50), ("fd00:20::/64", 128), ("fd00:20::/65", 1024)]


@pytest.mark.parametrize("there", [True, False], ids=["there", "new"])
@pytest.mark.parametrize(("to", "metric"), STRAYS)
def test_a_way_of_others_to_a_subnet_of_the_end_goes_where_the_namespace_is_ours(
    to: str, metric: int, there: bool
) -> None:
    host = host_with(*([web()] if there else []))
    stray(host, to, metric)

    assert converge(host, web()).changed

    assert [entry for entry in host.space(WEB).routes if entry.link == "wg0"] == []


@pytest.mark.parametrize(("to", "metric"), [("10.20.0.0/24", 100), ("fd00:20::/64", 1024), ("10.20.0.0/23", 0)])
def test_a_way_of_others_that_no_packet_takes_stays(to: str, metric: int) -> None:
    host = host_with(web())
    stray(host, to, metric)

    assert not converge(host, web()).changed


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("there", [True, False], ids=["there", "new"])
def test_a_way_of_others_to_a_subnet_of_the_end_is_refused_where_the_namespace_is_theirs(
    there: bool, check_mode: bool
) -> None:
    host = host_with(*([web()] if there else []))
    host.change_link(WEB, "lo", group=0)
    stray(host, "10.20.0.0/25")
    once(host, web())
    stray(host, "10.20.0.0/24")

    with pytest.raises(Conflict) as conflict:
        once(host, web(), check_mode=check_mode)

    assert str(conflict.value) == (
        "veth v-blue-web: in namespace web its subnet 10.20.0.0/24 goes by interface wg0; remove that route with"
        " 'ip -n web route del 10.20.0.0/24 dev wg0', or choose another subnet."
    )


def test_a_new_endpoint_takes_the_place_of_a_default_route_of_others_in_a_namespace_of_ours() -> None:
    host = host_with()
    by_hand("192.0.2.1", "wg0")(host)

    converge(host, web())

    defaults = [entry.link for entry in host.space(WEB).routes if entry.route.to == ip_network("0.0.0.0/0")]
    assert defaults == ["eth0"]


def test_the_route_to_the_subnet_of_a_bridge_is_restored() -> None:
    wanted = bridge(addresses=["10.20.0.1/24"])
    host = host_with(wanted)
    host.host.flushed.add(("br-blue", ip_network("10.20.0.0/24")))

    outcome = converge(host, wanted)

    assert outcome.commands == ("ip route add 10.20.0.0/24 dev br-blue proto kernel src 10.20.0.1",)


def test_the_route_to_a_subnet_comes_before_that_of_a_link_of_others() -> None:
    """The kernel takes the first one."""
    host = host_with(web())
    theirs = (ip_interface("10.20.0.99/24"), ip_interface("fd00:20::99/64"))
    host.make_link(host.space(WEB), "d0", up=True, addresses=theirs)
    assert not converge(host, web()).changed
    flushed("10.20.0.0/24", "fd00:20::/64")(host)

    outcome = converge(host, web())

    assert [command for command in outcome.commands if "proto kernel" in command and "fe80" not in command] == [
        "ip -n web route delete 10.20.0.0/24 dev d0 proto kernel",
        "ip -n web -6 route delete fd00:20::/64 dev d0 proto kernel metric 256",
        "ip -n web route add 10.20.0.0/24 dev eth0 proto kernel src 10.20.0.2",
        "ip -n web -6 route add fd00:20::/64 dev eth0 proto kernel metric 256",
        "ip -n web route append 10.20.0.0/24 dev d0 proto kernel src 10.20.0.99",
        "ip -n web -6 route append fd00:20::/64 dev d0 proto kernel metric 256",
    ]


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_missing_route_to_a_subnet_that_goes_by_a_link_of_the_users_is_refused(check_mode: bool) -> None:
    wanted = bridge(addresses=["10.20.0.1/24"])
    host = host_with(wanted)
    host.make_link(host.host, "d0", up=True, addresses=(ip_interface("10.20.0.99/24"),))
    assert not converge(host, wanted).changed
    host.host.flushed.add(("br-blue", ip_network("10.20.0.0/24")))
    before = host.snapshot()

    with pytest.raises(Conflict) as conflict:
        once(host, wanted, check_mode=check_mode)

    assert str(conflict.value) == (
        "bridge br-blue: in the host its subnet 10.20.0.0/24 goes by interface d0; remove that route with"
        " 'ip route del 10.20.0.0/24 dev d0', or choose another subnet."
    )
    assert host.snapshot() == before


def test_the_addresses_of_a_bridge_are_taken_again() -> None:
    wanted = bridge(addresses=["10.20.0.1/24", "fd00:20::1/64"])
    host = host_with(wanted)
    host.host.not_taken.update((ip_address("10.20.0.1"), ip_address("fd00:20::1")))

    assert converge(host, wanted).commands == (
        "ip route append local 10.20.0.1 dev br-blue proto kernel table local scope host src 10.20.0.1",
        "ip address delete fd00:20::1/64 dev br-blue",
        "ip address add fd00:20::1/64 dev br-blue nodad",
    )


def test_routes_of_others_stay() -> None:
    host = host_with(web())
    theirs = RouteEntry(plain(Route(ip_network("192.0.2.0/24"), ip_address("10.20.0.7"))), "eth0", BY_HAND)
    host.space(WEB).routes.append(theirs)

    converge(host, web({"gateways": ["10.20.0.254"]}))

    assert theirs in host.space(WEB).routes


def test_a_route_of_others_that_is_the_same_will_do() -> None:
    host = host_with(web({"gateways": []}))
    host.space(WEB).routes.append(
        RouteEntry(plain(Route(ip_network("0.0.0.0/0"), ip_address("10.20.0.1"))), "eth0", BY_HAND)
    )

    assert not converge(host, web({"gateways": ["10.20.0.1"]})).changed


def test_new_addresses_are_announced_where_there_are_neighbours() -> None:
    host = host_with(web())
    assert host.announced == []

    db = {"netns": "db", "addresses": ["10.20.0.3/24"], "gateways": [], "mac_address": None}
    once(host, web(db, name="v-blue-db"))
    assert [(item.place.netns, item.link, item.port) for item in host.announced] == [("db", "eth0", "v-blue-db")]

    host.announced.clear()
    once(host, web({"addresses": ["10.20.0.9/24", "fd00:20::2/64"]}))
    assert [address for item in host.announced for address in item.addresses] == [ip_interface("10.20.0.9/24")]

    host.announced.clear()
    once(host, web({"addresses": ["10.20.0.9/24", "fd00:20::2/64"], "mac_address": "02:42:0a:14:00:09"}))
    assert len(host.announced[0].addresses) == 2

    host.announced.clear()
    once(host, web({"addresses": ["10.20.0.9/24", "fd00:20::2/64"], "mac_address": "02:42:0a:14:00:09"}))
    assert host.announced == []


def test_on_a_bridge_without_ports_the_host_alone_is_told() -> None:
    """It may have asked for a neighbour while nobody was there."""
    host = host_with(web())

    assert [(item.bridge, item.to_neighbours) for item in host.answered] == [("br-blue", False)]


@pytest.mark.parametrize("drift", ["host-end-down", "peer-down", "no-bridge", "other-bridge"])
def test_what_is_in_reach_again_is_announced(drift: str) -> None:
    host = host_with(web())
    DRIFTS[drift](host)

    outcome = converge(host, web())

    assert [set(map(str, item.addresses)) for item in host.announced] == [{"10.20.0.2/24", "fd00:20::2/64"}]
    assert outcome.commands[-1] == "ip netns exec web arping -q -U -c 1 -I eth0 10.20.0.2 || true"


@pytest.mark.parametrize("there", [True, False])
def test_a_port_that_listens_first_is_told(there: bool) -> None:
    host = host_with(*([web()] if there else []))
    host.change_link(HOST, "br-blue", details=BridgeValues(True, 4))
    if there:
        DRIFTS["no-bridge"](host)

    assert once(host, web()).warnings == (
        "Bridge br-blue runs the spanning tree protocol: a new port, such as that of veth v-blue-web, forwards nothing"
        " for 8 seconds.",
    )
    assert once(host, web()).warnings == ()


# ---- a veth pair without a bridge, and one into a process' namespace


def test_a_routed_veth_pair() -> None:
    host = host_with()

    outcome = converge(host, routed())

    assert "sysctl -w net.ipv6.conf.v-web.accept_ra=0" in outcome.commands
    assert "sysctl -w net.ipv6.conf.v-web.accept_dad=0" in outcome.commands
    assert "ip address add 10.99.0.1/30 dev v-web" in outcome.commands
    assert host.host.links["v-web"].master == ""
    assert not any("hairpin" in command for command in outcome.commands)


def test_a_peer_in_the_namespace_of_a_process() -> None:
    host = host_with()
    host.start_process(7)

    outcome = converge(host, web({"netns": None, "pid": 7}))

    assert any(command.endswith("netns 7") for command in outcome.commands)
    assert any(command.startswith("nsenter --target 7 --net ip") for command in outcome.commands)


def test_a_routed_veth_pair_becomes_a_port_of_a_bridge_and_back() -> None:
    host = host_with(routed())

    converge(host, routed(bridge="br-blue", addresses=[]))
    assert host.host.links["v-web"].master == "br-blue"

    converge(host, routed())
    assert (host.host.links["v-web"].master, host.host.links["v-web"].addresses) == (
        "",
        (ip_interface("10.99.0.1/30"),),
    )


# ---- several at once


def test_a_default_route_may_move_from_one_veth_pair_to_another_in_one_run() -> None:
    lan = {"name": "eth1", "addresses": ["10.21.0.2/24"], "mac_address": None}
    before = [web(), web({**lan, "gateways": []}, name="v-red-web", bridge="br-red")]
    after = [web({"gateways": []}), web({**lan, "gateways": ["10.21.0.1"]}, name="v-red-web", bridge="br-red")]
    for requests in (after, after[::-1]):
        host = host_with()
        once(host, *before)

        converge(host, *requests)

        assert [entry.link for entry in host.space(WEB).routes] == ["eth1"]


def test_two_veth_pairs_may_exchange_their_addresses_in_one_run() -> None:
    host = host_with()
    other = {"netns": "db", "addresses": ["10.20.0.3/24"], "gateways": [], "mac_address": None}
    once(host, web({"gateways": []}), web(other, name="v-blue-db"))

    converge(
        host,
        web({"gateways": [], "addresses": ["10.20.0.3/24"]}),
        web({**other, "addresses": ["10.20.0.2/24"]}, name="v-blue-db"),
    )


def test_a_veth_pair_may_take_the_place_of_one_that_goes_in_the_same_run() -> None:
    host = host_with(web())

    once(host, gone(), web(name="v-new"))

    assert host.host.links["v-new"].master == "br-blue"
    assert host.space(WEB).links["eth0"].up
    assert len(host.space(WEB).routes) == 2


# ---- what stands in the way


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (
            lambda host: host.make_link(host.host, "v-blue-web", kind="dummy"),
            "Interface v-blue-web is there already, and is a dummy that this collection did not make; choose"
            " another name.",
        ),
        (
            lambda host: host.make_veth("v-blue-web", WEB, "eth0"),
            "Interface v-blue-web is there already, and is a veth that this collection did not make; choose"
            " another name.",
        ),
        (
            lambda host: host.make_veth("v-blue-web", WEB, "eth0", alias="dockerless.network:blue"),
            "Interface v-blue-web cannot be used: it has the alias of this collection, but not its link group; if this"
            " collection made it, mark it again: ip link set v-blue-web group 25708.",
        ),
        (
            lambda host: host.make_link(host.space(WEB), "eth0"),
            "Interface eth0 in namespace web is there already, and is a physical or loopback interface; choose another"
            " name (interface of an endpoint, peer.name of a veth).",
        ),
        (
            lambda host: host.make_veth("other", WEB, "eth0", LINK_GROUP),
            "Interface eth0 in namespace web is there already, and is a veth; choose another"
            " name (interface of an endpoint, peer.name of a veth).",
        ),
        (
            lambda host: host.remove_link(host.host, "br-blue"),
            "There is no bridge br-blue on this host; make it with the module bridge.",
        ),
        (
            lambda host: (host.remove_link(host.host, "br-blue"), host.make_link(host.host, "br-blue", kind="dummy")),
            "Interface br-blue is not a bridge but a dummy.",
        ),
        (
            lambda host: host.delete_namespace("web"),
            "There is no namespace web on this host; make it with the module netns, or by 'ip netns add'.",
        ),
        (
            lambda host: (host.change_link(WEB, "lo", group=0), by_hand("192.0.2.1", "wg0")(host)),
            "veth v-blue-web: there is a route to default in namespace web already, by interface wg0 via 192.0.2.1;"
            " remove it with 'ip -n web route del default via 192.0.2.1 dev wg0', or leave this one out"
            " (without gateways, or for an endpoint with default_route: false).",
        ),
    ],
)
def test_what_is_in_the_way_is_named_and_nothing_is_changed(
    arrange: Callable[[MemoryHost], object], message: str
) -> None:
    host = host_with()
    arrange(host)
    before = host.snapshot()

    with pytest.raises(Conflict) as conflict:
        once(host, web())

    assert str(conflict.value) == message
    assert host.snapshot() == before


def test_a_full_bridge_is_a_conflict() -> None:
    host = host_with()
    for number in range(1023):
        host.make_link(host.host, "p%d" % number, master="br-blue")

    with pytest.raises(
        Conflict, match=r"^Bridge br-blue is full: the kernel gives a bridge 1023 ports\. Use another bridge"
    ):
        once(host, web())


def test_a_full_bridge_keeps_the_ports_that_it_has() -> None:
    host = host_with(web())
    for number in range(1022):
        host.make_link(host.host, "p%d" % number, master="br-blue")

    assert not converge(host, web()).changed


def test_the_last_port_is_not_given_twice_in_one_run() -> None:
    host = host_with()
    for number in range(1022):
        host.make_link(host.host, "p%d" % number, master="br-blue")
    other = {"netns": "db", "addresses": ["10.20.0.3/24"], "gateways": [], "mac_address": None}

    with pytest.raises(Conflict, match="is full"):
        once(host, web(), web(other, name="v-blue-db"))


def test_a_subnet_of_a_routed_veth_pair_that_is_elsewhere_is_a_conflict() -> None:
    host = host_with()
    host.make_link(host.host, "eth1", up=True, addresses=(ip_interface("10.99.0.9/24"),))

    with pytest.raises(Conflict, match=r"Subnet 10\.99\.0\.0/30 of v-web overlaps 10\.99\.0\.9/24, an address of"):
        once(host, routed())


@pytest.mark.parametrize("pid", [7])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_process_that_is_not_there_is_a_conflict(pid: int, check_mode: bool) -> None:
    with pytest.raises(Conflict, match=r"^There is no process 7 on this host; give the PID of one that runs\.$"):
        once(host_with(), web({"netns": None, "pid": pid}), check_mode=check_mode)


# ---- whose end is whose


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_a_foreign_pair_with_the_same_indexes_changes_nothing(name: str) -> None:
    """Each namespace numbers its links anew, so others may have any pair of indexes, too."""
    host = host_with(web())
    near, far = host.host.links["v-blue-web"], host.space(WEB).links["eth0"]
    host.make_namespace(name)
    host.space(Place(netns=name)).links["up0"] = Link("up0", far.index, "veth", details=VethEnd(near.index, 3))

    assert not converge(host, web()).changed

    host.change_link(WEB, "eth0", mac_address="02:00:00:00:00:09")
    assert not any(command.startswith("ip link delete") for command in converge(host, web()).commands)

    foreign = host.space(Place(netns=name)).links["up0"]
    converge(host, gone())
    assert host.space(Place(netns=name)).links["up0"] == foreign


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_hosts_own_namespace_is_refused_however_it_is_called(check_mode: bool) -> None:
    host = host_with()
    host.host.processes.append(7)
    host.names["mine"] = NamespaceEntry("mine", host.host.inode)

    for place, said in (
        ({"netns": None, "pid": 7}, "the namespace of process 7"),
        ({"netns": "mine"}, "namespace mine"),
    ):
        with pytest.raises(Conflict) as conflict:
            once(host, web(place), check_mode=check_mode)

        assert str(conflict.value) == (
            "veth v-blue-web: %s is the host's own, and the peer needs another one; name a namespace, or a process that"
            " has one of its own." % said
        )


def test_an_end_without_the_other_is_taken_away_in_a_namespace_of_ours_only() -> None:
    host = host_with(web())
    moved_away(host)
    assert once(host, web(), check_mode=True).commands[0] == "ip -n web link delete dev eth0"

    host.change_link(WEB, "lo", group=0)
    with pytest.raises(Conflict, match=r"^Interface eth0 in namespace web is there already, and is a veth; choose"):
        once(host, web())


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("there", "again"), [({"pid": 7}, "the namespace of process 7"), ({"netns": "web"}, "namespace web")]
)
def test_one_namespace_by_two_names_cannot_have_two_ends_of_one_name(
    there: dict[str, Any], again: str, check_mode: bool
) -> None:
    host = host_with()
    host.space(WEB).processes += [7, 8]
    other = {"netns": None, "pid": 8, "addresses": ["10.20.0.3/24"], "gateways": [], "mac_address": None}

    with pytest.raises(Conflict) as conflict:
        once(host, web({"netns": None, **there}), web(other, name="v-blue-db"), check_mode=check_mode)

    assert str(conflict.value) == (
        "veth v-blue-web and veth v-blue-db would both have the interface eth0 in the namespace of process 8 (which is"
        " also %s); give one of them another name." % again
    )


def test_one_namespace_by_two_names_has_one_default_route() -> None:
    host = host_with()
    host.space(WEB).processes += [7, 8]
    one = web({"netns": None, "pid": 7, "gateways": ["10.20.0.1"]})
    other = {"netns": None, "pid": 8, "name": "eth1", "addresses": ["10.20.0.3/24"], "mac_address": None}

    with pytest.raises(
        Conflict, match=r"^veth v-blue-db: there is a route to default in the namespace of process 8 al"
    ):
        once(host, one, web({**other, "gateways": ["10.20.0.1"]}, name="v-blue-db"))

    converge(host, one, web({**other, "gateways": []}, name="v-blue-db"))


# ---- check mode


def test_check_mode_takes_what_earlier_tasks_would_make_for_granted() -> None:
    host = MemoryHost()
    host.uplink("eth0", 1400, Route(ip_network("0.0.0.0/0")))
    there = host_with(bridge(mtu=1400))
    checking = world(host, check_mode=True)
    requests = [web()]

    foreseen = once(host, *requests, check_mode=True)

    assert foreseen.commands == once(there, *requests).commands
    assert foreseen.changed
    assert foreseen.warnings == (
        "Check mode assumes that bridge br-blue, which is not there yet, is made by an earlier task.",
        "Check mode assumes that namespace web, which is not there yet, is made by an earlier task.",
    )
    KIND.plan(KIND.resolve(web().item, "present", checking), "present", checking)
    assert checking.assumptions() == [
        "Check mode assumes that bridge br-blue, which is not there yet, is made by an earlier task.",
        "Check mode assumes that namespace web, which is not there yet, is made by an earlier task.",
    ]


# ---- what is to go


def test_a_veth_pair_of_ours_goes() -> None:
    host = host_with()
    before = host.snapshot()
    once(host, web())

    outcome = converge(host, gone())

    assert outcome.commands == ("ip link delete dev v-blue-web",)
    assert host.snapshot() == before
    assert not converge(host, gone()).changed


def test_one_whose_deletion_was_cut_off_is_still_ours() -> None:
    host = host_with(web())
    host.change_link(HOST, "v-blue-web", group=LINK_GROUP + 1)

    assert converge(host, gone()).changed


def test_a_pair_that_has_lost_its_group_stays_and_the_way_back_is_told() -> None:
    host = host_with()
    host.make_veth("v-blue-web", WEB, "eth0", alias="dockerless.network:blue")

    [warning] = converge(host, gone()).warnings

    assert warning.startswith(
        "Interface v-blue-web stays: it has the alias of this collection, but not its link group;"
    )


@pytest.mark.parametrize(
    "arrange",
    [
        lambda host: host.make_link(host.host, "v-blue-web", kind="dummy"),
        lambda host: host.make_veth("v-blue-web", WEB, "eth0"),
        lambda host: host.make_link(host.host, "v-blue-web", kind="bridge", group=LINK_GROUP),
    ],
)
def test_what_is_of_others_stays_and_is_told(arrange: Callable[[MemoryHost], object]) -> None:
    host = host_with()
    arrange(host)

    outcome = converge(host, gone())

    assert not outcome.changed
    assert outcome.warnings == ("Interface v-blue-web was not made by this collection, and stays.",)
    assert outcome.objects[0]["state"] == "present"


# ---- any veth pair after any other

ADDRESSES = st.lists(
    st.sampled_from(["10.20.0.2/24", "10.20.0.3/24", "10.20.0.4/25", "fd00:20::2/64", "fd00:20::3/64"]),
    unique_by=lambda text: text.partition("/")[0],
    max_size=3,
)


@st.composite
def veth_pairs(draw: Any) -> Request:
    addresses = draw(ADDRESSES)
    versions = {6 if ":" in address else 4 for address in addresses}
    gateways = {4: "10.20.0.1", 6: "fd00:20::1"}
    peer: dict[str, Any] = {
        "netns": draw(st.sampled_from(["web", "db"])),
        "name": draw(st.sampled_from(["eth0", "eth1"])),
        "addresses": addresses,
        "gateways": [gateways[version] for version in versions if draw(st.booleans())],
        "routes": [
            {"to": "192.0.2.0/24", "metric": draw(st.sampled_from([0, 5]))} for unused in range(draw(st.integers(0, 1)))
        ],
        "mac_address": draw(st.sampled_from(["02:42:0a:14:00:02", "02:42:0a:14:00:03"])),
    }
    on = draw(st.sampled_from(["br-blue", "br-red", None]))
    options: dict[str, Any] = {"bridge": on, "mtu": draw(st.sampled_from([1500, 1400]))}
    if on is None:
        options["addresses"] = draw(st.sampled_from([[], ["10.20.0.1/24"], ["10.20.0.1/24", "fd00:20::1/64"]]))
    else:
        options["isolated"] = draw(st.booleans())
    return ask(KIND, {"name": "v-x", "peer": peer, "network": draw(st.sampled_from(["", "blue"])), **options})


@given(veth_pairs(), veth_pairs())
def test_any_veth_pair_can_be_made_of_any_other(first: Request, second: Request) -> None:
    host = host_with()
    converge(host, first)
    converge(host, second)

    alone = host_with(second)

    there, wanted = host.snapshot()["spaces"], alone.snapshot()["spaces"]
    for place in ("web", "db"):
        assert there[place]["routes"] == wanted[place]["routes"]
        assert set(there[place]["links"]) == set(wanted[place]["links"])


# ---- who else is on the bridge


STATION = "02:42:0a:14:00:02"


def other(peer: Mapping[str, Any] | None = None, **options: Any) -> Request:
    """Another endpoint on the same bridge."""
    addresses = {"addresses": ["10.20.0.9/24"], "gateways": [], "mac_address": None, "netns": "db"}
    return web({**addresses, **(peer or {})}, name="v-blue-db", **options)


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        (
            {"mac_address": STATION},
            "veth v-blue-db, eth0 in namespace db: eth0 in namespace web has the MAC address %s on bridge br-blue"
            " already; give one of them another." % STATION,
        ),
        (
            {"addresses": ["10.20.0.2/24"]},
            "veth v-blue-db, eth0 in namespace db: eth0 in namespace web has the address 10.20.0.2 on bridge br-blue"
            " already; give one of them another.",
        ),
        (
            {"mac_address": "02:00:00:00:00:77"},
            "veth v-blue-db, eth0 in namespace db: the bridge itself has the MAC address 02:00:00:00:00:77 on bridge"
            " br-blue already; give one of them another.",
        ),
        (
            {"addresses": ["10.20.0.1/24"]},
            "veth v-blue-db, eth0 in namespace db: the bridge itself has the address 10.20.0.1 on bridge br-blue"
            " already; give one of them another.",
        ),
    ],
)
@pytest.mark.parametrize("there", [False, True], ids=["new", "changed"])
def test_an_address_of_somebody_else_on_the_bridge_is_a_conflict(
    peer: dict[str, Any], message: str, there: bool
) -> None:
    house = bridge(addresses=["10.20.0.1/24", "fd00:20::1/64"], mac_address="02:00:00:00:00:77")
    host = host_with(house, web(), *([other()] if there else []))
    before = host.snapshot()

    with pytest.raises(Conflict) as conflict:
        once(host, other(peer))

    assert str(conflict.value) == message
    assert host.snapshot() == before
    converge(host, other({**peer, "addresses": ["10.20.0.9/24"]}, bridge="br-red"))


def test_two_may_exchange_their_addresses_in_one_run() -> None:
    mine, theirs = {"mac_address": STATION}, {"mac_address": "02:00:00:00:00:09"}
    host = host_with(web(mine), other(theirs))

    converge(host, web(theirs), other(mine))


def test_one_mac_address_for_two_of_a_bridge_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        KIND.check([web().item, other({"mac_address": STATION}).item])  # type: ignore[list-item]

    assert str(refused.value) == "MAC address %s is used twice: by veth v-blue-web and veth v-blue-db." % STATION
    KIND.check([web().item, other({"mac_address": STATION}, bridge="br-red").item])  # type: ignore[list-item]
