# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bridges, cables, addresses and boot-time sysctls. Everything here acts on the caller's network namespace."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence

from lab import addressing
from lab.addressing import INTERNET, INTERNET4, INTERNET6, MGMT, NEIGHBOUR, Config, Lan
from lab.errors import LabError
from lab.files import sysctl


def ip_batch(lines: Sequence[str]) -> None:
    """Run many commands by one `ip` process; an error has the message of `ip`."""
    done = subprocess.run(
        ["ip", "-batch", "-"],
        input="\n".join(lines) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
    )
    if done.returncode:
        raise LabError(f"`ip -batch` failed: {' '.join(done.stdout.split())} (commands: {'; '.join(lines)})")


def fresh_sysctls() -> None:
    """Reset what a new namespace inherits from the machine: a fresh host has no br_netfilter and forwards nothing."""
    sysctl("net/ipv4/ip_forward", 0)
    sysctl("net/ipv6/conf/all/forwarding", 0)
    for key in ("iptables", "ip6tables", "arptables"):
        sysctl(f"net/bridge/bridge-nf-call-{key}", 0)
    for scope in ("all", "default"):
        sysctl(f"net/ipv4/conf/{scope}/route_localnet", 0)
        sysctl(f"net/ipv4/conf/{scope}/rp_filter", 0)


# ---- the switch


def switch_setup() -> None:
    fresh_sysctls()
    # The switch itself has no addresses.
    sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    ip_batch(["link set lo up"])
    add_bridge(MGMT)


def add_bridge(lan: Lan) -> None:
    ip_batch(
        [
            f"link add {lan.bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
            f"link set {lan.bridge} up",
        ]
    )


def plug(lan: Lan, pids: dict[str, int]) -> None:
    """Connect each node: a veth pair leads from a port of the LAN's bridge to the namespace of process `pids[node]`."""
    lines = []
    _unplug([lan.port(n) for n in pids])
    for name, pid in pids.items():
        port, number = lan.port(name), addressing.number(name, lan)
        lines += [
            f"link add {port} type veth peer name {lan.device} address {lan.mac(number)} netns {pid}",
            f"link set {port} master {lan.bridge}",
            f"link set {port} up",
        ]
    if lines:
        ip_batch(lines)


def _unplug(ports: Sequence[str]) -> None:
    """Remove a killed node's veth pairs now; the kernel would remove them with its namespace, but later."""
    existing = {name for unused, name in socket.if_nameindex()}
    lines = [f"link del {p}" for p in ports if p in existing]
    if lines:
        subprocess.run(
            ["ip", "-force", "-batch", "-"],
            input="\n".join(lines) + "\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            encoding="utf-8",
        )


# ---- a node


def node_setup(name: str, config: Config) -> None:
    fresh_sysctls()
    ip_batch(["link set lo up"])
    for lan in addressing.lans_of(name, config):
        connect(name, lan)
    if name == INTERNET:
        _become_router()
    if name == NEIGHBOUR:
        _insist_on_routes(config)


def _insist_on_routes(config: Config) -> None:
    """Ignore ICMP redirects: after one from a host, packets for an address that comes back there would go elsewhere."""
    for device in ("all", *(lan.device for lan in addressing.lans_of(NEIGHBOUR, config))):
        for version in (4, 6):
            sysctl(f"net/ipv{version}/conf/{device}/accept_redirects", 0)


def connect(name: str, lan: Lan) -> None:
    """Set the addresses and routes of an interface that has just been connected."""
    # Otherwise duplicate address detection keeps the link-local address unusable for the first second.
    sysctl(f"net/ipv6/conf/{lan.device}/accept_dad", 0)
    number = addressing.number(name, lan)
    lines = [f"link set {lan.device} up", f"address add {lan.address4(number)}/24 dev {lan.device}"]
    if lan.prefix6 is not None:
        lines.append(f"address add {lan.address6(number)}/64 dev {lan.device} nodad")
    if lan.gateway is not None and number != lan.gateway:
        lines += [
            f"route add default via {lan.address4(lan.gateway)}",
            f"route add ::/0 via {lan.address6(lan.gateway)}",
        ]
    ip_batch(lines)


def _become_router() -> None:
    ip_batch([f"address add {INTERNET4}/32 dev lo", f"address add {INTERNET6}/128 dev lo nodad"])
    sysctl("net/ipv4/ip_forward", 1)
    sysctl("net/ipv6/conf/all/forwarding", 1)
