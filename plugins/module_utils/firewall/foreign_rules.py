# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others as data: as much of them as it takes to tell what becomes of our packets and our ports.

Pure functions. Rules come as JSON (libnftables-json(5)), or as text from iptables-save: nft knows no more than the
names of matches and targets that iptables has and nft has not ("xt").
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, field

from ..marks import COLLECTION, LINK_GROUP
from ..model import Network, PortRange, bracketed
from .backend import CHAIN_PREFIX
from .iptables_text import words

Json = t.Any

_CLOSING_TARGETS = ("DROP", "REJECT")
_TRANSLATING_TARGETS = ("DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP")
_TRANSLATIONS = ("dnat", "snat", "masquerade", "redirect")
_LINK_KEYS = {"iif": True, "iifname": True, "iifgroup": True, "oif": False, "oifname": False, "oifgroup": False}
_ANY_LINK_OF_OURS = "*"
_ALL_PORTS = PortRange(0, 65535)


@dataclass(frozen=True)
class Links:
    """A condition on an interface: one of these, or none of them when inverted; a last ``*`` or ``+`` is a wildcard."""

    names: tuple[str, ...]
    inverted: bool = False

    def take(self, link: str) -> bool:
        """Whether it holds for a link."""
        return any(_fits(name, link) for name in self.names) != self.inverted


@dataclass(frozen=True)
class Capture:
    """Packets to ports that a rule leads elsewhere."""

    ports: PortRange
    protocol: str = ""  # empty: any
    to: Network | None = None  # None: any address
    leads: str = ""  # where to, as a clause


@dataclass(frozen=True)
class Rule:
    """What a rule asks of a packet, and what it does."""

    verdict: str = ""  # accept, drop, reject, return, jump, goto; empty: none that ends anything
    target: str = ""
    came_by: Links | None = None  # None: any
    goes_by: Links | None = None
    published: bool = False  # only for packets with a translated destination
    other: bool = False  # only for packets that have some other property, too
    translates: bool = False
    captures: tuple[Capture, ...] = ()
    maps: tuple[tuple[str, Json], ...] = ()  # maps by name that say where a packet is led, with their key
    opaque: bool = False  # what it translates is seen by iptables only


@dataclass
class Chain:
    """A chain; one without a hook is only jumped to."""

    name: str
    kind: str = ""  # filter, nat, ...
    hook: str = ""
    policy: str = ""
    rules: list[Rule] = field(default_factory=list)


@dataclass
class Table:
    """A table of others; ``store`` is ``nft`` or ``legacy``."""

    store: str
    family: str  # ip, ip6 or inet
    name: str
    chains: dict[str, Chain] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.store == "legacy":
            return "legacy %s table %s" % ("iptables" if self.family == "ip" else "ip6tables", self.name)
        return "table %s %s" % (self.family, self.name)

    def concerns(self, version: int) -> bool:
        """Whether packets of an IP version pass it."""
        return self.family in ("inet", "ip" if version == 4 else "ip6")


# From an endpoint to the outside, to a published port, and to an endpoint's own address.
OUT, PUBLISHED, DIRECT = WAYS = ("out", "published", "direct")


@dataclass(frozen=True)
class Packet:
    """The first one of a connection of ours through the host."""

    bridge: str
    way: str = OUT
    link: str = ""  # the other end, where it is known


# ---- what becomes of a packet ------------------------------------------------------------------------------------


def fate(table: Table, base: Chain, packet: Packet, skip: t.Container[str] = ()) -> str:
    """What drops the packet, as a clause; empty when nothing is sure to. Chains to ``skip`` are taken as empty."""
    found = _walk(table, base, packet, True, skip)
    if found is None:
        return "policy drop" if base.policy == "drop" else ""
    verdict, place = found
    if verdict == "accept":
        return ""
    return "rule %s" % verdict if place == base.name else "%s in chain %s" % (verdict, place)


