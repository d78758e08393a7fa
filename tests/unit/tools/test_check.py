# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.firewall.choice import ROWS
from tools import check
from tools.parts import BEHAVIOUR, Part, all_parts
from tools.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """<testsuites><testsuite>
<testcase name="good"/>
<testcase name="better"/>
<testcase name="wrong"><failure message="no"/></testcase>
<testcase name="broken"><error message="no fixture"/></testcase>
<testcase name="unable"><skipped message="no root"/></testcase>
</testsuite></testsuites>"""


def test_each_back_end_has_a_part() -> None:
    assert {f"behaviour-{row.name}" for row in ROWS} <= {part.name for part in all_parts()}


def test_count_reads_the_report_of_pytest(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    assert str(check.count(path)) == "2 failed, 2 passed, 1 skipped"


def test_count_of_a_part_that_died(tmp_path: Path) -> None:
    assert check.count(tmp_path / "none.xml") == check.Sum()


def test_the_last_line_reads_as_that_of_pytest() -> None:
    assert check.Sum(passed=6856, skipped=84).line(1197.3) == (
        "================ 6856 passed, 84 skipped in 1197.30s (0:19:57) ================="
    )
    assert check.Sum().line(2) == "======================= no tests ran in 2.00s (0:00:02) ========================"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("unit-newest", True),
        ("unit", True),
        ("uni", False),
        ("unit-newest-more", False),
    ],
)
def test_chosen(word: str, expected: bool) -> None:
    assert check.chosen(Part("unit-newest", ("true",)), word) is expected


def test_names_of_parts_and_labs_are_unique() -> None:
    parts = all_parts()
    assert len({part.name for part in parts}) == len(parts)
    assert len({check.lab_name(part) for part in parts}) == len(parts)


def test_every_file_of_what_is_tested_once_is_in_one_part() -> None:
    """A file that is renamed or added must not fall between the parts."""
    files = {str(path.relative_to(ROOT)) for path in ROOT.glob(f"{BEHAVIOUR}/test_*.py")}
    run: list[str] = []
    for part in all_parts():
        if part.name.startswith("behaviour-once"):
            words = part.command[1 : part.command.index("-m")]
            named, left_out = [[word for word in words if word.startswith(start)] for start in (BEHAVIOUR, "--ignore=")]
            all_but = files - {word.partition("=")[2] for word in left_out}
            run += sorted(all_but) if named == [BEHAVIOUR] else named
    assert sorted(run) == sorted(files)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> check.Runner:
    monkeypatch.setattr(check, "LOGS", tmp_path)
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "lab_name", lambda part: part.name)
    return check.Runner()


def test_a_part_that_fails_is_shown_with_its_output(runner: check.Runner, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [Part("good", ("echo", "secret")), Part("bad", ("sh", "-c", "echo because; exit 3"))]
    runner.run(parts, jobs=2)
    assert str(runner.total) == "1 failed, 1 passed"
    assert runner.failed == ["bad"]
    printed = capsys.readouterr().out
    assert "because" in printed
    assert "secret" not in printed


def test_a_part_is_told_with_what_it_cost(runner: check.Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what its processes leave behind, as a lab is: it is no child of those any more."""
    orphan = "i=0; while [ $i -lt 99999 ]; do i=$((i+1)); done"
    runner.run([Part("busy", ("sh", "-c", f"({orphan}) & exit 0"))], jobs=1)
    found = re.search(r"== busy: ok \[[\d.]+ s, ([\d.]+) s of CPU\]", capsys.readouterr().out)
    assert found and float(found[1]) >= 0.1


def test_a_part_that_cannot_start_fails(runner: check.Runner) -> None:
    runner.run([Part("missing", ("no-such-program",))], jobs=1)
    assert runner.failed == ["missing"]


def test_pytest_without_a_test_fails(runner: check.Runner) -> None:
    runner.run([Part("empty", ("sh", "-c", "exit 5"), tests=True)], jobs=1)
    assert str(runner.total) == "1 failed"


def test_a_stopped_runner_starts_nothing(runner: check.Runner, tmp_path: Path) -> None:
    runner.stop()
    runner.run([Part("late", ("touch", str(tmp_path / "late")))], jobs=1)
    assert not (tmp_path / "late").exists()
