# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inputs and hosts of public reports: where the module runs, with which Python, and what is odd about the host.

For each report the case itself and a sibling of its kind.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from fleet import Fleet, Host, Lab, Run, Settings, differences

pytestmark = pytest.mark.once

BLUE: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [{"name": "web", "publish": ["8080:80"]}],
}
GREEN: dict[str, Any] = {"name": "green", "subnets": ["10.21.0.0/24"], "endpoints": [{"name": "cache"}]}


def is_one_sentence(message: str) -> bool:
    python = re.search(r"Traceback|Error\(|Exception|<class|object at 0x|Errno|line \d+, in ", message)
    return python is None and "\n" not in message and 20 < len(message) < 400


def refusal(run: Run) -> str:
    """The sentence with which a run failed."""
    [failed] = run.failed
    message = str(failed.result["msg"])
    assert is_one_sentence(message), message
    return message


def script(host: Host, path: str, text: str) -> None:
    """Make a program on a host."""
    host.run(f"printf '%s\\n' '#!/bin/sh' {shlex.quote(text)} > {path}; chmod +x {path}")


def seen_by_all(host: Host, name: str) -> bool:
    """Whether a namespace's name is one for everybody on the host."""
    return host.run(f"ip netns exec {name} true && echo yes", check=False) == "yes\n"


# ---- the module does not run where the host lives: mounts


PRIVATE = (
    "mkdir -p /etc/systemd/system/ssh.service.d; printf '[Service]\\n%s\\n' > /etc/systemd/system/ssh.service.d/p.conf"
)


@pytest.fixture(scope="module")
def hardened(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Host]:
    """A host with systemd, whose sshd has mounts of its own."""
    pytest.importorskip("lab.identity")
    from lab.identity import systemd_path

    if systemd_path() is None:
        pytest.skip("systemd is not installed")
    with Lab(name=f"m{os.getpid()}") as lab:
        lab.up(hosts=1, systemd=True, binds=settings.binds())
        lab.run("h1", "systemctl is-system-running --wait", check=False)
        lab.run("h1", PRIVATE % "PrivateTmp=yes")
        lab.run("h1", "systemctl daemon-reload; systemctl restart ssh || systemctl restart sshd")
        fleet = Fleet(lab, settings, tmp_path_factory.mktemp("hardened"))
        yield Host(fleet, "h1")


def test_behind_a_hardened_sshd(hardened: Host) -> None:
    fleet = hardened.fleet
    mounts = fleet.play(
        [{"hosts": "fleet", "gather_facts": False, "tasks": [{"command": "readlink /proc/self/ns/mnt"}]}]
    )
    assert mounts.must().results[0].result["stdout"] != hardened.run("readlink /proc/1/ns/mnt").strip()

    assert fleet.play([fleet.role([BLUE])]).must().changed
    assert seen_by_all(hardened, "web")
    assert not fleet.play([fleet.role([BLUE])]).must().changed
    assert "dockerless" in hardened.run("ls /etc/sysctl.d /run")
    fleet.play([fleet.role([], name="gone", prune="project")]).must()
    assert "web" not in hardened.run("ls /run/netns")
    assert "dockerless" not in hardened.run("ls /etc/sysctl.d /run /run/lock")


# What Ansible takes for a Python: the host's, in other surroundings.
AWAY = "/usr/local/bin/away"
AS_AWAY = {"ansible_python_interpreter": AWAY}
PYTHON = '/usr/bin/python3 "$@"'
NFT = "/usr/local/sbin/nft"