def _walk(table: Table, chain: Chain, packet: Packet, sure: bool, skip: t.Container[str]) -> tuple[str, str] | None:
    """The verdict and where it falls; None when the chain comes to none. What may accept a packet of ours is taken to
    be meant for it, and what may drop it is not."""
    for rule in chain.rules:
        likely, certain = _meets(rule, packet)
        certain = certain and sure
        if not likely:
            continue
        if rule.verdict == "accept":
            return ("accept", chain.name)
        if rule.verdict in ("jump", "goto") and rule.target in table.chains and rule.target not in skip:
            found = _walk(table, table.chains[rule.target], packet, certain, skip)
            if found is not None:
                return found
        if not certain:
            continue
        if rule.verdict in ("drop", "reject"):
            return (rule.verdict, chain.name)
        if rule.verdict in ("return", "goto"):
            return None
    return None


def _meets(rule: Rule, packet: Packet) -> tuple[bool, bool]:
    """Whether the rule is likely, and whether it is certain to match."""
    ours, theirs = (rule.came_by, rule.goes_by) if packet.way == OUT else (rule.goes_by, rule.came_by)
    strange = rule.other or (rule.published and packet.way != PUBLISHED)
    if strange or (ours is not None and not ours.take(packet.bridge)):
        return False, False
    if packet.link:
        meets = theirs is None or theirs.take(packet.link)
        return meets, meets
    if theirs is None or theirs.inverted:
        return True, True
    # A rule that names our bridge and another link may be meant for this packet, unless both ends are ours.
    return ours is not None and any(name not in (packet.bridge, _ANY_LINK_OF_OURS) for name in theirs.names), False


def _fits(pattern: str, link: str) -> bool:
    if pattern == _ANY_LINK_OF_OURS:
        return True
    return link.startswith(pattern[:-1]) if pattern[-1:] in ("*", "+") else pattern == link


# ---- from nft ----------------------------------------------------------------------------------------------------


def from_nft(ruleset: t.Iterable[Json], ours: tuple[str, str]) -> list[Table]:
    """The tables of others in what ``nft -j list ruleset`` printed, without chains of ours and the jumps to them."""
    tables: dict[tuple[str, str], Table] = {}
    for item in ruleset:
        kind, body = next(iter(item.items()))
        if kind not in ("chain", "rule") or body["family"] not in ("ip", "ip6", "inet"):
            continue
        place = (body["family"], body["table"])
        name = body["name"] if kind == "chain" else body["chain"]
        if place == ours or name.startswith(CHAIN_PREFIX):
            continue
        table = tables.setdefault(place, Table("nft", *place))
        chain = table.chains.setdefault(name, Chain(name))
        if kind == "chain":
            chain.kind, chain.hook = body.get("type", ""), body.get("hook", "")
            chain.policy = body.get("policy", "")
        elif body.get("comment") != COLLECTION:
            rule = _rule_of_nft(body["expr"])
            if not rule.target.startswith(CHAIN_PREFIX):
                chain.rules.append(rule)
    return list(tables.values())


def _rule_of_nft(statements: t.Sequence[Json]) -> Rule:
    known: dict[str, t.Any] = {}
    fields: list[dict[str, t.Any]] = [{}]
    for statement in statements:
        name, body = next(iter(statement.items()))
        if name == "match":
            _read_match(body, known, fields)
        elif name in ("accept", "drop", "reject", "return"):
            known["verdict"] = name
        elif name in ("jump", "goto"):
            known.update(verdict=name, target=body["target"])
        elif name in _TRANSLATIONS:
            known["translates"] = True
            if name in ("dnat", "redirect"):
                _read_destination(name, body or {}, known, fields)
        elif name == "xt":
            _read_xt(body or {}, known)
        elif name not in ("counter", "log", "comment"):
            known["other"] = True
    return Rule(**known)


