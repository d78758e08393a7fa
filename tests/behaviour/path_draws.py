# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random networks with random breakages, in which the path check is compared with a real packet.

In some draws there are two breakages; the path check must name the one that the packet comes to first.

python3 tests/behaviour/path_draws.py DRAWS [SEED] [NAME OF A BREAKAGE]     a long run by hand
DRAWS_ON=nftables                                                           on one back-end instead of all
"""

from __future__ import annotations

import contextlib
import functools
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
from path_networks import Networks
from path_order import ASKED, EITHER, KNOWN, Questions, first_of, unmade
from path_services import Real, Server, take_what_waits
from path_world import PathWorld

from lab.errors import CommandError

PATIENCE = 3.0
LONGEST = 4.0  # the module's default
IMPATIENCE = 0.3
DRAWS_OF_ONE_WORLD = 25
Breakages = tuple[Breakage, ...]
# The share of draws without a breakage, and of those with two.
NOTHING, PAIRS = 0.05, 0.6
# Of checks with a packet from outside, the share of those in which somebody outside sends it (inject: false).
LISTENING = 0.5
# With UDP, a service whose answer the kernel does not send cannot be told from one that does not answer.
UNSENT = ("answer to a blackhole", "no way back")


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
    protocols: Counter[str] = field(default_factory=Counter)
    pairs: Counter[int] = field(default_factory=Counter)  # draws with two breakages, by version
    either: int = 0  # verdicts on two breakages, of which either may be named
    listened: int = 0  # verdicts on a packet that was not injected
    passed: int = 0  # verdicts that name the second, as a real packet passes the first

    def __str__(self) -> str:
        said = f"{self.backend}: {self.versions.total()} draws of {len(self.kinds)} kinds, {dict(self.protocols)},"
        said += f" {self.pairs.total()} of two breakages ({self.either} verdicts may name either, {self.passed} name"
        said += f" the second as a packet passes the first), {self.followed} mended by advice, {self.repeated} real"
        said += f" packets sent again with more time, {self.listened} packets from outside not injected"
        return "\n".join([said, *(self._family(version) for version in sorted(self.versions))])

    def _family(self, version: int) -> str:
        found = [sum(f", IPv{version}" in text for text in texts) for texts in (self.wrong, self.unknown, self.silent)]
        said = "  IPv{}: {} draws ({} of two breakages), {} wrong; with a real packet nobody could tell in {}, and"
        return (said + " without one in {}").format(version, self.versions[version], self.pairs[version], *found)


@dataclass(frozen=True)
class Judged:
    """A verdict to judge: what was broken, and what became of a real packet."""

    flow: Flow
    breakages: Breakages
    arrives: bool
    active: bool
    questions: Questions
    heard: bool
    inject: bool = True

    def __str__(self) -> str:
        names = " + ".join(one.name for one in self.breakages) or "nothing"
        sent = "active" if self.inject else "active, not injected"
        how = ", ".join([sent if self.active else "static"] + ["no MAC address known"] * (self.questions == ASKED))
        fate = "arrives" if self.arrives else "is heard only" if self.heard else "is lost"
        return f"{names}, {self.flow.kind}, IPv{self.flow.version}, {self.flow.protocol}, {how}: {fate}"

    def is_right(self, found: dict[str, Any]) -> bool:
        if found["verdict"] == "arrives":
            return self.arrives or (self.heard and any(one.name in UNSENT for one in self.first))
        return not self.arrives and any(one.is_named(self.flow, found) for one in self.first)

    @property
    def first(self) -> Breakages:
        """The breakages that the path check may name."""
        if len(self.breakages) < 2:
            return self.breakages
        pair = self.breakages[0], self.breakages[1]
        return tuple(first_of(pair, self.flow, self.questions, self.active))


class Draws:
    """Draws in one world after another."""

    def __init__(self, seed: int, only: str = "", verbose: bool = False, backend: str = "nftables") -> None:
        self.only = only
        self.verbose = verbose
        self.pairs = PAIRS
        self.listening = LISTENING
        self.score = Score(backend)
        self._suspects: list[tuple[Judged, dict[str, Any], str]] = []
        self.world = PathWorld(backend)
        self.begin(seed)

    def close(self) -> None:
        self.world.close()

    def begin(self, seed: int) -> None:
        """Draw from here on what follows from a seed."""
        self.draw = random.Random(seed)
        self._listens = random.Random(seed)
        self._renew()

    def _renew(self) -> None:
        self.networks = Networks(self.draw)
        self._heal()

    def run(self, count: int) -> Score:
        """Make a number of draws."""
        for number in range(count):
            if number % DRAWS_OF_ONE_WORLD == DRAWS_OF_ONE_WORLD - 1:
                self._renew()
            self.one()
        return self.score

    def one(self) -> None:
        """Try a flow with one breakage, two, or none."""
        flow, breakages = self._chosen()
        if len(breakages) == 2:
            self.pair_of(flow, breakages[0], breakages[1], self.draw.choice([ASKED, EITHER]))
        else:
            self.draw_of(flow, breakages[0] if breakages else None)

    def named(self, breakage: Breakage, version: int) -> None:
        """Try a flow with this breakage: of this family, or of the other one if it is only possible there."""
        flows = (self.networks.flow_for(breakage, one) for one in (version, 10 - version))
        self.draw_of(next(flow for flow in flows if flow is not None), breakage)

    def draw_of(self, flow: Flow, breakage: Breakage | None) -> None:
        """Compare the path check with a real packet."""
        self._count(flow, [breakage.name] if breakage else ["nothing"])
        if breakage is None:
            # a service need not answer UDP
            how = "silent" if flow.protocol == "udp" and flow.dst_ns and self.draw.random() < 0.5 else ""
            with self._server(flow, how) as server:
                self._compare(flow, (), server)
            self._sentence()
            return
        with broken(self.world, breakage, flow, self._heal):
            with self._server(flow, breakage.server) as server:
                found = self._compare(flow, (breakage,), server)
            if breakage.is_mended_here(flow):
                self._follow(flow, breakage, found)
        self._sentence()

    def pair_of(self, flow: Flow, one: Breakage, other: Breakage, questions: Questions = EITHER) -> None:
        """Two breakages at once; MAC addresses are forgotten before each packet, or known before, or left alone."""
        if questions == KNOWN:
            self.draw_of(flow, None)
        try:
            with self._all_broken(flow, (one, other)), self._server(flow, one.server or other.server) as server:
                self._compare(flow, (one, other), server, questions)
        except CommandError:
            self._suspects.clear()
            return  # the first makes the second impossible: there is no such pair
        self._sentence()
        self._count(flow, [one.name, other.name])
        self.score.pairs[flow.version] += 1

    @contextlib.contextmanager
    def _all_broken(self, flow: Flow, breakages: Breakages) -> Iterator[None]:
        """Several breakages at once; the engine runs after the last is undone, as it may refuse to before."""
        heals: list[bool] = []
        try:
            with contextlib.ExitStack() as stack:
                for breakage in breakages:
                    stack.enter_context(broken(self.world, breakage, flow, lambda: heals.append(True)))
                yield
        finally:
            if heals:
                self._heal()

    def _count(self, flow: Flow, names: Sequence[str]) -> None:
        self.score.versions[flow.version] += 1
        self.score.protocols[flow.protocol] += 1
        self.score.kinds.update(names)

    def _follow(self, flow: Flow, breakage: Breakage, found: dict[str, Any]) -> None:
        """Check that the flow works once the advice is followed."""
        if found["layer"] is None:
            return
        self._do(found["advice"])
        told = found["advice"].partition("listen on ")[2].partition(",")[0]
        with self._listening(flow, "", told if breakage.server == "loopback" else "") as server:
            # The kernel may give up, just after the fix, on a MAC address that it asked for before; then it asks again.
            if any(self._sent(flow, server, PATIENCE).answered for unused in range(2)):
                self.score.followed += 1
                return
        then = self._checked(flow, timeout=0.5)
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

    def _chosen(self) -> tuple[Flow, list[Breakage]]:
        while True:
            flow = self.networks.flow()
            fitting = [one for one in BREAKAGES if one.fits(flow)]
            wanted = [one for one in fitting if self.only in one.name]
            if not self.only and self.draw.random() < NOTHING:
                return flow, []
            if not wanted:
                continue
            first = self.draw.choice(wanted)
            others = [one for one in fitting if one is not first and not unmade((first, one))]
            if others and self.draw.random() < self.pairs:
                return flow, self.draw.sample([first, self.draw.choice(others)], 2)
            return flow, [first]

    def _heal(self) -> None:
        self.world.make(*self.networks.nets)

    @contextlib.contextmanager
    def _server(self, flow: Flow, how: str) -> Iterator[Server]:
        address = "" if how != "loopback" else "127.0.0.1" if flow.version == 4 else "::1"
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(self._listening(flow, how, address))
            if how == "full":
                assert server.listener is not None
                server.listener.listen(0)
                stack.enter_context(self._waiting(flow))
            yield server

    @contextlib.contextmanager
    def _listening(self, flow: Flow, how: str, address: str) -> Iterator[Server]:
        if flow.protocol == "icmp":
            yield Server(None, how)
            return
        place, port = flow.server
        opened = self.world.server(place, 4 if how == "absent" else port, flow.protocol, address)
        with opened as listener, Server(listener, how).serving() as server:
            yield server

    @contextlib.contextmanager
    def _waiting(self, flow: Flow) -> Iterator[None]:
        """Fill the queue of a server."""
        family = socket.AF_INET6 if flow.version == 6 else socket.AF_INET
        with contextlib.ExitStack() as stack:
            for unused in range(3):
                client = stack.enter_context(self.world[flow.server[0]].socket(family, socket.SOCK_STREAM))
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(("::1" if flow.version == 6 else "127.0.0.1", flow.server[1]))
            yield

    def _compare(
        self, flow: Flow, breakages: Breakages, server: Server, questions: Questions = EITHER
    ) -> dict[str, Any]:
        real = self._sent(flow, server, IMPATIENCE if breakages else PATIENCE, questions)
        for active in (False, True):
            begin = time.monotonic()
            arrives = self._arrives(flow, server, real, active)
            inject = not (active and flow.kind == "in" and self._listens.random() < self.listening)
            check = (
                functools.partial(self._checked, flow, questions)
                if inject
                else self._listening_for(flow, server, questions)
            )
            options = {"active": active, "timeout": PATIENCE if arrives else 0.3 if inject else 1.0}
            found = check(**options)
            if active and found["verdict"] == "unknown":
                # the time was too short
                self.score.repeated += 1
                found = check(**{**options, "timeout": LONGEST})
            self.score.listened += not inject
            if not arrives and found["verdict"] == "arrives":
                self.score.repeated += 1
                self._clear(flow, server)
                real = self._sent(flow, server, PATIENCE, questions)
                arrives = self._arrives(flow, server, real, active)
            what = Judged(flow, breakages, arrives, active, questions, real.heard, inject)
            self._judge(what, found, time.monotonic() - begin)
        return found

    def _checked(self, flow: Flow, questions: Questions = EITHER, **options: Any) -> dict[str, Any]:
        if questions == ASKED:
            self._forget(flow)
        options.update(source_address=flow.source, protocol=flow.protocol)
        return self.world.check(flow.origin, flow.to, flow.port, **options)

    def _listening_for(self, flow: Flow, server: Server, questions: Questions) -> Callable[..., dict[str, Any]]:
        """The path check for a packet that somebody outside sends meanwhile."""

        def check(**options: Any) -> dict[str, Any]:
            if questions == ASKED:
                self._forget(flow)
            self._clear(flow, server)
            send = functools.partial(self._sent, flow, server, IMPATIENCE)
            options.update(source_address=flow.source, protocol=flow.protocol)
            return self.world.check_while(send, flow.to, flow.port, **options)

        return check

    def _clear(self, flow: Flow, server: Server) -> None:
        if server.listener is not None and flow.protocol == "tcp" and server.how != "full":
            take_what_waits(server.listener)

    def _forget(self, flow: Flow) -> None:
        """Let nobody know a MAC address."""
        names = {"", flow.place, flow.src_ns, flow.dst_ns} - {"host"}
        where = [f"-n {name}" if name else "" for name in sorted(names)]
        self.world.run(["sh", "-c", "; ".join(f"ip {one} neigh flush all" for one in where)])

    def _arrives(self, flow: Flow, server: Server, real: Real, active: bool) -> bool:
        """Whether a packet arrives as the path check has it: a service need not answer UDP."""
        if flow.protocol == "udp" and flow.dst_ns and (not active or server.how == "silent"):
            return real.heard
        return real.answered

    def _sent(self, flow: Flow, server: Server, patience: float, questions: Questions = EITHER) -> Real:
        """Send a real packet."""
        if questions == ASKED:
            self._forget(flow)
        if flow.protocol == "icmp":
            answered = self.world.ping(flow.place, flow.to, patience)
            return Real(answered, answered)
        assert server.listener is not None
        if flow.protocol == "udp":
            return self._asked(flow, server, patience)
        answered = self.world.ask(flow.place, flow.to, flow.port, server.listener, flow.source, patience) is not None
        return Real(answered, answered)

    def _asked(self, flow: Flow, server: Server, patience: float) -> Real:
        before, answered = server.heard, False
        family = socket.AF_INET6 if flow.version == 6 else socket.AF_INET
        with self.world[flow.place].socket(family, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
            client.bind((flow.source, 0))
            client.settimeout(patience if server.how != "silent" else IMPATIENCE)
            client.connect((flow.to, flow.port))
            client.send(b"question")
            answered = client.recv(100) == b"answer"
        return Real(server.heard > before, answered)

    def _judge(self, what: Judged, found: dict[str, Any], seconds: float) -> None:
        text = f"{what}; said {found['verdict']}, {found['layer']}, {found['place']}: {found['reason']}"
        if self.verbose:
            print(f"{seconds:.2f}", text, flush=True)
        if found["verdict"] == "unknown" and not what.active:
            self.score.silent.append(text)
            return
        if found["verdict"] == "unknown":
            self.score.unknown.append(text)
        self.score.either += len(set(what.first)) > 1
        if what.is_right(found):
            return
        hops = [f"{h['direction']} {h['place']} {h['layer']} {h['object']} {h['found']}" for h in found["hops"][-6:]]
        self._suspects.append((what, found, "\n      ".join([f"{text} ({what.flow})", *hops])))

    def _sentence(self) -> None:
        """Tell which verdicts were wrong, once nothing is broken any more."""
        for what, found, text in self._suspects:
            if self._passes_the_first(what, found):
                self.score.passed += 1
            else:
                self.score.wrong.append(text)
        self._suspects.clear()

    def _passes_the_first(self, what: Judged, found: dict[str, Any]) -> bool:
        """Whether the path check named the second of a pair, and the first alone lets a real packet pass."""
        others = [one for one in what.breakages if not one.is_named(what.flow, found)]
        if len(what.breakages) < 2 or len(others) != 1 or found["verdict"] == "arrives" or what.arrives:
            return False
        with broken(self.world, others[0], what.flow, self._heal), self._server(what.flow, others[0].server) as server:
            real = self._sent(what.flow, server, IMPATIENCE, what.questions)
            return self._arrives(what.flow, server, real, what.active)


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

    def begin(self, seed: int, pairs: float) -> None:
        """Draw from here on what follows from a seed, with this share of two breakages at once."""
        for number, draws in enumerate(self.draws):
            draws.pairs = pairs
            draws.begin(seed + number)

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
