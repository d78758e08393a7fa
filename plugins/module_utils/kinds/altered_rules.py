# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the rules on a host are still those that the last run wrote.

Nobody asks for objects here, so what should be there follows from what is left: the rules themselves, which contradict
one another if one of them is missing, the objects that are kept for the boot, and the note of forwarding.
"""

from __future__ import annotations

import contextlib
import typing as t

from .. import arguments, engine, marks, model
from ..report import HostReport
from ..world import World
from .boot_record import WAITS, BootRecord, Unusable, parse
from .forward_record import limits, load
from .registry import ROWS

_SHOWN = 8
# The kinds whose objects are rules. To ask each kind whether it is one of them would load them all.
RULE_KINDS = ("bridge_firewall", "nat_masquerade", "port_publish")


def altered_rules(world: World, report: HostReport) -> tuple[str, ...]:
    """What others have removed or altered, by name."""
    if not world.firewall.readable():
        return ()
    record = _record(world)
    lost = _without_policy(report) if record is None else _lost(record, world)
    found = [*lost, *world.firewall.altered(*limits(load(world)))]
    return tuple(model.first_few(found, _SHOWN))


def _record(world: World) -> BootRecord | None:
    """What each run keeps for the boot; None if runs keep nothing."""
    text = world.file(marks.BOOT_OBJECTS)
    if text is None or world.file(marks.UNITS + marks.BOOT_UNIT) is None:
        return None
    try:
        return parse(text)
    except Unusable:
        return None


def _lost(record: BootRecord, world: World) -> t.Iterator[str]:
    """The objects on record whose rules are not as they were made. Those of an object that waits come later."""
    for row in ROWS:
        kept = [o for (kind, unused), o in record.objects.items() if kind == row.name and WAITS not in o]
        if kept and row.name in RULE_KINDS:
            yield from _differing(row.load(), kept, world)


def _differing(kind: engine.AnyKind, kept: t.Iterable[arguments.Options], world: World) -> t.Iterator[str]:
    for options in kept:
        # an older release may have kept what this one refuses
        with contextlib.suppress(model.InvalidRequest):
            item = kind.parse(options)
            there = kind.observed(item, world)
            if there != kind.wanted(item, there, world):
                yield kind.title(item)


def _without_policy(report: HostReport) -> list[str]:
    """The bridges without a policy of networks that the role has made: no single module writes files of names."""
    labels = {file.network for file in report.files if file.network}
    bare = (item for item in report.networks if item.ours and item.policy is None and item.network in labels)
    return ["firewall of bridge %s" % item.bridge for item in bare]
