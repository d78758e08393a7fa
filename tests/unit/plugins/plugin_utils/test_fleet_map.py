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

from ansible_collections.dockerless.network.plugins.module_utils.firewall import reasons
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport
from ansible_collections.dockerless.network.plugins.plugin_utils.fleet_map import fleet_map
from ansible_collections.dockerless.network.plugins.plugin_utils.picture import picture
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.tests.unit.plugins.plugin_utils.test_picture import (
    POLICY,
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
        ["db", "10.20.0.10", "", "⚠ down"],
        ["?", "", "0.0.0.0:9 -> 10.20.0.77 port 9/tcp", "⚠ nobody has this address"],
    ]
    words = " ".join(" ".join(page.words).split())
    told = ("3 hosts, 2 networks, 3 endpoints", "uplink eth0, packet filter nftables", "⚠ chain FORWARD drops")
    more = ("project shop", "the bridge is not there", "out as the host", "h3 ⚠ nothing is known of this host")
    assert [text for text in (*told, *more) if text not in words] == []
    assert words.index("h1") < words.index("h2") < words.index("h3")


def test_rules_that_are_missing_or_altered_are_told() -> None:
    absent = ["eth0, which port 8080/tcp names"]
    altered = ["chain inet dockerless guard", "and 3 more"]
    report = read_report(what_is_there(a_network(), altered=altered, absent_interfaces=absent))
    words = " ".join(" ".join(Page(fleet_map({"h1": report}, "map.html")).words).split())
    assert "⚠ rules are missing or altered: chain inet dockerless guard, and 3 more; run the playbook" in words
    assert "⚠ there is no interface eth0, which port 8080/tcp names" in words


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
    hosts: dict[str, HostReport | str] = {text: read_report(facts), f"not {text}": text}

    page = Page(fleet_map(hosts, "x.html"))
    assert len(page.rows()) == 1
    assert {name for name, unused in page.attributes} <= ATTRIBUTES
    lines = fleet_map(hosts, "x.mmd").splitlines()
    assert all(line.count('"') in (0, 2) for line in lines)


def test_the_diagram_has_a_node_for_each_network() -> None:
    assert fleet_map(reports(), "map.mmd").splitlines() == [
        "%%{init: {'flowchart': {'wrappingWidth': 900}}}%%",
        "flowchart LR",
        "  classDef default text-align:left",
        "  outside((outside))",
        '  subgraph h0["h1"]',
        "    direction TB",
        '    h0n["uplink eth0, packet filter nftables, forwards IPv4 and IPv6'
        '<br/>⚠ chain FORWARD drops what our rules accept"]',
        '    h0n0["<b>blue</b> br-blue 10.20.0.1/24<br/><i>out as the host</i>'
        "<br/><b>web</b>  10.20.0.2  fd00:20::2  0.0.0.0:8080 -#62; 80/tcp #40;⚠ nobody listens#41;"
        "<br/><i>nginx.service</i>"
        "<br/><b>db</b>  10.20.0.10<br/><i>⚠ down</i>"
        '<br/><b>?</b>  0.0.0.0:9 -#62; 10.20.0.77 port 9/tcp<br/><i>⚠ nobody has this address</i>"]',
        "  end",
        '  subgraph h1["h2"]',
        "    direction TB",
        '    h1n["no default route, packet filter nftables, forwards IPv4 and IPv6"]',
        '    h1n0["<b>blue</b> br-blue 10.20.0.1/24 project shop'
        '<br/><i>the bridge is not there</i><br/><i>out as the host</i>"]',
        "  end",
        '  subgraph h2["h3"]',
        "    direction TB",
        '    h2n["⚠ nothing is known of this host"]',
        "  end",
        "  outside -->|2 ports| h0n0",
        "  outside ~~~ h1n",
        "  outside ~~~ h2n",
        "  classDef warn stroke:#c60,stroke-width:2px",
        "  class h0n,h0n0,h2n warn",
    ]


def test_the_diagram_counts_each_port_once_that_others_reach() -> None:
    """A port of both families is one, whoever listens behind it; one on 127.0.0.1 is for the host alone."""
    use = {"container_ip": "fd00:20::2", "container_port": "80", "protocol": "tcp", "heard": False, "elsewhere": []}
    ports = [
        a_port("8080", "10.20.0.2", "80"),
        a_port("8080", "fd00:20::2", "80"),
        a_port("8080", "10.20.0.2", "80", host_ip="127.0.0.1"),
        a_port("53", "10.20.0.2", "53", host_ip="192.0.2.1", protocol="udp"),
    ]
    web = an_endpoint("web", "10.20.0.2/24", "fd00:20::2/64", ports=[use])
    report = read_report(what_is_there(a_network(endpoints=[web], ports=ports)))
    assert "  outside -->|2 ports| h0n0" in fleet_map({"h1": report}, "x.mmd").splitlines()
    said = "*:8080 -> 80/tcp ⚠ IPv6: nobody listens 127.0.0.1:8080 -> 80/tcp 192.0.2.1:53 -> 53/udp"
    assert Page(fleet_map({"h1": report}, "x.html")).rows() == [["web", "10.20.0.2 fd00:20::2", said]]


# ---- what the issue of the map lists, in each of its forms


