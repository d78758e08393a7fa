# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel import diag, listed, netlink, processes
from ansible_collections.dockerless.network.plugins.module_utils.model import Listener, PortRange, PublishedPort

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
ROW = "   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %d 1 0"
FILES = {
    "tcp": [ROW % ("0100007F:1F90", "0A", 7), ROW % ("00000000:0016", "0A", 8), ROW % ("0100007F:C001", "01", 9)],
    "tcp6": [ROW % ("00000000000000000000000000000000:01BB", "0A", 10)],
    "udp": [ROW % ("0100007F:C001", "01", 11), ROW % ("00000000:0035", "07", 12)],
}
# As net/sctp/proc.c writes it: a server on two addresses, one on all of them, and a client.
EPS = """\
 ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
       0        0 2   10  9    36412     0 465001933 192.0.2.10 198.51.100.10\x20
       0        0 1   10  25   2905      0 200 0000:0000:0000:0000:0000:0000:0000:0000\x20
       0        0 1   7   3    40001     0 201 192.0.2.10\x20
"""
WEB = PublishedPort("tcp", PortRange(8080, 8080), ip_address("10.20.0.2"), 80)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The number of lines that were read of each file."""
    read: dict[str, int] = {}

    class File:
        def __init__(self, path: str, **unused: Any) -> None:
            self.name = path[len("/proc/thread-self/net/") :]
            if self.name not in (*FILES, "sctp/eps"):
                raise FileNotFoundError(path)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *unused: object) -> None:
            pass

        def __iter__(self) -> Any:
            if self.name == "sctp/eps":
                yield from EPS.splitlines(keepends=True)
                return
            for line in [HEAD, *FILES[self.name], *([ROW % ("0100007F:C002", "01", 13)] * 100)]:
                read[self.name] = read.get(self.name, 0) + 1
                yield line

    monkeypatch.setattr(listed, "open", File, raising=False)
    return read


@pytest.fixture
def undiagnosed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without the modules for sock_diag(7)."""

    class Refused:
        def __init__(self, protocol: int) -> None:
            raise OSError("Protocol not supported")

    monkeypatch.setattr(netlink, "NetlinkSocket", Refused)


@pytest.mark.usefixtures("undiagnosed")
def test_those_that_listen_and_no_more_of_the_connections_than_need_be(files: dict[str, int]) -> None:
    found = processes.Listeners()

    assert list(found.on("tcp", 1, 65535)) == [
        Listener("tcp", 22, ip_address("0.0.0.0"), (4,)),
        Listener("tcp", 443, ip_address("::"), (4, 6)),
        Listener("tcp", 8080, ip_address("127.0.0.1"), (4,)),
    ]
    assert list(found.on("udp", 1, 65535)) == [Listener("udp", 53, ip_address("0.0.0.0"), (4,))]
    assert list(found.on("tcp", 443, 443)) == [Listener("tcp", 443, ip_address("::"), (4, 6))]
    assert list(found.on("tcp", 444, 444)) == []
    assert files == {"tcp": 4, "tcp6": 3, "udp": 103}


@pytest.mark.usefixtures("files")
def test_the_listeners_of_sctp_by_every_address_that_they_have() -> None:
    found = diag.listeners(["sctp"])["sctp"]

    assert found == [
        Listener("sctp", 36412, ip_address("192.0.2.10"), (4,)),
        Listener("sctp", 36412, ip_address("198.51.100.10"), (4,)),
        Listener("sctp", 2905, ip_address("::"), (4, 6)),
    ]
    assert [item.inode for item in found] == [465001933, 465001933, 200]


def test_a_published_port_of_sctp_is_held_by_who_listens_there(
    files: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_holders", lambda inode: [str(inode)])
    monkeypatch.setattr(processes, "_spell_process", lambda holders: "process of socket %s" % holders[0])
    port = replace(WEB, protocol="sctp", host_ports=PortRange(36412, 36412))

    holder = processes.Listeners().holder(port)
    assert holder == "process of socket 465001933 listens on port 36412 of 192.0.2.10"
    assert processes.Listeners().holder(replace(port, host_ip=ip_address("192.0.2.11"))) == ""
    assert processes.Listeners().holder(replace(port, host_ports=PortRange(40001, 40001))) == ""


@pytest.mark.usefixtures("undiagnosed")
def test_one_unconnected_socket_of_udp_holds_a_whole_range(
    files: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As documented: whoever binds one may be a client or a server, and what comes to it would go elsewhere."""
    monkeypatch.setattr(processes, "_holders", lambda inode: [str(inode)])
    monkeypatch.setattr(processes, "_spell_process", lambda holders: "process of socket %s" % holders[0])
    ports = replace(WEB, protocol="udp", host_ports=PortRange(50, 60))

    assert processes.Listeners().holder(ports) == "process of socket 12 listens on port 53 of every address"
    connected = PortRange(49152, 49153)  # 49153 has a peer, so it gets nobody else's datagrams
    assert processes.Listeners().holder(replace(ports, host_ports=connected)) == ""


def message(family: int, address: str, port: int, waiting: int = 0, inode: int = 0, only6: bool | None = None) -> bytes:
    """A struct inet_diag_msg, with the attribute INET_DIAG_SKV6ONLY."""
    packed = ip_address(address).packed.ljust(16, b"\0")
    body = struct.pack("=BBxx", family, 10) + struct.pack("!HH", port, 0) + packed + bytes(28)
    body += struct.pack("=IIIII", 0, waiting, 128, 0, inode)
    return body + (b"" if only6 is None else struct.pack("=HHBxxx", 5, 11, only6))


@pytest.fixture
def diagnosed(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[bytes]]:
    """The kernel's answer for each family."""
    answers: dict[int, list[bytes]] = {}

    class Opened:
        def __init__(self, protocol: int) -> None:
            assert protocol == 4

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *unused: object) -> None:
            pass

        def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
            return iter(answers.get(body[0], []))

    monkeypatch.setattr(netlink, "NetlinkSocket", Opened)
    return answers


@pytest.mark.parametrize(
    ("address", "only6", "expected", "versions"),
    [
        ("::", False, "::", (4, 6)),
        ("::", True, "::", (6,)),
        ("fd00::1", False, "fd00::1", (6,)),
        ("::ffff:192.0.2.1", False, "192.0.2.1", (4,)),
        ("::ffff:0.0.0.0", False, "0.0.0.0", (4,)),
    ],
)
def test_what_a_socket_of_ipv6_takes(
    diagnosed: dict[int, list[bytes]], address: str, only6: bool, expected: str, versions: tuple[int, ...]
) -> None:
    diagnosed[socket.AF_INET6] = [message(socket.AF_INET6, address, 443, only6=only6)]

    assert diag.listeners(["tcp"]) == {"tcp": [Listener("tcp", 443, ip_address(expected), versions)]}


def test_a_queue_that_is_full_and_the_socket_by_its_inode(diagnosed: dict[int, list[bytes]]) -> None:
    diagnosed[socket.AF_INET] = [message(socket.AF_INET, "127.0.0.1", 80, waiting, 77) for waiting in (0, 128, 129)]

    found = diag.listeners(["tcp", "udp"])
    assert [(item.full, item.inode) for item in found["tcp"]] == [(False, 77), (False, 77), (True, 77)]
    assert not any(item.full for item in found["udp"])
