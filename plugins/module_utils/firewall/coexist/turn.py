# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for a firewalld that starts or reloads.

Until it is done, nobody else may write by iptables: when the rules change, the iptables-nft that firewalld calls starts
again and fails, which leaves firewalld in its panic mode. Rules that are read at that time are outdated at once.
"""

from __future__ import annotations

import shlex
import time
import typing as t

from ... import operations
from ...kernel.netfilter import FIREWALLD_PING
from ...records import dataclass
from .. import backend

if t.TYPE_CHECKING:
    from ...kernel.host import Host
    from ...kernel.netfilter import Netfilter

_SECONDS = 30
# It has no name on the bus until it loads its rules, and none once it stops.
_PAUSE = 0.05


def _ping(seconds: float) -> tuple[str, ...]:
    """The command that returns when firewalld has done what it is doing, and fails at once without firewalld."""
    return ("busctl", "--auto-start=no", "--timeout=%d" % max(1, round(seconds)), *FIREWALLD_PING)


def settled(netfilter: Netfilter) -> bool:
    """Wait for firewalld, if it runs; returns whether it has come to rest."""
    end = time.monotonic() + _SECONDS
    while netfilter.has_firewalld():
        left = end - time.monotonic()
        if left <= 0:
            return False
        try:
            if netfilter.run(_ping(left), None)[0] == 0:
                return True
        except backend.NoProgram:
            return True  # this host has no means to ask
        time.sleep(_PAUSE)
    return True


@dataclass(frozen=True)
class AwaitFirewalld(operations.Operation):
    """Let firewalld finish before rules of iptables are written, and make sure that ours are still as they were."""

    is_current: t.Callable[[], bool] | None = None

    def commands(self) -> list[str]:
        return [shlex.join(_ping(_SECONDS))]

    def apply(self, host: Host) -> None:
        if not settled(host.netfilter()):
            raise backend.FirewallError(
                "firewalld has not answered for %d seconds, and would panic if rules of iptables were written while it"
                " loads its own; look at 'systemctl status firewalld', and run this again" % _SECONDS
            )
        if self.is_current is not None and not self.is_current():
            raise backend.Outdated("firewalld has emptied iptables again and again during this run; run it again.")
