# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host between two links as bare network namespaces, with one network on it, and the rules of one variant.

All hosts are there at the same time, so that they can be measured in turns; each has namespaces of its own, because
neither connection tracking nor the hooks of iptables-legacy leave one that once had them.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass

from benchmarks.bench import PROGRAMS
from benchmarks.docker_rules import Published, docker_rules
from lab.errors import CommandError
from lab.namespace import Namespace
from lab.small import SmallHost
from tools.project import ROOT, SYSTEM_PYTHON
from tools.tree import link

BRIDGE, SUBNET, ENDPOINT = "br-blue", "10.20.0.0/16", "10.20.0.2"
HOST, NEIGHBOUR, FAR, HOST_FAR = "192.0.2.1", "192.0.2.2", "198.51.100.2", "198.51.100.1"
SERVICE = 9000
# Runs the engine without Ansible around it, as the tests of the engine do.
RUNS = ROOT / "tests" / "behaviour" / "nodes" / "runs.py"

TOPOLOGY = f"""
netns add neighbour
netns add far
netns add crowd
link set lo up
link add up0 type veth peer name eth0 netns neighbour
link add up1 type veth peer name eth0 netns far
address add {HOST}/24 dev up0
address add {HOST_FAR}/24 dev up1
link set up0 up
link set up1 up
"""
# Their default routes lead to the endpoints, which only the variant without rules needs.
AROUND = {
    "neighbour": f"address add {NEIGHBOUR}/24 dev eth0\nlink set eth0 up\nroute add default via {HOST}\n",
    "far": f"address add {FAR}/24 dev eth0\nlink set eth0 up\nroute add default via {HOST_FAR}\n",
}
# What any firewall with a stateful rule costs, ours and Docker's included.
TRACKING = (
    "add table inet t\nadd chain inet t c { type filter hook forward priority 0; }\nadd rule inet t c ct state new\n"
)


@dataclass(frozen=True)
class Variant:
    """A set of rules: whose, and in which tables."""

    title: str
    backend: str = ""  # of the engine
    iptables: str = "nft"
    rules: str = ""  # of others


VARIANTS = {
    "none": Variant("no rules"),
    "tracking": Variant("connection tracking alone", rules="tracking"),
    "nftables": Variant("nftables", "nftables"),
    "iptables": Variant("iptables", "iptables"),
    "iptables-legacy": Variant("iptables-legacy", "iptables", "legacy"),
    "docker": Variant("Docker's rules, iptables", rules="docker"),
    "docker-legacy": Variant("Docker's rules, iptables-legacy", iptables="legacy", rules="docker"),
}


def variants() -> list[str]:
    """Those that this kernel has."""
    argv = ["unshare", "--net", "xtables-legacy-multi", "iptables", "-t", "nat", "-S"]
    legacy = subprocess.run(argv, capture_output=True, check=False).returncode == 0
    return [name for name, variant in VARIANTS.items() if legacy or variant.iptables != "legacy"]


@dataclass(frozen=True)
class Way:
    """From where to where; ``port`` is what is asked for, and ``listening`` where it arrives."""

    client: Namespace
    server: Namespace
    address: str
    port: int
    listening: int
    seen: str  # the client's address as the server sees it


class World(SmallHost):
    """The host, its neighbour, a far one behind its other link, and an endpoint; ``crowd`` has the rest of them."""

    def __init__(self, name: str, ports: int, endpoints: int) -> None:
        self.variant = VARIANTS[name]
        super().__init__(self.variant.iptables)
        self._ports = [Published("tcp", 20000 + i, ENDPOINT, 40000 + i) for i in range(1, ports + 1)]
        last = self._ports[-1]
        # packets are counted with UDP, which needs a port as well
        self._ports.append(Published("udp", last.host_port, ENDPOINT, last.port))
        self._build(endpoints)
        self._load_rules(endpoints)
        self.ways = self._ways(last)

    # ---- the host

    def _build(self, endpoints: int) -> None:
        self.must("mkdir", "/run/lock")
        self.must("mount", "-t", "tmpfs", "none", "/etc/sysctl.d")  # where the engine keeps what is to last
        self.must("mount", "-t", "sysfs", "none", "/sys")  # that of the machine shows the machine's links
        self.must("ip", "-batch", "-", text=TOPOLOGY)
        for name, text in AROUND.items():
            self.must("ip", "-n", name, "-batch", "-", text=text)
        # a router before us, or the engine would keep the neighbour from the far one
        self.must("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._run_engine()
        with contextlib.suppress(CommandError):  # no br_netfilter
            self.must("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0")
        self._build_crowd(endpoints - 1)

    def _build_crowd(self, number: int) -> None:
        """The endpoints that only have to be there; without IPv6, whose start-up for each link would disturb us."""
        quiet = ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]
        self.must(*quiet)
        self.must("nsenter", "--net=/run/netns/crowd", *quiet)
        names = [f"c-{i}" for i in range(1, number + 1)]
        lines = [
            f"link add {name} group 1 master {BRIDGE} type veth peer name {name} group 1 netns crowd" for name in names
        ]
        self.must("ip", "-batch", "-", text="\n".join([*lines, "link set group 1 up"]))
        self.must("ip", "-n", "crowd", "link", "set", "group", "1", "up")

    def _run_engine(self) -> None:
        """The network and its rules; other variants have the network from here as well, and then rules of their own."""
        library = next((PROGRAMS.parent / "lib").glob("python3*/site-packages/ansible"))
        publish = [f"{port.host_port}:{port.port}/{port.protocol}" for port in self._ports]
        endpoint = {"name": "web", "addresses": [ENDPOINT], "publish": publish if self.variant.backend else []}
        network = {"name": "blue", "subnets": [SUBNET], "endpoints": [endpoint]}
        request = {"do": "run", "networks": [network], "backend": self.variant.backend or "nftables"}
        argv = [str(SYSTEM_PYTHON), str(RUNS), str(link().parents[2]), str(library)]
        answer = json.loads(self.must(*argv, text=json.dumps(request) + "\n"))
        if "outcome" not in answer:
            raise RuntimeError(f"the engine says {answer['error']}")

    def _load_rules(self, endpoints: int) -> None:
        if self.variant.backend:
            return
        self.must("nft", "flush", "ruleset")
        if self.variant.rules == "tracking":
            self.must("nft", "-f", "-", text=TRACKING)
        elif self.variant.rules == "docker":
            crowd = [f"10.20.{1 + i // 250}.{1 + i % 250}" for i in range(endpoints - 1)]
            self.must("iptables-restore", text=docker_rules(BRIDGE, SUBNET, [*crowd, ENDPOINT], self._ports))

    # ---- who speaks to whom

    def _ways(self, last: Published) -> dict[str, Way]:
        host, neighbour, far, web = (self[name] for name in ("host", "neighbour", "far", "web"))
        translated = self.variant.backend or self.variant.rules == "docker"
        into = (HOST, last.host_port) if translated else (ENDPOINT, last.port)
        return {
            "published": Way(neighbour, web, *into, last.port, NEIGHBOUR),
            "out": Way(web, far, FAR, SERVICE, SERVICE, HOST_FAR if translated else ENDPOINT),
            "host": Way(neighbour, host, HOST, SERVICE, SERVICE, NEIGHBOUR),
            "forwarded": Way(neighbour, far, FAR, SERVICE, SERVICE, NEIGHBOUR),
        }
