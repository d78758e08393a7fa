# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import (
    FirewallError,
    NoProgram,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import Link, PortFlows
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Masquerade,
    OutInterface,
    PortRange,
    PublishedPort,
)
from ansible_collections.dockerless.network.plugins.module_utils.operations import (
    ForgetFlows,
    LoadRules,
    Operation,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.iptables_in_memory import (
    Host as Iptables,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, MemorySession

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"),), network="blue")
EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("br-blue", True), network="blue")
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")

# As nft 1.0.6 prints the table that drops what neither enters nor leaves a network of ours.
PLACE = {"family": "inet", "table": "dockerless"}
FOREIGN = {
    "nftables": [
        {"table": {"family": "inet", "name": "dockerless", "handle": 1}},
        {"chain": {**PLACE, "name": "foreign", "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
        {
            "rule": {
                **PLACE,
                "chain": "foreign",
                "comment": "neither enters nor leaves a network of ours",
                "expr": [
                    {"match": {"op": "!=", "left": {"meta": {"key": "iifgroup"}}, "right": 25708}},
                    {"match": {"op": "!=", "left": {"meta": {"key": "oifgroup"}}, "right": 25708}},
                    {"counter": {"packets": 0, "bytes": 0}},
                    {"drop": None},
                ],
            }
        },
    ]
}


class Tools(MemoryNetfilter):
    """The programs of a host: nft with a table of ours or without, iptables in memory; None for what is not there."""

    def __init__(self, nft: object = "", iptables: Iptables | None = None, version: str = "1.0.6") -> None:
        super().__init__(self)
        self.version = version
        self.nft, self.iptables = nft, iptables
        self.calls: list[str] = []

    def __call__(self, argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        self.calls.append(" ".join(argv))
        if argv[0] == "nft":
            return self._nft(argv)
        if self.iptables is None or argv[0].endswith("-legacy-save"):
            raise NoProgram("There is no program %s on this host; install the package iptables." % argv[0])
        plain = [word.replace("iptables-nft", "iptables").replace("ip6tables-nft", "ip6tables") for word in argv]
        return self.iptables(plain, text)

    def _nft(self, argv: Sequence[str]) -> tuple[int, str, str]:
        if self.nft is None:
            raise NoProgram("There is no program nft on this host; install the package nftables.")
        if isinstance(self.nft, Exception):
            return 1, "", str(self.nft)
        if "table" in argv:
            return (0, json.dumps(self.nft), "") if self.nft else (1, "", "Error: No such file or directory")
        chains: list[dict[str, object]] = [{"metainfo": {"version": self.version}}]
        if self.iptables is not None and "DLN-" in self.iptables.families[4].save():
            chains.append({"chain": {"family": "ip", "table": "nat", "name": "DLN-EGRESS"}})
        return 0, json.dumps({"nftables": chains}), ""


def with_rules(*parts: object) -> Iptables:
    """iptables that has rules of ours."""
    host = Iptables()
    session = FirewallSession(Tools(None, host), "iptables")
    session.open()
    session.masquerades = {part.key: part for part in parts if isinstance(part, Masquerade)}
    session.policies = {part.bridge: part for part in parts if isinstance(part, BridgePolicy)}
    for step in session.plan()[0]:
        step.apply(host)  # type: ignore[arg-type]
    return host


def argv(steps: Sequence[Operation]) -> list[str]:
    return [step.argv[0] for step in steps if isinstance(step, LoadRules)]


# ---- plans in check mode


@pytest.mark.parametrize("choice", ["nftables", "iptables"])
def test_another_plan_goes_on_from_the_rules_of_the_last_one(choice: str) -> None:
    """As when an earlier task of a run would have made these."""
    session, links = FirewallSession(Tools(iptables=Iptables()), choice), [Link("eth0", 2)]
    session.use()
    session.policies[BLUE.bridge] = BLUE
    session.ports.add(WEB)
    session.set_forward_policy(False, frozenset([4]))
    assert session.plan(links=links)[0] != []

    session.follow(links)

    assert (session.current.policies, session.current.ports) == ({BLUE}, {WEB})
    assert session.plan(links=links) == ([], [])
    assert not session.in_use
    session.ports.remove(WEB)
    assert session.plan(links=links)[0] != []


# ---- which back-end


@pytest.mark.parametrize(
    ("tools", "choice", "name"),
    [
        (Tools(), "auto", "nftables"),
        (Tools(iptables=Iptables()), "auto", "nftables"),
        (Tools(None, Iptables()), "auto", "iptables"),
        (Tools(OSError("Operation not supported"), Iptables()), "auto", "iptables"),
        (Tools(iptables=Iptables()), "iptables", "iptables"),
        (Tools(iptables=Iptables()), "nftables", "nftables"),
        (Tools(iptables=Iptables(), version="0.9.8"), "auto", "iptables"),
        (Tools(iptables=Iptables(), version="1.0.5"), "auto", "iptables"),
        (Tools(iptables=Iptables(), version="1.0.10"), "auto", "nftables"),
        (Tools(iptables=Iptables(), version="2"), "auto", "nftables"),
    ],
)
def test_the_back_end_is_the_one_asked_for_or_the_first_that_works(tools: Tools, choice: str, name: str) -> None:
    assert FirewallSession(tools, choice).backend == name


@pytest.mark.parametrize(
    ("tools", "choice", "message"),
    [
        (
            Tools(None),
            "auto",
            "No packet filter works on this host. Back-end nftables: There is no program nft on this host; install the"
            " package nftables. Back-end iptables: iptables is not installed; install the package iptables.",
        ),
        (
            Tools(None),
            "nftables",
            "Back-end nftables: There is no program nft on this host; install the package nftables.",
        ),
    ],
)
def test_when_none_works_the_error_says_why(tools: Tools, choice: str, message: str) -> None:
    session = FirewallSession(tools, choice)

    assert not session.readable()
    with pytest.raises(FirewallError) as error:
        session.open()
    assert str(error.value) == message
    assert not session.is_open


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ("nftables", Tools(OSError("Operation not permitted"))),
        ("auto", Tools(OSError("Operation not permitted"))),
        ("auto", Tools(OSError(""), Iptables())),  # it died
        ("iptables", Tools(OSError(""), Iptables())),
        ("auto", Tools("no table", Iptables())),  # it ends well, and prints something else
    ],
)
def test_a_packet_filter_that_fails_is_not_one_that_is_missing(choice: str, tools: Tools) -> None:
    """The packet filter may hold objects that are to be removed."""
    session = FirewallSession(tools, choice)

    with pytest.raises(FirewallError, match="Back-end nftables: nft does not work here: "):
        session.readable()
    assert not session.is_open


@pytest.mark.parametrize("choice", ["nftables", "auto"])
def test_an_nft_that_is_too_old_is_told_with_its_version_and_the_one_it_takes(choice: str) -> None:
    """An error for a removal, too: it may have a table that a newer one has made."""
    session = FirewallSession(Tools(version="0.9.8"), choice)

    with pytest.raises(FirewallError, match=r"nft 0\.9\.8 is too old; install nftables 1\.0\.6 or later"):
        session.readable()


def test_an_old_nft_still_takes_away_what_it_has() -> None:
    session = FirewallSession(Tools(FOREIGN, Iptables(), version="0.9.8"), "auto")

    session.open()

    assert argv(session.plan()[0])[-1] == "nft"


def test_nothing_is_asked_before_somebody_wants_to_know() -> None:
    tools = Tools()

    session = FirewallSession(tools)

    assert tools.calls == []
    assert not session.is_open
    assert not session.in_use


def test_a_look_costs_one_listing_however_often_it_is_taken() -> None:
    tools = Tools(FOREIGN)
    session = FirewallSession(tools)
    for unused in range(3):
        session.use()
        assert session.readable()

    assert [call for call in tools.calls if " list table " in call] == ["nft -j list table inet dockerless"]
    assert session.in_use


# ---- what is there, and what is wanted


def test_what_is_there_is_what_is_wanted_until_somebody_changes_it() -> None:
    session = FirewallSession(Tools(FOREIGN))
    session.open()

    assert session.current == session.desired == FirewallState(drop_foreign=True)
    assert session.plan() == ([], [])


def test_changes_are_one_transaction() -> None:
    session = FirewallSession(Tools(FOREIGN))
    session.open()
    session.policies[BLUE.bridge] = BLUE
    session.masquerades[EGRESS.key] = EGRESS
    session.ports.add(WEB)
    session.drop_foreign = False

    steps, late = session.plan()

    assert session.desired == FirewallState(frozenset([BLUE]), frozenset([EGRESS]), frozenset([WEB]))
    assert session.current == FirewallState(drop_foreign=True)
    assert (argv(steps), len(steps)) == (["nft"], 1)
    # until the host has ceased to forward
    assert (
        "delete chain" not in steps[0].commands()[0] and "delete chain inet dockerless foreign" in late[0].commands()[0]
    )


def test_flows_are_forgotten_after_the_rules_are_in_place() -> None:
    session = FirewallSession(Tools())
    session.open()
    session.ports.add(WEB)
    session.stale.append(PortFlows(4, "tcp", 8080, 8080))

    steps, unused = session.plan()

    assert [type(step) for step in steps] == [LoadRules, ForgetFlows]


# ---- from one back-end to another


def test_rules_of_the_old_back_end_are_taken_over_and_go_after_the_new_ones_have_come() -> None:
    host = with_rules(EGRESS)
    session = FirewallSession(Tools(iptables=host), "nftables")

    session.open()
    steps, unused = session.plan()

    assert session.current == FirewallState(masquerades=frozenset([EGRESS]))
    assert argv(steps)[0] == "nft"
    assert set(argv(steps)[1:]) == {"iptables-nft-restore"}
    assert "-X DLN-EGRESS" in steps[1].text  # type: ignore[attr-defined]
    assert session.move() == "from iptables to nftables"


@pytest.mark.parametrize("choice", ["auto", "nftables"])
def test_who_leaves_the_choice_to_auto_is_told_that_it_moves_rules(choice: str) -> None:
    session = FirewallSession(Tools(iptables=with_rules(EGRESS)), choice)
    session.open()
    assert session.doubt_of_move() == ""

    session.plan()

    told = (
        "The rules of this collection move from iptables to nftables, as this call leaves the choice of the back-end to"
        " 'auto'. A call that names iptables moves them back, so give every call the same back-end: by the variable"
        " bridge_network_backend, and for single modules by module_defaults or the option backend."
    )
    assert session.doubt_of_move() == (told if choice == "auto" else "")


def test_auto_moves_nothing_where_no_other_back_end_has_rules_or_where_all_of_them_go() -> None:
    session = FirewallSession(Tools(FOREIGN), "auto")
    session.open()
    session.plan()
    assert session.doubt_of_move() == ""

    session = FirewallSession(Tools(iptables=with_rules(EGRESS)), "auto")
    session.open()
    session.masquerades.clear()
    session.plan()
    assert session.doubt_of_move() == "" and session.move() == "from iptables to nftables"


def test_and_the_other_way_round() -> None:
    session = FirewallSession(Tools(FOREIGN, Iptables()), "iptables")

    session.open()
    steps, unused = session.plan()

    assert session.current.drop_foreign and session.move() == "from nftables to iptables"
    assert argv(steps) == ["iptables-restore", "ip6tables-restore", "nft"]
    assert steps[-1].commands() == ["nft -f - <<'EOF'\ndelete table inet dockerless\nEOF"]


def test_what_both_have_is_wanted_once() -> None:
    host = with_rules(EGRESS, BLUE)
    session = FirewallSession(Tools(FOREIGN, host), "nftables")

    session.open()

    assert session.desired == FirewallState(frozenset([BLUE]), frozenset([EGRESS]), drop_foreign=True)


def test_the_back_end_that_has_our_rules_is_the_one_in_use() -> None:
    assert FirewallSession(Tools(iptables=with_rules(EGRESS)), "auto").backend == "iptables"
    assert FirewallSession(Tools(FOREIGN, Iptables()), "iptables").backend == "nftables"


# ---- bridges that leave


def test_a_bridge_that_leaves_keeps_its_policy_until_it_has_left() -> None:
    host = MemoryHost()
    make(host, BLUE)
    session = MemorySession(host)
    session.open()
    del session.policies[BLUE.bridge]

    first, late = session.plan(waits=True)

    assert first == []
    assert len(late) == 1
    late[0].apply(host)  # type: ignore[arg-type]
    assert not host.nft.there


@pytest.mark.parametrize("waits", [True, False])
def test_a_subnet_that_leaves_stays_closed_and_translated_until_other_steps_are_done(waits: bool) -> None:
    host = MemoryHost()
    make(host, BLUE)
    session = MemorySession(host)
    session.open()
    session.masquerades = {EGRESS.key: EGRESS}
    for step in session.plan()[0]:
        step.apply(host)  # type: ignore[arg-type]
    moved, subnet = MemorySession(host), ip_network("10.23.0.0/24")
    moved.open()
    moved.policies = {BLUE.bridge: replace(BLUE, subnets=(subnet,))}
    moved.masquerades = {(subnet, EGRESS.out): replace(EGRESS, source=subnet)}

    seen = []
    for steps in moved.plan(waits):
        for step in steps:
            step.apply(host)  # type: ignore[arg-type]
        again = MemorySession(host)
        again.open()
        subnets = {str(subnet) for policy in again.current.policies for subnet in policy.subnets}
        seen.append((subnets, {str(item.source) for item in again.current.masquerades}))

    old, new = "10.20.0.0/24", str(subnet)
    assert seen == [({old, new}, {old, new}) if waits else ({new}, {new}), ({new}, {new})]


@pytest.mark.parametrize("subnet", ["10.20.0.0/24", "10.20.0.0/16", "10.20.0.0/25"])
def test_the_subnet_of_a_bridge_that_leaves_may_be_another_ones_at_once(subnet: str) -> None:
    host = MemoryHost()
    make(host, BLUE)
    azure = replace(BLUE, bridge="br-azure", subnets=(ip_network(subnet),), network="azure")
    session = MemorySession(host)
    session.open()
    session.policies = {azure.bridge: azure}

    for steps in session.plan(waits=True):
        for step in steps:
            step.apply(host)  # type: ignore[arg-type]

    again = MemorySession(host)
    again.open()
    assert again.current == FirewallState(frozenset([azure]))


def test_a_bridge_that_leaves_and_comes_back_gets_its_new_policy() -> None:
    host = MemoryHost()
    make(host, BLUE)
    closed = replace(BLUE, internal=True)
    session = MemorySession(host)
    session.open()
    session.policies = {closed.bridge: closed}

    for steps in session.plan(waits=True):
        for step in steps:
            step.apply(host)  # type: ignore[arg-type]

    again = MemorySession(host)
    again.open()
    assert again.current == FirewallState(frozenset([closed]))


def make(host: MemoryHost, policy: BridgePolicy) -> None:
    session = MemorySession(host)
    session.open()
    session.policies = {policy.bridge: policy}
    for step in session.plan()[0]:
        step.apply(host)  # type: ignore[arg-type]
