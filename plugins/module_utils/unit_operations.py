# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change units of systemd; the files themselves are written by those of operations.py."""

from __future__ import annotations

import typing as t

from .operations import Operation
from .records import dataclass

if t.TYPE_CHECKING:
    from .kernel.host import Host


@dataclass(frozen=True)
class DaemonReload(Operation):
    """Let systemd read the files of its units again; one for a whole run."""

    def commands(self) -> list[str]:
        return ["systemctl daemon-reload"]

    def apply(self, host: Host) -> None:
        host.execute(("systemctl", "daemon-reload"), "")

    def undo(self) -> list[Operation]:
        return [self]

    def joined(self, after: Operation) -> Operation | None:
        return self if isinstance(after, DaemonReload) else None
