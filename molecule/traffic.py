# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends requests and answers them, for tests with packets.

traffic answer NAMES PORT...     in the background, in each of these endpoints (a,b,c): answer HTTP and datagrams on
                                 these ports with the names of host and endpoint, and who asks
traffic expect                   ask what is read as JSON, lists of who asks (host, neighbour or an endpoint), a URL
                                 (http or udp), and how the answer begins, or nothing if there must be none
traffic begin ADDRESS:PORT...    in the background: ask these without a pause, in numbered requests
traffic end                      stop that, and print what was sent and what was lost
"""

from __future__ import annotations

import errno
import http.client
import http.server
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PATIENCE = 5.0  # seconds to wait for an answer
SILENCE = 2.0  # seconds after which no answer is expected any more
PACE = 0.04  # seconds from one numbered request to the next
PID = Path("/run/traffic.pid")
RESULT = Path("/run/traffic.json")


def background() -> None:
    """Go on as a daemon; the command ends here, with the sockets open."""
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)


# ---- answer


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections last
    wbufsize = -1  # head and body in one segment
    name = ""

    def do_GET(self) -> None:
        body = answer_to(self.name, self.client_address[0], self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused: object) -> None:
        pass


class HttpServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6  # and IPv4
    daemon_threads = True


def answer_to(name: str, client: str, question: str) -> bytes:
    return f"{socket.gethostname()} {name} {client.replace('::ffff:', '')} {question}\n".encode()


def answer(names: str, *ports: str) -> int:
    started = [name for name in names.split(",") if "started" in inside(name, "answer_here", name, *ports)]
    print(f"started {' '.join(started)}" if started else "all run already")
    return 0


def inside(name: str, *arguments: str) -> str:
    """The output of this program in an endpoint."""
    command = ["ip", "netns", "exec", name, sys.executable, __file__, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def answer_here(name: str, *ports: str) -> None:
    Http.name = name
    loops: list[Callable[[], None]] = []
    try:
        for port in map(int, ports):
            loops.append(HttpServer(("::", port), Http).serve_forever)
            datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            datagrams.bind(("::", port))
            loops.append(lambda s=datagrams: answer_datagrams(name, s))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return  # it runs already
    print("started", flush=True)
    background()
    with ThreadPoolExecutor(len(loops)) as pool:
        for loop in loops:
            pool.submit(loop)


def answer_datagrams(name: str, server: socket.socket) -> None:
    while True:
        question, client = server.recvfrom(2000)
        server.sendto(answer_to(name, client[0], question.decode()), client)


# ---- expect


def expect() -> int:
    questions = json.load(sys.stdin)
    with ThreadPoolExecutor(len(questions) or 1) as pool:
        wrong = [text for text in pool.map(lambda question: complaint(*question), questions) if text]
    print("\n".join(wrong) or f"{len(questions)} as expected")
    return 1 if wrong else 0


def complaint(who: str, url: str, wanted: str = "") -> str:
    seconds = PATIENCE if wanted else SILENCE
    here = who in ("host", "neighbour")
    answered = ask(url, seconds) if here else inside(who, "ask", url, str(seconds))
    if answered.startswith(wanted) and bool(answered) == bool(wanted):
        return ""
    return f"{who} asked {url}: expected {wanted or 'no answer'}, got {answered or 'none'}"


def ask(url: str, seconds: float | str) -> str:
    """The answer, or nothing."""
    parts = urllib.parse.urlsplit(url)
    host, port = str(parts.hostname), parts.port or 80
    try:
        if parts.scheme == "udp":
            with datagram_socket(host, port) as client:
                client.settimeout(float(seconds))
                client.send(b"who")
                return client.recv(2000).decode().strip()
        connection = http.client.HTTPConnection(host, port, timeout=float(seconds))
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    except OSError:
        return ""


def datagram_socket(host: str, port: int) -> socket.socket:
    client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((host, port))
    return client


# ---- begin, end


class Flow:
    """Numbered requests to one target."""

    kind = ""

    def __init__(self, target: str, ended: threading.Event) -> None:
        self.target = target
        host, unused, port = target.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.ended = ended
        self.sent = 0
        self.lost: list[int] = []
        self.repeated = 0

    def run(self) -> None:
        raise NotImplementedError

    def result(self) -> dict[str, object]:
        return {
            "flow": f"{self.kind} to {self.target}",
            "sent": self.sent,
            "lost": self.lost,
            "repeated": self.repeated,
        }


class Connection(Flow):
    """One connection for all."""

    kind = "connection"

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        connection.connect()
        connection.auto_open = 0  # it is this one or none
        while not self.ended.wait(PACE) and not self.lost:
            self.request(connection)
        if connection.sock:
            # tcpi_total_retrans in linux/tcp.h
            about = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            self.repeated = struct.unpack_from("=I", about, 100)[0]

    def request(self, connection: http.client.HTTPConnection) -> None:
        self.sent += 1
        try:
            connection.request("GET", f"/{self.sent}")
            if connection.getresponse().read().split()[-1] != f"/{self.sent}".encode():
                self.lost.append(self.sent)
        except (OSError, http.client.HTTPException):
            self.lost.append(self.sent)


class Connections(Connection):
    """A new connection for each."""

    kind = "connections"

    def run(self) -> None:
        while not self.ended.wait(PACE):
            connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
            self.request(connection)
            connection.close()


class Datagrams(Flow):
    """All from one port, not waiting for answers."""

    kind = "datagrams"

    def run(self) -> None:
        answered: set[int] = set()
        with datagram_socket(self.host, self.port) as client:
            client.setblocking(False)
            while not self.ended.wait(PACE):
                self.sent += 1
                self.exchange(client, answered)
            deadline = time.monotonic() + SILENCE
            while len(answered) < self.sent and time.monotonic() < deadline:
                time.sleep(PACE)
                self.collect(client, answered)
        self.lost = sorted(set(range(1, self.sent + 1)) - answered)

    def exchange(self, client: socket.socket, answered: set[int]) -> None:
        try:
            client.send(str(self.sent).encode())
        except OSError:
            return  # an earlier one was refused; this one counts as lost, too
        self.collect(client, answered)

    def collect(self, client: socket.socket, answered: set[int]) -> None:
        try:
            while True:
                answered.add(int(client.recv(2000).split()[-1]))
        except OSError:
            return


def begin(*targets: str) -> None:
    RESULT.unlink(missing_ok=True)
    background()
    PID.write_text(str(os.getpid()))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *unused: ended.set())
    flows = [kind(target, ended) for target in targets for kind in (Connection, Connections, Datagrams)]
    threads = [threading.Thread(target=flow.run) for flow in flows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    new = RESULT.with_suffix(".new")
    new.write_text(json.dumps([flow.result() for flow in flows]))
    new.rename(RESULT)


def end() -> int:
    os.kill(int(PID.read_text()), signal.SIGTERM)
    deadline = time.monotonic() + 2 * PATIENCE
    while not RESULT.exists():
        if time.monotonic() > deadline:
            print("it does not end", file=sys.stderr)
            return 1
        time.sleep(PACE)
    print(RESULT.read_text())
    return 0


if __name__ == "__main__":
    functions = (answer, answer_here, ask, begin, end, expect)
    verbs: dict[str, Callable[..., int | str | None]] = {function.__name__: function for function in functions}
    outcome = verbs[sys.argv[1]](*sys.argv[2:])
    if isinstance(outcome, str):
        print(outcome)
    else:
        sys.exit(outcome)
