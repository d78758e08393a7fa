# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command, and notes in a file how many seconds of CPU the command and all that it started have used.

python3 tools/meter.py FILE COMMAND...

A lab outlives the process that starts it, so the kernel does not add its time to that of this process. It becomes a
child of this program when that process ends (PR_SET_CHILD_SUBREAPER), and this program waits for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
# What still runs after this many seconds, such as an ssh connection that is kept open, is left alone.
PATIENCE = 2.0


def main() -> int:
    file, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Whoever stops the command stops its whole process group. A handler, unlike SIG_IGN, is not inherited.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        print(error, file=sys.stderr)
        return 127
    code = wait_for(process.pid)
    reap_others()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(file).write_text(f"{used.ru_utime + used.ru_stime:.2f}\n")
    return code if code >= 0 else 128 - code


def wait_for(wanted: int) -> int:
    """Wait for the command, reaping other children on the way; returns its exit code."""
    while True:
        pid, status = os.wait()
        if pid == wanted:
            return os.waitstatus_to_exitcode(status)


def reap_others() -> None:
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
