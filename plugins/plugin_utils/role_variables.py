# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the role and of the playbooks around it, and names that look like one of them."""

from __future__ import annotations

import difflib
import typing as t

from ..module_utils.role_words import OPTIONS, PREFIX

# What the role has beside the options of the module, and what it and the playbooks set or take.
_MORE = ("result", "hosts", "is_given", "info", "map", "path", "probe", "packages")
KNOWN = frozenset(PREFIX + name for name in (*OPTIONS, *_MORE))


def unknown(names: t.Iterable[str]) -> t.Iterator[str]:
    """A sentence for each name that begins as the role's variables do, and is none of them."""
    for name in sorted(set(names) - KNOWN):
        if name.startswith(PREFIX):
            near = difflib.get_close_matches(name[len(PREFIX) :], [known[len(PREFIX) :] for known in KNOWN], 1)
            advice = "did you mean %s%s?" % (PREFIX, near[0]) if near else "give a variable of your own another prefix."
            yield "The role bridge_network has no variable %s, and ignores it; %s" % (name, advice)
