# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others from what ``nft -j list ruleset`` prints (libnftables-json(5))."""

from __future__ import annotations

import ipaddress
import typing as t

from ... import marks, model
from ...records import replace
from ..protocols import protocol_name
from . import rules

_CLOSING_TARGETS = ("DROP", "REJECT")
_WHERE_IPTABLES_DROPS = {
    "filter": ("FORWARD",),
    "raw": ("PREROUTING",),
    "mangle": ("PREROUTING", "FORWARD"),
    "security": ("FORWARD",),
}
# The families whose packets are routed, and those that see frames.
ROUTED = ("ip", "ip6", "inet")
_FAMILIES = (*ROUTED, "bridge", "netdev")
# Statements that are no conditions. After one that takes the packet, it does not go on in this chain.
_TAKING = ("queue", "fwd", "synproxy")
_WITHOUT_CONDITION = ("mangle", "ct helper", "ct timeout", "ct expectation", "flow", "dup", *_TAKING)
_MARKING_TARGETS = ("MARK", "CONNMARK", "HMARK", "TPROXY")
# A map of verdicts with more of them stays one rule.
_MOST_VERDICTS = 64
# The condition of what no other element of a map is about.
_OTHERWISE: rules.Json = {"match": {"op": "==", "left": {}, "right": "*"}}
_TRANSLATIONS = ("dnat", "snat", "masquerade", "redirect")
# IP versions that a rule is for; and those that it is for if it excludes a word.
_VERSIONS = ({"ipv4": 4, "ipv6": 6}, {"ipv4": 6, "ipv6": 4})
_LINK_KEYS = {"iif": True, "iifname": True, "iifgroup": True, "oif": False, "oifname": False, "oifgroup": False}
_BRIDGE_KEYS = {"ibrname": "came_over", "obrname": "goes_over"}


def tables(ruleset: t.Iterable[rules.Json]) -> list[rules.Table]:
    """The tables of others in what ``nft -j list ruleset`` printed, without chains of ours and the jumps to them."""
    found: dict[tuple[str, str], rules.Table] = {}
    for item in ruleset:
        kind, body = next(iter(item.items()))
        if kind not in ("chain", "rule") or body["family"] not in _FAMILIES:
            continue
        place = (body["family"], body["table"])
        name = body["name"] if kind == "chain" else body["chain"]
        if marks.is_ours_in_nft(*place) or name.startswith(marks.CHAIN_PREFIX):
            continue
        table = found.setdefault(place, rules.Table("nft", *place))
        chain = table.chains.setdefault(name, rules.Chain(name))
        if kind == "chain":
            chain.kind, chain.hook = body.get("type", ""), body.get("hook", "")
            chain.policy = body.get("policy", "")
            chain.priority = body.get("prio", 0)
            chain.devices = _devices(body)
            continue
        for rule in _rules_of(body, place[0] in ROUTED):
            if body.get("comment") == marks.COLLECTION or rule.target.startswith(marks.CHAIN_PREFIX):
                chain.ours.append((len(chain.rules), rule))
            else:
                chain.rules.append(rule)
    return list(found.values())


def _devices(chain: rules.Json) -> tuple[str, ...]:
    names = chain.get("dev", ())
    return (names,) if isinstance(names, str) else tuple(names)


def is_of_iptables(table: rules.Table) -> bool:
    """Whether iptables filters our packets in this table, and the table is not empty.

    It must not get rules of nft: iptables would print them without the conditions that it does not know.
    """
    found = (table.chains.get(name) for name in _WHERE_IPTABLES_DROPS.get(table.name, ()) if table.family != "inet")
    chains = [chain for chain in found if chain is not None and chain.hook == chain.name.lower()]
    return any(chain.policy == "drop" or chain.rules for chain in chains)


def _rules_of(body: rules.Json, routed: bool) -> t.Iterator[rules.Rule]:
    """A rule; with a map of verdicts, one for each of these."""
    statements, handle = body["expr"], body.get("handle", 0)
    for expression in _expanded(statements):
        yield replace(_rule_of_nft(expression, routed), handle=handle, statements=statements)


