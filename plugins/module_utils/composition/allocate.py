# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the addresses of endpoints: the given one, or the present one, or one that follows from the names."""

from __future__ import annotations

import hashlib
import ipaddress

from .. import model

# Enough to avoid collisions, and few enough for a readable address in an IPv6 subnet.
_SPAN = 2**32


class Subnet:
    """The addresses of a subnet, each with its holder. They are chosen from ``pool``, by default the whole subnet."""

    def __init__(
        self, network: model.Network, gateway: model.Address, title: str, pool: model.Network | None = None
    ) -> None:
        self.network = network
        self.pool = pool or network
        self.title = title
        self._holders: dict[model.Address, str] = {}
        self.take(gateway, "the gateway")

    def take(self, address: model.Address, holder: str) -> None:
        """Give an address to a holder; InvalidRequest if it is outside the subnet, or taken."""
        if address not in self.network:
            raise model.InvalidRequest(
                "%s: address %s of %s is outside the subnet %s; give it one inside, or leave it out."
                % (self.title, address, holder, self.network)
            )
        if not self._is_host(address):
            raise model.InvalidRequest(
                "%s: %s, for %s, is not a host address of %s; choose one between its first and its last."
                % (self.title, address, holder, self.network)
            )
        if address in self._holders:
            raise model.InvalidRequest(
                "%s: address %s is used twice: by %s and %s; give one of them another, or leave it out."
                % (self.title, address, self._holders[address], holder)
            )
        self._holders[address] = holder

    def holder(self, address: model.Address) -> str:
        """Who has an address, as a clause; empty if nobody has it."""
        return self._holders.get(address, "")

    def is_free(self, address: model.Address) -> bool:
        """Whether an endpoint could have the address."""
        return address in self.network and self._is_host(address) and address not in self._holders

    def choose(self, seed: str, holder: str) -> model.Address:
        """Give away the address that follows from ``seed``, or the next free one after it.

        Nothing else counts, so that another host, or the same one after it was set up again, gets the same address.
        """
        make = ipaddress.IPv4Address if self.network.version == 4 else ipaddress.IPv6Address
        first, size = int(self.pool.network_address), min(self.pool.num_addresses, _SPAN)
        begin = stable_number(seed)
        # of this many addresses in a row, at least one is free
        for step in range(min(size, len(self._holders) + 3)):
            address = make(first + (begin + step) % size)
            if self.is_free(address):
                self._holders[address] = holder
                return address
        what = "subnet" if self.pool == self.network else "ip_range"
        raise model.InvalidRequest(
            "%s: %s %s has no address left for %s; make it larger, or leave an endpoint out."
            % (self.title, what, self.pool, holder)
        )

    def interface(self, address: model.Address) -> model.Interface:
        """An address with the prefix length of the subnet."""
        make = ipaddress.IPv4Interface if self.network.version == 4 else ipaddress.IPv6Interface
        return make((int(address), self.network.prefixlen))

    def _is_host(self, address: model.Address) -> bool:
        """Whether it is neither an end of an IPv4 subnet nor the anycast address of an IPv6 one (RFC 4291, 2.6.1)."""
        if self.network.prefixlen >= self.network.max_prefixlen - 1:
            return True
        last = self.network.version == 4 and address == self.network.broadcast_address
        return address != self.network.network_address and not last


def stable_number(seed: str) -> int:
    """A number that follows from a text, and differs between texts."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
