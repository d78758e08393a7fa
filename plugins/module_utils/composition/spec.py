# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a network, and how a list of networks is read."""

from __future__ import annotations

import typing as t

from .. import model
from ..arguments import MASQUERADE, POLICY, PORT, ROUTE, SERVICE_REMOVAL, STATE, Arguments, Options, without
from ..arguments import PROJECT as _PROJECT
from ..firewall.choice import BACKEND
from ..parsing import kind_of
from ..reading import find_flag, read, read_list, titled, unquoted

# Options of a masquerade, a port and a policy that follow from the network are left out.
_MASQUERADE: Arguments = without(MASQUERADE, "source")
PUBLISH: Arguments = {"host_port": {"type": "str"}, **without(PORT, "host_port", "container_ip", "bridge")}
ENDPOINT: Arguments = {
    "name": {"type": "str", "required": True},
    "netns": {"type": "str"},
    "pid": {"type": "int"},
    "interface": {"type": "str"},
    "addresses": {"type": "list", "elements": "str"},
    "mac_address": {"type": "str"},
    "sysctls": {"type": "dict"},
    "default_route": {"type": "bool", "default": True},
    "routes": {"type": "list", "elements": "dict", "options": ROUTE},
    "aliases": {"type": "raw"},
    "resolver": {"type": "bool", "default": True},
    "nameservers": {"type": "list", "elements": "str"},
    "search": {"type": "list", "elements": "str"},
    "extra_hosts": {"type": "list", "elements": "str"},
    "services": {"type": "list", "elements": "str", "default": []},
    "publish": {"type": "list", "elements": "raw", "options": PUBLISH},
}
NETWORK: Arguments = {
    "name": {"type": "str", "required": True},
    "bridge": {"type": "str"},
    "subnets": {"type": "list", "elements": "str"},
    "ip_range": {"type": "list", "elements": "str"},
    "allow_overlap": {"type": "bool", "default": False},
    "gateways": {"type": "list", "elements": "str"},
    "mtu": {"type": "int"},
    "masquerade": {"type": "raw", "options": _MASQUERADE, "default": True},
    **without(POLICY, "bridge", "subnets", "gateways"),
    "names": {"type": "bool", "default": True},
    "dns": {"type": "bool", "default": False},
    "nameservers": {"type": "list", "elements": "str"},
    "endpoints": {"type": "list", "elements": "dict", "options": ENDPOINT, "default": []},
}
POOL: Arguments = {"base": {"type": "str", "required": True}, "size": {"type": "int", "required": True}}
# Which objects outside the list are removed: those in listed networks, those of the whole project, or none.
LISTED, PROJECT, NONE = "listed", "project", "none"
_NETWORKS: dict[str, t.Any] = {"type": "list", "elements": "dict", "options": NETWORK}

# The options of the module bridge_network. The list is raw to Ansible, so that all errors come from reading.py.
ARGUMENTS: Arguments = {
    "networks": {"type": "raw", "options": NETWORK, "required": True},
    **STATE,
    **_PROJECT,
    "everything": {"type": "bool", "default": False},
    "rest": {"type": "bool", "default": False},
    "step_by_step": {"type": "bool", "default": False},
    "predicted": {"type": "raw", "default": []},
    "for_role": {"type": "bool", "default": False},
    "warn": {"type": "bool", "default": True},
    "pools": {"type": "raw", "options": POOL, "default": []},
    "prune": {"type": "str", "choices": [LISTED, PROJECT, NONE], "default": LISTED},
    "forward_policy": {"type": "str", "choices": list(model.FORWARD_POLICIES), "default": "auto"},
    **SERVICE_REMOVAL,
    "boot": {"type": "raw", "default": "auto"},
    **BACKEND,
}


def read_networks(value: object) -> list[Options]:
    """The networks of a list, each with all its options; raises InvalidRequest. What is left out is None."""
    return t.cast(list[Options], read_list("", "networks", _NETWORKS, _said(value)))


def unquoted_names(value: object) -> list[str]:
    """The error message for names in a list that are numbers."""
    return unquoted({"networks": _NETWORKS}, {"networks": value})


def read_names(value: object) -> list[str]:
    """The names of the networks in a list, without a look at other options."""
    name: Arguments = {"name": NETWORK["name"]}
    return [
        read(title, name, {key: text for key, text in item.items() if key == "name"})["name"]
        for title, item in titled("", "networks", _NETWORKS, _said(value))
    ]


def _said(value: object) -> object:
    """The list; raises InvalidRequest if it is missing, which does not mean that it is empty."""
    if value is None or value == "":  # ansible-core 2.18 makes an empty text of a template that comes to nothing
        raise model.InvalidRequest(
            "networks: the list of networks is missing (bridge_network_networks of the role); write a list, each item"
            " with its name, as in - name: blue."
        )
    return value


def read_masquerade(title: str, value: object) -> Options | None:
    """``masquerade`` of a network: None for no, the options for yes."""
    what = "%s: masquerade" % title
    if value is None:
        return {}
    if isinstance(value, t.Mapping):
        return read(what, _MASQUERADE, value)
    found = find_flag(value)
    if found is None:
        raise model.InvalidRequest("%s: got %s; write true, false or a dictionary of options." % (what, kind_of(value)))
    return {} if found else None
