# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's messages name the variables that its users wrote, and those of the module its options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.dockerless.network.plugins.module_utils.composition.spec import ARGUMENTS
from ansible_collections.dockerless.network.plugins.module_utils.converge import make
from ansible_collections.dockerless.network.plugins.module_utils.entry import _Module
from ansible_collections.dockerless.network.plugins.module_utils.kinds import endpoint_service
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.role_words import in_words_of_the_role
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import NETWORKS
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world

MOVED = {"name": "red", "bridge": "br-blue", "subnets": ["10.9.0.0/24"]}


def refusal(**options: Any) -> str:
    """What the module says to options on a host that has the networks of the example."""
    host = MemoryHost()
    host.uplink()
    make({"networks": NETWORKS}, world(host))
    with pytest.raises((InvalidRequest, Conflict)) as refused:
        make({"networks": NETWORKS, **options}, world(host))
    return str(refused.value)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"networks": None}, "networks: the list of networks is missing"),
        ({"networks": []}, "*networks: the list is empty; set *prune to project to remove"),
        ({"networks": "x"}, "networks: got the text 'x'; write a list"),
        ({"networks": ["x"]}, "networks, item 1: got the text 'x'"),
        ({"networks": [MOVED]}, "remove that one first (*state: absent), or set *prune to project."),
        ({"prune": True}, "prune: got the boolean true; write listed ("),
        ({"project": "a b"}, "project: 'a b' is not a valid project name"),
        ({"project": "shop"}, "asks for it; choose another name, or set *project to default if it is the same."),
        ({"pools": ["x"]}, "pools, item 1: "),
        ({"pools": False}, "pools: got the boolean false; write a list"),
        (
            {"networks": [], "state": "absent", "prune": "project"},
            "*networks: the list is empty, so there is nothing to remove, but project default has networks here (",
        ),
        ({"forward_policy": "x"}, "forward_policy: got the text 'x'; write one of"),
        ({"service_removal": "x"}, "service_removal: got the text 'x'; write one of"),
        ({"state": "x"}, "state: got the text 'x'; write one of"),
        ({"boot": "x"}, "boot: got the text 'x'; write auto"),
        ({"boot": True}, "boot: it needs systemd"),
    ],
)
def test_a_message_of_the_role_names_its_variables(options: dict[str, Any], part: str) -> None:
    text = refusal(**options)
    wanted = part if "*" in part else "*" + part

    found = in_words_of_the_role(text)

    assert wanted.replace("*", "bridge_network_") in found and found.count("bridge_network_") >= wanted.count("*")
    assert part.replace("*", "").rstrip(".") in text and not text.startswith("bridge_network_")


def test_words_that_mean_things_stay() -> None:
    for text in (
        "network blue: endpoint web: name: 'x y' is not a valid name.",
        "Network blue belongs to project a, not to project b, and stays.",
        "The networks of this host are not made again at boot yet, because x.",
        "network blue: masquerade: got nothing; write true, false or a dictionary of options.",
        "network blue: it has no project: write one.",
    ):
        assert in_words_of_the_role(text) == text


def test_a_pool_and_the_removal_of_services_are_named_as_well() -> None:
    given = "give it one with the option subnets, or add to pools."
    assert in_words_of_the_role(given) == "give it one with the option subnets, or add to bridge_network_pools."
    text = "if it cannot run on the host's network, set service_removal to stop"
    assert text in Path(endpoint_service.__file__).read_text()
    assert in_words_of_the_role(text).endswith("set bridge_network_service_removal to stop")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"for_role": True}, ["bridge_network_prune: it is empty, "]),
        ({}, ["prune: it is empty, "]),
        ({"for_role": True, "warn": False}, []),
    ],
)
def test_the_first_call_of_the_role_says_what_is_doubtful(
    options: dict[str, Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {"networks": [], "prune": None, **options}}).encode()
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", given)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    said: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda self, warning: said.append(warning))

    _Module(ARGUMENTS)

    assert [text[: len(start)] for text, start in zip(said, told)] == told and len(said) == len(told)


@pytest.mark.parametrize("for_role", [True, False])
def test_the_role_says_that_it_calls(
    for_role: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"networks": [], "prune": [1], "for_role": for_role}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    with pytest.raises(SystemExit):
        _Module(ARGUMENTS)

    prefix = "bridge_network_" if for_role else ""
    assert json.loads(capsys.readouterr().out)["msg"].startswith(f"{prefix}prune: ")
