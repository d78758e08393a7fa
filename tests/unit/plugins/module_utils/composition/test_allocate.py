# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition.allocate import Subnet
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest


def subnet(network: str, gateway: str) -> Subnet:
    return Subnet(ip_network(network), ip_address(gateway), "network blue")


@pytest.mark.parametrize(
    ("network", "gateway", "given"),
    [
        ("10.20.0.0/29", "10.20.0.1", ["10.20.0.2", "10.20.0.3", "10.20.0.4", "10.20.0.5", "10.20.0.6"]),
        ("10.20.0.0/29", "10.20.0.3", ["10.20.0.1", "10.20.0.2", "10.20.0.4", "10.20.0.5", "10.20.0.6"]),
        ("10.20.0.0/30", "10.20.0.2", ["10.20.0.1"]),
        ("10.20.0.0/31", "10.20.0.0", ["10.20.0.1"]),
        ("fd00::/126", "fd00::1", ["fd00::2", "fd00::3"]),
        ("fd00::/127", "fd00::1", ["fd00::"]),
        ("255.255.255.252/30", "255.255.255.253", ["255.255.255.254"]),
    ],
)
@pytest.mark.parametrize("seed", ["default/blue/web", "x"])
def test_every_address_is_given_away_once_until_none_is_left(
    network: str, gateway: str, given: list[str], seed: str
) -> None:
    found = subnet(network, gateway)

    assert sorted(str(found.choose(seed, "web")) for unused in given) == sorted(given)
    with pytest.raises(InvalidRequest) as refused:
        found.choose(seed, "endpoint x")
    assert (
        str(refused.value) == "network blue: subnet %s has no address left for endpoint x;"
        " make it larger, or leave an endpoint out." % network
    )


def test_the_address_follows_from_the_seed_and_the_next_free_one_is_taken_instead() -> None:
    # These are on hosts already: another choice in a later release would renumber what is set up anew.
    found = subnet("10.20.0.0/24", "10.20.0.1")

    assert str(found.choose("default/blue/web", "web")) == "10.20.0.183"
    assert str(found.choose("default/blue/web", "web")) == "10.20.0.184"
    assert str(subnet("fd00:20::/64", "fd00:20::1").choose("default/blue/web", "web")) == "fd00:20::5642:58b7"


def test_behind_the_last_address_comes_the_first() -> None:
    found = subnet("10.20.0.0/24", "10.20.0.1")

    # that of e1 is 10.20.0.0, which is no host's, and the next one is the gateway
    assert str(found.choose("default/blue/e1", "web")) == "10.20.0.2"
    # that of this one is 10.20.0.255
    assert str(found.choose("596", "web")) == "10.20.0.3"


@pytest.mark.parametrize(
    ("network", "pool"),
    [("10.20.0.0/24", "10.20.0.128/26"), ("10.20.0.0/24", "10.20.0.0/29"), ("fd00:20::/64", "fd00:20::8000:0/97")],
)
def test_addresses_are_chosen_out_of_the_range_alone(network: str, pool: str) -> None:
    gateway = str(ip_network(network)[1])
    found = Subnet(ip_network(network), ip_address(gateway), "network blue", ip_network(pool))

    for number in range(5):
        address = found.choose(str(number), "web")
        assert address in ip_network(pool)
        assert address not in (ip_network(network)[0], ip_network(network)[1])


def test_a_full_range_is_refused_though_the_subnet_has_more() -> None:
    found = Subnet(ip_network("10.20.0.0/24"), ip_address("10.20.0.1"), "network blue", ip_network("10.20.0.8/31"))
    found.choose("a", "endpoint a")
    found.take(ip_address("10.20.0.77"), "endpoint pinned")
    found.choose("b", "endpoint b")

    with pytest.raises(InvalidRequest) as refused:
        found.choose("c", "endpoint c")
    assert (
        str(refused.value) == "network blue: ip_range 10.20.0.8/31 has no address left for endpoint c;"
        " make it larger, or leave an endpoint out."
    )


def test_a_large_subnet_is_not_walked_through() -> None:
    assert subnet("fd00::/8", "fd00::1").choose("web", "web") in ip_network("fd00::/96")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "10.21.0.1",
            "network blue: address 10.21.0.1 of web is outside the subnet 10.20.0.0/24;"
            " give it one inside, or leave it out.",
        ),
        (
            "fd00::1",
            "network blue: address fd00::1 of web is outside the subnet 10.20.0.0/24;"
            " give it one inside, or leave it out.",
        ),
        (
            "10.20.0.0",
            "network blue: 10.20.0.0, for web, is not a host address of 10.20.0.0/24;"
            " choose one between its first and its last.",
        ),
        (
            "10.20.0.255",
            "network blue: 10.20.0.255, for web, is not a host address of 10.20.0.0/24;"
            " choose one between its first and its last.",
        ),
        (
            "10.20.0.1",
            "network blue: address 10.20.0.1 is used twice: by the gateway and web;"
            " give one of them another, or leave it out.",
        ),
        (
            "10.20.0.9",
            "network blue: address 10.20.0.9 is used twice: by db and web; give one of them another, or leave it out.",
        ),
    ],
)
def test_an_address_that_nobody_can_have_is_refused(address: str, message: str) -> None:
    found = subnet("10.20.0.0/24", "10.20.0.1")
    found.take(ip_address("10.20.0.9"), "db")

    assert not found.is_free(ip_address(address))
    with pytest.raises(InvalidRequest) as refused:
        found.take(ip_address(address), "web")
    assert str(refused.value) == message


@pytest.mark.parametrize(("network", "address"), [("fd00::/64", "fd00::"), ("fd00::/120", "fd00::")])
def test_the_routers_anycast_address_is_for_no_endpoint(network: str, address: str) -> None:
    assert not subnet(network, "fd00::1").is_free(ip_address(address))


def test_the_last_address_of_an_ipv6_subnet_is_one_as_any_other() -> None:
    assert subnet("fd00::/120", "fd00::1").is_free(ip_address("fd00::ff"))


@given(st.data())
def test_addresses_never_meet(data: Any) -> None:
    base, length = int(IPv4Address("10.20.0.0")), data.draw(st.integers(25, 31))
    network = ip_network((base, length))
    hosts = list(network.hosts())
    gateway = data.draw(st.sampled_from(hosts))
    found = Subnet(network, gateway, "network blue")
    held = {gateway}
    for address in data.draw(st.lists(st.sampled_from(hosts), unique=True)):
        assert found.is_free(address) is (address not in held)
        if address not in held and data.draw(st.booleans()):
            found.take(address, "by hand")
        else:
            if len(held) == len(hosts):
                return
            address = found.choose(str(address), "by itself")
            assert address in hosts
            assert address not in held
        held.add(address)
