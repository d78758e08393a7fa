# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that a plan is made of.

A step can say the command that a person would type for it, apply itself, and name the step that takes it back.
Check mode, ``commands`` and the real change all come from one list of these.
"""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass

from .kernel.state import Announcement, LinkValue, PortFlows
from .marks import DOOMED_GROUP, LINK_GROUP, NETNS_RECORDS, ROUTE_PROTOCOL
from .model import HOST, Interface, Place, Route

if t.TYPE_CHECKING:
    from .kernel.host import Host


def ip(place: Place, *words: object) -> str:
    """An ip(8) command that acts in ``place``."""
    if place.netns is not None:
        prefix: tuple[str, ...] = ("ip", "-n", place.netns)
    elif place.pid is not None:
        prefix = ("nsenter", "--target", str(place.pid), "--net", "ip")
    else:
        prefix = ("ip",)
    return shlex.join(prefix + tuple(str(word) for word in words))


def sysctl_name(key: str) -> str:
    """A key in the form that sysctl(8) takes: with dots, unless an interface's name has one of its own."""
    return key if "." in key else key.replace("/", ".")


def here_document(command: str, text: str) -> str:
    """A command that reads ``text``."""
    return "%s <<'EOF'\n%s\nEOF" % (command, text.rstrip("\n"))


class Operation:
    """One step of a plan."""

    # Whether it has to come before the steps that make things, as it frees something that one of them may need.
    clears_the_way = False

    def commands(self) -> list[str]:
        """What a person would type."""
        raise NotImplementedError

    def apply(self, host: Host) -> None:
        """Do it, or raise KernelError, CommandError or OSError."""
        raise NotImplementedError

    def undo(self) -> list[Operation]:
        """The steps that take it back; empty when nothing can or need be taken back."""
        return []

    def joined(self, after: Operation) -> Operation | None:
        """This step and the one right after it as one step; None when they stay two."""
        return None


@dataclass(frozen=True)
class CreateNamespace(Operation):
    """Make a namespace whose loopback is up and marked before its name appears."""

    name: str
    alias: str

    def commands(self) -> list[str]:
        place = Place(netns=self.name)
        return [
            shlex.join(["ip", "netns", "add", self.name]),
            ip(place, "link", "set", "lo", "group", LINK_GROUP, "alias", self.alias, "up"),
        ]

    def apply(self, host: Host) -> None:
        host.create_namespace(self.name, self.alias)

    def undo(self) -> list[Operation]:
        return [DeleteNamespace(self.name)]


@dataclass(frozen=True)
class AttachNamespace(Operation):
    """Give a process' namespace a name, and note that the name is ours."""

    name: str
    pid: int

    def commands(self) -> list[str]:
        return [
            shlex.join(["ip", "netns", "attach", self.name, str(self.pid)]),
            "mkdir -p %s" % NETNS_RECORDS,
            "stat -Lc %%i /run/netns/%s > %s/%s" % (self.name, NETNS_RECORDS, self.name),
        ]

    def apply(self, host: Host) -> None:
        host.attach_namespace(self.name, self.pid)

    def undo(self) -> list[Operation]:
        return [DeleteNamespace(self.name, attached=True)]


@dataclass(frozen=True)
class DeleteNamespace(Operation):
    """Take a name away; the namespace itself goes with its last process."""

    name: str
    attached: bool = False
    again: tuple[Operation, ...] = ()  # the steps that make it anew

    def commands(self) -> list[str]:
        deletion = shlex.join(["ip", "netns", "delete", self.name])
        if not self.attached:
            return [deletion]
        forgetting = "rm -f %s/%s; rmdir -p --ignore-fail-on-non-empty %s" % (NETNS_RECORDS, self.name, NETNS_RECORDS)
        return [deletion, forgetting]

    def apply(self, host: Host) -> None:
        host.delete_namespace(self.name)

    def undo(self) -> list[Operation]:
        return list(self.again)


