# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from iptables_in_memory import Host, Refused, Rules
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import (
    FirewallError,
    NoProgram,
    Trouble,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.backend import IptablesBackend
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Masquerade,
    OutInterface,
    PortRange,
    PublishedPort,
)

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"),), network="blue")
EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("br-blue", inverted=True), network="blue")
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")
WEB6 = dataclasses.replace(WEB, container_ip=ip_address("fd00:20::2"))
ALL = FirewallState(frozenset([BLUE]), frozenset([EGRESS]), frozenset([WEB, WEB6]), drop_foreign=True)

FOREIGN = """*filter
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DROP
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
COMMIT
"""


def converge(host: Host, wanted: FirewallState) -> list[Any]:
    """One module call: read, plan, apply."""
    backend = IptablesBackend(host)
    steps = backend.plan(backend.read(), wanted)
    for step in steps:
        step.apply(host)  # type: ignore[arg-type]
    return steps


def text(steps: list[Any]) -> str:
    [step] = steps
    return str(step.text)


def test_first_run() -> None:
    steps = converge(Host(), FirewallState(masquerades=frozenset([EGRESS])))

    assert steps[0].commands() == [
        "iptables-restore --noflush -w 10 <<'EOF'\n"
        "*filter\n"
        ":DLN-STRAYS - [0:0]\n"
        "-A DLN-STRAYS -m socket --nowildcard -j RETURN\n"
        "-A DLN-STRAYS -j DROP\n"
        "-I INPUT -p tcp -m conntrack --ctstate INVALID"
        ' -m comment --comment "dockerless.network" -j DLN-STRAYS\n'
        "COMMIT\n"
        "*nat\n"
        ":DLN-EGRESS - [0:0]\n"
        '-A DLN-EGRESS -s 10.20.0.0/24 ! -o br-blue -m comment --comment "network=blue" -j MASQUERADE\n'
        '-I POSTROUTING -m comment --comment "dockerless.network" -j DLN-EGRESS\n'
        "COMMIT\n"
        "EOF"
    ]


def test_a_second_run_changes_nothing_and_reads_once_for_each_family() -> None:
    host = Host()
    converge(host, ALL)
    host.calls.clear()

    assert converge(host, ALL) == []
    assert [call for call in host.calls if call.endswith(("-save", "-restore"))] == ["iptables-save", "ip6tables-save"]


def test_one_transaction_for_each_family_that_differs() -> None:
    host = Host()

    assert [step.argv[0] for step in converge(host, ALL)] == ["iptables-restore", "ip6tables-restore"]
    more = dataclasses.replace(ALL, ports=ALL.ports | {dataclasses.replace(WEB, host_ports=PortRange(81, 81))})
    assert text(converge(host, more)) == (
        "*nat\n"
        ":DLN-PUBLISH - [0:0]\n"
        '-A DLN-PUBLISH -p tcp -m tcp --dport 81 -m comment --comment "bridge=br-blue network=blue" '
        "-j DNAT --to-destination 10.20.0.2:80\n"
        '-A DLN-PUBLISH -p tcp -m tcp --dport 8080 -m comment --comment "bridge=br-blue network=blue" '
        "-j DNAT --to-destination 10.20.0.2:80\n"
        "COMMIT\n"
    )


def test_a_section_that_becomes_empty_leaves_nothing() -> None:
    host = Host()
    converge(host, ALL)

    removal = text(converge(host, dataclasses.replace(ALL, masquerades=frozenset())))

    assert removal == (
        "*filter\n"
        ":DLN-STRAYS - [0:0]\n"
        "-D INPUT -p tcp -m conntrack --ctstate INVALID"
        ' -m comment --comment "dockerless.network" -j DLN-STRAYS\n'
        "-X DLN-STRAYS\n"
        "COMMIT\n"
        "*nat\n"
        ":DLN-EGRESS - [0:0]\n"
        '-D POSTROUTING -m comment --comment "dockerless.network" -j DLN-EGRESS\n'
        "-X DLN-EGRESS\n"
        "COMMIT\n"
    )


def test_what_others_made_stays_as_it_was() -> None:
    host = Host(v4=FOREIGN)

    converge(host, ALL)
    forward = [rule[-1] for rule in host.families[4].tables["filter"]["FORWARD"]]
    assert forward == ["DLN-FORWARD", "DOCKER-USER", "DLN-FOREIGN", "DROP"]
    converge(host, FirewallState())

    for table, chains in Rules(FOREIGN).tables.items():
        assert host.families[4].tables[table] == chains
    assert "DLN-" not in host.families[4].save() + host.families[6].save()


