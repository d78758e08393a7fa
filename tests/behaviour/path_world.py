# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small world with networks made by the engine, in which paths are checked and packets sent."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from engine_world import SETTINGS, TREE, EngineWorld

PATHS = Path(__file__).with_name("nodes") / "paths.py"


class PathWorld(EngineWorld):
    """``host`` between a neighbour and a far machine, with networks of ours and a process that checks paths."""

    def __init__(self, backend: str = "nftables") -> None:
        super().__init__(backend)
        self._paths = self.checker()
        self.told: dict[str, Any] = {}  # the last result

    def checker(self) -> subprocess.Popen[str]:
        """A process that checks paths."""
        return subprocess.Popen(
            self.inside(str(SETTINGS.python), str(PATHS), str(TREE), str(SETTINGS.library)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _build(self) -> None:
        super()._build()
        # otherwise answers to private sources would find their way back
        for net in ("10.20.0.0/15", "fd00::/16"):
            self.must("ip", "-n", "neighbour", "route", "del", net)

    def close(self) -> None:
        assert self._paths.stdin is not None
        self._paths.stdin.close()
        self._paths.wait()
        super().close()

    def check(self, origin: str, to: str, port: int = 0, **options: Any) -> dict[str, Any]:
        """The result of the path check."""
        assert self._paths.stdout is not None
        tell(self._paths, origin=origin, to=to, port=port, **options)
        found: dict[str, Any] = json.loads(self._paths.stdout.readline())
        assert "error" not in found, found
        self.told = found
        return found


def tell(process: subprocess.Popen[str], **question: Any) -> None:
    """Send a question without waiting for the answer."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
