# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_interface
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest, Place
from ansible_collections.dockerless.network.plugins.module_utils.path.packet import Packet
from ansible_collections.dockerless.network.plugins.module_utils.path.question import (
    Question,
    Start,
    answer,
    find_start,
)
from ansible_collections.dockerless.network.plugins.module_utils.path.trail import Oracle, Trail, Verdict

ENDPOINTS = ("host", "outside", "web")


class Node:
    nics: Mapping[str, Any] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def route(self, unused: object, checked: bool = True) -> Any:
        way = {"source": ip_address("10.20.0.2"), "error": "", "gateway": ip_address("192.0.2.254")}
        return SimpleNamespace(**way, is_local=False, link="eth0")


class Topology:
    """A host with endpoints whose names are keywords of the option ``from``."""

    host = Node("the host itself")

    def names(self) -> tuple[str, ...]:
        return ENDPOINTS

    def node(self, place: Place) -> Node:
        return Node("endpoint %s" % place.netns)

    def called(self, name: str, asker: Any) -> list[Any]:
        return [ip_address("10.20.0.3"), ip_address("fd00:20::3")] if name in ("sql", "far") else []

    def has_lost(self, name: str) -> bool:
        return name == "cache"

    def owner(self, address: Any) -> Node | None:
        return Node("endpoint db") if address.version == 6 else None


@pytest.mark.parametrize(
    ("origin", "who"),
    [
        ("host", "the host itself"),
        ("host.blue", "endpoint host"),
        ("outside.blue", "endpoint outside"),
        ("web", "endpoint web"),
        ("sql", "endpoint db"),  # an alias
    ],
)
def test_an_endpoint_that_is_called_like_the_host_is_meant_with_its_network(origin: str, who: str) -> None:
    question = Question(origin=origin, to="192.0.2.1", port=80, protocol="tcp")

    start = find_start(Topology(), question)  # type: ignore[arg-type]
    assert start.node.name == who


def test_who_is_not_there_is_told_with_who_is() -> None:
    question = Question(origin="wbe.blue", to="192.0.2.1", port=80, protocol="tcp")

    with pytest.raises(InvalidRequest, match=r"no endpoint wbe\.blue .*there are host, outside, web; host is the host"):
        find_start(Topology(), question)  # type: ignore[arg-type]


def test_an_endpoint_whose_namespace_has_lost_its_name_is_told_apart_from_one_that_is_not_there() -> None:
    question = Question(origin="cache.blue", to="192.0.2.1", port=80, protocol="tcp")

    with pytest.raises(InvalidRequest, match=r"^from: the namespace of endpoint cache has lost its name, .* playbook"):
        find_start(Topology(), question)  # type: ignore[arg-type]


def test_dns_is_not_asked() -> None:
    with pytest.raises(
        InvalidRequest, match=r"^to: there is no endpoint example\.org .*; of another machine, give the address, as DNS"
    ):
        find_start(Topology(), Question(origin="web", to="example.org", port=80))  # type: ignore[arg-type]


@pytest.mark.parametrize("to", ["224.0.0.1", "ff02::1", "255.255.255.255", "192.0.2.255"])
def test_what_is_for_several_machines_has_no_path(to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(addresses=[ip_interface("192.0.2.11/24"), ip_interface("198.51.100.1/31")])
    monkeypatch.setattr(Topology.host, "nics", {"eth0": card})
    find_start(Topology(), Question(origin="web", to="198.51.100.1", port=80))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=rf"^to: {to} is for several machines at once; give the address of one"):
        find_start(Topology(), Question(origin="web", to=to, port=80))  # type: ignore[arg-type]


def test_an_endpoint_is_not_outside() -> None:
    question = Question(origin="outside", to="2001:db8::1", port=80, source_address="fd00:20::3")
    with pytest.raises(InvalidRequest, match=r"^source_address: fd00:20::3 is not outside; write from: endpoint db"):
        find_start(Topology(), question)  # type: ignore[arg-type]


def test_an_alias_stands_for_the_addresses_in_the_hosts_file() -> None:
    question = Question(origin="web", to="sql", port=80, protocol="tcp", source_address="fd00:20::2")

    start = find_start(Topology(), question)  # type: ignore[arg-type]
    assert str(start.packet) == "fd00:20::2 > [fd00:20::3]:80"


CARDS = {
    "mgmt0": SimpleNamespace(is_ours=False, name="mgmt0", addresses=[ip_interface("198.51.100.9/24")]),
    "br-blue": SimpleNamespace(is_ours=True, name="br-blue", addresses=[ip_interface("10.20.0.1/24")]),
}


@pytest.mark.parametrize(
    ("origin", "named", "source", "to"),
    [
        ("web", ["10.21.0.1", "10.20.0.1", "fd00:20::1"], "", "10.21.0.1"),  # the first line, as programs read it
        ("web", ["10.20.0.1", "fd00:20::1"], "fd00:20::2", "fd00:20::1"),
        ("web", [], "", "10.20.0.1"),  # without a hosts file
        ("host", ["10.20.0.1"], "", "198.51.100.9"),
        ("outside", ["10.20.0.1"], "198.51.100.7", "192.0.2.11"),  # by eth0
    ],
)
def test_the_host_is_called_host_as_the_sender_knows_it(
    origin: str, named: list[str], source: str, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host: Any = Topology.host
    card = SimpleNamespace(addresses=[ip_interface("10.20.0.2/24")])
    monkeypatch.setattr(host, "nics", {**CARDS, "eth0": None} if origin == "outside" else CARDS)
    monkeypatch.setattr(host, "is_host", True, raising=False)
    monkeypatch.setattr(
        host, "own_address", lambda link, version: {"eth0": ip_address("192.0.2.11")}[link], raising=False
    )
    monkeypatch.setattr(Topology, "called", lambda self, name, asker: list(map(ip_address, named)))
    monkeypatch.setattr(Node, "nics", {"eth0": card})

    start = find_start(Topology(), Question(origin=origin, to="host", port=53, source_address=source))  # type: ignore[arg-type]
    assert str(start.packet.to) == to


def test_a_source_that_is_no_address_is_refused_before_the_host_is_looked_up() -> None:
    with pytest.raises(InvalidRequest, match=r"^source_address: 'router' is not a valid IP address"):
        find_start(Topology(), Question(origin="outside", to="host", source_address="router"))  # type: ignore[arg-type]


def test_who_has_no_source_is_told_by_name() -> None:
    nobody = Packet(source=ip_address("0.0.0.0"), to=ip_address("192.0.2.1"), dport=80)
    start: Any = Start(Node("web"), nobody)  # type: ignore[arg-type]

    topology: Any = None
    assert answer(Verdict("lost"), Trail(Oracle()), start, topology)["packet"] == "web > 192.0.2.1:80/tcp"
    assert str(nobody) == "no source > 192.0.2.1:80"
