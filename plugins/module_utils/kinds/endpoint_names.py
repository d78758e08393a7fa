# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of endpoints in the options of a single module. They mean the endpoints that the host has now.

``db`` is the endpoint in the namespace of that name; ``db.back`` is its end in the network back.
"""

from __future__ import annotations

import typing as t

from .. import arguments, marks, model
from ..parsing import is_name, single
from ..world import World, is_ours

_SHOWN = 12
_ROUTES, _DEFAULT = "peer.routes", "default"


class EndpointNames:
    """The ends of our veth pairs that are in a namespace with a name."""

    def __init__(self, world: World) -> None:
        self._known: dict[str, list[tuple[str, tuple[model.Address, ...]]]] = {}
        for link in world.links().values():
            pair = world.peer_of(link) if is_ours(link) and link.kind == "veth" else None
            if pair is not None and pair[0].netns is not None:
                addresses = tuple(address.ip for address in model.oldest_first(pair[1].addresses))
                self._known.setdefault(pair[0].netns, []).append((marks.name_of(marks.label_of(link.alias)), addresses))

    def resolved(self, options: arguments.Options, names: t.Iterable[str], family: str) -> arguments.Options:
        """Options with the names in some of them replaced by addresses of one family, that of the option ``family``."""
        found = dict(options)
        if is_name(options.get(family)):
            found[family] = self._single(family, options[family], options.get("host_ip"))
        for option in names:
            values = _values(options, option)
            if option == "allow":
                found[option] = [flow for entry in values for flow in self._flows(entry)]
            elif option == _ROUTES:
                ways = [way for entry in values for way in self._routes(entry)]
                found["peer"] = {**options["peer"], "routes": ways} if ways else options.get("peer")
            elif option != family:
                found[option] = self._list(option, values, found.get(family))
        return found

    def _single(self, option: str, name: str, host_ip: object) -> str:
        """One address of an endpoint: of the family of ``host_ip`` if that is given, otherwise IPv4 before IPv6."""
        if host_ip:
            return str(self._fitting(option, name, host_ip)[0])
        return str(min(self._addresses(option, name), key=lambda address: address.version))

    def _fitting(self, option: str, name: str, like: object) -> list[model.Address]:
        """The addresses of the family of ``like``. An empty list would stand for everyone, so it is refused."""
        found = [a for a in self._addresses(option, name) if (a.version == 6) == (":" in str(like))]
        if not found:
            raise model.InvalidRequest("%s: endpoint %s has no address of the family of %s." % (option, name, like))
        return found

    def _list(self, option: str, values: t.Iterable[object], like: object) -> list[object]:
        """The values, with each name replaced by its addresses of the family of the address or subnet ``like``."""
        found: list[object] = []
        for value in values:
            if is_name(value):
                found += map(single, self._fitting(option, str(value), like))
            else:
                found.append(value)
        return found

    def _flows(self, entry: arguments.Options) -> list[arguments.Options]:
        sides = {side: self._side("allow." + side, entry.get(side), single) for side in ("from", "to")}
        if not any(map(is_name, (entry.get("from"), entry.get("to")))):
            return [dict(entry)]
        pairs = [(one, two) for one in sides["from"] for two in sides["to"]]
        fitting = [pair for pair in pairs if pair[0] is None or (":" in str(pair[0])) == (":" in str(pair[1]))]
        if not fitting:
            raise model.InvalidRequest(
                "allow: nothing flows from %s to %s; they share no address family." % (entry.get("from"), entry["to"])
            )
        return [{**entry, "to": two, **({} if one is None else {"from": one})} for one, two in fitting]

    def _routes(self, entry: arguments.Options) -> list[arguments.Options]:
        """A route for each address of its destination, by the gateway's address of the same family."""
        if not any(map(is_name, _ends(entry))):
            return [dict(entry)]
        targets = [entry["to"]] if entry["to"] == _DEFAULT else self._side(_ROUTES + ".to", entry["to"], single)
        ways = self._side(_ROUTES + ".via", entry.get("via"), str)
        pairs = [(to, via) for to in targets for via in ways]
        fitting = [
            (to, via) for to, via in pairs if via is None or to == _DEFAULT or (":" in str(to)) == (":" in str(via))
        ]
        if not fitting:
            raise model.InvalidRequest(
                "%s: nothing leads to %s by %s; they share no address family."
                % (_ROUTES, entry["to"], entry.get("via"))
            )
        return [{**entry, "to": to, **({} if via is None else {"via": via})} for to, via in fitting]

    def _side(self, option: str, value: object, spell: t.Callable[[model.Address], str]) -> list[object]:
        return [spell(address) for address in self._addresses(option, str(value))] if is_name(value) else [value]

    def _addresses(self, option: str, name: str) -> list[model.Address]:
        """All addresses of an endpoint; raises InvalidRequest."""
        base, unused, network = name.rpartition(".")
        ends = self._known.get(name) or [end for end in self._known.get(base, ()) if end[0] == network]
        found = [address for unused_network, addresses in ends for address in addresses]
        if not found:
            raise model.InvalidRequest(
                "%s: there is no endpoint %s on this host, %s; make it first, or write its address."
                % (option, name, self._choices())
            )
        return found

    def _choices(self) -> str:
        return "which has %s" % model.enumerate_few(sorted(self._known), _SHOWN) if self._known else "which has none"


def has_names(options: arguments.Options, names: t.Iterable[str]) -> bool:
    """Whether a name stands in one of these options."""
    flat = [item for option in names for item in _values(options, option)]
    ends = [end for item in flat if isinstance(item, dict) for end in _ends(item)]
    return any(map(is_name, (*flat, *ends)))


def _values(options: arguments.Options, option: str) -> list[t.Any]:
    """The values of an option, as a list; their type follows from its argument spec."""
    outer, dot, inner = option.partition(".")
    value = options.get(outer)
    value = (value or {}).get(inner) if dot else value
    return value if isinstance(value, list) else [] if value is None else [value]


def _ends(entry: arguments.Options) -> list[object]:
    """The source, the destination and the gateway of a flow or a route."""
    return [entry.get(side) for side in ("from", "to", "via") if entry.get(side) != _DEFAULT]
