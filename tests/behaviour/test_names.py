# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names in endpoints, by the resolvers of programs: glibc's, and musl's."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from engine_world import EngineWorld
from fleet import eventually

# Nothing of this depends on the back-end.
pytestmark = pytest.mark.once

Facts = dict[str, Any]

BLUE: Facts = {
    "name": "blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [
        {
            "name": "web",
            "addresses": ["10.20.0.2", "fd00:20::2"],
            "search": ["lan.example"],
            "extra_hosts": ["api:192.0.2.77", "edge:host-gateway"],
        },
        {"name": "db", "addresses": ["10.20.0.3", "fd00:20::3"], "aliases": ["sql", "store"]},
        {"name": "cache", "addresses": ["10.20.0.4", "fd00:20::4"], "aliases": ["store"]},
    ],
}
# app is in both; hsm in none that leads out
VAULT: Facts = {
    "name": "vault",
    "subnets": ["10.22.0.0/24"],
    "internal": True,
    "endpoints": [{"name": "db", "addresses": ["10.22.0.3"]}, {"name": "hsm", "addresses": ["10.22.0.4"]}],
}
SIX: Facts = {
    "name": "six",
    "subnets": ["fd00:26::/64"],
    "endpoints": [{"name": "six1", "addresses": ["fd00:26::2"]}, {"name": "six2", "addresses": ["fd00:26::3"]}],
}
ALL = [BLUE, VAULT, SIX]
HOST_FILES = {
    "/etc/hosts": "127.0.0.1 localhost\n203.0.113.9 only-on-the-host\n",
    "/etc/resolv.conf": "nameserver 127.0.0.53\noptions edns0 trust-ad timeout:1 attempts:1\nsearch .\n",
    "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.2\nnameserver fe80::1%up0\n",
    "/etc/nsswitch.conf": "passwd: files\nhosts: files resolve [!UNAVAIL=return] dns\n",
}
# What a host outside knows.
OUTSIDE = {b"www.example": "198.51.100.80", b"shop.lan.example": "198.51.100.81"}
ASK_FOR_EVER = """
import socket, sys
for line in sys.stdin:
    try:
        print(sorted({found[4][0] for found in socket.getaddrinfo(line.strip(), None)}), flush=True)
    except OSError as error:
        print([], flush=True)
"""


class Names:
    """The names that can be resolved in each endpoint."""

    def __init__(self, world: EngineWorld) -> None:
        self.world = world
        self.asked: list[bytes] = []
        for path, text in HOST_FILES.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> None:
        self.world.must("sh", "-c", 'mkdir -p "${1%/*}"; cat > "$1.new"; mv "$1.new" "$1"', "-", path, text=text)

    def find(self, endpoint: str, name: str, program: str = "") -> list[str]:
        """The addresses that a program finds, glibc's getent by default."""
        words = [program] if program else ["getent", "ahosts"]
        code, out, unused = self.world.run(["ip", "netns", "exec", endpoint, *words, name])
        return sorted({line.split()[0] for line in out.splitlines()}) if code == 0 else []

    def answer(self, listener: Any) -> None:
        """The answers of a DNS server outside: IPv4 addresses only."""
        while True:
            try:
                question, client = listener.recvfrom(999)
            except OSError:
                return
            labels, place = [], 12
            while question[place]:
                labels.append(question[place + 1 : place + 1 + question[place]])
                place += 1 + question[place]
            name, kind = b".".join(labels), question[place + 1 : place + 3]
            self.asked.append(name)
            known = OUTSIDE.get(name)
            flags = b"\x81\x80" if known else b"\x81\x83"
            has = known is not None and kind == b"\0\1"
            head = question[:2] + flags + b"\0\1" + (b"\0\1" if has else b"\0\0") + b"\0\0\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + bytes(map(int, (known or "0.0.0.0").split(".")))
            listener.sendto(head + question[12 : place + 5] + (record if has else b""), client)


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    world = EngineWorld("nftables")
    made = Names(world)
    with world.server("neighbour", 53, "udp") as listener:
        threading.Thread(target=made.answer, args=(listener,), daemon=True).start()
        yield made
        world.close()


def both(number: int) -> list[str]:
    return ["10.20.0.%d" % number, "fd00:20::%d" % number]


# Who is found by whom: nothing of a network that an endpoint is not in.
FOUND = [
    ("web", "web", both(2)),
    ("web", "db", both(3)),
    ("web", "db.blue", both(3)),
    ("web", "sql", both(3)),
    ("web", "store", [*both(3), *both(4)]),
    ("web", "host", ["10.20.0.1", "fd00:20::1"]),
    ("web", "edge", ["10.20.0.1", "fd00:20::1"]),
    ("web", "api", ["192.0.2.77"]),
    ("web", "www.example", ["198.51.100.80"]),
    ("web", "shop", ["198.51.100.81"]),
    ("web", "hsm", []),
    ("web", "db.vault", []),
    ("web", "six1", []),
    ("web", "only-on-the-host", []),
    ("db", "db", ["10.20.0.3", "10.22.0.3", "fd00:20::3"]),
    ("db", "hsm", ["10.22.0.4"]),
    ("db", "cache.blue", both(4)),
    ("db", "api", []),
    ("db", "shop", []),
    ("hsm", "db", ["10.22.0.3"]),
    ("hsm", "host", ["10.22.0.1"]),
    ("hsm", "web", []),
    ("hsm", "www.example", []),
    ("six1", "six2", ["fd00:26::3"]),
]


