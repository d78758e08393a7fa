# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces that accept router advertisements, and must still accept them while the host forwards IPv6."""

from __future__ import annotations

import typing as t

from .. import model
from ..kernel import state
from ..world import World, is_ours

_KEY = "net/ipv6/conf/%s/accept_ra"
# New interfaces get this value. The one for all has no effect (ipv6_accept_ra() in the kernel).
_DEFAULT = _KEY % "default"
# Ports of these have no IP address of their own.
_TAKE_ALL = ("bridge", "bond", "team")


def listening(found: t.Mapping[str, str], world: World) -> list[str]:
    """The keys of uplinks that accept advertisements, and the key for future interfaces.

    ``found`` has the values from before our first change.
    """
    keys = [key for key in found if key.endswith("/accept_ra")]
    names = ["default", *(link.name for link in world.links().values() if _may_be_uplink(link, world))]
    new = [key for key in (_KEY % name for name in names) if key not in found and _listens(key, found, world)]
    return sorted(keys + new)


def _listens(key: str, found: t.Mapping[str, str], world: World) -> bool:
    """Whether an interface accepts them. After our change, new interfaces begin with 2; a 2 from before it is kept."""
    value = world.sysctl(model.HOST, key)
    return value == "1" or (value == "2" and _DEFAULT not in found)


def born_listening(found: t.Mapping[str, str], world: World) -> dict[str, str]:
    """The keys of interfaces that are newer than our change, with the values that they would have without it."""
    if _DEFAULT not in found:
        return {}
    keys = [_KEY % link.name for link in world.links().values() if _may_be_uplink(link, world)]
    return {key: found[_DEFAULT] for key in keys if key not in found and world.sysctl(model.HOST, key) == "2"}


def _may_be_uplink(link: state.Link, world: World) -> bool:
    master = world.links().get(link.master)
    return not is_ours(link) and link.name != "lo" and (master is None or master.kind not in _TAKE_ALL)
