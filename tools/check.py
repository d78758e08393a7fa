# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the parts of `make test`, and says at the end how many tests passed.

python3 -m tools.check [PART]...     all parts, or these: a name, or what names begin with (`lint`, `behaviour`)
python3 -m tools.check --list

JOBS parts run at the same time, by default three more than there are processors, as parts often wait: for a packet that
must not come, for a host that boots, for an answer over ssh. The output of each part is in .cache/check/PART.log. For a
part that failed, it is printed as well.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import datetime
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tools import tree
from tools.parts import Part, all_parts
from tools.project import CACHE, ROOT, environment

LOGS = CACHE / "check"
LABS = Path("/run/lab-check")
METER = str(Path(__file__).with_name("meter.py"))
# The longest part takes some twenty minutes beside three others on two cores. A part that hangs has to end.
LONGEST_PART = 40 * 60
SHOWN_LINES = 300


@dataclass
class Sum:
    failed: int = 0
    passed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{number} {word}" for word, number in vars(self).items() if number) or "no tests ran"

    def line(self, seconds: float) -> str:
        """The sum in the form of pytest's own last line, for programs that read that."""
        length = datetime.timedelta(seconds=int(seconds))
        return f" {self} in {seconds:.2f}s ({length}) ".center(80, "=")


class Runner:
    """Runs parts, several at once if requested, and stops them if it is stopped itself."""

    def __init__(self) -> None:
        self.total = Sum()
        self.failed: list[str] = []
        self._running: set[subprocess.Popen[bytes]] = set()
        self._mutex = threading.Lock()
        self.stopped = False

    def run(self, parts: list[Part], jobs: int) -> None:
        with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
            for future in [pool.submit(self._run_part, part) for part in parts]:
                future.result()

    def stop(self) -> None:
        """End the running parts, each of which takes its labs down, and start no other."""
        self.stopped = True
        for process in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)

    def _run_part(self, part: Part) -> None:
        if self.stopped:
            return
        start = time.monotonic()
        log = LOGS / f"{part.name}.log"
        junit = LOGS / f"{part.name}.xml"
        used = LOGS / f"{part.name}.cpu"
        for path in (junit, used):
            path.unlink(missing_ok=True)
        command = [sys.executable, "-I", METER, str(used), *part.command]
        if part.tests:
            command.append(f"--junitxml={junit}")
        lab = lab_name(part)
        env = {**environment(part.venv), **part.environment, "LAB_NAME": lab, "LAB_STATE": str(LABS / lab)}
        env |= {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        try:
            with log.open("wb") as output:
                code = self._execute(command, env, output.fileno())
        finally:
            if part.lab:
                take_down(LABS / lab)
        counted = count(junit) if part.tests else Sum()
        if not part.tests and code == 0:
            counted.passed += 1
        # pytest may also fail without a failed test (5: there was no test).
        if code != 0 and counted.failed == 0:
            counted.failed += 1
        with self._mutex:
            self._report(part, log, counted, code, f"{time.monotonic() - start:.1f} s{processor(used)}")

    def _execute(self, command: list[str], env: dict[str, str], output: int) -> int:
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            os.write(output, f"{error}\n".encode())
            return 127
        self._running.add(process)
        try:
            return process.wait(LONGEST_PART)
        except subprocess.TimeoutExpired:
            os.write(output, f"\nstopped after {LONGEST_PART} s\n".encode())
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()
        finally:
            self._running.discard(process)

    def _report(self, part: Part, log: Path, counted: Sum, code: int, took: str) -> None:
        self.total.passed += counted.passed
        self.total.failed += counted.failed
        self.total.skipped += counted.skipped
        word = "ok" if code == 0 else "FAILED"
        numbers = f" ({counted})" if part.tests else ""
        print(f"== {part.name}: {word}{numbers} [{took}]", flush=True)
        if code != 0:
            self.failed.append(part.name)
            lines = log.read_text(errors="replace").splitlines()
            if len(lines) > SHOWN_LINES:
                print(f"... the last {SHOWN_LINES} of {len(lines)} lines of {log.relative_to(ROOT)}:")
            print("\n".join(lines[-SHOWN_LINES:]), flush=True)


def processor(used: Path) -> str:
    """The CPU time of a part, which other work on the machine hardly changes."""
    return f", {float(used.read_text()):.1f} s of CPU" if used.exists() else ""


def count(junit: Path) -> Sum:
    """The tests in pytest's report."""
    counted = Sum()
    if not junit.exists():
        return counted
    for case in ElementTree.parse(junit).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counted.failed += 1
        elif case.find("skipped") is not None:
            counted.skipped += 1
        else:
            counted.passed += 1
    return counted


def lab_name(part: Part) -> str:
    """The name of a part's labs, unique for this run. The name of a lab has at most 16 characters."""
    return f"check-{os.getpid()}-{[other.name for other in all_parts()].index(part.name)}"


def take_down(state: Path) -> None:
    """Take down all labs that a part has started, under whatever names."""
    quiet = subprocess.DEVNULL
    for path in state.glob("*"):
        env = {**os.environ, "LAB_NAME": path.name, "LAB_STATE": str(state)}
        subprocess.run([sys.executable, "-m", "lab", "down"], cwd=ROOT, env=env, check=False, stdin=quiet, stderr=quiet)
    shutil.rmtree(state, ignore_errors=True)


def take_down_orphans() -> None:
    """Take down the labs of earlier runs that were killed."""
    for path in LABS.glob("check-*"):
        if not Path("/proc", path.name.split("-")[1]).exists():
            take_down(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--list", action="store_true", help="the names of all parts")
    arguments = parser.parse_args()
    parts = all_parts()
    if arguments.list:
        print("\n".join(part.name for part in parts))
        return 0
    for word in arguments.parts:
        if not any(chosen(part, word) for part in parts):
            parser.error(f"no part {word!r}; there are {', '.join(part.name for part in parts)}")
    if arguments.parts:
        parts = [part for part in parts if any(chosen(part, word) for word in arguments.parts)]
    if os.geteuid() != 0 and any(part.lab for part in parts):
        parser.error("lab hosts need root")

    start = time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    tree.link()
    take_down_orphans()
    runner = Runner()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: runner.stop())
    runner.run(parts, int(os.environ.get("JOBS") or (os.cpu_count() or 1) + 3))
    with contextlib.suppress(OSError):
        LABS.rmdir()
    print()
    if runner.failed:
        print(f"failed: {' '.join(runner.failed)}")
    print(f"{len(parts)} parts")
    print(runner.total.line(time.monotonic() - start))
    return 1 if runner.failed or runner.stopped else 0


def chosen(part: Part, word: str) -> bool:
    return part.name == word or part.name.startswith(f"{word}-")


if __name__ == "__main__":
    sys.exit(main())
