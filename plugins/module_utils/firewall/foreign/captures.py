# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of the host that rules of others redirect."""

from __future__ import annotations

import typing as t

from ... import model
from . import rules
from .reader import Foreign

_Found = tuple[rules.Table, rules.Chain, rules.Rule, rules.Capture]


class Captures:
    """The ports that rules of others redirect, for an IP version, by number: Docker may have a thousand."""

    def __init__(self, foreign: Foreign, version: int) -> None:
        self._singles: dict[int, list[_Found]] = {}
        self._ranges: list[_Found] = []
        for table in _translating(foreign, version):
            for chain in table.chains.values():
                for rule in chain.rules:
                    for capture in (*rule.captures, *_of_maps(foreign, table, rule)):
                        self._add((table, chain, rule, capture))

    def _add(self, item: _Found) -> None:
        ports = item[-1].ports
        (self._ranges if len(ports) > 1 else self._singles.setdefault(ports.first, [])).append(item)

    def holder(self, port: model.PublishedPort, local: t.Callable[[], t.Container[bytes]]) -> str:
        """The owner of a rule that redirects a port, as a clause; ``local`` returns the addresses of this host."""
        for table, chain, rule, capture in self._near(port.host_ports):
            if capture.protocol not in ("", port.protocol) or not capture.ports.overlaps(port.host_ports):
                continue
            if rule.came_by is not None and port.in_interfaces and not any(map(rule.came_by.take, port.in_interfaces)):
                continue
            if _same_address(capture, port.host_ip, local):
                return "%s %s" % (rules.place_of(table, chain), capture.leads)
        return ""

    def _near(self, ports: model.PortRange) -> t.Iterator[_Found]:
        """The captures that may have one of these ports."""
        if len(ports) == 1:
            yield from self._singles.get(ports.first, ())
        else:
            for found in self._singles.values():
                yield from found
        yield from self._ranges


def _translating(foreign: Foreign, version: int) -> t.Iterator[rules.Table]:
    """Tables with rules for ports. Rules that only iptables can read are read with iptables."""
    for table in foreign.nat_tables(version):
        yield table
        if any(rule.opaque for chain in table.chains.values() for rule in chain.rules):
            yield from foreign.saved_tables("nft", version, table.name)
    if not foreign.nft_works():
        yield from foreign.saved_tables("nft", version, "nat")


def _of_maps(foreign: Foreign, table: rules.Table, rule: rules.Rule) -> t.Iterator[rules.Capture]:
    if not rule.maps:
        return
    from .from_nft import captures_of_map

    for name, key in rule.maps:
        yield from captures_of_map(key, foreign.elements(table, name) or ())


def _same_address(
    capture: rules.Capture, host_ip: model.Address | None, local: t.Callable[[], t.Container[bytes]]
) -> bool:
    if capture.to is None:
        return True
    if host_ip is not None:
        return host_ip.version == capture.to.version and host_ip in capture.to
    if capture.to.num_addresses > 1:
        return True
    return capture.to.network_address.packed in local()
