# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The advice for the user about each fault.

A command comes last, after the last colon, with nothing behind it: it can be copied, and runs on the host.
"""

from __future__ import annotations

import typing as t

from .. import marks, model
from ..firewall import choice, reasons
from ..firewall.iptables import names as iptables_names
from ..kernel.programs import find
from .packet import Packet
from .rules import Chain, Outcome
from .topology import Node

AGAIN = "Run the role again; it %s."
# Chains with a lower priority run before connection tracking, so they cannot match its state.
_TRACKED = -200
_OURS = {
    reasons.DIRECT: "Name the flow in the network's `allow`, ask a published port of the host instead (`publish`), or"
    " set direct_access: true for the network.",
    reasons.OUT: "The network is internal; set internal: false for it if it needs a way out.",
    reasons.IN: "The network is internal; set internal: false for it if it needs a way in.",
    reasons.HOST: "Set host_access: allow for the network, or name the flow in its `allow`.",
}
_REASONS_IN_IPTABLES = {
    iptables_names.DIRECT[1]: reasons.DIRECT,
    iptables_names.FORWARD[1]: reasons.OUT,
    iptables_names.HOST[1]: reasons.HOST,
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


def is_ours(chain: Chain | None) -> bool:
    """Whether a chain holds rules of this collection; the chain for the user's own rules does not."""
    return chain is not None and choice.is_ours(chain.table, chain.name)


def holds_our_place(chain: Chain | None) -> bool:
    """Whether a chain holds the place of rules of ours while somebody else's are loaded."""
    return chain is not None and (chain.family, chain.table) == (marks.NFT_FAMILY, marks.NFT_HOLD)


def whose(chain: Chain | None) -> str:
    """The owner of a rule, in words."""
    if holds_our_place(chain):
        return "what holds the place of this collection's rules of iptables"
    return "this collection's rules" if is_ours(chain) else "a rule that is not of this collection"


def is_for(reason: str, outcome: Outcome) -> bool:
    """Whether a rule of ours drops for this reason."""
    name, text = outcome.chain.name if outcome.chain else "", outcome.rule.text if outcome.rule else ""
    if name.startswith(iptables_names.INTO) and "! -i" in text:
        return reason == reasons.IN
    # in nftables, the reason is in the comment of the rule
    return _REASONS_IN_IPTABLES.get(name) == reason or reason in text


def open_for(node: Node, outcome: Outcome) -> str:
    """The command that lets a packet pass which a rule or a policy drops."""
    packet, chain = outcome.packet, outcome.chain
    if holds_our_place(chain):
        return "Run the role again, or bring back what is missing: systemctl reload %s" % marks.BOOT_UNIT
    if is_ours(chain):
        return _option(outcome)
    if chain is None:
        return "Find the rule that drops the packet: %s" % inside(node, "nft list ruleset")
    if outcome.rule is not None and chain.store == "nft" and outcome.rule.handle:
        return without(node, outcome)
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
    if chain is None or rule is None or not rule.handle:
        return "Change or delete the rule; find it with: %s" % inside(node, "nft list ruleset")
    where = (chain.family, chain.table, chain.name, rule.handle)
    return "Change the rule, or delete it: %s" % inside(node, "nft delete rule %s %s %s handle %d" % where)


def _option(outcome: Outcome) -> str:
    """The option of the network that lets through what our rules drop."""
    packet = outcome.packet
    for reason, advice in _OURS.items():
        if is_for(reason, outcome):
            return advice
    port = ":%d" % packet.dport if packet.dport and not packet.answer else ""
    return (
        "Allow the flow in the options of the network: `allow` for %s%s, `publish` for a port of the host, `icc`, or"
        " `direct_access`." % (packet.to, port)
    )


def _is_of_iptables(chain: Chain) -> bool:
    """Whether iptables created the chain; nft could change it, too, but iptables could not read it any more."""
    named = chain.family in ("ip", "ip6") and bool(chain.hook) and chain.name == chain.hook.upper()
    return named and find("iptables-nft") is not None


def _nft(chain: Chain, packet: Packet) -> t.Iterator[str]:
    insert = "nft insert rule %s %s %s " % (chain.family, chain.table, chain.name)
    if packet.asks:
        yield insert + "icmpv6 type '{ nd-neighbor-solicit, nd-neighbor-advert }' accept"
        return
    family = "ip6" if packet.version == 6 else "ip"
    match = "%s saddr %s %s daddr %s accept"
    yield insert + match % (family, packet.source, family, packet.to)
    yield insert + (
        match % (family, packet.to, family, packet.source)
        if chain.priority <= _TRACKED
        else "ct state established,related accept"
    )


def _iptables(chain: Chain, packet: Packet) -> t.Iterator[str]:
    tool = "ip6tables" if packet.version == 6 else "iptables"
    store = "legacy" if chain.store == "legacy" else "nft"
    insert = "%s-%s -t %s -I %s " % (tool, store, chain.table, chain.name)
    if packet.asks:
        yield insert + "-p icmpv6 -j ACCEPT"
        return
    yield insert + "-s %s -d %s -j ACCEPT" % (packet.source, packet.to)
    yield insert + (
        "-s %s -d %s -j ACCEPT" % (packet.to, packet.source)
        if chain.table == "raw"
        else "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    )
