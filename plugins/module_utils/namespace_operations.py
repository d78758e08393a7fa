# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change namespaces and their sysctls."""

from __future__ import annotations

import shlex
import typing as t

from . import marks, model, operations
from .kernel import state
from .kernel.sockets import path_of
from .kernel.sysctl import sysctl_name
from .records import dataclass

if t.TYPE_CHECKING:
    from .kernel.host import Host


@dataclass(frozen=True)
class CreateNamespace(operations.Operation):
    """Make a namespace that does not forward. Its loopback is up and marked before its name appears.

    If the host forwards, so would a new namespace, and with ends in two networks it would connect them.
    """

    name: str
    alias: str

    def commands(self) -> list[str]:
        place = model.Place(netns=self.name)
        return [
            shlex.join(["ip", "netns", "add", self.name]),
            operations.inside(place, "ip", "link", "set", "lo", "group", marks.LINK_GROUP, "alias", self.alias, "up"),
            operations.inside(place, "sysctl", "-w", "net.ipv4.ip_forward=0"),
        ]

    def writes(self) -> t.Iterable[state.Writing]:
        forwarding = state.Writing(model.FORWARDING[4], state.CLOSE)
        return state.Writing(path_of(model.Place(netns=self.name)), state.NAME), forwarding

    def apply(self, host: Host) -> None:
        host.create_namespace(self.name, self.alias)

    def undo(self) -> list[operations.Operation]:
        return [DeleteNamespace(self.name)]


@dataclass(frozen=True)
class AttachNamespace(operations.Operation):
    """Give the namespace of a process a name, and note that the name is ours if the namespace itself is not."""

    name: str
    pid: int
    noted: bool = True
    # what is in the way may be in this very namespace, and is removed there by its name
    clears_the_way = True

    def commands(self) -> list[str]:
        attachment = shlex.join(["ip", "netns", "attach", self.name, str(self.pid)])
        if not self.noted:
            return [attachment]
        return [
            attachment,
            "mkdir -p %s" % marks.NETNS_RECORDS,
            "stat -Lc %%i /run/netns/%s > %s/%s" % (self.name, marks.NETNS_RECORDS, self.name),
        ]

    def writes(self) -> t.Iterable[state.Writing]:
        yield state.Writing(path_of(model.Place(netns=self.name)), state.NAME)
        if self.noted:
            yield state.Writing("%s/%s" % (marks.NETNS_RECORDS, self.name), state.PUT)

    def apply(self, host: Host) -> None:
        host.attach_namespace(self.name, self.pid, self.noted)

    def undo(self) -> list[operations.Operation]:
        return [DeleteNamespace(self.name, attached=self.noted)]


@dataclass(frozen=True)
class DeleteNamespace(operations.Operation):
    """Remove a name. The namespace itself exists until its last process ends."""

    name: str
    attached: bool = False
    again: tuple[operations.Operation, ...] = ()  # the steps that make it again
    clears_the_way = True

    def commands(self) -> list[str]:
        deletion = shlex.join(["ip", "netns", "delete", self.name])
        if not self.attached:
            return [deletion]
        records = marks.NETNS_RECORDS
        forgetting = "rm -f %s/%s; rmdir -p --ignore-fail-on-non-empty %s" % (records, self.name, records)
        return [deletion, forgetting]

    def writes(self) -> t.Iterable[state.Writing]:
        yield state.Writing(path_of(model.Place(netns=self.name)), state.UNNAME)
        yield state.Writing("%s/%s" % (marks.NETNS_RECORDS, self.name), state.REMOVE)

    def apply(self, host: Host) -> None:
        host.delete_namespace(self.name)

    def undo(self) -> list[operations.Operation]:
        return list(self.again)


@dataclass(frozen=True)
class NoteSysctls(operations.Operation):
    """Note the values of keys that are about to be set, for the time when nobody asks for them any more."""

    name: str
    place: model.Place
    values: tuple[tuple[str, str], ...]
    kept: tuple[tuple[str, str], ...]  # keys that are noted already, and what they are set to now
    before: str | None  # the text of the file

    def commands(self) -> list[str]:
        names = [sysctl_name(key) for key, unused in self.values]
        look = operations.inside(self.place, "sysctl", *names)
        return [
            "mkdir -p %s" % marks.NETNS_SYSCTLS,
            "%s > %s" % (look if names else "true", marks.notes_path(self.name)),
        ]

    def writes(self) -> t.Iterable[state.Writing]:
        return (state.Writing(marks.notes_path(self.name), state.PUT),)

    def headlines(self) -> list[str]:
        return ["note sysctls of %s" % self.name]

    def apply(self, host: Host) -> None:
        path, stack = marks.notes_path(self.name), host.stack(self.place)
        there = marks.read_notes(host.read_file(path))
        notes = {key: (there[key][0], value) for key, value in self.kept if key in there}
        notes.update((key, (" ".join((stack.read_sysctl(key) or "").split()), value)) for key, value in self.values)
        host.write_file(path, "".join("\t".join((key, *pair)) + "\n" for key, pair in sorted(notes.items())))

    def undo(self) -> list[operations.Operation]:
        path = marks.notes_path(self.name)
        if self.before is None:
            return [operations.RemoveFile(path, "", own_folder=True)]
        return [operations.WriteFile(path, self.before, "", own_folder=True)]


@dataclass(frozen=True)
class SetSysctl(operations.Operation):
    """Write a key below net/, given with slashes; ``before`` is None if there is no value to go back to."""

    place: model.Place
    key: str
    value: str
    before: str | None = None

    def commands(self) -> list[str]:
        return [operations.inside(self.place, "sysctl", "-w", "%s=%s" % (sysctl_name(self.key), self.value))]

    def writes(self) -> t.Iterable[state.Writing]:
        return (state.Writing(self.key, state.SET),)

    def apply(self, host: Host) -> None:
        host.stack(self.place).write_sysctl(self.key, self.value)

    def undo(self) -> list[operations.Operation]:
        return [] if self.before is None else [SetSysctl(self.place, self.key, self.before, self.value)]
