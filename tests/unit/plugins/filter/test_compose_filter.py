# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.dockerless.network.plugins.filter import compose as module
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import follow, run
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, Place
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.role_host import (
    KINDS,
    RoleHost,
    compose,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, ask, world

BLUE: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [{"name": "web", "publish": ["8080:80"]}],
}
compose_filter = module.FilterModule().filters()["compose"]


def test_the_filter_gives_what_compose_gives() -> None:
    assert compose_filter([BLUE], {}) == compose([BLUE], {})
    assert compose_filter([BLUE], {}, "none", "absent", "shop") == compose([BLUE], {}, "none", "absent", "shop")


def test_a_subnet_that_leaves_is_closed_until_it_has_left() -> None:
    """The role has these policies first, and those of the list when links have changed."""
    host = RoleHost()
    red = {"name": "red", "subnets": ["10.21.0.0/24"]}
    host.run([BLUE, red])

    def policies(*networks: dict[str, Any]) -> dict[str, list[list[str]]]:
        made = compose_filter(list(networks), host.info(), "project")
        sides = {side: made[side]["bridge_firewall"] for side in ("transition", "present")}
        return {side: [policy["subnets"] for policy in found] for side, found in sides.items()}

    assert policies(red, {**BLUE, "subnets": ["10.20.0.0/25", "fd00:20::/64"]}) == {
        "transition": [["10.21.0.0/24"], ["10.20.0.0/25", "10.20.0.128/25", "fd00:20::/64"]],
        "present": [["10.21.0.0/24"], ["10.20.0.0/25", "fd00:20::/64"]],
    }
    swapped = policies({**red, "subnets": BLUE["subnets"]}, {**BLUE, "subnets": red["subnets"]})
    assert swapped["transition"] == swapped["present"] == [["10.20.0.0/24"], ["10.21.0.0/24"]]
    assert policies(red)["transition"] == policies(red)["present"] == [["10.21.0.0/24"]]


def test_a_number_that_is_a_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(module, "Display", lambda: SimpleNamespace(warning=said.append))

    made = compose_filter([{**BLUE, "endpoints": [{"name": 83}]}], {})

    assert made["present"]["netns"][0]["name"] == "83"
    assert said[0].startswith("network blue: endpoint 83: name: ") and "YAML makes 83 of" in said[0]


def test_a_service_of_a_network_outside_the_list_is_not_taken_away_in_steps_either() -> None:
    host = MemoryHost()
    host.systemd = True
    host.pid1.install("nginx.service", runs=True)
    blue = {**BLUE, "endpoints": [{"name": "web", "services": ["nginx"]}]}
    red = {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "app", "services": ["nginx"]}]}
    make_networks([blue], world(host))

    with pytest.raises(AnsibleFilterError, match=r"app: unit nginx\.service runs in endpoint web of network blue"):
        compose_filter([red], facts(world(host)))
    made = compose_filter([{**BLUE, "endpoints": [{"name": "web"}]}, red], facts(world(host)))
    [service] = made["present"]["endpoint_service"]
    assert (service["unit"], service["netns"], service["network"]) == ("nginx.service", "app", "red")


def test_sysctls_of_an_interface_wait_for_it() -> None:
    """A namespace is made before the interface in it; the last step of the role writes what is left."""
    keys = {"net.ipv4.ip_unprivileged_port_start": "80", "net.ipv4.conf.eth0.arp_ignore": "1"}
    wanted = [{**BLUE, "endpoints": [{"name": "web", "sysctls": keys}]}]
    host = RoleHost()

    assert compose_filter(wanted, host.info())["present"]["netns"][0]["sysctls"] == {
        "net/ipv4/ip_unprivileged_port_start": "80"
    }
    host.run([BLUE])
    made = compose_filter(wanted, host.info())["present"]["netns"][0]
    assert made["sysctls"] == {key.replace(".", "/"): value for key, value in keys.items()}


