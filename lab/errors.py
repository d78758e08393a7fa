# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors of the lab. The text of each is one sentence."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class LabError(Exception):
    """An error that a person can correct; its text says how."""


class CommandError(LabError):
    """A command in a node failed or took too long (`returncode` is then None)."""

    def __init__(
        self, node: str, argv: Sequence[str], returncode: int | None, stdout: str, stderr: str, reason: str
    ) -> None:
        self.node = node
        self.argv = list(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        command = argv[0] if len(argv) == 1 else shlex.join(argv)
        super().__init__(f"{node}: `{command}` {reason}\n--- stdout\n{stdout.rstrip()}\n--- stderr\n{stderr.rstrip()}")
