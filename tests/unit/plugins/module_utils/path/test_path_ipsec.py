# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import typing as t

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.path.ipsec import FORWARD, Policy
from ansible_collections.dockerless.network.plugins.module_utils.path.packet import Packet

SYN = Packet(ipaddress.ip_address("10.20.0.2"), ipaddress.ip_address("192.0.2.2"), dport=80)


def policy(**changes: t.Any) -> Policy:
    found = {
        "way": FORWARD,
        "priority": 0,
        "index": 10,
        "blocks": True,
        "wraps": False,
        "source": ipaddress.ip_network("10.20.0.0/24"),
        "to": ipaddress.ip_network("0.0.0.0/0"),
        "protocol": 0,
        "ports": ((0, 0), (0, 0)),
    }
    return Policy(**{**found, **changes})


@pytest.mark.parametrize(
    ("changes", "selected"),
    [
        ({}, True),
        ({"source": ipaddress.ip_network("10.21.0.0/24")}, False),
        ({"to": ipaddress.ip_network("::/0")}, False),
        ({"protocol": 6}, True),
        ({"protocol": 17}, False),
        ({"ports": ((0, 0), (80, 0xFFFF))}, True),
        ({"ports": ((0, 0), (81, 0xFFFF))}, False),
        # the probe's own port is not known before it is sent
        ({"ports": ((5000, 0xFFFF), (0, 0))}, True),
    ],
)
def test_what_a_policy_is_about(changes: dict[str, t.Any], selected: bool) -> None:
    assert policy(**changes).selects(SYN) is selected


def test_it_is_named_and_taken_away_by_its_index() -> None:
    assert str(policy()) == "an IPsec policy (fwd) blocks packets from 10.20.0.0/24 to 0.0.0.0/0"
    assert policy().removal == "xfrm policy delete index 10 dir fwd"
