# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces names of endpoints by their addresses: ``db``, or ``db.back`` for the one in the network back."""

from __future__ import annotations

import typing as t

from .. import arguments, model
from ..parsing import is_name, single
from .networks import BridgeNetwork, Endpoint, aliases

_GATEWAY, _DEFAULT = "host", "default"
_SHOWN = 12


class Names:
    """The endpoints of a list of networks, with the addresses that have been decided for them."""

    def __init__(self, networks: t.Sequence[BridgeNetwork]) -> None:
        self._networks = networks
        self._known: t.Mapping[tuple[str, str], t.Sequence[Endpoint]] | None = None

    def addresses(self, option: str, values: t.Iterable[str], network: BridgeNetwork) -> list[str]:
        """The values, with each name replaced by the addresses of its endpoints; raises InvalidRequest."""
        return self._replaced(option, values, network, str)

    def subnets(self, option: str, values: t.Iterable[str], network: BridgeNetwork) -> list[str]:
        """As addresses(), for an option that takes subnets as well, where an address may look like that of one."""
        return self._replaced(option, values, network, single)

    def _replaced(
        self, option: str, values: t.Iterable[str], network: BridgeNetwork, spell: t.Callable[[model.Address], str]
    ) -> list[str]:
        found: list[str] = []
        for value in values:
            found += map(spell, self._of(option, value, network)) if is_name(value) else [value]
        return found

    def flows(self, entries: t.Iterable[arguments.Options], network: BridgeNetwork) -> list[arguments.Options]:
        """Entries of ``allow``, with one entry for each pair of addresses that names stand for."""
        return [flow for entry in entries for flow in self._flows(entry, network)]

    def _flows(self, entry: arguments.Options, network: BridgeNetwork) -> list[arguments.Options]:
        sources, targets = entry.get("from"), entry["to"]
        if not (is_name(targets) or (sources is not None and is_name(sources))):
            return [dict(entry)]
        to = self.subnets("allow.to", [targets], network)
        if sources is None:
            return [dict(entry, to=target) for target in to]
        pairs = [(one, two) for one in self.subnets("allow.from", [sources], network) for two in to]
        found: list[arguments.Options] = [
            {**entry, "from": one, "to": two} for one, two in pairs if _family(one) == _family(two)
        ]
        if not found:
            raise model.InvalidRequest(
                "allow: nothing flows from %s to %s; they share no address family." % (sources, targets)
            )
        return found

    def routes(self, entries: t.Iterable[arguments.Options], network: BridgeNetwork) -> list[arguments.Options]:
        """Entries of ``routes``, with one entry for each pair of addresses that names stand for."""
        return [route for entry in entries for route in self._routes(entry, network)]

    def _routes(self, entry: arguments.Options, network: BridgeNetwork) -> list[arguments.Options]:
        whole = entry["to"] == _DEFAULT
        targets = [entry["to"]] if whole else self.subnets("routes.to", [entry["to"]], network)
        if entry.get("via") is None:
            return [dict(entry, to=target) for target in targets]
        ways = self.addresses("routes.via", [entry["via"]], network)
        found: list[arguments.Options] = [
            dict(entry, to=to, via=via) for to in targets for via in ways if whole or _family(to) == _family(via)
        ]
        if not found:
            raise model.InvalidRequest(
                "routes: nothing leads to %s by %s; they share no address family." % (entry["to"], entry["via"])
            )
        return found

    def _of(self, option: str, name: str, network: BridgeNetwork) -> list[model.Address]:
        found = self._find(name, network)
        if found:
            return _addresses(found)
        if name == _GATEWAY:
            return list(network.gateways.values())
        return _addresses(self._elsewhere(option, name, network))

    def _find(self, name: str, network: BridgeNetwork) -> t.Sequence[Endpoint]:
        """The endpoints that NAME means in this network, or NAME.NETWORK in another one; both parts may have dots."""
        known = self._all()
        dots = [place for place, letter in enumerate(name) if letter == "."]
        keys = [(network.name, name), *((name[dot + 1 :], name[:dot]) for dot in dots)]
        return next((known[key] for key in keys if key in known), ())

    def _all(self) -> t.Mapping[tuple[str, str], t.Sequence[Endpoint]]:
        """The endpoints by network and name, and by aliases that are not also names."""
        if self._known is None:
            given = aliases(self._networks)
            known: dict[tuple[str, str], list[Endpoint]] = {}
            for network in self._networks if given else ():
                for endpoint in network.endpoints:
                    for alias in given.get((network.name, endpoint.place), ()):
                        known.setdefault((network.name, alias), []).append(endpoint)
            named = {(network.name, item.name): [item] for network in self._networks for item in network.endpoints}
            self._known = {**known, **named}
        return self._known

    def _elsewhere(self, option: str, name: str, network: BridgeNetwork) -> list[Endpoint]:
        """The endpoints of this name in other networks, if these mean the same namespace."""
        known = self._all()
        found = [(other, known[other.name, name]) for other in self._networks if (other.name, name) in known]
        if not found:
            raise model.InvalidRequest(
                "%s: there is no endpoint %s in the list; %s." % (option, name, self._choices(network))
            )
        if len({frozenset(item.place for item in items) for unused, items in found}) > 1:
            words = " or ".join("%s.%s" % (name, other.name) for other, unused in found)
            raise model.InvalidRequest("%s: %s may mean several endpoints; write %s." % (option, name, words))
        return [item for unused, items in found for item in items]

    def _choices(self, network: BridgeNetwork) -> str:
        names = [item.name for item in network.endpoints]
        names += [
            "%s.%s" % (item.name, other.name)
            for other in self._networks
            if other is not network
            for item in other.endpoints
        ]
        return "it has %s" % model.enumerate_few(names, _SHOWN) if names else "it has none"


def _addresses(endpoints: t.Iterable[Endpoint]) -> list[model.Address]:
    return [address.ip for endpoint in endpoints for address in endpoint.addresses]


def _family(value: str) -> bool:
    return ":" in value
