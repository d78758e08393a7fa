# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An impossible request gets one clear sentence, with no traceback, before anything is changed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet import Fleet, Host, Run, TaskResult, differences

Options = dict[str, Any]

ROLE = Path(__file__).resolve().parents[2] / "roles" / "bridge_network"
BRIDGE: Options = {"name": "br-t", "addresses": ["10.50.0.1/24"]}
PEER: Options = {"netns": "inner", "addresses": ["10.50.0.2/24"], "gateways": ["10.50.0.1"]}
PORT: Options = {"host_port": "8080", "container_ip": "10.50.0.2", "container_port": "80"}


@dataclass(frozen=True)
class Bad:
    """A call of a module, and the words that its message must have."""

    name: str
    module: str
    options: Options
    words: tuple[str, ...]
    # What check mode takes to be made by an earlier task is an error only when it counts.
    in_earnest: bool = False
    setup: tuple[tuple[str, Options], ...] = field(default=())


def network(*endpoints: Options, **options: Any) -> Options:
    return {"networks": [{"name": "blue", "subnets": ["10.50.0.0/24"], "endpoints": list(endpoints), **options}]}


LONG = "a-name-too-long!"[:15] + "x"
CASES = [
    # addresses and subnets
    Bad("cidr-none", "bridge", {"name": "br-t", "addresses": ["10.50.0.1"]}, ("10.50.0.1", "prefix")),
    Bad("cidr-letters", "bridge", {"name": "br-t", "addresses": ["gateway/24"]}, ("gateway/24",)),
    Bad("cidr-octet", "bridge", {"name": "br-t", "addresses": ["10.50.0.256/24"]}, ("10.50.0.256/24",)),
    Bad("cidr-prefix", "bridge", {"name": "br-t", "addresses": ["10.50.0.1/33"]}, ("10.50.0.1/33",)),
    Bad("cidr-network", "bridge", {"name": "br-t", "addresses": ["10.50.0.0/24"]}, ("10.50.0.0",)),
    Bad("cidr-broadcast", "bridge", {"name": "br-t", "addresses": ["10.50.0.255/24"]}, ("10.50.0.255", "broadcast")),
    Bad(
        "address-twice",
        "bridge",
        {"name": "br-t", "addresses": ["10.50.0.1/24", "10.50.0.1/16"]},
        ("10.50.0.1", "twice"),
    ),
    Bad("address-6", "bridge", {"name": "br-t", "addresses": ["fd00:50:::1/64"]}, ("fd00:50:::1/64",)),
    Bad("host-bits", "nat_masquerade", {"source": "10.50.0.1/24"}, ("10.50.0.1/24", "10.50.0.0/24")),
    Bad("source-none", "nat_masquerade", {"source": "everything"}, ("everything",)),
    Bad(
        "exclude-bits",
        "nat_masquerade",
        {"source": "10.50.0.0/24", "exclude": ["10.1.0.0/8"]},
        ("10.1.0.0/8", "10.0.0.0/8"),
    ),
    Bad("two-families", "nat_masquerade", {"source": "10.50.0.0/24", "to_source": "fd00::1"}, ("fd00::1", "family")),
    Bad("subnets-bits", "bridge_firewall", {"bridge": "br-t", "subnets": ["10.50.0.7/24"]}, ("10.50.0.7/24",)),
    Bad(
        "gateway-outside",
        "veth",
        {"name": "v-t", "peer": {**PEER, "gateways": ["10.51.0.1"]}},
        ("10.51.0.1",),
        setup=(("netns", {"name": "inner"}),),
    ),
    Bad(
        "peer-address-twice",
        "veth",
        {
            "bridge": "br-t",
            "aggregate": [{"name": "v-1", "peer": PEER}, {"name": "v-2", "peer": {**PEER, "netns": "other"}}],
        },
        ("10.50.0.2", "twice"),
    ),
    # names
    Bad("name-16-bytes", "bridge", {"name": LONG}, (LONG, "15")),
    Bad("name-bytes-not-letters", "bridge", {"name": "br-ééééééé"}, ("br-ééééééé", "15")),
    Bad("veth-name-16-bytes", "veth", {"name": LONG, "peer": {"netns": "inner"}}, (LONG, "15")),
    Bad("peer-name-16-bytes", "veth", {"name": "v-t", "peer": {"netns": "inner", "name": LONG}}, (LONG, "15")),
    Bad("name-slash", "bridge", {"name": "br/t"}, ("br/t",)),
    Bad("name-empty", "netns", {"name": ""}, ("name",)),
    Bad("name-dots", "netns", {"name": ".."}, ("..",)),
    Bad("name-path", "netns", {"name": "../../etc/passwd"}, ("../../etc/passwd",)),
    Bad("name-option", "bridge", {"name": "-all"}, ("-all",)),
    Bad("name-twice", "netns", {"aggregate": [{"name": "one"}, {"name": "one"}]}, ("one", "twice")),
    Bad("name-missing", "netns", {}, ("name", "aggregate")),
    # what is not there
    Bad("namespace", "veth", {"name": "v-t", "peer": {"netns": "nowhere"}}, ("nowhere", "namespace"), in_earnest=True),
    Bad(
        "bridge",
        "veth",
        {"name": "v-t", "bridge": "br-none", "peer": {"netns": "inner"}},
        ("br-none",),
        in_earnest=True,
        setup=(("netns", {"name": "inner"}),),
    ),
    Bad("bridge-of-rules", "bridge_firewall", {"bridge": "br-none"}, ("br-none",), in_earnest=True),
    Bad("interface", "nat_masquerade", {"source": "10.50.0.0/24", "out_interface": "wan7"}, ("wan7",)),
    Bad("interface-localnet", "sysctl_forward", {"route_localnet": ["wan7"]}, ("wan7",), in_earnest=True),
    Bad("endpoint", "port_publish", {**PORT, "container_ip": "10.77.0.2"}, ("10.77.0.2",), in_earnest=True),
    Bad("process", "netns", {"name": "proc", "pid": 4194303}, ("4194303", "process")),
    Bad("process-zero", "netns", {"name": "proc", "pid": 0}, ("0", "process")),
    Bad("nowhere-at-all", "veth", {"name": "v-t", "peer": {"addresses": ["10.50.0.2/24"]}}, ("peer.netns", "peer.pid")),
    Bad("two-places", "veth", {"name": "v-t", "peer": {"netns": "inner", "pid": 1}}, ("v-t", "pid")),
    Bad("sysctl-key", "netns", {"name": "inner", "sysctls": {"kernel.hostname": "x"}}, ("kernel.hostname",)),
    Bad(
        "sysctl-unknown",
        "netns",
        {"name": "inner", "sysctls": {"net.ipv4.no_such_key": 1}},
        ("no_such_key", "inner"),
    ),
    Bad(
        "interface-of-a-network",
        "bridge_network",
        network(masquerade={"out_interface": "wan7"}),
        ("network blue", "wan7"),
    ),
    Bad("mtu", "bridge", {"name": "br-t", "mtu": 20}, ("20", "MTU")),
    Bad("mac", "bridge", {"name": "br-t", "mac_address": "02:00:00:00:01"}, ("02:00:00:00:01",)),
    Bad("mac-group", "bridge", {"name": "br-t", "mac_address": "01:00:5e:00:00:01"}, ("01:00:5e:00:00:01",)),
    # ports
    Bad("port-0", "port_publish", {**PORT, "host_port": "0"}, ("0", "65535")),
    Bad("port-65536", "port_publish", {**PORT, "host_port": "65536"}, ("65536", "65535")),
    Bad("port-word", "port_publish", {**PORT, "host_port": "http"}, ("http",)),
    Bad("container-port-0", "port_publish", {**PORT, "container_port": "0"}, ("0", "65535")),
    Bad(
        "range-unequal",
        "port_publish",
        {**PORT, "host_port": "8000-8010", "container_port": "80-81"},
        ("8000-8010", "80-81"),
    ),
    Bad("range-backwards", "port_publish", {**PORT, "host_port": "8010-8000"}, ("8010-8000",)),
    Bad("port-families", "port_publish", {**PORT, "host_ip": "2001:db8:1::11"}, ("2001:db8:1::11", "famil")),
    Bad("port-protocol", "port_publish", {**PORT, "protocol": "icmp"}, ("icmp",)),
    Bad("port-twice", "port_publish", {"aggregate": [PORT, {**PORT, "container_port": "81"}]}, ("8080", "twice")),
    Bad("port-for-nobody", "port_publish", {**PORT, "allowed_sources": []}, ("allowed_sources", "everybody")),
    Bad("port-by-no-interface", "port_publish", {**PORT, "in_interfaces": ""}, ("in_interfaces", "every interface")),
    Bad("port-without-target", "port_publish", {"host_port": "8080"}, ("container_ip",)),
    Bad("port-target", "port_publish", {**PORT, "container_ip": "127.0.0.1"}, ("127.0.0.1",)),
    Bad("unknown-option", "netns", {"aggregate": [{"name": "inner", "colour": "blue"}]}, ("item 1", "colour")),
    Bad("backend-of-an-item", "netns", {"aggregate": [{"name": "inner", "backend": "iptables"}]}, ("backend",)),
    # networks
    Bad("subnet-bits", "bridge_network", network(subnets=["10.50.0.1/24"]), ("10.50.0.1/24", "10.50.0.0/24")),
    Bad("subnet-nobody", "bridge_network", network(subnets=["0.0.0.0/24"]), ("network blue", "subnets", "0.0.0.0/8")),
    Bad(
        "outside", "bridge_network", network({"name": "web", "addresses": ["10.51.0.9"]}), ("10.51.0.9", "10.50.0.0/24")
    ),
    Bad("is-gateway", "bridge_network", network({"name": "web", "addresses": ["10.50.0.1"]}), ("10.50.0.1", "gateway")),
    Bad(
        "used-twice",
        "bridge_network",
        network({"name": "web", "addresses": ["10.50.0.9"]}, {"name": "db", "addresses": ["10.50.0.9"]}),
        ("10.50.0.9", "web", "db"),
    ),
    Bad("wrong-family", "bridge_network", network({"name": "web", "addresses": ["fd00::9"]}), ("fd00::9",)),
    Bad(
        "no-room",
        "bridge_network",
        network({"name": "a"}, {"name": "b"}, subnets=["10.50.0.0/30"]),
        ("10.50.0.0/30", "b"),
    ),
    Bad("endpoint-twice", "bridge_network", network({"name": "web"}, {"name": "web"}), ("web", "twice")),
    Bad("endpoint-nameless", "bridge_network", network({"publish": ["80"]}), ("name",)),
    Bad("network-long", "bridge_network", network(name="a-rather-long-name"), ("br-a-rather-long-name", "15")),
    Bad("network-nameless", "bridge_network", {"networks": [{"subnets": ["10.50.0.0/24"]}]}, ("name",)),
    Bad("gateway-stray", "bridge_network", network(gateways=["10.51.0.1"]), ("10.51.0.1",)),
    Bad(
        "two-subnets",
        "bridge_network",
        network(subnets=["10.50.0.0/24", "10.51.0.0/24"]),
        ("10.50.0.0/24", "10.51.0.0/24"),
    ),
    Bad("publish-syntax", "bridge_network", network({"name": "web", "publish": ["eighty"]}), ("eighty",)),
    Bad("publish-0", "bridge_network", network({"name": "web", "publish": ["0:80"]}), ("0", "65535")),
    Bad(
        "publish-unequal",
        "bridge_network",
        network({"name": "web", "publish": ["8000-8002:80-81"]}),
        ("8000-8002:80-81", "unequal"),
    ),
    Bad("publish-protocol", "bridge_network", network({"name": "web", "publish": ["80:80/icmp"]}), ("icmp",)),
    Bad(
        "publish-for-nobody",
        "bridge_network",
        network({"name": "web", "publish": [{"container_port": 80, "allowed_sources": []}]}),
        ("network blue", "endpoint web", "allowed_sources", "everybody"),
    ),
    Bad("publish-option", "bridge_network", network({"name": "web", "publish": [{"port": 80}]}), ("port",)),
    Bad("network-option", "bridge_network", network(colour="blue"), ("network blue", "colour")),
    Bad("network-typo", "bridge_network", network(subnet="10.50.0.0/24"), ("network blue", "subnet", "subnets")),
    Bad("network-type", "bridge_network", network(mtu="big"), ("network blue", "mtu", "big", "number")),
    Bad("networks-text", "bridge_network", {"networks": "blue"}, ("networks", "list", "- name: blue")),
    Bad("networks-texts", "bridge_network", {"networks": ["blue"]}, ("networks", "item 1", "- name: blue")),
    Bad("networks-names", "bridge_network", {"networks": {"blue": {}}}, ("networks", "list", "- name: blue")),
    Bad("networks-empty", "bridge_network", {"networks": [None]}, ("networks", "item 1")),
    Bad("endpoints-texts", "bridge_network", network(endpoints=["web"]), ("network blue", "endpoints", "- name: web")),
    Bad("endpoints-names", "bridge_network", network(endpoints={"web": {}}), ("network blue", "list", "- name: web")),
    Bad("absent-texts", "bridge_network", {"networks": ["blue"], "state": "absent"}, ("item 1", "- name: blue")),
    Bad("endpoint-option", "bridge_network", network({"name": "web", "colour": "blue"}), ("endpoint web", "colour")),
    Bad("two-homes", "bridge_network", network({"name": "web", "netns": "a", "pid": 1}), ("web", "pid")),
    Bad(
        "overlap",
        "bridge_network",
        {"networks": [{"name": "blue", "subnets": ["10.50.0.0/16"]}, {"name": "red", "subnets": ["10.50.7.0/24"]}]},
        ("10.50.0.0/16", "10.50.7.0/24"),
    ),
    Bad("overlap-lan", "bridge_network", network(subnets=["192.0.2.0/25"]), ("192.0.2.0/25", "eth0")),
    Bad(
        "ports-of-two",
        "bridge_network",
        network(
            {"name": "web", "addresses": ["10.50.0.2"], "publish": ["8080:80"]},
            {"name": "db", "addresses": ["10.50.0.3"], "publish": ["8080:81"]},
        ),
        ("8080", "blue/web", "blue/db", "10.50.0.2:80", "10.50.0.3:81"),
    ),
]


