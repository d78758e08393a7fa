# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel import errors, files


def failed(number: int, *names: str) -> OSError:
    if len(names) == 2:
        return OSError(number, os.strerror(number), names[0], None, names[1])
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ("error", "uid", "text"),
    [
        (
            failed(errno.ENOSPC, "/run/x"),
            0,
            "Cannot use /run/x: No space left on device; make some room in that file system.",
        ),
        (
            failed(errno.ELOOP, "/run/netns"),
            0,
            "Cannot use /run/netns: Too many levels of symbolic links; remove the symbolic link, which leads to"
            " itself.",
        ),
        (failed(errno.EACCES, "/etc/x"), 1000, "Cannot use /etc/x: Permission denied; use become: true."),
        (failed(errno.EACCES, "/etc/x"), 0, "Cannot use /etc/x: Permission denied."),
        (failed(errno.EXDEV, "/a", "/b"), 0, "Cannot use /a and /b: Invalid cross-device link."),
        (failed(errno.ENOMEM), 0, "This host refused a system call: Cannot allocate memory."),
        (OSError(), 0, "This host refused a system call: OSError."),
    ],
)
def test_an_error_of_the_system_is_one_sentence(
    error: OSError, uid: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert errors.sentence(error) == text


@pytest.mark.parametrize(
    ("rc", "end"),
    [(139, "failed with exit code 139"), (-11, "was ended by signal 11 (SIGSEGV)"), (-99, "was ended by signal 99")],
)
def test_a_command_says_how_it_ended(rc: int, end: str) -> None:
    assert str(errors.CommandError(["nft", "-f", "-"], rc, "")) == f"The command 'nft -f -' {end}: it gave no reason"


@pytest.mark.parametrize(
    ("uid", "words"),
    [(1000, ["CAP_SYS_ADMIN; use become: true."]), (0, ["is root, but lacks CAP_SYS_ADMIN,", "container"])],
)
def test_become_is_advised_to_those_who_are_not_root(
    uid: int, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    text = errors._lacking("CAP_SYS_ADMIN")

    assert all(word in text for word in words) and ("become" in text) == (uid != 0)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(OSError, match="not text in UTF-8") as refused:
        files.read(str(path))

    assert errors.sentence(refused.value) == f"Cannot use {path}: it is not text in UTF-8; remove it."


@pytest.mark.parametrize("read", [files.read, files.read_bytes])
def test_a_run_does_not_wait_for_a_fifo(tmp_path: Path, read: Callable[[str], object]) -> None:
    """It would hold the lock of the host until somebody writes into it."""
    path = str(tmp_path / "hosts")
    os.mkfifo(path)

    with pytest.raises(OSError) as refused:
        read(path)

    assert errors.sentence(refused.value) == f"Cannot use {path}: it is a FIFO and not a file; remove it."
    assert files.look(path) is None
    with pytest.raises(OSError):
        files.update(path, "x")
    os.mkfifo(files.unfinished(path))
    files.write(path, "x")
    assert files.read(path) == "x"


NFT_SAYS = """/dev/stdin:2:1-42: Error: Could not process rule: Operation not permitted
add chain inet dockerless guard { type x }
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""


@pytest.mark.parametrize(
    ("says", "about"),
    [
        (NFT_SAYS, "add chain inet dockerless guard { type x }"),
        ("iptables-restore v1.8.9 (nf_tables): line 2: CHAIN_ADD failed (Exec format error): chain X\n", ":X - [0:0]"),
        ("iptables-restore: line 3 failed\n", ""),  # the one that commits: any of them may be wrong
        ("iptables-restore: line 9 failed\n", ""),
        ("No such file\n", ""),
    ],
)
def test_a_refused_line_is_told(says: str, about: str) -> None:
    told = str(errors.CommandError(["restore"], 1, says, "*filter\n:X - [0:0]\nCOMMIT\n"))

    assert told.endswith(', in "%s"' % about if about else says.strip())


def test_a_long_line_is_cut() -> None:
    told = str(errors.CommandError(["nft"], 1, NFT_SAYS.replace("type x", "type x " * 100)))

    assert told.endswith('..."') and len(told) < 400
