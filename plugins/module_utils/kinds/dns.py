# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS servers of endpoints. This kind has no module of its own, as the content follows from a list of networks.

All servers are one service, and one file says what it may answer whom. The first object that differs plans that file
for all of them, and the steps for the service.
"""

from __future__ import annotations

import typing as t

from ..engine import Description, NetworkKind, StepKind
from ..marks import NAMES_FILE
from ..model import Conflict, NameView
from ..operations import Operation, Together, WriteFile
from ..ownership import Holding
from ..world import Claims, World
from .common import belongs
from .name_service import Service, removal_steps
from .name_views import Served, Writer, load, spell


class _Book:
    """The views of all endpoints, before and after this run."""

    def __init__(self, world: World) -> None:
        writer = Writer()
        self.text = world.file(NAMES_FILE)
        self.before = load(self.text)
        self.after: dict[str, Served] = dict(self.before)
        for netns, view in world.claims.views.items():
            if view is not None:
                self.after[netns] = writer.served(view)
            else:
                self.after.pop(netns, None)
        self.done = False
        self._sound: bool | None = None
        self._world = world

    def is_sound(self) -> bool:
        """Whether the service is as it should be."""
        if self._sound is None:
            self._sound = Service(self._world).is_sound(self.after)
        return self._sound

    def steps(self) -> list[Operation]:
        """Bring the file and the service to what is wanted."""
        if not self.after:
            return removal_steps(self._world)
        text = spell(self.after)
        file = [] if text == self.text else [WriteFile(NAMES_FILE, text, self.text, own_folder=True)]
        lost = any(netns not in self.after for netns in self.before)
        return [*file, *Service(self._world).steps(self.after, lost)]


class DnsKind(NetworkKind[NameView], StepKind[NameView]):
    """The DNS server inside one endpoint."""

    name = "dns"

    def __init__(self) -> None:
        self._known: tuple[Claims, _Book] | None = None

    def claim(self, item: NameView, state: str, claims: Claims) -> None:
        claims.views[item.netns] = item if state == "present" else None

    def title(self, item: NameView) -> str:
        return "DNS server of endpoint %s" % item.netns

    def holdings(self, item: NameView, state: str, world: World) -> t.Iterable[Holding]:
        there = self._book(world).before.get(item.netns)
        return [("The DNS server of endpoint %s" % item.netns, there.label)] if there is not None else []

    def observed(self, item: NameView, world: World) -> Description:
        return _describe(self._book(world).before.get(item.netns))

    def wanted(self, item: NameView, observed: Description, world: World) -> Description:
        return _describe(self._book(world).after.get(item.netns))

    def plan(self, item: NameView, state: str, world: World) -> list[Operation]:
        book = self._book(world)
        if state == "present":
            _require(world)
        is_same = book.before.get(item.netns) == book.after.get(item.netns)
        if is_same and (state == "absent" or book.done or book.is_sound()):
            return []
        if book.done:
            return [Together(self.title(item))]
        book.done = True
        # A restart alone comes at the end of the run, and still counts as a change of this object.
        return book.steps() or [Together(self.title(item))]

    def _book(self, world: World) -> _Book:
        if self._known is None or self._known[0] is not world.claims:
            self._known = world.claims, _Book(world)
        return self._known[1]


def _require(world: World) -> None:
    if not world.systemd():
        raise Conflict(
            "A DNS server in endpoints (dns) needs systemd as PID 1, which this host has not; leave dns out: names are"
            " in files as well, for what is started in an endpoint by 'ip netns exec'."
        )


def _describe(served: Served | None) -> Description:
    return None if served is None else {**served.about, **belongs(served.label)}
