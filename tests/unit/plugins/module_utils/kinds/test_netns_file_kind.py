# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of namespaces, through whole networks on a host in memory."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks
from ansible_collections.dockerless.network.plugins.module_utils.engine import Outcome, StepFailed
from ansible_collections.dockerless.network.plugins.module_utils.file_operations import SpreadFile
from ansible_collections.dockerless.network.plugins.module_utils.marks import RETIRED
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import MemoryHost, world

Facts = dict[str, Any]
WEB, DB, JOB = ("/etc/netns/%s/hosts" % name for name in ("web", "db", "job"))
RESOLV = "/etc/netns/web/resolv.conf"


def blue(*names: str, **options: Any) -> Facts:
    endpoints = [{"name": name} for name in names or ("web", "db")]
    return {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": endpoints, **options}


def red(*names: str, **options: Any) -> Facts:
    return {**blue(*names or ("web", "job"), **options), "name": "red", "subnets": ["10.21.0.0/24"]}


def once(host: MemoryHost, *networks: Facts, check_mode: bool = False, **how: Any) -> Outcome:
    return make_networks(networks, world(host, check_mode), Scope(**how))


def converge(host: MemoryHost, *networks: Facts, **how: Any) -> Outcome:
    """A run; check mode says the same, and a second run finds nothing to do."""
    before = host.snapshot()
    foreseen = once(host, *networks, check_mode=True, **how)
    assert host.snapshot() == before
    outcome = once(host, *networks, **how)
    assert outcome == foreseen
    again = once(host, *networks, **how)
    assert (again.changed, again.before, again.after) == (False, "", "")
    if how.get("state") != "absent":  # what is right is told in the same words as what was made right
        assert told(again) == [item for item in told(outcome) if item["state"] == "present"]
    return outcome


def told(outcome: Outcome) -> list[Facts]:
    return [item for item in outcome.objects if item["title"].startswith("file ")]


FOLDER = "/etc/netns"


@pytest.fixture
def host() -> MemoryHost:
    made = MemoryHost()
    made.uplink()
    return made


@pytest.mark.parametrize("path", [WEB, RESOLV, "/etc/netns/web"])
@pytest.mark.parametrize("rights", [(0, 0o777), (65534, 0o644), (0, 0o600)])
def test_what_is_in_other_hands_is_given_back_to_root(host: MemoryHost, path: str, rights: tuple[int, int]) -> None:
    """In its place, as a process may have mounted it."""
    converge(host, blue())
    host.odd_rights[path] = rights

    outcome = converge(host, blue())
    mode = "0755" if path == "/etc/netns/web" else "0644"
    assert outcome.commands == ("chown root:root %s" % path, "chmod %s %s" % (mode, path))
    assert path in outcome.after and host.odd_rights == {}


@pytest.mark.parametrize("rights", [(0, 0o777), (0, 0o1775), (65534, 0o755)])
@pytest.mark.parametrize("there", [True, False])
def test_the_folder_around_them_is_given_back_to_root_if_nobody_else_uses_it(
    host: MemoryHost, rights: tuple[int, int], there: bool
) -> None:
    """Who may write to it could put other files in the place of ours."""
    if there:
        converge(host, blue())
    host.odd_rights[FOLDER] = rights

    outcome = converge(host, blue())
    assert [command for command in outcome.commands if command.endswith(f" {FOLDER}")] == [
        f"chown root:root {FOLDER}",
        f"chmod 0755 {FOLDER}",
    ]
    assert host.odd_rights == {}
    assert not there or f"chmod 0755 {FOLDER}]" in outcome.after


@pytest.mark.parametrize("there", [True, False])
def test_the_folder_around_them_stays_open_if_others_use_it_and_that_is_told(host: MemoryHost, there: bool) -> None:
    host.files[f"{FOLDER}/theirs/hosts"] = "10.9.9.9 theirs\n"
    if there:
        converge(host, blue())
    host.odd_rights[FOLDER] = (0, 0o777)

    outcome = converge(host, blue())
    assert outcome.changed != there and host.odd_rights == {FOLDER: (0, 0o777)}
    [warning] = [text for text in outcome.warnings if FOLDER in text]
    assert warning.startswith(f"The folder {FOLDER} belongs to another user than root, or others may write to it")
    assert warning.endswith(f"run chown root:root {FOLDER} and chmod go-w {FOLDER}.")

    host.odd_rights[FOLDER] = (0, 0o700)
    outcome = converge(host, blue())
    assert not outcome.changed and not [text for text in outcome.warnings if FOLDER in text]


def files(host: MemoryHost) -> set[str]:
    return {path for path in host.files if path.startswith("/etc/netns/")}


def test_names_come_and_go_with_their_networks(host: MemoryHost) -> None:
    converge(host, blue(), red())
    assert {WEB, DB, JOB, RESOLV} <= files(host)
    assert " db.blue" in host.files[WEB] and " job.red" in host.files[WEB] and " job" not in host.files[DB]

    converge(host, blue(), state="absent")
    assert " db" not in host.files[WEB] and " job.red" in host.files[WEB]
    assert DB not in files(host)

    converge(host, red(), state="absent")
    assert not files(host)


def test_one_name_more_is_one_line_more(host: MemoryHost) -> None:
    once(host, blue())
    outcome = converge(host, blue("web", "db", "new"))

    text = host.files[WEB].splitlines()
    [line] = [line for line in text if " new" in line]
    assert "file %s:\n  network: blue\n  text: |\n    %s\n" % (WEB, line) in outcome.after
    assert "file %s:\n  network: blue\n" % WEB in outcome.before and "text" not in outcome.before
    # in one step for all that have the same text, in place for who has it mounted
    assert any("tee %s /etc/netns/new/hosts %s >" % (DB, WEB) in command for command in outcome.commands)
    assert not any("text" in item for item in outcome.objects)


def test_a_line_that_was_taken_away_by_hand_comes_back(host: MemoryHost) -> None:
    once(host, blue())
    right = host.files[WEB]
    host.files[WEB] = "".join(line for line in right.splitlines(True) if " db" not in line)

    assert "tee " + WEB in "".join(converge(host, blue()).commands)
    assert host.files[WEB] == right


def test_an_order_that_was_changed_by_hand_is_told(host: MemoryHost) -> None:
    once(host, blue())
    host.files[WEB] = "\n".join([*host.files[WEB].splitlines()[:1], *host.files[WEB].splitlines()[:0:-1]]) + "\n"

    assert "  done: [write %s]" % WEB in converge(host, blue()).after


def test_what_somebody_else_wrote_stays(host: MemoryHost) -> None:
    host.files[WEB] = "10.0.0.1 mine\n"
    outcome = converge(host, blue())

    assert outcome.warnings == (
        "Files that this collection did not make stay as they are: %s. Names of endpoints may not be found by them;"
        " remove them to have them written." % WEB,
    )
    assert RESOLV in files(host)
    converge(host, blue(), state="absent")
    assert host.files[WEB] == "10.0.0.1 mine\n" and RESOLV not in files(host)


def test_what_a_kill_or_a_power_cut_left_is_ours(host: MemoryHost) -> None:
    host.files[WEB] = ""
    host.files["/etc/netns/db/resolv.conf.tmp"] = "# half"
    converge(host, blue())
    assert " db" in host.files[WEB] and "/etc/netns/db/resolv.conf.tmp" not in host.files

    host.files[DB] = ""
    converge(host, blue(), state="absent")
    assert not files(host)


def test_another_project_s_names_are_left_alone(host: MemoryHost) -> None:
    once(host, blue(), project="shop")
    text = host.files[WEB]

    assert "belongs to project shop" in str(once(host, blue(), state="absent").warnings)
    with pytest.raises(Conflict, match="belongs to network blue of project shop"):
        once(host, red("web"))
    assert host.files[WEB] == text


def test_everything_goes(host: MemoryHost) -> None:
    once(host, blue(), project="shop")
    once(host, red("job"))
    once(host, state="absent", everything=True)

    assert not files(host)


def test_names_can_be_turned_off(host: MemoryHost) -> None:
    assert not any("/etc/netns" in command for command in converge(host, blue(names=False)).commands)
    once(host, blue())
    converge(host, blue(names=False))
    assert not files(host)


@pytest.mark.parametrize("prune", ["listed", "project"])
def test_an_endpoint_that_leaves_takes_its_name_and_its_files_along(host: MemoryHost, prune: str) -> None:
    once(host, blue())
    converge(host, blue("web"), prune=prune)

    assert " db" not in host.files[WEB] and DB not in files(host)


def test_a_namespace_that_is_gone_leaves_no_files(host: MemoryHost) -> None:
    once(host, blue())
    for name in ("web", "db"):
        host.delete_namespace(name)
    converge(host, blue(), state="absent")

    assert not files(host)


@pytest.mark.parametrize("names", [("web", "db", "new"), ("job",)], ids=["one more", "others"])
def test_a_step_that_fails_leaves_the_files_as_they_were(host: MemoryHost, names: tuple[str, ...]) -> None:
    once(host, blue())
    before = host.snapshot()
    total = MemoryHost()
    total.uplink()
    once(total, blue())
    start = total.steps
    once(total, blue(*names))
    for step in range(1, total.steps - start + 1):
        host.steps, host.fail_at = 0, step
        with pytest.raises(StepFailed):
            once(host, blue(*names))
        host.fail_at = None
        assert host.snapshot() == before, step


def test_half_of_many_files_is_taken_back() -> None:
    host = MemoryHost()
    host.files["/etc/netns/a/hosts"] = "old"
    step = SpreadFile(
        "new", (("/etc/netns/a/hosts", "old"), ("/etc/netns/b/hosts", None), ("/etc/netns/c/hosts", None))
    )

    def update(path: str, text: str, lasting: bool = True) -> None:
        if "/c/" in path:
            raise OSError(28, "No space left on device")
        host.files[path] = text

    host.update_file = update  # type: ignore[method-assign,assignment]
    with pytest.raises(OSError):
        step.apply(host)  # type: ignore[arg-type]
    assert host.files == {"/etc/netns/a/hosts": "old"}


def test_what_has_no_module_of_its_own_alone(host: MemoryHost) -> None:
    """By which the role writes files when it calls the modules one by one, in check mode as well."""
    alone = once(host, blue(), check_mode=True, rest=True).commands
    once(host, blue())
    assert alone and all("/etc/netns" in command for command in alone)
    assert not once(host, blue(), rest=True).changed

    once(host, blue("web"), rest=True)
    assert " db" not in host.files[WEB] and "db" in host.names and DB not in files(host)


@pytest.mark.parametrize("left", ["hosts", ""], ids=["with a file", "empty"])
def test_a_folder_that_was_on_its_way_out_goes_with_the_next_run(host: MemoryHost, left: str) -> None:
    """Whoever asks for what: it is known by its name."""
    once(host, blue())
    folder = RETIRED
    host.folders.append(folder)
    host.files.update({"%s/%s" % (folder, left): "# text\n"} if left else {})

    assert once(host, blue()).changed
    assert not any(path.startswith(folder) for path in (*host.files, *host.folders))
    assert not once(host, blue()).changed


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_file_that_cannot_be_made_is_refused_in_the_plan(host: MemoryHost, check_mode: bool) -> None:
    host.obstacles[DB] = "The file X cannot be written, as nobody may; remove that."

    with pytest.raises(Conflict) as conflict:
        once(host, blue(), check_mode=check_mode)

    assert str(conflict.value) == (
        "network blue: endpoint db: the file X cannot be written, as nobody may; remove that."
    )
    assert host.steps == 0
