# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.dockerless.network.plugins.module_utils import loading
from ansible_collections.dockerless.network.plugins.module_utils.arguments import STATE, without
from ansible_collections.dockerless.network.plugins.module_utils.byte_code import ByteCode
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome
from ansible_collections.dockerless.network.plugins.module_utils.entry import (
    _and_keep_byte_code,
    _items,
    _Module,
    run_module,
    runner,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import FirewallError
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind


class Module:
    """As much of AnsibleModule as finds a program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get_bin_path(self, name: str) -> str | None:
        path = self.folder / name
        return str(path) if path.exists() else None


def made(folder: Path, name: str, script: str) -> Any:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return runner(Module(folder))  # type: ignore[arg-type]


def test_a_tool_that_does_not_read_its_input_is_still_heard(tmp_path: Path) -> None:
    run = made(tmp_path, "nft", "echo 'no room' >&2; exit 1")

    assert run(["nft", "-f", "-"], "x" * 1_000_000) == (1, "", "no room\n")


def test_a_tool_reads_its_input_and_speaks_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    run = made(tmp_path, "nft", 'echo "$LC_ALL $1 $(cat)"')

    assert run(["nft", "-j"], "ü") == (0, "C -j ü\n", "")
    assert run(["nft", "-j"], None) == (0, "C -j \n", "")


def test_a_tool_that_is_missing_is_named_with_its_package(tmp_path: Path) -> None:
    run = runner(Module(tmp_path))  # type: ignore[arg-type]

    with pytest.raises(FirewallError, match="no program nft on this host; install the package nftables"):
        run(["nft"], None)


# ---- what a module is asked for


Refusal = Callable[[Any, "dict[str, Any]"], str]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refusal:
    """The message of a module that must fail before it looks at the host."""

    def call(kind: Any, options: dict[str, Any]) -> str:
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            run_module(kind)
        return str(json.loads(capsys.readouterr().out)["msg"])

    return call


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"name": 83}, "name"),
        ({"name": "v-web", "project": 83, "peer": {"name": "eth0"}}, "project"),
        ({"name": "v-web", "peer": {"name": 83}}, "peer: name"),
        ({"aggregate": [{"name": "v-web"}, {"name": "v-db", "bridge": 83, "mtu": 1400}]}, "aggregate, item 2: bridge"),
        ({"name": "83", "mtu": 1400}, ""),
    ],
)
def test_a_number_that_is_a_name_is_doubted(
    options: dict[str, Any], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    spec = {name: without(option, "required") for name, option in VethKind.ARGUMENTS.items()}
    spec["aggregate"] = {"type": "list", "elements": "dict"}
    wanted = (
        f"{place}: a number that is a name is taken in decimal digits, but YAML makes 83 of an unquoted 0123 or 1:23 as"
        " well; write it in quotes, and in a template with | string."
    )
    assert _Module(spec).doubts == ([wanted] if place else [])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            PortPublishKind(),
            {"host_port": "8080"},
            "the option container_ip is missing.",
        ),
        (
            PortPublishKind(),
            {"aggregate": [{"host_port": "8080", "container_ip": "10.20.0.2"}, {"host_port": "8081"}]},
            "aggregate, item 2: the option container_ip is missing.",
        ),
        (
            VethKind(),
            {"aggregate": [{"name": "v-web", "birdge": "br-blue"}]},
            "aggregate, item 1: there is no option birdge; did you mean bridge?",
        ),
        (
            VethKind(),
            {"aggregate": [{"name": "v-web", "peer": {"routes": [{"via": "10.20.0.1"}]}}]},
            "aggregate, item 1: peer: routes, item 1: the option to is missing.",
        ),
        (
            VethKind(),
            {"aggregate": [{"name": "v-web", "peer": "web"}]},
            "aggregate, item 1: peer: got the text 'web'; write a dictionary with the options name, netns, pid,"
            " mac_address, addresses, gateways, routes, source_gateways.",
        ),
        (
            BridgeFirewallKind(),
            {"aggregate": [{"bridge": "br-blue", "backend": "iptables"}], "backend": "nftables"},
            "aggregate, item 1: there is no option backend; the options are bridge, subnets, gateways,"
            " internal, icc, direct_access, trusted_interfaces, host_access, allow, warn, network, project, state.",
        ),
        (
            BridgeFirewallKind(),
            {"aggregate": [{"bridge": "br-blue", "host_access": "none"}]},
            "aggregate, item 1: host_access: got the text 'none'; write one of allow, deny.",
        ),
    ],
)
def test_options_that_are_not_right_are_refused_with_their_item(
    kind: Any, options: dict[str, Any], message: str, refusal: Refusal
) -> None:
    assert refusal(kind, options) == message


def test_what_stands_beside_a_list_is_the_default_of_every_item_and_then_comes_the_default_of_the_option() -> None:
    arguments = {**without(VethKind.ARGUMENTS, "backend"), **STATE}
    beside = {"bridge": "br-blue", "peer": {"gateways": ["10.20.0.1"], "netns": None}, "mtu": None}
    items = _items(
        {**beside, "aggregate": [{"name": "a", "peer": {"netns": "web"}}, {"name": "b", "isolated": "yes"}]}, arguments
    )

    assert [(item["bridge"], item["isolated"], item["addresses"], item["state"]) for item in items] == [
        ("br-blue", False, [], "present"),
        ("br-blue", True, [], "present"),
    ]
    assert items[0]["peer"]["netns"] == "web" and items[0]["peer"]["gateways"] == ["10.20.0.1"]


def test_a_tool_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nft"
    path.write_text("no program")
    path.chmod(0o755)
    run = runner(Module(tmp_path))  # type: ignore[arg-type]

    with pytest.raises(FirewallError, match=rf"^The program {path} cannot be run: Exec format error\.$"):
        run(["nft"], None)


# ---- the byte code of a call


class World:
    """As much of a world as the decision looks at, and what was decided."""

    def __init__(self, anything: bool, check_mode: bool) -> None:
        self.check_mode, self.host = check_mode, self
        self.has_anything = lambda: anything
        self.done = ""

    def keep_byte_code(self, call: object) -> None:
        self.done = "kept"

    def forget_byte_code(self) -> None:
        self.done = "forgotten"


@pytest.mark.parametrize(
    ("state", "folder", "anything", "compiled", "done"),
    [
        ("present", False, True, True, "kept"),
        ("present", True, True, True, "kept"),
        ("present", True, True, False, ""),
        ("absent", False, False, True, ""),
        ("absent", False, True, True, ""),
        ("absent", True, True, True, "kept"),
        ("absent", True, True, False, ""),
        ("absent", True, False, True, "forgotten"),
        ("absent", True, False, False, "forgotten"),
    ],
)
def test_byte_code_is_kept_while_there_is_something_of_ours(
    state: str, folder: bool, anything: bool, compiled: bool, done: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = loading.Call("archive")
    call.compiled = {"ours": compile("", "", "exec")} if compiled else {}
    call.kept = ByteCode("archive", "/nowhere/at/all") if folder else None
    monkeypatch.setattr(loading._Archive, "call", call)
    outcome = Outcome(objects=({"state": state, "title": "one"},))
    for check_mode in (True, False):
        world: Any = World(anything, check_mode)
        assert _and_keep_byte_code(outcome, world) is outcome
        assert world.done == ("" if check_mode else done)


def test_a_module_that_came_in_no_archive_keeps_nothing() -> None:
    world: Any = World(True, False)

    _and_keep_byte_code(Outcome(objects=({"state": "present"},)), world)

    assert world.done == ""
