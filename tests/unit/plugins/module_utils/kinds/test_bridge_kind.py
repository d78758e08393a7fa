# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import BridgeValues, RouteEntry
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind, stable_mac
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    HOST,
    LOCAL_TABLE,
    Bridge,
    Conflict,
    InvalidRequest,
    Place,
    Route,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    BY_HAND,
    LINK_SYSCTLS,
    MemoryHost,
    ask,
    converge,
    once,
    plain,
)

KIND = BridgeKind()
OPTIONS = {"name": "br-blue", "addresses": ["10.20.0.1/24", "fd00:20::1/64"], "network": "blue"}
MAC = stable_mac("0123456789abcdef", "br-blue")


def blue(**changes: Any) -> Request:
    return ask(KIND, {**OPTIONS, **changes})


def gone(name: str = "br-blue") -> Request:
    return ask(KIND, {"name": name}, "absent")


def host_with(*requests: Request) -> MemoryHost:
    host = MemoryHost()
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")))
    if requests:
        once(host, *requests)
    return host


# ---- options


def test_options() -> None:
    said = {"name": "br0", "addresses": ["10.0.0.1/8"], "mtu": 1400, "mac_address": "02-42-0A-00-00-01", "stp": True}

    assert KIND.parse({**said, "network": "blue"}) == Bridge(
        "br0", (ip_interface("10.0.0.1/8"),), 1400, "02:42:0a:00:00:01", True, "blue"
    )
    assert KIND.parse({"name": "br0"}) == Bridge("br0")
    assert KIND.parse({"name": "br0", "addresses": []}).addresses == ()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"name": "br0"}, {"name": "br0"}], "Bridge br0 is requested twice."),
        (
            [{"name": "br0", "addresses": ["10.0.0.1/8"]}, {"name": "br1", "addresses": ["10.1.0.1/16"]}],
            "Bridges br0 and br1 overlap: 10.0.0.1/8 and 10.1.0.1/16; give one of them another subnet, or insist"
            " with allow_overlap.",
        ),
    ],
)
def test_bridges_that_contradict_one_another_are_refused(items: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        once(MemoryHost(), *(ask(KIND, item) for item in items))

    assert str(refused.value) == message


def test_bridges_of_two_families_do_not_overlap() -> None:
    converge(host_with(), blue(addresses=["10.20.0.1/24"]), blue(name="br1", addresses=["fd00:20::1/64"]))


# ---- what is to be there


def test_a_new_bridge() -> None:
    host = host_with()

    outcome = converge(host, blue())

    assert outcome.commands == (
        "ip link add name br-blue address %s mtu 1500 group 25708 type bridge stp_state 0" % MAC,
        "ip link set dev br-blue alias dockerless.network:blue",
        "sysctl -w net.ipv6.conf.br-blue.accept_ra=0",
        "sysctl -w net.ipv6.conf.br-blue.accept_dad=0",
        "ip address add 10.20.0.1/24 dev br-blue",
        "ip address add fd00:20::1/64 dev br-blue nodad",
        "ip link set dev br-blue up",
    )
    assert outcome.before == ""
    assert outcome.objects == (
        {
            "name": "br-blue",
            "addresses": ["10.20.0.1/24", "fd00:20::1/64"],
            "mtu": 1500,
            "mac_address": MAC,
            "stp": False,
            "up": True,
            "network": "blue",
            "state": "present",
            "title": "bridge br-blue",
        },
    )


def test_the_mtu_is_that_of_the_uplink_unless_it_is_given() -> None:
    host = MemoryHost()
    host.uplink("eth0", 9000, Route(ip_network("::/0")))
    once(host, blue())
    assert host.host.links["br-blue"].mtu == 9000

    host.stack(HOST).set_link("eth0", {"mtu": 1400})
    once(host, blue())
    assert host.host.links["br-blue"].mtu == 1400

    once(host, blue(mtu=1280))
    assert host.host.links["br-blue"].mtu == 1280


def test_without_an_uplink_the_mtu_is_that_of_ethernet() -> None:
    host = MemoryHost()
    once(host, blue())

    assert host.host.links["br-blue"].mtu == 1500


def test_without_ipv6_in_the_kernel_there_is_no_key_to_write() -> None:
    host = host_with()
    for key in [key for key in host.host.sysctls if key.startswith("net/ipv6/")]:
        del host.host.sysctls[key]

    outcome = once(host, blue(addresses=["10.20.0.1/24"]))

    assert not any("sysctl" in command for command in outcome.commands)


def test_a_link_too_narrow_for_ipv6_does_without_it_and_gets_its_sysctls_when_it_is_widened() -> None:
    host = host_with()
    once(host, blue(addresses=["10.20.0.1/24"], mtu=576))
    assert "net/ipv6/conf/br-blue/accept_ra" not in host.host.sysctls

    commands = list(once(host, blue(addresses=["10.20.0.1/24"], mtu=1500)).commands)

    assert host.host.sysctls["net/ipv6/conf/br-blue/accept_ra"] == "0"
    raised = next(at for at, command in enumerate(commands) if "mtu 1500" in command)
    assert "ip link set dev br-blue down" in commands[:raised]
    assert "ip link set dev br-blue up" in commands[raised:]

    once(host, blue(addresses=["10.20.0.1/24"], mtu=576))
    assert host.host.links["br-blue"].mtu == 576


def test_ipv6_on_a_link_that_is_too_narrow_for_it_is_refused() -> None:
    with pytest.raises(Conflict) as refused:
        once(host_with(), blue(mtu=1200))

    assert str(refused.value) == (
        "bridge br-blue: IPv6 needs an MTU of at least 1280, and this one is 1200; set mtu, or leave IPv6 out."
    )


@pytest.mark.parametrize(
    "later",
    [
        {},
        {"mtu": 1400},
        {"mac_address": "02:00:00:00:00:01"},
        {"stp": True},
        {"network": "azure"},
        {"network": None},
        {"addresses": ["10.20.0.254/24"]},
        {"addresses": ["10.20.0.1/25", "fd00:20::1/64"]},
        {"addresses": ["fd00:20::2/64", "10.20.0.2/24", "10.20.0.1/24"]},
        {"addresses": []},
    ],
)
def test_what_is_said_later_is_changed_in_place(later: dict[str, Any]) -> None:
    host = host_with(blue(addresses=["10.20.0.1/24", "10.20.0.2/24", "fd00:20::1/64"]))
    index = host.host.links["br-blue"].index

    outcome = converge(host, blue(**later))

    assert outcome.changed
    assert outcome.before != outcome.after
    assert host.host.links["br-blue"].index == index


def test_addresses_that_are_not_spoken_of_are_left_alone() -> None:
    host = host_with(blue())

    assert not converge(host, blue(addresses=None)).changed


DRIFTS: dict[str, Callable[[MemoryHost], None]] = {
    "down": lambda host: host.change_link(HOST, "br-blue", up=False),
    "mtu": lambda host: host.change_link(HOST, "br-blue", mtu=1400),
    "mac": lambda host: host.change_link(HOST, "br-blue", mac_address="02:00:00:00:00:09"),
    "stp": lambda host: host.change_link(HOST, "br-blue", details=BridgeValues(True)),
    "no-arp": lambda host: host.change_link(HOST, "br-blue", arp=False),
    "alias": lambda host: host.change_link(HOST, "br-blue", alias=""),
    "no-address": lambda host: host.change_link(HOST, "br-blue", addresses=()),
    "more-addresses": lambda host: host.change_link(
        HOST, "br-blue", addresses=(*blue().item.addresses, ip_interface("10.99.0.1/24"))
    ),
    "accept_dad": lambda host: host.stack(HOST).write_sysctl("net/ipv6/conf/br-blue/accept_dad", "1"),
    "accept_ra": lambda host: host.stack(HOST).write_sysctl("net/ipv6/conf/br-blue/accept_ra", "1"),
    "doomed": lambda host: host.change_link(HOST, "br-blue", group=LINK_GROUP + 1),
    "gone": lambda host: host.remove_link(host.host, "br-blue"),
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_what_somebody_changed_by_hand_is_repaired_and_told(drift: Callable[[MemoryHost], None]) -> None:
    host = host_with(blue())
    wanted = host.snapshot()
    drift(host)
    assert host.snapshot() != wanted

    outcome = converge(host, blue())

    assert host.snapshot() == wanted
    assert outcome.changed
    assert outcome.before != outcome.after


ADDRESSES = st.lists(
    st.sampled_from(["10.20.0.1/24", "10.20.0.2/24", "10.20.0.3/25", "10.21.0.1/16", "fd00::1/64", "fd00::2/64"]),
    unique_by=lambda text: text.partition("/")[0],
)
BRIDGES = st.fixed_dictionaries(
    {"name": st.just("br-blue"), "addresses": st.none() | ADDRESSES, "stp": st.booleans()},
    optional={
        "mtu": st.sampled_from([68, 1400, 9000]),
        "mac_address": st.just("02:00:00:00:00:01"),
        "network": st.sampled_from(["blue", "red"]),
    },
)


def has_room(options: dict[str, Any]) -> bool:
    """Whether the addresses are sure to be possible with the MTU."""
    return options.get("mtu") != 68 or all(":" not in address for address in options["addresses"] or ["::"])


@given(BRIDGES.filter(has_room), BRIDGES.filter(has_room))
def test_any_bridge_can_be_made_of_any_other(first: dict[str, Any], second: dict[str, Any]) -> None:
    host = host_with()
    converge(host, ask(KIND, first))
    converge(host, ask(KIND, second))
    # a request that names no network leaves the bridge in its own, so that modules do not undo one another
    alone = host_with(ask(KIND, {**second, "network": second.get("network") or first.get("network")}))
    if second["addresses"] is not None:
        there = host.host.links["br-blue"], alone.host.links["br-blue"]
        assert set(there[0].addresses) == set(there[1].addresses)
        assert (there[0].mtu, there[0].mac_address, there[0].details, there[0].alias) == (
            there[1].mtu,
            there[1].mac_address,
            there[1].details,
            there[1].alias,
        )


# ---- what is of others


def foreign(**values: Any) -> MemoryHost:
    host = host_with()
    addresses = (ip_interface("10.20.0.1/24"), ip_interface("fd00:20::1/64"))
    host.make_link(host.host, "br-blue", **{"kind": "bridge", "up": True, "addresses": addresses, **values})
    return host


@pytest.mark.parametrize("changes", [{}, {"addresses": []}, {"addresses": None}, {"network": None}, {"mtu": 1500}])
@pytest.mark.parametrize("there", [{}, {"details": BridgeValues(True)}, {"up": False}, {"mtu": 1500, "alias": "mine"}])
def test_a_bridge_of_others_is_used_as_it_is(changes: dict[str, Any], there: dict[str, Any]) -> None:
    assert not converge(foreign(**there), blue(**changes)).changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"addresses": ["10.20.0.2/24"]},
            "Bridge br-blue was not made by this collection and has 10.20.0.1/24, fd00:20::1/64, not"
            " 10.20.0.2/24; add the"
            " address where the bridge is made, or choose another name.",
        ),
        (
            {"mtu": 1400},
            "Bridge br-blue was not made by this collection and has mtu 1500, not 1400; change it where the"
            " bridge is made.",
        ),
        (
            {"mac_address": "02:00:00:00:00:01"},
            "Bridge br-blue was not made by this collection and has mac_address 52:54:00:62:72:2d, not"
            " 02:00:00:00:00:01;"
            " change it where the bridge is made.",
        ),
    ],
)
def test_a_bridge_of_others_with_other_values_is_a_conflict(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Conflict) as conflict:
        once(foreign(), blue(**changes))

    assert str(conflict.value) == message


