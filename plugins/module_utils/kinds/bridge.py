# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges, and the host's addresses on them."""

from __future__ import annotations

import hashlib
import typing as t

from .. import arguments, engine, marks, model, parsing
from ..firewall.choice import BACKEND
from ..kernel.state import Awaited, BridgeValues, Link
from ..ownership import Holding
from ..records import replace
from ..world import Claims, World, is_ours, is_unmarked, unmarked
from . import common
from .overlaps import first_overlap

if t.TYPE_CHECKING:
    from .. import operations


class BridgeKind(engine.NetworkKind[model.Bridge], engine.StepKind[model.Bridge]):
    """A bridge that we make and keep as requested, or one of others that is used unchanged."""

    name = "bridge"
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {
        "name": {"type": "str", "required": True},
        "addresses": {"type": "list", "elements": "str"},
        "mtu": {"type": "int"},
        "mac_address": {"type": "str"},
        "stp": {"type": "bool", "default": False},
        "allow_overlap": {"type": "bool", "default": False},
        **arguments.NETWORK,
        **BACKEND,
    }

    def parse(self, options: arguments.Options) -> model.Bridge:
        addresses = options.get("addresses")
        return model.Bridge(
            name=parsing.new_link_name("name", options["name"]),
            addresses=None if addresses is None else parsing.interfaces("addresses", addresses),
            mtu=parsing.mtu("mtu", options.get("mtu")),
            mac_address=parsing.mac_address("mac_address", options.get("mac_address")),
            stp=bool(options.get("stp")),
            network=parsing.owner(options),
            allow_overlap=bool(options.get("allow_overlap")),
        )

    def check(self, items: t.Sequence[model.Bridge]) -> None:
        common.refuse_repeated("Bridge %s" % item.name for item in items)
        checked = [item for item in items if not item.allow_overlap]
        addresses = {(item.name, address.network): address for item in checked for address in item.addresses or ()}
        found = first_overlap((subnet, name) for name, subnet in addresses)
        if found is not None:
            (one, first), (two, second) = found
            raise model.InvalidRequest(
                "Bridges %s and %s overlap: %s and %s; give one of them another subnet, or insist with allow_overlap."
                % (first, second, addresses[first, one], addresses[second, two])
            )

    def title(self, item: model.Bridge) -> str:
        return "bridge %s" % item.name

    def claim(self, item: model.Bridge, state: str, claims: Claims) -> None:
        if item.addresses is not None:
            claims.addresses.add(item.name)
        if item.allow_overlap:
            claims.insisted.add(item.name)

    def holdings(self, item: model.Bridge, state: str, world: World) -> t.Iterable[Holding]:
        return [("Bridge %s" % item.name, world.label(item.name))]

    def resolve(self, item: model.Bridge, state: str, world: World) -> model.Bridge:
        link = world.links().get(item.name)
        if state == "absent" or (link is not None and not is_ours(link)):
            return item
        mtu = item.mtu if item.mtu is not None else world.default_mtu()
        kept = () if link is None else link.addresses
        common.refuse_narrow(self.title(item), mtu, kept if item.addresses is None else item.addresses)
        return replace(item, mtu=mtu, mac_address=item.mac_address or stable_mac(world.machine_id(), item.name))

    def remark(self, item: model.Bridge, world: World) -> None:
        versions = {address.version for address in item.addresses or ()}
        # the kernel uses the greater of this value and the link's own
        if 4 in versions and world.sysctl(model.HOST, "net/ipv4/conf/all/arp_ignore") == "8":
            text = (
                "net.ipv4.conf.all.arp_ignore is 8, so that this host answers no ARP request for the gateway on these"
                " bridges, and endpoints do not get out; set it to 2 or less: %s."
            )
            world.remark(text, item.name)
        if 6 in versions and _ends_here(item, world):
            text = (
                "net.ipv6.conf.all.disable_ipv6 is 1, and no other interface of this host has an IPv6 address, so"
                " endpoints on these bridges reach only this host over IPv6; set it to 0, or leave the IPv6 subnet out:"
                " %s."
            )
            world.remark(text, item.name)

    def stored(self, item: model.Bridge, world: World) -> engine.Stored:
        options = common.options_of(
            name=item.name,
            mtu=item.mtu,
            mac_address=item.mac_address,
            stp=item.stp,
            allow_overlap=item.allow_overlap,
            **common.belongs(item.network),
        )
        if item.addresses is not None:  # an empty list is not the same as no list
            options["addresses"] = list(map(str, item.addresses))
        link = world.links().get(item.name)
        return engine.Stored(options, "" if link is None or is_ours(link) else engine.OTHERS)

    def observed(self, item: model.Bridge, world: World) -> engine.Description:
        link = world.links().get(item.name)
        if link is None:
            return None
        return common.compact(
            name=link.name,
            addresses=None if item.addresses is None else model.spelled(link.addresses),
            mtu=link.mtu,
            mac_address=link.mac_address,
            stp=common.link_values(link)["stp"],
            up=link.up,
            **common.belongs(marks.label_of(link.alias)),
        )

    def wanted(self, item: model.Bridge, observed: engine.Description, world: World) -> engine.Description:
        there = observed or {}
        return common.compact(
            name=item.name,
            addresses=None if item.addresses is None else model.spelled(item.addresses),
            mtu=item.mtu if item.mtu is not None else there.get("mtu"),
            mac_address=item.mac_address or there.get("mac_address"),
            stp=item.stp if item.mtu is not None or not there else there.get("stp"),
            up=True if item.mtu is not None or not there else there.get("up"),
            **common.belongs(item.network),
        )

    def plan(self, item: model.Bridge, state: str, world: World) -> list[operations.Operation]:
        link = world.links().get(item.name)
        if state == "absent":
            return self._plan_absent(item, link, world)
        if link is None:
            return self._plan_new(item, world)
        common.require_bridge(link)
        if is_unmarked(link):
            raise model.Conflict("Bridge %s cannot be used: %s" % (item.name, unmarked(link)))
        if not is_ours(link):
            return self._use(item, link)
        return self._plan_ours(item, link, world)

    def _plan_new(self, item: model.Bridge, world: World) -> list[operations.Operation]:
        self._refuse_overlaps(item, item.addresses or (), world)
        world.put_link(self._link(item, Link(item.name, 0, "bridge")))
        sysctls = self._sysctls(item, world)
        for key, value in sysctls:
            world.put_sysctl(model.HOST, key, value)
        common.await_ipv6([Awaited(model.HOST, item.name, asks=True)], item.addresses or (), world)
        return self.make(item, sysctls)

    @staticmethod
    def _refuse_overlaps(item: model.Bridge, addresses: t.Iterable[model.Interface], world: World) -> None:
        for address in () if item.allow_overlap else addresses:
            world.refuse_overlap(item.name, address)

    @staticmethod
    def make(item: model.Bridge, sysctls: t.Iterable[tuple[str, str]]) -> list[operations.Operation]:
        """The steps that make a bridge where there is none."""
        from .. import link_operations

        steps: list[operations.Operation] = [
            link_operations.AddBridge(item.name, item.mac_address or "", item.mtu, item.stp)
        ]
        # the request that makes a link cannot carry an alias, and a killed run must not lose the link's label
        steps.append(link_operations.SetLink(model.HOST, item.name, (("alias", marks.alias(item.network)),)))
        steps += common.new_sysctls(model.HOST, sysctls)
        steps += common.address_steps(model.HOST, item.name, (), item.addresses)
        return steps + common.link_steps(model.HOST, item.name, {}, {"up": True})

    def _plan_ours(self, item: model.Bridge, link: Link, world: World) -> list[operations.Operation]:
        self._refuse_overlaps(item, [new for new in item.addresses or () if new not in link.addresses], world)
        wanted = {
            "mtu": item.mtu,
            "address": item.mac_address,
            "group": marks.LINK_GROUP,
            "alias": marks.alias(item.network),
            "stp": item.stp,
            "up": True,
            "arp": True,
        }
        steps: list[operations.Operation] = []
        if common.gets_ipv6(link, item.mtu):
            # no IPv6 packet comes in before its sysctls are set
            steps += common.link_steps(model.HOST, item.name, common.link_values(link), {"up": False})
            steps += common.link_steps(model.HOST, item.name, common.link_values(link), {"mtu": item.mtu})
            link = replace(link, up=False, mtu=item.mtu or link.mtu)
        steps += common.sysctl_steps(model.HOST, self._sysctls(item, world), world)
        steps += common.address_steps(model.HOST, item.name, link.addresses, item.addresses)
        steps += common.link_steps(model.HOST, item.name, common.link_values(link), wanted)
        steps += common.restore_subnets("bridge %s" % item.name, model.HOST, link, item.addresses, world)
        made = self._link(item, link)
        world.put_link(made)
        if steps:
            common.await_ipv6([Awaited(model.HOST, item.name, asks=True)], made.addresses, world)
        return steps

    @staticmethod
    def _link(item: model.Bridge, link: Link) -> Link:
        addresses = link.addresses if item.addresses is None else item.addresses
        mac_address = item.mac_address or link.mac_address
        link = replace(link, mtu=item.mtu or link.mtu, mac_address=mac_address, addresses=addresses, up=True, arp=True)
        return replace(link, alias=marks.alias(item.network), group=marks.LINK_GROUP, details=BridgeValues(item.stp))

    @staticmethod
    def _sysctls(item: model.Bridge, world: World) -> list[tuple[str, str]]:
        needed = common.foreseen(item.name, item.addresses or (), world)
        if not common.has_ipv6(world, item.mtu):
            return needed
        conf = "net/ipv6/conf/%s/" % item.name
        # An endpoint could give the host a default route by a router advertisement (CVE-2020-13401). When the host
        # forwards, it asks for neighbours from its link-local address only, and duplicate address detection would
        # keep that address unusable for two seconds.
        return [*needed, (conf + "accept_ra", "0"), (conf + "accept_dad", "0")]

    @staticmethod
    def _use(item: model.Bridge, link: Link) -> list[operations.Operation]:
        """Use a bridge of others unchanged; raise Conflict if it differs from the request."""
        for address in item.addresses or ():
            if address not in link.addresses:
                raise model.Conflict(
                    "Bridge %s was not made by this collection and has %s, not %s; add the address where the bridge is"
                    " made, or choose another name."
                    % (item.name, ", ".join(model.spelled(link.addresses)) or "no address", address)
                )
        for option, there, wanted in (
            ("mtu", link.mtu, item.mtu),
            ("mac_address", link.mac_address, item.mac_address),
        ):
            if wanted is not None and there != wanted:
                raise model.Conflict(
                    "Bridge %s was not made by this collection and has %s %s, not %s;"
                    " change it where the bridge is made." % (item.name, option, there, wanted)
                )
        return []

    @staticmethod
    def _plan_absent(item: model.Bridge, link: Link | None, world: World) -> list[operations.Operation]:
        if link is None:
            return []
        if is_unmarked(link):
            world.warn("Bridge %s stays: %s" % (item.name, unmarked(link)))
            return []
        if not is_ours(link):
            world.warn("Bridge %s was not made by this collection, and stays." % item.name)
            return []
        from .. import link_operations

        ports = [port for port in world.links().values() if port.master == item.name]
        strangers = [port.name for port in ports if not is_ours(port)]
        if strangers:
            world.warn("Bridge %s had ports of others, now without a bridge: %s." % (item.name, ", ".join(strangers)))
        there = _as_it_is(link)
        again = [*BridgeKind.make(there, BridgeKind._sysctls(there, world))]
        again += [link_operations.SetLink(model.HOST, port.name, (("master", item.name),)) for port in ports]
        local = "net/ipv4/conf/%s/route_localnet" % item.name  # of sysctl_forward, and goes with the link
        if world.sysctl(model.HOST, local) not in (None, "0"):
            again += common.new_sysctls(model.HOST, [(local, "1")])
        world.drop_link(item.name)
        return [link_operations.DeleteLinks((item.name,), tuple(again))]


def _ends_here(item: model.Bridge, world: World) -> bool:
    """Whether the host has IPv6 turned off on all other interfaces, so that no packet gets beyond the host."""
    if world.sysctl(model.HOST, "net/ipv6/conf/all/disable_ipv6") != "1":
        return False
    policy = world.firewall.policies.get(item.name)
    others = [link for link in world.links().values() if link.name != "lo" and not is_ours(link)]
    return not (policy and policy.internal) and all(a.version == 4 for link in others for a in link.addresses)


def _as_it_is(link: Link) -> model.Bridge:
    return model.Bridge(
        link.name,
        link.addresses,
        link.mtu,
        link.mac_address,
        bool(common.link_values(link)["stp"]),
        marks.label_of(link.alias),
    )


def stable_mac(machine_id: str, name: str) -> str:
    """A locally administered address, the same in each run and different on each machine.

    Without an address of its own, a bridge takes the lowest one of its ports, which changes as ports come and go.
    """
    digest = hashlib.sha256(("%s/%s" % (machine_id, name)).encode()).digest()
    return ":".join("%02x" % byte for byte in (0x02, *digest[:5]))
