#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_publish
short_description: Publish ports of endpoints on the host
description:
  - Leads ports of the host to ports of an endpoint, as C(docker run -p) does, with no proxy process. The server sees
    the
    client's own address.
  - A published port answers from outside, from the host itself (on 127.0.0.1 too, when
    M(dockerless.network.sysctl_forward) has set C(route_localnet) for the bridge), from other endpoints, and from the
    endpoint itself.
  - A port is known by address family, O(host_ip), O(protocol) and O(host_port); everything else is changed in place.
  - A port that a process listens on, or that is published already, is refused with the name of its holder.
  - Entries of connection tracking that a change makes stale are removed, by the host's port; other flows live on.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.backend
options:
  host_port:
    description: The port of the host, or a range V(first-last). Needed unless O(aggregate) is given.
    type: str
  container_ip:
    description: The address of the endpoint, IPv4 or IPv6. Needed with O(host_port).
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
      - A port on one address is served only to what came in by the interface that has the address, to the host
        itself, and to
        endpoints of this collection's networks, unless O(in_interfaces) says otherwise.
    type: str
  bridge:
    description: The interface that leads to the endpoint. By default the one whose subnet holds O(container_ip).
    type: str
  allowed_sources:
    description: Who may use the port. By default everyone; the host itself always may.
    type: list
    elements: str
    default: []
  in_interfaces:
    description: By which interfaces a client may come in. By default every one; the host itself always may.
    type: list
    elements: str
    default: []
seealso:
  - module: dockerless.network.bridge_firewall
"""

EXAMPLES = r"""
- name: Publish a web server
  dockerless.network.port_publish:
    host_port: 8080
    container_ip: 10.20.0.2
    container_port: 80

- name: Several ports of one endpoint in one call
  dockerless.network.port_publish:
    container_ip: 10.20.0.2
    aggregate:
      - host_port: 8080
        container_port: 80
      - host_port: 9000
        host_ip: 127.0.0.1
      - host_port: 10000-10100
        protocol: udp

- name: For the office only
  dockerless.network.port_publish:
    host_port: 5432
    container_ip: 10.20.0.10
    allowed_sources: [198.51.100.0/24]

- name: Take a port back
  dockerless.network.port_publish:
    host_port: 8080
    container_ip: 10.20.0.2
    state: absent
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
objects:
  description: The published ports as they are, or in check mode would be, in the words of the options.
  returned: success
  type: list
  elements: dict
  contains:
    host_port:
      description: The port or range of the host.
      type: str
      sample: "8080"
    state:
      description: Whether it is there.
      type: str
      sample: present
    protocol:
      description: The protocol.
      type: str
      sample: tcp
    container_ip:
      description: The address of the endpoint.
      type: str
      sample: 10.20.0.2
    container_port:
      description: The port or range of the endpoint.
      type: str
      sample: "80"
    bridge:
      description: The interface that leads to the endpoint.
      type: str
      sample: br-blue
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import BACKEND, NETWORK, run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.parsing import PROTOCOLS


def main() -> None:
    arguments = dict(
        NETWORK,
        **BACKEND,
        host_port=dict(type="str", required=True),
        container_ip=dict(type="str", required=True),
        container_port=dict(type="str"),
        protocol=dict(type="str", choices=list(PROTOCOLS), default="tcp"),
        host_ip=dict(type="str"),
        bridge=dict(type="str"),
        allowed_sources=dict(type="list", elements="str", default=[]),
        in_interfaces=dict(type="list", elements="str", default=[]),
    )
    run_module(PortPublishKind(), arguments, key="host_port")


if __name__ == "__main__":
    main()
