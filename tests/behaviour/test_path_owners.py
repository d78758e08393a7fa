# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The path check names the owner of what stops a packet, and its advice, followed to the letter, lets the packet pass.

The rules are those that other programs make, written without these programs. test_coexistence.py has Docker, firewalld
and ufw themselves.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from path_world import PathWorld
from small_world import IMPATIENCE

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

WEB = {4: "10.20.0.2", 6: "fd00:20::2"}
NEIGHBOUR = {4: "192.0.2.2", 6: "2001:db8::2"}
VM = "192.168.122.2"
NETWORK: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [{"name": "web", "addresses": list(WEB.values())}],
}
OUT, TO_VM = "out", "to a virtual machine"

# The table filter of Docker 28, without networks. It sets the policy where it has turned forwarding on.
DOCKER = """
{iptables} -N DOCKER-USER
{iptables} -N DOCKER-FORWARD
{iptables} -N DOCKER-CT
{iptables} -A DOCKER-FORWARD -j DOCKER-CT
{iptables} -A FORWARD -j DOCKER-USER
{iptables} -A FORWARD -j DOCKER-FORWARD
"""
# Of libvirt 10.4 and later, and of iptables before that (virnetworkfirewall: network_nftables.c, network_iptables.c).
LIBVIRT = """
nft -f - <<'EOF'
table ip libvirt_network {
    chain forward {
        type filter hook forward priority filter; policy accept
        counter jump guest_cross
        counter jump guest_input
        counter jump guest_output
    }
    chain guest_cross { iif virbr0 oif virbr0 counter accept; }
    chain guest_input {
        oif virbr0 ip daddr 192.168.122.0/24 ct state related,established counter accept
        oif virbr0 counter reject
    }
    chain guest_output { iif virbr0 ip saddr 192.168.122.0/24 counter accept; iif virbr0 counter reject; }
}
EOF
"""
LIBVIRT_BEFORE = """
{iptables} -N LIBVIRT_FWI
{iptables} -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{iptables} -A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
{iptables} -A FORWARD -j LIBVIRT_FWI
"""
UNDO_IPTABLES = "{iptables} -P FORWARD ACCEPT && {iptables} -F && {iptables} -X"
MINE = """
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy accept
        tcp dport 99 drop
    }
}
"""
RULE = "-A FORWARD -p tcp -m tcp --dport 99 -m comment --comment mine -j DROP"
IN_FILE = """
echo '%s' > %s
%s
"""


@dataclass(frozen=True)
class Case:
    """What somebody has done, whose it is, and a part of the advice."""

    do: str
    undo: str
    owner: str
    advice: str
    layer: str = "firewall"
    on: tuple[str, ...] = ("nft 4",)  # variants of iptables, and versions of IP
    way: str = OUT


BOTH = ("nft 4", "legacy 6")
CASES = {
    "policy beside chains of Docker": Case(
        DOCKER + "{iptables} -P FORWARD DROP", UNDO_IPTABLES, "Docker", "{iptables} -I DOCKER-USER -s ", on=BOTH
    ),
    "chain of Docker": Case(
        DOCKER + "{iptables} -A DOCKER-FORWARD -o up0 -j DROP",
        UNDO_IPTABLES,
        "Docker",
        "{iptables} -I DOCKER-USER -s ",
        on=BOTH,
    ),
    "rule of a person in Docker's chain": Case(
        DOCKER + "{iptables} -A DOCKER-USER -o up0 -j DROP",
        UNDO_IPTABLES,
        "an administrator",
        "nft delete rule {ip} filter DOCKER-USER handle ",
    ),
    "table of libvirt": Case(
        LIBVIRT,
        "nft delete table ip libvirt_network",
        "libvirt",
        "change the network's definition (virsh net-edit; with <forward mode='open'/>, libvirt adds no rules).",
        way=TO_VM,
    ),
    "chain of libvirt": Case(LIBVIRT_BEFORE, UNDO_IPTABLES, "libvirt", "virsh net-edit", on=("legacy 4",), way=TO_VM),
    "nftables.conf": Case(
        IN_FILE % (MINE, "/etc/nftables.conf", "nft -f /etc/nftables.conf"),
        "rm /etc/nftables.conf && nft delete table inet filter",
        "an administrator",
        "/etc/nftables.conf has it, too; change it there as well, or it returns. Change the rule, or delete it: nft ",
        on=("nft 6",),
    ),
    "iptables-persistent": Case(
        "mkdir -p /etc/iptables"
        + IN_FILE % ("*filter\n%s\nCOMMIT" % RULE, "/etc/iptables/rules.v{number}", "{iptables} " + RULE),
        "rm -r /etc/iptables && " + UNDO_IPTABLES,
        "an administrator",
        "/etc/iptables/rules.v{number} has it, too; change it there as well, or it returns. ",
        on=BOTH,
    ),
    "table of nobody known": Case(
        "nft -f - <<'EOF'\n" + MINE + "EOF",
        "nft delete table inet filter",
        "not ours",
        "Change the rule, or delete it: nft delete rule inet filter forward handle ",
    ),
    "route of BIRD": Case(
        "{ip_tool} route add blackhole {neighbour}/{bits} proto bird",
        "{ip_tool} route del blackhole {neighbour}/{bits} || true",
        "BIRD",
        "It was set by BIRD, which may set it again; change it there. Delete it: ",
        layer="route",
    ),
    "route of a person": Case(
        "{ip_tool} route add blackhole {neighbour}/{bits}",
        "{ip_tool} route del blackhole {neighbour}/{bits} || true",
        "a person or a script (ip route)",
        "Delete it: ",
        layer="route",
        on=("nft 6",),
    ),
    "rule of routing": Case(
        "{ip_tool} rule add to {neighbour} blackhole pref 99 protocol static",
        "{ip_tool} rule del to {neighbour} blackhole pref 99 || true",
        "static configuration",
        "It was set by static configuration, which may set it again; change it there. Delete it: ",
        layer="route",
    ),
}
ALL = [pytest.param(case, on, id=f"{name}-{on}") for name, case in CASES.items() for on in case.on]


