# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first packets of our connections, as each hook sees them on their way through the host."""

from __future__ import annotations

import ipaddress
import typing as t

from ... import model
from ...records import dataclass, replace
from . import reader, rules

_DESTINATION_NAT = -100
INSIDE = "inside"
_FRAMES = {0: "arp", 4: "ip", 6: "ip6"}


@dataclass(frozen=True)
class Traffic:
    """Such packets; an empty field that names links means that the hook knows none."""

    bridge: str
    way: str
    version: int  # 0: ARP
    what: str  # as a clause: what comes ..., what goes ...
    came_by: tuple[str, ...] = ()
    goes_by: tuple[str, ...] = ()
    came_over: str = ""  # bridges
    goes_over: str = ""
    sources: tuple[model.Network, ...] | None = None  # None: any
    targets: tuple[model.Network, ...] | None = None
    protocol: str = ""
    ports: model.PortRange | None = None
    published: bool = False  # their destination has been translated
    to_host: bool = False  # they are to be translated, and still have an address of the host
    is_late: bool = False  # only kernels since 5.7 still know by which link they came
    on_our_link: bool = False  # the hook belongs to a link of ours
    marked: bool = False  # a rule may have marked them

    @property
    def frame(self) -> str:
        """What the frames carry."""
        return _FRAMES[self.version]


class _Host(t.NamedTuple):
    """What the packets depend on."""

    state: model.FirewallState
    around: reader.Around
    uplinks: list[str]
    local: list[model.Address]
    foreign: reader.Foreign

    @property
    def policies(self) -> list[model.BridgePolicy]:
        return sorted(self.state.policies, key=lambda policy: policy.bridge)

    @property
    def published(self) -> t.Iterator[tuple[model.PublishedPort, t.Sequence[str]]]:
        """The ports that others reach, with the links by which they do."""
        for port in sorted(self.state.ports, key=str):
            if port.host_ip is None or not port.host_ip.is_loopback:
                yield port, port.in_interfaces or self.uplinks


Passing = t.Callable[[rules.Table, rules.Chain], t.Iterator[Traffic]]


def passing(foreign: reader.Foreign, state: model.FirewallState, around: reader.Around) -> Passing:
    """A function that returns the packets that a base chain of a table sees."""
    host = _Host(state, around, sorted(around.uplinks()), around.local(state), foreign)

    def found(table: rules.Table, base: rules.Chain) -> t.Iterator[Traffic]:
        if base.hook in reader.LINK_HOOKS:
            return _on_links(base, host)
        if table.family == "bridge":
            return _in_bridges(base.hook, host)
        return (traffic for traffic in _routed(base, host) if table.concerns(traffic.version))

    return found


def is_routed(table: rules.Table, base: rules.Chain) -> bool:
    """Whether a base chain sees packets that the host routes, rather than frames."""
    return table.family not in ("bridge", "netdev") and base.hook not in reader.LINK_HOOKS


# ---- packets that the host routes


def _routed(base: rules.Chain, host: _Host) -> t.Iterator[Traffic]:
    for port, ways in host.published:
        for link in ways:
            if base.hook == "prerouting" and base.priority < _DESTINATION_NAT:
                yield from _before_translation(port, link, (link,), host)
            elif base.hook != "prerouting" or base.priority != _DESTINATION_NAT:
                yield from _at(base, _to_port(port, link, (link,), (port.bridge,)))
    for policy in host.policies:
        for link in host.uplinks:
            for traffic in _out(policy, link):
                yield from _at(base, replace(traffic, came_by=(policy.bridge,), goes_by=(link,)))
        if base.hook == "forward":
            both: dict[str, t.Any] = {"came_by": (policy.bridge,), "goes_by": (policy.bridge,)}
            for traffic in _inside(policy):
                if host.foreign.filters_bridged(traffic.version):
                    yield replace(traffic, **both)


def _at(base: rules.Chain, traffic: Traffic) -> t.Iterator[Traffic]:
    """The traffic as a hook of IP sees it."""
    if base.hook == "prerouting":
        yield replace(traffic, goes_by=())
    elif base.hook == "forward":
        yield traffic
    elif base.hook == "postrouting" and base.priority < -_DESTINATION_NAT:
        yield replace(traffic, is_late=True)


def _before_translation(
    port: model.PublishedPort, link: str, came_by: tuple[str, ...], host: _Host
) -> t.Iterator[Traffic]:
    """Packets to a published port that still have the host's address."""
    version = port.container_ip.version
    addresses = [port.host_ip] if port.host_ip is not None else [one for one in host.local if one.version == version]
    targets = tuple(_alone(address) for address in addresses if not address.is_loopback)
    if targets:
        there = _to_port(port, link, came_by)
        yield replace(there, targets=targets, ports=port.host_ports, published=False, to_host=True)


