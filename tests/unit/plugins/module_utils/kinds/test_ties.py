# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the objects that are kept for the boot give to each other, and need of each other."""

from __future__ import annotations

from typing import Any

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.kinds import ties
from ansible_collections.dockerless.network.plugins.module_utils.kinds.boot_record import Objects, parse
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS
from ansible_collections.dockerless.network.plugins.module_utils.kinds.ties import ties_of
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.examples import NETWORKS
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world


def kept(networks: list[Any]) -> Objects:
    """The objects that a run keeps."""
    host = MemoryHost()
    host.uplink()
    host.systemd = True
    make_networks(networks, world(host), Scope(), True)
    return parse(host.files["/etc/dockerless.network/objects.yml"]).objects


def test_each_row_is_a_kind() -> None:
    assert set(ties._TIES) <= {row.name for row in ROWS}


def test_a_list_makes_all_that_its_objects_need_and_only_its_own() -> None:
    found = {title: ties_of(kind, options) for (kind, title), options in kept(NETWORKS).items()}
    made = [thing for each in found.values() for thing in each.makes]

    assert len(made) == len(set(made))
    assert {thing for each in found.values() for thing in each.needs + each.follows} <= set(made)


def test_an_end_without_a_name_needs_what_is_never_there() -> None:
    [namespace] = ties_of("veth", {"name": "v-x", "peer": {}}).needs

    assert namespace == (ties.NAMESPACE, "")
