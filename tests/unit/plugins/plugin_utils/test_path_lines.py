# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.dockerless.network.plugins.filter.path import FilterModule

path = FilterModule().filters()["path"]


def hop(place: str, direction: str, found: str, layer: str = "link", of: str = "eth0") -> dict[str, str]:
    return {"place": place, "direction": direction, "layer": layer, "object": of, "found": found}


def result(**more: t.Any) -> dict[str, t.Any]:
    facts = {"verdict": "arrives", "layer": None, "place": "web", "reason": "the answer came back", "advice": ""}
    return {**facts, "packet": "10.20.0.2 > 10.20.0.3:80/tcp", "hops": [], "conntrack": [], **more}


def test_the_way_there_and_back_stands_in_columns() -> None:
    hops = [hop("web", "there", "out A"), hop("host", "back", "in B", of="v-blue-web")]
    assert path(result(hops=hops), "h1") == [
        "10.20.0.2 > 10.20.0.3:80/tcp",
        "  >  web  link eth0        out A",
        "  <  h1   link v-blue-web  in B",
        "ARRIVES: the answer came back",
    ]


def test_what_ended_the_way_comes_with_what_mends_it() -> None:
    found = result(verdict="lost", layer="link", place="host: br-blue", reason="it is down", advice="ip link set up")
    assert path(found, "h1")[1:] == ["LOST at h1: br-blue, link: it is down", "To fix it: ip link set up"]


def test_the_owner_of_what_ended_it_is_named() -> None:
    found = result(
        verdict="lost", layer="firewall", place="host", owner="Docker", reason="it drops", advice="accept it"
    )
    assert path(found, "h1")[1:] == ["LOST at h1, firewall: it drops", "Owner: Docker", "To fix it: accept it"]


def test_an_entry_of_connection_tracking_shows_both_directions() -> None:
    entry = {"place": "host", "original": "A > B", "reply": "B > C", "state": "answered"}
    assert path(result(conntrack=[entry]))[1] == "  conntrack of host: A > B, answered as B > C (answered)"


def test_anything_else_is_refused() -> None:
    with pytest.raises(AnsibleFilterError):
        path({"networks": []})
