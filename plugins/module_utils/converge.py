# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes whole networks in one run of the engine, instead of a run for each module of the role."""

from __future__ import annotations

import typing as t

from . import arguments, engine, marks, model
from .composition.scope import BY_DEFAULT, Scope, read_scope
from .composition.spec import NONE, read_names
from .composition.surroundings import Surroundings
from .gather import gather
from .kinds.registry import ROWS
from .parsing import kind_of
from .reading import find_flag
from .records import replace
from .report import EndpointReport, HostReport, NetworkReport
from .world import World

if t.TYPE_CHECKING:
    from . import boot  # noqa: F401  # Ansible sends what is imported, and BootKind leaves it to the unit of systemd
    from .composition.objects import Composition


def make(options: arguments.Options, world: World) -> engine.Outcome:
    """The run of bridge_network with these options."""
    networks, scope, at_boot = options["networks"], read_scope(options), options.get("boot")
    if not world.check_mode:
        return make_networks(networks, world, scope, at_boot)
    from .composition.predicted import for_the_next, read_predicted

    predicted = read_predicted(options.get("predicted"))
    outcome = make_networks(networks, world, scope, at_boot, predicted)
    return replace(outcome, predicted=for_the_next(predicted, scope.goes(read_names(networks)), outcome.objects))


def make_networks(
    networks: t.Sequence[arguments.Options],
    world: World,
    scope: Scope = BY_DEFAULT,
    at_boot: object = False,
    predicted: t.Sequence[NetworkReport] = (),
) -> engine.Outcome:
    """Bring a host to a list of networks; raises InvalidRequest, Conflict, StepFailed."""
    report = gather(world)
    if predicted:
        from .composition.predicted import refuse_overlaps, with_predicted

        report = with_predicted(report, predicted)
    if not (networks or scope.everything or world.has_anything() or report.has_anything()) and scope.may_be_empty:
        return engine.run((), world)
    from .composition.compose import compose

    lost = _lost_names(report, world)
    wanted = compose(networks, report.with_names_back(lost), scope, _HostSurroundings(world, lost))
    if predicted:
        refuse_overlaps(wanted.present.bridge_firewall, predicted, scope.goes(read_names(networks)))
    for text in wanted.warnings:
        world.warn(text)
    if wanted.absent.of("bridge") and not world.firewall.is_open:
        world.warn(
            "No packet filter works on this host, so the rules of removed networks stay in the kernel until the next"
            " boot; install the one that made them, and remove everything with 'ansible-playbook"
            " dockerless.network.purge'."
        )
    if scope.everything and world.firewall.readable():
        world.firewall.use()  # to remove what is left of ours among the rules of others
    if scope.prune != NONE or scope.state == "absent":
        named = {item.name for side in (wanted.present, wanted.absent) for item in side.netns}
        wanted.absent.netns += [model.Namespace(name) for name in world.remains() if name not in named]
    return engine.run([*_requests(wanted, scope), *_at_boot(networks, scope, at_boot, world)], world)


def _at_boot(
    networks: t.Sequence[arguments.Options], scope: Scope, option: object, world: World
) -> t.Sequence[engine.AnyRequest]:
    """The request to keep everything for the next boot, or to remove what an earlier run kept."""
    there = any(world.file(path) is not None for path in (marks.UNITS + marks.BOOT_UNIT, marks.BOOT_OBJECTS))
    wanted = there if scope.rest else _is_kept(option, world)
    if not wanted and not there:
        return ()
    from .kinds.boot import Boot, BootKind

    if scope.rest:  # a list whose other objects are kept by the modules that make them
        return (engine.Request(BootKind(), Boot()),)
    is_whole = scope.goes(read_names(networks))
    return (engine.Request(BootKind(), Boot(wanted, is_whole, writes_program=True)),)


def _is_kept(option: object, world: World) -> bool:
    """The meaning of the option boot on this host."""
    if option in (None, "", "auto"):
        return world.systemd()
    wanted = find_flag(option)
    if wanted is None:
        raise model.InvalidRequest("boot: got %s; write auto, true or false." % kind_of(option))
    if wanted and not world.systemd():
        raise model.Conflict("boot: it needs systemd, which is not PID 1 here; leave it out, or set it to false.")
    return wanted


def _lost_names(report: HostReport, world: World) -> dict[model.Place, str]:
    """The namespaces with endpoints that have lost their names; a run that wants these names gives them back."""
    nameless = {end.place for end in report.endpoints if end.place is not None and end.place.netns is None}
    lost = world.all_lost() if nameless else {}
    return {
        place: name
        for name, places in lost.items()
        for place in places
        if place in nameless and name and not world.has_namespace(name)
    }


class _HostSurroundings(Surroundings):
    """The surroundings of our networks on this host, read when they are needed."""

    def __init__(self, world: World, lost: t.Mapping[model.Place, str]) -> None:
        self._world = world
        self._living = {model.Place(netns=name): place for place, name in lost.items()}

    def addresses(self) -> t.Sequence[model.Interface]:
        return self._world.addresses()

    def routes(self) -> t.Sequence[model.Network]:
        return self._world.destinations()

    def default_routes(self, endpoint: EndpointReport) -> t.Collection[int]:
        place = endpoint.place and self._living.get(endpoint.place, endpoint.place)
        return () if place is None else self._world.default_routes(place, endpoint.interface or "")

    def holds(self, port: model.PublishedPort) -> bool:
        world, (first, last) = self._world, (port.host_ports.first, port.host_ports.last)
        if any(listener.takes(port) for listener in world.listening(port.protocol, first, last)):
            return True
        return bool(world.firewall.port_holder(port, world.local_addresses))

    def is_ours(self, netns: str) -> bool:
        world = self._world
        return not world.has_namespace(netns) or world.owns(model.Place(netns=netns))

    def file(self, path: str) -> str:
        return self._world.look_file(path) or ""

    def hostname(self) -> str:
        return self._world.hostname()

    def reserved_ports(self) -> str:
        return self._world.sysctl(model.HOST, model.RESERVED_PORTS) or ""


def _requests(wanted: Composition, scope: Scope) -> list[engine.AnyRequest]:
    """Removals, then additions, each in its order; only the kinds of these objects are loaded."""
    rows = [row for row in ROWS if not (scope.rest and row.has_module)]
    used = [row for row in rows if wanted.present.of(row.name) or wanted.absent.of(row.name)]
    kinds = {row.name: row.load() for row in used}
    going = sorted(used, key=lambda row: row.leaves)
    requests = [engine.Request(kinds[row.name], item, "absent") for row in going for item in wanted.absent.of(row.name)]
    coming = [(kinds[row.name], item) for row in used for item in wanted.present.of(row.name)]
    return requests + [engine.Request(kind, item, owner=kind.owner(item)) for kind, item in coming]
