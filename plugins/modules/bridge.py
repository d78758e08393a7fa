#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Manage bridges and the host's addresses on them
description:
  - Creates bridges in the kernel, without a daemon. They last until the next boot. See bridge(8) and ip-link(8).
  - A bridge that something else created is used as it is. If it differs from what is asked for, the module says how
    and changes nothing.
  - The bridge ignores router advertisements, because an endpoint could send them.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.backend
options:
  name:
    description: The name of the bridge, at most 15 bytes. Needed unless O(aggregate) is given.
    type: str
  addresses:
    description:
      - The host's addresses on the bridge, with prefix lengths. Endpoints use them as gateways.
      - The list is complete. Other addresses are removed from a bridge that this collection created. If the option is
        left out, addresses are left alone.
      - A subnet is refused if it overlaps that of another interface, or if there is a route of others to it or to a
        part of it. A less specific route that contains it, such as that of a VPN, does not count. See O(allow_overlap).
    type: list
    elements: str
  mtu:
    description:
      - The maximum transmission unit in bytes, from 68 to 65535; IPv6 needs 1280.
      - By default that of the default route's interface, or 1500 if there is no default route.
    type: int
  mac_address:
    description:
      - The MAC address.
      - By default it is derived from the machine ID and the name, so that it stays the same as ports come and go.
    type: str
  stp:
    description: Whether the bridge runs the spanning tree protocol. If it does, a new port is silent for 30 seconds.
    type: bool
    default: false
  allow_overlap:
    description:
      - Whether a subnet may overlap what the host has or reaches elsewhere, such as part of the uplink's subnet.
      - A less specific route that contains the subnet, such as that of a VPN, does not count as an overlap.
      - A part of C(169.254.0.0/16) counts, as clouds serve the metadata of the host there, at C(169.254.169.254).
    type: bool
    default: false
seealso:
  - module: dockerless.network.veth
  - module: dockerless.network.bridge_firewall
"""

EXAMPLES = r"""
- name: Create a bridge with an address of each family
  dockerless.network.bridge:
    name: br-blue
    addresses: [10.20.0.1/24, "fd00:20::1/64"]

- name: Create two bridges in one call
  dockerless.network.bridge:
    mtu: 1400
    aggregate:
      - name: br-blue
        addresses: [10.20.0.1/24]
      - name: br-green
        addresses: [10.21.0.1/24]

- name: Remove a bridge but not its ports
  dockerless.network.bridge:
    name: br-blue
    state: absent
"""

RETURN = r"""
commands:
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
  sample:
    - ip link add name br-blue address 02:5e:8c:10:2f:3a mtu 1500 group 25708 type bridge stp_state 0
    - sysctl -w net.ipv6.conf.br-blue.accept_ra=0
    - ip address add 10.20.0.1/24 dev br-blue
    - ip link set dev br-blue alias dockerless.network up
objects:
  description:
    - The bridges after the call. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: bridge br-blue
    state:
      description: Whether the object is there after the call.
      type: str
      sample: present
    name:
      description: The name of the bridge.
      type: str
      sample: br-blue
    addresses:
      description: The host's addresses on the bridge. Left out if O(addresses) is not given.
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
      description: Whether the bridge runs the spanning tree protocol.
      type: bool
      sample: false
    up:
      description: Whether the bridge is up.
      type: bool
      sample: true
    network:
      description: The network that the object belongs to. Left out if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the object belongs to. Left out if it is the default project.
      type: str
      sample: shop
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.entry import run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind


def main() -> None:
    run_module(BridgeKind())


if __name__ == "__main__":
    main()
