# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils import (
    link_operations,
    namespace_operations,
    operations,
    unit_operations,
)
from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import CommandError, UnitError
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import (
    Announcement,
    Awaited,
    EgressFlows,
    LostRoute,
    PortFlows,
    RouteEntry,
    WithdrawnFlows,
)
from ansible_collections.dockerless.network.plugins.module_utils.kernel.sysctl import sysctl_name
from ansible_collections.dockerless.network.plugins.module_utils.link_operations import (
    AddAddress,
    AddBarrier,
    AddBridge,
    AddDefaultRule,
    AddRoute,
    AddRule,
    AddVeth,
    Announce,
    AwaitAddresses,
    DeleteLinks,
    RemoveAddress,
    RemoveBarrier,
    RemoveRoute,
    RemoveRule,
    RenewAddress,
    RestoreRoute,
    SetLink,
    SetPort,
)
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    HOST,
    DefaultRule,
    Masquerade,
    Place,
    Route,
    SourceRule,
)
from ansible_collections.dockerless.network.plugins.module_utils.namespace_operations import (
    AttachNamespace,
    CreateNamespace,
    DeleteNamespace,
    NoteSysctls,
    SetSysctl,
)
from ansible_collections.dockerless.network.plugins.module_utils.operations import (
    ForgetFlows,
    LoadRules,
    Operation,
    RemoveFile,
    RunTool,
    SetRights,
    Together,
    WriteFile,
    inside,
)
from ansible_collections.dockerless.network.plugins.module_utils.unit_operations import DaemonReload, MountFor, UnitVerb
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost

WEB, PROCESS = Place(netns="web"), Place(pid=7)
FOUR, SIX = ip_interface("10.20.0.2/24"), ip_interface("fd00:20::2/64")
DEFAULT = Route(ip_network("0.0.0.0/0"), ip_address("10.20.0.1"))
DEFAULT6 = Route(ip_network("::/0"), ip_address("fd00:20::1"), 7)
LINK_ROUTE = Route(ip_network("192.0.2.0/24"))
WALL = RouteEntry(Route(ip_network("192.0.2.0/24"), None, 0), "", 3, "unreachable")
SHARED = RouteEntry(Route(ip_network("0.0.0.0/0"), None, 5), "", 3, hops=((ip_address("10.0.0.1"), "a"), (None, "b")))
BY_OBJECT = RouteEntry(
    Route(ip_network("::/0"), None, 1), "", 3, "blackhole", origin=ip_network("fd00::/64"), nexthop=7
)
AT_HOME = RouteEntry(Route(ip_network("192.0.2.0/24"), None, 0, 255), "lo", 3, "local", tos=16)
WALL6 = RouteEntry(Route(ip_network("::/0"), None, 1), "lo", 3, "blackhole")
FORGET = "rm -f %s/web; rmdir -p --ignore-fail-on-non-empty %s" % (("/run/dockerless.network/netns",) * 2)


