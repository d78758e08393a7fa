# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks for pages all the time, and tells for each line that it reads what came of it since the last one.

poller.py ADDRESS PATIENCE PORT=PAUSE...      each port is asked by one client, which waits for PAUSE between two polls
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field


@dataclass
class Count:
    polls: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)  # each with the time of its end


def poll(address: str, port: int, patience: float) -> str:
    """The error; empty if the page came."""
    try:
        with socket.create_connection((address, port), patience) as stream:
            stream.settimeout(patience)
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b""
            while part := stream.recv(65536):
                text += part
    except OSError as error:
        return str(error)
    first = text.partition(b"\r\n")[0].decode()
    return "" if first.split()[1:2] == ["200"] else first or "an empty answer"


class Client(threading.Thread):
    def __init__(self, address: str, port: int, pause: float, patience: float) -> None:
        super().__init__(daemon=True)
        self.address, self.port, self.pause, self.patience = address, port, pause, patience
        self.count = Count()

    def run(self) -> None:
        while True:
            begin = time.monotonic()
            failure = poll(self.address, self.port, self.patience)
            took, count = time.monotonic() - begin, self.count
            count.polls += 1
            count.slowest = max(count.slowest, round(took, 3))
            if failure:
                count.failures.append(f"{time.time():.3f} {failure} after {took:.3f} s")
            time.sleep(self.pause)

    def told(self) -> Count:
        """The counts since the last call; a poll that is under way counts for the next time."""
        told, self.count = self.count, Count()
        return told


def main() -> None:
    address, patience, *ports = sys.argv[1:]
    clients: dict[str, Client] = {}
    for port, pause in (words.split("=") for words in ports):
        clients[port] = Client(address, int(port), float(pause), float(patience))
        clients[port].start()
    for unused in sys.stdin:
        print(json.dumps({port: asdict(client.told()) for port, client in clients.items()}), flush=True)


if __name__ == "__main__":
    main()
