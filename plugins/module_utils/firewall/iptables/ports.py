# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports in iptables."""

from __future__ import annotations

import ipaddress
import itertools
import typing as t

from ... import model
from ...records import replace
from ..save_text import Rule
from . import names
from .words import (
    GROUP,
    LOCAL_ADDRESS,
    Draft,
    Options,
    Rules,
    canonical,
    comment,
    each,
    host,
    interface,
    notes_of,
    service,
    source,
)
from .words import ports as port_range

# A port on one address serves packets that come in by the interface with that address, and packets from our own links,
# on which endpoints connect to addresses of the host.
_STRICT: tuple[Rule, ...] = ((*LOCAL_ADDRESS, "--limit-iface-in"), ("-m", "devgroup", "--src-group", GROUP))
_ANY_WAY: tuple[Rule, ...] = ((),)


# ---- to rules


def render(ports: t.Collection[model.PublishedPort], draft: Draft) -> None:
    """The chains of the ports of one address family."""
    if not ports:
        return
    ordered = sorted(ports, key=_order)
    for port in ordered:
        if not _has_own_rules(port):
            draft.add(names.PUBLISH if port.host_ip is None else names.PUBLISH_AT, *_match(port), _redirect(port))
    limited = [port for port in ordered if _has_own_rules(port)]
    # one address before all addresses, and in both cases ports with limits first
    _render_stage([port for port in limited if port.host_ip is not None], names.PUBLISH_AT, _STRICT, draft)
    _render_stage([port for port in limited if port.host_ip is None], names.PUBLISH, _ANY_WAY, draft)
    _render_hairpin(ordered, draft)
    if draft.version == 4:
        # the kernel only drops these after PREROUTING, when they would already be translated
        draft.add(names.LOOPBACK, ("-d", "127.0.0.0/8", "!", "-i", "lo", "-j", "DROP"))


def _has_own_rules(port: model.PublishedPort) -> bool:
    """Whether the shared chain would serve it to fewer or to more clients."""
    return port.limited or port.any_way


def _render_stage(
    limited: t.Iterable[model.PublishedPort], shared: names.ChainKey, ways: t.Iterable[Rule], draft: Draft
) -> None:
    """The rules of a chain: first those of ports with limits, then a jump to the shared chain of all others."""
    for port in limited:
        _render_limited_port(port, draft)
    if shared in draft.chains:
        for way in ways:
            draft.add(names.PUBLISH_IN, way, ("-j", shared[1]))
        draft.add(names.PUBLISH_OUT, ("-j", shared[1]))


def _render_limited_port(port: model.PublishedPort, draft: Draft) -> None:
    """The rules of a port with limits, which do not apply to the host itself."""
    address, ports = _match(port)
    links: list[Rule] = [("-i", interface(name, port.network)) for name in port.in_interfaces] or [()]
    sources: list[Rule] = [source(network) for network in port.sources] or [()]
    for link, who, way in itertools.product(links, sources, _STRICT if port.bound else _ANY_WAY):
        draft.add(names.PUBLISH_IN, who, address, link, ports, way, _redirect(port))
    draft.add(names.PUBLISH_OUT, address, ports, _redirect(port))


def _order(port: model.PublishedPort) -> tuple[bytes, str, int, int]:
    address = b"" if port.host_ip is None else port.host_ip.packed
    return (address, port.protocol, port.host_ports.first, port.host_ports.last)


def _match(port: model.PublishedPort) -> tuple[Rule, Rule]:
    address: Rule = () if port.host_ip is None else ("-d", canonical(port.host_ip))
    return address, service(port.protocol, port.host_ports)


def _redirect(port: model.PublishedPort) -> Rule:
    way = ("limited" if port.limited else "any") if port.any_way else ""
    note = comment(bridge=port.bridge, network=port.network, way=way)
    return (*note, "-j", "DNAT", "--to-destination", _to_destination(port))


def _to_destination(port: model.PublishedPort) -> str:
    """The value of --to-destination: without a port if that stays the same, as the kernel then never chooses another
    one of a range to keep two flows apart; otherwise ``first-last/base`` (iptables-extensions(8), DNAT)."""
    first, ports = port.container_port, port.host_ports
    if first == ports.first:
        return host(port.container_ip)
    address = "[%s]" % host(port.container_ip) if port.container_ip.version == 6 else host(port.container_ip)
    if len(ports) == 1:
        return "%s:%d" % (address, first)
    return "%s:%d-%d/%d" % (address, first, first + len(ports) - 1, ports.first)


