#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_forward
short_description: Let the host forward between its networks
description:
  - Turns on forwarding, now and for the next boot. The two are checked and repaired separately.
  - Requests add up. The role requests what its networks need, and a call of this module what its options say. A request
    replaces the one with the same O(asked_by), and O(state=absent) takes it back. Neither touches other requests.
  - The module notes the values that it finds. It restores them as soon as no request needs other values, and no object
    of this collection does, such as a masquerade, a published port or a bridge with endpoints. If something else on the
    host evidently relies on forwarding (a bridge of others that has ports, or NAT rules of others), the value stays,
    and a warning says why.
  - See the kernel's documentation, networking/ip-sysctl.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common
  - dockerless.network._common.backend
options:
  ipv4:
    description: Whether to forward IPv4. With V(false), this is not asked for.
    type: bool
    default: true
  ipv6:
    description:
      - Whether to forward IPv6. With V(false), this is not asked for.
      - A host that forwards IPv6 ignores router advertisements, unless C(accept_ra) is V(2). So that is set first, on
        every interface of others that listens to routers and for those that come later, and default routes are kept.
        If systemd-networkd or NetworkManager then set it to V(0), because they read advertisements themselves, it
        stays at that.
    type: bool
    default: false
  route_localnet:
    description:
      - Interfaces for which the kernel routes 127.0.0.0/8. A bridge needs this so that the host can reach its
        published ports on 127.0.0.1.
      - M(dockerless.network.port_publish) closes what this would open to others.
      - The list is complete. A request for an interface that is no longer in the list is withdrawn.
    type: list
    elements: str
    default: []
  persist:
    description:
      - Whether forwarding is also turned on at the next boot, by the file C(/etc/sysctl.d/90-dockerless-network.conf).
      - O(route_localnet) is never written there, because the interfaces do not exist yet at boot.
      - Forwarding that O(forward_policy) limits is not written there either, because the rules that limit it do not
        exist yet at boot. The next run turns it on.
    type: bool
    default: true
  forward_policy:
    description:
      - What happens to other packets that the host forwards.
      - V(unmanaged) leaves them alone.
      - V(auto) drops, in a chain of this collection, whatever neither enters nor leaves an interface that this
        collection created, or a bridge of others. This concerns only IP versions that the host did not forward before.
        With an iptables back-end, which cannot recognise a bridge, an interface that is added later is not covered
        before the next run.
      - V(drop) does so on every host, and does not spare bridges of others.
      - Of several policies that are asked for, the strictest holds, with a warning. V(drop) is the strictest.
    type: str
    choices: [unmanaged, auto, drop]
    default: unmanaged
  asked_by:
    description:
      - Whose request this is. Requests by different names add up.
      - V(bridge_network) is the role. With O(state=absent), V(all) takes back all requests.
    type: str
    default: sysctl_forward
seealso:
  - module: ansible.posix.sysctl
"""

EXAMPLES = r"""
- name: Forward IPv4, now and after the next boot
  dockerless.network.sysctl_forward:

- name: Forward both families, but nothing between other interfaces
  dockerless.network.sysctl_forward:
    ipv6: true
    forward_policy: drop

- name: Restore what was found
  dockerless.network.sysctl_forward:
    state: absent
"""

RETURN = r"""
commands:
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
  sample: [sysctl -w net.ipv4.ip_forward=1]
objects:
  description:
    - The forwarding state after the call, as a list of one. In check mode, as it would be.
    - An object that is absent has only C(title) and C(state).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: forwarding
    state:
      description: Whether the module keeps the values.
      type: str
      sample: present
    sysctls:
      description: The keys that the module keeps, and their values.
      type: dict
      sample: {"net.ipv4.ip_forward": "1"}
    persist:
      description: Whether the values are set again at the next boot.
      type: bool
      sample: true
    forward_policy:
      description: What happens to other packets that the host forwards.
      type: str
      sample: unmanaged
    asked_by:
      description: The names of the requests that have been added up. V(objects) stands for what objects of this
        collection still need without a request.
      type: list
      elements: str
      sample: [bridge_network, sysctl_forward]
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.entry import run_module
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind


def main() -> None:
    run_module(SysctlForwardKind())


if __name__ == "__main__":
    main()
