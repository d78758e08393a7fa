# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition.publish import EPHEMERAL, Publish, parse
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest, PortRange

HELP = "write it like 8080:80, 127.0.0.1:8080:80/udp or [fd00::1]:8080:80."


def said(publish: Publish) -> tuple[str, str, str, str]:
    """Host address, host port, the endpoint's port and protocol as texts; empty for what is not said."""
    host = "" if publish.host_ip is None else str(publish.host_ip)
    outside = "" if publish.host_ports is None else str(publish.host_ports)
    return (host, outside, str(publish.container_ports), publish.protocol)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # every form in docker(1), run --publish
        ("80", ("", "", "80", "tcp")),
        ("80/udp", ("", "", "80", "udp")),
        ("8080:80", ("", "8080", "80", "tcp")),
        ("8080:80/tcp", ("", "8080", "80", "tcp")),
        ("8080:80/SCTP", ("", "8080", "80", "sctp")),
        ("127.0.0.1:8080:80", ("127.0.0.1", "8080", "80", "tcp")),
        ("127.0.0.1:8080:80/udp", ("127.0.0.1", "8080", "80", "udp")),
        ("127.0.0.1::80", ("127.0.0.1", "", "80", "tcp")),
        ("127.0.0.1:80", ("127.0.0.1", "", "80", "tcp")),
        ("0.0.0.0:8080:80", ("0.0.0.0", "8080", "80", "tcp")),
        ("[fd00::1]:8080:80", ("fd00::1", "8080", "80", "tcp")),
        ("[fd00:0::1]::80/udp", ("fd00::1", "", "80", "udp")),
        ("[::]:8080:80", ("::", "8080", "80", "tcp")),
        (":80", ("", "", "80", "tcp")),
        # ranges
        ("8000-8010", ("", "8000-8010", "8000-8010", "tcp")),
        ("8000-8010:9000-9010", ("", "8000-8010", "9000-9010", "tcp")),
        ("192.0.2.1:8000-8010:9000-9010/udp", ("192.0.2.1", "8000-8010", "9000-9010", "udp")),
        ("8000-8010:80", ("", "8000-8010", "80", "tcp")),
        ("127.0.0.1:8000-8001:80", ("127.0.0.1", "8000-8001", "80", "tcp")),
        ("127.0.0.1::80-81", ("127.0.0.1", "80-81", "80-81", "tcp")),
        ("8080-8080:80-80", ("", "8080", "80", "tcp")),
        # numbers of which YAML cannot have made anything but the port that they say
        (53, ("", "", "53", "tcp")),
        (4200, ("", "", "4200", "tcp")),
        ("1:65535", ("", "1", "65535", "tcp")),
    ],
)
def test_the_short_syntax(text: Any, expected: tuple[str, str, str, str]) -> None:
    found = parse(text)

    assert said(found) == expected
    assert found.text == str(text)
    assert (found.allowed_sources, found.in_interfaces) == ((), ())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"container_port": 80}, ("", "", "80", "tcp")),
        ({"host_port": 80}, ("", "80", "80", "tcp")),
        ({"host_port": "8080", "container_port": "80", "protocol": "udp"}, ("", "8080", "80", "udp")),
        ({"host_ip": "192.0.2.1", "host_port": 8080, "container_port": 80}, ("192.0.2.1", "8080", "80", "tcp")),
        ({"host_ip": "fd00::1", "host_port": "80-81"}, ("fd00::1", "80-81", "80-81", "tcp")),
        ({"host_ip": None, "host_port": None, "container_port": 80, "protocol": None}, ("", "", "80", "tcp")),
        ({"host_port": "", "container_port": 80}, ("", "", "80", "tcp")),
    ],
)
def test_the_options_of_port_publish(options: dict[str, Any], expected: tuple[str, str, str, str]) -> None:
    assert said(parse(options)) == expected


def test_restrictions_have_one_form() -> None:
    found = parse(
        {
            "host_port": 80,
            "allowed_sources": ["fd00::/64", "192.0.2.128/25", "192.0.2.0/25"],
            "in_interfaces": ["wg0", "eth0", "wg0"],
        }
    )

    assert found.allowed_sources == ("fd00::/64", "192.0.2.128/25", "192.0.2.0/25")
    assert found.in_interfaces == ("eth0", "wg0")
    assert parse({"host_port": 80, "allowed_sources": "192.0.2.0/24"}).allowed_sources == ("192.0.2.0/24",)
    assert parse({"host_port": 80, "in_interfaces": "eth0"}).in_interfaces == ("eth0",)


