# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.reading import as_given, emptied, plain

SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str"},
    "kind": {},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "prune": {"type": "str", "choices": ["listed", "none"], "default": "listed"},
    "mtu": {"type": "int"},
    "timeout": {"type": "float"},
    "internal": {"type": "bool", "default": False},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "publish": {"type": "list", "elements": "raw"},
    "peer": {"type": "dict", "options": {"name": {"type": "str"}, "pid": {"type": "int"}}},
    "items": {"type": "list", "elements": "dict", "options": {"name": {"type": "str"}}},
    "routes": {"type": "list", "elements": "dict", "options": {"to": {"type": "str", "required": True}}},
    "raw": {"type": "raw"},
    "sysctls": {"type": "dict"},
}


def read(text: str) -> dict[str, Any]:
    return as_given(SPEC, yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name: web, mtu: 1500}", {"name": "web", "mtu": 1500}),
        ("{name: 7, kind: 8}", {"name": "7", "kind": "8"}),
        ("{name: '', mtu: '1500'}", {"name": "", "mtu": 1500}),
        # a key without a value
        ("{name: , mtu: , state: , internal: , addresses: , peer: , items: , raw: }", {}),
        ("{state: '', prune: , kind: ''}", {"kind": ""}),
        ("{peer: {name: , pid: 5}, items: [{name: }, ]}", {"peer": {"pid": 5}, "items": [{}]}),
        ("{internal: yes}", {"internal": True}),
        ("{timeout: 2}", {"timeout": 2.0}),
        ("{timeout: '0.5'}", {"timeout": 0.5}),
        # what -e key=value and INI make of it
        ("{internal: 'false'}", {"internal": False}),
        ("{internal: 'no'}", {"internal": False}),
        ("{internal: '0'}", {"internal": False}),
        ("{internal: ''}", {"internal": False}),
        ("{internal: 'True'}", {"internal": True}),
        ("{internal: 1}", {"internal": True}),
        # one in the place of a list, and texts with commas, as Ansible takes them
        ("{addresses: a}", {"addresses": ["a"]}),
        ("{addresses: 'a,b', publish: '80:80,81:81'}", {"addresses": ["a", "b"], "publish": ["80:80", "81:81"]}),
        ("{publish: 8080}", {"publish": [8080]}),
        ("{publish: [22:22, {host_port: 80}]}", {"publish": [1342, {"host_port": 80}]}),
        ("{addresses: ''}", {"addresses": []}),
        ("{peer: name=a, items: ['{\"name\": 1}']}", {"peer": "name=a", "items": ['{"name": 1}']}),
        ("{raw: no, sysctls: {a: no, b: null}}", {"raw": False, "sysctls": {"a": False, "b": None}}),
        ("{colour: null}", {"colour": None}),
    ],
)
def test_what_can_only_mean_one_thing_is_set_right(text: str, expected: dict[str, Any]) -> None:
    assert read(text) == expected


