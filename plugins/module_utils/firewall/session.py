# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter in one run: read once, changed as data by any number of objects, written once.

It also chooses the back-end, and takes over what another back-end of ours left on the host, so that moving a host
from one to another leaves no rule of the old one behind.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..kernel.host import Host
from ..kernel.state import Link, PortFlows
from ..model import BridgePolicy, FirewallState, Masquerade
from ..operations import ForgetFlows, Operation
from .backend import Backend, FirewallError, Runner
from .foreign import Foreign
from .port_table import PortTable

if t.TYPE_CHECKING:
    from .hooks import Measures

# A module is compiled anew on the managed host at each call: what a run does not use is not imported.


def _nftables(run: Runner) -> Backend:
    from .nftables import NftablesBackend

    return NftablesBackend(run)


def _iptables(run: Runner, variant: str = "auto") -> Backend:
    from .iptables import IptablesBackend

    return IptablesBackend(run, variant)


def _uplinks(host: Host) -> set[str]:
    found = (host.default_link(version) for version in (4, 6))
    return {link for link in found if link is not None}


def legacy_is_loaded() -> bool:
    """Whether the kernel has legacy tables; asking them would load them."""
    for path in ("/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"):
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip():
                    return True
        except OSError:
            continue
    return False


def _legacy(run: Runner) -> Backend:
    from .legacy import LegacyBackend

    return LegacyBackend(run)


@dataclass(frozen=True)
class _Source:
    """A back-end and what it has of ours."""

    backend: Backend
    raw: object
    state: FirewallState


def _beside(policy: BridgePolicy, others: t.Collection[BridgePolicy]) -> BridgePolicy:
    """A policy without the subnets that another one has by now, in another size: a set takes no two that overlap."""
    taken = [subnet for other in others for subnet in other.subnets]
    return replace(
        policy,
        subnets=tuple(
            mine
            for mine in policy.subnets
            if not any(mine != theirs and mine.version == theirs.version and mine.overlaps(theirs) for theirs in taken)
        ),
    )