@pytest.mark.once
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_bad_input(host: Host, case: Bad) -> None:
    for module, options in case.setup:
        host.do(module, **options)
    refuse = host.refuse_in_earnest if case.in_earnest else host.refuse
    message = refuse(case.module, **case.options)
    assert is_one_sentence(message)
    for word in case.words:
        assert word in message, message


@pytest.mark.once
def test_an_empty_key_counts_as_absent(host: Host) -> None:
    empty = network(endpoints=None, allow=None, masquerade=None, mtu=None, trusted_interfaces="")

    assert host.do("bridge_network", **network()).changed
    assert not host.do("bridge_network", **empty).changed


def is_one_sentence(message: str) -> bool:
    """Something for a person: no lines, no Python, not much longer than needed."""
    python = re.search(r"Traceback|Error\(|Exception|<class|object at 0x|Errno|line \d+, in ", message)
    return python is None and "\n" not in message and len(message) < 300


# ---- what a host lacks


CALLS: list[tuple[str, Options]] = [
    ("netns", {"name": "inner"}),
    ("bridge", BRIDGE),
    ("veth", {"name": "v-t", "peer": {"netns": "inner"}}),
    ("sysctl_forward", {}),
    ("nat_masquerade", {"source": "10.50.0.0/24"}),
    ("port_publish", {**PORT, "bridge": "br-t"}),
    ("bridge_firewall", {"bridge": "br-t", "subnets": ["10.50.0.0/24"]}),
    ("bridge_network", {"networks": [{"name": "blue", "subnets": ["10.50.0.0/24"]}]}),
    ("network_info", {}),
]


