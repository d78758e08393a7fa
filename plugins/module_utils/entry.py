# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the engine: options in, result out, every error one message."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from .arguments import STATE, Arguments, without
from .engine import Kind, Outcome, Request, StepFailed, run
from .firewall.backend import FirewallError, Runner
from .firewall.session import FirewallSession
from .kernel.errors import HostError, require_privileges
from .kernel.host import Host
from .kernel.programs import call
from .model import Conflict, InvalidRequest
from .reading import read
from .world import World

_T = t.TypeVar("_T")

_LOCK_SECONDS = 120
_PACKAGES = {"nft": "nftables", "conntrack": "conntrack", "firewall-cmd": "firewalld", "ufw": "ufw"}


def run_module(kind: Kind[t.Any]) -> None:
    """The whole of a module: one object of ``kind`` by its own options, or a list of them in ``aggregate``."""
    item = {**without(kind.ARGUMENTS, "backend"), **STATE}  # a call has one back-end
    spec = {name: without(option, "required") for name, option in {**kind.ARGUMENTS, **STATE}.items()}
    spec["aggregate"] = {"type": "list", "elements": "dict"}
    key = next((name for name, option in item.items() if option.get("required")), "")
    module = AnsibleModule(
        argument_spec=spec,
        required_one_of=[(key, "aggregate")] if key else [],
        mutually_exclusive=[(key, "aggregate")] if key else [],
        supports_check_mode=True,
    )

    try:
        items = _items(module.params, item)
        requests = [Request(kind, _parse(kind, options, items), options["state"]) for options in items]
    except InvalidRequest as error:
        module.fail_json(msg=str(error))
    _finish(module, lambda world: run(requests, world))


def run_together(make: t.Callable[..., Outcome], arguments: Arguments) -> None:
    """The whole of the module that takes whole networks."""
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    params = module.params
    _finish(module, lambda world: make(params["networks"], world, params["prune"], params["state"]))


def _finish(module: AnsibleModule, act: t.Callable[[World], Outcome]) -> None:
    """Do it, and return to Ansible with the result or with one sentence."""
    try:
        outcome = _in_world(module, act)
    except (InvalidRequest, Conflict, StepFailed, HostError, FirewallError) as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**result(outcome))


def run_info(tell: t.Callable[[World, str | None], dict[str, t.Any]], arguments: Arguments) -> None:
    """The whole of a module that only looks."""
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    try:
        facts = _in_world(module, lambda world: tell(world, module.params["name"]))
    except (Conflict, HostError, FirewallError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **facts)


def result(outcome: Outcome) -> dict[str, t.Any]:
    """An outcome as a module returns it."""
    return {
        "changed": outcome.changed,
        "commands": list(outcome.commands),
        "diff": {"before": outcome.before, "after": outcome.after},
        "objects": list(outcome.objects),
    }


def runner(module: AnsibleModule) -> Runner:
    """Runs the tools of the host, found where root would find them."""

    def run_tool(argv: t.Sequence[str], text: str | None) -> tuple[int, str, str]:
        path = module.get_bin_path(argv[0])
        if path is None:
            package = _PACKAGES.get(argv[0], "iptables")
            raise FirewallError("There is no program %s on this host; install the package %s." % (argv[0], package))
        return call([path, *argv[1:]], text)

    return run_tool


def _in_world(module: AnsibleModule, act: t.Callable[[World], _T]) -> _T:
    """Do something with the host, under its lock."""
    require_privileges()
    tool = runner(module)
    session = FirewallSession(tool, module.params.get("backend") or "auto")
    with Host(tool) as host, host.lock(_LOCK_SECONDS, str(module._name)):
        return act(World(host, session, module.check_mode))


def _items(params: t.Mapping[str, t.Any], arguments: Arguments) -> list[dict[str, t.Any]]:
    """The objects asked for, each with all its options: what stands beside ``aggregate`` is every item's default."""
    defaults = {name: _said(params[name]) for name in arguments if params.get(name) is not None}
    if params.get("aggregate") is None:
        return [_complete("", defaults, arguments)]
    items = enumerate(params["aggregate"], 1)
    return [_complete("aggregate, item %d" % number, _merge(defaults, item), arguments) for number, item in items]


def _complete(title: str, options: t.Mapping[str, t.Any], arguments: Arguments) -> dict[str, t.Any]:
    """Options as ``arguments`` have them, those that are left out by their defaults."""
    found = read(title, arguments, options)
    return {name: arguments[name].get("default") if value is None else value for name, value in found.items()}


def _said(value: t.Any) -> t.Any:
    """A value without the options inside that were left out: Ansible has put None in their place."""
    if isinstance(value, dict):
        return {name: _said(item) for name, item in value.items() if item is not None}
    return [_said(item) for item in value] if isinstance(value, list) else value


def _merge(defaults: t.Mapping[str, t.Any], item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    merged = dict(defaults)
    for name, value in item.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            value = {**merged[name], **value}
        if value is not None:
            merged[name] = value
    return merged


def _parse(kind: Kind[t.Any], options: t.Mapping[str, t.Any], items: t.Sequence[t.Any]) -> t.Any:
    try:
        return kind.parse(options)
    except InvalidRequest as error:
        place = " (aggregate, item %d)" % (items.index(options) + 1) if len(items) > 1 else ""
        raise InvalidRequest("%s%s" % (error, place)) from None