def test_a_bridge_of_others_without_an_address_is_told_so() -> None:
    with pytest.raises(Conflict, match=r"and has no address, not 10\.20\.0\.1/24"):
        once(foreign(addresses=()), blue())


_UNMARKED = (
    "it has the alias of this collection, but not its link group; if this collection made it, mark it again:"
    " ip link set br-blue group 25708."
)


def test_a_bridge_that_has_lost_its_group_is_neither_used_nor_removed_and_the_way_back_is_told() -> None:
    host = host_with(blue())
    host.change_link(HOST, "br-blue", group=0)

    with pytest.raises(Conflict) as conflict:
        once(host, blue())
    assert str(conflict.value) == "Bridge br-blue cannot be used: " + _UNMARKED
    assert converge(host, gone()).warnings == ("Bridge br-blue stays: " + _UNMARKED,)

    host.change_link(HOST, "br-blue", group=LINK_GROUP)
    assert not once(host, blue()).changed


@pytest.mark.parametrize(
    "alias", ["dockerless", "dockerless.networks", "dockerless.network.example", "my dockerless.network:x"]
)
def test_an_alias_that_looks_like_ours_makes_no_bridge_a_lost_one(alias: str) -> None:
    host = foreign(alias=alias)

    assert not once(host, blue()).changed
    assert converge(host, gone()).warnings == ("Bridge br-blue was not made by this collection, and stays.",)


