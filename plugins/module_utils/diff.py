# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sides of a diff: short YAML, and for a long one a summary with a line for each network."""

from __future__ import annotations

import typing as t

from .model import first_few
from .text import to_yaml

if t.TYPE_CHECKING:
    from . import operations

Object = t.Mapping[str, object]
Side = t.Mapping[str, t.Optional[dict[str, object]]]

_LONG = 8  # more objects than this make a diff longer than a screen
_HEADLINES = 5


def sides(before: Side, after: Side, notes: t.Mapping[str, str]) -> tuple[str, str]:
    """The objects that differ, as they were and as they are; notes are about things that are not objects.

    Objects on one side only come first, then, in the same order on both sides, those that change. So a program that
    compares lines shows an old value right above the new one.
    """
    titles = [title for title in {**before, **after} if before.get(title) != after.get(title)]
    lines = _summary(titles, before, after) if len(titles) > _LONG else []
    head = "".join("# %s\n" % line for line in lines)
    was: dict[str, object] = {}
    will_be: dict[str, object] = {}
    pairs = [(title, before.get(title), after.get(title)) for title in titles]
    for title, old, new in sorted(pairs, key=lambda pair: None not in pair):
        if old is None:
            will_be[title] = new
        elif new is None:
            was[title] = old
        else:
            was[title], will_be[title] = _differing(old, new)
    now = to_yaml({**notes, **will_be})
    return (to_yaml(was), head + now) if now else (head + to_yaml(was), "")


def _differing(old: Object, new: Object, inner: bool = False) -> tuple[dict[str, object], dict[str, object]]:
    """What differs of an object, on both sides, with a few values that tell it from others.

    There are so few of these that the title is among the three lines that Ansible shows above a change, even above one
    inside a mapping.
    """
    same = [key for key, value in old.items() if key in new and new[key] == value and isinstance(value, (str, int))]
    nested = [key for key in old if isinstance(old[key], dict) and isinstance(new.get(key), dict)]
    nested = [key for key in nested if old[key] != new[key]]
    telling = same[: 0 if inner and old.keys() == new.keys() else 1 if inner or nested else 2]
    was: dict[str, object] = {}
    will_be: dict[str, object] = {}
    for key in {**old, **new}:
        one, other = old.get(key), new.get(key)
        if key in nested:
            was[key], will_be[key] = _differing(t.cast("Object", one), t.cast("Object", other), inner=True)
        elif one != other or (key in old) is not (key in new) or key in telling:
            was.update({key: one} if key in old else {})
            will_be.update({key: other} if key in new else {})
    return was, will_be


def headlines(steps: t.Sequence[operations.Operation]) -> list[str]:
    """The headlines of steps, a few lines at most."""
    return first_few([line for step in steps for line in step.headlines()], _HEADLINES)


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
