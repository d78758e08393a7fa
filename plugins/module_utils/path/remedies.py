# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The advice for the user about each fault.

A command comes last, after the last colon, with nothing behind it: it can be copied, and runs on the host.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from .. import marks, model, owners
from ..firewall import reasons
from ..firewall.iptables import names as iptables_names
from ..kernel.programs import find
from . import whose
from .packet import Packet
from .rules import DROP, Chain, Outcome
from .topology import Node

# What a rule says of a packet, as nft and iptables-save print it.
_OUT = re.compile(r"(?:\boifname |(?<!! )-o )([^!\s]\S*)")
_SOURCE = re.compile(r"(?:\bsaddr |(?<!! )-s )([0-9a-f.:]+(?:/\d+)?)")
_TRANSLATES = re.compile(r"\bmasquerade\b|\bsnat\b|-j (?:MASQUERADE|SNAT)\b")

AGAIN = "Run the role again; it %s."
# Chains with a lower priority run before connection tracking, so they cannot match its state.
_TRACKED = -200
_OTHERS = (
    "Neither end is in a network of this collection. Ask for another address; or if this host is to route for others,"
    " set bridge_network_forward_policy: unmanaged in the role, or forward_policy in the module sysctl_forward."
)
_UNKNOWN = (
    "Connection tracking does not know the connection of this packet. Look for rules of others that set a zone"
    " (ct zone) or keep packets from being tracked (notrack): nft list ruleset"
)
_OURS = {
    reasons.OUT: "The network is internal; set internal: false for it if it needs a way out.",
    reasons.IN: "The network is internal; set internal: false for it if it needs a way in.",
    reasons.HOST: "Set host_access: allow for the network, or name the flow in its `allow`.",
    reasons.LOOPBACK: "No other machine reaches 127.0.0.0/8; publish the port on an address of the host,"
    " and ask for that.",
    reasons.PRIVATE: _UNKNOWN,
    reasons.STRAY: _UNKNOWN,
    reasons.TRANSIT: _OTHERS,
    reasons.FOREIGN: _OTHERS,
}
_REASONS_IN_IPTABLES = {
    iptables_names.DIRECT[1]: reasons.DIRECT,
    iptables_names.FORWARD[1]: reasons.OUT,
    iptables_names.HOST[1]: reasons.HOST,
    iptables_names.INVALID[1]: reasons.PRIVATE,
    iptables_names.STRAYS[1]: reasons.STRAY,
    iptables_names.GUARD[1]: reasons.LOOPBACK,
    iptables_names.LOOPBACK[1]: reasons.LOOPBACK,
    iptables_names.TRANSIT[1]: reasons.TRANSIT,
    iptables_names.FOREIGN[1]: reasons.FOREIGN,
}


def ip(node: Node, words: str, version: int = 4) -> str:
    """An ``ip`` command for a stack."""
    six = "-6 " if version == 6 else ""
    if node.place.netns:
        return "ip -n %s %s%s" % (node.place.netns, six, words)
    return inside(node, "ip %s%s" % (six, words))


def inside(node: Node, command: str) -> str:
    """A command, run in a stack."""
    if node.place.netns:
        return "ip netns exec %s %s" % (node.place.netns, command)
    return "nsenter --net=/proc/%s/ns/net %s" % (node.place.pid, command) if node.place.pid else command


def sysctl(node: Node, key: str, value: int) -> str:
    """A command that sets a key below net/; slashes stay where the name of a link has dots."""
    name = "net/" + key
    return inside(node, "sysctl -w %s=%d" % (name if "." in name else name.replace("/", "."), value))


def no_route(node: Node, to: model.Address, internal: t.Sequence[str] | None = None) -> str:
    """The advice for an address that no route leads to; ``internal`` are the networks because of which an endpoint has
    none, and None if that is not known."""
    if not node.is_host and any(nic.is_ours for nic in node.nics.values()):
        if internal:
            return "Set internal: false for %s if it needs a way out." % " and ".join(internal)
        again = AGAIN % "sets the default route of an endpoint"
        if internal is not None:
            return again
        return again + " An internal network has none: set internal: false if it needs a way out."
    words = "route add %s via ROUTER dev LINK" % to
    return "Give %s a route to %s, with the right router and link: %s" % (node.name, to, ip(node, words, to.version))


def is_for(reason: str, outcome: Outcome) -> bool:
    """Whether a rule of ours drops for this reason."""
    name, text = outcome.chain.name if outcome.chain else "", outcome.rule.text if outcome.rule else ""
    if name.startswith(iptables_names.INTO) and "! -i" in text:
        return reason == reasons.IN
    # in nftables, the reason is in the comment of the rule
    return _REASONS_IN_IPTABLES.get(name) == reason or reason in text


