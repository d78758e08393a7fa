# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.dockerless.network.plugins.plugin_utils.endpoints import (
    Endpoint,
    Template,
    declared_endpoints,
    group_names,
    host_variables,
)

WEB = Endpoint("web", "web", ("blue",))


def as_it_is(value: Any) -> Any:
    return value


def names(networks: Any) -> dict[str, Endpoint]:
    declared = declared_endpoints(networks, as_it_is)
    assert declared.remarks == []
    return declared.endpoints


def test_an_endpoint_has_the_namespace_of_its_name_or_another() -> None:
    networks = [{"name": "blue", "endpoints": [{"name": "web"}, {"name": "db", "netns": "postgres"}]}]
    assert names(networks) == {"web": WEB, "db": Endpoint("db", "postgres", ("blue",))}


def test_an_endpoint_of_two_networks_is_one() -> None:
    networks = [{"name": name, "endpoints": [{"name": "web"}]} for name in ("blue", "green")]
    assert names(networks) == {"web": Endpoint("web", "web", ("blue", "green"))}


def test_only_what_is_needed_is_rendered() -> None:
    """Other options may need facts, which an inventory does not have."""
    rendered: list[Any] = []

    def render(value: Any) -> Any:
        rendered.append(value)
        return {"{{ networks }}": [{"name": "{{ n }}", "subnets": "{{ s }}", "endpoints": "{{ e }}"}]}.get(
            value, {"{{ n }}": "blue", "{{ e }}": ["{{ web }}"], "{{ web }}": {"name": "web"}}.get(value, value)
        )

    assert declared_endpoints("{{ networks }}", render).endpoints == {"web": WEB}
    assert "{{ s }}" not in rendered


def test_what_the_role_will_refuse_is_not_for_an_inventory_to_judge() -> None:
    for networks in (None, 7, "text", [None, "text"], [{"name": "blue", "endpoints": 7}], [{"name": "blue"}]):
        assert names(networks) == {}


def test_what_cannot_be_a_host_is_told() -> None:
    networks = [
        {"name": "blue", "endpoints": [{}, {"name": "proc", "pid": 7}, {"name": "web"}]},
        {"name": "red", "endpoints": [{"name": "web", "netns": "other"}]},
    ]
    declared = declared_endpoints(networks, as_it_is)
    assert declared.endpoints == {"web": WEB}
    assert declared.remarks == [
        "network blue: an endpoint has no name, and is left out.",
        "endpoint proc of network blue is a process (pid), and is left out; name its namespace with the module netns.",
        "endpoint web of network red is in another namespace than in network blue, and is left out there.",
    ]


def test_a_host_is_reached_by_its_own_variables() -> None:
    found = host_variables("h1", ["ansible_user", "ansible_port", "ansible_become_user", "lab"], WEB)
    assert found["ansible_user"] == Template('{{ hostvars["h1"]["ansible_user"] }}')
    assert found["ansible_become_user"] == Template('{{ hostvars["h1"]["ansible_become_user"] }}')
    assert "lab" not in found and "ansible_connection" not in found and "ansible_netns_root_method" not in found
    assert 'hostvars["h1"].ansible_host | default("h1")' in found["ansible_host"].text


def test_the_hosts_way_to_root_is_kept_and_its_become_is_not() -> None:
    theirs = ["ansible_become", "ansible_become_method", "ansible_connection"]
    found = host_variables("h1", theirs, WEB)
    assert found["ansible_become"] is True and found["ansible_become_method"] == "dockerless.network.netns"
    assert found["ansible_netns_root_method"] == Template('{{ hostvars["h1"]["ansible_become_method"] }}')
    assert 'hostvars["h1"].ansible_connection' in found["ansible_connection"].text


def test_groups() -> None:
    endpoint = Endpoint("web", "web", ("blue", "green", "blue"))
    assert group_names("h1", endpoint) == ["endpoints", "endpoint_web", "network_blue", "network_green", "on_h1"]
