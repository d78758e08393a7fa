# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes from Ansible to the engine and back: reads options, returns the result, and turns each error into a message."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from . import engine, marks, model
from .arguments import STATE, Arguments, Options, without
from .firewall import backend
from .firewall.choice import package_of
from .firewall.session import FirewallSession
from .kernel import errors
from .kernel.host import Host
from .kernel.netfilter import Runner
from .kernel.programs import call
from .loading import this_call
from .reading import as_given, emptied, read, unquoted
from .world import World

_T = t.TypeVar("_T")
_Item = t.TypeVar("_Item")
# Errors that the request or the host causes, rather than a bug of ours. Each is reported in one sentence.
_FAILURES = (model.InvalidRequest, model.Conflict, engine.StepFailed, errors.HostError, backend.FirewallError, OSError)

_LOCK_SECONDS = 120
# How often a run is planned, if the rules change after they have been read.
_PLANS = 5
_NOT_FOUND = 127
_PACKAGES = {"firewall-cmd": "firewalld"}


class Look(t.NamedTuple):
    """The tools of a module that only reads the host."""

    host: Host
    run: Runner
    params: Options
    check_mode: bool


def run_module(kind: engine.Kind[_Item]) -> None:
    """Run a module for one object of ``kind`` by its options, or for a list of them in ``aggregate``."""
    item = {**without(kind.ARGUMENTS, "backend"), **STATE}  # one back-end serves the whole call
    spec = {name: without(option, "required") for name, option in {**kind.ARGUMENTS, **STATE}.items()}
    spec["aggregate"] = spec["settled"] = {"type": "list", "elements": "dict"}
    key = next((name for name, option in item.items() if option.get("required")), "")
    alone_or_many = [(key, "aggregate")] if key else []
    module = _Module(spec, required_one_of=alone_or_many, mutually_exclusive=alone_or_many, supports_check_mode=True)
    with _reporting_errors(module):
        items = _items(module.params, item)
        named = any(_has_names(kind, options) for options in items)
        ready = [] if named else [_request(kind, options, items) for options in items]
        settled = _settled(kind, module.params["settled"], item) if module.check_mode else []

    def act(world: World) -> engine.Outcome:
        engine.follow([*settled, *_released(settled, world)], world)
        requests = _by_addresses(kind, items, world) if named else ready
        return engine.run([*requests, *_released(requests, world), *_kept(world)], world, alone=True)

    _finish(module, act, kind.returns)


def _settled(
    kind: engine.Kind[_Item], given: t.Sequence[Options] | None, item: Arguments
) -> list[engine.Request[_Item]]:
    """What earlier tasks of the same run ask for, which check mode does not find on the host."""
    items = _items({"aggregate": given or []}, item)
    return [_request(kind, options, items) for options in items]


def _has_names(kind: engine.Kind[_Item], options: Options) -> bool:
    """Whether options have names of endpoints in the place of addresses."""
    if not any(options.get(option.partition(".")[0]) for option in kind.NAMES):
        return False
    from .kinds.endpoint_names import has_names

    return has_names(dict(options), kind.NAMES)


def _by_addresses(kind: engine.Kind[_Item], items: t.Sequence[Options], world: World) -> list[engine.Request[_Item]]:
    """The requests, with names of endpoints replaced by their addresses."""
    from .kinds.endpoint_names import EndpointNames

    names = EndpointNames(world)
    found = [names.resolved(options, kind.NAMES, kind.FAMILY) for options in items]
    return [_request(kind, options, found) for options in found]


def _released(requests: t.Sequence[engine.AnyRequest], world: World) -> t.Sequence[engine.AnyRequest]:
    """The request that ends forwarding with the last object that needed it."""
    if all(request.state == "present" or request.kind.name == "sysctl_forward" for request in requests):
        return ()
    from .kinds.release import release

    return release(world)


def _kept(world: World) -> t.Sequence[engine.AnyRequest]:
    """The request to keep everything for the next boot, if an earlier run kept something."""
    if world.file(marks.UNITS + marks.BOOT_UNIT) is None:
        return ()
    from .kinds.boot import Boot, BootKind

    return (engine.Request(BootKind(), Boot()),)


