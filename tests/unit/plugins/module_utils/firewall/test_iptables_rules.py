# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from golden_states import STATES

from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.names import LAST
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.text import Ruleset, parse
from ansible_collections.dockerless.network.plugins.module_utils.firewall.save_text import text_of
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Flow,
    InvalidRequest,
    Masquerade,
    OutInterface,
    PortRange,
    PublishedPort,
)

BLUE = BridgePolicy("br-blue", (ip_network("10.20.0.0/24"),), network="blue")
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80, bridge="br-blue", network="blue")
EGRESS = Masquerade(ip_network("10.20.0.0/24"), OutInterface("br-blue", inverted=True), network="blue")


def state(*parts: Any, drop_foreign: bool = False, **others: Any) -> FirewallState:
    def kind(wanted: type) -> frozenset[Any]:
        return frozenset(part for part in parts if isinstance(part, wanted))

    return FirewallState(kind(BridgePolicy), kind(Masquerade), kind(PublishedPort), drop_foreign, **others)


def chain(rulesets: dict[int, Ruleset], table: str, name: str, version: int = 4) -> list[str]:
    return [text_of(rule) for rule in rulesets[version].chains.get((table, name), ())]


def jumps(rulesets: dict[int, Ruleset], version: int = 4) -> set[str]:
    return {f"{jump.table} {jump.chain} {text_of(jump.rule)}" for jump in rulesets[version].jumps}


def identical(wanted: FirewallState) -> FirewallState:
    """The state after it has been text."""
    dumps = {}
    for version, rules in layout.render(wanted).items():
        lines = [f"*{table}\n:{name} - [0:0]" for table, name in rules.chains]
        lines += [
            f"*{table}\n-A {name} {text_of(rule)}" for (table, name), each in rules.chains.items() for rule in each
        ]
        dumps[version] = parse("\n".join(lines))
        assert dumps[version].chains == rules.chains
    return layout.parse(dumps)


# --- policies


def test_a_network() -> None:
    rules = layout.render(state(BLUE))

    assert chain(rules, "mangle", "DLN-GUARD") == [
        "-i lo -j RETURN",
        "-d 127.0.0.0/8 -j DROP",
        "-m conntrack --ctdir REPLY -j RETURN",
        "-d 10.20.0.0/24 ! -i br-blue -j DLN-DIRECT",
    ]
    assert chain(rules, "mangle", "DLN-DIRECT") == ["-j DLN-USER", "-d 10.20.0.0/24 -j DROP", "-j DROP"]
    assert chain(rules, "mangle", "DLN-USER") == chain(rules, "filter", "DLN-USER") == []
    assert chain(rules, "filter", "DLN-TO-USER") == ["-i br-blue -g DLN-USER", "-o br-blue -g DLN-USER"]
    assert chain(rules, "filter", "DLN-FORWARD") == [
        "-j DLN-TO-USER",
        "-m conntrack --ctstate INVALID -j DLN-INVALID",
        '-o br-blue -m comment --comment "network=blue" -g DLN-INTO-br-blue',
    ]
    assert chain(rules, "filter", "DLN-INVALID") == ["-i br-blue ! -o br-blue -j DROP"]
    assert chain(rules, "filter", "DLN-INTO-br-blue") == [
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        "-m conntrack --ctstate DNAT -j RETURN",
        "-i br-blue -j RETURN",
        "-j DROP",
    ]
    assert jumps(rules) == {
        'mangle PREROUTING -m comment --comment "dockerless.network" -j DLN-GUARD',
        'filter FORWARD -m comment --comment "dockerless.network" -j DLN-FORWARD',
    }
    assert not rules[6]


@pytest.mark.parametrize("version", [4, 6])
def test_nothing_is_accepted_before_the_rules_of_others_have_had_their_say(version: int) -> None:
    for wanted in STATES.values():
        rules = layout.render(wanted)[version].chains
        assert not [where for where, found in rules.items() for rule in found if "ACCEPT" in rule]


def test_an_internal_network_lets_nothing_in_or_out_whatever_else_it_allows() -> None:
    flow = Flow(ip_network("0.0.0.0/0"), ip_network("10.20.0.1/32"))
    policy = dataclasses.replace(BLUE, internal=True, direct_access=True, trusted_interfaces=("wg0",), allow=(flow,))
    rules = layout.render(state(policy))

    assert chain(rules, "mangle", "DLN-GUARD")[3:] == ["-d 10.20.0.0/24 ! -i br-blue -j DLN-DIRECT"]
    assert chain(rules, "filter", "DLN-FORWARD")[1] == "-i br-blue ! -o br-blue -j DROP"
    assert chain(rules, "filter", "DLN-INTO-br-blue")[0] == "! -i br-blue -j DROP"
    assert identical(state(policy)) == state(policy)


