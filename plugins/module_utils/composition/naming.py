# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that each endpoint knows: those of all endpoints in its networks."""

from __future__ import annotations

import typing as t

from .. import marks, model, parsing
from ..records import replace
from ..report import EndpointReport, HostReport
from .names import Names
from .networks import Aliases, BridgeNetwork, Endpoint, aliases, given_aliases
from .scope import Goes
from .sections import Noted, Section, noted
from .surroundings import NOTHING_AROUND, Surroundings

GATEWAY = "host"
_RESERVED = (GATEWAY, "localhost", "ip6-localhost", "ip6-loopback")

# The sections of each namespace, in the order of their labels.
Known = t.Mapping[str, t.Sequence[Section]]


def known_names(
    networks: t.Sequence[BridgeNetwork], report: HostReport, goes: Goes, around: Surroundings = NOTHING_AROUND
) -> Known:
    """The sections of each namespace of this run; none for a namespace that knows no names any more.

    Only namespaces that we made have sections. In other namespaces, programs use the files of the owner.
    """
    before, given, names = noted(report), aliases(networks), Names(networks)
    _refuse_unknown(networks, report)
    namespaces = {file.netns for file in report.files}
    found: dict[str, dict[str, Section]] = {netns: {} for netns in namespaces if any(map(goes, before.labels(netns)))}
    for network in networks:
        for netns, section in _sections(network, given, names, before, goes):
            found.setdefault(netns, {})
            if section is not None and around.is_ours(netns):
                found[netns][section.label] = section
    listed = {network.label for network in networks}
    there = {(item.netns, item.network) for item in report.endpoints if item.netns and not goes(item.network)}
    for netns, own in found.items():
        others = (label for label in before.labels(netns) if label not in listed and (netns, label) in there)
        kept = (before.section(netns, label) for label in others)
        own.update((section.label, section) for section in kept if section is not None)
    return {netns: [own[label] for label in sorted(own)] for netns, own in found.items()}


def _refuse_unknown(networks: t.Sequence[BridgeNetwork], report: HostReport) -> None:
    """Raise InvalidRequest for aliases in a network that does not exist, in the list or on the host."""
    known = {network.name for network in networks} | {marks.name_of(network.network) for network in report.networks}
    for network, endpoint, name, unused in given_aliases(networks):
        if name not in known:
            raise model.InvalidRequest(
                "network %s: endpoint %s: aliases: there is no network %r, in the list or on the host."
                % (network.name, endpoint.name, name)
            )


def name_views(known: Known, report: HostReport, networks: t.Sequence[BridgeNetwork]) -> list[model.NameView]:
    """The views of DNS servers, one for each namespace with a network that has ``dns``."""
    subnets: dict[str, tuple[model.Network, ...]] = {item.network: item.subnets for item in report.networks}
    subnets.update((item.label, tuple(subnet.network for subnet in item.subnets.values())) for item in networks)
    entries: dict[tuple[int, ...], tuple[model.NameEntry, ...]] = {}
    return [_view(netns, own, subnets, entries) for netns, own in sorted(known.items()) if has_server(own)]


def has_server(own: t.Sequence[Section]) -> bool:
    """Whether an endpoint has a DNS server of its own."""
    return any(section.dns for section in own) and all(section.resolver for section in own)


def _view(
    netns: str,
    own: t.Sequence[Section],
    subnets: t.Mapping[str, tuple[model.Network, ...]],
    entries: dict[tuple[int, ...], tuple[model.NameEntry, ...]],
) -> model.NameView:
    """The names that an endpoint knows; endpoints with the same names share one tuple of ``entries``."""
    key = tuple(map(id, own))
    if key not in entries:
        entries[key] = tuple(entry for section in own for entry in (*section.entries, *section.extra))
    return model.NameView(
        netns=netns,
        entries=entries[key],
        domains=tuple(marks.name_of(section.label) for section in own),
        subnets=tuple(subnet for section in own for subnet in subnets.get(section.label, ())),
        nameservers=tuple(dict.fromkeys(server for section in own for server in section.nameservers)),
        forwards=not all(section.internal for section in own),
        network=own[0].label,
        endpoint=netns,
    )


# ---- one network


def _sections(
    network: BridgeNetwork, aliases: Aliases, names: Names, before: Noted, goes: Goes
) -> t.Iterator[tuple[str, Section | None]]:
    """The section of each namespace that has an end in a network; None where the network has no names."""
    listed = {endpoint.veth for endpoint in network.endpoints}
    others = [item for item in network.others if item.netns and item.veth not in listed and not goes(item.network)]
    common = _common(network, aliases, others, before) if network.named else None
    taken = {name.lower() for entry in common.entries for name in entry.names} if common else set()
    for endpoint in network.endpoints:
        if endpoint.place.netns is not None:
            yield endpoint.place.netns, None if common is None else _own(common, taken, endpoint, network, names)
    for other in others:
        there = before.section(other.netns or "", network.label)
        if there is not None:
            yield other.netns or "", None if common is None else _kept(common, there)


def _common(network: BridgeNetwork, aliases: Aliases, others: t.Sequence[EndpointReport], before: Noted) -> Section:
    """The part of a section that all endpoints of a network share."""
    entries = [model.NameEntry(gateway, (GATEWAY,)) for gateway in network.gateways.values()]
    named = [(names, [address.ip for address in item.addresses]) for item, names in _named(network, aliases)]
    named += [(_names_of_other(other, network, before), [a.ip for a in other.addresses]) for other in others]
    entries += [model.NameEntry(ip, names) for names, own in sorted(named, key=_first_name) for ip in own if names]
    return Section(network.label, tuple(entries), internal=network.internal, dns=bool(network.options.get("dns")))


