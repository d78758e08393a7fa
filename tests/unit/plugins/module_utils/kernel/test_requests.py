# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we write of a request ourselves is what pyroute2 would write."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel import requests
from ansible_collections.dockerless.network.plugins.module_utils.kernel.encode import Attributes, link_message
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP


def of_kind(kind: Attributes) -> tuple[str, object]:
    return ("IFLA_LINKINFO", {"attrs": kind})


def test_a_veth() -> None:
    born: Attributes = [("IFLA_GROUP", LINK_GROUP)]
    far: Attributes = [("IFLA_IFNAME", "eth0"), *born]
    far += [("IFLA_NET_NS_FD", 300), ("IFLA_MTU", 1400), ("IFLA_ADDRESS", "02:00:00:00:00:05")]
    data = {"attrs": [("VETH_INFO_PEER", {"attrs": far})]}
    near: Attributes = [("IFLA_IFNAME", "v-blue-web"), *born, ("IFLA_MTU", 1400), ("IFLA_MASTER", 7)]
    expected = link_message({}, [*near, of_kind([("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)])])
    assert requests.veth("v-blue-web", "eth0", 300, 1400, "02:00:00:00:00:05", 7) == expected


@pytest.mark.parametrize(
    ("changes", "flags", "change"),
    [({"up": True}, 1, 1), ({"arp": True}, 0, 0x80), ({"up": False, "arp": False}, 0x80, 0x81), ({"mtu": 1400}, 0, 0)],
)
def test_the_flags_of_a_link(changes: dict[str, Any], flags: int, change: int) -> None:
    header = struct.Struct("=BxHiII").unpack_from(requests.link("eth0", changes, 0))
    assert header[3:] == (flags, change)


@pytest.mark.parametrize("changes", [{"isolated": True, "hairpin": False}, {"hairpin": True}])
def test_a_port(changes: dict[str, bool]) -> None:
    names = {"isolated": "IFLA_BRPORT_ISOLATED", "hairpin": "IFLA_BRPORT_MODE"}
    data = {"attrs": [(names[key], int(value)) for key, value in changes.items()]}
    info = of_kind([("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", data)])
    assert requests.port("v-web", changes) == link_message({}, [("IFLA_IFNAME", "v-web"), info])
