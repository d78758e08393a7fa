# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts file of an endpoint: a section for each network that it shares names with.

A run that has only some of these networks in its list reads the sections of the others, and keeps them. So a section
also holds what resolv.conf is made of.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ..model import Address, NameEntry
from ..records import dataclass

_NETWORK, _EXTRA = "# network ", "# extra_hosts"
_FLAGS = ("internal", "dns", "resolver=false")


@dataclass(frozen=True)
class Section:
    """What an endpoint has of one network."""

    label: str
    entries: tuple[NameEntry, ...] = ()  # the same for all endpoints of the network
    extra: tuple[NameEntry, ...] = ()  # extra_hosts of this one
    internal: bool = False
    dns: bool = False  # whether the network gives its endpoints a DNS server
    resolver: bool = True  # whether this one takes it
    nameservers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()


def spell(section: Section) -> list[str]:
    """The lines of a section."""
    extra = [_EXTRA, *map(_line, section.extra)] if section.extra else []
    return [_head(section), *map(_line, section.entries), *extra]


def _head(section: Section) -> str:
    given = zip(_FLAGS, (section.internal, section.dns, not section.resolver))
    words = [section.label, *(word for word, is_set in given if is_set)]
    words += ["nameservers=%s" % ",".join(map(str, section.nameservers))] if section.nameservers else []
    words += ["search=%s" % ",".join(section.search)] if section.search else []
    return _NETWORK + " ".join(words)


def _line(entry: NameEntry) -> str:
    return "%s\t%s" % (entry.address, " ".join(entry.names))


def parse(text: str) -> dict[str, Section]:
    """The sections of a hosts file of ours, by the labels of their networks; what somebody spoiled is left out."""
    found: dict[str, Section] = {}
    for part in ("\n" + text).split("\n" + _NETWORK)[1:]:
        head, unused, body = part.partition("\n")
        own, unused, extra = body.partition(_EXTRA)
        section = _section(head.split(), _entries(own), _entries(extra))
        if section is not None:
            found[section.label] = section
    return found


def _section(words: t.Sequence[str], entries: tuple[NameEntry, ...], extra: tuple[NameEntry, ...]) -> Section | None:
    if not words:
        return None
    values = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    return Section(
        label=words[0],
        entries=entries,
        extra=extra,
        internal="internal" in words[1:],
        dns="dns" in words[1:],
        resolver=values.get("resolver") != "false",
        nameservers=tuple(filter(None, map(_address, values.get("nameservers", "").split(",")))),
        search=tuple(filter(None, values.get("search", "").split(","))),
    )


def _entries(text: str) -> tuple[NameEntry, ...]:
    found = ((_address(words[0]), tuple(words[1:])) for words in map(str.split, text.splitlines()) if len(words) > 1)
    return tuple(NameEntry(address, names) for address, names in found if address is not None)


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
