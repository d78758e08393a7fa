# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes ``ansible_collections.dockerless.network`` importable, also from a checkout of another name."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT))

# Else ansible-test, or a checkout in its place, has it importable already.
if ROOT.parts[-3:] != ("ansible_collections", "dockerless", "network"):
    from tools.project import TREE
    from tools.tree import link

    link()
    sys.path.insert(0, str(TREE))
