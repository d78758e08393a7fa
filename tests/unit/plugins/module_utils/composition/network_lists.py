# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of networks that the role can carry out, and lists that grow out of them, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Facts = dict[str, Any]

NETWORKS = ("blue", "red", "green.net", "a-rather-long-network-name")
# Some of these share the first letters, which the names of veth pairs have room for.
ENDPOINTS = ("web", "cache-1", "cache-2", "endpoint-of-a-long-name-1", "endpoint-of-a-long-name-2")


@st.composite
def network_lists(draw: Any, with_pids: bool = False) -> list[Facts]:
    """Up to three networks with up to four endpoints each; an endpoint's name may be in several of them."""
    names = draw(st.lists(st.sampled_from(NETWORKS), unique=True, max_size=3))
    return [draw(_network(name, with_pids)) for name in names]


@st.composite
def successors(draw: Any, networks: list[Facts]) -> list[Facts]:
    """A list as a person changes it over time: networks come and go, in another order; the rest stays as it was."""
    kept = [network for network in networks if draw(st.integers(0, 3))]
    names = [network["name"] for network in networks]
    added = draw(
        st.lists(st.sampled_from([n for n in NETWORKS if n not in names] or NETWORKS), unique=True, max_size=1)
    )
    result = [draw(_successor(network)) for network in kept]
    result += [draw(_network(name, False)) for name in added if name not in names]
    return list(draw(st.permutations(result)))


@st.composite
def _network(draw: Any, name: str, with_pids: bool) -> Facts:
    number = 1 + NETWORKS.index(name)
    subnets = draw(
        st.sampled_from(
            [
                ["10.20.%d.0/24" % number],
                ["10.20.%d.8/29" % number],
                ["fd00:20:%d::/64" % number],
                ["10.20.%d.0/24" % number, "fd00:20:%d::/125" % number],
                ["fd00:20:%d::/64" % number, "10.20.%d.64/29" % number],
            ]
        )
    )
    names = draw(st.lists(st.sampled_from(ENDPOINTS), unique=True, max_size=4))
    network: Facts = {
        "name": name,
        "bridge": "br%d" % number,
        "subnets": subnets,
        "internal": draw(st.booleans()),
        "icc": draw(st.booleans()),
        "masquerade": draw(st.sampled_from([True, False, {"out_interface": "eth9"}, {"random_fully": True}])),
        "endpoints": [draw(_endpoint(number, endpoint, subnets, with_pids)) for endpoint in names],
    }
    for option in draw(st.sets(st.sampled_from(["bridge", "internal", "icc", "masquerade"]))):
        if option != "bridge" or len(name) <= 12:
            del network[option]  # its default
    return network


@st.composite
def _endpoint(draw: Any, number: int, name: str, subnets: list[str], with_pids: bool) -> Facts:
    index = ENDPOINTS.index(name)
    endpoint: Facts = {"name": name}
    if with_pids and draw(st.booleans()):
        endpoint["pid"] = 1000 + index
    elif draw(st.booleans()):
        endpoint["netns"] = "ns-%s" % name
    if not draw(st.integers(0, 3)):
        # every endpoint of a list has a number of its own, so what is given never meets
        endpoint["addresses"] = [_address(subnet, 1 + index) for subnet in subnets[: draw(st.integers(1, 2))]]
    if not draw(st.integers(0, 5)):
        endpoint["interface"] = "net%d" % number
    first = 10000 + 1000 * number + 100 * index
    endpoint["publish"] = draw(
        st.lists(
            st.sampled_from(
                [
                    "%d:80" % first,
                    "%d:53/udp" % (first + 1),
                    "%d-%d:7000-7003" % (first + 10, first + 13),
                    "%d-%d:22" % (first + 20, first + 21),
                    {
                        "host_port": first + 30,
                        "container_port": 443,
                        "allowed_sources": ["192.0.2.0/24", "2001:db8::/32"],
                    },
                    "8443",
                ]
            ),
            unique_by=str,
            max_size=3,
        )
    )
    return endpoint


@st.composite
def _successor(draw: Any, network: Facts) -> Facts:
    kept = [endpoint for endpoint in network["endpoints"] if draw(st.integers(0, 3))]
    names = {endpoint["name"] for endpoint in network["endpoints"]}
    number = 1 + NETWORKS.index(network["name"])
    others = [name for name in ENDPOINTS if name not in names][: max(0, 5 - len(kept))]
    added = draw(st.lists(st.sampled_from(others), unique=True, max_size=2)) if others else []
    new = [draw(_endpoint(number, name, network["subnets"], False)) for name in added[: 5 - len(kept)]]
    return dict(network, endpoints=list(draw(st.permutations(kept + new))))


def _address(subnet: str, number: int) -> str:
    """The address of this number behind the gateway."""
    network = subnet.partition("/")[0]
    if ":" in network:
        return "%s%x" % (network, 1 + number)
    head, unused, last = network.rpartition(".")
    return "%s.%d" % (head, int(last) + 1 + number)