def test_rules_of_the_user_are_never_changed_and_outlive_ours() -> None:
    host = Host()
    converge(host, ALL)
    theirs = "-A DLN-USER -s 192.0.2.66/32 -j DROP\n"
    host.families[4].restore(f"*mangle\n{theirs}COMMIT\n*filter\n{theirs}COMMIT\n")

    assert converge(host, ALL) == []
    converge(host, dataclasses.replace(ALL, ports=frozenset()))
    assert host.families[4].save().count(theirs) == 2
    converge(host, FirewallState())

    assert set(re.findall("DLN-[A-Z-]+", host.families[4].save())) == {"DLN-USER"}
    assert host.families[4].save().count(theirs) == 2
    assert "DLN-" not in host.families[6].save()
    backend = IptablesBackend(host)
    assert backend.user_rules(backend.read()) == (
        "Chain DLN-USER has rules of yours, and stays; to empty it: iptables -t mangle -F DLN-USER"
    )
    host.families[4].restore("*mangle\n:DLN-USER - [0:0]\nCOMMIT\n*filter\n:DLN-USER - [0:0]\nCOMMIT\n")
    converge(host, FirewallState())
    assert "DLN-" not in host.families[4].save()


def test_rules_of_the_user_are_kept_but_for_those_that_need_something_of_others() -> None:
    host = Host()
    converge(host, ALL)
    mine = "-A DLN-USER -s 192.0.2.66/32 -j DROP\n"
    others = "-A DLN-USER -j THEIRS\n-A DLN-USER -m set --match-set bad src -j DROP\n"
    host.families[4].restore(f"*filter\n:THEIRS - [0:0]\n{mine}{others}COMMIT\n")
    backend = IptablesBackend(host)
    backend.read()

    v4, v6 = backend.snapshot(ALL)

    assert mine in v4.text and "THEIRS" not in v4.text and "--match-set" not in v4.text
    assert v4.trouble == "'-j THEIRS' names a chain or a set that is not ours"
    assert v6.trouble == ""


def test_the_place_of_a_jump_among_the_rules_of_others_is_theirs_to_choose() -> None:
    host = Host()
    converge(host, ALL)
    host.families[4].restore("*filter\n-I FORWARD -s 192.0.2.66/32 -j DROP\n-A FORWARD -j DROP\nCOMMIT\n")

    assert converge(host, ALL) == []


TAKEN = "-A FORWARD -p udp -j ACCEPT\n"
MARK = '-m comment --comment "dockerless.network"'


@pytest.mark.parametrize(
    "end",
    [
        "-A FORWARD -j DROP\n",
        "-A FORWARD -m limit --limit 1/sec -j LOG\n-A FORWARD -j REJECT --reject-with icmp-port-unreachable\n",
        ":CLOSED - [0:0]\n-A CLOSED -p icmp -j ACCEPT\n-A CLOSED -j DROP\n-A FORWARD -j CLOSED\n",
    ],
)
@pytest.mark.parametrize("there", ["", "first", "last", "torn"])
def test_a_catch_all_of_others_stays_the_last(end: str, there: str) -> None:
    host = Host(v4=f"*filter\n{TAKEN}{end}COMMIT\n")
    forward = host.families[4].tables["filter"]["FORWARD"]
    theirs = list(forward)
    if there:
        converge(host, ALL)
    forward = host.families[4].tables["filter"]["FORWARD"]
    if there == "last":
        forward.append(forward.pop(2))
    elif there == "torn":
        forward.append(forward.pop(0))

    steps = [step for step in converge(host, ALL) if step.argv[0] == "iptables-restore"]

    forward = host.families[4].tables["filter"]["FORWARD"]
    assert [rule[-1] for rule in forward[:3]] == ["DLN-FORWARD", "ACCEPT", "DLN-FOREIGN"]
    assert [rule for rule in forward if not rule[-1].startswith("DLN-")] == theirs and forward[-1] == theirs[-1]
    assert bool(steps) is (there != "first") and converge(host, ALL) == []
    for step in steps:
        for back in step.undo():
            back.apply(host)  # type: ignore[arg-type]
    forward = host.families[4].tables["filter"]["FORWARD"]
    assert [rule for rule in forward if not rule[-1].startswith("DLN-")] == theirs
    converge(host, FirewallState())
    assert host.families[4].tables["filter"]["FORWARD"] == theirs


@pytest.mark.parametrize("wanted", [ALL, dataclasses.replace(ALL, drop_foreign=False)])
def test_jumps_come_before_a_drop_that_others_have_put_first(wanted: FirewallState) -> None:
    host = Host()
    converge(host, wanted)
    right = host.families[4].save()
    host.families[4].restore("*filter\n-I FORWARD -j DROP\nCOMMIT\n")

    assert [step.argv[0] for step in converge(host, wanted)] == ["iptables-restore"]

    forward = host.families[4].tables["filter"]["FORWARD"]
    assert forward.pop()[-1] == "DROP" and host.families[4].save() == right
    assert converge(host, wanted) == []