@pytest.mark.once
@pytest.mark.parametrize("check", [False, True], ids=["change", "check"])
@pytest.mark.parametrize(("module", "options"), CALLS, ids=[module for module, unused in CALLS])
class TestHost:
    def expect(self, host: Host, module: str, options: Options, check: bool, how: Options, *words: str) -> None:
        before = host.dump()
        result = host.fleet.module(host.name, module, check=check, how=how, **options)
        assert result.failed and not result.changed, result.data
        assert "Traceback" not in result.stderr and is_one_sentence(result.msg), (result.msg, result.stderr)
        for word in words:
            assert word in result.msg, result.msg
        assert differences(before, host.dump()) == ""

    def test_no_privilege(self, host: Host, module: str, options: Options, check: bool) -> None:
        self.expect(host, module, options, check, {"uid": 65534}, "become")

    def test_no_pyroute2(self, host: Host, module: str, options: Options, check: bool) -> None:
        self.expect(host, module, options, check, {"missing": "pyroute2"}, "pyroute2", "python3-pyroute2")


@pytest.mark.once
def test_broken_pyroute2(host: Host) -> None:
    """Half an installation, as a distribution's upgrade may leave it."""
    host.run("mkdir -p /tmp/broken/pyroute2; touch /tmp/broken/pyroute2/__init__.py")
    before = host.dump()
    for module, options in (("bridge", BRIDGE), ("bridge_network", network({"name": "web"}))):
        result = host.fleet.module(host.name, module, how={"missing": "pyroute2", "path": ["/tmp/broken"]}, **options)
        assert result.failed and "pyroute2" in result.msg and "python3-pyroute2" in result.msg
        assert "Traceback" not in result.stderr + result.msg
        assert differences(before, host.dump()) == ""


