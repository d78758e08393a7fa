# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that somebody reads while they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel import files

LONG = "127.0.0.1 localhost\n10.20.0.3 db db.blue\n110.20.0.44 cache\n"
SHORT = "127.0.0.1 localhost\n10.20.0.3 db db.blue\n"


@pytest.mark.parametrize("texts", [(LONG, SHORT), (SHORT, LONG), (LONG, "")], ids=["shorter", "longer", "empty"])
def test_a_file_stays_the_same_one(tmp_path: Path, texts: tuple[str, str]) -> None:
    path = tmp_path / "hosts"
    path.write_text(texts[0])
    inode = path.stat().st_ino

    files.update(str(path), texts[1], 0o640)
    assert (path.read_text(), path.stat().st_ino, path.stat().st_mode & 0o777) == (texts[1], inode, 0o640)


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    files.update(str(tmp_path / "web" / "hosts"), SHORT, lasting=False)

    assert [path.name for path in (tmp_path / "web").iterdir()] == ["hosts"]


def test_a_file_that_cannot_be_filled_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder has no mark, and nobody would remove it."""

    def refuse(*unused: object) -> int:
        raise OSError(28, "No space left on device")

    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(os, "pwrite", refuse)
    for path in ("netns/web/hosts", "theirs/hosts"):
        with pytest.raises(OSError):
            files.write(str(tmp_path / path), SHORT)
    assert [path.name for path in tmp_path.rglob("*")] == ["theirs"]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_reader_finds_whole_lines_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    """Before the file is cut to its length, too: the end of an old line may be an address of somebody else."""
    path, seen = tmp_path / "hosts", []
    text = LONG[:-1] + "0" * cut + "\n"
    path.write_text(text + text)
    monkeypatch.setattr(os, "ftruncate", lambda fd, length: seen.append(path.read_text()))

    files.update(str(path), text)
    assert [line for line in seen[0].splitlines() if line] == text.splitlines()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("mine\n")
    (tmp_path / "hosts").symlink_to("theirs")

    with pytest.raises(OSError):
        files.update(str(tmp_path / "hosts"), SHORT)
    assert (tmp_path / "theirs").read_text() == "mine\n"


@pytest.mark.parametrize("size", [0, 7, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000])
def test_a_file_of_somebody_else_is_read_as_a_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff\r\n" + b"x" * size)

    assert files.look(str(path)) == "\ufffd\n" + "x" * size


def test_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    assert files.look(str(tmp_path)) is None
    assert files.look(str(tmp_path / "missing")) is None


# ---- owners and modes


def test_what_lies_in_the_way_of_a_new_file_is_not_written_to(tmp_path: Path) -> None:
    """Somebody could hold it open, or it could lead elsewhere."""
    path, theirs = tmp_path / "engine.zip", tmp_path / "theirs"
    theirs.write_text("mine")
    Path(files.unfinished(str(path))).symlink_to(theirs)

    files.write(str(path), SHORT)
    assert (path.read_text(), path.is_symlink(), theirs.read_text()) == (SHORT, False, "mine")

    held = tmp_path / "engine.zip.tmp"
    held.write_text("")
    with held.open("r+") as hand:
        files.write(str(path), SHORT)
        hand.write("evil")
    assert path.read_text() == SHORT


def test_everybody_can_read_a_new_folder_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.update(str(tmp_path / "netns" / "web" / "hosts"), SHORT)
    finally:
        os.umask(before)

    found = [tmp_path / "netns", tmp_path / "netns" / "web", tmp_path / "netns" / "web" / "hosts"]
    assert [path.stat().st_mode & 0o777 for path in found] == [0o755, 0o755, 0o644]


def test_the_rights_of_files_and_folders(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("")
    path.chmod(0o4777)
    tmp_path.chmod(0o700)
    (tmp_path / "link").symlink_to("hosts")

    assert files.rights(str(path)) == (os.geteuid(), 0o4777)
    assert files.rights(str(tmp_path)) == (os.geteuid(), 0o700)
    assert files.rights(str(tmp_path / "link")) is files.rights(str(tmp_path / "missing")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_file_is_given_back_to_root(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("")
    os.chown(path, 65534, 65534)
    path.chmod(0o4777)

    files.set_rights(str(path), 0o644)
    assert files.rights(str(path)) == (0, 0o644)

    (tmp_path / "link").symlink_to("hosts")
    with pytest.raises(OSError):
        files.set_rights(str(tmp_path / "link"), 0o600)
