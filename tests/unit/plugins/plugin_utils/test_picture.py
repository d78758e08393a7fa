# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.dockerless.network.plugins.filter.picture import FilterModule
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils import examples

Facts = dict[str, t.Any]
POLICY = {**examples.POLICY, "subnets": ["10.20.0.0/24"]}


picture = FilterModule().filters()["picture"]


def a_port(host_port: str, container_ip: str, container_port: str, **more: t.Any) -> Facts:
    port = {"host_port": host_port, "container_ip": container_ip, "container_port": container_port, "protocol": "tcp"}
    return {"bridge": "br-blue", "allowed_sources": [], "in_interfaces": [], **port, **more}


def a_masquerade(source: str, **more: t.Any) -> Facts:
    return {"source": source, "out_interface": "!br-blue", "exclude": [], "random_fully": False, **more}


def an_endpoint(name: str | None, *addresses: str, **more: t.Any) -> Facts:
    facts = {"name": name, "netns": name, "interface": "eth0" if name else None, "veth": f"v-blue-{name or '1'}"}
    return {**facts, "network": "blue", "addresses": list(addresses), "isolated": False, "up": True, **more}


def a_network(**more: t.Any) -> Facts:
    facts = {"name": "blue", "network": "blue", "bridge": "br-blue", "present": True, "ours": True, "mtu": 1500}
    lists = {"addresses": ["10.20.0.1/24"], "subnets": ["10.20.0.0/24"], "endpoints": [], "ports": []}
    return {**facts, **lists, "policy": POLICY, "masquerades": [a_masquerade("10.20.0.0/24")], **more}


def what_is_there(*networks: Facts, **more: t.Any) -> Facts:
    """The answer of network_info."""
    forwarding = {"ipv4": True, "ipv6": True, "forward_policy": "unmanaged"}
    lists = {name: [item for network in networks for item in network[name]] for name in ("ports", "masquerades")}
    info = {"networks": list(networks), "namespaces": [], "forwarding": forwarding, "backend": "nftables"}
    return {**info, **lists, "foreign": [], **more}


def drawn(info: Facts) -> str:
    return "\n".join(picture(info, "h1"))


def test_the_whole() -> None:
    blue = a_network(
        addresses=["10.20.0.1/24", "fd00:20::1/64"],
        endpoints=[
            an_endpoint("db", "10.20.0.10/24", names=["db", "db.blue", "sql", "store"]),
            an_endpoint("web", "10.20.0.2/24", "fd00:20::2/64"),
        ],
        ports=[
            a_port("9000", "10.20.0.2", "9000", host_ip="127.0.0.1"),
            a_port("8080", "10.20.0.2", "80"),
            a_port("8080", "fd00:20::2", "80"),
        ],
        masquerades=[a_masquerade("10.20.0.0/24"), a_masquerade("fd00:20::/64")],
    )
    vault = a_network(
        name="vault",
        network="vault",
        bridge="br-vault",
        addresses=["10.22.0.1/24"],
        masquerades=[],
        policy={**POLICY, "internal": True, "icc": False},
        endpoints=[an_endpoint("hsm", "10.22.0.2/24", isolated=True)],
    )
    foreign = ["chain FORWARD of table ip filter (policy drop) drops what our rules accept"]
    limited = {
        "rule": "tcp dport 80 limit rate 9/second drop",
        "table": "table inet mine",
        "chain": "forward",
        "owner": None,
        "handle": 7,
        "number": None,
        "packets": "what comes by eth0 to the published port 8080/tcp (blue)",
        "conditions": ["limit rate 9/second"],
        "advice": "delete it",
    }
    behind = {**limited, "table": "table ip filter", "owner": "Docker", "handle": None, "number": 2, "conditions": []}
    info = what_is_there(blue, vault, foreign=foreign, possible_drops=[limited, behind], more_possible_drops=3)
    assert drawn(info).splitlines() == [
        "h1  forwards IPv4 and IPv6, packet filter nftables",
        "│",
        "├─ blue  bridge br-blue",
        "│  │  gateway   10.20.0.1/24  fd00:20::1/64  mtu 1500",
        "│  │  way out   as the host",
        "│  ├─ db   eth0  10.20.0.10/24",
        "│  │     called     sql, store",
        "│  └─ web  eth0  10.20.0.2/24  fd00:20::2/64",
        "│        published  127.0.0.1:9000 -> 9000/tcp",
        "│        published  *:8080 -> 80/tcp",
        "│",
        "├─ vault  bridge br-vault",
        "│  │  gateway   10.22.0.1/24  mtu 1500",
        "│  │  rules     no way out and no way in",
        "│  │  rules     endpoints do not reach one another",
        "│  └─ hsm  eth0  10.22.0.2/24  (isolated)",
        "│",
        "├─ in the way",
        "│  └─ chain FORWARD of table ip filter (policy drop) drops what our rules accept",
        "│",
        "└─ perhaps in the way",
        '   ├─ "tcp dport 80 limit rate 9/second drop" in chain forward of table inet mine, handle 7, may drop what'
        ' comes by eth0 to the published port 8080/tcp (blue), if its condition "limit rate 9/second" holds; delete it',
        '   ├─ "tcp dport 80 limit rate 9/second drop" in chain forward of table ip filter (Docker), rule 2, may drop'
        " what comes by eth0 to the published port 8080/tcp (blue), unless an earlier rule lets it pass; delete it",
        "   └─ 3 more rules of others may drop packets of our networks",
    ]


