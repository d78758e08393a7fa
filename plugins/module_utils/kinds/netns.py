# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named network namespaces."""

from __future__ import annotations

import typing as t

from .. import arguments, engine, marks, model, parsing
from ..firewall.choice import BACKEND
from ..kernel.sockets import path_of
from ..kernel.state import Link, NamespaceEntry
from ..kernel.sysctl import sysctl_name
from ..ownership import Holding
from ..records import replace
from ..world import World, is_ours, is_unmarked, link_of, unmarked
from . import common

if t.TYPE_CHECKING:
    from .. import operations


_Pairs = t.Sequence[tuple[str, str]]


class NetnsKind(engine.EndpointKind[model.Namespace], engine.StepKind[model.Namespace]):
    """A namespace: made, or named after a process that lives in it."""

    name = "netns"
    returns = ("recreated",)
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {
        "name": {"type": "str", "required": True},
        "pid": {"type": "int"},
        "sysctls": {"type": "dict"},
        **arguments.NETWORK,
        **BACKEND,
    }

    def parse(self, options: arguments.Options) -> model.Namespace:
        return model.Namespace(
            name=parsing.namespace_name("name", options["name"]),
            pid=parsing.pid("pid", options.get("pid")),
            sysctls=parsing.sysctls("sysctls", options.get("sysctls")),
            network=parsing.owner(options),
        )

    def check(self, items: t.Sequence[model.Namespace]) -> None:
        common.refuse_repeated("Namespace %s" % item.name for item in items)

    def title(self, item: model.Namespace) -> str:
        return "namespace %s" % item.name

    def holdings(self, item: model.Namespace, state: str, world: World) -> t.Iterable[Holding]:
        return [("Namespace %s" % item.name, world.label("lo", model.Place(netns=item.name)))]

    def stored(self, item: model.Namespace, world: World) -> engine.Stored:
        options = common.compact(name=item.name, sysctls=dict(item.sysctls) or None, **common.belongs(item.network))
        if item.pid is not None or world.is_named_by_us(item.name):
            return engine.Stored(options, engine.A_PROCESS)
        lo = world.links(model.Place(netns=item.name)).get("lo")
        return engine.Stored(options, "" if lo is None or is_made_by_us(lo) else engine.OTHERS)

    def observed(self, item: model.Namespace, world: World) -> engine.Description:
        if not world.has_namespace(item.name):
            return None
        place = model.Place(netns=item.name)
        keys = {**dict(item.sysctls), **_leaving(item, place, world)}
        values = {key: world.sysctl(place, key) for key in keys}
        lo = world.links(place).get("lo")
        return common.compact(
            name=item.name,
            lo="up" if lo is None or lo.up else "down",
            sysctls={key: value for key, value in values.items() if value is not None} or None,
            **common.belongs(marks.label_of(lo.alias) if lo is not None and is_made_by_us(lo) else ""),
        )

    def wanted(self, item: model.Namespace, observed: engine.Description, world: World) -> engine.Description:
        lo = world.links(model.Place(netns=item.name)).get("lo")
        ours = item.pid is None and (lo is None or is_made_by_us(lo))
        return common.compact(
            name=item.name,
            lo="up",
            sysctls=dict(item.sysctls) or None,
            **common.belongs(item.network if ours else ""),
        )

    def conclude(self, item: model.Namespace, world: World) -> None:
        _refuse_without_ipv6(item, world)
        again = _lost_again(item, world)
        _try_values(item, bool(again), world)
        for key, value in again:
            world.put_sysctl(model.Place(netns=item.name), key, value)
            world.afterwards += common.new_sysctls(model.Place(netns=item.name), [(key, value)])

    def plan(self, item: model.Namespace, state: str, world: World) -> list[operations.Operation]:
        entry = world.namespace(item.name)
        if state == "absent":
            return self._plan_absent(item, entry, world)
        if entry is None or entry.inode == 0:
            return self._plan_new(item, world)
        if item.pid is not None:
            return self._plan_attached(item, entry, world)
        lo = world.links(model.Place(netns=item.name)).get("lo")
        if lo is not None and is_unmarked(lo):
            raise model.Conflict("Namespace %s cannot be used: %s" % (item.name, unmarked(lo, item.name)))
        _tell_who_is_elsewhere(item.name, world)
        return self._plan_there(item, world)

    def _plan_new(self, item: model.Namespace, world: World) -> list[operations.Operation]:
        from ..namespace_operations import AttachNamespace, CreateNamespace

        _refuse_blocked(item, world)
        place = model.Place(netns=item.name)
        if item.pid is None:
            old = world.lost(item.name)
            living = _living(item, old, world)
            if living is not None:
                return self._plan_return(item, living, world)
            _refuse_unknown(model.HOST, item, world)
            _tell_what_is_left(item.name, old, world)
            world.make_namespace(item.name)
            steps: list[operations.Operation] = [
                CreateNamespace(item.name, marks.namespace_alias(item.network, item.name))
            ]
        else:
            place = model.Place(pid=item.pid)
            world.require(place)
            _refuse_unknown(place, item, world)
            steps = [AttachNamespace(item.name, item.pid), *self._loopback(place, world)]
            world.attach_namespace(item.name, place)
        return steps + _sysctl_steps(place, item, world, fresh=True)

    def _plan_return(self, item: model.Namespace, living: model.Place, world: World) -> list[operations.Operation]:
        """Give a namespace that has lost its name the name back. Everything inside stays, and no connection breaks."""
        from ..namespace_operations import AttachNamespace

        world.attach_namespace(item.name, living)
        return [AttachNamespace(item.name, living.pid or 0, noted=False), *self._plan_there(item, world)]

    @staticmethod
    def _loopback(place: model.Place, world: World) -> list[operations.Operation]:
        lo = world.links(place).get("lo")
        return [] if lo is None else _loopback_steps(place, lo, replace(lo, up=True), world)

    def _plan_attached(self, item: model.Namespace, entry: NamespaceEntry, world: World) -> list[operations.Operation]:
        """The steps for a name that is there: it must mean the namespace of that process, or have been given by us."""
        pid = item.pid or 0
        target = model.Place(pid=pid)
        world.require(target)
        if world.is_same(model.Place(netns=item.name), target):
            _refuse_unknown(target, item, world)
            return self._loopback(target, world) + _sysctl_steps(target, item, world)
        if entry.recorded == 0:
            raise model.Conflict(
                "The name %s is taken by another namespace than that of process %d; choose another name, or remove it"
                " with state: absent or 'ip netns delete %s'." % (item.name, pid, item.name)
            )
        from ..namespace_operations import AttachNamespace, DeleteNamespace

        steps: list[operations.Operation] = [DeleteNamespace(item.name, attached=True)]
        steps += [AttachNamespace(item.name, pid), *self._loopback(target, world)]
        world.attach_namespace(item.name, target)
        return steps + _sysctl_steps(target, item, world, fresh=True)

    def _plan_there(self, item: model.Namespace, world: World) -> list[operations.Operation]:
        place = model.Place(netns=item.name)
        _refuse_unknown(place, item, world)
        lo = world.links(place)["lo"]
        alias = marks.namespace_alias(item.network, item.name) if is_made_by_us(lo) else lo.alias
        steps = _loopback_steps(place, lo, replace(lo, up=True, alias=alias), world)
        if is_made_by_us(lo):
            steps += common.restore_rules(self.title(item), place, model.VERSIONS, world)
            steps += common.restore_local(place, lo, world)
        return steps + _sysctl_steps(place, item, world)

    def _plan_absent(
        self, item: model.Namespace, entry: NamespaceEntry | None, world: World
    ) -> list[operations.Operation]:
        if entry is None:
            lost = [place for place in world.lost(item.name) if _belongs_here(item, place, world)]
            return [step for place in lost for step in _removed_steps(place, world)]
        if entry.blocked:
            world.warn("%s is not the file of a network namespace, and stays." % path_of(model.Place(netns=item.name)))
            return []
        attached = world.is_named_by_us(item.name)
        if entry.inode and not attached:
            lo = world.links(model.Place(netns=item.name)).get("lo")
            if lo is not None and is_unmarked(lo):
                world.warn("Namespace %s stays: %s" % (item.name, unmarked(lo, item.name)))
                return []
            if lo is None or not is_made_by_us(lo):
                world.warn("Namespace %s was not made by this collection, and stays." % item.name)
                return []
        from ..namespace_operations import CreateNamespace, DeleteNamespace

        steps = [] if attached else self._empty(item.name, world)
        again: list[operations.Operation] = []
        if entry.inode and not attached:
            again.append(CreateNamespace(item.name, world.links(model.Place(netns=item.name))["lo"].alias))
        world.drop_namespace(item.name)
        return [*steps, DeleteNamespace(item.name, attached, tuple(again)), *_forget_steps(item.name, world)]

    @staticmethod
    def _empty(name: str, world: World) -> list[operations.Operation]:
        """The steps that disconnect a namespace, as it lives on with its links while there are processes in it."""
        if not world.processes_in(model.Place(netns=name)):
            return []  # the kernel takes the veth pairs with it
        left = world.left_in(model.Place(netns=name))
        if left:
            from .left_behind import in_removed

            world.warn(in_removed(name, left, world))
        from .. import link_operations
        from .veth import remake

        place = model.Place(netns=name)
        found = [world.near_end(place, link) for link in world.links(place).values() if is_ours(link)]
        ends = [link for link in found if link is not None and is_ours(link)]
        steps: list[operations.Operation] = [
            link_operations.DeleteLinks((link.name,), remake(link, world)) for link in ends
        ]
        for link in ends:
            world.drop_link(link.name)
        return steps + (_removed_steps(place, world) if left else [])


