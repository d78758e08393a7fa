# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random networks with random breakages, in which the path check is compared with a real packet.

python3 tests/behaviour/path_draws.py DRAWS [SEED] [NAME OF A BREAKAGE]     a long run by hand
DRAWS_ON=nftables                                                           on one back-end instead of all
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from breakages import BREAKAGES, Breakage, Flow, broken
from engine_world import BACKENDS
from path_world import PathWorld

PATIENCE = 3.0
LONGEST = 4.0  # the module's default
IMPATIENCE = 0.3
DRAWS_OF_ONE_WORLD = 25
KINDS = ("same", "out", "far", "other", "in", "host", "hairpin", "self_published")


@dataclass
class Score:
    """The results of the draws on one back-end."""

    backend: str
    versions: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)  # cases in which the static walk could not tell
    unknown: list[str] = field(default_factory=list)  # cases in which not even the real packet helped
    followed: int = 0  # pieces of advice, after which the packet arrived
    repeated: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        said = f"{self.backend}: {self.versions.total()} draws of {len(self.kinds)} kinds, {self.followed} mended by"
        said += f" advice, {self.repeated} real packets sent again with more time"
        return "\n".join([said, *(self._family(version) for version in sorted(self.versions))])

    def _family(self, version: int) -> str:
        found = [sum(f", IPv{version}" in text for text in texts) for texts in (self.wrong, self.unknown, self.silent)]
        said = "  IPv{}: {} draws, {} wrong; with a real packet nobody could tell in {}, and without one in {}"
        return said.format(version, self.versions[version], *found)


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
        web["publish"] = [f"{self.port}:80"]
        self.nets[1]["allow"] = [
            {"from": one, "to": other, "protocol": "tcp", "port": "80"}
            for one, other in zip(web["addresses"], app["addresses"])
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
        return self.flow_of(self.draw.choice(KINDS), self.draw.choice([4, 6]))

    def flow_for(self, breakage: Breakage, version: int) -> Flow | None:
        """A flow of this family with the breakage on its way; None if that cannot be."""
        flows = (self.flow_of(kind, version) for kind in self.draw.sample(KINDS, len(KINDS)))
        return next((flow for flow in flows if breakage.fits(flow)), None)

    def flow_of(self, kind: str, version: int) -> Flow:
        """A flow of a kind."""
        return getattr(self, "_" + kind)(version)  # type: ignore[no-any-return]

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


def take_what_waits(server: socket.socket) -> None:
    """Connections of path checks, which have ended, stand before that of the next packet."""
    server.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()


def gateway(net: dict[str, Any], version: int) -> str:
    return str(net["subnets"][version == 6]).partition("/")[0][: -1 if version == 4 else None] + "1"


def up(version: int) -> str:
    return "192.0.2.1" if version == 4 else "2001:db8::1"


class Draws:
    """Draws in one world after another."""

    def __init__(self, seed: int, only: str = "", verbose: bool = False, backend: str = "nftables") -> None:
        self.draw = random.Random(seed)
        self.only = only
        self.verbose = verbose
        self.score = Score(backend)
        self.world = PathWorld(backend)
        self.networks = Networks(self.draw)
        self.world.make(*self.networks.nets)

    def close(self) -> None:
        self.world.close()

    def run(self, count: int) -> Score:
        """Make a number of draws."""
        for number in range(count):
            if number % DRAWS_OF_ONE_WORLD == DRAWS_OF_ONE_WORLD - 1:
                self.networks = Networks(self.draw)
                self.world.make(*self.networks.nets)
            self.one()
        return self.score

    def one(self) -> None:
        """Try a flow with a breakage, or with none."""
        self.draw_of(*self._chosen())

    def named(self, breakage: Breakage, version: int) -> None:
        """Try a flow with this breakage: of this family, or of the other one if it is only possible there."""
        flows = (self.networks.flow_for(breakage, one) for one in (version, 10 - version))
        self.draw_of(next(flow for flow in flows if flow is not None), breakage)

    def draw_of(self, flow: Flow, breakage: Breakage | None) -> None:
        """Compare the path check with a real packet."""
        self.score.versions[flow.version] += 1
        self.score.kinds[breakage.name if breakage else "nothing"] += 1
        if breakage is None:
            with self._server(flow, "") as server:
                self._compare(flow, None, server)
            return
        with broken(self.world, breakage, flow, self._heal):
            with self._server(flow, breakage.server) as server:
                found = self._compare(flow, breakage, server)
            if breakage.is_mended_here(flow):
                self._follow(flow, breakage, found)

    def _follow(self, flow: Flow, breakage: Breakage, found: dict[str, Any]) -> None:
        """Check that the flow works once the advice is followed."""
        if found["layer"] is None:
            return
        self._do(found["advice"])
        address = flow.dst if breakage.server == "loopback" else ""
        with self.world.server(*flow.server, address=address) as server:
            # The kernel may give up, just after the fix, on a MAC address that it asked for before; then it asks again.
            if any(self._arrives(flow, server, PATIENCE) for unused in range(2)):
                self.score.followed += 1
                return
        then = self.world.check(flow.origin, flow.to, flow.port, source_address=flow.source, timeout=0.5)
        told = f"{breakage.name}, {flow.kind}, IPv{flow.version}: {found['reason']}: {found['advice']}"
        self.score.wrong.append(f"the advice did not help: {told}; now {then['layer']}: {then['reason']} ({flow})")

    def _do(self, advice: str) -> None:
        command = advice.rpartition(": ")[2]
        if command.startswith(("ip ", "nft ", "bridge ", "sysctl ", "tc ", "iptables-", "ip6tables-")):
            # a router and a link that only the user knows
            command = command.replace("via ROUTER dev LINK", "dev up1")
            self.world.run(["sh", "-c", command if "COMMAND" not in command else "true"])
        elif "un the role" in advice:
            self._heal()

    def _chosen(self) -> tuple[Flow, Breakage | None]:
        while True:
            flow = self.networks.flow()
            fitting = [one for one in BREAKAGES if one.fits(flow) and self.only in one.name]
            if fitting and (self.only or self.draw.random() > 0.05):
                return flow, self.draw.choice(fitting)
            if not self.only:
                return flow, None

    def _heal(self) -> None:
        self.world.make(*self.networks.nets)

    @contextlib.contextmanager
    def _server(self, flow: Flow, how: str) -> Iterator[socket.socket]:
        place, port = flow.server
        if how == "absent":
            port = 4
        address = "" if how != "loopback" else "127.0.0.1" if flow.version == 4 else "::1"
        with self.world.server(place, port, address=address) as server:
            if how == "full":
                server.listen(0)
                with self._waiting(flow, server):
                    yield server
            else:
                yield server

    @contextlib.contextmanager
    def _waiting(self, flow: Flow, server: socket.socket) -> Iterator[None]:
        """Fill the queue of a server."""
        family = socket.AF_INET6 if flow.version == 6 else socket.AF_INET
        with contextlib.ExitStack() as stack:
            for unused in range(3):
                client = stack.enter_context(self.world[flow.server[0]].socket(family, socket.SOCK_STREAM))
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(("::1" if flow.version == 6 else "127.0.0.1", flow.server[1]))
            yield

    def _compare(self, flow: Flow, breakage: Breakage | None, server: socket.socket) -> dict[str, Any]:
        arrives = self._arrives(flow, server, PATIENCE if breakage is None else IMPATIENCE)
        for active in (False, True):
            begin = time.monotonic()
            options = {"source_address": flow.source, "active": active, "timeout": PATIENCE if arrives else 0.3}
            found = self.world.check(flow.origin, flow.to, flow.port, **options)
            if active and found["verdict"] == "unknown":
                # the time was too short
                self.score.repeated += 1
                found = self.world.check(flow.origin, flow.to, flow.port, **{**options, "timeout": LONGEST})
            if not arrives and found["verdict"] == "arrives":
                self.score.repeated += 1
                if breakage is None or breakage.server != "full":
                    take_what_waits(server)
                arrives = self._arrives(flow, server, PATIENCE)
            self._judge(flow, breakage, arrives, active, found, time.monotonic() - begin)
        return found

    def _arrives(self, flow: Flow, server: socket.socket, patience: float) -> bool:
        return self.world.ask(flow.place, flow.to, flow.port, server, flow.source, patience) is not None

    def _judge(
        self, flow: Flow, breakage: Breakage | None, arrives: bool, active: bool, found: dict[str, Any], seconds: float
    ) -> None:
        name = breakage.name if breakage else "nothing"
        how = "active" if active else "static"
        text = f"{name}, {flow.kind}, IPv{flow.version}, {how}: {'arrives' if arrives else 'is lost'}; said "
        text += f"{found['verdict']}, {found['layer']}, {found['place']}: {found['reason']}"
        if self.verbose:
            print(f"{seconds:.2f}", text, flush=True)
        if found["verdict"] == "unknown" and not active:
            self.score.silent.append(text)
            return
        if found["verdict"] == "unknown":
            self.score.unknown.append(text)
        right = (found["verdict"] == "arrives") == arrives
        if right and not arrives:
            right = breakage is not None and found["layer"] in breakage.layers
        if not right:
            hops = [
                f"{h['direction']} {h['place']} {h['layer']} {h['object']} {h['found']}" for h in found["hops"][-6:]
            ]
            self.score.wrong.append("\n      ".join([f"{text} ({flow})", *hops]))


class AllDraws:
    """Draws on several back-ends at once, each in a world of its own: nearly all of a draw is waiting."""

    def __init__(self, seed: int, only: str = "", verbose: bool = False, backends: Sequence[str] = BACKENDS) -> None:
        self.draws = [Draws(seed + number, only, verbose, backend) for number, backend in enumerate(backends)]
        self._pool = ThreadPoolExecutor(len(self.draws))

    def close(self) -> None:
        self._pool.shutdown()
        for draws in self.draws:
            draws.close()

    def each_family(self, number: int, do: Callable[[Draws, int], None]) -> None:
        """Do something once on every back-end, and in both families: which one where depends on the number."""
        versions = [4 if (number + place) % 2 else 6 for place in range(len(self.draws))]
        list(self._pool.map(do, self.draws, versions))

    def run(self, count: int) -> list[Score]:
        """Share a number of draws between the back-ends."""
        shares = [count // len(self.draws) + (number < count % len(self.draws)) for number in range(len(self.draws))]
        return list(self._pool.map(lambda draws, share: draws.run(share), self.draws, shares))

    @property
    def scores(self) -> list[Score]:
        return [draws.score for draws in self.draws]

    @property
    def wrong(self) -> list[str]:
        return [f"{score.backend}: {text}" for score in self.scores for text in score.wrong]

    def forget(self) -> None:
        """Forget what was wrong so far."""
        for score in self.scores:
            score.wrong.clear()


def backends(name: str) -> tuple[str, ...]:
    """All back-ends, or the one whose name is in a variable of the environment."""
    return (os.environ[name],) if name in os.environ else BACKENDS


def main() -> None:
    count, seed, *only = sys.argv[1:] + ["1"] * (len(sys.argv) < 3)
    draws = AllDraws(int(seed), only[0] if only else "", verbose=True, backends=backends("DRAWS_ON"))
    try:
        scores = draws.run(int(count))
    finally:
        draws.close()
    print("\n".join(f"WRONG {line}" for line in draws.wrong))
    print("\n".join(f"SILENT {score.backend}: {line}" for score in scores for line in score.silent))
    print(*scores, sep="\n")


if __name__ == "__main__":
    main()
