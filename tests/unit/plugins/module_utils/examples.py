# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network that many tests begin with, and its parts in the words of the modules' options."""

from __future__ import annotations

from typing import Any

Facts = dict[str, Any]

# As README.md shows it.
NETWORKS: list[Facts] = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [
            {"name": "web", "publish": ["8080:80", "127.0.0.1:9000:9000"]},
            {"name": "db", "addresses": ["10.20.0.10"]},
        ],
    }
]

POLICY: Facts = {
    "bridge": "br-blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "internal": False,
    "icc": True,
    "direct_access": False,
    "trusted_interfaces": [],
    "host_access": "allow",
    "allow": [],
    "network": "blue",
}

PORT: Facts = {
    "host_port": "8080",
    "protocol": "tcp",
    "container_ip": "10.20.0.2",
    "container_port": "80",
    "bridge": "br-blue",
    "allowed_sources": [],
    "in_interfaces": [],
    "network": "blue",
}
