# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads options by an argument spec: those of a module before Ansible converts them, and dictionaries inside options.

Values mean what they mean to Ansible: a flag in any spelling, a number as text, one word for a list of one. YAML, the
command line and templates change types. A value that can only mean one thing is corrected. Any other is refused with
the name of the option and what to write. Ansible itself would make "False" of a name `no` and 1342 of a port `22:22`,
and its errors cannot name the network and the endpoint.
"""

from __future__ import annotations

import json
import re
import typing as t

from . import arguments, model
from .parsing import kind_of, text

Option = arguments.Options

# What one item of these lists is called in errors.
_SINGULAR = {"networks": "network", "endpoints": "endpoint"}
# Options that take names of objects, which may consist of digits. What is looked up by DNS may not.
_NAMES = frozenset(("name", "network", "project", "bridge", "netns", "interface", "unit", "services", "endpoint"))
_NAMES |= {"asked_by", "out_interface", "in_interfaces", "trusted_interfaces", "route_localnet"}
# Options that limit who may come in. Everybody may where one is left out, so an empty list, which is what a template
# makes of nobody, would open what it was to close.
_LIMITS = {
    "allowed_sources": "leave it out to let everybody in, or list who may come in",
    "in_interfaces": "leave it out to let clients in by every interface, or list those by which they may come in",
}
_FLAGS = dict.fromkeys(("y", "yes", "on", "1", "1.0", "true", "t"), True)
_FLAGS.update(dict.fromkeys(("n", "no", "off", "0", "0.0", "false", "f"), False))


# ---- the options of a module, before Ansible reads them


def as_given(spec: arguments.Arguments, options: arguments.Options, title: str = "") -> arguments.Options:
    """The options of ``spec``, each in its type, and all others as they are; an option without a value is left out."""
    result: dict[str, object] = {}
    for name, value in options.items():
        if name not in spec:
            result[name] = value
        elif not _is_empty(value, spec[name]):
            _refuse_no_limit(title, name, value)
            result[name] = _as_given(_about(title, name), spec[name], value)
        elif spec[name].get("required"):
            result[name] = None  # Ansible would call it missing; the code that reads it can say more
    return result


def _is_empty(value: object, option: Option) -> bool:
    """Whether a value stands for none; a text without letters does for a word, but not where that may be none."""
    return value is None or (value == "" and "choices" in option and "none" not in option["choices"])


def _as_given(what: str, option: Option, value: object) -> object:
    """A value in the type of its option. An empty text is an empty list, and counts as no for a flag."""
    kind = option.get("type", "str")
    if kind == "list":
        items = _all_items(what, option, value) if value != "" else []
        return [_item_as_given(what, option, number, item) for number, item in enumerate(items, 1)]
    if kind == "dict" and isinstance(value, str) and (value.lstrip().startswith("{") or "=" in value):
        return value  # JSON or key=value, which Ansible reads
    if kind == "dict":
        spec = option.get("options") or {}
        found = as_given(spec, _read_dictionary(what, value, spec), what)
        for name, inner in spec.items():
            if inner.get("required") and found.get(name) is None:
                raise _missing(what, name)  # Ansible would name neither the item nor its place
        return found
    return False if kind == "bool" and value == "" else _read_scalar(what, option, value)


def _item_as_given(what: str, option: Option, number: int, value: object) -> object:
    """An item of a list; a dictionary is called by its number."""
    kind = option.get("elements", "raw")
    place = "%s, item %d" % (what, number) if kind == "dict" else what
    return _as_given(place, {"type": kind, "options": option.get("options")}, value)


def plain(value: t.Any) -> t.Any:
    """A value with all that it holds in plain dictionaries and lists.

    A template's result is made of containers that refer to Ansible's templar, so a copy of one copies the templar.
    """
    if isinstance(value, t.Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


# ---- dictionaries inside of options, which Ansible does not read


def read(title: str, spec: arguments.Arguments, value: object) -> arguments.Options:
    """A dictionary of options as ``spec`` has them; raises InvalidRequest. What is left out is None."""
    given = _read_dictionary(title, value, spec)
    for name in given:
        if name not in spec:
            raise model.InvalidRequest(_about(title, _unknown(str(name), spec, given)))
    return {name: _read_option(title, name, option, given.get(name)) for name, option in spec.items()}


def _read_option(title: str, name: str, option: Option, value: object) -> object:
    _refuse_no_limit(title, name, value)
    # A template gives an empty text where something is left out.
    if value is None or (value == "" and option["type"] != "raw"):
        if option.get("required"):
            raise _missing(title, name)
        return None
    if option["type"] == "list":
        return read_list(title, name, option, value)
    what = _about(title, name)
    if option.get("options") and option["type"] == "dict":
        return read(what, option["options"], value)
    return _read_scalar(what, option, value)


def _refuse_no_limit(title: str, name: str, value: object) -> None:
    if name in _LIMITS and value in ("", [], ()):
        raise model.InvalidRequest(_about(title, "%s: the list is empty; %s." % (name, _LIMITS[name])))


def read_list(title: str, name: str, option: Option, value: object) -> list[t.Any]:
    """A list of an option's type, with all its items."""
    if option["elements"] == "dict":
        return [read(place, option["options"], item) for place, item in titled(title, name, option, value)]
    what, element = _about(title, name), {"type": option["elements"]}
    return [_read_scalar(what, element, item) for item in _all_items(what, option, value)]


