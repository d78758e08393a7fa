#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_firewall
short_description: Decide who may talk to whom over a bridge
description:
  - Closes the subnets of a bridge to everyone but its own endpoints. Replies, published ports and whatever the options
    open are let through.
  - The rules refer to the bridge by name and do not need it to exist, so they can be in place before its links come
    up.
  - Packets that connection tracking cannot assign to a connection (INVALID) never leave the bridge, because they would
    keep a private source address.
  - Rules of your own belong in the chain C(user) of the table C(inet dockerless) with the back-end nftables,
    or in the chain C(DLN-USER) with iptables. These chains come first, so that an accept there opens something and a
    drop closes it. No run changes them.
  - Some chains of others drop everything that reaches their end, by their policy or a last rule. Marked rules right
    before that end let through what enters or leaves the bridge. firewalld and ufw have places of their own for this (a
    zone, C(ufw route)), which are used instead. A specific rule of others is obeyed, and a warning names it.
  - Sysctls such as C(net.bridge.bridge-nf-call-iptables) are not touched. The rules hold whatever their values are.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.warn
  - dockerless.network._common.backend
options:
  bridge:
    description: The name of the bridge. Needed unless O(aggregate) is given. An interface that is something else is
      refused, as closing it would close the way out of all networks behind it.
    type: str
  subnets:
    description: The subnets behind the bridge. By default those of the host's addresses on it. To change the addresses
      of a bridge in use, list the old and the new subnets first, and drop the old ones when their addresses are gone. A
      warning names addresses of the bridge that are in none of the subnets, as no rule closes these to others.
    type: list
    elements: str
  gateways:
    description: The host's own addresses on the bridge, by which flows in O(allow) that go to the host itself are
      recognised. By default those that the bridge has. Name them if the bridge is created later.
    type: list
    elements: str
  internal:
    description: Whether the network is closed in both directions, so that only its endpoints and the host can talk to
      each other. What the bridge publishes is reached by the host only, on 127.0.0.1 and the gateway's address, and by
      the endpoints on the latter; a warning names ports that are published for others.
    type: bool
    default: false
  icc:
    description:
      - Whether endpoints of the bridge may talk to each other (inter-container communication).
      - Packets between two ports of one bridge do not pass the host's rules. V(false) therefore needs ports that are
        C(isolated) as well, see M(dockerless.network.veth). The role sets both.
    type: bool
    default: true
  direct_access:
    description: Whether other hosts and networks may route to the endpoints' own addresses.
    type: bool
    default: false
  trusted_interfaces:
    description: Interfaces, such as that of a VPN, from which the endpoints' own addresses can be reached. A warning
      names those that are not there, and ports of a bridge, as rules see only the bridge.
    type: list
    elements: str
    default: []
  host_access:
    description:
      - Whether endpoints may open connections to the host itself.
      - Published ports and ping work even if this is V(deny).
    type: str
    choices: [allow, deny]
    default: allow
  allow:
    description:
      - Flows to endpoints that are let through although the other options would close them.
      - Instead of an address, the name of an endpoint that is on the host will do, such as V(db), or V(db.back) for its
        end in the network back. It is looked up when the module runs.
      - With O(host_access=deny), also flows from endpoints to the host itself, by one of its addresses on the bridge.
      - A flow into a network of another project than O(project) is refused.
      - A warning names the entries that open nothing that would be closed.
    type: list
    elements: dict
    default: []
    suboptions:
      from:
        description: The subnet or address from which the flow comes. By default any.
        type: str
      to:
        description: The subnet or address of endpoints to which the flow goes, or one of O(gateways) for the host
          itself.
        type: str
        required: true
      protocol:
        description: The protocol. By default any.
        type: str
        choices: [tcp, udp, sctp]
      port:
        description: The endpoint's port, or a range V(first-last). By default any. Needs O(allow[].protocol).
        type: str
seealso:
  - module: dockerless.network.bridge
"""

EXAMPLES = r"""
- name: Close a bridge to everyone else
  dockerless.network.bridge_firewall:
    bridge: br-blue
    subnets: [10.20.0.0/24, "fd00:20::/64"]

- name: Close one network completely, and open another one to the VPN
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
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
objects:
  description:
    - The policies after the call, in the words of the options. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: firewall of bridge br-blue
    state:
      description: Whether the object is there after the call.
      type: str
      sample: present
    bridge:
      description: The name of the bridge.
      type: str
      sample: br-blue
    subnets:
      description: The subnets behind the bridge.
      type: list
      elements: str
      sample: [10.20.0.0/24]
    internal:
      description: Whether the network is closed in both directions.
      type: bool
      sample: false
    icc:
      description: Whether endpoints may talk to each other.
      type: bool
      sample: true
    direct_access:
      description: Whether others may route to the endpoints' own addresses.
      type: bool
      sample: false
    trusted_interfaces:
      description: The interfaces from which the endpoints' own addresses can be reached.
      type: list
      elements: str
      sample: [wg0]
    host_access:
      description: Whether endpoints may open connections to the host itself.
      type: str
      sample: allow
    allow:
      description: The flows that are let through, with the suboptions of O(allow).
      type: list
      elements: dict
      sample: [{from: 192.0.2.50/32, to: 10.20.0.0/24, protocol: tcp, port: "9100"}]
    gateways:
      description: The host's addresses to which flows in C(allow) go. Left out if there are none.
      type: list
      elements: str
      sample: [10.20.0.1]
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
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind


def main() -> None:
    run_module(BridgeFirewallKind())


if __name__ == "__main__":
    main()
