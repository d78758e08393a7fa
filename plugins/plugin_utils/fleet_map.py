# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The map of a fleet: what is on each host, as one page of HTML or as one diagram for Mermaid.

Pure functions: the same reports give the same text, so a second run writes nothing. A host holds networks, and a
network holds endpoints. Boxes inside boxes show that better than lines would, and a browser lays them out by itself at
any size. The page contains all that it needs, and fetches nothing.
"""

from __future__ import annotations

import re
import typing as t
import zlib

from ..module_utils.marks import project_of
from ..module_utils.model import DEFAULT_PROJECT, Drop, PublishedPort
from ..module_utils.report import EndpointReport, HostReport, NetworkReport
from .phrases import (
    Names,
    Text,
    by_endpoint,
    called,
    dropped,
    forwards,
    idle,
    names,
    packet_filter,
    place,
    published,
    remarks,
    rules,
    runs,
    spelled,
    uplinks,
    uses,
    ways_out,
)

_PAGES, _DIAGRAMS = (".html", ".htm"), (".mmd", ".mermaid")
_WARNING = "⚠ "
_NOTHING = "no network of this collection"
# otherwise lines are wrapped like those of running text
_WIDE = "%%{init: {'flowchart': {'wrappingWidth': 900}}}%%"
Reports = t.Mapping[str, t.Union[HostReport, str]]  # by host; a text says why there is no report


class EndpointRow(t.NamedTuple):
    """An endpoint: a row of its network."""

    name: str
    addresses: tuple[str, ...]
    notes: tuple[str, ...]  # other names of it, what runs there, and what should
    ports: tuple[Text, ...]
    trouble: str
    open_ports: int = 0  # those that are published on more than the host's own 127.0.0.1


class NetworkBox(t.NamedTuple):
    """A network, with what distinguishes it and its endpoints."""

    name: str
    hue: int  # the same for networks of one name on all hosts
    bridge: str
    project: str
    gateway: str
    tags: tuple[str, ...]
    endpoints: tuple[EndpointRow, ...]
    drops: tuple[str, ...] = ()


class HostBox(t.NamedTuple):
    """A host, with its networks."""

    name: str
    facts: str
    warnings: tuple[str, ...]
    networks: tuple[NetworkBox, ...]
    drops: tuple[str, ...] = ()


def fleet_map(reports: Reports, path: str) -> str:
    """The text of the file: HTML if its name ends in .html or .htm, Mermaid if in .mmd or .mermaid."""
    boxes = [_host(name, reports[name]) for name in sorted(reports, key=_in_order)]
    return _mermaid(boxes) if path.lower().endswith(_DIAGRAMS) else _html(boxes)


def is_a_map(path: str) -> bool:
    """Whether the name of a file says what the file is to contain."""
    return path.lower().endswith(_PAGES + _DIAGRAMS)


def _in_order(name: str) -> tuple[list[str | int], str]:
    """The key by which h2 comes before h10."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split(r"([0-9]+)", name))], name


# ---- boxes -------------------------------------------------------------------------------------------------------


def _host(name: str, report: HostReport | str) -> HostBox:
    if isinstance(report, str):
        return HostBox(name, "", (report,), ())
    way = uplinks(report)
    facts = ["uplink %s" % way if way else "no default route", packet_filter(report), forwards(report)]
    known = names(report.networks)
    networks = [_network(network, report, known) for network in report.networks]
    loose = tuple(_endpoint(endpoint, (), report) for endpoint in report.unplugged)
    if loose:
        networks.append(NetworkBox("on no bridge", 0, "", "", "", (), loose))
    absent = ("there is no interface %s" % text for text in report.absent_interfaces)
    warnings = (*absent, *_altered(report), *report.foreign, *map(_lost, report.lost))
    return HostBox(name, ", ".join(facts), warnings, tuple(networks), _drops(report.drops))


def _altered(report: HostReport) -> list[str]:
    if not report.altered:
        return []
    return ["rules are missing or altered: %s; run the playbook" % ", ".join(report.altered)]


def _drops(drops: t.Iterable[Drop]) -> tuple[str, ...]:
    return tuple("%s dropped" % text for text in dropped(drops))


def _lost(item: t.Any) -> str:
    processes = "".join(runs(item.processes)) or "nothing"
    return "namespace %s was made anew or removed, and %s runs cut off in the old one" % (item.name, processes)


def _network(network: NetworkReport, report: HostReport, known: Names) -> NetworkBox:
    project = project_of(network.network)
    return NetworkBox(
        name=network.name,
        hue=zlib.crc32(network.name.encode()) % 360,
        bridge=network.bridge,
        project="" if project == DEFAULT_PROJECT else project,
        gateway=spelled(network.addresses or network.subnets),
        tags=tuple(_tags(network, known)),
        endpoints=_endpoints(network, report),
        drops=_drops(network.drops),
    )


def _tags(network: NetworkReport, known: Names) -> t.Iterator[str]:
    if not network.present:
        yield "the bridge is not there"
    elif network.unmarked:
        yield "the bridge has lost its mark"
    elif not network.ours:
        yield "the bridge was made by others"
    internal = network.policy is not None and network.policy.internal
    ways = ways_out(network.masquerades, network.bridge, False)
    for way in ways or ([] if internal else ["untranslated"]):
        yield "out %s" % way
    for rule in rules(network.policy, known):
        yield "no rules" if rule == "none" else rule


