# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each module by itself: its objects come, change, are repaired and go, and those of others are left alone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from fleet import Host, Question, differences, remains

Options = dict[str, Any]

NETWORK = [
    {
        "name": "blue",
        "subnets": ["10.50.0.0/24", "fd00:50::/64"],
        "endpoints": [
            {
                "name": "web",
                "addresses": ["10.50.0.2", "fd00:50::2"],
                "publish": ["8080:80", "127.0.0.1:9000:9000", "7000-7002:7100-7102/udp"],
            },
            {"name": "db"},
        ],
    },
    {"name": "red", "subnets": ["10.51.0.0/24"], "icc": False, "endpoints": [{"name": "r1"}, {"name": "r2"}]},
]
BRIDGE: tuple[str, Options] = ("bridge", {"name": "br-t", "addresses": ["10.50.0.1/24", "fd00:50::1/64"]})
NETNS: tuple[str, Options] = ("netns", {"name": "inner"})
PEER: Options = {
    "netns": "inner",
    "addresses": ["10.50.0.2/24", "fd00:50::2/64"],
    "gateways": ["10.50.0.1", "fd00:50::1"],
}


# ---- come, change, go


@dataclass(frozen=True)
class Case:
    """A module's object and another form of it; `setup` are calls of modules beforehand."""

    name: str
    module: str
    options: Options
    change: Options
    setup: tuple[tuple[str, Options], ...] = ()
    marks: tuple[pytest.MarkDecorator, ...] = ()


# No packet filter, so no back-end.
ONCE = (pytest.mark.once,)
CASES = [
    Case(
        "netns",
        "netns",
        {"name": "inner", "network": "blue", "sysctls": {"net.ipv4.ip_unprivileged_port_start": 80}},
        {"network": "red", "sysctls": {"net/ipv4/ip_unprivileged_port_start": 0}},
        marks=ONCE,
    ),
    Case(
        "bridge",
        "bridge",
        {"name": "br-t", "addresses": ["10.50.0.1/24", "10.50.0.3/24", "fd00:50::1/64"], "mtu": 1400},
        {"addresses": ["10.50.0.1/24", "fd00:50::2/64"], "mtu": 9000, "stp": True, "mac_address": "02:00:00:00:00:01"},
        marks=ONCE,
    ),
    Case(
        "veth",
        "veth",
        {
            "name": "v-t",
            "bridge": "br-t",
            "mtu": 1400,
            "network": "red",
            "peer": {**PEER, "mac_address": "02:00:00:00:00:02"},
        },
        {
            "isolated": True,
            "mtu": 1300,
            "network": "blue",
            "peer": {
                "netns": "inner",
                "mac_address": "02:00:00:00:00:03",
                "addresses": ["10.50.0.7/24", "fd00:50::2/64"],
                "gateways": ["10.50.0.1"],
                "routes": [{"to": "10.99.0.0/16", "via": "10.50.0.9", "metric": 7}, {"to": "fd00:99::/64"}],
            },
        },
        (BRIDGE, NETNS),
        marks=ONCE,
    ),
    Case(
        "veth-without-bridge",
        "veth",
        {
            "name": "v-t",
            "addresses": ["10.60.0.1/30", "fd00:60::1/126"],
            "peer": {"netns": "inner", "name": "lan0", "addresses": ["10.60.0.2/30"], "gateways": ["10.60.0.1"]},
        },
        {
            "addresses": ["10.60.0.1/24"],
            "peer": {
                "netns": "inner",
                "name": "lan0",
                "addresses": ["10.60.0.3/24"],
                "routes": [{"to": "10.9.0.0/16"}],
            },
        },
        (NETNS,),
        marks=ONCE,
    ),
    Case(
        "sysctl_forward",
        "sysctl_forward",
        {},
        {"ipv6": True, "forward_policy": "drop", "route_localnet": ["br-t"]},
        (BRIDGE,),
    ),
    Case("sysctl_forward-runtime", "sysctl_forward", {"persist": False}, {"persist": True, "ipv6": True}),
    Case(
        "nat_masquerade",
        "nat_masquerade",
        {"source": "10.50.0.0/24", "out_interface": "default"},
        {"exclude": ["10.0.0.0/8", "192.0.2.250/32"], "random_fully": True, "network": "blue"},
    ),
    Case(
        "nat_masquerade-to_source",
        "nat_masquerade",
        {"source": "fd00:50::/64", "out_interface": "!br-t", "exclude": ["fd00::/8"]},
        {"to_source": "2001:db8:1::11", "exclude": []},
    ),
    Case("nat_masquerade-anywhere", "nat_masquerade", {"source": "10.50.0.0/24"}, {"to_source": "192.0.2.11"}),
    Case(
        "port_publish",
        "port_publish",
        {"host_port": "8080", "container_ip": "10.50.0.2", "container_port": "80"},
        {
            "container_ip": "10.50.0.3",
            "container_port": "81",
            "allowed_sources": ["192.0.2.250/32", "198.51.100.0/24"],
            "in_interfaces": ["eth0"],
        },
        (BRIDGE,),
    ),
    Case(
        "port_publish-range",
        "port_publish",
        {"host_port": "7000-7009", "container_ip": "fd00:50::2", "container_port": "7100-7109", "protocol": "udp"},
        {"container_port": "7000-7009", "allowed_sources": ["2001:db8:1::/64"]},
        (BRIDGE,),
    ),
    Case(
        "port_publish-address",
        "port_publish",
        {"host_port": "53", "host_ip": "127.0.0.1", "container_ip": "10.50.0.2", "protocol": "udp"},
        {"container_port": "5353"},
        (BRIDGE,),
    ),
    Case(
        "bridge_firewall",
        "bridge_firewall",
        {"bridge": "br-t", "subnets": ["10.50.0.0/24", "fd00:50::/64"]},
        {"internal": True, "icc": False, "host_access": "deny", "network": "blue"},
    ),
    Case(
        "bridge_firewall-open",
        "bridge_firewall",
        {"bridge": "br-t"},
        {
            "trusted_interfaces": ["mgmt0"],
            "allow": [
                {"from": "192.0.2.250", "to": "10.50.0.0/24", "protocol": "tcp", "port": "9100-9101"},
                {"to": "fd00:50::2"},
            ],
        },
        (BRIDGE,),
    ),
    Case("bridge_firewall-direct", "bridge_firewall", {"bridge": "br-t"}, {"direct_access": True}, (BRIDGE,)),
]


def same(one: Any, other: Any) -> None:
    """Check mode and the change itself say the same."""
    for key in ("changed", "commands", "diff", "objects"):
        assert one.data[key] == other.data[key]


@pytest.mark.ansible
@pytest.mark.pyroute2
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=case.marks) for case in CASES])
def test_life(host: Host, case: Case) -> None:
    """Come, come again, change, change back, go, go again; each in check mode first."""
    for module, options in case.setup:
        host.do(module, **options)
    nothing = host.dump()
    changed = {**case.options, **case.change}

    def step(before: dict[str, str], **options: Any) -> dict[str, str]:
        """Something that changes, but not in check mode, nor a second time."""
        predicted = host.look(case.module, **options)
        assert differences(before, host.dump()) == ""
        done = host.do(case.module, **options)
        same(predicted, done)
        assert done.changed and done.commands and done.diff["before"] != done.diff["after"]
        after = host.dump()
        assert differences(before, after) != ""
        still(after, **options)
        return after

    def still(there: dict[str, str], **options: Any) -> None:
        """A second run makes no transaction at all: the kernel counts them, and would kill a process that replaced
        a legacy table."""
        generation = host.generation()
        how = {"tables_stay": True}
        for again in (host.do(case.module, how=how, **options), host.look(case.module, how=how, **options)):
            assert (again.changed, again.commands) == (False, [])
            assert again.diff["before"] == again.diff["after"]
        assert host.generation() == generation
        assert differences(there, host.dump()) == ""

    there = step(nothing, **case.options)
    assert host.do(case.module, **case.options).objects[0]["state"] == "present"
    other = step(there, **changed)
    back = step(other, **case.options)
    assert remains(there, back) == ""
    gone = step(back, **case.options, state="absent")
    assert remains(nothing, gone) == ""


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=case.marks) for case in CASES])
def test_commands(host: Host, case: Case) -> None:
    """The commands of check mode have the same effect in a shell: making, changing and removing."""
    for module, options in case.setup:
        host.do(module, **options)
    nothing = host.dump()
    for options in (case.options, {**case.options, **case.change}, {**case.options, "state": "absent"}):
        commands = host.look(case.module, **options).commands
        host.fleet.lab.run(host.name, ["bash", "-es"], input="\n".join(commands) + "\n")
        again = host.do(case.module, **options)
        assert (again.changed, again.commands) == (False, [])
    assert remains(nothing, host.dump()) == ""


# ---- many objects in one call


class TestAggregate:
    @pytest.mark.once
    def test_defaults(self, host: Host) -> None:
        """Options beside the list are defaults of every item, and an item's own options take precedence."""
        sysctl = "net.ipv4.ip_unprivileged_port_start"
        result = host.do(
            "netns", sysctls={sysctl: 80}, aggregate=[{"name": "one"}, {"name": "two", "sysctls": {sysctl: 0}}]
        )
        assert [item["name"] for item in result.objects] == ["one", "two"]
        assert [host.place(name).run(f"sysctl -n {sysctl}").strip() for name in ("one", "two")] == ["80", "0"]

    @pytest.mark.once
    def test_defaults_inside(self, host: Host) -> None:
        host.do(*BRIDGE[:1], **BRIDGE[1])
        host.do("netns", aggregate=[{"name": "one"}, {"name": "two"}])
        host.do(
            "veth",
            bridge="br-t",
            peer={"gateways": ["10.50.0.1"]},
            aggregate=[
                {"name": f"v-{name}", "peer": {"netns": name, "addresses": [f"10.50.0.{number}/24"]}}
                for number, name in ((2, "one"), (3, "two"))
            ],
        )
        host.place("two").serve("two", 80)
        assert host.place("one").ask("10.50.0.3", 80).seen == "10.50.0.2"
        for name in ("one", "two"):
            assert "via 10.50.0.1" in host.place(name).run("ip route show default")

    def test_states(self, host: Host) -> None:
        """An item may have a state of its own."""
        host.do(*BRIDGE[:1], **BRIDGE[1])
        common = {"container_ip": "10.50.0.2"}
        host.do("port_publish", **common, aggregate=[{"host_port": "80"}, {"host_port": "81"}])
        mixed = [{"host_port": "80", "state": "absent"}, {"host_port": "82"}]
        assert host.do("port_publish", **common, aggregate=mixed).changed
        assert not host.do("port_publish", **common, aggregate=mixed).changed
        ports = host.do("network_info").data["ports"]
        assert sorted(port["host_port"] for port in ports) == ["81", "82"]
        assert host.do(
            "port_publish", **common, state="absent", aggregate=[{"host_port": "81"}, {"host_port": "82"}]
        ).changed
        assert host.do("network_info").data["ports"] == []

    def test_transactions(self, host: Host) -> None:
        """A hundred objects take no more of them than two."""
        if host.fleet.settings.legacy_tables:
            pytest.skip("legacy tables are replaced, and nobody counts that")
        taken = []
        for count in (1, 50):
            ports = range(100, 100 + count)
            items = [
                {"host_port": str(port), "container_ip": ip} for port in ports for ip in ("10.50.0.2", "fd00:50::2")
            ]
            host.fleet.wipe(host.name)
            host.do("bridge", **BRIDGE[1])
            before = host.generation()
            host.do("port_publish", aggregate=items)
            taken.append(host.generation() - before)
        assert taken[0] == taken[1]
        assert taken[0] == 1 or host.fleet.settings.backend != "nftables"

    def test_all_or_nothing(self, host: Host) -> None:
        """One item that cannot be: none is made."""
        host.do(*BRIDGE[:1], **BRIDGE[1])
        assert "aggregate, item 2" in host.refuse("netns", aggregate=[{"name": "fine"}, {"name": "not/fine"}])
        message = host.refuse(
            "port_publish", container_ip="10.50.0.2", aggregate=[{"host_port": "80"}, {"host_port": "70000"}]
        )
        assert "70000" in message
        message = host.refuse(
            "veth", bridge="br-t", peer={"netns": "nowhere"}, aggregate=[{"name": "v-1"}, {"name": "v-2"}]
        )

    def test_empty(self, host: Host) -> None:
        for module in ("netns", "bridge", "veth", "nat_masquerade", "port_publish", "bridge_firewall"):
            assert not host.do(module, aggregate=[]).changed


