# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import Link, NamespaceEntry
from ansible_collections.dockerless.network.plugins.module_utils.marks import DOOMED_GROUP, LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, Place, Route
from ansible_collections.dockerless.network.plugins.module_utils.world import described, is_ours
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world

WEB = Place(netns="web")


@pytest.fixture
def host() -> MemoryHost:
    host = MemoryHost()
    host.uplink("eth0", 1500, Route(ip_network("0.0.0.0/0")))
    host.make_link(host.host, "br0", kind="bridge", group=LINK_GROUP)
    host.make_namespace("web")
    host.make_veth("v0", WEB, "eth0", LINK_GROUP, master="br0")
    return host


# ---- namespaces


def test_namespaces_that_are_there_that_come_and_that_go(host: MemoryHost) -> None:
    host.names["remains"] = NamespaceEntry("remains", 0)
    seen = world(host)
    assert [seen.has_namespace(name) for name in ("web", "remains", "new")] == [True, False, False]

    seen.make_namespace("new")
    seen.drop_namespace("web")
    assert [seen.has_namespace(name) for name in ("web", "new")] == [False, True]

    seen.make_namespace("web")
    seen.drop_namespace("new")
    assert [seen.has_namespace(name) for name in ("web", "new")] == [True, False]


def test_in_a_place_that_is_still_to_be_made_there_is_nothing(host: MemoryHost) -> None:
    seen = world(host)
    seen.make_namespace("new")

    assert [seen.is_new(place) for place in (Place(), WEB, Place(netns="new"), Place(netns="none"))] == [
        False,
        False,
        True,
        True,
    ]
    assert seen.links(Place(netns="new")) == {}
    assert seen.routes(Place(netns="none")) == []


def test_a_place_that_is_required_has_to_be_there(host: MemoryHost) -> None:
    host.start_process(7)
    seen = world(host)
    seen.make_namespace("new")
    for place in (Place(), WEB, Place(netns="new"), Place(pid=7)):
        seen.require(place)

    with pytest.raises(Conflict, match=r"^There is no namespace db on this host; make it with the module netns, or by"):
        seen.require(Place(netns="db"))
    with pytest.raises(Conflict, match=r"^There is no process 8 on this host\.$"):
        seen.require(Place(pid=8))


# ---- links


def test_links_are_those_that_will_be_there(host: MemoryHost) -> None:
    seen = world(host)
    assert {"lo", "eth0", "br0", "v0"} == set(seen.links())

    seen.put_link(Link("new", 0))
    seen.put_link(Link("lan", 0), WEB)

    assert "new" in seen.links()
    assert "lan" in seen.links(WEB)
    assert "new" not in host.host.links


def test_a_bridge_that_goes_leaves_its_ports_without_one(host: MemoryHost) -> None:
    seen = world(host)

    seen.drop_link("br0")

    assert seen.dropped_bridges == {"br0"}
    assert seen.links()["v0"].master == ""
    assert "br0" not in seen.links()
    assert host.host.links["v0"].master == "br0"


def test_a_veth_pair_goes_at_both_ends_with_its_routes(host: MemoryHost) -> None:
    host.change_link(WEB, "eth0", up=True, addresses=(ip_interface("10.20.0.2/24"),))
    seen = world(host)
    assert [entry.link for entry in seen.routes(WEB)] == ["eth0"]

    seen.drop_link("v0")

    assert "v0" not in seen.links()
    assert "eth0" not in seen.links(WEB)
    assert seen.routes(WEB) == []


def test_what_is_not_there_can_go(host: MemoryHost) -> None:
    seen = world(host)

    seen.drop_link("none")

    assert seen.dropped_bridges == set()


def test_the_other_end_of_a_veth_pair_is_found_in_namespaces_with_a_name_or_a_process(host: MemoryHost) -> None:
    host.start_process(7)
    host.make_veth("v1", Place(pid=7), "eth0", LINK_GROUP)
    host.names["remains"] = NamespaceEntry("remains", 0)
    seen = world(host)

    assert seen.peer_of(host.host.links["v0"]) == (WEB, host.space(WEB).links["eth0"])
    assert seen.peer_of(host.host.links["v1"]) == (Place(pid=7), host.space(Place(pid=7)).links["eth0"])


def test_a_bridge_has_to_be_one(host: MemoryHost) -> None:
    seen = world(host)

    assert seen.bridge("br0") == host.host.links["br0"]
    with pytest.raises(Conflict, match=r"^Interface v0 is no bridge but a veth\.$"):
        seen.bridge("v0")
    with pytest.raises(Conflict, match=r"^Interface eth0 is no bridge but a physical or loopback interface\.$"):
        seen.bridge("eth0")
    with pytest.raises(Conflict, match=r"^There is no bridge br1 on this host; make it with the module bridge\.$"):
        seen.bridge("br1")


def test_peopled_bridges_are_those_that_had_a_port_before(host: MemoryHost) -> None:
    seen = world(host)

    seen.drop_link("v0")

    assert seen.peopled_bridges() == {"br0"}


@pytest.mark.parametrize(
    ("group", "ours"), [(LINK_GROUP, True), (DOOMED_GROUP, True), (0, False), (LINK_GROUP - 1, False)]
)
def test_the_group_of_a_link_tells_whose_it_is(group: int, ours: bool) -> None:
    assert is_ours(Link("x", 1, group=group)) is ours


@pytest.mark.parametrize(("kind", "text"), [("dummy", "a dummy"), ("", "a physical or loopback interface")])
def test_a_link_is_described_for_a_message(kind: str, text: str) -> None:
    assert described(Link("x", 1, kind)) == text


# ---- assumptions and warnings


def test_check_mode_notes_what_it_takes_for_granted_once(host: MemoryHost) -> None:
    seen = world(host, check_mode=True)
    for number in (1, 2, 3, 4, 5, 6, 7, 1):
        seen.require(Place(netns="ns%d" % number))
    assert seen.bridge("br1") is None

    assert seen.assumptions() == [
        "Check mode: namespaces ns1, ns2, ns3, ns4, ns5 and 2 more are not there yet; an earlier task is taken to make"
        " them.",
        "Check mode: bridge br1 is not there yet; an earlier task is taken to make it.",
    ]


def test_without_check_mode_what_is_missing_is_a_conflict_with_advice(host: MemoryHost) -> None:
    seen = world(host)

    with pytest.raises(Conflict) as conflict:
        seen.assume("thing", "x", "make it")

    assert str(conflict.value) == "There is no thing x on this host; make it."
    assert seen.assumptions() == []


def test_a_warning_is_said_once(host: MemoryHost) -> None:
    seen = world(host)

    seen.warn("careful")
    seen.warn("careful")
    seen.warn("very")

    assert seen.warnings == ["careful", "very"]


def test_what_was_read_once_is_not_read_again(host: MemoryHost) -> None:
    seen = world(host)
    seen.links()
    host.make_link(host.host, "late")
    host.change_link(Place(), "eth0", mtu=9000)

    assert "late" not in seen.links()
    assert seen.links()["eth0"] == replace(host.host.links["eth0"], mtu=1500)
