# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Veth pairs from the host into a namespace, with or without a bridge at the host's end."""

from __future__ import annotations

import typing as t

from .. import arguments, engine, marks, model, parsing
from ..firewall.choice import BACKEND
from ..kernel.state import Announcement, Awaited, BridgeValues, Link, LinkValue, VethEnd
from ..ownership import Holding, named
from ..records import dataclass, replace
from ..world import Claims, World, described, is_ours, is_unmarked, metric_of, unmarked
from . import common, ends, source_routing

if t.TYPE_CHECKING:
    from .. import operations


@dataclass(frozen=True)
class _Pair:
    """The two ends of a veth pair as they are; None: missing, or not what was requested."""

    host: Link | None
    peer: Link | None


class VethKind(engine.EndpointKind[model.Veth], engine.StepKind[model.Veth]):
    """A veth pair whose peer is created in its namespace."""

    name = "veth"
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {
        "name": {"type": "str", "required": True},
        "bridge": {"type": "str"},
        "isolated": {"type": "bool", "default": False},
        "mtu": {"type": "int"},
        "addresses": {"type": "list", "elements": "str", "default": []},
        "allow_overlap": {"type": "bool", "default": False},
        "peer": {"type": "dict", "options": ends.ARGUMENTS},
        **arguments.NETWORK,
        **BACKEND,
    }
    NAMES = ("peer.routes",)

    # ---- options to model

    def parse(self, options: arguments.Options) -> model.Veth:
        name = parsing.new_link_name("name", options["name"])
        bridge = options.get("bridge")
        return model.Veth(
            name=name,
            peer=ends.parse_end(options.get("peer") or {}, ends.Words("veth %s" % name, "peer.")),
            bridge=None if bridge is None else parsing.link_name("bridge", bridge),
            isolated=bool(options.get("isolated")),
            mtu=parsing.mtu("mtu", options.get("mtu")),
            addresses=parsing.interfaces("addresses", options.get("addresses") or ()),
            network=parsing.owner(options),
            allow_overlap=bool(options.get("allow_overlap")),
        )

    def check(self, items: t.Sequence[model.Veth]) -> None:
        common.refuse_repeated(map(self.title, items))
        checks = ends.EndChecks()
        for item in items:
            checks.add(item.peer, _called(item), item.bridge or item.name)

    def title(self, item: model.Veth) -> str:
        return "veth %s" % item.name

    # ---- what is there

    def holdings(self, item: model.Veth, state: str, world: World) -> t.Iterable[Holding]:
        found = [("Interface %s" % item.name, world.label(item.name))]
        if state == "absent":
            return found
        if item.bridge is not None:
            found.append(("Bridge %s" % item.bridge, world.label(item.bridge)))
        place = item.peer.place
        inside = "Namespace %s" % place.netns if place.netns is not None else "The namespace of process %s" % place.pid
        return [*found, (inside, world.label("lo", place))]

    def resolve(self, item: model.Veth, state: str, world: World) -> model.Veth:
        if state == "absent":
            return item
        self._refuse_contradictions(item)
        bridge = world.bridge(item.bridge) if item.bridge is not None else None
        world.require(item.peer.place)
        if world.is_host(item.peer.place):
            raise model.Conflict(
                "veth %s: %s is the host's own, and the peer needs another one; name a namespace, or a process that has"
                " one of its own." % (item.name, item.peer.place)
            )
        if item.bridge is not None and item.mtu is None:
            item = replace(item, mtu=bridge.mtu if bridge is not None else world.default_mtu())
        common.refuse_narrow(self.title(item), item.mtu, (*item.addresses, *(item.peer.addresses or ())))
        return item

    @staticmethod
    def _refuse_contradictions(item: model.Veth) -> None:
        if item.peer.place == model.HOST:
            raise model.InvalidRequest("veth %s: set peer.netns or peer.pid to say where its peer lives." % item.name)
        if item.bridge is None and item.isolated:
            raise model.InvalidRequest("veth %s: only a port of a bridge can be isolated." % item.name)
        if item.bridge is not None and item.addresses:
            raise model.InvalidRequest(
                "veth %s: a port of a bridge has no addresses; give them to the bridge." % item.name
            )

    @staticmethod
    def _pair(item: model.Veth, world: World) -> _Pair:
        host = world.links().get(item.name)
        if host is None or not is_ours(host) or host.kind != "veth":
            return _Pair(None, None)
        peer = world.links(item.peer.place).get(item.peer.name)
        if peer is None or not world.is_pair(host, item.peer.place, peer):
            return _Pair(host, None)
        return _Pair(host, peer)

    def stored(self, item: model.Veth, world: World) -> engine.Stored:
        options = common.options_of(
            name=item.name,
            bridge=item.bridge,
            isolated=item.isolated,
            mtu=item.mtu,
            addresses=list(map(str, item.addresses)),
            allow_overlap=item.allow_overlap,
            peer=ends.stored_end(item.peer),
            **common.belongs(item.network),
        )
        return engine.Stored(options, "" if item.peer.place.pid is None else engine.A_PROCESS)

    def observed(self, item: model.Veth, world: World) -> engine.Description:
        pair = self._pair(item, world)
        link = world.links().get(item.name)
        if link is None:
            return None
        if pair.host is None or pair.peer is None:
            whose = common.belongs(marks.label_of(link.alias) if is_ours(link) else "")
            return common.compact(name=link.name, kind=link.kind or "other", bridge=link.master or None, **whose)
        return common.compact(
            name=link.name,
            bridge=link.master or None,
            isolated=link.isolated if link.master else None,
            mtu=link.mtu if item.mtu is not None else None,
            addresses=model.spelled(link.addresses) or None,
            up=link.up and pair.peer.up,
            **common.belongs(marks.label_of(link.alias)),
            peer=ends.observed_end(item.peer, pair.peer, world),
        )

    def wanted(self, item: model.Veth, observed: engine.Description, world: World) -> engine.Description:
        return common.compact(
            name=item.name,
            bridge=item.bridge,
            isolated=item.isolated if item.bridge else None,
            mtu=item.mtu,
            addresses=model.spelled(item.addresses) or None,
            up=True,
            **common.belongs(item.network),
            peer=ends.wanted_end(item.peer),
        )

    def remark(self, item: model.Veth, world: World) -> None:
        place, addresses = item.peer.place, item.peer.addresses or ()
        if item.bridge is not None and world.has_odd_rules(place):
            detours = world.detours_in(place)
            for gateway, own in [(r.via, a) for r in item.peer.routes for a in addresses if r.via is not None]:
                for text in detours.inside(item.peer.name, gateway, own):
                    world.remark("In %s, %s." % (place, text), str(gateway))
        link = item.bridge or item.name
        if world.detours and not (item.allow_overlap or link in world.claims.insisted):
            for address in item.peer.addresses or ():
                for text in world.detours.of(link, address.ip):
                    world.remark(model.capitalized(text) + ".", "%s (%s)" % (_called(item), address.ip))

    # ---- what to do

    def claim(self, item: model.Veth, state: str, claims: Claims) -> None:
        claims.addresses.add(item.name)
        if state == "present":
            claims.veths[item.name] = (item.peer.place, item.peer.name)
            claims.leading.setdefault(item.peer.place.netns or "", []).append(item.name)
            claims.routes.add((item.peer.place, item.peer.name))

    def plan(self, item: model.Veth, state: str, world: World) -> list[operations.Operation]:
        if state == "absent":
            return self._plan_absent(item, world)
        pair = self._pair(item, world)
        there = world.links().get(item.name)
        if there is not None and is_unmarked(there):
            raise model.Conflict("Interface %s cannot be used: %s" % (item.name, unmarked(there)))
        if there is not None and pair.host is None:
            raise model.Conflict(
                "Interface %s is there already, and is %s that this collection did not make; choose another name."
                % (item.name, described(there))
            )
        # A pair that gets IPv6 is made again. It is down at first, so no packet comes in before its sysctls are set.
        if pair.host is not None and pair.peer is not None and not common.gets_ipv6(pair.peer, item.mtu):
            return self._plan_change(item, pair.host, pair.peer, world)
        return self._plan_new(item, pair.host, world)

    def _plan_new(self, item: model.Veth, remains: Link | None, world: World) -> list[operations.Operation]:
        owner = self.title(item)
        ends.refuse_unreachable(owner, item.peer, None, world)
        steps = ends.restore_rules(owner, item.peer, None, world)
        steps += self._clear(item, world) + _clear_way(item, world)
        if remains is not None:
            steps += _take(remains, world)
        if item.bridge is not None:
            _plug(item, item.bridge, world)
            ends.refuse_taken_addresses(owner, item.peer, None, item.bridge, world)
        for address in () if item.allow_overlap else item.addresses:
            world.refuse_overlap(item.name, address)
        sources = ends.change_sources(item.peer, None, world)
        steps += source_routing.remove(item.peer, sources)
        steps += make(item, common.has_ipv6(world, item.mtu)) + source_routing.add(item.peer, sources)
        self._tell_world(item, world)
        steps += common.sysctl_steps(model.HOST, common.foreseen(item.name, item.addresses, world), world)
        steps += ends.foreseen_inside(item.peer, None, world)
        steps += ends.remove_routes(item.peer, ends.change_routes(owner, item.peer, None, world))
        _await(item, item.peer.addresses or (), world)
        _announce(item, item.peer.addresses or (), world)
        return steps

    def _clear(self, item: model.Veth, world: World) -> list[operations.Operation]:
        """The steps that free the name of the peer, if another veth pair has it that this run moves elsewhere."""
        place, peer = item.peer.place, item.peer.name
        other = world.links(place).get(peer)
        if other is None:
            return []
        near = world.near_end(place, other)
        if near is not None and near.name == item.name:
            return []
        if near is None and isinstance(other.details, VethEnd) and is_ours(other) and world.owns(place):
            return _delete_end(place, other, world)
        if near is None or not is_ours(near) or near.name not in world.claims.veths:
            raise model.Conflict(
                "Interface %s in %s is there already, and is %s; choose another name (interface of an endpoint,"
                " peer.name of a veth)." % (peer, place, described(other))
            )
        there, name = world.claims.veths[near.name]
        world.require(there)
        if name == peer and world.is_same(there, place):
            same = "" if there == place else " (which is also %s)" % there
            raise model.Conflict(
                "veth %s and veth %s would both have the interface %s in %s%s; give one of them another name."
                % (near.name, item.name, peer, place, same)
            )
        return _take(near, world)

    def _tell_world(self, item: model.Veth, world: World) -> None:
        """Tell the world what will have been made."""
        host = Link(
            item.name, 0, mtu=item.mtu or 1500, up=True, group=marks.LINK_GROUP, alias=marks.alias(item.network)
        )
        host = replace(host, master=item.bridge or "", addresses=item.addresses)
        world.put_pair(self._as_wanted(item, host), ends.end_link(item.peer, None, item.mtu), item.peer.place)
        ipv6 = common.has_ipv6(world, item.mtu)
        for key, value in _host_sysctls(item, ipv6):
            world.put_sysctl(model.HOST, key, value)
        for key, value in ends.end_sysctls(item.peer, ipv6):
            world.put_sysctl(item.peer.place, key, value)

    @staticmethod
    def _as_wanted(item: model.Veth, host: Link) -> Link:
        link = replace(host, master=item.bridge or "", mtu=item.mtu or host.mtu, up=True, addresses=item.addresses)
        port = item.bridge is not None
        return replace(
            link,
            alias=marks.alias(item.network),
            isolated=item.isolated,
            hairpin=port,
            port_flags=(),
            arp=True,
            group=marks.LINK_GROUP,
        )

    def _plan_change(self, item: model.Veth, host: Link, peer: Link, world: World) -> list[operations.Operation]:
        owner = self.title(item)
        if item.bridge is not None:
            if host.master != item.bridge:
                _plug(item, item.bridge, world)
            known = peer if host.master == item.bridge else None
            ends.refuse_taken_addresses(owner, item.peer, known, item.bridge, world)
        ends.refuse_unreachable(owner, item.peer, peer, world)
        rules = ends.restore_rules(owner, item.peer, peer, world)
        steps = rules + _clear_way(item, world)
        routes = ends.change_routes(owner, item.peer, peer, world)
        sources = ends.change_sources(item.peer, peer, world)
        steps += source_routing.remove(item.peer, sources) + ends.remove_routes(item.peer, routes)
        steps += _change_sysctls(item, peer, world)
        steps += _change_links(item, host, peer, world)
        steps += common.restore_subnets(owner, model.HOST, host, item.addresses, world)
        steps += routes.subnets
        steps += ends.add_routes(item.peer, routes.missing, world.owns(item.peer.place))
        steps += source_routing.add(item.peer, sources)
        if steps:
            world.put_link(self._as_wanted(item, host))
            end = ends.end_link(item.peer, peer, item.mtu)
            world.put_link(end, item.peer.place)
            _await(item, end.addresses, world)
        _announce_change(item, host, peer, bool(rules), world)
        return steps

    @staticmethod
    def _plan_absent(item: model.Veth, world: World) -> list[operations.Operation]:
        link = world.links().get(item.name)
        if link is None:
            return []
        if is_unmarked(link):
            world.warn("Interface %s stays: %s" % (item.name, unmarked(link)))
            return []
        if not is_ours(link) or link.kind != "veth":
            world.warn("Interface %s was not made by this collection, and stays." % item.name)
            return []
        return _take(link, world)


