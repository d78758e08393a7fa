# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The closed lists of what the path check can return as verdict and as layer. Mypy rejects any other word."""

from __future__ import annotations

import typing as t

Ending = t.Literal["arrives", "refused", "lost", "unanswered", "unknown"]
ARRIVES: t.Final = "arrives"
REFUSED: t.Final = "refused"
LOST: t.Final = "lost"
UNANSWERED: t.Final = "unanswered"
UNKNOWN: t.Final = "unknown"

Layer = t.Literal[
    "link",
    "address",
    "route",
    "neighbour",
    "bridge_port",
    "forwarding",
    "reverse_path",
    "firewall",
    "masquerade",
    "publish",
    "mtu",
    "conntrack",
    "uplink",
    "upstream",
    "service",
]

ENDINGS: tuple[Ending, ...] = t.get_args(Ending)
LAYERS: tuple[Layer, ...] = t.get_args(Layer)
