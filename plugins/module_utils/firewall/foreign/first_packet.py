# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of rules whose answer is known for the first packet of a connection of ours, whatever its addresses.

It is a SYN if it is TCP, and an echo request if it is ICMP; it is no fragment, has no extension headers, is sent to one
host, and comes by the link by which an answer would leave. Such a condition either holds, or the rule is never for this
packet.
"""

from __future__ import annotations

import ipaddress
import operator
import typing as t

from ... import model
from ..save_text import Option
from . import rules

_Flags = frozenset[str]

_SYN = frozenset(("syn",))
_TCP_FLAGS = frozenset(("fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr", "ece"))
# No connection is there yet, so none of these is true.
_LATER = frozenset(("seen-reply", "assured", "expected", "dying"))
_PACKET_TYPES = {"unicast": "host"}
_ORDERED = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


def _holds(asks: rules.Fields, answer: bool | None) -> bool:
    """Note the answer to a condition; False if it is not known."""
    if answer is False:
        asks["never"] = True
    return answer is not None


def _unmarked(asks: rules.Fields, answer: bool | None, condition: rules.Json) -> bool:
    """Note whether a condition on a mark holds without any."""
    if answer is not None:
        asks["unmarked"] = answer and asks.get("unmarked", True)
        asks["on_marks"] = (*asks.get("on_marks", ()), condition)
    return answer is not None


def _asks_for(asks: rules.Fields, protocol: str, answer: bool | None) -> bool:
    """Note the answer to a condition on the header of a protocol."""
    return _holds(asks, answer) and (answer is False or rules.keep(asks, "protocols", [protocol]))


# ---- nft


def of_nft(body: rules.Json, values: t.Sequence[rules.Json], asks: rules.Fields, routed: bool) -> bool:
    """Read a condition of nft; returns whether its answer is known. ``routed``: the rule sees packets, not frames."""
    left, op = body["left"], body["op"]
    mask: rules.Json = None
    if "&" in left:
        left, mask = left["&"]
    kind, facts = next(iter(left.items())) if isinstance(left, dict) else ("", {})
    if kind in ("meta", "ct") and facts["key"] == "mark":
        return _unmarked(asks, _number(0, op, values), {"match": body})
    if kind in ("exthdr", "ip option"):
        return _holds(asks, op == "==" and values[0] is False)
    if kind == "payload":
        where = (facts.get("protocol", ""), facts.get("field", ""))
        if where == ("tcp", "flags"):
            return _asks_for(asks, "tcp", _flagged(mask, op, body["right"], values))
        return _of_header(where, mask, op, values, asks, routed)
    if mask is not None:
        return False
    if kind == "meta":
        return _of_meta(facts["key"], op, values, asks, routed)
    if kind == "fib":
        return _of_fib(facts, op, values, asks)
    return kind == "ct" and _of_connection(facts["key"], op, values, asks)


def _of_header(
    where: tuple[str, str],
    mask: rules.Json,
    op: str,
    values: t.Sequence[rules.Json],
    asks: rules.Fields,
    routed: bool,
) -> bool:
    if where == ("ip", "frag-off"):
        return mask is not None and _holds(asks, _number(0, op, values))
    if mask is not None:
        return False
    if where[1] == "sport":
        asks["partial"] = True  # it picks some of the clients
        return where[0] == "th" or rules.keep(asks, "protocols", [where[0]])
    if where == ("icmp", "type") or (where == ("icmpv6", "type") and (routed or "echo-request" in values)):
        asks["version"] = 4 if where[0] == "icmp" else 6
        return _echo(asks, where[0], _word("echo-request", op, values))
    return where == ("ether", "type") and _frames(op, values, asks)


def _of_meta(key: str, op: str, values: t.Sequence[rules.Json], asks: rules.Fields, routed: bool) -> bool:
    if key == "protocol":
        return _frames(op, values, asks)
    if key in ("skuid", "skgid"):
        return _holds(asks, False)  # forwarded packets have no socket
    # on a port of a bridge, what is for another port counts as somebody else's, and ARP is broadcast
    return routed and key == "pkttype" and _holds(asks, _word("host", op, [_PACKET_TYPES.get(v, v) for v in values]))


def _frames(op: str, values: t.Sequence[rules.Json], asks: rules.Fields) -> bool:
    return op in ("==", "!=") and rules.keep(asks, "frames" if op == "==" else "no_frames", values)


def _of_fib(facts: rules.Json, op: str, values: t.Sequence[rules.Json], asks: rules.Fields) -> bool:
    flags = facts.get("flags", ())
    flags = {flags} if isinstance(flags, str) else set(flags)
    if facts.get("result") == "type" and op in ("==", "!="):
        if flags == {"daddr"}:
            return rules.keep(asks, "kinds" if op == "==" else "no_kinds", values)
        return flags == {"saddr"} and _holds(asks, _word("unicast", op, values))
    if flags - {"mark"} == {"saddr", "iif"} and op in ("==", "!=") and len(values) == 1:
        missing = values[0] in (False, 0, "0", "", "missing")
        return _holds(asks, missing != (op == "==")) if missing or values[0] is True else False
    return False


def _of_connection(key: str, op: str, values: t.Sequence[rules.Json], asks: rules.Fields) -> bool:
    if key == "direction":
        return _holds(asks, _word("original", op, values))
    return key == "status" and op in ("in", "==") and set(map(str, values)) <= _LATER and _holds(asks, False)


def _number(number: int, op: str, values: t.Sequence[rules.Json]) -> bool | None:
    """Whether a comparison of numbers holds."""
    bounds = [value["range"] if isinstance(value, dict) and "range" in value else [value, value] for value in values]
    if not all(isinstance(bound, int) for pair in bounds for bound in pair):
        return None
    if op in _ORDERED:
        return bool(_ORDERED[op](number, bounds[0][0]))
    if op == "!":
        return not any(number & first for first, unused in bounds)
    found = any(first <= number <= last for first, last in bounds)
    return {"==": found, "in": found, "!=": not found}.get(op)


def _word(word: str, op: str, values: t.Sequence[rules.Json]) -> bool | None:
    return {"==": word in values, "in": word in values, "!=": word not in values}.get(op)


def _flags(right: rules.Json) -> _Flags:
    if isinstance(right, dict):
        right = right.get("|", right.get("set", ()))
    names = right if isinstance(right, list) else [right]
    return frozenset().union(*(_flags(one) if isinstance(one, (dict, list)) else {str(one)} for one in names))


def _flagged(mask: rules.Json, op: str, right: rules.Json, values: t.Sequence[rules.Json]) -> bool | None:
    """Whether a comparison of the flags of TCP holds."""
    looked_at = _TCP_FLAGS if mask is None else _flags(mask)
    listed = values if isinstance(right, dict) and "set" in right else [right]
    wanted = [frozenset[str]() if one == 0 else _flags(one) for one in listed]
    if not all(one <= _TCP_FLAGS for one in (looked_at, *wanted)):
        return None
    have = _SYN & looked_at
    answers = {"in": any(have & one for one in wanted), "!": not any(have & one for one in wanted)}
    return {**answers, "==": have in wanted, "!=": have not in wanted}.get(op)


def _echo(asks: rules.Fields, protocol: str, answer: bool | None) -> bool:
    asks["partial"] = True
    return _asks_for(asks, protocol, answer)


# ---- iptables

_MATCHES = frozenset(("mark", "connmark", "pkttype", "addrtype", "rpfilter", "icmp", "icmp6", "iprange"))
# Extension headers of IPv6 and options of IPv4, which ordinary packets do not have.
_EXTENSIONS = frozenset(("rt", "frag", "hbh", "dst", "mh", "ah", "ipv4options"))
_OF_REVERSE_PATH = frozenset(("--loose", "--validmark", "--accept-local"))


def of_save(option: Option, asks: rules.Fields) -> bool:
    """Read a condition of iptables; returns whether its answer is known."""
    if option.name == "-m":
        asks["never"] = asks.get("never", False) or option.value in _EXTENSIONS
        return option.value in _MATCHES or option.value in _EXTENSIONS
    if asks.get("never"):
        return True
    if option.name in _OF_REVERSE_PATH:
        return True
    words = option.value.lower().split(",")
    no = "no_" if option.inverted else ""
    if option.name == "--dst-type":
        return rules.keep(asks, no + "kinds", words)
    if option.name in ("--src-range", "--dst-range"):
        return rules.keep(asks, no + ("sources" if option.name == "--src-range" else "targets"), _range(option.value))
    if option.name == "--mark":
        return _unmarked(asks, (_integer(option.value) == 0) != option.inverted, "%s %s" % (option, option.value))
    if option.name in ("--sport", "--sports"):
        asks["partial"] = True  # it picks some of the clients
        return True
    if option.name in ("--icmp-type", "--icmpv6-type"):
        known = set(words) & {"8", "8/0", "echo-request", "128", "128/0", "any", "255"}
        return _echo(asks, "icmp" if option.name == "--icmp-type" else "icmpv6", bool(known) != option.inverted)
    answer = _answer(option.name, words)
    return _holds(asks, None if answer is None else answer != option.inverted)


def _answer(name: str, words: t.Sequence[str]) -> bool | None:
    """The answer to a condition without the word that inverts it."""
    if name == "--tcp-flags":
        mask, unused, wanted = ",".join(words).partition(" ")
        return _SYN & _named(mask) == _named(wanted)
    if name in ("--pkt-type", "--src-type"):
        return "unicast" in words
    if name == "--ctdir":
        return words == ["original"]
    if name == "--ctstatus":
        return False if {word.replace("_", "-") for word in words} <= _LATER else None
    # --invert is of rpfilter only: what comes by another link than an answer would leave by
    return {"--syn": True, "--invert": False, "-f": False}.get(name)


def _named(words: str) -> _Flags:
    return _TCP_FLAGS if words == "all" else frozenset(words.split(",")) - {"none"}


def _integer(text: str) -> int:
    return int(text.partition("/")[0], 0)


def _range(text: str) -> tuple[model.Network, ...]:
    first, last = map(ipaddress.ip_address, text.split("-"))
    return tuple(ipaddress.summarize_address_range(t.cast(t.Any, first), t.cast(t.Any, last)))