def _called(item: model.Veth) -> str:
    return named(item.network, item.endpoint) if item.endpoint else "veth %s" % item.name


def make(item: model.Veth, ipv6: bool) -> list[operations.Operation]:
    """The steps that make a veth pair where there is none."""
    from .. import link_operations

    end = item.peer
    steps: list[operations.Operation] = [
        link_operations.AddVeth(item.name, end.name, end.place, item.mtu, end.mac_address, item.bridge)
    ]
    # the request that makes a link cannot carry an alias, and a killed run must not lose the link's label
    steps.append(link_operations.SetLink(model.HOST, item.name, (("alias", marks.alias(item.network)),)))
    steps += common.new_sysctls(model.HOST, _host_sysctls(item, ipv6))
    steps += common.new_sysctls(end.place, ends.end_sysctls(end, ipv6))
    steps += common.address_steps(model.HOST, item.name, (), item.addresses)
    steps += ends.end_addresses(end, None)
    steps += _port_steps(item, Link(item.name, 0))
    steps += common.link_steps(model.HOST, item.name, {}, {"up": True})
    steps += ends.raise_end(end, None, item.mtu)
    return steps + ends.add_routes(end, end.routes)


def _change_sysctls(item: model.Veth, peer: Link, world: World) -> list[operations.Operation]:
    ipv6 = common.has_ipv6(world, item.mtu)
    return [
        *common.sysctl_steps(model.HOST, _host_sysctls(item, ipv6), world),
        *common.sysctl_steps(model.HOST, common.foreseen(item.name, item.addresses, world), world),
        *common.sysctl_steps(item.peer.place, ends.end_sysctls(item.peer, ipv6), world),
        *ends.foreseen_inside(item.peer, peer, world),
    ]


