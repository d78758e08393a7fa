# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The address that an endpoint gets when it is given none: a stored choice, so it is spelled here once more."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import ip_network


def chosen(endpoint: str, subnet: str = "10.20.0.0/24", network: str = "blue", project: str = "default") -> str:
    """With the prefix length; where nobody else is in the way."""
    found = ip_network(subnet)
    number = int.from_bytes(sha256(("%s/%s/%s" % (project, network, endpoint)).encode()).digest()[:8], "big")
    return "%s/%d" % (found[number % min(found.num_addresses, 2**32)], found.prefixlen)


def chosen_ip(endpoint: str, subnet: str = "10.20.0.0/24", network: str = "blue", project: str = "default") -> str:
    """Without it."""
    return chosen(endpoint, subnet, network, project).partition("/")[0]
