# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that the playbook proof uses."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils.path_lines import is_answer
from ..plugin_utils.proof_lines import proof_lines

DOCUMENTATION = r"""
name: proof
author: The dockerless.network authors (@dockerless-network)
short_description: Show a packet inside an endpoint next to the same packet on the uplink
description:
  - Draws what M(dockerless.network.path_check) returned as a table. There is a row for each link that the real packet
    passed, with the packet as it was seen there and its answer beside it, so a translated source or destination stands
    out.
  - The last rows are the entries of connection tracking, with both directions.
  - Used by the playbook C(dockerless.network.proof).
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
  - plugin: dockerless.network.path
    plugin_type: filter
  - module: dockerless.network.picture
"""

EXAMPLES = r"""
- name: Follow a packet
  dockerless.network.path_check:
    from: web
    to: 203.0.113.1
    port: 443
  register: result

- name: Show it on each link
  dockerless.network.picture:
    lines: "{{ result | dockerless.network.proof(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""


def proof(found: t.Mapping[str, t.Any], host: str = "") -> list[str]:
    """proof_lines(), for what path_check returned and for nothing else."""
    if not is_answer(found):
        raise AnsibleFilterError("dockerless.network.proof draws what dockerless.network.path_check returned.")
    return proof_lines(found, host)


class FilterModule:
    """The filters of this file, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"proof": proof}
