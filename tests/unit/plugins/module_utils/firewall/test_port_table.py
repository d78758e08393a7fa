# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.firewall.port_table import PortTable
from ansible_collections.dockerless.network.plugins.module_utils.model import PortRange, PublishedPort

WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80)
HOST_ADDRESSES = {4: [ip_address("192.0.2.1"), ip_address("127.0.0.1")], 6: [ip_address("2001:db8::1")]}


@st.composite
def ports(draw: Any) -> PublishedPort:
    version = draw(st.sampled_from([4, 6]))
    first = draw(st.integers(1, 8))
    return PublishedPort(
        protocol=draw(st.sampled_from(["tcp", "udp"])),
        host_ports=PortRange(first, first + draw(st.integers(0, 3))),
        container_ip=ip_address("10.20.0.%d" % draw(st.integers(2, 3)) if version == 4 else "fd00::2"),
        container_port=80,
        host_ip=draw(st.none() | st.sampled_from(HOST_ADDRESSES[version])),
    )


def packets(port: PublishedPort) -> Iterator[tuple[Any, ...]]:
    """Every packet that a port wants, on a host that has two more addresses."""
    version = port.container_ip.version
    addresses = [port.host_ip] if port.host_ip is not None else HOST_ADDRESSES[version]
    for address in addresses:
        for number in range(port.host_ports.first, port.host_ports.last + 1):
            yield (version, port.protocol, address, number)


@given(st.lists(st.tuples(ports(), st.booleans()), max_size=12), ports())
def test_clashes_are_those_that_want_a_packet_in_common(changes: list[tuple[PublishedPort, bool]], port: Any) -> None:
    table = PortTable()
    known: dict[Any, PublishedPort] = {}
    for other, there in changes:
        if there:
            table.add(other)
            known[other.key] = other
        else:
            table.remove(other)
            known.pop(other.key, None)
    wanted = set(packets(port))

    assert set(table) == set(known.values())
    assert table.get(port) == known.get(port.key)
    found = list(table.clashes(port))
    assert len(set(found)) == len(found)
    assert set(found) == {other for other in known.values() if other.key != port.key and wanted & set(packets(other))}


def test_one_takes_the_place_of_another_with_its_key() -> None:
    moved = replace(WEB, container_ip=ip_address("10.20.0.3"))
    table = PortTable([WEB])

    table.add(moved)

    assert list(table) == [moved]
    assert table.get(WEB) == moved


def test_it_goes_by_its_key() -> None:
    table = PortTable([WEB])

    table.remove(replace(WEB, container_ip=ip_address("10.20.0.3"), bridge="br0"))
    table.remove(WEB)

    assert list(table) == []
    assert table.get(WEB) is None


@pytest.mark.parametrize("size", [1, 40])
def test_a_single_port_is_found_without_a_look_at_other_single_ports(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    table = PortTable(replace(WEB, host_ports=PortRange(9000 + n, 9000 + n)) for n in range(size))
    looks: list[PortRange] = []
    overlaps = PortRange.overlaps

    def look(one: PortRange, other: PortRange) -> bool:
        looks.append(other)
        return overlaps(one, other)

    monkeypatch.setattr(PortRange, "overlaps", look)

    assert list(table.clashes(replace(WEB, host_ports=PortRange(9000, 9000), host_ip=ip_address("192.0.2.1")))) != []
    assert len(looks) == 1
