# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of the host that lead to endpoints."""

from __future__ import annotations

import typing as t

from .. import arguments, engine, model, parsing
from ..firewall.choice import BACKEND
from ..firewall.port_table import PortTable
from ..firewall.session import FirewallSession
from ..kernel.state import PortFlows
from ..ownership import Holding, named, whose
from ..records import replace
from ..world import World
from . import common

_PUBLISHED = "%s is published already%s: %s. Choose another host port, or withdraw that one."


class PortPublishKind(engine.EndpointKind[model.PublishedPort], engine.RuleKind[model.PublishedPort]):
    """A published port, or a range of them."""

    name = "port_publish"
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {**arguments.PORT, **arguments.WARN, **arguments.NETWORK, **BACKEND}
    NAMES = ("container_ip", "allowed_sources")
    FAMILY = "container_ip"

    def parse(self, options: arguments.Options) -> model.PublishedPort:
        host_ports = parsing.port_range("host_port", options["host_port"])
        container_ip = parsing.address("container_ip", options["container_ip"])
        inside = host_ports
        if options.get("container_port") is not None:
            inside = parsing.port_range("container_port", options["container_port"])
        if len(inside) != len(host_ports):
            raise model.InvalidRequest(
                "host_port %s and container_port %s are ranges of unequal length: %d and %d ports."
                % (host_ports, inside, len(host_ports), len(inside))
            )
        if container_ip.is_unspecified or container_ip.is_loopback or not parsing.is_unicast(container_ip):
            raise model.InvalidRequest(
                "container_ip: %s cannot be the address of an endpoint; write a unicast address." % container_ip
            )
        return model.PublishedPort(
            protocol=parsing.protocol("protocol", options.get("protocol") or "tcp"),
            host_ports=host_ports,
            container_ip=container_ip,
            container_port=inside.first,
            host_ip=self._parse_host_ip(options.get("host_ip"), container_ip),
            bridge=parsing.link_name("bridge", options["bridge"]) if options.get("bridge") else "",
            allowed_sources=self._parse_sources(options, container_ip.version),
            in_interfaces=tuple(
                sorted({parsing.link_name("in_interfaces", n) for n in options.get("in_interfaces") or ()})
            ),
            network=parsing.owner(options),
            any_way=bool(options.get("any_way")),  # not an option of the user, but one of stored()
        )

    @staticmethod
    def _parse_host_ip(value: str | None, container_ip: model.Address) -> model.Address | None:
        if not value:
            return None
        host_ip = parsing.address_of_host("host_ip", value)
        if host_ip.version != container_ip.version:
            raise model.InvalidRequest(
                "host_ip %s and container_ip %s are of two address families; publish the port once for each."
                % (host_ip, container_ip)
            )
        if host_ip.version == 6 and host_ip.is_loopback:
            raise model.InvalidRequest(
                "host_ip: the kernel does not translate ::1; publish on 127.0.0.1, or on an address."
            )
        return None if host_ip.is_unspecified else host_ip

    @staticmethod
    def _parse_sources(options: arguments.Options, version: int) -> tuple[model.Network, ...]:
        sources = parsing.networks("allowed_sources", options.get("allowed_sources"))
        if any(source.prefixlen == 0 and source.version == version for source in sources):
            return ()  # everyone
        for source in sources:
            if source.version != version:
                raise model.InvalidRequest(
                    "allowed_sources: %s is of the other address family than the endpoint." % source
                )
        return sources

    def check(self, items: t.Sequence[model.PublishedPort]) -> None:
        table = PortTable()
        for item in items:
            for other in (table.get(item), *table.clashes(item)):
                if other is not None:
                    both = item.host_ports.shared(other.host_ports)
                    what = (both, item.protocol, _asked(other), _asked(item))
                    raise model.InvalidRequest(
                        "Host port %s/%s is requested twice: by %s and %s; choose another for one." % what
                    )
            table.add(item)

    def title(self, item: model.PublishedPort) -> str:
        host = "" if item.host_ip is None else "%s:" % item.host_ip
        return "port %s%s/%s (IPv%d)" % (host, item.host_ports, item.protocol, item.container_ip.version)

    def resolve(self, item: model.PublishedPort, state: str, world: World) -> model.PublishedPort:
        if state == "absent":
            return item
        item = replace(item, any_way=item.any_way or _comes_in_anywhere(item, world))
        if item.bridge:
            return item
        for link in world.links().values():
            if any(item.container_ip in address.network for address in link.addresses):
                return replace(item, bridge=link.name)
        world.assume(
            "interface", "towards %s" % item.container_ip, "make the endpoint first, or give the option bridge"
        )
        return item

    def holdings(self, item: model.PublishedPort, state: str, world: World) -> t.Iterable[Holding]:
        ports = world.firewall.ports
        found = (ports.get(item), *(ports.clashes(item) if state == "present" else ()))
        yield from (("Host port %s/%s" % (port.host_ports, port.protocol), port.network) for port in found if port)
        if state == "present" and not world.restoring:
            yield from self._behind(item, world)

    @staticmethod
    def _behind(item: model.PublishedPort, world: World) -> t.Iterator[Holding]:
        """What the port leads to. A rule opens the endpoint whichever bridge it names."""
        if item.bridge:
            yield "Bridge %s" % item.bridge, world.label(item.bridge)
        policy = world.firewall.policies.get(item.bridge)
        if policy is not None and any(item.container_ip in subnet for subnet in policy.subnets):
            yield "Bridge %s" % item.bridge, policy.network  # and in no other network, as subnets do not overlap
        else:
            yield from common.of_other_projects(item.network, lambda subnet: item.container_ip in subnet, world)

    def stored(self, item: model.PublishedPort, world: World) -> engine.Stored:
        # at boot the link may come after us
        return engine.Stored(dict(self.describe(item), **common.compact(any_way=item.any_way or None)))

    def observed(self, item: model.PublishedPort, world: World) -> engine.Description:
        world.firewall.use()
        there = world.firewall.ports.get(item)
        return None if there is None else self.describe(there)

    def wanted(self, item: model.PublishedPort, observed: engine.Description, world: World) -> engine.Description:
        return self.describe(item)

    def doubts(self, item: model.PublishedPort, world: World) -> t.Iterable[str]:
        from .doubts import of_port

        return of_port(item, world)

    @staticmethod
    def describe(item: model.PublishedPort) -> dict[str, object]:
        """The object in the words of the options."""
        return common.compact(
            host_ip=None if item.host_ip is None else str(item.host_ip),
            host_port=str(item.host_ports),
            protocol=item.protocol,
            container_ip=str(item.container_ip),
            container_port=str(item.container_ports),
            bridge=item.bridge or None,
            allowed_sources=[str(source) for source in item.allowed_sources],
            in_interfaces=list(item.in_interfaces),
            **common.belongs(item.network),
        )

    def change(self, item: model.PublishedPort, state: str, rules: FirewallSession, world: World) -> None:
        ports = rules.ports
        there = ports.get(item)
        if state == "absent":
            ports.remove(item)
            if there is not None:
                rules.stale.append(_flows(there))
        elif there != item:
            self._refuse_taken(item, there, world)
            ports.add(item)
            rules.stale.extend(_outdated(there, item))
            if there is not None and _target(there) != _target(item) and item.protocol == "tcp":
                rules.moved[item.key] = there

    def conclude(self, item: model.PublishedPort, world: World) -> None:
        """Let TCP connections go on to the old target while that is there. If it is gone, let the host refuse them."""
        there = world.firewall.moved.get(item.key)
        if there is not None and not world.is_behind(there.bridge, str(there.container_ip)):
            world.firewall.stale.append(_flows(there))

    def remark(self, item: model.PublishedPort, world: World) -> None:
        there = world.firewall.ports.get(item) or item
        policy = world.firewall.policies.get(there.bridge)
        if policy is not None and policy.internal:
            common.remark_internal(replace(item, bridge=there.bridge), world)
        for link in item.in_interfaces:
            common.remark_port(link, "in_interfaces", common.short_port(item), item.key, world)
            if link not in world.links():
                text = "There is no interface %s on this host now, and in_interfaces limits these ports to it: %%s."
                world.remark(text % link, common.short_port(item), item.key)
        if item.host_ip is not None and not item.host_ip.is_loopback:
            text = "This host does not have the address %s now, and these ports are published on it: %%s."
            common.remark_address(item.host_ip, text, common.short_port(item), item.key, world)
        if world.ways_of_answers():
            from .doubts import lost_answers

            for text in lost_answers(item, world):
                world.remark(text + ".", common.short_port(item), item.key)

    @staticmethod
    def _refuse_taken(item: model.PublishedPort, there: model.PublishedPort | None, world: World) -> None:
        what = "Host port %s/%s" % (item.host_ports, item.protocol)
        for other in world.firewall.ports.clashes(item):
            by = ", by %s" % whose(other.network) if other.network else ""
            raise model.Conflict(_PUBLISHED % (what, by, other))
        if there is not None:
            if there.network and there.network != item.network:
                by = ", by %s" % whose(there.network)
                raise model.Conflict(_PUBLISHED % (what, by, there))
            if item.network and not there.network and _target(there) != _target(item):
                raise model.Conflict(_PUBLISHED % (what, ", by a call of port_publish without a network", there))
            return
        if world.restoring:
            return  # ours from an earlier run
        holder = world.port_holder(item) or world.firewall.port_holder(item, world.local_addresses)
        if holder:
            raise model.Conflict("%s is in use: %s. Choose another host port, or free this one." % (what, holder))


