# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a host, drawn as a tree of lines: host, networks, endpoints, published ports.

Pure functions. Ansible only runs in UTF-8 locales, so the tree may be drawn with line characters.
"""

from __future__ import annotations

import typing as t

from ..module_utils.marks import command_to_mark, name_of, project_of
from ..module_utils.model import DEFAULT_PROJECT, Masquerade, PublishedPort
from ..module_utils.report import EndpointReport, HostReport, LostNamespace, NamespaceReport, NetworkReport
from .phrases import (
    Names,
    Text,
    by_endpoint,
    called,
    dropped,
    forwards,
    idle,
    names,
    packet_filter,
    place,
    published,
    remarks,
    rules,
    runs,
    spelled,
    uplinks,
    uses,
    ways_out,
)

# What is to the left of a branch, and below that, for the last branch of a node and for the others.
_LAST = ("└─ ", "   ")
_OTHER = ("├─ ", "│  ")


class Node(t.NamedTuple):
    """A heading, lines about it, and what hangs below."""

    title: str
    notes: t.Sequence[str] = ()
    children: t.Sequence[t.Any] = ()
    spaced: bool = False  # an empty line before each child


def picture(report: HostReport, host: str = "") -> list[str]:
    """The lines of the picture; ``host`` is what its root is called."""
    known = names(report.networks)
    children = [_network(network, report, known) for network in report.networks]
    children += _loose_ends(report) + _absent(report) + _altered(report) + _foreign(report)
    if not children:
        children = [Node("no network of this collection")]
    notes = ["uplink    %s" % text for text in filter(None, [uplinks(report)])]
    notes += ["dropped   %s" % text for text in dropped(report.drops)]
    return _lines(Node(_host(report, host), notes, children, spaced=True))


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
    words = [forwards(report)]
    if report.forward_policy == "drop":
        words[0] += " for its own networks only"
    if report.forward_policy == "auto":
        words[0] += " for its own networks and other bridges"
    words.append(packet_filter(report))
    if report.at_boot:
        words.append("there after a boot: %s" % report.at_boot)
    return "  ".join(([host] if host else []) + [", ".join(words)])


def _absent(report: HostReport) -> list[Node]:
    if not report.absent_interfaces:
        return []
    return [Node("interfaces that are not there", (), [Node(text) for text in report.absent_interfaces])]


def _altered(report: HostReport) -> list[Node]:
    if not report.altered:
        return []
    return [Node("rules missing or altered  (run the playbook)", (), [Node(text) for text in report.altered])]


def _foreign(report: HostReport) -> list[Node]:
    possible = list(map(str, report.possible_drops))
    if report.more_possible_drops:
        possible.append("%d more rules of others may drop packets of our networks" % report.more_possible_drops)
    parts = (("in the way", report.foreign), ("perhaps in the way", possible))
    return [Node(title, (), [Node(text) for text in texts]) for title, texts in parts if texts]


def _loose_ends(report: HostReport) -> list[Node]:
    """The objects without a bridge: veth pairs, namespaces without an endpoint, and rules made by single modules."""
    elsewhere = _ports_elsewhere(report)
    own = {address.ip for endpoint in report.unplugged for address in endpoint.addresses}
    children = _endpoints(report.unplugged, [port for port in elsewhere if port.container_ip in own], report)
    children += [Node(str(Text("namespace %s" % item.name, _without(item)))) for item in _empty(report)]
    children += [
        Node("namespace %s  (made anew or removed; restart or end what runs in it)" % item.name, _cut_off(item))
        for item in report.lost
    ]
    stray = [port for port in elsewhere if port.container_ip not in own]
    children += [Node("published  %s" % text) for text in published(stray, True)]
    children += [Node("way out  %s" % text) for text in ways_out(_masquerades_elsewhere(report), "", True)]
    return [Node("on no bridge", (), children)] if children else []


def _cut_off(item: LostNamespace) -> list[str]:
    return ["runs       %s" % text for text in runs(item.processes)]


def _empty(report: HostReport) -> list[NamespaceReport]:
    lived_in = {endpoint.netns for endpoint in report.endpoints}
    return [item for item in report.namespaces if item.name not in lived_in]


def _without(item: NamespaceReport) -> str:
    return "without an interface in network %s; run the playbook" % name_of(item.network) if item.network else ""


def _ports_elsewhere(report: HostReport) -> list[PublishedPort]:
    drawn = {port for network in report.networks for port in network.ports}
    return [port for port in report.ports if port not in drawn]


def _masquerades_elsewhere(report: HostReport) -> list[Masquerade]:
    drawn = {item for network in report.networks for item in network.masquerades}
    return [item for item in report.masquerades if item not in drawn]


# ---- a network ---------------------------------------------------------------------------------------------------


def _network(network: NetworkReport, report: HostReport, known: Names) -> Node:
    bridge = network.bridge
    title = "bridge %s" % bridge if network.name == bridge else "%s  bridge %s" % (network.name, bridge)
    if project_of(network.network) != DEFAULT_PROJECT:
        title += "  project %s" % project_of(network.network)
    if not network.present:
        title += "  (not there)"
    elif network.unmarked:
        title += "  (without its mark; if it is ours: %s)" % command_to_mark(bridge)
    elif not network.ours:
        title += "  (made by others)"
    return Node(title, _notes(network, known), _endpoints(network.endpoints, network.ports, report))


def _notes(network: NetworkReport, known: Names) -> list[str]:
    notes = []
    if network.addresses:
        notes.append("gateway   %s  mtu %s" % (spelled(network.addresses), network.mtu))
    elif network.subnets:
        notes.append("subnets   %s" % spelled(network.subnets))
    ways = ways_out(network.masquerades, network.bridge, False)
    if not ways and network.policy is not None and not network.policy.internal:
        ways = ["untranslated"]
    notes += ["way out   %s" % text for text in ways]
    notes += ["rules     %s" % text for text in rules(network.policy, known)]
    return notes + ["dropped   %s" % text for text in dropped(network.drops)]


# ---- endpoints and their ports -----------------------------------------------------------------------------------


def _endpoints(
    endpoints: t.Sequence[EndpointReport], ports: t.Sequence[PublishedPort], report: HostReport
) -> list[Node]:
    mine = by_endpoint(endpoints, ports)
    nodes = []
    places = [place(endpoint) for endpoint in endpoints]
    links = [endpoint.interface or endpoint.veth for endpoint in endpoints]
    for endpoint, name, link in zip(endpoints, places, links):
        columns = (name.ljust(_width(places)), link.ljust(_width(links)), spelled(endpoint.addresses))
        title = str(Text("  ".join(columns).rstrip(), remarks(endpoint)))
        notes = ["published  %s" % text for text in published(mine.get(endpoint.veth, ()), False, uses(endpoint))]
        notes += ["called     %s" % text for text in called(endpoint)]
        notes += ["runs       %s" % text for text in runs(endpoint.processes)]
        nodes.append(Node(title, notes + ["service    %s" % text for text in idle(endpoint, report.services)]))
    stray = published(mine.get(None, ()), True)
    return nodes + [Node("published  %s  (nobody has this address)" % text) for text in stray]


def _width(words: t.Sequence[str]) -> int:
    return max(map(len, words))