@pytest.mark.parametrize(
    ("step", "commands"),
    [
        (
            CreateNamespace("web", "dockerless.network:blue"),
            [
                "ip netns add web",
                "ip -n web link set lo group 25708 alias dockerless.network:blue up",
                "ip netns exec web sysctl -w net.ipv4.ip_forward=0",
            ],
        ),
        (
            AttachNamespace("web", 7),
            [
                "ip netns attach web 7",
                "mkdir -p /run/dockerless.network/netns",
                "stat -Lc %i /run/netns/web > /run/dockerless.network/netns/web",
            ],
        ),
        (DeleteNamespace("web"), ["ip netns delete web"]),
        (DeleteNamespace("web", attached=True), ["ip netns delete web", FORGET]),
        (SetSysctl(HOST, "net/ipv4/ip_forward", "1"), ["sysctl -w net.ipv4.ip_forward=1"]),
        (
            SetSysctl(WEB, "net/ipv4/ip_local_port_range", "1 2"),
            ["ip netns exec web sysctl -w 'net.ipv4.ip_local_port_range=1 2'"],
        ),
        (
            SetSysctl(PROCESS, "net/ipv6/conf/eth0.7/accept_ra", "0"),
            ["nsenter --target 7 --net sysctl -w net/ipv6/conf/eth0.7/accept_ra=0"],
        ),
        (
            AddBridge("br0", "02:00:00:00:00:01", 1400, True),
            ["ip link add name br0 address 02:00:00:00:00:01 mtu 1400 group 25708 type bridge stp_state 1"],
        ),
        (
            AddBridge("br0", "02:00:00:00:00:01"),
            ["ip link add name br0 address 02:00:00:00:00:01 group 25708 type bridge stp_state 0"],
        ),
        (
            AddVeth("v0", "eth0", WEB, 1400, "02:00:00:00:00:02", "br0"),
            [
                "ip link add name v0 mtu 1400 group 25708 master br0 type veth peer name eth0 mtu 1400 group 25708"
                " address 02:00:00:00:00:02 netns web"
            ],
        ),
        (
            AddVeth("v0", "eth0", PROCESS),
            ["ip link add name v0 group 25708 type veth peer name eth0 group 25708 netns 7"],
        ),
        (AddVeth("v0", "v1", HOST), ["ip link add name v0 group 25708 type veth peer name v1 group 25708"]),
        (
            SetLink(WEB, "eth0", (("mtu", 1400), ("address", "02:00:00:00:00:02"), ("up", True))),
            ["ip -n web link set dev eth0 mtu 1400 address 02:00:00:00:00:02 up"],
        ),
        (SetLink(HOST, "v0", (("master", None), ("up", False))), ["ip link set dev v0 nomaster down"]),
        (SetLink(HOST, "v0", (("master", "br0"), ("alias", "x"))), ["ip link set dev v0 master br0 alias x"]),
        (SetLink(HOST, "v0", (("alias", ""),)), ["ip link set dev v0 alias ''"]),
        (SetLink(HOST, "v0", (("group", 25708),)), ["ip link set dev v0 group 25708"]),
        (SetLink(HOST, "br0", (("stp", True),)), ["ip link set dev br0 type bridge stp_state 1"]),
        (
            SetLink(HOST, "br0", (("stp", False), ("mtu", 1400))),
            ["ip link set dev br0 mtu 1400", "ip link set dev br0 type bridge stp_state 0"],
        ),
        (SetPort("v0", (("isolated", True), ("hairpin", False))), ["bridge link set dev v0 isolated on hairpin off"]),
        (
            SetPort("v0", (("flood", True), ("locked", False), ("state", True))),
            ["bridge link set dev v0 flood on locked off state forwarding"],
        ),
        (SetLink(HOST, "br0", (("up", True), ("arp", True))), ["ip link set dev br0 up arp on"]),
        (DeleteLinks(("v0",)), ["ip link delete dev v0"]),
        (
            DeleteLinks(("v0", "v1")),
            ["ip link set dev v0 group 25709", "ip link set dev v1 group 25709", "ip link delete group 25709"],
        ),
        (AddAddress(WEB, "eth0", FOUR), ["ip -n web address add 10.20.0.2/24 dev eth0"]),
        (AddAddress(HOST, "br0", SIX), ["ip address add fd00:20::2/64 dev br0 nodad"]),
        (AddAddress(WEB, "lo", ip_interface("::1/128")), ["ip -n web address add ::1/128 dev lo"]),
        (
            RenewAddress(WEB, "eth0", SIX),
            [
                "ip -n web address delete fd00:20::2/64 dev eth0",
                "ip -n web address add fd00:20::2/64 dev eth0 nodad",
            ],
        ),
        (
            RestoreRoute(HOST, LostRoute("br0", "broadcast", ip_network("10.20.0.255/32"), FOUR, FOUR.ip)),
            ["ip route append broadcast 10.20.0.255 dev br0 proto kernel table local scope link src 10.20.0.2"],
        ),
        (
            RestoreRoute(WEB, LostRoute("eth0", "multicast", ip_network("ff00::/8"))),
            ["ip -n web -6 route append multicast ff00::/8 dev eth0 proto kernel table local metric 256"],
        ),
        (
            AddDefaultRule(PROCESS, DefaultRule(6, 32766, 254)),
            ["nsenter --target 7 --net ip -6 rule add priority 32766 lookup main protocol kernel"],
        ),
        (AwaitAddresses((Awaited(WEB, "eth0"),)), []),
        (RemoveAddress(HOST, "br0", SIX), ["ip address delete fd00:20::2/64 dev br0"]),
        (AddRoute(WEB, "eth0", DEFAULT), ["ip -n web route add default via 10.20.0.1 dev eth0 proto 108"]),
        (
            AddRoute(PROCESS, "eth0", DEFAULT6),
            ["nsenter --target 7 --net ip -6 route add default via fd00:20::1 dev eth0 proto 108 metric 7"],
        ),
        (
            RemoveBarrier(WEB, SHARED),
            ["ip -n web route delete default metric 5 nexthop via 10.0.0.1 dev a nexthop dev b"],
        ),
        (RemoveBarrier(WEB, BY_OBJECT), ["ip -n web -6 route delete default from fd00::/64 nhid 7 metric 1"]),
        (RemoveBarrier(WEB, AT_HOME), ["ip -n web route delete local 192.0.2.0/24 tos 0x10 dev lo table local"]),
        (AddBarrier(WEB, WALL), ["ip -n web route add unreachable 192.0.2.0/24"]),
        (RemoveBarrier(PROCESS, WALL6), ["nsenter --target 7 --net ip -6 route delete blackhole default metric 1"]),
        (RemoveRoute(WEB, "eth0", LINK_ROUTE), ["ip -n web route delete 192.0.2.0/24 dev eth0 proto 108"]),
        (
            AddRoute(WEB, "eth0", replace(DEFAULT, table=7)),
            ["ip -n web route add default via 10.20.0.1 dev eth0 proto 108 table 7"],
        ),
        (
            AddRule(WEB, SourceRule(FOUR.ip, 7)),
            ["ip -n web rule add from 10.20.0.2 lookup 7 priority 25708 protocol 108"],
        ),
        (
            RemoveRule(WEB, SourceRule(SIX.ip, 7)),
            ["ip -n web -6 rule delete from fd00:20::2 lookup 7 priority 25708 protocol 108"],
        ),
        (
            Announce((Announcement(WEB, "eth0", (FOUR, SIX), "v0"), Announcement(PROCESS, "eth1", (FOUR,), "v1"))),
            [
                "ip netns exec web arping -q -U -c 1 -I eth0 10.20.0.2 || true",
                "nsenter --target 7 --net arping -q -U -c 1 -I eth1 10.20.0.2 || true",
            ],
        ),
        (
            WriteFile("/etc/sysctl.d/x y", "a\n"),
            ["mkdir -p /etc/sysctl.d", "cat > '/etc/sysctl.d/x y' <<'EOF'\na\nEOF"],
        ),
        (
            NoteSysctls("web", WEB, (("net/ipv4/ip_forward", "1"),), (), None),
            [
                "mkdir -p /run/dockerless.network.netns",
                "ip netns exec web sysctl net.ipv4.ip_forward > /run/dockerless.network.netns/web",
            ],
        ),
        (
            SetRights(("/etc/a b", "/etc/c"), 0o644),
            ["chown root:root '/etc/a b' /etc/c", "chmod 0644 '/etc/a b' /etc/c"],
        ),
        (
            WriteFile("/etc/x", "a\n", mode=0o600),
            ["mkdir -p /etc", "cat > /etc/x <<'EOF'\na\nEOF", "chmod 0600 /etc/x"],
        ),
        (RemoveFile("/etc/x y", "a"), ["rm -f '/etc/x y'"]),
        (
            RemoveFile("/etc/a b/x", "a", own_folder=True),
            ["rm -f '/etc/a b/x'", "rmdir --ignore-fail-on-non-empty '/etc/a b'"],
        ),
        (
            LoadRules(("nft", "-f", "-"), "add table inet x\n", "delete table inet x\n"),
            ["nft -f - <<'EOF'\nadd table inet x\nEOF"],
        ),
        (RunTool(("ufw", "a b"), ("ufw", "delete", "a b")), ["ufw 'a b'"]),
        (DaemonReload(), ["systemctl daemon-reload"]),
        (Together("DNS server of endpoint web"), []),
        (
            MountFor("a.service", 7, (("/etc/hosts", "/etc/netns/a/hosts"),), ("/etc/hosts",)),
            [
                "nsenter --target 7 --mount umount /etc/hosts",
                "systemctl bind --read-only a.service /etc/netns/a/hosts /etc/hosts",
            ],
        ),
        (UnitVerb("restart", ("nginx.service", "a b.service")), ["systemctl restart nginx.service 'a b.service'"]),
        (
            ForgetFlows((PortFlows(4, "udp", 53, 54, "192.0.2.1"), PortFlows(6, "tcp", 80, 80))),
            [
                "conntrack -D -f ipv4 -p udp --orig-dst 192.0.2.1 --orig-port-dst 53 || true",
                "conntrack -D -f ipv4 -p udp --orig-dst 192.0.2.1 --orig-port-dst 54 || true",
                "conntrack -D -f ipv6 -p tcp --orig-port-dst 80 || true",
            ],
        ),
        (
            ForgetFlows((PortFlows(4, "tcp", 80, 80, "", ("192.0.2.0/24",)),)),
            ["conntrack -D -f ipv4 -p tcp --orig-port-dst 80 --orig-src 192.0.2.0/24 || true"],
        ),
        (
            ForgetFlows((PortFlows(6, "udp", 53, 53, "", ("::1", "::4")),)),
            ["for from in ::1 ::4; do conntrack -D -f ipv6 -p udp --orig-port-dst 53 --orig-src $from; done || true"],
        ),
        (
            ForgetFlows((EgressFlows(Masquerade(ip_network("10.20.0.0/24"))),)),
            [
                "conntrack -D -f ipv4 -p udp --orig-src 10.20.0.0/24 || true",
                "conntrack -D -f ipv4 -p icmp --orig-src 10.20.0.0/24 || true",
            ],
        ),
        (
            ForgetFlows((WithdrawnFlows(Masquerade(ip_network("10.20.0.0/24"))),)),
            [
                "conntrack -D -f ipv4 -p udp --orig-src 10.20.0.0/24 --src-nat || true",
                "conntrack -D -f ipv4 -p icmp --orig-src 10.20.0.0/24 --src-nat || true",
            ],
        ),
        (
            ForgetFlows((EgressFlows(Masquerade(ip_network("fd00::/64"))),)),
            [
                "conntrack -D -f ipv6 -p udp --orig-src fd00::/64 || true",
                "conntrack -D -f ipv6 -p icmpv6 --orig-src fd00::/64 || true",
            ],
        ),
    ],
)
def test_the_commands_that_a_person_would_type(step: Operation, commands: list[str]) -> None:
    assert step.commands() == commands