@pytest.fixture(scope="module")
def world() -> Iterator[PathWorld]:
    found = PathWorld()
    found.make(NETWORK)
    found.must("sh", "-ec", VIRTUAL_MACHINE)
    yield found
    found.close()


VIRTUAL_MACHINE = f"""
ip link add virbr0 type bridge
ip address add 192.168.122.1/24 dev virbr0
ip link set virbr0 up
ip netns add vm
ip link add vnet0 type veth peer name eth0 netns vm
ip link set vnet0 master virbr0 up
ip -n vm address add {VM}/24 dev eth0
ip -n vm link set eth0 up
ip -n vm route add default via 192.168.122.1
"""


@contextlib.contextmanager
def done(world: PathWorld, case: Case, fields: dict[str, Any]) -> Iterator[None]:
    world.must("sh", "-ec", filled(case.do, fields))
    try:
        yield
    finally:
        world.must("sh", "-ec", filled(case.undo, fields))


def filled(text: str, fields: dict[str, Any]) -> str:
    """The text with what stands for its words in braces; other braces stay."""
    return re.sub(r"\{(\w+)\}", lambda found: str(fields[found[1]]), text)


@pytest.mark.parametrize(("case", "on"), ALL)
def test_whose_it_is_and_what_mends_it(world: PathWorld, case: Case, on: str) -> None:
    variant, version = on.split()[0], int(on.split()[1])
    place, to = ("neighbour", NEIGHBOUR[version]) if case.way == OUT else ("vm", VM)
    fields = {
        "iptables": f"{'iptables' if version == 4 else 'ip6tables'}-{variant}",
        "ip": "ip" if version == 4 else "ip6",
        "ip_tool": f"ip -{version}",
        "number": version,
        "neighbour": NEIGHBOUR[version],
        "bits": 32 if version == 4 else 128,
    }
    with world.server(place, 99) as server:
        assert world.ask("web", to, 99, server) is not None
        with done(world, case, fields):
            assert world.ask("web", to, 99, server, patience=IMPATIENCE) is None
            for active in (False, True):
                found = world.check("web", to, 99, active=active, timeout=0.3)
                assert (found["layer"], found["owner"]) == (case.layer, case.owner), found
                assert filled(case.advice, fields) in found["advice"], found
            if case.layer == "firewall" and case.owner != "not ours":
                assert f"(a rule of {case.owner})" in found["reason"], found
            world.must("sh", "-ec", found["advice"].rpartition(": ")[2])
            assert world.ask("web", to, 99, server) is not None, found


# ---- objects without a rule


