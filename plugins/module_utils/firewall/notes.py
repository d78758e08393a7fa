# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comments of our rules: ``key=value`` words for what neither a rule nor an element of a set can express."""

from __future__ import annotations


def spell(**notes: object) -> str:
    """The comment with these values; empty without any."""
    return " ".join("%s=%s" % (key, value) for key, value in notes.items() if value)


def read(comment: str) -> dict[str, str]:
    """The values in a comment; words of another form are ignored."""
    return dict(word.split("=", 1) for word in comment.split() if "=" in word)
