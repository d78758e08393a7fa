# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the picture of a host line by line: Ansible's own callback would print it as a list in JSON."""

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.model import InvalidRequest
from ..module_utils.reading import plain
from ..plugin_utils.picture import picture
from ..plugin_utils.reader import is_report, read_report


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """The action behind the module picture, which only documents it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"info", "lines", "host"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Draw, show, and return the lines."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        host = self._task.args.get("host") or (task_vars or {}).get("inventory_hostname", "")
        lines = drawn(self._task.args, str(host))
        # a callback that prints JSON must print nothing else, and has the lines in the result
        if "json" not in str(constants.DEFAULT_STDOUT_CALLBACK):
            Display().display("\n".join((*lines, "")))
        return {**result, "changed": False, "lines": lines}


def drawn(args: t.Mapping[str, t.Any], host: str) -> list[str]:
    """The lines that the options ask for."""
    if ("info" in args) == ("lines" in args):
        raise AnsibleActionFail("Give either info, for a picture of it, or lines, which are shown as they are.")
    if "info" in args:
        return _draw(args["info"], host)
    if not isinstance(args["lines"], list):
        raise AnsibleActionFail("lines: it is not a list of lines.")
    return [str(line) for line in args["lines"]]


def _draw(info: t.Any, host: str) -> list[str]:
    if not is_report(info):
        raise AnsibleActionFail("dockerless.network.picture draws what dockerless.network.network_info returned.")
    try:
        return picture(read_report(plain(info)), host)
    except InvalidRequest as error:
        raise AnsibleActionFail(str(error)) from None