# ---- drift


DRIFT = {
    "bridge-down": "ip link set br-blue down",
    "bridge-mtu": "ip link set br-blue mtu 1300",
    "bridge-mac": "ip link set br-blue address 02:00:00:00:00:77",
    "bridge-alias": "ip link set br-blue alias somebody",
    "bridge-stp": "ip link set br-blue type bridge stp_state 1",
    "bridge-address-gone": "ip address delete 10.50.0.1/24 dev br-blue",
    "bridge-address-gone-6": "ip address delete fd00:50::1/64 dev br-blue",
    "bridge-address-more": "ip address add 10.50.0.200/24 dev br-blue",
    "bridge-accept-ra": "sysctl -qw net.ipv6.conf.br-blue.accept_ra=1",
    "port-down": "ip link set v-blue-web down",
    "port-mtu": "ip link set v-blue-web mtu 1300",
    "port-elsewhere": "ip link set v-blue-web nomaster",
    "port-isolated": "bridge link set dev v-blue-web isolated on",
    "port-not-isolated": "bridge link set dev v-red-r1 isolated off",
    "port-ipv6": "sysctl -qw net.ipv6.conf.v-blue-web.disable_ipv6=0",
    "peer-down": "ip -n web link set eth0 down",
    "peer-mtu": "ip -n web link set eth0 mtu 1300",
    "peer-mac": "ip -n web link set eth0 address 02:00:00:00:00:77",
    "peer-address-gone": "ip -n web address delete 10.50.0.2/24 dev eth0",
    "peer-address-more": "ip -n web address add 10.50.0.200/24 dev eth0",
    "peer-route-gone": "ip -n web route delete default",
    "peer-route-gone-6": "ip -n web -6 route delete default",
    "peer-route-preferred-6": "ip -n web -6 route add default via fd00:50::99 dev eth0 metric 512",
    "peer-rules": "ip -n web rule flush; ip -n web -6 rule flush",
    "peer-all-rules": "for v in 4 6; do ip -n web -$v rule flush; ip -n web -$v rule delete priority 0; done",
    "peer-walled": "ip -n web route replace unreachable 10.50.0.0/24;"
    " ip -n web -6 route add blackhole default metric 1",
    "peer-local": "ip -n web route flush table local; ip -n web -6 route flush table local",
    "peer-local-address": "ip -n web route delete local 10.50.0.2 table local",
    "peer-all-routes": "ip -n web route flush table all; ip -n web -6 route flush table all",
    "bridge-local": "ip route flush table local dev br-blue; ip -6 route flush table local dev br-blue",
    "peer-accept-ra": "ip netns exec web sysctl -qw net.ipv6.conf.eth0.accept_ra=2",
    "peer-ipv6": "ip netns exec r1 sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0",
    "veth-gone": "ip link delete v-blue-web",
    "veths-gone": "ip link delete v-blue-web; ip link delete v-blue-db; ip link delete v-red-r1",
    "bridge-gone": "ip link delete br-blue",
    # the kernel takes its time to take the veth pair away
    "namespace-gone": "ip netns delete web; while [ -e /sys/class/net/v-blue-web ]; do sleep 0.05; done",
    "loopback-down": "ip -n web link set lo down",
    "not-forwarding": "sysctl -qw net.ipv4.ip_forward=0",
    "not-forwarding-6": "sysctl -qw net.ipv6.conf.all.forwarding=0",
    "uplink-not-forwarding": "sysctl -qw net.ipv4.conf.eth0.forwarding=0",
    "route-localnet": "sysctl -qw net.ipv4.conf.br-blue.route_localnet=0",
    "file-other": "echo net.ipv4.ip_forward=0 >> /etc/sysctl.d/90-dockerless-network.conf",
}
NFT_DRIFT = {
    "all-rules": "nft flush ruleset",
    "rules-of-a-chain": "nft flush chain inet dockerless guard",
    "more-rules": "nft insert rule inet dockerless guard accept",
    "element-gone": "nft delete element inet dockerless publish4 { tcp . 8080 }",
    "element-more": 'nft add element inet dockerless icc \'{ "br-red" . "br-red" }\'',
    "element-other": "nft delete element inet dockerless publish4 { tcp . 8080 };"
    " nft add element inet dockerless publish4 { tcp . 8080 : 10.50.0.3 . 80 }",
    "set-empty": "nft flush set inet dockerless bridges",
    "chain-gone": "nft flush chain inet dockerless guard; nft delete chain inet dockerless guard",
    "chain-more": "nft add chain inet dockerless stray; nft add rule inet dockerless stray drop",
    "set-more": "nft add set inet dockerless stray '{ type ipv4_addr; }'",
}
IPTABLES_DRIFT = {
    "all-rules": "for tool in iptables ip6tables; do for table in raw mangle nat filter; do"
    " $tool -t $table -F; $tool -t $table -X; done; done",
    "rules-of-a-chain": "iptables -t nat -F DLN-EGRESS",
    "more-rules": "iptables -I DLN-FORWARD -j ACCEPT",
    "jump-gone": "iptables -t nat -D PREROUTING 1",
    "jump-twice": "iptables -t nat -A POSTROUTING -m comment --comment dockerless.network -j DLN-EGRESS",
    "rule-gone": "iptables -t nat -D DLN-EGRESS 1",
    "rules-6-gone": "ip6tables -F DLN-FORWARD",
    "table-flushed": "iptables -t mangle -F",
    "chain-more": "iptables -N DLN-STRAY; iptables -A DLN-STRAY -j DROP",
}


def drifts() -> list[Any]:
    found = [pytest.param("", command, id=name, marks=ONCE) for name, command in DRIFT.items()]
    found += [pytest.param("nftables", command, id=f"nftables-{name}") for name, command in NFT_DRIFT.items()]
    found += [pytest.param("iptables", command, id=f"iptables-{name}") for name, command in IPTABLES_DRIFT.items()]
    return found


@pytest.mark.parametrize(("whose", "command"), drifts())
def test_drift(host: Host, whose: str, command: str) -> None:
    """Somebody changes something by hand; the next run repairs that, and check mode tells."""
    if whose and (whose == "nftables") != (host.fleet.settings.backend == "nftables"):
        pytest.skip(f"the rules are not those of {whose}")
    host.do("bridge_network", networks=NETWORK)
    right = without_numbers(host.dump())
    host.run(command)
    wrong = host.dump()
    assert remains(right, without_numbers(wrong)) != ""
    predicted = host.look("bridge_network", networks=NETWORK)
    assert predicted.changed
    assert differences(wrong, host.dump()) == ""
    same(predicted, host.do("bridge_network", networks=NETWORK))
    assert remains(right, without_numbers(host.dump())) == ""
    again = host.do("bridge_network", networks=NETWORK)
    assert (again.changed, again.commands) == (False, [])


FLUSHED = {
    # IPv6 looks at its rules once one was added
    "rules": "for v in 4 6; do ip -n web -$v rule add priority 9 lookup 9; ip -n web -$v rule flush; done",
    "all-rules": "for v in 4 6; do ip -n web -$v rule add priority 9 lookup 9; ip -n web -$v rule flush;"
    " ip -n web -$v rule delete priority 0; done",
    "local": "for v in 4 6; do ip -n web -$v route flush table local; done",
    "all-routes": "for v in 4 6; do ip -n web -$v route flush table all; done",
    "gateway": "for v in 4 6; do ip -$v route flush table local dev br-blue; done",
}


@pytest.mark.once
@pytest.mark.parametrize("command", FLUSHED.values(), ids=FLUSHED)
def test_what_the_kernel_makes_only_once_is_repaired(host: Host, command: str) -> None:
    """Rules of routing and the table local: dead before the run, and open as soon as it returns."""
    host.do("bridge_network", networks=NETWORK)
    web, gateways = host.place("web"), ("10.50.0.1", "fd00:50::1")
    web.serve("web", 80)
    host.place().serve("host", 8000)
    questions = [host.place().question(to, 80, "tcp") for to in ("10.50.0.2", "fd00:50::2")]
    questions += [web.question(gateway, 8000, "tcp") for gateway in gateways]
    host.fleet.all_open(questions)
    keep = host.place("db").question("10.50.0.2", 80, "tcp", keep="a connection")
    keep.answer()
    host.run(command)
    host.fleet.all_closed(questions)
    same(host.look("bridge_network", networks=NETWORK), host.do("bridge_network", networks=NETWORK))
    host.fleet.all_open(questions)
    keep.answer()
    assert not host.do("bridge_network", networks=NETWORK).changed


@pytest.mark.once
def test_sysctls_of_an_endpoint(host: Host) -> None:
    """Also those of its link, which is not there when its namespace is made; what somebody changes is repaired."""
    keys = {"net.ipv4.ip_unprivileged_port_start": 80, "net.ipv4.conf.eth0.arp_ignore": 1}
    networks = [{**NETWORK[0], "endpoints": [{"name": "web", "sysctls": keys}]}]
    same(host.look("bridge_network", networks=networks), host.do("bridge_network", networks=networks))
    read = "ip netns exec web sysctl -n " + " ".join(keys)
    assert host.run(read).split() == ["80", "1"]
    assert not host.do("bridge_network", networks=networks).changed
    host.run("ip netns exec web sysctl -qw net.ipv4.conf.eth0.arp_ignore=0")
    assert host.do("bridge_network", networks=networks).changed
    host.run("ip link delete v-blue-web")
    same(host.look("bridge_network", networks=networks), host.do("bridge_network", networks=networks))
    assert host.run(read).split() == ["80", "1"]
    assert not host.do("bridge_network", networks=networks).changed


@pytest.mark.once
def test_sysctls_of_an_endpoint_step_by_step(host: Host) -> None:
    """The step that makes the namespace comes before the one that makes its link."""
    keys = {"net.ipv4.ip_unprivileged_port_start": 80, "net.ipv4.conf.eth0.arp_ignore": 1}
    networks = [{**NETWORK[0], "endpoints": [{"name": "web", "sysctls": keys}]}]
    play = host.fleet.role(networks, step_by_step=True)
    host.fleet.play([play], hosts=host.name).must()
    assert host.run("ip netns exec web sysctl -n " + " ".join(keys)).split() == ["80", "1"]
    assert host.fleet.play([play], hosts=host.name).must().changed == []


@pytest.mark.once
def test_a_route_for_groups_that_somebody_deletes(host: Host) -> None:
    """Without it, an endpoint hears no neighbour who asks for it over IPv6."""
    host.do("bridge_network", networks=NETWORK)
    web = host.place("web")
    web.serve("web", 80)
    question = host.place().question("fd00:50::2", 80)
    host.fleet.all_open([question])
    host.run("ip -n web -6 route delete multicast ff00::/8 dev eth0 table local; ip -6 neigh flush dev br-blue")
    host.fleet.all_closed([question])
    same(host.look("bridge_network", networks=NETWORK), host.do("bridge_network", networks=NETWORK))
    host.fleet.all_open([question])
    assert not host.do("bridge_network", networks=NETWORK).changed