def absent_way_out(node: Node, packet: Packet) -> str:
    """The interface, missing on this host, by which alone a rule of ours would translate this packet."""
    for chain in node.filter:
        for rule in chain.rules if whose.is_ours(chain) else ():
            out, source = _OUT.search(rule.text), _SOURCE.search(rule.text)
            # the interfaces in a set are those of others
            if out is None or out[1].startswith("@") or out[1] in node.nics or _TRANSLATES.search(rule.text) is None:
                continue
            if source is None or packet.source in ipaddress.ip_network(source[1]):
                return out[1]
    return ""


def open_for(node: Node, outcome: Outcome, hook: str = "") -> str:
    """The command that lets a packet pass which a rule or a policy drops on a hook."""
    chain = outcome.chain
    if whose.holds_our_place(chain):
        return "Run the role again, or bring back what is missing: systemctl reload %s" % marks.BOOT_UNIT
    if whose.is_ours(chain):
        return _option(node, outcome)
    if chain is None:
        return "Find the rule that drops the packet: %s" % inside(node, "nft list ruleset")
    told = _by_its_owner(node, outcome, chain, hook)
    if told:
        return told
    if outcome.rule is not None and chain.store == "nft" and outcome.rule.handle:
        return without(node, outcome)
    return _lasting(node, outcome, _accepting(node, outcome, chain))


def _by_its_owner(node: Node, outcome: Outcome, chain: Chain, hook: str) -> str:
    """The command of the program whose chain drops the packet; empty if it has none for this."""
    packet, family = outcome.packet, chain.family
    if not node.is_host or packet.is_arp or family not in ("inet", "ip", "ip6"):
        return ""
    nic = node.nics.get(packet.iif)
    passage = _passage(packet)._replace(
        hook=hook,
        came_by=packet.iif,
        goes_by=packet.oif,
        from_ours=nic is not None and nic.is_ours,
        chain=chain.name,
        beside=whose.beside(node, chain),
        tool=_tool(chain, packet),
    )
    told = owners.remedy(whose.programs(node, outcome), passage)
    return told[:1].upper() + told[1:]


def _passage(packet: Packet) -> owners.Passage:
    """What rules see of a packet, wherever it is."""
    return owners.Passage(
        "",
        packet.version,
        source=str(packet.source),
        to=str(packet.to),
        protocol=packet.protocol,
        port=packet.dport if packet.protocol in ("tcp", "udp") and not packet.answer else 0,
        answer=packet.answer,
    )


def _accepting(node: Node, outcome: Outcome, chain: Chain) -> str:
    """The command that makes a chain accept the packet."""
    packet = outcome.packet
    if chain.store == "nft" and chain.family in ("arp", "bridge", "netdev"):
        # Such a chain would have to accept not only our packet, but also the request for its MAC address.
        return "Set the policy of that chain to accept: %s" % inside(
            node, "nft add chain %s %s %s '{ policy accept; }'" % (chain.family, chain.table, chain.name)
        )
    accept = _iptables if chain.store == "legacy" or _is_of_iptables(chain) else _nft
    commands = [inside(node, command) for command in accept(chain, packet)]
    return "Accept the packet and its answers in that chain: %s" % " && ".join(commands)


def without(node: Node, outcome: Outcome) -> str:
    """The command that deletes a rule of any chain."""
    chain, rule = outcome.chain, outcome.rule
    unknown = "Change or delete the rule; find it with: %s" % inside(node, "nft list ruleset")
    if chain is None or rule is None:
        return unknown
    if not rule.handle and rule.text.startswith("-A "):
        words = (_tool(chain, outcome.packet), chain.table, rule.text[len("-A ") :])
        return _lasting(node, outcome, "Change the rule, or delete it: %s" % inside(node, "%s -t %s -D %s" % words))
    if not rule.handle:
        return unknown
    where = (chain.family, chain.table, chain.name, rule.handle)
    delete = inside(node, "nft delete rule %s %s %s handle %d" % where)
    return _lasting(node, outcome, "Change the rule, or delete it: %s" % delete)


def _lasting(node: Node, outcome: Outcome, advice: str) -> str:
    """The advice, with the place where a rule has to be changed for good if somebody is known to load it again."""
    path = whose.file_of(node, outcome)
    if path and whose.program(node, outcome) is None:
        return "%s has it, too; change it there as well, or it returns. %s" % (path, advice)
    known = [one for one in whose.programs(node, outcome) if one.configured]
    if not known:
        return advice
    told = "It belongs to %s, which loads it again; change %s. Until then, %s"
    return told % (owners.named(known), known[0].configured, advice[:1].lower() + advice[1:])


