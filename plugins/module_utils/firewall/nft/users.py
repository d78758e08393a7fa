# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of our table that belongs to the user: rules in the user's chain, and the chains and sets that they use.

We never write these rules, and only know a few statements of nft(8), so nft itself prints them as text.
"""

from __future__ import annotations

import re

from ... import marks
from ...kernel.netfilter import Netfilter
from .. import backend
from . import names
from .table import Chain, Set, Table

_PLACE = "%s %s" % (marks.NFT_FAMILY, marks.NFT_TABLE)
_TRIAL = _PLACE + "_trial"
# Rules in the spelling of table.py, with some statements as JSON.
_LEADS_TO = re.compile(r'(?:\b(?:jump|goto) |"target": ")([^\s"]+)')
_LOOKS_INTO = re.compile(r"@([\w./-]+)")
# Objects of a table, each with its kind and its name.
_BLOCK = re.compile(r"^\t(set|map|chain) (\S+) \{\n.*?^\t\}\n", re.MULTILINE | re.DOTALL)
_COME_AND_GO = re.compile(r"^\t\tflags [^\n]*\b(?:dynamic|timeout)\b", re.MULTILINE)
_ELEMENTS = re.compile(r"^\t\telements = \{.*?\}\n", re.MULTILINE | re.DOTALL)


def of_user(current: Table, ours: Table) -> Table:
    """The user's objects in a table whose other objects are ``ours``; none if the user's chain is empty."""
    chains: dict[str, Chain] = {}
    going = [names.USER]
    while going:
        name = going.pop()
        chain = current.chains.get(name)
        if chain is not None and name not in chains and (name == names.USER or name not in ours.chains):
            chains[name] = chain
            going += _named(_LEADS_TO, chain)
    sets: dict[str, Set] = {}
    for name in {name for chain in chains.values() for name in _named(_LOOKS_INTO, chain)}:
        if name in current.sets and name not in ours.sets:
            sets[name] = current.sets[name]
    return Table(chains, sets) if current.chains[names.USER].rules else Table()


def _named(what: re.Pattern[str], chain: Chain) -> list[str]:
    return [name for rule in chain.rules for name in what.findall(rule)]


def as_text(theirs: Table, netfilter: Netfilter) -> str:
    """The text for nft that adds them to our table, without counters and without elements that packets have added."""
    # nft 1.0.6 lists only the first of several chains or sets
    listed = netfilter.run(["nft", "-s", "list", "table", marks.NFT_FAMILY, marks.NFT_TABLE], None)[1]
    blocks = {(found[1], found[2]): found[0] for found in _BLOCK.finditer(listed)}
    wanted = [(known.kind, name) for name, known in sorted(theirs.sets.items())]
    wanted += [("chain", name) for name in sorted(theirs.chains)]
    return "table %s {\n%s}\n" % (_PLACE, "".join(_lasting(blocks[key]) for key in wanted if key in blocks))


def _lasting(block: str) -> str:
    return _ELEMENTS.sub("", block) if _COME_AND_GO.search(block) else block


def trouble_with(text: str, netfilter: Netfilter) -> str:
    """Why nft would not load this text, which makes our table, into an empty packet filter; empty if it would."""
    code, unused, errors = netfilter.run(["nft", "-c", "-f", "-"], text.replace(_PLACE, _TRIAL))
    return backend.first_line(errors) if code else ""
