# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter in one run: read once, changed as data by any number of objects, written once.

It also chooses the back-end, and takes over what another back-end of ours left on the host, so that moving a host
from one to another leaves no rule of the old one behind.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..model import BridgePolicy, FirewallState, Masquerade
from ..operations import ForgetFlows, Operation, PortFlows
from . import foreign
from .backend import Backend, FirewallError, Runner
from .iptables import IptablesBackend
from .legacy import LegacyBackend
from .nftables import NftablesBackend
from .port_table import PortTable

CHOICES = ("auto", "nftables", "iptables", "legacy")


@dataclass(frozen=True)
class _Source:
    """A back-end and what it has of ours."""

    backend: Backend
    raw: object
    state: FirewallState


class FirewallDesk:
    """Where the objects of a run leave what they want of the packet filter."""

    def __init__(self, run: Runner, choice: str = "auto") -> None:
        self._run = run
        self._choice = choice
        self._own: _Source | None = None
        self._others: list[_Source] = []
        self.policies: dict[str, BridgePolicy] = {}
        self.masquerades: dict[t.Any, Masquerade] = {}
        self.ports = PortTable()
        self.drop_foreign = False
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

    def foreign_nat(self, version: int) -> str:
        """Whose rules translate addresses beside ours, as a clause; empty when nobody's."""
        found = foreign.nat_rules(self._run, version)
        return "%s translates addresses" % found[0] if found else ""

    def dropping_chains(self) -> list[str]:
        """Chains of others that drop what our rules accept, each as a person would name it."""
        return sorted({chain for version in (4, 6) for chain in foreign.dropping_chains(self._run, version)})

    @property
    def backend(self) -> str:
        """The name of the back-end in use."""
        self.open()
        return self._source.backend.name

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

    def plan(self) -> list[Operation]:
        """The transactions: the new rules first, then the old back-end's away, so that nothing is open in between."""
        self.open()
        steps = self._source.backend.plan(self._source.raw, self.desired)
        for other in self._others:
            steps += other.backend.plan(other.raw, FirewallState())
        return steps + ([ForgetFlows(tuple(self.stale))] if self.stale else [])

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
        if self._choice == "auto":
            native, own = NftablesBackend(self._run), IptablesBackend(self._run)
            trouble = native.usable()
            if trouble is None:
                return native
            if own.usable() is None:
                return own
            raise FirewallError(
                "This host has neither a working nft nor a working iptables (%s); install the package nftables."
                % trouble
            )
        backend: Backend = {"nftables": NftablesBackend, "iptables": IptablesBackend, "legacy": LegacyBackend}[
            self._choice
        ](self._run)
        trouble = backend.usable()
        if trouble is not None:
            raise FirewallError("Back-end %s: %s" % (self._choice, trouble))
        return backend

    def _strangers(self, backend: Backend) -> list[Backend]:
        """Back-ends other than the chosen one that may have rules of ours; looking must not load what is not loaded."""
        result: list[Backend] = []
        if backend.name != "nftables" and NftablesBackend(self._run).usable() is None:
            result.append(NftablesBackend(self._run))
        for variant in ("nft", "legacy"):
            other = IptablesBackend(self._run, variant)
            if other.name != backend.name and other.has_rules_of_ours():
                result.append(other)
        return result