def titled(title: str, name: str, option: Option, value: object) -> t.Iterator[tuple[str, arguments.Options]]:
    """The dictionaries in a list, each with what errors call it."""
    what = _about(title, name)
    for number, item in enumerate(_all_items(what, option, value), 1):
        if not isinstance(item, t.Mapping):
            raise _wrong("%s, item %d" % (what, number), item, "it as %s" % _dictionary(option["options"], item))
        yield _about(title, _called(name, number, item)), item


def _called(name: str, number: int, item: t.Mapping[str, t.Any]) -> str:
    own = item.get("name") if name in _SINGULAR else None
    named = isinstance(own, (str, int)) and not isinstance(own, bool) and own != "" and str(own).isprintable()
    return "%s %s" % (_SINGULAR[name], own) if named else "%s, item %d" % (name, number)


def _all_items(what: str, option: Option, value: object) -> list[object]:
    """The items of a list, none of which may be empty."""
    items = _items(what, option, value)
    for number, item in enumerate(items, 1):
        if item is None:
            raise model.InvalidRequest(
                "%s, item %d: got nothing; give it a value, or remove its dash." % (what, number)
            )
    return items


def unquoted(spec: arguments.Arguments, value: t.Mapping[str, t.Any]) -> list[str]:
    """A warning about names that YAML has read as numbers: 0123 becomes 83, and the original text is lost."""
    found = list(_unquoted("", spec, value))
    if not found:
        return []
    number = found[0][1]
    others = ["0%o" % number] + (["%d:%02d" % divmod(number, 60)] if number >= 60 else [])
    return [
        "%s: a number that is a name is taken in decimal digits, but YAML makes %d of an unquoted %s as well; write it"
        " in quotes, and in a template with | string."
        % (model.enumerate_few([place for place, unused in found]), number, " or ".join(others))
    ]


def _unquoted(title: str, spec: arguments.Arguments, value: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, int]]:
    """The place and the value of each such name."""
    for name, given in value.items():
        option = spec.get(name, {})
        items = _listed(given)
        if "options" in option:
            for number, item in enumerate(items, 1):
                if isinstance(item, t.Mapping):
                    place = name if item is given else _called(name, number, item)
                    yield from _unquoted(_about(title, place), option["options"], item)
        elif option and name in _NAMES:
            for item in items:
                if isinstance(item, int) and not isinstance(item, bool) and item >= 0:
                    yield _about(title, name), item


def _listed(value: t.Any) -> t.Sequence[t.Any]:
    if isinstance(value, str):
        value = _from_json(value) if value.startswith("[") else value
    return value if isinstance(value, (list, tuple)) else [value]


def emptied(spec: arguments.Arguments, options: arguments.Options) -> list[str]:
    """A warning for an option with the word none that is left empty: an inventory in INI reads None as nothing."""
    return [
        "%s: it is empty, so the default counts, which is %s; write none in small letters if that is meant, as an"
        " inventory in INI format makes an empty value of None." % (name, option["default"])
        for name, option in spec.items()
        if "none" in option.get("choices", ()) and name in options and options[name] is None
    ]


# ---- values


