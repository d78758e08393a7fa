# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel layer on the real kernel: each case of kernel_cases in an interpreter and in namespaces of its own.

The interpreter is the managed hosts', with their pyroute2 and without pytest.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).with_name("kernel_cases")
sys.path[:0] = [str(ROOT), str(CASES)]

from tools.tree import link  # noqa: E402

TREE = link().parents[2]
sys.path.insert(0, str(TREE))

# Nothing of the machine is seen or touched: its own network, mounts, /run and lock; and no process outlives a case.
NAMESPACES = ("--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc")
# Names of the machine's own namespaces would still be listed among the mounts.
SANDBOX = """
if mountpoint -q /run/netns; then umount -l /run/netns; fi
mount -t tmpfs run /run
mkdir /run/lock
ip link set lo up
exec "$@"
"""
PYTHON = os.environ.get("DOCKERLESS_TARGET_PYTHON", "/usr/bin/python3")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.once,
    pytest.mark.pyroute2,
]


def cases() -> list[str]:
    """Module and function of every case."""
    modules = [importlib.import_module(path.stem) for path in sorted(CASES.glob("cases_*.py"))]
    return [f"{module.__name__} {name}" for module in modules for name in vars(module) if name.startswith("test_")]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.partition("_")[2].replace(" test", ""))
def test_kernel(case: str) -> None:
    ours = {"PYTHONPATH": str(TREE), "PYTHONWARNINGS": "error::ResourceWarning", "LC_ALL": "C.UTF-8"}
    command = ["unshare", *NAMESPACES, "sh", "-ec", SANDBOX, "sh", PYTHON, str(CASES), *case.split()]
    done = subprocess.run(command, env={**os.environ, **ours}, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.fail(done.stderr + done.stdout, pytrace=False)
