# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition.networks import mac_address, veth_name
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.role_host import KINDS, compose
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.tries import tries

Facts = dict[str, Any]


def blue(*endpoints: Facts, **options: Any) -> Facts:
    return {"name": "blue", "subnets": ["10.20.0.0/29", "fd00:20::/64"], "endpoints": list(endpoints), **options}


def red(**options: Any) -> Facts:
    return {"name": "red", "subnets": ["10.21.0.0/24"], **options}


def web(**options: Any) -> Facts:
    return {"name": "web", **options}


def asked_for(networks: list[Facts]) -> dict[str, list[Any]]:
    """The requests to the modules, in their own words."""
    present = compose(networks, {})["present"]
    return {name: [KINDS[name].parse(item) for item in items] for name, items in present.items()}


# ---- what cannot be


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([{}], "networks, item 1: the option name is missing."),
        ([{"name": ""}], "networks, item 1: the option name is missing."),
        (
            [{"name": "b/d"}],
            "name: 'b/d' is not a valid network name; use letters, digits and _ . -, at most 63 of them, with a letter"
            " or digit first.",
        ),
        (
            [{"name": "x" * 64}],
            "name: %r is not a valid network name; use letters, digits and _ . -, at most 63 of them, with a letter or"
            " digit first." % ("x" * 64),
        ),
        (
            [{"name": "a-long-network"}],
            "network a-long-network: the name of its bridge, br-a-long-network, would be too long (17 bytes, and the"
            " kernel takes 15); give a shorter one with the option bridge.",
        ),
        (
            [blue(bridge="a b")],
            "network blue: bridge: 'a b' is not a valid interface name;"
            " use letters, digits, dots, dashes and underscores.",
        ),
        (
            [blue(bridge="a-long-interface")],
            "network blue: bridge: a-long-interface is too long for the name of an interface: it has 16 bytes, and the"
            " kernel takes 15.",
        ),
        (
            [blue(subnets=["10.20.0.0/33"])],
            "network blue: subnets: '10.20.0.0/33' is not a valid subnet; write it like 10.20.0.0/24.",
        ),
        (
            [blue(subnets=["10.20.0.1/24"])],
            "network blue: subnets: 10.20.0.1/24 has host bits set; did you mean 10.20.0.0/24?",
        ),
        (
            [blue(subnets=["10.20.0.0/24", "10.21.0.0/24"])],
            "network blue: two subnets of IPv4, 10.20.0.0/24 and 10.21.0.0/24; a network takes one of each family.",
        ),
        (
            [blue(subnets=["10.20.0.1/32"])],
            "network blue: subnet 10.20.0.1/32 has room for one address only; give it a shorter prefix length.",
        ),
        (
            [blue(subnets=["fd00::1/128"])],
            "network blue: subnet fd00::1/128 has room for one address only; give it a shorter prefix length.",
        ),
        (
            [blue(gateways=["x"])],
            "network blue: gateways: 'x' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2.",
        ),
        ([red(gateways=["fd00::1"])], "network red: gateway fd00::1 has no subnet of its family."),
        (
            [red(gateways=["10.22.0.1"])],
            "network red: address 10.22.0.1 of the gateway is outside the subnet 10.21.0.0/24;"
            " give it one inside, or leave it out.",
        ),
        (
            [red(gateways=["10.21.0.255"])],
            "network red: 10.21.0.255, for the gateway, is not a host address of 10.21.0.0/24; choose one"
            " between its first and its last.",
        ),
        (
            [red(gateways=["10.21.0.1", "10.21.0.2"])],
            "network red: two gateways of IPv4, 10.21.0.1 and 10.21.0.2; a network takes one of each family.",
        ),
        (
            [blue(ip_range=["10.21.0.0/30"])],
            "network blue: ip_range 10.21.0.0/30 is not inside the subnet 10.20.0.0/29; choose a part of it.",
        ),
        (
            [blue(ip_range=["10.20.0.0/24"])],
            "network blue: ip_range 10.20.0.0/24 is not inside the subnet 10.20.0.0/29; choose a part of it.",
        ),
        (
            [blue(ip_range=["10.20.0.0/30", "10.20.0.4/30"])],
            "network blue: two ip_ranges of IPv4, 10.20.0.0/30 and 10.20.0.4/30; a network takes one of each family.",
        ),
        ([red(ip_range=["fd00:20::/112"])], "network red: ip_range fd00:20::/112 has no subnet of its family."),
        (
            [blue({"name": "a"}, {"name": "b"}, {"name": "c"}, ip_range=["10.20.0.4/31"])],
            "network blue: ip_range 10.20.0.4/31 has no address left for endpoint c;"
            " make it larger, or leave an endpoint out.",
        ),
        ([blue({})], "network blue: endpoints, item 1: the option name is missing."),
        ([blue({"name": ""})], "network blue: endpoints, item 1: the option name is missing."),
        (
            [blue({"name": "a/b"})],
            "network blue: endpoint a/b: netns: 'a/b' is not a valid namespace name; use letters, digits and _ . @ :"
            " + -, at most 255 of them, with no"
            " - first.",
        ),
        (
            [blue(web(publish=["0:80"]))],
            "network blue: endpoint web: publish: 0 is not a valid port; ports go from 1 to 65535.",
        ),
        ([blue(web(pid=0))], "network blue: endpoint web: pid: 0 is not a process ID; those begin at 1."),
        (
            [blue(web(pid=7, netns="web"))],
            "network blue: endpoint web lives in a namespace by name or by pid, not both.",
        ),
        (
            [blue(web(pid=7, sysctls={"net.ipv4.ip_forward": 1}))],
            "network blue: endpoint web: sysctls are those of a namespace with a name, and this one is known by its"
            " pid; give it a name with the module netns, and set netns to that.",
        ),
        (
            [blue(web(sysctls={"kernel.panic": 1}))],
            "network blue: endpoint web: sysctls: 'kernel.panic' is not a network key; write it like"
            " net.ipv4.ip_forward, and with slashes in place of the dots when an interface's name has a dot.",
        ),
        (
            [blue(web(sysctls={"net.core.somaxconn": 1})), red(endpoints=[web(sysctls={"net.core.somaxconn": 2})])],
            "network red: endpoint web: sysctls: net/core/somaxconn is 2 there and 1 in another network, and both are"
            " in namespace web; give it one value.",
        ),
        (
            [blue(web(publish=["\uff18\uff10:80"]))],
            "network blue: endpoint web: publish: '\uff18\uff10' is not a valid IP address; write it like 10.20.0.2 or"
            " fd00:20::2.",
        ),
        (
            [{"name": "blue", "subnets": ["::ffff:10.0.0.0/104"]}],
            # Python 3.13 and newer spell it ::ffff:10.0.0.0
            f"network blue: subnets: {ip_network('::ffff:10.0.0.0/104')} is no subnet for hosts, since ::ffff:0:0/96"
            " stands for IPv4 addresses; choose a private one, such as 10.20.0.0/24 or fd00:20::/64.",
        ),
        *(
            (
                [blue({"name": name, "netns": "web"})],
                f"network blue: endpoints: name: the text {shown} cannot be the name of an endpoint; write a line of at"
                " most 255 letters.",
            )
            for name, shown in (
                ("a\nb", r"'a\nb'"),
                ("a\0b", r"'a\x00b'"),
                ("\ud800", r"'\ud800'"),
                ("x" * 256, f"'{'x' * 60}…'"),
            )
        ),
        (
            [blue({"name": "a\nb", "pid": "one"})],
            "network blue: endpoints, item 1: pid: got the text 'one'; write a whole number.",
        ),
        (
            [blue(web(), web())],
            "network blue: endpoint web is in the list twice; write it once, or give the other another name.",
        ),
        (
            [blue(web(netns="one"), web(netns="two"))],
            "network blue: endpoint web is in the list twice; write it once, or give the other another name.",
        ),
        (
            [blue(web(mac_address="02:00:00:00:00:01"), {"name": "db", "mac_address": "02-00-00-00-00-01"})],
            "network blue: MAC address 02:00:00:00:00:01 is used twice: by endpoint web and endpoint db;"
            " give one of them another, or leave it out.",
        ),
        (
            [blue(web(mac_address="02:42:0a:14:00:03"), {"name": "db", "addresses": ["10.20.0.3"]})],
            "network blue: MAC address 02:42:0a:14:00:03 is used twice: by endpoint web and endpoint db (from its"
            " address); give one of them another, or leave it out.",
        ),
        (
            [blue(web(netns="ns"), {"name": "ns"})],
            "network blue: endpoints web and ns would both live in namespace ns;"
            " give one of them another netns or pid.",
        ),
        (
            [blue(web(pid=7), {"name": "ns", "pid": 7})],
            "network blue: endpoints web and ns would both live in the namespace of process 7;"
            " give one of them another netns or pid.",
        ),
        (
            [blue(web(addresses=["10.21.0.2"]))],
            "network blue: address 10.21.0.2 of endpoint web is outside the subnet 10.20.0.0/29;"
            " give it one inside, or leave it out.",
        ),
        (
            [blue(web(addresses=["10.20.0.0"]))],
            "network blue: 10.20.0.0, for endpoint web, is not a host address of 10.20.0.0/29; choose one"
            " between its first and its last.",
        ),
        (
            [blue(web(addresses=["10.20.0.1"]))],
            "network blue: address 10.20.0.1 is used twice: by the gateway and endpoint web;"
            " give one of them another, or leave it out.",
        ),
        (
            [blue(web(addresses=["10.20.0.2"]), {"name": "db", "addresses": ["10.20.0.2/29"]})],
            "network blue: address 10.20.0.2 is used twice: by endpoint web and endpoint db;"
            " give one of them another, or leave it out.",
        ),
        (
            [red(endpoints=[web(addresses=["fd00::2"])])],
            "network red: address fd00::2 of endpoint web is of a family that the network has no subnet of; add one,"
            " or leave the address out.",
        ),
        (
            [red(endpoints=[web(addresses=["ten"])])],
            "network red: endpoint web: addresses: 'ten' is not a valid IP address; write it like 10.20.0.2 or"
            " fd00:20::2.",
        ),
        (
            [blue(*({"name": "e%d" % number} for number in range(6)))],
            "network blue: subnet 10.20.0.0/29 has no address left for endpoint e5;"
            " make it larger, or leave an endpoint out.",
        ),
        (
            [blue(web(interface="a/b"))],
            "network blue: endpoint web: interface: 'a/b' is not a valid interface name;"
            " use letters, digits, dots, dashes and underscores.",
        ),
        (
            [blue(web(interface="eth7")), red(endpoints=[web(interface="eth7")])],
            "network red: interface eth7 of endpoint web is taken by network blue; give it another interface, or leave"
            " it out.",
        ),
        ([red(), red()], "Network red is in the list twice; write it once, with all of its endpoints."),
        (
            [blue(bridge="br0"), red(bridge="br0")],
            "Networks blue and red have the same bridge br0; give one of them another bridge.",
        ),
        (
            [blue(), red(subnets=["10.20.0.0/16"])],
            "Networks blue and red overlap: 10.20.0.0/29 and 10.20.0.0/16; give one of them another subnet.",
        ),
        (
            [{"name": "bare", "endpoints": [web(publish=["[fd00::1]:80:80"])]}],
            "network bare: endpoint web cannot publish [fd00::1]:80:80: it has no address of that family; give it"
            " one, or publish on another address.",
        ),
        (
            [red(endpoints=[web(publish=["[fd00::1]:80:80"])])],
            "network red: endpoint web cannot publish [fd00::1]:80:80: it has no address of that family; give it"
            " one, or publish on another address.",
        ),
        (
            [blue(web(publish=["8080", "8080"]))],
            "network blue: endpoint web: publish: port 8080/tcp is listed twice without a port of the host; leave one"
            " out, or give each a port of the host.",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(networks: list[Facts], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        compose(networks, {})

    assert str(refused.value) == message


TEXTS = st.text(max_size=5) | st.sampled_from(
    ["web", "eth0", "10.20.0.0/24", "10.20.0.5", "fd00::2", "fd00::/64", "80", "80:80", "x" * 70, "-", "٣", "false"]
)
SCALARS = st.none() | st.booleans() | st.integers(-1, 70000) | st.floats(allow_nan=False) | TEXTS
NAMES = ["out_interface", "exclude", "to_source", "host_port", "container_port", "protocol", "host_ip", "to", "x"]
ANYTHING = st.recursive(
    SCALARS, lambda some: st.lists(some, max_size=2) | st.dictionaries(st.sampled_from(NAMES), some, max_size=3)
)


def _dicts(sensible: dict[str, Any], *others: str) -> st.SearchStrategy[Facts]:
    """Options that make sense, some of them in part."""
    options = {name: st.just(value) | ANYTHING for name, value in sensible.items()}
    return st.fixed_dictionaries(options, optional={name: ANYTHING for name in others})


ENDPOINTS = _dicts({"name": "web"}, "netns", "pid", "interface", "addresses", "mac_address", "publish")
LISTS = st.lists(
    _dicts({"name": "blue", "subnets": ["10.20.0.0/24"]}, "bridge", "gateways", "mtu", "internal", "icc", "masquerade")
    | st.fixed_dictionaries(
        {"name": st.just("blue"), "subnets": st.just(["10.20.0.0/24"]), "endpoints": st.lists(ENDPOINTS, max_size=2)},
        optional={
            "allow": ANYTHING,
            "trusted_interfaces": ANYTHING,
            "host_access": ANYTHING,
            "direct_access": ANYTHING,
        },
    ),
    max_size=2,
)


@settings(max_examples=tries(60))
@given(LISTS)
def test_any_list_leads_to_arguments_that_the_modules_can_read_or_is_refused_in_a_sentence(
    networks: list[Facts],
) -> None:
    try:
        asked_for(networks)
    except InvalidRequest as error:
        assert str(error).endswith((".", "?"))


@pytest.mark.parametrize(
    ("networks", "seen"),
    [
        ([{"name": 5, "subnets": ["10.20.0.0/24"]}], ("br-5", [])),
        ([{"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": 1}]}], ("br-blue", ["1"])),
        ([{"name": "blue", "subnets": "10.20.0.0/24", "endpoints": [{"name": "web"}]}], ("br-blue", ["web"])),
    ],
)
def test_what_ansible_takes_for_a_text_or_a_list_is_one(networks: list[Facts], seen: tuple[str, list[str]]) -> None:
    present = compose(networks, {})["present"]

    assert (present["bridge"][0]["name"], [item["name"] for item in present["netns"]]) == seen
    assert present["bridge_firewall"][0]["subnets"] == ["10.20.0.0/24"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        # what comes out of a template is a text
        ({"internal": "no"}, {"internal": False}),
        ({"internal": "yes"}, {"internal": True}),
        ({"icc": "false"}, {"icc": False}),
        ({"icc": "True"}, {"icc": True}),
        ({"direct_access": "no"}, {"direct_access": False}),
        ({"direct_access": "on"}, {"direct_access": True}),
        ({"mtu": "1400"}, {"mtu": 1400}),
        ({"trusted_interfaces": "wg0"}, {"trusted_interfaces": ["wg0"]}),
        ({"gateways": "10.20.0.6"}, {"gateways": ["10.20.0.6"]}),
        ({"masquerade": {"random_fully": "no"}}, {"masquerade": {"random_fully": False}}),
        ({"masquerade": {"exclude": "10.0.0.0/8"}}, {"masquerade": {"exclude": ["10.0.0.0/8"]}}),
    ],
)
def test_flags_numbers_and_lists_are_read_as_ansible_reads_them(said: Facts, meant: Facts) -> None:
    assert asked_for([blue(web(), **said)]) == asked_for([blue(web(), **meant)])