def test_among_mounts_of_its_own(host: Host, fleet: Fleet) -> None:
    """The sibling: whatever made the mounts. Names, notes, files and the lock are the host's."""
    script(host, AWAY, f"exec unshare --mount {PYTHON}")
    before = host.dump()
    role = fleet.role([BLUE])
    checked = fleet.play([fleet.role([BLUE], check=True)], hosts="h1", extra=AS_AWAY).must()
    made = fleet.play([role], hosts="h1", extra=AS_AWAY).must()
    assert checked.commands("h1") == made.commands("h1")
    assert seen_by_all(host, "web")
    assert not fleet.play([role], hosts="h1").must().changed
    pid = host.process()
    name = {"dockerless.network.netns": {"name": "named", "pid": pid}}
    fleet.play([{"hosts": "fleet", "gather_facts": False, "tasks": [name]}], hosts="h1", extra=AS_AWAY).must()
    assert seen_by_all(host, "named")
    gone = {"dockerless.network.netns": {"name": "named", "pid": pid, "state": "absent"}}
    run = fleet.play(
        [{"hosts": "fleet", "gather_facts": False, "tasks": [gone]}, fleet.role([], prune="project")],
        hosts="h1",
        extra=AS_AWAY,
    )
    run.must()
    assert differences(before, host.dump()) == ""


def test_shut_out_of_the_mounts_of_the_host(host: Host, fleet: Fleet) -> None:
    script(host, AWAY, f"exec unshare --mount setpriv --bounding-set=-sys_chroot --inh-caps=-sys_chroot {PYTHON}")
    before = host.dump()
    message = refusal(fleet.play([fleet.role([BLUE])], hosts="h1", extra=AS_AWAY))
    assert "mount namespace of process 1" in message and "run it outside" in message and "CAP_SYS_CHROOT" in message
    assert differences(before, host.dump()) == ""


# ---- the module does not run where the host lives: its interpreter


def test_an_interpreter_without_pyroute2(host: Host, fleet: Fleet) -> None:
    """Ansible has found another Python than the one that has the library: the module moves to that one."""
    host.run("python3 -m venv --without-pip /opt/other")
    other = {"ansible_python_interpreter": "/opt/other/bin/python3"}
    role = fleet.role([BLUE])
    assert fleet.play([role], hosts="h1", extra=other).must().changed
    assert not fleet.play([role], hosts="h1", extra=other).must().changed
    fleet.play("- import_playbook: dockerless.network.prepare\n", hosts="h1", extra=other).must()


def test_no_interpreter_with_pyroute2(host: Host, fleet: Fleet) -> None:
    """The sibling: none has it, or only an old one."""
    host.run("python3 -m venv --without-pip /opt/other; mkdir -p /opt/hidden")
    folder = "/usr/lib/python3/dist-packages"
    host.run(f"mv {folder}/pyroute2* /opt/hidden")
    other = {"ansible_python_interpreter": "/opt/other/bin/python3"}
    try:
        none = refusal(fleet.play([fleet.role([BLUE])], hosts="h1", extra=other))
        assert "/usr/bin/python3 does not have it" in none and "python3-pyroute2" in none
        assert "pip for /opt/other/bin/python3" in none
        host.run(f"mkdir -p {folder}/pyroute2 {folder}/pyroute2-0.5.14.egg-info; touch {folder}/pyroute2/__init__.py")
        old = refusal(fleet.play([fleet.role([BLUE])], hosts="h1", extra=other))
        assert "/usr/bin/python3 has only 0.5.14" in old and "install a newer pyroute2 with pip" in old
        assert "python3-pyroute2" not in old
    finally:
        host.run(f"rm -rf {folder}/pyroute2*; mv /opt/hidden/* {folder}")


# ---- an error that is not one sentence


LOCK = "/run/lock/dockerless.network.lock"


@pytest.mark.parametrize("module", ["bridge_network", "bridge", "network_info"])
def test_a_full_lock_folder(host: Host, module: str) -> None:
    """The lock holds without the note in it; and where not even its file can be made, that is said."""
    options: dict[str, Any] = {
        "bridge_network": {"networks": [BLUE]},
        "bridge": {"name": "br-x"},
        "network_info": {},
    }[module]
    host.run(
        "mount -t tmpfs -o size=64k none /run/lock; dd if=/dev/zero of=/run/lock/fill bs=1k count=600", check=False
    )
    try:
        assert not host.fleet.module(host.name, module, check=True, **options).failed
        assert not host.fleet.module(host.name, module, **options).failed
        host.run("umount /run/lock; mount -t tmpfs -o nr_inodes=1 none /run/lock")
        message = host.refuse(module, **options)
        assert (
            is_one_sentence(message) and LOCK in message and "No space left" in message and "make some room" in message
        )
    finally:
        host.run("umount /run/lock")


