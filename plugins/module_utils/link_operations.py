# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change links, their addresses and their routes."""

from __future__ import annotations

import shlex
import typing as t

from . import model, operations
from .kernel import decode, state
from .marks import DOOMED_GROUP, LINK_GROUP, ROUTE_PROTOCOL, RULE_PRIORITY
from .records import dataclass

if t.TYPE_CHECKING:
    from .kernel.host import Host


@dataclass(frozen=True)
class AddBridge(operations.Operation):
    """Make a bridge, down, with our mark and with a MAC address of its own, which ports cannot change."""

    name: str
    mac_address: str
    mtu: int | None = None
    stp: bool = False

    def commands(self) -> list[str]:
        mtu: tuple[object, ...] = () if self.mtu is None else ("mtu", self.mtu)
        words = ("link", "add", "name", self.name, "address", self.mac_address, *mtu, "group", LINK_GROUP)
        return [operations.inside(model.HOST, "ip", *words, "type", "bridge", "stp_state", int(self.stp))]

    def apply(self, host: Host) -> None:
        host.stack(model.HOST).add_bridge(self.name, self.mac_address, self.mtu, self.stp)

    def undo(self) -> list[operations.Operation]:
        return [DeleteLinks((self.name,))]


@dataclass(frozen=True)
class AddVeth(operations.Operation):
    """Make a veth pair in one request: the peer is created in its namespace, under its final name."""

    name: str
    peer: str
    place: model.Place
    mtu: int | None = None
    peer_mac_address: str | None = None
    bridge: str | None = None

    def commands(self) -> list[str]:
        mtu: tuple[object, ...] = () if self.mtu is None else ("mtu", self.mtu)
        master: tuple[object, ...] = () if self.bridge is None else ("master", self.bridge)
        address: tuple[object, ...] = () if self.peer_mac_address is None else ("address", self.peer_mac_address)
        where = self.place.netns if self.place.netns is not None else self.place.pid
        netns: tuple[object, ...] = () if where is None else ("netns", where)
        words = ("link", "add", "name", self.name, *mtu, "group", LINK_GROUP, *master, "type", "veth", "peer")
        return [
            operations.inside(model.HOST, "ip", *words, "name", self.peer, *mtu, "group", LINK_GROUP, *address, *netns)
        ]

    def apply(self, host: Host) -> None:
        host.stack(model.HOST).add_veth(
            self.name, self.peer, host.stack(self.place), self.mtu, self.peer_mac_address, self.bridge
        )

    def undo(self) -> list[operations.Operation]:
        return [DeleteLinks((self.name,))]


@dataclass(frozen=True)
class SetLink(operations.Operation):
    """Change values of a link: mtu, address (MAC), alias, master (None: no bridge), up, arp, stp."""

    place: model.Place
    name: str
    changes: tuple[tuple[str, state.LinkValue], ...]
    before: tuple[tuple[str, state.LinkValue], ...] = ()

    def commands(self) -> list[str]:
        words: list[object] = []
        for key, value in self.changes:
            if key == "up":
                words.append("up" if value else "down")
            elif key == "arp":
                words += ["arp", "on" if value else "off"]
            elif key == "master" and value is None:
                words.append("nomaster")
            elif key != "stp":
                words += [key, value]
        result = [operations.inside(self.place, "ip", "link", "set", "dev", self.name, *words)] if words else []
        stp = dict(self.changes).get("stp")
        if stp is not None:
            result.append(
                operations.inside(
                    self.place, "ip", "link", "set", "dev", self.name, "type", "bridge", "stp_state", int(stp)
                )
            )
        return result

    def apply(self, host: Host) -> None:
        host.stack(self.place).set_link(self.name, dict(self.changes))

    def undo(self) -> list[operations.Operation]:
        return [SetLink(self.place, self.name, self.before, self.changes)] if self.before else []


@dataclass(frozen=True)
class SetPort(operations.Operation):
    """Change the flags of a bridge's port: isolated, hairpin and others; its state is forwarding or disabled."""

    name: str
    changes: tuple[tuple[str, bool], ...]

    def commands(self) -> list[str]:
        spelled = {"state": ("disabled", "forwarding")}
        words = [word for key, value in self.changes for word in (key, spelled.get(key, ("off", "on"))[value])]
        return [shlex.join(["bridge", "link", "set", "dev", self.name, *words])]

    def apply(self, host: Host) -> None:
        host.stack(model.HOST).set_port(self.name, dict(self.changes))

    def undo(self) -> list[operations.Operation]:
        return [SetPort(self.name, tuple((key, not value) for key, value in self.changes))]


