# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To find a filter, Ansible loads the files of all filters of a collection, for each task and host anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FILTERS = Path(__file__).resolve().parents[4] / "plugins" / "filter"
# In another process, as this one has loaded much by now.
LOAD = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(f"{sys.argv[1]}.plugins.filter.{name}")
print(*sorted(name for name in sys.modules if name.startswith(f"{sys.argv[1]}.plugins.module_utils.")))
"""


def test_a_file_of_filters_loads_nothing_that_only_its_filters_use() -> None:
    names = sorted(path.stem for path in FILTERS.glob("*.py") if path.stem != "__init__")
    argv = [sys.executable, "-c", LOAD, "ansible_collections.dockerless.network", *names]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})

    assert len(names) >= 5
    assert [name.rpartition(".")[2] for name in done.stdout.split()] == ["role_words"]
