#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: picture
short_description: Draw the networks of a host in Ansible's output
description:
  - Draws what M(dockerless.network.network_info) returned as a tree, in plain lines of text.
  - Shows lines that something else has drawn as they are, for example those of the filters
    P(dockerless.network.path#filter) and P(dockerless.network.proof#filter).
  - The work is done on the controller by an action plugin of the same name. With a callback that prints JSON, nothing
    is shown, and the lines are in the result.
  - The playbooks C(dockerless.network.show), C(dockerless.network.check) and C(dockerless.network.proof) use it.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: all
options:
  info:
    description: What M(dockerless.network.network_info) returned. Either this or O(lines) is needed.
    type: dict
  lines:
    description: Lines to show as they are.
    type: list
    elements: str
  host:
    description: What to write at the root of the tree. By default the name of the host in the inventory.
    type: str
seealso:
  - module: dockerless.network.network_info
  - plugin: dockerless.network.picture
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at what is there
  dockerless.network.network_info:
  register: result

- name: Draw it
  dockerless.network.picture:
    info: "{{ result }}"
"""

RETURN = r"""
lines:
  description: The lines of the picture.
  returned: success
  type: list
  elements: str
"""
