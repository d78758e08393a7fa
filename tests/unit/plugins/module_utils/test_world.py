# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import KernelError
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import Link, NamespaceEntry, VethEnd
from ansible_collections.dockerless.network.plugins.module_utils.kinds import common
from ansible_collections.dockerless.network.plugins.module_utils.kinds.common import file_steps, sysctl_steps
from ansible_collections.dockerless.network.plugins.module_utils.marks import DOOMED_GROUP, LINK_GROUP, ROUTE_PROTOCOL
from ansible_collections.dockerless.network.plugins.module_utils.model import HOST, Conflict, Place, Route, SourceRule
from ansible_collections.dockerless.network.plugins.module_utils.operations import RemoveFile, WriteFile
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
    with pytest.raises(Conflict, match=r"^There is no process 8 on this host; give the PID of one that runs\.$"):
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

    assert set(seen.links()) == set(host.host.links)


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
    with pytest.raises(Conflict, match=r"^Interface v0 is not a bridge but a veth\.$"):
        seen.bridge("v0")
    with pytest.raises(Conflict, match=r"^Interface eth0 is not a bridge but a physical or loopback interface\.$"):
        seen.bridge("eth0")
    with pytest.raises(Conflict, match=r"^There is no bridge br1 on this host; make it with the module bridge\.$"):
        seen.bridge("br1")


def test_bridges_with_ports_are_those_that_had_a_port_before(host: MemoryHost) -> None:
    seen = world(host)

    seen.drop_link("v0")

    assert seen.bridges_with_ports() == {"br0"}


@pytest.mark.parametrize(
    ("group", "ours"), [(LINK_GROUP, True), (DOOMED_GROUP, True), (0, False), (LINK_GROUP - 1, False)]
)
def test_the_group_of_a_link_tells_whose_it_is(group: int, ours: bool) -> None:
    assert is_ours(Link("x", 1, group=group)) is ours


@pytest.mark.parametrize(("kind", "text"), [("dummy", "a dummy"), ("", "a physical or loopback interface")])
def test_a_link_is_described_for_a_message(kind: str, text: str) -> None:
    assert described(Link("x", 1, kind)) == text


# ---- which end of which pair, and which namespace


def collide(host: MemoryHost, name: str) -> None:
    """A foreign pair between two namespaces, whose indexes are those of the host's v0 and its other end."""
    near, far = host.host.links["v0"], host.space(WEB).links["eth0"]
    for other in ("hub", name):
        host.make_namespace(other)
    host.space(Place(netns="hub")).links["to1"] = Link("to1", near.index, "veth", details=VethEnd(far.index, 7))
    host.space(Place(netns=name)).links["up1"] = Link("up1", far.index, "veth", details=VethEnd(near.index, 7))


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_a_foreign_pair_with_the_same_indexes_is_none_of_ours(host: MemoryHost, name: str) -> None:
    collide(host, name)
    seen = world(host)
    near, foreign = seen.links()["v0"], seen.links(Place(netns=name))["up1"]

    assert seen.peer_of(near) == (WEB, seen.links(WEB)["eth0"])
    assert seen.near_end(WEB, seen.links(WEB)["eth0"]) == near
    assert seen.near_end(Place(netns=name), foreign) is None
    assert not seen.is_pair(near, Place(netns=name), foreign)

    seen.drop_link("v0")

    assert "eth0" not in seen.links(WEB)
    assert "up1" in seen.links(Place(netns=name))