@pytest.mark.parametrize("active", [True, False], ids=["active", "static"])
def test_a_ban(world: PathWorld, active: bool) -> None:
    """The table of fail2ban's action nftables, with a ban; there is no fail2ban here that could lift it."""
    banned = "nft add element inet f2b-table addr-set-web '{ %s }'" % WEB[4]
    world.must("nft", "-f", "-", text=FAIL2BAN)
    world.must("sh", "-ec", banned)
    try:
        with world.server("host", 98):
            found = world.check("web", "10.20.0.1", 98, active=active, timeout=0.3)
    finally:
        world.must("nft", "delete", "table", "inet", "f2b-table")

    assert (found["verdict"], found["layer"], found["owner"]) == ("refused", "firewall", "fail2ban"), found
    assert found["advice"] == f"Lift the ban: fail2ban-client unban {WEB[4]}"


FAIL2BAN = """
table inet f2b-table {
    set addr-set-web { type ipv4_addr; }
    chain f2b-chain {
        type filter hook input priority filter - 1; policy accept
        tcp dport 98 ip saddr @addr-set-web reject with icmp port-unreachable
    }
}
"""


@pytest.mark.parametrize(
    ("path", "text", "owner", "command"),
    [
        ("/run/systemd/netif/links/{}", "ADMIN_STATE=configured", "systemd-networkd", "networkctl reconfigure up0"),
        ("/run/NetworkManager/devices/{}", "managed=true", "NetworkManager", "nmcli device connect up0"),
        ("/run/network/ifstate", "up0=up0", "ifupdown", "ifup --force up0"),
        ("/run/nothing", "", "not ours", "ip link set up0 up"),
    ],
    ids=["networkd", "NetworkManager", "ifupdown", "nobody"],
)
def test_the_manager_of_the_uplink(world: PathWorld, path: str, text: str, owner: str, command: str) -> None:
    path = path.format(world.must("cat", "/sys/class/net/up0/ifindex").strip())
    world.must("sh", "-ec", f"mkdir -p $(dirname {path}) && echo {text} > {path} && ip link set up0 down")
    try:
        found = world.check("web", NEIGHBOUR[4], 99, active=owner == "systemd-networkd", timeout=0.3)
    finally:
        world.must("sh", "-ec", f"rm {path}; ip link set up0 up; ip address replace 2001:db8::1/64 dev up0 nodad")

    assert (found["layer"], found["owner"], found["advice"].rpartition(": ")[2]) == ("uplink", owner, command), found


@pytest.mark.parametrize(
    ("do", "undo", "to", "layer", "owner"),
    [
        ("ip link set virbr0 down", "ip link set virbr0 up", VM, "link", "libvirt"),
        ("ip link set br-blue down", "", NEIGHBOUR[4], "link", "this collection"),
        ("ip -n web address flush dev eth0", "", NEIGHBOUR[4], "address", "this collection"),
        ("ip -n web route del default", "", NEIGHBOUR[4], "route", "this collection"),
        ("sysctl -qw net.ipv4.conf.br-blue.forwarding=0", "", NEIGHBOUR[4], "forwarding", "this collection"),
        ("nft flush chain inet dockerless egress4", "", NEIGHBOUR[4], "masquerade", "this collection"),
        ("true", "", NEIGHBOUR[4], "upstream", "another machine"),
        ("true", "", VM, "service", None),
    ],
    ids=["bridge of libvirt", "bridge", "address", "route", "forwarding", "masquerade", "outside", "service"],
)
def test_what_is_no_rule_of_others(
    world: PathWorld, do: str, undo: str, to: str, layer: str, owner: str | None
) -> None:
    world.must("sh", "-ec", do)
    try:
        found = world.check("web", to, 97, timeout=0.3, active=layer in ("upstream", "masquerade"))
    finally:
        world.must("sh", "-ec", undo)
        world.make(NETWORK)
        world.must("sh", "-ec", "ip -n vm route replace default via 192.168.122.1")
    assert (found["layer"], found["owner"]) == (layer, owner), found


def test_a_setting_of_the_uplink_does_not_belong_to_the_uplink(world: PathWorld) -> None:
    world.must("sysctl", "-qw", "net.ipv4.conf.up0.forwarding=0")
    try:
        with world.server("neighbour", 99):
            found = world.check("web", NEIGHBOUR[4], 99, timeout=0.3)
    finally:
        world.must("sysctl", "-qw", "net.ipv4.conf.up0.forwarding=1")
    assert (found["layer"], found["place"], found["owner"]) == ("forwarding", "host: up0", "this collection"), found


def test_what_arrives_has_no_owner(world: PathWorld) -> None:
    with world.server("neighbour", 99):
        assert world.check("web", NEIGHBOUR[4], 99)["owner"] is None
