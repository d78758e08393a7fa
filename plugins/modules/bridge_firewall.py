#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_firewall
short_description: Decide who may talk to whom over a bridge
description:
  - Closes the subnets of a bridge to everyone but its own endpoints. Replies, published ports and what the options
    open come
    through.
  - The rules name the bridge and need not wait for it, so that they can be in place before its links come up.
  - Packets that connection tracking cannot place (INVALID) never leave the bridge, because they would keep a private
    source.
  - Rules of your own belong into the chain C(user) of table C(inet dockerless) (back-end nftables). It comes
    first, so that an accept there opens and a drop closes, and no run changes it.
  - Where Docker, firewalld or ufw would drop what these rules accept, they are told to let it through, in the place
    that
    each has for that (C(DOCKER-USER), a zone, C(ufw route)). Of others who do, a warning gives the chain.
  - Sysctls such as C(net.bridge.bridge-nf-call-iptables) are not touched; the rules hold with both of its values.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.backend
options:
  bridge:
    description: The bridge. Needed unless O(aggregate) is given.
    type: str
  subnets:
    description: The subnets behind the bridge. By default those of the host's addresses on it.
    type: list
    elements: str
  internal:
    description: Whether the network has no way out and no way in; only its endpoints and the host talk to one another.
    type: bool
    default: false
  icc:
    description:
      - Whether endpoints of the bridge may talk to one another.
      - Packets between ports of one bridge do not pass the host's rules, so V(false) needs C(isolated) ports as well,
        see
        M(dockerless.network.veth); the role sets both.
    type: bool
    default: true
  direct_access:
    description: Whether others may route to the endpoints' own addresses.
    type: bool
    default: false
  trusted_interfaces:
    description: Interfaces from which the endpoints' own addresses can be reached, such as a VPN.
    type: list
    elements: str
    default: []
  host_access:
    description:
      - Whether endpoints may open connections to the host itself. Published ports and ping work with both.
    type: str
    choices: [allow, deny]
    default: allow
  allow:
    description: Flows that come in although they would be closed.
    type: list
    elements: dict
    default: []
    suboptions:
      from:
        description: Where from, a subnet. By default anywhere.
        type: str
      to:
        description: Where to, a subnet or an endpoint's address.
        type: str
        required: true
      protocol:
        description: The protocol. By default any.
        type: str
        choices: [tcp, udp, sctp]
      port:
        description: The endpoint's port, or a range V(first-last). By default any.
        type: str
seealso:
  - module: dockerless.network.bridge
"""

EXAMPLES = r"""
- name: Close a bridge to everyone else
  dockerless.network.bridge_firewall:
    bridge: br-blue
    subnets: [10.20.0.0/24, "fd00:20::/64"]

- name: A network that nobody leaves, and one that is open to the VPN
  dockerless.network.bridge_firewall:
    aggregate:
      - bridge: br-vault
        subnets: [10.22.0.0/24]
        internal: true
      - bridge: br-blue
        subnets: [10.20.0.0/24]
        trusted_interfaces: [wg0]

- name: Let the monitoring in
  dockerless.network.bridge_firewall:
    bridge: br-blue
    subnets: [10.20.0.0/24]
    allow:
      - from: 192.0.2.50
        to: 10.20.0.0/24
        protocol: tcp
        port: "9100"

- name: Remove the rules of a bridge
  dockerless.network.bridge_firewall:
    bridge: br-blue
    state: absent
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
objects:
  description: The policies as they are, or in check mode would be, in the words of the options.
  returned: success
  type: list
  elements: dict
  contains:
    bridge:
      description: The bridge.
      type: str
      sample: br-blue
    state:
      description: Whether the policy is there.
      type: str
      sample: present
    subnets:
      description: The subnets behind the bridge.
      type: list
      elements: str
      sample: [10.20.0.0/24]
    internal:
      description: Whether nobody leaves or enters.
      type: bool
    icc:
      description: Whether endpoints may talk to one another.
      type: bool
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import BACKEND, NETWORK, run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.parsing import PROTOCOLS


def main() -> None:
    flow = {
        "from": dict(type="str"),
        "to": dict(type="str", required=True),
        "protocol": dict(type="str", choices=list(PROTOCOLS)),
        "port": dict(type="str"),
    }
    arguments = dict(
        NETWORK,
        **BACKEND,
        bridge=dict(type="str", required=True),
        subnets=dict(type="list", elements="str"),
        internal=dict(type="bool", default=False),
        icc=dict(type="bool", default=True),
        direct_access=dict(type="bool", default=False),
        trusted_interfaces=dict(type="list", elements="str", default=[]),
        host_access=dict(type="str", choices=["allow", "deny"], default="allow"),
        allow=dict(type="list", elements="dict", options=flow, default=[]),
    )
    run_module(BridgeFirewallKind(), arguments, key="bridge")


if __name__ == "__main__":
    main()