def with_verdicts(
    rule: rules.Rule, routed: bool, elements: t.Callable[[str], list[rules.Json] | None]
) -> list[rules.Rule]:
    """A rule with a map of verdicts by its name as one rule for each of them."""
    body = rule.statements[-1].get("vmap") if rule.verdict == "vmap" else None
    name = body["data"] if body is not None else None
    pairs = elements(name.lstrip("@")) if isinstance(name, str) else None
    if body is None or pairs is None or len(pairs) > _MOST_VERDICTS:
        return [rule]
    choice = {"vmap": {**body, "data": {"set": pairs}}}
    read = _rules_of({"expr": [*rule.statements[:-1], choice], "handle": rule.handle}, routed) if pairs else ()
    return [replace(one, statements=rule.statements) for one in read]


def _expanded(statements: t.Sequence[rules.Json]) -> list[t.Sequence[rules.Json]]:
    last = statements[-1] if statements else {}
    choice = last.get("vmap", {}) if isinstance(last, dict) else {}
    pairs = choice.get("data", {}).get("set", ()) if isinstance(choice.get("data"), dict) else ()
    if not pairs or len(pairs) > _MOST_VERDICTS or not all(isinstance(pair, list) for pair in pairs):
        return [statements]
    before, key = statements[:-1], choice["key"]
    return [[*before, *_chosen(key, value), verdict] for value, verdict in sorted(pairs, key=_is_rest)]


def _is_rest(pair: rules.Json) -> bool:
    return bool(pair[0] == "*")


def _chosen(key: rules.Json, value: rules.Json) -> list[rules.Json]:
    """The condition that a map of verdicts has for one of them."""
    if value == "*":
        return [_OTHERWISE]
    if isinstance(value, dict) and "elem" in value:
        value = value["elem"]["val"]
    return [{"match": {"op": "in" if "ct" in key else "==", "left": key, "right": value}}]


def _separate(statement: rules.Json) -> list[rules.Json]:
    """A condition on several fields as one for each, if it names a single value for them."""
    body = statement.get("match") if isinstance(statement, dict) else None
    if body is None or not (isinstance(body["left"], dict) and "concat" in body["left"] and body["op"] == "=="):
        return [statement]
    values = _alternatives(body["right"])
    if len(values) != 1 or not isinstance(values[0], dict) or "concat" not in values[0]:
        return [statement]
    pairs = zip(body["left"]["concat"], values[0]["concat"])
    return [{"match": {"op": "==", "left": left, "right": right}} for left, right in pairs]


def _rule_of_nft(statements: t.Sequence[rules.Json], routed: bool) -> rules.Rule:
    known: rules.Fields = {}
    fields: list[rules.Fields] = [{}]
    asks: rules.Fields = {}
    unread: list[rules.Json] = []
    for statement in (part for whole in statements for part in _separate(whole)):
        name, body = next(iter(statement.items()))
        if name == "match":
            clear = _read_match(body, known, fields)
            if not (_understood(body, asks, routed) and clear):
                unread.append(statement)
        elif name in ("accept", "drop", "reject", "return"):
            known["verdict"] = name
        elif name in ("jump", "goto"):
            known.update(verdict=name, target=body["target"])
        elif name in _TRANSLATIONS:
            known["translates"] = True
            if name in ("dnat", "redirect"):
                _read_destination(name, body or {}, known, fields)
        elif name == "notrack":
            known["untracks"] = True
        elif name == "xt":
            if _read_xt(body or {}, known):
                unread.append(statement)
        elif name not in ("counter", "log", "comment"):
            unread += _read_other(name, body, known)
    return rules.Rule(**known, asks=rules.Asks(**asks, unread=tuple(unread)))


def _read_other(name: str, body: rules.Json, known: rules.Fields) -> list[rules.Json]:
    """Read a statement that is no simple condition; returns it if it is a condition nevertheless."""
    known["other"] = True
    if name in _TAKING or (name == "vmap" and not _spares_the_first(body)):
        known["verdict"] = name
    if name == "mangle":
        known["marks"] = known.get("marks", False) or _sets_mark(body)
    return [] if name in _WITHOUT_CONDITION else [{name: body}]


