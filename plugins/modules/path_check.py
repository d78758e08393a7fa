#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: path_check
short_description: Tell whether a packet arrives, and if not, what is in its way
description:
  - Follows a packet from an endpoint, from the host or from outside to an address, an endpoint or a published port,
    layer by layer in the kernel's order. It follows the answer back in the same way.
  - The answer is one verdict. It names the layer, the object there, whose it is, and the command or the option that
    mends it.
  - With O(active=true) one real packet is sent and watched at every link and on every hook of the packet filter that
    it passes. So the rule, the route or the setting that ends it is found, whoever made it. In check mode, and with
    O(active=false), the way is worked out from what the kernel has (links, addresses, routes, sysctls and rules), and
    nothing is sent.
  - Where nobody can tell, the verdict is V(unknown) (RV(verdict)), and the reason says what could not be told.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.info_module
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common.backend
options:
  from:
    description:
      - Where the packet comes from.
      - The name of an endpoint (of its network namespace), V(host), or V(outside).
      - An endpoint that is called V(host) or V(outside) itself is meant by C(NAME.NETWORK), in O(to) as well.
    type: str
    required: true
  to:
    description:
      - Where it goes. An address, or the name of an endpoint, for which C(NAME.NETWORK) chooses the address in one of
        its networks.
      - For a published port this is an address of the host.
      - The port and the protocol may follow, as in C(192.0.2.1:443), C([2001:db8::1]:53/udp) or C(db:5432).
    type: str
    required: true
  port:
    description: The port it goes to. Without a port an echo request (ping) is followed.
    type: int
  protocol:
    description: The protocol. By default V(tcp) where there is a O(port), and V(icmp) otherwise.
    type: str
    choices: [tcp, udp, icmp]
  source_address:
    description:
      - The source of the packet. By default the address that the kernel chooses.
      - With O(from=outside), the address of the client; by default that of the router to which the default route
        leads.
    type: str
  size:
    description:
      - The size of the packet in bytes, from the IP header on. It must not be fragmented on its way.
      - With V(tcp) (O(protocol)), the packet that is really sent stays small, and the size is compared with the MTU
        of each link only.
    type: int
  timeout:
    description:
      - For how many seconds to wait for an answer.
      - A packet that has left is waited for one second at most, and one whose next hop does not tell its MAC address
        for the whole time.
    type: float
    default: 4.0
  inject:
    description:
      - With O(from=outside), put the packet into the host's uplink as if the network had brought it, so nobody
        outside is needed. This takes C(tc), and a pair of links that exists for a moment.
      - With V(false), wait for O(timeout) seconds for somebody outside to send one.
    type: bool
    default: true
  active:
    description:
      - Send one real packet and follow it.
      - Check mode never does.
    type: bool
    default: true
requirements:
  - Linux, and privileges to look into namespaces (C(become=true))
  - pyroute2 >= 0.7.2 on the managed host
  - nf_tables in the kernel for O(active=true); where it is missing, packets are watched at links only
notes:
  - The module changes nothing that lasts. For O(active=true) it adds empty chains in tables of its own, which the
    kernel removes when the module ends, even if it is killed, and forgets the entry of connection tracking again.
  - A service sees a connection that is opened and reset at once, or for V(udp) (O(protocol)) a datagram of eight
    random bytes.
  - For TCP and ICMP, V(arrives) (RV(verdict)) means that the answer came back. A service need not answer UDP, so
    there it means that a socket took the packet.
"""

EXAMPLES = r"""
- name: Does web reach the database?
  dockerless.network.path_check:
    from: web
    to: db
    port: 5432
  register: result

- name: Does it get out?
  dockerless.network.path_check:
    from: web
    to: 203.0.113.1
    port: 443

- name: Is the published port open to the outside?
  dockerless.network.path_check:
    from: outside
    to: 192.0.2.11
    port: 8080
    source_address: 198.51.100.7

- name: Do large packets fit?
  dockerless.network.path_check:
    from: web
    to: 203.0.113.1
    size: 1500

