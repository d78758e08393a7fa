# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome, StepFailed
from ansible_collections.dockerless.network.plugins.module_utils.info import facts
from ansible_collections.dockerless.network.plugins.module_utils.kernel import units
from ansible_collections.dockerless.network.plugins.module_utils.kinds.endpoint_service import EndpointServiceKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, InvalidRequest, Place
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
    world,
)

ETC = "/etc/systemd/system/"
DROP_IN = ETC + "nginx.service.d/dockerless-network.conf"
TARGET = ETC + "dockerless-endpoint@.target"
NGINX = {"unit": "nginx", "netns": "web"}
ANCHOR = ("start", "--job-mode=ignore-dependencies", "dockerless-endpoint@web.target")
RELOAD = ("daemon-reload",)


@pytest.fixture
def host() -> MemoryHost:
    made = MemoryHost()
    made.systemd = True
    made.pid1.install("nginx.service", runs=True, enabled=True)
    once(made, ask(NetnsKind(), {"name": "web"}), ask(NetnsKind(), {"name": "app"}))
    return made


def home(host: MemoryHost, unit: str = "nginx.service") -> str:
    """The namespace that a unit runs in; empty for the host's own."""
    pid = host.pid1.units[unit].pid
    inode = next(space.inode for space in host.spaces.values() if pid in space.processes)
    return next((name for name, entry in host.names.items() if entry.inode == inode), "")


def service(host: MemoryHost, state: str = "present", **options: Any) -> Outcome:
    return converge(host, ask(EndpointServiceKind(), {**NGINX, **options}, state))


# ---- into an endpoint


def test_a_service_of_the_host_moves_in(host: MemoryHost) -> None:
    outcome = service(host, network="blue", project="shop")

    assert home(host) == "web"
    assert host.systemctl == [RELOAD, ANCHOR, ("restart", "nginx.service")]
    assert host.files[DROP_IN].splitlines() == [
        "# dockerless.network: nginx.service runs in web, blue@shop; changes here are lost at the next run",
        "[Unit]",
        "BindsTo=dockerless-endpoint@web.target",
        "After=dockerless-endpoint@web.target",
        "",
        "[Service]",
        "NetworkNamespacePath=/run/netns/web",
    ]
    assert "AssertPathExists=/run/netns/%i\n" in host.files[TARGET]
    assert "After=dockerless-network.service\n" in host.files[TARGET]
    assert "Wants=" not in host.files[TARGET]  # a start during a run would wait for the end of the run
    assert outcome.services == ({"unit": "nginx.service", "netns": "web", "action": "restarted"},)
    assert outcome.objects[0]["runs"] == "in the endpoint"


def test_a_second_one_in_the_same_endpoint_finds_its_target_started(host: MemoryHost) -> None:
    host.pid1.install("app.service", enabled=True)  # it does not run, and is started as there was no endpoint before
    both = [ask(EndpointServiceKind(), {"unit": unit, "netns": "web"}) for unit in ("nginx", "app")]
    converge(host, *both)

    assert host.systemctl == [RELOAD, ANCHOR, ("restart", "nginx.service"), ("start", "app.service")]


def test_one_that_runs_there_is_left_alone(host: MemoryHost) -> None:
    service(host)
    pid = host.pid1.units["nginx.service"].pid

    assert service(host, network="blue").services == ()

    assert host.pid1.units["nginx.service"].pid == pid


def test_it_moves_from_one_endpoint_to_another(host: MemoryHost) -> None:
    service(host)

    service(host, netns="app")

    assert home(host) == "app"
    assert host.pid1.units["dockerless-endpoint@web.target"].active == "inactive"
    assert host.pid1.units["dockerless-endpoint@app.target"].active == "active"


def test_one_in_a_namespace_that_lost_its_name_runs_on_when_that_gets_it_back(host: MemoryHost) -> None:
    service(host)
    host.delete_namespace("web")

    converge(host, ask(NetnsKind(), {"name": "web"}), ask(EndpointServiceKind(), NGINX))

    assert home(host) == "web"
    assert host.systemctl[3:] == []