@dataclass(frozen=True)
class DeleteLinks(operations.Operation):
    """Delete links; both ends of a veth pair go at once. A link that is gone already is skipped."""

    names: tuple[str, ...]
    again: tuple[operations.Operation, ...] = ()  # the steps that make them again
    place: model.Place = model.HOST

    def joined(self, after: operations.Operation) -> DeleteLinks | None:
        """Both deletions as one, since the kernel waits once for each request and not for each link.

        The link that is deleted last is made again first: a bridge before its ports.
        """
        if not isinstance(after, DeleteLinks) or after.place != self.place:
            return None
        return DeleteLinks(self.names + after.names, after.again + self.again, self.place)

    def commands(self) -> list[str]:
        if len(self.names) == 1:
            return [operations.inside(self.place, "ip", "link", "delete", "dev", self.names[0])]
        marked = [
            operations.inside(self.place, "ip", "link", "set", "dev", name, "group", DOOMED_GROUP)
            for name in self.names
        ]
        return [*marked, operations.inside(self.place, "ip", "link", "delete", "group", DOOMED_GROUP)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).delete_links(self.names)

    def undo(self) -> list[operations.Operation]:
        return list(self.again)


@dataclass(frozen=True)
class AddAddress(operations.Operation):
    """Add an address; an IPv6 one without duplicate address detection, which would keep it unusable for 2 s."""

    place: model.Place
    link: str
    address: model.Interface

    def commands(self) -> list[str]:
        nodad = ("nodad",) if self.address.version == 6 and not self.address.is_loopback else ()
        return [operations.inside(self.place, "ip", "address", "add", self.address, "dev", self.link, *nodad)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).add_address(self.link, self.address)

    def undo(self) -> list[operations.Operation]:
        return [RemoveAddress(self.place, self.link, self.address)]


@dataclass(frozen=True)
class RemoveAddress(operations.Operation):
    """Remove an address."""

    place: model.Place
    link: str
    address: model.Interface

    def commands(self) -> list[str]:
        return [operations.inside(self.place, "ip", "address", "delete", self.address, "dev", self.link)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).delete_address(self.link, self.address)

    def undo(self) -> list[operations.Operation]:
        return [AddAddress(self.place, self.link, self.address)]


@dataclass(frozen=True)
class RenewAddress(operations.Operation):
    """Take an IPv6 address away and give it back, so that the kernel adds its route to the table local again."""

    place: model.Place
    link: str
    address: model.Interface

    def commands(self) -> list[str]:
        steps = (RemoveAddress(self.place, self.link, self.address), AddAddress(self.place, self.link, self.address))
        found = [command for step in steps for command in step.commands()]
        return [*found, *(RemoveRoute(*route).commands()[0] for route in self._extra_routes())]

    def _extra_routes(self) -> list[tuple[model.Place, str, model.Route, int]]:
        """The route that a request for an address of a loopback adds, unlike the kernel when it adds that by itself."""
        route = model.Route(self.address.network, None, state.SUBNET_METRIC[6])
        return [(self.place, self.link, route, state.BY_THE_KERNEL)] if self.address.is_loopback else []

    def apply(self, host: Host) -> None:
        stack = host.stack(self.place)
        stack.delete_address(self.link, self.address)
        stack.add_address(self.link, self.address)
        for unused, link, route, protocol in self._extra_routes():
            stack.delete_route(link, route, protocol)


def route_words(link: str, route: model.Route, protocol: int = ROUTE_PROTOCOL) -> list[object]:
    """A route in words of ip-route(8)."""
    words: list[object] = ["default" if route.to.prefixlen == 0 else route.to]
    if route.via is not None:
        words += ["via", route.via]
    words += ["dev", link, "proto", "kernel" if protocol == state.BY_THE_KERNEL else protocol]
    if route.metric is not None:
        words += ["metric", route.metric]
    if route.table:
        words += ["table", route.table]
    return ["-6", "route", *words] if route.to.version == 6 else ["route", *words]


def route_command(place: model.Place, verb: str, link: str, route: model.Route, protocol: int = ROUTE_PROTOCOL) -> str:
    """``ip route add`` or ``delete``."""
    words = route_words(link, route, protocol)
    at = words.index("route") + 1
    return operations.inside(place, "ip", *words[:at], verb, *words[at:])


