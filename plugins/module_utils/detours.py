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
    ) -> None:
        self._links = links
        self._routes = routes
        self._own: dict[tuple[str, _Key], state.RouteEntry] = {}  # the route to the subnet of an address
        self._inside = self._by_subnet()
        self._rules = rules if any(map(_may_lead_away, rules)) else []
        self._read_table = read_table
        self._tables = {model.MAIN_TABLE: routes}

    def __bool__(self) -> bool:
        """Whether there may be any; on most hosts there is nothing to look for."""
        return bool(self._inside or self._rules)

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
                yield "packets from %%s are stopped by %s" % _discarding(rule)
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
        if not self._rules:
            known = [self._own[link, _key(own)], *self._inside.get(_key(own), ())]
            yield from self._by(self._best(known, address), link)
            return
        for rule in self._rules:
            if rule.table == model.LOCAL_TABLE or rule.source.version != address.version or not rule.catches(address):
                continue
            if rule.nowhere:
                yield "packets for %%s are stopped by %s" % _discarding(rule)
            if not rule.table:
                return  # where another action leads is not known here
            entry = self._best(self._table(rule.table), address)
            if entry is None or entry.kind == "throw" or (rule.suppresses and not entry.route.to.prefixlen):
                continue
            if rule.table == model.MAIN_TABLE:
                yield from self._by(entry, link)
            elif entry.kind or entry.link != link:
                yield _elsewhere(rule, entry, own)
            return

    @staticmethod
    def _by(entry: state.RouteEntry | None, link: str) -> t.Iterator[str]:
        """The clause for a route of the table main, unless it leads to the link."""
        if entry is None or (entry.link == link and not entry.kind):
            return
        to, whose, away = entry.route.to, _whose(entry.protocol), _link(entry)
        if entry.kind:
            words = "%s %s" % (entry.kind, to)
            text = "packets for %%s are stopped by a route (%s) %s; delete it with '%s'"
            yield text % (words, whose, _del(to, words))
        elif entry.protocol == state.BY_THE_KERNEL:
            yield "packets for %%s leave by %s, which has an address in %s; give one of them another subnet" % (
                away,
                to,
            )
        else:
            removal = _del(to, "%s dev %s" % (to, away))
            yield "packets for %%s leave by %s, by a route %s; delete it with '%s'" % (away, whose, removal)

    @staticmethod
    def _best(entries: t.Iterable[state.RouteEntry], address: model.Address) -> state.RouteEntry | None:
        fitting = (e for e in entries if e.route.to.version == address.version and address in e.route.to)
        return min(fitting, key=lambda entry: (-entry.route.to.prefixlen, entry.route.metric or 0), default=None)

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


def _link(entry: state.RouteEntry) -> str:
    """The link of a route in a text with a place, which stays the only one."""
    return entry.link.replace("%", "%%")


def _may_lead_away(rule: decode.RuleEntry) -> bool:
    return bool(rule.nowhere) or rule.table not in (0, *model.TABLES)


def _elsewhere(rule: decode.RuleEntry, entry: state.RouteEntry, own: model.Network) -> str:
    where = "are stopped by a route of type %s" % entry.kind if entry.kind else "leave by %s" % _link(entry)
    whose, six = _whose(rule.protocol), "-6 " if own.version == 6 else ""
    remedy = "delete it with 'ip %srule del pref 0'" % six
    if rule.priority:
        remedy = "keep them in the table main with 'ip %srule add to %s lookup main pref %d'"
        remedy %= (six, own, rule.priority - 1)
    return "packets for %%s %s, as a rule of routing %s leads to table %d; %s" % (where, whose, rule.table, remedy)


def _discarding(rule: decode.RuleEntry) -> str:
    six = "-6 " if rule.source.version == 6 else ""
    text = "a rule of routing (%s) %s; delete it with 'ip %srule del pref %d'"
    return text % (rule.nowhere, _whose(rule.protocol), six, rule.priority)


def _del(to: model.Network, words: str) -> str:
    return "ip %sroute del %s" % ("-6 " if to.version == 6 else "", words)


def _whose(protocol: int) -> str:
    """Whose a route or a rule is, as a clause."""
    owner = owners.of_route(protocol)
    known = owner not in (owners.STRANGER, owners.of_route(_BY_HAND), owners.of_route(state.BY_THE_KERNEL))
    return "of %s" % owner if known else "that is not ours"


_BY_HAND = 3  # RTPROT_BOOT: what a person or a script adds by ip(8)
