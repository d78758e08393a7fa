# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a FirewallState lies in one nftables table, and back.

A network, a port or a permission is an element of a set or map; the number of rules does not grow with them, but
for one rule per masquerade, which only packets from a masqueraded source get to see. The table has four sections
(policies, masquerades, ports, foreign forwarding), each with its own chains and sets and there only when it has
something to say, so that sections written one after the other add up to the same table as all at once.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..marks import LINK_GROUP
from ..model import BridgePolicy, FirewallState, Flow, Masquerade, Network, OutInterface, PortRange, PublishedPort
from .nft_table import Chain, Element, Set, Table, hook

_T = t.TypeVar("_T")
_Sets = dict[str, Set]
_Chains = dict[str, Chain]
_IP = {4: "ip", 6: "ip6"}
_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_ANYWHERE: dict[int, Network] = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}
_PORT = "meta l4proto . th dport"
_PLAIN = Element()
_LOOPBACK = "127.0.0.0/8"
_NOT_LOOPBACK = 'ip daddr %s counter drop comment "loopback is for this host alone"' % _LOOPBACK
# What a port that needs no other note has as its comment: one without a comment is none of ours.
_OURS = "-"


# Holds nothing but rules of the user's, which come before ours: for packets that enter or leave one of our bridges, and
# for those that the guard is about to drop.
USER = "user_forward"


def render(state: FirewallState) -> Table:
    """The table that holds ``state``."""
    chains: _Chains = {}
    sets: _Sets = {}
    if state.policies:
        _render_policies(_sorted(state.policies), chains, sets)
    if state.masquerades:
        _render_masquerades(state.masquerades, chains, sets)
    if state.ports:
        _render_ports(_sorted(state.ports), chains, sets)
    if state.drop_foreign:
        chains["foreign"] = Chain(hook("filter", "forward", "filter"), (_FOREIGN,))
    return Table(chains, sets)


def parse(table: Table) -> FirewallState:
    """The state that a table holds; what is damaged beyond recognition is left out, and so rewritten."""
    return FirewallState(
        policies=frozenset(_parse_policies(table)),
        masquerades=frozenset(_parse_masquerades(table)),
        ports=frozenset(_parse_ports(table)),
        drop_foreign="foreign" in table.chains,
    )


_FOREIGN = 'iifgroup != %d oifgroup != %d counter drop comment "neither enters nor leaves a network of ours"' % (
    LINK_GROUP,
    LINK_GROUP,
)


def _sorted(items: t.Iterable[t.Any]) -> list[t.Any]:
    return sorted(items, key=str)


def _name(link: str) -> str:
    return '"%s"' % link


