# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of the packet filter for hypothesis: as the modules would ask for them, each value in its one form."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils import model, parsing
from ansible_collections.dockerless.network.plugins.module_utils.firewall.port_table import PortTable
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Flow,
    Masquerade,
    OutInterface,
    PortRange,
    PublishedPort,
)

LINKS = st.sampled_from(["eth0", "eth1", "wg0", "br-blue", "br.7", "br_x@y", "br-grün", "b=r,2", "enp0s31f6"])
LABELS = st.sampled_from(["", "blue", "a.b-c_d", "x" * 63])
PORT_RANGES = st.tuples(st.integers(1, 65535), st.integers(0, 20)).map(
    lambda pair: PortRange(pair[0], min(pair[0] + pair[1], 65535))
)
PROTOCOLS = st.sampled_from(model.PROTOCOLS)
VERSIONS = st.sampled_from([4, 6])
ANYWHERE = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}


def addresses(version: int) -> st.SearchStrategy[Any]:
    """Addresses of endpoints and of the host."""
    base, bits = (int(ip_address("10.20.0.0")), 16) if version == 4 else (int(ip_address("fd00:20::")), 64)
    kind = type(ip_address("::" if version == 6 else "0.0.0.0"))
    mapped = st.just(ip_address("::ffff:192.0.2.1")) if version == 6 else st.nothing()
    return st.integers(1, (1 << bits) - 2).map(lambda low: kind(base + low)) | mapped


def networks(version: int, smallest: int = 0) -> st.SearchStrategy[Any]:
    """Networks around those addresses, from everything to one address."""
    kind = IPv4Network if version == 4 else IPv6Network
    lengths = st.integers(smallest, 32 if version == 4 else 128) | st.just(24)
    return st.builds(lambda address, length: kind((int(address), length), strict=False), addresses(version), lengths)


def several(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    """A tuple without doubles."""
    return st.lists(strategy, unique=True, max_size=most).map(tuple)


def merged(found: Any) -> tuple[Any, ...]:
    """Networks in their one form."""
    return parsing.networks("networks", [str(network) for network in found])


@st.composite
def flows(draw: Any, subnet: Any) -> Flow:
    """Something that the policy of a bridge with this subnet lets in."""
    length = draw(st.integers(subnet.prefixlen, subnet.max_prefixlen))
    number = int(subnet.network_address) + draw(st.integers(0, subnet.num_addresses - 1))
    protocol = draw(st.just("") | PROTOCOLS)
    return Flow(
        source=draw(st.just(ANYWHERE[subnet.version]) | networks(subnet.version)),
        to=type(subnet)((number, length), strict=False),
        protocol=protocol,
        ports=draw(st.none() | PORT_RANGES) if protocol else None,
    )


@st.composite
def policies(draw: Any) -> BridgePolicy:
    """A policy whose flows do not overlap."""
    bridge = draw(LINKS)
    subnets = merged(draw(several(networks(4, 8), 2)) + draw(several(networks(6, 8), 2)))
    allow: list[Flow] = []
    for flow in draw(several(st.one_of([flows(subnet) for subnet in subnets]))) if subnets else ():
        if not any(_flows_overlap(flow, other) for other in allow):
            allow.append(flow)
    host_access = draw(st.booleans())
    if not host_access:
        allow = [replace(flow, host=draw(st.booleans())) for flow in allow]
    return BridgePolicy(
        bridge=bridge,
        subnets=subnets,
        internal=draw(st.booleans()),
        icc=draw(st.booleans()),
        direct_access=draw(st.booleans()),
        trusted_interfaces=tuple(sorted(draw(several(LINKS.filter(lambda name: name != bridge))))),
        host_access=host_access,
        allow=tuple(sorted(allow, key=str)),
        network=draw(LABELS),
    )


@st.composite
def masquerades(draw: Any) -> Masquerade:
    """A masquerade, or SNAT."""
    version = draw(VERSIONS)
    return Masquerade(
        draw(networks(version)),
        draw(st.just(OutInterface()) | st.builds(OutInterface, LINKS, st.booleans())),
        merged(draw(several(networks(version, 1)))),
        draw(st.none() | addresses(version)),
        draw(st.booleans()),
        draw(LABELS),
    )


@st.composite
def ports(draw: Any) -> PublishedPort:
    """A published port, or a range of them."""
    version = draw(VERSIONS)
    host_ports = draw(PORT_RANGES)
    host_ip = draw(st.none() | addresses(version))
    return PublishedPort(
        protocol=draw(PROTOCOLS),
        host_ports=host_ports,
        container_ip=draw(addresses(version)),
        container_port=draw(st.just(host_ports.first) | st.integers(1, 65535 - len(host_ports))),
        host_ip=host_ip,
        any_way=host_ip is not None and not host_ip.is_loopback and draw(st.booleans()),
        bridge=draw(st.just("") | LINKS),
        allowed_sources=merged(draw(several(networks(version, 1)))),
        in_interfaces=tuple(sorted(draw(several(LINKS)))),
        network=draw(LABELS),
    )


def distinct(strategy: st.SearchStrategy[Any], key: Any, most: int) -> st.SearchStrategy[Any]:
    """A set with one object for each key."""
    return st.lists(strategy, unique_by=key, max_size=most).map(frozenset)


def _flows_overlap(one: Flow, other: Flow) -> bool:
    if one.to.version != other.to.version:
        return False
    protocols = not one.protocol or not other.protocol or one.protocol == other.protocol
    same_ports = one.ports is None or other.ports is None or one.ports.overlaps(other.ports)
    return one.source.overlaps(other.source) and one.to.overlaps(other.to) and protocols and same_ports


def without_conflicts(state: FirewallState) -> FirewallState:
    """The rest of a state in which no subnets of two bridges overlap, and each port leads to one endpoint only."""
    kept: list[BridgePolicy] = []
    for policy in sorted(state.policies, key=str):
        taken = [subnet for other in kept for subnet in other.subnets]
        free = [one for one in policy.subnets if not any(_networks_overlap(one, two) for two in taken)]
        allow = [flow for flow in policy.allow if any(_networks_overlap(flow.to, subnet) for subnet in free)]
        kept.append(replace(policy, subnets=tuple(free), allow=tuple(allow)))
    table = PortTable()
    for port in sorted(state.ports, key=str):
        if table.get(port) is None and next(table.clashes(port), None) is None:
            table.add(port)
    return replace(state, policies=frozenset(kept), ports=frozenset(table))


def _networks_overlap(one: Any, other: Any) -> bool:
    return one.version == other.version and bool(one.overlaps(other))


STATES = st.builds(
    FirewallState,
    distinct(policies(), lambda policy: policy.bridge, 3),
    distinct(masquerades(), lambda entry: entry.key, 4),
    distinct(ports(), lambda port: port.key, 6),
    st.booleans(),
).map(without_conflicts)
