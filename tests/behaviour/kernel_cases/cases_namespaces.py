# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces: names, stacks, sysctls inside."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading

from tools_for_cases import HOST, bridge, interface, link_in, netns, process_in_own_namespace, refused, shell, veth_pair

from ansible_collections.dockerless.network.plugins.module_utils.kernel import files, sockets, sysctl
from ansible_collections.dockerless.network.plugins.module_utils.kernel import netns as names
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.namespaces import OWN_NAMESPACE, Visitor
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netlink import NETLINK_ROUTE
from ansible_collections.dockerless.network.plugins.module_utils.kernel.requests import RTM_DELLINK
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import NamespaceEntry
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import Place

WEB = Place(netns="web")
RTMGRP_LINK = 1
RECORD = "/run/dockerless.network/netns/web"


def inode(path: str) -> int:
    return os.stat(path).st_ino


def test_a_namespace_is_born_with_its_loopback_up_and_marked(host: Host) -> None:
    host.create_namespace("web", "dockerless.network:blue")
    lo = host.stack(WEB).links()["lo"]
    assert (lo.up, lo.group, lo.alias) == (True, LINK_GROUP, "dockerless.network:blue")
    assert interface("127.0.0.1/8") in lo.addresses
    assert host.namespaces() == {"web": NamespaceEntry("web", inode("/run/netns/web"))}
    assert host.namespace_inode(WEB) == inode("/run/netns/web") != host.namespace_inode(HOST)
    assert host.namespace_inode(HOST) == inode("/proc/self/ns/net")
    assert "web" in shell("ip", "netns", "list")
    assert "LOOPBACK,UP" in shell("ip", "netns", "exec", "web", "ip", "link", "show", "lo")


def test_a_namespace_that_is_born_forwarding_forwards_no_more(host: Host) -> None:
    real = names.unshare_network
    names.unshare_network = _unshare_forwarding
    try:
        host.create_namespace("web", "test")
    finally:
        names.unshare_network = real
    assert [host.stack(WEB).read_sysctl(key) for key in FORWARDING] == ["0", "0"]


FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")


def _unshare_forwarding() -> None:
    """As on a host that forwards; here it does not, and the namespace begins with what the machine has."""
    _unshare_network()
    for key in FORWARDING:
        sysctl.write(key, "1")


_unshare_network = names.unshare_network


def test_many_names_share_one_folder_mount(host: Host) -> None:
    for number in range(20):
        host.create_namespace("web%d" % number, "test")
    assert len(host.namespaces()) == 20
    mounts = (files.read("/proc/self/mountinfo") or "").splitlines()
    folders = [mount for mount in mounts if mount.split()[4] == "/run/netns"]
    assert len(folders) == 1 and " shared:" in folders[0]
    shell("ip", "netns", "add", "foreign")
    assert len(host.namespaces()) == 20
    with host.lock(1):
        assert len(host.namespaces()) == 21


def test_a_name_that_is_taken_is_refused(host: Host) -> None:
    shell("ip", "netns", "add", "web")
    before = inode("/run/netns/web")
    with refused("Cannot create namespace web: File exists (a namespace of that name is already there)"):
        host.create_namespace("web", "test")
    assert inode("/run/netns/web") == before


def test_a_name_that_is_no_file_name_is_refused(host: Host) -> None:
    for name in ("", "..", "../web", "a/b"):
        with refused("is not a file name"):
            host.create_namespace(name, "test")
        with refused("is not a file name"):
            host.delete_namespace(name)


def test_a_failure_leaves_no_name(host: Host) -> None:
    with refused("Cannot create namespace web: Numerical result out of range"):
        host.create_namespace("web", "x" * 300)
    assert os.listdir("/run/netns") == [] if os.path.isdir("/run/netns") else True


def test_what_a_crash_left_is_no_namespace_and_is_reused(host: Host) -> None:
    files.write("/run/netns/web", "")
    assert host.namespaces() == {"web": NamespaceEntry("web", 0)}
    assert host.namespace_inode(WEB) == 0
    with refused("Cannot enter namespace web: /run/netns/web is not a network namespace"):
        host.stack(WEB).links()
    host.create_namespace("web", "test")
    assert host.namespaces()["web"].inode == inode("/run/netns/web")
    assert "lo" in host.stack(WEB).links()


def test_what_a_crash_left_can_be_deleted(host: Host) -> None:
    files.write("/run/netns/web", "")
    host.delete_namespace("web")
    assert host.namespaces() == {}


def test_a_misspelt_namespace_is_not_made(host: Host) -> None:
    assert host.namespace_inode(Place(netns="wbe")) == 0
    stack = host.stack(Place(netns="wbe"))
    for use in (stack.links, stack.routes, lambda: stack.read_sysctl("net/ipv4/ip_forward")):
        with refused("Cannot enter namespace wbe: there is no such namespace"):
            use()
    assert not os.path.exists("/run/netns/wbe")


