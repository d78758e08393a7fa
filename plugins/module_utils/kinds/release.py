# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarding ends with the last object that needed it, whichever module removes that object."""

from __future__ import annotations

import typing as t

from .. import engine, model
from ..world import World
from .forward_record import KEPT, load


def release(world: World) -> t.Sequence[engine.AnyRequest]:
    """The request to check what is still needed; none if nothing is forwarded for objects alone."""
    if load(world).of(KEPT) is None:
        return ()
    from .sysctl_forward import SysctlForwardKind

    return (engine.Request(SysctlForwardKind(), model.Forwarding(asked_by=KEPT), "absent"),)