def _render_hairpin(ports: t.Iterable[model.PublishedPort], draft: Draft) -> None:
    """The rules for an endpoint that uses a port published by its own network: the host must seem to answer.

    If routed, the request enters and leaves by the bridge. With bridge-nf-call-iptables the translated frame is
    bridged, POSTROUTING does not show its incoming interface (br_nf_post_routing), and the answer passes conntrack
    anyway, except for a request of an endpoint to itself, which would drop a packet from its own address.
    iptables refuses -i in POSTROUTING by the chain's name only; the kernel gives it there since 5.7 (28f8bfd1ac94).
    """
    targets = dict.fromkeys((port.bridge, port.container_ip) for port in ports)
    draft.add(names.HAIRPIN, ("-m", "conntrack", "!", "--ctstate", "DNAT", "-j", "RETURN"))
    for bridge in sorted({bridge for bridge, unused in targets if bridge}):
        draft.add(names.HAIRPIN, ("-i", interface(bridge), "-o", bridge, "-j", "MASQUERADE"))
        if draft.version == 4:
            draft.add(names.HAIRPIN, ("-s", "127.0.0.0/8", "-o", bridge, "-j", "MASQUERADE"))
    for bridge, address in sorted(targets, key=lambda target: (target[0], target[1].packed)):
        out: Rule = ("-o", bridge) if bridge else ()
        to: Rule = ("-d", canonical(address))
        if draft.version == 4 and not bridge:
            draft.add(names.HAIRPIN, ("-s", "127.0.0.0/8"), to, ("-j", "MASQUERADE"))
        draft.add(names.HAIRPIN, ("-s", canonical(address)), to, out, ("-j", "MASQUERADE"))


# ---- from rules


def parse(rules: Rules) -> t.Iterator[model.PublishedPort]:
    """The ports that the chains of one address family publish."""
    for where in (names.PUBLISH_AT, names.PUBLISH):
        yield from each(_port, rules.get(where, ()))
    found: dict[tuple[int, model.Address | None, str, model.PortRange], model.PublishedPort] = {}
    for port in each(_port, rules.get(names.PUBLISH_IN, ())):
        known = found.setdefault(port.key, port)
        sources = dict.fromkeys(known.allowed_sources + port.allowed_sources)
        interfaces = dict.fromkeys(known.in_interfaces + port.in_interfaces)
        found[port.key] = replace(port, allowed_sources=tuple(sources), in_interfaces=tuple(interfaces))
    free = {port.key for port in each(_free_port, rules.get(names.PUBLISH_IN, ()))}
    # A port that has lost its limits is closed to the outside now, and must not come back without them.
    yield from (port for port in found.values() if port.allowed_sources or port.in_interfaces or port.key in free)


def _free_port(rule: Options) -> model.PublishedPort | None:
    """A port that has rules of its own for another reason than limits."""
    return _port(rule) if notes_of(rule).get("way") == "any" else None


def _port(rule: Options) -> model.PublishedPort | None:
    if rule.get("-j") != "DNAT":
        return None
    ports = port_range(rule)
    container_ip, container_port = _target(rule["--to-destination"])
    notes = notes_of(rule)
    return model.PublishedPort(
        protocol=rule["-p"],
        host_ports=ports,
        container_ip=container_ip,
        container_port=container_port or ports.first,
        host_ip=ipaddress.ip_address(rule["-d"].partition("/")[0]) if "-d" in rule else None,
        bridge=notes.get("bridge", ""),
        allowed_sources=(ipaddress.ip_network(rule["-s"]),) if "-s" in rule else (),
        in_interfaces=(rule["-i"],) if "-i" in rule else (),
        network=notes.get("network", ""),
        any_way="way" in notes,
    )


def _target(text: str) -> tuple[model.Address, int]:
    """The address and the first port of ``address``, ``address:port`` or ``address:first-last/base``; 0 for no port."""
    if text.startswith("["):
        address, unused, port = text[1:].partition("]:")
    elif text.count(":") == 1:
        address, unused, port = text.partition(":")
    else:
        address, port = text, "0"
    return ipaddress.ip_address(address), int(port.partition("-")[0])