ODD = "a'b $(x);&|"


@pytest.mark.parametrize(
    "step",
    [
        CreateNamespace(ODD, ODD),
        DeleteNamespace(ODD),
        SetSysctl(Place(netns=ODD), "net/x", ODD),
        AddBridge(ODD, ODD),
        AddVeth(ODD, ODD, Place(netns=ODD), 1500, ODD, ODD),
        SetLink(Place(netns=ODD), ODD, (("alias", ODD), ("master", ODD))),
        SetPort(ODD, (("isolated", True),)),
        DeleteLinks((ODD,)),
        AddAddress(Place(netns=ODD), ODD, FOUR),
        RemoveAddress(HOST, ODD, FOUR),
        AddRoute(HOST, ODD, DEFAULT),
        RemoveRoute(HOST, ODD, DEFAULT),
        RemoveFile(ODD, ""),
        LoadRules((ODD, ODD), ""),
        RunTool((ODD, ODD)),
        UnitVerb("start", (ODD,)),
    ],
    ids=lambda step: type(step).__name__,
)
def test_odd_words_are_quoted_for_the_shell(step: Operation) -> None:
    commands = [command.splitlines()[0].replace("<<'EOF'", "") for command in step.commands()]
    words = [word for command in commands for word in shlex.split(command)]

    # each word is one of ours, or the odd one as a whole, alone or behind "key="
    assert any(ODD in word for word in words)
    assert not any("$(" in word and word != ODD and not word.endswith("=" + ODD) for word in words)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_a_file_is_written_as_it_is(text: str) -> None:
    [unused, command] = WriteFile("/etc/x", text).commands()
    head, body = command.split("\n", 1)

    assert head == "cat > /etc/x <<'EOF'"
    assert body == text.rstrip("\n") + "\nEOF"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        ("net/ipv6/conf/br-blue/accept_ra", "net.ipv6.conf.br-blue.accept_ra"),
        ("net/ipv6/conf/eth0.7/accept_ra", "net/ipv6/conf/eth0.7/accept_ra"),
    ],
)
def test_a_key_has_dots_unless_an_interface_has_one(key: str, name: str) -> None:
    assert sysctl_name(key) == name