def test_two_ends_without_a_number_are_no_pair(host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel could not say where the other end is, nor which number the namespace has."""
    host.change_link(HOST, "v0", details=VethEnd(host.space(WEB).links["eth0"].index, -1))
    monkeypatch.setattr(host, "nsid", lambda place: -1)
    seen = world(host)

    assert seen.peer_of(seen.links()["v0"]) is None
    assert seen.near_end(WEB, seen.links(WEB)["eth0"]) is None


def test_two_pairs_that_are_still_to_be_made_are_not_confused(host: MemoryHost) -> None:
    seen = world(host)
    seen.put_pair(Link("v1", 0), Link("eth1", 0), WEB)
    seen.put_pair(Link("v2", 0), Link("eth2", 0), WEB)
    one, two = seen.links()["v1"], seen.links()["v2"]

    assert seen.peer_of(one) == (WEB, seen.links(WEB)["eth1"])
    assert seen.peer_of(two) == (WEB, seen.links(WEB)["eth2"])
    assert seen.near_end(WEB, seen.links(WEB)["eth2"]) == two
    assert not seen.is_pair(one, WEB, seen.links(WEB)["eth2"])

    seen.drop_link("v1")

    assert set(seen.links(WEB)) == {"lo", "eth0", "eth2"}


def test_one_namespace_is_one_whatever_it_is_called(host: MemoryHost) -> None:
    host.space(WEB).processes += [7, 8]
    host.host.processes.append(1)
    seen = world(host)

    seen.put_link(Link("new", 0), Place(pid=7))

    assert "new" in seen.links(WEB) and "new" in seen.links(Place(pid=8))
    assert seen.is_same(Place(pid=7), WEB) and not seen.is_same(Place(pid=7), Place(pid=1))
    assert not seen.is_same(Place(pid=7), Place(pid=99))
    assert seen.is_host(Place(pid=1)) and not seen.is_host(WEB)


def test_a_name_that_a_process_namespace_will_get_is_that_namespace(host: MemoryHost) -> None:
    host.start_process(7)
    host.make_link(host.space(Place(pid=7)), "eth9")
    seen = world(host)
    assert seen.links(WEB).keys() == {"lo", "eth0"}

    seen.attach_namespace("web", Place(pid=7))
    seen.attach_namespace("app", Place(pid=7))

    for name in ("web", "app"):
        assert seen.links(Place(netns=name)).keys() == {"lo", "eth9"}
        assert not seen.is_new(Place(netns=name))

    seen.drop_namespace("app")
    assert seen.links(Place(netns="app")) == {}
    assert "eth9" in seen.links(WEB)


# ---- routes


def test_routes_are_those_that_will_be_there(host: MemoryHost) -> None:
    subnet = ip_network("10.20.0.0/24")
    seen = world(host)
    link = replace(seen.links(WEB)["eth0"], addresses=(ip_interface("10.20.0.2/24"),))

    seen.put_link(link, WEB)
    seen.put_route(WEB, "eth0", Route(ip_network("0.0.0.0/0"), ip_address("10.20.0.1")), ROUTE_PROTOCOL)
    assert [(entry.route.to, entry.route.metric) for entry in seen.routes(WEB)] == [
        (subnet, 0),
        (ip_network("0.0.0.0/0"), 0),
    ]

    seen.drop_route(WEB, seen.routes(WEB)[1])
    seen.put_link(replace(link, addresses=(ip_interface("10.20.0.3/24"), ip_interface("fd00::3/64"))), WEB)
    assert [entry.route.to for entry in seen.routes(WEB)] == [subnet, ip_network("fd00::/64")]

    seen.put_link(replace(link, addresses=()), WEB)
    assert seen.routes(WEB) == []


def test_the_routes_of_a_link_that_goes_and_comes_back_are_gone(host: MemoryHost) -> None:
    host.change_link(WEB, "eth0", up=True, addresses=(ip_interface("10.20.0.2/24"),))
    seen = world(host)

    seen.drop_link("v0")
    seen.put_pair(Link("v0", 0), Link("eth0", 0), WEB)

    assert seen.routes(WEB) == []


# ---- sysctls and files

FORWARD, DNS = "net/ipv4/ip_forward", "/etc/netns/web/resolv.conf"
PROGRAM = "/etc/dockerless.network/engine.zip"


def test_other_tables_and_the_rules_that_lead_there_are_those_that_will_be_there(host: MemoryHost) -> None:
    seen = world(host)
    rule = SourceRule(ip_address("10.20.0.2"), 7)
    via_gateway = Route(ip_network("0.0.0.0/0"), ip_address("10.20.0.1"), 0, table=7)

    seen.put_source_rule(WEB, rule)
    seen.put_route(WEB, "eth0", via_gateway, ROUTE_PROTOCOL)
    assert seen.source_rules(WEB) == [rule]
    (entry,) = seen.table_routes(WEB, 7)
    assert (entry.route, entry.link) == (via_gateway, "eth0")
    assert entry not in seen.routes(WEB)

    seen.drop_source_rule(WEB, rule)
    seen.drop_link("v0")  # and its other end, with its routes
    assert (seen.source_rules(WEB), seen.table_routes(WEB, 7)) == ([], [])


def test_a_sysctl_is_what_the_steps_so_far_will_have_made_of_it(host: MemoryHost) -> None:
    host.space(WEB).sysctls[FORWARD] = "1"
    seen = world(host)
    assert (seen.sysctl(HOST, FORWARD), seen.sysctl(WEB, FORWARD)) == ("0", "1")

    assert seen.put_sysctl(HOST, FORWARD, "1") == "0"

    assert seen.sysctl(HOST, FORWARD) == "1"
    assert seen.sysctl(HOST, "net/ipv4/conf/eth0/forwarding") == "1"
    assert host.host.sysctls[FORWARD] == "0"


def test_the_sysctls_of_a_link_come_and_go_with_it(host: MemoryHost) -> None:
    key = "net/ipv6/conf/v0/accept_ra"
    seen = world(host)
    assert seen.sysctl(HOST, key) == "1"
    seen.put_sysctl(HOST, key, "0")

    seen.drop_link("v0")
    assert seen.sysctl(HOST, key) is None

    # a new link is born with the value for those to come
    host.host.sysctls["net/ipv6/conf/default/accept_ra"] = "0"
    seen.put_pair(Link("v0", 0), Link("eth0", 0), WEB)
    assert seen.sysctl(HOST, key) == "0"
    assert seen.put_sysctl(HOST, key, "2") == "0"
    assert seen.sysctl(HOST, key) == "2"


def test_what_is_not_there_has_no_sysctls(host: MemoryHost) -> None:
    seen = world(host, check_mode=True)

    assert seen.sysctl(Place(netns="none"), FORWARD) is None
    assert seen.sysctl(HOST, "net/ipv4/conf/none/forwarding") is None


def test_two_kinds_may_want_the_same_value_of_a_sysctl(host: MemoryHost) -> None:
    host.space(WEB).processes.append(7)
    seen = world(host)

    steps = [sysctl_steps(place, [(FORWARD, "1")], seen) for place in (WEB, Place(pid=7), WEB)]

    assert [len(found) for found in steps] == [1, 0, 0]


@pytest.mark.parametrize("there", ["0", "1"])
def test_two_kinds_that_want_two_values_of_a_sysctl_are_refused(host: MemoryHost, there: str) -> None:
    host.space(WEB).sysctls[FORWARD] = there
    seen = world(host)
    sysctl_steps(WEB, [(FORWARD, "1")], seen)

    with pytest.raises(Conflict) as conflict:
        sysctl_steps(WEB, [(FORWARD, "0")], seen)

    assert str(conflict.value) == (
        "The sysctl net/ipv4/ip_forward in namespace web cannot have the values 1 and 0 at once, and this run asks for"
        " both; ask for one of them only."
    )


def test_two_kinds_may_want_the_same_text_of_a_file(host: MemoryHost) -> None:
    host.files[DNS] = "old"
    seen = world(host)

    steps = file_steps(DNS, "new", seen) + file_steps(DNS, "new", seen)

    assert steps == [WriteFile(DNS, "new", "old")]
    assert seen.file(DNS) == "new"
    assert host.files[DNS] == "old"
    with pytest.raises(Conflict, match=r"^The file /etc/netns/web/resolv\.conf cannot have two different texts, and"):
        file_steps(DNS, None, seen)


def test_a_file_that_is_to_go(host: MemoryHost) -> None:
    host.files[DNS] = "old"
    seen = world(host)

    assert file_steps(DNS, None, seen) == [RemoveFile(DNS, "old")]
    assert file_steps(DNS, None, seen) == []
    assert seen.file(DNS) is None


def test_a_program_is_the_one_that_the_steps_so_far_will_have_written(host: MemoryHost) -> None:
    host.files[PROGRAM] = b"old"  # type: ignore[assignment]
    seen = world(host)
    assert seen.program(PROGRAM) == b"old"

    assert seen.put_program(PROGRAM, b"new") == b"old"
    assert seen.program(PROGRAM) == b"new"
    assert seen.put_program(PROGRAM, b"new") == b"new"
    with pytest.raises(Conflict, match=f"The program {PROGRAM} cannot have two different contents"):
        seen.put_program(PROGRAM, None)

    assert host.files[PROGRAM] == b"old"


def test_a_program_that_is_to_go(host: MemoryHost) -> None:
    host.files[PROGRAM] = b"old"  # type: ignore[assignment]
    seen = world(host)

    assert seen.put_program(PROGRAM, None) == b"old"
    assert seen.program(PROGRAM) is None


@pytest.mark.parametrize("runs", [True, False])
def test_systemd_runs_or_does_not(host: MemoryHost, runs: bool) -> None:
    host.systemd = runs
    assert world(host).systemd() is runs


def test_a_unit_is_what_the_steps_so_far_will_have_made_of_it(host: MemoryHost) -> None:
    host.systemd = True
    host.pid1.install("nginx.service", runs=True)
    seen = world(host)
    was = seen.units.planned("nginx.service")
    assert was.runs and was.pid and not was.is_enabled

    seen.units.put("nginx.service", runs=True, enabled=True)
    assert seen.units.planned("nginx.service") == replace(was, enabled="enabled")  # it goes on to run
    seen.units.put("nginx.service", runs=True, netns="/run/netns/web", anew=True)
    will = seen.units.planned("nginx.service")
    assert (will.runs, will.pid, will.netns, will.is_enabled) == (True, 0, "/run/netns/web", True)
    assert seen.units.found("nginx.service") == was


def test_a_unit_of_ours_starts_at_boot_by_its_link_or_when_this_run_wants_it(host: MemoryHost) -> None:
    link = "/etc/systemd/system/multi-user.target.wants/%s"
    host.files[link % "ours.service"] = ""
    seen = world(host)
    assert seen.units.is_enabled("ours.service") and not seen.units.is_enabled("other.service")

    seen.units.put("other.service", runs=True)
    assert not seen.units.is_enabled("other.service")
    seen.units.put("other.service", enabled=True)
    seen.units.put("ours.service", enabled=False)
    assert seen.units.is_enabled("other.service") and not seen.units.is_enabled("ours.service")


def test_a_unit_that_is_to_stop(host: MemoryHost) -> None:
    host.systemd = True
    host.pid1.install("nginx.service", runs=True, enabled=True)
    seen = world(host)

    seen.units.put("nginx.service", runs=False, enabled=False)
    will = seen.units.planned("nginx.service")
    assert (will.runs, will.pid, will.is_enabled) == (False, 0, False)


UNIT_WISHES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"runs": True}, {"runs": False}, "be running and be stopped"),
    ({"enabled": False}, {"enabled": True}, "be disabled and be enabled"),
    ({"netns": ""}, {"netns": "/run/netns/web"}, "run on the host's own network and run in /run/netns/web"),
]


@pytest.mark.parametrize(("one", "other", "words"), UNIT_WISHES)
def test_two_kinds_that_want_two_things_of_a_unit_are_refused(
    host: MemoryHost, one: dict[str, Any], other: dict[str, Any], words: str
) -> None:
    seen = world(host)
    seen.units.put("nginx.service", **one)
    seen.units.put("nginx.service", **one)
    seen.units.put("other.service", **other)

    with pytest.raises(Conflict) as conflict:
        seen.units.put("nginx.service", **other)

    assert str(conflict.value) == (
        f"Unit nginx.service cannot {words} at once, and this run asks for both; ask for one of them only."
    )


def test_nobody_who_plans_or_reports_reaches_through_to_the_host() -> None:
    """Past the world, a kind would read the host as it is before the steps of this run."""
    kinds = Path(str(common.__file__)).parent
    others = [kinds.parent / name for name in ("converge.py", "gather.py", "info.py", "living.py", "ownership.py")]
    for path in [*sorted(kinds.glob("*.py")), *others]:
        reached = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and node.attr == "host" and ast.unparse(node.value).endswith("world")
        ]
        assert not reached, f"{path.name}: world.host in lines {reached}"


# ---- assumptions and warnings


def test_check_mode_notes_what_it_takes_for_granted_once(host: MemoryHost) -> None:
    seen = world(host, check_mode=True)
    for number in (1, 2, 3, 4, 5, 6, 7, 1):
        seen.require(Place(netns="ns%d" % number))
    assert seen.bridge("br1") is None

    assert seen.assumptions() == [
        "Check mode assumes that namespaces ns1, ns2, ns3, ns4, ns5 and 2 more, which are not there yet, are made by"
        " earlier tasks.",
        "Check mode assumes that bridge br1, which is not there yet, is made by an earlier task.",
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


def test_a_process_may_end_before_its_namespace_is_looked_at(host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = world(host)

    def gone(place: Place, far: Link) -> None:
        raise KernelError("enter the namespace of process 7", "there is no process 7")

    monkeypatch.setattr(seen, "near_end", gone)

    assert not seen.is_plugged(HOST)


def test_who_has_ended_since_its_namespace_was_looked_at_is_not_there(host: MemoryHost) -> None:
    host.start_process(7)
    seen = world(host)
    assert "lo" in seen.links(Place(pid=7))
    host.space(Place(pid=7)).processes.clear()

    assert seen.left_in(Place(pid=7)) == []
    assert not seen.is_host(Place(pid=7))


def test_who_has_ended_before_its_namespace_is_looked_at_is_not_on_the_host(host: MemoryHost) -> None:
    assert not world(host).is_host(Place(pid=7))