@pytest.mark.once
def test_rules_that_are_missing_where_somebody_else_rules(host: Host) -> None:
    """are for them to add: the run is refused with the command, in check mode too. Their own rules are left alone."""
    host.run("ip netns add theirs")
    networks = [{**NETWORK[0], "endpoints": [{"name": "web", "netns": "theirs"}]}]
    host.do("bridge_network", networks=networks)
    host.run("ip -n theirs rule flush; ip -n theirs route flush table local dev eth0")
    message = host.refuse("bridge_network", networks=networks)
    assert "in namespace theirs no rule leads to the routing table main" in message
    for command in re.findall("'(ip .*?)'", message):
        host.run(command)
    assert host.do("bridge_network", networks=networks).changed
    host.place("theirs").serve("web", 80)
    address = json.loads(host.run("ip -n theirs -j -4 address show dev eth0"))[0]["addr_info"][0]["local"]
    host.fleet.all_open([host.place().question(address, 80)])
    assert not host.do("bridge_network", networks=networks).changed
    host.run("ip -n theirs rule add priority 99 lookup 99; ip -n theirs rule delete priority 32766")
    assert not host.do("bridge_network", networks=networks).changed


def without_numbers(dump: dict[str, str]) -> dict[str, str]:
    """Without what a link that is made anew has another one of: its number, its port's number, its MAC address."""
    result = {}
    for topic, text in dump.items():
        if topic.startswith(("links", "addresses")):
            text = re.sub(r"(v-[^:]+: .*link/ether) \S+", r"\1", text)
            text = re.sub(r"(?m)^\d+: |@if\d+|link-netns(id)? \S+|\b(port_no|port_id|designated_port) \S+", "", text)
        if topic.startswith(("links", "addresses", "routes")):
            text = "\n".join(sorted(text.splitlines()))
        result[topic] = text
    return result