NO = "got the boolean false, which is what YAML makes of an unquoted no, off or false; write it in quotes."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: no}", "name: " + NO),
        ("{name: off}", "name: " + NO),
        ("{addresses: [off]}", "addresses: " + NO),
        ("{peer: {name: false}}", "peer: name: " + NO),
        ("{items: [{name: a}, {name: no}]}", "items, item 2: name: " + NO),
        ("{name: 1.10}", "name: got the number 1.1, which may not be what was written; write it in quotes."),
        ("{name: [a]}", "name: got a list; write a single text."),
        ("{name: {a: b}}", "name: got a dictionary (a); write a single text."),
        ("{state: no}", "state: got the boolean false; write one of present, absent."),
        ("{state: 'False'}", "state: got the text 'False'; write one of present, absent."),
        ("{prune: ''}", "prune: got the text ''; write one of listed, none."),
        ("{mtu: yes}", "mtu: got the boolean true; write a whole number."),
        ("{mtu: 1.5}", "mtu: got the number 1.5; write a whole number."),
        ("{mtu: big}", "mtu: got the text 'big'; write a whole number."),
        ("{timeout: soon}", "timeout: got the text 'soon'; write a number."),
        ("{timeout: ''}", "timeout: got the text ''; write a number."),
        ("{timeout: yes}", "timeout: got the boolean true; write a number."),
        ("{timeout: [1]}", "timeout: got a list; write a number."),
        ("{peer: {pid: [1]}}", "peer: pid: got a list; write a whole number."),
        ("{internal: maybe}", "internal: got the text 'maybe'; write true or false."),
        ("{internal: 2}", "internal: got the number 2; write true or false."),
        ("{internal: []}", "internal: got a list; write true or false."),
        ("{addresses: {a: b}}", "addresses: got a dictionary (a); write a list, with a dash before each item."),
        (
            "{items: no}",
            "items: got the boolean false; write a list, each item as a dictionary that begins with - name: NAME.",
        ),
        ("{items: [web]}", "items, item 1: got the text 'web'; write a dictionary with the options name."),
        ("{peer: [a]}", "peer: got a list; write a dictionary with the options name, pid."),
        ("{peer: 7}", "peer: got the number 7; write a dictionary with the options name, pid."),
        # a template without a value: to leave it out could open what the others close
        ("{addresses: [null, a]}", "addresses, item 1: got nothing; give it a value, or remove its dash."),
        ("{items: [{name: a}, null]}", "items, item 2: got nothing; give it a value, or remove its dash."),
        ("{routes: [{to: a}, {}]}", "routes, item 2: the option to is missing."),
        ("{routes: [{to: }]}", "routes, item 1: the option to is missing."),
    ],
)
def test_anything_else_is_refused_with_the_option_and_what_to_write(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(text)

    assert str(refused.value) == message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(SPEC)), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(SPEC)), VALUES, max_size=3))
def test_any_options_are_read_or_refused_in_one_sentence(options: dict[str, Any]) -> None:
    before = copy.deepcopy(options)
    try:
        found = as_given(SPEC, options)
    except InvalidRequest as error:
        assert (": got " in str(error) or str(error).endswith(" is missing.")) and "\n" not in str(error)
    else:
        assert None not in found.values()
    assert repr(options) == repr(before)


@pytest.mark.parametrize(
    ("text", "doubted"), [("{prune: }", True), ("{prune: None}", False), ("{state: , mtu: }", False), ("{}", False)]
)
def test_a_word_that_may_be_none_is_doubted_where_it_is_empty(text: str, doubted: bool) -> None:
    """An inventory in INI makes nothing of None, and the default may remove what was to stay."""
    wanted = (
        "prune: it is empty, so the default counts, which is listed; write none in small letters if that is meant, as"
        " an inventory in INI format makes an empty value of None."
    )
    assert emptied(SPEC, yaml.safe_load(text)) == ([wanted] if doubted else [])


def test_a_required_option_without_a_value_is_left_to_those_who_read_it() -> None:
    assert as_given({"networks": {"type": "raw", "required": True}}, {"networks": None}) == {"networks": None}


def test_a_flag_is_not_guessed() -> None:
    with pytest.raises(InvalidRequest, match=r"^icc: got an empty dictionary; write true or false.$"):
        as_given({"icc": {"type": "bool"}}, {"icc": {}})


class Lazy(list[Any]):
    """A container of a template's result: it must be read once, and never copied."""

    reads = 0

    def __iter__(self) -> Any:
        type(self).reads += 1
        return super().__iter__()

    def __deepcopy__(self, memo: object) -> Any:
        raise AssertionError("copied")


class LazyMapping(Mapping[str, Any]):
    def __init__(self, **items: Any) -> None:
        self._items = items

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Any:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __deepcopy__(self, memo: object) -> Any:
        raise AssertionError("copied")


def test_containers_become_plain_all_the_way_down_and_are_read_once() -> None:
    value = Lazy([LazyMapping(name="blue", endpoints=Lazy([LazyMapping(name="web", ports=(1, 2))]))])

    found = plain(value)

    assert found == [{"name": "blue", "endpoints": [{"name": "web", "ports": [1, 2]}]}]
    assert Lazy.reads == 2
    assert copy.deepcopy(found) == found
    assert [item.__class__ for item in (found, found[0], found[0]["endpoints"])] == [list, dict, list]


def test_what_is_no_container_stays_the_same_object() -> None:
    text = "a text that carries something"

    assert plain([text])[0] is text
