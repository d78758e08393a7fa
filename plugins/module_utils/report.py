# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a host, as data: everything there that is ours. network_info returns it in JSON.

The ``network`` of an object is its label, which names the project as well (marks.py).
"""

from __future__ import annotations

import typing as t

from . import marks, model
from .records import dataclass, replace

_T = t.TypeVar(
    "_T",
    model.Masquerade,
    model.PublishedPort,
    model.NamespaceFile,
    "NamespaceReport",
    "EndpointReport",
    "ServiceReport",
)


@dataclass(frozen=True)
class PortUse:
    """A published port seen from its endpoint: whether a program listens there."""

    address: model.Address
    protocol: str
    ports: model.PortRange
    heard: bool = True  # by a process, on one of these ports
    silent: tuple[model.PortRange, ...] = ()  # ports on which no process does, if one does on others
    elsewhere: tuple[model.Address, ...] = ()  # addresses on which a program listens that the port does not reach


@dataclass(frozen=True)
class LostNamespace:
    """A namespace that we made and that has lost its name, but has processes in it."""

    name: str  # the name that it had
    processes: tuple[model.Process, ...] = ()


@dataclass(frozen=True)
class EndpointReport:
    """The host's end of a veth pair that we made, and its other end."""

    veth: str
    network: str
    isolated: bool = False
    up: bool = True
    place: model.Place | None = None  # None: the namespace of the other end cannot be found, so the rest is unknown
    interface: str | None = None
    addresses: tuple[model.Interface, ...] = ()
    mac_address: str | None = None
    # The following is filled in by living.py:
    default_routes: tuple[int, ...] = ()  # the versions of IP in which it has a default route of ours
    lost_name: str = ""  # of a namespace that only its processes keep alive, if that name is free
    processes: tuple[model.Process, ...] = ()
    troubles: tuple[str, ...] = ()  # with its link and its routes, a clause each
    ports: tuple[PortUse, ...] = ()
    names: tuple[str, ...] = ()  # by which other endpoints of its network find it
    services: tuple[str, ...] = ()  # units of systemd that are meant to run there
    dns: bool = False  # whether it is meant to have a DNS server of its own

    @property
    def netns(self) -> str | None:
        """The name of the namespace that it lives in, if that has one."""
        return None if self.place is None else self.place.netns


@dataclass(frozen=True)
class NetworkReport:
    """A bridge, or what is left of one, with everything that belongs to it."""

    bridge: str
    network: str = ""  # empty: made by single modules, outside of any network
    present: bool = False  # its rules may exist before the bridge and after it
    ours: bool = False
    unmarked: bool = False  # it has our alias and not our group, so that it is not ours, although we may have made it
    addresses: tuple[model.Interface, ...] = ()
    subnets: tuple[model.Network, ...] = ()
    mtu: int | None = None
    policy: model.BridgePolicy | None = None
    endpoints: tuple[EndpointReport, ...] = ()
    ports: tuple[model.PublishedPort, ...] = ()
    masquerades: tuple[model.Masquerade, ...] = ()
    drops: tuple[model.Drop, ...] = ()  # packets that our rules have dropped, by reason

    @property
    def name(self) -> str:
        """The name that a person uses for it."""
        return marks.name_of(self.network) or self.bridge


@dataclass(frozen=True)
class NamespaceReport:
    """A named namespace that we made or named, or that has an endpoint of ours in it."""

    name: str
    network: str = ""
    ours: bool = False
    unmarked: bool = False  # its loopback has our alias and not our group, so that it is not ours, although it may be
    sysctls: tuple[tuple[str, str], ...] = ()  # that we have set


@dataclass(frozen=True)
class ServiceReport:
    """A unit of systemd that a drop-in of ours puts into a namespace."""

    unit: str
    netns: str
    network: str = ""
    active: str = ""  # in systemd's own word; living.py fills in this field and the next
    stale: bool = False  # whether it runs in another namespace


@dataclass(frozen=True)
class HostReport:
    """The whole report."""

    networks: tuple[NetworkReport, ...] = ()  # by bridge
    unplugged: tuple[EndpointReport, ...] = ()  # without a bridge: made so, or left behind by one
    namespaces: tuple[NamespaceReport, ...] = ()
    ports: tuple[model.PublishedPort, ...] = ()
    masquerades: tuple[model.Masquerade, ...] = ()
    forwards: frozenset[int] = frozenset()  # versions of IP
    forward_policy: str = "unmanaged"  # for packets that do not concern our networks
    lost: tuple[LostNamespace, ...] = ()  # without an endpoint; see living.py
    uplinks: t.Mapping[int, str] | None = None  # links of the default routes, by version of IP
    uplink_addresses: tuple[model.Interface, ...] = ()
    backend: str | None = None  # None: no packet filter works
    at_boot: str = ""  # whether everything will be there after a boot, and if not, why
    foreign: tuple[str, ...] = ()  # rules of others that override ours, a clause each
    possible_drops: tuple[model.PossibleDrop, ...] = ()  # the first ones, if there are many
    more_possible_drops: int = 0
    absent_interfaces: tuple[str, ...] = ()  # that rules of ours name and the host does not have, a clause each
    altered: tuple[str, ...] = ()  # rules of ours that others have removed or altered, by name
    drops: tuple[model.Drop, ...] = ()  # that belong to no single network
    files: tuple[model.NamespaceFile, ...] = ()  # of ours, below /etc/netns
    services: tuple[ServiceReport, ...] = ()
    views: tuple[model.NameView, ...] = ()  # of endpoints with a DNS server, without their names

    def has_anything(self) -> bool:
        """Whether anything of ours is in it; facts about the host itself do not count."""
        facts = replace(self, forwards=frozenset(), uplinks=None, uplink_addresses=(), backend=None, foreign=())
        facts = replace(facts, possible_drops=(), more_possible_drops=0)
        return replace(facts, at_boot="", drops=()) != HostReport()

    @property
    def endpoints(self) -> t.Iterator[EndpointReport]:
        """All endpoints, including those without a bridge."""
        for network in self.networks:
            yield from network.endpoints
        yield from self.unplugged

    def uplink(self, version: int) -> str | None:
        """The link of the default route."""
        return (self.uplinks or {}).get(version)

    def with_endpoints(self, change: t.Callable[[EndpointReport], EndpointReport]) -> HostReport:
        """The report with a change of each endpoint."""
        networks = tuple(replace(n, endpoints=tuple(map(change, n.endpoints))) for n in self.networks)
        return replace(self, networks=networks, unplugged=tuple(map(change, self.unplugged)))

    def with_names_back(self, lost: t.Mapping[model.Place, str]) -> HostReport:
        """The report with endpoints in namespaces that have their names again."""

        def named(end: EndpointReport) -> EndpointReport:
            name = None if end.place is None else lost.get(end.place)
            return replace(end, place=model.Place(netns=name)) if name else end

        return self.with_endpoints(named) if lost else self

    def only(self, name: str) -> HostReport:
        """The report of one network, by its name or that of its bridge, with the objects that have its label."""
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
    return tuple(item for item in items if marks.name_of(item.network) == name)
