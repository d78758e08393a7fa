# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run imports only those kinds that it uses: a managed host compiles all of them anew at each call."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.objects import Objects
from ansible_collections.dockerless.network.plugins.module_utils.engine import Kind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS

UTILS = "ansible_collections.dockerless.network.plugins.module_utils."
# A module, and the kinds' rooms that it is made of.
MODULES = {
    "netns": {"netns", "common"},
    "bridge": {"bridge", "common", "overlaps"},
    "veth": {"veth", "ends", "source_routing", "common"},
    "sysctl_forward": {"sysctl_forward", "forward_record", "common"},
    "nat_masquerade": {"nat_masquerade", "common"},
    "port_publish": {"port_publish", "common"},
    "bridge_firewall": {"bridge_firewall", "common", "overlaps"},
    "endpoint_service": {"endpoint_service", "service_files", "common"},
    "bridge_network": {"registry", "parts"},
    "network_info": {"registry", "parts"},
}
RULES_ONLY: dict[str, Any] = {"name": "red", "subnets": ["10.21.0.0/24"], "internal": True}
ENDPOINT = {"name": "web"}
LISTS = [
    ([], set()),
    ([RULES_ONLY], {"bridge", "bridge_firewall", "sysctl_forward", "forward_record"}),
    (
        [{**RULES_ONLY, "internal": False}],
        {"bridge", "bridge_firewall", "sysctl_forward", "forward_record", "nat_masquerade"},
    ),
    (
        [{**RULES_ONLY, "endpoints": [ENDPOINT]}],
        {
            "bridge",
            "bridge_firewall",
            "sysctl_forward",
            "forward_record",
            "netns",
            "veth",
            "source_routing",
            "netns_file",
        },
    ),
    (
        [{**RULES_ONLY, "internal": False, "endpoints": [{**ENDPOINT, "publish": ["80:80"]}]}],
        {
            "bridge",
            "bridge_firewall",
            "sysctl_forward",
            "forward_record",
            "nat_masquerade",
            "port_publish",
            "netns",
            "veth",
            "source_routing",
            "netns_file",
        },
    ),
]
RUN = """
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world
make_networks(%r, world(MemoryHost()), Scope(prune="project"))
"""


def imported(program: str) -> set[str]:
    """The modules of ours that are imported when a program ends."""
    program += "\nimport json, sys\nprint(json.dumps([name for name in sys.modules if name.startswith(%r)]))" % UTILS
    path = json.dumps(sys.path)
    start = "import sys, json\nsys.path[:] = json.loads(%r)\n" % path
    done = subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, check=True)
    return {name[len(UTILS) :] for name in json.loads(done.stdout.splitlines()[-1])}


def kinds_in(names: set[str]) -> set[str]:
    return {name.partition(".")[2] for name in names if name.startswith("kinds.")}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_the_rooms_of_its_own_kind_alone(module: str) -> None:
    found = imported("import ansible_collections.dockerless.network.plugins.modules.%s" % module)

    assert kinds_in(found) == MODULES[module]
    composes = {name for name in found if name.startswith(("composition", "converge", "gather", "report"))}
    assert bool(composes) is (module in ("bridge_network", "network_info"))


@pytest.mark.parametrize(("networks", "kinds"), LISTS, ids=["none", "internal", "open", "endpoint", "published"])
def test_whole_networks_import_the_kinds_that_they_use(networks: list[Any], kinds: set[str]) -> None:
    assert kinds_in(imported(RUN % networks)) - {"registry", "parts", "common", "overlaps", "ends"} == kinds


@pytest.mark.parametrize(
    ("networks", "sections"),
    [([], set()), ([RULES_ONLY], {"policies"}), ([{**RULES_ONLY, "internal": False}], {"policies", "masquerades"})],
    ids=["none", "internal", "open"],
)
def test_of_the_rules_the_sections_that_have_something_to_say_are_loaded(
    networks: list[Any], sections: set[str]
) -> None:
    found = imported(RUN % networks)

    every = {"policies", "masquerades", "ports"}
    assert {name for name in every if "firewall.nft.%s" % name in found} == sections


