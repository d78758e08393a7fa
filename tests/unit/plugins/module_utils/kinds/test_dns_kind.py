# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request, StepFailed
from ansible_collections.dockerless.network.plugins.module_utils.gather import gather
from ansible_collections.dockerless.network.plugins.module_utils.kernel.units import Unit
from ansible_collections.dockerless.network.plugins.module_utils.kinds import name_service
from ansible_collections.dockerless.network.plugins.module_utils.kinds.dns import DnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.endpoint_service import EndpointServiceKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.name_service import (
    OPENER,
    SERVER,
    UNIT,
    unit_text,
)
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import NAMES_FILE, NAMES_SERVED, NAMES_UNIT
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    Conflict,
    NameEntry,
    Namespace,
    NameView,
    Place,
    PortRange,
    PublishedPort,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
    world,
)

WANTED = f"/etc/systemd/system/multi-user.target.wants/{NAMES_UNIT}"


class SystemdHost(MemoryHost):
    """With the parts of systemd, and of our own opener, that the kind meets."""

    def __init__(self) -> None:
        super().__init__()
        self.systemd = True
        self.version = "systemd 252 (252.39-1~deb12u2)\n+PAM"
        self.pythons = ["/usr/bin/python3"]  # that have dnspython
        self.holders: dict[str, str] = {}  # who listens on our address, by namespace
        self.runs = False
        self.begins = False  # whether it starts by itself just now

    def call(self, argv: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        if tuple(argv) == ("systemctl", "--version"):
            return 0, self.version, ""
        if argv[:2] == ("systemctl", "start"):
            assert self.begins and argv[-1] == NAMES_UNIT
            self.begins = False
            return (0 if self.runs else 1), "", ""
        assert argv[1:3] == ("-I", "-c")
        return (0 if argv[0] in self.pythons else 1), "", ""

    def port_holder_in(self, place: Place, port: PublishedPort) -> str:
        return self.holders.get(place.netns or "", "")

    def execute(self, argv: Sequence[str], text: str) -> None:
        super().execute(argv, text)
        verb = argv[1]
        if verb in ("start", "restart", "stop"):
            self.runs = verb != "stop"
        if verb in ("start", "restart"):
            assert self.files.get(UNIT)
            views = json.loads(self.files[NAMES_FILE])["views"]
            names = [netns for view in views for netns in view["endpoints"] if netns in self.names]
            found = {name: self.names[name].inode for name in names if name not in self.holders}
            self.files[NAMES_SERVED] = "".join("%d %s\n" % (inode, name) for name, inode in found.items())
        if verb == "enable":
            self.files[WANTED] = self.files[UNIT]
        if verb == "disable":
            self.files.pop(WANTED, None)

    def read_units(self, names: Sequence[str]) -> Mapping[str, Unit]:
        state = "activating" if self.begins else "active" if self.runs else "inactive"
        return {name: Unit(name, active=state) for name in names}

    def told(self) -> list[str]:
        """The calls of systemctl since the last time, without the options for waiting."""
        found = [" ".join(word for word in words if not word.startswith("--")) for words in self.systemctl]
        self.systemctl.clear()
        return [words.replace(" " + NAMES_UNIT, "") for words in found]


def entry(address: str, *names: str) -> NameEntry:
    return NameEntry(ipaddress.ip_address(address), names)


LOCAL = ipaddress.ip_address("127.0.0.53")
DB = entry("10.20.0.3", "db", "db.blue")


def view(netns: str = "web", *entries: NameEntry, **more: Any) -> NameView:
    given = {"domains": ("blue",), "subnets": (ipaddress.ip_network("10.20.0.0/24"),), "network": "blue", **more}
    return NameView(netns, entries or (DB,), **given)


def wanted(*views: NameView, absent: Sequence[str] = ()) -> list[Request]:
    kind = DnsKind()
    going = [Request(kind, NameView(netns, network="blue"), "absent") for netns in absent]
    return [*going, *(Request(kind, item) for item in views)]


@pytest.fixture
def host() -> SystemdHost:
    made = SystemdHost()
    for name in ("web", "db"):
        made.make_namespace(name)
    return made


def views(host: MemoryHost) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(host.files[NAMES_FILE])["views"]
    return found


def test_the_first_server_brings_the_service_and_the_last_takes_it_away(host: SystemdHost) -> None:
    before = dict(host.files)
    made = converge(host, *wanted(view("web"), view("db")))
    assert host.told() == ["daemon-reload", "start", "enable"]
    assert [o["title"] for o in made.objects] == ["DNS server of endpoint web", "DNS server of endpoint db"]
    assert set(host.files) - set(before) == {NAMES_FILE, NAMES_SERVED, OPENER, SERVER, UNIT, WANTED}
    assert host.files[UNIT] == unit_text("/usr/bin/python3")
    assert views(host)[0]["endpoints"] == {"db": "blue", "web": "blue"}
    assert views(host)[0]["names"] == {"db": ["10.20.0.3"], "db.blue": ["10.20.0.3"]}
    converge(host, *wanted(absent=["web", "db"]))
    assert host.files == before
    assert host.told() == ["disable", "stop", "daemon-reload"]


def test_its_unit_is_not_taken_into_an_endpoint_in_the_same_run(host: SystemdHost) -> None:
    before = dict(host.files)
    into = ask(EndpointServiceKind(), {"unit": NAMES_UNIT, "netns": "web"})

    with pytest.raises(Conflict, match=r"^Unit dockerless-names\.service cannot run on .* and run in /run/netns/web"):
        once(host, *wanted(view("web")), into)

    assert (host.files, host.told()) == (before, [])


def test_names_change_without_a_word_to_the_service(host: SystemdHost) -> None:
    once(host, *wanted(view("web"), view("db")))
    host.told()
    changed = converge(host, *wanted(view("web", DB, entry("10.20.0.9", "job")), view("db")))
    assert host.told() == []
    assert "job" in changed.after and "job" not in changed.before
    assert [sorted(item["names"]) for item in views(host)] == [["db", "db.blue"], ["db", "db.blue", "job"]]
    # another run that has only one of them in its list
    converge(host, *wanted(view("db", entry("10.20.0.4", "db"))))
    assert sorted(netns for item in views(host) for netns in item["endpoints"]) == ["db", "web"]


def test_what_an_endpoint_is_called_comes_before_all_aliases(host: SystemdHost) -> None:
    """Also before those that others share with it."""
    job, web = entry("10.20.0.4", "job", "job.blue", "a"), entry("10.20.0.2", "a-web", "a-web.blue", "jobs", "a")
    converge(host, *wanted(view("web", web, job, entry("fd00:20::4", "job", "job.blue"))))
    (found,) = views(host)
    assert list(found["names"]) == ["a-web", "job", "a", "a-web.blue", "job.blue", "jobs"]
    assert found["names"]["job"] == ["10.20.0.4", "fd00:20::4"]
    assert found["names"]["a"] == ["10.20.0.2", "10.20.0.4"]


def test_a_server_more_or_less_is_a_restart(host: SystemdHost) -> None:
    once(host, *wanted(view("web")))
    host.told()
    converge(host, *wanted(view("web"), view("db")))
    converge(host, *wanted(view("web"), absent=["db"]))
    assert host.told() == ["restart", "restart"]
    assert host.files[NAMES_SERVED].split()[1:] == ["web"]


def test_a_namespace_made_anew_gets_a_server_in_the_same_run(host: SystemdHost) -> None:
    once(host, *wanted(view("web")))
    host.delete_namespace("web")
    host.told()
    made = converge(host, Request(NetnsKind(), Namespace("web")), *wanted(view("web")))
    assert made.changed and host.told() == ["restart"]
    assert host.files[NAMES_SERVED] == "%d web\n" % host.names["web"].inode


@pytest.mark.parametrize("path", [OPENER, SERVER, UNIT, WANTED, NAMES_SERVED, NAMES_FILE])
def test_what_somebody_took_away_comes_back(host: SystemdHost, path: str) -> None:
    once(host, *wanted(view("web")))
    there = dict(host.files)
    del host.files[path]
    converge(host, *wanted(view("web")))
    assert host.files == there


def test_a_service_that_was_stopped_is_started(host: SystemdHost) -> None:
    once(host, *wanted(view("web")))
    host.told()
    host.runs = False
    seen = once(host, *wanted(view("web")), check_mode=True)
    assert f'  done: ["systemctl start --job-mode=ignore-dependencies {NAMES_UNIT}"]\n' in seen.after
    converge(host, *wanted(view("web")))
    assert host.told() == ["start"]


def test_a_namespace_that_gets_its_name_back_is_entered_by_who_lives_there(host: SystemdHost) -> None:
    """It has no file until the step that gives it one."""
    asked: list[Place] = []
    host.port_holder_in = lambda place, port: asked.append(place) or ""  # type: ignore[method-assign,func-returns-value]
    host.start_process(7)
    looking = world(host)
    looking.places.attach("web", Place(pid=7))
    looking.port_holder_in(Place(netns="web"), PublishedPort("udp", PortRange(53, 53), LOCAL, 53, LOCAL))
    assert asked == [Place(pid=7)]


def test_a_name_server_behind_an_interface_of_the_host_that_is_not_there_is_told(host: SystemdHost) -> None:
    host.uplink("eth0")
    asked = tuple(ipaddress.ip_address(server) for server in ("fe80::1%eth0", "fe80::2%wan7"))

    made = converge(host, *wanted(view("web", nameservers=asked), view("db", nameservers=asked)))
    assert made.warnings == (
        "There is no interface wan7 on this host now, by which the name server fe80::2%wan7 is asked for: web, db.",
    )
    assert views(host)[0]["nameservers"] == ["fe80::1%eth0", "fe80::2%wan7"]


def test_who_listens_there_already_is_named_and_left_alone(host: SystemdHost) -> None:
    host.holders["web"] = "process 7 (dnsmasq) listens on port 53 of every address"
    made = converge(host, *wanted(view("web"), view("db")))
    assert [text for text in made.warnings if "Endpoint web" in text and "process 7 (dnsmasq)" in text]
    assert host.files[NAMES_SERVED].split()[1:] == ["db"]
    host.holders.clear()
    assert converge(host, *wanted(view("web"), view("db"))).changed
    assert host.files[NAMES_SERVED].split()[1::2] == ["db", "web"]


def test_what_a_host_lacks_is_refused(host: SystemdHost) -> None:
    host.pythons = []
    with pytest.raises(Conflict, match="python3-dnspython"):
        converge(host, *wanted(view("web")))
    host.version = "systemd 245 (245.4)"
    with pytest.raises(Conflict, match="needs systemd 246, and this host has 245"):
        converge(host, *wanted(view("web")))
    host.systemd = False
    with pytest.raises(Conflict, match="systemd as PID 1"):
        converge(host, *wanted(view("web")))


def test_programs_that_cannot_be_read_are_needed_only_where_there_are_none(
    host: SystemdHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(name: str) -> str:
        raise Conflict("under Mitogen")

    with monkeypatch.context() as mitogen:
        mitogen.setattr(name_service, "program_text", unreadable)
        with pytest.raises(Conflict, match="Mitogen"):
            converge(host, *wanted(view("web")))
    converge(host, *wanted(view("web")))
    kept = host.files[SERVER]
    monkeypatch.setattr(name_service, "program_text", unreadable)
    assert converge(host, *wanted(view("web"), view("db"))).changed
    assert host.files[SERVER] == kept


@pytest.mark.parametrize("path", [OPENER, SERVER, UNIT, NAMES_FILE])
def test_a_file_of_somebody_else_is_refused(host: SystemdHost, path: str) -> None:
    host.files[path] = "mine\n"
    with pytest.raises(Conflict, match=path):
        converge(host, *wanted(view("web")))
    assert host.files[path] == "mine\n"


def test_a_service_that_does_not_start_leaves_nothing(host: SystemdHost) -> None:
    before = dict(host.files)
    host.fail_at = 6
    with pytest.raises(StepFailed, match="dockerless-names"):
        once(host, *wanted(view("web")))
    assert host.files == before


@pytest.mark.parametrize(("succeeds", "told"), [(True, []), (False, ["start"])])
def test_a_service_that_starts_by_itself_is_waited_for(host: SystemdHost, succeeds: bool, told: list[str]) -> None:
    once(host, *wanted(view("web")))
    host.told()
    host.begins, host.runs = True, succeeds
    assert once(host, *wanted(view("web"))).changed is not succeeds
    assert host.told() == told


def test_the_report_tells_who_has_a_server(host: SystemdHost) -> None:
    assert gather(world(host)).views == ()
    once(host, *wanted(view("web")))
    assert gather(world(host)).views == (NameView("web", network="blue"),)


def test_the_diff_shows_the_names_that_differ_and_the_result_none(host: SystemdHost) -> None:
    many = [entry("10.20.0.9", "n%02d" % number) for number in range(12)]
    made = converge(host, *wanted(view("web", DB, *many), view("db")))
    assert "\n    n08: [" in made.after and "n09" not in made.after and "more: 4" in made.after
    assert [sorted(told) for told in made.objects] == 2 * [["network", "state", "title"]]

    more = converge(host, *wanted(view("web", DB, entry("10.20.0.8", "new"), *many), view("db")))
    assert "    new: [" in more.after and "n0" not in more.after and "  names:" not in more.before


def test_a_thousand_endpoints_of_one_network_share_a_view(host: SystemdHost) -> None:
    entries = [entry("10.20.%d.%d" % divmod(n, 250), "e%d" % n) for n in range(200)]
    once(host, *wanted(*(view("e%d" % n, *entries) for n in range(200))))
    assert len(views(host)) == 1
    assert len(host.files[NAMES_FILE]) < 15000
