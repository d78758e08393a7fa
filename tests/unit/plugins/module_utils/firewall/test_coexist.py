# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we put into the places that other packet filters have for rules like ours, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import Backend, FirewallError
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist import plan
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.base import Measures, Ours
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.docker import DockerUser
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.firewalld import Firewalld
from ansible_collections.dockerless.network.plugins.module_utils.firewall.coexist.ufw import Ufw
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.obstacles import facts
from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign.reader import UFW_RULES, Foreign
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
    refused: str = ""  # a word that iptables-restore does not take
    files: dict[str, str] = field(default_factory=dict)
    legacy: dict[int, list[str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def run(self, argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        self.ran.append(" ".join(argv))
        if argv[0] == "nft":
            wanted = ("metainfo", "chain") if argv[-1] == "chains" else ("metainfo", "chain", "rule")
            listed = [item for item in [{"metainfo": {}}, *self.nft] if next(iter(item)) in wanted]
            return 0, json.dumps({"nftables": listed}), ""
        if argv[0] == "firewall-cmd":
            zone = self.zones.get(argv[1].partition("=")[2], "")
            return (0, zone + "\n", "") if zone else (2, "", "no zone")
        if "--test" in argv:
            return (1, "", "No such match") if self.refused and self.refused in (text or "") else (0, "", "")
        if argv[0] not in self.saved:
            raise FirewallError("no such program")
        return 0, self.saved[argv[0]], ""

    @property
    def netfilter(self) -> MemoryNetfilter:
        return MemoryNetfilter(self.run, self.legacy, self.files)

    @property
    def foreign(self) -> Foreign:
        return Foreign(self.netfilter)


def chain(name: str, policy: str = "", family: str = "ip", table: str = "filter", kind: str = "filter") -> Any:
    base = {"type": kind, "hook": "forward" if kind == "filter" else "prerouting", "policy": policy} if policy else {}
    return {"chain": {"family": family, "table": table, "name": name, **base}}


def rule(name: str, *expression: Any, family: str = "ip", table: str = "filter") -> Any:
    return {"rule": {"family": family, "table": table, "chain": name, "expr": list(expression)}}


def jump(target: str) -> Any:
    return {"jump": {"target": target}}


def came_by(link: str) -> Any:
    return {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": link}}


HOME = IptablesBackend(Machine().netfilter, "nft").home


def planned(place: Any, state: FirewallState = STATE, **more: Any) -> Measures:
    result = Measures()
    place.plan(Ours(state, **more), result)
    return result


def commands(steps: Sequence[Any]) -> list[str]:
    return [command for step in steps for command in step.commands()]


# ---- Docker

DOCKER = """*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
%s-A DOCKER-USER -j RETURN
COMMIT
"""
IN_PLACE = """-A DOCKER-USER -s 10.9.9.9/32 -j DROP
-A DOCKER-USER -o docker0 -m devgroup --src-group 0x646c -m comment --comment "dockerless.network" -j RETURN
-A DOCKER-USER -m devgroup --src-group 0x646c -m comment --comment "dockerless.network" -j ACCEPT
-A DOCKER-USER -m devgroup --dst-group 0x646c -m comment --comment "dockerless.network" -j ACCEPT
"""
THEIR_RULE = IN_PLACE.splitlines(keepends=True)[0]
MARK = '-m comment --comment "dockerless.network"'


def docker(rules: str = "", policy: str = "drop", **more: Any) -> Machine:
    listed = [chain("FORWARD", policy), chain("DOCKER-USER"), rule("FORWARD", jump("DOCKER-USER"))]
    return Machine(nft=listed, saved={"iptables-nft-save": DOCKER % rules}, **more)


def test_docker_lets_ours_through_behind_the_users_rules_and_before_the_end() -> None:
    found = planned(DockerUser(docker(THEIR_RULE).foreign))
    assert found.first == []
    assert commands(found.last) == [
        "iptables-nft-restore --noflush -w 10 <<'EOF'\n*filter\n"
        f"-I DOCKER-USER 2 -o docker0 -m devgroup --src-group 0x646c {MARK} -j RETURN\n"
        f"-I DOCKER-USER 3 -m devgroup --src-group 0x646c {MARK} -j ACCEPT\n"
        f"-I DOCKER-USER 4 -m devgroup --dst-group 0x646c {MARK} -j ACCEPT\n"
        "COMMIT\nEOF"
    ]
    assert found.before == {"chain DOCKER-USER of table ip filter": None}
    after = next(iter(found.after.values()))
    assert after is not None and len(after["ours"]) == 3
    (undo,) = found.last[0].undo()
    assert "-D DOCKER-USER -o docker0" in undo.commands()[0] and "-I" not in undo.commands()[0]


def test_docker_is_left_alone_once_our_rules_are_there() -> None:
    machine = docker(IN_PLACE)
    found = planned(DockerUser(machine.foreign))
    assert (found.first, found.last, found.missing) == ([], [], set())
    assert found.passed == {(("nft", "ip", "filter", "FORWARD"), way) for way in WAYS}
    assert machine.ran == ["nft -j list chains", "iptables-nft-save -t filter", "nft -j -t list ruleset"]


@pytest.mark.parametrize("state, policy", [(NOTHING, "drop"), (STATE, "accept")])
def test_our_rules_leave_docker_when_nothing_needs_them(state: FirewallState, policy: str) -> None:
    found = planned(DockerUser(docker(IN_PLACE, policy).foreign), state)
    assert found.last == [] and len(found.first) == 1
    (text,) = commands(found.first)
    assert text.count("-D DOCKER-USER") == 3 and "-I" not in text and "10.9.9.9" not in text
    assert planned(DockerUser(docker(THEIR_RULE, policy).foreign), state).first == []


def test_our_rules_behind_the_end_of_docker_user_are_put_right() -> None:
    machine = docker()
    text = machine.saved["iptables-nft-save"]
    late = "".join(IN_PLACE.splitlines(keepends=True)[1:])
    machine.saved["iptables-nft-save"] = text.replace("COMMIT", late + "COMMIT")
    (text,) = commands(planned(DockerUser(machine.foreign)).last)
    assert text.count("-D DOCKER-USER") == 3 and "-I DOCKER-USER 1 " in text


def test_without_the_match_for_groups_our_bridges_are_named() -> None:
    machine = docker(refused="devgroup")
    (text,) = commands(planned(DockerUser(machine.foreign)).last)
    assert "devgroup" not in text
    assert f"-I DOCKER-USER 1 -i br-blue -o docker0 {MARK} -j RETURN\n" in text
    assert f"-I DOCKER-USER 2 -i br-blue {MARK} -j ACCEPT\n-I DOCKER-USER 3 -o br-blue {MARK} -j ACCEPT\n" in text
    there = [line.replace("-I DOCKER-USER ", "-A DOCKER-USER ") for line in text.splitlines() if line.startswith("-I")]
    there = ["-A DOCKER-USER " + line.split(" ", 3)[3] + "\n" for line in there]
    assert planned(DockerUser(docker("".join(there), refused="devgroup").foreign)).last == []


def test_a_bridge_of_somebody_else_is_named_beside_the_group() -> None:
    (text,) = commands(planned(DockerUser(docker().foreign), adopted=("virbr0",)).last)
    assert "--src-group 0x646c" in text and f"-i virbr0 {MARK} -j ACCEPT" in text and f"-o virbr0 {MARK}" in text


def test_docker_user_is_not_used_where_our_own_chain_is_in_the_same_table() -> None:
    found = planned(DockerUser(docker(IN_PLACE).foreign), home=HOME)
    assert len(found.first) == 1 and found.last == []


def test_docker_user_that_nobody_jumps_to_helps_nobody() -> None:
    machine = docker()
    machine.saved["iptables-nft-save"] = machine.saved["iptables-nft-save"].replace("-A FORWARD -j DOCKER-USER\n", "")
    found = planned(DockerUser(machine.foreign))
    assert not found.passed and not found.last


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
    assert commands(found.last)[-1] == "firewall-cmd --zone=trusted --add-interface=br-blue"
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
    assert routed(ufw(there), home=HOME).first and not routed(Machine()).last


def test_a_route_of_the_users_in_ufw_stays_the_users() -> None:
    theirs = TUPLE.replace(" comment=%s", "") % "in" + TUPLE % ("out", "abcd")
    assert routed(ufw(theirs)).last == [] and routed(ufw(theirs), NOTHING).first == []


def test_ufw_has_no_say_where_docker_lets_ours_through() -> None:
    machine = docker(IN_PLACE, files={UFW_RULES: ""})
    machine.nft.append(chain("ufw-user-forward"))
    result = Measures()
    for place in (DockerUser(machine.foreign), Ufw(machine.foreign)):
        place.plan(Ours(STATE), result)
    assert result.last == []


# ---- who is loaded


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(), ""),
        (Machine([chain("FORWARD", "drop")]), ""),
        (docker(), "docker"),
        (Machine(legacy={6: ["filter"]}), "docker"),
        (Machine(zone_rules()), "firewalld"),
        (Machine(files={ZONE_FILE: ""}), "firewalld"),
        (ufw(), "ufw"),
        (ufw(active=False), "ufw"),
    ],
)
def test_only_a_firewall_that_may_be_there_is_loaded(machine: Machine, expected: str) -> None:
    found = [load().__module__.rpartition(".")[2] for is_there, load in plan.FIREWALLS if is_there(machine.foreign)]

    assert found == ([expected] if expected else [])


def test_what_is_there_is_planned_for_all_of_them() -> None:
    machine = docker(files=ufw().files)
    machine.nft.append(chain("ufw-user-forward"))
    found = plan.measures(machine.foreign, NOTHING, STATE, NftablesBackend(machine.netfilter), {})

    assert [command.split()[0] for command in commands(found.last)] == ["iptables-nft-restore"]
    assert set(found.after) == {"chain DOCKER-USER of table ip filter", "ufw"}


# ---- what is said


def told(there: Foreign, state: FirewallState, variant: str = "", passed: Any = ()) -> list[str]:
    """What is said with our rules in nftables, or in a variant of iptables."""
    backend: Backend = NftablesBackend(there.netfilter)
    if variant:
        backend = IptablesBackend(there.netfilter, variant)
    return facts(there, state, backend, lambda: ["eth0"], passed)


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
    assert told(there, state, passed=passed) == ([f"{sentence} let it accept what passes {ways}"] if ways else [])
    # where the whole bridge is closed there is no more to say of it
    assert told(there, state) == [f"{sentence} let it accept what enters or leaves br-blue"]

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


def test_our_own_chain_in_iptables_has_the_last_word_there() -> None:
    nft = [chain("FORWARD", "drop")]
    assert told(Machine(nft).foreign, STATE, "nft") == []
    assert len(told(Machine(nft).foreign, STATE)) == 1


NAT = """*nat
:DOCKER - [0:0]
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -d 192.0.2.9/32 -i eth1 -p tcp -m tcp --dport 9000:9009 -j DNAT --to-destination 172.17.0.3
-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
COMMIT
"""


def test_who_has_a_port() -> None:
    target = {"xt": {"type": "target", "name": "DNAT"}}
    nft = [chain("PREROUTING", "accept", table="nat", kind="nat"), rule("PREROUTING", target, table="nat")]
    machine = Machine(nft, saved={"iptables-nft-save": NAT})
    session = FirewallSession(machine.netfilter)
    local = {ip_address("192.0.2.9").packed}

    def holder(addresses: set[bytes] | None = None, **options: Any) -> str:
        return session.port_holder(replace(PORT, **options), lambda: local if addresses is None else addresses)

    assert holder() == "chain DOCKER of table ip nat leads it to 172.17.0.2:80"
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
