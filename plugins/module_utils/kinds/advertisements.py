# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces that take router advertisements, and go on to do so while the host forwards IPv6."""

from __future__ import annotations

import typing as t

from ..kernel.state import Link
from ..model import HOST
from ..world import World, is_ours

_KEY = "net/ipv6/conf/%s/accept_ra"
# An interface to come has this value; the one for all is for nothing (ipv6_accept_ra() in the kernel).
_DEFAULT = _KEY % "default"
# Their ports have no IP of their own.
_TAKE_ALL = ("bridge", "bond", "team")


def listening(found: t.Mapping[str, str], world: World) -> list[str]:
    """The keys of uplinks, by what ``found`` knows of them and by what is there, and the one of those to come."""
    keys = [key for key in found if key.endswith("/accept_ra")]
    names = ["default", *(link.name for link in world.links().values() if _may_be_uplink(link, world))]
    new = [key for key in (_KEY % name for name in names) if key not in found and _listens(key, found, world)]
    return sorted(keys + new)


def _listens(key: str, found: t.Mapping[str, str], world: World) -> bool:
    """2 is what an interface is born with after we have been here; before, somebody wanted it so, and it stays."""
    value = world.sysctl(HOST, key)
    return value == "1" or (value == "2" and _DEFAULT not in found)


def born_listening(found: t.Mapping[str, str], world: World) -> dict[str, str]:
    """The interfaces that have come since, and the value that they would have without us."""
    if _DEFAULT not in found:
        return {}
    keys = [_KEY % link.name for link in world.links().values() if _may_be_uplink(link, world)]
    return {key: found[_DEFAULT] for key in keys if key not in found and world.sysctl(HOST, key) == "2"}


def _may_be_uplink(link: Link, world: World) -> bool:
    master = world.links().get(link.master)
    return not is_ours(link) and link.name != "lo" and (master is None or master.kind not in _TAKE_ALL)
