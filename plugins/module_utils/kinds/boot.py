# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of systemd that makes everything again at boot, and when another firewall has taken our rules away.

With it come the program that it runs, the objects that this program makes, and the rules as they were. Boot is planned
as the last object of a run, and keeps the result of the others. A kind says in ``stored`` what to keep of an object;
an object that is in a file anyway, such as a sysctl, is not kept here.
"""

from __future__ import annotations

import sys
import typing as t

from .. import arguments, engine, marks, model, operations
from ..firewall.choice import ROWS
from ..kernel import archive
from ..kernel.files import unfinished
from ..kernel.own_files import Unreadable
from ..records import dataclass, replace
from ..unit_operations import DaemonReload, UnitVerb
from ..world import World
from . import boot_units, common
from .boot_hold import is_left, lifting
from .boot_record import WAITS, BootRecord, Objects, Unusable, label_of, parse, spell, sum_of
from .boot_unmanaged import UNMANAGED_PATHS, unmanaged, unmanaged_steps
from .forward_record import KEPT, PERSISTENT, load
from .ties import LINK, Thing, ties_of

MAIN = """from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.boot import main

main()
"""
_WITHOUT_USERS = (
    "Rules of yours among ours are not kept, so that a boot, or another firewall's reload, takes them away: %s."
)
_SHOWN = 8  # most of them are in the diff themselves
_SNAPSHOTS = tuple(dict.fromkeys(marks.BOOT_RULES + name for row in ROWS for name in row.files))
_UNIT_FOLDERS = (marks.UNITS, "/run/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/")
# all files of units are read again at once, by DaemonReload
_ENABLE = ("systemctl", "enable", "--no-reload", marks.BOOT_UNIT)
_DISABLE = ("systemctl", "disable", "--no-reload", marks.BOOT_UNIT)
_START = ("systemctl", "--no-block", "start", marks.BOOT_UNIT)
_STOP = ("systemctl", "stop", marks.BOOT_UNIT)
# it waits for the end of this run
_AGAIN = ("systemctl", "--no-block", "reload-or-restart", marks.BOOT_UNIT)


@dataclass(frozen=True)
class Boot:
    """Whether everything is made again at boot."""

    wanted: bool = True
    # Whether this run asks for everything that is wanted with a label, so that nothing else with that label is kept.
    is_whole: t.Callable[[str], bool] = lambda noted: False
    writes_program: bool = False  # only a module that was sent with all kinds can write it


@dataclass(frozen=True)
class _Decision:
    """The old and the new state."""

    old: BootRecord
    new: BootRecord
    files: t.Mapping[str, tuple[str | None, str | None]]  # the files that change: text before and after
    program: tuple[bytes | None, bytes | None]  # before and after; the same twice if it stays
    held: bool  # whether a table still holds the place of our rules of iptables

    @property
    def on(self) -> bool:
        """Whether there is anything to make."""
        return self.new.makes_anything


class BootKind(engine.StepKind[Boot]):
    """The boot unit; a host has one."""

    name = "boot"

    def __init__(self) -> None:
        self._decided: tuple[World, _Decision] | None = None

    def title(self, item: Boot) -> str:
        return "restore at boot"

    def observed(self, item: Boot, world: World) -> engine.Description:
        decided = self._decide(item, world)
        if world.file(boot_units.UNIT_PATH) is None and not decided.old.objects:
            return None
        files = [path for path, (was, unused) in decided.files.items() if was]
        return {**_described(decided.old, decided.new, files), **({"held by": boot_units.HOLD} if decided.held else {})}

    def wanted(self, item: Boot, observed: engine.Description, world: World) -> engine.Description:
        decided = self._decide(item, world)
        if not decided.on:
            return None
        return _described(decided.new, decided.old, [path for path, (unused, now) in decided.files.items() if now])

    def plan(self, item: Boot, state: str, world: World) -> list[operations.Operation]:
        decided = self._decide(item, world)
        enabled = world.units.is_enabled(marks.BOOT_UNIT)
        _warn_of_waiting(decided, world)
        steps = [
            *_hold_steps(decided, world),
            *([] if decided.on else _stop_steps(enabled, world)),
            *_watch_steps(decided, world),
            *(common.folder_steps(marks.BOOT_FOLDER, world) if decided.on else ()),
            *_program_steps(decided, world),
            *_steps_for_files(decided, world),
        ]
        fresh, gone = decided.on and not enabled, not decided.on and bool(decided.files)
        if fresh or gone or any(path.startswith(marks.UNITS) for path in decided.files):
            world.afterwards.append(DaemonReload())
        if fresh:  # it waits for the end of this run, finds nothing to do, and can be reloaded from then on
            world.afterwards.append(operations.RunTool(_START, _STOP))
            world.afterwards.append(operations.RunTool(_ENABLE, _DISABLE))
            world.units.put(marks.BOOT_UNIT, enabled=True, runs=True)
        return steps

    def _decide(self, item: Boot, world: World) -> _Decision:
        if self._decided is None or self._decided[0] is not world:
            self._decided = (world, _decide(item, world))
        return self._decided[1]


# ---- what is decided


def _decide(item: Boot, world: World) -> _Decision:
    old = _load(world)
    objects = _objects(item, old, world) if item.wanted and _can_begin(item, world) else {}
    new = replace(old, objects=objects)
    texts: dict[str, str] = {}
    if new.makes_anything:
        new, texts = _with_rules(new, world)
        texts.update(_units(new, world))
        texts.update(_unmanaged(new, world))
        new = replace(new, sums=_sums(texts, old, world))
        texts[marks.BOOT_OBJECTS] = spell(new)
    files = {path: (world.file(path), texts.get(path)) for path in (*_ours(), *texts)}
    differing = {path: pair for path, pair in files.items() if pair[0] != pair[1] or _is_odd(path, pair[1], world)}
    files = {path: pair for path, pair in differing.items() if _may_write(path, pair, world)}
    return _Decision(old, new, files, _program(item, new.makes_anything, world), is_left(world))


def _is_odd(path: str, wanted: str | None, world: World) -> bool:
    """Whether a file that stays is in other hands."""
    return wanted is not None and world.is_odd(path, _mode(path))


def _mode(path: str) -> int:
    """The mode of a file; the objects may hold what only root should read."""
    return 0o600 if path == marks.BOOT_OBJECTS else 0o644


def _load(world: World) -> BootRecord:
    text = world.file(marks.BOOT_OBJECTS)
    if text is None:
        return BootRecord()
    try:
        return parse(text)
    except Unusable as error:
        world.warn(
            "%s is rewritten with the objects of this run alone, because %s; run the other playbooks of this host"
            " again." % (marks.BOOT_OBJECTS, error)
        )
        return BootRecord()


def _objects(item: Boot, old: BootRecord, world: World) -> Objects:
    """The objects that were kept, with those that this run wants, and without those that it removes."""
    settled: Objects = {}
    gone = set()
    for kind, wanted, state in world.settled:
        key = (kind.name, kind.title(wanted))
        stored = kind.stored(wanted, world) if state == "present" else None
        if stored is None:
            gone.add(key)
        else:
            settled[key] = {**stored.options, WAITS: stored.waits} if stored.waits else stored.options
            gone.discard(key)
    kept = {
        key: options
        for key, options in old.objects.items()
        if key not in gone and key not in settled and not item.is_whole(label_of(options))
    }
    kept.pop(_FORWARDING, None)
    return _with_waiting({**kept, **settled, **_forwarding(world)})


_FORWARDING = ("sysctl_forward", "forwarding")
_WAITING = {
    engine.A_PROCESS: "After a boot, these are missing until the playbook runs again, as they need a process: %s.",
    engine.OTHERS: (
        "These were made by other programs: %%s. If they are not there again when %s starts at boot, run the playbook"
        " after the boot." % marks.BOOT_UNIT
    ),
}


def _forwarding(world: World) -> Objects:
    """The forwarding that cannot be left to sysctl(8) at boot.

    A host must not forward before our rules are there, and a link of ours has no sysctls before it is made.
    """
    text = world.file(PERSISTENT)
    asks = [ask for ask in load(world).asks if ask.persist] if text else []
    if not _is_guarded(text or "") and not any(ask.route_localnet for ask in asks):
        return {}
    return {_FORWARDING: _spell_ask(min(asks, key=lambda ask: ask.asked_by == KEPT))} if asks else {}


def _is_guarded(text: str) -> bool:
    return "\n# not at boot, but with our rules: " in text


def _spell_ask(ask: model.Forwarding) -> arguments.Options:
    return {
        "ipv4": ask.ipv4,
        "ipv6": ask.ipv6,
        "route_localnet": list(ask.route_localnet),
        "forward_policy": ask.policy,
        "asked_by": ask.asked_by,
    }


def _with_waiting(objects: Objects) -> Objects:
    """Let the objects that build on one that waits for a process wait for it as well."""
    found = dict(objects)
    lost: set[Thing] = set()
    waiting = {key: options for key, options in found.items() if options.get(WAITS) == engine.A_PROCESS}
    while waiting:
        found.update((key, {**options, WAITS: engine.A_PROCESS}) for key, options in waiting.items())
        lost.update(thing for (kind, unused), options in waiting.items() for thing in ties_of(kind, options).makes)
        waiting = {
            key: options for key, options in found.items() if WAITS not in options and _has_lost(key, options, lost)
        }
    return found


def _has_lost(key: tuple[str, str], options: arguments.Options, lost: t.Collection[Thing]) -> bool:
    ties = ties_of(key[0], options)
    return any(thing in lost for thing in ties.needs + ties.follows)


def _with_rules(record: BootRecord, world: World) -> tuple[BootRecord, dict[str, str]]:
    """The rules as files. A run that does not use the packet filter leaves these files as they are."""
    if not world.firewall.in_use:
        there = {path: world.file(path) for path in (*record.rules, boot_units.HOLD_PATH)}
        return record, {path: text for path, text in there.items() if text is not None}
    head = marks.file_mark("the rules of this host's networks for when another program removes them")
    found = world.firewall.snapshot([*world.links().values()])
    for item in found:
        if item.trouble:
            world.warn(_WITHOUT_USERS % item.trouble)
    rules = {marks.BOOT_RULES + item.name: list(item.argv) for item in found}
    texts = {marks.BOOT_RULES + item.name: head + item.text for item in found}
    if rules and marks.BOOT_RULES + "nft" not in rules:
        texts[boot_units.HOLD_PATH] = boot_units.hold_text(world.firewall.desired)
    return replace(record, rules=rules, backend=world.firewall.chosen), texts


def _sums(texts: t.Mapping[str, str], old: BootRecord, world: World) -> dict[str, str]:
    """The sums of all files. Rules that this run leaves as they are, damaged or not, keep theirs."""
    left = () if world.firewall.in_use else (*old.rules, boot_units.HOLD_PATH)
    kept = {path: known for path, known in old.sums.items() if path in left}
    there = {path: world.file(path) for path in texts}
    ours = [path for path, text in there.items() if text is None or marks.is_marked(text)]
    return dict(sorted({**{path: sum_of(texts[path]) for path in ours}, **kept}.items()))


def _has_rules(record: BootRecord, world: World) -> bool:
    """Whether all networks will have their rules when this run is done."""
    from .bridge_firewall import BridgeFirewallKind

    found = map(BridgeFirewallKind.describe, world.firewall.policies.values()) if world.firewall.readable() else ()
    kept = [options for (kind, unused), options in record.objects.items() if kind == BridgeFirewallKind.name]
    there = list(found)
    return all(options in there for options in kept)


def _units(record: BootRecord, world: World) -> dict[str, str]:
    """The unit, and the drop-ins for those units of others that are there."""
    found: dict[str, str] = {}
    for name in boot_units.CALLERS:
        theirs = next(filter(None, (world.file(folder + name) for folder in _UNIT_FOLDERS)), None)
        if theirs is not None:
            joint = boot_units.joint_of(theirs, record.rules) if not _is_changed(name, world) else {}
            found[boot_units.drop_in_path(name)] = boot_units.drop_in(
                name, "\nExecReload=" in theirs, record.rules, joint
            )
            found.update(
                {
                    boot_units.joint_path(verb): boot_units.joint_text(words, record.rules)
                    for verb, words in joint.items()
                }
            )
    meets_firewalld = boot_units.drop_in_path(boot_units.FIREWALLD) in found
    if meets_firewalld:
        found.update(boot_units.watch(record.rules))
    found[boot_units.UNIT_PATH] = boot_units.unit(sys.executable or "/usr/bin/python3", record.rules, meets_firewalld)
    return found


def _is_changed(name: str, world: World) -> bool:
    """Whether a unit has a drop-in of others, which may change its commands."""
    folders = ("%s%s.d" % (folder, name) for folder in _UNIT_FOLDERS)
    ours = {marks.BOOT_DROP_IN, marks.DROP_IN}
    return any(set(world.folder(folder)) - ours - set(map(unfinished, ours)) for folder in folders)


def _unmanaged(record: BootRecord, world: World) -> dict[str, str]:
    things = [thing for (kind, unused), options in record.objects.items() for thing in ties_of(kind, options).makes]
    links = {thing.name for thing in things if thing.what == LINK}
    return unmanaged(sorted(links), world)


def _ours() -> list[str]:
    """All our files. By the last one, the next run sees what is still to be done if this one is killed."""
    return [
        *UNMANAGED_PATHS,
        *_SNAPSHOTS,
        boot_units.HOLD_PATH,
        *boot_units.JOINT_PATHS,
        boot_units.UNIT_PATH,
        *boot_units.WATCH_PATHS,
        *map(boot_units.drop_in_path, boot_units.CALLERS),
        marks.BOOT_OBJECTS,
    ]


def _may_write(path: str, pair: tuple[str | None, str | None], world: World) -> bool:
    """Whether we may write a file: it is not there, or it is ours."""
    if pair[0] is None or marks.is_marked(pair[0]):
        return True
    if pair[1] is not None:
        world.warn("%s was not written by this collection, and stays as it is." % path)
    return False


def _can_begin(item: Boot, world: World) -> bool:
    """Whether there is a program for the unit, or will be: one that is not there yet would fail at every boot."""
    if (
        not item.writes_program
        or world.file(boot_units.UNIT_PATH) is not None
        or world.program(marks.BOOT_ENGINE) is not None
    ):
        return True
    try:
        archive.own()
    except Unreadable as error:
        world.warn(
            "The networks of this host are not made again at boot yet, because %s; the next run with the strategy"
            " linear sets that up." % error
        )
        return False
    return True


def _program(item: Boot, on: bool, world: World) -> tuple[bytes | None, bytes | None]:
    there = world.program(marks.BOOT_ENGINE)
    if not on:
        return there, None
    if not item.writes_program:
        return there, there
    try:
        source = archive.own()
    except Unreadable as error:
        world.warn("The program that makes the networks at boot is not brought up to date, because %s." % error)
        return there, there
    odd = world.is_odd(marks.BOOT_ENGINE, 0o644)
    if there is not None and not odd and archive.sums(there) == archive.expected(source, MAIN):
        return there, there
    return None if odd else there, archive.pack(source, MAIN)


# ---- in words and steps


def _described(record: BootRecord, other: BootRecord, files: t.Sequence[str]) -> dict[str, object]:
    """One side of the diff: how much is kept, and what differs from the other side."""
    counted = {"objects": len(record.objects)} if record.objects else {}
    differing = sorted(
        title for (kind, title), options in record.objects.items() if other.objects.get((kind, title)) != options
    )
    return {
        **counted,
        **({"kept": model.first_few(differing, _SHOWN)} if differing else {}),
        **({"files": sorted(files)} if files else {}),
    }


def _hold_steps(decided: _Decision, world: World) -> list[operations.Operation]:
    """Remove the table that holds the place of our rules of iptables, once the rules of all networks are there."""
    if decided.held and (not decided.on or _has_rules(decided.new, world)):
        return [lifting(world)]
    if decided.held:  # the unit brings back the rules of the networks that this run is not about
        world.afterwards.append(operations.RunTool(_AGAIN))
    return []


def _stop_steps(enabled: bool, world: World) -> list[operations.Operation]:
    """Stop and disable the unit, if there is one."""
    if world.file(boot_units.UNIT_PATH) is None:
        return []
    world.units.put(marks.BOOT_UNIT, runs=False, enabled=False)
    return [operations.RunTool(_STOP, _START), *([operations.RunTool(_DISABLE, _ENABLE)] if enabled else [])]


def _watch_steps(decided: _Decision, world: World) -> list[operations.Operation]:
    """Start or stop the unit that notices reloads of firewalld, when its file comes or goes."""
    before, after = decided.files.get(boot_units.WATCH_PATHS[0], ("", ""))
    if after is None:
        world.units.put(marks.FIREWALLD_WATCH, runs=False)
        start, stop = (("systemctl", verb, marks.FIREWALLD_WATCH) for verb in ("start", "stop"))
        return [operations.RunTool(stop, start)]
    if before is None:
        world.afterwards.append(UnitVerb("start", (marks.FIREWALLD_WATCH,), alone=True))
        world.units.put(marks.FIREWALLD_WATCH, runs=True)
    return []


def _program_steps(decided: _Decision, world: World) -> list[operations.Operation]:
    was, now = decided.program
    if was == now:
        return []
    from ..boot_operations import WriteProgram

    return [WriteProgram(marks.BOOT_ENGINE, now, world.put_program(marks.BOOT_ENGINE, now))]


def _steps_for_files(decided: _Decision, world: World) -> list[operations.Operation]:
    steps: list[operations.Operation] = []
    for path, (before, after) in decided.files.items():
        world.put_file(path, after)
        own_folder = path not in (boot_units.UNIT_PATH, *boot_units.WATCH_PATHS)
        if path in UNMANAGED_PATHS:
            steps += unmanaged_steps(path, before, after, world.mend(path, _mode(path)))
        elif after is not None:
            steps += common.write_steps(path, after, before, world, _mode(path), own_folder)
        elif path == marks.BOOT_OBJECTS and not decided.on:
            from ..boot_operations import RemoveLast

            world.afterwards.append(RemoveLast(path, before or "", 0o600, own_folder=True))
        else:
            steps.append(operations.RemoveFile(path, before or "", _mode(path), own_folder))
    return steps


def _warn_of_waiting(decided: _Decision, world: World) -> None:
    """Warn of the objects that a boot cannot make, each once."""
    known = decided.old.waiting()
    waiting = decided.new.waiting()
    for what, text in _WAITING.items():
        new = [key[1] for key in waiting if key not in known and waiting[key] == what]
        if new:
            world.warn(text % model.enumerate_few(new))
