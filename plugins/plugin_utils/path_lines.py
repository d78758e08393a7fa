# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of path_check, as lines to be read from top to bottom. Pure."""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]

_WAYS = {"there": ">", "back": "<"}


def is_answer(found: object) -> bool:
    """Whether this is what path_check returned."""
    return isinstance(found, t.Mapping) and "verdict" in found


def path_lines(found: Facts, host: str = "") -> list[str]:
    """The lines; ``host`` is what the host is called in them."""
    lines = [str(found.get("packet", ""))]
    rows = [_row(hop, host) for hop in found.get("hops") or ()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines += [("  %s  %s" % ("  ".join(map(str.ljust, row[:3], widths)), row[3])).rstrip() for row in rows]
    lines += ["  conntrack of %s: %s" % (named(e["place"], host), _entry(e)) for e in found.get("conntrack") or ()]
    return [*lines, *verdict_lines(found, host)]


def _row(hop: Facts, host: str) -> tuple[str, str, str, str]:
    what = " ".join(filter(None, (hop.get("layer"), hop.get("object"))))
    return _WAYS.get(hop.get("direction", ""), " "), named(hop.get("place", ""), host), what, hop.get("found", "")


def _entry(entry: Facts) -> str:
    return "%s, answered as %s (%s)" % (entry["original"], entry["reply"], entry["state"])


def verdict_lines(found: Facts, host: str) -> list[str]:
    """The verdict and the remedy."""
    verdict = str(found.get("verdict", "")).upper()
    if found.get("layer") is None:
        return ["%s: %s" % (verdict, found.get("reason", ""))]
    at = "%s at %s, %s: %s" % (verdict, named(found.get("place", ""), host), found["layer"], found.get("reason", ""))
    more = (("Owner: %s", found.get("owner")), ("To fix it: %s", found.get("advice")))
    return [at, *(words % told for words, told in more if told)]


def named(place: str, host: str) -> str:
    """The host by its name in the inventory."""
    name, separator, rest = place.partition(": ")
    return (host or name) + separator + rest if name == "host" else place
