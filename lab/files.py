# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and writing small text files, /proc/sys included."""

from __future__ import annotations

import os


def read(path: str, default: str = "") -> str:
    """The file's text, or `default` if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return default


def write(path: str, text: str, mode: int | None = None) -> None:
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    if mode is not None:
        os.chmod(path, mode)


def sysctl(key: str, value: int) -> None:
    """Set `key` (with slashes), if this kernel has it."""
    path = "/proc/sys/" + key
    if os.path.exists(path):
        write(path, str(value))


def listening(port: int) -> bool:
    """Whether a TCP socket of this network namespace listens on `port` (IPv4)."""
    wanted = f":{port:04X}"
    for line in read("/proc/net/tcp").splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(wanted) and fields[3] == "0A":
            return True
    return False
