# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet as it was seen on each link, with its answer beside it, and the entry of connection tracking. Pure.

There is a row for each link, in the order of the packet's path. The entry goes into the same two columns: its original
direction is the packet as the host received it, and its reply direction is the answer that the host expects.
"""

from __future__ import annotations

import typing as t

from .path_lines import Facts, named, verdict_lines

_HEAD = ("where", "the packet", "its answer")
_SAME = '"'
_MIRRORED = {"in": "out", "out": "in"}
_Row = tuple[str, str, str]
_Link = tuple[str, str, str]  # place, interface, and the way in which the packet passes it


def proof_lines(found: Facts, host: str = "") -> list[str]:
    """The lines; ``host`` is what the host is called in them."""
    seen = found.get("seen") or ()
    lines = [str(found.get("packet", "")), ""]
    if not seen:
        return [*lines, "No packet was sent, so there is nothing to show.", *verdict_lines(found, host)]
    lines += _table(_rows(seen, host), [_entry(entry, host) for entry in found.get("conntrack") or ()])
    return [*lines, "", *(_changes(seen, host) or _unchanged(found)), *verdict_lines(found, host)]


def _rows(seen: t.Sequence[Facts], host: str) -> list[_Row]:
    there = {_link(item): item for item in seen if item["direction"] == "there"}
    back = {_link(item): item for item in reversed(seen) if item["direction"] == "back"}
    known = {**back, **there}
    return [
        (_place(known[link], host), _packet(there.get(link)), _packet(back.get(link)))
        for link in [*there, *(link for link in back if link not in there)]
    ]


def _link(item: Facts) -> _Link:
    """The link that a packet passed. An answer leaves where the packet came in, so its direction is reversed."""
    way = item["way"] if item["direction"] == "there" else _MIRRORED[item["way"]]
    return item["place"], item["interface"], way


def _place(item: Facts, host: str) -> str:
    uplink = " (uplink)" if item["layer"] == "uplink" else ""
    return "%s: %s%s" % (named(item["place"], host), item["interface"], uplink)


def _packet(item: Facts | None) -> str:
    return "%s > %s" % (item["source"], item["destination"]) if item is not None else "not seen"


def _entry(entry: Facts, host: str) -> _Row:
    return "conntrack of %s" % named(entry["place"], host), entry["original"], "%(reply)s  (%(state)s)" % entry


def _table(rows: t.Sequence[_Row], entries: t.Sequence[_Row]) -> list[str]:
    everything = [_HEAD, *rows, *entries]
    widths = [max(len(row[column]) for row in everything) for column in range(3)]
    rule = "─┼─".join("─" * width for width in widths)
    parts = [[_HEAD], _without_repetitions(rows), *([entries] if entries else [])]
    lines: list[str] = []
    for part in parts:
        lines += [*([rule] if lines else []), *(" │ ".join(map(str.ljust, row, widths)).rstrip() for row in part)]
    return lines


def _without_repetitions(rows: t.Sequence[_Row]) -> list[_Row]:
    """The rows with a ditto mark for a packet that has not changed since the link before, so that changes stand out."""
    pairs = zip(rows, [("", "", ""), *rows])
    return [(row[0], *(_SAME if row[n] == last[n] else row[n] for n in (1, 2))) for row, last in pairs]  # type: ignore[misc]


def _changes(seen: t.Sequence[Facts], host: str) -> list[str]:
    """The translations of the packet on its way to the destination."""
    there = [item for item in seen if item["direction"] == "there"]
    pairs = list(zip(there, there[1:]))
    found = [_change(end, *pair, host) for pair in pairs for end in ("source", "destination")]
    return [line for line in found if line]


def _unchanged(found: Facts) -> list[str]:
    """Says that nothing was translated if the packet got far enough to tell: a lost one was perhaps lost after that."""
    seen = found["seen"]
    last = [item for item in seen if item["direction"] == "there"][-1:]
    left = any((item["layer"], item["way"]) == ("uplink", "out") for item in last)
    whole = found.get("verdict") == "arrives" or left or any(item["direction"] == "back" for item in seen)
    return ["Nothing was translated."] if whole else []


def _change(end: str, one: Facts, other: Facts, host: str) -> str:
    if one[end] == other[end]:
        return ""
    where = "between %s and %s" % (one["interface"], other["interface"])
    return "%s changed the %s %s: %s -> %s" % (named(other["place"], host), end, where, one[end], other[end])
