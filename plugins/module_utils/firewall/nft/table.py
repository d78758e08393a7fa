# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One nftables table as data: read from ``nft -j``, compared, and turned into one ``nft -f`` transaction.

Text goes in and JSON comes out, because nft 1.0.6 crashes on JSON input with concatenated map data. Rules are
compared in the spelling that this collection writes; a statement that it never writes is kept as its JSON, so a rule
that was altered never compares as equal. See nft(8) and libnftables-json(5).
"""

from __future__ import annotations

import ipaddress
import json
import typing as t
from dataclasses import field

from ... import marks
from ...records import dataclass
from ..protocols import protocol_name

_HOOK_PRIORITY = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "srcnat": 100}

# The size of a set that counts; if it is full, the rule ends there.
_MOST_COUNTED = 1024

# Expressions that nft compares with a text in quotes.
_NAMES = ("iifname", "oifname", "meta iifkind", "meta oifkind")

Json = t.Any  # what ``nft -j`` prints


@dataclass(frozen=True)
class Chain:
    """A chain; ``hook`` is empty for one that is only jumped to."""

    hook: str = ""
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Element:
    """The values of an element of a set or map beside its key."""

    data: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Set:
    """A set, or a map when ``data_type`` is not empty; fields of a concatenation are separated by `` . ``."""

    key_type: str
    data_type: str = ""
    interval: bool = False
    elements: t.Mapping[str, Element] = field(default_factory=dict)
    counts: bool = False  # packets add its elements, each with a counter, so elements are not compared

    @property
    def kind(self) -> str:
        """The keyword of nft for it."""
        return "map" if self.data_type else "set"

    @property
    def declaration(self) -> str:
        """Its type and flags for ``add set``."""
        if self.counts:
            return "type %s; size %d; flags dynamic; counter;" % (self.key_type, _MOST_COUNTED)
        data = " : %s" % self.data_type if self.data_type else ""
        return "type %s%s;%s" % (self.key_type, data, " flags interval;" if self.interval else "")


@dataclass(frozen=True)
class Table:
    """A whole table. One without chains and sets equals none."""

    chains: t.Mapping[str, Chain] = field(default_factory=dict)
    sets: t.Mapping[str, Set] = field(default_factory=dict)
    dormant: bool = False  # somebody has turned off all its chains
    # Packets that a rule with a comment has counted, by chain and comment; those of a set that counts, by set and key.
    packets: t.Mapping[tuple[str, str], int] = field(default_factory=dict, compare=False)

    def __bool__(self) -> bool:
        return bool(self.chains or self.sets)


def hook(kind: str, name: str, priority: str) -> str:
    """The header of a base chain in one spelling, with the priority as a number, as names depend on the hook."""
    return "type %s hook %s priority %d; policy accept;" % (kind, name, _HOOK_PRIORITY[priority])


# ---- JSON to data ------------------------------------------------------------------------------------------------


def parse(text: str) -> Table:
    """The table in what ``nft -j list table`` printed."""
    chains: dict[str, tuple[str, list[str]]] = {}
    sets: dict[str, Set] = {}
    packets: dict[tuple[str, str], int] = {}
    for item in json.loads(text)["nftables"]:
        if "chain" in item:
            chains[item["chain"]["name"]] = (_hook(item["chain"]), [])
        elif "set" in item:
            sets[item["set"]["name"]] = _set(item["set"])
            packets.update(_counted(item["set"]))
        elif "map" in item:
            sets[item["map"]["name"]] = _set(item["map"])
        elif "rule" in item:
            chains[item["rule"]["chain"]][1].append(_rule(item["rule"]))
            for place, count in _met(item["rule"]).items():
                # both families may have a rule with the same comment
                packets[place] = packets.get(place, 0) + count
    found = {name: Chain(head, tuple(rules)) for name, (head, rules) in chains.items()}
    return Table(found, sets, packets=packets)


def _met(rule: Json) -> dict[tuple[str, str], int]:
    """The number of packets that a rule has counted."""
    counters = [statement["counter"] for statement in rule["expr"] if "counter" in statement]
    if not counters or not rule.get("comment"):
        return {}
    return {(rule["chain"], rule["comment"]): sum((counter or {}).get("packets", 0) for counter in counters)}


def _counted(item: Json) -> dict[tuple[str, str], int]:
    """The number of packets that each element of a set has counted."""
    elements = [entry["elem"] for entry in item.get("elem", []) if isinstance(entry, dict) and "elem" in entry]
    return {
        (item["name"], str(element["val"])): element["counter"].get("packets", 0)
        for element in elements
        if isinstance(element.get("counter"), dict)
    }


def _hook(chain: Json) -> str:
    if "hook" not in chain:
        return ""
    return "type %s hook %s priority %d; policy %s;" % (
        chain["type"],
        chain["hook"],
        chain["prio"],
        chain.get("policy", "accept"),
    )


def _set(item: Json) -> Set:
    types = item["type"] if isinstance(item["type"], list) else [item["type"]]
    data_type = item.get("map", "")
    data_type = " . ".join(data_type) if isinstance(data_type, list) else data_type
    flags = item.get("flags", [])
    if {"counter": None} in item.get("stmt", []):
        return Set(" . ".join(types), data_type, counts=True)
    elements = dict(_element(entry, types) for entry in item.get("elem", []))
    return Set(" . ".join(types), data_type, "interval" in flags, elements)


def _element(entry: Json, types: t.Sequence[str]) -> tuple[str, Element]:
    data = ""
    if isinstance(entry, list):
        entry, value = entry
        data = _fields(value, ())
    comment = ""
    if isinstance(entry, dict) and "elem" in entry:
        comment = entry["elem"].get("comment", "")
        entry = entry["elem"]["val"]
    return _fields(entry, types), Element(data, comment)


def _fields(value: Json, types: t.Sequence[str]) -> str:
    if isinstance(value, dict) and "concat" in value:
        parts = value["concat"]
        return " . ".join(_value(part, types[i] if types else "") for i, part in enumerate(parts))
    return _value(value, types[0] if types else "")


def _value(value: Json, kind: str) -> str:
    if isinstance(value, dict):
        if "prefix" in value:
            return "%s/%d" % (_value(value["prefix"]["addr"], ""), value["prefix"]["len"])
        if "range" in value:
            return "%s-%s" % (_value(value["range"][0], ""), _value(value["range"][1], ""))
        return json.dumps(value, sort_keys=True)
    if kind == "ifname":
        return '"%s"' % value
    if kind == "inet_proto":
        return protocol_name(value)
    text = str(value)
    # nft and Python spell some IPv6 addresses differently (::ffff:1.2.3.4)
    return str(ipaddress.IPv6Address(text)) if ":" in text else text


def _rule(rule: Json) -> str:
    words = [_statement(statement) for statement in rule["expr"]]
    if rule.get("comment"):
        words.append('comment "%s"' % rule["comment"])
    return " ".join(words)


def _statement(statement: Json) -> str:
    name, body = next(iter(statement.items()))
    if name == "match":
        return _match(body)
    if name in ("accept", "drop", "return", "counter"):
        return str(name)
    if name in ("jump", "goto"):
        return "%s %s" % (name, body["target"])
    if name in ("masquerade", "snat", "dnat"):
        return _translation(name, body or {})
    if name == "set" and set(body) == {"op", "elem", "set"}:
        return "%s %s { %s }" % (body["op"], body["set"], _expression(body["elem"]))
    return json.dumps(statement, sort_keys=True)


def _match(body: Json) -> str:
    left = _expression(body["left"])
    right = body["right"]
    kind = "ifname" if left in _NAMES else "inet_proto" if left == "meta l4proto" else ""
    if isinstance(right, dict) and "set" in right:
        text = "{ %s }" % ", ".join(word for value in right["set"] for word in _members(value, kind))
    elif isinstance(right, list):
        text = ",".join(_value(value, kind) for value in right)
    else:
        text = right if isinstance(right, str) and right.startswith("@") else _value(right, kind)
    return "%s != %s" % (left, text) if body["op"] == "!=" else "%s %s" % (left, text)


def _members(value: Json, kind: str) -> list[str]:
    """The networks of an element of an anonymous set. nft merges adjacent ones into a range, which is split again."""
    if isinstance(value, dict) and "range" in value:
        first, last = (str(end) for end in value["range"])
        if "." in first or ":" in first:
            ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
            return [str(network) for network in ipaddress.summarize_address_range(*ends)]
    return [_value(value, kind)]


def _expression(value: Json) -> str:
    if isinstance(value, dict):
        if "concat" in value:
            return " . ".join(_expression(part) for part in value["concat"])
        if "meta" in value:
            key = value["meta"]["key"]
            return str(key) if key in ("iifname", "oifname", "iifgroup", "oifgroup") else "meta %s" % key
        if "payload" in value and "field" in value["payload"]:
            return "%s %s" % (value["payload"]["protocol"], value["payload"]["field"])
        if "ct" in value and set(value["ct"]) == {"key"}:
            return "ct %s" % value["ct"]["key"]
        if "socket" in value:
            return "socket %s" % value["socket"]["key"]
        if "fib" in value:
            return "fib %s %s" % (" . ".join(value["fib"]["flags"]), value["fib"]["result"])
    return json.dumps(value, sort_keys=True)


def _translation(name: str, body: Json) -> str:
    words = [name]
    if "family" in body:
        words.append(body["family"])
    if "addr" in body:
        address = body["addr"]
        if isinstance(address, dict) and "map" in address:
            words.append("to %s map %s" % (_expression(address["map"]["key"]), address["map"]["data"]))
        else:
            words.append("to %s" % _value(address, ""))
    if "port" in body:
        words.append(json.dumps(body["port"], sort_keys=True))
    flags = body.get("flags", [])
    words += [flags] if isinstance(flags, str) else list(flags)
    return " ".join(words)


# ---- data to a transaction ---------------------------------------------------------------------------------------


def difference(current: Table, desired: Table) -> str:
    """The commands that turn one table into the other, for one ``nft -f``; empty when nothing differs.

    Every ``add`` in it may be repeated: if the object exists, it changes nothing, but that a dormant table wakes up.
    """
    if not desired:
        return "delete table %s %s\n" % (marks.NFT_FAMILY, marks.NFT_TABLE) if current else ""
    lines = _clear_chains(current, desired) + _drop_elements(current, desired) + _drop_objects(current, desired)
    lines += _add_objects(current, desired) + _add_elements(current, desired) + _add_rules(current, desired)
    if not lines and not (current.dormant or desired.dormant):
        return ""
    return "\n".join(["add table %s %s" % (marks.NFT_FAMILY, marks.NFT_TABLE), *lines]) + "\n"


def altered(current: Table, desired: Table) -> t.Iterator[str]:
    """The names of what one table has and the other has not, or has in another way."""
    place = "%s %s" % (marks.NFT_FAMILY, marks.NFT_TABLE)
    if current.dormant:
        yield "table %s (it is dormant)" % place
    for name in sorted({*current.chains, *desired.chains}):
        if current.chains.get(name) != desired.chains.get(name):
            yield "chain %s %s" % (place, name)
    for name in sorted({*current.sets, *desired.sets}):
        one, other = current.sets.get(name), desired.sets.get(name)
        if one != other:
            yield "%s %s %s" % ((one or other or Set("")).kind, place, name)


def _command(verb: str, kind: str, name: str, rest: str = "") -> str:
    return ("%s %s %s %s %s %s" % (verb, kind, marks.NFT_FAMILY, marks.NFT_TABLE, name, rest)).rstrip()


def _stale_chains(current: Table, desired: Table) -> list[str]:
    """Chains to delete: not wanted, or with another hook."""
    return [
        name
        for name, chain in current.chains.items()
        if name not in desired.chains or desired.chains[name].hook != chain.hook
    ]


def _stale_sets(current: Table, desired: Table) -> list[str]:
    return [
        name
        for name, known in current.sets.items()
        if name not in desired.sets or desired.sets[name].declaration != known.declaration
    ]


def _rewritten(current: Table, desired: Table) -> list[str]:
    """Chains whose rules must be written: changed ones, and those with a chain or set that is made again."""
    renewed = set(_stale_sets(current, desired)) | set(_stale_chains(current, desired))
    result = []
    for name, chain in desired.chains.items():
        known = current.chains.get(name)
        words = {word.lstrip("@") for rule in chain.rules for word in rule.split()}
        if known is None or known != chain or words & renewed:
            result.append(name)
    return result


def _clear_chains(current: Table, desired: Table) -> list[str]:
    names = sorted(set(_stale_chains(current, desired)) | (set(_rewritten(current, desired)) & set(current.chains)))
    return [_command("flush", "chain", name) for name in names if current.chains[name].rules]


def _drop_elements(current: Table, desired: Table) -> list[str]:
    lines = []
    for name, known in sorted(current.sets.items()):
        wanted = desired.sets.get(name)
        if wanted is None or wanted.declaration != known.declaration:
            continue
        gone = [key for key, element in known.elements.items() if wanted.elements.get(key) != element]
        if gone:
            lines.append(_command("delete", "element", name, "{ %s }" % ", ".join(gone)))
    return lines


def _drop_objects(current: Table, desired: Table) -> list[str]:
    lines = [_command("delete", "chain", name) for name in _stale_chains(current, desired)]
    return lines + [_command("delete", current.sets[name].kind, name) for name in _stale_sets(current, desired)]


def _add_objects(current: Table, desired: Table) -> list[str]:
    lines = []
    stale = set(_stale_sets(current, desired))
    for name, wanted in sorted(desired.sets.items()):
        if name not in current.sets or name in stale:
            lines.append(_command("add", wanted.kind, name, "{ %s }" % wanted.declaration))
    stale = set(_stale_chains(current, desired))
    for name, chain in sorted(desired.chains.items()):
        if name not in current.chains or name in stale:
            lines.append(_command("add", "chain", name, "{ %s }" % chain.hook if chain.hook else ""))
    return lines


def _add_elements(current: Table, desired: Table) -> list[str]:
    lines = []
    for name, wanted in sorted(desired.sets.items()):
        known = current.sets.get(name)
        there = known.elements if known is not None and known.declaration == wanted.declaration else {}
        new = [_spell(key, element) for key, element in wanted.elements.items() if there.get(key) != element]
        if new:
            lines.append(_command("add", "element", name, "{ %s }" % ", ".join(new)))
    return lines


def _spell(key: str, element: Element) -> str:
    comment = ' comment "%s"' % element.comment if element.comment else ""
    return "%s%s%s" % (key, comment, " : %s" % element.data if element.data else "")


def _add_rules(current: Table, desired: Table) -> list[str]:
    lines = []
    for name in sorted(_rewritten(current, desired)):
        known = current.chains.get(name)
        if known is None and desired.chains[name].rules:
            # a person may paste this on a host where the chain exists: do not double its rules
            lines.append(_command("flush", "chain", name))
        lines += [_command("add", "rule", name, rule) for rule in desired.chains[name].rules]
    return lines
