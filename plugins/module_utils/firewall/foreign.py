# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in the packet filter that matters to us. Looks only, and loads nothing by looking."""

from __future__ import annotations

import json
import typing as t

from .backend import CHAIN_PREFIX, FirewallError, Runner
from .nft_table import FAMILY, NAME

_TRANSLATIONS = ("masquerade", "snat", "dnat", "redirect", "xt")


def nat_rules(run: Runner, version: int) -> list[str]:
    """The tables of others with rules that translate addresses of a family, each as a person would name it."""
    families = ("inet", "ip" if version == 4 else "ip6")
    ruleset = _ruleset(run)
    nat_chains = {_place(item) for item in _objects(ruleset, "chain") if item.get("type") == "nat"}
    found: dict[str, None] = {}
    for rule in _objects(ruleset, "rule"):
        if rule["family"] not in families or (rule["family"], rule["table"]) == (FAMILY, NAME):
            continue
        if rule["chain"].startswith(CHAIN_PREFIX) or _is_ours(rule):
            continue
        words = {word for statement in rule["expr"] for word in statement}
        if words & set(_TRANSLATIONS[:4]) or (_place(rule) in nat_chains and "xt" in words):
            found["table %s %s" % (rule["family"], rule["table"])] = None
    return list(found) + _legacy_nat(run, version)


def dropping_chains(run: Runner, version: int) -> list[str]:
    """Chains of others on the forward hook whose policy is drop: an accept of ours does not override it."""
    families = ("inet", "ip" if version == 4 else "ip6")
    result = []
    for chain in _objects(_json(run, ["nft", "-j", "list", "chains"]), "chain"):
        mine = (chain["family"], chain["table"]) == (FAMILY, NAME)
        if (
            chain.get("hook") == "forward"
            and chain.get("policy") == "drop"
            and chain["family"] in families
            and not mine
        ):
            result.append("chain %s of table %s %s (policy drop)" % (chain["name"], chain["family"], chain["table"]))
    return result


def _objects(ruleset: t.Sequence[t.Any], kind: str) -> t.Iterator[t.Any]:
    return (item[kind] for item in ruleset if kind in item)


def _place(item: t.Any) -> tuple[str, str, str]:
    return (item["family"], item["table"], item.get("chain", item.get("name")))


def _is_ours(rule: t.Any) -> bool:
    """Our jump from a chain of iptables: nft shows its comment, or at least where it leads."""
    return any(str(statement.get("jump", {}).get("target", "")).startswith(CHAIN_PREFIX) for statement in rule["expr"])


def _ruleset(run: Runner) -> list[t.Any]:
    return _json(run, ["nft", "-j", "list", "ruleset"])


def _json(run: Runner, argv: t.Sequence[str]) -> list[t.Any]:
    try:
        rc, out, unused = run(argv, None)
    except FirewallError:
        return []
    return list(json.loads(out)["nftables"]) if rc == 0 and out else []


def _legacy_nat(run: Runner, version: int) -> list[str]:
    """Rules of the legacy tables; listing would load the table, so ask the kernel first which ones are there."""
    names, tool = (
        ("/proc/net/ip_tables_names", "iptables") if version == 4 else ("/proc/net/ip6_tables_names", "ip6tables")
    )
    try:
        with open(names, encoding="ascii") as file:
            if "nat" not in file.read().split():
                return []
        rc, out, unused = run(["%s-legacy-save" % tool, "-t", "nat"], None)
    except (OSError, FirewallError):
        return []
    rules = [line for line in out.splitlines() if line.startswith("-A ") and CHAIN_PREFIX not in line]
    return ["legacy %s table nat" % tool] if rc == 0 and rules else []
