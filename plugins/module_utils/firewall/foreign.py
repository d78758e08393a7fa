# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in the packet filter that matters to us. Looks only, loads nothing by looking, and looks once."""

from __future__ import annotations

import json
import os
import typing as t

from ..marks import COLLECTION
from ..model import Address, FirewallState, PortRange, PublishedPort
from .backend import CHAIN_PREFIX, FirewallError, Runner
from .nft_table import FAMILY, NAME

if t.TYPE_CHECKING:
    from .foreign_rules import Capture, Chain, Rule, Table

Json = t.Any
# A base chain: its store, family, table and name.
Base = tuple[str, str, str, str]

_LEGACY_TABLES = {4: "/proc/thread-self/net/ip_tables_names", 6: "/proc/thread-self/net/ip6_tables_names"}
_FAMILY = {4: "ip", 6: "ip6"}
# Where Docker and ufw want the rules of others to be; what is there is judged by who puts ours there.
HOOK_CHAINS = ("DOCKER-USER", "ufw-user-forward", "ufw6-user-forward")
UFW_RULES = "/etc/ufw/user.rules"
ZONE_FILE = "/etc/firewalld/zones/dockerless.xml"


def home(backend: str) -> frozenset[Base]:
    """The base chains of others in which a back-end has rules of ours, so that our accept is the last word there."""
    store = {"iptables": "nft", "legacy": "legacy"}.get(backend)
    return frozenset((store, family, "filter", "FORWARD") for family in _FAMILY.values()) if store else frozenset()


class Foreign:
    """What others have in the packet filter of this host."""

    def __init__(self, run: Runner) -> None:
        self.run = run
        self._chains: list[Json] | None = None
        self._tables: list[Table] | None = None
        self._saved: dict[tuple[str, int, str], str] = {}
        self._captures: dict[int, _Captures] = {}
        self._nft_works = False

    # ---- what is there

    def chains(self) -> list[Json]:
        """The chains that nft sees, which cost next to nothing to list."""
        if self._chains is None:
            listed = self._json(["nft", "-j", "list", "chains"])
            self._nft_works = bool(listed)  # even of nothing it tells its version
            self._chains = [item["chain"] for item in listed if "chain" in item]
        return self._chains

    def nft_sees_ours_in_iptables(self) -> bool:
        """Whether the nf_tables variant of iptables has chains of ours."""
        return any(chain["name"].startswith(CHAIN_PREFIX) for chain in self.chains())

    def has_chain(self, family: str, table: str, name: str) -> bool:
        """Whether nft sees a chain of this name."""
        return any((c["family"], c["table"], c["name"]) == (family, table, name) for c in self.chains())

    def is_alone(self) -> bool:
        """Whether nobody else on this host can matter to us."""
        return not (self._has_tables() or _ufw_has_ours() or os.path.exists(ZONE_FILE))

    def tables(self) -> list[Table]:
        """The tables of others; those of nft only when one of their chains is where our packets pass."""
        if self._tables is None:
            self._tables = self._read_tables() if self._has_tables() else []
        return self._tables

    def _read_tables(self) -> list[Table]:
        from .foreign_rules import from_nft, from_save

        listed = self._json(["nft", "-j", "-t", "list", "ruleset"]) if self._in_our_way() else []
        found = from_nft(listed, (FAMILY, NAME))
        for version in (4, 6):
            for name in ("filter", "nat"):
                found += from_save(self.saved("legacy", version, name), "legacy", version)
        return found

    def _has_tables(self) -> bool:
        return self._in_our_way() or any(legacy_tables(version) for version in (4, 6))

    def _in_our_way(self) -> bool:
        return any(
            (chain["family"], chain["table"]) != (FAMILY, NAME)
            and chain["family"] in ("ip", "ip6", "inet")
            and (chain.get("hook") == "forward" or chain.get("type") == "nat")
            for chain in self.chains()
        )

    def saved(self, store: str, version: int, table: str) -> str:
        """What iptables-save prints of a table; empty when there is none. Listing a legacy table would load it."""
        key = (store, version, table)
        if key not in self._saved:
            there = store == "nft" or table in legacy_tables(version)
            tool = "%s-%s-save" % ("iptables" if version == 4 else "ip6tables", store)
            self._saved[key] = self._output([tool, "-t", table]) if there else ""
        return self._saved[key]

    def table(self, store: str, family: str, name: str) -> Table | None:
        """One table of others."""
        for table in self.tables():
            if (table.store, table.family, table.name) == (store, family, name):
                return table
        return None

    def _json(self, argv: t.Sequence[str]) -> list[Json]:
        out = self._output(argv)
        return list(json.loads(out)["nftables"]) if out else []

    def _output(self, argv: t.Sequence[str]) -> str:
        try:
            rc, out, unused = self.run(argv, None)
        except (FirewallError, OSError):
            return ""
        return out if rc == 0 else ""

    def forwarding(self, versions: t.Container[int]) -> t.Iterator[tuple[Table, Chain]]:
        """The chains of others that judge forwarded packets."""
        for table in self.tables():
            if any(version in versions and table.concerns(version) for version in (4, 6)):
                for chain in table.chains.values():
                    if chain.hook == "forward" and chain.kind == "filter":
                        yield table, chain

    # ---- who else translates addresses

    def nat_tables(self, version: int) -> list[Table]:
        """The tables of others with rules that translate addresses of a family."""
        return [
            table
            for table in self.tables()
            if table.concerns(version) and any(rule.translates for c in table.chains.values() for rule in c.rules)
        ]

    def both_kinds(self, version: int, backend: str, state: FirewallState) -> str:
        """A sentence when rules of nf_tables and legacy rules translate addresses side by side."""
        found: dict[str, list[str]] = {"nft": [], "legacy": []}
        for table in self.nat_tables(version):
            found[table.store].append(str(table))
        if translates(state, version):
            found["legacy" if backend == "legacy" else "nft"].append("this collection (back-end %s)" % backend)
        if not found["nft"] or not found["legacy"]:
            return ""
        return (
            "%s (nf_tables) and %s (legacy) both translate IPv%d addresses; which of two rules for a packet decides"
            " depends on which of the two was loaded first, so keep all of them in one"
            % (" and ".join(found["nft"]), " and ".join(found["legacy"]), version)
        )

    # ---- who else takes a port

    def port_holder(self, port: PublishedPort, local: t.Callable[[], t.Container[bytes]]) -> str:
        """Whose rule leads a port of the host elsewhere, as a clause; empty when nobody's."""
        for place, rule, capture in self._captured(port.container_ip.version).near(port.host_ports):
            if capture.protocol not in ("", port.protocol) or not capture.ports.overlaps(port.host_ports):
                continue
            if rule.came_by is not None and port.in_interfaces and not any(map(rule.came_by.take, port.in_interfaces)):
                continue
            if _same_address(capture, port.host_ip, local):
                return "%s %s" % (place, capture.leads)
        return ""

    def _captured(self, version: int) -> _Captures:
        if version not in self._captures:
            self._captures[version] = _Captures(
                ("chain %s of %s" % (chain.name, table), rule, capture)
                for table in self._translating(version)
                for chain in table.chains.values()
                for rule in chain.rules
                for capture in (*rule.captures, *self._of_maps(table, rule))
            )
        return self._captures[version]

    def _translating(self, version: int) -> t.Iterator[Table]:
        """Tables with rules for ports; what iptables alone can read is read by iptables."""
        for table in self.nat_tables(version):
            yield table
            if any(rule.opaque for chain in table.chains.values() for rule in chain.rules):
                yield from self._from_nft_save(version, table.name)
        if not self._nft_works:
            yield from self._from_nft_save(version, "nat")

    def _from_nft_save(self, version: int, table: str) -> list[Table]:
        from .foreign_rules import from_save

        return from_save(self.saved("nft", version, table), "nft", version)

    def _of_maps(self, table: Table, rule: Rule) -> t.Iterator[Capture]:
        from .foreign_rules import captures_of_map

        for name, key in rule.maps:
            for item in self._json(["nft", "-j", "list", "map", table.family, table.name, name]):
                if "map" in item:
                    yield from captures_of_map(key, item["map"].get("elem", []))