def _refuse_blocked(item: model.Namespace, world: World) -> None:
    entry = world.namespace(item.name)
    if entry is not None and entry.blocked:
        raise model.Conflict(
            "Namespace %s cannot be made: %s is not the file of a network namespace; remove it."
            % (item.name, path_of(model.Place(netns=item.name)))
        )


def _living(item: model.Namespace, lost: t.Sequence[model.Place], world: World) -> model.Place | None:
    """The namespace that gets its name back, rather one with a veth pair of ours than one without; None if none does.

    The pair may have been deleted, or renamed, and so be about to go. But no namespace comes back that a run removed.
    """
    found = [place for place in lost if not _was_removed(place, world)]
    plugged = (place for place in found if world.is_plugged(place))
    return next(plugged, None) or next((place for place in found if _belongs_here(item, place, world)), None)


def _was_removed(place: model.Place, world: World) -> bool:
    return marks.is_removed(world.links(place)["lo"].alias)


def _belongs_here(item: model.Namespace, place: model.Place, world: World) -> bool:
    """Whether a lost namespace is of the same project and of this host, not of a container or another host on it."""
    label = marks.label_of(world.links(place)["lo"].alias)
    is_own = not label or marks.project_of(label) == marks.project_of(item.network)
    return is_own and world.is_native(place) and not _is_plugged_elsewhere(place, world)


