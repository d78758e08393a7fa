# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the JSON of ``nft -j list ruleset`` into chains that a packet can be walked through.

An unknown statement makes its rule uncertain, never wrong.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import typing as t

from ..firewall.foreign import nft_text
from .packet import PROTOCOLS, Packet, Surroundings
from .rules import Answer, Ask, Chain, Choose, Do, Question, Rule, Step, Target, Translate, Untrack

Json = t.Any  # what ``nft -j`` prints
Value = t.Any  # the result of an expression: a number, an address, a name, or a tuple of these
Values = t.Callable[[Packet, Surroundings], Value]

# Unknown: the packet may or may not have this value.
UNCERTAIN = object()
_VERDICTS = ("accept", "drop", "return", "jump", "goto", "reject")
_HARMLESS = (
    "counter",
    "log",
    "mangle",
    "set",
    "ct helper",
    "ct timeout",
    "ct expectation",
    "flow",
    "dup",
    "meter",
    "map",
)


def chains_of(listing: t.Sequence[Json]) -> list[Chain]:
    """The chains of a ruleset with their rules."""
    sets = {_key(body): body for kind, body in _items(listing) if kind in ("set", "map")}
    found: dict[tuple[str, str, str], Chain] = {}
    for kind, body in _items(listing):
        if kind == "chain":
            found[body["family"], body["table"], body["name"]] = _chain(body)
        elif kind == "rule":
            chain = found.get((body["family"], body["table"], body["chain"]))
            if chain is not None:
                chain.rules.append(_Reader(sets, body["family"], body["table"]).rule(body))
    return list(found.values())


def _items(listing: t.Sequence[Json]) -> t.Iterator[tuple[str, Json]]:
    for item in listing:
        yield from list(item.items())[:1]


def _key(body: Json) -> tuple[str, str, str]:
    return body["family"], body["table"], body["name"]


def _chain(body: Json) -> Chain:
    devices = body.get("dev", ())
    return Chain(
        store="nft",
        family=body["family"],
        table=body["table"],
        name=body["name"],
        hook=body.get("hook", ""),
        priority=body.get("prio", 0),
        kind=body.get("type", ""),
        policy=body.get("policy", "accept"),
        devices=(devices,) if isinstance(devices, str) else tuple(devices),
    )


