# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that a plan is made of: what they have in common, and those that change rules and files.

A step can say the command that a person would type for it, apply itself, and name the step that takes it back.
Check mode, ``commands`` and the real change all come from one list of steps. The steps for links and namespaces are in
files of their own, which a run that changes no links does not load.
"""

from __future__ import annotations

import shlex
import typing as t

from . import model
from .kernel import state
from .records import dataclass, replace

if t.TYPE_CHECKING:
    from .kernel.host import Host


def inside(place: model.Place, *words: object) -> str:
    """A command that acts in the network namespace of ``place``."""
    command = [str(word) for word in words]
    if place.pid is not None:
        command = ["nsenter", "--target", str(place.pid), "--net", *command]
    elif place.netns is not None and command[0] == "ip":
        command = ["ip", "-n", place.netns, *command[1:]]
    elif place.netns is not None:
        command = ["ip", "netns", "exec", place.netns, *command]
    return shlex.join(command)


def here_document(command: str, text: str) -> str:
    """A command that reads ``text``."""
    return "%s <<'EOF'\n%s\nEOF" % (command, text.rstrip("\n"))


class Operation:
    """One step of a plan."""

    # Whether it comes before the steps that make things, as it frees something that one of them may need.
    clears_the_way = False
    # Its place among the steps that come after all others, when they are done or undone: see World.afterwards.
    settles = 0
    # Whether it may be half done when it fails, so that it must be undone as well.
    halves = False
    # Whether it writes rules by iptables, at which a firewalld that loads its own rules would fail.
    by_iptables = False

    def commands(self) -> list[str]:
        """The commands that a person would type for it."""
        raise NotImplementedError

    def apply(self, host: Host) -> None:
        """Do it, or raise KernelError, CommandError or OSError."""
        raise NotImplementedError

    def writes(self) -> t.Iterable[state.Writing]:
        """The files and sysctls that it writes, so that the plan can ask whether that is possible."""
        return ()

    def headlines(self) -> list[str]:
        """The operation as a line of a diff: the first line of each command."""
        return [command.partition("\n")[0] for command in self.commands()]

    def undo(self) -> list[Operation]:
        """The steps that undo it; empty if nothing can or need be undone."""
        return []

    def joined(self, after: Operation) -> Operation | None:
        """This step and the next one as one step; None if they stay two."""
        return None


@dataclass(frozen=True)
class WriteFile(Operation):
    """Give a file its text, in one step (rename); ``before`` is None when there was none."""

    path: str
    text: str
    before: str | None = None
    mode: int = 0o644
    own_folder: bool = False  # its folder is removed once that is empty
    anew: bool = False  # the file that is there is in other hands

    def commands(self) -> list[str]:
        folder, path = self.path.rpartition("/")[0], shlex.quote(self.path)
        lines = ["rm -f " + path] if self.anew else []
        lines += [shlex.join(["mkdir", "-p", folder]), here_document("cat > " + path, self.text)]
        return lines if self.mode == 0o644 else [*lines, "chmod %04o %s" % (self.mode, path)]

    def writes(self) -> t.Iterable[state.Writing]:
        return (state.Writing(self.path, state.PUT),)

    def headlines(self) -> list[str]:
        return ["write %s" % self.path]

    def apply(self, host: Host) -> None:
        host.write_file(self.path, self.text, self.mode)

    def undo(self) -> list[Operation]:
        if self.before is None:
            return [RemoveFile(self.path, self.text, self.mode, self.own_folder)]
        return [replace(self, text=self.before, before=self.text)]


@dataclass(frozen=True)
class RemoveFile(Operation):
    """Remove a file of ours."""

    path: str
    before: str
    mode: int = 0o644
    own_folder: bool = False

    def commands(self) -> list[str]:
        folder = ["rmdir --ignore-fail-on-non-empty " + shlex.quote(self.path.rpartition("/")[0])]
        return [shlex.join(["rm", "-f", self.path]), *(folder if self.own_folder else [])]

    def writes(self) -> t.Iterable[state.Writing]:
        return (state.Writing(self.path, state.REMOVE),)

    def apply(self, host: Host) -> None:
        host.remove_file(self.path)
        if self.own_folder:
            host.remove_folder(self.path.rpartition("/")[0])

    def undo(self) -> list[Operation]:
        return [WriteFile(self.path, self.before, None, self.mode, own_folder=self.own_folder)]


@dataclass(frozen=True)
class SetRights(Operation):
    """Give files or folders of ours back to root: who may write them decides what root runs and reads."""

    paths: tuple[str, ...]
    mode: int

    def joined(self, after: Operation) -> SetRights | None:
        """All those with the same mode in one step."""
        same = isinstance(after, SetRights) and after.mode == self.mode
        return SetRights(self.paths + t.cast(SetRights, after).paths, self.mode) if same else None

    def commands(self) -> list[str]:
        return [shlex.join(["chown", "root:root", *self.paths]), shlex.join(["chmod", "%04o" % self.mode, *self.paths])]

    def writes(self) -> t.Iterable[state.Writing]:
        return [state.Writing(path, state.OWN) for path in self.paths]

    def headlines(self) -> list[str]:
        return ["chown root:root and chmod %04o %s" % (self.mode, path) for path in self.paths]

    def apply(self, host: Host) -> None:
        for path in self.paths:
            host.set_rights(path, self.mode)


@dataclass(frozen=True)
class Together(Operation):
    """Stands for a change of an object that the step of another object makes, as they share a file."""

    title: str

    def commands(self) -> list[str]:
        return []

    def headlines(self) -> list[str]:
        return []

    def apply(self, host: Host) -> None:
        pass


@dataclass(frozen=True)
class LoadRules(Operation):
    """One transaction of the packet filter: a command that reads its rules from standard input."""

    argv: tuple[str, ...]
    text: str
    reverse: str = ""  # the text that undoes it

    @property
    def by_iptables(self) -> bool:  # type: ignore[override]
        """Whether the command is an iptables-restore of any family and variant."""
        return self.argv[0].endswith("-restore")

    def commands(self) -> list[str]:
        return [here_document(shlex.join(self.argv), self.text)]

    def headlines(self) -> list[str]:
        """Its rules, without the lines that declare tables and chains or end the transaction."""
        frame = ("*", ":", "#", "COMMIT", "add table ")
        return [line for line in self.text.splitlines() if line and not line.startswith(frame)]

    def apply(self, host: Host) -> None:
        host.execute(self.argv, self.text)

    def undo(self) -> list[Operation]:
        return [LoadRules(self.argv, self.reverse, self.text)] if self.reverse else []


@dataclass(frozen=True)
class RunTool(Operation):
    """A command of another program, such as a firewall, and the command that undoes it."""

    argv: tuple[str, ...]
    reverse: tuple[str, ...] = ()

    @property
    def settles(self) -> int:  # type: ignore[override]
        """Commands of systemctl come after systemd has read the files of units."""
        return 3 if self.argv[0] == "systemctl" else 0

    def commands(self) -> list[str]:
        return [shlex.join(self.argv)]

    def apply(self, host: Host) -> None:
        host.execute(self.argv, "")

    def undo(self) -> list[Operation]:
        return [RunTool(self.reverse, self.argv)] if self.reverse else []


@dataclass(frozen=True)
class ForgetFlows(Operation):
    """Drop conntrack entries, since a flow would keep the translation that it began with.

    conntrack(8) can say less than we look at: its commands also drop entries that come back with the next packet.
    """

    flows: tuple[state.Flows, ...]

    def commands(self) -> list[str]:
        return [command for flow in self.flows for command in _forgetting(flow)]

    def apply(self, host: Host) -> None:
        host.forget_flows(self.flows)


def _forgetting(flow: state.Flows) -> t.Iterator[str]:
    """The commands of conntrack(8); it exits with 1 if there was nothing to delete."""
    if not isinstance(flow, state.PortFlows):
        source = flow.masquerade.source
        words = ["--orig-src", str(source), *(["--src-nat"] if isinstance(flow, state.WithdrawnFlows) else [])]
        for protocol in ("udp", "icmp" if source.version == 4 else "icmpv6"):
            yield "%s || true" % shlex.join([*_delete_flows(source.version, protocol), *words])
        return
    words = _delete_flows(flow.version, flow.protocol)
    if flow.host_ip:
        words += ["--orig-dst", flow.host_ip]
    # it takes no range
    for port in range(flow.first, flow.last + 1):
        command = shlex.join([*words, "--orig-port-dst", str(port)])
        if len(flow.sources) > 1:
            command = "for from in %s; do %s --orig-src $from; done" % (" ".join(flow.sources), command)
        elif flow.sources:
            command += " --orig-src %s" % flow.sources[0]
        yield command + " || true"


def _delete_flows(version: int, protocol: str) -> list[str]:
    return ["conntrack", "-D", "-f", "ipv%d" % version, "-p", protocol]