def test_a_pid_may_be_a_text() -> None:
    assert asked_for([blue(web(pid="42"))]) == asked_for([blue(web(pid=42))])


@pytest.mark.parametrize(
    "options", [{"host_access": "denied"}, {"icc": "perhaps"}, {"allow": [{"from": "10.0.0.0/8"}]}]
)
def test_what_would_open_a_network_by_mistake_is_refused(options: Facts) -> None:
    with pytest.raises(InvalidRequest):
        asked_for([blue(**options)])


@pytest.mark.parametrize("masquerade", [{"exlude": ["10.0.0.0/8"]}, "maybe", ["eth0"], 7])
def test_a_masquerade_that_says_nothing_known_is_refused(masquerade: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^network blue: masquerade"):
        compose([blue(masquerade=masquerade)], {})


@pytest.mark.parametrize(("masquerade", "number"), [("no", 0), ("false", 0), ("False", 0), ("yes", 2), ("True", 2)])
def test_a_masquerade_is_on_or_off_in_every_spelling_of_ansible(masquerade: str, number: int) -> None:
    # what a template gives is a text
    assert len(compose([blue(masquerade=masquerade)], {})["present"]["nat_masquerade"]) == number


# ---- what is decided


def test_interfaces_are_numbered_around_given_names() -> None:
    networks = [
        red(endpoints=[web(interface="eth1"), {"name": "db"}]),
        blue(web(), {"name": "db", "interface": "lan"}),
        {"name": "third", "endpoints": [web()]},
    ]

    veths = compose(networks, {})["present"]["veth"]

    assert [(veth["peer"]["netns"], veth["peer"]["name"]) for veth in veths] == [
        ("web", "eth1"),
        ("db", "eth0"),
        ("web", "eth0"),
        ("db", "lan"),
        ("web", "eth2"),
    ]


def test_interfaces_of_a_process_namespace_are_counted_apart() -> None:
    networks = [red(endpoints=[web(pid=7), {"name": "db", "pid": 8}]), blue(web(pid=7))]

    veths = compose(networks, {})["present"]["veth"]

    assert [(veth["peer"]["pid"], veth["peer"]["name"]) for veth in veths] == [(7, "eth0"), (8, "eth0"), (7, "eth1")]


@pytest.mark.parametrize(
    ("network", "endpoint", "name"),
    [
        ("blue", "web", "v-blue-web"),
        ("blue", "cache_10", "v-blue-cache_10"),
        ("b", "0123456789a", "v-b-0123456789a"),
    ],
)
def test_the_name_of_a_veth_pair_is_readable_where_it_fits(network: str, endpoint: str, name: str) -> None:
    assert veth_name(network, endpoint) == name


@pytest.mark.parametrize(
    ("network", "endpoint"),
    [
        ("b", "0123456789ab"),
        ("blue", "a-b"),
        ("a-b", "web"),
        ("b.d", "web"),
        ("blue", "ü"),
        ("blue", "x" * 250),
        ("b", ""),
    ],
)
def test_the_name_of_a_veth_pair_is_a_hash_where_it_does_not_fit(network: str, endpoint: str) -> None:
    name = veth_name(network, endpoint)

    assert len(name.encode()) <= 15
    assert name.isascii()
    assert name.startswith("v-")
    assert name != veth_name(network + "x", endpoint)
    assert name != veth_name(network, endpoint + "x")


def test_the_name_of_a_veth_pair_tells_where_the_network_ends() -> None:
    assert veth_name("a-b", "c") != veth_name("a", "b-c")


@pytest.mark.parametrize(
    ("addresses", "mac"),
    [
        (["10.20.0.2/24"], "02:42:0a:14:00:02"),
        (["10.20.0.2/24", "fd00::2/64"], "02:42:0a:14:00:02"),
        (["fd00:20::2/64"], "02:42:c5:59:09:08"),
    ],
)
def test_a_mac_address_follows_from_the_first_address(addresses: list[str], mac: str) -> None:
    assert mac_address([ip_interface(address) for address in addresses]) == mac
