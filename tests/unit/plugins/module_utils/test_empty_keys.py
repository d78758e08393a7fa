# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key without a value, such as `endpoints:`, counts as absent: each option, at each level, in each way of calling.

An empty text does as well, as templates make it; only where it could mean no as well as the default it is refused. So
is an empty list, where it could mean nobody as well as everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import entry
from ansible_collections.dockerless.network.plugins.module_utils.arguments import STATE
from ansible_collections.dockerless.network.plugins.module_utils.composition import spec
from ansible_collections.dockerless.network.plugins.module_utils.composition.compose import compose
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.reading import as_given
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport

Options = dict[str, Any]

ENDPOINT: Options = {"name": "web"}
PORT: Options = {"container_port": 80, "host_port": 8080}
FLOW: Options = {"to": "10.20.0.2"}
# Who may come in to a port: everybody if these are left out.
LIMITS = {
    "allowed_sources": "leave it out to let everybody in, or list who may come in",
    "in_interfaces": "leave it out to let clients in by every interface, or list those by which they may come in",
}
# For each dictionary of options in a network: what it cannot do without, and the network around it.
NETWORK: dict[str, tuple[Mapping[str, Any], Options, Any]] = {
    "network": (spec.NETWORK, {}, lambda options: options),
    "endpoint": (spec.ENDPOINT, ENDPOINT, lambda options: {"endpoints": [options]}),
    "publish": (spec.PUBLISH, PORT, lambda options: {"endpoints": [{**ENDPOINT, "publish": [options]}]}),
    "allow": (
        spec.NETWORK["allow"]["options"],
        FLOW,
        lambda options: {"icc": False, "endpoints": [ENDPOINT], "allow": [options]},
    ),
    "masquerade": (spec.NETWORK["masquerade"]["options"], {}, lambda options: {"masquerade": options}),
}
# What single modules cannot do without.
ITEMS: dict[str, Options] = {
    "bridge": {"name": "br-t"},
    "netns": {"name": "ns"},
    "veth": {"name": "v-t", "peer": {"netns": "ns", "routes": [{"to": "10.9.0.0/16"}]}},
    "bridge_firewall": {"bridge": "br-t", "subnets": ["10.20.0.0/24"], "allow": [FLOW]},
    "nat_masquerade": {"source": "10.20.0.0/24"},
    "port_publish": {"host_port": "80", "container_ip": "10.20.0.2"},
    "sysctl_forward": {},
    "endpoint_service": {"unit": "nginx", "netns": "ns"},
}


def options_of_networks() -> Iterator[Any]:
    for where, (options, needed, unused) in NETWORK.items():
        for name in options:
            if name not in {"name", "subnets", *needed}:
                yield pytest.param(where, name, id=f"{where}-{name}")


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize(("where", "name"), list(options_of_networks()))
def test_in_a_list_of_networks(where: str, name: str, empty: Any) -> None:
    unused, needed, around = NETWORK[where]
    if empty == "" and name in {"masquerade", *LIMITS}:
        return
    base = {"name": "blue", "subnets": ["10.20.0.0/24"]}

    assert compose([{**base, **around({**needed, name: empty})}], HostReport()) == compose(
        [{**base, **around(needed)}], HostReport()
    )


def emptied(given: Options, options: Mapping[str, Any]) -> Options:
    """The same with every other option, at every level, as a key without a value."""
    found: Options = dict.fromkeys(options)
    for name, value in given.items():
        inner = options.get(name, {}).get("options")
        if inner and isinstance(value, dict):
            value = emptied(value, inner)
        elif inner:
            value = [emptied(item, inner) for item in value]
        found[name] = value
    return found


@pytest.mark.parametrize("many", [False, True], ids=["alone", "aggregate"])
@pytest.mark.parametrize("kind", ITEMS)
def test_in_a_single_module(kind: str, many: bool) -> None:
    [loaded] = [row.load() for row in ROWS if row.name == kind]
    item = {**{name: option for name, option in loaded.ARGUMENTS.items() if name != "backend"}, **STATE}
    module = {**item, "aggregate": {"type": "list", "elements": "dict"}}

    def parsed(options: Options) -> Any:
        given = as_given(module, {"aggregate": [options]} if many else options)
        [found] = entry._items(given, item)
        return loaded.parse(found), found["state"]

    assert parsed(emptied(ITEMS[kind], item)) == parsed(ITEMS[kind])
    assert ITEMS.keys() == {row.name for row in ROWS if row.has_module}


@pytest.mark.parametrize("empty", [[], ""], ids=["list", "text"])
@pytest.mark.parametrize("name", LIMITS)
def test_a_port_is_not_opened_to_everybody_by_a_list_that_came_out_empty(name: str, empty: Any) -> None:
    message = f"{name}: the list is empty; {LIMITS[name]}."
    network = {"name": "blue", "endpoints": [{**ENDPOINT, "publish": [{**PORT, name: empty}]}]}
    with pytest.raises(InvalidRequest) as refused:
        compose([network], HostReport())
    assert str(refused.value) == f"network blue: endpoint web: publish: {message}"

    item, port = {**PortPublishKind.ARGUMENTS, **STATE}, ITEMS["port_publish"]
    with pytest.raises(InvalidRequest, match=f"^{name}: the list is empty"):
        as_given(item, {**port, name: empty})
    with pytest.raises(InvalidRequest, match=f"^aggregate, item 2: {name}: the list is empty"):
        entry._items({"aggregate": [port, {**port, name: empty}]}, item)
