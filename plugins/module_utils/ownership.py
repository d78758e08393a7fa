# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of an object: what belongs to another project is neither changed nor removed.

An object without a label was made by a module alone, outside of any network, and may be used by everybody. A network
that would take its port or its address away is refused where that is planned.
"""

from __future__ import annotations

import typing as t

from . import marks, model

# What to do instead, by the words that a holding begins with; anything else has a name.
_ELSEWHERE = (
    ("Namespace ", "another name (netns of an endpoint)"),  # an endpoint may keep its name
    ("The DNS server ", "another namespace (netns of an endpoint)"),
    ("The namespace of process ", "another process"),
    ("The firewall of bridge ", "another bridge"),
    ("Bridge ", "another bridge"),
    ("Host port ", "another port"),
    ("Subnet ", "another subnet"),
    ("Masquerade ", "another subnet"),
    ("Unit ", "another unit"),
    ("File ", "another namespace (netns of an endpoint)"),
)

# Something of ours on the host, as the beginning of a sentence, and its label.
Holding = tuple[str, str]


def first_of_another(label: str, holdings: t.Iterable[Holding]) -> Holding | None:
    """The first of these that belongs to another project than that of ``label``."""
    others = (found for found in holdings if found[1] not in ("", label))
    return next((found for found in others if marks.project_of(found[1]) != marks.project_of(label)), None)


def refuse(label: str, holding: Holding) -> t.NoReturn:
    """Raise Conflict for a request with this label, since what it needs belongs to another project."""
    what, noted = holding
    instead = next((words for begin, words in _ELSEWHERE if what.startswith(begin)), "another name")
    raise model.Conflict(
        "%s belongs to %s, and %s asks for it; choose %s, or set project to %s if it is the same."
        % (what, owner(noted), owner(label), instead, marks.project_of(noted))
    )


def refuse_name(label: str, projects: t.Mapping[str, str]) -> None:
    """Raise Conflict when another project has a network of the same name."""
    name, project = marks.name_of(label), marks.project_of(label)
    other = projects.get(name, project) if name else project
    if other != project:
        raise model.Conflict(
            "Network %s belongs to project %s, and project %s asks for it; choose another name, or set project to %s if"
            " it is the same." % (name, other, project, other)
        )


def named(label: str, endpoint: str) -> str:
    """An endpoint of a network, in the words of messages."""
    return "%s/%s" % (marks.name_of(label), endpoint)


def whose(label: str) -> str:
    """The network of a label in words, or its project if it is outside of any network; empty for no label."""
    if marks.name_of(label):
        return "network %s" % marks.name_of(label)
    return "project %s" % marks.project_of(label) if label else ""


def owner(label: str) -> str:
    """The network and the project of a label, in words."""
    name, project = marks.name_of(label), "project %s" % marks.project_of(label)
    return "network %s of %s" % (name, project) if name else project