@pytest.mark.parametrize(
    ("oddity", "again", "words"),
    [
        (f"mkdir -p {LOCK}", f"rmdir {LOCK}", (LOCK, "directory", "remove")),
        ("umount -l /run/netns; rm -rf /run/netns; ln -s netns /run/netns", "rm /run/netns", ("/run/netns", "link")),
        ("umount -l /run/netns; rm -rf /run/netns; touch /run/netns", "rm /run/netns", ("/run/netns", "file")),
        (
            "mkdir -p /etc/sysctl.d/90-dockerless-network.conf",
            "rmdir /etc/sysctl.d/90-dockerless-network.conf",
            ("/etc/sysctl.d/90-dockerless-network.conf", "directory"),
        ),
        (
            "printf '\\377\\376' > /etc/sysctl.d/90-dockerless-network.conf",
            "rm /etc/sysctl.d/90-dockerless-network.conf",
            ("/etc/sysctl.d/90-dockerless-network.conf", "UTF-8"),
        ),
        (
            "mkdir -p /etc/netns; touch /etc/netns/web",
            "rm /etc/netns/web",
            ("/etc/netns/web", "not a directory", "remove"),
        ),
        ("mkdir -p /etc/netns/web/hosts", "rm -r /etc/netns/web", ("/etc/netns/web/hosts", "is a directory", "remove")),
    ],
    ids=[
        *("lock-is-a-folder", "link-loop", "netns-is-a-file", "file-is-a-folder", "not-text"),
        *("folder-of-names-is-a-file", "names-are-a-folder"),
    ],
)
def test_an_odd_host(host: Host, oddity: str, again: str, words: tuple[str, ...]) -> None:
    host.run(oddity, check=False)
    try:
        message = host.refuse("bridge_network", networks=[BLUE])
        assert is_one_sentence(message), message
        for word in words:
            assert word in message, message
    finally:
        host.run(again)


def test_a_link_that_leads_to_itself_below_the_names_is_nobodys_namespace(host: Host) -> None:
    host.run("ip netns add some; ln -s loop /run/netns/loop; ln -s nothing /run/netns/dangling")
    try:
        assert host.do("bridge_network", networks=[BLUE]).changed
        assert not host.do("bridge_network", networks=[BLUE]).changed
        for name in ("loop", "dangling"):
            message = host.refuse("netns", name=name)
            assert is_one_sentence(message) and f"/run/netns/{name}" in message and "remove" in message
            message = host.refuse("bridge_network", networks=[lives_in(name)])
            assert message.startswith(f"network blue: endpoint some: namespace {name} cannot be made: /run/netns/")
            assert not host.do("netns", name=name, state="absent").changed
            assert host.run(f"readlink /run/netns/{name}")
        host.run("mkdir /run/netns/folder")
        for check in (True, False):
            refused = host.fleet.module(host.name, "bridge_network", networks=[lives_in("folder")], check=check)
            assert refused.failed and "/run/netns/folder" in refused.msg
    finally:
        host.run("rm /run/netns/loop /run/netns/dangling; rmdir /run/netns/folder")


