# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a DNS server for one name at an even rate until its input ends, and tells what became of the questions.

python3 asker.py NAME RATE
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter

import dns.message
import dns.rcode

# After the last question. How long an answer takes says how busy the machine is; what counts is that it comes.
_PATIENCE = 30.0
_SO_RCVBUFFORCE = 33


def main() -> None:
    name, rate = sys.argv[1], float(sys.argv[2])
    question = dns.message.make_query(name, "A").to_wire()[2:]
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # One socket stands for many askers, and has to take the answers to all of them at once.
    asker.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 23)
    asker.setblocking(False)
    asker.connect(("127.0.0.53", 53))
    sent: dict[int, float] = {}
    answers: Counter[bytes] = Counter()
    asked, worst, start, end = 0, 0.0, time.monotonic(), None
    print("asking", flush=True)
    while end is None or (sent and time.monotonic() < end + _PATIENCE):
        now = time.monotonic()
        while end is None and asked < (now - start) * rate:
            number = asked % 65536
            sent[number] = now
            asker.send(number.to_bytes(2, "big") + question)
            asked += 1
        ready = select.select([asker] + ([sys.stdin] if end is None else []), [], [], 0.001)[0]
        if sys.stdin in ready:
            end = time.monotonic()
        if asker in ready:
            wire = asker.recv(65535)
            when = sent.pop(int.from_bytes(wire[:2], "big"), None)
            if when is not None:
                worst = max(worst, time.monotonic() - when)
                answers[wire[2:]] += 1
    told: Counter[str] = Counter()
    for wire, count in answers.items():
        told[said(b"\0\0" + wire)] += count
    print(json.dumps({"asked": asked, "lost": len(sent), "worst": round(worst, 3), "answers": told}))


def said(wire: bytes) -> str:
    """The addresses in an answer, or why there are none."""
    answer = dns.message.from_wire(wire)
    found = sorted(str(item) for rrset in answer.answer for item in rrset)
    return " ".join(found) or str(dns.rcode.to_text(answer.rcode()))


if __name__ == "__main__":
    main()
