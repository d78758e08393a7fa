# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the map of all hosts of the play on the controller."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.model import InvalidRequest
from ..module_utils.reading import plain
from ..module_utils.report import HostReport
from ..plugin_utils.fleet_map import Reports, fleet_map, is_a_map
from ..plugin_utils.reader import is_report, read_report


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """The action behind the module fleet_map, which only documents it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"dest", "infos"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Draw, write if that changes anything, and return the path."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        dest, infos = self._task.args.get("dest"), plain(self._task.args.get("infos"))
        if not isinstance(dest, str) or not is_a_map(dest):
            raise AnsibleActionFail(
                "dest: %s; write a file name that ends in .html or .mmd." % (dest or "it is missing")
            )
        if not isinstance(infos, t.Mapping):
            raise AnsibleActionFail("infos: map each host to what dockerless.network.network_info returned for it.")
        path = os.path.abspath(os.path.expanduser(dest))
        text = fleet_map(_reports(infos), path)
        try:
            changed = _read(path) != text
            if changed and not self._task.check_mode:
                _write(path, text)
        except OSError as error:
            raise AnsibleActionFail("The map cannot be written to %s: %s." % (path, error.strerror)) from None
        return {**result, "changed": changed, "dest": path}


def _reports(infos: t.Mapping[str, t.Any]) -> Reports:
    return {str(host): _report(host, info) for host, info in infos.items()}


def _report(host: str, info: t.Any) -> HostReport | str:
    if not is_report(info):
        return "nothing is known of this host: it was not reached"
    try:
        return read_report(info)
    except InvalidRequest as error:
        raise AnsibleActionFail("infos: %s: %s" % (host, error)) from None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
