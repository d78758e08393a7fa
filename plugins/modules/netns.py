#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns
short_description: Manage named network namespaces
description:
  - Makes network namespaces that C(ip netns) sees, or gives a name to the namespace of a running process.
  - The loopback interface inside is up.
  - See ip-netns(8) and network_namespaces(7).
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
options:
  name:
    description: The name, a file name below C(/run/netns). Needed unless O(aggregate) is given.
    type: str
  pid:
    description:
      - Give the namespace of this process the name, instead of making one. So a container or a service of systemd can
        be an
        endpoint.
      - With O(state=absent) the name goes away, and the process keeps its namespace.
    type: int
  sysctls:
    description:
      - Values of C(net.*) keys inside the namespace.
      - When an interface's name has a dot, write the key with slashes, as sysctl(8) does.
    type: dict
seealso:
  - module: dockerless.network.veth
  - module: community.general.ip_netns
"""

EXAMPLES = r"""
- name: A namespace
  dockerless.network.netns:
    name: web

- name: Two namespaces in one call, both of which may bind to low ports without privileges
  dockerless.network.netns:
    sysctls:
      net.ipv4.ip_unprivileged_port_start: 0
    aggregate:
      - name: web
      - name: db

- name: Give the namespace of a running process a name
  dockerless.network.netns:
    name: postgres
    pid: "{{ postgres_pid }}"

- name: Remove a namespace
  dockerless.network.netns:
    name: web
    state: absent
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
  sample: [ip netns add web, ip -n web link set lo group 25708 alias dockerless.network up]
objects:
  description: The namespaces as they are, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: web
    state:
      description: Whether it is there.
      type: str
      sample: present
    lo:
      description: Whether the loopback is up or down.
      type: str
      sample: up
    sysctls:
      description: The values of the keys that were asked for, by key with slashes.
      type: dict
      sample: {"net/ipv4/ip_unprivileged_port_start": "0"}
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import NETWORK, run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind


def main() -> None:
    arguments = dict(
        NETWORK,
        name=dict(type="str", required=True),
        pid=dict(type="int"),
        sysctls=dict(type="dict"),
    )
    run_module(NetnsKind(), arguments, key="name")


if __name__ == "__main__":
    main()
