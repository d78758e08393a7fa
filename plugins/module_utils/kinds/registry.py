# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of objects, a row each. A run imports only the kinds that it uses.

This is not in the package's __init__: AnsiballZ follows the imports of every package on the way to a module's imports,
also those inside functions, and would send all kinds with every module.
"""

from __future__ import annotations

import typing as t

from . import parts

if t.TYPE_CHECKING:
    from .. import engine
    from ..report import HostReport
    from ..world import World


class Row(t.NamedTuple):
    """A kind: how to load it, where it stands in a run, and what it adds to the report of a host."""

    name: str
    load: t.Callable[[], engine.AnyKind]
    leaves: int  # objects are removed in the order of these numbers, and made in the order of the rows
    report: t.Callable[[World, HostReport], HostReport]  # is given the report of the rows above
    has_module: bool = True  # of its own; objects of other kinds follow from whole networks alone


def _bridge_firewall() -> engine.AnyKind:
    from .bridge_firewall import BridgeFirewallKind

    return BridgeFirewallKind()


def _nat_masquerade() -> engine.AnyKind:
    from .nat_masquerade import NatMasqueradeKind

    return NatMasqueradeKind()


def _port_publish() -> engine.AnyKind:
    from .port_publish import PortPublishKind

    return PortPublishKind()


def _bridge() -> engine.AnyKind:
    from .bridge import BridgeKind

    return BridgeKind()


def _sysctl_forward() -> engine.AnyKind:
    from .sysctl_forward import SysctlForwardKind

    return SysctlForwardKind()


def _netns() -> engine.AnyKind:
    from .netns import NetnsKind

    return NetnsKind()


def _veth() -> engine.AnyKind:
    from .veth import VethKind

    return VethKind()


def _netns_file() -> engine.AnyKind:
    from .netns_file import NetnsFileKind

    return NetnsFileKind()


def _endpoint_service() -> engine.AnyKind:
    from .endpoint_service import EndpointServiceKind

    return EndpointServiceKind()


def _dns() -> engine.AnyKind:
    from .dns import DnsKind

    return DnsKind()


# Rules are made before the links that they close. Ports are removed before their endpoints, and the policy of a bridge
# after the bridge, so that the bridge is closed for as long as it exists.
ROWS = (
    Row("bridge_firewall", _bridge_firewall, 6, parts.policies),
    Row("nat_masquerade", _nat_masquerade, 5, parts.masquerades),
    Row("port_publish", _port_publish, 1, parts.ports),
    Row("bridge", _bridge, 4, parts.bridges),
    Row("sysctl_forward", _sysctl_forward, 7, parts.forwarding),
    Row("netns", _netns, 3, parts.namespaces),
    Row("veth", _veth, 2, parts.endpoints),
    Row("netns_file", _netns_file, 8, parts.files, has_module=False),
    Row("endpoint_service", _endpoint_service, 0, parts.services),
    Row("dns", _dns, -1, parts.views, has_module=False),
)
