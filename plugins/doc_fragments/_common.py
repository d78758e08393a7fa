# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection.

from __future__ import annotations


class ModuleDocFragment:
    # What every module that changes the host has in common.
    DOCUMENTATION = r"""
options:
  state:
    description:
      - Whether the object is there.
      - With V(absent), only what this collection created is removed. What was there before is left as it is, and a
        warning says so.
    type: str
    choices: [present, absent]
    default: present
  aggregate:
    description:
      - A list of objects, each a dictionary with the options of this module, except C(backend). All of them are
        handled in one call, which costs little more than a call for a single object.
      - Options that are given beside O(aggregate) are the defaults of every item.
      - The whole list is checked before anything is changed.
    type: list
    elements: dict
  settled:
    description:
      - In check mode, the objects that earlier tasks of the same run would have made or removed, each with the options
        of this module. The host does not show them, so without this option a port that one task withdraws and another
        one publishes would be refused.
      - The role hands it over. Otherwise the host shows all of it, and the option is ignored.
    type: list
    elements: dict
requirements:
  - Linux, and the privileges to configure its network (C(become=true))
  - pyroute2 >= 0.7.2 on the managed host
notes:
  - Only one run at a time works on a host. Another one waits for up to two minutes, and then fails and says who holds
    the lock.
  - Links that this collection creates are in the link group 25708, and their alias begins with C(dockerless.network).
  - Write names of digits in quotes. YAML makes 83 of an unquoted C(0123), so a name that is a number is taken with a
    warning, in decimal digits.
"""

    NETWORK = r"""
options:
  network:
    description:
      - The name of the network that the object belongs to.
      - It is noted on the object in the kernel and shown by M(dockerless.network.network_info). The role finds by it
        what it has created.
      - A link or a namespace that belongs to a network already stays in it if this option is left out.
    type: str
  project:
    description:
      - The project that the object belongs to, or its network. It consists of letters, digits and C(_ . -), at most 32
        of them.
      - It is noted on the object. What another project owns is neither changed nor used, and V(absent) leaves it. An
        object with neither a network nor a project is there for all of them.
      - So rules that reach into a network of another project are refused, such as a port that leads to its endpoint.
    type: str
    default: default
"""

    WARN = r"""
options:
  warn:
    description:
      - Whether to warn of what cannot work as the host is now, for example because it does not forward, has no route to
        an endpoint, or lacks an address or an interface that is named.
      - Turn it off where later tasks bring what is missing.
    type: bool
    default: true
"""

    BACKEND = r"""
options:
  backend:
    description:
      - The packet filter to use. All of them hold the same rules and protect alike.
      - Every module takes this option, so that it can be set for all of them with C(module_defaults). It makes no
        difference to a module that has no rules.
      - V(auto) takes V(nftables) if C(nft) works and is not older than 1.0.6, otherwise V(iptables).
      - A back-end that fails is an error and not taken for one that is missing, since it may have rules to be removed.
      - V(nftables) keeps everything in the single table C(inet dockerless).
      - V(iptables) keeps everything in chains whose names begin with C(DLN-), in the variant (nf_tables or legacy)
        that the host's own C(iptables) uses.
      - V(legacy) drives the legacy tables through the library python-iptables. It is refused where that library is
        known to be wrong; see the documentation of the collection.
      - Rules that this collection created with another back-end move to the chosen one, and none is left behind. With
        V(auto), a warning says so, since a call that names the other back-end would move them again.
    type: str
    choices: [auto, nftables, iptables, legacy]
    default: auto
requirements:
  - nftables >= 1.0.6, or iptables >= 1.8.9
"""
