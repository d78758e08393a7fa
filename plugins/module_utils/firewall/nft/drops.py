# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that our rules have dropped, as nftables has counted them."""

from __future__ import annotations

import typing as t

from ... import model
from .. import reasons
from . import names
from .table import Table

_REASONS = {
    names.DROPPED_DIRECT: reasons.DIRECT,
    names.DROPPED_PRIVATE: reasons.PRIVATE,
    names.DROPPED_OUT: reasons.OUT,
    names.DROPPED_IN: reasons.IN,
    names.DROPPED_CLOSED: reasons.CLOSED,
    names.DROPPED_HOST: reasons.HOST,
}


def read(table: Table) -> t.Iterator[model.Drop]:
    """The counts for each reason and bridge, and for reasons without a bridge."""
    for (place, what), packets in table.packets.items():
        if place in _REASONS and what != _REASONS[place]:  # the rule that drops what the set of that name has counted
            yield model.Drop(what, _REASONS[place], packets)
        elif what in reasons.OF_THE_HOST:
            yield model.Drop("", what, packets)