def test_every_endpoint_finds_those_of_its_networks_and_the_outside(names: Names, musl: str) -> None:
    names.world.make(*ALL)

    for program in ("", musl):
        wrong = [
            (who, name, got) for who, name, want in FOUND if (got := names.find(who, name, program)) != sorted(want)
        ]
        assert not wrong, program or "glibc"
    # single names of ours go nowhere, and an internal endpoint asks nobody
    assert not {b"db", b"sql", b"store", b"host"} & set(names.asked)
    assert names.world.must("ip", "netns", "exec", "web", "cat", "/etc/nsswitch.conf").count("resolve") == 0


def test_a_name_server_with_a_link_local_address_is_asked_by_the_interface_that_stands_behind_it(
    names: Names, musl: str
) -> None:
    """Negative: without the interface the address is refused, as the resolvers of programs cannot ask it."""
    world = names.world
    world.make(BLUE)
    show = ["ip", "-n", "db", "-o", "-6", "address", "show", "dev", "eth0", "scope", "link"]
    assert eventually(lambda: "tentative" not in world.must(*show))
    server = world.must(*show).split()[3].partition("/")[0]
    network = {**BLUE, "nameservers": [f"{server}%eth0"]}
    world.make(network)

    with world.server("db", 53, "udp", "::") as listener:
        threading.Thread(target=names.answer, args=(listener,), daemon=True).start()
        for program in ("", musl):
            assert names.find("web", "www.example", program) == ["198.51.100.80"], program or "glibc"
        world.must("ip", "netns", "exec", "web", "sed", "-i", "s/%eth0//", "/etc/netns/web/resolv.conf")
        assert [names.find("web", "www.example", program) for program in ("", musl)] == [[], []]
    for check in (True, False):
        refused = world.try_run([{**BLUE, "nameservers": [server]}], check=check)
        assert refused.message.startswith(f"network blue: endpoint web: nameservers: {server} is link-local")
    assert world.try_run([network]).must().changed


def test_a_running_process_sees_a_change_at_once_and_never_an_empty_file(names: Names) -> None:
    """Negative: it would not, if the file were replaced."""
    world = names.world
    world.make(*ALL)
    asks = world.inside("ip", "netns", "exec", "web", "python3", "-c", ASK_FOR_EVER)
    with subprocess.Popen(asks, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def ask(name: str) -> list[str]:
            print(name, file=process.stdin, flush=True)
            return list(eval(process.stdout.readline()))

        assert (ask("db"), ask("new")) == (both(3), [])
        more = {**BLUE, "endpoints": [*BLUE["endpoints"], {"name": "new", "addresses": ["10.20.0.9", "fd00:20::9"]}]}
        missed: list[list[str]] = []
        stop = threading.Event()

        def keep_asking() -> None:
            while not stop.is_set():
                found = ask("db")
                if found != both(3):
                    missed.append(found)

        asking = threading.Thread(target=keep_asking)
        asking.start()
        for wanted in (more, BLUE, more):
            world.make(wanted, VAULT, SIX)
        stop.set()
        asking.join()
        assert not missed
        assert ask("new") == both(9)
        world.must("sh", "-c", "cd /etc/netns/web; cp hosts h; sed -i /new/d h; mv h hosts")
        assert ask("new") == both(9)  # the file that it has open is another one now
        process.stdin.close()
    assert names.find("web", "new") == []
    assert world.make(more, VAULT, SIX).changed
    assert names.find("web", "new") == both(9)


def test_names_hold_when_files_of_the_host_are_replaced_and_the_next_run_follows_its_servers(names: Names) -> None:
    world = names.world
    world.make(*ALL)
    names.write("/etc/hosts", "127.0.0.1 localhost\n")
    names.write("/etc/resolv.conf", "nameserver 192.0.2.3\noptions timeout:1 attempts:1\n")
    assert names.find("web", "db") == both(3)

    outcome = world.make(*ALL)
    assert [line.split()[-1] for line in outcome.after.splitlines() if "nameserver" in line][:1] == ["192.0.2.3"]
    names.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    names.write("/run/systemd/resolve/resolv.conf", "nameserver ::1\n")
    assert "no name server that endpoints can reach" in str(world.make(*ALL).warnings)
    for path, text in HOST_FILES.items():
        names.write(path, text)


def test_one_network_at_a_time_leaves_the_names_of_the_others(names: Names) -> None:
    world = names.world
    world.make(*ALL)
    world.must(
        "sh", "-c", "mkdir -p /etc/netns/mine; echo 10.0.0.1 mine | tee /etc/netns/mine/hosts > /etc/netns/six1/hosts"
    )
    alone = {**VAULT, "endpoints": [{"name": "db", "addresses": ["10.22.0.3"]}]}
    world.make(alone, prune="none")
    assert names.find("db", "hsm") == ["10.22.0.4"]
    assert names.find("db", "web") == both(2)
    world.make(alone, prune="listed")
    assert names.find("db", "hsm") == []
    assert names.find("web", "sql") == both(3)
    world.make(VAULT, state="absent", prune="listed")
    assert names.find("db", "db") == both(3)

    world.clear()
    left = world.must("sh", "-c", "cd /etc/netns; find . -type f").split()
    assert sorted(left) == ["./mine/hosts", "./six1/hosts"]
    world.must("rm", "-r", "/etc/netns")
    world.make(*ALL)
    world.clear()
    assert world.run(["ls", "/etc/netns"])[0] != 0
