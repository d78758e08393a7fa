# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS server of endpoints: a separate program, whose text the kind ``dns`` writes on the host.

    name_server.py VIEWS SERVED

VIEWS is the file that says which names each endpoint may know, and SERVED the list of endpoints with sockets.

The server has no privileges. systemd keeps its sockets, one for UDP and one for TCP in the network namespace of each
endpoint. The socket of a query shows who asks, and so which names are known. Answers of other servers are not cached.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import random
import signal
import socket
import sys
import time
import typing as t

# The run checks for it before it installs this program.
with contextlib.suppress(ImportError):
    import dns.edns
    import dns.entropy
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.opcode
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype
    import dns.reversename
    import dns.rrset

RESOLV_CONF = "/etc/resolv.conf"
NETNS_FOLDER = "/run/netns"

# Clients must not cache our names, which may change at any moment.
TTL = 0
_DNS = 53
_LONGEST_QUESTION = 4096
_LONGEST_MESSAGE = 65535
_PAYLOAD = 1232
# The number of our own answers that are kept in the form in which they are sent.
_SPELLED = 8192
_LONGEST_SPELLED = 512
# The number of answers before another endpoint has its turn.
_TURN = 64
# The number of queries to other servers, and of open connections, that one endpoint may have at once.
_MOST_QUESTIONS = 1024
_MOST_CONNECTIONS = 128
_IDLE_SECONDS = 10.0
# If a server has not answered for this many seconds, the next one is asked as well.
_PATIENCE = 1.0
_UPSTREAM_SECONDS = 5.0
_MOST_SERVERS = 3
# For this many seconds, a server that did not answer is asked last.
_DISTRUST_SECONDS = 30.0
# The time for queries that are under way when the server ends.
_LAST_SECONDS = 0.5
_LOOK_SECONDS = 1.0

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


# ---- views


