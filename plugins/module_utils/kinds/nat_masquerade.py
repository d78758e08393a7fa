# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source translation of what leaves a subnet."""

from __future__ import annotations

import typing as t

from .. import arguments, engine, marks, model, parsing
from ..firewall.choice import BACKEND
from ..firewall.session import FirewallSession
from ..kernel.state import EgressFlows
from ..ownership import Holding, whose
from ..records import replace
from ..world import World
from . import common

# The word of the option for the interface of the default route. No interface can have this name here.
_DEFAULT_ROUTE = model.OutInterface("default")


def parse_out(value: str | None) -> model.OutInterface:
    """The option ``out_interface``."""
    if not value:
        return model.OutInterface()
    if value == _DEFAULT_ROUTE.name:
        return _DEFAULT_ROUTE
    inverted = value.startswith("!")
    return model.OutInterface(parsing.link_name("out_interface", value[1:].strip() if inverted else value), inverted)


class NatMasqueradeKind(engine.NetworkKind[model.Masquerade], engine.RuleKind[model.Masquerade]):
    """A masquerade, or SNAT to one address."""

    name = "nat_masquerade"
    ARGUMENTS: t.ClassVar[arguments.Arguments] = {
        **arguments.MASQUERADE,
        **arguments.WARN,
        **arguments.NETWORK,
        **BACKEND,
    }
    NAMES = ("exclude",)
    FAMILY = "source"

    def parse(self, options: arguments.Options) -> model.Masquerade:
        source = parsing.network("source", options["source"])
        exclude = parsing.networks("exclude", options.get("exclude"))
        to_source = None
        if options.get("to_source") is not None:
            to_source = parsing.source_address("to_source", options["to_source"])
        for value in exclude + (() if to_source is None else (to_source,)):
            if value.version != source.version:
                raise model.InvalidRequest("Masquerade of %s: %s is of the other address family." % (source, value))
        return model.Masquerade(
            source=source,
            out=parse_out(options.get("out_interface")),
            exclude=exclude,
            to_source=to_source,
            random_fully=bool(options.get("random_fully")),
            network=parsing.owner(options),
        )

    def check(self, items: t.Sequence[model.Masquerade]) -> None:
        common.refuse_repeated(model.capitalized(self.title(item)) for item in items)

    def title(self, item: model.Masquerade) -> str:
        return "masquerade of %s by %s" % (item.source, item.out if item.out.name else "any interface")

    def resolve(self, item: model.Masquerade, state: str, world: World) -> model.Masquerade:
        if item.out == _DEFAULT_ROUTE:
            uplink = world.default_link(item.source.version)
            if uplink is None:
                raise model.Conflict(
                    "Masquerade of %s: this host has no default route for IPv%d, so out_interface: default names no"
                    " interface; give its name." % (item.source, item.source.version)
                )
            return replace(item, out=model.OutInterface(uplink))
        named = state == "present" and item.out.name and not item.out.inverted
        if named and item.out.name not in world.links() and not world.restoring:  # at boot it may come later
            raise model.Conflict(
                "There is no interface %s on this host; out_interface takes the name of one that is there."
                % item.out.name
            )
        return item

    def holdings(self, item: model.Masquerade, state: str, world: World) -> t.Iterable[Holding]:
        there = world.firewall.masquerades.get(item.key)
        if there is not None:
            yield model.capitalized(self.title(there)), there.network
        if state == "present" and not world.restoring:
            yield from self._translated(item, world)

    @staticmethod
    def _translated(item: model.Masquerade, world: World) -> t.Iterable[Holding]:
        """The networks whose way out it would change.

        One that belongs to no network may be as wide as the host needs it: masquerades of networks come before it.
        """
        policy = world.firewall.policies.get(item.out.name)
        if policy is not None and item.source in policy.subnets:
            return [("Bridge %s" % policy.bridge, policy.network)]  # and no other, as subnets do not overlap
        concerns = model.overlap if item.network else model.lies_in
        return common.of_other_projects(item.network, lambda subnet: concerns(item.source, subnet), world)

    def stored(self, item: model.Masquerade, world: World) -> engine.Stored:
        return engine.Stored(self.describe(item))

    def observed(self, item: model.Masquerade, world: World) -> engine.Description:
        world.firewall.use()
        there = world.firewall.masquerades.get(item.key)
        return None if there is None else self.describe(there)

    def wanted(self, item: model.Masquerade, observed: engine.Description, world: World) -> engine.Description:
        return self.describe(item)

    def doubts(self, item: model.Masquerade, world: World) -> t.Iterable[str]:
        from .doubts import of_masquerade

        return of_masquerade(item, world)

    def remark(self, item: model.Masquerade, world: World) -> None:
        link = item.out.name
        if item.out.inverted and link not in world.links() and not _is_foreseen(item, world):
            text = "There is no interface %s on this host now, so out_interface: '!%s' excludes nothing, for: %%s."
            world.remark(text % (link, link), _from(item), item.key)
        common.remark_port(link, "out_interface", _from(item), item.key, world)
        if item.to_source is not None:
            text = "This host does not have the address %s now, so packets that leave with it get no answers: %%s."
            common.remark_address(item.to_source, text, _from(item), item.key, world)

    @staticmethod
    def describe(item: model.Masquerade) -> dict[str, object]:
        """The object in the words of the options."""
        return common.compact(
            source=str(item.source),
            out_interface=str(item.out) or None,
            exclude=[str(network) for network in item.exclude],
            to_source=None if item.to_source is None else str(item.to_source),
            random_fully=item.random_fully,
            **common.belongs(item.network),
        )

    def change(self, item: model.Masquerade, state: str, rules: FirewallSession, world: World) -> None:
        there = rules.masquerades.pop(item.key, None)
        if state == "absent" and there is not None:
            rules.withdrawn.append(there)
        if state == "present":
            rules.masquerades[item.key] = item
            if _translates_otherwise(there, item) and _may_have_flows(item, world):
                rules.stale.append(EgressFlows(item, there.to_source if there is not None else None))


def _translates_otherwise(there: model.Masquerade | None, item: model.Masquerade) -> bool:
    """Whether a flow keeps a translation, or the lack of one, that a new one would not get."""
    return there is None or (there.exclude, there.to_source) != (item.exclude, item.to_source)


def _may_have_flows(item: model.Masquerade, world: World) -> bool:
    """Whether the subnet may have been there before this run. Rules may come first, so they do not tell."""
    there = any(address.ip in item.source for address in world.addresses())
    return there or not marks.name_of(item.network) or item.network in world.labels()


def _is_foreseen(item: model.Masquerade, world: World) -> bool:
    """Whether the interface may still come: in check mode an earlier task may make it, if the network is new."""
    return world.restoring or (world.check_mode and (not item.network or item.network not in world.labels()))


def _from(item: model.Masquerade) -> str:
    """The source and the network of a masquerade, for warnings."""
    network = whose(item.network)
    return "%s of %s" % (item.source, network) if network else str(item.source)
