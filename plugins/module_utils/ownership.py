# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an object is: what another project owns is neither changed nor taken away.

An object without a label was made by a module alone, outside of any network, and is there for everybody.
"""

from __future__ import annotations

import typing as t

from .marks import name_of, project_of
from .model import Conflict

# Something of ours that is on the host, as a sentence would begin with it, and the label that it has.
Holding = tuple[str, str]


def first_of_another(label: str, holdings: t.Iterable[Holding]) -> Holding | None:
    """What belongs to another project than that of ``label``."""
    others = (found for found in holdings if found[1] not in ("", label))
    return next((found for found in others if project_of(found[1]) != project_of(label)), None)


def refuse(label: str, holding: Holding) -> t.NoReturn:
    """Raise Conflict for a request with this label, since another project has what it asks for."""
    what, noted = holding
    # an endpoint may keep its name
    where = " (netns of an endpoint)" if what.startswith("Namespace ") else ""
    raise Conflict(
        "%s belongs to %s, and %s asks for it; choose another name or number%s, or set project to %s if it is the same."
        % (what, owner(noted), owner(label), where, project_of(noted))
    )


def refuse_name(label: str, projects: t.Mapping[str, str]) -> None:
    """Raise Conflict when the name of a network is that of one of another project."""
    name, project = name_of(label), project_of(label)
    other = projects.get(name, project) if name else project
    if other != project:
        raise Conflict(
            "Network %s belongs to project %s, and project %s asks for it; choose another name, or set project to %s if"
            " it is the same." % (name, other, project, other)
        )


def named(label: str, endpoint: str) -> str:
    """What messages call an endpoint of a network."""
    return "%s/%s" % (name_of(label), endpoint)


def owner(label: str) -> str:
    """The network and the project that a label tells."""
    name, project = name_of(label), "project %s" % project_of(label)
    return "network %s of %s" % (name, project) if name else project
