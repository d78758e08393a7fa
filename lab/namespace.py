# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does work in another network namespace, in a thread that goes there and ends.

setns(2) moves the calling thread only, so the rest of the process stays where it is.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lab.syscalls import CLONE_NEWNET, setns

T = TypeVar("T")


def visit(fd: int, function: Callable[[], T]) -> T:
    """Call ``function`` in the namespace of ``fd``; sockets and programs that it makes stay there."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            setns(fd, CLONE_NEWNET)
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class Namespace:
    """A network namespace that threads of this process can visit."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def visit(self, function: Callable[[], T]) -> T:
        """Call ``function`` in this namespace."""
        return visit(self.fd, function)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of this namespace, for the calling thread to use."""
        return self.visit(lambda: socket.socket(family, kind, protocol))

    def sysctl(self, key: str, value: object) -> None:
        """Write below /proc/sys/net."""
        self.visit(lambda: Path("/proc/sys/net", key).write_text(str(value)))
