# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The legacy back-end on a real kernel: python-iptables writes what iptables-legacy-restore would have written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.project import SYSTEM_PYTHON, TREE  # noqa: E402
from tools.tree import link  # noqa: E402

link()
sys.path.insert(0, str(TREE))

from packet_filter_states import EVERYTHING, state_of  # noqa: E402
from small_world import World  # noqa: E402

from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.backend import IptablesBackend  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netfilter import Netfilter  # noqa: E402

IMPORT = subprocess.run([str(SYSTEM_PYTHON), "-c", "import iptc"], capture_output=True, check=False)

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(IMPORT.returncode != 0, reason="needs python-iptables (the package python3-iptables)"),
]

FOREIGN = '*filter\n:OTHERS - [0:0]\n-A FORWARD -m comment --comment "not us" -j OTHERS\n-A OTHERS -j RETURN\nCOMMIT\n'


class Host(World):
    """A host to call modules on."""

    def command(self, *states: str) -> list[str]:
        """A program that converges to these states, one after the other."""
        paths = "%s:%s" % (TREE, Path(__file__).parent)
        return [
            "env",
            f"PYTHONPATH={paths}",
            str(SYSTEM_PYTHON),
            str(Path(__file__).with_name("legacy_driver.py")),
            *states,
        ]

    def converge(self, *states: str) -> list[str]:
        """The expected message of each call."""
        return self.must(*self.command(*states)).splitlines()

    def rules(self) -> list[str]:
        """The output of iptables without the packet counters."""
        lines = (self.must("iptables-save") + self.must("ip6tables-save")).splitlines()
        return [line.partition(" [")[0] for line in lines if not line.startswith("#")]


@pytest.fixture
def host() -> Iterator[Host]:
    found = Host("legacy")
    yield found
    found.close()


def test_it_writes_what_iptables_restore_would_write(host: Host) -> None:
    assert host.converge("half", "everything", "everything") == ["2 steps", "2 steps", "0 steps"]

    restoring = IptablesBackend(Netfilter(host.run))
    assert restoring.plan(host.host.visit(restoring.read), state_of(EVERYTHING, drop_foreign=True)) == []
    for name in ("ip_tables_names", "ip6_tables_names"):
        # a table that nothing is written to is not made either
        tables = host.host.visit(lambda name=name: Path("/proc/thread-self/net", name).read_text().split())
        assert "security" not in tables


def test_it_repairs_what_is_damaged_and_leaves_others_alone(host: Host) -> None:
    host.must("iptables-restore", text=FOREIGN)
    host.converge("everything")
    before = host.rules()
    host.must("iptables-restore", "--noflush", text="*nat\n-F\nCOMMIT\n*filter\n-F DLN-FORWARD\nCOMMIT\n")

    assert host.converge("everything") == ["1 steps"]
    assert sorted(host.rules()) == sorted(before)
    host.converge("nothing")
    assert [line for line in host.rules() if "OTHERS" in line] == [":OTHERS -", *FOREIGN.splitlines()[2:4]]
    assert not [line for line in host.rules() if "DLN-" in line]


def test_it_waits_for_the_lock_and_says_so_when_it_does_not_get_it(host: Host) -> None:
    [said] = host.must("flock", "/run/xtables.lock", *host.command("everything")).splitlines()

    assert said == "python-iptables: another program has held the lock of iptables for 2 seconds"
    assert not [line for line in host.rules() if "DLN-" in line]


RACE = """
"$@" & driver=$!
written=0
while kill -0 $driver 2> /dev/null; do
    iptables -w 10 -A INPUT -s 203.0.113.1 -j DROP && written=$((written + 1))
done
wait $driver
echo $written
"""


def test_nobody_loses_a_rule_when_two_write_at_once(host: Host) -> None:
    *said, written = host.must("sh", "-c", RACE, "sh", *host.command("everything", "nothing")).splitlines()

    assert said == ["2 steps"] * 2
    assert len([line for line in host.rules() if line.startswith("-A INPUT -s 203.0.113.1/32")]) == int(written)


def test_it_refuses_a_host_whose_iptables_is_another() -> None:
    host = Host("nft")
    [said] = host.converge("everything")
    host.close()

    assert "nf_tables variant" in said
