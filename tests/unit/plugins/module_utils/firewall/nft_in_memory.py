# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``nft -f -`` on one table in memory: the few commands that we write, and as strict about what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.table import (
    Chain,
    Element,
    Set,
    Table,
)
from ansible_collections.dockerless.network.plugins.module_utils.marks import NFT_FAMILY, NFT_HOLD, NFT_TABLE

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_COMMAND = re.compile(r"(add|delete|flush) (table|chain|set|map|element|rule) (\S+) (\S+)(?: (\S+))?(?: (.+))?")
_DECLARATION = re.compile(
    r"\{ type (?P<key>[^:;]+?)(?: : (?P<data>[^;]+))?;(?P<interval> flags interval;)?"
    r"(?P<counts> size \d+; flags dynamic; counter;)? \}"
)
_ELEMENT = re.compile(r'(?P<key>.+?)(?: comment "(?P<comment>[^"]*)")?(?: : (?P<data>[^"]+))?')


class Refused(Exception):
    """An error of the real program."""


class Memory:
    """The ruleset of a host: our table, or none."""

    def __init__(self, table: Table | None = None) -> None:
        self.there = table is not None and bool(table)
        self.chains: dict[str, tuple[str, list[str]]] = {}
        self.sets: dict[str, Set] = {}
        self.transactions: list[str] = []
        self.is_held = False  # whether the table is there that holds the place of rules of iptables
        for name, chain in (table.chains if table else {}).items():
            self.chains[name] = (chain.hook, list(chain.rules))
        for name, known in (table.sets if table else {}).items():
            self.sets[name] = _copy(known)

    def table(self) -> Table:
        """The present ruleset."""
        chains = {name: Chain(hook, tuple(rules)) for name, (hook, rules) in self.chains.items()}
        return Table(chains, {name: _copy(known) for name, known in self.sets.items()})

    def load(self, text: str) -> None:
        """One transaction: all of it, or nothing."""
        if not text:
            raise Refused("nothing to load")
        work = Memory(self.table())
        work.there, work.is_held = self.there, self.is_held
        for line in text.splitlines():
            try:
                work._do(line)
            except Refused as error:
                raise Refused("%s: %s" % (line, error)) from None
        self.there, self.chains, self.sets, self.is_held = work.there, work.chains, work.sets, work.is_held
        self.transactions.append(text)

    def _do(self, line: str) -> None:
        found = _COMMAND.fullmatch(line)
        if found is not None and found.groups()[1:5] == ("table", NFT_FAMILY, NFT_HOLD, None):
            self.is_held = found[1] == "add"
            return
        if found is None or (found[3], found[4]) != (NFT_FAMILY, NFT_TABLE):
            raise Refused("syntax error")
        verb, kind, name, rest = found[1], found[2], found[5] or "", found[6] or ""
        if not self.there and (verb, kind) != ("add", "table"):
            raise Refused("there is no table")
        actions: dict[tuple[str, str], Callable[[str, str], None]] = {
            ("add", "table"): self._add_table,
            ("delete", "table"): self._delete_table,
            ("add", "chain"): self._add_chain,
            ("flush", "chain"): self._flush_chain,
            ("delete", "chain"): self._delete_chain,
            ("add", "set"): lambda name, rest: self._add_set("set", name, rest),
            ("add", "map"): lambda name, rest: self._add_set("map", name, rest),
            ("delete", "set"): lambda name, unused: self._delete_set("set", name),
            ("delete", "map"): lambda name, unused: self._delete_set("map", name),
            ("add", "element"): self._add_elements,
            ("delete", "element"): self._delete_elements,
            ("add", "rule"): self._add_rule,
        }
        if (verb, kind) not in actions:
            raise Refused("this we never write")
        actions[verb, kind](name, rest)

    def _add_table(self, unused_name: str, unused_rest: str) -> None:
        self.there = True

    def _delete_table(self, unused_name: str, unused_rest: str) -> None:
        self.there, self.chains, self.sets = False, {}, {}

    def _add_chain(self, name: str, rest: str) -> None:
        hook = rest[2:-2] if rest else ""
        if rest and (
            rest != "{ %s }" % hook or not re.fullmatch(r"type \w+ hook \w+ priority -?\d+; policy \w+;", hook)
        ):
            raise Refused("syntax error")
        if self.chains.setdefault(name, (hook, []))[0] != hook:
            raise Refused("there is a chain of that name with another hook")

    def _flush_chain(self, name: str, rest: str) -> None:
        self._chain(name)[1].clear()

    def _delete_chain(self, name: str, rest: str) -> None:
        self._chain(name)
        if any("jump %s" % name in _without_texts(rule) for rule in self._rules(but=name)):
            raise Refused("a rule still leads there")
        del self.chains[name]

    def _add_set(self, kind: str, name: str, rest: str) -> None:
        found = _DECLARATION.fullmatch(rest)
        if found is None or (kind == "map") != bool(found["data"]):
            raise Refused("syntax error")
        wanted = Set(found["key"], found["data"] or "", bool(found["interval"]), {}, bool(found["counts"]))
        known = self.sets.setdefault(name, wanted)
        if known.declaration != wanted.declaration:
            raise Refused("there is another set of that name")

    def _delete_set(self, kind: str, name: str) -> None:
        if self._set(name).kind != kind:
            raise Refused("it is a %s" % self._set(name).kind)
        if any("@" + name in _without_texts(rule).split() for rule in self._rules()):
            raise Refused("a rule still looks there")
        del self.sets[name]

    def _add_elements(self, name: str, rest: str) -> None:
        known = self._set(name)
        for word in _members(rest):
            found = _ELEMENT.fullmatch(word)
            if found is None or bool(found["data"]) != (known.kind == "map"):
                raise Refused("syntax error in %s" % word)
            element = Element(found["data"] or "", found["comment"] or "")
            there = known.elements.get(found["key"])
            if there is not None and there != element:
                raise Refused("%s is there with other data" % found["key"])
            self._refuse_overlap(known, found["key"])
            _elements(known)[found["key"]] = element

    def _delete_elements(self, name: str, rest: str) -> None:
        known = self._set(name)
        for key in _members(rest):
            if key not in known.elements:
                raise Refused("there is no element %s" % key)
            del _elements(known)[key]

    @staticmethod
    def _refuse_overlap(known: Set, key: str) -> None:
        fields = _intervals(known.key_type, key)
        if not known.interval and any(first != last for first, last in fields):
            raise Refused("%s is an interval" % key)
        for other in known.elements:
            pairs = zip(fields, _intervals(known.key_type, other))
            if other != key and all(a[0] <= b[1] and b[0] <= a[1] for a, b in pairs):
                raise Refused("%s overlaps %s" % (key, other))

    def _add_rule(self, name: str, rule: str) -> None:
        statement = _without_texts(rule)
        for word in re.findall(r"@(\w+)", statement):
            self._set(word)
        for word in re.findall(r"jump (\w+)", statement):
            self._chain(word)
        if not rule or rule.startswith("{"):
            raise Refused("syntax error")
        self._chain(name)[1].append(rule)

    def _rules(self, but: str = "") -> Iterator[str]:
        return (rule for name, (unused, rules) in self.chains.items() if name != but for rule in rules)

    def _chain(self, name: str) -> tuple[str, list[str]]:
        if name not in self.chains:
            raise Refused("there is no chain %s" % name)
        return self.chains[name]

    def _set(self, name: str) -> Set:
        if name not in self.sets:
            raise Refused("there is no set %s" % name)
        return self.sets[name]


