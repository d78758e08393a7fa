#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_network
short_description: Manage whole networks in one call
description:
  - Brings a host to a list of bridge networks with their endpoints, ways out and published ports.
  - It does what the other modules do, in one run of the same engine and with one transaction of the packet filter.
    Either
    all of it is done, or what was done is taken back.
  - The role P(dockerless.network.bridge_network#role) calls it.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common.backend
options:
  networks:
    description:
      - The networks, as the role takes them in C(bridge_network_networks).
    type: list
    elements: dict
    required: true
  state:
    description: Whether the networks are there. With V(absent) only their names matter.
    type: str
    choices: [present, absent]
    default: present
  prune:
    description: Whether endpoints, ports and networks that this module made, and that are no longer in the list, go
      away.
    type: bool
    default: true
requirements:
  - Linux, and privileges to configure its network (C(become=true))
  - pyroute2 >= 0.7.2 on the managed host
seealso:
  - module: dockerless.network.network_info
"""

EXAMPLES = r"""
- name: A network with two endpoints
  dockerless.network.bridge_network:
    networks:
      - name: blue
        subnets: [10.20.0.0/24, "fd00:20::/64"]
        endpoints:
          - name: web
            publish: ["8080:80"]
          - name: db
            addresses: [10.20.0.10]

- name: Take it away
  dockerless.network.bridge_network:
    state: absent
    networks:
      - name: blue
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
objects:
  description: Every bridge, namespace, veth pair, rule and port that was looked at, as the single modules return it.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.entry import BACKEND, STATE, run_together


def main() -> None:
    arguments = dict(
        BACKEND,
        **STATE,
        networks=dict(type="list", elements="dict", required=True),
        prune=dict(type="bool", default=True),
    )
    run_together(make_networks, arguments)


if __name__ == "__main__":
    main()