def _read_match(body: Json, known: dict[str, t.Any], fields: list[dict[str, t.Any]]) -> None:
    left, right = body["left"], body["right"]
    inverted = body["op"] == "!="
    key = left.get("meta", {}).get("key") if isinstance(left, dict) else None
    if key in _LINK_KEYS:
        names = tuple(_link(value, key) for value in _alternatives(right))
        known["came_by" if _LINK_KEYS[key] else "goes_by"] = Links(names, inverted)
    elif isinstance(left, dict) and left.get("ct", {}).get("key") == "status" and right in ("dnat", ["dnat"]):
        known["published"] = not inverted
        known["other"] = known.get("other", False) or inverted
    else:
        known["other"] = True
        if not inverted:
            # each alternative may still hold with each of those found before
            new = [dict(zip(_names(left), _parts(value))) for value in _alternatives(right)]
            fields[:] = [{**one, **{k: v for k, v in two.items() if k}} for one in fields for two in new]


def _read_destination(name: str, body: Json, known: dict[str, t.Any], fields: list[dict[str, t.Any]]) -> None:
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


def captures_of_map(key: Json, elements: t.Iterable[Json]) -> tuple[Capture, ...]:
    """What the elements of a map capture, ``key`` being what is looked up in it."""
    result: list[Capture] = []
    for element in elements:
        if not isinstance(element, list):
            continue
        wanted, value = element
        if isinstance(wanted, dict) and "elem" in wanted:
            wanted = wanted["elem"]["val"]
        parts = [*_parts(value), None]
        result += _capture(dict(zip(_names(key), _parts(wanted))), _target(parts[0], parts[1]))
    return tuple(result)


def _read_xt(body: Json, known: dict[str, t.Any]) -> None:
    name = body.get("name", "")
    if body.get("type") == "target":
        if name in _CLOSING_TARGETS:
            known["verdict"] = "reject" if name == "REJECT" else "drop"
        known["translates"] = known["opaque"] = name in _TRANSLATING_TARGETS
    elif name != "comment":
        known["other"] = True


def _link(value: Json, key: str) -> str:
    if key.endswith("group"):
        return _ANY_LINK_OF_OURS if value == LINK_GROUP else "group %s" % value
    return str(value)


def _alternatives(value: Json) -> list[Json]:
    if isinstance(value, dict) and "set" in value:
        inner = value["set"]
        return list(inner) if isinstance(inner, list) else [inner]
    return list(value) if isinstance(value, list) else [value]


def _parts(value: Json) -> list[Json]:
    return list(value["concat"]) if isinstance(value, dict) and "concat" in value else [value]


def _names(expression: Json) -> list[str]:
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


def _capture(fields: t.Mapping[str, Json], leads: str) -> t.Iterator[Capture]:
    """Only rules that name ports count: another one translates whole addresses."""
    to = _network(fields.get("to"))
    for name in ("tcp", "udp", "sctp", "th"):
        ports = _ports(fields.get(name))
        if ports is not None:
            yield Capture(ports, str(fields.get("protocol", "")) if name == "th" else name, to, leads)


def _ports(value: Json) -> PortRange | None:
    if isinstance(value, dict) and "range" in value:
        first, last = value["range"]
        return PortRange(int(first), int(last))
    return PortRange(value, value) if isinstance(value, int) else None


