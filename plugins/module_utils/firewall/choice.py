# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All back-ends, a row each, and the choice of one for this host.

A row has everything that other files need to know about a back-end, so none of them contains its name.

A managed host may compile a module in each call. So a row says how to load its back-end, and a run only imports the
back-ends that it uses.
"""

from __future__ import annotations

import re
import typing as t

from .. import arguments, marks
from ..kernel.netfilter import Netfilter
from ..records import dataclass
from .backend import Backend, FirewallError, NoPacketFilter, Trouble

if t.TYPE_CHECKING:
    from .foreign.reader import Foreign


# Older versions refuse the types of our sets and maps.
_OLDEST_NFT = (1, 0, 6)


@dataclass(frozen=True)
class Row:
    """A back-end before it is loaded."""

    name: str
    tools: tuple[str, ...]  # prefixes of the names of its programs
    package: str  # the package of these programs
    files: tuple[str, ...]  # the names of its snapshots
    # Whether a chain, by its table and its name, is ours and not meant for rules of the user.
    owns: t.Callable[[str, str], bool]
    load: t.Callable[[Netfilter], Backend]
    # Loads what finds and removes its rules while another back-end is in use.
    load_remover: t.Callable[[Netfilter], Backend]
    # Whether this host may have its rules. The check loads nothing into the kernel.
    may_have_rules: t.Callable[[Netfilter, Foreign], bool]
    automatic: bool = True  # whether ``auto`` tries it
    # The reason why it is too old to write our rules, although it may read and delete them.
    too_old: t.Callable[[Foreign], Trouble | None] = lambda foreign: None


def _nftables(netfilter: Netfilter) -> Backend:
    from .nft.backend import NftablesBackend

    return NftablesBackend(netfilter)


def _iptables(netfilter: Netfilter, variant: str = "auto") -> Backend:
    from .iptables.backend import IptablesBackend

    return IptablesBackend(netfilter, variant)


def _legacy(netfilter: Netfilter) -> Backend:
    from .iptables.legacy import LegacyBackend

    return LegacyBackend(netfilter)


def _old_nft(foreign: Foreign) -> Trouble | None:
    found = foreign.nft_version()
    numbers = tuple(int(number) for number in re.findall(r"\d+", found))
    if not numbers or numbers >= _OLDEST_NFT:
        return None
    oldest = ".".join(map(str, _OLDEST_NFT))
    return Trouble("nft %s is too old; install nftables %s or later." % (found, oldest))


def _owned_in_nft(table: str, chain: str) -> bool:
    from .nft.names import USER

    return table == marks.NFT_TABLE and chain != USER


def _owned_in_iptables(table: str, chain: str) -> bool:
    from .iptables.names import USER

    return chain.startswith(marks.CHAIN_PREFIX) and chain != USER


# In the order in which ``auto`` tries them.
ROWS = (
    Row(
        "nftables",
        ("nft",),
        "nftables",
        ("nft",),
        _owned_in_nft,
        _nftables,
        load_remover=_nftables,
        may_have_rules=lambda netfilter, foreign: True,
        too_old=_old_nft,
    ),
    Row(
        "iptables",
        ("iptables", "ip6tables"),
        "iptables",
        ("v4", "v6"),
        _owned_in_iptables,
        _iptables,
        load_remover=lambda netfilter: _iptables(netfilter, "nft"),
        # if nft works, it shows the rules of the nf_tables variant of iptables
        may_have_rules=lambda netfilter, foreign: not foreign.nft_works() or foreign.nft_sees_ours_in_iptables(),
    ),
    Row(
        "legacy",
        ("iptables-legacy", "ip6tables-legacy"),
        "iptables",
        ("v4", "v6"),
        _owned_in_iptables,
        _legacy,
        load_remover=lambda netfilter: _iptables(netfilter, "legacy"),
        may_have_rules=lambda netfilter, foreign: any(netfilter.legacy_tables(version) for version in (4, 6)),
        automatic=False,
    ),
)
# Every module of the action group takes it, so that it can be set in module_defaults.
BACKEND: arguments.Arguments = {
    "backend": {"type": "str", "choices": ["auto", *(row.name for row in ROWS)], "default": "auto"},
}


def choose(choice: str, netfilter: Netfilter, foreign: Foreign) -> Backend:
    """The requested back-end; FirewallError if it does not work. To prove that it works, it may have read its rules."""
    troubles: list[str] = []
    kind: type[FirewallError] = NoPacketFilter
    for row in ROWS:
        if choice == row.name or (choice == "auto" and row.automatic):
            backend = row.load(netfilter)
            trouble = backend.usable() or row.too_old(foreign)
            if trouble is None:
                return backend
            troubles.append("Back-end %s: %s" % (row.name, trouble.text))
            kind = kind if trouble.is_absent else FirewallError
    if len(troubles) > 1:
        troubles = ["No packet filter works on this host.", *("%s." % trouble.rstrip(".") for trouble in troubles)]
    raise kind(" ".join(troubles))


def package_of(tool: str) -> str | None:
    """The package of a back-end's program; None for another program."""
    return next((row.package for row in ROWS if tool.startswith(row.tools)), None)


def is_ours(table: str, chain: str) -> bool:
    """Whether a chain has rules of ours, of any back-end; not if it is meant for rules of the user."""
    return any(row.owns(table, chain) for row in ROWS)


def others(chosen: Backend, netfilter: Netfilter, foreign: Foreign) -> t.Iterator[Backend]:
    """Back-ends other than the chosen one that may have rules of ours; FirewallError if one cannot be read."""
    for row in ROWS:
        if row.name != chosen.name and row.may_have_rules(netfilter, foreign):
            backend = row.load_remover(netfilter)
            trouble = backend.usable()
            if trouble is None:
                yield backend
            elif not trouble.is_absent:
                raise FirewallError(
                    "Back-end %s: %s. It may have rules of this collection, which cannot be read or removed until it"
                    " works." % (row.name, trouble.text.rstrip("."))
                )
