# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An end in a namespace that is not the peer of a veth pair: a macvlan, whose options have no prefix."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.arguments import Arguments
from ansible_collections.dockerless.network.plugins.module_utils.engine import Description, Request, StepKind
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import Link
from ansible_collections.dockerless.network.plugins.module_utils.kinds import ends
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import End, InvalidRequest, Place
from ansible_collections.dockerless.network.plugins.module_utils.operations import Operation, inside
from ansible_collections.dockerless.network.plugins.module_utils.world import World
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, ask, converge

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Macvlan:
    """A link of a namespace that shares a link of the host."""

    end: End
    parent: str


@dataclass(frozen=True)
class AddMacvlan(Operation):
    """Make one."""

    end: End
    parent: str

    def commands(self) -> list[str]:
        return [inside(Place(), "ip", "link", "add", self.end.name, "link", self.parent, "type", "macvlan")]

    def apply(self, host: Any) -> None:
        values = {"mac_address": self.end.mac_address} if self.end.mac_address else {}
        host.make_link(host.space(self.end.place), self.end.name, kind="macvlan", group=LINK_GROUP, **values)


class MacvlanKind(StepKind[Macvlan]):
    """All that a kind needs beside the part that it shares with veth."""

    name = "macvlan"
    ARGUMENTS: ClassVar[Arguments] = {**ends.ARGUMENTS, "parent": {"type": "str", "required": True}}

    def parse(self, options: Options) -> Macvlan:
        return Macvlan(ends.parse_end(options, ends.Words("macvlan %s" % options["name"])), options["parent"])

    def check(self, items: Sequence[Macvlan]) -> None:
        checks = ends.EndChecks()
        for item in items:
            checks.add(item.end, self.title(item), item.parent)

    def title(self, item: Macvlan) -> str:
        return "macvlan %s" % item.end.name

    def observed(self, item: Macvlan, world: World) -> Description:
        there = self._there(item, world)
        return None if there is None else ends.observed_end(item.end, there, world)

    def wanted(self, item: Macvlan, observed: Description, world: World) -> Description:
        return ends.wanted_end(item.end)

    def plan(self, item: Macvlan, state: str, world: World) -> list[Operation]:
        end, there = item.end, self._there(item, world)
        steps: list[Operation] = [] if there is not None else [AddMacvlan(end, item.parent)]
        routes = ends.change_routes(self.title(item), end, there, world)
        steps += ends.remove_routes(end, routes) + ends.end_addresses(end, there)
        steps += ends.raise_end(end, there, None) + routes.subnets
        steps += ends.add_routes(end, routes.missing)
        world.put_link(ends.end_link(end, there, None), end.place)
        return steps

    @staticmethod
    def _there(item: Macvlan, world: World) -> Link | None:
        return world.links(item.end.place).get(item.end.name)


KIND = MacvlanKind()
WEB = Place(netns="web")
OPTIONS = {"name": "mv0", "netns": "web", "parent": "eth0", "addresses": ["10.20.0.2/24"], "gateways": ["10.20.0.1"]}


def macvlan(**options: Any) -> Request:
    return ask(KIND, {**OPTIONS, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pid": 7}, "macvlan mv0: set netns or pid, not both."),
        ({"pid": 0, "netns": None}, "pid: 0 is not a process ID; those begin at 1."),
        ({"mac_address": "x"}, "mac_address: 'x' is not a valid MAC address; write it like 02:42:0a:14:00:02."),
        ({"gateways": ["10.20.0.1", "10.20.0.3"]}, "macvlan mv0: gateways takes one gateway for each address family."),
        (
            {"gateways": ["10.99.0.1"]},
            "macvlan mv0: the gateway 10.99.0.1 lies in no subnet of addresses (10.20.0.2/24).",
        ),
        ({"routes": [{"to": "10.0.0.1/8"}]}, "routes.to: 10.0.0.1/8 has host bits set; did you mean 10.0.0.0/8?"),
        (
            {"addresses": None, "source_gateways": ["10.20.0.1"]},
            "macvlan mv0: source_gateways needs addresses as well.",
        ),
    ],
)
def test_errors_name_the_options_as_the_kind_has_them(options: Options, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        macvlan(**options)

    assert str(refused.value) == message


def test_two_ends_cannot_have_one_name_in_one_namespace() -> None:
    one, two = macvlan(), macvlan(parent="eth1", addresses=["10.30.0.2/24"], gateways=[])

    with pytest.raises(InvalidRequest) as refused:
        converge(MemoryHost(), one, two)

    assert str(refused.value) == "macvlan mv0 and macvlan mv0 would both have the interface mv0 in namespace web."


def test_an_end_comes_and_changes_like_that_of_a_veth_pair() -> None:
    host = MemoryHost()
    host.uplink()
    netns = ask(NetnsKind(), {"name": "web"})

    made = converge(host, netns, macvlan())
    changed = converge(host, netns, macvlan(addresses=["10.20.0.3/24"], mac_address="02:00:00:00:00:03"))

    assert any(command.startswith("ip -n web route add default via 10.20.0.1") for command in made.commands)
    assert changed.changed
    link = host.space(WEB).links["mv0"]
    assert (link.addresses, link.mac_address, link.up) == (
        (ipaddress.ip_interface("10.20.0.3/24"),),
        "02:00:00:00:00:03",
        True,
    )
    assert [str(entry.route.via) for entry in host.space(WEB).routes if entry.route.via] == ["10.20.0.1"]
