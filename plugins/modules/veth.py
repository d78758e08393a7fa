#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: veth
short_description: Manage veth pairs between the host and a namespace
description:
  - Makes veth pairs, see veth(4). The far end (the peer) is born in its namespace under its last name, in one request
    to the
    kernel, so there is no moment at which it is somewhere else.
  - The host's end is a port of a bridge, or has addresses of its own for a link from point to point.
  - Addresses are usable at once; there is no duplicate address detection for them.
  - A peer whose O(peer.addresses) are all IPv4 has no IPv6 at all.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
options:
  name:
    description: The name of the host's end, at most 15 bytes. Needed unless O(aggregate) is given.
    type: str
  bridge:
    description: The bridge that the host's end is a port of. It must be there; a bridge takes 1023 ports.
    type: str
  isolated:
    description: Whether the port can reach only the host and its services, and no other isolated port of the bridge.
    type: bool
    default: false
  mtu:
    description:
      - The maximum transmission unit of both ends, in bytes.
      - By default that of the bridge. Without a bridge, the kernel's default of 1500 is left as it is.
    type: int
  addresses:
    description: Addresses of the host's end with prefix lengths, for a link without a bridge.
    type: list
    elements: str
    default: []
  peer:
    description: The end in the namespace.
    type: dict
    suboptions:
      name:
        description: The name of the interface inside. By default C(eth0).
        type: str
      netns:
        description: The namespace by its name. Mutually exclusive with O(peer.pid).
        type: str
      pid:
        description: The namespace of this process. Mutually exclusive with O(peer.netns).
        type: int
      mac_address:
        description: The MAC address. By default the kernel chooses one.
        type: str
      addresses:
        description:
          - Addresses with prefix lengths.
          - The list is complete, so other addresses on the interface go away. Without it they are left alone.
        type: list
        elements: str
      gateways:
        description: Default gateways, at most one of each address family.
        type: list
        elements: str
      routes:
        description:
          - Further routes by this interface. Routes of others are left alone.
        type: list
        elements: dict
        suboptions:
          to:
            description: The subnet that the route leads to, or V(default).
            type: str
            required: true
          via:
            description: The gateway. By default the subnet is taken to be on the link itself.
            type: str
          metric:
            description: The metric; the least one wins. By default the kernel's, 0 for IPv4 and 1024 for IPv6.
            type: int
seealso:
  - module: dockerless.network.netns
  - module: dockerless.network.bridge
"""

EXAMPLES = r"""
- name: An endpoint on a bridge
  dockerless.network.veth:
    name: v-web
    bridge: br-blue
    peer:
      netns: web
      addresses: [10.20.0.2/24]
      gateways: [10.20.0.1]

- name: A link from point to point, with no bridge
  dockerless.network.veth:
    name: v-lab
    addresses: [10.30.0.1/30]
    peer:
      netns: lab
      addresses: [10.30.0.2/30]
      gateways: [10.30.0.1]

- name: Two endpoints in one call
  dockerless.network.veth:
    bridge: br-blue
    peer:
      gateways: [10.20.0.1]
    aggregate:
      - name: v-web
        peer:
          netns: web
          addresses: [10.20.0.2/24]
      - name: v-db
        peer:
          netns: db
          addresses: [10.20.0.3/24]

- name: Remove both ends
  dockerless.network.veth:
    name: v-web
    state: absent
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
  sample:
    - ip link add name v-web mtu 1500 group 25708 master br-blue type veth peer name eth0 mtu 1500 group 25708 netns web
    - ip -n web address add 10.20.0.2/24 dev eth0
objects:
  description: The veth pairs as they are, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the host's end.
      type: str
      sample: v-web
    state:
      description: Whether it is there.
      type: str
      sample: present
    bridge:
      description: The bridge, if it is a port of one.
      type: str
      sample: br-blue
    isolated:
      description: Whether the port is isolated.
      type: bool
    mtu:
      description: The maximum transmission unit in bytes.
      type: int
      sample: 1500
    up:
      description: Whether both ends are up.
      type: bool
    peer:
      description: The end in the namespace, in the words of the options; gateways are among its routes.
      type: dict
      sample: {"name": "eth0", "netns": "web", "addresses": ["10.20.0.2/24"], "routes": ["default via 10.20.0.1"]}
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import NETWORK, run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind


def main() -> None:
    route = dict(
        to=dict(type="str", required=True),
        via=dict(type="str"),
        metric=dict(type="int"),
    )
    peer = dict(
        name=dict(type="str"),
        netns=dict(type="str"),
        pid=dict(type="int"),
        mac_address=dict(type="str"),
        addresses=dict(type="list", elements="str"),
        gateways=dict(type="list", elements="str"),
        routes=dict(type="list", elements="dict", options=route),
    )
    arguments = dict(
        NETWORK,
        name=dict(type="str", required=True),
        bridge=dict(type="str"),
        isolated=dict(type="bool", default=False),
        mtu=dict(type="int"),
        addresses=dict(type="list", elements="str", default=[]),
        peer=dict(type="dict", options=peer),
    )
    run_module(VethKind(), arguments, key="name")


if __name__ == "__main__":
    main()
