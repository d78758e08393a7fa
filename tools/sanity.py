# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs `ansible-test sanity --local` on a copy of this checkout, with every Python of the machine.

python3 -m tools.sanity {newest,oldest} [OPTION OR FILE]...     the rest is passed on
"""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

from tools import tree
from tools.project import CACHE, VENVS, environment, pythons

# ansible-test installs pip with a script that it downloads from a host of its own, unless the script is there already.
# This script is put there, and uses the pip that comes with Python (or Debian).
GET_PIP = """\
import ensurepip
import pathlib
import sys
import sysconfig

folders = [pathlib.Path(ensurepip.__file__).parent / "_bundled"]
if sysconfig.get_config_var("WHEEL_PKG_DIR"):
    folders.append(pathlib.Path(sysconfig.get_config_var("WHEEL_PKG_DIR")))
wheel = next(file for folder in folders for file in folder.glob("pip-*.whl"))
sys.path.insert(0, str(wheel))
from pip._internal.cli.main import main

arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--upgrade", "--force-reinstall", *arguments]))
"""
# The names under which ansible-core 2.18 and 2.19, then 2.20 and later, look for it.
GET_PIP_VERSIONS = ("24_2", "25_2")


def main() -> None:
    venv, *arguments = sys.argv[1:] or ["newest"]
    # A home and a copy for each ansible-core, so that two can run at once.
    folder = CACHE / "ansible-test" / venv
    home = folder / "home"
    scripts = home / ".ansible" / "test" / "cache"
    scripts.mkdir(parents=True, exist_ok=True)
    for version in GET_PIP_VERSIONS:
        (scripts / f"get_pip_{version}.py").write_text(GET_PIP)

    env = environment(venv)
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH"):
        del env[name]
    configure_pip(home)
    env["HOME"] = str(home)
    env["PATH"] = f"{interpreters()}:{env['PATH']}"

    os.chdir(tree.copy(folder))
    program = str(VENVS / venv / "bin" / "ansible-test")
    os.execve(program, [program, "sanity", "--local", "--color", "no", *arguments], env)


def configure_pip(home: Path) -> None:
    """Configure pip in this home as for the user, but quiet, as ansible-test does not pass on the environment."""
    config = configparser.RawConfigParser()
    config.read([Path.home() / ".pip" / "pip.conf", Path.home() / ".config" / "pip" / "pip.conf"])
    config.read_dict({"global": {"quiet": "2"}})
    path = home / ".config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        config.write(file)


def interpreters() -> Path:
    """A folder with the real interpreters only: pyenv's shims refuse to run in ansible-test's environment."""
    folder = CACHE / "pythons"
    folder.mkdir(exist_ok=True)
    for version, program in pythons().items():
        path = folder / f"python{version}"
        if not path.is_symlink() or path.readlink() != program:
            path.unlink(missing_ok=True)
            path.symlink_to(program)
    return folder


if __name__ == "__main__":
    main()