def _to_port(
    port: model.PublishedPort, link: str, came_by: tuple[str, ...] = (), goes_by: tuple[str, ...] = ()
) -> Traffic:
    """Packets to a published port on the last part of their way."""
    name = "%s/%s" % (port.host_ports, port.protocol)
    whose = port.network or port.bridge or port.container_ip
    return Traffic(
        port.bridge,
        rules.PUBLISHED,
        port.container_ip.version,
        "what comes by %s to the published port %s (%s)" % (link, name, whose),
        came_by=came_by,
        goes_by=goes_by,
        sources=port.sources or None,
        targets=(_alone(port.container_ip),),
        protocol=port.protocol,
        ports=port.container_ports,
        published=True,
    )


def _out(policy: model.BridgePolicy, link: str) -> t.Iterator[Traffic]:
    what = "what goes from %s to the outside by %s" % (policy.network or policy.bridge, link)
    for subnet in policy.subnets if not policy.internal else ():
        yield Traffic(policy.bridge, rules.OUT, subnet.version, what, sources=(subnet,))


def _inside(policy: model.BridgePolicy) -> t.Iterator[Traffic]:
    what = "what goes from one endpoint of %s to another" % (policy.network or policy.bridge)
    for subnet in policy.subnets if policy.icc else ():
        yield Traffic(policy.bridge, INSIDE, subnet.version, what, sources=(subnet,), targets=(subnet,))


def _alone(address: model.Address) -> model.Network:
    return ipaddress.ip_network(address)


# ---- packets that have to come to rules of ours in tables of iptables

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def for_ours(
    table: str, hook: str, foreign: reader.Foreign, state: model.FirewallState, around: reader.Around
) -> t.Iterator[Traffic]:
    """The packets that our rules on a hook of a table translate, or drop."""
    host = _Host(state, around, sorted(around.uplinks()), around.local(state), foreign)
    if (table, hook) == ("nat", "postrouting"):
        yield from _to_masquerade(host)
    elif (table, hook) == ("nat", "output"):
        yield from _from_host(host)
    elif (table, hook) == ("nat", "prerouting"):
        for port, ways in host.published:
            for link in ways:
                yield from _before_translation(port, link, (link,), host)
    elif (table, hook) in (("mangle", "prerouting"), ("raw", "prerouting")):
        for link in host.uplinks:
            yield from _to_drop(table, link, host)


def _to_masquerade(host: _Host) -> t.Iterator[Traffic]:
    for entry in sorted(host.state.masquerades, key=lambda entry: entry.order):
        for link in host.uplinks:
            if not entry.out.name or (entry.out.name == link) != entry.out.inverted:
                what = "what goes from %s to the outside by %s" % (entry.network or entry.source, link)
                yield Traffic("", rules.OUT, entry.source.version, what, goes_by=(link,), sources=(entry.source,))


def _from_host(host: _Host) -> t.Iterator[Traffic]:
    for port in sorted(host.state.ports, key=str):
        version = port.container_ip.version
        addresses = [port.host_ip] if port.host_ip is not None else [a for a in host.local if a.version == version]
        there = _to_port(port, "lo", (), ("lo",))
        what = there.what.replace("comes by lo", "goes from this host")
        targets = tuple(map(_alone, addresses))
        if targets:
            yield replace(
                there, what=what, sources=None, targets=targets, ports=port.host_ports, published=False, to_host=True
            )


def _to_drop(table: str, link: str, host: _Host) -> t.Iterator[Traffic]:
    what = "what comes by %s for %s"
    if table == "raw":
        name = what % (link, "%s of this host" % _LOOPBACK)
        yield Traffic("", rules.PUBLISHED, 4, name, came_by=(link,), targets=(_LOOPBACK,), to_host=True)
        return
    for policy in host.policies:
        if policy.direct_access or link in policy.trusted_interfaces:
            continue
        name = what % (link, "addresses of %s" % (policy.network or policy.bridge))
        for subnet in policy.subnets:
            yield Traffic(policy.bridge, rules.PUBLISHED, subnet.version, name, came_by=(link,), targets=(subnet,))


# ---- frames in a bridge