def _sets_mark(body: rules.Json) -> bool:
    """Whether a statement marks packets or connections, other than by copying one mark to the other."""
    key, value = body["key"], body["value"]
    copies = isinstance(value, dict) and any(value.get(kind, {}).get("key") == "mark" for kind in ("meta", "ct"))
    return not copies and value != 0 and any(key.get(kind, {}).get("key") == "mark" for kind in ("meta", "ct"))


def _read_match(body: rules.Json, known: rules.Fields, fields: list[rules.Fields]) -> bool:
    """Read a condition; False if it is on an interface, and cannot be combined with an earlier one."""
    left, right = body["left"], body["right"]
    inverted = body["op"] == "!="
    key = left.get("meta", {}).get("key") if isinstance(left, dict) else None
    if key in _LINK_KEYS:
        names = tuple(_link(value, key) for value in _alternatives(right))
        return rules.keep_link(known, "came_by" if _LINK_KEYS[key] else "goes_by", rules.Links(names, inverted))
    if isinstance(left, dict) and left.get("ct", {}).get("key") == "status" and right in ("dnat", ["dnat"]):
        known["published"] = not inverted
        known["other"] = known.get("other", False) or inverted
    else:
        known["other"] = True
        if not inverted:
            # every alternative combines with every one found before
            new = [dict(zip(_names(left), _parts(value))) for value in _alternatives(right)]
            fields[:] = [{**one, **{k: v for k, v in two.items() if k}} for one in fields for two in new]
    return True


def _spares_the_first(body: rules.Json) -> bool:
    """Whether a map of verdicts ignores the first packet of a connection, like ``ct state vmap`` at the top."""
    key, data = body.get("key"), body.get("data")
    if not isinstance(key, dict) or key.get("ct", {}).get("key") != "state" or not isinstance(data, dict):
        return False
    return all(isinstance(element, list) and element[0] != "new" for element in data.get("set", []))


def _understood(body: rules.Json, asks: rules.Fields, routed: bool) -> bool:
    """Read a condition; returns whether we understand it."""
    left, values = body["left"], _alternatives(body["right"])
    if not isinstance(left, dict):
        return False
    if not left:
        return True  # _OTHERWISE
    key = left.get("meta", {}).get("key")
    if key in _LINK_KEYS or (left.get("ct", {}).get("key") == "status" and values == ["dnat"]):
        return key in _LINK_KEYS or body["op"] != "!="
    no = "no_" if body["op"] == "!=" else ""
    if left.get("ct", {}).get("key") == "state":
        states = values[0].get("|", [None]) if isinstance(values[0], dict) else values
        return rules.keep(asks, no + "states", states)
    if key in _BRIDGE_KEYS:
        bridges = rules.Links(tuple(map(str, values)), bool(no))
        return bool(asks.setdefault(_BRIDGE_KEYS[key], bridges) == bridges)
    payload = left.get("payload", {})
    where = (payload.get("protocol", ""), payload.get("field", ""))
    if where[1] in ("saddr", "daddr") and where[0] in ("ip", "ip6"):
        asks["version"] = 4 if where[0] == "ip" else 6
        return rules.keep(asks, no + ("sources" if where[1] == "saddr" else "targets"), map(_network, values))
    if where[1] == "dport":
        known = where[0] == "th" or rules.keep(asks, "protocols", [where[0]])
        return known and rules.keep(asks, no + "ports", map(_ports, values))
    if key == "nfproto":
        asks["version"] = _VERSIONS[bool(no)].get(values[0], 0)
        return len(values) == 1 and bool(asks["version"])
    if key == "l4proto" or where in (("ip", "protocol"), ("ip6", "nexthdr")):
        asks["version"] = {"ip": 4, "ip6": 6}.get(where[0], asks.get("version", 0))
        names = (None if isinstance(value, dict) else protocol_name(value) for value in values)
        return rules.keep(asks, no + "protocols", names)
    from . import first_packet

    return first_packet.of_nft(body, values, asks, routed)


