# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The FirewallState as iptables rules, in exactly the words in which iptables-save prints them.

The kernel's rules are the only record of what was asked for (``iptables_state`` is the way back), so what no rule
needs, the network's name and the bridge behind a published port, travels in comments.

Each part of the state has chains and jumps of its own, there only while that part is not empty:

=============  ===================  ==========================================================================
part           table, chain         reached from
=============  ===================  ==========================================================================
policies       mangle DLN-GUARD     PREROUTING: no packet to a network's addresses but by its own bridge
.              mangle DLN-CLOSED    DLN-GUARD: asks DLN-USER before it drops
.              filter DLN-FORWARD   FORWARD, with DLN-INVALID and one DLN-IN-<bridge> for each bridge
.              filter DLN-ASK       DLN-FORWARD: has DLN-USER asked once about each packet of a bridge
.              both DLN-USER        DLN-ASK, DLN-CLOSED: the user's own rules, which no run ever changes
.              filter DLN-INPUT     INPUT, with DLN-HOST: ``host_access: deny``
.              filter DLN-OUTPUT    OUTPUT: no redirects where some flows alone may pass
masquerades    nat DLN-MASQ         POSTROUTING
.              filter DLN-STRAYS    INPUT, for what conntrack cannot place
ports          raw DLN-LOOPBACK     PREROUTING: 127.0.0.0/8 never comes from outside
.              nat DLN-PUBLISH      PREROUTING, for local addresses
.              nat DLN-LOCAL        OUTPUT, for local addresses
.              nat DLN-BOUND        the two above: ports on one address, without further conditions
.              nat DLN-ANY          the two above: ports on every address, without further conditions
.              nat DLN-HAIRPIN      POSTROUTING: answers must come back through the host
drop_foreign   filter DLN-STRANGERS FORWARD, as its last rule
=============  ===================  ==========================================================================
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import socket
import typing as t

from ..marks import COLLECTION, LINK_GROUP
from ..model import (
    Address,
    BridgePolicy,
    FirewallState,
    InvalidRequest,
    Masquerade,
    Network,
    OutInterface,
    PortRange,
    PublishedPort,
)
from .iptables_text import LAST, Jump, Place, Rule, Ruleset

GUARD = ("mangle", "DLN-GUARD")
CLOSED = ("mangle", "DLN-CLOSED")
FORWARD = ("filter", "DLN-FORWARD")
ASK = ("filter", "DLN-ASK")
USER = "DLN-USER"
USERS = (("mangle", USER), ("filter", USER))
INVALID = ("filter", "DLN-INVALID")
INPUT = ("filter", "DLN-INPUT")
OUTPUT = ("filter", "DLN-OUTPUT")
HOST = ("filter", "DLN-HOST")
MASQ = ("nat", "DLN-MASQ")
STRAYS = ("filter", "DLN-STRAYS")
LOOPBACK = ("raw", "DLN-LOOPBACK")
PUBLISH = ("nat", "DLN-PUBLISH")
LOCAL = ("nat", "DLN-LOCAL")
BOUND = ("nat", "DLN-BOUND")
ANY = ("nat", "DLN-ANY")
HAIRPIN = ("nat", "DLN-HAIRPIN")
STRANGERS = ("filter", "DLN-STRANGERS")
INTO = "DLN-IN-"

_GROUP = "0x%x" % LINK_GROUP
_ESTABLISHED: Rule = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
_TRANSLATED: Rule = ("-m", "conntrack", "--ctstate", "DNAT")
_LOCAL_ADDRESS: Rule = ("-m", "addrtype", "--dst-type", "LOCAL")
# The address belongs to the interface that the packet came in by.
_OWN_ADDRESS: Rule = (*_LOCAL_ADDRESS, "--limit-iface-in")
_OUR_LINK: Rule = ("-m", "devgroup", "--src-group", _GROUP)
_WITH_PORTS = ("tcp", "udp", "sctp")
_UNSAFE = re.compile(r"[\s\"'\\]")
# xt_comment holds 256 bytes, the last one a NUL (XT_MAX_COMMENT_LEN in linux/netfilter/xt_comment.h).
_COMMENT_BYTES = 255