@pytest.mark.parametrize("part", [0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
def test_half_of_an_earlier_run(host: Host, part: float) -> None:
    """A run that died halfway, as seen by its commands: the next one does the rest."""
    host.do("bridge_network", networks=NETWORK)
    right = without_numbers(host.dump())
    host.fleet.wipe(host.name)
    commands = host.look("bridge_network", networks=NETWORK).commands
    done = first_part(commands, part)
    host.fleet.lab.run(host.name, ["bash", "-es"], input="\n".join(done) + "\n")
    predicted = host.look("bridge_network", networks=NETWORK)
    same(predicted, host.do("bridge_network", networks=NETWORK))
    assert remains(right, without_numbers(host.dump())) == ""
    assert not host.do("bridge_network", networks=NETWORK).changed


def first_part(commands: list[str], part: float) -> list[str]:
    """Some commands, and the next one where the engine takes one step for two: a namespace is born with its mark."""
    count = round(len(commands) * part)
    return commands[: count + 1] if commands[count - 1].startswith("ip netns add") else commands[:count]


def test_absent_after_half_of_a_run(host: Host) -> None:
    nothing = host.dump()
    commands = host.look("bridge_network", networks=NETWORK).commands
    for part in (0.2, 0.4, 0.6, 0.8):
        done = first_part(commands, part)
        host.fleet.lab.run(host.name, ["bash", "-es"], input="\n".join(done) + "\n")
        host.do("bridge_network", networks=NETWORK, state="absent")
        assert remains(nothing, host.dump()) == ""


# ---- what others made


class TestForeign:
    @pytest.mark.once
    def test_bridge_is_used_as_it_is(self, host: Host) -> None:
        host.run("ip link add br-t type bridge; ip address add 10.50.0.1/24 dev br-t; ip link set br-t up")
        before = host.dump()
        assert not host.do("bridge", name="br-t", addresses=["10.50.0.1/24"]).changed
        for wanted in ({"addresses": ["10.50.0.2/24"]}, {"mtu": 1400}, {"mac_address": "02:00:00:00:00:01"}):
            assert "br-t" in host.refuse("bridge", name="br-t", **wanted)
        gone = host.do("bridge", name="br-t", state="absent")
        assert not gone.changed and "br-t" in gone.warnings
        assert differences(before, host.dump()) == ""

    @pytest.mark.once
    def test_bridge_takes_our_ports(self, host: Host) -> None:
        """An endpoint on somebody's bridge; the bridge stays when the endpoint goes."""
        host.run("ip link add br-t type bridge; ip address add 10.50.0.1/24 dev br-t; ip link set br-t up")
        before = without_numbers(host.dump())
        host.do("netns", name="inner")
        host.do("veth", name="v-t", bridge="br-t", peer={"netns": "inner", "addresses": ["10.50.0.2/24"]})
        host.place().serve("host", 7777)
        assert host.place("inner").ask("10.50.0.1", 7777).seen == "10.50.0.2"
        host.fleet.agent(host.name).call("forget_all")
        host.do("veth", name="v-t", state="absent")
        host.do("netns", name="inner", state="absent")
        after = without_numbers(host.dump())
        # A bridge takes the address of its first port, and draws another one when it is gone.
        for dump in (before, after):
            dump["links"] = re.sub(r"(br-t: .*link/ether|bridge_id|designated_root) \S+", "", dump["links"])
        assert differences(before, after) == ""

    @pytest.mark.once
    @pytest.mark.parametrize(
        ("module", "options"),
        [
            pytest.param("bridge", {"name": "theirs"}, id="bridge"),
            pytest.param("veth", {"name": "theirs", "peer": {"netns": "inner"}}, id="veth"),
            pytest.param("veth", {"name": "v-t", "bridge": "theirs", "peer": {"netns": "inner"}}, id="port"),
        ],
    )
    def test_link_of_another_kind(self, host: Host, module: str, options: Options) -> None:
        host.run("ip netns add inner; ip link add theirs type dummy 2>/dev/null || ip link add theirs type veth")
        assert "theirs" in host.refuse(module, **options)
        if options["name"] == "theirs":
            gone = host.do(module, name="theirs", state="absent")
            assert not gone.changed and "theirs" in gone.warnings

    @pytest.mark.once
    def test_interface_in_the_namespace(self, host: Host) -> None:
        host.run("ip netns add inner; ip -n inner link add eth0 type bridge")
        assert "eth0" in host.refuse("veth", name="v-t", peer={"netns": "inner"})

    @pytest.mark.once
    def test_default_route_in_the_namespace(self, host: Host) -> None:
        host.do("bridge", **BRIDGE[1])
        host.run(
            "ip netns add inner; ip -n inner link add up0 type bridge; ip -n inner address add 10.70.0.2/24 dev up0;"
            " ip -n inner link set up0 up; ip -n inner route add default via 10.70.0.1"
        )
        assert "up0" in host.refuse("veth", name="v-t", bridge="br-t", peer=PEER)

    @pytest.mark.once
    def test_namespace_is_used_and_stays(self, host: Host) -> None:
        host.run("ip netns add inner; ip -n inner link set lo up")
        before = host.dump()
        assert not host.do("netns", name="inner").changed
        gone = host.do("netns", name="inner", state="absent")
        assert not gone.changed and "inner" in gone.warnings
        assert differences(before, host.dump()) == ""

    @pytest.mark.once
    def test_subnet_that_overlaps(self, host: Host) -> None:
        """With an address of the host, and with a route."""
        assert "eth0" in host.refuse("bridge", name="br-t", addresses=["192.0.2.129/25"])
        insist = {"name": "br-t", "addresses": ["192.0.2.129/25"], "allow_overlap": True}
        assert host.look("bridge", **insist).changed
        for route in ("10.97.5.128/25 via 192.0.2.250", "blackhole 10.97.5.0/24", "unreachable 10.97.5.7"):
            host.run(f"ip route add {route}")
            refused = host.refuse("bridge", name="br-t", addresses=["10.97.5.1/24"])
            assert "10.97.5." in refused and "allow_overlap" in refused
            host.run(f"ip route delete {route}")

    @pytest.mark.once
    @pytest.mark.parametrize("route", ["10.97.5.0/25", "10.97.5.0/24", "10.97.0.0/16", "fd00:97::/65", "fd00:97::/48"])
    def test_a_subnet_that_the_host_takes_for_its_own(self, host: Host, route: str) -> None:
        """The kernel looks at such routes first, so the endpoints would not be reached."""
        web = {"name": "web", "addresses": ["10.97.5.2", "fd00:97::2"]}
        blue: Options = {"name": "blue", "subnets": ["10.97.5.0/24", "fd00:97::/64"], "endpoints": [web]}
        local = f"ip {'-6 ' * (':' in route)}route %s local {route} dev lo"
        asks = f"ip netns exec web ping -c1 -W1 {'fd00:97::1' if ':' in route else '10.97.5.1'}"
        host.do("bridge_network", networks=[blue])
        host.run(asks)
        host.run(local % "add")
        if route.endswith("/16"):  # the table local comes first where there are more rules
            host.run(asks)
            host.run("ip rule add from 198.51.100.9 table 99")
        host.run("! " + asks)
        host.do("bridge_network", networks=[blue], state="absent")
        refused = host.refuse("bridge_network", networks=[blue])
        assert f"overlaps the local route to {route} by interface lo" in refused and "allow_overlap" in refused
        host.run(local % "delete")
        host.run("ip rule delete table 99 2>/dev/null || true")

    @pytest.mark.once
    def test_a_subnet_that_is_covered_by_a_route(self, host: Host) -> None:
        """That of a company, those of a VPN, and a blackhole for what is routed nowhere: the subnet's own wins."""
        routes = ("10.96.0.0/11 via 192.0.2.250", "0.0.0.0/1 via 192.0.2.250", "blackhole 10.97.0.0/16")
        host.run("; ".join(f"ip route add {route}" for route in routes))
        blue: Options = {"name": "blue", "subnets": ["10.97.5.0/24"], "endpoints": [{"name": "web"}]}
        for unused in range(2):
            host.do("bridge_network", networks=[blue])
            assert host.place("web").run("ping -c1 -W1 10.97.5.1")
            host.run("ip link delete br-blue")
        host.do("bridge_network", networks=[blue], state="absent")
        host.run("; ".join(f"ip route delete {route}" for route in routes))

    def test_rules(self, host: Host) -> None:
        """Rules and tables of others are there, byte for byte, after ours came and went."""
        host.run(
            "nft add table inet theirs; nft add chain inet theirs c '{ type nat hook prerouting priority dstnat; }';"
            "nft add rule inet theirs c tcp dport 99 counter; iptables -A FORWARD -s 203.0.113.9 -j DROP;"
            "iptables -t nat -A POSTROUTING -s 203.0.113.0/24 -j MASQUERADE;"
            "ip6tables -t raw -A PREROUTING -p udp -j ACCEPT"
        )
        before = host.dump()
        host.do("bridge_network", networks=NETWORK)
        middle = host.dump()
        saved = "".join(text for topic, text in middle.items() if topic.startswith(("nft", "ip")))
        for words in ("tcp dport 99", "203.0.113.9/32", "203.0.113.0/24", "-A PREROUTING -p udp -j ACCEPT"):
            assert words in saved
        # Forwarding stays on for the sake of the foreign masquerade.
        result = host.do("bridge_network", networks=NETWORK, state="absent")
        assert "ip_forward" in result.warnings
        host.run("sysctl -qw net.ipv4.ip_forward=0")
        assert remains(before, host.dump()) == ""


# ---- traffic of modules that are not the role's


class TestWithoutBridge:
    """A namespace that a veth pair leads to, with no bridge: routed."""

    ROUTED: ClassVar[Options] = {
        "name": "v-lab0",
        "addresses": ["10.60.0.1/30", "fd00:60::1/126"],
        "peer": {
            "netns": "lab0",
            "addresses": ["10.60.0.2/30", "fd00:60::2/126"],
            "gateways": ["10.60.0.1", "fd00:60::1"],
        },
    }

    @pytest.fixture
    def lab0(self, host: Host) -> Host:
        host.do("netns", name="lab0")
        host.do("veth", **self.ROUTED)
        host.do("sysctl_forward", ipv6=True)
        host.do(
            "nat_masquerade",
            out_interface="default",
            aggregate=[{"source": "10.60.0.0/30"}, {"source": "fd00:60::/126"}],
        )
        return host

    def test_to_the_outside(self, lab0: Host) -> None:
        for version in (4, 6):
            for protocol in ("tcp", "udp"):
                answer = lab0.place("lab0").ask(lab0.fleet.internet(version), 9000, protocol)
                assert answer.seen == lab0.fleet.lan(lab0.name, version)

    def test_to_the_host_and_back(self, lab0: Host) -> None:
        lab0.place("lab0").serve("lab0", 80)
        lab0.place().serve("host", 7777)
        assert lab0.place().ask("10.60.0.2", 80).seen == "10.60.0.1"
        assert lab0.place("lab0").ask("fd00:60::1", 7777).seen == "fd00:60::2"

    def test_asked_at_once_over_ipv6(self, lab0: Host) -> None:
        """A host that forwards asks for neighbours from its link-local address, which must not be on trial then."""
        lab0.place("lab0").serve("lab0", 80)
        neighbour = lab0.fleet.place("neighbour")
        neighbour.run(f"ip -6 route replace fd00:60::/126 via {lab0.fleet.lan(lab0.name, 6)}")
        took = []
        for unused in range(3):
            lab0.do("veth", name="v-lab0", state="absent")
            lab0.do("veth", **self.ROUTED)
            begin = time.monotonic()
            assert neighbour.ask("fd00:60::2", 80).label == "lab0"
            took.append(time.monotonic() - begin)
        neighbour.run("ip -6 route delete fd00:60::/126")
        assert min(took) < 0.7, took  # a client of TCP asks again after a second

    def test_published(self, lab0: Host) -> None:
        """The interface that leads there is found by its subnet."""
        items = [{"host_port": "8080", "container_ip": ip} for ip in ("10.60.0.2", "fd00:60::2")]
        lab0.do("port_publish", container_port="80", aggregate=items)
        lab0.place("lab0").serve("lab0", 80)
        for version in (4, 6):
            answer = lab0.fleet.place("neighbour").ask(lab0.fleet.lan(lab0.name, version), 8080)
            assert (answer.seen, answer.label) == (lab0.fleet.lan("neighbour", version), "lab0")
            assert lab0.place("lab0").ask(lab0.fleet.lan(lab0.name, version), 8080).label == "lab0"

    @pytest.mark.once
    def test_by_gateways_outside_the_subnets(self, lab0: Host) -> None:
        """The link-local address of the router, and one that is only on the link by a route."""
        link_local = re.search(r"inet6 (fe80::\S+)/64", lab0.run("ip -6 address show dev v-lab0"))
        assert link_local is not None
        inside = {"netns": "lab0", "addresses": ["10.60.0.2/32", "fd00:60::2/126"]}
        routed = {
            "name": "v-lab0",
            "addresses": ["10.60.0.1/30", "fd00:60::1/126"],
            "peer": {**inside, "gateways": ["10.60.0.1", link_local[1]], "routes": [{"to": "10.60.0.1"}]},
        }
        assert lab0.look("veth", **routed).commands == lab0.do("veth", **routed).commands
        assert f"default via {link_local[1]}" in lab0.run("ip -n lab0 -6 route")
        self.test_to_the_outside(lab0)
        assert not lab0.do("veth", **routed).changed

    def test_leaves_nothing(self, lab0: Host) -> None:
        lab0.do(
            "nat_masquerade",
            out_interface="default",
            state="absent",
            aggregate=[{"source": "10.60.0.0/30"}, {"source": "fd00:60::/126"}],
        )
        lab0.do("sysctl_forward", state="absent")
        lab0.do("veth", name="v-lab0", state="absent")
        lab0.do("netns", name="lab0", state="absent")
        after = lab0.dump()
        lab0.fleet.wipe(lab0.name)
        assert remains(lab0.dump(), after) == ""


class TestNetnsOfProcess:
    @pytest.mark.once
    def test_life(self, host: Host) -> None:
        """A name for the namespace of a process, which outlives the name."""
        pid = host.process()
        nothing = host.dump()
        predicted = host.look("netns", name="proc", pid=pid)
        assert differences(nothing, host.dump()) == ""
        same(predicted, host.do("netns", name="proc", pid=pid))
        assert not host.do("netns", name="proc", pid=pid).changed
        host.do("bridge", **BRIDGE[1])
        host.do("veth", name="v-t", bridge="br-t", peer={**PEER, "netns": "proc"})
        assert "10.50.0.2/24" in host.run(f"nsenter --target {pid} --net ip -o address show dev eth0")
        # By its pid it is the same place.
        by_pid = {key: value for key, value in PEER.items() if key != "netns"}
        assert not host.do("veth", name="v-t", bridge="br-t", peer={**by_pid, "pid": pid}).changed
        host.do("veth", name="v-t", state="absent")
        host.do("bridge", name="br-t", state="absent")
        assert host.do("netns", name="proc", state="absent").changed
        assert host.run(f"readlink /proc/{pid}/ns/net").startswith("net:")
        assert differences(nothing, host.dump()) == ""

    @pytest.mark.once
    def test_a_new_process(self, host: Host) -> None:
        """The service was restarted: the name moves to its new namespace."""
        first, second = host.process(), host.process()
        host.do("netns", name="proc", pid=first)
        assert host.do("netns", name="proc", pid=second).changed
        assert host.run("stat -Lc %i /run/netns/proc") == host.run(f"stat -Lc %i /proc/{second}/ns/net")

    @pytest.mark.once
    def test_name_of_another_namespace(self, host: Host) -> None:
        host.run("ip netns add proc")
        assert "proc" in host.refuse("netns", name="proc", pid=host.process())

    @pytest.mark.once
    def test_no_such_process(self, host: Host) -> None:
        assert "4194303" in host.refuse("netns", name="proc", pid=4194303)
        assert "4194303" in host.refuse("veth", name="v-t", peer={"pid": 4194303})


class TestForwarding:
    def test_runtime_and_file_are_looked_at_separately(self, host: Host) -> None:
        host.do("sysctl_forward")
        host.run("sysctl -qw net.ipv4.ip_forward=0")
        assert host.do("sysctl_forward").commands == ["sysctl -w net.ipv4.ip_forward=1"]
        host.run("rm /etc/sysctl.d/90-dockerless-network.conf")
        result = host.do("sysctl_forward")
        assert result.changed and not [command for command in result.commands if command.startswith("sysctl")]
        assert "net.ipv4.ip_forward = 1" in host.run("cat /etc/sysctl.d/90-dockerless-network.conf")

    def test_absent_restores_what_was_found(self, host: Host) -> None:
        """Forwarding was on before we came, by somebody's hand, and is on when we are gone."""
        host.run("sysctl -qw net.ipv4.ip_forward=1")
        before = host.dump()
        host.do("sysctl_forward", ipv6=True)
        host.do("sysctl_forward", state="absent")
        assert remains(before, host.dump()) == ""

    def test_an_option_taken_back(self, host: Host) -> None:
        """A sysctl that no object needs any more gets the value that was found."""
        host.do("bridge", **BRIDGE[1])
        host.do("sysctl_forward", ipv6=True, route_localnet=["br-t"])
        assert host.run("sysctl -n net.ipv4.conf.br-t.route_localnet net.ipv6.conf.all.forwarding").split() == [
            "1",
            "1",
        ]
        host.do("sysctl_forward")
        assert host.run("sysctl -n net.ipv4.conf.br-t.route_localnet net.ipv6.conf.all.forwarding").split() == [
            "0",
            "0",
        ]

    def test_relied_on_by_a_bridge(self, host: Host) -> None:
        host.do("sysctl_forward", ipv6=True)
        host.run(
            "ip link add virbr9 type bridge; ip link add vnet0 type veth peer name vnet1;"
            " ip link set vnet0 master virbr9"
        )
        result = host.do("sysctl_forward", state="absent")
        assert host.run("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding").split() == ["1", "1"]
        assert "virbr9" in result.warnings

    def test_relied_on_by_rules(self, host: Host) -> None:
        """The IPv4 rules of somebody need IPv4 alone."""
        host.do("sysctl_forward", ipv6=True)
        host.run("iptables -t nat -A POSTROUTING -s 10.99.0.0/24 -j MASQUERADE")
        result = host.do("sysctl_forward", state="absent")
        assert host.run("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding").split() == ["1", "0"]
        assert "ip_forward" in result.warnings

    def test_default_route_by_router_advertisement(self, host: Host) -> None:
        """A host that forwards would lose it, unless accept_ra is 2."""
        host.run("sysctl -qw net.ipv6.conf.eth0.accept_ra=1")
        # As the kernel would note an advertised route.
        host.run("ip -6 route replace default via 2001:db8:1::1 dev eth0 proto ra")
        try:
            host.do("sysctl_forward", ipv6=True)
            keys = "net.ipv6.conf.eth0.accept_ra net.ipv6.conf.default.accept_ra"
            assert host.run("sysctl -n %s" % keys).split() == ["2", "2"]
            assert "\nnet.ipv6.conf.default.accept_ra = 2\n" in host.run("cat /etc/sysctl.d/90-dockerless-network.conf")
            host.do("sysctl_forward", state="absent")
            assert host.run("sysctl -n %s" % keys).split() == ["1", "1"]
        finally:
            host.run(
                "ip -6 route delete default; ip -6 route add default via 2001:db8:1::1;"
                " sysctl -qw net.ipv6.conf.eth0.accept_ra=1"
            )

    def test_forward_policy(self, host: Host) -> None:
        """By its networks alone this host does not route for others, unless asked for, but for bridges of others."""
        neighbour = host.fleet.place("neighbour")
        guest = {4: "10.88.0.2", 6: "fd00:88::2"}
        ways = [f"-{v} route VERB {host.fleet.internet(v)} via {host.fleet.lan(host.name, v)}" for v in (4, 6)]
        ways += [f"-{v} route VERB {guest[v]} via {host.fleet.lan(host.name, v)}" for v in (4, 6)]
        through = [neighbour.question(host.fleet.internet(version), 9000) for version in (4, 6)]
        to_guest = [neighbour.question(guest[version], 80) for version in (4, 6)]

        def route(verb: str) -> None:
            host.fleet.lab.run("neighbour", "; ".join(f"ip {way}".replace("VERB", verb) for way in ways))

        def crosses_not() -> None:
            unanswered = host.fleet.ask_all(through, 0.4)
            assert [answered for unused, answered, unused_heard in unanswered] == [False, False]

        # Without redirects, the neighbour does not find the straight way.
        host.run("sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0")
        host.do("bridge_network", networks=NETWORK, forward_policy="unmanaged")
        host.place("web").serve("web", 80)
        ours = [host.place("web").question(host.fleet.internet(version), 9000) for version in (4, 6)]
        ours += [neighbour.question(host.fleet.lan(host.name, version), 8080) for version in (4, 6)]
        route("replace")
        try:
            host.fleet.all_open(through + ours)
            host.do("bridge_network", networks=NETWORK)
            host.fleet.all_open(ours)
            crosses_not()
            host.run(
                "ip link add virbr9 up type bridge; ip address add 10.88.0.1/24 dev virbr9;"
                " ip address add fd00:88::1/64 dev virbr9 nodad; ip netns add guest;"
                " ip link add vnet0 up master virbr9 type veth peer eth0 netns guest; ip -n guest link set eth0 up;"
                " ip -n guest address add 10.88.0.2/24 dev eth0; ip -n guest address add fd00:88::2/64 dev eth0 nodad;"
                " ip -n guest route add default via 10.88.0.1; ip -n guest route add default via fd00:88::1"
            )
            host.place("guest").serve("guest", 80)
            host.fleet.all_open(to_guest)
            host.do("sysctl_forward", forward_policy="drop")
            assert not host.do("bridge_network", networks=NETWORK).changed
            assert not host.do("sysctl_forward", forward_policy="drop").changed
            host.fleet.all_open(ours)
            crosses_not()
            host.fleet.all_closed(to_guest)
            host.do("sysctl_forward")
            host.fleet.all_open(to_guest)
            crosses_not()
        finally:
            route("delete")
            host.run("sysctl -qw net.ipv4.conf.all.send_redirects=1 net.ipv4.conf.eth0.send_redirects=1")
            host.run("ip link delete virbr9 2>/dev/null; ip netns delete guest 2>/dev/null; true")

    def test_a_host_that_forwarded_before_goes_on(self, host: Host) -> None:
        host.run("sysctl -qw net.ipv4.ip_forward=1")
        host.do("bridge_network", networks=NETWORK)
        assert "ip_forward" not in "".join(host.do("bridge_network", networks=[], prune="project").commands)
        assert host.run("sysctl -n net.ipv4.ip_forward").strip() == "1"

    def test_the_role_leaves_the_forwarding_of_a_stack_made_by_hand(self, host: Host) -> None:
        """And the other way round."""
        host.do("bridge", **BRIDGE[1])
        host.do("netns", name="inner")
        host.do("veth", name="v-t", bridge="br-t", peer=PEER)
        host.do("nat_masquerade", source="10.50.0.0/24")
        host.do("sysctl_forward")
        blue = [{"name": "blue", "subnets": ["10.52.0.0/24"], "endpoints": [{"name": "web"}]}]
        host.do("bridge_network", networks=blue)
        ways = [host.place(name).question(host.fleet.internet(4), 9000) for name in ("inner", "web")]
        host.fleet.all_open(ways)
        host.do("sysctl_forward", state="absent")
        host.fleet.all_open(ways)
        host.do("sysctl_forward")
        host.do("bridge_network", networks=blue, state="absent")
        host.fleet.all_open(ways[:1])
        assert "stays 1" in host.do("sysctl_forward", state="absent").warnings
        host.fleet.all_open(ways[:1])


class TestInherited:
    """The settings of a host for new links or for all of them, made by a hardening role or by its distribution."""

    TWO: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "blue",
            "subnets": ["10.20.0.0/24", "fd00:20::/64"],
            "endpoints": [{"name": "web", "publish": ["8081:80"]}, {"name": "app"}],
        },
        {
            "name": "red",
            "subnets": ["10.30.0.0/24", "fd00:30::/64"],
            "endpoints": [
                {"name": "web", "publish": ["8080:80"]},
                {"name": "db", "addresses": ["10.30.0.3", "fd00:30::3"]},
            ],
        },
    ]

    def questions(self, host: Host) -> list[Question]:
        places = [host.fleet.place("neighbour"), host.place(), host.place("app"), host.place("db")]
        ways = [(version, port) for version in (4, 6) for port in (8080, 8081)]
        return [place.question(host.fleet.lan(host.name, version), port) for place in places for version, port in ways]

    def test_an_endpoint_in_two_networks_answers_from_both(self, host: Host) -> None:
        """Whatever rp_filter says on the host and inside."""
        host.do("bridge_network", networks=self.TWO)
        host.place("web").serve("web", 80)
        inside = "ip netns exec web sysctl -qw net.ipv4.conf.all.rp_filter=%d"
        try:
            for outer, inner in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 2)):
                host.run(f"sysctl -qw net.ipv4.conf.all.rp_filter={outer}; {inside % inner}")
                host.fleet.all_open(self.questions(host))
            for family in ("-4", "-6") * 2:  # without the rules it is as it was reported
                host.run(f"ip -n web {family} rule delete priority 25708")
            host.run(f"sysctl -qw net.ipv4.conf.all.rp_filter=1; {inside % 1}")
            host.fleet.all_closed([host.fleet.place("neighbour").question(host.fleet.lan(host.name, 4), 8080)])
            assert host.do("bridge_network", networks=self.TWO).changed
            host.fleet.all_open(self.questions(host))
        finally:
            host.run("sysctl -qw net.ipv4.conf.all.rp_filter=0")

    @pytest.mark.once
    def test_an_endpoint_in_two_networks_is_no_router_between_them(self, host: Host) -> None:
        host.do("bridge_network", networks=self.TWO)
        assert host.run("ip netns exec web sysctl -n net.ipv4.ip_forward").strip() == "0"

    @pytest.mark.once
    def test_a_host_that_asks_nobody_where_its_neighbours_are(self, host: Host) -> None:
        host.do("bridge_network", networks=self.TWO)
        host.place("db").serve("db", 80)
        ways = [host.place().question(address, 80) for address in ("10.30.0.3", "fd00:30::3")]
        host.fleet.all_open(ways)
        keys = [f"net.ipv{version}.neigh.br-red.mcast_solicit" for version in (4, 6)]
        host.run(f"sysctl -qw {keys[0]}=0 {keys[1]}=0; ip neigh flush dev br-red")
        host.fleet.all_closed(ways)
        repaired = host.do("bridge_network", networks=self.TWO)
        assert [command for command in repaired.commands if command] == [f"sysctl -w {key}=3" for key in keys]
        host.fleet.all_open(ways)

    @pytest.mark.once
    def test_a_namespace_with_settings_that_keep_its_links_from_working(self, host: Host) -> None:
        """As it inherits them from the first namespace of the machine, here by hand."""
        host.do("bridge_network", networks=self.TWO)
        host.place("db").serve("db", 80)
        ways = [host.place("web").question("10.30.0.3", 80), host.place("app").question(host.fleet.internet(6), 9000)]
        key, limit = "net.ipv4.conf.all.arp_ignore", "net.ipv6.conf.%s.hop_limit"
        try:
            host.run(f"sysctl -qw {key}=8; ip netns exec db sysctl -qw {key}=8; ip -n web neigh flush dev eth1")
            host.run(f"ip netns exec app sysctl -qw {limit % 'default'}=1 {limit % 'eth0'}=1")
            host.fleet.all_closed(ways)
            host.run("ip link delete v-blue-app")
            checked = host.look("bridge_network", networks=self.TWO)
            made = host.do("bridge_network", networks=self.TWO)
            assert made.commands == checked.commands
            assert f"ip netns exec db sysctl -w {key}=0" in made.commands
            assert f"ip netns exec app sysctl -w {limit % 'eth0'}=64" in made.commands
            host.fleet.all_open(ways)
            assert not host.do("bridge_network", networks=self.TWO).changed
        finally:
            host.run(f"sysctl -qw {key}=0")

    @pytest.mark.once
    @pytest.mark.parametrize("which", [("default",), ("all", "default")])
    def test_ipv6_is_off(self, host: Host, which: tuple[str, ...]) -> None:
        """On the first run and later; the other links of the host stay as somebody wants them."""
        off = " ".join(f"net.ipv6.conf.{name}.disable_ipv6=1" for name in which)
        host.run(f"sysctl -qw {off} net.ipv6.conf.default.addr_gen_mode=1")
        try:
            checked = host.look("bridge_network", networks=self.TWO)
            assert host.do("bridge_network", networks=self.TWO).commands == checked.commands
            host.place("db").serve("db", 80)
            inside = host.place("app").question("fd00:20::1", 9000), host.place("web").question("fd00:30::3", 80)
            host.place().serve("host", 9000)
            host.fleet.all_open(inside)
            host.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
            checked = host.look("bridge_network", networks=self.TWO)
            assert checked.changed
            made = host.do("bridge_network", networks=self.TWO)
            assert made.commands == checked.commands
            assert made.warnings.count("all.disable_ipv6 is 1") == 1 and "out: br-blue, br-red." in made.warnings
            host.fleet.all_open(inside)
        finally:
            host.run(
                "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0"
                " net.ipv6.conf.default.addr_gen_mode=0;"
                f" ip address add {host.fleet.lan(host.name, 6)}/64 dev eth0 nodad 2>/dev/null;"
                " ip -6 route replace default via 2001:db8:1::1 dev eth0"
            )


