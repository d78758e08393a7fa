# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a host, for templates."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: picture
author: The dockerless.network authors (@dockerless-network)
short_description: Draw the networks of a host
description:
  - Draws what M(dockerless.network.network_info) returned as a tree of text.
  - To see it in Ansible's output, use the module M(dockerless.network.picture), which prints the lines as they are.
positional: _input, host
options:
  _input:
    description: What M(dockerless.network.network_info) returned.
    type: dict
    required: true
  host:
    description: What to write at the root of the tree.
    type: str
    default: ''
seealso:
  - module: dockerless.network.picture
  - plugin: dockerless.network.compose
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at what is there
  dockerless.network.network_info:
  register: result

- name: Keep a picture of the host on the controller
  ansible.builtin.copy:
    content: "{{ result | dockerless.network.picture(inventory_hostname) | join('\n') }}"
    dest: "pictures/{{ inventory_hostname }}.txt"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The lines of the picture.
  type: list
  elements: str
"""


def picture(info: t.Mapping[str, t.Any], host: str = "") -> list[str]:
    """draw(), for what network_info returned and for nothing else."""
    # only when it is used: to find any filter, Ansible loads the files of all of them
    from ..module_utils.model import InvalidRequest
    from ..plugin_utils.picture import picture as draw
    from ..plugin_utils.reader import is_report, read_report

    if not is_report(info):
        raise AnsibleFilterError("dockerless.network.picture draws what dockerless.network.network_info returned.")
    try:
        return draw(read_report(info), host)
    except InvalidRequest as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"picture": picture}