# ---- taking back


def prepared() -> MemoryHost:
    host = MemoryHost()
    host.start_process(7)
    for step in (
        CreateNamespace("web", "dockerless.network"),
        AddBridge("br0", "02:00:00:00:00:01"),
        AddBridge("br1", "02:00:00:00:00:02"),
        AddVeth("v0", "eth0", WEB, bridge="br0"),
        SetLink(HOST, "v0", (("up", True),)),
        SetLink(WEB, "eth0", (("up", True),)),
        AddAddress(WEB, "eth0", FOUR),
        AddAddress(WEB, "eth0", SIX),
        AddRoute(WEB, "eth0", LINK_ROUTE),
        AddRule(WEB, SourceRule(SIX.ip, 7)),
        WriteFile("/etc/there", "old"),
        LoadRules(("nft", "-f", "-"), "add table inet dockerless\nadd chain inet dockerless c\n"),
    ):
        step.apply(host)  # type: ignore[arg-type]
    return host


@pytest.mark.parametrize(
    "step",
    [
        CreateNamespace("db", "dockerless.network"),
        AttachNamespace("db", 7),
        SetSysctl(HOST, "net/ipv4/ip_forward", "1", "0"),
        SetSysctl(WEB, "net/ipv6/conf/eth0/accept_ra", "0", "1"),
        AddBridge("br2", "02:00:00:00:00:03", 1400, True),
        AddVeth("v1", "eth1", WEB, 1400, "02:00:00:00:00:04", "br0"),
        AddVeth("v1", "eth1", PROCESS),
        SetLink(HOST, "v0", (("mtu", 1400), ("alias", "x")), (("mtu", 1500), ("alias", ""))),
        SetLink(HOST, "br0", (("stp", True), ("mtu", 1400)), (("stp", False), ("mtu", 1500))),
        SetLink(HOST, "v0", (("master", "br1"),), (("master", "br0"),)),
        SetLink(HOST, "v0", (("master", None),), (("master", "br0"),)),
        SetPort("v0", (("isolated", True), ("hairpin", True))),
        AddAddress(WEB, "eth0", ip_interface("10.20.0.3/24")),
        RemoveAddress(WEB, "eth0", SIX),
        AddRoute(WEB, "eth0", DEFAULT),
        AddRoute(WEB, "eth0", DEFAULT6),
        RemoveRoute(WEB, "eth0", LINK_ROUTE),
        AddBarrier(WEB, WALL),
        AddRule(WEB, SourceRule(FOUR.ip, 7)),
        RemoveRule(WEB, SourceRule(SIX.ip, 7)),
        WriteFile("/etc/new", "text"),
        WriteFile("/etc/there", "new", "old"),
        RemoveFile("/etc/there", "old"),
        LoadRules(
            ("nft", "-f", "-"),
            "add rule inet dockerless c drop\n",
            "flush chain inet dockerless c\n",
        ),
    ],
    ids=lambda step: type(step).__name__,
)
def test_undo_is_the_inverse_and_its_undo_does_it_again(step: Operation) -> None:
    host = prepared()
    before = host.snapshot()
    step.apply(host)  # type: ignore[arg-type]
    after = host.snapshot()
    assert after != before

    [reverse] = step.undo()
    reverse.apply(host)  # type: ignore[arg-type]

    assert host.snapshot() == before
    if reverse.undo():
        [again] = reverse.undo()
        again.apply(host)  # type: ignore[arg-type]
        assert host.snapshot() == after


