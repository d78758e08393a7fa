#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: veth
short_description: Manage veth pairs between the host and a namespace
description:
  - Creates veth pairs, see veth(4). The far end (the peer) is created in its namespace and with its final name by a
    single request to the kernel, so it is never anywhere else.
  - The host's end is either a port of a bridge, or has addresses of its own for a point-to-point link.
  - Addresses can be used at once, because duplicate address detection is off for them.
  - If O(peer.addresses) are all IPv4, IPv6 is disabled on the peer.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.backend
options:
  name:
    description: The name of the host's end, at most 15 bytes. Needed unless O(aggregate) is given.
    type: str
  bridge:
    description: The bridge to which the host's end is attached. It must exist. A bridge takes 1023 ports.
    type: str
  isolated:
    description: Whether the port can reach only the host and its services, but no other isolated port of the bridge.
    type: bool
    default: false
  mtu:
    description:
      - The maximum transmission unit of both ends in bytes, from 68 to 65535; IPv6 needs 1280.
      - By default that of the bridge. Without a bridge, the kernel's default of 1500 is left as it is.
    type: int
  addresses:
    description: The addresses of the host's end with prefix lengths, for a link without a bridge.
    type: list
    elements: str
    default: []
  allow_overlap:
    description:
      - Whether a subnet in O(addresses) may overlap what the host has or reaches elsewhere.
      - A less specific route that contains the subnet, such as that of a VPN, does not count as an overlap.
      - A part of C(169.254.0.0/16) counts, as clouds serve the metadata of the host there, at C(169.254.169.254).
    type: bool
    default: false
  peer:
    description: The end in the namespace. With O(state=present), its namespace is needed.
    type: dict
    suboptions:
      name:
        description: The name of the interface in the namespace. By default C(eth0).
        type: str
      netns:
        description: The name of the namespace. Mutually exclusive with O(peer.pid).
        type: str
      pid:
        description: A process in the namespace. Mutually exclusive with O(peer.netns).
        type: int
      mac_address:
        description: The MAC address. By default the kernel chooses one.
        type: str
      addresses:
        description:
          - The addresses with prefix lengths.
          - The list is complete, so other addresses are removed from the interface. If the option is left out,
            addresses are left alone.
        type: list
        elements: str
      gateways:
        description:
          - The default gateways, at most one of each address family. One is in a subnet of the interface, or is led to
            by a route without O(peer.routes[].via), or is a link-local address of IPv6.
          - In a namespace that this collection created, they replace a default route that something else added with the
            same metric. In other namespaces, such a route is refused.
        type: list
        elements: str
      routes:
        description: Further routes by this interface. Routes that something else added are left alone, unless one has
          the same target and metric in a namespace that this collection created.
        type: list
        elements: dict
        suboptions:
          to:
            description:
              - The subnet to which the route leads, or V(default).
              - Instead of an address, the name of an endpoint that is on the host will do, here and in
                O(peer.routes[].via), such as V(db), or V(db.back) for its end in the network back.
            type: str
            required: true
          via:
            description: The gateway. By default the subnet is on the link itself.
            type: str
          metric:
            description: The metric; the lowest one wins. By default the kernel's own, 0 for IPv4 and 1024 for IPv6.
            type: int
      source_gateways:
        description:
          - The gateways for what is sent from the addresses of this interface, at most one of each address family.
          - In a namespace with several interfaces, what was asked by one of them is then answered by it, whichever has
            the default route. The interface gets a routing table of its own with its subnets, O(peer.routes) and these
            gateways, and for each of its addresses a rule (C(ip rule)) that leads there. This works with a strict
            C(rp_filter), in the namespace and on the host.
        type: list
        elements: str
seealso:
  - module: dockerless.network.netns
  - module: dockerless.network.bridge
"""

EXAMPLES = r"""
- name: Attach an endpoint to a bridge
  dockerless.network.veth:
    name: v-web
    bridge: br-blue
    peer:
      netns: web
      addresses: [10.20.0.2/24]
      gateways: [10.20.0.1]

- name: Create a point-to-point link without a bridge
  dockerless.network.veth:
    name: v-lab
    addresses: [10.30.0.1/30]
    peer:
      netns: lab
      addresses: [10.30.0.2/30]
      gateways: [10.30.0.1]

- name: Attach two endpoints in one call
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
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
  sample:
    - ip link add name v-web mtu 1500 group 25708 master br-blue type veth peer name eth0 mtu 1500 group 25708 netns
      web
    - ip -n web address add 10.20.0.2/24 dev eth0
objects:
  description:
    - The veth pairs after the call. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: veth v-web
    state:
      description: Whether the object is there after the call.
      type: str
      sample: present
    name:
      description: The name of the host's end.
      type: str
      sample: v-web
    bridge:
      description: The bridge to which the host's end is attached. Left out if there is none.
      type: str
      sample: br-blue
    isolated:
      description: Whether the port is isolated. Left out if there is no bridge.
      type: bool
      sample: false
    mtu:
      description: The maximum transmission unit of both ends in bytes. Left out if the kernel's default was not
        touched.
      type: int
      sample: 1500
    addresses:
      description: The addresses of the host's end. Left out if it has none.
      type: list
      elements: str
      sample: [10.30.0.1/30]
    up:
      description: Whether both ends are up.
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
    peer:
      description: The end in the namespace.
      type: dict
      contains:
        name:
          description: The name of the interface in the namespace.
          type: str
          sample: eth0
        netns:
          description: The name of the namespace. Left out if it was given by a process.
          type: str
          sample: web
        pid:
          description: The process in the namespace. Left out if the namespace was given by its name.
          type: int
          sample: 4711
        mac_address:
          description: The MAC address. Left out if O(peer.mac_address) is not given.
          type: str
          sample: 02:42:0a:14:00:02
        addresses:
          description: The addresses. Left out if O(peer.addresses) is not given.
          type: list
          elements: str
          sample: [10.20.0.2/24]
        routes:
          description: The routes by the interface, those of O(peer.gateways) among them. Left out if there are none.
          type: list
          elements: str
          sample: [default via 10.20.0.1]
        source_gateways:
          description: The gateways for what is sent from the addresses of the interface. Left out if there are none.
          type: list
          elements: str
          sample: [10.20.0.1]
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.entry import run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind


def main() -> None:
    run_module(VethKind())


if __name__ == "__main__":
    main()
