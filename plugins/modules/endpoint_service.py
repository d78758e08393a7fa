#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_service
short_description: Run services of systemd in network namespaces
description:
  - Puts a service that the host has, such as that of a package, into a namespace, by a drop-in for its unit. The unit
    itself is not changed.
  - A service that does not run in its namespace is restarted there, because it ran on the host or in another endpoint,
    or because the namespace was deleted and made again. Other services are not restarted.
  - A service that does not run is started if it is enabled and could not be started before, because it is new in the
    namespace or the namespace did not exist. If it is stopped later, it stays stopped.
  - If the namespace has files in C(/etc/netns/NAME), as those of a role's network with names have, the service finds
    C(hosts), C(resolv.conf) and C(nsswitch.conf) of them in place of the host's, and no resolver of the host by its
    socket.
  - At boot it waits for C(dockerless-network.service), and fails with a clear message if its namespace is not there.
  - See systemd.exec(5) for C(NetworkNamespacePath). A unit may have C(PrivateNetwork=yes) as well.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.network
  - dockerless.network._common.backend
options:
  unit:
    description:
      - The unit, such as V(nginx.service). As for systemctl(1), V(nginx) stands for it. Needed unless O(aggregate) is
        given.
      - Of a template, name an instance, such as V(postgresql@15-main). A service that a socket unit starts still
        listens on the host's network.
      - Without O(network), one that runs in an endpoint of a network of the same project is refused, unless O(netns) is
        the namespace of that endpoint.
    type: str
  netns:
    description: The namespace in which it runs. It must be there. With O(state=absent) it does not matter.
    type: str
  service_removal:
    description: What happens to a service that runs when it leaves the namespace. V(restart) restarts it on the host's
      own network, V(stop) stops it.
    type: str
    choices: [restart, stop]
    default: restart
seealso:
  - module: dockerless.network.netns
  - module: dockerless.network.bridge_network
  - module: ansible.builtin.systemd_service
"""

EXAMPLES = r"""
- name: Run nginx in the namespace web
  dockerless.network.endpoint_service:
    unit: nginx
    netns: web

- name: Run two services in two namespaces in one call
  dockerless.network.endpoint_service:
    aggregate:
      - unit: redis-server
        netns: cache
      - unit: postgresql@15-main
        netns: db

- name: Take nginx out of it, and stop it
  dockerless.network.endpoint_service:
    unit: nginx
    service_removal: stop
    state: absent
"""

RETURN = r"""
commands:
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
  sample:
    - systemctl daemon-reload
    - systemctl start --job-mode=ignore-dependencies dockerless-endpoint@web.target
    - systemctl restart nginx.service
objects:
  description:
    - The services after the call. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: unit nginx.service
    state:
      description: Whether the service has its place in a namespace after the call.
      type: str
      sample: present
    unit:
      description: The unit by its own name, where O(unit) may be another one.
      type: str
      sample: nginx.service
    netns:
      description: The namespace.
      type: str
      sample: web
    runs:
      description: Where it runs, V(in the endpoint), V(elsewhere) or V(nowhere).
      type: str
      sample: in the endpoint
    names:
      description: The files that it finds in C(/etc) of its namespace, and not of the host. Left out if there are none.
      type: list
      elements: str
      sample: [hosts, resolv.conf]
    network:
      description: The network that the object belongs to. Left out if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the object belongs to. Left out if it is the default project.
      type: str
      sample: shop
services:
  description: The services that were started, restarted or stopped. In check mode, that would be.
  returned: success
  type: list
  elements: dict
  contains:
    unit:
      description: The unit.
      type: str
      sample: nginx.service
    action:
      description: What was done, V(started), V(restarted) or V(stopped).
      type: str
      sample: restarted
    netns:
      description: The namespace in which it runs now. Empty for the host's own network, and when it was stopped.
      type: str
      sample: web
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.entry import run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.endpoint_service import EndpointServiceKind


def main() -> None:
    run_module(EndpointServiceKind())


if __name__ == "__main__":
    main()
