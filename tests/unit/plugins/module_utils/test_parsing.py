# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils import parsing
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest, PortRange

NAMES = "%s is not a valid namespace name; use letters, digits and _ . @ : + -, at most 255 of them, with no - first."
LABELS = (
    "%s is not a valid network name; use letters, digits and _ . -, at most 63 of them, with a letter or digit first."
)
MACS = "%s is not a valid MAC address; write it like 02:42:0a:14:00:02."
PORTS = "%s is not a valid port; write it like 8080 or 8000-8010."
ZEROS = "%r has a number that begins with a zero, which not everybody reads alike; write %s instead of %s."
SHORTENED = "%s has no prefix length; add that of the subnet, or write %s if that one address is meant."
ZONES = "%s has a zone ID; write the address without what begins at the %%."
BOOLEANS = "got the boolean %s, which is what YAML makes of an unquoted %s; write it in quotes."
SEXAGESIMAL = (
    'got the number %d, which is what YAML makes of an unquoted address of decimal digits; write it in quotes, "%s".'
)
PAIRS = 'the number %d is also what YAML makes of an unquoted %s; write it in quotes, "%d" or "%s".'


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (parsing.link_name, "br-blue.7", "br-blue.7"),
        (parsing.link_name, "a" * 15, "a" * 15),
        (parsing.link_name, "br-grün", "br-grün"),
        (parsing.link_name, "b=r,2@x+y~^", "b=r,2@x+y~^"),
        (parsing.namespace_name, "web.1@host:x+y-z_", "web.1@host:x+y-z_"),
        (parsing.namespace_name, "n" * 255, "n" * 255),
        (parsing.label, "a.b-c_d", "a.b-c_d"),
        (parsing.label, "x" * 63, "x" * 63),
        (parsing.label, None, ""),
        (parsing.label, "", ""),
        (parsing.pid, 1, 1),
        (parsing.pid, None, None),
        (parsing.mtu, 68, 68),
        (parsing.mtu, 65535, 65535),
        (parsing.mtu, None, None),
        (parsing.mac_address, "02-42-0A-14-00-02", "02:42:0a:14:00:02"),
        (parsing.mac_address, None, None),
        (parsing.address, "10.20.0.2", ip_address("10.20.0.2")),
        (parsing.address, "[fd00:0::2]", ip_address("fd00::2")),
        (parsing.interface, "10.20.0.1/24", ip_interface("10.20.0.1/24")),
        (parsing.interface, "10.20.0.1/255.255.255.0", ip_interface("10.20.0.1/24")),
        (parsing.interface, "10.20.0.0/31", ip_interface("10.20.0.0/31")),
        (parsing.interface, "10.20.0.1/32", ip_interface("10.20.0.1/32")),
        (parsing.interface, "fd00::1/64", ip_interface("fd00::1/64")),
        (parsing.interface, "fd00::ffff:ffff:ffff:ffff/64", ip_interface("fd00::ffff:ffff:ffff:ffff/64")),
        (parsing.interface, "169.254.0.1/16", ip_interface("169.254.0.1/16")),
        (parsing.interfaces, [], ()),
        (parsing.interfaces, ["fd00::1/64", "10.0.0.1/8"], (ip_interface("fd00::1/64"), ip_interface("10.0.0.1/8"))),
        (parsing.name_server, "FE80::1%eth0", ip_address("fe80::1%eth0")),
        (parsing.address_of_host, "[::]", ip_address("::")),
        (parsing.address_of_host, "127.0.0.1", ip_address("127.0.0.1")),
        (parsing.source_address, "192.0.2.1", ip_address("192.0.2.1")),
        (parsing.name_server, "192.0.2.1", ip_address("192.0.2.1")),
        (parsing.network, "10.20.0.0/24", ip_network("10.20.0.0/24")),
        (parsing.network, "10.20.0.1", ip_network("10.20.0.1/32")),
        (parsing.network, "0.0.0.0/0", ip_network("0.0.0.0/0")),
        (parsing.network, "FD00:0::/64", ip_network("fd00::/64")),
        (parsing.subnet, "10.20.0.0/24", ip_network("10.20.0.0/24")),
        (parsing.subnet, "10.20.0.1/32", ip_network("10.20.0.1/32")),
        (parsing.subnets, ["10.20.1.0/24", "10.20.0.0/24"], (ip_network("10.20.0.0/23"),)),
        (parsing.networks, None, ()),
        (parsing.networks, [], ()),
        (
            parsing.networks,
            ["fd00::/64", "10.20.1.0/24", "10.20.0.0/24", "10.20.0.128/25", "192.0.2.1"],
            (ip_network("10.20.0.0/23"), ip_network("192.0.2.1/32"), ip_network("fd00::/64")),
        ),
        (parsing.port_range, 80, PortRange(80, 80)),
        (parsing.port_range, "65535", PortRange(65535, 65535)),
        (parsing.port_range, " 80 - 90 ", PortRange(80, 90)),
        (parsing.port_range, "80:90", PortRange(80, 90)),
        # what YAML makes of an unquoted name that can only mean one thing
        (parsing.link_name, 7, "7"),
        (parsing.link_name, "lo", "lo"),  # to come in by
        (parsing.namespace_name, 1, "1"),
        (parsing.label, 10, "10"),
        (parsing.short_syntax, "22:22", "22:22"),
        (parsing.short_syntax, 59, "59"),
        (parsing.short_syntax, 3600, "3600"),
        (parsing.protocol, "TCP", "tcp"),
        (parsing.protocol, "sctp", "sctp"),
        (parsing.sysctls, None, ()),
        (
            parsing.sysctls,
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
        (parsing.link_name, "", "'' is not a valid interface name; use letters, digits, dots, dashes and underscores."),
        (
            parsing.link_name,
            "..",
            "'..' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            "a b",
            "'a b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            "a/b",
            "'a/b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            "a:b",
            "'a:b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            'a"b',
            "'a\"b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            "a\nb",
            "'a\\nb' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            "a\x7f",
            "'a\\x7f' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            "eth*",
            "'eth*' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (
            parsing.link_name,
            "$(x)",
            "'$(x)' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (parsing.new_link_name, "all", "no interface can be called all, since the kernel has settings by that name."),
        (
            parsing.new_link_name,
            "default",
            "no interface can be called default, since the kernel has settings by that name.",
        ),
        (parsing.new_link_name, "lo", "lo is the loopback interface; choose another name."),
        (parsing.link_name, "-a", "the name of an interface cannot begin with a dash: '-a'."),
        (
            parsing.link_name,
            "a" * 16,
            "aaaaaaaaaaaaaaaa is too long for the name of an interface: it has 16 bytes, and the kernel takes 15.",
        ),
        (
            parsing.link_name,
            "ü" * 8,
            "üüüüüüüü is too long for the name of an interface: it has 16 bytes, and the kernel takes 15.",
        ),
        (parsing.namespace_name, "", NAMES % "''"),
        (parsing.namespace_name, "..", NAMES % "'..'"),
        (parsing.namespace_name, "-a", NAMES % "'-a'"),
        (parsing.namespace_name, "a/b", NAMES % "'a/b'"),
        (parsing.namespace_name, "web\n", NAMES % "'web\\n'"),
        (parsing.namespace_name, "n" * 256, NAMES % repr("n" * 256)),
        (parsing.label, ".a", LABELS % "'.a'"),
        (parsing.label, "a b", LABELS % "'a b'"),
        (parsing.label, "a\n", LABELS % "'a\\n'"),
        (parsing.label, "x" * 64, LABELS % repr("x" * 64)),
        (parsing.pid, 0, "0 is not a process ID; those begin at 1."),
        (parsing.pid, -1, "-1 is not a process ID; those begin at 1."),
        (parsing.mtu, 67, "67 is not a valid MTU; write a number of bytes from 68 to 65535."),
        (parsing.mtu, 65536, "65536 is not a valid MTU; write a number of bytes from 68 to 65535."),
        (parsing.mac_address, "", MACS % "''"),
        (parsing.mac_address, "02:42:0a:14:00", MACS % "'02:42:0a:14:00'"),
        (parsing.mac_address, "02:42:0a:14:00:0g", MACS % "'02:42:0a:14:00:0g'"),
        (parsing.mac_address, "00:00:00:00:00:00", MACS % "'00:00:00:00:00:00'"),
        (
            parsing.mac_address,
            "01:00:5e:00:00:01",
            "01:00:5e:00:00:01 is a group address; an interface needs one of its own.",
        ),
        (
            parsing.address,
            "10.20.0.2/24",
            "'10.20.0.2/24' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2.",
        ),
        (parsing.address, "10.20.0", "'10.20.0' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2."),
        (parsing.interface, "10.20.0.1", "10.20.0.1 has no prefix length; write 10.20.0.1/24."),
        (
            parsing.interface,
            "10.20.0.1/33",
            "'10.20.0.1/33' is not a valid address with a prefix length; write it like 10.20.0.1/24.",
        ),
        (parsing.interface, "224.0.0.1/24", "an interface cannot have the address 224.0.0.1."),
        (parsing.interface, "0.0.0.0/24", "an interface cannot have the address 0.0.0.0."),
        *(
            (
                parsing.subnet,
                subnet,
                f"{ip_network(subnet)} is no subnet for hosts, since {why}; choose a private one, such as"
                " 10.20.0.0/24 or fd00:20::/64.",
            )
            for subnet, why in (
                ("0.0.0.0/24", "0.0.0.0/8 stands for no host"),
                ("0.0.0.0/0", "0.0.0.0/8 stands for no host"),
                ("127.0.0.0/24", "127.0.0.0/8 is the loopback of every host"),
                ("64.0.0.0/2", "127.0.0.0/8 is the loopback of every host"),
                ("224.0.0.0/24", "224.0.0.0/4 is for groups (multicast)"),
                ("::/0", "::1/128 is the loopback of every host"),
                ("::/64", "::1/128 is the loopback of every host"),
                ("::ffff:10.0.0.0/120", "::ffff:0:0/96 stands for IPv4 addresses"),
                ("fe80::/64", "fe80::/10 is link-local, and the kernel gives such addresses to interfaces by itself"),
                ("ff00::/64", "ff00::/8 is for groups (multicast)"),
            )
        ),
        (parsing.interface, "255.255.255.255/32", "an interface cannot have the address 255.255.255.255."),
        (
            parsing.interface,
            "10.20.0.1/0",
            "10.20.0.1/0 would take all addresses for neighbours; write the prefix length of its subnet.",
        ),
        *(
            (parsing.gateway, bad, f"{bad} cannot be the address of a gateway.")
            for bad in ("0.0.0.0", "::", "127.0.0.1", "224.0.0.1", "255.255.255.255", "ff02::1")
        ),
        *(
            (parse, name, f"no interface can be called {name}, since the kernel has settings by that name.")
            for parse in (parsing.link_name, parsing.new_link_name)
            for name in ("all", "default")
        ),
        (parsing.interface, "0.0.0.1/8", "an interface cannot have the address 0.0.0.1."),
        (parsing.interface, "127.0.0.2/8", "an interface cannot have the address 127.0.0.2."),
        (parsing.interface, "ff02::1/64", "an interface cannot have the address ff02::1."),
        (parsing.interface, "fe80::1/64", "fe80::1 is link-local; the kernel assigns those by itself."),
        (parsing.interface, "10.20.0.0/24", "10.20.0.0 is the address of the subnet 10.20.0.0/24 itself."),
        (parsing.interface, "fd00::/64", "fd00:: is the address of the subnet fd00::/64 itself."),
        (parsing.interface, "10.20.0.255/24", "10.20.0.255 is the broadcast address of 10.20.0.0/24."),
        (parsing.interface, "fd00::1", "fd00::1 has no prefix length; write fd00::1/64."),
        (parsing.interfaces, ["10.0.0.1/8", "10.0.0.1/24"], "10.0.0.1 is listed twice."),
        (parsing.network, "10.20.0.1/24", "10.20.0.1/24 has host bits set; did you mean 10.20.0.0/24?"),
        (parsing.network, "blue", "'blue' is not a valid subnet; write it like 10.20.0.0/24."),
        (parsing.network, "", "'' is not a valid subnet; write it like 10.20.0.0/24."),
        (parsing.network, "10.20.0.0", SHORTENED % ("10.20.0.0", "10.20.0.0/32")),
        (parsing.network, "192.168.1.0", SHORTENED % ("192.168.1.0", "192.168.1.0/32")),
        (parsing.network, "10.0.0.0", SHORTENED % ("10.0.0.0", "10.0.0.0/32")),
        (parsing.network, "fd00:20::", SHORTENED % ("fd00:20::", "fd00:20::/128")),
        (parsing.network, "FD00:20::0", SHORTENED % ("FD00:20::0", "fd00:20::/128")),
        (parsing.networks, ["10.9.0.7", "10.9.0.0"], SHORTENED % ("10.9.0.0", "10.9.0.0/32")),
        (parsing.network, "0.0.0.0", "0.0.0.0 has no prefix length; write 0.0.0.0/0 if all addresses are meant."),
        (parsing.network, "::", ":: has no prefix length; write ::/0 if all addresses are meant."),
        (parsing.subnet, "10.50.0.0", "10.50.0.0 has no prefix length; write 10.50.0.0/24."),
        (parsing.subnet, "10.50.0.7", "10.50.0.7 has no prefix length; write 10.50.0.0/24."),
        (parsing.subnets, ["10.0.0.0/8", "fd00:50::"], "fd00:50:: has no prefix length; write fd00:50::/64."),
        # Python's ipaddress takes zone IDs since 3.9.
        (parsing.address, "fd00:20::5%eth0", ZONES % "'fd00:20::5%eth0'"),
        *(
            (parse, bad, f"no host can have the address {bad}; write one of this host.")
            for parse in (parsing.address_of_host, parsing.source_address)
            for bad in ("224.0.0.1", "255.255.255.255", "ff02::1")
        ),
        (
            parsing.address_of_host,
            "::ffff:10.20.0.2",
            "no host can have the address %s; write one of this host." % ip_address("::ffff:10.20.0.2"),
        ),
        *(
            (
                parsing.source_address,
                bad,
                f"no answer comes back to {bad}; write an address of this host that others reach.",
            )
            for bad in ("0.0.0.0", "::", "127.0.0.1", "::1", "fe80::1")
        ),
        (parsing.name_server, "fd00:20::5%eth0", ZONES % "'fd00:20::5%eth0'"),
        (parsing.name_server, "192.0.2.1%eth0", ZONES % "'192.0.2.1%eth0'"),
        (
            parsing.name_server,
            "fe80::1",
            "fe80::1 is link-local, so it is reached by one interface only; add that, as in fe80::1%eth0.",
        ),
        (
            parsing.name_server,
            "fe80::1%",
            "fe80::1 is link-local, so it is reached by one interface only; add that, as in fe80::1%eth0.",
        ),
        (
            parsing.name_server,
            "fe80::1%a b",
            "'a b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        (parsing.address, "[fe80::1%2]", ZONES % "'fe80::1%2'"),
        (parsing.interface, "fd00:20::5%eth0/64", ZONES % "'fd00:20::5%eth0/64'"),
        (parsing.interface, "fd00:20::5%eth0", ZONES % "'fd00:20::5%eth0'"),
        (parsing.network, "fd00:20::%eth0/64", ZONES % "'fd00:20::%eth0/64'"),
        (parsing.subnet, "fd00:20::%eth0", ZONES % "'fd00:20::%eth0'"),
        (parsing.networks, ["10.0.0.0/8", "x"], "'x' is not a valid subnet; write it like 10.20.0.0/24."),
        # Octal for some. Python's ipaddress took them as decimal until 3.9.4, and still does so in a prefix length.
        (parsing.address, "10.20.0.010", ZEROS % ("10.20.0.010", "10", "010")),
        (parsing.interface, "010.20.0.1/24", ZEROS % ("010.20.0.1/24", "10", "010")),
        (parsing.subnet, "10.20.0.0/024", ZEROS % ("10.20.0.0/024", "24", "024")),
        (parsing.network, "10.20.00.0/24", ZEROS % ("10.20.00.0/24", "0", "00")),
        (parsing.address, "db-01", "'db-01' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2."),
        (parsing.port_range, "010", ZEROS % ("010", "10", "010")),
        (parsing.port_range, "80-0123", ZEROS % ("80-0123", "123", "0123")),
        (parsing.port_range, "80:090", ZEROS % ("80:090", "90", "090")),
        (parsing.port_range, "", PORTS % "''"),
        (parsing.port_range, "http", PORTS % "'http'"),
        (parsing.port_range, "80-", PORTS % "'80-'"),
        (parsing.port_range, 80.5, PORTS % "80.5"),
        (parsing.port_range, "0", "0 is not a valid port; ports go from 1 to 65535."),
        (parsing.port_range, "80-65536", "65536 is not a valid port; ports go from 1 to 65535."),
        (parsing.port_range, "90-80", "the range 90-80 ends before it begins."),
        # what YAML, or Ansible after it, has made of unquoted texts
        (parsing.link_name, False, BOOLEANS % ("false", "no, off or false")),
        (parsing.namespace_name, True, BOOLEANS % ("true", "yes, on or true")),
        (parsing.label, False, BOOLEANS % ("false", "no, off or false")),
        (parsing.label, "False", BOOLEANS % ("false", "no, off or false")),
        (parsing.address, True, BOOLEANS % ("true", "yes, on or true")),
        (parsing.label, 1.1, "got the number 1.1, which may not be what was written; write it in quotes."),
        (parsing.label, ["a"], "got a list; write a single text."),
        (parsing.mac_address, 9789235962, SEXAGESIMAL % (9789235962, "12:35:20:32:12:42")),
        (parsing.mac_address, "9789235962", SEXAGESIMAL % (9789235962, "12:35:20:32:12:42")),
        (parsing.short_syntax, 22 * 60 + 22, PAIRS % (1342, "22:22", 1342, "22:22")),
        (parsing.short_syntax, 80, PAIRS % (80, "1:20", 80, "1:20")),
        (parsing.short_syntax, 2222 * 60 + 22, PAIRS % (133342, "2222:22", 133342, "2222:22")),
        (parsing.short_syntax, True, BOOLEANS % ("true", "yes, on or true")),
        (parsing.protocol, "icmp", "'icmp' is not a valid protocol; write one of tcp, udp, sctp."),
        (parsing.protocol, "", "'' is not a valid protocol; write one of tcp, udp, sctp."),
    ],
)
def test_a_bad_value_gets_one_sentence_with_the_option_and_the_value(
    parse: Callable[[str, Any], Any], value: Any, message: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("opt", value)

    assert str(refused.value) == "opt: " + message


@pytest.mark.parametrize(
    "key", ["kernel.hostname", "net", "net.", "net/../kernel/x", "net//x", "net.ipv4.a b", "x.net.y", None, 7]
)
def test_a_key_outside_of_the_network_is_refused(key: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsing.sysctls("opt", {key: 1})

    assert str(refused.value) == (
        "opt: %r is not a network key; write it like net.ipv4.ip_forward, and with slashes in place of the dots"
        " when an interface's name has a dot." % key
    )


TEXTS = (
    st.text(max_size=20)
    | st.text("0123456789.:/-[]abcdefx ", max_size=24)
    | st.sampled_from(["10.20.0.0/24", "fd00::/64", "10.20.0.1/24", "02:42:0a:14:00:02", "80-90", "net.ipv4.x"])
)
PARSERS = [
    parsing.link_name,
    parsing.namespace_name,
    parsing.label,
    parsing.mac_address,
    parsing.address,
    parsing.interface,
    parsing.network,
    parsing.port_range,
    parsing.protocol,
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
    for parse in (parsing.interfaces, parsing.networks):
        try:
            found = parse("opt", values)
        except InvalidRequest as error:
            assert str(error).startswith("opt: ")
        else:
            assert parse("opt", [str(item) for item in found]) == found


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.booleans(), max_size=3))
def test_any_dictionary_is_sysctls_below_net_or_refused(values: dict[str, Any]) -> None:
    try:
        found = parsing.sysctls("opt", values)
    except InvalidRequest as error:
        assert str(error).startswith("opt: ")
    else:
        assert all(key.startswith("net/") and ".." not in key for key, unused in found)
        assert not any("\n" in value for unused, value in found)


@given(st.integers(1, 65535), st.integers(1, 59))
def test_a_pair_of_ports_that_yaml_has_read_as_a_number_is_never_published(host: int, inside: int) -> None:
    """The sibling: whatever a:b YAML 1.1 takes for a number to the base of 60."""
    number = yaml.safe_load("%d:%02d" % (host, inside))
    assert number == host * 60 + inside

    with pytest.raises(InvalidRequest, match='write it in quotes, "%d" or "%d:%d"' % (number, host, inside)):
        parsing.short_syntax("publish", number)


def test_a_mac_address_that_yaml_has_read_as_a_number_is_told_as_it_was_written() -> None:
    with pytest.raises(InvalidRequest, match='write it in quotes, "12:34:56:12:34:05"'):
        parsing.mac_address("mac_address", yaml.safe_load("12:34:56:12:34:05"))


@given(st.integers())
def test_any_number_is_a_process_or_an_mtu_or_refused(value: int) -> None:
    for parse in (parsing.pid, parsing.mtu):
        try:
            assert parse("opt", value) == value
        except InvalidRequest as error:
            assert str(error).startswith("opt: %d is not a " % value)