def _endpoints(network: NetworkReport, report: HostReport) -> tuple[EndpointRow, ...]:
    mine = by_endpoint(network.endpoints, network.ports)
    rows = [_endpoint(endpoint, mine.get(endpoint.veth, ()), report) for endpoint in network.endpoints]
    stray = mine.get(None, ())
    if stray:
        row = EndpointRow("?", (), (), tuple(published(stray, True)), "nobody has this address", _open_ports(stray))
        rows.append(row)
    return tuple(rows)


def _endpoint(endpoint: EndpointReport, ports: t.Sequence[PublishedPort], report: HostReport) -> EndpointRow:
    others = ["called %s" % text for text in called(endpoint)]
    return EndpointRow(
        name=place(endpoint),
        addresses=tuple(str(address.ip) for address in endpoint.addresses),
        notes=(*others, *runs(endpoint.processes), *idle(endpoint, report.services)),
        ports=tuple(published(ports, False, uses(endpoint))),
        trouble=remarks(endpoint),
        open_ports=_open_ports(ports),
    )


def _open_ports(ports: t.Sequence[PublishedPort]) -> int:
    seen_outside = [port for port in ports if port.host_ip is None or not port.host_ip.is_loopback]
    return len(published(seen_outside, False))


# ---- a diagram ---------------------------------------------------------------------------------------------------


def _mermaid(hosts: t.Sequence[HostBox]) -> str:
    """A node for each network, with its endpoints as lines of text: with a node for each, edges would cross."""
    lines = [_WIDE, "flowchart LR", "  classDef default text-align:left", "  outside((outside))"]
    for number, host in enumerate(hosts):
        lines += _subgraph("h%d" % number, host)
    for number, host in enumerate(hosts):
        lines += _edges("h%dn" % number, host)
    return "\n".join([*lines, *_troubled(lines)]) + "\n"


def _edges(key: str, host: HostBox) -> list[str]:
    """The edges to what others reach. A host without any gets an invisible one, to stay out of the way of others."""
    found = []
    for number, network in enumerate(host.networks):
        ports = sum(endpoint.open_ports for endpoint in network.endpoints)
        if ports:
            text = "1 port" if ports == 1 else "%d ports" % ports
            found.append("  outside -->|%s| %s%d" % (text, key, number))
    return found or ["  outside ~~~ %s" % key]


def _subgraph(key: str, host: HostBox) -> t.Iterator[str]:
    yield '  subgraph %s["%s"]' % (key, _safe(host.name))
    yield "    direction TB"
    notes = [host.facts] if host.facts else []
    notes += [*(_WARNING + text for text in host.warnings), *host.drops]
    if not host.networks and host.facts:
        notes.append(_NOTHING)
    yield '    %sn["%s"]' % (key, "<br/>".join(map(_safe, notes)))
    for number, network in enumerate(host.networks):
        yield '    %sn%d["%s"]' % (key, number, "<br/>".join(_node(network)))
    yield "  end"


def _troubled(lines: t.Sequence[str]) -> t.Iterator[str]:
    """The nodes that hold a warning, in another colour."""
    found = [line.split("[")[0].strip() for line in lines if _WARNING in line]
    if found:
        yield "  classDef warn stroke:#c60,stroke-width:2px"
        yield "  class %s warn" % ",".join(found)


def _node(network: NetworkBox) -> t.Iterator[str]:
    head = (network.bridge, network.gateway, "project %s" % network.project if network.project else "")
    yield " ".join(["<b>%s</b>" % _safe(network.name), *(_safe(text) for text in head if text)])
    for text in (*network.tags, *network.drops):
        yield "<i>%s</i>" % _safe(text)
    for endpoint in network.endpoints:
        words = (*endpoint.addresses, *map(_on_one_line, endpoint.ports))
        yield "  ".join(["<b>%s</b>" % _safe(endpoint.name), *map(_safe, words)])
        notes = [*endpoint.notes, *([_WARNING + endpoint.trouble] if endpoint.trouble else [])]
        if notes:
            yield "<i>%s</i>" % _safe("; ".join(notes))


def _on_one_line(port: Text) -> str:
    return "%s (%s%s)" % (port.said, _WARNING, port.trouble) if port.trouble else port.said


def _safe(text: str) -> str:
    """A text that is safe in a label: Mermaid has its own entities, by number."""
    return re.sub(r'[&<>"#;`|\[\]{}()\\]', lambda found: "#%d;" % ord(found[0]), re.sub(r"\s", " ", text))


