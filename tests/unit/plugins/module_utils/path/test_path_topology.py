# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.marks import alias, label, namespace_alias
from ansible_collections.dockerless.network.plugins.module_utils.path.topology import Nic


@pytest.mark.parametrize(
    ("noted", "network"),
    [
        (alias(label("blue")), "blue"),
        (alias(label("blue", "shop")), "blue"),
        (namespace_alias(label("blue", "shop"), "web"), "blue"),
        (alias(""), ""),
        ("uplink: the rack's", ""),
    ],
)
def test_the_network_of_a_link_is_read_out_of_its_mark(noted: str, network: str) -> None:
    """`db.blue` is found by the link's network, whatever the project of blue."""
    nic = Nic("v-db", 2, "veth", "", 1500, True, True, 0, noted, 0, 0, False)

    assert nic.network == network
