# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the rules of others that matter to us, each of them once, without loading anything into the kernel."""

from __future__ import annotations

import json
import typing as t

from ... import marks, model
from ...kernel.netfilter import Netfilter
from .. import backend

if t.TYPE_CHECKING:
    from ...kernel.state import Link
    from . import rules

# The place that ufw has for rules of others; coexist/ufw.py deals with the rules there.
USER_CHAINS = ("ufw-user-forward", "ufw6-user-forward")
_BRIDGED = {
    version: "/proc/sys/net/bridge/bridge-nf-call-%s" % tool for version, tool in ((4, "iptables"), (6, "ip6tables"))
}
# The hooks that our packets pass on their way through the host.
HOOKS = ("prerouting", "forward", "postrouting")
# The hooks of a link, and the families whose chains see frames.
LINK_HOOKS = ("ingress", "egress")
LINK_FAMILIES = ("bridge", "netdev")
UFW_RULES = "/etc/ufw/user.rules"


class Around(t.NamedTuple):
    """What is on the host beside its rules."""

    uplinks: t.Callable[[], t.Iterable[str]]
    links: t.Mapping[str, Link]

    def local(self, state: model.FirewallState) -> list[model.Address]:
        """The addresses by which others reach this host: the guard closes the gateways of our networks to them."""
        subnets = [subnet for policy in state.policies for subnet in policy.subnets]
        found = [interface.ip for link in self.links.values() for interface in link.addresses]
        return [address for address in found if not any(address in subnet for subnet in subnets)]

    def ports(self, master: str) -> tuple[str, ...]:
        """The ports of a bridge, or the links that a bond consists of."""
        return tuple(sorted(link.name for link in self.links.values() if link.master == master))