def run_together(make: t.Callable[..., engine.Outcome], arguments: Arguments) -> None:
    """Run the module that takes whole networks."""
    module = _Module(arguments, supports_check_mode=True)
    returns = ("recreated", "services", "predicted") if module.check_mode else ("recreated", "services")
    _finish(module, lambda world: make(module.params, world), returns)


def _finish(module: AnsibleModule, act: t.Callable[[World], engine.Outcome], returns: t.Sequence[str]) -> None:
    """Act, and return the result, or the error in one sentence, to Ansible."""
    with _reporting_errors(module):
        outcome = _in_world(module, lambda world: _and_keep_byte_code(act(world), world))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**result(outcome, returns))


def _and_keep_byte_code(outcome: engine.Outcome, world: World) -> engine.Outcome:
    """Keep the byte code for the next call while there is something of ours on the host."""
    call = this_call()
    if call is None or world.check_mode:
        return outcome
    if any(item["state"] == "present" for item in outcome.objects) or (call.kept and world.has_anything()):
        if call.compiled:
            world.host.keep_byte_code(call)
    elif call.kept:
        world.host.forget_byte_code()
    return outcome


def run_info(tell: t.Callable[[World, str | None], dict[str, object]], arguments: Arguments) -> None:
    """Run a module that only looks at what is ours."""
    module = _Module(arguments, supports_check_mode=True)
    with _reporting_errors(module):
        facts = _in_world(module, lambda world: tell(world, module.params["name"]))
    module.exit_json(changed=False, check_mode=module.check_mode, **facts)


def run_look(look: t.Callable[[Look], dict[str, object]], arguments: Arguments) -> None:
    """Run a module that looks at the host without its lock."""
    module = _Module(arguments, supports_check_mode=True)
    with _reporting_errors(module):
        errors.require_privileges()
        run = _tolerant(module)
        with _host(run) as host:
            facts = look(Look(host, run, module.params, module.check_mode))
    module.exit_json(changed=False, **facts)


class _Module(AnsibleModule):  # type: ignore[misc]  # ansible-core has no types
    """AnsibleModule that reads options before Ansible converts their types."""

    params: Options

    def __init__(self, argument_spec: Arguments, **constraints: t.Any) -> None:
        self.refusal = ""
        self.doubts: list[str] = []
        super().__init__(argument_spec=argument_spec, **constraints)
        if self.refusal:
            self.fail_json(msg=self.refusal)
        # the role calls this module several times, and the first call has told
        told = self.params.get("for_role") and not self.params["warn"]
        for doubt in () if told else self.doubts:
            self.warn(doubt)

    def _load_params(self) -> None:
        # Here the options are still as they came. Ansible converts them next, and makes "False" of the name `no`.
        super()._load_params()
        many = {"aggregate": {"type": "list", "options": self.argument_spec}}
        self.doubts = unquoted({**self.argument_spec, **many}, self.params) + emptied(self.argument_spec, self.params)
        try:
            self.params = as_given(self.argument_spec, self.params)
        except model.InvalidRequest as error:
            self.refusal = str(error)

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
        """Fail with our own message about an option, if there is one, rather than with that of Ansible."""
        super().fail_json(msg=self._worded(self.refusal or msg), **kwargs)
        raise AssertionError("fail_json() has returned")

    def warn(self, warning: str, **kwargs: t.Any) -> None:
        super().warn(self._worded(warning), **kwargs)

    def _worded(self, text: str) -> str:
        """A message in the words of the role, if the role has called the module."""
        if not self.params.get("for_role"):
            return text
        from .role_words import in_words_of_the_role

        return in_words_of_the_role(text)


@contextlib.contextmanager
def _reporting_errors(module: AnsibleModule) -> t.Iterator[None]:
    """Return an error to Ansible in one sentence."""
    try:
        yield
    except _FAILURES as error:
        module.fail_json(msg=errors.sentence(error) if isinstance(error, OSError) else str(error))


