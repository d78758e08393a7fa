# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of systemd that run in a namespace: a drop-in says so, and a restart moves the service."""

from __future__ import annotations

import typing as t

from .. import arguments, engine, marks, model, operations, parsing
from ..firewall.choice import BACKEND
from ..ownership import Holding, named
from ..records import replace
from ..unit_operations import DaemonReload, MountFor, UnitVerb
from ..world import Claims, World
from . import common
from . import service_files as files

if t.TYPE_CHECKING:
    from ..kernel.units import Unit

# Where a unit runs, in a description.
_INSIDE, _ELSEWHERE, _NOWHERE = "in the endpoint", "elsewhere", "nowhere"
_ANY = marks.endpoint_unit("*")
# A unit that sets up the network of the host would wait for endpoints, and these wait for such units.
_EARLY = ("network-pre.target", "network.target")


class EndpointServiceKind(engine.EndpointKind[model.EndpointService], engine.StepKind[model.EndpointService]):
    """A service in a namespace. The unit itself is not ours."""

    name = "endpoint_service"
    returns = ("services",)
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {
        "unit": {"type": "str", "required": True},
        "netns": {"type": "str"},
        **arguments.SERVICE_REMOVAL,
        **arguments.NETWORK,
        **BACKEND,
    }

    def parse(self, options: arguments.Options) -> model.EndpointService:
        netns = options.get("netns")
        return model.EndpointService(
            unit=parsing.service("unit", options["unit"]),
            netns=parsing.service_namespace("netns", netns) if netns else "",
            removal=options.get("service_removal") or "restart",
            network=parsing.owner(options),
        )

    def check(self, items: t.Sequence[model.EndpointService]) -> None:
        known: dict[str, model.EndpointService] = {}
        for item in items:
            if not item.netns:
                raise model.InvalidRequest("netns: it is needed for unit %s." % item.unit)
            other = known.setdefault(item.unit, item)
            if other.netns != item.netns:
                refuse_two(item.unit, _asker(other), _asker(item))

    def title(self, item: model.EndpointService) -> str:
        return "unit %s" % item.unit

    def claim(self, item: model.EndpointService, state: str, claims: Claims) -> None:
        claims.units.add(item.unit)
        if item.netns:
            claims.units.add(marks.endpoint_unit(item.netns))
        if state == "present":
            claims.services[item.unit] = item.netns

    def holdings(self, item: model.EndpointService, state: str, world: World) -> t.Iterable[Holding]:
        there = world.units.services().get(item.unit)
        yield "Unit %s" % item.unit, "" if there is None else there[1]
        if state == "present":
            yield "Namespace %s" % item.netns, world.label("lo", model.Place(netns=item.netns))

    def resolve(self, item: model.EndpointService, state: str, world: World) -> model.EndpointService:
        """The object with the unit's own name: the request may have another one of its names."""
        if not world.systemd():
            if state == "present":
                raise model.Conflict(
                    "Unit %s cannot run in %s: systemd is not running as PID 1 on this host. Leave it out, or start the"
                    " program yourself, as by 'ip netns exec'." % (item.unit, _asker(item))
                )
            return item
        unit = world.units.planned(item.unit)
        item = replace(item, unit=unit.name) if unit.load == "loaded" else item
        if state == "present" and not marks.name_of(item.network):
            _refuse_service_of_network(item, world)
        return item

    def remark(self, item: model.EndpointService, world: World) -> None:
        sockets = [name for name in world.units.planned(item.unit).triggers if name.endswith(".socket")]
        if any(world.units.planned(name).runs for name in sockets):
            world.warn(
                "Unit %s is started by %s, whose sockets stay on the host although the service runs in"
                " %s; disable that unit if the service is to listen in its endpoint."
                % (item.unit, model.enumerate_few(sockets), item.netns)
            )

    def observed(self, item: model.EndpointService, world: World) -> engine.Description:
        text = world.file(marks.drop_in(item.unit)) or ""
        there = marks.service_of(text)
        if there is None:
            return None
        netns, label = there
        runs = _runs(world.units.planned(item.unit), netns, world) if world.systemd() else _NOWHERE
        return common.compact(unit=item.unit, netns=netns, runs=runs, names=_bound(text), **common.belongs(label))

    def wanted(self, item: model.EndpointService, observed: engine.Description, world: World) -> engine.Description:
        return common.compact(
            unit=item.unit,
            netns=item.netns,
            runs=_runs(world.units.planned(item.unit), item.netns, world),
            names=_bound(_text(item, world)),
            **common.belongs(item.network),
        )

    def plan(self, item: model.EndpointService, state: str, world: World) -> list[operations.Operation]:
        return self._leave(item, world) if state == "absent" else self._enter(item, world)

    # ---- into an endpoint

    def _enter(self, item: model.EndpointService, world: World) -> list[operations.Operation]:
        world.require(model.Place(netns=item.netns))
        unit = world.units.planned(item.unit)
        _refuse(item, unit, world)
        _refuse_another_name(item, unit, world)
        before, text = world.file(marks.drop_in(item.unit)) or "", _text(item, world)
        steps = [*_write(files.TARGET, files.target(), world), *_write(marks.drop_in(item.unit), text, world)]
        if steps or unit.netns != files.path(item.netns) or unit.is_stale:
            world.afterwards.append(DaemonReload())
        world.units.put(unit.name, netns=files.path(item.netns))
        was = marks.service_of(before)
        moved = was is None or was[0] != item.netns
        if not self._run_inside(item, unit, moved, world) and unit.runs:
            self._mend_names(item, unit, text, before, world)
        if was is not None and moved:
            world.afterwards += _release(was[0], world)
        return steps

    @staticmethod
    def _run_inside(item: model.EndpointService, unit: Unit, moved: bool, world: World) -> str:
        """Restart a unit that runs elsewhere; start one that is enabled, and that had no endpoint until now."""
        anchor = marks.endpoint_unit(item.netns)
        place = model.Place(netns=item.netns)
        # a run may have been killed when it had reached the endpoint, and before it started the unit
        found = world.units.found(anchor)
        late = moved or world.is_new(place) or not found.runs or unit.begun < found.reached
        verb = ""
        if unit.runs:
            inside = world.is_same(model.Place(pid=unit.pid), place) if unit.pid else not late
            verb = "" if inside and not world.is_new(place) else "restart"
        elif late and unit.is_enabled:
            verb = "start"
        if verb:
            # an instance that is there is not started again: to undo that would stop its other services
            reached = world.units.planned(anchor).runs
            world.afterwards += [] if reached else [UnitVerb("start", (anchor,), alone=True)]
            world.units.put(anchor, runs=True)
            world.afterwards.append(UnitVerb(verb, (unit.name,)))
            world.units.put(unit.name, runs=True, anew=True)
            world.moved.append({"unit": unit.name, "netns": item.netns, "action": verb + "ed"})
        return verb

    @staticmethod
    def _mend_names(item: model.EndpointService, unit: Unit, text: str, before: str, world: World) -> None:
        """Give a running unit the files of names that it does not have yet, or has lost."""
        there, wanted = set(_bound(before) or ()), _bound(text) or []
        mounts = {"/etc/" + name: files.names_path(item.netns, name) for name in wanted}
        gone = world.units.unmounted(unit, mounts) if mounts else ()
        if gone and unit.takes_mounts:
            pairs = tuple((place, mounts[place]) for place in gone)
            world.afterwards.append(MountFor(unit.name, unit.pid, pairs, tuple(world.units.deleted(unit, gone))))
        elif gone or set(wanted) - there:
            world.warn("Unit %s sees the names of its endpoint only after a restart." % item.unit)

    # ---- out of an endpoint

    def _leave(self, item: model.EndpointService, world: World) -> list[operations.Operation]:
        """The unit leaves before its namespace is removed, so that it never runs in a namespace without a name.

        Its drop-in is removed last. If the run is killed before that, the next one sees by it what is still to be done.
        """
        path = marks.drop_in(item.unit)
        text = world.file(path)
        there = marks.service_of(text or "")
        if text is None or there is None or _is_wanted(item.unit, world):
            return []
        world.put_file(path, None)
        if world.systemd():
            leaving = files.leaving_text(item.unit, *there)
            world.beforehand += [] if text == leaving else [operations.WriteFile(path, leaving, text)]
            world.beforehand += [DaemonReload(), *_release(there[0], world), *self._run_outside(item, there[0], world)]
            world.afterwards.append(DaemonReload())
            text = leaving
        world.afterwards += [*_take_target(world), operations.RemoveFile(path, text, own_folder=True)]
        return []

    @staticmethod
    def _run_outside(item: model.EndpointService, netns: str, world: World) -> list[operations.Operation]:
        unit = world.units.planned(item.unit)
        world.units.put(unit.name, netns="")
        if not unit.runs or (unit.pid and world.is_host(model.Place(pid=unit.pid))):
            return []
        world.units.put(unit.name, runs=item.removal == "restart", anew=True)
        world.moved.append({"unit": unit.name, "netns": "", "action": _DONE[item.removal]})
        if item.removal == "stop":
            world.warn("Unit %s has left %s and is stopped." % (unit.name, netns))
        else:
            world.warn("Unit %s has left %s and is restarted on the host's own network." % (unit.name, netns))
        advice = "if it cannot run on the host's network, set service_removal to stop"
        return [UnitVerb(item.removal, (unit.name,), advice="" if item.removal == "stop" else advice)]


