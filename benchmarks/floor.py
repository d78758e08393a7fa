# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own price of a network: what `ip -batch` and one load of rules take, with nothing looked at before."""

from __future__ import annotations

import ipaddress
import textwrap

SUBNET = ipaddress.ip_network("10.77.0.0/20")
BRIDGE = "br-floor"
FIRST_PORT = 8001


def build(number: int) -> str:
    """A shell script that makes a network of so many endpoints with a published port each, as the role would."""
    gateway = f"{SUBNET[1]}/{SUBNET.prefixlen}"
    links = [f"link add {BRIDGE} type bridge", f"address add {gateway} dev {BRIDGE}", f"link set {BRIDGE} up"]
    inside = []
    for place in range(1, number + 1):
        name = f"e{place}"
        links.insert(0, f"netns add {name}")
        links.append(f"link add c-{name} up master {BRIDGE} type veth peer name eth0 netns {name}")
        batch = f"link set lo up\naddress add {SUBNET[place + 1]}/{SUBNET.prefixlen} dev eth0\nlink set eth0 up\n"
        batch += f"route add default via {SUBNET[1]}\n"
        inside.append(f"ip -n {name} -batch - <<'X'\n{batch}X")
    text = "\n".join(links)
    forward = "echo 1 >/proc/sys/net/ipv4/ip_forward"
    return "\n".join(["set -e", f"ip -batch - <<'X'\n{text}\nX", *inside, f"nft -f - <<'X'\n{rules(number)}X", forward])


def rules(number: int) -> str:
    """Masquerade, and a map of published ports."""
    elements = [f"tcp . {FIRST_PORT + n} : {SUBNET[n + 2]} . 80" for n in range(number)]
    return textwrap.dedent(
        """\
        table ip floor {
          map ports { type inet_proto . inet_service : ipv4_addr . inet_service; elements = { %s } }
          chain publish { dnat ip to meta l4proto . th dport map @ports; }
          chain pre { type nat hook prerouting priority -100; fib daddr type local jump publish; }
          chain out { type nat hook output priority -100; fib daddr type local jump publish; }
          chain post { type nat hook postrouting priority 100; ip saddr %s oifname != %s masquerade; }
        }
        """
    ) % (", ".join(elements), SUBNET, BRIDGE)


def remove(number: int) -> str:
    """A shell script that removes it again as fast as possible."""
    names = "".join(f"netns delete e{place}\n" for place in range(1, number + 1))
    return f"ip -batch - <<'X'\n{names}X\nip link delete {BRIDGE}; nft delete table ip floor"
