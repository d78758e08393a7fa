# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a published port does not take a packet that was sent to it: it is published for others only."""

from __future__ import annotations

import typing as t

from .. import model
from .packet import Packet
from .topology import Node


def for_others(node: Node, packet: Packet, ports: t.Iterable[model.PublishedPort]) -> tuple[str, str] | None:
    """The reason and the advice, by the first of these ports that the packet is for; None if it is for none of them."""
    for port in ports:
        if _is_for(packet, port):
            found = _by_link(node, packet, port) or _by_source(packet, port)
            if found is not None:
                what = "port %d/%s of %s is published, but only for packets "
                return what % (packet.dport, packet.protocol, packet.to) + found[0], found[1]
    return None


def _is_for(packet: Packet, port: model.PublishedPort) -> bool:
    return (
        (port.container_ip.version, port.protocol) == (packet.version, packet.protocol)
        and port.host_ip in (None, packet.to)
        and port.host_ports.first <= packet.dport <= port.host_ports.last
    )


def _by_link(node: Node, packet: Packet, port: model.PublishedPort) -> tuple[str, str] | None:
    links = port.in_interfaces
    absent = [link for link in links if link not in node.nics]
    if links and len(absent) == len(links):
        reason = "that come in by %s, and there is no such interface on %s" % (" or ".join(links), node.name)
        return reason, _run(
            "Replace %s in in_interfaces of the port by an interface that is there" % " and ".join(links)
        )
    if links and packet.iif not in links:
        reason = "that come in by %s, and this one came in by %s" % (" or ".join(links), packet.iif)
        return reason, _run("Add %s to in_interfaces of the port, if its clients may use it" % packet.iif)
    holder = node.holder(packet.to)
    if port.bound and holder is not None and packet.iif != holder.name:
        reason = "that come in by %s, which has that address, and this one came in by %s" % (holder.name, packet.iif)
        advice = "Name %s and %s in in_interfaces of the port, if clients by both may use it"
        return reason, _run(advice % (holder.name, packet.iif))
    return None


def _by_source(packet: Packet, port: model.PublishedPort) -> tuple[str, str] | None:
    if not port.sources or any(packet.source in source for source in port.sources):
        return None
    reason = "from %s, and this one came from %s" % (model.enumerate_few(list(map(str, port.sources))), packet.source)
    return reason, _run("Add %s to allowed_sources of the port, if it may use it" % packet.source)


def _run(what: str) -> str:
    return "%s, and run the playbook." % what
