# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draws the pictures of the map in docs/images again, from made-up hosts with 1, 20 and 200 endpoints.

python3 -m tools.maps FOLDER [MERMAID]     needs Ansible, and Chromium; MERMAID is a mermaid.min.js, for the diagram

Look at them, and copy them to docs/images.
"""

from __future__ import annotations

import html
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.tree import link

Facts = dict[str, Any]

PACKAGE = "ansible_collections.dockerless.network.plugins"
ROLES = ("web", "db", "cache", "api", "worker", "mail", "queue", "auth", "log", "search")
NETWORKS = (("blue", 20), ("red", 21), ("vault", 22))
BROWSER = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
# With a delay, as it takes some time to draw a diagram.
HEIGHT = "<script>setTimeout(() => document.title = document.body.offsetHeight, 9000)</script>"
MARGINS = 40
DIAGRAM = """<!DOCTYPE html><meta charset="utf-8"><body style="margin: 1rem"><pre class="mermaid">%s</pre>
<script src="%s"></script><script>mermaid.initialize({startOnLoad: true})</script>"""


def main() -> None:
    folder, *libraries = map(Path, sys.argv[1:])
    sys.path.insert(0, str(link().parents[2]))
    folder.mkdir(parents=True, exist_ok=True)
    for name, hosts, endpoints, width in (("map-1", 1, 1, 900), ("map", 3, 20, 1400), ("map-200", 10, 200, 2340)):
        (folder / f"{name}.html").write_text(drawn(hosts, endpoints, f"{name}.html"))
        picture(folder / f"{name}.html", width)
    for library in libraries:
        text = html.escape(drawn(3, 20, "map.mmd"))
        (folder / "map-mermaid.html").write_text(DIAGRAM % (text, library.resolve()))
        picture(folder / "map-mermaid.html", 1080)


def drawn(hosts: int, endpoints: int, name: str) -> str:
    """The map of a fleet; in the one with three hosts, the last host was not reached."""
    fleet_map, reader, reasons = (
        importlib.import_module(f"{PACKAGE}.{module}")
        for module in ("plugin_utils.fleet_map", "plugin_utils.reader", "module_utils.firewall.reasons")
    )
    lost = hosts == 3
    each = endpoints // (hosts - lost)
    reports = {f"h{n}": reader.read_report(host(n, each, reasons)) for n in range(1, hosts + 1 - lost)}
    if lost:
        reports[f"h{hosts}"] = "nothing is known of this host: it was not reached"
    return str(fleet_map.fleet_map(reports, name))


def picture(page: Path, width: int) -> None:
    """A picture of the whole page."""
    measured = page.with_suffix(".measured.html")
    measured.write_text(page.read_text() + HEIGHT)
    patience = "--virtual-time-budget=20000"
    dump = [*BROWSER, patience, f"--window-size={width},800", "--dump-dom", str(measured.resolve())]
    title = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    height = MARGINS + int(re.findall(r"<title>(\d+)</title>", title)[-1])
    target = page.with_suffix(".png").resolve()
    subprocess.run(
        [*BROWSER, patience, f"--window-size={width},{height}", f"--screenshot={target}", str(page.resolve())],
        check=True,
        capture_output=True,
    )
    measured.unlink()


def host(number: int, endpoints: int, reasons: Any) -> Facts:
    """What network_info could return for a host, with something wrong on the first one."""
    first = number == 1
    networks = []
    names = NETWORKS if number % 2 else NETWORKS[1:]
    shares = [min(9, endpoints - taken) for taken in range(0, endpoints, 9)][: len(names)]
    shares[-1] += endpoints - sum(shares)
    for (name, octet), share in zip(names, shares):
        networks.append(network(name, octet, share, first and endpoints > 1, reasons))
    return {
        "networks": networks,
        "namespaces": [],
        "forwarding": {"ipv4": True, "ipv6": True, "forward_policy": "auto"},
        "backend": "iptables" if number == 4 else "nftables",
        "ports": [port for one in networks for port in one["ports"]],
        "masquerades": [item for one in networks for item in one["masquerades"]],
        "uplinks": {"ipv4": "eth0", "ipv6": "eth0"},
        "uplink_addresses": [f"192.0.2.{10 + number}/24", f"2001:db8::{10 + number}/64"],
        "foreign": ["chain FORWARD of table ip filter (policy drop) drops what our rules accept"] if first else [],
        "drops": [{"reason": reasons.TRANSIT, "packets": 3}] if first else [],
    }


def network(name: str, octet: int, endpoints: int, troubled: bool, reasons: Any) -> Facts:
    subnets = [f"10.{octet}.0.0/24", f"fd00:{octet}::/64"]
    bridge, internal = f"br-{name}", name == "vault"
    made = [endpoint(name, octet, number, troubled) for number in range(endpoints)]
    allow = [{"from": "10.21.0.2/32", "to": f"10.{octet}.0.3/32", "protocol": "tcp", "port": "5432"}]
    drops = [{"reason": reasons.DIRECT, "packets": 12}, {"reason": reasons.CLOSED, "packets": 1}]
    policy = {
        "bridge": bridge,
        "subnets": subnets,
        "internal": internal,
        "icc": True,
        "direct_access": False,
        "trusted_interfaces": [],
        "host_access": "allow",
        "allow": allow if name == "blue" and endpoints > 1 else [],
        "network": name,
    }
    masquerade = {"out_interface": f"!{bridge}", "exclude": [], "random_fully": False, "network": name}
    return {
        "name": name,
        "network": name,
        "bridge": bridge,
        "present": True,
        "ours": True,
        "mtu": 1500,
        "addresses": [f"10.{octet}.0.1/24", f"fd00:{octet}::1/64"],
        "subnets": subnets,
        "policy": policy,
        "masquerades": [] if internal else [{**masquerade, "source": subnet} for subnet in subnets],
        "endpoints": made,
        "ports": [] if internal else [port for number in range(endpoints) for port in ports(name, octet, number)],
        "drops": drops if name == "blue" else [{"reason": reasons.OUT, "packets": 7}] if internal else [],
    }


def endpoint(network: str, octet: int, number: int, troubled: bool) -> Facts:
    role = ROLES[number % len(ROLES)]
    name = role if octet == NETWORKS[0][1] else f"{role}-{network}"
    name += str(number // len(ROLES) or "")
    unit = f"{'nginx' if role == 'web' else role}.service"
    wrong = ["no default route for IPv4"] if troubled and role == "mail" else []
    return {
        "name": name,
        "netns": name,
        "interface": "eth0",
        "veth": f"v-{network}-{number}",
        "network": network,
        "addresses": [f"10.{octet}.0.{number + 2}/24", f"fd00:{octet}::{number + 2:x}/64"],
        "isolated": False,
        "up": not (troubled and role == "log"),
        "names": [name, "postgres", "sql.example.internal"] if role == "db" else [name],
        "processes": [] if wrong or role == "log" else [{"pid": 100 + number, "name": role, "unit": unit}],
        "troubles": wrong,
        "ports": [
            {
                "container_ip": port["container_ip"],
                "container_port": port["container_port"],
                "protocol": "tcp",
                "heard": not (troubled and role == "api"),
                "elsewhere": ["127.0.0.1"] if troubled and role == "api" else [],
            }
            for port in ports(network, octet, number)
        ],
    }


def ports(network: str, octet: int, number: int) -> list[Facts]:
    """Published in both families, or on the host's own loopback."""
    if number % 3:
        return []
    shared = {
        "host_port": str(8000 + octet * 10 + number),
        "container_port": "80",
        "protocol": "tcp",
        "bridge": f"br-{network}",
        "allowed_sources": [],
        "in_interfaces": [],
        "network": network,
    }
    four, six = f"10.{octet}.0.{number + 2}", f"fd00:{octet}::{number + 2:x}"
    if number % 2:
        return [{**shared, "container_ip": address} for address in (four, six)]
    both = [{**shared, "container_ip": address} for address in (four, six)] if number == 0 else []
    return [
        *both,
        {**shared, "host_ip": "127.0.0.1", "container_ip": four, "host_port": str(9000 + octet * 10 + number)},
    ]


if __name__ == "__main__":
    main()
