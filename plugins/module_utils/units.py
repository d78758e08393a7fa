# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd as a plan sees them: as they are, with the changes by earlier steps of the same run.

The run of a single module often has nothing to do with units, so the world loads this when it is needed.
"""

from __future__ import annotations

import typing as t

from . import marks, model

if t.TYPE_CHECKING:
    from .kernel.host import Host
    from .kernel.units import Unit


class _Plan(t.NamedTuple):
    """The wanted state of a unit; None: as it is now."""

    runs: bool | None = None
    enabled: bool | None = None
    netns: str | None = None  # the file of a namespace; empty for the host's own
    anew: bool = False  # whether it starts again, so that none of its present processes stays


class Units:
    """Reads each unit once, when it is needed, and notes what the plan will change of it."""

    def __init__(self, host: Host, claimed: set[str], file: t.Callable[[str], str | None]) -> None:
        """``claimed`` are the units that the run may start, stop or restart; ``file`` returns a file as it will be."""
        self._host = host
        self._claimed = claimed
        self._file = file
        self._found: dict[str, Unit] = {}
        self._plans: dict[str, _Plan] = {}  # by the main names of units
        self._services: dict[str, tuple[str, str]] | None = None

    def found(self, name: str) -> Unit:
        """A unit as it was before this run. All units that the run may change are read at once."""
        if name not in self._found:
            self._found.update(self._host.read_units(sorted({name, *self._claimed} - set(self._found))))
        return self._found[name]

    def started(self, name: str) -> Unit:
        """Like planned(), but if the unit is starting at this moment, wait until it has started."""
        if self.found(name).active == "activating":
            # this joins the start that is under way
            self._host.call(("systemctl", "start", "--job-mode=ignore-dependencies", name))
            del self._found[name]
        return self.planned(name)

    def planned(self, name: str) -> Unit:
        """A unit as it will be when the steps planned so far are done."""
        unit = self.found(name)
        plan = self._plans.get(unit.name)
        return unit if plan is None else unit.brought_to(plan.runs, plan.enabled, plan.netns, plan.anew)

    def is_enabled(self, name: str) -> bool:
        """Whether a unit of ours will start at boot.

        This looks for the link that enables it: systemd does not notice at once when that is removed, and may not be
        running here.
        """
        plan = self._plans.get(name)
        if plan is None or plan.enabled is None:
            return self._file(marks.enabled_by(name)) is not None
        return plan.enabled

    def put(
        self,
        name: str,
        runs: bool | None = None,
        enabled: bool | None = None,
        netns: str | None = None,
        anew: bool = False,
    ) -> None:
        """Note that this run wants a unit to run or not, to be enabled or not, and to be in the namespace of this file.

        ``netns`` is empty for the host's own namespace; ``anew`` is for a unit that is started or restarted. Raises
        Conflict if the same run also wants something else of the unit.
        """
        plan = self._plans.get(name, _Plan())
        _refuse(name, plan, _Plan(runs, enabled, netns))
        self._plans[name] = _Plan(
            plan.runs if runs is None else runs,
            plan.enabled if enabled is None else enabled,
            plan.netns if netns is None else netns,
            plan.anew or anew,
        )

    def unmounted(self, unit: Unit, mounts: t.Mapping[str, str]) -> t.Sequence[str]:
        """The places at which a running unit does not see the file that ``mounts`` has for the place."""
        return self._host.unmounted(unit.pid, mounts) if unit.pid else ()

    def deleted(self, unit: Unit, places: t.Iterable[str]) -> t.Collection[str]:
        """Those of the places at which a running unit has mounted a file that has been deleted."""
        return self._host.deleted(unit.pid, places)

    def services(self) -> t.Mapping[str, tuple[str, str]]:
        """The units that a drop-in of ours puts into a namespace, each with the namespace and its label, as of now."""
        if self._services is None:
            folders = [name for name in self._host.folder(marks.UNITS[:-1]) if name.endswith(".service.d")]
            texts = {name[:-2]: self._host.read_file(marks.drop_in(name[:-2])) for name in folders}
            found = {unit: marks.service_of(text) for unit, text in texts.items() if text is not None}
            self._services = {unit: service for unit, service in found.items() if service is not None}
        return self._services


def _refuse(name: str, plan: _Plan, asked: _Plan) -> None:
    """Raise Conflict for two different wishes: in each run, the later step would undo the earlier one."""
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
