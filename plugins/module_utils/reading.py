# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dictionaries of options, read by an argument spec.

Values mean what they mean to Ansible: a flag in any spelling, a number as text, one word for a list of one. Ansible
itself does not read them, because its errors cannot name the network and the endpoint, nor say what to write instead.
"""

from __future__ import annotations

import json
import re
import typing as t

from .arguments import Arguments
from .model import InvalidRequest, enumerate_few

Option = t.Mapping[str, t.Any]
Options = dict[str, t.Any]

# What one item of these lists is called in errors.
_SINGULAR = {"networks": "network", "endpoints": "endpoint"}
# Options that take names of objects, which may consist of digits. What is looked up by DNS may not.
_NAMES = frozenset(("name", "network", "project", "bridge", "netns", "interface", "unit", "services", "endpoint"))
_NAMES |= {"asked_by", "out_interface", "in_interfaces", "trusted_interfaces", "route_localnet"}
_FLAGS = dict.fromkeys(("y", "yes", "on", "1", "1.0", "true", "t"), True)
_FLAGS.update(dict.fromkeys(("n", "no", "off", "0", "0.0", "false", "f"), False))


def read(title: str, spec: Arguments, value: t.Any) -> Options:
    """A dictionary of options as ``spec`` has them; raises InvalidRequest. What is left out is None."""
    if not isinstance(value, t.Mapping):
        raise InvalidRequest("%s: a dictionary of options is needed, not %s." % (title, shown(value)))
    for name in value:
        if name not in spec:
            raise InvalidRequest(_about(title, _unknown(str(name), spec, value)))
    return {name: _read_option(title, name, option, value.get(name)) for name, option in spec.items()}


def _read_option(title: str, name: str, option: Option, value: t.Any) -> t.Any:
    # A template gives an empty text where something is left out.
    if value is None or (value == "" and option["type"] != "raw"):
        if option.get("required"):
            raise InvalidRequest(_about(title, "the option %s is missing." % name))
        return None
    if option["type"] == "list":
        return read_list(title, name, option, value)
    what = _about(title, name)
    if option.get("options") and option["type"] == "dict":
        return read(what, option["options"], value)
    return _read_scalar(what, option["type"], option.get("choices"), value)


def read_list(title: str, name: str, option: Option, value: t.Any) -> list[t.Any]:
    if option["elements"] == "dict":
        return [read(place, option["options"], item) for place, item in titled(title, name, option, value)]
    what = _about(title, name)
    items = _items(what, option, value)
    return [_read_scalar(what, option["elements"], None, item) for item in items]


def titled(title: str, name: str, option: Option, value: t.Any) -> t.Iterator[tuple[str, t.Mapping[str, t.Any]]]:
    """The dictionaries in a list, each with what errors call it."""
    what = _about(title, name)
    for number, item in enumerate(_items(what, option, value), 1):
        if not isinstance(item, t.Mapping):
            remedy = _dictionary(option["options"], item)
            raise InvalidRequest("%s: item %d is %s; write it as %s." % (what, number, shown(item), remedy))
        yield _about(title, _called(name, number, item)), item


def _called(name: str, number: int, item: t.Mapping[str, t.Any]) -> str:
    own = item.get("name") if name in _SINGULAR else None
    named = isinstance(own, (str, int)) and not isinstance(own, bool) and own != ""
    return "%s %s" % (_SINGULAR[name], own) if named else "%s, item %d" % (name, number)


def _items(what: str, option: Option, value: t.Any) -> list[t.Any]:
    of_dictionaries = option["elements"] == "dict"
    if of_dictionaries and isinstance(value, str):
        value = _from_json(value)
    if isinstance(value, (list, tuple)):
        items = list(value)
    elif isinstance(value, t.Mapping) or of_dictionaries:
        raise InvalidRequest("%s: a list is needed, not %s; %s." % (what, shown(value), _as_list(option, value)))
    else:
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else [value]
    for number, item in enumerate(items, 1):
        if item is None:
            raise InvalidRequest("%s: item %d is empty; give it a value, or remove its dash." % (what, number))
    return items


def unquoted(spec: Arguments, value: t.Mapping[str, t.Any]) -> list[str]:
    """What to say of names that are numbers to YAML, to which 0123 is 83: what was written cannot be told any more."""
    found = list(_unquoted("", spec, value))
    if not found:
        return []
    number = found[0][1]
    others = ["0%o" % number] + (["%d:%02d" % divmod(number, 60)] if number >= 60 else [])
    return [
        "%s: a number that is a name is taken in decimal digits, but YAML makes %d of an unquoted %s as well; write it"
        " in quotes, and in a template with | string."
        % (enumerate_few([place for place, unused in found]), number, " or ".join(others))
    ]


def _unquoted(title: str, spec: Arguments, value: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, int]]:
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


def _from_json(text: str) -> t.Any:
    """A list that was given on the command line, as -e NAME=[...]."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_scalar(what: str, kind: str, choices: t.Sequence[str] | None, value: t.Any) -> t.Any:
    if kind == "raw":
        return value
    if choices:
        text = str(value)
        if text not in choices and text.lower() not in choices:
            raise InvalidRequest("%s: %s is not one of %s." % (what, shown(value), ", ".join(choices)))
        return text if text in choices else text.lower()
    return _READERS[kind](what, value)