@dataclass(frozen=True)
class SetSysctl(Operation):
    """Write a key below net/, given with slashes; ``before`` is None when there was no value to go back to."""

    place: Place
    key: str
    value: str
    before: str | None = None

    def commands(self) -> list[str]:
        words = ["sysctl", "-w", "%s=%s" % (sysctl_name(self.key), self.value)]
        if self.place.netns is not None:
            words = ["ip", "netns", "exec", self.place.netns, *words]
        elif self.place.pid is not None:
            words = ["nsenter", "--target", str(self.place.pid), "--net", *words]
        return [shlex.join(words)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).write_sysctl(self.key, self.value)

    def undo(self) -> list[Operation]:
        return [] if self.before is None else [SetSysctl(self.place, self.key, self.before, self.value)]


@dataclass(frozen=True)
class AddBridge(Operation):
    """Make a bridge, down, with the mark of ours and an address that its ports cannot change."""

    name: str
    mac_address: str
    mtu: int | None = None
    stp: bool = False

    def commands(self) -> list[str]:
        mtu: tuple[object, ...] = () if self.mtu is None else ("mtu", self.mtu)
        words = ("link", "add", "name", self.name, "address", self.mac_address, *mtu, "group", LINK_GROUP)
        return [ip(HOST, *words, "type", "bridge", "stp_state", int(self.stp))]

    def apply(self, host: Host) -> None:
        host.stack(HOST).add_bridge(self.name, self.mac_address, self.mtu, self.stp)

    def undo(self) -> list[Operation]:
        return [DeleteLinks((self.name,))]


@dataclass(frozen=True)
class AddVeth(Operation):
    """Make a veth in one request: the peer is born in its namespace, under its last name."""

    name: str
    peer: str
    place: Place
    mtu: int | None = None
    peer_mac_address: str | None = None
    bridge: str | None = None

    def commands(self) -> list[str]:
        mtu: tuple[object, ...] = () if self.mtu is None else ("mtu", self.mtu)
        master: tuple[object, ...] = () if self.bridge is None else ("master", self.bridge)
        address: tuple[object, ...] = () if self.peer_mac_address is None else ("address", self.peer_mac_address)
        where = self.place.netns if self.place.netns is not None else self.place.pid
        netns: tuple[object, ...] = () if where is None else ("netns", where)
        words = ("link", "add", "name", self.name, *mtu, "group", LINK_GROUP, *master, "type", "veth", "peer")
        return [ip(HOST, *words, "name", self.peer, *mtu, "group", LINK_GROUP, *address, *netns)]

    def apply(self, host: Host) -> None:
        host.stack(HOST).add_veth(
            self.name, self.peer, host.stack(self.place), self.mtu, self.peer_mac_address, self.bridge
        )

    def undo(self) -> list[Operation]:
        return [DeleteLinks((self.name,))]


@dataclass(frozen=True)
class SetLink(Operation):
    """Change what is said of a link: mtu, address (MAC), alias, master (None: no bridge), up, stp."""

    place: Place
    name: str
    changes: tuple[tuple[str, LinkValue], ...]
    before: tuple[tuple[str, LinkValue], ...] = ()

    def commands(self) -> list[str]:
        words: list[object] = []
        for key, value in self.changes:
            if key == "up":
                words.append("up" if value else "down")
            elif key == "master" and value is None:
                words.append("nomaster")
            elif key != "stp":
                words += [key, value]
        result = [ip(self.place, "link", "set", "dev", self.name, *words)] if words else []
        stp = dict(self.changes).get("stp")
        if stp is not None:
            result.append(ip(self.place, "link", "set", "dev", self.name, "type", "bridge", "stp_state", int(stp)))
        return result

    def apply(self, host: Host) -> None:
        host.stack(self.place).set_link(self.name, dict(self.changes))

    def undo(self) -> list[Operation]:
        return [SetLink(self.place, self.name, self.before, self.changes)] if self.before else []


