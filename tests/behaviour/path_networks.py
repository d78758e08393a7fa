# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random networks, and the flows in them that work while nothing is broken."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from breakages import Breakage, Flow

KINDS = ("same", "out", "far", "other", "in", "host", "hairpin", "self_published")
PUBLISHED = ("in", "hairpin", "self_published")
PROTOCOLS = ("tcp", "tcp", "tcp", "udp", "icmp")


class Networks:
    """Two or three networks of two or three endpoints."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        octets = draw.sample(range(20, 90), draw.randint(2, 3))
        names = draw.sample(["blue", "red", "green", "back", "front"], len(octets))
        ends = iter(draw.sample(["web", "db", "app", "cache", "mail", "proxy", "queue", "auth", "log"], 9))
        self.nets = [self._net(name, octet, ends) for name, octet in zip(names, octets)]
        self.port = draw.randint(7000, 9000)
        web, app = self.nets[0]["endpoints"][0], self.nets[1]["endpoints"][0]
        web["publish"] = [f"{self.port}:80", f"{self.port}:80/udp"]
        self.allows_all = draw.random() < 0.5
        kinds = [{}] if self.allows_all else [{"protocol": name, "port": "80"} for name in ("tcp", "udp")]
        self.nets[1]["allow"] = [
            {"from": one, "to": other, **kind}
            for one, other in zip(web["addresses"], app["addresses"])
            for kind in kinds
        ]

    def _net(self, name: str, octet: int, ends: Iterator[str]) -> dict[str, Any]:
        count = self.draw.randint(2, 3)
        numbers = self.draw.sample(range(2, 90), count)
        return {
            "name": name,
            "subnets": [f"10.{octet}.0.0/24", f"fd00:{octet}::/64"],
            "endpoints": [
                {"name": next(ends), "addresses": [f"10.{octet}.0.{number}", f"fd00:{octet}::{number}"]}
                for number in numbers
            ],
        }

    def flow(self) -> Flow:
        """A flow that works."""
        while True:
            flow = self.flow_of(self.draw.choice(KINDS), self.draw.choice([4, 6]), self.draw.choice(PROTOCOLS))
            if flow is not None:
                return flow

    def flow_for(self, breakage: Breakage, version: int) -> Flow | None:
        """A flow of this family with the breakage on its way; None if that cannot be."""
        kinds = self.draw.sample(KINDS, len(KINDS))
        flows = (self.flow_of(kind, version, name) for name in ("tcp", "udp", "icmp") for kind in kinds)
        return next((flow for flow in flows if flow is not None and breakage.fits(flow)), None)

    def flow_of(self, kind: str, version: int, protocol: str = "tcp") -> Flow | None:
        """A flow of a kind; None if there is none of this protocol."""
        if protocol == "icmp" and (kind in PUBLISHED or (kind == "other" and not self.allows_all)):
            return None
        flow: Flow = getattr(self, "_" + kind)(version)
        return replace(flow, protocol=protocol, port=0 if protocol == "icmp" else flow.port)

    def _from(self, end: dict[str, Any], net: dict[str, Any], version: int) -> dict[str, Any]:
        return {
            "origin": end["name"],
            "place": end["name"],
            "src": end["addresses"][version == 6],
            "src_ns": end["name"],
            "src_link": f"v-{net['name']}-{end['name']}",
            "src_bridge": f"br-{net['name']}",
            "gateway": gateway(net, version),
            "version": version,
        }

    def _to(self, end: dict[str, Any], net: dict[str, Any], version: int) -> dict[str, Any]:
        return {
            "dst": end["addresses"][version == 6],
            "dst_ns": end["name"],
            "dst_link": f"v-{net['name']}-{end['name']}",
            "dst_bridge": f"br-{net['name']}",
            "server": (end["name"], 80),
        }

    def _same(self, version: int) -> Flow:
        net = self.draw.choice(self.nets)
        one, other = self.draw.sample(net["endpoints"], 2)
        ends = {**self._from(one, net, version), **self._to(other, net, version)}
        return Flow("same", to=ends["dst"], port=80, back=ends["src"], **ends)

    def _out(self, version: int) -> Flow:
        net = self.draw.choice(self.nets)
        to = "192.0.2.2" if version == 4 else "2001:db8::2"
        start = self._from(self.draw.choice(net["endpoints"]), net, version)
        return Flow("out", to=to, dst=to, port=99, server=("neighbour", 99), **start)

    def _far(self, version: int) -> Flow:
        net = self.draw.choice(self.nets)
        to = "198.51.100.2" if version == 4 else "2001:db8:1::2"
        start = self._from(self.draw.choice(net["endpoints"]), net, version)
        return Flow("far", to=to, dst=to, port=99, server=("far", 99), **start)

    def _other(self, version: int) -> Flow:
        one, other = self.nets[:2]
        ends = {**self._from(one["endpoints"][0], one, version), **self._to(other["endpoints"][0], other, version)}
        return Flow("other", to=ends["dst"], port=80, back=gateway(other, version), **ends)

    def _in(self, version: int) -> Flow:
        net = self.nets[0]
        source = "192.0.2.2" if version == 4 else "2001:db8::2"
        end = self._to(net["endpoints"][0], net, version)
        end.update(origin="outside", place="neighbour", to=up(version), port=self.port, version=version)
        return Flow("in", src=source, source=source, back=source, **end)

    def _host(self, version: int) -> Flow:
        net = self.draw.choice(self.nets)
        end = self._to(self.draw.choice(net["endpoints"]), net, version)
        own = gateway(net, version)
        end.update(origin="host", place="host", to=end["dst"], port=80, version=version)
        return Flow("host", src=own, back=own, **end)

    def _self_published(self, version: int) -> Flow:
        net = self.nets[0]
        end = self._to(net["endpoints"][0], net, version)
        own = up(version)
        end.update(origin="host", place="host", to=own, port=self.port, version=version)
        return Flow("self_published", src=own, back=own, **end)

    def _hairpin(self, version: int) -> Flow:
        net = self.nets[0]
        web, other = net["endpoints"][:2]
        ends = {**self._from(other, net, version), **self._to(web, net, version)}
        return Flow("hairpin", to=up(version), port=self.port, back=gateway(net, version), **ends)


def gateway(net: dict[str, Any], version: int) -> str:
    return str(net["subnets"][version == 6]).partition("/")[0][: -1 if version == 4 else None] + "1"


def up(version: int) -> str:
    return "192.0.2.1" if version == 4 else "2001:db8::1"
