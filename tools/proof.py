# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof of the demo: packets show that the networks of demo.yml are right, and that nothing is left in the end."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.client import INTERNET4, INTERNET6, Lab

WEB4, WEB6 = "10.20.0.183", "fd00:20::5642:58b7"  # these follow from the names
DB4 = "10.20.0.10"
GATEWAY4, GATEWAY6 = "10.20.0.1", "fd00:20::1"
# 80 and 9000 are published, 81 is not.
WEB_PORTS = ("80", "81", "9000")

HOST = "the host"
NEIGHBOUR = "neighbour"
CLOSED = "closed"


@dataclass(frozen=True)
class Question:
    """A request to a server, which answers with the client's address; `expected` is that address.

    `who` asks: the host, its neighbour, or an endpoint on the host. For names in braces, see _addresses().
    """

    text: str
    who: str
    url: str
    expected: str


# fmt: off
SERVED: Sequence[Question] = (
    Question("web asks for db by its name, IPv6", "web", "http://db:5000/", WEB6),
    Question("a neighbour on the LAN asks, port 5000", NEIGHBOUR, "http://{lan4}:5000/", "{neighbour4}"),
)
CHAPTERS: Mapping[str, Sequence[Question]] = {
    "The way out. Which client does a server on the internet see?": (
        Question("web asks, IPv4", "web", f"http://{INTERNET4}/", "{lan4}"),
        Question("web asks, IPv6", "web", f"http://[{INTERNET6}]/", "{lan6}"),
        Question("app asks, IPv4", "app", f"http://{INTERNET4}/", "{lan4}"),
        Question("app asks, IPv6", "app", f"http://[{INTERNET6}]/", "{lan6}"),
    ),
    f"Port 8080 of the host is port 80 of web. Which client does web see? ({GATEWAY4} is the host, on the bridge.)": (
        Question("a neighbour on the LAN asks, IPv4", NEIGHBOUR, "http://{lan4}:8080/", "{neighbour4}"),
        Question("a neighbour on the LAN asks, IPv6", NEIGHBOUR, "http://[{lan6}]:8080/", "{neighbour6}"),
        Question("the host asks its own LAN address", HOST, "http://{lan4}:8080/", "{lan4}"),
        Question("the host asks 127.0.0.1", HOST, "http://127.0.0.1:8080/", GATEWAY4),
        Question("db asks, in the same network", "db", "http://{lan4}:8080/", GATEWAY4),
        Question("app asks, in the other network", "app", "http://{lan4}:8080/", GATEWAY4),
        Question("app asks, in the other network, IPv6", "app", "http://[{lan6}]:8080/", GATEWAY6),
        Question("web asks itself, by way of the host", "web", "http://{lan4}:8080/", GATEWAY4),
    ),
    "Port 9000 is published on 127.0.0.1 alone": (
        Question("the host asks 127.0.0.1", HOST, "http://127.0.0.1:9000/", GATEWAY4),
        Question("a neighbour asks the host", NEIGHBOUR, "http://{lan4}:9000/", CLOSED),
    ),
    "Names, and a service of systemd in db": SERVED,
    "What is not published serves its own network alone": (
        Question("db asks web, port 80", "db", f"http://{WEB4}/", DB4),
        Question("db asks web, port 81", "db", f"http://{WEB4}:81/", DB4),
        Question("app asks web, port 80, IPv4", "app", f"http://{WEB4}/", CLOSED),
        Question("app asks web, port 80, IPv6", "app", f"http://[{WEB6}]/", CLOSED),
        Question("a neighbour asks the host, port 81", NEIGHBOUR, "http://{lan4}:81/", CLOSED),
        Question("a neighbour with a route asks web", NEIGHBOUR, f"http://{WEB4}/", CLOSED),
    ),
}
AFTER_BOOT: Sequence[Question] = (
    *SERVED,
    Question("web asks, IPv4", "web", f"http://{INTERNET4}/", "{lan4}"),
    Question("a neighbour with a route asks db", NEIGHBOUR, f"http://{DB4}:5000/", CLOSED),
)
# fmt: on

