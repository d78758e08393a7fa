# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of nftables that all sections share, and a table while it is put together."""

from __future__ import annotations

import ipaddress
import typing as t

from ... import model
from .. import reasons
from .table import Element, Set, Table

Found = t.TypeVar("Found")

IP = {4: "ip", 6: "ip6"}
ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
LOOPBACK = "127.0.0.0/8"
NOT_LOOPBACK = 'ip daddr %s counter drop comment "%s"' % (LOOPBACK, reasons.LOOPBACK)
_PLAIN = Element()


class Draft:
    """A table while it is put together: the rules of its chains, and its sets."""

    def __init__(self) -> None:
        self.chains: dict[str, tuple[str, ...]] = {}
        self.sets: dict[str, Set] = {}

    def put(
        self,
        name: str,
        key_type: str,
        key: str,
        element: Element = _PLAIN,
        data_type: str = "",
        interval: bool = False,
    ) -> None:
        """Add an element, and the set itself when this is its first one."""
        known = self.sets.setdefault(name, Set(key_type, data_type, interval, elements={}))
        t.cast("dict[str, Element]", known.elements)[key] = element

    def dropping(self, by: str, key: str, reason: str) -> tuple[str, str]:
        """Two rules: one counts a packet by ``key`` in the set ``by`` if that has room, and one drops the packet."""
        self.sets[by] = Set("iface_index" if key.startswith("fib ") else "ifname", elements={}, counts=True)
        return "update @%s { %s }" % (by, key), 'counter drop comment "%s"' % reason

    def dropping_if(self, condition: str, by: str, key: str, reason: str) -> str:
        """A rule that jumps to those two, so that other packets meet only one rule."""
        self.chains[by] = self.dropping(by, key, reason)
        return "%s goto %s" % (condition, by)


def link(name: str) -> str:
    """The name of an interface."""
    return '"%s"' % name


def spell(network: model.Network) -> str:
    """A network as nft prints it: a host without its prefix length."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def ports(text: str) -> model.PortRange:
    """A port, or the first and the last one of a range."""
    first, unused, last = text.partition("-")
    return model.PortRange(int(first), int(last or first))


def keys(table: Table, name: str, fields: int) -> t.Iterator[tuple[list[str], Element]]:
    """The elements of a set, with their keys split into fields without quotes; others are not ours, and left out."""
    # a single field is the name of an interface; a set with another type is not as we made it
    if name in table.sets and (fields != 1 or table.sets[name].key_type == "ifname"):
        for key, element in table.sets[name].elements.items():
            parts = [part.strip('"') for part in key.split(" . ")]
            if len(parts) == fields:
                yield parts, element


def attempt(parse: t.Callable[..., Found], *values: object) -> Found | None:
    """The result of ``parse``, or None if the text was altered beyond recognition, so that it is rewritten."""
    try:
        return parse(*values)
    except ValueError:
        return None


def ordered(networks: t.Iterable[model.Network]) -> tuple[model.Network, ...]:
    """Networks in the order of the model: IPv4 first, then by address."""
    return tuple(sorted(networks, key=lambda network: (network.version, network)))


def parsed(networks: t.Iterable[str]) -> tuple[model.Network, ...]:
    """Networks from their texts, in that order; ValueError when one is not a network."""
    return ordered(ipaddress.ip_network(text) for text in networks)