_DONE = {"restart": "restarted", "stop": "stopped"}


def _asker(item: model.EndpointService) -> str:
    """The owner of a request for a unit."""
    return "endpoint %s" % named(item.network, item.endpoint) if item.endpoint else "namespace %s" % item.netns


def _runs(unit: Unit, netns: str, world: World) -> str:
    if not unit.runs:
        return _NOWHERE
    inside = not unit.pid or world.is_same(model.Place(pid=unit.pid), model.Place(netns=netns))
    return _INSIDE if inside else _ELSEWHERE


def _text(item: model.EndpointService, world: World) -> str:
    """The drop-in, with the files of names that there will be.

    systemd would create a mount point in /etc for a file that the host does not have.
    """
    names = [
        name
        for name in model.NAMED_FILES
        if world.file(files.names_path(item.netns, name)) is not None and world.file("/etc/" + name) is not None
    ]
    return files.drop_in_text(item.unit, item.netns, item.network, names, bool(world.folder(files.RESOLVED)))


def _bound(text: str) -> list[str] | None:
    """The files of names that a drop-in mounts."""
    return [name for name in model.NAMED_FILES if ":/etc/%s\n" % name in text] or None


def _write(path: str, text: str, world: World) -> list[operations.Operation]:
    before = world.put_file(path, text)
    if before is not None and not marks.is_marked(before):
        raise model.Conflict("The file %s is not one of this collection; rename it, or remove it." % path)
    return common.write_steps(path, text, before, world, own_folder=path != files.TARGET)


