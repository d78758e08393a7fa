# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One request and one reply for each connection: each is a line of JSON, and a reply may come with descriptors."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from lab.errors import LabError


class NotUp(LabError):
    """Nobody listens, so the lab is not up."""


def receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """A message (None if the other side has closed the connection) and the descriptors that came with it."""
    data, fds = b"", []
    while not data.endswith(b"\n"):
        chunk, new = socket.recv_fds(connection, 65536, 4)[:2]
        fds += new
        if not chunk:
            return None, fds
        data += chunk
    message: dict[str, Any] = json.loads(data)
    return message, fds


def send(connection: socket.socket, message: dict[str, Any], fds: list[int]) -> None:
    data = json.dumps(message).encode() + b"\n"
    if fds:
        socket.send_fds(connection, [data], fds)
    else:
        connection.sendall(data)


def request(path: str, message: dict[str, Any], timeout: float = 60) -> tuple[dict[str, Any], list[int]]:
    """Ask the core that listens at `path`. The caller closes the descriptors."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(timeout)
        try:
            s.connect(path)
            send(s, message, [])
            reply, fds = receive(s)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotUp("nobody listens") from None
        except socket.timeout:
            raise LabError(f"the lab's core did not answer within {timeout:g} s: `lab down` ends it") from None
        except ConnectionError:
            reply, fds = None, []
    if reply is None:
        raise LabError("the lab's core died while it worked: `lab down` cleans up")
    if "error" in reply:
        for fd in fds:
            os.close(fd)
        raise LabError(reply["error"])
    return reply, fds