def _read_destination(name: str, body: rules.Json, known: rules.Fields, fields: list[rules.Fields]) -> None:
    address = body.get("addr")
    if isinstance(address, dict) and "map" in address:
        key, data = address["map"]["key"], address["map"]["data"]
        if isinstance(data, str):
            known["maps"] = ((data.lstrip("@"), key),)
        else:
            known["captures"] = captures_of_map(key, data.get("set", []))
        return
    where = _target(address, body.get("port"))
    known["captures"] = tuple(found for one in fields for found in _capture(one, where))


def captures_of_map(key: rules.Json, elements: t.Iterable[rules.Json]) -> tuple[rules.Capture, ...]:
    """The captures by elements of a map; ``key`` is the expression that is looked up."""
    result: list[rules.Capture] = []
    for element in elements:
        if not isinstance(element, list):
            continue
        wanted, value = element
        if isinstance(wanted, dict) and "elem" in wanted:
            wanted = wanted["elem"]["val"]
        parts = [*_parts(value), None]
        result += _capture(dict(zip(_names(key), _parts(wanted))), _target(parts[0], parts[1]))
    return tuple(result)


def _read_xt(body: rules.Json, known: rules.Fields) -> bool:
    """Read a match or a target of iptables; returns whether it is a condition."""
    name = body.get("name", "")
    if body.get("type") == "target":
        if name in _CLOSING_TARGETS:
            known["verdict"] = "reject" if name == "REJECT" else "drop"
        known["translates"] = known["opaque"] = name in rules.TRANSLATING_TARGETS
        known["marks"] = known.get("marks", False) or name in _MARKING_TARGETS
        return False
    if name != "comment":
        known["other"] = True
    return bool(name != "comment")


def _link(value: rules.Json, key: str) -> str:
    return rules.group_of(value) if key.endswith("group") else str(value)


def _alternatives(value: rules.Json) -> list[rules.Json]:
    if isinstance(value, dict) and "set" in value:
        inner = value["set"]
        return list(inner) if isinstance(inner, list) else [inner]
    return list(value) if isinstance(value, list) else [value]


def _parts(value: rules.Json) -> list[rules.Json]:
    return list(value["concat"]) if isinstance(value, dict) and "concat" in value else [value]


def _names(expression: rules.Json) -> list[str]:
    """The fields of an expression: protocol, tcp, udp, sctp (a port of it), th (a port of any), to; empty: another."""
    result = []
    for part in _parts(expression):
        payload = part.get("payload", {}) if isinstance(part, dict) else {}
        if payload.get("field") == "dport":
            result.append(payload.get("protocol", ""))
        elif payload.get("field") == "daddr" or (payload.get("field") == "protocol" and payload["protocol"] == "ip"):
            result.append("to" if payload["field"] == "daddr" else "protocol")
        elif isinstance(part, dict) and part.get("meta", {}).get("key") == "l4proto":
            result.append("protocol")
        else:
            result.append("")
    return result


def _capture(fields: t.Mapping[str, rules.Json], leads: str) -> t.Iterator[rules.Capture]:
    """The capture of a rule that names ports. Other rules translate whole addresses, and do not count."""
    to = _network(fields.get("to"))
    for name in ("tcp", "udp", "sctp", "th"):
        ports = _ports(fields.get(name))
        if ports is not None:
            yield rules.Capture(ports, protocol_name(fields.get("protocol", "")) if name == "th" else name, to, leads)


def _ports(value: rules.Json) -> model.PortRange | None:
    if isinstance(value, dict) and "range" in value:
        first, last = value["range"]
        return model.PortRange(int(first), int(last))
    return model.PortRange(value, value) if isinstance(value, int) else None


def _network(value: rules.Json) -> model.Network | None:
    if isinstance(value, dict) and "prefix" in value:
        value = "%s/%s" % (value["prefix"]["addr"], value["prefix"]["len"])
    return rules.network(value)


def _target(address: rules.Json, port: rules.Json) -> str:
    if isinstance(port, dict) and "range" in port:
        port = "%s-%s" % tuple(port["range"])
    if not isinstance(address, str):
        return "leads it to port %s of this host" % port if port else "leads it elsewhere"
    try:
        text = model.bracketed(ipaddress.ip_address(address)) if port else address
    except ValueError:
        text = address
    return "leads it to %s%s" % (text, ":%s" % port if port else "")
