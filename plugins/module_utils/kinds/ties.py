# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the objects that are kept for the boot make for each other, and need of each other, by their kinds.

It follows from the options that are kept. Nothing here imports a kind: each run keeps the objects of all kinds, also
that of a module that was sent with a single one.
"""

from __future__ import annotations

import typing as t

from .. import arguments

LINK, NAMESPACE, ADDRESS = "link", "namespace", "address"


class Thing(t.NamedTuple):
    """A part of the host that one object makes and another one needs."""

    what: str
    name: str


class Ties(t.NamedTuple):
    """How an object is tied to others."""

    makes: tuple[Thing, ...] = ()
    needs: tuple[Thing, ...] = ()  # it cannot be made without them
    # It can be made without them. But if the boot cannot bring them, it waits until they are there.
    follows: tuple[Thing, ...] = ()


def ties_of(kind: str, options: arguments.Options) -> Ties:
    """The ties of an object by the options that are kept of it."""
    return _TIES[kind](options) if kind in _TIES else Ties()


def _bridge(options: arguments.Options) -> Ties:
    link = Thing(LINK, options["name"])
    return Ties(makes=(link,), follows=(link,))


def _netns(options: arguments.Options) -> Ties:
    namespace = Thing(NAMESPACE, options["name"])
    return Ties(makes=(namespace,), follows=(namespace,))


def _veth(options: arguments.Options) -> Ties:
    peer, bridge = options["peer"], options.get("bridge")
    addresses = [Thing(ADDRESS, address.partition("/")[0]) for address in peer.get("addresses", ())]
    # An end that was named by its process has no name that a boot could find it by.
    needs = [Thing(NAMESPACE, peer.get("netns") or ""), *([Thing(LINK, bridge)] if bridge is not None else [])]
    return Ties(makes=(Thing(LINK, options["name"]), *addresses), needs=tuple(needs))


def _port_publish(options: arguments.Options) -> Ties:
    return Ties(follows=(Thing(ADDRESS, options["container_ip"]),))


# A kind that is not here is made whatever else is there.
_TIES: dict[str, t.Callable[[arguments.Options], Ties]] = {
    "bridge": _bridge,
    "netns": _netns,
    "veth": _veth,
    "port_publish": _port_publish,
}