FIREWALL_CALLS = [
    call for call in CALLS if call[0] in ("nat_masquerade", "port_publish", "bridge_firewall", "bridge_network")
]


@pytest.mark.parametrize(("module", "options"), FIREWALL_CALLS, ids=[module for module, unused in FIREWALL_CALLS])
def test_no_tool(host: Host, module: str, options: Options) -> None:
    """The back-end's tool is not installed: its package is named."""
    before = host.dump()
    tool, package = ("nft", "nftables") if host.fleet.settings.backend == "nftables" else ("iptables", "iptables")
    host.run(f"mkdir -p /tmp/hidden; mv /usr/sbin/{tool}* /tmp/hidden; hash -r")
    try:
        for check in (False, True):
            result = host.fleet.module(host.name, module, check=check, **options)
            assert result.failed and not result.changed, result.data
            assert package in result.msg and "install" in result.msg, result.msg
            assert is_one_sentence(result.msg) and "Traceback" not in result.stderr
    finally:
        host.run("mv /tmp/hidden/* /usr/sbin")
    assert differences(before, host.dump()) == ""


@pytest.mark.once
def test_no_tool_at_all(host: Host) -> None:
    """With `auto`, neither nft nor iptables; what needs no packet filter works all the same."""
    host.run("mkdir -p /tmp/hidden; mv /usr/sbin/nft* /usr/sbin/*tables* /tmp/hidden")
    try:
        for module, options in FIREWALL_CALLS:
            result = host.fleet.module(host.name, module, backend="auto", **options)
            assert result.failed and "nftables" in result.msg and is_one_sentence(result.msg), result.msg
        assert host.fleet.module(host.name, "netns", name="inner").changed
        assert host.fleet.module(host.name, "bridge", **BRIDGE).changed
        info = host.fleet.module(host.name, "network_info", backend="auto")
        assert not info.failed and info.data["backend"] is None
    finally:
        host.run("mv /tmp/hidden/* /usr/sbin")