class TestMasquerade:
    @pytest.fixture
    def inner(self, host: Host) -> Host:
        """An endpoint that may forward but is not translated."""
        host.do("bridge", **BRIDGE[1])
        host.do("netns", name="inner")
        host.do("veth", name="v-t", bridge="br-t", peer=PEER)
        host.do("sysctl_forward", ipv6=True)
        return host

    def outside(self, host: Host, version: int) -> Question:
        return host.place("inner").question(host.fleet.internet(version), 9000)

    @pytest.mark.parametrize("version", [4, 6])
    @pytest.mark.parametrize("out", ["default", "eth0", "!br-t", None])
    def test_out_interface(self, inner: Host, version: int, out: str | None) -> None:
        source = {4: "10.50.0.0/24", 6: "fd00:50::/64"}[version]
        inner.fleet.all_closed([self.outside(inner, version)])
        inner.do("nat_masquerade", source=source, out_interface=out)
        assert self.outside(inner, version).answer().seen == inner.fleet.lan(inner.name, version)

    def test_another_interface(self, inner: Host) -> None:
        """Of a masquerade by the management interface, traffic by the LAN sees nothing."""
        inner.do("nat_masquerade", source="10.50.0.0/24", out_interface="mgmt0")
        inner.fleet.all_closed([self.outside(inner, 4)])
        assert (
            inner.place("inner").ask(inner.fleet.nodes["internet"].mgmt, 9000).seen
            == inner.fleet.nodes[inner.name].mgmt
        )

    @pytest.mark.parametrize("version", [4, 6])
    def test_to_source(self, inner: Host, version: int) -> None:
        source, address = {4: ("10.50.0.0/24", "192.0.2.77/24"), 6: ("fd00:50::/64", "2001:db8:1::77/64")}[version]
        inner.run(f"ip address add {address} dev eth0 {'nodad' if version == 6 else ''}")
        try:
            inner.do("nat_masquerade", source=source, out_interface="default", to_source=address.partition("/")[0])
            assert self.outside(inner, version).answer().seen == address.partition("/")[0]
        finally:
            inner.run(f"ip address delete {address} dev eth0")
        inner.do("nat_masquerade", source=source, out_interface="default")
        assert self.outside(inner, version).answer().seen == inner.fleet.lan(inner.name, version)

    def test_exclude(self, inner: Host) -> None:
        inner.do("nat_masquerade", source="10.50.0.0/24", out_interface="default", exclude=["192.0.2.250/32"])
        assert self.outside(inner, 4).answer().seen == inner.fleet.lan(inner.name, 4)
        inner.fleet.lab.run("neighbour", f"ip route replace 10.50.0.0/24 via {inner.fleet.lan(inner.name, 4)}")
        try:
            assert inner.place("inner").ask(inner.fleet.lan("neighbour", 4), 9000).seen == "10.50.0.2"
        finally:
            inner.fleet.lab.run("neighbour", "ip route delete 10.50.0.0/24")

    def test_random_fully(self, inner: Host) -> None:
        inner.do("nat_masquerade", source="10.50.0.0/24", out_interface="default", random_fully=True)
        inner.fleet.place("neighbour").serve("n", 9555)
        answer = inner.place("inner").ask(inner.fleet.lan("neighbour", 4), 9555, source_port=40001)
        assert answer.seen == inner.fleet.lan(inner.name, 4)
        # A port drawn out of tens of thousands is not the same three times.
        ports = {
            inner.place("inner").ask(inner.fleet.lan("neighbour", 4), 9555, "udp", source_port=port).seen_port == port
            for port in (40002, 40003, 40004)
        }
        assert False in ports
        inner.fleet.agent("neighbour").call("forget_all")

    def test_no_default_route(self, inner: Host) -> None:
        inner.run("ip route delete default")
        try:
            assert "default route" in inner.refuse("nat_masquerade", source="10.50.0.0/24", out_interface="default")
        finally:
            inner.run("ip route add default via 192.0.2.1")


