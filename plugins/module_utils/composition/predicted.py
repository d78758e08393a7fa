# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridges that earlier calls of the same run would have made, which check mode does not find on the host.

Several lists of a play must not get the same subnet. A real run sees the bridges of the earlier ones; in check mode,
each call of the role hands over what it would have made to the next one.
"""

from __future__ import annotations

import typing as t

from .. import arguments, model, parsing
from ..reading import read_list
from ..records import replace
from ..report import HostReport, NetworkReport
from .scope import Goes

_BRIDGE: arguments.Arguments = {
    "name": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str"},
    **arguments.NETWORK,
}
_TITLE = "bridge "


def read_predicted(value: object) -> tuple[NetworkReport, ...]:
    """The option predicted; raises InvalidRequest."""
    option = {"type": "list", "elements": "dict", "options": _BRIDGE}
    return tuple(map(_read, read_list("", "predicted", option, value or [])))


def _read(item: arguments.Options) -> NetworkReport:
    addresses = parsing.interfaces("predicted", item["addresses"] or ())
    subnets = tuple(address.network for address in addresses)
    return NetworkReport(item["name"], parsing.owner(item), addresses=addresses, subnets=subnets)


def with_predicted(report: HostReport, predicted: t.Sequence[NetworkReport]) -> HostReport:
    """The report of a host, with the bridges that are not there yet."""
    there = {network.bridge for network in report.networks}
    networks = [*report.networks, *(network for network in predicted if network.bridge not in there)]
    return replace(report, networks=tuple(sorted(networks, key=lambda network: network.bridge)))


def refuse_overlaps(policies: t.Iterable[model.BridgePolicy], predicted: t.Sequence[NetworkReport], goes: Goes) -> None:
    """Raise Conflict as the run itself would, which finds the policies of these bridges."""
    from ..engine import naming
    from ..kinds.bridge_firewall import refuse_overlap
    from ..ownership import whose

    staying = [network for network in predicted if not goes(network.network)]
    others = [model.BridgePolicy(network.bridge, network.subnets, network=network.network) for network in staying]
    for policy in policies:
        for other in others:
            if other.bridge != policy.bridge:
                with naming(whose(policy.network)):
                    refuse_overlap(policy, other)


def for_the_next(
    predicted: t.Sequence[NetworkReport], goes: Goes, objects: t.Sequence[t.Mapping[str, t.Any]]
) -> tuple[dict[str, object], ...]:
    """The option predicted of the next call, given the objects of this one."""
    decided = {item["title"] for item in objects}
    staying = (network for network in predicted if not goes(network.network))
    kept = [_spelled(network) for network in staying if _TITLE + network.bridge not in decided]
    names = ("name", "addresses", "network", "project")
    made = [item for item in objects if item["title"].startswith(_TITLE) and item.get("addresses")]
    return (*kept, *({name: item[name] for name in names if name in item} for item in made))


def _spelled(network: NetworkReport) -> dict[str, object]:
    from ..kinds import common

    return common.compact(
        name=network.bridge, addresses=model.spelled(network.addresses), **common.belongs(network.network)
    )
