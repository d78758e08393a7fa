# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter by which the role notices variables that it does not have, which Ansible itself would ignore."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display

from ..plugin_utils.role_variables import unknown

DOCUMENTATION = r"""
name: role_variables
author: The dockerless.network authors (@dockerless-network)
short_description: Warn of variables that the role does not have
description:
  - Warns of each name that begins with C(bridge_network_) and is no variable of the role
    P(dockerless.network.bridge_network#role) or of the playbooks of this collection, as after a typing error.
  - Used by that role.
options:
  _input:
    description: The names of variables.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Warn of variables that the role does not have
  ansible.builtin.set_fact:
    checked: "{{ query('ansible.builtin.varnames', '^bridge_network_') | dockerless.network.role_variables }}"
"""

RETURN = r"""
_value:
  description: Always V(true), so that it can stand in an option that is set in any case.
  type: bool
"""


def role_variables(names: t.Iterable[str]) -> bool:
    """Warn of names that the role does not know."""
    for text in unknown(map(str, names)):
        Display().warning(text)
    return True


class FilterModule:
    """The filters of this file, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"role_variables": role_variables}
