# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which endpoint gets which address: what it was given, else what it has, else the lowest free one."""

from __future__ import annotations

import ipaddress

from ..model import Address, Interface, InvalidRequest, Network


class Subnet:
    """The addresses of a subnet, each with its holder."""

    def __init__(self, network: Network, gateway: Address, title: str) -> None:
        self.network = network
        self.title = title
        self._holders: dict[Address, str] = {}
        self._next = int(network.network_address)
        self.take(gateway, "the gateway")

    def take(self, address: Address, holder: str) -> None:
        """Give an address away; InvalidRequest when it is not in the subnet, or somebody has it."""
        if address not in self.network:
            raise InvalidRequest(
                "%s: address %s of %s is outside the subnet %s." % (self.title, address, holder, self.network)
            )
        if not self._is_host(address):
            raise InvalidRequest(
                "%s: %s, for %s, is not a host address of %s." % (self.title, address, holder, self.network)
            )
        if address in self._holders:
            raise InvalidRequest(
                "%s: address %s is used twice: by %s and %s." % (self.title, address, self._holders[address], holder)
            )
        self._holders[address] = holder

    def is_free(self, address: Address) -> bool:
        """Whether an endpoint could have the address."""
        return address in self.network and self._is_host(address) and address not in self._holders

    def lowest(self, holder: str) -> Address:
        """Give the lowest free address away."""
        make = ipaddress.IPv4Address if self.network.version == 4 else ipaddress.IPv6Address
        for number in range(self._next, int(self.network.broadcast_address) + 1):
            address = make(number)
            if self.is_free(address):
                self._next = number
                self._holders[address] = holder
                return address
        raise InvalidRequest("%s: subnet %s has no address left for %s." % (self.title, self.network, holder))

    def interface(self, address: Address) -> Interface:
        """An address with the prefix length of the subnet."""
        make = ipaddress.IPv4Interface if self.network.version == 4 else ipaddress.IPv6Interface
        return make((int(address), self.network.prefixlen))

    def _is_host(self, address: Address) -> bool:
        """Without the ends of an IPv4 subnet, or the routers' anycast address of an IPv6 one (RFC 4291, 2.6.1)."""
        if self.network.prefixlen >= self.network.max_prefixlen - 1:
            return True
        last = self.network.version == 4 and address == self.network.broadcast_address
        return address != self.network.network_address and not last