def _spell(network: Network) -> str:
    """A network as nft prints it: a host without its prefix length."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _comment(**values: object) -> str:
    return " ".join("%s=%s" % (key, value) for key, value in values.items() if value)


def _notes(comment: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in comment.split() if "=" in word)


def _put(sets: _Sets, name: str, key_type: str, key: str, element: Element = _PLAIN, **options: t.Any) -> None:
    """Add an element, and the set itself when this is its first one."""
    known = sets.setdefault(name, Set(key_type, elements={}, **options))
    t.cast("dict[str, Element]", known.elements)[key] = element


def _keys(table: Table, name: str, fields: int) -> t.Iterator[tuple[list[str], Element]]:
    """The elements of a set, their keys cut into fields and without quotes; those of another shape are not ours."""
    # a single field is the name of an interface; a set of another type is not as we made it
    if name in table.sets and (fields != 1 or table.sets[name].key_type == "ifname"):
        for key, element in table.sets[name].elements.items():
            parts = [part.strip('"') for part in key.split(" . ")]
            if len(parts) == fields:
                yield parts, element


# ---- policies ----------------------------------------------------------------------------------------------------


def _render_policies(policies: t.Sequence[BridgePolicy], chains: _Chains, sets: _Sets) -> None:
    for policy in policies:
        _render_policy(policy, sets)
    chains[USER] = Chain()
    # Every packet comes by the guard, so one look-up tells those that are nobody's business here: route_localnet on a
    # bridge would open every service of the host's 127.0.0.1 to the endpoints.
    _put(sets, "closed4", _ADDRESS[4], _LOOPBACK, interval=True)
    guard, guarded = [], ['iifname "lo" return', _NOT_LOOPBACK, "ct direction reply return"]
    flows = [(policy.bridge, flow) for policy in policies for flow in policy.allow]
    if flows:
        chains["allow"] = Chain("", tuple(sorted(_flow_rule(bridge, flow) for bridge, flow in flows)))
        guarded.append("jump allow")
    into = ["ct state established,related accept", "ct status dnat accept"]
    for version in (4, 6):
        address = "%s daddr" % _IP[version]
        if "closed%d" % version in sets:
            guard.append("%s @closed%d jump guarded" % (address, version))
        if "inside%d" % version in sets:
            guarded.append("iifname . %s != @inside%d jump strangers" % (address, version))
    chains["guard"] = Chain(hook("filter", "prerouting", "mangle"), tuple(guard))
    chains["guarded"] = Chain("", tuple(guarded))
    chains["strangers"] = _STRANGERS
    if "icc" in sets:
        into.append("iifname . oifname @icc accept")
    if "trusted" in sets:
        into.append("iifname . oifname @trusted accept")
    if "open" in sets:
        into.append("oifname @open accept")
    if flows:
        into.append("jump allow")
    chains["forward"] = Chain(hook("filter", "forward", "filter"), _FORWARD)
    chains["leaving"] = Chain("", _leaving_rules(sets))
    chains["entering"] = Chain("", _entering_rules(sets))
    chains["into"] = Chain("", tuple([*into, 'counter drop comment "not published, not allowed"']))
    if any(policy.allow and not policy.icc for policy in policies):
        chains["short_way"] = Chain(hook("filter", "output", "filter"), _SHORT_WAY)
    if "host_closed" in sets:
        chains["input"] = Chain(hook("filter", "input", "filter"), _INPUT)


# Endpoints that may not talk to one another reach what is allowed by way of the host, which must not tell them the
# short way.
_SHORT_WAY = (
    "oifname @bridges icmp type redirect counter drop",
    "oifname @bridges icmpv6 type nd-redirect counter drop",
)

_INPUT = (
    "iifname @host_closed ct state established,related accept",
    "iifname @host_closed meta l4proto { icmp, ipv6-icmp } accept",
    'iifname @host_closed counter drop comment "access to the host"',
)


_STRANGERS = Chain("", ("jump %s" % USER, 'counter drop comment "direct access"'))

# What is nobody's business here costs two look-ups.
_FORWARD = ("iifname @bridges goto leaving", "oifname @bridges goto entering")


def _leaving_rules(sets: _Sets) -> tuple[str, ...]:
    """What comes from a bridge, be it for another one or for the same."""
    rules = [
        "jump %s" % USER,
        'ct state invalid iifname . oifname != @own counter drop comment "would leave with a private source"',
    ]
    if "internal" in sets:
        rules.append('iifname @internal iifname . oifname != @own counter drop comment "no way out"')
        rules.append('oifname @internal iifname . oifname != @own counter drop comment "no way in"')
    return (*rules, "oifname @bridges goto into")


def _entering_rules(sets: _Sets) -> tuple[str, ...]:
    """What comes to a bridge from elsewhere."""
    closed = ('oifname @internal counter drop comment "no way in"',) if "internal" in sets else ()
    return ("jump %s" % USER, *closed, "goto into")


def _render_policy(policy: BridgePolicy, sets: _Sets) -> None:
    bridge = _name(policy.bridge)
    pair = "%s . %s" % (bridge, bridge)
    _put(sets, "bridges", "ifname", bridge, Element(comment=_comment(network=policy.network)))
    if policy.icc:
        _put(sets, "icc", "ifname . ifname", pair)
    _put(sets, "own", "ifname . ifname", pair)
    if policy.internal:
        _put(sets, "internal", "ifname", bridge)
    if policy.direct_access:
        _put(sets, "open", "ifname", bridge)
    if not policy.host_access:
        _put(sets, "host_closed", "ifname", bridge)
    for link in policy.trusted_interfaces:
        _put(sets, "trusted", "ifname . ifname", "%s . %s" % (_name(link), bridge))
    for subnet in policy.subnets:
        _render_subnet(policy, subnet, sets)


def _render_subnet(policy: BridgePolicy, subnet: Network, sets: _Sets) -> None:
    version = subnet.version
    inside = "inside%d" % version
    kind = "ifname . %s" % _ADDRESS[version]
    _put(sets, inside, kind, "%s . %s" % (_name(policy.bridge), _spell(subnet)), interval=True)
    if not policy.direct_access:
        _put(sets, "closed%d" % version, _ADDRESS[version], _spell(subnet), interval=True)
    for link in policy.trusted_interfaces:
        if link == policy.bridge:
            continue
        note = Element(comment=_comment(trusted=policy.bridge))
        _put(sets, inside, kind, "%s . %s" % (_name(link), _spell(subnet)), note, interval=True)


def _flow_rule(bridge: str, flow: Flow) -> str:
    """A rule for each flow, for flows may overlap, and elements of a set may not.

    Its accept ends the chain that asked: for ``guard`` it opens the way to ``forward``, where it is asked again.
    """
    ip = _IP[flow.to.version]
    words = ["%s saddr %s" % (ip, _spell(flow.source))] if flow.source.prefixlen else []
    words.append("%s daddr %s" % (ip, _spell(flow.to)))
    if flow.ports is not None:
        words.append("%s dport %s" % (flow.protocol, flow.ports))
    elif flow.protocol:
        words.append("meta l4proto %s" % flow.protocol)
    return '%s accept comment "%s"' % (" ".join(words), _comment(bridge=bridge))


def _parse_policies(table: Table) -> t.Iterator[BridgePolicy]:
    marks = {name: {key[0] for key, unused in _keys(table, name, 1)} for name in ("internal", "open", "host_closed")}
    icc = {key[0] for key, unused in _keys(table, "icc", 2)}
    subnets: dict[str, list[Network]] = {}
    flows: dict[str, list[Flow]] = {}
    trusted: dict[str, list[str]] = {}
    for link, bridge in (key for key, unused in _keys(table, "trusted", 2)):
        trusted.setdefault(bridge, []).append(link)
    for version in (4, 6):
        for (link, subnet), element in _keys(table, "inside%d" % version, 2):
            network = _attempt(ipaddress.ip_network, subnet)
            if network is not None and not element.comment:
                subnets.setdefault(link, []).append(network)
    for rule in table.chains.get("allow", Chain()).rules:
        found = _attempt(_parse_flow, rule)
        # a rule that does not spell the same again was altered, and is not taken for one of ours
        if found is not None and _flow_rule(*found) == rule:
            flows.setdefault(found[0], []).append(found[1])
    for (bridge,), element in _keys(table, "bridges", 1):
        yield BridgePolicy(
            bridge=bridge,
            subnets=ordered(subnets.get(bridge, [])),
            internal=bridge in marks["internal"],
            icc=bridge in icc,
            direct_access=bridge in marks["open"],
            trusted_interfaces=tuple(sorted(trusted.get(bridge, []))),
            host_access=bridge not in marks["host_closed"],
            allow=tuple(sorted(flows.get(bridge, []), key=str)),
            network=_notes(element.comment).get("network", ""),
        )


def _attempt(parse: t.Callable[..., _T], *values: t.Any) -> _T | None:
    """What was altered by hand may be nothing that we know: then it is left out, and so rewritten."""
    try:
        return parse(*values)
    except ValueError:
        return None


def ordered(networks: t.Iterable[Network]) -> tuple[Network, ...]:
    """Networks in the one order in which the model keeps them: IPv4 first, then by address."""
    return tuple(sorted(networks, key=lambda network: (network.version, network)))


_FLOW = re.compile(
    r"(?:ip6? saddr (?P<source>\S+) )?ip6? daddr (?P<to>\S+) "
    r"(?:(?P<ported>\w+) dport (?P<ports>\S+) |meta l4proto (?P<protocol>\w+) )?"
    r'accept comment "bridge=(?P<bridge>[^"]+)"'
)


def _parse_flow(rule: str) -> tuple[str, Flow]:
    found = _FLOW.fullmatch(rule)
    if found is None:
        raise ValueError(rule)
    to = ipaddress.ip_network(found["to"])
    return found["bridge"], Flow(
        source=ipaddress.ip_network(found["source"]) if found["source"] else _ANYWHERE[to.version],
        to=to,
        protocol=found["ported"] or found["protocol"] or "",
        ports=_ports(found["ports"]) if found["ports"] else None,
    )


def _ports(text: str) -> PortRange:
    first, unused, last = text.partition("-")
    return PortRange(int(first), int(last or first))


# ---- masquerades -------------------------------------------------------------------------------------------------


def _render_masquerades(masquerades: t.Iterable[Masquerade], chains: _Chains, sets: _Sets) -> None:
    dispatch = []
    for version in (4, 6):
        ours = [item for item in masquerades if item.source.version == version]
        if not ours:
            continue
        for source in ipaddress.collapse_addresses(item.source for item in ours):  # type: ignore[type-var]
            _put(sets, "masqueraded%d" % version, _ADDRESS[version], _spell(source), interval=True)
        # the first rule that matches decides: the narrowest source first; an interface, all but one, any
        ours.sort(key=lambda m: (-m.source.prefixlen, m.source, 2 if not m.out.name else int(m.out.inverted), str(m)))
        chains["egress%d" % version] = Chain("", tuple(_masquerade_rule(item) for item in ours))
        dispatch.append("%s saddr @masqueraded%d jump egress%d" % (_IP[version], version, version))
    chains["strays"] = Chain(hook("filter", "input", "filter"), _STRAYS)
    chains["stray"] = Chain("", _STRAY)
    chains["egress"] = Chain(hook("nat", "postrouting", "srcnat"), tuple(dispatch))


# A late segment of a translated connection that connection tracking cannot place comes to the host itself, whose RST
# would end the connection. Segments for a socket of the host are none of ours.
_STRAYS = ("ct state invalid meta l4proto tcp jump stray",)
_STRAY = (
    "socket transparent { 0, 1 } return",
    'counter drop comment "may be of a translated connection"',
)


def _masquerade_rule(item: Masquerade) -> str:
    ip = _IP[item.source.version]
    words = []
    if item.source.prefixlen:
        words.append("%s saddr %s" % (ip, _spell(item.source)))
    if item.out.name:
        words.append("oifname %s%s" % ("!= " if item.out.inverted else "", _name(item.out.name)))
    if len(item.exclude) == 1:
        words.append("%s daddr != %s" % (ip, _spell(item.exclude[0])))
    elif item.exclude:
        words.append("%s daddr != { %s }" % (ip, ", ".join(_spell(network) for network in item.exclude)))
    words.append("masquerade" if item.to_source is None else "snat %s to %s" % (ip, item.to_source))
    if item.random_fully:
        words.append("fully-random")
    if item.network:
        words.append('comment "%s"' % _comment(network=item.network))
    return " ".join(words)


def _parse_masquerades(table: Table) -> t.Iterator[Masquerade]:
    for version in (4, 6):
        chain = table.chains.get("egress%d" % version, Chain())
        for rule in chain.rules:
            item = _attempt(_parse_masquerade, rule, version)
            # a rule that does not spell the same again was altered, and is not taken for one of ours
            if item is not None and _masquerade_rule(item) == rule:
                yield item


_MASQUERADE = re.compile(
    r"(?:ip6? saddr (?P<source>\S+) )?"
    r'(?:oifname (?P<inverted>!= )?"(?P<out>[^"]+)" )?'
    r"(?:ip6? daddr != (?P<exclude>{ [^}]+ }|\S+) )?"
    r"(?:masquerade|snat ip6? to (?P<to_source>\S+))"
    r"(?P<random> fully-random)?"
    r'(?: comment "(?P<comment>[^"]*)")?'
)


def _parse_masquerade(rule: str, version: int) -> Masquerade | None:
    found = _MASQUERADE.fullmatch(rule)
    if found is None:
        return None
    words = (found["exclude"] or "").strip("{ }").split(", ")
    return Masquerade(
        source=ipaddress.ip_network(found["source"]) if found["source"] else _ANYWHERE[version],
        out=OutInterface(found["out"] or "", bool(found["inverted"])),
        exclude=tuple(ipaddress.ip_network(word) for word in words if word),
        to_source=ipaddress.ip_address(found["to_source"]) if found["to_source"] else None,
        random_fully=bool(found["random"]),
        network=_notes(found["comment"] or "").get("network", ""),
    )


# ---- published ports ---------------------------------------------------------------------------------------------


def _render_ports(ports: t.Sequence[PublishedPort], chains: _Chains, sets: _Sets) -> None:
    for port in ports:
        _render_port(port, sets)
    outside: list[str] = []
    translate: list[str] = []
    for version in (4, 6):
        outside += _restrictions(version, sets)
        ip = _IP[version]
        for name, key in (
            ("publish_at%d", "%s daddr . " % ip + _PORT),
            ("publish_range_at%d", "%s daddr . " % ip + _PORT),
            ("publish%d", _PORT),
            ("publish_range%d", _PORT),
        ):
            if name % version in sets:
                translate.append("dnat %s to %s map @%s" % (ip, key, name % version))
    chains["publish"] = Chain("", tuple(translate))
    inside = []
    if any(port.container_ip.version == 6 for port in ports):
        # A link-local source is not forwarded, and ::1 never leaves the host: let them find nobody at home.
        outside.insert(0, "ip6 saddr fe80::/10 return")
        inside.append("ip6 daddr ::1 return")
    hairpin = []
    if "publish_over" in sets:
        hairpin.append("ct status dnat iifname . oifname @publish_over masquerade")
    for version in (4, 6):
        # A frame that bridge-nf-call-iptables lets us translate is bridged, and comes by without the name of the
        # interface it came in by: an endpoint would drop what seems to come from itself.
        if "publish_self%d" % version in sets:
            ip = _IP[version]
            hairpin.append("ct status dnat %s saddr . %s daddr @publish_self%d masquerade" % (ip, ip, version))
    if any(port.container_ip.version == 4 for port in ports):
        # DNAT comes before the kernel's martian check; the guard, which is for all packets, is there with policies only
        outside.insert(0, 'iifname != "lo" %s' % _NOT_LOOPBACK)
        if "publish_to" in sets:
            hairpin.append("ip saddr 127.0.0.0/8 oifname @publish_to masquerade")
    chains["publish_in"] = Chain(hook("nat", "prerouting", "dstnat"), (*outside, _TO_HOST))
    chains["publish_out"] = Chain(hook("nat", "output", "dstnat"), (*inside, _TO_HOST))
    chains["hairpin"] = Chain(hook("nat", "postrouting", "srcnat"), tuple(hairpin))


_TO_HOST = "fib daddr type local jump publish"


def _restrictions(version: int, sets: _Sets) -> list[str]:
    """Who is not served, in the order of the question: came in elsewhere, by another interface, from elsewhere."""
    key = "%s daddr . %s" % (_IP[version], _PORT)
    rules = []
    if "publish_bound%d" % version in sets:
        rules.append(
            "%s @publish_bound%d iifgroup != %d fib daddr . iif type != local return" % (key, version, LINK_GROUP)
        )
    if "publish_by_link%d" % version in sets:
        rules.append("%s @publish_by_link%d %s . iifname != @publish_links%d return" % (key, version, key, version))
    if "publish_by_source%d" % version in sets:
        rules.append(
            "%s @publish_by_source%d %s . %s saddr != @publish_sources%d return"
            % (key, version, key, _IP[version], version)
        )
    return rules


def _render_port(port: PublishedPort, sets: _Sets) -> None:
    version = port.container_ip.version
    note = _comment(bridge=port.bridge, network=port.network) or _OURS
    at = "_at" if port.host_ip is not None else ""
    key = "%s . " % port.host_ip if port.host_ip is not None else ""
    kind = "%s . " % _ADDRESS[version] if at else ""
    kind += "inet_proto . inet_service"
    key += "%s . " % port.protocol
    if len(port.host_ports) > 1 and port.host_ports.first == port.container_port:
        element = Element(str(port.container_ip), note)
        name = "publish_range%s%d" % (at, version)
        _put(sets, name, kind, key + str(port.host_ports), element, data_type=_ADDRESS[version], interval=True)
    else:
        if len(port.host_ports) > 1:
            # nft has no word for the kernel's shifted ranges: an element each, and the range in the comment
            note = ("%s range=%s:%d" % (note, port.host_ports, port.container_port)).strip()
        for offset in range(len(port.host_ports)):
            element = Element("%s . %d" % (port.container_ip, port.container_port + offset), note)
            data_type = "%s . inet_service" % _ADDRESS[version]
            name = "publish%s%d" % (at, version)
            _put(sets, name, kind, key + str(port.host_ports.first + offset), element, data_type=data_type)
    itself = "%s . %s" % (port.container_ip, port.container_ip)
    _put(sets, "publish_self%d" % version, "%s . %s" % (_ADDRESS[version], _ADDRESS[version]), itself)
    if port.bridge:
        _put(sets, "publish_to", "ifname", _name(port.bridge))
        _put(sets, "publish_over", "ifname . ifname", "%s . %s" % (_name(port.bridge), _name(port.bridge)))
    _render_restrictions(port, sets)


def _host(port: PublishedPort) -> str:
    version = port.container_ip.version
    where = _spell(_ANYWHERE[version]) if port.host_ip is None else str(port.host_ip)
    return "%s . %s . %s" % (where, port.protocol, port.host_ports)


def _render_restrictions(port: PublishedPort, sets: _Sets) -> None:
    version = port.container_ip.version
    kind = "%s . inet_proto . inet_service" % _ADDRESS[version]
    if port.host_ip is not None and not port.host_ip.is_loopback and not port.in_interfaces:
        _put(sets, "publish_bound%d" % version, kind, _host(port), interval=True)
    if port.in_interfaces:
        _put(sets, "publish_by_link%d" % version, kind, _host(port), interval=True)
    for link in port.in_interfaces:
        key = "%s . %s" % (_host(port), _name(link))
        _put(sets, "publish_links%d" % version, kind + " . ifname", key, interval=True)
    if port.allowed_sources:
        _put(sets, "publish_by_source%d" % version, kind, _host(port), interval=True)
    for source in port.allowed_sources:
        key = "%s . %s" % (_host(port), _spell(source))
        name = "publish_sources%d" % version
        _put(sets, name, "%s . %s" % (kind, _ADDRESS[version]), key, interval=True)


def _parse_ports(table: Table) -> t.Iterator[PublishedPort]:
    for version in (4, 6):
        limits = _parse_limits(table, version)
        seen: set[PublishedPort] = set()
        for name in ("publish%d", "publish_at%d", "publish_range%d", "publish_range_at%d"):
            for key, element in _keys(table, name % version, 3 if "_at" in name else 2):
                port = _attempt(_parse_port, key, element, limits)
                if port is not None and port not in seen:
                    seen.add(port)
                    yield port


_Limits = dict[tuple[str, str, str], tuple[list[str], list[str]]]


def _parse_limits(table: Table, version: int) -> _Limits:
    """For each restricted port its interfaces and sources; no entry for a port that everybody may use."""
    limits: _Limits = {}
    for name in ("publish_by_link%d", "publish_by_source%d"):
        for key, unused in _keys(table, name % version, 3):
            limits.setdefault((key[0], key[1], key[2]), ([], []))
    for place, name in enumerate(("publish_links%d", "publish_sources%d")):
        for key, unused in _keys(table, name % version, 4):
            limits.setdefault((key[0], key[1], key[2]), ([], []))[place].append(key[3])
    return limits


def _parse_port(key: t.Sequence[str], element: Element, limits: _Limits) -> PublishedPort:
    host, protocol, ports = key if len(key) == 3 else ("", *key)
    host_ip = ipaddress.ip_address(host) if host else None
    target, unused, first = element.data.partition(" . ")
    container_ip = ipaddress.ip_address(target)
    if not element.comment:
        raise ValueError("somebody else put this element into our map")
    notes = _notes(element.comment)
    host_ports = _ports(ports)
    container_port = int(first or host_ports.first)
    if "range" in notes:
        text, unused, first = notes["range"].partition(":")
        whole = _ports(text)
        # an element that does not fit into its range any more was altered, and stands for itself
        if host_ports.first - whole.first == container_port - int(first):
            host_ports, container_port = whole, int(first)
    where = host or _spell(_ANYWHERE[container_ip.version])
    limit = limits.get((where, protocol, str(host_ports)))
    links, sources = limit if limit is not None else ([], [])
    if limit is not None and not links and not sources:
        raise ValueError("a port that was limited must not come back without its limits")
    return PublishedPort(
        protocol=protocol,
        host_ports=host_ports,
        container_ip=container_ip,
        container_port=container_port,
        host_ip=host_ip,
        bridge=notes.get("bridge", ""),
        allowed_sources=ordered(ipaddress.ip_network(source) for source in sources),
        in_interfaces=tuple(sorted(links)),
        network=notes.get("network", ""),
    )
