# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fixtures that the behaviour tests share.

pytest tests/behaviour/test_modules.py      as root, once `make setup` has run

Environment, all of it optional: DOCKERLESS_BACKEND (nftables, iptables, iptables-legacy or legacy), DOCKERLESS_ANSIBLE
(the folder of ansible-playbook), DOCKERLESS_COLLECTIONS (where the collection is found), DOCKERLESS_TARGET_PYTHON (the
hosts' Python), LAB_NAME and LAB_STATE (of the lab).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fleet import HERE, HOSTS, Fleet, Host, Lab, Settings

from lab.identity import systemd_path


@pytest.fixture(scope="session")
def settings() -> Settings:
    settings = Settings()
    settings.compile()
    return settings


@pytest.fixture(scope="session")
def fleet(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two hosts on a LAN, with a neighbour and the internet; each test module begins with fresh hosts."""
    if os.geteuid() != 0:
        pytest.skip("a lab needs root")
    name = os.environ.get("LAB_NAME", f"b{os.getpid()}")
    with Lab(name=name) as lab:
        lab.up(hosts=2, uplink=True, binds=settings.binds())
        yield Fleet(lab, settings, tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def systemd_fleet(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One host that systemd runs on, with a neighbour and the internet."""
    if os.geteuid() != 0 or systemd_path() is None:
        pytest.skip("a lab with systemd needs root and systemd")
    with Lab(name=os.environ.get("LAB_NAME", f"b{os.getpid()}") + "-sd") as lab:
        lab.up(hosts=1, uplink=True, systemd=True, binds=settings.binds())
        made = Fleet(lab, settings, tmp_path_factory.mktemp("systemd"))
        made.switch_iptables("h1", legacy=settings.legacy_tables)
        yield made


@pytest.fixture(scope="module")
def fresh(fleet: Fleet) -> Fleet:
    """Both hosts as new for a test module."""
    fleet.fresh()
    return fleet


@pytest.fixture
def host(fresh: Fleet) -> Host:
    """The first host with nothing on it; for tests of single modules."""
    fresh.wipe(HOSTS[0])
    return Host(fresh, HOSTS[0])


@pytest.fixture(scope="session")
def musl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that looks up a name as Alpine's do."""
    compiler = shutil.which("musl-gcc")
    if compiler is None:
        pytest.skip("the package musl-tools is not installed")
    program = tmp_path_factory.mktemp("musl") / "look_up"
    subprocess.run([compiler, "-static", "-o", program, HERE / "nodes" / "look_up.c"], check=True)
    return str(program)