class Foreign:
    """The rules of others on this host."""

    def __init__(self, netfilter: Netfilter) -> None:
        self.netfilter = netfilter
        self._chains: list[rules.Json] | None = None
        self._tables: list[rules.Table] | None = None
        self._saved: dict[tuple[str, int, str], str] = {}
        self._elements: dict[tuple[str, str, str], list[rules.Json] | None] = {}
        self._nft_works = False
        self._nft_version = ""
        self.troubles: dict[str, None] = {}  # what could not be read, a sentence each

    # ---- what nft sees

    def chains(self) -> list[rules.Json]:
        """The chains that nft sees; to list them costs almost nothing."""
        if self._chains is None:
            listed = self.json(["nft", "-j", "list", "chains"])
            self._nft_works = bool(listed)  # even an empty list has the version
            self._nft_version = next((item["metainfo"].get("version", "") for item in listed if "metainfo" in item), "")
            self._chains = [item["chain"] for item in listed if "chain" in item]
        return self._chains

    def nft_works(self) -> bool:
        """Whether nft works on this host."""
        self.chains()
        return self._nft_works

    def nft_version(self) -> str:
        """The version of nft; empty if unknown."""
        self.chains()
        return self._nft_version

    def nft_sees_ours_in_iptables(self) -> bool:
        """Whether the nf_tables variant of iptables has chains of ours."""
        return any(chain["name"].startswith(marks.CHAIN_PREFIX) for chain in self.chains())

    # ---- tables

    def is_alone(self) -> bool:
        """Whether the host has no rules of others that can matter to us."""
        return not (self._has_tables() or self._ufw_has_ours() or self.netfilter.read_file(marks.ZONE_FILE) is not None)

    def _ufw_has_ours(self) -> bool:
        """Whether ufw keeps rules of ours. It may do so while it is off, when it has no chains."""
        return marks.COLLECTION.encode().hex() in (self.netfilter.read_file(UFW_RULES) or "")

    def tables(self) -> list[rules.Table]:
        """The tables of others; those of nft only if our packets or their frames pass one of their chains."""
        if self._tables is None:
            self._tables = self._read_tables() if self._has_tables() else []
        return self._tables

    def table(self, store: str, family: str, name: str) -> rules.Table | None:
        """One table of others."""
        for table in self.tables():
            if (table.store, table.family, table.name) == (store, family, name):
                return table
        return None

    def _read_tables(self) -> list[rules.Table]:
        found: list[rules.Table] = []
        if self._in_our_way():
            from . import from_nft, nft_text

            listing = self.json(["nft", "-j", "-t", "list", "ruleset"])
            nft_text.add_devices(listing, lambda: self._output(["nft", "list", "chains"]))
            for table in from_nft.tables(listing):
                found += (self._seen_by_iptables(table) if from_nft.is_of_iptables(table) else []) or [table]
        for version in model.VERSIONS:
            for name in ("filter", "nat", "raw", "mangle", "security"):
                found += self.saved_tables("legacy", version, name)
        return found

    def _seen_by_iptables(self, table: rules.Table) -> list[rules.Table]:
        """A table of iptables as iptables prints it: nft only prints the names of its matches, and no comments."""
        return self.saved_tables(table.store, 4 if table.family == "ip" else 6, table.name)

    def saved_tables(self, store: str, version: int, name: str) -> list[rules.Table]:
        """A table as iptables sees it; empty if there is none."""
        text = self.saved(store, version, name)
        if not text:
            return []
        from . import from_save

        return [table for table in from_save.tables(text, store, version) if table.name == name]

    def _has_tables(self) -> bool:
        return self._in_our_way() or any(self.netfilter.legacy_tables(version) for version in model.VERSIONS)

    def chains_of_others(self) -> t.Iterator[rules.Json]:
        """The chains that nft sees outside our tables, in the families that routed packets pass."""
        for chain in self.chains():
            is_routed = chain["family"] in ("ip", "ip6", "inet")
            if is_routed and not marks.is_ours_in_nft(chain["family"], chain["table"]):
                yield chain

    def holds_our_place(self) -> bool:
        """Whether the table is there that holds the place of our rules of iptables."""
        return any((chain["family"], chain["table"]) == (marks.NFT_FAMILY, marks.NFT_HOLD) for chain in self.chains())

    def _in_our_way(self) -> bool:
        routed = any(chain.get("hook") in HOOKS or chain.get("type") == "nat" for chain in self.chains_of_others())
        return routed or any(
            chain.get("hook") and (chain["hook"] in LINK_HOOKS or chain["family"] in LINK_FAMILIES)
            for chain in self.chains()
        )

    def saved(self, store: str, version: int, table: str) -> str:
        """The output of iptables-save for a table; empty if there is none. To list a legacy table would load it."""
        key = (store, version, table)
        if key not in self._saved:
            there = store == "nft" or table in self.netfilter.legacy_tables(version)
            tool = "%s-%s-save" % ("iptables" if version == 4 else "ip6tables", store)
            self._saved[key] = self._output([tool, "-t", table]) if there else ""
        return self._saved[key]

    def json(self, argv: t.Sequence[str]) -> list[rules.Json]:
        """The output of nft; empty if it does not work."""
        out = self._output(argv)
        try:
            return list(json.loads(out)["nftables"]) if out else []
        except ValueError:
            self._note(argv, "its output is not JSON")
            return []

    def elements(self, table: rules.Table, name: str) -> list[rules.Json] | None:
        """The elements of a map of nft; None if it cannot be read."""
        key = (table.family, table.name, name)
        if key not in self._elements:
            listed = self.json(["nft", "-j", "list", "map", *key])
            self._elements[key] = next((list(item["map"].get("elem", [])) for item in listed if "map" in item), None)
        return self._elements[key]

    def _note(self, argv: t.Sequence[str], why: str) -> None:
        words = (" ".join(argv), why)
        self.troubles["%s does not work here: %s; rules of others there cannot be read" % words] = None

    def _output(self, argv: t.Sequence[str]) -> str:
        try:
            rc, out, err = self.netfilter.run(argv, None)
        except (backend.NoProgram, FileNotFoundError):
            return ""
        except (backend.FirewallError, OSError) as error:
            rc, out, err = 1, "", str(error)
        if rc != 0 and "not supported" not in err:
            self._note(argv, backend.first_line(err).rstrip("."))
        return out if rc == 0 else ""

    def filters_bridged(self, version: int) -> bool:
        """Whether frames from port to port of a bridge pass the packet filter (br_netfilter)."""
        return (self.netfilter.read_file(_BRIDGED[version]) or "").strip() == "1"

    # ---- the effect of their tables

    def forwarding(self, versions: t.Container[int]) -> t.Iterator[tuple[rules.Table, rules.Chain]]:
        """The chains of others that filter forwarded packets."""
        for table in self.tables():
            if any(version in versions and table.concerns(version) for version in model.VERSIONS):
                for chain in table.chains.values():
                    if chain.hook == "forward" and chain.kind == "filter":
                        yield table, chain

    def nat_tables(self, version: int) -> list[rules.Table]:
        """The tables of others with rules that translate addresses of a family."""
        return [
            table
            for table in self.tables()
            if table.concerns(version) and any(rule.translates for c in table.chains.values() for rule in c.rules)
        ]
