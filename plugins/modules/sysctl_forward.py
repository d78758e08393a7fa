#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_forward
short_description: Let the host forward between its networks
description:
  - Turns on forwarding, at once and after the next boot. The two are looked at and repaired separately.
  - What was found is noted, and O(state=absent) goes back to it, unless something else on the host evidently lives by
    it (a
    bridge of others with ports, NAT rules of others). Then the value stays, and a warning says why.
  - A host has one forwarding, so the options are the whole of what is wanted.
  - See the kernel's documentation, networking/ip-sysctl.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.backend
options:
  ipv4:
    description: Whether to forward IPv4. With V(false) it is not asked for, and goes back to what was found.
    type: bool
    default: true
  ipv6:
    description:
      - Whether to forward IPv6. With V(false) it is not asked for, and goes back to what was found.
      - A host that forwards ignores router advertisements. When its default route came by one, C(accept_ra=2) is set
        on that
        interface first, so that the route is kept.
    type: bool
    default: false
  route_localnet:
    description:
      - Interfaces for which the kernel routes 127.0.0.0/8. It is needed on a bridge so that the host can reach ports
        published
        on it by way of 127.0.0.1.
      - M(dockerless.network.port_publish) closes what this would open to others.
      - The list is complete; an interface of which this module had set it, and that is no longer named, goes back to
        what was
        found.
    type: list
    elements: str
    default: []
  persist:
    description:
      - Whether forwarding is on after the next boot, too, by the file C(/etc/sysctl.d/90-dockerless-network.conf).
      - O(route_localnet) is never written there, because the interfaces are made at run time.
    type: bool
    default: true
  forward_policy:
    description:
      - V(unmanaged) leaves alone what else the host forwards.
      - V(drop) drops, in a chain of ours, what neither enters nor leaves an interface that this collection made.
    type: str
    choices: [unmanaged, drop]
    default: unmanaged
seealso:
  - module: ansible.posix.sysctl
"""

EXAMPLES = r"""
- name: Forward IPv4, now and after the next boot
  dockerless.network.sysctl_forward:

- name: Forward both families, but nothing between other interfaces than ours
  dockerless.network.sysctl_forward:
    ipv6: true
    forward_policy: drop

- name: Go back to what was found
  dockerless.network.sysctl_forward:
    state: absent
"""

RETURN = r"""
commands:
  description: What was done, or in check mode would be done, as commands that a person could type.
  returned: success
  type: list
  elements: str
  sample: [sysctl -w net.ipv4.ip_forward=1]
objects:
  description: The forwarding as it is, or in check mode would be; a list of one.
  returned: success
  type: list
  elements: dict
  contains:
    state:
      description: Whether this module keeps it.
      type: str
      sample: present
    sysctls:
      description: The keys that this module keeps, and their values.
      type: dict
      sample: {"net.ipv4.ip_forward": "1"}
    persist:
      description: Whether they are kept over a boot.
      type: bool
    forward_policy:
      description: What happens to traffic that is not ours.
      type: str
      sample: unmanaged
"""

from ansible_collections.dockerless.network.plugins.module_utils.entry import BACKEND, run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind


def main() -> None:
    arguments = dict(
        BACKEND,
        ipv4=dict(type="bool", default=True),
        ipv6=dict(type="bool", default=False),
        route_localnet=dict(type="list", elements="str", default=[]),
        persist=dict(type="bool", default=True),
        forward_policy=dict(type="str", choices=["unmanaged", "drop"], default="unmanaged"),
    )
    run_module(SysctlForwardKind(), arguments)


if __name__ == "__main__":
    main()
