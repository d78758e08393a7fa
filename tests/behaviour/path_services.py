# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What real packets are for: services of TCP and UDP, and the answer to a ping; and what becomes of such a packet."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Real:
    """What became of a real packet."""

    heard: bool = False  # a service took it
    answered: bool = False


class Server:
    """What a packet is for: a service of TCP, one of UDP that answers or not, or the kernel for a ping."""

    def __init__(self, listener: socket.socket | None, how: str) -> None:
        self.listener = listener
        self.how = how
        self.heard = 0
        self._stop = threading.Event()

    @contextlib.contextmanager
    def serving(self) -> Iterator[Server]:
        """Answer datagrams."""
        thread = threading.Thread(target=self._serve)
        if self.listener is not None and self.listener.type == socket.SOCK_DGRAM:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            if thread.ident is not None:
                thread.join()

    def _serve(self) -> None:
        assert self.listener is not None
        while not self._stop.is_set():
            if select.select([self.listener], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    text, client = self.listener.recvfrom(100)
                    self.heard += text == b"question"
                    if self.how != "silent":
                        self.listener.sendto(b"answer", client)


def take_what_waits(server: socket.socket) -> None:
    """Connections of path checks, which have ended, stand before that of the next packet."""
    server.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
