# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host."""

from __future__ import annotations

import os
import subprocess
import typing as t


def call(argv: t.Sequence[str], text: str | None = None) -> tuple[int, str, str]:
    """Run a program in the C locale, ``text`` as its input; returns its exit code, output and errors."""
    # If a tool does not read all of its input, AnsibleModule.run_command ends the module and loses the output. It also
    # closes the lock, which a tool must keep if we are killed.
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        argv,
        input=text or "",
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env=dict(os.environ, LC_ALL="C", LANGUAGE="C"),
        # only the lock is inheritable (PEP 446): see lock.py
        close_fds=False,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def find(name: str, path: str = "") -> str | None:
    """The path of a program in the folders of ``path`` (by default those of a login and of root), or None."""
    from shutil import which  # which a usual run does not need

    return which(name, path=path or os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))