def test_absent_leaves_a_bridge_of_others_and_says_so() -> None:
    host = foreign()

    outcome = converge(host, gone())

    assert not outcome.changed
    assert outcome.warnings == ("Bridge br-blue was not made by this collection, and stays.",)
    assert outcome.objects[0]["state"] == "present"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {},
            "br-blue is there already, and is not a bridge but a physical or loopback interface; choose another"
            " name for the bridge.",
        ),
        (
            {"kind": "dummy"},
            "br-blue is there already, and is not a bridge but a dummy; choose another name for the bridge.",
        ),
        (
            {"kind": "veth", "group": LINK_GROUP},
            "br-blue is there already, and is not a bridge but a veth; choose another name for the bridge.",
        ),
    ],
)
def test_something_else_of_that_name_is_a_conflict(values: dict[str, Any], message: str) -> None:
    host = host_with()
    host.make_link(host.host, "br-blue", **values)

    with pytest.raises(Conflict) as conflict:
        once(host, blue())

    assert str(conflict.value) == message


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "10.20.0.9/25",
            "Subnet 10.20.0.0/24 of br-blue overlaps 10.20.0.9/25, an address of interface eth1",
        ),
        (
            "10.0.0.9/8",
            "Subnet 10.20.0.0/24 of br-blue overlaps 10.0.0.9/8, an address of interface eth1",
        ),
        (
            "fd00::9/16",
            "Subnet fd00:20::/64 of br-blue overlaps fd00::9/16, an address of interface eth1",
        ),
    ],
)
@pytest.mark.parametrize("there", [False, True], ids=["new", "more"])
def test_a_subnet_that_is_elsewhere_on_the_host_is_a_conflict(address: str, message: str, there: bool) -> None:
    host = host_with(*([blue(addresses=[])] if there else []))
    host.make_link(host.host, "eth1", up=True, addresses=(ip_interface(address),))
    before = host.snapshot()

    with pytest.raises(Conflict) as conflict:
        once(host, blue())

    assert str(conflict.value) == message + INSIST
    assert host.snapshot() == before