def test_a_namespace_of_another_kind_below_the_names_is_nobodys(host: Host) -> None:
    """It is in the way of its own name alone."""
    host.run("ip netns add some; touch /run/netns/uts; mount --bind /proc/self/ns/uts /run/netns/uts")
    try:
        assert host.do("bridge_network", networks=[BLUE]).changed
        assert not host.do("bridge_network", networks=[BLUE]).changed
        assert [item["name"] for item in host.do("network_info").data["namespaces"]] == ["web"]
        for check in (True, False):
            refused = host.fleet.module(host.name, "bridge_network", networks=[lives_in("uts")], check=check)
            told = "network blue: endpoint some: namespace uts cannot be made: /run/netns/uts is not the file of "
            assert refused.failed and refused.msg.startswith(told) and is_one_sentence(refused.msg), refused.msg
        assert not host.do("netns", name="uts", state="absent").changed
        host.do("bridge_network", networks=[{"name": "blue"}], state="absent")
    finally:
        host.run("umount /run/netns/uts; rm /run/netns/uts")


def lives_in(netns: str) -> dict[str, Any]:
    return {**BLUE, "endpoints": [{"name": "some", "netns": netns}]}


def test_a_lock_that_somebody_removes(host: Host) -> None:
    """A run that is done does not fail over it."""
    script(host, NFT, f'rm -f {LOCK}; exec /usr/sbin/nft "$@"')
    try:
        assert host.do("nat_masquerade", source="10.50.0.0/24", backend="nftables").changed
    finally:
        host.run(f"rm {NFT}")


def test_a_tool_that_is_no_program(host: Host) -> None:
    host.run(f"echo nothing > {NFT}; chmod +x {NFT}")
    try:
        message = host.refuse("nat_masquerade", source="10.50.0.0/24", backend="nftables")
        assert is_one_sentence(message) and f"{NFT} cannot be run" in message, message
    finally:
        host.run(f"rm {NFT}")


def test_an_nft_that_dies_is_not_one_that_is_missing(host: Host, fleet: Fleet) -> None:
    """As nft 1.0.6 does of a table that 1.1.7 has made: what is to be removed is in there."""
    blue = [{"name": "blue", "subnets": ["10.50.0.0/24"], "endpoints": [{"name": "web", "publish": ["8080:80"]}]}]
    host.do("bridge_network", networks=blue)
    there = host.run("nft list table inet dockerless")
    script(host, NFT, "exit 139")
    try:
        for backend in ("auto", "nftables", "iptables"):
            message = host.refuse("bridge_network", networks=[{"name": "blue"}], state="absent", backend=backend)
            assert is_one_sentence(message) and "nft does not work here: it says nothing" in message, message
        assert "nft does not work here" in host.refuse("sysctl_forward", state="absent")
        assert "nft does not work here" in fleet.module(host.name, "network_info").msg
    finally:
        host.run(f"rm {NFT}")
    assert host.run("nft list table inet dockerless") == there
    host.do("bridge_network", networks=[{"name": "blue"}], state="absent")
    assert "dockerless" not in host.run("nft list tables")


def test_an_nft_that_is_too_old(host: Host, fleet: Fleet) -> None:
    old = """sed 's/"version": "[^"]*"/"version": "0.9.8"/'"""
    script(host, NFT, f'out=$(/usr/sbin/nft "$@"); rc=$?; printf "%s\\n" "$out" | {old}; exit $rc')
    options = {"source": "10.50.0.0/24", "backend": "auto"}
    try:
        for module, more in (("nat_masquerade", {**options, "check": True}), ("network_info", {})):
            message = fleet.module(host.name, module, **{**more, "backend": "nftables"}).msg
            assert message == "Back-end nftables: nft 0.9.8 is too old; install nftables 1.0.6 or later."
        assert fleet.module(host.name, "network_info", backend="auto").data["backend"] == "iptables"
        done = host.do("nat_masquerade", **options)
        assert done.commands[0].startswith("iptables-restore") and host.do("nat_masquerade", **options).commands == []
        host.do("nat_masquerade", state="absent", **options)
    finally:
        host.run(f"rm {NFT}")


def test_root_without_a_capability(host: Host, fleet: Fleet) -> None:
    """A container that has CAP_NET_ADMIN alone: `become` is not what it lacks."""
    script(host, AWAY, f"exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin {PYTHON}")
    message = refusal(fleet.play([fleet.role([BLUE])], hosts="h1", extra=AS_AWAY))
    assert "is root" in message and "CAP_SYS_ADMIN" in message and "container" in message
    assert "CAP_NET_ADMIN" not in message and "become" not in message


