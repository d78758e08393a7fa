# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what rules cost the packets that pass a host: those of its networks, and those that do not concern it."""

from __future__ import annotations

import contextlib

from benchmarks.bench import Measurements, Plot, say, table
from benchmarks.traffic_probes import connection_times, packet_rate, stream_rate
from benchmarks.traffic_world import VARIANTS, World, variants

TITLE = "Traffic"
# Published ports and endpoints; the others are compared with the first one.
SIZES = ((1, 1), (1000, 1), (10000, 1), (1, 100), (1, 1000))
QUICK_SIZES = ((1, 1), (100, 1), (1, 10))
WAYS = {
    "published": "through a published port, from a neighbour",
    "out": "out, from an endpoint",
    "host": "not ours: a neighbour to a service of the host",
    "forwarded": "not ours: forwarded between two other links",
}
NOT_OURS = ("host", "forwarded")
MEASURES = {
    "packets": "Small packets (UDP, 18 bytes; thousands a second)",
    "stream": "Stream (TCP; Gbit/s)",
    "connect": "New connections (TCP; microseconds each)",
    "connect95": "New connections, the slow ones (of 100 connections 95 take no longer; microseconds each)",
}
# The bounds apply to throughput and to the median connection; the slowest connections depend on what else the machine
# does.
BOUNDED = ("packets", "stream", "connect")
BOUND = 0.9

Size = tuple[int, int]


# ---- measuring


def measure(found: Measurements, quick: bool) -> None:
    """All hosts are built first; then they are measured in turns, in each round from another one on."""
    names = variants()
    sizes = QUICK_SIZES if quick else SIZES
    found.facts["sizes"] = list(sizes)
    with contextlib.ExitStack() as stack:
        worlds: dict[str, World] = {}
        for ports, endpoints in sizes:
            say(f"hosts with {ports} ports and {endpoints} endpoints")
            for name in names:
                world = worlds[f"{ports}/{endpoints}/{name}"] = World(name, ports, endpoints)
                stack.callback(world.close)
        for number in range(found.rounds):
            say(f"round {number + 1} of {found.rounds}")
            turn = number % len(names)
            for ports, endpoints in sizes:
                for name in names[turn:] + names[:turn]:
                    label = f"{ports}/{endpoints}/{name}"
                    _measure_world(found, label, worlds[label], quick)


def _measure_world(found: Measurements, label: str, world: World, quick: bool) -> None:
    seconds = 0.1 if quick else 0.4
    for way, about in world.ways.items():
        usual, slow = connection_times(about, 300 if quick else 3000)
        found.note(f"{label}/{way}/connect", usual)
        found.note(f"{label}/{way}/connect95", slow)
        found.note(f"{label}/{way}/packets", packet_rate(about, seconds))
        found.note(f"{label}/{way}/stream", stream_rate(about, seconds))


# ---- the report


def report(found: Measurements) -> str:
    """The bounds, the plots, and a table for each measure."""
    names = [name for name in VARIANTS if name == "none" or _speed(found, _sizes(found)[0], name, "host", "connect")]
    parts = [_about(), _not_ours(found, names), _flat(found), *_plots(found, names)]
    parts += [_all_sizes(found, names, measure) for measure in MEASURES]
    return "\n\n".join(parts)


def _about() -> str:
    return (
        "A neighbour, a host and a far one behind its other link, as network namespaces. The host has one network, and"
        " the rules of one variant: those of each back-end, made by the engine; those of Docker as it is shipped,"
        " without Docker; none at all, where published ports and the way out are plain routes; and one rule that asks"
        " for the state of a connection, for what that costs is part of every other variant. Of many published ports"
        " the last one is used. Of many endpoints one is used, the others are veths on the bridge.\n\n"
        "One processor does the whole way of a packet, and the median of short bursts is taken. So this is the work"
        " that rules make, with nothing to hide behind: where network cards or applications take time as well, ratios"
        " are nearer to 1. A ratio is the speed as part of that without rules; for new connections too."
    )


