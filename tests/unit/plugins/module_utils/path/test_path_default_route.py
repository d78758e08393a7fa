# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import struct

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel import decode
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netlink import attribute
from ansible_collections.dockerless.network.plugins.module_utils.path.default_route import tables

SOURCE, IIFNAME, FWMARK, REALMS, SUPPRESS, TABLE, L3MDEV, DSCP = 2, 3, 10, 11, 14, 15, 19, 25
NO_LIMIT = 0xFFFFFFFF


def rule(table: int, flags: int = 0, action: int = 1, **conditions: int | bytes) -> bytes:
    """A rule as the kernel lists it."""
    numbers = {"SUPPRESS": NO_LIMIT, "TABLE": table, **conditions}
    values = [
        attribute(globals()[name], value if isinstance(value, bytes) else struct.pack("=I", value))
        for name, value in numbers.items()
    ]
    return struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, table & 255, 0, 0, action, flags) + b"".join(values)


LAST = [rule(254), rule(253)]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (rule(100), [100, 254, 253]),
        (rule(1000), [1000, 254, 253]),
        (rule(100, SOURCE=bytes(4)), [254, 253]),
        (rule(100, IIFNAME=b"lo\0"), [254, 253]),
        (rule(0, L3MDEV=b"\1"), [254, 253]),
        (rule(100, FWMARK=1), [254, 253]),
        (rule(100, flags=2, FWMARK=1), [100, 254, 253]),
        (rule(254, SUPPRESS=0), [254, 253]),
        (rule(100, REALMS=1), [100, 254, 253]),
        (rule(100, DSCP=b"\x08"), [254, 253]),
        (rule(0, action=7), [254, 253]),
    ],
    ids=[
        "for all",
        "a large number",
        "source",
        "link",
        "VRF",
        "mark",
        "all but a mark",
        "suppressed",
        "realms",
        "DSCP",
        "unreachable",
    ],
)
def test_the_default_route_is_looked_up_where_an_ordinary_packet_finds_it(first: bytes, expected: list[int]) -> None:
    assert list(tables(decode.rules([first, *LAST], socket.AF_INET))) == expected
