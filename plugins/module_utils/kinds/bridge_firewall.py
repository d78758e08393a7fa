# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of a bridge: which traffic is allowed over it."""

from __future__ import annotations

import typing as t

from .. import arguments, engine, marks, model, parsing
from ..firewall.choice import BACKEND
from ..firewall.session import FirewallSession
from ..ownership import Holding, owner
from ..records import dataclass, replace
from ..world import Claims, World
from . import common
from .overlaps import Owned, first_overlap


@dataclass(frozen=True)
class _ByAddresses(model.BridgePolicy):
    """A policy whose subnets are those of the host's addresses on the bridge."""


_ANOTHER = "choose another subnet"
_SAME_NETWORK = "keep that bridge, or set prune to listed, so that the run removes it"


class BridgeFirewallKind(engine.NetworkKind[model.BridgePolicy], engine.RuleKind[model.BridgePolicy]):
    """The policy of a bridge."""

    name = "bridge_firewall"
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {**arguments.POLICY, **arguments.WARN, **arguments.NETWORK, **BACKEND}
    NAMES = ("allow",)

    def parse(self, options: arguments.Options) -> model.BridgePolicy:
        bridge, given, gateways = parsing.link_name("bridge", options["bridge"]), options.get("subnets"), None
        if options.get("gateways") is not None:
            gateways = tuple(parsing.gateway("gateways", value) for value in options["gateways"])
        kind = model.BridgePolicy if given is not None else _ByAddresses
        return checked(
            kind(
                bridge=bridge,
                subnets=parsing.subnets("subnets", given),
                internal=bool(options.get("internal")),
                icc=options.get("icc") is not False,
                direct_access=bool(options.get("direct_access")),
                trusted_interfaces=parse_trusted(options),
                host_access=options.get("host_access") != "deny",
                allow=tuple(parse_flow(item, bridge) for item in options.get("allow") or ()),
                network=parsing.owner(options),
                gateways=gateways,
            )
        )

    def check(self, items: t.Sequence[model.BridgePolicy]) -> None:
        common.refuse_repeated("Bridge %s" % item.bridge for item in items)
        found = first_overlap((subnet, item.bridge) for item in items for subnet in item.subnets)
        if found is not None:
            raise _overlap(found[1], found[0])

    def title(self, item: model.BridgePolicy) -> str:
        return "firewall of bridge %s" % item.bridge

    def resolve(self, item: model.BridgePolicy, state: str, world: World) -> model.BridgePolicy:
        if state == "absent":
            return item
        link = world.links().get(item.bridge)
        if link is not None and not world.restoring:  # at boot, names may still change
            common.require_bridge(link)
        if link is None and isinstance(item, _ByAddresses):
            world.assume("bridge", item.bridge, "make it with the module bridge, or say which subnets it will have")
        addresses = () if link is None else link.addresses
        if isinstance(item, _ByAddresses):
            subnets = parsing.networks("subnets", [str(address.network) for address in addresses])
            item = model.BridgePolicy(**dict(vars(item), subnets=subnets))
        if item.gateways is None:
            flows = _to_host(item.allow, [address.ip for address in addresses])
            item = replace(item, allow=tuple(sorted(flows, key=str)))
        return self._without_idle(item, world)

    @staticmethod
    def _without_idle(item: model.BridgePolicy, world: World) -> model.BridgePolicy:
        """The policy without flows that have no effect, because what they open is open anyway. Warns of these."""
        for flow in item.host_flows if item.subnets else ():
            if flow.source.prefixlen and not any(model.overlap(flow.source, subnet) for subnet in item.subnets):
                raise model.InvalidRequest(
                    "Bridge %s: allow.to %s opens the host to the bridge's endpoints, and allow.from %s is not an"
                    " address of an endpoint. Other clients use the host's other addresses."
                    % (item.bridge, flow.to.network_address, flow.source)
                )
        for flow, reason in idle_flows(item):
            what = "%s of %s" % (_spell_flow(flow), marks.name_of(item.network) or item.bridge)
            world.remark("These entries of allow have no effect, because %s: %%s." % reason, what)
        return replace(item, allow=item.inner_flows) if item.host_access else item

    def holdings(self, item: model.BridgePolicy, state: str, world: World) -> t.Iterable[Holding]:
        there = world.firewall.policies.get(item.bridge)
        yield "The firewall of bridge %s" % item.bridge, "" if there is None else there.network
        if state == "present":
            yield "Bridge %s" % item.bridge, world.label(item.bridge)
        if state == "present" and not world.restoring:
            for flow in item.inner_flows:  # they open what they lead to, whichever bridge that is behind
                if not any(model.lies_in(flow.to, subnet) for subnet in item.subnets):
                    yield from _behind(flow, item, world)

    def stored(self, item: model.BridgePolicy, world: World) -> engine.Stored:
        return engine.Stored(self.describe(item))

    def observed(self, item: model.BridgePolicy, world: World) -> engine.Description:
        world.firewall.use()
        there = world.firewall.policies.get(item.bridge)
        return None if there is None else self.describe(there)

    def wanted(self, item: model.BridgePolicy, observed: engine.Description, world: World) -> engine.Description:
        return self.describe(item)

    def doubts(self, item: model.BridgePolicy, world: World) -> t.Iterable[str]:
        from .doubts import of_policy

        return of_policy(item, world)

    @staticmethod
    def describe(item: model.BridgePolicy) -> dict[str, object]:
        """The object in the words of the options."""
        return common.compact(
            bridge=item.bridge,
            subnets=[str(subnet) for subnet in item.subnets],
            internal=item.internal,
            icc=item.icc,
            direct_access=item.direct_access,
            trusted_interfaces=list(item.trusted_interfaces),
            host_access="allow" if item.host_access else "deny",
            allow=[_describe_flow(flow) for flow in item.allow],
            gateways=sorted({str(flow.to.network_address) for flow in item.host_flows}) or None,
            **common.belongs(item.network),
        )

    def claim(self, item: model.BridgePolicy, state: str, claims: Claims) -> None:
        claims.policies.add(item.bridge)

    def change(self, item: model.BridgePolicy, state: str, rules: FirewallSession, world: World) -> None:
        there = rules.policies.pop(item.bridge, None)
        if state == "present":
            for bridge in sorted(rules.policies.keys() - world.claims.policies):
                refuse_overlap(item, rules.policies[bridge])
            if not world.restoring:
                _refuse_reached(item, () if there is None else there.subnets, rules)
            rules.policies[item.bridge] = item

    def remark(self, item: model.BridgePolicy, world: World) -> None:
        for link in item.trusted_interfaces:
            name = marks.name_of(item.network) or item.bridge
            common.remark_port(link, "trusted_interfaces", name, item.bridge, world)
            if link not in world.links():
                text = (
                    "There is no interface %s on this host now, and these networks name it in trusted_interfaces: %%s."
                )
                world.remark(text % link, marks.name_of(item.network) or item.bridge)
        if item.internal:
            self._remark_ports(item, world)

    @staticmethod
    def _remark_ports(item: model.BridgePolicy, world: World) -> None:
        """Warn of ports that are published already."""
        for port in world.firewall.ports:
            if port.bridge == item.bridge:
                common.remark_internal(port, world)


