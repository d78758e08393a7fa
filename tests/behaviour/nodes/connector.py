# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connects to a port all the time, and tells how long it was without an answer at most, and how often it got one.

connector.py ADDRESS PORT [SECONDS]     until the time is over, or without one until there is something to read
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

PAUSE = 0.005


def main() -> None:
    address, port, *seconds = sys.argv[1:]
    longest, last, answered = 0.0, time.monotonic(), 0
    print("ready", flush=True)
    end = last + float(seconds[0]) if seconds else float("inf")
    asked = [] if seconds else [sys.stdin]
    while time.monotonic() < end and not select.select(asked, [], [], PAUSE)[0]:
        try:
            socket.create_connection((address, int(port)), 0.02).close()
            last = time.monotonic()
            answered += 1
        except OSError:
            pass
        longest = max(longest, time.monotonic() - last)
    print(json.dumps({"longest": longest, "answered": answered}))


if __name__ == "__main__":
    main()
