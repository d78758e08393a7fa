# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The states whose whole rulesets lie in ``golden/``: together they need every chain, set and map that we have."""

from __future__ import annotations

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

BLUE4, BLUE6, RED4 = ip_network("10.20.0.0/24"), ip_network("fd00:20::/64"), ip_network("10.21.0.0/24")
ANYWHERE4, ANYWHERE6 = ip_network("0.0.0.0/0"), ip_network("::/0")
OFFICE, VPN6 = ip_network("192.0.2.0/24"), ip_network("2001:db8:7::/48")

BLUE = BridgePolicy("br-blue", (BLUE4,), network="blue")
BOTH = replace(BLUE, subnets=(BLUE4, BLUE6))
RED = BridgePolicy("br-red", (RED4,), network="red")
EGRESS = Masquerade(BLUE4, OutInterface("br-blue", inverted=True), network="blue")
EGRESS6 = replace(EGRESS, source=BLUE6)
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")
WEB6 = replace(WEB, container_ip=ip_address("fd00:20::2"))
DNS = replace(WEB, protocol="udp", host_ports=PortRange(53, 53), container_port=53)


def state(*parts: Any, drop_foreign: bool = False, **others: Any) -> FirewallState:
    """A state of these policies, masquerades and ports."""

    def those(kind: type) -> frozenset[Any]:
        return frozenset(part for part in parts if isinstance(part, kind))

    return FirewallState(those(BridgePolicy), those(Masquerade), those(PublishedPort), drop_foreign, **others)


STATES = {
    "one-network": state(BLUE, EGRESS, WEB),
    "two-families": state(BOTH, EGRESS, EGRESS6, WEB, WEB6),
    "two-networks": state(BLUE, RED, EGRESS, replace(EGRESS, source=RED4, out=OutInterface("br-red", inverted=True))),
    "no-talk-but-allowed": state(
        replace(
            BOTH,
            icc=False,
            allow=(
                Flow(ANYWHERE4, BLUE4, "icmp"),
                Flow(OFFICE, ip_network("10.20.0.10/32"), "tcp", PortRange(5432, 5432)),
                Flow(VPN6, BLUE6),
            ),
        )
    ),
    "internal": state(replace(BOTH, internal=True), RED),
    "direct-access": state(replace(BOTH, direct_access=True), RED),
    "trusted-interfaces": state(replace(BOTH, trusted_interfaces=("eth1", "wg0"))),
    "host-access-denied": state(
        replace(
            BOTH,
            host_access=False,
            allow=(
                Flow(ANYWHERE4, ip_network("10.20.0.1/32"), "udp", PortRange(53, 53), host=True),
                Flow(ANYWHERE6, ip_network("fd00:20::1/128"), "tcp", PortRange(80, 90), host=True),
            ),
        ),
        RED,
    ),
    "masquerades": state(
        EGRESS,
        EGRESS6,
        replace(EGRESS, out=OutInterface("eth1"), to_source=ip_address("198.51.100.7"), random_fully=True),
        Masquerade(ip_network("10.20.0.128/25"), OutInterface("eth0"), (ip_network("10.0.0.0/8"), OFFICE)),
        Masquerade(ANYWHERE4, OutInterface("wg0"), (OFFICE,)),
    ),
    "ports-on-one-address": state(
        BOTH,
        replace(WEB, host_ip=ip_address("198.51.100.1")),
        replace(WEB, host_ip=ip_address("127.0.0.1"), host_ports=PortRange(9000, 9000)),
        replace(WEB6, host_ip=ip_address("2001:db8::1")),
        DNS,
    ),
    "ports-limited": state(
        BOTH,
        replace(WEB, allowed_sources=(OFFICE, ip_network("203.0.113.9/32"))),
        replace(WEB, host_ports=PortRange(8443, 8443), in_interfaces=("eth0", "eth1")),
        replace(DNS, host_ip=ip_address("198.51.100.1"), allowed_sources=(OFFICE,)),
        replace(WEB6, allowed_sources=(VPN6,), in_interfaces=("wg0",)),
        replace(WEB6, host_ip=ip_address("2001:db8::1"), host_ports=PortRange(81, 81), allowed_sources=(VPN6,)),
    ),
    "ranges-of-ports": state(
        BOTH,
        replace(WEB, host_ports=PortRange(2000, 2002), container_port=2000),
        replace(WEB, host_ports=PortRange(3000, 3002), container_port=4000),
        replace(DNS, host_ip=ip_address("198.51.100.1"), host_ports=PortRange(5000, 5009), container_port=5000),
        replace(WEB6, host_ports=PortRange(2000, 2002), container_port=2000),
        replace(WEB6, host_ip=ip_address("2001:db8::1"), host_ports=PortRange(7000, 7009), container_port=7000),
    ),
    "ports-without-a-network": state(
        PublishedPort("tcp", PortRange(8080, 8080), ip_address("192.0.2.10"), 80),
        PublishedPort("sctp", PortRange(9, 9), ip_address("2001:db8::10"), 9),
    ),
    "drop-foreign": state(drop_foreign=True),
    "drop-transit": state(drop_transit=frozenset([4, 6]), outsiders=frozenset(["eth0", "wg0"])),
}