def _change_links(item: model.Veth, host: Link, peer: Link, world: World) -> list[operations.Operation]:
    """The steps for the addresses and the values of both ends."""
    there = common.link_values(host)
    values: dict[str, LinkValue] = {
        "up": True,
        "arp": True,
        "alias": marks.alias(item.network),
        "group": marks.LINK_GROUP,
    }
    if item.mtu is not None:
        values["mtu"] = item.mtu
    return [
        *common.address_steps(model.HOST, item.name, host.addresses, item.addresses),
        *ends.end_addresses(item.peer, peer),
        # before the flags, which only a port has
        *common.link_steps(model.HOST, item.name, there, {"master": item.bridge}),
        *_port_steps(item, host, _misset(item, host, world)),
        *common.link_steps(model.HOST, item.name, there, values),
        *ends.raise_end(item.peer, peer, item.mtu),
    ]


def remake(link: Link, world: World) -> tuple[operations.Operation, ...]:
    """The steps that make a veth pair again as it is; none when its other end cannot be found.

    The rules for its addresses are not among them, as they stay in the namespace without the pair.
    """
    found = world.peer_of(link)
    if found is None:
        return ()
    place, peer = found
    item = model.Veth(
        name=link.name,
        peer=ends.end_as_it_is(place, peer, world),
        bridge=link.master or None,
        isolated=link.isolated,
        mtu=link.mtu,
        addresses=link.addresses,
        network=marks.label_of(link.alias),
    )
    tables = source_routing.SourceChange(missing_routes=source_routing.routes(item.peer))
    return (*make(item, common.has_ipv6(world, item.mtu)), *source_routing.add(item.peer, tables))


