# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports in nftables: elements of maps, with one rule for each map."""

from __future__ import annotations

import ipaddress
import typing as t

from ... import marks, model
from .. import notes
from . import names
from .table import Element, Table
from .words import ADDRESS, IP, LOOPBACK, NOT_LOOPBACK, Draft, attempt, keys, link, parsed, spell
from .words import ports as port_range

_PORT = "meta l4proto . th dport"
_SERVICE = "inet_proto . inet_service"
_TO_HOST = "fib daddr type local jump %s" % names.PUBLISH
# The comment of a port that needs no other note: an element without a comment is not ours.
_OURS = "-"


# ---- to rules


def render(ports: t.Sequence[model.PublishedPort], draft: Draft) -> None:
    """The chains, maps and sets of all ports."""
    for port in ports:
        _put_port(port, draft)
    versions = {port.container_ip.version for port in ports}
    draft.chains[names.PUBLISH] = tuple(_translations(draft))
    draft.chains[names.PUBLISH_IN] = (*_refusals(versions, draft), _TO_HOST)
    # Do not translate what goes to ::1: it never leaves the host. Untranslated, it is refused as if nothing were
    # published.
    draft.chains[names.PUBLISH_OUT] = (*(["ip6 daddr ::1 return"] if 6 in versions else []), _TO_HOST)
    draft.chains[names.HAIRPIN] = tuple(_hairpins(versions, draft))


def _translations(draft: Draft) -> t.Iterator[str]:
    """A look-up in each map: a port on one address comes before the same port on all addresses."""
    for version, ip in IP.items():
        at = "%s daddr . %s" % (ip, _PORT)
        for family, key in (
            (names.PORTS_AT, at),
            (names.RANGES_AT, at),
            (names.PORTS, _PORT),
            (names.RANGES, _PORT),
        ):
            if family[version] in draft.sets:
                yield "dnat %s to %s map @%s" % (ip, key, family[version])


def _refusals(versions: t.Container[int], draft: Draft) -> t.Iterator[str]:
    """Rules for packets from outside that are not translated."""
    if 4 in versions:
        # DNAT comes before the kernel's martian check. The guard drops such packets as well, but exists only with
        # policies.
        yield 'iifname != "lo" %s' % NOT_LOOPBACK
    if 6 in versions:
        # The kernel does not forward link-local sources. Untranslated, such packets are refused as if nothing were
        # published.
        yield "ip6 saddr fe80::/10 return"
    for version in IP:
        yield from _restrictions(version, draft)


def _restrictions(version: int, draft: Draft) -> t.Iterator[str]:
    """Rules that do not serve a packet that came to another address, by another interface or from another source."""
    ip = IP[version]
    key = "%s daddr . %s" % (ip, _PORT)
    bound, by_link, by_source = names.BOUND[version], names.BY_LINK[version], names.BY_SOURCE[version]
    if bound in draft.sets:
        yield "%s @%s iifgroup != %d fib daddr . iif type != local return" % (key, bound, marks.LINK_GROUP)
    if by_link in draft.sets:
        yield "%s @%s %s . iifname != @%s return" % (key, by_link, key, names.LINKS[version])
    if by_source in draft.sets:
        yield "%s @%s %s . %s saddr != @%s return" % (key, by_source, key, ip, names.SOURCES[version])


def _hairpins(versions: t.Container[int], draft: Draft) -> t.Iterator[str]:
    """Rules that give an address of the host to packets whose answers must come back through it."""
    if names.OVER_BRIDGE in draft.sets:
        yield "ct status dnat iifname . oifname @%s masquerade" % names.OVER_BRIDGE
    for version, ip in IP.items():
        # A frame that bridge-nf-call-iptables lets us translate is bridged, and passes here without the name of its
        # incoming interface. Without this rule, an endpoint would drop a packet that seems to come from itself.
        if names.TO_ITSELF[version] in draft.sets:
            yield "ct status dnat %s saddr . %s daddr @%s masquerade" % (ip, ip, names.TO_ITSELF[version])
    if 4 in versions and names.TO_BRIDGE in draft.sets:
        yield "ip saddr %s oifname @%s masquerade" % (LOOPBACK, names.TO_BRIDGE)


def _put_port(port: model.PublishedPort, draft: Draft) -> None:
    note = notes.spell(bridge=port.bridge, network=port.network, way="any" if port.any_way else "") or _OURS
    if len(port.host_ports) > 1 and port.host_ports.first == port.container_port:
        _put_range(port, note, draft)
    else:
        _put_each(port, note, draft)
    address = ADDRESS[port.container_ip.version]
    itself = "%s . %s" % (port.container_ip, port.container_ip)
    draft.put(names.TO_ITSELF[port.container_ip.version], "%s . %s" % (address, address), itself)
    if port.bridge:
        bridge = link(port.bridge)
        draft.put(names.TO_BRIDGE, "ifname", bridge)
        draft.put(names.OVER_BRIDGE, "ifname . ifname", "%s . %s" % (bridge, bridge))
    _put_restrictions(port, draft)