def _network(value: Json) -> Network | None:
    if isinstance(value, dict) and "prefix" in value:
        value = "%s/%s" % (value["prefix"]["addr"], value["prefix"]["len"])
    try:
        return ipaddress.ip_network(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _target(address: Json, port: Json) -> str:
    if isinstance(port, dict) and "range" in port:
        port = "%s-%s" % tuple(port["range"])
    if not isinstance(address, str):
        return "leads it to port %s of this host" % port if port else "leads it elsewhere"
    try:
        text = bracketed(ipaddress.ip_address(address)) if port else address
    except ValueError:
        text = address
    return "leads it to %s%s" % (text, ":%s" % port if port else "")


# ---- from iptables-save ------------------------------------------------------------------------------------------

_HOOKS = {"PREROUTING": "prerouting", "FORWARD": "forward", "OUTPUT": "output", "POSTROUTING": "postrouting"}


def from_save(dump: str, store: str, version: int) -> list[Table]:
    """The tables in what iptables-save printed, without chains of ours and the jumps to them."""
    tables: list[Table] = []
    for line in dump.splitlines():
        if line.startswith("*"):
            tables.append(Table(store, "ip" if version == 4 else "ip6", line[1:].strip()))
        elif line.startswith(":") and CHAIN_PREFIX not in line:
            name, policy = line[1:].split()[:2]
            hooked = policy != "-"
            kind = ("nat" if tables[-1].name == "nat" else "filter") if hooked else ""
            chain = Chain(name, kind, _HOOKS.get(name, "input") if hooked else "", policy.lower() if hooked else "")
            tables[-1].chains[name] = chain
        elif line.startswith("-A "):
            unused, name, *rest = words(line)
            rule = _rule_of_iptables(rest)
            if name in tables[-1].chains and rule is not None:
                tables[-1].chains[name].rules.append(rule)
    return tables


# What these are followed by may look like an option.
_FREE_TEXT = ("--comment", "--log-prefix", "--string")


def options(rule: t.Sequence[str]) -> dict[str, str]:
    """The options of a rule and their values; an inverted one begins with ``! ``, matches are ``-m NAME``."""
    found: dict[str, str] = {}
    inverted = ""
    last = ""
    for word in rule:
        if word == "!":
            inverted = "! "
        elif word.startswith("-") and not (last in _FREE_TEXT and not found[last]):
            last, inverted = inverted + word, ""
            found.setdefault(last, "")
        elif last == "-m":
            found["-m " + word] = ""
        else:
            found[last] = word
    found.pop("-m", None)
    return found


_HARMLESS = frozenset(("-j", "-g", "-m comment", "--comment", "-m devgroup", "-m conntrack", "--reject-with"))
_LINK_OPTIONS = {"-i": "came_by", "-o": "goes_by", "--src-group": "came_by", "--dst-group": "goes_by"}


def _rule_of_iptables(rule: t.Sequence[str]) -> Rule | None:
    """None for a rule of ours."""
    found = options(rule)
    target = found.get("-g") or found.get("-j", "")
    if found.get("--comment") == COLLECTION or target.startswith(CHAIN_PREFIX):
        return None
    known: dict[str, t.Any] = {}
    for option, value in found.items():
        plain = option[2:] if option.startswith("! ") else option
        if plain in _LINK_OPTIONS:
            name = value if plain in ("-i", "-o") else _group(value)
            known[_LINK_OPTIONS[plain]] = Links((name,), option != plain)
        elif option == "--ctstate" and value == "DNAT":
            known["published"] = True
        elif option not in _HARMLESS:
            known["other"] = True
    if target in ("ACCEPT", "DROP", "REJECT", "RETURN"):
        known["verdict"] = target.lower()
    elif target in _TRANSLATING_TARGETS:
        known.update(translates=True, captures=tuple(_captures_of_iptables(found, target)))
    elif target:
        known.update(verdict="goto" if "-g" in found else "jump", target=target)
    return Rule(**known)


def _group(value: str) -> str:
    return _ANY_LINK_OF_OURS if int(value.partition("/")[0], 0) == LINK_GROUP else "group %s" % value


def _captures_of_iptables(found: t.Mapping[str, str], target: str) -> t.Iterator[Capture]:
    leads = "leads it to %s" % found.get("--to-destination", "elsewhere")
    if target == "REDIRECT":
        leads = "leads it to port %s of this host" % found.get("--to-ports", "")
    elif target != "DNAT":
        return
    text = found.get("--dport") or found.get("--dports") or ""
    for word in text.split(",") if text else ():
        first, unused, last = word.partition(":")
        ports = PortRange(int(first or 0), int(last or (first if not unused else _ALL_PORTS.last)))
        yield Capture(ports, found.get("-p", ""), _network(found.get("-d")), leads)
