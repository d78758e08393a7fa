# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that Docker makes for one bridge network (`nat` mode, `icc`), as text for iptables-restore.

They are those of its settings as shipped: with docker-proxy, which spares the rule set one rule for each port. The
proxy itself is for connections from the host and its endpoints, so nothing that is measured here would pass it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A port of the host, and where it leads."""

    protocol: str
    host_port: int
    address: str
    port: int


def docker_rules(bridge: str, subnet: str, endpoints: Sequence[str], ports: Sequence[Published]) -> str:
    """As if the endpoints had been started, and their ports published, in this order."""
    tables = {
        "raw": _raw(bridge, endpoints),
        "nat": _nat(bridge, subnet, ports),
        "filter": _filter(bridge, ports),
    }
    return "".join("*%s\n%s\nCOMMIT\n" % (table, "\n".join(lines)) for table, lines in tables.items())


def _raw(bridge: str, endpoints: Sequence[str]) -> list[str]:
    """Nobody comes to an endpoint's own address from outside: a rule for each."""
    return [f"-A PREROUTING -d {address}/32 ! -i {bridge} -j DROP" for address in endpoints]


def _nat(bridge: str, subnet: str, ports: Sequence[Published]) -> list[str]:
    return [
        ":DOCKER - [0:0]",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
        f"-A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE",
        *(
            f"-A DOCKER ! -i {bridge} -p {port.protocol} -m {port.protocol} --dport {port.host_port}"
            f" -j DNAT --to-destination {port.address}:{port.port}"
            for port in ports
        ),
    ]


def _filter(bridge: str, ports: Sequence[Published]) -> list[str]:
    """Rules that let a port in are inserted, so the one that was published last comes first."""
    chains = ("DOCKER-USER", "DOCKER-FORWARD", "DOCKER-CT", "DOCKER-INTERNAL", "DOCKER-BRIDGE", "DOCKER")
    return [
        *(f":{chain} - [0:0]" for chain in chains),
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -j DOCKER-FORWARD",
        "-A DOCKER-FORWARD -j DOCKER-CT",
        "-A DOCKER-FORWARD -j DOCKER-INTERNAL",
        "-A DOCKER-FORWARD -j DOCKER-BRIDGE",
        f"-A DOCKER-FORWARD -i {bridge} -j ACCEPT",
        f"-A DOCKER-CT -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"-A DOCKER-BRIDGE -o {bridge} -j DOCKER",
        *(
            f"-A DOCKER -d {port.address}/32 ! -i {bridge} -o {bridge} -p {port.protocol} -m {port.protocol}"
            f" --dport {port.port} -j ACCEPT"
            for port in reversed(ports)
        ),
        f"-A DOCKER ! -i {bridge} -o {bridge} -j DROP",
    ]
