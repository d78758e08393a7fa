# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The states of a packet filter that the tests of the back-ends ask for, in the small world's terms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Flow,
    Masquerade,
    OutInterface,
    PortRange,
    PublishedPort,
)

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")), network="blue")
RED = BridgePolicy("br-red", (ip_network("10.21.0.0/24"), ip_network("fd00:21::/64")), network="red")
EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("br-blue", inverted=True), network="blue")
EGRESS6 = replace(EGRESS, source=ip_network("fd00:20::/64"))
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")
WEB6 = replace(WEB, container_ip=ip_address("fd00:20::2"))

# every option of every kind
EVERYTHING = [
    BLUE,
    replace(RED, internal=True, icc=False, host_access=False, trusted_interfaces=("up1", "up0")),
    BridgePolicy("br-open", (ip_network("10.22.0.0/16"),), direct_access=True),
    BridgePolicy(
        "br-flows",
        icc=False,
        allow=(
            Flow(ip_network("10.0.0.0/8"), ip_network("10.23.0.5/32"), "tcp", PortRange(80, 90)),
            Flow(ip_network("0.0.0.0/0"), ip_network("10.23.0.6/32"), "sctp", PortRange(5, 5)),
            Flow(ip_network("::/0"), ip_network("fd00:23::/64")),
        ),
    ),
    EGRESS,
    EGRESS6,
    Masquerade(ip_network("10.20.0.0/16"), exclude=(ip_network("10.0.0.0/8"), ip_network("192.168.0.0/16"))),
    Masquerade(ip_network("10.21.0.0/24"), OutInterface("up0"), (), ip_address("192.0.2.9"), True),
    Masquerade(ip_network("fd00:21::/64"), OutInterface(), (), ip_address("2001:db8::1")),
    WEB,
    WEB6,
    replace(WEB, host_ports=PortRange(9000, 9010), container_port=90),
    replace(WEB, host_ports=PortRange(9100, 9110), container_port=9100, protocol="udp"),
    replace(WEB, host_ip=ip_address("192.0.2.1"), protocol="udp", bridge="", network=""),
    replace(WEB6, host_ip=ip_address("2001:db8::1"), host_ports=PortRange(1, 65535), container_port=1),
    replace(WEB, protocol="sctp", allowed_sources=(ip_network("192.0.2.0/25"), ip_network("10.0.0.0/8"))),
    replace(WEB6, protocol="sctp", in_interfaces=("up0", "up1"), allowed_sources=(ip_network("2001:db8::/64"),)),
    replace(WEB, host_ip=ip_address("192.0.2.9"), protocol="udp", allowed_sources=(ip_network("10.0.0.0/8"),)),
]


def state_of(parts: Iterable[Any], drop_foreign: bool = False) -> FirewallState:
    """The state with these parts and nothing else."""
    kinds = (BridgePolicy, Masquerade, PublishedPort)
    sections = (frozenset(part for part in parts if isinstance(part, kind)) for kind in kinds)
    return FirewallState(*sections, drop_foreign)
