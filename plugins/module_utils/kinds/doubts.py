# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons, a clause each, why an object that a module makes alone would not work on the host as it is, or not close it.

The role makes everything else in the same run or in its next steps, so it turns these warnings off.
"""

from __future__ import annotations

import typing as t

from .. import model
from ..world import World
from . import common
from .forward_record import localnet_key

_ADVICE = "turn it on with the module sysctl_forward"


def of_masquerade(item: model.Masquerade, world: World) -> t.Iterator[str]:
    """Reasons why nothing gets out of a subnet."""
    if not world.forwards(item.source.version):
        yield "the host does not forward IPv%d, so nothing gets out; %s" % (item.source.version, _ADVICE)


def of_policy(item: model.BridgePolicy, world: World) -> t.Iterator[str]:
    """Addresses of the bridge that its policy leaves open."""
    link = world.links().get(item.bridge)
    open_ones = [
        address
        for address in (() if link is None or item.direct_access else link.addresses)
        if not any(address.ip in subnet for subnet in item.subnets)
    ]
    if open_ones:
        yield (
            "the bridge still has %s, which no rule closes to others, as it is in none of the subnets; keep the subnet"
            " of such an address in the list until the bridge has lost it"
            % model.enumerate_few([str(address) for address in open_ones])
        )


def of_port(item: model.PublishedPort, world: World) -> t.Iterator[str]:
    """Reasons why nothing gets in to an endpoint."""
    version = item.container_ip.version
    for_the_host = item.host_ip is not None and item.host_ip.is_loopback
    if not for_the_host and not world.forwards(version):
        yield "the host does not forward IPv%d, so no connection gets in; %s" % (version, _ADVICE)
    if item.bridge and not _leads_to(item, world):
        yield "there is no route to %s by %s; give that interface an address in its subnet" % (
            item.container_ip,
            item.bridge,
        )
    # in check mode the interface may still be unknown
    if item.bridge and item.serves_loopback and not _routes_loopback(item.bridge, world):
        yield "127.0.0.1 does not lead there without route_localnet for %s; %s" % (item.bridge, _ADVICE)


def lost_answers(item: model.PublishedPort, world: World) -> t.Iterator[str]:
    """Why clients that come in by a second uplink get no answer: a clause for each reason, with a place for the ports.

    An answer carries the endpoint's own address while it is routed, so a rule for the host's address does not match it.
    """
    ways = world.ways_of_answers()
    seen = {table for source, table, unused in ways if item.container_ip in source}
    for source, table, link in ways:
        addresses = _served(item, source, world)
        if not addresses or table in seen or (item.in_interfaces and link not in item.in_interfaces):
            continue
        text = (
            "Clients that come in by %s for %s get no answer from these ports, unless they are in a subnet of that"
            " interface: %%s. The rule 'from %s lookup %d' sends what the host itself answers back by %s; but answers"
            " of endpoints get the host's address after they are routed, and leave by %s. Publish the ports on another"
            " address, or have such answers marked ('Behind a second uplink' in docs/rules.md shows how)"
        )
        who = model.enumerate_few([str(address) for address in addresses])
        whose = source.network_address if source.num_addresses == 1 else source
        yield text % (link, who, whose, table, link, world.default_link(source.version) or "no interface at all")


def lost_by_port(ports: t.Iterable[model.PublishedPort], world: World) -> list[str]:
    """The same for all ports; ports with the same reason are listed together."""
    found: dict[str, list[str]] = {}
    for port in ports if world.ways_of_answers() else ():
        for text in lost_answers(port, world):
            found.setdefault(text, []).append(common.short_port(port))
    return [text % model.enumerate_few(list(dict.fromkeys(names))) for text, names in found.items()]


def _served(item: model.PublishedPort, source: model.Network, world: World) -> list[model.Address]:
    """The addresses in a network by which a port is reached from outside."""
    if source.version != item.container_ip.version:
        return []
    if item.host_ip is not None:
        return [item.host_ip] if item.host_ip in source else []
    return sorted({address.ip for address in world.addresses() if address.ip in source}, key=int)


def _leads_to(item: model.PublishedPort, world: World) -> bool:
    return any(entry.link == item.bridge and item.container_ip in entry.route.to for entry in world.routes())


def _routes_loopback(link: str, world: World) -> bool:
    return any(world.sysctl(model.HOST, localnet_key(name)) not in (None, "0") for name in ("all", link) if name)
