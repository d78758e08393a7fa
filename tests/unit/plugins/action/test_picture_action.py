# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.dockerless.network.plugins.action.picture import drawn
from ansible_collections.dockerless.network.tests.unit.plugins.plugin_utils.test_picture import what_is_there


def test_lines_are_shown_as_they_are() -> None:
    assert drawn({"lines": ["a │ b", ""]}, "h1") == ["a │ b", ""]
    assert drawn({"info": what_is_there()}, "h1")[0].startswith("h1  ")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "either info"),
        ({"info": what_is_there(), "lines": []}, "either info"),
        ({"lines": "a text"}, "not a list"),
        ({"info": {"stdout": "x"}}, "network_info returned"),
    ],
)
def test_anything_else_is_refused(args: dict[str, t.Any], words: str) -> None:
    with pytest.raises(AnsibleActionFail, match=words):
        drawn(args, "h1")