class TestPublish:
    @pytest.fixture
    def inner(self, host: Host) -> Host:
        host.do("bridge", **BRIDGE[1])
        host.do("netns", name="inner")
        host.do("veth", name="v-t", bridge="br-t", peer=PEER)
        host.do("sysctl_forward", ipv6=True, route_localnet=["br-t"])
        host.do("bridge_firewall", bridge="br-t")
        host.place("inner").serve("inner", 80, 81)
        return host

    @pytest.mark.once
    @pytest.mark.parametrize("protocol", ["tcp", "udp"])
    @pytest.mark.parametrize("address", ["", "127.0.0.1", "192.0.2.11"])
    def test_port_in_use(self, inner: Host, protocol: str, address: str) -> None:
        """A process listens: its name and number are told."""
        inner.place().serve("host", 8080, protocols=[protocol], address=address)
        pid = inner.run("cat /proc/[0-9]*/status | grep -c Name:").strip()
        message = inner.refuse("port_publish", host_port="8079-8081", container_ip="10.50.0.2", protocol=protocol)
        assert re.search(r"process \d+ \(python3?[^)]*\)", message) and "8080" in message, (message, pid)
        other = {"tcp": "udp", "udp": "tcp"}[protocol]
        inner.do("port_publish", host_port="8080", container_ip="10.50.0.2", container_port="80", protocol=other)

    def test_listener_elsewhere_is_no_conflict(self, inner: Host) -> None:
        """On another address, in another namespace, or of the other family."""
        inner.place().serve("host", 8080, address="127.0.0.1", protocols=["tcp"])
        inner.do("port_publish", host_port="8080", host_ip="192.0.2.11", container_ip="10.50.0.2", container_port="80")
        inner.do("port_publish", host_port="8080", container_ip="fd00:50::2", container_port="80")
        assert inner.fleet.place("neighbour").ask("192.0.2.11", 8080).label == "inner"
        assert inner.place().ask("127.0.0.1", 8080).label == "host"
        inner.do("port_publish", host_port="80", container_ip="10.50.0.2")

    @pytest.mark.parametrize(
        "other",
        [
            {"host_port": "8080", "container_ip": "10.50.0.3"},
            {"host_port": "8070-8090", "container_ip": "10.50.0.2", "container_port": "8070-8090"},
            {"host_port": "8080", "container_ip": "10.50.0.3", "network": "red"},
        ],
        ids=["another-endpoint", "range", "another-network"],
    )
    def test_published_already(self, inner: Host, other: Options) -> None:
        inner.do("port_publish", host_port="8080", container_ip="10.50.0.2", container_port="80", network="blue")
        if "network" not in other and "-" not in other["host_port"]:
            other = {**other, "host_ip": "0.0.0.0", "network": "green"}
        assert "10.50.0.2:80" in inner.refuse("port_publish", **other)

    def test_allowed_sources(self, inner: Host) -> None:
        """Others find it closed; the host itself always may."""
        for version, ip in ((4, "10.50.0.2"), (6, "fd00:50::2")):
            allowed, outsider = inner.fleet.place("neighbour"), inner.fleet.place("h2")
            to = inner.fleet.lan(inner.name, version)
            options = {"host_port": "8080", "container_ip": ip, "container_port": "80"}
            inner.do("port_publish", **options)
            inner.fleet.all_open([allowed.question(to, 8080), outsider.question(to, 8080)])
            inner.do("port_publish", **options, allowed_sources=[inner.fleet.lan("neighbour", version)])
            inner.fleet.all_open([allowed.question(to, 8080), inner.place().question(to, 8080)])
            inner.fleet.all_closed([outsider.question(to, 8080)])

    def test_in_interfaces(self, inner: Host) -> None:
        options = {"host_port": "8080", "container_ip": "10.50.0.2", "container_port": "80"}
        by_lan = inner.fleet.place("neighbour").question("192.0.2.11", 8080)
        by_management = inner.fleet.place("neighbour").question(inner.fleet.nodes[inner.name].mgmt, 8080)
        inner.do("port_publish", **options)
        inner.fleet.all_open([by_lan, by_management])
        inner.do("port_publish", **options, in_interfaces=["mgmt0"])
        inner.fleet.all_open([by_management, inner.place().question("192.0.2.11", 8080)])
        inner.fleet.all_closed([by_lan])

    def test_change_and_take_back(self, inner: Host) -> None:
        """A UDP flow follows the new target at once, and ends with the port; a foreign flow goes on."""
        neighbour = inner.fleet.place("neighbour")
        options = {"host_port": "8080", "container_ip": "10.50.0.2", "protocol": "udp"}
        inner.do("port_publish", **options, container_port="80")
        inner.do("nat_masquerade", source="10.50.0.0/24", out_interface="default")
        other = inner.place("inner").ask("203.0.113.1", 9000, "udp", keep="foreign")
        assert neighbour.ask("192.0.2.11", 8080, "udp", keep="flow").port == 80
        inner.do("port_publish", **options, container_port="81")
        assert neighbour.ask("192.0.2.11", 8080, "udp", keep="flow").port == 81
        inner.do("port_publish", **options, container_port="81", state="absent")
        inner.fleet.all_closed([neighbour.question("192.0.2.11", 8080, "udp", keep="flow")])
        assert inner.place("inner").ask("203.0.113.1", 9000, "udp", keep="foreign") == Anything(other.seen, other.text)
        neighbour.agent.call("forget_all")

    def test_rerun_keeps_a_flow(self, inner: Host) -> None:
        """An established TCP connection lives through a second run and through a change of something else."""
        neighbour = inner.fleet.place("neighbour")
        options = {"host_port": "8080", "container_ip": "10.50.0.2", "container_port": "80"}
        inner.do("port_publish", **options)
        first = neighbour.ask("192.0.2.11", 8080, keep="flow")
        inner.do("port_publish", **options)
        inner.do("port_publish", host_port="8081", container_ip="10.50.0.2", container_port="81")
        again = neighbour.ask("192.0.2.11", 8080, keep="flow")
        assert (again.seen_port, again.label) == (first.seen_port, "inner")
        neighbour.agent.call("forget_all")

    def test_interface_is_not_there(self, host: Host) -> None:
        message = host.refuse_in_earnest("port_publish", host_port="8080", container_ip="10.50.0.2")
        assert "10.50.0.2" in message


@dataclass(frozen=True)
class Anything:
    """Equal to an answer that the same flow got."""

    seen: str
    text: str

    def __eq__(self, other: object) -> bool:
        return getattr(other, "seen", None) == self.seen and getattr(other, "text", None) == self.text


class TestBridgeFirewall:
    @pytest.fixture
    def inner(self, host: Host) -> Iterator[Host]:
        host.do("bridge", **BRIDGE[1])
        host.do("netns", name="inner")
        host.do("veth", name="v-t", bridge="br-t", peer=PEER)
        host.do("sysctl_forward", ipv6=True)
        host.place("inner").serve("inner", 80, 81)
        routes = [
            ("neighbour", f"-4 route VERB 10.50.0.0/24 via {host.fleet.lan(host.name, 4)}"),
            ("neighbour", f"-6 route VERB fd00:50::/64 via {host.fleet.lan(host.name, 6)}"),
            ("h2", f"-4 route VERB 10.50.0.0/24 via {host.fleet.nodes[host.name].mgmt}"),
        ]
        for node, route in routes:
            host.fleet.lab.run(node, f"ip {route}".replace("VERB", "replace"))
        yield host
        for node, route in routes:
            host.fleet.lab.run(node, f"ip {route}".replace("VERB", "delete"))

    def direct(self, host: Host, port: int = 80, protocol: str = "tcp") -> list[Question]:
        return [host.fleet.place("neighbour").question(to, port, protocol) for to in ("10.50.0.2", "fd00:50::2")]

    def test_closes(self, inner: Host) -> None:
        inner.fleet.all_open(self.direct(inner))
        inner.do("bridge_firewall", bridge="br-t")
        inner.fleet.all_closed(self.direct(inner) + self.direct(inner, protocol="udp"))
        inner.do("bridge_firewall", bridge="br-t", direct_access=True)
        inner.fleet.all_open(self.direct(inner))
        inner.do("bridge_firewall", bridge="br-t")
        inner.fleet.all_closed(self.direct(inner))
        inner.do("bridge_firewall", bridge="br-t", state="absent")
        inner.fleet.all_open(self.direct(inner))

    @pytest.mark.once
    def test_an_interface_that_is_no_bridge(self, inner: Host) -> None:
        """The policy would close the way out of all endpoints; one that was there before the interface goes away."""
        inner.run("ip netns add far; ip -n far link set lo up")
        onward = inner.place("inner").question("10.97.0.2", 80)
        policy: Options = {"bridge": "up0", "subnets": ["10.99.0.0/24"]}
        inner.do("bridge_firewall", **policy)
        inner.run("ip link add up0 type veth peer name far0 netns far; ip address add 10.97.0.1/24 dev up0")
        inner.run("ip link set up0 up; ip -n far address add 10.97.0.2/24 dev far0; ip -n far link set far0 up")
        inner.run("ip -n far route add default via 10.97.0.1")
        inner.place("far").serve("far", 80)
        inner.fleet.all_closed([onward])
        inner.do("bridge_firewall", bridge="up0", state="absent")
        inner.fleet.all_open([onward])
        refused = "up0 is there already, and is not a bridge but a veth; choose another name for the bridge."
        assert inner.refuse("bridge_firewall", **policy) == refused
        inner.fleet.all_open([onward])

    def test_trusted_interfaces(self, inner: Host) -> None:
        """From the management network, but not from the LAN."""
        by_management = [inner.fleet.place("h2").question("10.50.0.2", 80)]
        inner.do("bridge_firewall", bridge="br-t")
        inner.fleet.all_closed(by_management)
        inner.do("bridge_firewall", bridge="br-t", trusted_interfaces=["mgmt0"])
        inner.fleet.all_open(by_management)
        inner.fleet.all_closed(self.direct(inner))

    def test_allow(self, inner: Host) -> None:
        """One flow among closed ones."""
        allow = [{"from": "192.0.2.250", "to": "10.50.0.2", "protocol": "tcp", "port": "80"}]
        inner.do("bridge_firewall", bridge="br-t", allow=allow)
        inner.fleet.all_open(self.direct(inner)[:1])
        closed = self.direct(inner)[1:] + self.direct(inner, 81) + self.direct(inner, 80, "udp")
        inner.fleet.all_closed([*closed, inner.fleet.place("h2").question("10.50.0.2", 80)])

    def test_internal(self, inner: Host) -> None:
        inner.do(
            "nat_masquerade", aggregate=[{"source": "10.50.0.0/24"}, {"source": "fd00:50::/64"}], out_interface="eth0"
        )
        outside = [inner.place("inner").question(inner.fleet.internet(version), 9000) for version in (4, 6)]
        inner.do("bridge_firewall", bridge="br-t")
        inner.fleet.all_open(outside)
        inner.do("bridge_firewall", bridge="br-t", internal=True)
        inner.fleet.all_closed(outside + self.direct(inner))
        inner.place().serve("host", 7777)
        assert inner.place("inner").ask("10.50.0.1", 7777).label == "host"

    def test_host_access(self, inner: Host) -> None:
        inner.place().serve("host", 7777)
        to_host = [inner.place("inner").question(to, 7777) for to in ("10.50.0.1", "fd00:50::1", "192.0.2.11")]
        inner.do("bridge_firewall", bridge="br-t")
        inner.fleet.all_open(to_host)
        inner.do("bridge_firewall", bridge="br-t", host_access="deny")
        inner.fleet.all_closed(to_host)
        inner.place("inner").run("ping -nq -c 1 -W 3 10.50.0.1; ping -nq -c 1 -W 3 fd00:50::1")

    def test_icc(self, inner: Host) -> None:
        """Closed between isolated ports, also by way of the gateway."""
        inner.do("netns", name="second")
        peer = {"netns": "second", "addresses": ["10.50.0.3/24", "fd00:50::3/64"], "gateways": ["10.50.0.1"]}
        inner.do("veth", bridge="br-t", aggregate=[{"name": "v-t", "peer": PEER}, {"name": "v-2", "peer": peer}])
        to = [inner.place("second").question(address, 80) for address in ("10.50.0.2", "fd00:50::2")]
        inner.do("bridge_firewall", bridge="br-t")
        inner.fleet.all_open(to)
        inner.do("bridge_firewall", bridge="br-t", icc=False)
        inner.do(
            "veth",
            bridge="br-t",
            isolated=True,
            aggregate=[{"name": "v-t", "peer": PEER}, {"name": "v-2", "peer": peer}],
        )
        inner.fleet.all_closed(to)
        # A route by the gateway makes it the host's business.
        inner.run("ip -n second route add 10.50.0.2/32 via 10.50.0.1; ip -n inner route add 10.50.0.3/32 via 10.50.0.1")
        inner.fleet.all_closed(to[:1])
        inner.do("bridge_firewall", bridge="br-t", icc=True)
        inner.fleet.all_open(to[:1])


