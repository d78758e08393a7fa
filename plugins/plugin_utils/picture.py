# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a host, drawn as a tree of lines: host, networks, endpoints, published ports.

Pure. Ansible runs in UTF-8 locales only, so the lines of the tree may be drawn as such.
"""

from __future__ import annotations

import typing as t

from ..module_utils.marks import project_of
from ..module_utils.model import (
    DEFAULT_PROJECT,
    Address,
    BridgePolicy,
    Flow,
    Masquerade,
    Process,
    PublishedPort,
    bracketed,
    enumerate_few,
)
from ..module_utils.report import EndpointReport, HostReport, LostNamespace, NetworkReport, PortUse

# What stands at the left of a branch, and what below it: for the last branch of a node, and for the others.
_LAST = ("└─ ", "   ")
_OTHER = ("├─ ", "│  ")
_ANY = ("0.0.0.0", "[::]")
Uses = t.Mapping[tuple[Address, str, str], str]


class Node(t.NamedTuple):
    """A heading, lines about it, and what hangs below."""

    title: str
    notes: t.Sequence[str] = ()
    children: t.Sequence[t.Any] = ()
    spaced: bool = False  # an empty line before each child


def picture(report: HostReport, host: str = "") -> list[str]:
    """The lines of the picture; ``host`` is what its root is called."""
    children = [_network(network) for network in report.networks] + _loose_ends(report) + _foreign(report)
    if not children:
        children = [Node("no network of this collection")]
    return _lines(Node(_host(report, host), (), children, spaced=True))


def _lines(node: Node) -> list[str]:
    lines = [node.title]
    lines += [("│  " if node.children else "   ") + note for note in node.notes]
    for child in node.children:
        first, rest = _LAST if child is node.children[-1] else _OTHER
        if node.spaced:
            lines.append("│")
        heading, *body = _lines(child)
        lines.append(first + heading)
        lines += [rest + line for line in body]
    return lines


# ---- the host ----------------------------------------------------------------------------------------------------


def _host(report: HostReport, host: str) -> str:
    families = ["IPv%d" % version for version in sorted(report.forwards)]
    words = ["forwards %s" % " and ".join(families) if families else "forwards nothing"]
    if report.forward_policy == "drop":
        words[0] += " for its own networks only"
    if report.forward_policy == "auto":
        words[0] += " for its own networks and other bridges"
    words.append("packet filter %s" % report.backend if report.backend else "no packet filter works")
    return "  ".join(([host] if host else []) + [", ".join(words)])


def _foreign(report: HostReport) -> list[Node]:
    return [Node("in the way", (), [Node(text) for text in report.foreign])] if report.foreign else []


def _loose_ends(report: HostReport) -> list[Node]:
    """What belongs to no bridge: veth pairs, namespaces without an endpoint, and rules made by single modules."""
    children = _endpoints(report.unplugged, ())
    children += [Node("namespace %s" % name) for name in _empty(report)]
    children += [
        Node("namespace %s  (made anew or removed; cut off)" % item.name, _cut_off(item)) for item in report.lost
    ]
    children += [Node("published  %s" % text) for text in _published(_ports_elsewhere(report), True)]
    children += [Node("way out  %s" % text) for text in _ways_out(_masquerades_elsewhere(report), "", True)]
    return [Node("on no bridge", (), children)] if children else []


def _cut_off(item: LostNamespace) -> list[str]:
    return ["runs       %s" % text for text in _runs(item.processes)]


def _empty(report: HostReport) -> list[str]:
    lived_in = {endpoint.netns for endpoint in report.endpoints}
    return [item.name for item in report.namespaces if item.name not in lived_in]


def _ports_elsewhere(report: HostReport) -> list[PublishedPort]:
    drawn = {port for network in report.networks for port in network.ports}
    return [port for port in report.ports if port not in drawn]


def _masquerades_elsewhere(report: HostReport) -> list[Masquerade]:
    drawn = {item for network in report.networks for item in network.masquerades}
    return [item for item in report.masquerades if item not in drawn]


# ---- a network ---------------------------------------------------------------------------------------------------


def _network(network: NetworkReport) -> Node:
    bridge = network.bridge
    title = "bridge %s" % bridge if network.name == bridge else "%s  bridge %s" % (network.name, bridge)
    if project_of(network.network) != DEFAULT_PROJECT:
        title += "  project %s" % project_of(network.network)
    if not network.present:
        title += "  (not there)"
    elif not network.ours:
        title += "  (made by others)"
    return Node(title, _notes(network), _endpoints(network.endpoints, network.ports))


def _notes(network: NetworkReport) -> list[str]:
    notes = []
    if network.addresses:
        notes.append("gateway   %s  mtu %s" % (_spelled(network.addresses), network.mtu))
    elif network.subnets:
        notes.append("subnets   %s" % _spelled(network.subnets))
    ways = _ways_out(network.masquerades, network.bridge, False)
    if not ways and network.policy is not None and not network.policy.internal:
        ways = ["untranslated"]
    notes += ["way out   %s" % text for text in ways]
    return notes + ["rules     %s" % text for text in _policy(network.policy)]


def _spelled(values: t.Iterable[object], between: str = "  ") -> str:
    return between.join(map(str, values))


def _policy(policy: BridgePolicy | None) -> list[str]:
    """How the network differs from one that is closed to all others and open inside; nothing when it does not."""
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
    return words + ["open %s" % _flow(flow) for flow in policy.allow]


def _flow(flow: Flow) -> str:
    source = str(flow.source) if flow.source.prefixlen else "endpoints" if flow.host else "anywhere"
    what = "/".join(word for word in (str(flow.ports or ""), flow.protocol) if word)
    text = "from %s to %s" % (source, "the host at %s" % flow.to.network_address if flow.host else flow.to)
    return "%s, %s" % (text, what) if what else text


def _ways_out(masquerades: t.Sequence[Masquerade], bridge: str, with_source: bool) -> list[str]:
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
        words.append("untranslated to %s" % _spelled(item.exclude, ", "))
    if item.random_fully:
        words.append("from random ports")
    return ", ".join(words)


# ---- endpoints and their ports -----------------------------------------------------------------------------------


def _endpoints(endpoints: t.Sequence[EndpointReport], ports: t.Sequence[PublishedPort]) -> list[Node]:
    owners = {address.ip: endpoint.veth for endpoint in reversed(endpoints) for address in endpoint.addresses}
    mine: dict[str | None, list[PublishedPort]] = {}
    for port in ports:
        mine.setdefault(owners.get(port.container_ip), []).append(port)
    nodes = []
    names = [_place(endpoint) for endpoint in endpoints]
    links = [endpoint.interface or endpoint.veth for endpoint in endpoints]
    for endpoint, name, link in zip(endpoints, names, links):
        columns = (name.ljust(_width(names)), link.ljust(_width(links)), _spelled(endpoint.addresses))
        title = "  ".join(columns).rstrip() + _remarks(endpoint)
        notes = ["published  %s" % text for text in _published(mine.get(endpoint.veth, ()), False, _uses(endpoint))]
        nodes.append(Node(title, notes + ["runs       %s" % text for text in _runs(endpoint.processes)]))
    stray = _published(mine.get(None, ()), True)
    return nodes + [Node("published  %s  (nobody has this address)" % text) for text in stray]


def _place(endpoint: EndpointReport) -> str:
    """Where an endpoint lives: a namespace by its name, or by a process in it."""
    if endpoint.netns:
        return endpoint.netns
    return "process %d" % endpoint.place.pid if endpoint.place is not None and endpoint.place.pid else "?"


def _width(words: t.Sequence[str]) -> int:
    return max(map(len, words))


def _remarks(endpoint: EndpointReport) -> str:
    remarks = []
    if not endpoint.netns:
        remarks.append("its namespace has no name")
    if endpoint.isolated:
        remarks.append("isolated")
    if not endpoint.up:
        remarks.append("down")
    remarks += endpoint.troubles
    return "  (%s)" % ", ".join(remarks) if remarks else ""


def _runs(processes: t.Sequence[Process]) -> list[str]:
    """One line for the processes of an endpoint, the units of systemd first: those are what a person restarts."""
    if not processes:
        return []
    units = list(dict.fromkeys(process.unit for process in processes if process.unit))
    alone = ["%s (process %d)" % (process.name, process.pid) for process in processes if not process.unit]
    return [enumerate_few(units + alone)]


def _uses(endpoint: EndpointReport) -> Uses:
    """What is wrong where its published ports lead to."""
    return {(use.address, use.protocol, str(use.ports)): _use(use) for use in endpoint.ports if not use.heard}


def _use(use: PortUse) -> str:
    if not use.elsewhere:
        return "  (nobody listens)"
    return "  (listens on %s only)" % _spelled(use.elsewhere, ", ")


def _published(ports: t.Sequence[PublishedPort], with_address: bool, uses: Uses | None = None) -> list[str]:
    """A line for each port; one line for both families when they are published alike."""
    hosts: dict[str, list[str]] = {}
    for port in ports:
        inside = str(port.container_ports)
        if with_address:
            inside = "%s port %s" % (port.container_ip, inside)
        trouble = (uses or {}).get((port.container_ip, port.protocol, inside), "")
        text = ":%s -> %s%s%s" % (port.host_ports, inside, _restrictions(port), trouble)
        hosts.setdefault(text, []).append(_published_on(port))
    return [host + text for text, names in hosts.items() for host in (["*"] if set(names) == set(_ANY) else names)]


def _published_on(port: PublishedPort) -> str:
    return bracketed(port.host_ip) if port.host_ip is not None else _ANY[port.container_ip.version == 6]


def _restrictions(port: PublishedPort) -> str:
    text = "/%s" % port.protocol
    if port.allowed_sources:
        text += "  for %s only" % _spelled(port.allowed_sources, ", ")
    if port.in_interfaces:
        text += "  by %s only" % ", ".join(port.in_interfaces)
    return text
