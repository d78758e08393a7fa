# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the suite `fleet`: tables, a plot, and conclusions."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Measurements, Plot, table
from benchmarks.fleet_settings import ENDPOINTS, SETTINGS, Setting


def report(found: Measurements) -> str:
    """Tables, a plot, and what they say."""
    parts = [
        f"Lab hosts with {ENDPOINTS} endpoints each, a published port each. The controller and all hosts share the "
        f"{found.facts['cores']} cores, and the cable between them has no delay. CPU seconds of the controller are "
        "those of ansible-playbook and all that it started, ssh as well; those of the hosts are by their control "
        "groups. Each run makes its connections anew, and is pipelined unless it says otherwise.",
        _seconds_table(found),
        _plot(found).write(),
        _cpu_table(found),
        *_sentences(found),
    ]
    return "\n\n".join(parts)


def _lines(found: Measurements) -> Iterator[tuple[Setting, str, str]]:
    """Each setting and run that was measured, and what a table calls it."""
    for setting in SETTINGS:
        for run in setting.runs:
            if any(label.startswith(f"{setting.name} ") for label in found.values):
                yield setting, run, setting.says + (", second run" if run == "second" else "")


def _sizes(found: Measurements) -> list[int]:
    """The numbers of hosts."""
    return sorted({int(label.split()[1]) for label in found.values})


def _seconds_table(found: Measurements) -> str:
    sizes = _sizes(found)
    rows = [
        [what, *(found.median(f"{setting.name} {size} {run} seconds") for size in sizes)]
        for setting, run, what in _lines(found)
    ]
    return table(["seconds on hosts:", *map(str, sizes)], rows)


def _cpu_table(found: Measurements) -> str:
    most = _sizes(found)[-1]
    rows = []
    for setting, run, what in _lines(found):
        label = f"{setting.name} {most} {run}"
        costs = [_per_host(found, label, part, most) for part in ("controller", "hosts")]
        rows.append([what, *costs, _busy(found, label)])
    header = [f"CPU seconds for each of {most} hosts", "controller", "host", "of all cores"]
    return table(header, [row for row in rows if row[1] is not None])


def _per_host(found: Measurements, label: str, part: str, size: int) -> float | None:
    value = found.median(f"{label} {part}")
    return None if value is None else value / size


def _busy(found: Measurements, label: str) -> str | None:
    """The part of the machine's time that controller and hosts used."""
    parts = [found.median(f"{label} {part}") for part in ("controller", "hosts", "seconds")]
    if None in parts:
        return None
    controller, hosts, seconds = (part or 0.0 for part in parts)
    return f"{(controller + hosts) / seconds / found.facts['cores']:.0%}"


def _plot(found: Measurements) -> Plot:
    lines = {}
    for setting, run, what in _lines(found):
        values = [(size, found.median(f"{setting.name} {size} {run} seconds")) for size in _sizes(found)]
        points = [(float(size), value) for size, value in values if value is not None]
        if run == "first" and len(points) > 1:
            lines[what.replace("`", "")] = points
    return Plot("fleet", "The role on a fleet, first run", "hosts", "seconds", lines)


def _sentences(found: Measurements) -> Iterator[str]:
    """The bottleneck, and the settings to change."""
    most = _sizes(found)[-1]
    yield "\n".join(f"* {line}" for line in [*_limits(found, most), *_advice(found, most)])
    if "mitogen" in found.facts:
        yield f"Mitogen did not run:\n\n```\n{found.facts['mitogen']}\n```"


def _limits(found: Measurements, most: int) -> Iterator[str]:
    cores = found.facts["cores"]
    controller, hosts = (found.median(f"linear {most} first {part}") for part in ("controller", "hosts"))
    one = found.median("linear 1 first controller")
    if controller is None or hosts is None or one is None:
        return
    each = (controller - one) / (most - 1)
    seconds = found.median(f"linear {most} first seconds") or 0.0
    busy = (controller + hosts) / seconds / cores
    limit = "CPU limits it" if busy > BUSY else "CPU alone does not limit it, or others used it at the same time"
    yield (
        f"{limit}: on {most} hosts with 5 forks, {busy:.0%} of the time of {cores} cores went to the controller "
        f"({controller:.1f} s) and the hosts ({hosts:.1f} s)."
    )
    yield (
        f"A run costs the controller {one - each:.2f} CPU seconds, and {each:.2f} more for each host. Real hosts bring "
        f"their own CPU: {cores} cores of a controller then serve {cores / each:.0f} hosts a second at best."
    )


# From here on more forks have nothing to gain.
BUSY = 0.8
# Less than a tenth is no reason to set anything.
WORTH = 0.1
ROUNDS = 3


def _advice(found: Measurements, most: int) -> Iterator[str]:
    """Each setting against what it changes, by seconds, and by CPU seconds of the controller."""
    compared = (
        ("`forks` as many as hosts, near ones", "linear/30", "linear"),
        ("`forks` as many as hosts, ones that wait", "far/30", "far"),
        ("`strategy: free`", "free", "linear"),
        ("pipelining, near hosts", "linear", "unpiped"),
        ("pipelining, hosts that wait", "far/30", "far/unpiped"),
        ("Mitogen, `forks` 5", "mitogen", "linear"),
        ("Mitogen, `forks` 30", "mitogen/30", "linear/30"),
    )
    for what, one, other in compared:
        seconds, cpu = (
            found.ratio(f"{one} {most} first {part}", f"{other} {most} first {part}")
            for part in ("seconds", "controller")
        )
        if seconds is not None and cpu is not None:
            word = _verdict(found, f"{one} {most} first seconds", f"{other} {most} first seconds")
            yield f"{what}: {seconds:.2f} of the seconds, {cpu:.2f} of the controller's CPU: {word}."


def _verdict(found: Measurements, one: str, other: str) -> str:
    """Only what all rounds say: a single one may have met a busy moment of the machine."""
    ratios = [mine / its for mine, its in zip(found.values[one], found.values[other])]
    if len(ratios) < ROUNDS:
        return f"not judged by less than {ROUNDS} rounds"
    if max(ratios) < 1 - WORTH:
        return "worth it"
    if min(ratios) > 1 + WORTH:
        return "a loss"
    return "no difference that all rounds agree on"
