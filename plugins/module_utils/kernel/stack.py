# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One network stack, the host's or a namespace's: its links, addresses, routes and sysctls."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from .. import marks, model
from . import decode, netlink, requests, state, sysctl
from .cache import Cache, Changes
from .errors import KernelError
from .sockets import Sockets

Hints = t.Mapping[int, str]

_BRIDGE_FULL = {errno.EXFULL: "a bridge takes %d ports" % model.BRIDGE_PORTS}
# What the kernel says of a link, an address and a route that is not there.
_GONE = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ESRCH)
# What a kernel without policy routing says, for all versions of IP or for one.
_WITHOUT_RULES = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


class Dump(t.NamedTuple):
    """The kernel's answers about a stack, undecoded."""

    links: list[bytes]
    addresses: list[bytes]
    routes: list[list[bytes]]  # IPv4, IPv6; of all tables
    rules: list[bytes]


class Stack:
    """A network stack. What was read of it is kept until the run changes something, here or elsewhere."""

    def __init__(self, place: model.Place, sockets: Sockets, changes: Changes) -> None:
        self.place = place
        self._sockets = sockets
        self._changes = changes
        self._cache = Cache(changes)

    def links(self) -> t.Mapping[str, state.Link]:
        """The links by name, with their addresses."""
        return self._cache.get("links", self._read_links).links

    def routes(self) -> t.Sequence[state.RouteEntry]:
        """The unicast routes of the main table, IPv4 before IPv6; one entry for each next hop."""
        return self._cache.get("routes", lambda: [entry for entry in self._all_routes() if not entry.kind])

    def barriers(self) -> t.Sequence[state.RouteEntry]:
        """The routes of the main table that lead nowhere, such as a blackhole, or that make packets the stack's own.

        In the table local, these are all routes that the kernel has not made.
        """
        return [*(entry for entry in self._all_routes() if entry.kind), *self._local_routes()]

    def _all_routes(self) -> t.Sequence[state.RouteEntry]:
        return self._cache.get("all routes", self._read_routes)

    def source_rules(self) -> t.Sequence[model.SourceRule]:
        """The rules of ours by which what is sent from an address has a routing table of its own."""
        ours = [rule for rule in self._rules() if rule.ours and rule.by_source]
        return [model.SourceRule(rule.source.network_address, rule.table) for rule in ours]

    def rules_of_others(self) -> t.Sequence[tuple[model.Network, int]]:
        """The rules of others by which what is sent from a network has a routing table of its own."""
        found = [rule for rule in self._rules() if not rule.ours and rule.by_source]
        return [(rule.source, rule.table) for rule in found if rule.table != decode.RT_TABLE_MAIN]

    def rules(self) -> t.Sequence[decode.RuleEntry]:
        """All rules of routing, in the order in which the kernel asks them."""
        return self._rules()

    def lookups(self) -> t.Sequence[state.Lookup]:
        """All rules of routing."""
        return [state.Lookup(rule.source.version, rule.table, rule.ours) for rule in self._rules()]

    def has_rules(self, version: int) -> bool:
        """Whether the kernel has rules of routing for a version of IP, even if there are none at the moment."""
        try:
            self.socket().dump(requests.RTM_GETRULE, requests.all_of(version))
        except OSError as error:
            return error.errno not in _WITHOUT_RULES
        return True

    def lost_routes(self) -> t.Sequence[state.LostRoute]:
        """The routes that the table local lacks for the addresses and links of this stack."""
        return self._cache.get("lost routes", self._read_lost)

    def _read_lost(self) -> list[state.LostRoute]:
        links, dump = self.links().values(), self._cache.peek("dump")
        found = dump.addresses if dump is not None else self._address_messages()
        return decode.lost(found, [message for messages in self._local_messages() for message in messages], links)

    def _local_routes(self) -> t.Sequence[state.RouteEntry]:
        return self._cache.get("local routes", self._read_any_ip)

    def _read_any_ip(self) -> list[state.RouteEntry]:
        names = {link.index: link.name for link in self.links().values()}
        return [
            entry
            for version, found in zip((4, 6), self._local_messages())
            for entry in decode.local_routes(found, names, requests.family(version), state.BY_THE_KERNEL)
        ]

    def _local_messages(self) -> t.Sequence[t.Sequence[bytes]]:
        """Routes of each version of IP, among them those of the table local."""
        dump: Dump | None = self._cache.peek("dump")
        return dump.routes if dump is not None else self._cache.get("table local", self._read_local)

    def _read_local(self) -> list[list[bytes]]:
        with self._reported("list the routes of the table local"):
            return [_dump_routes(self.socket(), version, decode.RT_TABLE_LOCAL) for version in (4, 6)]

    def marked_tables(self) -> t.Container[tuple[int, int]]:
        """IP version and number of the tables to which a rule by mark leads."""
        return {(rule.source.version, rule.table) for rule in self._rules() if rule.by_mark and rule.table}

    def _rules(self) -> t.Sequence[decode.RuleEntry]:
        return self._cache.get("rules", self._read_rules)

    def _read_rules(self) -> list[decode.RuleEntry]:
        messages = self._rule_messages()
        return [rule for version in (4, 6) for rule in decode.rules(messages, requests.family(version))]

    def _rule_messages(self) -> list[bytes]:
        dump: Dump | None = self._cache.peek("dump")
        if dump is not None:
            return dump.rules
        with self._reported("list the rules of routing"):
            return _dump_rules(self.socket())

    def table_routes(self, table: int) -> t.Sequence[state.RouteEntry]:
        """The unicast routes of one table."""
        return [entry for entry in self._all_of_table(table) if not entry.kind]

    def table_barriers(self, table: int) -> t.Sequence[state.RouteEntry]:
        """The routes of one table that lead nowhere."""
        return [entry for entry in self._all_of_table(table) if entry.kind]

    def _all_of_table(self, table: int) -> t.Sequence[state.RouteEntry]:
        return self._cache.get("table %d" % table, lambda: self._read_routes(table))

    def local_addresses(self) -> frozenset[bytes]:
        """Every address of this stack, link-local ones too, as packed bytes."""
        return frozenset(packed for _index, _length, packed in decode.addresses(self._address_messages()))

    def way(self, source: bytes, to: bytes) -> str:
        """The link by which packets leave that this stack forwards between two addresses; empty if they do not."""
        opened = self.socket()
        try:
            inside = decode.out_of(opened.ask(requests.RTM_GETROUTE, requests.way_to(source)))
            out = decode.out_of(opened.ask(requests.RTM_GETROUTE, requests.way_to(to, source, inside)))
        except OSError:
            return ""
        return next((link.name for link in self.links().values() if link.index == out), "")

    def is_known(self) -> bool:
        """Whether there is nothing to gain by reading it with others."""
        return self._cache.peek("dump") is not None or self._cache.peek("links") is not None

    def keep(self, dump: Dump) -> None:
        """Take what was read of this stack together with others."""
        self._cache.put("dump", dump)

    def read_sysctl(self, key: str) -> str | None:
        """The value of a key such as net/ipv4/ip_forward; None when there is no such key."""
        known: dict[str, str | None] = self._cache.get("sysctls", dict)
        if key not in known:
            listing: decode.Listing | None = self._cache.peek("links")
            found = None if listing is None else listing.setting(key)
            if found is None:
                with self._reported("read sysctl %s" % key):
                    found = self._sockets.inside(self.place, lambda: sysctl.read(key))
            known[key] = found
        return known[key]

    def write_sysctl(self, key: str, value: str) -> None:
        """Set a key such as net/ipv4/ip_forward."""
        hints = {errno.ENOENT: "there is no such key", errno.EINVAL: "the key does not take this value"}
        with self._changing("set sysctl %s to %s" % (key, value), hints):
            self._sockets.write_sysctl(self.place, key, value)

    def add_bridge(self, name: str, mac_address: str, mtu: int | None, stp: bool) -> None:
        """Make a bridge, down, with the mark of ours."""
        with self._changing("add bridge %s" % name, {errno.EEXIST: "a link of that name is already there"}):
            # A bridge follows the MTU of its ports until its own is changed once. The MTU that it is created with does
            # not count as a change, so it is created with another one.
            first = None if mtu is None else mtu ^ 1
            self._request(requests.RTM_NEWLINK, requests.bridge(name, mac_address, first, stp), netlink.NEW)
            if mtu is not None:
                self._request(requests.RTM_NEWLINK, requests.link(name, {"mtu": mtu}, 0))

    def add_veth(
        self,
        name: str,
        peer: str,
        peer_stack: Stack,
        mtu: int | None,
        peer_mac: str | None,
        bridge: str | None,
    ) -> None:
        """Make a veth, both ends down, both with the mark of ours, the peer at once in its namespace."""
        what = "add veth %s with its peer %s in %s" % (name, peer, peer_stack.place)
        hints = {errno.EEXIST: "a link of one of these names is already there", **_BRIDGE_FULL}
        with self._changing(what, hints):
            master = None if bridge is None else self._index(bridge)
            namespace = peer_stack.socket().namespace()
            try:
                body = requests.veth(name, peer, namespace, mtu, peer_mac, master)
                self._request(requests.RTM_NEWLINK, body, netlink.NEW)
            finally:
                os.close(namespace)

    def set_link(self, name: str, changes: t.Mapping[str, state.LinkValue]) -> None:
        """Change mtu, address, alias, master (None: no bridge), up, arp and stp in one request."""
        with self._changing("change %s of link %s" % (", ".join(changes), name), _BRIDGE_FULL):
            bridge = changes.get("master")
            master = 0 if bridge is None else self._index(str(bridge))
            self._request(requests.RTM_NEWLINK, requests.link(name, changes, master))

    def set_port(self, name: str, changes: t.Mapping[str, bool]) -> None:
        """Change the flags of a bridge's port: isolated, hairpin, those of decode.PORT_FLAGS, and state."""
        hints = {errno.EOPNOTSUPP: "it is not the port of a bridge"}
        with self._changing("change %s of bridge port %s" % (", ".join(changes), name), hints):
            self._request(requests.RTM_NEWLINK, requests.port(name, changes))

    def delete_link(self, name: str) -> None:
        """Delete a link, and the peer of a veth with it; do nothing if it is already gone."""
        with self._changing("delete link %s" % name, gone=_GONE):
            self._request(requests.RTM_DELLINK, requests.named(name))

    def delete_links(self, names: t.Sequence[str]) -> None:
        """Delete links by one request, since the kernel waits 20 ms for each; skip those that are already gone."""
        if len(names) == 1:
            self.delete_link(names[0])
            return
        for name in names:
            with self._changing("mark link %s for deletion" % name, gone=_GONE):
                self._request(requests.RTM_NEWLINK, requests.link(name, {"group": marks.DOOMED_GROUP}, 0))
        with self._changing("delete links %s" % ", ".join(names[:5]), gone=_GONE):
            self._request(requests.RTM_DELLINK, requests.grouped(marks.DOOMED_GROUP))

    def add_address(self, link: str, interface: model.Interface) -> None:
        """Add an address, an IPv6 one without duplicate address detection."""
        with self._changing("add address %s to link %s" % (interface, link), {errno.EEXIST: "it is already there"}):
            self._request(requests.RTM_NEWADDR, requests.address(interface, self._index(link)), netlink.NEW)

    def delete_address(self, link: str, interface: model.Interface) -> None:
        """Remove an address; do nothing if it is already gone.

        With the first one of an IPv4 subnet the kernel removes those that follow it there, unless promote_secondaries
        is on: a plan has to take those away before it.
        """
        what = "delete address %s from link %s" % (interface, link)
        with self._changing(what, gone=_GONE):
            self._request(requests.RTM_DELADDR, requests.address(interface, self._index(link)))

    def add_route(
        self,
        link: str,
        route: model.Route,
        protocol: int = marks.ROUTE_PROTOCOL,
        source: model.Address | None = None,
        replaces: bool = False,
        appends: bool = False,
    ) -> None:
        """Add a route, with the mark of ours unless it is the kernel's or belongs to others."""
        hints = {
            errno.EEXIST: "there is another one with this metric",
            errno.ENETUNREACH: "the gateway has to be in a subnet of the link, the link up, and the table main among"
            " those that 'ip rule' shows",
        }
        scope = requests.RT_SCOPE_UNIVERSE if route.via is not None else requests.RT_SCOPE_LINK
        with self._changing("add %s" % _said(link, route), hints):
            body = requests.route(route, self._index(link), scope, protocol, source)
            self._request(
                requests.RTM_NEWROUTE,
                body,
                netlink.REPLACED if replaces else netlink.APPENDED if appends else netlink.NEW,
            )

    def delete_route(self, link: str, route: model.Route, protocol: int = marks.ROUTE_PROTOCOL) -> None:
        """Remove a route, one of ours unless it is said otherwise; do nothing if it is already gone."""
        with self._changing("delete %s" % _said(link, route), gone=_GONE):
            body = requests.route(route, self._index(link), requests.RT_SCOPE_NOWHERE, protocol)
            self._request(requests.RTM_DELROUTE, body)

    def add_barrier(self, barrier: state.RouteEntry) -> None:
        """Add a route of others again, as the kernel has told of it; of IPv4 routes that are alike, first or last."""
        appends = barrier.is_behind and barrier.route.to.version == 4
        with self._changing("add the %s route to %s" % (barrier.kind, barrier.route.to)):
            flags = netlink.APPENDED if appends else netlink.NLM_F_CREATE
            self._request(requests.RTM_NEWROUTE, decode.same_route(barrier.message), flags)

    def delete_barrier(self, barrier: state.RouteEntry) -> None:
        """Remove exactly this route, of whatever shape; do nothing if it is already gone."""
        with self._changing("delete the %s route to %s" % (barrier.kind, barrier.route.to), gone=_GONE):
            self._request(requests.RTM_DELROUTE, decode.same_route(barrier.message, 0))

    def add_rule(self, rule: model.SourceRule) -> None:
        """Have what is sent from an address routed by a table."""
        hints = {errno.EEXIST: "it is already there", errno.EOPNOTSUPP: "the kernel has no policy routing"}
        with self._changing("add the rule from %s lookup %d" % (rule.source, rule.table), hints):
            self._request(requests.RTM_NEWRULE, requests.source_rule(rule), netlink.NEW)

    def delete_rule(self, rule: model.SourceRule) -> None:
        """Remove such a rule of ours; do nothing if it is already gone."""
        with self._changing("delete the rule from %s lookup %d" % (rule.source, rule.table), gone=(errno.ENOENT,)):
            self._request(requests.RTM_DELRULE, requests.source_rule(rule))

    def add_default_rule(self, rule: model.DefaultRule) -> None:
        """Have all packets routed by a table again; do nothing if they are."""
        with self._changing("add the rule lookup %d" % rule.table, gone=(errno.EEXIST,)):
            self._request(requests.RTM_NEWRULE, requests.default_rule(rule), netlink.NEW)

    def restore_route(self, lost: state.LostRoute) -> None:
        """Add a route to the table local as the kernel does; do nothing if it is there."""
        what = "add the %s route to %s through link %s to the table local" % (lost.kind, lost.to, lost.link)
        with self._changing(what, gone=(errno.EEXIST,)):
            self._request(requests.RTM_NEWROUTE, requests.lost_route(lost, self._index(lost.link)), netlink.APPENDED)

    def unanswered(self) -> list[tuple[str, model.Address]]:
        """Link and address of each neighbour that does not answer."""
        names = {link.index: link.name for link in self.links().values()}
        with self._reported("list the neighbours"):
            return decode.unanswered(self.socket().dump(requests.RTM_GETNEIGH, requests.ALL_NEIGHBOURS), names)

    def fixed_neighbours(self) -> t.Mapping[tuple[str, model.Address], str]:
        """The MAC addresses that somebody has set for good, by link and address."""
        names = {link.index: link.name for link in self.links().values()}
        with self._reported("list the neighbours"):
            return decode.fixed(self.socket().dump(requests.RTM_GETNEIGH, requests.ALL_NEIGHBOURS), names)

    def controlled(self) -> t.Mapping[str, str]:
        """The links with filters of traffic control, and where those are attached: ingress or egress."""
        names = {link.index: link.name for link in self.links().values()}
        with self._reported("list the filters of traffic control"):
            return {names[index]: where for index, where in controlled(self.socket()).items() if index in names}

    def tell_neighbour(self, link: str, address: model.Address, mac_address: str) -> None:
        """Tell the kernel the MAC address of a neighbour that does not answer, so that waiting packets are sent."""
        with self._reported("set the neighbour %s on link %s" % (address, link)):
            body = requests.neighbour(address, self._index(link), mac_address)
            self._request(requests.RTM_NEWNEIGH, body, netlink.NLM_F_REPLACE)

    def number_of(self, fd: int) -> int:
        """The number by which links of this stack name the namespace that is open as ``fd``; negative: none."""
        with self._reported("ask for the number of a namespace"):
            return decode.namespace_number(self.socket().ask(requests.RTM_GETNSID, requests.namespace_number(fd)))

    def socket(self) -> netlink.NetlinkSocket:
        """The socket of this stack; it may be closed as soon as another stack's is used."""
        return self._sockets.get(self.place)

    def _read_links(self) -> decode.Listing:
        dump: Dump | None = self._cache.peek("dump")
        if dump is not None:
            return decode.links(dump.links, dump.addresses)
        with self._reported("list the links"):
            return decode.links(self.socket().dump(requests.RTM_GETLINK, requests.ALL_LINKS), self._address_messages())

    def _address_messages(self) -> list[bytes]:
        with self._reported("list the addresses"):
            return self.socket().dump(requests.RTM_GETADDR, requests.ALL_ADDRESSES)

    def _read_routes(self, table: int = 0) -> list[state.RouteEntry]:
        names = {link.index: link.name for link in self.links().values()}
        dump: Dump | None = None if table else self._cache.peek("dump")
        with self._reported("list the routes"):
            messages = dump.routes if dump is not None else [_dump_routes(self.socket(), v, table) for v in (4, 6)]
        return [
            entry
            for version, found in zip((4, 6), messages)
            for entry in decode.routes(found, names, requests.family(version), table)
        ]

    def _request(self, kind: int, body: bytes, flags: int = 0) -> None:
        self.socket().request(kind, body, flags)

    def _index(self, link: str) -> int:
        try:
            return self.socket().index(link)
        except OSError as error:
            raise OSError(error.errno, "there is no link %s" % link) from error

    @contextlib.contextmanager
    def _changing(self, what: str, hints: Hints | None = None, gone: t.Collection[int] = ()) -> t.Iterator[None]:
        """As _reported; afterwards nothing that was read before counts any more."""
        try:
            with self._reported(what, hints, gone):
                yield
        finally:
            self._changes.count += 1

    @contextlib.contextmanager
    def _reported(self, what: str, hints: Hints | None = None, gone: t.Collection[int] = ()) -> t.Iterator[None]:
        """Turn an OSError into a KernelError, or into nothing when its number is in ``gone``."""
        try:
            yield
        except OSError as error:
            if error.errno in gone:
                return
            where = "" if self.place == model.HOST else " in %s" % self.place
            raise KernelError(what + where, error, (hints or {}).get(error.errno or 0, "")) from error


