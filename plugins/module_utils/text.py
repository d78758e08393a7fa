# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain values as short YAML: managed hosts need not have a YAML library, and a diff needs only this much of it."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping  # isinstance() takes three times as long with that of typing

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:@ -]*[A-Za-z0-9_/]|[A-Za-z_/]")
_WORDS = ("true", "false", "yes", "no", "on", "off", "null")
_WIDE = 100  # a list that would take more columns has a line for each item
_WIDEST = 140  # a text that would take more is folded where it has a single blank


def to_yaml(value: t.Mapping[str, object]) -> str:
    """A document, with a newline at its end; empty for an empty mapping."""
    return "".join(line + "\n" for line in _block(value)) if value else ""


def _block(value: object) -> list[str]:
    lines: list[str] = []
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and _is_lines(item):
                lines += ["%s: |" % _scalar(key), *("  " + line if line else "" for line in item.split("\n")[:-1])]
                continue
            nested = _nested(item)
            inner = _block(item) if nested else _folded(item)
            lines.append("%s:%s" % (_scalar(key), "" if nested else " " + inner[0]))
            lines += ["  " + line for line in (inner if nested else inner[1:])]
    else:
        for item in t.cast("t.Iterable[object]", value):
            inner = _block(item) if isinstance(item, Mapping) else _folded(item)
            lines += ["- " + inner[0]] + ["  " + line for line in inner[1:]]
    return lines


def _is_lines(value: str) -> bool:
    """Whether a text can be a literal block: no blank begins its first line, and it ends with a single newline."""
    if "\n" not in value:
        return False
    lines = value.split("\n")
    if lines.pop() or not lines[0] or not lines[-1] or lines[0][0] in " \t":
        return False
    return all(line.replace("\t", "").isprintable() and line == line.rstrip() for line in lines)


def _nested(value: object) -> bool:
    """Whether a value takes lines of its own: a mapping, a list that holds one, or a long list."""
    if isinstance(value, str):
        return False
    if isinstance(value, Mapping):
        return bool(value)
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return any(isinstance(item, Mapping) for item in value) or len(_flow(value)) > _WIDE


def _folded(value: object) -> list[str]:
    """A value in its line, or a long text in several."""
    text = _flow(value)
    if not isinstance(value, str) or len(text) <= _WIDEST or not value.isprintable() or "" in value.split(" "):
        return [text]
    return [">-", *folded(value)]


def folded(text: str) -> list[str]:
    """A text in lines that are not too long, if it has blanks."""
    lines = [""]
    for word in text.split(" ") if len(text) > _WIDEST else [text]:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _WIDE:
            lines.append(word)
        else:
            lines[-1] += " " + word if lines[-1] else word
    return lines


def _flow(value: object) -> str:
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(_scalar(item) for item in value)
    if isinstance(value, Mapping):
        return "{}"
    return _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS and ": " not in value
        return value if plain else _quoted(value)
    return "null" if value is None else json.dumps(value)


def _quoted(value: str) -> str:
    """A text in double quotes, with escapes for characters that YAML would refuse or read as a line break."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else ("\\u%04x" if ord(c) < 0x10000 else "\\U%08x") % ord(c) for c in text)
