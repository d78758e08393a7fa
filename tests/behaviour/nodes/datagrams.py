# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends datagrams all the time, each a flow of its own, or tells for each line that it reads what has come since.

datagrams.py send PORT PAUSE ADDRESS...     the text of a datagram is the address that it is sent to
datagrams.py hear PORT                      a line of JSON: a count for each "SOURCE to TEXT"
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections import Counter


def send(port: str, pause: str, *addresses: str) -> None:
    while True:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as client:
                client.sendto(address.encode(), (address, int(port)))
        time.sleep(float(pause))


def hear(port: str) -> None:
    heard: Counter[str] = Counter()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("", int(port)))
        print("ready", flush=True)
        while True:
            ready = select.select([server, sys.stdin], [], [])[0]
            if server in ready:
                text, seen = server.recvfrom(100)
                heard["%s to %s" % (seen[0].replace("::ffff:", ""), text.decode())] += 1
            elif sys.stdin.readline():
                print(json.dumps(heard), flush=True)
                heard.clear()
            else:
                return


{"send": send, "hear": hear}[sys.argv[1]](*sys.argv[2:])