def _comes_in_anywhere(item: model.PublishedPort, world: World) -> bool:
    """Whether no packet comes in by the link of its address, so that packets may come by any link.

    Packets for 127.0.0.0/8 never come in from outside.
    """
    if item.host_ip is None or item.host_ip.is_loopback:
        return False
    nowhere = (link for link in world.links().values() if link.name == "lo" or link.kind == "dummy")
    return any(item.host_ip == address.ip for link in nowhere for address in link.addresses)


def _asked(item: model.PublishedPort) -> str:
    """A port with its endpoint in front, where that is known."""
    return "%s (%s)" % (named(item.network, item.endpoint), item) if item.endpoint else str(item)


def _target(item: model.PublishedPort) -> tuple[model.Address, int]:
    return (item.container_ip, item.container_port)


def _outdated(there: model.PublishedPort | None, item: model.PublishedPort) -> t.Iterator[PortFlows]:
    """The flows that would go on as they began, though a new one would not.

    A TCP client connects again by itself; a UDP client keeps the translation that it began with, or the lack of one.
    """
    udp = item.protocol == "udp"
    if there is None or (_target(there) != _target(item) and item.protocol != "tcp"):
        if there is not None or udp:
            yield _flows(item)
        return
    everyone = (model.ANYWHERE[item.container_ip.version],)
    if _closes_ways(there, item) or (udp and _closes_ways(item, there)):
        yield _flows(item, everyone)  # the interface of a flow is not known
        return
    before, after = there.sources or everyone, item.sources or everyone
    changed = model.without(before, after) + (model.without(after, before) if udp else ())
    if changed:
        yield _flows(item, changed)


def _closes_ways(before: model.PublishedPort, after: model.PublishedPort) -> bool:
    """Whether a change leaves out interfaces by which clients could come in."""
    if after.in_interfaces:
        return not before.in_interfaces or not set(before.in_interfaces) <= set(after.in_interfaces)
    return after.bound and not before.bound


def _flows(item: model.PublishedPort, sources: t.Iterable[model.Network] = ()) -> PortFlows:
    """The flows to a port, or those that come to it from these sources."""
    host_ip = "" if item.host_ip is None else str(item.host_ip)
    ports, texts = item.host_ports, tuple(map(str, sources))
    return PortFlows(item.container_ip.version, item.protocol, ports.first, ports.last, host_ip, texts)
