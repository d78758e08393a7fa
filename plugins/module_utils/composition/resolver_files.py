# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the files below /etc/netns, by which programs in a namespace look up names.

hosts(5) has the names of other endpoints, and resolv.conf(5) the servers for all other names. nsswitch.conf(5) is only
written if that of the host asks a daemon, which would answer from outside the namespace.
"""

from __future__ import annotations

import re
import typing as t

from .. import marks, model, parsing
from .naming import Known, has_server
from .sections import Section, Speller
from .surroundings import Surroundings

# Programs of the host read the first file. If it names a local daemon, one of the others has the servers behind that.
_RESOLV = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")
_NSSWITCH = "/etc/nsswitch.conf"
_MOST = 3  # the limit of name servers (resolv.conf(5), MAXNS)
_WHAT = {"hosts": "names of endpoints", "resolv.conf": "name servers", "nsswitch.conf": "sources of names"}
# Services of nsswitch.conf that only use files and the name servers of the namespace.
_INSIDE = ("files", "dns", "myhostname")
_LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
# Without a name server, musl would wait for an answer of 127.0.0.1 for ten seconds.
_NOBODY = "options timeout:1 attempts:1"


class _Host(t.NamedTuple):
    """The content of the host's own files."""

    named: list[str]  # all servers
    servers: list[str]  # servers that can be reached from a namespace
    search: list[str]
    options: list[str]


