#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_publish
short_description: Publish ports of endpoints on the host
description:
  - Forwards ports of the host to ports of an endpoint, as C(docker run -p) does, but without a proxy process. The
    server sees the client's own address.
  - A published port answers from outside, from the host itself, from other endpoints, and from the endpoint itself. On
    127.0.0.1 it answers if M(dockerless.network.sysctl_forward) has set C(route_localnet) for the bridge.
  - A port is identified by address family, O(host_ip), O(protocol) and O(host_port). All other options can be changed
    in place.
  - A port on which a process listens, or that is already published, is refused, and the error names its holder. So is
    one that leads into a network of another project than O(project).
  - A change reaches flows that are open. Those of a port that is withdrawn end, and so do those of clients that
    O(allowed_sources) no longer names. When O(in_interfaces) leaves out an interface, those of all clients end, since
    the interface of a flow is not known, and clients that are still allowed connect again. A UDP client that keeps
    sending is let in, or comes to another endpoint, as soon as a new one would be.
  - Other flows go on. So do TCP connections of a port that now leads elsewhere, as long as the endpoint that they lead
    to is there.
  - A warning says what is missing for the port to work. The host may not forward, may have no route to the endpoint, or
    may not lead 127.0.0.1 there without C(route_localnet). M(dockerless.network.sysctl_forward) turns these on.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.warn
  - dockerless.network._common.backend
options:
  host_port:
    description: The port of the host, or a range V(first-last). Needed unless O(aggregate) is given.
    type: str
  container_ip:
    description: The address of the endpoint, IPv4 or IPv6, or its name if it is on the host, such as V(web), or
      V(web.blue) for its end in the network blue. Of a name, the address of the family of O(host_ip) is taken, or else
      the IPv4 one. Needed with O(host_port).
    type: str
  container_port:
    description: The port of the endpoint, or a range of the same length. By default the same as O(host_port).
    type: str
  protocol:
    description: The protocol.
    type: str
    choices: [tcp, udp, sctp]
    default: tcp
  host_ip:
    description:
      - The address of the host on which the port is published. By default all local addresses of the family.
      - A port on one address is open only to clients that come in by the interface that has the address, to the host
        itself, and to endpoints of this collection's networks, unless O(in_interfaces) says otherwise.
      - No packet comes in by C(lo) or a dummy interface, so a port on an address there (anycast) is open to clients by
        any interface. 127.0.0.0/8 stays for the host alone.
      - A warning names ports on an address that the host does not have, unless C(net.ipv4.ip_nonlocal_bind), or that of
        IPv6, says that it may come later.
    type: str
  bridge:
    description: The interface that leads to the endpoint. By default the one whose subnet contains O(container_ip).
    type: str
  allowed_sources:
    description: The subnets whose clients may use the port, and endpoints that are on the host, by their names. By
      default all. The host itself always may. An empty list is refused, as it would open the port to everybody.
    type: list
    elements: str
  in_interfaces:
    description: The interfaces by which a client may come in. By default all. The host itself always may use the port.
      A warning names those that are not there, and ports of a bridge, as rules see only the bridge. An empty list is
      refused, as it would open the port to everybody.
    type: list
    elements: str
seealso:
  - module: dockerless.network.bridge_firewall
"""

EXAMPLES = r"""
- name: Publish a web server
  dockerless.network.port_publish:
    host_port: 8080
    container_ip: 10.20.0.2
    container_port: 80

- name: Publish several ports of one endpoint in one call
  dockerless.network.port_publish:
    container_ip: 10.20.0.2
    aggregate:
      - host_port: 8080
        container_port: 80
      - host_port: 9000
        host_ip: 127.0.0.1
      - host_port: 10000-10100
        protocol: udp

- name: Publish a port for the office only
  dockerless.network.port_publish:
    host_port: 5432
    container_ip: 10.20.0.10
    allowed_sources: [198.51.100.0/24]

- name: Stop publishing a port
  dockerless.network.port_publish:
    host_port: 8080
    container_ip: 10.20.0.2
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
    - The published ports after the call, in the words of the options. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: port 8080/tcp
    state:
      description: Whether the object is there after the call.
      type: str
      sample: present
    host_port:
      description: The port of the host, or the range.
      type: str
      sample: "8080"
    host_ip:
      description: The address of the host. Left out if the port is published on all of them.
      type: str
      sample: 127.0.0.1
    protocol:
      description: The protocol.
      type: str
      sample: tcp
    container_ip:
      description: The address of the endpoint.
      type: str
      sample: 10.20.0.2
    container_port:
      description: The port of the endpoint, or the range.
      type: str
      sample: "80"
    bridge:
      description: The interface that leads to the endpoint.
      type: str
      sample: br-blue
    allowed_sources:
      description: The subnets whose clients may use the port. An empty list stands for all.
      type: list
      elements: str
      sample: [198.51.100.0/24]
    in_interfaces:
      description: The interfaces by which a client may come in. An empty list stands for all.
      type: list
      elements: str
      sample: [eth0]
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
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind


def main() -> None:
    run_module(PortPublishKind())


if __name__ == "__main__":
    main()