class _Reader:
    """Reads the rules of one table."""

    def __init__(self, sets: t.Mapping[tuple[str, str, str], Json], family: str, table: str) -> None:
        self._sets = sets
        self._where = (family, table)

    def rule(self, body: Json) -> Rule:
        steps: list[Step] = []
        for statement in body["expr"]:
            steps += self._steps(*_only(statement))
        comment = " comment %s" % json.dumps(body["comment"]) if body.get("comment") else ""
        return Rule(nft_text.text_of(body["expr"]) + comment, tuple(steps), body.get("handle", 0))

    def _steps(self, name: str, body: Json) -> list[Step]:
        if name == "match":
            return [Ask(self._question(body))]
        if name in _VERDICTS:
            return [Do(name, body["target"] if name in ("jump", "goto") else "")]
        if name in ("dnat", "snat", "masquerade", "redirect"):
            return [Translate(name, self._target(name, body or {}))]
        if name == "vmap":
            return [Choose(self._choice(body))]
        if name == "notrack":
            return [Untrack()]
        if name in _HARMLESS:
            return []
        if name in ("queue", "synproxy", "tproxy", "fwd"):
            return [Do("unknown")]
        return [Ask(_cannot_tell)]

    def _question(self, body: Json) -> Question:
        left, operator, right = self._value(body["left"]), body["op"], body["right"]
        elements = self._elements(right)

        def question(packet: Packet, around: Surroundings) -> Answer:
            return _compared(left(packet, around), operator, elements, body["left"])

        return question

    def _elements(self, right: Json) -> list[Json]:
        """The possible values, as nft spells them."""
        if isinstance(right, str) and right.startswith("@"):
            body = self._sets.get((*self._where, right[1:]))
            # Without elements (a dynamic set, or a listing without sets) the answer is unknown.
            return [_plain(item) for item in body.get("elem", ())] if body is not None else [UNCERTAIN]
        if isinstance(right, dict) and "set" in right:
            items = right["set"] if isinstance(right["set"], list) else [right["set"]]
            return [_plain(item) for item in items]
        if isinstance(right, list):
            return [_plain(item) for item in right]
        return [_plain(right)]

    def _pairs(self, data: Json) -> list[tuple[Json, Json]]:
        """The keys and values of a map."""
        if isinstance(data, str) and data.startswith("@"):
            body = self._sets.get((*self._where, data[1:]))
            elements = body.get("elem", ()) if body is not None else ()
        else:
            elements = data.get("set", ()) if isinstance(data, dict) else data
        return [(_plain(key), value) for key, value in elements]

    def _choice(self, body: Json) -> t.Callable[[Packet, Surroundings], Do | None]:
        key, pairs = self._value(body["key"]), self._pairs(body["data"])

        def choice(packet: Packet, around: Surroundings) -> Do | None:
            found = _looked_up(key(packet, around), pairs)
            if found is None:
                return None
            if found is UNCERTAIN:
                return Do("unknown")
            name, value = _only(found)
            return Do(name, value["target"] if name in ("jump", "goto") else "")

        return choice

    def _target(self, kind: str, body: Json) -> t.Callable[[Packet, Surroundings], Target | bool | None]:
        address, port = body.get("addr"), body.get("port")
        if kind == "masquerade":
            # The address is that of the outgoing link, which the caller knows.
            return lambda packet, around: (None, None)
        of_address, of_port = self._operand(address), self._operand(port)
        family = body.get("family", "")

        def target(packet: Packet, around: Surroundings) -> Target | bool | None:
            if family and family != ("ip6" if packet.version == 6 else "ip"):
                return None
            where, number = of_address(packet, around), of_port(packet, around)
            if where is _NO_KEY or number is _NO_KEY:
                return None
            return _target(where, number)

        return target

    def _operand(self, body: Json) -> Values:
        """The expression on the right: a value, or one from a map."""
        if isinstance(body, dict) and "map" in body:
            key, pairs = self._value(body["map"]["key"]), self._pairs(body["map"]["data"])

            def from_map(packet: Packet, around: Surroundings) -> Value:
                found = _looked_up(key(packet, around), pairs)
                return _NO_KEY if found is None else found

            return from_map
        return lambda packet, around: body

    def _value(self, body: Json) -> Values:
        if not isinstance(body, dict):
            return lambda packet, around: body
        kind, facts = _only(body)
        if kind == "concat":
            parts = [self._value(part) for part in facts]
            return lambda packet, around: tuple(part(packet, around) for part in parts)
        if kind in ("&", "|", "^"):
            return functools.partial(_masked, kind, self._value(facts[0]), _number_or_names(facts[1]))
        reader = _READERS.get(kind)
        if reader is None:
            return lambda packet, around: UNCERTAIN
        return functools.partial(reader, facts)


_NO_KEY = object()


def _cannot_tell(packet: Packet, around: Surroundings) -> Answer:
    return None


def _only(statement: Json) -> tuple[str, Json]:
    if isinstance(statement, str):
        return statement, None
    name, body = next(iter(statement.items()))
    return str(name), body


# ---- values of a packet


def _meta(facts: Json, packet: Packet, around: Surroundings) -> Value:
    key = facts["key"]
    values: dict[str, Value] = {
        "iifname": packet.iif,
        "iif": packet.iif,
        "oifname": packet.oif,
        "oif": packet.oif,
        "l4proto": packet.number,
        "nfproto": "ipv6" if packet.version == 6 else "ipv4",
        "protocol": _ethertype(packet),
        "length": packet.size,
        "mark": 0,
        "pkttype": "host",
        "iifgroup": around.link_group(packet.iif) if packet.iif else UNCERTAIN,
        "oifgroup": around.link_group(packet.oif) if packet.oif else UNCERTAIN,
    }
    if key in ("iifkind", "oifkind"):
        return _kind(packet.iif if key == "iifkind" else packet.oif, around)
    if packet.is_arp and key in ("l4proto", "nfproto"):
        return _NO_KEY
    value = values.get(key, UNCERTAIN)
    return UNCERTAIN if value is None else value


def _kind(link: str, around: Surroundings) -> Value:
    """The kind of a link; a network card has none, and the kernel ends the rule that asks for it."""
    found = around.link_kind(link) if link else None
    return UNCERTAIN if found is None else found or _NO_KEY


def _ethertype(packet: Packet) -> str:
    return "arp" if packet.is_arp else "ip6" if packet.version == 6 else "ip"


