# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts file of an endpoint: a section for each network that it shares names with.

A run that has only some of these networks in its list reads the sections of the others, and keeps them. So a section
also holds what resolv.conf is made from.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .. import model
from ..records import dataclass
from ..report import HostReport

_NETWORK, _EXTRA = "# network ", "# extra_hosts"
_FLAGS = ("internal", "dns", "resolver=false", "default_route=false")


@dataclass(frozen=True)
class Section:
    """The section of an endpoint for one network."""

    label: str
    entries: tuple[model.NameEntry, ...] = ()  # shared by all endpoints of the network
    extra: tuple[model.NameEntry, ...] = ()  # extra_hosts of this endpoint
    internal: bool = False
    dns: bool = False  # whether the network gives its endpoints a DNS server
    resolver: bool = True  # whether this endpoint has it
    default_route: bool = True  # whether the network may give this endpoint its default route
    nameservers: tuple[model.Address, ...] = ()
    search: tuple[str, ...] = ()


class Speller:
    """Spells sections; lines that many of them share are spelled once."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def spell(self, section: Section) -> str:
        """A section as text."""
        extra = _EXTRA + "\n" + self._lines(section.extra) if section.extra else ""
        return _head(section) + "\n" + self._lines(section.entries) + extra

    def _lines(self, entries: tuple[model.NameEntry, ...]) -> str:
        if id(entries) not in self._texts:
            self._texts[id(entries)] = "".join(map(_line, entries))
        return self._texts[id(entries)]


def _head(section: Section) -> str:
    given = zip(_FLAGS, (section.internal, section.dns, not section.resolver, not section.default_route))
    words = [section.label, *(word for word, is_set in given if is_set)]
    words += ["nameservers=%s" % ",".join(map(str, section.nameservers))] if section.nameservers else []
    words += ["search=%s" % ",".join(section.search)] if section.search else []
    return _NETWORK + " ".join(words)


def _line(entry: model.NameEntry) -> str:
    return "%s %s\n" % (entry.address, " ".join(entry.names))


def _section(
    words: t.Sequence[str], entries: tuple[model.NameEntry, ...], extra: tuple[model.NameEntry, ...]
) -> Section:
    values = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    return Section(
        label=words[0],
        entries=entries,
        extra=extra,
        internal="internal" in words[1:],
        dns="dns" in words[1:],
        resolver=values.get("resolver") != "false",
        default_route=values.get("default_route") != "false",
        nameservers=tuple(filter(None, map(_address, values.get("nameservers", "").split(",")))),
        search=tuple(filter(None, values.get("search", "").split(","))),
    )


def _entries(text: str) -> tuple[model.NameEntry, ...]:
    found = ((_address(words[0]), tuple(words[1:])) for words in map(str.split, text.splitlines()) if len(words) > 1)
    return tuple(model.NameEntry(address, names) for address, names in found if address is not None)


def _address(text: str) -> model.Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class Noted:
    """The sections that earlier runs wrote, read when needed; a section that many files share is read once."""

    def __init__(self, texts: t.Mapping[str, str]) -> None:
        known = {text: _parts(text) for text in set(texts.values())}
        self._parts = {netns: known[text] for netns, text in texts.items()}
        self._lines: dict[str, tuple[model.NameEntry, ...]] = {}
        self._names: dict[str, dict[model.Address, tuple[str, ...]]] = {}
        self._addresses: dict[str, dict[str, list[model.Address]]] = {}

    def labels(self, netns: str) -> t.Iterable[str]:
        """The labels of the sections of a namespace."""
        return self._parts.get(netns, {})

    def section(self, netns: str, label: str) -> Section | None:
        """One of these sections, without damaged lines."""
        part = self._parts.get(netns, {}).get(label)
        if part is None:
            return None
        head, entries, extra = _cut(part)
        return _section(head.split(), self._entries(entries), self._entries(extra))

    def names(self, netns: str, label: str, address: model.Address) -> tuple[str, ...]:
        """The names of an address in a network, by the file of one namespace."""
        text = _cut(self._parts.get(netns, {}).get(label, ""))[1]
        if text not in self._names:
            self._names[text] = {entry.address: entry.names for entry in self._entries(text)}
        return self._names[text].get(address, ())

    def addresses(self, netns: str, label: str, name: str) -> t.Sequence[model.Address]:
        """The addresses of a name in a network, by the file of one namespace."""
        text = _cut(self._parts.get(netns, {}).get(label, ""))[1]
        if text not in self._addresses:
            found = self._addresses[text] = {}
            for entry in self._entries(text):
                for own in entry.names:
                    found.setdefault(own, []).append(entry.address)
        return self._addresses[text].get(name, ())

    def _entries(self, text: str) -> tuple[model.NameEntry, ...]:
        if text not in self._lines:
            self._lines[text] = _entries(text)
        return self._lines[text]


def noted(report: HostReport) -> Noted:
    """The sections in the hosts files of a host."""
    return Noted({file.netns: file.text for file in report.files if file.name == "hosts"})


def _parts(text: str) -> dict[str, str]:
    """The sections of a file as text, by their labels."""
    parts = ("\n" + text).split("\n" + _NETWORK)[1:]
    return {words[0]: part for part, words in ((part, part.split(None, 1)) for part in parts) if words}


def _cut(part: str) -> tuple[str, str, str]:
    """The first line of a section, its entries, and its extra entries."""
    head, unused, body = part.partition("\n")
    entries, unused, extra = body.partition(_EXTRA)
    return head, entries.strip(), extra.strip()
