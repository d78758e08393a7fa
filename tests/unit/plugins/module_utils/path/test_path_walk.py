# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about a real packet that was lost, on a made-up host; the rest is tested with packets."""

from __future__ import annotations

import ipaddress
import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.model import HOST
from ansible_collections.dockerless.network.plugins.module_utils.path.packet import Packet
from ansible_collections.dockerless.network.plugins.module_utils.path.rules import Filter
from ansible_collections.dockerless.network.plugins.module_utils.path.topology import (
    NUD_PERMANENT,
    Neighbour,
    Nic,
    Node,
    Way,
)
from ansible_collections.dockerless.network.plugins.module_utils.path.trail import Mark, Oracle, Trail, Verdict
from ansible_collections.dockerless.network.plugins.module_utils.path.walk import Walk

OWN, ROUTER, FAR = (ipaddress.ip_address(text) for text in ("192.0.2.1", "192.0.2.254", "203.0.113.1"))
MAC = "02:00:00:00:00:99"
REACHABLE = 0x02
UPLINK = Nic(
    "eth0", 2, "", "02:00:00:00:00:01", 1500, True, True, 0, "", 0, 0, False,
    addresses=(ipaddress.ip_interface(f"{OWN}/24"),),
)  # fmt: skip


class OneHost(Node):
    """A host with an uplink and a router behind it."""

    def __init__(self, state: int = REACHABLE, **sysctls: int) -> None:
        self.place = HOST
        self._sysctls = sysctls
        self._memory = {
            "nics": {"eth0": UPLINK},
            "neighbours": {(UPLINK.index, ROUTER): Neighbour(MAC, state)},
            "filter": Filter([]),
            "policies": [],
            "controlled": {},
        }

    def route(self, packet: Packet, come_by: str = "", to: t.Any = None, checked: bool = True) -> Way:
        return Way("unicast", "eth0", ROUTER)

    def sysctl(self, key: str) -> int:
        return self._sysctls.get(key.rpartition("/")[2], 0)


class LostAt(Oracle):
    """A real packet that was seen everywhere but at one point."""

    active = True

    def __init__(self, point: str, answer: bool = False) -> None:
        self.lost = (point, answer)

    def came(self, mark: Mark) -> bool | None:
        return (mark.point, mark.answer) != self.lost


def verdict(host: Node, lost: LostAt) -> Verdict:
    topology: t.Any = SimpleNamespace(host=host, owner=lambda address: None)
    return Walk(topology, Trail(lost)).from_node(host, Packet(OWN, FAR, dport=443))


def test_a_permanent_entry_of_the_router_is_doubted_when_nobody_answers() -> None:
    found = verdict(OneHost(NUD_PERMANENT), LostAt("in eth0", answer=True))

    assert (found.verdict, found.layer, found.place) == ("unanswered", "neighbour", "host: eth0")
    assert found.reason.endswith(f"; it went to {ROUTER}, which a permanent neighbour entry says is at {MAC}")
    assert "Check 203.0.113.1, and the network between it and this host. If that MAC address is wrong" in found.advice
    assert found.advice.rpartition(": ")[2] == f"ip neigh del {ROUTER} dev eth0"


def test_an_entry_that_the_kernel_asked_for_is_not_doubted() -> None:
    found = verdict(OneHost(), LostAt("in eth0", answer=True))

    assert (found.verdict, found.layer) == ("unanswered", "upstream")
    assert "neigh" not in found.reason + found.advice


@pytest.mark.parametrize("count", [64, 65])
def test_a_full_table_of_connection_tracking(count: int) -> None:
    found = verdict(OneHost(nf_conntrack_count=count, nf_conntrack_max=64), LostAt("output last"))

    assert (found.verdict, found.layer, found.place) == ("lost", "conntrack", "host")
    assert found.reason.endswith(": the connection-tracking table is full")
    assert found.advice.rpartition(": ")[2] == "sysctl -w net.netfilter.nf_conntrack_max=128"


@pytest.mark.parametrize("sysctls", [{}, {"nf_conntrack_count": 63, "nf_conntrack_max": 64}])
def test_what_connection_tracking_may_have_dropped(sysctls: dict[str, int]) -> None:
    found = verdict(OneHost(**sysctls), LostAt("output last"))

    assert (found.layer, found.reason.rpartition(": ")[2]) == ("conntrack", "connection tracking may have dropped it")
    assert found.advice.endswith(": conntrack -S")


def test_without_an_address_the_kernel_takes_that_of_lo() -> None:
    """As it does for IPv6 while the link-local address is tentative."""
    host, far = OneHost(), ipaddress.ip_address("2001:db8::9")
    lo = Nic("lo", 1, "", "", 65536, True, True, 0, "", 0, 0, False, addresses=(ipaddress.ip_interface("::1/128"),))
    host.nics["lo"] = lo
    topology: t.Any = SimpleNamespace(host=host, owner=lambda address: None)
    packet = Packet(ipaddress.ip_address("::1"), far, dport=443)

    found = Walk(topology, Trail(Oracle())).from_node(host, packet)
    assert (found.verdict, found.layer, found.reason) == ("lost", "address", "host has no IPv6 address")


def test_a_source_that_the_sender_does_not_have() -> None:
    host = OneHost()
    topology: t.Any = SimpleNamespace(host=host, owner=lambda address: None)

    found = Walk(topology, Trail(Oracle())).from_node(host, Packet(ROUTER, FAR, dport=443))
    assert found.reason == f"host does not have the address {ROUTER}"
    assert found.advice == "Leave out source_address, or give an address of the host."
