# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that holds the place of our rules of iptables, if the unit that should have removed it did not do so."""

from __future__ import annotations

from .. import marks, operations
from ..world import World
from .boot_units import CALLERS, HOLD, HOLD_PATH

_AT_WORK = ("activating", "deactivating", "reloading", "refreshing")


def is_left(world: World) -> bool:
    """Whether the table is there, and no unit is about to remove it."""
    if world.file(HOLD_PATH) is None or not world.firewall.foreign.holds_our_place():
        return False
    lifters = (*CALLERS, marks.AFTER_FIREWALLD) if world.systemd() else ()
    return not any(world.units.found(name).active in _AT_WORK for name in lifters)


def lifting(world: World) -> operations.Operation:
    """The step that removes it; this also works if somebody has just done so."""
    return operations.LoadRules(
        ("nft", "-f", "-"), "add table %s\ndelete table %s\n" % (HOLD, HOLD), world.file(HOLD_PATH) or ""
    )
