# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks of the collection against the alternatives, each suite in one run on lab hosts.

python -m benchmarks [SUITE]...       measure these suites, or all of them, and write the report
python -m benchmarks --report         write the report of what was measured last

All that is compared is run in turns, so that a busy moment of the machine hits all of it. Values are kept in
results/SUITE.json; results/README.md has tables of medians and their ratios, and shows the plots.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from benchmarks.bench import RESULTS, Measurements, say

SUITES = ("role", "cost", "phases", "peers", "traffic", "fleet", "names", "boot")


def suite_module(name: str) -> Any:
    """A module with TITLE, measure(measurements, quick) and report(measurements)."""
    return importlib.import_module(f"benchmarks.{name}")


def measure(name: str, rounds: int, quick: bool) -> None:
    """Run one suite, and keep what it found."""
    say(f"suite {name}, {rounds} rounds")
    measurements = Measurements.begin(name, rounds)
    suite_module(name).measure(measurements, quick)
    measurements.write()


def report() -> None:
    """All suites that were measured, in one document."""
    parts = ["# Benchmarks\n\nMade by `make benchmark`. Read the ratios: seconds depend on the machine.\n"]
    for name in SUITES:
        found = Measurements.read(name)
        if found is not None:
            module = suite_module(name)
            about = f"Measured on {found.date}: {found.machine}. Medians of {found.rounds} rounds."
            parts.append(f"## {module.TITLE}\n\n{about}\n\n{module.report(found).strip()}\n")
    (RESULTS / "README.md").write_text("\n".join(parts), encoding="utf-8")


def main() -> int:
    """Measure, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small numbers only, to see whether it works")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    unknown = set(options.suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    for name in [] if options.report else options.suites or SUITES:
        measure(name, options.rounds, options.quick)
    report()
    return 0


if __name__ == "__main__":
    sys.exit(main())
