# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address, ip_network

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel import decode
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netlink import attribute

DST, SRC, IIFNAME, PRIORITY = 1, 2, 3, 6
PROHIBIT, INVERT = 8, 2
ANYBODY = ip_address("192.0.2.1")


def rule(action: int, flags: int = 0, link: bytes = b"") -> decode.RuleEntry:
    """``ip rule add from 10.0.0.1/24 to 10.9.0.3/16`` as the kernel lists it."""
    header = struct.pack("=BBBBBBBBI", socket.AF_INET, 16, 24, 0, 100, 0, 0, action, flags)
    ends = attribute(DST, ip_address("10.9.0.3").packed) + attribute(SRC, ip_address("10.0.0.1").packed)
    others = attribute(PRIORITY, struct.pack("=I", 7)) + (attribute(IIFNAME, link) if link else b"")
    (found,) = decode.rules([header + ends + others], socket.AF_INET)
    return found


def test_a_rule_of_routing_may_have_bits_behind_its_prefix() -> None:
    found = rule(action=1)
    assert (found.source, found.to) == (ip_network("10.0.0.0/24"), ip_network("10.9.0.0/16"))
    assert (found.table, found.nowhere, found.priority) == (100, "", 7)
    assert found.by_source
    assert not found.is_for_all


@pytest.mark.parametrize(
    ("found", "own", "other"),
    [
        (rule(PROHIBIT), True, False),
        (rule(PROHIBIT, flags=INVERT), False, True),
        (rule(PROHIBIT, link=b"eth0\0"), False, False),
    ],
    ids=["from and to", "all but these", "one link"],
)
def test_a_rule_that_discards_packets_covers_those_that_it_names(
    found: decode.RuleEntry, own: bool, other: bool
) -> None:
    assert (found.nowhere, found.table) == ("prohibit", 0)
    assert found.covers(ip_address("10.0.0.9"), ip_address("10.9.7.7")) is own
    assert found.covers(ANYBODY, ip_address("10.9.7.7")) is other
