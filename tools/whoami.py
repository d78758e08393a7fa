# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A web server that answers with the client's address.

`python3 - PORT... < whoami.py` returns as soon as it listens, and prints its pid.
"""

from __future__ import annotations

import os
import socket
import socketserver
import sys
import threading


class Answer(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        body = self.client_address[0].replace("::ffff:", "", 1) + "\n"
        self.wfile.write(f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def main() -> None:
    servers = [Server(("::", int(port)), Answer) for port in sys.argv[1:]]
    child = os.fork()
    if child:
        print(child)
        return
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    for server in servers:
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
