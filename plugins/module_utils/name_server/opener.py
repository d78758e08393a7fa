# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the sockets of the DNS server in the network namespaces of endpoints, and lets systemd keep them.

    open_sockets.py VIEWS SERVED UNIT

VIEWS is the file that says which names each endpoint may know. SERVED becomes the list of endpoints with sockets, with
a line for each that has the inode of its namespace.

Only this part runs as root, before the server starts. The kind ``dns`` writes its text on the host.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import functools
import json
import os
import socket
import subprocess
import sys
import typing as t

NETNS_FOLDER = "/run/netns"

_ADDRESS = ("127.0.0.53", 53)
_CLONE_NEWNET = 0x40000000
_IP_FREEBIND = 15
_SO_RCVBUFFORCE = 33
# While the server restarts, a thousand queries can wait in it.
_BUFFER = 1 << 20
_BACKLOG = 128


def endpoints(path: str) -> list[str]:
    """The endpoints that need a server."""
    try:
        with open(path, encoding="utf-8") as file:
            return [endpoint for about in json.load(file)["views"] for endpoint in about["endpoints"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        _say("%s cannot be read: %s" % (path, error))
        return []


def enter(namespace: int) -> None:
    """Enter a network namespace; os.setns exists since Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def opened() -> list[socket.socket]:
    """A socket for UDP and one for TCP in the namespace that we are in."""
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    sockets = [socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC) for kind in kinds]
    for made in sockets:
        # no packet of a bridge is accepted, and it does not matter if the loopback comes up later
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    sockets[0].setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    sockets[1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for made in sockets:
        made.bind(_ADDRESS)
    sockets[1].listen(_BACKLOG)
    return sockets


def is_kept() -> bool:
    """Whether systemd keeps the socket that has our address in this namespace."""
    with open("/proc/thread-self/net/udp", encoding="ascii") as file:
        rows = [line.split() for line in file]
    wanted = "%08X:%04X" % (int.from_bytes(socket.inet_aton(_ADDRESS[0]), sys.byteorder), _ADDRESS[1])
    kept = kept_by_systemd()
    return any(row[1] == wanted and "socket:[%s]" % row[9] in kept for row in rows if len(row) > 9)


@functools.lru_cache(maxsize=1)
def kept_by_systemd() -> set[str]:
    """The sockets of PID 1, as the names of its open files."""
    found = set()
    for fd in os.listdir("/proc/1/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink("/proc/1/fd/" + fd))
    return found


class Systemd:
    """The file descriptor store of our unit; sd_notify(3)."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        path = os.environ["NOTIFY_SOCKET"]
        self._socket.connect("\0" + path[1:] if path.startswith("@") else path)

    def keep(self, inode: int, sockets: t.Sequence[socket.socket]) -> None:
        """Hand over sockets, named by the inode of their namespace. systemd must keep them while nothing listens."""
        self._send("FDSTORE=1\nFDPOLL=0\nFDNAME=%d" % inode, [made.fileno() for made in sockets])

    def wait(self) -> None:
        """Wait until systemd has read everything."""
        mine, theirs = os.pipe()
        self._send("BARRIER=1", [theirs])
        os.close(theirs)
        os.read(mine, 1)

    def _send(self, text: str, fds: t.Sequence[int]) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())
        self._socket.sendmsg([text.encode()], [rights])


def open_in(endpoint: str, systemd: Systemd) -> int:
    """Open the sockets of one endpoint if need be; returns the inode of its namespace."""
    namespace = os.open(os.path.join(NETNS_FOLDER, endpoint), os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(namespace)
        inode = os.fstat(namespace).st_ino
        try:
            systemd.keep(inode, opened())
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not is_kept():
                raise
        return inode
    finally:
        os.close(namespace)


def main() -> None:
    views, path, unit = sys.argv[1:]
    known = read_served(path)
    # All of them still exist, unless the service was stopped or the list was lost.
    if number_kept(unit) != 2 * len(known):
        known = {}
    write_served(path, open_all(endpoints(views), known))


def open_all(names: t.Iterable[str], known: t.Mapping[str, int]) -> dict[str, int]:
    """Open the sockets of endpoints that lack them; returns the endpoints with their inodes."""
    served: dict[str, int] = {}
    systemd: Systemd | None = None
    for endpoint in names:
        try:
            inode = os.stat(os.path.join(NETNS_FOLDER, endpoint)).st_ino
            if known.get(endpoint) != inode:
                systemd = systemd or Systemd()
                inode = open_in(endpoint, systemd)
            served[endpoint] = inode
        except FileNotFoundError:
            continue  # the namespace does not exist yet; the server waits for it
        except OSError as error:
            _say("endpoint %s has no server on %s: %s" % (endpoint, _ADDRESS[0], error))
    if systemd is not None:
        systemd.wait()
    return served


def number_kept(unit: str) -> int:
    """The number of sockets that systemd keeps for us."""
    command = ["systemctl", "show", "--property=NFileDescriptorStore", unit]
    # A separate program without a module that has run_command().
    # pylint: disable-next=ansible-bad-function
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.decode()
    number = shown.strip().partition("=")[2]
    return int(number) if number.isdigit() else -1


def read_served(path: str) -> dict[str, int]:
    """The endpoints with sockets of an earlier start."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        return {endpoint: int(inode) for inode, endpoint in map(str.split, file)}
    return {}


def write_served(path: str, served: t.Mapping[str, int]) -> None:
    """Note the endpoints with sockets, for the server, the next start and the next run."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.writelines("%d %s\n" % (inode, endpoint) for endpoint, inode in served.items())
    os.rename(path + ".tmp", path)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