INSIST = "; choose another subnet, or insist with the option allow_overlap."


@pytest.mark.parametrize("subnet", ["169.254.0.0/16", "169.254.20.0/24", "169.254.0.0/15"])
def test_the_addresses_of_metadata_are_refused_to_who_does_not_insist(subnet: str) -> None:
    """They are on no interface of the host, and the route to them is that of the uplink."""
    host = host_with()
    asked = {"addresses": [subnet.replace(".0/", ".1/")], "network": "blue"}

    with pytest.raises(Conflict) as conflict:
        once(host, blue(**asked))
    assert str(conflict.value).startswith("Subnet %s of br-blue is link-local" % ip_network(subnet, False))
    assert "169.254.169.254" in str(conflict.value) and str(conflict.value).endswith(INSIST)

    assert converge(host, blue(**asked, allow_overlap=True)).changed


@pytest.mark.parametrize("route", ["10.20.0.0/24", "10.20.0.128/25", "10.20.0.7/32", "fd00:20::/64", "fd00:20::/80"])
@pytest.mark.parametrize("kind", ["", "blackhole", "unreachable"])
def test_a_subnet_that_is_routed_elsewhere_is_a_conflict(route: str, kind: str) -> None:
    host = host_with()
    routed(host, route, kind)

    with pytest.raises(Conflict) as conflict:
        once(host, blue(network="blue"))

    holder = "the %s route to %s" % (kind, route) if kind else "the route to %s by interface wg0" % route
    subnet = "10.20.0.0/24" if "." in route else "fd00:20::/64"
    assert str(conflict.value) == "Subnet %s of br-blue overlaps %s%s" % (subnet, holder, INSIST)


