# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses and routes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from tools_for_cases import HOST, addresses_of, bridge, interface, ip, link_in, netns, refused, route, shell, veth_pair

from ansible_collections.dockerless.network.plugins.module_utils.kernel import decode, requests
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.stack import Stack
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import BY_THE_KERNEL, Awaited, RouteEntry
from ansible_collections.dockerless.network.plugins.module_utils.kinds.common import address_steps
from ansible_collections.dockerless.network.plugins.module_utils.link_operations import (
    AddDefaultRule,
    RenewAddress,
    RestoreRoute,
)
from ansible_collections.dockerless.network.plugins.module_utils.marks import ROUTE_PROTOCOL
from ansible_collections.dockerless.network.plugins.module_utils.model import DefaultRule, Place


def test_an_address_of_each_family(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24", "fd00:1::1/64")
    assert stack.links()["br0"].addresses == (interface("10.1.0.1/24"), interface("fd00:1::1/64"))
    shown = link_in(None, "br0")
    assert addresses_of(shown) == ["10.1.0.1/24", "fd00:1::1/64"]
    assert not any("broadcast" in info for info in shown["addr_info"])


def test_an_ipv6_address_can_be_used_at_once(host: Host) -> None:
    stack = bridge(host)
    veth_pair(host, "web0", "web", "fd00:1::2/64", bridge="br0")
    stack.add_address("br0", interface("fd00:1::1/64"))
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("fd00:1::1", 80))


def test_link_local_addresses_are_not_listed(host: Host) -> None:
    stack = bridge(host)
    veth_pair(host, "web0", "web", "10.1.0.2/24", bridge="br0")
    shell("ip", "address", "add", "fe80::5/64", "dev", "br0", "nodad")
    shell("ip", "address", "add", "169.254.7.7/16", "dev", "br0")
    assert stack.links()["br0"].addresses == (interface("169.254.7.7/16"),)
    assert socket.inet_pton(socket.AF_INET6, "fe80::5") in stack.local_addresses()


def test_a_point_to_point_address_is_our_own_side(host: Host) -> None:
    stack = bridge(host)
    shell("ip", "address", "add", "10.1.0.1", "peer", "10.9.0.1/32", "dev", "br0")
    assert stack.links()["br0"].addresses == (interface("10.1.0.1/32"),)