def _put_range(port: model.PublishedPort, note: str, draft: Draft) -> None:
    address = ADDRESS[port.container_ip.version]
    family = names.RANGES if port.host_ip is None else names.RANGES_AT
    name, kind, key = _where(port, family)
    element = Element(str(port.container_ip), note)
    draft.put(name, kind, key + str(port.host_ports), element, data_type=address, interval=True)


def _put_each(port: model.PublishedPort, note: str, draft: Draft) -> None:
    """An element for each port. nft cannot express the kernel's shifted ranges, so these are in the comment."""
    if len(port.host_ports) > 1:
        note = ("%s range=%s:%d" % (note, port.host_ports, port.container_port)).strip()
    data_type = "%s . inet_service" % ADDRESS[port.container_ip.version]
    name, kind, key = _where(port, names.PORTS if port.host_ip is None else names.PORTS_AT)
    for offset in range(len(port.host_ports)):
        element = Element("%s . %d" % (port.container_ip, port.container_port + offset), note)
        draft.put(name, kind, key + str(port.host_ports.first + offset), element, data_type=data_type)


def _where(port: model.PublishedPort, family: t.Mapping[int, str]) -> tuple[str, str, str]:
    """The map that a port goes into, the type of its key, and the key without the number."""
    version = port.container_ip.version
    if port.host_ip is None:
        return family[version], _SERVICE, "%s . " % port.protocol
    return family[version], "%s . %s" % (ADDRESS[version], _SERVICE), "%s . %s . " % (port.host_ip, port.protocol)


def _put_restrictions(port: model.PublishedPort, draft: Draft) -> None:
    version = port.container_ip.version
    kind = "%s . %s" % (ADDRESS[version], _SERVICE)
    where = spell(model.ANYWHERE[version]) if port.host_ip is None else str(port.host_ip)
    host = "%s . %s . %s" % (where, port.protocol, port.host_ports)
    # packets to 127.0.0.0/8 from outside have been dropped before
    if port.bound and port.host_ip is not None and not port.host_ip.is_loopback:
        draft.put(names.BOUND[version], kind, host, interval=True)
    if port.in_interfaces:
        draft.put(names.BY_LINK[version], kind, host, interval=True)
    for name in port.in_interfaces:
        draft.put(names.LINKS[version], kind + " . ifname", "%s . %s" % (host, link(name)), interval=True)
    if port.allowed_sources:
        draft.put(names.BY_SOURCE[version], kind, host, interval=True)
    for source in port.allowed_sources:
        key = "%s . %s" % (host, spell(source))
        draft.put(names.SOURCES[version], "%s . %s" % (kind, ADDRESS[version]), key, interval=True)


# ---- from rules


def parse(table: Table) -> t.Iterator[model.PublishedPort]:
    """The ports that a table publishes."""
    for version in IP:
        limits = _limits(table, version)
        seen: set[model.PublishedPort] = set()
        for family, fields in ((names.PORTS, 2), (names.PORTS_AT, 3), (names.RANGES, 2), (names.RANGES_AT, 3)):
            for key, element in keys(table, family[version], fields):
                port = attempt(_port, key, element, limits)
                if port is not None and port not in seen:
                    seen.add(port)
                    yield port


_Limits = dict[tuple[str, str, str], tuple[list[str], list[str]]]


def _limits(table: Table, version: int) -> _Limits:
    """The interfaces and sources of each restricted port; a port for everybody has no entry."""
    limits: _Limits = {}
    for family in (names.BY_LINK, names.BY_SOURCE):
        for key, unused in keys(table, family[version], 3):
            limits.setdefault((key[0], key[1], key[2]), ([], []))
    for place, family in enumerate((names.LINKS, names.SOURCES)):
        for key, unused in keys(table, family[version], 4):
            limits.setdefault((key[0], key[1], key[2]), ([], []))[place].append(key[3])
    return limits


def _port(key: t.Sequence[str], element: Element, limits: _Limits) -> model.PublishedPort:
    host, protocol, ports = key if len(key) == 3 else ("", *key)
    host_ip = ipaddress.ip_address(host) if host else None
    target, unused, first = element.data.partition(" . ")
    container_ip = ipaddress.ip_address(target)
    if not element.comment:
        raise ValueError("this element of our map is not ours")
    found = notes.read(element.comment)
    host_ports = port_range(ports)
    container_port = int(first or host_ports.first)
    if "range" in found:
        text, unused, first = found["range"].partition(":")
        whole = port_range(text)
        # an element that no longer fits into its range was altered, and counts alone
        if host_ports.first - whole.first == container_port - int(first):
            host_ports, container_port = whole, int(first)
    where = host or spell(model.ANYWHERE[container_ip.version])
    limit = limits.get((where, protocol, str(host_ports)))
    links, sources = limit if limit is not None else ([], [])
    if limit is not None and not links and not sources:
        raise ValueError("a port that was limited must not come back without its limits")
    return model.PublishedPort(
        protocol=protocol,
        host_ports=host_ports,
        container_ip=container_ip,
        container_port=container_port,
        host_ip=host_ip,
        bridge=found.get("bridge", ""),
        allowed_sources=parsed(sources),
        in_interfaces=tuple(sorted(links)),
        network=found.get("network", ""),
        any_way=found.get("way") == "any",
    )
