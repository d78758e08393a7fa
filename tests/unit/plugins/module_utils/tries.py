# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The number of examples of a property that is not tried as often as the others."""

from __future__ import annotations

import sys

# What is the newest of those that the tests run with: an older one disagrees about the language, not about values.
_NEWEST = (3, 12)


def tries(count: int) -> int:
    """This often with the newest Python, and a third of that with others."""
    return count if sys.version_info >= _NEWEST else max(count // 3, 5)
