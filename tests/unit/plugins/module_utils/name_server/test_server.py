# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.name_server import server

WEB = {
    "endpoints": {"web": "blue", "app": "blue"},
    "forwards": True,
    "domains": ["blue"],
    "subnets": ["10.20.0.0/20", "fd00:20::/64"],
    "names": {
        "db": ["10.20.0.3", "fd00:20::3"],
        "db.blue": ["10.20.0.3", "fd00:20::3"],
        "jobs": ["10.20.0.4", "10.20.0.5"],
        "old": ["10.20.0.6"],
    },
}
HSM = {
    "endpoints": {"hsm": "vault"},
    "forwards": False,
    "domains": ["blue", "vault"],
    "subnets": ["10.22.0.0/24"],
    "names": {"db": ["10.22.0.3"]},
}
VIEWS = {"web": server.View(WEB, [WEB, HSM]), "hsm": server.View(HSM, [WEB, HSM])}


def ask(name: str, kind: str = "A", endpoint: str = "web", **more: Any) -> dns.message.Message | None:
    """The answer for an endpoint; None if another server has to be asked."""
    question = dns.message.make_query(name, kind, **more)
    found = server.own_reply(question.to_wire(), VIEWS[endpoint])
    if not isinstance(found, server.Reply):
        assert found == question
        return None
    answer = dns.message.from_wire(found.wire)
    assert question.is_response(answer)
    return answer


def data(name: str, kind: str = "A", endpoint: str = "web") -> list[str]:
    answer = ask(name, kind, endpoint)
    assert answer is not None and answer.rcode() == dns.rcode.NOERROR and answer.flags & dns.flags.AA
    return sorted(str(item) for rrset in answer.answer for item in rrset)


def is_unknown(name: str, kind: str = "A", endpoint: str = "web") -> bool:
    answer = ask(name, kind, endpoint)
    return answer is not None and answer.rcode() == dns.rcode.NXDOMAIN and not answer.answer


def test_an_endpoint_gets_the_addresses_of_its_view_alone() -> None:
    assert data("db") == data("DB.blue.") == ["10.20.0.3"]
    assert data("db", "AAAA") == ["fd00:20::3"]
    assert data("db", endpoint="hsm") == ["10.22.0.3"]
    assert data("jobs") == ["10.20.0.4", "10.20.0.5"]
    assert data("db", "ANY") == ["10.20.0.3", "fd00:20::3"]
    assert is_unknown("jobs", endpoint="hsm")


def test_a_name_without_what_is_asked_for_is_answered_with_nothing() -> None:
    assert data("old", "AAAA") == data("old", "MX") == data("db", "TXT") == []
    assert data("localhost") == ["127.0.0.1"]


@pytest.mark.parametrize("address", ["10.20.0.3", "fd00:20::3"])
def test_an_address_of_the_view_has_its_names(address: str) -> None:
    name = dns.reversename.from_address(address).to_text()
    assert data(name, "PTR") == ["db.", "db.blue."]
    assert data(name, "A") == []


def test_an_address_leads_to_the_first_of_its_names_first() -> None:
    """A program that lets hosts in by name uses one name only, and must always get the same one."""
    names = ["job", "zeta", "alpha", "beta", "gamma"]
    view = server.View({"names": {name: ["10.20.0.4"] for name in names}})
    question = dns.message.make_query("4.0.20.10.in-addr.arpa", "PTR")
    reply = server.own_reply(question.to_wire(), view)
    assert isinstance(reply, server.Reply)
    (rrset,) = dns.message.from_wire(reply.wire).answer
    assert [str(item) for item in rrset] == [name + "." for name in names]


@pytest.mark.parametrize("name", ["web", "db.vault", "x.y.blue", "com", "localhost.blue", "a.localhost"])
def test_what_can_only_be_ours_goes_nowhere(name: str) -> None:
    assert is_unknown(name)


def test_a_network_is_a_domain_without_addresses() -> None:
    assert [answer and (answer.rcode(), answer.answer) for answer in [ask("blue")]] == [(dns.rcode.NOERROR, [])]


def test_addresses_of_our_subnets_go_nowhere() -> None:
    # a /20 ends within a byte
    for address in ("10.20.0.9", "10.20.15.1", "fd00:20::9"):
        assert is_unknown(dns.reversename.from_address(address).to_text(), "PTR")
    assert is_unknown("b._dns-sd._udp.0.15.20.10.in-addr.arpa", "PTR")
    assert ask("1.16.20.10.in-addr.arpa", "PTR") is None
    assert is_unknown("1.16.20.10.in-addr.arpa", "PTR", endpoint="hsm")
    # nor do those of networks that the endpoint is not in
    assert is_unknown("3.0.22.10.in-addr.arpa", "PTR")