@pytest.mark.once
def test_auto_takes_iptables(host: Host) -> None:
    """`auto` on a host without nft."""
    host.run("mkdir -p /tmp/hidden; mv /usr/sbin/nft /tmp/hidden")
    try:
        assert host.do("nat_masquerade", source="10.50.0.0/24", backend="auto").changed
        assert host.do("network_info", backend="auto").data["backend"].startswith("iptables")
    finally:
        host.run("mv /tmp/hidden/* /usr/sbin")
    assert "10.50.0.0/24" in host.run("iptables-save")


# ---- over ssh, by the role


@pytest.mark.once
@pytest.mark.ansible
def test_role(host: Host, fleet: Fleet) -> None:
    """The role's errors as Ansible shows them, for several lists in one run; nothing is changed by any."""
    before = host.dump()
    web: Options = {"name": "web"}
    blue: Options = {"name": "blue", "subnets": ["10.50.0.0/24"], "endpoints": [web]}
    steps: Options = {"step_by_step": True}
    lists: dict[str, tuple[Any, Options, tuple[str, ...]]] = {
        "outside": ([{**blue, "endpoints": [{**web, "addresses": ["10.9.9.9"]}]}], {}, ("10.9.9.9",)),
        "bits": ([{**blue, "subnets": ["10.50.0.1/24"]}], {}, ("network blue", "10.50.0.1/24")),
        "publish": ([{**blue, "endpoints": [{**web, "publish": ["8000-8002:80-81"]}]}], {}, ("web", "8000-8002")),
        "lan": ([{**blue, "subnets": ["192.0.2.0/24"]}], {}, ("192.0.2.0/24",)),
        "typo": ([{"name": "blue", "subnet": "10.50.0.0/24"}], {}, ("network blue", "subnets")),
        "nameless": ([{"subnets": ["10.50.0.0/24"]}], {}, ("item 1", "name")),
        "texts": (["blue"], {}, ("item 1", "- name: blue")),
        "names": ({"blue": blue}, {}, ("networks", "list", "- name: blue")),
        "endpoints-texts": ([{**blue, "endpoints": ["web", "db"]}], {}, ("network blue", "endpoints", "- name: web")),
        "endpoints-names": ([{**blue, "endpoints": {"web": {}}}], {}, ("network blue", "endpoints", "- name: web")),
        "endpoint-typo": (
            [{**blue, "endpoints": [{**web, "adresses": []}]}],
            {},
            ("endpoint web", "addresses"),
        ),
        "type": ([{**blue, "internal": "perhaps"}], {}, ("network blue", "internal", "perhaps")),
        "state": ([blue], {"state": "gone"}, ("state", "gone", "present, absent")),
        "prune": ([blue], {"prune": False}, ("prune", "false", "listed, project, none")),
        "empty": ([], {}, ("networks", "empty", "prune", "project")),
        "nothing": (None, {}, ("bridge_network_networks", "list of networks")),
        "backend": ([blue], {"backend": "pf"}, ("backend", "pf", "nftables")),
        "pools": ([blue], {"pools": False}, ("pools", "false", "list")),
        "steps": ([blue], {"step_by_step": "maybe"}, ("step_by_step", "'maybe'", "true or false")),
        "steps-list": ([blue], {"step_by_step": [True]}, ("step_by_step", "a list", "true or false")),
        "steps-texts": (["blue"], steps, ("item 1", "- name: blue")),
        "steps-state": ([blue], {"state": "gone", **steps}, ("state", "gone", "present, absent")),
        "steps-prune": ([blue], {"prune": "perhaps", **steps}, ("prune", "perhaps", "listed", "project", "none")),
        "steps-nothing": (None, steps, ("bridge_network_networks", "missing")),
        "steps-lan": ([{**blue, "subnets": ["192.0.2.0/24"]}], steps, ("network blue", "192.0.2.0/24")),
        "steps-way": ([{**blue, "masquerade": {"out_interface": "eth7"}}], steps, ("network blue", "eth7")),
    }
    plays: list[dict[str, Any]] = []
    for name, (networks, variables, unused) in lists.items():
        role = fleet.role(networks, name=name, **variables)
        include = {"name": "Role", "ansible.builtin.include_role": {"name": "dockerless.network.bridge_network"}}
        block = {
            "block": [{**include, "vars": role["roles"][0]["vars"]}],
            "rescue": [{"name": "Rescued", "ansible.builtin.meta": "noop"}],
        }
        plays.append({key: value for key, value in role.items() if key != "roles"} | {"tasks": [block]})
    run = fleet.play(plays, hosts=host.name)
    for name, (unused_list, unused_variables, words) in lists.items():
        failed = [result for result in run.of(play=name) if result.status in ("failed", "ignored")]
        assert len(failed) == 1, (name, run.output[-2000:])
        message = str(failed[0].result["msg"])
        assert all(word in message for word in words) and "Traceback" not in message, (name, message)
        assert is_one_sentence(message), (name, message)
        assert "argument_spec_data" not in failed[0].result, name
    assert differences(before, host.dump()) == ""