def _in_bridges(hook: str, host: _Host) -> t.Iterator[Traffic]:
    for policy in host.policies:
        ports = host.around.ports(policy.bridge)
        yield from _in_ours(hook, policy, ports, host) if ports else ()
    for link in host.uplinks:
        ports = host.around.ports(link)
        if ports and hook in ("prerouting", "input"):
            for port, ways in host.published:
                for traffic in _before_translation(port, link, ports, host) if link in ways else ():
                    yield replace(traffic, came_over=link)
        if ports and hook in ("output", "postrouting"):
            for policy in host.policies:
                for traffic in _out(policy, link):
                    yield replace(traffic, goes_by=ports, goes_over=link, sources=None)


def _in_ours(hook: str, policy: model.BridgePolicy, ports: tuple[str, ...], host: _Host) -> t.Iterator[Traffic]:
    """The frames in a bridge of ours: what endpoints send, what they get, and what passes between them."""
    comes: dict[str, t.Any] = {"came_by": ports, "came_over": policy.bridge}
    goes: dict[str, t.Any] = {"goes_by": ports, "goes_over": policy.bridge}
    sent, received = hook in ("prerouting", "input"), hook in ("output", "postrouting")
    how = {**(comes if sent or hook == "forward" else {}), **(goes if received or hook == "forward" else {})}
    found: list[Traffic] = []
    if sent:
        found += [traffic for link in host.uplinks for traffic in _out(policy, link)]
    if received:
        mine = ((port, link) for port, ways in host.published if port.bridge == policy.bridge for link in ways)
        found += [_to_port(port, link) for port, link in mine]
    if hook in ("prerouting", "forward", "postrouting") and len(ports) > 1:
        found += _inside(policy)
    if (hook != "forward" or policy.icc) and any(subnet.version == 4 for subnet in policy.subnets):
        what = "the ARP packets of endpoints of %s" % (policy.network or policy.bridge)
        found.append(Traffic(policy.bridge, INSIDE, 0, what))
    for traffic in found:
        yield replace(traffic, **how)


# ---- frames on a link


def _on_links(base: rules.Chain, host: _Host) -> t.Iterator[Traffic]:
    of_ours = {name: policy for policy in host.policies for name in host.around.ports(policy.bridge)}
    bridges = {policy.bridge: policy for policy in host.policies}
    parts = {name: link for link in host.uplinks for name in (link, *host.around.ports(link))}
    devices = rules.Links(base.devices)  # the name of a device may end with a wildcard
    for device in filter(devices.take, sorted(host.around.links)):
        if device in of_ours:
            yield from _at_endpoint(base.hook, device, of_ours[device])
        elif device in bridges:
            yield from _on_bridge(base.hook, bridges[device], host)
        elif base.hook == "ingress":
            for port, ways in host.published:
                link = device if device in ways else parts.get(device, "")
                yield from _before_translation(port, link, (device,), host) if link in ways else ()
        elif device in parts:
            for policy in host.policies:
                for traffic in _out(policy, parts[device]):
                    yield replace(traffic, goes_by=(device,), sources=None)


def _at_endpoint(hook: str, device: str, policy: model.BridgePolicy) -> t.Iterator[Traffic]:
    """What an endpoint sends or gets, at the host's end of its veth pair."""
    sends = hook == "ingress"
    name = "the endpoint of %s at %s" % (policy.network or policy.bridge, device)
    what = "what %s sends" % name if sends else "what %s gets" % name
    link: dict[str, t.Any] = {"came_by": (device,)} if sends else {"goes_by": (device,)}
    for subnet in policy.subnets:
        end: dict[str, t.Any] = {"sources": (subnet,)} if sends else {"targets": (subnet,)}
        way = rules.OUT if sends else rules.PUBLISHED
        yield Traffic(policy.bridge, way, subnet.version, what, on_our_link=True, **link, **end)
    if any(subnet.version == 4 for subnet in policy.subnets):
        yield Traffic(policy.bridge, INSIDE, 0, "the ARP packets of %s" % name, on_our_link=True, **link)


def _on_bridge(hook: str, policy: model.BridgePolicy, host: _Host) -> t.Iterator[Traffic]:
    """What goes from a bridge of ours to the host, or the other way."""
    mine = (policy.bridge,)
    if hook == "ingress":
        for link in host.uplinks:
            for traffic in _out(policy, link):
                yield replace(traffic, came_by=mine, on_our_link=True)
    else:
        for port, ways in host.published:
            for link in ways if port.bridge == policy.bridge else ():
                yield replace(_to_port(port, link, (), mine), on_our_link=True)
    if any(subnet.version == 4 for subnet in policy.subnets):
        how: dict[str, t.Any] = {"came_by": mine} if hook == "ingress" else {"goes_by": mine}
        what = "the ARP packets between this host and endpoints of %s" % (policy.network or policy.bridge)
        yield Traffic(policy.bridge, INSIDE, 0, what, on_our_link=True, **how)
