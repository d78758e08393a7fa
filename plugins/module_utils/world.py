# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as a plan sees it: its present state, with the changes by earlier steps of the same run.

Links, routes, sysctls, files, programs and namespaces are all asked for here, units of systemd in units.py, and each
planned step is noted with its effect. So two kinds of objects that want the same key, file or unit see one another.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import field

from . import marks, model
from .firewall.session import FirewallSession
from .kernel import state
from .kernel.errors import KernelError
from .kernel.host import Host
from .places import Places
from .records import dataclass, replace

if t.TYPE_CHECKING:
    from . import operations
    from .detours import Detours
    from .kernel.stack import Stack
    from .units import Units

# The places of links, by the number of their namespace in links of the host, and their index there.
_Ends = dict[tuple[t.Optional[int], int], tuple[model.Place, str]]

_Pairs = t.Sequence[tuple[str, str]]

_T = t.TypeVar("_T")

_ETHERNET_MTU = 1500
_ROOT = 0
_WRITABLE_BY_OTHERS = 0o022
# A value of these applies to all interfaces, including new ones.
_FOR_ALL = {key: "net/ipv%d/conf/" % version for version, key in model.FORWARDING.items()}


@dataclass
class Claims:
    """The objects that this run settles, so that their present state causes no conflict."""

    addresses: set[str] = field(default_factory=set)  # links of the host whose addresses it settles
    policies: set[str] = field(default_factory=set)  # bridges whose policies it settles
    # Veth pairs, each with the place and the name that it wants for the other end.
    veths: dict[str, tuple[model.Place, str]] = field(default_factory=dict)
    leading: dict[str, list[str]] = field(default_factory=dict)  # these veth pairs by the namespace of the other end
    insisted: set[str] = field(default_factory=set)  # links of the host whose subnets may also be elsewhere
    routes: set[tuple[model.Place, str]] = field(default_factory=set)  # links, by place, whose routes it settles
    services: dict[str, str] = field(default_factory=dict)  # units, and the namespaces where it wants them
    units: set[str] = field(default_factory=set)  # units that it may start, stop or restart
    # The views of DNS servers, by the namespace of their endpoint; None: its server is removed.
    views: dict[str, model.NameView | None] = field(default_factory=dict)