- name: Only look, and send nothing
  dockerless.network.path_check:
    from: host
    to: web
    port: 80
    active: false
"""

RETURN = r"""
verdict:
  description:
    - V(arrives), the answer came back, or with UDP a socket took the packet.
    - V(refused), somebody said no, such as a host where nothing listens, or a rule that rejects.
    - V(lost), the packet or its answer was dropped on this host.
    - V(unanswered), the packet was delivered or has left the host, and no answer came.
    - V(unknown), nobody can tell without a real packet.
  returned: success
  type: str
  sample: lost
layer:
  description: The layer that ended the way, or null when the packet arrives.
  returned: success
  type: str
  choices:
    - link
    - address
    - route
    - neighbour
    - bridge_port
    - forwarding
    - reverse_path
    - firewall
    - masquerade
    - publish
    - mtu
    - conntrack
    - uplink
    - upstream
    - service
  sample: firewall
place:
  description: The stack, and the interface where there is one.
  returned: success
  type: str
  sample: "host: eth0"
reason:
  description: What is wrong with which object, and whose it is.
  returned: success
  type: str
  sample: >-
    chain FORWARD of table ip filter: policy drop drops 10.20.0.2:27576 > 203.0.113.1:443 (a rule that is not of this
    collection)
advice:
  description: The command or the option that mends it.
  returned: success
  type: str
packet:
  description: The packet that was followed.
  returned: success
  type: str
  sample: 10.20.0.2 > 203.0.113.1:443/tcp
hops:
  description: What was looked at, in the order of the way.
  returned: success
  type: list
  elements: dict
  contains:
    place:
      description: The stack, V(host) or an endpoint.
      type: str
    direction:
      description: V(there) for the packet, V(back) for its answer.
      type: str
    layer:
      description: The layer, as in RV(layer).
      type: str
    object:
      description: The interface, the address or the hook that was looked at.
      type: str
    found:
      description: What was found.
      type: str
  sample:
    - {place: web, direction: there, layer: route, object: 203.0.113.1, found: by eth0 via 10.20.0.1}
    - {place: web, direction: there, layer: link, object: eth0, found: "out 10.20.0.2:27576 > 203.0.113.1:443"}
seen:
  description:
    - The real packet and its answer as they were seen on each link, in the order of time. Where the source or the
      destination differs from that on the link before, it was translated.
    - Empty where nothing was sent.
  returned: success
  type: list
  elements: dict
  contains:
    place:
      description: The stack, V(host) or an endpoint.
      type: str
    direction:
      description: V(there) for the packet, V(back) for its answer.
      type: str
    layer:
      description: V(uplink) for a link by which the host reaches others, V(link) otherwise.
      type: str
    interface:
      description: The name of the link.
      type: str
    way:
      description: V(out) or V(in), of the stack.
      type: str
    source:
      description: The source address, with the port where the protocol has one.
      type: str
    destination:
      description: The destination address, with the port where the protocol has one.
      type: str
  sample:
    - place: web
      direction: there
      layer: link
      interface: eth0
      way: out
      source: 10.20.0.2:27576
      destination: 203.0.113.1:443
    - place: host
      direction: there
      layer: uplink
      interface: eth0
      way: out
      source: 192.0.2.11:27576
      destination: 203.0.113.1:443
conntrack:
  description: The entry of connection tracking for the packet, of each stack that has one.
  returned: success
  type: list
  elements: dict
  sample:
    - place: host
      original: 10.20.0.2:27576 > 203.0.113.1:443
      reply: 203.0.113.1:443 > 192.0.2.11:27576
      state: answered
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.entry import Look, run_look
from ansible_collections.dockerless.network.plugins.module_utils.path.entry import ARGUMENTS, answer


def verdict(look: Look) -> dict[str, object]:
    return answer(look.host, look.run, look.params, look.check_mode)


def main() -> None:
    run_look(verdict, ARGUMENTS)


if __name__ == "__main__":
    main()
