# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scope of a list of networks: its project, and which objects outside the list are removed."""

from __future__ import annotations

import typing as t

from .. import arguments, marks, model, parsing
from ..reading import read as read_options
from ..records import dataclass
from .spec import ARGUMENTS, LISTED, NONE, PROJECT

_POLICY = {"forward_policy": ARGUMENTS["forward_policy"]}

if t.TYPE_CHECKING:
    from .pools import Pool

# Whether an object with this label is removed unless it is wanted.
Goes = t.Callable[[str], bool]


@dataclass(frozen=True)
class Scope:
    """The options beside the list."""

    project: str = model.DEFAULT_PROJECT
    prune: str = LISTED
    state: str = "present"
    everything: bool = False  # remove everything of ours, of all projects and modules
    forward_policy: str = "auto"
    rest: bool = False  # only objects of kinds without a module
    service_removal: str = "restart"  # what to do with a unit that leaves its endpoint
    warns: bool = True  # of networks to remove that are not there
    pools: tuple[Pool, ...] = ()  # from which networks get subnets; empty: those of Docker

    @property
    def asker(self) -> str:
        """The name of the request for forwarding that the networks of the project need."""
        return "bridge_network" if self.project == model.DEFAULT_PROJECT else "bridge_network.%s" % self.project

    @property
    def may_be_empty(self) -> bool:
        """Whether an empty list makes sense."""
        return self.prune == PROJECT or self.everything

    def labels(self, names: t.Iterable[str]) -> frozenset[str]:
        """The labels of networks with these names."""
        return frozenset(marks.label(name, self.project) for name in names)

    def goes(self, names: t.Iterable[str]) -> Goes:
        """The labels that are removed, given the names in the list; never those of other projects, or an empty one."""
        if self.everything:
            return lambda noted: True
        if self.state == "present" and self.prune == NONE:
            return lambda noted: False
        if self.state == "present" and self.prune == PROJECT:
            return lambda noted: marks.name_of(noted) != "" and marks.project_of(noted) == self.project
        return self.labels(names).__contains__


BY_DEFAULT = Scope()


def read_scope(options: arguments.Options) -> Scope:
    """The scope by the options of bridge_network; raises InvalidRequest."""
    state = read_options("", arguments.STATE, {"state": options.get("state")})["state"]
    everything = bool(options.get("everything"))
    if everything and (state != "absent" or options.get("networks")):
        raise model.InvalidRequest("everything: it needs state absent and an empty list of networks only.")
    prune = _read_prune(options.get("prune"))
    policy = read_options("", _POLICY, {"forward_policy": options.get("forward_policy")})["forward_policy"] or "auto"
    project, pools = parsing.project("project", options.get("project")), _read_pools(options.get("pools"))
    rest = bool(options.get("rest"))
    removal = read_options("", arguments.SERVICE_REMOVAL, {"service_removal": options.get("service_removal")})[
        "service_removal"
    ]
    warns = options.get("warn") is not False and not rest
    return Scope(project, prune, state or "present", everything, policy, rest, removal or "restart", warns, pools)


def _read_pools(value: object) -> tuple[Pool, ...]:
    if value is None or value in ("", []):
        return ()
    from .pools import read_pools

    return read_pools(value)


def _read_prune(value: object) -> str:
    """The option prune. It deletes, so only its own words are accepted."""
    word = LISTED if value is None else value.lower() if isinstance(value, str) else value
    if word not in (LISTED, PROJECT, NONE):
        raise model.InvalidRequest(
            "prune: got %s; write listed (removes what networks in the list have beyond it), project (also removes the"
            " project's networks that are not in the list) or none (removes nothing)." % parsing.kind_of(value)
        )
    return str(word)