class Writer:
    """Writes the files of one host."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._found: _Host | None = None
        self._speller = Speller()
        self._marks: dict[tuple[str, str, str], str] = {}
        self._spelled: dict[tuple[int, ...], str] = {}
        self._asked: dict[tuple[int, ...], tuple[str, bool]] = {}
        self._versions: dict[int, set[int]] = {}
        self.helpless: list[str] = []  # namespaces from which no name server of the host can be reached

    def files(self, known: Known) -> list[model.NamespaceFile]:
        """The files of all namespaces that know a name."""
        switch, found = self._switch(), []
        for netns, own in known.items():
            texts = {"hosts": self._hosts(own), "resolv.conf": self._resolv(netns, own)} if own else {}
            for name, text in {**texts, **({"nsswitch.conf": switch} if switch and own else {})}.items():
                found.append(
                    model.NamespaceFile(netns, name, self._marked(name, own[0].label, text), own[0].label, netns)
                )
        # files with the same text are next to each other, so that one step writes them
        return sorted(found, key=lambda file: (file.name, file.text, file.netns))

    def _marked(self, name: str, label: str, text: str) -> str:
        """The text with our first line. Long texts that are equal are one object."""
        key = (name, label, text)
        if key not in self._marks:
            self._marks[key] = marks.file_mark(_WHAT[name], label) + text
        return self._marks[key]

    def warnings(self) -> list[str]:
        """Warnings about the host."""
        if not self.helpless:
            return []
        text = (
            "The host has no name server that endpoints can reach: %s names %s. These endpoints can look up only one"
            " another: %s. Give the network nameservers, or set dns to true."
        )
        return [text % (_RESOLV[0], " and ".join(self._host().named), model.enumerate_few(sorted(self.helpless)))]

    # ---- hosts

    def _hosts(self, own: t.Sequence[Section]) -> str:
        """The text of hosts, which most endpoints of a network share."""
        key = tuple(map(id, own))
        if key not in self._spelled:
            text = "".join(map(self._speller.spell, own))
            self._spelled[key] = _LOCAL + self._itself(text) + text
        return self._spelled[key]

    def _itself(self, text: str) -> str:
        """The lines for the name of the host itself, without which some programs do not start."""
        name = self._around.hostname()
        taken = any(" %s%s" % (name, end) in text for end in (" ", "\n"))
        return "127.0.1.1 %s\n" % name if parsing.is_host_name(name) and not taken else ""

    # ---- resolv.conf

    def _resolv(self, netns: str, own: t.Sequence[Section]) -> str:
        key = tuple(map(id, own))
        if key not in self._asked:
            self._asked[key] = self._ask(own)
        text, is_helpless = self._asked[key]
        self.helpless += [netns] if is_helpless else []
        return text

    def _ask(self, own: t.Sequence[Section]) -> tuple[str, bool]:
        """The servers to ask, and whether the host's servers are wanted but cannot be reached."""
        host = self._host()
        internal = all(section.internal for section in own)
        search = list(dict.fromkeys(domain for section in own for domain in section.search))
        search = search or ([] if internal else host.search)
        options = [word for word in host.options if word != "trust-ad"]
        servers = self._servers(own, internal)
        if has_server(own):
            # a short name means an endpoint first, and only then a host of a domain in the search list
            options = [word for word in options if not word.startswith("ndots:")] + ["ndots:0"]
            servers = [str(model.NAME_SERVER)]
        lines = ["nameserver %s" % server for server in servers]
        lines += ["search %s" % " ".join(search)] if search else []
        lines += ["options %s" % " ".join(options)] if options and servers else []
        lines += [] if servers else [_NOBODY]
        return "".join(line + "\n" for line in lines), bool(host.named and not servers and not internal)

    def _servers(self, own: t.Sequence[Section], internal: bool) -> list[str]:
        given = list(dict.fromkeys(str(server) for section in own for server in section.nameservers))
        if given or internal:
            return given[:_MOST]
        versions = set().union(*(self._spoken(section) for section in own if not section.internal))
        return [server for server in self._host().servers if (6 if ":" in server else 4) in versions][:_MOST]

    def _spoken(self, section: Section) -> set[int]:
        """The versions of IP in a network, by its gateways."""
        if id(section.entries) not in self._versions:
            self._versions[id(section.entries)] = {entry.address.version for entry in section.entries}
        return self._versions[id(section.entries)]

    def _host(self) -> _Host:
        if self._found is None:
            text = self._around.file(_RESOLV[0])
            named = _words(text, "nameserver")
            domains = _last(text, "search") or _last(text, "domain")
            # a search for "." breaks musl
            search = [domain for domain in domains if parsing.is_host_name(domain.rstrip("."))]
            self._found = _Host(named, _usable(named) or self._behind(named), search, _words(text, "options"))
        return self._found

    def _behind(self, named: t.Sequence[str]) -> list[str]:
        """The servers behind a daemon of the host."""
        texts = (self._around.file(path) for path in _RESOLV[1:]) if named else ()
        return next(filter(None, (_usable(_words(text, "nameserver")) for text in texts)), [])

    # ---- nsswitch.conf

    def _switch(self) -> str:
        """The nsswitch.conf of the host without services that ask a daemon; empty if it has none of these."""
        text = self._around.file(_NSSWITCH)
        found = re.search(r"^[ \t]*hosts:([^#\n]*)", text, re.MULTILINE)
        words = re.sub(r"\[[^\]]*\]", " ", found[1]).split() if found else []
        if found is None or all(word in _INSIDE for word in words):
            return ""
        kept = [word for word in words if word in _INSIDE]
        kept = [*(["files"] if "files" not in kept else []), *kept, *(["dns"] if "dns" not in kept else [])]
        line = "hosts: %s " % " ".join(kept)
        text = text[: found.start()] + line + text[found.end() :]
        return text if text.endswith("\n") else text + "\n"


def _words(text: str, key: str) -> list[str]:
    """The values of all lines that begin with a word."""
    lines = (line.split() for line in text.splitlines())
    return [word for words in lines if words[:1] == [key] for word in words[1:]]


def _last(text: str, key: str) -> list[str]:
    """The values of the last line that begins with a word."""
    lines = [line.split() for line in text.splitlines()]
    return next((words[1:] for words in reversed(lines) if words[:1] == [key]), [])


def _usable(values: t.Iterable[str]) -> list[str]:
    """The servers that can be reached from a namespace: not on a loopback, and without a zone."""
    return [str(found) for found in map(_server, values) if found is not None]


def _server(value: str) -> model.Address | None:
    try:
        found = parsing.address("nameserver", value)
    except model.InvalidRequest:
        return None  # with a zone, or not an address at all
    return None if found.is_loopback or found.is_link_local or found.is_unspecified else found
