# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of ours is on a host, as data: what network_info returns before it is spelled.

The ``network`` of an object is its label, which tells the project as well (marks.py).
"""

from __future__ import annotations

import typing as t

from .marks import name_of
from .model import (
    Address,
    BridgePolicy,
    Drop,
    Interface,
    Masquerade,
    NamespaceFile,
    NameView,
    Network,
    Place,
    PortRange,
    Process,
    PublishedPort,
)
from .records import dataclass, replace

_T = t.TypeVar("_T", Masquerade, PublishedPort, NamespaceFile, "NamespaceReport", "EndpointReport", "ServiceReport")


@dataclass(frozen=True)
class PortUse:
    """Who listens where a published port leads to."""

    address: Address
    protocol: str
    ports: PortRange
    heard: bool = True  # by anybody, on one of these ports
    elsewhere: tuple[Address, ...] = ()  # where somebody listens whom it does not reach


@dataclass(frozen=True)
class LostNamespace:
    """A namespace that we made, that has lost its name, and that processes live in."""

    name: str  # the one that it had
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True)
class EndpointReport:
    """The host's end of a veth pair that we made, and its other end."""

    veth: str
    network: str
    isolated: bool = False
    up: bool = True
    place: Place | None = None  # None: the other end is in no namespace that can be found, so the rest is not known
    interface: str | None = None
    addresses: tuple[Interface, ...] = ()
    mac_address: str | None = None
    # What is there beside the link, which living.py fills in:
    default_routes: tuple[int, ...] = ()  # versions of IP whose default route it has from us
    processes: tuple[Process, ...] = ()
    troubles: tuple[str, ...] = ()  # of its link and its routes, a clause each
    ports: tuple[PortUse, ...] = ()
    names: tuple[str, ...] = ()  # by which others of its network find it
    services: tuple[str, ...] = ()  # units of systemd that are to run there, wherever they do
    dns: bool = False  # whether it is to have a DNS server of its own

    @property
    def netns(self) -> str | None:
        """The namespace that it lives in, when that has a name."""
        return None if self.place is None else self.place.netns


@dataclass(frozen=True)
class NetworkReport:
    """A bridge, or what is left of one, with all that belongs to it."""

    bridge: str
    network: str = ""  # empty: made by the modules one by one, without a network's name
    present: bool = False  # rules may be there before the bridge, and outlive it
    ours: bool = False
    addresses: tuple[Interface, ...] = ()
    subnets: tuple[Network, ...] = ()
    mtu: int | None = None
    policy: BridgePolicy | None = None
    endpoints: tuple[EndpointReport, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    masquerades: tuple[Masquerade, ...] = ()
    drops: tuple[Drop, ...] = ()  # packets that our rules have dropped, by reason

    @property
    def name(self) -> str:
        """What a person calls it."""
        return name_of(self.network) or self.bridge


@dataclass(frozen=True)
class NamespaceReport:
    """A named namespace that has an endpoint of ours in it, or that we made, or gave its name to."""

    name: str
    network: str = ""
    ours: bool = False


@dataclass(frozen=True)
class ServiceReport:
    """A unit of systemd that runs in a namespace by a drop-in of ours."""

    unit: str
    netns: str
    network: str = ""
    active: str = ""  # in systemd's own word; this and the next, living.py fills in
    stale: bool = False  # whether it runs in another namespace than that


@dataclass(frozen=True)
class HostReport:
    """All of it."""

    networks: tuple[NetworkReport, ...] = ()  # by bridge
    unplugged: tuple[EndpointReport, ...] = ()  # on no bridge: made without one, or outlived it
    namespaces: tuple[NamespaceReport, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    masquerades: tuple[Masquerade, ...] = ()
    forwards: frozenset[int] = frozenset()  # versions of IP
    forward_policy: str = "unmanaged"  # that is in force for what does not concern us
    lost: tuple[LostNamespace, ...] = ()  # without an endpoint; see living.py
    uplinks: t.Mapping[int, str] | None = None  # links of the default routes, by version of IP
    uplink_addresses: tuple[Interface, ...] = ()
    backend: str | None = None  # None: no packet filter works
    at_boot: str = ""  # whether all of it will be there after a boot, and why not
    foreign: tuple[str, ...] = ()  # what of others overrides our rules, a clause each
    drops: tuple[Drop, ...] = ()  # that concern no network more than another
    files: tuple[NamespaceFile, ...] = ()  # of ours, below /etc/netns
    services: tuple[ServiceReport, ...] = ()
    views: tuple[NameView, ...] = ()  # of the endpoints that have a DNS server, without the names in them

    def has_anything(self) -> bool:
        """Whether anything of ours is in it; what the host itself is like does not count."""
        facts = replace(self, forwards=frozenset(), uplinks=None, uplink_addresses=(), backend=None, foreign=())
        return replace(facts, at_boot="", drops=()) != HostReport()

    @property
    def endpoints(self) -> t.Iterator[EndpointReport]:
        """All of them, those on no bridge among them."""
        for network in self.networks:
            yield from network.endpoints
        yield from self.unplugged

    def uplink(self, version: int) -> str | None:
        """The link of the default route."""
        return (self.uplinks or {}).get(version)

    def only(self, name: str) -> HostReport:
        """One network by its name or its bridge's, with what is noted under that name."""
        return replace(
            self,
            networks=tuple(network for network in self.networks if name in (network.name, network.bridge)),
            unplugged=_of(self.unplugged, name),
            namespaces=_of(self.namespaces, name),
            ports=_of(self.ports, name),
            masquerades=_of(self.masquerades, name),
            files=_of(self.files, name),
            services=_of(self.services, name),
        )


def _of(items: t.Sequence[_T], name: str) -> tuple[_T, ...]:
    return tuple(item for item in items if name_of(item.network) == name)
