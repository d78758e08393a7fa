# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarding of the host: at once by /proc/sys, and after the next boot by a file in sysctl.d(5).

There may be several requests: those of the role for its networks, and those of single calls of the module. They add up.
When one is taken back, the others remain, and so does what objects of ours still need. The file notes all requests, and
the values that were found, so that the host can go back to them.
"""

from __future__ import annotations

import typing as t

from .. import arguments, engine, model, parsing
from ..firewall.choice import BACKEND
from ..kernel.files import unfinished
from ..kernel.sysctl import sysctl_name
from ..records import dataclass, replace
from ..world import World, is_ours
from . import common
from .forward_record import (
    IPV4,
    IPV6,
    KEPT,
    PERSISTENT,
    VOLATILE,
    Record,
    Values,
    is_on,
    limits,
    load,
    localnet_key,
    spell,
    stricter,
    together,
)

if t.TYPE_CHECKING:
    from .. import operations

# The kernel turns this off when it starts to forward IPv4, and on when it stops, whatever the value was.
_REDIRECTS = "net/ipv4/conf/all/accept_redirects"


@dataclass(frozen=True)
class _Decision:
    """The result of all requests."""

    asks: t.Sequence[model.Forwarding]
    values: Values  # keys in the order in which they must be written
    found: Values

    @property
    def record(self) -> Record:
        """What is noted of it."""
        return Record(self.found, tuple(self.asks))

    @property
    def total(self) -> model.Forwarding:
        """All requests as one."""
        return together(self.asks)

    @property
    def drops(self) -> bool:
        """Whether everything that does not concern our networks is dropped."""
        return limits(self.record)[0]

    @property
    def transit(self) -> frozenset[int]:
        """The IP versions in which ``auto`` drops that: those in which the host forwarded nothing before us."""
        return limits(self.record)[1]

    @property
    def guarded(self) -> frozenset[int]:
        """The IP versions in which the host must not forward without our rules."""
        return frozenset(model.FORWARDING) if self.drops else self.transit


class SysctlForwardKind(engine.StepKind[model.Forwarding]):
    """The forwarding of the host; a host has one."""

    name = "sysctl_forward"
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {
        "ipv4": {"type": "bool", "default": True},
        "ipv6": {"type": "bool", "default": False},
        "route_localnet": {"type": "list", "elements": "str", "default": []},
        "persist": {"type": "bool", "default": True},
        "forward_policy": {"type": "str", "choices": list(model.FORWARD_POLICIES), "default": "unmanaged"},
        "asked_by": {"type": "str", "default": "sysctl_forward"},
        **BACKEND,
    }

    def parse(self, options: arguments.Options) -> model.Forwarding:
        links = {parsing.link_name("route_localnet", name) for name in options.get("route_localnet") or ()}
        asker = parsing.label("asked_by", options.get("asked_by")) or self.name
        if asker == KEPT:
            raise model.InvalidRequest("asked_by: %s stands for what objects still need; take another name." % KEPT)
        return model.Forwarding(
            ipv4=options.get("ipv4") is not False,
            ipv6=bool(options.get("ipv6")),
            route_localnet=tuple(sorted(links)),
            persist=options.get("persist") is not False,
            policy=options.get("forward_policy") or model.FORWARD_POLICIES[0],
            asked_by=asker,
        )

    def check(self, items: t.Sequence[model.Forwarding]) -> None:
        if len(items) > 1:
            raise model.InvalidRequest("Forwarding is a setting of the whole host, so aggregate takes one item.")
        if any(item.asked_by == model.EVERYBODY for item in items):
            raise model.InvalidRequest("asked_by: %s is for state: absent only; take another name." % model.EVERYBODY)

    def title(self, item: model.Forwarding) -> str:
        return "forwarding"

    # ---- what is there

    def observed(self, item: model.Forwarding, world: World) -> engine.Description:
        rules = world.firewall
        dropping = rules.readable() and bool(rules.drop_foreign or rules.drop_transit)
        if not dropping and not any(world.file(path) for path in (PERSISTENT, VOLATILE)):
            return None
        record = _record(world)
        wanted = _decide(item, "present", record, world).values
        values = {key: world.sysctl(model.HOST, key) for key in {**record.found, **wanted} if key != _REDIRECTS}
        policy = together(record.asks).policy
        return common.compact(
            sysctls={sysctl_name(key): value for key, value in sorted(values.items()) if value is not None},
            persist=world.file(PERSISTENT) is not None,
            forward_policy="drop" if rules.drop_foreign else policy if dropping or policy == "auto" else "unmanaged",
            asked_by=[ask.asked_by for ask in record.asks] or None,
        )

    def wanted(self, item: model.Forwarding, observed: engine.Description, world: World) -> engine.Description:
        decided = _decide(item, "present", _record(world), world)
        there = {key: value for key, value in decided.values.items() if _can_be_set(key, world)}
        return common.compact(
            sysctls={
                sysctl_name(key): "0" if _is_read_elsewhere(key, world.sysctl(model.HOST, key)) else value
                for key, value in sorted(there.items())
            },
            persist=decided.total.persist,
            forward_policy=decided.total.policy,
            asked_by=sorted(ask.asked_by for ask in decided.asks),
        )

    # ---- what to do

    def plan(self, item: model.Forwarding, state: str, world: World) -> list[operations.Operation]:
        record = _record(world)
        decided = _decide(item, state, record, world)
        _set_policy(decided, world)
        if state == "present" and record.of(item.asked_by) != item:
            _tell_stricter(decided, world)
        steps = _write_steps(decided, world) if decided.asks else []
        there = {key: value for key, value in decided.values.items() if _can_be_set(key, world)}
        values = {**_restored(record, decided, world), **there}
        differing = {k: v for k, v in values.items() if not _same(k, world.sysctl(model.HOST, k), v)}
        if IPV6 in differing:
            steps += common.await_anycast(world)
        steps += common.sysctl_steps(model.HOST, differing.items(), world)
        if differing.get(IPV4) == "0" and _REDIRECTS in record.found:
            steps += common.new_sysctls(model.HOST, [(_REDIRECTS, "0")])
        if decided.asks and not {IPV4, IPV6} & differing.keys():
            steps += _interface_steps(decided, world)
        if not decided.asks:
            paths = (PERSISTENT, VOLATILE)
            steps += _remove_steps(world, *paths, *map(unfinished, paths))
        return steps


# ---- what is decided


def _record(world: World) -> Record:
    """The record of this host. If somebody deleted it, our rules still show that we turned forwarding on."""
    record, rules = load(world), world.firewall
    ours = {model.FORWARDING[version]: "0" for version in (rules.drop_transit if rules.readable() else ())}
    return replace(record, found={**ours, **record.found})


def _decide(item: model.Forwarding, state: str, record: Record, world: World) -> _Decision:
    """The result of all requests, with this one or without it."""
    asks = record.without(item.asked_by)
    if state == "present":
        asks.append(item)
        for link in item.route_localnet if not world.restoring else ():
            if link not in world.links():
                _miss(link, world)
    kept = _kept(item, state, record, _values(together(asks), record, world), world)
    if kept is not None:
        asks.append(kept)
    values = _values(together(asks), record, world)
    found = {key: record.found.get(key) or world.sysctl(model.HOST, key) or "0" for key in values}
    if _REDIRECTS in record.found or (IPV4 not in record.found and world.sysctl(model.HOST, _REDIRECTS) == "0"):
        found[_REDIRECTS] = "0"
    return _Decision(asks, values, found)


def _miss(link: str, world: World) -> None:
    """Handle a missing interface. A bridge that lost its link is no fault of this run, which may be about others."""
    rules = world.firewall
    if any(port.bridge == link for port in (rules.ports if rules.readable() else ())):
        world.warn("Bridge %s is not there any more, but ports are published on it; run its playbook again." % link)
    else:
        world.assume("interface", link, "route_localnet takes interfaces that are there")


def _values(total: model.Forwarding, record: Record, world: World) -> Values:
    """The keys in the order in which they must be written."""
    values: Values = {}
    if total.ipv6:
        if not common.has_ipv6(world):
            raise model.Conflict("The kernel of this host has no IPv6; leave ipv6 out, or boot without ipv6.disable=1.")
        from .advertisements import listening

        # A host that forwards ignores router advertisements, and would lose its default route, unless accept_ra is 2
        # (ip-sysctl.rst).
        values.update(dict.fromkeys(listening(record.found, world), "2"))
        values[IPV6] = "1"
    if total.ipv4:
        values[IPV4] = "1"
    values.update((localnet_key(link), "1") for link in total.route_localnet)
    return values


def _kept(item: model.Forwarding, state: str, record: Record, values: Values, world: World) -> model.Forwarding | None:
    """The keys that are no longer requested and that objects of ours still need."""
    lost = [key for key, value in record.found.items() if key not in values and not is_on(value)]
    if not lost:
        return None
    from .needs import needs

    needed = needs(world)
    keys = [key for key in lost if key in needed]
    if not keys:
        return None
    before = together(record.asks)
    others = [ask for ask in record.asks if ask.asked_by != KEPT]
    gone = [ask for ask in others if state == "absent" and item.asked_by in (ask.asked_by, model.EVERYBODY)]
    for key in keys if gone else ():
        world.warn("%s stays 1: %s needs it." % (sysctl_name(key), needed[key]))
    links = [link for link in before.route_localnet if localnet_key(link) in keys]
    policy = stricter(ask.policy for ask in [*gone, *(ask for ask in record.asks if ask.asked_by == KEPT)])
    return model.Forwarding(IPV4 in keys, IPV6 in keys, tuple(links), before.persist, policy, KEPT)


def _restored(record: Record, decided: _Decision, world: World) -> Values:
    """The values to go back to, of keys that we changed and that are no longer requested.

    Forwarding comes first, as the host would lose advertised routes if it still forwarded.
    """
    result: Values = {}
    for key, value in sorted(record.found.items(), key=lambda pair: pair[0] not in (IPV4, IPV6)):
        there = world.sysctl(model.HOST, key)
        if key in decided.values or key == _REDIRECTS or there is None or _same(key, there, value):
            continue
        from .needs import relied_on

        holder = relied_on(world, key)
        if holder:
            world.warn("%s stays %s: %s." % (sysctl_name(key), there, holder))
        else:
            result[key] = value
    if IPV6 in record.found and IPV6 not in decided.values:
        from .advertisements import born_listening

        result.update(born_listening(record.found, world))
    return result


def _can_be_set(key: str, world: World) -> bool:
    """Whether a key can be written: its interface is there, or in check mode an earlier task would make it."""
    if not key.endswith(("/accept_ra", "/route_localnet")) or world.sysctl(model.HOST, key) is not None:
        return True
    return key in map(localnet_key, world.assumed("interface"))


def _same(key: str, there: str | None, wanted: str) -> bool:
    if _is_read_elsewhere(key, there):
        return True
    if there is None or not there.isdigit() or not wanted.isdigit() or key.endswith("/accept_ra"):
        return there == wanted
    return is_on(there) == is_on(wanted)


def _is_read_elsewhere(key: str, there: str | None) -> bool:
    """Whether another program has since turned off the kernel's reading of router advertisements, as systemd-networkd
    and NetworkManager do to read them themselves."""
    return there == "0" and key.endswith("/accept_ra")


# ---- steps


def _set_policy(decided: _Decision, world: World) -> None:
    rules = world.firewall
    there = rules.readable() and (rules.drop_foreign or rules.drop_transit)
    if decided.guarded or there:
        rules.use()
        rules.set_forward_policy(decided.drops, decided.transit)


def _tell_stricter(decided: _Decision, world: World) -> None:
    """Warn that a new request limits what another one leaves alone, or is limited by another one."""
    policy = decided.total.policy
    weaker = [ask for ask in decided.asks if ask.policy != policy and ask.asked_by != KEPT]
    if decided.guarded and weaker:
        asked = ["%s by %s" % (ask.policy, ask.asked_by) for ask in weaker]
        world.warn(
            "forward_policy: %s applies, as it is the strictest that is asked for, and not %s; ask for the same in both"
            " places." % (policy, model.enumerate_few(asked))
        )


def _write_steps(decided: _Decision, world: World) -> list[operations.Operation]:
    """The steps for the file. It comes before the first change, or a crash in between would lose the values found."""
    path, other = (PERSISTENT, VOLATILE) if decided.total.persist else (VOLATILE, PERSISTENT)
    text = spell(decided.record, _boot_lines(decided) if decided.total.persist else ())
    return common.file_steps(path, text, world) + _remove_steps(world, other, unfinished(path), unfinished(other))


def _boot_lines(decided: _Decision) -> list[str]:
    """The lines for the next boot.

    Our rules are not there at that time, so a host that must not forward for everybody does not forward before they
    are. Nothing can be set for interfaces that do not exist yet.
    """
    waiting = [model.FORWARDING[version] for version in sorted(decided.guarded)]
    lines = ["%s = %s" % (sysctl_name(k), v) for k, v in decided.values.items() if not k.endswith("/route_localnet")]
    later = ["%s = 1" % sysctl_name(key) for key in waiting if key in decided.values]
    return ["# not at boot, but with our rules: %s" % line if line in later else line for line in lines]


def _interface_steps(decided: _Decision, world: World) -> list[operations.Operation]:
    """The steps for interfaces that were turned off. ip_forward still says 1, so writing 1 changes nothing."""
    steps: list[operations.Operation] = []
    for version, key in model.FORWARDING.items():
        uplink = world.default_link(version)
        names = [link.name for link in world.links().values() if is_ours(link) and not link.master]
        for name in names + ([uplink] if uplink else []):
            own = "net/ipv%d/conf/%s/forwarding" % (version, name)
            if key in decided.values and world.sysctl(model.HOST, own) == "0":
                steps += common.sysctl_steps(model.HOST, [(own, "1")], world)
    return steps


def _remove_steps(world: World, *paths: str) -> list[operations.Operation]:
    return [step for path in paths for step in common.file_steps(path, None, world)]
