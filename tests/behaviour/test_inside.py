# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks in endpoints: plays on the hosts that the inventory plugin makes, run by the become plugin.

One host is in the inventory once for each kind of login, so that one play goes through all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet import HOSTS, Fleet, Run

# Nothing here depends on the back-end or on pyroute2, and everything on ansible-core.
pytestmark = [
    pytest.mark.once,
    pytest.mark.ansible,
]

HOST = HOSTS[0]
# What a login is called in the inventory, how it becomes root, and a port of its own.
LOGINS: dict[str, dict[str, Any]] = {
    "root1": {"ansible_user": "root", "own_port": 8001},
    "op1": {"ansible_user": "op", "own_port": 8002},
    "pw1": {"ansible_user": "pw", "own_port": 8003, "ansible_become_password": "{{ 'sec' ~ 'ret' }}"},
    "su1": {
        "ansible_user": "op",
        "own_port": 8004,
        "ansible_become_method": "su",
        "ansible_become_password": "rootsecret",
    },
}
NETWORK: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24"],
    "endpoints": [
        {"name": "web", "addresses": ["10.20.0.2"]},
        {"name": "db", "addresses": ["10.20.0.3"], "aliases": ["database"]},
    ],
}
USERS = """
set -e
for user in op pw; do
    id $user >/dev/null 2>&1 || useradd --create-home --shell /bin/sh --password '*' $user
done
id app >/dev/null 2>&1 || useradd --create-home --shell /usr/sbin/nologin app
for user in op pw; do
    mkdir -p /home/$user/.ssh
    cp /root/.ssh/authorized_keys /home/$user/.ssh/
    chown -R $user: /home/$user
done
printf 'pw:secret\\nroot:rootsecret\\n' | chpasswd
printf 'op ALL=(ALL) NOPASSWD: ALL\\npw ALL=(ALL) ALL\\n' > /etc/sudoers.d/inside
chmod 440 /etc/sudoers.d/inside
mkdir -p /etc/netns/web
echo 'nameserver 192.0.2.99' > /etc/netns/web/resolv.conf
"""
NO_MORE_USERS = "rm -rf /etc/netns /etc/sudoers.d/inside; for user in op pw app; do userdel -rf $user; done; true"
CONTENT = 'it\'s "here" $HOME'
CLIENT = "import socket; it = socket.create_connection(('%s', 5432), 3); it.send(b'hello'); print(it.recv(99).decode())"
# as getent prints what /etc/hosts says
NAMES = [["10.20.0.3", "db", "db.blue", "database"]] * 2
ON_THE_HOST = {"delegate_to": "{{ endpoint_host }}"}
AS_APP = {"become_user": "app"}


def task(name: str, module: str, keywords: dict[str, Any] | None = None, /, **options: Any) -> dict[str, Any]:
    return {"name": name, f"ansible.builtin.{module}": options, **(keywords or {})}


def command(name: str, *argv: str, **keywords: Any) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.command": {"argv": list(argv)}, **keywords}


TASKS = [
    task("facts", "debug", msg="{{ [ansible_facts.interfaces | sort, ansible_facts.default_ipv4.address] }}"),
    task(
        "in the background",
        "shell",
        {"async": 60, "poll": 0},
        cmd="python3 -m http.server {{ own_port }} --bind 127.0.0.1",
        chdir="/usr/share/common-licenses",
    ),
    task("wait_for", "wait_for", host="127.0.0.1", port="{{ own_port }}", timeout=20),
    task("uri", "uri", url="{{ own_url }}"),
    task("uri on the host", "uri", ON_THE_HOST, url="{{ own_url }}", status_code=-1),
    task("get_url", "get_url", url="{{ own_url }}GPL-3", dest="~/got-{{ endpoint_host }}", mode="0600"),
    task("port of the host", "wait_for", {"ignore_errors": True}, host="127.0.0.1", port=7002, timeout=1),
    task("port of the host on the host", "wait_for", ON_THE_HOST, host="127.0.0.1", port=7002, timeout=20),
    command("client", "python3", "-c", CLIENT % "database", **AS_APP),
    command("client on the host", "python3", "-c", CLIENT % "10.20.0.3", **ON_THE_HOST),
    task("copy", "copy", AS_APP, content=CONTENT, dest="~/copied-{{ endpoint_host }}", mode="0600"),
    task("shell", "shell", AS_APP, cmd='id -un; id -gn; echo "$HOME"; cat /etc/resolv.conf; ls /sys/class/net'),
    task("names", "shell", AS_APP, cmd="getent hosts db database"),
    command("async", "id", "-un", **AS_APP, **{"async": 30, "poll": 1}),
    {"name": "raw", "ansible.builtin.raw": "cat /proc/net/route | wc -l; id -un"},
    task("service_facts", "service_facts"),
]
PLAY = {
    "gather_facts": True,
    "gather_subset": ["!all", "network"],
    "vars": {
        "ansible_shell_allow_world_readable_temp": True,
        "own_port": "{{ hostvars[endpoint_host].own_port }}",
        "own_url": "http://127.0.0.1:{{ own_port }}/",
    },
    "tasks": TASKS,
}
# How a task is led astray, by which variables, and what it says then.
ASTRAY = {
    "no such namespace": ({"ansible_netns": "nowhere"}, "There is no network namespace nowhere on this host."),
    "a file that is no namespace": ({"ansible_netns": "stale"}, "There is no network namespace stale on this host."),
    "no name": ({"ansible_netns": ""}, "No network namespace is given"),
    "a bad name": ({"ansible_netns": "../web"}, "ansible_netns: '../web' is not the name of a network namespace."),
    "no such user": ({"ansible_become_user": "nobody2"}, "There is no user nobody2 on this host."),
    "a bad way to root": ({"ansible_netns_root_method": "magic"}, "ansible_netns_root_method: 'magic' is not"),
    "become turned off": ({"ansible_become": False}, "This task would run on the host"),
    "another method": ({"ansible_become_method": "sudo"}, "This task would run on the host"),
}
# In essence what Mitogen does: tasks do not ask the become plugin for a command.
STRATEGY = """
from ansible.plugins.action import ActionBase
from ansible.plugins.strategy.linear import StrategyModule as Linear

execute = ActionBase._low_level_execute_command


def execute_as_login(self, cmd, sudoable=True, *rest, **more):
    return execute(self, cmd, False, *rest, **more)


class StrategyModule(Linear):
    def run(self, iterator, play_context):
        ActionBase._low_level_execute_command = execute_as_login
        return super().run(iterator, play_context)
"""