# The service of the demo, which knows nothing about our networks.
SERVICE = "stock.service"
UNIT = """\
[Service]
Type=forking
ExecStart=/usr/bin/python3 /usr/local/lib/whoami.py 5000

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Line:
    """One line of a table: what was expected, and for each host what was seen and whether that is right."""

    text: str
    expected: str
    seen: Sequence[str]
    ok: bool


def header(hosts: Sequence[str]) -> str:
    return _row("", "expected", *(f"seen on {host}" for host in hosts))


def table(lines: Sequence[Line]) -> list[str]:
    """The lines as aligned text, to print below the header."""
    return [_row(f"  {line.text}", line.expected, *line.seen, "ok" if line.ok else "WRONG") for line in lines]


def _row(*cells: str) -> str:
    widths = (42, *[20 for unused in cells[1:]])
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths)).rstrip()


# ---- packets ----


WHOAMI = Path(__file__).with_name("whoami.py")


def install_service(lab: Lab, host: str) -> None:
    """Install the service before there is any network, so that it runs on the host itself."""
    lab.run(host, ["cp", "/dev/stdin", "/usr/local/lib/whoami.py"], input=WHOAMI.read_text())
    lab.run(host, ["cp", "/dev/stdin", f"/etc/systemd/system/{SERVICE}"], input=UNIT)
    lab.run(host, ["systemctl", "enable", "--quiet", "--now", SERVICE])


class Questioner:
    """Asks the questions on several hosts of a lab at the same time."""

    def __init__(self, lab: Lab, hosts: Sequence[str]) -> None:
        self._lab = lab
        self._hosts = hosts
        self._names = {host: _addresses(lab, host) for host in hosts}
        self._servers: dict[str, str] = {}
        self._route = threading.Lock()

    def start_servers(self) -> None:
        source = WHOAMI.read_text()
        command = ["ip", "netns", "exec", "web", "/usr/bin/python3", "-", *WEB_PORTS]
        for host in self._hosts:
            self._servers[host] = self._lab.run(host, command, input=source).stdout.strip()

    def stop_servers(self) -> None:
        for host, pid in self._servers.items():
            self._lab.run(host, ["kill", pid])

    def ask(self, questions: Sequence[Question]) -> list[Line]:
        with ThreadPoolExecutor(max_workers=8) as pool:
            asked = [[pool.submit(self._ask, host, question) for host in self._hosts] for question in questions]
            return [self._line(question, [job.result() for job in jobs]) for question, jobs in zip(questions, asked)]

    def _line(self, question: Question, seen: Sequence[str]) -> Line:
        wanted = [question.expected.format(**self._names[host]) for host in self._hosts]
        # Where each host has its own address, the table says whose it is.
        expected = wanted[0] if len(set(wanted)) == 1 else "the host"
        return Line(question.text, expected, seen, list(seen) == wanted)

    def _ask(self, host: str, question: Question) -> str:
        url = question.url.format(**self._names[host])
        node = NEIGHBOUR if question.who == NEIGHBOUR else host
        inside = [] if question.who in (NEIGHBOUR, HOST) else ["ip", "netns", "exec", question.who]
        seconds = "1.5" if question.expected == CLOSED else "10"
        curl = ["curl", "--silent", "--globoff", "--noproxy", "*", "--max-time", seconds, url]
        endpoint = next((address for address in (WEB4, DB4) if address in url), None)
        if question.who == NEIGHBOUR and endpoint:
            # Both hosts have this subnet, so the neighbour can have a route to one of them at a time.
            with self._route:
                self._lab.run(NEIGHBOUR, ["ip", "route", "replace", endpoint, "via", self._names[host]["lan4"]])
                done = self._lab.run(NEIGHBOUR, curl, check=False)
                self._lab.run(NEIGHBOUR, ["ip", "route", "delete", endpoint])
        else:
            done = self._lab.run(node, [*inside, *curl], check=False)
        # 7: refused, 28: no answer in time.
        return CLOSED if done.returncode in (7, 28) else done.stdout.strip() or f"curl failed ({done.returncode})"


def _addresses(lab: Lab, host: str) -> dict[str, str]:
    own, neighbour = lab.node(host), lab.node(NEIGHBOUR)
    names = {"lan4": own.lan4, "lan6": own.lan6, "neighbour4": neighbour.lan4, "neighbour6": neighbour.lan6}
    return {name: address or "" for name, address in names.items()}


# ---- what is left ----

# Without the lock, an empty file that stays as xtables.lock does.
_TRACES = {
    "interfaces and addresses": "ip -brief address show | sed 's/@[^ ]*//; s/  */ /g'",
    "routes": "ip -4 route show table all; ip -6 route show table all",
    "network namespaces": "ls -1A /run/netns",
    "packet filter rules": "nft list ruleset",
    "sysctls": "sysctl --all --pattern '^net[.](ipv4[.](ip_forward|conf)|ipv6[.]conf|bridge)'",
    "files": "ls -1A /etc/sysctl.d; find /etc /run /var/lib -path /run/lock -prune -o -iname '*dockerless*' -print",
}
Traces = Mapping[str, Mapping[str, Sequence[str]]]


def traces(lab: Lab, hosts: Sequence[str]) -> Traces:
    """The state of a host, as far as the collection could change it."""

    def look(host: str, command: str) -> Sequence[str]:
        return sorted(lab.run(host, command, check=False).stdout.splitlines())

    return {host: {name: look(host, command) for name, command in _TRACES.items()} for host in hosts}


def compare(before: Traces, after: Traces) -> list[Line]:
    lines = []
    for name in _TRACES:
        differences = [set(before[host][name]) ^ set(after[host][name]) for host in before]
        seen = [f"{len(difference)} lines differ" if difference else "as before" for difference in differences]
        lines.append(Line(name, "as before", seen, not any(differences)))
    return lines