@dataclass(frozen=True)
class SetPort(Operation):
    """Change the flags of a bridge's port: isolated, hairpin."""

    name: str
    changes: tuple[tuple[str, bool], ...]

    def commands(self) -> list[str]:
        words = [word for key, value in self.changes for word in (key, "on" if value else "off")]
        return [shlex.join(["bridge", "link", "set", "dev", self.name, *words])]

    def apply(self, host: Host) -> None:
        host.stack(HOST).set_port(self.name, dict(self.changes))

    def undo(self) -> list[Operation]:
        return [SetPort(self.name, tuple((key, not value) for key, value in self.changes))]


@dataclass(frozen=True)
class DeleteLinks(Operation):
    """Delete links of the host; both ends of a veth go at once. One that has just gone by itself is no error."""

    names: tuple[str, ...]
    again: tuple[Operation, ...] = ()  # the steps that make them anew

    def joined(self, after: Operation) -> DeleteLinks | None:
        """Both deletions as one, since the kernel waits once for each request, not for each link.

        What goes last comes back first: a bridge before its ports.
        """
        if not isinstance(after, DeleteLinks):
            return None
        return DeleteLinks(self.names + after.names, after.again + self.again)

    def commands(self) -> list[str]:
        if len(self.names) == 1:
            return [ip(HOST, "link", "delete", "dev", self.names[0])]
        marked = [ip(HOST, "link", "set", "dev", name, "group", DOOMED_GROUP) for name in self.names]
        return [*marked, ip(HOST, "link", "delete", "group", DOOMED_GROUP)]

    def apply(self, host: Host) -> None:
        host.stack(HOST).delete_links(self.names)

    def undo(self) -> list[Operation]:
        return list(self.again)


@dataclass(frozen=True)
class AddAddress(Operation):
    """Add an address; an IPv6 one without duplicate address detection, which would keep it unusable for 2 s."""

    place: Place
    link: str
    address: Interface

    def commands(self) -> list[str]:
        nodad = ("nodad",) if self.address.version == 6 else ()
        return [ip(self.place, "address", "add", self.address, "dev", self.link, *nodad)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).add_address(self.link, self.address)

    def undo(self) -> list[Operation]:
        return [RemoveAddress(self.place, self.link, self.address)]


@dataclass(frozen=True)
class RemoveAddress(Operation):
    """Remove an address."""

    place: Place
    link: str
    address: Interface

    def commands(self) -> list[str]:
        return [ip(self.place, "address", "delete", self.address, "dev", self.link)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).delete_address(self.link, self.address)

    def undo(self) -> list[Operation]:
        return [AddAddress(self.place, self.link, self.address)]


def route_words(link: str, route: Route) -> list[object]:
    """A route as ip-route(8) wants it."""
    words: list[object] = ["default" if route.to.prefixlen == 0 else route.to]
    if route.via is not None:
        words += ["via", route.via]
    words += ["dev", link, "proto", ROUTE_PROTOCOL]
    if route.metric is not None:
        words += ["metric", route.metric]
    return ["-6", "route", *words] if route.to.version == 6 else ["route", *words]


def route_command(place: Place, verb: str, link: str, route: Route) -> str:
    """``ip route add`` or ``delete``."""
    words = route_words(link, route)
    at = words.index("route") + 1
    return ip(place, *words[:at], verb, *words[at:])


@dataclass(frozen=True)
class AddRoute(Operation):
    """Add a route with the mark of ours."""

    place: Place
    link: str
    route: Route

    def commands(self) -> list[str]:
        return [route_command(self.place, "add", self.link, self.route)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).add_route(self.link, self.route)

    def undo(self) -> list[Operation]:
        return [RemoveRoute(self.place, self.link, self.route)]


@dataclass(frozen=True)
class RemoveRoute(Operation):
    """Remove a route of ours; one to the same target may then come by another link."""

    place: Place
    link: str
    route: Route
    clears_the_way = True

    def commands(self) -> list[str]:
        return [route_command(self.place, "delete", self.link, self.route)]

    def apply(self, host: Host) -> None:
        host.stack(self.place).delete_route(self.link, self.route)

    def undo(self) -> list[Operation]:
        return [AddRoute(self.place, self.link, self.route)]


