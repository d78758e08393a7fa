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
  - The answer is one verdict. It names the layer, the object there, and the command or the option that fixes the
    problem. It also names the owner of the object, if that can be told from the object. If the owner is another
    program that has a command for this, the remedy is that command, since the program would restore a rule that
    somebody else deletes.
  - With O(active=true), one real packet is sent and watched at every link and on every hook of the packet filter that
    it passes. In this way the module finds the rule, the route or the setting that stops the packet, whoever made it.
    In check mode, and with O(active=false), the packet's path is derived from the state of the kernel (links,
    addresses, routes, sysctls and rules), and nothing is sent.
  - If the path cannot be derived, the verdict is V(unknown) (RV(verdict)), and the reason says why.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.info_module
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common.backend
options:
  from:
    description:
      - Where the packet comes from.
      - The name of an endpoint (of its network namespace) or one of its aliases, V(host), or V(outside).
      - For an endpoint whose own name is V(host) or V(outside), write C(NAME.NETWORK), in O(to) as well.
    type: str
    required: true
  to:
    description:
      - Where the packet goes. An address, or the name of an endpoint, for which C(NAME.NETWORK) chooses the address in
        one of its networks.
      - V(host) is the host. From an endpoint it stands for the gateway, as in the hosts file of the endpoint and in
        C(allow) of a network. From outside it stands for the address of the interface by which the packet comes in.
      - Other names, such as aliases, are looked up in the hosts file of the endpoint that O(from) names, or in those of
        all endpoints if the packet does not come from one. DNS is not asked, so give the address of another machine.
      - For a published port this is an address of the host.
      - The port and the protocol may follow, as in C(192.0.2.1:443), C([2001:db8::1]:53/udp) or C(db:5432).
    type: str
    required: true
  port:
    description: The destination port. Without a port, an echo request (ping) is followed.
    type: int
  protocol:
    description: The protocol. By default V(tcp) if there is a O(port), and V(icmp) otherwise.
    type: str
    choices: [tcp, udp, icmp]
  source_address:
    description:
      - The source of the packet. By default the address that the kernel chooses.
      - With O(from=outside), the address of the client; by default that of the router to which the default route
        leads, or V(2000::1) if that is a link-local one, from which no host forwards packets.
    type: str
  size:
    description:
      - The size of the packet in bytes, from the IP header on. The packet must not be fragmented on its path.
      - With V(tcp) (O(protocol)), the packet that is really sent stays small, and the size is compared with the MTU
        of each link only.
    type: int
  timeout:
    description:
      - How many seconds to wait for an answer.
      - If the packet has left the host, the module waits for one second at most. If nobody answers the request for
        the MAC address of the next hop, it waits for the whole time.
    type: float
    default: 4.0
  inject:
    description:
      - With O(from=outside), inject the packet into the host's uplink as if it had arrived there, so that no sender
        outside is needed. This uses C(tc), and a pair of links that exists for a moment.
      - With V(false), wait for O(timeout) seconds for a packet that another machine sends.
    type: bool
    default: true
  active:
    description:
      - Send one real packet and follow it.
      - In check mode, no packet is sent.
    type: bool
    default: true
requirements:
  - Linux, and privileges to enter namespaces (C(become=true))
  - pyroute2 >= 0.7.2 on the managed host
  - nf_tables in the kernel for O(active=true); without it, packets are watched at links only
notes:
  - In tests with random networks and random faults, the verdict was V(unknown) (RV(verdict)) about once in 25 without a
    packet (O(active=false) or check mode), and hardly ever with one.
  - The module makes no lasting change. For O(active=true) it adds empty chains in tables of its own, which the kernel
    removes when the module ends, even if it is killed. It also deletes the connection-tracking entry of the packet.
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

- name: Does web reach the Internet?
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
    - V(refused), the packet was rejected, for example by a host where nothing listens, or by a rule.
    - V(lost), the packet or its answer was dropped on this host.
    - V(unanswered), the packet was delivered or has left the host, and no answer came.
    - V(unknown), only a real packet can tell, or none of the checks explains what happened.
  returned: success
  type: str
  sample: lost
layer:
  description: The layer that stopped the packet, or null if the packet arrives.
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
  description: The stack, and the interface if there is one.
  returned: success
  type: str
  sample: "host: eth0"
owner:
  description:
    - The owner of the object that stops the packet. It is null if the packet arrives, or if something is missing that
      nobody is known to be in charge of (a route of the host, a service).
    - V(this collection), for what it has made, and for what it makes again when it is missing.
    - The name of a program, such as V(Docker), V(firewalld), V(ufw), V(libvirt) or V(NetworkManager). The program is
      recognised by names of tables, chains and links that no other program uses, or by files in which it says that it
      manages the link. If any of several programs may have set the policy of a chain of iptables, all of them are
      named, as in V(Docker or ufw).
    - For a route or a routing rule, who set it, as its protocol says (L(rtnetlink(7),https://man7.org/linux/man-pages/man7/rtnetlink.7.html)),
      such as V(DHCP), V(BIRD), or V(a person or a script (ip route)).
    - V(an administrator), for a rule in a chain that is left to people, or in one of the files from which rules are
      loaded at boot (such as C(/etc/nftables.conf) and C(/etc/iptables/rules.v4)).
    - V(another machine) for the layer V(upstream) (RV(layer)), and V(the kernel) for V(conntrack).
    - V(not ours), if nothing says whose it is.
  returned: success
  type: str
  sample: Docker
reason:
  description: The object and what is wrong with it; for a rule or a policy of the packet filter, also whose it is.
  returned: success
  type: str
  sample: >-
    chain FORWARD of table ip filter: policy drop drops 10.20.0.2:27576 > 203.0.113.1:443 (a rule of Docker)
advice:
  description:
    - How to fix the problem, by an option, the role, or a command. If the remedy lets more through than this packet
      and its answers, such as all that comes from a bridge, the advice says so.
    - A command comes last, after the last colon, and runs on the host. C(ROUTER), C(LINK) and C(COMMAND) in it
      are for you to fill in.
  returned: success
  type: str
packet:
  description: The packet that was followed.
  returned: success
  type: str
  sample: 10.20.0.2 > 203.0.113.1:443/tcp
hops:
  description: What was checked, in the order of the packet's path.
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
      description: The interface, the address or the hook that was checked.
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
    - Empty if nothing was sent.
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
      description: V(uplink) for a link by which the host reaches other machines, V(link) otherwise.
      type: str
    interface:
      description: The name of the link.
      type: str
    way:
      description: Whether the packet went V(out) of the stack or V(in).
      type: str
    source:
      description: The source address, with the port if the protocol has one.
      type: str
    destination:
      description: The destination address, with the port if the protocol has one.
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
  description: The connection-tracking entry of the packet, for each stack that has one.
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
