# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question, its first packet, and the form in which the answer is returned."""

from __future__ import annotations

import ipaddress
import typing as t

from .. import model
from ..records import dataclass, replace
from . import whose
from .packet import Packet
from .topology import Nic, Node, Topology
from .trail import Trail, Verdict
from .walk import Walk

HOST_NAME, OUTSIDE = "host", "outside"
_SYN_BYTES, _ECHO_BYTES = 60, 28
# Stands in for a router with a link-local address, from which nothing is forwarded; from a block that nobody has.
_FAR = "2000::1"


@dataclass(frozen=True)
class Question:
    """The question as the user put it."""

    origin: str
    to: str
    port: int = 0
    protocol: str = "tcp"
    source_address: str = ""
    size: int = 0
    timeout: float = 4.0
    inject: bool = True
    active: bool = True


@dataclass(frozen=True)
class Start:
    """The start of the packet: in a stack, or outside, from where it enters a link of the host."""

    node: Node
    packet: Packet
    nic: Nic | None = None

    def walk(self, topology: Topology, trail: Trail) -> Verdict:
        """Follow the packet."""
        walk = Walk(topology, trail)
        return walk.from_outside(self.nic, self.packet) if self.nic else walk.from_node(self.node, self.packet)


def answer(verdict: Verdict, trail: Trail, start: Start, topology: Topology) -> dict[str, object]:
    """The result of the module: the verdict, and the findings of the walk."""
    return {
        "verdict": verdict.verdict,
        "layer": verdict.layer,
        "place": verdict.place,
        "owner": whose.of_verdict(verdict, topology),
        "reason": verdict.reason,
        "advice": verdict.advice,
        "packet": "%s > %s/%s" % (_sender(start), start.packet.target, start.packet.protocol),
        "hops": [
            {
                "place": hop.place,
                "direction": "back" if hop.answer else "there",
                "layer": hop.layer,
                "object": hop.object,
                "found": hop.found,
            }
            for hop in trail.hops
        ],
        "seen": [],
        "conntrack": [],
    }


def _sender(start: Start) -> str:
    return start.node.name if start.packet.source.is_unspecified else start.packet.origin


# ---- from options to a packet


def find_start(topology: Topology, question: Question) -> Start:
    """The first packet of the question; InvalidRequest if it names something that this host does not have.

    The source port is left to the kernel, so the walk does not know it.
    """
    origin = None if question.origin == OUTSIDE else _node(topology, question.origin, "from")
    to = _address(topology, origin, question)
    packet = Packet(
        source=ipaddress.ip_address("::" if to.version == 6 else "0.0.0.0"),
        to=to,
        protocol=question.protocol if question.port else "icmp",
        dport=question.port,
        size=question.size or (_SYN_BYTES if question.port else _ECHO_BYTES),
    )
    source = _given_source(question, to)
    if origin is None:
        return _from_outside(topology, packet, source)
    return Start(origin, packet.at(source=source or _own_source(origin, packet)))


def _node(topology: Topology, name: str, option: str) -> Node:
    found = _named(topology, name)
    if found is None:
        owners = map(topology.owner, topology.called(name, None))
        found = next((owner for owner in owners if owner is not None), None)
    if found is None:
        raise _nobody(topology, name, option)
    return found


def _named(topology: Topology, name: str) -> Node | None:
    """The stack with a name, which may have that of a network behind it; not by its other names."""
    if name == HOST_NAME:
        return topology.host
    endpoint = name.partition(".")[0] if name not in topology.names() else name
    return topology.node(model.Place(netns=endpoint)) if endpoint in topology.names() else None


def _nobody(topology: Topology, name: str, option: str) -> model.InvalidRequest:
    endpoint = name.partition(".")[0]
    if topology.has_lost(endpoint):
        return model.InvalidRequest(
            "%s: the namespace of endpoint %s has lost its name, and only its processes keep it alive; run the playbook"
            " to give it that name back." % (option, endpoint)
        )
    others = "; host is the host itself, and outside is any other machine"
    if option == "to":
        others = "; of another machine, give the address, as DNS is not asked"
    there = ", ".join(sorted(topology.names())[:20]) or "none"
    return model.InvalidRequest(
        "%s: there is no endpoint %s on this host, nor is that an alias of one; there are %s%s."
        % (option, name, there, others)
    )


def _given_source(question: Question, to: model.Address) -> model.Address | None:
    source = _parsed_source(question)
    if source is not None and source.version != to.version:
        raise model.InvalidRequest("source_address: %s is of the other address family than %s." % (source, to))
    return source


def _parsed_source(question: Question) -> model.Address | None:
    if not question.source_address:
        return None
    try:
        return ipaddress.ip_address(question.source_address)
    except ValueError:
        raise model.InvalidRequest(
            "source_address: %r is not a valid IP address; write it like 192.0.2.7." % question.source_address
        ) from None


