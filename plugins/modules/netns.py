#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns
short_description: Manage named network namespaces
description:
  - Creates network namespaces that C(ip netns) lists, or gives a name to the namespace of a running process.
  - The loopback interface inside is brought up.
  - A namespace of this collection that has lost its name, for example by C(ip netns delete), gets it back if a process
    lives in it. What is inside stays as it is. Otherwise, and if it was removed with O(state=absent), it is created
    again, see RV(recreated).
  - See ip-netns(8) and network_namespaces(7).
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.backend
options:
  name:
    description: The name, which is that of a file in C(/run/netns). Needed unless O(aggregate) is given.
    type: str
  pid:
    description:
      - Gives the name to the namespace of this process instead of creating one. In this way a container or a systemd
        service can become an endpoint.
      - With O(state=absent), the name is removed and the process keeps its namespace.
    type: int
  sysctls:
    description:
      - Values of C(net.*) keys inside the namespace.
      - If the name of an interface in a key contains a dot, write the key with slashes, as for sysctl(8).
      - A value is refused, in check mode too, if the kernel would not take it or would make another one of it.
      - The list is complete. A key that an earlier call set and that is not in the list any more goes back to the value
        that it had before, unless others have set it to another one since. Other keys are left alone.
    type: dict
seealso:
  - module: dockerless.network.veth
  - module: community.general.ip_netns
"""

EXAMPLES = r"""
- name: Create a namespace
  dockerless.network.netns:
    name: web

- name: Create two namespaces in one call, in which low ports need no privileges
  dockerless.network.netns:
    sysctls:
      net.ipv4.ip_unprivileged_port_start: 0
    aggregate:
      - name: web
      - name: db

- name: Give a name to the namespace of a running process
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
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
  sample: [ip netns add web, ip -n web link set lo group 25708 alias dockerless.network/web up]
objects:
  description:
    - The namespaces after the call. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: namespace web
    state:
      description: Whether the object is there after the call.
      type: str
      sample: present
    name:
      description: The name of the namespace.
      type: str
      sample: web
    lo:
      description: Whether the loopback interface is V(up) or V(down).
      type: str
      sample: up
    sysctls:
      description: The values of the keys in O(sysctls). The keys are written with slashes. Left out if none are given.
      type: dict
      sample: {"net/ipv4/ip_unprivileged_port_start": "0"}
    network:
      description: The network that the object belongs to. Left out if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the object belongs to. Left out if it is the default project.
      type: str
      sample: shop
recreated:
  description:
    - The namespaces that existed before, had lost their names, and were made again. If a process lives in a namespace
      of this collection that has lost its name, and no run has removed it, it gets the name back instead.
    - What runs in the old namespace has no network any more and must be restarted. In check mode, as it would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the namespace.
      type: str
      sample: web
    processes:
      description: The processes in the old namespace. Empty if that cannot be found.
      type: list
      elements: dict
      contains:
        pid:
          description: The ID of the process.
          type: int
          sample: 4711
        name:
          description: The name of its program.
          type: str
          sample: nginx
        unit:
          description: The unit of systemd that it belongs to. Empty if there is none.
          type: str
          sample: nginx.service
  sample: []
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.entry import run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind


def main() -> None:
    run_module(NetnsKind())


if __name__ == "__main__":
    main()
