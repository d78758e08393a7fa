# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command, and says in its own last line of output what it cost: wall seconds and CPU seconds, as JSON.

python metered.py COMMAND...

What the command leaves running (the master connections of ssh) counts as well, and is ended: so each run makes its
connections itself, and none finds those of the run before.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """The exit code is the command's."""
    # Orphans become children of this process, and their CPU time is told when they are waited for.
    if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    begun = time.perf_counter()
    code = subprocess.run(sys.argv[1:], check=False).returncode
    seconds = time.perf_counter() - begun
    end_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}), flush=True)
    return code


def end_orphans() -> None:
    """All that has become ours; again, because what they leave becomes ours as well."""
    while children := [pid for pid, parent in parents().items() if parent == os.getpid()]:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def parents() -> dict[int, int]:
    """The parent of each process."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (name) state parent ...", and a name may hold anything
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(") ")[2].split()[1])
    return found


if __name__ == "__main__":
    sys.exit(main())
