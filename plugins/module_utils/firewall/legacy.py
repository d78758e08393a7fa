# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The legacy back-end: python-iptables."""

from __future__ import annotations

import typing as t

from .backend import Backend


class LegacyBackend(Backend):
    """Rules written through libiptc by python-iptables."""

    name = "legacy"

    def usable(self) -> t.Optional[str]:
        return "python-iptables is not supported yet."
