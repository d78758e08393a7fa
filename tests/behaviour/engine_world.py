# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small world without its bridges and endpoints: those are made by the engine, whole networks in one run.

A run costs some 50 ms, for it needs no Ansible; nodes/runs.py makes each in a process of its own, which may be killed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import small_world
from fleet import Settings, eventually
from small_world import World

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.tree import link  # noqa: E402

TREE = link().parents[2]
RUNS = Path(__file__).with_name("nodes") / "runs.py"
SETTINGS = Settings()

# Back-end and, where it is iptables, the variant that the host has.
BACKENDS = ("nftables", "iptables-nft", "iptables-legacy")

TOPOLOGY = """
link set lo up
link add up0 type veth peer name eth0 address 02:00:00:00:02:02 netns neighbour
address add 192.0.2.1/24 dev up0
address add 192.0.2.9/24 dev up0
address add 2001:db8::1/64 dev up0 nodad
link add up1 type veth peer name eth0 address 02:00:00:00:51:02 netns far
address add 198.51.100.1/24 dev up1
address add 2001:db8:1::1/64 dev up1 nodad
"""
# Last, for a link whose other end is up has its carrier, and with it a link-local address, at once.
UPLINKS = """
link set up0 up
link set up1 up
"""
NEIGHBOUR = f"""{small_world.NEIGHBOUR}
address add 2001:db8::3/64 dev eth0 nodad preferred_lft 0
route add 2001:db8:1::/64 via 2001:db8::1
"""
FAR = f"""{small_world.FAR}
address add 2001:db8:1::2/64 dev eth0 nodad
route add ::/0 via 2001:db8:1::1
"""
LOAD_THAT_KILLS = """#!/bin/bash
case " $* " in *" -f "* | *" --noflush "*) kill -9 $PPID; sleep 0.5;; esac
exec -a %s %s "$@"
"""
ENDS = (("", "up0"), ("", "up1"), ("neighbour", "eth0"), ("far", "eth0"))


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    changed: bool = False
    commands: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""
    warnings: list[str] = field(default_factory=list)
    recreated: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""  # the kind of exception
    message: str = ""
    killed: bool = False
    steps: int = 0
    actions: int = 0
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)  # the first command of each step
    did: list[str] = field(default_factory=list)  # the actions, by the functions that stand for them

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Outcome:
        if "signal" in answer:
            return cls(killed=True)
        facts = {key: answer[key] for key in ("steps", "actions", "seconds", "said", "did") if key in answer}
        if "error" in answer:
            return cls(error=answer["error"][0], message=answer["error"][1], **facts)
        found = answer["outcome"]
        return cls(
            **{key: found[key] for key in ("changed", "commands", "before", "after", "warnings", "recreated")}, **facts
        )

    def must(self) -> Outcome:
        assert not self.error and not self.killed, f"{self.error}: {self.message}"
        return self

    @property
    def diff(self) -> str:
        return self.before + self.after


Networks = Sequence[dict[str, Any]]