def parse_trusted(options: arguments.Options) -> tuple[str, ...]:
    """The option ``trusted_interfaces``; raises InvalidRequest."""
    names = options.get("trusted_interfaces") or ()
    return tuple(sorted({parsing.link_name("trusted_interfaces", name) for name in names}))


def parse_flow(item: arguments.Options, bridge: str) -> model.Flow:
    """An entry of the option ``allow``; raises InvalidRequest."""
    to = parsing.network("allow.to", item["to"])
    source = model.ANYWHERE[to.version] if item.get("from") is None else parsing.network("allow.from", item["from"])
    protocol = parsing.protocol("allow.protocol", item["protocol"]) if item.get("protocol") else ""
    ports = None if item.get("port") is None else parsing.port_range("allow.port", item["port"])
    if source.version != to.version:
        raise model.InvalidRequest(
            "Bridge %s: nothing flows from %s to %s, which are of two families." % (bridge, source, to)
        )
    if ports is not None and not protocol:
        raise model.InvalidRequest("Bridge %s: allow.port %s needs allow.protocol as well." % (bridge, ports))
    return model.Flow(source, to, protocol, ports)


def checked(item: model.BridgePolicy) -> model.BridgePolicy:
    """The policy as it is compared, with its flows to the host marked as such.

    Raises InvalidRequest when its parts contradict one another.
    """
    flows = sorted(_to_host(item.allow, item.gateways or ()), key=str)
    for flow in flows if item.subnets else ():
        _require_inside(flow, item.bridge, item.subnets, item.gateways or ())
    if item.internal and (item.trusted_interfaces or item.direct_access):
        raise model.InvalidRequest(
            "Bridge %s: an internal network has no way in; leave out trusted_interfaces and direct_access."
            % item.bridge
        )
    return replace(item, allow=tuple(flows))