@dataclass(frozen=True)
class AddRoute(operations.Operation):
    """Add a route, with our mark, or as the kernel adds it for the address ``source``."""

    place: model.Place
    link: str
    route: model.Route
    protocol: int = ROUTE_PROTOCOL
    source: model.Address | None = None
    replaces: bool = False  # also a route that we do not read, as it leads nowhere (blackhole, unreachable)
    appends: bool = False  # leaves routes by other links to the same target alone, such as fe80::/64

    def commands(self) -> list[str]:
        source = "" if self.source is None else " src %s" % self.source
        verb = "replace" if self.replaces else "append" if self.appends else "add"
        return [route_command(self.place, verb, self.link, self.route, self.protocol) + source]

    def apply(self, host: Host) -> None:
        host.stack(self.place).add_route(self.link, self.route, self.protocol, self.source, self.replaces, self.appends)

    def undo(self) -> list[operations.Operation]:
        return [RemoveRoute(self.place, self.link, self.route, self.protocol)]


@dataclass(frozen=True)
class RemoveRoute(operations.Operation):
    """Remove a route. A route to the same target by another link may be added next."""

    place: model.Place
    link: str
    route: model.Route
    protocol: int = ROUTE_PROTOCOL
    source: model.Address | None = None  # that the undone route gets again
    clears_the_way = True

    def commands(self) -> list[str]:
        return [route_command(self.place, "delete", self.link, self.route, self.protocol)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).delete_route(self.link, self.route, self.protocol)

    def undo(self) -> list[operations.Operation]:
        return [AddRoute(self.place, self.link, self.route, self.protocol, self.source)]


def barrier_command(place: model.Place, verb: str, barrier: state.RouteEntry) -> str:
    """``ip route add`` or ``delete`` for a route of others."""
    route = barrier.route
    if verb != "del" and not (barrier.kind or barrier.is_narrow or barrier.nexthop or barrier.hops):
        return route_command(place, verb, barrier.link, route, barrier.protocol)
    family = ("-6",) if route.to.version == 6 else ()
    kind = [] if barrier.nexthop else [barrier.kind]  # for the kernel, the object alone tells what it is
    words: list[object] = [*filter(None, kind), route.to if route.to.prefixlen else "default"]
    if barrier.origin is not None:
        words += ["from", barrier.origin]
    if barrier.tos:
        words += ["tos", "0x%02x" % barrier.tos]
    hops = _hop_words(barrier)
    words += [] if barrier.hops else hops
    if route.metric:
        words += ["metric", route.metric]
    if barrier.kind in decode.LOCAL_KINDS.values() or route.table:
        words += ["table", model.TABLES.get(route.table or model.MAIN_TABLE, route.table)]
    words += hops if barrier.hops else []  # ip takes nothing behind them
    return operations.inside(place, "ip", *family, "route", verb, *words)


def _hop_words(entry: state.RouteEntry) -> list[object]:
    """The next hops of a route in words of ip-route(8)."""
    if entry.nexthop:
        return ["nhid", entry.nexthop]
    if entry.hops:
        return [word for via, link in entry.hops for word in ("nexthop", *_hop(via, link, entry.route.to.version))]
    if entry.kind in decode.NOWHERE.values():
        return []
    return [*_hop(entry.route.via, entry.link, entry.route.to.version)]


def _hop(via: model.Address | None, link: str, version: int) -> t.Iterator[object]:
    if via is not None:
        yield from ("via", *(("inet6",) if via.version != version else ()), via)
    if link:
        yield from ("dev", link)


@dataclass(frozen=True)
class AddBarrier(operations.Operation):
    """Add a route of others again."""

    place: model.Place
    barrier: state.RouteEntry

    def commands(self) -> list[str]:
        return [barrier_command(self.place, "add", self.barrier)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).add_barrier(self.barrier)

    def undo(self) -> list[operations.Operation]:
        return [RemoveBarrier(self.place, self.barrier)]


@dataclass(frozen=True)
class RemoveBarrier(operations.Operation):
    """Remove a route of others that is in the way. The right route to the same target may be added next."""

    place: model.Place
    barrier: state.RouteEntry
    clears_the_way = True

    def commands(self) -> list[str]:
        return [barrier_command(self.place, "delete", self.barrier)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).delete_barrier(self.barrier)

    def undo(self) -> list[operations.Operation]:
        return [AddBarrier(self.place, self.barrier)]


