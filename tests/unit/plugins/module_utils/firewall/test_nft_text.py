# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Between the JSON of nft and its text."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.firewall.foreign import nft_text

CHAINS = """table netdev n {
\tchain c {
\t\ttype filter hook ingress devices = { d0, "d1.5", lo } priority filter; policy drop;
\t}
}
table inet n2 {
\tchain f {
\t\ttype filter hook forward priority filter; policy accept;
\t}
\tchain c-x {
\t\ttype filter hook egress device "eth0" priority filter + 10; policy accept;
\t}
}
"""


def chain(family: str, table: str, name: str, hook: str, **more: Any) -> Any:
    return {"chain": {"family": family, "table": table, "name": name, "hook": hook, **more}}


def test_the_devices_of_chains_are_read_from_the_text_where_the_json_lacks_them() -> None:
    listing = [
        chain("netdev", "n", "c", "ingress"),
        chain("inet", "n2", "c-x", "egress"),
        chain("inet", "n2", "gone", "ingress"),
        chain("inet", "n2", "f", "forward"),
        chain("netdev", "n", "known", "ingress", dev="eth7"),
        {"rule": {"family": "inet"}},
    ]
    nft_text.add_devices(listing, lambda: CHAINS)
    devices = [item["chain"].get("dev") for item in listing if "chain" in item]
    assert devices == [["d0", "d1.5", "lo"], ["eth0"], [], None, "eth7"]


def test_nothing_is_read_without_need() -> None:
    def never() -> str:
        raise AssertionError

    nft_text.add_devices([chain("inet", "n2", "f", "forward"), chain("netdev", "n", "c", "ingress", dev="lo")], never)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ({"vmap": {"key": {"meta": {"key": "iifname"}}, "data": "@ways"}}, "iifname vmap @ways"),
        (
            {"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["eth0", {"jump": {"target": "x"}}]]}}},
            "iifname vmap { eth0 : jump x }",
        ),
        ({"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}, "meta mark set 1"),
        ({"xt": {"type": "match", "name": "recent"}}, "xt match recent"),
        (
            {
                "match": {
                    "op": "==",
                    "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn"]]},
                    "right": "syn",
                }
            },
            "tcp flags & (fin | syn) == syn",
        ),
        (
            {"match": {"op": "==", "left": {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "right": False}},
            "fib saddr . iif oif missing",
        ),
    ],
)
def test_statements_as_text(statement: Any, text: str) -> None:
    assert nft_text.text_of([statement]) == text
