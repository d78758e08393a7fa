# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as the engine sees it: its network stacks, namespaces, files, commands and its lock.

Code that few runs need is imported in the functions that use it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import typing as t

from .. import model
from . import encode, files, lock, netns, state
from .cache import Cache, Changes
from .errors import CommandError, KernelError
from .namespaces import Visitor, is_away
from .netfilter import Netfilter
from .sockets import Sockets
from .stack import Stack, read_all

if t.TYPE_CHECKING:
    from ..loading import Call
    from .processes import Listeners
    from .units import Unit

Run = t.Callable[[t.Sequence[str], t.Optional[str]], tuple[int, str, str]]

_ANNOUNCE_SECONDS = 1.0
_READY_SECONDS = 1.0


class Host:
    """Everything that a run may read of a host or change on it. Errors are HostError, or OSError for files."""

    def __init__(self, run: Run) -> None:
        encode.require()
        self._run = run
        self._is_away = is_away()
        self._visitor = Visitor(self._is_away)
        self._sockets = Sockets(self._visitor)
        self._listeners: Listeners | None = None
        self._processes: t.Mapping[int, t.Sequence[int]] | None = None
        self._changes = Changes()
        self._cache = Cache(self._changes)
        self._stacks: dict[model.Place, Stack] = {}

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every namespace; the host can still be used."""
        self._sockets.close_all()
        self._visitor.close()

    def lock(self, timeout: float, what: str = "") -> t.ContextManager[None]:
        """Hold the lock of this host, or raise LockTimeout with its holder after ``timeout`` seconds."""
        # The last holder of the lock may have changed what was read before.
        self._changes.count += 1
        return lock.held(timeout, what, self._visitor.on_host)

    def stack(self, place: model.Place) -> Stack:
        """The network stack of ``place``; if that does not exist, the first use raises an error."""
        found = self._stacks.get(place)
        if found is None:
            found = self._stacks[place] = Stack(place, self._sockets, self._changes)
        return found

    def default_link(self, version: int) -> str | None:
        """The link of the default route with the lowest metric."""
        found = [entry for entry in self.stack(model.HOST).routes() if _is_default(entry, version)]
        return min(found, key=lambda entry: entry.route.metric or 0).link if found else None

    def namespaces(self) -> t.Mapping[str, state.NamespaceEntry]:
        """The names below /run/netns."""
        return self._cache.get("namespaces", lambda: self._visitor.on_host(netns.entries))

    def namespace_inode(self, place: model.Place) -> int:
        """The inode of a namespace, 0 if none has that name; KernelError if there is no such process."""
        return self._visitor.on_host(lambda: netns.inode(place))

    def has_process(self, pid: int) -> bool:
        """Whether there is such a process."""
        try:
            return self.namespace_inode(model.Place(pid=pid)) != 0
        except KernelError:
            return False

    def nsid(self, place: model.Place) -> int | None:
        """The number of a namespace in links of the host whose other end is there.

        None for the host's own; negative if no link of the host leads there. Errors are KernelError.
        """
        known: dict[model.Place, int | None] = self._cache.get("nsids", dict)
        if place not in known:
            near = self.stack(model.HOST)
            near.links()  # the kernel gives a namespace its number when it lists a link that leads there
            known[place] = self._sockets.with_file(place, near.number_of)
        return known[place]

    def survey(self, places: t.Iterable[model.Place]) -> None:
        """Read many namespaces at once; each is decoded when it is needed."""
        unknown = [place for place in places if place != model.HOST and not self.stack(place).is_known()]
        if not unknown:
            return
        numbers: dict[model.Place, int | None] = self._cache.get("nsids", dict)
        near = self.stack(model.HOST)
        near.links()  # see nsid
        found = self._sockets.visit_all(unknown, lambda opened, fd: (read_all(opened), near.number_of(fd)))
        for place, (dump, number) in found.items():
            self.stack(place).keep(dump)
            numbers[place] = number

    def refused_sysctl(
        self,
        values: t.Sequence[tuple[str, str]],
        present: t.Sequence[tuple[str, str]] = (),
        mtus: t.Mapping[str, int] | None = None,
    ) -> state.RefusedSysctl | None:
        """The first of these keys that does not take its value in a network namespace with the ``present`` ones.

        ``mtus`` are those of the interfaces to which some of the keys belong, by key.
        """
        from . import sysctl_trial

        return self._visitor.run(lambda: sysctl_trial.try_out(values, present, mtus or {}, self._has_module))

    def _has_module(self, name: str) -> bool:
        """Whether the kernel could load a module; True if nobody knows."""
        try:
            return self._run(["modprobe", "--dry-run", "--quiet", name], None)[0] == 0
        except FileNotFoundError:
            return True

    def create_namespace(self, name: str, alias: str) -> None:
        """Make a namespace with its loopback up and marked."""
        place = model.Place(netns=name)
        self._forget(place)
        self._sockets.put(place, netns.create(self._visitor, name, alias))

    def attach_namespace(self, name: str, pid: int, noted: bool = True) -> None:
        """Give the namespace of a process a name, and unless that is the name it had, note that we did.

        If this run has read that namespace, it is still there, even if the process has ended.
        """
        self._forget(model.Place(netns=name))
        self._sockets.with_file(
            model.Place(pid=pid), lambda fd: self._visitor.on_host(lambda: netns.attach(name, fd, noted))
        )

    def delete_namespace(self, name: str) -> None:
        """Remove a name; do nothing if it is already gone."""
        self._forget(model.Place(netns=name))
        self._visitor.on_host(lambda: netns.delete(name))

    def write_file(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Replace a file in one step."""
        self._visitor.on_host(lambda: files.write(path, text, mode))

    def update_file(self, path: str, text: str, mode: int = 0o644, lasting: bool = True) -> None:
        """Give a file another text without replacing it, for processes that have mounted it.

        Without ``lasting`` this does not wait for the disk, and a power cut may lose the text.
        """
        self._visitor.on_host(lambda: files.update(path, text, mode, lasting))

    def rights(self, path: str) -> tuple[int, int] | None:
        """The owner and the mode of a file or a folder; None for anything else, and where there is nothing."""
        return self._visitor.on_host(lambda: files.rights(path))

    def set_rights(self, path: str, mode: int) -> None:
        """Give a file or a folder to root, with this mode."""
        self._visitor.on_host(lambda: files.set_rights(path, mode))

    def remove_file(self, path: str) -> None:
        """Remove a file; do nothing if it is already gone."""
        self._visitor.on_host(lambda: files.remove(path))

    def remove_folder(self, path: str) -> None:
        """Remove a folder if nothing is in it."""
        self._visitor.on_host(lambda: files.remove_folder(path))

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder, empty or not."""
        return self._visitor.on_host(lambda: files.is_folder(path))

    def first_refused(self, writings: t.Sequence[state.Writing]) -> tuple[int, str] | None:
        """The first of these that would fail, by its number, with a sentence about it; asked without any change."""
        from . import writable

        return self._visitor.run(lambda: writable.first_refused(writings))

    def retire_folder(self, path: str) -> None:
        """Remove the folder of a namespace with its files, and the parent folder if that is empty then."""
        self._visitor.on_host(lambda: files.retire(path))

    def read_file(self, path: str) -> str | None:
        """The text of a file, None when there is none."""
        return self._visitor.on_host(lambda: files.read(path))

    def look_file(self, path: str) -> str | None:
        """The text of a file that may not be ours, None if it cannot be read."""
        return self._visitor.on_host(lambda: files.look(path))

    def folder(self, path: str) -> list[str]:
        """The names in a folder; none when it cannot be read."""
        return self._visitor.on_host(lambda: files.names(path))

    def hostname(self) -> str:
        """The name of the host."""
        return os.uname().nodename

    def has_systemd(self) -> bool:
        """Whether systemd is PID 1 here (sd_booted(3))."""
        return self.is_folder("/run/systemd/system")

    def read_units(self, names: t.Sequence[str]) -> t.Mapping[str, Unit]:
        """Units of systemd as they are now."""
        from . import units

        return units.read(self.call, names)

    def unmounted(self, pid: int, mounts: t.Mapping[str, str]) -> t.Sequence[str]:
        """The places where a process with mounts of its own should find a file, but does not."""
        from . import units

        return self._visitor.on_host(lambda: units.unmounted(pid, mounts) if units.has_own_mounts(pid) else [])

    def deleted(self, pid: int, places: t.Iterable[str]) -> t.Sequence[str]:
        """Those of the places where a process sees a file that is deleted."""
        from . import units

        return self._visitor.on_host(lambda: units.deleted(pid, places))

    def keep_byte_code(self, call: Call) -> None:
        """Keep the byte code that this call had to compile for the next one."""
        from . import code_folder

        if not self._is_away:
            code_folder.keep(call)

    def forget_byte_code(self) -> None:
        """Remove all byte code of ours."""
        from . import code_folder

        self._visitor.on_host(code_folder.forget)

    def read_bytes(self, path: str) -> bytes | None:
        """The bytes of a file, None if there is none."""
        return self._visitor.on_host(lambda: files.read_bytes(path))

    def call(self, argv: t.Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        """Run a program of the host; its exit code, output and errors."""
        return self._visitor.on_host(lambda: self._run(argv, text))

    def netfilter(self) -> Netfilter:
        """The packet filter of this host, and the files that other firewalls keep."""
        return Netfilter(self.call, self._visitor.on_host)

    def execute(self, argv: t.Sequence[str], text: str) -> None:
        """Run a command that reads ``text``, or raise CommandError."""
        rc, _output, errors = self.call(argv, text)
        if rc != 0:
            raise CommandError(argv, rc, errors, text)

    def forget_flows(self, flows: t.Iterable[state.Flows]) -> None:
        """Delete the entries that connection tracking has of these flows."""
        from . import conntrack

        here = self.stack(model.HOST)
        conntrack.forget(flows, here.local_addresses(), here.way)

    def port_holder(self, port: model.PublishedPort, leaving: t.Collection[str] = ()) -> str:
        """The process that listens on a port to be published, as a clause; empty if none does, or if it leaves."""
        return self._listening().holder(port, leaving)

    def port_holder_in(self, place: model.Place, port: model.PublishedPort) -> str:
        """The process that listens in a namespace on a port to be published, as a clause; empty if none does."""
        from .processes import Listeners

        return self._sockets.inside(place, lambda: Listeners().holder(port))

    def listening(self, protocol: str, first: int, last: int) -> t.Sequence[model.Listener]:
        """The sockets that listen on ports of the host."""
        return list(self._listening().on(protocol, first, last))

    def _listening(self) -> Listeners:
        if self._listeners is None:
            from .processes import Listeners

            self._listeners = Listeners()
        return self._listeners

    def processes_in(self, inode: int) -> t.Sequence[model.Process]:
        """The processes in a network namespace."""
        from .processes import describe

        pids = self.processes_by_inode().get(inode, ())
        return self._visitor.on_host(lambda: describe(pids))

    def is_native(self, pid: int) -> bool:
        """Whether a process is one of the host itself, and not of a container."""
        from .processes import is_native

        return self._visitor.on_host(lambda: is_native(pid))

    def listeners_in(
        self, places: t.Iterable[model.Place], protocols: t.Sequence[str]
    ) -> t.Mapping[model.Place, t.Mapping[str, t.Sequence[model.Listener]]]:
        """The listeners in these places, without places that the kernel cannot list."""
        from .diag import listeners

        return self._sockets.visit_all(places, lambda opened, fd: listeners(protocols))

    def processes_by_inode(self) -> t.Mapping[int, t.Sequence[int]]:
        """The processes that live in each network namespace, by its inode."""
        if self._processes is None:
            from .processes import processes_by_namespace

            self._processes = self._visitor.on_host(processes_by_namespace)
        return self._processes

    def announce(self, announcements: t.Sequence[state.Announcement]) -> None:
        """Announce addresses to neighbours as soon as the ports of the bridge forward packets."""
        from . import announce

        announce.wait_for_ports([item.port for item in announcements], _ANNOUNCE_SECONDS)
        self._answer(announcements)
        for item in announcements:
            if not item.to_neighbours:
                continue
            addresses = [address.ip for address in item.addresses]
            try:
                self._sockets.inside(item.place, functools.partial(announce.announce, item.link, addresses))
            except OSError as error:
                raise KernelError("announce the addresses of link %s in %s" % (item.link, item.place), error) from error

    def wait_for_addresses(self, links: t.Iterable[state.Awaited]) -> None:
        """Wait, a second at most, until the kernel has made links ready for IPv6."""
        from . import settle

        by_place: dict[model.Place, dict[str, bool]] = {}
        for place, name, asks in links:
            by_place.setdefault(place, {})[name] = asks
        end = time.monotonic() + _READY_SECONDS
        for place, names in by_place.items():
            left = max(0.0, end - time.monotonic())
            with contextlib.suppress(KernelError):  # a process may have ended, and its namespace with it
                self._sockets.inside(place, functools.partial(settle.wait_for_addresses, names, left))

    def _answer(self, announcements: t.Sequence[state.Announcement]) -> None:
        """Answer for neighbours that did not answer the host, as it would wait for a second before it asks again."""
        near = self.stack(model.HOST)
        asked = set(near.unanswered())
        for item in announcements if asked else ():
            for address in item.addresses:
                if (item.bridge, address.ip) in asked:
                    mac_address = self.stack(item.place).links()[item.link].mac_address
                    near.tell_neighbour(item.bridge, address.ip, mac_address)

    def machine_id(self) -> str:
        """The identity of this machine: its machine-id(5), or without one the name of the host."""
        return (self.read_file("/etc/machine-id") or "").strip() or os.uname().nodename

    def _forget(self, place: model.Place) -> None:
        """Forget a place, which may soon be another namespace, and all that was read, as veth pairs may be gone."""
        self._sockets.close(place)
        self._changes.count += 1


def _is_default(entry: state.RouteEntry, version: int) -> bool:
    return entry.route.to.prefixlen == 0 and entry.route.to.version == version
