# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.loader import get_shell_plugin

from ansible_collections.dockerless.network.plugins.become import netns as module

METHOD = "dockerless.network.netns"
NSFS = "6e736673"
# Programs of a host, each of which says what it was called with.
STUBS = {
    "id": 'case "$1" in -u) echo $UID_OF_LOGIN ;; -g) echo 7 ;; nobody2) exit 1 ;; esac',
    "stat": '[ "$3" = "%t" ] && echo $NAMESPACE',
    "sudo": 'printf "sudo %s\\n" "$*" >&2; while [ "$1" != /bin/sh ]; do shift; done; exec "$@"',
    "ip": 'echo "ip $1 $2 $3" >&2; shift 3; exec "$@"',
    "setpriv": 'printf "setpriv %s\\n" "$*" >&2; while [ "$1" != /bin/sh ]; do shift; done; exec "$@"',
}


def plugin(**options: Any) -> Any:
    """The plugin, as a task has it whose variables are `ansible_*`."""
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    constants.config.initialize_plugin_configuration_definitions("become", METHOD, documented)
    found = module.BecomeModule()
    found._load_name = METHOD
    found.set_options(var_options={f"ansible_{key}": value for key, value in options.items()})
    return found


def command(text: str, **options: Any) -> str:
    return str(plugin(**options).build_become_command(text, get_shell_plugin(executable="/bin/sh")))


def run(folder: Path, text: str, uid: int = 0, namespace: str = NSFS) -> tuple[int, str, list[str]]:
    """The exit code, the output without the marker, and the programs that were called."""
    for name, body in STUBS.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "UID_OF_LOGIN": str(uid), "NAMESPACE": namespace}
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, env=environment, check=False)
    marker, unused, rest = done.stdout.partition("\n")
    assert marker.startswith("BECOME-SUCCESS-")
    return done.returncode, rest, done.stderr.splitlines()


def test_a_login_that_is_root(tmp_path: Path) -> None:
    assert run(tmp_path, command("echo 'it'; exit 3", netns="web")) == (3, "it\n", ["ip netns exec web"])


def test_a_login_that_is_not(tmp_path: Path) -> None:
    code, output, calls = run(tmp_path, command("echo \"a b\" '$x'", netns="web"), uid=1000)
    assert (code, output, len(calls)) == (0, "a b $x\n", 2)
    assert calls[0].startswith("sudo -H -S -n -u root /bin/sh -c echo BECOME-SUCCESS-")
    assert calls[1] == "ip netns exec web"


def test_another_user_inside(tmp_path: Path) -> None:
    unused, output, calls = run(tmp_path, command("echo it", netns="web", become_user="app"))
    assert output == "it\n"
    assert calls[1] == "setpriv --reuid app --regid 7 --init-groups --reset-env /bin/sh -c echo it"


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize(("namespace", "user", "said"), [("", "root", "namespace web"), (NSFS, "nobody2", "nobody2")])
def test_nothing_runs_elsewhere(tmp_path: Path, uid: int, namespace: str, user: str, said: str) -> None:
    """It ends as a failed module does, for each kind of login."""
    text = command("echo it", netns="web", become_user=user)
    code, output, calls = run(tmp_path, text, uid, namespace)
    result = json.loads(output)
    assert code == 1 and result["failed"] and f"There is no {'network ' if not namespace else 'user '}" in result["msg"]
    assert said in result["msg"] and not [call for call in calls if call.startswith("ip ")]


def test_options_go_on_to_the_plugin_that_makes_root() -> None:
    text = command("id", netns="web", become_pass="secret", become_exe="/opt/sudo", become_flags="-E")
    assert '/opt/sudo -E -p "[sudo via ansible' in text and "secret" not in text
    assert " su  root -c " in command("id", netns="web", netns_root_method="su")


def test_the_connection_waits_for_the_marker_and_the_prompt_of_that_plugin() -> None:
    become = plugin(netns="web", become_pass="secret")
    text = become.build_become_command("id", get_shell_plugin(executable="/bin/sh"))
    assert text.count(become.success) == 2
    assert become.expect_prompt() and become.check_password_prompt(become.prompt.encode())
    assert become.check_incorrect_password(b"Sorry, try again.")
    assert become.check_missing_password(b"sudo: a password is required")
    su = plugin(netns="web", become_pass="secret", netns_root_method="su")
    assert su.check_password_prompt(b"Password: ") and not su.check_password_prompt(b"Welcome")


def test_pipelining_is_that_plugins_matter() -> None:
    assert plugin(netns="web").name == "sudo" and plugin(netns="web").pipelining
    assert plugin(netns="web", netns_root_method="su").name == "su"


def test_no_command_is_none() -> None:
    assert command("", netns="web") == ""


@pytest.mark.parametrize(
    ("netns", "said"),
    [(None, "No network namespace is given"), ("", "No network namespace"), ("..", "'..' is not the name")]
    + [(name, "is not the name of a network namespace") for name in ("a/b", "a b", "-x", "a;b", "a\n", "$(id)")],
)
def test_a_name_is_needed(netns: str | None, said: str) -> None:
    with pytest.raises(AnsibleError, match="ansible_netns") as refused:
        command("id", netns=netns)
    assert said in str(refused.value)


@pytest.mark.parametrize("method", ["magic", METHOD])
def test_a_way_to_root_is_needed(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.become_loader, "get", {}.get)
    with pytest.raises(AnsibleError, match="is not a become plugin that makes a login root"):
        plugin(netns="web", netns_root_method=method)


@pytest.mark.parametrize("user", ["root", "app"])
def test_ansible_takes_the_user_for_another_than_the_login(user: str) -> None:
    """Else it leaves become out; what asks whether they are the same person must still be told so."""
    inside = plugin(netns="web", become_user=user).get_option("become_user")
    assert inside != user and inside == user and inside in [user] and f"~{inside}" == f"~{user}"
    assert {inside: 1}[user] == 1


def test_strategies_of_ansible_core_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible.plugins.strategy import free, linear  # noqa: F401

    plugin(netns="web")
    path = tmp_path / "elsewhere.py"
    path.write_text("from ansible.plugins.strategy.linear import StrategyModule as L\nclass S(L): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import elsewhere

    try:
        with pytest.raises(AnsibleError, match=r"elsewhere\.py may ignore the become method"):
            plugin(netns="web")
    finally:
        sys.modules.pop("elsewhere")
        del elsewhere
