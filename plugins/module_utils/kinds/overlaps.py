# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds subnets that overlap, without comparing each with all others."""

from __future__ import annotations

import typing as t

from .. import model

Owned = tuple[model.Network, str]


def first_overlap(subnets: t.Iterable[Owned]) -> tuple[Owned, Owned] | None:
    """Two subnets of different owners that overlap, in the order in which they were given; None when there are none."""
    given = list(subnets)
    # Two subnets are either nested or apart. In this order a subnet follows the one that contains it, and only other
    # subnets inside that one stand between them.
    order = sorted(range(len(given)), key=lambda index: (given[index][0].version, given[index][0]))
    around = -1
    for index in order:
        if around < 0 or not model.lies_in(given[index][0], given[around][0]):
            around = index
        elif given[index][1] != given[around][1]:
            return given[min(index, around)], given[max(index, around)]
    return None