def test_one_in_a_namespace_that_was_removed_is_restarted_in_the_new_one(host: MemoryHost) -> None:
    service(host)
    once(host, ask(NetnsKind(), {"name": "web"}, "absent"))

    outcome = converge(host, ask(NetnsKind(), {"name": "web"}), ask(EndpointServiceKind(), NGINX))

    assert home(host) == "web"
    assert host.systemctl[3:] == [("restart", "nginx.service")]
    assert not any("still living" in warning for warning in outcome.warnings)


@pytest.mark.parametrize(("enabled", "active"), [(True, "active"), (False, "inactive")])
def test_one_that_does_not_run_is_started_if_it_is_enabled_and_could_not_start_before(
    host: MemoryHost, enabled: bool, active: str
) -> None:
    host.pid1.install("nginx.service", enabled=enabled)

    service(host)
    assert host.pid1.units["nginx.service"].active == active

    host.pid1.call(("stop", "nginx.service"))
    assert not service(host).changed  # somebody stopped it


def test_an_enabled_one_starts_when_its_namespace_is_made_anew(host: MemoryHost) -> None:
    service(host)
    host.pid1.call(("stop", "nginx.service"))
    host.delete_namespace("web")

    converge(host, ask(NetnsKind(), {"name": "web"}), ask(EndpointServiceKind(), NGINX))

    assert home(host) == "web"


def test_a_run_that_was_killed_before_systemd_read_the_files_is_finished_by_the_next(host: MemoryHost) -> None:
    host.cut_at = host.steps + 3
    with pytest.raises(KeyboardInterrupt):
        once(host, ask(EndpointServiceKind(), NGINX))
    host.cut_at = None
    assert (DROP_IN in host.files, home(host)) == (True, "")

    service(host)

    assert home(host) == "web"


def test_files_that_systemd_has_not_read_since_they_changed_are_read(host: MemoryHost) -> None:
    service(host)
    host.pid1.units["nginx.service"] = replace(host.pid1.units["nginx.service"], is_stale=True)
    assert once(host, ask(EndpointServiceKind(), NGINX)).commands == ("systemctl daemon-reload",)


def test_the_name_of_a_unit_may_be_an_alias(host: MemoryHost) -> None:
    host.pid1.aliases["www.service"] = "nginx.service"

    assert service(host, unit="www.service").objects[0]["unit"] == "nginx.service"
    assert DROP_IN in host.files


# ---- names


def test_it_has_the_files_of_its_namespace_and_no_resolver_of_the_host(host: MemoryHost) -> None:
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        host.files["/etc/netns/web/" + name] = host.files["/etc/" + name] = ""
    host.files["/run/systemd/resolve/stub-resolv.conf"] = ""

    assert service(host).objects[0]["names"] == ["hosts", "resolv.conf", "nsswitch.conf"]

    assert host.files[DROP_IN].splitlines()[7:] == [
        "BindReadOnlyPaths=/etc/netns/web/hosts:/etc/hosts",
        "BindReadOnlyPaths=/etc/netns/web/resolv.conf:/etc/resolv.conf",
        "BindReadOnlyPaths=/etc/netns/web/nsswitch.conf:/etc/nsswitch.conf",
        "InaccessiblePaths=-/run/nscd",
        "TemporaryFileSystem=/run/systemd/resolve:ro",
        "BindReadOnlyPaths=/etc/netns/web/resolv.conf:/run/systemd/resolve/stub-resolv.conf",
        "BindReadOnlyPaths=/etc/netns/web/resolv.conf:/run/systemd/resolve/resolv.conf",
    ]


def test_a_place_for_a_file_that_the_host_lacks_is_not_made(host: MemoryHost) -> None:
    host.files.update({"/etc/netns/web/hosts": "", "/etc/netns/web/resolv.conf": "", "/etc/hosts": ""})

    assert service(host).objects[0]["names"] == ["hosts"]


def test_new_names_restart_nobody(host: MemoryHost) -> None:
    service(host)
    host.files.update({"/etc/netns/web/hosts": "", "/etc/hosts": ""})

    outcome = service(host)

    assert outcome.commands[-1] == "systemctl daemon-reload"
    assert outcome.warnings == ("Unit nginx.service sees the names of its endpoint only after a restart.",)