def _is_wanted(unit: str, world: World) -> bool:
    """Whether this run wants a unit in an endpoint, perhaps under another one of its names."""
    wanted = world.claims.services
    return unit in wanted or (world.systemd() and any(world.units.planned(name).name == unit for name in wanted))


def _left(world: World) -> dict[str, str]:
    """The units that stay in namespaces, and the new ones."""
    there = {
        unit: netns
        for unit, (netns, unused) in world.units.services().items()
        if world.file(marks.drop_in(unit)) is not None
    }
    return {**there, **world.claims.services}


def _take_target(world: World) -> list[operations.Operation]:
    text = world.file(files.TARGET)
    if text is None or not marks.is_marked(text) or _left(world):
        return []
    world.put_file(files.TARGET, None)
    return [operations.RemoveFile(files.TARGET, text)]


def _release(netns: str, world: World) -> list[operations.Operation]:
    """The step after which no unit waits for an endpoint any more."""
    anchor, left = marks.endpoint_unit(netns), _left(world)
    stops = netns not in left.values() and world.units.planned(anchor).runs
    if stops:
        world.units.put(anchor, runs=False)
    # with the last unit, also the targets that killed runs have left behind
    names = [*([anchor] if stops else []), *([] if left else [_ANY])]
    return [UnitVerb("stop", tuple(names), alone=True)] if names else []