def test_an_endpoint_in_a_namespace_that_has_lost_its_name_keeps_its_address() -> None:
    """As in one call, which gives the name back. Without a pin, a new one would have another address."""
    host, pinned = MemoryHost(), {"name": "web", "addresses": ["10.20.0.77"]}
    host.uplink()
    make_networks([{**BLUE, "endpoints": [pinned]}], world(host))
    host.space(Place(netns="web")).processes.append(7)
    host.delete_namespace("web")

    made = compose_filter([BLUE], facts(world(host)))

    assert made["present"]["veth"][0]["peer"]["addresses"] == ["10.20.0.77/24"]
    assert made["absent"]["veth"] == []


def test_what_an_earlier_list_would_have_made_has_its_subnet() -> None:
    pools = [{"base": "10.90.0.0/23", "size": 24}]
    red, blue = (
        compose_filter([{"name": name}], {}, pools=pools)["present"]["bridge"][0]["addresses"]
        for name in ("red", "blue")
    )
    assert red == blue

    earlier = [{"name": "br-red", "addresses": red, "network": "red", "project": "default"}]
    made = compose_filter([{"name": "blue"}], {}, pools=pools, predicted=earlier)
    assert made["present"]["bridge"][0]["addresses"] == ["10.90.1.1/24"]
    assert made["absent"]["bridge"] == []


WEB, DB = {"name": "web", "publish": ["8080:80"]}, {"name": "db"}
RED: dict[str, Any] = {"name": "red", "subnets": ["10.21.0.0/24"]}
STEPS = ("bridge_firewall", "nat_masquerade", "port_publish", "bridge", "netns", "veth")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([BLUE, RED], [{**BLUE, "endpoints": []}, {**RED, "endpoints": [WEB]}], id="endpoint-and-port"),
        pytest.param([BLUE], [{**BLUE, "name": "red"}], id="subnet"),
        pytest.param([BLUE], [{**BLUE, "bridge": "dmz"}], id="bridge-renamed"),
        pytest.param([{**BLUE, "bridge": "dmz"}], [{**BLUE, "name": "red", "bridge": "dmz"}], id="bridge"),
        pytest.param(
            [{**BLUE, "endpoints": [{"name": "web", "publish": ["8000-8009:8000-8009"]}, DB]}],
            [{**BLUE, "endpoints": [{"name": "web", "publish": ["8000:8000"]}, {**DB, "publish": ["8001:80"]}]}],
            id="range-of-ports",
        ),
        pytest.param(
            [{**BLUE, "endpoints": [{"name": "web", "addresses": ["10.20.0.9"]}, DB]}],
            [{**BLUE, "endpoints": [{**DB, "addresses": ["10.20.0.9"]}]}],
            id="address",
        ),
        pytest.param(
            [{**BLUE, "endpoints": [{"name": "web", "netns": "shared"}]}],
            [{**BLUE, "endpoints": [{"name": "db", "netns": "shared"}]}],
            id="namespace",
        ),
    ],
)
def test_no_step_refuses_in_check_mode_what_earlier_ones_leave_to_it(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    """In check mode, the tasks that remove objects leave them on the host; the list itself is right."""
    host = MemoryHost()
    host.uplink()
    make_networks(before, world(host))
    made = compose_filter(after, facts(world(host)), "project")
    alone, told = (
        {name: refusal(name, made["present"][name], settled[name], host) for name in STEPS}
        for settled in ({name: [] for name in STEPS}, made["settled"])
    )

    assert any(alone.values())  # a step that is told of nothing
    assert told == dict.fromkeys(STEPS, "")


def refusal(name: str, wanted: list[dict[str, Any]], settled: list[dict[str, Any]], host: MemoryHost) -> str:
    """The error of a module in check mode; empty if there is none."""
    now, kind = world(host, check_mode=True), KINDS[name]
    try:
        follow([ask(kind, item, item["state"]) for item in settled], now)
        run([ask(kind, item) for item in wanted], now, alone=True)
    except Conflict as conflict:
        return str(conflict)
    return ""


def test_the_sentence_for_the_user_is_the_error() -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        compose_filter([{"name": "blue", "subnets": ["10.20.0.1/24"]}], {})

    assert refused.value.message == "network blue: subnets: 10.20.0.1/24 has host bits set; did you mean 10.20.0.0/24?"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"prune": None, "state": None}, {"prune": "listed"}),
        ({"state": "Absent", "prune": "none"}, {"state": "absent", "prune": "none"}),
        ({"prune": "None"}, {"prune": "none"}),
        ({"prune": "Project"}, {"prune": "project"}),
    ],
)
def test_what_comes_as_text_means_what_it_says(said: dict[str, Any], meant: dict[str, Any]) -> None:
    host = RoleHost()
    host.run([{"name": "red", "subnets": ["10.21.0.0/24"]}])

    assert compose_filter([BLUE], host.info(), **said) == compose([BLUE], host.info(), **meant)


