# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes' names, addresses, interfaces and MAC addresses. Pure data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_HOSTS = 200
SWITCH = "switch"
CONTROLLER = "controller"
INTERNET = "internet"
NEIGHBOUR = "neighbour"
NEIGHBOUR2 = "neighbour2"
INTERNET4 = "203.0.113.1"
INTERNET6 = "2001:db8:ffff::1"


@dataclass(frozen=True)
class Lan:
    """A LAN: a bridge in the switch, and the interface that connects each node to it."""

    bridge: str
    port_prefix: str
    device: str
    prefix4: str
    prefix6: str | None
    gateway: int | None
    mac_byte: int

    def address4(self, number: int) -> str:
        return f"{self.prefix4}{number}"

    def address6(self, number: int) -> str | None:
        # The decimal digits serve as hexadecimal ones, so that 192.0.2.11 is 2001:db8:1::11.
        return None if self.prefix6 is None else f"{self.prefix6}{number}"

    def mac(self, number: int) -> str:
        return f"02:6c:61:{self.mac_byte:02x}:00:{number:02x}"

    def port(self, node: str) -> str:
        """The switch's end of the node's cable."""
        return f"{self.port_prefix}-{node}"


# 198.18.0.0/15 is reserved for benchmarks (RFC 2544), so it never collides with the private networks under test.
MGMT = Lan("br-mgmt", "m", "mgmt0", "198.18.0.", None, None, 1)
UPLINK = Lan("br-lan", "l", "eth0", "192.0.2.", "2001:db8:1::", 1, 2)
SECOND_UPLINK = Lan("br-lan2", "l2", "eth1", "198.51.100.", "2001:db8:2::", None, 3)
LANS = (MGMT, UPLINK, SECOND_UPLINK)

_NUMBERS = {
    CONTROLLER: {MGMT: 1},
    INTERNET: {MGMT: 2, UPLINK: 1},
    NEIGHBOUR: {MGMT: 3, UPLINK: 250},
    NEIGHBOUR2: {MGMT: 4, SECOND_UPLINK: 250},
}
ON_SECOND_UPLINK = ("h1", NEIGHBOUR2)


@dataclass
class Config:
    """The description of a lab; `up` may extend it."""

    hosts: int = 0
    uplink: bool = False
    second_uplink: bool = False
    cgroups: bool = False
    systemd: bool = False
    binds: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Node:
    """The addresses of a node; None if it is not connected to that LAN."""

    name: str
    mgmt: str
    lan4: str | None = None
    lan6: str | None = None
    second4: str | None = None
    second6: str | None = None


def is_host(name: str) -> bool:
    return re.fullmatch(r"h[1-9]\d*", name) is not None


def fleet(names: Sequence[str]) -> list[str]:
    return [n for n in names if is_host(n)]


def outside(names: Sequence[str]) -> list[str]:
    """The nodes that stand for the world outside the fleet."""
    return [n for n in names if n in (INTERNET, NEIGHBOUR, NEIGHBOUR2)]


def number(name: str, lan: Lan) -> int:
    """The last part of the node's address on `lan`."""
    return _NUMBERS[name][lan] if name in _NUMBERS else 10 + int(name[1:])


def node_names(config: Config) -> list[str]:
    """All nodes of a lab except the switch, which is only a namespace."""
    names = [CONTROLLER]
    names += [INTERNET, NEIGHBOUR] if config.uplink else []
    names += [NEIGHBOUR2] if config.second_uplink else []
    return names + [f"h{i}" for i in range(1, config.hosts + 1)]


def lans_of(name: str, config: Config) -> list[Lan]:
    lans = [MGMT]
    if config.uplink and name not in (CONTROLLER, NEIGHBOUR2):
        lans.append(UPLINK)
    if config.second_uplink and name in ON_SECOND_UPLINK:
        lans.append(SECOND_UPLINK)
    return lans


def node(name: str, config: Config) -> Node:
    found: dict[Lan, tuple[str, str | None]] = {}
    for lan in lans_of(name, config):
        n = number(name, lan)
        found[lan] = (lan.address4(n), lan.address6(n))
    lan4, lan6 = found.get(UPLINK, (None, None))
    second4, second6 = found.get(SECOND_UPLINK, (None, None))
    return Node(name, found[MGMT][0], lan4, lan6, second4, second6)
