# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of iptables-save and iptables-restore: for rules of ours, and for those of others.

Pure functions. A rule is the tuple of words that iptables-save prints behind ``-A CHAIN``; iptables 1.8.9 and 1.8.11
print the same for both variants, but quote comments differently, so words are compared and never text.
"""

from __future__ import annotations

import re
import typing as t

Rule = tuple[str, ...]

# Seconds to wait for /run/xtables.lock; without -w, 1.8.9 waits forever and 1.8.11 not at all.
LOCK_SECONDS = 10

_UNQUOTED = re.compile(r"[A-Za-z0-9_-]+")
_WORDS = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_SPACE = re.compile(r"[\s\"]")
_ESCAPED = re.compile(r"\\(.)")
# The value of these options may look like an option itself.
_FREE_TEXT = ("--comment", "--log-prefix", "--string")


def restore(tool: str) -> tuple[str, ...]:
    """The command that loads a transaction with this iptables-restore, without touching other rules."""
    return (tool, "--noflush", "-w", str(LOCK_SECONDS))


def words(text: str) -> Rule:
    """The words of a rule; iptables-save puts some in double quotes and escapes with a backslash inside them."""
    if '"' not in text:
        return tuple(text.split())
    return tuple(_ESCAPED.sub(r"\1", inner) if inner else plain for inner, plain in _WORDS.findall(text))


def text_of(rule: Rule) -> str:
    """A rule as iptables-save would print it."""
    plain = " ".join(rule)
    if "--comment" not in rule and '"' not in plain and plain.count(" ") == len(rule) - 1:
        return plain
    pairs = zip(("", *rule), rule)
    return " ".join(quoted(word) if before == "--comment" or _SPACE.search(word) else word for before, word in pairs)


def quoted(word: str) -> str:
    """A word as iptables-save quotes it (xtables_save_string)."""
    return word if _UNQUOTED.fullmatch(word) else '"%s"' % re.sub(r"([\"\\'])", r"\\\1", word)


class Option(t.NamedTuple):
    """An option of a rule, with its value if it has one."""

    name: str
    value: str = ""
    inverted: bool = False

    def __str__(self) -> str:
        return "! " + self.name if self.inverted else self.name


def options(rule: t.Iterable[str]) -> list[Option]:
    """The options of a rule in their order, including those that load a match or a target."""
    found: list[Option] = []
    inverted = is_text = False
    for word in rule:
        if is_text or not (word == "!" or word.startswith("-")):
            if found:
                found[-1] = found[-1]._replace(value=(found[-1].value + " " + word).lstrip())
            is_text = False
        elif word == "!":
            inverted = True
        else:
            found.append(Option(word, "", inverted))
            inverted, is_text = False, word in _FREE_TEXT
    return found


def by_name(rule: t.Iterable[str]) -> dict[str, str]:
    """The values of a rule's options by name, with ``! `` before that of an inverted one. Options -m are left out."""
    return {str(option): option.value for option in options(rule) if option.name != "-m"}