INI = """\
[fleet]
{host} {beside}
[fleet:vars]
bridge_network_networks={networks}
"""
STEPS = ("-e", "bridge_network_step_by_step=yes")


@pytest.mark.once
@pytest.mark.ansible
def test_values_that_arrive_as_texts(host: Host, fleet: Fleet, tmp_path: Path) -> None:
    """From an inventory in INI and by -e: booleans in words, lists as JSON, and a `no` that must never prune."""
    inventory = tmp_path / "hosts.ini"
    listed = [
        {"name": "blue", "subnets": "10.50.0.0/24", "icc": "no", "endpoints": [{"name": "web", "publish": "8090:80"}]},
        {"name": "red", "subnets": ["10.51.0.0/24"], "internal": "off", "endpoints": ""},
    ]
    play = fleet.role(None)
    del play["roles"][0]["vars"]["bridge_network_networks"]

    def run(beside: str, networks: str, *arguments: str) -> Run:
        inventory.write_text(INI.format(host=host.name, beside=beside, networks=networks))
        return fleet.play([play], "-i", str(inventory), *arguments, hosts=host.name)

    run("bridge_network_prune=project bridge_network_step_by_step=no", json.dumps(listed)).must()
    made = host.dump()
    assert host.run("bridge -d link show dev v-blue-web").count("isolated on") == 1
    assert run("bridge_network_step_by_step=yes", json.dumps(listed)).must().changed == []

    refused = [
        (run("bridge_network_prune=no", json.dumps(listed[1:])), ("prune", "no", "listed, project, none")),
        (run("bridge_network_step_by_step=perhaps", json.dumps(listed)), ("step_by_step", "perhaps")),
        (
            run("", json.dumps(listed[1:]), "-e", "bridge_network_prune=False", *STEPS),
            ("prune", "listed, project, none"),
        ),
        (run("", ""), ("networks", "list")),
        (run("", "None", *STEPS), ("networks", "list")),
    ]
    for found, words in refused:
        assert len(found.failed) == 1, found.output[-2000:]
        assert all(word in str(found.failed[0].result["msg"]) for word in words), found.failed[0]
    assert differences(made, host.dump()) == ""
    run("bridge_network_prune=none", json.dumps(listed[1:])).must()
    run("", json.dumps([{**listed[0], "endpoints": []}]), "-e", "bridge_network_prune=None").must()
    assert differences(made, host.dump()) == ""
    empty = run("bridge_network_prune=None bridge_network_backend=", json.dumps(listed), "--check").must()
    assert " ".join(empty.output.split()).count("bridge_network_prune: it is empty, so the default counts") == 1
    run("bridge_network_prune=project bridge_network_state=absent", json.dumps(listed)).must()
    assert "br-red" not in host.run("ls /sys/class/net")


