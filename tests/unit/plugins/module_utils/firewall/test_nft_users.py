# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's part of our table: a run leaves it alone, and keeps some of it for a boot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_network

from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.backend import NftablesBackend
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.layout import render
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.table import Chain, Set, Table
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.users import of_user
from ansible_collections.dockerless.network.plugins.module_utils.model import BridgePolicy, FirewallState

BLUE = FirewallState(frozenset([BridgePolicy("br-blue", (ip_network("10.20.0.0/24"),), network="blue")]))
OURS = render(BLUE)
# As nft prints them.
LISTED = """table inet dockerless {
    set banned {
        type ipv4_addr
        flags dynamic,timeout
        elements = { 192.0.2.1 timeout 1h,
            192.0.2.2 timeout 1h }
    }

    set bridges {
        type ifname
        elements = { "br-blue" }
    }

    set good {
        type ipv4_addr
        elements = { 192.0.2.3 }
    }

    chain user {
        ip saddr @good accept
        ip protocol vmap { tcp : jump mine }
    }

    chain mine {
        limit rate 10/second counter drop
    }
}
""".replace(" " * 4, "\t")
KEPT = """table inet dockerless {
    set banned {
        type ipv4_addr
        flags dynamic,timeout
    }
    set good {
        type ipv4_addr
        elements = { 192.0.2.3 }
    }
    chain mine {
        limit rate 10/second counter drop
    }
    chain user {
        ip saddr @good accept
        ip protocol vmap { tcp : jump mine }
    }
}
""".replace(" " * 4, "\t")
VMAP = json.dumps({"vmap": {"key": "x", "data": {"set": [["tcp", {"jump": {"target": "mine"}}]]}}})
UPDATE = json.dumps({"set": {"op": "add", "elem": {"elem": {"timeout": 600}}, "set": "@banned"}})


def with_users(*rules: str) -> Table:
    """Our table, with more in it than we put there."""
    chains = {"user": Chain("", rules), "mine": Chain("", ("goto deep",)), "deep": Chain("", (UPDATE,))}
    more = {"odd": Chain("", ("drop",))}
    sets = {"good": Set("ipv4_addr"), "banned": Set("ipv4_addr"), "spare": Set("ipv4_addr")}
    return Table({**OURS.chains, **chains, **more}, {**OURS.sets, **sets})


def test_what_the_users_rules_lead_to_is_theirs_and_nothing_else() -> None:
    found = of_user(with_users("iifname @bridges goto into", "ip saddr @good accept", VMAP), OURS)

    assert (sorted(found.chains), sorted(found.sets)) == (["deep", "mine", "user"], ["banned", "good"])
    assert not of_user(with_users(), OURS)


class Backend(NftablesBackend):
    """One that has read a table."""

    def __init__(self, there: Table, refusal: str = "") -> None:
        super().__init__(MemoryNetfilter(self._nft))
        self._table = there
        self._refusal = refusal
        self.tried: list[str] = []

    def _nft(self, argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        if text is None:
            return 0, LISTED, ""
        self.tried.append(text)
        return int(bool(self._refusal)), "", self._refusal


def test_a_run_leaves_it_alone_and_keeps_it_for_a_boot() -> None:
    backend = Backend(with_users("ip saddr @good accept", VMAP))

    text = "\n".join(step.text for step in backend.plan(backend.read(), BLUE))  # type: ignore[attr-defined]
    assert "delete chain inet dockerless odd" in text and "delete set inet dockerless spare" in text
    assert not any(name in text for name in ("mine", "deep", "good", "banned"))

    backend = Backend(with_users("ip saddr @good accept", VMAP))
    [kept] = backend.snapshot(BLUE)
    ours, theirs = kept.text.split("table inet dockerless {")
    assert ours.startswith("create table inet dockerless\n") and VMAP not in ours
    assert theirs == KEPT.partition("{")[2] and not kept.trouble
    assert "inet dockerless " not in backend.tried[0]  # not where our table is


def test_rules_of_the_user_that_would_not_load_do_not_keep_ours_from_it() -> None:
    backend = Backend(with_users("ip saddr @good accept"), refusal="/dev/stdin:8:1-2: Error: No such file\n")

    [kept] = backend.snapshot(BLUE)

    assert kept.trouble == "/dev/stdin:8:1-2: Error: No such file"
    assert "ip saddr @good" not in kept.text and "add chain inet dockerless user" in kept.text
    [kept] = Backend(OURS).snapshot(BLUE)
    assert (kept.trouble, kept.text.count("table")) == ("", 1)
