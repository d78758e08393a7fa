# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the host. The text of each is one sentence for the user."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import typing as t

from .. import model
from . import files

BECOME = "use become: true"
_LINE_NUMBER = re.compile(r"\bline (\d+)\b")
_LONGEST_LINE = 200
# The remedy for errors of any action that have only a number.
_REMEDIES = {
    errno.ENOSPC: "make some room in that file system",
    errno.EDQUOT: "make some room in that file system",
    errno.EROFS: "mount that file system read-write",
    errno.ELOOP: "remove the symbolic link, which leads to itself",
    errno.EISDIR: "remove the directory, which is in the place of a file",
    errno.ENOTDIR: "remove the file, which is in the place of a directory",
    errno.EMFILE: "raise the limit of open files",
    errno.ENFILE: "raise the limit of open files",
}
# linux/capability.h
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21


class HostError(Exception):
    """An action on this host failed."""


class KernelError(HostError):
    """The kernel refused; ``what`` is what was tried, as in "add veth web0"."""

    def __init__(self, what: str, reason: OSError | str, hint: str = "") -> None:
        self.what = what
        self.errno = reason.errno if isinstance(reason, OSError) else None
        self.reason = _reason(reason)
        self.hint = hint or (_remedy_of(reason) if isinstance(reason, OSError) else "")
        super().__init__("Cannot %s: %s%s" % (what, self.reason, " (%s)" % self.hint if self.hint else ""))


class CommandError(HostError):
    """A command of the host failed."""

    def __init__(self, argv: t.Sequence[str], rc: int, stderr: str, text: str = "") -> None:
        self.argv = tuple(argv)
        self.rc = rc
        self.stderr = stderr
        first = next((line.strip() for line in stderr.splitlines() if line.strip()), "it gave no reason")
        end = "failed with exit code %d" % rc if rc >= 0 else "was ended by %s" % _signal_name(-rc)
        about = _about(stderr, text)
        super().__init__(
            "The command '%s' %s: %s%s" % (shlex.join(argv), end, first, ', in "%s"' % about if about else "")
        )


def _about(stderr: str, text: str) -> str:
    """The line of ``text`` that a tool refuses; empty if it does not say which."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # nft prints the line, and underlines a part of it; iptables-restore prints its number
    if len(lines) > 2 and set(lines[2]) <= set("^~ "):
        return _shortened(lines[1])
    number = _LINE_NUMBER.search(lines[0]) if lines else None
    there = ["", *text.splitlines()]
    line = there[int(number[1])] if number is not None and int(number[1]) < len(there) else ""
    return "" if line == "COMMIT" else _shortened(line)


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."


class UnitError(HostError):
    """systemd did not start, stop or restart a unit."""

    def __init__(self, verb: str, units: t.Sequence[str], error: CommandError, advice: str = "") -> None:
        lines = error.stderr.splitlines()
        # "Job for nginx.service failed because ...": systemctl names each unit that failed, on a line of its own
        failed = [unit for unit in units if any(unit in line for line in lines)] or [*units]
        said = next((line.strip() for line in lines if line.strip()), "it gave no reason").rstrip(".")
        logs = shlex.join(["journalctl", "-n", "20", *(word for unit in failed for word in ("-u", unit))])
        remedy = "; %s" % advice if advice else ""
        super().__init__(
            "Cannot %s %s: %s (its own last words: %s%s)" % (verb, model.enumerate_few(failed), said, logs, remedy)
        )


class LockTimeout(HostError):
    """Another run holds the lock of this host."""


class MissingLibrary(HostError):
    """A Python library is missing or too old."""

    def __init__(self, trouble: str, remedy: str) -> None:
        self.trouble = trouble
        self.remedy = remedy
        super().__init__("%s: %s." % (trouble, remedy))


class MissingPrivilege(HostError):
    """This process may not configure the network."""


def require_privileges() -> None:
    """Raise MissingPrivilege, unless this process may change links and enter namespaces."""
    with open("/proc/thread-self/status", encoding="utf-8") as status:
        effective = next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    wanted = {"CAP_NET_ADMIN": CAP_NET_ADMIN, "CAP_SYS_ADMIN": CAP_SYS_ADMIN}
    missing = [name for name, bit in wanted.items() if not effective >> bit & 1]
    if missing:
        raise MissingPrivilege(_lacking(" and ".join(missing)))


def _lacking(capabilities: str) -> str:
    if os.geteuid() != 0:
        return "The network can only be changed with %s; %s." % (capabilities, BECOME)
    return (
        "This process is root, but lacks %s, as in a container or a systemd unit that was not given it; start the"
        " container with that capability added, or privileged." % capabilities
    )


def sentence(error: OSError) -> str:
    """An unexpected error of the system as one sentence: the file, the reason, what to do."""
    names = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    remedy = _remedy_of(error)
    what = "Cannot use %s" % names if names else "This host refused a system call"
    return "%s: %s%s." % (what, _reason(error), "; %s" % remedy if remedy else "")


def message_of(error: Exception) -> str:
    """An error as one sentence."""
    return sentence(error) if isinstance(error, OSError) and error.errno is not None else str(error)


def _remedy(number: int | None) -> str:
    if number in (errno.EPERM, errno.EACCES):
        return BECOME if os.geteuid() != 0 else ""
    return _REMEDIES.get(number or 0, "")


def _remedy_of(error: OSError) -> str:
    """What to do about an error; empty if nobody knows."""
    return _remedy(error.errno) or _remedy_for_files(error)


def _remedy_for_files(error: OSError) -> str:
    """What to do about a file that nobody may change, or whose folder is so."""
    given = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    paths = [path for name in given for path in (name, os.path.dirname(name))]
    return next(filter(None, map(unlocking, paths)), "") if error.errno == errno.EPERM else ""


def unlocking(path: str) -> str:
    """What to do about a file or a folder that is immutable or append-only; empty if it is neither."""
    found = files.attributes(path)
    flag = "i" if found & files.IMMUTABLE else "a" if found & files.APPEND_ONLY else ""
    return "run chattr -%s %s" % (flag, path) if flag else ""


def _signal_name(number: int) -> str:
    try:
        return "signal %d (%s)" % (number, signal.Signals(number).name)
    except ValueError:
        return "signal %d" % number


def _reason(reason: OSError | str) -> str:
    if not isinstance(reason, OSError):
        return reason
    return reason.strerror or str(reason) or type(reason).__name__
