# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short phrases about networks, endpoints and ports, for the picture and the map."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ..module_utils.marks import name_of
from ..module_utils.model import (
    Address,
    BridgePolicy,
    Drop,
    Flow,
    Masquerade,
    Network,
    Process,
    PublishedPort,
    bracketed,
    enumerate_few,
)
from ..module_utils.report import EndpointReport, HostReport, NetworkReport, PortUse, ServiceReport

_ANY = ("0.0.0.0", "[::]")
Uses = t.Mapping[tuple[Address, str, str], str]
Names = t.Mapping[str, str]  # of networks and endpoints, by their subnets; that of an endpoint is a single address


@dataclass(frozen=True)
class Text:
    """The description of an object, and its troubles; empty if there are none."""

    said: str
    trouble: str = ""

    def __str__(self) -> str:
        return "%s  (%s)" % (self.said, self.trouble) if self.trouble else self.said


def forwards(report: HostReport) -> str:
    """The host's forwarding."""
    families = ["IPv%d" % version for version in sorted(report.forwards)]
    return "forwards %s" % (" and ".join(families) or "nothing")


def packet_filter(report: HostReport) -> str:
    """The packet filter in use."""
    return "packet filter %s" % report.backend if report.backend else "no packet filter works"


def uplinks(report: HostReport) -> str:
    """The links of its default routes, and its addresses there; empty when it has none."""
    return spelled((*dict.fromkeys((report.uplinks or {}).values()), *report.uplink_addresses))


def spelled(values: t.Iterable[object], between: str = "  ") -> str:
    return between.join(map(str, values))


def names(networks: t.Iterable[NetworkReport]) -> Names:
    """The names of the ends of flows."""
    found: dict[str, str] = {}
    for network in networks:
        found.update({str(subnet): "network %s" % network.name for subnet in network.subnets})
        for endpoint in network.endpoints:
            found.update({str(ipaddress.ip_network(own.ip)): place(endpoint) for own in endpoint.addresses})
    return found


def rules(policy: BridgePolicy | None, known: Names) -> list[str]:
    """How a network differs from one that is closed to all others and open inside; empty if it does not."""
    if policy is None:
        return ["none"]
    words = []
    if policy.internal:
        words.append("no way out and no way in")
    if not policy.icc:
        words.append("endpoints do not reach one another")
    if not policy.host_access:
        words.append("endpoints do not reach the host")
    if policy.direct_access and not policy.internal:
        words.append("others may route to the endpoints")
    if not policy.internal:
        words += ["open to what comes in by %s" % link for link in policy.trusted_interfaces]
    return words + ["open %s" % _flow(flow, known) for flow in policy.allow]


def _flow(flow: Flow, known: Names) -> str:
    source = _end(flow.source, known) if flow.source.prefixlen else "endpoints" if flow.host else "anywhere"
    what = "/".join(word for word in (str(flow.ports or ""), flow.protocol) if word)
    text = "from %s to %s" % (source, "the host at %s" % flow.to.network_address if flow.host else _end(flow.to, known))
    return "%s, %s" % (text, what) if what else text


def _end(network: Network, known: Names) -> str:
    """One end of a flow."""
    name = known.get(str(network))
    if name is None:
        return str(network)
    return "%s (%s)" % (name, network.network_address if network.prefixlen == network.max_prefixlen else network)


def ways_out(masquerades: t.Sequence[Masquerade], bridge: str, with_source: bool) -> list[str]:
    """One line for all subnets that leave in the same way."""
    subnets: dict[str, list[str]] = {}
    for item in masquerades:
        subnets.setdefault(_way_out(item, bridge), []).append(str(item.source))
    if not with_source and len(subnets) == 1:
        return list(subnets)
    return ["%s  %s" % ("  ".join(sources), way) for way, sources in subnets.items()]


def _way_out(item: Masquerade, bridge: str) -> str:
    words = ["as %s" % (item.to_source or "the host")]
    if item.out.inverted and item.out.name != bridge:
        words.append("by any interface but %s" % item.out.name)
    elif item.out.name and not item.out.inverted:
        words.append("by %s" % item.out.name)
    if item.exclude:
        words.append("untranslated to %s" % spelled(item.exclude, ", "))
    if item.random_fully:
        words.append("from random ports")
    return ", ".join(words)


def place(endpoint: EndpointReport) -> str:
    """The namespace of an endpoint, by its name or by a process in it."""
    if endpoint.netns:
        return endpoint.netns
    return "process %d" % endpoint.place.pid if endpoint.place is not None and endpoint.place.pid else "?"


