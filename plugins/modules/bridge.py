#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Manage bridges and the host's addresses on them
description:
  - Makes bridges in the kernel, at run time and without a daemon. See bridge(8) and ip-link(8).
  - A bridge that somebody else made is used as it is. When it has not what is asked for, the module says so and changes
    nothing.
  - The bridge ignores router advertisements, which an endpoint could send.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
options:
  name:
    description: The name, at most 15 bytes. Needed unless O(aggregate) is given.
    type: str
  addresses:
    description:
      - The host's addresses on the bridge, with prefix lengths; endpoints use them as gateways.
      - The list is complete, so other addresses on a bridge of ours go away. Without it they are left alone.
      - A subnet that overlaps another interface's or a route is refused.
    type: list
    elements: str
  mtu:
    description: The maximum transmission unit in bytes. By default that of the default route's interface, else 1500.
    type: int
  mac_address:
    description:
      - The MAC address. By default one that is derived from the machine and the name, so that it does not change as
        ports
        come and go.
    type: str
  stp:
    description: Whether the bridge speaks the spanning tree protocol. With it a new port is silent for 30 seconds.
    type: bool
    default: false
seealso:
  - module: dockerless.network.veth
  - module: dockerless.network.bridge_firewall
"""

EXAMPLES = r"""
- name: A bridge with an address for each family
  dockerless.network.bridge:
    name: br-blue
    addresses: [10.20.0.1/24, "fd00:20::1/64"]

- name: Two bridges in one call
  dockerless.network.bridge:
    mtu: 1400
    aggregate:
      - name: br-blue
        addresses: [10.20.0.1/24]
      - name: br-green
        addresses: [10.21.0.1/24]

- name: Remove a bridge; its ports stay
  dockerless.network.bridge:
    name: br-blue
    state: absent
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
  sample:
    - ip link add name br-blue address 02:5e:8c:10:2f:3a mtu 1500 group 25708 type bridge stp_state 0
    - sysctl -w net.ipv6.conf.br-blue.accept_ra=0
    - ip address add 10.20.0.1/24 dev br-blue
    - ip link set dev br-blue alias dockerless.network up
objects:
  description: The bridges as they are, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: br-blue
    state:
      description: Whether it is there.
      type: str
      sample: present
    addresses:
      description: The host's addresses on it.
      type: list
      elements: str
      sample: [10.20.0.1/24]
    mtu:
      description: The maximum transmission unit in bytes.
      type: int
      sample: 1500
    mac_address:
      description: The MAC address.
      type: str
      sample: 02:5e:8c:10:2f:3a
    stp:
      description: Whether it speaks the spanning tree protocol.
      type: bool
    up:
      description: Whether it is up.
      type: bool
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import NETWORK, run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind


def main() -> None:
    arguments = dict(
        NETWORK,
        name=dict(type="str", required=True),
        addresses=dict(type="list", elements="str"),
        mtu=dict(type="int"),
        mac_address=dict(type="str"),
        stp=dict(type="bool", default=False),
    )
    run_module(BridgeKind(), arguments, key="name")


if __name__ == "__main__":
    main()