@pytest.mark.parametrize("ruled", [False, True])
@pytest.mark.parametrize("route", ["10.20.0.0/25", "10.20.0.0/24", "10.20.0.0/16", "fd00:20::/64", "fd00::/8"])
def test_a_subnet_that_the_host_takes_for_its_own_is_a_conflict(route: str, ruled: bool) -> None:
    """A wider one as well, as our own rules count the whole of it among the host's addresses."""
    host = host_with()
    host.host.routes.append(RouteEntry(plain(Route(ip_network(route), table=LOCAL_TABLE)), "lo", BY_HAND, "local"))
    host.host.lookups += [(4, 100)] if ruled else []

    with pytest.raises(Conflict) as conflict:
        once(host, blue(network="blue"))

    subnet = "10.20.0.0/24" if "." in route else "fd00:20::/64"
    assert str(conflict.value) == (
        f"Subnet {subnet} of br-blue overlaps the local route to {route} by interface lo{INSIST}"
    )


def routed(host: MemoryHost, route: str, kind: str = "") -> None:
    host.make_link(host.host, "wg0", up=True)
    host.host.routes.append(RouteEntry(plain(Route(ip_network(route))), "" if kind else "wg0", BY_HAND, kind))


@pytest.mark.parametrize("route", ["10.0.0.0/8", "0.0.0.0/1", "10.20.0.0/23", "fd00::/8", "8000::/1"])
@pytest.mark.parametrize("kind", ["", "blackhole", "unreachable"])
def test_a_route_that_merely_covers_a_subnet_is_in_nobodys_way(route: str, kind: str) -> None:
    host = host_with()
    routed(host, route, kind)

    converge(host, blue())
    host.host.links["br-blue"] = replace(host.host.links["br-blue"], addresses=())

    assert converge(host, blue()).changed


def test_who_insists_gets_a_subnet_that_is_elsewhere_too() -> None:
    host = host_with()
    host.make_link(host.host, "eth1", up=True, addresses=(ip_interface("10.0.0.9/8"),))
    routed(host, "10.20.0.0/24")

    converge(host, blue(allow_overlap=True), blue(name="br-red", addresses=["10.20.0.254/24"], allow_overlap=True))


def test_a_subnet_may_move_from_a_bridge_that_goes_in_the_same_run() -> None:
    host = host_with(blue())

    converge(host, gone(), blue(name="br-new"))

    assert "br-blue" not in host.host.links


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("order", [1, -1])
def test_a_subnet_of_a_bridge_of_the_same_run_that_keeps_it_is_a_conflict(ours: bool, order: int) -> None:
    host = host_with(blue()) if ours else foreign()
    requests = [blue(addresses=None), blue(name="br-red", addresses=["10.20.0.254/24"])]

    with pytest.raises(Conflict, match="overlaps"):
        once(host, *requests[::order])


def test_a_namespace_of_the_same_run_does_not_hide_an_interface_of_its_name() -> None:
    host = host_with()
    host.make_link(host.host, "wg0", up=True, addresses=(ip_interface("10.20.0.9/24"),))

    with pytest.raises(Conflict, match="an address of interface wg0"):
        once(host, ask(NetnsKind(), {"name": "wg0"}), blue())


def test_two_bridges_may_exchange_their_subnets_in_one_run() -> None:
    host = host_with(blue(addresses=["10.20.0.1/24"]), blue(name="br-red", addresses=["10.21.0.1/24"]))

    converge(host, blue(addresses=["10.21.0.1/24"]), blue(name="br-red", addresses=["10.20.0.1/24"]))


# ---- what is to go


def test_a_bridge_of_ours_goes() -> None:
    host = host_with()
    before = host.snapshot()
    once(host, blue())

    outcome = converge(host, gone())

    assert outcome.commands == ("ip link delete dev br-blue",)
    assert host.snapshot() == before
    assert not converge(host, gone()).changed


def test_one_whose_deletion_was_cut_off_is_still_ours() -> None:
    host = host_with(blue())
    host.change_link(HOST, "br-blue", group=LINK_GROUP + 1)

    assert converge(host, gone()).changed