@pytest.mark.parametrize(
    "damage",
    [
        "*nat\n-D DLN-PUBLISH-IN -j DLN-PUBLISH\nCOMMIT\n",
        "*nat\n-I DLN-PUBLISH -p tcp -m tcp --dport 8080 -j RETURN\nCOMMIT\n",
        "*nat\n:DLN-PUBLISH - [0:0]\nCOMMIT\n",
        '*filter\n-I FORWARD -m comment --comment "dockerless.network" -j DLN-FORWARD\nCOMMIT\n',
        '*filter\n-D FORWARD -m comment --comment "dockerless.network" -j DLN-FORWARD\nCOMMIT\n',
        "*mangle\n:DLN-ORPHAN - [0:0]\n-A DLN-ORPHAN -j DROP\n-A INPUT -j DLN-ORPHAN\nCOMMIT\n",
        "*raw\n-A PREROUTING -s 192.0.2.1/32 -j DLN-LOOPBACK\nCOMMIT\n",
    ],
)
def test_drift_is_repaired_in_one_transaction(damage: str) -> None:
    host = Host(v4=FOREIGN)
    converge(host, ALL)
    right = host.families[4].save()
    host.families[4].restore(damage)
    assert host.families[4].save() != right

    assert len(converge(host, ALL)) == 1
    assert sorted(host.families[4].save().splitlines()) == sorted(right.splitlines())
    assert converge(host, ALL) == []


def test_what_is_expected_is_what_is_read() -> None:
    host = Host()
    backend = IptablesBackend(host)
    backend.read()
    converge(host, ALL)

    assert backend.plan(backend.expected(ALL), ALL) == []
    for step in backend.plan(backend.expected(ALL), FirewallState()):
        step.apply(host)  # type: ignore[arg-type]
    assert not backend.read()


def test_a_step_can_be_taken_back() -> None:
    host = Host(v4=FOREIGN)
    converge(host, FirewallState(policies=frozenset([BLUE])))
    before = IptablesBackend(host).read()

    for step in reversed(converge(host, ALL)):
        for undo in step.undo():
            undo.apply(host)

    assert IptablesBackend(host).read() == before


def test_what_modules_say_one_by_one_in_check_mode_adds_up_to_one_run() -> None:
    """Each sees the host as it was and its own section only; the commands are then pasted in the role's order."""
    sections = [
        FirewallState(drop_foreign=True),
        FirewallState(policies=ALL.policies),
        FirewallState(masquerades=ALL.masquerades),
        FirewallState(ports=ALL.ports),
    ]
    pasted, whole = Host(v4=FOREIGN), Host(v4=FOREIGN)
    for section in sections:
        for step in IptablesBackend(pasted).plan(IptablesBackend(Host(v4=FOREIGN)).read(), section):
            step.apply(pasted)  # type: ignore[arg-type]

    converge(whole, ALL)

    assert converge(pasted, ALL) == []
    for version in (4, 6):
        lines = [sorted(host.families[version].save().splitlines()) for host in (pasted, whole)]
        assert lines[0] == lines[1]


def test_the_simulator_is_strict() -> None:
    for wrong in (
        "-D INPUT -j DROP",
        "-A DLN-NONE -j DROP",
        "-A INPUT -j DLN-NONE",
        ":DLN-A - [0:0]\n-A DLN-A -j DROP\n-X DLN-A",
    ):
        with pytest.raises(Refused):
            Rules(f"*filter\n{wrong}\nCOMMIT\n")


# --- the tools


def answering(answers: dict[str, tuple[int, str, str]]) -> MemoryNetfilter:
    def run(argv: Any, text: str | None) -> tuple[int, str, str]:
        if argv[0] not in answers:
            raise FileNotFoundError(argv[0])
        return answers[argv[0]]

    return MemoryNetfilter(run)


def version_of(variant: str) -> tuple[int, str, str]:
    return 0, f"iptables v1.8.9 ({variant})\n", ""


def test_what_is_missing_is_named() -> None:
    missing = IptablesBackend(answering({})).usable()
    assert missing == Trouble("iptables is not installed; install the package iptables.", is_absent=True)
    broken = answering({"iptables": (1, "", "iptables v1.8.9: can't initialize\n")})
    trouble = IptablesBackend(broken).usable()
    assert trouble == Trouble("iptables does not work here: iptables v1.8.9: can't initialize")
    assert IptablesBackend(answering({"iptables": version_of("nf_tables")})).usable() is None
    with pytest.raises(FirewallError, match="no variant other"):
        IptablesBackend(answering({}), "other")