def test_rules_that_are_missing_or_altered() -> None:
    lines = drawn(what_is_there(a_network(), altered=["chain inet dockerless guard", "and 3 more"])).splitlines()
    assert lines[-4:] == [
        "│",
        "└─ rules missing or altered  (run the playbook)",
        "   ├─ chain inet dockerless guard",
        "   └─ and 3 more",
    ]


def test_interfaces_that_are_not_there() -> None:
    clause = "eth0, which the masquerade of 10.20.0.0/24 names"
    assert drawn(what_is_there(a_network(), absent_interfaces=[clause])).splitlines()[-2:] == [
        "└─ interfaces that are not there",
        "   └─ " + clause,
    ]


def test_a_bridge_that_has_lost_its_mark() -> None:
    assert "(without its mark; if it is ours: ip link set br-blue group 25708)" in drawn(
        what_is_there(a_network(ours=False, unmarked=True))
    )


def test_an_empty_host() -> None:
    info = what_is_there(forwarding={"ipv4": False, "ipv6": False, "forward_policy": "unmanaged"}, backend=None)
    assert picture(info) == [
        "forwards nothing, no packet filter works",
        "│",
        "└─ no network of this collection",
    ]


def test_a_host_that_forwards_for_us_alone() -> None:
    info = what_is_there(forwarding={"ipv4": True, "ipv6": False, "forward_policy": "drop"})
    assert picture(info, "h1")[0] == "h1  forwards IPv4 for its own networks only, packet filter nftables"


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"present": False}, "└─ blue  bridge br-blue  (not there)"),
        ({"ours": False}, "└─ blue  bridge br-blue  (made by others)"),
        ({"name": "br-blue", "network": ""}, "└─ bridge br-blue"),
        ({"addresses": []}, "   subnets   10.20.0.0/24"),
        ({"masquerades": []}, "   way out   untranslated"),
        ({"policy": None}, "   rules     none"),
        ({"policy": {**POLICY, "host_access": "deny"}}, "   rules     endpoints do not reach the host"),
        ({"policy": {**POLICY, "direct_access": True}}, "   rules     others may route to the endpoints"),
        ({"policy": {**POLICY, "trusted_interfaces": ["wg0"]}}, "   rules     open to what comes in by wg0"),
        (
            {
                "policy": {
                    **POLICY,
                    "allow": [{"from": "0.0.0.0/0", "to": "10.20.0.2/32", "protocol": "tcp", "port": "25"}],
                }
            },
            "   rules     open from anywhere to 10.20.0.2/32, 25/tcp",
        ),
        (
            {"policy": {**POLICY, "allow": [{"from": "192.0.2.0/24", "to": "10.20.0.0/24"}]}},
            "   rules     open from 192.0.2.0/24 to network blue (10.20.0.0/24)",
        ),
        (
            {"masquerades": [a_masquerade("10.20.0.0/24", out_interface="eth0", to_source="192.0.2.7")]},
            "   way out   as 192.0.2.7, by eth0",
        ),
        (
            {
                "masquerades": [
                    a_masquerade("10.20.0.0/24", out_interface="!wg0", exclude=["10.0.0.0/8"], random_fully=True)
                ]
            },
            "   way out   as the host, by any interface but wg0, untranslated to 10.0.0.0/8, from random ports",
        ),
        (
            {"endpoints": [an_endpoint(None, up=False)]},
            "   └─ ?  v-blue-1  (its namespace has no name, down)",
        ),
        (
            {"endpoints": [{**an_endpoint(None), "pid": 7, "interface": "eth0", "addresses": ["10.20.0.2/24"]}]},
            "   └─ process 7  eth0  10.20.0.2/24  (its namespace has no name)",
        ),
        (
            {"ports": [a_port("8080", "10.20.0.9", "80")]},
            "   └─ published  0.0.0.0:8080 -> 10.20.0.9 port 80/tcp  (nobody has this address)",
        ),
    ],
)
def test_a_line_of_a_network(facts: Facts, line: str) -> None:
    text = drawn(what_is_there(a_network(**facts)))
    assert line.strip() in [drawn_line.strip() for drawn_line in text.splitlines()], text


