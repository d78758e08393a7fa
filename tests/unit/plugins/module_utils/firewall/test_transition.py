# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.firewall.transition import (
    masquerades,
    policies,
)
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    Flow,
    Masquerade,
    Network,
    OutInterface,
    overlap,
    without,
)


def policy(bridge: str, *subnets: str, **options: bool) -> BridgePolicy:
    return BridgePolicy(bridge, tuple(map(ip_network, subnets)), **options)  # type: ignore[arg-type]


def subnets(*found: BridgePolicy) -> dict[str, list[str]]:
    return {policy.bridge: [str(subnet) for subnet in policy.subnets] for policy in found}


BLUE = policy("br-blue", "10.20.0.0/24", "fd00:20::/64")


@pytest.mark.parametrize(
    ("after", "held"),
    [
        ([BLUE], {"br-blue": ["10.20.0.0/24", "fd00:20::/64"]}),
        ([], {"br-blue": ["10.20.0.0/24", "fd00:20::/64"]}),
        ([policy("br-blue", "10.20.0.0/24")], {"br-blue": ["10.20.0.0/24", "fd00:20::/64"]}),
        (
            [policy("br-blue", "10.20.0.0/25", "10.9.0.0/24", "fd00::/16")],
            {"br-blue": ["10.9.0.0/24", "10.20.0.0/25", "10.20.0.128/25", "fd00::/16"]},
        ),
        (
            [policy("br-blue", "10.21.0.0/24"), policy("br-red", *map(str, BLUE.subnets))],
            {"br-blue": ["10.21.0.0/24"], "br-red": ["10.20.0.0/24", "fd00:20::/64"]},
        ),
        (
            [policy("br-red", "10.20.0.128/25")],
            {"br-blue": ["10.20.0.0/25", "fd00:20::/64"], "br-red": ["10.20.0.128/25"]},
        ),
    ],
)
def test_all_subnets_of_before_and_after(after: list[BridgePolicy], held: dict[str, list[str]]) -> None:
    assert subnets(*policies([BLUE], after)) == held


def test_two_back_ends_with_different_policies_of_a_bridge() -> None:
    other = policy("br-blue", "10.20.0.0/16")

    (held,) = policies([BLUE, other], [])

    assert without([ip_network("10.20.0.0/16")], held.subnets) == ()


def test_a_bridge_opens_no_more_than_it_did_while_it_has_its_old_subnets() -> None:
    moved = policy("br-blue", "10.23.0.0/24")
    open_one = replace(moved, direct_access=True, trusted_interfaces=("eth0",))

    for before, after, held in (
        (replace(BLUE, internal=True), open_one, replace(moved, internal=True)),
        (BLUE, replace(moved, internal=True), replace(moved, internal=True)),
        (BLUE, open_one, replace(open_one, direct_access=False)),
        (replace(BLUE, direct_access=True), open_one, open_one),
    ):
        assert {replace(item, subnets=moved.subnets) for item in policies([before], [after])} == {held}
        # what has no subnet that leaves may change at once
        assert policies([before], [replace(after, subnets=BLUE.subnets)]) == {replace(after, subnets=BLUE.subnets)}


def test_a_flow_of_a_bridge_that_leaves_opens_no_address_of_another_one() -> None:
    flows = [Flow(ip_network("192.0.2.0/24"), ip_network(to)) for to in ("10.20.0.2/32", "10.20.0.200/32")]

    held = policies([replace(BLUE, allow=tuple(flows))], [policy("br-red", "10.20.0.128/25")])

    assert {item.bridge: item.allow for item in held} == {"br-blue": (flows[0],), "br-red": ()}


def masquerade(source: str, out: str = "eth0", **options: str) -> Masquerade:
    return Masquerade(ip_network(source), OutInterface(out), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("after", "stays"),
    [
        ([], True),
        ([masquerade("10.23.0.0/24")], True),
        ([masquerade("10.20.0.0/25")], True),
        ([masquerade("10.20.0.0/24", "eth1")], False),
        ([masquerade("10.20.0.0/16")], False),
        ([masquerade("10.20.0.0/24", network="blue")], False),
    ],
)
def test_a_source_that_would_not_be_translated_any_more(after: list[Masquerade], stays: bool) -> None:
    before = masquerade("10.20.0.0/24")

    assert masquerades([before], after) == {*after, *([before] if stays else [])}


@st.composite
def networks(draw: st.DrawFn) -> Network:
    return ip_network((draw(st.integers(0, 255)) << 8, draw(st.integers(20, 32))), strict=False)


@given(networks(), st.lists(networks(), max_size=4))
def test_what_is_outside_is_the_rest(subnet: Network, taken: list[Network]) -> None:
    parts = without([subnet], taken)

    assert not any(overlap(part, other) for part in parts for other in taken)
    covered = {address for other in taken for address in other} & set(subnet) if subnet.prefixlen > 22 else set()
    if subnet.prefixlen > 22:
        assert {ip_address(address) for part in parts for address in part} == set(subnet) - covered