def _is_plugged_elsewhere(place: model.Place, world: World) -> bool:
    """Whether a veth pair of ours leads from a namespace to another host than this one."""
    ends = [link for link in world.links(place).values() if link.kind == "veth" and is_ours(link)]
    return any(world.near_end(place, link) is None for link in ends)


def _removed_steps(place: model.Place, world: World) -> list[operations.Operation]:
    """Note on a namespace which processes keep alive that it was removed."""
    lo = world.links(place).get("lo")
    return [] if lo is None else _loopback_steps(place, lo, replace(lo, alias=marks.removed_alias(lo.alias)), world)


def _tell_what_is_left(name: str, lost: t.Sequence[model.Place], world: World) -> None:
    """Warn that a namespace is made again, and name the processes that stay in the old one."""
    # a container in which this collection runs may have namespaces of the same names
    old = [place for place in lost if world.is_native(place)]
    veths = [world.links().get(veth) for veth in world.claims.leading.get(name, ())]
    cut_off = [veth for veth in veths if veth is not None and is_ours(veth) and world.peer_of(veth) is None]
    if not old and not cut_off:
        return
    if old:
        _tell_who_stays(name, old, "was created again", world)
        return
    world.recreated.append({"name": name, "processes": []})
    world.warn("Namespace %s was created again; the old one cannot be reached." % name)


def _tell_who_is_elsewhere(name: str, world: World) -> None:
    """Warn if others have given the name of a namespace of ours, which still lives, to another one."""
    lo = world.links(model.Place(netns=name)).get("lo")
    if lo is None or is_made_by_us(lo):
        return  # spares a look at all processes
    old = [place for place in world.lost(name) if world.is_native(place) and world.is_plugged(place)]
    if old:
        _tell_who_stays(name, old, "has been replaced by one that others made", world)


def _tell_who_stays(name: str, old: t.Sequence[model.Place], how: str, world: World) -> None:
    left = [process for place in old for process in world.left_in(place)]
    world.recreated.append({"name": name, "processes": [vars(process) for process in left]})
    if left:
        from .left_behind import in_old

        world.warn(in_old(name, how, left, world))