def result(outcome: engine.Outcome, returns: t.Sequence[str] = ()) -> dict[str, object]:
    """An outcome as a module returns it, with the further fields in ``returns``, see Kind."""
    found = {
        "changed": outcome.changed,
        "commands": list(outcome.commands),
        "diff": {"before": outcome.before, "after": outcome.after},
        "objects": list(outcome.objects),
    }
    return {**found, **{name: list(getattr(outcome, name)) for name in returns}}


def runner(module: AnsibleModule) -> Runner:
    """A function that runs programs of the host, found where root would find them."""

    def run_tool(argv: t.Sequence[str], text: str | None) -> tuple[int, str, str]:
        path = module.get_bin_path(argv[0])
        if path is None:
            package = package_of(argv[0]) or _PACKAGES.get(argv[0], argv[0])
            raise backend.NoProgram("There is no program %s on this host; install the package %s." % (argv[0], package))
        try:
            return call([path, *argv[1:]], text)
        except OSError as error:
            raise backend.FirewallError("The program %s cannot be run: %s." % (path, error.strerror)) from error

    return run_tool


def _tolerant(module: AnsibleModule) -> Runner:
    """A function that runs programs of the host; a missing program counts as one that failed without output."""

    def run(argv: t.Sequence[str], text: str | None) -> tuple[int, str, str]:
        path = module.get_bin_path(argv[0])
        if path is None:
            return _NOT_FOUND, "", "there is no program %s on this host" % argv[0]
        return call([path, *argv[1:]], text)

    return run


def _in_world(module: AnsibleModule, act: t.Callable[[World], _T]) -> _T:
    """Act on the host, under its lock."""
    errors.require_privileges()
    with _host(runner(module)) as host, host.lock(_LOCK_SECONDS, str(module._name)):
        for unused in range(_PLANS - 1):
            with contextlib.suppress(backend.Outdated):
                return act(_world(module, host))
        return act(_world(module, host))


def _world(module: AnsibleModule, host: Host) -> World:
    session = FirewallSession(host.netfilter(), module.params.get("backend") or "auto")
    return World(host, session, module.check_mode)


def _host(tool: Runner) -> Host:
    try:
        return Host(tool)
    except errors.MissingLibrary as missing:
        from .interpreter import move_to_another

        move_to_another(missing)


def _items(params: Options, arguments: Arguments) -> list[dict[str, object]]:
    """The requested objects with all their options; options beside ``aggregate`` are defaults of its items."""
    defaults = {name: _said(params[name]) for name in arguments if params.get(name) is not None}
    if params.get("aggregate") is None:
        return [_complete("", defaults, arguments)]
    items = enumerate(params["aggregate"], 1)
    return [_complete("aggregate, item %d" % number, _merge(defaults, item), arguments) for number, item in items]


def _complete(title: str, options: Options, arguments: Arguments) -> dict[str, object]:
    """The options of ``arguments``, with defaults for those that are left out."""
    found = read(title, arguments, options)
    return {name: arguments[name].get("default") if value is None else value for name, value in found.items()}


def _said(value: object) -> object:
    """A value without the suboptions that were left out, for which Ansible has put None."""
    if isinstance(value, dict):
        return {name: _said(item) for name, item in value.items() if item is not None}
    return [_said(item) for item in value] if isinstance(value, list) else value


def _merge(defaults: Options, item: Options) -> dict[str, object]:
    merged = dict(defaults)
    for name, value in item.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            value = {**merged[name], **value}
        if value is not None:
            merged[name] = value
    return merged


def _request(kind: engine.Kind[_Item], options: Options, items: t.Sequence[Options]) -> engine.Request[_Item]:
    try:
        return engine.Request(kind, kind.parse(options), options["state"], warns=options.get("warn") is not False)
    except model.InvalidRequest as error:
        place = " (aggregate, item %d)" % (items.index(options) + 1) if len(items) > 1 else ""
        raise model.InvalidRequest("%s%s" % (error, place)) from None
