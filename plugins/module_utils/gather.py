# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts together the report on a host, to which each kind of object adds its part."""

from __future__ import annotations

from . import marks, model
from .firewall.session import FirewallSession
from .kinds.registry import ROWS
from .records import replace
from .report import HostReport
from .world import World

_HELD = (
    "table %s %s keeps out what is new while our rules of iptables are missing; if it stays, bring them back:"
    " systemctl reload %s" % (marks.NFT_FAMILY, marks.NFT_HOLD, marks.BOOT_UNIT)
)


def gather(world: World) -> HostReport:
    """The report of everything that network_info returns."""
    world.survey()
    session = world.firewall
    session.readable()  # opens the session if possible, which the parts of the kinds do not do
    possible, more = session.possible_drops(world.default_link, world.links()) if session.is_open else ((), 0)
    report = HostReport(
        uplinks=_uplinks(world),
        uplink_addresses=_uplink_addresses(world),
        backend=session.backend if session.is_open else None,
        foreign=tuple(_foreign(session, world)),
        possible_drops=possible,
        more_possible_drops=more,
    )
    for row in ROWS:
        report = row.report(world, report)
    return _joined(report)


def _uplinks(world: World) -> dict[int, str]:
    found = {version: world.default_link(version) for version in (4, 6)}
    return {version: link for version, link in found.items() if link is not None}


def _uplink_addresses(world: World) -> tuple[model.Interface, ...]:
    """The addresses by which others reach this host."""
    links = (world.links().get(name) for name in dict.fromkeys(_uplinks(world).values()))
    return tuple(address for link in links if link is not None for address in link.addresses)


def _foreign(session: FirewallSession, world: World) -> list[str]:
    """Rules of others that override ours, or may."""
    found = session.obstacles(world.default_link, world.links()) if session.is_open else []
    if session.foreign.holds_our_place():
        found.append(_HELD)
    if session.is_open and session.current.ports and world.ways_of_answers():
        from .kinds.doubts import lost_by_port

        found += lost_by_port(sorted(session.current.ports, key=str), world)
    for version in (4, 6):
        whose = session.foreign_nat(version)
        if whose:
            found.append("%s as well (IPv%d); where two rules match a port, the first one decides" % (whose, version))
    return found


def _joined(report: HostReport) -> HostReport:
    """The report with the published ports and masquerades of each network."""
    ports: dict[str, list[model.PublishedPort]] = {}
    for port in report.ports:
        ports.setdefault(port.bridge, []).append(port)
    behind: dict[model.Network, list[str]] = {}
    for network in report.networks:
        for subnet in dict.fromkeys(network.subnets):
            behind.setdefault(subnet, []).append(network.bridge)
    ways: dict[str, list[model.Masquerade]] = {}
    for way in report.masquerades:
        for bridge in behind.get(way.source, ()):
            ways.setdefault(bridge, []).append(way)
    networks = [
        replace(network, ports=tuple(ports.get(network.bridge, ())), masquerades=tuple(ways.get(network.bridge, ())))
        for network in report.networks
    ]
    return replace(report, networks=tuple(networks))