def delete_route(node: Node, what: str, words: str, protocol: int, version: int = 4) -> str:
    """The advice to delete a route or a rule of routing, and where it may come from again."""
    again = ""
    if owners.comes_back(protocol):
        again = "It was set by %s, which may set it again; change it there. " % owners.of_route(protocol)
    return "%s%s: %s" % (again, what, ip(node, words, version))


def _option(node: Node, outcome: Outcome) -> str:
    """The option of the network that lets through what our rules drop."""
    packet = outcome.packet
    if is_for(reasons.DIRECT, outcome):
        return _direct(node, packet)
    for reason, advice in _OURS.items():
        if is_for(reason, outcome):
            return advice
    port = ":%d" % packet.dport if packet.dport and not packet.answer else ""
    return (
        "Allow the flow in the options of the network: `allow` for %s%s, `publish` for a port of the host, `icc`, or"
        " `direct_access`." % (packet.to, port)
    )


def _direct(node: Node, packet: Packet) -> str:
    """The options by which a packet may come to an address of a network from elsewhere."""
    bridge = node.bridge_with(packet.to)
    network = "the network" if bridge is None else "network %s" % (bridge.network or bridge.name)
    if bridge is not None:
        then = node.filter.on_hook("forward", packet.at(oif=bridge.name), node)
        if then.kind == DROP and is_for(reasons.IN, then):
            return "Set internal: false for %s, which has no way in, and name the flow in its `allow`." % network
    if node.is_local(packet.to):
        told = (
            "Ask for another address of the host; from an endpoint, that may be the gateway of its own network. Or set"
        )
        return "%s direct_access: true for %s." % (told, network)
    told = "Name the flow in the `allow` of %s, ask a published port of the host instead (`publish`), or set"
    return "%s direct_access: true for that network." % (told % network)


def _is_of_iptables(chain: Chain) -> bool:
    """Whether iptables created the chain; nft could change it, too, but iptables could not read it any more."""
    named = chain.family in ("ip", "ip6") and bool(chain.hook) and chain.name == chain.hook.upper()
    return named and find("iptables-nft") is not None


class _Match(t.NamedTuple):
    """Packets of one flow in one direction."""

    source: model.Address
    to: model.Address
    word: str  # dport or sport, of the service
    port: int


def _to_accept(packet: Packet, tracked: bool) -> t.Iterator[_Match | None]:
    """What a chain has to accept: the packets of a flow and their answers; None for answers that are ``tracked``."""
    asking, answering = _both_ways(packet)
    if not tracked:
        yield from (asking, answering)
        return
    if not packet.answer:
        yield asking
    yield None


def _both_ways(packet: Packet) -> tuple[_Match, _Match]:
    """The packets of a flow and their answers."""
    client, service, port = packet.source, packet.to, packet.dport
    if packet.answer:
        client, service, port = packet.to, packet.source, packet.sport
    port = port if packet.protocol in ("tcp", "udp") else 0
    return _Match(client, service, "dport", port), _Match(service, client, "sport", port)


def _nft(chain: Chain, packet: Packet) -> t.Iterator[str]:
    insert = "nft insert rule %s %s %s " % (chain.family, chain.table, chain.name)
    if packet.asks:
        yield insert + "icmpv6 type '{ nd-neighbor-solicit, nd-neighbor-advert }' accept"
        return
    family = "ip6" if packet.version == 6 else "ip"
    tracked = chain.priority > _TRACKED and packet.state != "untracked"
    for match in _to_accept(packet, tracked):
        if match is None:
            yield insert + "ct state established,related accept"
        else:
            words = "%s %s %d" % (packet.protocol, match.word, match.port) if match.port else _l4proto(packet)
            yield insert + "%s saddr %s %s daddr %s %s accept" % (family, match.source, family, match.to, words)


def _l4proto(packet: Packet) -> str:
    return "meta l4proto %s" % owners.protocol_of(packet.version, packet.protocol)


def _tool(chain: Chain, packet: Packet) -> str:
    tool = "ip6tables" if packet.version == 6 else "iptables"
    return "%s-%s" % (tool, "legacy" if chain.store == "legacy" else "nft")


def _iptables(chain: Chain, packet: Packet) -> t.Iterator[str]:
    insert = "%s -t %s -I %s " % (_tool(chain, packet), chain.table, chain.name)
    if packet.asks:
        yield insert + "-p icmpv6 -j ACCEPT"
        return
    tracked = chain.table != "raw" and packet.state != "untracked"
    for match in _to_accept(packet, tracked):
        if match is None:
            yield insert + owners.ANSWERS
        else:
            port = "--%s %d" % (match.word, match.port) if match.port else ""
            yield insert + owners.accepting(packet.version, match.source, match.to, packet.protocol, port)
