# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as a plan sees it: what is there, and what earlier steps of the same run will have made or taken away."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field, replace

from .firewall.session import FirewallSession
from .kernel.errors import KernelError
from .kernel.host import Host
from .kernel.state import Link, NamespaceEntry, RouteEntry
from .marks import DOOMED_GROUP, LINK_GROUP
from .model import BRIDGE_PORTS, HOST, Conflict, Interface, Place, overlap
from .operations import Operation


@dataclass
class Claims:
    """What this run brings to what is wanted, so that what is there of it now is in nobody's way."""

    addresses: set[str] = field(default_factory=set)  # links of the host whose addresses it settles
    policies: set[str] = field(default_factory=set)  # bridges whose policies it settles
    veths: dict[str, tuple[Place, str]] = field(default_factory=dict)  # where it wants the other ends of veth pairs
    routes: set[tuple[Place, str]] = field(default_factory=set)  # links, by place, whose routes it settles


class World:
    """Reads lazily, each thing once; planning tells it what it has decided."""

    def __init__(self, host: Host, firewall: FirewallSession, check_mode: bool = False) -> None:
        self.host = host
        self.firewall = firewall
        self.check_mode = check_mode
        self.warnings: list[str] = []
        self.dropped_bridges: set[str] = set()
        self.claims = Claims()
        self.afterwards: list[Operation] = []  # steps for when all the others are done
        self._links: dict[Place, dict[str, Link]] = {}
        self._namespaces: t.Mapping[str, NamespaceEntry] | None = None
        self._new_namespaces: set[str] = set()
        self._gone_namespaces: set[str] = set()
        self._cut: set[tuple[int, int]] = set()
        self._peers: dict[tuple[int, int], tuple[Place, Link]] | None = None
        self._has_looked_everywhere = False
        self._peopled: set[str] | None = None
        self._assumed: dict[str, list[str]] = {}

    # -- namespaces

    def namespace(self, name: str) -> NamespaceEntry | None:
        """What lies below /run/netns under this name now, before any step of this run."""
        if self._namespaces is None:
            self._namespaces = self.host.namespaces()
        return self._namespaces.get(name)

    def remains(self) -> list[str]:
        """The names of namespaces that a run of ours was killed over: each stands for nothing."""
        self.namespace("")
        return [name for name, entry in (self._namespaces or {}).items() if entry.remains]

    def has_namespace(self, name: str) -> bool:
        """Whether there is, or will be, a namespace of this name."""
        if name in self._gone_namespaces:
            return False
        entry = self.namespace(name)
        return name in self._new_namespaces or (entry is not None and entry.inode != 0)

    def is_new(self, place: Place) -> bool:
        """Whether a place is still to be made, so that nothing can be read in it."""
        return place.netns is not None and (place.netns in self._new_namespaces or not self.has_namespace(place.netns))

    def make_namespace(self, name: str) -> None:
        """A step of this run makes it."""
        self._new_namespaces.add(name)
        self._gone_namespaces.discard(name)
        self._links[Place(netns=name)] = {}

    def drop_namespace(self, name: str) -> None:
        """A step of this run takes it away."""
        self._new_namespaces.discard(name)
        self._gone_namespaces.add(name)

    def require(self, place: Place) -> None:
        """Raise Conflict unless the place exists; in check mode a missing name is noted and assumed."""
        if place.netns is not None and not self.has_namespace(place.netns):
            self.assume("namespace", place.netns, "make it with the module netns, or by 'ip netns add'")
        if place.pid is not None and not self._has_process(place):
            raise Conflict("There is no process %d on this host." % place.pid)

    def _has_process(self, place: Place) -> bool:
        try:
            return self.host.namespace_inode(place) != 0
        except KernelError:
            return False

    # -- links

    def links(self, place: Place = HOST) -> t.Mapping[str, Link]:
        """The links of a place as they will be when the steps planned so far are done."""
        if place not in self._links:
            found = {} if self.is_new(place) else self.host.stack(place).links()
            self._links[place] = {name: link for name, link in found.items() if not self._is_cut(link)}
        return self._links[place]

    def _is_cut(self, link: Link) -> bool:
        """Whether it is the other end of a veth pair that a step of this run takes away."""
        return link.kind == "veth" and (link.index, link.peer_index) in self._cut

    def put_link(self, link: Link, place: Place = HOST) -> None:
        """A step of this run makes the link, or changes it to this."""
        self.links(place)
        self._links[place][link.name] = link

    def drop_link(self, name: str) -> None:
        """A step of this run deletes a link of the host, and with a veth its other end; ports of a bridge stay."""
        self.links()
        gone = self._links[HOST].pop(name, None)
        if gone is None:
            return
        if gone.kind == "bridge":
            self.dropped_bridges.add(name)
            for link in [link for link in self._links[HOST].values() if link.master == name]:
                self._links[HOST][link.name] = replace(link, master="")
        if gone.kind == "veth":
            self._cut.add((gone.peer_index, gone.index))
            for place, links in self._links.items():
                self._links[place] = {name: link for name, link in links.items() if not self._is_cut(link)}

    def routes(self, place: Place) -> list[RouteEntry]:
        """The routes of a place by links that will still be there."""
        entries = [] if self.is_new(place) else self.host.stack(place).routes()
        return [entry for entry in entries if entry.link in self.links(place)]

    def peer_of(self, veth: Link) -> tuple[Place, Link] | None:
        """The other end of a veth pair of ours; None when it is in a namespace with neither a name nor a process."""
        key = (veth.index, veth.peer_index)
        if self._peers is None:
            names = [name for name, entry in self.host.namespaces().items() if entry.inode]
            self._peers = self._ends(Place(netns=name) for name in sorted(names))
        if key not in self._peers and not self._has_looked_everywhere:
            self._has_looked_everywhere = True
            self._peers = {**self._ends(self._nameless()), **self._peers}
        return self._peers.get(key)

    def _ends(self, places: t.Iterable[Place]) -> dict[tuple[int, int], tuple[Place, Link]]:
        found = {}
        for place in places:
            # a process may end before we get to its namespace
            with contextlib.suppress(KernelError):
                veths = [link for link in self.host.stack(place).links().values() if link.kind == "veth"]
                found.update({(link.peer_index, link.index): (place, link) for link in veths})
        return found

    def _nameless(self) -> list[Place]:
        """The namespaces that are known by their processes only."""
        known = {entry.inode for entry in self.host.namespaces().values()} | {self.host.namespace_inode(HOST)}
        return [Place(pid=min(pids)) for inode, pids in self.host.tenants().items() if inode not in known]

    def bridge(self, name: str) -> Link | None:
        """The bridge of this name; None when check mode assumes it."""
        link = self.links().get(name)
        if link is None:
            self.assume("bridge", name, "make it with the module bridge")
        elif link.kind != "bridge":
            raise Conflict("Interface %s is no bridge but %s." % (name, described(link)))
        return link

    def peopled_bridges(self) -> set[str]:
        """The bridges that had a port before this run."""
        if self._peopled is None:
            self._peopled = {link.master for link in self.host.stack(HOST).links().values() if link.master}
        return self._peopled

    def take_port(self, bridge: str) -> None:
        """Raise Conflict when a bridge has no port left for one more link."""
        ports = sum(1 for link in self.links().values() if link.master == bridge)
        if ports >= BRIDGE_PORTS:
            raise Conflict("Bridge %s is full: the kernel gives a bridge %d ports." % (bridge, BRIDGE_PORTS))

    def refuse_overlap(self, name: str, address: Interface) -> None:
        """Raise Conflict when a subnet is somewhere else on the host already."""
        for link in self.links().values():
            for other in link.addresses:
                if link.name not in self.claims.addresses | {name} and overlap(address.network, other.network):
                    raise Conflict(
                        "Subnet %s of %s overlaps %s, an address of interface %s."
                        % (address.network, name, other, link.name)
                    )
        for entry in self.routes(HOST):
            to = entry.route.to
            if entry.link not in self.claims.addresses | {name} and to.prefixlen and overlap(address.network, to):
                raise Conflict(
                    "Subnet %s of %s overlaps the route to %s by interface %s."
                    % (address.network, name, to, entry.link)
                )

    # -- assumptions and warnings

    def assume(self, kind: str, name: str, advice: str) -> None:
        """Something is missing: a Conflict, but in check mode an earlier task may be the one that makes it."""
        if not self.check_mode:
            raise Conflict("There is no %s %s on this host; %s." % (kind, name, advice))
        names = self._assumed.setdefault(kind, [])
        if name not in names:
            names.append(name)

    def warn(self, text: str) -> None:
        """Say something that the user should know, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def assumptions(self) -> list[str]:
        """What check mode took for granted, a sentence for each kind."""
        return [
            "Check mode: %s %s not there yet; an earlier task is taken to make %s."
            % (kind if len(names) == 1 else kind + "s", _enumerate(names), "it" if len(names) == 1 else "them")
            for kind, names in self._assumed.items()
        ]


def _enumerate(names: t.Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (" and %d more" % (len(names) - 5) if len(names) > 5 else "")
    return "%s %s" % (shown, "is" if len(names) == 1 else "are")


def is_ours(link: Link) -> bool:
    """Whether this collection made a link."""
    return link.group in (LINK_GROUP, DOOMED_GROUP)


def described(link: Link) -> str:
    """What a link is, for a message."""
    return "a %s" % link.kind if link.kind else "a physical or loopback interface"