class View:
    """The names that an endpoint may ask for. Domains and subnets of other endpoints are not looked up outside."""

    def __init__(self, about: t.Mapping[str, t.Any], others: t.Sequence[t.Mapping[str, t.Any]] = ()) -> None:
        self.forwards = bool(about.get("forwards"))
        self.servers = tuple(about.get("nameservers", ()))
        self.names = dict(_readable(about["names"]))
        self.pointers: dict[dns.name.Name, list[dns.name.Name]] = {}
        for name, addresses in self.names.items():
            for address in addresses:
                self.pointers.setdefault(dns.reversename.from_address(str(address)), []).append(name)
        self.names.setdefault(_name("localhost"), [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")])
        self.zones = {_name(domain) for domain in (*_all("domains", about, *others), "localhost")}
        for subnet in _all("subnets", about, *others):
            self.zones.update(_reverse_zones(ipaddress.ip_network(subnet)))
        self.number = next(_numbers)

    def is_ours(self, name: dns.name.Name) -> bool:
        """Whether no other server may be asked for a name, because it lies in a network of ours or is a bare word."""
        if len(name) == 2:
            return True
        while len(name) > 1:
            if name in self.zones:
                return True
            name = name.parent()
        return False


def _all(key: str, *views: t.Mapping[str, t.Any]) -> set[str]:
    return {text for about in views for text in about.get(key, ())}


def _count() -> t.Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


_numbers = _count()


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def _readable(names: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[tuple[dns.name.Name, list[Address]]]:
    """Names with their addresses, without names that are not valid in DNS."""
    for text, addresses in names.items():
        try:
            yield _name(text), [ipaddress.ip_address(address) for address in addresses]
        except (dns.exception.DNSException, ValueError) as error:
            _say("%s is not served: %s" % (text, error))


def _reverse_zones(subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> list[dns.name.Name]:
    """The zones with the names of a subnet's addresses: they end at each byte, for IPv6 at each half of a byte."""
    bits = 8 if subnet.version == 4 else 4
    end = min(max(bits, -(-subnet.prefixlen // bits) * bits), subnet.max_prefixlen)
    if subnet.prefixlen > end:
        return []
    labels = (subnet.max_prefixlen - end) // bits
    found = []
    for part in subnet.subnets(new_prefix=end):
        whole = dns.reversename.from_address(str(part.network_address))
        found.append(dns.name.Name(whole.labels[labels:]))
    return found


class Book:
    """The views of all endpoints, as the file has them at present."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._all: list[t.Any] = []
        self._about: dict[str, t.Any] = {}
        self._views: dict[str, View] = {}

    def endpoints(self) -> t.Iterable[str]:
        """All endpoints with a view."""
        self._look()
        return self._about.keys()

    def view(self, endpoint: str) -> View | None:
        """The present view of an endpoint: each query checks the file, so that no answer is outdated."""
        self._look()
        found = self._views.get(endpoint)
        if found is None and endpoint in self._about:
            found = self._views[endpoint] = self._made(endpoint)
        return found

    def _made(self, endpoint: str) -> View:
        """Endpoints that share a view in the file share it here."""
        about = self._about[endpoint]
        same = (self._views.get(other) for other in about["endpoints"])
        return next((view for view in same if view is not None), None) or View(about, self._all)

    def _look(self) -> None:
        seen = _version(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            with open(self._path, encoding="utf-8") as file:
                self._all = json.load(file)["views"]
            self._about = {endpoint: about for about in self._all for endpoint in about["endpoints"]}
        except FileNotFoundError:
            self._all, self._about = [], {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            _say("%s cannot be read, so names stay as they are: %s" % (self._path, error))
            return
        self._views = {}


def _version(path: str) -> tuple[int, int, int] | None:
    """The identity of a file's present text, as each text comes in a new file."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


class Upstream:
    """The servers that the host itself asks. A stub on a loopback works as well, since we ask from the host."""

    def __init__(self, path: str = RESOLV_CONF) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._servers: tuple[str, ...] = ()
        self._silent: dict[str, float] = {}

    def servers(self, given: tuple[str, ...] = ()) -> list[str]:
        """The servers to ask, with those first that have answered lately."""
        chosen = given[:_MOST_SERVERS] or self._of_the_host()
        now = time.monotonic()
        return sorted(chosen, key=lambda server: self._silent.get(server, -_DISTRUST_SECONDS) + _DISTRUST_SECONDS > now)

    def tell(self, server: str, answered: bool) -> None:
        """Note whether a server answered."""
        if answered:
            self._silent.pop(server, None)
        else:
            self._silent[server] = time.monotonic()

    def _of_the_host(self) -> tuple[str, ...]:
        seen = _version(self._path)
        if seen != self._seen:
            self._seen, self._silent = seen, {}
            self._servers = _servers_in(self._path)
        return self._servers


def _servers_in(path: str) -> tuple[str, ...]:
    """resolv.conf(5)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return ()
    found = [row[1] for row in words if row[:1] == ["nameserver"] and len(row) > 1]
    # without one, the name server is on the host itself
    return tuple(found[:_MOST_SERVERS]) or ("127.0.0.1",)


# ---- what is answered


class Reply(t.NamedTuple):
    """An answer of our own, and whether it is always the same."""

    wire: bytes
    steady: bool = True


def own_reply(wire: bytes, view: View, longest: int = 0) -> Reply | dns.message.Message | None:
    """Our answer to a query; the query itself if another server has to be asked; None for no answer."""
    if (
        len(wire) < 12 or wire[2] & 0x80
    ):  # an incomplete header, or an answer: two servers could answer each other forever
        return None
    try:
        question = dns.message.from_wire(wire) if len(wire) <= _LONGEST_QUESTION else None
    except Exception:  # any error of the library for data that is not a message
        question = None
    if question is None:
        return Reply(_refusal(wire, dns.rcode.FORMERR))
    if question.opcode() != dns.opcode.QUERY:
        return Reply(_refusal(wire, dns.rcode.NOTIMP))
    if len(question.question) != 1:
        return Reply(_refusal(wire, dns.rcode.FORMERR))
    answer = dns.message.make_response(question, recursion_available=True, our_payload=_PAYLOAD)
    if question.edns > 0:
        answer.set_rcode(dns.rcode.BADVERS)
        return Reply(spell(answer, question, longest))
    steady = fill(answer, view)
    return question if steady is None else Reply(spell(answer, question, longest), steady)


def _refusal(wire: bytes, rcode: int) -> bytes:
    """The answer to a message that cannot be read."""
    answer = dns.message.Message(id=int.from_bytes(wire[:2], "big"))
    answer.flags = dns.flags.QR
    answer.set_opcode((wire[2] >> 3) & 15)
    answer.set_rcode(rcode)
    spelled: bytes = answer.to_wire()
    return spelled


def fill(answer: dns.message.Message, view: View) -> bool | None:
    """Answer by a view; returns whether the answer is always the same, None if another server has to be asked."""
    asked = answer.question[0]
    if asked.rdclass != dns.rdataclass.IN:
        answer.set_rcode(dns.rcode.REFUSED)
        return True
    steady = _fill_own(answer, asked, view)
    if steady is not None:
        answer.flags |= dns.flags.AA
        return steady
    if asked.name in view.zones:
        return True  # the name has no addresses, but there are names below it
    if not view.is_ours(asked.name) and view.forwards:
        return None
    answer.set_rcode(dns.rcode.NXDOMAIN)
    return True


def _fill_own(answer: dns.message.Message, asked: dns.rrset.RRset, view: View) -> bool | None:
    """Answer for a name of the view, perhaps without records; None if the view does not have the name."""
    pointers = view.pointers.get(asked.name)
    if pointers is not None:
        if asked.rdtype in (dns.rdatatype.PTR, dns.rdatatype.ANY):
            texts = [str(name) for name in pointers]
            answer.answer.append(dns.rrset.from_text_list(asked.name, TTL, "IN", "PTR", texts))
        return True
    addresses = view.names.get(asked.name)
    if addresses is None:
        return None
    steady = True
    for kind, version in (("A", 4), ("AAAA", 6)):
        texts = [str(address) for address in addresses if address.version == version]
        if texts and asked.rdtype in (dns.rdatatype.from_text(kind), dns.rdatatype.ANY):
            # endpoints that share a name also share its clients
            steady = steady and len(texts) == 1
            answer.answer.append(
                dns.rrset.from_text_list(asked.name, TTL, "IN", kind, random.sample(texts, len(texts)))
            )
    return steady


def spell(answer: dns.message.Message, question: dns.message.Message, longest: int) -> bytes:
    """A message as it is sent, or an empty one if it is too long for the client, which then asks again by TCP."""
    try:
        # in our order: programs use the first name of an address
        wire: bytes = answer.to_wire(max_size=longest or room(question), want_shuffle=False)
    except dns.exception.TooBig:
        wire = _cut(question)
    return wire


def room(question: dns.message.Message) -> int:
    """The longest answer that a client can receive by UDP."""
    return max(512, question.payload) if question.edns >= 0 else 512


def _cut(question: dns.message.Message) -> bytes:
    empty = dns.message.make_response(question, recursion_available=True, our_payload=_PAYLOAD)
    empty.flags |= dns.flags.TC
    wire: bytes = empty.to_wire()
    return wire


# ---- other servers


class Silence(Exception):
    """A server cannot be asked, or sends no answer."""


async def forwarded(question: dns.message.Message, servers: t.Sequence[str], stream: bool, upstream: Upstream) -> bytes:
    """The first good answer of these servers, unchanged. Each has a moment before the next one is asked as well."""
    waiting: dict[asyncio.Task[bytes], tuple[str, float]] = {}
    left, last = list(servers), b""
    deadline = time.monotonic() + _UPSTREAM_SECONDS
    try:
        while (left or waiting) and time.monotonic() < deadline:
            if left:
                server = left.pop(0)
                waiting[asyncio.ensure_future(_asked(question, server, stream))] = server, time.monotonic()
            patience = _PATIENCE if left else deadline - time.monotonic()
            done, unused = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                (server, unused_time), answer = waiting.pop(task), _answer_of(task)
                upstream.tell(server, bool(answer))
                if answer and not _is_refusal(answer):
                    return answer
                last = answer or last
        return last
    finally:
        for task, (server, since) in waiting.items():
            task.cancel()
            if time.monotonic() - since >= _PATIENCE:
                upstream.tell(server, False)


def _answer_of(task: asyncio.Task[bytes]) -> bytes:
    return b"" if task.cancelled() or task.exception() is not None else task.result()


def _is_refusal(answer: bytes) -> bool:
    """Whether an answer is a failure, so that another server may know better."""
    return answer[3] & 15 in (dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP)


async def _asked(question: dns.message.Message, server: str, stream: bool) -> bytes:
    """The answer of a server to a query, which has a number and a port that cannot be guessed."""
    own: bytes = question.to_wire()
    number: int = dns.entropy.random_16()
    sent = number.to_bytes(2, "big") + own[2:]
    asking = _by_stream(sent, server, question) if stream else _by_datagram(sent, server, question)
    answer = await asyncio.wait_for(asking, _UPSTREAM_SECONDS)
    return own[:2] + answer[2:]


def _is_answer(wire: bytes, sent: bytes, question: dns.message.Message) -> bool:
    """Whether a message answers this query, with this number."""
    if wire[:2] != sent[:2]:
        return False
    try:
        return bool(question.is_response(_begun(question.to_wire()[:2] + wire[2:])))
    except Exception:  # any error of the library for data that is not a message
        return False


def _begun(wire: bytes) -> dns.message.Message:
    """A message up to its question: the rest of an answer is passed on unread."""
    try:
        return dns.message.from_wire(wire, question_only=True, ignore_trailing=True)
    except AttributeError:  # dnspython 2.0.0 stumbles over its own option
        return dns.message.from_wire(wire, ignore_trailing=True)


async def _by_datagram(sent: bytes, server: str, question: dns.message.Message) -> bytes:
    family, address = _address_of(server)
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as asker:
        asker.connect(address)
        asker.send(sent)
        while True:
            wire = await loop.sock_recv(asker, _LONGEST_MESSAGE)
            if _is_answer(wire, sent, question):
                return wire


async def _by_stream(sent: bytes, server: str, question: dns.message.Message) -> bytes:
    reader, writer = await asyncio.open_connection(server, _DNS)
    try:
        writer.write(_framed(sent))
        wire = await _read_framed(reader)
    finally:
        writer.close()
    if not _is_answer(wire, sent, question):
        raise Silence(server)
    return wire


def _address_of(server: str) -> tuple[int, t.Any]:
    found = socket.getaddrinfo(server, _DNS, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
    return found[0], found[4]


def _framed(wire: bytes) -> bytes:
    return len(wire).to_bytes(2, "big") + wire


async def _read_framed(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


# ---- endpoints


class Endpoint:
    """The sockets in one namespace, and the queries that are under way for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.questions = 0
        self.connections = 0


class Server:
    """Answers on all sockets."""

    def __init__(self, book: Book, upstream: Upstream) -> None:
        self._book = book
        self._upstream = upstream
        self._spelled: dict[tuple[int, bytes], bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closers: list[t.Callable[[], None]] = []

    async def add(self, name: str, sockets: t.Iterable[socket.socket]) -> None:
        """Serve an endpoint by its sockets."""
        endpoint, loop = Endpoint(name), asyncio.get_running_loop()
        for opened in sockets:
            opened.setblocking(False)
            if opened.type == socket.SOCK_DGRAM:
                loop.add_reader(opened.fileno(), self._hear, opened, endpoint)
                self._closers.append(_remover(loop, opened))
            else:
                listener = await asyncio.start_server(self._talker(endpoint), sock=opened)
                self._closers.append(listener.close)

    async def finish(self) -> None:
        """Accept no more queries, and finish those that are under way."""
        for close in self._closers:
            close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)

    # -- UDP

    def _hear(self, opened: socket.socket, endpoint: Endpoint) -> None:
        """Read queries. Each stays in the socket until it is answered, so if we are killed, our successor answers."""
        with contextlib.suppress(BlockingIOError):
            for unused in range(_TURN):
                wire, asker = opened.recvfrom(_LONGEST_MESSAGE, socket.MSG_PEEK)
                answer = self._own_answer(wire, endpoint)
                if isinstance(answer, bytes):
                    _send(opened, answer, asker)
                opened.recv(1)
                if answer is not None and not isinstance(answer, bytes):
                    self._pass_on(answer, endpoint, opened, asker)

    def _own_answer(self, wire: bytes, endpoint: Endpoint) -> bytes | dns.message.Message | None:
        view = self._book.view(endpoint.name)
        if view is None:
            return _refusal(wire, dns.rcode.SERVFAIL) if len(wire) >= 12 and not wire[2] & 0x80 else None
        key = view.number, wire[2:]
        known = self._spelled.get(key)
        if known is not None:
            return wire[:2] + known
        reply = own_reply(wire, view)
        if not isinstance(reply, Reply):
            return reply
        if reply.steady and len(wire) <= _LONGEST_SPELLED:
            if len(self._spelled) >= _SPELLED:
                self._spelled.clear()
            self._spelled[key] = reply.wire[2:]
        return reply.wire

    def _pass_on(self, question: dns.message.Message, endpoint: Endpoint, opened: socket.socket, asker: t.Any) -> None:
        """Ask other servers. Too many queries at once are dropped, and clients ask again."""
        if endpoint.questions < _MOST_QUESTIONS:
            self._start(self._answer_later(question, endpoint, opened, asker))

    async def _answer_later(
        self, question: dns.message.Message, endpoint: Endpoint, opened: socket.socket, asker: t.Any
    ) -> None:
        answer = await self._others_answer(question, endpoint, False)
        _send(opened, answer if len(answer) <= room(question) else _cut(question), asker)

    async def _others_answer(self, question: dns.message.Message, endpoint: Endpoint, stream: bool) -> bytes:
        view = self._book.view(endpoint.name)
        servers = self._upstream.servers(view.servers if view else ())
        endpoint.questions += 1
        try:
            answer = await forwarded(question, servers, stream, self._upstream)
        finally:
            endpoint.questions -= 1
        return answer or _refusal(question.to_wire(), dns.rcode.SERVFAIL)

    def _start(self, work: t.Coroutine[t.Any, t.Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- TCP

    def _talker(self, endpoint: Endpoint) -> t.Callable[[asyncio.StreamReader, asyncio.StreamWriter], t.Any]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            endpoint.connections += 1
            try:
                # a slow or endless connection must not keep out others
                while endpoint.connections <= _MOST_CONNECTIONS and await self._talk_once(reader, writer, endpoint):
                    pass
            except (OSError, EOFError, asyncio.TimeoutError):
                pass  # the client has gone
            finally:
                endpoint.connections -= 1
                writer.close()

        return talk

    async def _talk_once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, endpoint: Endpoint) -> bool:
        wire = await asyncio.wait_for(_read_framed(reader), _IDLE_SECONDS)
        view = self._book.view(endpoint.name)
        reply = (
            own_reply(wire, view, _LONGEST_MESSAGE)
            if view
            else Reply(_refusal(wire.ljust(12, b"\0"), dns.rcode.SERVFAIL))
        )
        if reply is None:
            return False
        answer = reply.wire if isinstance(reply, Reply) else await self._others_answer(reply, endpoint, True)
        writer.write(_framed(answer))
        await asyncio.wait_for(writer.drain(), _IDLE_SECONDS)
        return True


def _send(opened: socket.socket, answer: bytes, asker: t.Any) -> None:
    with contextlib.suppress(OSError):  # a client that does not receive it asks again
        opened.sendto(answer, asker)


def _remover(loop: asyncio.AbstractEventLoop, opened: socket.socket) -> t.Callable[[], None]:
    def remove() -> None:
        loop.remove_reader(opened.fileno())

    return remove


# ---- sockets that systemd keeps for us


class Kept:
    """The sockets that systemd handed over, by the inode of the namespace that they are in."""

    def __init__(self, by_inode: dict[int, list[socket.socket]]) -> None:
        self.by_inode = by_inode

    @classmethod
    def take(cls) -> Kept:
        """Take the sockets; sd_listen_fds(3)."""
        count = int(os.environ.get("LISTEN_FDS", "0")) if os.environ.get("LISTEN_PID") == str(os.getpid()) else 0
        names = os.environ.get("LISTEN_FDNAMES", "").split(":")
        found: dict[int, list[socket.socket]] = {}
        for fd, name in zip(range(3, 3 + count), names):
            if name.isdigit():
                found.setdefault(int(name), []).append(socket.socket(fileno=fd))
        return cls(found)

    def drop(self, inode: int) -> None:
        """Close the sockets in a namespace, which would keep it alive."""
        for opened in self.by_inode.pop(inode, ()):
            opened.close()
        notify("FDSTOREREMOVE=1\nFDNAME=%d" % inode)


def notify(text: str) -> None:
    """Tell systemd something; sd_notify(3)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.connect("\0" + path[1:] if path.startswith("@") else path)
            notify.send(text.encode())


def served(path: str) -> dict[int, str]:
    """The endpoints with sockets, by the inodes of their namespaces, as the opener has just noted them."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        return {int(inode): endpoint for inode, endpoint in map(str.split, file)}
    return {}


def inode_of(endpoint: str) -> int:
    """The inode of an endpoint's present namespace, 0 if there is none."""
    with contextlib.suppress(OSError):
        return os.stat(os.path.join(NETNS_FOLDER, endpoint)).st_ino
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


async def serve(book: Book, upstream: Upstream, kept: Kept, wanted: t.Mapping[int, str]) -> None:
    """Serve until we are told to end, or until there is a namespace in which we have no socket."""
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    server = Server(book, upstream)
    for inode in [inode for inode in kept.by_inode if inode not in wanted]:
        kept.drop(inode)
    for inode, sockets in kept.by_inode.items():
        await server.add(wanted[inode], sockets)
    notify("READY=1\nSTATUS=Serves %d endpoints" % len(kept.by_inode))
    await _until_changed(book, over)
    await server.finish()


async def _until_changed(book: Book, over: asyncio.Event) -> None:
    """Wait for changes in the folder of namespaces, and end if one of ours is another namespace by then."""
    before = {endpoint: inode_of(endpoint) for endpoint in book.endpoints()}
    seen = _version(NETNS_FOLDER)
    while not over.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), _LOOK_SECONDS)
        now = _version(NETNS_FOLDER)
        if now != seen and any(inode_of(endpoint) != inode for endpoint, inode in before.items()):
            return
        seen = now


def main() -> None:
    if "dns" not in globals():
        raise SystemExit("the library dnspython is missing: install the package python3-dnspython")
    views, sockets = sys.argv[1:]
    asyncio.run(serve(Book(views), Upstream(), Kept.take(), served(sockets)))


if __name__ == "__main__":
    main()
