# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The composition as a filter, for playbooks that call the modules one by one."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display

DOCUMENTATION = r"""
name: compose
author: The dockerless.network authors (@dockerless-network)
short_description: Turn a list of networks into the arguments of the modules
description:
  - Decides on addresses and names, and on what has to be removed. The role P(dockerless.network.bridge_network#role)
    uses it.
  - The same list and the same host give the same result, so that a second run changes nothing.
positional: _input, info
options:
  _input:
    description: The networks, as in O(dockerless.network.bridge_network#module:networks).
    type: raw
    required: true
  info:
    description: What M(dockerless.network.network_info) returned.
    type: dict
    required: true
  prune:
    description: What to remove that the role created and that is not in the list, as in
      O(dockerless.network.bridge_network#module:prune).
    type: str
    choices: [listed, project, none]
    default: listed
  project:
    description: The project to which the networks belong.
    type: str
    default: default
  pools:
    description: Out of which networks without subnets get one, as in O(dockerless.network.bridge_network#module:pools).
    type: list
    elements: dict
    default: null
  state:
    description: Whether the networks in the list are there. With V(absent), only their names matter.
    type: str
    choices: [present, absent]
    default: present
  forward_policy:
    description: What happens to other packets that the host forwards, as in
      O(dockerless.network.bridge_network#module:forward_policy).
    type: str
    choices: [unmanaged, auto, drop]
    default: auto
  service_removal:
    description: What happens to a service that leaves its endpoint, as in
      O(dockerless.network.bridge_network#module:service_removal).
    type: str
    choices: [restart, stop]
    default: restart
  predicted:
    description: In check mode, the bridges of earlier lists of the play, which are not on the host, as in
      RV(dockerless.network.bridge_network#module:predicted).
    type: list
    elements: dict
    default: null
"""

EXAMPLES = r"""
- name: Show what the role would ask the modules for
  ansible.builtin.debug:
    msg: "{{ [{'name': 'blue', 'subnets': ['10.20.0.0/24']}] | dockerless.network.compose({}) }}"
"""

RETURN = r"""
_value:
  description: The arguments of the modules.
  type: dict
  contains:
    present:
      description: For each module, a list of the objects that are to be there.
      type: dict
    transition:
      description:
        - For M(dockerless.network.bridge_firewall), the list to begin with. A bridge that changes its subnets keeps
          the rules of the old ones there, and gets those under RV(_value.present) when their addresses are gone.
      type: dict
    absent:
      description:
        - For each module, a list of the objects that are to be removed.
        - Masquerades go last, when no endpoint has an address of theirs any more.
      type: dict
    settled:
      description:
        - For each module, the list under RV(_value.absent) in the form of its option
          O(dockerless.network.veth#module:settled), since in check mode the tasks before it remove nothing.
      type: dict
    forward:
      description: The options of M(dockerless.network.sysctl_forward).
      type: dict
    remove:
      description: Whether anything is to be removed.
      type: bool
"""


def compose(
    networks: t.Any,
    info: t.Mapping[str, t.Any],
    prune: t.Any = "listed",
    state: t.Any = "present",
    project: t.Any = "default",
    forward_policy: t.Any = "auto",
    pools: t.Any = None,
    service_removal: t.Any = "restart",
    predicted: t.Any = None,
) -> dict[str, t.Any]:
    """composed(), which is loaded only when it is used: to find any filter, Ansible loads the files of all of them."""
    from ..plugin_utils.composed import composed

    options = {
        "prune": prune,
        "state": state,
        "project": project,
        "forward_policy": forward_policy,
        "pools": pools,
        "service_removal": service_removal,
        "predicted": predicted,
    }
    return composed(networks, info, options, Display().warning)


class FilterModule:
    """The filters of this file, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"compose": compose}