@pytest.mark.parametrize(
    "step",
    [
        SetSysctl(HOST, "net/ipv4/conf/new/x", "1"),
        SetLink(HOST, "new", (("up", True),)),
        DeleteNamespace("web"),
        DeleteLinks(("v0",)),
        ForgetFlows((PortFlows(4, "udp", 53, 53),)),
        Announce((Announcement(WEB, "eth0", (FOUR,), "v0"),)),
        LoadRules(("nft", "-f", "-"), "x"),
        RunTool(("ufw", "reload")),
        UnitVerb("try-restart", ("nginx.service",)),
        Together("DNS server of endpoint web"),
    ],
    ids=lambda step: type(step).__name__,
)
def test_some_steps_cannot_or_need_not_be_taken_back(step: Operation) -> None:
    assert step.undo() == []


def test_a_deletion_is_taken_back_by_the_steps_that_came_with_it() -> None:
    again = (AddBridge("br0", ""), SetLink(HOST, "br0", (("up", True),)))

    assert DeleteLinks(("br0",), again).undo() == list(again)
    assert DeleteNamespace("web", again=again).undo() == list(again)


def test_a_tool_is_run_without_input_and_taken_back_by_its_reverse() -> None:
    ran: list[object] = []
    step = RunTool(("ufw", "route", "allow"), ("ufw", "route", "delete"))

    class Host:
        def execute(self, argv: object, text: str) -> None:
            ran.append((argv, text))

    for each in (step, *step.undo()):
        each.apply(Host())  # type: ignore[arg-type]

    assert ran == [(("ufw", "route", "allow"), ""), (("ufw", "route", "delete"), "")]
    assert [back.undo() for back in step.undo()] == [[step]]