def test_names_of_endpoints_where_addresses_are_wanted(host: Host) -> None:
    """In ``allow``, ``allowed_sources`` and ``routes``, in both families: what the name means passes, and no more."""

    def networks(friend: str) -> list[Options]:
        port = {"host_port": 8080, "container_port": 80, "allowed_sources": [friend]}
        ways = [{"to": "10.99.0.0/24", "via": "web"}, {"to": "fd00:99::/64", "via": "web"}]
        blue = {
            "name": "blue",
            "subnets": ["10.50.0.0/24", "fd00:50::/64"],
            "allow": [{"from": friend, "to": "web", "protocol": "tcp", "port": 81}],
            "endpoints": [
                {"name": "web", "addresses": ["10.50.0.2", "fd00:50::2"], "publish": [port]},
                {"name": "db", "routes": ways},
            ],
        }
        red = {
            "name": "red",
            "subnets": ["10.51.0.0/24", "fd00:51::/64"],
            "endpoints": [{"name": "r1"}, {"name": "r2"}],
        }
        return [blue, red]

    fleet = host.fleet
    lans = [fleet.lan(host.name, version) for version in (4, 6)]

    def asked(name: str) -> list[Question]:
        place = host.place(name)
        published = [place.question(lan, 8080) for lan in lans]
        return published + [place.question(to, 81) for to in ("10.50.0.2", "fd00:50::2")]

    assert host.do("bridge_network", networks=networks("r1")).changed
    host.place("web").serve("web", 80, 81)
    host.run("ip -n web address add 10.99.0.1/32 dev lo; ip -n web address add fd00:99::1/128 dev lo")
    others = [fleet.place("neighbour").question(lan, 8080) for lan in lans]
    behind = [host.place("db").question(to, 80) for to in ("10.99.0.1", "fd00:99::1")]
    fleet.all_open([*asked("r1"), *behind])
    fleet.all_closed([*asked("r2"), *others])
    fleet.all_closed([host.place("r1").question(to, 80) for to in ("10.50.0.2", "fd00:50::2")])

    assert host.do("bridge_network", networks=networks("r2.red")).changed
    fleet.all_open(asked("r2"))
    fleet.all_closed([*asked("r1"), *others])
    assert not host.do("bridge_network", networks=networks("r2")).changed


class TestEndpointsThatMove:
    @staticmethod
    def network(*endpoints: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"name": "blue", "subnets": ["10.50.0.0/24"], "endpoints": list(endpoints)}]

    @staticmethod
    def where(host: Host) -> dict[str, tuple[Any, list[str]]]:
        found = host.do("network_info").data["networks"][0]["endpoints"]
        return {item["veth"]: (item["netns"] or item["pid"], item["addresses"]) for item in found}

    def settle(self, host: Host, *endpoints: dict[str, Any], **options: Any) -> None:
        networks = self.network(*endpoints)
        predicted = host.look("bridge_network", networks=networks, **options)
        same(predicted, host.do("bridge_network", networks=networks, **options))
        again = host.do("bridge_network", networks=networks, **options)
        assert (again.changed, again.commands) == (False, [])

    @pytest.mark.once
    @pytest.mark.parametrize("prune", ["project", "none"])
    def test_process(self, host: Host, prune: str) -> None:
        """It keeps its address when others come, also when its namespace gets a name; and others see where it is."""
        pid = host.process()
        vm = {"name": "vm", "pid": pid}
        self.settle(host, {"name": "web"}, vm, prune=prune)
        assert self.where(host)["v-blue-vm"] == (pid, ["10.50.0.37/24"])
        self.settle(host, {"name": "web"}, {"name": "new"}, vm, prune=prune)
        assert self.where(host)["v-blue-vm"] == (pid, ["10.50.0.37/24"])
        host.run(f"ip netns attach theirs {pid}")
        self.settle(host, {"name": "new"}, vm, {"name": "more"}, prune=prune)
        assert self.where(host)["v-blue-vm"] == ("theirs", ["10.50.0.37/24"])
        host.run("ip netns delete theirs")

    @pytest.mark.once
    def test_namespaces_exchanged(self, host: Host) -> None:
        self.settle(host, {"name": "web"}, {"name": "db"})
        self.settle(host, {"name": "web", "netns": "db"}, {"name": "db", "netns": "web"})
        assert self.where(host) == {"v-blue-web": ("db", ["10.50.0.183/24"]), "v-blue-db": ("web", ["10.50.0.194/24"])}
        for name in ("web", "db"):
            host.place(name).serve(name, 80)
        host.fleet.all_open(
            [host.place("db").question("10.50.0.194", 80), host.place("web").question("10.50.0.183", 80)]
        )

    @pytest.mark.once
    def test_another_namespace(self, host: Host) -> None:
        """The one that it leaves goes in the same run."""
        self.settle(host, {"name": "web"}, {"name": "db"})
        self.settle(host, {"name": "web"}, {"name": "db", "netns": "data"})
        assert self.where(host)["v-blue-db"] == ("data", ["10.50.0.194/24"])
        assert {"web", "data"} == set(host.run("ip netns list | cut -d' ' -f1").split())

    @pytest.mark.once
    def test_bridge_of_others(self, host: Host) -> None:
        """It is used and left; a run that changes nothing shows nothing."""
        host.run("ip link add br-blue type bridge; ip address add 10.50.0.1/24 dev br-blue; ip link set br-blue up")
        self.settle(host, {"name": "web"})
        again = host.look("bridge_network", networks=self.network({"name": "web"}))
        assert again.data["diff"] == {"before": "", "after": ""}
        host.do("bridge_network", networks=[], prune="project")
        host.run("ip link delete br-blue")


@pytest.mark.once
class TestChoices:
    """The values left open by the user: subnets from the pools, addresses by name, ports that are free on the host."""

    NETWORKS: ClassVar[list[Options]] = [
        {"name": "blue", "endpoints": [{"name": "web", "publish": ["80"]}, {"name": "db"}]},
        {"name": "vault", "internal": True, "endpoints": [{"name": "safe"}]},
    ]

    def test_what_is_chosen_works_and_stays(self, host: Host) -> None:
        host.run("ip route add 172.16.0.0/12 via 192.0.2.250")  # as behind a VPN: the pools begin at 192.168 now
        host.place().serve("host", 49153)
        made = host.do("bridge_network", networks=self.NETWORKS)
        subnets = {network["name"]: network["subnets"] for network in host.do("network_info").data["networks"]}
        assert subnets == {"blue": ["192.168.192.0/20"], "vault": ["192.168.32.0/20"]}
        [port] = host.do("network_info").data["ports"]
        assert port["host_port"] == "49154" and made.changed
        host.place("web").serve("web", 80)
        lan = host.fleet.lan(host.name, 4)
        assert host.fleet.place("neighbour").ask(lan, 49154).label == "web"
        assert host.fleet.place("neighbour").ask(lan, 49153).label == "host"
        assert host.place("db").ask(port["container_ip"], 80).label == "web"
        assert host.place("safe").run("ping -c1 -W1 192.168.32.1")
        # later the better subnets are free, and somebody takes the port: what lives keeps what it has
        host.run("ip route delete 172.16.0.0/12")
        host.place().serve("late", 49154)
        assert not host.look("bridge_network", networks=self.NETWORKS[::-1]).changed
        host.run("ip link delete br-blue")
        host.do("bridge_network", networks=self.NETWORKS)
        assert not host.do("bridge_network", networks=self.NETWORKS).changed
        host.fleet.all_open([host.fleet.place("neighbour").question(lan, 49154)])
        again = {network["name"]: network["subnets"] for network in host.do("network_info").data["networks"]}
        assert again == subnets
        host.do("bridge_network", networks=self.NETWORKS, state="absent")

    def test_one_mac_address_for_two_is_refused(self, host: Host) -> None:
        """Also when the other one is there already, and not in the request."""
        host.do("netns", aggregate=[{"name": "one"}, {"name": "two"}])
        host.do("bridge", name="br-t")
        mac = "02:00:00:00:00:01"
        host.do("veth", name="v1", bridge="br-t", peer={"netns": "one", "mac_address": mac})
        refused = host.refuse("veth", name="v2", bridge="br-t", peer={"netns": "two", "mac_address": mac})
        assert mac in refused and "namespace one" in refused
        host.do("bridge", name="br-t", state="absent")
        host.do("veth", name="v1", state="absent")
        host.do("netns", aggregate=[{"name": "one"}, {"name": "two"}], state="absent")


