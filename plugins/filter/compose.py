# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to the composition, for playbooks that call the modules one by one."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils.composition.compose import compose as compose_networks
from ..module_utils.given import plain
from ..module_utils.given import prune as read_prune
from ..module_utils.model import InvalidRequest
from ..plugin_utils.module_arguments import arguments
from ..plugin_utils.reader import read_report

DOCUMENTATION = r"""
name: compose
author: The dockerless.network authors (@dockerless-network)
short_description: Turn a list of networks into the arguments of the modules
description:
  - Used by the role P(dockerless.network.bridge_network#role). Decides addresses, names and what has to go.
  - The same list and the same host give the same result, so that a second run changes nothing.
positional: _input, info
options:
  _input:
    description: The networks, as the role takes them in C(bridge_network_networks).
    type: list
    elements: dict
    required: true
  info:
    description: What M(dockerless.network.network_info) returned.
    type: dict
    required: true
  prune:
    description: Whether what the role made and is no longer in the list goes away.
    type: bool
    default: true
  state:
    description: Whether the networks are to be there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Show what the role would ask the modules for
  ansible.builtin.debug:
    msg: "{{ [{'name': 'blue', 'subnets': ['10.20.0.0/24']}] | dockerless.network.compose({}) }}"
"""

RETURN = r"""
_value:
  description: For each module a list of what is to be C(present) and C(absent), the options of C(forward), and whether
    there is anything to C(remove).
  type: dict
"""


def compose(
    networks: t.Sequence[t.Mapping[str, t.Any]],
    info: t.Mapping[str, t.Any],
    prune: bool = True,
    state: str = "present",
) -> dict[str, t.Any]:
    """compose_networks(), from JSON to JSON, with its errors as Ansible shows them."""
    if state not in ("present", "absent"):
        raise AnsibleFilterError("state: %r is neither present nor absent." % (state,))
    try:
        return arguments(compose_networks(plain(networks), read_report(plain(info)), read_prune(prune), state))
    except InvalidRequest as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"compose": compose}
