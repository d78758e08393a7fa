# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small world with networks made by the engine, in which paths are checked and packets sent."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine_world import SETTINGS, TREE, EngineWorld
from fleet import eventually
from small_world import PATIENCE

# How long the path check takes to begin to listen in all stacks, after the first.
READY = 0.2
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
        tell(self._paths, origin=origin, to=to, port=port, **options)
        return self._result()

    def check_while(self, send: Callable[[], object], to: str, port: int, **options: Any) -> dict[str, Any]:
        """The result for a packet from outside that is not injected, but sent while the path check listens."""
        tell(self._paths, origin="outside", to=to, port=port, inject=False, **options)
        # what came before the last watch was ready does not count
        if eventually(lambda: "dockerless_path" in self.must("nft", "list", "tables"), PATIENCE):
            time.sleep(READY)
            send()
        return self._result()

    def _result(self) -> dict[str, Any]:
        assert self._paths.stdout is not None
        found: dict[str, Any] = json.loads(self._paths.stdout.readline())
        assert "error" not in found, found
        self.told = found
        return found


def tell(process: subprocess.Popen[str], **question: Any) -> None:
    """Send a question without waiting for the answer."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
