# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one case, in namespaces that test_kernel.py has made: python3 kernel_cases MODULE FUNCTION."""

from __future__ import annotations

import importlib
import os
import sys
import threading

from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.programs import call


def left_open() -> list[str]:
    """The open files, but for the folder that is being listed."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink("/proc/self/fd/" + name))
        except FileNotFoundError:
            continue
    return sorted(found)


def main() -> None:
    module, function = sys.argv[1:]
    case = getattr(importlib.import_module(module), function)
    namespace = os.readlink("/proc/thread-self/ns/net")
    files = left_open()
    with Host(call) as host:
        case(host)
    # Under Mitogen the next task runs in this very interpreter.
    assert os.readlink("/proc/thread-self/ns/net") == namespace, "the main thread is in another namespace"
    assert threading.enumerate() == [threading.main_thread()], "a thread is left"
    assert left_open() == files, f"open files are left: {left_open()}"


if __name__ == "__main__":
    main()
