# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CNI's plugins and netavark, called for one namespace after the other, as a container runtime calls them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.peers_scripts.common import (
    BRIDGE,
    FIRST_PORT,
    GATEWAY,
    STATE,
    SUBNET,
    Peer,
    address,
    namespaces,
    package,
    run,
)


class Plugins(Peer):
    """The runtime makes and deletes namespaces, so that is outside the clock."""

    def prepare(self, verb: str, number: int) -> None:
        """Namespaces."""
        STATE.mkdir(exist_ok=True)
        if verb in ("up", "add"):
            namespaces("add", list(range(1, number + 1)) if verb == "up" else [number])

    def finish(self, verb: str, number: int) -> None:
        """No namespaces."""
        if verb in ("down", "remove"):
            namespaces("delete", list(range(1, number + 1)) if verb == "down" else [number])

    def up(self, number: int) -> None:
        """One after the other."""
        for place in range(1, number + 1):
            self.add(place)

    def down(self, number: int) -> None:
        """One after the other."""
        for place in range(1, number + 1):
            self.remove(place)


class Cni(Plugins):
    """The chain that podman and nerdctl write for a bridge network: bridge, portmap, firewall."""

    folder = Path("/usr/lib/cni")
    names = ("loopback", "bridge", "portmap", "firewall")

    def version(self) -> str:
        """Of the package."""
        return f"CNI plugins {package('containernetworking-plugins')}"

    def add(self, number: int) -> None:
        """The answer of each plugin is passed on to the next one."""
        result: Any = None
        for name in self.names:
            answer = self._call("ADD", name, number, result)
            result = None if name == "loopback" else answer
        self._kept(number).write_text(json.dumps(result))

    def remove(self, number: int) -> None:
        """In the other order, with what the last one answered."""
        result = json.loads(self._kept(number).read_text())
        for name in reversed(self.names):
            self._call("DEL", name, number, None if name == "loopback" else result)
        self._kept(number).unlink()

    def _kept(self, place: int) -> Path:
        return STATE / f"cni-e{place}.json"

    def _call(self, verb: str, name: str, place: int, result: Any) -> Any:
        env = {
            **os.environ,
            "CNI_COMMAND": verb,
            "CNI_CONTAINERID": f"e{place}",
            "CNI_NETNS": f"/run/netns/e{place}",
            "CNI_IFNAME": "lo" if name == "loopback" else "eth0",
            "CNI_PATH": str(self.folder),
        }
        request = {"cniVersion": "1.0.0", "name": "peer", "type": name, **self._options(name, place)}
        if result is not None:
            request["prevResult"] = result
        answer = run(str(self.folder / name), text=json.dumps(request), env=env)
        return json.loads(answer) if answer.strip() else None

    def _options(self, name: str, place: int) -> dict[str, Any]:
        if name == "bridge":
            ranges = [[{"subnet": str(SUBNET), "gateway": str(GATEWAY)}]]
            ipam = {"type": "host-local", "dataDir": str(STATE / "ipam"), "ranges": ranges}
            flags = dict.fromkeys(("isGateway", "isDefaultGateway", "ipMasq", "hairpinMode"), True)
            return {"bridge": BRIDGE, **flags, "ipam": ipam}
        if name == "portmap":
            port = {"hostPort": FIRST_PORT + place, "containerPort": 80, "protocol": "tcp"}
            return {"capabilities": {"portMappings": True}, "runtimeConfig": {"portMappings": [port]}}
        return {"backend": "iptables"} if name == "firewall" else {}


class Netavark(Plugins):
    """One call for each endpoint, with the address that podman would have chosen."""

    program = Path("/usr/lib/podman/netavark")

    def version(self) -> str:
        """Of the package."""
        return f"netavark {package('netavark')}"

    def add(self, number: int) -> None:
        """Its set-up."""
        self._call("setup", number)

    def remove(self, number: int) -> None:
        """With the same request."""
        self._call("teardown", number)

    def _call(self, verb: str, place: int) -> None:
        # without an address of a bus it does not look for firewalld, as on a host that has none
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": ""}
        argv = [str(self.program), "--config", str(STATE), verb, f"/run/netns/e{place}"]
        run(*argv, text=json.dumps(_request(place)), env=env)


def _request(place: int) -> dict[str, Any]:
    port = {"host_ip": "", "container_port": 80, "host_port": FIRST_PORT + place, "range": 1, "protocol": "tcp"}
    network = {
        "name": "peer",
        "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
        "driver": "bridge",
        "network_interface": BRIDGE,
        "subnets": [{"subnet": str(SUBNET), "gateway": str(GATEWAY)}],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": False,
        "ipam_options": {"driver": "host-local"},
    }
    return {
        "container_id": f"{place:064x}",
        "container_name": f"e{place}",
        "port_mappings": [port],
        "networks": {"peer": {"interface_name": "eth0", "static_ips": [str(address(place))]}},
        "network_info": {"peer": network},
    }
