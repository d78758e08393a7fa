# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of the module bridge_network in the words of who called the role, who wrote variables and not options."""

from __future__ import annotations

import re

PREFIX = "bridge_network_"
# The options that a user of the role may set. This file imports nothing of ours, as each task that uses any filter of
# the collection loads it on the controller.
OPTIONS = (
    "networks",
    "state",
    "project",
    "pools",
    "prune",
    "forward_policy",
    "service_removal",
    "boot",
    "backend",
    "step_by_step",
)
# The places in which a message speaks of an option: what it is about, and what to do. Elsewhere "networks" and
# "project" are the things that these words mean.
_NAMED = re.compile(r"(?:^(?=\w+(?:: |, item \d))|\bset (?=\w+ to\b)|\badd to |\((?=\w+: ))(%s)\b" % "|".join(OPTIONS))
_TWICE = " (%snetworks of the role)" % PREFIX


def in_words_of_the_role(text: str) -> str:
    """A message with the names of variables in the place of those of options."""
    return _NAMED.sub(lambda found: found[0][: -len(found[1])] + PREFIX + found[1], text.replace(_TWICE, ""))
