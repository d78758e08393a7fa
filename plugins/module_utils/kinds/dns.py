# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS servers of endpoints. This kind has no module of its own, as the content follows from a list of networks.

All servers are one service, and one file says whom it may tell what. The first object that differs plans that file for
all of them, and the steps for the service.
"""

from __future__ import annotations

import typing as t

from .. import engine, marks, model, operations
from ..ownership import Holding
from ..world import Claims, World
from . import common
from .name_service import Service, removal_steps
from .name_views import Served, Writer, load, spell

Names = t.Mapping[str, t.Sequence[str]]
_RETURNED = ("nameservers", "network")  # everything else follows from the networks of the endpoint
_SHOWN = 10  # names of a server in the diff


class _Book:
    """The views of all endpoints, before and after this run."""

    def __init__(self, world: World) -> None:
        writer = Writer()
        self.text = world.file(marks.NAMES_FILE)
        self.before = load(self.text)
        self.after: dict[str, Served] = dict(self.before)
        for netns, view in world.claims.views.items():
            if view is not None:
                self.after[netns] = writer.served(view)
            else:
                self.after.pop(netns, None)
        self.done = False
        self._sound: bool | None = None
        # most endpoints of a network know the same
        self._described: dict[tuple[str, int, int], dict[str, object]] = {}
        self._same: dict[tuple[int, int], bool] = {}
        self._world = world

    def described(self, netns: str, now: bool) -> engine.Description:
        """The view of an endpoint's server, before or after this run, and the names that only this server knows."""
        one, other = self.before.get(netns), self.after.get(netns)
        one, other = (one, other) if now else (other, one)
        if one is None:
            return None
        key = one.label, id(one.about), id(other and other.about)
        if key not in self._described:
            others = {name: value for name, value in one.about.items() if name != "names"}
            names = _beyond(one.about["names"], other.about["names"] if other is not None else {})
            self._described[key] = common.compact(**others, names=names or None, **common.belongs(one.label))
        return self._described[key]

    def is_same(self, netns: str) -> bool:
        """Whether the server of an endpoint will give the same answers as before."""
        one, other = self.before.get(netns), self.after.get(netns)
        if one is None or other is None:
            return one is other
        key = id(one.about), id(other.about)
        if key not in self._same:
            self._same[key] = one.about == other.about
        return one.label == other.label and self._same[key]

    def is_sound(self) -> bool:
        """Whether the service is as it should be."""
        if self._sound is None:
            odd = self._world.is_odd(marks.NAMES_FILE, 0o644)
            self._sound = not odd and Service(self._world).is_sound(self.after)
        return self._sound

    def steps(self) -> list[operations.Operation]:
        """Bring the file and the service to what is wanted."""
        if not self.after:
            return removal_steps(self._world)
        text = spell(self.after)
        file = common.write_steps(marks.NAMES_FILE, text, self.text, self._world, own_folder=True)
        lost = any(netns not in self.after for netns in self.before)
        return [*file, *Service(self._world).steps(self.after, lost)]


class DnsKind(engine.EndpointKind[model.NameView], engine.StepKind[model.NameView]):
    """The DNS server inside one endpoint."""

    name = "dns"

    def __init__(self) -> None:
        self._known: tuple[Claims, _Book] | None = None

    def claim(self, item: model.NameView, state: str, claims: Claims) -> None:
        claims.views[item.netns] = item if state == "present" else None

    def title(self, item: model.NameView) -> str:
        return "DNS server of endpoint %s" % item.netns

    def holdings(self, item: model.NameView, state: str, world: World) -> t.Iterable[Holding]:
        there = self._book(world).before.get(item.netns)
        return [("The DNS server of endpoint %s" % item.netns, there.label)] if there is not None else []

    def unchanged(self, item: model.NameView, world: World) -> engine.Description:
        book = self._book(world)
        is_right = book.is_same(item.netns) and world.systemd() and book.is_sound()
        return book.described(item.netns, now=False) if is_right else None

    def observed(self, item: model.NameView, world: World) -> engine.Description:
        return self._book(world).described(item.netns, now=True)

    def wanted(self, item: model.NameView, observed: engine.Description, world: World) -> engine.Description:
        return self._book(world).described(item.netns, now=False)

    def returned(self, found: engine.Description) -> engine.Description:
        return None if found is None else {name: found[name] for name in _RETURNED if found.get(name)}

    def plan(self, item: model.NameView, state: str, world: World) -> list[operations.Operation]:
        book = self._book(world)
        if state == "present":
            _require(world)
        if book.is_same(item.netns) and (state == "absent" or book.done or book.is_sound()):
            return []
        if book.done:
            return [operations.Together(self.title(item))]
        book.done = True
        # A restart alone comes at the end of the run, and still counts as a change of this object.
        return book.steps() or [operations.Together(self.title(item))]

    def remark(self, item: model.NameView, world: World) -> None:
        for server in item.nameservers:
            link = str(server).partition("%")[2]
            if link and link not in world.links():
                text = "There is no interface %s on this host now, by which the name server %s is asked for: %%s."
                world.remark(text % (link, str(server).replace("%", "%%")), item.netns)

    def _book(self, world: World) -> _Book:
        if self._known is None or self._known[0] is not world.claims:
            self._known = world.claims, _Book(world)
        return self._known[1]


def _require(world: World) -> None:
    if not world.systemd():
        raise model.Conflict(
            "A DNS server in endpoints (dns) needs systemd as PID 1, which this host does not have; leave dns out:"
            " programs that 'ip netns exec' starts in an endpoint find the names in files as well."
        )


def _beyond(names: Names, known: Names) -> dict[str, object]:
    """The names that the other side does not have with the same addresses, and not too many of them."""
    found = [name for name, addresses in names.items() if known.get(name) != addresses]
    shown = {name: names[name] for name in found[:_SHOWN]}
    return {**shown, **({"more": len(found) - _SHOWN} if len(found) > _SHOWN else {})}