def read_all(opened: netlink.NetlinkSocket) -> Dump:
    """The whole of a stack, undecoded."""
    return Dump(
        opened.dump(requests.RTM_GETLINK, requests.ALL_LINKS),
        opened.dump(requests.RTM_GETADDR, requests.ALL_ADDRESSES),
        [opened.dump(requests.RTM_GETROUTE, requests.all_of(version)) for version in (4, 6)],
        _dump_rules(opened),
    )


def controlled(opened: netlink.NetlinkSocket) -> dict[int, str]:
    """The links with filters of traffic control, by index, and where those are attached: ingress or egress."""
    found: dict[int, str] = {}
    for index in decode.filtered(opened.dump(requests.RTM_GETQDISC, requests.filters(0, 0))):
        for parent, where in requests.FILTERED_AT.items():
            with contextlib.suppress(OSError):
                if opened.dump(requests.RTM_GETTFILTER, requests.filters(index, parent)):
                    found.setdefault(index, where)
    return found


def _dump_rules(opened: netlink.NetlinkSocket) -> list[bytes]:
    try:
        return opened.dump(requests.RTM_GETRULE, requests.ALL_RULES)
    except OSError as error:
        if error.errno not in _WITHOUT_RULES:
            raise
        return []


def _dump_routes(opened: netlink.NetlinkSocket, version: int, table: int = 0) -> list[bytes]:
    try:
        return opened.dump(requests.RTM_GETROUTE, requests.routes_of(version, table))
    except OSError as error:
        if error.errno != errno.ENOENT:  # nothing was ever put into the table
            raise
        return []


def _said(link: str, route: model.Route) -> str:
    via = "" if route.via is None else " via %s" % route.via
    metric = "" if route.metric is None else " with metric %d" % route.metric
    metric += " in table %d" % route.table if route.table else ""
    return "route to %s%s through link %s%s" % (route.to, via, link, metric)