def test_ports_of_others_are_named_when_their_bridge_goes() -> None:
    host = host_with(blue())
    host.make_link(host.host, "tap0", kind="tun", master="br-blue")
    host.make_link(host.host, "tap1", kind="tun", master="br-blue")

    outcome = once(host, gone())

    assert outcome.warnings == ("Bridge br-blue had ports of others, now without a bridge: tap0, tap1.",)
    assert host.host.links["tap0"].master == ""


# ---- its MAC address


def test_the_mac_address_is_local_and_tells_machines_and_bridges_apart() -> None:
    macs = [stable_mac(machine, name) for machine in ("a", "b") for name in ("br0", "br1")]

    assert len(set(macs)) == 4
    assert all(mac.startswith("02:") and len(mac) == 17 for mac in macs)
    assert stable_mac("a", "br0") == macs[0]


# ---- what a new link inherits

INHERITED = {
    "net/ipv4/conf/%s/arp_ignore": "8",
    "net/ipv4/conf/%s/drop_gratuitous_arp": "1",
    "net/ipv6/conf/%s/addr_gen_mode": "1",
    "net/ipv6/conf/%s/disable_ipv6": "1",
    "net/ipv6/conf/%s/hop_limit": "1",
    "net/ipv6/conf/%s/drop_unsolicited_na": "1",
    "net/ipv4/neigh/%s/mcast_solicit": "0",
    "net/ipv6/neigh/%s/mcast_solicit": "0",
}


@pytest.mark.parametrize("key", INHERITED)
def test_what_it_inherits_or_is_given_by_hand_does_not_cut_it_off(key: str) -> None:
    """As a hardening role sets it, for all and for those to come: the first run is right, check mode foresees it."""
    request = ask(KIND, {"name": "br-blue", "addresses": ["10.20.0.1/24", "fd00:20::1/64"]})
    host = MemoryHost()
    host.uplink("eth0", 1500)
    host.host.sysctls[key % "default"] = INHERITED[key]

    converge(host, request)
    assert host.host.sysctls[key % "br-blue"] == LINK_SYSCTLS[key]

    host.stack(HOST).write_sysctl(key % "br-blue", INHERITED[key])
    converge(host, request)
    assert host.host.sysctls[key % "br-blue"] == LINK_SYSCTLS[key]


@pytest.mark.parametrize("is_there", [True, False], ids=["in-a-namespace-that-is-there", "in-a-new-one"])
@pytest.mark.parametrize("key", INHERITED)
def test_an_end_inside_is_not_cut_off_either(key: str, is_there: bool) -> None:
    """By what a namespace has from the host, which is all of IPv4 as a rule, or has for its own links to come."""
    host = MemoryHost()
    host.uplink("eth0", 1500)
    host.host.sysctls[key % "default"] = INHERITED[key]
    if is_there:
        host.make_namespace("web")
        host.space(Place(netns="web")).sysctls[key % "default"] = INHERITED[key]
    peer = {"netns": "web", "addresses": ["10.20.0.2/24", "fd00:20::2/64"]}
    requests = [
        ask(NetnsKind(), {"name": "web"}),
        ask(KIND, {"name": "br-blue"}),
        ask(VethKind(), {"name": "v-web", "bridge": "br-blue", "peer": peer}),
    ]

    converge(host, *requests)
    inside = host.space(Place(netns="web")).sysctls
    assert inside[key % "eth0"] == LINK_SYSCTLS[key]

    host.stack(Place(netns="web")).write_sysctl(key % "eth0", INHERITED[key])  # as a run that was cut off leaves it
    converge(host, *requests)
    assert inside[key % "eth0"] == LINK_SYSCTLS[key]


@pytest.mark.parametrize(
    ("is_there", "ours", "answers"),
    [(False, True, "0"), (True, True, "0"), (True, False, "8")],
    ids=["in-a-new-one", "in-one-that-is-there", "in-one-of-others"],
)
def test_a_namespace_that_answers_nobody_whatever_its_links_are_set_to(
    is_there: bool, ours: bool, answers: str
) -> None:
    """It has this from the host, as a rule."""
    host, key, web = MemoryHost(), "net/ipv4/conf/all/arp_ignore", Place(netns="web")
    host.uplink("eth0", 1500)
    named = ask(NetnsKind(), {"name": "web"})
    if is_there and ours:
        converge(host, named)
    elif is_there:
        host.make_namespace("web")
    host.host.sysctls[key] = "8"
    if is_there:
        host.stack(web).write_sysctl(key, "8")
    bridge = ask(KIND, {"name": "br-blue"})
    peer = {"netns": "web", "addresses": ["10.20.0.2/24"]}
    veth = ask(VethKind(), {"name": "v-web", "bridge": "br-blue", "peer": peer})

    converge(host, named, bridge, veth)
    assert host.space(web).sysctls[key] == answers
    if ours:
        host.stack(web).write_sysctl(key, "8")
        converge(host, named, bridge, veth)
        assert host.space(web).sysctls[key] == "0"


