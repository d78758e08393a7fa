# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files by which ssh and Ansible in the controller find the nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lab import addressing
from lab.addressing import CONTROLLER, Config
from lab.files import read, write
from lab.state import State

LOCALHOST = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


def write_files(state: State, config: Config, names: Sequence[str]) -> None:
    """Write all of them; this is done again whenever the lab grows."""
    fleet, outside = addressing.fleet(names), addressing.outside(names)
    reachable = [addressing.node(n, config) for n in fleet + outside]
    host_key = " ".join(read(state.path("host_key.pub")).split()[:2])
    controller = addressing.node(CONTROLLER, config)
    write(state.path("known_hosts"), "".join(f"{n.name},{n.mgmt} {host_key}\n" for n in reachable))
    write(state.path("hosts"), LOCALHOST + "".join(f"{n.mgmt} {n.name}\n" for n in [controller, *reachable]))
    write(state.path("ssh_config"), _ssh_config(state, reachable))
    write(state.path("inventory.yml"), _inventory(state, config, {"fleet": fleet}))
    write(state.path("inventory-all.yml"), _inventory(state, config, {"fleet": fleet, "outside": outside}))


def _ssh_config(state: State, nodes: Sequence[addressing.Node]) -> str:
    hosts = "".join(f"Host {n.name}\n  HostName {n.mgmt}\n" for n in nodes)
    return hosts + (
        "Host *\n"
        "  User root\n"
        f"  IdentityFile {state.path('id')}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {state.path('known_hosts')}\n"
        "  StrictHostKeyChecking yes\n"
        "  GSSAPIAuthentication no\n"
        "  ConnectTimeout 10\n"
    )


def _inventory(state: State, config: Config, groups: dict[str, list[str]]) -> str:
    # JSON is YAML, and needs no library.
    children = {g: {"hosts": {n: _host_variables(n, config) for n in names}} for g, names in groups.items()}
    common = {
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": state.path("id"),
        "ansible_ssh_common_args": f"-F {state.path('ssh_config')}",
    }
    return json.dumps({"all": {"vars": common, "children": children}}, indent=1) + "\n"


def _host_variables(name: str, config: Config) -> dict[str, Any]:
    node = addressing.node(name, config)
    variables = {
        "ansible_host": node.mgmt,
        "lab_lan": node.lan4,
        "lab_lan6": node.lan6,
        "lab_second": node.second4,
        "lab_second6": node.second6,
    }
    return {k: v for k, v in variables.items() if v is not None}
