# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition.compose import compose
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope, read_scope
from ansible_collections.dockerless.network.plugins.module_utils.composition.surroundings import Surroundings
from ansible_collections.dockerless.network.plugins.module_utils.converge import make, make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import RouteEntry
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, InvalidRequest, Route
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.role_host import (
    compose as by_info,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    BY_HAND,
    MemoryHost,
    plain,
    world,
)

Facts = dict[str, Any]

SMALL = [{"base": "10.200.0.0/22", "size": 24}]


class Around(Surroundings):
    """A host with addresses and routes."""

    def __init__(self, addresses: Sequence[str] = (), routes: Sequence[str] = ()) -> None:
        self._addresses, self._routes = addresses, routes

    def addresses(self) -> list[Any]:
        return [ip_interface(text) for text in self._addresses]

    def routes(self) -> list[Any]:
        return [ip_network(text) for text in self._routes]


def network(name: str = "blue", **options: Any) -> Facts:
    return {"name": name, "endpoints": [{"name": "web-%s" % name}], **options}


def chosen(networks: list[Facts], around: Surroundings | None = None, **options: Any) -> dict[str, str]:
    """Subnets by network, for a host on which there is nothing yet."""
    found = compose(networks, HostReport(), read_scope(options), around or Around())
    return {item.network: str(item.subnets[0]) for item in found.present.bridge_firewall}


def test_a_network_without_subnets_gets_one_that_follows_from_its_project_and_name() -> None:
    # These are on hosts already: another choice in a later release would renumber what is set up anew.
    assert chosen([network("blue"), network("red", subnets=[])]) == {"blue": "172.18.0.0/16", "red": "172.23.0.0/16"}
    assert chosen([network("blue")], project="shop") == {"blue@shop": "172.23.0.0/16"}


@pytest.mark.parametrize("internal", [True, False])
def test_all_that_a_network_has_is_in_it(internal: bool) -> None:
    present = compose([network(internal=internal)], HostReport()).present

    assert str((present.bridge[0].addresses or ())[0]) == "172.18.0.1/16"
    [address] = present.veth[0].peer.addresses or ()
    assert address.network == ip_network("172.18.0.0/16")
    assert [str(item.source) for item in present.nat_masquerade] == ([] if internal else ["172.18.0.0/16"])


@given(st.permutations([network("n%d" % number) for number in range(20)] + [network("x", subnets=["172.20.0.0/16"])]))
def test_the_order_of_the_list_decides_on_nothing_and_none_overlap(networks: list[Facts]) -> None:
    found = chosen(networks)

    assert found == chosen(sorted(networks, key=str))
    nets = [ip_network(text) for text in found.values()]
    assert not any(one.overlaps(other) for one in nets for other in nets if one is not other)


@pytest.mark.parametrize(
    ("around", "subnet"),
    [
        (Around(["172.18.0.0/16"]), "172.19.0.0/16"),
        (Around(["172.18.7.0/24"]), "172.19.0.0/16"),
        (Around(["172.16.0.0/12"]), "192.168.192.0/20"),
        (Around([], ["172.18.0.0/16"]), "172.19.0.0/16"),
        (Around([], ["172.18.7.7/32"]), "172.19.0.0/16"),
        (Around([], ["172.18.0.0/15"]), "172.20.0.0/16"),
    ],
)
def test_what_the_host_uses_is_left_out(around: Surroundings, subnet: str) -> None:
    assert chosen([network("blue")], around) == {"blue": subnet}


def test_what_others_in_the_list_are_given_is_left_out() -> None:
    assert chosen([network("blue"), network("red", subnets=["172.18.3.0/24"])])["blue"] == "172.19.0.0/16"


def test_where_routes_cover_all_of_the_pools_they_are_overlooked() -> None:
    halves = Around([], ["0.0.0.0/1", "128.0.0.0/1"])

    assert chosen([network("blue")], halves) == {"blue": "172.18.0.0/16"}


def test_full_pools_are_refused_with_the_network() -> None:
    names = [network("n%d" % number) for number in range(5)]

    with pytest.raises(InvalidRequest) as refused:
        chosen(names, pools=SMALL)

    assert str(refused.value) == (
        "network n4: it has no subnets, and of the 4 subnets of the pools none is free: other networks, and addresses"
        " and routes of the host, have them; give it one with the option subnets, or add to pools."
    )
    assert sorted(chosen(names[:4], pools=SMALL).values()) == ["10.200.%d.0/24" % number for number in range(4)]


