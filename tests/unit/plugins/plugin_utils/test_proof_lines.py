# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import textwrap
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.dockerless.network.plugins.filter.proof import FilterModule
from ansible_collections.dockerless.network.tests.unit.plugins.plugin_utils.test_path_lines import result

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "docsite" / "rst" / "guide.rst"
proof = FilterModule().filters()["proof"]
WEB, NATTED, FAR = "10.20.0.183:45651", "192.0.2.11:45651", "203.0.113.1:80"


def seen(place: str, interface: str, way: str, source: str, to: str, direction: str = "there") -> dict[str, str]:
    layer = "uplink" if (place, interface) in (("host", "up0"), ("host", "eth0")) else "link"
    facts = {"place": place, "interface": interface, "way": way, "source": source, "destination": to}
    return {**facts, "layer": layer, "direction": direction}


THERE = [
    seen("web", "eth0", "out", WEB, FAR),
    seen("host", "v-blue-web", "in", WEB, FAR),
    seen("host", "up0", "out", NATTED, FAR),
]
BACK = [
    seen("host", "up0", "in", FAR, NATTED, "back"),
    seen("host", "v-blue-web", "out", FAR, WEB, "back"),
    seen("web", "eth0", "in", FAR, WEB, "back"),
]
ENTRY = {"place": "host", "original": f"{WEB} > {FAR}", "reply": f"{FAR} > {NATTED}", "state": "answered"}


def told(*items: dict[str, str], **more: t.Any) -> list[str]:
    lines: list[str] = proof(result(seen=list(items), **more), "h1")
    return lines


def test_the_packet_inside_stands_above_that_on_the_uplink_and_beside_its_answer() -> None:
    assert told(*THERE, *BACK, conntrack=[ENTRY])[2:] == [
        "where            │ the packet                         │ its answer",
        "─────────────────┼────────────────────────────────────┼──────────────────────────────────────────────",
        "web: eth0        │ 10.20.0.183:45651 > 203.0.113.1:80 │ 203.0.113.1:80 > 10.20.0.183:45651",
        '''h1: v-blue-web   │ "                                  │ "''',
        "h1: up0 (uplink) │ 192.0.2.11:45651 > 203.0.113.1:80  │ 203.0.113.1:80 > 192.0.2.11:45651",
        "─────────────────┼────────────────────────────────────┼──────────────────────────────────────────────",
        "conntrack of h1  │ 10.20.0.183:45651 > 203.0.113.1:80 │ 203.0.113.1:80 > 192.0.2.11:45651  (answered)",
        "",
        "h1 changed the source between v-blue-web and up0: 10.20.0.183:45651 -> 192.0.2.11:45651",
        "ARRIVES: the answer came back",
    ]


def test_what_was_not_seen_is_said() -> None:
    lines = told(*THERE[:2], verdict="lost", layer="firewall", place="host", reason="a rule drops it", advice="accept")
    assert lines[4].endswith("│ not seen")
    assert lines[-3:] == ["", "LOST at h1, firewall: a rule drops it", "To fix it: accept"]


@pytest.mark.parametrize(
    ("items", "verdict"),
    [
        (THERE[:2], "arrives"),
        ([*THERE[:2], seen("web", "eth0", "in", FAR, WEB, "back")], "refused"),
        ([*THERE[:2], seen("host", "up0", "out", WEB, FAR)], "unanswered"),
    ],
    ids=["arrived", "answered", "left the host"],
)
def test_nothing_was_translated_on_the_whole_path(items: list[dict[str, str]], verdict: str) -> None:
    """A packet that is lost before may have been translated unseen."""
    assert "Nothing was translated." in told(*items, verdict=verdict)


def test_a_link_that_is_passed_twice_has_two_rows() -> None:
    """A port published on the host, asked for from the same bridge."""
    twice = [seen("host", "br-blue", "in", WEB, NATTED), seen("host", "br-blue", "out", "10.20.0.1:9", "10.20.0.3:80")]
    answers = [
        seen("host", "br-blue", "in", "10.20.0.3:80", "10.20.0.1:9", "back"),
        seen("host", "br-blue", "out", NATTED, WEB, "back"),
    ]
    rows = [line.split("│") for line in told(*twice, *answers) if line.startswith("h1: ")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["h1: br-blue", f"{WEB} > {NATTED}", f"{NATTED} > {WEB}"],
        ["h1: br-blue", "10.20.0.1:9 > 10.20.0.3:80", "10.20.0.3:80 > 10.20.0.1:9"],
    ]


def test_an_answer_by_another_link_has_a_row_of_its_own() -> None:
    rows = [line for line in told(*THERE, seen("host", "up1", "in", FAR, NATTED, "back")) if line.startswith("h1: up1")]
    assert rows[0].split("│")[1].strip() == "not seen"


def test_nothing_is_shown_where_nothing_was_sent() -> None:
    assert told()[2] == "No packet was sent, so there is nothing to show."


def test_anything_else_is_refused() -> None:
    with pytest.raises(AnsibleFilterError):
        proof({"networks": []})


def test_the_guide_shows_what_is_shown() -> None:
    there = [THERE[0], THERE[1], seen("host", "br-blue", "in", WEB, FAR), seen("host", "eth0", "out", NATTED, FAR)]
    turned = {"in": "out", "out": "in"}
    back = [
        seen(one["place"], one["interface"], turned[one["way"]], FAR, one["source"], "back") for one in reversed(there)
    ]
    lines = textwrap.indent(
        "\n".join(told(*there, *back, conntrack=[ENTRY])[2:]), "    ", lambda line: bool(line.strip())
    )
    assert lines in GUIDE.read_text(), lines