def _first_name(named: tuple[tuple[str, ...], t.Sequence[object]]) -> tuple[str, ...]:
    return named[0]


_OWN_OPTIONS = ("extra_hosts", "nameservers", "search")


def _own(common: Section, taken: set[str], endpoint: Endpoint, network: BridgeNetwork, names: Names) -> Section:
    """The section of one endpoint, with the part that only this one has."""
    options = endpoint.options
    resolver, servers = options.get("resolver") is not False, network.options.get("nameservers") or ()
    if resolver and endpoint.default_route and not servers and not any(map(options.get, _OWN_OPTIONS)):
        return common
    with parsing.about("network %s: endpoint %s" % (network.name, endpoint.name)):
        asked = names.addresses("nameservers", options.get("nameservers") or servers, network)
        return replace(
            common,
            extra=tuple(_extra(options.get("extra_hosts") or (), taken, names, network)),
            nameservers=tuple(parsing.name_server("nameservers", server) for server in asked),
            search=tuple(parsing.host_name("search", domain) for domain in options.get("search") or ()),
            resolver=resolver,
            default_route=endpoint.default_route,
        )


def _kept(common: Section, there: Section) -> Section:
    """The section of an endpoint that stays although it is not in the list."""
    return replace(
        common,
        extra=there.extra,
        nameservers=there.nameservers,
        search=there.search,
        resolver=there.resolver,
        default_route=there.default_route,
    )


def _extra(
    values: t.Sequence[str], taken: set[str], names: Names, network: BridgeNetwork
) -> t.Iterator[model.NameEntry]:
    for value in values:
        name, colon, target = value.partition(":")
        if not colon or not target:
            raise model.InvalidRequest(
                "extra_hosts: %r is not a name with an address; write it like api:192.0.2.7." % value
            )
        parsing.host_name("extra_hosts", name)
        if name.lower() in taken or name.lower() in _RESERVED:
            raise model.InvalidRequest(
                "extra_hosts: %s has a meaning in this network already; choose another name." % name
            )
        targets = ["host"] if target == "host-gateway" else [target]
        found = names.addresses("extra_hosts", targets, network)
        yield from (model.NameEntry(parsing.address("extra_hosts", address), (name,)) for address in found)


def _names_of_other(other: EndpointReport, network: BridgeNetwork, before: Noted) -> tuple[str, ...]:
    """The names of an endpoint outside the list: as before, or that of its namespace."""
    netns = other.netns or ""
    for address in other.addresses:
        found = before.names(netns, network.label, address.ip)
        if found:
            return found
    return _both(netns, network.name) if parsing.is_host_name(netns) and netns.lower() not in _RESERVED else ()


def _both(name: str, network: str) -> tuple[str, ...]:
    full = "%s.%s" % (name, network)
    return (name, full) if parsing.is_host_name(full) else (name,)


# ---- names in a list


def _named(network: BridgeNetwork, aliases: Aliases) -> t.Iterator[tuple[Endpoint, tuple[str, ...]]]:
    """The endpoints of a network with their names in it; raises InvalidRequest if a name means two things."""
    holders: dict[str, str] = {}
    found = [(endpoint, names_of(endpoint, network)) for endpoint in network.endpoints]
    for endpoint, names in found:
        for name in names:
            _refuse_reserved(name, endpoint, network)
            _hold(holders, name, endpoint, network)
    for endpoint, names in found:
        further = aliases.get((network.name, endpoint.place), ())
        for name in further:
            _refuse_reserved(name, endpoint, network)
            if holders.get(name.lower(), endpoint.name) != endpoint.name:
                _hold(holders, name, endpoint, network)
        yield endpoint, tuple(dict.fromkeys((*names, *further))) if further else names


def names_of(endpoint: Endpoint, network: BridgeNetwork) -> tuple[str, ...]:
    """The name of an endpoint, alone and with its network; none if it cannot be the name of a host."""
    return _both(endpoint.name, network.name) if parsing.is_host_name(endpoint.name) else ()


def without_names(networks: t.Sequence[BridgeNetwork]) -> t.Iterator[str]:
    """Warnings about endpoints that cannot be looked up by name."""
    for network in networks:
        names = (
            [item.name for item in network.endpoints if not parsing.is_host_name(item.name)] if network.named else []
        )
        if names:
            yield (
                "network %s: these names are not valid host names, so other endpoints cannot look them up; give each an"
                " alias: %s." % (network.name, model.enumerate_few(names))
            )


def _hold(holders: dict[str, str], name: str, endpoint: Endpoint, network: BridgeNetwork) -> None:
    other = holders.setdefault(name.lower(), endpoint.name)
    if other != endpoint.name:
        raise model.InvalidRequest(
            "network %s: the name %s means endpoint %s and endpoint %s; only an alias may mean several."
            % (network.name, name, other, endpoint.name)
        )


def _refuse_reserved(name: str, endpoint: Endpoint, network: BridgeNetwork) -> None:
    if name.lower() in _RESERVED:
        meaning = "the gateway" if name.lower() == GATEWAY else "the endpoint itself"
        raise model.InvalidRequest(
            "network %s: endpoint %s: the name %s means %s in every endpoint; choose another one, or set names to false"
            " for the network." % (network.name, endpoint.name, name, meaning)
        )
