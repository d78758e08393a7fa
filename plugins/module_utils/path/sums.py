# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Internet checksum."""

from __future__ import annotations

import struct


def checksum(message: bytes) -> bytes:
    """The checksum of a message, as in RFC 1071."""
    message += bytes(len(message) & 1)
    total = sum(struct.unpack(">%dH" % (len(message) // 2), message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)