def _address(topology: Topology, origin: Node | None, question: Question) -> model.Address:
    try:
        address = ipaddress.ip_address(question.to)
    except ValueError:
        return _address_by_name(topology, origin, question)
    nodes = [topology.host, *([origin] if origin is not None else [])]
    own = [one.network for node in nodes for nic in node.nics.values() for one in nic.addresses]
    everybody = [ipaddress.ip_network("255.255.255.255"), *(network for network in own if network.prefixlen < 31)]
    if address.is_multicast or any(one.version == 4 and one.broadcast_address == address for one in everybody):
        raise model.InvalidRequest("to: %s is for several machines at once; give the address of one." % address)
    return address


def _address_by_name(topology: Topology, origin: Node | None, question: Question) -> model.Address:
    source = _parsed_source(question)
    own = [one for one in _meanings(topology, origin, question) if source is None or one.version == source.version]
    if not own:
        raise model.InvalidRequest(
            "to: %s has no address to send to; write an address instead of the name." % question.to
        )
    # the hosts file of an endpoint has the gateways in the order in which programs take them
    near = [] if question.to == HOST_NAME else [one for one in own if _is_near(origin, one)]
    return min(near or own, key=lambda one: one.version)


def _meanings(topology: Topology, origin: Node | None, question: Question) -> t.Sequence[model.Address]:
    """The addresses for which a name stands where the packet comes from."""
    name = question.to
    if name == HOST_NAME and origin is None:
        found = _where_it_enters(topology.host, question)
    elif name == HOST_NAME and origin is not topology.host:
        found = topology.called(name, origin) or _gateways(topology.host, origin)
    else:
        found = []
    node = _named(topology, name)
    found = found or (topology.called(name, origin) if node is None else _addresses(topology, node, name))
    if node is None and not found:
        raise _nobody(topology, name, "to")
    return found


def _where_it_enters(host: Node, question: Question) -> list[model.Address]:
    """The addresses of the host on the links by which packets come in from outside."""
    from .default_route import default_route

    source = _parsed_source(question)
    if source is not None:
        way = host.route(Packet(source=source, to=source), checked=False)
        links: dict[int, str] = {source.version: way.link}
    else:
        defaults = {version: default_route(host, version) for version in model.VERSIONS}
        links = {version: found.link for version, found in defaults.items() if found is not None}
    own = [host.own_address(link, version) for version, link in links.items()]
    return [one for one in own if one is not None]


def _gateways(host: Node, origin: Node | None) -> list[model.Address]:
    """The addresses of the host in the networks of an endpoint that has no hosts file."""
    own = [one.ip for nic in host.nics.values() for one in nic.addresses]
    return [one for one in own if _is_near(origin, one)]


def _is_near(origin: Node | None, address: model.Address) -> bool:
    own = [one for nic in origin.nics.values() for one in nic.addresses] if origin is not None else []
    return any(one.version == address.version and not one.is_link_local and address in one.network for one in own)


def _addresses(topology: Topology, node: Node, name: str) -> list[model.Address]:
    network = "" if node.is_host or node.name == name else name.partition(".")[2]
    nics = [
        nic for nic in node.nics.values() if nic.name != "lo" and (not network or _is_of(topology, node, nic, network))
    ]
    if node.is_host:
        nics = [nic for nic in nics if not nic.is_ours]
    return [one.ip for nic in nics for one in nic.addresses if not one.is_link_local]


def _is_of(topology: Topology, node: Node, nic: Nic, network: str) -> bool:
    """Whether a link belongs to a network; the mark is on the host's end."""
    end = topology.peer(node, nic)
    return network in (nic.network, end[1].network if end is not None else "")


def _own_source(node: Node, packet: Packet) -> model.Address:
    """The source address that the kernel would choose; unspecified if there is none, which the walk then reports."""
    way = node.route(packet)
    return way.source or packet.source


def _from_outside(topology: Topology, packet: Packet, source: model.Address | None) -> Start:
    """A packet that comes in by the uplink, from the default router unless another source is given."""
    host = topology.host
    if source is None:
        return _from_router(host, packet)
    owner = topology.owner(source)
    if owner is not None:
        raise model.InvalidRequest("source_address: %s is not outside; write from: %s." % (source, owner.name))
    way = host.route(packet.at(to=source))
    if way.error or way.is_local or not way.link:
        raise model.InvalidRequest(
            "source_address: %s is not outside of this host, or has no route; give the address of a sender outside."
            % source
        )
    return Start(host, replace(packet, source=source), host.nics[way.link])


def _from_router(host: Node, packet: Packet) -> Start:
    from .default_route import default_route

    found = default_route(host, packet.version)
    if found is None or found.gateway is None or found.gateway.version != packet.version:
        what = "this host has no default route" if found is None else "the default route of this host has no router"
        raise model.InvalidRequest(
            "source_address: %s for IPv%d; give the address of the sender outside." % (what, packet.version)
        )
    source = ipaddress.ip_address(_FAR) if found.gateway.is_link_local else found.gateway
    return Start(host, replace(packet, source=source), host.nics[found.link])