def _sysctl_steps(
    place: model.Place, item: model.Namespace, world: World, fresh: bool = False
) -> list[operations.Operation]:
    """Keys of a link that is still to be made come last, as that link does, and those that other changes undo.

    Raises Conflict if nothing makes it.
    """
    links, sysctls = world.links(place), _in_order(item, place, world)
    missing = [pair for pair in sysctls if link_of(pair[0]) and link_of(pair[0]) not in ("lo", *links)]
    for key, unused in missing:
        if world.claims.routes.isdisjoint((there, link_of(key)) for there in (place, model.Place(netns=item.name))):
            raise model.Conflict(
                "Namespace %s: the sysctl %s belongs to interface %s, which is not there; make the interface first."
                % (item.name, sysctl_name(key), link_of(key))
            )
    differing = {key for key, value in sysctls if _value(place, key, world) != value}
    late = [pair for pair in sysctls if pair in missing or _waits(pair[0], differing)]
    if sysctls and not world.restoring:
        world.untried[item.name] = _untried(sysctls, place, world)
    early = [pair for pair in sysctls if pair not in late]
    steps = [*_restore_steps(place, item, world, fresh), *_note_steps(place, item, early, world, fresh)]
    steps += common.sysctl_steps(place, early, world)
    if late:
        noted = _note_steps(place, item, late, world, fresh)
        for key, value in late:
            world.put_sysctl(place, key, value)
        world.afterwards += [*noted, *common.new_sysctls(place, late)]
    return steps


_FIRST_FREE, _FIRST_OF_ALL = "net/ipv4/ip_unprivileged_port_start", "1024"
_IPV6, _NO_IPV6 = "net/ipv6/", "net/ipv6/conf/all/disable_ipv6"
# The kernel sets this one whenever the link gets another MTU.
_IPV6_MTU = "net/ipv6/conf/%s/mtu"
# The kernel compares these two with one another.
_COMPARED = (_FIRST_FREE, "net/ipv4/ip_local_port_range")


def _in_order(item: model.Namespace, place: model.Place, world: World) -> list[tuple[str, str]]:
    """The sysctls in an order that the kernel takes: its range of ports may not begin below those that need root."""
    first = dict(item.sysctls).get(_FIRST_FREE, "")
    if not first.isdigit() or int(first) >= int(world.sysctl(place, _FIRST_FREE) or _FIRST_OF_ALL):
        return list(item.sysctls)
    return sorted(item.sysctls, key=lambda pair: pair[0] != _FIRST_FREE)


def _value(place: model.Place, key: str, world: World) -> str | None:
    found = world.sysctl(place, key)
    return None if found is None else " ".join(found.split())


def _waits(key: str, differing: t.Container[str]) -> bool:
    """Whether a key of a link is to be set when the link has its MTU, which is the most that the key takes, or after
    the same key for all links or for new ones, from which the kernel may take its value."""
    link = link_of(key)
    if not link:
        return False
    broad = (key.replace("/%s/" % link, "/%s/" % others) for others in ("all", "default"))
    return (key == _IPV6_MTU % link and key in differing) or any(other in differing for other in broad)


def _untried(sysctls: _Pairs, place: model.Place, world: World) -> tuple[_Pairs, _Pairs, bool]:
    """Sysctls, the values that those have now which the kernel compares, and whether any of them is to be changed."""
    there = {key: _value(place, key, world) for key, unused in sysctls}
    compared = () if there.keys().isdisjoint(_COMPARED) else _COMPARED
    present = [(key, _value(place, key, world) or "") for key in compared]
    # what belongs to a link comes after what applies to all of them
    ordered = sorted(sysctls, key=lambda pair: bool(link_of(pair[0])))
    return ordered, [pair for pair in present if pair[1]], any(there[key] != value for key, value in sysctls)


def _try_values(item: model.Namespace, is_due: bool, world: World) -> None:
    """Raise Conflict for a value that a key does not take, on its link as that will be.

    Values that are there already, and stay, need no trial.
    """
    sysctls, present, differs = world.untried.pop(item.name, ((), (), False))
    place = model.Place(netns=item.name)
    links = world.links(place) if sysctls else {}
    for key, unused in sysctls:
        link = links.get(link_of(key))
        if link is not None and key.startswith(_IPV6) and link.mtu < common.IPV6_MTU:
            raise model.Conflict(
                "Namespace %s: there is no sysctl %s, as IPv6 needs an MTU of at least %d, and %s has %d; set mtu, or"
                " leave the sysctl out." % (item.name, sysctl_name(key), common.IPV6_MTU, link.name, link.mtu)
            )
    refused = world.refused_sysctl(place, sysctls, present) if sysctls and (differs or is_due) else None
    if refused is not None:
        raise model.Conflict(
            "Namespace %s: the sysctl %s cannot be %s: %s; %s."
            % (item.name, sysctl_name(refused.key), refused.value or "empty", refused.reason, refused.remedy)
        )