@pytest.mark.once
@pytest.mark.ansible
def test_an_empty_variable_of_the_role_counts_as_absent(host: Host, fleet: Fleet) -> None:
    names = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    play = fleet.role([{"name": "blue", "subnets": ["10.50.0.0/24"]}], check=True)
    play["roles"][0]["vars"].update(dict.fromkeys(names))
    [done] = [result for result in fleet.play([play], hosts=host.name).must().of(host.name) if result.commands]
    assert done.task.endswith("Make the networks in one call")
    assert [text.partition(":")[0] for text in warnings_of(done)] == ["bridge_network_prune"]


@pytest.mark.once
@pytest.mark.ansible
@pytest.mark.parametrize("steps", [False, True])
def test_the_list_of_the_role_is_missing(host: Host, fleet: Fleet, steps: bool) -> None:
    """Ansible itself would only say that a variable is undefined, on many lines."""
    plays = [fleet.role(None, step_by_step=steps) for unused in range(2)]
    del plays[0]["roles"][0]["vars"]["bridge_network_networks"]
    for play in plays:
        run = fleet.play([play], hosts=host.name)
        assert [found.result["msg"] for found in run.failed] == [
            "bridge_network_networks: the list of networks is missing; write a list, each item with its name, as in"
            " - name: blue."
        ]


