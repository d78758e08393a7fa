# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport
from ansible_collections.dockerless.network.plugins.plugin_utils.fleet_map import fleet_map
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.plugin_utils.test_picture import (
    a_network,
    a_port,
    an_endpoint,
    what_is_there,
)

VOID = {"meta", "input", "br"}
ATTRIBUTES = {"lang", "charset", "name", "content", "type", "placeholder", "aria-label", "class", "open", "style"}


class Page(HTMLParser):
    """Reads a page, and refuses one whose elements are not closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[list[str]] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag == "td":
            self.cells[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
        if "td" in self.open:
            self.cells[-1][-1] += data.strip() + " "

    def rows(self) -> list[list[str]]:
        return [[cell.strip() for cell in row] for row in self.cells]


def reports() -> dict[str, HostReport | str]:
    use = {"container_ip": "10.20.0.2", "container_port": "80", "protocol": "tcp", "heard": False, "elsewhere": []}
    run = {"pid": 7, "name": "nginx", "unit": "nginx.service"}
    blue = a_network(
        endpoints=[
            an_endpoint("web", "10.20.0.2/24", "fd00:20::2/64", ports=[use], processes=[run]),
            an_endpoint("db", "10.20.0.10/24", up=False),
        ],
        ports=[a_port("8080", "10.20.0.2", "80"), a_port("9", "10.20.0.77", "9")],
    )
    first = what_is_there(blue, uplinks={"ipv4": "eth0"}, foreign=["chain FORWARD drops what our rules accept"])
    second = what_is_there(a_network(project="shop", present=False))
    return {"h2": read_report(second), "h1": read_report(first), "h3": "nothing is known of this host"}


def test_the_page_tells_all() -> None:
    text = fleet_map(reports(), "map.html")
    page = Page(text)

    assert page.rows() == [
        ["web nginx.service", "10.20.0.2 fd00:20::2", "0.0.0.0:8080 -> 80/tcp ⚠ nobody listens"],
        ["db ⚠ down", "10.20.0.10", ""],
        ["? ⚠ nobody has this address", "", "0.0.0.0:9 -> 10.20.0.77 port 9/tcp"],
    ]
    words = " ".join(" ".join(page.words).split())
    told = ("3 hosts, 2 networks, 3 endpoints", "uplink eth0, packet filter nftables", "⚠ chain FORWARD drops")
    more = ("project shop", "the bridge is not there", "out as the host", "h3 ⚠ nothing is known of this host")
    assert [text for text in (*told, *more) if text not in words] == []
    assert words.index("h1") < words.index("h2") < words.index("h3")


def test_the_page_fetches_nothing_and_is_the_same_again() -> None:
    text = fleet_map(reports(), "map.htm")
    assert fleet_map(dict(reversed(reports().items())), "map.htm") == text
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    assert not {name for name, unused in Page(text).attributes} & {"src", "href", "srcset"}


def test_a_network_has_one_colour_on_all_hosts() -> None:
    hues = re.findall(r"--hue: (\d+)", fleet_map(reports(), "map.html"))
    assert len(hues) == 2 and len(set(hues)) == 1


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_name_breaks_out_of_the_page_or_the_diagram(text: str) -> None:
    facts = what_is_there(a_network(endpoints=[an_endpoint(text, "10.20.0.2/24")]), foreign=[text])
    hosts: dict[str, HostReport | str] = {text: read_report(facts), "other": text}

    page = Page(fleet_map(hosts, "x.html"))
    assert len(page.rows()) == 1
    assert {name for name, unused in page.attributes} <= ATTRIBUTES
    lines = fleet_map(hosts, "x.mmd").splitlines()
    assert all(line.count('"') in (0, 2) for line in lines)


def test_the_diagram_has_a_node_for_each_network() -> None:
    assert fleet_map(reports(), "map.mmd").splitlines() == [
        "flowchart LR",
        "  outside((outside))",
        '  subgraph h0["h1"]',
        "    direction TB",
        '    h0n0["<b>blue</b> 10.20.0.1/24<br/><i>out as the host</i>'
        "<br/>web  10.20.0.2  fd00:20::2  0.0.0.0:8080 -#62; 80/tcp #40;nobody listens#41;"
        '<br/>db  10.20.0.10<br/>?  0.0.0.0:9 -#62; 10.20.0.77 port 9/tcp"]',
        "  end",
        '  subgraph h1["h2"]',
        "    direction TB",
        '    h1n0["<b>blue</b> 10.20.0.1/24<br/><i>the bridge is not there</i><br/><i>out as the host</i>"]',
        "  end",
        '  subgraph h2["h3"]',
        "    direction TB",
        '    h2n["nothing is known of this host"]',
        "  end",
        "  outside -->|2 ports| h0n0",
    ]


@pytest.mark.parametrize("path", ["x.mmd", "X.MERMAID"])
def test_the_name_of_the_file_chooses_the_form(path: str) -> None:
    hosts: t.Mapping[str, HostReport | str] = {"h1": HostReport()}
    assert fleet_map(hosts, path).startswith("flowchart")
