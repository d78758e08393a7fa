# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sides of a diff: short YAML, and for a long one a summary with a line for each network."""

from __future__ import annotations

import typing as t

from .text import to_yaml

if t.TYPE_CHECKING:
    from . import operations

Side = t.Mapping[str, t.Optional[dict[str, object]]]

_LONG = 8  # more objects than this make a diff longer than a screen
_HEADLINES = 5


def sides(before: Side, after: Side, notes: t.Mapping[str, str]) -> tuple[str, str]:
    """The objects that differ, as they were and as they are; notes are about things that are not objects."""
    titles = [title for title in {**before, **after} if before.get(title) != after.get(title)]
    lines = _summary(titles, before, after) if len(titles) > _LONG else []
    head = "".join("# %s\n" % line for line in lines)
    was, will_be = _document(titles, before), to_yaml(notes) + _document(titles, after)
    return (was, head + will_be) if will_be else (head + was, "")


def _document(titles: t.Sequence[str], side: Side) -> str:
    return to_yaml({title: side[title] for title in titles if side.get(title) is not None})


def headlines(steps: t.Sequence[operations.Operation]) -> list[str]:
    """The headlines of steps, a few lines at most."""
    lines = [line for step in steps for line in step.headlines()]
    more = len(lines) - _HEADLINES
    return lines if more <= 0 else [*lines[:_HEADLINES], "and %d more" % more]


def _summary(titles: t.Sequence[str], before: Side, after: Side) -> list[str]:
    """The changes of each network in a line, such as ``network blue: new: 1 bridge, 300 veths``."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for title in titles:
        was, will_be = before.get(title), after.get(title)
        verb = "new" if was is None else "removed" if will_be is None else "changed"
        verbs = counts.setdefault(_owner(will_be or was or {}), {})
        nouns = verbs.setdefault(verb, {})
        noun = title.partition(" ")[0]
        nouns[noun] = nouns.get(noun, 0) + 1
    return ["%s: %s" % (owner, "; ".join(_spelled(*pair) for pair in verbs.items())) for owner, verbs in counts.items()]


def _owner(found: t.Mapping[str, object]) -> str:
    return "network %s" % found["network"] if found.get("network") else "others"


def _spelled(verb: str, nouns: t.Mapping[str, int]) -> str:
    return "%s: %s" % (verb, ", ".join("%d %s%s" % (n, noun, "" if n == 1 else "s") for noun, n in nouns.items()))
