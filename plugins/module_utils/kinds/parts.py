# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of each kind in the report of a host. Nothing here imports a kind, so that a report stays cheap."""

from __future__ import annotations

import typing as t

from .. import marks, model
from ..kernel import state
from ..kernel.files import unfinished
from ..records import replace
from ..report import EndpointReport, HostReport, NamespaceReport, NetworkReport, ServiceReport
from ..world import World, is_ours, is_unmarked

_REMAINS = tuple(map(unfinished, model.NAMED_FILES))


def policies(world: World, report: HostReport) -> HostReport:
    """A network for each bridge that has rules, whether there is such a bridge or not."""
    if not world.firewall.is_open:
        return report
    found = sorted(world.firewall.current.policies, key=lambda policy: policy.bridge)
    networks = [NetworkReport(item.bridge, item.network, subnets=item.subnets, policy=item) for item in found]
    return replace(report, networks=tuple(networks))


def masquerades(world: World, report: HostReport) -> HostReport:
    """All masquerades."""
    found = world.firewall.current.masquerades if world.firewall.is_open else ()
    return replace(report, masquerades=tuple(sorted(found, key=str)))


def ports(world: World, report: HostReport) -> HostReport:
    """All published ports."""
    found = world.firewall.current.ports if world.firewall.is_open else ()
    return replace(report, ports=tuple(sorted(found, key=_port_order)))


def _port_order(port: model.PublishedPort) -> tuple[str, int, str]:
    """The order of the published sides. To spell the addresses behind them would take longer than everything else."""
    host = "" if port.host_ip is None else "%s:" % port.host_ip
    return ("%s%s" % (host, port.host_ports), port.container_ip.version, port.protocol)


def forwarding(world: World, report: HostReport) -> HostReport:
    """The host's forwarding."""
    versions = frozenset(filter(world.forwards, model.VERSIONS))
    rules = world.firewall
    policy = "drop" if rules.drop_foreign else "auto" if rules.drop_transit else "unmanaged"
    return replace(report, forwards=versions, forward_policy=policy)


def bridges(world: World, report: HostReport) -> HostReport:
    """Bridges of ours, and bridges of others with a port of ours."""
    links = world.links()
    known = {network.bridge: network for network in report.networks}
    names = {link.name for link in links.values() if link.kind == "bridge" and is_ours(link)}
    names |= {link.name for link in links.values() if link.kind == "bridge" and is_unmarked(link)}
    names |= {link.master for link in links.values() if is_ours(link) and link.master}
    networks = [_network(known.get(name, NetworkReport(name)), links.get(name)) for name in sorted(names | set(known))]
    return replace(report, networks=tuple(networks))


def _network(known: NetworkReport, link: state.Link | None) -> NetworkReport:
    if link is None:
        return known
    # An interrupted run may leave a bridge without its alias. The rules were written before the bridge was made, so
    # they have the name of the network.
    label = marks.label_of(link.alias) if (is_ours(link) and link.alias) or is_unmarked(link) else known.network
    subnets: tuple[model.Network, ...] = known.subnets if known.policy else tuple(a.network for a in link.addresses)
    return NetworkReport(
        bridge=link.name,
        network=label,
        present=True,
        ours=is_ours(link),
        unmarked=is_unmarked(link),
        addresses=_in_order(link.addresses),
        subnets=subnets,
        mtu=link.mtu,
        policy=known.policy,
    )


def namespaces(world: World, report: HostReport) -> HostReport:
    """The named namespaces that hold an end of a veth pair of ours, and those that we made or named."""
    found = []
    for name in world.names():
        links = world.links(model.Place(netns=name))
        lo = links.get("lo")
        ours = (lo is not None and is_ours(lo)) or world.is_named_by_us(name)
        lost = not ours and lo is not None and is_unmarked(lo)
        if ours or lost or any(link.kind == "veth" and is_ours(link) for link in links.values()):
            label = marks.label_of(lo.alias) if lost and lo else world.label("lo", model.Place(netns=name))
            found.append(NamespaceReport(name, label, ours, lost, _sysctls(name, world)))
    return replace(report, namespaces=tuple(found))


def _sysctls(name: str, world: World) -> tuple[tuple[str, str], ...]:
    notes = marks.read_notes(world.sysctl_notes(name))
    return tuple((key, value) for key, (unused, value) in notes.items())


def services(world: World, report: HostReport) -> HostReport:
    """The units that our drop-ins put into namespaces."""
    found = sorted(world.units.services().items())
    return replace(report, services=tuple(ServiceReport(unit, netns, label) for unit, (netns, label) in found))


def endpoints(world: World, report: HostReport) -> HostReport:
    """The host's ends of our veth pairs under their bridges, each with its other end."""
    plugged: dict[str, list[state.Link]] = {}
    for link in world.links().values():
        if is_ours(link) and (link.master or link.kind == "veth"):
            plugged.setdefault(link.master, []).append(link)
    networks = []
    for network in report.networks:
        veths = sorted(plugged.get(network.bridge, ()), key=lambda link: link.name)
        found = tuple(_endpoint(veth, world, network.network) for veth in veths)
        networks.append(replace(network, endpoints=found))
    loose = sorted(plugged.get("", ()), key=lambda link: link.name)
    unplugged = tuple(_endpoint(veth, world, "") for veth in loose)
    return replace(report, networks=tuple(networks), unplugged=unplugged)


def files(world: World, report: HostReport) -> HostReport:
    """Our files for what is started in a namespace, and what a killed run or a power cut has left of them."""
    found = []
    for netns, name in world.namespace_files():
        text = world.look_file("%s/%s/%s" % (marks.NETNS_FILES, netns, name)) or ""
        label = marks.label_of_file(text)
        if label is not None or name in _REMAINS or netns == marks.RETIRED or (name in model.NAMED_FILES and not text):
            found.append(model.NamespaceFile(netns, name, text, label or ""))
    return replace(report, files=tuple(found))


def views(world: World, report: HostReport) -> HostReport:
    """The endpoints with a DNS server of their own."""
    text = world.file(marks.NAMES_FILE)
    if text is None:
        return report
    from .name_views import load

    found = load(text).items()
    return replace(report, views=tuple(model.NameView(netns, network=served.label) for netns, served in found))


def _endpoint(veth: state.Link, world: World, label: str) -> EndpointReport:
    # A veth pair gets its alias last, like a bridge.
    network = marks.label_of(veth.alias) if veth.alias else label
    found = world.peer_of(veth)
    if found is None:
        return EndpointReport(veth.name, network, veth.isolated, veth.up)
    place, peer = found
    addresses = _in_order(peer.addresses)
    return EndpointReport(veth.name, network, veth.isolated, veth.up, place, peer.name, addresses, peer.mac_address)


def _in_order(addresses: t.Sequence[model.Interface]) -> tuple[model.Interface, ...]:
    """Addresses in an order that does not depend on when they were added."""
    return tuple(sorted(addresses, key=lambda address: (address.version, address)))
