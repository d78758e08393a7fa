# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the engine for dockerless-network.service, without Ansible and without a controller.

It makes what the last run has kept. If one network cannot be made as the host is now, the others are still made.
"""

from __future__ import annotations

import sys
import typing as t

from . import arguments, engine, marks, model
from .firewall import backend
from .firewall.choice import package_of
from .firewall.session import FirewallSession
from .kernel.errors import HostError
from .kernel.host import Host
from .kernel.programs import call, find
from .kinds.absent_links import absent_links
from .kinds.boot_hold import is_left, lifting
from .kinds.boot_record import WAITS, BootRecord, Objects, Unusable, label_of, parse
from .kinds.forward_record import KEPT, load
from .kinds.registry import ROWS
from .kinds.ties import LINK, NAMESPACE, Thing, ties_of
from .world import World

_FAILURES = (model.InvalidRequest, model.Conflict, engine.StepFailed, HostError, backend.FirewallError, OSError)
# Another run may be making a thousand endpoints.
_LOCK_SECONDS = 600
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FORWARDING = "sysctl_forward"


def main() -> t.NoReturn:
    """The main function of the unit; the exit code is 0 if everything could be made."""
    try:
        with Host(_run_tool) as host, host.lock(_LOCK_SECONDS, marks.BOOT_UNIT):
            text = host.read_file(marks.BOOT_OBJECTS)
            record = BootRecord() if text is None else parse(text)
            lines, trouble = restore(record, host, lambda: FirewallSession(host.netfilter(), record.backend))
    except Unusable as error:
        lines, trouble = [], "%s: %s" % (marks.BOOT_OBJECTS, error)
    except _FAILURES as error:
        lines, trouble = [], str(error)
    for line in lines:
        sys.stdout.write(line + "\n")
    if trouble:
        sys.stderr.write(trouble + "\n")
    raise SystemExit(bool(trouble))


def restore(record: BootRecord, host: Host, session: t.Callable[[], FirewallSession]) -> tuple[list[str], str]:
    """Make what is on record; returns lines for the journal, and what went wrong."""
    there, waiting = _split(record, host)
    lines = []
    if waiting:
        titles = [title for unused, title in waiting]
        lines.append("Waiting for other programs, or for their processes: %s." % model.enumerate_few(titles))
    # the unit has loaded all rules as they were, and so those of the waiting objects as well
    closing = _closing(waiting)
    try:
        return [*_make(there, closing, World(host, session())), *lines], ""
    except _FAILURES as error:
        groups = _by_network(there)
        if len(groups) < 2:
            return lines, str(error)
    troubles = []
    for group in groups:
        try:
            lines = [*_make(group, closing, World(host, session())), *lines]
        except _FAILURES as error:
            troubles.append(str(error))
    return list(dict.fromkeys(lines)), "\n".join(troubles)


def _make(there: Objects, closing: t.Sequence[engine.AnyRequest], world: World) -> list[str]:
    """One run of the engine; returns a line about it."""
    world.restoring = True
    if is_left(world):
        world.afterwards.append(lifting(world))
    requests = _requests(there, world)
    outcome = engine.run([*closing, *requests], world)
    return ["%d objects, %d commands." % (len(requests), len(outcome.commands)), *_absent(world)]


def _absent(world: World) -> list[str]:
    """A line for each interface that the rules name and that is not there; it may come later."""
    if not world.firewall.is_open:
        return []
    return ["There is no interface %s." % text for text in absent_links(world.firewall.desired, world.links())]


def _closing(waiting: Objects) -> list[engine.AnyRequest]:
    """The requests to take away the rules of objects that wait."""
    found = [(kind, options) for kind, options in _by_kind(waiting) if isinstance(kind, engine.RuleKind)]
    return [engine.Request(kind, kind.parse(item), "absent") for kind, options in found for item in options]


def _requests(there: Objects, world: World) -> list[engine.AnyRequest]:
    found: list[engine.AnyRequest] = []
    for kind, options in _by_kind(there):
        if kind.name == _FORWARDING:
            found.append(_forwarding(options[0], world, kind))
        else:
            found += [engine.Request(kind, kind.parse(item)) for item in options]
    return found


def _by_kind(objects: Objects) -> t.Iterator[tuple[engine.AnyKind, list[arguments.Options]]]:
    """The kinds of these objects, in the order in which objects are made, each with the options of its own."""
    for row in ROWS:
        options = [options for (kind, unused), options in objects.items() if kind == row.name]
        if options:
            yield row.load(), options


def _forwarding(
    options: arguments.Options, world: World, kind: engine.Kind[model.Forwarding]
) -> engine.Request[model.Forwarding]:
    """One of the requests in the file of sysctl(8): to repeat any of them applies all of them."""
    asks = [ask for ask in load(world).asks if ask.asked_by != KEPT]
    if asks:
        return engine.Request(kind, asks[0])
    if options["asked_by"] == KEPT:
        return engine.Request(kind, model.Forwarding(asked_by=KEPT), "absent")  # checks what is still needed
    return engine.Request(kind, kind.parse(options))


def _split(record: BootRecord, host: Host) -> tuple[Objects, Objects]:
    """The objects that can be made as the host is now, and those that have to wait."""
    needs = _Needs(record, host)
    there = {key: options for key, options in record.objects.items() if needs.met(key[0], options)}
    return there, {key: options for key, options in record.objects.items() if key not in there}


class _Needs:
    """Checks whether what an object needs is there. Unless this is a boot, the process that it waits for may exist."""

    def __init__(self, record: BootRecord, host: Host) -> None:
        self._here = {Thing(LINK, name) for name in host.stack(model.HOST).links()}
        self._here.update(Thing(NAMESPACE, name) for name, entry in host.namespaces().items() if entry.inode)
        self._coming: set[Thing] = set()
        for (kind, unused), options in record.objects.items():
            makes = ties_of(kind, options).makes
            if not self._here.isdisjoint(makes):  # a link that is here has its addresses as well
                self._here.update(makes)
            if WAITS not in options:
                self._coming.update(makes)

    def met(self, kind: str, options: arguments.Options) -> bool:
        """Whether an object can be made."""
        ties = ties_of(kind, options)
        if not all(thing in self._here or thing in self._coming for thing in ties.needs):
            return False
        return WAITS not in options or self._here.issuperset(ties.follows)


def _by_network(there: Objects) -> list[Objects]:
    """The same objects in a group for each network. Forwarding comes last, when the rules are there."""
    groups: dict[str, Objects] = {}
    for key, options in there.items():
        groups.setdefault("forwarding" if key[0] == _FORWARDING else "network " + label_of(options), {})[key] = options
    return [groups[name] for name in sorted(groups, key=lambda name: (name == "forwarding", name))]


def _run_tool(argv: t.Sequence[str], text: str | None) -> tuple[int, str, str]:
    path = find(argv[0], _PATH)
    if path is None:
        raise backend.NoProgram(
            "There is no program %s on this host; install the package %s." % (argv[0], package_of(argv[0]))
        )
    return call([path, *argv[1:]], text)