@pytest.mark.parametrize(
    ("subnet", "name"),
    [
        ("10.20.0.64/26", "70.0.20.10.in-addr.arpa"),
        ("10.0.0.0/8", "1.2.3.10.in-addr.arpa"),
        ("10.20.0.1/32", "1.0.20.10.in-addr.arpa"),
        ("fc00::/7", "1.c.f.ip6.arpa"),
        ("fd00:1::/126", dns.reversename.from_address("fd00:1::3").to_text()),
    ],
)
def test_any_prefix_has_its_zones(subnet: str, name: str) -> None:
    view = server.View({"names": {}, "subnets": [subnet]})
    assert view.is_ours(dns.name.from_text(name))


def test_other_names_are_for_other_servers_unless_the_endpoint_is_inside_only() -> None:
    assert ask("www.example.com") is None
    assert ask("www.example.com", "MX") is None
    assert is_unknown("www.example.com", endpoint="hsm")


def test_what_is_no_name_in_dns_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    view = server.View({"names": {"x" * 64: ["10.0.0.1"], "db": ["10.0.0.2"]}})
    assert dns.name.from_text("db") in view.names
    assert "is not served" in capsys.readouterr().err


# ---- messages


def reply(wire: bytes, longest: int = 0) -> dns.message.Message | None:
    found = server.own_reply(wire, VIEWS["web"], longest)
    return dns.message.from_wire(found.wire) if isinstance(found, server.Reply) else None