@dataclass(frozen=True)
class World:
    """The host, and the inventory with its endpoints."""

    fleet: Fleet
    folder: Path

    def play(self, plays: Any, **extra: Any) -> Run:
        sources = [str(self.folder / name) for name in ("logins.yml", "networks.endpoints.yml")]
        # On a busy machine, four logins at once may take longer than the ten seconds that Ansible gives sudo.
        return self.fleet.play(plays, "-i", sources[0], "-i", sources[1], "--timeout", "60", extra=extra)


@pytest.fixture(scope="module")
def world(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    fleet.fresh(HOST)
    fleet.lab.run(HOST, USERS)
    fleet.play([fleet.role([NETWORK])], hosts=HOST).must()
    fleet.lab.run(HOST, "touch /run/netns/stale")
    fleet.place(HOST).serve("host", 7002, protocols=["tcp"], address="127.0.0.1")
    fleet.place(HOST, "db").serve("db", 5432, protocols=["tcp"])
    folder = tmp_path_factory.mktemp("inside")
    shared = {"ansible_host": fleet.nodes[HOST].mgmt, "bridge_network_networks": [NETWORK]}
    logins = {"logins": {"hosts": LOGINS, "vars": shared}}
    (folder / "logins.yml").write_text(yaml.safe_dump(logins))
    (folder / "networks.endpoints.yml").write_text("plugin: dockerless.network.endpoints\n")
    yield World(fleet, folder)
    fleet.fresh(HOST)
    fleet.lab.run(HOST, NO_MORE_USERS)


@dataclass(frozen=True)
class Inside:
    """A run of all tasks in `web`, by some logins."""

    run: Run
    logins: tuple[str, ...]

    def found(self, task: str) -> dict[str, dict[str, Any]]:
        """The results of a task, by login."""
        return {r.host.removeprefix("web."): r.result for r in self.run.results if r.task == task}

    def statuses(self, task: str) -> dict[str, str]:
        return {r.host.removeprefix("web."): r.status for r in self.run.results if r.task == task}

    def each(self, value: Any) -> dict[str, Any]:
        """The same by each login."""
        return dict.fromkeys(self.logins, value)


@pytest.fixture(
    scope="module",
    params=[(True, "endpoint_web", tuple(LOGINS)), (False, "web.root1:web.pw1", ("root1", "pw1"))],
    ids=["pipelining", "files"],
)
def inside(request: pytest.FixtureRequest, world: World) -> Iterator[Inside]:
    pipelining, hosts, logins = request.param
    yield Inside(world.play([{**PLAY, "hosts": hosts}], ansible_pipelining=pipelining), logins)
    world.fleet.lab.run(
        HOST, "for pid in $(ip netns pids web); do kill $pid; done; rm -f /root/got-* /home/app/copied-*"
    )


def test_all_run(inside: Inside) -> None:
    inside.run.must()


def test_facts_are_those_of_the_endpoint(inside: Inside) -> None:
    found = {login: result["msg"] for login, result in inside.found("facts").items()}
    assert found == inside.each([["eth0", "lo"], "10.20.0.2"])


def test_what_listens_inside_is_reached_from_inside_only(inside: Inside) -> None:
    """The task `uri on the host` asks that it be refused there."""
    assert inside.statuses("wait_for") == inside.statuses("uri") == inside.each("ok")
    assert inside.statuses("uri on the host") == inside.each("ok")
    assert inside.statuses("get_url") == inside.each("changed")


def test_what_listens_on_the_host_is_reached_from_the_host_only(inside: Inside) -> None:
    assert inside.statuses("port of the host") == inside.each("ignored")
    assert inside.statuses("port of the host on the host") == inside.each("ok")


@pytest.mark.parametrize(("task", "address"), [("client", "10.20.0.2"), ("client on the host", "10.20.0.1")])
def test_a_server_sees_who_asks(inside: Inside, task: str, address: str) -> None:
    found = {login: result["stdout"].split()[0] for login, result in inside.found(task).items()}
    assert found == inside.each(address)


def test_files_are_the_users(world: World, inside: Inside) -> None:
    copied = {login: (result["owner"], result["dest"]) for login, result in inside.found("copy").items()}
    assert copied == {login: ("app", f"/home/app/copied-{login}") for login in inside.logins}
    assert world.fleet.lab.run(HOST, "cat /home/app/copied-pw1").stdout == CONTENT
    got = {login: result["dest"] for login, result in inside.found("get_url").items()}
    assert got == {login: f"/root/got-{login}" for login in inside.logins}


def test_the_user_the_group_the_home_and_the_name_servers(inside: Inside) -> None:
    found = {login: result["stdout_lines"] for login, result in inside.found("shell").items()}
    assert found == inside.each(["app", "app", "/home/app", "nameserver 192.0.2.99", "eth0", "lo"])


def test_names_are_those_of_the_network(inside: Inside) -> None:
    """By the file of the endpoint, which the host's own is not."""
    found = {
        login: [line.split() for line in result["stdout_lines"]] for login, result in inside.found("names").items()
    }
    assert found == inside.each(NAMES)


def test_async(inside: Inside) -> None:
    assert {login: result["stdout"] for login, result in inside.found("async").items()} == inside.each("app")


def test_raw(inside: Inside) -> None:
    """A title, the default route and the subnet; before that, su and sudo may leave an empty line."""
    found = {login: result["stdout_lines"][-2:] for login, result in inside.found("raw").items()}
    assert found == inside.each(["3", "root"])


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "files"])
def test_never_on_the_host(world: World, pipelining: bool) -> None:
    """Each task fails and says why; it does not even get the host taken for unreachable."""
    tasks = [
        {"name": name, "ansible.builtin.command": "touch /tmp/astray", "vars": variables, "ignore_errors": True}
        for name, (variables, unused) in ASTRAY.items()
    ]
    play = {"hosts": "web.root1:web.op1", "gather_facts": False, "strategy": "ansible.builtin.free", "tasks": tasks}
    run = world.play([play], ansible_pipelining=pipelining)
    assert not world.fleet.lab.run(HOST, "ls /tmp/astray", check=False).stdout
    assert [str(r) for r in run.results if r.status != "ignored"] == []
    for name, (unused, message) in ASTRAY.items():
        if name == "no such user" and not pipelining:
            continue  # Ansible says it in its own words: it cannot give that user its files
        found = [str(r.result["msg"]) for r in run.results if r.task == name]
        assert len(found) == 2 and all(message in text for text in found), found


