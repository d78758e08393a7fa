# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the ansible_collections/dockerless/network trees that Ansible's tools need, from a checkout in any directory.

python3 -m tools.tree           the link in .cache/tree, for ansible-playbook, ansible-lint, molecule and pytest
python3 -m tools.tree FOLDER    a copy below this folder, for ansible-test, which resolves links
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
from pathlib import Path

from tools.project import COLLECTION, ROOT, TREE


def link() -> Path:
    """Make the link to the checkout under its collection name and return its path. Many processes may do so at once."""
    path = TREE / COLLECTION
    target = os.path.relpath(ROOT, path.parent)
    if not path.is_symlink() or path.readlink() != Path(target):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".network-{os.getpid()}")
        new.symlink_to(target)
        new.replace(path)
    return path


def copy(folder: Path) -> Path:
    """Copy the files that are, or would be, in git, and return the copy; unchanged files are left alone."""
    base = folder / COLLECTION
    if not base.is_dir():
        base.mkdir(parents=True)
        # ansible-test asks git which files there are. It must not find the checkout's git, which ignores this folder.
        subprocess.run(["git", "init", "--quiet", str(base)], check=False)
    files = set(_files())
    for path in base.rglob("*"):
        file = path.relative_to(base)
        own = file.parts[0] == ".git" or file.parts[:2] == ("tests", "output")
        if not path.is_dir() and file not in files and not own:
            path.unlink()
    for file in files:
        source, target = ROOT / file, base / file
        if target.is_file() and filecmp.cmp(source, target) and source.stat().st_mode == target.stat().st_mode:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    return base


def _files() -> list[Path]:
    """The files of the checkout that git would have; if this is not a git checkout, all but hidden ones."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        names = [Path(name) for name in listing.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = [path for path in found if path.suffix != ".pyc" and not any(part[0] == "." for part in path.parts)]
    return [name for name in names if (ROOT / name).is_file()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    folder = parser.parse_args().folder
    print(copy(folder) if folder else link())


if __name__ == "__main__":
    main()
