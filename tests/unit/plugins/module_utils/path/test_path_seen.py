# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import typing as t
from types import SimpleNamespace

from ansible_collections.dockerless.network.plugins.module_utils.path.packet import Packet
from ansible_collections.dockerless.network.plugins.module_utils.path.seen import seen
from ansible_collections.dockerless.network.plugins.module_utils.path.sightings import Sighting
from ansible_collections.dockerless.network.plugins.module_utils.path.trail import Mark

NODES = {
    name: SimpleNamespace(
        name=name, nics={link: SimpleNamespace(name=link, master=7 * link.startswith("v-")) for link in links}
    )
    for name, links in {"web": ["eth0"], "host": ["v-web", "v-db", "br", "up0"], "db": ["eth0"]}.items()
}
CABLES = {("web", "eth0"): ("host", "v-web"), ("db", "eth0"): ("host", "v-db")}
CABLES |= {far: near for near, far in CABLES.items()}


class Cables:
    """The part of Wire that seen() uses."""

    def __init__(self, *marks: Mark) -> None:
        self.trail = SimpleNamespace(marks=marks)

    def layer_of(self, node: t.Any, nic: t.Any) -> str:
        return "uplink" if nic.name == "up0" else "link"

    def other_end(self, node: t.Any, nic: t.Any) -> t.Any:
        other = CABLES.get((node.name, nic.name))
        return (NODES[other[0]], NODES[other[0]].nics[other[1]]) if other else None


def sighting(text: str, protocol: str = "tcp") -> Sighting:
    node, way, link, direction = text.split()
    one, other = ipaddress.ip_address("10.20.0.2"), ipaddress.ip_address("203.0.113.1")
    packet = Packet(one, other, protocol, 77, 443 if protocol == "tcp" else 0, answer=direction == "back")
    return Sighting(t.cast(t.Any, NODES[node]), link, way == "out", packet)


def told(*found: Sighting, marks: t.Sequence[Mark] = ()) -> list[dict[str, str]]:
    sightings = SimpleNamespace(on_links=lambda: list(found))
    return list(seen(t.cast(t.Any, Cables(*marks)), t.cast(t.Any, sightings)))


def order(*texts: str, marks: t.Sequence[Mark] = ()) -> list[str]:
    found = told(*map(sighting, texts), marks=marks)
    return ["%(place)s %(way)s %(interface)s %(direction)s" % item for item in found]


WEB = ["web out eth0 there", "web in eth0 back"]
HOST = ["host in v-web there", "host out up0 there", "host in up0 back", "host out v-web back"]


def test_what_comes_in_by_a_cable_stands_behind_its_other_end() -> None:
    assert order(*WEB, *HOST) == order(*HOST, *WEB) == [WEB[0], *HOST, WEB[1]]


def test_where_one_end_was_not_watched_the_rest_is_told() -> None:
    assert order(*HOST) == HOST
    assert order("web in eth0 back", "web out eth0 there") == ["web in eth0 back", "web out eth0 there"]


def test_what_cannot_be_is_told_all_the_same() -> None:
    assert len(order("web in eth0 there", "web out eth0 there", "host in v-web there", "host out v-web there")) == 4


def test_an_echo_has_no_port_and_the_uplink_is_named() -> None:
    [item] = told(sighting("host out up0 there", "icmp"))
    assert (item["source"], item["destination"], item["layer"]) == ("10.20.0.2", "203.0.113.1", "uplink")


def test_the_link_of_the_injection_is_left_out() -> None:
    NODES["host"].nics["dlnp7"] = SimpleNamespace(name="dlnp7")
    assert told(sighting("host in dlnp7 there")) == []


FLOODED = ["web out eth0 there", "host in v-web there", "host out v-db there", "db in eth0 there"]
COPIES = ["host out v-web there", "web in eth0 there"]


def test_copies_of_a_flooded_frame_are_left_out() -> None:
    """A bridge that does not know the port of a MAC address sends the frame by all of them, back to its sender too."""
    astray = [*FLOODED[:2], COPIES[0], FLOODED[2], *COPIES[1:], FLOODED[3]]
    assert order(*astray, marks=[Mark("host", "out v-db", False)]) == FLOODED


def test_where_the_walk_did_not_come_everything_is_told() -> None:
    assert sorted(order(*FLOODED, *COPIES)) == sorted([*FLOODED, *COPIES])