# --- words ----------------------------------------------------------------------------------------------------------


def canonical(address: Address | Network) -> str:
    """An address or network as iptables-save prints it, a single host with its prefix length."""
    if isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return "%s/%d" % (host(address), address.max_prefixlen)
    return "%s/%d" % (host(address.network_address), address.prefixlen)


def host(address: Address) -> str:
    """An address as inet_ntop(3) writes it; Python writes ::ffff:1.2.3.4 in another way."""
    if address.version == 4:
        return str(address)
    return socket.inet_ntop(socket.AF_INET6, address.packed)


def interface(name: str) -> str:
    """The name of an interface, if iptables can take it for what it is."""
    if name.endswith("+") or name[:1] in ("-", "!") or _UNSAFE.search(name):
        raise InvalidRequest("iptables cannot name the interface %s: use a name without + ! quotes or spaces." % name)
    return name


def _source(network: Network) -> Rule:
    return ("-s", canonical(network)) if network.prefixlen else ()


def _destination(network: Network) -> Rule:
    return ("-d", canonical(network)) if network.prefixlen else ()


def _out(out: OutInterface) -> Rule:
    if not out.name:
        return ()
    return ("!", "-o", interface(out.name)) if out.inverted else ("-o", interface(out.name))


def _protocol(protocol: str, ports: PortRange | None) -> Rule:
    words: Rule = ("-p", protocol) if protocol else ()
    if ports is None:
        return words
    if protocol not in _WITH_PORTS:
        raise InvalidRequest("The ports %s need one of the protocols %s." % (ports, ", ".join(_WITH_PORTS)))
    text = str(ports.first) if len(ports) == 1 else "%d:%d" % (ports.first, ports.last)
    return (*words, "-m", protocol, "--dport", text)


def _comment(**notes: str) -> Rule:
    """``key=value`` words for what no part of the rule says."""
    text = " ".join("%s=%s" % (key, value) for key, value in notes.items() if value)
    if not text:
        return ()
    if any(_UNSAFE.search(value) for value in notes.values()) or len(text.encode()) > _COMMENT_BYTES:
        raise InvalidRequest("The comment of a rule cannot hold %s: use a short name without spaces or quotes." % text)
    return ("-m", "comment", "--comment", text)


# --- from the state to rules ----------------------------------------------------------------------------------------


