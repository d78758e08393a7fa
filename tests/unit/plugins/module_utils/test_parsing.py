# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils import parsing as read
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest, PortRange

NAMES = "%s is no name for a namespace; use letters, digits and _ . @ : + -, at most 255."
LABELS = "%s is no name for a network; use letters, digits and _ . -, at most 63."
MACS = "%s is no MAC address; write it like 02:42:0a:14:00:02."
PORTS = "%s is no port; write it like 8080 or 8000-8010."


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (read.link_name, "br-blue.7", "br-blue.7"),
        (read.link_name, "a" * 15, "a" * 15),
        (read.link_name, "br-grün", "br-grün"),
        (read.link_name, "b=r,2@x+y~^", "b=r,2@x+y~^"),
        (read.namespace_name, "web.1@host:x+y-z_", "web.1@host:x+y-z_"),
        (read.namespace_name, "n" * 255, "n" * 255),
        (read.label, "a.b-c_d", "a.b-c_d"),
        (read.label, "x" * 63, "x" * 63),
        (read.label, None, ""),
        (read.label, "", ""),
        (read.pid, 1, 1),
        (read.pid, None, None),
        (read.mtu, 68, 68),
        (read.mtu, 65535, 65535),
        (read.mtu, None, None),
        (read.mac_address, "02-42-0A-14-00-02", "02:42:0a:14:00:02"),
        (read.mac_address, None, None),
        (read.address, "10.20.0.2", ip_address("10.20.0.2")),
        (read.address, "[fd00:0::2]", ip_address("fd00::2")),
        (read.interface, "10.20.0.1/24", ip_interface("10.20.0.1/24")),
        (read.interface, "10.20.0.1/255.255.255.0", ip_interface("10.20.0.1/24")),
        (read.interface, "10.20.0.0/31", ip_interface("10.20.0.0/31")),
        (read.interface, "10.20.0.1/32", ip_interface("10.20.0.1/32")),
        (read.interface, "fd00::1/64", ip_interface("fd00::1/64")),
        (read.interface, "fd00::ffff:ffff:ffff:ffff/64", ip_interface("fd00::ffff:ffff:ffff:ffff/64")),
        (read.interface, "169.254.0.1/16", ip_interface("169.254.0.1/16")),
        (read.interfaces, [], ()),
        (read.interfaces, ["fd00::1/64", "10.0.0.1/8"], (ip_interface("fd00::1/64"), ip_interface("10.0.0.1/8"))),
        (read.network, "10.20.0.0/24", ip_network("10.20.0.0/24")),
        (read.network, "10.20.0.1", ip_network("10.20.0.1/32")),
        (read.network, "0.0.0.0/0", ip_network("0.0.0.0/0")),
        (read.network, "FD00:0::/64", ip_network("fd00::/64")),
        (read.networks, None, ()),
        (read.networks, [], ()),
        (
            read.networks,
            ["fd00::/64", "10.20.1.0/24", "10.20.0.0/24", "10.20.0.128/25", "192.0.2.1"],
            (ip_network("10.20.0.0/23"), ip_network("192.0.2.1/32"), ip_network("fd00::/64")),
        ),
        (read.port_range, 80, PortRange(80, 80)),
        (read.port_range, "65535", PortRange(65535, 65535)),
        (read.port_range, " 80 - 90 ", PortRange(80, 90)),
        (read.port_range, "80:90", PortRange(80, 90)),
        (read.protocol, "TCP", "tcp"),
        (read.protocol, "sctp", "sctp"),
        (read.sysctls, None, ()),
        (
            read.sysctls,
            {
                "net.ipv6.conf.all.forwarding": True,
                "net/ipv4/conf/eth0.7/rp_filter": 2,
                "net.ipv4.tcp_rmem": " 1\t2  3",
            },
            (
                ("net/ipv4/conf/eth0.7/rp_filter", "2"),
                ("net/ipv4/tcp_rmem", "1 2 3"),
                ("net/ipv6/conf/all/forwarding", "1"),
            ),
        ),
    ],
)
def test_good_values_have_one_form(parse: Callable[[str, Any], Any], value: Any, expected: Any) -> None:
    assert parse("opt", value) == expected