def test_what_is_no_question_is_refused_by_its_number() -> None:
    question = dns.message.make_query("db", "A")
    for wire in (question.to_wire()[:-3], question.to_wire() + b"x", question.to_wire() + bytes(65000)):
        answer = reply(wire)
        assert answer is not None
        assert (answer.id, answer.rcode()) == (question.id, dns.rcode.FORMERR)
    assert reply(dns.message.make_response(question).to_wire()) is None
    assert reply(b"\0" * 11) is None
    two = dns.message.make_query("db", "A")
    two.question += dns.message.make_query("old", "A").question
    for wrong, rcode in ((two, dns.rcode.FORMERR), (dns.message.make_query("db", "A", "CH"), dns.rcode.REFUSED)):
        answer = reply(wrong.to_wire())
        assert answer is not None and answer.rcode() == rcode
    notify = dns.message.make_query("db", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    answer = reply(notify.to_wire())
    assert answer is not None and answer.rcode() == dns.rcode.NOTIMP


def test_edns_is_answered_and_a_newer_one_is_not_understood() -> None:
    answer = ask("db", use_edns=0)
    assert answer is not None and answer.edns == 0
    newer = dns.message.make_query("db", "A")
    newer.use_edns(1)
    assert [found and found.rcode() for found in [reply(newer.to_wire())]] == [dns.rcode.BADVERS]
    plain = ask("db")
    assert plain is not None and plain.edns == -1


def test_a_long_answer_is_cut_for_udp() -> None:
    many = server.View({"names": {"many": [f"10.0.{n // 250}.{n % 250}" for n in range(100)]}})
    sizes = []
    for question, longest in (
        (dns.message.make_query("many", "A"), 0),
        (dns.message.make_query("many", "A", use_edns=0, payload=4096), 0),
        (dns.message.make_query("many", "A"), 65535),
    ):
        found = server.own_reply(question.to_wire(), many, longest)
        assert isinstance(found, server.Reply)
        answer = dns.message.from_wire(found.wire)
        sizes.append((bool(answer.flags & dns.flags.TC), sum(map(len, answer.answer))))
    assert sizes == [(True, 0), (False, 100), (False, 100)]


@given(st.binary(max_size=600))
def test_nothing_that_is_sent_makes_it_stumble(wire: bytes) -> None:
    server.own_reply(wire, VIEWS["web"])


@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_nor_does_a_question_with_other_bytes_in_it(at: int, other: bytes) -> None:
    wire = bytearray(dns.message.make_query("db.blue", "A", use_edns=0).to_wire())
    wire[at : at + len(other)] = other
    found = server.own_reply(bytes(wire), VIEWS["web"])
    assert found is None or isinstance(found, (server.Reply, dns.message.Message))


# ---- the files that it looks at


def put(path: Path, text: str) -> None:
    """Replace a file, as the collection does."""
    path.with_suffix(".tmp").write_text(text)
    os.rename(path.with_suffix(".tmp"), path)


def test_a_change_of_names_is_seen_by_the_next_question(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    book = server.Book(str(path))
    assert book.view("web") is None
    put(path, json.dumps({"views": [WEB, HSM]}))
    first = book.view("web")
    assert first is book.view("app") is book.view("web") is not None
    assert set(book.endpoints()) == {"web", "app", "hsm"}
    put(path, json.dumps({"views": [dict(WEB, names={"db": ["10.20.0.9"]})]}))
    changed = book.view("web")
    assert changed is not None and [str(a) for a in changed.names[dns.name.from_text("db")]] == ["10.20.0.9"]
    put(path, "{")
    assert book.view("web") is changed
    path.unlink()
    assert book.view("web") is None


def test_the_servers_of_the_host_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    upstream = server.Upstream(str(path))
    assert upstream.servers() == []
    put(path, "# comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver\n")
    assert upstream.servers() == ["192.0.2.1", "192.0.2.2"]
    upstream.tell("192.0.2.1", False)
    assert upstream.servers() == ["192.0.2.2", "192.0.2.1"]
    upstream.tell("192.0.2.1", True)
    assert upstream.servers(("192.0.2.9",)) == ["192.0.2.9"]
    put(path, "".join(f"nameserver 192.0.2.{n}\n" for n in range(3, 9)))
    assert upstream.servers() == ["192.0.2.3", "192.0.2.4", "192.0.2.5"]
    put(path, "search example.com\n")
    assert upstream.servers() == ["127.0.0.1"]


# ---- with sockets

Answers = Callable[[dns.message.Message], "bytes | None"]


def good(question: dns.message.Message) -> bytes:
    return spelled(question, "192.0.2.80")


def spelled(question: dns.message.Message, address: str, rcode: int = 0) -> bytes:
    answer = dns.message.make_response(question)
    answer.set_rcode(rcode)
    if not rcode:
        answer.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", address))
    wire: bytes = answer.to_wire()
    return wire


class Outside:
    """A server on a loopback address, by UDP and TCP, that notes what it is asked."""

    def __init__(self, address: str, port: int, answers: Answers = good) -> None:
        self.address, self.answers = address, answers
        self.asked: list[str] = []
        self.sources: set[Any] = set()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.tcp = socket.create_server((address, port))
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._datagrams, self._streams)]
        for thread in self.threads:
            thread.start()

    def _answer(self, wire: bytes) -> bytes | None:
        question = dns.message.from_wire(wire)
        self.asked.append(question.question[0].name.to_text(omit_final_dot=True))
        return self.answers(question)

    def _datagrams(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, asker = self.udp.recvfrom(65535)
                if asker is None:  # shut down
                    return
                self.sources.add((asker[1], wire[:2]))
                answer = self._answer(wire)
                if answer is not None:
                    self.udp.sendto(answer, asker)

    def _streams(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                with self.tcp.accept()[0] as asker:
                    wire = asker.recv(65535)[2:]
                    answer = self._answer(wire)
                    asker.sendall(len(answer or b"").to_bytes(2, "big") + (answer or b""))

    def close(self) -> None:
        for opened in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Outside]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(server, "_DNS", port)
    made: list[Outside] = []

    def make(address: str, answers: Answers = good) -> Outside:
        made.append(Outside(address, port, answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, servers: list[str]) -> AsyncIterator[Any]:
    """A server for web; gives the address of its sockets."""
    put(tmp_path / "names.json", json.dumps({"views": [WEB, HSM]}))
    put(tmp_path / "resolv.conf", "".join(f"nameserver {address}\n" for address in servers))
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.create_server(("127.0.0.1", 0))]
    opened[0].bind(opened[1].getsockname())
    book, upstream = server.Book(str(tmp_path / "names.json")), server.Upstream(str(tmp_path / "resolv.conf"))
    made = server.Server(book, upstream)
    await made.add("web", opened)
    try:
        yield opened[1].getsockname()
    finally:
        await made.finish()
        opened[0].close()


async def udp(address: Any, question: dns.message.Message, seconds: float = 4) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asker:
        asker.connect(address)
        asker.send(question.to_wire())
        return dns.message.from_wire(await asyncio.wait_for(loop.sock_recv(asker, 65535), seconds))


async def tcp(address: Any, *questions: dns.message.Message) -> list[dns.message.Message]:
    reader, writer = await asyncio.open_connection(*address)
    for question in questions:
        writer.write(len(question.to_wire()).to_bytes(2, "big") + question.to_wire())
    answers = []
    for unused in questions:
        size = int.from_bytes(await reader.readexactly(2), "big")
        answers.append(dns.message.from_wire(await reader.readexactly(size)))
    writer.close()
    return answers


OUTSIDE = dns.message.make_query("www.example.com", "A")


def texts(answer: dns.message.Message) -> list[str]:
    return [str(item) for rrset in answer.answer for item in rrset]


def test_both_ways_answer_and_own_names_are_not_told_to_others(tmp_path: Path, outside: Callable[..., Outside]) -> None:
    async def run() -> None:
        other = outside("127.0.0.1")
        async with serving(tmp_path, ["127.0.0.1"]) as address:
            own = dns.message.make_query("db", "A")
            for unused in range(2):  # the second time it is remembered
                assert texts(await udp(address, own)) == ["10.20.0.3"]
            assert [texts(answer) for answer in await tcp(address, own, OUTSIDE, own)] == [
                ["10.20.0.3"],
                ["192.0.2.80"],
                ["10.20.0.3"],
            ]
            answers = await asyncio.gather(*(udp(address, OUTSIDE) for unused in range(200)))
            assert {answer.id for answer in answers} == {OUTSIDE.id}
            put(tmp_path / "names.json", json.dumps({"views": [dict(WEB, names={"db": ["10.20.0.9"]})]}))
            assert texts(await udp(address, own)) == ["10.20.0.9"]
        assert set(other.asked) == {"www.example.com"}
        assert len({number for unused, number in other.sources}) > 150

    asyncio.run(run())


def test_an_answer_that_is_not_to_the_question_is_none(tmp_path: Path, outside: Callable[..., Outside]) -> None:
    other = outside("127.0.0.1")

    def forged(question: dns.message.Message) -> bytes:
        wrong_number, wrong_name = (dns.message.make_query("www.example.%s" % end, "A") for end in ("com", "org"))
        wrong_number.id, wrong_name.id = question.id ^ 1, question.id
        asker = max(other.sources, key=lambda source: source[1] == question.id.to_bytes(2, "big"))
        for wrong in (wrong_number, wrong_name):
            other.udp.sendto(spelled(wrong, "192.0.2.66"), ("127.0.0.1", asker[0]))
        other.udp.sendto(b"no message", ("127.0.0.1", asker[0]))
        return good(question)

    async def run() -> None:
        other.answers = forged
        async with serving(tmp_path, ["127.0.0.1"]) as address:
            assert texts(await udp(address, OUTSIDE)) == ["192.0.2.80"]

    asyncio.run(run())


def test_the_next_server_is_asked_when_one_is_silent_gone_or_does_not_know(
    tmp_path: Path, outside: Callable[..., Outside]
) -> None:
    async def run() -> None:
        silent = outside("127.0.0.2", lambda question: None)
        outside("127.0.0.3", lambda question: spelled(question, "", dns.rcode.SERVFAIL))
        outside("127.0.0.4")
        async with serving(tmp_path, ["127.0.0.2", "127.0.0.3", "127.0.0.4"]) as address:
            for most in (2.0, 0.5):
                start = time.monotonic()
                assert texts(await udp(address, OUTSIDE)) == ["192.0.2.80"]
                assert time.monotonic() - start < most
            assert len(silent.asked) == 1
        async with serving(tmp_path, ["127.0.0.9", "127.0.0.3"]) as address:
            assert (await udp(address, OUTSIDE)).rcode() == dns.rcode.SERVFAIL
        async with serving(tmp_path, ["127.0.0.9"]) as address:
            assert (await udp(address, OUTSIDE)).rcode() == dns.rcode.SERVFAIL
            assert (await tcp(address, OUTSIDE))[0].rcode() == dns.rcode.SERVFAIL

    asyncio.run(run())


def test_what_others_cut_is_asked_again_by_tcp(tmp_path: Path, outside: Callable[..., Outside]) -> None:
    def long(question: dns.message.Message) -> bytes:
        answer = dns.message.make_response(question)
        answer.answer.append(
            dns.rrset.from_text(
                question.question[0].name, 60, "IN", "TXT", *('"%d%s"' % (number, "x" * 200) for number in range(12))
            )
        )
        wire: bytes = answer.to_wire(max_size=65535)
        return wire

    async def run() -> None:
        outside("127.0.0.1", long)
        async with serving(tmp_path, ["127.0.0.1"]) as address:
            question = dns.message.make_query("www.example.com", "TXT")
            assert (await udp(address, question)).flags & dns.flags.TC
            assert len(texts((await tcp(address, question))[0])) == 12

    asyncio.run(run())


def test_broken_streams_cost_nobody_else_an_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, []) as address:
            for wrong in (b"", b"\0", b"\0\x05ab", b"\xff\xff" + bytes(65535), b"\0\0"):
                reader, writer = await asyncio.open_connection(*address)
                writer.write(wrong)
                writer.close()
                del reader
            idle = [await asyncio.open_connection(*address) for unused in range(server._MOST_CONNECTIONS - 10)]
            assert texts((await tcp(address, dns.message.make_query("db", "A")))[0]) == ["10.20.0.3"]
            for unused, writer in idle:
                writer.close()

    asyncio.run(run())


def test_a_server_with_a_link_local_address_is_asked_by_its_interface() -> None:
    """For TCP, asyncio reads the address in the same way."""
    family, address = server._address_of("fe80::53%lo")
    assert (family, *address) == (socket.AF_INET6, "fe80::53", 53, 0, socket.if_nametoindex("lo"))