@pytest.mark.parametrize(
    ("verb", "back"), [("start", "stop"), ("stop", "start"), ("enable", "disable"), ("restart", "restart")]
)
def test_a_verb_for_units_is_taken_back_by_its_opposite(verb: str, back: str) -> None:
    host = MemoryHost()
    host.systemd = True

    step = UnitVerb(verb, ("a.service",))
    for each in (step, *step.undo()):
        each.apply(host)  # type: ignore[arg-type]

    assert [(words[0], words[-1]) for words in host.systemctl] == [(verb, "a.service"), (back, "a.service")]
    assert all(("--no-reload" in words) == ("able" in words[0]) for words in host.systemctl)


def test_units_with_the_same_verb_are_told_together_and_systemd_reloads_once() -> None:
    one, two = UnitVerb("start", ("a.service",)), UnitVerb("start", ("b.service", "a.service"))

    assert one.joined(two) == UnitVerb("start", ("a.service", "b.service"))
    assert one.joined(UnitVerb("stop", ("b.service",))) is None
    assert one.joined(DaemonReload()) is None
    assert DaemonReload().joined(DaemonReload()) == DaemonReload()
    assert DaemonReload().joined(one) is None
    assert DaemonReload().undo() == [DaemonReload()]


def test_links_are_awaited_together_and_once() -> None:
    one, two = AwaitAddresses((Awaited(WEB, "eth0"), Awaited(HOST, "br0", asks=True))), Announce(())

    assert one.joined(AwaitAddresses((Awaited(HOST, "br0", asks=True), Awaited(PROCESS, "eth0")))) == AwaitAddresses(
        (*one.links, Awaited(PROCESS, "eth0"))
    )
    assert one.joined(two) is None
    assert (one.settles, one.undo()) == (-1, [])


def test_units_that_do_not_start_are_named_with_where_their_own_words_are() -> None:
    class Host:
        def execute(self, argv: tuple[str, ...], text: str) -> None:
            raise CommandError(argv, 1, "Job for b.service failed because of x.\nSee more.\n")

    with pytest.raises(UnitError) as failed:
        UnitVerb("restart", ("a.service", "b.service")).apply(Host())  # type: ignore[arg-type]

    assert str(failed.value) == (
        "Cannot restart b.service: Job for b.service failed because of x"
        " (its own last words: journalctl -n 20 -u b.service)"
    )
    with pytest.raises(UnitError, match=r"-u b\.service; set service_removal to stop\)$"):
        UnitVerb("restart", ("b.service",), advice="set service_removal to stop").apply(Host())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "of_ip", "of_others"),
    [
        (HOST, "ip link", "arping -c 1"),
        (WEB, "ip -n web link", "ip netns exec web arping -c 1"),
        (PROCESS, "nsenter --target 7 --net ip link", "nsenter --target 7 --net arping -c 1"),
    ],
)
def test_a_command_acts_in_its_place(place: Place, of_ip: str, of_others: str) -> None:
    assert inside(place, "ip", "link") == of_ip
    assert inside(place, "arping", "-c", 1) == of_others


def test_every_operation_is_tested_here() -> None:
    rooms = (operations, link_operations, namespace_operations, unit_operations)
    kinds = [kind for room in rooms for kind in vars(room).values() if isinstance(kind, type)]
    known = {kind for kind in kinds if issubclass(kind, Operation)}

    assert {kind.__name__ for kind in known - {Operation}} == {
        "AddAddress",
        "AddBarrier",
        "AddBridge",
        "AddDefaultRule",
        "AddRoute",
        "AddRule",
        "AddVeth",
        "Announce",
        "AttachNamespace",
        "AwaitAddresses",
        "CreateNamespace",
        "DaemonReload",
        "DeleteLinks",
        "DeleteNamespace",
        "ForgetFlows",
        "LoadRules",
        "MountFor",
        "NoteSysctls",
        "RemoveAddress",
        "RemoveBarrier",
        "RemoveFile",
        "RemoveRoute",
        "RemoveRule",
        "RenewAddress",
        "RestoreRoute",
        "RunTool",
        "SetLink",
        "SetPort",
        "SetRights",
        "SetSysctl",
        "Together",
        "UnitVerb",
        "WriteFile",
    }


@pytest.mark.parametrize("kind", [Announcement, PortFlows, SetLink])
def test_steps_can_be_compared(kind: Any) -> None:
    values = {field.name: "x" for field in fields(kind)}

    assert kind(**values) == kind(**values)
    assert len({kind(**values), kind(**values)}) == 1