@pytest.mark.parametrize(
    ("parse", "value", "message"),
    [
        (read.link_name, "", "'' is no name for an interface."),
        (read.link_name, "..", "'..' is no name for an interface."),
        (read.link_name, "a b", "'a b' is no name for an interface."),
        (read.link_name, "a/b", "'a/b' is no name for an interface."),
        (read.link_name, "a:b", "'a:b' is no name for an interface."),
        (read.link_name, 'a"b', "'a\"b' is no name for an interface."),
        (read.link_name, "a\nb", "'a\\nb' is no name for an interface."),
        (read.link_name, "a\x7f", "'a\\x7f' is no name for an interface."),
        (read.link_name, "eth*", "'eth*' is no name for an interface."),
        (read.link_name, "$(x)", "'$(x)' is no name for an interface."),
        (read.link_name, "-a", "the name of an interface cannot begin with a dash: '-a'."),
        (
            read.link_name,
            "a" * 16,
            "aaaaaaaaaaaaaaaa is too long for the name of an interface: 16 bytes, and the kernel takes 15.",
        ),
        (
            read.link_name,
            "ü" * 8,
            "üüüüüüüü is too long for the name of an interface: 16 bytes, and the kernel takes 15.",
        ),
        (read.namespace_name, "", NAMES % "''"),
        (read.namespace_name, "..", NAMES % "'..'"),
        (read.namespace_name, "-a", NAMES % "'-a'"),
        (read.namespace_name, "a/b", NAMES % "'a/b'"),
        (read.namespace_name, "web\n", NAMES % "'web\\n'"),
        (read.namespace_name, "n" * 256, NAMES % repr("n" * 256)),
        (read.label, ".a", LABELS % "'.a'"),
        (read.label, "a b", LABELS % "'a b'"),
        (read.label, "a\n", LABELS % "'a\\n'"),
        (read.label, "x" * 64, LABELS % repr("x" * 64)),
        (read.pid, 0, "0 is no process."),
        (read.pid, -1, "-1 is no process."),
        (read.mtu, 67, "67 is no MTU; it is a number of bytes from 68 to 65535."),
        (read.mtu, 65536, "65536 is no MTU; it is a number of bytes from 68 to 65535."),
        (read.mac_address, "", MACS % "''"),
        (read.mac_address, "02:42:0a:14:00", MACS % "'02:42:0a:14:00'"),
        (read.mac_address, "02:42:0a:14:00:0g", MACS % "'02:42:0a:14:00:0g'"),
        (read.mac_address, "00:00:00:00:00:00", MACS % "'00:00:00:00:00:00'"),
        (
            read.mac_address,
            "01:00:5e:00:00:01",
            "01:00:5e:00:00:01 is a group address; an interface needs one of its own.",
        ),
        (read.address, "10.20.0.2/24", "'10.20.0.2/24' is no IP address; write it like 10.20.0.2 or fd00:20::2."),
        (read.address, "10.20.0", "'10.20.0' is no IP address; write it like 10.20.0.2 or fd00:20::2."),
        (read.interface, "10.20.0.1", "10.20.0.1 has no prefix length; write it like 10.20.0.1/24."),
        (
            read.interface,
            "10.20.0.1/33",
            "'10.20.0.1/33' is no address with prefix length; write it like 10.20.0.1/24.",
        ),
        (read.interface, "224.0.0.1/24", "an interface cannot have the address 224.0.0.1."),
        (read.interface, "0.0.0.0/24", "an interface cannot have the address 0.0.0.0."),
        (read.interface, "127.0.0.2/8", "an interface cannot have the address 127.0.0.2."),
        (read.interface, "ff02::1/64", "an interface cannot have the address ff02::1."),
        (read.interface, "fe80::1/64", "fe80::1 is link-local; the kernel gives those by itself."),
        (read.interface, "10.20.0.0/24", "10.20.0.0 is the address of the subnet 10.20.0.0/24 itself."),
        (read.interface, "fd00::/64", "fd00:: is the address of the subnet fd00::/64 itself."),
        (read.interface, "10.20.0.255/24", "10.20.0.255 is the broadcast address of 10.20.0.0/24."),
        (read.interfaces, ["10.0.0.1/8", "10.0.0.1/24"], "10.0.0.1 is there twice."),
        (read.network, "10.20.0.1/24", "10.20.0.1/24 has host bits set; did you mean 10.20.0.0/24?"),
        (read.network, "blue", "'blue' is no subnet; write it like 10.20.0.0/24."),
        (read.network, "", "'' is no subnet; write it like 10.20.0.0/24."),
        (read.networks, ["10.0.0.0/8", "x"], "'x' is no subnet; write it like 10.20.0.0/24."),
        (read.port_range, "", PORTS % "''"),
        (read.port_range, "http", PORTS % "'http'"),
        (read.port_range, "80-", PORTS % "'80-'"),
        (read.port_range, 80.5, PORTS % "80.5"),
        (read.port_range, "0", "0 is no port; ports go from 1 to 65535."),
        (read.port_range, "80-65536", "65536 is no port; ports go from 1 to 65535."),
        (read.port_range, "90-80", "the range 90-80 ends before it begins."),
        (read.protocol, "icmp", "'icmp' is none of tcp, udp, sctp."),
        (read.protocol, "", "'' is none of tcp, udp, sctp."),
    ],
)
def test_a_bad_value_gets_one_sentence_with_the_option_and_the_value(
    parse: Callable[[str, Any], Any], value: Any, message: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("opt", value)

    assert str(refused.value) == "opt: " + message


@pytest.mark.parametrize(
    "key", ["kernel.hostname", "net", "net.", "net/../kernel/x", "net//x", "net.ipv4.a b", "x.net.y"]
)
def test_a_key_outside_of_the_network_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read.sysctls("opt", {key: 1})

    assert str(refused.value) == (
        "opt: %r is no key of the network; write it like net.ipv4.ip_forward, and with slashes in place of the dots"
        " when an interface's name has a dot." % key
    )


TEXTS = (
    st.text(max_size=20)
    | st.text("0123456789.:/-[]abcdefx ", max_size=24)
    | st.sampled_from(["10.20.0.0/24", "fd00::/64", "10.20.0.1/24", "02:42:0a:14:00:02", "80-90", "net.ipv4.x"])
)
PARSERS = [
    read.link_name,
    read.namespace_name,
    read.label,
    read.mac_address,
    read.address,
    read.interface,
    read.network,
    read.port_range,
    read.protocol,
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(value=TEXTS)
@example(value="9" * 5000)
@example(value="١٢٣")
@example(value="\0")
@example(value="%s")
def test_any_text_is_a_value_in_its_one_form_or_refused(parse: Callable[[str, Any], Any], value: str) -> None:
    try:
        found = parse("opt", value)
    except InvalidRequest as error:
        assert str(error).startswith("opt: ")
        assert "\n" not in str(error)
    else:
        assert parse("opt", str(found)) == found


@given(st.lists(TEXTS, max_size=3))
def test_any_texts_are_values_or_refused(values: list[str]) -> None:
    for parse in (read.interfaces, read.networks):
        try:
            found = parse("opt", values)
        except InvalidRequest as error:
            assert str(error).startswith("opt: ")
        else:
            assert parse("opt", [str(item) for item in found]) == found


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.booleans(), max_size=3))
def test_any_dictionary_is_sysctls_below_net_or_refused(values: dict[str, Any]) -> None:
    try:
        found = read.sysctls("opt", values)
    except InvalidRequest as error:
        assert str(error).startswith("opt: ")
    else:
        assert all(key.startswith("net/") and ".." not in key for key, unused in found)
        assert not any("\n" in value for unused, value in found)


@given(st.integers())
def test_any_number_is_a_process_or_an_mtu_or_refused(value: int) -> None:
    for parse in (read.pid, read.mtu):
        try:
            assert parse("opt", value) == value
        except InvalidRequest as error:
            assert str(error).startswith("opt: %d is no " % value)
