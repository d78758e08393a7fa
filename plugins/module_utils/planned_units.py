# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd as the steps of a run will leave them.

Few runs start or stop units, so this is loaded when the first of them is planned.
"""

from __future__ import annotations

import typing as t

from . import model

if t.TYPE_CHECKING:
    from .kernel.units import Unit


class _Plan(t.NamedTuple):
    """The wanted state of a unit; None: as it is now."""

    runs: bool | None = None
    enabled: bool | None = None
    netns: str | None = None  # the file of a namespace; empty for the host's own
    anew: bool = False  # whether it starts again, so that none of its present processes stays


class PlannedUnits:
    """The wanted states of units in this run, by their main names."""

    def __init__(self) -> None:
        self._plans: dict[str, _Plan] = {}

    def put(self, name: str, runs: bool | None, enabled: bool | None, netns: str | None, anew: bool) -> None:
        """Add this to the plan for a unit; Conflict if that is something else."""
        plan = self._plans.get(name, _Plan())
        _refuse(name, plan, _Plan(runs, enabled, netns))
        self._plans[name] = _Plan(
            plan.runs if runs is None else runs,
            plan.enabled if enabled is None else enabled,
            plan.netns if netns is None else netns,
            plan.anew or anew,
        )

    def is_enabled(self, name: str) -> bool | None:
        """Whether the unit will start at boot; None if that stays as it is."""
        plan = self._plans.get(name)
        return None if plan is None else plan.enabled

    def applied(self, unit: Unit) -> Unit:
        """The unit as it will be."""
        plan = self._plans.get(unit.name)
        return unit if plan is None else unit.brought_to(plan.runs, plan.enabled, plan.netns, plan.anew)


def _refuse(name: str, plan: _Plan, asked: _Plan) -> None:
    """Raise Conflict for two different wishes: the later step would undo the earlier one, in each run again."""
    one, other = _words(plan), _words(asked)
    for topic in one.keys() & other.keys():
        if one[topic] != other[topic]:
            raise model.Conflict(
                "Unit %s cannot %s and %s at once, and this run asks for both; ask for one of them only."
                % (name, one[topic], other[topic])
            )


def _words(plan: _Plan) -> dict[str, str]:
    """A plan in words, by topic, for a message."""
    found: dict[str, str] = {}
    if plan.runs is not None:
        found["runs"] = "be running" if plan.runs else "be stopped"
    if plan.enabled is not None:
        found["enabled"] = "be enabled" if plan.enabled else "be disabled"
    if plan.netns is not None:
        found["netns"] = "run in %s" % plan.netns if plan.netns else "run on the host's own network"
    return found
