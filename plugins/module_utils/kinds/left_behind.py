# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about processes that go on running in a namespace that was removed, and what to do about them."""

from __future__ import annotations

import shlex
import typing as t

from .. import model
from ..world import World


def in_removed(name: str, left: t.Sequence[model.Process], world: World) -> str:
    """The warning about processes in a namespace that is removed."""
    units, others = _sorted(left, world)
    bound = [unit for unit in units if world.units.planned(unit).netns]
    free = [unit for unit in units if unit not in bound]
    remedies = []
    if free:
        remedies.append("'%s' moves it to the host's network" % _command("systemctl", "restart", *free))
    if bound:
        remedies.append(
            "'%s' ends what is bound to the namespace by NetworkNamespacePath=" % _command("systemctl", "stop", *bound)
        )
    if others:
        remedies.append("'%s' ends %s" % (_command("kill", *others), "the others" if units else _them(others)))
    who = model.enumerate_few(list(map(str, left)))
    return "Namespace %s loses its network, and these processes still live in it: %s; %s." % (
        name,
        who,
        ", ".join(remedies),
    )


def in_old(name: str, how: str, left: t.Sequence[model.Process], world: World) -> str:
    """The warning about processes in the old namespace of this name; ``how`` another took its place is a clause."""
    units, others = _sorted(left, world)
    remedies = []
    if units:
        remedies.append("'%s' restarts it in the new one" % _command("systemctl", "restart", *units))
    if others:
        remedies.append(
            "'%s' ends %s, and 'ip netns exec %s COMMAND' starts a program in the new one"
            % (_command("kill", *others), "the others" if units else _them(others), name)
        )
    return "Namespace %s %s; still living in the old one, without a network: %s; %s." % (
        name,
        how,
        model.enumerate_few(list(map(str, left))),
        ", ".join(remedies),
    )


def _sorted(left: t.Sequence[model.Process], world: World) -> tuple[list[str], list[int]]:
    """The services to which processes belong, and the processes that belong to none.

    A shell, and what is started in it, is in a unit as well, such as that of a session, whose restart would not help.
    """
    pids = {process.pid for process in left}
    names = dict.fromkeys(process.unit for process in left if process.unit.endswith(".service"))
    units = [name for name in names if world.systemd() and world.units.planned(name).pid in pids]
    return units, [process.pid for process in left if process.unit not in units]


def _them(pids: t.Sequence[int]) -> str:
    return "it" if len(pids) == 1 else "them"


def _command(*words: object) -> str:
    return shlex.join(map(str, words))
