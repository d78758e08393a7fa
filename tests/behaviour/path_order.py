# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order in which a packet comes to breakages: of two, the path check must name the first.

It is the kernel's order, written down once as two lists. One line is one place on the way of the packet. Breakages that
share a line are at the same place: the order is not known (of chains of iptables, legacy or not, and of ours with one
priority, the youngest is called first, and which that is depends on the back-end), or one makes the other (a port of a
bridge is disabled while its link is down).

A packet waits until its sender knows the MAC address of the next hop, and a breakage may stop the question for that
address, too. Such a place has a question mark: "?traffic control" comes before "traffic control". The question is not
asked if the address is known, or if an entry was made by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from breakages import Breakage, Flow

# In tables of their own, on one hook and with one priority: the kernel calls the chain that was made last first.
_YOUNGEST_FIRST = (
    "drop in forward",
    "policy of forward",
    "reject in forward",
    "drop by the uplink's name",
    "limit of a rate",
    "drop by a set",
    "drop by a verdict map",
    "drop of what is not named",
    "drop by a jump",
)
_SENDER = """
endpoint's link
address of the source
no default route
IPsec out
output of the endpoint
wrong MAC at the source
"""
_OUT_OF_THE_SENDER = """
{0}host's end of the source
{0}traffic control
{0}ingress of the source
{0}bridge of the source
{0}port of the source disabled
"""
# A port is disabled by the kernel while it, or its other end, is down.
_TO_THE_SERVER = """
{0}host's end of the server | {0}server's link | {0}port of the server disabled
{0}isolated ports
{0}bridge forward
{0}bridge postrouting
{0}address of the server
{0}rp_filter of the endpoint
"""
_ON_THE_HOST = """
ingress of the uplink
drop in prerouting | not tracked on the way in
dnat to nobody
not published
rule of routes | rule elsewhere
route elsewhere
blackhole
prohibit
unreachable
uplink | no route on the host | bridge of the server
ip_forward | forwarding of IPv6
forwarding of the bridge
rp_filter of the host
IPsec forwarded
output of the host
%s
rule of the user | iptables rule | iptables policy | legacy rule | legacy policy | legacy reject
drop in postrouting
""" % " | ".join(_YOUNGEST_FIRST)
_OUTSIDE = """
cable
silent router
not tracked on the way out
snat to nobody
no masquerade
wrong MAC of the router
drop outside | reject outside | prohibited outside | nobody listens outside | nobody answers outside
"""
_SERVER = """
input of the endpoint
IPsec in
nobody listens | loopback only | queue full | ping is ignored
"""
_ANSWER = """
answer to a blackhole
no way back
output of the answer
drop of the answer
input of the host
input of the answer
"""

# A frame from port to port: the question for the MAC address passes the whole bridge, and so does the packet.
_BRIDGED = [
    _SENDER,
    "?arp of the source",
    _OUT_OF_THE_SENDER.format("?"),
    "?arp on the bridge | ?bridge prerouting",
    _TO_THE_SERVER.format("?"),
    _OUT_OF_THE_SENDER.format(""),
    "bridge prerouting",
    "wrong port",
    _TO_THE_SERVER.format(""),
    _SERVER,
    _ANSWER,
]
_ROUTED = [
    _SENDER,
    "?arp of the source",
    _OUT_OF_THE_SENDER.format("?"),
    "?arp on the bridge | ?bridge prerouting",
    "wrong gateway",
    "?rp_filter of the host",
    _OUT_OF_THE_SENDER.format(""),
    "bridge prerouting",
    _ON_THE_HOST,
    "wrong MAC on the host",
    _TO_THE_SERVER.format("?"),
    "?input of the host",
    _TO_THE_SERVER.format(""),
    _OUTSIDE,
    _SERVER,
    _ANSWER,
]
_BY_THE_PORT = {
    "host's end of the server",
    "server's link",
    "port of the server disabled",
    "isolated ports",
    "bridge forward",
    "bridge postrouting",
}
_WITHOUT_A_PACKET = {"traffic control", "limit of a rate"}


def places(names: list[str]) -> list[list[str]]:
    lines = [line for text in names for line in text.split("\n") if line.strip()]
    return [[name.strip() for name in line.split(" | ")] for line in lines]