def everything() -> HostReport:
    """A host with something of each kind that a map shows."""
    flow = {"from": "10.21.0.2/32", "to": "10.20.0.2/32", "protocol": "tcp", "port": "5432"}
    ports = [
        {"container_ip": "10.20.0.2", "container_port": "80", "protocol": "tcp", "heard": True, "elsewhere": []},
        {"container_ip": "10.20.0.2", "container_port": "81", "protocol": "tcp", "heard": False, "elsewhere": []},
        {"container_ip": "10.20.0.2", "container_port": "82", "protocol": "tcp", "heard": False,
         "elsewhere": ["127.0.0.1"]},
    ]  # fmt: skip
    web = an_endpoint(
        "web",
        "10.20.0.2/24",
        "fd00:20::2/64",
        names=["web", "web.blue", "www", "shop.example.internal"],
        services=["nginx.service", "visits.service"],
        processes=[{"pid": 7, "name": "nginx", "unit": "nginx.service"}, {"pid": 8, "name": "sh", "unit": None}],
        ports=ports,
        troubles=["no default route for IPv4"],
    )
    blue = a_network(
        endpoints=[web],
        ports=[a_port(f"80{number}", "10.20.0.2", number) for number in ("80", "81", "82")],
        policy={**POLICY, "icc": False, "allow": [flow]},
        drops=[{"reason": reasons.DIRECT, "packets": 12}],
    )
    red = {"name": "red", "network": "red", "bridge": "br-red", "addresses": ["10.21.0.1/24"]}
    app = an_endpoint("app", "10.21.0.2/24", veth="v-red-app", network="red")
    policy = {**POLICY, "internal": True, "subnets": ["10.21.0.0/24"]}
    other = a_network(**red, subnets=["10.21.0.0/24"], endpoints=[app], masquerades=[], policy=policy)
    return read_report(
        what_is_there(
            blue,
            other,
            uplinks={"ipv4": "eth0", "ipv6": "eth0"},
            uplink_addresses=["192.0.2.11/24", "2001:db8::11/64"],
            services=[{"unit": unit, "netns": "web", "network": "blue", "active": active, "stale": False}
                      for unit, active in (("nginx.service", "active"), ("visits.service", "inactive"))],
            foreign=["chain FORWARD drops what our rules accept"],
            drops=[{"reason": reasons.TRANSIT, "packets": 1}],
            lost=[{"name": "old", "processes": [{"pid": 9, "name": "mail", "unit": "mail.service"}]}],
        )
    )  # fmt: skip


ITEMS = {
    "host": ["h1", "packet filter nftables", "forwards IPv4 and IPv6"],
    "uplinks": ["uplink eth0 192.0.2.11/24 2001:db8::11/64"],
    "networks": ["blue", "br-blue", "10.20.0.1/24", "red", "br-red", "10.21.0.1/24"],
    "endpoints": ["web", "app"],
    "addresses": ["10.20.0.2", "fd00:20::2", "10.21.0.2"],
    "names": ["www, shop.example.internal"],
    "services": ["nginx.service", "visits.service (inactive)", "sh (process 8)"],
    "published ports": ["0.0.0.0:8080 -> 80/tcp"],
    "who listens": ["8081 -> 81/tcp", "nobody listens", "8082 -> 82/tcp", "listens on 127.0.0.1 only"],
    "who may talk to whom": [
        "open from app (10.21.0.2) to web (10.20.0.2), 5432/tcp",
        "endpoints do not reach one another",
        "no way out and no way in",
        "as the host",
    ],
    "drops by reason": [f"{reasons.DIRECT}: 12 packets", f"{reasons.TRANSIT}: 1 packet"],
    "warnings": ["chain FORWARD drops what our rules accept", "no default route for IPv4", "old", "mail.service"],
}


def as_text(report: HostReport) -> str:
    return "\n".join(picture(report, "h1"))


def as_html(report: HostReport) -> str:
    return " ".join(Page(fleet_map({"h1": report}, "x.html")).words)


def as_mermaid(report: HostReport) -> str:
    text = re.sub(r"<[^>]*>", " ", fleet_map({"h1": report}, "x.mmd"))
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text)


@pytest.mark.parametrize("form", [as_text, as_html, as_mermaid])
@pytest.mark.parametrize("item", ITEMS)
def test_each_form_tells_each_item(item: str, form: t.Callable[[HostReport], str]) -> None:
    text = " ".join(form(everything()).split())
    assert [words for words in ITEMS[item] if words not in text] == [], text


def test_what_was_dropped_is_said_once() -> None:
    assert "│  dropped   direct access: 12 packets" in as_text(everything())
    for form in (as_html, as_mermaid):
        text = form(everything())
        assert "direct access: 12 packets dropped" in text and text.count("dropped") == 2


def test_what_is_usual_is_not_said() -> None:
    """Names that follow from those of the endpoint and its network, and services that run."""
    for form in (as_text, as_html, as_mermaid):
        text = form(everything())
        assert "web.blue" not in text
        assert text.count("nginx.service") == 1


@pytest.mark.parametrize("end", ["html", "mmd"])
def test_hosts_stand_in_the_order_of_their_numbers(end: str) -> None:
    hosts: dict[str, HostReport | str] = {name: HostReport() for name in ("h10", "h2", "h1.b", "10", "h1")}
    text = fleet_map(hosts, "x." + end)
    mark = r"<h2>(.*)</h2>" if end == "html" else r'subgraph .*"(.*)"'
    assert re.findall(mark, text) == ["10", "h1", "h1.b", "h2", "h10"]


@pytest.mark.parametrize("path", ["x.mmd", "X.MERMAID"])
def test_the_name_of_the_file_chooses_the_form(path: str) -> None:
    hosts: t.Mapping[str, HostReport | str] = {"h1": HostReport()}
    assert fleet_map(hosts, path).splitlines()[1] == "flowchart LR"