def rule_command(place: model.Place, verb: str, rule: model.SourceRule) -> str:
    """``ip rule add`` or ``delete``."""
    family = ("-6",) if rule.source.version == 6 else ()
    marks = ("priority", RULE_PRIORITY, "protocol", ROUTE_PROTOCOL)
    return operations.inside(place, "ip", *family, "rule", verb, "from", rule.source, "lookup", rule.table, *marks)


@dataclass(frozen=True)
class AddRule(operations.Operation):
    """Route packets from an address by a table, with our marks."""

    place: model.Place
    rule: model.SourceRule

    def commands(self) -> list[str]:
        return [rule_command(self.place, "add", self.rule)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).add_rule(self.rule)

    def undo(self) -> list[operations.Operation]:
        return [RemoveRule(self.place, self.rule)]


@dataclass(frozen=True)
class RemoveRule(operations.Operation):
    """Remove such a rule of ours."""

    place: model.Place
    rule: model.SourceRule

    def commands(self) -> list[str]:
        return [rule_command(self.place, "delete", self.rule)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).delete_rule(self.rule)

    def undo(self) -> list[operations.Operation]:
        return [AddRule(self.place, self.rule)]


@dataclass(frozen=True)
class AddDefaultRule(operations.Operation):
    """Have all packets routed by a table again, as the kernel has it in a new namespace."""

    place: model.Place
    rule: model.DefaultRule

    def commands(self) -> list[str]:
        return [default_rule_command(self.place, self.rule)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).add_default_rule(self.rule)


def default_rule_command(place: model.Place, rule: model.DefaultRule) -> str:
    """``ip rule add`` for a rule that the kernel has made once."""
    family = ("-6",) if rule.version == 6 else ()
    words = ("priority", rule.priority, "lookup", model.TABLES[rule.table], "protocol", "kernel")
    return operations.inside(place, "ip", *family, "rule", "add", *words)


_SCOPES = {"local": "host", "broadcast": "link"}


@dataclass(frozen=True)
class RestoreRoute(operations.Operation):
    """Add a route to the table local as the kernel does."""

    place: model.Place
    lost: state.LostRoute

    def commands(self) -> list[str]:
        lost = self.lost
        family = ("-6",) if lost.to.version == 6 else ()
        alone = lost.to.prefixlen == lost.to.max_prefixlen
        words: list[object] = [lost.kind, lost.to.network_address if alone else lost.to, "dev", lost.link]
        words += ["proto", "kernel", "table", "local"]
        if lost.to.version == 6:
            words += ["metric", state.SUBNET_METRIC[6]]
        else:
            words += ["scope", _SCOPES[lost.kind], "src", lost.source]
        return [operations.inside(self.place, "ip", *family, "route", "append", *words)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).restore_route(self.lost)


@dataclass(frozen=True)
class AwaitAddresses(operations.Operation):
    """Wait until the kernel has made links ready for IPv6, so that they answer as soon as the run has returned."""

    links: tuple[state.Awaited, ...]
    settles = -1

    def joined(self, after: operations.Operation) -> AwaitAddresses | None:
        """One wait for all links."""
        if not isinstance(after, AwaitAddresses):
            return None
        return AwaitAddresses(tuple(dict.fromkeys(self.links + after.links)))

    def commands(self) -> list[str]:
        return []  # a person takes longer to type the next command

    def apply(self, host: Host) -> None:
        host.wait_for_addresses(self.links)


@dataclass(frozen=True)
class Announce(operations.Operation):
    """Announce addresses to neighbours, which may remember another station, or that nobody answered."""

    announcements: tuple[state.Announcement, ...]

    def joined(self, after: operations.Operation) -> Announce | None:
        """All announcements at once, as they all wait for ports of bridges."""
        return Announce(self.announcements + after.announcements) if isinstance(after, Announce) else None

    def commands(self) -> list[str]:
        return [command for item in self.announcements for command in self._commands(item)]

    @staticmethod
    def _commands(item: state.Announcement) -> list[str]:
        # arping(8) is not installed everywhere, and only for IPv4
        words = ("arping", "-q", "-U", "-c", "1", "-I", item.link)
        found = [address.ip for address in item.addresses if address.version == 4 and item.to_neighbours]
        return ["%s || true" % operations.inside(item.place, *words, address) for address in found]

    def apply(self, host: Host) -> None:
        host.announce(self.announcements)