class _Captures:
    """Ports that others have taken, found by number: Docker may have taken a thousand."""

    def __init__(self, found: t.Iterable[tuple[str, Rule, Capture]]) -> None:
        self._singles: dict[int, list[tuple[str, Rule, Capture]]] = {}
        self._ranges: list[tuple[str, Rule, Capture]] = []
        for item in found:
            ports = item[2].ports
            (self._ranges if len(ports) > 1 else self._singles.setdefault(ports.first, [])).append(item)

    def near(self, ports: PortRange) -> t.Iterator[tuple[str, Rule, Capture]]:
        """Those that may have one of these ports."""
        if len(ports) == 1:
            yield from self._singles.get(ports.first, ())
        else:
            for found in self._singles.values():
                yield from found
        yield from self._ranges


def _same_address(capture: Capture, host_ip: Address | None, local: t.Callable[[], t.Container[bytes]]) -> bool:
    if capture.to is None:
        return True
    if host_ip is not None:
        return host_ip.version == capture.to.version and host_ip in capture.to
    if capture.to.num_addresses > 1:
        return True
    return capture.to.network_address.packed in local()


def translates(state: FirewallState, version: int) -> bool:
    """Whether rules of ours translate addresses of a family."""
    return any(item.source.version == version for item in state.masquerades) or any(
        port.container_ip.version == version for port in state.ports
    )


def versions(state: FirewallState) -> frozenset[int]:
    """The IP versions that our rules speak of."""
    found = {subnet.version for policy in state.policies for subnet in policy.subnets}
    found |= {version for version in (4, 6) if translates(state, version)}
    return frozenset(found or (4, 6))


def exposed(state: FirewallState) -> list[str]:
    """The bridges with a way out; one without a name when we translate addresses and have no policy at all."""
    if not state.policies:
        return [""] if state.masquerades or state.ports else []
    return sorted(policy.bridge for policy in state.policies if not policy.internal)


def _ufw_has_ours() -> bool:
    """Whether ufw, be it off, keeps rules of ours; one that is on shows by its chains."""
    try:
        with open(UFW_RULES, encoding="utf-8", errors="replace") as file:
            return COLLECTION.encode().hex() in file.read()
    except OSError:
        return False


def legacy_tables(version: int) -> list[str]:
    """The legacy tables that the kernel has loaded in this network namespace."""
    try:
        with open(_LEGACY_TABLES[version], encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []
