# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.text import to_yaml


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, ""),
        ({"a": {}}, "a: {}\n"),
        ({"a": []}, "a: []\n"),
        ({"a": 1, "b": True, "c": None, "d": "x"}, "a: 1\nb: true\nc: null\nd: x\n"),
        (
            {"a": "1", "b": "true", "c": "No", "d": "", "e": "a: b", "f": "~"},
            'a: "1"\nb: "true"\nc: "No"\nd: ""\ne: "a: b"\nf: "~"\n',
        ),
        (
            {"bridge br-blue": {"addresses": ["10.20.0.1/24", "x"]}},
            'bridge br-blue:\n  addresses: ["10.20.0.1/24", x]\n',
        ),
        ({"routes": ["default via 10.20.0.1"]}, "routes: [default via 10.20.0.1]\n"),
        (
            {"allow": [{"from": "::/0", "to": "x"}, {"to": "z"}], "last": 1},
            'allow:\n  - from: "::/0"\n    to: x\n  - to: z\nlast: 1\n',
        ),
        ({"a": {"b": {"c": [1, "x"]}}}, "a:\n  b:\n    c: [1, x]\n"),
        ({"out": "!br-blue"}, 'out: "!br-blue"\n'),
        (
            {"kept": ["port %d/tcp" % number for number in range(8080, 8088)], "last": 1},
            "kept:\n%slast: 1\n" % "".join("  - port %d/tcp\n" % number for number in range(8080, 8088)),
        ),
        (
            {"needs": ["add rule " + "accept " * 20 + "x"], "last": 1},
            "needs:\n  - >-\n    add rule%s\n    %s x\nlast: 1\n" % (" accept" * 13, " ".join(["accept"] * 7)),
        ),
    ],
)
def test_short_yaml(value: dict[str, Any], text: str) -> None:
    assert to_yaml(value) == text


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(max_size=12)
    | st.text("abyno_-./:!@# ,[]{}\"'%&*|>?=~0123456789", max_size=12)
    | st.sampled_from(
        ["null", "Null", "~", "yes", "OFF", "n", "1e3", "0x1f", "2026-11-21", "22:22", "<<", "=", "-", "---", "!x"]
    )
)
KEYS = st.text("abyno_-./:!@ 0123456789", min_size=1, max_size=10) | st.sampled_from(["bridge br0", "true", "1", "~"])
# A list holds scalars, or dictionaries; a dictionary in a list is not empty.
LISTS = st.lists(SCALARS, max_size=4)
VALUES = st.recursive(
    SCALARS | LISTS,
    lambda some: (
        st.dictionaries(KEYS, some, max_size=3)
        | st.lists(st.dictionaries(KEYS, some, min_size=1, max_size=3), min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
@example({"a": "# one\n\n  two\tthree\n"})
@example({"a": " one\ntwo\n"})
@example({"a": "one \ntwo\n\n"})
@example({"a": "\x85"})
@example({"a": "\ufeff\u2028"})
@example({"a": "\U0001f600"})
@example({"a": "two words " * 20 + "x", "b": ["# two words " * 20 + "x", 1], "c": [{"x": "- y " * 50 + "z"}]})
@example({"a": " two words" * 20, "b": "two  words" * 20, "c": "x" * 200, "d": "x\u2028y " * 50, "e": ["x"] * 60})
def test_yaml_reads_back_what_was_written(value: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")

    text = to_yaml(value)

    assert (yaml.safe_load(text) or {}) == value
    assert text == "" or text.endswith("\n")


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_no_line_has_blanks_at_its_end(value: dict[str, Any]) -> None:
    assert not any(line.endswith(" ") for line in to_yaml(value).split("\n"))