def _sizes(found: Measurements) -> list[Size]:
    return list(map(tuple, found.facts["sizes"]))


def _label(size: Size, name: str, way: str, measure: str) -> str:
    return f"{size[0]}/{size[1]}/{name}/{way}/{measure}"


def _speed(found: Measurements, size: Size, name: str, way: str, measure: str) -> float | None:
    """As part of the speed without rules."""
    one, none = _label(size, name, way, measure), _label(size, "none", way, measure)
    return found.ratio(none, one) if measure.startswith("connect") else found.ratio(one, none)


def _not_ours(found: Measurements, names: list[str]) -> str:
    rows = []
    for name in names:
        if name == "none":
            continue
        worst = [
            min(_speed(found, size, name, way, measure) or 0.0 for size in _sizes(found) for way in NOT_OURS)
            for measure in BOUNDED
        ]
        bound = _verdict(worst) if VARIANTS[name].backend else ""
        rows.append([VARIANTS[name].title, *worst, bound])
    header = ["the worst of all sizes, of no rules", "small packets", "stream", "new connections", "bound"]
    return f"**Traffic that is not ours: at least {BOUND} of no rules.**\n\n{table(header, rows)}"


def _flat(found: Measurements) -> str:
    least = _sizes(found)[0]
    most = max(_sizes(found))
    rows = []
    for way, title in WAYS.items():
        parts = []
        for measure in BOUNDED:
            one, other = (_speed(found, size, "nftables", way, measure) or 0.0 for size in (least, most))
            parts.append(other / one if one else 0.0)
        rows.append([title, *parts, _verdict(parts)])
    header = [f"nftables, {most[0]} ports of {least[0]}", "small packets", "stream", "new connections", "bound"]
    return f"**With nftables flat in the number of ports: at least {BOUND}.**\n\n{table(header, rows)}"


def _verdict(parts: list[float]) -> str:
    """Rounded so that it does not flatter our rules."""
    return "met" if min(parts) >= BOUND else "missed"


def _plots(found: Measurements, names: list[str]) -> list[str]:
    by_ports = [size for size in _sizes(found) if size[1] == 1]
    by_endpoints = [size for size in _sizes(found) if size[0] == 1]
    ports, endpoints = "published ports", "endpoints"
    return [
        _plot(found, names, by_ports, ports, "published", "connect", "microseconds"),
        _plot(found, names, by_ports, ports, "host", "connect", "microseconds"),
        _plot(found, names, by_endpoints, endpoints, "forwarded", "packets", "thousands a second"),
    ]


def _plot(found: Measurements, names: list[str], sizes: list[Size], x: str, way: str, measure: str, y: str) -> str:
    """A line for each variant, over ports or endpoints."""
    lines = {}
    for name in names:
        medians = [(max(size), found.median(_label(size, name, way, measure))) for size in sizes]
        lines[VARIANTS[name].title] = [(float(number), value) for number, value in medians if value is not None]
    kind = {"connect": "New connections", "packets": "Small packets"}[measure]
    title = f"{kind}, {WAYS[way]}"
    return Plot(f"traffic-{way}-{measure}", title, x, y, lines, logarithmic=True).write()


def _all_sizes(found: Measurements, names: list[str], measure: str) -> str:
    """The speed without rules, and the part of it that is left."""
    rows = []
    for way, title in WAYS.items():
        for name in names:
            if name == "none":
                cells = [found.median(_label(size, name, way, measure)) for size in _sizes(found)]
            else:
                cells = [_speed(found, size, name, way, measure) for size in _sizes(found)]
            rows.append([f"**{title}**: no rules" if name == "none" else VARIANTS[name].title, *cells])
    header = ["", *(f"ports {ports}, endpoints {endpoints}" for ports, endpoints in _sizes(found))]
    return f"**{MEASURES[measure]}.** Without rules, and of that:\n\n{table(header, rows)}"
