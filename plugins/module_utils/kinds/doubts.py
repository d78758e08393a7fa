# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why what somebody makes by hand, one object after the other, would not work as the host is: a clause for each reason.

The role brings the rest in the same run, or in its next steps, of which it asks for no warnings.
"""

from __future__ import annotations

import typing as t

from ..model import HOST, Masquerade, PublishedPort
from ..world import World
from .forward_record import localnet_key

_ADVICE = "turn it on with the module sysctl_forward"


def of_masquerade(item: Masquerade, world: World) -> t.Iterator[str]:
    """Of what leaves a subnet."""
    if not world.forwards(item.source.version):
        yield "the host does not forward IPv%d, so nothing gets out; %s" % (item.source.version, _ADVICE)


def of_port(item: PublishedPort, world: World) -> t.Iterator[str]:
    """Of what comes to an endpoint."""
    version = item.container_ip.version
    for_the_host = item.host_ip is not None and item.host_ip.is_loopback
    if not for_the_host and not world.forwards(version):
        yield "the host does not forward IPv%d, so nobody gets in; %s" % (version, _ADVICE)
    if item.bridge and not _leads_to(item, world):
        yield "there is no route to %s by %s; give that interface an address in its subnet" % (
            item.container_ip,
            item.bridge,
        )
    if item.serves_loopback and not _routes_loopback(item.bridge, world):
        yield "127.0.0.1 does not lead there without route_localnet for %s; %s" % (item.bridge, _ADVICE)


def warn_of_answers(item: PublishedPort, world: World) -> None:
    """An answer carries the endpoint's own address while it is routed, so a rule for the host's does not see it."""
    for source, table, link in world.ways_of_answers():
        at = item.host_ip is None or item.host_ip in source
        if at and source.version == item.container_ip.version:
            world.warn(
                "Published ports cannot be used from behind %s: the rule 'from %s lookup %d' routes the host's own"
                " answers there, but those of endpoints leave by the main table; publish on another address, or"
                " have the clients come in by another interface." % (link, source, table)
            )


def _leads_to(item: PublishedPort, world: World) -> bool:
    return any(entry.link == item.bridge and item.container_ip in entry.route.to for entry in world.routes())


def _routes_loopback(link: str, world: World) -> bool:
    return any(world.sysctl(HOST, localnet_key(name)) not in (None, "0") for name in ("all", link) if name)
