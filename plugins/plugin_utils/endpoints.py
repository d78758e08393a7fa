# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints that a list of networks declares, as hosts of an inventory."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

METHOD = "dockerless.network.netns"
# Variables for which an endpoint has its own values.
_OWN = ("ansible_become", "ansible_become_method", "ansible_host", "ansible_connection", "ansible_netns")
_IN_THE_NAMESPACE = "ansible_become | default(false) | bool and ansible_become_method | default('') == '%s'" % METHOD
_ON_THE_HOST = (
    "This task would run on the host instead of in the endpoint. Leave ansible_become and ansible_become_method of an "
    "endpoint as they are, or delegate the task to endpoint_host."
)

Render = t.Callable[[t.Any], t.Any]
Variables = dict[str, t.Any]


@dataclass(frozen=True)
class Endpoint:
    """A namespace, with the networks that it is in."""

    name: str
    netns: str
    networks: tuple[str, ...]


@dataclass
class Declared:
    """The endpoints of a host, and warnings about those that are left out."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Template:
    """Text that is a template instead of a value."""

    text: str


def declared_endpoints(networks: t.Any, render: Render) -> Declared:
    """The endpoints of ``networks``; renders no more than it needs, as other options may need facts."""
    found = Declared()
    for network in _dictionaries(networks, render):
        for endpoint in _dictionaries(network.get("endpoints"), render):
            _note(found, _text(network, "name", render), endpoint, render)
    return found


def _note(found: Declared, network: str, endpoint: t.Mapping[str, t.Any], render: Render) -> None:
    name = _text(endpoint, "name", render)
    netns = _text(endpoint, "netns", render) or name
    known = found.endpoints.get(name)
    if not name:
        found.remarks.append("network %s: an endpoint has no name, and is left out." % network)
    elif endpoint.get("pid") is not None:
        text = (
            "endpoint %s of network %s is a process (pid), and is left out; name its namespace with the module netns."
        )
        found.remarks.append(text % (name, network))
    elif known and known.netns != netns:
        text = "endpoint %s of network %s is in another namespace than in network %s, and is left out there."
        found.remarks.append(text % (name, network, known.networks[0]))
    else:
        found.endpoints[name] = Endpoint(name, netns, (*(known.networks if known else ()), network))


def _dictionaries(value: t.Any, render: Render) -> list[t.Mapping[str, t.Any]]:
    """The dictionaries in a list; the role refuses everything else when it runs."""
    items = render(value) if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        return []
    rendered = [render(item) if isinstance(item, str) else item for item in items]
    return [item for item in rendered if isinstance(item, t.Mapping)]


def _text(options: t.Mapping[str, t.Any], key: str, render: Render) -> str:
    value = render(options.get(key))
    return "" if value is None else str(value)


def host_variables(host: str, names: t.Iterable[str], endpoint: Endpoint) -> Variables:
    """The variables of an endpoint: how to reach it, by reference to the variables that its host has (``names``)."""
    theirs = sorted(name for name in names if name.startswith("ansible_"))
    found: Variables = {name: _reference(host, name) for name in theirs if name not in _OWN}
    found["ansible_host"] = _guarded("hostvars[%s].ansible_host | default(%s)" % (_quoted(host), _quoted(host)))
    if "ansible_connection" in theirs:
        found["ansible_connection"] = _guarded("hostvars[%s].ansible_connection" % _quoted(host))
    if "ansible_become_method" in theirs and "ansible_netns_root_method" not in theirs:
        found["ansible_netns_root_method"] = _reference(host, "ansible_become_method")
    found.update(ansible_become=True, ansible_become_method=METHOD, ansible_netns=endpoint.netns)
    found.update(endpoint_name=endpoint.name, endpoint_host=host, endpoint_networks=list(endpoint.networks))
    return found


def group_names(host: str, endpoint: Endpoint) -> list[str]:
    """The groups of an endpoint. It is not in those of its host, whose plays are not meant for it."""
    networks = ["network_%s" % network for network in dict.fromkeys(endpoint.networks)]
    return ["endpoints", "endpoint_%s" % endpoint.name, *networks, "on_%s" % host]


def _reference(host: str, name: str) -> Template:
    return Template("{{ hostvars[%s][%s] }}" % (_quoted(host), _quoted(name)))


def _guarded(expression: str) -> Template:
    """A value that every task needs, and that exists only for a task that runs in the namespace."""
    text = "{{ (%s) if (%s) else undef(hint=%s) }}"
    return Template(text % (expression, _IN_THE_NAMESPACE, _quoted(_ON_THE_HOST)))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