@pytest.mark.parametrize(
    ("text", "out_of"),
    [
        ("80", EPHEMERAL),
        ("127.0.0.1::80", EPHEMERAL),
        ("8000-8010:80", PortRange(8000, 8010)),
        ("8080:80", None),
        ("8000-8010", None),
        ("8000-8001:80-81", None),
    ],
)
def test_out_of_which_ports_one_is_chosen(text: str, out_of: PortRange | None) -> None:
    assert parse(text).choice == out_of


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "publish: '' is not a valid published port; " + HELP),
        ("http", "publish: 'http' is not a valid published port; " + HELP),
        ("80:", "publish: '80:' is not a valid published port; " + HELP),
        ("80:80:80:80", "publish: '80:80:80:80' is not a valid published port; " + HELP),
        ("224.0.0.1:80:80", "publish: no host can have the address 224.0.0.1; write one of this host."),
        ("fd00::1:80:80", "publish: 'fd00::1:80:80' is not a valid published port; " + HELP),
        ("80/", "publish: '80/' is not a valid published port; " + HELP),
        ("-80:80", "publish: '-80' is not a valid port; write it like 8080 or 8000-8010."),
        ("80-:80", "publish: '80-' is not a valid port; write it like 8080 or 8000-8010."),
        ("80:80-", "publish: '80-' is not a valid port; write it like 8080 or 8000-8010."),
        ("0:80", "publish: 0 is not a valid port; ports go from 1 to 65535."),
        ("80:65536", "publish: 65536 is not a valid port; ports go from 1 to 65535."),
        ("80-70:80", "publish: the range 80-70 ends before it begins."),
        (
            "8000-8010:80-81",
            "publish: 8000-8010:80-81 has ranges of unequal length: 11 ports of the host for 2 of the endpoint.",
        ),
        (
            "8000:80-81",
            "publish: 8000:80-81 has ranges of unequal length: 1 ports of the host for 2 of the endpoint.",
        ),
        ("host:80:80", "publish: 'host' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2."),
        ("10.0.0.256:80:80", "publish: '10.0.0.256' is not a valid IP address; write it like 10.20.0.2 or fd00:20::2."),
        ("80:80/icmp", "publish: 'icmp' is not a valid protocol; write one of tcp, udp, sctp."),
        (
            "[::1]:80:80",
            "publish: [::1]:80:80: the kernel does not translate ::1; publish on 127.0.0.1 instead.",
        ),
        ({}, "publish: set at least container_port."),
        ({"host_ip": "192.0.2.1"}, "publish: set at least container_port."),
        (
            {"container_port": 80, "port": 1},
            "publish: there is no option port; the options are host_port, container_port, protocol, host_ip,"
            " allowed_sources, in_interfaces.",
        ),
        ({"container_port": "x"}, "publish: 'x' is not a valid port; write it like 8080 or 8000-8010."),
        (
            {"container_port": 80, "in_interfaces": ["a b"]},
            "in_interfaces: 'a b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
    ],
)
def test_what_is_no_published_port_is_refused_in_one_sentence(value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(value)

    assert str(refused.value) == message


TEXTS = st.text(max_size=12) | st.text("0123456789.:-/[]abcudpt ", max_size=24)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS


@given(SCALARS | st.lists(SCALARS, max_size=2))
@example("9" * 5000)
def test_anything_is_a_published_port_or_refused(value: Any) -> None:
    try:
        found = parse(value)
    except InvalidRequest as error:
        assert str(error).startswith("publish: ")
    else:
        assert found.host_ports is None or len(found.host_ports) >= len(found.container_ports)


@given(
    st.dictionaries(
        st.sampled_from(["host_ip", "host_port", "protocol", "container_port", "allowed_sources", "in_interfaces"]),
        SCALARS | st.lists(SCALARS, max_size=2) | st.sampled_from(["192.0.2.1", "80", "80-81", "tcp", 80]),
    )
)
def test_any_options_are_a_published_port_or_refused(options: dict[str, Any]) -> None:
    try:
        found = parse(options)
    except InvalidRequest as error:
        assert str(error).partition(":")[0] in ("publish", "allowed_sources", "in_interfaces")
    else:
        assert found.container_ports
        assert options.get("host_port") or options.get("container_port")


@given(
    st.sampled_from(["", "192.0.2.1", "127.0.0.1", "fd00::1"]),
    st.none() | st.integers(1, 65500),
    st.integers(1, 65500),
    st.integers(0, 3),
    st.sampled_from(["tcp", "udp", "sctp"]),
)
def test_the_short_syntax_means_what_the_options_mean(
    host_ip: str, host_port: int | None, container_port: int, more: int, protocol: str
) -> None:
    inside = str(PortRange(container_port, container_port + more))
    outside = "" if host_port is None else str(PortRange(host_port, host_port + more))
    host = "[%s]:" % host_ip if ":" in host_ip else "%s:" % host_ip if host_ip else ""
    text = host + (outside + ":" if outside or host else "") + inside + "/" + protocol
    options = {"host_ip": host_ip, "host_port": outside, "container_port": inside, "protocol": protocol}

    short, long = parse(text), parse(options)

    assert said(short) == said(long)
    assert short.host_ip == (ip_address(host_ip) if host_ip else None)
