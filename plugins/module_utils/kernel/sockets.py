# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The open sockets of one run: one for each network stack that it looks at."""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import typing as t

from .. import model
from . import netlink, sysctl
from .errors import HostError, KernelError
from .namespaces import OWN_NAMESPACE, Visitor, enter_network

NETNS_FOLDER = "/run/netns"
# A run may look at 1000 namespaces, and the usual limit of a process is 1024 files.
_OPEN = 256
# The same for the namespaces of processes: these get more, since a name leads back to its namespace at any time, while
# a process may end, or its number become another one's.
_HELD = 512

T = t.TypeVar("T")
# The least recently used one comes first.
_Open = t.OrderedDict[model.Place, netlink.NetlinkSocket]


class Sockets:
    """Opens a socket in a stack when it is needed, and closes the least recently used one.

    An open socket keeps its namespace alive. So what a plan has read of a process's namespace is there when its steps
    are taken, even if the process has ended meanwhile.
    """

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._named: _Open = collections.OrderedDict()
        self._of_processes: _Open = collections.OrderedDict()
        self._folders = sysctl.Folders()  # of the host

    def get(self, place: model.Place) -> netlink.NetlinkSocket:
        """The socket of ``place``, or KernelError when there is no such place."""
        kept = self._kept(place)
        if place in kept:
            kept.move_to_end(place)
        else:
            self.put(place, self._connect(place))
        return kept[place]

    def put(self, place: model.Place, opened: netlink.NetlinkSocket) -> None:
        """Keep a socket that was opened elsewhere."""
        kept = self._kept(place)
        kept[place] = opened
        if len(kept) > (_OPEN if kept is self._named else _HELD):
            kept.popitem(last=False)[1].close()

    def close(self, place: model.Place) -> None:
        """Close the socket of ``place``, if there is one."""
        opened = self._kept(place).pop(place, None)
        if opened is not None:
            opened.close()

    def close_all(self) -> None:
        """Close every socket."""
        for place in [*self._named, *self._of_processes]:
            self.close(place)
        self._folders.close()

    def write_sysctl(self, place: model.Place, key: str, value: str) -> None:
        """Set a key of ``place``."""
        write = self._folders.write if place == model.HOST else sysctl.write
        self.inside(place, lambda: write(key, value))

    def inside(self, place: model.Place, function: t.Callable[[], T]) -> T:
        """Call ``function`` in the namespace of ``place``, and return its result."""
        if place == model.Place():
            return self._visitor.on_host(function)
        namespace = self.get(place).namespace()
        try:
            return self._visitor.visit(namespace, function)
        finally:
            os.close(namespace)

    def visit_all(
        self, places: t.Iterable[model.Place], read: t.Callable[[netlink.NetlinkSocket, int], T]
    ) -> dict[model.Place, T]:
        """The result of ``read`` for each place, by a socket there and an open file of the namespace.

        One visit serves all of them, as a switch to the visitor's thread and back costs more than to read a namespace.
        A place that does not exist, or has just gone, is left out.
        """

        def tour() -> dict[model.Place, T]:
            found = {}
            for place in places:
                with contextlib.suppress(OSError, HostError):
                    found[place] = _read_there(place, read)
            return found

        return self._visitor.run(tour)

    def _kept(self, place: model.Place) -> _Open:
        return self._named if place.pid is None else self._of_processes

    def _connect(self, place: model.Place) -> netlink.NetlinkSocket:
        if place == model.Place():
            return netlink.NetlinkSocket()
        return self.with_file(place, lambda fd: self._visitor.visit(fd, netlink.NetlinkSocket))

    def with_file(self, place: model.Place, function: t.Callable[[int], T]) -> T:
        """Call ``function`` with the open file of a place's namespace, and return its result."""
        opened = self._kept(place).get(place)
        try:
            if opened is not None:
                fd = opened.namespace()
            else:
                fd = self._visitor.on_host(lambda: os.open(path_of(place), os.O_RDONLY | os.O_CLOEXEC))
            try:
                return function(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise not_entered(place, error) from error


def _read_there(place: model.Place, read: t.Callable[[netlink.NetlinkSocket, int], T]) -> T:
    fd = os.open(path_of(place), os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter_network(fd)
        with netlink.NetlinkSocket() as opened:
            return read(opened, fd)
    finally:
        os.close(fd)


def path_of(place: model.Place) -> str:
    """The file of a place's network namespace."""
    if place.netns is not None:
        return os.path.join(NETNS_FOLDER, place.netns)
    return OWN_NAMESPACE if place.pid is None else "/proc/%d/ns/net" % place.pid


def not_entered(place: model.Place, error: OSError) -> KernelError:
    """The error for a ``place`` that cannot be entered or named."""
    reason: OSError | str = error
    if error.errno in (errno.ENOENT, errno.ESRCH):
        reason = "there is no process %d" % place.pid if place.pid is not None else "there is no such namespace"
    elif error.errno == errno.EINVAL:
        reason = "%s is not a network namespace; choose another name, or remove what is there" % path_of(place)
    return KernelError("enter %s" % place, reason)