def test_a_runner_may_report_a_missing_program_in_its_own_way() -> None:
    def run(argv: Any, text: str | None) -> tuple[int, str, str]:
        raise NoProgram("no such program")

    found = IptablesBackend(MemoryNetfilter(run)).usable()
    assert found is not None and found.is_absent and "install" in found.text


def test_a_program_that_cannot_be_run_is_not_missing() -> None:
    def run(argv: Any, text: str | None) -> tuple[int, str, str]:
        raise FirewallError("The program /sbin/iptables cannot be run: Exec format error.")

    found = IptablesBackend(MemoryNetfilter(run)).usable()
    assert found is not None and not found.is_absent and "Exec format error" in found.text


@pytest.mark.parametrize(
    ("variant", "store", "name"), [("nf_tables", "nft", "iptables"), ("legacy", "legacy", "legacy")]
)
def test_the_host_chooses_the_variant(variant: str, store: str, name: str) -> None:
    backend = IptablesBackend(answering({"iptables": version_of(variant)}))

    assert (backend.store, backend.name) == (store, name)
    assert backend.tool(6, "restore") == "ip6tables-restore"


def test_a_chosen_variant_has_tools_of_its_own() -> None:
    backend = IptablesBackend(answering({}), "legacy")

    assert (backend.store, backend.tool(4, "save")) == ("legacy", "iptables-legacy-save")


def test_legacy_tables_are_not_made_by_looking() -> None:
    host = answering({name: version_of("legacy") for name in ("iptables-legacy", "ip6tables-legacy")})
    backend = IptablesBackend(host, "legacy")

    assert not backend.read()


def test_a_tool_that_fails_is_not_taken_for_an_empty_host() -> None:
    host = answering({"iptables": version_of("nf_tables"), "iptables-save": (4, "", "# Warning\ncannot open\n")})

    with pytest.raises(FirewallError, match=r"iptables-save cannot read the rules \(exit code 4\): cannot open"):
        IptablesBackend(host).read()


def test_a_table_with_rules_of_nft_is_not_taken_for_an_empty_one() -> None:
    dump = "*filter\nCOMMIT\n# Table `nat' is incompatible, use 'nft' tool.\n"
    host = answering({"iptables": version_of("nf_tables"), "iptables-save": (0, dump, "")})

    with pytest.raises(FirewallError, match="table nat"):
        IptablesBackend(host).read()


def test_without_ipv6_only_what_speaks_of_ipv6_fails() -> None:
    host = Host()
    host.ipv6 = False
    backend = IptablesBackend(host)
    raw = backend.read()

    assert len(backend.plan(raw, FirewallState(drop_foreign=True))) == 1
    assert len(backend.plan(backend.expected(FirewallState()), FirewallState(drop_foreign=True))) == 1
    with pytest.raises(FirewallError, match="this host has no IPv6"):
        backend.plan(raw, FirewallState(ports=frozenset([WEB6])))


# ---- what others have altered


def altered(host: Host) -> list[str]:
    backend = IptablesBackend(host)
    raw = backend.read()
    return backend.altered(raw, backend.state(raw))


def test_nothing_is_altered_beside_others_and_behind_a_later_catch_all() -> None:
    host = Host()
    host.families[4] = Rules(FOREIGN)
    converge(host, ALL)
    assert altered(host) == []

    host.families[4].restore("*filter\n-I FORWARD 1 -j ACCEPT\n-D FORWARD -j DROP\n-I FORWARD 3 -j DROP\nCOMMIT\n")
    assert altered(host) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("*filter\n:DLN-INTO-br-blue - [0:0]\nCOMMIT\n", ["chain DLN-INTO-br-blue of table filter (IPv4)"]),
        ("*filter\n-I DLN-FORWARD -j ACCEPT\nCOMMIT\n", ["chain DLN-FORWARD of table filter (IPv4)"]),
        ("*mangle\n-D PREROUTING %s -j DLN-GUARD\nCOMMIT\n", ["jumps in chain PREROUTING of table mangle (IPv4)"]),
        ("*nat\n-A POSTROUTING %s -j DLN-EGRESS\nCOMMIT\n", ["jumps in chain POSTROUTING of table nat (IPv4)"]),
        ("*mangle\n:DLN-MINE - [0:0]\nCOMMIT\n", ["chain DLN-MINE of table mangle (IPv4)"]),
    ],
)
def test_what_others_have_altered_is_told_by_its_name(damage: str, told: list[str]) -> None:
    host = Host()
    converge(host, ALL)
    host.families[4].restore(damage.replace("%s", "-m comment --comment dockerless.network"))

    assert altered(host) == told
    converge(host, ALL)
    assert altered(host) == []
