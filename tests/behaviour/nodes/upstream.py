# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A DNS server outside: it knows every name, and notes in a file what it is asked.

python3 upstream.py ADDRESS FILE
"""

from __future__ import annotations

import socket
import sys
import threading

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

LONG = " ".join('"%02d%s"' % (number, "x" * 200) for number in range(12))


def answer(wire: bytes, stream: bool) -> bytes:
    question = dns.message.from_wire(wire)
    asked = question.question[0]
    with open(sys.argv[2], "a", encoding="ascii") as file:
        file.write("%s %s\n" % (asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)))
    found = dns.message.make_response(question)
    text = {"A": "203.0.113.80", "TXT": LONG}.get(dns.rdatatype.to_text(asked.rdtype))
    if text is not None:
        found.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype, *_records(text)))
    spelled: bytes = found.to_wire(max_size=65535)
    if len(spelled) > 512 and not stream:
        found.answer.clear()
        found.flags |= dns.flags.TC
        spelled = found.to_wire()
    return spelled


def _records(text: str) -> list[str]:
    return [text] if '"' not in text else text.split(" ")


def streams() -> None:
    with socket.create_server((sys.argv[1], 53)) as listener:
        while True:
            asker = listener.accept()[0]
            with asker:
                wire = answer(asker.recv(65535)[2:], True)
                asker.sendall(len(wire).to_bytes(2, "big") + wire)


def main() -> None:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((sys.argv[1], 53))
    threading.Thread(target=streams, daemon=True).start()
    print("ready", flush=True)
    while True:
        wire, asker = opened.recvfrom(65535)
        opened.sendto(answer(wire, False), asker)


if __name__ == "__main__":
    main()
