# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is on a host will be there after a boot."""

from __future__ import annotations

from .. import marks, model
from ..kernel import archive
from ..report import HostReport
from ..world import World
from .boot_record import BootRecord, Unusable, parse, sum_of


def at_boot(world: World, report: HostReport) -> str:
    """Yes or no, and why."""
    text = world.file(marks.BOOT_OBJECTS)
    if text is None:
        return "no: nothing is kept for it"
    if not world.units.is_enabled(marks.BOOT_UNIT):
        return "no: its unit is not enabled"
    program = world.program(marks.BOOT_ENGINE)
    if program is None:
        return "no: %s is not there" % marks.BOOT_ENGINE
    if not archive.sums(program):
        return "no: %s is damaged" % marks.BOOT_ENGINE
    try:
        record = parse(text)
    except Unusable as error:
        return "no: %s: %s" % (marks.BOOT_OBJECTS, error)
    newer, damaged = _newer(record, report), _damaged(record, world)
    waiting = [title for unused, title in record.waiting()]
    doubts = ["without newer objects (%s)" % model.enumerate_few(newer)] if newer else []
    if waiting:
        doubts.append(
            "without objects that wait for other programs or for their processes (%s)" % model.enumerate_few(waiting)
        )
    if damaged:
        what = "with files missing or altered that the next run of the playbook writes again (%s)"
        doubts.append(what % model.enumerate_few(damaged))
    return ", ".join(["yes", *doubts])


def _damaged(record: BootRecord, world: World) -> list[str]:
    """The files that are not as the last run wrote them."""
    there = {path: world.file(path) for path in record.sums}
    return [path for path, text in there.items() if text is None or sum_of(text) != record.sums[path]]


def _newer(record: BootRecord, report: HostReport) -> list[str]:
    """The objects that are there and not on record: made while nothing was kept, or by an older release."""
    titles = {title for unused, title in record.objects}
    found = ["bridge %s" % network.bridge for network in report.networks if network.present and network.ours]
    found += ["namespace %s" % item.name for item in report.namespaces if item.ours]
    found += ["veth %s" % endpoint.veth for endpoint in report.endpoints]
    return [title for title in found if title not in titles]