def _items(what: str, option: Option, value: object) -> list[object]:
    """A list, or one item in the place of a list of one, or a text with commas between items."""
    of_dictionaries = option.get("elements") == "dict"
    if of_dictionaries and isinstance(value, str):
        value = _from_json(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    if of_dictionaries or isinstance(value, (bool, t.Mapping)):
        raise _wrong(what, value, _as_list(option, value))
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else [value]


def _from_json(given: str) -> object:
    """A list that was given on the command line, as -e NAME=[...]."""
    try:
        return json.loads(given)
    except ValueError:
        return given


def _read_scalar(what: str, option: Option, value: object) -> object:
    if option.get("choices"):
        return _read_choice(what, option["choices"], value)
    reader = _READERS.get(option.get("type", "str"))
    return value if reader is None else reader(what, value)


def _read_choice(what: str, choices: t.Sequence[str], value: object) -> str:
    found = str(value)
    if found not in choices and found.lower() not in choices:
        raise _wrong(what, value, "one of %s" % ", ".join(choices))
    return found if found in choices else found.lower()


def _read_number(what: str, value: object) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not (whole or re.fullmatch(r"\s*[+-]?\d{1,18}\s*", str(value))):
        raise _wrong(what, value, "a whole number")
    return int(t.cast("int | float | str", value))


def _read_decimal(what: str, value: object) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not re.fullmatch(r"\s*[+-]?\d{1,18}(\.\d{1,18})?\s*", str(value)):
        raise _wrong(what, value, "a number")
    return float(str(value))


def _read_flag(what: str, value: object) -> bool:
    found = find_flag(value)
    if found is None:
        raise _wrong(what, value, "true or false")
    return found


def _read_dictionary(what: str, value: object, spec: arguments.Arguments | None = None) -> arguments.Options:
    if not isinstance(value, t.Mapping):
        raise _wrong(what, value, "a dictionary with the options %s" % ", ".join(spec) if spec else "a dictionary")
    return dict(value)


_READERS: t.Mapping[str, t.Callable[[str, t.Any], object]] = {
    "str": text,
    "int": _read_number,
    "float": _read_decimal,
    "bool": _read_flag,
    "dict": _read_dictionary,
}


def find_flag(value: object) -> bool | None:
    """Yes or no in every spelling that Ansible takes; None for anything else."""
    return _FLAGS.get(str(value).strip().lower()) if isinstance(value, (str, int, float)) else None


# ---- what errors say


def _about(title: str, what: str) -> str:
    return "%s: %s" % (title, what) if title else what


def _missing(title: str, name: str) -> model.InvalidRequest:
    return model.InvalidRequest(_about(title, "the option %s is missing." % name))


def _wrong(what: str, value: object, remedy: str) -> model.InvalidRequest:
    """The error for a value of the wrong kind."""
    return model.InvalidRequest(_about(what, "got %s; write %s." % (kind_of(value), remedy)))


def _unknown(name: str, spec: arguments.Arguments, value: arguments.Options) -> str:
    from difflib import get_close_matches  # only errors need it

    close = get_close_matches(name, spec, 1, 0.75)
    if close:
        return "there is no option %s; did you mean %s?" % (name, close[0])
    if "name" in spec and len(value) == 1 and isinstance(next(iter(value.values())), (t.Mapping, type(None))):
        return "there is no option %s; if that is the name, write name: %s, with the options beside it." % (name, name)
    return "there is no option %s; the options are %s." % (name, ", ".join(spec))


def _as_list(option: Option, value: object) -> str:
    """The form of a list, for a message."""
    options = option.get("options")
    if not options:
        return "a list, with a dash before each item"
    if not isinstance(value, t.Mapping):
        return "a list, each item as %s" % _dictionary(options, value)
    first = next(iter(value), "NAME")
    if "name" in options and first not in options:
        return "a list, each item with its name, as in - name: %s" % first
    return "a list, with a dash before each item"


def _dictionary(spec: arguments.Arguments, value: object) -> str:
    """The form of a dictionary with these options, as an item of a list, for a message."""
    if "name" not in spec:
        return "a dictionary with the options %s" % ", ".join(spec)
    simple = isinstance(value, str) and re.fullmatch(r"[\w.@+-]{1,63}", value)
    return "a dictionary that begins with - name: %s" % (value if simple else "NAME")