def test_an_address_twice_is_refused(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    with refused("Cannot add address 10.1.0.1/24 to link br0: File exists", "it is already there"):
        stack.add_address("br0", interface("10.1.0.1/24"))
    with refused("Cannot add address 10.1.0.1/24 to link eth0 in namespace web: there is no link eth0"):
        netns(host, "web").add_address("eth0", interface("10.1.0.1/24"))


def test_a_refused_address_says_why(host: Host) -> None:
    stack = bridge(host)
    stack.write_sysctl("net/ipv6/conf/br0/disable_ipv6", "1")
    with refused("Cannot add address fd00::1/64 to link br0", "IPv6 is disabled on this device"):
        stack.add_address("br0", interface("fd00::1/64"))


def test_what_the_kernel_makes_once_comes_back_the_same(host: Host) -> None:
    """The routes of the table local for addresses of all sorts, and the rules of routing."""
    stack, place = veth_pair(host, "web0", "web", "10.1.0.2/24"), Place(netns="web")
    for address in ("10.1.0.3/24", "10.2.0.2/31", "10.3.0.2/32", "fd00:1::2/64"):
        stack.add_address("eth0", interface(address))
    shell("ip", "-n", "web", "address", "add", "10.4.0.1", "peer", "10.4.0.5/30", "dev", "eth0")

    def shown() -> list[list[str]]:
        words = ["-4 route show table all", "-6 route show table all", "-4 -d rule", "-6 -d rule", "-6 address show lo"]
        return [sorted(shell("ip", "-n", "web", *word.split()).splitlines()) for word in words]

    soon(lambda: sum("local fe80" in line for line in shown()[1]) == 1)
    whole = shown()
    with host.lock(1):
        assert list(stack.lost_routes()) == []
        assert [rule[:2] for rule in stack.lookups()] == [(4, 255), (4, 254), (4, 253), (6, 255), (6, 254)]
    for version in ("-4", "-6"):
        shell("ip", "-n", "web", version, "route", "flush", "table", "local")
        shell("ip", "-n", "web", version, "rule", "flush")
        shell("ip", "-n", "web", version, "rule", "delete", "priority", "0")
    with host.lock(1):
        assert (list(stack.lookups()), stack.has_rules(4), stack.has_rules(6)) == ([], True, True)
        for version, priority, table in ((4, 0, 255), (4, 32766, 254), (4, 32767, 253), (6, 0, 255), (6, 32766, 254)):
            AddDefaultRule(place, DefaultRule(version, priority, table)).apply(host)
        for lost in stack.lost_routes():
            again = lost.to.version == 6 and lost.address is not None
            step = RenewAddress(place, lost.link, lost.address) if again else RestoreRoute(place, lost)
            step.apply(host)
    soon(lambda: shown() == whole)
    with host.lock(1):
        assert list(stack.lost_routes()) == []


def test_a_bridge_that_is_awaited_answers_over_ipv6(host: Host) -> None:
    """The kernel adds the routes of an address later, and notices a carrier when it has the time."""
    stack, links = bridge(host), [(Place(netns="web"), "eth0"), (HOST, "web0"), (HOST, "br0", True)]
    awaited = [Awaited(*link) for link in links]
    stack.write_sysctl("net/ipv6/conf/br0/accept_dad", "0")
    veth_pair(host, "web0", "web", "fd00:1::2/64", bridge="br0")
    for unused in range(30):
        stack.add_address("br0", interface("fd00:1::1/64"))
        stack.set_link("br0", {"up": True})
        host.wait_for_addresses(awaited)
        found = shell("ip", "-6", "route", "show", "table", "local", "dev", "br0")
        assert all(word in found for word in ("local fd00:1::1 ", "local fe80:", "multicast ff00::/8 ")), found
        stack.set_link("br0", {"up": False})
    host.wait_for_addresses([Awaited(HOST, "gone"), Awaited(Place(netns="gone"), "eth0")])


def soon(condition: Callable[[], bool]) -> None:
    """The kernel's own work takes its time."""
    end = time.monotonic() + 3
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_address_goes_alone(host: Host) -> None:
    """The kernel takes the addresses that follow in the same subnet along, or does not."""
    rest = ["10.1.0.2/24", "10.2.0.1/24", "fd00:1::2/64"]
    stack = bridge(host)
    for promote in ("0", "1"):
        for address in ("10.1.0.1/24", *rest[:2], "fd00:1::1/64", rest[2]):
            stack.add_address("br0", interface(address))
        shell("sysctl", "-qw", f"net.ipv4.conf.all.promote_secondaries={promote}")
        shell("sysctl", "-qw", f"net.ipv4.conf.br0.promote_secondaries={promote}")
        there = stack.links()["br0"].addresses
        for step in address_steps(HOST, "br0", there, [interface(address) for address in rest]):
            step.apply(host)
        assert addresses_of(link_in(None, "br0")) == rest
        for address in rest:
            stack.delete_address("br0", interface(address))


def test_an_address_that_is_gone_is_no_error(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    for _again in range(2):
        stack.delete_address("br0", interface("10.1.0.1/24"))
    stack.delete_address("br9", interface("10.1.0.1/24"))
    assert stack.links()["br0"].addresses == ()


def entries(stack: Stack, *wanted: str) -> list[RouteEntry]:
    return [entry for entry in stack.routes() if str(entry.route.to) in wanted]


def test_default_routes_of_both_families(host: Host) -> None:
    bridge(host, "br0", "10.1.0.1/24", "fd00:1::1/64")
    web = veth_pair(host, "web0", "web", "10.1.0.2/24", "10.1.0.1", "br0")
    web.add_address("eth0", interface("fd00:1::2/64"))
    web.add_route("eth0", route("::/0", "fd00:1::1"))
    assert entries(web, "0.0.0.0/0", "::/0") == [
        RouteEntry(route("0.0.0.0/0", "10.1.0.1", 0), "eth0", ROUTE_PROTOCOL),
        RouteEntry(route("::/0", "fd00:1::1", 1024), "eth0", ROUTE_PROTOCOL),
    ]
    assert ip("-n", "web", "route", "get", "192.0.2.1")[0]["gateway"] == "10.1.0.1"
    assert ip("-n", "web", "-6", "route", "get", "2001:db8::1")[0]["gateway"] == "fd00:1::1"


def test_a_route_without_a_gateway_and_one_with_a_metric(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    for to in ("10.5.0.0/16", "fd05::/48", "10.7.0.1/32"):
        stack.add_route("br0", route(to))
    stack.add_route("br0", route("10.6.0.0/16", "10.1.0.9", 50))
    shown = {entry["dst"]: entry for entry in ip("route", "show")}
    assert shown["10.5.0.0/16"]["scope"] == "link"
    assert shown["10.6.0.0/16"]["metric"] == 50
    assert "10.7.0.1" in shown
    assert all(shown[to]["protocol"] == str(ROUTE_PROTOCOL) for to in ("10.5.0.0/16", "10.6.0.0/16", "10.7.0.1"))
    assert [entry.route for entry in entries(stack, "10.5.0.0/16", "10.6.0.0/16", "fd05::/48")] == [
        route("10.5.0.0/16", None, 0),
        route("10.6.0.0/16", "10.1.0.9", 50),
        route("fd05::/48", None, 1024),
    ]


def test_an_ipv4_route_with_an_ipv6_gateway(host: Host) -> None:
    stack = bridge(host, "br0", "fd00:1::1/64")
    stack.add_route("br0", route("10.5.0.0/16", "fd00:1::9"))
    assert entries(stack, "10.5.0.0/16")[0].route == route("10.5.0.0/16", "fd00:1::9", 0)
    assert ip("route", "show")[0]["via"]["host"] == "fd00:1::9"


def test_a_route_is_deleted_by_all_that_was_said(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    one, other = route("10.5.0.0/16", "10.1.0.8", 10), route("10.5.0.0/16", "10.1.0.9", 20)
    stack.add_route("br0", one)
    stack.add_route("br0", other)
    stack.delete_route("br0", one)
    assert [entry.route for entry in entries(stack, "10.5.0.0/16")] == [other]
    stack.delete_route("br0", one)
    stack.delete_route("br9", one)
    for wanted in (route("fd05::/48", metric=7), route("10.6.0.0/16")):
        stack.add_route("br0", wanted)
        stack.delete_route("br0", wanted)
    assert not entries(stack, "fd05::/48", "10.6.0.0/16")


def test_a_route_may_come_beside_that_of_another_link(host: Host) -> None:
    stack, to = bridge(host, "br0"), route("fe80::/64", metric=256)
    bridge(host, "br1")
    for link in ("br0", "br1"):
        stack.set_link(link, {"up": True})
        stack.delete_route(link, to, BY_THE_KERNEL)
    stack.add_route("br0", to, BY_THE_KERNEL)
    with refused("Cannot add route to fe80::/64 through link br1", "another one with this metric"):
        stack.add_route("br1", to, BY_THE_KERNEL)
    stack.add_route("br1", to, BY_THE_KERNEL, appends=True)
    assert {entry["dev"] for entry in ip("-6", "route", "show", "fe80::/64")} == {"br0", "br1"}


def test_a_route_of_others_is_not_deleted(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    shell("ip", "route", "add", "10.5.0.0/16", "via", "10.1.0.9")
    stack.delete_route("br0", route("10.5.0.0/16", "10.1.0.9"))
    assert entries(stack, "10.5.0.0/16")


def test_a_refused_route_says_why(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    with refused("Cannot add route to 10.5.0.0/16 via 192.0.2.1 through link br0", "Nexthop has invalid gateway"):
        stack.add_route("br0", route("10.5.0.0/16", "192.0.2.1"))
    stack.add_route("br0", route("10.5.0.0/16", "10.1.0.8"))
    with refused("Cannot add route to 10.5.0.0/16 via 10.1.0.9", "File exists", "another one with this metric"):
        stack.add_route("br0", route("10.5.0.0/16", "10.1.0.9"))


def test_only_unicast_routes_of_the_main_table_are_listed(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    shell("ip", "route", "add", "10.5.0.0/16", "dev", "br0", "table", "77")
    shell("ip", "route", "add", "blackhole", "10.6.0.0/16")
    shell("ip", "route", "add", "10.7.0.0/16", "dev", "br0", "src", "10.1.0.1", "metric", "9")
    found = [entry for entry in stack.routes() if entry.route.to.version == 4]
    assert found == [
        RouteEntry(route("10.1.0.0/24", None, 0), "br0", 2),
        RouteEntry(route("10.7.0.0/16", None, 9), "br0", 3),
    ]


def test_the_kernel_sends_what_was_asked_for_and_an_old_one_everything(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24", "fd00:1::1/64")
    shell("ip", "route", "add", "10.5.0.0/16", "dev", "br0", "table", "77")
    shell("ip", "route", "add", "blackhole", "10.6.0.0/16")
    names = {link.index: link.name for link in stack.links().values()}
    for version in (4, 6):
        body, family = requests.routes_of(version), requests.family(version)
        filtered = stack.socket().dump(requests.RTM_GETROUTE, body)
        everything = stack.socket().dump(requests.RTM_GETROUTE, bytes(12))
        ours = decode.routes(filtered, names, family)
        assert len(everything) > len(filtered) == len(ours) > 0
        assert decode.routes(everything, names, family) == ours
    assert [(entry.kind, str(entry.route.to)) for entry in stack.barriers()] == [("blackhole", "10.6.0.0/16")]
    assert "10.6.0.0/16" not in [str(entry.route.to) for entry in stack.routes()]


OTHERS = """
route add 10.1.0.0/24 dev br0 metric 5
route prepend blackhole 10.1.0.0/24
route append unreachable 10.1.0.0/24
route add default nexthop via 10.1.0.8 nexthop via 10.1.0.9
route add tos 0x10 default via 10.1.0.9 mtu 700 src 10.1.0.1
route add local 10.9.0.0/16 dev lo
route add broadcast 10.1.0.7 dev br0 table main
nexthop add id 8 blackhole
route prepend default nhid 8
route add 10.8.0.0/16 nhid 8
-6 route add fd00:9::/64 from fd00:1::/64 via fd00:1::9 dev br0
-6 route add anycast fd00:1::7 dev br0 table local
-6 route append default via fd00:1::8 metric 3
-6 route append default via fd00:1::9 metric 3
"""


def test_a_route_of_any_shape_is_removed_and_comes_back_as_it_was(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24", "fd00:1::1/64")

    def theirs_now() -> list[str]:
        """Those that the kernel has not made, in order, and without a word about the state of their links."""
        lines = [
            line for six in ([], ["-6"]) for line in shell("ip", *six, "route", "show", "table", "all").splitlines()
        ]
        words = [[word for word in line.split() if word not in ("linkdown", "dead")] for line in lines]
        return [" ".join(line) for line in words if "kernel" not in line]

    for line in OTHERS.strip().splitlines():
        shell("ip", *line.split())
    before = theirs_now()
    entries_there = [*stack.routes(), *stack.barriers()]
    theirs = {entry.message: entry for entry in entries_there if entry.protocol != 2}.values()
    assert len(theirs) == len(OTHERS.strip().splitlines()) - 2  # an object, and two hops of one route
    for entry in theirs:
        stack.delete_barrier(entry)
    assert theirs_now() == []
    for entry in theirs:
        stack.add_barrier(entry)
    assert theirs_now() == before


def test_each_next_hop_of_a_route_is_listed(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    hops = ["nexthop", "via", "10.1.0.8", "weight", "1", "nexthop", "via", "10.1.0.9"]
    shell("ip", "route", "add", "default", *hops)
    assert [entry.route.via for entry in entries(stack, "0.0.0.0/0")] == [
        route("0.0.0.0/0", via).via for via in ("10.1.0.8", "10.1.0.9")
    ]
    assert {entry.link for entry in entries(stack, "0.0.0.0/0")} == {"br0"}


def test_a_namespace_without_routes_has_none(host: Host) -> None:
    assert [entry for entry in netns(host, "web").routes() if entry.route.to.version == 4] == []


def test_the_link_of_the_default_route_is_that_of_the_lowest_metric(host: Host) -> None:
    assert (host.default_link(4), host.default_link(6)) == (None, None)
    stack = bridge(host, "br0", "10.1.0.1/24")
    bridge(host, "br1", "10.2.0.1/24", "fd00:2::1/64")
    stack.add_route("br1", route("::/0", "fd00:2::9"))
    assert (host.default_link(4), host.default_link(6)) == (None, "br1")
    stack.add_route("br1", route("0.0.0.0/0", "10.2.0.9", 200))
    stack.add_route("br0", route("0.0.0.0/0", "10.1.0.9", 100))
    assert host.default_link(4) == "br0"
    stack.add_route("br1", route("0.0.0.0/0", "10.2.0.9"))
    assert host.default_link(4) == "br1"
