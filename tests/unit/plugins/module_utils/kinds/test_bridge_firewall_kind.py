# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request, run
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    Conflict,
    Flow,
    InvalidRequest,
    PortRange,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import POLICY
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
    world,
)

KIND = BridgeFirewallKind()
OPTIONS: dict[str, Any] = {"bridge": "br-blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "network": "blue"}


def blue(**changes: Any) -> Request:
    return ask(KIND, {**OPTIONS, **changes})


def gone(bridge: str = "br-blue") -> Request:
    return ask(KIND, {"bridge": bridge}, "absent")


def host_with(*requests: Request) -> MemoryHost:
    host = MemoryHost()
    if requests:
        once(host, *requests)
    return host


# ---- what has the name of the bridge


@pytest.mark.parametrize("name", ["eth0", "lo", "v-web", "port0"])
def test_an_interface_that_is_no_bridge_is_refused(name: str) -> None:
    """Its policy would close the way of all others through that interface."""
    host = host_with()
    kind = {"v-web": "veth", "port0": "dummy"}.get(name, "")
    if name not in host.host.links:
        host.make_link(host.host, name, kind=kind, master="br0" if name == "port0" else "")

    for check_mode in (True, False):
        for subnets in (["10.99.0.0/24"], None):
            with pytest.raises(Conflict) as conflict:
                once(host, ask(KIND, {"bridge": name, "subnets": subnets}), check_mode=check_mode)
            assert str(conflict.value) == (
                "%s is there already, and is not a bridge but a %s; choose another name for the bridge."
                % (name, kind or "physical or loopback interface")
            )


def test_the_policy_of_what_is_no_bridge_can_be_removed() -> None:
    """It was there before the interface, or is from an earlier release. A boot leaves it as it is."""
    host = host_with(ask(KIND, {"bridge": "late0", "subnets": ["10.99.0.0/24"]}))
    host.make_link(host.host, "late0")

    booting = world(host)
    booting.restoring = True
    assert not run([ask(KIND, {"bridge": "late0", "subnets": ["10.99.0.0/24"]})], booting).changed
    assert converge(host, gone("late0")).changed
    assert not world(host).firewall.policies


# ---- options


def test_options() -> None:
    said = {
        "bridge": "br-blue",
        "subnets": ["fd00:20::/64", "10.20.0.128/25", "10.20.0.0/25"],
        "icc": False,
        "direct_access": True,
        "trusted_interfaces": ["wg0", "eth1", "wg0"],
        "host_access": "deny",
        "allow": [
            {"to": "10.20.0.9", "from": "192.0.2.0/24", "protocol": "TCP", "port": "80-90"},
            {"to": "fd00:20::/64"},
            {"to": "fd00:20::/64", "from": "::/0"},
        ],
        "network": "blue",
    }

    assert KIND.parse(said) == BridgePolicy(
        "br-blue",
        (ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")),
        False,
        False,
        True,
        ("eth1", "wg0"),
        False,
        (
            Flow(ip_network("192.0.2.0/24"), ip_network("10.20.0.9/32"), "tcp", PortRange(80, 90)),
            Flow(ip_network("::/0"), ip_network("fd00:20::/64")),
        ),
        "blue",
    )
    assert KIND.parse({"bridge": "br0", "subnets": []}) == BridgePolicy("br0")
    assert KIND.parse({"bridge": "br0", "subnets": [], "internal": True}).internal


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"bridge": "a b"},
            "bridge: 'a b' is not a valid interface name; use letters, digits, dots, dashes and underscores.",
        ),
        ({"subnets": ["10.20.0.1/24"]}, "subnets: 10.20.0.1/24 has host bits set; did you mean 10.20.0.0/24?"),
        (
            {"trusted_interfaces": ["a b"]},
            "trusted_interfaces: 'a b' is not a valid interface name;"
            " use letters, digits, dots, dashes and underscores.",
        ),
        ({"allow": [{"to": "x"}]}, "allow.to: 'x' is not a valid subnet; write it like 10.20.0.0/24."),
        (
            {"allow": [{"to": "10.20.0.9", "from": "x"}]},
            "allow.from: 'x' is not a valid subnet; write it like 10.20.0.0/24.",
        ),
        (
            {"allow": [{"to": "10.20.0.9", "from": "fd00::/8"}]},
            "Bridge br-blue: nothing flows from fd00::/8 to 10.20.0.9/32, which are of two families.",
        ),
        (
            {"allow": [{"to": "10.20.0.9", "port": 80}]},
            "Bridge br-blue: allow.port 80 needs allow.protocol as well.",
        ),
        (
            {"allow": [{"to": "10.20.0.9", "protocol": "icmp"}]},
            "allow.protocol: 'icmp' is not a valid protocol; write one of tcp, udp, sctp.",
        ),
        ({"allow": [{"to": "10.21.0.9"}]}, "Bridge br-blue: allow.to 10.21.0.9 lies in none of its subnets."),
        ({"allow": [{"to": "10.0.0.0/8"}]}, "Bridge br-blue: allow.to 10.0.0.0/8 lies in none of its subnets."),
        (
            {"internal": True, "trusted_interfaces": ["wg0"]},
            "Bridge br-blue: an internal network has no way in; leave out trusted_interfaces and direct_access.",
        ),
        (
            {"internal": True, "direct_access": True},
            "Bridge br-blue: an internal network has no way in; leave out trusted_interfaces and direct_access.",
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        blue(**changes)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("requests", "error", "message"),
    [
        ([blue(), blue(icc=False)], InvalidRequest, "Bridge br-blue is requested twice."),
        (
            [blue(), blue(bridge="br-red", subnets=["10.20.0.0/16"])],
            Conflict,
            "Subnet 10.20.0.0/16 of bridge br-red overlaps 10.20.0.0/24 of bridge br-blue; choose another subnet.",
        ),
    ],
)
def test_policies_that_contradict_one_another_are_refused(
    requests: list[Request], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as refused:
        once(host_with(), *requests)

    assert str(refused.value) == message


def test_a_subnet_of_another_bridge_of_ours_is_a_conflict() -> None:
    host = host_with(blue())
    before = host.snapshot()

    with pytest.raises(Conflict) as conflict:
        once(host, blue(bridge="br-red", network="red", subnets=["fd00:20::/60"]))

    assert str(conflict.value) == (
        "Subnet fd00:20::/60 of bridge br-red overlaps fd00:20::/64 of bridge br-blue (network blue of project"
        " default); choose another subnet."
    )
    assert host.snapshot() == before


def test_a_network_that_changes_its_bridge_and_must_not_remove_the_old_one_is_told_what_to_do() -> None:
    host = host_with(blue())

    with pytest.raises(Conflict, match=r"; keep that bridge, or set prune to listed, so that the run removes it\.$"):
        once(host, blue(bridge="br-new"))


def test_two_bridges_may_exchange_their_subnets_in_one_run() -> None:
    host = host_with(blue(subnets=["10.20.0.0/24"]), blue(bridge="br-red", subnets=["10.21.0.0/24"]))

    converge(host, blue(subnets=["10.21.0.0/24"]), blue(bridge="br-red", subnets=["10.20.0.0/24"]))


# ---- what is to be there


def test_a_new_policy() -> None:
    host = host_with()

    outcome = converge(host, blue())

    assert len(host.nft.transactions) == 1
    [command] = outcome.commands
    assert command == "nft -f - <<'EOF'\n%sEOF" % host.nft.transactions[0]
    assert outcome.before == ""
    assert outcome.objects == ({**POLICY, "state": "present", "title": "firewall of bridge br-blue"},)


@pytest.mark.parametrize(
    "later",
    [
        {"internal": True},
        {"icc": False},
        {"direct_access": True},
        {"trusted_interfaces": ["wg0"]},
        {"host_access": "deny"},
        {"allow": [{"to": "10.20.0.9", "protocol": "tcp", "port": 80}]},
        {"allow": [{"to": "10.20.0.9"}], "icc": False},
        {"subnets": ["10.20.0.0/25"]},
        {"subnets": []},
        {"network": "red"},
        {"network": None},
    ],
)
def test_what_is_said_later_is_changed_in_one_transaction(later: dict[str, Any]) -> None:
    host = host_with(blue())

    outcome = converge(host, blue(**later))

    assert outcome.changed
    assert outcome.before != outcome.after
    assert len(host.nft.transactions) == 2
    assert host.nft.table() == host_with(blue(**later)).nft.table()


def test_flows_are_told_in_the_words_of_the_options() -> None:
    said = {"to": "10.20.0.9/32", "from": "192.0.2.0/24", "protocol": "tcp", "port": "80-90"}

    assert once(host_with(), blue(allow=[said])).objects[0]["allow"] == [said]


@pytest.mark.parametrize("drift", ["rule", "chain", "element", "set", "table"])
def test_what_somebody_deleted_is_put_back_and_told(drift: str) -> None:
    host = host_with(blue())
    wanted = host.nft.table()
    if drift == "rule":
        host.nft.chains["into"][1].pop()
    elif drift == "chain":
        host.nft.chains["forward"][1].clear()
        host.nft.load("delete chain inet dockerless forward")
    elif drift == "element":
        host.nft.load('delete element inet dockerless icc { "br-blue" . "br-blue" }')
    elif drift == "set":
        host.nft.load("flush chain inet dockerless guard\ndelete set inet dockerless watched4")
    else:
        host.nft.load("delete table inet dockerless")

    outcome = converge(host, blue())

    assert host.nft.table() == wanted
    assert outcome.changed
    assert outcome.before != outcome.after


def test_a_set_of_another_release_goes() -> None:
    host = host_with(blue())
    wanted = host.nft.table()
    host.nft.load(
        "add set inet dockerless guarded4 { type ipv4_addr; flags interval; }\n"
        "add element inet dockerless guarded4 { 127.0.0.0/8 }\n"
        "add rule inet dockerless guard ip daddr @guarded4 jump guarded"
    )
    assert "guarded4" in host.nft.table().sets

    assert converge(host, blue()).changed
    assert host.nft.table() == wanted


def test_other_policies_stay_as_they_are() -> None:
    host = host_with(blue(), blue(bridge="br-red", subnets=["10.21.0.0/24"], internal=True))

    converge(host, blue(icc=False))

    there = {policy.bridge: policy for policy in world_policies(host)}
    assert there["br-red"].internal
    assert not there["br-blue"].icc


def world_policies(host: MemoryHost) -> list[BridgePolicy]:
    session = world(host).firewall
    session.open()
    return list(session.policies.values())


# ---- subnets that are those of the bridge


def bridge(*addresses: str) -> Request:
    return ask(BridgeKind(), {"name": "br-blue", "addresses": list(addresses)})


def test_without_subnets_they_are_those_of_the_bridge() -> None:
    host = host_with(bridge("10.20.0.1/24", "fd00:20::1/64"))

    outcome = converge(host, blue(subnets=None))

    assert outcome.objects[0]["subnets"] == ["10.20.0.0/24", "fd00:20::/64"]
    assert not converge(host, blue()).changed


@pytest.mark.parametrize("check_mode", [True, False])
def test_without_subnets_and_without_a_bridge_there_is_nothing_to_go_by(check_mode: bool) -> None:
    host = host_with()
    if check_mode:
        assert once(host, blue(subnets=None), check_mode=True).changed
        return

    with pytest.raises(Conflict) as conflict:
        once(host, blue(subnets=None))

    assert str(conflict.value) == (
        "There is no bridge br-blue on this host; make it with the module bridge, or say which subnets it will have."
    )


def test_a_bridge_of_the_same_run_will_do() -> None:
    host = host_with()

    outcome = once(host, bridge("10.20.0.1/24"), blue(subnets=None))

    assert outcome.objects[1]["subnets"] == ["10.20.0.0/24"]


# ---- what is to go


def test_the_last_policy_takes_the_table_along() -> None:
    host = host_with(blue(), blue(bridge="br-red", subnets=["10.21.0.0/24"]))

    converge(host, gone("br-red"))
    assert host.nft.there

    outcome = converge(host, gone())
    assert outcome.commands == ("nft -f - <<'EOF'\ndelete table inet dockerless\nEOF",)
    assert not host.nft.there
    assert not converge(host, gone()).changed


# ---- any policies after any others


@st.composite
def requests(draw: Any) -> list[Request]:
    result = []
    for number, name in enumerate(draw(st.lists(st.sampled_from(["br0", "br1", "br2"]), unique=True))):
        subnets = ["10.2%d.0.0/24" % number, "fd00:%d::/64" % number]
        options: Mapping[str, Any] = {
            "bridge": name,
            "subnets": draw(st.sampled_from([subnets, subnets[:1], []])),
            "icc": draw(st.booleans()),
            "host_access": draw(st.sampled_from(["allow", "deny"])),
            "network": draw(st.sampled_from(["", "blue"])),
        }
        closed = draw(st.booleans())
        more = {"internal": True} if closed else {"trusted_interfaces": draw(st.sampled_from([[], ["wg0"]]))}
        allow = [{"to": subnet, "protocol": "tcp", "port": 80} for subnet in options["subnets"] if draw(st.booleans())]
        state = draw(st.sampled_from(["present", "present", "absent"]))
        result.append(ask(KIND, {**options, **more, "allow": allow}, state))
    return result


@given(requests(), requests())
def test_any_policies_can_follow_any_others(first: list[Request], second: list[Request]) -> None:
    host = host_with()
    converge(host, *first)
    try:
        converge(host, *second)
    except Conflict as conflict:
        assert "overlaps" in str(conflict)


# ---- flows to the host itself, and those that open nothing


def kept(host: MemoryHost) -> list[BridgePolicy]:
    """The policies that the rules of a host hold."""
    session = world(host).firewall
    session.open()
    return list(session.current.policies)


DNS = {"to": "10.20.0.1", "protocol": "udp", "port": "53"}
DNS_FLOW = Flow(ip_network("0.0.0.0/0"), ip_network("10.20.0.1/32"), "udp", PortRange(53, 53), host=True)


def test_a_flow_to_the_gateway_is_one_to_the_host() -> None:
    host = MemoryHost()
    outcome = converge(host, blue(host_access="deny", allow=[DNS], gateways=["10.20.0.1"]))

    assert outcome.warnings == ()
    [policy] = kept(host)
    assert policy.allow == (DNS_FLOW,)


def test_without_gateways_those_count_that_the_bridge_has() -> None:
    host = MemoryHost()
    once(host, ask(BridgeKind(), {"name": "br-blue", "addresses": ["10.20.0.1/24", "fd00:20::1/64"]}))
    converge(host, blue(host_access="deny", allow=[DNS]))

    [policy] = kept(host)
    assert policy.allow == (DNS_FLOW,)


def test_to_a_host_that_is_open_nothing_is_opened() -> None:
    host = MemoryHost()
    outcome = converge(host, blue(allow=[DNS, {"to": "10.20.0.9", "from": "192.0.2.1"}], gateways=["10.20.0.1"]))

    assert outcome.warnings == (
        "These entries of allow have no effect, because host_access lets endpoints reach the host anyway: to 10.20.0.1"
        " of blue.",
    )
    [policy] = kept(host)
    assert [str(flow.to) for flow in policy.allow] == ["10.20.0.9/32"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"allow": [{"to": "10.20.0.9", "from": "10.20.0.8"}]}, "icc lets endpoints reach one another anyway"),
        (
            {"allow": [{"to": "10.20.0.9", "from": "192.0.2.1"}], "internal": True, "icc": False},
            "internal closes the network to everyone else",
        ),
        ({"allow": [{"to": "10.20.0.9"}], "internal": True}, "internal closes the network to everyone else"),
        ({"allow": [{"to": "10.20.0.9"}], "direct_access": True}, "direct_access and icc let everyone in anyway"),
        ({"allow": [{"to": "10.20.0.9"}]}, ""),
        ({"allow": [{"to": "10.20.0.9"}], "icc": False, "internal": True}, ""),
        ({"allow": [{"to": "10.20.0.9", "from": "10.20.0.8"}], "icc": False}, ""),
    ],
)
def test_flows_that_open_nothing_are_worth_a_warning(options: dict[str, Any], reason: str) -> None:
    warnings = converge(MemoryHost(), blue(**options)).warnings

    assert [text.partition(", because ")[2].partition(": ")[0] for text in warnings] == ([reason] if reason else [])


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_host_is_opened_to_endpoints_only(check_mode: bool) -> None:
    with pytest.raises(InvalidRequest) as refused:
        once(
            MemoryHost(),
            blue(host_access="deny", allow=[{**DNS, "from": "192.0.2.7"}], gateways=["10.20.0.1"]),
            check_mode=check_mode,
        )

    assert str(refused.value) == (
        "Bridge br-blue: allow.to 10.20.0.1 opens the host to the bridge's endpoints, and allow.from 192.0.2.7/32 is"
        " not an address of an endpoint. Other clients use the host's other addresses."
    )


def test_another_address_of_the_host_is_refused_with_the_gateway() -> None:
    with pytest.raises(InvalidRequest) as refused:
        KIND.parse({**OPTIONS, "allow": [{"to": "192.0.2.9"}], "gateways": ["10.20.0.1"]})

    assert str(refused.value) == (
        "Bridge br-blue: allow.to 192.0.2.9 lies in none of its subnets; the host itself is reached by 10.20.0.1."
    )


def test_an_interface_that_is_a_port_of_a_bridge_is_worth_a_warning() -> None:
    """Rules see the bridge instead, so nothing would match."""
    host = host_with()
    host.make_link(host.host, "lan0", kind="bridge")
    host.make_link(host.host, "eth7", master="lan0")

    assert converge(host, blue(trusted_interfaces=["eth7"])).warnings == (
        "Interface eth7 in trusted_interfaces is a port of bridge lan0, and rules see only the bridge;"
        " name that instead, for: blue.",
    )
