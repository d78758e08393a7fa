# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out which objects depend on the host's forwarding, of this collection and of others."""

from __future__ import annotations

import typing as t

from .. import model
from ..kernel import state
from ..world import World, is_ours
from .forward_record import IPV4, IPV6, localnet_key


def needs(world: World) -> dict[str, str]:
    """The sysctls that objects of ours need, each with the description of one such object."""
    rules = world.firewall
    ports = [*rules.ports] if rules.readable() else []
    closed = {policy.bridge for policy in rules.policies.values() if policy.internal} if rules.is_open else set()
    found = {localnet_key(port.bridge): _title(port) for port in ports if port.bridge and port.serves_loopback}
    for version in model.VERSIONS:
        whose = _whose(version, [port for port in ports if port.bridge not in closed], closed, world)
        if whose:
            found[model.FORWARDING[version]] = whose
    return found


def _whose(version: int, ports: t.Sequence[model.PublishedPort], closed: t.Collection[str], world: World) -> str:
    """The description of an object that needs forwarding for a version of IP; empty when there is none."""
    rules = world.firewall
    for masquerade in rules.masquerades.values():
        if masquerade.source.version == version:
            return "the masquerade of %s" % masquerade.source
    for port in ports:
        if port.container_ip.version == version and not (port.host_ip is not None and port.host_ip.is_loopback):
            return _title(port)
    with_ports = {link.master for link in world.links().values() if link.master}
    for link in world.links().values():
        if _leads_out(link, with_ports) and link.name not in closed and _speaks(link, version):
            return "%s %s" % (link.kind, link.name)
    return ""


def _leads_out(link: state.Link, with_ports: t.Collection[str]) -> bool:
    """Whether a link is a bridge with ports, or a veth pair without a bridge."""
    return is_ours(link) and not link.master and (link.kind == "veth" or link.name in with_ports)


def _speaks(link: state.Link, version: int) -> bool:
    return any(address.version == version for address in link.addresses)


def _title(port: model.PublishedPort) -> str:
    return "published port %s" % port


def relied_on(world: World, key: str) -> str:
    """The description of something of others that evidently needs a sysctl: a bridge with ports, or NAT."""
    if key not in (IPV4, IPV6):
        return ""
    ports: dict[str, list[str]] = {}
    for link in world.links().values():
        if link.master and not is_ours(link):
            ports.setdefault(link.master, []).append(link.name)
    for bridge in [link for link in world.links().values() if link.kind == "bridge" and not is_ours(link)]:
        if bridge.name in ports:
            return "bridge %s, which is not ours, has ports (%s)" % (bridge.name, ", ".join(ports[bridge.name]))
    return world.firewall.foreign_nat(4 if key == IPV4 else 6)
