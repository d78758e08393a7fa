# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options as they were given, before Ansible converts them: YAML, the command line and templates change types.

What can only mean one thing is set right, everything else is refused with the option and what to write. Ansible itself
would make "False" of a name `no`, 1342 of a port `22:22`, and an error about Python's types of the rest.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from .model import InvalidRequest
from .parsing import kind_of, text

Spec = t.Mapping[str, t.Mapping[str, t.Any]]


def as_given(spec: Spec, options: t.Mapping[str, t.Any], place: str = "") -> dict[str, t.Any]:
    """The options that ``spec`` knows, each in its type, and the others as they are; one without a value is absent."""
    result = {}
    for name, value in options.items():
        if name not in spec:
            result[name] = value
        elif value is not None:
            result[name] = _value(place + name, value, spec[name])
        elif spec[name].get("required"):
            result[name] = None  # Ansible would call it missing; those who read it can say more
    return result


def flag(option: str, value: object) -> bool:
    """Yes or no in every spelling that Ansible takes; an empty text counts as no, as it does in a template."""
    if value == "":
        return False
    try:
        return bool(boolean(value))
    except TypeError:
        raise InvalidRequest("%s: got %s; write true or false." % (option, kind_of(value))) from None


def plain(value: t.Any) -> t.Any:
    """A value with all that it holds in plain dictionaries and lists.

    A template's result is made of containers that carry Ansible's templar along: whoever copies one copies the templar.
    """
    if isinstance(value, t.Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _value(option: str, value: t.Any, spec: t.Mapping[str, t.Any]) -> t.Any:
    reader = _READERS.get(spec.get("type", "str"))
    return value if reader is None else reader(option, value, spec)


def _text(option: str, value: t.Any, spec: t.Mapping[str, t.Any]) -> str:
    # a boolean on the command line, or in an inventory in INI, is a text that a template leaves as it is
    if "choices" in spec and (not isinstance(value, str) or value in ("True", "False")):
        raise InvalidRequest("%s: got %s; write one of %s." % (option, kind_of(value), ", ".join(spec["choices"])))
    return text(option, value)


def _flag(option: str, value: t.Any, _spec: t.Mapping[str, t.Any]) -> bool:
    return flag(option, value)


def _number(option: str, value: t.Any, _spec: t.Mapping[str, t.Any]) -> int:
    try:
        if isinstance(value, (bool, float)):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise InvalidRequest("%s: got %s; write a whole number." % (option, kind_of(value))) from None


def _list(option: str, value: t.Any, spec: t.Mapping[str, t.Any]) -> list[t.Any]:
    """A list, or one item in the place of a list of one; Ansible also takes texts with commas in between."""
    if isinstance(value, (bool, t.Mapping)):
        raise InvalidRequest("%s: got %s; write a list, with a dash before each item." % (option, kind_of(value)))
    if isinstance(value, str):
        value = value.split(",") if value else []
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    return [_item(option, number, item, spec) for number, item in enumerate(items, 1) if item is not None]


def _item(option: str, number: int, value: t.Any, spec: t.Mapping[str, t.Any]) -> t.Any:
    """An item of a list; items of a name are called by it."""
    title = "%s, item %d" % (option, number) if spec.get("elements") == "dict" else option
    return _value(title, value, {"type": spec.get("elements", "raw"), "options": spec.get("options")})


def _dictionary(option: str, value: t.Any, spec: t.Mapping[str, t.Any]) -> t.Any:
    if isinstance(value, t.Mapping):
        return as_given(spec.get("options") or {}, value, option + ": ")
    if isinstance(value, str) and (value.lstrip().startswith("{") or "=" in value):
        return value  # JSON or key=value, which Ansible reads
    raise InvalidRequest("%s: got %s; write a dictionary of options, such as {name: web}." % (option, kind_of(value)))


_READERS: dict[object, t.Callable[[str, t.Any, t.Mapping[str, t.Any]], t.Any]] = {
    "str": _text,
    "bool": _flag,
    "int": _number,
    "list": _list,
    "dict": _dictionary,
}
