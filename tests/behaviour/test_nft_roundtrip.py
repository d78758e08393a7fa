# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nftables back-end and the real nft, for states that hypothesis makes up: what is loaded is what is read back.

nft runs in a network namespace of its own, so the rules are never those of this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.tree import link  # noqa: E402

sys.path.insert(0, str(link().parents[2]))

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from hypothesis.configuration import set_hypothesis_home_dir  # noqa: E402

from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.backend import IptablesBackend  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.backend import NftablesBackend  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.firewall.nft.layout import render  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netfilter import Netfilter  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.model import FirewallState  # noqa: E402
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.firewall_states import (  # noqa: E402
    STATES,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.golden_states import (  # noqa: E402
    STATES as GOLDEN_STATES,
)

set_hypothesis_home_dir(ROOT / ".cache" / "hypothesis")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


class Nft:
    """A network namespace that lives as long as a process that waits for its standard input to end."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        self.transactions = 0

    def close(self) -> None:
        self._holder.communicate()

    def __call__(self, argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
        """Run a program there, as a back-end asks for it."""
        enter = ["nsenter", "--target=%d" % self._holder.pid, "--net", "env", "LC_ALL=C", *argv]
        done = subprocess.run(enter, input=text, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def execute(self, argv: Sequence[str], text: str) -> None:
        """The interface of the host that an Operation uses."""
        self.transactions += 1
        rc, unused, err = self(argv, text)
        assert rc == 0, "%s\n%s" % (err, text)

    def converge(self, state: FirewallState) -> list[Any]:
        """The steps of a module: read, plan, apply."""
        backend = NftablesBackend(Netfilter(self))
        steps = backend.plan(backend.read(), state)
        for step in steps:
            step.apply(self)  # type: ignore[arg-type]
        return steps

    def tables(self) -> str:
        return self(["nft", "list", "tables"], None)[1]


@pytest.fixture
def nft() -> Iterator[Nft]:
    nft = Nft()
    yield nft
    nft.close()


# To make a failing example smaller takes hundreds of runs of nft.
SETTINGS = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),  # as in tests/unit/plugins/conftest.py
)


@settings(SETTINGS, max_examples=40)
@given(STATES, STATES)
def test_any_state_is_read_back_and_follows_any_other_by_one_transaction(
    nft: Nft, first: FirewallState, second: FirewallState
) -> None:
    for state in (first, second):
        nft.transactions = 0
        steps = nft.converge(state)
        assert nft.transactions <= 1
        backend = NftablesBackend(Netfilter(nft))
        table = backend.read()
        assert table == render(state)
        assert backend.state(table) == state
        assert backend.plan(table, state) == []
    for step in reversed(steps):
        for undo in step.undo():
            undo.apply(nft)  # type: ignore[arg-type]
    assert NftablesBackend(Netfilter(nft)).read() == render(first)

    nft.converge(FirewallState())

    assert nft.tables() == ""


@settings(SETTINGS, max_examples=10)
@given(STATES)
def test_a_transaction_may_be_pasted_twice(nft: Nft, state: FirewallState) -> None:
    for step in nft.converge(state):
        step.apply(nft)  # type: ignore[arg-type]

    assert NftablesBackend(Netfilter(nft)).read() == render(state)
    nft.converge(FirewallState())


GOLDEN = ROOT / "tests/unit/plugins/module_utils/firewall/golden"


@pytest.mark.parametrize("name", GOLDEN_STATES)
def test_the_rulesets_in_files_can_be_loaded_and_are_what_we_would_write(nft: Nft, name: str) -> None:
    state = GOLDEN_STATES[name]
    for tool, ending in (("nft -f", "nft"), ("iptables-nft-restore", "ipv4"), ("ip6tables-nft-restore", "ipv6")):
        nft.execute([*tool.split(), str(GOLDEN / f"{name}.{ending}")], "")

    for backend in (NftablesBackend(Netfilter(nft)), IptablesBackend(Netfilter(nft), "nft")):
        there = backend.read()
        # nftables asks the kernel what is no bridge, so that no names of links are in its rules
        named = state if isinstance(backend, IptablesBackend) else replace(state, outsiders=frozenset())
        assert backend.state(there) == named
        assert backend.plan(there, state) == []
    nft(["nft", "flush", "ruleset"], None)
