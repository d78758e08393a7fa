# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells each task's result on each host as a line of JSON: ansible-core has no such callback of its own."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: stdout
short_description: A line of JSON for each task and host
description:
  - For the behaviour tests.
"""


class CallbackModule(CallbackBase):
    """The result of a task on a host: play, task, host and status, with the module's own result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "results"

    def __init__(self) -> None:
        super().__init__()
        self._play = ""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play.get_name()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._tell(result, "changed" if self._what(result).get("changed") else "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._tell(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._tell(result, "skipped")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._tell(result, "unreachable")

    @staticmethod
    def _what(result: Any) -> dict[str, Any]:
        return dict(result.result if hasattr(result, "result") else result._result)

    def _tell(self, result: Any, status: str) -> None:
        # Attributes without the underscore came with ansible-core 2.19.
        task = result.task if hasattr(result, "task") else result._task
        host = result.host if hasattr(result, "host") else result._host
        told = {
            "play": self._play,
            "task": task.get_name(),
            "action": task.action,
            "host": host.get_name(),
            "status": status,
            "result": self._what(result),
        }
        self._display.display(json.dumps(told, default=str))