class _Family:
    """The rules of one address family while they are put together."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.chains: dict[Place, list[Rule]] = {}
        self.jumps: list[Jump] = []

    def add(self, where: Place, *rule: Rule) -> None:
        """One rule at the end of a chain of ours, which need not be there yet."""
        self.chains.setdefault(where, []).append(sum(rule, ()))

    def user_chain(self, table: str) -> None:
        """A chain for rules of the user."""
        self.chains.setdefault((table, USER), [])

    def jump(self, builtin: str, where: Place, match: Rule = ()) -> None:
        """Lead from a built-in chain into one of ours, before the jumps that are there unless it comes last."""
        mark = ("-m", "comment", "--comment", COLLECTION)
        place = len(self.jumps) if where[1] in LAST else 0
        self.jumps.insert(place, Jump(where[0], builtin, (*match, *mark, "-j", where[1])))

    def done(self) -> Ruleset:
        """The finished rules."""
        return Ruleset({where: tuple(rules) for where, rules in self.chains.items()}, tuple(self.jumps))


def render(state: FirewallState, judged: t.Mapping[int, t.Sequence[str]] | None = None) -> dict[int, Ruleset]:
    """The rules that ``state`` asks for, by IP version; a version with nothing to do has an empty set.

    ``judged`` are links of others who have rules of their own in the same table for what goes there.
    """
    return {version: _render_family(state, version, (judged or {}).get(version, ())) for version in (4, 6)}


def _render_family(state: FirewallState, version: int, judged: t.Sequence[str]) -> Ruleset:
    family = _Family(version)
    if version in policy_versions(state.policies):
        _render_policies(family, sorted(state.policies, key=lambda policy: policy.bridge), judged)
    _render_masquerades(family, [entry for entry in state.masquerades if entry.source.version == version])
    _render_ports(family, [port for port in state.ports if port.container_ip.version == version])
    if state.drop_foreign:
        family.add(STRANGERS, ("-m", "devgroup", "!", "--src-group", _GROUP, "!", "--dst-group", _GROUP, "-j", "DROP"))
        family.jump("FORWARD", STRANGERS)
    return family.done()


def policy_versions(policies: t.Iterable[BridgePolicy]) -> frozenset[int]:
    """The families that the policies speak of. Once one does, all of them hold in that family: a network
    without an IPv6 subnet is closed for IPv6 as soon as another one brings IPv6 to the host."""
    found: set[int] = set()
    for policy in policies:
        networks = policy.subnets + tuple(flow.to for flow in policy.allow)
        found.update(network.version for network in networks)
        if not networks:
            found.update((4, 6))
    return frozenset(found)


def _render_policies(family: _Family, policies: t.Sequence[BridgePolicy], judged: t.Sequence[str]) -> None:
    if len({policy.bridge for policy in policies}) < len(policies):
        raise InvalidRequest("More than one policy for the same bridge.")
    for policy in policies:
        for name in (policy.bridge, *policy.trusted_interfaces):
            interface(name)
    _render_guard(family, policies)
    _render_forward(family, policies, judged)
    _render_host_access(family, [policy for policy in policies if not policy.host_access])
    _render_output(family, [policy for policy in policies if not policy.icc and list(_flows(policy, family.version))])


def _render_guard(family: _Family, policies: t.Sequence[BridgePolicy]) -> None:
    """Direct routing and other networks' gateways are closed before the destination is translated, when a packet
    to a published port still carries the host's own address (Docker: raw PREROUTING).

    The table is mangle and not raw since replies to what left untranslated (``exclude``, ``masquerade: false``) must
    pass, and only conntrack knows them.
    """
    if family.version == 6 and not any(subnet.version == 6 for policy in policies for subnet in policy.subnets):
        return
    family.add(GUARD, ("-i", "lo", "-j", "RETURN"))
    if family.version == 4:
        # route_localnet on a bridge would open every service of the host's 127.0.0.1 to the endpoints
        family.add(GUARD, ("-d", "127.0.0.0/8", "-j", "DROP"))
    family.add(GUARD, ("-m", "conntrack", "--ctdir", "REPLY", "-j", "RETURN"))
    for policy in policies:
        subnets = [subnet for subnet in policy.subnets if subnet.version == family.version]
        if subnets and not policy.internal and not policy.direct_access:
            for flow in _flows(policy, family.version):
                family.add(GUARD, flow, ("-j", "RETURN"))
        for subnet in subnets:
            for rule in _guard(policy):
                family.add(GUARD, _destination(subnet), rule)
    family.user_chain("mangle")
    family.add(CLOSED, ("-j", USER))
    family.add(CLOSED, ("-j", "DROP"))
    family.jump("PREROUTING", GUARD)


def _guard(policy: BridgePolicy) -> t.Iterator[Rule]:
    if policy.direct_access and not policy.internal:
        # changes nothing: it keeps the subnet on record
        yield ("!", "-i", policy.bridge, "-j", "RETURN")
        return
    if not policy.internal:
        for name in _trusted(policy):
            yield ("-i", name, "-j", "RETURN")
    yield ("!", "-i", policy.bridge, "-j", CLOSED[1])


def _trusted(policy: BridgePolicy) -> list[str]:
    return [name for name in policy.trusted_interfaces if name != policy.bridge]


def _render_forward(family: _Family, policies: t.Sequence[BridgePolicy], judged: t.Sequence[str]) -> None:
    family.user_chain("filter")
    for way, policy in itertools.product(("-i", "-o"), policies):
        # not -j: what DLN-USER sends back goes on behind the jump to DLN-ASK, and is asked about once only
        family.add(ASK, (way, policy.bridge, "-g", USER))
    family.add(FORWARD, ("-j", ASK[1]))
    for policy in policies:
        if policy.internal:
            family.add(FORWARD, ("-i", policy.bridge, "!", "-o", policy.bridge, "-j", "DROP"))
    # What conntrack cannot place is not translated either, and would leave with its private source.
    family.add(FORWARD, ("-m", "conntrack", "--ctstate", "INVALID", "-j", INVALID[1]))
    for policy in policies:
        family.add(INVALID, ("-i", policy.bridge, "!", "-o", policy.bridge, "-j", "DROP"))
        chain = INTO + policy.bridge
        family.add(FORWARD, ("-o", policy.bridge), _comment(network=policy.network), ("-j", chain))
        for rule in _into(policy, family.version):
            family.add(("filter", chain), rule)
    for name in judged:
        # our accept would open a container of Docker to our endpoints, which Docker closes by the policy of FORWARD
        family.add(FORWARD, ("-o", name, "-j", "RETURN"))
    for policy in policies:
        # also under a FORWARD policy of DROP, which Docker sets
        if not policy.internal:
            family.add(FORWARD, ("-i", policy.bridge, "-j", "ACCEPT"))
    family.jump("FORWARD", FORWARD)


def _into(policy: BridgePolicy, version: int) -> t.Iterator[Rule]:
    """The chain of what leaves the host by this bridge, frames from port to port included where br_netfilter
    (bridge-nf-call-iptables) shows them; an internal network refuses the rest of the world before all else."""
    if policy.internal:
        yield ("!", "-i", policy.bridge, "-j", "DROP")
    yield (*_ESTABLISHED, "-j", "ACCEPT")
    yield (*_TRANSLATED, "-j", "ACCEPT")
    for name in _trusted(policy):
        yield ("-i", name, "-j", "ACCEPT")
    if policy.direct_access:
        yield ("!", "-i", policy.bridge, "-j", "ACCEPT")
    if policy.icc:
        yield ("-i", policy.bridge, "-j", "ACCEPT")
    elif version == 6:
        for kind in ("135", "136"):  # neighbour discovery is to IPv6 what ARP, which nobody filters here, is to IPv4
            yield ("-i", policy.bridge, "-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", kind, "-j", "ACCEPT")
    for flow in _flows(policy, version):
        yield (*flow, "-j", "ACCEPT")
    yield ("-j", "DROP")


def _flows(policy: BridgePolicy, version: int) -> t.Iterator[Rule]:
    for flow in policy.allow:
        if flow.source.version != flow.to.version:
            raise InvalidRequest("A flow from %s to %s mixes address families." % (flow.source, flow.to))
        if flow.to.version == version:
            yield _source(flow.source) + _destination(flow.to) + _protocol(flow.protocol, flow.ports)


def _render_host_access(family: _Family, policies: t.Sequence[BridgePolicy]) -> None:
    """Published ports are not concerned: they are translated, and so forwarded."""
    if not policies:
        return
    for policy in policies:
        family.add(INPUT, ("-i", policy.bridge, "-j", HOST[1]))
    family.add(HOST, _ESTABLISHED, ("-j", "RETURN"))
    if family.version == 4:
        family.add(HOST, ("-p", "icmp", "-m", "icmp", "--icmp-type", "8", "-j", "RETURN"))
    else:
        for kind in ("128", "135", "136"):  # echo; without neighbour discovery there is no gateway
            family.add(HOST, ("-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", kind, "-j", "RETURN"))
    family.add(HOST, ("-j", "DROP"))
    family.jump("INPUT", INPUT)


def _render_output(family: _Family, policies: t.Sequence[BridgePolicy]) -> None:
    """Endpoints that may not talk to one another reach what is allowed by way of the host, which must not tell them
    the short way (ICMP redirects)."""
    redirect: Rule = ("-p", "icmp", "-m", "icmp", "--icmp-type", "5")
    if family.version == 6:
        redirect = ("-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", "137")
    for policy in policies:
        family.add(OUTPUT, ("-o", policy.bridge), redirect, ("-j", "DROP"))
    if policies:
        family.jump("OUTPUT", OUTPUT)


def _render_masquerades(family: _Family, entries: t.Sequence[Masquerade]) -> None:
    for entry in sorted(entries, key=_specific_first):
        match = _source(entry.source)
        for network in entry.exclude:
            family.add(MASQ, match, _destination(network), _out(entry.out), ("-j", "RETURN"))
        family.add(MASQ, match, _out(entry.out), _comment(network=entry.network), _translation(entry))
    if entries:
        family.jump("POSTROUTING", MASQ)
        # A late segment of a translated connection that conntrack cannot place comes to the host itself, whose RST
        # would end the connection. Segments for a socket of the host are none of ours.
        family.add(STRAYS, ("-m", "socket", "--nowildcard", "-j", "RETURN"))
        family.add(STRAYS, ("-j", "DROP"))
        family.jump("INPUT", STRAYS, ("-p", "tcp", "-m", "conntrack", "--ctstate", "INVALID"))


def _specific_first(entry: Masquerade) -> tuple[int, bytes, int, str]:
    rank = 2 if not entry.out.name else 1 if entry.out.inverted else 0
    return (-entry.source.prefixlen, entry.source.network_address.packed, rank, entry.out.name)


def _translation(entry: Masquerade) -> Rule:
    words: Rule = ("-j", "MASQUERADE")
    if entry.to_source is not None:
        words = ("-j", "SNAT", "--to-source", host(entry.to_source))
    return (*words, "--random-fully") if entry.random_fully else words


def _render_ports(family: _Family, ports: t.Sequence[PublishedPort]) -> None:
    if not ports:
        return
    ordered = sorted(ports, key=_port_order)
    _render_shared_ports(family, [port for port in ordered if not _limited(port)])
    limited = [port for port in ordered if _limited(port)]
    # an address before all addresses, and both before what is in the shared chains of the less specific kind
    for bound, shared in ((True, BOUND), (False, ANY)):
        for port in limited:
            if (port.host_ip is not None) == bound:
                _render_limited_port(family, port)
        if shared not in family.chains:
            continue
        # A port on one address is not for packets that come in by another interface (the weak host model)
        # unless by one of our own links, where endpoints ask for the host's addresses.
        ways: tuple[Rule, ...] = (_OWN_ADDRESS, _OUR_LINK) if bound else ((),)
        for way in ways:
            family.add(PUBLISH, way, ("-j", shared[1]))
        family.add(LOCAL, ("-j", shared[1]))
    _render_hairpin(family, ordered)
    if family.version == 4:
        # the kernel drops these later than PREROUTING, where they would already be translated
        family.add(LOOPBACK, ("-d", "127.0.0.0/8", "!", "-i", "lo", "-j", "DROP"))
        family.jump("PREROUTING", LOOPBACK)
        family.jump("PREROUTING", PUBLISH, _LOCAL_ADDRESS)
        family.jump("OUTPUT", LOCAL, _LOCAL_ADDRESS)
    else:
        # A link-local source is not forwarded, ::1 never leaves the host: let them find nobody at home.
        family.jump("PREROUTING", PUBLISH, ("!", "-s", "fe80::/10", *_LOCAL_ADDRESS))
        family.jump("OUTPUT", LOCAL, ("!", "-d", "::1/128", *_LOCAL_ADDRESS))


def _limited(port: PublishedPort) -> bool:
    return bool(_sources(port) or port.in_interfaces)


def _sources(port: PublishedPort) -> tuple[Network, ...]:
    """The sources that a port is limited to; one that is everyone makes all of them no limit."""
    return port.allowed_sources if all(network.prefixlen for network in port.allowed_sources) else ()


def _port_order(port: PublishedPort) -> tuple[bytes, str, int, int]:
    address = b"" if port.host_ip is None else port.host_ip.packed
    return (address, port.protocol, port.host_ports.first, port.host_ports.last)


def _render_shared_ports(family: _Family, ports: t.Iterable[PublishedPort]) -> None:
    for port in ports:
        family.add(ANY if port.host_ip is None else BOUND, _address(port), _service(port), _redirect(port))


def _render_limited_port(family: _Family, port: PublishedPort) -> None:
    """The host itself is free of the limits."""
    links: list[Rule] = [("-i", interface(name)) for name in port.in_interfaces] or [()]
    sources: list[Rule] = [_source(network) for network in _sources(port)] or [()]
    strict = port.host_ip is not None and not port.in_interfaces
    ways: tuple[Rule, ...] = (_OWN_ADDRESS, _OUR_LINK) if strict else ((),)
    for link, source, way in itertools.product(links, sources, ways):
        family.add(PUBLISH, source, _address(port), link, _service(port), way, _redirect(port))
    family.add(LOCAL, _address(port), _service(port), _redirect(port))


def _address(port: PublishedPort) -> Rule:
    return () if port.host_ip is None else ("-d", canonical(port.host_ip))


def _service(port: PublishedPort) -> Rule:
    return _protocol(port.protocol, port.host_ports)


def _redirect(port: PublishedPort) -> Rule:
    note = _comment(bridge=port.bridge, network=port.network)
    return (*note, "-j", "DNAT", "--to-destination", _to_destination(port))


def _to_destination(port: PublishedPort) -> str:
    """Without a port where it stays the same: then the kernel never picks another one of the range to keep two
    flows apart. Else ``first-last/base``: one by one in the same order (iptables-extensions(8), DNAT)."""
    first, ports = port.container_port, port.host_ports
    if first == ports.first:
        return host(port.container_ip)
    address = "[%s]" % host(port.container_ip) if port.container_ip.version == 6 else host(port.container_ip)
    if len(ports) == 1:
        return "%s:%d" % (address, first)
    return "%s:%d-%d/%d" % (address, first, first + len(ports) - 1, ports.first)


def _render_hairpin(family: _Family, ports: t.Iterable[PublishedPort]) -> None:
    """An endpoint that asks for its own network's published port must see the answer come from the host.

    By route, the request enters and leaves by the bridge. With bridge-nf-call-iptables the translated frame is
    bridged, POSTROUTING shows no interface that it came in by (br_nf_post_routing), and the answer passes
    conntrack anyway, but for one that an endpoint sends to itself: it would drop a packet from its own address.
    iptables refuses -i in POSTROUTING by the chain's name only; the kernel gives it there since 5.7 (28f8bfd1ac94).
    """
    targets = dict.fromkeys((port.bridge, port.container_ip) for port in ports)
    family.add(HAIRPIN, ("-m", "conntrack", "!", "--ctstate", "DNAT", "-j", "RETURN"))
    for bridge in sorted({bridge for bridge, unused in targets if bridge}):
        family.add(HAIRPIN, ("-i", interface(bridge), "-o", bridge, "-j", "MASQUERADE"))
        if family.version == 4:
            family.add(HAIRPIN, ("-s", "127.0.0.0/8", "-o", bridge, "-j", "MASQUERADE"))
    for bridge, address in sorted(targets, key=lambda target: (target[0], target[1].packed)):
        out: Rule = ("-o", bridge) if bridge else ()
        to: Rule = ("-d", canonical(address))
        if family.version == 4 and not bridge:
            family.add(HAIRPIN, ("-s", "127.0.0.0/8"), to, ("-j", "MASQUERADE"))
        family.add(HAIRPIN, ("-s", canonical(address)), to, out, ("-j", "MASQUERADE"))
    family.jump("POSTROUTING", HAIRPIN)
