# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells network namespaces apart.

A namespace may have several names, and each process in it names it as well. Its inode identifies it. Indexes and
numbers of interfaces have a meaning within one namespace only.
"""

from __future__ import annotations

import typing as t

from . import model
from .kernel import state
from .kernel.host import Host


class Places:
    """The namespaces as they will be when the steps planned so far are done."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._entries: t.Mapping[str, state.NamespaceEntry] | None = None
        self._new: set[str] = set()  # names of namespaces that will be made
        self._numbers: dict[model.Place, int] = {}  # of these, and of the names that check mode assumes
        self._attached: dict[str, model.Place] = {}  # names that a namespace with processes will get
        self._gone: set[str] = set()
        self._homes: dict[model.Place, model.Place] = {}
        self._by_inode: dict[int, model.Place] = {}
        self._inodes: dict[int, int] = {}  # of the namespaces of processes, which may end while the plan is made

    def entries(self) -> t.Mapping[str, state.NamespaceEntry]:
        """The entries below /run/netns now, before any step of this run."""
        if self._entries is None:
            self._entries = self._host.namespaces()
        return self._entries

    def has_name(self, name: str) -> bool:
        """Whether there is, or will be, a namespace of this name."""
        if name in self._gone:
            return False
        entry = self.entries().get(name)
        return name in self._new or name in self._attached or (entry is not None and entry.inode != 0)

    def is_new(self, place: model.Place) -> bool:
        """Whether a place is still to be made, so that nothing can be read in it."""
        return place.netns is not None and (place.netns in self._new or not self.has_name(place.netns))

    def home(self, place: model.Place) -> model.Place:
        """The one Place that stands for a namespace, HOST for the host's own; KernelError if it does not exist."""
        found = self._homes.get(place)
        if found is None:
            found = self._homes[place] = self._find(place)
        return found

    def _find(self, place: model.Place) -> model.Place:
        if place == model.HOST or self.is_new(place):
            return place
        if place.netns in self._attached:
            return self.home(self._attached[place.netns])
        if not self._by_inode:
            self._by_inode[self._host.namespace_inode(model.HOST)] = model.HOST
        return self._by_inode.setdefault(self.inode(place), place)

    def inode(self, place: model.Place) -> int:
        """The inode of a namespace that exists now, 0 if none has this name."""
        entry = self.entries().get(place.netns) if place.netns is not None else None
        if entry is not None or place.pid is None:
            return entry.inode if entry is not None else self._host.namespace_inode(place)
        if place.pid not in self._inodes:
            self._inodes[place.pid] = self._host.namespace_inode(place)
        return self._inodes[place.pid]

    def number(self, place: model.Place) -> int | None:
        """The number that links of the host have for a namespace; None for the host's own."""
        home = self.home(place)
        if home == model.HOST:
            return None
        found = state.UNNUMBERED if self.is_new(home) else self._host.nsid(home)
        if found != state.UNNUMBERED:
            return found
        # No link of the host leads there yet. The links that this run makes need a number, to be found by it.
        return self._numbers.setdefault(home, state.UNNUMBERED - 1 - len(self._numbers))

    def make(self, name: str) -> None:
        """Note that a step of this run makes the namespace."""
        self.drop(name)
        self._gone.discard(name)
        self._new.add(name)

    def attach(self, name: str, place: model.Place) -> None:
        """Note that a step of this run gives the namespace of a process this name."""
        self.drop(name)
        self._gone.discard(name)
        self._attached[name] = place

    def drop(self, name: str) -> None:
        """Note that a step of this run removes the name."""
        self._new.discard(name)
        self._attached.pop(name, None)
        self._gone.add(name)
        gone = self._homes.pop(model.Place(netns=name), None)
        if gone == model.Place(netns=name):
            self._by_inode = {inode: place for inode, place in self._by_inode.items() if place != gone}
            self._homes = {place: home for place, home in self._homes.items() if home != gone}
