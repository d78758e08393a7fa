# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of ours is on a host, in the words of the modules' options."""

from __future__ import annotations

import typing as t

from .firewall.session import FirewallSession
from .kernel.state import Link
from .kinds.bridge_firewall import BridgeFirewallKind
from .kinds.common import compact, spelled
from .kinds.nat_masquerade import NatMasqueradeKind
from .kinds.port_publish import PortPublishKind
from .model import HOST, FirewallState, Place, network_of
from .world import World, is_ours

Facts = dict[str, t.Any]


def gather(world: World, name: str | None = None) -> Facts:
    """Everything, or one network by its name or its bridge's."""
    session = world.firewall
    state = session.current if session.readable() else FirewallState()
    namespaces = _namespaces(world)
    ports = [PortPublishKind().describe(port) for port in sorted(state.ports, key=str)]
    masquerades = [NatMasqueradeKind().describe(item) for item in sorted(state.masquerades, key=str)]
    policies = {policy.bridge: BridgeFirewallKind().describe(policy) for policy in state.policies}
    networks = [
        _network(bridge, world, ports, masquerades, policies) for bridge in sorted(_bridges(world) | set(policies))
    ]
    if name is not None:
        networks = [network for network in networks if name in (network["name"], network["bridge"])]
        namespaces = _of(namespaces, name)
    return {
        "networks": networks,
        "namespaces": namespaces,
        "ports": ports if name is None else _of(ports, name),
        "masquerades": masquerades if name is None else _of(masquerades, name),
        "forwarding": _forwarding(world),
        "uplinks": compact(ipv4=world.host.default_link(4), ipv6=world.host.default_link(6)),
        "backend": session.backend if session.is_open else None,
        "foreign": _foreign(session, world),
    }


def _of(items: t.Sequence[Facts], name: str) -> list[Facts]:
    return [item for item in items if item.get("network") == name]


def _bridges(world: World) -> set[str]:
    """Bridges of ours, and bridges of others with a port of ours."""
    links = world.links().values()
    made = {link.name for link in links if link.kind == "bridge" and is_ours(link)}
    return made | {link.master for link in links if is_ours(link) and link.master}


def _namespaces(world: World) -> list[Facts]:
    """The named namespaces with an end of a veth pair of ours in them, or with our mark."""
    result = []
    for name in sorted(world.host.namespaces()):
        if not world.has_namespace(name):
            continue
        links = world.links(Place(netns=name))
        lo = links.get("lo")
        ours = lo is not None and is_ours(lo)
        if ours or any(link.kind == "veth" and is_ours(link) for link in links.values()):
            label = network_of(lo.alias) if lo is not None and ours else ""
            result.append({"name": name, "network": label, "ours": ours})
    return result


def _network(
    bridge: str,
    world: World,
    ports: t.Sequence[Facts],
    masquerades: t.Sequence[Facts],
    policies: t.Mapping[str, Facts],
) -> Facts:
    link = world.links().get(bridge)
    policy = policies.get(bridge)
    # A bridge that a run left half made has no alias yet, but its rules are there: they come first.
    named = link is not None and is_ours(link) and link.alias
    label = network_of(link.alias) if link is not None and named else (policy or {}).get("network", "")
    subnets = policy["subnets"] if policy else [] if link is None else [str(a.network) for a in link.addresses]
    veths = [veth for veth in world.links().values() if veth.master == bridge and is_ours(veth)]
    return {
        "name": label or bridge,
        "network": label,
        "bridge": bridge,
        "present": link is not None,
        "ours": link is not None and is_ours(link),
        "addresses": [] if link is None else spelled(link.addresses),
        "subnets": subnets,
        "mtu": None if link is None else link.mtu,
        "policy": policy,
        "endpoints": [_endpoint(veth, world, label) for veth in sorted(veths, key=lambda veth: veth.name)],
        "ports": [port for port in ports if port.get("bridge") == bridge],
        "masquerades": [item for item in masquerades if item["source"] in subnets],
    }


def _endpoint(veth: Link, world: World, label: str) -> Facts:
    # As above: a veth pair gets its alias last.
    network = network_of(veth.alias) if veth.alias else label
    facts: Facts = {"veth": veth.name, "network": network, "isolated": veth.isolated, "up": veth.up}
    found = world.peer_of(veth)
    if found is None:
        return dict(facts, name=None, netns=None, pid=None, interface=None, addresses=[], mac_address=None)
    place, peer = found
    facts.update(name=place.netns, netns=place.netns, pid=place.pid)
    return dict(facts, interface=peer.name, addresses=spelled(peer.addresses), mac_address=peer.mac_address)


def _forwarding(world: World) -> Facts:
    stack = world.host.stack(HOST)
    return compact(
        ipv4=stack.read_sysctl("net/ipv4/ip_forward") not in (None, "0"),
        ipv6=stack.read_sysctl("net/ipv6/conf/all/forwarding") not in (None, "0"),
        forward_policy="drop" if world.firewall.is_open and world.firewall.drop_foreign else "unmanaged",
    )


def _foreign(session: FirewallSession, world: World) -> list[str]:
    """What of others overrides our rules, or may."""
    found = session.obstacles(world.host, world.links()) if session.is_open else []
    for version in (4, 6):
        whose = session.foreign_nat(version)
        found += ["%s, too (IPv%d); of two rules for a port, the first one decides" % (whose, version)] if whose else []
    return found