class TestInfo:
    def test_changes_nothing_and_tells(self, host: Host) -> None:
        host.do("bridge_network", networks=NETWORK)
        before = host.dump()
        generation = host.generation()
        found = host.do("network_info").data
        assert differences(before, host.dump()) == "" and host.generation() == generation
        assert not found["changed"]
        assert [network["name"] for network in found["networks"]] == ["blue", "red"]
        blue = found["networks"][0]
        assert blue["bridge"] == "br-blue" and blue["subnets"] == ["10.50.0.0/24", "fd00:50::/64"]
        web = next(endpoint for endpoint in blue["endpoints"] if endpoint["name"] == "web")
        assert (web["interface"], web["addresses"]) == ("eth0", ["10.50.0.2/24", "fd00:50::2/64"])
        assert {port["host_port"] for port in found["ports"]} == {"8080", "9000", "7000-7002"}
        assert found["forwarding"]["ipv4"] and found["forwarding"]["ipv6"]
        assert found["foreign"] == []
        one = host.do("network_info", name="red").data
        assert [network["name"] for network in one["networks"]] == ["red"]

    @pytest.mark.once
    def test_what_lives_in_an_endpoint(self, host: Host) -> None:
        """The processes, the listeners behind published ports, and the routes that are not as they should be."""
        host.do("bridge_network", networks=NETWORK)

        def web() -> dict[str, Any]:
            found = host.do("network_info").data["networks"][0]["endpoints"]
            return next(dict(item) for item in found if item["name"] == "web")

        def heard() -> list[tuple[bool, list[str]]]:
            return [(use["heard"], use["elsewhere"]) for use in web()["ports"] if use["container_port"] == "80"]

        assert set(map(str, heard())) == {str((False, []))} and web()["processes"] == []
        serve = "import socket as s, sys; l = s.create_server((sys.argv[1], 80)); print(flush=True); l.accept()"
        for address, reached, elsewhere in (("127.0.0.1", False, ["127.0.0.1"]), ("0.0.0.0", True, [])):
            host.run(f"ip netns exec web python3 -c '{serve}' {address} > /tmp/said 2>&1 & echo $! > /tmp/server")
            host.run("until [ -s /tmp/said ]; do :; done")
            pid = int(host.run("cat /tmp/server"))
            assert (reached, elsewhere) in heard()
            assert [process["pid"] for process in web()["processes"]] == [pid]
            host.run(f"kill {pid}; rm /tmp/said")
        assert web()["troubles"] == []
        host.run("ip -n web route replace default via 10.50.0.99; ip -n web -6 route flush dev eth0")
        assert web()["troubles"] == ["default by 10.50.0.99, not the gateway", "no way to its gateway fd00:50::1"]
        host.do("bridge_network", networks=NETWORK)
        host.run("ip -n web link add br9 up type bridge; ip -n web route add 10.50.0.0/25 dev br9")
        host.run("ip -n web route add 192.0.2.0/24 dev br9")
        assert [told.split()[0] for told in web()["troubles"]] == ["10.50.0.0/25", "192.0.2.0/24"]
        assert host.do("bridge_network", networks=NETWORK).changed
        assert [told.split()[0] for told in web()["troubles"]] == ["192.0.2.0/24"]
        host.run("ip -n web link del br9")
        host.run("ip address delete 10.50.0.1/24 dev br-blue; ip -6 route delete fd00:50::/64 dev br-blue")
        assert web()["troubles"] == [
            "br-blue has lost its address in 10.50.0.0/24; run the playbook",
            "the host has no route to fd00:50::/64 by br-blue; run the playbook",
        ]
        host.do("bridge_network", networks=NETWORK)
        assert web()["troubles"] == []
        host.run("ip -n web rule flush; ip -n web route flush table local")
        main, default, local = web()["troubles"]
        assert "no rule leads to the routing table main (IPv4)" in main and "table default" in default
        assert "table local lacks 10.50.0." in local
        host.do("bridge_network", networks=NETWORK)
        assert web()["troubles"] == []
        host.place("web").serve("web", 80)
        host.fleet.all_open([host.place().question(web()["addresses"][0].split("/")[0], 80)])

    def test_empty_host(self, host: Host) -> None:
        before = host.dump()
        found = host.do("network_info").data
        assert (found["networks"], found["ports"], found["masquerades"]) == ([], [], [])
        assert differences(before, host.dump()) == ""

    def test_foreign(self, host: Host) -> None:
        """A chain of somebody that drops what our rules accept."""
        host.do("bridge_network", networks=NETWORK)
        host.run("nft 'table inet theirs { chain way { type filter hook forward priority 10; policy drop; }; }'")
        found = host.do("network_info").data["foreign"]
        assert any("way" in line and "inet theirs" in line for line in found), found


# ---- over ssh


@pytest.mark.once
@pytest.mark.ansible
def test_over_ssh(host: Host) -> None:
    """Each module as Ansible calls it: in check mode, in earnest, once more, and away again."""
    nothing = host.dump()
    tasks: list[tuple[str, Options]] = [
        NETNS,
        BRIDGE,
        ("bridge_firewall", {"bridge": "br-t"}),
        ("sysctl_forward", {"ipv6": True}),
        ("nat_masquerade", {"source": "10.50.0.0/24", "out_interface": "default"}),
        ("veth", {"name": "v-t", "bridge": "br-t", "peer": PEER}),
        ("port_publish", {"host_port": "8080", "container_ip": "10.50.0.2", "container_port": "80"}),
    ]

    def play(name: str, chosen: list[tuple[str, Options]], **more: Any) -> Options:
        listed = [{"name": module, f"dockerless.network.{module}": options} for module, options in chosen]
        return {"name": name, "hosts": "fleet", "become": True, "gather_facts": False, "tasks": listed, **more}

    plays = [
        play("check", tasks, check_mode=True, diff=True),
        play("make", tasks),
        play("again", [*tasks, ("network_info", {})]),
        play("away", [(module, {**options, "state": "absent"}) for module, options in reversed(tasks)]),
    ]
    run = host.fleet.play(plays, hosts=host.name).must()
    changed = {part["name"]: [r.task for r in run.of(play=part["name"]) if r.status == "changed"] for part in plays}
    modules = [module for module, unused in tasks]
    assert changed == {"check": modules, "make": modules, "again": [], "away": modules[::-1]}
    info = run.of(play="again")[-1].result
    assert info["networks"][0]["endpoints"][0]["netns"] == "inner"
    assert remains(nothing, host.dump()) == ""


# Runs what Ansible has sent, if wanted with one source changed, and tells which of our files are compiled.
COUNTED = r"""
import base64, builtins, contextlib, io, json, re, runpy, sys, zipfile
path, changed = sys.argv[1:]
text = open(path).read()
packed = max(re.findall("[A-Za-z0-9+/=]{1000,}", text), key=len)
archive = io.BytesIO()
with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as old, zipfile.ZipFile(archive, "w", 8) as new:
    for name in old.namelist():
        new.writestr(name, old.read(name) + (b"#" if changed and name.endswith(changed) else b""))
with open("/root/sent.py", "w") as file:
    file.write(text.replace(packed, base64.b64encode(archive.getvalue()).decode()))
compiled, genuine = set(), builtins.compile
def counted(source, path, *words, **options):
    if "/module_utils/" in str(path) and "/dockerless/" in str(path):
        compiled.add(str(path).rpartition("/module_utils/")[2])
    return genuine(source, path, *words, **options)
builtins.compile = counted
sys.argv, told = ["/root/sent.py"], io.StringIO()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(told):
    runpy.run_path("/root/sent.py", run_name="__main__")
print(json.dumps([json.loads(told.getvalue())["changed"], sorted(name for name in compiled if "__init__" not in name)]))
"""


@pytest.mark.once
def test_what_has_been_compiled_is_kept(host: Host) -> None:
    """Byte code runs as root: by who sends the same source again, for as long as something of ours is there."""
    nothing = host.dump()

    def play(**options: Any) -> None:
        networks = [{"name": "t", "endpoints": [{"name": "e"}]}]
        task = {"dockerless.network.bridge_network": {"networks": networks, **options}}
        play = {"hosts": "fleet", "become": True, "gather_facts": False, "tasks": [task]}
        how = {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "0"}
        host.run("rm -rf /root/.ansible")
        host.fleet.play([play], hosts=host.name, environment=how).must()

    def call(changed: str = "") -> Any:
        sent = host.run("ls /root/.ansible/tmp/*/AnsiballZ_bridge_network.py").strip()
        python = str(host.fleet.settings.python)
        return json.loads(host.fleet.lab.run(host.name, [python, "-c", COUNTED, sent, changed]).stdout.splitlines()[-1])

    play()
    call()  # needs a file or two that the first one did not
    always = ["byte_code.py", "loading.py"]
    assert call() == [False, always]
    assert call("/module_utils/converge.py") == [False, [*always[:1], "converge.py", *always[1:]]]
    assert call("/module_utils/converge.py") == [False, always]
    kept = host.run("cd /run/dockerless.network; stat -c '%U %a %n' . code code/*").split()
    assert (kept[:6], kept[6:8]) == (["root", "755", ".", "root", "700", "code"], ["root", "600"])
    play(state="absent")
    assert remains(nothing, host.dump()) == ""


# ---- the path check


def test_path_check(host: Host) -> None:
    """The module itself; what it says is compared with packets in test_path_check.py."""
    host.do("bridge_network", networks=NETWORK)
    ping = {"from": "web", "to": "db"}
    assert host.do("path_check", **ping).data["verdict"] == "arrives"
    look = host.look("path_check", **ping)
    assert (look.data["verdict"], look.changed) == ("arrives", False)
    refused = host.do("path_check", **ping, port=80).data
    assert (refused["verdict"], refused["layer"]) == ("refused", "service")
    closed = host.do("path_check", **{"from": "web", "to": "r1"}, port=80, timeout=0.5).data
    assert (closed["verdict"], closed["layer"], closed["place"]) == ("lost", "firewall", "host")
    assert (refused["owner"], closed["owner"]) == (None, "this collection")
    assert "no endpoint nobody" in host.refuse("path_check", **{"from": "nobody", "to": "db"})
    assert "port: it is required for protocol tcp" in host.refuse("path_check", **ping, protocol="tcp")


def test_the_proof_of_a_translation(host: Host) -> None:
    """The playbook: the packet inside, and what became of it on the uplink, as a table that is printed as it is."""
    host.do("bridge_network", networks=NETWORK)
    run = host.fleet.play(
        "- import_playbook: dockerless.network.proof",
        hosts=host.name,
        extra={"from": "web", "to": "203.0.113.1"},
        environment={"ANSIBLE_STDOUT_CALLBACK": "default"},
    )
    rows = [[cell.strip() for cell in line.split("│")] for line in run.output.splitlines() if "│" in line]

    assert rows[0] == ["where", "the packet", "its answer"], run.output
    assert rows[1] == ["web: eth0", "10.50.0.2 > 203.0.113.1", "203.0.113.1 > 10.50.0.2"]
    uplink, entry = rows[-2:]
    assert uplink[0] == f"{host.name}: eth0 (uplink)" and uplink[2] == entry[2].partition("  ")[0]
    assert entry[:2] == [f"conntrack of {host.name}", "10.50.0.2 > 203.0.113.1"]
    assert f"{host.name} changed the source between br-blue and eth0: 10.50.0.2 -> " in run.output
    assert "ARRIVES: the answer came back" in run.output


@pytest.mark.once
@pytest.mark.parametrize(("said", "missing"), [({}, "from"), ({"from": "db"}, "to")], ids=["nothing", "from"])
def test_the_playbook_check_asks_what_to_follow(host: Host, said: dict[str, str], missing: str) -> None:
    run = host.fleet.play("- import_playbook: dockerless.network.check", hosts=host.name, extra=said)
    assert run.failed and f"{missing} is missing. Say with -e which packet to follow" in run.output
    assert "dockerless.network.check -i inventory -e from=web -e to=203.0.113.1:443" in run.output


@pytest.mark.once
def test_the_playbook_check(host: Host) -> None:
    """The way as lines with the verdict at the end. With --check nothing is sent."""
    host.do("bridge_network", networks=NETWORK)

    def ask(check: bool = False) -> tuple[bool, list[str]]:
        extra = {"from": "db", "to": "10.50.0.2:80"}
        run = host.fleet.play(
            "- import_playbook: dockerless.network.check", hosts=host.name, check=check, extra=extra
        ).must()
        *unused, followed, shown = run.results
        assert not run.changed and all(line in run.output for line in shown.result["lines"])
        return bool(followed.result["seen"]), shown.result["lines"]

    sent, refused = ask()
    assert sent and refused[-2:] == [
        "REFUSED at web, service: nothing listens on port 80/tcp in endpoint web",
        "To fix it: Start the service inside endpoint web: name its unit in the endpoint's `services`, or start it by"
        " hand: ip netns exec web COMMAND",
    ]
    sent, foreseen = ask(check=True)
    assert not sent and foreseen[-2:] == refused[-2:]
    host.place("web").serve("web", 80)
    sent, way = ask()
    assert sent and way[0].endswith(" > 10.50.0.2:80/tcp") and way[-1] == "ARRIVES: the answer came back", way
    assert any(line.split()[:4] == [">", host.name, "link", "v-blue-db"] for line in way), way
