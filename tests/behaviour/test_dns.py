# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DNS servers in endpoints, on a host with systemd: dig and getaddrinfo ask them; a server outside notes the rest."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import HERE, Fleet, Host, Place, eventually

HOST = "h1"
OUTSIDE, LOG = "203.0.113.1", "/tmp/asked"
PROGRAMS = "/usr/local/lib/tests"
UNIT = "dockerless-names.service"
LEFT = (
    "ls -d /etc/dockerless.network /usr/local/lib/dockerless.network /etc/systemd/system/dockerless-names*"
    " /etc/systemd/system/*/dockerless-names* /run/dockerless.network/names 2>/dev/null; ls /etc/netns 2>/dev/null;"
    " systemctl list-units --all --plain --no-legend 'dockerless-names*'; pgrep -f 'name_server[.]py' || true"
)
GETADDRINFO = (
    "/usr/bin/python3 -c 'import socket, sys;"
    ' print(" ".join(sorted({i[4][0] for i in socket.getaddrinfo(sys.argv[1], 80)})))\' '
)
DNSMASQ = "dnsmasq --port=53 --conf-file=/dev/null --no-resolv --no-hosts --pid-file=/run/dnsmasq-test.pid"
# Proxies to an endpoint by the name that it looks up itself, for each request.
NGINX = """
events {}
http {
    access_log off;
    server {
        listen 8080;
        location / { resolver 127.0.0.53 ipv6=off; set $to http://jobs:8081; proxy_pass $to; }
    }
    server { listen 8081; return 200 "$server_addr"; }
}
"""
# A cluster that lets in the endpoint job by its name alone: PostgreSQL looks up who an address is, and that name again.
POSTGRES = """
folder=/usr/lib/postgresql/$(ls /usr/lib/postgresql)/bin
mkdir -p /tmp/pg && chown postgres /tmp/pg && cd /tmp/pg
runuser -u postgres -- $folder/initdb --no-sync -A trust data >/dev/null
echo 'host all all job trust' > data/pg_hba.conf
how="-c listen_addresses='*' -c unix_socket_directories="
runuser -u postgres -- $folder/pg_ctl -s -w -l /tmp/pg/log -D data -o "$how" start
"""
MALFORMED = """
import os, socket
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.connect(("127.0.0.53", 53))
question = bytes.fromhex("123401000001000000000000036a6f6204626c75650000010001")
for size in (0, 1, 11, 12, 40, 600, 60000):
    asker.send(os.urandom(size))
    asker.send(question[:size] + b"\\xc0\\x0c" * 20)
for number in range(1000):
    asker.send(number.to_bytes(2, "big") + question[2:])
for text in (b"\\xff\\xff" + bytes(65535), b"\\0", b"\\0\\5ab"):
    with socket.create_connection(("127.0.0.53", 53)) as stream:
        stream.sendall(text)
"""


def networks(*more: dict[str, Any], job: str = "10.20.0.4") -> list[dict[str, Any]]:
    """Of each sort that could be in the way of a server on the gateway; db is in two of them."""
    blue = [
        {"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"]},
        {"name": "db", "addresses": ["10.20.0.3", "fd00:20::3"]},
        {"name": "job", "addresses": [job, "fd00:20::4"], "aliases": ["jobs"]},
        *more,
    ]
    return [
        {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "dns": True, "endpoints": blue},
        {
            "name": "vault",
            "subnets": ["10.22.0.0/24"],
            "internal": True,
            "dns": True,
            "endpoints": [{"name": "db"}, {"name": "hsm", "addresses": ["10.22.0.3"]}],
        },
        {
            "name": "six",
            "subnets": ["fd00:26::/64"],
            "dns": True,
            "endpoints": [{"name": "six1", "addresses": ["fd00:26::2"]}],
        },
        {
            "name": "red",
            "subnets": ["10.21.0.0/24"],
            "host_access": "deny",
            "dns": True,
            "endpoints": [{"name": "alone"}, {"name": "own", "addresses": ["10.21.0.3"], "resolver": False}],
        },
    ]