def test_names_that_it_has_lost_are_mounted_again_while_it_runs(host: MemoryHost) -> None:
    host.files.update({"/etc/netns/web/hosts": "", "/etc/hosts": ""})
    service(host)
    pid = host.pid1.units["nginx.service"].pid
    host.pid1.unmounted.add((pid, "/etc/hosts"))

    outcome = service(host)

    assert outcome.commands == ("systemctl bind --read-only nginx.service /etc/netns/web/hosts /etc/hosts",)
    assert host.pid1.units["nginx.service"].pid == pid


def test_a_file_that_somebody_has_deleted_is_unmounted_first(host: MemoryHost) -> None:
    host.files.update({"/etc/netns/web/hosts": "", "/etc/hosts": ""})
    service(host)
    pid = host.pid1.units["nginx.service"].pid
    host.pid1.unmounted.add((pid, "/etc/hosts"))
    host.pid1.deleted.add((pid, "/etc/hosts"))

    assert service(host).commands == (
        "nsenter --target %d --mount umount /etc/hosts" % pid,
        "systemctl bind --read-only nginx.service /etc/netns/web/hosts /etc/hosts",
    )


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_unit_that_ends_before_its_names_are_mounted_again_needs_none(
    host: MemoryHost, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Its next process gets them by the drop-in."""
    host.files.update({"/etc/netns/web/hosts": "", "/etc/hosts": ""})
    service(host)
    pid = host.pid1.units["nginx.service"].pid
    host.pid1.unmounted.add((pid, "/etc/hosts"))
    host.pid1.deleted.add((pid, "/etc/hosts"))
    execute = host.execute

    def late(argv: Sequence[str], text: str) -> None:
        if argv[0] == "nsenter":
            host.pid1.call((verb, "nginx.service"))
        execute(argv, text)

    monkeypatch.setattr(host, "execute", late)

    outcome = once(host, ask(EndpointServiceKind(), NGINX))

    assert outcome.commands[0] == "nsenter --target %d --mount umount /etc/hosts" % pid
    assert host.systemctl[-1] == ("bind", "--read-only", "nginx.service", "/etc/netns/web/hosts", "/etc/hosts")


def test_a_mount_that_fails_while_its_process_lives_fails_the_run(host: MemoryHost) -> None:
    host.files.update({"/etc/netns/web/hosts": "", "/etc/hosts": ""})
    service(host)
    host.pid1.unmounted.add((host.pid1.units["nginx.service"].pid, "/etc/hosts"))
    host.fail_at = host.steps + 1

    with pytest.raises(StepFailed, match="systemctl bind"):
        service(host)


# ---- out of it


@pytest.mark.parametrize(("removal", "active"), [("restart", "active"), ("stop", "inactive")])
def test_one_that_leaves_is_restarted_on_the_host_or_stopped(host: MemoryHost, removal: str, active: str) -> None:
    before = host.files.copy()
    service(host)
    host.systemctl.clear()

    outcome = service(host, "absent", service_removal=removal)

    assert host.files == before
    assert [words[0] for words in host.systemctl] == ["daemon-reload", "stop", removal, "daemon-reload"]
    assert host.systemctl[2] == (removal, "nginx.service")
    unit = host.pid1.units["nginx.service"]
    assert (unit.active, unit.netns) == (active, "")
    assert active == "inactive" or home(host) == ""
    assert host.pid1.units["dockerless-endpoint@web.target"].active == "inactive"
    assert "Unit nginx.service has left web" in outcome.warnings[0]


def test_one_that_does_not_run_leaves_quietly(host: MemoryHost) -> None:
    service(host)
    host.pid1.call(("stop", "nginx.service"))
    outcome = service(host, "absent")
    assert (outcome.services, outcome.warnings) == ((), ())


def test_what_others_need_stays(host: MemoryHost) -> None:
    host.pid1.install("app.service", runs=True)
    service(host)
    service(host, unit="app")

    service(host, "absent")

    assert TARGET in host.files
    assert host.pid1.units["dockerless-endpoint@web.target"].active == "active"
    assert home(host, "app.service") == "web"


def test_without_systemd_a_drop_in_goes_all_the_same(host: MemoryHost) -> None:
    service(host)
    host.systemd = False
    service(host, "absent")
    assert not any(path.startswith(ETC) for path in host.files)


# ---- failures


def test_one_that_does_not_start_there_leaves_all_as_it_was(host: MemoryHost) -> None:
    host.pid1.broken.add("nginx.service")
    before = host.snapshot()

    with pytest.raises(StepFailed, match=r"Cannot restart nginx\.service: .*journalctl -n 20 -u nginx\.service"):
        once(host, ask(EndpointServiceKind(), NGINX))

    after = host.snapshot()
    for side in (before, after):
        side["units"].pop("dockerless-endpoint@web.target", None)
    assert after == before
    assert home(host) == ""


def test_one_that_does_not_start_stops_nobody_else_in_the_endpoint(host: MemoryHost) -> None:
    service(host)
    host.pid1.install("fails.service", runs=True)
    host.pid1.broken.add("fails.service")
    pid = host.pid1.units["nginx.service"].pid

    with pytest.raises(StepFailed):
        once(host, ask(EndpointServiceKind(), {"unit": "fails", "netns": "web"}))

    assert host.pid1.units["nginx.service"].pid == pid
    assert (host.pid1.units["fails.service"].active, home(host, "fails.service")) == ("active", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unit": "nope"}, "There is no unit nope.service on this host"),
        ({"unit": "masked"}, "systemctl unmask masked.service"),
        ({"unit": "bad"}, "systemd cannot load unit bad.service: no ExecStart"),
        ({"unit": "early"}, "sets up the host's network"),
        ({"unit": "old"}, "systemd does not know NetworkNamespacePath"),
        ({"unit": "meta"}, "name these: meta@15-main.service"),
        ({"unit": "mine"}, "runs in the namespace /run/netns/other by /etc/systemd/system/mine.service.d/x.conf"),
        ({"unit": "joined"}, "shares the namespaces of other.service by one of its files"),
        ({"netns": "nope"}, "There is no namespace nope on this host"),
    ],
)
def test_what_cannot_run_in_an_endpoint_is_refused(host: MemoryHost, options: dict[str, str], words: str) -> None:
    install = host.pid1.install
    install("masked.service", load="masked")
    install("bad.service", load="bad-setting", trouble="no ExecStart")
    install("old.service", netns=None)
    install("early.service", before=("network-pre.target",))
    install("meta.service", kind="oneshot", parts=("meta@15-main.service",))
    install("mine.service", netns="/run/netns/other", files=("/etc/systemd/system/mine.service.d/x.conf",))
    install("joined.service", joins=("other.service",))
    host.files["/etc/systemd/system/mine.service.d/x.conf"] = "[Service]\nNetworkNamespacePath=/run/netns/other\n"

    with pytest.raises(Conflict) as refused:
        service(host, **options)

    assert words in str(refused.value)


def test_without_systemd_it_is_refused(host: MemoryHost) -> None:
    host.systemd = False
    with pytest.raises(Conflict, match="systemd is not running as PID 1"):
        service(host)


def test_a_file_of_somebody_else_in_the_place_of_ours_is_refused(host: MemoryHost) -> None:
    host.files[DROP_IN] = "[Service]\nNice=5\n"
    with pytest.raises(Conflict, match=r"nginx\.service\.d/dockerless-network\.conf is not one of this collection"):
        service(host)


def test_a_unit_of_another_project_is_refused_and_stays(host: MemoryHost) -> None:
    service(host, network="blue", project="shop")
    with pytest.raises(Conflict, match=r"Unit nginx\.service belongs to network blue of project shop"):
        once(host, ask(EndpointServiceKind(), {**NGINX, "netns": "app"}))
    assert not service(host, "absent").changed


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("postgresql@", "is a template"),
        ("ssh.socket", "ssh.socket is not a service; name the .service unit that it belongs to."),
        ("a b", "is not the name of a unit"),
        ("*", "is not the name of a unit"),
        ("", "is not the name of a unit"),
    ],
)
def test_what_is_no_service_is_refused(unit: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        EndpointServiceKind().parse({"unit": unit, "netns": "web"})


@pytest.mark.parametrize("unit", ["php8.2-fpm", "postgresql@15-main", "a.service"])
def test_a_suffix_goes_without_saying(unit: str) -> None:
    assert (
        EndpointServiceKind().parse({"unit": unit, "netns": "web"}).unit == unit.partition(".service")[0] + ".service"
    )


def test_one_unit_for_two_endpoints_is_refused(host: MemoryHost) -> None:
    kind = EndpointServiceKind()
    host.pid1.aliases["www.service"] = "nginx.service"
    one, two = ask(kind, NGINX), ask(kind, {**NGINX, "netns": "app"})
    with pytest.raises(InvalidRequest, match="requested by namespace web and by namespace app"):
        once(host, one, two)
    with pytest.raises(Conflict, match=r"by namespace web, and as www\.service by namespace app"):
        once(host, one, ask(kind, {"unit": "www", "netns": "app"}))


def test_a_socket_that_starts_it_is_named(host: MemoryHost) -> None:
    host.pid1.install("nginx.socket", runs=True)
    host.pid1.install("nginx.service", triggers=("nginx.socket",))
    [warning] = service(host).warnings
    assert "is started by nginx.socket, whose sockets stay on the host" in warning


# ---- whole networks


BLUE: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [{"name": "www", "services": ["nginx"]}, {"name": "db"}],
}
RED: dict[str, Any] = {"name": "red", "subnets": ["10.30.0.0/24"]}


def test_services_come_and_go_with_endpoints(host: MemoryHost) -> None:
    before = host.files.copy()
    make_networks([BLUE], world(host))
    assert home(host) == "www"
    [endpoint] = [item for item in facts(world(host))["networks"][0]["endpoints"] if item["name"] == "www"]
    assert (endpoint["services"], endpoint["troubles"]) == (["nginx.service"], [])
    assert not make_networks([BLUE], world(host)).changed

    outcome = make_networks([BLUE], world(host), Scope(state="absent"))

    assert home(host) == ""
    assert {path for path in host.files if path not in before} == set()
    assert not any("Still living" in warning for warning in outcome.warnings)
    commands = list(outcome.commands)
    assert commands.index("systemctl restart nginx.service") < commands.index("ip netns delete www")


@pytest.mark.parametrize("netns", ["s1", "www"])  # the other network is in the second one as well
def test_one_unit_for_two_endpoints_of_a_list_is_refused_with_their_own_network(host: MemoryHost, netns: str) -> None:
    make_networks([BLUE], world(host))
    one = {"name": "s1", "netns": netns, "services": ["nginx"]}
    red = {**RED, "endpoints": [one, {"name": "s2", "services": ["nginx.service"]}]}
    with pytest.raises(InvalidRequest, match="requested by endpoint red/s1 and by endpoint red/s2"):
        make_networks([red], world(host))


TAKEN = r"unit nginx\.service runs in endpoint www of network blue already; take it out of that network's list first"
TAKING = {**RED, "endpoints": [{"name": "app", "services": ["nginx"]}]}


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_service_of_a_network_outside_the_list_is_not_taken_away(host: MemoryHost, check_mode: bool) -> None:
    make_networks([BLUE], world(host))
    with pytest.raises(InvalidRequest, match="network red: endpoint app: " + TAKEN):
        make_networks([TAKING], world(host, check_mode=check_mode))
    assert home(host) == "www"

    make_networks([{**BLUE, "endpoints": [{"name": "www"}]}], world(host))
    make_networks([TAKING], world(host))
    assert home(host) == "app"


@pytest.mark.parametrize(
    ("blue", "scope"),
    [
        ([{**BLUE, "endpoints": [{"name": "www"}]}], Scope()),
        ([{**BLUE, "endpoints": []}], Scope()),
        ([], Scope(prune="project")),
    ],
)
def test_a_service_moves_with_the_list_that_gives_it_up(
    host: MemoryHost, blue: list[dict[str, Any]], scope: Scope
) -> None:
    make_networks([BLUE], world(host))
    make_networks([*blue, TAKING], world(host), scope)
    assert home(host) == "app"
    assert not make_networks([*blue, TAKING], world(host), scope).changed


def test_a_service_moves_out_of_an_endpoint_that_is_no_more(host: MemoryHost) -> None:
    make_networks([BLUE], world(host))
    drop_in = host.files[DROP_IN]
    make_networks([BLUE], world(host), Scope(state="absent"))
    host.files[DROP_IN] = drop_in
    make_networks([TAKING], world(host))
    assert home(host) == "app"


def test_a_call_without_a_network_takes_no_service_of_a_network(host: MemoryHost) -> None:
    make_networks([BLUE], world(host))
    with pytest.raises(Conflict, match="U" + TAKEN[1:]):
        service(host, netns="app")
    assert not service(host, netns="www").changed


def test_a_port_that_the_service_itself_has_on_the_host_is_free_for_it(host: MemoryHost) -> None:
    host.listeners["tcp", 80] = "nginx.service"
    endpoint = {"name": "www", "publish": ["80:80"]}
    with pytest.raises(Conflict, match="host port 80/tcp is in use"):
        make_networks([{**BLUE, "endpoints": [endpoint]}], world(host))

    make_networks([{**BLUE, "endpoints": [{**endpoint, "services": ["nginx"]}]}], world(host))

    assert home(host) == "www"


def test_taken_out_of_the_list_it_leaves_or_is_stopped(host: MemoryHost) -> None:
    make_networks([BLUE], world(host))
    make_networks([{**BLUE, "endpoints": [{"name": "www"}]}], world(host), Scope(service_removal="stop"))
    assert host.pid1.units["nginx.service"].active == "inactive"
    assert "www" in host.names


def test_a_unit_by_hand_leaves_a_namespace_that_goes(host: MemoryHost) -> None:
    make_networks([{**BLUE, "endpoints": [{"name": "www"}]}], world(host))
    service(host, netns="www")

    make_networks([BLUE], world(host), Scope(state="absent"))

    assert home(host) == ""
    assert DROP_IN not in host.files


def test_it_is_told_where_it_is_not_where_it_should_be(host: MemoryHost) -> None:
    make_networks([BLUE], world(host))
    host.space(Place(netns="www")).processes.clear()
    host.host.processes.append(host.pid1.units["nginx.service"].pid)

    told = facts(world(host))

    assert told["services"][0]["stale"]
    [endpoint] = [item for item in told["networks"][0]["endpoints"] if item["name"] == "www"]
    assert "nginx.service runs in a namespace that is not www any more" in endpoint["troubles"][0]


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ({"name": "x", "pid": 7, "services": ["nginx"]}, "services need a namespace with a name"),
        ({"name": "x", "services": ["postgresql@"]}, "network blue: endpoint x: services: postgresql@ is a template"),
    ],
)
def test_mistakes_are_told_with_their_place(host: MemoryHost, endpoint: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        make_networks([{**BLUE, "endpoints": [endpoint]}], world(host))
    assert words in str(refused.value)


# ---- what systemctl says


SHOWN = """Type=forking
ExtensionImages=
MainPID=0
NetworkNamespacePath=/run/netns/web
Id=nginx.service
TriggeredBy=nginx.socket
LoadState=loaded
ActiveState=inactive
FragmentPath=/lib/systemd/system/nginx.service
DropInPaths=/etc/a.conf /etc/b.conf
UnitFileState=enabled
Before=shutdown.target multi-user.target
NeedDaemonReload=yes
InactiveExitTimestampMonotonic=17
ActiveEnterTimestampMonotonic=18

Id=nope.service
LoadState=not-found
LoadError=org.freedesktop.systemd1.NoSuchUnit "Unit nope.service not found."
"""


def test_units_are_read_at_once() -> None:
    asked: list[Any] = []

    def call(argv: Any) -> tuple[int, str, str]:
        asked.append(argv)
        return 0, SHOWN, ""

    found = units.read(call, ["www.service", "nope.service"])

    assert asked[0][-2:] == ["www.service", "nope.service"]
    assert found["www.service"] == units.Unit(
        "nginx.service",
        active="inactive",
        enabled="enabled",
        files=("/lib/systemd/system/nginx.service", "/etc/a.conf", "/etc/b.conf"),
        kind="forking",
        netns="/run/netns/web",
        triggers=("nginx.socket",),
        before=("shutdown.target", "multi-user.target"),
        is_stale=True,
        begun=17,
        reached=18,
    )
    assert found["nope.service"].trouble == "Unit nope.service not found"
