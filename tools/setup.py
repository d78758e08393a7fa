# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs what the demo and the tests need: Debian packages (as root) and virtual environments in .venv.

python3 -m tools.setup          what the tests need
python3 -m tools.setup demo     what the demo needs, which is far less
python3 -m tools.setup benchmark
                                what the benchmarks need: podman, netavark, CNI, tools that measure

.venv/demo                  ansible-core alone
.venv/benchmark             ansible-core, Mitogen, and what draws plots
.venv/newest                the newest ansible-core for this machine's Pythons, and all tools
.venv/oldest                the oldest ansible-core that the collection supports
.venv/target-newest         for managed hosts: the system's Python with the newest pyroute2
.venv/target-oldest-python  for unit tests: the oldest Python of a managed host

What is up to date is left alone, so a second run takes a fraction of a second.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import tree
from tools.project import ROOT, SYSTEM_PYTHON, VENVS, first_python

REQUIREMENTS = ROOT / "tests" / "requirements"


@dataclass(frozen=True)
class Venv:
    name: str
    python: Callable[[], Path]


def _newest_python() -> Path:
    return first_python("3.13", "3.12", "3.14", "3.11")


DEMO_PACKAGES = ("debian-demo.txt",)
TEST_PACKAGES = (*DEMO_PACKAGES, "debian.txt")
BENCHMARK_PACKAGES = (*TEST_PACKAGES, "debian-benchmark.txt")
DEMO_VENVS = (Venv("demo", _newest_python),)
BENCHMARK_VENVS = (Venv("benchmark", _newest_python),)
TEST_VENVS = (
    Venv("newest", _newest_python),
    Venv("oldest", lambda: first_python("3.11", "3.12", "3.13")),
    Venv("target-newest", SYSTEM_PYTHON.resolve),
    Venv("target-oldest-python", lambda: first_python("3.9", "3.10", "3.11", "3.12", "3.13")),
)

SETS = {
    "demo": (DEMO_PACKAGES, DEMO_VENVS),
    "test": (TEST_PACKAGES, TEST_VENVS),
    "benchmark": (BENCHMARK_PACKAGES, BENCHMARK_VENVS),
}


class SetupError(Exception):
    """The missing parts and the remedy, in one sentence."""


def main() -> int:
    # A run that is stopped still removes the policy-rc.d that it has put on the machine.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    packages, venvs = SETS[sys.argv[1] if sys.argv[1:] else "test"]
    try:
        make_folder()
        with _lock(VENVS / ".lock"):
            install_packages(missing_packages(packages))
            make_venvs(venvs)
        tree.link()
    except (SetupError, LookupError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


# ---- Debian packages ----

UNITS = {
    "docker.io": ("docker.service", "docker.socket", "containerd.service"),
    "firewalld": ("firewalld.service",),
    "network-manager": ("NetworkManager.service", "NetworkManager-wait-online.service"),
    "nginx-light": ("nginx.service",),
    "postgresql": ("postgresql.service",),
    "redis-server": ("redis-server.service",),
    "ufw": ("ufw.service",),
}


def missing_packages(lists: Sequence[str]) -> list[str]:
    lines = [line for name in lists for line in (REQUIREMENTS / name).read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *wanted]
    try:
        shown = subprocess.run(query, check=False, capture_output=True, text=True).stdout
    except FileNotFoundError:
        files = " and ".join(str(REQUIREMENTS / name) for name in lists)
        raise SetupError(f"this is no Debian; install what {files} lists") from None
    present = {line.split()[0] for line in shown.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in present]


def install_packages(packages: list[str]) -> None:
    if not packages:
        return
    if os.geteuid() != 0:
        raise SetupError(f"as root: apt-get install {' '.join(packages)}")
    print(f"setup: installing Debian packages: {' '.join(packages)}", flush=True)
    apt = ["apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=300"]
    with _lock(Path("/run/lock/dockerless-network-setup")), _no_daemons():
        # If the update fails, the present lists may still do; the installation will show.
        _run([*apt, "update"], check=False)
        _run([*apt, "install", "--yes", "--no-install-recommends", *packages])
        _keep_off([unit for package in packages for unit in UNITS.get(package, ())])


def _keep_off(units: list[str]) -> None:
    """Keep units that tests start inside lab hosts from starting on this machine at its next boot."""
    if units and shutil.which("systemctl"):
        _run(["systemctl", "disable", "--quiet", *units], check=False)


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Keep the services of packages (sshd) from starting on this machine, by Debian's policy-rc.d."""
    policy = Path("/usr/sbin/policy-rc.d")
    try:
        file = policy.open("x")
    except FileExistsError:
        yield  # the machine has a policy of its own
        return
    try:
        with file:
            file.write("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink()


# ---- virtual environments ----


def make_folder() -> None:
    """Make the folder of the environments, which may also be a link to that of another checkout."""
    if VENVS.is_symlink() and not VENVS.exists():
        raise SetupError(f"{VENVS} is a link to {VENVS.readlink()}, which is not there; remove the link")
    VENVS.mkdir(exist_ok=True)


def make_venvs(venvs: Sequence[Venv]) -> None:
    stale = [(venv, venv.python()) for venv in venvs]
    stale = [(venv, python) for venv, python in stale if _read(_stamp_file(venv)) != _stamp(venv, python)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for future in [pool.submit(make_venv, venv, python) for venv, python in stale]:
            future.result()
    if any(venv in TEST_VENVS for venv, unused in stale):
        lend_ansible()


def make_venv(venv: Venv, python: Path) -> None:
    start = time.monotonic()
    path = VENVS / venv.name
    shutil.rmtree(path, ignore_errors=True)
    _run([str(python), "-m", "venv", str(path)])
    requirements = REQUIREMENTS / f"{venv.name}.txt"
    pip = [str(path / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", "--requirement", str(requirements)])
    _stamp_file(venv).write_text(_stamp(venv, python))
    print(f"setup: .venv/{venv.name} with {python} ({time.monotonic() - start:.0f} s)", flush=True)


def lend_ansible() -> None:
    """Add ansible.module_utils from another environment: it also runs on Pythons too old to install ansible-core."""
    lender = next((VENVS / "newest").glob("lib/python3.*/site-packages/ansible"))
    borrower = next((VENVS / "target-oldest-python").glob("lib/python3.*/site-packages")) / "ansible"
    borrower.unlink(missing_ok=True)
    borrower.symlink_to(os.path.relpath(lender, borrower.parent))


def _stamp_file(venv: Venv) -> Path:
    return VENVS / venv.name / "stamp"


def _stamp(venv: Venv, python: Path) -> str:
    """A text that changes when the environment has to be made anew."""
    digest = hashlib.sha256()
    for path in (*sorted(REQUIREMENTS.glob("*.txt")), ROOT / "tests" / "unit" / "requirements.txt"):
        if path.name in (f"{venv.name}.txt", "constraints.txt", "requirements.txt"):
            digest.update(path.read_bytes())
    digest.update(f"{(VENVS / venv.name).resolve()} {python} {python.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


# ---- small things ----


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock, after waiting for another set-up of the same thing to end."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _run(command: list[str], *, check: bool = True) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # With this variable, every start of Ansible would compile its code again.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise SetupError(f"failed: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