# ---- refusals


def refuse_two(unit: str, one: str, other: str) -> t.NoReturn:
    """Raise InvalidRequest for a unit that two endpoints ask for."""
    raise model.InvalidRequest(
        "Unit %s is requested by %s and by %s; it can only run in one of them. For another instance of the same"
        " service, make a unit of another name." % (unit, one, other)
    )


def taken(unit: str, netns: str, label: str) -> str:
    """The refusal of a unit that the network of this label has in an endpoint, as the end of a message."""
    text = "unit %s runs in endpoint %s of network %s already; take it out of that network's list first."
    return text % (unit, netns, marks.name_of(label))


def _refuse(item: model.EndpointService, unit: Unit, world: World) -> None:
    """Raise Conflict for a unit that cannot run in an endpoint."""
    if unit.load == "not-found":
        raise model.Conflict("There is no unit %s on this host; install its package, or correct its name." % item.unit)
    if unit.load == "masked":
        raise model.Conflict("Unit %s is masked; run 'systemctl unmask %s' first." % (item.unit, item.unit))
    if unit.load != "loaded":
        raise model.Conflict("systemd cannot load unit %s: %s." % (item.unit, unit.trouble or unit.load))
    if unit.netns is None:
        raise model.Conflict(
            "Unit %s cannot run in an endpoint: this host's systemd does not know NetworkNamespacePath, which"
            " came with version 242; use 'ip netns exec' in a unit of your own." % item.unit
        )
    if set(unit.before) & set(_EARLY) or unit.name == marks.BOOT_UNIT:
        raise model.Conflict(
            "Unit %s sets up the host's network, which endpoints wait for; it cannot run in one of them." % item.unit
        )
    if unit.kind == "oneshot" and not unit.pid and any(part.endswith(".service") for part in unit.parts):
        raise model.Conflict(
            "Unit %s runs nothing itself, but stands for others; name these: %s."
            % (item.unit, model.enumerate_few([part for part in unit.parts if part.endswith(".service")]))
        )
    _refuse_namespaces_of_others(item, unit, world)


def _refuse_service_of_network(item: model.EndpointService, world: World) -> None:
    """Raise Conflict when a request without a network would take a unit from an endpoint of one in its project."""
    netns, label = world.units.services().get(item.unit, (item.netns, ""))
    same = marks.name_of(label) and marks.project_of(label) == marks.project_of(item.network)
    if same and netns != item.netns and world.has_namespace(netns):
        raise model.Conflict(model.capitalized(taken(item.unit, netns, label)))


def _refuse_another_name(item: model.EndpointService, unit: Unit, world: World) -> None:
    """Raise Conflict when two namespaces ask for one unit by different names of it."""
    for name, netns in world.claims.services.items():
        if netns != item.netns and world.units.planned(name).name == unit.name:
            raise model.Conflict(
                "Unit %s is requested by namespace %s, and as %s by namespace %s; it can only run in one of them."
                % (item.unit, item.netns, name, netns)
            )


def _refuse_namespaces_of_others(item: model.EndpointService, unit: Unit, world: World) -> None:
    there = world.units.services().get(unit.name)
    known = {files.path(item.netns), files.path(there[0] if there else item.netns)}
    says = _who_says("NetworkNamespacePath=", unit, world) if unit.netns and unit.netns not in known else ""
    if says:  # otherwise a run was killed before systemd had read that we removed the setting
        raise model.Conflict(
            "Unit %s runs in the namespace %s by %s; remove that setting first." % (item.unit, unit.netns, says)
        )
    if unit.joins:
        raise model.Conflict(
            "Unit %s shares the namespaces of %s by %s; remove that setting first."
            % (
                item.unit,
                model.enumerate_few(unit.joins),
                _who_says("JoinsNamespaceOf=", unit, world) or "one of its files",
            )
        )


def _who_says(setting: str, unit: Unit, world: World) -> str:
    """The last file of a unit with this setting, as that one counts; empty if only our own file has it, or none."""
    ours = marks.drop_in(unit.name)
    found = [path for path in unit.files if path != ours and setting in (world.file(path) or "")]
    return found[-1] if found else ""