class FirewallSession:
    """Where the objects of a run leave what they want of the packet filter."""

    def __init__(self, run: Runner, choice: str = "auto") -> None:
        self._run = run
        self._choice = choice
        self.foreign = Foreign(run)
        self._own: _Source | None = None
        self._others: list[_Source] = []
        self.policies: dict[str, BridgePolicy] = {}
        self.masquerades: dict[t.Any, Masquerade] = {}
        self.ports = PortTable()
        self.drop_foreign = False
        self.in_use = False
        self.revision = 0  # goes up when what is wanted changes by something that is not an object of the rules
        self.stale: list[PortFlows] = []  # flows that must not go on as they began

    def open(self) -> None:
        """Choose the back-end and read; FirewallError when none works."""
        if self._own is not None:
            return
        backend = self._choose()
        self._own = self._load(backend)
        others = (self._load(other) for other in self._strangers(backend))
        self._others = [other for other in others if other.raw]
        current = self.current
        self.policies = {policy.bridge: policy for policy in current.policies}
        self.masquerades = {masquerade.key: masquerade for masquerade in current.masquerades}
        self.ports = PortTable(current.ports)
        self.drop_foreign = current.drop_foreign

    @property
    def is_open(self) -> bool:
        """Whether anything of this run has looked at the packet filter."""
        return self._own is not None

    def readable(self) -> bool:
        """Open it when that is possible; for those who can do without."""
        try:
            self.open()
        except FirewallError:
            return False
        return True

    def use(self) -> None:
        """Open it, and have this run bring it to what is desired."""
        self.open()
        self.in_use = True

    def set_drop_foreign(self, drop: bool) -> None:
        """Whether what neither enters nor leaves a network of ours is to be dropped."""
        if drop != self.drop_foreign:
            self.drop_foreign = drop
            self.revision += 1

    def foreign_nat(self, version: int) -> str:
        """Whose rules translate addresses beside ours, as a clause; empty when nobody's."""
        found = self.foreign.nat_tables(version)
        return "%s translates addresses" % found[0] if found else ""

    def obstacles(self, host: Host, links: t.Mapping[str, Link]) -> list[str]:
        """What of others overrides our rules as they are now, a sentence each."""
        if self.foreign.is_alone():
            return []
        from .hooks import measures
        from .obstacles import facts

        state = self.current
        found = measures(self.foreign, state, state, self.backend, host, links)
        opened = {(base, way) for base, way in found.opened if base not in found.missing}
        return facts(self.foreign, state, self.backend, lambda: _uplinks(host), opened)

    def coexist(self, host: Host, links: t.Mapping[str, Link], warn: t.Callable[[str], None]) -> Measures | None:
        """What there is to do in the places that other packet filters have for rules like ours; warns of obstacles."""
        self.open()
        for source in [self._source, *self._others]:
            kept = source.backend.kept(source.raw) if source is not self._own or not self.policies else ""
            if kept:
                warn(kept)
        if self.foreign.is_alone():
            return None
        from .hooks import measures
        from .obstacles import facts

        desired = self.desired
        found = measures(self.foreign, self.current, desired, self.backend, host, links)
        if desired.policies or desired.masquerades or desired.ports:
            for fact in facts(self.foreign, desired, self.backend, lambda: _uplinks(host), found.opened):
                warn(fact + ".")
        return found

    @property
    def backend(self) -> str:
        """The name of the back-end that has our rules; of the one that would be used while there are none."""
        self.open()
        holders = [source for source in [self._source, *self._others] if source.raw]
        return (holders or [self._source])[0].backend.name

    @property
    def current(self) -> FirewallState:
        """What of ours is in the packet filter now, wherever it is."""
        states = [source.state for source in [self._source, *self._others]]
        return FirewallState(
            policies=frozenset().union(*(state.policies for state in states)),
            masquerades=frozenset().union(*(state.masquerades for state in states)),
            ports=frozenset().union(*(state.ports for state in states)),
            drop_foreign=any(state.drop_foreign for state in states),
        )

    @property
    def desired(self) -> FirewallState:
        """What is to be there, with the changes of this run."""
        return FirewallState(
            frozenset(self.policies.values()),
            frozenset(self.masquerades.values()),
            frozenset(self.ports),
            self.drop_foreign,
        )

    def plan(self, leaving: t.Collection[str] = ()) -> tuple[list[Operation], list[Operation]]:
        """The transactions that come before anything else, and those for when links are gone.

        A bridge that is ``leaving`` keeps its policy until it has left. New rules come before an old back-end's go, so
        that nothing is open in between.
        """
        self.open()
        source, desired = self._source, self.desired
        gone = [policy for policy in self.current.policies if policy.bridge in leaving]
        kept = [_beside(policy, desired.policies) for policy in gone if policy not in desired.policies]
        first = replace(desired, policies=desired.policies | frozenset(kept))
        steps = source.backend.plan(source.raw, first)
        for other in self._others:
            steps += other.backend.plan(other.raw, FirewallState())
        if self.stale:
            steps.append(ForgetFlows(tuple(self.stale)))
        return steps, source.backend.plan(source.backend.expected(first), desired) if kept else []

    @property
    def _source(self) -> _Source:
        if self._own is None:
            raise FirewallError("The packet filter has not been read.")
        return self._own

    @staticmethod
    def _load(backend: Backend) -> _Source:
        raw = backend.read()
        return _Source(backend, raw, backend.state(raw))

    def _choose(self) -> Backend:
        """The back-end asked for, with what it read; a look is also the proof that it works."""
        if self._choice != "auto":
            backend = {"nftables": _nftables, "iptables": _iptables, "legacy": _legacy}[self._choice](self._run)
            trouble = backend.usable()
            if trouble is not None:
                raise FirewallError("Back-end %s: %s" % (self._choice, trouble))
            return backend
        native = _nftables(self._run)
        trouble = native.usable()
        if trouble is None:
            return native
        own = _iptables(self._run)
        if own.usable() is None:
            return own
        raise FirewallError(
            "This host has neither a working nft nor a working iptables (%s); install the package nftables." % trouble
        )

    def _strangers(self, backend: Backend) -> list[Backend]:
        """Back-ends beside the chosen one that have rules of ours; looking loads nothing that is not loaded."""
        others: list[Backend] = []
        if backend.name != "nftables":
            native = _nftables(self._run)
            others += [native] if native.usable() is None else []
        # nft, where it works, sees at once what the nf_tables variant of iptables has
        unseen = backend.name != "nftables" or self.foreign.nft_sees_ours_in_iptables()
        if backend.name != "iptables" and unseen:
            others.append(_iptables(self._run, "nft"))
        if backend.name != "legacy" and legacy_is_loaded():
            others.append(_iptables(self._run, "legacy"))
        return [other for other in others if other.usable() is None]
