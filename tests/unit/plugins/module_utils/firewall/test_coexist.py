# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our additions to the places that other packet filters have for rules like ours, and the warnings about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar

import pytest
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import (
    Backend,
    BaseChain,
    FirewallError,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist import forward, plan
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.base import Measures, Ours
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.firewalld import Firewalld
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.ufw import Ufw
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.obstacles import obstacles
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.reader import (
    UFW_RULES,
    Around,
    Foreign,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.rules import OUT, PUBLISHED, WAYS
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.backend import IptablesBackend
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.backend import NftablesBackend
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.marks import ZONE_FILE
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Flow,
    Masquerade,
    PortRange,
    PublishedPort,
)

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"),))
STATE = FirewallState(policies=frozenset([BLUE]))
PORT = PublishedPort("tcp", PortRange(8080, 8081), ip_address("10.20.0.2"), 80)
NOTHING = FirewallState()


@dataclass
class Machine:
    """A host by what its tools print and its files hold; anything else is not there."""

    nft: list[Any] = field(default_factory=list)
    saved: dict[str, str] = field(default_factory=dict)  # by tool
    zones: dict[str, str] = field(default_factory=dict)
    owned: bool = False  # nobody but the owner of a table may change it
    files: dict[str, str] = field(default_factory=dict)
    rights: dict[str, tuple[int, int]] = field(default_factory=dict)  # of these files: owner and mode
    legacy: dict[int, list[str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def run(self, argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        self.ran.append(" ".join(argv))
        if argv[:2] == ["nft", "-c"]:
            return (1, "", "Operation not permitted") if self.owned else (0, "", "")
        if argv[0] == "nft":
            wanted = ("metainfo", "chain") if argv[-1] == "chains" else ("metainfo", "chain", "rule")
            listed = [item for item in [{"metainfo": {}}, *self.nft] if next(iter(item)) in wanted]
            return 0, json.dumps({"nftables": listed}), ""
        if argv[0] == "firewall-cmd":
            zone = self.zones.get(argv[1].partition("=")[2], "")
            return (0, zone + "\n", "") if zone else (2, "", "no zone")
        if argv[0] not in self.saved:
            raise FirewallError("no such program")
        return 0, self.saved[argv[0]], ""

    @property
    def netfilter(self) -> MemoryNetfilter:
        return MemoryNetfilter(self.run, self.legacy, self.files, rights=self.rights)

    @property
    def foreign(self) -> Foreign:
        return Foreign(self.netfilter)


def chain(name: str, policy: str = "", family: str = "ip", table: str = "filter", kind: str = "filter") -> Any:
    base = {"type": kind, "hook": "forward" if kind == "filter" else "prerouting", "policy": policy} if policy else {}
    return {"chain": {"family": family, "table": table, "name": name, **base}}


def rule(name: str, *expression: Any, family: str = "ip", table: str = "filter", **more: Any) -> Any:
    return {"rule": {"family": family, "table": table, "chain": name, "expr": list(expression), **more}}


def jump(target: str) -> Any:
    return {"jump": {"target": target}}


def came_by(link: str) -> Any:
    return {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": link}}


def planned(place: Any, state: FirewallState = STATE, **more: Any) -> Measures:
    result = Measures()
    place.plan(Ours(state, **more), result)
    return result


def commands(steps: Sequence[Any]) -> list[str]:
    return [command for step in steps for command in step.commands()]


# ---- chains of others that drop at their end

MARK = '-m comment --comment "dockerless.network"'
OURS_THERE = f"""-A FORWARD -o br-blue {MARK} -j ACCEPT
-A FORWARD -i br-blue {MARK} -j ACCEPT
"""
JUMP = f"-A FORWARD {MARK} -j DLN-FORWARD\n"
SPECIFIC = "-A FORWARD -s 10.9.9.9/32 -j DROP\n-A FORWARD -i eth0 -p tcp -m tcp --dport 80 -j DROP\n"
LAST = "-A FORWARD -j REJECT --reject-with icmp-port-unreachable\n"
APPENDED = "-A FORWARD -i wg0 -j ACCEPT\n"
LOG = "-A FORWARD -m limit --limit 1/sec -j LOG\n"
ANSWERS = (
    "-A FORWARD -p udp -j REJECT --reject-with icmp-port-unreachable\n"
    "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n"
)
BASE = BaseChain("nft", "ip", "filter", "FORWARD")


def filtering(rules: str, policy: str = "ACCEPT", chains: str = "", **more: Any) -> Machine:
    """A host with these rules in the table filter of iptables."""
    text = f"*filter\n:FORWARD {policy} [0:0]\n{chains}{rules}COMMIT\n"
    listed = [chain("FORWARD", policy.lower()), rule("FORWARD", {"drop": None})]
    return Machine(nft=listed, saved={"iptables-nft-save": text}, **more)


def let_through(machine: Machine, state: FirewallState = STATE, **more: Any) -> Measures:
    result = Measures()
    forward.plan(machine.foreign, Ours(state, **more), result)
    return result


@pytest.mark.parametrize(
    ("rules", "policy", "lines"),
    [
        (SPECIFIC, "DROP", ["-A FORWARD -o", "-A FORWARD -i"]),
        (SPECIFIC + LAST, "ACCEPT", ["-I FORWARD 3 -o", "-I FORWARD 4 -i"]),
        (SPECIFIC + LOG + LAST, "ACCEPT", ["-I FORWARD 3 -o", "-I FORWARD 4 -i"]),
        # these decide nothing, only how to tell
        (SPECIFIC + ANSWERS + LOG + LAST, "ACCEPT", ["-I FORWARD 3 -o", "-I FORWARD 4 -i"]),
        (SPECIFIC + ANSWERS, "DROP", ["-I FORWARD 3 -o", "-I FORWARD 4 -i"]),
        # ours are not the last any more
        (OURS_THERE + SPECIFIC, "DROP", ["-D FORWARD -o", "-D FORWARD -i", "-A FORWARD -o", "-A FORWARD -i"]),
        (LAST + OURS_THERE, "DROP", ["-D FORWARD -o", "-D FORWARD -i", "-I FORWARD 1 -o", "-I FORWARD 2 -i"]),
        # nothing comes to a rule behind one that drops everything
        (SPECIFIC + LAST + APPENDED, "ACCEPT", ["-I FORWARD 3 -o", "-I FORWARD 4 -i"]),
        (SPECIFIC + LOG + LAST + APPENDED + LAST, "DROP", ["-I FORWARD 3 -o", "-I FORWARD 4 -i"]),
        # one of ours is gone
        (OURS_THERE.splitlines(keepends=True)[1], "DROP", ["-D FORWARD -i", "-A FORWARD -o", "-A FORWARD -i"]),
    ],
)
def test_our_packets_pass_behind_what_is_specific_and_before_the_end(rules: str, policy: str, lines: list[str]) -> None:
    found = let_through(filtering(rules, policy))
    assert found.first == [] and found.missing == {BASE} and found.passed == {(BASE, way) for way in WAYS}
    (text,) = commands(found.last)
    assert text.startswith("iptables-nft-restore --noflush -w 10 <<'EOF'\n*filter\n")
    assert text.splitlines()[2:-2] == [f"{line} br-blue {MARK} -j ACCEPT" for line in lines]
    assert "-I" not in found.last[0].undo()[0].commands()[0]


@pytest.mark.parametrize(
    ("table", "store", "listed"),
    [
        ("mangle", "legacy", {}),
        ("mangle", "nft", {"FORWARD": "drop"}),
        ("mangle", "nft", {"PREROUTING": "drop", "FORWARD": "accept"}),
        ("security", "legacy", {}),
        ("security", "nft", {"FORWARD": "drop"}),
    ],
)
def test_a_chain_of_another_table_gets_ours_in_that_table(table: str, store: str, listed: dict[str, str]) -> None:
    """iptables can drop forwarded packets in other tables as well, where it must not find rules of nft."""
    place = {"family": "ip", "table": table}
    heads = [
        {"chain": {**place, "name": name, "type": "filter", "hook": name.lower(), "policy": policy}}
        for name, policy in listed.items()
    ]
    there = Machine(nft=heads, saved={f"iptables-{store}-save": f"*{table}\n:FORWARD DROP [0:0]\n{SPECIFIC}COMMIT\n"})
    there.legacy = {4: [table]} if store == "legacy" else {}
    (step,) = plan.measures(there.foreign, NOTHING, STATE, {}).last
    for command in (*step.commands(), *step.undo()[0].commands()):
        assert command.startswith(f"iptables-{store}-restore --noflush -w 10 <<'EOF'\n*{table}\n")
    assert f"-A FORWARD -o br-blue {MARK} -j ACCEPT\n-A FORWARD -i br-blue" in step.commands()[0]


def test_rules_of_our_back_end_that_come_before_are_counted() -> None:
    (text,) = commands(let_through(filtering(SPECIFIC + LAST), jumps={BASE: 1}).last)
    assert f"-I FORWARD 4 -o br-blue {MARK} -j ACCEPT\n-I FORWARD 5 -i br-blue" in text
    behind = f"-A FORWARD {MARK} -j DLN-FOREIGN\n"
    there = JUMP + SPECIFIC + OURS_THERE + LAST + behind
    assert let_through(filtering(there, chains=":DLN-FORWARD - [0:0]\n"), jumps={BASE: 1}).last == []


@pytest.mark.parametrize("inside", ["", LOG + ANSWERS, "-A FORWARD -p udp --dport 9000 -j DROP\n"])
def test_a_chain_that_the_host_itself_drops_by_as_well_stays_as_it_is(inside: str) -> None:
    """Ours come before the jump to it, unless it decides more than how to drop."""
    calls = "-A INPUT -j NO\n" + SPECIFIC + "-A FORWARD -j NO\n"
    there = calls + (inside + LAST).replace("FORWARD", "NO")
    found = let_through(filtering(there, chains=":INPUT ACCEPT [0:0]\n:NO - [0:0]\n"))
    if "dport" in inside:
        assert found.last == [] and found.passed == set()
    else:
        (text,) = commands(found.last)
        assert f"-I FORWARD 3 -o br-blue {MARK} -j ACCEPT\n-I FORWARD 4 -i br-blue" in text
        assert found.passed == {(BASE, way) for way in WAYS}


def test_a_drop_that_was_put_before_our_jump_is_passed_by_the_run_that_moves_the_jump() -> None:
    found = let_through(filtering(LAST + JUMP, chains=":DLN-FORWARD - [0:0]\n"), jumps={BASE: 1})
    assert f"-I FORWARD 2 -o br-blue {MARK} -j ACCEPT\n-I FORWARD 3 -i br-blue" in commands(found.last)[0]
    assert found.passed == {(BASE, way) for way in WAYS}


def test_a_last_jump_of_ours_that_rules_of_others_came_behind_is_counted_while_it_stays() -> None:
    there = filtering(JUMP + SPECIFIC + f"-A FORWARD {MARK} -j DLN-FOREIGN\n" + LAST, chains=":DLN-FORWARD - [0:0]\n")

    stays = let_through(there, replace(STATE, drop_transit=frozenset((4,))), jumps={BASE: 1})
    goes = let_through(there, jumps={BASE: 1})

    assert "-I FORWARD 5 -o br-blue" in commands(stays.last)[0]
    assert "-I FORWARD 4 -o br-blue" in commands(goes.last)[0]


@pytest.mark.parametrize(
    ("rules", "policy"),
    [
        (SPECIFIC + OURS_THERE, "DROP"),
        (SPECIFIC + OURS_THERE + LAST, "ACCEPT"),
        (SPECIFIC + OURS_THERE + LOG + LAST, "ACCEPT"),
        (OURS_THERE + LAST + APPENDED, "ACCEPT"),
        (SPECIFIC + OURS_THERE + LAST + APPENDED, "DROP"),
    ],
)
def test_they_are_left_alone_once_they_are_in_place(rules: str, policy: str) -> None:
    machine = filtering(rules, policy)
    found = let_through(machine)
    assert (found.first, found.last, found.missing) == ([], [], set())
    assert found.passed == {(BASE, way) for way in WAYS} and len(machine.ran) == 3
    gone = let_through(machine, NOTHING)
    assert [line[:2] for line in commands(gone.first)[0].splitlines()[2:-2]] == ["-D", "-D"] and not gone.passed


@pytest.mark.parametrize(
    ("rules", "policy"),
    [
        (SPECIFIC, "ACCEPT"),
        (LAST + SPECIFIC, "ACCEPT"),  # somebody has cut everything off
        (SPECIFIC + LAST + SPECIFIC, "ACCEPT"),  # a drop that ours must not override
        (SPECIFIC + LAST + "-A FORWARD -j THEIRS\n-A THEIRS -s 10.9.9.9/32 -j DROP\n", "ACCEPT"),
        ("-A FORWARD -j ACCEPT\n" + LAST, "DROP"),
        ("-A FORWARD -i br-blue -j ACCEPT\n-A FORWARD -o br-blue -j ACCEPT\n" + LAST, "ACCEPT"),
        ("-A FORWARD -j ufw-before-forward\n", "DROP"),  # which has a place for this
        ("-A FORWARD -j FORWARD_ZONES\n", "DROP"),
    ],
)
def test_a_chain_that_does_not_drop_ours_at_its_end_is_left_alone(rules: str, policy: str) -> None:
    chains = "".join(
        f":{name} - [0:0]\n" for name in ("ufw-before-forward", "FORWARD_ZONES", "THEIRS") if name in rules
    )
    found = let_through(filtering(rules, policy, chains))
    assert (found.first, found.last, found.passed) == ([], [], set())
    # what an earlier run has put there goes
    found = let_through(filtering(rules + OURS_THERE, policy, chains))
    assert [line[:2] for line in commands(found.first)[0].splitlines()[2:-2]] == ["-D", "-D"] and not found.last


@pytest.mark.parametrize(("last", "policy"), [(LAST, "ACCEPT"), ("", "DROP")])
def test_what_cuts_everything_off_for_a_while_is_named_and_ours_stay_in_place(last: str, policy: str) -> None:
    machine = filtering("-A FORWARD -j DROP\n" + SPECIFIC + OURS_THERE + last, policy)
    found = let_through(machine)
    assert (found.first, found.last, found.passed) == ([], [], set())


def test_a_last_rule_in_another_chain_gets_ours_there_unless_the_host_itself_is_behind_it() -> None:
    inner = "-A FORWARD -j THEIRS\n-A THEIRS -s 10.9.9.9/32 -j DROP\n-A THEIRS -j DROP\n"
    machine = filtering(inner, chains=":INPUT ACCEPT [0:0]\n:THEIRS - [0:0]\n")
    (text,) = commands(let_through(machine).last)
    assert "-I THEIRS 2 -o br-blue" in text and "-I THEIRS 3 -i br-blue" in text
    (text,) = commands(let_through(filtering(inner + APPENDED, chains=":THEIRS - [0:0]\n")).last)
    assert "-I THEIRS 2 -o br-blue" in text and "-I THEIRS 3 -i br-blue" in text
    machine = filtering("-A INPUT -j THEIRS\n" + inner, chains=":INPUT ACCEPT [0:0]\n:THEIRS - [0:0]\n")
    assert let_through(machine).last == []


def test_nothing_is_opened_where_no_rule_of_ours_judges() -> None:
    for state in (
        FirewallState(ports=frozenset([PORT])),
        FirewallState(frozenset([replace(BLUE, internal=True)])),
        FirewallState(frozenset([replace(BLUE, subnets=(ip_network("fd00:20::/64"),))])),
    ):
        assert let_through(filtering(LAST), state).last == []


DOCKER = "-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j DOCKER\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n"
DOCKERS = ":DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n"


@pytest.mark.parametrize(("last", "policy", "verdict"), [("", "DROP", "RETURN"), (LAST, "ACCEPT", "DROP")])
def test_networks_of_docker_stay_closed_by_the_end_that_closes_them(last: str, policy: str, verdict: str) -> None:
    users = "-A DOCKER-USER -d 203.0.113.1/32 -j DROP\n-A DOCKER-USER -j RETURN\n"
    (text,) = commands(let_through(filtering(DOCKER + users + last, policy, DOCKERS)).last)
    assert [line.partition(" -m")[0].split()[-2:] for line in text.splitlines()[2:-2]] == [
        ["-o", "br-blue"],
        ["-o", "docker0"],
        ["-i", "br-blue"],
    ]
    assert f"-o docker0 {MARK} -j {verdict}\n" in text and "DOCKER-USER" not in text


THEIRS = {"family": "inet", "table": "theirs"}
ACCEPTS = {"accept": None}


def native(*rules: Any, policy: str = "drop", **more: Any) -> Machine:
    return Machine(nft=[chain("forward", policy, **THEIRS), *rules], **more)


def came_or_goes(key: str, *links: str) -> Any:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": {"set": list(links)}}}


def test_in_a_table_of_nft_rules_are_found_by_their_handles() -> None:
    http = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}
    specific = rule("forward", http, {"drop": None}, handle=7, **THEIRS)
    last = rule("forward", {"counter": None}, {"drop": None}, handle=9, **THEIRS)
    (text,) = commands(let_through(native(specific)).last)
    assert 'add rule inet theirs forward oifname { "br-blue" } accept comment "dockerless.network"\n' in text
    assert 'add rule inet theirs forward iifname { "br-blue" } accept comment "dockerless.network"\n' in text
    (text,) = commands(let_through(native(specific, last, policy="accept")).last)
    assert 'insert rule inet theirs forward handle 9 oifname { "br-blue" } accept' in text

    ours = [
        rule("forward", came_or_goes(key, "br-blue"), ACCEPTS, handle=n, comment="dockerless.network", **THEIRS)
        for n, key in ((20, "oifname"), (21, "iifname"))
    ]
    for machine in (native(specific, *ours), native(specific, *ours, last, policy="accept")):
        assert let_through(machine).last == [] and let_through(machine).passed
        (text,) = commands(let_through(machine, NOTHING).first)
        assert text.splitlines()[1:-1] == [f"delete rule inet theirs forward handle {n}" for n in (20, 21)]
    (text,) = commands(let_through(native(*ours, specific)).last)
    assert text.count("delete rule") == 2 and text.count("add rule") == 2


def test_a_table_with_an_owner_is_left_to_its_owner() -> None:
    found = let_through(native(owned=True))
    assert (found.first, found.last, found.passed, found.after) == ([], [], set(), {})


def test_undoing_finds_the_handles_that_the_kernel_has_given() -> None:
    class Kernel:
        ran: ClassVar[list[str]] = []

        def call(self, argv: Sequence[str]) -> tuple[int, str, str]:
            there = [
                rule("forward", ACCEPTS, handle=30, comment="dockerless.network", **THEIRS),
                rule("other", ACCEPTS, handle=31, comment="dockerless.network", **THEIRS),
                rule("forward", ACCEPTS, handle=32, **THEIRS),
            ]
            return 0, json.dumps({"nftables": there}), ""

        def execute(self, argv: Sequence[str], text: str) -> None:
            self.ran.append(text)

    (step,) = let_through(native()).last
    (undo,) = step.undo()
    undo.apply(Kernel())  # type: ignore[arg-type]
    assert Kernel.ran == ["delete rule inet theirs forward handle 30\n"]


# ---- firewalld


def zone_rules(**zones: str) -> list[Any]:
    place = {"family": "inet", "table": "firewalld"}
    listed = [chain("filter_FORWARD", "accept", **place), chain("filter_FORWARD_ZONES", **place)]
    listed += [chain("filter_FWD_" + zone, **place) for zone in ("public", "trusted", "block", "dockerless")]
    listed += [rule("filter_FORWARD", jump("filter_FORWARD_ZONES"), **place)]
    for bridge, zone in zones.items():
        goto = {"goto": {"target": "filter_FWD_" + zone}}
        listed.append(rule("filter_FORWARD_ZONES", came_by(bridge.replace("_", "-")), goto, **place))
    listed.append(rule("filter_FORWARD_ZONES", {"goto": {"target": "filter_FWD_public"}}, **place))
    return [*listed, rule("filter_FWD_public", {"reject": None}, **place)]


def firewalld(machine: Machine, state: FirewallState = STATE, **more: Any) -> Measures:
    return planned(Firewalld(machine.foreign), state, **more)


def test_firewalld_has_our_bridges_in_its_trusted_zone_now_and_in_ours_later() -> None:
    found = firewalld(Machine(zone_rules()))
    assert [type(step).__name__ for step in found.last] == ["WriteFile", "RunTool"] and found.first == []
    assert commands(found.last)[-1] == "firewall-cmd --zone=trusted --change-interface=br-blue"
    assert found.after == {"firewalld": {"ours": ["interface br-blue"]}} and found.before == {"firewalld": None}
    (undo,) = found.last[-1].undo()
    assert undo.commands() == ["firewall-cmd --zone=trusted --remove-interface=br-blue"]
    text = found.last[0].text  # type: ignore[attr-defined]
    assert '<zone target="ACCEPT">' in text and '  <interface name="br-blue"/>\n</zone>' in text

    for zone in ("trusted", "dockerless"):
        machine = Machine(zone_rules(br_blue=zone), files={ZONE_FILE: text})
        again = firewalld(machine)
        assert again.first == again.last == [] and not again.missing
        assert (("nft", "inet", "firewalld", "filter_FORWARD"), OUT) in again.passed
        assert not [command for command in machine.ran if command.startswith("firewall-cmd")]
        gone = firewalld(machine, NOTHING)
        assert commands(gone.first)[0].startswith("rm -f") and gone.last == []
        assert commands(gone.first)[1:] == [f"firewall-cmd --zone={zone} --remove-interface=br-blue"]


@pytest.mark.parametrize("rights", [(65534, 0o644), (0, 0o666)])
def test_the_file_of_our_zone_is_written_anew_if_it_is_in_other_hands(rights: tuple[int, int]) -> None:
    """Who may write to it decides what firewalld lets pass."""
    text = firewalld(Machine(zone_rules())).last[0].text  # type: ignore[attr-defined]
    machine = Machine(zone_rules(br_blue="trusted"), files={ZONE_FILE: text}, rights={ZONE_FILE: rights})

    found = firewalld(machine)
    (step,) = found.last
    assert step.commands()[0] == f"rm -f {ZONE_FILE}" and step.text == text  # type: ignore[attr-defined]
    assert found.before != found.after and found.after["firewalld"]["done"] == [f"write {ZONE_FILE}"]  # type: ignore[index]

    machine.rights = {ZONE_FILE: (0, 0o644)}
    again = firewalld(machine)
    assert again.last == [] and again.before == again.after


def test_a_bridge_in_a_zone_of_somebodys_choice_stays_there() -> None:
    found = firewalld(Machine(zone_rules(br_blue="block")))
    assert found.first == found.last == [] and not found.passed


def test_our_zone_goes_although_firewalld_is_not_running() -> None:
    text = firewalld(Machine(zone_rules())).last[0].text  # type: ignore[attr-defined]
    gone = firewalld(Machine(files={ZONE_FILE: text}), NOTHING)
    assert commands(gone.first) == ["rm -f /etc/firewalld/zones/dockerless.xml"]
    assert firewalld(Machine()).last == []


def test_firewalld_itself_is_asked_when_its_rules_are_not_understood() -> None:
    place = {"family": "inet", "table": "firewalld"}
    machine = Machine([chain("filter_FORWARD", "accept", **place)], zones={"br-blue": "trusted"})
    found = firewalld(machine)
    assert [type(step).__name__ for step in found.last] == ["WriteFile"]
    assert "firewall-cmd --get-zone-of-interface=br-blue" in machine.ran


def test_an_internal_network_stays_in_the_default_zone() -> None:
    assert firewalld(Machine(zone_rules()), FirewallState(frozenset([replace(BLUE, internal=True)]))).last == []


# ---- ufw

TUPLE = "### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 %s_br-blue comment=%s\n-A ufw-user-forward ...\n"
OURS = b"dockerless.network".hex()


def ufw(rules: str = "", active: bool = True) -> Machine:
    listed = [chain("FORWARD", "drop"), chain("ufw-user-forward"), rule("FORWARD", jump("ufw-user-forward"))]
    return Machine(listed if active else [], files={UFW_RULES: "*filter\n%sCOMMIT\n" % rules})


def routed(machine: Machine, state: FirewallState = STATE, **more: Any) -> Measures:
    return planned(Ufw(machine.foreign), state, **more)


def test_ufw_routes_for_our_bridges() -> None:
    add = ["ufw route allow %s on br-blue comment dockerless.network" % way for way in ("in", "out")]
    found = routed(ufw())
    assert commands(found.last) == add and found.missing
    assert commands(found.last[0].undo()) == ["ufw route delete allow in on br-blue"]
    there = "".join(TUPLE % (way, OURS) for way in ("in", "out"))
    again = routed(ufw(there))
    assert again.first == again.last == [] and again.passed and not again.missing
    for state, active in ((NOTHING, True), (NOTHING, False), (STATE, False)):
        gone = routed(ufw(there, active), state)
        assert commands(gone.first) == ["ufw route delete allow %s on br-blue" % way for way in ("in", "out")]
    assert not routed(Machine()).last


def test_a_route_of_the_users_in_ufw_stays_the_users() -> None:
    theirs = TUPLE.replace(" comment=%s", "") % "in" + TUPLE % ("out", "abcd")
    assert routed(ufw(theirs)).last == [] and routed(ufw(theirs), NOTHING).first == []


def test_ufw_would_open_networks_of_docker_and_is_not_asked_to() -> None:
    machine = filtering(DOCKER + "-A FORWARD -j ufw-user-forward\n", "DROP", DOCKERS + ":ufw-user-forward - [0:0]\n")
    machine.files[UFW_RULES] = ""
    result = Measures()
    forward.plan(machine.foreign, Ours(STATE), result)
    Ufw(machine.foreign).plan(Ours(STATE), result)
    assert [command.split()[0] for command in commands(result.last)] == ["iptables-nft-restore"]


# ---- who is loaded


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(), ""),
        (Machine([chain("FORWARD", "drop")]), "forward"),
        (Machine([chain("pre", "accept", kind="nat")]), ""),
        (Machine(legacy={6: ["filter"]}), "forward"),
        (Machine(zone_rules()), "firewalld forward"),
        (Machine(files={ZONE_FILE: ""}), "firewalld"),
        (ufw(), "forward ufw"),
        (ufw(active=False), "ufw"),
    ],
)
def test_only_a_firewall_that_may_be_there_is_loaded(machine: Machine, expected: str) -> None:
    found = [load().__module__.rpartition(".")[2] for is_there, load in plan.FIREWALLS if is_there(machine.foreign)]

    assert found == expected.split()


def test_what_is_there_is_planned_for_all_of_them() -> None:
    machine = ufw()
    machine.nft.append(chain("f", "drop", "inet", "theirs"))
    found = plan.measures(machine.foreign, NOTHING, STATE, {})

    assert [command.split()[0] for command in commands(found.last)] == ["nft", "ufw", "ufw"]
    assert set(found.after) == {"chain f of table inet theirs", "ufw"}


# ---- what is said


def told(there: Foreign, state: FirewallState, variant: str = "", passed: Any = ()) -> list[str]:
    """The obstacles that are reported with our rules in nftables, or in a variant of iptables."""
    backend: Backend = NftablesBackend(there.netfilter)
    if variant:
        backend = IptablesBackend(there.netfilter, variant)
    return obstacles(there, state, backend, Around(lambda: ["eth0"], {}), passed)


@pytest.mark.parametrize(
    ("policy", "ways"),
    [
        ({}, ""),
        ({"direct_access": True}, "from eth0 to br-blue"),
        ({"trusted_interfaces": ("tun1", "tun0")}, "from tun0 to br-blue, from tun1 to br-blue"),
        ({"allow": (Flow(ip_network("192.0.2.7/32"), ip_network("10.20.0.2/32")),)}, "from eth0 to br-blue"),
        ({"allow": (Flow(ip_network("10.20.0.3/32"), ip_network("10.20.0.2/32")),)}, ""),
    ],
)
def test_what_is_open_on_purpose_and_closed_by_others(policy: dict[str, Any], ways: str) -> None:
    state = FirewallState(frozenset([replace(BLUE, **policy)]), ports=frozenset([PORT]))
    there = Machine(zone_rules(br_blue="trusted")).foreign
    passed = {(("nft", "inet", "firewalld", "filter_FORWARD"), way) for way in (OUT, PUBLISHED)}
    sentence = (
        "chain filter_FORWARD of table inet firewalld (reject in chain filter_FWD_public) drops what our rules accept;"
    )
    belongs = "it belongs to firewalld"
    passes = [f"{sentence} let it accept what passes {ways}; {belongs}"] if ways else []
    assert told(there, state, passed=passed) == passes
    # where the whole bridge is closed there is no more to say of it
    zone = "--zone=trusted --change-interface=br-blue"
    remedy = "put br-blue into firewalld's zone trusted, where firewalld accepts everything that comes from it, also to"
    remedy += " this host, and leaves the rest to the rules of this collection: "
    remedy += f"firewall-cmd --permanent {zone} && firewall-cmd {zone}"
    assert told(there, state) == [f"{sentence} let it accept what enters or leaves br-blue; {belongs}, so {remedy}"]

    # a command for a bridge that is still to be made has a place for its name
    [before] = told(Machine(zone_rules()).foreign, NOTHING)
    assert "what enters or leaves our bridges; " in before
    assert before.endswith("firewall-cmd --zone=trusted --change-interface=BRIDGE")

    # a zone that accepts what comes by the uplink
    open_there = Machine(zone_rules(eth0="trusted", tun0="trusted", tun1="trusted")).foreign
    assert told(open_there, state, passed=passed) == []


def test_a_host_of_our_own_costs_one_listing_of_chains() -> None:
    machine = Machine([chain("forward", "accept", "inet", "dockerless")])
    session = FirewallSession(machine.netfilter)
    found = session.foreign
    assert found.is_alone() and found.tables() == [] and told(found, STATE) == []
    assert session.port_holder(PORT, set) == ""
    assert machine.ran == ["nft -j list chains"]


def test_one_sentence_for_each_chain_that_is_in_the_way() -> None:
    nft = [chain("forward", "drop", "inet", "theirs"), chain("FORWARD", "drop", "ip6"), chain("f", "accept", "ip")]
    red = BridgePolicy("br-red", (ip_network("10.21.0.0/24"),))
    state = FirewallState(frozenset([BLUE, red]), ports=frozenset([PORT]))
    assert told(Machine(nft).foreign, state) == [
        "chain forward of table inet theirs (policy drop) drops what our rules accept;"
        " let it accept what enters or leaves br-blue, br-red"
    ]
    # nobody's networks: whoever makes one will want to know
    assert [text.partition(" (")[0] for text in told(Machine(nft).foreign, NOTHING)] == [
        "chain forward of table inet theirs",
        "chain FORWARD of table ip6 filter",
    ]
    internal = FirewallState(frozenset([replace(BLUE, internal=True)]))
    assert told(Machine(nft).foreign, internal) == []


NAT = """*nat
:DOCKER - [0:0]
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -d 192.0.2.9/32 -i eth1 -p tcp -m tcp --dport 9000:9009 -j DNAT --to-destination 172.17.0.3
-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
COMMIT
"""


def test_whose_table_translates() -> None:
    translates = {"xt": {"type": "target", "name": "MASQUERADE"}}
    place: dict[str, Any] = {"table": "nat"}
    nft = [chain("POSTROUTING", "accept", kind="nat", **place), rule("POSTROUTING", translates, **place)]
    for more, whose in (([], ""), ([chain("DOCKER", **place)], " (Docker)")):
        session = FirewallSession(Machine([*nft, *more]).netfilter)
        assert session.foreign_nat(4) == f"table ip nat{whose} translates addresses"


def test_who_has_a_port() -> None:
    target = {"xt": {"type": "target", "name": "DNAT"}}
    nft = [chain("PREROUTING", "accept", table="nat", kind="nat"), rule("PREROUTING", target, table="nat")]
    machine = Machine(nft, saved={"iptables-nft-save": NAT})
    session = FirewallSession(machine.netfilter)
    local = {ip_address("192.0.2.9").packed}

    def holder(addresses: set[bytes] | None = None, **options: Any) -> str:
        return session.port_holder(replace(PORT, **options), lambda: local if addresses is None else addresses)

    assert holder() == "chain DOCKER of table ip nat (Docker) leads it to 172.17.0.2:80"
    assert holder(protocol="udp") == "" and holder(in_interfaces=("docker0",)) == ""
    assert holder(container_ip=ip_address("fd00::1")) == "" and holder(host_ports=PortRange(8081, 8081)) == ""
    there = PortRange(9005, 9005)
    assert holder(host_ports=there).endswith("leads it to 172.17.0.3")
    assert holder(host_ports=there, host_ip=ip_address("192.0.2.8")) == "" and holder(set(), host_ports=there) == ""
    assert holder(host_ports=there, in_interfaces=("eth0",)) == ""
    assert machine.ran.count("iptables-nft-save -t nat") == 1


def test_both_kinds_of_translation() -> None:
    machine = Machine(saved={"iptables-legacy-save": NAT}, legacy={4: ["nat"]})
    assert told(machine.foreign, STATE) == []
    state = replace(STATE, masquerades=frozenset([Masquerade(ip_network("10.20.0.0/24"))]))
    (sentence,) = told(machine.foreign, state)
    assert sentence.startswith(
        "this collection (back-end nftables) (nf_tables) and legacy iptables table nat (legacy) both translate IPv4"
    )
    assert told(machine.foreign, state, "legacy") == []
