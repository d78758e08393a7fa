# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is between the JSON of nft and its text: rules as text, and the devices of chains, which only the text has."""

from __future__ import annotations

import re
import typing as t

Json = t.Any  # what ``nft -j`` prints

LINK_HOOKS = ("ingress", "egress")
_LINES = re.compile(
    r"^table (?P<family>\S+) (?P<table>\S+) \{|^\s*chain (?P<chain>\S+) \{"
    r"|^\s*type \S+ hook (ingress|egress) (device|devices =) (?P<devices>\{[^}]*\}|\S+)",
    re.MULTILINE,
)


def add_devices(listing: t.Iterable[Json], chains: t.Callable[[], str]) -> None:
    """Add the devices of chains to a listing in JSON that lacks them (nft 1.0); ``chains`` lists chains as text."""
    hooked = [item["chain"] for item in listing if item.get("chain", {}).get("hook") in LINK_HOOKS]
    missing = [chain for chain in hooked if "dev" not in chain]
    known = _devices(chains()) if missing else {}
    for chain in missing:
        chain["dev"] = known.get((chain["family"], chain["table"], chain["name"]), [])


def _devices(text: str) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    family = table = chain = ""
    for line in _LINES.finditer(text):
        if line["table"]:
            family, table = line["family"], line["table"]
        elif line["chain"]:
            chain = line["chain"]
        else:
            found[family, table, chain] = re.findall(r'[^\s{},"]+', line["devices"])
    return found


def text_of(statements: t.Sequence[Json]) -> str:
    """A rule roughly as nft prints it, so that the user recognises it."""
    return " ".join(filter(None, (_said(*_only(statement)) for statement in statements)))


def _said(name: str, body: Json) -> str:
    if name == "match":
        is_plain = body["op"] in ("==", "in") and not (isinstance(body["left"], dict) and "&" in body["left"])
        operator = "" if is_plain else body["op"] + " "
        return "%s %s%s" % (_expression(body["left"]), operator, _right(body["right"]))
    if name == "counter":
        return ""
    if name in ("jump", "goto"):
        return "%s %s" % (name, body["target"])
    if name in ("dnat", "snat") and isinstance(body, dict):
        port = ":%s" % _expression(body["port"]) if body.get("port") is not None else ""
        return "%s to %s%s" % (name, _expression(body.get("addr", "")), port)
    if name == "limit" and isinstance(body, dict):
        over = "over " if body.get("inv") else ""
        return "limit rate %s%s/%s" % (over, body.get("rate"), body.get("per", "second"))
    if name == "vmap":
        return "%s vmap %s" % (_expression(body["key"]), _map(body["data"]))
    if name == "mangle":
        return "%s set %s" % (_expression(body["key"]), _expression(body["value"]))
    if name == "xt" and isinstance(body, dict):
        return "xt %s %s" % (body.get("type", ""), body.get("name", ""))
    return name


def _right(body: Json) -> str:
    """What a match compares with: flags come as a list, and a route either exists or is missing."""
    if isinstance(body, bool):
        return "exists" if body else "missing"
    flags = body.get("|", ()) if isinstance(body, dict) else body if isinstance(body, list) else ()
    return ",".join(map(_expression, flags)) or _expression(body)


def _map(data: Json) -> str:
    """A map of verdicts, which may be known by its name only."""
    pairs = data.get("set", ()) if isinstance(data, dict) else ()
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs) or not pairs:
        return _expression(data)
    return "{ %s }" % ", ".join("%s : %s" % (_expression(key), text_of([verdict])) for key, verdict in pairs)


def _expression(body: Json) -> str:
    if isinstance(body, list):
        return "{ %s }" % ", ".join(_expression(part) for part in body)
    if not isinstance(body, dict):
        return str(body)
    kind, facts = _only(body)
    if kind == "payload":
        return "%s %s" % (facts.get("protocol", "@"), facts.get("field", ""))
    if kind == "meta":
        return "%s%s" % ("" if facts["key"].endswith(("name", "group")) else "meta ", facts["key"])
    if kind in ("ct", "socket", "rt"):
        return "%s %s" % (kind, facts["key"])
    if kind == "fib":
        flags = facts["flags"]
        return "fib %s %s" % (flags if isinstance(flags, str) else " . ".join(flags), facts["result"])
    if kind == "prefix":
        return "%s/%s" % (facts["addr"], facts["len"])
    if kind == "range":
        return "-".join(str(bound) for bound in facts)
    if kind == "concat":
        return " . ".join(_expression(part) for part in facts)
    if kind == "set":
        return _expression(facts if isinstance(facts, list) else [facts])
    if kind == "elem":
        return _expression(facts["val"])
    if kind in ("&", "|"):
        return (" %s " % kind).join(_part(part) for part in facts)
    return str(kind)


def _part(body: Json) -> str:
    """A part of a calculation, such as the flags of a mask."""
    return "(%s)" % " | ".join(map(_expression, body)) if isinstance(body, list) else _expression(body)


def _only(statement: Json) -> tuple[str, Json]:
    if isinstance(statement, str):
        return statement, None
    name, body = next(iter(statement.items()))
    return str(name), body
