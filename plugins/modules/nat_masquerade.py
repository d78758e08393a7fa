#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nat_masquerade
short_description: Give traffic that leaves a subnet an address of the host
description:
  - Source NAT for a subnet, IPv4 or IPv6. See nft(8) and iptables-extensions(8).
  - A masquerade is known by its O(source) and O(out_interface); everything else is changed in place.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.backend
options:
  source:
    description: The subnet whose traffic is translated. Needed unless O(aggregate) is given.
    type: str
  out_interface:
    description:
      - By which interface it must leave. A name, V(default) for the interface of the default route, or a name after
        C(!) for
        any interface but that one, usually the subnet's own bridge.
      - By default any interface.
    type: str
  exclude:
    description: Destinations to which traffic goes untranslated, such as networks behind a VPN.
    type: list
    elements: str
    default: []
  to_source:
    description: Translate to this address of the host. By default the address of the interface by which a packet
      leaves.
    type: str
  random_fully:
    description: Whether source ports are chosen at random, rather than kept where possible.
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

- name: Both families, by any interface but the bridge, and untranslated to the VPN
  dockerless.network.nat_masquerade:
    out_interface: "!br-blue"
    aggregate:
      - source: 10.20.0.0/24
        exclude: [10.0.0.0/8]
      - source: fd00:20::/64

- name: One fixed address
  dockerless.network.nat_masquerade:
    source: 10.20.0.0/24
    out_interface: eth0
    to_source: 192.0.2.7

- name: Remove it
  dockerless.network.nat_masquerade:
    source: 10.20.0.0/24
    out_interface: eth0
    state: absent
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
objects:
  description: The masquerades as they are, or in check mode would be, in the words of the options.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: The subnet.
      type: str
      sample: 10.20.0.0/24
    state:
      description: Whether it is there.
      type: str
      sample: present
    out_interface:
      description: The interface, V(default) resolved to its name.
      type: str
      sample: eth0
    exclude:
      description: Destinations that are not translated.
      type: list
      elements: str
    to_source:
      description: The fixed address, if there is one.
      type: str
      sample: 192.0.2.7
    random_fully:
      description: Whether ports are chosen at random.
      type: bool
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import BACKEND, NETWORK, run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind


def main() -> None:
    arguments = dict(
        NETWORK,
        **BACKEND,
        source=dict(type="str", required=True),
        out_interface=dict(type="str"),
        exclude=dict(type="list", elements="str", default=[]),
        to_source=dict(type="str"),
        random_fully=dict(type="bool", default=False),
    )
    run_module(NatMasqueradeKind(), arguments, key="source")


if __name__ == "__main__":
    main()