def _behind(flow: model.Flow, item: model.BridgePolicy, world: World) -> t.Iterator[Holding]:
    return common.of_other_projects(item.network, lambda subnet: model.overlap(flow.to, subnet), world)


def _refuse_reached(item: model.BridgePolicy, known: t.Sequence[model.Network], rules: FirewallSession) -> None:
    """Raise Conflict for a new subnet, or a part of one, that rules of another project reach into."""
    mine = marks.project_of(item.network)
    for subnet in (part for one in item.subnets for part in model.without([one], known)):
        for label, what in _reaching(subnet, item.bridge, rules):
            if label and marks.project_of(label) != mine:
                raise model.Conflict(
                    "Subnet %s of bridge %s: %s, which belongs to %s; choose another subnet, or let that project take"
                    " it back first." % (subnet, item.bridge, what, owner(label))
                )


def _reaching(subnet: model.Network, bridge: str, rules: FirewallSession) -> t.Iterator[tuple[str, str]]:
    """The rules on the host that concern addresses of a subnet: the label and a clause for each."""
    for port in rules.ports:
        if port.container_ip in subnet:
            yield port.network, "host port %s/%s leads to %s" % (port.host_ports, port.protocol, port.container_ip)
    for masquerade in rules.masquerades.values():
        if model.overlap(masquerade.source, subnet):
            yield masquerade.network, "a masquerade translates what leaves %s" % masquerade.source
    for policy in [rules.policies[name] for name in sorted(rules.policies) if name != bridge]:
        for flow in policy.inner_flows:
            if model.overlap(flow.to, subnet):
                yield policy.network, "the firewall of bridge %s opens %s" % (policy.bridge, _spell_end(flow.to))


def _describe_flow(flow: model.Flow) -> dict[str, object]:
    ends = {"from": str(flow.source), "to": str(flow.to)}
    return dict(
        ends, **common.compact(protocol=flow.protocol or None, port=None if flow.ports is None else str(flow.ports))
    )


def _spell_flow(flow: model.Flow) -> str:
    ends = "to %s" % _spell_end(flow.to)
    return "from %s %s" % (_spell_end(flow.source), ends) if flow.source.prefixlen else ends


def _spell_end(end: model.Network) -> str:
    return str(end.network_address if end.prefixlen == end.max_prefixlen else end)


def _to_host(flows: t.Iterable[model.Flow], gateways: t.Collection[model.Address]) -> set[model.Flow]:
    """The same flows, with those to an address of the host marked."""
    hosts = {flow for flow in flows if flow.to.num_addresses == 1 and flow.to.network_address in gateways}
    return {replace(flow, host=True) if flow in hosts else flow for flow in flows}


def _require_inside(
    flow: model.Flow, bridge: str, subnets: t.Sequence[model.Network], gateways: t.Sequence[model.Address]
) -> None:
    if any(model.lies_in(flow.to, subnet) for subnet in subnets):
        return
    host = "; the host itself is reached by %s" % " and ".join(map(str, gateways)) if gateways else ""
    raise model.InvalidRequest(
        "Bridge %s: allow.to %s lies in none of its subnets%s." % (bridge, _spell_end(flow.to), host)
    )


def idle_flows(item: model.BridgePolicy) -> t.Iterator[tuple[model.Flow, str]]:
    """Entries of ``allow`` that open nothing, each with the reason."""
    for flow in item.allow:
        inside = any(model.lies_in(flow.source, subnet) for subnet in item.subnets)
        outside = not any(model.overlap(flow.source, subnet) for subnet in item.subnets)
        if flow.host:
            if item.host_access:
                yield flow, "host_access lets endpoints reach the host anyway"
        elif item.icc and inside:
            yield flow, "icc lets endpoints reach one another anyway"
        elif item.internal and (item.icc or outside):
            yield flow, "internal closes the network to everyone else"
        elif item.direct_access and item.icc:
            yield flow, "direct_access and icc let everyone in anyway"


def refuse_overlap(item: model.BridgePolicy, other: model.BridgePolicy) -> None:
    """Raise Conflict if the subnets of two bridges overlap."""
    for one in item.subnets:
        for two in other.subnets:
            if model.overlap(one, two):
                remedy = _SAME_NETWORK if other.network and other.network == item.network else _ANOTHER
                raise _overlap((one, item.bridge), (two, other.bridge), other.network, remedy)


def _overlap(one: Owned, other: Owned, label: str = "", remedy: str = _ANOTHER) -> model.Conflict:
    whose = " (%s)" % owner(label) if label else ""
    return model.Conflict("Subnet %s of bridge %s overlaps %s of bridge %s%s; %s." % (*one, *other, whose, remedy))