def test_a_strategy_that_may_ignore_become_is_refused(world: World) -> None:
    folder = world.fleet.folder / "strategy_plugins"
    folder.mkdir()
    (folder / "elsewhere.py").write_text(STRATEGY)
    task = {"ansible.builtin.command": "touch /tmp/astray"}
    run = world.play([{"hosts": "web.root1", "gather_facts": False, "strategy": "elsewhere", "tasks": [task]}])
    [result] = run.failed
    assert "elsewhere.py may ignore the become method dockerless.network.netns" in result.result["msg"]
    assert not world.fleet.lab.run(HOST, "ls /tmp/astray", check=False).stdout


def test_a_wrong_password_is_named(world: World) -> None:
    """By the become plugin that asks for it."""
    task = {"ansible.builtin.command": "id", "vars": {"ansible_become_password": "wrong"}}
    run = world.play([{"hosts": "web.pw1", "gather_facts": False, "tasks": [task]}])
    assert "Incorrect sudo password" in str(run.failed[0].result["msg"])


def test_playbooks_leave_endpoints_out(world: World) -> None:
    """All hosts of the inventory, where a run makes no change."""
    run = world.play("- import_playbook: dockerless.network.show\n").must()
    assert {r.host for r in run.results} == {*HOSTS, *LOGINS}