def test_a_namespace_of_another_kind_is_refused(host: Host) -> None:
    netns(host, "web")
    files.write("/run/netns/uts", "")
    shell("mount", "--bind", "/proc/self/ns/uts", "/run/netns/uts")
    with refused("/run/netns/uts is not a network namespace"):
        host.stack(Place(netns="uts")).links()
    assert host.namespaces()["uts"] == NamespaceEntry("uts", 0, blocked=True)
    assert host.namespaces()["web"].inode == inode("/run/netns/web")


def test_a_name_is_deleted_and_free_at_once(host: Host) -> None:
    inodes = set()
    for _again in range(3):
        bridge_end = host.stack(HOST)
        veth_pair(host, "web0", "web", "10.1.0.2/24")
        inodes.add(host.namespace_inode(WEB))
        bridge_end.delete_link("web0")
        host.delete_namespace("web")
        assert host.namespaces() == {} and not os.path.exists("/run/netns/web")
    assert 0 not in inodes
    host.delete_namespace("web")


def test_a_deleted_namespace_is_not_kept_alive_by_us(host: Host) -> None:
    veth_pair(host, "web0", "web", "10.1.0.2/24")
    index = host.stack(HOST).links()["web0"].index
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as news:
        news.bind((0, RTMGRP_LINK))
        news.settimeout(10)
        host.delete_namespace("web")
        # The other end takes web0 along; it never would if we held on to the namespace.
        while (RTM_DELLINK, index) not in links_in(news.recv(1 << 16)):
            pass
    with host.lock(0):
        assert "web0" not in host.stack(HOST).links()


def links_in(piece: bytes) -> list[tuple[int, int]]:
    """Type and index of each link message."""
    found, at = [], 0
    while at < len(piece):
        length, kind, index = struct.unpack_from("=IH14xi", piece, at)
        found.append((kind, index))
        at += (length + 3) & -4
    return found


def test_a_new_namespace_of_an_old_name_is_another_stack(host: Host) -> None:
    old = netns(host, "web")
    old.write_sysctl("net/ipv4/ip_forward", "1")
    host.delete_namespace("web")
    host.create_namespace("web", "test")
    assert host.stack(WEB).read_sysctl("net/ipv4/ip_forward") == "0"


def test_a_name_given_twice_is_deleted_for_good(host: Host) -> None:
    netns(host, "web")
    shell("mount", "--bind", "/run/netns/web", "/run/netns/web")
    host.delete_namespace("web")
    assert not os.path.exists("/run/netns/web")


def test_a_name_goes_in_other_mount_namespaces_too(host: Host) -> None:
    netns(host, "web")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        host.delete_namespace("web")
        mounts = files.read("/proc/%d/mountinfo" % process.pid)
        process.kill()
    assert mounts and "/run/netns/web" not in mounts


def test_a_process_namespace_gets_a_name_and_a_note(host: Host) -> None:
    with process_in_own_namespace() as pid:
        host.attach_namespace("web", pid)
        there = host.namespace_inode(Place(pid=pid))
        assert host.namespaces() == {"web": NamespaceEntry("web", there, there)}
        assert inode("/run/netns/web") == there == int(files.read(RECORD) or 0)
        host.stack(WEB).write_sysctl("net/ipv4/ip_forward", "1")
        assert host.stack(Place(pid=pid)).read_sysctl("net/ipv4/ip_forward") == "1"
        host.delete_namespace("web")
        assert host.stack(Place(pid=pid)).read_sysctl("net/ipv4/ip_forward") == "1"
    assert host.namespaces() == {} and not os.path.exists("/run/dockerless.network")


