# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of a diff for a person."""

from __future__ import annotations

from typing import Any

import yaml

from ansible_collections.dockerless.network.plugins.module_utils.diff import headlines, sides
from ansible_collections.dockerless.network.plugins.module_utils.operations import LoadRules, WriteFile


def endpoints(first: int, last: int, **values: Any) -> dict[str, dict[str, Any] | None]:
    return {"veth v-%d" % number: {"name": number, "network": "blue", **values} for number in range(first, last + 1)}


def test_only_what_differs_is_shown() -> None:
    before, after = sides({"veth a": {"x": 1}, "veth b": {"y": 1}}, {"veth a": {"x": 2}, "veth b": {"y": 1}}, {})

    assert (before, after) == ("veth a:\n  x: 1\n", "veth a:\n  x: 2\n")


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