class World:
    """Reads each thing once, when it is needed, and notes what the plan will change."""

    def __init__(self, host: Host, firewall: FirewallSession, check_mode: bool = False) -> None:
        self.host = host
        self.firewall = firewall
        self.check_mode = check_mode
        self.warnings: list[str] = []
        self.recreated: list[dict[str, object]] = []  # namespaces made again, with the processes in the old ones
        self.claims = Claims()
        self.moved: list[dict[str, str]] = []  # units of systemd that are started, stopped or restarted, and where
        self.beforehand: list[operations.Operation] = []  # steps that come before all removals
        self.settled: list[tuple[t.Any, t.Any, str]] = []  # AnyKind, object and state of what is planned
        self.restoring = False  # this run restores objects, which have been permitted before
        self.afterwards: list[operations.Operation] = []  # steps that come after all others
        self.places = Places(host)
        self._projects: dict[bool, dict[str, str]] = {}  # with rules, and without them
        self._links: dict[model.Place, dict[str, state.Link]] = {}
        self._routes: dict[model.Place, list[state.RouteEntry]] = {}
        self._barriers: dict[model.Place, list[state.RouteEntry]] = {}
        self._settled: set[tuple[model.Place, str]] = set()
        self._values: dict[tuple[model.Place, str], dict[str, str]] = {}
        self._wanted_values: dict[tuple[model.Place, str], str] = {}
        self._taken_values: set[frozenset[tuple[str, str, int | None]]] = set()  # sysctls that have been tried
        # By namespace, sysctls to try when all links are planned, others that have to be there before, and whether the
        # run changes any.
        self.untried: dict[str, tuple[_Pairs, _Pairs, bool]] = {}
        self._files: dict[str, str | None] = {}
        self._looked: dict[str, str | None] = {}
        self._odd: dict[str, bool] = {}
        self._with_notes: frozenset[str] | None = None
        self._programs: dict[str, bytes | None] = {}
        self._last_index = 0
        self._lost: dict[str, list[model.Place]] | None = None
        self._indexes: dict[int, str] | None = None
        self._ports: dict[str, int] | None = None
        self._stations: dict[str, dict[str, str]] = {}
        self._peers: _Ends | None = None
        self._made_peers: _Ends = {}
        self._has_looked_everywhere = False
        self._with_ports: set[str] | None = None
        self._uplinks: dict[int, str | None] = {}
        self._default_mtu: int | None = None
        self._defaults: dict[str, str | None] = {}
        self._answers: list[tuple[model.Network, int, str]] | None = None
        self._source_rules: dict[model.Place, list[model.SourceRule]] = {}
        self._lookups: dict[model.Place, list[state.Lookup]] = {}
        self._tables: dict[tuple[model.Place, int], list[state.RouteEntry]] = {}  # routes of others than the main table
        self._machine_id = ""
        self._systemd: bool | None = None
        self._units: Units | None = None
        self._detours: Detours | None = None
        self._assumed: dict[str, list[str]] = {}
        self._local: t.Collection[bytes] | None = None
        self._remarks: dict[str, dict[t.Hashable, str]] = {}

    def follow(self) -> None:
        """Begin another plan on the host as the present one leaves it, which an earlier task has told of."""
        self.warnings, self.recreated, self.moved = [], [], []
        self.beforehand, self.afterwards, self.settled = [], [], []
        self.claims = Claims()
        self._projects, self._assumed, self._remarks = {}, {}, {}
        self._units = self._detours = None
        self._stations = {}
        links = self.links().values()
        self._with_ports = {link.master for link in links if link.master}
        self.firewall.follow(links)

    @property
    def units(self) -> Units:
        """The units of systemd."""
        if self._units is None:
            from .units import Units

            self._units = Units(self.host, self.claims.units, self.file)
        return self._units

    @property
    def detours(self) -> Detours:
        """What others have on the host that keeps packets from endpoints, once everything is planned."""
        if self._detours is None:
            from .detours import Detours

            stack = self.host.stack(model.HOST)
            routes = [*self.routes(), *self.barriers(model.HOST)]
            first = [version for version in model.VERSIONS if self.looks_there_first(version)]
            self._detours = Detours(self.links(), routes, stack.rules(), self._whole_table, first)
        return self._detours

    def detours_in(self, place: model.Place) -> Detours:
        """The same for a namespace that is there, as far as rules of routing are concerned."""
        from .detours import Detours

        stack = self.host.stack(self.places.home(place))
        routes = [*self.routes(place), *self.barriers(place)]

        def read_table(table: int) -> list[state.RouteEntry]:
            return [*self.table_routes(place, table), *stack.table_barriers(table)]

        return Detours(self.links(place), routes, stack.rules(), read_table, place=place)

    def has_odd_rules(self, place: model.Place) -> bool:
        """Whether a namespace has rules of routing of others, besides those to the usual tables."""
        return not self.is_new(place) and any(not r.ours and r.table not in model.TABLES for r in self.lookups(place))

    @property
    def revision(self) -> tuple[int, ...]:
        """Numbers that change when something is planned that is not a step of the object itself."""
        return (self.firewall.revision, len(self.beforehand), len(self.afterwards))

    # -- namespaces

    def namespace(self, name: str) -> state.NamespaceEntry | None:
        """The present entry below /run/netns of this name, before any step of this run."""
        return self.places.entries().get(name)

    def remains(self) -> list[str]:
        """The names without a namespace that a killed run of ours has left."""
        return [name for name, entry in self.places.entries().items() if entry.remains]

    def is_named_by_us(self, name: str) -> bool:
        """Whether we gave this name to the namespace of a process."""
        entry = self.namespace(name)
        return entry is not None and entry.recorded != 0 and entry.recorded == entry.inode

    def has_namespace(self, name: str) -> bool:
        """Whether there is, or will be, a namespace of this name."""
        return self.places.has_name(name)

    def is_new(self, place: model.Place) -> bool:
        """Whether a place is still to be made, so that nothing can be read in it."""
        return self.places.is_new(place)

    def is_host(self, place: model.Place) -> bool:
        """Whether a place is the host's own network namespace, by whatever name."""
        return self.is_same(place, model.HOST)

    def owns(self, place: model.Place) -> bool:
        """Whether we made a namespace, or will make it; the host's own does not count."""
        lo = self.links(place).get("lo")
        return lo is None or is_ours(lo)

    def is_same(self, one: model.Place, other: model.Place) -> bool:
        """Whether two places are the same network namespace; a place that does not exist equals no other."""
        try:
            return self.places.home(one) == self.places.home(other)
        except KernelError:
            return False

    def inode(self, place: model.Place) -> int:
        """The inode of a namespace as it will be; 0 if it is still to be made, or missing."""
        if place.netns is None or not self.has_namespace(place.netns):
            return 0
        return 0 if self.is_new(place) else self.places.inode(self.places.home(place))

    def names(self) -> list[str]:
        """The names of all present namespaces."""
        return sorted(name for name in self.places.entries() if self.has_namespace(name))

    def make_namespace(self, name: str) -> None:
        """Note that a step of this run makes a namespace."""
        self._forget(name)
        self.places.make(name)

    def attach_namespace(self, name: str, place: model.Place) -> None:
        """Note that a step of this run gives the namespace of a process this name."""
        self._forget(name)
        self.places.attach(name, place)

    def drop_namespace(self, name: str) -> None:
        """Note that a step of this run removes a namespace."""
        self._forget(name)
        self.places.drop(name)

    def _forget(self, name: str) -> None:
        place = model.Place(netns=name)
        self._links.pop(place, None)
        self._routes.pop(place, None)
        self._source_rules.pop(place, None)
        self._lookups.pop(place, None)
        self._tables = {key: entries for key, entries in self._tables.items() if key[0] != place}

    def is_native(self, place: model.Place) -> bool:
        """Whether the process that stands for a namespace belongs to the host itself, and not to a container."""
        return self.host.is_native(place.pid or 0)

    def processes_in(self, place: model.Place) -> t.Sequence[model.Process]:
        """The processes in a present namespace."""
        inode = self.places.inode(place)
        return self.host.processes_in(inode) if inode else ()

    def left_in(self, place: model.Place) -> list[model.Process]:
        """The processes in a namespace that this run does not move elsewhere, as it does with services of systemd."""
        return [process for process in self.processes_in(place) if process.unit not in self.claims.units]

    def lost(self, name: str) -> list[model.Place]:
        """The namespaces of ours that have lost this name and have processes in them."""
        return self.all_lost().get(name, [])

    def all_lost(self) -> t.Mapping[str, list[model.Place]]:
        """The namespaces of ours that have lost their names and have processes in them, by the names that they had."""
        if self._lost is None:
            self._lost = {}
            for place in self.nameless():
                # a process may end before we reach its namespace
                with contextlib.suppress(KernelError):
                    lo = self.links(place).get("lo")
                    if lo is not None and is_ours(lo):
                        self._lost.setdefault(marks.namespace_of(lo.alias), []).append(place)
        return self._lost

    def is_plugged(self, place: model.Place) -> bool:
        """Whether a veth pair of ours leads into a namespace; not if its process has just ended."""
        with contextlib.suppress(KernelError):
            ends = (self.near_end(place, link) for link in self.links(place).values())
            return any(is_ours(near) for near in ends if near is not None)
        return False

    def require(self, place: model.Place) -> None:
        """Raise Conflict unless the place exists. In check mode, a missing name is assumed to exist, and noted."""
        if place.netns is not None and not self.has_namespace(place.netns):
            self.assume("namespace", place.netns, "make it with the module netns, or by 'ip netns add'")
        if place.pid is not None and not self.host.has_process(place.pid):
            raise model.Conflict("There is no process %d on this host; give the PID of one that runs." % place.pid)

    def survey(self) -> None:
        """Read all named namespaces at once, for a run that needs most of them."""
        self.host.survey([model.Place(netns=name) for name, entry in self.places.entries().items() if entry.inode])

    def has_anything(self) -> bool:
        """Whether the host will have anything of ours when the steps planned so far are done."""
        if any(is_ours(link) for link in self.links().values()) or any(
            self.file(path) for path in (marks.SYSCTL_FILE, marks.VOLATILE_SYSCTL_FILE, marks.BOOT_OBJECTS)
        ):
            return True
        if self.remains() or any(self.is_named_by_us(n) or self.owns(model.Place(netns=n)) for n in self.names()):
            return True
        return self.firewall.readable() and self.firewall.desired != model.FirewallState()

    # -- links

    def links(self, place: model.Place = model.HOST) -> t.Mapping[str, state.Link]:
        """The links of a place as they will be when the steps planned so far are done."""
        return self._links_of(place)

    def label(self, name: str, place: model.Place = model.HOST) -> str:
        """The label of a link of ours; empty if it has none, or is not ours."""
        if place.netns is not None and not self.has_namespace(place.netns):
            return ""
        link = self.links(place).get(name)
        return marks.label_of(link.alias) if link is not None and is_ours(link) else ""

    def labels(self) -> set[str]:
        """The labels of the links of ours on the host."""
        return {marks.label_of(link.alias) for link in self.links().values() if is_ours(link)}

    def projects(self) -> t.Mapping[str, str]:
        """The project of each network with objects on the host, as far as this run has read it."""
        with_rules = self.firewall.is_open
        if with_rules not in self._projects:
            labels = self.labels() | (self.firewall.labels() if with_rules else set())
            self._projects[with_rules] = {
                marks.name_of(label): marks.project_of(label) for label in labels if marks.name_of(label)
            }
        return self._projects[with_rules]

    def _links_of(self, place: model.Place) -> dict[str, state.Link]:
        found = self._links.get(place)
        if found is None:
            home = self.places.home(place)
            found = self._links.get(home)
            if found is None:
                found = {} if self.is_new(home) else dict(self.host.stack(home).links())
            self._links[home] = self._links[place] = found
        return found

    def put_link(self, link: state.Link, place: model.Place = model.HOST) -> None:
        """Note that a step of this run makes this link, or changes it to this."""
        links = self._links_of(place)
        before = links.get(link.name)
        if before is not None and before.addresses != link.addresses:
            self._move_subnets(before, link, place)
        if before is not None and before.mtu != link.mtu:  # the kernel sets this with it (addrconf_notify)
            key = "net/ipv6/conf/%s/mtu" % link.name
            self._values.setdefault((self.places.home(place), link.name), {})[key] = str(link.mtu)
        if link.index == 0:
            link = replace(link, index=self._number())
        links[link.name] = link
        if place == model.HOST:
            self._count_port(before, -1)
            self._count_port(link, 1)
            if self._indexes is not None:
                self._indexes[link.index] = link.name
        if before is None:
            self._add_subnets(link, place)

    def put_pair(self, near: state.Link, far: state.Link, place: model.Place) -> None:
        """Note that a step of this run makes a veth pair, with the far end in ``place``."""
        near, far = (replace(link, index=self._number(), kind="veth") for link in (near, far))
        number = self.places.number(place)
        self.put_link(replace(near, details=state.VethEnd(far.index, number)))
        self.put_link(replace(far, details=state.VethEnd(near.index, 0)), place)
        self._made_peers[number, far.index] = (place, far.name)

    def _number(self) -> int:
        """An index for a link that is still to be made: unique, and different from those of the kernel."""
        self._last_index -= 1
        return self._last_index

    def drop_link(self, name: str) -> None:
        """Note that a step of this run deletes a link of the host, with a veth both ends; ports of a bridge stay."""
        gone = self.links().get(name)
        if gone is None:
            return
        if gone.kind == "bridge":
            for link in [link for link in self.links().values() if link.master == name]:
                self.put_link(replace(link, master=""))
        other = self.peer_of(gone) if gone.kind == "veth" else None
        self._drop(gone, model.HOST)
        if other is not None:
            place, peer = other
            self._drop(peer, place)

    def drop_end(self, place: model.Place, link: state.Link) -> None:
        """Note that a step of this run deletes an end whose other end is not on the host."""
        self._drop(link, place)

    def _drop(self, link: state.Link, place: model.Place) -> None:
        home = self.places.home(place)
        tables = [entries for key, entries in self._tables.items() if key[0] == home]
        for entries in (self._routes_of(place), *tables):
            entries[:] = [entry for entry in entries if entry.link != link.name]
        for key in self._values.pop((home, link.name), ()):
            self._wanted_values.pop((home, key), None)
        self._settled.discard((home, link.name))
        del self._links_of(place)[link.name]
        if home == model.HOST:
            self._count_port(link, -1)
            if self._indexes is not None:
                self._indexes.pop(link.index, None)

    # -- the two ends of a veth pair

    def is_pair(self, near: state.Link, place: model.Place, far: state.Link) -> bool:
        """Whether a link of the host and one of ``place`` are the ends of one veth pair.

        Each namespace numbers its own links, so other pairs may have the same indexes. Therefore the namespace has to
        be the one that the host's end leads to.
        """
        one, other = near.details, far.details
        return (
            isinstance(one, state.VethEnd)
            and isinstance(other, state.VethEnd)
            and (one.peer_index, other.peer_index) == (far.index, near.index)
            and one.peer_nsid != state.UNNUMBERED
            and one.peer_nsid == self.places.number(place)
        )

    def peer_of(self, veth: state.Link) -> tuple[model.Place, state.Link] | None:
        """The other end of a veth pair of ours; None if its namespace has neither a name nor a process."""
        if not isinstance(veth.details, state.VethEnd):
            return None
        place, name = self._find_peer((veth.details.peer_nsid, veth.details.peer_index))
        with contextlib.suppress(KernelError):
            far = self.links(place).get(name)
            if far is not None and self.is_pair(veth, place, far):
                return place, far
        return None

    def _find_peer(self, key: tuple[int | None, int]) -> tuple[model.Place, str]:
        if key in self._made_peers:
            return self._made_peers[key]
        if self._peers is None:
            self.survey()
            self._peers = self._ends([model.HOST, *(model.Place(netns=name) for name in self.names())])
        if key not in self._peers and not self._has_looked_everywhere:
            self._has_looked_everywhere = True
            self._peers = {**self._ends(self.nameless()), **self._peers}
        return self._peers.get(key, (model.HOST, ""))

    def near_end(self, place: model.Place, far: state.Link) -> state.Link | None:
        """The host's end of a veth pair by its end in ``place``; None if the link is not such an end."""
        if self._indexes is None:
            self._indexes = {link.index: link.name for link in self.links().values()}
        if not isinstance(far.details, state.VethEnd):
            return None
        near = self.links().get(self._indexes.get(far.details.peer_index, ""))
        return near if near is not None and self.is_pair(near, place, far) else None

    def _ends(self, places: t.Iterable[model.Place]) -> _Ends:
        found: _Ends = {}
        for place in places:
            # a process may end before we reach its namespace
            with contextlib.suppress(KernelError):
                veths = [link for link in self.links(place).values() if isinstance(link.details, state.VethEnd)]
                number = self.places.number(place) if veths else 0
                found.update({(number, link.index): (place, link.name) for link in veths})
        return found

    def nameless(self) -> list[model.Place]:
        """The namespaces without a name, each by one of its processes."""
        known = {entry.inode for entry in self.places.entries().values()} | {self.host.namespace_inode(model.HOST)}
        return [
            model.Place(pid=min(pids)) for inode, pids in self.host.processes_by_inode().items() if inode not in known
        ]

    # -- bridges

    def bridge(self, name: str) -> state.Link | None:
        """The bridge of this name; None if check mode assumes that it exists."""
        link = self.links().get(name)
        if link is None:
            self.assume("bridge", name, "make it with the module bridge")
        elif link.kind != "bridge":
            raise model.Conflict("Interface %s is not a bridge but %s." % (name, described(link)))
        return link

    def bridges_with_ports(self) -> set[str]:
        """The bridges that had a port before this run."""
        if self._with_ports is None:
            self._with_ports = {link.master for link in self.host.stack(model.HOST).links().values() if link.master}
        return self._with_ports

    def had_bridge(self, name: str | None) -> bool:
        """Whether a bridge was there before this run."""
        return name in self.host.stack(model.HOST).links()

    def station(self, bridge: str, address: str) -> str:
        """The station on a bridge with an IP or MAC address, except those that this run settles; empty if none."""
        link = self.links().get(bridge)
        if link is not None and address in _own(link):
            return "the bridge itself"
        if bridge not in self._stations:
            self._stations[bridge] = dict(self._others(bridge))
        return self._stations[bridge].get(address, "")

    def is_behind(self, bridge: str, address: str) -> bool:
        """Whether an end on a bridge will have an IP address."""
        ports = [link for link in self.links().values() if link.master == bridge]
        ends = filter(None, map(self.peer_of, ports))
        return any(address in _own(far) for unused, far in ends)

    def _others(self, bridge: str) -> t.Iterator[tuple[str, str]]:
        ports = [link for link in self.links().values() if link.master == bridge]
        for port in ports:
            found = self.peer_of(port) if port.name not in self.claims.addresses else None
            if found is not None:
                place, far = found
                yield from ((address, "%s in %s" % (far.name, place)) for address in _own(far))

    def take_port(self, bridge: str) -> None:
        """Count one more port of a bridge; raises Conflict if the bridge is full."""
        if self._ports is None:
            self._ports = {}
            for link in self.links().values():
                self._count_port(link, 1)
        if self._ports.get(bridge, 0) >= model.BRIDGE_PORTS:
            raise model.Conflict(
                "Bridge %s is full: the kernel gives a bridge %d ports. Use another bridge for the rest."
                % (bridge, model.BRIDGE_PORTS)
            )

    def _count_port(self, link: state.Link | None, number: int) -> None:
        if self._ports is not None and link is not None:
            self._ports[link.master] = self._ports.get(link.master, 0) + number

    # -- routes and addresses

    def routes(self, place: model.Place = model.HOST) -> t.Sequence[state.RouteEntry]:
        """The routes of a place as they will be when the steps planned so far are done."""
        return self._routes_of(place)

    def _routes_of(self, place: model.Place) -> list[state.RouteEntry]:
        found = self._routes.get(place)
        if found is None:
            home = self.places.home(place)
            found = self._routes.get(home)
            if found is None:
                found = [] if self.is_new(home) else list(self.host.stack(home).routes())
            self._routes[home] = self._routes[place] = found
        return found

    def default_routes(self, place: model.Place, link: str) -> tuple[int, ...]:
        """The versions of IP in which a link has a default route of ours with the usual metric."""
        ours = [e.route for e in self.routes(place) if (e.link, e.protocol) == (link, marks.ROUTE_PROTOCOL)]
        usual = [route.to for route in ours if metric_of(route) == state.KERNEL_METRIC[route.to.version]]
        return tuple(sorted(to.version for to in usual if not to.prefixlen))

    def source_rules(self, place: model.Place) -> t.Sequence[model.SourceRule]:
        """The rules of ours by which the addresses of a place will have routing tables of their own."""
        return self._source_rules_of(place)

    def _source_rules_of(self, place: model.Place) -> list[model.SourceRule]:
        return self._begun(self._source_rules, place, lambda stack: stack.source_rules())

    def _begun(
        self, noted: dict[model.Place, list[_T]], place: model.Place, read: t.Callable[[Stack], t.Iterable[_T]]
    ) -> list[_T]:
        """What is noted of a place, which begins with what was there before any step of this run."""
        home = self.places.home(place)
        if home not in noted:
            noted[home] = [] if self.is_new(home) else list(read(self.host.stack(home)))
        return noted[home]

    def put_source_rule(self, place: model.Place, rule: model.SourceRule) -> None:
        """Note that a step of this run adds such a rule."""
        self._source_rules_of(place).append(rule)

    def drop_source_rule(self, place: model.Place, rule: model.SourceRule) -> None:
        """Note that a step of this run removes such a rule."""
        self._source_rules_of(place).remove(rule)

    def ways_of_answers(self) -> t.Sequence[tuple[model.Network, int, str]]:
        """The networks of the host that a rule of others routes by another table: network, table, and the interface
        of the table's default route, if that differs from the one of the main table."""
        if self._answers is None:
            found = [(source, table, self._leaves_by(source.version, table)) for source, table in self._ruled()]
            self._answers = [way for way in found if way[2] and way[2] != self.default_link(way[0].version)]
        return self._answers

    def _leaves_by(self, version: int, table: int) -> str:
        """The interface of a table's default route; empty if it has none."""
        routes = [
            e
            for e in self.table_routes(model.HOST, table)
            if (e.route.to.version, e.route.to.prefixlen) == (version, 0)
        ]
        return min(routes, key=lambda entry: entry.route.metric or 0).link if routes else ""

    def _ruled(self) -> list[tuple[model.Network, int]]:
        """Networks with a routing table by a rule of others. Tables that a mark leads to as well are left out, since
        marks can cover translated answers, which rules by source cannot."""
        stack = self.host.stack(model.HOST)
        rules = stack.rules_of_others()
        marked = stack.marked_tables() if rules else ()
        return [(source, table) for source, table in rules if (source.version, table) not in marked]

    def lookups(self, place: model.Place) -> t.Sequence[state.Lookup]:
        """The rules of routing of a place that is there, as they will be when the steps planned so far are done."""
        home = self.places.home(place)
        if home not in self._lookups:
            self._lookups[home] = list(self.host.stack(home).lookups())
        return self._lookups[home]

    def has_rules(self, place: model.Place, version: int) -> bool:
        """Whether the kernel has rules of routing for a version of IP, even if there are none at the moment."""
        return self.host.stack(self.places.home(place)).has_rules(version)

    def put_default_rule(self, place: model.Place, rule: model.DefaultRule) -> None:
        """Note that a step of this run adds such a rule."""
        self._lookups.setdefault(self.places.home(place), []).append(state.Lookup(rule.version, rule.table))

    def lost_routes(self, place: model.Place) -> t.Sequence[state.LostRoute]:
        """The routes that the table local of a place lacks, before any step of this run."""
        home = self.places.home(place)
        return () if self.is_new(home) else self.host.stack(home).lost_routes()

    def table_routes(self, place: model.Place, table: int) -> t.Sequence[state.RouteEntry]:
        """The routes of one routing table of a place as they will be when the steps planned so far are done."""
        return self._table_of(place, table)

    def strays(self, place: model.Place, table: int) -> list[state.RouteEntry]:
        """The routes of others in a routing table of ours."""
        home = self.places.home(place)
        barriers = [] if self.is_new(home) else self.host.stack(home).table_barriers(table)
        return [*filter(is_of_others, self.table_routes(place, table)), *barriers]

    def _whole_table(self, table: int) -> list[state.RouteEntry]:
        """The routes of a routing table of the host, with those that lead nowhere."""
        return [*self.table_routes(model.HOST, table), *self.host.stack(model.HOST).table_barriers(table)]

    def _table_of(self, place: model.Place, table: int) -> list[state.RouteEntry]:
        if not table:
            return self._routes_of(place)
        key = self.places.home(place), table
        if key not in self._tables:
            self._tables[key] = [] if self.is_new(key[0]) else list(self.host.stack(key[0]).table_routes(table))
        return self._tables[key]

    def may_have_source_rules(self, place: model.Place) -> bool:
        """Whether there were rules of ours in a place before any step of this run, or could be those of several links.

        An end that is alone has some if it is without a default route by choice.
        """
        home = self.places.home(place)
        if self.is_new(home):
            return False
        stack = self.host.stack(home)
        return len(stack.links()) > 2 or len(stack.source_rules()) > 0

    def put_route(self, place: model.Place, link: str, route: model.Route, protocol: int) -> None:
        """Note that a step of this run adds a route."""
        self._table_of(place, route.table).append(state.RouteEntry(with_metric(route), link, protocol))

    def drop_route(self, place: model.Place, entry: state.RouteEntry) -> None:
        """Note that a step of this run removes a route."""
        self._table_of(place, entry.route.table).remove(entry)

    def settle_routes(self, place: model.Place, link: str) -> None:
        """Note that the steps planned so far bring the routes by a link to what this run wants."""
        self._settled.add((self.places.home(place), link))

    def may_move(self, place: model.Place, link: str) -> bool:
        """Whether this run will still settle the routes by a link, so that the present ones are no conflict."""
        return (place, link) in self.claims.routes and (self.places.home(place), link) not in self._settled

    def _move_subnets(self, before: state.Link, after: state.Link, place: model.Place) -> None:
        """Note the routes to subnets that the kernel removes and adds with addresses."""
        kept = {address.network for address in after.addresses}
        gone = {address.network for address in before.addresses} - kept
        routes = self._routes_of(place)
        routes[:] = [
            entry
            for entry in routes
            if not (entry.link == after.name and entry.protocol == state.BY_THE_KERNEL and entry.route.to in gone)
        ]
        self._add_subnets(after, place, {address.network for address in before.addresses})

    def _add_subnets(self, link: state.Link, place: model.Place, known: t.Collection[model.Network] = ()) -> None:
        if not link.addresses:
            return
        for network in dict.fromkeys(address.network for address in link.addresses):
            if network not in known and network.num_addresses > 1:
                metric = state.SUBNET_METRIC[network.version]
                self._routes_of(place).append(
                    state.RouteEntry(model.Route(network, None, metric), link.name, state.BY_THE_KERNEL)
                )

    def refuse_overlap(self, name: str, address: model.Interface) -> None:
        """Raise Conflict if a subnet is already elsewhere on the host.

        A less specific route is not an overlap: the kernel prefers the subnet's own.
        """
        if address.version == 4 and model.overlap(address.network, model.LINK_LOCAL[4]):
            raise model.Conflict(
                "Subnet %s of %s is link-local (%s), where clouds serve the metadata of this host, for example at"
                " 169.254.169.254; choose another subnet, or insist with the option allow_overlap."
                % (address.network, name, model.LINK_LOCAL[4])
            )
        settled = self.claims.addresses | {name}
        for holder in self._holders(address.network, settled):
            raise model.Conflict(
                "Subnet %s of %s overlaps %s; choose another subnet, or insist with the option allow_overlap."
                % (address.network, name, holder)
            )

    def _holders(self, subnet: model.Network, settled: t.Container[str]) -> t.Iterator[str]:
        """Other things on the host with addresses of a subnet, in words."""
        for link in self.links().values():
            for other in link.addresses:
                if link.name not in settled and model.overlap(subnet, other.network):
                    yield "%s, an address of interface %s" % (other, link.name)
        for entry in self.routes():
            if entry.link not in settled and model.lies_in(entry.route.to, subnet):
                yield "the route to %s by interface %s" % (entry.route.to, entry.link)
        for entry in self.host.stack(model.HOST).barriers():
            if model.lies_in(entry.route.to, subnet) or self.takes_first(model.HOST, entry, subnet):
                where = " by interface %s" % entry.link if entry.route.table else ""
                yield "the %s route to %s%s" % (entry.kind, entry.route.to, where)

    def takes_first(self, place: model.Place, entry: state.RouteEntry, subnet: model.Network) -> bool:
        """Whether a wider route of the table local takes the packets that a route of the table main is for."""
        if entry.route.table != model.LOCAL_TABLE or not model.lies_in(subnet, entry.route.to):
            return False
        # whatever the order, the host's rules count what is in the table local among its own addresses (fib, addrtype)
        of_the_host = place == model.HOST and entry.kind == "local"
        return of_the_host or self.looks_there_first(subnet.version, place)

    def looks_there_first(self, version: int, place: model.Place = model.HOST) -> bool:
        """Whether a wider route in the table local comes before one in the table main.

        For IPv4, the kernel keeps both in one table until there are more rules (fib_unmerge).
        """
        return version == 6 or any(r.version == 4 and r.table not in model.TABLES for r in self.lookups(place))

    def keeps_subnet(self, place: model.Place, entry: state.RouteEntry, link: state.Link) -> bool:
        """Whether a route may stand for the one that the kernel has added for an address of a link.

        In a namespace of ours one of others may not: its packets may have another source address.
        """
        if entry.link != link.name or entry.route.via is not None or entry.is_narrow:
            return False
        behind = metric_of(entry.route) > state.SUBNET_METRIC[entry.route.to.version]
        return behind or not is_of_others(entry) or not self.owns(place)

    def addresses(self) -> list[model.Interface]:
        """The addresses of the host, without link-local IPv6 ones."""
        return [address for link in self.links().values() for address in link.addresses]

    def destinations(self) -> list[model.Network]:
        """The destinations of all routes of the host, including blackholes and what it takes for its own, without
        default routes."""
        entries = (*self.routes(), *self.barriers(model.HOST))
        return [entry.route.to for entry in entries if entry.route.to.prefixlen]

    def barriers(self, place: model.Place) -> t.Sequence[state.RouteEntry]:
        """The routes of a place that lead nowhere, such as a blackhole, or to the place itself, without those that this
        run removes."""
        return self._barriers_of(place)

    def _barriers_of(self, place: model.Place) -> list[state.RouteEntry]:
        return self._begun(self._barriers, place, lambda stack: stack.barriers())

    def drop_barrier(self, place: model.Place, barrier: state.RouteEntry) -> None:
        """Note that a step of this run removes such a route."""
        self._barriers_of(place).remove(barrier)

    def default_link(self, version: int) -> str | None:
        """The link of the default route with the lowest metric."""
        if version not in self._uplinks:
            self._uplinks[version] = self.host.default_link(version)
        return self._uplinks[version]

    def default_mtu(self) -> int:
        """The MTU of the default route's link, Ethernet's when there is none."""
        if self._default_mtu is None:
            name = self.default_link(4) or self.default_link(6)
            link = self.links().get(name or "")
            self._default_mtu = _ETHERNET_MTU if link is None else link.mtu
        return self._default_mtu

    def fixed_neighbours(self) -> t.Mapping[tuple[str, model.Address], str]:
        """The MAC addresses that somebody has set on the host for good, by link and address."""
        return self.host.stack(model.HOST).fixed_neighbours()

    def controlled(self) -> t.Mapping[str, str]:
        """The links of the host with filters of traffic control, and where those are attached: ingress or egress."""
        return self.host.stack(model.HOST).controlled()

    def has_address(self, address: model.Address) -> bool:
        """Whether the host has an address, or will have it when the steps planned so far are done."""
        if self._local is None:
            self._local = self.local_addresses()
        if address.packed in self._local:
            return True
        return any(address == other.ip for link in self.links().values() for other in link.addresses)

    def local_addresses(self) -> t.Collection[bytes]:
        """Every address of the host, link-local ones too, as packed bytes."""
        return self.host.stack(model.HOST).local_addresses()

    # -- listeners, and the host itself

    def port_holder(self, port: model.PublishedPort) -> str:
        """The process that listens where a published port would, as a clause; empty if there is none.

        A service that this run takes into an endpoint may be published at the port that it has had on the host.
        """
        return self.host.port_holder(port, self._leaving())

    def _leaving(self) -> t.Collection[str]:
        return [self.units.planned(name).name for name in self.claims.services if self.systemd()]

    def port_holder_in(self, place: model.Place, port: model.PublishedPort) -> str:
        """The process that listens in a namespace where a published port would, as a clause; empty if there is none."""
        # the place itself may not have this name yet
        return self.host.port_holder_in(self.places.home(place), port)

    def output_of(self, *argv: str) -> str | None:
        """The output of a command that changes nothing on the host; None if it fails."""
        try:
            rc, output, unused = self.host.call(argv)
        except FileNotFoundError:
            return None
        return output if rc == 0 else None

    def listening(self, protocol: str, first: int, last: int) -> t.Sequence[model.Listener]:
        """The sockets that listen on ports of the host."""
        return self.host.listening(protocol, first, last)

    def listeners_in(
        self, places: t.Iterable[model.Place], protocols: t.Sequence[str]
    ) -> t.Mapping[model.Place, t.Mapping[str, t.Sequence[model.Listener]]]:
        """The sockets that listen in these places now, without places that the kernel cannot list."""
        return self.host.listeners_in(places, protocols)

    def hostname(self) -> str:
        """The name of this host."""
        return self.host.hostname()

    def machine_id(self) -> str:
        """The identity of this machine."""
        self._machine_id = self._machine_id or self.host.machine_id()
        return self._machine_id

    def systemd(self) -> bool:
        """Whether systemd is PID 1: in a chroot and in most containers there are units, but nothing runs them."""
        if self._systemd is None:
            self._systemd = self.host.has_systemd()
        return self._systemd

    # -- sysctls and files

    def sysctl(self, place: model.Place, key: str) -> str | None:
        """The value of a key as it will be; None if the key or its interface does not exist."""
        home, name = self.places.home(place), link_of(key)
        planned = self._values.get((home, name), {}).get(key)
        if planned is not None:
            return planned
        if name:
            link = self.links(home).get(name)
            if link is None:
                return None
            if link.index < 0:  # still to be made, and will begin with this
                # all namespaces share one default for neighbours
                return self.sysctl(model.HOST if "/neigh/" in key else home, key.replace("/%s/" % name, "/default/"))
        return None if self.is_new(home) else self.host.stack(home).read_sysctl(key)

    def sysctl_of_link(self, place: model.Place, key: str) -> str | None:
        """Like sysctl(), but also for a link in a place that is still to be made.

        Such a place begins with the values of the host (net.core.devconf_inherit_init_net).
        """
        found = self.sysctl(place, key)
        if found is None and self.is_new(place):
            return self.sysctl(model.HOST, key.replace("/%s/" % link_of(key), "/default/"))
        return found

    def sysctl_before(self, key: str) -> str | None:
        """The host's value of a key before any step of this run, such as a default for new links; read only once."""
        if key not in self._defaults:
            self._defaults[key] = self.host.stack(model.HOST).read_sysctl(key)
        return self._defaults[key]

    def refused_sysctl(self, place: model.Place, values: _Pairs, present: _Pairs) -> state.RefusedSysctl | None:
        """The first of these keys that does not take its value in a network namespace with the ``present`` ones.

        The interfaces count as they will be in ``place``. Many namespaces may want the same, which is asked once.
        """
        links = self.links(place)
        mtus = {key: links[link_of(key)].mtu for key, unused in values if link_of(key) in links}
        asked = frozenset((key, value, mtus.get(key)) for key, value in values)
        refused = None if asked in self._taken_values else self.host.refused_sysctl(values, present, mtus)
        if refused is None:
            self._taken_values.add(asked)
        return refused

    def forwards(self, version: int) -> bool:
        """Whether the host forwards a version of IP, when the steps planned so far are done."""
        return self.sysctl(model.HOST, model.FORWARDING[version]) not in (None, "0")

    def put_sysctl(self, place: model.Place, key: str, value: str) -> str | None:
        """Note that this run sets a key to this value; returns the value before, None if there is no such key.

        Raises Conflict if the same run also needs another value, since each run would then change it back and forth.
        """
        home, name = self.places.home(place), link_of(key)
        before = self.sysctl(place, key)
        other = self._wanted_values.setdefault((home, key), value)
        if other != value:
            where = "" if home == model.HOST else " in %s" % place
            raise model.Conflict(
                "The sysctl %s%s cannot have the values %s and %s at once, and this run asks for both;"
                " ask for one of them only." % (key, where, other, value)
            )
        if before is None or before.split() != value.split():
            self._values.setdefault((home, name), {})[key] = value
            self._spread(home, key, value)
        return before

    def _spread(self, home: model.Place, key: str, value: str) -> None:
        for name in [*self.links(home), "default"] if key in _FOR_ALL else ():
            own = "%s%s/forwarding" % (_FOR_ALL[key], name)
            self._values.setdefault((home, link_of(own)), {})[own] = value

    def file(self, path: str) -> str | None:
        """The text of a file as it will be, such as one of sysctl.d(5) or a unit of systemd; None if there is none."""
        if path not in self._files:
            return self.host.read_file(path)
        return self._files[path]

    def look_file(self, path: str) -> str | None:
        """The text of a file that may not be ours, as it will be; None if it cannot be read."""
        if path in self._files:
            return self._files[path]
        if path not in self._looked:
            self._looked[path] = self.host.look_file(path)
        return self._looked[path]

    def sysctl_notes(self, netns: str) -> str | None:
        """The notes about the sysctls that earlier runs set in a namespace; most namespaces have none."""
        if self._with_notes is None:
            self._with_notes = frozenset(self.folder(marks.NETNS_SYSCTLS))
        return self.look_file(marks.notes_path(netns)) if netns in self._with_notes else None

    def is_odd(self, path: str, mode: int) -> bool:
        """Whether a file or a folder of ours belongs to somebody else than root, or has another mode than this."""
        if path not in self._odd:
            self._odd[path] = self.host.rights(path) not in (None, (_ROOT, mode))
        return self._odd[path]

    def is_open(self, path: str) -> bool:
        """Whether another user than root owns a folder that we share with others, or may write to it."""
        if path not in self._odd:
            owner, mode = self.host.rights(path) or (_ROOT, 0)
            self._odd[path] = owner != _ROOT or bool(mode & _WRITABLE_BY_OTHERS)
        return self._odd[path]

    def mend(self, path: str, mode: int) -> bool:
        """Note that this run gives a file or a folder to root, with this mode; whether it has to."""
        was = self.is_odd(path, mode)
        self._odd[path] = False
        return was

    def namespace_files(self) -> t.Iterator[tuple[str, str]]:
        """The namespaces with a folder below /etc/netns, each with the names of the files there."""
        for netns in self.host.folder(marks.NETNS_FILES):
            yield from ((netns, name) for name in self.host.folder("%s/%s" % (marks.NETNS_FILES, netns)))
        if self.host.is_folder(marks.RETIRED):
            # an empty folder has to be removed as well, so it counts as one with a file
            yield from ((marks.RETIRED, name) for name in self.host.folder(marks.RETIRED) or ("hosts",))

    def folder(self, path: str) -> t.Collection[str]:
        """The names in a folder as it is now; none if there is no such folder."""
        return self.host.folder(path)

    def program(self, path: str) -> bytes | None:
        """The content of an archive of Python files as it will be; None if there is none."""
        return self._programs[path] if path in self._programs else self.host.read_bytes(path)

    def put_file(self, path: str, text: str | None) -> str | None:
        """Note that this run gives a file this text, or with None removes it; returns the text before.

        Raises Conflict if the same run also needs another text.
        """
        before = self.look_file(path) if path in self._looked else self.file(path)
        if self._files.setdefault(path, text) != text:
            raise model.Conflict(
                "The file %s cannot have two different texts, and this run asks for both; remove one of"
                " the objects that it is written for." % path
            )
        return before

    def put_program(self, path: str, content: bytes | None) -> bytes | None:
        """Note that this run writes an archive of Python files, or with None removes it; returns the content before.

        Raises Conflict if the same run also needs another content.
        """
        before = self.program(path)
        if self._programs.setdefault(path, content) != content:
            raise model.Conflict(
                "The program %s cannot have two different contents, and this run asks for both; remove one of the"
                " objects that it is written for." % path
            )
        return before

    # -- assumptions and warnings

    def assume(self, kind: str, name: str, advice: str) -> None:
        """Handle a missing object: a Conflict, but in check mode an earlier task may make it."""
        if not self.check_mode:
            raise model.Conflict("There is no %s %s on this host; %s." % (kind, name, advice))
        names = self._assumed.setdefault(kind, [])
        if name not in names:
            names.append(name)

    def assumed(self, kind: str) -> t.Sequence[str]:
        """The names of missing objects that are assumed to exist."""
        return self._assumed.get(kind, ())

    def warn(self, text: str) -> None:
        """Warn the user of something, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def remark(self, text: str, name: str, key: t.Hashable = None) -> None:
        """Warn of something that concerns several objects; ``text`` has a place for their names.

        Objects with the same key are named once.
        """
        self._remarks.setdefault(text, {})[key or name] = name

    def remarks(self) -> list[str]:
        """The texts of all remarks, each with the names of its objects."""
        return [
            text % model.enumerate_few(list(dict.fromkeys(names.values()))) for text, names in self._remarks.items()
        ]

    def assumptions(self) -> list[str]:
        """The assumptions of check mode, a sentence for each kind."""
        return [
            "Check mode assumes that %s %s, which %s not there yet, %s made by %s."
            % (
                (kind, model.enumerate_few(names), "is", "is", "an earlier task")
                if len(names) == 1
                else (kind + "s", model.enumerate_few(names), "are", "are", "earlier tasks")
            )
            for kind, names in self._assumed.items()
        ]


def _own(link: state.Link) -> tuple[str, ...]:
    return (link.mac_address, *(str(address.ip) for address in link.addresses))


def is_ours(link: state.Link) -> bool:
    """Whether this collection made a link."""
    return link.group in (marks.LINK_GROUP, marks.DOOMED_GROUP)


def is_unmarked(link: state.Link) -> bool:
    """Whether a link has our alias and not our group, so that it is not ours, although we may have made it."""
    return marks.is_alias(link.alias) and not is_ours(link)


def unmarked(link: state.Link, netns: str = "") -> str:
    """The end of a message about such a link, or about the namespace whose loopback it is."""
    return (
        "%s has the alias of this collection, but not its link group; if this collection made it, mark it again: %s."
        % ("its loopback" if netns else "it", marks.command_to_mark(link.name, netns))
    )


def described(link: state.Link) -> str:
    """A link in words, for a message."""
    return "a %s" % link.kind if link.kind else "a physical or loopback interface"


def with_metric(route: model.Route) -> model.Route:
    """A route as the kernel shows it."""
    return route if route.metric is not None else replace(route, metric=metric_of(route))


def metric_of(route: model.Route) -> int:
    """The metric that the kernel shows for a route."""
    return state.KERNEL_METRIC[route.to.version] if route.metric is None else route.metric


def same_route(one: model.Route, other: model.Route) -> bool:
    """Whether the kernel would take two routes on one link for the same."""
    return one.to == other.to and one.via == other.via and metric_of(one) == metric_of(other)


def in_the_way(entry: state.RouteEntry, link: str, wanted: t.Sequence[model.Route]) -> model.Route | None:
    """The wanted route of a link whose place another route has, or that loses its packets to another route.

    The kernel has one route for each target and metric, and takes the one with the least metric.
    """
    here = entry.link == link and not entry.hops and not entry.is_narrow
    if here and any(same_route(entry.route, route) for route in wanted):
        return None
    others = (route for route in wanted if entry.route.to == route.to and not (here and entry.route.via == route.via))
    return next((route for route in others if _comes_first(entry, route)), None)


def _comes_first(entry: state.RouteEntry, route: model.Route) -> bool:
    """Whether another route to the same target is preferred. If the user asked for a metric, that may be intended."""
    theirs, ours = metric_of(entry.route), metric_of(route)
    by_others = is_of_others(entry)
    if entry.is_narrow and by_others:
        return True
    return theirs == ours or (theirs < ours and route.metric is None and by_others)


def is_of_others(entry: state.RouteEntry) -> bool:
    """Whether others made a route, or added a next hop to one."""
    return bool(entry.hops) or entry.protocol not in (marks.ROUTE_PROTOCOL, state.BY_THE_KERNEL)


def whole_routes(entries: t.Iterable[state.RouteEntry]) -> list[state.RouteEntry]:
    """Routes, with one entry for all next hops of each, as these go together."""
    found = [replace(e, route=replace(e.route, via=None), link="") if e.hops else e for e in entries]
    return list(dict.fromkeys(found))


def target_of(route: model.Route) -> str:
    """The destination of a route, in words."""
    return str(route.to) if route.to.prefixlen else "default"


def via_of(route: model.Route) -> str:
    """The gateway of a route as a clause; empty if it has none."""
    return "" if route.via is None else " via %s" % route.via


def link_of(key: str) -> str:
    """The link that a key belongs to; empty if it belongs to none."""
    parts = key.split("/")
    return parts[3] if parts[2:3] in (["conf"], ["neigh"]) and parts[3:4] not in (["all"], ["default"], []) else ""