def _without_texts(rule: str) -> str:
    return re.sub(r'"[^"]*"', '""', rule)


def _copy(known: Set) -> Set:
    return Set(known.key_type, known.data_type, known.interval, dict(known.elements), known.counts)


def _elements(known: Set) -> dict[str, Element]:
    assert isinstance(known.elements, dict)
    return known.elements


def _members(text: str) -> list[str]:
    if not (text.startswith("{ ") and text.endswith(" }")):
        raise Refused("syntax error")
    return re.split(r", (?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", text[2:-2])


def _intervals(key_type: str, key: str) -> list[tuple[Any, Any]]:
    """The first and the last value of each field; raises Refused when a field is not of its type."""
    types, fields = key_type.split(" . "), key.split(" . ")
    if len(types) != len(fields):
        raise Refused("%s has %d fields, not %d" % (key, len(fields), len(types)))
    return [_interval(kind, field) for kind, field in zip(types, fields)]


def _interval(kind: str, field: str) -> tuple[Any, Any]:
    if kind == "ifname":
        if not re.fullmatch(r'"[^"*\s]{1,15}"', field):
            raise Refused("%s is no name of an interface" % field)
        return (field, field)
    try:
        if kind in ("ipv4_addr", "ipv6_addr"):
            network = ip_network(field)
            if network.version != (4 if kind == "ipv4_addr" else 6):
                raise Refused("%s is no %s" % (field, kind))
            return (int(network.network_address), int(network.broadcast_address))
        first, unused, last = field.partition("-")
        ends = [PROTOCOLS[end] if end in PROTOCOLS else int(end) for end in (first, last or first)]
    except ValueError:
        raise Refused("%s is no %s" % (field, kind)) from None
    limit = {"inet_proto": 255, "inet_service": 65535}[kind]
    if not 0 <= ends[0] <= ends[1] <= limit:
        raise Refused("%s is no %s" % (field, kind))
    return (ends[0], ends[1])
