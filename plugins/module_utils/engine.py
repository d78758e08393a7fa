# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that every module runs: read the current state, plan, stop in check mode, apply, and return the result.

It takes any mixture of kinds in one run; a module is this loop with one kind.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import field

from . import arguments, marks, model
from .firewall import backend
from .firewall.session import FirewallSession
from .kernel.errors import HostError, message_of
from .ownership import Holding, first_of_another, owner, refuse, refuse_name, whose
from .records import dataclass, replace
from .world import Claims, World

if t.TYPE_CHECKING:
    from . import operations

    class _OfNetwork(t.Protocol):
        """An object with the label of the network that it belongs to; empty for none."""

        @property
        def network(self) -> str:
            """The label of the network."""

    class _OfEndpoint(_OfNetwork, t.Protocol):
        """An object with the name of the endpoint that it belongs to; empty for none."""

        @property
        def endpoint(self) -> str:
            """The name of the endpoint in a list of networks."""


Description = t.Optional[dict[str, object]]
Item = t.TypeVar("Item")
OfNetwork = t.TypeVar("OfNetwork", bound="_OfNetwork")
OfEndpoint = t.TypeVar("OfEndpoint", bound="_OfEndpoint")


# What an object that cannot be made at boot waits for.
A_PROCESS, OTHERS = "its process", "the program that makes it"


@dataclass(frozen=True)
class Stored:
    """An object as it is kept for the next boot: options that its kind's parse() turns into the same object."""

    options: arguments.Options
    waits: str = ""  # what it waits for, if it cannot be made at boot


class Kind(t.Generic[Item]):
    """One kind of object: how to read it, and how it differs from what is there.

    A kind is a StepKind or a RuleKind; this class has what both share.
    """

    name = ""
    returns: tuple[str, ...] = ()  # fields of Outcome that its module returns beside those of all modules
    # The options of the module of this name, beside state and aggregate.
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {}

    # The options that take names of endpoints, with a dot before a suboption, and the option whose value decides the
    # address family.
    NAMES: t.ClassVar[tuple[str, ...]] = ()
    FAMILY = ""

    def parse(self, options: arguments.Options) -> Item:
        """An object of the model by its options alone; raises InvalidRequest."""
        raise NotImplementedError

    def check(self, items: t.Sequence[Item]) -> None:
        """Raise InvalidRequest when wanted items contradict one another."""

    def title(self, item: Item) -> str:
        """The object in words, for messages."""
        raise NotImplementedError

    def claim(self, item: Item, state: str, claims: Claims) -> None:
        """Note which parts of the host this run will settle, before anything is planned."""

    def label(self, item: Item) -> str:
        """The label of the object's network and project, see marks.py; empty for none."""
        return ""

    def relabelled(self, item: Item, label: str) -> Item:
        """The same object with this label."""
        return item

    def owner(self, item: Item) -> str:
        """The place of the object in a list of networks, for error messages; empty when it is in none."""
        return ""

    def holdings(self, item: Item, state: str, world: World) -> t.Iterable[Holding]:
        """The objects of ours that this one would change or use, itself first, each with its label on the host."""
        return ()

    def resolve(self, item: Item, state: str, world: World) -> Item:
        """Fill in what depends on the host: the uplink's name, the MTU. Raises Conflict."""
        return item

    def conclude(self, item: Item, world: World) -> None:
        """Decide what depends on all other objects. Called for each wanted object when the whole run is planned."""

    def remark(self, item: Item, world: World) -> None:
        """Warn of what a wanted object cannot do. Called when the whole run is planned."""

    def stored(self, item: Item, world: World) -> Stored | None:
        """The options by which a wanted object can be made again at boot; None if it is in files anyway."""
        return None

    def unchanged(self, item: Item, world: World) -> Description:
        """The wanted object in the words of the options if it is already there as wanted, and this is cheap to see.

        Then the engine asks nothing more about it. Only worth it for kinds with several objects for each endpoint.
        """
        return None

    def observed(self, item: Item, world: World) -> Description:
        """The object as it is now, in the words of the options; None when it is not there."""
        raise NotImplementedError

    def wanted(self, item: Item, observed: Description, world: World) -> Description:
        """The object as it will be, in the same words."""
        raise NotImplementedError

    def returned(self, found: Description) -> Description:
        """The part of a description that the module returns; the diff has all of it."""
        return found

    def doubts(self, item: Item, world: World) -> t.Iterable[str]:
        """Why the object would not work as the host is, a clause for each reason."""
        return ()


