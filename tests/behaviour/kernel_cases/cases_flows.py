# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection tracking: which flows are forgotten, and which are not."""

from __future__ import annotations

import errno
import re
import socket
import time

from tools_for_cases import HOST, bridge, interface, route, shell, socket_in, veth_pair

from ansible_collections.dockerless.network.plugins.module_utils.kernel import conntrack
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netlink import NETLINK_NETFILTER, NetlinkSocket
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import PortFlows

TRACK = """
table inet track {
  chain prerouting { type filter hook prerouting priority filter; ct state new counter; }
  chain output { type filter hook output priority filter; ct state new counter; }
}
"""
# To the host on two of its addresses and on the loopback, and through it, to the same port.
SENT = {
    ("10.1.0.1", 5353),
    ("10.1.0.1", 5354),
    ("10.1.0.1", 5399),
    ("10.2.0.1", 5353),
    ("10.2.0.2", 5353),
    ("127.0.0.1", 5353),
    ("fd00:1::1", 5353),
    ("fd00:2::2", 5353),
}


def entries(protocol: str = "udp") -> set[tuple[str, int]]:
    """Address and port that the flows of conntrack(8) went to first."""
    found = set()
    for family in ("ipv4", "ipv6"):
        for line in shell("conntrack", "-L", "-f", family, "-p", protocol).splitlines():
            matched = re.search(r"dst=(\S+) sport=\d+ dport=(\d+)", line)
            if matched:
                found.add((matched.group(1), int(matched.group(2))))
    return found


def network(host: Host) -> None:
    """A client and a server in different networks, flows from the client, and one of the host to itself."""
    shell("nft", "-f", "-", text=TRACK)
    bridge(host, "br0", "10.1.0.1/24", "fd00:1::1/64")
    bridge(host, "br1", "10.2.0.1/24", "fd00:2::1/64")
    for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        host.stack(HOST).write_sysctl(key, "1")
    for name, number, port in (("client", 1, "br0"), ("server", 2, "br1")):
        stack = veth_pair(host, port + "-p", name, "10.%d.0.2/24" % number, "10.%d.0.1" % number, port)
        stack.add_address("eth0", interface("fd00:%d::2/64" % number))
        stack.add_route("eth0", route("::/0", "fd00:%d::1" % number))
    for address, port_number in SENT:
        send(address, port_number)
    # The first packets wait for the neighbour's address.
    deadline = time.monotonic() + 10
    while not entries() >= SENT:
        assert time.monotonic() < deadline, f"no flows: {SENT - entries()}"
        time.sleep(0.02)


def send(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    inside = address.startswith("127.")
    with socket.socket(family, socket.SOCK_DGRAM) if inside else socket_in("client", family) as sender:
        sender.sendto(b"hello", (address, port))


def test_flows_to_a_port_of_the_host_are_forgotten(host: Host) -> None:
    network(host)
    host.forget_flows([PortFlows(4, "udp", 5353, 5353)])
    # What went through the host to that port of another is left alone.
    assert entries() & SENT == {
        ("10.1.0.1", 5354),
        ("10.1.0.1", 5399),
        ("10.2.0.2", 5353),
        ("fd00:1::1", 5353),
        ("fd00:2::2", 5353),
    }
    host.forget_flows([PortFlows(6, "udp", 5353, 5353)])
    assert entries() & SENT == {("10.1.0.1", 5354), ("10.1.0.1", 5399), ("10.2.0.2", 5353), ("fd00:2::2", 5353)}


def test_flows_to_a_range_of_one_address_are_forgotten(host: Host) -> None:
    network(host)
    host.forget_flows([PortFlows(4, "udp", 5353, 5354, "10.1.0.1"), PortFlows(6, "udp", 5353, 5354, "fd00:1::1")])
    assert SENT - entries() == {("10.1.0.1", 5353), ("10.1.0.1", 5354), ("fd00:1::1", 5353)}


def test_flows_of_another_protocol_are_left_alone(host: Host) -> None:
    network(host)
    with socket.create_server(("10.1.0.1", 5353)), socket_in("client", kind=socket.SOCK_STREAM) as client:
        client.connect(("10.1.0.1", 5353))
        host.forget_flows([PortFlows(4, "sctp", 5353, 5353), PortFlows(4, "tcp", 1, 5352)])
        assert entries() >= SENT and entries("tcp") == {("10.1.0.1", 5353)}
        host.forget_flows([PortFlows(4, "tcp", 5353, 5353)])
        assert entries() >= SENT and entries("tcp") == set()


def test_a_flow_that_is_not_the_one_we_saw_is_left_alone(host: Host) -> None:
    network(host)
    with NetlinkSocket(NETLINK_NETFILTER) as opened:
        seen = list(conntrack._entries(opened, socket.AF_INET, socket.IPPROTO_UDP))
        others = [{**entry, conntrack._CTA_ID: b"1234"} for entry in seen]
        assert sum(conntrack._delete(opened, socket.AF_INET, entry) for entry in others) == 0
        assert entries() >= SENT
        shell("conntrack", "-F")
        assert sum(conntrack._delete(opened, socket.AF_INET, entry) for entry in seen) == 0


def test_a_kernel_that_does_not_filter_is_asked_for_everything(host: Host) -> None:
    network(host)
    real = NetlinkSocket.dump
    asked = []

    def refuse_filters(self: NetlinkSocket, kind: int, body: bytes) -> list[bytes]:
        asked.append(len(body))
        if kind == conntrack._IPCTNL_MSG_CT_GET and len(body) > 4:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(self, kind, body)

    NetlinkSocket.dump = refuse_filters
    try:
        host.forget_flows([PortFlows(4, "udp", 5353, 5353)])
    finally:
        NetlinkSocket.dump = real
    assert asked[-1] == 4
    assert SENT - entries() == {("10.1.0.1", 5353), ("10.2.0.1", 5353), ("127.0.0.1", 5353)}


def test_the_kernel_filters_by_protocol(host: Host) -> None:
    network(host)
    with NetlinkSocket(NETLINK_NETFILTER) as opened:
        assert len(list(conntrack._entries(opened, socket.AF_INET, socket.IPPROTO_UDP))) == 6
        assert list(conntrack._entries(opened, socket.AF_INET, socket.IPPROTO_TCP)) == []


def test_no_flows_are_no_error(host: Host) -> None:
    host.forget_flows([])
    host.forget_flows([PortFlows(4, "udp", 1, 65535), PortFlows(6, "tcp", 1, 65535)])