@pytest.mark.parametrize(
    ("pools", "message"),
    [
        ([{"base": "10.200.0.0/16"}], "pools, item 1: the option size is missing."),
        (
            [{"base": "fd00::/48", "size": 64}],
            "pools, item 1: base: fd00::/48 is not IPv4; a network gets",
        ),
        (
            [*SMALL, {"base": "10.0.0.0/16", "size": 8}],
            "pools, item 2: size: subnets of 10.0.0.0/16 cannot have the prefix length 8; use 16 to 30.",
        ),
        (
            [{"base": "10.0.0.0/16", "size": 31}],
            "pools, item 1: size: subnets of 10.0.0.0/16 cannot have the prefix length 31; use 16 to 30.",
        ),
        ([{"base": "10.0.0.1/16", "size": 24}], "pools, item 1: base: 10.0.0.1/16 has host bits set; did you mean"),
        (["10.0.0.0/16"], "pools, item 1: got the text '10.0.0.0/16'; write it as "),
    ],
)
def test_pools_that_cannot_be_are_refused(pools: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_scope({"pools": pools})

    assert str(refused.value).startswith(message)


def test_a_large_pool_is_not_walked_through() -> None:
    many = [network("n%d" % number) for number in range(300)]

    assert len(set(chosen(many, pools=[{"base": "10.0.0.0/8", "size": 30}]).values())) == 300


# ---- on a host


def once(host: MemoryHost, networks: list[Facts], check_mode: bool = False, **options: Any) -> Outcome:
    return make_networks(networks, world(host, check_mode), read_scope(options))


def address(host: MemoryHost, bridge: str = "br-blue") -> str:
    return str(host.host.links[bridge].addresses[0])


@pytest.mark.parametrize("gone", [False, True])
def test_a_network_keeps_the_subnet_that_it_has(gone: bool) -> None:
    """Also when the bridge was deleted, and whatever came to the host since then."""
    host = MemoryHost()
    once(host, [network()])
    assert address(host) == "172.18.0.1/16"
    host.make_link(host.host, "wg0", up=True)
    host.host.routes.append(RouteEntry(plain(Route(ip_network("172.16.0.0/12"))), "wg0", BY_HAND))
    if gone:
        host.remove_link(host.host, "br-blue")

    assert once(host, [network()], check_mode=True).changed is gone
    once(host, [network(), network("red")], pools=SMALL)

    assert address(host) == "172.18.0.1/16"
    assert address(host, "br-red").startswith("10.200.")
    assert not once(host, [network("red"), network()], check_mode=True, pools=SMALL).changed


def test_networks_that_are_not_in_the_list_keep_theirs() -> None:
    host = MemoryHost()
    once(host, [network("other", subnets=["172.18.0.0/24"])], project="shop")

    once(host, [network()])

    assert address(host) == "172.19.0.1/16"


def test_the_same_is_chosen_from_what_network_info_returned() -> None:
    host = MemoryHost()
    addresses = (ip_interface("172.18.0.9/24"), ip_interface("8.8.8.9/24"))
    host.make_link(host.host, "eth1", up=True, addresses=addresses)
    host.host.routes.append(RouteEntry(plain(Route(ip_network("172.19.0.0/17"))), "", BY_HAND, "blackhole"))
    told = json.loads(json.dumps(facts(world(host))))

    found = by_info([network()], told)

    once(host, [network()])
    assert found["present"]["bridge"][0]["addresses"] == [address(host)] == ["172.20.0.1/16"]
    assert told["addresses"] == ["8.8.8.9/24", "172.18.0.9/24"]
    assert told["routed_subnets"] == ["172.18.0.0/24", "172.19.0.0/17"]
    assert Scope() == read_scope({"pools": []})


@pytest.mark.parametrize("gateway", ["10.20.0.1", "10.20.0.183"])
def test_an_address_of_the_host_is_chosen_for_no_endpoint(gateway: str) -> None:
    """Another one on the bridge, or one on the uplink whose subnet the network is a part of."""
    blue = {"name": "blue", "subnets": ["10.20.0.0/24"], "gateways": [gateway], "endpoints": [{"name": "web"}]}
    around = Around(["10.20.0.1/24", "10.20.0.183/8", "10.20.0.184/32", "fd00::9/64"])

    [veth] = compose([blue], HostReport(), around=around).present.veth

    assert veth.peer.addresses == (ip_interface("10.20.0.185/24"),)


RED = network("red")  # by its name alone, this and the one after it get the same subnet
BLUE_OF_SHOP = {"networks": [network("blue")], "project": "shop"}
TAKEN = network("x", subnets=["172.23.0.0/16"])


@pytest.mark.parametrize(
    "calls",
    [
        [{"networks": [RED]}, BLUE_OF_SHOP],
        [BLUE_OF_SHOP, {"networks": [RED]}],
        [{"networks": [RED]}, {"networks": [network("green")]}, BLUE_OF_SHOP, {"networks": [RED, network("n1")]}],
        [{"networks": [RED]}, {"networks": [TAKEN], "project": "shop"}],
        [{"networks": [RED]}, {"networks": [TAKEN], "prune": "project"}],
        [{"networks": [RED]}, {"networks": [RED], "state": "absent"}, BLUE_OF_SHOP],
        [
            {"networks": [network("red", bridge="br0")]},
            {"networks": [network("red", bridge="br1", subnets=["172.23.0.0/16"])]},
        ],
        [{"networks": [RED]}, {"networks": [network("six", subnets=["fd00:20::/64"])]}, BLUE_OF_SHOP],
    ],
)
@pytest.mark.parametrize("before", [[], [network("n0")]])
def test_check_mode_predicts_the_subnets_of_one_list_after_another(calls: list[Facts], before: list[Facts]) -> None:
    """A run finds the bridges of the lists before; in check mode, each call tells the next one of them."""

    def story(check_mode: bool) -> list[Any]:
        host, result, predicted = MemoryHost(), [], ()
        host.uplink()
        once(host, before, prune="project")
        for options in calls:
            try:
                done = make({**options, "predicted": predicted}, world(host, check_mode))
            except Conflict as error:
                return [*result, str(error)]
            predicted = done.predicted
            bridges = [item for item in done.objects if str(item["title"]).startswith("bridge ")]
            result.append([item["addresses"] for item in bridges if "addresses" in item])
        return result

    found = story(False)
    assert story(True) == found != []


@pytest.mark.parametrize(
    "value", ["x", [{"addresses": ["10.0.0.1/24"]}], [{"name": "br-x", "addresses": ["10.0.0.1"]}]]
)
def test_what_is_no_prediction_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^predicted"):
        make({"networks": [RED], "predicted": value}, world(MemoryHost(), True))
