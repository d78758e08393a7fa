# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How hypothesis runs: no clock decides, and what it found is tried again the next time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.internal.conjecture import engine

set_hypothesis_home_dir(Path(__file__).resolve().parents[3] / ".cache" / "hypothesis")
settings.register_profile(
    "unit",
    deadline=None,
    # An older Python disagrees about the language, not about single values.
    max_examples=40 if sys.version_info >= (3, 12) else 15,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    # A submission must not fail by a find in what it did not touch; at a session every run looks elsewhere.
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("unit")
# To make a failing example smaller may take five minutes, and there is no setting for it.
engine.MAX_SHRINKING_SECONDS = 45