def _read_text(what: str, value: t.Any) -> str:
    if isinstance(value, str):
        return str(value)
    # YAML makes a date of one way to write it only
    is_date = hasattr(value, "isoformat") and not hasattr(value, "hour")
    if is_date or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    if isinstance(value, (bool, float)) or hasattr(value, "isoformat"):
        raise InvalidRequest("%s: YAML reads this as %s; write the text in quotes." % (what, shown(value)))
    raise InvalidRequest("%s: a text is needed, not %s." % (what, shown(value)))


def _read_number(what: str, value: t.Any) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not (whole or re.fullmatch(r"\s*[+-]?\d{1,18}\s*", str(value))):
        raise InvalidRequest("%s: a whole number is needed, not %s." % (what, shown(value)))
    return int(value)


def _read_flag(what: str, value: t.Any) -> bool:
    found = find_flag(value)
    if found is None:
        raise InvalidRequest("%s: true or false is needed, not %s." % (what, shown(value)))
    return found


def _read_dictionary(what: str, value: t.Any) -> Options:
    if not isinstance(value, t.Mapping):
        raise InvalidRequest("%s: a dictionary is needed, not %s." % (what, shown(value)))
    return dict(value)


_READERS: t.Mapping[str, t.Callable[[str, t.Any], t.Any]] = {
    "str": _read_text,
    "int": _read_number,
    "bool": _read_flag,
    "dict": _read_dictionary,
}


def find_flag(value: t.Any) -> bool | None:
    return _FLAGS.get(str(value).strip().lower()) if isinstance(value, (str, int, float)) else None


# ---- what errors say


def _about(title: str, text: str) -> str:
    return "%s: %s" % (title, text) if title else text


def shown(value: t.Any) -> str:
    """A value as a person would write it or call it."""
    if value is None:
        return "nothing"
    if isinstance(value, t.Mapping):
        keys = [str(key) for key in value]
        more = ", …" if len(keys) > 3 else ""
        return "a dictionary (%s%s)" % (", ".join(keys[:3]), more) if keys else "an empty dictionary"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return repr(text if len(text) <= 60 else text[:60] + "…") if isinstance(value, str) else text


def _unknown(name: str, spec: Arguments, value: t.Mapping[str, t.Any]) -> str:
    from difflib import get_close_matches  # only errors need it

    close = get_close_matches(name, spec, 1, 0.75)
    if close:
        return "there is no option %s; did you mean %s?" % (name, close[0])
    if "name" in spec and len(value) == 1 and isinstance(next(iter(value.values())), (t.Mapping, type(None))):
        return "there is no option %s; if that is the name, write name: %s, with the options beside it." % (name, name)
    return "there is no option %s; the options are %s." % (name, ", ".join(spec))


def _as_list(option: Option, value: t.Any) -> str:
    """How to write what should be a list."""
    if option["elements"] != "dict":
        return "write each item on a line of its own that begins with a dash"
    if not isinstance(value, t.Mapping):
        return "write each item as %s" % _dictionary(option["options"], value)
    first = next(iter(value), "NAME")
    if "name" in option["options"] and first not in option["options"]:
        return "write each of them as an item with its name, as in - name: %s" % first
    return "begin each item with a dash"


def _dictionary(spec: Arguments, value: t.Any) -> str:
    """How to write what should be a dictionary with these options."""
    if "name" not in spec:
        return "a dictionary with the options %s" % ", ".join(spec)
    simple = isinstance(value, str) and re.fullmatch(r"[\w.@+-]{1,63}", value)
    return "a dictionary that begins with - name: %s" % (value if simple else "NAME")
