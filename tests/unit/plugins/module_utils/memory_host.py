# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host in memory, with what the kinds of objects ask of one, and as strict as the kernel about what is missing.

``MemoryHost`` takes the place of kernel.host.Host, ``MemorySession`` that of the packet filter (nftables, in memory).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from ansible_collections.dockerless.network.plugins.module_utils.engine import Kind, Outcome, Request, run
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import Backend, NoPacketFilter
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.backend import NftablesBackend
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.table import Table
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.kernel.decode import PORT_FLAGS, RuleEntry
from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import CommandError, KernelError
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import (
    Awaited,
    BridgeValues,
    Link,
    Lookup,
    LostRoute,
    NamespaceEntry,
    RefusedSysctl,
    RouteEntry,
    VethEnd,
    Writing,
)
from ansible_collections.dockerless.network.plugins.module_utils.kernel.units import Unit
from ansible_collections.dockerless.network.plugins.module_utils.marks import (
    LINK_GROUP,
    NFT_FAMILY,
    NFT_HOLD,
    ROUTE_PROTOCOL,
)
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BRIDGE_PORTS,
    HOST,
    LINK_LOCAL,
    LOCAL_TABLE,
    VERSIONS,
    DefaultRule,
    Interface,
    Listener,
    Place,
    Process,
    PublishedPort,
    Route,
    SourceRule,
)
from ansible_collections.dockerless.network.plugins.module_utils.world import World
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.netfilter_in_memory import (
    MemoryNetfilter,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.nft_in_memory import (
    Memory,
    Refused,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.systemd_in_memory import MemorySystemd

METRIC = {4: 0, 6: 1024}
BY_THE_KERNEL, BY_HAND = 2, 4  # rtm_protocol: RTPROT_KERNEL, RTPROT_STATIC
IPV4_FORWARD, IPV6_FORWARD = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
SYSCTLS = {
    IPV4_FORWARD: "0",
    "net/ipv4/ip_local_port_range": "32768\t60999",
    "net/ipv6/conf/all/disable_ipv6": "0",
    IPV6_FORWARD: "0",
    "net/ipv4/conf/all/accept_redirects": "1",
    "net/ipv4/conf/all/arp_ignore": "0",
}
IPV6_MTU = 1280
LOOKUPS = (*((4, 255), (4, 254), (4, 253)), *((6, 255), (6, 254)))
LINK_SYSCTLS = {
    "net/ipv4/conf/%s/arp_ignore": "0",
    "net/ipv4/conf/%s/drop_gratuitous_arp": "0",
    "net/ipv4/conf/%s/forwarding": "0",
    "net/ipv6/conf/%s/addr_gen_mode": "0",
    "net/ipv6/conf/%s/hop_limit": "64",
    "net/ipv6/conf/%s/drop_unsolicited_na": "0",
    "net/ipv4/conf/%s/route_localnet": "0",
    "net/ipv6/conf/%s/accept_ra": "1",
    "net/ipv6/conf/%s/accept_dad": "1",
    "net/ipv6/conf/%s/disable_ipv6": "0",
    "net/ipv6/conf/%s/forwarding": "0",
    "net/ipv4/neigh/%s/mcast_solicit": "3",
    "net/ipv6/neigh/%s/mcast_solicit": "3",
}


def routing_rule(version: int, priority: int, table: int, **values: Any) -> RuleEntry:
    """A rule of routing for all packets, unless ``values`` say otherwise."""
    anything = ip_network("0.0.0.0/0" if version == 4 else "::/0")
    usual = {"source": anything, "to": anything, "nowhere": "", "ours": False, "conditions": frozenset()}
    usual |= {"inverted": False, "protocol": 2, "iif": "", "suppresses": False}
    return RuleEntry(**{**usual, "priority": priority, "table": table, **values})


class Space:
    """A network namespace."""

    def __init__(self, inode: int, first: int = 1) -> None:
        self.inode = inode
        self.links: dict[str, Link] = {}
        self.routes: list[RouteEntry] = []  # but for those to the subnets of addresses
        self.dead_ends: set[Any] = set()  # what leads nowhere (blackhole), by its target
        self.flushed: set[tuple[str, Any]] = set()  # of those, by link and subnet, what somebody has removed
        self.rules: list[SourceRule] = []
        self.fixed: dict[tuple[str, Any], str] = {}  # permanent neighbour entries
        self.controlled: dict[str, str] = {}  # links with filters of traffic control
        self.rules_of_others: list[tuple[Any, int]] = []
        self.all_rules = [routing_rule(version, 32766, 254) for version in (4, 6)]
        self.marked_tables: set[tuple[int, int]] = set()
        self.lookups = list(LOOKUPS)  # rules of routing that lead all packets to a table
        self.not_taken: set[Any] = set()  # addresses whose routes somebody has flushed in the table local
        self.sysctls = {**SYSCTLS, **{key % "default": value for key, value in LINK_SYSCTLS.items()}}
        self.processes: list[int] = []
        self.listeners: dict[str, list[Any]] = {}
        self._next = first

    def number(self) -> int:
        """The index of a new link; each namespace counts its own."""
        self._next += 1
        return self._next - 1


# What nft tells of the table that holds the place of rules of iptables.
HOLD_CHAIN = {
    "chain": {"family": NFT_FAMILY, "table": NFT_HOLD, "name": "networks", "type": "filter", "hook": "forward"}
}


class MemoryHost:
    """A host with an uplink; ``boot`` makes one without anything of ours."""

    default_link = Host.default_link

    def __init__(self) -> None:
        self._numbers = 1
        self.host = Space(self._number(), first=100)  # so that no index of the host's is one of a namespace
        self.spaces: dict[int, Space] = {self.host.inode: self.host}
        self.names: dict[str, NamespaceEntry] = {}
        self.files: dict[str, Any] = {}
        self.folders: list[str] = []  # empty ones
        self.obstacles: dict[str, str] = {}  # by the file that they keep from being written, each a sentence
        self.odd_rights: dict[str, tuple[int, int]] = {}  # of files and folders in other hands: owner and mode
        self.nft = Memory()
        self.forgotten: list[Any] = []
        self.announced: list[Any] = []
        self.answered: list[Any] = []  # what the host itself is told, if it asks in vain
        self.contained: set[int] = set()  # processes of containers
        self.units: dict[int, str] = {}
        self.refused: dict[tuple[str, str], tuple[str, str]] = {}  # sysctls, with the reason and the remedy
        self.tried: list[Any] = []  # sysctls, with those that were there
        self.systemd = False  # whether it is PID 1
        self.systemctl: list[tuple[str, ...]] = []  # what it was told
        self.pid1 = MemorySystemd(self)
        self.listeners: dict[tuple[str, int], str] = {}
        self.make_link(self.host, "lo", up=True)
        self.steps = 0  # applied so far
        self.fail_at: int | None = None  # the step that fails
        self.cut_at: int | None = None  # the first step that is not reached

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def step(self, what: str, error: Exception | None = None) -> None:
        """Count a change, or fail or be killed as the test wants it."""
        self.steps += 1
        if self.cut_at is not None and self.steps >= self.cut_at:
            raise KeyboardInterrupt
        if self.steps == self.fail_at:
            raise error or KernelError(what, "the test wants it so")

    # ---- what a test arranges

    def make_link(self, space: Space, name: str, **values: Any) -> Link:
        """Somebody makes an interface."""
        if name in space.links:
            raise KernelError("add link %s" % name, "it is there")
        made = Link(name, space.number(), **{"mtu": 1500, "mac_address": mac(name), **values})
        space.links[name] = made
        # of what concerns neighbours there is one default for all namespaces
        defaults = {key: self.host.sysctls if "/neigh/" in key else space.sysctls for key in LINK_SYSCTLS}
        born = {key: defaults[key].get(key % "default", value) for key, value in LINK_SYSCTLS.items()}
        space.sysctls.update({key % name: value for key, value in born.items()})
        self._settle_ipv6(space, made)
        return made

    @staticmethod
    def _settle_ipv6(space: Space, link: Link, before: int = IPV6_MTU) -> None:
        """The kernel has no IPv6 on a link with less than the least MTU for it, and begins anew with more."""
        keys = {key: value for key, value in LINK_SYSCTLS.items() if key.startswith("net/ipv6/")}
        if link.mtu < IPV6_MTU:
            for key in keys:
                space.sysctls.pop(key % link.name, None)
        elif before < IPV6_MTU:
            space.sysctls.update({key % link.name: value for key, value in keys.items()})

    def change_link(self, place: Place, name: str, **values: Any) -> None:
        """Somebody changes an interface."""
        links = self.space(place).links
        before, links[name] = links[name], replace(links[name], **values)
        self._settle_ipv6(self.space(place), links[name], before.mtu)

    def make_veth(self, name: str, place: Place, peer: str, group: int = 0, **values: Any) -> None:
        """Somebody makes a veth."""
        one = self.make_link(self.host, name, kind="veth", group=group, **values)
        two = self.make_link(self.space(place), peer, kind="veth", group=group, mtu=one.mtu)
        self.change_link(HOST, name, details=VethEnd(two.index, self.nsid(place)))
        self.change_link(place, peer, details=VethEnd(one.index, 0))

    def make_namespace(self, name: str) -> None:
        """Somebody runs ``ip netns add``."""
        space = self._new_space()
        self.spaces[space.inode] = space
        self.make_link(space, "lo")
        self.names[name] = NamespaceEntry(name, space.inode)

    def _new_space(self) -> Space:
        """A namespace, which begins with the IPv4 settings of the first one (net.core.devconf_inherit_init_net = 0)."""
        space = Space(self._number())
        keys = [key % "default" for key in LINK_SYSCTLS if key.startswith("net/ipv4/conf/")]
        keys.append("net/ipv4/conf/all/arp_ignore")
        space.sysctls.update({key: self.host.sysctls[key] for key in keys if not key.endswith("/forwarding")})
        return space

    def start_process(self, pid: int) -> None:
        """A process in a namespace of its own."""
        space = self._new_space()
        self.spaces[space.inode] = space
        self.make_link(space, "lo", up=True)
        space.processes.append(pid)

    def uplink(self, name: str = "eth0", mtu: int = 1500, *gateways: Route) -> None:
        """An interface with default routes."""
        self.make_link(self.host, name, mtu=mtu, up=True)
        self.host.routes += [RouteEntry(plain(route), name, BY_HAND) for route in gateways]

    # ---- what the engine asks

    def space(self, place: Place) -> Space:
        """The namespace that a place means."""
        if place == HOST:
            return self.host
        if place.netns is not None:
            entry = self.names.get(place.netns)
            if entry is None or entry.inode == 0:
                raise KernelError("enter %s" % place, "there is no such namespace")
            return self.spaces[entry.inode]
        for space in self.spaces.values():
            if place.pid in space.processes:
                return space
        raise KernelError("enter %s" % place, "there is no such process")

    def stack(self, place: Place) -> MemoryStack:
        """That it is not there shows when it is used."""
        return MemoryStack(self, place)

    def namespaces(self) -> Mapping[str, NamespaceEntry]:
        return dict(self.names)

    def namespace_inode(self, place: Place) -> int:
        if place.netns is not None and place.netns not in self.names:
            return 0
        return self.space(place).inode

    def has_process(self, pid: int) -> bool:
        return any(pid in space.processes for space in self.spaces.values())

    def nsid(self, place: Place) -> int | None:
        space = self.space(place)
        return None if space is self.host else space.inode

    def survey(self, places: Collection[Place]) -> None:
        """A real host is read here."""

    def refused_sysctl(
        self,
        values: Sequence[tuple[str, str]],
        present: Sequence[tuple[str, str]] = (),
        mtus: Mapping[str, int] | None = None,
    ) -> RefusedSysctl | None:
        self.tried.append(([*values], [*present]))
        return next((RefusedSysctl(*pair, *self.refused[pair]) for pair in values if pair in self.refused), None)

    def create_namespace(self, name: str, alias: str) -> None:
        self.step("create namespace %s" % name)
        if name in self.names and self.names[name].inode:
            raise KernelError("create namespace %s" % name, "it is there")
        self.make_namespace(name)
        self.change_link(Place(netns=name), "lo", up=True, group=LINK_GROUP, alias=alias)

    def attach_namespace(self, name: str, pid: int, noted: bool = True) -> None:
        self.step("attach namespace %s" % name)
        if name in self.names and self.names[name].inode:
            raise KernelError("attach namespace %s" % name, "it is there")
        inode = self.space(Place(pid=pid)).inode
        self.names[name] = NamespaceEntry(name, inode, inode if noted else 0)

    def delete_namespace(self, name: str) -> None:
        self.step("delete namespace %s" % name)
        entry = self.names.pop(name, None)
        space = self.spaces.get(entry.inode) if entry else None
        if space is not None and not space.processes and not any(e.inode == space.inode for e in self.names.values()):
            for link in list(space.links):
                self.remove_link(space, link)
            del self.spaces[space.inode]

    def remove_link(self, space: Space, name: str) -> None:
        """Take a link away, with its other end, and leave its ports without a bridge."""
        gone = space.links.pop(name)
        space.routes = [entry for entry in space.routes if entry.link != name]
        for key in LINK_SYSCTLS:
            space.sysctls.pop(key % name, None)
        for link in space.links.values():
            if link.master == name:
                space.links[link.name] = replace(link, master="", isolated=False, hairpin=False)
        if isinstance(gone.details, VethEnd):
            other = self.spaces.get(gone.details.peer_nsid or 0, self.host) if space is self.host else self.host
            for link in [link for link in other.links.values() if link.index == gone.details.peer_index]:
                self.remove_link(other, link.name)

    def wait_for_addresses(self, links: Iterable[Awaited]) -> None:
        """What is in memory is ready; but there must be such links."""
        assert all(item.link in self.space(item.place).links for item in links)

    def has_systemd(self) -> bool:
        return self.systemd

    def read_bytes(self, path: str) -> bytes | None:
        return self.files.get(path)

    def write_file(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        self.step("write %s" % path)
        self.files[path] = text
        self.odd_rights.pop(path, None)

    def rights(self, path: str) -> tuple[int, int] | None:
        return self.odd_rights.get(path)

    def set_rights(self, path: str, mode: int) -> None:
        self.step("chmod %04o %s" % (mode, path))
        self.odd_rights.pop(path, None)

    def update_file(self, path: str, text: str, mode: int = 0o644, lasting: bool = True) -> None:
        self.write_file(path, text, mode)

    def remove_file(self, path: str) -> None:
        self.step("remove %s" % path)
        self.files.pop(path, None)

    def remove_folder(self, path: str) -> None:
        pass

    def is_folder(self, path: str) -> bool:
        return path in self.folders or any(file.startswith(path + "/") for file in self.files)

    def first_refused(self, writings: Sequence[Writing]) -> tuple[int, str] | None:
        found = enumerate(self.obstacles.get(writing.path, "") for writing in writings)
        return next(((number, text) for number, text in found if text), None)

    def retire_folder(self, path: str) -> None:
        self.step("retire %s" % path)
        for file in [file for file in self.files if file.startswith(path + "/")]:
            del self.files[file]
        self.folders = [folder for folder in self.folders if folder != path]

    def read_file(self, path: str) -> str | None:
        return self.files.get(path)

    look_file = read_file

    def folder(self, path: str) -> list[str]:
        inside = [file[len(path) + 1 :] for file in (*self.files, *self.folders) if file.startswith(path + "/")]
        return sorted({name.partition("/")[0] for name in inside})

    def hostname(self) -> str:
        return "memory"

    def unmounted(self, pid: int, mounts: Mapping[str, str]) -> Sequence[str]:
        return [place for place in mounts if (pid, place) in self.pid1.unmounted]

    def deleted(self, pid: int, places: Iterable[str]) -> Sequence[str]:
        return [place for place in places if (pid, place) in self.pid1.deleted]

    def read_units(self, names: Sequence[str]) -> Mapping[str, Unit]:
        assert self.systemd
        return {name: self.pid1.show(name) for name in names}

    def execute(self, argv: Sequence[str], text: str) -> None:
        if argv[0] == "systemctl":
            self.step("run systemctl", CommandError(argv, 1, "the test wants it so"))
            assert self.systemd
            self.systemctl.append(tuple(argv[1:]))
            self.pid1.call(argv[1:])
            return self._enable(argv)
        if argv[0] == "nsenter":
            self.step("run nsenter", CommandError(argv, 1, "the test wants it so"))
            if not self.has_process(int(argv[2])):
                raise CommandError(argv, 1, "nsenter: cannot open /proc/%s/ns/mnt: No such file or directory" % argv[2])
            return self.pid1.deleted.remove((int(argv[2]), argv[-1]))
        self.step("load rules", CommandError(argv, 1, "the test wants it so"))
        if argv[0] == "sh":  # tells networkd, which is not here
            return None
        assert tuple(argv) == ("nft", "-f", "-")
        try:
            self.nft.load(text)
        except Refused as error:
            raise CommandError(argv, 1, str(error)) from error

    def _enable(self, argv: Sequence[str]) -> None:
        """The effect of systemctl enable and disable on files."""
        unit, link = ("/etc/systemd/system/%s%s" % (wants, argv[-1]) for wants in ("", "multi-user.target.wants/"))
        if argv[1] == "enable" and unit in self.files:
            self.files[link] = self.files[unit]
        elif argv[1] == "disable":
            self.files.pop(link, None)

    def netfilter(self, foreign: Sequence[Any] = ()) -> MemoryNetfilter:
        """The nftables ruleset of others; MemoryBackend asks for our own table."""

        def run(argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
            held = [HOLD_CHAIN] if self.nft.is_held else []
            listing = json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *foreign, *held]})
            return (0, listing, "") if argv[0] == "nft" else (1, "", "no such table")

        return MemoryNetfilter(run, files=self.files)

    def forget_flows(self, flows: Sequence[Any]) -> None:
        self.step("forget flows")
        self.forgotten += flows

    def announce(self, announcements: Sequence[Any]) -> None:
        self.step("announce addresses")
        for item in announcements:
            assert item.bridge in self.host.links
            assert item.link in self.space(item.place).links
        self.answered += announcements
        self.announced += [item for item in announcements if item.to_neighbours]

    def port_holder(self, port: PublishedPort, leaving: Collection[str] = ()) -> str:
        for (kind, number), holder in self.listeners.items():
            if holder not in leaving and Listener(kind, number, ip_address("::"), VERSIONS).takes(port):
                return holder
        return ""

    def listening(self, protocol: str, first: int, last: int) -> Sequence[Listener]:
        found = [
            Listener(kind, number, ip_address("::"), VERSIONS) for kind, number in self.listeners if kind == protocol
        ]
        return [listener for listener in found if first <= listener.port <= last]

    def processes_in(self, inode: int) -> Sequence[Process]:
        return [Process(pid, "sleep", self.units.get(pid, "")) for pid in self.spaces[inode].processes]

    def listeners_in(self, places: Collection[Place], protocols: Sequence[str]) -> Mapping[Place, Any]:
        """Those of a test, by namespace and protocol."""
        return {
            place: {protocol: self.space(place).listeners.get(protocol, []) for protocol in protocols}
            for place in places
        }

    def is_native(self, pid: int) -> bool:
        return pid not in self.contained

    def processes_by_inode(self) -> Mapping[int, Sequence[int]]:
        return {inode: space.processes for inode, space in self.spaces.items() if space.processes}

    def machine_id(self) -> str:
        return "0123456789abcdef"

    # ---- what a test compares

    def snapshot(self) -> dict[str, Any]:
        """All that a change could change; numbers that the kernel gives do not count."""
        names = {entry.inode: name for name, entry in sorted(self.names.items())}
        spaces = {names.get(inode, "%d" % inode): space for inode, space in self.spaces.items()}
        ends: dict[Any, Any] = {
            (space.inode, link.index): (place, name)
            for place, space in spaces.items()
            for name, link in space.links.items()
        }
        return {
            "units": self.pid1.snapshot(),
            "names": {name: bool(entry.recorded) for name, entry in self.names.items()},
            "files": dict(self.files),
            "nft": self.nft.table() if self.nft.there else None,
            "held": self.nft.is_held,
            "spaces": {
                place: {
                    "links": {
                        name: (
                            ends.get(self._other_end(space, link)),
                            replace(link, index=0, details=plain_details(link)),
                        )
                        for name, link in sorted(space.links.items())
                    },
                    "routes": sorted(map(str, (*space.routes, *space.flushed, *space.dead_ends))),
                    "rules": sorted(map(str, (*space.rules, *space.lookups))),
                    "not taken": sorted(map(str, space.not_taken)),
                    "sysctls": dict(sorted(space.sysctls.items())),
                }
                for place, space in spaces.items()
            },
        }

    def _other_end(self, space: Space, link: Link) -> tuple[int, int] | None:
        """The namespace (an inode) and the index of a veth pair's other end; an end elsewhere counts as the host's."""
        if not isinstance(link.details, VethEnd):
            return None
        there = (link.details.peer_nsid or self.host.inode) if space is self.host else self.host.inode
        return there, link.details.peer_index


def plain_details(link: Link) -> Any:
    """Without numbers that the kernel gives."""
    return None if isinstance(link.details, VethEnd) else link.details


class MemoryStack:
    """A network stack of a MemoryHost."""

    def __init__(self, host: MemoryHost, place: Place) -> None:
        self._host = host
        self.place = place

    @property
    def _space(self) -> Space:
        return self._host.space(self.place)

    def links(self) -> Mapping[str, Link]:
        return dict(self._space.links)

    def barriers(self) -> Sequence[RouteEntry]:
        return [entry for entry in self._space.routes if entry.kind and entry.route.table in (0, LOCAL_TABLE)]

    def routes(self) -> Sequence[RouteEntry]:
        """Those that somebody added, and one to the subnet of each address."""
        return [entry for entry in self._space.routes if not entry.route.table and not entry.kind] + [
            RouteEntry(Route(address.network, None, 0 if address.version == 4 else 256), link.name, BY_THE_KERNEL)
            for link in self._space.links.values()
            for address in dict.fromkeys(link.addresses)
            if link.up and address.network.num_addresses > 1 and (link.name, address.network) not in self._space.flushed
        ]

    def source_rules(self) -> Sequence[SourceRule]:
        return list(self._space.rules)

    def rules_of_others(self) -> Sequence[tuple[Any, int]]:
        return list(self._space.rules_of_others)

    def fixed_neighbours(self) -> Mapping[tuple[str, Any], str]:
        return dict(self._space.fixed)

    def controlled(self) -> Mapping[str, str]:
        return dict(self._space.controlled)

    def rules(self) -> Sequence[RuleEntry]:
        return sorted(self._space.all_rules, key=lambda rule: (rule.source.version, rule.priority))

    def lookups(self) -> Sequence[Lookup]:
        ours = [Lookup(rule.source.version, rule.table, True) for rule in self._space.rules]
        return [*(Lookup(*rule) for rule in self._space.lookups), *ours]

    def has_rules(self, version: int) -> bool:
        return True

    def add_default_rule(self, rule: DefaultRule) -> None:
        self._host.step("add rule lookup %d" % rule.table)
        self._space.lookups = [
            known for known in LOOKUPS if known in {*self._space.lookups, (rule.version, rule.table)}
        ]

    def lost_routes(self) -> Sequence[LostRoute]:
        return [
            LostRoute(link.name, "local", ip_network(own.ip), own, own.ip if own.version == 4 else None)
            for link in self._space.links.values()
            for own in link.addresses
            if own.ip in self._space.not_taken and link.up
        ]

    def restore_route(self, lost: LostRoute) -> None:
        self._host.step("add route to %s" % lost.to)
        assert lost.to.version == 4
        self._space.not_taken.discard(lost.to.network_address)

    def marked_tables(self) -> set[tuple[int, int]]:
        return set(self._space.marked_tables)

    def table_routes(self, table: int) -> Sequence[RouteEntry]:
        return [entry for entry in self._space.routes if entry.route.table == table and not entry.kind]

    def table_barriers(self, table: int) -> Sequence[RouteEntry]:
        return [entry for entry in self._space.routes if entry.route.table == table and entry.kind]

    def add_rule(self, rule: SourceRule) -> None:
        self._host.step("add rule from %s" % rule.source)
        if rule in self._space.rules:
            raise KernelError("add rule from %s" % rule.source, "it is there")
        self._space.rules.append(rule)

    def delete_rule(self, rule: SourceRule) -> None:
        self._host.step("delete rule from %s" % rule.source)
        self._space.rules = [known for known in self._space.rules if known != rule]

    def local_addresses(self) -> frozenset[bytes]:
        return frozenset(address.ip.packed for link in self._space.links.values() for address in link.addresses)

    def read_sysctl(self, key: str) -> str | None:
        return self._space.sysctls.get(key)

    def write_sysctl(self, key: str, value: str) -> None:
        self._host.step("set sysctl %s" % key)
        sysctls = self._space.sysctls
        if key not in sysctls:
            raise KernelError("set sysctl %s" % key, "there is no such key")
        before, sysctls[key] = sysctls[key], value
        word = {IPV4_FORWARD: "net/ipv4/conf/", IPV6_FORWARD: "net/ipv6/conf/"}.get(key, "")
        for other in sysctls if word and before != value else ():
            if other.startswith(word) and other.endswith("/forwarding"):
                sysctls[other] = value
        if key == IPV4_FORWARD and before != value:
            sysctls["net/ipv4/conf/all/accept_redirects"] = "1" if value == "0" else "0"
        if key.endswith("/disable_ipv6") and value == "1":
            name = key.split("/")[3]
            if name in self._space.links:
                addresses = tuple(a for a in self._space.links[name].addresses if a.version == 4)
                self._change(name, addresses=addresses)

    def add_bridge(self, name: str, mac_address: str, mtu: int | None, stp: bool) -> None:
        self._host.step("add bridge %s" % name)
        values = {"mac_address": mac_address or mac(name), "mtu": mtu or 1500, "details": BridgeValues(stp)}
        self._host.make_link(self._space, name, kind="bridge", group=LINK_GROUP, **values)

    def add_veth(
        self, name: str, peer: str, peer_stack: MemoryStack, mtu: int | None, peer_mac: str | None, bridge: str | None
    ) -> None:
        self._host.step("add veth %s" % name)
        if name in self._space.links or peer in peer_stack.links() or (name == peer and self.place == peer_stack.place):
            raise KernelError("add veth %s" % name, "a link of one of these names is there")
        if bridge is not None:
            self._require_room(bridge)
        self._host.make_veth(name, peer_stack.place, peer, LINK_GROUP, mtu=mtu or 1500, master=bridge or "")
        if peer_mac is not None:
            self._host.change_link(peer_stack.place, peer, mac_address=peer_mac)

    def _require_room(self, bridge: str) -> None:
        link = self._space.links.get(bridge)
        if link is None or link.kind != "bridge":
            raise KernelError("use bridge %s" % bridge, "there is no such bridge")
        if sum(1 for port in self._space.links.values() if port.master == bridge) >= BRIDGE_PORTS:
            raise KernelError("use bridge %s" % bridge, "it is full")

    def _link(self, name: str) -> Link:
        if name not in self._space.links:
            raise KernelError("change link %s" % name, "there is no link %s in %s" % (name, self.place))
        return self._space.links[name]

    def _change(self, name: str, **values: Any) -> None:
        self._link(name)
        self._host.change_link(self.place, name, **values)

    def set_link(self, name: str, changes: Mapping[str, Any]) -> None:
        self._host.step("change link %s" % name)
        for key, value in changes.items():
            if key == "master":
                if value is not None:
                    self._require_room(value)
                self._change(name, master=value or "", isolated=False, hairpin=False, port_flags=())
            elif key == "stp" and self._link(name).kind != "bridge":
                raise KernelError("change link %s" % name, "it is no bridge")
            elif key == "stp":
                self._change(name, details=BridgeValues(bool(value)))
            else:
                self._change(name, **{"mac_address" if key == "address" else key: value})
                if key == "up" and not value:
                    self._drop_routes(name, (4, 6))

    def _drop_routes(self, link: str, versions: Collection[int]) -> None:
        self._space.routes = [
            entry for entry in self._space.routes if entry.link != link or entry.route.to.version not in versions
        ]

    def set_port(self, name: str, changes: Mapping[str, bool]) -> None:
        self._host.step("change port %s" % name)
        if not self._link(name).master:
            raise KernelError("change bridge port %s" % name, "it is not the port of a bridge")
        usual = {key: changes[key] for key in ("isolated", "hairpin") if key in changes}
        there = {**dict(self._link(name).port_flags), **{key: changes[key] for key in changes if key not in usual}}
        new = {"state": True, **{key: on for key, (_kind, on) in PORT_FLAGS.items()}}
        self._change(name, **usual, port_flags=tuple((key, on) for key, on in there.items() if new[key] != on))

    def delete_links(self, names: Sequence[str]) -> None:
        self._host.step("delete links %s" % ", ".join(names))
        for name in names:
            if name in self._space.links:
                self._host.remove_link(self._space, name)

    def add_address(self, link: str, interface: Interface) -> None:
        self._host.step("add address %s" % interface)
        there = self._link(link).addresses
        if interface in there:
            raise KernelError("add address %s" % interface, "it is there")
        if interface.version == 6 and self.read_sysctl("net/ipv6/conf/%s/disable_ipv6" % link) == "1":
            raise KernelError("add address %s" % interface, "IPv6 is off")
        self._space.not_taken.discard(interface.ip)
        # the kernel lists IPv4 first
        # the kernel lists the newest IPv6 address first (ipv6_link_dev_addr)
        found = (*there, interface) if interface.version == 4 else (interface, *there)
        self._change(link, addresses=tuple(sorted(found, key=lambda address: address.version)))

    def delete_address(self, link: str, interface: Interface) -> None:
        """The routes by a link go with its last IPv4 address."""
        self._host.step("delete address %s" % interface)
        rest = tuple(address for address in self._link(link).addresses if address != interface)
        self._change(link, addresses=rest)
        if interface.version == 4 and not any(address.version == 4 for address in rest):
            self._drop_routes(link, (4,))

    def add_route(
        self,
        link: str,
        route: Route,
        protocol: int = ROUTE_PROTOCOL,
        source: Any = None,
        replaces: bool = False,
        appends: bool = False,
    ) -> None:
        self._host.step("add route to %s" % route.to)
        found, made = self._link(link), plain(route)
        if not found.up:
            raise KernelError("add route to %s" % route.to, "the link is down")
        known = (
            self.table_routes(made.table) if made.table else [*self.routes(), *(() if replaces else self.barriers())]
        )
        alike = [e for e in known if (e.route.to, e.route.metric) == (made.to, made.metric) and not e.is_narrow]
        if alike and not appends:
            raise KernelError("add route to %s" % route.to, "there is another one with this metric")
        if route.to in self._space.dead_ends and not replaces:
            raise KernelError("add route to %s" % route.to, "there is another one with this metric")
        self._space.dead_ends.discard(route.to)
        near = [LINK_LOCAL[6], *(a.network for a in found.addresses)]
        near += [e.route.to for e in known if e.link == link and e.route.via is None]
        if route.via is not None and not any(route.via in net for net in near if net.version == route.via.version):
            raise KernelError("add route to %s" % route.to, "the gateway is in no subnet of the link")
        if (link, route.to) in self._space.flushed:
            self._space.flushed.remove((link, route.to))
        else:
            self._space.routes.append(RouteEntry(made, link, protocol))

    def add_barrier(self, barrier: RouteEntry) -> None:
        self._host.step("add the %s route to %s" % (barrier.kind, barrier.route.to))
        self._space.routes.append(barrier)

    def delete_barrier(self, barrier: RouteEntry) -> None:
        self._host.step("delete the %s route to %s" % (barrier.kind, barrier.route.to))
        there, whole = self._space.routes, replace(barrier, route=replace(barrier.route, via=None), link="")
        gone = [e for e in there if e == barrier or (e.hops and replace(whole, route=e.route, link=e.link) == e)]
        assert gone
        self._space.routes = [entry for entry in there if entry not in gone]

    def delete_route(self, link: str, route: Route, protocol: int = ROUTE_PROTOCOL) -> None:
        self._host.step("delete route to %s" % route.to)
        self._link(link)
        gone = RouteEntry(plain(route), link, protocol)
        if protocol == BY_THE_KERNEL and gone in self.routes() and gone not in self._space.routes:
            self._space.flushed.add((link, route.to))
        self._space.routes = [entry for entry in self._space.routes if entry != gone]


def plain(route: Route) -> Route:
    """A route as the kernel shows it."""
    return replace(route, metric=METRIC[route.to.version] if route.metric is None else route.metric)


def mac(name: str) -> str:
    """Some address that is always the same."""
    return "52:54:00:%s" % ":".join("%02x" % byte for byte in name.encode()[:3].ljust(3, b"."))


# ---- the packet filter


class MemoryBackend(NftablesBackend):
    """nftables whose table is in memory."""

    def __init__(self, host: MemoryHost) -> None:
        super().__init__(MemoryNetfilter(lambda argv, text: (1, "", "this host is in memory")))
        self._host = host

    def usable(self) -> str | None:
        return None

    def read(self) -> Table:
        return self._host.nft.table()


class MemorySession(FirewallSession):
    """The packet filter of a MemoryHost; ``foreign`` is what ``nft -j list`` prints of others."""

    def __init__(self, host: MemoryHost, foreign: Sequence[Any] = (), works: bool = True) -> None:
        super().__init__(host.netfilter(foreign))
        self._host = host
        self._works = works

    def _choose(self) -> Backend:
        if not self._works:
            raise NoPacketFilter("No packet filter works on this host.")
        return MemoryBackend(self._host)

    def _left_behind(self, chosen: Backend) -> list[Backend]:
        return []


# ---- runs


def world(host: MemoryHost, check_mode: bool = False, **how: Any) -> World:
    """The host as a plan sees it."""
    return World(host, MemorySession(host, **how), check_mode)  # type: ignore[arg-type]


def ask(kind: Kind[Any], options: Mapping[str, Any], state: str = "present") -> Request:
    """A request as a module makes it of its options."""
    return Request(kind, kind.parse(options), state)


def once(host: MemoryHost, *requests: Request, check_mode: bool = False, **how: Any) -> Outcome:
    """One run."""
    return run(requests, world(host, check_mode, **how))


def converge(host: MemoryHost, *requests: Request, as_promised: bool = True, **how: Any) -> Outcome:
    """A run, with all that has to be so for any: check mode said the same and changed nothing, and once is enough."""
    before = host.snapshot()
    foreseen = once(host, *requests, check_mode=True, **how)
    assert host.snapshot() == before, "check mode changed something"
    outcome = once(host, *requests, **how)
    assert outcome == foreseen, "check mode said otherwise"
    after = host.snapshot()
    if not outcome.changed:
        assert after == before
        assert (outcome.before, outcome.after) == ("", ""), "nothing changed, and the diff shows something"
    again = once(host, *requests, **how)
    assert (again.changed, again.commands) == (False, ()), "a second run changes something: %s" % (again.commands,)
    assert (again.before, again.after) == ("", "")
    assert not as_promised or again.objects == outcome.objects, "what is there is not what was promised"
    assert host.snapshot() == after
    return outcome
