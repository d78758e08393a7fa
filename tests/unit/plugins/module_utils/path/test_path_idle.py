# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import typing as t

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import marks
from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import CommandError
from ansible_collections.dockerless.network.plugins.module_utils.kernel.units import Unit
from ansible_collections.dockerless.network.plugins.module_utils.path.idle import why

APP = ipaddress.ip_address("10.20.0.2")
SERVER = ipaddress.ip_address("127.0.0.53")


class OneHost:
    """A host with drop-ins of ours for units in the endpoint app."""

    def __init__(self, *units: Unit, resolver: str = "", fails: bool = False) -> None:
        self.units = {unit.name: unit for unit in units}
        self.resolver, self.fails = resolver, fails

    def folder(self, unused: str) -> list[str]:
        return ["%s.d" % name for name in self.units]

    def read_file(self, path: str) -> str | None:
        found = next((name for name in self.units if path == marks.drop_in(name)), "")
        where = "web" if found.startswith("other") else "app"
        return marks.service_mark(found, where, "blue") if found else None

    def look_file(self, path: str) -> str:
        assert path == "/etc/netns/app/resolv.conf"
        return self.resolver

    def read_units(self, names: t.Sequence[str]) -> dict[str, Unit]:
        if self.fails:
            raise CommandError(["systemctl"], 1, "")
        return {name: self.units[name] for name in names}


def told(host: t.Any, to: t.Any = APP, port: int = 80) -> t.Any:
    return why(host, "app", to, port)


def test_a_unit_that_does_not_run_is_started_by_the_advice() -> None:
    found = told(OneHost(Unit("hello.service"), Unit("other.service"), Unit("up.service", active="active")))
    assert found.reason == "and the unit in its `services` is not running: hello.service (inactive)"
    assert found.advice.endswith("see journalctl -u hello.service: systemctl start hello.service")


@pytest.mark.parametrize(
    "unit",
    [
        Unit("job.service", kind="oneshot"),
        Unit("job.service", triggers=("job.timer",)),
        Unit("job.service", load="masked"),
        Unit("job.service", active="activating"),
    ],
)
def test_a_unit_that_need_not_run_explains_nothing(unit: Unit) -> None:
    assert told(OneHost(unit)) is None


def test_without_an_answer_of_systemd_nothing_is_told() -> None:
    assert told(OneHost(Unit("hello.service"), fails=True)) is None


def test_our_own_dns_server_is_restarted_where_the_endpoint_asks_it() -> None:
    host = OneHost(resolver="# ours\nnameserver 127.0.0.53\n")
    found = told(host, SERVER, 53)
    assert (found.advice.rpartition(": ")[2], found.owner) == (
        "systemctl restart dockerless-names.service",
        "this collection",
    )
    assert told(host, APP, 53) is None and told(OneHost(resolver="nameserver 192.0.2.1\n"), SERVER, 53) is None
