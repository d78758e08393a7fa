# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of several objects, as argument specs of Ansible.

Each option stands in one place: here, if several modules or the list of networks take it, otherwise in the
``ARGUMENTS`` of its kind; that of the back-end is where those are, in firewall/choice.py. The list of networks is read
on the controller as well, so this file imports next to nothing.
"""

from __future__ import annotations

import typing as t

from . import model

# t.Any: the type of an option follows from its argument spec, which mypy cannot read.
Arguments = dict[str, dict[str, t.Any]]
Options = t.Mapping[str, t.Any]
_Value = t.TypeVar("_Value")

STATE: Arguments = {"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}}
PROJECT: Arguments = {"project": {"type": "str", "default": model.DEFAULT_PROJECT}}
NETWORK: Arguments = {"network": {"type": "str"}, **PROJECT}
# For modules whose objects need others to be of any use.
WARN: Arguments = {"warn": {"type": "bool", "default": True}}

# What happens to a service of systemd that leaves its endpoint while it runs.
SERVICE_REMOVAL: Arguments = {
    "service_removal": {"type": "str", "choices": ["restart", "stop"], "default": "restart"},
}
FLOW: Arguments = {
    "from": {"type": "str"},
    "to": {"type": "str", "required": True},
    "protocol": {"type": "str", "choices": list(model.PROTOCOLS)},
    "port": {"type": "str"},
}
POLICY: Arguments = {
    "bridge": {"type": "str", "required": True},
    "subnets": {"type": "list", "elements": "str"},
    "gateways": {"type": "list", "elements": "str"},
    "internal": {"type": "bool", "default": False},
    "icc": {"type": "bool", "default": True},
    "direct_access": {"type": "bool", "default": False},
    "trusted_interfaces": {"type": "list", "elements": "str", "default": []},
    "host_access": {"type": "str", "choices": ["allow", "deny"], "default": "allow"},
    "allow": {"type": "list", "elements": "dict", "options": FLOW, "default": []},
}
MASQUERADE: Arguments = {
    "source": {"type": "str", "required": True},
    "out_interface": {"type": "str"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "to_source": {"type": "str"},
    "random_fully": {"type": "bool", "default": False},
}
PORT: Arguments = {
    "host_port": {"type": "str", "required": True},
    "container_ip": {"type": "str", "required": True},
    "container_port": {"type": "str"},
    "protocol": {"type": "str", "choices": list(model.PROTOCOLS), "default": "tcp"},
    "host_ip": {"type": "str"},
    "bridge": {"type": "str"},
    "allowed_sources": {"type": "list", "elements": "str"},
    "in_interfaces": {"type": "list", "elements": "str"},
}
ROUTE: Arguments = {
    "to": {"type": "str", "required": True},
    "via": {"type": "str"},
    "metric": {"type": "int"},
}


def without(options: t.Mapping[str, _Value], *names: str) -> dict[str, _Value]:
    """A dictionary without some of its keys."""
    return {name: value for name, value in options.items() if name not in names}