def test_the_namespace_of_a_process_that_ends_once_it_was_read_is_still_there(host: Host) -> None:
    """However many others this run has looked at since then, and even if the number is another process's by now."""
    sockets._OPEN = 3
    with process_in_own_namespace() as pid:
        place = Place(pid=pid)
        there = host.namespace_inode(place)
        assert "lo" in host.stack(place).links()
    for number in range(8):
        netns(host, "other%d" % number).links()
    with refused("there is no process %d" % pid):
        host.namespace_inode(place)
    host.attach_namespace("web", pid, noted=False)
    host.stack(HOST).add_veth("web0", "eth0", host.stack(place), None, None, None)
    host.stack(place).write_sysctl("net/ipv4/ip_forward", "1")
    host.close()
    assert inode("/run/netns/web") == there
    assert shell("ip", "netns", "exec", "web", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert "eth0" in host.stack(WEB).links()


def test_no_more_namespaces_of_processes_are_held_than_files_may_be_open(host: Host) -> None:
    sockets._HELD = 2
    with process_in_own_namespace() as one, process_in_own_namespace() as two, process_in_own_namespace() as three:
        for pid in (one, two, three):
            assert "lo" in host.stack(Place(pid=pid)).links()
        assert len([name for name in os.listdir("/proc/self/fd") if _is_socket(name)]) == 2
        assert host.stack(Place(pid=one)).read_sysctl("net/ipv4/ip_forward") is not None


def test_a_note_of_an_older_namespace_shows(host: Host) -> None:
    netns(host, "web")
    files.write(RECORD, "4711\n")
    files.write(RECORD + "2", "rubbish\n")
    host.close()
    with host.lock(1):
        assert host.namespaces()["web"].recorded == 4711


def test_attaching_to_a_taken_name_keeps_its_note(host: Host) -> None:
    with process_in_own_namespace() as pid, process_in_own_namespace() as other:
        host.attach_namespace("web", pid)
        with refused("Cannot attach namespace web: File exists (a namespace of that name is already there)"):
            host.attach_namespace("web", other)
        assert host.namespaces()["web"].recorded == host.namespace_inode(Place(pid=pid))


def test_a_process_that_does_not_exist(host: Host) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    gone = Place(pid=process.pid)
    sentence = "there is no process %d" % process.pid
    with refused(sentence):
        host.namespace_inode(gone)
    with refused(sentence):
        host.attach_namespace("web", process.pid)
    with refused(sentence):
        host.stack(gone).links()
    assert not os.path.exists("/run/netns/web") and not os.path.exists(RECORD)


def test_a_sysctl_of_a_namespace_is_its_own(host: Host) -> None:
    web = netns(host, "web")
    assert web.read_sysctl("net/ipv4/ip_forward") == "0"
    web.write_sysctl("net/ipv4/ip_forward", "1")
    assert web.read_sysctl("net/ipv4/ip_forward") == "1"
    assert host.stack(HOST).read_sysctl("net/ipv4/ip_forward") == "0"
    assert shell("ip", "netns", "exec", "web", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert [web.read_sysctl(key) for key in ("net/ipv4/ip_forward", "net/nothing")] == ["1", None]


def test_a_sysctl_of_a_link_with_a_dot_in_its_name(host: Host) -> None:
    stack = bridge(host, "br0.5")
    stack.write_sysctl("net/ipv4/conf/br0.5/forwarding", "1")
    assert stack.read_sysctl("net/ipv4/conf/br0.5/forwarding") == "1"


def test_a_sysctl_that_cannot_be_set_says_why(host: Host) -> None:
    for stack, where in ((host.stack(HOST), ""), (netns(host, "web"), " in namespace web")):
        with refused("Cannot set sysctl net/ipv4/nothing to 1%s: " % where, "there is no such key"):
            stack.write_sysctl("net/ipv4/nothing", "1")
        with refused("Cannot set sysctl net/ipv4/ip_forward to yes", "the key does not take this value"):
            stack.write_sysctl("net/ipv4/ip_forward", "yes")
        with refused("there is no such key"):
            stack.write_sysctl("net/nothing/at/all/here", "x")
        with refused("there is no such key"):
            stack.write_sysctl("net/../kernel/hostname", "x")
        assert stack.read_sysctl("net/../kernel/hostname") is None


def test_the_kernel_is_asked_whether_it_would_take_a_sysctl(host: Host) -> None:
    ports, first = "net/ipv4/ip_local_port_range", "net/ipv4/ip_unprivileged_port_start"
    control, arp = "net/ipv4/tcp_congestion_control", "net/ipv4/conf/br0.5/arp_ignore"
    here = {key: host.stack(HOST).read_sysctl(key) for key in (ports, first, control)}
    invalid = "the kernel does not take this value (Invalid argument)"
    for key, value, reason in (
        (ports, "1024 65000", ""),
        (ports, "65000 1024", invalid),
        (ports, "80 1024", invalid),
        ("net/ipv4/ip_default_ttl", "0", invalid),
        ("net/ipv4/ip_forward", "", invalid),
        ("net/ipv4/ip_local_reserved_ports", "", ""),
        (arp, "1", ""),
        (arp, "yes", invalid),
        ("net/ipv6/conf/eth0/accept_ra", "0", ""),
        ("net/ipv4/neigh/eth0/gc_stale_time", "30", ""),
        ("net/ipv4/conf/eth0/no_such_key", "1", "a network namespace has no such key"),
        ("net/core/netdev_max_backlog", "2000", "a network namespace has no such key"),
        (
            "net/ipv4/tcp_available_congestion_control",
            "reno",
            "it cannot be changed in a network namespace (Permission denied)",
        ),
        ("net/ipv4/tcp_syncookies", "0x1", "the kernel makes 1 of it"),
        ("net/ipv4/ip_local_reserved_ports", "8080,8081", "the kernel makes 8080-8081 of it"),
        ("net/ipv4/route/flush", "1", "it has no value"),
        (control, "reno", ""),
        (control, "no_such_control", "there is no module tcp_no_such_control"),
    ):
        refused = host.refused_sysctl([("net/ipv4/ip_forward", "1"), (key, value)])
        assert ("" if refused is None else refused.reason) == reason, (key, value, refused)
        assert refused is None or (refused.key, refused.value) == (key, value)
    assert host.refused_sysctl([(ports, "80 1024")], [(first, "80")]) is None
    assert here == {key: shell("cat", "/proc/sys/" + key).strip() for key in here}
    assert host.stack(HOST).read_sysctl("net/ipv4") is None
    assert host.namespaces() == {} and host.stack(HOST).read_sysctl("net/ipv4/route/flush") == ""


def test_sysctls_of_the_host_are_set_again_when_their_folders_are_closed(host: Host) -> None:
    stack, web = host.stack(HOST), netns(host, "web")
    for value in ("1", "0"):
        for key in FORWARDING:
            stack.write_sysctl(key, value)
        stack.write_sysctl("net/ipv6/conf/lo/forwarding", value)
        shown = [shell("cat", "/proc/sys/" + key) for key in (*FORWARDING, "net/ipv6/conf/lo/forwarding")]
        assert shown == [value + "\n"] * 3
        host.close()
        opened = [os.readlink(file.path) for file in os.scandir("/proc/self/fd") if file.is_symlink()]
        assert not [path for path in opened if path.startswith("/proc/sys")]
    assert [web.read_sysctl(key) for key in FORWARDING] == ["0", "0"]


def test_what_was_read_is_kept_until_something_changes(host: Host) -> None:
    stack, web = host.stack(HOST), netns(host, "web")
    before = stack.links()
    assert "foreign" not in web.links()
    shell("ip", "link", "add", "foreign", "type", "veth", "peer", "name", "foreign", "netns", "web")
    assert stack.links() is before and "foreign" not in web.links()
    web.write_sysctl("net/ipv4/ip_forward", "1")
    assert "foreign" in stack.links() and "foreign" in web.links()
    shell("ip", "link", "delete", "foreign")
    with host.lock(1):
        assert "foreign" not in stack.links()


def test_a_visitor_is_back_home_before_anyone_goes_on(host: Host) -> None:
    visitor, home = Visitor(), os.readlink(OWN_NAMESPACE)
    web = host.namespace_inode(netns(host, "web").place)
    with open("/run/netns/web", encoding="utf-8") as there:
        assert visitor.visit(there.fileno(), lambda: os.stat(OWN_NAMESPACE).st_ino) == web
        with refused("no such thing", kind=LookupError):
            visitor.visit(there.fileno(), _fail)
    with open("/etc/hosts", encoding="utf-8") as no_namespace, refused("Invalid argument", kind=OSError):
        visitor.visit(no_namespace.fileno(), _fail)
    assert visitor.run(lambda: os.readlink(OWN_NAMESPACE)) == home
    for _again in range(2):
        visitor.close()
    assert visitor.run(threading.get_ident) != threading.get_ident()
    visitor.close()


def _fail() -> None:
    raise LookupError("no such thing")


def test_more_namespaces_than_sockets_that_may_be_open(host: Host) -> None:
    sockets._OPEN = 3
    stacks = [netns(host, "web%d" % number) for number in range(8)]
    for stack in stacks:
        stack.write_sysctl("net/ipv4/ip_forward", "1")
    for number, stack in enumerate(stacks):
        host.stack(HOST).add_veth("web%d" % number, "eth0", stack, None, None, None)
        stack.set_link("eth0", {"up": True})
    opened = [name for name in os.listdir("/proc/self/fd") if _is_socket(name)]
    assert len(opened) == 3
    assert all(link_in("web%d" % number, "eth0")["flags"].count("UP") for number in range(8))


def _is_socket(name: str) -> bool:
    try:
        return os.readlink("/proc/self/fd/" + name).startswith("socket:")
    except FileNotFoundError:
        return False


def test_a_namespace_that_cannot_be_mounted_leaves_no_file(host: Host) -> None:
    real = names.mount
    names.mount = _refuse_namespaces
    try:
        with refused("Cannot create namespace web: No space left on device"):
            host.create_namespace("web", "test")
        with process_in_own_namespace() as pid, refused("Cannot attach namespace web: No space left on device"):
            host.attach_namespace("web", pid)
    finally:
        names.mount = real
    assert os.listdir("/run/netns") == [] and not os.path.exists("/run/dockerless.network")
    host.create_namespace("web", "test")


def _refuse_namespaces(source: str, target: str, flags: int) -> None:
    if target != "/run/netns":
        raise OSError(28, "No space left on device")
    _mount(source, target, flags)


_mount = names.mount
