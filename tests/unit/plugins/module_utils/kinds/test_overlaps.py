# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.kinds.overlaps import Owned, first_overlap


def owned(*words: str) -> list[Owned]:
    return [(ip_network(subnet), owner) for owner, unused, subnet in (word.partition(" ") for word in words)]


@pytest.mark.parametrize(
    ("subnets", "found"),
    [
        (owned("a 10.0.0.0/24", "b 10.0.1.0/24", "c fd00::/64"), None),
        (owned("a 10.0.0.0/16", "b 10.0.1.0/24"), (0, 1)),
        (owned("b 10.0.1.0/24", "a 10.0.0.0/16"), (0, 1)),
        (owned("a 10.0.1.0/24", "b 10.0.1.0/24"), (0, 1)),
        # one owner may have a subnet in a subnet
        (owned("a 10.0.0.0/16", "a 10.0.1.0/24"), None),
        (owned("a 10.0.0.0/16", "a 10.0.1.0/24", "b 10.0.2.0/24"), (0, 2)),
        (owned("a 0.0.0.0/0", "b ::/0"), None),
    ],
)
def test_two_that_overlap(subnets: list[Owned], found: tuple[int, int] | None) -> None:
    assert first_overlap(subnets) == (None if found is None else (subnets[found[0]], subnets[found[1]]))


@st.composite
def subnets_of_few(draw: st.DrawFn) -> Owned:
    length = draw(st.integers(24, 32))
    number = draw(st.integers(0, 255)) >> (32 - length) << (32 - length)
    return ip_network((0x0A000000 + number, length)), draw(st.sampled_from("abc"))


@given(st.lists(subnets_of_few(), max_size=6))
def test_what_comparing_each_with_all_others_finds(subnets: list[Owned]) -> None:
    pairs = {(one, two) for one, two in combinations(subnets, 2) if one[1] != two[1] and one[0].overlaps(two[0])}

    found = first_overlap(subnets)

    assert found in pairs if pairs else found is None