class StepKind(Kind[Item]):
    """A kind whose objects are made, changed and deleted one by one."""

    def plan(self, item: Item, state: str, world: World) -> list[operations.Operation]:
        """The steps for one object; tells ``world`` what will be there. Raises Conflict."""
        raise NotImplementedError


class RuleKind(Kind[Item]):
    """A kind whose objects are part of the rules, which the session writes as a whole."""

    def change(self, item: Item, state: str, rules: FirewallSession, world: World) -> None:
        """Put the object into the wanted rules, or remove it from them. Raises Conflict."""
        raise NotImplementedError


class NetworkKind(Kind[OfNetwork]):
    """A kind whose objects have their label in the field ``network``."""

    def label(self, item: OfNetwork) -> str:
        return item.network

    def relabelled(self, item: OfNetwork, label: str) -> OfNetwork:
        changed: OfNetwork = replace(t.cast(t.Any, item), network=label)
        return changed

    def owner(self, item: OfNetwork) -> str:
        return whose(item.network)


class EndpointKind(NetworkKind[OfEndpoint]):
    """A kind whose objects also have the name of their endpoint in the field ``endpoint``."""

    def owner(self, item: OfEndpoint) -> str:
        network = super().owner(item)
        return "%s: endpoint %s" % (network, item.endpoint) if network and item.endpoint else network


@dataclass(frozen=True)
class Request(t.Generic[Item]):
    """One object that is requested, or that is to be removed."""

    kind: Kind[Item]
    item: Item
    state: str = "present"
    owner: str = ""  # its place in a list of networks, for error messages
    warns: bool = True  # of what cannot work as the host is


# For code that holds requests of several kinds and passes each on as a whole: Python has no type for them. mypy checks
# the object against the kind where a request is made and where it is used.
AnyKind = Kind[t.Any]
AnyRequest = Request[t.Any]


@dataclass(frozen=True)
class Outcome:
    """The result of a run, or in check mode of the run that would follow."""

    changed: bool = False
    commands: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    objects: tuple[dict[str, object], ...] = ()
    warnings: tuple[str, ...] = ()
    recreated: tuple[dict[str, object], ...] = ()  # see World
    services: tuple[dict[str, str], ...] = ()  # see World.moved
    predicted: tuple[dict[str, object], ...] = ()  # see composition/predicted.py


class StepFailed(Exception):
    """A step of the plan failed, and the steps before it were undone as far as possible."""


@dataclass
class _Plan:
    steps: list[operations.Operation] = field(default_factory=list)
    before: dict[str, Description] = field(default_factory=dict)
    after: dict[str, Description] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # for the diff, about things that are not objects
    objects: list[dict[str, object]] = field(default_factory=list)


def run(requests: t.Sequence[AnyRequest], world: World, alone: bool = False) -> Outcome:
    """Carry out all of ``requests``, or in check mode say which steps this would take.

    The whole plan is made before its first step, so a request that cannot be carried out changes nothing. Objects that
    are made ``alone``, by a single module, may need others that do not exist.
    """
    plan = _plan(requests, world)
    if alone:
        _doubt(requests, world)
    if not world.check_mode:
        _apply(plan.steps, world)
    changed = bool(plan.steps)
    before, after = _sides(plan)
    return Outcome(
        changed=changed,
        commands=tuple(command for step in plan.steps for command in step.commands()),
        before=before,
        after=after,
        objects=tuple(plan.objects),
        warnings=(*world.warnings, *world.remarks(), *world.assumptions()),
        recreated=tuple(world.recreated),
        services=tuple(world.moved),
    )


def follow(requests: t.Sequence[AnyRequest], world: World) -> None:
    """Let check mode go on from what the host will be like once an earlier task has carried out these requests."""
    if requests:
        _plan(requests, world)
        world.follow()


