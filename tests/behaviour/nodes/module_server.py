# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs modules of the collection on a lab host, each in a fork of an interpreter that has imported what they all need.

module_server.py FOLDER...      the folders of `ansible` and of `ansible_collections`

So a call costs a tenth of what it does over ssh. Reads requests from standard input, a JSON object per line, and
answers each by such a line: what the module printed, its exit code, and what else came out.
"""

from __future__ import annotations

import ctypes
import json
import os
import pkgutil
import runpy
import signal
import struct
import sys
import tempfile
import time
from typing import Any

COLLECTION = "ansible_collections.dockerless.network.plugins"
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_KILL_PROCESS = 0x80000000
SECCOMP_RET_ALLOW = 0x7FFF0000
SYS_SETSOCKOPT = {"x86_64": 54, "aarch64": 208}
IPT_SO_SET_REPLACE = 64


def forbid_replacing_tables() -> None:
    """From now on the kernel kills whoever would replace a table of iptables-legacy (seccomp(2)): there is no other way
    to change its rules but to replace a whole table, and only counters to tell by that it was done."""
    load, jump_equal, ret = 0x20, 0x15, 0x06
    # struct seccomp_data: nr at 0, args from 16 in 8 bytes each; setsockopt(fd, level, optname, ...)
    program = [
        (load, 0, 0, 0),
        (jump_equal, 0, 5, SYS_SETSOCKOPT[os.uname().machine]),
        (load, 0, 0, 32),
        (jump_equal, 0, 3, IPT_SO_SET_REPLACE),
        (load, 0, 0, 24),
        (jump_equal, 2, 0, 0),  # IPPROTO_IP
        (jump_equal, 1, 0, 41),  # IPPROTO_IPV6
        (ret, 0, 0, SECCOMP_RET_ALLOW),
        (ret, 0, 0, SECCOMP_RET_KILL_PROCESS),
    ]
    code = b"".join(struct.pack("=HBBL", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)
    filters = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters, 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def give_arguments(arguments: dict[str, Any]) -> None:
    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"


def in_child(request: dict[str, Any]) -> None:
    """Become what the request wants, and run the module to its end. Never returns."""
    code = 1
    try:
        if request.get("missing"):
            hide(request["missing"])
        if request.get("missing") or request.get("path"):
            forget(COLLECTION)
        sys.path[:0] = request.get("path", [])
        if request.get("tables_stay"):
            forbid_replacing_tables()
        if request.get("uid"):
            os.setgroups([])
            os.setgid(request["uid"])
            os.setuid(request["uid"])
        os.environ.update(request.get("environment", {}))
        give_arguments(request["arguments"])
        runpy.run_module(f"{COLLECTION}.modules.{request['module']}", None, "__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def load(package: str) -> None:
    """Import all of it, so that no child has to: a call would spend most of its time on that."""
    for found in pkgutil.walk_packages(__import__(package, fromlist=["here"]).__path__, f"{package}."):
        __import__(found.name)


def forget(package: str) -> None:
    """Have it imported again by who needs it."""
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]


def hide(library: str) -> None:
    """Make a library that is there look as if it were not."""
    forget(library)
    sys.path[:] = [folder for folder in sys.path if not os.path.isdir(os.path.join(folder, library))]
    sys.path_importer_cache.clear()


def run(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            in_child(request)
        if "kill_seconds" in request:
            time.sleep(request["kill_seconds"])
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        out.seek(0)
        err.seek(0)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        return {"code": code, "out": out.read().decode(), "err": err.read().decode()}


def main() -> None:
    sys.path[:0] = sys.argv[1:]
    sys.dont_write_bytecode = True
    from ansible.module_utils import basic  # noqa: F401

    load(f"{COLLECTION}.module_utils")
    from ansible_collections.dockerless.network.plugins.module_utils.kernel import encode

    # loads what it needs of pyroute2
    encode.route_message({}, ())
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
