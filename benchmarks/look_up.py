# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host, by itself: asks a DNS server for the address of a name, and tells how long answers take.

ADDRESS NAME NUMBER
"""

from __future__ import annotations

import json
import socket
import sys
import time

import dns.message
import dns.rcode


def main() -> None:
    address, name, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    question = dns.message.make_query(name, "A").to_wire()
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        asker.connect((address, 53))
        for unused in range(number):
            begun = time.perf_counter_ns()
            asker.send(question)
            wire = asker.recv(65535)
            times.append((time.perf_counter_ns() - begun) / 1000)
    answer = dns.message.from_wire(wire)
    if not answer.answer:
        sys.exit(f"{address} says {dns.rcode.to_text(answer.rcode())}")
    times.sort()
    print(json.dumps({"median": times[number // 2], "p95": times[number * 95 // 100]}))


if __name__ == "__main__":
    main()
