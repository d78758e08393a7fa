# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects that are kept for the next boot, and their restoration, on a host in memory."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings

from ansible_collections.dockerless.network.plugins.module_utils.boot import restore
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome, Request, run
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import Snapshot
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.kernel import archive
from ansible_collections.dockerless.network.plugins.module_utils.kernel.units import Unit
from ansible_collections.dockerless.network.plugins.module_utils.kinds.boot import Boot, BootKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.boot_record import WAITS, parse
from ansible_collections.dockerless.network.plugins.module_utils.kinds.boot_units import (
    HOLD_PATH,
    drop_in,
    hold_text,
    joint_of,
    joint_text,
)
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    Conflict,
    FirewallState,
    PortRange,
    PublishedPort,
    Route,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.composition.network_lists import (
    network_lists,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import NETWORKS
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    MemorySession,
    ask,
    world,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.tries import tries

Facts = dict[str, Any]

FOLDER = "/etc/dockerless.network/"
OBJECTS, PROGRAM, RULES = FOLDER + "objects.yml", FOLDER + "engine.zip", FOLDER + "rules.nft"
UNIT = "/etc/systemd/system/dockerless-network.service"
KEPT = Request(BootKind(), Boot())
NFTABLES = "/lib/systemd/system/nftables.service"
FIREWALLD = "/lib/systemd/system/firewalld.service"


def booted(files: Facts | None = None, gateways: bool = True, mtu: int = 1500) -> MemoryHost:
    """A host as it comes up: with its uplinks, its files, and what sysctl(8) reads of those."""
    host = MemoryHost()
    host.systemd = True
    host.files = {NFTABLES: "[Service]\nExecReload=nft -f x\n", **(files or {})}
    routes = (Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0"))) if gateways else ()
    host.uplink("eth0", mtu, *routes)
    host.uplink("eth9", 1500)
    for line in host.files.get("/etc/sysctl.d/90-dockerless-network.conf", "").splitlines():
        key, unused, value = line.partition(" = ")
        if value and not line.startswith("#"):
            names = key.replace(".", "/")
            host.host.sysctls[names] = value
            host.host.sysctls.update(
                {
                    other: value
                    for other in host.host.sysctls
                    if names in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
                    and other.startswith("net/ipv%s/conf/" % names[8])
                    and other.endswith("/forwarding")
                }
            )
            if names == "net/ipv4/ip_forward" and value == "1":
                host.host.sysctls["net/ipv4/conf/all/accept_redirects"] = "0"
    return host


def once(host: MemoryHost, networks: list[Facts], check: bool = False, boot: object = "auto", **how: Any) -> Outcome:
    return make_networks(networks, world(host, check), Scope(**{"prune": "project", **how}), boot)


def converge(host: MemoryHost, networks: list[Facts], **how: Any) -> Outcome:
    """A run; check mode must have said the same, and a second run must find nothing to do."""
    before = host.snapshot()
    foreseen = once(host, networks, check=True, **how)
    assert host.snapshot() == before
    outcome = once(host, networks, **how)
    assert outcome == foreseen
    again = once(host, networks, **how)
    assert (again.changed, again.commands, again.before, again.after) == (False, (), "", "")
    return outcome


def boot(host: MemoryHost) -> str:
    """Run what the unit runs, and return the errors."""
    return restore(parse(host.files[OBJECTS]), host, lambda: MemorySession(host))[1]  # type: ignore[arg-type]


@settings(max_examples=tries(60), deadline=None)
@given(network_lists())
def test_any_list_is_there_again_after_a_boot_without_its_default_route(networks: list[Facts]) -> None:
    host = booted()
    once(host, networks)
    if not networks:
        assert OBJECTS not in host.files
        return
    for (kind, unused), options in parse(host.files[OBJECTS]).objects.items():
        if kind != "sysctl_forward":  # which is in a file of its own
            loaded = next(row for row in ROWS if row.name == kind).load()
            item = loaded.parse(options)
            stored = loaded.stored(item, world(host))
            assert stored is not None and loaded.parse(stored.options) == item

    again = booted(host.files, gateways=False)
    trouble = boot(again)
    again.host.routes += host.host.routes  # the uplink comes late

    assert trouble == ""
    assert again.snapshot() == host.snapshot()
    assert facts(world(again))["altered"] == []
    assert not once(again, networks).changed
    assert boot(again) == ""  # as after a reload of another firewall
    assert again.snapshot() == host.snapshot()


def test_what_is_written_and_that_nothing_of_it_stays() -> None:
    host = booted()
    before = host.snapshot()

    first = converge(host, NETWORKS)

    assert host.files[OBJECTS].startswith("# dockerless.network: ")
    assert host.files[RULES].splitlines()[1] == "create table inet dockerless"
    assert "ExecStartPre=-nft -f %s" % RULES in host.files[UNIT]
    drop_in = host.files["/etc/systemd/system/nftables.service.d/dockerless-network-rules.conf"]
    assert [line.partition("=-")[0] for line in drop_in.splitlines()[2:]] == [
        "ExecReload=",
        'ExecReload=/bin/sh -c "nft -f /etc/dockerless.network/nftables.reload 2>/dev/null || nft -f x"',
        *("ExecStartPost", "ExecReload", "ExecStopPost"),
    ]
    assert host.files[FOLDER + "nftables.reload"].splitlines()[1:] == ['include "x"', 'include "%s"' % RULES]
    assert [verb[0] for verb in host.systemctl] == ["daemon-reload", "--no-block", "enable"]
    assert "  kept:\n    - bridge br-blue\n" in first.after and "    - and 4 more\n" in first.after
    assert max(map(len, first.after.splitlines())) < 160

    host.systemctl.clear()
    converge(host, [dict(NETWORKS[0], mtu=1400)])
    assert host.systemctl == []

    gone = converge(host, [], prune="project")
    assert host.snapshot() == before
    assert [verb[0] for verb in host.systemctl] == ["stop", "disable", "daemon-reload"]
    assert gone.changed


NFT_RELOAD, SYSCTLS = FOLDER + "nftables.reload", "/etc/sysctl.d/90-dockerless-network.conf"
DROP_IN = "/etc/systemd/system/nftables.service.d/dockerless-network-rules.conf"


@pytest.mark.parametrize("rights", [(0, 0o777), (65534, 0o644), (0, 0o400)])
@pytest.mark.parametrize("path", [OBJECTS, PROGRAM, RULES, UNIT, NFT_RELOAD, DROP_IN, SYSCTLS, FOLDER[:-1]])
def test_what_is_in_other_hands_is_written_anew_in_a_folder_of_root(path: str, rights: tuple[int, int]) -> None:
    """Root runs the program at boot, and loads the rules."""
    host = booted()
    converge(host, NETWORKS)
    before = host.snapshot()
    host.odd_rights[path] = rights

    outcome = converge(host, NETWORKS)
    if path == FOLDER[:-1]:
        assert outcome.commands == ("chown root:root %s" % path, "chmod 0755 %s" % path)
    else:
        assert all(
            path in command or command == "systemctl daemon-reload"
            for command in outcome.commands
            if command[:5] != "mkdir"
        )
        assert "rm -f %s" % path in outcome.commands or path == PROGRAM
    assert path in outcome.after and host.odd_rights == {}
    assert host.snapshot() == before


@pytest.mark.parametrize("how", [{"boot": False}, {"state": "absent", "everything": True}])
def test_it_can_be_left_out_and_taken_away(how: Facts) -> None:
    host = booted()
    converge(host, NETWORKS, boot=False)
    without = dict(host.files)
    converge(host, NETWORKS)
    assert OBJECTS in host.files and OBJECTS not in without

    converge(host, [] if "everything" in how else NETWORKS, **how)

    assert not [path for path in host.files if "dockerless" in path and path not in without]


def test_without_systemd_nothing_is_kept() -> None:
    host = booted()
    host.systemd = False

    converge(host, NETWORKS)

    assert OBJECTS not in host.files
    with pytest.raises(Conflict, match="boot: it needs systemd"):
        once(host, NETWORKS, boot=True)


def test_an_endpoint_of_a_process_waits_with_its_ports_and_is_told_once() -> None:
    host = booted()
    host.start_process(4711)
    pod = {"name": "pod", "pid": 4711, "publish": ["8081:80"]}
    networks = [dict(NETWORKS[0], endpoints=[*NETWORKS[0]["endpoints"], pod])]

    [warning] = [text for text in once(host, networks).warnings if "boot" in text]
    assert "port 8081/tcp (IPv4)" in warning and "veth" in warning and "8080" not in warning
    assert not [text for text in once(host, networks).warnings if "boot" in text]
    assert boot(host) == ""
    told = facts(world(host))["at_boot"]
    assert told.startswith("yes, without objects that wait") and "veth" in told
    again = booted(host.files)
    again.nft.load(host.files[RULES].partition("\n")[2].replace("create ", "add ", 1))  # as the unit does first
    assert boot(again) == ""

    assert "tcp . 8081" in host.nft.sets["publish4"].elements
    assert set(again.nft.sets["publish4"].elements) == {"tcp . 8080"}
    assert sorted(again.names) == ["db", "web"]


def test_a_process_that_cannot_read_our_files_sets_nothing_up_and_leaves_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable() -> None:
        raise archive.Unreadable("it is elsewhere")

    host = booted()
    with monkeypatch.context() as mitogen:
        mitogen.setattr(archive, "own", unreadable)
        [warning] = converge(host, NETWORKS).warnings
    assert "not made again at boot yet, because it is elsewhere; the next run" in warning
    assert not host.systemctl and {UNIT, OBJECTS, PROGRAM}.isdisjoint(host.files)

    assert not converge(host, NETWORKS).warnings
    assert boot(booted(host.files)) == ""
    kept = dict(host.files)
    with monkeypatch.context() as mitogen:
        mitogen.setattr(archive, "own", unreadable)
        [warning] = once(host, NETWORKS).warnings
    assert "not brought up to date" in warning
    assert host.files == kept


@pytest.mark.parametrize(
    ("runs", "path", "tells", "lines"),
    [
        (
            "/run/systemd/netif/state",
            "/etc/systemd/network/00-dockerless.network",
            "networkctl",
            {"Name=br-blue v-blue-db v-blue-web", "Unmanaged=yes"},
        ),
        (
            "/run/NetworkManager/devices/2",
            "/etc/NetworkManager/conf.d/zz-dockerless.network.conf",
            "nmcli",
            {
                "unmanaged-devices+=interface-name:=br-blue;interface-name:=v-blue-db;interface-name:=v-blue-web",
                "[keyfile]",
            },
        ),
    ],
)
def test_other_managers_are_kept_from_our_links_before_they_come(
    runs: str, path: str, tells: str, lines: set[str]
) -> None:
    host = booted()
    host.files[runs] = "it runs\n"

    commands = list(converge(host, NETWORKS).commands)

    assert lines <= set(host.files[path].splitlines())
    told, made = [next(n for n, command in enumerate(commands) if word in command) for word in (tells, "ip link add")]
    assert path in commands[told - 1] and told < made
    del host.files[runs]  # it is stopped, or not yet started after a boot
    assert not once(host, NETWORKS).changed
    converge(host, [])
    assert path not in host.files


def test_what_is_newer_than_what_is_kept_is_told() -> None:
    host = booted()
    assert facts(world(host))["at_boot"] == ""
    once(host, NETWORKS)
    assert facts(world(host))["at_boot"] == "yes"
    run([ask(NetnsKind(), {"name": "mine"})], world(host))
    assert facts(world(host))["at_boot"] == "yes, without newer objects (namespace mine)"
    program = host.files.pop(PROGRAM)
    assert facts(world(host))["at_boot"] == "no: %s is not there" % PROGRAM
    host.files[PROGRAM] = program
    once(host, NETWORKS, boot=False)
    assert facts(world(host))["at_boot"] == "no: nothing is kept for it"


@pytest.mark.parametrize("path", [RULES, FOLDER + "nftables.reload", UNIT])
def test_files_that_are_missing_or_altered_are_told(path: str) -> None:
    host = booted()
    once(host, NETWORKS)
    text = host.files[path]
    for damaged in (None, text[: len(text) // 2], text + "# more\n"):
        host.files.pop(path)
        host.files.update({path: damaged} if damaged is not None else {})
        told = facts(world(host))["at_boot"]
        assert told == ("yes, with files missing or altered that the next run of the playbook writes again (%s)" % path)
        # a run that leaves the rules alone does not take them for right
        run([ask(NetnsKind(), {"name": "mine"}), KEPT], world(host))
        run([ask(NetnsKind(), {"name": "mine"}, "absent"), KEPT], world(host))
        assert facts(world(host))["at_boot"] == (told if path == RULES else "yes")
        once(host, NETWORKS)
        assert facts(world(host))["at_boot"] == "yes" and host.files[path] == text


def test_a_program_that_is_cut_off_is_told() -> None:
    host = booted()
    once(host, NETWORKS)
    host.files[PROGRAM] = host.files[PROGRAM][:1000]
    assert facts(world(host))["at_boot"] == "no: %s is damaged" % PROGRAM


def test_an_uplink_with_another_name_is_told_by_the_unit_and_by_network_info() -> None:
    host = booted()
    publish = [{"host_port": "8090", "container_port": "80", "in_interfaces": ["eth0"]}]
    endpoints = [{"name": "web", "publish": publish}, {"name": "db", "publish": ["8091:80"]}]
    blue = {"subnets": ["10.20.0.0/24"], "masquerade": {"out_interface": "eth0"}, "trusted_interfaces": ["eth0"]}
    once(host, [{"name": "blue", **blue, "endpoints": endpoints}])
    assert facts(world(host))["absent_interfaces"] == []

    again = booted(host.files)
    again.remove_link(again.host, "eth0")
    again.uplink("lan0", 1500, Route(ip_network("0.0.0.0/0")))
    lines, trouble = restore(parse(again.files[OBJECTS]), again, lambda: MemorySession(again))  # type: ignore[arg-type]

    told = "eth0, which port 8090/tcp, the masquerade of 10.20.0.0/24, trusted_interfaces of br-blue name"
    assert (lines[1:], trouble) == (["There is no interface %s." % told], "")
    assert facts(world(again))["absent_interfaces"] == [told]


def test_what_others_make_is_waited_for() -> None:
    host = booted()
    host.make_link(host.host, "virbr0", kind="bridge", up=True)
    host.make_namespace("theirs")
    veth = {"name": "v-x", "bridge": "virbr0", "peer": {"netns": "theirs", "addresses": ["192.168.122.9/24"]}}
    once(host, NETWORKS)

    run([ask(VethKind(), veth), KEPT], world(host))
    again = booted(host.files)

    assert boot(again) == ""
    assert "virbr0" not in again.host.links and "v-x" not in again.host.links
    again.make_link(again.host, "virbr0", kind="bridge", up=True)
    again.make_namespace("theirs")
    assert boot(again) == ""
    assert again.host.links["v-x"].master == "virbr0"


def test_what_others_made_is_told_once() -> None:
    host = booted()
    host.make_namespace("theirs")
    networks = [{"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "theirs"}]}]

    assert [text for text in once(host, networks).warnings if "boot" in text] == [
        "These were made by other programs: namespace theirs. If they are not there again when"
        " dockerless-network.service starts at boot, run the playbook after the boot."
    ]
    assert not [text for text in once(host, networks).warnings if "boot" in text]


def test_a_call_for_the_rest_keeps_what_other_modules_made() -> None:
    """The role's last step may never come: a run is killed, or a host goes away."""
    host = booted()
    once(host, NETWORKS, rest=True)
    assert UNIT not in host.files
    host = booted()
    once(host, NETWORKS)
    kept = host.files[OBJECTS]

    once(host, NETWORKS, rest=True)

    assert host.files[OBJECTS] == kept


def test_single_modules_bring_what_is_kept_up_to_date() -> None:
    host = booted()
    once(host, NETWORKS)
    program = host.files[PROGRAM]
    port = {"host_port": "8082", "container_ip": "10.20.0.10", "bridge": "br-blue"}

    run([ask(NetnsKind(), {"name": "mine"}), KEPT], world(host))
    run([ask(PortPublishKind(), port), KEPT], world(host))

    assert host.files[PROGRAM] is program
    assert "8082" in host.files[RULES]
    titles = [title for unused, title in parse(host.files[OBJECTS]).objects]
    assert {"namespace mine", "port 8082/tcp (IPv4)", "namespace web"} <= set(titles)
    run([ask(NetnsKind(), {"name": "mine"}, "absent"), KEPT], world(host))
    assert "namespace mine" not in host.files[OBJECTS]


def test_what_is_gone_by_hand_and_not_wanted_any_more_does_not_come_back() -> None:
    host = booted()
    once(host, NETWORKS)
    host.delete_namespace("web")

    converge(host, [dict(NETWORKS[0], endpoints=[{"name": "db"}])])

    assert "namespace web" not in host.files[OBJECTS]


def test_a_guarded_host_forwards_only_when_its_rules_are_there() -> None:
    host = booted()
    once(host, NETWORKS, forward_policy="auto")
    assert host.host.sysctls["net/ipv4/ip_forward"] == "1"

    again = booted(host.files)
    assert again.host.sysctls["net/ipv4/ip_forward"] == "0"
    assert boot(again) == ""

    assert again.host.sysctls["net/ipv4/ip_forward"] == "1"
    assert again.nft.table().chains == host.nft.table().chains


@pytest.mark.parametrize("how", [{"internal": True}, {"masquerade": True}])
def test_an_internal_or_unguarded_network_is_reached_on_loopback_after_a_boot(how: Facts) -> None:
    host = booted()
    once(host, [dict(NETWORKS[0], **how)], forward_policy="unmanaged")

    again = booted(host.files)
    assert boot(again) == ""

    assert again.host.sysctls["net/ipv4/conf/br-blue/route_localnet"] == "1"


def test_forwarding_alone_is_kept_while_it_is_guarded() -> None:
    host = booted()
    once(host, NETWORKS)
    mine = ask(SysctlForwardKind(), {"ipv4": True, "forward_policy": "drop"})
    run([mine, KEPT], world(host))
    once(host, [])

    again = booted(host.files)
    assert boot(again) == ""

    assert again.host.sysctls["net/ipv4/ip_forward"] == "1"
    assert again.nft.there


def test_one_network_that_cannot_be_had_keeps_no_other_from_coming() -> None:
    host = booted()
    red = {"name": "red", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "job"}]}
    once(host, [*NETWORKS, red])
    again = booted(host.files)
    again.make_link(again.host, "br-red", kind="dummy")

    trouble = boot(again)

    assert "br-red is there already" in trouble
    assert sorted(again.names)[-1] == "web" and again.host.sysctls["net/ipv4/ip_forward"] == "1"


@pytest.mark.parametrize("text", ["mine\n", "# dockerless.network: x\n{", "# dockerless.network: x\n[]"])
def test_a_file_that_is_damaged_is_written_anew_or_left_to_its_owner(text: str) -> None:
    host = booted()
    host.files[OBJECTS] = text

    outcome = once(host, NETWORKS)

    assert any(OBJECTS in warning for warning in outcome.warnings)
    assert (host.files[OBJECTS] == text) == (text == "mine\n")


def test_what_waits_is_no_option() -> None:
    assert not any(WAITS in row.load().ARGUMENTS for row in ROWS)


RULES_LOADED = {RULES: ["nft", "-f"]}


@pytest.mark.parametrize(
    ("unit", "verbs"),
    [
        (
            "ExecStart=/usr/sbin/nft -f /etc/a\nExecReload=nft -f /etc/a\nExecStop=nft flush ruleset\n",
            3,
        ),
        ("ExecStart=/sbin/nft -f /etc/a\nExecReload=/sbin/nft 'flush ruleset; include \"/etc/a\";'\n", 2),
        ("ExecStart=/usr/sbin/nft -f /etc/a\nExecStartPost=/usr/bin/tell\n", 0),
        ("ExecStart=-/usr/sbin/nft -f /etc/a\n", 0),
        ("ExecStart=/usr/sbin/nft -f $FILE\n", 0),
        ("ExecStart=/usr/sbin/nft -f '/etc/a\n", 0),
        ("ExecStart=/usr/local/bin/load\n", 0),
    ],
)
def test_a_unit_is_joined_with_our_rules_only_where_all_it_does_is_known(unit: str, verbs: int) -> None:
    joint = joint_of(unit, RULES_LOADED)

    assert len(joint) == verbs
    assert joint_of(unit, {}) == {}
    told = {joint_text(words, RULES_LOADED).splitlines()[1] for words in joint.values()}
    assert told <= {'include "/etc/a"', "flush ruleset", 'flush ruleset; include "/etc/a";'}


def test_rules_of_iptables_have_a_place_held_until_they_are_back() -> None:
    loads = {FOLDER + "rules.v4": ["iptables-restore", "--noflush"]}
    joint = joint_of("ExecReload=nft -f /etc/a\n", loads)
    assert joint_text(joint["ExecReload"], loads).splitlines()[1:] == ['include "/etc/a"', 'include "%s"' % HOLD_PATH]
    assert [line for line in drop_in("nftables.service", True, loads, joint).splitlines() if "Reload=-" in line] == [
        "ExecReload=-iptables-restore --noflush /etc/dockerless.network/rules.v4",
        "ExecReload=-nft delete table inet dockerless_hold",
        "ExecReload=-systemctl --no-block reload dockerless-network.service",
    ]
    ports = [
        PublishedPort("tcp", PortRange(8080, 8081), ip_address("10.20.0.2"), 80),
        PublishedPort("udp", PortRange(53, 53), ip_address("fd00::2"), 53, ip_address("2001:db8::1")),
    ]
    policies = [BridgePolicy("br-a"), BridgePolicy("br-b", host_access=False)]
    text = hold_text(FirewallState(frozenset(policies), ports=frozenset(ports)))
    assert [line.strip() for line in text.splitlines() if line.endswith("drop")] == [
        'ct state new iifname "br-b" drop',
        "ct state new meta nfproto ipv4 fib daddr type local tcp dport 8080-8081 drop",
        "ct state new ip6 daddr 2001:db8::1 udp dport 53 drop",
        "ct state new iifgroup 25708 drop",
        "ct state new oifgroup 25708 drop",
    ]


TABLES = [Snapshot("v4", ("iptables-restore", "--noflush"), "*filter\nCOMMIT\n")]
LIFT = "nft -f - <<'EOF'\nadd table inet dockerless_hold\ndelete table inet dockerless_hold\nEOF"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> MemoryHost:
    """A host on which whoever held the place of our rules of iptables did not come to lift that."""
    monkeypatch.setattr(MemorySession, "snapshot", lambda session, *unused: TABLES if session.desired.policies else [])
    host = booted({FIREWALLD: "[Service]\n"})
    once(host, NETWORKS)
    host.systemctl.clear()
    host.nft.is_held = True
    return host


def test_a_place_that_is_still_held_is_told_and_lifted_by_the_next_run(held: MemoryHost) -> None:
    told: Any = facts(world(held))["foreign"]
    assert [text for text in told if "dockerless_hold" in text and "reload dockerless-network.service" in text]

    outcome = converge(held, NETWORKS)
    assert outcome.commands == (LIFT,) and not held.nft.is_held and not held.systemctl
    assert "held by: inet dockerless_hold" in outcome.before and "held" not in outcome.after
    assert facts(world(held))["foreign"] == []


def test_it_is_lifted_by_the_unit_and_with_the_last_network(held: MemoryHost) -> None:
    assert boot(held) == "" and not held.nft.is_held
    held.nft.is_held = True
    assert LIFT in converge(held, []).commands and not held.nft.is_held


def test_it_is_lifted_only_where_all_rules_are_back(held: MemoryHost) -> None:
    """A run that does not bring back the rules of all networks leaves that to the unit."""
    more = [{"name": "more", "subnets": ["10.99.0.0/24"]}]
    once(held, more, prune="listed")
    held.nft.load("delete table inet dockerless\n")
    held.nft.is_held = True
    outcome = once(held, more, prune="listed")
    assert LIFT not in outcome.commands and held.nft.is_held
    assert held.systemctl[-1] == ("--no-block", "reload-or-restart", "dockerless-network.service")

    assert boot(held) == "" and not held.nft.is_held


@pytest.mark.parametrize("unit", ["firewalld.service", "dockerless-network-firewalld.service"])
def test_whoever_is_at_work_lifts_it(held: MemoryHost, unit: str) -> None:
    held.pid1.units[unit] = Unit(unit, active="activating")
    assert not once(held, NETWORKS).changed
    assert boot(held) == "" and held.nft.is_held


def test_a_unit_that_somebody_else_has_changed_is_left_to_do_what_it_does() -> None:
    host = booted()
    host.files["/etc/systemd/system/nftables.service.d/mine.conf"] = "[Service]\nExecReload=\n"

    once(host, NETWORKS)

    drop_in = host.files["/etc/systemd/system/nftables.service.d/dockerless-network-rules.conf"]
    assert "ExecReload=\n" not in drop_in and "ExecReload=-nft -f %s\n" % RULES in drop_in


WATCH = ["/etc/systemd/system/dockerless-network-firewalld.%s" % suffix for suffix in ("path", "service")]


def test_a_reload_of_firewalld_is_seen_which_empties_all_of_iptables(monkeypatch: pytest.MonkeyPatch) -> None:
    host = booted()
    monkeypatch.setattr(MemorySession, "snapshot", lambda *unused: TABLES)
    converge(host, NETWORKS)
    assert not set(WATCH) & set(host.files)

    host.files[FIREWALLD] = "[Service]\n"
    host.systemctl.clear()
    changed = converge(host, NETWORKS)
    drop_in = host.files["/etc/systemd/system/firewalld.service.d/dockerless-network-rules.conf"]
    assert "Wants=dockerless-network-firewalld.path\n" in drop_in
    assert "PathChanged=/run/firewalld\n" in host.files[WATCH[0]]
    commands = re.findall("ExecStart=-(\\S+)", host.files[WATCH[1]])
    assert commands == ["nft", "/bin/sh", "busctl", "iptables-restore", "nft", "systemctl"]
    holds = "=-nft -f %s\n" % HOLD_PATH
    assert "ExecStart" + holds in host.files[WATCH[1]] and "ExecStopPost=-nft delete" in host.files[WATCH[1]]
    assert "ExecStartPre" + holds in drop_in and "ExecStop" + holds in drop_in
    assert [verb[0] for verb in host.systemctl] == ["daemon-reload", "start"]
    assert all(path in changed.after for path in WATCH)
    # nor do we write to iptables while it does so itself
    own = re.findall(r"(Exec\w+)=-?(.*)", host.files[UNIT])
    waits = [verb for verb, command in own if "is-active --quiet firewalld.service" in command]
    assert waits == ["ExecStartPre", "ExecReload"]
    assert "firewalld" in own[0][1] and "firewalld" in dict(reversed(own))["ExecReload"]

    host.systemctl.clear()
    converge(host, [])
    assert not set(WATCH) & set(host.files)
    assert ("stop", "dockerless-network-firewalld.path") in host.systemctl
