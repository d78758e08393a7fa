# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of what stops a packet, as far as the object itself or a file of its owner tells."""

from __future__ import annotations

import re

from .. import marks, owners
from ..firewall import choice
from ..owners import OURS, PERSON, STRANGER, Owner
from .rules import Chain, Do, Outcome
from .topology import Nic, Node, Topology
from .trail import Verdict

# Files from which rules are loaded at boot, by whoever wrote them.
_RULESETS = ("/etc/nftables.conf", "/etc/sysconfig/nftables.conf")
_SAVED = {
    "ip": ("/etc/iptables/rules.v4", "/etc/sysconfig/iptables"),
    "ip6": ("/etc/iptables/rules.v6", "/etc/sysconfig/ip6tables"),
}
# The owners of layers where it is always the same; of rules of others, the walk tells the owner.
_FIXED: dict[str, str | None] = {
    "masquerade": OURS,
    "publish": OURS,
    "firewall": STRANGER,
    "conntrack": "the kernel",
    "upstream": "another machine",
    "service": None,
}


def of_verdict(verdict: Verdict, topology: Topology) -> str | None:
    """The owner of the object that stops the packet; None if nothing does, or if what is missing has no owner."""
    if verdict.layer is None or verdict.owner:
        return verdict.owner or None
    if verdict.layer in _FIXED:
        return _FIXED[verdict.layer]
    node, nic = topology.at(verdict.place)
    if node is None or nic is None or verdict.layer == "route":
        return OURS if node is not None and is_endpoint(node) else None
    if verdict.layer in ("neighbour", "reverse_path"):
        return STRANGER
    return of_link(node, nic)


def is_endpoint(node: Node) -> bool:
    """Whether a stack is one of our endpoints."""
    return not node.is_host and any(nic.is_ours for nic in node.nics.values())


def of_link(node: Node, nic: Nic) -> str:
    """The owner of a link."""
    if nic.is_ours:
        return OURS
    named = owners.of_link(nic.name, nic.kind)
    found = None if named else manager(node, nic)
    return named or (found.name if found is not None else STRANGER)


def manager(node: Node, nic: Nic) -> owners.Manager | None:
    """The program that manages a link of the host."""
    return owners.manager(nic.name, nic.index, node.file)


def is_ours(chain: Chain | None) -> bool:
    """Whether a chain holds rules of this collection; the chain for the user's own rules does not."""
    return chain is not None and choice.is_ours(chain.table, chain.name)


def holds_our_place(chain: Chain | None) -> bool:
    """Whether a chain holds the place of rules of ours while somebody else's are loaded."""
    return chain is not None and (chain.family, chain.table) == (marks.NFT_FAMILY, marks.NFT_HOLD)


def program(node: Node, outcome: Outcome) -> Owner | None:
    """The program to which the rule or the chain that decided belongs; None if that is not known."""
    chain = outcome.chain
    if chain is None or is_ours(chain) or holds_our_place(chain):
        return None
    found = owners.of_chain(chain.family, chain.table, chain.name, beside(node, chain))
    if found is None and outcome.rule is not None:
        start, text = "-A %s " % chain.name, outcome.rule.text
        return owners.of_rule(chain.table, chain.name, text[len(start) if text.startswith(start) else 0 :])
    return found


def programs(node: Node, outcome: Outcome) -> list[Owner]:
    """The same, or the programs that may have set the policy or the last rule of a shared chain."""
    found, chain = program(node, outcome), outcome.chain
    if found is not None or chain is None:
        return [found] if found is not None else []
    if chain.hook and (outcome.rule is None or all(isinstance(step, Do) for step in outcome.rule.steps)):
        return owners.of_end(step.target for rule in chain.rules for step in rule.steps if isinstance(step, Do))
    return []


def beside(node: Node, chain: Chain) -> list[str]:
    """The names of the chains of a chain's table."""
    table = (chain.store, chain.family, chain.table)
    return [other.name for other in node.filter if (other.store, other.family, other.table) == table]


def of_rule(node: Node, outcome: Outcome) -> str:
    """The owner of the rule or the policy that decided."""
    chain = outcome.chain
    if is_ours(chain) or holds_our_place(chain):
        return OURS
    if chain is not None and is_in_our_table(chain):
        return PERSON
    if program(node, outcome) is None and file_of(node, outcome):
        return PERSON
    return owners.named(programs(node, outcome)) or STRANGER


def is_in_our_table(chain: Chain) -> bool:
    """Whether a chain is one that we leave to the user."""
    return marks.is_ours_in_nft(chain.family, chain.table) or chain.name.startswith(marks.CHAIN_PREFIX)


def in_words(node: Node, outcome: Outcome) -> str:
    """The owner of a rule, for the reason of a verdict."""
    if holds_our_place(outcome.chain):
        return "what holds the place of this collection's rules of iptables"
    owner = of_rule(node, outcome)
    if owner == OURS:
        return "this collection's rules"
    return "a rule that is not of this collection" if owner == STRANGER else "a rule of %s" % owner


def file_of(node: Node, outcome: Outcome) -> str:
    """The file from which the host loads the rule or the policy at boot; empty if none of the usual ones has it."""
    chain = outcome.chain
    if chain is None:
        return ""
    table = r"^\s*table\s+%s%s\b" % (
        "(ip\\s+)?" if chain.family == "ip" else chain.family + r"\s+",
        re.escape(chain.table),
    )
    found = (path for path in _RULESETS if re.search(table, node.file(path) or "", re.MULTILINE))
    line = ":%s %s " % (chain.name, chain.policy.upper()) if outcome.rule is None else outcome.rule.text
    if chain.family in _SAVED and line.startswith((":", "-A ")):
        found = (path for path in _SAVED[chain.family] if _is_saved(node.file(path) or "", chain.table, line))
    return next(found, "")


def _is_saved(text: str, table: str, line: str) -> bool:
    """Whether a file of iptables-save has a line in a table; that of a policy goes on with counters."""
    section = text.partition("*%s\n" % table)[2].partition("COMMIT")[0]
    return any(one.startswith(line) if line.startswith(":") else one.strip() == line for one in section.splitlines())