@pytest.mark.parametrize(
    ("networks", "how", "message"),
    [
        ([], {}, "networks: the list is empty; set prune to project to remove all networks of project default."),
        (
            None,
            {},
            "networks: the list of networks is missing (bridge_network_networks of the role); write a list, each item"
            " with its name, as in - name: blue.",
        ),
        (
            [{**BLUE, "endpoints": [*BLUE["endpoints"], {"name": "db", "publish": ["8080:81"]}]}],
            {},
            "Host port 8080/tcp is requested twice: by blue/web (8080:10.20.0.183:80/tcp) and blue/db"
            " (8080:10.20.0.194:81/tcp); choose another for one.",
        ),
        (
            [BLUE],
            {"project": "a@b"},
            "project: 'a@b' is not a valid project name; use letters, digits and _ . -, at most 32 of them, with a"
            " letter or digit first.",
        ),
        ([BLUE], {"project": []}, "project: got a list; write a single text."),
        (
            [BLUE],
            {"project": False},
            "project: got the boolean false, which is what YAML makes of an unquoted no, off or false; write it in"
            " quotes.",
        ),
        ([BLUE], {"state": "gone"}, "state: got the text 'gone'; write one of present, absent."),
        (
            ["blue"],
            {},
            "networks, item 1: got the text 'blue'; write it as a dictionary that begins with - name: blue.",
        ),
        (
            ["blue"],
            {"state": "absent"},
            "networks, item 1: got the text 'blue'; write it as a dictionary that begins with - name: blue.",
        ),
    ],
)
def test_what_the_role_does_not_check_is_refused_here(networks: Any, how: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        compose_filter(networks, {}, **how)

    assert refused.value.message == message


@pytest.mark.parametrize("word", [False, True, 0, "false", "no", "yes", "", "maybe"])
def test_what_is_no_word_of_prune_is_refused_with_the_words(word: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^prune: got .*; write listed \(.*\), project \(.*\) or none \("):
        compose_filter([BLUE], {}, prune=word)


def test_the_documentation_names_the_arguments_with_their_defaults() -> None:
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    parameters = list(inspect.signature(compose_filter).parameters.values())[1:]

    assert {
        name: option.get("default", inspect.Parameter.empty) for name, option in options.items() if name[0] != "_"
    } == {parameter.name: parameter.default for parameter in parameters}


def test_the_documented_example_is_one() -> None:
    [task] = yaml.safe_load(module.EXAMPLES)

    jinja = NativeEnvironment()
    jinja.filters["dockerless.network.compose"] = compose_filter
    found = jinja.from_string(task["ansible.builtin.debug"]["msg"]).render()

    assert found["present"]["bridge"] == [{"name": "br-blue", "addresses": ["10.20.0.1/24"], "network": "blue"}]
