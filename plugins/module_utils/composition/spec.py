# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a network, read as Ansible reads a module's: flags in every spelling, one word for a list of one.

The role's variables come out of templates, as texts; and a misspelt option must not be taken for one left out.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean

from ..given import as_given
from ..model import InvalidRequest
from ..parsing import about

_Spec = dict[str, dict[str, t.Any]]
_STRINGS: dict[str, t.Any] = {"type": "list", "elements": "str"}

MASQUERADE: _Spec = {
    "out_interface": {"type": "str"},
    "exclude": _STRINGS,
    "to_source": {"type": "str"},
    "random_fully": {"type": "bool"},
}
PUBLISH: _Spec = {
    "host_ip": {"type": "str"},
    "host_port": {"type": "str"},
    "protocol": {"type": "str"},
    "container_port": {"type": "str"},
    "allowed_sources": _STRINGS,
    "in_interfaces": _STRINGS,
}
_FLOW: _Spec = {
    "from": {"type": "str"},
    "to": {"type": "str", "required": True},
    "protocol": {"type": "str", "choices": ["tcp", "udp", "sctp"]},
    "port": {"type": "str"},
}
_ENDPOINT: _Spec = {
    "name": {"type": "str"},
    "netns": {"type": "str"},
    "pid": {"type": "int"},
    "interface": {"type": "str"},
    "addresses": _STRINGS,
    "mac_address": {"type": "str"},
    "publish": {"type": "list", "elements": "raw"},
}
NETWORK: _Spec = {
    "name": {"type": "str"},
    "bridge": {"type": "str"},
    "subnets": _STRINGS,
    "gateways": _STRINGS,
    "mtu": {"type": "int"},
    "internal": {"type": "bool"},
    "icc": {"type": "bool"},
    "masquerade": {"type": "raw"},
    "direct_access": {"type": "bool"},
    "trusted_interfaces": _STRINGS,
    "host_access": {"type": "str", "choices": ["allow", "deny"]},
    "allow": {"type": "list", "elements": "dict", "options": _FLOW},
    "endpoints": {"type": "list", "elements": "dict", "options": _ENDPOINT},
}


def read(title: str, spec: _Spec, value: t.Any) -> dict[str, t.Any]:
    """A dictionary of options as ``spec`` has them; raises InvalidRequest."""
    if not isinstance(value, t.Mapping):
        raise InvalidRequest("%s: %r is not a dictionary of options." % (title, value))
    with about(title):
        given = as_given(spec, value)
    checked = ArgumentSpecValidator(spec).validate(given)
    if checked.error_messages:
        raise InvalidRequest("%s: %s." % (title, "; ".join(_sentence(error) for error in checked.errors)))
    return dict(checked.validated_parameters)


def _sentence(error: Exception) -> str:
    text = str(error).rstrip(".").replace(". Supported parameters include: ", "; there are ")
    return "there is no option %s" % text if isinstance(error, UnsupportedError) else text


def read_masquerade(title: str, value: t.Any) -> dict[str, t.Any] | None:
    """``masquerade`` of a network: None for no, the options for yes."""
    if value is None:
        return {}
    if isinstance(value, t.Mapping):
        return read("%s: masquerade" % title, MASQUERADE, value)
    try:
        return {} if boolean(value) else None
    except TypeError:
        raise InvalidRequest("%s: masquerade: %r is neither yes, nor no, nor a dictionary." % (title, value)) from None