# ---- a page ------------------------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --warn: #c60; }
body { font: 14px/1.4 system-ui, sans-serif; margin: 1rem; }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: baseline; margin-bottom: 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
header p { margin: 0; opacity: .75; }
input { font: inherit; padding: .2rem .5rem; min-width: 19rem; }
main { display: grid; gap: .75rem; align-items: start; }
main { grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); }
section { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem; }
h2 { font-size: 1.1rem; margin: 0; }
h2 + p { margin: 0 0 .5rem; opacity: .75; }
.warn { color: var(--warn); margin: .2rem 0; }
details { background: var(--soft); margin: .5rem 0; padding: .35rem .5rem; border-radius: .2rem; }
details { border-left: .35rem solid hsl(var(--hue) 60% 50%); }
summary { cursor: pointer; }
summary b { font-size: 1.05rem; }
.tags { margin: .2rem 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: .3rem; }
.tags li { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .5rem; font-size: .85em; }
table { display: grid; grid-template-columns: minmax(8rem, 1fr) fit-content(40%) fit-content(55%); }
tbody { display: contents; }
tr { display: grid; grid-column: 1 / -1; border-top: 1px solid var(--line); padding: .15rem 0; }
tr { grid-template-columns: 30fr 25fr 45fr; grid-template-columns: subgrid; }
td, li { overflow-wrap: anywhere; }
td { padding: 0 .3rem; }
td:first-child { font-weight: 600; }
td:nth-child(3) { text-align: right; }
td:nth-child(4) { grid-column: 1 / -1; font-size: smaller; margin: 0; }
small { display: block; opacity: .8; font-weight: 400; }
small.warn { opacity: 1; }
code { font: .86em ui-monospace, monospace; }
[hidden] { display: none !important; }
@media print { input { display: none; } section { break-inside: avoid; } }
"""

_SCRIPT = """
const search = document.querySelector("input");
search.oninput = () => {
  const text = search.value.toLowerCase();
  const has = (node) => node.textContent.toLowerCase().includes(text);
  for (const host of document.querySelectorAll("section")) {
    const named = has(host.querySelector("h2"));
    let any = named;
    for (const network of host.querySelectorAll("details")) {
      const head = named || has(network.querySelector("summary"));
      let rows = false;
      for (const row of network.querySelectorAll("tr")) { row.hidden = !(head || has(row)); rows ||= !row.hidden; }
      network.hidden = !(head || rows);
      any ||= !network.hidden;
    }
    host.hidden = !any;
  }
};
"""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Networks of {{ hosts | length }} host{{ "" if hosts | length == 1 else "s" }}</title>
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>Networks</h1>
<p>{{ counts }}. Unless it says otherwise, endpoints of a network reach one another, and others reach them by
published ports only.</p>
<input type="search" placeholder="Search names, addresses, ports" aria-label="Search">
</header>
<main>
{%- for host in hosts %}
<section>
<h2>{{ host.name }}</h2>
<p>{{ host.facts }}</p>
{%- for warning in host.warnings %}
<p class="warn">⚠ {{ warning }}</p>
{%- endfor %}
{%- for drop in host.drops %}
<small>{{ drop }}</small>
{%- endfor %}
{%- for network in host.networks %}
<details open style="--hue: {{ network.hue }}">
<summary><b>{{ network.name }}</b>{% if network.bridge %} <code>{{ network.bridge }}</code>{% endif -%}
{% if network.project %} project {{ network.project }}{% endif %}
{%- if network.gateway %} <code>{{ network.gateway }}</code>{% endif %}</summary>
{%- if network.tags %}
<ul class="tags">{% for tag in network.tags %}<li>{{ tag }}</li>{% endfor %}</ul>
{%- endif %}
<table>
{%- for endpoint in network.endpoints %}
<tr><td>{{ endpoint.name }}{% for note in endpoint.notes %}<small>{{ note }}</small>{% endfor %}</td>
<td>{% for address in endpoint.addresses %}<code>{{ address }}</code><br>{% endfor %}</td>
<td>{% for port in endpoint.ports %}<code>{{ port.said }}</code>
{%- if port.trouble %}<small class="warn">⚠ {{ port.trouble }}</small>{% else %}<br>{% endif %}{% endfor %}</td>
{%- if endpoint.trouble %}<td class="warn">⚠ {{ endpoint.trouble }}</td>{% endif %}</tr>
{%- endfor %}
</table>
{%- for drop in network.drops %}
<small>{{ drop }}</small>
{%- endfor %}
</details>
{%- else %}
{%- if host.facts %}
<p>{{ nothing }}</p>
{%- endif %}
{%- endfor %}
</section>
{%- endfor %}
</main>
<script>{{ script }}</script>
</body>
</html>
"""


def _html(hosts: t.Sequence[HostBox]) -> str:
    from jinja2 import Environment
    from markupsafe import Markup

    page = Environment(autoescape=True, keep_trailing_newline=True).from_string(_PAGE)
    return str(
        page.render(hosts=hosts, nothing=_NOTHING, counts=_counts(hosts), style=Markup(_STYLE), script=Markup(_SCRIPT))
    )


def _counts(hosts: t.Sequence[HostBox]) -> str:
    networks = [network for host in hosts for network in host.networks]
    endpoints = sum(len(network.endpoints) for network in networks)
    numbers = ((len(hosts), "host"), (len(networks), "network"), (endpoints, "endpoint"))
    return ", ".join("%d %s%s" % (number, word, "" if number == 1 else "s") for number, word in numbers)
