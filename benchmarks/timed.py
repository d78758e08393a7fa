# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host, by itself: a command, its wall and CPU seconds, and the memory of the largest process in it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time


def main() -> None:
    request = json.load(sys.stdin)
    begun = time.perf_counter()
    done = subprocess.run(request["argv"], input=request.get("input", ""), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    about = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "mebibytes": used.ru_maxrss / 1024}
    print(json.dumps({**about, "code": done.returncode, "out": done.stdout[-100000:], "err": done.stderr[-2000:]}))


if __name__ == "__main__":
    main()