def remarks(endpoint: EndpointReport) -> str:
    """The peculiarities of an endpoint; empty if there are none."""
    words = []
    if not endpoint.netns:
        words.append("its namespace has no name")
    if endpoint.isolated:
        words.append("isolated")
    if not endpoint.up:
        words.append("down")
    words += endpoint.troubles
    return ", ".join(words)


def called(endpoint: EndpointReport) -> list[str]:
    """One line for the names of an endpoint that are not that of its namespace."""
    usual = (endpoint.netns, "%s.%s" % (endpoint.netns, name_of(endpoint.network)))
    words = [name for name in endpoint.names if name not in usual]
    return [enumerate_few(words)] if words else []


def runs(processes: t.Sequence[Process]) -> list[str]:
    """One line for the processes of an endpoint, the units of systemd first: those are what a person restarts."""
    if not processes:
        return []
    units = list(dict.fromkeys(process.unit for process in processes if process.unit))
    alone = ["%s (process %d)" % (process.name, process.pid) for process in processes if not process.unit]
    return [enumerate_few(units + alone)]


def idle(endpoint: EndpointReport, services: t.Iterable[ServiceReport]) -> list[str]:
    """One line for the services that are to run in an endpoint and do not; what has failed is among its troubles."""
    active = {item.unit: item.active for item in services if item.netns == endpoint.netns}
    running = {process.unit for process in endpoint.processes}
    told = {trouble.partition(" ")[0] for trouble in endpoint.troubles}
    units = [unit for unit in endpoint.services if unit not in running | told]
    units = ["%s (%s)" % (unit, active.get(unit) or "state not known") for unit in units]
    return [enumerate_few(units)] if units else []


def uses(endpoint: EndpointReport) -> Uses:
    """The troubles at the targets of its published ports."""
    return {
        (use.address, use.protocol, str(use.ports)): _use(use) for use in endpoint.ports if not use.heard or use.silent
    }


def _use(use: PortUse) -> str:
    if use.silent:
        return "nobody listens on %s" % enumerate_few([str(ports) for ports in use.silent])
    if not use.elsewhere:
        return "nobody listens"
    return "listens on %s only" % spelled(use.elsewhere, ", ")


def by_endpoint(
    endpoints: t.Sequence[EndpointReport], ports: t.Iterable[PublishedPort]
) -> dict[str | None, list[PublishedPort]]:
    """Ports by the veth pair of the endpoint that they lead to; under None those to an address that nobody has."""
    owners = {address.ip: endpoint.veth for endpoint in reversed(endpoints) for address in endpoint.addresses}
    found: dict[str | None, list[PublishedPort]] = {}
    for port in ports:
        found.setdefault(owners.get(port.container_ip), []).append(port)
    return found


def published(ports: t.Sequence[PublishedPort], with_address: bool, uses: Uses | None = None) -> list[Text]:
    """A text for each port; a single one for both families if they are published alike."""
    found: dict[str, dict[str, str]] = {}
    for port in ports:
        inside = str(port.container_ports)
        if with_address:
            inside = "%s port %s" % (port.container_ip, inside)
        trouble = (uses or {}).get((port.container_ip, port.protocol, inside), "")
        text = ":%s -> %s%s" % (port.host_ports, inside, _restrictions(port))
        found.setdefault(text, {})[_published_on(port)] = trouble
    return [
        Text(host + text, trouble) for text, troubles in found.items() for host, trouble in _of_both(troubles).items()
    ]


def _of_both(troubles: t.Mapping[str, str]) -> t.Mapping[str, str]:
    """The troubles by address, with a single entry for 0.0.0.0 and [::] if both are there."""
    if not set(_ANY) <= set(troubles):
        return troubles
    four, six = (troubles[host] for host in _ANY)
    each = ["IPv%d: %s" % (version, trouble) for version, trouble in ((4, four), (6, six)) if trouble]
    both = four if four == six else ", ".join(each)
    return {"*": both, **{host: trouble for host, trouble in troubles.items() if host not in _ANY}}


def _published_on(port: PublishedPort) -> str:
    return bracketed(port.host_ip) if port.host_ip is not None else _ANY[port.container_ip.version == 6]


def _restrictions(port: PublishedPort) -> str:
    text = "/%s" % port.protocol
    if port.allowed_sources:
        text += "  for %s only" % spelled(port.allowed_sources, ", ")
    if port.in_interfaces:
        text += "  by %s only" % ", ".join(port.in_interfaces)
    return text


def dropped(drops: t.Iterable[Drop]) -> list[str]:
    """How many packets were dropped: a line for each reason, the one with most packets first."""
    found = sorted(drops, key=lambda drop: (-drop.packets, drop.reason))
    return ["%s: %d packet%s" % (drop.reason, drop.packets, "" if drop.packets == 1 else "s") for drop in found]
