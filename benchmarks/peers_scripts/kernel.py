# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: `ip -batch` and one load of rules, with nothing looked at before, and no way to do it twice."""

from __future__ import annotations

import ctypes
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers_scripts.common import BRIDGE, FIRST_PORT, SUBNET, Peer, address, namespaces, package, run

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
# so that all of them go with one request
GROUP = 77
TABLE = """
table ip peer {
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map ranges { type inet_proto . inet_service : ipv4_addr; flags interval; }
  set subnets { type ipv4_addr; flags interval; }
  chain publish {
    dnat ip to meta l4proto . th dport map @ports
    dnat to meta l4proto . th dport map @ranges
  }
  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump publish; }
  chain output { type nat hook output priority -100; fib daddr type local jump publish; }
  chain postrouting { type nat hook postrouting priority srcnat; ip saddr @subnets oifname != "br-peer*" masquerade; }
}
"""


class Kernel(Peer):
    """The same network as the role's, made of as few calls as iproute2 and nft need."""

    def version(self) -> str:
        """Of the packages."""
        return f"iproute2 {package('iproute2')}, nftables {package('nftables')}"

    def up(self, number: int) -> None:
        """All at once."""
        places = range(1, number + 1)
        run("ip", "-batch", "-", text=_bridge(BRIDGE, SUBNET) + "".join(map(_link, places)))
        for place in places:
            _inside(f"e{place}", address(place), SUBNET)
        _load([SUBNET], map(_port, places))

    def add(self, number: int) -> None:
        """The calls of one."""
        run("ip", "-batch", "-", text=_link(number))
        _inside(f"e{number}", address(number), SUBNET)
        run("nft", "-f", "-", text=f"add element ip peer ports {{ {_port(number)} }}\n")

    def remove(self, number: int) -> None:
        """The namespace, which takes its link along, but later: so that is told first."""
        run("nft", "-f", "-", text="delete element ip peer ports { tcp . %s }\n" % (FIRST_PORT + number))
        run("ip", "-batch", "-", text=f"link delete c-e{number}\nnetns delete e{number}\n")

    def down(self, number: int) -> None:
        """All links with one request."""
        run("nft", "-f", "-", text="delete table ip peer\n")
        run("ip", "link", "delete", "group", str(GROUP))
        namespaces("delete", list(range(1, number + 1)))


class ManyNetworks(Kernel):
    """Networks of ten endpoints, without published ports."""

    def up(self, number: int) -> None:
        """All at once."""
        subnets = [ipaddress.IPv4Network(f"10.78.{n}.0/24") for n in range(number)]
        text = ""
        for n, subnet in enumerate(subnets):
            text += _bridge(f"{BRIDGE}{n}", subnet)
            text += "".join(_link(10 * n + place, f"{BRIDGE}{n}") for place in range(1, 11))
        run("ip", "-batch", "-", text=text)
        for n, subnet in enumerate(subnets):
            for place in range(1, 11):
                _inside(f"e{10 * n + place}", subnet[place + 1], subnet)
        _load(subnets, [])


class PortRange(Kernel):
    """One endpoint that publishes so many ports, as one range."""

    def up(self, number: int) -> None:
        """One element."""
        self._one([f"tcp . 20000-{20000 + number - 1} : {address(1)}"])

    def _one(self, ranges: list[str]) -> None:
        run("ip", "-batch", "-", text=_bridge(BRIDGE, SUBNET) + _link(1))
        _inside("e1", address(1), SUBNET)
        _load([SUBNET], [], ranges)


class SinglePorts(PortRange):
    """One by one."""

    def up(self, number: int) -> None:
        """An element each."""
        self._one([f"tcp . {port} : {address(1)}" for port in range(20000, 20000 + number)])


def _bridge(name: str, subnet: ipaddress.IPv4Network) -> str:
    lines = [f"link add {name} group {GROUP} type bridge", f"address add {subnet[1]}/{subnet.prefixlen} dev {name}"]
    return "\n".join([*lines, f"link set {name} up", ""])


def _link(place: int, bridge: str = BRIDGE) -> str:
    name = f"e{place}"
    link = f"link add c-{name} up group {GROUP} master {bridge} type veth peer name eth0 netns {name}"
    return f"netns add {name}\n{link}\n"


def _inside(name: str, own: ipaddress.IPv4Address, subnet: ipaddress.IPv4Network) -> None:
    lines = ["link set lo up", f"address add {own}/{subnet.prefixlen} dev eth0", "link set eth0 up"]
    lines += [f"route add default via {subnet[1]}", ""]
    # `ip -n` would also make a mount namespace each time
    with open(f"/run/netns/{name}") as there, open("/proc/self/ns/net") as home:
        _enter(there.fileno())
        run("ip", "-batch", "-", text="\n".join(lines))
        _enter(home.fileno())


def _enter(namespace: int) -> None:
    if LIBC.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _port(place: int) -> str:
    return f"tcp . {FIRST_PORT + place} : {address(place)} . 80"


def _load(subnets: list[ipaddress.IPv4Network], ports: Iterable[str], ranges: Iterable[str] = ()) -> None:
    text = TABLE
    for name, elements in (("subnets", map(str, subnets)), ("ports", ports), ("ranges", ranges)):
        joined = ", ".join(elements)
        text += f"add element ip peer {name} {{ {joined} }}\n" if joined else ""
    run("nft", "-f", "-", text=text)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