def test_of_back_ends_and_firewalls_those_of_this_host_are_loaded() -> None:
    found = imported(RUN % [{**RULES_ONLY, "internal": False}])

    rooms = {name.partition(".")[2] for name in found if name.startswith("firewall.")}
    assert "nft.backend" in rooms
    # the names of iptables tell whose a chain is
    assert {name for name in rooms if name.startswith("iptables.")} <= {"iptables.names"}
    assert not rooms & {"coexist.firewalld", "coexist.ufw", "coexist.forward", "foreign.captures", "foreign.droppers"}


LOOK = """
import sys
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world
host = MemoryHost()
host.uplink()
%(networks)r and make_networks(%(networks)r, world(host))
for name in [name for name in sys.modules if name[len(%(utils)r):].startswith(("kinds.", "living"))]:
    if name not in %(needed)r:
        del sys.modules[name]
facts(world(host))
"""


@pytest.mark.parametrize(
    ("networks", "loaded"),
    [
        ([], set()),
        ([RULES_ONLY], {"bridge_firewall", "boot_report"}),
        ([{**RULES_ONLY, "internal": False}], {"bridge_firewall", "nat_masquerade", "boot_report"}),
        (
            [{**RULES_ONLY, "internal": False, "endpoints": [{**ENDPOINT, "publish": ["80:80"]}]}],
            {"bridge_firewall", "nat_masquerade", "port_publish", "boot_report"},
        ),
    ],
    ids=["nothing", "internal", "open", "published"],
)
def test_a_report_loads_what_describes_the_objects_that_it_finds(networks: list[Any], loaded: set[str]) -> None:
    needed = [UTILS + "kinds." + name for name in ("registry", "parts")]
    found = imported(LOOK % {"networks": networks, "utils": UTILS, "needed": needed})

    describing = {"bridge_firewall", "nat_masquerade", "port_publish", "boot_report", "bridge", "veth", "netns", "dns"}
    assert kinds_in(found) & describing == loaded
    assert ("living" in found) is bool(networks)


# What a run that finds nothing to do has no use for; a run that finds something has.
STEPS = {"operations", "link_operations", "namespace_operations", "file_operations", "text"}
# What only a run has a use for that goes wrong.
TROUBLE = {"interpreter"}
SECOND_RUN = """
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world
host = MemoryHost()
assert make_networks(%(networks)r, world(host)).changed
for name in %(names)r:
    del sys.modules[name]
assert not make_networks(%(networks)r, world(host)).changed
"""


def test_a_run_that_changes_nothing_does_not_load_what_changes_are_made_by() -> None:
    networks = [{**RULES_ONLY, "internal": False, "endpoints": [{**ENDPOINT, "publish": ["80:80"]}]}]
    words = {"networks": networks, "names": [UTILS + name for name in sorted(STEPS)]}

    assert imported(RUN % networks) >= STEPS
    assert not imported("import sys\n" + SECOND_RUN % words) & STEPS
    assert not imported("import %smodules.netns" % UTILS[: -len("module_utils.")]) & (STEPS | TROUBLE)


def test_each_row_has_the_name_of_its_kind_and_a_place_in_a_composition() -> None:
    assert [row.load().name for row in ROWS] == [row.name for row in ROWS]
    assert {row.name for row in ROWS} == set(vars(Objects()))
    assert len({row.leaves for row in ROWS}) == len(ROWS)


# What a boot leaves in place: files, and forwarding, which is in one of its own.
SURVIVE = {"netns_file", "endpoint_service", "dns", "sysctl_forward"}


def test_each_kind_keeps_its_objects_for_the_boot_unless_they_are_files() -> None:
    assert {row.name for row in ROWS if type(row.load()).stored is Kind.stored} == SURVIVE
