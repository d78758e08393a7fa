# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why rules of ours drop a packet, in the words of their comments and of the report."""

from __future__ import annotations

DIRECT = "direct access"
PRIVATE = "would leave with a private source"
OUT = "no way out"
IN = "no way in"
CLOSED = "not published, not allowed"
HOST = "access to the host"
LOOPBACK = "loopback is for this host alone"
STRAY = "may be of a translated connection"
FOREIGN = "neither enters nor leaves a network of ours"
TRANSIT = "this host does not route for others"
# These do not belong to a single network.
OF_THE_HOST = (LOOPBACK, STRAY, FOREIGN, TRANSIT)