@pytest.mark.parametrize(("value", "addresses", "warned"), [("8", 4, True), ("2", 4, False), ("8", 6, False)])
def test_a_host_that_answers_nobody_whatever_its_links_are_set_to(value: str, addresses: int, warned: bool) -> None:
    """Tried with every key of conf/all and conf/default: no other one can keep packets of ours back."""
    host = MemoryHost()
    host.host.sysctls["net/ipv4/conf/all/arp_ignore"] = value

    found = converge(
        host, ask(KIND, {"name": "br-blue", "addresses": [{4: "10.20.0.1/24", 6: "fd00::1/64"}[addresses]]})
    )

    assert ["net.ipv4.conf.all.arp_ignore is 8" in text for text in found.warnings] == [True] * warned


@pytest.mark.parametrize(
    ("off", "uplink", "address", "warned"),
    [
        ("1", "192.0.2.1/24", "fd00:20::1/64", True),
        ("1", "192.0.2.1/24", "10.20.0.1/24", False),
        ("1", "2001:db8::1/64", "fd00:20::1/64", False),
        ("0", "192.0.2.1/24", "fd00:20::1/64", False),
    ],
)
def test_a_host_without_ipv6_on_any_other_interface(off: str, uplink: str, address: str, warned: bool) -> None:
    """The bridge gets its IPv6 all the same, but it ends there; who wants that says internal."""
    host = MemoryHost()
    host.uplink("eth0", 1500)
    host.stack(HOST).add_address("eth0", ip_interface(uplink))
    for name in ("all", "default"):
        host.host.sysctls["net/ipv6/conf/%s/disable_ipv6" % name] = off
    bridge = ask(KIND, {"name": "br-blue", "addresses": [address]})

    found = converge(host, bridge)
    assert ["net.ipv6.conf.all.disable_ipv6 is 1" in text for text in found.warnings] == [True] * warned
    internal = {"bridge": "br-blue", "subnets": ["fd00:20::/64"], "internal": True}
    assert not once(host, bridge, ask(BridgeFirewallKind(), internal)).warnings


@pytest.mark.parametrize("version", [4, 6])
def test_a_link_forwards_where_the_host_does_whatever_it_inherits(version: int) -> None:
    """Bridges and veth pairs without one alike."""
    host = MemoryHost()
    host.uplink("eth0", 1500)
    key = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}[version]
    host.stack(HOST).write_sysctl(key, "1")
    host.host.sysctls["net/ipv%d/conf/default/forwarding" % version] = "0"
    address = {4: "10.20.0.1/24", 6: "fd00:20::1/64"}[version]
    other = {4: "10.30.0.1/24", 6: "fd00:30::1/64"}[version]
    once(host, ask(NetnsKind(), {"name": "web"}))

    bridge = ask(KIND, {"name": "br-blue", "addresses": [address]})
    converge(host, bridge, ask(VethKind(), {"name": "v-web", "addresses": [other], "peer": {"netns": "web"}}))

    assert [host.host.sysctls["net/ipv%d/conf/%s/forwarding" % (version, n)] for n in ("br-blue", "v-web")] == ["1"] * 2


def test_ipv6_is_not_turned_on_for_a_bridge_without_it() -> None:
    host = MemoryHost()
    host.uplink("eth0", 1500)
    host.host.sysctls["net/ipv6/conf/default/disable_ipv6"] = "1"

    converge(host, ask(KIND, {"name": "br-blue", "addresses": ["10.20.0.1/24"]}))

    assert host.host.sysctls["net/ipv6/conf/br-blue/disable_ipv6"] == "1"
