# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The legacy back-end: the rules of the iptables back-end, written by python-iptables through libiptc.

Only on request, since iptables-legacy-restore does the same in a fiftieth of the time. It is fenced in:

- python-iptables has its own copy of the C structures of libxtables, wrong since 1.8.11 (ldx/python-iptables#353);
- it writes the legacy tables, whatever the host's iptables shows, so that has to be the legacy variant;
- it takes no lock, so we hold that of iptables from reading a table to its commit;
- it swallows errors while autocommit is on, which it is unless told otherwise;
- it can do one address family in a process, starts two dozen processes when imported, and bends standard output:
  so each family has a child process of its own, and what it wrote is read back by iptables-save and compared.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import re
import signal
import sys
import typing as t
from dataclasses import dataclass, field

from ..model import FirewallState
from ..operations import Operation, here_document
from .backend import FirewallError, Runner
from .foreign import Foreign
from .iptables import LOCK_SECONDS, IptablesBackend
from .iptables_text import Rule, Ruleset, transaction, words

if t.TYPE_CHECKING:
    from ..kernel.host import Host

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_LAST_VERSION = (1, 8, 10)
_VALUELESS = ("--limit-iface-in", "--nowildcard", "--random-fully")
_ATTRIBUTES = {"-s": "src", "-d": "dst", "-i": "in_interface", "-o": "out_interface", "-p": "protocol"}
_PROTOCOLS = {"ipv6-icmp": "icmpv6"}
_FAMILIES = {4: ("Table", "Rule"), 6: ("Table6", "Rule6")}


class LegacyBackend(IptablesBackend):
    """python-iptables, where the host's own iptables is the legacy variant."""

    name = "legacy"

    def __init__(self, run: Runner) -> None:
        super().__init__(run)

    def usable(self) -> str | None:
        trouble = super().usable()
        if trouble is not None:
            return trouble
        if self.store != "legacy":
            return (
                "The iptables of this host is the nf_tables variant, and would not show what python-iptables writes;"
                " use the back-end iptables."
            )
        found = _VERSION.search(self.version_text())
        if found is None or tuple(int(part) for part in found.groups()) > _LAST_VERSION:
            return (
                "python-iptables cannot write rules correctly with iptables 1.8.11 or later"
                " (its issue 353); use the back-end iptables."
            )
        if importlib.util.find_spec("iptc") is None:
            return "python-iptables is not installed for %s; install the package python3-iptables." % sys.executable
        foreign = Foreign(self.run)
        for table in foreign.nat_tables(4) + foreign.nat_tables(6):
            if table.store == "nft":
                return (
                    "%s translates addresses as well, and which of two rules for a packet decides depends on which"
                    " was loaded first; use the back-end nftables." % table
                )
        return None

    def plan(self, raw: object, desired: FirewallState) -> list[Operation]:
        steps = super().plan(raw, desired)
        for step in steps:
            t.cast("WriteByLibiptc", step).rehearse()
        return steps

    def step(self, version: int, before: Ruleset, after: Ruleset, text: str) -> Operation:
        return WriteByLibiptc(version, before, after, self)


@dataclass(frozen=True)
class WriteByLibiptc(Operation):
    """One transaction of one family: all its rules are built before the first table is committed."""

    version: int
    before: Ruleset = field(hash=False)
    after: Ruleset = field(hash=False)
    backend: LegacyBackend = field(compare=False, repr=False)

    def commands(self) -> list[str]:
        tool = "iptables-legacy-restore" if self.version == 4 else "ip6tables-legacy-restore"
        return [here_document("%s --noflush -w %d" % (tool, LOCK_SECONDS), transaction(self.before, self.after))]

    def undo(self) -> list[Operation]:
        return [WriteByLibiptc(self.version, self.after, self.before, self.backend)]

    def rehearse(self) -> None:
        """Raise FirewallError when python-iptables cannot build one of the rules; touches no table."""
        text = transaction(self.before, self.after)
        _in_child(lambda: _build_each_kind(self.version, text))

    def apply(self, host: Host) -> None:
        try:
            self._write(self.before, self.after)
        except FirewallError as error:
            self._take_back(error)
            raise
        difference = transaction(self._read(), self.after)
        if difference:
            wrong = FirewallError(
                "python-iptables wrote IPv%d rules that do not read back as they should; the first difference: %s"
                % (self.version, difference.splitlines()[1])
            )
            self._take_back(wrong)
            raise wrong

    def _read(self) -> Ruleset:
        return self.backend.read_family(self.version) or Ruleset({})

    def _write(self, before: Ruleset, after: Ruleset) -> None:
        text = transaction(before, after)
        if text:
            _in_child(lambda: _commit(self.version, text))

    def _take_back(self, error: FirewallError) -> None:
        """Tables are committed one by one, so the first may be written when the second fails."""
        try:
            self._write(self._read(), self.before)
        except FirewallError as trouble:
            raise FirewallError("%s. Taking it back failed, too: %s" % (error, trouble)) from error


# --- the child ------------------------------------------------------------------------------------------------------


def _in_child(work: t.Callable[[], None]) -> None:
    """Do something in a process that ends then; FirewallError says what went wrong there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(_report(work, writing))
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as pipe:
        trouble = pipe.read()
    unused, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise FirewallError("python-iptables died of signal %d." % os.WTERMSIG(status))
    if status != 0:
        raise FirewallError("python-iptables: %s" % (trouble or "it failed without a word"))


def _report(work: t.Callable[[], None], writing: int) -> int:
    """The exit code; what went wrong goes into the pipe. Standard output is python-iptables' to play with."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        work()
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(writing, ("%s" % (error or type(error).__name__)).encode()[:4096])
        return 1
    return 0


def _iptc() -> t.Any:
    try:
        import iptc
    except ImportError as error:
        raise FirewallError("it cannot be imported: %s" % error) from error
    return iptc


@contextlib.contextmanager
def _lock() -> t.Iterator[None]:
    """The lock of iptables (xtables_lock in xshared.c); it goes with the process."""
    path = os.environ.get("XTABLES_LOCKFILE", "/run/xtables.lock")
    file = os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(LOCK_SECONDS)
    fcntl.flock(file, fcntl.LOCK_EX)
    signal.alarm(0)
    yield
    os.close(file)


def _give_up(unused_signal: int, unused_frame: t.Any) -> None:
    raise FirewallError("another program has held the lock of iptables for %d seconds" % LOCK_SECONDS)


def _commit(version: int, text: str) -> None:
    """What iptables-legacy-restore --noflush does with the same text."""
    iptc = _iptc()
    with _lock():
        tables = []
        for line in text.splitlines():
            if line.startswith("*"):
                table = getattr(iptc, _FAMILIES[version][0])(line[1:], autocommit=False)
                table.refresh()
                tables.append(table)
            elif line != "COMMIT":
                _change(iptc, version, table, line)
        for table in tables:
            table.commit()


def _change(iptc: t.Any, version: int, table: t.Any, line: str) -> None:
    if line.startswith(":"):
        chain = line[1:].split(" ", 1)[0]
        if table.is_chain(chain):
            table.flush_entries(chain)
        else:
            table.create_chain(chain)
        return
    verb, name = words(line)[:2]
    rule = words(line)[2:]
    chain = iptc.Chain(table, name)
    if verb == "-X":
        table.delete_chain(name)
    elif verb == "-D":
        chain.delete_rule(_rule(iptc, version, rule, table))
    elif verb == "-I":
        chain.insert_rule(_rule(iptc, version, rule, table))
    else:
        chain.append_rule(_rule(iptc, version, rule, table))


def _rule(iptc: t.Any, version: int, rule: Rule, table: t.Any) -> t.Any:
    """A rule as python-iptables wants it."""
    kind = getattr(iptc, _FAMILIES[version][1])
    # To learn what is a chain it would open, and so make, every table there is, each with autocommit.
    built = type(kind.__name__, (kind,), {"tables": [table]})()
    extension = None
    inverted = ""
    each = iter(rule)
    for word in each:
        if word == "!":
            inverted = "!"
            continue
        value = "" if word in _VALUELESS else next(each)
        if word in _ATTRIBUTES:
            setattr(built, _ATTRIBUTES[word], inverted + _PROTOCOLS.get(value, value))
        elif word == "-m":
            extension = built.create_match(value)
        elif word in ("-j", "-g"):
            extension = built.create_target(value, goto=word == "-g")
        else:
            _set_parameter(extension, word[len("--") :], inverted, value, rule)
        inverted = ""
    return built


def _set_parameter(extension: t.Any, name: str, inverted: str, value: str, rule: Rule) -> None:
    try:
        extension.set_parameter(name, inverted + value if value else [])
    except Exception as error:
        raise FirewallError("it cannot express the rule %s: %s" % (" ".join(rule), error)) from error


class _ChainsOf:
    """What a rule asks of its table when no table shall be opened."""

    def __init__(self, text: str) -> None:
        self._chains = {line[1:].split(" ", 1)[0] for line in text.splitlines() if line.startswith(":")}

    def is_chain(self, name: str) -> bool:
        """Whether a rule may jump there."""
        return name in self._chains or name.startswith("DLN-")


def _build_each_kind(version: int, text: str) -> None:
    """One rule for each combination of options is enough to know; a port or an address more is no news."""
    iptc = _iptc()
    kinds: dict[tuple[str, ...], Rule] = {}
    for line in text.splitlines():
        if line.startswith("-") and not line.startswith("-X"):
            rule = words(line)[2:]
            kinds.setdefault(tuple(word for word in rule if word[:1] in "-!"), rule)
    for rule in kinds.values():
        _rule(iptc, version, rule, _ChainsOf(text)).final_check()
