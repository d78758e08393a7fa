# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that the playbook check uses."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils.path_lines import is_answer, path_lines

DOCUMENTATION = r"""
name: path
author: The dockerless.network authors (@dockerless-network)
short_description: Write down the path of a packet
description:
  - Writes down what M(dockerless.network.path_check) returned, with a line for each thing that was checked, and the
    verdict at the end.
  - Used by the playbook C(dockerless.network.check).
positional: _input, host
options:
  _input:
    description: What M(dockerless.network.path_check) returned.
    type: dict
    required: true
  host:
    description: What to call the host.
    type: str
    default: ''
seealso:
  - plugin: dockerless.network.picture
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Follow a packet
  dockerless.network.path_check:
    from: web
    to: db
    port: 5432
  register: result

- name: Say what was found
  ansible.builtin.debug:
    msg: "{{ result | dockerless.network.path(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def path(found: t.Mapping[str, t.Any], host: str = "") -> list[str]:
    """path_lines(), for what path_check returned and for nothing else."""
    if not is_answer(found):
        raise AnsibleFilterError("dockerless.network.path writes down what dockerless.network.path_check returned.")
    return path_lines(found, host)


class FilterModule:
    """The filters of this file, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"path": path}
