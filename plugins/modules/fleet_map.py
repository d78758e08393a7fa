#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_map
short_description: Draw the networks of all hosts in one file
description:
  - Draws what M(dockerless.network.network_info) returned for a number of hosts as one page of HTML, which fetches
    nothing from anywhere, or as one diagram for Mermaid, which many forges render in a README.
  - It shows hosts, uplinks, networks, gateways, endpoints, addresses, other names of endpoints, services and what else
    runs in them, published ports and who listens there, who may talk to whom, dropped packets by reason, and what is
    wrong.
  - The work is done on the controller by an action plugin of the same name. The same networks give the same file.
  - The playbook C(dockerless.network.show) uses it with C(-e bridge_network_map=FILE).
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
  dest:
    description:
      - The file on the controller. It is HTML if its name ends in C(.html) or C(.htm), and Mermaid if it ends in
        C(.mmd) or C(.mermaid).
      - A relative path begins at the working directory of C(ansible-playbook).
    type: path
    required: true
  infos:
    description:
      - What M(dockerless.network.network_info) returned, by the name of the host.
      - A host with anything else is drawn as one that was not reached.
    type: dict
    required: true
seealso:
  - module: dockerless.network.network_info
  - module: dockerless.network.picture
"""

EXAMPLES = r"""
- name: Look at what is there
  dockerless.network.network_info:
  register: result

- name: Draw all hosts of the play
  dockerless.network.fleet_map:
    dest: networks.html
    infos: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'result'))) }}"
  run_once: true
"""

RETURN = r"""
dest:
  description: The file, by its absolute path.
  returned: success
  type: str
  sample: /srv/ansible/networks.html
"""
