# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes away: made by the role, and no longer wanted."""

from __future__ import annotations

import typing as t

from ..kinds.port_publish import PortPublishKind
from .networks import Facts

Item = dict[str, t.Any]
Items = dict[str, list[Item]]


def removals(present: Items, info: Facts, ours: t.Callable[[str], bool]) -> Items:
    """For each module what the role made (``ours`` of its label) and nobody wants any more."""
    absent: Items = {module: [] for module in present}
    kind = PortPublishKind()
    kept = {module: {item.get("name") for item in present[module]} for module in ("bridge", "netns", "veth")}
    policies = {item["bridge"]: item for item in present["bridge_firewall"]}
    ports = {kind.parse(item).key: item for item in present["port_publish"]}
    masquerades = {(item["source"], item["out_interface"]): item for item in present["nat_masquerade"]}
    for item in info.get("ports", ()):
        wanted = ports.get(kind.parse(item).key)
        if ours(item.get("network", "")) and (wanted is None or wanted["network"] != item["network"]):
            absent["port_publish"].append(_key(item, "host_ip", "host_port", "protocol", "container_ip", "bridge"))
    for item in info.get("masquerades", ()):
        wanted = masquerades.get((item["source"], item.get("out_interface")))
        wanted = wanted or masquerades.get((item["source"], "default"))  # known by name where there is a default route
        if ours(item.get("network", "")) and (wanted is None or wanted["network"] != item["network"]):
            absent["nat_masquerade"].append(_key(item, "source", "out_interface"))
    for network in info.get("networks", ()):
        for endpoint in network["endpoints"]:
            if ours(endpoint["network"]) and endpoint["veth"] not in kept["veth"]:
                absent["veth"].append({"name": endpoint["veth"]})
        if ours(network["network"]) and network["ours"] and network["bridge"] not in kept["bridge"]:
            absent["bridge"].append({"name": network["bridge"]})
        policy = network["policy"] or {}
        if ours(policy.get("network", "")) and network["bridge"] not in policies:
            absent["bridge_firewall"].append({"bridge": network["bridge"]})
    needed = kept["netns"] | _busy_namespaces(present, absent, info)
    for item in info.get("namespaces", ()):
        if item["ours"] and ours(item["network"]) and item["name"] not in needed:
            absent["netns"].append({"name": item["name"]})
    return absent


def _busy_namespaces(present: Items, absent: Items, info: Facts) -> set[str]:
    """Namespaces with an endpoint in a network that stays."""
    # a veth pair that is asked for lives where it is asked for from now on
    gone = {item["name"] for item in absent["veth"] + present["veth"]}
    endpoints = [endpoint for network in info.get("networks", ()) for endpoint in network["endpoints"]]
    return {item["netns"] for item in endpoints if item["netns"] and item["veth"] not in gone}


def _key(item: Facts, *names: str) -> Item:
    return dict({name: item[name] for name in names if item.get(name) is not None}, state="absent")