def _clear_way(item: model.Veth, world: World) -> list[operations.Operation]:
    """The steps that remove other ends of ours with a route that this one needs, if this run moves or renames them."""
    place, keys = item.peer.place, {(route.to, metric_of(route)) for route in item.peer.routes}
    entries = [entry for entry in world.routes(place) if entry.protocol == marks.ROUTE_PROTOCOL]
    found = {entry.link for entry in entries if (entry.route.to, metric_of(entry.route)) in keys}
    steps: list[operations.Operation] = []
    for name in sorted(found - {item.peer.name}):
        link = world.links(place).get(name)
        near = None if link is None else world.near_end(place, link)
        if near is not None and is_ours(near) and near.name != item.name and _leaves(near.name, place, name, world):
            steps += _take(near, world)
    return steps


def _leaves(veth: str, place: model.Place, name: str, world: World) -> bool:
    """Whether this run moves the other end of a veth pair, or gives it another name."""
    there, wanted = world.claims.veths.get(veth, (place, name))
    return wanted != name or not world.is_same(there, place)


def _take(link: Link, world: World) -> list[operations.Operation]:
    """The steps that remove a veth pair, and what would stay in the namespace of its other end."""
    from .. import link_operations

    found, again = world.peer_of(link), remake(link, world)
    steps = [] if found is None else source_routing.leave(found[0], found[1].name, world)
    world.drop_link(link.name)
    return [*steps, link_operations.DeleteLinks((link.name,), again)]


