# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the sockets of the DNS server in the network namespaces of endpoints, and has systemd keep them.

    open_sockets.py VIEWS SERVED UNIT

VIEWS is the file of what is answered whom; SERVED becomes the list of who has sockets, a line with the inode of the
namespace for each endpoint.

Only this part is run by root, before the server starts; the kind ``dns`` writes its text on the host.
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
# A thousand questions wait in it while the server is started again.
_BUFFER = 1 << 20
_BACKLOG = 128


def endpoints(path: str) -> list[str]:
    """The endpoints that are to have a server."""
    try:
        with open(path, encoding="utf-8") as file:
            return [endpoint for about in json.load(file)["views"] for endpoint in about["endpoints"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        _say("%s cannot be read: %s" % (path, error))
        return []


def enter(namespace: int) -> None:
    """Enter a network namespace; os.setns is there from Python 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def opened() -> list[socket.socket]:
    """A socket for UDP and one for TCP in the namespace that we are in."""
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    sockets = [socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC) for kind in kinds]
    for made in sockets:
        # nobody on a bridge is heard, and a loopback that comes up later is enough
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    sockets[0].setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    sockets[1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for made in sockets:
        made.bind(_ADDRESS)
    sockets[1].listen(_BACKLOG)
    return sockets


def is_kept() -> bool:
    """Whether the socket that has our address in this namespace is one that systemd keeps for us."""
    with open("/proc/thread-self/net/udp", encoding="ascii") as file:
        rows = [line.split() for line in file]
    wanted = "%08X:%04X" % (int.from_bytes(socket.inet_aton(_ADDRESS[0]), sys.byteorder), _ADDRESS[1])
    kept = kept_by_systemd()
    return any(row[1] == wanted and "socket:[%s]" % row[9] in kept for row in rows if len(row) > 9)


@functools.lru_cache(maxsize=1)
def kept_by_systemd() -> set[str]:
    """The sockets of PID 1, as its open files are called."""
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
        """Hand over sockets by the inode of their namespace. They are no reason to drop them that nobody listens."""
        self._send("FDSTORE=1\nFDPOLL=0\nFDNAME=%d" % inode, [made.fileno() for made in sockets])

    def wait(self) -> None:
        """Wait until all of it has been read."""
        mine, theirs = os.pipe()
        self._send("BARRIER=1", [theirs])
        os.close(theirs)
        os.read(mine, 1)

    def _send(self, text: str, fds: t.Sequence[int]) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())
        self._socket.sendmsg([text.encode()], [rights])


def open_in(endpoint: str, systemd: Systemd) -> int:
    """See to the sockets of one endpoint; the inode of its namespace."""
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
    # All of them are there still, unless somebody stopped the service, or has lost the list.
    if number_kept(unit) != 2 * len(known):
        known = {}
    write_served(path, open_all(endpoints(views), known))


def open_all(names: t.Iterable[str], known: t.Mapping[str, int]) -> dict[str, int]:
    """See to the sockets of these endpoints but for those that have theirs; the endpoints with their inodes."""
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
            continue  # a namespace that is still to be made; the server watches for it
        except OSError as error:
            _say("endpoint %s has no server on %s: %s" % (endpoint, _ADDRESS[0], error))
    if systemd is not None:
        systemd.wait()
    return served


def number_kept(unit: str) -> int:
    """How many sockets systemd keeps for us."""
    command = ["systemctl", "show", "--property=NFileDescriptorStore", unit]
    # A program of its own, in which there is no module with a run_command().
    # pylint: disable-next=ansible-bad-function
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.decode()
    number = shown.strip().partition("=")[2]
    return int(number) if number.isdigit() else -1


def read_served(path: str) -> dict[str, int]:
    """Whom an earlier start found sockets for."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        return {endpoint: int(inode) for inode, endpoint in map(str.split, file)}
    return {}


def write_served(path: str, served: t.Mapping[str, int]) -> None:
    """Note who has sockets, for the server, the next start and the next run."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.writelines("%d %s\n" % (inode, endpoint) for endpoint, inode in served.items())
    os.rename(path + ".tmp", path)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
