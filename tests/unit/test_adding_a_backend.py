# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A back-end more is one folder and one row: with these and nothing else, a copy of the collection has it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_adding_a_kind import COLLECTION, ROOT, run

COPIED = ("plugins", "meta", "docs", "tests/unit/plugins")
CHOICE = Path("plugins/module_utils/firewall/choice.py")
LOADER = """def _toy(netfilter: Netfilter) -> Backend:
    from .toy.backend import ToyBackend

    return ToyBackend(netfilter)


# In the order in which ``auto`` tries them.
"""
ROW = """    Row(
        "toy",
        ("toy",),
        "toys",
        ("toy",),
        lambda table, chain: table == "toys",
        _toy,
        load_remover=_toy,
        may_have_rules=lambda netfilter, foreign: netfilter.read_file("/etc/toy.rules") is not None,
    ),
)
# Every module of the action group takes it"""

# Modules as Ansible would call them, on a host in memory. Prints the result of each call, and what is in files then.
DOOR = """
import contextlib, io, ipaddress, json, sys
from ansible.module_utils import basic
from ansible_collections.dockerless.network.plugins.module_utils import entry
from ansible_collections.dockerless.network.plugins.module_utils.firewall.choice import is_ours, package_of
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST
from ansible_collections.dockerless.network.plugins.module_utils.world import World
from ansible_collections.dockerless.network.plugins.modules import bridge_network, network_info
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost

host = MemoryHost()
host.systemd = True
host.uplink()
host.stack(HOST).add_address("eth0", ipaddress.ip_interface("192.0.2.1/24"))

def in_world(module, act):
    session = FirewallSession(host.netfilter(), module.params["backend"])
    return act(World(host, session, module.check_mode))

entry._in_world = in_world
for name, options in json.loads(sys.argv[1]):
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        {"bridge_network": bridge_network, "network_info": network_info}[name].main()
    print(json.dumps([json.loads(said.getvalue()), sorted(host.files)]))
print(json.dumps([package_of("toy-load"), is_ours("toys", "any"), is_ours("others", "any")]))
"""
WEB = {"name": "web", "addresses": ["10.20.0.2"], "publish": ["8080:80"]}
BLUE = {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [WEB]}
RULES, KEPT = "/etc/toy.rules", "/etc/dockerless.network/rules.toy"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path with a copy of this collection, which has the folder and the row."""
    path = tmp_path_factory.mktemp("collections")
    target = path / COLLECTION
    for name in COPIED:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests/unit/conftest.py", "tests/unit/test_imports.py", "tests/unit/test_input_output.py"):
        shutil.copy(ROOT / name, target / name)
    shutil.copytree(ROOT / "tests/unit/toy_backend", target / CHOICE.parent / "toy")
    text = (target / CHOICE).read_text()
    for before, after in ((LOADER.splitlines(keepends=True)[-1], LOADER), (")\n" + ROW.splitlines()[-1], ROW)):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    (target / CHOICE).write_text(text)
    return path


def test_it_is_chosen_writes_and_is_kept_for_the_boot_and_leaves_nothing(copy: Path) -> None:
    make: dict[str, Any] = {"networks": [BLUE], "backend": "toy"}
    calls = [
        ("bridge_network", {**make, "_ansible_check_mode": True}),
        ("bridge_network", make),
        ("bridge_network", make),
        ("network_info", {"backend": "toy"}),
        ("bridge_network", {**make, "backend": "nftables", "_ansible_check_mode": True}),
        ("bridge_network", {"networks": [BLUE], "state": "absent", "backend": "toy"}),
        ("bridge_network", {**make, "backend": "tyo"}),
    ]

    *told, facts = map(json.loads, run(copy, "-c", DOOR, json.dumps(calls)).splitlines())

    check, first, second, info, moved, gone, refused = (answer for answer, written in told)
    files, left = told[1][1], told[5][1]
    assert check["commands"] == first["commands"] and first["changed"], first
    assert f"cat > {RULES}" in str(first["commands"]) and {RULES, KEPT} <= set(files)
    assert (second["changed"], second["commands"]) == (False, [])
    assert info["backend"] == "toy" and info["networks"][0]["ports"]
    assert "from toy to nftables" in moved["diff"]["after"] and f"rm -f {RULES}" in moved["commands"]
    assert gone["changed"] and not {RULES, KEPT} & set(left)
    assert refused["failed"] and "auto, nftables, iptables, legacy, toy" in refused["msg"]
    assert facts == ["toys", True, False]


def test_the_guards_of_the_repository_pass(copy: Path) -> None:
    guards = ("tests/unit/test_imports.py", "tests/unit/test_input_output.py")
    said = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *guards)
    assert " passed" in said
