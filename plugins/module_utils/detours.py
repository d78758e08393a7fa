# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and rules of routing that others have on the host, and that keep packets from endpoints.

The kernel has a route to the subnet of each bridge. It prefers a route to a part of that subnet, and looks into the
table of a rule of others before it looks into the table main.
"""

from __future__ import annotations

import typing as t

from . import model, owners
from .kernel import state
from .records import replace

if t.TYPE_CHECKING:
    from .kernel import decode

_Key = tuple[int, int, int]  # IP version, prefix length, and the bits of the prefix


class Detours:
    """Finds what becomes of packets for the addresses of endpoints, and of packets from there."""

    def __init__(
        self,
        links: t.Mapping[str, state.Link],
        routes: list[state.RouteEntry],
        rules: t.Sequence[decode.RuleEntry],
        read_table: t.Callable[[int], list[state.RouteEntry]],
        local_first: t.Container[int] = (),
        place: model.Place = model.HOST,
    ) -> None:
        self._place = place
        self._links = links
        # what is for some packets only is not told of
        found = [entry for entry in routes if not entry.is_narrow]
        self._local = [entry for entry in found if entry.route.table == model.LOCAL_TABLE]
        self._local_first = local_first  # versions of IP in which the kernel takes a route there before any other
        self._routes = routes = [entry for entry in found if not entry.route.table]
        self._own: dict[tuple[str, _Key], state.RouteEntry] = {}  # the route to the subnet of an address
        self._inside = self._by_subnet()
        self._rules = rules if any(map(_may_lead_away, rules)) else []
        self._read_table = read_table
        self._tables = {model.MAIN_TABLE: routes}

    def __bool__(self) -> bool:
        """Whether there may be any; on most hosts there is nothing to look for."""
        return bool(self._inside or self._rules or self._local)

    def of(self, link: str, address: model.Address) -> t.Iterator[str]:
        """A clause for each obstacle of an endpoint that is reached by a link, with a place for who it is."""
        there = self._links.get(link)
        own = next((a.network for a in there.addresses if address in a.network), None) if there is not None else None
        # if the subnet's own route is missing, a run will bring it back
        if own is None or (link, _key(own)) not in self._own:
            return
        yield from self._to(link, address, own)
        for rule in self._rules:
            if rule.nowhere and rule.stops(address, link):
                yield "packets from %%s are stopped by %s" % self._discarding(rule)
            if self._leads_all(rule, address.version):
                return  # no packet comes to the rules behind it

    def _leads_all(self, rule: decode.RuleEntry, version: int) -> bool:
        """Whether a rule has a route for every packet without a mark."""
        if rule.nowhere or not rule.table or rule.suppresses or not rule.is_for_all or rule.source.version != version:
            return False
        routes = [entry for entry in self._table(rule.table) if entry.route.to.version == version]
        return any(not entry.route.to.prefixlen and entry.kind != "throw" for entry in routes)

    def _to(self, link: str, address: model.Address, own: model.Network) -> t.Iterator[str]:
        """The first route or rule that decides about packets for an address, if it is an obstacle."""
        known = [self._own[link, _key(own)], *self._inside.get(_key(own), ())]
        taken = self._best(self._local, address)
        if taken is not None and taken.kind != "local" and address.version not in self._local_first:
            best = self._best(known, address)  # both tables are one
            taken = taken if best is None or taken.route.to.prefixlen >= best.route.to.prefixlen else None
        if taken is not None:
            yield from self._by(taken, link)
            return
        if not self._rules:
            yield from self._by(self._best(known, address), link)
            return
        yield from self._ruled(link, address, own, lambda rule: rule.catches(address))

    def inside(self, link: str, address: model.Address, own: model.Interface) -> t.Iterator[str]:
        """A clause for the rule of others that takes packets of an endpoint itself from their way to an address."""
        if self._rules and address in own.network:
            yield from self._ruled(link, address, own.network, lambda rule: rule.leads(own.ip, address))

    def _ruled(
        self,
        link: str,
        address: model.Address,
        own: model.Network,
        concerns: t.Callable[[decode.RuleEntry], bool],
    ) -> t.Iterator[str]:
        for rule in self._rules:
            if rule.table == model.LOCAL_TABLE or rule.source.version != address.version or not concerns(rule):
                continue
            if rule.nowhere:
                yield "packets for %%s are stopped by %s" % self._discarding(rule)
            if not rule.table:
                return  # where another action leads is not known here
            entry = self._best(self._table(rule.table), address)
            if entry is None or entry.kind == "throw" or (rule.suppresses and not entry.route.to.prefixlen):
                continue
            if rule.table == model.MAIN_TABLE:
                yield from self._by(entry, link)
            elif entry.kind or entry.link != link or entry.route.via is not None:
                yield self._elsewhere(rule, entry, own)
            return

    def _by(self, entry: state.RouteEntry | None, link: str) -> t.Iterator[str]:
        """The clause for a route of the tables main and local, unless it leads to the link."""
        if entry is None or (entry.link == link and not entry.kind):
            return
        to, whose, away = entry.route.to, _whose(entry.protocol), _shown(entry.link)
        if entry.kind:
            from .link_operations import barrier_command

            text = "packets for %%s are stopped by a route (%s) %s; delete it with '%s'"
            yield text % ("%s %s" % (entry.kind, to), whose, _shown(barrier_command(self._place, "del", entry)))
        elif entry.protocol == state.BY_THE_KERNEL:
            yield "packets for %%s leave by %s, which has an address in %s; give one of them another subnet" % (
                away,
                to,
            )
        else:
            removal = self._del(entry)
            yield "packets for %%s leave by %s, by a route %s; delete it with '%s'" % (away, whose, removal)

    def _del(self, entry: state.RouteEntry) -> str:
        from .link_operations import barrier_command

        if not (entry.hops or entry.nexthop):  # its target and link are enough
            entry = replace(entry, route=model.Route(entry.route.to))
        return _shown(barrier_command(self._place, "del", entry))

    def _elsewhere(self, rule: decode.RuleEntry, entry: state.RouteEntry, own: model.Network) -> str:
        where = (
            "are stopped by a route of type %s" % entry.kind
            if entry.kind
            else "leave by %s" % (_shown(entry.link) + _via(entry))
        )
        remedy = "delete it with '%s'" % self._rule_command(rule, "del")
        if rule.priority:
            words = "keep them in the table main with '%s'"
            remedy = words % self._rule_command(rule, "add", "to", own, "lookup", "main")
        text = "packets for %%s %s, as a rule of routing %s leads to table %d; %s"
        return text % (where, _whose(rule.protocol), rule.table, remedy)

    def _discarding(self, rule: decode.RuleEntry) -> str:
        text = "a rule of routing (%s) %s; delete it with '%s'"
        return text % (rule.nowhere, _whose(rule.protocol), self._rule_command(rule, "del"))

    def _rule_command(self, rule: decode.RuleEntry, verb: str, *words: object) -> str:
        """The command that deletes a rule, or adds one before it."""
        from . import operations

        six, pref = ("-6",) if rule.source.version == 6 else (), rule.priority - (verb == "add")
        return _shown(operations.inside(self._place, "ip", *six, "rule", verb, *words, "pref", pref))

    @staticmethod
    def _best(entries: t.Iterable[state.RouteEntry], address: model.Address) -> state.RouteEntry | None:
        fitting = (e for e in entries if e.route.to.version == address.version and address in e.route.to)
        return min(fitting, key=_order, default=None)

    def _table(self, table: int) -> list[state.RouteEntry]:
        if table not in self._tables:
            self._tables[table] = self._read_table(table)
        return self._tables[table]

    def _by_subnet(self) -> dict[_Key, list[state.RouteEntry]]:
        """The routes to parts of the subnets of links, by subnet; a host may have the routes of the whole internet."""
        links = self._links
        subnets = {_key(a.network): a.network for link in links.values() for a in link.addresses if link.name != "lo"}
        lengths = {version: {key[1] for key in subnets if key[0] == version} for version in model.VERSIONS}
        found: dict[_Key, list[state.RouteEntry]] = {}
        for entry in self._routes:
            to = entry.route.to
            for length in lengths[to.version]:
                key = _key(to, length) if length <= to.prefixlen else None
                if key in subnets and to == subnets[key] and entry.protocol == state.BY_THE_KERNEL:
                    self._own[entry.link, key] = entry
                elif key in subnets:
                    found.setdefault(key, []).append(entry)
        return found


def _key(network: model.Network, length: int | None = None) -> _Key:
    length = network.prefixlen if length is None else length
    return network.version, length, int(network.network_address) >> (network.max_prefixlen - length)


def _order(entry: state.RouteEntry) -> tuple[int, int, bool, int]:
    """The kernel's order; for IPv6, it takes those with the same metric in turn."""
    route = entry.route
    own = route.to.version == 6 and entry.protocol == state.BY_THE_KERNEL
    return -route.to.prefixlen, route.metric or 0, own, entry.rank


def _shown(words: str) -> str:
    """A command or a link in a text with a place, which stays the only one."""
    return words.replace("%", "%%")


def _via(entry: state.RouteEntry) -> str:
    return "" if entry.route.via is None else " via %s" % entry.route.via


def _may_lead_away(rule: decode.RuleEntry) -> bool:
    return not rule.ours and (bool(rule.nowhere) or rule.table not in (0, *model.TABLES))


def _whose(protocol: int) -> str:
    """Whose a route or a rule is, as a clause."""
    owner = owners.of_route(protocol)
    known = owner not in (owners.STRANGER, owners.of_route(_BY_HAND), owners.of_route(state.BY_THE_KERNEL))
    return "of %s" % owner if known else "that is not ours"


_BY_HAND = 3  # RTPROT_BOOT: what a person or a script adds by ip(8)
