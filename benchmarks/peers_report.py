# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the suite `peers`, in tables and a plot."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import Measurements, Plot, table

NAMES = {
    "role": "the role",
    "less": "the role, less one `ping`",
    "ip": "`ip -batch` and `nft -f`",
    "careful": "a careful playbook of commands",
    "docker": "Docker",
    "podman": "podman",
    "cni": "CNI plugins",
    "netavark": "netavark",
}
TIMES = ("first run", "second run", "one added", "one removed", "all removed")
# seconds by which two runs of the same play differ
NOISE = 0.1
IN_THE_CLOCK = """\
The role, the careful playbook and `ping` are whole runs of `ansible-playbook` over pipelined ssh, of which one `ping`
alone takes {ping}; all others are called on the host itself, and only these calls are in the clock. Making and deleting
namespaces is in it for the role, the careful playbook and `ip -batch`, and not for CNI and netavark, whose runtime does
that; for Docker and podman all of `run` is, with the container and its process. After each first run a client on the
LAN had an answer of the last endpoint.

`ip -batch` looks at nothing before it writes, so it can do nothing twice; it is one process for the host's side, one
for the inside of each namespace, and one `nft`. Sizes of {once} and more were measured in one round only."""


def report(found: Measurements, peers: Sequence[str], sizes: Sequence[int], verbs: Sequence[str], once: int) -> str:
    """All of it, in Markdown."""
    ping = found.median("ping/1")
    found, peers = _with_less(found, ping or 0.0), [peers[0], "less", *peers[1:]]
    told = IN_THE_CLOCK.format(ping="nothing" if ping is None else f"{ping:.1f} s", once=once)
    parts = [
        f"Versions: {'; '.join(found.facts['versions'])}.",
        told,
        "Seconds, by endpoints with a published port each:",
        _seconds(found, peers, sizes, verbs),
        *_failures(found),
        "Times what `ip -batch` takes:",
        _ratios(found, peers, sizes, verbs, "ip"),
        "Times what the role takes:",
        _ratios(found, peers, sizes, verbs, "role"),
        "Milliseconds that each further endpoint costs, between the two largest numbers of endpoints measured:",
        _slopes(found, peers, sizes),
        "Many ports on one endpoint, and many networks, in seconds:",
        _many(found),
        _plot(found, peers, sizes).write(),
    ]
    return "\n\n".join(parts)


def _with_less(found: Measurements, ping: float) -> Measurements:
    """Also what the role takes above Ansible's own start, where that is more than the noise of a run."""
    values = dict(found.values)
    for label, seconds in found.values.items():
        kind, unused, rest = label.partition("/")
        above = statistics.median(seconds) - ping
        if kind == "role" and above > NOISE:
            values[f"less/{rest}"] = [above]
    return dataclasses.replace(found, values=values)


def _seconds(found: Measurements, peers: Sequence[str], sizes: Sequence[int], verbs: Sequence[str]) -> str:
    nothing = [None] * (len(verbs) - 1)
    rows: list[list[Any]] = [
        ["", name, found.median(label), *nothing]
        for name, label in (("one `ping` task", "ping/1"), ("eight `ping` tasks", "ping/8"))
    ]
    for size, name in _measured(found, peers, sizes):
        rows.append([size, NAMES[name], *(found.median(f"{name}/{size}/{verb}") for verb in verbs)])
    return table(["endpoints", "what", *TIMES], rows)


def _failures(found: Measurements) -> list[str]:
    told = []
    for key, why in found.facts.get("failed", {}).items():
        name, size = key.split("/")
        told.append(f"{NAMES[name]} failed with {size} endpoints: `{why}`")
    return told


def _ratios(found: Measurements, peers: Sequence[str], sizes: Sequence[int], verbs: Sequence[str], to: str) -> str:
    kept = [verb for verb in verbs if verb != "second"]
    rows: list[list[Any]] = []
    for size, name in _measured(found, peers, sizes):
        if name != to:
            rows.append(
                [size, NAMES[name], *(found.ratio(f"{name}/{size}/{verb}", f"{to}/{size}/{verb}") for verb in kept)]
            )
    return table(["endpoints", "what", *(time for verb, time in zip(verbs, TIMES) if verb != "second")], rows)


def _slopes(found: Measurements, peers: Sequence[str], sizes: Sequence[int]) -> str:
    rows = []
    for name in peers:
        known = [size for size in sizes if f"{name}/{size}/first" in found.values][-2:]
        if len(known) == 2:
            less, more = known
            slopes = [_slope(found, name, less, more, verb) for verb in ("first", "second", "gone")]
            rows.append([NAMES[name], f"{less} to {more}", *slopes])
    return table(["what", "endpoints", "first run", "second run", "all removed"], rows)


def _slope(found: Measurements, name: str, less: int, more: int, verb: str) -> float | None:
    low, high = (found.median(f"{name}/{size}/{verb}") for size in (less, more))
    return None if low is None or high is None else 1000 * (high - low) / (more - less)


def _many(found: Measurements) -> str:
    ports, networks = found.facts["ports"], found.facts["networks"]
    kinds = {
        "range": f"{ports} ports, one range",
        "singles": f"{ports} ports, one by one",
        "networks": f"{networks} networks of 10 endpoints",
    }
    rows = [
        [
            title,
            found.median(f"ip/{kind}/first"),
            found.median(f"role/{kind}/first"),
            found.median(f"role/{kind}/second"),
            found.ratio(f"role/{kind}/first", f"ip/{kind}/first"),
        ]
        for kind, title in kinds.items()
    ]
    return table(["what", "`ip -batch`", "the role, first run", "second run", "first run, of `ip`"], rows)


def _plot(found: Measurements, peers: Sequence[str], sizes: Sequence[int]) -> Plot:
    lines: dict[str, list[tuple[float, float]]] = {}
    for size, name in _measured(found, peers, sizes):
        seconds = found.median(f"{name}/{size}/first")
        if seconds is not None:
            lines.setdefault(NAMES[name].replace("`", ""), []).append((size, seconds))
    return Plot("peers", "First run, by number of endpoints", "endpoints", "seconds", lines, logarithmic=True)


def _measured(found: Measurements, peers: Sequence[str], sizes: Sequence[int]) -> list[tuple[int, str]]:
    return [(size, name) for size in sizes for name in peers if f"{name}/{size}/first" in found.values]