def _delete_end(place: model.Place, end: Link, world: World) -> list[operations.Operation]:
    """The step for an end of ours in a namespace of ours whose other end was moved away from the host."""
    from .. import link_operations

    world.drop_end(place, end)
    return [link_operations.DeleteLinks((end.name,), (), place)]


def _misset(item: model.Veth, host: Link, world: World) -> tuple[tuple[str, bool], ...]:
    """The flags of a port that keep frames from its endpoint. With STP, the state is that of the protocol."""
    bridge = world.links().get(item.bridge or "")
    if not host.port_flags or bridge is None or host.master != bridge.name:
        return ()  # a link that becomes a port has the usual flags
    stp = isinstance(bridge.details, BridgeValues) and bridge.details.stp
    return tuple((key, value) for key, value in host.port_flags if not (stp and key == "state"))


def _port_steps(item: model.Veth, host: Link, misset: t.Sequence[tuple[str, bool]] = ()) -> list[operations.Operation]:
    if item.bridge is None:
        return []
    # With bridge-nf-call-iptables on, packets of an endpoint to its own published port go in and out by one port.
    wanted = {"isolated": item.isolated, "hairpin": True}
    # A new port of a bridge has neither flag.
    there = {"isolated": host.isolated, "hairpin": host.hairpin} if host.master == item.bridge else {}
    changes = tuple((key, value) for key, value in wanted.items() if there.get(key, False) != value)
    changes += tuple((key, not value) for key, value in misset)
    if not changes:
        return []
    from .. import link_operations

    return [link_operations.SetPort(item.name, changes)]


