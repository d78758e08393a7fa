# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter in one run: it is read once, changed as data by any number of objects, and written once.

It also chooses the back-end, and takes over what another back-end of ours left on the host, so that moving a host
from one to another leaves no rule of the old one behind.
"""

from __future__ import annotations

import functools
import typing as t

from .. import marks, model
from ..kernel.netfilter import Netfilter
from ..kernel.state import Flows, Link, WithdrawnFlows
from ..records import dataclass, replace
from .backend import Backend, BaseChain, FirewallError, NoPacketFilter, Snapshot
from .choice import choose, others
from .foreign.reader import Around, Foreign
from .port_table import PortTable

if t.TYPE_CHECKING:
    from .. import operations
    from .coexist.base import Measures
    from .foreign.captures import Captures

# From a version of IP to the link of the host's default route.
DefaultLink = t.Callable[[int], t.Optional[str]]


@dataclass(frozen=True)
class _Source:
    """A back-end and what it has of ours."""

    backend: Backend
    raw: object
    state: model.FirewallState


def _with_outsiders(state: model.FirewallState, links: t.Iterable[Link]) -> model.FirewallState:
    """A state with the links that packets of others use, if it has to stop such packets."""
    if not state.drop_transit:
        return state
    return replace(state, outsiders=frozenset(link.name for link in links if _is_outsider(link)))


def _in_transition(current: model.FirewallState, desired: model.FirewallState) -> model.FirewallState:
    """The desired state, with what the current one keeps closed and translated until addresses have left."""
    if current.policies <= desired.policies and current.masquerades <= desired.masquerades:
        return desired
    from . import transition

    return replace(
        desired,
        policies=transition.policies(current.policies, desired.policies),
        masquerades=transition.masquerades(current.masquerades, desired.masquerades),
    )


def _is_outsider(link: Link) -> bool:
    """Whether a link is neither ours nor a bridge. Ports of bridges do not count: packets come in by the bridge."""
    return (
        link.group not in (marks.LINK_GROUP, marks.DOOMED_GROUP)
        and link.name != "lo"
        and not link.master
        and link.kind != "bridge"
    )


def _uplinks(default_link: DefaultLink) -> set[str]:
    found = (default_link(version) for version in (4, 6))
    return {link for link in found if link is not None}


def _around(default_link: DefaultLink, links: t.Mapping[str, Link]) -> Around:
    return Around(functools.partial(_uplinks, default_link), links)


class FirewallSession:
    """Collects what the objects of a run want of the packet filter."""

    def __init__(self, netfilter: Netfilter, choice: str = "auto") -> None:
        self._netfilter = netfilter
        self._choice = choice
        self.foreign = Foreign(netfilter)
        self._captures: dict[int, Captures] = {}  # ports of the host that rules of others take, by IP version
        self._chosen: _Source | None = None
        self._others: list[_Source] = []
        self.policies: dict[str, model.BridgePolicy] = {}
        self.masquerades: dict[tuple[model.Network, model.OutInterface], model.Masquerade] = {}
        self.ports = PortTable()
        self.drop_foreign = False
        self.drop_transit: frozenset[int] = frozenset()
        self.in_use = False
        self.revision = 0  # counts changes of the wanted rules by objects of other kinds
        self.left: list[str] = []  # the back-ends whose rules the plan removes
        self.stale: list[Flows] = []  # those whose translation has become wrong
        self.withdrawn: list[model.Masquerade] = []  # those of this run, whose flows are still translated
        # ports that get another target in this run, as they were before it, by their keys
        self.moved: dict[tuple[int, model.Address | None, str, model.PortRange], model.PublishedPort] = {}

    def open(self) -> None:
        """Choose the back-end and read the rules; FirewallError if no back-end works."""
        if self._chosen is not None:
            return
        if self._netfilter.has_firewalld():
            from .coexist.turn import settled

            settled(self._netfilter)
        backend = self._choose()
        chosen = self._load(backend)
        self._others = [other for other in map(self._load, self._left_behind(backend)) if other.raw]
        self._chosen = chosen
        current = self.current
        self.policies = {policy.bridge: policy for policy in current.policies}
        self.masquerades = {masquerade.key: masquerade for masquerade in current.masquerades}
        # the order of a set differs from run to run, and messages name ports in the order of the table
        self.ports = PortTable(sorted(current.ports, key=lambda port: (port.host_ports.first, port.protocol)))
        self.drop_foreign = current.drop_foreign
        self.drop_transit = current.drop_transit

    @property
    def is_open(self) -> bool:
        """Whether this run has read the packet filter."""
        return self._chosen is not None

    def readable(self) -> bool:
        """Open the packet filter if the host has one; FirewallError if it fails, as it may hold rules of ours."""
        try:
            self.open()
        except NoPacketFilter:
            return False
        return True

    def use(self) -> None:
        """Open the packet filter, and let this run bring it to the desired state."""
        self.open()
        self.in_use = True

    def set_forward_policy(self, drop: bool, transit: frozenset[int]) -> None:
        """Set whether to drop what neither enters nor leaves a network of ours: all of it, or in the versions of IP in
        ``transit``, what concerns no bridge of others either.
        """
        if (drop, transit) != (self.drop_foreign, self.drop_transit):
            self.drop_foreign, self.drop_transit = drop, transit
            self.revision += 1

    def port_holder(self, port: model.PublishedPort, local: t.Callable[[], t.Container[bytes]]) -> str:
        """The owner of a rule that redirects a port of the host, as a clause; empty if there is none."""
        version = port.container_ip.version
        if self.foreign.nft_works() and not self.foreign.nat_tables(version):
            return ""
        if version not in self._captures:
            from .foreign.captures import Captures

            self._captures[version] = Captures(self.foreign, version)
        return self._captures[version].holder(port, local)

    def foreign_nat(self, version: int) -> str:
        """The owner of other rules that translate addresses, as a clause; empty if there are none."""
        found = self.foreign.nat_tables(version)
        if not found:
            return ""
        from .foreign.rules import table_in_words

        return "%s translates addresses" % table_in_words(found[0])

    def obstacles(self, default_link: DefaultLink, links: t.Mapping[str, Link]) -> list[str]:
        """Rules of others that override our present rules, a sentence each."""
        if self.foreign.is_alone():
            return list(self.foreign.troubles)
        from .coexist.plan import measures
        from .foreign.obstacles import obstacles

        state = self.current
        found = measures(self.foreign, state, state, self._jumps())
        passed = {(base, way) for base, way in found.passed if base not in found.missing}
        there = obstacles(self.foreign, state, self._holder, _around(default_link, links), passed, thorough=True)
        return [*there, *self.foreign.troubles]

    def possible_drops(
        self, default_link: DefaultLink, links: t.Mapping[str, Link]
    ) -> tuple[tuple[model.PossibleDrop, ...], int]:
        """Rules of others that may drop what our present rules let through, and the number of those left out."""
        if self.foreign.is_alone():
            return (), 0
        from .foreign.obstacles import possible_drops

        return possible_drops(self.foreign, self.current, _around(default_link, links))

    def coexist(
        self, default_link: DefaultLink, links: t.Mapping[str, Link], warn: t.Callable[[str], None]
    ) -> Measures | None:
        """The steps in the places that other firewalls have for rules like ours; warns of obstacles."""
        self.open()
        for source in self._sources:
            if source is not self._chosen or not self.policies:
                staying = source.backend.user_rules(source.raw)
                if staying:
                    warn(staying)
        if self.foreign.is_alone():
            self._warn_of_troubles(warn)
            return None
        from .coexist.plan import measures
        from .foreign.obstacles import obstacles

        desired = self.desired
        backend = self._source.backend
        jumps = backend.jumps(backend.expected(desired))
        found = measures(self.foreign, self.current, desired, jumps)
        if desired.policies or desired.masquerades or desired.ports:
            around = _around(default_link, links)
            after = {**jumps, **dict.fromkeys(backend.kept_jumps(self._source.raw, desired))}
            for obstacle in obstacles(self.foreign, desired, self._holder, around, found.passed, jumps=after):
                warn(obstacle + ".")
        self._warn_of_troubles(warn)
        return found

    def _warn_of_troubles(self, warn: t.Callable[[str], None]) -> None:
        for trouble in self.foreign.troubles:
            warn(trouble + ".")

    def move(self) -> str:
        """The old and the new back-end of our rules, in words; empty if they stay with theirs."""
        return "from %s to %s" % (" and ".join(self.left), self._source.backend.name) if self.left else ""

    def doubt_of_move(self) -> str:
        """A warning that ``auto`` moves rules to where another call may not want them; empty if it moves none."""
        if not self.left or self._choice != "auto" or self.desired == model.FirewallState():
            return ""
        return (
            "The rules of this collection move %s, as this call leaves the choice of the back-end to 'auto'. A call"
            " that names %s moves them back, so give every call the same back-end: by the variable"
            " bridge_network_backend, and for single modules by module_defaults or the option backend."
            % (self.move(), " or ".join(self.left))
        )

    @property
    def backend(self) -> str:
        """The name of the back-end that has our rules, or that would get them."""
        self.open()
        return self._holder.name

    @property
    def chosen(self) -> str:
        """The name of the back-end that this run writes with."""
        return self._source.backend.name

    @property
    def _holder(self) -> Backend:
        holders = [source for source in self._sources if source.raw]
        return (holders or self._sources)[0].backend

    @property
    def current(self) -> model.FirewallState:
        """Our present rules, in whichever back-end they are."""
        states = [source.state for source in self._sources]
        return model.FirewallState(
            policies=frozenset().union(*(state.policies for state in states)),
            masquerades=frozenset().union(*(state.masquerades for state in states)),
            ports=frozenset().union(*(state.ports for state in states)),
            drop_foreign=any(state.drop_foreign for state in states),
            drop_transit=frozenset().union(*(state.drop_transit for state in states)),
        )

    def altered(self, drop_foreign: bool, drop_transit: frozenset[int]) -> list[str]:
        """The names of chains and sets that differ from what the rest of our rules, and this policy, demand."""
        found = []
        for source in self._sources:
            state = source.state
            if source.backend is self._holder:
                drops = state.drop_foreign or drop_foreign
                state = replace(state, drop_foreign=drops, drop_transit=state.drop_transit | drop_transit)
            found += source.backend.altered(source.raw, state)
        return found

    def drops(self) -> list[model.Drop]:
        """The number of packets that our rules have dropped, for each reason and network."""
        return [drop for source in self._sources for drop in source.backend.drops(source.raw)]

    def labels(self) -> set[str]:
        """The labels of our present rules."""
        state = self.current
        rules = [item.network for item in state.policies] + [item.network for item in state.masquerades]
        return {*rules, *(item.network for item in state.ports)}

    @property
    def desired(self) -> model.FirewallState:
        """The rules that there will be, with the changes of this run."""
        return model.FirewallState(
            frozenset(self.policies.values()),
            frozenset(self.masquerades.values()),
            frozenset(self.ports),
            self.drop_foreign,
            self.drop_transit,
        )

    def plan(
        self, waits: bool = False, links: t.Iterable[Link] = ()
    ) -> tuple[list[operations.Operation], list[operations.Operation]]:
        """The transactions that come before all other steps, and those that come once links have changed.

        If the run ``waits`` for other steps, subnets that leave stay closed and translated until then. The traffic of
        others is dropped until the host has ceased to forward. New rules come before an old back-end's go, so that
        nothing is open in between.
        """
        self.open()
        source, current, desired = self._source, self.current, self.desired
        held = replace(
            _in_transition(current, desired) if waits else desired,
            drop_foreign=desired.drop_foreign or current.drop_foreign,
            drop_transit=desired.drop_transit | current.drop_transit,
        )
        first, desired = _with_outsiders(held, links), _with_outsiders(desired, links)
        steps = source.backend.plan(source.raw, first)
        for other in self._others:
            gone = other.backend.plan(other.raw, model.FirewallState())
            if gone:
                self.left.append(other.backend.name)
            steps += gone
        if self.stale:
            from .. import operations

            steps.append(operations.ForgetFlows(tuple(self.stale)))
        late = source.backend.plan(source.backend.expected(first), desired) if first != desired else []
        return steps, late + self._forget_withdrawn([address.ip for link in links for address in link.addresses])

    def _forget_withdrawn(self, addresses: t.Sequence[model.Address]) -> list[operations.Operation]:
        """The step for flows from subnets that stay, and lose a masquerade; it comes when nothing translates them."""
        staying = [
            item
            for item in self.withdrawn
            if not marks.name_of(item.network) or any(address in item.source for address in addresses)
        ]
        if not staying:
            return []
        from .. import operations

        return [operations.ForgetFlows(tuple(map(self._withdrawn_flows, staying)))]

    def _withdrawn_flows(self, gone: model.Masquerade) -> WithdrawnFlows:
        others = [item for item in self.masquerades.values() if model.overlap(item.source, gone.source)]
        return WithdrawnFlows(gone, tuple(sorted(others, key=lambda item: item.order)))

    def follow(self, links: t.Iterable[Link]) -> None:
        """Take the wanted rules for those that are there, as they are for the next task of a run in check mode."""
        if self._chosen is None:
            return
        backend, desired = self._chosen.backend, self.desired
        if self.in_use:
            self._chosen = _Source(backend, backend.expected(_with_outsiders(desired, links)), desired)
            self._others = []
        self.in_use = False
        self.revision = 0
        self.left, self.stale, self.withdrawn, self.moved = [], [], [], {}

    def in_turn(self, steps: list[operations.Operation], is_first: bool = False) -> list[operations.Operation]:
        """The steps, with a wait for firewalld before them if that runs here and some of them write by iptables.

        If they are the first steps of the run, the wait raises Outdated when rules have changed since they were read.
        """
        if not any(step.by_iptables for step in steps) or not self._netfilter.has_firewalld():
            return steps
        from .coexist.turn import AwaitFirewalld

        return [AwaitFirewalld(self._is_current if is_first else None), *steps]

    def _is_current(self) -> bool:
        return all(source.backend.state(source.backend.read()) == source.state for source in self._sources)

    def snapshot(self, links: t.Iterable[Link]) -> list[Snapshot]:
        """The wanted rules as files."""
        return self._source.backend.snapshot(_with_outsiders(self.desired, links))

    @property
    def _source(self) -> _Source:
        if self._chosen is None:
            raise FirewallError("The packet filter has not been read.")
        return self._chosen

    @property
    def _sources(self) -> list[_Source]:
        """The chosen back-end, and the others that have rules of ours."""
        return [self._source, *self._others]

    def _jumps(self) -> dict[BaseChain, int]:
        """The present number of our rules at the top of each base chain of others."""
        return {base: n for source in self._sources for base, n in source.backend.jumps(source.raw).items()}

    @staticmethod
    def _load(backend: Backend) -> _Source:
        raw = backend.read()
        return _Source(backend, raw, backend.state(raw))

    def _choose(self) -> Backend:
        return choose(self._choice, self._netfilter, self.foreign)

    def _left_behind(self, chosen: Backend) -> t.Iterable[Backend]:
        return others(chosen, self._netfilter, self.foreign)