def _plan(requests: t.Sequence[AnyRequest], world: World) -> _Plan:
    """The plan: rules first, so that nothing is open even for a moment, then removals, then additions.

    The rules of subnets that leave go after that, since their addresses are there until then.
    """
    plan = _Plan()
    _check_together(requests)
    for request in requests:
        request.kind.claim(request.item, request.state, world.claims)
    going: list[operations.Operation] = []
    coming: list[operations.Operation] = []
    planned: list[tuple[str, operations.Operation]] = []
    for request in requests:
        with naming(request.owner):
            steps = _plan_one(request, world, plan)
        (going if request.state == "absent" else coming).extend(steps)
        planned += [(request.owner, step) for step in steps]
    for request in requests:
        if request.state == "present":
            with naming(request.owner):
                request.kind.conclude(request.item, world)
            if request.warns:
                request.kind.remark(request.item, world)
    waits = bool(going or coming)
    rules, late = _plan_rules(plan, waits, world) if world.firewall.in_use else ([], [])
    coming.sort(key=lambda step: not step.clears_the_way)
    first, last = _settling(world.beforehand), _settling(world.afterwards)
    _refuse_in_vain([*planned, *(("", step) for step in (*first, *rules, *late, *last))], world)
    plan.steps = rules + first + joined(going) + joined(coming) + late + last
    return plan


def _refuse_in_vain(planned: t.Iterable[tuple[str, operations.Operation]], world: World) -> None:
    """Raise Conflict if a step would write where nobody can, as in a file system that is mounted read-only."""
    found = [(writing, owner) for owner, step in planned for writing in step.writes()]
    refused = world.host.first_refused([writing for writing, unused in found]) if found else None
    if refused is not None:
        number, text = refused
        with naming(found[number][1]):
            raise model.Conflict(text)


def _plan_rules(
    plan: _Plan, waits: bool, world: World
) -> tuple[list[operations.Operation], list[operations.Operation]]:
    """The transactions that come before all other steps, and those that come once links have changed."""
    rules, late = world.firewall.plan(waits, [*world.links().values()])
    move = world.firewall.move()
    if move:
        plan.notes["packet filter"] = move
        doubt = world.firewall.doubt_of_move()
        if doubt:
            world.warn(doubt)
    elif rules and plan.before == plan.after:
        from .diff import headlines

        plan.after["rules of ours"] = {"done": headlines(rules)}
    others = world.firewall.coexist(world.default_link, world.links(), world.warn)
    if others is not None:
        rules = [*others.first, *rules, *others.last]
        plan.before.update(others.before)
        plan.after.update(others.after)
    return world.firewall.in_turn(rules, is_first=True), world.firewall.in_turn(late)


def _doubt(requests: t.Sequence[AnyRequest], world: World) -> None:
    """Warn of objects that would not work, each reason once."""
    found: dict[str, list[str]] = {}
    for request in requests:
        if request.state == "present" and request.warns:
            for reason in _doubts_of(request, world):
                found.setdefault(reason, []).append(request.kind.title(request.item))
    for reason, titles in found.items():
        world.warn("%s: %s." % (model.capitalized(model.enumerate_few(titles)), reason))


def _doubts_of(request: Request[Item], world: World) -> t.Iterable[str]:
    return request.kind.doubts(request.kind.resolve(request.item, request.state, world), world)


@contextlib.contextmanager
def naming(owner: str) -> t.Iterator[None]:
    """Let an error message say which object of the list it is about."""
    try:
        yield
    except (model.InvalidRequest, model.Conflict) as error:
        text = str(error)
        if not owner or text.lower().startswith(owner.lower()):
            raise
        raise type(error)("%s: %s" % (owner, model.continued(text))) from None


def joined(steps: t.Sequence[operations.Operation]) -> list[operations.Operation]:
    """The same steps, with neighbours joined where that is possible."""
    result: list[operations.Operation] = []
    for step in steps:
        both = result[-1].joined(step) if result else None
        if both is None:
            result.append(step)
        else:
            result[-1] = both
    return result


def _settling(steps: t.Iterable[operations.Operation]) -> list[operations.Operation]:
    """Steps that come last, in the order that ``settles`` gives them."""
    return joined(sorted(steps, key=lambda step: step.settles))


def _check_together(requests: t.Sequence[AnyRequest]) -> None:
    for kind in dict.fromkeys(request.kind for request in requests):
        kind.check([r.item for r in requests if r.kind is kind and r.state == "present"])


