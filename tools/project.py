# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The places in this checkout, and the Pythons of this machine."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VENVS = ROOT / ".venv"

# A collections path whose dockerless/network is this checkout itself (a symbolic link).
TREE = CACHE / "tree"
COLLECTION = Path("ansible_collections/dockerless/network")

# The machine's own Python, with which managed hosts of the lab run modules.
SYSTEM_PYTHON = Path("/usr/bin/python3")

SUPPORTED = tuple(f"3.{minor}" for minor in range(9, 15))


@functools.cache
def pythons() -> dict[str, Path]:
    """The real interpreters by version, such as ``3.11``: one in PATH is preferred to one of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = ["/usr/bin", "/usr/local/bin", *os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted((str(path) for path in pyenv.glob("versions/*/bin")), key=_natural, reverse=True)
    found: dict[str, Path] = {}
    for version in SUPPORTED:
        for folder in folders:
            path = Path(folder) / f"python{version}"
            if _is_program(path):
                found[version] = path.resolve()
                break
    return found


def first_python(*versions: str) -> Path:
    """The first of these versions that the machine has."""
    for version in versions:
        if version in pythons():
            return pythons()[version]
    raise LookupError(f"no Python {' or '.join(versions)} on this machine")


def environment(venv: str) -> dict[str, str]:
    """The environment for programs of a virtual environment, with the collection found in this checkout."""
    env = dict(os.environ)
    # These would send a program to another Python, or keep it from caching its byte code.
    for name in ("PYENV_VERSION", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"):
        env.pop(name, None)
    env["PATH"] = f"{VENVS / venv / 'bin'}:{env.get('PATH', '')}:/usr/sbin:/sbin"
    env["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    env["ANSIBLE_COLLECTIONS_PATH"] = str(TREE)
    return env


def _is_program(path: Path) -> bool:
    """Whether it is an interpreter and not a pyenv shim, which is a shell script that may find no interpreter."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _natural(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]
