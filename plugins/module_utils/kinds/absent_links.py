# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces that our rules name and that the host does not have, perhaps as they have other names since a boot."""

from __future__ import annotations

import typing as t

from .. import model


def absent_links(state: model.FirewallState, there: t.Container[str]) -> list[str]:
    """Each of them, with the rules that name it, as a clause."""
    bridges = {policy.bridge for policy in state.policies}
    users: dict[str, list[str]] = {}
    for link, user in sorted(_named(state)):
        # a bridge that is gone is shown with its network
        if link not in there and link not in bridges:
            users.setdefault(link, []).append(user)
    return ["%s, which %s" % (link, _names(model.enumerate_few(found), len(found))) for link, found in users.items()]


def _names(users: str, number: int) -> str:
    return "%s %s" % (users, "names" if number == 1 else "name")


def _named(state: model.FirewallState) -> t.Iterator[tuple[str, str]]:
    for masquerade in state.masquerades:
        if masquerade.out.name:
            yield masquerade.out.name, "the masquerade of %s" % masquerade.source
    for port in state.ports:
        for link in port.in_interfaces:
            yield link, "port %s/%s" % (port.host_ports, port.protocol)
    for policy in state.policies:
        for link in policy.trusted_interfaces:
            yield link, "trusted_interfaces of %s" % policy.bridge