def test_trusted_interfaces_and_direct_access() -> None:
    trusting = dataclasses.replace(BLUE, trusted_interfaces=("wg0", "eth1"))
    open_to_all = dataclasses.replace(BLUE, direct_access=True)

    rules = layout.render(state(trusting))
    assert chain(rules, "mangle", "DLN-GUARD")[-3:] == [
        "-d 10.20.0.0/24 -i wg0 -j RETURN",
        "-d 10.20.0.0/24 -i eth1 -j RETURN",
        "-d 10.20.0.0/24 ! -i br-blue -j DLN-DIRECT",
    ]
    assert "-i wg0 -j RETURN" in chain(rules, "filter", "DLN-INTO-br-blue")
    rules = layout.render(state(open_to_all))
    assert chain(rules, "mangle", "DLN-GUARD")[-1] == "-d 10.20.0.0/24 ! -i br-blue -j RETURN"
    assert "! -i br-blue -j RETURN" in chain(rules, "filter", "DLN-INTO-br-blue")


def test_without_icc_only_flows_pass_and_neighbours_still_find_each_other() -> None:
    policy = dataclasses.replace(
        BLUE,
        subnets=(ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")),
        icc=False,
        allow=(
            Flow(ip_network("10.20.0.2/32"), ip_network("10.20.0.3/32"), "tcp", PortRange(80, 90)),
            Flow(ip_network("0.0.0.0/0"), ip_network("10.20.0.4/32"), "udp"),
            Flow(ip_network("::/0"), ip_network("::/0")),
        ),
    )
    rules = layout.render(state(policy))

    assert chain(rules, "mangle", "DLN-GUARD")[3:] == [
        "-s 10.20.0.2/32 -d 10.20.0.3/32 -p tcp -m tcp --dport 80:90 -j RETURN",
        "-d 10.20.0.4/32 -p udp -j RETURN",
        "-d 10.20.0.0/24 ! -i br-blue -j DLN-DIRECT",
    ]
    assert chain(rules, "filter", "DLN-INTO-br-blue")[2:] == [
        "-s 10.20.0.2/32 -d 10.20.0.3/32 -p tcp -m tcp --dport 80:90 -j RETURN",
        "-d 10.20.0.4/32 -p udp -j RETURN",
        "-j DROP",
    ]
    assert chain(rules, "filter", "DLN-INTO-br-blue", 6)[2:] == [
        "-i br-blue -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN",
        "-i br-blue -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j RETURN",
        "-j RETURN",
        "-j DROP",
    ]
    assert chain(rules, "filter", "DLN-OUTPUT") == ["-o br-blue -p icmp -m icmp --icmp-type 5 -j DROP"]
    assert chain(rules, "filter", "DLN-OUTPUT", 6) == ["-o br-blue -p ipv6-icmp -m icmp6 --icmpv6-type 137 -j DROP"]
    assert identical(state(policy)) == state(policy)


def test_no_access_to_the_host() -> None:
    rules = layout.render(state(dataclasses.replace(BLUE, host_access=False)))

    assert chain(rules, "filter", "DLN-INPUT") == ["-i br-blue -j DLN-HOST"]
    assert chain(rules, "filter", "DLN-HOST") == [
        "-m conntrack --ctdir REPLY -j RETURN",
        "-p icmp -m icmp --icmp-type 8 -j RETURN",
        "-i br-blue -j DROP",
        "-j DROP",
    ]


def test_once_one_network_has_ipv6_all_are_closed_for_it() -> None:
    six = BridgePolicy("br-six", (ip_network("fd00:6::/64"),))
    rules = layout.render(state(BLUE, six))

    assert chain(rules, "filter", "DLN-INTO-br-blue", 6)[-1] == "-j DROP"
    assert chain(rules, "filter", "DLN-INTO-br-six", 4)[-1] == "-j DROP"
    assert chain(rules, "mangle", "DLN-GUARD", 6) == [
        "-i lo -j RETURN",
        "-m conntrack --ctdir REPLY -j RETURN",
        "-d fd00:6::/64 ! -i br-six -j DLN-DIRECT",
    ]
    assert identical(state(BLUE, six)) == state(BLUE, six)


# --- masquerades


def test_masquerades_are_asked_most_specific_first() -> None:
    rules = layout.render(
        state(
            Masquerade(ip_network("10.0.0.0/8")),
            Masquerade(ip_network("10.20.0.0/24"), to_source=ip_address("192.0.2.7"), random_fully=True),
            Masquerade(ip_network("10.20.0.0/24"), OutInterface("eth0"), exclude=(ip_network("10.0.0.0/8"),)),
            EGRESS,
        )
    )

    assert chain(rules, "nat", "DLN-EGRESS") == [
        "-s 10.20.0.0/24 -d 10.0.0.0/8 -o eth0 -j RETURN",
        "-s 10.20.0.0/24 -o eth0 -j MASQUERADE",
        '-s 10.20.0.0/24 ! -o br-blue -m comment --comment "network=blue" -j MASQUERADE',
        "-s 10.20.0.0/24 -j SNAT --to-source 192.0.2.7 --random-fully",
        "-s 10.0.0.0/8 -j MASQUERADE",
    ]


def test_strays_of_translated_connections_are_not_answered() -> None:
    rules = layout.render(state(EGRESS))

    assert chain(rules, "filter", "DLN-STRAYS") == ["-m socket --nowildcard -j RETURN", "-j DROP"]
    assert jumps(rules) == {
        'nat POSTROUTING -m comment --comment "dockerless.network" -j DLN-EGRESS',
        'filter INPUT -p tcp -m conntrack --ctstate INVALID -m comment --comment "dockerless.network" -j DLN-STRAYS',
    }


# --- ports


def test_a_published_port() -> None:
    rules = layout.render(state(WEB))
    rule = '-p tcp -m tcp --dport 8080 -m comment --comment "bridge=br-blue network=blue" -j DNAT'

    assert chain(rules, "nat", "DLN-PUBLISH") == [f"{rule} --to-destination 10.20.0.2:80"]
    assert chain(rules, "nat", "DLN-PUBLISH-IN") == ["-j DLN-PUBLISH"]
    assert chain(rules, "nat", "DLN-PUBLISH-OUT") == ["-j DLN-PUBLISH"]
    assert chain(rules, "nat", "DLN-HAIRPIN") == [
        "-m conntrack ! --ctstate DNAT -j RETURN",
        "-i br-blue -o br-blue -j MASQUERADE",
        "-s 127.0.0.0/8 -o br-blue -j MASQUERADE",
        "-s 10.20.0.2/32 -d 10.20.0.2/32 -o br-blue -j MASQUERADE",
    ]
    assert chain(rules, "raw", "DLN-LOOPBACK") == ["-d 127.0.0.0/8 ! -i lo -j DROP"]
    assert jumps(rules) == {
        'raw PREROUTING -m comment --comment "dockerless.network" -j DLN-LOOPBACK',
        'nat PREROUTING -m addrtype --dst-type LOCAL -m comment --comment "dockerless.network" -j DLN-PUBLISH-IN',
        'nat OUTPUT -m addrtype --dst-type LOCAL -m comment --comment "dockerless.network" -j DLN-PUBLISH-OUT',
        'nat POSTROUTING -m comment --comment "dockerless.network" -j DLN-HAIRPIN',
    }


@pytest.mark.parametrize(
    ("first", "last", "to", "container", "printed"),
    [
        (80, 80, "10.20.0.2", 80, "10.20.0.2"),
        (8080, 8080, "10.20.0.2", 80, "10.20.0.2:80"),
        (8000, 8010, "10.20.0.2", 8000, "10.20.0.2"),
        (8000, 8010, "10.20.0.2", 80, "10.20.0.2:80-90/8000"),
        (80, 80, "fd00:20::2", 80, "fd00:20::2"),
        (8080, 8080, "fd00:20::2", 80, "[fd00:20::2]:80"),
        (8000, 8010, "fd00:20::2", 80, "[fd00:20::2]:80-90/8000"),
        (80, 80, "::ffff:192.0.2.1", 81, "[::ffff:192.0.2.1]:81"),
    ],
)
def test_where_a_port_leads(first: int, last: int, to: str, container: int, printed: str) -> None:
    port = PublishedPort("udp", PortRange(first, last), ip_address(to), container)
    rules = layout.render(state(port))

    [rule] = chain(rules, "nat", "DLN-PUBLISH", port.container_ip.version)

    assert rule.endswith(f" -j DNAT --to-destination {printed}")
    assert identical(state(port)) == state(port)


def test_a_port_on_one_address_is_for_its_interface_and_our_links() -> None:
    rules = layout.render(state(dataclasses.replace(WEB, host_ip=ip_address("192.0.2.1"), network="")))

    assert chain(rules, "nat", "DLN-PUBLISH-AT") == [
        '-d 192.0.2.1/32 -p tcp -m tcp --dport 8080 -m comment --comment "bridge=br-blue" '
        "-j DNAT --to-destination 10.20.0.2:80"
    ]
    assert chain(rules, "nat", "DLN-PUBLISH-IN") == [
        "-m addrtype --dst-type LOCAL --limit-iface-in -j DLN-PUBLISH-AT",
        "-m devgroup --src-group 0x646c -j DLN-PUBLISH-AT",
    ]
    assert chain(rules, "nat", "DLN-PUBLISH-OUT") == ["-j DLN-PUBLISH-AT"]


def test_limits_are_for_others_and_not_for_the_host() -> None:
    port = dataclasses.replace(
        WEB,
        allowed_sources=(ip_network("192.0.2.0/25"), ip_network("198.51.100.1/32")),
        in_interfaces=("eth0", "eth1"),
        bridge="",
        network="",
    )
    rules = layout.render(state(port))
    service = "-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.20.0.2:80"

    assert chain(rules, "nat", "DLN-PUBLISH-IN") == [
        f"-s 192.0.2.0/25 -i eth0 {service}",
        f"-s 198.51.100.1/32 -i eth0 {service}",
        f"-s 192.0.2.0/25 -i eth1 {service}",
        f"-s 198.51.100.1/32 -i eth1 {service}",
    ]
    assert chain(rules, "nat", "DLN-PUBLISH-OUT") == [service]
    assert identical(state(port)) == state(port)


def test_allowed_sources_of_a_port_on_one_address() -> None:
    port = dataclasses.replace(
        WEB, host_ip=ip_address("192.0.2.1"), allowed_sources=(ip_network("192.0.2.0/25"),), bridge="", network=""
    )
    rules = layout.render(state(port))
    match, to = "-s 192.0.2.0/25 -d 192.0.2.1/32 -p tcp -m tcp --dport 8080", "-j DNAT --to-destination 10.20.0.2:80"

    assert chain(rules, "nat", "DLN-PUBLISH-IN") == [
        f"{match} -m addrtype --dst-type LOCAL --limit-iface-in {to}",
        f"{match} -m devgroup --src-group 0x646c {to}",
    ]
    assert identical(state(port)) == state(port)


def test_ipv6_leaves_out_what_cannot_be_forwarded() -> None:
    rules = layout.render(
        state(PublishedPort("tcp", PortRange(80, 80), ip_address("fd00:20::2"), 80, bridge="br-blue"))
    )
    mark = '-m comment --comment "dockerless.network"'

    assert not rules[4]
    assert chain(rules, "nat", "DLN-HAIRPIN", 6)[1:] == [
        "-i br-blue -o br-blue -j MASQUERADE",
        "-s fd00:20::2/128 -d fd00:20::2/128 -o br-blue -j MASQUERADE",
    ]
    assert jumps(rules, 6) == {
        f"nat PREROUTING ! -s fe80::/10 -m addrtype --dst-type LOCAL {mark} -j DLN-PUBLISH-IN",
        f"nat OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL {mark} -j DLN-PUBLISH-OUT",
        f"nat POSTROUTING {mark} -j DLN-HAIRPIN",
    }


# --- foreign traffic


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("outsiders", [[], ["eth0", "wg0"]])
def test_what_passes_between_links_of_others_is_read_back(drop: bool, outsiders: list[str]) -> None:
    wanted = state(drop_foreign=drop, drop_transit=frozenset([4]), outsiders=frozenset(outsiders))

    rules = layout.render(dataclasses.replace(wanted, outsiders=frozenset([*outsiders, "odd+"])))

    assert layout.parse(rules) == wanted
    named = [rule for rule in rules[4].chains["filter", "DLN-FOREIGN"] if "-i" in rule]
    assert named == [("-i", name, "-j", "DLN-TRANSIT") for name in outsiders]  # + is not for iptables to name


def test_drop_foreign_comes_last() -> None:
    rules = layout.render(state(drop_foreign=True))

    for version in (4, 6):
        assert chain(rules, "filter", "DLN-FOREIGN", version) == [
            "-m devgroup ! --src-group 0x646c ! --dst-group 0x646c -j DROP"
        ]
        assert [jump.target in LAST for jump in rules[version].jumps] == [True]


# --- what iptables cannot say


@pytest.mark.parametrize("name", ["br+", "!br", "-br", 'b"r', "b r"])
def test_names_that_iptables_would_misread_are_refused(name: str) -> None:
    for part in (
        dataclasses.replace(BLUE, bridge=name),
        dataclasses.replace(BLUE, trusted_interfaces=(name,)),
        dataclasses.replace(EGRESS, out=OutInterface(name)),
        dataclasses.replace(WEB, bridge=name),
        dataclasses.replace(WEB, in_interfaces=(name,)),
    ):
        with pytest.raises(InvalidRequest):
            layout.render(state(part))


def test_a_name_that_iptables_would_misread_is_refused_with_its_network() -> None:
    for part in (
        dataclasses.replace(BLUE, trusted_interfaces=("up+",)),
        dataclasses.replace(EGRESS, out=OutInterface("up+")),
        dataclasses.replace(WEB, in_interfaces=("up+",)),
    ):
        with pytest.raises(InvalidRequest) as refused:
            layout.render(state(part))
        assert str(refused.value) == (
            "network blue: iptables cannot name the interface up+; use a name without + ! quotes or spaces."
        )


def test_other_requests_without_a_rule_are_refused() -> None:
    four, six = ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")
    for flow in (Flow(four, six), Flow(four, four, "", PortRange(1, 2)), Flow(four, four, "icmp", PortRange(1, 2))):
        with pytest.raises(InvalidRequest):
            layout.render(state(dataclasses.replace(BLUE, allow=(flow,))))
    with pytest.raises(InvalidRequest, match="comment"):
        layout.render(state(dataclasses.replace(WEB, network="n" * 300)))
    with pytest.raises(InvalidRequest, match="same bridge"):
        layout.render(state(BLUE, dataclasses.replace(BLUE, icc=False)))


# --- what somebody changed by hand


def damaged(wanted: FirewallState, *places: tuple[str, str], version: int = 4) -> FirewallState:
    """The state that is read after these chains have been emptied."""
    rules = layout.render(wanted)
    chains = {where: () if where in places else each for where, each in rules[version].chains.items()}
    return layout.parse({**rules, version: Ruleset(chains, rules[version].jumps)})


def test_rules_that_we_would_not_write_say_nothing() -> None:
    strange = parse(
        "*nat\n"
        "-A DLN-PUBLISH -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1-10.0.0.9\n"
        "-A DLN-PUBLISH -p tcp -m multiport --dports 80,81 -j DNAT --to-destination 10.0.0.1\n"
        "-A DLN-PUBLISH-IN -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1\n"
        "-A DLN-EGRESS -s 10.0.0.0/255.0.255.0 -j MASQUERADE\n"
        "-A DLN-EGRESS -j LOG\n"
        "*mangle\n-A DLN-GUARD -j\n"
    )

    assert layout.parse({4: strange}) == FirewallState()


def test_a_limited_port_without_its_limits_does_not_come_back_open() -> None:
    port = dataclasses.replace(WEB, allowed_sources=(ip_network("192.0.2.0/25"),))

    assert damaged(state(port), ("nat", "DLN-PUBLISH-IN")) == FirewallState()
    assert damaged(state(port), ("nat", "DLN-PUBLISH-OUT")) == state(port)


def test_an_internal_network_stays_one_when_some_of_its_rules_are_gone() -> None:
    policy = dataclasses.replace(BLUE, internal=True)

    for place in (("filter", "DLN-FORWARD"), ("filter", "DLN-INTO-br-blue"), ("mangle", "DLN-GUARD")):
        [found] = damaged(state(policy), place).policies
        assert found.internal


def test_after_a_flush_a_network_keeps_its_subnet_and_its_endpoints_talk() -> None:
    flushed = [("filter", name) for name in ("DLN-FORWARD", "DLN-INVALID", "DLN-INTO-br-blue")]

    assert damaged(state(BLUE), *flushed) == state(dataclasses.replace(BLUE, network=""))


def test_where_the_families_differ_the_stricter_holds() -> None:
    both = dataclasses.replace(
        BLUE, subnets=(ip_network("10.20.0.0/24"), ip_network("fd00:20::/64")), trusted_interfaces=("wg0",)
    )
    rules = layout.render(state(both))
    closed = layout.render(
        state(dataclasses.replace(both, internal=True, icc=False, host_access=False, trusted_interfaces=()))
    )

    [found] = layout.parse({4: rules[4], 6: closed[6]}).policies

    assert found == dataclasses.replace(both, internal=True, icc=False, host_access=False, trusted_interfaces=())