def _payload(facts: Json, packet: Packet, around: Surroundings) -> Value:
    protocol, field = facts.get("protocol"), facts.get("field")
    if protocol == "ether":
        return _ethertype(packet) if field == "type" else UNCERTAIN
    if packet.is_arp or protocol == "arp":
        return _arp(field, packet) if packet.is_arp and protocol == "arp" else _NO_KEY
    if protocol in ("ip", "ip6"):
        if (protocol == "ip6") != (packet.version == 6):
            return _NO_KEY
        values = {"saddr": packet.source, "daddr": packet.to, "protocol": packet.number, "nexthdr": packet.number}
        values["version"] = packet.version
        return values.get(field, UNCERTAIN)
    if protocol in ("tcp", "udp", "th"):
        return _transport(protocol, field, packet)
    if protocol in ("icmp", "icmpv6"):
        return _icmp(protocol, field, packet)
    if protocol in ("vlan", "sctp", "dccp", "esp", "ah", "udplite"):
        return _NO_KEY
    return UNCERTAIN


def _arp(field: str, packet: Packet) -> Value:
    values = {"operation": "reply" if packet.answer else "request", "saddr ip": packet.source, "daddr ip": packet.to}
    return values.get(field, UNCERTAIN)


def _transport(protocol: str, field: str, packet: Packet) -> Value:
    if packet.protocol not in ("tcp", "udp") or protocol not in ("th", packet.protocol):
        return _NO_KEY
    if field in ("sport", "dport"):
        return (packet.sport if field == "sport" else packet.dport) or UNCERTAIN
    if field == "flags" and packet.protocol == "tcp":
        return frozenset(("syn", "ack") if packet.answer else ("syn",))
    return UNCERTAIN


def _icmp(protocol: str, field: str, packet: Packet) -> Value:
    if packet.protocol == "nd" and protocol == "icmpv6":
        return ("nd-neighbor-advert" if packet.answer else "nd-neighbor-solicit") if field == "type" else UNCERTAIN
    if packet.protocol != "icmp" or (protocol == "icmpv6") != (packet.version == 6):
        return _NO_KEY
    return ("echo-reply" if packet.answer else "echo-request") if field == "type" else UNCERTAIN


def _ct(facts: Json, packet: Packet, around: Surroundings) -> Value:
    key, direction = facts["key"], facts.get("dir")
    if key == "state":
        return frozenset([packet.state])
    if packet.state == "untracked":
        return _NO_KEY
    if key == "status":
        return packet.status | ({"seen-reply"} if packet.answer else frozenset())
    if key == "direction":
        return "reply" if packet.answer else "original"
    if key == "mark":
        return 0
    if key == "l3proto":
        return "ipv6" if packet.version == 6 else "ipv4"
    if key in ("protocol", "l4proto"):
        return packet.number
    return _original(key, packet) if direction in (None, "original") and not packet.answer else UNCERTAIN


def _original(key: str, packet: Packet) -> Value:
    if key in ("daddr", "ip daddr", "ip6 daddr"):
        return packet.original_to or packet.to
    if key == "proto-dst":
        return packet.original_dport or packet.dport or UNCERTAIN
    return UNCERTAIN


def _fib(facts: Json, packet: Packet, around: Surroundings) -> Value:
    flags = facts.get("flags", ())
    flags = {flags} if isinstance(flags, str) else set(flags)
    if facts.get("result") != "type" or flags not in ({"daddr"}, {"saddr"}):
        return UNCERTAIN
    address = packet.to if flags == {"daddr"} else packet.source
    if around.is_local(address):
        return "local"
    # Broadcast addresses of the stack are ignored, as no flow is opened to one.
    return "multicast" if address.is_multicast else "unicast"


_READERS: dict[str, t.Callable[..., Value]] = {"meta": _meta, "payload": _payload, "ct": _ct, "fib": _fib}


def _masked(operator: str, left: Values, mask: Value, packet: Packet, around: Surroundings) -> Value:
    value = left(packet, around)
    if operator != "&" or value in (UNCERTAIN, _NO_KEY):
        return value if value is _NO_KEY else UNCERTAIN
    if isinstance(value, frozenset) and isinstance(mask, frozenset):
        return value & mask
    return value & mask if isinstance(value, int) and isinstance(mask, int) else UNCERTAIN


def _number_or_names(mask: Json) -> Value:
    if isinstance(mask, int):
        return mask
    if isinstance(mask, str):
        return frozenset([mask])
    if isinstance(mask, dict) and "|" in mask:
        names = [_number_or_names(part) for part in mask["|"]]
        return functools.reduce(lambda one, other: one | other, names)
    return frozenset(mask) if isinstance(mask, list) else UNCERTAIN


# ---- comparison


