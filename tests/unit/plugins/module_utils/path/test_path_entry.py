# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.path.entry import ARGUMENTS, question_of, target


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("192.0.2.1", ("192.0.2.1", None, "")),
        ("192.0.2.1:443", ("192.0.2.1", 443, "")),
        ("2001:db8::1", ("2001:db8::1", None, "")),
        ("[2001:db8::1]:53/udp", ("2001:db8::1", 53, "udp")),
        ("db.back:5432", ("db.back", 5432, "")),
        ("db/icmp", ("db", None, "icmp")),
    ],
)
def test_where_it_goes_may_say_port_and_protocol(text: str, meaning: t.Any) -> None:
    assert target(text) == meaning


def question(check_mode: bool = False, **options: t.Any) -> t.Any:
    defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
    return question_of({**defaults, "from": "web", "to": "db", **options}, check_mode)


def test_without_a_port_it_pings() -> None:
    assert (question().protocol, question(port=80).protocol) == ("icmp", "tcp")


def test_check_mode_sends_nothing() -> None:
    assert question().active and not question(check_mode=True).active


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "udp"}, "required for protocol udp"),
        ({"protocol": "icmp", "port": 7}, "icmp has no ports"),
        ({"port": 0}, "0 is not a valid port"),
        ({"port": 70000}, "70000 is not a valid port"),
        ({"to": "db:80", "port": 81}, "`to` has port 80"),
        ({"to": "db:80/gre"}, "gre is not a valid protocol"),
        ({"to": "app:http"}, "^to: app:http: http is no port number; write one like 80"),
        ({"to": "[2001:db8::1]:domain/udp"}, "domain is no port number"),
        ({"to": "app:80/TCP"}, "TCP is not a valid protocol; write one of tcp"),
        ({"size": 10}, "10 is not a valid size"),
        ({"timeout": 0.0}, "more than 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        question(**options)
