# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of a diff for a person."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import yaml

from ansible_collections.dockerless.network.plugins.module_utils.diff import headlines, sides
from ansible_collections.dockerless.network.plugins.module_utils.operations import LoadRules, WriteFile


def endpoints(first: int, last: int, **values: Any) -> dict[str, dict[str, Any] | None]:
    return {"veth v-%d" % number: {"name": number, "network": "blue", **values} for number in range(first, last + 1)}


def test_only_what_differs_is_shown() -> None:
    before, after = sides({"veth a": {"x": 1}, "veth b": {"y": 1}}, {"veth a": {"x": 2}, "veth b": {"y": 1}}, {})

    assert (before, after) == ("veth a:\n  x: 1\n", "veth a:\n  x: 2\n")


def shown(was: dict[str, Any], will_be: dict[str, Any]) -> list[str]:
    """The diff as Ansible shows it, without the lines that head it and its parts."""
    before, after = sides(was, will_be, {})
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


BRIDGE = {"name": "br-blue", "addresses": ["10.20.0.1/24"], "mtu": 1500, "stp": False, "up": True, "network": "blue"}
END = {"name": "eth0", "netns": "web", "mac_address": "02::1", "addresses": ["10.20.0.2/24"], "routes": ["default"]}
VETH = {"name": "v-web", "bridge": "br-blue", "mtu": 1500, "up": True, "network": "blue", "peer": END}


def changes() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each value of an object changed in turn, by itself."""
    found = [(VETH, {**VETH, "peer": {**END, key: "new"}}) for key in END]
    found += [(BRIDGE, {**BRIDGE, key: "new"}) for key in BRIDGE]
    return [*found, ({**BRIDGE, "needs": ["write x"]}, BRIDGE), (BRIDGE, {**BRIDGE, "needs": ["write x"]})]


@pytest.mark.parametrize(("was", "will_be"), changes())
def test_one_value_that_changes_has_its_old_line_right_above_the_new_one(
    was: dict[str, Any], will_be: dict[str, Any]
) -> None:
    others = {f"veth v-{number}": dict(VETH, name=f"v-{number}") for number in range(40)}

    lines = shown({**others, "thing": was}, {**others, "thing": will_be})

    marks = "".join(line[0] for line in lines).strip()
    assert lines[0] == " thing:" and marks in ("-+", "-", "+") and len(lines) <= 8


def test_many_objects_that_change_are_told_apart() -> None:
    """The lines of others that come or go do not draw them out of their order."""
    was = {f"veth v-{number}": dict(VETH, name=f"v-{number}") for number in range(60)}
    will_be: dict[str, Any] = {title: dict(veth, mtu=1400) for title, veth in was.items()}
    ports = {f"port {number}/tcp": {"host_port": number, "protocol": "tcp", "network": "blue"} for number in range(4)}
    before = {**ports, **was, "veth v-1": None}
    after = {**dict.fromkeys(ports), "port 9/tcp": dict(ports["port 1/tcp"], host_port=9), **will_be, "veth v-2": None}

    lines = shown(before, after)

    for title in set(was) - {"veth v-1", "veth v-2"}:
        at = lines.index(f" {title}:")
        assert lines[at + 1 : at + 5] == [f"   name: {title[5:]}", "   bridge: br-blue", "-  mtu: 1500", "+  mtu: 1400"]


def test_a_long_diff_begins_with_what_it_comes_to() -> None:
    was = {**dict.fromkeys(endpoints(1, 25)), "bridge br-blue": None, **endpoints(26, 28), "port 80/tcp": {"n": 1}}
    will_be = {
        **endpoints(1, 25),
        "bridge br-blue": {"network": "blue"},
        **endpoints(26, 27, x=1),
        "veth v-28": None,
        "port 80/tcp": None,
    }

    before, after = sides(was, will_be, {})

    assert after.splitlines()[:3] == [
        "# network blue: new: 25 veths, 1 bridge; changed: 2 veths; removed: 1 veth",
        "# others: removed: 1 port",
        "veth v-1:",
    ]
    assert len(yaml.safe_load(after)) == 28 and not before.startswith("#")
    assert not sides(will_be, will_be, {})[1]
    gone = sides(endpoints(1, 25), dict.fromkeys(endpoints(1, 25)), {})
    assert gone[0].startswith("# network blue: removed: 25 veths\n") and gone[1] == ""


def test_a_note_is_one_line_whatever_else_changes() -> None:
    note = {"packet filter": "from iptables to nftables"}

    assert sides({}, {}, note) == ("", "packet filter: from iptables to nftables\n")
    before, after = sides({"veth a": {"x": 1}}, {"veth a": {"x": 2}}, note)
    assert (before.splitlines(), after.splitlines()) == (
        ["veth a:", "  x: 1"],
        ["packet filter: from iptables to nftables", "veth a:", "  x: 2"],
    )


def test_what_is_done_takes_a_few_short_lines() -> None:
    steps = [
        WriteFile("/etc/sysctl.d/x.conf", "# Written by us.\nnet.ipv4.ip_forward = 1\n"),
        LoadRules(("nft", "-f", "-"), "add table inet dockerless\nadd rule inet dockerless into accept\n"),
        LoadRules(("iptables-restore",), "*filter\n:DLN-X - [0:0]\n-A DLN-X -j DROP\nCOMMIT\n"),
    ]

    assert headlines(steps) == [
        "write /etc/sysctl.d/x.conf",
        "add rule inet dockerless into accept",
        "-A DLN-X -j DROP",
    ]
    assert headlines(steps * 3)[5:] == ["and 4 more"]