class EngineWorld(World):
    """``host`` between its neighbour on up0 and a far one on up1; networks come and go by the engine."""

    def __init__(self, backend: str = "nftables") -> None:
        self.backend, unused, variant = backend.partition("-")
        self.variant = variant or "nft"
        super().__init__(self.variant)
        self._runs = subprocess.Popen(
            self.inside(str(SETTINGS.python), str(RUNS), str(TREE), str(SETTINGS.library)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self._runs.stdin is not None
        self._runs.stdin.close()
        self._runs.wait()
        super().close()

    def _build(self) -> None:
        self.must("mkdir", "-p", "/run/lock", "/run/etc/upper", "/run/etc/work")
        layers = "lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work"
        self.must("mount", "-t", "overlay", "overlay", "-o", layers, "/etc")
        self.must("mount", "-t", "tmpfs", "none", "/etc/sysctl.d")
        self.must("mount", "-t", "sysfs", "none", "/sys")  # that of the machine shows the machine's links
        self.must("ip", "-batch", "-", text="netns add neighbour\nnetns add far\n")
        # or what the host forwards waits for the uplinks' link-local addresses; bridges have to see to their own
        self.host.sysctl("ipv6/conf/default/accept_dad", 0)
        self.must("ip", "-batch", "-", text=TOPOLOGY)
        self.host.sysctl("ipv6/conf/default/accept_dad", 1)
        self.must("ip", "-n", "neighbour", "-batch", "-", text=NEIGHBOUR)
        self.must("ip", "-n", "far", "-batch", "-", text=FAR)
        for place, version in itertools.product(("neighbour", "far"), (4, 6)):
            # who is told that an address is elsewhere would not notice that it comes back
            for key in ("all", "eth0"):
                self[place].sysctl(f"ipv{version}/conf/{key}/accept_redirects", 0)
        self.must("ip", "-batch", "-", text=UPLINKS)
        # a link that has not noticed its carrier drops what it should send, be it the answer to a solicitation
        assert eventually(lambda: all(self._is_up(*end) for end in ENDS))
        self.bridge_filter(False)

    def _is_up(self, place: str, link: str) -> bool:
        where = ["-n", place] if place else []
        return " state UP " in self.must("ip", *where, "-o", "link", "show", "dev", link)

    def __getitem__(self, name: str) -> Any:
        # A namespace may have been made anew under its old name.
        known = self._places.get(name)
        path = Path(f"{self._root}/run/netns/{name}")
        if known is not None and known is not self.host and os.fstat(known.fd).st_ino != path.stat().st_ino:
            os.close(self._places.pop(name).fd)
        return super().__getitem__(name)

    def let_go(self, name: str) -> None:
        """Do not keep a namespace alive."""
        os.close(self._places.pop(name).fd)

    def _ask(self, **request: Any) -> Any:
        assert self._runs.stdin is not None and self._runs.stdout is not None
        self._runs.stdin.write(json.dumps(request) + "\n")
        self._runs.stdin.flush()
        line = self._runs.stdout.readline()
        assert line, "the program that makes the runs has ended"
        return json.loads(line)

    def try_run(self, networks: Networks, **options: Any) -> Outcome:
        """A run that may fail or be killed."""
        return Outcome.of(self._ask(**{"do": "run", "networks": networks, "backend": self.backend, **options}))

    def try_runs(self, requests: Iterable[dict[str, Any]]) -> list[Outcome]:
        """Several runs at once."""
        runs = [{"backend": self.backend, **request} for request in requests]
        return [Outcome.of(answer) for answer in self._ask(do="runs", runs=runs)]

    def make(self, *networks: dict[str, Any], **options: Any) -> Outcome:
        """A run that must succeed."""
        return self.try_run(networks, **options).must()

    def clear(self) -> None:
        """Take all networks away."""
        self.make()

    def state(self) -> dict[str, Any]:
        """Everything on the host that a run may change, one entry for each object."""
        return dict(self._ask(do="state"))

    def report(self) -> dict[str, Any]:
        """What network_info tells of the host."""
        return dict(self._ask(do="report", backend=self.backend))

    @contextlib.contextmanager
    def loads_that_kill(self) -> Iterator[None]:
        """Tools that kill the run which called them to load rules, and load them after that."""
        folder = Path(self._root, "run/bin")
        names = ("nft",) if self.backend == "nftables" else ("iptables-restore", "ip6tables-restore")
        real = {name: self.must("sh", "-c", f"readlink -f $(command -v {name})").strip() for name in names}
        for name, tool in real.items():
            (folder / name).unlink(missing_ok=True)
            # by its own name, for it is several programs in one
            (folder / name).write_text(LOAD_THAT_KILLS % (name, tool))
            (folder / name).chmod(0o755)
        try:
            yield
        finally:
            for name, tool in real.items():
                (folder / name).unlink()
                (folder / name).symlink_to(tool)

    # ---- rules taken away by hand

    def remove_rules(self, *patterns: tuple[str, str]) -> None:
        """Delete the rules of chains of ours that have a text, by (chain, text); each must be there.

        For iptables the chain is table and name, and both families are looked at.
        """
        for chain, text in patterns:
            found = self._nft_rules(chain, text) if self.backend == "nftables" else self._iptables_rules(chain, text)
            assert found, f"no rule with {text!r} in {chain}"
            for argv in found:
                self.must(*argv)

    def _nft_rules(self, chain: str, text: str) -> list[list[str]]:
        lines = self.must("nft", "-a", "list", "chain", "inet", "dockerless", chain).splitlines()
        where = ["nft", "delete", "rule", "inet", "dockerless", chain, "handle"]
        return [[*where, line.rpartition(" ")[2]] for line in lines if text in line and "# handle" in line]

    def _iptables_rules(self, chain: str, text: str) -> list[list[str]]:
        table, unused, name = chain.partition(" ")
        found = []
        for tool in ("iptables", "ip6tables"):
            code, out, unused = self.run([tool, "-t", table, "-S", name])
            for line in out.splitlines() if code == 0 else ():
                if text in line and line.startswith("-A "):
                    found.append(["sh", "-c", f"{tool} -t {table} -D {line[3:]}"])
        return found