@pytest.mark.once
def test_the_steps_of_the_role_warn_of_the_same(host: Host, fleet: Fleet) -> None:
    """The first run in check mode, when nothing is there yet, and the run itself."""
    port = {"host_port": 8091, "container_port": 80, "host_ip": "192.0.2.99", "in_interfaces": ["eth7"]}
    lists: list[Options] = [
        {
            "name": "vault",
            "subnets": ["10.50.0.0/24"],
            "internal": True,
            "endpoints": [{"name": "hsm", "publish": ["8090:80", "10.50.0.1:8092:80", port]}],
        },
        {
            "name": "red",
            "subnets": ["10.51.0.0/24"],
            "trusted_interfaces": ["wg0", "br-vault"],
            "masquerade": {"to_source": "192.0.2.98"},
        },
    ]
    warned = {}
    for check in (True, False):
        for steps in (False, True):
            run = fleet.play([fleet.role(lists, check=check, step_by_step=steps)], hosts=host.name).must()
            warned[check, steps] = {text for result in run.of(host.name) for text in warnings_of(result)}
            if not check:
                fleet.play([fleet.role(lists, state="absent")], hosts=host.name).must()

    expected = warned[False, False]
    for word in ("vault is internal", "192.0.2.99", "192.0.2.98", "interface eth7", "interface wg0"):
        assert sum(word in text for text in expected) == 1, (word, expected)
    assert len(expected) == 5
    assert warned[False, True] == warned[True, False] == expected
    # a module by itself cannot know what the ones before it would have made
    assert {text for text in warned[True, True] if not text.startswith("Check mode assumes")} == expected


@pytest.mark.once
@pytest.mark.parametrize("steps", [False, True])
def test_typing_errors_in_names_are_told(host: Host, fleet: Fleet, steps: bool) -> None:
    """A variable that the role does not have, and a network to remove that is not there; nothing else is told."""
    networks = [{"name": "blue", "subnets": ["10.50.0.0/24"]}, {"name": "red", "subnets": ["10.51.0.0/24"]}]

    def told(names: list[Options], **variables: Any) -> str:
        play = fleet.role(names, step_by_step=steps, **variables)
        return " ".join(fleet.play([play], hosts=host.name).must().output.split())

    assert "bridge_network_prun, and ignores it; did you mean bridge_network_prune?" in told(networks, prun="project")
    gone = told([{"name": "blue"}, {"name": "reed"}], state="absent")
    text = "Network reed of project default is not there, so it cannot be removed; is one of these meant: red?"
    assert gone.count(text) == 1 and gone.count("is not there") == 1
    assert "ignores it" not in gone
    assert host.run("ls /sys/class/net | grep ^br-").split() == ["br-red"]
    for unused in range(1 if steps else 2):  # whoever removes all of it twice is right
        assert "WARNING" not in told([{"name": "red"}], state="absent")


def warnings_of(result: TaskResult) -> list[str]:
    """As ansible-core spelled them before and since 2.19."""
    return [str(w["msg"] if isinstance(w, dict) else w) for w in result.result.get("warnings", ())]
