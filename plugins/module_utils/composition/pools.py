# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The subnet of a network that names none: its present one, or one from the pools that follows from its name."""

from __future__ import annotations

import contextlib
import ipaddress
import typing as t

from .. import arguments, marks, model, parsing
from ..reading import read_list
from ..report import HostReport, NetworkReport
from . import spec
from .allocate import stable_number
from .surroundings import Surroundings


class Pool(t.NamedTuple):
    """A network that is cut into subnets of one size."""

    base: model.Network
    size: int

    @property
    def number(self) -> int:
        """The number of subnets."""
        return 1 << (self.size - self.base.prefixlen)

    def subnet(self, place: int) -> model.Network:
        """The subnet with this index."""
        return ipaddress.IPv4Network((int(self.base.network_address) + (place << (32 - self.size)), self.size))


# The default-address-pools of Docker.
_OF_DOCKER = (
    *(Pool(ipaddress.IPv4Network("172.%d.0.0/16" % number), 16) for number in range(17, 32)),
    Pool(ipaddress.IPv4Network("192.168.0.0/16"), 20),
)


def read_pools(value: object) -> tuple[Pool, ...]:
    """The option pools; raises InvalidRequest."""
    option = {"type": "list", "elements": "dict", "options": spec.POOL}
    return tuple(_read_pool(number, item) for number, item in enumerate(read_list("", "pools", option, value), 1))


def _read_pool(number: int, item: arguments.Options) -> Pool:
    with parsing.about("pools, item %d" % number):
        base, size = parsing.subnet("base", item["base"]), item["size"]
        if base.version != 4:
            raise model.InvalidRequest("base: %s is not IPv4; a network gets IPv6 only by a subnet of its own." % base)
        if not base.prefixlen <= size <= 30:
            raise model.InvalidRequest(
                "size: subnets of %s cannot have the prefix length %d; use %d to 30." % (base, size, base.prefixlen)
            )
        return Pool(base, size)


class _Taken:
    """IPv4 networks, with a quick check whether one of them contains another network or lies in it."""

    def __init__(self) -> None:
        self._networks: set[tuple[int, int]] = set()
        self._around: set[tuple[int, int]] = set()

    def add(self, network: model.Network) -> None:
        if network.version == 4 and network.prefixlen:
            self._networks.add(_cut(network, network.prefixlen))
            self._around.update(_cut(network, length) for length in range(1, network.prefixlen + 1))

    def lies_in(self, network: model.Network) -> bool:
        """Whether one of them is this network or lies in it."""
        return _cut(network, network.prefixlen) in self._around

    def covers(self, network: model.Network) -> bool:
        """Whether one of them contains this network."""
        return any(_cut(network, length) in self._networks for length in range(1, network.prefixlen + 1))


def _cut(network: model.Network, length: int) -> tuple[int, int]:
    return int(network.network_address) >> (32 - length), length


class _Places:
    """The subnets of the pools, and which of them are taken."""

    def __init__(self, pools: t.Sequence[Pool], around: Surroundings) -> None:
        self._pools = pools or _OF_DOCKER
        self._held, self._routed = _Taken(), _Taken()
        for address in around.addresses():
            self._held.add(address.network)
        for network in around.routes():
            self._routed.add(network)

    def hold(self, network: model.Network) -> None:
        """Mark a network as taken."""
        self._held.add(network)

    def choose(self, title: str, seed: str) -> model.Network:
        """Take the subnet that follows from ``seed``, or the next free one after it.

        A subnet with a route is not taken, as a VPN may be behind it. If routes cover all pools, they do not count,
        and the kernel prefers the network's own route, which is more specific.
        """
        for may_be_covered in (False, True):
            for found in self._in_turn(stable_number(seed)):
                if self._is_free(found) and (may_be_covered or not self._routed.covers(found)):
                    self._held.add(found)
                    return found
        raise model.InvalidRequest(
            "%s: it has no subnets, and of the %d subnets of the pools none is free: other networks, and addresses and"
            " routes of the host, have them; give it one with the option subnets, or add to pools."
            % (title, sum(pool.number for pool in self._pools))
        )

    def _in_turn(self, begin: int) -> t.Iterator[model.Network]:
        """All subnets, grouped by the sizes of the pools. Docker has 192.168.0.0/16 last, as many LANs use it."""
        for size in dict.fromkeys(pool.size for pool in self._pools):
            pools = [pool for pool in self._pools if pool.size == size]
            number = sum(pool.number for pool in pools)
            for step in range(number):
                yield _subnet(pools, (begin + step) % number)

    def _is_free(self, network: model.Network) -> bool:
        return not (self._held.lies_in(network) or self._held.covers(network) or self._routed.lies_in(network))


def _subnet(pools: t.Iterable[Pool], place: int) -> model.Network:
    for pool in pools:
        if place < pool.number:
            return pool.subnet(place)
        place -= pool.number
    raise IndexError(place)


def give_subnets(
    items: t.Sequence[arguments.Options],
    report: HostReport,
    project: str,
    pools: t.Sequence[Pool],
    around: Surroundings,
) -> list[arguments.Options]:
    """The networks of a list, each with subnets. Subnets that are given or present are taken first, in any order."""
    places = _Places(pools, around)
    there = {network.bridge: network for network in report.networks}
    chosen: dict[str, model.Network] = {}
    for item in items:
        living = _living(there.get(item["bridge"] or "br-" + item["name"]), marks.label(item["name"], project))
        if living is not None and not item["subnets"]:
            chosen[item["name"]] = living
        for text in item["subnets"] or ():
            with contextlib.suppress(model.InvalidRequest):  # a name that is not valid is refused later
                places.hold(parsing.subnet("subnets", text))
    for network in (*chosen.values(), *(subnet for other in report.networks for subnet in other.subnets)):
        places.hold(network)
    for name in sorted(item["name"] for item in items if not item["subnets"] and item["name"] not in chosen):
        chosen[name] = places.choose("network %s" % name, "%s/%s" % (project, name))
    return [item if item["subnets"] else {**item, "subnets": [str(chosen[item["name"]])]} for item in items]


def _living(there: NetworkReport | None, noted: str) -> model.Network | None:
    """The present subnet of a network: an existing network is never renumbered."""
    if there is None or there.network != noted:
        return None
    return next((subnet for subnet in there.subnets if subnet.version == 4), None)
