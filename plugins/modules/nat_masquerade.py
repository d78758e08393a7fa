#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nat_masquerade
short_description: Give traffic that leaves a subnet an address of the host
description:
  - Translates the source address of traffic from a subnet, IPv4 or IPv6. See nft(8) and iptables-extensions(8).
  - A masquerade is identified by its O(source) and O(out_interface). All other options can be changed in place.
  - One for a subnet of another project than O(project), or for a part of it, is refused with the name of that project.
    One that covers such a subnet is refused as well, unless neither O(network) nor O(project) is given. The narrowest
    O(source) comes first, so networks keep masquerades of their own.
  - UDP and ICMP flows that are open follow a masquerade that is new, changed or removed with their next packet. TCP
    connections go on as they began, and so do flows that it does not concern.
  - A warning says so if the host does not forward, which M(dockerless.network.sysctl_forward) turns on.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.warn
  - dockerless.network._common.backend
options:
  source:
    description: The subnet whose traffic is translated. Needed unless O(aggregate) is given.
    type: str
  out_interface:
    description:
      - The interface by which the traffic must leave to be translated. By default any.
      - This is the name of an interface, or V(default) for the interface of the default route, or C(!) and a name for
        any interface but that one. The last form usually names the subnet's own bridge.
      - An interface that does not exist is refused, also in check mode. A warning names a port of a bridge, as rules
        see only the bridge.
    type: str
  exclude:
    description: Destinations that are never translated, such as networks behind a VPN. Names of endpoints on the host
      are allowed as well.
    type: list
    elements: str
    default: []
  to_source:
    description:
      - The host's address to translate to. By default that of the interface by which a packet leaves.
      - A warning names an address that the host does not have, unless C(net.ipv4.ip_nonlocal_bind) or
        C(net.ipv6.ip_nonlocal_bind) is on.
    type: str
  random_fully:
    description: Whether source ports are chosen at random instead of being kept where possible.
    type: bool
    default: false
seealso:
  - module: ansible.builtin.iptables
"""

EXAMPLES = r"""
- name: Let a subnet out by the interface of the default route
  dockerless.network.nat_masquerade:
    source: 10.20.0.0/24
    out_interface: default

- name: Translate both families on any interface but the bridge, and nothing that goes to the VPN
  dockerless.network.nat_masquerade:
    out_interface: "!br-blue"
    aggregate:
      - source: 10.20.0.0/24
        exclude: [10.0.0.0/8]
      - source: fd00:20::/64

- name: Translate to one fixed address
  dockerless.network.nat_masquerade:
    source: 10.20.0.0/24
    out_interface: eth0
    to_source: 192.0.2.7

- name: Remove a masquerade
  dockerless.network.nat_masquerade:
    source: 10.20.0.0/24
    out_interface: eth0
    state: absent
"""

RETURN = r"""
commands:
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
objects:
  description:
    - The masquerades after the call, in the words of the options. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: masquerade of 10.20.0.0/24 by eth0
    state:
      description: Whether the object is there after the call.
      type: str
      sample: present
    source:
      description: The subnet whose traffic is translated.
      type: str
      sample: 10.20.0.0/24
    out_interface:
      description: The interface by which the traffic leaves, with V(default) resolved. Left out if it may be any.
      type: str
      sample: eth0
    exclude:
      description: The destinations that are never translated.
      type: list
      elements: str
      sample: [10.0.0.0/8]
    to_source:
      description: The address to translate to. Left out if it is that of the interface.
      type: str
      sample: 192.0.2.7
    random_fully:
      description: Whether source ports are chosen at random.
      type: bool
      sample: false
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
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind


def main() -> None:
    run_module(NatMasqueradeKind())


if __name__ == "__main__":
    main()
