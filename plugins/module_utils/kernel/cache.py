# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what one run has read of the host."""

from __future__ import annotations

import typing as t

T = t.TypeVar("T")


class Changes:
    """Counts the changes of one run. A change in one stack may affect another, since a veth pair has an end in each."""

    def __init__(self) -> None:
        self.count = 0


class Cache:
    """Keeps what was read until the run changes something."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._as_of = changes.count
        self._known: dict[str, object] = {}

    def get(self, key: str, read: t.Callable[[], T]) -> T:
        """The value for this key; ``read`` is called for it the first time."""
        if self._as_of != self._changes.count:
            self._known.clear()
            self._as_of = self._changes.count
        if key not in self._known:
            self._known[key] = read()
        return t.cast("T", self._known[key])  # all callers read the same type for a key

    def put(self, key: str, value: object) -> None:
        """Keep a value that was read elsewhere."""
        self.get(key, lambda: value)

    def peek(self, key: str) -> t.Any:
        """The value that is kept for this key, of the type that get() has for it; None if there is none."""
        return self._known.get(key) if self._as_of == self._changes.count else None
