# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The counts of dropped packets in each back-end."""

from __future__ import annotations

import json

from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import drops as iptables_drops
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import layout as iptables_layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft import drops as nft_drops
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft import layout as nft_layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.table import difference, parse
from ansible_collections.dockerless.network.plugins.module_utils.firewall.save_text import text_of
from ansible_collections.dockerless.network.plugins.module_utils.model import Drop
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.golden_states import STATES


def counted(name: str, *elements: object) -> dict[str, object]:
    """A set that counts, as nft -j prints it."""
    return {"set": {"name": name, "type": "ifname", "stmt": [{"counter": None}], "elem": list(elements)}}


def test_what_nftables_has_counted() -> None:
    blue = {"elem": {"val": "br-blue", "counter": {"packets": 12, "bytes": 720}}}
    rule = {
        "chain": "foreign",
        "comment": "this host does not route for others",
        "expr": [{"counter": {"packets": 3, "bytes": 9}}, {"drop": None}],
    }
    other = {**rule, "comment": "of somebody else's"}
    chain = {"chain": {"name": "foreign"}}
    dropper = {**rule, "chain": "dropped_direct", "comment": "direct access"}
    items = [counted("dropped_direct", blue), counted("mine", blue), chain, {"rule": rule}, {"rule": other}]
    items += [{"chain": {"name": "dropped_direct"}}, {"rule": dropper}, {"rule": rule}]  # the last for the other family

    assert list(nft_drops.read(parse(json.dumps({"nftables": items})))) == [
        Drop("br-blue", "direct access", 12),
        Drop("", "this host does not route for others", 6),
    ]


def test_packets_that_were_counted_change_nothing() -> None:
    """A set that counts holds what packets put there, which no run may take away, nor take for drift."""
    wanted = nft_layout.render(STATES["two-networks"])
    empty = parse(json.dumps({"nftables": [counted("dropped_direct")]})).sets["dropped_direct"]
    full = parse(json.dumps({"nftables": [counted("dropped_direct", {"elem": {"val": "x", "counter": {}}})]}))
    assert full.sets["dropped_direct"] == empty
    assert difference(wanted, wanted) == ""


def test_what_iptables_has_counted() -> None:
    """Each rule that drops is told with its reason; the count of each is its place in the dump."""
    found: set[tuple[str, str]] = set()
    for state in STATES.values():
        rules = iptables_layout.render(state)[4]
        lines = [
            "[%d:0] -A %s %s" % (number, chain, text_of(rule))
            for (unused, chain), each in rules.chains.items()
            for number, rule in enumerate(each, 1)
        ]
        found |= {(drop.bridge, drop.reason) for drop in iptables_drops.read("\n".join(lines)) if drop.packets}

    assert found >= {
        ("br-blue", "direct access"),
        ("br-blue", "would leave with a private source"),
        ("br-blue", "no way out"),
        ("br-blue", "no way in"),
        ("br-blue", "not published, not allowed"),
        ("br-blue", "access to the host"),
        ("", "loopback is for this host alone"),
        ("", "may be of a translated connection"),
        ("", "neither enters nor leaves a network of ours"),
        ("", "this host does not route for others"),
    }
    assert {reason for bridge, reason in found if not bridge} <= {
        "direct access",  # the last rule of that chain, which no packet of a network reaches
        "access to the host",
        "loopback is for this host alone",
        "may be of a translated connection",
        "neither enters nor leaves a network of ours",
        "this host does not route for others",
    }