def test_two_ways_out_are_told_apart() -> None:
    ways = [a_masquerade("10.20.0.0/24", to_source="192.0.2.7"), a_masquerade("fd00:20::/64")]
    text = drawn(what_is_there(a_network(masquerades=ways)))
    assert "way out   10.20.0.0/24  as 192.0.2.7\n      way out   fd00:20::/64  as the host" in text


@pytest.mark.parametrize(
    ("ports", "lines"),
    [
        ([a_port("53", "10.20.0.2", "53", protocol="udp")], ["0.0.0.0:53 -> 53/udp"]),
        ([a_port("53", "fd00:20::2", "53")], ["[::]:53 -> 53/tcp"]),
        ([a_port("443", "fd00:20::2", "443", host_ip="2001:db8::1")], ["[2001:db8::1]:443 -> 443/tcp"]),
        ([a_port("1-9", "10.20.0.2", "11-19"), a_port("1-9", "fd00:20::2", "11-19")], ["*:1-9 -> 11-19/tcp"]),
        (
            [a_port("22", "10.20.0.2", "22", allowed_sources=["192.0.2.0/24"], in_interfaces=["eth1"])],
            ["0.0.0.0:22 -> 22/tcp  for 192.0.2.0/24 only  by eth1 only"],
        ),
        (
            [a_port("22", "10.20.0.2", "22", allowed_sources=["192.0.2.0/24"]), a_port("22", "fd00:20::2", "22")],
            ["0.0.0.0:22 -> 22/tcp  for 192.0.2.0/24 only", "[::]:22 -> 22/tcp"],
        ),
    ],
)
def test_published_ports(ports: list[Facts], lines: list[str]) -> None:
    web = an_endpoint("web", "10.20.0.2/24", "fd00:20::2/64")
    text = drawn(what_is_there(a_network(endpoints=[web], ports=ports)))
    assert text.splitlines()[-len(lines) :] == [f"         published  {line}" for line in lines]


def test_what_is_on_no_bridge_is_drawn_too() -> None:
    info = what_is_there(
        namespaces=[{"name": "lab", "network": "", "ours": True}],
        ports=[a_port("8080", "10.30.0.2", "80", bridge="v-lab")],
        masquerades=[a_masquerade("10.30.0.0/30", out_interface="eth0")],
    )
    assert picture(info)[2:] == [
        "└─ on no bridge",
        "   ├─ namespace lab",
        "   ├─ published  0.0.0.0:8080 -> 10.30.0.2 port 80/tcp",
        "   └─ way out  10.30.0.0/30  as the host, by eth0",
    ]


def test_the_filter_says_what_it_draws() -> None:
    assert picture(what_is_there(), "h1")[0].startswith("h1  ")
    with pytest.raises(AnsibleFilterError, match=r"network_info returned"):
        picture({"stdout": "no such thing"})
