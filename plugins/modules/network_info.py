#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: Tell which networks of this collection are on a host
description:
  - Reads networks, their endpoints, published ports and masquerades from the kernel, which is the only place where
    they are
    kept.
  - Also tells what others have on the host that gets in the way.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.info_module
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common.backend
options:
  name:
    description: Tell only of this network, by its name or its bridge's. By default all.
    type: str
requirements:
  - Linux, and privileges to look into namespaces (C(become=true))
"""

EXAMPLES = r"""
- name: Look at everything
  dockerless.network.network_info:
  register: result

- name: Look at one network
  dockerless.network.network_info:
    name: blue
"""

RETURN = r"""
networks:
  description: The networks, one for each bridge.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The network's name, or the bridge's when the network has none.
      type: str
      sample: blue
    bridge:
      description: The bridge.
      type: str
      sample: br-blue
    present:
      description: Whether the bridge is there. Rules may outlive it, or be there first.
      type: bool
    ours:
      description: Whether this collection made the bridge.
      type: bool
    addresses:
      description: The host's addresses on the bridge.
      type: list
      elements: str
      sample: [10.20.0.1/24]
    subnets:
      description: The subnets behind it.
      type: list
      elements: str
      sample: [10.20.0.0/24]
    mtu:
      description: The maximum transmission unit in bytes.
      type: int
      sample: 1500
    policy:
      description: The rules of the bridge in the words of M(dockerless.network.bridge_firewall), or null.
      type: dict
    endpoints:
      description: The ports of the bridge that this collection made, and what is at the other end.
      type: list
      elements: dict
      sample:
        - {name: web, netns: web, interface: eth0, veth: v-blue-web, addresses: [10.20.0.2/24], up: true}
        - {name: null, pid: 4711, interface: eth0, veth: v-blue-vm, addresses: [10.20.0.3/24], up: true}
    ports:
      description: The published ports in the words of M(dockerless.network.port_publish).
      type: list
      elements: dict
    masquerades:
      description: The masquerades in the words of M(dockerless.network.nat_masquerade).
      type: list
      elements: dict
namespaces:
  description: The named namespaces that this collection made or has an endpoint in.
  returned: success
  type: list
  elements: dict
  sample: [{name: web, network: blue, ours: true}]
ports:
  description: All published ports.
  returned: success
  type: list
  elements: dict
masquerades:
  description: All masquerades.
  returned: success
  type: list
  elements: dict
forwarding:
  description: What the host forwards.
  returned: success
  type: dict
  sample: {ipv4: true, ipv6: false, forward_policy: unmanaged}
uplinks:
  description: The interfaces of the default routes, for each address family that has one.
  returned: success
  type: dict
  sample: {ipv4: eth0, ipv6: eth0}
backend:
  description: The packet filter in use, or null where none works.
  returned: success
  type: str
  sample: nftables
foreign:
  description: What of others overrides our rules or may, a clause each.
  returned: success
  type: list
  elements: str
  sample:
    - >-
      chain forward of table inet mine (policy drop) drops what our rules accept; let it accept what enters or leaves
      br-blue
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import BACKEND, run_info
from ansible_collections.dockerless.network.plugins.module_utils.info import facts


def main() -> None:
    run_info(facts, dict(BACKEND, name=dict(type="str")))


if __name__ == "__main__":
    main()
