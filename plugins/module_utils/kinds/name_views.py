# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with the views of the DNS server: the names for each endpoint. Endpoints with the same names share one."""

from __future__ import annotations

import json
import typing as t

from .. import marks, model

_MARK = "names of endpoints for their DNS server; changes here are lost at the next run"

# A view in JSON.
About = t.Mapping[str, t.Any]


class Served(t.NamedTuple):
    """The view of an endpoint in JSON, with its label."""

    label: str
    about: About


def load(text: str | None) -> dict[str, Served]:
    """The views in a file, by the namespace of their endpoint; raises Conflict when the file is not ours."""
    if not text:
        return {}
    try:
        found = json.loads(text)
        if marks.COLLECTION not in found:
            raise ValueError
        views = [(_without(about), _owners(about)) for about in found["views"]]
        return {netns: Served(label, about) for about, owners in views for netns, label in owners}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise model.Conflict(
            "The file %s is not as this collection writes it; remove it, and run the playbook again." % marks.NAMES_FILE
        ) from error


def _owners(about: About) -> list[tuple[str, str]]:
    return [(str(netns), str(label)) for netns, label in about["endpoints"].items()]


def _without(about: About) -> About:
    return {key: value for key, value in about.items() if key != "endpoints"}


class Writer:
    """Turns views into JSON, once for all views that say the same."""

    def __init__(self) -> None:
        self._made: dict[t.Hashable, About] = {}

    def served(self, view: model.NameView) -> Served:
        """A view in JSON."""
        others = (view.domains, view.subnets, view.nameservers, view.forwards)
        key = id(view.entries), others  # views that say the same have been given the same entries
        if key not in self._made:
            self._made[key] = _about(view)
        return Served(view.network, self._made[key])


def _about(view: model.NameView) -> About:
    return {
        "forwards": view.forwards,
        "nameservers": [str(server) for server in view.nameservers],
        "domains": list(view.domains),
        "subnets": [str(subnet) for subnet in view.subnets],
        "names": _names(view.entries),
    }


def _names(entries: t.Sequence[model.NameEntry]) -> dict[str, list[str]]:
    """Addresses by names. The first names of all entries come before aliases, so that an address leads to them."""
    found: dict[str, dict[str, None]] = {}
    for name, address in (*_first_names(entries), *sorted(_other_names(entries))):
        found.setdefault(name, {})[address] = None
    return {name: list(addresses) for name, addresses in found.items()}


def _first_names(entries: t.Iterable[model.NameEntry]) -> t.Iterator[tuple[str, str]]:
    for entry in entries:
        for name in entry.names[:1]:
            yield name.lower(), str(entry.address)


def _other_names(entries: t.Iterable[model.NameEntry]) -> t.Iterator[tuple[str, str]]:
    for entry in entries:
        for name in entry.names[1:]:
            yield name.lower(), str(entry.address)


def spell(views: t.Mapping[str, Served]) -> str:
    """The file, with a line for each name."""
    texts: dict[int, str] = {}
    shared: dict[str, dict[str, str]] = {}
    for netns in sorted(views):
        served = views[netns]
        text = texts.setdefault(id(served.about), "") or _spelled(served.about)
        texts[id(served.about)] = text
        shared.setdefault(text, {})[netns] = served.label
    parts = ['{"endpoints": %s,\n%s}' % (json.dumps(endpoints), text) for text, endpoints in shared.items()]
    return '{"%s": "%s",\n"views": [\n%s\n]}\n' % (marks.COLLECTION, _MARK, ",\n".join(parts))


def _spelled(about: About) -> str:
    rows = ["  %s: %s" % (json.dumps(key), json.dumps(value)) for key, value in about.items() if key != "names"]
    names = ["    %s: %s" % (json.dumps(name), json.dumps(found)) for name, found in about["names"].items()]
    return ",\n".join([*rows, '  "names": {\n%s}' % ",\n".join(names)])


def with_sockets(text: str | None) -> dict[str, int]:
    """The namespaces in which the opener has sockets, each with its inode."""
    rows = [line.split(" ", 1) for line in (text or "").splitlines()]
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}
