# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection.

from __future__ import annotations


class ModuleDocFragment:
    # What the attributes mean. A module adds how far it supports them, or extends one of the fragments below.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would be changed without changing anything.
  diff_mode:
    description: Returns what was changed, or in check mode what would be changed, when in diff mode.
  idempotent:
    description: When run twice in a row with the same options, the second run changes nothing.
  platform:
    description: The operating system of the managed host.
"""

    # A module that changes the host.
    FULL = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return what would be changed without changing anything.
  diff_mode:
    support: full
    description: Returns what was changed, or in check mode what would be changed, when in diff mode.
  idempotent:
    support: full
    description: When run twice in a row with the same options, the second run changes nothing.
  platform:
    platforms: linux
    support: full
    description: The operating system of the managed host.
"""

    # A module that only looks.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module changes nothing.
    description: Can run in C(check_mode) and return what would be changed without changing anything.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
    description: Returns what was changed, or in check mode what would be changed, when in diff mode.
  idempotent:
    support: full
    details:
      - This module changes nothing.
    description: When run twice in a row with the same options, the second run changes nothing.
  platform:
    platforms: linux
    support: full
    description: The operating system of the managed host.
"""

    ACTIONGROUP_ALL = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/dockerless.network.all) in C(module_defaults) to set C(backend) for all modules of this
      collection.
    support: full
    membership:
      - dockerless.network.all
"""