def _host_sysctls(item: model.Veth, ipv6: bool) -> list[tuple[str, str]]:
    if not ipv6:
        return []
    conf = "net/ipv6/conf/%s/" % item.name
    if item.bridge is not None:
        return [(conf + "disable_ipv6", "1")]  # a port has no IP address of its own
    # The peer could send router advertisements. As on a bridge, duplicate address detection would keep the link-local
    # address unusable for two seconds, and a host that forwards asks for neighbours from no other.
    return [(conf + "disable_ipv6", "0"), (conf + "accept_ra", "0"), (conf + "accept_dad", "0")]


def _plug(item: model.Veth, bridge: str, world: World) -> None:
    """Count a port of a bridge, and warn if it will not forward at once."""
    world.take_port(bridge)
    link = world.links().get(bridge)
    if link is not None and isinstance(link.details, BridgeValues) and link.details.stp:
        world.warn(
            "Bridge %s runs the spanning tree protocol: a new port, such as that of veth %s, forwards nothing for %d"
            " seconds." % (bridge, item.name, 2 * link.details.forward_delay)
        )


def _await(item: model.Veth, addresses: t.Sequence[model.Interface], world: World) -> None:
    """Plan to wait until both ends answer over IPv6, and the bridge, which may have got its carrier from this port."""
    bridge = world.links().get(item.bridge or "")
    awaited = [Awaited(item.peer.place, item.peer.name), Awaited(model.HOST, item.name, asks=item.bridge is None)]
    if bridge is not None and is_ours(bridge):  # a bridge of others may detect duplicate addresses, for seconds
        awaited.append(Awaited(model.HOST, bridge.name, asks=True))
    common.await_ipv6(awaited, (*addresses, *item.addresses), world)


def _announce_change(item: model.Veth, host: Link, peer: Link, had_no_rules: bool, world: World) -> None:
    """Plan to announce the new addresses of an end, or all of them if neighbours may no longer know where it is."""
    back = host.master != (item.bridge or "") or not (host.up and peer.up and peer.arp) or bool(host.port_flags)
    # whoever asked for the end got no answer, and may wait before asking again
    back = back or had_no_rules or any(lost.link == peer.name for lost in world.lost_routes(item.peer.place))
    if back or item.peer.mac_address not in (None, peer.mac_address):
        _announce(item, item.peer.addresses or peer.addresses, world, back)
    else:
        _announce(item, [a for a in item.peer.addresses or () if a not in peer.addresses], world)


def _announce(item: model.Veth, addresses: t.Sequence[model.Interface], world: World, back: bool = False) -> None:
    """Plan to announce addresses, as neighbours may remember another station, or for an end that is ``back``, none.

    On a bridge that had no port before, only the host itself may have asked for an address, in vain.
    """
    if addresses and item.bridge is not None and world.had_bridge(item.bridge):
        from .. import link_operations

        has_neighbours = back or item.bridge in world.bridges_with_ports()
        announcement = Announcement(
            item.peer.place, item.peer.name, tuple(addresses), item.name, item.bridge, has_neighbours
        )
        world.afterwards.append(link_operations.Announce((announcement,)))