def _refuse_without_ipv6(item: model.Namespace, world: World) -> None:
    """Raise Conflict for the sysctl that takes all IPv6 addresses away, if links have such addresses."""
    if dict(item.sysctls).get(_NO_IPV6, "0") == "0" or world.restoring:
        return
    for link in world.links(model.Place(netns=item.name)).values():
        if link.name != "lo" and any(address.version == 6 for address in link.addresses):
            raise model.Conflict(
                "Namespace %s: the sysctl %s takes the IPv6 addresses of all interfaces away, and %s is to have some;"
                " leave it out, or leave IPv6 out of the network." % (item.name, sysctl_name(_NO_IPV6), link.name)
            )


def _lost_again(item: model.Namespace, world: World) -> list[tuple[str, str]]:
    """The sysctls of links that this run makes again, or whose MTU it changes, and that have to be set after that."""
    place = model.Place(netns=item.name)
    of_links = [pair for pair in item.sysctls if link_of(pair[0]) not in ("", "lo")]
    return [(key, value) for key, value in of_links if _value(place, key, world) not in (None, value)]


def _forget_steps(name: str, world: World) -> list[operations.Operation]:
    from ..operations import RemoveFile

    text = world.sysctl_notes(name)
    return [] if text is None else [RemoveFile(marks.notes_path(name), text, own_folder=True)]


def _noted(name: str, world: World) -> marks.Notes:
    return marks.read_notes(world.sysctl_notes(name))


def _leaving(item: model.Namespace, place: model.Place, world: World) -> dict[str, str]:
    """The keys that an earlier request set and this one does not, with the values found; not what others set since."""
    wanted = dict(item.sysctls)
    gone = {key: pair for key, pair in _noted(item.name, world).items() if key not in wanted}
    left = {key: found for key, (found, was) in gone.items() if found and _value(place, key, world) == was}
    return {key: _fitting(key, found, place, world) for key, found in left.items()}


def _fitting(key: str, found: str, place: model.Place, world: World) -> str:
    """A value that was found, or the present MTU of its link if that has since become less."""
    link = world.links(place).get(link_of(key))
    fits = link is None or key != _IPV6_MTU % link.name or not found.isdigit() or int(found) <= link.mtu
    return found if fits or link is None else str(link.mtu)


def _restore_steps(place: model.Place, item: model.Namespace, world: World, fresh: bool) -> list[operations.Operation]:
    """Go back to what was found. The notes of these keys go after that, as a run may be killed in between."""
    noted, wanted = _noted(item.name, world), dict(item.sysctls)
    if all(key in wanted for key in noted):
        return []
    text = world.sysctl_notes(item.name)
    kept = tuple((key, wanted[key]) for key in noted if key in wanted and not fresh)
    steps = [] if fresh else common.sysctl_steps(place, _leaving(item, place, world).items(), world)
    if kept:
        from ..namespace_operations import NoteSysctls

        return [*steps, NoteSysctls(item.name, place, (), kept, text)]
    from ..operations import RemoveFile

    return [*steps, RemoveFile(marks.notes_path(item.name), text or "", own_folder=True)]


def _note_steps(
    place: model.Place, item: model.Namespace, values: t.Sequence[tuple[str, str]], world: World, fresh: bool
) -> list[operations.Operation]:
    """Note what is there before it is changed."""
    noted = {} if fresh else _noted(item.name, world)
    new = [(key, value) for key, value in values if key not in noted and _value(place, key, world) != value]
    changed = any(key in noted and noted[key][1] != value for key, value in values)
    if not new and not changed:
        return []
    from ..namespace_operations import NoteSysctls

    kept = [pair for pair in item.sysctls if pair not in new]
    return [NoteSysctls(item.name, place, tuple(new), tuple(kept), world.sysctl_notes(item.name))]


def _loopback_steps(place: model.Place, lo: Link, wanted: Link, world: World) -> list[operations.Operation]:
    steps = common.link_steps(place, "lo", common.link_values(lo), {"up": wanted.up, "alias": wanted.alias})
    if steps:
        world.put_link(wanted, place)
    return steps


def _refuse_unknown(place: model.Place, item: model.Namespace, world: World) -> None:
    """Raise Conflict for a key that the kernel does not have. Keys of a link may come with that link.

    For a namespace that is still to be made, the keys of the host count: no namespace has keys that the host lacks.
    """
    for key, unused in item.sysctls:
        if link_of(key) in ("", "lo") and world.sysctl(place, key) is None:
            raise model.Conflict(
                "Namespace %s: the kernel has no sysctl %s there; leave it out, or load the module that brings it."
                % (item.name, sysctl_name(key))
            )


def is_made_by_us(lo: Link) -> bool:
    """A namespace carries our mark on its loopback, set before its name appeared."""
    return lo.group == marks.LINK_GROUP