def _plain(item: Json) -> Json:
    """An element without its comment, counter and timeout."""
    return item["elem"]["val"] if isinstance(item, dict) and "elem" in item else item


def _compared(left: Value, operator: str, elements: t.Sequence[Json], source: Json) -> Answer:
    if left is _NO_KEY:
        return False  # a header that the packet lacks; the kernel ends the rule, whatever the operator
    if left is UNCERTAIN or (isinstance(left, tuple) and any(part is UNCERTAIN for part in left)):
        return None
    if isinstance(left, tuple) and any(part is _NO_KEY for part in left):
        return False
    if isinstance(left, frozenset):
        return _flags_compared(left, operator, elements, source)
    if operator in ("<", ">", "<=", ">="):
        return _ordered(left, operator, elements[0])
    found = _any(_same(left, element) for element in elements)
    if operator == "!=":
        return None if found is None else not found
    return found if operator in ("==", "in") else None


def _flags_compared(left: frozenset[str], operator: str, elements: t.Sequence[Json], source: Json) -> Answer:
    names: set[str] = set()
    for element in elements:
        part = _number_or_names(element)
        if part == 0:
            part = frozenset()
        if not isinstance(part, frozenset):
            return None
        names |= part
    masked = isinstance(source, dict) and "&" in source
    equal = left == names if masked else bool(left & names)
    if operator == "!=":
        return not equal
    return bool(left & names) if operator == "in" else equal


def _any(answers: t.Iterable[Answer]) -> Answer:
    doubt = False
    for answer in answers:
        if answer:
            return True
        doubt = doubt or answer is None
    return None if doubt else False


def _ordered(left: Value, operator: str, right: Json) -> Answer:
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]


def _same(left: Value, right: Json) -> Answer:
    """Whether a value of the packet matches that of a rule."""
    right = _plain(right)
    if right is UNCERTAIN:
        return None
    if isinstance(left, tuple):
        parts = right.get("concat") if isinstance(right, dict) else None
        if parts is None or len(parts) != len(left):
            return None
        answers = [_same(one, other) for one, other in zip(left, parts)]
        return False if False in answers else None if None in answers else True
    if isinstance(right, dict):
        return _same_of_kind(left, right)
    return _same_scalar(left, right)


def _same_of_kind(left: Value, right: Json) -> Answer:
    kind, body = _only(right)
    if kind == "prefix":
        return _inside(left, body)
    if kind == "range":
        low, high = (_scalar(left, bound) for bound in body)
        return None if low is None or high is None else bool(low <= left <= high)
    if kind == "set":
        return _any(_same(left, item) for item in body)
    return None


def _inside(left: Value, body: Json) -> Answer:
    if isinstance(left, str):
        return None
    try:
        return left in ipaddress.ip_network((body["addr"], body["len"]), strict=False)
    except (ValueError, TypeError):
        return None


def _same_scalar(left: Value, right: Json) -> Answer:
    if isinstance(left, str) and isinstance(right, str):
        return left.startswith(right[:-1]) if right.endswith("*") else left == right
    value = _scalar(left, right)
    return None if value is None else bool(left == value)


def _scalar(left: Value, right: Json) -> Value:
    """``right`` as something of the kind of ``left``; None when it is not of that kind."""
    if isinstance(left, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        try:
            found = ipaddress.ip_address(right)
        except ValueError:
            return None
        return found if found.version == left.version else None
    if isinstance(left, int):
        if isinstance(right, int):
            return right
        named = {**PROTOCOLS, "ipv6-icmp": 58, "sctp": 132, "esp": 50, "ah": 51, "gre": 47, "udplite": 136, "dccp": 33}
        named["default"] = 0  # the link group
        return named.get(right, int(right) if right.isdigit() else None)
    return None


def _looked_up(key: Value, pairs: t.Sequence[tuple[Json, Json]]) -> Value:
    """The value for a key of a map; None if there is none, UNCERTAIN if unknown."""
    for candidate, value in pairs:
        answer = _compared(key, "==", [candidate], None)
        if answer is None:
            return UNCERTAIN
        if answer:
            return value
    return None


def _target(where: Value, number: Value) -> Target | bool:
    """The address and port of a translation; False if unknown."""
    if isinstance(where, dict) and "concat" in where:
        where, number = where["concat"]
    if where is UNCERTAIN or number is UNCERTAIN or not isinstance(number, (int, type(None))):
        return False
    try:
        return (None if where is None else ipaddress.ip_address(where), number)
    except (ValueError, TypeError):
        return False