class World(Host):
    """A host with systemd, and a server outside that its resolv.conf names."""

    def up(self, *more: dict[str, Any], **how: Any) -> Any:
        return self.do("bridge_network", networks=networks(*more, **how))

    def dig(self, netns: str, *words: str) -> str:
        """The output of dig: the answers, or the reason why there are none."""
        command = f"ip netns exec {netns} dig @127.0.0.53 +tries=1 +timeout=5 {' '.join(words)}"
        output = self.run(command, check=False)
        found = [line.split(None, 4)[4] for line in output.splitlines() if "\tIN\t" in line and line[0] != ";"]
        status = output.partition("status: ")[2].partition(",")[0]
        return " ".join(sorted(found)) or (status if status != "NOERROR" else "nothing") or output

    @staticmethod
    def answers(place: Place, *servers: str) -> dict[str, str]:
        """The answer of each of these servers to a query for db; empty if there is none."""
        ask = "printf '%%s %%s\\n' %s \"$(dig @%s +tries=1 +timeout=1 db | sed -n 's/.*status: \\(.*\\), .*/\\1/p')\" &"
        told = place.run("".join(ask % (server, server) for server in servers) + "wait")
        return {server: words.strip() for server, unused, words in (line.partition(" ") for line in told.splitlines())}

    def find(self, netns: str, name: str, program: str = GETADDRINFO) -> str:
        """The result of getaddrinfo with the resolv.conf of the endpoint alone."""
        return " ".join(sorted(set(self.by_dns(netns, f"{program} {name}", check=False).split())))

    def by_dns(self, netns: str, command: str, check: bool = True) -> str:
        """The output of a program that has the resolv.conf of the endpoint alone."""
        command = shlex.quote(f"mount --bind /dev/null /etc/hosts && {command}")
        return self.run(f"ip netns exec {netns} sh -c {command}", check=check).strip()

    def is_proxied_to(self, address: str) -> bool:
        """Whether nginx in web has found job there. It may know an answer for a moment, and wait for who has gone."""
        return self.run("ip netns exec web curl -m 2 -s 127.0.0.1:8080", check=False) == address

    def asked(self) -> set[str]:
        """The names that the server outside was asked for."""
        log = self.fleet.lab.run("internet", ["cat", LOG], check=False).stdout
        return {line.split()[0] for line in log.splitlines()}

    @contextlib.contextmanager
    def asking(self, netns: str, name: str, rate: int = 100) -> Iterator[dict[str, Any]]:
        """Somebody asks all the time; then has what became of the questions.

        The kernel keeps some 250 of them for a server that is away, which on a busy machine may take seconds.
        """
        command = ["ip", "netns", "exec", netns, "/usr/bin/python3", f"{PROGRAMS}/asker.py", name, str(rate)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        asker = self.fleet.lab.popen(HOST, command, encoding="utf-8", **pipes)
        assert asker.stdout is not None and asker.stdout.readline() == "asking\n"
        told: dict[str, Any] = {}
        yield told
        told.update(json.loads(asker.communicate(timeout=60)[0]))

    def pid(self) -> str:
        return self.run(f"systemctl show -P MainPID {UNIT}").strip()

    def sockets(self) -> int:
        return int(self.run(f"systemctl show -P NFileDescriptorStore {UNIT}"))

    def restarts(self, before: str) -> bool:
        """Whether another process comes to serve."""
        return eventually(lambda: self._serves_anew(before))

    def _serves_anew(self, before: str) -> bool:
        shown = self.run(f"systemctl show -p MainPID -p ActiveState {UNIT}; sleep 0.1")
        return "ActiveState=active" in shown and f"MainPID={before}\n" not in shown


@pytest.fixture(scope="module")
def world(systemd_fleet: Fleet) -> Iterator[World]:
    lab = systemd_fleet.lab
    made = World(systemd_fleet, HOST)
    for node, name in ((HOST, "asker"), ("internet", "upstream")):
        put = f"mkdir -p {PROGRAMS}; cat > {PROGRAMS}/{name}.py"
        lab.run(node, ["/bin/sh", "-c", put], input=(HERE / "nodes" / f"{name}.py").read_text())
    server = lab.popen(
        "internet", ["/usr/bin/python3", f"{PROGRAMS}/upstream.py", OUTSIDE, LOG], stdout=subprocess.PIPE
    )
    assert server.stdout is not None and server.stdout.readline()
    made.run(f"rm -f /etc/resolv.conf; echo nameserver {OUTSIDE} > /etc/resolv.conf")
    yield made


def test_each_endpoint_asks_a_server_of_its_own(world: World) -> None:
    before = world.run(LEFT)
    # somebody has port 53 of every address of the host, and of those to come
    world.run(DNSMASQ)
    foreseen = world.look("bridge_network", networks=networks())
    made = world.up()
    assert made.commands == foreseen.commands
    assert not world.up().changed
    assert world.sockets() == 2 * 6

    # names of its networks, alone and with the network; both families; addresses
    assert world.dig("web", "db") == world.dig("web", "DB.blue") == "10.20.0.3"
    assert world.dig("web", "db", "AAAA") == "fd00:20::3"
    assert world.dig("web", "+tcp", "jobs") == "10.20.0.4"
    assert world.dig("web", "-x", "10.20.0.4") == "job. job.blue. jobs."
    assert world.dig("db", "hsm") == world.dig("hsm", "hsm.vault") == "10.22.0.3"
    assert world.dig("six1", "six1", "AAAA") == "fd00:26::2"
    assert world.dig("alone", "own") == "10.21.0.3"
    assert world.dig("hsm", "db", "AAAA") == world.dig("web", "db", "MX") == "nothing"

    # what can only be ours, and is not there
    for netns, words in {
        "web": [("hsm",), ("db.vault",), ("x.blue",), ("printer",), ("-x", "10.20.0.9"), ("-x", "10.22.0.3")],
        "hsm": [("web",), ("www.outside.example",), ("www.outside.example", "AAAA"), ("-x", "192.0.2.250")],
    }.items():
        assert [world.dig(netns, *word) for word in words] == ["NXDOMAIN"] * len(words)
    assert world.asked() == set()

    # all other names, by UDP and TCP
    for netns in ("web", "db", "six1", "alone"):
        assert world.dig(netns, "www.outside.example") == "203.0.113.80"
    assert world.dig("web", "+tcp", "tcp.outside.example") == "203.0.113.80"
    assert len(world.dig("alone", "long.outside.example", "TXT").split()) == 12
    assert world.asked() == {"www.outside.example.", "tcp.outside.example.", "long.outside.example."}
    assert world.find("web", "job") == "10.20.0.4 fd00:20::4"
    assert world.find("alone", "www.outside.example") == "203.0.113.80"
    assert world.find("hsm", "www.outside.example") == ""

    # one that serves DNS itself
    assert "refused" in world.dig("own", "alone")
    # nobody on a bridge, and nobody on the LAN; who answers at addresses of the host is its own server, to these two
    answered = {"192.0.2.11": "REFUSED", "10.20.0.1": "REFUSED", "10.20.0.2": ""}
    assert world.answers(world.fleet.place(HOST, "job"), *answered) == answered
    neighbour = world.fleet.place("neighbour")
    neighbour.run("ip route replace 10.20.0.0/24 via 192.0.2.11")
    assert world.answers(neighbour, *answered) == {**answered, "10.20.0.1": ""}
    # names, and nothing else, for who is kept from the host or from what is outside
    assert world.answers(world.fleet.place(HOST, "alone"), "10.21.0.1", "192.0.2.11", OUTSIDE) == {
        "10.21.0.1": "",
        "192.0.2.11": "",
        OUTSIDE: "NOERROR",
    }
    assert world.answers(world.fleet.place(HOST, "hsm"), "10.22.0.1", OUTSIDE) == {"10.22.0.1": "REFUSED", OUTSIDE: ""}

    # who asks why nobody answers is told which unit does
    question = {"from": "web", "to": "127.0.0.53:53/udp"}
    world.run(f"systemctl stop {UNIT}")
    for active in (True, False):
        found = world.do("path_check", **question, active=active).data
        told = found["verdict"], found["layer"], found["owner"]
        assert told == ("refused", "service", "this collection"), found
        assert f"{UNIT} has to answer" in found["reason"], found
    world.run(found["advice"].rpartition(": ")[2])
    assert world.dig("web", "db") == "10.20.0.3"

    # servers of the host are read again, and the next one is asked when one is gone
    world.run(f"printf 'nameserver 192.0.2.99\\nnameserver {OUTSIDE}\\n' > /tmp/r; mv /tmp/r /etc/resolv.conf")
    assert world.dig("web", "later.outside.example") == "203.0.113.80"
    world.do("bridge_network", networks=networks(), state="absent")
    assert world.run(LEFT) == before


@pytest.mark.once
def test_programs_that_have_a_resolver_of_their_own(world: World, musl: str) -> None:
    """musl's; nginx's, in a process that has no file of ours; and PostgreSQL's, which lets in a host by its name."""
    world.up()
    put = ["/bin/sh", "-c", "base64 -d > /tmp/look_up && chmod +x /tmp/look_up"]
    world.fleet.lab.run(HOST, put, input=base64.b64encode(Path(musl).read_bytes()).decode())
    found = [world.find("db", name, "/tmp/look_up") for name in ("jobs", "job.blue", "hsm", "www.outside.example", "x")]
    assert found == ["10.20.0.4 fd00:20::4", "10.20.0.4 fd00:20::4", "10.22.0.3", "203.0.113.80", ""]
    assert world.find("hsm", "www.outside.example", "/tmp/look_up") == ""

    world.fleet.lab.run(HOST, ["/bin/sh", "-c", "cat > /tmp/nginx.conf"], input=NGINX)
    for netns in ("web", "job"):
        nginx = f"nginx -c /tmp/nginx.conf -g 'pid /run/nginx-{netns}.pid;'"
        world.run(f"nsenter --net=/run/netns/{netns} {nginx} 2>/tmp/nginx.log")
    for address in ("10.20.0.4", "10.20.0.44"):
        world.up(job=address)
        assert eventually(functools.partial(world.is_proxied_to, address))

    world.by_dns("db", POSTGRES)
    asks = "psql -h db -U postgres -Atc 'select inet_client_addr()'"
    for unused in range(3):
        assert world.by_dns("job", asks) in ("10.20.0.44", "fd00:20::4")
    assert world.by_dns("web", asks, check=False) == ""
    assert "no pg_hba.conf entry" in world.run("cat /tmp/pg/log")
    world.run("kill $(cat /run/nginx-web.pid /run/nginx-job.pid) $(head -n 1 /tmp/pg/data/postmaster.pid)")
    world.do("bridge_network", networks=networks(), state="absent")


@pytest.mark.once
def test_no_question_is_lost(world: World) -> None:
    before = world.run(LEFT)
    world.up()

    # killed ten times, and started anew ten times
    with world.asking("web", "job") as told:
        for unused in range(10):
            pid = world.pid()
            world.run(f"kill -9 {pid}")
            assert world.restarts(pid), world.run(f"journalctl -n 30 -u {UNIT}")
        world.run(f"kill -9 {world.pid()}")
        assert not world.up().changed  # a run does not meddle with a server that starts by itself
        for unused in range(10):
            world.run(f"systemctl restart {UNIT}")
    assert told["lost"] == 0 and set(told["answers"]) == {"10.20.0.4"}, told
    assert world.sockets() == 2 * 6

    # names change and endpoints come and go, without a word of the old once a run has ended
    pid = world.pid()
    with world.asking("web", "job") as told:
        for address in ("10.20.0.44", "10.20.0.4", "10.20.0.44"):
            world.up(job=address)
            assert world.dig("web", "job") == world.dig("db", "job") == address
        assert world.pid() == pid
        world.up({"name": "new"}, job="10.20.0.44")
        assert world.dig("new", "web") == "10.20.0.2"
        world.up(job="10.20.0.44")
        assert world.dig("web", "new") == "NXDOMAIN"
    assert told["lost"] == 0 and set(told["answers"]) == {"10.20.0.4", "10.20.0.44"}, told

    # what is no question
    world.run(f"ip netns exec web /usr/bin/python3 -c {shlex.quote(MALFORMED)}")
    assert world.dig("web", "db") == "10.20.0.3"

    # a namespace made anew, and one that somebody deleted, which nothing keeps alive
    inode = world.run("stat -Lc %i /run/netns/web")
    world.run("ip netns delete web")
    assert eventually(lambda: world.sockets() == 2 * 5)
    assert inode.strip() not in world.run("cut -d' ' -f1 /run/dockerless.network/names")
    world.up()
    assert world.dig("web", "db") == "10.20.0.3"

    # somebody else listens there
    world.run(f"kill $(cat /run/dnsmasq-test.pid); ip netns exec own {DNSMASQ}", check=False)
    wanted = networks()
    wanted[3]["endpoints"][1]["resolver"] = True
    refused = world.do("bridge_network", networks=wanted)
    assert "Endpoint own has no DNS server, because process" in refused.warnings, refused.warnings
    assert "(dnsmasq) listens on port 53" in refused.warnings
    assert not world.do("bridge_network", networks=wanted).changed
    world.run("kill $(cat /run/dnsmasq-test.pid)")

    # after a boot all of it is there by itself
    world.up()
    world.fleet.lab.reboot(HOST)
    assert eventually(lambda: world.dig("web", "db") == "10.20.0.3")
    assert world.dig("hsm", "db.vault") != "NXDOMAIN"
    assert not world.up().changed
    assert [e["dns"] for n in world.do("network_info").data["networks"] for e in n["endpoints"] if e["troubles"]] == []
    world.do("bridge_network", networks=networks(), state="absent")
    assert world.run(LEFT) == before
