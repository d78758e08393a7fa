# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.dockerless.network.plugins.module_utils.kernel import units


def test_a_file_that_is_still_to_be_written_is_not_mounted_yet(tmp_path: Path) -> None:
    seen, other, link = tmp_path / "seen", tmp_path / "other", tmp_path / "link"
    seen.write_text("")
    other.write_text("")
    link.symlink_to("/etc/hosts")
    files = {"same": seen, "another": other, "missing": tmp_path / "missing"}

    found = {name: units.unmounted(os.getpid(), {str(seen): str(path)}) for name, path in files.items()}

    assert found == {"same": [], "another": [str(seen)], "missing": [str(seen)]}
    assert units.unmounted(os.getpid(), {str(link): str(seen), str(tmp_path / "none"): str(seen)}) == []
