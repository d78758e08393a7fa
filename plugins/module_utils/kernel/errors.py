# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between us and the host; the text of each is one sentence for the user."""

from __future__ import annotations

import errno
import os
import shlex
import typing as t

BECOME = "use become: true"
# linux/capability.h
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21


class HostError(Exception):
    """Something that this host did not do."""


class KernelError(HostError):
    """The kernel refused; ``what`` is what was tried, as in "add veth web0"."""

    def __init__(self, what: str, reason: OSError | str, hint: str = "") -> None:
        self.what = what
        self.errno = reason.errno if isinstance(reason, OSError) else None
        self.reason = _reason(reason)
        self.hint = hint or (BECOME if self.errno in (errno.EPERM, errno.EACCES) and os.geteuid() != 0 else "")
        super().__init__("Cannot %s: %s%s" % (what, self.reason, " (%s)" % self.hint if self.hint else ""))


class CommandError(HostError):
    """A command of the host failed."""

    def __init__(self, argv: t.Sequence[str], rc: int, stderr: str) -> None:
        self.argv = tuple(argv)
        self.rc = rc
        self.stderr = stderr
        first = next((line.strip() for line in stderr.splitlines() if line.strip()), "it gave no reason")
        super().__init__("The command '%s' failed with exit code %d: %s" % (shlex.join(argv), rc, first))


class LockTimeout(HostError):
    """Another run holds the lock of this host."""


class MissingLibrary(HostError):
    """A Python library is not there, or too old."""


class MissingPrivilege(HostError):
    """This process may not configure the network."""


def require_privileges() -> None:
    """Raise MissingPrivilege, unless this process may change links and enter namespaces."""
    with open("/proc/thread-self/status", encoding="utf-8") as status:
        effective = next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    wanted = {"CAP_NET_ADMIN": CAP_NET_ADMIN, "CAP_SYS_ADMIN": CAP_SYS_ADMIN}
    missing = [name for name, bit in wanted.items() if not effective >> bit & 1]
    if missing:
        raise MissingPrivilege("The network can only be changed with %s; %s." % (" and ".join(missing), BECOME))


def _reason(reason: OSError | str) -> str:
    if not isinstance(reason, OSError):
        return reason
    return reason.strerror or str(reason)