# ---- a value arrives in another type than meant


@pytest.mark.ansible
@pytest.mark.parametrize("stepwise", [True, False], ids=["steps", "one-call"])
def test_a_second_list_leaves_the_first_one_and_prune_takes_its_words_only(
    host: Host, fleet: Fleet, stepwise: bool
) -> None:
    """Two plays, each with a list of its own: the second one used to take the networks of the first one away."""
    host.do("bridge_network", networks=[BLUE])
    play = fleet.role([GREEN], step_by_step=stepwise)
    for words in ("bridge_network_prune=false", '{"bridge_network_prune": true}'):
        [failed] = fleet.play([play], "-e", words, hosts="h1").failed
        assert all(word in str(failed.result["msg"]) for word in ("prune", "listed", "project", "none"))
    for words in ([], ["-e", "bridge_network_prune=none"]):
        fleet.play([play], *words, hosts="h1").must()
        bridges = host.run("ip -br link show type bridge")
        assert "br-blue" in bridges and "br-green" in bridges
        assert seen_by_all(host, "web")
    taken = fleet.play([{**play, "name": "mine"}], "-e", "bridge_network_project=mine", hosts="h1")
    assert "Network green belongs to project default, and project mine asks for it" in refusal(taken)
    fleet.play([play], "-e", "bridge_network_prune=project", hosts="h1").must()
    assert "br-blue" not in host.run("ip -br link show type bridge")


CHANGED_BY_YAML = {
    "{name: no, subnets: [10.50.0.0/24]}": ("name", "got the boolean false", "quotes"),
    "{name: a, subnets: [10.50.0.0]}": ("network a", "10.50.0.0 has no prefix length", "10.50.0.0/24"),
    "{name: a, endpoints: [{name: on}]}": ("network a", "name", "got the boolean true", "quotes"),
    "{name: a, endpoints: [{name: b, publish: [22:22]}]}": ("endpoint b", "1342", '"22:22"', "quotes"),
    "{name: a, endpoints: [{name: b, publish: 22:22}]}": ("endpoint b", "1342", '"22:22"', "quotes"),
    "{name: a, endpoints: [{name: b, publish: 8080}]}": ("endpoint b", '"8080"', "quotes"),
    "{name: a, endpoints: [{name: b, mac_address: 12:34:56:12:34:56}]}": ("mac_address", '"12:34:56:12:34:56"'),
    "{name: a, endpoints: [{name: b, pid: yes}]}": ("endpoint b", "pid", "got the boolean true", "whole number"),
    "{name: a, endpoints: [b, c]}": ("network a", "endpoints", "item 1", "'b'", "name: b"),
    "{name: a, endpoints: {b: {}}}": ("network a", "endpoints", "a dictionary", "list"),
    "{name: a, mtu: big}": ("network a", "mtu", "'big'", "whole number"),
    "{name: a, host_access: no}": ("host_access", "got the boolean false", "one of allow, deny"),
    "blue": ("networks", "'blue'", "dictionary"),
    "{name: a, subnets: [fd00:50::/64], endpoints: [{name: b, addresses: ['fd00:50::5%eth0']}]}": ("b", "zone ID"),
}
TASK = """
    - dockerless.network.bridge_network:
        prune: none
        networks:
          - %s
      ignore_errors: true
"""


@pytest.mark.ansible
def test_values_that_yaml_has_changed(host: Host, fleet: Fleet) -> None:
    before = host.dump()
    head = "- hosts: fleet\n  gather_facts: false\n  become: true\n  tasks:\n"
    run = fleet.play(head + "".join(TASK % network for network in CHANGED_BY_YAML), hosts="h1")
    assert len(run.results) == len(CHANGED_BY_YAML), run.output
    for result, (network, words) in zip(run.results, CHANGED_BY_YAML.items(), strict=True):
        message = str(result.result["msg"])
        assert result.status == "ignored" and is_one_sentence(message), (network, message)
        for word in words:
            assert word in message, (network, message)
    assert differences(before, host.dump()) == ""