# Whether MAC addresses are asked for: ASKED after all are forgotten, KNOWN if all were known before.
Questions = tuple[bool, ...]
ASKED, KNOWN, EITHER = (True,), (False,), (True, False)
BRIDGED, ROUTED = places(_BRIDGED), places(_ROUTED)


def first_of(pair: tuple[Breakage, Breakage], flow: Flow, questions: Questions, active: bool) -> Iterator[Breakage]:
    """The breakages that the path check may name, of two that were made in this order.

    ``questions`` tells whether MAC addresses are asked for; if they may be or not, both orders are right.
    """
    for asked in questions:
        ways = {breakage.name: place(breakage, flow, asked) for breakage in pair}
        if all(one.name in _YOUNGEST_FIRST for one in pair):
            yield pair[1]
        else:
            yield from (one for one in pair if ways[one.name] == min(ways.values()))
    yield from _instead(pair, flow, questions, active)


def _instead(pair: tuple[Breakage, Breakage], flow: Flow, questions: Questions, active: bool) -> Iterator[Breakage]:
    """The breakages that may be named though they are not the first, and why."""
    first = min(pair, key=lambda one: place(one, flow, True))
    names = {breakage.name for breakage in pair}
    if first.name == "dnat to nobody":
        # from there on the packet goes elsewhere, where it may or may not meet what comes later
        yield from pair
    if names & _BY_THE_PORT and True in questions:
        # no stack has the address, so nobody can tell which port it should be behind
        yield from (one for one in pair if one.name == "address of the server")
    if not active and names & _WITHOUT_A_PACKET:
        # the static walk goes on behind what it cannot tell
        yield from (one for one in pair if one.name not in _WITHOUT_A_PACKET)
    if not active and first.name == "address of the source" and {flow.kind, flow.version} == {"same", 6}:
        # nor does it know whether a packet from a link-local address comes back to its link
        yield from pair
    if active and first.name == "traffic control" and True in questions:
        # how far a question came is not watched, so the certain breakage behind that doubt is the better guess
        yield from (one for one in pair if _stops_a_question(one, flow))


def place(breakage: Breakage, flow: Flow, asked: bool) -> float:
    """The number of the place where the packet comes to a breakage."""
    name = _called(breakage, flow)
    lines = BRIDGED if flow.kind == "same" else ROUTED
    found = [number for number, line in enumerate(lines) if name in line]
    questions = [number for number, line in enumerate(lines) if "?" + name in line]
    assert found or questions, f"{name} has no place on the way of {flow.kind}"
    if questions and asked and _stops_a_question(breakage, flow):
        return min(questions)
    return min(found, default=math.inf)


def _called(breakage: Breakage, flow: Flow) -> str:
    """The name of a breakage in the lists: one bridge may be that of both ends."""
    same = breakage.name == "bridge of the server" and flow.src_bridge == flow.dst_bridge
    return "bridge of the source" if same else breakage.name


def _stops_a_question(breakage: Breakage, flow: Flow) -> bool:
    """Whether a breakage stops questions for MAC addresses, which are packets in IPv6 only."""
    name = _called(breakage, flow)
    if name in ("bridge prerouting", "input of the host"):
        return flow.version == 6
    lines = BRIDGED if flow.kind == "same" else ROUTED
    return any("?" + name in line for line in lines) or name == "wrong gateway"


def unmade(pair: tuple[Breakage, Breakage]) -> str:
    """Why two breakages do not come together; empty if they do."""
    names = {breakage.name for breakage in pair}
    for hidden, reason in _UNMADE.items():
        if names == set(hidden):
            return reason
    return "one server" if all(breakage.server for breakage in pair) else ""


_UNMADE = {
    ("uplink", "rp_filter of the host"): "the route back by the uplink goes away with the link",
    ("not tracked on the way out", "legacy reject"): "a packet that is not tracked is not new",
    ("not tracked on the way out", "drop of the answer"): "nor is its answer one of an established connection",
    ("not tracked on the way in", "legacy reject"): "the same on the way in",
    ("queue full", "output of the answer"): "the queue is filled with connections, which need answers",
    ("silent router", "wrong MAC of the router"): "nobody asks for a MAC address that was given by hand",
    ("wrong gateway", "wrong MAC at the source"): "no packet goes to the gateway with the wrong MAC address",
}