def _plan_one(request: Request[Item], world: World, plan: _Plan) -> list[operations.Operation]:
    kind = request.kind
    known = kind.unchanged(request.item, world) if request.state == "present" else None
    if known is not None:
        plan.objects.append(dict(kind.returned(known) or {}, state="present", title=kind.title(request.item)))
        return []
    item = _kept(kind, kind.resolve(request.item, request.state, world), request.state, world)
    title = kind.title(item)
    observed = kind.observed(item, world)
    if _stays(kind, item, request.state, world):
        plan.objects.append(dict(kind.returned(observed) or {}, state="present", title=title))
        return []
    world.settled.append((kind, item, request.state))
    revision, earlier, later = world.revision, len(world.beforehand), len(world.afterwards)
    steps = _ask(kind, item, request.state, world)
    wanted = shown = kind.wanted(item, observed, world) if request.state == "present" else None
    if isinstance(kind, StepKind) and observed is not None:
        if not steps and world.revision == revision:
            wanted = shown = observed  # as requested; or not ours, and then used or left as it is
        elif wanted == observed and (steps or world.beforehand[earlier:]):
            from .diff import headlines

            done = headlines([*world.beforehand[earlier:], *steps, *world.afterwards[later:]])
            shown = dict(observed, done=done)  # something differs that the description does not show
    plan.before[title] = observed
    plan.after[title] = shown
    returned = kind.returned(wanted) or {}
    plan.objects.append(dict(returned, state="absent" if wanted is None else "present", title=title))
    return steps


def _kept(kind: Kind[Item], item: Item, state: str, world: World) -> Item:
    """The object with its label on the host, if the request names no network.

    Otherwise a request with the network and one without it would change the label in turns.
    """
    label = kind.label(item)
    if state == "absent" or marks.name_of(label) or not isinstance(kind, StepKind):
        return item
    there = next((noted for unused, noted in kind.holdings(item, state, world)), "")
    same = marks.name_of(there) and marks.project_of(there) == marks.project_of(label)
    return kind.relabelled(item, there) if same else item


def _stays(kind: Kind[Item], item: Item, state: str, world: World) -> bool:
    """Whether an object to remove belongs to another project, and so stays; raises Conflict for a wanted one."""
    label = kind.label(item)
    if state == "present":
        refuse_name(label, world.projects())
    holding = first_of_another(label, kind.holdings(item, state, world))
    if holding is None:
        return False
    if state == "present":
        refuse(label, holding)
    world.warn("%s belongs to %s, and stays." % (holding[0], owner(holding[1])))
    return True


def _ask(kind: Kind[Item], item: Item, state: str, world: World) -> list[operations.Operation]:
    """The steps of one object. Rules are written by the session in its own transactions."""
    if isinstance(kind, StepKind):
        return kind.plan(item, state, world)
    if isinstance(kind, RuleKind):
        kind.change(item, state, world.firewall, world)
        return []
    raise TypeError("%s is neither a StepKind nor a RuleKind" % type(kind).__name__)


def _sides(plan: _Plan) -> tuple[str, str]:
    """The two sides of the diff; in most runs nothing differs."""
    if plan.before == plan.after and not plan.notes:
        return "", ""
    from .diff import sides

    return sides(plan.before, plan.after, plan.notes)


def _apply(steps: t.Sequence[operations.Operation], world: World) -> None:
    done: list[operations.Operation] = []
    for step in steps:
        try:
            step.apply(world.host)
        except backend.Outdated:
            raise  # only the first step of all does this, so there is nothing to undo
        except (HostError, backend.FirewallError, OSError) as error:
            raise StepFailed(_undo(done, step, error, world)) from error
        done.append(step)


def _headline(step: operations.Operation) -> str:
    """The first line of a step's command; a few steps have none."""
    return next((line for command in step.commands() for line in command.splitlines()), type(step).__name__)


def _undo(done: t.Sequence[operations.Operation], failed: operations.Operation, error: Exception, world: World) -> str:
    """Undo what was done, the last step first, and return what happened as a message."""
    left = []
    taken = [*done, failed] if failed.halves else done
    for reverse in _settling(reverse for step in reversed(taken) for reverse in step.undo()):
        try:
            reverse.apply(world.host)
        except (HostError, backend.FirewallError, OSError) as trouble:
            left.append("%s (%s)" % (_headline(reverse), message_of(trouble).rstrip(".")))
    story = "%s. The step that failed: %s" % (message_of(error).rstrip("."), _headline(failed))
    if not taken:
        return story + ". Nothing had been changed."
    if left:
        more = " and %s more" % _counted(len(left) - 1) if len(left) > 1 else ""
        return story + ". Undoing what came before it also failed: %s%s. Run it again." % (left[0], more)
    return story + ". Everything before it in this call (%s) was undone." % _counted(len(done))


def _counted(steps: int) -> str:
    return "1 step" if steps == 1 else "%d steps" % steps