def test_a_key_without_a_value_is_absent(host: Host, fleet: Fleet) -> None:
    text = "{name: 7, subnets: [10.50.0.0/24], endpoints: , mtu: , internal: , masquerade: , host_access: , allow: }"
    fleet.play([fleet.role([yaml.safe_load(text)])], hosts="h1").must()
    assert "br-7" in host.run("ip -br link show type bridge")
    for module, options in (
        ("veth", {"name": "v-t", "addresses": None, "bridge": "br-7", "peer": {"netns": "in", "routes": None}}),
        ("sysctl_forward", {"ipv4": None, "route_localnet": None, "state": None}),
        ("bridge_firewall", {"bridge": "br-7", "subnets": ["10.50.0.0/24"], "icc": None, "backend": None}),
        ("netns", {"aggregate": [{"name": "in", "pid": None, "sysctls": None, "state": None}], "name": None}),
    ):
        assert not host.fleet.module(host.name, module, check=True, **options).failed, module
    for networks in (None, [{"name": "blue", "dns": None}]):
        run = fleet.play(
            "- import_playbook: dockerless.network.prepare\n", hosts="h1", extra={"bridge_network_networks": networks}
        ).must()
        assert "DEPRECAT" not in run.output.upper(), run.output


# ---- the filter of the role


@pytest.mark.ansible
def test_the_filter_copies_nothing_of_ansible_and_warns_of_nothing(fleet: Fleet) -> None:
    """Sixty networks: what Ansible's templates are made of is not handed on, which warned and took 12 s."""
    networks = [
        {"name": f"n{number}", "subnets": [f"10.60.{number}.0/24"], "endpoints": [{"name": f"e{number}"}]}
        for number in range(60)
    ]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"networks": networks, "ports": ["8080:80"]},
        "tasks": [{"ansible.builtin.set_fact": {"plan": "{{ networks | dockerless.network.compose({}) }}"}}],
    }
    run = fleet.play([play], extra={"ansible_python_interpreter": "/usr/bin/python3"}).must()
    [result] = run.results
    assert len(result.result["ansible_facts"]["plan"]["present"]["bridge"]) == 60
    assert "DEPRECAT" not in run.output.upper(), run.output


# ---- what a person reads


@pytest.mark.ansible
def test_show_prints_the_picture_as_a_picture(fleet: Fleet) -> None:
    """With Ansible's own callback and no configuration: no list in JSON, with quotes and commas."""
    shown = fleet.play(
        "- import_playbook: dockerless.network.show", hosts="h1", environment={"ANSIBLE_STDOUT_CALLBACK": "default"}
    )
    picture = shown.output.partition("TASK [Draw it]")[2].partition("PLAY RECAP")[0].splitlines()[1:]

    assert picture[0].startswith("h1  forwards ") and picture[1].startswith("│  uplink    ")
    assert picture[2] == "│" and picture[3][:3] in ("├─ ", "└─ ")
    assert not any(line.strip().startswith(('"', "[")) or line.endswith(",") for line in picture)


@pytest.mark.ansible
def test_show_writes_the_map_of_all_hosts_once(fleet: Fleet) -> None:
    """It is the same file again when nothing has changed."""
    path = fleet.folder / "map.html"
    plays = "- import_playbook: dockerless.network.show"
    run = fleet.play(plays, hosts="h1", extra={"bridge_network_map": str(path)})
    assert path.exists(), run.output
    first = path.read_text()

    assert first.startswith("<!DOCTYPE html>") and "<h2>h1</h2>" in first and "packet filter" in first
    stamp = path.stat().st_mtime_ns
    fleet.play(plays, hosts="h1", extra={"bridge_network_map": str(path)})
    assert (path.read_text(), path.stat().st_mtime_ns) == (first, stamp), run.output