@dataclass(frozen=True)
class Announce(Operation):
    """Tell the neighbours, who may remember another station for an address."""

    news: tuple[Announcement, ...]

    def joined(self, after: Operation) -> Announce | None:
        """All of it at once: the wait for the bridges' ports is the same for all."""
        return Announce(self.news + after.news) if isinstance(after, Announce) else None

    def commands(self) -> list[str]:
        return [command for item in self.news for command in self._commands(item)]

    @staticmethod
    def _commands(item: Announcement) -> list[str]:
        where = "ip netns exec %s" % item.place.netns if item.place.netns else "nsenter --net -t %s" % item.place.pid
        # arping(8) is not everywhere, and speaks IPv4 only
        words = "%s arping -q -U -c 1 -I %s %s || true"
        return [words % (where, item.link, address.ip) for address in item.addresses if address.version == 4]

    def apply(self, host: Host) -> None:
        host.announce(self.news)


@dataclass(frozen=True)
class WriteFile(Operation):
    """Replace a file in one step (rename), mode 0644; ``before`` is None when there was none."""

    path: str
    text: str
    before: str | None = None

    def commands(self) -> list[str]:
        folder = self.path.rpartition("/")[0]
        return [shlex.join(["mkdir", "-p", folder]), here_document("cat > " + shlex.quote(self.path), self.text)]

    def apply(self, host: Host) -> None:
        host.write_file(self.path, self.text)

    def undo(self) -> list[Operation]:
        if self.before is None:
            return [RemoveFile(self.path, self.text)]
        return [WriteFile(self.path, self.before, self.text)]


@dataclass(frozen=True)
class RemoveFile(Operation):
    """Remove a file of ours."""

    path: str
    before: str

    def commands(self) -> list[str]:
        return [shlex.join(["rm", "-f", self.path])]

    def apply(self, host: Host) -> None:
        host.remove_file(self.path)

    def undo(self) -> list[Operation]:
        return [WriteFile(self.path, self.before)]


@dataclass(frozen=True)
class LoadRules(Operation):
    """One transaction of the packet filter: a command that reads its rules from standard input."""

    argv: tuple[str, ...]
    text: str
    reverse: str = ""  # the text that takes it back

    def commands(self) -> list[str]:
        return [here_document(shlex.join(self.argv), self.text)]

    def apply(self, host: Host) -> None:
        host.execute(self.argv, self.text)

    def undo(self) -> list[Operation]:
        return [LoadRules(self.argv, self.reverse, self.text)] if self.reverse else []


@dataclass(frozen=True)
class RunTool(Operation):
    """A command of another program's own, such as a firewall's, and the one that takes it back."""

    argv: tuple[str, ...]
    reverse: tuple[str, ...] = ()

    def commands(self) -> list[str]:
        return [shlex.join(self.argv)]

    def apply(self, host: Host) -> None:
        host.execute(self.argv, "")

    def undo(self) -> list[Operation]:
        return [RunTool(self.reverse, self.argv)] if self.reverse else []


@dataclass(frozen=True)
class ForgetFlows(Operation):
    """Drop conntrack entries by the host's port: a flow keeps the translation that it began with."""

    flows: tuple[PortFlows, ...]

    def commands(self) -> list[str]:
        return [command for flow in self.flows for command in self._commands(flow)]

    @staticmethod
    def _commands(flow: PortFlows) -> list[str]:
        family = "ipv4" if flow.version == 4 else "ipv6"
        words = ["conntrack", "-D", "-f", family, "-p", flow.protocol]
        if flow.host_ip:
            words += ["--orig-dst", flow.host_ip]
        # conntrack(8) takes no range, and says 1 when there was nothing to delete
        ports = range(flow.first, flow.last + 1)
        return ["%s || true" % shlex.join([*words, "--orig-port-dst", str(port)]) for port in ports]

    def apply(self, host: Host) -> None:
        host.forget_flows(self.flows)
